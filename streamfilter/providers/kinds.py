"""What a body is, by how it begins: the events of a provider, in one of their framings, or a text, which may stand in events too.
For what comes without a type. What is neither is told as well: of a compressed file, or another encoding, nothing could be found.

What could be anything is text: as text it is filtered, where an event stream's comments and fields would pass. Text in several
events is told apart: what is cut in two by the framing would pass as well.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

from streamfilter.errors import MalformedInput
from streamfilter.providers.detecting import detect, format_named

Kind: TypeAlias = Literal["text", "sse", "text-events", "ndjson", "array", "aws"]
"""A text; chunks in an event stream; an event stream whose data is text; chunks in lines of JSON, in a JSON array, in messages of
AWS."""

LINE_BYTES = 1024 * 1024
"""Bytes of what may be the first event: of a line of JSON, of an array's element, of an event stream up to its second event."""

_BLANKS = re.compile(rb"\s*")
_ENDS = re.compile(rb"[\r\n]+")
_EMPTY = re.compile(rb"(?>\r\n?|\n){2}")
"""The end of a line, and an empty one."""
_DATA = re.compile(rb"data: ?(?:\{|\[DONE\])")
_TOLD_IN = 16
"""Bytes of a line of an event stream that are looked at: more than those that tell of what kind it is."""

_ELEMENT = re.compile(r"\[[ \t\r\n]*")
_TOLD_BY = 10
"""Characters behind a fault in JSON that are more than a word or an escape has: it is not because the text is cut off there."""

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How lines of an event stream begin. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

HEAD_BYTES = 12
"""Bytes that tell a message of AWS: two lengths and their checksum. No mark is longer."""

_CONVERT = "convert it (iconv -f {0} -t UTF-8)"
_MARKS = {
    b"\xff\xfe\0\0": f"UTF-32: {_CONVERT.format('UTF-32')}",  # before that of UTF-16, which it begins with
    b"\0\0\xfe\xff": f"UTF-32: {_CONVERT.format('UTF-32')}",
    b"\xff\xfe": f"UTF-16: {_CONVERT.format('UTF-16')}",
    b"\xfe\xff": f"UTF-16: {_CONVERT.format('UTF-16')}",
    b"\x1f\x8b": "gzip: decompress it",
    b"\x28\xb5\x2f\xfd": "zstd: decompress it",
    b"\xfd7zXZ\0": "xz: decompress it",
    b"PK\3\4": "zip: decompress it",
    **{b"BZh%d1AY&SY" % level: "bzip2: decompress it" for level in range(1, 10)},
}
"""How what is not UTF-8 begins, and what would be right: in the one nothing would be found, the other would be found by chance."""

_NEITHER = "the input is neither a provider's stream nor text in UTF-8, but "
HAS_NUL = f"{_NEITHER}has a NUL: if it is UTF-16, {_CONVERT.format('UTF-16')}"


def legible(pieces: Iterator[bytes], *, is_text: bool = False) -> Iterator[bytes]:
    r"""The same bytes, if they are such as can be read. Bytes here and there that are not UTF-8 are no harm.

    Of what begins like a mark as much is waited for as tells whether it is one.

    Args:
        pieces: a body.
        is_text: whether it cannot be messages of AWS, in which there are NULs.

    Raises:
        MalformedInput: it is compressed, or in UTF-16 or UTF-32, or has a NUL. All before that is given first.

    Example:
        >>> list(legible(iter([b"caf\xe9"])))
        [b'caf\xe9']
        >>> list(legible(iter([b"\x1f", b"\x8b\x08"])))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        streamfilter.errors.MalformedInput: the input is neither a ... text in UTF-8, but gzip: decompress it, at offset 0
    """
    head = b""
    while _is_open(head) and (piece := next(pieces, b"")):
        head += piece
    if head[:1] == b"\0" and not is_text and zlib.crc32(head[:8]) == int.from_bytes(head[8:HEAD_BYTES], "big"):
        yield head
        yield from pieces
        return
    if (found := next((what for mark, what in _MARKS.items() if head.startswith(mark)), None)) is not None:
        raise MalformedInput(_NEITHER + found, 0)
    read, piece = 0, head
    while piece:
        if (end := piece.find(0)) >= 0:
            yield piece[:end]
            raise MalformedInput(HAS_NUL, read + end)
        yield piece
        read += len(piece)
        piece = next(pieces, b"")


def _is_open(head: bytes) -> bool:
    """Whether more of it may tell that it is a mark, or a message of AWS."""
    return (head[:1] == b"\0" and len(head) < HEAD_BYTES) or any(mark != head and mark.startswith(head) for mark in _MARKS)


def kind_of(head: bytes, *, is_whole: bool = False) -> Kind | None:
    r"""What begins like this; None if that is still open.

    Args:
        head: the first bytes.
        is_whole: whether there are no more. Then it is never open.

    Example:
        >>> kind_of(b": ping"), kind_of(b": ping", is_whole=True), kind_of(b': ping\n\ndata: {"a": 1}'), kind_of(b"so it is")
        (None, 'text', 'sse', 'text')
        >>> kind_of(b"data: so it\n\n"), kind_of(b"data: so it\n\n", is_whole=True), kind_of(b"data: so it\n\ndata:  is\n\n")
        (None, 'text', 'text-events')
    """
    telling = Telling()
    return telling.feed(head) or (telling.finish() if is_whole else None)


