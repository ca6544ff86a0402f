"""The middleware: what any ASGI application sends goes through the pipeline, or does not leave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import re
import socket
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from recordings import body as recorded_body
from recordings import shared

import streamfilter as sf
from streamfilter.testing import run_virtually
from streamfilter.web import Filter, Problem, ResponseBody, StreamFilterMiddleware, request_body

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from test_web import RULE, SAFE, SAID, SECRET, SHOWN, chat, cut, messages, raw_of, read, sdk
from web_serving import WAIT, Source, body_of, called, exchange, frames_of, loads, serving

Headers = list[tuple[bytes, bytes]]


def app_of(
    pieces: Sequence[bytes],
    kind: str = "text/event-stream",
    headers: Headers | None = None,
    status: int = 200,
    error: Exception | None = None,
) -> Any:
    """An application that sends these pieces."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        typed = [(b"Content-Type", kind.encode())] if kind else []
        await send({"type": "http.response.start", "status": status, "headers": [*typed, *(headers or [])]})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if error is not None:
            raise error
        await send({"type": "http.response.body", "body": b""})

    return app


def filtered(
    app: Any, pipeline: Any = SAFE, scope: dict[str, Any] | None = None, body: Sequence[bytes] = (), **options: Any
) -> list[dict[str, Any]]:
    return asyncio.run(called(StreamFilterMiddleware(app, pipeline, **options), scope, body))


