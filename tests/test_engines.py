"""Both engines, and the two side by side, find the same matches: the same tests, from the same data."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
import regex
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from patterns import CASES, PATTERNS_WITH_FLAGS, all_cases

import streamfilter as sf
from streamfilter.lift import Lift
from streamfilter.matching import Engine, Found, Rule, Scan, cache, compiled, replace_all
from streamfilter.matching import rules as rules_module
from streamfilter.matching.automaton import Automaton
from streamfilter.matching.decision import Decision
from streamfilter.matching.regular import NotRegularError
from streamfilter.matching.rules import Allowance
from streamfilter.matching.selection import SideBySide
from streamfilter.matching.tail import TailEngine
from streamfilter.testing import cut, ways
from streamfilter.testing.strategies import chunkings

NEVER = Rule("never", r"(\0)\1")
"""Not regular, and in none of the texts."""


class Marker(Scan):
    """Puts the number of the rule in the place of each match."""

    def hit(self, found: Found, buf: str) -> None:
        self.hold.replace(found.end - found.start, f"<{found.rule}>")


def marked(engine: Engine, pieces: Sequence[str]) -> str:
    """What comes out of a stream."""
    machine = Lift(lambda: Marker(engine), "Marker")
    return "".join(str(item) for piece in pieces for item in machine.feed(piece)) + "".join(map(str, machine.finish()))


def engines(rules: Sequence[Rule]) -> dict[str, Engine]:
    """Every engine that can find some rules; the one with all of them first."""
    numbered = list(enumerate(rules))
    made: dict[str, Engine] = {"regex": TailEngine(numbered)}
    try:
        made["automaton"] = automaton = Automaton(numbered)
    except NotRegularError:
        return made
    beside = TailEngine([(len(rules), NEVER)])
    made["side by side"] = SideBySide((*rules, NEVER), automaton, beside)
    return made


@pytest.mark.parametrize(("pattern", "text"), all_cases())
def test_every_engine_finds_what_sub_replaces(pattern: str, text: str) -> None:
    """The same cases as for the stages, with each engine that can do them."""
    want = regex.sub(pattern, "<0>", text)
    for name, engine in engines([Rule("r", pattern)]).items():
        for pieces in ways(text):
            assert marked(engine, pieces) == want, (name, pieces)


@pytest.mark.parametrize(("pattern", "flags", "text"), PATTERNS_WITH_FLAGS)
def test_every_engine_honours_flags(pattern: str, flags: int, text: str) -> None:
    """A rule's flags are those of `regex`."""
    want = regex.sub(pattern, "<0>", text, flags=flags)
    for name, engine in engines([Rule("r", pattern, flags=flags)]).items():
        for pieces in ways(text):
            assert marked(engine, pieces) == want, (name, pieces)


REGULAR = [pattern for pattern in CASES if "automaton" in engines([Rule("r", pattern)])]


def test_what_is_regular_is_known() -> None:
    """Of the cases, only those need `regex` that have what no automaton can do, and `explain` says what that is."""
    others = {pattern: sf.Redact(pattern).explain() for pattern in CASES if pattern not in REGULAR}
    assert all("because of rule redacted: it " in said for said in others.values())
    reasons = {
        r"(a|b)\1": "it refers back to a group", "(?>a|ab)c": "it has an atomic group", "a++b": "it has a possessive repeat",
        "(a)?b(?(1)c|d)": "it has a condition", "(?P<n>ab?)(?&n)": "it calls a group", r"\X": r"it has \X, \R or a named list",
        "a(?=b(?!c))": "it has an assertion inside a lookaround", "(?:(?:a*))*": "it repeats what can be empty",
        "(?:a|(?i:b))[^c]": "it ignores case in parts beside negated sets", "a{30000}": "30,000 characters with its repeats",
    }  # fmt: skip
    for pattern, reason in reasons.items():
        assert reason in sf.Redact(pattern).explain(), pattern
    assert len(REGULAR) >= 70
    assert "automaton" in sf.Redact(*REGULAR).explain()
    both = sf.Redact("a", r"(b)\1").explain()
    assert "automaton: one step for each character; beside it regex" in both


def test_rules_that_are_too_large_are_refused_when_the_stage_is_built() -> None:
    """What no memory could hold is said at once, and what would be right."""
    with pytest.raises(ValueError, match=r"1,000,000,000 characters with its repeats written out: at most 200,000"):
        sf.Redact("(?:(?:a{1000}){1000}){1000}")
    many = [Rule(f"r{n}", rf"{chr(0x4E00 + n)}[a-f{n}]{{0,19000}}x") for n in range(6)]
    with pytest.raises(ValueError, match=r"rules are too large together: .* more than 100,000 .* several stages"):
        sf.Redact(*many)


