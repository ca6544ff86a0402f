"""Guarded clients: the real SDKs over a real server, and nothing slips past."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any, assert_type, cast

import anthropic
import httpx
import httpx2
import openai
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.lib.vertex import AnthropicVertex
from google import genai
from guard_server import WAIT, Reply, Request, Server, running, streamed, whole
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from recordings import body, shared

import streamfilter as sf

COMMON = sf.Redact(r"\b(?:the|a|is|and|to|of|in)\b", to="█")
MAIL = sf.Rule("email", r"[\w.]+@[\w.]+\.com")
PRIVATE = sf.Redact(MAIL, to=sf.Placeholder())
PIN = sf.Redact(r"\d{4}", to="####")
SECRET = "joe@secret.com"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def plain(kind: Any, server: Server, **options: Any) -> Any:
    """A client of an SDK, at the server."""
    if kind is genai.Client:
        return genai.Client(api_key="none", http_options=genai.types.HttpOptions(base_url=server.url, **options))
    path = "" if kind in (Anthropic, AsyncAnthropic) else "/v1"
    return kind(api_key="none", base_url=server.url + path, **{"max_retries": 0, **options})


def quick(kind: Any, server: Server) -> Any:
    """The same over an HTTP client that is made faster."""
    if kind is genai.Client:
        return plain(kind, server, httpx_client=httpx2.Client(verify=False), httpx_async_client=httpx2.AsyncClient(verify=False))
    http = httpx2.AsyncClient if kind in (AsyncOpenAI, AsyncAnthropic) else httpx2.Client
    return plain(kind, server, http_client=http(verify=False))


# ---------------------------------------------------------------------- what each SDK reads

Texts = dict[Any, str]


def add(texts: Texts, key: Any, text: str | None) -> None:
    if text:
        texts[key] = texts.get(key, "") + text


def of_chat(event: Any, texts: Texts) -> None:
    for choice in event.choices or ():
        add(texts, choice.index, choice.delta.content if isinstance(choice.delta.content, str) else None)


def of_completion(event: Any, texts: Texts) -> None:
    for choice in event.choices or ():
        add(texts, choice.index, choice.text)


def of_response(event: Any, texts: Texts) -> None:
    if event.type == "response.output_text.delta":
        add(texts, (event.output_index, event.content_index), event.delta)


def of_message(event: Any, texts: Texts) -> None:
    if event.type == "content_block_delta" and event.delta.type == "text_delta":
        add(texts, event.index, event.delta.text)


def of_gemini(event: Any, texts: Texts) -> None:
    candidates: list[Any] = event.candidates or []
    for number, candidate in enumerate(candidates):
        parts: list[Any] = (candidate.content and candidate.content.parts) or []
        for part in parts:
            add(texts, (number, bool(part.thought)), part.text)


MESSAGES: Any = [{"role": "user", "content": "Hi"}]


def chat(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, stream=True)


def completion(client: Any) -> Any:
    return client.completions.create(model="m", prompt="Hi", stream=True)


def response(client: Any) -> Any:
    return client.responses.create(model="m", input="Hi", stream=True)


def message(client: Any) -> Any:
    return client.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True)


def gemini(client: Any) -> Any:
    return client.models.generate_content_stream(model="m", contents="Hi")


APIS: dict[str, tuple[Any, Any, Callable[[Any], Any], Callable[[Any, Texts], None]]] = {
    "openai.chat": (OpenAI, AsyncOpenAI, chat, of_chat),
    "openai.completions": (OpenAI, AsyncOpenAI, completion, of_completion),
    "openai.responses": (OpenAI, AsyncOpenAI, response, of_response),
    "anthropic.messages": (Anthropic, AsyncAnthropic, message, of_message),
    "gemini.generateContent": (genai.Client, genai.Client, gemini, of_gemini),
}


def read(client: Any, call: Callable[[Any], Any], collect: Callable[[Any, Texts], None]) -> tuple[Texts, str]:
    """What a plain client reads, and the kind of error it ends with."""
    texts: Texts = {}
    try:
        for event in call(client):
            collect(event, texts)
    except Exception as error:
        return texts, type(error).__name__
    return texts, ""


def aread(client: Any, call: Callable[[Any], Any], collect: Callable[[Any, Texts], None]) -> tuple[Texts, str]:
    """The same of an async client."""

    async def run() -> tuple[Texts, str]:
        texts: Texts = {}
        try:
            async for event in await call(client.aio if isinstance(client, genai.Client) else client):
                collect(event, texts)
        except Exception as error:
            return texts, type(error).__name__
        return texts, ""

    return asyncio.run(run())


def is_there(api: str) -> bool:
    from streamfilter.providers.guarding_endpoints import endpoint_of

    return api != "openai.completions" or endpoint_of("POST", "/v1/completions") is not None


RECORDED = [(api, entry) for api in APIS for entry in shared(api) if is_there(api) and str(entry["file"]).endswith(".sse")]


@pytest.mark.parametrize(("api", "entry"), RECORDED, ids=[str(entry["file"]) for _, entry in RECORDED])
def test_every_recording_reads_as_its_filtered_text(server: Server, api: str, entry: dict[str, Any]) -> None:
    """Each text that the SDK reads is what the batch operation makes of the text it reads unguarded; plain and async, also zipped."""
    kind, akind, call, collect = APIS[api]
    server.replies(streamed(body(entry), 1, most=1000))
    texts, failure = read(quick(kind, server), call, collect)
    if failure == "JSONDecodeError":
        failure = "MalformedInput"
    want = {key: COMMON.apply(text) for key, text in texts.items()}
    assert read(sf.guard(quick(kind, server), response=COMMON), call, collect) == (want, failure)
    server.replies(streamed(body(entry), 2, most=1000, is_zipped=True))
    assert aread(sf.guard(quick(akind, server), response=COMMON), call, collect) == (want, failure)


# ---------------------------------------------------------------------- whole answers

ANSWER = "Write to <EMAIL_1>, pin 1234."
SHOWN = f"Write to {SECRET}, pin ####."


def chat_of(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def response_of(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    fields = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "completed"}
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [item], **fields}


def message_of(text: str) -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    fields = {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        **fields,
    }


def gemini_of(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}


ASK = f"I am {SECRET}."
ASKED: Any = [{"role": "user", "content": ASK}]
Whole = tuple[Any, Any, Callable[[str], dict[str, Any]], Callable[[Any], Any], Callable[[Any], str]]
WHOLE: dict[str, Whole] = {
    "chat": (
        OpenAI,
        AsyncOpenAI,
        chat_of,
        lambda client: client.chat.completions.create(model="m", messages=ASKED),
        lambda made: made.choices[0].message.content,
    ),
    "responses": (
        OpenAI,
        AsyncOpenAI,
        response_of,
        lambda client: client.responses.create(model="m", input=ASK),
        lambda made: made.output_text,
    ),
    "stored response": (
        OpenAI,
        AsyncOpenAI,
        lambda text: response_of(text.replace("<EMAIL_1>", SECRET)),
        lambda client: client.responses.retrieve("resp_1"),
        lambda made: made.output_text,
    ),
    "messages": (
        Anthropic,
        AsyncAnthropic,
        message_of,
        lambda client: client.messages.create(model="m", max_tokens=9, messages=ASKED),
        lambda made: made.content[0].text,
    ),
    "beta messages": (
        Anthropic,
        AsyncAnthropic,
        message_of,
        lambda client: client.beta.messages.create(model="m", max_tokens=9, messages=ASKED),
        lambda made: made.content[0].text,
    ),
    "raw chat": (
        OpenAI,
        AsyncOpenAI,
        chat_of,
        lambda client: client.chat.completions.with_raw_response.create(model="m", messages=ASKED),
        lambda made: json.loads(made.text)["choices"][0]["message"]["content"],
    ),
    "copied client": (
        Anthropic,
        AsyncAnthropic,
        message_of,
        lambda client: client.with_options(timeout=9).copy(max_retries=1).messages.create(model="m", max_tokens=9, messages=ASKED),
        lambda made: made.content[0].text,
    ),
    "post": (
        OpenAI,
        AsyncOpenAI,
        chat_of,
        lambda client: client.post("/chat/completions", body={"model": "m", "messages": ASKED}, cast_to=object),
        lambda made: made["choices"][0]["message"]["content"],
    ),
    "gemini": (
        genai.Client,
        genai.Client,
        gemini_of,
        lambda client: client.models.generate_content(model="m", contents=ASK),
        lambda made: made.text,
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers_are_filtered_and_restored_from_the_vault_of_the_call(server: Server, name: str) -> None:
    """What was redacted in the request is restored in its answer, by every way of asking; what is sent has none of it."""
    kind, akind, made_of, call, text = WHOLE[name]
    pipelines: Any = {"request": PRIVATE, "response": sf.Restore() | PIN}
    for is_zipped in (False, True):
        server.replies(whole(made_of(ANSWER), is_zipped=is_zipped))
        assert text(call(sf.guard(plain(kind, server), **pipelines))) == SHOWN

        async def ask() -> Any:
            client = sf.guard(plain(akind, server), **pipelines)
            return await call(client.aio if isinstance(client, genai.Client) else client)

        assert text(asyncio.run(ask())) == SHOWN
        assert all(SECRET.encode() not in request.body for request in server.requests)
        assert all(b"<EMAIL_1>" in request.body for request in server.requests if request.body)


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI, Anthropic, AsyncAnthropic, genai.Client])
def test_a_guarded_client_is_of_the_class_that_it_was(server: Server, kind: Any) -> None:
    """Type and settings are kept, in copies too; the client itself is not changed."""
    client = plain(kind, server)
    guarded = sf.guard(client, response=PIN)
    assert isinstance(guarded, kind)
    if kind is not genai.Client:
        assert type(guarded) is kind is type(guarded.with_options(timeout=3))
        assert (guarded.base_url, guarded.max_retries, guarded.timeout) == (client.base_url, client.max_retries, client.timeout)
        assert guarded.with_options(max_retries=7).max_retries == 7


def test_to_type_checkers_it_is_the_client_that_it_was(server: Server) -> None:
    """Streams, results and all."""
    client = OpenAI(api_key="none", base_url=server.url + "/v1")
    assert_type(sf.guard(client, response=PIN), OpenAI)
    assert_type(sf.guard(AsyncAnthropic(api_key="none"), request=PRIVATE, response=PIN | sf.Restore()), AsyncAnthropic)
    assert_type(sf.guard(genai.Client(api_key="none"), response=PIN, context=sf.Context), genai.Client)


def test_the_client_that_was_given_may_be_dropped_and_stays_as_it_was(server: Server) -> None:
    """Neither closes the other's connections when it is collected, and only the guarded one filters."""
    server.replies(whole(chat_of("pin 1234")))
    for kind, index in ((OpenAI, "chat"), (genai.Client, "gemini")):
        _, _, made_of, call, text = WHOLE[index]
        server.replies(whole(made_of("pin 1234")))
        guarded = sf.guard(plain(kind, server), response=PIN)
        gc.collect()
        assert text(call(guarded)) == "pin ####"
        given = plain(kind, server)
        del guarded
        sf.guard(given, response=PIN)
        gc.collect()
        assert text(call(given)) == "pin 1234"


