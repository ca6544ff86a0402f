"""Slices: a large text is worked off bit by bit, and whoever shares the event loop has a turn after each.

This is only for text in an event loop, and only before machines to which it makes no difference: at the entrance of a pipeline, and
within one, behind the last machine that wants its chunks whole. What the machines do with the text is not known here.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any

from streamfilter.items import Item, TextDelta, Usage
from streamfilter.machine import Chain, Machine

SLICE_CHARS = 1024
"""Characters that are fed to the machines at once. Patterns that are slow to decide take some 20 µs a character, so that no turn of
the loop takes more than some 20 ms; on ordinary text it takes below one, still long against the turn that is given away. Patterns
with thousands of places (`(a{1,100}){1,100}`), or that backtrack, can take longer, however small a slice is. No model gives so
many at once."""

ITEM_CHARS = 16
"""Characters that any item counts for at least: one large chunk may become many small items."""

GO_ON: Any = object()
"""What a `Divided` is fed when it is to work off more of what it has."""


class Slices:
    """An async iterator over what a source gives, in which no text has more than `SLICE_CHARS` characters.

    Args:
        step: gives the source's next item.
        large: what has come from it already.

    Example:
        >>> import asyncio
        >>> async def step():
        ...     return "small"
        >>> async def main():
        ...     slices = Slices(step, "x" * 2500)
        ...     return [len(await anext(slices)) for _ in range(4)]
        >>> asyncio.run(main())
        [1024, 1024, 452, 5]
    """

    __slots__ = ("_at", "_large", "_step")

    def __init__(self, step: Callable[[], Awaitable[Any]], large: str | TextDelta = "") -> None:
        self._step = step
        self._large = large
        self._at = 0

    def __aiter__(self) -> Slices:
        return self

    async def __anext__(self) -> Any:
        if not self._large:
            arrived = await self._step()
            if not is_large(arrived):
                return arrived
            self._large = arrived
        elif self._at:
            await give_way()
        large, at = self._large, self._at
        self._at = at + SLICE_CHARS
        if self._at >= _size(large):
            self._large, self._at = "", 0
        return _slice(large, at)


class Turns:
    """An async iterator over what a source gives, with a turn for others after each bit of it that is worked off.

    Args:
        step: gives the source's next item.
        machine: is fed what comes of this.
    """

    __slots__ = ("_machine", "_step")

    def __init__(self, step: Callable[[], Awaitable[Any]], machine: Divided) -> None:
        self._step = step
        self._machine = machine

    def __aiter__(self) -> Turns:
        return self

    async def __anext__(self) -> Any:
        if not self._machine.is_busy:
            return await self._step()
        await give_way()
        return GO_ON


def is_large(item: object) -> bool:
    """Whether it is text, and more than a slice."""
    if type(item) is TextDelta:
        item = item.text
    return type(item) is str and len(item) > SLICE_CHARS


def _slice(item: Any, at: int) -> str | TextDelta:
    """A slice of a text, on the chunk that brought it. All at once would take long too."""
    if type(item) is TextDelta:
        return TextDelta(item.text[at : at + SLICE_CHARS], item.channel, item.origin)
    return item[at : at + SLICE_CHARS]  # type: ignore[no-any-return]  # of a str


class Divided(Chain):
    """A chain whose first machines want their chunks whole and whose last take slices: what the first give is worked off in slices.

    While it is busy it is fed `GO_ON`, and nothing else.

    Args:
        machines: in order.
        at: the first of those that take slices.
        drains: as of a chain.

    Example:
        >>> from streamfilter.lift import Lift
        >>> from streamfilter.machine import mapping
        >>> machine = Divided([Machine(), Lift(lambda: mapping(str.upper), "Shout")], 1, drains=False)
        >>> [len(text) for text in machine.feed("a" * 1500)], machine.is_busy
        ([1024], True)
        >>> [len(text) for text in machine.feed(GO_ON)], machine.is_busy
        ([476], False)
    """

    def __init__(self, machines: Sequence[Machine], at: int, *, drains: bool) -> None:
        self._backlog = _Backlog()
        self._last = machines[at:]
        super().__init__([*machines[:at], self._backlog, *self._last], drains=drains)

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be worked off."""
        return bool(self._backlog.rest)

    def feed(self, item: Any) -> Sequence[Item]:
        self._backlog.room = SLICE_CHARS
        return super().collect() if item is GO_ON else super().feed(item)

    def collect(self) -> Sequence[Item]:
        # Of what comes by itself nobody asks for the rest, unless it is behind what somebody asks for.
        self._backlog.room = SLICE_CHARS if self.is_busy else sys.maxsize
        return super().collect()

    def drain(self, item: Any) -> Sequence[Item]:
        return () if item is GO_ON else super().drain(item)

    @property
    def ended(self) -> bool:  # type: ignore[override]
        """Whether a machine has given an `End`, and nothing that was before it is still to be worked off."""
        return any(machine.ended for machine in (self._last if self.is_busy else self.machines))


class _Backlog(Machine):
    """What stands between the first machines and the last: it gives as much as there is room for, and keeps the rest."""

    def __init__(self) -> None:
        self.room = 0  # characters
        self.rest: deque[Item] = deque()
        self._at = 0  # how much of the first of these has gone

    def feed(self, item: Item) -> Sequence[Item]:
        if self.room > 0 and not self.rest and not is_large(item):
            self.room -= max(ITEM_CHARS, _size(item))
            return (item,)
        self.rest.append(item)
        return self.collect()

    def collect(self) -> Sequence[Item]:
        out: list[Item] = []
        while self.rest and self.room > 0:
            item = piece = self.rest[0]
            if is_large(item):
                piece = _slice(item, self._at)
                self._at += SLICE_CHARS
            if not self._at or self._at >= _size(item):
                self.rest.popleft()
                self._at = 0
            self.room -= max(ITEM_CHARS, _size(piece))
            out.append(piece)
        return out

    def rescue(self) -> Sequence[Item]:
        usage = [item for item in self.rest if isinstance(item, Usage)]
        self.rest.clear()
        self._at = 0
        return usage

    @property
    def held(self) -> int:
        return sum(map(_size, self.rest)) - self._at


def _size(item: Item) -> int:
    return len(item) if isinstance(item, str) else len(item.text) if type(item) is TextDelta else 0


def divided(machine: Machine) -> Machine:
    """A machine as it is, or a `Divided` of the same machines if only the last of them take slices.

    Example:
        >>> divided(Machine())
        <streamfilter.machine.Machine object at ...>
    """
    if type(machine) is not Chain or machine.takes_slices:
        return machine
    at = len(machine.machines)
    while machine.machines[at - 1].takes_slices:
        at -= 1
    return machine if at == len(machine.machines) else Divided(machine.machines, at, drains=machine._drains)  # noqa: SLF001  # it becomes this one


async def give_way() -> None:
    """Let the others in the event loop have a turn. A cancel arrives here. Without a loop that is known it does nothing."""
    # What is running has been imported: nothing is imported here.
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises where there is none
        await _turn()
    elif trio is not None and trio.lowlevel.in_trio_run():
        await trio.lowlevel.checkpoint()


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield  # to a task of asyncio: go on in the next turn
