"""Providers and models that mean harm: fields of other types and in other places, names that stand twice, notes beside the events.

A secret never comes out, an honest stream is never refused, and nothing fails but as the formats say.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import (
    ResponseAudioDeltaEvent,
    ResponseAudioDoneEvent,
    ResponseAudioTranscriptDeltaEvent,
    ResponseAudioTranscriptDoneEvent,
    ResponseCreatedEvent,
)
from recordings import body, shared
from test_providers import payloads, pieces

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai, sse, vercel
from streamfilter.providers.awaited import Awaited
from streamfilter.providers.detecting import MAX_BYTES, MAX_EVENTS
from streamfilter.providers.openai.chat.calls import Calls
from streamfilter.testing.planting import fragments

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact(SECRET, to="█")

HIDING: list[Any] = [
    SECRET,
    [SECRET],
    {"text": SECRET},
    {"content": SECRET},
    {"a": {"b": [SECRET]}},
    [[1, SECRET]],
    [{"id": {"x": SECRET}}],
]
"""Values that say the secret, for fields that never have such."""


def chat(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}


def block(**delta: Any) -> dict[str, Any]:
    """A delta of the Messages API."""
    return {"type": "content_block_delta", "index": 0, "delta": delta}


USUAL: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "chat": (openai.chat, [chat({"role": "assistant", "content": "a", "tool_calls": None}, created=1, usage=None)]),
    "chat.reasoning": (openai.chat, [chat({"reasoning_details": [{"type": "reasoning.text", "text": "a"}]})]),
    "chat.call": (
        openai.chat,
        [chat({"tool_calls": [{"index": 0, "id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]})],
    ),
    "completions": (openai.completions, [{"id": "c", "choices": [{"index": 0, "text": "a", "logprobs": None}]}]),
    "responses": (
        openai.responses,
        [
            {"type": "response.created", "response": {"id": "r", "output": []}, "sequence_number": 0},
            {"type": "response.output_item.added", "output_index": 0, "item": {"id": "i", "type": "message", "content": []}},
            {
                "type": "response.output_text.delta",
                "output_index": 0,
                "content_index": 0,
                "item_id": "i",
                "delta": "a",
                "logprobs": [],
                "obfuscation": "x",
                "sequence_number": 1,
            },
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {"id": "i", "type": "message", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
            },
        ],
    ),
    "messages": (
        anthropic.messages,
        [
            {"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            block(type="text_delta", text="a"),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        ],
    ),
    "gemini": (
        gemini,
        [
            {
                "candidates": [{"content": {"role": "model", "parts": [{"text": "a", "thought": True}]}, "index": 0}],
                "usageMetadata": {"totalTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]},
                "modelVersion": "m",
            }
        ],
    ),
    "ollama": (ollama, [{"model": "m", "created_at": "t", "message": {"role": "assistant", "content": "a"}, "done": False}]),
    "bedrock": (bedrock, [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "a"}, "p": "ab"}}]),
    "vercel": (vercel, [{"type": "text-start", "id": "1"}, {"type": "text-delta", "id": "1", "delta": "a"}]),
    "langchain": (langchain, [{"type": "AIMessageChunk", "content": "a", "id": "run-1", "tool_call_chunks": []}]),
}
"""By format: its module, and events as they usually are."""


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in an event."""
    found: list[tuple[Any, ...]] = []
    for step, each in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        found += [(*path, step), *places(each, (*path, step))]
    return found


def changed(events: list[dict[str, Any]], number: int, path: tuple[Any, ...], value: Any) -> list[dict[str, Any]]:
    """The events with another value at a place."""
    made: list[dict[str, Any]] = json.loads(json.dumps(events))
    node: Any = made[number]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return made


PARTS_OF_PYDANTIC: list[dict[str, Any]] = [
    {"event_kind": "part_start", "index": 0, "part": {"part_kind": "text", "content": "a"}},
    {"event_kind": "part_delta", "index": 0, "delta": {"part_delta_kind": "text", "content_delta": "b"}},
]


def at(node: Any, path: tuple[Any, ...]) -> Any:
    """What stands at a place."""
    for step in path:
        node = node[step]
    return node


def is_opaque(node: Any, opaque: frozenset[Any], place: str = "", *, below: bool = False) -> bool:
    """Whether the secret is said by a field whose strings are none by the format's own list."""
    if isinstance(node, str):
        return below and SECRET in node
    if isinstance(node, list):
        return any(is_opaque(each, opaque, place, below=below) for each in node)
    if not isinstance(node, dict):
        return False
    places = (place, str(node.get("type")))
    return any(
        is_opaque(each, opaque, name, below=name in opaque or any((at, name) in opaque for at in places))
        for name, each in node.items()
    )


@pytest.mark.parametrize("name", USUAL)
def test_a_field_of_another_type_hides_nothing(name: str) -> None:
    """Whatever stands in any field, the secret is filtered or the stream is refused, and nothing else fails."""
    module, usual = USUAL[name]
    stage = module.wrap(GUARD)
    for number, event in enumerate(usual):
        for path in places(event):
            for value in (*HIDING, None, True, -1, 10**30, float("nan"), 1.5, "", [], {}, [None], "\ud800", "\0"):
                events = changed(usual, number, path, value)
                if any(is_opaque(each, module.OPAQUE) for each in events):
                    continue
                given = [b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)]
                if module is ollama:
                    given = [json.dumps(each).encode() + b"\n" for each in events]
                for source in (events, given) if module is not langchain else (events,):
                    out: list[Any] = []
                    said = ""
                    try:
                        out += stage.iter(source)
                    except sf.MalformedInput as error:
                        said = f".wrap: {error}"
                    except TypeError as error:  # of objects: the caller has given something else
                        said = str(error)
                    assert SECRET not in said
                    assert not said or ".wrap: " in said
                    assert not fragments(payloads(b"".join(out)) if source is given else out, SECRET), (path, value)


