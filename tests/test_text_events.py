"""Event streams whose data is text: in `run`, in `trace`, in the middleware, and by themselves."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.cli.app import run_app
from streamfilter.cli.framed import TextEvents
from streamfilter.detectors import EMAIL
from streamfilter.observe.recordings import pieces_of
from streamfilter.providers import sse
from streamfilter.web import Filter, ResponseBody

CHUNKS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"mail a@b"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":".co x c\\u0040d.eu"}}]}\n\n'
)
OWN = b'data: {"text":"mail a@b"}\n\ndata: {"text":".co x c\\u0040d.eu"}\n\n'
BEFORE = [
    b"data: connected",
    b"event: ready\ndata: ok",
    b"data: null",
    b"data: 1",
    b"data:  ",
    b": hi\n\nid: 1\ndata: a\n\ndata: b",
]
"""Events in front of those of a provider."""


def frames_of(raw: bytes) -> list[sse.Frame]:
    decoder = sse.Decoder()
    return [*decoder.feed(raw), *decoder.finish()]


def through(stage: Any, raw: bytes, seed: int | None = None) -> bytes:
    """The bytes of all that comes of a body, fed whole, byte by byte (seed 0) or at random cuts."""
    rng = random.Random(seed)
    at, pieces = 0, []
    while at < len(raw):
        size = len(raw) if seed is None else 1 if seed == 0 else rng.randint(1, 9)
        pieces.append(raw[at : at + size])
        at += size
    return b"".join(stage.iter(pieces))


async def answered(pieces: list[bytes], **options: Any) -> tuple[bytes, BaseException | None]:
    """What the middleware's body gives of a stream, and how it ends."""

    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    body = ResponseBody(Filter(sf.Redact(EMAIL, to="[email]"), **options), 200, [(b"content-type", b"text/event-stream")])
    out = b""
    try:
        async with body.stream(source()) as stream:
            async for piece in stream:
                out += piece
    except sf.MalformedInput as error:
        return out, error
    return out, None


@pytest.mark.parametrize("events", [CHUNKS, OWN], ids=["provider's", "own"])
@pytest.mark.parametrize("before", BEFORE)
def test_objects_behind_text_end_the_stream(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], before: bytes, events: bytes
) -> None:
    """A stream that began as text gives nothing of the JSON objects in it, in any command and in the middleware, and says why."""
    body = tmp_path / "body"
    body.write_bytes(before + b"\n\n" + events)
    assert run_app(["run", "--redact", "email", str(body)]) == 1
    out, err = capfdbinary.readouterr()
    assert b"mail" not in out and b"JSON object" in err and b"--format text-events" in err and b"format='" not in err
    with pytest.raises(sf.MalformedInput, match="JSON object"):
        pieces_of(body)
    for size in (1, 1000):
        raw = body.read_bytes()
        left, error = asyncio.run(answered([raw[at : at + size] for at in range(0, len(raw), size)]))
        assert b"mail" not in left and "format='text'" in str(error)


def test_objects_are_text_where_all_is_said_to_be() -> None:
    """With a name for it, or where what cannot be read passes, the data of every event is text, whatever it looks like."""
    raw = b'data: a\n\ndata: {"a": "x@y.eu"}\n\n'
    for options in ({"format": "text"}, {"unknown": "pass"}):
        got, error = asyncio.run(answered([raw], **options))
        assert error is None and "".join(frame.data or "" for frame in frames_of(got)) == 'a{"a": "[email]"}'


def test_an_empty_object_is_a_piece_of_text() -> None:
    """Code in a stream of text may come as `{}`: nothing can hide in it, and the stream goes on."""
    got, error = asyncio.run(answered([b"data: f = \n\ndata: {}\n\ndata:  end\n\n"]))
    assert (error, "".join(frame.data or "" for frame in frames_of(got))) == (None, "f = {} end")


@pytest.mark.parametrize("options", [{}, {"format": "text"}])
def test_named_events_beside_a_text_are_read_as_what_they_are(options: Any) -> None:
    """Each string of an object in one is seen without its escapes and only once, an error passes, another format's text ends all."""
    raw = b'data: hi\n\nevent: note\nid: 7\ndata: {"to": "c\\u0040d.eu", "n": 1}\n\n'
    got, error = asyncio.run(answered([raw], **options))
    note = frames_of(got)[-1]
    assert (error, note.event, note.id, json.loads(note.data or "")) == (None, "note", "7", {"to": "[email]", "n": 1})
    twice = b'data: hi\n\nevent: note\ndata: {"to": "c@d.eu", "to": 1}\n\n'
    got, _ = asyncio.run(answered([twice], **options))
    assert (b"d.eu" in got, json.loads(frames_of(got)[-1].data or "")) == (False, {"to": 1})
    for plain in (
        b'data: hi\n\nevent: error\ndata: {"type":"error","code":"failed"}\n\n',
        b'data: hi\n\nevent: error\ndata: {"error":{"message":"overloaded"}}\n\n',
    ):
        assert asyncio.run(answered([plain], **options)) == (plain, None)
    for piece in ("mail a@b", ".co"):
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        raw += b"event: content_block_delta\ndata: " + json.dumps(delta).encode() + b"\n\n"
    got, error = asyncio.run(answered([raw], **options))
    assert b"a@b" not in got and "another format than this stream, which is read as text" in str(error)


