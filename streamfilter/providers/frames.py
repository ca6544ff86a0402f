"""How events stand in bytes: as server-sent events, as lines of JSON, as messages of AWS's event stream; sans I/O.

Every framing gives `sse.Frame`s: `data` is the JSON text of one event, `raw` its bytes, exactly, so that what is not changed leaves
as it came. Nothing is known here of what the events say.

AWS's messages are read and written here, with `zlib.crc32`: botocore has a reader of them and no writer, and would be a heavy
requirement for what is some lines. Tests compare with it.
Sources: the NDJSON specification 1.0; "Event stream encoding" in the guide of Amazon Transcribe streaming, which is the format's
reference; Smithy's `application/vnd.amazon.eventstream`.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

from streamfilter.errors import MalformedInput
from streamfilter.providers import sse
from streamfilter.providers.sse import MAX_FRAME_BYTES, Frame
from streamfilter.slices import PIECE_BYTES

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What JSON need not escape and some readers take for the end of a line, httpx's `iter_lines` among them."""

MAX_HEADER_BYTES = 128 * 1024
"""The largest headers of a message. Source: the format's reference."""

_PRELUDE = struct.Struct(">III")  # all bytes, bytes of headers, checksum of the two
_CRC = struct.Struct(">I")
_SMALLEST = _PRELUDE.size + _CRC.size
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value, by its type: true, false, byte, short, integer, long, time, UUID."""
_BYTES, _STRING = 6, 7
_LONGEST = 2**15 - 1
"""Bytes of a header's string. Source: the format's reference."""

_TYPES = (":event-type", ":exception-type", ":error-code")
_KNOWN = frozenset({*_TYPES, ":message-type", ":content-type"})


class Decoder(Protocol):
    """Bytes in pieces to frames. The raw bytes of all frames add up to the input."""

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes; to be read to the end. Those before a malformed one come first."""
        ...

    def finish(self) -> Iterator[Frame]:
        """What was left when the source ended."""
        ...


class Framing(Protocol):
    """One way in which events stand in bytes.

    Attributes:
        gap: what must stand behind a frame that was the last, and without its end, if another follows.
    """

    gap: bytes

    def begins(self, first: bytes) -> bool:
        """Whether a stream that begins with these bytes may be one."""
        ...

    def decoder(self) -> Decoder:
        """Begin to read a stream."""
        ...

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:
        """One event as bytes.

        Args:
            event: as plain data.
            name: of its kind, if the format names its events.
            frame: the frame it came in, if it came in one.
        """
        ...


def json_text(event: Any) -> str:
    r"""Plain data as JSON, as short as it gets; bytes in base64.

    Example:
        >>> json_text({"a": "é", "b": "\ud800", "c": b"\0"})
        '{"a":"\\u00e9","b":"\\ud800","c":"AA=="}'
    """
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=_base64)
    if _LONE_SURROGATE.search(text):  # half of a character that a service has cut in two: only escaped can it be sent on
        text = json.dumps(event, separators=(",", ":"), default=_base64)
    return text


def _base64(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__qualname__} is no plain data")


class _ServerSent:
    gap = b"\n\n"

    def begins(self, first: bytes) -> bool:
        return not NDJSON.begins(first) and not AWS.begins(first)

    def decoder(self) -> Decoder:
        return _Decoder()

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:
        return sse.encode(json_text(event), event=name, id=frame.id if frame else None)


class _Decoder(sse.Decoder):
    """Server-sent events: of a large piece the frames are made bit by bit, as those of the other framings are."""

    def feed(self, piece: bytes) -> Iterator[Frame]:
        return super().feed(piece) if len(piece) <= PIECE_BYTES else self._in_parts(piece)

    def _in_parts(self, piece: bytes) -> Iterator[Frame]:
        end = 0
        while (begin := end) < len(piece):
            end += PIECE_BYTES
            end += piece[end - 1 : end] == b"\r"  # so that a frame is as whole as with all of the piece
            yield from super().feed(piece[begin:end])


class _Lines:
    gap = b"\n"

    def begins(self, first: bytes) -> bool:
        return first.lstrip()[:1] == b"{"

    def decoder(self) -> Decoder:
        return LineDecoder()

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:  # lines have no name
        text = json_text(event)
        for char, escaped in _LINE_ENDS.items():
            text = text.replace(char, escaped)
        end = "\r\n" if frame and frame.raw.endswith(b"\r\n") else "\n"
        return (text + end).encode()


