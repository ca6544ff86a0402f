"""Secrets planted in every field of real chat completion streams, of OpenAI and of all who speak its format: none comes out.

The services differ in what stands beside the text: reasoning in several spellings, parts, citations, log probabilities, tool calls,
the message once more. Whatever is not known by name is filtered like a quote.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel, ConfigDict
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing.planting import fragments, plantings

RECORDINGS = [entry for entry in shared("openai.chat") if "nonjson_data" not in entry["features"]]
recorded = pytest.mark.parametrize("entry", RECORDINGS, ids=[entry["file"] for entry in RECORDINGS])
SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")

TEXTS = ("content", "refusal", "reasoning", "reasoning_content", "thinking", "text", "arguments", "input", "transcript", "novel")
ENTIRE = ("annotations", "executed_tools", "citations", "images", "extra")
"""Fields of a delta that are whole on the chunk that brings them."""


def chunk(delta: dict[str, Any], choice: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    """A chunk with this delta."""
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"} | {
        "choices": [{"index": 0, "delta": delta, "finish_reason": None} | (choice or {})],
        **rest,
    }


def call(function: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A fragment of a tool call."""
    return {"index": 0, "function": function, **rest}


TOKEN = {
    "token": "hm ",
    "bytes": [104, 109, 32],
    "logprob": -0.1,
    "top_logprobs": [{"token": "so ", "bytes": None, "logprob": -1.0}],
}
FILTERED = {"hate": {"filtered": False, "severity": "safe"}, "custom_blocklists": [{"filtered": False, "id": "b", "note": "n"}]}
CITED = {
    "type": "url_citation",
    "url_citation": {"url": "https://x.test/a", "title": "A", "content": "said there", "start_index": 0},
}
DETAIL = {"type": "reasoning.summary", "summary": "hm ", "index": 0, "format": "f", "extra": "x"}
PART = {"type": "text", "text": "one ", "citations": [{"cited_text": "one"}]}

