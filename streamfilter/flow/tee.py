"""`Tee`: several readers of one stream."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from streamfilter.declaration import Declared, declared
from streamfilter.flow.tee_readers import Reader, readers_of
from streamfilter.stream import check_source

T = TypeVar("T")

MAX_ITEMS = 1000
"""How far one reader may be behind another: the chunks of an answer of some pages, so that one who is only slow delays nobody."""


@declared
class Tee(Declared):
    """Several readers of one stream: each gets every item, and the stream is read once.

    Call it with a stream. It is no stage, as it gives several streams, so it stands around a pipeline, not in it:
    `sf.Tee(2)(SAFE(source))`. Each reader is a source for other pipelines.

    No reader loses an item. One that is ahead goes on until the slowest is `max_items` behind it, and then waits; one item more is
    read then, so that it does not wait to learn of the end, or of an error. So readers belong in tasks of their own, and one that
    nobody reads must be left (`async with`, or `aclose()`), after which it counts no longer. Nothing is read before a reader asks
    for it. When all have left the source is closed, in the task that read it. An error of the source reaches every reader, after
    the items before it.

    Args:
        n: how many readers.
        max_items: how many items at most are kept for the slowest of them.

    Raises:
        ValueError: an argument makes no sense.
        TypeError: when it is called: the source is no async iterable.
        RuntimeError: while reading, if no event loop of asyncio is running, or two tasks wait for the same reader.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def tokens():
        ...     for token in ["one ", "two"]:
        ...         yield token
        >>> async def read(stream):
        ...     async with stream:
        ...         return [text async for text in stream]
        >>> async def main():
        ...     to_show, to_store = sf.Tee(2, max_items=100)(tokens())
        ...     return await asyncio.gather(read(to_show), read(sf.MapText(str.upper)(to_store)))
        >>> asyncio.run(main())
        [['one ', 'two'], ['ONE ', 'TWO']]
    """

    n: Annotated[int, Field(ge=1)]
    max_items: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_ITEMS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, n: int, *, max_items: int = ...) -> None: ...

    def __call__(self, source: AsyncIterable[T]) -> tuple[Reader[T], ...]:
        """The readers of this source.

        Raises:
            TypeError: the source is no async iterable; the message says what would be right.
        """
        check_source(source)
        return readers_of(source, self.n, self.max_items, is_eager=False, name=repr(self))
