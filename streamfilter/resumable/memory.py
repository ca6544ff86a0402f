"""`MemoryStore`: streams that are kept where they are written, in one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from streamfilter.resumable.failures import StoreFailed, StreamExists, StreamUnknown
from streamfilter.resumable.store import Entry, Page, Position, Sign, Terms

LOST = "the stream is no longer there, or another's"
LAPSED = "the stream was not heard of for longer than its lease, so that its readers take it for lost"


class _Kept:
    """One stream. Times are those of the event loop."""

    __slots__ = (
        "created",
        "entries",
        "expires",
        "heard",
        "is_asked",
        "is_ended",
        "last",
        "owner",
        "readers",
        "terms",
        "unread",
        "waiting",
    )

    def __init__(self, created: int, owner: str, terms: Terms, now: float) -> None:
        self.created = created
        self.owner = owner
        self.terms = terms
        self.heard = now
        self.expires = now + terms.lease_seconds + terms.keep_seconds
        self.entries: list[Entry] = []
        self.last = 0
        self.is_ended = False
        self.is_asked = False
        self.readers: dict[str, float] = {}  # until when each of them counts
        self.unread: float | None = None  # since when there is none
        self.waiting: set[asyncio.Future[None]] = set()


class MemoryStore:
    """A store for one event loop: streams can be resumed there, and are gone with it.

    It is for one server that needs nothing else, and for tests; what runs over it runs over `RedisStore` too. Streams that have
    expired are let go when another one begins.

    Example:
        >>> import asyncio
        >>> from streamfilter.resumable import MemoryStore, ResumableStream
        >>> async def tokens():
        ...     for token in ["one ", "two ", "three"]:
        ...         yield token
        >>> async def main():
        ...     answer = ResumableStream(MemoryStore(), "answer-1")
        ...     await answer.start(tokens())
        ...     async with answer.read() as reader:
        ...         first = await anext(reader)
        ...     async with answer.read(reader.last_id) as again:
        ...         return first, [text async for text in again]
        >>> asyncio.run(main())
        ('one ', ['two ', 'three'])
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Kept] = {}
        self._created = 0

    def __repr__(self) -> str:
        return "MemoryStore()"

    async def create(self, id: str, owner: str, terms: Terms) -> int:  # noqa: A002
        """Begin a stream; see `Store`."""
        now = _now()
        for name in [name for name, kept in self._streams.items() if kept.expires <= now]:
            self._forget(name)
        if id in self._streams:
            if self._streams[id].owner == owner:
                return self._streams[id].created
            raise StreamExists
        self._created = max(self._created + 1, time.time_ns() // 1000)
        self._streams[id] = _Kept(self._created, owner, terms, now)
        return self._created

    async def append(self, id: str, owner: str, first: int, name: str, payloads: Sequence[str]) -> Sign:  # noqa: A002
        """Add entries; see `Store`."""
        kept, now = self._written(id, owner)
        if kept.is_ended or first > kept.last + 1:
            raise StoreFailed(LOST)
        for payload in payloads[max(0, kept.last + 1 - first) :]:
            self._add(kept, name, payload)
        for reader in [reader for reader, until in kept.readers.items() if until <= now]:
            _left(kept, reader, now)
        return Sign(kept.is_asked, 0.0 if kept.unread is None else now - kept.unread)

    async def end(self, id: str, owner: str, first: int, name: str, payload: str) -> None:  # noqa: A002
        """Add the last entry; see `Store`."""
        kept, now = self._written(id, owner)
        if kept.is_ended:
            return
        if first > kept.last + 1:
            raise StoreFailed(LOST)
        self._add(kept, name, payload)
        kept.is_ended = True
        kept.expires = now + kept.terms.keep_seconds

    async def page(self, id: str, after: int, limit: int, reader: str, created: int = 0) -> Page:  # noqa: A002
        """What follows a number; see `Store`."""
        kept, now = self._kept(id), _now()
        terms = kept.terms
        if terms.counts_readers and reader and created in (0, kept.created):
            kept.readers[reader] = now + terms.lease_seconds
            kept.unread = None
        lease_left = kept.heard + terms.lease_seconds - now
        entries = _behind(kept, after, limit)
        return Page(kept.created, kept.last, kept.is_ended, lease_left, terms.lease_seconds, terms.counts_readers, entries)

    async def follow(self, id: str, after: Position, limit: int, seconds: float) -> Sequence[Entry]:  # noqa: A002
        """What follows a place, as soon as there is any; see `Store`."""
        kept = self._streams.get(id)
        if kept is None or kept.created != after.created:
            return ()
        if kept.last <= after.number:
            arrived = asyncio.get_running_loop().create_future()
            kept.waiting.add(arrived)
            try:
                await asyncio.wait([arrived], timeout=seconds)
            finally:
                kept.waiting.discard(arrived)
        return _behind(kept, after.number, limit)

    async def leave(self, id: str, reader: str, created: int = 0) -> None:  # noqa: A002
        """A reader counts no longer; see `Store`."""
        kept = self._streams.get(id)
        if kept is not None and kept.terms.counts_readers and created in (0, kept.created):
            _left(kept, reader, _now())

    async def ask(self, id: str) -> bool:  # noqa: A002
        """Ask the writer to stop; see `Store`."""
        try:
            kept = self._kept(id)
        except StreamUnknown:
            return False
        if kept.is_ended or kept.heard + kept.terms.lease_seconds < _now():
            return False
        kept.is_asked = True
        return True

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Forget a stream; see `Store`."""
        was_there = id in self._streams
        self._forget(id)
        return was_there

    # ------------------------------------------------------------------

    def _kept(self, id: str) -> _Kept:  # noqa: A002
        kept = self._streams.get(id)
        if kept is None or kept.expires <= _now():
            self._forget(id)
            raise StreamUnknown
        return kept

    def _written(self, id: str, owner: str) -> tuple[_Kept, float]:  # noqa: A002
        """A stream by its writer, who has given a sign of life with that."""
        kept, now = self._streams.get(id), _now()
        if kept is None or kept.owner != owner:
            raise StoreFailed(LOST)
        if kept.is_ended:
            return kept, now
        if kept.heard + kept.terms.lease_seconds < now:
            raise StoreFailed(LAPSED)
        kept.heard = now
        kept.expires = now + kept.terms.lease_seconds + kept.terms.keep_seconds
        return kept, now

    def _add(self, kept: _Kept, name: str, payload: str) -> None:
        kept.last += 1
        kept.entries.append(Entry(Position(kept.created, kept.last), name, payload))
        spare = kept.terms.max_items // 4 + 1  # moving the others once in so many entries costs a few moves for each
        if len(kept.entries) >= kept.terms.max_items + spare:
            del kept.entries[:spare]
        _announce(kept)

    def _forget(self, id: str) -> None:  # noqa: A002
        kept = self._streams.pop(id, None)
        if kept is not None:
            _announce(kept)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _announce(kept: _Kept) -> None:
    for arrived in kept.waiting:
        if not arrived.done():
            arrived.set_result(None)


def _left(kept: _Kept, reader: str, now: float) -> None:
    kept.readers.pop(reader, None)
    if not kept.readers and kept.unread is None:
        kept.unread = now


def _behind(kept: _Kept, after: int, limit: int) -> Sequence[Entry]:
    """The entries behind a number; if some of these are no longer there, the first ones that are."""
    begin = max(0, len(kept.entries) - max(0, kept.last - after))
    return kept.entries[begin : begin + limit]