MUTE = (
    *("data", "signature", "thought_signature", "thoughtSignature", "signature_delta", "encrypted_content", "encrypted_index"),
    *("encrypted_stdout", "encryptedContent", "reasoningEncryptedContent", "redactedData", "redactedContent", "reasoning_opaque"),
    *("file_id", "fileUri", "file_uri", "base64", "bytes", "image", "images", "result", "partial_image_b64", "sdkBlob", "sdk_blob"),
    *("name", "server_name", "server_label", "namespace", "provider", "format", "obfuscation", "p", "phase", "tags", "language"),
    *("parsed_output", "__json_buf", "caller", "page_age", "retrieved_at", "expires_at", "license", "reasoning", "tools"),
    *("tool_choice", "truncation", "conversation", "moderation", "billing", "continuationToken", "category", "state", "status_"),
)
"""Names of fields that hold what only a provider can read, or no text, in some place of some format."""


@pytest.mark.parametrize("name", [*USUAL, "pydantic_ai"])
def test_what_is_opaque_in_one_place_is_a_quote_in_all_others(name: str) -> None:
    """Below what a format does not know, any field may be text: whole and live, as itself, in a list, and below a type not known."""
    module, usual = USUAL.get(name, (pydantic_ai, PARTS_OF_PYDANTIC))
    stage = module.wrap(GUARD)
    for number, event in enumerate(usual):
        holders = [(), *(path for path in places(event) if isinstance(at(event, path), dict))]
        for field in MUTE:
            for holder in holders:
                for odd in ({field: SECRET}, {"type": "odd", field: SECRET}, {"type": "odd", "source": {field: [SECRET]}}):
                    events = changed(usual, number, (*holder, "odd_thing"), odd)
                    out: list[Any] = []
                    with suppress(TypeError):  # a delta of two types is refused
                        out += stage.iter(events)
                    assert not fragments(out, SECRET), (holder, odd)
    for field in MUTE:
        whole = {"odd_thing": {"type": "odd", field: SECRET, "list": [{field: SECRET}]}}
        assert not fragments([module.filter_response(GUARD, whole)], SECRET), field


@pytest.mark.parametrize("field", MUTE)
def test_a_block_of_a_type_that_is_not_known_is_quoted_whole(field: str) -> None:
    """What redacted thinking has as `data` is no text; what an odd block has under the same name is."""
    block_, delta = {"type": "odd_block", field: SECRET}, {"type": "odd_delta", field: SECRET}
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": block_},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "document", "source": {"type": "text", field: SECRET}},
        },
        {"type": "odd_event", field: SECRET},
    ]
    given = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    wrapped = anthropic.messages.wrap(GUARD)
    assert not fragments(list(wrapped.iter(events)), SECRET)
    assert not fragments(payloads(b"".join(wrapped.iter(pieces(given, 7)))), SECRET)
    assert not fragments(
        [anthropic.messages.filter_response(GUARD, {"content": [block_, {"type": "x", "inner": [delta]}]})], SECRET
    )


def _streamed(index: int, **said: Any) -> dict[str, Any]:
    return {"type": "response.shell_call_output_content.delta", "output_index": 0, "command_index": index, "delta": said}


NOVEL: dict[str, tuple[Any, Callable[[str], dict[str, Any]], dict[str, Any]]] = {
    "shell": (
        openai.responses,
        lambda text: _streamed(0, stdout=text),
        {"type": "response.shell_call_output_content.done", "output_index": 0, "command_index": 0, "output": []},
    ),
    "shell, both": (
        openai.responses,
        lambda text: _streamed(1, stdout="", stderr=text),
        {"type": "response.shell_call_output_content.done", "output_index": 0, "command_index": 1, "output": []},
    ),
    "responses": (
        openai.responses,
        lambda text: {"type": "response.odd.delta", "item_id": "i", "delta": text},
        {"type": "response.odd.done", "item_id": "i"},
    ),
    "messages": (
        anthropic.messages,
        lambda text: block(type="odd_delta", odd={"said": [{"text": text}]}),
        {"type": "message_stop"},
    ),
    "bedrock": (
        bedrock,
        lambda text: {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"odd": {"text": text}}}},
        {"messageStop": {"stopReason": "end_turn"}},
    ),
    "bedrock, a string": (
        bedrock,
        lambda text: {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"odd": text}}},
        {"messageStop": {"stopReason": "end_turn"}},
    ),
    "vercel": (vercel, lambda text: {"type": "odd-delta", "id": "1", "delta": text}, {"type": "finish"}),
    "completions": (
        openai.completions,
        lambda text: {"object": "text_completion", "choices": [{"index": 0, "text": "", "novel": text}]},
        {"object": "text_completion", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},
    ),
    "gemini": (
        gemini,
        lambda text: {"candidates": [{"content": {"parts": [{"audioTranscription": {"text": text, "languageCode": "en"}}]}}]},
        {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]},
    ),
    "ollama": (
        ollama,
        lambda text: {"model": "m", "message": {"role": "assistant", "content": "", "novel": text}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True},
    ),
}
"""Deltas of types that are not known, or say their text in a part of their own; and what ends them."""


@pytest.mark.parametrize("name", NOVEL)
def test_what_a_delta_of_any_type_says_goes_on_in_the_next_one(name: str) -> None:
    """A secret that is split over two of them does not come out; what is held of the last one leaves before its end."""
    module, made, last = NOVEL[name]
    for cut in range(len(SECRET) + 1):
        events = [*map(made, ("so ", SECRET[:cut], SECRET[cut:], " Zq7-k")), last]
        out = list(module.wrap(GUARD).iter(events))
        assert not fragments(out[:-2], SECRET)
        assert "█" in json.dumps(out, ensure_ascii=False)
        assert out[-2:] == [made("Zq7-k"), last]
        assert out[0] is events[0]
        mark, end = (b"", b"\n") if module is ollama else (b"data: ", b"\n\n")
        framed = [mark + json.dumps(event).encode() + end for event in events]
        assert list(module.wrap(sf.Redact("\x00")).iter(framed)) == framed


