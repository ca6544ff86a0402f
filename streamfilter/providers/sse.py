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
_FRAME = re.compile(rb"(?: [^\r\n]++ (?: \r\n? | \n ) )*+ (?: \r\n? | \n )", re.VERBOSE).match
"""A frame in bytes that end with an empty line, with any line ends: lines, and an empty one."""

NEAR_BYTES = 4096
"""Within which a frame is looked for that ends as its first line does: further on it may be another's end, again and again."""

MAX_RETRY_DIGITS = 640
"""Digits of a time to wait that is read: so many Python converts whatever limit it is given (`sys.set_int_max_str_digits`)."""
_FIELD = re.compile(r"[A-Za-z0-9_.-]+\Z")
_NONE: Iterator[Frame] = iter(())
_LINE_FEED, _CARRIAGE_RETURN, _SPACE, _COLON, _D, _E, _I = b"\n\r :dei"
"""Of one byte, whether a piece has it is asked by its number: `bytes` first tries to read what it is given as one."""
_FIELDS = ("data", "event", "id", "retry")

JOINED = "the line ends between events are missing: give the response itself, or its bytes as they come, not its lines"


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
                Or its lines are joined.
        """
        if self.stray is not None:
            raise MalformedInput("a line is neither a field nor a comment of an event stream", self.stray)
        if self.data is None and "data:" in self.event:
            raise MalformedInput(JOINED, self.offset)
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
        self._offset = 0  # of these in the stream
        self._cut: Frame | None = None  # it ended with a carriage return, and its line feed may come

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes, to be read to the end. Those before a malformed one come first."""
        if not piece:
            return _NONE
        if self._cut is not None:
            if piece[0] == _LINE_FEED:  # it belongs to the frame before it
                self._cut.raw += b"\n"
                self._offset += 1
                piece = piece[1:]
            self._cut = None
            if not piece:
                return _NONE
        if _CARRIAGE_RETURN in piece or piece[0] == _LINE_FEED:
            end = self._end(piece)
        else:
            at = piece.rfind(b"\n")  # of one byte: see `_alike`
            end = at + 1 if at < 0 or piece[at - 1] == _LINE_FEED else piece.rfind(b"\n\n", 0, at) + 2
            if end == 1:
                end = 0
            elif end and not self._size and end == len(piece) <= self.max_frame_bytes:  # whole ones, as a server has written them
                self._offset += end
                return iter(_alike(piece, self._offset - end))
        if end:
            return self._ended(piece, end)
        self._parts.append(piece)
        self._size += len(piece)
        return _NONE if self._size <= self.max_frame_bytes else self._oversized(self._offset)

    def _end(self, piece: bytes) -> int:
        """Where the last empty line ends in a piece; 0 if there is none."""
        at = piece.rfind(b"\n")
        if piece[at - 3 : at + 1] == b"\r\n\r\n" and piece.rfind(b"\r") == at - 1:  # the last line end of all
            return at + 1
        if at < 0 and piece[(at := piece.rfind(b"\r")) - 1 : at + 1] == b"\r\r":
            return at + 1
        usual = piece.rfind(b"\r\n\r\n")
        last = self._parts[-1][-1:] if self._size else b""
        last = last if last in (b"\n", b"\r") else b""
        near = last + piece if last else piece
        if _CARRIAGE_RETURN in near:  # what stands before the last of the usual kind need not be looked at
            usual = max(usual, 0)
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
        offset, rest = self._offset, piece[end:]
        region = piece[:end] if rest else piece
        if self._size:
            parts = self._parts
            region = parts[0] + region if len(parts) == 1 else b"".join([*parts, region])
        self._offset = offset + len(region)
        self._parts, self._size = [rest] if rest else [], len(rest)
        frames = _frames(region, offset) if _CARRIAGE_RETURN in region else _alike(region, offset)
        if not rest and region[-1] == _CARRIAGE_RETURN:
            self._cut = frames[-1]
            self._cut.is_cut = True
        if len(region) <= self.max_frame_bytes >= self._size:
            return iter(frames)
        return self._within(frames)

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
        if not raw:
            return _NONE
        frame = frame_of(raw, raw, self._offset)
        frame.complete = False
        return iter((frame,))

    def _oversized(self, offset: int) -> Iterator[Frame]:
        raise MalformedInput(f"an event is larger than {self.max_frame_bytes} bytes", offset)
        yield  # an iterator: what came before is read first


def _frames(region: bytes, offset: int) -> list[Frame]:
    """The frames in bytes that end with an empty line, where carriage returns end lines."""
    if _LINE_FEED not in region:
        found = _alike(region.replace(b"\r", b"\n"), offset)
        for frame in found:
            frame.raw = frame.raw.replace(b"\n", b"\r")
        return found
    return _mixed(region, offset)


def _mixed(region: bytes, offset: int) -> list[Frame]:
    """The same where there are both."""
    found: list[Frame] = []
    size, begin, find = len(region), 0, region.find
    feed = carriage = -1  # the next of each: looked for once, however far it is
    while begin < size:
        if feed < begin:
            feed = find(b"\n", begin) if feed < size else size
            feed = size if feed < 0 else feed
        if carriage < begin:
            carriage = find(b"\r", begin) if carriage < size else size
            carriage = size if carriage < 0 else carriage
        stop = feed + 3
        is_one = feed - carriage == 1 and region[feed + 1 : stop] == b"\r\n"  # a line and an empty one, as nearly all
        if is_one and region[begin : begin + 6] == b"data: ":
            data = region[begin + 6 : carriage].decode("utf-8", "replace")
            frame = Frame(data, "", None, region[begin:stop], offset + begin)
        elif feed - carriage == 1 and region[begin : begin + 7] == b"event: " and region[feed + 1 : feed + 7] == b"data: ":
            head, at = feed + 1, find(b"\n", feed + 1)
            if region[at - 1 : at + 3] == b"\r\n\r\n" and find(b"\r", head) == at - 1:  # as Anthropic and OpenAI send them
                name = region[begin + 7 : carriage].decode("utf-8", "replace")
                data = region[head + 6 : at - 1].decode("utf-8", "replace")
                frame = Frame(data, name, None, region[begin : at + 3], offset + begin)
            else:
                frame = _of_any(region, begin, offset)
        else:
            frame = (_ended_by_two(region, begin, offset) if feed - carriage == 1 else None) or _of_any(region, begin, offset)
        found.append(frame)
        begin += len(frame.raw)
    return found


