"""The engine of `regex`, fact by fact, quickly: what mutants of it showed that nothing else had stated in a second."""

from __future__ import annotations

import itertools

import fuzz_matching
import pytest
import regex
from test_mutants_engine import found, odd

import streamfilter as sf
from streamfilter.matching import Found, Rule, tail
from streamfilter.matching.tail import LONG_HOLD, TailEngine
from streamfilter.testing import ways


def engine(*patterns: str) -> TailEngine:
    """Of some patterns; one with `!` behind it has a check that refuses what has an even number of characters."""
    rules = [
        Rule(f"r{number}", each.rstrip("!"), check=odd if each.endswith("!") else None) for number, each in enumerate(patterns)
    ]
    return TailEngine(list(enumerate(rules)))


def test_what_it_is_and_why() -> None:
    """The reason is said if there is one."""
    assert engine("a").summary == "regex: searches what is held with each chunk"
    assert TailEngine([(0, Rule("r", "a"))], "of x").summary == "regex: searches what is held with each chunk, because of x"


def test_neighbours_with_the_same_flags_share_a_pattern() -> None:
    """But one that ignores case in parts, which `regex` takes otherwise beside others; and the time they may take is the same."""
    rules = [
        *(
            Rule(f"r{number}", each)
            for number, each in enumerate(["a", "b", "(?i)c", "(?i)d", "e(?i:f)", "g(?i:h)", "i", "(?a)j", "(?V1)k"])
        ),
        Rule("slow", "(?V1)l", timeout=9),
    ]
    banks = TailEngine(list(enumerate(rules)))._banks
    assert [[number for number, _ in bank.numbered] for bank in banks] == [[0, 1], [2, 3], [4], [5], [6], [7], [8], [9]]


@pytest.mark.parametrize(
    ("patterns", "text", "start", "want"),
    [
        (["abcd|c"], "xab", 1, None),
        (["abcd|c"], "xab!", 4, None),
        (["abcd|c"], "xabc!", 3, (0, 3, 4)),
        (["(?>aa)!", "(?>aa)"], "xaa", 1, (1, 1, 3)),
        (["(?>aa)!", "(?>aab)"], "xaa", 1, None),
        (["(?>aa)!", "(?>aab)"], "xaab", 1, (1, 1, 4)),
        (["(?>aa)!", "(?>ab)!", "(?>aac)", "a"], "xaa", 1, None),
        (["(?>aa)!", "(?>ab)!", "(?>aac)", "a"], "xaa!", 1, (3, 1, 2)),
        (["(?>aa)!"], "xaa", 2, None),
        (["(?>aa)!", "(?i)b"], "xaaB", 3, (1, 3, 4)),
        (["(?>)!"], "", 0, None),
        (["(?>)!"], "x", 1, None),
        (["(?>)!", "(?>)"], "", 0, (1, 0, 0)),
        (["a|", "(?s:.)"], "", 0, None),
        (["ab(?:ab)??"], "ab", 0, (0, 0, 2)),
        (["b(?:a|b)??ab"], "aabaaa", 6, None),
        (["a+?ab"], "aaaca", 4, None),
        ([r"\w??(ab)"], "acabbc", 1, (0, 1, 4)),
        (["[^a]??ab"], "aaaba", 2, (0, 2, 4)),
        ([r"(?:b|bc){1,2}?[\s\S]??(ab)"], "bbaabc", 0, (0, 0, 5)),
        ([r"\w(?:ab|a)*"], "caba", 0, None),
        (["ba*(?<!b|(ab)[^a]?)"], "xba", 1, None),
        (["(?i)b", "ab"], "xab", 1, (1, 1, 3)),
        (["(?i)b", "ab", "(?i)A"], "xa", 1, None),
        (["(?i)a(?-i)b", "a(?i)C"], "xac", 1, (1, 1, 3)),
    ],
)
def test_what_a_search_finds(patterns: list[str], text: str, start: int, want: tuple[int, int, int] | None) -> None:
    """As soon as it is decided, also by a rule behind one that is refused; where it could still begin if nothing is."""
    match = None if want is None else Found(*want, advance=False)
    for here in (False, True):
        assert engine(*patterns).search(text, 0, False, here=here) == (start, match)
    if match is not None:
        assert engine(*patterns).search(text, match.start, False, here=True) == (start, match)


