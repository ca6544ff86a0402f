"""Real chat completion streams, cut at random bytes, through the library and through the real client."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import run_virtually

RECORDINGS = shared("openai.chat")
if not RECORDINGS:
    pytest.skip("the shared recordings are not beside this checkout", allow_module_level=True)

recorded = pytest.mark.parametrize("entry", RECORDINGS, ids=[entry["file"] for entry in RECORDINGS])
COMMON = r"\b(?:the|a|is|and)\b"  # what every text has, to be redacted


def pieces(raw: bytes, seed: int, most: int = 60) -> Iterator[bytes]:
    """The bytes cut at random places."""
    rng = random.Random(seed)
    at = 0
    while at < len(raw):
        size = rng.randint(1, most)
        yield raw[at : at + size]
        at += size


def content(payloads: list[dict[str, Any]]) -> dict[tuple[int, str], str]:
    """All text by choice and field, joined without our help."""
    joined: dict[tuple[int, str], str] = {}
    for payload in payloads:
        for choice in payload.get("choices") or ():
            for name, value in (choice.get("delta") or {}).items():
                for kind, text in texts(name, value):
                    joined[choice["index"], kind] = joined.get((choice["index"], kind), "") + text
    return joined


def texts(name: str, value: Any) -> list[tuple[str, str]]:
    """The text in one field of a delta: a string, or Mistral's list of parts."""
    if name not in ("content", "reasoning", "reasoning_content", "refusal"):
        return []
    if isinstance(value, list):
        found = [(name, part["text"]) for part in value if part["type"] == "text"]
        return found + [("thinking", inner["text"]) for part in value if part["type"] == "thinking" for inner in part["thinking"]]
    return [(name, value)] if isinstance(value, str) else []


@recorded
def test_text_of_has_the_characters_that_the_index_counts(entry: dict[str, Any]) -> None:
    """The answer's text is as long as the index says, whatever the cuts."""
    for cuts in ([body(entry)], list(pieces(body(entry), 1)), list(pieces(body(entry), 2, 5))):
        assert len("".join(sf.text_of(cuts))) == entry["text_chars"]


@recorded
def test_reasoning_has_the_characters_that_the_index_counts(entry: dict[str, Any]) -> None:
    """Reasoning is told from the answer in every spelling. (The index does not count it where only `reasoning_details` has it.)"""
    items = list(chat.Decode().iter(pieces(body(entry), 3)))
    reasoning = [item for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "reasoning"]
    counted = [item.text for item in reasoning if item.channel.key[2] != "reasoning_details"]
    if "content_parts" in entry["features"]:  # there the index has counted the JSON of the parts
        assert "".join(counted) == content(chunks(body(entry)))[0, "thinking"]
    else:
        assert len("".join(counted)) == entry["reasoning_chars"]
    assert sum(isinstance(item, sf.ToolCall) for item in items) >= entry["tool_calls"] > -1
    assert [item.reason for item in items if isinstance(item, sf.Finish)][:1] == (entry["finish"] or [])[:1]


@recorded
def test_an_empty_pipeline_reproduces_every_byte(entry: dict[str, Any]) -> None:
    """`wrap` of nothing is the identity on bytes, comments and line ends included, whatever the cuts."""
    raw = body(entry)
    for seed in range(3):
        assert b"".join(chat.wrap(sf.Pipeline()).iter(pieces(raw, seed))) == raw


@recorded
def test_an_empty_pipeline_reproduces_every_chunk(entry: dict[str, Any]) -> None:
    """`wrap` of nothing gives the very chunks that came: dicts and SDK objects."""
    dicts = chunks(body(entry))
    assert list(chat.wrap(sf.Pipeline()).iter(dicts)) == dicts
    objects = [ChatCompletionChunk.model_construct(**payload) for payload in dicts]
    assert all(one is other for one, other in zip(chat.wrap(sf.Pipeline()).iter(objects), objects, strict=True))


@recorded
def test_each_choice_is_filtered_as_its_whole_text(entry: dict[str, Any]) -> None:
    """Every text of every choice comes out as the batch operation gives it, in bytes and in dicts; usage and reasons are kept."""
    dicts = chunks(body(entry))
    stage_of_text = sf.Redact(COMMON, to="█")
    stage = chat.wrap(stage_of_text)
    want = {key: stage_of_text.apply(text) for key, text in content(dicts).items()}
    want = {key: text for key, text in want.items() if text}
    for out in (list(stage.iter(dicts)), chunks(b"".join(stage.iter(pieces(body(entry), 5))))):
        assert {key: text for key, text in content(out).items() if text} == want
        assert [chunk["usage"] for chunk in out if chunk.get("usage")] == [chunk["usage"] for chunk in dicts if chunk.get("usage")]
        assert reasons(out) == reasons(dicts)
        assert said(out) == {key: mapped(value, stage_of_text.apply) for key, value in said(dicts).items()}


