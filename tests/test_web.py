"""The exit to the web: what leaves in every format, what a client is told of errors, and that one who leaves closes the source."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from shutil import which
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers import anthropic as anthropic_format
from streamfilter.providers import openai as openai_format
from streamfilter.providers import vercel
from streamfilter.testing import run_virtually

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from web_serving import WAIT, Endless, Source, body_of, called, exchange, frames_of, loads, serving

from streamfilter.web import Problem, problem_of, sse_response, websocket
from streamfilter.web.problems import FAILED, messages_of
from streamfilter.web.writing import Writing

SAID = "My pin is 1234-5678, née Ömer.\nLine two: 42 \U0001f600 end"
RULE = r"\d{4}-\d{4}"
SHOWN = re.sub(RULE, "[pin]", SAID)
SAFE = sf.Redact(RULE, to="[pin]")
SECRET = "the secret 1234-5678"


def cut(text: Any, seed: int, most: int = 5) -> list[Any]:
    rng, out, at = random.Random(seed), [], 0
    while at < len(text):
        size = 1 if seed == 0 else rng.randint(1, most)
        out.append(text[at : at + size])
        at += size
    return out


def chat(pieces: list[str]) -> list[dict[str, Any]]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [{**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    return [*said, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def messages(pieces: list[str]) -> list[dict[str, Any]]:
    message: dict[str, Any] = {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]


def raw_of(events: list[dict[str, Any]], *, named: bool = False, done: bool = False) -> bytes:
    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def sdk(events: list[dict[str, Any]]) -> list[Any]:
    openai_types = pytest.importorskip("openai.types.chat")
    return [openai_types.ChatCompletionChunk.model_validate(event) for event in events]


def stream_of(kind: str, seed: int) -> Any:
    """A filtered stream of each kind that there is, of the same text."""
    pieces = cut(SAID, seed)
    match kind:
        case "text":
            return SAFE(Source(pieces))
        case "items":
            return (openai_format.chat.Decode() | SAFE)(Source(chat(pieces)))
        case "chat dicts":
            return openai_format.chat.wrap(SAFE)(Source(chat(pieces)))
        case "chat objects":
            return openai_format.chat.wrap(SAFE)(Source(sdk(chat(pieces))))
        case "chat bytes":
            return openai_format.chat.wrap(SAFE)(Source(cut(raw_of(chat(pieces), done=True), seed, 60)))
        case "anthropic dicts":
            return anthropic_format.messages.wrap(SAFE)(Source(messages(pieces)))
        case "anthropic bytes":
            return anthropic_format.messages.wrap(SAFE)(Source(cut(raw_of(messages(pieces), named=True), seed, 60)))
        case "raw anthropic bytes":  # nobody has filtered them, and they are cut within frames
            return Source(cut(raw_of(messages(cut(SHOWN, seed)), named=True), seed, 60))
        case _:
            events = list(vercel.Encode().iter(pieces))
            return vercel.wrap(SAFE)(Source(events))


KINDS = [
    "text",
    "items",
    "chat dicts",
    "chat objects",
    "chat bytes",
    "anthropic dicts",
    "anthropic bytes",
    "raw anthropic bytes",
    "vercel dicts",
]


def read(form: str, raw: bytes) -> str:
    """The text in a body, read by what each format says of itself; its end is checked."""
    frames = frames_of(raw)
    events = [loads(data) for _, data in frames] if form != "text" else []
    match form:
        case "openai":
            assert frames[-1] == ("", "[DONE]") and sum(data == "[DONE]" for _, data in frames) == 1
            assert [event for event in events[:-1] if event["choices"]][-1]["choices"][0][
                "finish_reason"
            ] == "stop"  # usage may follow
            return "".join(choice["delta"].get("content") or "" for event in events[:-1] for choice in event["choices"])
        case "anthropic":
            assert [event for event, _ in frames] == [event["type"] for event in events]
            assert [event["type"] for event in events].count("message_start") == 1
            assert events[-1]["type"] == "message_stop" and events[-2]["delta"]["stop_reason"] == "end_turn"
            return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
        case "vercel-ui":
            assert frames[-1] == ("", "[DONE]") and events[-2]["type"] == "finish" and events[0]["type"] == "start"
            return "".join(event["delta"] for event in events[:-1] if event["type"] == "text-delta")
        case "text":
            assert frames[-1] == ("done", '{"type":"done"}')
            return "".join(data for event, data in frames if not event)
        case _:
            assert events[-1] == {"type": "done"}
            return "".join(event["text"] for event in events if event["type"] == "text")


@pytest.mark.parametrize("form", ["openai", "anthropic", "vercel-ui", "text", "events"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_stream_leaves_in_every_format_with_the_same_text(kind: str, form: Any) -> None:
    """Text, items, chunks as dicts, objects and bytes: in the client's words, once ended, with the text that `re.sub` gives."""
    if form == "events" and kind in ("chat dicts", "anthropic dicts", "vercel dicts"):
        return  # there a dict is a value, whatever it looks like
    for seed in range(6):
        raw = body_of(asyncio.run(called(sse_response(stream_of(kind, seed), form))))
        assert read(form, raw) == SHOWN, seed


