"""Every format of events, on every recording of it: nothing is changed but text, and that as the batch operation changes it."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai.types.responses import ResponseCompletedEvent
from recordings import body, shared

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai
from streamfilter.testing.planting import fragments, plantings

COMMON = r"(?i)\b(?:the|a|is|you)\b|[0-9]+|[e-g]o"
"""What many texts have, in words, parts of words and at their ends."""

REDACT = sf.Redact(COMMON, to="█")


def payloads(raw: bytes) -> list[dict[str, Any]]:
    """The JSON objects of an event stream, read line by line, without our help; what is none is left out."""
    found = []
    for line in raw.decode().replace("\r\n", "\n").split("\n"):
        if line.startswith("data:"):
            try:
                found.append(json.loads(line[5:]))
            except ValueError:
                continue
    return found


def _anthropic(events: list[dict[str, Any]]) -> Iterator[tuple[Any, str]]:
    turn = 0
    for event in events:
        turn += event.get("type") == "message_start"
        delta = event.get("delta") or {}
        for name in ("text", "thinking", "partial_json"):
            if isinstance(delta.get(name), str):
                yield (turn, name, event["index"]), delta[name]
        block = event.get("content_block") or {}
        for name in ("text", "thinking"):
            if isinstance(block.get(name), str) and event["type"] == "content_block_start":
                yield (turn, name, event["index"]), block[name]


def _responses(events: list[dict[str, Any]]) -> Iterator[tuple[Any, str]]:
    turn = 0
    for event in events:
        kind = event.get("type", "")
        turn += kind == "response.created"
        if kind.endswith(".delta") and isinstance(event.get("delta"), str):
            places = [event.get(name) for name in ("output_index", "content_index", "summary_index", "command_index")]
            yield (turn, kind, *places), event["delta"]


FORMATS: dict[str, tuple[Any, Callable[[list[dict[str, Any]]], Iterator[tuple[Any, str]]]]] = {
    "anthropic.messages": (anthropic.messages, _anthropic),
    "openai.responses": (openai.responses, _responses),
}
"""By API: our module, and what finds the text of its deltas, by channel, without our help."""

RECORDED = [
    pytest.param(api, entry, id=entry["file"])
    for api in FORMATS
    for entry in shared(api)
    if "nonjson_data" not in entry["features"]
]
recorded = pytest.mark.parametrize(("api", "entry"), RECORDED)
pytestmark = pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")


def joined(api: str, events: list[dict[str, Any]]) -> dict[Any, str]:
    """The text of each channel."""
    texts: dict[Any, str] = {}
    for key, text in FORMATS[api][1](events):
        texts[key] = texts.get(key, "") + text
    return texts


def pieces(raw: bytes, seed: int, most: int = 200) -> list[bytes]:
    """The bytes, cut at random."""
    rng = random.Random(seed)
    cuts = [0]
    while cuts[-1] < len(raw):
        cuts.append(min(len(raw), cuts[-1] + rng.randint(1, most)))
    return [raw[begin:end] for begin, end in itertools.pairwise(cuts)]


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value with all its strings changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(each, change) for each in value]
    return {change(key): mapped(each, change) for key, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(("api", "entry"), [(api, entry) for api in FORMATS for entry in shared(api)])
def test_an_empty_pipeline_reproduces_every_byte(api: str, entry: dict[str, Any]) -> None:
    """Also of what is no JSON, whatever the cuts; and the events that an SDK would have read."""
    raw = body(entry)
    for seed in range(3):
        assert b"".join(FORMATS[api][0].wrap(sf.Pipeline()).iter(pieces(raw, seed))) == raw
    events = payloads(raw)
    assert all(one is other for one, other in zip(FORMATS[api][0].wrap(sf.Pipeline()).iter(events), events, strict=True))


@recorded
def test_text_that_no_rule_matches_leaves_as_it_came(api: str, entry: dict[str, Any]) -> None:
    """All that is said, in bytes and in dicts, and everything beside it; only keys of calls may come later."""
    raw = body(entry)
    events = payloads(raw)
    stage = FORMATS[api][0].wrap(sf.Redact("\x00"))
    out = list(stage.iter(events))
    assert joined(api, out) == joined(api, events)
    if "tool_args" not in entry["features"]:
        assert out == events
        assert b"".join(stage.iter(pieces(raw, 4))) == raw


@recorded
def test_each_channel_is_filtered_as_its_whole_text(api: str, entry: dict[str, Any]) -> None:
    """In bytes and in dicts, whatever the cuts; arguments by what they say. A signed thought ends where it would be changed."""
    raw = body(entry)
    events = payloads(raw)
    stage = FORMATS[api][0].wrap(REDACT)
    want = joined(api, events)
    for out in (list(stage.iter(events)), payloads(b"".join(stage.iter(pieces(raw, 5)))), payloads(b"".join(stage.iter([raw])))):
        got = joined(api, out)
        for key, text in want.items():
            if "partial_json" in key or "arguments" in str(key[1]):
                assert mapped(json.loads(text or "{}"), REDACT.apply) == json.loads(got.get(key) or "{}")
            elif "thinking" in key:
                assert REDACT.apply(text).startswith(got.get(key, ""))
                assert text.startswith(got.get(key, ""))
            else:
                assert got.get(key, "") == REDACT.apply(text)


@recorded
def test_the_cuts_do_not_matter(api: str, entry: dict[str, Any]) -> None:
    """The same frames leave for the same bytes, cut at any place."""
    raw = body(entry)
    stage = FORMATS[api][0].wrap(REDACT)
    assert len({b"".join(stage.iter(pieces(raw, seed, most))) for seed, most in ((1, 7), (2, 100), (3, 5000))}) == 1


@recorded
def test_every_event_that_is_no_text_is_there_once(api: str, entry: dict[str, Any]) -> None:
    """In the order of its kind: begins, ends, pings, usage."""
    events = payloads(body(entry))
    out = list(FORMATS[api][0].wrap(sf.Redact(COMMON, to="")).iter(events))
    texts = ("delta", "annotation.added")

    def others(given: list[dict[str, Any]]) -> list[Any]:
        kinds = [(event.get("type"), event.get("index", event.get("output_index"))) for event in given]
        return [kind for kind in kinds if not str(kind[0]).endswith(texts) or kind[0] == "message_delta"]

    assert others(out) == others(events)


@recorded
def test_text_of_has_the_characters_that_the_index_counts(api: str, entry: dict[str, Any]) -> None:
    """The answer's text, decoded from bytes."""
    items = list(FORMATS[api][0].Decode().iter(pieces(body(entry), 3)))
    text = "".join(item.text for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "answer")
    assert len(text) == entry["text_chars"]
    reasoning = "".join(item.text for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "reasoning")
    assert len(reasoning) == entry["reasoning_chars"]
    assert sum(isinstance(item, sf.ToolCall) for item in items) >= entry["tool_calls"]
    if entry["finish"]:
        assert [item.reason for item in items if isinstance(item, sf.Finish)][-1:] == entry["finish"][-1:]