@recorded
def test_each_choice_is_moderated_as_its_whole_text(entry: dict[str, Any]) -> None:
    """Windows are cut and replaced per channel as in the whole text, while checks take random times; nothing else changes."""
    dicts = chunks(body(entry))
    rng = random.Random(4)

    def judged(text: str) -> str:
        return f"[{len(text)}]" if "the" in text else text

    async def check(window: sf.Window) -> sf.Verdict:
        await asyncio.sleep(rng.random())
        return sf.Verdict.replace(judged(window.text))

    def means(text: str) -> str:
        ends = [0, *sf.by_sentence().start().feed(text), len(text)]
        return "".join(judged(text[start:end]) for start, end in itertools.pairwise(ends) if start < end)

    async def through(items: Sequence[Any]) -> list[Any]:
        async def source() -> AsyncIterator[Any]:
            for item in items:
                await asyncio.sleep(rng.random() / 20)
                yield item

        async with chat.wrap(sf.Moderate(check, concurrency=3))(source()) as stream:
            return [item async for item in stream]

    want = {key: means(text) for key, text in content(dicts).items() if text}
    raw = run_virtually(through(list(pieces(body(entry), 5, 400))))
    for out in (run_virtually(through(dicts)), chunks(b"".join(raw))):
        assert {key: text for key, text in content(out).items() if text} == want
        assert [chunk["usage"] for chunk in out if chunk.get("usage")] == [chunk["usage"] for chunk in dicts if chunk.get("usage")]
        assert sorted(reasons(out)) == sorted(reasons(dicts))  # one choice does not wait for another's verdicts
        assert said(out) == said(dicts)


def reasons(payloads: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(c["index"], c["finish_reason"]) for p in payloads for c in p.get("choices") or () if c.get("finish_reason")]


def said(payloads: list[dict[str, Any]]) -> dict[tuple[Any, Any], Any]:
    """What the arguments of each call say, joined without our help."""
    joined: dict[tuple[Any, Any], str] = {}
    for choice in [choice for payload in payloads for choice in payload.get("choices") or ()]:
        for call in (choice.get("delta") or {}).get("tool_calls") or ():
            key = choice["index"], call.get("index")
            joined[key] = joined.get(key, "") + (call["function"].get("arguments") or "")
    return {key: json.loads(text) if text else None for key, text in joined.items()}


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value with all its strings changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(each, change) for each in value]
    return {change(key): mapped(each, change) for key, each in value.items()} if isinstance(value, dict) else value


def client_over(raw: bytes, seed: int) -> AsyncOpenAI:
    """The real client, its transport giving these bytes through `wrap`, cut at random."""

    async def served() -> AsyncIterator[bytes]:
        async def source() -> AsyncIterator[bytes]:
            for piece in pieces(raw, seed):
                yield piece

        async with chat.wrap(sf.Redact(COMMON, to="█"))(source()) as stream:
            async for piece in stream:
                yield piece

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=served())

    return AsyncOpenAI(
        api_key="none", base_url="http://test/v1", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    )


@recorded
def test_the_real_client_accumulates_the_redacted_text(entry: dict[str, Any]) -> None:
    """The `openai` client, fed a redacted stream, reads the redacted text of each choice."""

    async def read() -> dict[tuple[int, str], str]:
        async with client_over(body(entry), 7) as client:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            return content([chunk.model_dump(warnings=False) async for chunk in stream])

    got = {key: text for key, text in asyncio.run(read()).items() if text}
    want = {key: sf.Redact(COMMON, to="█").apply(text) for key, text in content(chunks(body(entry))).items()}
    assert got == {key: text for key, text in want.items() if text}


@pytest.mark.parametrize("stage", [sf.Sentences(), sf.Lines(), sf.Paragraphs(), sf.Chunks(5), sf.Words(), sf.Redact("zzz")])
def test_what_counts_characters_of_unchanged_text_stays(stage: sf.Stage[str, str]) -> None:
    """Also where these leave in a unit with text that came behind it; where they change, it is left out."""
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    citation = {"type": "url_citation", "start_index": 3, "end_index": 8, "url": "http://x", "title": "t"}

    def given() -> list[dict[str, Any]]:
        return [
            {"type": "response.output_text.delta", **place, "delta": "It rains. See "},
            {"type": "response.output_text.annotation.added", **place, "annotation_index": 0, "annotation": citation},
            {"type": "response.output_text.delta", **place, "delta": "more. Bye."},
            {"type": "response.output_text.done", **place, "text": "It rains. See more. Bye."},
        ]

    def kept(pipeline: sf.Stage[str, str]) -> list[Any]:
        return [event["annotation"] for event in sf.wrap(pipeline).iter(given()) if "annotation" in event]

    assert kept(stage) == [citation]
    assert kept(sf.Redact("rains", to="snows and snows") | stage) == []
