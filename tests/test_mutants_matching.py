"""Decisions of the automaton, fact by fact, quickly: what mutants of them showed that nothing else had stated in a second."""

from __future__ import annotations

import random

import fuzz_matching
import pytest
import regex
from patterns import CASES

import streamfilter as sf
from streamfilter.matching import Rule
from streamfilter.matching.automaton import Automaton
from streamfilter.matching.decision import MIN_TRACE, AutomatonPursuit, Decision, Trace
from streamfilter.matching.regular import NotRegularError
from streamfilter.testing import ways

LONG = MIN_TRACE + 5


def test_the_automaton_finds_what_sub_replaces() -> None:
    """The known hard cases, with this engine."""
    for pattern, texts in CASES.items():
        rule = Rule("r", pattern)
        try:
            engine = Automaton([(0, rule)])
        except NotRegularError:
            continue
        for text in texts:
            for pieces in ([text], list(text) or [""]):
                assert fuzz_matching.through(engine, pieces) == regex.sub(pattern, "<0>", text)


@pytest.mark.parametrize("seed", range(6))
def test_the_fuzz_target_holds_for_drawn_cases(seed: int) -> None:
    """Several rules with checks, and overflows, at every cut."""
    rng = random.Random(seed)
    for _ in range(25):
        fuzz_matching.check(rng.randbytes(60) + bytes([rng.choice((1, 3))]))


def decided(patterns: list[str], text: str, *, size: int, advance: bool = False) -> tuple[Decision, int]:
    """The decision at the beginning of a text that is fed in pieces, and behind how many characters it was made."""
    engine = Automaton([(number, Rule(f"r{number}", pattern)) for number, pattern in enumerate(patterns)])
    decision = Decision(engine, 0, advance, {})
    for end in range(size, len(text) + size, size):
        if decision.run(text[:end], 0):
            return decision, min(end, len(text))
    decision.finish(text, 0)
    return decision, len(text) + 1


@pytest.mark.parametrize(
    ("patterns", "text", "advance", "want", "behind"),
    [
        (["ab"], "abc", False, (0, 0, 2), 2),
        (["abc", "ab"], "abd", False, (1, 0, 2), 3),
        (["ab+"], "abbc", False, (0, 0, 3), 4),
        (["ab+"], "abb", False, (0, 0, 3), 4),
        (["a(?=b)"], "ab", False, (0, 0, 1), 2),
        (["a(?!b)"], "ab", False, None, 2),
        (["a(?!b)"], "a", False, (0, 0, 1), 2),
        (["x", "y"], "z", False, None, 1),
        (["(?<=x)a", "ab?"], "ac", False, (1, 0, 1), 2),
        (["b*"], "a", False, (0, 0, 0), 1),
        (["b*"], "a", True, None, 1),
        (["a??"], "ab", True, (0, 0, 1), 1),
        (["$"], "", False, (0, 0, 0), 1),
        (["a$"], "a\n", False, (0, 0, 1), 3),
        (["a$"], "a\nb", False, None, 3),
    ],
)
def test_a_decision_is_made_by_the_first_character_that_makes_it(
    patterns: list[str], text: str, advance: bool, want: tuple[int, int, int] | None, behind: int
) -> None:
    """What matches at the place, and behind how many characters that is known; one more than there are is the end."""
    decision, at = decided(patterns, text, size=1, advance=advance)
    found = decision.found
    assert (None if found is None else (found.rule, found.start, found.end)) == want
    assert at == behind
    whole, _ = decided(patterns, text, size=max(1, len(text)), advance=advance)
    assert (whole.decided, whole.found) == (True, found)
    assert decision.decided


def test_a_way_that_was_gone_is_not_gone_again() -> None:
    """Later decisions end as the first one did, from where they are in its state: so much is read, however much was held."""
    rule = Rule("r", "a(?:[^z]*b)?")
    engine = Automaton([(0, rule)])
    text = "a" * 50 + "z"
    traces: dict[int, Trace] = {}
    reads = []
    for start in range(50):
        decision = Decision(engine, start, False, traces)
        assert decision.run(text, 0)
        assert decision.found is not None
        assert (decision.found.start, decision.found.end) == (start, start + 1)
        reads.append(decision.read - start)
    assert reads[0] == 51
    assert sum(reads[1:]) <= 5 * LONG
    assert traces[0].start == 0
    assert len(traces[0].states) == 51


def test_a_short_way_is_not_remembered() -> None:
    """Looking again costs less."""
    engine = Automaton([(0, Rule("r", "a+"))])
    for chars, kept in ((MIN_TRACE - 2, False), (MIN_TRACE - 1, True), (LONG, True)):
        traces: dict[int, Trace] = {}
        Decision(engine, 0, False, traces).run("a" * chars + "z", 0)
        assert bool(traces) is kept


def test_where_a_way_ends() -> None:
    """Before the end was known, that end; a later match of it; else that of the remembered place that is the same."""
    trace = Trace(0)
    trace.end, trace.seen = 9, 12
    trace.places = [(0, [1]), (5, [9, 3]), (7, [4, 9])]
    assert trace.end_from(12, [2], 6) == 6  # nothing is learnt behind this
    assert trace.end_from(13, [2], 6) == 6
    assert trace.end_from(8, [2, 5], 6) == 9  # the match ends behind it
    trace.end = 3
    assert trace.end_from(6, [2, 5], 6) == 5  # its second place is where this way ended
    assert trace.end_from(5, [2, 5], 6) == 5
    assert trace.end_from(8, [], 6) == 3
    trace.places = [(0, [3, 3])]
    assert trace.end_from(4, [7, 7], 6) == 7
    assert trace.end_from(4, [7, 8], 6) is None  # which of the two it is cannot be told
    assert trace.end_from(3, [7, 8], 6) is None
    assert trace.end_from(2, [7, 8], 6) == 3


