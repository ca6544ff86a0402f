"""Calls whose arguments come whole, as an object and not as JSON text: none is lost, and none is there twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter
from test_foreign_calls import FORMATS, calls, encode, formats

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, openai, vercel

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


# ------------------------------------------------------------------ what they name

OWN: dict[str, Any] = dict.fromkeys(("id", "type", "role", "name", "model", "state", "status", "signature"), "to joe@home")
OWN |= {"joe@home": 1, "deep": [{"type": "x", "id": ["joe@home"]}]}
"""Arguments that a tool has named as providers name what is no text."""


def shown(value: Any) -> Any:
    """What a guard is to leave of arguments, names of fields included."""
    return json.loads(json.dumps(value).replace("joe@home", "[who]"))


@cases
def test_fields_of_arguments_are_no_fields_of_the_provider(case: str) -> None:
    """Whatever a tool calls `id` or `type` is text, in a stream that is wrapped and in one that is decoded."""
    name, _ = CASES[case]
    events = json.loads(json.dumps(CASES[case][1]).replace(json.dumps(GIVEN), json.dumps(OWN)))
    guard, form = sf.Redact("joe@home", to="[who]"), FORMATS[name]
    assert calls(form.Decode(), form.wrap(guard).iter(events)) == [("pay", shown(OWN))]
    assert "joe@home" not in json.dumps(list(form.wrap(guard).iter(events)))
    assert calls(form.Decode(), (form.Decode() | guard | encode(name)).iter(events)) == [("pay", shown(OWN))]


def test_a_call_in_a_single_event_is_filtered() -> None:
    """A tool's input of which no delta has come, and that of a call whose input was wrong."""
    for kind in ("tool-input-available", "tool-input-error"):
        event = {"type": kind, "toolCallId": "t", "toolName": "pay", "input": OWN}
        assert list(vercel.wrap(sf.Redact("joe@home", to="[who]")).iter([event])) == [{**event, "input": shown(OWN)}]


UI_PART = {"toolCallId": "t", "state": "input-available", "input": OWN}
ANSWERS: dict[str, Any] = {
    "anthropic.messages": {
        "type": "message",
        "role": "assistant",
        "content": [{"type": kind, "id": "t", "name": "pay", "input": OWN} for kind in ("tool_use", "server_tool_use")],
    },
    "openai.chat": {
        "choices": [{"index": 0, "message": {"tool_calls": [{"id": "t", "function": {"name": "pay", "arguments": OWN}}]}}]
    },
    "openai.responses": {"output": [{"type": "function_call", "id": "t", "call_id": "t", "name": "pay", "arguments": OWN}]},
    "bedrock": {"output": {"message": {"content": [{"toolUse": {"toolUseId": "t", "name": "pay", "input": OWN}}]}}},
    "gemini": {"candidates": [{"content": {"parts": [{"functionCall": {"name": "pay", "args": OWN}}]}}]},
    "ollama": {"message": {"content": "", "tool_calls": [{"function": {"name": "pay", "arguments": OWN}}]}, "done": True},
    "vercel": {"id": "m", "role": "assistant", "parts": [{"type": "tool-pay", **UI_PART}, {"type": "dynamic-tool", **UI_PART}]},
    "langchain": {"type": "ai", "content": "", "tool_calls": [{"name": "pay", "args": OWN, "id": "t", "type": "tool_call"}]},
    "pydantic_ai": {
        "kind": "response",
        "parts": [{"part_kind": "tool-call", "tool_name": "pay", "args": OWN, "tool_call_id": "t"}],
    },
}
"""A call in answers that did not stream."""


@formats
def test_arguments_in_an_answer_that_did_not_stream_are_filtered(name: str) -> None:
    """As in one that did: through the whole pipeline; the names of fields, which no other stage changes, through its guards."""
    given = json.dumps(ANSWERS[name])
    filtered = FORMATS[name].filter_response
    assert filtered(sf.Redact("joe@home", to="[who]"), ANSWERS[name]) == shown(ANSWERS[name])
    assert filtered(sf.Replace("home", to="HOME", channels=("answer",)), ANSWERS[name]) == ANSWERS[name]
    louder = filtered(sf.Replace("home", to="HOME", channels=("tool_arguments",)), ANSWERS[name])
    assert louder == json.loads(given.replace("joe@home", "joe@HOME").replace('"joe@HOME": 1', '"joe@home": 1'))
    assert json.dumps(ANSWERS[name]) == given


QUOTED: dict[str, Any] = {
    "langchain": {"event": "on_chat_model_end", "run_id": "r", "name": "M", "data": {"output": ANSWERS["langchain"]}},
    "pydantic_ai": {"event_kind": "function_tool_call", "part": ANSWERS["pydantic_ai"]["parts"][0]},
}


