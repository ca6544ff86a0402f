"""Sources that follow a script, and cutting of texts."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from streamfilter.items import Event

T = TypeVar("T")


@dataclass(slots=True)
class Mark(Event):
    """An event to see where events go. Pinned to plain text unless told otherwise.

    Args:
        name: tells marks apart.
    """

    name: object = None


def cut(text: str, *places: int) -> list[str]:
    """A text in pieces, cut at these places (in characters).

    Example:
        >>> cut("streams", 2, 5)
        ['st', 'rea', 'ms']
    """
    at = [0, *sorted(place for place in set(places) if 0 < place < len(text)), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(at)]


class ScriptedSource(Generic[T]):
    """A class-based async source that gives some items, then ends or raises, and counts how often it was closed.

    Args:
        items: what it gives.
        error: what it raises after them, instead of ending.
        pause: awaited before each item, such as `trio.lowlevel.checkpoint`; without it the source never suspends.
        close_error: what closing it raises.

    Attributes:
        given: how many items it has given.
        closed: how often it was closed.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> source = ScriptedSource(["a", "b"])
        >>> async def main():
        ...     async with sf.MapText(str.upper)(source) as stream:
        ...         return [text async for text in stream]
        >>> asyncio.run(main()), source.closed
        (['A', 'B'], 1)
    """

    def __init__(
        self,
        items: Iterable[T],
        *,
        error: BaseException | None = None,
        pause: Callable[[], Awaitable[object]] | None = None,
        close_error: BaseException | None = None,
    ) -> None:
        self._items: Sequence[T] = list(items)
        self._error = error
        self._pause = pause
        self._close_error = close_error
        self.given = 0
        self.closed = 0

    def __aiter__(self) -> ScriptedSource[T]:
        return self

    async def __anext__(self) -> T:
        if self._pause is not None:
            await self._pause()
        if self.given < len(self._items):
            self.given += 1
            return self._items[self.given - 1]
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> Any:
        """Count it."""
        self.closed += 1
        if self._close_error is not None:
            raise self._close_error