def test_chunks_of_the_clients_format_leave_as_they_came() -> None:
    """With nothing to filter, bytes are the same bytes, comments, ids and all; and `[DONE]` is not sent twice."""
    raw = b": hello\n\nid: 7\ndata: " + json.dumps(chat(["Hi"])[0]).encode() + b"\n\ndata: [DONE]\n\n"
    for seed in range(5):
        assert body_of(asyncio.run(called(sse_response(Source(cut(raw, seed, 9)), "openai")))) == raw


def test_comments_before_the_first_chunk_leave_at_once_and_once() -> None:
    """In the client's words or in another's, however many there are."""
    alive = b": alive\n\n"
    for raw in (raw_of(chat(["Hi"]), done=True), raw_of(messages(["Hi"]), named=True)):
        for seed in range(4):
            got = body_of(asyncio.run(called(sse_response(Source(cut(alive * 3 + raw, seed, 9)), "openai"))))
            assert got.count(alive) == 3 and read("openai", got.replace(alive, b"")) == "Hi"


def test_what_a_provider_says_of_its_error_is_for_the_caller() -> None:
    """It may quote the prompt, and no stage has seen it: the client is told that it failed, `on_error` has the payload."""
    errors: list[Exception] = []
    forms: list[Any] = ["openai", "anthropic", "vercel-ui", "text", "events"]
    for form in forms:
        stream = anthropic_format.messages.Decode()(Source([{"type": "error", "error": {"type": "api_error", "message": SECRET}}]))
        raw = body_of(asyncio.run(called(sse_response(stream, form, on_error=errors.append))))
        assert b"secret" not in raw and b"could not be completed" in raw
        assert isinstance(errors[-1], sf.ProviderError) and SECRET in str(errors[-1].payload)


def test_responses_of_openai_are_named_and_have_no_end_of_their_own() -> None:
    """The Responses API has named events and no `[DONE]`; an error in it has a number."""
    events = [
        {"type": "response.created", "sequence_number": 0, "response": {}},
        {
            "type": "response.output_text.delta",
            "sequence_number": 1,
            "delta": "Hi",
            "item_id": "i",
            "output_index": 0,
            "content_index": 0,
            "logprobs": [],
        },
    ]
    frames = frames_of(body_of(asyncio.run(called(sse_response(Source(events, error=sf.Blocked("r", 1)), "openai")))))
    assert [(event, loads(data)["type"]) for event, data in frames] == [
        ("response.created", "response.created"),
        ("response.output_text.delta", "response.output_text.delta"),
        ("error", "error"),
    ]
    assert loads(frames[-1][1])["sequence_number"] == 2 and loads(frames[-1][1])["code"] == "blocked"


# ---------------------------------------------------------------------- errors

ERRORS: list[tuple[Exception, str, str]] = [
    (sf.Blocked("canary", 3), "blocked", "stopped by a content rule"),
    (sf.SourceTimeout("first", 3.0), "timed_out", "took too long"),
    (TimeoutError(SECRET), "timed_out", "took too long"),
    (type("ReadTimeout", (Exception,), {})(SECRET), "timed_out", "took too long"),  # as those of HTTP clients are
    (RuntimeError(SECRET), "failed", "could not be completed"),
    (ConnectionResetError(SECRET), "failed", "could not be completed"),
    (sf.ProviderError({"message": SECRET}), "failed", "could not be completed"),
]


