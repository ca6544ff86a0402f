"""`ResumableStream`: a stream that is written once and read by anybody, anywhere, from wherever they were."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterable, Iterable
from typing import Any, Literal

from streamfilter.closing import Closing
from streamfilter.declaration import check_count, check_seconds
from streamfilter.items import Event
from streamfilter.resumable.encoding import ITEM, Encoding
from streamfilter.resumable.failures import StreamUnknown
from streamfilter.resumable.producing import Producer
from streamfilter.resumable.reading import Reader
from streamfilter.resumable.store import Page, Position, Store, Terms, check_id, check_store
from streamfilter.stream import check_source

LEASE_SECONDS = 15.0
"""How long a writer may be silent: longer than Redis takes to restart or to fail over, and than an event loop is ever blocked; and
no longer than somebody waits for an answer that does not go on."""

KEEP_SECONDS = 3600.0
"""How long a stream can be read after its end. Who comes back later reads the answer from where the application keeps answers."""

MAX_ITEMS = 200_000
"""Items that are kept: the longest answer that models of today give (128,000 tokens), with an item for each, and more."""

MAX_BYTES = 64 * 1024 * 1024
"""Of all items as they stand in the store: that answer as chunks of a provider, of some 300 bytes each, and more."""


class ResumableStream:
    r"""A stream that is kept in a store while it is written, so that whoever reads it can drop and come back, to any server.

    One server starts it: a task there reads the pipeline to its end, and each item enters the store when it has left the pipeline,
    never before. Anybody who knows the store and the id reads it, from the beginning or behind the event that was last seen, and
    follows it live. Nothing is missing and nothing doubled; where that cannot be, there is an error instead.

    The id is all that one needs to read or stop a stream, so check who asks for it.

    Args:
        store: a `MemoryStore`, a `RedisStore`, or another `Store`.
        id: of the stream; one for each answer.
        unread_seconds: stop when there has been no reader for so long, once there was one; 0: with the last one, within about a
            second. None: go on without readers. It must be longer than a client takes to connect again (for browsers 3 to 5 s).
        lease_seconds: how long the writer may be silent until readers take it for lost, and how long it tries to reach the store.
        keep_seconds: how long the stream can be read when nothing more comes.
        max_items: how many items are kept at least. Of more, the first ones are forgotten; who needs them gets `NotResumable`.
        max_bytes: of all items in the store. More end the stream with `LimitExceeded`.
        events: classes of your own events that are among the items.

    Of these, `start` uses all, and reading only `events`.

    Raises:
        TypeError: the store, the id or an event class is of a wrong type.
        ValueError: an argument makes no sense.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> from streamfilter.resumable import MemoryStore, ResumableStream
        >>> async def tokens():
        ...     for token in ["mail a@", "b.example", " now"]:
        ...         yield token
        >>> async def main():
        ...     answer = ResumableStream(MemoryStore(), "answer-1")
        ...     producer = await answer.start(sf.Redact(r"\S+@\S+", to="[mail]")(tokens()))
        ...     async with answer.read() as reader:
        ...         texts = [text async for text in reader]
        ...     return texts, reader.ended.how, await answer.status()
        >>> asyncio.run(main())
        (['mail ', '[mail]', ' ', 'now'], 'finished', 'ended')
    """

    def __init__(
        self,
        store: Store,
        id: str,  # noqa: A002  # what it is called everywhere here
        *,
        unread_seconds: float | None = None,
        lease_seconds: float = LEASE_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
        max_items: int = MAX_ITEMS,
        max_bytes: int = MAX_BYTES,
        events: Iterable[type[Event]] = (),
    ) -> None:
        for name, count in (("max_items", max_items), ("max_bytes", max_bytes)):
            check_count(name, count)
        if unread_seconds is not None:
            check_seconds("unread_seconds", unread_seconds, zero=True)
        self._store = check_store("store", store)
        self._id = check_id(id)
        self._unread = unread_seconds
        self._max_bytes = max_bytes
        self._encoding = Encoding(events)
        self._terms = Terms(
            check_seconds("lease_seconds", lease_seconds),
            check_seconds("keep_seconds", keep_seconds),
            max_items,
            unread_seconds is not None,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r})"

    async def start(self, source: AsyncIterable[Any]) -> Producer:
        """Begin the stream, and write what a source gives in a task of this event loop.

        Whatever this raises, the source is closed.

        Args:
            source: what a pipeline gives, or any async iterable.

        Raises:
            StreamExists: it was begun before, here or elsewhere.
            StoreFailed: the store cannot be reached.
            TypeError: the source is no async iterable; the message says what would be right.
        """
        check_source(source)
        owner = secrets.token_hex(16)
        try:
            await self._store.create(self._id, owner, self._terms)
        except BaseException:
            with contextlib.suppress(Exception):
                await Closing(source, ()).close()
            raise
        return Producer(
            self._store,
            self._id,
            owner,
            source,
            terms=self._terms,
            encoding=self._encoding,
            max_bytes=self._max_bytes,
            unread_seconds=self._unread,
        )

    def read(self, after: str | None = None) -> Reader:
        """Read the stream, and follow it live. Any number of readers may, each at its own pace.

        While they are read, `StreamUnknown`, `NotResumable`, `ProducerLost` and `StoreFailed` may be raised, and how the stream
        ended.

        Args:
            after: the id of the last event that was seen (`Last-Event-ID`); it may come from anybody. None or "": from the
                beginning.

        Raises:
            NotResumable: that is no id of an event of ours.
        """
        return Reader(self._store, self._id, Position.read(after) if after else None, self._encoding)

    async def peek(self, after: Position | None = None) -> tuple[Page, Any]:
        """What follows at this moment, for who has to answer before reading: nothing is waited for, and no reader is counted.

        Args:
            after: the event that was last seen; None: from the beginning.

        Returns:
            A page with the next entry, if there is one; and, behind an event, the first item of all, or None if it is forgotten.

        Raises:
            StreamUnknown: there is no such stream.
            MalformedInput: nothing of this version has written the first item.
            StoreFailed: the store cannot be reached.
        """
        if after is None:
            return await self._store.page(self._id, 0, 1, ""), None
        page = await self._store.page(self._id, after.number, 1, "")
        for entry in (await self._store.page(self._id, 0, 1, "")).entries:
            if entry.position.number == 1 and entry.name == ITEM:
                return page, self._encoding.decoded(entry.payload, 1)
        return page, None

    async def stop(self) -> bool:
        """Ask for its end, from any server: the source is closed within about a second, and readers come to an end.

        What the pipeline holds then dies.

        Returns:
            Whether it was still being written.
        """
        return await self._store.ask(self._id)

    async def status(self) -> Literal["live", "ended", "lost"] | None:
        """How it is: being written, at its end, without its writer; None if there is no such stream."""
        try:
            page = await self._store.page(self._id, 0, 1, "")
        except StreamUnknown:
            return None
        return "ended" if page.is_ended else "live" if page.lease_left >= 0 else "lost"

    async def delete(self) -> bool:
        """Forget it. One that is being written ends with `StoreFailed` where it is written.

        Returns:
            Whether there was one.
        """
        return await self._store.delete(self._id)
