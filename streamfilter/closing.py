"""Closing sources: by `aclose()`, else `close()`, async or plain. What has neither needs no closing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence


class Closing:
    """What a stream stands on, to be closed once, when it is left.

    Args:
        source: what it reads.
        below: what that stands on, closed after it: what is beneath async generator functions.

    Attributes:
        is_open: whether reading has begun and nothing is closed.
    """

    def __init__(self, source: object, below: Sequence[object]) -> None:
        self._source = source
        self._below = below
        self._iterator: object = source
        self._is_closed = False
        self.is_open: bool = False

    def begin(self, iterator: AsyncIterator[object]) -> None:
        """Reading begins, through this iterator of the source."""
        self.is_open = True
        if hasattr(iterator, "aclose"):
            self._iterator = iterator

    async def close(self) -> None:
        """Close all of it, whatever one of them raises. Closing twice does nothing more."""
        if self._is_closed:
            return
        self._is_closed = True
        self.is_open = False
        failure: BaseException | None = None
        own = (self._source,) if self._iterator is self._source else (self._iterator, self._source)
        for target in (*own, *self._below):
            try:
                await _close(target)
            except BaseException as error:  # the others are closed all the same
                failure = failure or error
        if failure is not None:
            raise failure


async def _close(source: object) -> None:
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if close is not None:
        result = close()
        if hasattr(result, "__await__"):
            await result