def test_parts_of_a_list_are_told_apart_by_their_index() -> None:
    """As they are by clients, wherever in it they stand; and one text does not become another's."""
    for cut in range(1, len(SECRET)):
        parts = [{"index": 0, "text": "so"}, {"index": 1, "text": SECRET[:cut]}], [{"index": 1, "text": SECRET[cut:]}]
        for module, events in (
            (anthropic.messages, [block(type="odd_delta", odd=part) for part in parts]),
            (bedrock, [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"odd": part}}} for part in parts]),
            (openai.responses, [{"type": "response.odd.delta", "item_id": "i", "delta": {"odd": part}} for part in parts]),
        ):
            out = json.dumps(list(module.wrap(GUARD).iter(events)), ensure_ascii=False)
            assert "█" in out
            assert not any(piece in out for piece in (SECRET[:cut], SECRET[cut:]) if len(piece) > 3)


def test_the_transcript_of_speech_is_text_and_its_sound_is_none() -> None:
    """As OpenAI's types have them: without a place in an item; as objects, dicts and bytes."""
    done = [ResponseAudioTranscriptDoneEvent(sequence_number=8, type="response.audio.transcript.done")]
    sound = [
        ResponseAudioDeltaEvent(delta=SECRET, sequence_number=6, type="response.audio.delta"),
        ResponseAudioDoneEvent(sequence_number=7, type="response.audio.done"),
    ]
    for cut in range(len(SECRET) + 1):
        said = [
            ResponseAudioTranscriptDeltaEvent(delta=text, sequence_number=number, type="response.audio.transcript.delta")
            for number, text in enumerate(("so ", SECRET[:cut], SECRET[cut:], " it is Zq7-k"), 1)
        ]
        events = [*said, *sound, *done]
        dicts = [event.model_dump() for event in events]
        frames = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in dicts]
        objects = list(openai.responses.wrap(GUARD).iter(events))
        for out in (
            [each.model_dump() for each in objects],
            list(openai.responses.wrap(GUARD).iter(dicts)),
            payloads(b"".join(openai.responses.wrap(GUARD).iter(frames))),
        ):
            assert "".join(each["delta"] for each in out if "transcript.delta" in each["type"]) == "so █ it is Zq7-k"
            assert [each["delta"] for each in out if each["type"] == "response.audio.delta"] == [SECRET]
            assert [each["type"] for each in out[-3:]] == [each["type"] for each in dicts[-3:]]
        assert all(type(each).model_validate(each.model_dump()) == each for each in objects)
        assert list(openai.responses.wrap(sf.Redact("\x00")).iter(frames)) == frames
        assert "".join(sf.text_of(events)) == f"so {SECRET} it is Zq7-k"


MODERATED = {
    "type": "moderation_result",
    "model": "m",
    "flagged": False,
    "categories": {"hate": False},
    "category_scores": {"hate": 0.1},
    "category_applied_input_types": {"hate": ["text", "image"]},
}
ECHOED: dict[str, tuple[Any, Any, list[str], dict[str, Any]]] = {
    "responses": (
        openai.responses,
        ResponseCreatedEvent,
        ["low", "medium", "auto", "all_turns", "pro", "default-2024-11-15", "server", "text", "image"],
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": {
                "id": "r",
                "object": "response",
                "created_at": 1,
                "model": "m",
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "reasoning": {
                    "effort": "low",
                    "summary": "auto",
                    "context": "all_turns",
                    "mode": "pro",
                    "generate_summary": "auto",
                },
                "tools": [
                    {"type": "web_search", "search_context_size": "medium"},
                    {"type": "tool_search", "execution": "server"},
                    {"type": "file_search", "vector_store_ids": ["v"], "ranking_options": {"ranker": "default-2024-11-15"}},
                    {"type": "file_search", "vector_store_ids": ["v"], "ranking_options": {"ranker": "auto"}},
                ],
                "output": [{"type": "tool_search_call", "id": "t", "execution": "server", "arguments": {}, "status": "completed"}],
                "moderation": {"input": MODERATED, "output": MODERATED},
            },
        },
    ),
    "chat": (
        openai.chat,
        ChatCompletionChunk,
        ["text", "image"],
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [],
            "moderation": {
                side: {"type": "moderation_results", "model": "m", "results": [MODERATED]} for side in ("input", "output")
            },
        },
    ),
}
"""Events that say words of closed vocabularies, their class, and those words."""


@pytest.mark.parametrize("name", ECHOED)
def test_a_word_of_a_closed_vocabulary_is_no_text_in_its_place(name: str) -> None:
    """A rule about it leaves an event that its class takes; anywhere else, and anything else in its place, is filtered."""
    module, kind, vocabulary, event = ECHOED[name]
    kind.model_validate(event)
    for word in vocabulary:
        stage = module.wrap(sf.Redact(word, to="#"))
        assert list(stage.iter([event])) == [event]
        assert list(stage.iter([kind.model_validate(event)])) == [kind.model_validate(event)]
        if name == "responses":
            assert module.filter_response(sf.Redact(word, to="#"), event["response"]) == event["response"]
        for path in places(event):
            if isinstance(at(event, path), dict) and path[-1] != "choices":
                (odd,) = stage.iter(changed([event], 0, (*path, "odd_thing"), {"said": word, "summary": word, "effort": [word]}))
                assert at(odd, (*path, "odd_thing")) == {"said": "#", "summary": "#", "effort": ["#"]}, path
            if at(event, path) == word and path[-1] not in ("type", "tool_choice"):
                (odd,) = stage.iter(changed([event], 0, path, f"{word}, {word}"))
                assert at(odd, path) == "#, #", path
    thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "auto"}]}
    given: dict[str, Any] = {"object": "response", "output": [thought]}
    out = openai.responses.filter_response(sf.Redact("auto", to="#"), given)
    assert out["output"][0]["summary"] == [{"type": "summary_text", "text": "#"}]


