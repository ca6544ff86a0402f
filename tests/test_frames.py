"""Lines of JSON and messages of AWS's event stream, at every cut."""

from __future__ import annotations

import itertools
import json
import random
import struct
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import SHARED

from streamfilter.errors import MalformedInput
from streamfilter.providers.frames import AWS, NDJSON, SSE, Framing, LineDecoder, MessageDecoder, framing_of, json_text
from streamfilter.providers.sse import Frame

MESSAGES = sorted((SHARED / "bedrock").glob("*.bin"))
needs_botocore = pytest.mark.skipif(not MESSAGES, reason="the shared recordings are not beside this checkout")


def decoded(framing: Framing, pieces: list[bytes]) -> list[Frame]:
    decoder = framing.decoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)] + list(decoder.finish())


def cut(raw: bytes, seed: int, most: int) -> list[bytes]:
    rng = random.Random(seed)
    cuts = [0]
    while cuts[-1] < len(raw):
        cuts.append(min(len(raw), cuts[-1] + rng.randint(1, most)))
    return [raw[begin:end] for begin, end in itertools.pairwise(cuts)]


def header(name: str, kind: int, value: bytes) -> bytes:
    """A header, by the letter of the format."""
    size = struct.pack(">H", len(value)) if kind in (6, 7) else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + size + value


