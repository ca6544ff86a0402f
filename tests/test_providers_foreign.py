"""Text in two events that the format of a stream does not know: read as quotes, one by one, it would come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai, vercel
from streamfilter.testing.planting import fragments

SECRET = "Zq7-kestrel-Wx4"
HALVES = (SECRET[:7], SECRET[7:])
GUARD = sf.Redact(SECRET, to="█")

FORMATS: dict[str, Any] = {
    "openai.chat": openai.chat,
    "openai.completions": openai.completions,
    "openai.responses": openai.responses,
    "anthropic.messages": anthropic.messages,
    "gemini": gemini,
    "bedrock": bedrock,
    "ollama": ollama,
    "vercel": vercel,
    "langchain": langchain,
    "pydantic_ai": pydantic_ai,
}


def _delta(kind: str, field: str) -> Callable[[str], dict[str, Any]]:
    """A delta of Anthropic's."""
    return lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: text}}


def _event(kind: str, **place: Any) -> Callable[[str], dict[str, Any]]:
    """A delta of the Responses API."""
    return lambda text: {"type": f"response.{kind}.delta", "output_index": 0, "item_id": "i", **place, "delta": text}


def _run(chunk: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """An event of LangChain."""
    return lambda text: {"event": "on_chain_stream", "run_id": "r", "data": {"chunk": chunk(text)}}


EVENTS: dict[tuple[str, str], Callable[[str], dict[str, Any]]] = {
    ("openai.chat", "text"): lambda text: {"choices": [{"index": 0, "delta": {"content": text}}]},
    ("openai.completions", "text"): lambda text: {"choices": [{"index": 0, "text": text}]},
    ("openai.responses", "text"): _event("output_text", content_index=0),
    ("openai.responses", "arguments"): _event("function_call_arguments"),
    ("openai.responses", "summary"): _event("reasoning_summary_text", summary_index=0),
    ("anthropic.messages", "text"): _delta("text_delta", "text"),
    ("anthropic.messages", "thought"): _delta("thinking_delta", "thinking"),
    ("anthropic.messages", "input"): _delta("input_json_delta", "partial_json"),
    ("gemini", "text"): lambda text: {"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0}]},
    ("bedrock", "text"): lambda text: {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}},
    ("ollama", "chat"): lambda text: {"model": "m", "message": {"role": "assistant", "content": text}, "done": False},
    ("ollama", "completion"): lambda text: {"model": "m", "response": text, "done": False},
    ("vercel", "text"): lambda text: {"type": "text-delta", "id": "t", "delta": text},
    ("vercel", "thought"): lambda text: {"type": "reasoning-delta", "id": "t", "delta": text},
    ("vercel", "input"): lambda text: {"type": "tool-input-delta", "toolCallId": "t", "inputTextDelta": text},
    ("langchain", "chunk"): lambda text: {"type": "AIMessageChunk", "content": text, "id": "r"},
    ("langchain", "run"): _run(lambda text: {"type": "AIMessageChunk", "content": text}),
    ("langchain", "passed on"): _run(str),
    ("langchain", "values"): _run(lambda text: {"a": text}),
    ("pydantic_ai", "text"): lambda text: {
        "event_kind": "part_delta",
        "index": 0,
        "delta": {"part_delta_kind": "text", "content_delta": text},
    },
    ("Anthropic's older completions", "text"): lambda text: {"type": "completion", "completion": text, "stop_reason": None},
    ("Cohere's", "text"): lambda text: {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}},
    ("OpenAI's assistants", "text"): lambda text: {
        "object": "thread.message.delta",
        "delta": {"content": [{"index": 0, "type": "text", "text": {"value": text}}]},
    },
    ("TGI's", "text"): lambda text: {"token": {"id": 1, "text": text, "logprob": -1, "special": False}, "generated_text": None},
}


@pytest.mark.parametrize("name", FORMATS)
def test_no_event_that_brings_text_in_another_format_passes(name: str) -> None:
    """It is refused, in `wrap` and in `Decode`, and all before it has left; nothing of it is in the error."""
    first = next(make for (format_of, _), make in EVENTS.items() if format_of == name)
    for (other, what), make in EVENTS.items():
        if other == name:
            continue
        events = [first("fine "), *map(make, HALVES)]
        for stage in (FORMATS[name].wrap(GUARD), FORMATS[name].Decode() | GUARD):
            out: list[Any] = []
            with pytest.raises((sf.MalformedInput, TypeError)) as caught:
                out += [each for event in events for each in stage.iter([first("fine "), event])]
            assert not any(part in str(caught.value) for part in HALVES), (other, what)


NEW: dict[str, tuple[Any, Callable[[str], dict[str, Any]]]] = {
    "responses": (openai.responses, _event("novel_text", content_index=0)),
    "responses, without a place": (openai.responses, lambda text: {"type": "response.text.delta", "delta": text}),
    "messages": (anthropic.messages, _delta("novel_delta", "novel")),
}


@pytest.mark.parametrize("name", NEW)
def test_a_new_kind_of_delta_goes_on_in_the_next_one(name: str) -> None:
    """The guards see its text as one, at every cut; what they do not change leaves as it came."""
    module, make = NEW[name]
    stage = module.wrap(GUARD)
    text = f"a {SECRET} b"
    for cut in range(1, len(text)):
        for pieces in ((text[:cut], text[cut:]), (text[:cut], text[cut : cut + 5], text[cut + 5 :])):
            out = list(stage.iter([make(piece) for piece in pieces]))
            assert not fragments(out, SECRET), pieces
            assert "█" in str(out)
    fine = [make("fine "), make("text")]
    assert list(stage.iter(fine)) == fine


@pytest.mark.parametrize("name", ["anthropic.messages", "bedrock"])
def test_no_model_of_bedrock_changes_its_format(name: str) -> None:
    """The same of the formats of the models themselves, each in the chunks of Bedrock."""

    def framed(event: dict[str, Any]) -> dict[str, Any]:
        return {"chunk": {"bytes": json.dumps(event).encode()}}

    first = EVENTS[name, "text"]
    stage = bedrock.invoke.wrap(GUARD)
    assert "█".encode() in b"".join(each["chunk"]["bytes"] for each in stage.iter([framed(first(half)) for half in HALVES]))
    for (other, _), make in EVENTS.items():
        if other != name:
            with pytest.raises((sf.MalformedInput, TypeError)):
                list(stage.iter([framed(first("fine ")), framed(make(HALVES[0])), framed(make(HALVES[1]))]))
