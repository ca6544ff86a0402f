"""The search and the run, fact by fact, quickly: how much is read, what is asked, and two engines behind an empty match."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import fuzz_matching
import pytest
import regex
from test_mutants_engine import found, odd

import streamfilter as sf
from streamfilter.matching import Found, Rule, cache, compiled, program
from streamfilter.matching.automaton import Automaton, AutomatonSearch, _Way
from streamfilter.matching.decision import MIN_TRACE, AutomatonPursuit, Decision, Trace


def automaton(*patterns: str, **options: Any) -> Automaton:
    """The automaton of some patterns."""
    return Automaton([(number, Rule(f"r{number}", pattern, **options)) for number, pattern in enumerate(patterns)])


# ------------------------------------------------------------------ what is read


class Counted(str):
    """A text that counts what is read of it."""

    __slots__ = ("read",)

    read: list[int]

    def __getitem__(self, key: Any) -> Any:
        return self._counting(super().__getitem__(key))

    def _counting(self, text: str) -> Any:
        for character in text:
            self.read[0] += 1
            yield character


def read_by(search: AutomatonSearch, text: str, size: int, *, end: bool = False) -> tuple[int, list[tuple[int, int]]]:
    """How many characters a search looks at, in a text that comes in pieces, and what it finds."""
    read, out, pos, advance = [0], list[tuple[int, int]](), 0, False
    for over in range(size, len(text) + size, size):
        buf = Counted(text[:over])
        buf.read = read
        while True:
            start, found = search.search(buf, 0, pos, advance)
            advance, pos = advance and start == pos, start
            if found is None:
                break
            out.append((found.start, found.end))
            advance, pos = found.start == found.end, found.end
    return read[0], out


@pytest.mark.parametrize(
    "pattern", ["a(?=[^z]*z)", "a(?:[^z]*b)?", "a[^z]*b|a", "[ab]+c", "a{15}b|a{14}", "(?:a(?=[^z]*b))+|a", "(?=a)|a[^z]*z"]
)
@pytest.mark.parametrize("before", ["", "zyz"])
@pytest.mark.parametrize("size", [1, 7, 400])
def test_what_is_held_is_read_a_few_times(pattern: str, before: str, size: int) -> None:
    """However much of it there is, and however it comes: by the finder, by decisions, and behind each match once more."""
    text = before + "a" * 200 + "z"
    read, out = read_by(automaton(pattern).begin(), text, size)
    assert out == [match.span() for match in regex.finditer(pattern, text)]
    assert read <= 6 * len(text)


@pytest.mark.parametrize("chars", [MIN_TRACE - 1, MIN_TRACE, 40])
def test_what_was_held_is_found_as_soon_as_it_is_decided(chars: int) -> None:
    """All of it, at the end of the piece with the character that decides, though places are gone through anew."""
    pattern = "a(?=[^z]*z)"
    for sizes in ((chars, chars, 1), (chars, 2 * chars, 1), (1, 1, chars)):
        text = "a" * (sum(sizes) - 1) + "z"
        search, buf, pos = automaton(pattern).begin(), "", 0
        for size in sizes:
            buf = text[: len(buf) + size]
            while (found := search.search(buf, 0, pos, False)[1]) is not None:
                assert (found.start, found.end) == (pos, pos + 1)
                pos += 1
        assert pos == len(text) - 1


def test_a_way_in_the_middle_of_a_run_is_not_gone_again() -> None:
    """As at its beginning: a later decision, or the same again, ends as the first one did, from where it comes upon its state."""
    engine, traces, text = automaton("a(?:[^z]*b)?"), dict[int, Trace](), "a" * 50 + "z"
    reads = []
    for start in (30, *range(30, 80)):
        decision = Decision(engine, start, False, traces)
        assert decision.run(text, 30)
        assert decision.found == Found(0, start, start + 1, False)
        reads.append(decision.read - start)
    assert reads[0] == 51
    assert sum(reads[1:]) <= 50


def test_a_way_is_met_behind_its_beginning_up_to_its_end() -> None:
    """In the same state behind the same character."""
    finder = automaton("ab").finder
    one = finder.begin(finder.program.left, begin=True, nonempty=False)
    two, _ = one["a"]
    way = _Way(5)
    way.states = [one, two]
    assert [at for at in range(4, 9) if way.meets(one, at)] == [6]
    assert [at for at in range(4, 9) if way.meets(two, at)] == [7]


def test_a_place_that_an_earlier_one_covers_is_dropped() -> None:
    """Also if it is not the last one that does."""
    for pattern, most in (("(?:aa)+b", 2), ("(?:aaa)+b", 3), ("a+b", 1)):
        engine = automaton(pattern)
        engine.begin().search("a" * 30, 0, 0, False)
        assert max(len(state.groups) for state in engine.finder._states.values()) == most


def test_behind_a_place_that_is_covered_another_may_be_open() -> None:
    """As the place of the character that covered it."""
    pattern = "(?:aa[bx]|a[by])c|bd"
    engine = automaton(pattern)
    for letters in itertools.product("abcd", repeat=5):
        text = "".join(letters)
        want = [match.span() for match in regex.finditer(pattern, text)]
        assert read_by(engine.begin(), text, 5)[1] == want


LONG = [
    "a(?![^z]*b)", "a(?:[^z]*b)?", "(?:(?=[^z]*b)a)+|b", "(?:aa)+b|aaa(?![ab]*z)", "a(?=[ab]*z)b?", "[ab]{16}z|b(?=[ab]*z)|a", "(?<=b)a(?:[ab]{9}z)?|ba*(?=z)",
    "(?:a(?=b*a)|b(?=a*z))+?(?=[ab]*z)|a(?=[ab]{12}z)", "a*(?=[ab]*z)b?", "(?=[ab]*z)", "(?:[ab]{3})+(?=[ab]*z)",
]  # fmt: skip
"""What looks far, and may end early."""


def far(seed: int) -> str:
    """A text that is gone through for long, with little difference."""
    rng = random.Random(seed)
    return "".join(rng.choices("aabz", (5, 4, 2, 1 / 4), k=rng.randrange(18, 60)))


@pytest.mark.parametrize("pattern", LONG)
def test_a_decision_that_comes_upon_a_way_ends_as_if_there_were_none(pattern: str) -> None:
    """At every place, one behind the other or not."""
    engine, alone = automaton(pattern), automaton(pattern)
    for seed in range(20):
        text, traces = far(seed), dict[int, Trace]()
        for step, base in ((1, 0), (1, 30), (3, 7)):
            for start in range(0, len(text), step):
                one, two = Decision(engine, base + start, False, traces), Decision(alone, base + start, False, {})
                assert one.finish(text, base) == two.finish(text, base), (text, start)
            traces.clear()


@pytest.mark.parametrize("pattern", LONG)
@pytest.mark.parametrize("is_checked", [False, True])
def test_a_search_that_comes_upon_a_way_finds_what_there_is(pattern: str, is_checked: bool) -> None:
    """In a run of which no more is kept than is held, in large pieces and in small ones."""
    engine = automaton(pattern, check=odd if is_checked else None)
    for seed in range(20):
        text = far(seed)
        want = fuzz_matching.reference([(pattern, is_checked)], text)
        for size in (1, 5, 20, 99):
            assert found(engine, text, size) == want, (text, size)


BESIDE = [r"(?>ab)", r"(b)\1", r"(a)\1\1(?=[ab]*z)"]


@pytest.mark.parametrize("pattern", LONG)
def test_beside_another_engine_a_search_may_begin_before_a_way(pattern: str) -> None:
    """One match of the other is found after the other, before what a check has refused again and again."""
    for second, seed in itertools.product(BESIDE, range(3)):
        patterns = [(pattern, True), (second, False)]
        engine = compiled((Rule("r", pattern, check=odd), Rule("s", second)))
        text = "aaab" * 4 + "baaaaabaaaaaaaabaaaaabaaaaaaaaaa" if not seed else far(seed)
        want = fuzz_matching.reference(patterns, text)
        for size in (7, 99):
            assert found(engine, text, size) == want, (second, text, size)


def test_of_an_overflowing_match_nothing_is_kept() -> None:
    """Neither its text nor the way through it."""
    pursuit = AutomatonPursuit(automaton("<[^>]*>", "<a+b"), "<aaa", 0, 0, False)
    for at in range(4, 1000, 100):
        assert not pursuit.over("a" * 100, at)
    assert all(len(each._trace.states) == 4 for each in pursuit._decisions)


def test_an_engine_that_forgets_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """And keeps no more than it may."""
    monkeypatch.setattr(cache, "MAX_ENTRIES", 40)
    for pattern in LONG[:4]:
        engine = automaton(pattern)
        for seed in range(5):
            text = far(seed)
            assert found(engine, text, 7) == fuzz_matching.reference([(pattern, False)], text)
            assert len(engine.finder._states) <= 40


def test_a_step_that_changes_no_place_says_so() -> None:
    """Only where a place comes or goes, there are places to be put anew."""
    engine = automaton("<a*b")
    state = engine.finder.begin(engine.finder.program.left, begin=True, nonempty=False)
    for character, keep in (
        ("x", None),
        ("<", (-1,)),
        ("a", None),
        ("<", (-1,)),
        ("x", ()),
        ("x", None),
        ("<", (-1,)),
        ("b", (0,)),
    ):
        state, kept = state[character]
        assert kept == keep
    assert state.certain


def test_rules_that_are_too_large_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what may be done; each of them alone is not."""
    monkeypatch.setattr(program, "MAX_NODES", 60)
    rules = Rule("r", "[ab]{40}"), Rule("s", "[bc]{40}")
    for rule in rules:
        assert "automaton" in sf.Redact(rule).explain()
    said = "the rules are too large together: .*60.*; bound their repeats, or give them to several stages$"
    with pytest.raises(ValueError, match=said) as caught:
        compiled(rules)
    assert caught.value.__suppress_context__