def message(headers: bytes, payload: bytes) -> bytes:
    """A message, by the letter of the format."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    return prelude + headers + payload + struct.pack(">I", zlib.crc32(prelude + headers + payload))


EVENT = header(":event-type", 7, b"x")

# ---------------------------------------------------------------------------------------------------------------- lines


@given(
    st.lists(st.sampled_from(['{"a": "é🎉"}', "", "  ", "[1]", "\u2028"])),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.data(),
)
def test_lines_are_those_of_the_whole_text_whatever_the_cuts(
    lines: list[str], end: str, is_ended: bool, data: st.DataObject
) -> None:
    """Empty ones are kept, without data; a last one needs no end; the raw bytes add up to the input."""
    text = end.join(lines) + (end if is_ended else "")
    raw = text.encode()
    at = data.draw(st.integers(0, len(raw)))
    for pieces in ([raw[:at], raw[at:]], [raw[n : n + 1] for n in range(len(raw))]):
        frames = decoded(NDJSON, pieces)
        assert b"".join(frame.raw for frame in frames) == raw
        want = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
        assert [frame.data for frame in frames if frame.data is not None] == [line.strip() for line in want]
        assert [frame.offset for frame in frames] == [0, *itertools.accumulate(len(frame.raw) for frame in frames)][: len(frames)]


def test_a_line_has_a_limit() -> None:
    """It is an error with the place where the line began, behind the lines before it."""
    decoder = LineDecoder(max_frame_bytes=10)
    frames = decoder.feed(b'{"a":1}\n{"long":1234567')
    assert next(frames).data == '{"a":1}'
    with pytest.raises(MalformedInput, match="longer than 10 bytes") as error:
        next(frames)
    assert error.value.offset == 8


def test_a_whole_line_that_is_too_long_is_refused_too() -> None:
    """Not only one whose end has not come."""
    with pytest.raises(MalformedInput, match="longer than 10 bytes"):
        list(LineDecoder(max_frame_bytes=10).feed(b'{"long":1234567}\n'))


def test_a_line_that_is_not_utf_8_is_refused() -> None:
    """What a reader would make of it is not known: it might read a secret there that is none here."""
    with pytest.raises(MalformedInput, match="not UTF-8") as error:
        list(LineDecoder().feed(b'{}\n{"a":"sec\xffret"}\n'))
    assert error.value.offset == 12


def test_a_line_is_written_so_that_no_reader_cuts_it() -> None:
    """Some readers end lines at more than line feeds; the end is that of the line it was."""
    event = {"a": "x\x85\u2028\u2029\x0b\n\ud800"}
    raw = NDJSON.encode(event, "", None)
    assert len(raw.decode().splitlines()) == 1
    assert json.loads(raw) == event
    assert NDJSON.encode({}, "", Frame("{}", "", None, b"{}\r\n", 0)) == b"{}\r\n"


def test_lines_take_linear_time() -> None:
    """Many short ones in one piece, and one long one in many."""
    begin = time.perf_counter()
    assert len(list(LineDecoder().feed(b"{}\n" * 300_000))) == 300_000
    decoder = LineDecoder()
    for _ in range(100_000):
        assert not list(decoder.feed(b"x" * 100))
    assert time.perf_counter() - begin < 5


# ------------------------------------------------------------------------------------------------------------- messages


@needs_botocore
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_messages_are_those_that_botocore_reads(path: Any) -> None:
    """Types and payloads, whatever the cuts; the raw bytes add up to the input."""
    eventstream = pytest.importorskip("botocore.eventstream")
    raw = path.read_bytes()
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(raw)
    want = [{each.headers[":event-type"]: json.loads(each.payload)} for each in buffer]
    for pieces in ([raw], cut(raw, 1, 9), cut(raw, 2, 400)):
        frames = decoded(AWS, pieces)
        assert [json.loads(frame.data or "") for frame in frames] == want
        assert b"".join(frame.raw for frame in frames) == raw


@needs_botocore
@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_what_is_written_is_read_by_botocore(path: Any) -> None:
    """The same headers in the same order, another payload; also without a message that it was."""
    eventstream = pytest.importorskip("botocore.eventstream")
    for frame in decoded(AWS, [path.read_bytes()]):
        event = {frame.event: {"changed": "é"}}
        for raw in (AWS.encode(event, "", frame), AWS.encode(event, "", None)):
            buffer = eventstream.EventStreamBuffer()
            buffer.add_data(raw)
            (read,) = buffer
            assert json.loads(read.payload) == {"changed": "é"}
            assert read.headers == {":event-type": frame.event, ":content-type": "application/json", ":message-type": "event"}


def test_a_message_with_other_headers_keeps_them() -> None:
    """Of every type, byte for byte; a string that is not known here stands in the event, and is written from there."""
    kinds = [(0, b""), (1, b""), (2, b"a"), (3, b"ab"), (4, b"abcd"), (5, b"abcdefgh"), (8, b"abcdefgh"), (9, b"a" * 16)]
    more = b"".join(header(f"h{kind}", kind, value) for kind, value in kinds)
    raw = message(EVENT + more + header(":note", 7, b"secret"), b'{"a": 1}')
    (frame,) = decoded(AWS, [raw])
    assert json.loads(frame.data or "") == {"x": {"a": 1}, ":note": "secret"}
    assert AWS.encode({"x": {"a": 2}, ":note": "[x]"}, "", frame) == message(EVENT + more + header(":note", 7, b"[x]"), b'{"a":2}')


def test_exceptions_are_events_of_their_type() -> None:
    """Those that the service models, and those it does not; they are written as they came."""
    raised = header(":exception-type", 7, b"throttlingException") + header(":message-type", 7, b"exception")
    (frame,) = decoded(AWS, [message(raised, b'{"message": "slow"}')])
    assert json.loads(frame.data or "") == {"throttlingException": {"message": "slow"}}
    assert AWS.encode({"throttlingException": {}}, "", frame) == message(raised, b"{}")
    failed = header(":message-type", 7, b"error") + header(":error-code", 7, b"Bad") + header(":error-message", 7, b"secret")
    (frame,) = decoded(AWS, [message(failed, b"")])
    assert json.loads(frame.data or "") == {"Bad": {}, ":error-message": "secret"}
    assert AWS.encode({"Bad": {}, ":error-message": "[x]"}, "", frame) == message(failed.replace(b"\0\6secret", b"\0\3[x]"), b"")


GOOD = message(EVENT, b'{"a": 1}')
BAD: list[tuple[str, bytes, str]] = [
    ("lengths", GOOD[:5] + b"\1" + GOOD[6:], "the checksum of a message's lengths"),
    ("payload", GOOD[:-8] + b"\1" + GOOD[-7:], "the checksum of a message is wrong"),
    ("checksum", GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "the checksum of a message is wrong"),
    ("small", struct.pack(">II", 15, 0) + struct.pack(">I", zlib.crc32(struct.pack(">II", 15, 0))), "contradict"),
    ("nothing", struct.pack(">II", 0, 0) + struct.pack(">I", zlib.crc32(struct.pack(">II", 0, 0))), "contradict"),
    ("headers", struct.pack(">II", 20, 5) + struct.pack(">I", zlib.crc32(struct.pack(">II", 20, 5))), "contradict"),
    ("large", struct.pack(">II", 2**25, 0) + struct.pack(">I", zlib.crc32(struct.pack(">II", 2**25, 0))), "larger than 16777216"),
    ("truncated", GOOD[:-1], "ends within a message"),
    ("no type", message(header("a", 7, b"x"), b"{}"), "does not say its type"),
    ("header of bytes", message(EVENT + header(":b", 6, b"x"), b"{}"), "could hide text"),
    ("header twice", message(EVENT + EVENT, b"{}"), "comes twice"),
    ("header of no type", message(EVENT + header("a", 12, b""), b"{}"), "not known"),
    ("header cut off", message(EVENT[:-1], b"{}"), "cut off"),
    ("header without value", message(EVENT + b"\1a", b"{}"), "cut off"),
    ("payload is text", message(EVENT, b'"secret"'), "not a JSON object"),
    ("payload is not UTF-8", message(EVENT, b'{"a":"\xff"}'), "not UTF-8"),
]


@pytest.mark.parametrize(("raw", "problem"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_malformed_message_is_refused_with_its_place(raw: bytes, problem: str) -> None:
    """What came before it is given first, also one byte at a time; nothing of the message is in the error."""
    for pieces in ([GOOD + raw], [bytes([byte]) for byte in GOOD + raw]):
        decoder = MessageDecoder()
        found: list[Frame] = []
        with pytest.raises(MalformedInput, match=problem) as error:
            for piece in pieces:
                found += decoder.feed(piece) if len(pieces) > 1 else []
                for frame in () if len(pieces) > 1 else decoder.feed(piece):
                    found.append(frame)
            list(decoder.finish())
        assert [frame.raw for frame in found] == [GOOD]
        assert error.value.offset == len(GOOD)
        assert "secret" not in str(error.value)


@given(st.binary(max_size=80), st.integers(0, 60))
def test_any_bytes_are_messages_or_malformed(noise: bytes, at: int) -> None:
    """Nothing else is raised."""
    for raw in (noise, GOOD[:at] + noise + GOOD[at:]):
        try:
            assert b"".join(frame.raw for frame in decoded(AWS, [raw])) == raw
        except MalformedInput:
            continue


# ------------------------------------------------------------------------------------------------------------------ all


def test_the_first_bytes_tell_the_framing() -> None:
    """Of all, or of those that a format may come in; empty lines tell nothing."""
    assert [framing_of(first) for first in (b"", b"\n", b" {", b"\0\0", b"data", b": x", b"\n\ndata")] == [
        *(None, None, NDJSON, AWS),
        *(SSE, SSE, SSE),
    ]
    assert framing_of(b"{", (AWS, SSE)) is SSE
    assert framing_of(b"", (NDJSON,)) is NDJSON


def test_bytes_are_written_in_base64() -> None:
    """As services give them where they give JSON."""
    assert json_text({"a": b"\0\1"}) == '{"a":"AAE="}'
    with pytest.raises(TypeError, match="no plain data"):
        json_text({"a": {1}})