MADE: dict[str, list[dict[str, Any]]] = {
    "log probabilities": [
        chunk({"role": "assistant", "content": "hm "}, {"logprobs": {"content": [TOKEN], "refusal": None}}),
        chunk({"content": "hm "}, {"logprobs": {"content": [TOKEN]}}),
    ],
    "azure": [
        chunk({"content": "a"}, {"content_filter_results": FILTERED, "content_filter_offsets": {"check_offset": 1}}),
        chunk({}, {"content_filter_results": {"error": {"code": "content_filter_error", "message": "not run"}}}),
        chunk({"context": {"citations": [{"content": "x", "title": "t", "filepath": "f", "url": "u"}], "intent": "[1]"}}),
    ],
    "openrouter": [
        chunk({"content": "", "reasoning": "hm ", "reasoning_details": [DETAIL]}, {"native_finish_reason": None}),
        chunk({"content": "", "reasoning": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "AA", "note": "n"}]}),
        chunk({"content": "ok ", "annotations": [CITED], "images": [{"type": "image_url", "image_url": {"url": "data:,A"}}]}),
        chunk({"content": ""}, {"error": {"code": 502, "message": "gone", "metadata": {"raw": "x"}}, "finish_reason": "error"}),
    ],
    "reasoning details alone": [
        chunk({"reasoning_details": [DETAIL]}),
        chunk({"reasoning_details": [DETAIL]}),
        chunk({"content": "a"}),
    ],
    "perplexity and xai": [
        chunk({"content": "see [1]"}, citations=["https://x.test/1"], search_results=[{"title": "t", "url": "u", "snippet": "s"}]),
        chunk({"content": " more"}, {"message": {"role": "assistant", "content": " more", "extra": "e"}}),
        chunk({"citations": [{"url": "u"}], "extra": {"deep": [{"deeper": "x"}]}}),
    ],
    "together and vllm": [
        chunk({"content": "a ", "token_id": 5}, {"text": "a ", "stop_reason": "<eot>", "token_ids": [5], "seed": 1}),
        chunk({"content": "b "}, {"text": "b ", "matched_stop": "x"}, prompt="asked"),
        chunk({"content": ""}, {"text": "", "finish_reason": "stop"}, warnings=[{"message": "slow"}]),
    ],
    "mistral": [
        chunk({"content": [PART, {"type": "reference", "reference_ids": [1], "title": "t"}]}),
        chunk(
            {"content": [PART, {"type": "thinking", "thinking": [{"type": "text", "text": "hm "}, {"type": "x", "title": "t"}]}]}
        ),
        chunk({"content": {"text": "no list"}}),
    ],
    "calls": [
        chunk({"tool_calls": [call({"name": "f", "arguments": '{"a": "b"'}, id="1", type="function", extra={"note": "x"})]}),
        chunk({"tool_calls": [call({"arguments": ', "c": "d"}'}, extra_content={"google": {"thought_signature": "AA"}})]}),
        chunk({"tool_calls": [{"index": 1, "id": "2", "type": "custom", "custom": {"name": "g", "input": "one "}}]}),
        chunk({"tool_calls": [{"index": 1, "custom": {"input": "two "}}]}),
        chunk({"function_call": {"name": "h", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}, {"finish_reason": "function_call"}),
    ],
    "calls said twice": [
        chunk(
            {"content": "a", "tool_calls": [call({"name": "f", "arguments": "{}"})]},
            {"message": {"content": "a", "tool_calls": []}},
        ),
        chunk(
            {"content": "b", "tool_calls": [call({"name": "f", "arguments": '{"a": "b"}'}, id="9")]},
            {"message": {"content": "b", "tool_calls": [call({"name": "f", "arguments": '{"a": "b"}'}, id="9")]}},
        ),
    ],
    "thinking blocks alone": [
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "hm ", "note": "n"}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "hm ", "signature": ""}]}),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "AA"}]}),
        chunk({"content": "a"}, {"finish_reason": "stop"}),
    ],
    "databricks": [
        chunk({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm ", "note": "n"}]}]}),
        chunk({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm "}]}]}),
        chunk({"content": [{"type": "text", "text": "a"}]}, {"finish_reason": "stop"}),
    ],
    "speech": [
        chunk({"audio": {"id": "a", "data": "AA", "transcript": "so "}}),
        chunk({"audio": {"transcript": "so ", "note": "n"}}),
    ],
    "failures": [
        chunk({"content": "a "}),
        {"error": {"message": "failed at", "type": "t", "param": "p", "failed_generation": "<x>"}},
    ],
    "older vllm": [chunk({"content": "a "}), {"object": "error", "message": "failed at", "type": "t", "code": 400}],
    "what is not known": [chunk({"content": "a ", "novel": "b"}, {"newer": ["c"]}, newest={"d": "e"}), chunk({"novel": "b"})],
    "without choices": [{"choices": [], "usage": {"n": 1}, "prompt_filter_results": [{"content_filter_results": FILTERED}]}],
}
"""Chunks that the recordings do not have, as the references of the services named show them."""
MADE = json.loads(json.dumps(MADE))  # no two chunks share a part


def goes_on(chunk: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a delta: of one choice, at one place, of one call."""
    if path[:1] != ("choices",) or path[2:3] != ("delta",) or path[-1] not in TEXTS or path[3] in ENTIRE:
        return None
    choice = chunk["choices"][path[1]]
    details = choice["delta"].get("reasoning_details")
    if details and path[3] == "reasoning_details" and any(choice["delta"].get(name) for name in TEXTS):
        return None  # it only says once more what stands beside it
    call = choice["delta"]["tool_calls"][path[4]].get("index") if path[3] == "tool_calls" else None
    return choice.get("index"), path[3:], call


def framed(events: list[Any]) -> bytes:
    """The bytes of an event stream."""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def check(events: list[dict[str, Any]]) -> None:
    """No six characters of a secret come out, wherever it is planted."""
    stage = chat.wrap(GUARD)
    for n, (place, planted) in enumerate(plantings(events, SECRET, spared=chat.OPAQUE, goes_on=goes_on)):
        assert not fragments(stage.iter(planted), SECRET), place
        raw = framed(planted)
        assert not fragments(chunks(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]]))), SECRET), place
        if n % 3 == 0:  # building the objects takes most of the time
            objects = [ChatCompletionChunk.model_construct(**each) for each in planted]
            assert not fragments([each.model_dump(mode="json", warnings=False) for each in stage.iter(objects)], SECRET), place


@recorded
def test_a_secret_in_any_field_does_not_come_out(entry: dict[str, Any]) -> None:
    """In dicts, in bytes and in objects of the SDK."""
    check(chunks(body(entry)))


@pytest.mark.parametrize("name", MADE)
def test_a_secret_in_what_is_not_recorded_does_not_come_out(name: str) -> None:
    """Nor where another part of the same text is changed beside it."""
    check(MADE[name])
    changing = chat.wrap(GUARD | sf.MapText(str.upper, channels=None))
    for place, planted in plantings(MADE[name], SECRET, spared=chat.OPAQUE, goes_on=goes_on):
        out = json.dumps(list(changing.iter(planted)))
        assert SECRET not in out, place
        assert SECRET.upper() not in out, place


def indexed(text: str, **beside: Any) -> dict[str, Any]:
    """A fragment of a call with this beside its function."""
    return {"tool_calls": [{"index": 0, "function": {}, "summary": text, **beside}]}


NESTED: dict[str, tuple[dict[str, Any], Callable[[str], dict[str, Any]]]] = {
    "a field": ({}, lambda text: {"note": text}),
    "the name of one of a choice": ({}, lambda text: {"text": text}),
    "an object": ({}, lambda text: {"provider_specific_fields": {"note": text}}),
    "a deeper one": ({"odd": {"id": "i", "n": 1}}, lambda text: {"odd": {"a": {"b": text, "c": f"{text}!"}}}),
    "an indexed list": ({"blocks": [{"index": 0, "type": "x", "id": "i"}]}, lambda text: {"blocks": [{"index": 0, "zz": text}]}),
    "another of its parts": (
        {"blocks": [{"index": 0, "zz": "Zq7-"}, {"index": 1, "zz": ""}]},
        lambda text: {"blocks": [{"index": 1, "zz": text}]},
    ),
    "beside its text": ({"content": "so "}, lambda text: {"content": "and ", "odd": {"note": text}}),
    "beside a call": (
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}]},
        indexed,
    ),
    "beside the arguments of a call": (
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "'}}]},
        lambda text: indexed("so", function={"arguments": "so ", "novel": text}),
    ),
    "deeper beside a call": (
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "extra_content": {"google": {"thought_signature": "AA"}}}]},
        lambda text: indexed("", extra_content={"google": {"note": text}}),
    ),
    "the older form of a call": (
        {"function_call": {"name": "f", "arguments": '{"a": "'}},
        lambda text: {"function_call": {"arguments": "so ", "novel": {"a": text}}},
    ),
    "details of reasoning": (
        {"reasoning_details": [{"index": 0, "type": "reasoning.novel", "id": "r", "format": "f"}]},
        lambda text: {"reasoning_details": [{"index": 0, "zz": text}]},
    ),
    "speech": ({"audio": {"id": "a"}}, lambda text: {"audio": {"data": "AA", "transcript": text, "note": text + "."}}),
    "parts of the content": (
        {"content": [{"index": 0, "type": "text"}]},
        lambda text: {"content": [{"index": 0, "text": "so", "novel": text}]},
    ),
    "content that is no list": ({}, lambda text: {"content": {"note": text}}),
    "a role that is none": ({}, lambda text: {"role": {"note": text}}),
}
"""What a delta says deep in a field, as OpenAI's client adds it up: a delta that begins it, and one that goes on with a text."""


def added(chunks: list[dict[str, Any]]) -> Any:
    """What OpenAI's client makes of the deltas."""
    total: dict[object, object] = {}
    for delta in json.loads(json.dumps([choice["delta"] for each in chunks for choice in each["choices"]])):
        total = accumulate_delta(total, delta)
    return total


def redacted(node: Any) -> Any:
    """A value with all its strings filtered."""
    if isinstance(node, dict):
        return {name: redacted(each) for name, each in node.items()}
    return [*map(redacted, node)] if isinstance(node, list) else GUARD.apply(node) if isinstance(node, str) else node


@pytest.mark.parametrize("name", NESTED)
def test_what_clients_add_up_is_one_text_however_deep_it_stands(name: str) -> None:
    """What is added up of what leaves is what is added up of what came, filtered; nothing is said twice, and what is no text leaves."""
    begin, made = NESTED[name]
    rng = random.Random(name)
    text = f"so {SECRET} it is Zq7-kestrel-Wx5 and Zq7-k"
    for _ in range(25):
        cuts = sorted(rng.sample(range(1, len(text)), rng.choice([1, 2, 5, 9])))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        events = [*map(chunk, map(json.loads, map(json.dumps, (begin, *map(made, pieces))))), chunk({}, {"finish_reason": "stop"})]
        out = list(chat.wrap(GUARD).iter(events))
        assert added(out) == redacted(added(events)), pieces
        assert added(chunks(b"".join(chat.wrap(GUARD).iter([framed(events)])))) == added(out), pieces
        objects = [ChatCompletionChunk.model_construct(**each) for each in events]
        dumped = [each.model_dump(mode="json", warnings=False, exclude_none=True) for each in chat.wrap(GUARD).iter(objects)]
        assert added(dumped) == added(out), pieces
        untouched = list(chat.wrap(sf.Redact("\x00")).iter(events))
        assert all(one is other for one, other in zip(untouched, events, strict=True))


def test_what_a_list_without_indices_says_is_told_apart_by_its_place() -> None:
    """No client could add it up otherwise."""
    for cut in range(1, len(SECRET)):
        halves = [{"odd": ["so", {"a": ["b", text]}]} for text in (SECRET[:cut], SECRET[cut:])]
        assert not fragments(chat.wrap(GUARD).iter([*map(chunk, halves)]), SECRET), cut


def test_what_once_says_the_text_again_and_then_something_else_is_one_text() -> None:
    """Its beginning was the beginning of another text too."""
    for cut in range(1, len(SECRET)):
        for novel in (lambda text: {"note": text}, lambda text: {"odd": {"note": text}}):
            events = [chunk({"content": SECRET[:cut], **novel(SECRET[:cut])}), chunk({"content": "x", **novel(SECRET[cut:])})]
            out = list(chat.wrap(GUARD).iter([*events, chunk({}, {"finish_reason": "stop"})]))
            assert SECRET not in json.dumps(added(out)), cut
            assert added(out)["content"] == f"{SECRET[:cut]}x"


BACK: dict[str, list[Callable[[str], dict[str, Any]]]] = {
    "details of reasoning": [
        lambda text: {"reasoning_details": [{"index": 0, "text": text}]},
        lambda text: {"reasoning_details": [{"index": 1, "text": text}]},
    ],
    "fields of one": [
        lambda text: {"reasoning_details": [{"index": 0, "text": text}]},
        lambda text: {"reasoning_details": [{"index": 0, "summary": text}]},
    ],
    "parts of the content": [
        lambda text: {"content": [{"index": 0, "text": text}]},
        lambda text: {"content": [{"index": 1, "text": text}]},
    ],
    "a call of two kinds": [
        lambda text: {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}]},
        lambda text: {"tool_calls": [{"index": 0, "custom": {"input": text}}]},
    ],
}
"""Places whose texts are read as one, and clients keep apart."""


@pytest.mark.parametrize("name", BACK)
def test_what_goes_on_behind_another_part_is_refused(name: str) -> None:
    """It could not be read as what clients make of it. One behind the other they are one text."""
    first, second = BACK[name]
    for cut in range(1, len(SECRET)):
        events = [*map(chunk, (first(SECRET[:cut]), second("x"), first(SECRET[cut:])))]
        out: list[Any] = []
        with pytest.raises(TypeError, match=r"behind another|of a custom tool"):
            out += chat.wrap(GUARD).iter(events)
        assert not any(SECRET[cut:] in json.dumps(each) for each in out if len(SECRET) - cut > 2)
        if "call" not in name:
            assert not fragments(chat.wrap(GUARD).iter([events[0], chunk(second(SECRET[cut:]))]), SECRET), cut


def test_details_that_have_repeated_the_reasoning_do_not_go_on_alone() -> None:
    """Clients would add up what stood beside other text before."""
    for cut in range(1, len(SECRET)):
        events = [
            chunk({"reasoning": SECRET[:cut], "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": SECRET[:cut]}]}),
            chunk({"reasoning": "x"}),
            chunk({"reasoning_details": [{"index": 0, "text": SECRET[cut:]}]}),
            chunk({"reasoning_details": [{"index": 0, "signature": "AA"}]}, {"finish_reason": "stop"}),
        ]
        total = added(list(chat.wrap(GUARD).iter(events)))
        assert SECRET not in json.dumps(total), cut
        assert total["reasoning"] == f"{SECRET[:cut]}x"
        assert total["reasoning_details"][0]["signature"] == "AA"


