"""The clients that people use, through a gateway: they change their base URL and nothing else."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from recordings import body as recorded_body
from recordings import index

import streamfilter as sf

pytest.importorskip("uvicorn")
pytest.importorskip("httpcore2")
pytest.importorskip("prometheus_client")

from gateway_serving import JSON, SSE, Stalling, Upstream, before, between, chat_chunk, chat_frames, completion
from web_serving import serving

from streamfilter.detectors import EMAIL

MAIL = "joe@example.com"
TOOL = {
    "type": "function",
    "function": {"name": "send", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}},
}
NEVER = {"main": sf.Redact("\x00never\x00")}


@contextmanager
def openai_at(url: str, **options: Any) -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key="sk-KEY", base_url=url + "/v1", max_retries=0, timeout=10, **options) as client:
        yield client


@contextmanager
def anthropic_at(url: str) -> Iterator[Any]:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(api_key="sk-KEY", base_url=url, max_retries=0, timeout=10) as client:
        yield client


def ask(client: Any, *, stream: bool = False, **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=stream, **options)


def cut(raw: bytes, seed: int) -> list[bytes]:
    """The bytes of a body in pieces of any size."""
    rng, pieces, at = random.Random(seed), [], 0
    while at < len(raw):
        size = rng.choice((1, 2, 7, 100, 1000, 5000))
        pieces.append(raw[at : at + size])
        at += size
    return pieces


# ---------------------------------------------------------------------- OpenAI


def test_openai_streams_through_the_gateway() -> None:
    """The text is redacted though it was cut within an address; the key arrives, and what the request says."""
    upstream = Upstream(chat_frames(["Write to jo", "e@exam", "ple.com", ", please"]))
    with between(upstream) as url, openai_at(url) as client:
        with ask(client, stream=True) as chunks:
            said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said == "Write to [email], please"
        assert upstream.headers[b"authorization"] == b"Bearer sk-KEY"
        assert upstream.headers[b"host"].startswith(b"127.0.0.1:")
        assert upstream.said()["messages"] == [{"role": "user", "content": "Hi"}]


def test_openai_without_a_stream() -> None:
    """Text and arguments of tools are filtered in a whole answer too."""
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"to": MAIL})}}
    with between(Upstream([completion({"content": f"To {MAIL}.", "tool_calls": [call]})], JSON)) as url, openai_at(url) as client:
        message = ask(client, tools=[TOOL]).choices[0].message
    assert message.content == "To [email]."
    assert json.loads(message.tool_calls[0].function.arguments) == {"to": "[email]"}


def test_openai_streams_calls_of_tools() -> None:
    """Arguments cut anywhere stay JSON."""
    arguments = json.dumps({"to": MAIL, "n": 1})
    head = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "send", "arguments": ""}}]}
    frames = [chat_chunk(head)]
    frames += [chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": char}}]}) for char in arguments]
    with (
        between(Upstream([*frames, chat_chunk({}, "tool_calls"), b"data: [DONE]\n\n"])) as url,
        openai_at(url) as client,
        client.chat.completions.stream(model="m", messages=[], tools=[TOOL]) as stream,
    ):
        message = stream.get_final_completion().choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments) == {"to": "[email]", "n": 1}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ],
)
def test_errors_of_the_upstream_arrive(status: int, kind: str) -> None:
    """With their status, headers and words; those are filtered too."""
    openai = pytest.importorskip("openai")
    said = json.dumps({"error": {"message": f"not you, {MAIL}", "type": "x", "code": "y"}}).encode()
    with (
        between(Upstream([said], JSON, status, [(b"retry-after", b"7"), (b"x-request-id", b"r1")])) as url,
        openai_at(url) as client,
        pytest.raises(getattr(openai, kind)) as caught,
    ):
        ask(client, stream=True)
    assert caught.value.status_code == status
    assert caught.value.body["message"] == "not you, [email]"
    assert (caught.value.response.headers["retry-after"], caught.value.request_id) == ("7", "r1")


def test_a_page_in_place_of_an_error_keeps_its_status() -> None:
    """What a balancer says in HTML is not sent on where a model answers."""
    openai = pytest.importorskip("openai")
    with (
        between(Upstream([f"<h1>{MAIL}</h1>".encode()], (b"content-type", b"text/html"), 503, [(b"retry-after", b"9")])) as url,
        openai_at(url) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        ask(client)
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "9"
    assert MAIL not in str(caught.value)


def test_an_answer_that_is_blocked_is_an_error_of_the_sdk() -> None:
    """In mid-stream, and before anything has left."""
    openai = pytest.importorskip("openai")
    block = {"main": sf.Block(sf.Terms(["swordfish"]))}
    with between(Upstream(chat_frames(["It is ", "sword", "fish"])), block) as url, openai_at(url) as client:
        came = ""
        with pytest.raises(openai.APIError) as caught:
            for chunk in ask(client, stream=True):
                came += chunk.choices[0].delta.content or ""
        assert came == "It is "
        assert caught.value.code == "blocked"
    with (
        between(Upstream([completion({"content": "swordfish"})], JSON), block) as url,
        openai_at(url) as client,
        pytest.raises(openai.PermissionDeniedError) as denied,
    ):
        ask(client)
    assert denied.value.code == "blocked"
    assert "swordfish" not in str(denied.value)


def test_requests_are_filtered_and_what_was_hidden_is_put_back() -> None:
    """The model sees a placeholder; the answer, which quotes it in pieces, has the address again. Each exchange has its own vault."""
    pipelines = {"main": sf.Restore(), "ask": sf.Redact(EMAIL, to=sf.Placeholder())}

    class Echo(Upstream):
        async def answer(self, send: Any) -> None:
            text = self.said()["messages"][0]["content"]
            self.pieces = chat_frames([*text])
            await super().answer(send)

    upstream = Echo()
    with between(upstream, pipelines, request="ask") as url, openai_at(url) as client:
        for address in (MAIL, "ann@example.org"):
            asked: Any = [{"role": "user", "content": f"mail {address} now"}]
            chunks = client.chat.completions.create(model="m", messages=asked, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == f"mail {address} now"
            assert address.encode() not in upstream.bodies[-1]


def test_the_first_token_arrives_while_the_upstream_is_silent() -> None:
    """What cannot become a match leaves at once; what may is all that waits."""
    upstream = Stalling(chat_frames(["Hello", " jo"], done=False)[:-1])
    with between(upstream) as url, openai_at(url) as client, ask(client, stream=True) as chunks:
        came = ""
        for chunk in chunks:
            came += chunk.choices[0].delta.content or ""
            if came == "Hello ":
                upstream.let_go.set()
    assert came == "Hello jo"


# ---------------------------------------------------------------------- Anthropic


def anthropic_frames(pieces: list[str], arguments: str = "") -> list[bytes]:
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    usage = {"input_tokens": 1, "output_tokens": 1}
    tool = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        *(
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": char}}
            for char in arguments
        ),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def test_anthropic_streams_text_and_tools() -> None:
    """Its own helper puts the message together: text and arguments are filtered, and the arguments are JSON."""
    upstream = Upstream(anthropic_frames([*f"To {MAIL}."], json.dumps({"to": MAIL})))
    with (
        between(upstream) as url,
        anthropic_at(url) as client,
        client.messages.stream(model="c", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]) as stream,
    ):
        message = stream.get_final_message()
    assert message.content[0].text == "To [email]."
    assert message.content[1].input == {"to": "[email]"}
    assert any(b"sk-KEY" in value for value in upstream.headers.values())


def test_anthropic_without_a_stream_and_its_errors() -> None:
    """A whole message is filtered; what the gateway refuses is in Anthropic's words."""
    anthropic = pytest.importorskip("anthropic")
    block = {"type": "text", "text": f"To {MAIL}."}
    said: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [block],
        "stop_reason": "end_turn",
    }
    said |= {"stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    asked: dict[str, Any] = {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with between(Upstream([json.dumps(said).encode()], JSON)) as url, anthropic_at(url) as client:
        assert client.messages.create(**asked).content[0].text == "To [email]."
    with before("http://127.0.0.1:1") as url, anthropic_at(url) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**asked)
    assert caught.value.status_code == 502
    assert caught.value.body["error"]["type"] == "api_error"
    with (
        between(Upstream(), limits={"body_bytes": 10}) as url,
        anthropic_at(url) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        client.messages.create(**asked)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (413, "request_too_large")


# ---------------------------------------------------------------------- Gemini


def test_gemini_streams_and_answers_whole() -> None:
    """Google's client, by its `base_url`."""
    genai = pytest.importorskip("google.genai")

    def answer(text: str) -> dict[str, Any]:
        return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}], "modelVersion": "g"}

    frames = [f"data: {json.dumps(answer(piece))}\r\n\r\n".encode() for piece in ("To jo", "e@exa", "mple.com", " now")]
    for upstream in (Upstream(frames), Upstream([json.dumps(answer(f"To {MAIL} now")).encode()], JSON)):
        with between(upstream) as url, genai.Client(api_key="KEY", http_options={"base_url": url, "timeout": 10_000}) as client:
            if upstream.pieces is frames:
                chunks = client.models.generate_content_stream(model="g", contents="Hi")
                said = "".join(chunk.text or "" for chunk in chunks)
            else:
                said = client.models.generate_content(model="g", contents="Hi").text
        assert said == "To [email] now"
        assert upstream.headers[b"x-goog-api-key"] == b"KEY"