def test_to_close_a_guarded_client_closes_the_one_that_was_given(server: Server) -> None:
    """They have the same connections."""
    client = plain(OpenAI, server)
    with sf.guard(client, response=PIN):
        pass
    assert client.is_closed()


# ---------------------------------------------------------------------- helpers and structured output


class Card(BaseModel):
    mail: str
    pin: str


CARD = '{"mail": "<EMAIL_1>", "pin": "1\\u003234"}'


def chat_events(*texts: str, reason: str = "stop") -> bytes:
    """A stream of chat completion chunks."""
    deltas: list[dict[str, Any]] = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts]
    choices = [*deltas, {"index": 0, "delta": {}, "finish_reason": reason}]
    base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return (
        b"".join(b"data: " + json.dumps({**base, "choices": [each]}).encode() + b"\n\n" for each in choices) + b"data: [DONE]\n\n"
    )


def message_events(*texts: str) -> bytes:
    """A stream of events of the Messages API."""
    start = {**message_of(""), "content": [], "stop_reason": None}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def test_parsed_output_is_made_of_filtered_text(server: Server) -> None:
    """`parse` gives the model of what the pipeline made of the JSON, whose escapes hide nothing from a stage for JSON."""
    server.replies(whole(chat_of(CARD)))
    safe = sf.FilterJSON(sf.Restore() | PIN)
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=safe)
    parsed = client.chat.completions.parse(model="m", messages=ASKED, response_format=Card).choices[0].message.parsed
    assert parsed == Card(mail=SECRET, pin="####")
    server.replies(whole(response_of(CARD)))
    assert client.responses.parse(model="m", input=ASK, text_format=Card).output_parsed == parsed
    server.replies(whole(message_of(CARD)))
    other = sf.guard(plain(Anthropic, server), request=PRIVATE, response=safe)
    assert other.messages.parse(model="m", max_tokens=9, messages=ASKED, output_format=Card).parsed_output == parsed


