"""From who calls with each piece to who iterates over them: one piece at a time, and no buffer.

Whoever gives waits until the piece is done with and the next is wanted: so a client that does not read stops the application.
"""

from __future__ import annotations

import asyncio


class Gone(OSError):
    """Nobody reads any more. ASGI wants an `OSError` of a connection that is closed."""


class Handoff:
    """An async iterator over what is given."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._piece: bytes | None = None
        self._error: BaseException | None = None
        self._has_ended = False
        self._is_closed = False
        self._given: asyncio.Future[None] | None = None  # what the reader waits for
        self._taken: asyncio.Future[None] | None = None  # what the giver waits for

    async def give(self, piece: bytes) -> None:
        """Give a piece, and wait until it is done with.

        Raises:
            Gone: nobody reads any more.
        """
        if self._is_closed:
            raise Gone("the response is over")
        self._piece = piece
        _ring(self._given)
        self._taken = self._loop.create_future()
        await self._taken
        if self._is_closed:
            raise Gone("the response is over")

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more is given."""
        self._has_ended = True
        self._error = error
        _ring(self._given)

    def __aiter__(self) -> Handoff:
        return self

    async def __anext__(self) -> bytes:
        _ring(self._taken)
        while self._piece is None or self._error is not None:
            if self._error is not None:  # what was given and not taken dies with the rest
                raise self._error
            if self._has_ended or self._is_closed:
                raise StopAsyncIteration
            self._given = self._loop.create_future()
            await self._given
        piece, self._piece = self._piece, None
        return piece

    async def aclose(self) -> None:
        """Read no more."""
        self._is_closed = True
        self._piece = None
        _ring(self._taken)
        _ring(self._given)


def _ring(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def is_of_closing(error: BaseException | None) -> bool:
    """Whether an exception comes of a response that was over, as Starlette's `ClientDisconnect` does."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        if isinstance(each, Gone):
            return True
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__, *(each.exceptions if isinstance(each, BaseExceptionGroup) else ())]
    return False
