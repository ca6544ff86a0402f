"""The event stream format, at every cut."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter.providers import gemini, openai
from streamfilter.providers.sse import Decoder, Frame, encode

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.sampled_from(
    [
        "data: a",
        "data:b",
        "data",
        "data:  c",
        ": comment",
        ":",
        "event: e",
        "id: 1",
        "id",
        "retry: 10",
        "other: x",
        "data: é🎉",
        "id: a\0b",
        "garbage",
    ]
)


def reference(text: str) -> list[tuple[str, str]]:
    """Events (type, data) of a whole stream, as the standard words it, line by line."""
    events: list[tuple[str, str]] = []
    data: list[str] = []
    kind = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                events.append((kind, "\n".join(data)))
            data, kind = [], ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
    return events


def decoded(pieces: list[bytes], *, last: bool = True) -> list[Frame]:
    decoder = Decoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)] + (list(decoder.finish()) if last else [])


@given(
    st.lists(st.tuples(LINES, LINE_ENDS, st.booleans()), max_size=8),
    LINE_ENDS,
    st.lists(st.integers(0, 120), max_size=6),
    st.booleans(),
)
def test_frames_are_those_of_the_standard_at_every_cut(
    lines: list[tuple[str, str, bool]], end: str, cuts: list[int], bom: bool
) -> None:
    """Events are as the standard says, whatever the line ends and the cuts; the raw bytes add up to the input."""
    text = "".join(line + ending + (ending if blank else "") for line, ending, blank in lines) + end + end
    raw = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    places = [0, *sorted(min(place, len(raw)) for place in cuts), len(raw)]
    for pieces in ([raw], [bytes([byte]) for byte in raw], [raw[a:b] for a, b in itertools.pairwise(places)]):
        frames = decoded(pieces)
        assert [(frame.event, frame.data) for frame in frames if frame.data is not None] == reference(text)
        assert b"".join(frame.raw for frame in frames) == raw
        assert [frame.offset for frame in frames] == [sum(len(each.raw) for each in frames[:n]) for n in range(len(frames))]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", ["1234.", "one. ", "a 12", "34 stop 1234"])
def test_the_same_bytes_give_the_same_bytes_at_every_cut(end: str, text: str) -> None:
    """Whether frames leave as they came or are made: a line end of two bytes that a cut splits is lost for none and doubled for none,
    also where a stage ends the stream, where an error does, and in another format."""
    chunk = '{{"choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}}'
    events = [chunk.format(each) for each in ("as it came", text, "5678", "end 1")]
    for last in (
        "data: [DONE]" + end * 2,
        "data: [DONE]",
        "data: {}" + end * 2 + "data: {not JSON" + end * 2,
        "data: [DONE]" + end * 3,
    ):
        raw = (": hi" + end * 2 + "".join(f"data: {each}{end}{end}" for each in events) + last).encode()
        for stage in (
            openai.chat.wrap(sf.Redact(r"\d{4}", to="####")),
            openai.chat.wrap(sf.StopAt("stop")),
            openai.chat.wrap(sf.Limit(max_chars=10)),
            openai.chat.wrap(sf.Block("5678")),
            openai.chat.Decode() | sf.Redact(r"\d{4}", to="####") | openai.chat.Encode(as_bytes=True),
            gemini.wrap(sf.Redact("x")),
        ):
            want = sent(stage, [raw])
            assert sent(stage, [raw[at : at + 1] for at in range(len(raw))]) == want
            for at in range(1, len(raw)):
                if raw[at - 1 : at] in b"\r\n":  # elsewhere nothing ends
                    assert sent(stage, [raw[:at], raw[at:]]) == want, at


def sent(stage: Any, pieces: list[bytes]) -> tuple[bytes, str]:
    """What leaves, and the error."""
    out = bytearray()
    try:
        for each in stage.iter(pieces):
            out += each
    except (sf.MalformedInput, sf.Blocked) as error:
        return bytes(out), str(error)
    return bytes(out), ""


def test_a_line_feed_that_comes_late_leaves_with_what_comes_next() -> None:
    """The frame before it does not wait for it."""
    first, second = (f'data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}\r\n\r\n'.encode() for text in "ab")
    machine: Any = openai.chat.wrap(sf.Redact("x")).machine()
    assert [*machine.feed(first[:-1])] == [first[:-1]]
    assert [*machine.feed(first[-1:])] == []
    assert [*machine.feed(second)] == [b"\n" + second]
    assert [*machine.feed(first[:-1])] == [first[:-1]]
    assert [*machine.feed(b"\n")] == []
    assert [*machine.finish()] == [b"\n"]


def test_an_event_is_given_with_its_empty_line() -> None:
    """Not a byte later, also after a lone carriage return."""
    for end in (b"\n", b"\r", b"\r\n"):
        assert [frame.data for frame in decoded([b"data: a" + end + end], last=False)] == ["a"]
    assert [frame.id for frame in decoded([b"id: 7\ndata: a\n\nid\ndata: b\n\nid: x\0\ndata: c\n\n"])] == ["7", "", None]


def test_what_is_no_event_stream_is_malformed_with_its_offset() -> None:
    """The line that is wrong, not the chunk. The decoder ignores it, as the standard does; who reads a provider's stream does not."""
    for line in (b"<html>", b'{"error": 1}', b"no field at all", b"garbage"):
        raw = b": ok\n\ndata: a\n" + line + b"\n\n"
        (_, frame) = decoded([raw])
        assert (frame.data, frame.stray) == ("a", 14)
        for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
            with pytest.raises(sf.MalformedInput, match="neither a field nor a comment") as caught:
                list(sf.text_of(pieces))
            assert caught.value.offset == 14


