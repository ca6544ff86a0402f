"""A file or a pipe through a pipeline, live: bytes in as they come, bytes out as they are released."""

from __future__ import annotations

import codecs
import enum
import re
from collections.abc import Iterator
from typing import IO, Any

from streamfilter.pipeline import Stage
from streamfilter.providers.openai import chat

READ_BYTES = 64 * 1024
"""Bytes read at once; a pipe gives what it has without waiting for so many."""

_DATA = re.compile(rb"data: ?(?:\{|\[DONE\])")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Format(enum.Enum):
    """What the input is."""

    AUTO = "auto"
    TEXT = "text"
    SSE = "sse"


def filter_file(pipeline: Stage[str, str], source: IO[bytes], sink: IO[bytes], form: Format = Format.AUTO) -> None:
    """Filter from one file to another, flushing each piece.

    Text is UTF-8; bytes that are not come out as they went in.

    Raises:
        MalformedInput: the input is no event stream of chat completion chunks; all before that is written first.
    """
    pieces = _read(source)
    if form is Format.AUTO:
        form, pieces = _detect(pieces)
    stage: Stage[Any, Any] = chat.wrap(pipeline) if form is Format.SSE else pipeline
    items: Iterator[Any] = pieces if form is Format.SSE else _decoded(pieces)
    with stage.iter(items) as stream:
        for piece in stream:
            sink.write(piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogateescape"))
            sink.flush()


def _read(source: IO[bytes]) -> Iterator[bytes]:
    read = getattr(source, "read1", source.read)
    while piece := read(READ_BYTES):
        yield piece


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _detect(pieces: Iterator[bytes]) -> tuple[Format, Iterator[bytes]]:
    """Tell an event stream of chunks by its first data, reading no more than needed. What could be anything is text: as text it is
    filtered, where an event stream's comments and fields would pass."""
    head = b""
    form: Format | None = None
    while form is None and (piece := next(pieces, b"")):
        head += piece
        form = _form(head)
    return form or _form(head + b"\n") or Format.TEXT, _chained(head, pieces)


def _form(head: bytes) -> Format | None:
    """What begins like this; None if that is still open."""
    for line in re.split(rb"\r\n|\r|\n", head.removeprefix(codecs.BOM_UTF8)):
        if _DATA.match(line):
            return Format.SSE
        if line.startswith(_FIELDS[0]) and len(line) > len(b"data:  "):
            return Format.TEXT
        if line and not line.startswith(_FIELDS) and not any(field.startswith(line) for field in _FIELDS):
            return Format.TEXT
    return None


def _chained(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from pieces
