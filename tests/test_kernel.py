"""The kernel: events in their place, runs and barriers, stopping, and what text machines may do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter.chain import Chain
from streamfilter.hold import Hold
from streamfilter.items import PLAIN
from streamfilter.lift import Lift
from streamfilter.machine import Machine
from streamfilter.testing import LawBroken, Mark, check_stage, cut, released

ONE, TWO = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))


def feed(machine: Machine, *items: Any) -> list[Any]:
    """What a machine gives for some items, one after the other."""
    return [out for item in items for out in machine.feed(item)]


# ------------------------------------------------------------------ the hold buffer


def test_an_event_leaves_once_the_text_before_it_has_left() -> None:
    """Pinned between two pieces, it leaves with `keep` at its very place."""
    machine = sf.Redact("abc", to="#").machine()
    assert feed(machine, "xa", Mark(name=1), "b") == ["x"]
    assert feed(machine, "x") == ["a", Mark(name=1), "bx"]


def test_an_event_inside_a_replaced_span_leaves_right_after_the_replacement() -> None:
    """A term that an event cuts in two is still found."""
    machine = sf.Redact("abc", to="#").machine()
    assert feed(machine, "xa", Mark(name=1), "b", Mark(name=2), "cd") == ["x", "#", Mark(name=1), Mark(name=2), "d"]


def test_an_event_where_nothing_is_held_passes_at_once() -> None:
    """Pinned, or of no scope at all."""
    machine = sf.Redact("abc", to="#").machine()
    assert feed(machine, "x", Mark(name=1)) == ["x", Mark(name=1)]
    assert feed(machine, "a", Mark(name=2, scope=None)) == [Mark(name=2, scope=None)]


@given(st.text("abx", max_size=12), st.lists(st.integers(0, 12), max_size=4), st.lists(st.integers(0, 12), max_size=3))
def test_events_stand_where_the_spans_say(text: str, marks: list[int], places: list[int]) -> None:
    """By the matches of the whole text: an event keeps its place, or goes behind the match it stands in."""
    script: list[sf.Item] = []
    marks = sorted(min(mark, len(text)) for mark in marks)
    at = 0
    for mark in [*marks, len(text)]:
        script += [*cut(text[at:mark], *(place - at for place in places)), Mark(name=mark)]
        at = mark
    fed, rest = released(sf.Redact("ab+", to="#"), script[:-1])
    got = []
    position = 0
    for item in fed + rest:
        if isinstance(item, Mark):
            got.append((item.name, position))
        else:
            position += len(str(item))

    def moved(mark: int) -> int:
        before = 0
        out = 0
        for match in regex.finditer("ab+", text):
            if match.start() >= mark:
                break
            out += match.start() - before + 1
            before = match.end()
        return out + max(0, mark - before)

    assert got == [(mark, moved(mark)) for mark in marks]


def test_text_leaves_on_the_chunk_that_brought_it() -> None:
    """Kept pieces keep their delta, a replacement leaves on the chunk of its first character, an insertion on the next's."""
    origins = [object() for _ in range(4)]
    deltas = [sf.TextDelta(text, ONE, origin) for text, origin in zip(("xa", "b", "cy", "z"), origins, strict=True)]
    machine = sf.Redact("abc", to="#").machine()
    out = feed(machine, *deltas)
    assert out == [sf.TextDelta("x", ONE), sf.TextDelta("#", ONE), sf.TextDelta("y", ONE), deltas[3]]
    assert [item.origin for item in out] == [origins[0], origins[0], origins[2], origins[3]]
    assert out[3] is deltas[3]
    inserted = feed(sf.Replace("(?=b)", "+").machine(), *deltas[:2])
    assert [(item.text, item.origin) for item in inserted] == [("xa", origins[0]), ("+", origins[1]), ("b", origins[1])]


def test_plain_text_and_deltas_share_a_run() -> None:
    """A word that begins as plain text and goes on in a delta of the plain channel is one word."""
    machine = sf.Redact("abc", to="#").machine()
    assert feed(machine, "xa", sf.TextDelta("b"), "cd") == ["x", "#", "d"]
    machine = sf.Redact("abc", to="#").machine()
    assert feed(machine, sf.TextDelta("a"), "b", "x") == [sf.TextDelta("a"), "b", "x"]


