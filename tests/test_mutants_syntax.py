"""What patterns are taken to be, fact by fact, quickly: what mutants of the parser showed that nothing else had stated in a second."""

from __future__ import annotations

import itertools

import pytest
import regex

from streamfilter.matching import Rule
from streamfilter.matching.alphabet import Alphabet, Numbers
from streamfilter.matching.folding import Folding, Trie
from streamfilter.matching.printing import NeverCertain, print_pattern
from streamfilter.matching.regular import NotRegularError, Predicate, lower
from streamfilter.matching.syntax import parse
from streamfilter.matching.tree import CLUSTER_CONTEXT, UNBOUNDED, Refused, lookbehind, width, written_out

RECURSION = "recursion can nest without bound"
RELATIVE = "relative calls are not known here; name the group"
FULL_CASE = "full case-folding can match several characters with one, and is not decided at the end of what has arrived"
WHOLE = "`regex` honours it only for a whole pattern: put it first"
NO_NAME = "no group before it has this name"
OPEN = "it refers to the group that it stands in"
EXTENSION = "this extension is not known here, so it cannot be streamed exactly"


@pytest.mark.parametrize(
    ("pattern", "construct", "position", "reason"),
    [
        ("a(?R)b", "(?R)", 1, RECURSION),
        ("a(?0)", "(?0)", 1, RECURSION),
        ("ab(?P<n>a(?&n)?b)", "(?&n)", 9, RECURSION),
        ("x(a(?1)?b)", "(?1)", 3, RECURSION),
        ("(?P<a>x(?&b)?)(?P<b>y(?P>a)?)", "(?&b)", 7, RECURSION),
        ("((a)(?2)(?1))", "(?1)", 8, RECURSION),
        ("(a(?2))(b(?1))", "(?2)", 2, RECURSION),
        ("(a(?0)?)", "(?0)", 2, RECURSION),
        ("(?|(a)|(b(?1)))", "(?1)", 9, RECURSION),
        ("(?9)(x(?1)?b)", "(?1)", 6, RECURSION),
        ("(?&z)(x(?1)?b)", "(?1)", 7, RECURSION),
        ("x(a\\1)", "\\1", 3, OPEN),
        ("(?P<n>(b)\\2\\g<n>)", "\\g<n>", 11, OPEN),
        ("x(?:\\g<1>(a\\g<1>))", "\\g<1>", 11, OPEN),
        ("x(?+1)(a)", "(?+1)", 1, RELATIVE),
        ("(a)(?-1)", "(?-1)", 3, RELATIVE),
        ("(?fi)ss", "(?f)", 0, FULL_CASE),
        ("(?V1i)ss", "(?V1) with IGNORECASE", 0, FULL_CASE),
        ("x(?i:(?V1)a)", "(?V1) with IGNORECASE", 0, FULL_CASE),
        ("ab{e<=1}", "{e<=1}", 2, "fuzzy matching needs all of the text; a literal brace is written \\{"),
        ("a(?b)a|b", "(?b)", 1, "BESTMATCH needs all of the text before it can say which match is best"),
        ("a\\Kb", "\\K", 1, "it gives back decided text; use a lookbehind"),
        ("ab\\Ga", "\\G", 2, "it stands where the search began, which in a stream depends on the chunks"),
        ("x(?a:\\w)", "(?a)", 1, WHOLE),
        ("x(?-u:b)", "(?u)", 1, WHOLE),
        ("a(*SKIP)b", "(*", 1, "backtracking verbs are not decided at the end of what has arrived"),
        ("a(?P=n)", "n", 1, NO_NAME),
        ("ab\\g<n>", "n", 2, NO_NAME),
        ("ab(?(n)a|b)", "n", 2, NO_NAME),
        ("ab(?(?a)b)", "(?(", 2, "this condition is not known here, so it cannot be streamed exactly"),
        ("ab(?~a)", "(?~a", 2, EXTENSION),
        ("(?", "(?", 0, EXTENSION),
    ],
)
def test_a_refusal_says_what_and_where_and_why(pattern: str, construct: str, position: int, reason: str) -> None:
    """What is as written in the pattern, where in its characters."""
    with pytest.raises(Refused) as caught:
        parse(pattern)
    error = caught.value
    assert (error.construct, error.position, error.reason) == (construct, position, reason)
    assert str(error) == f"{construct} at position {position}: {reason}"
    with pytest.raises(Refused) as beside:
        parse("a", regex.BESTMATCH)
    assert str(beside.value).startswith("B at position 0: BESTMATCH needs")
    with pytest.raises(Refused, match=r"^flags=1048576 at position 0: only the flags A, I, M, S, X, U and the versions are taken$"):
        parse("a", 1 << 20)