def ollama(pieces: list[str]) -> list[dict[str, Any]]:
    return [
        *({"model": "m", "message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces),
        {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True},
    ]


def lines_of(events: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(event) + "\n" for event in events).encode()


def text_frames(pieces: list[str]) -> bytes:
    return "".join("".join(f"data: {line}\n" for line in piece.split("\n")) + "\n" for piece in pieces).encode()


LIVE: dict[str, tuple[str, Any, Any]] = {
    "chat": ("text/event-stream", lambda pieces: raw_of(chat(pieces), done=True), lambda raw: read("openai", raw)),
    "anthropic": (
        "text/event-stream; charset=utf-8",
        lambda pieces: raw_of(messages(pieces), named=True),
        lambda raw: read("anthropic", raw),
    ),
    "ollama": (
        "application/x-ndjson",
        lambda pieces: lines_of(ollama(pieces)),
        lambda raw: "".join(json.loads(line)["message"]["content"] for line in raw.decode().splitlines()),
    ),
    "events of text": (
        "text/event-stream",
        lambda pieces: text_frames(pieces) + b"data: [DONE]\n\n",
        lambda raw: "".join(data for _, data in frames_of(raw)).removesuffix("[DONE]"),
    ),
    "text": ("text/plain", lambda pieces: "".join(pieces).encode(), lambda raw: raw.decode()),
}


@pytest.mark.parametrize("coding", ["", "gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("form", LIVE)
def test_live_bodies_are_filtered_however_they_are_cut_and_compressed(form: str, coding: str) -> None:
    """Chunks cut anywhere, byte by byte too, plain or compressed: what a reader reads is what `re.sub` gives."""
    kind, make, shown = LIVE[form]
    headers = [(b"content-length", b"9"), (b"ETag", b'"1"'), (b"content-digest", b"x"), (b"X-Kept", b"1")]
    for seed in range(5):
        raw = make(cut(SAID, seed))
        if coding == "gzip":
            raw = gzip.compress(raw[: len(raw) // 2]) + gzip.compress(raw[len(raw) // 2 :])  # two members
        elif coding:
            deflate = zlib.compressobj(wbits=15 if coding == "deflate" else -15)
            raw = deflate.compress(raw) + deflate.flush()
        coded = [(b"content-encoding", coding.rsplit(maxsplit=1)[-1].encode())] if coding else []
        sent = filtered(app_of(cut(raw, seed, 70), kind, [*headers, *coded]))
        assert shown(body_of(sent)) == SHOWN, seed
        names = [name for name, _ in sent[0]["headers"]]
        assert sorted(names) == [b"content-type", b"x-kept"]


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
def test_events_of_an_application_whose_text_stands_in_a_named_field(kind: str) -> None:
    """The text is what `re.sub` gives, other strings are filtered by themselves, what else an event has stays, the end comes last."""
    framed = lines_of if "ndjson" in kind else raw_of
    for seed in range(5):
        events: list[dict[str, Any]] = [{"delta": {"text": piece}} for piece in cut(SAID, seed)]
        events[1]["n"] = 7
        raw = framed([{"status": "for 1234-5678"}, *events, {"status": "over"}])
        got = body_of(filtered(app_of(cut(raw, seed, 50), kind), text_at="delta.text"))
        lines = got.decode().splitlines() if "ndjson" in kind else [data for _, data in frames_of(got)]
        shown = [json.loads(line) for line in lines]
        assert "".join(event["delta"]["text"] for event in shown if "text" in event.get("delta", {})) == SHOWN
        assert (
            shown[0] == {"status": "for [pin]"}
            and shown[-1] == {"status": "over"}
            and [event["n"] for event in shown if "n" in event] == [7]
        )
    got = body_of(filtered(app_of([framed([{"token": "Hello forb"}, {"token": "idden"}])], kind), BLOCK, text_at="token"))
    assert b"Hello" in got and b"forb" not in got and b'"blocked"' in got


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
@pytest.mark.parametrize("beside", [{"delta": {"text": ""}}, {"status": "alive"}, {"delta": {"text": None}}, {}], ids=repr)
def test_an_event_without_text_cuts_no_match_in_two(kind: str, beside: dict[str, Any]) -> None:
    """Between any two pieces of the text: who reads it joins them. It keeps its place, behind the text before it."""
    framed = lines_of if "ndjson" in kind else raw_of
    for seed in range(5):
        pieces = cut(SAID, seed)
        raw = framed([event for piece in pieces for event in ({"delta": {"text": piece}}, beside)])
        got = body_of(filtered(app_of(cut(raw, seed, 50), kind), text_at="delta.text"))
        lines = got.decode().splitlines() if "ndjson" in kind else [data for _, data in frames_of(got)]
        shown = [json.loads(line) for line in lines]
        assert "".join(event.get("delta", {}).get("text") or "" for event in shown) == SHOWN
        assert (shown.count(beside), shown[-1]) == (len(pieces), beside)


def test_text_leaves_with_the_piece_that_settles_it() -> None:
    """Nothing waits for more than it must: after each piece of the application, what could leave has."""
    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for piece in (b"one ", b"12", b"34-567", b"8 two", b" 99"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            seen.append(b"".join(message.get("body", b"") for message in sent))
        await send({"type": "http.response.body", "body": b""})

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(StreamFilterMiddleware(app, SAFE)(scope, asyncio.Event().wait, send))
    assert seen == [b"one ", b"one ", b"one ", b"one [pin] two", b"one [pin] two "] and body_of(sent) == b"one [pin] two 99"


@pytest.mark.parametrize("api", ["openai.chat", "anthropic.messages", "gemini.generateContent", "ollama.chat"])
def test_recorded_bodies_have_as_much_text_as_the_index_says(api: str) -> None:
    """Every fourth recording of a format, cut at random, through a pipeline that finds nothing: the text is all there, once."""
    entries = shared(api)
    if not entries:
        pytest.skip("the recordings are not there")
    kind = "application/x-ndjson" if api.startswith("ollama") else "text/event-stream"
    for n, entry in enumerate(entries[:: 1 if len(entries) < 4 else 4]):
        raw = recorded_body(entry)
        if len(raw) > 200_000:
            continue
        got = body_of(filtered(app_of(cut(raw, n + 1, 900), kind), sf.Redact("\u0378never\u0378")))
        assert len("".join(sf.text_of(cut(got, 1, 5000)))) == len("".join(sf.text_of([raw]))) == entry["text_chars"], entry["file"]


# ---------------------------------------------------------------------- whole bodies

WHOLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "object": "chat.completion",
            "id": "1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}],
        },
        {
            "object": "chat.completion",
            "id": "1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": SHOWN}, "finish_reason": "stop"}],
        },
    ),
    (
        {
            "type": "message",
            "id": "1234-5678",
            "role": "assistant",
            "content": [{"type": "text", "text": SAID}],
            "stop_reason": "end_turn",
        },
        {
            "type": "message",
            "id": "1234-5678",
            "role": "assistant",
            "content": [{"type": "text", "text": SHOWN}],
            "stop_reason": "end_turn",
        },
    ),
    (
        {"candidates": [{"content": {"role": "model", "parts": [{"text": SAID}]}}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": SHOWN}]}}]},
    ),
    ({"answer": [SAID, {"1234-5678": 12, "x": None, "y": 1.5}]}, {"answer": [SHOWN, {"[pin]": 12, "x": None, "y": 1.5}]}),
]


@pytest.mark.parametrize(("said", "shown"), WHOLE, ids=["chat", "messages", "gemini", "any other"])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_json_is_filtered_whole(said: Any, shown: Any, coding: str) -> None:
    """A provider's as that, of any other every string and key; its length is right, and an escape hides nothing."""
    raw = json.dumps(said).replace("5678", "\\u0035678").encode()
    raw = gzip.compress(raw) if coding else raw
    coded = [(b"content-encoding", b"gzip")] if coding else []
    for seed in range(3):
        sent = filtered(app_of(cut(raw, seed, 30), "application/json", [*coded, (b"content-length", b"%d" % len(raw))]))
        assert json.loads(body_of(sent)) == shown
        assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(body_of(sent))


def test_json_in_which_nothing_is_found_keeps_its_bytes() -> None:
    """Spaces, escapes and numbers as they came."""
    raw = b'{ "a": 1.0, "b": "\\u00e9",\n "c": 12345678901234567890 }'
    assert body_of(filtered(app_of([raw], "application/vnd.api+json"))) == raw


def test_gemini_streams_that_are_lists_are_read_as_streams() -> None:
    """A secret cut over two elements of a JSON list of chunks is found."""
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [{"text": piece}]}}]} for piece in ("pin 1234-", "5678 ok")]
    raw = body_of(filtered(app_of([json.dumps(chunks).encode()], "application/json")))
    parts = [part for chunk in json.loads(raw) for each in chunk["candidates"] for part in each["content"].get("parts", [])]
    assert "".join(part["text"] for part in parts) == "pin [pin] ok"