# ------------------------------------------------------------------ random patterns

ATOMS = [
    "a", "b", "A", "ab", "[ab]", "[^a]", ".", r"\w", r"\W", r"\s", r"\n", "x", "(?i:A)", "(?s:.)",
    r"\b", r"\B", r"\m", r"\M", "^", "$", "(?m:^)", "(?m:$)", r"\A", r"\Z",
    "(?=b)", "(?!a)", "(?!ab)", "(?=.*b)", "(?!.*b)", "(?=a|$)", r"(?!\b)",
    "(?<=a)", "(?<!b|ab)", "(?<=^|b)", "(?<=a+)", "(?<=a[ab]?b)",
]  # fmt: skip
REPEATS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}?", "{0,3}", "{2,}"]


def patterns() -> st.SearchStrategy[str]:
    """Patterns of what is regular, nested anyhow; some are not regular as a whole."""
    return st.recursive(
        st.sampled_from(ATOMS),
        lambda inner: st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, st.sampled_from(REPEATS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
            inner.map(lambda body: f"(?={body})"),
            inner.map(lambda body: f"(?!{body})b"),
        ),
        max_leaves=7,
    )


RULE_SETS = st.lists(st.tuples(patterns(), st.sampled_from([False, False, True])), min_size=1, max_size=3)


def built(drawn: list[tuple[str, bool]]) -> list[Rule]:
    """One to three rules that can be streamed, some with a check."""
    made: list[Rule] = []
    for number, (pattern, checked) in enumerate(drawn):
        with contextlib.suppress(ValueError):
            made.append(Rule(f"r{number}", pattern, check=odd if checked else None))
    assume(made)
    return made


def odd(text: str) -> bool:
    """A check."""
    return len(text) % 2 == 1


@settings(max_examples=settings().max_examples * 5 if settings().max_examples >= 10_000 else 5000)
@given(RULE_SETS, st.text("aaabbA \nx", max_size=12), st.data())
def test_random_rules_are_matched_as_the_reference_loop_says(drawn: list[tuple[str, bool]], text: str, data: st.DataObject) -> None:
    """By the engine that is chosen for them. 5,000 cases; in the long profile 100,000."""
    rules = built(drawn)
    pieces = data.draw(chunkings(text)) if text else [text]
    want = replace_all(rules, text, lambda match: f"<{rules.index(match.rule)}>")  # type: ignore[arg-type]
    assert marked(compiled(tuple(rules)), pieces) == want
    assert marked(compiled(tuple(rules)), list(text) or [""]) == want


@given(RULE_SETS, st.text("aaabbA \nx", max_size=10), st.data())
def test_engines_agree(drawn: list[tuple[str, bool]], text: str, data: st.DataObject) -> None:
    """Whatever an engine is chosen for could be done by any that can."""
    rules = built(drawn)
    pieces = data.draw(chunkings(text)) if text else [text]
    assert len({marked(engine, pieces) for engine in engines(rules).values()}) == 1


@given(
    st.lists(st.sampled_from(REGULAR), min_size=1, max_size=4),
    st.sampled_from([r"(a)\1", "b++", r"\X(?<=b)", "(?:a?)*b"]),
    st.data(),
)
def test_side_by_side_means_the_reference_loop(regular: list[str], other: str, data: st.DataObject) -> None:
    """Rules that need different engines share a stage, in any order."""
    given_patterns = data.draw(st.permutations([*regular, other]))
    rules = [
        Rule(f"r{number}", pattern, check=data.draw(st.sampled_from([None, odd]))) for number, pattern in enumerate(given_patterns)
    ]
    text = data.draw(st.text("aabbc 1x.@-\n", max_size=12))
    want = replace_all(rules, text, lambda match: f"<{match.rule.name[1:]}>")
    for pieces in ways(text):
        assert marked(compiled(tuple(rules)), pieces) == want


@given(st.integers(1, 6), st.text("aab-", max_size=30), st.sampled_from(["redact", "release"]), st.data())
def test_overflow_is_the_same_at_every_cut_with_two_engines(most: int, text: str, policy: str, data: st.DataObject) -> None:
    """Where one engine has an open match, or both."""
    stage = sf.Redact("a[ab]*-", r"(b)\1++-", "(?:ab)++--", to="#", max_hold=most, overflow=policy)  # type: ignore[arg-type]
    want = "".join(stage.iter(list(text)))
    assert "".join(stage.iter(data.draw(chunkings(text)) if text else [text])) == want


