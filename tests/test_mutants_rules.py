"""Rules and terms, fact by fact, quickly: what mutants of them showed that nothing else had stated in a second."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import fuzz_matching
import pytest
import regex

import streamfilter as sf
from streamfilter.matching import Rule, Terms, terms
from streamfilter.matching import rules as rules_module
from streamfilter.matching.rules import as_rule, find_all, match_at, replace_all, within
from streamfilter.testing import ways

# ------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("pattern", "flags", "kept"),
    [
        ("a", 0, 0),
        ("a", regex.IGNORECASE, regex.IGNORECASE),
        ("a b", regex.VERBOSE | regex.ASCII, regex.VERBOSE | regex.ASCII),
        ("a", regex.VERSION1, regex.VERSION1),
        ("^.", regex.MULTILINE | regex.DOTALL, regex.MULTILINE | regex.DOTALL),
    ],
)
def test_a_compiled_pattern_is_a_rule_of_the_same_source_and_flags(pattern: str, flags: int, kept: int) -> None:
    """Without those that `regex` adds of itself; named "redacted"."""
    assert as_rule(regex.compile(pattern, flags)) == Rule("redacted", pattern, flags=kept)
    assert as_rule(pattern) == Rule("redacted", pattern)
    if not flags & regex.VERSION1:
        assert as_rule(re.compile(pattern, sum(each for each, same in SAME.items() if flags & same))) == Rule(
            "redacted", pattern, flags=kept
        )


SAME = {
    re.ASCII: regex.ASCII, re.IGNORECASE: regex.IGNORECASE, re.MULTILINE: regex.MULTILINE, re.DOTALL: regex.DOTALL, re.VERBOSE: regex.VERBOSE,
}  # fmt: skip


def test_what_is_no_rule_is_refused() -> None:
    """And said why."""
    for given, said in (
        (re.compile(b"a"), "^the pattern is for bytes: a pattern for str is needed$"),
        (regex.compile(b"a"), "^the pattern is for bytes: a pattern for str is needed$"),
        (1, "^a Rule or a pattern is needed, not int$"),
    ):
        with pytest.raises(ValueError, match=said):
            as_rule(given)


@pytest.mark.parametrize("pattern", ["(?x) (a)?? # c", "(?x)(a)?|b#", "(?ax)(\\w)?? # é", "(?V1)(a)??|[ab--b]", "(?a)(\\w)??|b"])
def test_groups_of_what_may_not_be_empty_are_those_of_the_whole_text(pattern: str) -> None:
    """Behind an empty match; whatever the pattern's own syntax."""
    for text in ("ab", "éa b", "baab"):
        for pieces in ways(text):
            assert "".join(sf.Replace(pattern, r"<\1>").iter(pieces)) == regex.sub(pattern, r"<\1>", text)


def test_full_case_folding_is_refused_though_version_1_implies_it() -> None:
    """The flag is only dropped where `regex` has added it of itself."""
    with pytest.raises(ValueError, match="full case-folding"):
        as_rule(regex.compile("a", regex.FULLCASE | regex.IGNORECASE))


def test_flags_and_lists_hold_behind_an_empty_match() -> None:
    """Where the pattern is compiled anew."""
    for pattern, flags, lists, text in (
        ("(A)??", regex.IGNORECASE, (), "aB"),
        (r"(\L<w>)??", 0, (("w", ("ab", "b")),), "abb"),
        ("(a)?? b", regex.VERBOSE | regex.IGNORECASE, (), "aB b"),
        (r"(\w)??", regex.ASCII, (), "éa"),
    ):
        named: dict[str, Any] = {name: list(words) for name, words in lists}
        want = regex.sub(pattern, r"<\1>", text, flags=flags, **named)
        for pieces in ways(text):
            assert "".join(sf.Replace(Rule("r", pattern, flags=flags, lists=lists), r"<\1>").iter(pieces)) == want


PAIRS = [("a*", "b"), ("(?<=a)", "a"), ("(?=b)|a", "ab"), ("", "a"), ("ab", "b(?=a)"), ("$", "a"), ("(?<!a)", "b*")]


@pytest.mark.parametrize("patterns", PAIRS)
@pytest.mark.parametrize("is_checked", [False, True])
def test_what_several_rules_find_in_a_whole_text(patterns: tuple[str, str], is_checked: bool) -> None:
    """All of it, with places and groups, by a loop of `regex.match`; and replaced, up to a number of them."""
    rules = [Rule(f"r{number}", pattern, check=odd if is_checked else None) for number, pattern in enumerate(patterns)]
    for letters in itertools.product("ab", repeat=4):
        for text in ("".join(letters), "".join(letters[:1])):
            want = fuzz_matching.reference([(pattern, is_checked) for pattern in patterns], text)
            assert [(int(match.rule.name[1:]), *match.span()) for match in find_all(rules, text)] == want
            for count in range(4):
                some = want[:count] if count else want
                assert replace_all(rules, text, lambda match: f"<{match.rule.name[1:]}>", count) == fuzz_matching.marked(text, some)
    assert replace_all(rules, "", lambda _: "") == ""