@pytest.mark.parametrize(
    ("raw", "kind", "headers", "status"),
    [
        (b"{no json", "application/json", [], 200),
        (b'{"a": "1234-5678", "a": "x"}', "application/json", [], 200),
        (b'{"a": NaN}', "application/json", [], 200),
        (b"[" * 100_000, "application/json", [], 200),
        (b"1234-5678", "text/plain", [(b"content-encoding", b"br")], 200),
        (b"1234-5678", "text/plain", [(b"content-encoding", b"gzip, gzip")], 200),
        (b"1234-5678", "text/plain; charset=nonsense", [], 200),
        (b"34-5678", "text/plain", [(b"content-range", b"bytes 2-9/100")], 206),
        (b"--x", "multipart/byteranges; boundary=x", [], 206),
        (b"1234-5678", "", [], 200),
        (b"1234-5678", "text/html, application/json", [], 200),
    ],
)
def test_what_cannot_be_read_is_blocked_or_passes_as_declared(raw: bytes, kind: str, headers: Headers, status: int) -> None:
    """No JSON or JSON of two meanings, codings and charsets that are not known, parts, no type: 502 and nothing of it, or all of it."""
    sent = filtered(app_of([raw], kind, headers, status))
    assert sent[0]["status"] == 502 and json.loads(body_of(sent))["error"]["code"] == "failed"
    assert b"5678" not in body_of(sent) and dict(sent[0]["headers"])[b"content-type"] == b"application/json"
    passed = filtered(app_of([raw], kind, headers, status), unknown="pass")
    assert passed[0]["status"] == status and body_of(passed) == raw


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
def test_events_of_no_known_format_are_blocked_or_pass_until_one_tells_it(kind: str) -> None:
    """Unknown events never leave unless declared; and declared so, a stream whose format is told later is filtered from there."""
    unknown = [{"progress": n} for n in range(3)]
    known = chat(["pin 1234-", "5678"])
    frame = lines_of if "ndjson" in kind else raw_of
    blocked = body_of(filtered(app_of([frame(unknown)], kind)))
    assert b"progress" not in blocked and b"could not be completed" in blocked
    raw = body_of(filtered(app_of(cut(frame([*unknown, *known]), 3, 50), kind), unknown="pass"))
    assert raw.startswith(frame(unknown)) and b"1234" not in raw and b"[pin]" in raw
    assert body_of(filtered(app_of(cut(frame(unknown), 3, 50), kind), unknown="pass")) == frame(unknown)


def test_comments_before_the_first_event_leave_at_once() -> None:
    """They keep a connection alive; a body of nothing else, or with only an end, is whole."""
    for raw in (b": hello\n\n: you\n\n", b"data: [DONE]\n\n", b"", b"\n\n", b": a\n\ndata: [DONE]"):
        for seed in range(3):
            assert body_of(filtered(app_of(cut(raw, seed)))) == raw
    many = filtered(app_of([b": alive\n\n"] * 1000))
    assert len(many) > 1000


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("format", [None, "text"])
def test_nothing_passes_beside_what_events_say(size: int, format: Any) -> None:  # noqa: A002
    """Comments, names and ids are filtered too, before the format is known and behind; those in which nothing is found stay as they are."""
    secret = "1234-5678"
    before = f": to {secret}\n\n" + ": keep-alive\r\n\r\n"
    for said in (
        f"event: {secret}\nid: 1\ndata: hi\n\n",
        f"event: note\nid: {secret}\ndata: hi\n\n",
        f"event: note\n:{secret}\ndata: hi\n\n",
    ):
        raw = (before + "data: hi \n\n" + said + before).encode()
        reports: list[Any] = []
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        out = body_of(filtered(app_of(pieces), format=format, on_report=lambda _, report: reports.append(report)))  # noqa: B023
        assert secret.encode() not in out
        assert re.sub(rb"\r\n?", b"\n", out).startswith(b":\n\n: keep-alive\n\n")
        assert [data for _, data in frames_of(re.sub(rb"\r\n?", b"\n", out))] == ["hi ", "hi"]
        assert reports[0].counts == {"redacted": 3}


def test_garbage_in_an_event_stream_is_blocked() -> None:
    """A page instead of an event stream, an event that is no JSON within one that is: an error frame, and nothing of it."""
    for raw in (b"<html>1234-5678</html>\n\n", raw_of(chat(["Hi"])[:1]) + b"data: {1234-5678\n\n", b'\0\1\2data: {"a"\n\n' * 9):
        got = body_of(filtered(app_of([raw])))
        assert b"5678" not in got and b"could not be completed" in got and b"\0" not in got
    got = body_of(filtered(app_of([gzip.compress(raw_of(chat(["Hi"])))[:-20]], headers=[(b"content-encoding", b"gzip")])))
    assert b"could not be completed" in got
    got = body_of(filtered(app_of([b"no gzip at all"], headers=[(b"content-encoding", b"gzip")])))
    assert b"could not be completed" in got and b"no gzip" not in got


