"""A file or a pipe through a pipeline, live: bytes in as they come, bytes out as they are released."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import enum
import select
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Any

from streamfilter.context import Context, Report
from streamfilter.pipeline import Stage
from streamfilter.providers import detecting
from streamfilter.providers.kinds import Kind, kind_of

READ_BYTES = 64 * 1024
"""Bytes read at once; a pipe gives what it has without waiting for so many."""


class Format(enum.Enum):
    """What the input is."""

    AUTO = "auto"
    TEXT = "text"
    SSE = "sse"
    NDJSON = "ndjson"
    AWS = "aws"


def filter_file(
    pipeline: Stage[Any, Any],
    source: IO[bytes],
    sink: IO[bytes],
    form: Format = Format.AUTO,
    watch: Callable[[int], object] = lambda _: None,
    begun: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Filter from one file to another, writing each piece at once. Either may be non-blocking: it is waited for.

    Text is UTF-8; bytes that are not come out as they went in. Events are those of any provider that is known. What placeholders
    stand for is gone with the stream.

    Args:
        watch: called with the number of bytes that were read since it was last called.
        begun: called with the report before there is anything in it: it is good however the stream ends.

    Raises:
        MalformedInput: the input is no stream of a provider's events; all before that is written first.
    """
    pieces = _read(source, watch)
    over_chunks = pipeline.reads == "chunks"
    if form is Format.AUTO and not over_chunks:
        form, pieces = _detected(pieces)
    stage: Stage[Any, Any] = pipeline if over_chunks or form is Format.TEXT else detecting.wrap(pipeline)
    read = _READERS.get(form)
    items: Iterator[Any] = pieces if over_chunks or read is None else read(pieces)
    end = b"\n" if form is Format.NDJSON else b""
    if any(part.must_wait for part in pipeline.stages):
        return asyncio.run(_filter_live(stage, items, sink, end, begun))
    with stage.iter(items, context=Context.with_vault(None)) as stream:
        begun(stream.report)
        for piece in stream:
            _write(piece, sink, end)
    return stream.report


async def _filter_live(
    stage: Stage[Any, Any], items: Iterator[Any], sink: IO[bytes], end: bytes, begun: Callable[[Report], object]
) -> Report:
    async with stage(_given(items), context=Context.with_vault(None)) as stream:
        begun(stream.report)
        async for piece in stream:
            _write(piece, sink, end)
    return stream.report


async def _given(items: Iterator[Any]) -> AsyncIterator[Any]:
    """Read beside the event loop. A thread that waits for a pipe is left behind on the way out: an executor would wait for it."""
    loop = asyncio.get_running_loop()
    while True:
        arrived = loop.create_future()
        threading.Thread(target=_read_beside, args=(items, loop, arrived), daemon=True).start()
        if (item := await arrived) is None:
            return
        yield item


def _read_beside(items: Iterator[Any], loop: asyncio.AbstractEventLoop, arrived: asyncio.Future[Any]) -> None:
    try:
        item, error = next(items, None), None
    except Exception as raised:
        item, error = None, raised

    def tell() -> None:
        if arrived.done():
            return
        if error is None:
            arrived.set_result(item)
        else:
            arrived.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(tell)


def _write(piece: Any, sink: IO[bytes], end: bytes) -> None:
    if isinstance(piece, str | bytes):  # not an event that a stage gave beside the text
        data = piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogateescape")
        left = memoryview(data if data.endswith(end) else data + end)
        raw = getattr(sink, "raw", sink)  # a buffer could not say how much of what it was given has been refused
        while left:
            taken = raw.write(left)
            if taken is None:
                select.select([], [raw], [])
            else:
                left = left[taken:]


def _read(source: IO[bytes], watch: Callable[[int], object]) -> Iterator[bytes]:
    # What is read beside an event loop may never come: a buffered file would be locked by it when the interpreter ends.
    raw = getattr(source, "raw", source)
    while (piece := raw.read(READ_BYTES)) != b"":
        if piece is None:  # whoever opened it does not wait for it; we do: nothing there yet is not the end
            select.select([raw], [], [])
            continue
        watch(len(piece))
        yield piece


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """The lines that say something, each with its end: one is a message of a provider's. What marks a file as UTF-8 is no JSON."""
    parts: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        parts.append(first)
        for other in others:
            line = b"".join([*parts, b"\n"]).removeprefix(codecs.BOM_UTF8)
            parts = [other]
            if line.strip():
                yield line.decode("utf-8", "surrogateescape")
    if last := b"".join(parts).removeprefix(codecs.BOM_UTF8).strip():
        yield last.decode("utf-8", "surrogateescape")


_READERS: dict[Format, Callable[[Iterator[bytes]], Iterator[str]]] = {Format.TEXT: _decoded, Format.NDJSON: _lines}


def _detected(pieces: Iterator[bytes]) -> tuple[Format, Iterator[bytes]]:
    """Tell what comes by how it begins, reading no more than needed."""
    head = b""
    kind: Kind | None = None
    while kind is None and (piece := next(pieces, b"")):
        head += piece
        kind = kind_of(head)
    return Format(kind or kind_of(head, is_whole=True)), _chained(head, pieces)


def _chained(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from pieces