@recorded
def test_a_stopped_stream_ends_as_the_format_has_it(api: str, entry: dict[str, Any]) -> None:
    """What is open is closed, once, and the last event is the format's last."""
    events = payloads(body(entry))
    text = max((text for key, text in joined(api, events).items() if "text" in str(key[1])), key=len, default="")
    if len(text) < 20:
        pytest.skip("there is no text to stop at")
    out = list(FORMATS[api][0].wrap(sf.StopAt(text[8:14])).iter(events))
    kinds = [event["type"] for event in out]
    last = {"anthropic.messages": "message_stop", "openai.responses": "response.completed"}[api]
    assert kinds[-1] == last
    for begin, end in (
        ("content_block_start", "content_block_stop"),
        ("response.output_item.added", "response.output_item.done"),
        ("response.content_part.added", "response.content_part.done"),
    ):
        assert kinds.count(begin) == kinds.count(end)


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a delta."""
    kind = str(event.get("type"))
    if not kind.endswith("delta") or path[0] != "delta" or path[-1] not in ("delta", "text", "thinking", "partial_json"):
        return None
    return kind, path, *(event.get(name) for name in ("index", "output_index", "content_index", "summary_index", "command_index"))


SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")


@recorded
def test_a_secret_in_any_field_does_not_come_out(api: str, entry: dict[str, Any]) -> None:
    """No six characters of it, in dicts and in bytes, wherever it is planted."""
    stage = FORMATS[api][0].wrap(GUARD)
    events = payloads(body(entry))
    for place, planted in plantings(events, SECRET, spared=FORMATS[api][0].OPAQUE, goes_on=goes_on):
        assert not fragments(stage.iter(planted), SECRET), place
        raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in planted)
        assert not fragments(payloads(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]]))), SECRET), place


COUNTS: dict[str, tuple[Any, dict[str, Any], tuple[str, str]]] = {
    "openai.chat": (
        openai.chat,
        {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
        ("prompt_tokens", "completion_tokens"),
    ),
    "openai.completions": (
        openai.completions,
        {"prompt_tokens": 7, "completion_tokens": 5},
        ("prompt_tokens", "completion_tokens"),
    ),
    "openai.responses": (
        openai.responses,
        {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
        ("input_tokens", "output_tokens"),
    ),
    "anthropic": (anthropic.messages, {"input_tokens": 7, "output_tokens": 5}, ("input_tokens", "output_tokens")),
    "gemini": (gemini, {"promptTokenCount": 7, "candidatesTokenCount": 5}, ("promptTokenCount", "candidatesTokenCount")),
    "bedrock": (bedrock, {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}, ("inputTokens", "outputTokens")),
    "ollama": (ollama, {"prompt_eval_count": 7, "eval_count": 5}, ("prompt_eval_count", "eval_count")),
    "langchain": (langchain, {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}, ("input_tokens", "output_tokens")),
    "pydantic_ai": (pydantic_ai, {"input_tokens": 7, "output_tokens": 5}, ("input_tokens", "output_tokens")),
}
"""By format: how it says that seven tokens were read and five written, and its words for these. Source: the references of the APIs."""


def numbers(node: Any, names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The fields of these names, wherever they stand."""
    for name, each in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name in names:
            yield name, each
        yield from numbers(each, names)