OPEN = [
    "a[ab]*-",
    "a(?=b*c)",
    "a(?![^x]*b)",
    "(?:<[^>x]*>)?",
    "(?:a[^x]*b)?",
    "(?:(?=[^x]*b)a)+",
    r"(?:<[^>x]*+>)?",
    r"a(?=(b*)c)\1++",
]


@given(
    st.sampled_from(OPEN), st.integers(1, 6), st.text("aab<>cx-", max_size=30), st.sampled_from(["redact", "release"]), st.data()
)
def test_what_overflows_is_the_same_at_every_cut(pattern: str, most: int, text: str, policy: str, data: st.DataObject) -> None:
    """Matches that are open in their lookaheads, or may turn out to be empty, with either engine; and it comes to an end."""
    stage = sf.Redact(pattern, "bb", to="#", max_hold=most, overflow=policy)  # type: ignore[arg-type]
    want = "".join(stage.iter(list(text) or [text]))
    assert "".join(stage.iter(data.draw(chunkings(text)) if text else [text])) == want
    assert "".join(stage.iter([text])) == want


@pytest.mark.parametrize(("first", "second"), [("ab", "abc*d"), ("(?>ab)", "abc*+d"), ("(?>ab)", "abc*d"), ("ab", "abc*+d")])
def test_what_a_check_has_refused_does_not_end_an_overflow(first: str, second: str) -> None:
    """The rule that overflows is followed to its end, though another one matched less of it and was refused."""
    rules = [Rule("no", first, check=lambda _: False), Rule("yes", second)]
    for pieces in ways("x abcccccccccccd y"):
        assert "".join(sf.Redact(*rules, max_hold=5).iter(pieces)) == "x [yes] y"


@pytest.mark.parametrize("pattern", ["x(?=(a+))", "x(?=(a)|b)(?=(a+))", "x(?=(a|ab))b?"])
def test_what_a_lookahead_captures_is_whole(pattern: str) -> None:
    """A group in a lookahead may grow after the match is certain; it is waited for."""
    for text in ("xaaab", "xab", "xa"):
        want = regex.sub(pattern, r"<\1>", text)
        for pieces in ways(text):
            assert "".join(sf.Replace(pattern, r"<\1>").iter(pieces)) == want


def test_what_was_accepted_but_for_a_lookahead_is_not_lost() -> None:
    """The text behind it leaves when the lookahead is decided, though the hold has overflowed."""
    for pieces in ways("xa" + "b" * 30 + "c y"):
        assert "".join(sf.Redact("a(?=b*c)", to="#", max_hold=5).iter(pieces)) == "x#" + "b" * 30 + "c y"
    text = "secret" + "\u200b" * 1500 + " x"
    for size in (1, 4, 2000):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert "".join(sf.Redact(sf.Terms(["secret"], fold="nfkc"), to="#").iter(pieces)) == "#" + text[6:]


# ------------------------------------------------------------------ bounded, and shared


def test_what_lookaheads_have_got_to_counts_as_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that carries a lookahead of hundreds of places is not one entry but hundreds: 600 MB were kept for one pattern."""
    monkeypatch.setattr(cache, "MAX_ENTRIES", 20_000)
    stage = sf.Redact(r"a(?=[ab]*a[ab]{91}c)")
    rng = random.Random(1)
    machine = stage.machine()
    for _ in range(3000):
        machine.feed(rng.choice("ab"))
    engine: Any = stage._engine
    conditions = [
        nodes for states in (engine.decider(0)._states,) for threads, _ in states for _, each in threads for _, nodes in each
    ]
    assert sum(map(len, conditions)) <= 20_000


def test_forgetting_states_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is emptied when it is full; streams that are under way go on."""
    rng = random.Random(3)
    text = "".join(rng.choice("ab") for _ in range(3000)) + "c ab"
    rules = (Rule("blow", "a[ab]{9}c"), Rule("up", "b[ab]{7}(?=aab)"), Rule("behind", "(?<=a[ab]{5}b)bb"))
    want = replace_all(rules, text, lambda match: f"<{rules.index(match.rule)}>")
    monkeypatch.setattr(cache, "MAX_ENTRIES", 500)
    engine = Automaton(list(enumerate(rules)))
    for size in (1, 7, 3000):
        assert marked(engine, [text[at : at + size] for at in range(0, len(text), size)]) == want
    assert len(engine.finder._states) < 500