PLACELESS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    **{name: (module, [made("it is said"), last]) for name, (module, made, last) in NOVEL.items()},
    "chat": (openai.chat, [chat({"novel": "it is said"}), chat({"content": "."})]),
    "compaction": (anthropic.messages, [block(type="compaction_delta", content="it is said"), {"type": "message_stop"}]),
    "result": (
        bedrock,
        [
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolResult": [{"text": "it is said"}]}}},
            {"messageStop": {"stopReason": "end_turn"}},
        ],
    ),
}
"""Text for which no other format has a place."""

CHANGING: tuple[sf.Stage[Any, Any], ...] = (sf.Pipeline(), sf.Redact("said", to="said."), sf.MapText(str.upper, channels=None))


@pytest.mark.parametrize("name", PLACELESS)
def test_what_has_no_place_in_another_format_is_not_taken_for_the_answer(name: str) -> None:
    """It is left out, also where a stage has changed it; in its own format it stays."""
    module, events = PLACELESS[name]
    targets = (openai.chat, openai.completions, openai.responses, anthropic.messages, gemini, bedrock, ollama, vercel, langchain)
    for target in (*targets, pydantic_ai):
        encode = target.Encode(as_dicts=True) if target in (langchain, pydantic_ai) else target.Encode()  # else objects of them
        for between in CHANGING:
            out = json.dumps(list((module.Decode() | between | encode).iter(events)), default=str).lower()
            assert ("it is" in out) == (target is module), target


def test_a_call_that_waits_for_approval_is_filtered_as_the_json_it_is() -> None:
    """An escape hides nothing, on any event that says the call."""
    said = json.dumps({"to": SECRET}).replace("k", "\\u006b")
    item = {"type": "mcp_approval_request", "id": "m", "name": "send", "server_label": "s", "arguments": said}
    events = [
        {"type": "response.created", "response": {"id": "r", "output": []}, "sequence_number": 0},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"arguments": ""}, "sequence_number": 1},
        {"type": "response.output_item.done", "output_index": 0, "item": item, "sequence_number": 2},
        {"type": "response.completed", "response": {"id": "r", "output": [item]}, "sequence_number": 3},
    ]
    for given in (events, [events[0], {**events[1], "item": item}, *events[2:]]):
        out = list(openai.responses.wrap(GUARD).iter(given))
        assert [json.loads(each["item"]["arguments"]) for each in out[-3:-1] if each["item"]["arguments"]][-1] == {"to": "█"}
        assert json.loads(out[-1]["response"]["output"][0]["arguments"]) == {"to": "█"}
        assert not fragments([json.loads(part) for part in _strings(out) if part.startswith("{")], SECRET)
        assert list(openai.responses.wrap(sf.Redact("\x00")).iter(given)) == given
    assert json.loads(openai.responses.filter_response(GUARD, {"output": [item]})["output"][0]["arguments"]) == {"to": "█"}


def test_arguments_that_come_with_their_call_are_said_once() -> None:
    """Some services send them all as the item begins, some only when it is done; no event says them twice."""
    item = {"type": "function_call", "id": "f", "call_id": "c", "name": "send", "arguments": json.dumps({"to": SECRET})}
    begun, ended = ({"type": f"response.output_item.{step}", "output_index": 0} for step in ("added", "done"))
    done = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": item["arguments"]}
    completed = {"type": "response.completed", "response": {"id": "r", "output": [item]}}
    empty = item | {"arguments": ""}
    for events in (
        [begun | {"item": item}, done, ended | {"item": item}, completed],
        [begun | {"item": empty}, done, ended | {"item": item}, completed],
        [begun | {"item": empty}, done | {"arguments": ""}, ended | {"item": item}, completed],
    ):
        out = list(openai.responses.wrap(GUARD).iter(events))
        said = [part for part in _strings(out) if part.startswith("{")]
        assert said
        assert {json.loads(part)["to"] for part in said} == {"█"}
        read = [each.text for each in openai.responses.Decode().iter(events) if isinstance(each, sf.TextDelta)]
        assert "".join(read) == item["arguments"]


def test_text_that_comes_with_its_part_is_said_once() -> None:
    """It may come as the part begins, and again as it is done."""
    part = {"type": "output_text", "text": SECRET, "annotations": []}
    place = {"output_index": 0, "content_index": 0}
    events = [
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.done", **place, "text": SECRET},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": "m", "content": [part]}},
    ]
    out = list(openai.responses.wrap(GUARD).iter(events))
    assert [each.strip() for each in _strings(out) if "█" in each] == ["█"] * 4
    assert "".join(sf.text_of(events)) == SECRET


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list | dict):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _strings(each)


def test_what_only_a_provider_can_read_stays_as_it_came() -> None:
    """A rule that fits it by chance does not break it, where it is known to stand."""
    everything = sf.Redact("[A-Za-z0-9+/=]+", to="#")
    sealed: list[tuple[Any, Any]] = [
        (
            anthropic.messages,
            {"content": [{"type": "redacted_thinking", "data": "Eq+/="}, {"type": "container_upload", "file_id": "f1"}]},
        ),
        (
            anthropic.messages,
            {"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iV=="}}]},
        ),
        (openai.chat, {"choices": [{"message": {"audio": {"id": "a", "data": "UklG"}}}]}),
        (openai.responses, {"output": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}]}),
        (openai.responses, {"output": [{"type": "image_generation_call", "id": "i", "result": "iVBO"}]}),
        (openai.responses, {"output": [{"type": "program", "id": "cm_1", "call_id": "c", "fingerprint": "gAAA"}]}),
        (openai.responses, {"output": [{"type": "shell_call", "caller": {"type": "program", "caller_id": "c"}}]}),
        (openai.responses, {"output": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}]}),
        (anthropic.messages, {"content": [{"type": "tool_use", "id": "t", "caller": {"type": "direct", "tool_id": "srvtoolu_1"}}]}),
        (anthropic.messages, {"content": [], "container": {"id": "c", "skills": [{"type": "custom", "skill_id": "skill_1"}]}}),
        (gemini, {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]}}]}),
        (gemini, {"candidates": [{"content": {"parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBO"}}]}}]}),
        (bedrock, {"output": {"message": {"content": [{"reasoningContent": {"redactedContent": "Eq"}}]}}}),
        (ollama, {"model": "m", "message": {"role": "assistant", "images": ["iVBO"]}, "done": True}),
    ]
    for module, whole in sealed:
        assert module.filter_response(everything, whole) == whole