def test_a_hold_refuses_to_release_what_it_does_not_have() -> None:
    """The error says how much there is, never what."""
    hold = Hold()
    hold.append("secret", "secret")
    wrong: list[Callable[[], None]] = [
        lambda: hold.keep(7),
        lambda: hold.keep(-1),
        lambda: hold.replace(7, ""),
        lambda: hold.replace(-1, ""),
    ]
    for release in wrong:
        with pytest.raises(ValueError, match="only 6 characters are held") as caught:
            release()
        assert "secret" not in str(caught.value)
    assert "secret" not in repr(hold)
    assert (hold.text, hold.offset, len(hold)) == ("secret", 0, 6)


def test_released_text_is_forgotten() -> None:
    """A long stream leaves no more in the buffer than its context needs."""
    machine = sf.Redact(r"(?<=\w{10})x").machine()
    assert isinstance(machine, Lift)
    for _ in range(1000):
        machine.feed("some words and ")
    hold = next(iter(machine._runs.values())).hold
    assert hold is not None
    assert len(hold.buf) < 600


# ------------------------------------------------------------------ runs, channels, barriers


def test_each_channel_is_matched_by_itself() -> None:
    """Interleaved choices do not mix, and none waits for another."""
    machine = sf.Redact("ab", to="#").machine()
    out = feed(machine, sf.TextDelta("a", ONE), sf.TextDelta("b", TWO), sf.TextDelta("b", ONE), sf.TextDelta("a", TWO))
    assert out == [sf.TextDelta("b", TWO), sf.TextDelta("#", ONE)]
    assert machine.finish() == [sf.TextDelta("a", TWO)]


def test_a_barrier_settles_every_run_under_it_and_ends_them() -> None:
    """What is held under a key prefix leaves before the event; the next text begins a new run; others go on."""
    machine = sf.Redact("ab", "^c", to="#").machine()
    feed(machine, sf.TextDelta("xa", ONE), sf.TextDelta("xa", TWO))
    finish = sf.Finish("stop", scope=(0, 0))
    assert feed(machine, finish) == [sf.TextDelta("a", ONE), finish]
    assert feed(machine, sf.TextDelta("bc", ONE), sf.TextDelta("b", TWO)) == [sf.TextDelta("bc", ONE), sf.TextDelta("#", TWO)]
    assert feed(machine, Mark(scope=(0, 0)), sf.TextDelta("c", ONE)) == [Mark(scope=(0, 0)), sf.TextDelta("#", ONE)]


def test_a_boundary_settles_its_channel_only() -> None:
    """A pinned event that is a boundary ends the run."""
    machine = sf.Redact("ab", to="#").machine()
    boundary = Mark(scope=ONE, boundary=True)
    out = feed(machine, sf.TextDelta("a", ONE), sf.TextDelta("a", TWO), boundary, sf.TextDelta("b", ONE), sf.TextDelta("b", TWO))
    assert out == [sf.TextDelta("a", ONE), boundary, sf.TextDelta("b", ONE), sf.TextDelta("#", TWO)]


def test_the_empty_prefix_settles_everything() -> None:
    """A failure of the provider comes behind all text before it."""
    machine = sf.Redact("ab", to="#").machine()
    failure = sf.Failure("overloaded")
    assert feed(machine, sf.TextDelta("a", ONE), "a", failure) == [sf.TextDelta("a", ONE), "a", failure]


def test_guards_apply_to_every_text_channel_and_shapers_to_the_answer() -> None:
    """Arguments of tool calls are left alone by shapers, unless named."""
    kinds = ("answer", "reasoning", "refusal", "tool_arguments", "own")
    deltas = [sf.TextDelta("ab", sf.Channel(kind, (0, 0, kind))) for kind in kinds]

    def touched(stage: Any) -> list[str]:
        return [item.channel.kind for item in feed(stage.machine(), *deltas) if item.text == "#"]

    assert touched(sf.Redact("ab", to="#")) == ["answer", "reasoning", "refusal", "tool_arguments", "own"]
    assert touched(sf.Replace("ab", "#")) == ["answer"]
    assert touched(sf.Replace("ab", "#").on("tool_arguments", "own")) == ["tool_arguments", "own"]
    assert touched((sf.Replace("ab", "b") | sf.Replace("b", "#") | sf.Tap(id)).on("refusal")) == ["refusal"]
    assert sf.Redact("ab").on("answer").explain().endswith("overflow='redact'; automaton: one step for each character")