def test_a_search_that_begins_at_the_very_end_finds_nothing_of_what_is_before() -> None:
    """Where `regex`, asked to search from there, shows a group for which there is no text."""
    for text, advance in itertools.product(("", "ca", "aba"), (False, True)):
        assert engine("a|", "(?s:.)").search(text, len(text), advance, here=False) == (len(text), None)


@pytest.mark.parametrize(
    ("patterns", "text", "advance", "want"),
    [
        (["ab+"], "", False, -1),
        (["ab+"], "a", False, -1),
        (["ab+"], "ab", False, 0),
        (["ab+!"], "ab", False, -1),
        (["ab+!", "ab+"], "ab", False, -1),
        (["(?:ab)?"], "", False, 0),
        (["(?:ab)?"], "a", False, 0),
        (["(?:ab)?"], "a", True, -1),
        (["(?:ab+)??"], "ab", True, 0),
        (["(?:ab)?", "ac?"], "a", True, -1),
        (["(?:ab+)??", "ab+"], "ab", True, 0),
        (["aa!", "aab*"], "aa", False, 1),
        (["aa!", "aabc*"], "aa", False, -1),
        (["aa!", "(?i)aab*", "aa"], "aa", False, 1),
        (["ac", "aa!"], "aa", False, -1),
        (["(?>a)b*"], "a", False, -1),
        (["c", "(?>a)b*", "ab*"], "a", False, -1),
        (["a(?:bc)?", "a"], "ab", False, 0),
    ],
)
def test_which_rule_is_certain(patterns: list[str], text: str, advance: bool, want: int) -> None:
    """-1 for none: with a check, or when it may still be no match; after a match, and after an empty one, also."""
    assert engine(*patterns).begin().certain(f"x{text}", 1, advance) == want
    assert engine("(?>)!", *patterns).begin().certain(text, 0, advance) == (want if want < 0 else want + 1)


def test_a_check_is_asked_once_about_a_match() -> None:
    """By one search, with just the text that matches, also where the search is over."""
    for final in (False, True):
        asked: list[str] = []

        def check(text: str, asked: list[str] = asked) -> bool:
            asked.append(text)
            return len(text) == 1

        rules = [Rule("one", "(?>aab)", check=check), Rule("two", "(?>aa)", check=check), Rule("three", "(?>b)", check=check)]
        search = TailEngine(list(enumerate(rules))).begin()
        text = "xaab!!"
        match = search.final(text, 0, 0, False) if final else search.search(text, 0, 0, False)[1]
        assert match == Found(2, 3, 4, False)
        assert asked == ["aab", "aa", "b"]


MORE = [
    [("ab(?>[ab]*c)?", True), ("a(?>[ab]*c)?", True)],
    [("(?>ab)(?:[ab]*c)?", True), ("(?>a)(?:[ab]*c)?", True), ("(?i)(?>B)", False)],
    [("(?:(?>b)[ab]*c)??", False), ("(?>b)", True)],
    [("(?:(?>b)[ab]*c)??", True), ("(?>b)b", False)],
    [("(?>)", True), ("(?>a)b", True), ("(?:a(?>b*))?", True)],
    [("(?>a)?b??", True), ("(?i:(?>)|b)", True)],
    [("(?>bb)", True), ("(?<=b)", False)],
    [("(?>bb)(?:[ab]*c)?", True), ("(?>b)??", False)],
    [("(?>b)(?:a*c)?", False), ("(?i)(?>B)(?:a*C)?", False)],
    [("(?i:A)(?>b)", False), ("b", True), ("a[^B]", False), ("(?i)[^c](?>b)", True)],
]


