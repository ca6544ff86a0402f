"""Responses of HTTP clients as sources: their bodies, piece by piece as they come, closed with the response.

Known by what they have, so that no client is imported: httpx and httpx2 (`aiter_bytes`, `iter_bytes`), aiohttp
(`content.iter_any`). This module knows nothing of what is in the bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol, TypeAlias


class ByPieces(Protocol):
    """A response of httpx or httpx2, as `AsyncClient.stream` gives it."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Its body, as it comes."""
        ...


class Content(Protocol):
    """What aiohttp has for the body."""

    def iter_any(self) -> object:
        """The body, as it comes."""
        ...


class WithContent(Protocol):
    """A response of aiohttp."""

    @property
    def content(self) -> Content:
        """Its body."""
        ...


Response: TypeAlias = ByPieces | WithContent
"""A response that is read with `async for`."""


class PlainResponse(Protocol):
    """A response of httpx or httpx2, as `Client.stream` gives it."""

    def iter_bytes(self) -> Iterator[bytes]:
        """Its body, as it comes."""
        ...


class Body:
    """The body of a response that is read with `async for`.

    Args:
        response: of httpx, httpx2 or aiohttp, opened for streaming.
    """

    def __init__(self, response: Any) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        response = self._response
        pieces: AsyncIterator[bytes] = response.aiter_bytes() if hasattr(response, "aiter_bytes") else response.content.iter_any()
        return aiter(pieces)

    async def aclose(self) -> None:
        """Close the response, and with it the connection where not all has come."""
        close = getattr(self._response, "aclose", None) or self._response.close  # aiohttp's is plain
        result = close()
        if hasattr(result, "__await__"):
            await result


class SyncBody:
    """The body of a response that is read with `for`.

    Args:
        response: of httpx or httpx2, opened for streaming.
    """

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        pieces: Iterator[bytes] = self._response.iter_bytes()
        return iter(pieces)

    def close(self) -> None:
        """Close the response."""
        self._response.close()


def opened(source: Any) -> Any:
    """What to read of a source: of a response its body, else the source itself.

    Args:
        source: anything.

    Example:
        >>> opened([b"data: 1"])
        [b'data: 1']
    """
    if hasattr(source, "__aiter__"):
        return source
    if hasattr(source, "aiter_bytes") or hasattr(getattr(source, "content", None), "iter_any"):
        return Body(source)
    return source


def opened_plain(items: Any) -> Any:
    """The same for plain code.

    Args:
        items: anything.
    """
    return SyncBody(items) if hasattr(items, "iter_bytes") and not hasattr(items, "__iter__") else items