@pytest.mark.parametrize("name", QUOTED)
def test_what_the_arguments_of_a_call_say_that_is_quoted_is_filtered(name: str) -> None:
    """Of one that did not stream, or in another stream: each of its strings, wherever it stands."""
    own = {key: value for key, value in OWN.items() if key != "joe@home"}
    event = json.loads(json.dumps(QUOTED[name]).replace(json.dumps(OWN), json.dumps(own)))
    assert list(FORMATS[name].wrap(sf.Redact("joe@home", to="[who]")).iter([event])) == [shown(event)]


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


# ------------------------------------------------------------------ between the reading and the writing of one format


def said_at(events: Events, before: Any, after: Any) -> Events:
    """Events that say something else in the place of some arguments."""
    return json.loads(json.dumps(events).replace(json.dumps(before), json.dumps(after)))  # type: ignore[no-any-return]


AVAILABLE: Events = [
    {"type": "start"},
    {"type": "tool-input-available", "toolCallId": "t", "toolName": "pay", "input": GIVEN},
    {"type": "finish"},
]
PART = CASES["pydantic_ai"][1]
CONTENT = {"message": {"role": "assistant", "content": ""}}
IN_ONE: dict[str, tuple[str, Events]] = {
    **CASES,
    "chat, behind the name": ("openai.chat", [*chunks()[:1], *chunks(arguments=GIVEN, name=None)]),
    "chat, of old": (
        "openai.chat",
        [{"choices": [{"index": 0, "delta": {"function_call": {"name": "pay", "arguments": GIVEN}}}]}, chunks()[1]],
    ),
    "responses, as it begins": (
        "openai.responses",
        [*response()[:1], {**response()[3], "type": "response.output_item.added"}, *response()[3:]],
    ),
    "vercel, without a start": ("vercel", AVAILABLE),
    "vercel, refused": ("vercel", [AVAILABLE[0], {**AVAILABLE[1], "type": "tool-input-error", "errorText": "no"}, AVAILABLE[2]]),
    "pydantic_ai, behind the name": (
        "pydantic_ai",
        [
            *said_at(PART, GIVEN, None),
            {"event_kind": "part_delta", "index": 0, "delta": {"part_delta_kind": "tool_call", "args_delta": GIVEN}},
        ],
    ),
    "pydantic_ai, and its end": ("pydantic_ai", [*PART, {**PART[0], "event_kind": "part_end"}]),
    "ollama": (
        "ollama",
        [
            {"message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "pay", "arguments": GIVEN}}]}},
            {**CONTENT, "done": True, "done_reason": "stop"},
        ],
    ),
    "gemini": (
        "gemini",
        [
            {"candidates": [{"index": 0, "content": {"parts": [{"functionCall": {"name": "pay", "args": GIVEN}}]}}]},
            {"candidates": [{"index": 0, "content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]},
        ],
    ),
}
AS_TEXT = {name: (form, said_at(events, GIVEN, json.dumps(GIVEN))) for name, (form, events) in IN_ONE.items()}
for none in ("ollama", "gemini", "anthropic", "vercel", "vercel, without a start"):  # these have no such arguments
    del AS_TEXT[none]
STAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing": (sf.Pipeline(), GIVEN),
    "nothing found": (sf.Redact("\x00"), GIVEN),
    "a change": (sf.Redact("joe@home", to="[who]"), {"to": "[who]", "n": 1}),
    "a change within": (sf.Redact("e@h", to="e at h"), {"to": "joe at home", "n": 1}),
    "a hold": (sf.Redact("joe@home and more"), GIVEN),
    "units": (sf.Words().on("tool_arguments"), GIVEN),
    "a stop": (sf.StopAt("@home").on("tool_arguments"), {"to": "joe"}),
}


def arguments_in(node: Any) -> list[Any]:
    """What stands in some events where arguments do."""
    if isinstance(node, list):
        return [found for each in node for found in arguments_in(each)]
    if not isinstance(node, dict):
        return []
    own = [node[name] for name in ("arguments", "args", "args_delta", "input") if name in node]
    return own + [found for each in node.values() for found in arguments_in(each)]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("case", IN_ONE)
def test_arguments_that_come_whole_are_written_whole_in_their_own_format(case: str, stage: str) -> None:
    """Where an object stood, one stands: no piece of it, and no `{}`, in whatever pieces a stage gives its text."""
    name, events = IN_ONE[case]
    through, want = STAGES[stage]
    ways = [FORMATS[name].Decode() | through | encode(name), FORMATS[name].wrap(through)]
    if name == "vercel" and stage == "a stop":
        ways.pop()  # there they are a quote, which only guards filter
    for way in ways:
        out = list(way.iter(events))
        if stage == "a stop" and name in ("ollama", "gemini"):  # a call that was stopped does not leave
            assert calls(FORMATS[name].Decode(), out) == []
            continue
        assert calls(FORMATS[name].Decode(), out) == [("pay", want)]
        if name == "anthropic.messages":  # a block begins at once, and deltas take the place of what it begins with
            continue
        assert {} not in arguments_in(out)
        if stage != "a stop" and name != "gemini":  # which may give an end an event of its own
            assert out == said_at(events, GIVEN, want)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("case", AS_TEXT)
def test_arguments_that_come_as_one_text_are_written_in_their_own_format(case: str, stage: str) -> None:
    """In as many pieces as a stage gives: added up they are the arguments."""
    name, events = AS_TEXT[case]
    through, want = STAGES[stage]
    out = list((FORMATS[name].Decode() | through | encode(name)).iter(events))
    assert calls(FORMATS[name].Decode(), out) == [("pay", want)]


WAITING = {name: IN_ONE[name] for name in ("chat", "bedrock", "langchain", "pydantic_ai", "vercel, without a start")}


@pytest.mark.parametrize("case", WAITING)
def test_half_of_the_arguments_waits_for_the_other(case: str) -> None:
    """Whatever else leaves in between; and if it never comes, or the call is stopped, nothing of these arguments is said."""
    name, events = WAITING[case]
    items = list(FORMATS[name].Decode().iter(events))
    at = next(n for n, item in enumerate(items) if isinstance(item, sf.TextDelta))
    text = items[at]
    assert isinstance(text, sf.TextDelta)
    head, tail = (sf.TextDelta(part, text.channel, text.origin) for part in (text.text[:9], text.text[9:]))
    other = sf.TextDelta("Hi", sf.Channel("answer", (0, 0, "content")))
    out = list(encode(name).iter([*items[:at], head, other, tail, *items[at + 1 :]]))
    assert calls(FORMATS[name].Decode(), out) == WANT
    assert {} not in arguments_in(out)
    for ending in ([], [sf.End("stop")], [sf.Finish("length", scope=(0, 0))], [sf.Finish("stop", scope=(0, 0), stopped=True)]):
        out = list(encode(name).iter([*items[:at], head, *ending]))
        assert not any(arguments_in(out))
        assert {} not in arguments_in(out)


def test_text_beside_arguments_that_come_whole_does_not_wait() -> None:
    """It leaves as it comes."""
    fragment = {"index": 0, "name": None, "args": GIVEN, "id": None}
    event = {"type": "AIMessageChunk", "content": "Hi", "id": "run-1", "tool_call_chunks": [fragment]}
    out = list(encode("langchain").iter(list(FORMATS["langchain"].Decode().iter([event]))[:1]))
    assert [each["content"] for each in out] == ["Hi"]
    assert {} not in arguments_in(out)
    out = list((FORMATS["langchain"].Decode() | encode("langchain")).iter([event]))
    assert "".join(each["content"] for each in out) == "Hi"
    assert [each for each in arguments_in(out) if each] == [json.dumps(GIVEN)]  # a later part, which is text as in its own chunks


def test_text_of_a_call_s_chunk_is_not_overtaken() -> None:
    """It leaves before the arguments, which wait, and so before what comes in later chunks."""
    begun = chunks(arguments=GIVEN)[0]
    begun["choices"][0]["delta"]["content"] = "x"
    events = [begun, {"choices": [{"index": 0, "delta": {"content": "y"}, "finish_reason": None}]}, chunks()[1]]
    items = list(FORMATS["openai.chat"].Decode().iter(events))
    late = [item for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "tool_arguments"]
    order = [*(item for item in items[:-1] if item not in late), *late, items[-1]]
    for given in (items, order):
        out = list(encode("openai.chat").iter(given))
        assert "".join(each["choices"][0]["delta"].get("content", "") for each in out) == "xy"
        assert calls(FORMATS["openai.chat"].Decode(), out) == WANT


@pytest.mark.parametrize("case", ["chat", "vercel, without a start", "ollama", "pydantic_ai"])
def test_arguments_that_a_stage_makes_anew_are_those_of_their_call(case: str) -> None:
    """They come from no event, and the call has its id and name all the same."""

    async def louder(source: Any) -> Any:
        async for item in source:
            is_text = isinstance(item, sf.TextDelta) and item.channel.kind == "tool_arguments"
            yield sf.TextDelta(item.text.replace("joe", "JOE"), item.channel) if is_text else item

    name, events = IN_ONE[case]

    async def source() -> Any:
        for event in events:
            yield event

    async def made() -> list[Any]:
        async with (FORMATS[name].Decode() | louder | encode(name))(source()) as stream:
            return [event async for event in stream]

    out = asyncio.run(made())
    assert calls(FORMATS[name].Decode(), out) == [("pay", {"to": "JOE@home", "n": 1})]


def test_a_block_that_is_closed_has_begun() -> None:
    """Also where its arguments are dropped: Anthropic's SDK counts them."""
    out = list(anthropic.messages.wrap(sf.Drop("tool_arguments")).iter(message()))
    kinds = [event["type"] for event in out]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")