@pytest.mark.parametrize(
    "braces",
    [
        "{e}",
        "{d}",
        "{s}",
        "{i}",
        "{d<=1}",
        "{s<=1}",
        "{i<=1}",
        "{2i+2d<=4}",
        "{s<1,s<2}",
        "{5<=i<=9}",
        "{i<=9}",
        "{i<=20:[^b]}",
        "{x}",
        "{}",
        "{1<e}",
        "{e<}",
    ],
)
def test_braces_are_fuzzy_where_regex_takes_them_so(braces: str) -> None:
    """Deletions, substitutions, insertions; other braces are what they are, or an error of `regex`."""
    if braces in ("{x}", "{}", "{1<e}", "{e<}"):
        assert width(parse(f"a{braces}").root) == (1 + len(braces),) * 2
    else:
        with pytest.raises(Refused, match=r"^.{3,} at position 1: fuzzy matching needs all of the text"):
            parse(f"a{braces}")


def test_flags_of_which_nothing_is_left_are_nothing() -> None:
    """Whether white space counts is in the tree. A comment that is not closed goes on to the end: that is an error of `regex`."""
    assert print_pattern(parse("a(?#b"), 3, "final") == "(?:a)"
    assert print_pattern(parse("a(?x) b(?V0) c"), 3, "final") == "(?:abc)"


def test_a_group_is_named_by_its_number_or_name() -> None:
    """0 is none."""
    tree = parse("(a)(?P<n>b)(c(?&nobody))")
    assert [tree.number(ref) for ref in ("1", "12", "n", "nobody")] == [1, 12, 2, 0]


@pytest.mark.parametrize(
    "pattern",
    ["(a)(?1)b(?1)", "(?P<X>a)(?&X)", "(?P<n>a)(?P<m>(?&n)b(?&n))(?&m)", "(?:(?&l))(?P<l>ab)", "(a(b))(?1)(?2)", "((a)(?2))(?1)"],
)
def test_calls_that_come_to_an_end_are_taken(pattern: str) -> None:
    """A group may be called by others, before it and behind it."""
    assert Rule("r", pattern).compiled.groups >= 1


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("a", 0), ("(?i)a", 0), ("a(?i)b", 0), ("(?i)a(?-i:b)", 0), ("(?i)(?i:a)", 0), ("(?-i:a)", 0), ("(?x) a", 0), ("a(?x) b", 0),
        ("(?s).", 0), ("(?s:.)", 0), ("(?V1)a", 0), ("(?V0)a", 0), ("(?a)a", 0), ("a", regex.A | regex.S), ("a", regex.I | regex.X),
        ("(?x:a)", 0), ("(?-x:a)", regex.X), ("(?u)a", 0), ("a(?s).", 0), ("(?:(?i)a)b", 0), ("a(?-i)b", regex.I), ("(?imsx)a", 0),
    ],
)  # fmt: skip
def test_what_holds_for_a_whole_pattern(pattern: str, flags: int) -> None:
    """As `regex` says of the compiled pattern; case is mixed where a letter behind it or in it is taken otherwise."""
    tree, compiled = parse(pattern, flags), regex.compile(pattern, flags)
    leading = pattern.startswith("(?") and ":" not in pattern and "-" not in pattern[:4]
    assert tree.version1 is bool(compiled.flags & regex.VERSION1)
    if leading or "(?" not in pattern:
        assert tree.ascii == bool(compiled.flags & regex.ASCII)
        assert tree.ignore_case == bool(compiled.flags & regex.IGNORECASE)
        assert tree.dot_all == bool(compiled.flags & regex.DOTALL)
        assert tree.verbose == bool(compiled.flags & regex.VERBOSE)
        assert tree.mixed_case is False
    else:
        assert tree.mixed_case == (pattern in ("a(?i)b", "(?i)a(?-i:b)", "(?:(?i)a)b", "a(?-i)b"))


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("", 0, 0), ("a{2}b{3,4}", 5, 6), ("a{,3}", 0, 3), ("a{2,}", 2, UNBOUNDED), ("(?:ab|c){2,3}", 2, 6), ("a+b?", 1, UNBOUNDED),
        (r"(a)\1", 1, UNBOUNDED), (r"\R\R", 2, 4), (r"\X", 0, UNBOUNDED), ("(?:a*){3}", 0, UNBOUNDED), ("a{x}", 4, 4), ("a{1", 3, 3),
        ("[]a]b", 2, 2), ("[^]a]b", 2, 2), (r"[\]a]b", 2, 2), ("[[:alpha:]a]b", 2, 2), ("[[:a]b", 2, 2), ("[]]b", 2, 2), ("[^]]b", 2, 2), ("a:][[:alpha:]b]c", 5, 5), ("[[:alpha:]a][[:alpha:]b]", 2, 2), ("(?V1)[a[bc]d]e", 2, 2),
        ("[a[b]c", 2, 2), (r"\x41\u0041\N{BULLET}\p{Lu}\101\0", 6, 6), (r"\p{Script=Latin}a", 2, 2), (r"\p{gc:Lu}[[:script=Latin:]]a", 3, 3), (r"\p{!}a", 5, 5), (r"\P{a!b}", 6, 6), (r"\b\B\m\M\A\Z^$", 0, 0), ("(?#x)a(?#y)", 1, 1), ("a(?#xy)bc", 3, 3), ("aXb", 3, 3), ("(?x)a\n # b\n c", 2, 2), ("(?x)a # b\n c # d\n e(?#f)\u2003#", 3, 3), ("a #", 3, 3),
        ("(?x) a # b\n c", 2, 2), ("(?<=ab)c(?!de)", 1, 1), ("(?P<n>ab)(?:c)(?>d)", 4, 4), ("(?|(a)|(bc))", 1, 2), ("(?(DEFINE)(a))b", 1, 2),
        ("(a)(?(1)bc)", 1, 3), ("(?(?=a)ab|c)", 0, 2), ("(?i:ab)c", 3, 3), ("(?i)ab", 2, 2), (r"\#\ ", 2, 2), ("a??b*?c+", 1, UNBOUNDED),
    ],
)  # fmt: skip
def test_how_wide_a_match_can_be(pattern: str, least: int, most: int) -> None:
    """The least and the most characters."""
    assert width(parse(pattern).root) == (least, most)
    assert Rule("r", pattern).compiled is not None