def test_offsets_in_the_report_count_over_runs() -> None:
    """What was found is placed in the channel's whole text."""
    stage = sf.Redact("ab")
    with stage.iter([sf.TextDelta("xab", ONE), Mark(scope=ONE, boundary=True), sf.TextDelta("xxab", ONE)]) as stream:
        list(stream)
    assert [(found.start, found.end, found.channel) for found in stream.report.findings] == [(1, 3, ONE), (5, 7, ONE)]


# ------------------------------------------------------------------ stopping


def test_a_stop_silences_its_choice_and_sends_its_reason_at_once() -> None:
    """Later text and events of the choice are swallowed, except usage; the other choice goes on; then the stream is over."""
    machine = sf.StopAt("END").machine()
    usage, ping = sf.Usage(1, scope=ONE), Mark(scope=None)
    assert feed(machine, sf.TextDelta("b", TWO), sf.TextDelta("aEND!", ONE)) == [
        sf.TextDelta("b", TWO),
        sf.TextDelta("a", ONE),
        sf.Finish("stop", scope=(0, 0)),
    ]
    thought = sf.TextDelta("hm", sf.Channel("reasoning", (0, 0)))
    late = feed(machine, sf.TextDelta("c", ONE), thought, Mark(scope=ONE), usage, ping, sf.Finish("length", scope=(0, 0)))
    assert late == [usage, ping]
    assert feed(machine, sf.TextDelta("d", TWO)) == [sf.TextDelta("d", TWO)]
    finish = sf.Finish("stop", scope=(0, 1))
    assert feed(machine, finish) == [finish, sf.End("stop")]


def test_a_stop_waits_for_choices_that_were_announced() -> None:
    """With `choices=n` the stream is not over before all have been seen; without, when all seen are."""
    assert feed(sf.StopAt("END").machine(), sf.TextDelta("END", ONE))[-1] == sf.End("stop")
    machine = sf.StopAt("END", choices=2).machine()
    assert feed(machine, sf.TextDelta("END", ONE)) == [sf.Finish("stop", scope=(0, 0))]
    assert feed(machine, sf.TextDelta("END", TWO)) == [sf.Finish("stop", scope=(0, 1)), sf.End("stop")]


def test_a_choice_that_was_only_seen_by_its_events_counts() -> None:
    """A choice that has so far given reasoning, or no text at all, is not over."""
    for other in (sf.TextDelta("hm", sf.Channel("reasoning", (0, 1))), sf.Raw(None, scope=TWO)):
        machine = sf.StopAt("END").machine()
        assert feed(machine, other, sf.TextDelta("END", ONE)) == [other, sf.Finish("stop", scope=(0, 0))]


def test_a_choice_whose_text_is_held_or_dropped_before_a_stop_counts() -> None:
    """The stage that stops one choice knows of the others that the stages before it have seen."""
    for before, text in (
        (sf.Redact("hello!", to="#"), sf.TextDelta("hello", TWO)),
        (sf.Drop("reasoning"), sf.TextDelta("hm", sf.Channel("reasoning", (0, 1)))),
    ):
        machine = (before | sf.StopAt("END")).machine()
        out = feed(machine, sf.TextDelta("x", ONE), text, sf.TextDelta("END", ONE), sf.TextDelta(" world", TWO))
        assert "".join(item.text for item in out if isinstance(item, sf.TextDelta) and item.channel == TWO).endswith(" world")
        assert not any(isinstance(item, sf.End) for item in out)


def test_a_stop_downstream_of_another_stage_settles_what_is_behind_it() -> None:
    """`End` is a barrier: what stages below still hold leaves; what stages above hold dies."""
    stage = sf.Redact("secret", to="#") | sf.StopAt("END") | sf.Redact("zz", to="#")
    assert list(stage.iter(["az", "ENDsec", "ret"])) == ["a", "z"]
    machine = stage.machine()
    assert isinstance(machine, Chain)
    assert feed(machine, "zEND secr")[-1] == sf.End("stop")
    assert machine.finish() == []


