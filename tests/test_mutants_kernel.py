"""The hold and the closing of sources, fact by fact: what mutants of them showed that nothing else had stated."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.closing import Closing
from streamfilter.hold import TRIM_CHARS, Hold
from streamfilter.lift import Lift

CHANNEL = sf.Channel("answer", (0, 0, "content"))


class Cells:
    """A hold, written down as one cell for each character: the reference. Output is text, whole deltas by identity, and events."""

    def __init__(self) -> None:
        self.cells: list[tuple[str, sf.TextDelta | None]] = []
        self.pins: list[list[Any]] = []  # [place, event]
        self.last: sf.TextDelta | None = None
        self.seen = 0
        self.out: list[Any] = []

    def append(self, item: str | sf.TextDelta) -> None:
        text = item if isinstance(item, str) else item.text
        self.cells += [(character, None if isinstance(item, str) else item) for character in text]

    def pin(self, event: sf.Event) -> None:
        self.pins.append([self.seen + len(self.cells), event])

    def keep(self, n: int) -> None:
        while True:
            place = min([self.seen + n, *(pin[0] for pin in self.pins)])
            count = place - self.seen
            n -= count
            taken, self.cells = self.cells[:count], self.cells[count:]
            self.seen = place
            for _, group in itertools.groupby(taken, lambda cell: id(cell[1])):
                part = list(group)
                text, delta = "".join(character for character, _ in part), part[0][1]
                self.out.append(
                    text if delta is None else delta if text == delta.text else sf.TextDelta(text, CHANNEL, delta.origin)
                )
                self.last = delta
            if not (self.pins and self.pins[0][0] == place):
                return
            self.out.append(self.pins.pop(0)[1])

    def replace(self, n: int, text: str) -> None:
        first = self.cells[0][1] if self.cells else self.last
        if text:
            self.out.append(text if first is None else sf.TextDelta(text, CHANNEL, first.origin))
        if n:
            self.last = self.cells[n - 1][1]
        self.cells = self.cells[n:]
        self.seen += n
        while self.pins and self.pins[0][0] <= self.seen:
            self.out.append(self.pins.pop(0)[1])

    def units(self, ends: list[int]) -> None:
        begin = 0
        for end in ends:
            delta = self.cells[0][1]
            text = "".join(character for character, _ in self.cells[: end - begin])
            if delta is not None and text == delta.text and all(cell[1] is delta for cell in self.cells[: end - begin]):
                kept, pins = delta, self.pins
                self.pins = []
                self.keep(end - begin)
                assert self.out.pop() is kept
                self.out.append(kept)
                self.pins = pins
                while self.pins and self.pins[0][0] <= self.seen:
                    self.out.append(self.pins.pop(0)[1])
            else:
                self.replace(end - begin, text)
            begin = end


def told(items: list[Any]) -> list[Any]:
    """Items to be compared: plain text as one, deltas and events by identity, made deltas by what they say."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, str) and out and isinstance(out[-1], str):
            out[-1] += item
        else:
            out.append(item)
    return out


def same(one: Any, other: Any) -> bool:
    if isinstance(one, sf.TextDelta) and isinstance(other, sf.TextDelta):
        return one is other or (one.text, one.channel, one.origin) == (other.text, other.channel, other.origin)
    return one is other or (isinstance(one, str) and one == other)