@pytest.mark.parametrize(
    ("pattern", "chars"),
    [
        ("", 0),
        ("ab", 2),
        ("a{3}", 3),
        ("a*", 1),
        ("a{4,}", 4),
        ("(?:a{2}b){5}c?", 16),
        ("(?:)*", 1),
        ("(?=a{3})b|c", 5),
        ("(?:a{7}){3}", 21),
        ("(?:a{2,3}){0,4}", 12),
        ("(a|bc){2}", 6),
    ],
)
def test_how_long_a_pattern_is_with_its_repeats_written_out(pattern: str, chars: int) -> None:
    """Lookarounds and all branches count."""
    assert written_out(parse(pattern).root) == chars


@pytest.mark.parametrize(
    ("pattern", "chars"),
    [
        ("a", 0), ("^a", 1), (r"a\b", 1), ("(?<=ab|c)d", 2), ("(?<!abc)d", 3), ("(?<=a+)d", 1), ("(?<=a+?)d", 1), ("(?<=a{2,}?b)d", 3), ("(?<=a*bc)d", 2), ("(?<=a{2,5})d", 2),
        ("(?<=^ab)c", 3), ("(?=(?<=abc)d)e", 3), (r"(?<=\Rb)c", 3), ("(?<=(?<=ab)c)d", 3), ("(?<=(?:a+|bcd)e)f", 4), ("(?<=a|bb|c)d", 2),
        ("(?(?<=ab)c|d)", 2), ("(?:x|(?<=abcd)y)z", 4), ("(?<=(?:a+b)?c)d", 1), ("(?<=(?:a+b){2}c)d", UNBOUNDED), ("(?<=ab+)c", UNBOUNDED), ("(?<=(a)+)b", UNBOUNDED),
        ("(?<=(?>a+))b", UNBOUNDED), ("(?<=a++)b", UNBOUNDED),
        (r"a\X", CLUSTER_CONTEXT), (r"(?<=ab)c|(?:\X)+", CLUSTER_CONTEXT), (r"\R|\L<words>|x", 0), (r"(?<=x\X)a", UNBOUNDED),
    ],
)  # fmt: skip
def test_how_far_back_a_pattern_looks(pattern: str, chars: int) -> None:
    """So much released text is kept; without a bound it is refused."""
    root = parse(pattern).root
    if chars < UNBOUNDED:
        assert lookbehind(root) == chars
    else:
        with pytest.raises(Refused, match=r"^\(\?<= at position 0: how far this lookbehind looks back has no bound$"):
            lookbehind(root)
    with pytest.raises(Refused, match=r"^\(\?<! at position 5: how far this lookbehind looks back has no bound$"):
        lookbehind(parse("ab(?:(?<!a++)c)").root)