TWICE: dict[str, Callable[[str], dict[str, Any]]] = {
    "thinking_blocks": lambda text: chunk({"reasoning_content": text, "thinking_blocks": [{"type": "thinking", "thinking": text}]}),
    "provider_specific_fields": lambda text: chunk(
        {"reasoning_content": text, "provider_specific_fields": {"thinking_blocks": [{"type": "thinking", "thinking": text}]}}
    ),
    "content_list": lambda text: chunk({"content": text, "content_list": [{"type": "text", "text": text}], "text": text}),
    "raw_output": lambda text: chunk({"content": text}, {"raw_output": {"completion": text}}),
    "__verbose": lambda text: chunk({"content": text}, __verbose={"content": text, "stop": False}),
    "echo": lambda text: chunk({"novel": text, "echo": [text]}),
}
"""Chunks that say their text once more, as LiteLLM, Snowflake, Fireworks and llama.cpp do, and as some other may."""


@pytest.mark.parametrize("name", TWICE)
def test_text_that_a_chunk_says_once_more_does_not_come_out_in_parts(name: str) -> None:
    """What says it once more leaves with all of it, and not where it is held or changed."""
    for cut in range(len(SECRET) + 1):
        events = [*map(TWICE[name], ("so ", SECRET[:cut], SECRET[cut:], " it is"))]
        events.append(chunk({"content": "."}, {"finish_reason": "stop"}))
        out = list(chat.wrap(GUARD).iter(events))
        assert not fragments(out, SECRET)
        assert "█" in json.dumps(out, ensure_ascii=False)
        assert out[0] is events[0]
        assert out[-2:] == events[-2:]
        objects = [ChatCompletionChunk.model_construct(**event) for event in events]
        assert not fragments([each.model_dump(mode="json", warnings=False) for each in chat.wrap(GUARD).iter(objects)], SECRET)