@pytest.mark.parametrize(
    ("module", "raw"),
    [
        (openai.chat, '{"choices":[{"delta":{"content":"%s"}}],"choices":[{"index":0,"delta":{"content":"a"}}]}'),
        (openai.chat, '{"choices":[{"index":0,"delta":{"content":"%s","content":"a"}}]}'),
        (openai.completions, '{"choices":[{"text":"%s","text":"a"}]}'),
        (anthropic.messages, '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s","text":"a"}}'),
        (gemini, '{"candidates":[{"content":{"parts":[{"text":"%s"}]},"content":{"parts":[{"text":"a"}]}}]}'),
        (ollama, '{"response":"%s","response":"a","done":false}'),
    ],
)
def test_a_field_that_stands_twice_hides_nothing(module: Any, raw: str) -> None:
    """Python's readers take the last one, others the first: what has not been read does not leave. The stream is not refused."""
    framed = f"{raw % SECRET}\n" if module is ollama else f"data: {raw % SECRET}\n\n"
    for cut in ([framed.encode()], [bytes([byte]) for byte in framed.encode()]):
        out = b"".join(module.wrap(GUARD).iter(cut))
        assert b'"a"' in out
        assert not fragments([out], SECRET)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("beside", [f": {SECRET}", f"id: {SECRET}", f"event: {SECRET}", f"x: {SECRET}", f"retry: {SECRET}"])
@pytest.mark.parametrize("module", [openai.chat, openai.responses])
def test_what_stands_beside_the_data_goes_through_the_guards(module: Any, beside: str, end: str) -> None:
    """A line with the secret is left out; all others stay, in their place."""
    data = json.dumps(USUAL["chat"][1][0] if module is openai.chat else USUAL["responses"][1][2])
    raw = f": hi{end}{beside}{end}data: {data}{end}{end}{beside}{end}{end}".encode()
    want = f": hi{end}data: {data}{end}{end}{end}".encode()
    for cut in ([raw], [bytes([byte]) for byte in raw], pieces(raw, 3, 20)):
        assert b"".join(module.wrap(GUARD).iter(cut)) == want
        assert b"".join(module.wrap(sf.Redact("nothing")).iter(cut)) == raw


@pytest.mark.parametrize("module", [openai.chat, openai.completions])
def test_nothing_hides_behind_the_mark_of_the_end(module: Any) -> None:
    """The mark stands alone, or it is none."""
    assert list(module.wrap(GUARD).iter([b"data: [DONE]\n\n"])) == [b"data: [DONE]\n\n"]
    with pytest.raises(sf.MalformedInput):
        list(module.wrap(GUARD).iter([f"data: [DONE] {SECRET}\n\n".encode()]))


@pytest.mark.parametrize("seed", range(40))
def test_fragments_of_calls_find_their_call(seed: int) -> None:
    """With or without an index, an id, a name, in any order: as a search through all calls so far finds it."""
    rng = random.Random(seed)
    calls, known = Calls(), list[tuple[object, object]]()
    for _ in range(60):
        index, call_id, name = rng.choice([0, 1, 2, -1, "3"]), rng.choice([None, "a", "b", "c"]), rng.choice([None, "f"])
        number = next(
            (
                n
                for n in range(len(known) - 1, -1, -1)
                if (call_id is not None and known[n][1] == call_id)
                or ((call_id is None or known[n][1] is None) and known[n][0] == index)
            ),
            len(known),
        )
        known[number : number + 1] = [(known[number][0], known[number][1] or call_id) if number < len(known) else (index, call_id)]
        assert calls.number(index, call_id, name) == number


