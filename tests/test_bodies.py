"""Responses of HTTP clients as sources, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers import anthropic, gemini, ollama, openai

PIECES = [
    b'data: {"choices":[{"index":0,"delta":{"content":"pin 12"}}]}\n\nda',
    b'ta: {"choices":[{"index":0,"delta":{"content":"34."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
]
SAFE = sf.Redact(r"\d{4}", to="####")


@asynccontextmanager
async def served(*, ends: bool = True) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that sends the pieces, and tells when its client has gone."""
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in PIECES if ends else PIECES[:1]:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if ends:
            writer.write(b"0\r\n\r\n")
        await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/", gone
        await asyncio.wait_for(gone.wait(), 10)


@asynccontextmanager
async def with_httpx(url: str) -> AsyncIterator[Any]:
    """A response of httpx."""
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        yield response


@asynccontextmanager
async def with_httpx2(url: str) -> AsyncIterator[Any]:
    """A response of httpx2."""
    httpx2 = pytest.importorskip("httpx2")
    async with httpx2.AsyncClient() as client, client.stream("GET", url) as response:
        yield response


@asynccontextmanager
async def with_aiohttp(url: str) -> AsyncIterator[Any]:
    """A response of aiohttp."""
    aiohttp = pytest.importorskip("aiohttp")
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        yield response


@pytest.mark.parametrize("client", [with_httpx, with_httpx2, with_aiohttp])
def test_a_response_is_a_source(client: Callable[[str], AbstractAsyncContextManager[Any]]) -> None:
    """For `wrap`, for `Decode`, and where the format is found out."""

    async def main() -> None:
        for wrap in (sf.wrap, openai.chat.wrap):
            async with served() as (url, _), client(url) as response, wrap(SAFE)(response) as stream:
                raw = b"".join([piece async for piece in stream])
            assert b"pin " in raw
            assert b"####" in raw
            assert raw.endswith(PIECES[1][-len(b"data: [DONE]\n\n") :])
        async with served() as (url, _), client(url) as response, sf.text_of(response) as texts:
            assert "".join([text async for text in texts]) == "pin 1234."
        async with served() as (url, _), client(url) as response, openai.chat.Decode()(response) as items:
            assert "".join([item.text async for item in items if isinstance(item, sf.TextDelta)]) == "pin 1234."
        served_anew = openai.chat.Decode() | SAFE | anthropic.messages.Encode(as_bytes=True)
        async with served() as (url, _), client(url) as response, served_anew(response) as frames:
            assert b"".join([frame async for frame in frames]).count(b"####") == 1

    asyncio.run(main())


@pytest.mark.parametrize("client", [with_httpx, with_httpx2, with_aiohttp])
def test_leaving_closes_the_response(client: Callable[[str], AbstractAsyncContextManager[Any]]) -> None:
    """The server sees it, while the response's own block is still open."""

    async def main() -> None:
        async with served(ends=False) as (url, gone), client(url) as response:
            async with openai.chat.wrap(SAFE)(response) as stream:
                assert b"pin " in await anext(stream)
            await asyncio.wait_for(gone.wait(), 10)

    asyncio.run(main())


def test_a_plain_response_is_a_source() -> None:
    """Of httpx, with `for`."""
    httpx = pytest.importorskip("httpx")
    response = httpx.Response(200, content=iter(PIECES))
    assert b"####" in b"".join(openai.chat.wrap(SAFE).iter(response))
    assert response.is_closed
    assert "".join(sf.text_of(httpx.Response(200, content=iter(PIECES)).iter_bytes())) == "pin 1234."
    assert sum(isinstance(item, sf.TextDelta) for item in openai.chat.Decode().iter(httpx.Response(200, content=iter(PIECES)))) == 2


# ---------------------------------------------------------------------- messages of a WebSocket