def test_other_media_types_pass_and_can_be_declared() -> None:
    """Pages and images are left alone; `media` says otherwise."""
    raw = b"<p>1234-5678</p>"
    headers = [(b"content-length", b"16"), (b"etag", b"1")]
    sent = filtered(app_of([raw], "text/html", headers))
    assert body_of(sent) == raw and [(name.lower(), value) for name, value in sent[0]["headers"][1:]] == headers
    for name in ("text/html", "text/*", "*/*"):
        assert body_of(filtered(app_of([raw], "text/html", headers), media={name: "text"})) == b"<p>[pin]</p>"
    assert body_of(filtered(app_of([raw], "text/html"), media={"*/*": None, "text/*": "text", "text/html": "pass"})) == raw
    assert body_of(filtered(app_of([raw], "text/html"), media={"*/*": "pass", "text/*": None})) != raw
    assert body_of(filtered(app_of([raw], "text/plain"), media={"text/*": None})) == b"<p>[pin]</p>"  # it has an entry of its own


# ---------------------------------------------------------------------- errors and endings

BLOCK = sf.Block(sf.Terms(["forbidden"], name="canary"))


@pytest.mark.parametrize(
    ("form", "events", "want"),
    [
        ("chat", ["Hello ", "forb", "idden"], ("", "content_filter")),
        ("anthropic", ["Hello ", "forb", "idden"], ("error", "invalid_request_error")),
        ("ollama", ["Hello ", "forb", "idden"], ("", "stopped by a content rule")),
        ("events of text", ["Hello ", "forb", "idden"], ("error", "blocked")),
    ],
)
def test_a_violation_after_the_headers_is_a_legal_error_and_the_end(form: str, events: list[str], want: tuple[str, str]) -> None:
    """What was decided before has left, the error is in the words of the format, and nothing follows."""
    kind, make, _ = LIVE[form]
    errors: list[Exception] = []
    raw = body_of(filtered(app_of(cut(make(events), 2, 40), kind), BLOCK, on_error=errors.append))
    assert b"Hello" in raw and b"forb" not in raw
    assert isinstance(errors[0], sf.Blocked) and errors[0].rule == "canary"
    if form == "ollama":
        assert want[1] in json.loads(raw.splitlines()[-1])["error"]
    else:
        frames = frames_of(raw)
        last = [each for each in frames if each[1] != "[DONE]"][-1]
        assert last[0] == want[0] and want[1] in last[1]