@pytest.mark.parametrize("patterns", MORE)
def test_at_the_end_the_first_match_is_found(patterns: list[tuple[str, bool]]) -> None:
    """Of all texts of up to four letters, though those before it are refused."""
    made = TailEngine(
        [(number, Rule(f"r{number}", each, check=odd if checked else None)) for number, (each, checked) in enumerate(patterns)]
    )
    for chars in range(5):
        for letters in itertools.product("abc", repeat=chars):
            text = "".join(letters)
            match = made.begin().final(text, 0, 0, False)
            assert ([] if match is None else [match[:3]]) == fuzz_matching.reference(patterns, text)[:1], text


@pytest.mark.parametrize("patterns", MORE)
def test_rules_with_checks_are_found_in_their_order(patterns: list[tuple[str, bool]]) -> None:
    """All texts of up to four letters, in pieces of one, two and all, against the loop over the whole text."""
    made = TailEngine(
        [(number, Rule(f"r{number}", each, check=odd if checked else None)) for number, (each, checked) in enumerate(patterns)]
    )
    for chars in range(5):
        for letters in itertools.product("abc", repeat=chars):
            text = "".join(letters)
            want = fuzz_matching.reference(patterns, text)
            for size in (1, 2, 9):
                assert found(made, text, size) == want, (text, size)


def test_a_likely_place_costs_no_more_than_one_look() -> None:
    """What is held from there no longer matches, or a match has just ended there; then it is searched on from there as ever."""
    text = f"{'a' * LONG_HOLD}b"
    for pieces in ([f"aa{'x' * 5000}aa"], ["aa", f"{'x' * 5000}aa"], [*text, "x" * 5000]):
        want = regex.sub(r"(a)\1(?!.)|(a)\2*c", "", "".join(pieces))
        assert "".join(sf.Replace(r"(a)\1(?!.)|(a)\2*c", "").iter(pieces)) == want


# ------------------------------------------------------------------ overflows

OVERFLOWS = [
    # rules, text, where, whether it may not be empty; the rule that is open, and once all has come that which matched, and the end
    (["<(?>a*)>", "<(?>a*)!>"], "x<aaaaa>!", 1, False, 0, (0, 8)),
    (["<(?>a*)>", "<(?>a*)b>"], "x<aaaaab>!", 1, False, 0, (1, 9)),
    (["<(?>a*)>", "<(?>a*)b>"], "x<aaaaabc!", 1, False, 0, (-1, 8)),
    (["y", "<(?>a*)>"], "x<aaaaay", 1, False, 1, (-1, 7)),
    (["<a!", "y", "<(?>a*)>"], "x<aaaaa>", 1, False, 2, (2, 8)),
    (["<a!", "<(?>a*)>", "<"], "x<aaaaay", 1, False, 1, (2, 2)),
    (["(?:<(?>a*)>)??"], "x<aaaaa>", 1, True, 0, (0, 8)),
    (["(?:<(?>a*)>)??"], "x<aaaaay", 1, True, 0, (-1, 7)),
    (["(?>)!", "<(?>a*)>"], "x<aaaaa>", 1, False, 1, (1, 8)),
    (["(?>)!", "<(?>a*)>?", "(?>)"], "x<aaaaab", 1, False, 1, (1, 7)),
    (["(?:<(?>a*)>)??", "<a+"], "x<aaaaay", 1, True, 0, (1, 7)),
    (["(?:<(?>a*)>)??!", "z"], "x<aaaaa>", 1, True, 0, (0, 8)),
    (["(?:<(?>a*)>?)??"], "x<aaaa", 1, True, 0, (0, 6)),
    (["(?>)!", "<(?>a*)>"], "<aaaaa>", 0, False, 1, (1, 7)),
    (["<(?>a*)>!"], "x<aaaaaa>", 1, False, 0, (0, 9)),
    (["<(?>a*)>?!"], "x<aaaaa", 1, False, 0, (0, 7)),
    (["(?<=x)<(?>a*)$"], "x<aaaaaa", 1, False, 0, (0, 8)),
    (["^<(?>a*)b"], "<aaaaaaab", 0, False, 0, (0, 9)),
]


