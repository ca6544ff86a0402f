"""Agents: one stream with several responses of a model, and a pause between them while a tool runs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.items import Finish, TextDelta, ToolCall
from streamfilter.providers import anthropic, bedrock, gemini, ollama, openai

FORMATS = [openai.chat, openai.responses, anthropic.messages, gemini, bedrock, ollama]
formats = pytest.mark.parametrize("form", FORMATS, ids=[form.FORMAT.name for form in FORMATS])
SAFE = sf.Redact(r"\d{4}", to="####")


def turn(form: Any, answer: tuple[str, ...], arguments: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """One response as events: some text, and a call of a tool."""
    text, call = sf.Channel("answer", (0, 0, "said")), sf.Channel("tool_arguments", (0, 0, "called", 0))
    items: list[Any] = [TextDelta(piece, text) for piece in answer]
    if arguments:
        items += [ToolCall("call_1", "look", call, scope=call), *(TextDelta(piece, call) for piece in arguments)]
    items.append(Finish("tool_calls" if arguments else "stop", scope=(0, 0)))
    return list(form.Encode(model="m").iter(items))


def said(form: Any, events: list[Any], kind: str = "answer") -> str:
    """All that events say."""
    items = form.Decode().iter(events)
    return "".join(item.text for item in items if isinstance(item, TextDelta) and item.channel.kind == kind)


def framed(form: Any, events: list[dict[str, Any]]) -> bytes:
    """The same events as a body."""
    return b"".join(form.wrap(sf.Pipeline()).iter(form.Encode(as_bytes=True).iter([])))[:0] + b"".join(
        _frame(form, event) for event in events
    )


def _frame(form: Any, event: dict[str, Any]) -> bytes:
    if form is ollama:
        return json.dumps(event).encode() + b"\n"
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


@formats
def test_turns_do_not_mix(form: Any) -> None:
    """What one answer ends with and the next begins with is no match, in text and in arguments; all is as it came."""
    first = turn(form, ("pin ", "12"), ('{"q": "12', '"}'))
    second = turn(form, ("34", " ok"), ('{"q": "34"}',))
    events = [*first, *second]
    out = list(form.wrap(SAFE).iter(events))
    assert said(form, out) == said(form, first) + said(form, second) == "pin 1234 ok"
    for kind in ("answer", "tool_arguments"):
        assert said(form, out, kind) == said(form, events, kind)


MADE = re.compile(r"[0-9a-f]{10,}|[0-9-]{10}T[0-9:.]+")
"""Ids and times, which may have any digits."""


@formats
def test_every_turn_is_filtered(form: Any) -> None:
    """Each as it would be alone: text, arguments, and what repeats them; as dicts and as bytes cut anywhere."""
    turns = [
        turn(form, ("pin 12", "34 it is."), ('{"q": "55', '66"}')),
        turn(form, ("So 78", "90."), ('{"q": "1212"}',)),
        turn(form, ("Done 3434",)),
    ]
    out = list(form.wrap(SAFE).iter([event for each in turns for event in each]))
    assert said(form, out) == "pin #### it is.So ####.Done ####"
    alone = [said(form, list(form.wrap(SAFE).iter(each)), "tool_arguments") for each in turns]
    assert said(form, out, "tool_arguments") == "".join(alone)
    written = MADE.sub("", json.dumps(out))
    assert not any(secret in written for secret in ("1234", "5566", "7890", "1212", "3434"))
    raw = framed(form, [event for each in turns for event in each])
    whole = b"".join(form.wrap(SAFE).iter([raw]))
    for size in (1, 7, 100):
        shown = b"".join(form.wrap(SAFE).iter([raw[at : at + size] for at in range(0, len(raw), size)]))
        assert said(form, [shown]) == said(form, [whole]) == "pin #### it is.So ####.Done ####"
        written = MADE.sub("", shown.decode(errors="replace"))
        assert not any(secret in written for secret in ("1234", "5566", "7890", "1212", "3434"))


@formats
def test_nothing_is_held_while_the_tool_runs(form: Any) -> None:
    """When a response has ended, all of its text has left, though a match might have gone on."""
    machine: Any = form.wrap(SAFE).machine()
    out = [each for event in turn(form, ("pin ", "12"), ('{"q": "12"}',)) for each in machine.feed(event)]
    assert machine.held == 0
    assert said(form, out) == "pin 12"
    later = [each for event in turn(form, ("34",)) for each in machine.feed(event)]
    assert said(form, later) == "34"


@formats
def test_a_stop_in_a_later_turn_ends_the_stream(form: Any) -> None:
    """What came before it has left; the ending is the format's own, of what was open."""
    events = [*turn(form, ("one",), ('{"q": 1}',)), *turn(form, ("two STOP three",)), *turn(form, ("four",))]
    out = list(form.wrap(sf.StopAt("STOP")).iter(events))
    assert said(form, out) == "onetwo "
    reasons = [item.reason for item in form.Decode().iter(out) if isinstance(item, Finish)]
    assert len(reasons) == 2


def test_a_call_of_a_function_is_no_call_of_a_server() -> None:
    """The Responses API has an event for each; a client puts the arguments together by its name."""
    kinds = {event["type"] for event in turn(openai.responses, (), ('{"q": 1}',))}
    assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= kinds
    assert not any("mcp" in kind for kind in kinds)


def test_the_ending_of_a_later_response_says_only_what_that_said() -> None:
    """Also of text that comes from no event."""
    channel = sf.Channel("answer", (0, 0, "said"))
    events = [*turn(openai.responses, ("one",)), *turn(openai.responses, ("two STOP three",))]
    out = list(openai.responses.wrap(sf.StopAt("STOP")).iter(events))
    assert [event["text"] for event in out if event["type"] == "response.output_text.done"] == ["one", "two "]
    assert [len(event["response"]["output"]) for event in out if event["type"] == "response.completed"] == [1, 1]
    assert said(openai.responses, [*openai.responses.Encode().iter([TextDelta("one", channel), "two"])]) == "onetwo"