def test_what_does_not_tell_its_format_waits_within_bounds() -> None:
    """Bytes and events that tell nothing are refused when there are too many of them; whatever the pieces, in linear time."""
    with pytest.raises(sf.MalformedInput, match=r"no event has told .*; name it: providers\.openai\.chat\.Decode\(\)"):
        list(sf.text_of([{"a": 1}]))
    with pytest.raises(sf.MalformedInput, match="events tells"):
        list(sf.wrap(GUARD).iter({"a": n} for n in range(MAX_EVENTS + 2)))
    comments = b": ping\n\n" * (MAX_BYTES // 8 - 100)
    chunk = b"data: " + json.dumps(USUAL["chat"][1][0]).encode() + b"\n\n"
    given = [comments[at : at + 8] for at in range(0, len(comments), 8)]
    assert b"".join(sf.wrap(GUARD).iter([*given, chunk])) == comments + chunk
    with pytest.raises(sf.MalformedInput, match="bytes tells"):
        list(sf.wrap(GUARD).iter([*given, *given, chunk]))


def test_messages_of_a_socket_tell_the_format_in_bytes_too() -> None:
    """The first one: nothing waits for a line end that never comes."""
    message = json.dumps(USUAL["messages"][1][3]).encode()
    with sf.wrap(GUARD).iter(iter([message, message])) as stream:
        assert json.loads(next(stream)) == json.loads(message)
        assert json.loads(next(stream)) == json.loads(message)


def test_a_stream_that_ends_within_what_would_tell_its_format() -> None:
    """Half an event is refused; comments alone leave as they came."""
    with pytest.raises(sf.MalformedInput):
        list(sf.wrap(GUARD).iter([b'data: {"choices": [{"del']))
    assert b"".join(sf.wrap(GUARD).iter([b": a\n", b"\n: b"])) == b": a\n\n: b"


def test_a_stream_that_is_no_helpers_keeps_no_message() -> None:
    """It may be endless. Its events have no final message to ask for."""
    events = USUAL["messages"][1]
    with anthropic.messages.wrap(GUARD).iter(events) as stream, pytest.raises(TypeError, match=r"messages\.stream\(\)"):
        stream.get_final_message()


# ------------------------------------------------------------------ other ways to send the same

WIRES: dict[str, dict[str, Any]] = {
    "no space": {"space": ""},
    "carriage returns": {"end": "\r"},
    "both line ends": {"end": "\r\n"},
    "ids, times and comments": {"before": ("retry: 3000", "id: {n}", ": keep alive")},
    "names behind": {"is_named_behind": True},
    "no names": {"has_names": False},
    "all of it": {"space": "", "end": "\r\n", "before": ("id: {n}", ":"), "is_named_behind": True},
}
TEXTS: dict[str, Any] = {
    "as it came": lambda event, _: event,
    "on many lines": lambda event, _: json.dumps(json.loads(event), indent=1),
    "in another order": lambda event, rng: json.dumps(shuffled(json.loads(event), rng), ensure_ascii=False),
    "with more fields": lambda event, _: json.dumps({**json.loads(event), "x_region": {"name": "eu", "ms": [1, None, 2.5]}}),
}
MODULES = {
    "openai.chat": openai.chat,
    "openai.responses": openai.responses,
    "openai.completions": openai.completions,
    "anthropic.messages": anthropic.messages,
    "gemini.generateContent": gemini,
}
RECORDED = [
    (api, entry)
    for api in MODULES
    for entry in [each for each in shared(api) if each["events"] < 120 and "nonjson_data" not in each["features"]][:6]
]


def shuffled(node: Any, rng: random.Random) -> Any:
    """A value with the fields of all objects in another order."""
    if isinstance(node, dict):
        return {name: shuffled(node[name], rng) for name in rng.sample(list(node), len(node))}
    return [shuffled(each, rng) for each in node] if isinstance(node, list) else node


def written(frames: list[sse.Frame], text: Any, rng: random.Random, **wire: Any) -> bytes:
    """The same events as another service would send them."""
    end, space = wire.get("end", "\n"), wire.get("space", " ")
    out: list[str] = []
    for n, frame in enumerate(frames):
        data = frame.data or ""
        data = text(data, rng) if data[:1] == "{" else data
        name = [f"event:{space}{frame.event}"] if frame.event and wire.get("has_names", True) else []
        lines = [f"data:{space}{line}" for line in data.split("\n")]
        lines = lines + name if wire.get("is_named_behind") else name + lines
        out += [line + end for line in [*(each.format(n=n) for each in wire.get("before", ())), *lines, ""]]
    return "".join(out).encode()


@pytest.mark.parametrize(("api", "entry"), RECORDED, ids=lambda each: each["file"] if isinstance(each, dict) else each)
def test_the_same_events_sent_otherwise_say_the_same(api: str, entry: dict[str, Any]) -> None:
    """Other line ends, orders and fields: every byte is reproduced, no cut matters, and the text is what the index counts."""
    module, rng = MODULES[api], random.Random(1)
    frames = [frame for frame in sse.Decoder().feed(body(entry)) if frame.data]
    redact = module.wrap(sf.Redact(r"(?i)\b(?:the|a|is)\b|[0-9]+", to="█"))
    for wire, text in [*((wire, "as it came") for wire in WIRES), *(("no space", text) for text in TEXTS)]:
        raw = written(frames, TEXTS[text], rng, **WIRES[wire])
        assert b"".join(module.wrap(sf.Pipeline()).iter(pieces(raw, 1))) == raw
        if "tool_args" not in entry["features"]:
            assert b"".join(module.wrap(sf.Redact("\x00")).iter(pieces(raw, 2, 40))) == raw
        assert len({b"".join(redact.iter(pieces(raw, seed, most))) for seed, most in ((3, 9), (4, 999))}) == 1
        items = list(module.Decode().iter(pieces(raw, 5)))
        said = [
            "".join(item.text for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == kind)
            for kind in ("answer", "reasoning")
        ]
        assert list(map(len, said)) == [entry["text_chars"], entry["reasoning_chars"]], (wire, text)


@pytest.mark.parametrize(
    "first", ["chat", "completions", "messages", "responses", "gemini", "bedrock", "vercel", "ollama", "langchain"]
)
@pytest.mark.parametrize("then", ["chat", "completions", "messages", "responses", "gemini", "bedrock", "ollama", "langchain"])
def test_a_format_that_changes_within_a_stream(first: str, then: str) -> None:
    """It is refused: what would be read as quotes could be one secret in two. What came before has left."""
    module, before = USUAL[first]
    after = USUAL[then][1]
    if USUAL[then][0] is module or {first, then} == {"chat", "completions"}:  # these two tell their text in the same place
        pytest.skip("the same format")
    head = b"" if first == "ollama" else b"data: "
    raw = [head + json.dumps(each).encode() + (b"\n\n" if head else b"\n") for each in (*before, *after)]
    out: list[bytes] = []
    with pytest.raises(sf.MalformedInput):
        out.extend(module.wrap(GUARD).iter(raw))
    with pytest.raises(TypeError, match="wrap: "):
        list(module.wrap(GUARD).iter([*before, *after]))


@pytest.mark.parametrize("then", ["chat", "completions", "messages", "responses", "gemini", "bedrock", "ollama", "langchain"])
def test_events_of_an_agent_do_not_become_those_of_a_provider(then: str) -> None:
    """The same of pydantic-ai's events."""
    start = {"event_kind": "part_start", "index": 0, "part": {"part_kind": "text", "content": "a"}}
    with pytest.raises(TypeError, match="of another format than this stream, which is read as pydantic_ai"):
        list(pydantic_ai.wrap(GUARD).iter([start, *USUAL[then][1]]))


# ------------------------------------------------------------------ tokens and counts


def _tokens(*texts: str, raw: str | None = None) -> list[dict[str, Any]]:
    return [{"token": text, "bytes": list((raw or text).encode()), "logprob": -1} for text in texts]


LYING: dict[str, list[dict[str, Any]]] = {
    "in pieces": _tokens(SECRET[:7], SECRET[7:]),
    "in bytes": _tokens("a", raw=SECRET),
    "in bytes of others": [{**_tokens("a")[0], "top_logprobs": _tokens("b", raw=SECRET)}],
    "in bytes that are no text": [{"token": "a", "bytes": [255, *SECRET.encode()]}],
}


def _delta(**more: Any) -> dict[str, Any]:
    """An event of the Responses API."""
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "i", "delta": "a", **more}


