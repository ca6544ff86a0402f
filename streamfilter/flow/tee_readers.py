"""Several readers of one source, which is read and closed by one task.

Some sources must be closed where they were read, and no reader's cancel may hit a source that others still read: so the source
belongs to a task of its own. What it has read waits, once, until each reader has taken it. What the readers do with the items is
not known here.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from streamfilter.closing import Closing

T = TypeVar("T")


class _Node(Generic[T]):
    """An item, and how many readers have not taken it. The last node of the row is empty: what comes next will be there.

    The row is linked from each reader's place to its end, so what everybody has taken is let go without anybody looking for it.
    """

    __slots__ = ("item", "left", "next")

    def __init__(self) -> None:
        self.item: T | None = None
        self.left: int = 0
        self.next: _Node[T] | None = None


class Place(Generic[T]):
    """Where one reader is."""

    __slots__ = ("arrived", "has_left", "node", "taken")

    def __init__(self, node: _Node[T]) -> None:
        self.node: _Node[T] = node  # what it takes next
        self.taken: int = 0
        self.has_left: bool = False
        self.arrived: asyncio.Future[None] | None = None  # what it waits for


class Shared(Generic[T]):
    """One source and the places of its readers.

    Args:
        source: is read once, from when the first reader asks.
        readers: how many there are.
        max_items: how many items may wait for a reader. At that one more is read only if another reader waits for it: so it learns
            of an end that is all that comes.
        is_eager: whether the source is read while nobody has asked for more.
        name: for errors.
    """

    def __init__(self, source: AsyncIterable[T], readers: int, max_items: int, *, is_eager: bool, name: str) -> None:
        self.name = name
        self.given: int = 0  # items read so far
        self._source = source
        self._closing = Closing(source, ())
        self._max_items = max_items
        self._is_eager = is_eager
        self._tail: _Node[T] = _Node()
        self.places: list[Place[T]] = [Place(self._tail) for _ in range(readers)]  # of those who have not left
        self._stored = 0  # items that somebody has not taken
        self._waiting: set[Place[T]] = set()  # for what is not read yet
        self._task: asyncio.Task[None] | None = None
        self._resumed: asyncio.Future[None] | None = None  # what the task waits for
        self._error: BaseException | None = None
        self._is_reading = True
        self._is_over = False  # all have left
        self._has_ended = False  # and the source is closed

    async def take(self, place: Place[T]) -> T:
        """The next item for this reader."""
        while (after := place.node.next) is None or place.has_left:
            if place.has_left:
                raise StopAsyncIteration
            if self._has_ended:
                self.forget(place)
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._arrival(place)
        node = place.node
        place.node = after
        place.taken += 1
        self._drop(node)
        return cast("T", node.item)

    async def leave(self, place: Place[T]) -> None:
        """This reader wants no more. The last one sees to it that the source is closed."""
        self.forget(place)
        if not self.places:
            await self._stop()

    def forget(self, place: Place[T]) -> None:
        """This reader counts no longer."""
        if place.has_left:
            return
        place.has_left = True
        self.places.remove(place)
        self._waiting.discard(place)
        node = place.node
        while node.next is not None:
            self._drop(node)
            node = node.next
        place.node = node
        if place.arrived is not None and not place.arrived.done():
            place.arrived.set_result(None)

    def abandon(self, place: Place[T]) -> None:
        """This reader has vanished without a word: if it was the last, the task closes the source, if the loop still runs."""
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.get_loop().call_soon_threadsafe(self._vanish, place)
        elif self._task is None:
            self.forget(place)

    def _vanish(self, place: Place[T]) -> None:
        self.forget(place)
        if not self.places:
            self._cancel()

    def _drop(self, node: _Node[T]) -> None:
        """One reader fewer for an item. Nobody takes one before another that came earlier, so the earliest is dropped first."""
        node.left -= 1
        if not node.left:
            self._stored -= 1
            self._resume()

    # ------------------------------------------------------------------ waiting

    async def _arrival(self, place: Place[T]) -> None:
        if self._task is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                raise RuntimeError(f"{self.name} reads in a task of its own, which needs asyncio") from None
            self._task = loop.create_task(self._read())
        place.arrived = self._task.get_loop().create_future()
        self._waiting.add(place)
        self._resume()
        try:
            await place.arrived
        finally:
            place.arrived = None
            self._waiting.discard(place)

    def _announce(self) -> None:
        for place in self._waiting:
            if place.arrived is not None and not place.arrived.done():
                place.arrived.set_result(None)
        self._waiting.clear()

    def _resume(self) -> None:
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    async def _is_wanted(self) -> bool:
        """Whether more is to be read, once it may be."""
        while not self._is_over:
            if self._waiting or (self._is_eager and self._stored < self._max_items):
                return True
            await self._change()
        return False

    async def _has_room(self) -> bool:
        """Whether what was read may be kept, once it may be."""
        while not self._is_over:
            if self._stored < self._max_items:
                return True
            await self._change()
        return False

    async def _change(self) -> None:
        self._resumed = asyncio.get_running_loop().create_future()
        await self._resumed

    # ------------------------------------------------------------------ the task

    async def _read(self) -> None:
        try:
            iterator = self._source.__aiter__()
            self._closing.begin(iterator)
            step: Callable[[], Awaitable[T]] = iterator.__anext__
            while await self._is_wanted():
                try:
                    item = await step()
                except StopAsyncIteration:
                    break
                if not await self._has_room():  # a source may lose the cancel that said so
                    break
                self._add(item)
        except BaseException as error:  # goes on where the readers are, unless none is left
            if not self._is_over:
                self._error = error
        self._is_reading = False
        try:
            await self._closing.close()
        except BaseException as error:
            self._error = self._error or error
        self._has_ended = True
        self._announce()

    def _add(self, item: T) -> None:
        node = self._tail
        node.item = item
        node.left = len(self.places)
        self._tail = node.next = _Node()
        self.given += 1
        self._stored += 1
        self._announce()

    def _cancel(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self._task is not None and self._is_reading:
                self._task.cancel()

    async def _stop(self) -> None:
        was_open = not self._is_over and not self._has_ended
        self._cancel()
        if self._task is None:
            await self._closing.close()
            return
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:  # it is for what we wait for
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        await self._closing.close()  # does nothing, but for a task that was cancelled before it had begun
        if was_open and self._error is not None:  # in closing: nobody has been told
            raise self._error


class Reader(Generic[T]):
    """One of several readers of a stream: an async iterator, and an async context manager that leaves however it is left.

    Leave it when nothing more is wanted (`async with`, or `aclose()`): the others do not wait for one that has left.
    """

    def __init__(self, shared: Shared[T], place: Place[T], *, warns: bool = True) -> None:
        self._shared = shared
        self._place = place
        self._warns = warns

    @property
    def behind(self) -> int:
        """How many items have been read and not yet been taken here."""
        return 0 if self._place.has_left else self._shared.given - self._place.taken

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._place.arrived is not None:
            raise RuntimeError(f"somebody waits for the next item of this reader of {self._shared.name} already")
        try:
            return await self._shared.take(self._place)
        except StopAsyncIteration:
            raise
        except BaseException:
            await self._abandon()
            raise

    async def aclose(self) -> None:
        """Leave. The last reader to leave closes the source. Leaving twice does nothing more."""
        await self._shared.leave(self._place)

    async def __aenter__(self) -> Reader[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            await self._abandon()

    async def _abandon(self) -> None:
        """Leave because of an exception that goes on: an error in closing does not replace it."""
        try:
            await self.aclose()
        except (Exception, BaseExceptionGroup):  # the one under way says more
            return

    def __del__(self) -> None:
        if self._place.has_left:
            return
        has_begun = self._place.taken > 0
        self._shared.abandon(self._place)
        if self._warns and has_begun:
            warnings.warn(
                f"a reader of {self._shared.name} was dropped before its end: write `async with reader`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


def readers_of(source: AsyncIterable[Any], n: int, max_items: int, *, is_eager: bool, name: str) -> tuple[Reader[Any], ...]:
    """`n` readers of a source. A single eager one is a buffer; its stream warns for it."""
    shared = Shared(source, n, max_items, is_eager=is_eager, name=name)
    return tuple(Reader(shared, place, warns=not is_eager) for place in [*shared.places])
