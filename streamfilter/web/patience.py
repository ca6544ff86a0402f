"""How long is waited for a client that reads nothing.

One timer for a response, which looks now and then: one for each message would cost as much as filtering it does. What waits is
cancelled, as `asyncio.timeout` does it, and only that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from streamfilter.declaration import check_seconds

UNREAD_SECONDS = 300.0
"""Until a client that reads nothing is given up: a provider's stream waits for it all the time."""


class Unread(OSError):
    """The client has read nothing for too long. ASGI wants an `OSError` of a connection that is closed."""


def check_unread(seconds: float | None) -> float | None:
    """Refuse what is no time.

    Raises:
        ValueError: it is none.
    """
    return None if seconds is None else check_seconds("unread_seconds", seconds)


class Patience:
    """Waits for what is sent to one client, one message at a time, and for each no longer than it may take.

    Args:
        seconds: that one may take; None: as long as it does.

    Example:
        >>> async def main():
        ...     patience = Patience(0.01)
        ...     try:
        ...         await patience.of(asyncio.Event().wait())
        ...     except OSError as error:
        ...         return type(error)
        ...     finally:
        ...         patience.close()
        >>> asyncio.run(main())
        <class 'streamfilter.web.patience.Unread'>
    """

    __slots__ = ("_before", "_has_ended", "_loop", "_seconds", "_since", "_task", "_timer")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None  # who waits
        self._before = 0  # how often it has been cancelled, by others
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = False  # the wait, by us

    async def of(self, sent: Awaitable[object]) -> None:
        """Wait for a message to be sent.

        Raises:
            Unread: that took too long.
        """
        if self._seconds is None:
            await sent
            return
        task = asyncio.current_task()
        assert task is not None
        self._task, self._before, self._since = task, task.cancelling(), self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)
        try:
            await sent
        except asyncio.CancelledError:
            has_ended, self._has_ended = self._has_ended, False
            if has_ended and task.uncancel() <= self._before:
                raise Unread from None
            raise
        finally:
            self._task = None

    def close(self) -> None:
        """Nothing more is sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        assert self._seconds is not None
        until = self._seconds + (self._since if self._task is not None else self._loop.time())
        if self._task is None or until > self._loop.time():
            self._timer = self._loop.call_at(until, self._look)
            return
        self._timer, self._has_ended = None, True
        self._task.cancel()
