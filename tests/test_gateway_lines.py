"""Upstreams and clients that misbehave, limits, choices, and the end: on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.client
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf

pytest.importorskip("uvicorn")
pytest.importorskip("httpcore2")
pytest.importorskip("prometheus_client")

from gateway_serving import JSON, SAFE, Stalling, Upstream, before, between, by_hand, chat_frames, completion, running, sent_raw
from prometheus_client.parser import text_string_to_metric_families
from web_serving import WAIT, exchange, frames_of, loads, serving

from streamfilter.gateway import Gateway, Limits, serve
from streamfilter.gateway.connections import Connection
from streamfilter.providers.anthropic import messages
from streamfilter.providers.openai import chat
from streamfilter.resumable import MemoryStore, ResumableStream

MAIL = "joe@example.com"
ASK = b'{"stream": true, "messages": []}'
CHAT = "/v1/chat/completions"
MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "m",
    "stop_reason": None,
    "stop_sequence": None,
}
MESSAGE_START = (
    b"event: message_start\ndata: "
    + json.dumps({"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 1, "output_tokens": 1}}}).encode()
    + b"\n\n"
)


@contextmanager
def asked(url: str, path: str = CHAT, body: Any = ASK, method: str = "POST", **headers: str) -> Iterator[http.client.HTTPResponse]:
    """The response to a request, read by the standard library's client."""
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=WAIT)) as connection:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"content-type": "application/json", **given})
        yield connection.getresponse()


def answer(url: str, *args: Any, **options: Any) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers."""
    with asked(url, *args, **options) as response:
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}


def text_of(raw: bytes) -> str:
    """The answer's text in a chat completion's stream."""
    chunks = [loads(data) for _, data in frames_of(raw)]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks if chunk for choice in chunk.get("choices", ()))


def settled(url: str) -> str:
    """What is counted, once nothing is served any more: a client may have read the end before the gateway has counted it."""
    until = time.monotonic() + WAIT
    while "streamfilter_open 0.0" not in (raw := answer(url, "/-/metrics", None, "GET")[1].decode()):
        assert time.monotonic() < until
    return raw


def raw_request(*, path: str = CHAT, headers: str = "", body: bytes = ASK) -> bytes:
    """A request by hand."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode()
        + body
    )


# ---------------------------------------------------------------------- upstreams


def test_an_upstream_that_is_silent_or_stalls_is_given_up() -> None:
    """504 in place of an answer; an error frame that says so after a part of one. Its connection is closed."""
    for limits in ({"first": 0.2}, {"total": 0.2}):
        upstream = Stalling(silent=True)
        with between(upstream, limits=limits) as url:
            status, raw, _ = answer(url)
            assert (status, json.loads(raw)["error"]["code"]) == (504, "timed_out")
            assert upstream.left.wait(WAIT)
    for limits in ({"between": 0.2}, {"total": 0.5}):
        upstream = Stalling(chat_frames(["Hello", " there"], done=False)[:-1])
        with between(upstream, limits=limits) as url:
            status, raw, _ = answer(url)
            assert (status, text_of(raw)) == (200, "Hello ")  # what may become an address dies
            assert loads(frames_of(raw)[-2][1])["error"]["code"] == "timed_out"
            assert upstream.left.wait(WAIT)
            upstream.let_go.set()