@pytest.mark.parametrize("beside", [b"event: ping\ndata: 1", b'event: note\ndata: {"a": "b"}', b": alive", b"id: 3", b"event: x"])
def test_what_stands_beside_a_text_cuts_no_match_in_two(beside: bytes) -> None:
    """Who reads the text joins what is before it and what is behind; an event keeps its place, behind all text that was before it."""
    text = "mail joe@home.com now"
    raw = b"".join(b"data: %b\n\n%b\n\n" % (each.encode(), beside) for each in (text[:11], text[11:14], text[14:]))
    for seed in (None, 0, 1, 2):
        got = through(TextEvents(sf.Redact(EMAIL, to="#")), raw, seed)
        frames = frames_of(got)
        assert "".join(frame.data for frame in frames if frame.data and not frame.event) == "mail # now"
        assert got.count(beside) == 3
        assert got.endswith(beside + b"\n\n") or b"data" not in beside  # without data it is no event, and passes at once


def test_an_event_whose_name_is_left_out_is_still_no_part_of_the_text() -> None:
    """It gets another name: without any, what it says would go on where the text was cut."""
    raw = b"data: joe@exa\n\nevent: to a@b.cc\ndata: mple.com\n\n"
    for seed in (None, 0, 1):
        frames = frames_of(through(TextEvents(sf.Redact(EMAIL)), raw, seed))
        assert [(frame.event, frame.data) for frame in frames] == [("", "joe@exa"), ("other", "mple.com")]


SAID = [
    b"id: 1\ndata: The boat \n\nid: 2\ndata: leaves.\n\n",
    b"retry: 5\n: hello\nid: 1\nevent: message\ndata: two\ndata: lines\n\n: ping\n\nid: 2\n\n",
    b"data: one \r\n\r\ndata: [DONE]\r\n\r\n",
    b"\r\n: ping\r\n\r\nid: 1\r\ndata: one\r\n\r\n\r\ndata: two\r\n\r\n",
    b"data: one\r\rid: 4\rdata: two\r\r",
    b"\xef\xbb\xbfdata: one\n\ndata: two",
]
"""Streams in which nothing is found."""


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("raw", SAID)
def test_what_is_not_changed_leaves_as_it_came(raw: bytes, *, is_named: bool) -> None:
    """Ids, times, comments, names and line ends too, at every cut."""
    stage = TextEvents(sf.Redact("zz"), is_named)
    assert {through(stage, raw, seed) for seed in (None, *range(30))} == {raw}


def test_the_same_bytes_leave_at_every_cut() -> None:
    """Where a comment or a text is changed, too, whatever ends the lines."""
    for end in ("\n", "\r\n"):
        raw = "\n: to a@b.cc\n\nid: 1\ndata: to \n\nid: 2\ndata: c@d.ee\n\n: to a@b.cc\n\ndata: [DONE]\n\n".replace(
            "\n", end
        ).encode()
        for is_named in (True, False):
            stage = TextEvents(sf.Redact(EMAIL, to="#"), is_named)
            left = {through(stage, raw, seed) for seed in (None, *range(30))}
            assert len(left) == 1 and b"@" not in left.pop()


def test_ids_do_not_hide_what_they_cut() -> None:
    """A mail over two events with ids is found, and so is one in an id or a comment; each other id stays with its text."""
    raw = b"id: 1\ndata: to joe@exa\n\nid: 2\ndata: mple.com \n\nid: a@b.cc\n: c@d.ee\ndata: and\n\nid: 4\ndata:  on\n\n"
    for seed in (None, *range(20)):
        frames = frames_of(through(TextEvents(sf.Redact(EMAIL, to="[email]")), raw, seed))
        assert "".join(frame.data or "" for frame in frames) == "to [email] and on"
        assert all(b"@" not in frame.raw for frame in frames)
        assert [{frame.id for frame in frames if frame.data == word} for word in ("and", "on")] == [{None}, {"4"}]
        assert {frame.id for frame in frames if "to" in (frame.data or "")} == {"1"}


def test_a_text_leaves_while_it_comes() -> None:
    """Nothing of a stream of text waits for what may follow it."""
    machine: Any = TextEvents(sf.Redact("zz"), is_named=False).machine(sf.Context())
    for raw in (b": ping\n\n", b"data: one\n\n", b"id: 2\ndata: two\n\n"):
        assert b"".join(machine.feed(raw)) == raw
