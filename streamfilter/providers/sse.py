"""Server-sent events, sans I/O: bytes cut anywhere to frames, and back.

A frame keeps its own bytes, so that what is not changed leaves exactly as it came: comments, ids, line ends. This module knows the
event stream format and nothing of what is in `data`.
Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from streamfilter.errors import MalformedInput

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""The largest frame that is waited for. Providers' largest, with whole images in base64, stay well below; without a bound a source
that never sends an empty line would fill the memory."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(r"[A-Za-z0-9_.-]+\Z")
_ONE_LINER = re.compile(rb"data: [^\r\n]*\n\n").match
_FIELDS = ("data", "event", "id", "retry")


@dataclass(slots=True)
class Frame:
    """One event, or a stretch of comments, up to the empty line that ends it.

    Attributes:
        data: the lines of `data`, joined by newlines; None if there were none.
        event: the type; "" if none was given.
        id: the last event id it sets; None if it sets none.
        raw: its bytes, exactly.
        offset: where they began, in bytes from the beginning of the stream.
        complete: whether an empty line ended it.
        retry: the time to wait before the client connects again, in milliseconds; None if it sets none.
        stray: where a line began, in bytes from the beginning of the stream, that looks like no field; the standard ignores it, but
            what has many is no event stream. None if there is none.
    """

    data: str | None
    event: str
    id: str | None
    raw: bytes
    offset: int
    complete: bool = True
    retry: int | None = None
    stray: int | None = None

    def checked(self) -> Frame:
        """The frame itself.

        Raises:
            MalformedInput: one of its lines looks like no field: this is no event stream, but, say, a page that reports an error.
        """
        if self.stray is not None:
            raise MalformedInput("a line is neither a field nor a comment of an event stream", self.stray)
        return self


class Decoder:
    r"""Bytes in pieces to frames. The raw bytes of all frames add up to the input.

    Raises:
        MalformedInput: a frame is larger than `max_frame_bytes`.

    Example:
        >>> decoder = Decoder()
        >>> list(decoder.feed(b": hi\n\nda")), [frame.data for frame in decoder.feed(b"ta: 1\r\n\r\n")]
        ([Frame(data=None, event='', id=None, raw=b': hi\n\n', offset=0, complete=True, retry=None, stray=None)], ['1'])
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buf = bytearray()
        self._offset = 0  # of the buffer in the stream
        self._line = 0  # where the present line begins in the buffer
        self._seen = 0  # up to where there is no line end
        self._after_cr = False  # a line feed now would belong to the line end before it
        self._lines: list[tuple[int, bytes]] = []

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes; to be read to the end. Those before a malformed one come first."""
        buf = self._buf
        if self._after_cr and piece:
            self._after_cr = False
            if piece[:1] == b"\n":
                buf += b"\n"
                self._line = self._seen = len(buf)
                piece = piece[1:]
        buf += piece
        if not self._seen:  # else a long line would be looked through again for every piece of it
            yield from self._one_liners(buf)
        while found := _LINE_END.search(buf, self._seen):
            line = bytes(buf[self._line : found.start()])
            end = found.end()
            if end > self.max_frame_bytes:
                break
            self._after_cr = found.group() == b"\r" and end == len(buf)
            if line:
                self._lines.append((self._offset + self._line, line))
                self._line = self._seen = end
            else:
                yield self._frame(end)
                yield from self._one_liners(buf)
        self._seen = len(buf)
        if len(buf) > self.max_frame_bytes:
            raise MalformedInput(f"an event is larger than {self.max_frame_bytes} bytes", self._offset)

    def _one_liners(self, buf: bytearray) -> Iterator[Frame]:
        """Frames at the beginning of the buffer that have one line of data and nothing else, as nearly all have."""
        taken = 0
        offset = self._offset
        while found := _ONE_LINER(buf, taken):
            end = found.end()
            if end - taken > self.max_frame_bytes:
                break
            raw = found[0]
            yield Frame(raw[6:-2].decode(errors="replace"), "", None, raw, offset + taken)
            taken = end
        if taken:
            del buf[:taken]
            self._offset += taken
            self._seen = 0

    def finish(self) -> Iterator[Frame]:
        """What was left without an empty line at its end. The standard discards it; here it still counts, if it is whole."""
        if not self._buf:
            return
        if last := bytes(self._buf[self._line :]):
            self._lines.append((self._offset + self._line, last))
        yield self._frame(len(self._buf), complete=False)

    def _frame(self, end: int, *, complete: bool = True) -> Frame:
        raw = bytes(self._buf[:end])
        offset = self._offset
        lines, self._lines = self._lines, []
        del self._buf[:end]
        self._offset += end
        self._line = self._seen = 0
        data: list[str] = []
        event = ""
        last_id: str | None = None
        retry: int | None = None
        stray: int | None = None
        for at, line in lines:
            text = line.decode(errors="replace")  # as the standard says
            if at == 0:
                text = text.removeprefix("\ufeff")
            name, colon, value = text.partition(":")
            value = value.removeprefix(" ")
            if not name:
                continue  # a comment
            if stray is None and name not in _FIELDS and not (colon and _FIELD.match(name)):
                stray = at
            if name == "data":
                data.append(value)
            elif name == "event":
                event = value
            elif name == "id" and "\0" not in value:
                last_id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                retry = int(value)
        return Frame("\n".join(data) if data else None, event, last_id, raw, offset, complete, retry, stray)


def encode(data: str, *, event: str = "", id: str | None = None) -> bytes:  # noqa: A002  # the field's name in the format
    r"""One event as bytes.

    Example:
        >>> encode('{"a": 1}', event="delta")
        b'event: delta\ndata: {"a": 1}\n\n'
    """
    head = (f"event: {event}\n" if event else "") + (f"id: {id}\n" if id is not None else "")
    body = "".join(f"data: {line}\n" for line in re.split(r"\r\n|\r|\n", data))
    return f"{head}{body}\n".encode()
