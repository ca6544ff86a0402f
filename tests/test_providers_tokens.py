"""Log probabilities: the tokens of a text, and those that were not taken, which may spell what was never said."""

from __future__ import annotations

from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers import gemini, langchain, ollama, openai, pydantic_ai, vercel
from streamfilter.testing.planting import fragments

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact(SECRET, to="█")

Tokens = list[dict[str, Any]]
Case = tuple[Any, list[dict[str, Any]]]


def token(text: str, *others: str) -> dict[str, Any]:
    """A token, and those that might have come in its place."""
    top = [{"token": other, "bytes": list(other.encode()), "logprob": -2} for other in others]
    return {"token": text, "bytes": list(text.encode()), "logprob": -1, "top_logprobs": top}


def _chosen(tokens: Tokens) -> dict[str, Any]:
    """The same as Gemini says it."""
    chosen = [{"token": each["token"], "logProbability": -1} for each in tokens]
    others = [
        {"candidates": [{"token": other["token"], "logProbability": -2} for other in each["top_logprobs"]]} for each in tokens
    ]
    return {"chosenCandidates": chosen, **({"topCandidates": others} if any(each["top_logprobs"] for each in tokens) else {})}


def spoken(tokens: Tokens) -> dict[str, Case]:
    """Events that bring the text of some tokens."""
    text = "".join(each["token"] for each in tokens)
    place = {"output_index": 0, "content_index": 0, "item_id": "i"}
    delta = {"type": "response.output_text.delta", **place, "delta": text, "logprobs": tokens}
    candidate = {"content": {"parts": [{"text": text}]}, "logprobsResult": _chosen(tokens)}
    message = {"type": "AIMessageChunk", "content": text, "response_metadata": {"logprobs": {"content": tokens}}}
    part = {"part_delta_kind": "text", "content_delta": text, "provider_details": {"logprobs": tokens}}
    return {
        "chat": (openai.chat, [{"choices": [{"index": 0, "delta": {"content": text}, "logprobs": {"content": tokens}}]}]),
        "refusals": (openai.chat, [{"choices": [{"index": 0, "delta": {"refusal": text}, "logprobs": {"refusal": tokens}}]}]),
        "responses": (openai.responses, [delta]),
        "gemini": (gemini, [{"candidates": [candidate]}]),
        "ollama": (ollama, [{"model": "m", "message": {"role": "assistant", "content": text}, "done": False, "logprobs": tokens}]),
        "langchain": (langchain, [message]),
        "pydantic_ai": (pydantic_ai, [{"event_kind": "part_delta", "index": 0, "delta": part}]),
    }


OTHERS: dict[str, list[Tokens]] = {
    "whole": [[token("a", SECRET)]],
    "whole, among others": [[token("a", "b", SECRET)]],
    "two places of one event": [[token("a", SECRET[:7]), token("b", SECRET[7:])]],
    "two events": [[token("a", SECRET[:7])], [token("b", SECRET[7:])]],
    "beside a match": [[token(SECRET[:4], SECRET[:7])], [token(SECRET[4:], SECRET[7:])]],
    "behind a match": [[token(SECRET)], [token("a", SECRET[:7])]],
}


@pytest.mark.parametrize("way", OTHERS)
@pytest.mark.parametrize("name", spoken([]))
def test_tokens_that_were_not_taken_spell_no_secret(name: str, way: str) -> None:
    """Not even parts of it, as strings and as bytes: no guard could tell."""
    given = [spoken(tokens)[name] for tokens in OTHERS[way]]
    stage = given[0][0].wrap(GUARD)
    assert not fragments(stage.iter([event for _, events in given for event in events]), SECRET)


def without_others(node: Any) -> Any:
    """An event with nothing in the place of tokens that were not taken."""
    if isinstance(node, dict):
        gone = ("top_logprobs", "topCandidates")
        return {name: [] if name in gone else without_others(value) for name, value in node.items()}
    return [without_others(each) for each in node] if isinstance(node, list) else node


