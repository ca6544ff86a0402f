"""Measuring machines: each stands around another machine, passes all on, and writes down what it saw.

Only the machines of a stream that is measured stand in these. Nothing here looks at text but for its length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from streamfilter.items import End, TextDelta
from streamfilter.machine import Machine, Watcher
from streamfilter.observer import Ending, Watch
from streamfilter.slices import Steps, advanced
from streamfilter.stats import Spread, StageStats, Stats

if TYPE_CHECKING:
    from streamfilter.context import Context

MAX_STAGES = 100
"""Stages that are measured one by one. A stage that starts others again and again must not fill the memory with their figures."""


class Ages:
    """How long characters stay between two places, where only their numbers are known: the oldest leave first.

    Args:
        spread: where it is written down.

    Example:
        >>> ages = Ages(Spread())
        >>> ages.arrive(0.0, 3)
        >>> ages.settle(2.0, held=1)
        >>> ages.settle(5.0, held=0)
        >>> ages.spread.total
        9.0
    """

    __slots__ = ("_held", "_waiting", "spread")

    def __init__(self, spread: Spread) -> None:
        self.spread: Spread = spread
        self._waiting: deque[tuple[float, int]] = deque()  # no more of them than characters are held
        self._held = 0

    def arrive(self, now: float, chars: int) -> None:
        """So many characters have come."""
        if chars:
            self._waiting.append((now, chars))
            self._held += chars

    def settle(self, now: float, held: int) -> None:
        """Only so many of them are still there."""
        leaving = self._held - held
        if leaving <= 0:  # none; or text that a machine has made itself is held as well
            return
        self._held = held
        waiting = self._waiting
        if not held and len(waiting) == 1:  # the usual case
            self.spread.add(now - waiting.pop()[0], leaving)
            return
        while leaving:
            since, chars = waiting.popleft()
            count = min(chars, leaving)
            self.spread.add(now - since, count)
            leaving -= count
            if count < chars:
                waiting.appendleft((since, chars - count))


class Gauge:
    """What measures one stream as a whole.

    Args:
        now: the clock, in seconds.
        watches: who is told when something arrives or leaves; the stream fills it when it begins.

    Attributes:
        stats: what was measured.
    """

    def __init__(self, now: Callable[[], float], watches: Sequence[Watch]) -> None:
        self.now = now
        self.stats: Stats = Stats()
        self._watches = watches
        self._start: float | None = None
        self._last_in = self._last_out = 0.0
        self._gates: list[Machine] = []
        self._ages = Ages(self.stats.added)
        self._entry = MAX_STAGES  # the first stage that is fed text: behind what reads a provider's chunks, if something does

    def begin(self) -> None:
        """The first item is asked for."""
        self._start = self.now()

    def gate(self, machine: Machine) -> None:
        """This machine holds what the stream does, or a part of it."""
        self._gates.append(machine)

    def arrived(self) -> None:
        """An item has come from the source."""
        since, stats = self._since(), self.stats
        if stats.first_in is None:
            stats.first_in = since
        else:
            stats.gaps_in.add(since - self._last_in)
        self._last_in = since
        for watch in self._watches:
            watch.arrived(since)

    def released(self) -> None:
        """An item leaves."""
        since, stats = self._since(), self.stats
        if stats.first_out is None:
            stats.first_out = since
        else:
            stats.gaps_out.add(since - self._last_out)
        self._last_out = since
        for watch in self._watches:
            watch.released(since)

    def entered(self, place: int, now: float, chars: int) -> None:
        """A stage was fed so many characters."""
        if chars and place <= self._entry:
            self._entry = place
            self._ages.arrive(now, chars)

    def worked(self, began: float) -> None:
        """The machines of the stream, or of a part of it, have worked since then."""
        self.stats.working += self.now() - began
        self._ages.settle(began, sum(gate.held for gate in self._gates))

    def checked(self, stats: StageStats | None, seconds: float) -> None:
        """A check of a stage has answered."""
        if stats is not None:
            stats.checks.add(seconds)
        for watch in self._watches:
            watch.checked(seconds)

    def end(self, ending: Ending) -> None:
        """The stream is over: what was held has left, or has died."""
        if self._start is not None:
            self._since()
        self.stats.ending = ending
        for stage in self.stats.stages:
            stage.held = 0
        self._gates.clear()

    def _since(self) -> float:
        if self._start is None:
            self.begin()
        assert self._start is not None
        self.stats.seconds = since = self.now() - self._start
        return since


class Around(Machine):
    """A machine that passes all to another and back.

    Args:
        inner: that one.
    """

    def __init__(self, inner: Machine) -> None:
        self.inner = inner
        self.waits: bool = inner.waits
        self.takes_slices: bool = inner.takes_slices
        self.watchers: Sequence[Watcher] = inner.watchers

    def step(self, call: Callable[[], Sequence[Any]], item: Any = None) -> Sequence[Any]:
        """All that may give items goes through here."""
        return call()

    def feed(self, item: Any) -> Sequence[Any]:
        return self.step(lambda: self.inner.feed(item), item)

    def steps(self, item: Any) -> Steps | None:
        work = self.inner.steps(item)
        return None if work is None else self._measured(work, item)

    def _measured(self, work: Steps, item: Any) -> Steps:
        while True:
            is_over = False

            def call() -> Sequence[Any]:
                nonlocal is_over
                given, is_over = advanced(work)
                return given

            given = self.step(call, item)
            if is_over:
                return given
            item = None
            yield given

    def finish(self) -> Sequence[Any]:
        return self.step(self.inner.finish)

    def collect(self) -> Sequence[Any]:
        return self.step(self.inner.collect)

    def drain(self, item: Any) -> Sequence[Any]:
        return self.step(lambda: self.inner.drain(item), item)

    def rescue(self) -> Sequence[Any]:
        return self.step(self.inner.rescue)

    def attach(self, wake: Callable[[], None]) -> None:
        self.inner.attach(wake)

    def cancel(self) -> Sequence[Awaitable[object]]:
        return self.inner.cancel()

    @property
    def ended(self) -> bool:  # type: ignore[override]  # these are the inner machine's
        return self.inner.ended

    @property
    def is_full(self) -> bool:  # type: ignore[override]
        return self.inner.is_full

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        return self.inner.is_pending

    @property
    def held(self) -> int:
        return self.inner.held


class Metered(Around):
    """The machine of one stage.

    Args:
        inner: the machine.
        stats: the stage's.
        gauge: the stream's.
        place: which of the stream's stages it is.
    """

    def __init__(self, inner: Machine, stats: StageStats, gauge: Gauge, place: int) -> None:
        super().__init__(inner)
        self._stats = stats
        self._gauge = gauge
        self._place = place
        self._ages = Ages(stats.hold)

    def step(self, call: Callable[[], Sequence[Any]], item: Any = None) -> Sequence[Any]:
        stats, now = self._stats, self._gauge.now
        began = now()
        if item is not None and type(item) is not End:
            chars = _chars(item)
            stats.chunks_in += 1
            stats.chars_in += chars
            self._ages.arrive(began, chars)
            self._gauge.entered(self._place, began, chars)
        items: Sequence[Any] = ()
        try:
            items = call()
        finally:
            stats.working += now() - began
            for out in items:
                if type(out) is not End:
                    stats.chunks_out += 1
                    stats.chars_out += _chars(out)
            stats.held = held = self.inner.held
            stats.most_held = max(stats.most_held, held)
            self._ages.settle(began, held)
        return items


class Gate(Around):
    """The machine of a whole pipeline, or of a part of it that has its own driver.

    Args:
        inner: the machine.
        gauge: the stream's.
        is_first: whether items that it is fed have just arrived.
        is_last: whether items that it gives leave.
    """

    def __init__(self, inner: Machine, gauge: Gauge, *, is_first: bool, is_last: bool) -> None:
        super().__init__(inner)
        self._gauge = gauge
        self._is_first = is_first
        self._is_last = is_last
        gauge.gate(inner)

    def step(self, call: Callable[[], Sequence[Any]], item: Any = None) -> Sequence[Any]:
        gauge = self._gauge
        began = gauge.now()
        if item is not None and self._is_first:
            gauge.arrived()
        items = call()
        gauge.worked(began)
        if self._is_last:
            for out in items:
                if type(out) is not End:
                    gauge.released()
        return items


def metered(start: Callable[[Context], Machine], name: str, context: Context) -> Machine:
    """A stage's machine, measured.

    Args:
        start: starts it.
        name: the stage's.
        context: of a stream that is measured; what the stage finds from then on counts as its own.
    """
    gauge = context.gauge
    if gauge is None or len(gauge.stats.stages) >= MAX_STAGES:
        return start(context)
    stats = StageStats(name)
    place = len(gauge.stats.stages)
    gauge.stats.stages.append(stats)
    return Metered(start(context.of(stats)), stats, gauge, place)


def _chars(item: object) -> int:
    """The characters of an item, if it is text."""
    return len(item.text if isinstance(item, TextDelta) else item) if isinstance(item, str | TextDelta) else 0