PRINTED = [
    r"(?|(a)(b)|(a))(c)?\3", "(?:(?x)a b)a|(?x:a b)b|a(?-x: )b", "(?x)(?:(?-x) a)b #", "(?<!^a|^)b", r"(?!\b)a|(?<!$)b", "(?<!^)a",
    "a b", r"(?i)a(?-i:b)", "(?s).", ".", "(?-s:.)x", "(a)(b)\\2", "(?P<x>a)(?P=x)", "(a)?(?(1)b|c)", "(?(?=a)ab|c)", "(a|b)(?1)", r"a\b", "^a$",
    "(?m)^a$", "a*?b|[^a]", "(?:ab)+?c", "(?>a|ab)b", "a++b", "(?<=a)b(?!c)", "(?<!a)b(?=c)", r"\Bb|\mc|a\M", "(?(DEFINE)(?P<d>ab))(?&d)", "(?x) a b#c",
    r"[ ]|\ ", "(?V1)[a-c--b]", r"\X", r"\Ra", "(?:|a)b", "(?(?!a)b|a)", "(?is:A.)B", "(?is)(?-is:A.)B", "(?(?<!a)b|a)", "(?(?<=a)b|a)", "((a)|b)\\2?",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PRINTED)
def test_a_pattern_printed_anew_matches_the_same(pattern: str) -> None:
    """For a whole text: its end is the end. In front of another one, whose groups and flags are its own."""
    tree = parse(pattern)
    flags = sum(flag for flag, on in ((regex.I, tree.ignore_case), (regex.A, tree.ascii), (regex.V1, tree.version1)) if on)
    shown = print_pattern(tree, 3, "final")
    want, alone, beside = (
        regex.compile(each, flags) for each in (pattern, shown, f"(?:{shown})|(?:{print_pattern(parse('(Q)z.'), 4, 'final')})")
    )
    for chars in range(5):
        for letters in itertools.product("ab \n" if chars > 3 else "abcAB \n", repeat=chars):
            text = "".join(letters)
            spans = [match.span() for match in want.finditer(text)]
            assert [match.span() for match in alone.finditer(text)] == spans
            assert [match.span() for match in beside.finditer(text)] == spans
    assert alone.match("Qz\n") is None or regex.match(pattern, "Qz\n")


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("a*", "a*"), ("a*?", "{a}*?"), ("a??b", "{a}??b"), ("a{2}?b", "{a}{2}?b"), ("a++", "a++"), ("(?:ab)?", "(?:ab)?"), ("(?:ab)??", "{(?:ab)}??"),
        ("(?:ab)?+", "(?:ab)?+"), ("(?:ab)*", "{(?:ab)}*"), ("(ab)+", "{(?:ab)}+"), ("(?:ab){2}", "{(?:ab)}{2}"), (r"[\s\S]*?>", r"[\s\S]*?>"),
        (r"[\W\w]+?-", r"[\W\w]+?-"), (r"[\s\S]*?\w", r"{[\s\S]}*?\w"), (r"[\s\S]*?(?:>)", r"{[\s\S]}*?(?:>)"), (r"[\s\S]*?", r"{[\s\S]}*?"),
        (r"[\s\S]{,3}?>", r"{[\s\S]}{,3}?>"), ("[^x]*?>", "{[^x]}*?>"), ("a(?=b*)c*", "a(?={b}*)c*"), ("(?<!b?(?=c+)d*)c*", "(?<!{b}?(?={c}+){d}*)c*"),
        (r"[\s\S]*?>|[\s\S]*?", r"[\s\S]*?>|{[\s\S]}*?"), (r"(a)(b)\2", "(?:a)(?P<g3_2>b)(?P=g3_2)"), (r"\X\R", r"(?:\X(?=(?s:.)))\R"),
        (r"\p(?#x)La", "pLa"), (r"\P(?#x)N", "PN"),
    ],
)  # fmt: skip
def test_what_is_opened_for_a_stream(pattern: str, shown: str) -> None:
    """In front of what is in braces here stands what keeps a repeat open: in lookarounds, of groups, and of single characters
    that are lazy, but for any character before a literal, which `regex` looks for. Groups that nobody refers to are none."""
    want = regex.sub(r"\{((?:\[[^]]*\]|[a-z]|\(\?:ab\)))\}", r"(?:(?:|(?!))\1)", shown)
    assert print_pattern(parse(pattern), 3, "stream") == f"(?:{want})"


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("(?<=x)(?i:a)", "{(?i:a)}(?<=x)(?i:a)"), ("(?<=x)(?:a?)b", "(?<=x)(?:a?)b"), ("(?<=x)(?:a|)b", "(?<=x)(?:a|)b"),
        ("(?<=x)(?:a|b?)x", "(?<=x)(?:a|b?)x"), ("(?<=x)(?:a|bx)b", "{(?:a|b)}(?<=x)(?:a|bx)b"), ("(?<=x)a?b", "{a|b}(?<=x)a?b"),
        ("(?<=x)a?b?", "(?<=x)a?b?"), ("(?<=x)a*(?:b|[ax])x", "{a|(?:b|[ax])}(?<=x)a*(?:b|[ax])x"), ("x(?!a)", "x(?!a)"),
        (r"(?<=x)(?!a)\bab?", r"{a}(?<=x){a}(?!a)\bab?"), (r"(?<=x)a?\R", r"(?<=x)a?\R"), (r"(?<=x)\R", r"(?<=x)\R"),
        (r"(b)(?<=b)\1a", r"(?P<g3_1>b)(?<=b)(?P=g3_1)a"), ("x(?i)(?!b)[ab]", "x(?i){[ab]}(?!b)[ab]"), ("(?<=x)(?i)a", "(?<=x)(?i)a"),
        ("(?<=x)(a)b", "{a}(?<=x)(?:a)b"), ("(?<=x)[^a]*[^b]", "{(?>[^a])|(?>[^b])}(?<=x)[^a]*[^b]"),
        ("(?<!(?<=x)ab)b", "{b}(?<!{a}(?<=x)ab)b"),
    ],
)  # fmt: skip
def test_what_is_tested_in_front_of_a_lookaround(pattern: str, shown: str) -> None:
    """In a stream, the characters that what follows it can begin with, which stand in braces here; it matches the same with them.
    Nothing where that is not told, or what follows can be empty."""
    streamed = print_pattern(parse(pattern), 3, "stream")
    edge = r"(?:(?<=\w)(?!\w)|(?<!\w)(?=\w))"
    assert streamed == f"(?:{shown})".replace("{", "(?=").replace("}", ")").replace(r"\b", edge)
    want, given = regex.compile(pattern), regex.compile(streamed)
    for chars in range(6):
        for letters in itertools.product("abxA\n" if chars < 5 else "abx", repeat=chars):
            text = "".join(letters)
            assert [match.span() for match in given.finditer(text)] == [match.span() for match in want.finditer(text)]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?i)\\p{Lu}", "it ignores case beside properties, which `regex` decides in its own way"),
        ("a(?i:b)[[:alpha:]]", "it ignores case beside properties, which `regex` decides in its own way"),
        ("(?:a|(?i:b))[^c]", "it ignores case in parts beside negated sets, which `regex` decides in its own way"),
        ("(?:a|(?i:b))\\W", "it ignores case in parts beside negated sets, which `regex` decides in its own way"),
        ("(?:a|(?i:b))\\S", "it ignores case in parts beside negated sets, which `regex` decides in its own way"),
        ("(?:a|(?i:b))\\D", "it ignores case in parts beside negated sets, which `regex` decides in its own way"),
        ("(?:a|(?i:b))\\P{L}", "it ignores case in parts beside negated sets, which `regex` decides in its own way"),
        ("(?:a|(?i:b))\\p{^L}", "it ignores case in parts beside negated sets, which `regex` decides in its own way"),
        ("[^a]|[^b]", "it has a choice of negated characters, which `regex` decides in its own way"),
        ("(?=x[^\\n]|x(?s:c|[^]])).", "it has a choice of negated characters, which `regex` decides in its own way"),
        ("(?:xy)[^a]|x(?:z|y[^b])", "it has a choice of negated characters, which `regex` decides in its own way"),
        ("([^a]|(?-s:[^b]))", "it has a choice of negated characters, which `regex` decides in its own way"),
        ("(?i)\\P{Lu}", "it ignores case beside properties, which `regex` decides in its own way"),
        ("a(?=(b))", "it captures in a lookahead"),
        ("a++", "it has a possessive repeat"),
        ("(?:a?)*", "it repeats what can be empty"),
        ("(?:a?){2}", "it repeats what can be empty"),
        ("(a)(?1)", "it calls a group"),
        ("(?<=a\\b)b", "it has an assertion inside a lookaround"),
    ],
)
def test_what_is_not_regular(pattern: str, reason: str) -> None:
    """The reason is what `explain` says."""
    with pytest.raises(NotRegularError) as caught:
        lower(parse(pattern))
    assert str(caught.value) == reason
    lower(parse("(?:a?)?(?<=(b))c(?i:d)"))
    lower(parse("\\p{Lu}[^a]"))
    for choice in (
        "[^a]|[^a]",
        "[^a]|([^b])",
        "[^a]|[^b]{2}",
        "[^a]|[^b]+",
        "[^a]|[^bc]",
        "[^a]c|[^b]d",
        "[^a]|b",
        "(?:[^a]|b)[^b]",
        "(?:[^*]|\\*[^/])*",
    ):
        lower(parse(choice))


