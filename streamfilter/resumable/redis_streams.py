"""`RedisStore`: streams in Redis, for any number of servers.

A stream with the id `a` is three keys, on one node of a cluster: `streamfilter:{a}:items`, a Redis stream whose entries have ids
like `created-number`; `…:state`, a hash, of who writes it and when it was last heard of; `…:readers`, a sorted set, of readers
and until when each counts. Whatever must be atomic is a script; all time is Redis's own, so that the servers' clocks do not
matter.

What is retried is what may be done twice. Redis's own words for what is wrong may quote what it was sent, so only their first one,
its code, goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from streamfilter.declaration import check_seconds
from streamfilter.resumable.failures import StoreFailed, StreamExists, StreamUnknown
from streamfilter.resumable.memory import LAPSED, LOST
from streamfilter.resumable.scripts import APPEND, ASK, CREATE, LEAVE, PAGE
from streamfilter.resumable.store import Entry, Page, Position, Sign, Terms

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

T = TypeVar("T")

PATIENCE_SECONDS = 15.0
"""How long a store is called in vain. Redis restarts within seconds, and a failover takes some ten (Redis's documentation, "High
availability with Redis Sentinel")."""

BACKOFF = (0.05, 2.0, 1.0)
"""Seconds to wait before a call is repeated: at first, each time so many times longer, and at most."""

ANSWER_SECONDS = 5.0
"""How long an answer may take, beyond what Redis was told to wait, before the connection counts as dead and another one is tried.
As long as redis-py waits unless told otherwise."""

MAX_CONNECTIONS = 100
"""Of a client that does not say how many it may open, as one of a cluster: as redis-py's others do."""

POLL_SECONDS = 0.1
"""How often a reader looks for more that has no connection to wait on: what comes so much later is still read as it is written."""

_PASSING = (
    "ConnectionError",
    "TimeoutError",
    "BusyLoadingError",
    "ReadOnlyError",
    "ClusterDownError",
    "MasterDownError",
    "TryAgainError",
    "ClusterError",
    "RedisClusterException",
)
"""Errors of redis-py that pass: there is no connection, or the node is starting, no master yet, or moving. The last two: no node of
a cluster can be reached, a slot has none, or it is still moving after all the redirections that redis-py follows."""

_LASTING = ("AuthenticationError", "AuthorizationError", "ExternalAuthProviderError")
"""Those derived from one of these that do not."""


class RedisStore:
    """A store in Redis: whoever reaches it can read a stream, resume it, and ask for its end. Needs `redis` (extra `redis`).

    The client stays the caller's, who closes it. A reader that waits for what comes next holds one of its connections, up to half
    of those that the client may open (`max_connections`, in redis-py 8 by default 100); more readers look ten times a second.
    Redis 5 or later, or what is compatible with it, with `EVALSHA`; whether streams survive its restart is up to its persistence
    (`appendonly yes`).

    Args:
        client: of `redis.asyncio`.
        prefix: of the names of all keys.
        patience_seconds: how long a call is repeated while there is no connection, before it fails with `StoreFailed`. Whoever
            writes a stream gives up at the end of its lease in any case.

    Raises:
        TypeError: the client is none of `redis.asyncio`.
        ValueError: another argument makes no sense.
        ModuleNotFoundError: redis is not installed.

    Example:
        >>> from redis.asyncio import Redis
        >>> RedisStore(Redis(port=6379), prefix="chat")
        RedisStore(prefix='chat')
    """

    def __init__(
        self, client: Redis | RedisCluster, *, prefix: str = "streamfilter", patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        try:
            from redis import asyncio as kinds  # noqa: PLC0415  # an extra
            from redis import exceptions  # noqa: PLC0415
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError('RedisStore needs redis: pip install "streamfilter[redis]"', name=missing.name) from None
        if not isinstance(client, kinds.Redis | kinds.RedisCluster):
            raise TypeError(f"the client is {type(client).__module__}.{type(client).__qualname__}: one of redis.asyncio is needed")
        if not isinstance(prefix, str) or not prefix or set(prefix) & set("{} \n"):
            raise ValueError("prefix: a str is needed, not empty and without blanks and braces")
        self._client: Any = client
        self._prefix = prefix
        self._patience = check_seconds("patience_seconds", patience_seconds, zero=True)
        self._passing = (*(getattr(exceptions, name) for name in _PASSING), OSError)
        self._lasting = tuple(getattr(exceptions, name) for name in _LASTING if hasattr(exceptions, name))
        self._errors = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self._create, self._append, self._page, self._leave, self._ask = map(
            self._client.register_script, (CREATE, APPEND, PAGE, LEAVE, ASK)
        )
        pool: Any = getattr(client, "connection_pool", None)
        # A client made from a URL has no timeout among its arguments, and yet connections with one: ask such a connection.
        made = pool.make_connection() if hasattr(pool, "make_connection") else None
        given = getattr(client if pool is None else pool, "connection_kwargs", {})  # a cluster's has none for all its nodes
        timeout = getattr(made, "socket_timeout", None) or given.get("socket_timeout")
        most = getattr(pool, "max_connections", None) or given.get("max_connections") or MAX_CONNECTIONS
        self._may_block = most // 2
        self._blocked = 0  # readers that wait, each on a connection
        self._others = asyncio.Semaphore(most - self._may_block)  # so that no number of readers keeps writers from writing
        self._longest = timeout / 2 if timeout else float("inf")  # the client takes a longer silence for a lost connection

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"

    async def create(self, id: str, owner: str, terms: Terms) -> int:  # noqa: A002
        """Begin a stream; see `Store`."""
        agreed = (_ms(terms.lease_seconds), _ms(terms.keep_seconds), terms.max_items, int(terms.counts_readers))
        created = _text(await self._called(lambda: self._create(self._keys(id), [owner, *agreed])))
        if created == "exists":
            raise StreamExists
        return int(created)

    async def append(self, id: str, owner: str, first: int, name: str, payloads: Sequence[str]) -> Sign:  # noqa: A002
        """Add entries; see `Store`."""
        return await self._written(id, [owner, first, name, "", *(payload.encode() for payload in payloads)])

    async def end(self, id: str, owner: str, first: int, name: str, payload: str) -> None:  # noqa: A002
        """Add the last entry; see `Store`."""
        await self._written(id, [owner, first, name, "end", payload.encode()])

    async def page(self, id: str, after: int, limit: int, reader: str, created: int = 0) -> Page:  # noqa: A002
        """What follows a number; see `Store`."""
        answer = await self._called(lambda: self._page(self._keys(id), [after, limit, reader, created]))
        if isinstance(answer, str | bytes):
            raise StreamUnknown
        begun, last, is_ended, left, lease, counts, entries = answer
        rows = [_entry(row) for row in entries]
        return Page(int(begun), last, bool(is_ended), left / 1000, lease / 1000, bool(counts), rows)

    async def follow(self, id: str, after: Position, limit: int, seconds: float) -> Sequence[Entry]:  # noqa: A002
        """What follows a place, as soon as there is any; see `Store`."""
        key, until = self._keys(id)[0], time.monotonic() + seconds
        while self._blocked >= self._may_block:
            entries = await self._read(key, after, limit)
            if entries or time.monotonic() >= until:
                return entries
            await asyncio.sleep(POLL_SECONDS)
        self._blocked += 1
        try:
            return await self._read(key, after, limit, min(max(0.0, until - time.monotonic()), self._longest))
        finally:
            self._blocked -= 1

    async def leave(self, id: str, reader: str, created: int = 0) -> None:  # noqa: A002
        """A reader counts no longer; see `Store`."""
        await self._called(lambda: self._leave(self._keys(id), [reader, created]))

    async def ask(self, id: str) -> bool:  # noqa: A002
        """Ask the writer to stop; see `Store`."""
        return bool(await self._called(lambda: self._ask(self._keys(id), [])))

    async def delete(self, id: str) -> bool:  # noqa: A002
        """Forget a stream; see `Store`."""
        return bool(await self._called(lambda: self._client.delete(*self._keys(id))))

    # ------------------------------------------------------------------

    def _keys(self, id: str) -> list[str]:  # noqa: A002
        return [f"{self._prefix}:{{{id}}}:{part}" for part in ("items", "state", "readers")]

    async def _written(self, id: str, args: list[Any]) -> Sign:  # noqa: A002
        answer = await self._called(lambda: self._append(self._keys(id), args))
        if isinstance(answer, str | bytes):
            raise StoreFailed(LAPSED if _text(answer) == "lapsed" else LOST)
        is_asked, unread = answer
        return Sign(bool(is_asked), unread / 1000)

    async def _read(self, key: str, after: Position, limit: int, seconds: float | None = None) -> Sequence[Entry]:
        """What follows a place: now, or within some time."""
        block = None if seconds is None else _ms(seconds)
        answer = await self._called(lambda: self._client.xread({key: str(after)}, count=limit, block=block), seconds)
        streams = answer.values() if isinstance(answer, dict) else [rows for _, rows in answer or ()]
        rows: list[Any] = next(iter(streams), [])
        if rows and isinstance(rows[0], list) and rows[0] and not isinstance(rows[0][0], bytes | str):
            rows = rows[0]  # the third version of the protocol nests them deeper
        return [entry for entry in map(_entry, rows) if entry.position.created == after.created]

    async def _called(self, call: Callable[[], Awaitable[T]], blocks: float | None = None) -> T:
        """Make a call, again and again while there is no connection. One that has died without a word is told by its silence.

        Args:
            call: begins it.
            blocks: how long Redis is told to wait in it, if it is.
        """
        began = time.monotonic()
        delay, factor, longest = BACKOFF
        while True:
            try:
                if blocks is not None:
                    return await _answered(call(), blocks + ANSWER_SECONDS)
                async with self._others:
                    return await _answered(call(), ANSWER_SECONDS)
            except self._errors as error:
                if not self._passes(error):
                    raise StoreFailed(_said(error)) from None
                if time.monotonic() - began >= self._patience:
                    raise StoreFailed(f"no connection for {self._patience} s ({type(error).__name__})") from None
            await asyncio.sleep(random.uniform(delay / 2, delay))  # noqa: S311  # so that not all come back at once
            delay = min(delay * factor, longest)

    def _passes(self, error: Exception) -> bool:
        return isinstance(error, self._passing) and not isinstance(error, self._lasting)


async def _answered(call: Awaitable[T], seconds: float) -> T:
    """The answer to a call, which is cancelled until it ends: redis-py loses a cancel on Python 3.11, where `asyncio.wait_for` may.

    Raises:
        TimeoutError: there was none within so many seconds.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.01)
        error = None if task.cancelled() else task.exception()  # looked at, also if a cancel of this goes on
    if task.cancelled():
        raise TimeoutError
    if error is not None:
        raise error
    return task.result()


def _said(error: Exception) -> str:
    """Which error it is: its class, and the code with which Redis begins its words."""
    code = str(error).partition(" ")[0]
    return f"{type(error).__name__}: {code}" if code.isalpha() and code.isupper() and code.isascii() else type(error).__name__


def _ms(seconds: float) -> int:
    """Whole milliseconds, and at least one: 0 would be for ever."""
    return max(1, round(seconds * 1000))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _entry(row: Any) -> Entry:
    place, fields = row
    pairs = [*fields.items()] if isinstance(fields, dict) else [*zip(fields[::2], fields[1::2], strict=True)]
    name, payload = pairs[0]
    return Entry(Position.read(_text(place)), _text(name), _text(payload))
