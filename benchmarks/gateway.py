"""What the gateway costs where a plain proxy of the same server and client passes all on: CPU a chunk, 200 streams, memory.

Each server runs in a process of its own and is asked for its own CPU time. The upstream sends a chunk every few milliseconds, so
that each is one piece for whoever reads: a slower proxy must not look cheaper by meeting several at once.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.figures import Figure

WORDS = "The quick brown fox jumps over the lazy dog and asks for its mail at the door of number 12 again ".split(" ")
STREAMS, CHUNKS, PACE = 8, 250, 0.004
MANY = 200
PIECES = 25_000
REQUEST = (
    b"POST /v1/chat/completions?%s HTTP/1.1\r\nhost: x\r\n"
    b"content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
)


# ---------------------------------------------------------------------- in processes of their own


def _frame(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice]}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


async def _upstream(scope: Any, receive: Any, send: Any) -> None:
    """Sends `?number,pace,size`: so many chunks, the seconds between them, the characters of each."""
    await receive()
    number, pace, size = scope["query_string"].decode().split(",")
    frames = [_frame((word + " ") * max(1, int(size) // (len(word) + 1))) for word in WORDS]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for n in range(int(number)):
        await send({"type": "http.response.body", "body": frames[n % len(frames)], "more_body": True})
        await asyncio.sleep(float(pace))
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _plain(port: int) -> Any:
    """The least that a proxy is: it knows of no limit, no time, and no client that leaves."""
    import httpcore2  # noqa: PLC0415

    pool: Any = None

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        nonlocal pool
        pool = pool or httpcore2.AsyncConnectionPool(max_connections=None)
        body = (await receive())["body"]
        target = scope["raw_path"] + b"?" + scope["query_string"]
        url = httpcore2.URL(scheme=b"http", host=b"127.0.0.1", port=port, target=target)
        headers = [(name, value) for name, value in scope["headers"] if name != b"connection"]
        async with pool.stream(scope["method"], url, headers=headers, content=body) as response:
            kept = [(name, value) for name, value in response.headers if name.lower() != b"transfer-encoding"]
            await send({"type": "http.response.start", "status": response.status, "headers": kept})
            async for piece in response.aiter_stream():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return proxy


def _gateway(port: int) -> Any:
    import streamfilter as sf  # noqa: PLC0415
    from streamfilter.detectors import PII  # noqa: PLC0415
    from streamfilter.gateway import Gateway  # noqa: PLC0415

    pipeline = sf.Redact(*list(PII)[:4], to="[{rule}]")
    return Gateway(f"http://127.0.0.1:{port}", {"main": pipeline}, "main", allow_private_upstream=True)


def _told(app: Any) -> Any:
    """The same, and what it has cost so far: `/cost`."""

    async def told(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/cost":
            said = b"%f %d" % (time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
            await send({"type": "http.response.body", "body": said})
        elif scope["type"] == "http":
            await app(scope, receive, send)

    return told


def _serve(role: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415

    app = _upstream if role == "upstream" else _plain(port) if role == "plain" else _gateway(port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:  # with no delay, as `serve` has it
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(_told(app), http="h11", ws="none", lifespan="off", log_level="critical", access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


# ---------------------------------------------------------------------- here


@asynccontextmanager
async def _server(role: str, port: int = 0) -> AsyncIterator[int]:
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.gateway", role, str(port)), stdout=subprocess.PIPE
    )
    assert run.stdout is not None
    try:
        yield int(await run.stdout.readline())
    finally:
        run.terminate()
        await run.wait()


async def _asked(port: int, request: bytes) -> tuple[int, bytes]:
    """How many bytes came, and the last of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        size, last = 0, b""
        while piece := await reader.read(1 << 16):
            size, last = size + len(piece), (last + piece)[-100:]
        return size, last
    finally:
        writer.close()


async def _cost(port: int) -> tuple[float, int]:
    """CPU seconds so far, and the most kilobytes at once."""
    _, last = await _asked(port, b"GET /cost HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    seconds, kilobytes = last.rpartition(b"\r\n\r\n")[2].split()
    return float(seconds), int(kilobytes)


async def _streams(port: int, streams: int, query: str) -> int:
    """So many at once; how many failed."""
    came = await asyncio.gather(*(_asked(port, REQUEST % query.encode()) for _ in range(streams)), return_exceptions=True)
    return sum(isinstance(each, BaseException) or not each[1].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for each in came)


async def _micros(port: int) -> float:
    before, _ = await _cost(port)
    failed = await _streams(port, STREAMS, f"{CHUNKS},{PACE},5")
    after, _ = await _cost(port)
    assert not failed
    return (after - before) / (STREAMS * CHUNKS) * 1e6


async def _first(port: int) -> float:
    """Milliseconds until the first frame is there.

    The rest is read too: when a client leaves, the gateway, and only that one, closes its connection to the upstream.
    """
    taken = []
    for _ in range(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        writer.write(REQUEST % b"3,0.001,5")
        await reader.readuntil(b"data: ")
        taken.append((time.perf_counter() - begun) * 1000)
        await reader.read()
        writer.close()
    return statistics.median(taken)


async def figures() -> list[Figure]:
    """All of them."""
    async with _server("upstream") as upstream, _server("plain", upstream) as plain, _server("gateway", upstream) as filtering:
        for port in (plain, filtering):
            await _micros(port)
        taken = [(await _micros(plain), await _micros(filtering)) for _ in range(5)]
        first = [(await _first(plain), await _first(filtering)) for _ in range(5)]
        failed = await _streams(filtering, MANY, "50,0.02,5")
        await _streams(filtering, 1, f"{PIECES // 50},0,4000")
        _, before = await _cost(filtering)
        failed_large = await _streams(filtering, 1, f"{PIECES},0,4000")
        _, after = await _cost(filtering)
    passing, filtered = (statistics.median(each) for each in zip(*taken, strict=True))
    return [
        Figure(
            "gateway with four PII rules / a plain proxy of the same server and client, CPU a chunk",
            statistics.median(above / below for below, above in taken),
            2,
            f"{filtered:.3g} µs to {passing:.3g} µs",
        ),
        Figure(
            "first byte through the gateway, beyond that through the plain proxy, in ms",
            statistics.median(there - here for here, there in first),
            10,
            f"{statistics.median(there for _, there in first):.3g} ms to {statistics.median(here for here, _ in first):.3g} ms",
        ),
        Figure(f"{MANY} streams at once through one gateway: failed", failed, 0),
        Figure("memory at the peak of a stream of 100 MB, beyond one of 2 MB, in KB", after - before + 1e9 * failed_large, 8000),
    ]


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