def test_the_helpers_accumulate_filtered_text(server: Server) -> None:
    """`chat.completions.stream` and `messages.stream`: their events, snapshots and final objects are of filtered text."""
    pipelines: Any = {"request": PRIVATE, "response": sf.Restore() | PIN}

    async def of_openai() -> tuple[str, list[str], str]:
        client = sf.guard(plain(AsyncOpenAI, server), **pipelines)
        async with client.chat.completions.stream(model="m", messages=ASKED) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_completion()
        deltas = [event.delta for event in events if event.type == "content.delta"]
        return (
            "".join(deltas),
            [event.content for event in events if event.type == "content.done"],
            final.choices[0].message.content,
        )

    server.replies(streamed(chat_events("Write to <EM", "AIL_1>, p", "in 12", "34."), 3))
    assert asyncio.run(of_openai()) == (SHOWN, [SHOWN], SHOWN)

    server.replies(streamed(message_events("Write to <EM", "AIL_1>, p", "in 12", "34."), 3))
    with sf.guard(plain(Anthropic, server), **pipelines).messages.stream(model="m", max_tokens=9, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == SHOWN
        assert stream.get_final_text() == SHOWN

    async def of_anthropic() -> str:
        client = sf.guard(plain(AsyncAnthropic, server), **pipelines)
        async with client.beta.messages.stream(model="m", max_tokens=9, messages=ASKED) as stream:
            return str(await stream.get_final_text())

    assert asyncio.run(of_anthropic()) == SHOWN


def test_the_helper_of_the_responses_api_accumulates_filtered_text(server: Server) -> None:
    """`responses.stream`: the final response is of filtered text."""
    entries = [entry for entry in shared("openai.responses") if entry["text_chars"] > 200]
    if not entries:
        pytest.skip("the shared recordings are not beside this checkout")
    server.replies(streamed(body(entries[0]), 5))
    with plain(OpenAI, server).responses.stream(model="m", input="Hi") as stream:
        want = COMMON.apply(stream.get_final_response().output_text)
    with sf.guard(plain(OpenAI, server), response=COMMON).responses.stream(model="m", input="Hi") as stream:
        assert stream.get_final_response().output_text == want
    assert "█" in want


def test_structured_output_that_streams_is_parsed_of_filtered_text(server: Server) -> None:
    """Snapshots and final objects of `chat.completions.stream(response_format=...)`; the arguments of tools in a stream."""
    pieces = [CARD[at : at + 5] for at in range(0, len(CARD), 5)]
    pipelines: Any = {"request": PRIVATE, "response": sf.FilterJSON(sf.Restore() | PIN)}
    server.replies(streamed(chat_events(*pieces), 3))
    with sf.guard(plain(OpenAI, server), **pipelines).chat.completions.stream(
        model="m", messages=ASKED, response_format=Card
    ) as stream:
        seen = [repr(event) for event in stream]
        assert stream.get_final_completion().choices[0].message.parsed == Card(mail=SECRET, pin="####")
    assert not any("1234" in each or "EMAIL_1" in each for each in seen)
    server.replies(streamed(message_events(*pieces), 3))
    with sf.guard(plain(Anthropic, server), **pipelines).messages.stream(
        model="m", max_tokens=9, messages=ASKED, output_format=Card
    ) as events:
        assert events.get_final_message().parsed_output == Card(mail=SECRET, pin="####")

    async def run() -> Any:
        server.replies(streamed(chat_events(*pieces), 3))
        client = sf.guard(plain(AsyncOpenAI, server), **pipelines)
        async with client.beta.chat.completions.stream(model="m", messages=ASKED, response_format=Card) as stream:
            return (await stream.get_final_completion()).choices[0].message.parsed

    if hasattr(OpenAI(api_key="none").beta, "chat"):
        assert asyncio.run(run()) == Card(mail=SECRET, pin="####")


def test_arguments_of_tool_calls_are_filtered_as_json(server: Server) -> None:
    """What is restored in arguments stays JSON, streaming and not."""
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "send", "arguments": '{"to": "<EMAIL_1>", "pin": "12\\u00334"}'},
    }
    said = chat_of("")
    said["choices"][0]["message"]["tool_calls"] = [call]
    server.replies(whole(said))
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=sf.Restore() | PIN)
    made: Any = client.chat.completions.create(model="m", messages=ASKED).choices[0].message.tool_calls
    assert json.loads(made[0].function.arguments) == {"to": SECRET, "pin": "####"}


# ---------------------------------------------------------------------- leaving

FIRST: dict[str, tuple[Any, Any, Callable[[Any], Any], bytes]] = {
    "chat": (OpenAI, AsyncOpenAI, chat, chat_events("Hello").partition(b"\n\n")[0] + b"\n\n"),
    "messages": (Anthropic, AsyncAnthropic, message, message_events("Hello").partition(b"event: content_block_stop")[0]),
    "gemini": (genai.Client, genai.Client, gemini, b"data: " + json.dumps(gemini_of("Hello")).encode() + b"\n\n"),
}


@pytest.mark.filterwarnings("ignore:the stream of Wrap .* was dropped:ResourceWarning")  # by genai, which closes nothing by itself
@pytest.mark.parametrize("name", FIRST)
def test_who_leaves_early_closes_the_connection_of_the_provider(server: Server, name: str) -> None:
    """After the first chunk, the server learns that nobody reads any more, though it has said no more than that."""
    kind, akind, call, first = FIRST[name]
    server.replies(Reply([first], is_held=True))
    client = sf.guard(plain(kind, server), response=PIN)
    stream = call(client)
    next(iter(stream))
    assert not server.left.is_set()
    stream.close()
    assert server.left.wait(WAIT)

    async def leave() -> bool:
        client = sf.guard(plain(akind, server), response=PIN)
        stream = await call(client.aio if isinstance(client, genai.Client) else client)
        async for _ in stream:
            break
        assert not server.left.is_set()
        await (stream.aclose() if isinstance(client, genai.Client) else stream.close())
        del stream
        for _ in range(9 if isinstance(client, genai.Client) else 0):  # whose streams are not closed before they are collected
            gc.collect()
            await asyncio.sleep(0.01)
        return await asyncio.to_thread(server.left.wait, WAIT)

    server.replies(Reply([first], is_held=True))
    assert asyncio.run(leave())