@pytest.mark.parametrize("kinds", ["plain", "deltas", "both"])
@pytest.mark.parametrize("context", [0, 3])
def test_a_hold_is_its_characters_one_by_one(kinds: str, context: int) -> None:
    """Whatever is appended, pinned, kept, replaced and given as units, in whatever order: what leaves, and what is readable."""
    for seed in range(250):
        rng = random.Random(f"{kinds}{context}{seed}")
        hold, cells = Hold(CHANNEL, context=context, offset=seed % 3), Cells()
        cells.seen = seed % 3
        whole = ""
        for step in range(rng.randint(1, 30)):
            held = len(cells.cells)
            assert (len(hold), hold.offset, hold.text) == (held, cells.seen, "".join(character for character, _ in cells.cells))
            assert list(hold.pinned) == [place for place, _ in cells.pins]
            assert whole.endswith(hold.buf)
            assert hold.buf[: hold.pos][-context:] == whole[: len(whole) - held][-context:] or not context
            action = rng.choice(("append", "append", "pin", "keep", "replace", "units", "note", "all"))
            if action == "append":
                text = "".join(rng.choice("abc") for _ in range(rng.choice((1, 1, 2, 5, 130))))
                item: Any = (
                    text if kinds == "plain" or (kinds == "both" and rng.random() < 0.5) else sf.TextDelta(text, CHANNEL, step)
                )
                hold.append(item, text)
                cells.append(item)
                whole += text
            elif action == "pin":
                event = sf.Usage({})
                hold.pin(event)
                cells.pin(event)
            elif action in ("keep", "all"):
                n = held if action == "all" else rng.randint(0, held)
                hold.keep(n)
                cells.keep(n)
            elif action == "replace":
                n, text = rng.randint(0, held), rng.choice(("", "#", "##"))
                hold.replace(n, text)
                cells.replace(n, text)
            elif action == "units":
                ends = sorted(rng.sample(range(1, held + 1), rng.randint(0, min(held, 3))))
                start = rng.randint(0, 5)
                hold.units([end + start for end in ends], start)
                cells.units(ends)
            elif kinds != "plain":
                delta = sf.TextDelta("", CHANNEL, step)
                hold.note(delta)
                cells.last = delta
            got, want = told(hold.out), told(cells.out)
            assert len(got) == len(want)
            assert all(map(same, got, want)), (seed, step, action)
        events = [event for _, event in cells.pins]
        assert hold.drop() == events
        assert (len(hold), list(hold.pinned), hold.text) == (0, [], "")


def test_more_than_is_held_cannot_be_released() -> None:
    """Each refusal says how much there is, and changes nothing."""
    hold = Hold()
    hold.append("abcde", "abcde")
    hold.keep(2)
    refused: list[tuple[Callable[[], object], type[Exception], str]] = [
        (lambda: hold.keep(4), ValueError, "keep(4): only 3 characters are held"),
        (lambda: hold.keep(-1), ValueError, "keep(-1): only 3 characters are held"),
        (lambda: hold.replace(4, "#"), ValueError, "replace(4, …): only 3 characters are held"),
        (lambda: hold.replace(-1, "#"), ValueError, "replace(-1, …): only 3 characters are held"),
        (lambda: hold.replace(1, b"#"), TypeError, "replace(1, …) was given bytes: a str is needed"),  # type: ignore[arg-type]
        (lambda: hold.units([14], 10), ValueError, "units: an end at 14 where the units before it end at 10, of 13"),
        (lambda: hold.units([10], 10), ValueError, "units: an end at 10 where the units before it end at 10, of 13"),
    ]
    for call, kind, message in refused:
        with pytest.raises(kind) as raised:
            call()
        assert str(raised.value) == message
        assert (hold.text, hold.out) == ("cde", ["ab"])
    with pytest.raises(ValueError, match="an end at 11 where the units before it end at 12"):
        hold.units([12, 11], 10)
    assert (hold.text, hold.out, repr(hold)) == ("e", ["ab", "cd"], "<Hold of 1 characters in the answer>")


@pytest.mark.parametrize("context", [0, 7])
def test_what_was_released_is_forgotten(context: int) -> None:
    """While something is always held, no more stays than is held, looked back at, and cut off at once; the place goes on."""
    hold = Hold(context=context, offset=5)
    hold.append("x", "x")
    largest = 0
    for count in range(1, 3000):
        hold.append("ab", "ab")
        hold.keep(2)
        hold.out.clear()
        assert hold.offset == 5 + 2 * count
        assert len(hold) == 1
        assert hold.pos >= min(context, 2 * count)
        largest = max(largest, len(hold.buf))
    assert TRIM_CHARS + context < largest <= TRIM_CHARS + context + 5


def test_a_hold_that_has_seen_a_delta_is_no_longer_simple() -> None:
    """Whoever takes the short way for plain text must not, or plain text behind a delta would have no piece."""
    for begin in ("append", "note"):
        hold = Hold()
        assert hold.simple
        hold.append("a", "a")
        assert hold.simple
        delta = sf.TextDelta("b", origin=1)
        if begin == "append":
            hold.append(delta, "b")
        else:
            hold.note(delta)
        assert not hold.simple
    assert not Hold(context=1).simple


def test_an_insertion_is_of_the_kind_of_what_came_last() -> None:
    """Text that stands in for nothing leaves on the chunk before it, also if that had no text, or has died."""
    for end in ("keep", "drop", "replace"):
        hold = Hold(CHANNEL)
        hold.append("plain", "plain")
        hold.append(sf.TextDelta("ab", CHANNEL, 1), "ab")
        if end == "keep":
            hold.keep(7)
        elif end == "drop":
            hold.drop()
        else:
            hold.replace(7, "")
        hold.out.clear()
        hold.replace(0, "#")
        (item,) = hold.out
        assert isinstance(item, sf.TextDelta)
        assert (item.text, item.channel, item.origin) == ("#", CHANNEL, 1)
    hold = Hold(CHANNEL)
    hold.note(sf.TextDelta("", CHANNEL, 2))
    hold.replace(0, "#")
    assert [item.origin for item in hold.out if isinstance(item, sf.TextDelta)] == [2]