def test_threads_share_an_engine() -> None:
    """Without locks, while its states are made and forgotten."""
    rules = [Rule("one", r"\b[a-z]{2,9}\b(?= [0-9])"), Rule("two", "[0-9]{3}(?![0-9])")]
    rng = random.Random(4)
    texts = ["".join(rng.choice("abc 0123.") for _ in range(2000)) for _ in range(8)]
    want = [replace_all(rules, text, lambda match: f"<{rules.index(match.rule)}>") for text in texts]  # type: ignore[arg-type]
    engine = Automaton(list(enumerate(rules)))
    got: dict[int, str] = {}

    def run(number: int) -> None:
        got[number] = marked(engine, cut(texts[number], *range(3, 2000, 3)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[number] for number in range(8)] == want


@pytest.mark.parametrize("text", ["\u0301" * 1_000_000, "ab\ud800\udfff\0\u202e\u200fa" * 1000], ids=["a million marks", "awkward"])
def test_awkward_text_is_exact_and_bounded(text: str) -> None:
    """Combining characters without end, lone surrogates, U+0000, marks of direction."""
    for patterns_ in ((r"\w\u0301{3}b", "ab"), ("a.", r"[\ud800-\udfff]+"), (r"\0.", r"(\u0301)x\1")):
        rules = [Rule("one", patterns_[0]), Rule("two", patterns_[1])]
        want = text
        if len(text) < 100_000:
            want = replace_all(rules, text, lambda match: f"<{match.rule.name}>")
        for size in (4, 1000, len(text)) if len(text) < 100_000 else (4096, len(text)):
            stage = sf.Redact(*rules, to="<{rule}>")
            assert "".join(stage.iter([text[at : at + size] for at in range(0, len(text), size)])) == want


def test_a_chunk_of_ten_megabytes_is_exact() -> None:
    """A whole book in one piece is looked through once."""
    text = ("lorem ipsum dolor sit amet, " * 40 + "call 555-010-2030. ") * 8700
    assert len(text) > 9_900_000
    assert "".join(sf.Redact(r"\d{3}-\d{3}-\d{4}", to="#").iter([text])) == regex.sub(r"\d{3}-\d{3}-\d{4}", "#", text)


def test_replaying_a_long_hold_takes_steps_in_proportion() -> None:
    """Each place is decided by the way that another has gone: twice the hold, twice the steps. An open lookahead changes nothing."""

    def steps(pattern: str, chars: int) -> int:
        taken = 0

        engine = Automaton([(0, Rule("r", pattern))])
        run = Decision._run_rule

        def counted(self: Decision, buf: str, base: int) -> bool:
            nonlocal taken
            before, read = len(self._trace.states), self.read
            over = run(self, buf, base)
            taken += max(len(self._trace.states) - before, self.read - read, 1)
            return over

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Decision, "_run_rule", counted)
            assert marked(engine, ["a" * chars, "z"]) == regex.sub(pattern, "<0>", "a" * chars + "z")
        return taken

    for pattern in ("a(?:[^z]*b)?", "a(?![^z]*b)", "(?:(?=[^z]*b)a)+|a"):
        assert steps(pattern, 800) < 2.5 * steps(pattern, 400), pattern


def test_an_endless_match_takes_no_memory() -> None:
    """A match that overflows and never ends is followed without keeping anything of it, nor of the way."""
    machine = sf.Redact("<[^>]*>", to="#").machine()
    machine.feed("<" + "b" * 2000)
    tracemalloc.start()
    for _ in range(2000):
        machine.feed("b" * 100)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000


def test_rules_that_begin_alike_may_be_many() -> None:
    """Each the beginning of the next."""
    stops = ["ab" * n for n in range(1, 800)]
    assert sf.Redact(*[Rule(stop, f"{stop}c") for stop in stops], to="#").apply("xababababc") == "x#"
    assert sf.StopAt(*stops).apply("xyab") == "xy"


def test_regex_is_asked_for_groups_only_by_who_wants_them() -> None:
    """A function that takes the text alone costs no search, however the pattern backtracks."""
    rule = Rule("r", r"(?:x|xx)+(?=[yz])|x+", timeout=0.05)
    assert sf.Redact(rule, to=sf.Mask(keep_last=1)).apply("x" * 60 + " ") == "•" * 59 + "x "
    with pytest.raises(sf.LimitExceeded, match="a search for rule r"):
        sf.Redact(rule, to=lambda match: str(match.groups())).apply("x" * 60 + " ")