def test_who_leaves_before_the_first_token_closes_the_connection_too(server: Server) -> None:
    """Closed, or cancelled while it waits."""
    server.replies(Reply([], is_held=True))
    chat(sf.guard(plain(OpenAI, server), response=PIN)).close()
    assert server.left.wait(WAIT)

    async def leave(*, cancels: bool) -> bool:
        stream = await chat(sf.guard(plain(AsyncOpenAI, server), response=PIN))
        if cancels:
            reading = asyncio.ensure_future(anext(aiter(stream)))
            for _ in range(10):
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        await stream.close()
        return await asyncio.to_thread(server.left.wait, WAIT)

    for cancels in (False, True):
        server.replies(Reply([], is_held=True))
        assert asyncio.run(leave(cancels=cancels))


def test_a_stage_that_ends_the_stream_closes_the_connection(server: Server) -> None:
    """The caller sees a legal ending, the server a closed connection, though it has not said all."""
    events = chat_events("Hi END and much more").partition(b"\n\n")[0] + b"\n\n"
    server.replies(Reply([events], is_held=True))
    texts: Texts = {}
    reasons = []
    for chunk in chat(sf.guard(plain(OpenAI, server), response=sf.StopAt("END"))):
        of_chat(chunk, texts)
        reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert (texts, reasons) == ({0: "Hi "}, ["stop"])
    assert server.left.wait(WAIT)


# ---------------------------------------------------------------------- errors

BLOCK = sf.Block(r"\d{4}")


@pytest.mark.parametrize("name", WHOLE)
def test_errors_of_stages_reach_the_caller_as_they_are_and_are_not_tried_again(server: Server, name: str) -> None:
    """`Blocked` is no failure of the connection to an SDK: of a response it is raised after one attempt, of a request after none."""
    kind, akind, made_of, call, _ = WHOLE[name]

    def ask(client: Any) -> None:
        call(client.with_options(max_retries=3) if kind is not genai.Client else client)

    async def aask(client: Any) -> None:
        await call(client.aio if kind is genai.Client else client.with_options(max_retries=3))

    for sent, pipelines in ((1, {"response": BLOCK}), (0, {"request": sf.Block("secret")})):
        if sent or name != "stored response":
            server.replies(whole(made_of("pin 1234")))
            with pytest.raises(sf.Blocked):
                ask(sf.guard(plain(kind, server), **cast("Any", pipelines)))
            assert len(server.requests) == sent
            with pytest.raises(sf.Blocked):
                asyncio.run(aask(sf.guard(plain(akind, server), **cast("Any", pipelines))))
            assert len(server.requests) == 2 * sent


@pytest.mark.parametrize("name", FIRST)
def test_errors_of_stages_in_a_stream_reach_the_caller_as_they_are(server: Server, name: str) -> None:
    """All before the match has left, and the connection is closed."""
    kind, akind, call, first = FIRST[name]
    collect = {"chat": of_chat, "messages": of_message, "gemini": of_gemini}[name]
    raw = first.replace(b"Hello", b"Pin 1234")
    server.replies(Reply([raw], is_held=True))
    texts, failure = read(sf.guard(plain(kind, server), response=BLOCK), call, collect)
    assert (list(texts.values()), failure) == (["Pin "], "Blocked")
    assert server.left.wait(WAIT)
    server.replies(Reply([raw], is_held=True))
    assert aread(sf.guard(plain(akind, server), response=BLOCK), call, collect) == (texts, "Blocked")
    assert server.left.wait(WAIT)


def test_errors_of_providers_pass_filtered_and_are_tried_again_as_before(server: Server) -> None:
    """A status is an SDK's error of that status; a refused attempt is repeated, filtered anew; messages go through the guards."""
    said = {"error": {"message": "no such pin 1234", "type": "invalid", "code": "1234"}}
    client = sf.guard(plain(OpenAI, server, max_retries=1), request=PRIVATE, response=PIN | sf.Restore())
    server.replies(whole(said, 400))
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=ASKED)
    assert caught.value.body == {"message": "no such pin ####", "type": "invalid", "code": "1234"}
    server.replies(whole(said, 500, headers={"retry-after-ms": "1"}), whole(chat_of(ANSWER)))
    assert client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content == SHOWN
    assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1"]
    assert all(b"<EMAIL_1>" in request.body for request in server.requests)
    server.replies(Reply([b"Bad gateway 1234"], "text/html", 502))
    with pytest.raises(openai.InternalServerError) as failed:
        client.with_options(max_retries=0).chat.completions.create(model="m", messages=ASKED)
    assert failed.value.response.text == "Bad gateway ####"


def test_failures_of_the_connection_are_the_sdks_errors(server: Server) -> None:
    """Refused, broken off, and out of time."""
    nowhere = OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        WHOLE["chat"][3](sf.guard(nowhere, response=PIN))
    server.replies(Reply([b'{"choices"'], "application/json", is_held=True))
    with pytest.raises(openai.APITimeoutError):
        WHOLE["chat"][3](sf.guard(plain(OpenAI, server, timeout=0.05), response=PIN))
    with pytest.raises(anthropic.APITimeoutError):
        WHOLE["messages"][3](sf.guard(plain(Anthropic, server, timeout=0.05), response=PIN))
    server.replies(Reply([b"abc"], "application/json", headers={"content-length": "99", "transfer-encoding": ""}))
    with pytest.raises(openai.APIConnectionError):
        WHOLE["chat"][3](sf.guard(plain(OpenAI, server), response=PIN))