def test_what_is_found_when_a_run_ends_stops_too() -> None:
    """A match that only the end decides is a match."""
    with pytest.raises(sf.Blocked, match="rule canary matched at character 1 of the answer"):
        list(sf.Block(sf.Rule("canary", "ab*")).iter(["xa"]))
    assert list(sf.Block("ab*", action="stop", message="!").iter(["xa"])) == ["x", "!"]


def test_a_block_ends_all_choices() -> None:
    """What is held in other channels dies with the stream."""
    machine = sf.Block("bad", action="stop").machine()
    assert feed(machine, sf.TextDelta("b", TWO), sf.TextDelta("xbad", ONE)) == [sf.TextDelta("x", ONE), sf.End("blocked")]
    assert machine.finish() == ()


def test_what_was_delivered_before_a_violation_does_not_depend_on_the_cuts() -> None:
    """Text decided before it leaves first, through the stages behind it."""
    stage = sf.Block("bad") | sf.Redact("z+", to="#")
    for places in ([], [1], [2, 4], range(9)):
        out: list[str] = []
        with pytest.raises(sf.Blocked):
            out.extend(stage.iter(cut("a zzbad b", *places)))  # a list keeps what came before the exception
        got: list[str] = []
        stream = stage.iter(cut("a zzbad b", *places))
        with pytest.raises(sf.Blocked):
            while True:
                got.append(next(stream))
        assert "".join(got) == "a #"


# ------------------------------------------------------------------ text machines of one's own


@sf.stage
class Forgetful(sf.TextStage):
    """Leaves text in the hold."""

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        class Machine(sf.TextMachine):
            def feed(self, text: str) -> None:
                pass

            def finish(self) -> None:
                pass

        return Machine()


def test_text_left_in_the_hold_is_an_error_that_names_the_stage() -> None:
    """It says how much was left, never what."""
    with pytest.raises(RuntimeError, match="Forgetful left 6 characters in the hold") as caught:
        Forgetful().apply("secret")
    assert "secret" not in str(caught.value)


def test_a_feed_that_gives_text_instead_of_releasing_it_is_a_type_error() -> None:
    """Else all of the text would pass as it came, at the end."""

    class Upper(sf.TextMachine):
        def feed(self, text: str) -> None:
            return text.upper()  # type: ignore[return-value]

    [end] = feed(Lift(Upper, "Shout"), "secret")
    assert isinstance(end.error, TypeError)
    assert str(end.error) == "feed() of Shout gave something: text leaves through hold.keep and hold.replace"


def test_a_start_that_gives_no_text_machine_is_a_type_error() -> None:
    """The message names the stage and what it gave."""

    @sf.stage
    class Odd(sf.TextStage):
        def start(self, context: sf.Context | None = None) -> Any:
            return 3

    with pytest.raises(TypeError, match=r"start\(\) of Odd gave int"):
        Odd().apply("a")


def test_a_stage_must_be_declared() -> None:
    """A forgotten decorator is found when the stage is built."""

    class Bare(sf.TextStage):
        pass

    with pytest.raises(TypeError, match=r"class Bare is not declared: write @sf.stage above it"):
        Bare()
    with pytest.raises(TypeError, match="int is no stage"):
        sf.stage(int)


# ------------------------------------------------------------------ planted mistakes: every law bites


class _Window(sf.TextMachine):
    """A fixed window: holds the last two characters, whatever they are."""

    def feed(self, text: str) -> None:
        self.hold.replace(0, "")
        self.hold.keep(max(0, len(self.hold) - 2))


class _PerChunk(sf.TextMachine):
    """Replaces chunk by chunk."""

    def feed(self, text: str) -> None:
        self.hold.replace(len(text), text.replace("ab", "#"))


class _Rescan(sf.TextMachine):
    """Feeds replaced text back."""

    def feed(self, text: str) -> None:
        pass

    def finish(self) -> None:
        whole = self.hold.text
        while "ab" in whole:
            whole = whole.replace("ab", "b", 1)
        self.hold.replace(len(self.hold), whole)


