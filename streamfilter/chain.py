"""Machines in a row, as one machine: each is fed what the one before it gives.

When one of them ends the stream, what those before it hold dies, and those behind it get what it gave before that. What the
machines do is not known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from streamfilter.items import End, Item
from streamfilter.machine import Machine, Watcher
from streamfilter.runs import Held
from streamfilter.slices import ITEM_CHARS, SLICE_CHARS, Steps, advanced, cost, cut, is_large, started


class _Direct:
    """What plain text meets in a machine of which nothing else is known."""

    __slots__ = ("chars", "last", "machine", "stops")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.stops: Callable[[str], object] | None = None
        self.chars = 0
        self.last: object = ""

    def feed(self, item: Item, text: str) -> Sequence[Item]:
        return self.machine.feed(item)


class Chain(Machine):
    """Machines in a row, as one: each is fed what the one before it gives.

    Args:
        machines: in order.
        drains: whether usage passes that comes after one of them has ended the stream.

    Example:
        >>> from streamfilter.lift import Lift
        >>> from streamfilter.machine import mapping
        >>> Chain([Lift(lambda: mapping(str.upper), "Shout"), Machine()]).feed("a")
        ('A',)
    """

    def __init__(self, machines: Sequence[Machine], *, drains: bool = False) -> None:
        self.machines: tuple[Machine, ...] = tuple(machines)
        self.waits: bool = False
        self._tail = 0  # where those begin that take slices, up to the last
        self._drains = drains
        self._finished: int | None = None  # so many machines, once the chain is being finished
        plain_runs: list[Held | _Direct] = []
        watchers: list[Watcher] = []
        for n, machine in enumerate(machines, 1):
            plain_runs.append(_plain_run(machine))
            if machine.watchers:
                watchers += machine.watchers
            if machine.waits:
                self.waits = True
            if not machine.takes_slices:
                self._tail = n
        # What plain text meets, which goes past the machines themselves: thousands of streams ask this at each chunk.
        self._plain_runs: tuple[Held | _Direct, ...] = tuple(plain_runs)
        self.takes_slices: bool = not self._tail
        self.watchers: Sequence[Watcher] = tuple(watchers)

    def feed(self, item: Item) -> Sequence[Item]:
        items: Sequence[Item] = (item,)
        if type(item) is not str or not item:
            return self._fed_on(0, items)
        for run in self._plain_runs:
            stops = run.stops
            if stops is not None and stops(item) is None:
                run.chars += len(item)
                run.last = item
                continue
            items = run.feed(item, item)
            if len(items) != 1:
                return self._fed_on(self._plain_runs.index(run) + 1, items) if items else items
            item = items[0]
            if type(item) is not str or not item:
                return self._fed_on(self._plain_runs.index(run) + 1, items)
        return items

    def _fed_on(self, first: int, items: Sequence[Item]) -> Sequence[Item]:
        """What leaves when the machines from one on are fed these."""
        for machine in self.machines[first:]:
            if not items:
                return items
            items = machine.feed(items[0]) if len(items) == 1 else self._feed_all(machine, items)
        return self._closed(items)

    def _closed(self, items: Sequence[Item]) -> Sequence[Item]:
        """What leaves, with what survives the end if one of the machines has ended the stream."""
        return [*items[:-1], *self.rescue(), items[-1]] if items and type(items[-1]) is End else items

    def _feed_all(self, machine: Machine, items: Sequence[Item]) -> list[Item]:
        """Feed one machine several items. If it ends the stream at one of them, the others have come too late."""
        out: list[Item] = []
        for n, item in enumerate(items, 1):
            out += machine.feed(item)
            if out and type(out[-1]) is End:
                end = out.pop()
                if self._drains:
                    out += [passed for late in items[n:] for passed in machine.drain(late)]
                return [*out, end]
        return out

    def finish(self) -> Sequence[Item]:
        self._finished = self._first()
        return self.collect()

    def collect(self) -> Sequence[Item]:
        """What comes by itself, through the machines behind it. At the end, each is finished when all before it are over."""
        items: list[Item] = []
        is_over = True
        first = self._first()
        for n, machine in enumerate(self.machines[first:], first):
            if items:
                items = self._feed_all(machine, items)
            end = items.pop() if items and type(items[-1]) is End else None
            if n == self._finished and is_over:
                self._finished = n + 1
                items += machine.finish()
            else:
                items += machine.collect()
            if end is not None:
                items.append(end)  # what it gives last comes before that
            is_over = is_over and not machine.is_pending
        return self._closed(items)

    # ------------------------------------------------------------------ in steps

    def steps(self, item: Any) -> Steps | None:
        return self._steps(item) if self._tail else super().steps(item)

    def _steps(self, item: Any) -> Steps:
        given, work = self.begin(item)
        if work is None:
            return given
        yield given
        return (yield from work)

    def begin(self, item: Any) -> tuple[Sequence[Item], Steps | None]:
        if not self._tail:
            return super().begin(item)
        items: Sequence[Any] = (item,)
        for n, machine in enumerate(self.machines):
            if len(items) == 1:
                each = items[0]
                if is_large(each) if n >= self._tail else self._work(n, each) is not None:
                    return started(self._in_turn(n, items))
                items = machine.feed(each)
            elif not items:
                break
            elif len(items) > SLICE_CHARS // ITEM_CHARS or any(self._takes_long(n, each) for each in items):
                return started(self._in_turn(n, items))
            else:
                items = self._feed_all(machine, items)
        return self._closed(items), None

    def _takes_long(self, n: int, item: Any) -> bool:
        return is_large(item) if n >= self._tail else self._work(n, item) is not None

    def _work(self, n: int, item: Any) -> Steps | None:
        """The steps of one of the machines. One that takes slices gets none where those behind it would see how it was fed."""
        machine = self.machines[n]
        return None if machine.takes_slices else machine.steps(item)

    def _in_turn(self, n: int, items: Sequence[Any]) -> Steps:
        """What comes of some items from one machine on: each goes as far as it gets before the next is fed."""
        out: list[Any] = []
        ends: dict[int, End] = {}  # by the machine that gave it: it goes on when what was late for it has gone
        for _ in self._through(n, items, out, ends):
            yield out[:]
            out.clear()
        while ends:
            n = min(ends)
            for _ in self._through(n + 1, [ends.pop(n)], out, ends):
                yield out[:]
                out.clear()
        return self._closed(out)

    def _through(self, n: int, items: Sequence[Any], out: list[Any], ends: dict[int, End]) -> Iterator[None]:
        """Let items go through the machines from one on, with a pause wherever others shall have a turn."""
        if n == len(self.machines):
            out += items
            return
        machine, room = self.machines[n], SLICE_CHARS
        for item in items if n < self._tail else _cut(items):
            if room <= 0:
                yield
                room = SLICE_CHARS
            room -= cost(item)
            if machine.ended:
                yield from self._through(n + 1, machine.drain(item), out, ends)
                continue
            work, is_over = self._work(n, item), False
            while not is_over:
                given, is_over = (machine.feed(item), True) if work is None else advanced(work)
                if given and type(given[-1]) is End:
                    ends[n], given = given[-1], given[:-1]
                yield from self._through(n + 1, given, out, ends)
                if ends and max(ends) >= n and not self._drains:
                    return
                if not is_over:
                    yield

    # ------------------------------------------------------------------ what its machines are

    def _first(self) -> int:
        """The first machine that counts: if one ended the stream, what those before it still hold dies."""
        for n, machine in enumerate(self.machines):
            if machine.ended:
                return n
        return 0

    @property
    def is_full(self) -> bool:  # type: ignore[override]  # of a chain these are not set, but seen
        """Whether one of the machines is."""
        return any(machine.is_full for machine in self.machines)

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        """Whether something will still come by itself from one of the machines that count."""
        return any(machine.is_pending for machine in self.machines[self._first() :])

    def attach(self, wake: Callable[[], None]) -> None:
        for machine in self.machines:
            machine.attach(wake)

    def cancel(self) -> Sequence[Awaitable[object]]:
        return [ending for machine in self.machines for ending in machine.cancel()]

    def rescue(self) -> Sequence[Item]:
        items: list[Item] = []
        for machine in self.machines:
            items = [out for item in items for out in machine.drain(item)]
            if not machine.ended:
                items += machine.rescue()
        return items

    def drain(self, item: Item) -> Sequence[Item]:
        items: Sequence[Item] = (item,)
        for machine in self.machines:
            items = [out for item in items for out in machine.drain(item)]
        return items

    @property
    def ended(self) -> bool:  # type: ignore[override]  # of a chain it is not set, but seen
        """Whether one of the machines has given an `End`."""
        return any(machine.ended for machine in self.machines)

    @property
    def held(self) -> int:
        return sum(machine.held for machine in self.machines)


def _plain_run(machine: Machine) -> Held | _Direct:
    """What plain text meets in a machine, if that is what its own `feed` would feed."""
    run = machine.plain_run
    if run is None or run.lift is not machine:
        return _Direct(machine)
    return run if getattr(machine.feed, "__func__", None) is type(run.lift).plain_feed else _Direct(machine)


def _cut(items: Sequence[Any]) -> Iterator[Any]:
    """Items, the large ones in slices."""
    for item in items:
        if is_large(item):
            yield from cut(item)
        else:
            yield item