def told(form: str, frames: list[tuple[str, str]]) -> tuple[str, str]:
    """Code and message of the error in a body, and that it is a legal one."""
    if form == "openai":
        assert frames[-1][1] == "[DONE]"
        error = loads(frames[-2][1])["error"]
        return error["code"], error["message"]
    if form == "anthropic":
        assert frames[-1][0] == "error"
        error = loads(frames[-1][1])["error"]
        return {"invalid_request_error": "blocked", "timeout_error": "timed_out", "api_error": "failed"}[error["type"]], error[
            "message"
        ]
    if form == "vercel-ui":
        assert frames[-1][1] == "[DONE]"
        said, told = loads(frames[-2][1]), loads(frames[-3][1])
        assert said.keys() == {"type", "errorText"}
        assert (told["type"], told["transient"]) == ("data-problem", True)
        return told["data"]["code"], said["errorText"]
    assert frames[-1][0] == "error"
    said = loads(frames[-1][1])
    return said["code"], said["message"]


@pytest.mark.parametrize("form", ["openai", "anthropic", "vercel-ui", "text", "events"])
@pytest.mark.parametrize(("error", "code", "words"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS])
@pytest.mark.parametrize("pieces", [[], ["Hello ", "pin 12"]], ids=["at once", "in mid-stream"])
def test_each_kind_of_error_is_told_from_the_others_and_says_nothing_else(
    form: Any, error: Exception, code: str, words: str, pieces: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A legal frame of the format; no exception's message and no held text in it, nor in the log; the source is closed once."""
    source = Source(pieces, error=error)
    sent = asyncio.run(called(sse_response(sf.Redact(r"pin \d{4}", to="#")(source), form)))
    raw = body_of(sent)
    got, message = told(form, frames_of(raw))
    assert got in (code, "") and words in message
    assert b"secret" not in raw and b"pin" not in raw and source.closings == 1
    assert "secret" not in caplog.text and "cut off" in caplog.text
    if pieces:
        assert b"Hello" in raw


def test_the_caller_says_what_the_client_is_told() -> None:
    """`on_error` is given the exception; words, a `Problem` or nothing come back, and if it fails, the usual words are said."""
    error = RuntimeError(SECRET)
    seen: list[Exception] = []

    def failing(_: Exception) -> str:
        raise ValueError(SECRET)

    cases: list[tuple[Any, tuple[str, str]]] = [
        (seen.append, ("failed", "The answer could not be completed.")),
        (lambda _: "Ouch", ("failed", "Ouch")),
        (lambda _: Problem("blocked", "No."), ("blocked", "No.")),
        (failing, ("failed", "The answer could not be completed.")),
    ]
    for on_error, want in cases:
        raw = body_of(asyncio.run(called(sse_response(Source(error=error), "events", on_error=on_error))))
        assert told("events", frames_of(raw)) == want
    assert seen == [error]


def test_a_half_frame_dies_with_its_source() -> None:
    """Bytes that break off within a frame: what is incomplete is not sent, and the error stands in a frame of its own."""
    whole = raw_of(chat(["Hi"]))[:-2]
    for size in range(1, 40):
        source = Source([raw_of(chat(["Hi"])), whole[:size]], error=OSError())
        frames = frames_of(body_of(asyncio.run(called(sse_response(source, "openai")))))
        assert told("openai", frames)[0] == "failed" and len(frames) == 4


@pytest.mark.parametrize(
    ("items", "form", "words"),
    [
        ([{"a": 1}], "openai", "cannot be sent as 'openai'"),
        ([1], "text", "no text"),
        (["a", {"a": 1}], "openai", "items are text and events"),
        ([{"a": 1}], "patches", "no operation"),
        ([chat(["a"])[0], "x"], "openai", "among chunks"),
    ],
)
def test_what_a_format_cannot_say_is_an_error_with_a_hint(items: list[Any], form: Any, words: str) -> None:
    """The client is told that it failed; the caller's `on_error` what was wrong, without what came."""
    errors: list[Exception] = []
    raw = body_of(asyncio.run(called(sse_response(Source(items), form, on_error=errors.append))))
    assert b"could not be completed" in raw and words in str(errors[0]) and isinstance(errors[0], TypeError)


# ---------------------------------------------------------------------- values


def test_partial_values_arrive_as_they_fill_in() -> None:
    """Each value of `ParseJSON` is an event; the last is what `json.loads` gives, and models are dumped, partial ones too."""
    from pydantic import BaseModel

    class Card(BaseModel):
        title: str
        bullets: list[str]

    text = '{"title": "Rivers", "bullets": ["long", "so"]}'
    for stage in (sf.ParseJSON(), sf.ParseJSON(Card)):
        for seed in range(4):
            frames = frames_of(body_of(asyncio.run(called(sse_response(stage(Source(cut(text, seed))), "events")))))
            values = [loads(data)["value"] for event, data in frames if event == "value"]
            assert values[-1] == json.loads(text) and frames[-1][0] == "done"
            for before, after in itertools.pairwise(values):
                assert (after.get("title") or "").startswith(before.get("title") or "")


def test_patches_rebuild_the_value() -> None:
    """Applied by another library of RFC 6902, the patches give the value; a value that looks like a patch stays a value."""
    jsonpatch = pytest.importorskip("jsonpatch")
    text = '{"op": "add", "path": "", "value": [1, {"a": "b\\n"}]}'
    for seed in range(4):
        frames = frames_of(
            body_of(asyncio.run(called(sse_response(sf.JSONEvents(patch=True)(Source(cut(text, seed))), "patches"))))
        )
        document: Any = None
        for event, data in frames[:-1]:
            assert event == "patch"
            document = jsonpatch.apply_patch(document, loads(data)["patch"])
        assert document == json.loads(text)
    values = frames_of(body_of(asyncio.run(called(sse_response(sf.ParseJSON()(Source([text])), "events")))))
    assert [event for event, _ in values] == ["value", "done"] and loads(values[0][1])["value"] == json.loads(text)


def test_items_and_steps_of_a_document_are_events_of_their_own() -> None:
    """Text by channel, tool calls, finish, usage, citations, JSON events; what is the provider's own, unfiltered, is left out."""
    from dataclasses import dataclass

    @dataclass
    class PageTurn(sf.Event):
        number: int = 0

    key = (0, 0, "content")
    items = [
        sf.TextDelta("Hi", sf.Channel("reasoning", key)),
        sf.ToolCall("t1", "get", sf.Channel("tool_arguments", (0, 0))),
        PageTurn(number=3),
        sf.Raw({"x": SECRET}),
        sf.Usage({"n": 1}),
        sf.Finish("stop"),
        *sf.JSONEvents().iter(["[1]"]),
    ]
    got = [loads(data) for _, data in frames_of(body_of(asyncio.run(called(sse_response(Source(items), "events")))))]
    assert got[:6] == [
        {"type": "text", "text": "Hi", "channel": "reasoning", "key": [0, 0, "content"]},
        {"type": "tool_call", "id": "t1", "name": "get", "key": [0, 0]},
        {"number": 3, "type": "page_turn"},
        {"type": "usage", "usage": {"n": 1}},
        {"type": "finish", "reason": "stop"},
        {"type": "json", "path": [], "kind": "array", "value": None},
    ]
    assert SECRET not in str(got)


# ---------------------------------------------------------------------- the response


def test_headers_forbid_caching_and_buffering_and_cannot_be_injected() -> None:
    """What nginx, caches and compression must not do is said; line ends and foreign content types are refused."""
    sent = asyncio.run(called(sse_response(Source(["a"]), "vercel-ui", headers={"X-Trace": "1"}, status=201)))
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 201
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-cache, no-transform"
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"x-trace"] == b"1" and headers[b"x-vercel-ai-ui-message-stream"] == b"v1"
    for bad in (
        {"a": "1\r\nx: 2"},
        {"a\n": "1"},
        {"a b": "1"},
        {"a": "\0"},
        {"a": "\u0100"},
        {"content-length": "3"},
        {"Content-Type": "text/html"},
    ):
        with pytest.raises(ValueError, match="headers"):
            sse_response(Source(), "text", headers=bad)


