"""Streams that outlive the connection they are read over: kept in a store while they are written, read from anywhere.

`ResumableStream` writes and reads them, `MemoryStore` and `RedisStore` keep them; the last needs the extra `redis`.
`close_producers` ends those that a server writes when it goes down.
"""

from streamfilter.resumable.failures import (
    Ended,
    NotResumable,
    ProducerFailed,
    ProducerLost,
    ProducerTimeout,
    StoreFailed,
    StreamExists,
    StreamUnknown,
)
from streamfilter.resumable.memory import MemoryStore
from streamfilter.resumable.producing import Producer, close_producers
from streamfilter.resumable.reading import Reader
from streamfilter.resumable.redis_streams import RedisStore
from streamfilter.resumable.store import Store
from streamfilter.resumable.stream import ResumableStream

__all__ = [
    "Ended",
    "MemoryStore",
    "NotResumable",
    "Producer",
    "ProducerFailed",
    "ProducerLost",
    "ProducerTimeout",
    "Reader",
    "RedisStore",
    "ResumableStream",
    "Store",
    "StoreFailed",
    "StreamExists",
    "StreamUnknown",
    "close_producers",
]
