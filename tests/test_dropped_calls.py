"""Calls that `Drop("tool_arguments")` takes out: nothing of them is left in any format, and what is left is what clients expect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter
from test_calls_whole import ANSWERS, IN_ONE, OWN
from test_foreign_calls import FORMATS, answer, calls, chunk, encode, formats, fragment, reasons

import streamfilter as sf
from streamfilter.items import Event, Item
from streamfilter.machine import Machine
from streamfilter.providers import anthropic, ollama, openai

DROP = sf.Drop("tool_arguments")
TOLD = ("joe@home", "pay", "call-1", "call-2")
"""What only the calls say."""

Events = list[dict[str, Any]]


def source() -> Events:
    """A chat completion: text, a call, text, two calls in one chunk, text."""
    both = fragment("", 1, "call-2", "pay")["choices"][0]["delta"]["tool_calls"][0]
    more = fragment('{"n": 1}', 2, "call-1x", "pay2")["choices"][0]["delta"]["tool_calls"][0]
    return [
        chunk({"role": "assistant", "content": "Hi "}),
        fragment("", 0, "call-1", "pay"),
        *(fragment(piece) for piece in ('{"to": "jo', 'e@home"}')),
        chunk({"content": "the"}),
        chunk({"tool_calls": [both, more]}),
        fragment('{"to": "joe@home"}', 1),
        chunk({"content": "re."}),
        chunk({}, "tool_calls"),
    ]


def written(name: str) -> list[Any]:
    """The same in another format."""
    return source() if name == "openai.chat" else list((openai.chat.Decode() | encode(name)).iter(source()))


def says_nothing(said: Any) -> bool:
    """Whether none of that is there."""
    text = json.dumps(said)
    return not any(told in text for told in TOLD)


@formats
def test_nothing_of_a_call_is_left(name: str) -> None:
    """Neither its beginning, nor its end, nor what says it once more; and all of the text is."""
    form, events = FORMATS[name], written(name)
    assert sorted(str(call) for call, _ in calls(form.Decode(), events)) == ["pay", "pay", "pay2"]
    assert not says_nothing(events)
    for way in (form.wrap(DROP), form.Decode() | DROP | encode(name)):
        out = list(way.iter(events))
        assert says_nothing([event for event in out if "result" not in event])  # where pydantic-ai quotes its history
        assert not any(isinstance(item, sf.ToolCall) for item in form.Decode().iter(out))
        assert answer(form.Decode(), out) == "Hi there."
        assert reasons(form.Decode(), out) == reasons(form.Decode(), events)


@pytest.mark.parametrize("case", IN_ONE)
def test_nothing_is_left_of_one_that_comes_whole(case: str) -> None:
    """Whatever part of it comes in one event, and that alone."""
    name, events = IN_ONE[case]
    form = FORMATS[name]
    for way in (form.wrap(DROP), form.Decode() | DROP | encode(name)):
        out = list(way.iter(events))
        assert says_nothing(out)
        assert calls(form.Decode(), out) == []


@formats
def test_nothing_is_left_in_an_answer_that_did_not_stream(name: str) -> None:
    """The call is gone from its list; what stands beside it there is not."""
    given = json.dumps(ANSWERS[name])
    out = FORMATS[name].filter_response(DROP, ANSWERS[name])
    assert says_nothing(out)
    assert out == ({"candidates": []} if name == "gemini" else without(ANSWERS[name]))  # there nothing else was said
    assert json.dumps(ANSWERS[name]) == given


def without(node: Any) -> Any:
    """An answer without what has the arguments in it."""
    if isinstance(node, list):
        return [without(each) for each in node if not any(OWN in (part, *values(part)) for part in [each, *values(each)])]
    return {name: without(value) for name, value in node.items()} if isinstance(node, dict) else node


def values(node: Any) -> list[Any]:
    """What the fields of an object have, if it is one that calls."""
    return [*node.values()] if isinstance(node, dict) and not {"choices", "message", "content"} & node.keys() else []


# ------------------------------------------------------------------ Anthropic's SDK

SDK: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
HEAD: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "x",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
}


def block(index: int, kind: str) -> list[Events]:
    """The events of a block: its beginning, its deltas, its end."""
    if kind == "tool_use":
        begun: dict[str, Any] = {"type": kind, "id": f"call-{index}", "name": "pay", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"to": "joe', '@home"}')]
    else:
        begun, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": f"{piece}{index}"} for piece in "ab"]
    return [
        [{"type": "content_block_start", "index": index, "content_block": begun}],
        [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        [{"type": "content_block_stop", "index": index}],
    ]


def message(blocks: Iterable[dict[str, Any]]) -> Events:
    """A message with these events of blocks."""
    return [
        {"type": "message_start", "message": {**HEAD, "usage": {"input_tokens": 1, "output_tokens": 1}}},
        *blocks,
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]


def accumulated(events: Iterable[Any]) -> list[Any]:
    """The blocks that the SDK makes of a message."""
    snapshot, buffers = None, dict[int, Any]()
    for event in events:
        snapshot = accumulate_event(event=SDK.validate_python(event), current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    return [each.to_dict() for each in snapshot.content]


KINDS = [
    ("tool_use",),
    ("tool_use", "text"),
    ("text", "tool_use", "text"),
    ("tool_use", "tool_use", "text", "tool_use", "text"),
    ("text", "text"),
]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize("woven", [False, True], ids=["one behind the other", "side by side"])
def test_the_blocks_behind_a_call_move_up(kinds: tuple[str, ...], woven: bool) -> None:
    """Anthropic's SDK finds a block where it stands: with a number left out it would not find the next one."""
    blocks = [block(index, kind) for index, kind in enumerate(kinds)]
    steps = [step for each in blocks for step in each]
    if woven:  # all begin, all go on, all end
        steps = [each[n] for n in range(3) for each in blocks]
    events = message(event for step in steps for event in step)
    want = [each for each in accumulated(events) if each["type"] == "text"]
    for way in (anthropic.messages.wrap(DROP), anthropic.messages.Decode() | DROP | encode("anthropic.messages")):
        out = list(way.iter([*events, *events]))  # a second message begins anew
        assert says_nothing(out)
        for half in (out[: len(out) // 2], out[len(out) // 2 :]):
            assert accumulated(half) == want
    if "tool_use" not in kinds:
        assert all(one is other for one, other in zip(out, [*events, *events], strict=True))


def test_what_the_helper_says_once_more_of_a_call_is_gone() -> None:
    """Its events have whole blocks, and the whole message, with the arguments that nobody was to see."""
    call, text = block(0, "tool_use"), block(1, "text")
    whole = {"type": "tool_use", "id": "call-0", "name": "pay", "input": {"to": "joe@home"}}
    said = {"type": "text", "text": "a1b1"}
    call[1].append({"type": "input_json", "partial_json": '@home"}', "snapshot": {"to": "joe@home"}})
    call[2][0] = {**call[2][0], "content_block": whole}
    text[2][0] = {**text[2][0], "content_block": said}
    events = message(event for each in (call, text) for step in each for event in step)
    events[-1] = {**events[-1], "message": {**HEAD, "content": [whole, said]}}
    out = list(anthropic.messages.wrap(DROP).iter(events))
    assert says_nothing(out)
    assert out[-1]["message"]["content"] == [said]


def test_lines_of_calls_that_are_dropped_are_not_kept() -> None:
    """Each line of Ollama waits for all that stands in it; of a call that was dropped, for its end."""
    call = {"function": {"name": "pay", "arguments": {"to": "joe@home"}}}
    lines: Events = [
        {"message": {"role": "assistant", "content": text, "tool_calls": [call, call]}, "done": text == "b"} for text in "ab"
    ]
    out = list(ollama.wrap(DROP).iter(lines))
    assert says_nothing(out)
    assert [each["message"]["content"] for each in out] == ["a", "b"]
    assert [each["done"] for each in out] == [False, True]


# ------------------------------------------------------------------ made anew


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("langchain", "pydantic_ai")])
def test_a_call_that_a_stage_begins_anew_is_there_once(name: str) -> None:
    """With its arguments, and nothing behind them: a client would add `{}` to what it has of them, which is no JSON then."""

    async def renamed(source: Any) -> Any:
        async for item in source:
            yield sf.ToolCall(item.id, "send", item.arguments) if isinstance(item, sf.ToolCall) else item

    form, events = FORMATS[name], written(name)
    out = through(form.Decode() | renamed | encode(name), events)
    said = [(call, given) for call, given in calls(form.Decode(), out)]
    assert sorted(said, key=repr) == sorted([("send", given) for _, given in calls(form.Decode(), events)], key=repr)
    assert answer(form.Decode(), out) == "Hi there."
    assert reasons(form.Decode(), out) == reasons(form.Decode(), events)
    if name == "anthropic.messages":
        kinds = [(each["type"], each.get("name"), each.get("input")) for each in accumulated(out)]
        assert kinds == [(kind, name and "send", given) for kind, name, given in as_named(accumulated(events))]


