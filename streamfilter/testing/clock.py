"""Virtual time: an event loop of asyncio whose clock jumps to the next thing that is due. A test with time-outs takes no time.

Threads do not belong to it: what runs in one takes no virtual time, and the clock stands still until it is back.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
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


class FakeClock:
    """A clock that stands still until it is told to advance, for stages that go by one: `Context(clock=FakeClock())`.

    It needs no event loop of its own. What is due is called in the order of its time, while `advance` runs; what that wakes runs
    when the loop gets its turn (`await asyncio.sleep(0)`). Where a whole test may be in virtual time, `run_virtually` is simpler.

    Args:
        now: the time it shows at first, in seconds.

    Example:
        >>> clock = FakeClock()
        >>> timer = clock.call_at(2.5, lambda: print("due at", clock.time()))
        >>> clock.advance(2)
        >>> clock.advance(2)
        due at 2.5
        >>> clock.time()
        4.0
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = float(now)
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def time(self) -> float:
        """Seconds."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], object], /) -> FakeTimer:
        """Call something when it is that time; what is in the past already, at the next `advance`."""
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and call all that becomes due on the way.

        Raises:
            ValueError: time does not run backwards.
        """
        if not seconds >= 0:
            raise ValueError(f"advance({seconds!r}): time does not run backwards")
        until = self._now + seconds
        while self._timers and self._timers[0][0] <= until:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if not timer.is_cancelled:
                timer.callback()
        self._now = until

    @property
    def due(self) -> float | None:
        """When the next thing is due; None if nothing is."""
        return min((when for when, _, timer in self._timers if not timer.is_cancelled), default=None)


class FakeTimer:
    """What a `FakeClock` was told to call.

    Attributes:
        callback: that.
        is_cancelled: whether it will not be called after all.
    """

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.is_cancelled: bool = False

    def cancel(self) -> None:
        """Do not call it."""
        self.is_cancelled = True