def odd(text: str) -> bool:
    """A check."""
    return len(text) % 2 == 1


def test_a_match_at_one_place() -> None:
    """It may be empty unless it is said that it may not; a check is asked about its text."""
    rules = [Rule("no", "ab", check="xy".__contains__), Rule("r", "(?P<one>a)??(?P<two>c)?", check=lambda text: text in ("", "a"))]
    for rule in (rules[1:], rules):
        empty, longer = match_at(rule, "ab", 0), match_at(rule, "ab", 0, advance=True)
        assert empty is not None
        assert longer is not None
        assert (empty.span(), longer.span()) == ((0, 0), (0, 1))
        assert (empty.groups(), longer.groups()) == ((None, None), ("a", None))
        assert (empty.groups("-"), longer.groups("-")) == (("-", "-"), ("a", "-"))
        assert (empty.groupdict(), longer.groupdict("-")) == ({"one": None, "two": None}, {"one": "a", "two": "-"})
        assert (longer.lastgroup, longer.lastindex, empty.lastgroup, empty.lastindex) == ("one", 1, None, None)
    assert match_at(rules, "xab", 0, advance=True) is None


def test_places_of_a_match_are_those_of_the_text() -> None:
    """Of all groups, also at the beginning of what the match was found in; -1 where there is none."""
    rule = Rule("r", "()(a?)(b)?")
    for text, shift in (("a", 7), ("", 7), ("a", 0)):
        match, want = sf.Match(rule, text, (0, len(text)), shift=shift), regex.match(rule.pattern, text)
        assert want is not None
        for group in range(4):
            span = tuple(at if at < 0 else at + shift for at in want.span(group))
            assert (match.start(group), match.end(group), match.span(group)) == (*span, span)
    assert sf.Match(rule, "xa", (1, 2)).span() == (1, 2)
    assert sf.Match(Rule("r", "a??"), "a", (0, 0)).expand("-") == "-"
    assert repr(sf.Match(rule, "xa", (1, 2), shift=5)) == "<match of r at 6>"


def test_a_search_by_regex_has_the_time_of_its_rule() -> None:
    """And beyond it says which rule took it."""

    def method(text: str, *, timeout: float, pos: int) -> None:
        assert (text, pos) == ("text", 3)
        raise TimeoutError(timeout)

    with pytest.raises(sf.LimitExceeded, match=r"^timeout of 0\.5 exceeded: a search for rule slow, in seconds$") as caught:
        within(Rule("slow", "a", timeout=0.5), method, "text", pos=3)
    context = caught.value.__context__
    assert isinstance(context, TimeoutError)
    assert context.args == (0.5,)
    assert caught.value.__suppress_context__