def as_named(blocks: list[Any]) -> list[tuple[str, Any, Any]]:
    """What a message's blocks are."""
    return [(each["type"], each.get("name"), each.get("input")) for each in blocks]


def through(stage: Any, events: Iterable[Any]) -> list[Any]:
    """What a stage makes of some events that has to be used in an event loop."""

    async def source() -> Any:
        for event in events:
            yield event

    async def made() -> list[Any]:
        async with stage(source()) as stream:
            return [event async for event in stream]

    return asyncio.run(made())


# ------------------------------------------------------------------ streams that are not as they should be


def item_events(output: int, item: dict[str, Any], *texts: str) -> Events:
    """An item of the Responses API, from its beginning to its end."""
    where = {"output_index": output, "item_id": item["id"]}
    kind = "function_call_arguments" if "arguments" in item else "output_text"
    begun = {**item, "arguments": ""} if "arguments" in item else {**item, "content": []}
    return [
        {"type": "response.output_item.added", "output_index": output, "item": begun},
        *({"type": f"response.{kind}.delta", **where, "content_index": 0, "delta": text} for text in texts),
        {"type": "response.output_item.done", "output_index": output, "item": item},
    ]


CREATED = {"type": "response.created", "response": {"id": "r", "output": []}}
PAY = {"type": "function_call", "id": "i", "call_id": "call-1", "name": "pay", "arguments": '{"to": "joe@home"}'}
SAID = {"type": "message", "id": "j", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]}


