"""`Timeout`: a source that has stopped giving anything is given up.

What is counted is the time in which the driver waits for the source and the consumer for the driver, because then and only then is
it the source that keeps somebody waiting. The machine is told of both (`Watcher`), and passes every item.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from streamfilter.context import Context
from streamfilter.declaration import Plain, Seconds
from streamfilter.errors import SourceTimeout
from streamfilter.flow.timer import TOLERANCE, Timer
from streamfilter.items import End, Finish, Item, Raw, TextDelta, Usage
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage

TOOL_REASONS = frozenset({"tool_calls", "function_call", "tool_use"})
"""Reasons to finish that say that a tool is to run: OpenAI's `finish_reason` (the second one is its older word), Anthropic's
`stop_reason`."""


def runs_tools(event: Any) -> bool:
    """Whether an event says that the model waits for tools: a `Finish` for one of `TOOL_REASONS`.

    Example:
        >>> runs_tools(Finish("tool_calls")), runs_tools(Finish("stop"))
        (True, False)
    """
    return isinstance(event, Finish) and event.reason in TOOL_REASONS


@stage
class Timeout(Stage[Any, Any]):
    r"""Raise `SourceTimeout` when the source gives nothing for too long. It is raised like an error of the source: held text dies.

    Only the time is counted in which the consumer waits and the stream for its source: while the consumer is slow, or other stages
    wait for something, none passes here. Any item counts that the source gives, text or not.

    Behind an event that announces a pause no time is counted, until text comes, or an event other than `Usage`, `Raw` and those
    without a place. For that the stage has to see the event in time: let it be the first of a pipeline.

    Args:
        first: seconds for the first item.
        between: seconds from one item to the next, and to the end.
        total: seconds for all of them.
        pauses: tells events that announce a pause, such as a tool that runs, from others. By default a `Finish` for one of
            `TOOL_REASONS` does.

    Raises:
        ValueError: there is no limit, or one that makes no sense.
        SourceTimeout: while streaming; it says which limit was reached.
        TypeError: it is used without an event loop.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> from streamfilter.testing import run_virtually  # as asyncio.run, in virtual time
        >>> async def stuck():
        ...     yield "one "
        ...     await asyncio.sleep(60)
        ...     yield "two"
        >>> async def main():
        ...     async with sf.Timeout(first=5, between=10)(stuck()) as stream:
        ...         async for text in stream:
        ...             print(text)
        >>> run_virtually(main())
        Traceback (most recent call last):
        ...
        streamfilter.errors.SourceTimeout: the source gave nothing for 10.0 s after an item (between)
    """

    first: Seconds | None = dataclasses.field(default=None, kw_only=True)
    between: Seconds | None = dataclasses.field(default=None, kw_only=True)
    total: Seconds | None = dataclasses.field(default=None, kw_only=True)
    pauses: Plain[Callable[[Any], bool]] = dataclasses.field(default=runs_tools, kw_only=True)

    reads: ClassVar[str] = "anything"
    gives: ClassVar[str] = "anything"

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            first: float | None = ...,
            between: float | None = ...,
            total: float | None = ...,
            pauses: Callable[[Any], bool] = ...,
        ) -> None: ...

    def compile(self) -> None:
        if self.first is None and self.between is None and self.total is None:
            raise ValueError("a limit is needed: first=, between= or total= seconds")

    @property
    def must_wait(self) -> bool:
        return True

    def machine(self, context: Context | None = None) -> Machine:
        return _Limit(self, context or Context())

    def explanation(self) -> str:
        limits = {"first": self.first, "between": self.between, "total": self.total}
        return ", ".join(f"{name} {limit:g} s" for name, limit in limits.items() if limit is not None) + "; holds nothing"


class _Limit(Machine):
    waits = True
    takes_slices = True

    def __init__(self, stage: Timeout, context: Context) -> None:
        self._stage = stage
        self._pauses = stage.pauses
        self._is_first = True
        self._between = math.inf if stage.between is None else stage.between
        self._limit = math.inf if stage.first is None else stage.first  # for the next item
        self._rest = math.inf if stage.total is None else stage.total  # of the total
        self._is_reading = self._is_wanted = self._is_paused = False
        self._spent = 0.0  # of the limit for the next item
        self._since: float | None = None  # when the counting has begun that goes on now
        self._give_up: Callable[[BaseException], None] | None = None
        self._timer = Timer(context.clock, self._ring)
        self.watchers = (self,)

    def attach(self, wake: Callable[[], None]) -> None:
        self._timer.start()

    def feed(self, item: Item) -> Sequence[Item]:
        kind = type(item)
        if kind is str or kind is TextDelta:
            if self._is_paused and (item if isinstance(item, str) else cast("TextDelta", item).text):
                self._is_paused = False
            return (item,)
        if kind is End:
            self.ended = True
        if self._pauses(item):
            self._is_paused = True
        elif self._is_paused and not isinstance(item, Usage | Raw) and getattr(item, "scope", ()) is not None:
            self._is_paused = False
        return (item,)

    def cancel(self) -> Sequence[Awaitable[object]]:
        self._timer.stop()
        return ()

    # ------------------------------------------------------------------ what the driver says

    def reading(self, give_up: Callable[[BaseException], None] | None) -> None:
        self._give_up = give_up
        if give_up is not None:
            if self._is_wanted:
                self._count()
            return
        if self._since is not None:
            self._pause()
        self._spent = 0.0
        self._limit = self._between
        self._is_first = False

    def wanted(self, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        if not is_wanted:
            if self._since is not None:
                self._pause()
        elif self._give_up is not None:
            self._count()

    # ------------------------------------------------------------------

    def _count(self) -> None:
        """From now on time is counted."""
        if self._is_paused or not self._timer.is_running:
            return
        self._since = now = self._timer.now()
        left = min(self._limit - self._spent, self._rest)
        if left < math.inf:
            self._timer.set(now + left)

    def _pause(self) -> None:
        """Up to now it was."""
        if self._since is not None:
            passed = self._timer.now() - self._since
            self._since = None
            self._spent += passed
            self._rest -= passed

    def _ring(self) -> None:
        if self._since is None or self._give_up is None:
            return  # the next count sets the timer anew
        passed = self._timer.now() - self._since
        left = min(self._limit - self._spent, self._rest) - passed
        if left > TOLERANCE:
            self._timer.set(self._timer.now() + left)
            return
        name: Literal["first", "between", "total"] = "first" if self._is_first else "between"
        if self._rest < self._limit - self._spent:
            name = "total"
        self._give_up(SourceTimeout(name, getattr(self._stage, name)))