def test_a_pattern_may_be_so_long_and_look_back_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no longer; where a repeat is too long for an automaton, `regex` is asked."""
    monkeypatch.setattr(rules_module, "MAX_WRITTEN_OUT", 20)
    monkeypatch.setattr(rules_module, "MAX_LOOKBEHIND_CHARS", 5)
    monkeypatch.setattr(rules_module, "MAX_EXPRESSION", 10)
    assert Rule("r", "a{20}").context == 1
    assert Rule("r", "(?<=a{5})b").context == 5
    assert "automaton" in sf.Redact("a{10}").explain()
    assert "it has 11 characters with its repeats written out, more than 10" in sf.Redact("a{11}").explain()
    for pattern, said in (
        ("a{21}", "pattern has 21 characters with its repeats written out: at most 20 may be"),
        ("(?<=a{6})b", "pattern looks back 6 characters: at most 5 can be kept"),
    ):
        with pytest.raises(ValueError, match=f"^Rule: {said}$"):
            Rule("r", pattern)


# ------------------------------------------------------------------ terms


def test_terms_are_shown_by_their_first_words() -> None:
    """Eight of them, with how many more there are."""
    words = [f"w{number}" for number in range(9)]
    assert repr(Terms(words[:8])).startswith("Terms(('w0', 'w1', 'w2',")
    assert repr(Terms(words, name="n")) == "<Terms 'n': 'w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7' and 1 more>"


def test_terms_may_have_so_many_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """All words together, and one more is refused."""
    monkeypatch.setattr(terms, "MAX_LETTERS", 6)
    assert Terms(["abc", "def"]).words == ("abc", "def")
    with pytest.raises(ValueError, match="words have more than 6 letters together: give them to several stages"):
        Terms(["abc", "def", "g"])


def test_a_word_is_seen_through_what_is_invisible() -> None:
    """On both sides, before it so many characters far; by the definition on a whole text and by a stage."""
    invisible = "\u200b"
    for whole, fold, text, want in (
        (True, None, "xab", "xab"),
        (False, None, "xab", "x#"),
        (True, None, f"x{invisible}ab{invisible}x", f"x{invisible}#{invisible}x"),
        (True, "nfkc", f"x{invisible}ab ab{invisible}x ab{invisible}", f"x{invisible}ab ab{invisible}x #{invisible}"),
        (True, "nfkc", f"x{invisible * 255}ab", f"x{invisible * 255}ab"),
        (True, "nfkc", f"x{invisible * 256}ab", f"x{invisible * 256}#"),
        (True, "nfkc", f"ab{invisible * 300}x", f"ab{invisible * 300}x"),
    ):
        words = Terms(["ab"], whole_words=whole, fold=fold)  # type: ignore[arg-type]
        assert replace_all([words], text, lambda _: "#") == want
        for pieces in ([text], list(text)):
            assert "".join(sf.Redact(words, to="#").iter(pieces)) == want


def test_a_file_of_terms(tmp_path: Path) -> None:
    """Its lines, without white space and empty ones, with the options of terms; or what is wrong with it, and where."""
    path = tmp_path / "words"
    for content, words in (("\ufeffgrün\r\n\n  new york \n", ["grün", "new york"]), ("a\n\u200b\x85b", ["a", "\u200b", "b"])):
        path.write_bytes(content.encode())
        for given in (path, str(path)):
            assert Terms.from_file(given, name="n", whole_words=False) == Terms(words, name="n", whole_words=False)
    for raw, said in (
        (b"\xff", f"{path}, line 1: byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbf\xfe", f"{path}, line 1: byte 0xfe is not UTF-8"),
        (b"\xef\xbb\xbfa\n\xfe\n\n\n", f"{path}, line 2: byte 0xfe is not UTF-8"),
        (b"\n\na\xe9\n", f"{path}, line 3: byte 0xe9 is not UTF-8"),
        (b" \n\n", f"{path} has no words: write one on each line"),
    ):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$") as caught:
            Terms.from_file(path)
        assert caught.value.__suppress_context__ or not caught.value.__context__


def test_terms_at_one_place() -> None:
    """With their text, or not at all."""
    match = Terms(["ab", "abc"]).match_at("x ab", 2)
    assert match is not None
    assert (match[0], match.span(), match.groups(), repr(match)) == ("ab", (2, 4), (), "<match of terms at 2>")
    for text, start in (("xab", 1), ("ab", 2), ("", 0), ("a", 0)):
        assert Terms(["ab"]).match_at(text, start) is None
        assert Terms(["ab"]).match_groups(text, start, False) is None


def test_terms_that_differ_are_other_keys() -> None:
    """As a rule, by their hash; equal ones are one. Without folding, nothing is looked through."""
    given = [Terms(["a"]), Terms(["b"]), Terms(["a", "b"]), Terms(["a"], name="n")]
    assert len({hash(each) for each in given}) == len(given)
    assert len({Terms(["ab", "c"]): 1, Terms(("ab", "c")): 2}) == 1
    assert "Loop(" not in repr(Terms(["ab"]).expression)
    assert "Loop(" in repr(Terms(["ab"], fold="nfkc").expression)


def test_a_match_of_terms_has_a_place_and_no_groups() -> None:
    """As a match of a pattern without groups."""
    seen: list[object] = []

    def to(match: sf.Match) -> str:
        seen.append((match.span(), match.groups(), match.expand(r"\g<0>")))
        return "#"

    for pieces in ways("x ab Abc"):
        seen.clear()
        stage = sf.Redact(Terms(["ab", "abc"]), to=to)
        assert "".join(stage.iter(pieces)) == "x # #"
        assert seen == [((2, 4), (), "ab"), ((5, 8), (), "Abc")]


def test_a_match_asks_regex_for_its_groups_only() -> None:
    """Once, and not for its text and place, which are known; a group that took no part is nowhere."""
    asked: list[int] = []

    class Counted:
        name, check = "counted", None
        rule = Rule("r", "(a)(b)?")

        def match_at(self, text: str, start: int, *, advance: bool = False) -> None:
            raise AssertionError

        def match_groups(self, text: str, start: int, advance: bool) -> regex.Match[str] | None:
            asked.append(start)
            return self.rule.match_groups(text, start, advance)

    match = sf.Match(Counted(), "ab", (0, 2), shift=5)
    assert (match[0], match.group(), match.start(), match.end(), match.span()) == ("ab", "ab", 5, 7, (5, 7))
    assert not asked
    assert (match[1], match.span(1), match.span(2), match.group(0, 2)) == ("a", (5, 6), (6, 7), ("ab", "b"))
    assert asked == [0]
    assert sf.Match(Counted(), "xa", (1, 2), shift=5).span(2) == (-1, -1)
    lazy = Rule("r", "a*?").match_at("a", 0)
    assert lazy is not None
    assert lazy.span() == (0, 0)