def test_the_time_to_reconnect_is_read() -> None:
    """It is digits and nothing else."""
    for value, want in ((b"10", 10), (b"1.5", None), (b"", None), (b"x", None)):
        assert [frame.retry for frame in decoded([b"retry: " + value + b"\n\n"])] == [want]


def test_a_frame_has_a_limit() -> None:
    """Whether its lines end or not."""
    for piece in (b"data: aaaaaaaaaa", b"data: a\n"):
        decoder = Decoder(max_frame_bytes=50)
        with pytest.raises(sf.MalformedInput, match="larger than 50 bytes"):
            for _ in range(10):
                list(decoder.feed(piece))


@given(st.text(max_size=20), st.sampled_from(["", "delta"]))
def test_what_is_encoded_is_decoded(data: str, event: str) -> None:
    """Line ends within the data become those of the format."""
    data = data.encode(errors="replace").decode()
    (frame,) = decoded([encode(data, event=event)])
    assert (frame.data, frame.event) == (data.replace("\r\n", "\n").replace("\r", "\n"), event)


@pytest.mark.parametrize("end", [b"data: 1\r\n\r\n", b"data: 1\r\r", b"data: 1\n\r\n"])
@pytest.mark.parametrize("event", [b"data: 1\n\n", b"a\r\nb: 1\n\n", b"data: 1\r\n\n"])
def test_many_events_in_one_piece_take_linear_time_however_their_lines_end(event: bytes, end: bytes) -> None:
    """What only the last of them has is not looked for again at each: 40,000 take a tenth of a second, and took 23."""
    begin = time.process_time()
    assert sum(1 for _ in Decoder().feed(event * 40_000 + end)) == 40_001
    assert time.process_time() - begin < 5


WHOLE = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}'


@pytest.mark.parametrize(
    "make", [lambda: sf.text_of, lambda: sf.wrap(sf.Redact("x")).iter, lambda: openai.chat.wrap(sf.Words()).iter]
)
def test_a_stream_that_ends_inside_an_event_was_cut_off(make: Any) -> None:
    """All that came was right: it is another error than that of an event that is wrong."""
    for left in (b'data: {"id": "x", "obj', b'data: {"choices":[{"index":0,"delta":{"content":"h'):
        for raw in (WHOLE + b"\n\n" + left, WHOLE + b"\r\n\r\n" + left):
            for pieces in ([raw], [raw[n : n + 1] for n in range(len(raw))]):
                with pytest.raises(sf.TruncatedInput, match="the stream ends inside an event, at offset") as caught:
                    list(make()(pieces))
                assert caught.value.offset == len(raw) - len(left) and caught.value.__context__ is None
    with pytest.raises(sf.MalformedInput, match="not JSON") as wrong:
        list(make()([WHOLE + b'\n\ndata: {"id": oops}\n\n']))
    assert not isinstance(wrong.value, sf.TruncatedInput)


@pytest.mark.parametrize(
    "lines",
    [
        [WHOLE, b"", WHOLE, b"", b"data: [DONE]"],
        [
            b"event: message_start",
            b'data: {"type": "message_start"}',
            b"",
            b"event: message_stop",
            b'data: {"type": "message_stop"}',
        ],
        [b'data: {"type": "a"}', b"", b"event: b", b'data: {"type": "b"}'],
        [b'data: {"type": "a"}', b"", b": ping", b'data: {"type": "b"}'],
    ],
)
def test_lines_without_their_ends_are_told(lines: list[bytes]) -> None:
    """What `iter_lines` of a client gives is no event stream any more; without a word there would be no text at all."""
    for read in (sf.text_of, sf.wrap(sf.Redact("x")).iter):
        with pytest.raises(sf.MalformedInput, match="give the response itself, or its bytes as they come, not its lines"):
            list(read(lines))