def test_text_cannot_leave_its_frame() -> None:
    """Line ends of every kind, fields in text and names of events from outside: the reader gets the text, and no event more."""
    hostile = ["a\n\ndata: x\n\nevent: error\n", "b\r", "\nc\r\rd", "\rid: 1\r\n", "\ud800 \u2028 \0"]
    frames = frames_of(body_of(asyncio.run(called(sse_response(Source(hostile), "text")))))
    want = re.sub("\r\n?", "\n", "".join(hostile)).replace("\ud800", "?")
    assert "".join(data for event, data in frames if not event) == want
    assert [event for event, _ in frames if event] == ["done"]
    chunk = {"type": "response.x\ndata: {}\n\nevent: done", "sequence_number": 1}
    raw = body_of(asyncio.run(called(sse_response(Source([chunk]), "openai"))))
    assert len(frames_of(raw)) == 1 and frames_of(raw)[0][0] == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"format": "xml"}, "'openai', 'anthropic'"),
        ({"format": "text", "keep_alive": 0}, "seconds above 0"),
        ({"format": "text", "unread_seconds": 0}, "unread_seconds=0: seconds above 0"),
        ({"format": "text", "keep_alive": float("inf")}, "seconds above 0"),
    ],
)
def test_bad_arguments_are_refused_when_the_response_is_made(options: dict[str, Any], error: str) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match=error):
        sse_response(Source(), **options)


