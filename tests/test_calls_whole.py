"""Calls whose arguments come whole, as an object and not as JSON text: none is lost, and none is there twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter
from test_foreign_calls import FORMATS, calls, encode, formats

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, openai

GIVEN = {"to": "joe@home", "n": 1}
WANT = [("pay", GIVEN)]

Events = list[dict[str, Any]]


def message(*events: dict[str, Any], given: dict[str, Any] = GIVEN) -> Events:
    """A message of Anthropic's with one call."""
    head: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [], "stop_reason": None}
    block = {"type": "tool_use", "id": "t", "name": "pay", "input": given}
    return [
        {"type": "message_start", "message": {**head, "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *events,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]


def chunks(**function: Any) -> Events:
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "pay", **function}}
    return [
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]


def response() -> Events:
    item = {"type": "function_call", "id": "i", "call_id": "t", "name": "pay", "arguments": GIVEN}
    return [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}},
        {"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "i", "arguments": GIVEN},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "r", "output": [item]}},
    ]


CASES: dict[str, tuple[str, Events]] = {
    "anthropic": ("anthropic.messages", message()),
    "chat": ("openai.chat", chunks(arguments=GIVEN)),
    "responses": ("openai.responses", response()),
    "bedrock": (
        "bedrock",
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "pay"}}}},
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": GIVEN}}}},
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "tool_use"}},
        ],
    ),
    "vercel": (
        "vercel",
        [
            {"type": "start"},
            {"type": "tool-input-start", "toolCallId": "t", "toolName": "pay"},
            {"type": "tool-input-available", "toolCallId": "t", "toolName": "pay", "input": GIVEN},
            {"type": "finish"},
        ],
    ),
    "langchain": (
        "langchain",
        [
            {
                "type": "AIMessageChunk",
                "content": "",
                "id": "run-1",
                "tool_call_chunks": [{"index": 0, "name": "pay", "args": GIVEN, "id": "t"}],
            }
        ],
    ),
    "pydantic_ai": (
        "pydantic_ai",
        [
            {
                "event_kind": "part_start",
                "index": 0,
                "part": {"part_kind": "tool-call", "tool_name": "pay", "args": GIVEN, "tool_call_id": "t"},
            }
        ],
    ),
}
cases = pytest.mark.parametrize("case", CASES)


@cases
def test_arguments_that_come_whole_are_read(case: str) -> None:
    """Once, as they are."""
    name, events = CASES[case]
    assert calls(FORMATS[name].Decode(), events) == WANT


@cases
@formats
def test_arguments_that_come_whole_are_written_in_other_formats(case: str, name: str) -> None:
    """As those that come in pieces."""
    source, events = CASES[case]
    out = list((FORMATS[source].Decode() | encode(name)).iter(events))
    assert calls(FORMATS[name].Decode(), out) == WANT


@cases
def test_arguments_that_come_whole_leave_as_they_came(case: str) -> None:
    """The very events, if nothing is to be done or there is nothing to find; what a rule finds in them is taken out, wherever it is said."""
    name, events = CASES[case]
    wrap = FORMATS[name].wrap
    assert all(one is other for one, other in zip(wrap(sf.Pipeline()).iter(events), events, strict=True))
    assert list(wrap(sf.Redact("\x00")).iter(events)) == events
    out = list(wrap(sf.Redact("joe@home", to="[who]")).iter(events))
    assert out == json.loads(json.dumps(events).replace("joe@home", "[who]"))


@pytest.mark.parametrize("name", ["anthropic", "chat", "responses"])
def test_arguments_that_come_whole_leave_as_every_byte(name: str) -> None:
    """Whatever the blanks in them."""
    source, events = CASES[name]
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    for pieces in ([raw], [raw[n : n + 1] for n in range(len(raw))]):
        assert b"".join(FORMATS[source].wrap(sf.Pipeline()).iter(pieces)) == raw
        assert calls(FORMATS[source].Decode(), pieces) == WANT


# ------------------------------------------------------------------ what follows them

SDK: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def delta(text: str, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": text}}


PING = {"type": "ping"}
FOLLOWING: list[Events] = [
    [],
    [PING],
    [delta("")],
    [delta(""), PING, delta("")],
    [delta('{"n": 2}')],
    [delta('{"n"'), delta(": 2}")],
    [PING, delta(""), delta('{"n": 2}')],
    [delta(json.dumps(GIVEN))],
]


@pytest.mark.parametrize("following", FOLLOWING, ids=repr)
@pytest.mark.parametrize("given", [{}, GIVEN], ids=repr)
def test_deltas_stand_in_the_place_of_what_a_block_begins_with(following: Events, given: dict[str, Any]) -> None:
    """As Anthropic's SDK has it; so does what a guard lets through, and nothing is said too early."""
    events = message(*following, given=given)

    def accumulated(events: Any) -> Any:
        snapshot, buffers = None, dict[int, Any]()
        for event in events:
            if event == PING:  # the SDK's stream leaves them out
                continue
            snapshot = accumulate_event(event=SDK.validate_python(event), current_snapshot=snapshot, json_bufs=buffers)
        assert snapshot is not None
        return [(block.name, block.input) for block in snapshot.content if block.type == "tool_use"]

    want = accumulated(events)
    assert calls(anthropic.messages.Decode(), events) == want
    assert accumulated((anthropic.messages.Decode() | anthropic.messages.Encode()).iter(events)) == want
    assert list(anthropic.messages.wrap(sf.Pipeline()).iter(events)) == events
    shown = json.loads(json.dumps(want).replace("joe@home", "[who]"))
    out = accumulated(anthropic.messages.wrap(sf.Redact("joe@home", to="[who]")).iter(events))
    assert json.loads(json.dumps(out)) == shown
    wrapped = [{"chunk": {"bytes": json.dumps(event).encode()}} for event in events]
    assert calls(bedrock.invoke.Decode(), wrapped) == want


def test_a_call_that_waits_is_told_before_what_breaks_the_stream_off() -> None:
    """The event that is wrong comes behind it, and the end of the source too."""
    begun = message()[:2]
    for rest in ([], [{"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}}]):
        raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in [*begun, *rest])
        items: list[Any] = []
        try:
            for item in anthropic.messages.Decode().iter([raw]):
                items.append(item)  # noqa: PERF402  # what was given before an exception counts
        except sf.MalformedInput:
            assert rest
        said = [item.text for item in items if isinstance(item, sf.TextDelta)]
        assert said == [json.dumps(GIVEN)]


def test_arguments_that_are_a_list_are_not_lost() -> None:
    """A model of the tool would refuse them."""
    value = [1, "a"]
    assert calls(openai.chat.Decode(), chunks(arguments=value)) == [("pay", value)]
    assert list(openai.chat.wrap(sf.Redact("\x00")).iter(chunks(arguments=value))) == chunks(arguments=value)


def test_whole_arguments_that_are_held_back_leave_as_an_object() -> None:
    """Also where something of the same chunk leaves before; a request is filtered in the same way."""
    events = chunks(arguments=GIVEN)
    out = list(openai.chat.wrap(sf.MapText(str.upper).on("tool_arguments")).iter(events))
    said: dict[str, Any] = {}
    for event in out:
        for call in event["choices"][0]["delta"].get("tool_calls", ()):
            said |= call["function"].get("arguments", {})
    assert said == {"to": "JOE@HOME", "n": 1}
