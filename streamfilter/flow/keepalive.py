"""`KeepAlive`: something is given now and then where nothing else leaves, so that a connection is not taken for dead.

It is given to a consumer who waits, and to no other: to one who is slow they would come in a heap. The machine learns from the
driver whether anybody waits (`Watcher`).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from streamfilter.context import Context
from streamfilter.declaration import Seconds, show
from streamfilter.flow.timer import TOLERANCE, Timer
from streamfilter.items import End, Event, Failure, Finish, Item
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage

ENDING = (End, Finish, Failure)
"""What is no sign of life: it ends the stream, or a choice."""


@stage
class KeepAlive(Stage[Any, Any]):
    r"""Give an event whenever nothing has left for so many seconds, for proxies and clients that close a silent connection.

    It comes between items, never behind the end, and not while the consumer is busy: then it comes at the next wait, once. Let
    the stage be the last of a pipeline, so that nothing holds the event back.

    Args:
        seconds: without anything, before the first event and between two.
        event: what is given: an event, of which each time a copy is; or a function that makes one. Behind a stage that gives
            something else (`bytes`, say), that. `End`, `Finish` and `Failure` would end something, and are none.

    Raises:
        ValueError: an argument makes no sense.
        TypeError: it is used without an event loop; or while streaming, if the function gives nothing, a coroutine or what ends
            something.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> from streamfilter.testing import run_virtually  # as asyncio.run, in virtual time
        >>> async def slow():
        ...     yield "one "
        ...     await asyncio.sleep(20)
        ...     yield "two"
        >>> async def main():
        ...     async with sf.KeepAlive(15, sf.Raw(": alive", scope=None))(slow()) as stream:
        ...         return [item async for item in stream]
        >>> run_virtually(main())
        ['one ', Raw(scope=None, boundary=False, chunk=': alive'), 'two']
    """

    seconds: Seconds
    event: Any

    reads: ClassVar[str] = "anything"
    gives: ClassVar[str] = "anything"

    if TYPE_CHECKING:

        def __init__(self, seconds: float, event: Event | bytes | str | Callable[[], Any]) -> None: ...

    def compile(self) -> None:
        if self.event is None:
            raise ValueError("event is None: give an event, or a function that makes one")
        if isinstance(self.event, ENDING):
            raise ValueError(f"event: {type(self.event).__name__} ends something: give an event that says nothing, such as Raw")

    @property
    def must_wait(self) -> bool:
        return True

    def machine(self, context: Context | None = None) -> Machine:
        return _Beating(self, context or Context())

    def explanation(self) -> str:
        return f"gives something when nothing has left for {self.seconds:g} s; holds nothing"


class _Beating(Machine):
    waits = True

    def __init__(self, stage: KeepAlive, context: Context) -> None:
        self._event: Any = stage.event
        self._makes = callable(stage.event)
        self._seconds = stage.seconds
        self._timer = Timer(context.clock, self._ring)
        self._wake: Callable[[], None] = lambda: None
        self._at = 0.0  # when something left last
        self._is_wanted = False
        self._is_due = False  # for a consumer who waits
        self.watchers = (self,)

    def attach(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._timer.start()
        self._mark()

    def feed(self, item: Item) -> Sequence[Item]:
        if type(item) is End:
            self.ended = True
            self._timer.stop()
        elif self._timer.is_running:
            self._mark()
        return (item,)

    def collect(self) -> Sequence[Item]:
        if not self._is_due or not self._timer.is_running:
            return ()
        self._mark()
        return (_made(self._event) if self._makes else copy.copy(self._event),)

    def finish(self) -> Sequence[Item]:
        self._timer.stop()
        return ()

    def rescue(self) -> Sequence[Item]:
        self._timer.stop()
        return ()

    def cancel(self) -> Sequence[Awaitable[object]]:
        self._timer.stop()
        return ()

    # ------------------------------------------------------------------ what the driver says

    def reading(self, give_up: Callable[[BaseException], None] | None) -> None:
        return None

    def wanted(self, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        if is_wanted and self._timer.is_running:
            self._timer.set(max(self._at + self._seconds, self._timer.now()))

    # ------------------------------------------------------------------

    def _mark(self) -> None:
        """Something leaves now."""
        self._at = self._timer.now()
        self._is_due = False

    def _ring(self) -> None:
        due = self._at + self._seconds
        if not self._is_wanted:
            return  # set again when somebody waits
        if due > self._timer.now() + TOLERANCE:
            self._timer.set(due)
            return
        self._is_due = True
        self._wake()


def _made(make: Callable[[], Any]) -> Any:
    """What a user's function gives, if it makes sense."""
    event = make()
    if inspect.iscoroutine(event):
        event.close()  # it is never awaited, and that is said here
    if event is None or inspect.isawaitable(event) or isinstance(event, ENDING):
        raise TypeError(f"{show(make)} gave {type(event).__qualname__} for an event: one that ends nothing is needed, at once")
    return event
