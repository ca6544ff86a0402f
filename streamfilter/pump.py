"""The pump: between a source and a machine that waits, in an event loop of asyncio.

It reads the source in a task of its own and feeds the machine, so that what comes from either arrives as soon as it is there. It
reads only while nothing is ready and the machine is not full. While that works on something large, bit by bit, what comes by itself
waits, as it would if that were done at once. The same task closes the source when there is nothing more to read:
some sources must be closed where they were read. asyncio is imported here, when a machine waits, and nowhere below.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from streamfilter.closing import Closing
from streamfilter.machine import Machine
from streamfilter.slices import SLICE_CHARS, Steps, advanced, give_way

if TYPE_CHECKING:
    import asyncio


class Pump:
    """An async iterator over what a machine gives, in batches.

    Args:
        machine: one that waits; it is attached.
        step: gives the source's next item.
        closing: closes the source.
        drains: whether the source is read on when the machine has ended the stream.
        name: the machine's, for errors.

    Raises:
        RuntimeError: no event loop of asyncio is running.
    """

    def __init__(self, machine: Machine, step: Callable[[], Awaitable[Any]], closing: Closing, *, drains: bool, name: str) -> None:
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(f"{name} waits, which needs asyncio: run the stream in its event loop") from None
        self._loop = loop
        self._machine = machine
        self._watchers = machine.watchers
        self._step = step
        self._closing = closing
        self._drains = drains
        self._name = name
        self._feed: Callable[[Any], Sequence[Any]] = machine.feed
        self._begin: Callable[[Any], tuple[Sequence[Any], Steps | None]] | None = machine.begin
        self._under_way: Steps | None = None  # on something large, that goes on
        self._is_due = False  # meanwhile something has come by itself
        self._is_draining = False
        self._ready: list[Any] = []
        self._error: BaseException | None = None  # the source's, or the machine's
        self._ran_out = False
        self._is_reading = True
        self._is_stopped = False  # by the consumer
        self._is_over = False  # nothing more is to be read, for whatever reason
        self._is_finishing = False
        self._has_left = False
        self._is_working = False  # the machine is at work: it does not wake anybody meanwhile
        self._variables = contextvars.copy_context()  # the caller's: what the machine does by itself sees them, and leaves them
        self._arrived: asyncio.Future[None] | None = None  # what the consumer waits for
        self._resumed: asyncio.Future[None] | None = None  # what the reader waits for
        self._endings: Sequence[Awaitable[object]] = ()
        machine.attach(self._wake)
        self._reader = loop.create_task(self._read())

    async def __anext__(self) -> Sequence[Any]:
        while not self._ready:
            if self._error is not None:
                raise self._error
            if self._ran_out or self._has_left:
                raise StopAsyncIteration
            await self._arrival()
        return self._taken()

    async def settle(self) -> Sequence[Any]:
        """What the machine gives when it is finished, or as much of it as has come: to be called until `is_settled`."""
        if not self._is_finishing:
            self._is_finishing = True
            self._work(self._machine.finish)
        while not self._ready and not self.is_settled and self._error is None:
            await self._arrival()
        if not self._ready and self._error is not None:
            raise self._error
        return self._taken()

    @property
    def is_settled(self) -> bool:
        """Whether the machine is over, and all it gave was taken."""
        return self._has_left or (self._is_finishing and not self._ready and not self._machine.is_pending)

    def drain(self) -> None:
        """Let only usage pass from now on."""
        self._is_draining = True
        self._feed, self._begin = self._machine.drain, None
        self._resume()

    def let_go(self) -> None:
        """Nothing more is wanted: what waits is given up at once, and the machine with the text it holds."""
        machine, self._machine = self._machine, Machine()
        self._has_left = self._is_over = True
        self._ready = []
        self._feed, self._begin, self._under_way = self._machine.drain, None, None
        self._endings = [*self._endings, *machine.cancel()]
        self._announce()

    async def close(self) -> None:
        """Stop reading, close the source, and see to it that all that was begun has ended."""
        import asyncio

        self._is_stopped = self._is_over = True
        if self._is_reading:
            self._reader.cancel()
        begun = [self._reader, *map(asyncio.ensure_future, self._endings)]
        try:
            await asyncio.wait(begun)
        except asyncio.CancelledError:  # it is for what we wait for
            for each in begun:
                each.cancel()
            await asyncio.wait(begun)
            raise
        if self._reader.cancelled():  # before it had begun, or in closing
            await self._closing.close()
        elif (error := self._reader.exception()) is not None:
            raise error

    def abandon(self) -> None:
        """The consumer has vanished without a word: the reader closes the source, if the loop still runs."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._vanish)

    def _vanish(self) -> None:
        self.let_go()
        self._is_stopped = self._is_over = True
        if self._is_reading:
            self._reader.cancel()

    # ------------------------------------------------------------------ the reader

    async def _read(self) -> None:
        step, machine, watchers = self._step, self._machine, self._watchers
        try:
            while True:
                if (self._is_over or self._ready or machine.is_full or machine.ended) and not await self._is_wanted():
                    break
                if self._under_way is not None:
                    await give_way()
                    if self._under_way is not None:  # nobody has left meanwhile
                        self._fed()
                    continue
                try:
                    for watcher in watchers:
                        watcher.reading(self._give_up)
                    item = await step()
                except StopAsyncIteration:
                    self._ran_out = True
                    break
                finally:
                    for watcher in watchers:
                        watcher.reading(None)
                # Meanwhile a verdict may have ended the stream: then only `drain` takes what comes.
                if (machine.ended or self._is_over) and not await self._is_wanted():
                    break
                self._fed(item)
        except BaseException as error:  # goes on where the consumer is, unless that has stopped the reading
            if not self._is_stopped:
                self._fail(error)
        self._is_reading = False
        self._announce()
        await self._closing.close()

    def _fed(self, item: Any = None) -> None:
        """Feed the machine, or let it go on with what it was fed."""
        self._is_working = True
        try:
            if self._under_way is not None:
                given, is_over = advanced(self._under_way)
                if is_over:
                    self._under_way = None
            elif self._begin is None or (type(item) is str and len(item) <= SLICE_CHARS):
                given = self._feed(item)
            else:
                given, self._under_way = self._begin(item)
        finally:
            self._is_working = False
        if given:
            self._ready += given
            self._announce()
        if self._is_due and self._under_way is None:
            self._is_due = False
            self._wake()

    async def _is_wanted(self) -> bool:
        """Whether more is to be read, or what was read to be fed, once it may be. A source may lose the cancel that says no."""
        machine = self._machine
        while not self._is_over:
            if self._under_way is not None:  # what comes by itself, which might end the stream or make room, waits for that
                if not self._ready:
                    return True
            elif machine.ended and not self._is_draining:
                if not self._drains:
                    return False
            elif not self._ready and not machine.is_full:
                return True
            self._resumed = self._loop.create_future()
            await self._resumed
        return False

    def _give_up(self, error: BaseException) -> None:
        """Somebody will not wait for the source any longer."""
        self._fail(error)
        self._announce()

    def _resume(self) -> None:
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    # ------------------------------------------------------------------ what arrives

    def _wake(self) -> None:
        """The machine has something to collect."""
        if self._has_left or self._error is not None:
            return
        if self._is_working:  # a task that runs at once has ended at once
            self._loop.call_soon(self._wake)
            return
        if self._under_way is not None:
            self._is_due = True
            return
        try:
            self._variables.run(self._work, self._machine.collect)
        except BaseException as error:
            self._fail(error)
        self._announce()  # if nothing has come, then perhaps the end
        self._resume()

    def _work(self, step: Callable[[], Sequence[Any]]) -> None:
        self._is_working = True
        try:
            self._ready += step()
        finally:
            self._is_working = False

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._is_over = True

    def _taken(self) -> Sequence[Any]:
        items, self._ready = self._ready, []
        self._resume()
        return items

    async def _arrival(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            raise RuntimeError(f"somebody waits for the next item of the stream of {self._name} already")
        self._arrived = self._loop.create_future()
        if not self._watchers:
            await self._arrived
            return
        for watcher in self._watchers:
            watcher.wanted(True)
        try:
            await self._arrived
        finally:
            for watcher in self._watchers:
                watcher.wanted(False)

    def _announce(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