def test_what_is_no_answer_of_the_format_is_refused(server: Server) -> None:
    """A page, an array, bytes of an encoding that is not known: nothing of it reaches the caller."""
    client = sf.guard(plain(OpenAI, server), response=PIN)
    for reply in (
        Reply([b"<html>1234</html>"], "text/html"),
        whole([1234]),
        Reply([b'{"a": 1}'], "application/json", headers={"content-encoding": "gzip"}),
        Reply([b'{"a": "1234"}'], ""),
    ):
        server.replies(reply)
        try:
            made = WHOLE["chat"][3](client)
        except (sf.MalformedInput, openai.APIConnectionError):
            continue
        assert "1234" not in made.to_json()


KINDS = ("text/event-stream", "application/json", "text/plain", "")
EVENTS = chat_events("pin 12", "34.")
BODIES: dict[str, bytes] = {
    "json": json.dumps(chat_of("pin 1234")).encode(),
    "events": EVENTS,
    "text": b"pin 1234",
    "lines": json.dumps(chat_of("pin 1234")).encode() * 2,
    "comment": b": pin 1234\n\n" + EVENTS,
    "field": b"x1234: 1\n\n" + EVENTS,
    "id": b"id: 1234\n" + EVENTS,
    "name": b"event: 1234\n" + EVENTS,
    "wide": json.dumps(chat_of("pin 1234")).encode("utf-16"),
    "cut off": EVENTS[:-40].replace(b"[DONE]", b""),
    "error": b'data: {"error": {"message": "pin 1234"}}\n\n',
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BODIES)
def test_a_type_that_lies_lets_nothing_past(server: Server, kind: str, name: str) -> None:
    """Whatever the type of an answer is, and whatever was asked for: what reaches the caller is filtered, raw bytes and errors too."""
    client = sf.guard(quick(OpenAI, server), response=PIN)
    server.replies(Reply([BODIES[name]], kind))

    def lines(**options: Any) -> str:
        with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, **options) as made:
            return "\n".join(made.iter_lines())

    ways: list[Callable[[], Any]] = [
        lambda: repr(client.chat.completions.create(model="m", messages=MESSAGES)),
        lambda: repr(list(chat(client))),
        lambda: client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES).text,
        lines,
        lambda: lines(stream=True),
    ]
    for way in ways:
        try:
            made = way()
        except Exception as error:
            made = f"{error!r} {getattr(error, 'body', '')}"
        assert "1234" not in made.replace("\0", "")
        assert "4." not in made


def test_what_stands_beside_the_events_is_kept_where_it_is_harmless(server: Server) -> None:
    """Comments and ids of providers reach who reads the raw response."""
    raw = b": keep alive\n\nid: 7\n" + EVENTS
    server.replies(Reply([raw]))
    client = sf.guard(plain(OpenAI, server), response=sf.Redact("never"))
    with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True) as made:
        assert b"".join(made.iter_bytes()) == raw


def test_encodings_that_are_not_known_let_nothing_past(server: Server) -> None:
    """What the HTTP client cannot decode is read as it came, and refused or filtered."""
    for encoding in ("identity", "x-unknown", "br", "zstd", "deflate, gzip"):
        for stream in (False, True):
            server.replies(Reply([EVENTS if stream else BODIES["json"]], headers={"content-encoding": encoding}))
            client = sf.guard(plain(OpenAI, server), response=PIN)
            try:
                made = repr(list(chat(client)) if stream else client.chat.completions.create(model="m", messages=MESSAGES))
            except (openai.APIError, sf.MalformedInput, httpx2.HTTPError) as error:
                made = repr(error)
            assert "1234" not in made


def test_copies_by_other_ways_are_guarded(server: Server) -> None:
    """`copy.copy`, the HTTP client beneath by itself, and Azure's async client."""
    server.replies(whole(chat_of("pin 1234")))
    client = sf.guard(plain(OpenAI, server), response=PIN)
    assert WHOLE["chat"][4](WHOLE["chat"][3](copy.copy(client))) == "pin ####"
    body = {"model": "m", "messages": MESSAGES}
    assert "1234" not in client._client.post(f"{server.url}/v1/chat/completions", json=body).text
    azure = openai.AsyncAzureOpenAI(api_key="none", azure_endpoint=server.url, api_version="1", max_retries=0)

    async def run() -> str:
        return str(WHOLE["chat"][4](await WHOLE["chat"][3](sf.guard(azure, response=PIN).with_options(timeout=9))))

    assert asyncio.run(run()) == "pin ####"


def test_other_apis_of_a_client_that_have_connections_of_their_own_are_guarded(server: Server) -> None:
    """Gemini's interactions go through another client of the SDK: it is refused as what is not known."""
    server.replies(whole({}))
    client: Any = sf.guard(plain(genai.Client, server), request=PRIVATE, response=PIN)
    for api in (client, client.aio):
        if not hasattr(api, "interactions"):
            continue
        with pytest.raises(TypeError, match="unknown='pass'"):
            made = api.interactions.create(model="m", input=SECRET)
            asyncio.run(_awaited(made))
    assert not any(SECRET.encode() in request.body for request in server.requests)


async def _awaited(made: Any) -> Any:
    return await made


def test_batches_pass(server: Server) -> None:
    """They name files, and no text; the files themselves are refused, and Anthropic's batches, which have text in them."""
    server.replies(whole({"id": "batch_1", "object": "batch", "status": "validating"}))
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=PIN)
    made = client.batches.create(input_file_id="f", endpoint="/v1/responses", completion_window="24h", metadata={"by": SECRET})
    assert made.id == client.batches.cancel("batch_1").id == client.batches.retrieve("batch_1").id == "batch_1"
    assert server.requests[0].said["metadata"] == {"by": "<EMAIL_1>"}


# ---------------------------------------------------------------------- what cannot be filtered


