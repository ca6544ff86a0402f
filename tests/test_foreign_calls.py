"""Calls of one format, written in another: each comes out whole, once, with a name and with arguments, as its answer's reason."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk
from pydantic import TypeAdapter

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai, vercel
from streamfilter.providers.counts import counted

FORMATS: dict[str, Any] = {
    "openai.chat": openai.chat,
    "openai.responses": openai.responses,
    "anthropic.messages": anthropic.messages,
    "bedrock": bedrock,
    "ollama": ollama,
    "gemini": gemini,
    "vercel": vercel,
    "langchain": langchain,
    "pydantic_ai": pydantic_ai,
}
formats = pytest.mark.parametrize("name", FORMATS)

Chunk = dict[str, Any]


def chunk(delta: Chunk, finish: str | None = None) -> Chunk:
    """A chunk of a chat completion."""
    return {"id": "z", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def fragment(text: str, index: int = 0, identity: str | None = None, name: str | None = None) -> Chunk:
    """A chunk with some of the arguments of a call."""
    function = {"arguments": text, **({"name": name} if name else {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **({"id": identity} if identity else {})}]})


TEXT = sf.TextDelta("a", sf.Channel("answer", (0, 0, "content")))


def encode(name: str) -> Any:
    """The stage that writes a format."""
    module = FORMATS[name]
    return module.Encode(as_dicts=True) if module in (langchain, pydantic_ai) else module.Encode(model="m")


def without_origin(items: Iterable[Any]) -> list[Any]:
    """Items as of a stream that was stored."""
    given = list(items)
    for item in given:
        item.origin = None
    return given


def calls(decode: Any, chunks: Iterable[Any]) -> list[tuple[str | None, Any]]:
    """The calls of a stream that are complete: names, and arguments."""
    return [(call.name, call.arguments) for call in (decode | sf.ToolCalls()).iter(chunks) if call.complete]


def answer(decode: Any, chunks: Iterable[Any]) -> str:
    """The text of the answer."""
    items = decode.iter(chunks)
    return "".join(item.text for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "answer")


def reasons(decode: Any, chunks: Iterable[Any]) -> list[str]:
    """Why the answers of a stream are over."""
    return [item.reason for item in decode.iter(chunks) if isinstance(item, sf.Finish)]


NAMED: dict[str, list[Chunk]] = {
    "once": [fragment("", 0, "c0", "pay"), fragment('{"a": 1'), fragment("00}")],
    "in each fragment": [fragment('{"a": 1', 0, "c0", "pay"), fragment("00}", 0, "c0", "pay")],
    "in the second": [fragment("", 0, "c0"), fragment("", 0, "c0", "pay"), fragment('{"a": 100}')],
    "with its id behind it": [fragment("", 0, None, "pay"), fragment("", 0, "c0"), fragment('{"a": 100}')],
}
"""How services name a call."""


@formats
@pytest.mark.parametrize("way", NAMED)
def test_a_call_begins_once(name: str, way: str) -> None:
    """However often, and however late, its source names it."""
    chunks = [*NAMED[way], chunk({}, "tool_calls")]
    assert calls(openai.chat.Decode(), chunks) == [("pay", {"a": 100})]
    out = list((openai.chat.Decode() | sf.Redact("x") | encode(name)).iter(chunks))
    assert calls(FORMATS[name].Decode(), out) == [("pay", {"a": 100})]
    if FORMATS[name] is not openai.chat:  # there the chunks leave as they came
        assert sum(isinstance(item, sf.ToolCall) for item in FORMATS[name].Decode().iter(out)) == 1


@formats
def test_a_call_without_arguments_has_an_empty_object(name: str) -> None:
    """Behind each other, and at the end of a stream that does not say why it is over."""
    heads = [fragment("", 0, "c0", "now"), fragment("", 1, "c1", "here")]
    whole = [*heads, chunk({}, "tool_calls")]
    assert calls(openai.chat.Decode(), whole) == calls(openai.chat.Decode(), heads) == [("now", {}), ("here", {})]
    for chunks in (whole, heads):
        assert calls(FORMATS[name].Decode(), (openai.chat.Decode() | encode(name)).iter(chunks)) == [("now", {}), ("here", {})]
    out = list(encode(name).iter(without_origin(openai.chat.Decode().iter(heads))))
    items = list(FORMATS[name].Decode().iter(out))
    assert sum(isinstance(item, sf.TextDelta) and item.text == "{}" for item in items) == 2


@formats
@pytest.mark.parametrize("reason", ["length", "content_filter", "error", "abort", "model_length", "insufficient_system_resource"])
def test_a_call_that_was_cut_off_before_its_arguments_is_given_none(name: str, reason: str) -> None:
    """They would have followed."""
    out = (openai.chat.Decode() | encode(name)).iter([fragment("", 0, "c0", "pay"), chunk({}, reason)])
    items = list(FORMATS[name].Decode().iter(out))
    assert not [item for item in items if isinstance(item, sf.TextDelta) and item.text]


def test_arguments_are_json_for_who_reads_them_as_such() -> None:
    """Chat completions, the Responses API and Bedrock give them as text, which clients read with `json.loads`."""
    block = {"type": "tool_use", "id": "c0", "name": "now", "input": {}}
    events = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}},
    ]
    out: dict[str, list[Any]] = {
        name: list((anthropic.messages.Decode() | encode(name)).iter(events))
        for name in ("openai.chat", "openai.responses", "bedrock")
    }
    deltas = [choice["delta"] for each in out["openai.chat"] for choice in each["choices"]]
    arguments = "".join(call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ()))
    blocks = [each["contentBlockDelta"]["delta"] for each in out["bedrock"] if "contentBlockDelta" in each]
    done = [each["arguments"] for each in out["openai.responses"] if each["type"] == "response.function_call_arguments.done"]
    item = out["openai.responses"][-1]["response"]["output"][0]
    said = [arguments, "".join(each["toolUse"]["input"] for each in blocks), *done, item["arguments"]]
    assert [json.loads(each) for each in said] == [{}, {}, {}, {}]


GEMINI = [
    {
        "candidates": [
            {"index": 0, "content": {"parts": [{"functionCall": {"name": "now", "args": {"a": 1}}}]}, "finishReason": "STOP"}
        ]
    }
]
OLLAMA = [
    {"model": "m", "message": {"content": "", "tool_calls": [{"function": {"name": "now", "arguments": {"a": 1}}}]}, "done": False},
    {"model": "m", "message": {"content": ""}, "done": True, "done_reason": "stop"},
]
CALL: dict[str, str] = {
    "id": "fc",
    "type": "function_call",
    "call_id": "c",
    "name": "now",
    "arguments": '{"a": 1}',
    "status": "completed",
}
RESPONSES = [
    {"type": "response.created", "response": {"id": "r", "output": [], "status": "in_progress"}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**CALL, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 0, "delta": '{"a": 1}'},
    {"type": "response.output_item.done", "output_index": 0, "item": CALL},
    {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [CALL]}},
]
UNSAYING: dict[str, list[Any]] = {"gemini": GEMINI, "ollama": OLLAMA, "openai.responses": RESPONSES}
"""Streams with a call, of formats that have no word for an answer that waits for one. Source: the references of the APIs."""

WORDS = {"openai.chat": "tool_calls", "anthropic.messages": "tool_use", "bedrock": "tool_use", "langchain": "tool_calls"}
"""The words of those that have one. Source: the same."""


@pytest.mark.parametrize("target", WORDS)
@pytest.mark.parametrize("source", UNSAYING)
def test_an_answer_with_calls_is_over_for_them(source: str, target: str) -> None:
    """Also if its source has ended without a reason; not if it is over for another."""
    decode, back = FORMATS[source].Decode(), FORMATS[target].Decode()
    whole = list((decode | encode(target)).iter(UNSAYING[source]))
    assert reasons(back, whole) == [WORDS[target]]
    assert calls(back, whole) == [("now", {"a": 1})]
    items = [item for item in decode.iter(UNSAYING[source]) if not isinstance(item, sf.Finish)]
    assert reasons(back, encode(target).iter(items)) == [WORDS[target]]
    cut_off = reasons(back, encode(target).iter([*items, sf.Finish("length", scope=(0, 0))]))
    assert cut_off == reasons(back, encode(target).iter([TEXT, sf.Finish("length", scope=(0, 0))]))


def test_each_answer_has_a_reason_of_its_own() -> None:
    """One behind another that has called is not over for calls."""
    text = sf.TextDelta("done", sf.Channel("answer", (1, 0, 0, "content", 0)))
    items = [*openai.responses.Decode().iter(RESPONSES), text, sf.Finish("completed", scope=(1, 0))]
    assert reasons(openai.chat.Decode(), openai.chat.Encode().iter(items)) == ["tool_calls", "stop"]


@pytest.mark.parametrize("target", WORDS)
@pytest.mark.parametrize("come", range(len(CALL["arguments"])))
def test_an_answer_is_not_over_for_a_call_that_was_cut_off(target: str, come: int) -> None:
    """What acts on calls when an answer is over for them must not find half of one, or none of it."""
    channel = sf.Channel("tool_arguments", (0, 0, "call", 0))
    call = [sf.ToolCall("c", "now", channel, scope=channel), sf.TextDelta(CALL["arguments"][:come], channel)]
    stage = sf.StopAt("STOP")
    out = list((stage | encode(target)).iter([*call, sf.TextDelta("STOP", TEXT.channel)]))
    want = (stage | encode(target)).iter([TEXT, sf.TextDelta("STOP", TEXT.channel)])
    assert reasons(FORMATS[target].Decode(), out) == reasons(FORMATS[target].Decode(), want)


@pytest.mark.parametrize("source", ["gemini", "ollama"])
def test_each_call_of_a_chat_completion_has_an_id(source: str) -> None:
    """A client answers to it: it is there, and no other call has it; the SDK reads the chunks."""
    twice = [*UNSAYING[source][:1], *UNSAYING[source]]
    out: list[Any] = list((FORMATS[source].Decode() | openai.chat.Encode(model="m")).iter(twice))
    found = [call for each in out for call in each["choices"][0]["delta"].get("tool_calls", ()) if "id" in call]
    assert len({call["id"] for call in found}) == 2
    for each in out:
        ChatCompletionChunk.model_validate({"id": "c", "created": 1, "object": "chat.completion.chunk", **each})


# ---------------------------------------------------------------------- several answers

ONE_ANSWER = [name for name in FORMATS if name not in ("openai.chat", "gemini")]
"""Formats whose message is one answer."""

MESSAGES = ["anthropic.messages", "bedrock", "ollama", "langchain"]
"""Those of them of which a stream may have several, one behind the other."""


def texts(items: Iterable[Any]) -> dict[Any, str]:
    """The text of each answer."""
    found: dict[Any, str] = {}
    for item in items:
        if isinstance(item, sf.TextDelta) and item.channel.kind == "answer":
            found[item.channel.choice] = found.get(item.channel.choice, "") + item.text
    return found


@pytest.mark.parametrize("name", ONE_ANSWER)
@pytest.mark.parametrize("first", [0, 1])
def test_of_several_choices_the_first_is_written(name: str, first: int) -> None:
    """Its text, its call and its reason, wherever the others end."""
    order = (first, 1 - first)
    chunks = [
        {**chunk({"content": piece}), "choices": [{"index": n, "delta": {"content": piece}}]} for piece in "ab" for n in order
    ]
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    chunks += [{"choices": [{"index": n, "delta": {"tool_calls": [{**call, "id": f"c{n}"}]}}]} for n in reversed(order)]
    chunks += [{"choices": [{"index": n, "delta": {}, "finish_reason": "tool_calls"}]} for n in reversed(order)]
    out = list((openai.chat.Decode() | encode(name)).iter(chunks))
    assert texts(FORMATS[name].Decode().iter(out)) == {(0, 0): "ab"}
    assert calls(FORMATS[name].Decode(), out) == [("f", {})]
    alone = [each for each in chunks if each["choices"][0]["index"] == first]
    want = list((openai.chat.Decode() | encode(name)).iter(alone))
    assert reasons(FORMATS[name].Decode(), out) == reasons(FORMATS[name].Decode(), want)
    assert len(out) == len(want)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("is_said", [True, False])
def test_each_response_is_a_message_of_its_own(name: str, is_said: bool) -> None:
    """With its reason and its counts, also where its source does not say that it is over."""
    items: list[Any] = []
    for n, reason in enumerate(("length", "stop")):
        items.append(sf.TextDelta(f"no {n}", sf.Channel("answer", (n, 0, "content"))))
        items += [sf.Finish(reason, scope=(n, 0)), sf.Usage({"input_tokens": n + 5, "output_tokens": 1})] if is_said else []
    out = list(encode(name).iter(items))
    back = FORMATS[name].Decode()
    assert list(texts(back.iter(out)).values()) == ["no 0", "no 1"]
    assert len(texts(back.iter(out))) == 2
    if is_said:
        alone = [reasons(back, encode(name).iter(part)) for part in (items[:3], items[3:])]
        assert reasons(back, out) == [*alone[0], *alone[1]]
    if is_said and name != "langchain":
        counts = [item.usage for item in back.iter(out) if isinstance(item, sf.Usage)]
        assert [counted(usage)[0] for usage in counts] == [5, 6]


def test_the_sdk_of_anthropic_reads_each_message() -> None:
    """From its start to its stop."""
    events = list((openai.responses.Decode() | anthropic.messages.Encode()).iter([*RESPONSES, *RESPONSES]))
    starts = [n for n, event in enumerate(events) if event["type"] == "message_start"]
    assert len(starts) == 2
    adapter: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    for begin, end in itertools.pairwise([*starts, len(events)]):
        message, buffers = None, dict[int, Any]()
        for event in events[begin:end]:
            message = accumulate_event(event=adapter.validate_python(event), current_snapshot=message, json_bufs=buffers)
        assert message is not None
        assert [block.type for block in message.content] == ["tool_use"]
        assert message.stop_reason == "tool_use"
        assert events[end - 1]["type"] == "message_stop"
