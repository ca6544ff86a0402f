"""`Reader`: a stream as it comes back out of a store: what there is, and then what comes, without a gap.

Numbers of entries have no gaps, so whatever is missing is seen. A reader asks the store how the stream is when nothing has come for
as long as its writer may be silent, and so tells a slow one from a dead one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

from streamfilter.errors import MalformedInput
from streamfilter.resumable.encoding import END, ITEM, Encoding, ending_decoded
from streamfilter.resumable.failures import Ended, NotResumable, ProducerLost, StoreFailed, StreamUnknown
from streamfilter.resumable.store import Entry, Page, Position, Store
from streamfilter.slices import give_way

PAGE_ITEMS = 100
"""Entries that are fetched at once: a few chunks' worth of sockets, and little memory for each reader."""

LEAVE_SECONDS = 1.0
"""How long leaving may take. A reader that the store has not seen leave counts until its own lease is over."""

AFTER_LEASE_SECONDS = 0.01
"""Behind the end of a lease, until it is looked whether it was renewed: more than the millisecond that stores reckon in."""


class Reader:
    """A stream from a store: an async iterator of its items, and an async context manager. It is a source for pipelines too.

    It ends as the stream ended where it was written: of this library's exceptions the same is raised here, `ProducerFailed` for
    others. All that was written before comes first.

    Attributes:
        ended: how the stream ended; None until that is known.

    Example:
        >>> from streamfilter.resumable import MemoryStore, ResumableStream
        >>> async def main():
        ...     async with ResumableStream(MemoryStore(), "answer-1").read() as reader:
        ...         await anext(reader)
        >>> asyncio.run(main())
        Traceback (most recent call last):
        ...
        streamfilter.resumable.failures.StreamUnknown: there is no stream with this id: ...
    """

    def __init__(self, store: Store, id: str, after: Position | None, encoding: Encoding) -> None:  # noqa: A002
        self.ended: Ended | None = None
        self._store = store
        self._id = id
        self._encoding = encoding
        self._after = after  # the last entry that was fetched; None: it is not known yet in which stream
        self._given = after  # the last one that was given
        self._ready: Sequence[Entry] = ()
        self._next = 0
        self._asks = True  # how the stream is, before it waits for more
        self._seconds = 0.0  # to wait
        self._token = secrets.token_hex(8)
        self._counts = False  # for the store, as far as is known: a question that was cut off may have reached it, or not
        self._attending: asyncio.Task[None] | None = None
        self._waiting: asyncio.Timeout | None = None
        self._is_over = False

    @property
    def last_id(self) -> str | None:
        """The id of the last item that was given, as the `id` of an event: what `read` goes on behind. None before the first."""
        return None if self._given is None else str(self._given)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'reading' if not self._is_over else 'left' if self.ended is None else self.ended.how}>"

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._waiting is not None:
            raise RuntimeError("somebody waits for the next item of this reader already")
        try:
            while not self._is_over:
                if self._next < len(self._ready):
                    entry = self._ready[self._next]
                    self._next += 1
                    if entry.name == ITEM:
                        item = self._encoding.decoded(entry.payload, entry.position.number)
                        self._given = entry.position
                        return item
                    await self._finish(entry)
                else:
                    self._ready, self._next = await self._more(), 0
        except BaseException:
            await self._abandon()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave. Others, and who writes the stream, go on, unless it is to stop with its last reader."""
        self._is_over = True
        self._ready = ()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
        attending, self._attending = self._attending, None
        if attending is not None:
            attending.cancel()
            await asyncio.wait([attending])
        counts, self._counts = self._counts, False
        if counts:
            with contextlib.suppress(StoreFailed, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._store.leave(self._id, self._token, 0 if self._after is None else self._after.created)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await (self.aclose() if error is None else self._abandon())

    def __del__(self) -> None:
        attending = getattr(self, "_attending", None)
        if attending is not None and not attending.get_loop().is_closed():
            attending.get_loop().call_soon_threadsafe(attending.cancel)

    # ------------------------------------------------------------------

    async def _finish(self, entry: Entry) -> None:
        """The last entry: end as it says."""
        number = entry.position.number
        if entry.name != END:
            raise MalformedInput("an entry of the store is of a version that this one does not know", number)
        self.ended = ending_decoded(entry.payload, number)
        await self.aclose()
        error = self.ended.exception()
        if error is not None:
            raise error

    async def _more(self) -> Sequence[Entry]:
        """What follows, as soon as there is any; nothing, if it is to be asked for again."""
        entries: Sequence[Entry] = ()
        try:
            async with asyncio.timeout(None) as self._waiting:
                if self._ready:  # a page was given: what catches up with a long stream in memory would wait nowhere
                    await give_way()
                if not self._asks and self._after is not None:
                    entries = await self._store.follow(self._id, self._after, PAGE_ITEMS, self._seconds)
                if not entries:
                    created, number = (0, 0) if self._after is None else self._after
                    self._counts = True
                    entries = self._seen(await self._store.page(self._id, number, PAGE_ITEMS, self._token, created))
        except TimeoutError:
            if not self._is_over:
                raise
        finally:
            self._waiting = None
        return self._checked(entries)

    def _seen(self, page: Page) -> Sequence[Entry]:
        """What there is, once it is known to be what follows."""
        self._counts = page.counts_readers and not page.is_ended
        if self._after is None:
            self._after = Position(page.created, 0)
        if self._after.created != page.created:
            raise NotResumable("the event id is one of another stream, which had the same id before")
        if self._after.number > page.last - page.is_ended:
            raise NotResumable("the event id is one of an item that the store does not have")
        if not page.entries and self._after.number < page.last:
            raise NotResumable(_FORGOTTEN)
        if not page.entries and page.lease_left < 0:
            raise ProducerLost
        if self._counts and self._attending is None:
            attending = _attend(self._store, self._id, self._token, page.created, page.lease_seconds / 3)
            self._attending = asyncio.get_running_loop().create_task(attending)
        self._asks = False
        self._seconds = max(page.lease_left, 0) + AFTER_LEASE_SECONDS
        return page.entries

    def _checked(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The same entries, none of which is missing."""
        if entries and self._after is not None:
            first, last = entries[0].position, entries[-1].position
            if first != Position(self._after.created, self._after.number + 1) or last.number - first.number + 1 != len(entries):
                raise NotResumable(_FORGOTTEN)
            self._after = last
        return entries

    async def _abandon(self) -> None:
        """Leave because of an exception: an error in leaving does not replace it."""
        with contextlib.suppress(Exception):
            await self.aclose()


_FORGOTTEN = "items behind this event id, or from the beginning, are no longer kept (max_items)"


async def _attend(store: Store, id: str, token: str, created: int, seconds: float) -> None:  # noqa: A002
    """Say again and again that a reader is there, also while its consumer asks for nothing. It does not keep the reader alive."""
    while True:
        await asyncio.sleep(seconds)
        with contextlib.suppress(StoreFailed):
            try:
                if (await store.page(id, 0, 1, token, created)).created != created:
                    return
            except StreamUnknown:
                return