def _spoken(tokens: list[dict[str, Any]]) -> dict[str, tuple[Any, list[dict[str, Any]]]]:
    """Events that say "a", and some tokens."""
    done = {**_delta(), "type": "response.output_text.done", "text": "a", "logprobs": tokens}
    item = {"type": "message", "content": [{"type": "output_text", "text": "a", "logprobs": tokens}]}
    chosen = {"logprobsResult": {"chosenCandidates": tokens}}
    return {
        "chat": (openai.chat, [{"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": tokens}}]}]),
        "deltas": (openai.responses, [_delta(logprobs=tokens)]),
        "texts that are done": (openai.responses, [_delta(), done]),
        "items that are done": (
            openai.responses,
            [_delta(), {"type": "response.output_item.done", "output_index": 0, "item": item}],
        ),
        "responses": (openai.responses, [_delta(), {"type": "response.completed", "response": {"output": [item]}}]),
        "gemini": (gemini, [{"candidates": [{"content": {"parts": [{"text": "a"}]}, **chosen}]}]),
        "ollama": (ollama, [{"response": "a", "done": False, "logprobs": tokens}]),
        "langchain": (
            langchain,
            [{"type": "AIMessageChunk", "content": "a", "response_metadata": {"logprobs": {"content": tokens}}}],
        ),
    }


@pytest.mark.parametrize("way", LYING)
@pytest.mark.parametrize("name", _spoken([]))
def test_tokens_that_say_something_else_than_the_text_are_left_out(name: str, way: str) -> None:
    """Not even as bytes; those that say it stay."""
    module, events = _spoken(LYING[way])[name]
    assert not fragments(module.wrap(GUARD).iter(events), SECRET)
    honest = _spoken(_tokens("a"))[name][1]
    assert list(module.wrap(GUARD).iter(honest)) == honest


@pytest.mark.parametrize("way", LYING)
def test_tokens_of_what_did_not_stream_say_its_text_too(way: str) -> None:
    """The same of whole responses."""

    def wholes(tokens: list[dict[str, Any]]) -> list[tuple[Any, dict[str, Any]]]:
        message = {"role": "assistant", "content": "a"}
        part = {"type": "output_text", "text": "a", "logprobs": tokens}
        metadata = {"logprobs": {"content": tokens}}
        candidate = {"content": {"parts": [{"text": "a"}]}, "logprobsResult": {"chosenCandidates": tokens}}
        return [
            (openai.chat, {"choices": [{"index": 0, "message": message, "logprobs": {"content": tokens}}]}),
            (openai.responses, {"output": [{"type": "message", "content": [part]}]}),
            (gemini, {"candidates": [candidate]}),
            (ollama, {"response": "a", "done": True, "logprobs": tokens}),
            (langchain, {"type": "ai", "content": "a", "response_metadata": metadata}),
        ]

    for module, response in wholes(LYING[way]):
        assert not fragments([module.filter_response(GUARD, response)], SECRET), module.__name__
    for module, response in wholes(_tokens("a")):
        assert module.filter_response(GUARD, response) == response


@pytest.mark.parametrize("value", [SECRET, [SECRET], {"a": SECRET}, {"a": [{"b": [SECRET]}]}])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("chat", ("usage",)),
        ("completions", ("usage",)),
        ("responses", ("response", "usage")),
        ("messages", ("message", "usage")),
        ("gemini", ("usageMetadata",)),
        ("gemini", ("candidates", 0, "safetyRatings")),
        ("bedrock", ("usage",)),
        ("langchain", ("usage_metadata",)),
    ],
)
def test_what_stands_in_the_place_of_counts_is_filtered(name: str, path: tuple[Any, ...], value: Any) -> None:
    """Counts are numbers: a text in their place is one."""
    module, usual = USUAL[name]
    assert not fragments(module.wrap(GUARD).iter(changed(usual, 0, path, value)), SECRET)


def test_a_message_beside_a_delta_hides_nothing() -> None:
    """Whatever it is; and its calls have arguments in one place only."""
    for message in HIDING:
        events = [{"choices": [{"index": 0, "delta": {"content": "a"}, "message": message}]}]
        assert not fragments(openai.chat.wrap(GUARD).iter(events), SECRET)
    calls = [{"index": 0, "id": "i", "function": {"name": "f", "arguments": "{}"}, "x": {"arguments": SECRET}}]
    events = [{"choices": [{"index": 0, "delta": {"tool_calls": calls}, "message": {"tool_calls": calls}}]}]
    assert not fragments(openai.chat.wrap(GUARD).iter(events), SECRET)