def test_what_is_held_dies_when_an_upstream_stalls() -> None:
    """The half of an address does not leave with the error."""
    upstream = Stalling(chat_frames(["Hello joe@exam"], done=False)[:-1])
    with between(upstream, limits={"between": 0.2}) as url:
        _, raw, _ = answer(url)
        upstream.let_go.set()
    assert text_of(raw) == "Hello "


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", 502),
        (b"garbage\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345", 502),
        (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\n x: folded\r\n\r\n", 502),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", 502),
        (b"HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n", 502),
        (b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /v1/other\r\ncontent-length: 0\r\n\r\n", 502),
        (b"HTTP/1.1 300 Multiple Choices\r\nlocation: /\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", 502),
        (b"HTTP/1.1 304 Not Modified\r\nLocation: https://elsewhere.example/\r\n\r\n", 502),
        (b"HTTP/1.1 305 Use Proxy\r\nlocation: /\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", 502),
        (b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a": joe', 502),
        (b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"a":1,"a":22}', 502),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 2\r\n\r\n{}", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}", 502),
        (b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n", 502),
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_no_answer_is_gets_a_clear_status(said: bytes, status: int) -> None:
    """Nothing of it leaves, and no redirect is followed or sent on."""
    with by_hand(lambda connection, _: connection.sendall(said)) as upstream, before(upstream) as url:
        got, raw, headers = answer(url)
        assert got == status
        assert set(json.loads(raw)) == {"error"}
        assert "location" not in headers
        assert b"joe" not in raw


def test_an_upstream_that_resets_is_told_from_one_that_ends() -> None:
    """Before an answer: 502. Within one: a legal error frame, though the body was chunked or had no length."""

    def reset(connection: socket.socket, said: bytes) -> None:
        connection.sendall(said)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with by_hand(lambda connection, _: reset(connection, b"")) as upstream, before(upstream) as url:
        assert answer(url)[0] == 502
    frame = chat_frames(["Hello joe@ex"])[1]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    with (
        by_hand(lambda connection, _: connection.sendall(head + b"%x\r\n%s\r\n" % (len(frame), frame))) as upstream,
        before(upstream) as url,
    ):
        _, raw, _ = answer(url)
        assert text_of(raw) == "Hello "
        assert loads(frames_of(raw)[-2][1])["error"]["code"] == "failed"


def test_garbage_within_a_stream_ends_it_with_an_error() -> None:
    """What cannot be read is not sent on."""
    with between(Upstream([chat_frames(["Hi, "])[1], b"data: {nonsense joe@example.com\n\n", b"data: [DONE]\n\n"])) as url:
        _, raw, _ = answer(url)
    assert text_of(raw) == "Hi, "
    assert b"nonsense" not in raw
    assert loads(frames_of(raw)[-2][1])["error"]["code"] == "failed"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_answers_are_filtered(coding: str) -> None:
    """Though nobody asked for them: live ones as they come, cut anywhere, and whole ones."""
    pack = gzip.compress if coding == "gzip" else zlib.compress
    packed = pack(b"".join(chat_frames([*f"To {MAIL}."])))
    pieces = [packed[n : n + 3] for n in range(0, len(packed), 3)]
    for upstream in (
        Upstream(pieces, headers=[(b"content-encoding", coding.encode())]),
        Upstream([pack(completion({"content": MAIL}))], JSON, headers=[(b"content-encoding", coding.encode())]),
    ):
        with between(upstream) as url:
            status, raw, headers = answer(url, accept_encoding="gzip, br")
            assert status == 200
            assert "content-encoding" not in headers
            assert upstream.headers[b"accept-encoding"] == b"identity"
            assert MAIL.encode() not in raw
            assert b"[email]" in raw


def test_a_bomb_is_refused() -> None:
    """A small body that grows beyond the limit once it is decompressed."""
    packed = gzip.compress(b'{"a": "' + b"a" * 20_000_000 + b'"}')
    with between(Upstream([packed], JSON, headers=[(b"content-encoding", b"gzip")]), limits={"body_bytes": 1_000_000}) as url:
        assert answer(url)[0] == 502


# ---------------------------------------------------------------------- clients


def test_a_client_that_vanishes_closes_the_upstream_before_the_first_token() -> None:
    """Nothing has come, and nothing is waited for."""
    upstream = Stalling(silent=True)
    with between(upstream) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), WAIT) as connection:
            connection.sendall(raw_request())
            assert upstream.asked.wait(WAIT)
        assert upstream.left.wait(WAIT)


def test_a_client_that_vanishes_closes_the_upstream_within_a_stream() -> None:
    """Within one chunk; and while the upstream says nothing."""
    for upstream in (Stalling(chat_frames(["Hi, "], done=False)[:-1]), Upstream(chat_frames(["word "])[1:2] * 200_000)):
        with between(upstream) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            connection, _ = exchange(host, int(port), raw_request(), lambda raw: b"Hi" in raw or b"word" in raw)
            connection.close()
            assert upstream.left.wait(WAIT)
            assert upstream.sent < 200_000
            if isinstance(upstream, Stalling):
                upstream.let_go.set()


def test_a_client_that_vanishes_within_its_request_leaves_nothing_open() -> None:
    """Neither where requests are filtered nor where they are sent on as they come."""
    for request in (None, "main"):
        upstream = Upstream()
        with serving(upstream) as (up_host, up_port):
            gateway = Gateway(f"http://{up_host}:{up_port}", {"main": SAFE}, "main", allow_private_upstream=True, request=request)
            with running(gateway) as (url, server):
                host, _, port = url.removeprefix("http://").partition(":")
                with socket.create_connection((host, int(port)), WAIT) as connection:
                    connection.sendall(raw_request()[:-5])
                    assert server is not None
                settled(url)
            assert not upstream.bodies  # it has not come to its end


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        (CHAT, Upstream([chat_frames(["word " * 2000])[1]] * 20_000)),  # 200 MB
        ("/image", Upstream([bytes(10_000_000)], (b"content-type", b"image/png"))),
    ],
)
def test_a_client_that_never_reads_stops_the_upstream_and_is_given_up(path: str, upstream: Upstream) -> None:
    """Some buffers are read from the upstream, and no more; after the time between two pieces all is closed, the client's socket too.

    So it is where everything was sent, and waits in the server: who reads then meets a connection that was reset.
    """
    with serving(upstream) as (at, bound):
        limits = Limits(between=1.0)
        gateway = Gateway(f"http://{at}:{bound}", {"main": SAFE}, "main", limits=limits, allow_private_upstream=True)
        with running(gateway) as (url, server), socket.socket() as connection:
            host, _, port = url.removeprefix("http://").partition(":")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((host, int(port)))
            connection.sendall(raw_request(path=path))
            assert upstream.asked.wait(WAIT)
            assert len(upstream.pieces) == 1 or upstream.left.wait(WAIT)
            assert upstream.sent * len(upstream.pieces[0]) < 50_000_000
            until = time.monotonic() + WAIT
            while server.server_state.connections:
                assert time.monotonic() < until, "the client's socket is still open"
            connection.settimeout(WAIT)
            with pytest.raises(ConnectionResetError):
                while connection.recv(1 << 20):
                    pass


def test_a_client_that_reads_slowly_gets_all_of_it() -> None:
    """What counts is whether it reads at all, not how long a large answer takes, though the server was given all of it at once."""
    size = 30_000_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(size).encode())]})
        await send({"type": "http.response.body", "body": bytes(size)})

    kind = type("Patient", (Connection,), {"unread_seconds": 0.5})
    with serving(app, http=kind) as address, socket.create_connection(address, WAIT) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        begun, came = time.monotonic(), 0
        while piece := connection.recv(65536):
            came += len(piece)
            threading.Event().wait(0.002)
    assert came > size
    assert time.monotonic() - begun > 2 * 0.5  # or nothing was proved