@pytest.mark.parametrize("stream", ["text", ["a"], None, sf.Redact("a").iter(["a"])])
def test_what_is_no_stream_is_refused_when_the_response_is_made(stream: Any) -> None:
    """Plain iterables and texts are no streams, and said to be none while the view still runs."""
    with pytest.raises(TypeError, match="the stream is"):
        sse_response(stream)


def test_comments_keep_a_silent_connection_alive() -> None:
    """After each 15 seconds of silence, on a given clock; never in a frame, nor once the stream is over."""

    async def slow() -> Any:
        yield "a"
        await asyncio.sleep(40)
        yield "b"

    async def main() -> list[tuple[float, bytes]]:
        loop, came = asyncio.get_running_loop(), []

        async def send(message: dict[str, Any]) -> None:
            if message.get("body"):
                came.append((loop.time(), message["body"]))

        await sse_response(slow(), "text", clock=loop)({"type": "http"}, asyncio.Event().wait, send)
        return came

    end = b'event: done\ndata: {"type":"done"}\n\n'
    assert run_virtually(main()) == [
        (0, b"data: a\n\n"),
        (15, b": keep-alive\n\n"),
        (30, b": keep-alive\n\n"),
        (40, b"data: b\n\n"),
        (40, end),
    ]


def test_a_time_out_is_told_while_the_source_still_waits() -> None:
    """`Timeout` in the pipeline: the client is told so at that moment, and the source is closed."""
    source = Source(["a"], stalls=True)

    async def main() -> float:
        raw = body_of(await called(sse_response(sf.Timeout(between=5)(source), "events")))
        assert told("events", frames_of(raw))[0] == "timed_out"
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == 5 and source.closings == 1


def test_head_sends_headers_and_closes_the_stream() -> None:
    """Starlette routes HEAD to what is for GET: no tokens are bought for it."""
    source = Source(["a"])
    sent = asyncio.run(called(sse_response(source, "text"), {"method": "HEAD"}))
    assert body_of(sent) == b"" and source.given == 0 and source.closings == 1