def test_calls_that_are_not_known_are_refused_before_anything_is_sent(server: Server) -> None:
    """Uploads, batches, other APIs; `unknown="pass"` lets them pass as they are. What has no text passes always."""
    server.replies(whole({"id": "file_1", "object": "file", "data": []}))
    safe = sf.guard(plain(OpenAI, server), request=PRIVATE, response=PIN)
    calls: list[Callable[[Any], Any]] = [
        lambda client: client.files.create(file=b"1234", purpose="batch"),
        lambda client: client.files.content("file_1"),
        lambda client: client.audio.speech.create(input="a", model="m", voice="alloy"),
        lambda client: client.post("/anything", body={"a": SECRET}, cast_to=object),
        lambda client: client.images.edit(image=b"a", prompt=SECRET),
        lambda client: client.post("/threads/t_1/messages", body={"role": "user", "content": SECRET}, cast_to=object),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unknown='pass'"):
            call(safe)
    assert not server.requests
    safe.models.list()
    safe.files.list()
    safe.files.delete("file_1")
    sf.guard(plain(OpenAI, server), request=PRIVATE).files.content("file_1")
    sf.guard(plain(OpenAI, server), response=PIN, unknown="pass").files.create(file=b"1234", purpose="batch")
    assert len(server.requests) == 5
    for api in (plain(Anthropic, server), plain(AsyncAnthropic, server)):
        with pytest.raises(TypeError, match="unknown='pass'"):
            made = sf.guard(api, response=PIN).messages.batches.create(requests=[])
            asyncio.run(made)


def test_embeddings_and_counts_send_filtered_text(server: Server) -> None:
    """Their answers have no text; text that is given as tokens cannot be filtered and is refused."""
    server.replies(whole({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}))
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=PIN)
    assert client.embeddings.create(model="m", input=[ASK]).data[0].embedding == [0.5]
    server.replies(whole({"input_tokens": 1234}))
    counted = sf.guard(plain(Anthropic, server), request=PRIVATE, response=PIN)
    assert counted.messages.count_tokens(model="m", messages=ASKED).input_tokens == 1234
    assert SECRET.encode() not in server.requests[-1].body
    server.replies(whole({}))
    for tokens in ([1, 2], [[1, 2]]):
        with pytest.raises(sf.MalformedInput, match="tokens"):
            client.embeddings.create(model="m", input=cast("Any", tokens))
    assert not server.requests


def test_web_sockets_go_past_the_pipelines_and_are_refused(server: Server) -> None:
    """Realtime methods of OpenAI and live sessions of Gemini, on copies too."""
    client = sf.guard(plain(OpenAI, server), response=PIN)
    connects: list[Callable[[Any], Any]] = [lambda each: each.realtime.connect(model="m"), lambda each: each.responses.connect()]
    for each in (client, client.with_options(timeout=3)):
        for connect in connects:
            with pytest.raises(Exception, match="a-guarded-client-opens-no-websocket"), connect(each):
                pass

    async def live() -> None:
        async with sf.guard(genai.Client(api_key="none"), response=PIN).aio.live.connect(model="m"):
            pass

    with pytest.raises(TypeError, match="live sessions"):
        asyncio.run(live())


def test_wrong_arguments_are_refused_when_the_client_is_guarded(server: Server) -> None:
    """What is no client, no pipeline of text, or cannot wait."""
    client = plain(OpenAI, server)
    wrong: Any
    for wrong in ("openai", object(), httpx2.Client()):
        with pytest.raises(TypeError, match="no client that can be guarded"):
            sf.guard(wrong, response=PIN)
    with pytest.raises(TypeError, match="guarded: join the pipelines"):
        sf.guard(sf.guard(client, response=PIN), response=COMMON)
    with pytest.raises(TypeError, match="guarded: join the pipelines"):
        sf.guard(sf.guard(plain(genai.Client, server), response=PIN), response=COMMON)
    with pytest.raises(TypeError, match="response: "):
        sf.guard(client, response=cast("Any", sf.wrap(PIN)))
    with pytest.raises(TypeError, match="must wait, which OpenAI cannot"):
        sf.guard(client, response=sf.Moderate(always))
    with pytest.raises(ValueError, match="unknown='skip'"):
        sf.guard(client, response=PIN, unknown=cast("Any", "skip"))
    with pytest.raises(ValueError, match="after_stop"):
        sf.guard(client, response=PIN, after_stop=cast("Any", "wait"))
    with pytest.raises(TypeError, match="a Context is needed"):
        WHOLE["chat"][3](sf.guard(client, response=PIN, context=cast("Callable[[], sf.Context]", dict)))


async def always(window: sf.Window) -> bool:
    await asyncio.sleep(0)
    return "1234" not in window.text


def test_pipelines_that_wait_filter_async_clients(server: Server) -> None:
    """`Moderate` on requests, streams and whole answers; the plain methods of a client that has both are refused."""

    async def run() -> list[Any]:
        client = sf.guard(plain(AsyncOpenAI, server), request=sf.Moderate(always), response=sf.Moderate(always))
        server.replies(streamed(chat_events("Hello. ", "There.")))
        texts: Texts = {}
        async for chunk in await chat(client):
            of_chat(chunk, texts)
        server.replies(whole(chat_of("Hello.")))
        made = await client.chat.completions.create(model="m", messages=MESSAGES)
        with pytest.raises(sf.Blocked):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "My pin is 1234."}])
        return [texts, made.choices[0].message.content, len(server.requests)]

    assert asyncio.run(run()) == [{0: "Hello. There."}, "Hello.", 1]
    with pytest.raises(TypeError, match="use the async client"):
        sf.guard(plain(genai.Client, server), response=sf.Moderate(always)).models.generate_content(model="m", contents="Hi")


# ---------------------------------------------------------------------- context


def test_each_call_has_a_vault_of_its_own_unless_the_context_has_one(server: Server) -> None:
    """Numbers begin anew with each call, or go on in the caller's vault; observers see the findings of both ways."""
    server.replies(whole(chat_of(ANSWER)))
    ann: Any = [{"role": "user", "content": "I am ann@other.com."}]
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=sf.Restore())
    for messages in (ASKED, ann):
        client.chat.completions.create(model="m", messages=messages)
    assert [request.said["messages"][0]["content"] for request in server.requests] == ["I am <EMAIL_1>."] * 2

    findings: list[sf.Finding] = []
    shared_context = sf.Context(vault=sf.Vault(), tags={"tenant": "acme"}, observe=[findings.append])
    made: list[sf.Context | Callable[[], sf.Context]] = [shared_context, lambda: shared_context]
    for context in made:
        server.replies(whole(chat_of(ANSWER)))
        client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=sf.Restore(), context=context)
        for messages in (ASKED, ann):
            client.chat.completions.create(model="m", messages=messages)
        said = [request.said["messages"][0]["content"] for request in server.requests]
        assert said == ["I am <EMAIL_1>.", "I am <EMAIL_2>."]
    assert {(finding.rule, finding.action) for finding in findings} == {("email", "redact"), ("email", "restore")}
    assert all(finding.tags == {"tenant": "acme"} for finding in findings)


