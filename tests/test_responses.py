"""Items of the Responses API whose text goes on side by side, or is dropped: what leaves is a stream that OpenAI's SDK reads."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

import streamfilter as sf
from streamfilter.providers import vercel
from streamfilter.providers.openai import responses

Events = list[dict[str, Any]]

CALL = {"type": "function_call", "id": "i1", "call_id": "c1", "name": "pay", "status": "completed"}
TEXTS: dict[str, str] = {"i0": "let me see, 12345", "i1": '{"to": "12345"}', "i2": "the pin is 12345.", "i3": "no 12345"}
PIECE = 2
"""Characters of a delta: matches are cut, and what goes on beside them comes while they are held."""


def item(output: int) -> Events:
    """An item, as it streams: a thought, a call, an answer, a refusal."""
    name = f"i{output}"
    text, at = TEXTS[name], {"item_id": name, "output_index": output}
    pieces = [text[n : n + PIECE] for n in range(0, len(text), PIECE)]
    if output == 1:
        whole: dict[str, Any] = {**CALL, "arguments": text}
        before: dict[str, Any] = {"arguments": ""}
        base, begun = "response.function_call_arguments", Events()
        end: Events = [{"type": f"{base}.done", **at, "arguments": text, "name": "pay"}]
    else:
        field = "refusal" if output == 3 else "text"
        part = {"type": ["summary_text", "", "output_text", "refusal"][output], field: text}
        kind, where = ("reasoning_summary", "summary") if output == 0 else (part["type"], "content")
        at[f"{where}_index"] = 0
        base = "response.reasoning_summary_text" if output == 0 else f"response.{kind}"
        place = "response.reasoning_summary_part" if output == 0 else "response.content_part"
        begun = [{"type": f"{place}.added", **at, "part": {**part, field: ""}}]
        end = [{"type": f"{base}.done", **at, field: text}, {"type": f"{place}.done", **at, "part": part}]
        whole = {"type": "reasoning" if output == 0 else "message", "id": name, where: [part]}
        before = {where: []}
    return [
        {"type": "response.output_item.added", "output_index": output, "item": {**whole, **before}},
        *begun,
        *({"type": f"{base}.delta", **at, "delta": piece} for piece in pieces),
        *end,
        {"type": "response.output_item.done", "output_index": output, "item": whole},
    ]


def stream(items: Iterable[Events]) -> Events:
    """All of a response with these events of items."""
    head = {"id": "r", "object": "response", "created_at": 1, "model": "m", "parallel_tool_calls": True, "tools": []}
    events = list(itertools.chain.from_iterable(items))
    output = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    output.sort(key=lambda item: str(item["id"]))
    made = [
        {"type": "response.created", "response": {**head, "output": []}},
        *events,
        {"type": "response.completed", "response": {**head, "output": output}},
    ]
    return [{**event, "sequence_number": n} for n, event in enumerate(made)]


def woven(rng: random.Random, *, in_order: bool = False) -> Events:
    """The items side by side; they begin in their order, as clients expect, or in any."""
    left = [item(output) for output in range(4)]
    out = []
    while left := [each for each in left if each]:
        begun = [each for each in left if each[0]["type"] != "response.output_item.added"]
        out.append([rng.choice([*begun, *left[len(begun) :][:1]] if in_order else left).pop(0)])
    return stream(out)


def helped(events: Events) -> list[Any]:
    """What the SDK's helper gives for a stream."""
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    made = [construct_type(type_=ResponseStreamEvent, value=event) for event in events]
    return [each for event in made for each in state.handle_event(event)]  # type: ignore[arg-type]


STREAMS = {"one behind the other": stream(map(item, range(4)))} | {str(n): woven(random.Random(n)) for n in range(12)}
STREAMS |= {f"in order, {n}": woven(random.Random(n), in_order=True) for n in range(12)}
streams = pytest.mark.parametrize("name", STREAMS)


@streams
@pytest.mark.parametrize("stage", [sf.Redact("[0-9]{5}", to="#"), sf.Redact("[0-9]{5}", to="#") | sf.Sentences()], ids=repr)
def test_items_that_go_on_side_by_side_begin_before_their_text(name: str, stage: sf.Stage[str, str]) -> None:
    """Also where the text of another is held; and events are numbered one by one as they leave."""
    events = STREAMS[name]
    out = list(responses.wrap(stage).iter(events))
    assert [event["sequence_number"] for event in out] == list(range(len(out)))
    assert out[-1]["response"] == json.loads(json.dumps(events[-1]["response"]).replace("12345", "#"))
    assert helped(out)[-1].response.to_dict() == helped([*events[:-1], out[-1]])[-1].response.to_dict()


@streams
@pytest.mark.parametrize("kind", ["reasoning", "refusal", "answer", "tool_arguments"])
def test_what_is_dropped_takes_no_other_item_with_it(name: str, kind: str) -> None:
    """An item behind a thought is not pinned to that: OpenAI's SDK refuses text of one that has not begun."""
    out = list(responses.wrap(sf.Drop(kind)).iter(STREAMS[name]))
    assert [event["sequence_number"] for event in out] == list(range(len(out)))
    came = [event["output_index"] for event in STREAMS[name] if event["type"] == "response.output_item.added"]
    left = [event["output_index"] for event in out if event["type"] == "response.output_item.added"]
    if kind != "tool_arguments" or came == sorted(came):  # by chance it reads what begins in another order, if all is there
        helped(out)
    if kind == "tool_arguments":  # it is gone, and what stands behind it and begins later has moved up
        gone = came.index(1)
        came = [output - (output > 1 and n > gone) for n, output in enumerate(came) if output != 1]
        assert all(event.get("item", {}).get("type") != "function_call" for event in out)
        assert [each["type"] for each in out[-1]["response"]["output"]] == ["reasoning", "message", "message"]
    assert left == came


def test_an_item_that_begins_once_more_cuts_no_text() -> None:
    """Nor does a part of one."""
    again = item(2)
    events = stream([[*again[:9], *again[:2], *again[9:]]])
    out = list(responses.wrap(sf.Redact("[0-9]{5}", to="#")).iter(events))
    assert "".join(event["delta"] for event in out if event["type"].endswith(".delta")) == "the pin is #."


@pytest.mark.parametrize("kind", ["reasoning", "text"])
def test_a_part_whose_text_is_dropped_begins_and_ends(kind: str) -> None:
    """The front end of the AI SDK throws at the end of a part that it does not know."""
    events = [
        {"type": f"{kind}-{step}", "id": "p", **({"delta": "hm"} if step == "delta" else {})} for step in ("start", "delta", "end")
    ]
    out = list(vercel.wrap(sf.Drop("reasoning", "answer")).iter(events))
    assert out == [events[0], events[2]]


def of(output: dict[str, Any]) -> tuple[str, str]:
    """The type of an item, and what it says."""
    parts = [*output.get("summary", ()), *output.get("content", ())]
    said = "".join(part.get("text", part.get("refusal", "")) for part in parts)
    return output["type"], output.get("arguments", said)


@streams
def test_items_of_a_stream_that_was_stored_are_written_apart(name: str) -> None:
    """The numbers that they had are not those of the items that they become."""
    items: list[Any] = list(responses.Decode().iter(STREAMS[name]))
    for each in items:
        each.origin = None
    out: list[Any] = list(responses.Encode().iter(items))
    want = [of(output) for output in STREAMS[name][-1]["response"]["output"]]
    assert sorted(map(of, helped(out)[-1].response.to_dict()["output"])) == sorted(want)
    assert sorted(map(of, out[-1]["response"]["output"])) == sorted(want)
