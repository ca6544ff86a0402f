"""What one request may cost: bytes, seconds, and how many there may be at once."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from streamfilter.declaration import LONGEST_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the gateway allows.

    Args:
        body_bytes: of a request; and of a response that has to be there as a whole, once decompressed. Anthropic takes 32 MB.
        streams: requests at once; one more gets 503 and `retry-after`.
        connect: seconds until a connection to the upstream is made, TLS and all.
        first: seconds from the request's end to the first byte of the response. SDKs wait as long by default.
        between: seconds between two pieces of the response, or of the request; and while the client reads nothing.
        total: seconds for all of an exchange.

    Raises:
        ValueError: a number is none, or not positive.

    Example:
        >>> Limits(streams=200, total=60).between
        300.0
    """

    body_bytes: int = 32 * 1024 * 1024
    streams: int = 1000
    connect: float = 10.0
    first: float = 600.0
    between: float = 300.0
    total: float = 3600.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            wanted = int if field.type == "int" else int | float
            most = math.inf if wanted is int else LONGEST_SECONDS
            if not isinstance(value, wanted) or isinstance(value, bool) or not 0 < value <= most:
                kind = "whole number from 1" if wanted is int else "number of seconds, more than 0 and at most a year of them,"
                raise ValueError(f"{field.name}={value!r}: a {kind} is needed")