@pytest.mark.parametrize("theirs", COUNTS)
@pytest.mark.parametrize("ours", COUNTS)
def test_token_counts_of_any_format_are_said_in_the_words_of_any_other(theirs: str, ours: str) -> None:
    """The numbers alone pass: of what stands beside them, nothing does, but where the words are the same."""
    module, _, names = COUNTS[ours]
    _, usage, words = COUNTS[theirs]
    encode = module.Encode(as_dicts=True) if module in (langchain, pydantic_ai) else module.Encode(model="m")
    text = sf.TextDelta("Hi", sf.Channel("answer", (0, 0, "content")))
    items = [text, sf.Finish("stop", scope=(0, 0)), sf.Usage({**usage, "note": SECRET}, scope=(0, 0))]
    out = list(encode.iter(items))
    assert dict(numbers(out, names)) == dict(zip(names, (7, 5), strict=True))
    assert names == words or not fragments(out, SECRET)


def test_what_gemini_has_thought_counts_as_written() -> None:
    """It counts that by itself; all others count it in."""
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 15}
    items: list[Any] = ["Hi", sf.Usage(usage)]
    out = list(openai.chat.Encode().iter(items))
    assert [each["usage"] for each in out if "usage" in each] == [{"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}]
    assert [each["usageMetadata"] for each in gemini.Encode().iter(items) if "usageMetadata" in each] == [usage]


@pytest.mark.parametrize("name", COUNTS)
def test_the_sdk_reads_the_counts_of_a_response(name: str) -> None:
    """It takes none without all of its numbers; those that were said stay."""
    items: list[Any] = ["Hi", sf.Usage(COUNTS[name][1]), sf.Finish("stop")]
    last = ResponseCompletedEvent.model_validate([*openai.responses.Encode(model="m").iter(items)][-1])
    assert last.response.usage is not None
    assert (last.response.usage.input_tokens, last.response.usage.output_tokens, last.response.usage.total_tokens) == (7, 5, 12)


def test_details_of_the_counts_stay() -> None:
    """What OpenAI's two APIs call otherwise."""
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 3}}
    items: list[Any] = ["Hi", sf.Usage(usage), sf.Finish("stop")]
    last = ResponseCompletedEvent.model_validate([*openai.responses.Encode(model="m").iter(items)][-1])
    assert last.response.usage is not None
    assert last.response.usage.input_tokens_details.cached_tokens == 3
    assert last.response.usage.output_tokens_details.reasoning_tokens == 0


@pytest.mark.parametrize("module", [openai.chat, openai.completions, openai.responses, anthropic.messages, gemini, bedrock, ollama])
def test_counts_that_were_not_said_are_not_there(module: Any) -> None:
    """An object without a number is none that a client reads."""
    out = list(module.Encode(model="m").iter(["Hi", sf.Usage({"trafficType": "ON_DEMAND"}), sf.Finish("stop")]))
    if module is not anthropic.messages:  # its messages begin with counts
        assert not any(
            name in event or name in event.get("response", ()) for event in out for name in ("usage", "usageMetadata", "metadata")
        )
    assert {number for _, number in numbers(out, tuple({each for _, _, names in COUNTS.values() for each in names}))} <= {0}