def reachable(error: BaseException) -> str:
    """All that an error and what led to it have, but for the variables of frames."""
    said, waiting, seen = "", [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            own = {name: getattr(each, name) for name in dir(each) if not name.startswith("__")}
            said += repr((each.args, vars(each), own))
            waiting += [other for other in (each.__context__, each.__cause__) if other is not None]
    return said


WRONG: list[tuple[Any, Any]] = [
    (openai.chat, b'data: {"a": "%s\n\n'),
    (openai.chat, b'data: ["%s"]\n\n'),
    (openai.chat, b'data: {"a": "%s", "a": "%s"}\n\n'),
    (openai.chat, b"data: %s\n\n"),
    (openai.chat, {"choices": "%s"}),
    (openai.responses, b'data: {"a": "%s\n\n'),
    (openai.responses, b'data: {"a": 1, "a": "%s", "b": \n\n'),
    (openai.completions, b'data: "%s"\n\n'),
    (anthropic.messages, b'data: {"a": "%s\n\n'),
    (anthropic.messages, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "%s"}}),
    (gemini, b'data: {"a": "%s\n\n'),
    (gemini, {"candidates": [{"content": {"parts": [{"text": ["%s"]}]}}]}),
    (ollama, b'{"a": "%s\n'),
    (ollama, b'{"a": "%s\xff"}\n'),
    (bedrock.invoke, {"chunk": {"bytes": "%s!"}}),
    (bedrock.invoke, {"chunk": {"bytes": b"%s\xff"}}),
    (vercel, b"data: {%s}\n\n"),
]
"""What is malformed, and says the secret."""


@pytest.mark.parametrize(("module", "item"), WRONG)
def test_no_error_holds_what_was_malformed(module: Any, item: Any) -> None:
    """Neither an error nor what it was raised for has the text: what reports errors follows their contexts."""
    given = item.replace(b"%s", SECRET.encode()) if isinstance(item, bytes) else _filled(item)
    for stage in (module.wrap(GUARD), module.Decode()):
        with pytest.raises((sf.MalformedInput, TypeError)) as caught:
            list(stage.iter([given]))
        assert SECRET not in reachable(caught.value)


def _filled(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _filled(each) for name, each in node.items()}
    if isinstance(node, list):
        return [_filled(each) for each in node]
    if isinstance(node, bytes):
        return node.replace(b"%s", SECRET.encode())
    return node.replace("%s", SECRET)


def test_fragments_of_one_call_in_one_chunk_leave_with_their_call() -> None:
    """However many there are: if what they say together changed, it leaves once."""
    pieces_ = ['{"a": "x', SECRET[:5], SECRET[5:], '"}']
    calls = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": piece}} for piece in pieces_]
    out = list(openai.chat.wrap(GUARD).iter([chat({"tool_calls": calls})]))
    said = [call["function"]["arguments"] for each in out for call in each["choices"][0]["delta"]["tool_calls"]]
    assert json.loads("".join(said)) == {"a": "x█"}


def test_text_that_is_long_held_leaves_in_pieces_that_cost_what_they_are_long() -> None:
    """A channel's text that has come is searched from where it has left off, not copied for each piece."""
    awaited = Awaited()
    for n in range(2_000):
        awaited.add(f"{n},")
    assert all(awaited.takes(f"{n},") for n in range(2_000))
    assert not awaited
    assert not awaited.takes("x")


def _told(error: BaseException) -> list[str]:
    """Variables of the library's frames in a traceback that have the planted text, but for what the caller has given."""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
        if frame.f_globals.get("__name__", "").startswith("streamfilter."):
            named = [name for name, value in frame.f_locals.items() if "planted" in repr(value)]
            found += [name for name in named if name not in ("request", "response", "origin")]
    return found


@pytest.mark.parametrize("module", [openai.chat, anthropic.messages, openai.responses])
def test_an_event_that_is_no_json_leaves_no_text_in_the_traceback(module: Any) -> None:
    """Nor does the frame that reads events, which goes on."""
    wrap = module.wrap(sf.Redact("x"))
    with pytest.raises(sf.MalformedInput) as raised:
        list(wrap.iter([b'data: {"a": "planted\n\n']))
    assert not _told(raised.value)


def test_what_refuses_a_whole_message_leaves_no_text_in_the_traceback() -> None:
    """Of a request and of a response, in both ways of calling."""
    chat: Any = openai.chat
    guard = sf.Block("p[l]anted")
    request = {"messages": [{"role": "user", "content": "so planted"}]}
    response = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "so planted"}}]}
    calls: tuple[Callable[[], Any], ...] = (
        lambda: chat.filter_request(guard, request),
        lambda: asyncio.run(chat.afilter_request(guard, request)),
        lambda: chat.filter_response(guard, response),
        lambda: asyncio.run(chat.afilter_response(guard, response)),
    )
    for call in calls:
        with pytest.raises(sf.Blocked) as raised:
            call()
        assert not _told(raised.value)


@pytest.mark.parametrize("name", ["openai.chat", "anthropic.messages"])
@pytest.mark.parametrize(
    ("beside", "count", "left"),
    [
        (f"event: {SECRET}\n", 1, ""),
        (f"id: {SECRET}\n", 1, ""),
        (f": {SECRET}\n", 1, ""),
        (f"event: {SECRET}\nid: {SECRET}\n", 2, ""),
        (f"event: a\nevent: {SECRET}\nid: 7\n", 1, "event: a\nid: 7\n"),
    ],
)
def test_what_is_found_beside_an_event_is_reported_once(name: str, beside: str, count: int, left: str) -> None:
    """A line for a line, in formats whose frames are made anew too; the other lines of the frame stay."""
    module, events = (openai.chat, [chat({"content": "a"})]) if name == "openai.chat" else (anthropic.messages, [block(text="a")])
    raw = f"{beside}data: {json.dumps(events[0])}\n\n".encode()
    with module.wrap(GUARD).iter([raw]) as stream:
        out = b"".join(stream)
        assert stream.report.counts == {"redacted": count}
    assert SECRET.encode() not in out
    assert out.startswith(f"{left}data: ".encode())