def test_a_cancelled_response_closes_its_source_and_goes_on() -> None:
    """A server that shuts down cancels: the source is closed, and the cancel is not lost."""
    source = Source(["a"], stalls=True)

    async def main() -> None:
        task = asyncio.ensure_future(called(sse_response(source, "text")))
        await asyncio.to_thread(source.asked.wait, WAIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert source.closings == 1


def test_background_tasks_run_when_all_is_sent() -> None:
    """As for any response of Starlette."""
    from starlette.background import BackgroundTask

    ran: list[str] = []
    asyncio.run(called(sse_response(Source(["a"]), "text", background=BackgroundTask(ran.append, "ran"))))
    assert ran == ["ran"]


def test_without_starlette_the_error_names_the_extra() -> None:
    """And the middleware can be imported without it."""
    code = """
import sys
sys.modules["starlette"] = None
from streamfilter.web import StreamFilterMiddleware, websocket
try:
    from streamfilter.web import sse_response
except ModuleNotFoundError as error:
    print(error)
print("asyncio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == 'sse_response needs starlette: pip install "streamfilter[web]"'


def test_problems_are_values_that_say_what_is_wrong_with_them() -> None:
    """A status of HTTP stands behind each code; others are refused."""
    assert [problem_of(error).status for error in (sf.Blocked("r", 0), TimeoutError(), ValueError())] == [403, 504, 502]
    with pytest.raises(ValueError, match="'timed_out'"):
        Problem("other", "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a str is needed"):
        Problem("failed", 3)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- real servers and clients


def application(source: Any, form: Any = "openai") -> tuple[Any, threading.Event]:
    """A Starlette application whose one view sends a stream, and an event that is set when it has been served."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    served = threading.Event()

    async def view(_: Any) -> Any:
        stream = source.pop(0)() if isinstance(source, list) else source() if callable(source) else source
        return sse_response(stream, form)

    app = Starlette(routes=[Route("/{path:path}", view, methods=["GET", "POST"])])

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            served.set()

    return watched, served


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("items", [[], ["Hello"]], ids=["before the first token", "in mid-stream"])
def test_a_client_that_leaves_closes_the_provider(items: list[str]) -> None:
    """Over a real socket: the source waits for a token that never comes, the client leaves, the source is closed, once."""
    source = Source(items, stalls=True)
    app, served = application(SAFE(source), "text")
    with serving(app) as (host, port):
        connection, _ = exchange(host, port, GET, lambda raw: (b"Hello" if items else b"\r\n\r\n") in raw)
        assert source.asked.wait(WAIT) and not source.closed.is_set()
        connection.close()
        assert source.closed.wait(WAIT) and served.wait(WAIT)
    assert source.closings == 1


def test_starlette_alone_does_not_close_it() -> None:
    """Why this library does: the same with Starlette's own response serves on to its end and leaves the iterator open."""
    from starlette.responses import StreamingResponse

    source = Source(["Hello"], stalls=True)
    served = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await StreamingResponse(source)(scope, receive, send)
        finally:
            served.set()

    with serving(app) as (host, port):
        connection, _ = exchange(host, port, GET, lambda raw: b"Hello" in raw)
        connection.close()
        assert served.wait(WAIT)
        assert not source.closed.is_set()


def test_a_client_that_never_reads_stops_the_source() -> None:
    """The server's buffer fills, and then nothing more is read from the provider; when the client leaves, it is closed."""
    source = Endless(["x" * 10_000])
    app, served = application(source, "text")
    with serving(app) as (host, port):
        connection, _ = exchange(host, port, GET, lambda raw: b"xxx" in raw)
        seen = -1
        while source.given != seen:  # until a while has passed in which nothing was read
            seen = source.given
            served.wait(0.3)
        assert source.given < 5_000
        connection.close()
        assert source.closed.wait(WAIT) and served.wait(WAIT)


def test_a_client_that_never_reads_nor_leaves_is_given_up() -> None:
    """After the time that it has, the provider's stream is closed."""
    source = Endless(["x" * 10_000])
    served = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sse_response(source, "text", unread_seconds=0.3)(scope, receive, send)
        served.set()

    with serving(app) as address, socket.create_connection(address, WAIT) as connection:
        connection.sendall(GET)
        assert source.closed.wait(WAIT) and served.wait(WAIT)
        assert source.given < 5_000


@pytest.mark.parametrize("form", ["openai", "anthropic", "vercel-ui", "text", "events"])
def test_a_server_that_goes_down_leaves_a_legal_error(form: Any) -> None:
    """A real one, which cancels what does not end in its time: the client is told that it failed; nothing that is held leaves."""
    source = Source(["My pin is 1234-"], stalls=True)
    app, _ = application(SAFE(source), form)
    with serving(app, timeout_graceful_shutdown=1) as (host, port):
        connection, raw = exchange(host, port, GET, lambda raw: b"is " in raw)
    with connection:
        while piece := connection.recv(65536):
            raw += piece
    assert raw.endswith(b"0\r\n\r\n") and b"1234" not in raw
    told = b"".join(message.frame() for message in messages_of(Writing(form).name, FAILED))
    assert re.sub(rb"\r\n[0-9a-f]+\r\n", b"", raw).endswith(told + b"\r\n")
    assert source.closings == 1


def test_the_openai_client_reads_it() -> None:
    """Text, a legal end, and errors that it raises with our code."""
    openai = pytest.importorskip("openai")
    made: list[Any] = [
        lambda: stream_of("text", 3),
        lambda: openai_format.chat.wrap(SAFE)(Source(chat(["a ", "1234-5678"]), error=sf.Blocked("r", 0))),
    ]
    app, _ = application(made)
    with serving(app) as (host, port), openai.OpenAI(api_key="none", base_url=f"http://{host}:{port}/v1", max_retries=0) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SHOWN
        assert chunks[-1].choices[0].finish_reason == "stop"
        got = []
        with pytest.raises(openai.APIError) as raised:
            got += [chunk.choices[0].delta.content for chunk in client.chat.completions.create(model="m", messages=[], stream=True)]
        assert raised.value.code == "blocked" and raised.value.type == "content_filter"


def test_the_anthropic_client_reads_it() -> None:
    """Its helper accumulates a whole message; an error is raised as its own."""
    anthropic = pytest.importorskip("anthropic")
    made: list[Any] = [
        lambda: stream_of("text", 3),
        lambda: stream_of("chat bytes", 4),
        lambda: SAFE(Source(["a"], error=TimeoutError())),
    ]
    app, _ = application(made, "anthropic")
    with (
        serving(app) as (host, port),
        anthropic.Anthropic(api_key="none", base_url=f"http://{host}:{port}", max_retries=0) as client,
    ):
        for _ in range(2):
            with client.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
                message = stream.get_final_message()
            assert message.content[0].text == SHOWN and message.stop_reason == "end_turn"
        with pytest.raises(anthropic.APIError) as raised, client.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
            stream.until_done()
        assert raised.value.body["error"]["type"] == "timeout_error"


def test_the_helper_of_anthropics_sdk_is_sent_on_as_the_api_would() -> None:
    """Events that the SDK's helper makes of others are not sent, nor the whole message that it adds; the text is there once."""
    anthropic = pytest.importorskip("anthropic")
    raw = raw_of(messages(cut(SAID, 2)), named=True)
    upstream, _ = application(lambda: Source([raw]), "anthropic")
    with serving(upstream) as (host, port):

        async def main() -> bytes:
            client = anthropic.AsyncAnthropic(api_key="none", base_url=f"http://{host}:{port}")
            async with client, client.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
                return body_of(await called(sse_response(anthropic_format.messages.wrap(SAFE)(stream), "anthropic")))

        got = asyncio.run(main())
    assert read("anthropic", got) == SHOWN
    assert "snapshot" not in got.decode() and loads(frames_of(got)[-1][1]) == {"type": "message_stop"}


@pytest.mark.skipif(which("curl") is None, reason="curl is not there")
def test_curl_reads_it() -> None:
    """All of it, and is told by the chunked encoding that it is complete."""
    app, _ = application(lambda: stream_of("text", 3), "text")
    with serving(app) as (host, port):
        done = subprocess.run(["curl", "-sSNi", f"http://{host}:{port}/"], capture_output=True, check=True, timeout=WAIT)
    head, _, raw = done.stdout.partition(b"\r\n\r\n")
    assert b"x-accel-buffering: no" in head.lower() and read("text", raw) == SHOWN


# ---------------------------------------------------------------------- web sockets


def socket_app(views: list[Any]) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    async def view(ws: Any) -> None:
        await views.pop(0)(ws)

    return Starlette(routes=[WebSocketRoute("/", view)])


def test_a_stream_over_a_web_socket_and_another_on_the_same() -> None:
    """Messages as they leave, an end that is a message, errors as messages; then the socket serves the next answer."""
    client = pytest.importorskip("websockets.sync.client")
    results: list[bool] = []

    async def chatting(ws: Any) -> None:
        results.append(await websocket(ws, stream_of("text", 3), "events"))
        results.append(await websocket(ws, SAFE(Source(["a"], error=sf.Blocked("r", 0))), "events"))
        results.append(await websocket(ws, stream_of("chat dicts", 3), "openai"))
        await ws.close()

    with serving(socket_app([chatting])) as (host, port), client.connect(f"ws://{host}:{port}/") as ws:
        came = list(ws)
    events = [loads(message) for message in came]
    first = events[: events.index({"type": "done"})]
    assert "".join(event["text"] for event in first) == SHOWN
    rest = events[len(first) + 1 :]
    assert rest[:2] == [
        {"type": "text", "text": "a", "channel": "answer"},
        {"type": "error", "code": "blocked", "message": "The answer was stopped by a content rule."},
    ]
    assert came[-1] == "[DONE]" and "".join(event["choices"][0]["delta"].get("content", "") for event in rest[2:-1]) == SHOWN
    assert results == [True, False, True]


@pytest.mark.parametrize(("error", "code"), [(sf.Blocked("r", 0), 1008), (TimeoutError(), 1013), (ValueError(SECRET), 1011)])
def test_plain_text_over_a_web_socket_is_exact_and_an_error_closes_it(error: Exception, code: int) -> None:
    """The text as it is, carriage returns too; why it broke off is said by the code."""
    client = pytest.importorskip("websockets.sync.client")
    exceptions = pytest.importorskip("websockets.exceptions")

    async def chatting(ws: Any) -> None:
        await websocket(ws, Source(["a\r", "\nb\n"], error=error), "text")

    with serving(socket_app([chatting])) as (host, port), client.connect(f"ws://{host}:{port}/") as ws:
        assert ws.recv(WAIT) + ws.recv(WAIT) == "a\r\nb\n"
        with pytest.raises(exceptions.ConnectionClosed) as raised:
            ws.recv(WAIT)
        assert raised.value.rcvd.code == code and "secret" not in raised.value.rcvd.reason


@pytest.mark.parametrize("way", ["leaves", "says stop"])
def test_a_web_socket_client_that_leaves_or_says_stop_closes_the_source(way: str) -> None:
    """Before the first token too; the view is told that it was not sent to its end."""
    client = pytest.importorskip("websockets.sync.client")
    source = Source(stalls=True)
    results: list[bool] = []
    over = threading.Event()

    async def chatting(ws: Any) -> None:
        results.append(await websocket(ws, SAFE(source), "events", on_message=lambda said: said == "stop"))
        over.set()

    with serving(socket_app([chatting])) as (host, port), client.connect(f"ws://{host}:{port}/") as ws:
        assert source.asked.wait(WAIT)
        if way == "says stop":
            ws.send("go on")
            ws.send("stop")
        else:
            ws.close()
        assert source.closed.wait(WAIT) and over.wait(WAIT)
    assert results == [False] and source.closings == 1


def test_the_log_says_where_an_error_comes_from_and_nothing_of_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    """The line of the application's own, though the exception was raised below it; of none of its own, the last line there is."""

    async def source() -> AsyncIterator[str]:
        yield "a "
        json.loads("secret")

    async def read() -> None:
        async with sf.Redact("x")(source()) as stream:
            async for _ in stream:
                pass

    with pytest.raises(json.JSONDecodeError) as caught:
        asyncio.run(read())
    line = source.__code__.co_firstlineno + 2
    problem_of(caught.value)
    with pytest.raises(ValueError, match="max_hold") as below:
        sf.Redact("x", max_hold=0)
    problem_of(below.value.with_traceback(below.tb.tb_next))
    first, second = (record.getMessage() for record in caplog.records)
    assert first == f"a stream was cut off: failed (JSONDecodeError, {__name__}:{line})"
    assert re.fullmatch(r"a stream was cut off: failed \(ValueError, streamfilter\.[a-z.]+:\d+\)", second)


GOOD = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


@pytest.mark.parametrize(
    ("form", "body"),
    [
        *((form, GOOD + b'data: {"choices": [{"ind') for form in ("text", "events", "anthropic", "vercel-ui")),
        *((form, b'data: {"a": 1}\n\n' + GOOD[:-9]) for form in ("text", "events")),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_ended_with_an_error_is_not_said_to_be_done(form: Any, body: bytes, size: int) -> None:
    """A client that stops there would take half an answer for all of it."""
    writing = Writing(form)
    made: list[Any] = []
    for at in range(0, len(body), size):
        made += writing.feed(body[at : at + size])
    made += writing.finish()
    assert isinstance(made[-1].error, sf.MalformedInput)
    frames = b"".join(message.frame() for message in made[:-1])
    assert not any(word in frames for word in (b"done", b"[DONE]", b"message_stop"))


def test_the_log_says_what_is_wrong_with_the_use_of_a_response(caplog: pytest.LogCaptureFixture) -> None:
    """In our words, which quote nothing."""

    async def source() -> AsyncIterator[Any]:
        yield {"secret": "s3cret"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(sse_response(source(), "openai")({"type": "http"}, asyncio.Event().wait, send))
    assert "Unfit" in caplog.text and "send values with format='events'" in caplog.text and "s3cret" not in caplog.text
    caplog.clear()
    asyncio.run(sse_response(sf.Redact("a")(source()), "openai")({"type": "http"}, asyncio.Event().wait, send))
    assert "Redact was fed dict where text is expected: read a provider's stream" in caplog.text and "s3cret" not in caplog.text


def test_what_is_told_of_errors_is_a_function() -> None:
    """Anything else is refused when the response is made."""

    async def source() -> AsyncIterator[str]:
        yield "a"

    wrong: Any = "print"
    with pytest.raises(TypeError, match="on_error is str: a function is needed"):
        sse_response(source(), "text", on_error=wrong)