def test_a_symbol_is_what_predicates_tell_apart() -> None:
    """As `regex` says of each character; what is looked up again is the same, also when too many have come."""
    sources = [("[a-c]", 0), ("b", int(regex.I)), (r"\w", 0), (r"\w", int(regex.A)), ("[^a]", 0), ("k", int(regex.I))]
    numbers = Numbers()
    assert [numbers.predicate(Predicate(*each)) for each in sources] == list(range(6))
    assert numbers.predicate(Predicate("b", int(regex.I))) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamfilter.matching.alphabet.MAX_CHARACTERS", 3)
        alphabet = Alphabet(numbers)
        for character in "abcBxékK\u212a_ a\nb":
            want = tuple(regex.match(source, character, flags) is not None for source, flags in sources)
            assert alphabet[character].takes == want
            assert alphabet[character] is alphabet[character]
            assert len(alphabet._known) <= 3
        assert alphabet["x"] is alphabet["y"]
        assert alphabet.end.takes == (False,) * 6


def test_a_trie_leads_along_its_words() -> None:
    """And nowhere else; a word's end says whether it ends with a word character."""
    words = ["ab", "abc", "b-", "cd"]
    made = Trie(words)
    for chars in range(5):
        for letters in itertools.product("abcd-", repeat=chars):
            text = "".join(letters)
            at = made.walk(0, text)
            assert (at >= 0) == any(word.startswith(text) for word in words)
            assert at >= -1
            assert made.ends.get(at) == (text[-1] != "-" if text in words else None)
            if at > 0:
                assert set(made.children[at]) == {word[chars] for word in words if word.startswith(text) and len(word) > chars}