class _Messages:
    gap = b""

    def begins(self, first: bytes) -> bool:
        return first[:1] == b"\0"  # of the length, which has four bytes and is less than 16 MB

    def decoder(self) -> Decoder:
        return MessageDecoder()

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:  # the event has it
        given = _read_headers(frame.raw, frame.offset) if frame else []
        kind = next(name for name in event if not name.startswith(":"))
        payload = b"" if given and not _payload(frame.raw if frame else b"") else json_text(event[kind]).encode()
        if given:
            values = [(head.name, event[head.name]) if head.name in event else (head.name, head) for head in given]
            return _message(b"".join(_written(name, value) for name, value in values), payload)
        is_error = kind.endswith("Exception")
        headers = {
            ":exception-type" if is_error else ":event-type": kind,
            ":content-type": "application/json",
            ":message-type": "exception" if is_error else "event",
        }
        return _message(b"".join(_written(name, value) for name, value in headers.items()), payload)


class _TextMessages:
    """Messages of a WebSocket: each one event, as a text of its own. What stands for their bytes is that text."""

    gap = b""

    def begins(self, first: bytes) -> bool:
        return False  # nothing in bytes tells

    def decoder(self) -> Decoder:
        raise TypeError("messages are whole: there is nothing to decode")

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:
        return cast("bytes", json_text(event))


class _BinaryMessages(_TextMessages):
    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:
        return json_text(event).encode()


TEXT_MESSAGES: Framing = _TextMessages()
"""WebSocket messages as `str`."""

BINARY_MESSAGES: Framing = _BinaryMessages()
"""WebSocket messages as `bytes`."""


def message(item: str | bytes, number: int) -> Frame:
    """A WebSocket message as a frame.

    Args:
        item: the message.
        number: how many came before it: it stands for the offset.

    Raises:
        MalformedInput: it is not UTF-8.

    Example:
        >>> message('{"a": 1}', 0).data
        '{"a": 1}'
    """
    return Frame(item if isinstance(item, str) else _text(item, number), "", None, cast("bytes", item), number)


SSE: Framing = _ServerSent()
"""Server-sent events."""

NDJSON: Framing = _Lines()
"""Lines of JSON."""

AWS: Framing = _Messages()
"""Messages of AWS's event stream. An event is `{<its type>: <the payload>}`, as boto3 gives it; headers that are strings and not
known here stand beside it, under their names."""


def framing_of(first: bytes, framings: Sequence[Framing] = (AWS, NDJSON, SSE)) -> Framing | None:
    """The framing of a stream, by the bytes with which it begins; None if they do not tell it yet.

    Example:
        >>> framing_of(b'{"a": 1}') is NDJSON, framing_of(b"data: 1") is SSE, framing_of(b"")
        (True, True, None)
    """
    if len(framings) == 1:
        return framings[0]
    return next((each for each in framings if each.begins(first)), framings[-1]) if first.strip() else None


# ---------------------------------------------------------------------------------------------------------------- lines


class LineDecoder:
    r"""Lines of JSON. A line ends with a line feed, or a carriage return and a line feed; the last one may have no end.

    A line with nothing in it is a frame without data.

    Raises:
        MalformedInput: a line is longer than `max_frame_bytes`, or is not UTF-8.

    Example:
        >>> decoder = LineDecoder()
        >>> [frame.data for frame in decoder.feed(b'{"a": 1}\n{"b"')], [frame.data for frame in decoder.feed(b": 2}\r\n")]
        (['{"a": 1}'], ['{"b": 2}'])
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buf = bytearray()
        self._offset = 0  # of the buffer in the stream

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The lines that end in these bytes."""
        begin, seen = 0, len(self._buf)
        buf = self._buf
        buf += piece
        try:
            while (end := buf.find(b"\n", seen) + 1) and end - begin <= self.max_frame_bytes:
                frame = self._frame(bytes(buf[begin:end]), self._offset + begin)
                begin = seen = end
                yield frame
        finally:
            del buf[:begin]
            self._offset += begin
        if len(buf) > self.max_frame_bytes:
            raise MalformedInput(f"a line is longer than {self.max_frame_bytes} bytes", self._offset)

    def finish(self) -> Iterator[Frame]:
        """The last line, if nothing has ended it."""
        if self._buf:
            yield self._frame(bytes(self._buf), self._offset, complete=False)

    def _frame(self, raw: bytes, offset: int, *, complete: bool = True) -> Frame:
        text, malformed = "", -1
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            malformed = error.start
        if malformed >= 0:  # what a reader would make of it is not known
            raise MalformedInput("a line is not UTF-8", offset + malformed)
        return Frame(text.strip() or None, "", None, raw, offset, complete)


# ------------------------------------------------------------------------------------------------------------- messages


class Header(NamedTuple):
    """A header of a message.

    Attributes:
        name: its name.
        kind: the number of its value's type.
        raw: the bytes of its value.
    """

    name: str
    kind: int
    raw: bytes