@pytest.mark.parametrize(("patterns", "text", "start", "advance", "rule", "want"), OVERFLOWS)
@pytest.mark.parametrize("base", [0, 7])
def test_an_overflow_ends_as_the_text_says(
    patterns: list[str], text: str, start: int, advance: bool, rule: int, want: tuple[int, int], base: int
) -> None:
    """Whatever was seen when it began, and however more comes; by `finish` if it is open to the end. Who was refused takes no part."""
    if base and text.startswith("<"):
        return  # the buffer begins at the text's beginning
    for seen in range(start + 3, start + 7):
        for size in (1, 2, 5):
            pursuit = engine(*patterns).pursue(text[:seen], base, start, advance)
            assert (pursuit.rule, pursuit.needs, pursuit.hopeless) == (rule, base + start, False)
            for end in range(seen + size, len(text) + size, size):
                # What is before the match and its context may have gone.
                cut = max(0, start - 1) if end % 2 else 0
                if pursuit.over(text[cut:end], base + cut):
                    break
            else:
                pursuit.finish(text, base)
            assert (pursuit.matched, pursuit.end) == (want[0], base + want[1])


def test_an_overflow_is_replaced_as_its_first_open_rule_says() -> None:
    """Named by it, though a rule before it was refused or does not match; each place's empty match is its own."""
    rules = [
        Rule("no", "(?:<(?>a)a)??", check=lambda _: False),
        *(Rule(name, pattern) for name, pattern in (("other", "(?>y)"), ("lazy", "(?:<(?>a*)>)??"), ("last", "(?>z)"))),
    ]
    for pieces in ways("<aaaaaaaa>"):
        for max_hold in (4, 40):
            assert "".join(sf.Redact(*rules, to="{rule} ", max_hold=max_hold).iter(pieces)) == "lazy lazy lazy "


def test_an_overflow_is_over_with_the_character_that_ends_it() -> None:
    """And where nothing is open, no rule is."""
    assert engine("<(?>a*)>").pursue("x<aaaaaaaaa", 0, 1, False).over("x<aaaaaaaaa>", 0)
    assert engine("y", "(?>z)").pursue("x<aaa", 0, 1, False).rule == -1


@pytest.mark.parametrize("end", range(6, 40))
def test_where_an_overflow_ends_depends_on_no_cut(end: int) -> None:
    """Not on the sizes at which it was looked at again, either."""
    text = f"xy<{'a' * end}b>"
    for pieces in ([text], list(text), [text[:9], text[9:]], [text[:7], text[7:11], text[11:]]):
        assert "".join(sf.Redact("<(?>a*)c", to="#", max_hold=4).iter(pieces)) == "xy#b>"
        assert "".join(sf.Redact("<(?>a*)b", to="#", max_hold=4).iter(pieces)) == "xy#>"


@pytest.mark.parametrize("most", [9, 50])
def test_the_end_of_an_overflow_is_looked_for_so_far_and_no_farther(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last character that is looked at it is still found; behind that it is hopeless, and stays so."""
    monkeypatch.setattr(tail, "MAX_SWALLOW", most)
    for chars, size in itertools.product(range(most - 3, most + 4), (1, 3, 99)):
        text = f"x<{'a' * (chars - 2)}> "
        pursuit = engine("<(?>a*)>").pursue(text[:4], 0, 1, False)
        over = False
        for end in range(4 + size, len(text) + size, size):
            assert not pursuit.hopeless or end > most
            if over := pursuit.over(text[:end], 0):
                break
        assert pursuit.hopeless == (chars > most)
        if not pursuit.hopeless:
            if not over:
                pursuit.finish(text, 0)
            assert (pursuit.matched, pursuit.end) == (0, chars + 1)