@pytest.mark.parametrize(
    ("character", "compatible", "want"),
    [
        ("a", False, "nbe"),
        ("-", False, ""),
        ("\u200b", False, ""),
        ("\u200b", True, "i"),
        ("\u0301", True, "bem"),
        ("\u0338", True, "bem"),
        ("ﬁ", True, "be"),
        ("⒈", True, "b"),
        ("ⓐ", True, "be"),
    ],
)
def test_traits_of_a_folded_character(character: str, compatible: bool, want: str) -> None:
    """Nothing, a word character first or last, a mark first."""
    folding = Folding(True, compatible)
    letters = {"i": "ignored", "b": "begins_word", "e": "ends_word", "m": "begins_mark"}
    assert {letter for letter, trait in letters.items() if folding.has(trait, character)} == set(want) - {"n"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "pattern",
    [
        "\\X",
        "\\R",
        "(a)(?1)",
        "(a)?(?(1)b)",
        "(?>a)",
        "a++",
        "(?=(a))b",
        "(?!a*)b",
        "(?!a(?=b))b",
        "(?<=a\\b)b",
        "(?!a\\b)b",
        "a(?>b|c)*",
    ],
)
def test_what_can_forget_a_path_is_never_certain(pattern: str) -> None:
    """Beside it, what cannot is, and is as it was but for what looks at the end."""
    with pytest.raises(NeverCertain):
        print_pattern(parse(pattern), 0, "certain")
    for certain, text in (
        ("a(?!b)", "ac"),
        ("a(?=b)", "ab"),
        (r"a\b", "a "),
        ("(?<=^a)b", "b"),
        ("(?m)(?<=^)b", "b"),
        ("(a)\\1", "aa"),
        ("a*?b", "b"),
    ):
        shown = regex.compile(print_pattern(parse(certain), 0, "certain"))
        assert (shown.match(text) is not None) == (regex.match(certain, text) is not None)
        assert shown.match("a") is None
