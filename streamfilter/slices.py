"""Slices: a large text is worked off bit by bit, and whoever shares the event loop has a turn after each.

This is only for text in an event loop, and only before machines to which it makes no difference. What such a machine does with the
text is not known here.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any

SLICE_CHARS = 1024
"""Characters that are fed to the machines at once. The patterns that are slowest to decide take some 20 µs a character, so that no
turn of the loop takes more than some 20 ms; on ordinary text it takes below one, still long against the turn that is given away.
No model's token has so many."""


class Slices:
    """An async iterator over what a source gives, in which no text has more than `SLICE_CHARS` characters.

    Args:
        step: gives the source's next item.
        text: what has come from it already.

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

    __slots__ = ("_at", "_step", "_text")

    def __init__(self, step: Callable[[], Awaitable[Any]], text: str = "") -> None:
        self._step = step
        self._text = text
        self._at = 0

    def __aiter__(self) -> Slices:
        return self

    async def __anext__(self) -> Any:
        if not self._text:
            arrived = await self._step()
            if type(arrived) is not str or len(arrived) <= SLICE_CHARS:
                return arrived
            self._text = arrived
        elif self._at:
            await give_way()
        text, at = self._text, self._at
        self._at = at + SLICE_CHARS
        if self._at >= len(text):
            self._text, self._at = "", 0
        return text[at : at + SLICE_CHARS]


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