# ---------------------------------------------------------------------- the HTTP client beneath


def test_what_stands_beneath_sees_the_wire(server: Server) -> None:
    """Hooks, authentication and transports of a given HTTP client stay in use: they see the filtered request."""
    seen: list[bytes] = []

    class Sign(httpx2.Auth):
        requires_request_body = True

        def auth_flow(self, request: httpx2.Request) -> Any:
            request.headers["x-length"] = str(len(request.content))
            yield request

    class Mine(httpx2.Client):
        """A client that somebody has made."""

    http = Mine(auth=Sign(), headers={"x-mine": "1"}, event_hooks={"request": [lambda request: seen.append(request.content)]})
    server.replies(whole(chat_of(ANSWER)))
    client = sf.guard(plain(OpenAI, server, http_client=http), request=PRIVATE, response=sf.Restore() | PIN)
    assert isinstance(client._client, Mine)
    assert client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content == SHOWN
    request = server.requests[0]
    assert seen == [request.body]
    assert request.headers["x-length"] == request.headers["content-length"] == str(len(request.body))
    assert request.headers["x-mine"] == "1"


def test_another_http_client_in_a_copy_is_guarded_too(server: Server) -> None:
    """Nothing slips past `with_options(http_client=...)`."""
    server.replies(whole(chat_of(ANSWER)))
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=sf.Restore() | PIN)
    copied = client.with_options(http_client=httpx2.Client())
    assert WHOLE["chat"][4](WHOLE["chat"][3](copied)) == SHOWN
    assert SECRET.encode() not in server.requests[0].body


def test_what_would_send_past_the_client_finds_no_transport(server: Server) -> None:
    """Some ways to authenticate take the transport from under an HTTP client: of a guarded one they get none."""
    client: Any = sf.guard(plain(OpenAI, server), response=PIN)._client
    reaches: list[Callable[[], Any]] = [
        lambda: client._transport_for_url(httpx2.URL(server.url)),
        lambda: client._transport,
        lambda: client._mounts,
    ]
    for reach in reaches:
        with pytest.raises(TypeError, match="past the pipelines"):
            reach()


def test_clients_for_other_clouds_are_guarded_alike(server: Server) -> None:
    """Azure's has other paths, and so has Vertex's."""
    pipelines: Any = {"request": PRIVATE, "response": sf.Restore() | PIN}
    azure = openai.AzureOpenAI(api_key="none", azure_endpoint=server.url, api_version="1", max_retries=0)
    vertex = AnthropicVertex(region="r", project_id="p", access_token="none", base_url=server.url, max_retries=0)
    cases: list[tuple[Any, str]] = [(azure, "chat"), (vertex, "messages")]
    for client, name in cases:
        server.replies(whole(WHOLE[name][2](ANSWER)))
        assert WHOLE[name][4](WHOLE[name][3](sf.guard(client, **pipelines))) == SHOWN
        assert SECRET.encode() not in server.requests[0].body


def test_a_redirect_carries_the_filtered_request(server: Server) -> None:
    """And the answer is filtered all the same."""
    server.replies(whole({}, 307, headers={"location": f"{server.url}/v1/elsewhere"}), whole(chat_of(ANSWER)))
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=sf.Restore() | PIN)
    assert WHOLE["chat"][4](WHOLE["chat"][3](client)) == SHOWN
    assert server.requests[0].body == server.requests[1].body
    assert SECRET.encode() not in server.requests[1].body


def test_clients_over_the_older_httpx_are_guarded_alike(server: Server) -> None:
    """`openai` takes both libraries."""
    pipelines: Any = {"request": PRIVATE, "response": sf.Restore() | PIN}
    client = sf.guard(plain(OpenAI, server, http_client=cast("Any", httpx.Client())), **pipelines)
    server.replies(whole(chat_of(ANSWER), is_zipped=True))
    assert WHOLE["chat"][4](WHOLE["chat"][3](client)) == SHOWN
    server.replies(streamed(chat_events("Write to <EM", "AIL_1>, p", "in 12", "34."), 3))

    async def run() -> Texts:
        aclient = sf.guard(plain(AsyncOpenAI, server, http_client=cast("Any", httpx.AsyncClient())), **pipelines)
        texts: Texts = {}
        async for chunk in await aclient.chat.completions.create(model="m", messages=ASKED, stream=True):
            of_chat(chunk, texts)
        return texts

    assert asyncio.run(run()) == {0: SHOWN}
    assert SECRET.encode() not in server.requests[0].body


def test_raw_bytes_of_a_response_are_filtered(server: Server) -> None:
    """`with_streaming_response` gives the filtered body, and headers that fit it."""
    server.replies(whole(chat_of("pin 1234"), is_zipped=True))
    client = sf.guard(plain(OpenAI, server), response=PIN)
    with client.chat.completions.with_streaming_response.create(model="m", messages=ASKED) as response:
        raw = b"".join(response.iter_bytes())
        assert "content-encoding" not in response.headers
    assert json.loads(raw) == chat_of("pin ####")
    assert response.elapsed.total_seconds() > 0
    server.replies(streamed(chat_events("pin 12", "34"), is_zipped=True))
    with client.chat.completions.with_streaming_response.create(model="m", messages=ASKED, stream=True) as response:
        lines = list(response.iter_lines())
    assert lines[-2] == "data: [DONE]"
    assert "####" in "".join(lines)
    assert "34" not in "".join(lines)


# ---------------------------------------------------------------------- requests