class MessageDecoder:
    """Messages of AWS's event stream. All checksums are checked.

    Raises:
        MalformedInput: a checksum or a length is wrong, a message is larger than `max_frame_bytes`, the stream ends within one, a
            payload is no JSON object, or a header could hide text.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buf = bytearray()
        self._offset = 0  # of the buffer in the stream

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The messages that are complete with these bytes."""
        buf, begin = self._buf, 0
        buf += piece
        try:
            while len(buf) - begin >= _PRELUDE.size:
                size = self._size(begin)
                if len(buf) - begin < size:
                    break
                frame = _frame(bytes(buf[begin : begin + size]), self._offset + begin)
                begin += size
                yield frame
        finally:
            del buf[:begin]
            self._offset += begin

    def finish(self) -> Iterator[Frame]:
        """There may be nothing left."""
        if self._buf:
            raise MalformedInput("the stream ends within a message", self._offset)
        return iter(())

    def _size(self, begin: int) -> int:
        """The length of the message that begins here: checked before it is waited for."""
        size, headers, checksum = _PRELUDE.unpack_from(self._buf, begin)
        offset = self._offset + begin
        if zlib.crc32(self._buf[begin : begin + 8]) != checksum:
            raise MalformedInput("the checksum of a message's lengths is wrong", offset)
        if size > self.max_frame_bytes:
            raise MalformedInput(f"a message is larger than {self.max_frame_bytes} bytes", offset)
        if headers > min(size - _SMALLEST, MAX_HEADER_BYTES):
            raise MalformedInput("the lengths of a message contradict each other", offset)
        return int(size)


def _frame(raw: bytes, offset: int) -> Frame:
    if zlib.crc32(raw[: -_CRC.size]) != _CRC.unpack(raw[-_CRC.size :])[0]:
        raise MalformedInput("the checksum of a message is wrong", offset)
    values: dict[str, str] = {}
    for head in _read_headers(raw, offset):
        if head.name in values or head.kind == _BYTES:
            raise MalformedInput("a header of a message comes twice, or could hide text", offset)
        if head.kind == _STRING:
            values[head.name] = _text(head.raw, offset)
        elif head.name in _KNOWN:
            raise MalformedInput("a header of a message is no string", offset)
    kind = next((values[name] for name in _TYPES if name in values), "")
    if not kind or kind.startswith(":"):
        raise MalformedInput("a message does not say its type", offset)
    payload = _text(_payload(raw), offset).strip() or "{}"
    if payload[0] + payload[-1] != "{}":
        raise MalformedInput("the payload of a message is not a JSON object", offset)
    beside = {name: value for name, value in values.items() if name not in _KNOWN}
    if any(not name.startswith(":") for name in beside):
        raise MalformedInput("a message has a header that is not known", offset)
    more = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in beside.items())
    return Frame(f"{{{json.dumps(kind)}:{payload}{more}}}", kind, None, raw, offset)


def _payload(raw: bytes) -> bytes:
    return raw[_PRELUDE.size + _PRELUDE.unpack_from(raw)[1] : -_CRC.size]


def _read_headers(raw: bytes, offset: int) -> list[Header]:
    found: list[Header] = []
    at, end = _PRELUDE.size, _PRELUDE.size + _PRELUDE.unpack_from(raw)[1]
    raw = raw[:end]
    try:
        while at < end:
            name = _text(raw[at + 1 : at + 1 + raw[at]], offset)
            at += 1 + raw[at]
            kind = raw[at]
            size = _SIZES.get(kind)
            if size is None:
                if kind not in (_BYTES, _STRING):
                    raise MalformedInput("a header of a message has a type that is not known", offset)
                size = int.from_bytes(raw[at + 1 : at + 3])
                at += 2
            found.append(Header(name, kind, raw[at + 1 : at + 1 + size]))
            at += 1 + size
    except IndexError:
        at = -1
    if at != end:
        raise MalformedInput("the headers of a message are cut off", offset)
    return found


def _written(name: str, value: Header | str) -> bytes:
    if isinstance(value, str):
        value = Header(name, _STRING, value.encode(errors="replace")[:_LONGEST])
    size = len(value.raw).to_bytes(2) if value.kind in (_BYTES, _STRING) else b""
    return bytes([len(name.encode())]) + name.encode() + bytes([value.kind]) + size + value.raw


def _message(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", _SMALLEST + len(headers) + len(payload), len(headers))
    body = lengths + _CRC.pack(zlib.crc32(lengths)) + headers + payload
    return body + _CRC.pack(zlib.crc32(body))


def _text(raw: bytes, offset: int) -> str:
    with suppress(UnicodeDecodeError):  # it holds all of the bytes: no error that leaves has it for its context
        return raw.decode()
    raise MalformedInput("a message is not UTF-8", offset)