class Asked(AutomatonSearch):
    """Writes down what it is asked."""

    def __init__(self, engine: Automaton) -> None:
        super().__init__(engine)
        self.searched = 0
        self.glanced: list[str] = []

    def search(self, buf: str, base: int, pos: int, advance: bool) -> tuple[int, Found | None]:
        self.searched += 1
        return super().search(buf, base, pos, advance)

    def passes(self, text: str, at: int) -> bool:
        self.glanced.append(text)
        return super().passes(text, at)


def asked(pattern: str, pieces: Sequence[str]) -> Asked:
    """What a run asks a search, for text that comes in pieces."""

    class Engine(Automaton):
        def begin(self) -> Asked:
            made.append(Asked(self))
            return made[0]

    made: list[Asked] = []
    assert fuzz_matching.through(Engine([(0, Rule("r", pattern))]), pieces) == regex.sub(pattern, "<0>", "".join(pieces))
    return made[0]


def test_ordinary_text_is_not_searched() -> None:
    """When nothing is held and no empty match ended here: a glance must do."""
    assert asked("ab", ["xy", "yx", "x", "yyx"]).searched == 2  # the first piece, and the end
    assert asked("ab", ["xy", "yx", "x", "yyx"]).glanced == ["xy", "yx", "x", "yyx"]
    assert asked("ab", ["xa", "y", "x"]).glanced == ["xa", "x"]
    assert asked("(?<=x)", ["x", "y", "y", "y"]).glanced == ["x", "y", "y"]


def test_behind_what_a_check_refuses_at_the_end_there_may_be_a_match() -> None:
    """Which the one refused had covered."""
    for text, want in (("aa", (1, 2)), ("aaa", (0, 3)), ("xaa", (2, 3)), ("xaaaa", (2, 5))):
        assert automaton("a+", check=odd).begin().final(text, 0, 0, False) == Found(0, *want, False)
    assert automaton("aa", check=odd).begin().final("aaa", 0, 0, False) is None
    assert automaton("a*", check=bool).begin().final("b", 0, 1, False) is None


def test_what_was_decided_before_the_end_is_not_asked_again() -> None:
    """A check that said no has said it."""
    texts: list[str] = []
    rules = [(0, Rule("r", "a", check=texts.append)), (1, Rule("s", "ab+"))]
    for text, want in (("ab", Found(1, 0, 2, False)), ("a", None)):
        texts.clear()
        search = Automaton(rules).begin()
        assert search.search(text, 0, 0, False) == (0, None)
        assert search.final(text, 0, 0, False) == want
        assert texts == ["a"]
