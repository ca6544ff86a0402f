"""A stream of a provider may have any number of responses, as an agent's has: what is remembered of them is bounded, and what comes
late for one that is forgotten is filtered all the same."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai, vercel
from streamfilter.providers.langchain import reading
from streamfilter.providers.recent import KEPT_ENDED
from streamfilter.testing.planting import fragments

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact(SECRET, to="█")

Events = list[dict[str, Any]]


def chat(n: int) -> Events:
    """A completion with an answer and a call."""

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {"id": f"c{n}", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    call = {"index": 0, "id": f"call{n}", "function": {"name": "f", "arguments": "{}"}}
    return [chunk({"role": "assistant", "content": f"no {n} {SECRET}"}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls")]


def completions(n: int) -> Events:
    """A legacy completion."""
    return [
        {"id": f"c{n}", "choices": [{"index": 0, "text": f"no {n} {SECRET}", "finish_reason": None}]},
        {"id": f"c{n}", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},
    ]


def responses(n: int) -> Events:
    """A response, which says its text four times."""
    place, text = {"output_index": 0, "content_index": 0, "item_id": f"i{n}"}, f"no {n} {SECRET}"
    item = {"id": f"i{n}", "type": "message", "content": [{"type": "output_text", "text": text}]}
    return [
        {"type": "response.created", "response": {"id": f"r{n}", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.output_text.delta", **place, "delta": text},
        {"type": "response.output_text.done", **place, "text": text},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": f"r{n}", "output": [item], "usage": {"input_tokens": 1}}},
    ]


def messages(n: int) -> Events:
    """A message with a text, a call, and what the SDK's helper says of the text."""
    text = f"no {n} {SECRET}"
    return [
        {"type": "message_start", "message": {"id": f"m{n}", "content": [], "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "text", "text": text, "snapshot": text},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": f"t{n}", "name": "f", "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]


def candidates(n: int) -> Events:
    """A response of Gemini with a call, and what counts the characters of its text."""
    call = {"functionCall": {"name": "f", "args": {"a": "b"}}}
    support = {"groundingSupports": [{"segment": {"endIndex": 3}}]}
    last = {"index": 0, "content": {"parts": [call]}, "finishReason": "STOP", "groundingMetadata": support}
    return [
        {"responseId": f"r{n}", "candidates": [{"index": 0, "content": {"parts": [{"text": f"no {n} {SECRET}"}]}}]},
        {"responseId": f"r{n}", "candidates": [last], "usageMetadata": {"totalTokenCount": 1}},
    ]


def converse(n: int) -> Events:
    """A message of Bedrock with a call."""
    use = {"toolUse": {"toolUseId": f"t{n}", "name": "f"}}
    return [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": f"no {n} {SECRET}"}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"contentBlockStart": {"contentBlockIndex": 1, "start": use}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}}},
        {"contentBlockStop": {"contentBlockIndex": 1}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": {"inputTokens": 1}}},
    ]


def lines(n: int) -> Events:
    """A response of Ollama with a call."""
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    return [
        {"model": "m", "message": {"role": "assistant", "content": f"no {n} {SECRET}"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "eval_count": 1},
    ]


def step(n: int) -> Events:
    """A step of a UI message, with a call and its output."""
    call = {"toolCallId": f"c{n}"}
    return [
        {"type": "start-step"},
        {"type": "text-start", "id": f"t{n}"},
        {"type": "text-delta", "id": f"t{n}", "delta": f"no {n} {SECRET}"},
        {"type": "text-end", "id": f"t{n}"},
        {"type": "tool-input-start", **call, "toolName": "f"},
        {"type": "tool-input-delta", **call, "inputTextDelta": "{}"},
        {"type": "tool-input-available", **call, "toolName": "f", "input": {}},
        {"type": "tool-output-available", **call, "output": "x"},
        {"type": "finish-step"},
    ]


def ui(n: int) -> Events:
    """A UI message."""
    return [{"type": "start", "messageId": f"m{n}"}, *step(n), {"type": "finish"}]


def chunks(n: int) -> Events:
    """The chunks of a message of LangChain."""

    def chunk(content: str, **more: Any) -> dict[str, Any]:
        return {"type": "AIMessageChunk", "content": content, "id": f"lc_run-{n}", **more}

    call = {"index": 0, "name": "f", "id": f"c{n}", "args": "{}"}
    reason = {"finish_reason": "stop"}
    return [
        chunk(f"no {n} {SECRET}"),
        chunk("", tool_call_chunks=[call]),
        chunk("", response_metadata=reason, chunk_position="last"),
    ]


def event(kind: str, run: object, data: dict[str, Any]) -> dict[str, Any]:
    """An event of a run of LangChain."""
    return {"event": kind, "run_id": run, "name": "n", "data": data, "parent_ids": [], "metadata": {}}


def runs(n: int) -> Events:
    """A chain of LangChain with a model and a tool; the agent around it never ends."""
    text = f"no {n} {SECRET}"
    return [
        event("on_chain_start", f"r{n}", {"input": "q"}),
        event("on_chat_model_start", f"m{n}", {}),
        event("on_chat_model_stream", f"m{n}", {"chunk": {"type": "AIMessageChunk", "content": text}}),
        event("on_chain_stream", f"r{n}", {"chunk": text}),
        event("on_chain_stream", "agent", {"chunk": text}),
        event("on_chat_model_end", f"m{n}", {"output": {"type": "ai", "content": text}}),
        event("on_tool_start", f"t{n}", {"input": {}}),
        event("on_tool_error", f"t{n}", {"error": "x"}),
        event("on_chain_end", f"r{n}", {"output": text}),
    ]


def parts(n: int) -> Events:
    """A response within a run of pydantic-ai."""
    text = f"no {n} {SECRET}"
    call = {"part_kind": "tool-call", "tool_name": "f", "tool_call_id": f"c{n}", "args": "{}"}
    return [
        {"event_kind": "part_start", "index": 0, "part": {"part_kind": "text", "content": ""}},
        {"event_kind": "part_delta", "index": 0, "delta": {"part_delta_kind": "text", "content_delta": text}},
        {"event_kind": "part_end", "index": 0, "part": {"part_kind": "text", "content": text}},
        {"event_kind": "part_start", "index": 1, "part": call},
        {"event_kind": "part_end", "index": 1, "part": call},
    ]


FORMATS: dict[str, tuple[Any, Callable[[int], Events]]] = {
    "openai.chat": (openai.chat, chat),
    "openai.completions": (openai.completions, completions),
    "openai.responses": (openai.responses, responses),
    "anthropic.messages": (anthropic.messages, messages),
    "gemini": (gemini, candidates),
    "bedrock": (bedrock, converse),
    "ollama": (ollama, lines),
    "vercel": (vercel, ui),
    "vercel, one message": (vercel, step),
    "langchain, chunks": (langchain, chunks),
    "langchain, events": (langchain, runs),
    "pydantic_ai": (pydantic_ai, parts),
}

REPEATING = {"openai.responses", "pydantic_ai"}
"""What `Encode` makes of others' responses is one response, or one run, whose last event says all of it: so all of it is kept."""

_SHARED = (int, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.MethodType)


def reachable(machine: object) -> int:
    """How many objects hang on a machine: strings and tuples too. Of numbers Python has the small ones but once."""
    found = {id(machine): machine}
    left = [machine]
    while left:
        for each in gc.get_referents(left.pop()):
            if id(each) not in found and not isinstance(each, _SHARED):
                found[id(each)] = each
                left.append(each)
    return len(found)


def growth(machine: Any, make: Callable[[int], Events], count: int = 1400) -> int:
    """How many objects a machine has more behind so many responses than behind the 600th."""
    counts = []
    for first, last in ((0, 600), (600, count)):
        for n in range(first, last):
            for each in make(n):
                machine.feed(each)
        counts.append(reachable(machine))
    return counts[1] - counts[0]


@pytest.fixture(autouse=True)
def _few_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report keeps ten thousand findings one by one; that many would take long here."""
    monkeypatch.setattr("streamfilter.context.MAX_FINDINGS", 100)


@pytest.mark.parametrize("name", FORMATS)
def test_two_thousand_responses_take_no_more_room_than_six_hundred(name: str) -> None:
    """Wrapped, decoded, and written by the format itself."""
    module, make = FORMATS[name]
    own = module.Encode(as_dicts=True) if module in (langchain, pydantic_ai) else module.Encode()
    assert growth(module.wrap(GUARD).machine(sf.Context()), make, 2000) < 250
    assert growth((module.Decode() | GUARD | own).machine(sf.Context()), make) < 250


@pytest.mark.parametrize("name", FORMATS.keys() - REPEATING - {"vercel, one message", "langchain, events"})
def test_so_do_responses_that_are_served_in_another_format(name: str) -> None:
    """Those of an agent, each with a call."""
    module = FORMATS[name][0]
    own = module.Encode(as_dicts=True) if module is langchain else module.Encode()
    given = bedrock if module is anthropic.messages else anthropic.messages
    make = converse if module is anthropic.messages else messages
    assert growth((given.Decode() | GUARD | own).machine(sf.Context()), make) < 250


# ------------------------------------------------------------------ what comes late


def model(run: str, *texts: str) -> Events:
    """Pieces of what a run of a model says."""
    return [event("on_chat_model_stream", run, {"chunk": {"type": "AIMessageChunk", "content": text}}) for text in texts]


def between(count: int) -> Events:
    """Other runs, which begin and end."""
    return [
        each for n in range(count) for each in (*model(f"b{n}", "word"), event("on_chat_model_end", f"b{n}", {"output": "word"}))
    ]


@pytest.mark.parametrize("count", [0, KEPT_ENDED + 100])
def test_what_comes_late_for_a_run_that_has_ended_does_not_leak(count: int) -> None:
    """More text, text cut in two, what it has said once more, whole and in blocks, and another end."""
    late: Events = [
        *model("r", f"more {SECRET}", SECRET[:7], f"{SECRET[7:]}."),
        event("on_chain_stream", "c", {"chunk": f"say {SECRET}"}),
        event("on_chain_stream", "c", {"chunk": {"messages": [{"type": "ai", "content": f"say {SECRET}."}]}}),
        event("on_chat_model_end", "r", {"output": {"type": "ai", "content": [{"type": "text", "text": f"say {SECRET}."}]}}),
        event("on_chain_end", "c", {"output": f"say {SECRET}."}),
    ]
    ended = [*model("r", "say ", SECRET[:7], f"{SECRET[7:]}."), event("on_chat_model_end", "r", {"output": f"say {SECRET}."})]
    out = list(langchain.wrap(GUARD).iter([*ended, *between(count), *late]))
    assert not fragments(out, SECRET)
    said = [each["data"]["chunk"]["content"] for each in out if each["run_id"] == "r" and each["event"] == "on_chat_model_stream"]
    assert "".join(said) == "say █.more ██."
    assert out[-1]["data"]["output"] == "say █."


def test_what_has_ended_is_found_again_for_a_while() -> None:
    """So that what says it once more says what has left, and not what the guards alone make of it."""
    stage = langchain.wrap(sf.Replace("say", "tell").on("answer"))
    again = event("on_chain_end", "c", {"output": "I say so"})
    ended = [*model("r", "I s", "ay so"), event("on_chat_model_end", "r", {"output": "I say so"})]
    assert list(stage.iter([*ended, *between(KEPT_ENDED - 1), again]))[-1]["data"]["output"] == "I tell so"


def test_runs_without_an_end_are_over_when_very_many_others_have_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held of the one that was silent for the longest time leaves then; the others go on."""
    monkeypatch.setattr(reading, "MAX_OPEN", 3)
    machine: Any = langchain.wrap(GUARD).machine()
    for run in "abc":
        machine.feed(model(run, f"{run} Zq7")[0])
    out = [(each["run_id"], each["data"]["chunk"]["content"]) for each in machine.feed(model("d", "d")[0])]
    assert out == [("a", "Zq7"), ("d", "d")]
    assert not fragments([*machine.feed(model("b", SECRET[3:])[0]), *machine.finish()], SECRET)


def test_a_choice_of_a_response_that_was_long_ago_keeps_no_stream_open() -> None:
    """A stage that stops the answer of an agent ends the stream, however many answers have been before."""
    events = [each for n in range(150) for each in messages(n)]
    stop = sf.StopAt("halt")
    said = [{"type": "message_start", "message": {"id": "m", "content": []}}, messages(0)[1]]
    said.append({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "so halt now"}})
    machine: Any = anthropic.messages.wrap(stop).machine(sf.Context())
    out = [made for each in (*events, *said) for made in machine.feed(each)]
    assert machine.ended
    assert out[-1].reason == "stop"
    assert [each["type"] for each in out[-4:-1]] == ["content_block_delta", "content_block_stop", "message_delta"]
