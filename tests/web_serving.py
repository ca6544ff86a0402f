"""Applications on real sockets, sources that know when they are closed, and readers that are not ours."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

WAIT = 10.0
"""Seconds until a test is taken for hanging."""


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[tuple[str, int]]:
    """Serve an application with uvicorn, in a thread; gives host and port. All that it serves is over when this is left.

    Args:
        app: the application.
        options: of uvicorn's.
    """
    given = {"log_level": "critical", "lifespan": "off", "ws": "websockets-sansio", "timeout_graceful_shutdown": 5, **options}
    config = uvicorn.Config(app, **given)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join(WAIT)
            assert not thread.is_alive()


class Source:
    """Gives its items, then waits for ever if it is to stall; knows whether it was closed, in a thread of the test's."""

    def __init__(self, items: Sequence[Any] = (), *, stalls: bool = False, error: Exception | None = None) -> None:
        self.items = list(items)
        self.stalls = stalls
        self.error = error
        self.given = 0
        self.asked = threading.Event()
        self.closed = threading.Event()
        self.closings = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self.given < len(self.items):
            self.given += 1
            return self.items[self.given - 1]
        self.asked.set()
        if self.stalls:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closings += 1
        self.closed.set()


class Endless(Source):
    """Gives the same item for ever."""

    async def __anext__(self) -> Any:
        self.given += 1
        await asyncio.sleep(0)
        return self.items[0]


async def called(app: Any, scope: dict[str, Any] | None = None, body: Sequence[bytes] = ()) -> list[dict[str, Any]]:
    """What an application sends, called as a server would, with a client that stays."""
    sent: list[dict[str, Any]] = []
    left = [{"type": "http.request", "body": piece, "more_body": n + 1 < len(body)} for n, piece in enumerate(body)]

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = {"type": "http", "method": "POST", "path": "/", "headers": [], "asgi": {"version": "3.0", "spec_version": "2.3"}}
    await app({**given, **(scope or {})}, receive, send)
    return sent


def body_of(sent: Sequence[dict[str, Any]]) -> bytes:
    """The body of a response; it is complete."""
    assert sent[-1].get("more_body", False) is False
    return b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")


def frames_of(raw: bytes) -> list[tuple[str, str]]:
    """Frames as event and data, read by the letter of the standard, for whole bodies; an incomplete one fails."""
    assert raw == b"" or raw.endswith(b"\n\n"), "the last frame is incomplete"
    found: list[tuple[str, str]] = []
    for block in raw.decode().split("\n\n"):
        event, data = "", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
        if data:
            found.append((event, "\n".join(data)))
    return found


def loads(data: str) -> Any:
    return None if data == "[DONE]" else json.loads(data)


def exchange(host: str, port: int, request: bytes, until: Callable[[bytes], bool]) -> tuple[socket.socket, bytes]:
    """Send a request by hand, and read until something has come; the connection stays open."""
    connection = socket.create_connection((host, port), WAIT)
    connection.sendall(request)
    raw = b""
    while not until(raw):
        piece = connection.recv(65536)
        assert piece, raw
        raw += piece
    return connection, raw
