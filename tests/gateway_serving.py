"""A gateway on a real socket, and upstreams that it meets: an ASGI application, or bytes by hand."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from web_serving import WAIT, serving

import streamfilter as sf
from streamfilter.detectors import EMAIL
from streamfilter.gateway import Gateway, Limits
from streamfilter.gateway.serving import listening_at, server_of

SAFE = sf.Redact(EMAIL)
JSON = (b"content-type", b"application/json")
SSE = (b"content-type", b"text/event-stream")


@contextmanager
def running(gateway: Gateway, grace: float = 5.0) -> Iterator[tuple[str, Any]]:
    """A gateway in a thread, served as `serve` does; gives its URL and the server. All that it serves is over when this is left."""
    server = server_of(gateway, grace)
    with listening_at("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", server
        finally:
            server.should_exit = True
            thread.join(WAIT)
            assert not thread.is_alive()


@contextmanager
def between(app: Any, pipelines: Mapping[str, Any] | Any = None, **options: Any) -> Iterator[str]:
    """A gateway in front of an application; gives its URL."""
    with serving(app) as (host, port), before(f"http://{host}:{port}", pipelines, **options) as url:
        yield url


@contextmanager
def before(upstream: str, pipelines: Any = None, **options: Any) -> Iterator[str]:
    """A gateway in front of an upstream; gives its URL."""
    limits = Limits(**options.pop("limits", {}))
    made = Gateway(upstream, pipelines or {"main": SAFE}, "main", limits=limits, allow_private_upstream=True, **options)
    with running(made) as (url, _):
        yield url


class Upstream:
    """An application that answers with the pieces it was given, and remembers what it was asked."""

    def __init__(
        self,
        pieces: Sequence[bytes] = (),
        kind: tuple[bytes, bytes] = SSE,
        status: int = 200,
        headers: Sequence[tuple[bytes, bytes]] = (),
        after: Callable[[], Any] | None = None,
    ) -> None:
        self.pieces = pieces
        self.head = {"type": "http.response.start", "status": status, "headers": [kind, *headers]}
        self.after = after
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.sent = 0
        self.asked = threading.Event()
        self.left = threading.Event()  # the gateway has closed the connection

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Of the last request."""
        return dict(self.scopes[-1]["headers"])

    def said(self) -> Any:
        """What the last request said."""
        return json.loads(self.bodies[-1])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        pieces = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            pieces.append(message["body"])
            if not message["more_body"]:
                break
        self.bodies.append(b"".join(pieces))
        self.asked.set()
        answering = asyncio.ensure_future(self.answer(send))
        leaving = asyncio.ensure_future(receive())
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            self.left.set()
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)

    async def answer(self, send: Any) -> None:
        """Send the response."""
        await send(self.head)
        for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self.sent += 1
            await asyncio.sleep(0)
        if self.after is not None:
            await self.after()
        await send({"type": "http.response.body", "body": b""})


class Stalling(Upstream):
    """Sends its pieces, and nothing more until it is let go; with `silent`, not even a status."""

    def __init__(self, *args: Any, silent: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.silent = silent
        self.let_go = threading.Event()

    async def answer(self, send: Any) -> None:
        if self.silent:
            await asyncio.Event().wait()
        await send(self.head)
        for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.get_running_loop().run_in_executor(None, self.let_go.wait, WAIT)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


@contextmanager
def by_hand(answer: Callable[[socket.socket, bytes], object]) -> Iterator[str]:
    """An upstream that answers each connection with what a function does; it is given the request up to its headers' end."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(WAIT)
                    raw = b""
                    while b"\r\n\r\n" not in raw and (piece := connection.recv(65536)):
                        raw += piece
                    if not raw:
                        return
                    try:
                        answer(connection, raw)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        host, port = listening.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            socket.create_connection((host, port)).close()  # which ends the loop
            thread.join(WAIT)
            assert not thread.is_alive()


def chat_frames(pieces: Sequence[str], *, done: bool = True) -> list[bytes]:
    """A chat completion's stream, a frame for each piece."""
    made = [chat_chunk({"role": "assistant", "content": ""})]
    made += [chat_chunk({"content": piece}) for piece in pieces]
    made.append(chat_chunk({}, "stop"))
    return [*made, b"data: [DONE]\n\n"] if done else made


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def completion(message: dict[str, Any]) -> bytes:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}).encode()


def sent_raw(url: str, request: bytes) -> bytes:
    """All that a server answers to a request by hand; it has to close the connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), WAIT) as connection:
        connection.sendall(request)
        raw = b""
        while piece := connection.recv(65536):
            raw += piece
        return raw
