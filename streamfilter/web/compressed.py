"""Bodies that were compressed, decompressed while they arrive: in small pieces, whatever they grow to.

Only what the standard library reads: others are refused by who asks here.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator

from streamfilter.closing import Closing
from streamfilter.errors import MalformedInput, TruncatedInput

PIECE_BYTES = 64 * 1024
"""The largest piece that is made at once: one of 64 KB may hide a thousand times as much."""

CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""Source: RFC 9110, 8.4.1."""

_GZIP, _ZLIB, _RAW = 31, 15, -15  # `wbits` of zlib
_HEADER_BYTES = 2  # of zlib. Source: RFC 1950, 2.2


class Inflated:
    """An async iterator over a body that was compressed.

    Args:
        source: its pieces.
        coding: one of `CODINGS`.

    Raises:
        MalformedInput: it is no such body, or ends too early.
    """

    def __init__(self, source: AsyncIterable[bytes], coding: str) -> None:
        self._iterator = aiter(source)
        self._closing = Closing(source, ())
        self._closing.begin(self._iterator)
        self._wbits = _ZLIB if coding == "deflate" else _GZIP
        self._inflate = zlib.decompressobj(self._wbits)
        self._rest = b""
        self._offset = 0
        self._head: bytes | None = b"" if coding == "deflate" else None  # while it does not tell which of two

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            while self._rest:
                if made := self._step():
                    return made
            try:
                self._rest = await anext(self._iterator)
            except StopAsyncIteration:
                if self._offset and not self._inflate.eof:
                    raise TruncatedInput("a compressed body ends too early", self._offset) from None
                raise
            self._offset += len(self._rest)

    async def aclose(self) -> None:
        """Close the source."""
        self._rest = b""
        await self._closing.close()

    def _step(self) -> bytes:
        if self._inflate.eof:
            if self._wbits != _GZIP:
                raise MalformedInput("something stands behind a compressed body", self._offset - len(self._rest))
            self._inflate = zlib.decompressobj(self._wbits)  # a gzip file may have several members
        if self._head is not None:
            self._head += self._rest
            self._rest = b""
            if len(self._head) < _HEADER_BYTES:
                return b""
            self._begin(self._head)
        try:
            made = self._inflate.decompress(self._rest, PIECE_BYTES)
        except zlib.error:
            raise MalformedInput("a compressed body cannot be decompressed", self._offset - len(self._rest)) from None
        self._rest = self._inflate.unconsumed_tail or self._inflate.unused_data
        return made

    def _begin(self, head: bytes) -> None:
        """Some servers have always sent as `deflate` what has no header of zlib. That has a method, and is a multiple of 31."""
        if head[0] & 15 != 8 or int.from_bytes(head[:2]) % 31:
            self._wbits = _RAW
            self._inflate = zlib.decompressobj(_RAW)
        self._rest, self._head = head, None