def completed(*items: dict[str, Any]) -> dict[str, Any]:
    """The end of a response."""
    return {"type": "response.completed", "response": {"id": "r", "output": list(items)}}


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "completed"])
def test_a_call_that_is_said_only_once_it_is_over_begins_there(is_done: bool) -> None:
    """Some services send no `output_item.added`, or only the end: it is a call with a name, and it can be dropped."""
    before = item_events(0, PAY)[1:] + item_events(1, SAID, "hi") if is_done else []
    events = [CREATED, *before, completed(PAY, SAID)]
    form = FORMATS["openai.responses"]
    assert calls(form.Decode(), events) == [("pay", {"to": "joe@home"})]
    assert list(form.wrap(sf.Redact("unsaid")).iter(events)) == events
    out = list(form.wrap(DROP).iter(events))
    want = [CREATED, *(item_events(0, SAID, "hi") if is_done else []), completed(SAID)]
    assert out == want


def test_numbers_that_come_again_without_a_beginning_are_other_parts() -> None:
    """Where a message or response has no beginning, a text may have the number that a call of the one before had."""
    text = [event for step in block(0, "text") for event in step]
    again = [
        event for number, kind in ((0, "tool_use"), (0, "text"), (1, "text")) for step in block(number, kind) for event in step
    ]
    form = FORMATS["anthropic.messages"]
    assert list(form.wrap(sf.Redact("unsaid")).iter(again)) == again
    assert list(form.wrap(DROP).iter(again)) == [*text, *(event for step in block(1, "text") for event in step)]
    form = FORMATS["openai.responses"]
    events = [CREATED, *item_events(0, PAY, PAY["arguments"]), completed(PAY), *item_events(0, SAID, "hi"), completed(SAID)]
    assert list(form.wrap(sf.Redact("unsaid")).iter(events)) == events
    assert list(form.wrap(DROP).iter(events))[-2:] == [item_events(0, SAID, "hi")[-1], completed(SAID)]


def test_a_call_that_ended_long_ago_has_not_been_dropped() -> None:
    """What the AI SDK says of it once more, behind more calls than are remembered, leaves."""
    begun: Events = [{"type": "tool-input-start", "toolCallId": f"c{n}", "toolName": "pay"} for n in range(600)]
    ends: Events = [
        {"type": "tool-input-available", "toolCallId": f"c{n}", "toolName": "pay", "input": {"n": n}} for n in range(600)
    ]
    pairs = [event for both in zip(begun, ends, strict=True) for event in both]
    events = [{"type": "start"}, *pairs, ends[0], {"type": "finish"}]
    assert list(FORMATS["vercel"].wrap(sf.Redact("unsaid")).iter(events)) == events


class Holding(Machine):
    """Lets a call out when it ends, whatever else has left meanwhile."""

    def __init__(self) -> None:
        self._held: dict[sf.Channel, list[Item]] = {}

    def feed(self, item: Item) -> list[Item]:
        channel = item.channel if isinstance(item, sf.TextDelta) else item.arguments if isinstance(item, sf.ToolCall) else None
        if channel is not None and channel.kind == "tool_arguments":
            self._held.setdefault(channel, []).append(item)
            return []
        ended = item.scope if isinstance(item, Event) and isinstance(item.scope, sf.Channel) else None
        return [*(self._held.pop(ended, []) if ended is not None else []), item]


@sf.stage
class Hold(sf.Stage[str, str]):
    """Such a stage."""

    def machine(self, context: sf.Context | None = None) -> Machine:
        return Holding()

    def explanation(self) -> str:
        return "holds calls"


def test_a_call_that_was_only_held_is_whole_behind_what_left_before_it() -> None:
    """Its blocks and those that began meanwhile have numbers of their own, in the order in which they begin."""
    blocks = [block(index, kind) for index, kind in enumerate(("tool_use", "text", "tool_use", "text"))]
    events = message(event for n in range(3) for each in blocks for event in each[n])
    first, second, third, last = accumulated(events)
    for way in (anthropic.messages.wrap(Hold()), anthropic.messages.Decode() | Hold() | encode("anthropic.messages")):
        assert accumulated(way.iter(events)) == [second, last, first, third]
