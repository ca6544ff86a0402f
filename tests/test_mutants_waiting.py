"""Lifting text machines that wait, fact by fact: what may leave at each moment is told by a list of what came before it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.items import PLAIN, covers
from streamfilter.machine import TextMachine
from streamfilter.testing import Mark
from streamfilter.waiting import MAX_EVENTS, WaitingLift

HELD = [sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 0, 1)), sf.Channel("answer", (0, 1)), PLAIN]
PASSING = sf.Channel("reasoning", (0, 0))
ONE, OTHER, TWO, _ = HELD


class Patient(TextMachine):
    """Releases what it has been allowed to; is asked for the rest when its run is over, and perhaps only then pending."""

    def __init__(self, *, is_lazy: bool = False) -> None:
        self.allowed = 0
        self.finished = 0
        self.is_lazy = is_lazy
        self.text = ""

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        return len(self.hold) > 0 and (self.finished > 0 or not self.is_lazy)

    def feed(self, text: str) -> None:
        assert not self.finished
        self.text += text
        if "!" in text:
            self.done = sf.End("blocked")

    def finish(self) -> None:
        self.finished += 1

    def collect(self) -> None:
        allowed, self.allowed = self.allowed, 0
        self.hold.keep(allowed)


class Lifted:
    """A lift of such machines, which are kept."""

    def __init__(self, *, is_lazy: bool = False, **options: Any) -> None:
        self.machines: list[Patient] = []
        self.lift = WaitingLift(self._start, "Patient", **options)
        self.is_lazy = is_lazy

    def _start(self) -> Patient:
        self.machines.append(Patient(is_lazy=self.is_lazy))
        return self.machines[-1]

    def feed(self, *items: Any) -> list[Any]:
        return [told for item in items for told in _told(self.lift.feed(item))]

    def allow(self, at: int, chars: int | None = None) -> list[Any]:
        machine = self.machines[at]
        machine.allowed = len(machine.hold) if chars is None else chars
        self.lift.due(machine)
        return _told(self.lift.collect())

    def end(self, at: int, done: sf.Finish | sf.End) -> list[Any]:
        self.machines[at].done = done
        return self.allow(at, 0)


def _told(items: Sequence[Any]) -> list[Any]:
    return [item.text if isinstance(item, sf.TextDelta) else item for item in items]


class Unit:
    """A character or an event, in the order in which they came."""

    def __init__(self, what: Any, scope: Any) -> None:
        self.what, self.scope = what, scope
        self.is_barrier = not isinstance(what, str) and (what.boundary or not isinstance(scope, sf.Channel))
        self.is_decided = not (isinstance(what, str) and scope in HELD)
        self.has_left = False

    @property
    def choice(self) -> Any:
        return self.scope.choice if isinstance(self.scope, sf.Channel) else self.scope[:2]

    def waits_for(self, before: Unit) -> bool:
        """By the rule: what stands in one channel, and barriers over a part of a choice, a choice or all of them."""
        if self.scope == () or before.scope == ():
            return True
        if not isinstance(self.scope, sf.Channel) and len(self.scope) > 2 and not before.is_barrier:
            return covers(self.scope, before.scope)
        if isinstance(self.scope, sf.Channel) and isinstance(before.scope, sf.Channel):
            return self.scope == before.scope
        return bool(self.choice == before.choice)


def _may_leave(units: list[Unit]) -> list[Unit]:
    """What has not left and may now, in the order in which it came."""
    found = []
    for n, unit in enumerate(units):
        if not unit.has_left and unit.is_decided and all(before.has_left for before in units[:n] if unit.waits_for(before)):
            unit.has_left = True
            found.append(unit)
    return found


def _runs(units: list[Unit], channel: sf.Channel) -> list[str]:
    """The text of a channel, cut at what ends its runs."""
    runs = [""]
    for unit in units:
        if isinstance(unit.what, str):
            runs[-1] += unit.what if unit.scope == channel else ""
        elif unit.is_barrier and covers(unit.scope, channel):
            runs.append("")
    return [run for run in runs if run]


def _drawn(rng: random.Random, characters: Any) -> tuple[Any, list[Unit]]:
    """An item, and what it is made of."""
    kind = rng.choice(("text", "text", "text", "text", "pin", "boundary", "choice", "part", "all"))
    channel = rng.choice([*HELD, PASSING])
    if kind == "text":
        text = "".join(next(characters) for _ in range(rng.randint(1, 3)))
        item: Any = text if channel == PLAIN else sf.TextDelta(text, channel)
        return item, [Unit(character, channel) for character in text]
    scope: Any = (
        channel if kind in ("pin", "boundary") else () if kind == "all" else (0, 0, 1) if kind == "part" else (0, rng.randint(0, 1))
    )
    event = Mark(name=next(characters), scope=scope, boundary=kind == "boundary")
    return event, [Unit(event, scope)]


@pytest.mark.parametrize("block", range(10))
def test_what_may_leave_leaves_and_nothing_else(block: int) -> None:
    """Whatever comes and in whatever order it is decided: each character and event at the first moment at which it may, in order."""
    for seed in range(block * 60, block * 60 + 60):
        rng = random.Random(seed)
        characters = map(chr, itertools.count(0x4E00))
        lifted, units = Lifted(is_lazy=seed % 2 == 0), list[Unit]()

        def check(out: list[Any], units: list[Unit] = units, lifted: Lifted = lifted, seed: int = seed) -> None:
            places = {id(unit.what) if not isinstance(unit.what, str) else unit.what: n for n, unit in enumerate(units)}
            came = [places[each] for item in out for each in (item if isinstance(item, str) else [id(item)])]
            before = [unit.has_left for unit in units]
            assert sorted(came) == [units.index(unit) for unit in _may_leave(units)], seed
            done: set[int] = {n for n, left in enumerate(before) if left}
            for at in came:
                assert all(n in done for n in range(at) if units[at].waits_for(units[n]))
                done.add(at)
            assert lifted.is_lazy or lifted.lift.is_pending == any(not unit.has_left for unit in units)
            for machine in lifted.machines:
                if len(machine.hold):  # what a barrier waits for is asked for at once
                    last = places[machine.hold.text[-1]]
                    behind = [unit for unit in units[last:] if unit.is_barrier and unit.waits_for(units[last])]
                    assert not machine.finished or behind
                    # Where a part of the choice is waited for, what comes behind that may still be of this run.
                    assert machine.finished or not behind or any(not unit.has_left and len(unit.scope) > 2 for unit in units)

        for _ in range(rng.randint(1, 25)):
            waiting = [n for n, machine in enumerate(lifted.machines) if len(machine.hold)]
            if waiting and rng.random() < 0.4:
                at = rng.choice(waiting)
                hold = lifted.machines[at].hold
                chars = rng.randint(1, len(hold))
                decided = hold.text[:chars]
                for unit in units:
                    unit.is_decided = unit.is_decided or (isinstance(unit.what, str) and unit.what in decided)
                check(lifted.allow(at, chars))
            else:
                item, made = _drawn(rng, characters)
                units += made
                check(lifted.feed(item))
        given = _told(lifted.lift.finish())
        while lifted.lift.is_pending:
            waiting = [n for n, machine in enumerate(lifted.machines) if len(machine.hold)]
            parts = any(unit.is_barrier and len(unit.scope) > 2 for unit in units)
            assert parts or all(lifted.machines[at].finished for at in waiting), seed
            given += lifted.allow(rng.choice(waiting))
        for unit in units:
            unit.is_decided = True
        left = "".join(item for item in given if isinstance(item, str)) + "".join(
            str(item.name) for item in given if not isinstance(item, str)
        )
        want = [unit.what if isinstance(unit.what, str) else unit.what.name for unit in _may_leave(units)]
        assert sorted(left) == sorted(want)
        for channel in HELD:
            assert [machine.text for machine in lifted.machines if machine.hold.channel == channel] == _runs(units, channel)


def test_a_run_goes_on_behind_a_boundary_of_another_channel_of_its_choice() -> None:
    """A barrier that comes when such a one waits does not cut it in two, or what is looked for would be found in neither."""
    for later in (Mark(name=2, scope=(0, 0)), Mark(name=2, scope=()), Mark(name=2, scope=(0, 0, 1))):
        lifted = Lifted()
        first, boundary = Mark(name=1, scope=(0, 0)), Mark(scope=OTHER, boundary=True)
        others = [sf.TextDelta("other", OTHER), boundary, sf.TextDelta("its next", OTHER)]
        waiting = [sf.TextDelta("a", ONE), *others, sf.TextDelta("b", ONE), later]
        assert lifted.feed(sf.TextDelta("x", ONE), first, *waiting) == []
        assert lifted.allow(0) == ["x", first]
        assert [machine.text for machine in lifted.machines] == ["x", "ab", "other"]
        assert lifted.allow(1) == ["a", "b"]  # it does not wait for the other channel
        assert lifted.allow(2) == ["other", boundary]
        assert lifted.machines[3].finished  # asked at once
        assert lifted.allow(3) == ["its next", later]
        assert (lifted.lift.is_pending, lifted.lift.is_full) == (False, False)


def test_a_run_goes_on_behind_a_barrier_over_another_part_of_its_choice() -> None:
    """What comes in it meanwhile waits, and is still of it when a barrier over both has come, or the end."""
    for later in (Mark(name=2, scope=(0, 0)), Mark(name=2, scope=()), None):
        for is_lazy in (True, False):
            lifted = Lifted(is_lazy=is_lazy)
            part = Mark(name=1, scope=(0, 0, 1))
            items = [sf.TextDelta("other", OTHER), sf.TextDelta("a", ONE), part, sf.TextDelta("b", ONE)]
            assert lifted.feed(*items) == []
            assert not (lifted.lift.finish() if later is None else lifted.feed(later))
            assert lifted.allow(0) == ["other", part]
            assert [machine.text for machine in lifted.machines] == ["other", "ab"]
            assert lifted.machines[1].finished
            assert lifted.allow(1) == ["a", "b", *([] if later is None else [later])]
            assert not lifted.lift.is_pending


# ------------------------------------------------------------------ how it may end


def test_what_waited_may_end_the_stream_when_its_turn_comes() -> None:
    """Whatever it waited behind; nothing of what is behind it is left."""
    for scope in (ONE, (0, 0), (), (0, 0, 1)):
        lifted = Lifted()
        barrier, usage = Mark(scope=scope, boundary=True), sf.Usage(1, scope=ONE)
        first = OTHER if scope == (0, 0, 1) else ONE
        items = [sf.TextDelta("x", first), barrier, sf.TextDelta("y!", ONE), usage, Mark(scope=ONE), sf.TextDelta("z", ONE)]
        assert lifted.feed(*items) == []
        assert lifted.allow(0) == ["x", barrier, usage, sf.End("blocked")]
        assert (lifted.lift.ended, lifted.lift.is_pending, lifted.lift.is_full, lifted.lift.held) == (True, False, False, 0)


def test_what_is_due_is_collected_at_the_end() -> None:
    """Also if nobody has asked since; then the lift is over."""
    lifted = Lifted()
    lifted.feed("abc")
    lifted.machines[0].allowed = 3
    lifted.lift.due(lifted.machines[0])
    assert (lifted.lift.finish(), lifted.lift.is_pending) == (["abc"], False)


def _with_everything_waiting() -> tuple[Lifted, list[sf.Usage]]:
    """Text in two choices, a boundary and a barrier that wait, and what waits behind them."""
    lifted, usage = Lifted(), [sf.Usage(n, scope=scope) for n, scope in enumerate((TWO, OTHER, ONE, ()))]
    items = [
        sf.TextDelta("one", ONE),
        sf.TextDelta("other", OTHER),
        sf.TextDelta("two", TWO),
        usage[0],  # pinned
        Mark(scope=OTHER, boundary=True),
        sf.TextDelta("more", OTHER),
        usage[1],  # behind the boundary
        Mark(scope=(0, 0)),
        sf.TextDelta("behind", ONE),
        usage[2],  # behind the barrier
        Mark(scope=()),
        usage[3],  # behind the one over all
        sf.TextDelta("last", TWO),
    ]
    assert lifted.feed(*items) == []
    return lifted, usage


def test_an_end_lets_all_die_that_waits_but_usage() -> None:
    """Whether a machine says so, or the source has broken off; then nothing is pending, full or asked any more."""
    error = sf.MalformedInput("broken", 0)
    for end in (sf.End("blocked"), sf.End("error", error)):
        lifted, usage = _with_everything_waiting()
        assert lifted.lift.is_full
        out = lifted.feed(end) if end.is_broken_off else lifted.end(1, end)
        assert out[-1] is end
        assert sorted(item.usage for item in out[:-1]) == [0, 1, 2, 3]
        assert all(item in usage for item in out[:-1])
        assert (lifted.lift.is_pending, lifted.lift.is_full, lifted.lift.held, lifted.lift.ended) == (False, False, 0, True)
        assert lifted.allow(0) == []
        assert not lifted.lift.collect()
        assert not lifted.lift.finish()


def test_what_is_rescued_is_the_usage_that_waits() -> None:
    """A machine behind has ended the stream."""
    lifted, usage = _with_everything_waiting()
    assert sorted(item.usage for item in lifted.lift.rescue()) == [each.usage for each in usage]  # type: ignore[union-attr]


def test_a_stop_silences_what_waits_in_its_choice() -> None:
    """Also what waits behind a barrier; the others go on, and the stream is over when they are."""
    lifted = Lifted()
    usage = sf.Usage(1, scope=ONE)
    items = [sf.TextDelta("one", ONE), sf.TextDelta("two", TWO), Mark(scope=(0, 0)), usage, sf.TextDelta("more", ONE)]
    assert lifted.feed(*items, Mark(scope=ONE)) == []
    finish = sf.Finish("stop", scope=(0, 0))
    assert lifted.end(0, sf.Finish("stop")) == [finish, usage]
    assert (lifted.lift.is_pending, lifted.lift.held) == (True, 3)
    assert lifted.feed(sf.TextDelta("late", ONE), Mark(scope=ONE)) == []
    assert lifted.allow(1) == ["two"]
    done = sf.Finish("length", scope=(0, 1))
    assert lifted.feed(done) == [done, sf.End("stop")]
    lifted = Lifted(choices=2)
    assert lifted.feed(sf.TextDelta("one", ONE)) == []
    assert lifted.end(0, sf.Finish("stop")) == [finish]  # another is still to come


def test_an_end_behind_what_waits_waits_too() -> None:
    """It is the end of a stage before this one: what that has decided is still decided here."""
    lifted = Lifted()
    end = sf.End("stop")
    assert lifted.feed("text", end) == []
    assert (lifted.machines[0].finished, lifted.lift.is_pending, lifted.lift.ended) == (1, True, False)
    assert lifted.allow(0) == ["text", end]
    assert (lifted.lift.is_pending, lifted.lift.ended) == (False, True)


def test_a_run_that_nobody_has_waited_for_may_still_end_the_stream() -> None:
    """It is over, and its machine has found something after all."""

    class Shadow(Patient):
        is_pending = False

        def finish(self) -> None:
            self.hold.keep(len(self.hold))

    machines: list[Shadow] = []

    def start() -> Shadow:
        machines.append(Shadow())
        return machines[-1]

    lift = WaitingLift(start, "Shadow")
    boundary = Mark(boundary=True)
    assert [*lift.feed("a"), *lift.feed(boundary), *lift.feed("b")] == ["a", boundary]
    lift.due(machines[0])
    assert lift.collect() == []
    machines[0].done = sf.Finish("stop")  # its choice has gone on
    lift.due(machines[0])
    assert (lift.collect(), lift.ended) == ([], False)
    machines[0].done = sf.End("blocked")
    lift.due(machines[0])
    lift.due(machines[1])
    assert (lift.collect(), lift.ended, lift.held) == ([sf.End("blocked")], True, 0)


# ------------------------------------------------------------------ how much may wait


def test_nothing_more_is_read_when_something_waits_behind_a_barrier() -> None:
    """The barriers themselves do not count, however many there are; what has no place passes."""
    for barriers in ([()], [(0, 0)], [ONE], [(0, 0), (0, 1)], [ONE, TWO], [(0, 0), ()]):
        lifted = Lifted()
        lifted.feed(sf.TextDelta("a", ONE), sf.TextDelta("b", TWO))
        for scope in barriers:
            assert (lifted.lift.is_full, lifted.feed(Mark(scope=scope, boundary=True))) == (False, [])
        assert (lifted.lift.is_full, lifted.lift.is_pending) == (False, True)
        nowhere = Mark(scope=None)
        assert lifted.feed(nowhere) == [nowhere]
        assert not lifted.lift.is_full
        lifted.feed(sf.TextDelta("c", ONE))
        assert lifted.lift.is_full
        for at in range(2):
            lifted.allow(at)
        assert (lifted.lift.is_full, lifted.lift.is_pending) == (False, True)
        assert (lifted.allow(2), lifted.lift.is_pending) == (["c"], False)


def test_events_that_come_while_text_is_waited_for_are_counted() -> None:
    """Text is not, nor are events that nothing waits before; what is decided begins the count again."""
    lifted = Lifted()
    nowhere = Mark(scope=None)
    lifted.feed(*[nowhere] * (MAX_EVENTS + 1))
    assert not lifted.lift.is_full
    lifted.feed("a", *[nowhere] * MAX_EVENTS, *["b", sf.TextDelta("c", ONE)] * 9)
    assert not lifted.lift.is_full
    lifted.feed(nowhere)
    assert lifted.lift.is_full
    assert lifted.allow(0, 1) == ["a"]
    assert not lifted.lift.is_full
    lifted.feed(*[nowhere] * MAX_EVENTS)
    assert not lifted.lift.is_full
    lifted.feed(nowhere)
    assert lifted.lift.is_full
