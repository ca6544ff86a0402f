"""`Buffer`: the source is read ahead of a slow consumer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from streamfilter.context import Context
from streamfilter.flow.tee_readers import readers_of
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.stream import Function


@stage
class Buffer(Stage[str, str]):
    """Read ahead of a slow consumer, up to `n` items: a bounded queue between what stands before it and what stands behind it.

    What is before it runs in a task of its own and goes on while the consumer, or a stage behind it, is busy. When `n` items wait,
    nothing more is read until one is taken. Reading begins when the first item is asked for. An error of the source reaches the
    consumer after the items before it; when the consumer leaves, the items that wait die and the source is closed.

    Args:
        n: how many items may wait.

    Raises:
        ValueError: `n` is not at least 1.
        TypeError: it is used in plain code, or inside `wrap`, where nothing can be read ahead.
        RuntimeError: while streaming, if no event loop of asyncio is running.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def tokens():
        ...     for n in range(1, 5):
        ...         print("read", n)
        ...         yield str(n)
        >>> async def main():
        ...     async with sf.Buffer(2)(tokens()) as stream:
        ...         async for text in stream:
        ...             await asyncio.sleep(0.01)
        ...             print("used", text)
        >>> asyncio.run(main())
        read 1
        read 2
        read 3
        used 1
        read 4
        used 2
        used 3
        used 4
    """

    n: Annotated[int, Field(ge=1)]

    if TYPE_CHECKING:

        def __init__(self, n: int) -> None: ...

    reads: ClassVar[str] = "anything"
    gives: ClassVar[str] = "anything"
    owns_source: ClassVar[bool] = True

    @property
    def must_wait(self) -> bool:
        return True

    @property
    def function(self) -> Function:
        return self._read_ahead

    def machine(self, context: Context | None = None) -> Machine:
        raise TypeError(f"{self!r} reads ahead in a task of its own, so it has no machine: use it in a stream, outside `wrap`")

    def explanation(self) -> str:
        return f"every item; reads {f'up to {self.n}' if self.n > 1 else 'one'} of them ahead"

    def _read_ahead(self, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        return readers_of(source, 1, self.n, is_eager=True, name=repr(self))[0]