class _Lump(sf.TextMachine):
    """Decides by how much has come at once."""

    def feed(self, text: str) -> None:
        if len(text) > 1:
            self.hold.keep(len(self.hold))


@pytest.mark.parametrize(
    ("machine", "means", "law"),
    [
        (_PerChunk, lambda text: text.replace("ab", "#"), "batch"),
        (_Rescan, lambda text: text.replace("ab", "b"), "batch"),
        (_Lump, str, "prefix"),
        (Forgetful().start().__class__, str, "left"),
    ],
)
def test_a_wrong_text_machine_breaks_a_law(machine: type[sf.TextMachine], means: Any, law: str) -> None:
    """Per-chunk replacing, re-scanning, deciding by the cuts, forgetting to settle."""

    @sf.stage
    class Wrong(sf.TextStage):
        def start(self, context: sf.Context | None = None) -> sf.TextMachine:
            return machine()

    with pytest.raises((LawBroken, RuntimeError, ExceptionGroup)) as caught:
        check_stage(Wrong(), means, alphabet="ab")
    assert law in repr(caught.value)


class _Broken(Machine):
    """A lifted stage with one mistake in its machine."""

    def __init__(self, inner: Machine, mistake: str) -> None:
        self.inner = inner
        self.mistake = mistake
        self.overtaken: sf.Item | None = None

    @property
    def held(self) -> int:
        return self.inner.held

    def feed(self, item: sf.Item) -> Sequence[sf.Item]:
        out = list(self.inner.feed(item))
        if self.mistake == "event overtakes held text" and isinstance(item, Mark) and not out:
            self.overtaken = item
            return [item]
        if self.mistake == "event overtakes held text":
            return [each for each in out if each is not self.overtaken]
        if self.mistake == "usage swallowed" and isinstance(item, sf.Usage):
            return []
        if self.mistake == "ends at the first stop" and any(isinstance(each, sf.Finish) for each in out):
            return [*out, *([] if isinstance(out[-1], sf.End) else [sf.End("stop")])]
        if self.mistake == "never ends":
            return [each for each in out if not isinstance(each, sf.End)]
        return out

    def finish(self) -> Sequence[sf.Item]:
        return () if self.mistake == "forgotten settle" else self.inner.finish()


SHARED = Lift(lambda: sf.Redact("ab").start(), "shared")


@pytest.mark.parametrize(
    ("mistake", "law"),
    [
        ("event overtakes held text", "place"),
        ("usage swallowed", "done"),
        ("ends at the first stop", "done"),
        ("never ends", "done"),
        ("forgotten settle", "batch"),
        ("shared state", "batch|prefix|independence|place"),
    ],
)
def test_a_mistake_in_the_kernel_breaks_a_law(mistake: str, law: str) -> None:
    """Each planted mistake is caught by the law that is about it."""

    @sf.stage
    class Broken(sf.Stage[str, str]):
        def machine(self, context: sf.Context | None = None) -> Machine:
            if mistake == "shared state":
                return SHARED
            return _Broken((sf.Redact("abb", to="#") | sf.StopAt("b ")).machine(), mistake)

    def means(text: str) -> str:
        return regex.sub("abb", "#", text).split("b ")[0] if mistake != "shared state" else regex.sub("ab", "[redacted]", text)

    with pytest.raises((LawBroken, ExceptionGroup)) as caught:
        check_stage(Broken(), means, alphabet="ab ", max_chars=8)
    found = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else [caught.value]
    assert any(regex.match(law, str(each)) for each in found)


def test_a_delta_can_be_copied_and_pickled() -> None:
    """Like any other event."""
    delta = sf.TextDelta("a", ONE, "origin")
    for made in (copy.copy(delta), pickle.loads(pickle.dumps(delta))):
        assert (made, made.origin) == (delta, "origin")


def test_lift_takes_a_subclass_of_str() -> None:
    """Some clients give their own kind of text."""

    class Token(str):
        __slots__ = ()

    assert list(sf.Redact("ab", to="#").iter([Token("xa"), Token("b")])) == ["x", "#"]
    assert PLAIN.choice == ()