def test_a_request_that_does_not_end_is_given_up() -> None:
    """408, whether its body is filtered or sent on."""
    for request in (None, "main"):
        with between(Upstream(), limits={"between": 0.2}, request=request) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            connection, raw = exchange(host, int(port), raw_request()[:-5], lambda raw: raw.endswith(b"}"))
            connection.close()
            assert raw.startswith(b"HTTP/1.1 408"), raw


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (
            b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n12345", 400),
        (b"POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: +4\r\n\r\n1234", 400),
        (b"POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\n", 501),
        (b"POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
        (b"GET http://evil.example/ HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", 400),
        (b"GET //evil.example/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        (b"GET /v1/%2e%2e/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        (b"GET /a%2fb HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: a\rb\r\nconnection: close\r\n\r\n", 400),
    ],
    ids=lambda given: str(given)[:70],
)
def test_requests_that_smuggle_or_ask_elsewhere_do_not_reach_the_upstream(request_: bytes, status: int) -> None:
    """The server refuses them, or the gateway does."""
    upstream = Upstream()
    with between(upstream) as url:
        raw = sent_raw(url, request_)
    assert int(raw.split(b" ")[1]) in (status, 400), raw
    assert not upstream.bodies  # of what goes wrong within its body, the upstream may have seen the head, never the end
    assert not upstream.scopes or b"chunked\r\n\r\nzz" in request_


TWO_ENDS = [
    "content-length: {}\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding: chunked\r\ncontent-length: {}\r\n",
]


@pytest.mark.parametrize("parser", ["h11", "httptools"])
@pytest.mark.parametrize("lengths", TWO_ENDS, ids=["length first", "coding first"])
@pytest.mark.parametrize(
    "begun",
    [
        f"POST {CHAT} HTTP/1.1\r\n",
        "POST //x HTTP/1.1\r\n",
        "TRACE /v1/x HTTP/1.1\r\n",
        "GET /-/healthz HTTP/1.1\r\n",
        "POST /-/other HTTP/1.1\r\n",
        f"POST {CHAT} HTTP/1.1\r\nx-streamfilter-pipeline: none\r\n",
        f"POST {CHAT} HTTP/1.1\r\nconnection: keep-alive\r\n",
    ],
)
def test_nothing_is_served_behind_a_request_whose_end_is_not_certain(parser: str, lengths: str, begun: str) -> None:
    """RFC 9112, 6.1: after the 400 the connection is closed, whatever else is wrong with the request, and whatever it is for."""
    pytest.importorskip(parser)
    body = b"0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    head = f"{begun}host: x\r\n{lengths.format(len(body))}\r\n".encode()
    upstream = Upstream([b"{}"], JSON)
    with serving(upstream) as (host, port):
        gateway = Gateway(f"http://{host}:{port}", {"main": SAFE}, "main", allow_private_upstream=True)
        with serving(gateway, http=parser) as (at, bound):
            raw = sent_raw(f"http://{at}:{bound}", head + body)
    assert raw.startswith(b"HTTP/1.1 400") and raw.count(b"HTTP/1.1 ") == 1, raw
    assert not upstream.scopes


def test_nothing_is_hidden_behind_a_request() -> None:
    """The upstream sees one request with one end, whatever the client's connection header names."""
    upstream = Upstream([b"{}"], JSON)
    hidden = b"GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    with between(upstream) as url:
        request = raw_request(path="/v1/x", headers="connection: close, content-length\r\n", body=b'{"a": 1}')
        assert sent_raw(url, request + hidden).startswith(b"HTTP/1.1 200")
    assert [scope["path"] for scope in upstream.scopes] == ["/v1/x"]
    assert upstream.bodies == [b'{"a": 1}']


def test_headers_of_one_connection_stay_on_it() -> None:
    """In both directions; keys, cookies and request ids pass, and what leads clients past the gateway does not."""
    upstream = Upstream(
        [b"{}"],
        JSON,
        headers=[
            (b"x-up", b"1"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"alt-svc", b'h3=":443"'),
            (b"connection", b"x-private"),
            (b"x-private", b"1"),
        ],
    )
    with between(upstream, offers={"main": None}) as url:
        given = {
            "connection": "close, x-mine",
            "x_mine": "1",
            "te": "trailers",
            "proxy_authorization": "Basic x",
            "authorization": "Bearer k",
        }
        with asked(url, **given, x_streamfilter_pipeline="main", cookie="c=1") as response:
            headers = response.getheaders()
    names = {name.lower() for name, _ in headers}
    assert {"x-up", "set-cookie"} <= names
    assert not names & {"alt-svc", "x-private"}
    assert sum(name.lower() == "set-cookie" for name, _ in headers) == 2
    assert upstream.headers[b"authorization"] == b"Bearer k"
    assert upstream.headers[b"cookie"] == b"c=1"
    assert not upstream.headers.keys() & {b"x-mine", b"te", b"proxy-authorization", b"x-streamfilter-pipeline", b"connection"}


# ---------------------------------------------------------------------- limits


LARGE = 100_000_000


def test_large_bodies_pass_where_they_may() -> None:
    """100 MB up, chunked, and 100 MB down, byte by byte the same."""
    block = bytes(range(256)) * 400
    upstream = Upstream([block] * (LARGE // len(block)), (b"content-type", b"application/octet-stream"))
    digest = hashlib.sha256(block * (LARGE // len(block))).digest()
    with (
        between(upstream, limits={"body_bytes": LARGE}) as url,
        asked(url, "/v1/files", (block for _ in range(LARGE // len(block)))) as response,
    ):
        down = hashlib.sha256()
        while piece := response.read(1 << 20):
            down.update(piece)
    assert down.digest() == digest
    assert hashlib.sha256(upstream.bodies[0]).digest() == digest


def test_large_bodies_are_refused_where_they_may_not() -> None:
    """By the length that they say; or, of chunked ones, once they are too long. The upstream never has all of it."""
    for request in (None, "main"):
        upstream = Upstream()
        with between(upstream, limits={"body_bytes": 1000}, request=request) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            for raw_one in (
                f"{head}content-length: {LARGE}\r\n\r\n".encode(),
                f"{head}transfer-encoding: chunked\r\n\r\n2000\r\n".encode() + b"a" * 0x2000 + b"\r\n",
            ):
                connection, raw = exchange(host, int(port), raw_one, lambda raw: raw.endswith(b"}"))
                connection.close()
                assert raw.startswith(b"HTTP/1.1 413"), raw
            assert not upstream.bodies


def test_too_many_requests_are_told_to_come_again() -> None:
    """503 with `retry-after`; health and metrics answer all the same, and a place that is free again is taken."""
    upstream = Stalling(chat_frames(["Hi, "], done=False)[:-1])
    with between(upstream, limits={"streams": 1}) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        connection, _ = exchange(host, int(port), raw_request(), lambda raw: b"Hi" in raw)
        status, raw, headers = answer(url)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(raw)["error"]["type"] == "server_error"
        assert answer(url, "/-/healthz", None, "GET")[0] == 200
        upstream.let_go.set()
        while b"[DONE]" not in (piece := connection.recv(65536)):
            assert piece
        connection.close()
        settled(url)
        assert answer(url)[0] == 200


# ---------------------------------------------------------------------- choices


def test_a_request_chooses_among_what_is_offered() -> None:
    """By header or by path; what is not offered is refused, or a path of the upstream's."""
    pipelines = {"main": SAFE, "strict": sf.Redact("[a-z]+", to="*"), "secret": SAFE}
    upstream = Upstream([completion({"content": f"to {MAIL}"})], JSON)

    def said(url: str, path: str = CHAT, **headers: str) -> str:
        return str(json.loads(answer(url, path, **headers)[1])["choices"][0]["message"]["content"])

    with serving(upstream) as (host, port):
        with before(f"http://{host}:{port}", pipelines, offers={"strict": None}) as url:
            assert said(url) == "to [email]"
            assert said(url, x_streamfilter_pipeline="strict") == "* *@*.*"
            for name in ("secret", "missing", "", "strict, main", "../strict"):
                assert answer(url, x_streamfilter_pipeline=name)[0] == 400
        with before(f"http://{host}:{port}", pipelines, offers={"strict": "main"}, by="path") as url:
            assert said(url) == "to [email]"
            assert said(url, "/strict" + CHAT) == "* *@*.*"
            assert upstream.scopes[-1]["path"] == CHAT
            assert said(url, "/secret" + CHAT) == "to [email]"
            assert upstream.scopes[-1]["path"] == "/secret" + CHAT
            answer(url, "/strict" + CHAT, json.dumps({"messages": [{"role": "user", "content": MAIL}]}))
            assert upstream.said()["messages"][0]["content"] == "[email]"


@pytest.mark.parametrize(
    ("others", "status", "said"), [("filter", 200, {"data": "[email]"}), ("pass", 200, {"data": MAIL}), ("block", 404, None)]
)
def test_paths_where_no_model_answers(others: Any, status: int, said: Any) -> None:
    """They are filtered, passed as they are, or refused, as declared; paths of models are filtered in any case."""
    upstream = Upstream([json.dumps({"data": MAIL}).encode()], JSON)
    with between(upstream, others=others) as url:
        got, raw, _ = answer(url, "/v1/other", None, "GET", accept_encoding="gzip")
        assert got == status
        if said is not None:
            assert json.loads(raw) == said
            assert upstream.headers[b"accept-encoding"] == (b"gzip" if others == "pass" else b"identity")
        else:
            assert not upstream.scopes
        for path in (CHAT, f"{CHAT}/", CHAT.replace("s", "%73"), CHAT.upper(), f"{CHAT};a=1"):
            assert MAIL.encode() not in answer(url, path)[1]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/html; charset=utf-8", "To [email]"),
        ("TEXT/CSV", "To [email]"),
        ("text/vtt", "To [email]"),
        ("application/xml", "To [email]"),
        ("application/x-subrip", "To [email]"),
        ("audio/mpeg", f"To {MAIL}"),
        ("image/png", f"To {MAIL}"),
        ("application/octet-stream", f"To {MAIL}"),
        ("multipart/mixed; boundary=x", None),
        ("application/vnd.ms-excel", None),
        ("application/x-protobuf", None),
        ("nonsense", None),
    ],
)
def test_what_else_an_upstream_sends_is_filtered_as_text_or_blocked(kind: str, said: str | None) -> None:
    """But for images, sounds and files; of a kind that nobody knows, nothing leaves."""
    with between(Upstream([b"To joe@exa", b"mple.com"], (b"content-type", kind.encode()))) as url:
        status, raw, _ = answer(url, "/v1/other")
    assert (status, raw.decode()) == (200, said) if said is not None else (status == 502 and b"joe" not in raw)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "compress"])
@pytest.mark.parametrize(("path", "kind"), [(CHAT, "text/event-stream"), (CHAT, "application/json"), ("/v1/other", "text/html")])
def test_what_is_compressed_in_a_way_that_cannot_be_read_is_blocked(coding: str, path: str, kind: str) -> None:
    """Though the upstream was asked for none, and though its bytes are not even compressed."""
    upstream = Upstream(
        [completion({"content": MAIL})], (b"content-type", kind.encode()), headers=[(b"content-encoding", coding.encode())]
    )
    with between(upstream) as url:
        status, raw, headers = answer(url, path, accept_encoding="br, zstd")
    assert status == 502
    assert MAIL.encode() not in raw
    assert "content-encoding" not in headers
    assert upstream.headers[b"accept-encoding"] == b"identity"


def test_a_prefix_of_the_upstream_stands_before_every_path() -> None:
    """And the query is sent on as it came."""
    upstream = Upstream([b"{}"], JSON)
    with serving(upstream) as (host, port), before(f"http://{host}:{port}/base/v2/") as url:
        answer(url, "/v1/models?key=a%2Fb&alt=sse", None, "GET")
    assert upstream.scopes[-1]["raw_path"] == b"/base/v2/v1/models"
    assert upstream.scopes[-1]["query_string"] == b"key=a%2Fb&alt=sse"


def test_pipelines_change_while_the_gateway_runs(tmp_path: Path) -> None:
    """A new request gets the new ones; a stream that runs keeps its own; a broken file changes nothing, and is counted."""
    path = tmp_path / "pipelines.json"

    def write(rule: str) -> None:
        path.write_text(
            json.dumps({"version": 1, "pipeline": {"main": [{"stage": "redact", "rules": [{"name": "r", "pattern": rule}]}]}})
        )

    write("one")
    upstream = Stalling(chat_frames(["one two, "], done=False)[:-1])
    with sf.watch(path) as watched, between(upstream, watched) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        connection, raw = exchange(host, int(port), raw_request(), lambda raw: b"two, " in raw)
        assert b"[r]" in raw
        write("two")
        assert watched.reload()
        upstream.let_go.set()
        assert text_of(answer(url)[1]) == "one [r], "
        path.write_text("{")
        assert not watched.reload()
        assert text_of(answer(url)[1]) == "one [r], "
        assert b"streamfilter_pipelines_broken 1.0" in answer(url, "/-/metrics", None, "GET")[1]
        connection.close()


# ---------------------------------------------------------------------- seeing, ending


def test_logs_and_errors_have_no_key_and_no_content(caplog: pytest.LogCaptureFixture) -> None:
    """The line has method, path, status, time, pipeline and ending; nothing of the query, the headers or the bodies."""
    caplog.set_level(logging.DEBUG)
    secret = "SECRET-9"
    with between(Upstream([f"data: {{broken {secret}\n\n".encode()])) as url:
        _, raw, _ = answer(
            url, f"{CHAT}?key={secret}", json.dumps({"messages": [{"content": secret}]}), authorization=secret, x_a=secret
        )
        assert secret.encode() not in raw
        settled(url)
        raw = sent_raw(url, f"GET /{secret}//x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert secret.encode() not in raw
    with (
        by_hand(lambda connection, _: connection.sendall(f"HTTP/1.1 200 {secret}\r\n{secret}\r\n\r\n".encode())) as upstream,
        before(upstream) as url,
    ):
        assert secret.encode() not in answer(url)[1]
    ours = [record for record in caplog.records if record.name.startswith(("streamfilter", "uvicorn"))]
    assert secret not in "\n".join(record.getMessage() + str(record.exc_text or "") for record in ours)
    assert re.fullmatch(
        r"POST /v1/chat/completions 200 \d+\.\d{3}s main failed",
        next(r.getMessage() for r in ours if r.name == "streamfilter.gateway"),
    )


def counted(url: str) -> dict[tuple[str, str], float]:
    """How many exchanges have ended, by ending and status."""
    return {
        (sample.labels["ending"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(settled(url))
        for sample in family.samples
        if sample.name == "streamfilter_exchanges_total"
    }


REDIRECT = b"HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n"
NO_JSON = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a": joe'
BROTLI = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\n{}"
NO_TYPE = b"HTTP/1.1 200 OK\r\ncontent-type: text/joe\r\ncontent-length: 2\r\n\r\n{}"
A_PART = b"HTTP/1.1 206 Partial Content\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
ERROR = b'HTTP/1.1 500 No\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"error": "x"}'
A_PAGE = b"HTTP/1.1 404 No\r\ncontent-type: text/html\r\ncontent-length: 3\r\n\r\n<p>"


@pytest.mark.parametrize(
    ("said", "ending", "why"),
    [
        (b"", ("failed", "5xx"), "the upstream sent no answer that can be read"),
        (REDIRECT, ("failed", "5xx"), "the upstream redirects, and redirects are not followed"),
        (NO_JSON, ("failed", "5xx"), "the body of a response is no JSON, or could be read in two ways"),
        (BROTLI, ("failed", "5xx"), "its content-encoding is none that is read here (gzip and deflate are)"),
        (NO_TYPE, ("failed", "5xx"), "its content-type is none that is read here"),
        (A_PART, ("failed", "5xx"), "it is a part of one"),
        (ERROR, ("ok", "5xx"), ""),
        (A_PAGE, ("ok", "4xx"), ""),
    ],
    ids=lambda given: str(given)[:40],
)
def test_an_answer_that_is_none_has_failed_and_the_log_says_why(
    said: bytes, ending: tuple[str, str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In words that quote nothing of it; an error that the upstream says itself is an answer, as its status tells."""
    with by_hand(lambda connection, _: connection.sendall(said)) as upstream, before(upstream) as url:
        answer(url)
        assert counted(url) == {ending: 1}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == bool(why)
    assert why in "".join(warnings)
    assert "joe" not in caplog.text


@pytest.mark.parametrize(
    ("limits", "upstream", "status"),
    [
        ({"first": 0.2}, Stalling(silent=True), "5xx"),
        ({"total": 0.2}, Stalling(silent=True), "5xx"),
        ({"between": 0.2}, Stalling(chat_frames(["Hello"], done=False)[:-1]), "2xx"),
        ({"between": 0.2}, Stalling([b'{"choices": ['], JSON), "5xx"),
    ],
)
def test_what_takes_too_long_is_counted_as_that(limits: Any, upstream: Stalling, status: str) -> None:
    """Whether something has left, or nothing has come."""
    with between(upstream, limits=limits) as url:
        answer(url)
        assert counted(url) == {("timed_out", status): 1}
        upstream.let_go.set()


@pytest.mark.parametrize("request_by", [None, "main"])
def test_a_request_that_does_not_end_took_too_long(request_by: str | None) -> None:
    """Its answer is a 408, however its body is read."""
    with between(Upstream(), limits={"between": 0.2}, request=request_by) as url:
        assert sent_raw(url, raw_request()[:-5]).startswith(b"HTTP/1.1 408")
        assert counted(url) == {("timed_out", "4xx"): 1}


@pytest.mark.parametrize("others", ["filter", "pass"])
@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_a_client_that_leaves_within_its_request_has_left(others: Any, path: str) -> None:
    """Also where its body is sent on as it comes."""
    with between(Upstream(), others=others) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), WAIT) as connection:
            connection.sendall(raw_request(path=path)[:-5])
        until = time.monotonic() + WAIT
        while not (found := counted(url)):
            assert time.monotonic() < until
    assert {ending for ending, _ in found} == {"left"}


def test_a_request_that_cannot_be_read_is_refused_in_words_about_it(caplog: pytest.LogCaptureFixture) -> None:
    """One that is not compressed as it says, is cut off, or is of a kind that nobody reads."""
    packed = gzip.compress(ASK)
    with between(Upstream(), request="main") as url:
        for body, headers, words in (
            (ASK, {"content_encoding": "gzip"}, "cannot be read: a compressed body cannot be decompressed"),
            (packed[:-9], {"content_encoding": "gzip"}, "cannot be read: a compressed body ends too early"),
            (b"{", {}, "is no JSON, or could be read in two ways"),
        ):
            status, raw, _ = answer(url, CHAT, body, **headers)
            assert status == 400
            assert json.loads(raw)["error"]["message"] == f"The body of a request {words}."
            assert words in caplog.text
        assert counted(url) == {("refused", "4xx"): 3}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (CHAT, {"error": {"message": "WORDS", "type": "invalid_request_error", "param": None, "code": "failed"}}),
        ("/v1/messages", {"type": "error", "error": {"type": "invalid_request_error", "message": "WORDS"}}),
        ("/v1beta/models/g:generateContent", {"error": {"code": 400, "message": "WORDS", "status": "INVALID_ARGUMENT"}}),
        ("/api/chat", {"error": "WORDS"}),
    ],
)
def test_a_pipeline_that_is_not_offered_is_told_in_the_words_of_the_endpoint(path: str, wanted: Any) -> None:
    """Each in the shape that its clients read."""
    with between(Upstream()) as url:
        status, raw, _ = answer(url, path, x_streamfilter_pipeline="nope")
    words = json.dumps("The request names a pipeline that is not offered.")
    assert (status, json.loads(raw)) == (400, json.loads(json.dumps(wanted).replace('"WORDS"', words)))


def test_an_error_within_a_numbered_stream_has_the_next_number() -> None:
    """Clients of OpenAI's responses put events in their order by it."""
    frames = [
        b'data: {"type":"response.created","sequence_number":0,"response":{"id":"r","output":[]}}\n\n',
        b'data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"r","output":[]}}\n\n',
        b": ping\n\n",
    ]
    for kept in (None, MemoryStore()):
        with between(Upstream([*frames, b"data: {nonsense\n\n"]), resumable=kept) as url:
            raw = answer(url, "/v1/responses", x_stream_id="a", authorization="Bearer k")[1]
        numbers = [loads(data)["sequence_number"] for _, data in frames_of(raw) if data]
        assert numbers == [0, 1, 2]


def test_a_long_path_does_not_make_a_long_line(caplog: pytest.LogCaptureFixture) -> None:
    """It is cut at a place that it says, and how long it was."""
    caplog.set_level(logging.INFO)
    with between(Upstream([b"{}"], JSON)) as url:
        answer(url, "/v1/" + "a" * 50_000, None, "GET")
        answer(url, "/v1/" + "b" * 252, None, "GET")
        settled(url)
    lines = [record.getMessage() for record in caplog.records if record.name == "streamfilter.gateway"]
    assert [line.split()[1] for line in lines] == ["/v1/" + "a" * 252 + "...[50004]", "/v1/" + "b" * 252]


def test_metrics_count_what_happened() -> None:
    """Findings by rule, exchanges by how they ended, and no label from a request."""
    with between(Upstream(chat_frames([f"To {MAIL} and {MAIL}"]))) as url:
        answer(url)
        answer(url, f"/v1/{MAIL.replace('@', '-')}", None, "GET")
        answer(url, "/a//b", None, "GET")
        raw = settled(url)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(raw)
        for sample in family.samples
    }
    assert samples["streamfilter_findings_total", "main", "email"] == 4
    assert samples["streamfilter_exchanges_total", "ok", "main", "2xx"] == 2
    assert samples["streamfilter_exchanges_total", "refused", "", "4xx"] == 1
    assert samples[("streamfilter_open",)] == 0
    assert "joe" not in raw


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), True, "3"])
def test_a_grace_that_is_no_time_is_refused(grace: Any) -> None:
    """Before anything is listened at, with what would be right."""
    gateway = Gateway("https://x.example", {"main": SAFE}, "main")
    with pytest.raises(ValueError, match=r"^grace=.*: seconds of at least 0 are needed, and at most a year of them$"):
        serve(gateway, port=0, grace=grace, on_ready=lambda _: pytest.fail("it listens"))


def test_streams_may_end_when_the_gateway_is_told_to() -> None:
    """No connection is taken any more; the stream that runs is served to its end."""
    upstream = Stalling(chat_frames(["Hi, "], done=False)[:-1])
    with serving(upstream) as (host, port):
        gateway = Gateway(f"http://{host}:{port}", {"main": SAFE}, "main", allow_private_upstream=True)
        with running(gateway, grace=WAIT) as (url, server):
            at, _, bound = url.removeprefix("http://").partition(":")
            connection, _ = exchange(at, int(bound), raw_request(), lambda raw: b"Hi" in raw)
            server.should_exit = True
            upstream.let_go.set()
            raw = b""
            while piece := connection.recv(65536):
                raw += piece
            connection.close()
    assert raw.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


GOING_DOWN: list[tuple[str, Any, str, list[str]]] = [
    (CHAT, Stalling(chat_frames(["Hi, joe@exam"], done=False)[:-1]), "Hi", ['"type":"server_error"', "data: [DONE]"]),
    ("/v1/messages", Stalling([MESSAGE_START]), "message_start", ["event: error", '"type":"api_error"']),
    ("/other", Stalling([b"data: Hi, joe@exam"]), "http/1.1 200", []),  # not even a frame of it has come
    ("/text", Stalling([b"Hi, joe@exam"], (b"content-type", b"text/plain")), "Hi", ["breaks off"]),
    (CHAT, Stalling(silent=True), "", ["HTTP/1.1 503", "retry-after: 1"]),
    (CHAT, Stalling([b'{"choices": [{"message": {"content": "joe@exam'], JSON), "", ["HTTP/1.1 503", "retry-after: 1"]),
]


@pytest.mark.parametrize(("path", "upstream", "begun", "said"), GOING_DOWN)
def test_what_does_not_end_in_time_is_ended_in_the_words_of_its_format(
    path: str, upstream: Any, begun: str, said: list[str]
) -> None:
    """After the time streams have to end: a legal error frame, or 503 if nothing has left; what was held dies, the upstream is left."""
    with serving(upstream) as (host, port):
        gateway = Gateway(f"http://{host}:{port}", {"main": SAFE}, "main", allow_private_upstream=True)
        with running(gateway, grace=0.2) as (url, server):
            at, _, bound = url.removeprefix("http://").partition(":")
            connection, raw = exchange(at, int(bound), raw_request(path=path), lambda raw: begun.lower() in raw.decode().lower())
            assert upstream.asked.wait(WAIT)
            server.should_exit = True
            while piece := connection.recv(65536):
                raw += piece
            connection.close()
            assert upstream.left.wait(WAIT)
            upstream.let_go.set()
    breaks_off = "breaks off" in said  # plain text has no words for an error
    assert raw.endswith(b"0\r\n\r\n") is (not breaks_off and b"chunked" in raw)
    assert [words for words in said if words not in raw.decode() and not breaks_off] == []
    assert b"joe" not in raw


def test_an_answer_that_is_kept_goes_on_without_its_client_until_it_ends() -> None:
    """Though nobody reads it when the gateway is told to end: its last frames are in the store."""
    store = MemoryStore()
    upstream = Stalling(chat_frames(["Hi, "], done=False)[:-1])
    with serving(upstream) as (host, port):
        gateway = Gateway(f"http://{host}:{port}", {"main": SAFE}, "main", allow_private_upstream=True, resumable=store)
        with running(gateway, grace=WAIT) as (url, server):
            at, _, bound = url.removeprefix("http://").partition(":")
            named = raw_request(headers="authorization: Bearer k\r\nx-stream-id: a\r\n")
            connection, _ = exchange(at, int(bound), named, lambda raw: b"Hi" in raw)
            connection.close()
            server.should_exit = True
            upstream.let_go.set()
    [kept] = store._streams
    frames = asyncio.run(read_all(ResumableStream(store, kept)))
    assert frames[-1] == b"data: [DONE]"


@pytest.mark.parametrize("far", [False, True], ids=["a store far away", "a store that is gone"])
def test_a_gateway_that_ends_waits_until_the_store_has_been_told_or_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, *, far: bool
) -> None:
    """All frames and the end are there, though each call takes longer than the upstream; one that is not answered holds nothing up."""
    monkeypatch.setattr("streamfilter.gateway.serving._LAST_SECONDS", 0.5)
    is_gone = threading.Event()

    class Far(MemoryStore):
        async def append(self, id: str, owner: str, first: int, name: str, payloads: Any) -> Any:  # noqa: A002
            await self.travel()
            return await super().append(id, owner, first, name, payloads)

        async def end(self, id: str, owner: str, first: int, name: str, payload: str) -> None:  # noqa: A002
            await self.travel()
            await super().end(id, owner, first, name, payload)

        async def travel(self) -> None:
            if is_gone.is_set():
                await asyncio.Event().wait()
            await asyncio.sleep(0.2)

    store = Far()
    upstream = Stalling(chat_frames(["Hi, "], done=False)[:-1])
    with serving(upstream) as (host, port):
        gateway = Gateway(f"http://{host}:{port}", {"main": SAFE}, "main", allow_private_upstream=True, resumable=store)
        with running(gateway, grace=0.5 if far else WAIT) as (url, server):
            at, _, bound = url.removeprefix("http://").partition(":")
            named = raw_request(headers="authorization: Bearer k\r\nx-stream-id: a\r\n")
            connection, _ = exchange(at, int(bound), named, lambda raw: b"Hi" in raw)
            connection.close()
            if far:
                is_gone.set()
            server.should_exit = True
            upstream.let_go.set()
    [kept] = store._streams
    assert store._streams[kept].is_ended is not far
    if not far:
        assert asyncio.run(read_all(ResumableStream(store, kept)))[-1] == b"data: [DONE]"


async def read_all(stream: ResumableStream) -> list[Any]:
    async with stream.read() as reader:
        return [entry async for entry in reader]


def test_many_streams_at_once() -> None:
    """Fifty, each whole and filtered."""
    upstream = Upstream(chat_frames([*f"To {MAIL}."]))
    said: list[str] = []
    with between(upstream) as url:
        threads = [threading.Thread(target=lambda: said.append(text_of(answer(url)[1]))) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    assert said == ["To [email]."] * 50


PIPELINES = """
version = 1
[[pipeline.main]]
stage = "redact"
rules = ["email"]
[[pipeline.other]]
stage = "redact"
rules = ["iban"]
"""


@pytest.mark.parametrize("wrapping", [sf.wrap, chat.wrap, messages.wrap])
def test_a_pipeline_in_a_wrap_is_that_in_it(wrapping: Any) -> None:
    """The gateway wraps it itself, for whichever format a request is of: such a file serves the command line and it alike."""
    stage = sf.load(sf.dump(wrapping(SAFE)))
    with serving(Upstream(chat_frames(["To jane", "@example.com."]))) as (host, port):
        gateway = Gateway(f"http://{host}:{port}", {"main": stage}, "main", request="main", allow_private_upstream=True)
        with running(gateway) as (url, _):
            assert text_of(answer(url)[1]) == "To [email]."


@pytest.mark.parametrize(
    "stage", [chat.Decode() | sf.Redact("a") | messages.Encode(), sf.wrap(sf.Redact("a")) | sf.wrap(sf.Redact("b"))]
)
def test_a_pipeline_over_chunks_otherwise_is_refused(stage: sf.Stage[Any, Any]) -> None:
    """When the gateway is made, with what would be right; rules are not quoted."""
    with pytest.raises(TypeError, match=r"'main' works on chunks.* declare the stages over text alone, or in one wrap") as caught:
        Gateway("https://api.example.com", {"main": stage}, "main")
    assert "Redact" not in str(caught.value)


def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    """It says where it listens and what it filters, logs a line for each request, and lets a stream end after SIGTERM."""
    path = tmp_path / "p.toml"
    path.write_text(PIPELINES)
    upstream = Stalling(chat_frames([f"To {MAIL} "], done=False)[:-1])
    command = [sys.executable, "-m", "streamfilter", "serve", "-p", str(path), "--name", "main", "--listen", "127.0.0.1:0"]
    with serving(upstream) as (host, port):
        command += ["--upstream", f"http://{host}:{port}", "--allow-private-upstream", "--offer", "other:main"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as ran:
            assert ran.stderr is not None
            found = re.fullmatch(r"streamfilter: listening at http://127\.0\.0\.1:(\d+)\n", ran.stderr.readline())
            assert found
            assert [ran.stderr.readline() for _ in range(2)] == [
                "streamfilter: responses: main; requests: not filtered\n",
                "streamfilter: responses: other; requests: main\n",
            ]
            connection, raw = exchange("127.0.0.1", int(found[1]), raw_request(path=f"{CHAT}?key=KEY"), lambda raw: b"email" in raw)
            ran.send_signal(signal.SIGTERM)
            upstream.let_go.set()
            while piece := connection.recv(65536):
                raw += piece
            connection.close()
            log = ran.stderr.read()
        assert raw.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert "POST /v1/chat/completions 200" in log
        assert "KEY" not in log
        assert "Traceback" not in log
    assert ran.returncode in (0, -signal.SIGTERM, 143)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--upstream", "http://127.0.0.1:1"], "--allow-private-upstream"),
        (["--upstream", "http://localhost:1"], "--allow-private-upstream"),
        (["--upstream", "https://user:KEY@x"], "keys are the client's"),
        (["--upstream", "http://127.0.0.1:1", "--allow-private-upstream", "--name", "missing"], "missing"),
        (["--upstream", "http://127.0.0.1:1", "--allow-private-upstream", "--listen", "8080"], "HOST:PORT"),
        (["--upstream", "http://127.0.0.1:1", "--allow-private-upstream", "--streams", "0"], "streams"),
        *(
            (["--upstream", "http://127.0.0.1:1", "--allow-private-upstream", option, value], f"'{option}': {said}")
            for option, value, said in (
                ("--max-body", "inf", "inf is not in the range 0<x<=1000000.0"),
                ("--max-body", "nan", "nan is no number that can be counted with"),
                ("--max-body", "1e308", "1e+308 is not in the range 0<x<=1000000.0"),
                ("--max-body", "0", "0.0 is not in the range 0<x<=1000000.0"),
                ("--grace", "-1", "-1.0 is not in the range x>=0"),
                ("--grace", "nan", "nan is no number that can be counted with"),
                ("--grace", "inf", "inf is no number that can be counted with"),
                ("--connect", "nan", "nan is no number that can be counted with"),
                ("--total", "-3", "-3.0 is not in the range x>0"),
            )
        ),
        (["--upstream", "http://127.0.0.1:1", "--allow-private-upstream", "--offer", "a b"], "offers"),
        *(
            (["--upstream", "http://127.0.0.1:1", "--allow-private-upstream", f"--{name}", "1e9"], f"{name}=1000000000.0")
            for name in ("grace", "connect", "first", "between", "total")
        ),
    ],
)
def test_a_command_that_is_wrong_says_what(
    tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line, and no key in it."""
    from streamfilter.cli.app import run_app

    path = tmp_path / "p.toml"
    path.write_text(PIPELINES)
    named = [] if "--name" in options else ["--name", "main"]
    assert run_app(["serve", "-p", str(path), *named, *options]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert "KEY" not in captured
    assert run_app(["serve", "-p", str(path), "--upstream", "https://x.example"]) == 2  # two pipelines, and none is named
    assert "main, other" in capsys.readouterr().err
