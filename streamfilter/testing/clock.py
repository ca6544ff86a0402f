"""Virtual time: an event loop of asyncio whose clock jumps to the next thing that is due. A test with time-outs takes no time.

Threads do not belong to it: what runs in one takes no virtual time, and the clock stands still until it is back.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is 0 at first and passes only when nothing else is to do.

    Raises:
        RuntimeError: while running, when nothing is left that could ever happen.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._threads = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """As any loop does; the clock stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._back)
        return future

    async def shutdown_default_executor(self, *limit: Any, **limits: Any) -> None:
        """As any loop does; it waits for the threads."""
        self._threads += 1
        await super().shutdown_default_executor(*limit, **limits)
        self._threads -= 1

    def _back(self, future: asyncio.Future[Any]) -> None:
        self._threads -= 1

    def jump(self, seconds: float | None) -> bool:
        """Let time pass; whether the loop is to wait for a thread instead."""
        if self._threads:
            return True
        if seconds is None:
            raise RuntimeError("nothing will ever happen in this loop: everything waits for something that nobody does")
        self._now += seconds
        return False


class _Jumping(selectors.DefaultSelector):
    """A selector that does not wait: it lets time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        return super().select(timeout) if self._loop.jump(timeout) else ready


def run_virtually(main: Coroutine[Any, Any, T], *, debug: bool = True) -> T:
    """Run a coroutine like `asyncio.run`, in virtual time.

    Raises:
        RuntimeError: nothing is left that could ever happen, and it has not returned.

    Example:
        >>> async def a_day():
        ...     await asyncio.sleep(86_400)
        ...     return asyncio.get_running_loop().time()
        >>> run_virtually(a_day())
        86400.0
    """
    with asyncio.Runner(debug=debug, loop_factory=VirtualLoop) as runner:
        return runner.run(main)
