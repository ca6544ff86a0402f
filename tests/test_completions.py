"""OpenAI's legacy completions: every recording, the SDK's objects, log probabilities, other formats, and planted secrets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types import Completion
from recordings import body, shared
from test_providers import COMMON, REDACT, payloads, pieces

import streamfilter as sf
from streamfilter.detectors import EMAIL
from streamfilter.errors import MalformedInput
from streamfilter.providers import detect, openai
from streamfilter.testing import run_virtually
from streamfilter.testing.planting import fragments, plantings

completions = openai.completions
RECORDED = shared("openai.completions")
recorded = pytest.mark.parametrize("entry", RECORDED, ids=[entry["file"] for entry in RECORDED])
SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")
X = sf.Redact("secret", to="█")


def said(events: list[dict[str, Any]]) -> dict[int, str]:
    """The text of each choice."""
    texts: dict[int, str] = {}
    for event in events:
        for choice in event.get("choices") or ():
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    return texts


def chunk(text: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": None} | fields
    return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}


def tokens(*texts: str, **fields: Any) -> dict[str, Any]:
    numbers = [*range(len(texts))]
    return {"tokens": list(texts), "token_logprobs": numbers, "top_logprobs": None, "text_offset": numbers} | fields


@recorded
def test_an_empty_pipeline_and_one_that_finds_nothing_change_no_byte(entry: dict[str, Any]) -> None:
    """Whatever the cuts. The format is told from that of chats by the first chunk."""
    raw = body(entry)
    events = payloads(raw)
    pipelines: list[Any] = [sf.Pipeline(), sf.Redact("\x00")]
    for pipeline in pipelines:
        for wrap in (completions.wrap, sf.wrap):
            assert b"".join(wrap(pipeline).iter(pieces(raw, 1, 40))) == raw
            assert all(one is other for one, other in zip(wrap(pipeline).iter(events), events, strict=True))


@recorded
def test_the_text_is_as_long_as_the_index_says(entry: dict[str, Any]) -> None:
    """And the reason to stop is read."""
    raw = body(entry)
    assert len("".join(sf.text_of(pieces(raw, 3)))) == entry["text_chars"]
    items = list(completions.Decode().iter(pieces(raw, 3)))
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == entry["finish"]
    assert sum(isinstance(item, sf.Usage) for item in items) == ("usage" in entry["features"])


@recorded
@pytest.mark.parametrize("pipeline", [REDACT, sf.Redact(COMMON, to="")])
def test_text_is_filtered_as_a_whole(entry: dict[str, Any], pipeline: Any) -> None:
    """In bytes and dicts; the cuts do not matter; `[DONE]` is the last."""
    raw = body(entry)
    events = payloads(raw)
    want = {index: pipeline.apply(text) for index, text in said(events).items()}
    stage = completions.wrap(pipeline)
    assert said(list(stage.iter(events))) == want
    written = {b"".join(stage.iter(pieces(raw, seed, most))) for seed, most in ((1, 7), (2, 100), (3, 5000))}
    assert len(written) == 1
    assert said(payloads(next(iter(written)))) == want
    assert next(iter(written)).endswith(b"data: [DONE]\n\n") == raw.endswith(b"data: [DONE]\n\n")


@recorded
def test_a_stopped_completion_ends_as_the_format_has_it(entry: dict[str, Any]) -> None:
    """With a reason, and in bytes `[DONE]`."""
    raw = body(entry)
    events = payloads(raw)
    text = said(events)[0]
    for given in (events, [raw]):
        out: list[Any] = list(completions.wrap(sf.StopAt(text[20:26])).iter(given))
        if given is not events:
            assert b"".join(out).endswith(b"data: [DONE]\n\n")
            assert b"".join(out).count(b"[DONE]") == 1
            out = payloads(b"".join(out))
        assert said(out) == {0: text[: text.index(text[20:26])]}
        assert [choice["finish_reason"] for event in out for choice in event["choices"] if choice["finish_reason"]] == ["stop"]
        assert {event["id"] for event in out} == {events[0]["id"]}


FULL: list[dict[str, Any]] = [
    chunk("It is", logprobs=tokens("It", " is")),
    chunk(" so", logprobs=tokens(" so")),
    chunk("Two", 1),
    chunk(".", finish_reason="stop", stop_reason="note"),
    chunk("!", 1, finish_reason="length"),
    chunk("") | {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
]


@pytest.mark.parametrize("events", [FULL, *(payloads(body(entry)) for entry in RECORDED)])
def test_a_secret_in_any_field_does_not_come_out(events: list[dict[str, Any]]) -> None:
    """No six characters of it, in dicts and in bytes, wherever it is planted."""
    stage = completions.wrap(GUARD)
    assert list(stage.iter(events)) == events

    def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
        return event["choices"][path[1]]["index"] if path[-1] == "text" else None

    for place, planted in plantings(events, SECRET, spared=completions.OPAQUE, goes_on=goes_on):
        assert not fragments(stage.iter(planted), SECRET), place
        raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in planted)
        assert not fragments(payloads(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]]))), SECRET), place


@pytest.mark.parametrize("is_inside", [True, False])
@pytest.mark.parametrize("text", [SECRET, "it is so"])
def test_what_a_field_that_is_not_known_says_goes_on_in_the_next_chunk(is_inside: bool, text: str) -> None:
    """In a choice or beside them, a character at a time: what comes out in it is the whole of it, filtered."""

    def with_note(note: str) -> dict[str, Any]:
        return chunk("a", note=note) if is_inside else chunk("a") | {"note": note}

    out = list(completions.wrap(GUARD).iter(map(with_note, text)))
    notes = [(event["choices"][0] if is_inside else event).get("note", "") for event in out]
    assert "".join(notes) == GUARD.apply(text)
    assert said(out) == {0: "a" * len(text)}


@pytest.mark.parametrize(
    "second",
    [chunk("b", 1), chunk("b"), chunk("", finish_reason="stop"), chunk("") | {"choices": [], "usage": {"total_tokens": 3}}],
)
def test_what_stands_beside_the_choices_goes_on_whatever_the_next_chunk_says(second: dict[str, Any]) -> None:
    """Of another choice, the end of this one, usage: a secret in two halves is found, and the halves stay in their order."""
    for one, other, shown in ((SECRET[:6], SECRET[6:], "█"), ("so", " it is", "so it is")):
        out = list(completions.wrap(GUARD).iter([chunk("a") | {"note": one}, second | {"note": other}]))
        assert "".join(event.get("note", "") for event in out) == shown


def test_what_names_a_service_or_pads_a_chunk_stays_on_it() -> None:
    """As OpenRouter and OpenAI have it in every chunk: it is no text that could go on."""
    events = [
        chunk(text, native_finish_reason=None) | {"provider": "OpenAI", "obfuscation": "x9"} for text in ("so ", "it ", "is ")
    ]
    events.append(chunk("", finish_reason="stop", native_finish_reason="stop") | {"provider": "OpenAI", "obfuscation": "x9f"})
    out = list(completions.wrap(sf.Redact(EMAIL)).iter(events))
    assert [(event["provider"], event["obfuscation"]) for event in out] == [("OpenAI", "x9")] * (len(out) - 1) + [("OpenAI", "x9f")]
    assert [event["choices"][0]["native_finish_reason"] for event in out[-1:]] == ["stop"]
    assert said(out) == {0: "so it is "}


def test_tokens_stay_only_where_they_are_the_text() -> None:
    """Not where it has changed or is held, and not beside others that were not taken: those are keys, and nothing filters them."""
    events = [chunk("a sec", logprobs=tokens("a", " sec")), chunk("ret", logprobs=tokens("ret")), chunk("b", logprobs=tokens("b"))]
    out = list(completions.wrap(X).iter(events))
    assert [event["choices"][0]["logprobs"] for event in out] == [None] * len(out)
    assert said(out) == {0: "a █b"}
    other = chunk("a", logprobs=tokens("a", top_logprobs=[{"a": -1, "secret": -2}]))
    assert list(completions.wrap(X).iter([other])) == [chunk("a")]
    fine = chunk("a b", logprobs=tokens("a", " b"))
    assert next(iter(list(completions.wrap(X).iter([fine])))) is fine


def test_choices_are_several_texts() -> None:
    """On chunks of their own, and on one."""
    events = [chunk("sec"), chunk("ret", 1), chunk("ret"), chunk("", finish_reason="stop"), chunk("", 1, finish_reason="stop")]
    assert said(list(completions.wrap(X).iter(events))) == {0: "█", 1: "ret"}
    both = chunk("")
    both["choices"] = [chunk("a sec", n)["choices"][0] for n in (0, 1)]
    out = list(completions.wrap(X).iter([both, chunk("ret"), chunk("x", 1)]))
    assert said(out) == {0: "a █", 1: "a secx"}


def test_objects_of_the_sdk_leave_as_such() -> None:
    """From the real client; what is made is of the same class."""
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in FULL) + b"data: [DONE]\n\n"

    async def run(pipeline: Any) -> list[Any]:
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=raw, headers={"content-type": "text/event-stream"}))
        async with AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=transport)) as client:
            source = await client.completions.create(model="m", prompt="p", stream=True)
            return [event async for event in sf.wrap(pipeline)(source)]

    out = asyncio.run(run(sf.Redact("so", to="█")))
    assert all(isinstance(event, Completion) for event in out)
    assert said([event.model_dump() for event in out]) == {0: "It is █.", 1: "Two!"}
    out = asyncio.run(run(sf.StopAt("so")))
    assert all(isinstance(event, Completion) for event in out)
    assert {choice.finish_reason for event in out for choice in event.choices} >= {"stop"}


def test_other_formats_become_chunks_and_chunks_other_formats() -> None:
    """Text, reasons and counts."""
    chats = list((completions.Decode() | openai.chat.Encode()).iter(FULL))
    back = list((openai.chat.Decode() | completions.Encode(model="m")).iter(chats))
    assert said(back) == said(FULL)
    reasons = [
        (choice["index"], choice["finish_reason"]) for event in back for choice in event["choices"] if choice["finish_reason"]
    ]
    assert reasons == [(0, "stop"), (1, "length")]
    assert back[-1]["usage"]["total_tokens"] == 3
    raw = b"".join((openai.chat.Decode() | completions.Encode(as_bytes=True)).iter(chats))
    assert said(payloads(raw)) == said(FULL)
    assert raw.endswith(b"data: [DONE]\n\n")


def test_whole_responses_and_requests_are_filtered() -> None:
    """By the same pipeline."""
    response = chunk("a secret", logprobs=tokens("a", " secret"), finish_reason="stop")
    want = chunk("a █", logprobs=None, finish_reason="stop")
    assert completions.filter_response(X, response) == want
    assert run_virtually(completions.afilter_response(X, response)) == want
    assert completions.filter_request(X, {"model": "secret", "prompt": ["a secret"], "suffix": "secret"}) == {
        "model": "secret",
        "prompt": ["a █"],
        "suffix": "█",
    }


def test_errors_are_failures_and_shapes_that_hide_text_are_refused() -> None:
    """An error's words are filtered."""
    assert list(completions.wrap(X).iter([{"error": {"message": "a secret"}}])) == [{"error": {"message": "a █"}}]
    with pytest.raises(MalformedInput):
        list(completions.wrap(X).iter([b'data: {"choices": {"text": "secret"}}\n\n']))


def test_the_format_is_told_from_that_of_chats() -> None:
    """By the text on the choice, and by the name of the object."""
    assert {detect(event) for event in FULL} == {"openai.completions"}
    assert detect({"choices": [{"index": 0, "text": "a"}]}) == "openai.completions"
    assert detect({"choices": [{"index": 0, "delta": {"content": "a"}}]}) == "openai.chat"
    assert detect({"object": "chat.completion.chunk", "choices": []}) == "openai.chat"