@pytest.mark.parametrize("name", MADE)
def test_what_no_rule_matches_leaves_as_it_came(name: str) -> None:
    """Bytes, and the very dicts; but for keys of calls, which wait."""
    stage = chat.wrap(sf.Redact("\x00"))
    out = list(stage.iter(MADE[name]))
    if "calls" in name:
        return
    assert out == MADE[name]
    assert b"".join(stage.iter([framed(MADE[name])])) == framed(MADE[name])


def test_what_a_chunk_quotes_is_filtered_once_and_its_text_never_twice() -> None:
    """A guard that would match its own output sees each text once; the text that leaves later takes no quote along."""
    events = [chunk({"content": "a bb"}, citations=["b"]), chunk({"content": "b c", "annotations": [{"title": "bbb"}]})]
    out = list(chat.wrap(sf.Redact("b+", to="<b>")).iter(events))
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in out if each["choices"]) == "a <b> c"
    assert [each["citations"] for each in out if "citations" in each] == [["<b>"]]
    deltas = [choice["delta"] for each in out for choice in each["choices"]]
    assert [delta["annotations"] for delta in deltas if "annotations" in delta] == [[{"title": "<b>"}]]
    assert events[0]["citations"] == ["b"]


class _Open(BaseModel):
    """As LiteLLM's objects are: fields that the class does not declare are attributes too."""

    model_config = ConfigDict(extra="allow")


def test_fields_that_a_class_does_not_declare_can_still_be_read() -> None:
    """Text that left on another chunk is None on its own, not missing."""

    def made(content: str, finish: str | None = None) -> Any:
        delta = _Open.model_validate({"content": content, "role": None})
        choice = _Open.model_validate({"index": 0, "delta": delta, "finish_reason": finish})
        return _Open.model_validate({"id": "c", "choices": [choice], "usage": None, "citations": [SECRET]})

    out: list[Any] = list(chat.wrap(GUARD).iter([made("a Zq7-kes"), made("trel-Wx4", "stop")]))
    assert "".join(each.choices[0].delta.content or "" for each in out if each.choices) == "a █"
    assert {type(each) for each in out} == {_Open}
    assert not fragments([each.model_dump(mode="json") for each in out], SECRET)
