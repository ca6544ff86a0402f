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

_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r)")
_FRAMES = re.compile(rb"(?: [^\r\n]++ (?: \r\n? | \n ) )*+ (?: \r\n? | \n )", re.VERBOSE).findall
"""All frames in bytes that end with an empty line, with any line ends: lines, and an empty one."""

MAX_RETRY_DIGITS = 640
"""Digits of a time to wait that is read: so many Python converts whatever limit it is given (`sys.set_int_max_str_digits`)."""

_FIELD = re.compile(r"[A-Za-z0-9_.-]+\Z")
_NONE: Iterator[Frame] = iter(())
_CARRIAGE_RETURN = 13
_FIELDS = ("data", "event", "id", "retry")


@dataclass(slots=True)
class Frame:
    r"""One event, or a stretch of comments, up to the empty line that ends it.

    Attributes:
        data: the lines of `data`, joined by newlines; None if there were none.
        event: the type; "" if none was given.
        id: the last event id it sets; None if it sets none.
        raw: its bytes, exactly. Where a piece ended within the last line end, `\r\n`, the line feed is added when it comes.
        offset: where they began, in bytes from the beginning of the stream.
        complete: whether an empty line ended it.
        retry: the time to wait before the client connects again, in milliseconds; None if it sets none.
        stray: where a line began, in bytes from the beginning of the stream, that looks like no field; the standard ignores it, but
            what has many is no event stream. None if there is none.
        is_cut: whether the bytes so far ended with a carriage return, and its line feed may come.
    """

    data: str | None
    event: str
    id: str | None
    raw: bytes
    offset: int
    complete: bool = True
    retry: int | None = None
    stray: int | None = None
    is_cut: bool = False

    def checked(self) -> Frame:
        """The frame itself.

        Raises:
            MalformedInput: one of its lines looks like no field: this is no event stream, but, say, a page that reports an error.
        """
        if self.stray is not None:
            raise MalformedInput("a line is neither a field nor a comment of an event stream", self.stray)
        return self


class Seam:
    r"""What stands between the bytes that are sent: the rest of the last frame's end, where that has come late or never.

    A frame may have to leave between the two bytes of its last line end, or without an empty line because the source has ended.
    What is sent next must not depend on where the source's bytes were cut.

    Args:
        gap: what must stand behind a frame without its end, if another follows.

    Example:
        >>> seam, frame = Seam(b"\n\n"), Frame("1", "", None, b"data: 1\r\n\r", 0, is_cut=True)
        >>> first = seam.whole(frame)
        >>> frame.raw += b"\n"  # its decoder has been fed more
        >>> first, seam.made(b"data: 2\n\n")
        (b'data: 1\r\n\r', b'\ndata: 2\n\n')
    """

    def __init__(self, gap: bytes) -> None:
        self._gap = gap
        self._last: Frame | None = None  # that was sent as it came, and may lack something
        self._sent = 0  # of its bytes

    def whole(self, frame: Frame) -> bytes:
        """What to send for a frame that leaves as it came."""
        raw = frame.raw
        sent = raw if self._last is None else self.made(raw)
        if frame.is_cut or not frame.complete:
            self._last, self._sent = frame, len(raw)
        return sent

    def made(self, raw: bytes) -> bytes:
        """What to send for bytes that have been made."""
        last, self._last = self._last, None
        if last is None:
            return raw
        return last.raw[self._sent :] + (b"" if last.complete else self._gap) + raw

    def rest(self, *, is_cut: bool) -> list[bytes]:
        """What is to be sent when nothing more comes.

        Args:
            is_cut: whether the source may have more: where the line before it ends in two bytes, the last one is taken to do so.
        """
        last = self._last
        if last is None:
            return []
        rest = last.raw[self._sent :]
        if not rest and is_cut and last.raw.endswith(b"\r\n\r"):
            rest = b"\n"
        self._sent += len(rest)
        return [rest] if rest else []