# ------------------------------------------------------------------ closing


class Source:
    """Can be closed in one of the ways in which things can, and writes that down."""

    def __init__(self, name: str, log: list[str], error: BaseException | None = None) -> None:
        self.name, self.log, self.error = name, log, error

    def noted(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error


class Plain(Source):
    def close(self) -> None:
        self.noted()


class Awaited(Source):
    async def close(self) -> None:
        await asyncio.sleep(0)
        self.noted()


class Both(Source):
    """Has `close` too, which would be wrong to call."""

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.noted()

    def close(self) -> None:
        raise AssertionError


class Iterating(Both):
    def __aiter__(self) -> Iterating:
        return self

    async def __anext__(self) -> str:
        raise StopAsyncIteration


@pytest.mark.parametrize("kind", [Plain, Awaited, Both])
def test_all_of_it_is_closed_once_and_in_order(kind: type[Source]) -> None:
    """The iterator first, then the source, then what is beneath; what cannot be closed is passed by."""
    log: list[str] = []
    closing = Closing(kind("source", log), [object(), kind("below", log)])
    assert not closing.is_open
    iterator = Iterating("iterator", log)
    closing.begin(iterator)
    assert closing.is_open
    asyncio.run(closing.close())
    assert (log, closing.is_open) == (["iterator", "source", "below"], False)
    asyncio.run(closing.close())
    assert log == ["iterator", "source", "below"]


def test_a_source_that_is_its_own_iterator_is_closed_once() -> None:
    """And an iterator without `aclose` is not asked."""
    log: list[str] = []
    source = Iterating("source", log)
    closing = Closing(source, [])
    closing.begin(source)
    asyncio.run(closing.close())
    assert log == ["source"]


def test_the_first_error_of_closing_is_raised_when_all_is_closed() -> None:
    """Whatever one of them raises, be it a cancellation, the others are closed."""
    for first, second in ((OSError("1"), OSError("2")), (asyncio.CancelledError(), OSError("2")), (OSError("1"), KeyError("2"))):
        log: list[str] = []
        closing = Closing(Both("source", log, first), [Plain("a", log, second), Awaited("b", log)])

        async def main(closing: Closing, error: BaseException) -> None:
            with pytest.raises(type(error)) as raised:
                await closing.close()
            assert raised.value is error
            await closing.close()

        asyncio.run(main(closing, first))
        assert log == ["source", "a", "b"]


# ------------------------------------------------------------------ lifting


def test_a_hold_begins_at_the_beginning() -> None:
    """Unless it is said where."""
    assert (Hold().offset, Hold(context=3).offset, Hold(offset=3).offset) == (0, 0, 3)


def test_choices_that_were_stopped_stay_so() -> None:
    """One after the other, in channels that were there, whatever is done in them, and in new ones. All usage that waited leaves."""
    lift = Lift(sf.StopAt("ab").start, "StopAt", choices=3)
    one, more, new = (sf.Channel("answer", (0, 0, *block)) for block in ((), (1,), (2,)))
    thought, two = sf.Channel("reasoning", (0, 0)), sf.Channel("answer", (0, 1))
    usage = [sf.Usage(n, scope=scope) for n, scope in enumerate((one, more))]
    begun = [sf.TextDelta("t", thought), sf.TextDelta("a", one), sf.TextDelta("a", more), *usage, sf.TextDelta("a", two)]
    assert [item for each in begun for item in lift.feed(each)] == begun[:1]
    out = lift.feed(sf.TextDelta("b", one))
    assert [item for item in out if isinstance(item, sf.Usage)] == usage
    assert [item for item in out if not isinstance(item, sf.Usage)] == [sf.Finish("stop", scope=(0, 0))]
    assert lift.feed(sf.TextDelta("b", two)) == [sf.Finish("stop", scope=(0, 1))]
    for channel in (one, more, new, thought, two, sf.Channel("answer", (0, 1, 1))):
        assert not lift.feed(sf.TextDelta("c", channel))
    third = sf.TextDelta("c", sf.Channel("answer", (0, 2)))
    assert list(lift.feed(third)) == [third]
