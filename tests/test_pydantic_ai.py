"""What agents of pydantic-ai stream: real events of real runs, filtered like their whole texts, the result of the run too."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers import detect, pydantic_ai
from streamfilter.testing.planting import fragments, plantings

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")


def start(index: int, kind: str, **rest: Any) -> dict[str, Any]:
    """A part begins."""
    return {"event_kind": "part_start", "index": index, "part": {"part_kind": kind, **rest}}


def delta(index: int, kind: str, **rest: Any) -> dict[str, Any]:
    """It goes on."""
    return {"event_kind": "part_delta", "index": index, "delta": {"part_delta_kind": kind, **rest}}


def end(index: int, kind: str, **rest: Any) -> dict[str, Any]:
    """It ends."""
    return {"event_kind": "part_end", "index": index, "part": {"part_kind": kind, **rest}}


CALL = {"tool_name": "f", "tool_call_id": "c1"}

EVENTS: list[dict[str, Any]] = [
    start(0, "thinking", content="hm "),
    delta(0, "thinking", content_delta="so", provider_details={"note": "n"}),
    delta(0, "thinking", content_delta=None, signature_delta="AA"),
    end(0, "thinking", content="hm so", signature="AA"),
    start(1, "tool-call", args='{"a": "b', **CALL),
    delta(1, "tool_call", args_delta='c"}', tool_call_id="c1"),
    end(1, "tool-call", args='{"a": "bc"}', **CALL),
    {"event_kind": "function_tool_call", "part": {"part_kind": "tool-call", "args": '{"a": "bc"}', **CALL}},
    {
        "event_kind": "function_tool_result",
        "part": {"part_kind": "tool-return", "content": {"found": ["x"]}, **CALL},
        "content": "y",
    },
    start(0, "text", content="I say "),
    {"event_kind": "final_result", "tool_name": None, "tool_call_id": None},
    delta(0, "text", content_delta="so "),
    delta(0, "text", content_delta="now"),
    end(0, "text", content="I say so now", provider_details={"note": "n"}),
    start(1, "tool-call", args={"e": {"f": "g"}}, **CALL),
    delta(1, "tool_call", args_delta={"h": "i"}),
    start(2, "file", content={"url": "u"}),
    {"event_kind": "agent_run_result", "result": {"output": "I say so now"}},
]


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a delta."""
    if path in (("delta", "content_delta"), ("delta", "args_delta")):
        return event["index"], event["delta"]["part_delta_kind"]
    return None


def test_a_secret_in_any_field_does_not_come_out() -> None:
    """Whole or in halves, wherever it is planted."""
    places = 0
    for place, planted in plantings(EVENTS, SECRET, spared=pydantic_ai.OPAQUE, goes_on=goes_on):
        assert not fragments(pydantic_ai.wrap(GUARD).iter(planted), SECRET), place
        places += 1
    assert places > 10


def test_what_no_rule_matches_leaves_as_it_came() -> None:
    """The very events; but for keys of calls, which wait."""
    out = list(pydantic_ai.wrap(sf.Redact("\x00")).iter(EVENTS))
    assert [event for event in out if event.get("index") != 1] == [event for event in EVENTS if event.get("index") != 1]
    assert detect(EVENTS[0]) == "pydantic_ai"
    assert "".join(sf.text_of(EVENTS)) == "I say so now"


def test_a_stopped_run_ends_its_parts() -> None:
    """With what they have said."""
    out = list(pydantic_ai.wrap(sf.StopAt("so ")).iter(EVENTS[9:]))
    assert out[-1] == {"event_kind": "part_end", "index": 0, "part": {"part_kind": "text", "content": "I say "}}


# ------------------------------------------------------------------ with pydantic-ai itself


def read(pipeline: Any, say: Callable[[int], list[Any]]) -> list[Any]:
    """The events of an agent's run, whose model says this in each of its responses."""
    package = pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
    function = pytest.importorskip("pydantic_ai.models.function")
    turns = iter(range(9))

    async def stream(messages: Any, info: Any) -> AsyncIterator[Any]:
        for each in say(next(turns)):
            yield each

    def find(what: str) -> str:
        """Find it."""
        return f"found {what}"

    agent = package.Agent(function.FunctionModel(stream_function=stream), tools=[find])

    async def events() -> list[Any]:
        found = []
        async with agent.run_stream_events("hm") as given, pydantic_ai.wrap(pipeline)(given) as stream_of_events:
            async for event in stream_of_events:
                found.append(event)  # noqa: PERF401
        return found

    return asyncio.run(events())


def test_the_text_of_a_real_run_is_filtered_everywhere() -> None:
    """In its pieces, at the end of its part, in the result, and in the messages that the result keeps."""
    out = read(GUARD, lambda _: ["my Zq7-", "kestrel", "-Wx4 is ", "here"])
    kinds = [event.event_kind for event in out]
    pieces = [
        event.part.content if event.event_kind == "part_start" else event.delta.content_delta
        for event in out
        if event.event_kind in ("part_start", "part_delta")
    ]
    assert "".join(pieces) == "my █ is here"
    assert [event.part.content for event in out if event.event_kind == "part_end"] == ["my █ is here"]
    assert kinds[-1] == "agent_run_result"
    assert out[-1].result.output == "my █ is here"
    assert "kestrel" not in repr(out)
    assert "kestrel" not in repr([dataclasses.asdict(message) for message in out[-1].result.all_messages()])


def test_the_calls_of_a_real_run_are_filtered() -> None:
    """Their arguments in pieces and whole; what the tool gave is a quote."""
    function = pytest.importorskip("pydantic_ai.models.function", reason="pydantic-ai is not installed")

    def say(turn: int) -> list[Any]:
        if turn:
            return ["it is ", "there"]
        first = function.DeltaToolCall(name="find", json_args='{"what": "Zq7-kes', tool_call_id="c1")
        return [{0: first}, {0: function.DeltaToolCall(json_args='trel-Wx4"}')}]

    out = read(GUARD, say)
    assert "kestrel" not in repr(out)
    assert "found █" in repr(out)
    ends = [event.part for event in out if event.event_kind == "part_end"]
    assert ends[0].args_as_dict() == {"what": "█"}
    assert out[-1].result.output == "it is there"
    assert "kestrel" not in repr(out[-1].result.all_messages())