# ---------------------------------------------------------------------- recordings


def recordings(api: str) -> list[Any]:
    chosen = [
        entry for entry in index() if entry["api"] == api and entry["file"].endswith(".sse") and "error" not in entry["features"]
    ]
    return [pytest.param(entry, id=entry["file"]) for entry in chosen[:6]] or [
        pytest.param(None, marks=pytest.mark.skip("no recordings here"))
    ]


@pytest.fixture(scope="module")
def replayed() -> Iterator[tuple[Upstream, str, str]]:
    """An upstream whose pieces can be changed, its URL, and that of a gateway before it whose pipeline finds nothing."""
    upstream = Upstream()
    with serving(upstream) as (host, port), before(f"http://{host}:{port}", NEVER) as url:
        yield upstream, f"http://{host}:{port}", url


def openai_said(client: Any) -> tuple[str, str, str]:
    """Text, arguments, and what is neither, as the SDK reads them."""
    text, arguments, other = "", "", []
    for chunk in ask(client, stream=True):
        for choice in chunk.choices or []:
            if choice.delta is None:
                continue
            if isinstance(choice.delta.content, list):  # parts, which Mistral has
                other.append(choice.delta.content)
            else:
                text += choice.delta.content or ""
            arguments += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or [] if call.function)
    return text, arguments, all_texts(other)