MESSAGES: list[tuple[Any, list[dict[str, Any]]]] = [
    (openai.chat, [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("pin 12", "34.", " bye")]),
    (openai.completions, [{"choices": [{"index": 0, "text": text}]} for text in ("pin 12", "34.", " bye")]),
    (
        openai.responses,
        [
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}
            for text in ("pin 12", "34.", " bye")
        ],
    ),
    (
        anthropic.messages,
        [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in ("pin 12", "34.", " bye")
        ],
    ),
    (gemini, [{"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0}]} for text in ("pin 12", "34.", " bye")]),
]


@pytest.mark.parametrize(("form", "events"), MESSAGES, ids=[form.FORMAT.name for form, _ in MESSAGES])
def test_a_message_of_a_websocket_is_an_event(form: Any, events: list[dict[str, Any]]) -> None:
    """As `str` and as `bytes`: what comes out is of the same type, an event in each, and those are what dicts give."""
    want = list(form.wrap(SAFE).iter(events))
    texts = [json.dumps(event) for event in events]
    for wrap in (form.wrap, sf.wrap):
        shown = list(wrap(SAFE).iter(texts))
        assert all(isinstance(each, str) for each in shown)
        assert [json.loads(each) for each in shown] == want
    shown = list(form.wrap(SAFE).iter([text.encode() for text in texts]))
    assert all(isinstance(each, bytes) for each in shown)
    assert [json.loads(each) for each in shown] == want
    for pieces in (texts, [text.encode() for text in texts]):
        assert list(form.wrap(sf.Redact("nothing")).iter(pieces)) == pieces
        assert "".join(item.text for item in form.Decode().iter(pieces) if isinstance(item, sf.TextDelta)) == "pin 1234. bye"
    assert "".join(sf.text_of(texts)) == "pin 1234. bye"


@pytest.mark.parametrize("bad", ["not JSON", "[1]", "{", b"\xff", b'{"a": 1'])
def test_a_message_that_is_no_event_is_refused(bad: str | bytes) -> None:
    """Behind all that came before it."""
    for form in (openai.chat, gemini):
        first = next(json.dumps(events[0]) for known, events in MESSAGES if known is form)
        with form.wrap(sf.Redact("nothing")).iter([first if isinstance(bad, str) else first.encode(), bad]) as stream:
            assert json.loads(next(stream)) == json.loads(first)
            with pytest.raises(sf.MalformedInput):
                next(stream)


def test_half_a_line_of_json_is_no_message() -> None:
    """Lines of JSON may be cut anywhere, also before their end."""
    line = b'{"message":{"role":"assistant","content":"pin 1234."},"done":false}'
    for wrap in (ollama.wrap, sf.wrap):
        assert b"".join(wrap(SAFE).iter([line, b"\n" + line, b"\n"])).count(b"####") == 2


# ---------------------------------------------------------------------- how much is kept


@pytest.mark.parametrize("wrap", [openai.responses.wrap, sf.wrap])
def test_what_repeats_more_than_is_kept_is_filtered_by_itself(wrap: Any) -> None:
    """A match that only the stream could see is then found in the repetition, or not at all; nothing of it is passed unfiltered."""
    place = {"output_index": 0, "content_index": 0}
    deltas = [{"type": "response.output_text.delta", **place, "delta": text} for text in ("pin 12", "34 and ", "x" * 50)]
    done = {"type": "response.output_text.done", **place, "text": "pin 1234 and " + "x" * 50}
    want = "pin #### and " + "x" * 50
    for most in (0, 5, 1000):
        (*_, last) = wrap(SAFE, max_aggregate=most).iter([*deltas, done])
        assert last["text"] == want
    upper = sf.Redact(r"\d{4}", to="####") | sf.MapText(str.upper)  # no guard: it does not see quotes
    assert [*wrap(upper, max_aggregate=5).iter([*deltas, done])][-1]["text"] == want
    assert [*wrap(upper, max_aggregate=1000).iter([*deltas, done])][-1]["text"] == want.upper()


@pytest.mark.parametrize("form", [form for form, _ in MESSAGES], ids=[form.FORMAT.name for form, _ in MESSAGES])
def test_what_is_kept_is_a_number_of_characters(form: Any) -> None:
    """Of `wrap` and of `Encode` of every format."""
    makers: list[Callable[[Any], Any]] = [
        lambda most: form.wrap(SAFE, max_aggregate=most),
        lambda most: form.Encode(max_aggregate=most),
    ]
    for make in makers:
        make(0)
        for bad in (-1, "many", 1.5):
            with pytest.raises(ValueError, match="max_aggregate"):
                make(bad)