class Decoder:
    r"""Bytes in pieces to frames. The raw bytes of all frames add up to the input.

    Raises:
        MalformedInput: a frame is larger than `max_frame_bytes`.

    Example:
        >>> decoder = Decoder()
        >>> [frame.raw for frame in decoder.feed(b": hi\n\nda")], [frame.data for frame in decoder.feed(b"ta: 1\r\n\r\n")]
        ([b': hi\n\n'], ['1'])
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._parts: list[bytes] = []  # of what has come of a frame that has not ended: joined once, however small they are
        self._size = 0  # of these
        self._last = b""  # the last byte of these, if it ends a line
        self._offset = 0  # of these in the stream
        self._cut: Frame | None = None  # it ended with a carriage return, and its line feed may come

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes, to be read to the end. Those before a malformed one come first."""
        if self._cut is not None and piece:
            piece = self._joined(self._cut, piece)
        if b"\n" in piece or b"\r" in piece:
            end = len(piece) if piece[-2:] == b"\n\n" or piece[-4:] == b"\r\n\r\n" else self._end(piece)
            if end:
                return self._ended(piece, end)
            self._last = piece[-1:] if piece[-1] in b"\r\n" else b""
        elif piece:
            self._last = b""
        else:
            return _NONE
        self._parts.append(piece)
        self._size += len(piece)
        return _NONE if self._size <= self.max_frame_bytes else self._oversized(self._offset)

    def _end(self, piece: bytes) -> int:
        """Where the last empty line ends in a piece; 0 if there is none."""
        last = self._last
        near = last + piece if last else piece
        if b"\r" in near:  # what stands before the last of the usual kind need not be looked at
            usual = max(near.rfind(b"\r\n\r\n"), 0)
            at = max(near.rfind(b"\n\n", usual), near.rfind(b"\n\r", usual), near.rfind(b"\r\r", usual))
        else:
            at = near.rfind(b"\n\n")
        if at >= 0:
            return (at + 3 if near[at + 1 : at + 3] == b"\r\n" else at + 2) - len(last)
        if self._size or piece[0] not in b"\r\n":
            return 0
        return 2 if piece[:2] == b"\r\n" else 1  # one with nothing before it

    def _ended(self, piece: bytes, end: int) -> Iterator[Frame]:
        """The frames up to an empty line."""
        offset = self._offset
        region, rest = (piece, b"") if end == len(piece) else (piece[:end], piece[end:])
        if self._size:
            self._parts.append(region)
            region = b"".join(self._parts)
        self._offset = offset + len(region)
        self._parts = [rest] if rest else []
        self._size = len(rest)
        self._last = rest[-1:] if rest and rest[-1] in b"\r\n" else b""
        frames = _frames(region, offset)
        if region[-1] == _CARRIAGE_RETURN and not rest:
            self._cut = frames[-1]
            self._cut.is_cut = True
        is_small = len(region) <= self.max_frame_bytes >= self._size
        return iter(frames) if is_small else self._within(frames)

    def _within(self, frames: list[Frame]) -> Iterator[Frame]:
        """The frames, up to one that is too large."""
        for frame in frames:
            # Of its last line end, the line feed does not count: with another cut, it comes when the frame has left.
            if len(frame.raw) - (frame.raw[-2:] == b"\r\n") > self.max_frame_bytes:
                yield from self._oversized(frame.offset)
            yield frame
        if self._size > self.max_frame_bytes:
            yield from self._oversized(self._offset)

    def finish(self) -> Iterator[Frame]:
        """What was left without an empty line at its end. The standard discards it; here it still counts, if it is whole."""
        raw = b"".join(self._parts)
        self._parts = []
        return iter((_read(raw, self._offset, complete=False),) if raw else ())

    def _joined(self, cut: Frame, piece: bytes) -> bytes:
        """What is left of a piece when the line feed is taken off that belongs to the frame before it."""
        self._cut = None
        if piece[:1] != b"\n":
            return piece
        cut.raw += b"\n"
        self._offset += 1
        return piece[1:]

    def _oversized(self, offset: int) -> Iterator[Frame]:
        raise MalformedInput(f"an event is larger than {self.max_frame_bytes} bytes", offset)
        yield  # an iterator: what came before is read first


def _end_of_one(region: bytes) -> int:
    """Where, from the end, the data ends of a frame that has nothing else; 0 if these bytes are not that."""
    size = len(region)
    if region[:6] != b"data: ":
        return 0
    if region.find(b"\n") == size - 2:
        return 0 if b"\r" in region else -2
    return -4 if region.find(b"\r") == size - 4 and region[-4:] == b"\r\n\r\n" and region.find(b"\n") == size - 3 else 0