class Telling:
    r"""What a body is, told while it comes. Whatever the pieces, it takes time in proportion to the bytes.

    Attributes:
        head: what has come so far.

    Example:
        >>> telling = Telling()
        >>> telling.feed(b": ping"), telling.feed(b'\n\ndata: {"a'), bytes(telling.head)
        (None, 'sse', b': ping\n\ndata: {"a')
    """

    def __init__(self) -> None:
        self.head: bytearray = bytearray()
        self._tell: Callable[[], Kind | None] | None = None
        self._begin = 0  # of what is looked at: the body without its mark and blanks, the last line of an event stream
        self._seen = 0  # up to here there is no line end
        self._enough = 0  # bytes with which an array is looked at again
        self._gap = b""  # between two lines of an event stream
        self._data: list[bytes] = []  # of its first event that has any
        self._is_over = False  # whether that event is

    def feed(self, piece: bytes) -> Kind | None:
        """Some more bytes. What it is; None if that is still open."""
        self.head += piece
        if self._tell is None:
            self._tell = self._told_by_first()
        return None if self._tell is None else self._tell()

    def finish(self) -> Kind:
        """There are no more bytes: it is not open any longer."""
        self._enough = 0
        if (kind := self.feed(b"")) is None:
            kind = self.feed(b"\n") or "text"  # its last line may lack an end
            del self.head[-1]
        return kind

    def _told_by_first(self) -> Callable[[], Kind | None] | None:
        """What finds it out, by the first character."""
        head, mark = self.head, codecs.BOM_UTF8
        if head[:1] == b"\0":  # a message of AWS begins with its length
            return lambda: "aws"
        if mark.startswith(head):
            return None
        marked = len(mark) if head.startswith(mark) else 0
        self._begin = max(self._begin, marked)
        if (blanks := _BLANKS.match(head, self._begin)) is not None:
            self._begin = self._seen = blanks.end()
        first = head[self._begin : self._begin + 1]
        if not first:
            return None if len(head) < LINE_BYTES else lambda: "text"
        if first == b"{":
            return self._told_by_line
        if first == b"[":
            return self._told_by_element
        self._begin = self._seen = marked
        return self._told_by_events

    def _told_by_events(self) -> Kind | None:
        """The same of what may be an event stream. One event of text is a text too, of which it may only be the beginning."""
        head, most = self.head, min(len(self.head), LINE_BYTES)
        while self._begin < most:
            ends = _ENDS.search(head, self._seen, most)
            stop = ends.start() if ends else most
            if stop > self._begin and (kind := self._told_by(bytes(head[self._begin : min(stop, self._begin + _TOLD_IN)]))):
                return kind
            self._seen = stop
            if ends is None:
                break
            if stop > self._begin:
                self._gap = b""
                line = bytes(head[self._begin : stop])
                if line.startswith(b"data:") and line not in (b"data:", b"data: "):
                    self._data.append(line.removeprefix(b"data:"))
            self._gap = (self._gap + ends[0])[: len(b"\r\n\r\n")]
            self._begin = self._seen = ends.end()
        return None if len(head) < LINE_BYTES else "text" if self._data else "text-events"

    def _told_by(self, line: bytes) -> Kind | None:
        """The same by how one more line of it begins."""
        self._is_over = self._is_over or (bool(self._data) and _EMPTY.search(self._gap) is not None)
        if not self._data and _DATA.match(line):
            return "sse"
        if line.startswith(b"data:"):
            return None if not self._is_over else "sse" if _is_json(b"\n".join(self._data)) else "text-events"
        return None if line.startswith(_FIELDS) or any(field.startswith(line) for field in _FIELDS) else "text"

    def _told_by_element(self) -> Kind | None:
        """The same of what begins as a list does. While its first element comes, which is read from its beginning each time, it is
        looked at again when it has doubled."""
        size = len(self.head) - self._begin
        is_cut = size >= LINE_BYTES
        if size < self._enough and not is_cut:
            return None
        self._enough = 2 * size
        text = self.head[self._begin : self._begin + LINE_BYTES].decode("utf-8", "surrogateescape")
        return _kind_of_array(text, is_cut=is_cut)

    def _told_by_line(self) -> Kind | None:
        """The same of what begins as an object does: its first line is an event of a provider, or all is text."""
        end = self.head.find(b"\n", self._seen)
        self._seen = len(self.head)
        if (self._seen if end < 0 else end) - self._begin >= LINE_BYTES:
            return "text"
        if end < 0:
            return None
        try:
            return "ndjson" if detect(json.loads(self.head[self._begin : end])) else "text"
        except (ValueError, RecursionError):
            return "text"


def _is_json(data: bytes) -> bool:
    """Whether it is a string or a list of JSON's: no provider's event, and what a text would be is not known."""
    try:
        return isinstance(json.loads(data), str | list)
    except (ValueError, RecursionError):
        return False


def _kind_of_array(text: str, *, is_cut: bool) -> Kind | None:
    """The same of what begins as a list does: its first element is an event of a provider, or all is text."""
    begin = _ELEMENT.match(text)
    at = begin.end() if begin else 0
    if text[at : at + 1] not in ("", "{"):
        return "text"
    try:
        return "array" if _is_chunk(json.JSONDecoder().raw_decode(text, at)[0]) else "text"
    except RecursionError:
        return "text"
    except json.JSONDecodeError as error:
        is_open = error.msg.startswith("Unterminated") or error.pos + _TOLD_BY >= len(text)
        return None if is_open and not is_cut else "text"


def _is_chunk(event: Any) -> bool:
    """Whether it is one of a provider's stream: what looks like one may be of a log of answers, or of questions with `choices`."""
    name = detect(event)
    if name is None:
        return False
    try:
        for _ in format_named(name).reader(name, set()).read(event):
            pass
    except TypeError:
        return False
    return True
