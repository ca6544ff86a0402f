"""Which kept stream a request names, and whose it is; and the stores that an operator names. Nothing is known here of answers.

A client chooses the name of its stream. In the store it stands as a digest of that name, of what the client proves itself with, and
of what it asks: nobody finds another's stream by its name, and no key and no name stand in the store.
"""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import parse_qsl

from streamfilter.gateway.refusals import Refused
from streamfilter.resumable import MemoryStore, RedisStore, Store
from streamfilter.web.bodies import Headers

NAMED = b"x-stream-id"
"""The header by which a request names its stream."""

OWN = frozenset({NAMED, b"last-event-id"})
"""Headers that are for the gateway, not for the upstream."""

UNREAD_SECONDS = 60.0
"""Until an answer that nobody reads is stopped: a tunnel is left by then, and an upstream costs by the token."""

_PROOFS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Headers by which clients of OpenAI, Anthropic, Azure and Gemini prove who they are. Gemini takes `key` in the query too."""

_NAME = re.compile(rb"[A-Za-z0-9._~:-]{1,128}")


def stream_id(headers: Headers, query: bytes, *asked: str) -> str | None:
    """The id under which the stream that a request names stands in the store; None if it names none.

    Args:
        headers: of the request.
        query: of it.
        asked: what else tells streams apart: the path, the pipeline.

    Raises:
        Refused: the name is none, or the request does not say whose it is.

    Example:
        >>> mine = [(b"X-Stream-Id", b"a1"), (b"Authorization", b"Bearer one")]
        >>> theirs = [(b"X-Stream-Id", b"a1"), (b"Authorization", b"Bearer two")]
        >>> len(stream_id(mine, b"")), stream_id(mine, b"") == stream_id(theirs, b""), stream_id([], b"")
        (64, False, None)
    """
    names = [value.strip() for name, value in headers if name.lower() == NAMED]
    if not names:
        return None
    if len(names) > 1 or not _NAME.fullmatch(names[0]):
        raise Refused(400, "a stream has one name (x-stream-id) of 1 to 128 letters, digits and . _ ~ : -")
    proofs = sorted((name.lower(), value.strip()) for name, value in headers if name.lower() in _PROOFS)
    if not any(value for _, value in proofs) and not any(name == b"key" for name, _ in parse_qsl(query)):
        raise Refused(400, "a stream that is named (x-stream-id) belongs to a key, and the request has none")
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in proofs]
    said = json.dumps([names[0].decode(), pairs, query.decode("latin-1"), asked])
    return hashlib.sha256(said.encode()).hexdigest()


def store_at(address: str) -> Store:
    """The store that an address names: `memory`, or a URL of Redis. Its client is open as long as the program runs.

    Raises:
        ValueError: it is neither.
        ModuleNotFoundError: redis is not installed.

    Example:
        >>> store_at("memory")
        MemoryStore()
    """
    if address == "memory":
        return MemoryStore()
    if not address.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("'memory' is needed, or a URL such as redis://127.0.0.1:6379/0")
    try:
        from redis.asyncio import Redis  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError('a store in Redis needs redis: pip install "streamfilter[redis]"', name=missing.name) from None
    try:
        # Readers wait longer than redis-py waits for an answer by default (5 s); the store itself bounds how long one may take.
        return RedisStore(Redis.from_url(address, socket_timeout=None))
    except ValueError:
        raise ValueError("the URL of Redis is none; one is redis://127.0.0.1:6379/0") from None  # it may have a password