AT = SECRET.replace("@", "\\u0040")
TOOL = {"type": "function", "function": {"name": "send", "arguments": f'{{"to": "{AT}", "{SECRET}": 1}}'}}
SCHEMA = {"type": "object", "properties": {"id": {"type": "string", "description": SECRET, "enum": [SECRET], "default": SECRET}}}
TEXT_FILE = "am9lQHNlY3JldC5jb20="
SENT: dict[str, tuple[Any, Callable[[Any], Any], Callable[[str], Any]]] = {
    "chat": (
        OpenAI,
        lambda client: client.chat.completions.create(
            model="m",
            messages=[
                {"role": "system", "content": SECRET},
                {
                    "role": "user",
                    "name": SECRET,
                    "content": [{"type": "text", "text": SECRET}, {"type": "text", "text": f"data: {SECRET}"}],
                },
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://x.com/?q={SECRET}"}}]},
                {"role": "user", "content": [{"type": "file", "file": {"file_data": f"data:text/plain;base64,{TEXT_FILE}"}}]},
                {"role": "assistant", "tool_calls": [{"id": "call_1", **TOOL}]},
                {"role": "tool", "tool_call_id": "call_1", "content": SECRET},
            ],
            tools=[{"type": "function", "function": {"name": "send", "description": SECRET, "parameters": SCHEMA}}],
            prediction={"type": "content", "content": SECRET},
            metadata={"name": SECRET, "id": SECRET},
            user=SECRET,
            stop=[SECRET],
            extra_body={"anything": [{"at": {"all": SECRET}}]},
        ),
        chat_of,
    ),
    "responses": (
        OpenAI,
        lambda client: client.responses.create(
            model="m",
            instructions=SECRET,
            input=[
                {"role": "user", "content": [{"type": "input_text", "text": SECRET}]},
                {"type": "function_call", "call_id": "call_1", "name": "send", "arguments": TOOL["function"]["arguments"]},  # type: ignore[index]
                {"type": "function_call_output", "call_id": "call_1", "output": SECRET},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": SECRET}]},
            ],
            prompt={"id": "p_1", "variables": {"name": SECRET, "file": {"type": "input_text", "text": SECRET}}},
            tools=[{"type": "function", "name": "send", "description": SECRET, "parameters": SCHEMA, "strict": True}],
            metadata={"type": SECRET},
            safety_identifier=SECRET,
        ),
        response_of,
    ),
    "messages": (
        Anthropic,
        lambda client: client.messages.create(
            model="m",
            max_tokens=9,
            system=[{"type": "text", "text": SECRET, "cache_control": {"type": "ephemeral"}}],
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": SECRET}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "document", "title": SECRET, "source": {"type": "content", "content": SECRET}}],
                },
                {"role": "assistant", "content": [{"type": "thinking", "thinking": SECRET, "signature": "abc"}]},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t_1", "name": "n", "input": {"id": SECRET, SECRET: [SECRET]}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t_1", "content": [{"type": "text", "text": SECRET}]}],
                },
            ],
            tools=[{"name": "n", "description": SECRET, "input_schema": SCHEMA}],
            metadata={"user_id": SECRET},
            stop_sequences=[SECRET],
        ),
        message_of,
    ),
    "gemini": (
        genai.Client,
        lambda client: client.models.generate_content(
            model="m",
            contents=[
                {
                    "role": "user",
                    "parts": [{"text": SECRET}, {"inline_data": {"mime_type": "text/plain", "data": SECRET.encode()}}],
                },
                {"role": "model", "parts": [{"function_call": {"name": "send", "args": {"name": SECRET, "id": [SECRET]}}}]},
                {"role": "user", "parts": [{"function_response": {"name": "send", "response": {"type": SECRET}}}]},
            ],
            config={
                "system_instruction": SECRET,
                "stop_sequences": [SECRET],
                "tools": [{"function_declarations": [{"name": "send", "description": SECRET}]}],
            },
        ),
        gemini_of,
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_a_secret_in_any_field_of_a_request_never_reaches_the_provider(server: Server, name: str) -> None:
    """Messages, tools and their schemas, arguments behind escapes, metadata, files of text: nothing is left of it."""
    kind, call, made_of = SENT[name]
    server.replies(whole(made_of("Hi")))
    call(plain(kind, server))
    call(sf.guard(plain(kind, server), request=PRIVATE))
    before, after = (request.body.decode() for request in server.requests)
    assert before.count(SECRET) > 5
    for hidden in (SECRET, "joe", TEXT_FILE, AT, AT.replace("\\", "\\\\")):
        assert hidden not in after
    assert after.count("<EMAIL_1>") > 5
    assert kept(json.loads(after)) == kept(json.loads(before))


def kept(value: Any) -> Any:
    """The types, roles and names of a request, in order."""
    if isinstance(value, dict):
        named = [value[key] for key in ("type", "role", "model") if value.get(key) not in (None, SECRET, "<EMAIL_1>")]
        return named + [each for key in sorted(value) for each in kept(value[key])] if value.get("type") != "thinking" else []
    return [each for item in value for each in kept(item)] if isinstance(value, list) else []


def test_a_request_without_anything_to_filter_says_what_it_said(server: Server) -> None:
    """Numbers, nulls, nesting and Unicode survive."""
    said = {
        "model": "m",
        "messages": [{"role": "user", "content": "ä😀"}],
        "temperature": 0.1,
        "seed": 12345678901234567890,
        "n": None,
    }
    server.replies(whole(chat_of("Hi")))
    client = sf.guard(plain(OpenAI, server), request=PRIVATE, response=PIN)
    client.post("/chat/completions", body=said, cast_to=object)
    assert server.requests[0].said == said


def test_an_empty_pipeline_changes_nothing(server: Server) -> None:
    """Bytes of the response pass as they came."""
    server.replies(Reply([b'{"choices":  []}'], "application/json"))
    raw = sf.guard(plain(OpenAI, server), response=sf.Pipeline()).chat.completions.with_raw_response.create(
        model="m", messages=ASKED
    )
    assert raw.content == b'{"choices":  []}'


def test_calls_at_the_same_time_do_not_mix(server: Server) -> None:
    """Each has its own vault and its own state, in one client."""

    def answer(request: Request) -> Reply:
        return streamed(chat_events("You are <EM", "AIL_1>."), 7)

    async def ask(client: AsyncOpenAI, name: str) -> str:
        said: Any = [{"role": "user", "content": f"I am {name}@x.com"}]
        texts: Texts = {}
        async for chunk in await client.chat.completions.create(model="m", messages=said, stream=True):
            of_chat(chunk, texts)
        return texts[0]

    async def run() -> list[str]:
        client = sf.guard(plain(AsyncOpenAI, server), request=PRIVATE, response=sf.Restore())
        return await asyncio.gather(*(ask(client, f"joe{n}") for n in range(20)))

    server.replies(Reply([]))
    server.answer = answer
    assert asyncio.run(run()) == [f"You are joe{n}@x.com." for n in range(20)]