def test_each_rule_has_its_own_time() -> None:
    """A quick one does not hurry another, and the error names the right one."""
    quick, slow = Rule("quick", r"(q)\1", timeout=30), Rule("slow", r"(?:(x|xx)+)(?:\1a)b", timeout=0.02)
    with pytest.raises(sf.LimitExceeded, match="rule slow"):
        list(sf.Redact(quick, slow).iter(["x" * 40, "c"]))


class Slow:
    """A clock, and a search that takes so long by it."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def search(self, seconds: float, *, timeout: float) -> None:
        self.now += min(seconds, timeout)
        if seconds > timeout:
            raise TimeoutError


def test_the_searches_of_one_slice_share_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for all of them. What is quick does not count, nor what rules with another time take; a long text has more."""
    slow = Slow()
    monkeypatch.setattr(rules_module, "thread_time", slow.clock)
    one, two, other = Rule("one", "a", timeout=2), Rule("two", "b", timeout=2), Rule("other", "c", timeout=1)
    allowed = Allowance()
    for chars, slices in ((4, 1), (1024, 1), (2047, 1), (2048, 2), (10_240, 10)):
        allowed.renew(chars)
        slow.now = 0.0
        for n in range(4 * slices):
            allowed.within((one, two)[n % 2], slow.search, 0.5)
            allowed.within(one, slow.search, 0.0005)
        allowed.within(other, slow.search, 0.9)
        with pytest.raises(
            sf.LimitExceeded, match=r"^timeout of 2\.0 exceeded: the searches for rule two in one slice of text, in"
        ):
            allowed.within(two, slow.search, 0.5)
        with pytest.raises(sf.LimitExceeded, match=r"^timeout of 1.0 exceeded: the searches for rule other"):
            allowed.within(other, slow.search, 1.0 * slices)
        assert slow.now < 2 * slices + 2.1
    allowed.renew(10_240)
    with pytest.raises(sf.LimitExceeded, match=r"^timeout of 2.0 exceeded: a search for rule one, in seconds$"):
        allowed.within(one, slow.search, 2.1)


TWICE = Rule("twice", r"(a)\1!", timeout=50)
"""Not regular."""


@pytest.mark.parametrize(
    "stage",
    [
        sf.Redact(TWICE, to="#"),
        sf.Redact(TWICE, Rule("digit", "[0-9]"), to="#"),
        sf.Redact(Rule("checked", r"(a)\1!", check=bool, timeout=50), Rule("other", r"(\0)\1", timeout=50), to="#"),
        sf.Replace(Rule("groups", "(a)a!", timeout=50), lambda match: match[1].replace("a", "#")),
        sf.Replace(TWICE, lambda match: match[1].replace("a", "#")),
    ],
    ids=["regex", "side by side", "checked", "groups", "both"],
)
def test_a_slice_with_many_slow_searches_ends_the_stream(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them would be in time. The same text bit by bit passes, and so does a long one at once that has few in each slice."""
    clock = itertools.count()
    monkeypatch.setattr(rules_module, "QUICK_SECONDS", 0)
    monkeypatch.setattr(rules_module, "thread_time", lambda: float(next(clock)))  # each search takes a second
    dense, few = "aa! " * 200, ("aa!" + "." * 197) * 50
    with pytest.raises(sf.LimitExceeded, match="in one slice of text"):
        stage.apply(dense)
    assert "".join(stage.iter(cut(dense, *range(8, 800, 8)))) == "# " * 200
    assert stage.apply(few) == ("#" + "." * 197) * 50


@given(
    st.sampled_from([r"(?i)(?:σ|\p{Lu})", "(?ai)(a|[[:upper:]])", r"(?i)\p{Ll}a", "(?i)[[:alpha:]]ß", r"(?i)\P{Lu}"]),
    st.text("σςΣᾳAaßẞſKk\u212a", max_size=6),
)
def test_properties_beside_case_mean_what_regex_says(pattern: str, text: str) -> None:
    """`regex` decides them by context, so it is asked."""
    for pieces in ways(text):
        assert "".join(sf.Replace(pattern, "#").iter(pieces)) == regex.sub(pattern, "#", text)


def test_a_backtracking_rule_can_be_given_a_time_limit() -> None:
    """A search that takes longer ends the stream; without a limit nothing is asked of a clock."""
    slow = Rule("slow", r"(?:(x|xx)+)(?:\1a)b", timeout=0.02)
    with pytest.raises(sf.LimitExceeded, match=r"timeout of 0.02 exceeded: a search for rule slow"):
        list(sf.Redact(slow).iter(["x" * 40, "c"]))
    with pytest.raises(ValueError, match="timeout"):
        Rule("slow", "x", timeout=0)
