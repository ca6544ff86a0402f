"""The stages that read JSON, fact by fact: what mutants of them showed that nothing had stated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from fuzzing import ways

import streamfilter as sf
from streamfilter.json.calls import Call, ToolCalls
from streamfilter.json.items import JSONItems


def fed(stage: Any, items: Sequence[Any]) -> tuple[list[Any], sf.End | None]:
    """What a machine gives, and the end that it gives last. It says whether it has given one, and gives nothing behind it."""
    machine = stage.machine()
    out: list[Any] = []
    for item in items:
        if not machine.ended:
            out += machine.feed(item)
    out += machine.finish()
    end = out.pop() if out and isinstance(out[-1], sf.End) else None
    assert machine.ended is (end is not None)
    assert not any(isinstance(item, sf.End) for item in out)
    assert not (machine.ended and machine.finish())
    return out, end


# ------------------------------------------------------------------ calls


def channel(number: int, choice: int = 0) -> sf.Channel:
    return sf.Channel("tool_arguments", (0, choice, "tool_calls", number))


def begins(where: sf.Channel, name: str | None = "f") -> sf.ToolCall:
    return sf.ToolCall(None, name, where, scope=where)


THREE = [channel(0), channel(1), channel(0, choice=1)]

BARRIERS: list[tuple[sf.Event, list[sf.Channel]]] = [
    (sf.Finish("tool_calls"), THREE),
    (sf.Finish("tool_calls", scope=(0, 0)), THREE[:2]),
    (sf.Finish("tool_calls", scope=(0, 1)), THREE[2:]),
    (sf.Event(scope=channel(1), boundary=True), [channel(1)]),
    (sf.Event(scope=channel(1)), []),
    (sf.Event(scope=None), []),
    (sf.Event(scope=None, boundary=True), []),
    (sf.Event(), []),
    (sf.TextDelta("text", sf.Channel("answer", channel(0).key)), []),
]


@pytest.mark.parametrize(("event", "over"), BARRIERS, ids=repr)
@pytest.mark.parametrize("written", [["", "", ""], ["12", "", "1e3"], ['{"a": 1}', "12", ""]], ids=repr)
def test_calls_are_over_at_a_barrier_above_them(event: sf.Event, over: list[sf.Channel], written: list[str]) -> None:
    """Those that it covers, then; the others when they are. A number may go on until then, and where nothing came there is `{}`."""
    for size in (1, 9):
        machine: Any = ToolCalls().machine()
        before: list[Any] = []
        for where, text in zip(THREE, written, strict=True):
            before += machine.feed(begins(where))
            for at in range(0, len(text), size):
                before += machine.feed(sf.TextDelta(text[at : at + size], where))
        assert {call.channel for call in before if call.complete} == {
            w for w, text in zip(THREE, written, strict=True) if "}" in text
        }
        values = {where: json.loads(text or "{}") for where, text in zip(THREE, written, strict=True) if "}" not in text}
        for given, wanted in ((machine.feed(event), over), (machine.finish(), [where for where in THREE if where not in over])):
            assert [*given] == [Call(None, "f", values[where], True, where) for where in wanted if where in values]
        assert not machine.ended


def test_what_ends_inside_of_a_call_is_told_behind_the_calls_before_it() -> None:
    """At a barrier, at the end of the source, and where a stage before it has ended the stream; those behind it are not over."""
    items = [*map(begins, THREE), sf.TextDelta('{"a": 1', THREE[1])]
    for last in ([], [sf.Finish("stop")], [sf.End("stop")]):
        out, end = fed(ToolCalls(), [*items, *last])
        assert [(call.channel, call.arguments) for call in out if call.complete] == [(THREE[0], {})]
        assert end is not None
        assert isinstance(end.error, sf.TruncatedInput)
        assert end.error.offset == 7
        out, end = fed(ToolCalls(truncated="partial"), [*items, *last])
        assert [call.channel for call in out if call.complete] == [THREE[0], THREE[2]]
        assert end is None if not last or isinstance(last[0], sf.Finish) else end is last[0]


def test_a_stage_before_the_calls_ends_them() -> None:
    """As its source would. What it refuses is its own, and no call is over then."""
    calls: list[sf.Item] = [*map(begins, THREE), sf.TextDelta("[1]", THREE[1])]
    stopped, refused = sf.End("stop"), sf.End("error", ValueError())
    out, end = fed(ToolCalls(), [*calls, stopped])
    assert end is stopped
    assert {call.channel: call.arguments for call in out if call.complete} == {THREE[1]: [1], THREE[0]: {}, THREE[2]: {}}
    out, end = fed(ToolCalls(), [*calls, refused])
    assert end is refused
    assert [call.channel for call in out if call.complete] == [THREE[1]]
    for items, error in (
        ([*map(begins, THREE), "so: bad"], None),
        ([*map(begins, THREE), sf.TextDelta('{"a": 1', THREE[0]), "so: bad"], sf.TruncatedInput),
    ):
        stage: Any = sf.Block("bad", action="stop") | ToolCalls()
        found: list[Call] = []
        raised: Exception | None = None
        try:
            for call in stage.iter(items):
                found.append(call)  # noqa: PERF402  # what was given before an exception counts
        except sf.StreamFilterError as wrong:
            raised = wrong
        assert (type(raised) if raised else None) == error
        assert [call.channel for call in found if call.complete] == ([] if error else THREE)


def test_arguments_may_come_of_a_call_that_nobody_has_named() -> None:
    """They are plain, and its name and id are none until somebody says them; what is said first stays."""
    text = '{"a": [1, "x"]}'
    for pieces in ways(text, [99]):
        out, end = fed(ToolCalls(models={"f": int}), [sf.TextDelta(piece, THREE[0]) for piece in pieces])
        assert end is None
        assert out[-1] == Call(None, None, json.loads(text), True, THREE[0])
        assert not any(call.complete for call in out[:-1])
        if len(pieces) == len(text):
            assert [call.arguments for call in out[:-1]] == [{}, {"a": []}, {"a": [1]}, {"a": [1, ""]}, {"a": [1, "x"]}]
    said = [sf.ToolCall(id_, name, THREE[0]) for id_, name in (("", ""), ("1", None), (None, "f"), ("2", "g"))]
    out, end = fed(ToolCalls(), [*said, sf.TextDelta("{}", THREE[0])])
    assert out == [Call("1", "f", {}, True, THREE[0])]


@pytest.mark.parametrize(("text", "limit", "most"), [('{"a": [[1]]}', "max_depth", 3), ('{"a": "long"}', "max_string", 4)])
def test_limits_hold_in_arguments(text: str, limit: str, most: int) -> None:
    """Each its own."""
    less: Any = {limit: most - 1}
    enough: Any = {limit: most}
    for pieces in ways(text, [99]):
        _, end = fed(ToolCalls(**less), [sf.TextDelta(piece, THREE[0]) for piece in pieces])
        assert end is not None
        assert isinstance(end.error, sf.LimitExceeded)
        assert end.error.limit == limit
        out, end = fed(ToolCalls(**enough), [sf.TextDelta(piece, THREE[0]) for piece in pieces])
        assert (out[-1].arguments, end) == (json.loads(text), None)


@pytest.mark.parametrize(("item", "kind"), [({}, "dict"), (sf.TextDelta(3, THREE[0]), "int")])  # type: ignore[arg-type]
def test_what_is_no_item_of_a_stream_is_refused(item: Any, kind: str) -> None:
    """Saying by which stage, and what it was."""
    with pytest.raises(TypeError, match=rf"^ToolCalls was fed {kind} where text is expected"):
        list(ToolCalls().iter([item]))


def test_a_stage_for_calls_is_a_value() -> None:
    """It is found in a set, its models do not hinder that; and it says what it reads and drops."""
    stages = {
        ToolCalls(models={"f": dict[str, int]}, truncated="partial"),
        ToolCalls(models={"f": dict[str, int]}, truncated="partial"),
    }
    assert len(stages) == 1
    assert ToolCalls(models={"f": dict}) not in stages
    assert ToolCalls().explanation() == "the arguments of tool calls; all else is dropped"


# ------------------------------------------------------------------ what they share


def test_what_is_read_is_said_in_words() -> None:
    """Also that it is a kind of one's own, which may be a slip. Of the stages in front of it nothing, if nothing is wrong with them."""
    own = "in the JSON of notes (a kind of one's own); all else is dropped"
    said = {
        sf.ParseJSON[Any](): own[3:],
        JSONItems("$.a"): f"the values at $.a {own}",
        sf.JSONText("$.a"): f"the strings at $.a {own}",
    }
    for stage, words in said.items():
        one: Any = stage.on("notes")
        assert one.explanation() == words
        assert (sf.Words() | one).explain().endswith(words)