def _frames(region: bytes, offset: int) -> list[Frame]:
    """The frames in bytes that end with an empty line."""
    if end := _end_of_one(region):  # small pieces, the usual frame
        return [Frame(region[6:end].decode("utf-8", "replace"), "", None, region, offset)]
    returns = region.count(b"\r")
    if not returns:
        return _split(region.split(b"\n\n"), offset, b"\n")
    if returns == region.count(b"\n"):
        parts = region.split(b"\r\n\r\n")
        if returns == 2 * len(parts) - 2 or returns == region.count(b"\r\n"):
            return _split(parts, offset, b"\r\n")
    found = []
    for raw in _FRAMES(region):
        found.append(_read(raw, offset))
        offset += len(raw)
    return found


def _split(parts: list[bytes], offset: int, end: bytes) -> list[Frame]:
    """The same where all lines end alike, as nearly always. That is told by counting, and cut by searching for two ends: many times
    faster than any pattern."""
    found: list[Frame] = []
    gap, one = end + end, len(end)
    last = parts.pop()
    for part in parts:
        while part[:one] == end:  # an empty line behind one
            found.append(Frame(None, "", None, end, offset))
            offset += one
            part = part[one:]  # noqa: PLW2901
        raw = part + gap
        at = part.find(b"\n") + 1
        if not at and part[:5] == b"data:":
            data = part[6:] if part[5:6] == b" " else part[5:]
            found.append(Frame(data.decode("utf-8", "replace"), "", None, raw, offset))  # as the standard says
        elif not at and part[:1] == b":":
            found.append(Frame(None, "", None, raw, offset))  # a comment, to keep the connection
        elif part[:7] == b"event: " and part[at : at + 6] == b"data: " and part.find(b"\n", at) < 0 < at:
            name = part[7 : at - one].decode("utf-8", "replace")
            found.append(Frame(part[at + 6 :].decode("utf-8", "replace"), name, None, raw, offset))
        elif part:
            found.append(_read(raw, offset))
        else:
            found += (Frame(None, "", None, end, offset), Frame(None, "", None, end, offset + one))
        offset += len(raw)
    if last:
        found.append(Frame(None, "", None, last, offset))
    return found


def _read(raw: bytes, offset: int, *, complete: bool = True) -> Frame:
    """Any frame, line by line."""
    text = raw.decode(errors="replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = (text.removeprefix("\ufeff") if offset == 0 else text).split("\n")
    frame = Frame(None, "", None, raw, offset, complete)
    data: list[str] = []
    for n, line in enumerate(lines):
        if not line or line[0] == ":":
            continue
        name, colon, value = line.partition(":")
        if value[:1] == " ":
            value = value[1:]
        if name == "data":
            data.append(value)
        elif name == "event":
            frame.event = value
        elif name == "id" and "\0" not in value:
            frame.id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) <= MAX_RETRY_DIGITS:
            frame.retry = int(value)
        elif frame.stray is None and name not in _FIELDS and not (colon and _FIELD.match(name)):
            frame.stray = offset + _line_offset(raw, n)
    if data:
        frame.data = "\n".join(data)
    return frame


def _line_offset(raw: bytes, number: int) -> int:
    """Where a line begins."""
    ends = (found.end() for found in _LINE.finditer(raw))
    return 0 if number == 0 else next(end for n, end in enumerate(ends, 1) if n == number)


def encode(data: str, *, event: str = "", id: str | None = None) -> bytes:  # noqa: A002  # the field's name in the format
    r"""One event as bytes.

    A line end in its name or id becomes a space: what a server says there must not begin another field.

    Example:
        >>> encode('{"a": 1}', event="delta")
        b'event: delta\ndata: {"a": 1}\n\n'
    """
    head = f"event: {_LINE_END.sub(' ', event)}\n" if event else ""
    if id is not None:
        head += f"id: {_LINE_END.sub(' ', id)}\n"
    body = "".join(f"data: {line}\n" for line in _LINE_END.split(data))
    return f"{head}{body}\n".encode()