@pytest.mark.parametrize(
    ("patterns", "text", "rest", "want"),
    [
        (["<[^>]*>"], "<aaaaa", "aa> b", (0, 9)),
        (["<[^>]*!>", "<[^>]*>"], "<aaaaa", "aa> b", (1, 9)),
        (["<a+b"], "<aaaaa", "aac b", (-1, 8)),
        (["<a+b"], "<aaaaa", "aa", (-1, 8)),
        (["<a+b?"], "<aaaaa", "aabc", (0, 9)),
        (["a(?=b*c)"], "abbb", "bbc ", (0, 1)),
    ],
)
def test_an_overflowing_match_is_followed_to_its_end(patterns: list[str], text: str, rest: str, want: tuple[int, int]) -> None:
    """Which rule it is and where it ends; what shows that it is none is no part of it. Nothing of the text is kept."""
    engine = Automaton([(number, Rule(f"r{number}", pattern)) for number, pattern in enumerate(patterns)])
    for before in ("", "xyz"):
        for size in (1, 2, len(rest)):
            pursuit = AutomatonPursuit(engine, before + text, 10, len(before), False)
            assert pursuit.rule == 0
            base, start = 10 + len(before) + len(text), 10 + len(before)
            over = False
            for at in range(0, len(rest), size):
                assert start <= pursuit.needs <= base
                over = pursuit.over(rest[at : at + size], base)
                if over:
                    break
                base += len(rest[at : at + size])
            if not over:
                pursuit.finish("", base)
            assert (pursuit.matched, pursuit.end - start) == want
            assert not pursuit.hopeless


def test_a_hundred_characters_behind_the_hold_come_out_right() -> None:
    """The same through a stage, at every cut."""
    for body in ("b" * 30, "b" * 30 + "x"):
        for pieces in ways(f"1 <{body}> <{body}"):
            assert "".join(sf.Redact("<b*>", to="#", max_hold=9).iter(pieces)) == ("1 # #" if "x" not in body else "1 #x> #x")


@pytest.mark.parametrize(
    ("pattern", "text", "needs"),
    [
        ("a(?=b*c)", "abbb", 1),
        ("(?:<[^>x]*>)?", "<bbbb", 0),
        ("a(?:[^z]*b)?", "acccc", 1),
        ("<a+b?", "<aaa", 4),
        ("<[^>]*>", "<aaa", 4),
    ],
)
def test_what_a_match_may_be_without_is_needed(pattern: str, text: str, needs: int) -> None:
    """From where it ended last, or would if its lookahead came true; else nothing that has been read."""
    engine = Automaton([(0, Rule("r", pattern))])
    for base in (0, 10):
        pursuit = AutomatonPursuit(engine, text, base, 0, False)
        assert (pursuit.needs, pursuit.end, pursuit.matched, pursuit.hopeless) == (base + needs, base, -1, False)


def test_what_was_decided_before_the_overflow_counts() -> None:
    """If the rule that is followed comes to nothing, a later one that matched less of it did; followed is the first that is open."""
    rules = [(0, Rule("no", "<b")), (5, Rule("open", "<a+!")), (7, Rule("short", "<aa"))]
    pursuit = AutomatonPursuit(Automaton(rules), "<aaaa", 10, 0, False)
    assert (pursuit.rule, pursuit.needs) == (5, 13)
    assert not pursuit.over("aaa", 15)
    assert pursuit.over("c", 18)
    assert (pursuit.matched, pursuit.end) == (7, 13)
    assert AutomatonPursuit(Automaton(rules[2:]), "<aaaa", 10, 0, False).rule == -1  # there is none to follow


def test_a_check_is_not_asked_about_text_that_is_gone() -> None:
    """What overflowed is taken to be a match when its pattern says so."""

    def never(text: str) -> bool:
        raise AssertionError

    pursuit = AutomatonPursuit(Automaton([(0, Rule("r", "<[^>]*>", check=never))]), "<aaaa", 0, 0, False)
    assert not pursuit.over("a" * 50, 5)
    assert pursuit.over("> b", 55)
    assert (pursuit.matched, pursuit.end) == (0, 56)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_what_cannot_be_told_within_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Where the text behind a possible end must be kept, so much of it is and no more; one less, and it is told."""
    monkeypatch.setattr("streamfilter.matching.decision.MAX_SWALLOW", 20)
    for chars, gives_up in ((16, True), (17, True), (15, False), (5, False)):
        pursuit = AutomatonPursuit(Automaton([(0, Rule("r", "<(?:[^>]*>)?"))]), "<aaaa", 10, 0, False)
        assert pursuit.needs == 11
        rest = "a" * chars + ">" + " " * 9
        base, buf, over = 15, "", False
        for at in range(0, len(rest), size):
            buf = rest[at : at + size]
            over = pursuit.over(buf, base)
            base += len(buf)
            if over or pursuit.hopeless:
                break
        assert (over, pursuit.hopeless) == (not gives_up, gives_up), chars
        if over:
            assert (pursuit.matched, pursuit.end) == (0, 15 + chars + 1)
