"""What a store of resumable streams does. Nothing is known here of items, tasks or networks.

A stream in a store is a row of entries, numbered from 1 without a gap, and a note of who writes it and when that one was last
heard of. Each method is atomic. Those of the writer name its secret `owner`, and doing one twice is as doing it once, so that a
call whose answer was lost can be repeated.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from streamfilter.resumable.failures import NotResumable

_ID = re.compile(r"([0-9]{1,17})-([0-9]{1,15})\Z")
_STREAM_ID = re.compile(r"[^\s{}\x00-\x1f\x7f\ud800-\udfff]{1,256}\Z")


class Position(NamedTuple):
    """A place in a stream, written `created-number`: what SSE calls the id of an event, and what an id of Redis Streams looks like.

    Attributes:
        created: when the stream was begun, in microseconds since 1970 by the store's clock: what tells it from an earlier or later
            stream that has the same id.
        number: of the entry. 0 is before the first one.

    Example:
        >>> str(Position(1700000000000000, 7))
        '1700000000000000-7'
        >>> Position.read("1700000000000000-7").number
        7
    """

    created: int
    number: int

    def __str__(self) -> str:
        return f"{self.created}-{self.number}"

    @classmethod
    def read(cls, text: str) -> Position:
        """The place that an id names; it may come from anybody.

        Raises:
            NotResumable: it is no such id.
        """
        found = _ID.match(text)
        if found is None:
            raise NotResumable("the event id is none that this library has given")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed on when a stream is begun.

    Args:
        lease_seconds: how long its writer may be silent.
        keep_seconds: how long it is kept when nothing more comes.
        max_items: how many of its last entries are kept at least.
        counts_readers: whether readers are to say that they are there.
    """

    lease_seconds: float
    keep_seconds: float
    max_items: int
    counts_readers: bool


class Sign(NamedTuple):
    """What the writer is told.

    Attributes:
        is_asked: whether somebody has asked it to stop.
        unread_seconds: how long there has been no reader; 0 while there is one, and until the first one has come.
    """

    is_asked: bool
    unread_seconds: float


class Entry(NamedTuple):
    """One entry.

    Attributes:
        position: where.
        name: what kind it is, with the version of its encoding.
        payload: the rest.
    """

    position: Position
    name: str
    payload: str


class Page(NamedTuple):
    """What there is of a stream behind some place.

    Attributes:
        created: tells it from others of the same id.
        last: the number of its last entry.
        is_ended: whether that says how it ended.
        lease_left: seconds until its writer counts as lost; below 0 it does.
        lease_seconds: that from which this is reckoned.
        counts_readers: whether readers are to say that they are there.
        entries: the next ones.
    """

    created: int
    last: int
    is_ended: bool
    lease_left: float
    lease_seconds: float
    counts_readers: bool
    entries: Sequence[Entry]


class Store(Protocol):
    """Where streams are kept. `MemoryStore` and `RedisStore` are two.

    Every method may raise `StoreFailed`.

    Example:
        >>> import asyncio
        >>> from streamfilter.resumable import MemoryStore
        >>> async def main():
        ...     store: Store = MemoryStore()
        ...     terms = Terms(lease_seconds=15, keep_seconds=60, max_items=9, counts_readers=False)
        ...     await store.create("answer-1", "the writer", terms)
        ...     await store.append("answer-1", "the writer", 1, "text", ["one", "two"])
        ...     page = await store.page("answer-1", after=1, limit=10, reader="")
        ...     return page.last, page.is_ended, [entry.payload for entry in page.entries]
        >>> asyncio.run(main())
        (2, False, ['two'])
    """

    @abstractmethod
    async def create(self, id: str, owner: str, terms: Terms) -> int:  # noqa: A002  # what it is called everywhere here
        """Begin a stream, and give when that was. Raises `StreamExists`."""

    @abstractmethod
    async def append(self, id: str, owner: str, first: int, name: str, payloads: Sequence[str]) -> Sign:  # noqa: A002
        """Add entries, of which those that are there already are left out; without any, it is a sign of life.

        `first` is the number of the first one, or would be: so the store sees whether it still has all before.
        Raises `StoreFailed` too if the stream is another's, was lost in part or as a whole, has ended, or if its lease is over.
        """

    @abstractmethod
    async def end(self, id: str, owner: str, first: int, name: str, payload: str) -> None:  # noqa: A002
        """Add the last entry, behind all that there are. Raises as `append` does."""

    @abstractmethod
    async def page(self, id: str, after: int, limit: int, reader: str, created: int = 0) -> Page:  # noqa: A002
        """What follows a number, and how the stream is. A reader that is counted counts for another lease.

        It counts for no other stream than the one that it knows, if it does: by when that was `created`. Raises `StreamUnknown`.
        """

    @abstractmethod
    async def follow(self, id: str, after: Position, limit: int, seconds: float) -> Sequence[Entry]:  # noqa: A002
        """What follows a place, as soon as there is any; nothing, after so many seconds at the latest."""

    @abstractmethod
    async def leave(self, id: str, reader: str, created: int = 0) -> None:  # noqa: A002
        """A reader counts no longer. It has been there, if it is one to be counted, also if the store has not heard of it.

        Nothing is said of another stream than the one that it knows, if it does: see `page`.
        """

    @abstractmethod
    async def ask(self, id: str) -> bool:  # noqa: A002
        """Ask the writer to stop; whether there is one."""

    @abstractmethod
    async def delete(self, id: str) -> bool:  # noqa: A002
        """Forget a stream; whether there was one."""


METHODS = ("create", "append", "end", "page", "follow", "leave", "ask", "delete")
"""What makes a store."""


def check_store(name: str, store: Store) -> Store:
    """Refuse what has not the methods of a store.

    Raises:
        TypeError: it has not.
    """
    if isinstance(store, type) or not all(callable(getattr(store, each, None)) for each in METHODS):
        raise TypeError(f"{name} is {type(store).__qualname__}: a MemoryStore, a RedisStore or another Store is needed")
    return store


def check_id(id: str) -> str:  # noqa: A002
    """Refuse what cannot be the id of a stream.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, long, or has blanks, braces or control characters.
    """
    if not isinstance(id, str):
        raise TypeError(f"the id of a stream is {type(id).__qualname__}: a str is needed")
    if not _STREAM_ID.match(id):
        raise ValueError("the id of a stream has 1 to 256 characters, no blanks, braces or control characters among them")
    return id