def test_a_violation_before_anything_has_left_is_a_status() -> None:
    """Whole bodies: 403 with an error in the words of the format, which clients do not repeat."""
    said = {"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "forbidden"}}]}
    sent = filtered(app_of([json.dumps(said).encode()], "application/json"), BLOCK)
    assert sent[0]["status"] == 403 and json.loads(body_of(sent))["error"]["code"] == "blocked"
    sent = filtered(
        app_of([json.dumps(said).encode()], "application/json"),
        BLOCK,
        format="anthropic.messages",
        on_error=lambda _: Problem("failed", "No.", 418),
    )
    assert sent[0]["status"] == 418 and json.loads(body_of(sent)) == {
        "type": "error",
        "error": {"type": "api_error", "message": "No."},
    }


def test_plain_text_that_is_blocked_breaks_off() -> None:
    """Plain text has no words for an error: the connection breaks, as that of any application that fails."""
    with pytest.raises(sf.Blocked):
        filtered(app_of([b"Hello forbidden"], "text/plain"), BLOCK)

    async def main() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with pytest.raises(sf.Blocked):
            await StreamFilterMiddleware(app_of([b"Hello forbidden"], "text/plain"), BLOCK)(scope, asyncio.Event().wait, send)
        return sent

    assert [message.get("body") for message in asyncio.run(main())] == [None, b"Hello "]


@pytest.mark.parametrize("form", ["chat", "anthropic", "ollama"])
def test_an_application_that_fails_kills_held_text_and_is_heard(form: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its exception goes on to the server; the client gets a legal error; what was held is gone."""
    kind, _, _ = LIVE[form]
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    error = RuntimeError(SECRET)
    app = app_of([begun(form)], kind, error=error)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(RuntimeError) as raised, caplog.at_level(logging.DEBUG):
        asyncio.run(StreamFilterMiddleware(app, SAFE)(scope, asyncio.Event().wait, send))
    assert raised.value is error
    raw = body_of(sent)
    assert b"Hello" in raw and b"1234" not in raw and b"secret" not in raw and b"could not be completed" in raw
    assert "secret" not in caplog.text


def begun(form: str) -> bytes:
    """The beginning of a stream, in which the beginning of a match has come."""
    if form == "ollama":
        return lines_of(ollama(["Hello ", "1234-"])[:2])
    return raw_of(chat(["Hello ", "1234-"])[:2]) if form == "chat" else raw_of(messages(["Hello ", "1234-"])[:4], named=True)


def test_an_application_that_fails_before_anything_has_left_is_its_servers_to_answer() -> None:
    """Whole bodies and no beginning: nothing is sent, the exception goes on."""

    async def at_once(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("x")

    for app in (at_once, app_of([b'{"a":'], "application/json", error=RuntimeError("x"))):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        with pytest.raises(RuntimeError, match="x"):
            asyncio.run(
                StreamFilterMiddleware(app, SAFE)(
                    {"type": "http", "method": "GET", "path": "/", "headers": []}, asyncio.Event().wait, send
                )
            )
        assert sent == []


def test_a_stage_that_stops_the_stream_stops_the_application() -> None:
    """The legal ending is written, the application's next piece meets a closed connection, and it learns of it by `receive` too."""
    after: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        try:
            for event in chat(["one ", "END", " two", " three"]):
                await send({"type": "http.response.body", "body": raw_of([event]), "more_body": True})
                after.append(event["choices"][0]["delta"].get("content", ""))
        except OSError:
            after.append((await receive())["type"])
            raise

    raw = body_of(filtered(app, sf.StopAt("END")))
    assert read("openai", raw) == "one " and after == ["one ", "http.disconnect"]


def test_a_stopped_stream_is_read_on_for_its_usage_if_wanted() -> None:
    """`after_stop="drain"`: the application runs to its end, only its usage still passes, and the end is legal."""
    usage = {**chat([])[0], "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    raw = raw_of([*chat(["one ", "END", " two"]), usage], done=True)
    for seed in range(4):
        got = body_of(filtered(app_of(cut(raw, seed, 60)), sf.StopAt("END"), after_stop="drain"))
        assert read("openai", got) == "one " and b'"total_tokens":3' in got.replace(b" ", b"")


def test_the_format_may_be_named_by_the_scope() -> None:
    """So the words of an error are right before any event has told them."""
    sent = filtered(
        app_of([b"{"], "application/json"),
        scope={"path": "/v1/messages"},
        format=lambda scope: "anthropic.messages" if scope["path"].endswith("/messages") else None,
    )
    assert json.loads(body_of(sent)) == {
        "type": "error",
        "error": {"type": "api_error", "message": "The answer could not be completed."},
    }


def test_an_application_that_returns_within_its_response_is_an_error() -> None:
    """The client is told, and so is nobody else: servers take it for an error of their own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": raw_of(chat(["Hi"])[:1]), "more_body": True})

    errors: list[Exception] = []
    assert b"could not be completed" in body_of(filtered(app, on_error=errors.append))
    assert "within its response" in str(errors[0])


def test_pipelines_that_wait_are_awaited() -> None:
    """`Moderate` holds each window until its verdict; nothing leaves before, in live bodies, whole ones and requests."""

    async def allowed(window: sf.Window) -> bool:
        await asyncio.sleep(3)
        return "bad" not in window.text

    moderated = sf.Moderate(allowed, window=sf.by_sentence())
    raw = raw_of(chat(["All is well. ", "This is bad. ", "Never."]), done=True)
    got = body_of(run_virtually(called(StreamFilterMiddleware(app_of(cut(raw, 3, 50)), moderated))))
    assert b"well" in got and b"bad" not in got and b"Never" not in got and frames_of(got)[-1] == ("", "[DONE]")
    sent = run_virtually(called(StreamFilterMiddleware(app_of([b'{"a": "This is bad."}'], "application/json"), moderated)))
    assert sent[0]["status"] == 403


# ---------------------------------------------------------------------- selection, contexts, requests


def test_paths_and_pipelines_are_chosen_per_request() -> None:
    """What no path or function selects passes untouched, and sees the request as it was."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])
        await app_of([b"1234-5678"], "text/plain")(scope, receive, send)

    def by_tenant(scope: Any) -> Any:
        tenant = dict(scope["headers"]).get(b"tenant")
        return {b"a": SAFE, b"b": sf.MapText(str.upper)}.get(tenant or b"")

    async def later(scope: Any) -> Any:
        return by_tenant(scope)

    for given in (by_tenant, later):
        for tenant, want in ((b"a", b"[pin]"), (b"b", b"1234-5678"), (b"c", b"1234-5678")):
            headers = [(b"tenant", tenant), (b"accept-encoding", b"gzip"), (b"Range", b"bytes=1-"), (b"if-none-match", b"x")]
            assert body_of(filtered(app, given, {"headers": headers})) == want
            assert seen.pop() == (headers if tenant == b"c" else headers[:1])
    for path, want in (("/chat/x", b"[pin]"), ("/other", b"1234-5678")):
        assert body_of(filtered(app, scope={"path": path}, paths=["/chat"])) == want


def test_reports_contexts_and_vaults_are_per_exchange() -> None:
    """One report at the end, of request and response; tags and observers are the caller's; a vault restores what was asked."""
    reports: list[Any] = []
    seen: list[sf.Finding] = []
    mail = sf.Rule("email", r"[\w.]+@[\w.]+\.com")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked = (await receive())["body"]
        assert b"joe" not in asked and dict(scope["headers"])[b"content-length"] == b"%d" % len(asked)
        answer = raw_of(chat([f"I wrote to {json.loads(asked)['messages'][0]['content'].split()[-1]}."]))
        await app_of(cut(answer, 3))(scope, receive, send)

    body = json.dumps({"messages": [{"role": "user", "content": "Write to joe@example.com"}]}).encode()
    sent = filtered(
        app,
        sf.Restore(),
        {"headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]},
        [body[:10], body[10:]],
        request=sf.Redact(mail, to=sf.Placeholder()),
        context=lambda scope: sf.Context(tags={"path": scope["path"]}, observe=[seen.append]),
        on_report=lambda scope, report: reports.append((scope["path"], report)),
    )
    assert (
        read("openai", body_of(sent) + b"data: [DONE]\n\n" if b"[DONE]" not in body_of(sent) else body_of(sent))
        == "I wrote to joe@example.com."
    )
    (path, report), *rest = reports
    assert path == "/" and not rest and report.counts["email"] >= 1 and next(finding.tags for finding in seen) == {"path": "/"}
    assert "joe" not in repr(report)


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b'{"q": "forbidden"}', {b"content-type": b"application/json"}, 400, b"stopped by a content rule"),
        (b'{"q": ', {b"content-type": b"application/json"}, 400, b"The body of a request is no JSON"),
        (b'{"q": 1, "q": 2}', {b"content-type": b"application/json"}, 400, b"could be read in two ways"),
        (b"a=1", {b"content-type": b"application/x-www-form-urlencoded"}, 415, b"By its content-type"),
        (b'{"q": 1}', {}, 415, b"By its content-type"),
        (b'{"q": 1}', {b"content-type": b"application/json", b"content-encoding": b"br"}, 415, b"content-encoding"),
        (b"x" * 2001, {b"content-type": b"text/plain"}, 413, b"larger than 2000 bytes"),
        (gzip.compress(b"x" * 100_000), {b"content-type": b"text/plain", b"content-encoding": b"gzip"}, 413, b"larger than 2000"),
        (b'{"input": [1, 2]}', {b"content-type": b"application/json"}, 400, b"could not be completed"),
    ],
)
def test_requests_that_are_blocked_or_cannot_be_read_never_reach_the_application(
    body: bytes, headers: dict[bytes, bytes], status: int, words: bytes
) -> None:
    """Each with its status, and an error that says what was wrong with the request, and quotes nothing."""

    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    sent = filtered(never, scope={"headers": list(headers.items())}, body=[body[:7], body[7:]], request=BLOCK, max_body_bytes=2000)
    assert sent[0]["status"] == status and "error" in json.loads(body_of(sent)) and b"forbidden" not in body_of(sent)
    assert words in body_of(sent)
    own = filtered(
        never,
        scope={"headers": list(headers.items())},
        body=[body],
        request=BLOCK,
        max_body_bytes=2000,
        on_error=lambda _error: "Mine.",
    )
    assert own[0]["status"] == status and b"Mine." in body_of(own) and words not in body_of(own)


@pytest.mark.parametrize(
    ("body", "kind", "want"),
    [
        (b'{"question": "pin 1234-5678?"}', b"application/json", b'{"question":"pin [pin]?"}'),
        (b'"1234-5678"', b"application/json", b'"[pin]"'),
        (b"pin 1234-5678", b"text/plain", b"pin [pin]"),
        ("né 1234-5678".encode("latin-1"), b"text/plain; charset=latin-1", "né [pin]".encode("latin-1")),
        (b"", b"", b""),
    ],
)
def test_bodies_of_requests(body: bytes, kind: bytes, want: bytes) -> None:
    """JSON of any shape, and text in its own charset."""
    assert asyncio.run(request_body(Filter(SAFE), [(b"Content-Type", kind)], body)) == want


def test_web_sockets_are_refused_unless_they_may_pass() -> None:
    """What goes over them is not known."""
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def main(**options: Any) -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await StreamFilterMiddleware(app, SAFE, **options)({"type": "websocket", "path": "/", "headers": []}, receive, send)
        return sent

    assert asyncio.run(main()) == [{"type": "websocket.close", "code": 1008}] and reached == []
    assert asyncio.run(main(unknown="pass")) == [] and reached == ["websocket"]
    assert asyncio.run(main(paths=["/chat"])) == []


def test_ways_past_the_body_are_closed() -> None:
    """Extensions by which a server sends a file or trailers itself are not offered, and messages of theirs do not pass."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["extensions"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")], "trailers": True})
        await send({"type": "http.response.pathsend", "path": "/etc/hostname"})
        await send({"type": "http.response.trailers", "headers": [(b"x", b"1234-5678")]})
        await send({"type": "http.response.body", "body": b"ok"})

    extensions: dict[str, Any] = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.trailers": {},
        "tls": {},
    }
    sent = filtered(app, scope={"extensions": extensions})
    assert seen == [{"tls": {}}] and [message["type"] for message in sent] == [
        "http.response.start",
        *["http.response.body"] * (len(sent) - 1),
    ]
    assert "trailers" not in sent[0]


def test_responses_without_a_body_pass() -> None:
    """HEAD, 204, 304 and redirects; what said how long the unfiltered one was is left out."""
    sent = filtered(app_of([], "application/json", [(b"content-length", b"99")]), scope={"method": "HEAD"})
    assert sent[0]["headers"] == [(b"content-type", b"application/json")]
    assert filtered(app_of([], "", status=204))[0]["status"] == 204
    assert filtered(app_of([], "", [(b"location", b"/x"), (b"content-length", b"0")], status=307))[0]["headers"] == [
        (b"location", b"/x"),
        (b"content-length", b"0"),
    ]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"pipeline": 3}, TypeError, "a stage, or a function"),
        ({"pipeline": sf.Redact}, TypeError, r"write Redact\(\.\.\.\)"),
        ({"request": sf.Redact}, TypeError, r"write Redact\(\.\.\.\)"),
        ({"pipeline": sf.ParseJSON()}, TypeError, "cannot say the values of ParseJSON"),
        ({"pipeline": sf.wrap(SAFE)}, TypeError, "text stages"),
        ({"unknown": "raise"}, ValueError, "'block' or 'pass'"),
        ({"format": "openai"}, ValueError, "such as 'openai.chat'"),
        ({"format": "../x"}, ValueError, "such as 'openai.chat'"),
        ({"paths": "/chat"}, ValueError, "such as"),
        ({"text_at": "a..b"}, ValueError, "such as 'token'"),
        ({"text_at": "a", "format": "text"}, ValueError, "one of the two"),
        ({"max_body_bytes": 0}, ValueError, "from 1"),
        ({"media": {"text/html": "page"}}, ValueError, "one of sse"),
        ({"on_error": 3}, TypeError, "on_error"),
        ({"context": 3}, TypeError, "a Context"),
        ({"after_stop": "go"}, ValueError, "'close' or 'drain'"),
        ({"unread_seconds": float("nan")}, ValueError, "unread_seconds=nan"),
    ],
)
def test_bad_arguments_are_refused_when_it_is_built(options: dict[str, Any], error: type[Exception], words: str) -> None:
    """Not with the first request."""
    with pytest.raises(error, match=words):
        StreamFilterMiddleware(app_of([]), **{"pipeline": SAFE, **options})


# ---------------------------------------------------------------------- sizes


def test_bodies_that_must_be_whole_have_a_limit_and_live_ones_need_none() -> None:
    """100 MB of JSON are refused without being kept; 100 MB of text pass in flat memory; a bomb grows in small pieces."""
    piece = b"x" * 1_000_000
    errors: list[Exception] = []

    async def sized(count: int, kind: str, headers: Headers) -> tuple[int, int]:
        size, status = 0, 0

        async def send(message: Any) -> None:
            nonlocal size, status
            status = message.get("status", status)
            size += len(message.get("body", b""))

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode()), *headers]})
            for n in range(count):
                await send({"type": "http.response.body", "body": bomb[n] if headers else piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        middleware = StreamFilterMiddleware(app, sf.Redact("y"), on_error=errors.append)
        await middleware({"type": "http", "method": "GET", "path": "/", "headers": []}, asyncio.Event().wait, send)
        return size, status

    deflate = zlib.compressobj(wbits=31)
    bomb = [b"".join(deflate.compress(piece) for _ in range(100)) + deflate.flush()]
    tracemalloc.start()
    try:
        assert asyncio.run(sized(100, "application/json", []))[1] == 502 and "larger than" in str(errors.pop())
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
        tracemalloc.reset_peak()
        assert asyncio.run(sized(20, "text/plain", [])) == (20_000_000, 200)
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
        tracemalloc.reset_peak()
        assert asyncio.run(sized(1, "application/json", [(b"content-encoding", b"gzip")]))[1] == 502
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------- real servers and clients


def fastapi_app(source: Any = None) -> Any:
    fastapi: Any = pytest.importorskip("fastapi")
    responses = pytest.importorskip("starlette.responses")
    gzipping = pytest.importorskip("starlette.middleware.gzip")
    app: Any = fastapi.FastAPI(title=SAID)
    app.add_middleware(gzipping.GZipMiddleware, minimum_size=1)
    app.add_middleware(StreamFilterMiddleware, pipeline=SAFE)

    async def each(pieces: Any) -> Any:
        for piece in pieces:
            yield piece

    async def completions(body: dict[str, Any]) -> Any:
        if body.get("stream"):
            return responses.StreamingResponse(
                each(cut(raw_of(chat(cut(SAID, 3)), done=True), 3, 40)), media_type="text/event-stream"
            )
        return {
            "object": "chat.completion",
            "id": "1",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SAID}}],
        }

    async def text() -> Any:
        return responses.PlainTextResponse(SAID)

    async def wait() -> Any:
        return responses.StreamingResponse(source, media_type="text/plain")

    app.add_api_route("/v1/chat/completions", completions, methods=["POST"])
    app.add_api_route("/text", text)
    app.add_api_route("/wait", wait)
    return app


def test_a_fastapi_application_that_compresses_and_real_clients() -> None:
    """The `openai` client reads it, live and whole; an HTTP client that asks for gzip gets text that is not compressed."""
    openai = pytest.importorskip("openai")
    httpx2 = pytest.importorskip("httpx2")
    app = fastapi_app()
    with (
        serving(app) as (host, port),
        openai.OpenAI(api_key="none", base_url=f"http://{host}:{port}/v1", max_retries=0) as client,
    ):
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SHOWN
        assert client.chat.completions.create(model="m", messages=[]).choices[0].message.content == SHOWN
        response = httpx2.get(f"http://{host}:{port}/text", headers={"accept-encoding": "gzip"})
        assert response.text == SHOWN and "content-encoding" not in response.headers
        described = httpx2.get(f"http://{host}:{port}/openapi.json").json()
        assert described == {**app.openapi(), "info": {**app.openapi()["info"], "title": SHOWN}}  # JSON, and no answer of a model's


def test_a_client_that_leaves_stops_the_application() -> None:
    """Over a real socket: Starlette's response, behind the middleware, learns that the client has left, and ends."""
    source = Source([b"Hello "], stalls=True)
    served = threading.Event()
    inner = fastapi_app(source)
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await inner(scope, receive, send)
        finally:
            events.append("over")
            served.set()

    with serving(app) as (host, port):
        connection, _ = exchange(host, port, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", lambda raw: b"Hello" in raw)
        assert source.asked.wait(WAIT) and not served.is_set()
        connection.close()
        assert served.wait(WAIT)
    assert events == ["over"]


def test_a_client_that_never_reads_nor_leaves_is_given_up() -> None:
    """After the time that it has, the application meets a closed connection, live bodies and those that pass alike."""
    for kind in (b"text/plain", b"image/png"):
        served = threading.Event()

        async def app(scope: Any, receive: Any, send: Any, kind: bytes = kind) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
            while True:
                await send({"type": "http.response.body", "body": b"word " * 2000, "more_body": True})

        safe = StreamFilterMiddleware(app, SAFE, unread_seconds=0.3)

        async def watched(scope: Any, receive: Any, send: Any, safe: Any = safe, served: threading.Event = served) -> None:
            with contextlib.suppress(OSError):
                await safe(scope, receive, send)
            served.set()

        with serving(watched) as address, socket.create_connection(address, WAIT) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert served.wait(WAIT)


def test_a_server_that_goes_down_leaves_a_legal_error() -> None:
    """A real one, which cancels what does not end in its time: the words of the format, and its end; held text dies."""
    frame = b'data: {"choices": [{"index": 0, "delta": {"content": "pin is 12"}}]}\n\n'

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": frame, "more_body": True})
        await asyncio.Event().wait()

    safe = StreamFilterMiddleware(app, sf.Redact("[0-9]+", to="#"))
    with serving(safe, timeout_graceful_shutdown=1) as (host, port):
        connection, raw = exchange(host, port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", lambda raw: b"pin is" in raw)
    with connection:
        while piece := connection.recv(65536):
            raw += piece
    assert b'{"error":{"message":"The answer could not be completed.","type":"server_error"' in raw
    assert raw.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert b"12" not in raw.partition(b"pin is")[2]


def test_plain_text_that_breaks_off_is_seen_to_be_incomplete() -> None:
    """A real client is told by the missing end of the chunked encoding."""
    httpx2 = pytest.importorskip("httpx2")
    app = StreamFilterMiddleware(app_of([b"Hello ", b"forbidden", b" fruit"], "text/plain"), BLOCK)
    with serving(app) as (host, port):
        got = b""
        with pytest.raises(httpx2.RemoteProtocolError), httpx2.stream("GET", f"http://{host}:{port}/") as response:
            for piece in response.iter_bytes():
                got += piece
    assert got == b"Hello "


def test_objects_of_an_sdk_are_no_bodies() -> None:
    """A pipeline's findings are those of the text: the rule of these tests finds what `re` finds."""
    assert re.findall(RULE, SAID) and len(sdk(chat(["a"]))) == 2 and loads("[DONE]") is None
    assert ResponseBody(Filter(SAFE), 200, [(b"content-type", b"text/html")]).how == "pass"


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_the_last_bytes_leave_before_the_application_returns(spec_version: str) -> None:
    """Starlette watches for a disconnect beside its response, by older versions of ASGI, and is told of one once all is said."""

    async def answered(_: Request) -> StreamingResponse:
        async def frames() -> AsyncIterator[bytes]:
            yield b'data: {"choices": [{"index": 0, "delta": {"content": "1234"}}]}\n\n'
            yield b"data: [DONE]\n\n"

        return StreamingResponse(frames(), media_type="text/event-stream")

    app = StreamFilterMiddleware(Starlette(routes=[Route("/chat", answered)]), pipeline=sf.Redact("[0-9]+", to="#"))
    arriving: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if not arriving:
            await asyncio.Event().wait()
        return arriving.pop()

    async def send(message: Any) -> None:
        await asyncio.sleep(0.01)
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/chat",
        "query_string": b"",
        "headers": [],
        "asgi": {"spec_version": spec_version},
    }
    run_virtually(app(scope, receive, send))
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert b"".join(message.get("body", b"") for message in sent).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(("field", "is_told"), [("token", False), ("tokn", True), ("token.text", True)])
def test_the_log_says_where_no_event_has_the_field_of_the_text(field: str, is_told: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is misspelt, or all of it was filtered string by string."""
    for _ in range(2):
        body_of(filtered(app_of([raw_of([{"status": "a"}, {"token": "Hello"}])]), text_at=field))
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"no event had the field text_at={field!r}: each of their strings was filtered by itself"] * (2 * is_told)
