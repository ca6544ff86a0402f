"""A small provider on a socket: it remembers what it was sent, answers in pieces, and knows when the caller has left."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WAIT = 10.0
"""Seconds until a test is taken for hanging."""


@dataclass
class Request:
    """What the server was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What it answers.

    Attributes:
        pieces: the body, as it is written.
        is_held: whether it then waits for the caller to leave.
    """

    pieces: list[bytes]
    kind: str = "text/event-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_held: bool = False


def cut(raw: bytes, seed: int, most: int = 200) -> list[bytes]:
    """Bytes in random pieces."""
    rng = random.Random(seed)
    pieces, at = [], 0
    while at < len(raw):
        size = rng.randint(1, most)
        pieces.append(raw[at : at + size])
        at += size
    return pieces


def streamed(raw: bytes, seed: int = 0, *, most: int = 200, is_zipped: bool = False, is_held: bool = False) -> Reply:
    """An event stream, cut at random, as it is or compressed."""
    headers = {"content-encoding": "gzip"} if is_zipped else {}
    return Reply(cut(gzip.compress(raw) if is_zipped else raw, seed, most), headers=headers, is_held=is_held)


def whole(said: Any, status: int = 200, *, is_zipped: bool = False, headers: dict[str, str] | None = None) -> Reply:
    """A JSON body."""
    raw = json.dumps(said).encode()
    return Reply(
        [gzip.compress(raw) if is_zipped else raw],
        "application/json",
        status,
        {**(headers or {}), **({"content-encoding": "gzip"} if is_zipped else {})},
    )


class Server:
    """See above.

    Attributes:
        answer: gives the reply to a request.
        requests: all that came.
        left: is set when a caller has left a reply that was held.
        url: where it is.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Request], Reply] = lambda _: whole({})
        self.requests: list[Request] = []
        self.left = threading.Event()
        self.url = ""

    def replies(self, *replies: Reply) -> None:
        """Answer with these in turn, and with the last from then on. What came before is forgotten."""
        rest = list(replies)
        self.requests.clear()
        self.left.clear()
        self.answer = lambda _: rest.pop(0) if len(rest) > 1 else rest[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = first.split(" ")
            request = Request(method, path, headers, body)
            self.requests.append(request)
            reply = self.answer(request)
            named = {"content-type": reply.kind, "transfer-encoding": "chunked", "connection": "close", **reply.headers}
            named = {name: value for name, value in named.items() if value}
            lines = [f"{name}: {value}\r\n" for name, value in named.items()]
            writer.write(f"HTTP/1.1 {reply.status} X\r\n{''.join(lines)}\r\n".encode())
            for piece in reply.pieces:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            if reply.is_held:
                await reader.read()  # to the end, which comes when the caller closes
                self.left.set()
            else:
                writer.write(b"0\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()


@contextmanager
def running() -> Iterator[Server]:
    """A server in a thread of its own."""
    server, loop, started = Server(), asyncio.new_event_loop(), threading.Event()

    async def run(stop: asyncio.Event) -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**24)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        started.set()
        await stop.wait()
        listening.close()
        await asyncio.sleep(0)  # the last connections close

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(stop),), daemon=True)
    thread.start()
    assert started.wait(WAIT)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT)
        loop.close()
