"""What the helper streams of SDKs have beside their events, over filtered ones: for `async for` and for `for`.

A format derives from these, notes what leaves, and gives its own accessors. Nothing is known here of what events say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from streamfilter.context import Report
from streamfilter.plain import SyncStream
from streamfilter.stream import Stream

Chunk = TypeVar("Chunk")


class Events(Generic[Chunk]):
    """Filtered events, read with `async for`.

    Args:
        stream: the filtered events.

    Attributes:
        report: what the stages have found so far.
    """

    def __init__(self, stream: Stream[Chunk]) -> None:
        self._stream = stream
        self.report: Report = stream.report

    def note(self, event: Chunk) -> None:
        """An event leaves."""

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        event = await self._stream.__anext__()
        self.note(event)
        return event

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, traceback)

    async def aclose(self) -> None:
        """Leave: held text dies and the source is closed."""
        await self._stream.aclose()

    async def close(self) -> None:
        """The same, as SDKs call it."""
        await self.aclose()

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return self._stream.held

    async def until_done(self) -> Self:
        """Read to the end."""
        async for _ in self:
            pass
        return self


class SyncEvents(Generic[Chunk]):
    """Filtered events, read with `for`.

    Args:
        stream: the filtered events.

    Attributes:
        report: what the stages have found so far.
    """

    def __init__(self, stream: SyncStream[Chunk]) -> None:
        self._stream = stream
        self.report: Report = stream.report

    def note(self, event: Chunk) -> None:
        """An event leaves."""

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        event = next(self._stream)
        self.note(event)
        return event

    def __enter__(self) -> Self:
        self._stream.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stream.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Leave: held text dies and the source is closed."""
        self._stream.close()

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return self._stream.held

    def until_done(self) -> Self:
        """Read to the end."""
        for _ in self:
            pass
        return self
