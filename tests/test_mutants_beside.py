"""Two engines and the run, fact by fact, quickly: behind an empty match, in an overflow, and what is refused."""

from __future__ import annotations

import pytest
import regex

import streamfilter as sf
from streamfilter.matching import Found, Rule, compiled, decision, selection
from streamfilter.matching.decision import AutomatonPursuit
from streamfilter.testing import ways

NEVER = Rule("never", r"(\0)\1")
"""Not regular, and in none of the texts."""


def test_an_engine_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it is there."""
    rules = (Rule("made once", "made once"),)
    engine = compiled(rules)
    monkeypatch.setattr(selection, "_compile", None)
    assert compiled((Rule("made once", "made once"),)) is engine


@pytest.mark.parametrize("count", [1, 2, 0])
def test_no_more_is_replaced_at_the_end_than_may_be(count: int) -> None:
    """Where all of it is only decided there."""
    pattern, text = "a(?!.*b)", "a ab aaa"
    for pieces in ways(text):
        assert "".join(sf.Replace(pattern, "#", count).iter(pieces)) == regex.sub(pattern, "#", text, count)


# ------------------------------------------------------------------ behind an empty match


@pytest.mark.parametrize(
    ("first", "second"),
    [(r"(c)\1|", "ab*"), ("c|", r"a(?:(b)\1)?"), ("c|", "ab*"), (r"(c)\1|", r"a(?:(b)\1)?"), ("(?>(?=a))", "ab*")],
)
def test_a_rule_is_certain_behind_the_empty_match_of_another(first: str, second: str) -> None:
    """Which cannot match there again."""
    engine = compiled((Rule("r", first), Rule("s", second)))
    search = engine.begin()
    assert search.search("a", 0, 0, False) == (0, Found(0, 0, 0, False))
    assert search.search("a", 0, 0, True) == (0, None)
    assert search.certain("a", 0, True) == 1
    assert "".join(map(str, sf.Redact(*engine.rules, to="#").machine().feed("a"))) == "##"


@pytest.mark.parametrize("patterns", [("c", r"(?:(a)\1)?"), (r"(c)\1", "(?:aa)?"), ("c", "(?:aa)?"), (r"(c)\1", r"(?:(a)\1)?")])
def test_what_may_be_empty_is_not_certain_behind_an_empty_match(patterns: tuple[str, str]) -> None:
    """Where it must have a character, of which no more than a beginning is there."""
    for advance, want in ((False, 1), (True, -1)):
        search = compiled(tuple(Rule(pattern, pattern) for pattern in patterns)).begin()
        assert search.search("a", 0, 0, advance) == (0, None)
        assert search.certain("a", 0, advance) == want


@pytest.mark.parametrize("first", ["(?>(?=ab))", "(?=ab)"])
@pytest.mark.parametrize("second", ["a", "(?>a)"])
def test_one_engine_tells_the_other_whether_a_match_may_be_empty(first: str, second: str) -> None:
    """While it is open itself, about its rules that come first."""
    search = compiled((Rule("r", first), Rule("s", second), Rule("t", r"(a)b\1"))).begin()
    assert search.search("a", 0, 0, False) == (0, None)
    assert search.search("ab", 0, 0, False) == (0, Found(0, 0, 0, False))
    assert search.search("ab", 0, 0, True) == (0, Found(1, 0, 1, True))


@pytest.mark.parametrize("first", ["(?=<)", "(?>(?=<))"])
@pytest.mark.parametrize("second", ["<a*>", "<(?>a*)>"])
def test_an_overflow_behind_an_empty_match_is_of_what_is_open(first: str, second: str) -> None:
    """With two engines, in any order of theirs."""
    text = "x<aaaaaaaaa>y<a>"
    for last in (NEVER, Rule("last", "b")):
        for pieces in ways(text):
            assert "".join(sf.Redact(Rule("r", first), Rule("s", second), last, to="#", max_hold=3).iter(pieces)) == "x##y##"


@pytest.mark.parametrize("patterns", [("b",), ("b", "d"), ("b", r"(c)\1"), (r"(c)\1", "b", r"(d)\1")])
def test_an_overflow_that_nothing_follows_stays_at_its_beginning(patterns: tuple[str, ...]) -> None:
    """There is no rule that it is of, and no end of it."""
    pursuit = compiled(tuple(Rule(pattern, pattern) for pattern in patterns)).pursue("xxa", 10, 2, False)
    assert pursuit.rule == -1
    if isinstance(pursuit, AutomatonPursuit):
        assert pursuit.over("a", 12)
        assert (pursuit.matched, pursuit.end) == (-1, 12)


@pytest.mark.parametrize(
    ("patterns", "rule"), [(["<a+b", r"(<)a*\1"], 0), ([r"(<)a*\1", "<a+b"], 0), (["x", "<a+b", r"(<)b*\1"], 1)]
)
def test_an_overflow_is_of_the_first_rule_that_is_open(patterns: list[str], rule: int) -> None:
    """Of either engine."""
    pursuit = compiled(tuple(Rule(pattern, pattern) for pattern in patterns)).pursue("<aaa", 0, 0, False)
    assert pursuit.rule == rule
    assert pursuit.over("<aaab  ", 0)
    assert (pursuit.matched, pursuit.end) == (patterns.index("<a+b"), 5)


@pytest.mark.parametrize("rules", [("<a+b", r"(<)a*+c(?:\1)?"), (r"(<)a*+b", "<a+cc?"), ("<a+b", "<a+c")])
def test_behind_an_overflow_text_leaves_at_once(rules: tuple[str, str]) -> None:
    """As soon as its end is there, with each engine."""
    machine = sf.Redact(Rule("r", rules[0]), Rule("s", rules[1]), to="#", max_hold=5).machine()
    out = ["".join(map(str, machine.feed(piece))) for piece in ("x <aaaaaaaaa", "b y", "z")]
    assert out == ["x #", " y", "z"]


def test_an_overflow_whose_end_no_engine_may_tell_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one of them would have to keep too much."""
    monkeypatch.setattr(decision, "MAX_SWALLOW", 20)
    pursuit = compiled((Rule("r", "<(?:[^>]*>)?"), Rule("s", r"(c)\1"))).pursue("<aaaa", 0, 0, False)
    assert not pursuit.over("<aaaaaaaa", 0)
    assert (pursuit.hopeless, pursuit.needs) == (False, 1)
    assert not pursuit.over("a" * 40, 1)
    assert pursuit.hopeless