@pytest.mark.parametrize("name", spoken([]))
def test_the_tokens_of_a_text_that_has_not_changed_stay(name: str) -> None:
    """And so do those that were not taken, up to the first that a guard would hold or change."""
    module, events = spoken([token("a", "b", "c"), token(" d", " e")])[name]
    assert list(module.wrap(GUARD).iter(events)) == events
    _, doubted = spoken([token("a", "b", "Zq"), token(" d", " e")])[name]
    assert list(module.wrap(GUARD).iter([*events, *doubted, *events])) == [*events, *without_others([*doubted, *events])]
    assert list(module.wrap(sf.Replace("x", "y").on("reasoning") | sf.Tap(lambda _: None)).iter(events)) == events


@pytest.mark.parametrize("way", OTHERS)
def test_nor_do_those_of_what_did_not_stream(way: str) -> None:
    """The same of whole responses."""
    tokens = [each for some in OTHERS[way] for each in some]
    text = "".join(each["token"] for each in tokens)
    part = {"type": "output_text", "text": text, "logprobs": tokens}
    wholes: list[tuple[Any, dict[str, Any]]] = [
        (openai.chat, {"choices": [{"message": {"content": text}, "logprobs": {"content": tokens}}]}),
        (openai.responses, {"output": [{"type": "message", "content": [part]}]}),
        (gemini, {"candidates": [{"content": {"parts": [{"text": text}]}, "logprobsResult": _chosen(tokens)}]}),
        (ollama, {"message": {"content": text}, "done": True, "logprobs": tokens}),
        (langchain, {"type": "ai", "content": text, "response_metadata": {"logprobs": {"content": tokens}}}),
        (pydantic_ai, {"parts": [{"part_kind": "text", "content": text, "provider_details": {"logprobs": tokens}}]}),
    ]
    for module, response in wholes:
        made = module.filter_response(GUARD, response)
        assert not fragments([made], SECRET), module.__name__
        if SECRET not in text:
            assert made == without_others(response), module.__name__


CUT = [token(SECRET[:7]), token(SECRET[7:])]
SAID = [token("I "), token("say")]


def elsewhere(tokens: Tokens) -> dict[str, Case]:
    """Events that list tokens where no text comes with them: in what repeats it, or what a provider says of its own."""
    metadata = {"finish_reason": "stop", "logprobs": {"content": tokens}}
    text = "".join(each["token"] for each in tokens)
    model = {"event": "on_chat_model_stream", "run_id": "r", "data": {"chunk": {"type": "AIMessageChunk", "content": text}}}
    ended = {"type": "ai", "content": text, "response_metadata": metadata}
    part = {"part_kind": "text", "content": text, "provider_details": {"logprobs": tokens}}
    state = {"message_history": [{"kind": "response", "parts": [part]}]}
    result = {"event_kind": "agent_run_result", "result": {"output": text, "_state": state}}
    openai_says = {"providerMetadata": {"openai": {"logprobs": [tokens]}}}
    return {
        "langchain": (langchain, [model, {"event": "on_chat_model_end", "run_id": "r", "data": {"output": ended}}]),
        "pydantic_ai": (
            pydantic_ai,
            [{"event_kind": "part_start", "index": 0, "part": {**part, "provider_details": None}}, result],
        ),
        "vercel": (vercel, [{"type": "data-tokens", "data": {"logprobs": tokens}}]),
        "vercel, of a provider": (vercel, [{"type": "start"}, {"type": "text-start", "id": "t", **openai_says}]),
        "chat": (openai.chat, [{"choices": [], "prompt_logprobs": [{"1": {"decoded_token": each["token"]}} for each in tokens]}]),
        "chat, as strings": (
            openai.chat,
            [{"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"tokens": [each["token"] for each in tokens]}}]}],
        ),
    }


@pytest.mark.parametrize("name", elsewhere([]))
def test_tokens_in_other_places_spell_no_secret(name: str) -> None:
    """Those that spell what a guard leaves as it is stay, but for the prompt's."""
    module, events = elsewhere(CUT)[name]
    assert not fragments(module.wrap(GUARD).iter(events), SECRET)
    module, events = elsewhere(SAID)[name]
    if name != "chat":
        assert list(module.wrap(GUARD).iter(events)) == events