def all_texts(value: Any) -> str:
    """Every `text` of plain data, in order."""
    if isinstance(value, dict):
        return "".join(each if name == "text" and isinstance(each, str) else all_texts(each) for name, each in value.items())
    return "".join(map(all_texts, value)) if isinstance(value, list) else ""


@pytest.mark.parametrize("entry", recordings("openai.chat"))
def test_recordings_of_chats_say_through_the_gateway_what_they_say_without(entry: Any, replayed: Any) -> None:
    """Read by OpenAI's SDK, with bytes cut anywhere; a pipeline that finds nothing changes nothing."""
    upstream, direct_url, url = replayed
    upstream.pieces = cut(recorded_body(entry), 7)
    with openai_at(direct_url) as direct, openai_at(url) as client:
        assert openai_said(client) == openai_said(direct)


@pytest.mark.parametrize("entry", recordings("anthropic.messages"))
def test_recordings_of_messages_say_what_they_say_without(entry: Any, replayed: Any) -> None:
    """Read by Anthropic's SDK, event by event."""

    def said(client: Any) -> list[tuple[str, Any]]:
        events = client.messages.create(model="c", max_tokens=9, messages=[{"role": "user", "content": "Hi"}], stream=True)
        return joined([(event.type, event.model_dump(exclude_unset=True, warnings=False)) for event in events])

    upstream, direct_url, url = replayed
    upstream.pieces = cut(recorded_body(entry), 7)
    with anthropic_at(direct_url) as direct, anthropic_at(url) as client:
        assert said(client) == said(direct)


def joined(events: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Events with the text of deltas that follow each other in one; those without text are left out."""
    made: list[tuple[str, Any]] = []
    for kind, event in events:
        delta = event.get("delta") or {}
        field = next((name for name in ("text", "thinking", "partial_json") if name in delta), None)
        if kind != "content_block_delta" or field is None:
            made.append((kind, event))
        elif made and made[-1][0] == f"{kind} {field} {event['index']}":
            made[-1] = (made[-1][0], made[-1][1] + delta[field])
        elif delta[field]:
            made.append((f"{kind} {field} {event['index']}", delta[field]))
    return made


# ---------------------------------------------------------------------- curl


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_streams_through_the_gateway() -> None:
    """With a chunked request, compression asked for, and a header in the answer."""
    upstream = Upstream(chat_frames([*f"To {MAIL}."]), headers=[(b"x-request-id", b"r1")])
    with between(upstream) as url:
        asked = json.dumps({"stream": True, "messages": []}).encode()
        head = ["-H", "content-type: application/json", "-H", "transfer-encoding: chunked", "--compressed"]
        ran = subprocess.run(
            ["curl", "-sSi", "-N", *head, "--data-binary", "@-", f"{url}/v1/chat/completions"],
            input=asked,
            capture_output=True,
            timeout=20,
            check=True,
        )
    head_, _, frames = ran.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
    assert b"HTTP/1.1 200" in head_
    assert b"x-request-id: r1" in head_
    chunks = [json.loads(line[6:]) for line in frames.decode().split("\n") if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "To [email]."
    assert upstream.bodies == [asked]
    assert upstream.headers[b"accept-encoding"] == b"identity"
    assert SSE[1] in head_
