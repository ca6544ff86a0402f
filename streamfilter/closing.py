"""Closing sources: by `aclose()`, else `close()`, async or plain. What has neither needs no closing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence


class Closing:
    """What a stream stands on, to be closed once, when it is left.

    Args:
        source: what it reads.
        below: what that stands on, closed after it: what is beneath async generator functions.

    Attributes:
        is_open: whether reading has begun, and not all is closed.
    """

    def __init__(self, source: object, below: Sequence[object]) -> None:
        self._left = [source, *below]
        self.is_open: bool = False

    def begin(self, iterator: AsyncIterator[object]) -> None:
        """Reading begins, through this iterator of the source."""
        self.is_open = True
        if hasattr(iterator, "aclose") and self._left[:1] != [iterator]:
            self._left.insert(0, iterator)

    async def close(self) -> None:
        """Close all of it, whatever one of them raises. What is closed is not closed again.

        Raises:
            RuntimeError: a generator is at work for another task, or a thread. It is left open: that shall close it.
        """
        failure: BaseException | None = None
        busy: list[object] = []
        while self._left:
            target = self._left.pop(0)
            if getattr(target, "ag_running", False):
                busy.append(target)
                continue
            try:
                await _close(target)
            except BaseException as error:  # the others are closed all the same
                failure = failure or error
        self._left += busy  # another call may have left some too
        self.is_open = bool(self._left)
        if failure is None and busy:
            failure = RuntimeError("another task reads the source just now, or a thread: it is closed when that has its item")
        if failure is not None:
            raise failure


async def _close(source: object) -> None:
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if close is not None:
        result = close()
        if hasattr(result, "__await__"):
            await result
