"""What the exit to the web costs: the middleware where one passes, `sse_response` where Starlette's own response does, memory."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import streamfilter as sf
from benchmarks.figures import Figure, compare, ratio
from benchmarks.providers import chat_chunks, frames
from streamfilter.detectors import PII
from streamfilter.web import StreamFilterMiddleware, sse_response

COUNT = 3000
RULES = sf.Redact(*list(PII)[:4], to="[{rule}]")
SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.3"}}


def _app(pieces: Sequence[bytes], rounds: int = 1) -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for _ in range(rounds):
            for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def _passing(app: Any) -> Any:
    """What a middleware is at least."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        async def passed(message: Any) -> None:
            await send(message)

        await app(scope, receive, passed)

    return middleware


async def _call(app: Any) -> None:
    """Over a server that costs what a small one does: each piece is framed, and the event loop has its turn."""
    written = bytearray()

    async def send(message: Any) -> None:
        body = message.get("body", b"")
        written.extend(b"%x\r\n%s\r\n" % (len(body), body))
        written.clear()
        await asyncio.sleep(0)

    await app(SCOPE, asyncio.Event().wait, send)


async def figures() -> list[Figure]:
    """All of them."""
    from starlette.responses import StreamingResponse  # noqa: PLC0415  # an extra

    pieces = frames(chat_chunks(COUNT), 200)
    whole = frames(chat_chunks(COUNT))

    async def texts() -> AsyncIterator[str]:
        for n in range(COUNT):
            yield f"word {n} "

    async def encoded() -> AsyncIterator[bytes]:
        async for text in texts():
            yield b"data: %s\n\n" % text.encode()

    runs: dict[str, Callable[[], Awaitable[object]]] = {
        "passing": lambda: _call(_passing(_app(pieces))),
        "filter": lambda: _call(StreamFilterMiddleware(_app(pieces), RULES)),
        "starlette": lambda: _call(StreamingResponse(encoded(), media_type="text/event-stream")),
        "response": lambda: _call(sse_response(texts(), "text")),
        "request": lambda: _call(StreamFilterMiddleware(_app([b"data: hi\n\n"]), RULES)),
    }
    taken = await compare(runs, rounds=5)
    micros = {
        name: min(times) / (1 if name == "request" else len(pieces) if name in ("passing", "filter") else COUNT) * 1e6
        for name, times in taken.items()
    }
    return [
        Figure("middleware with four PII rules, µs a chunk", micros["filter"], None, f"{micros['passing']:.3g} µs where it passes"),
        Figure("middleware, µs for a request of one chunk", micros["request"], None),
        Figure(
            "sse_response / Starlette's StreamingResponse",
            ratio(taken["response"], taken["starlette"]),
            None,
            f"{micros['response']:.3g} µs a chunk",
        ),
        await _memory(whole),
    ]


async def _memory(pieces: Sequence[bytes]) -> Figure:
    """What a long response takes at its peak, beyond a short one: chunks wait for the garbage collector, so some of them stay."""
    size = sum(map(len, pieces))
    tracemalloc.start()
    try:
        peaks = []
        for most in (1_000_000, 31_000_000):
            tracemalloc.reset_peak()
            await _call(StreamFilterMiddleware(_app(pieces, most // size), sf.Redact(r"\d{4}-\d{4}")))
            gc.collect()
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    return Figure("memory at the peak of a response of 31 MB, beyond that of 1 MB, in KB", max(0, peaks[1] - peaks[0]) / 1000, 3000)