def _ended_by_two(region: bytes, begin: int, offset: int) -> Frame | None:
    """The frame that begins here, if carriage returns and line feeds end its lines; None if others may."""
    stop = region.find(b"\r\n\r\n", begin, begin + NEAR_BYTES) + 4
    if stop < 4:
        return None
    raw = region[begin:stop]
    lines = raw.replace(b"\r\n", b"\n")
    if lines[:1] == b"\n" or _CARRIAGE_RETURN in lines or lines.find(b"\n\n") != len(lines) - 2:
        return None
    frame = _several(lines, 0, lines.find(b"\n"), offset + begin)
    frame.raw = raw
    return frame if frame.stray is None else None  # where that is, would be counted in other bytes


def _of_any(region: bytes, begin: int, offset: int) -> Frame:
    """The frame that begins here, whatever ends its lines."""
    raw = _FRAME(region, begin)[0]  # type: ignore[index]  # the bytes end with an empty line
    return frame_of(raw, raw, offset + begin)


def _alike(region: bytes, offset: int) -> list[Frame]:
    """The same where all lines end with a line feed: to search for one byte is many times faster than to search for two."""
    found: list[Frame] = []
    size, begin, find = len(region), 0, region.find
    while begin < size:
        at = find(b"\n", begin)
        if at == begin:  # an empty line behind one
            stop = begin + 1
            frame = Frame(None, "", None, b"\n", offset + begin)
        elif region[at + 1] == _LINE_FEED:
            stop = at + 2
            raw = region[begin:stop]
            if region[begin] == _COLON:  # a comment, to keep the connection
                frame = Frame(None, "", None, raw, offset + begin)
            elif raw[:5] == b"data:":
                data = raw[6 if raw[5] == _SPACE else 5 : -2].decode("utf-8", "replace")  # as the standard says
                frame = Frame(data, "", None, raw, offset + begin)
            else:
                frame = frame_of(raw[:-2], raw, offset + begin)
        else:
            head, next_at = at + 1, find(b"\n", at + 1)
            is_two = region[next_at + 1] == _LINE_FEED and region[head : head + 6] == b"data: "
            if is_two and region[begin : begin + 7] == b"event: ":  # as Anthropic and OpenAI send them
                stop = next_at + 2
                name = region[begin + 7 : at].decode("utf-8", "replace")
                data = region[head + 6 : next_at].decode("utf-8", "replace")
                frame = Frame(data, name, None, region[begin:stop], offset + begin)
            else:
                frame = _several(region, begin, at, offset)
                stop = begin + len(frame.raw)
        found.append(frame)
        begin = stop
    return found


def _several(region: bytes, begin: int, at: int, offset: int) -> Frame:
    """The frame of several lines that begins here, all of which end with a line feed.

    Args:
        region: the bytes.
        begin: where it begins.
        at: where its first line ends.
        offset: where the bytes began.
    """
    data: str | None = None
    event, identity = "", None
    line, is_usual = begin, True
    while True:
        first = region[line]
        if first == _D and data is None and region[line : line + 5] == b"data:":
            data = region[line + (6 if region[line + 5] == _SPACE else 5) : at].decode("utf-8", "replace")
        elif first == _E and region[line : line + 6] == b"event:":
            event = region[line + (7 if region[line + 6] == _SPACE else 6) : at].decode("utf-8", "replace")
        elif first == _I and region[line : line + 4] == b"id: " and 0 not in region[line:at]:
            identity = region[line + 4 : at].decode("utf-8", "replace")
        elif first != _COLON:
            is_usual = False
        line = at + 1
        if region[line] == _LINE_FEED:
            break
        at = region.find(b"\n", line)
    raw = region[begin : line + 1]
    return Frame(data, event, identity, raw, offset + begin) if is_usual else frame_of(raw[:-2], raw, offset + begin)


def frame_of(lines: bytes, raw: bytes, offset: int) -> Frame:
    """Any frame, line by line."""
    text = lines.decode("utf-8", "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not offset:
        text = text.removeprefix("\ufeff")
    data: str | None = None
    more: list[str] = []
    event, identity, retry, stray = "", None, None, None
    for line in text.split("\n"):
        if line[:6] == "data: ":  # the usual ones first
            value = line[6:]
        elif line[:7] == "event: ":
            event = line[7:]
            continue
        elif not line or line[0] == ":":
            continue
        else:
            name, colon, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event = value
            elif name == "id" and "\0" not in value:
                identity = value
            elif name == "retry" and value.isascii() and value.isdigit() and len(value) <= MAX_RETRY_DIGITS:
                retry = int(value)
            elif stray is None and name not in _FIELDS and not (colon and _FIELD.match(name)):
                stray = offset + _line_offset(raw, text.split("\n").index(line))
            if name != "data":
                continue
        if data is None:
            data = value
        else:
            more.append(value)
    if more:
        data = "\n".join([data or "", *more])
    return Frame(data, event, identity, raw, offset, True, retry, stray)  # keywords are slow


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
