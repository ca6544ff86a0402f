"""One moment in time that a machine waits for: a clock calls it back then.

A machine has one of these, and no task. The clock is told of a moment only when none is set that comes before it: a stream of
many items that puts its moment off with each of them would otherwise cost a call and a cancel per item. So the machine may be
called too early, looks what is due, and sets the next moment. What is waited for is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamfilter.context import Clock, Timed

TOLERANCE = 1e-9
"""Seconds by which a moment counts as reached before its time: asyncio calls that early, and sums of seconds are off by less."""


class Timer:
    """A clock, and at most one call that it is to make.

    Args:
        clock: the clock; None is the event loop that is running when the timer is started.
        ring: called at the moment that was set, or before.

    Attributes:
        is_running: whether it was started and not stopped. In plain code it never is.
        now: the clock's time; for a timer that was started.
    """

    __slots__ = ("_call_at", "_clock", "_due", "_ring", "_set", "is_running", "now")

    now: Callable[[], float]

    def __init__(self, clock: Clock | None, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._set: Timed | None = None
        self._due = 0.0
        self.is_running: bool = False

    def start(self) -> None:
        """Begin: there is an event loop."""
        clock = self._clock
        if clock is None:
            clock = asyncio.get_running_loop()
        self.now = clock.time
        self._call_at = clock.call_at
        self.is_running = True

    def set(self, when: float) -> None:
        """Ring at this moment, or at the one that is set already, if that comes before it."""
        if self._set is not None:
            if self._due <= when:
                return
            self._set.cancel()
        if self.is_running:
            self._due = when
            self._set = self._call_at(when, self._rings)

    def stop(self) -> None:
        """Ring no more."""
        self.is_running = False
        if self._set is not None:
            self._set.cancel()
            self._set = None

    def _rings(self) -> None:
        self._set = None
        self._ring()
