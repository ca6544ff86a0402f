"""Runs: what the text of one channel meets in one stage, from its beginning to its end.

What a text machine decides leaves here, and pieces pass here that a machine at rest would only keep. Which run an item belongs to,
and when a run ends, is the business of `lift`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from streamfilter.hold import Hold
from streamfilter.items import Channel, Event, Item, TextDelta, Usage
from streamfilter.machine import TextMachine, refusal

if TYPE_CHECKING:
    from streamfilter.lift import Lift

_AWAY = cast("list[Item]", ())  # nothing leaves but while a machine is fed: what is released then is not kept until it is fed again


class Run:
    """What a channel's text meets in a `Lift`: as it stands this lets it pass untouched."""

    __slots__ = ()

    @property
    def hold(self) -> Hold | None:
        """Its buffer, if it has one."""
        return None

    @property
    def is_pending(self) -> bool:
        """Whether it cannot settle yet."""
        return False

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        """Take in one piece, whose text is `text`; give what leaves."""
        return (item,)

    def collect(self) -> Sequence[Item]:
        """What leaves now that something has come that was waited for."""
        return ()

    def settle(self) -> Sequence[Item]:
        """Its text has ended: what is left, unless it is pending."""
        return ()

    def end(self) -> None:
        """It is over, and all of it has left."""

    def drop(self) -> Sequence[Event]:
        """End it: what is held dies, but for usage that waits there."""
        return ()

    def leave(self) -> None:
        """Nothing more is wanted of it: what is held dies with who knows it. It may be at work just now."""


class _Muted(Run):
    __slots__ = ()

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        return ()


PASSING = Run()
"""That of a channel which the stage does not apply to."""

MUTED = _Muted()
"""That of a channel of a stopped choice."""


class Mapped(Run):
    """A run whose machine is only a function."""

    __slots__ = ("fn", "lift")

    def __init__(self, lift: Lift, fn: Callable[[str], str]) -> None:
        self.lift: Lift = lift
        self.fn: Callable[[str], str] = fn

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        try:
            given = self.fn(text)
            if not isinstance(given, str):
                raise TypeError(f"the function of {self.lift.name} gave {type(given).__qualname__}: a str is needed")
        except Exception as error:
            return self.lift.end(refusal(error))
        if given == text:
            return (item,)
        if not given:
            return ()
        return (given,) if isinstance(item, str) else (TextDelta(given, item.channel, item.origin),)


class Held(Hold, Run):
    """A run whose machine decides through its hold, which this is: one object for both, as thousands of streams have five of them.

    It may be used for one run of its channel after another, with a machine for each.

    Args:
        lift: whose it is.
        channel: whose text.
        offset: characters of it that earlier runs have seen.

    Attributes:
        machine: the run's. None between runs.
        chars: characters that have passed since it came to rest.
        last: the last piece of them, as it came.
        delta: the last that was a delta.
    """

    __slots__ = ("chars", "delta", "last", "lift", "machine")

    base: int  # these are the hold's
    buf: str
    context: int
    out: list[Item]
    passed: str
    pos: int
    simple: bool
    stops: Callable[[str], object] | None

    def __init__(self, lift: Lift, channel: Channel, offset: int = 0) -> None:
        Hold.__init__(self, channel, offset=offset)  # `super()` takes as long as the call
        self.lift: Lift = lift
        self.machine: TextMachine | None = None
        self.chars: int = 0
        self.last: str | TextDelta = ""
        self.delta: TextDelta | None = None

    @property
    def hold(self) -> Hold:
        return self

    @property
    def is_pending(self) -> bool:
        return self.machine is not None and self.machine.is_pending

    def begin(self, machine: TextMachine) -> None:
        """A run begins."""
        self.machine = machine
        self.context = machine.context
        self.simple = not machine.context
        machine.hold = self
        machine.done = machine.done  # what is the machine's own is read three times as fast as what is its class's

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        if self.stops is not None:
            if text and self.stops(text) is None:
                self.chars += len(text)
                self.last = item
                if isinstance(item, TextDelta):
                    self.delta = item
                return (item,)
            self._rise()
        machine = self.machine
        if machine is None:  # who feeds it directly does not know whether a run has begun, or what it is
            return self.lift.feed(item)
        if not text:
            # A piece without text says nothing to the machine; where nothing is held it keeps its place by passing.
            if item is not text:
                self.note(item)
            elif not machine.passes_empty:
                return ()
            return () if len(self) else (item,)
        out: list[Item] = []
        self.out = out
        if self.simple and item is text and self.pos == len(self.buf):  # what has left is not needed any more
            self.base += self.pos
            self.pos = 0
            self.buf = text
        else:
            self.append(item, text)
        try:
            if machine.feed(text) is not None:  # type: ignore[func-returns-value]  # by its type; but users write it
                raise TypeError(f"feed() of {self.lift.name} gave something: text leaves through hold.keep and hold.replace")
        except Exception as error:
            machine.done = refusal(error)
        if machine.done is not None:
            return self.lift.stop(self, machine.done)
        self.out = _AWAY
        if self.stops is not None and (self.pos != len(self.buf) or self.context):
            self.stops = None
        return out

    def collect(self) -> Sequence[Item]:
        assert self.machine is not None
        return self._released(self.machine, self.machine.collect)

    def settle(self) -> Sequence[Item]:
        machine = self.machine
        assert machine is not None
        out = self._released(machine, machine.finish)
        if self.pos < len(self.buf) and not machine.is_pending:  # of what is done nothing is held
            step = f"{type(machine).__name__}.finish() of {self.lift.name}"
            error = RuntimeError(f"{step} left {len(self)} characters in the hold: keep or replace them")
            self.out = [*out]
            return self.lift.stop(self, refusal(error))
        return out

    def end(self) -> None:
        self.machine = None  # which knows this: they would not be gone together
        if self is self.lift.plain_run:  # others are let go, and may show what has left to a check that nobody waits for
            self.forget()

    def drop(self) -> list[Event]:
        usage: list[Event] = [event for event in super().drop() if isinstance(event, Usage)]
        self.stops = None
        self.end()
        return usage

    def leave(self) -> None:
        machine, self.machine = self.machine, None
        self.stops = None
        if machine is not None:
            machine.leave()

    def _rise(self) -> None:
        """It is at rest no longer: what has passed counts as come."""
        self.stops = None
        if not self.chars:
            return
        self.base += self.chars
        self.chars = 0
        if self.delta is not None:  # since then the run has pieces
            self.note(self.delta)
            self.delta = None
        self.note(self.last)
        self.passed = self.last if isinstance(self.last, str) else self.last.text

    def _released(self, machine: TextMachine, step: Callable[[], None]) -> Sequence[Item]:
        """What leaves while the machine takes a step that no text has caused."""
        if self.stops is not None:
            self._rise()
        out: list[Item] = []
        self.out = out
        try:
            step()
        except Exception as error:
            machine.done = refusal(error)
        if machine.done is not None:
            return self.lift.stop(self, machine.done)
        self.out = _AWAY
        self.stops = None  # what is to pass is said when it is fed
        return out