def test_a_run_may_be_searched_from_anywhere() -> None:
    """The first time too."""
    assert compiled((Rule("r", "a"),)).begin().search("xa", 0, 1, False) == (1, Found(0, 1, 2, False))


# ------------------------------------------------------------------ a full hold


@pytest.mark.parametrize("pattern", ["<a*>", "<(?>a*)>", r"(<)a*(?:>|\1\1\1)"])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_match_overflows_when_it_is_open_behind_so_many_characters(pattern: str, most: int) -> None:
    """And one more; not when it is decided there, nor one behind, in large pieces as in small ones."""
    for before in ("", "xx", "x" * 30):
        opened = before + "<" + "a" * 9
        for sizes in ([1] * 40, [len(before) + most, 1, 1, 9], [99]):
            machine, at, out = sf.Redact(pattern, max_hold=most, overflow="raise").machine(), 0, list[sf.Item]()
            for size in sizes:
                out = list(machine.feed(opened[at : at + size]))
                at += size
                if at > len(before) + most:
                    break
                assert not any(isinstance(item, sf.End) for item in out), (before, sizes)
            end = out[-1]
            assert isinstance(end, sf.End), (before, sizes)
            where = f"a match of rule redacted at character {len(before)} of the answer was still open"
            assert str(end.error) == f"max_hold of {most} exceeded: {where}"
        text = before + "".join(f"<{'a' * chars}> " for chars in range(9)) + "<<<>"
        want = regex.sub(f"<a{{0,{most - 1}}}>", "#", text)
        for pieces in ways(text):
            assert "".join(sf.Redact(pattern, to="#", max_hold=most, overflow="release").iter(pieces)) == want


# ------------------------------------------------------------------ words and messages


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(" * 2000 + "a" + ")" * 2000, "pattern is nested too deeply"),
        ("(?:a{1000}){1000}", "pattern has 1,000,000 characters with its repeats written out: at most 200,000 may be"),
        ("(?<=a{10001})b", "pattern looks back 10001 characters: at most 10000 can be kept"),
        (r"a\Kb", r"pattern cannot be streamed exactly: \K at position 1: it gives back decided text; use a lookbehind"),
    ],
)
def test_a_pattern_that_is_refused_is_told_why(pattern: str, said: str) -> None:
    """In these words."""
    with pytest.raises(ValueError, match=rf"^Rule: {regex.escape(said)}$"):
        Rule("r", pattern)
