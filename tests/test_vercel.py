"""The AI SDK's UI message stream: what `useChat` reads is filtered, and served from any provider as the front end demands it."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from recordings import body, shared

import streamfilter as sf
from streamfilter.providers import anthropic, detect, openai, vercel
from streamfilter.testing.planting import fragments, plantings

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")

FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "start": (set(), {"messageId", "messageMetadata"}),
    "text-start": ({"id"}, {"providerMetadata"}),
    "text-delta": ({"id", "delta"}, {"providerMetadata"}),
    "text-end": ({"id"}, {"providerMetadata"}),
    "reasoning-start": ({"id"}, {"providerMetadata"}),
    "reasoning-delta": ({"id", "delta"}, {"providerMetadata"}),
    "reasoning-end": ({"id"}, {"providerMetadata"}),
    "tool-input-start": ({"toolCallId", "toolName"}, {"providerExecuted", "providerMetadata", "dynamic", "title", "_meta"}),
    "tool-input-delta": ({"toolCallId", "inputTextDelta"}, set()),
    "tool-input-available": (
        {"toolCallId", "toolName", "input"},
        {"providerExecuted", "providerMetadata", "dynamic", "title", "_meta"},
    ),
    "tool-input-error": (
        {"toolCallId", "toolName", "input", "errorText"},
        {"providerExecuted", "providerMetadata", "dynamic", "title"},
    ),
    "tool-output-available": ({"toolCallId", "output"}, {"providerExecuted", "dynamic", "preliminary"}),
    "tool-output-error": ({"toolCallId", "errorText"}, {"providerExecuted", "dynamic"}),
    "source-url": ({"sourceId", "url"}, {"title", "providerMetadata"}),
    "source-document": ({"sourceId", "mediaType", "title"}, {"filename", "providerMetadata"}),
    "file": ({"url", "mediaType"}, {"providerMetadata"}),
    "start-step": (set(), set()),
    "finish-step": (set(), set()),
    "message-metadata": ({"messageMetadata"}, set()),
    "finish": (set(), {"messageMetadata"}),
    "abort": (set(), {"reason"}),
    "error": ({"errorText"}, set()),
}
"""Of each event: the fields that it must have and those that it may have, as the schema of version 5 has them."""


def message(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of the message that a front end makes of a stream; it is as strict as the AI SDK's."""
    parts: list[dict[str, Any]] = []
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    state = "new"
    for event in events:
        kind = event["type"]
        must, may = FIELDS[kind] if not kind.startswith("data-") else ({"data"}, {"id", "transient"})
        assert must <= event.keys() - {"type"} <= must | may, event
        assert None not in event.values(), event
        if kind == "start":
            assert state in ("new", "over")
            state = "begun"
        elif kind == "finish":
            assert state == "begun"
            assert not [key for key in begun if key[0] != "tool"], "a part is still open"
            state = "over"
        elif kind == "finish-step":
            begun = {key: part for key, part in begun.items() if key[0] == "tool"}
        elif kind.endswith("-start") and kind != "tool-input-start":
            parts.append({"type": kind.removesuffix("-start"), "text": "", "state": "streaming"})
            begun[kind.removesuffix("-start"), event["id"]] = parts[-1]
        elif kind in ("text-delta", "reasoning-delta"):
            begun[kind.removesuffix("-delta"), event["id"]]["text"] += event["delta"]
        elif kind in ("text-end", "reasoning-end"):
            begun.pop((kind.removesuffix("-end"), event["id"]))["state"] = "done"
        elif kind == "tool-input-start":
            parts.append({"type": "tool", "name": event["toolName"], "text": ""})
            begun["tool", event["toolCallId"]] = parts[-1]
        elif kind == "tool-input-delta":
            begun["tool", event["toolCallId"]]["text"] += event["inputTextDelta"]
        elif kind in ("tool-input-available", "tool-input-error"):
            if ("tool", event["toolCallId"]) not in begun:
                parts.append({"type": "tool", "name": event["toolName"], "text": ""})
                begun["tool", event["toolCallId"]] = parts[-1]
            begun["tool", event["toolCallId"]]["input"] = event["input"]
        elif kind in ("tool-output-available", "tool-output-error"):
            begun["tool", event["toolCallId"]]["output"] = event.get("output", event.get("errorText"))
    return parts


def framed(events: Iterable[Any]) -> bytes:
    """The bytes of an event stream."""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def payloads(raw: bytes) -> list[dict[str, Any]]:
    """The events, read without our help."""
    blocks = raw.decode().split("\n\n")
    return [json.loads(block.removeprefix("data: ")) for block in blocks if block and block != "data: [DONE]"]


SIGNED = {"anthropic": {"signature": "AA", "note": "n"}}

STREAM: list[dict[str, Any]] = [
    {"type": "start", "messageId": "m1", "messageMetadata": {"note": "n"}},
    {"type": "start-step"},
    {"type": "reasoning-start", "id": "0"},
    {"type": "reasoning-delta", "id": "0", "delta": "I think "},
    {"type": "reasoning-delta", "id": "0", "delta": "so."},
    {"type": "reasoning-delta", "id": "0", "delta": "", "providerMetadata": SIGNED},
    {"type": "reasoning-end", "id": "0", "providerMetadata": SIGNED},
    {"type": "text-start", "id": "1"},
    {"type": "text-delta", "id": "1", "delta": "Look: "},
    {"type": "source-url", "sourceId": "s", "url": "https://x.test/", "title": "X"},
    {"type": "text-delta", "id": "1", "delta": "there", "providerMetadata": {"openai": {"itemId": "i", "note": "n"}}},
    {"type": "text-end", "id": "1"},
    {"type": "tool-input-start", "toolCallId": "c1", "toolName": "find", "title": "Find", "_meta": {"note": "n"}},
    {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"what": "a'},
    {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": 'bc", "n": 1}'},
    {"type": "tool-input-available", "toolCallId": "c1", "toolName": "find", "input": {"what": "abc", "n": 1}},
    {"type": "tool-input-available", "toolCallId": "c2", "toolName": "find", "input": {"what": "whole"}},
    {"type": "tool-output-available", "toolCallId": "c1", "output": {"found": ["here", {"_in": "there"}]}},
    {"type": "tool-output-error", "toolCallId": "c2", "errorText": "not found"},
    {"type": "finish-step"},
    {"type": "start-step"},
    {"type": "source-document", "sourceId": "d", "mediaType": "application/pdf", "title": "D", "filename": "d.pdf"},
    {"type": "file", "url": "https://x.test/f", "mediaType": "text/plain"},
    {"type": "data-weather", "id": "w", "data": {"city": "Oslo", "all": ["cold"]}, "transient": True},
    {"type": "text-start", "id": "1"},
    {"type": "text-delta", "id": "1", "delta": "Done "},
    {"type": "text-delta", "id": "1", "delta": "now."},
    {"type": "text-end", "id": "1"},
    {"type": "message-metadata", "messageMetadata": {"tokens": 3, "note": "n"}},
    {"type": "finish-step"},
    {"type": "finish", "messageMetadata": {"note": "n"}},
]


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a delta."""
    if path not in (("delta",), ("inputTextDelta",)):
        return None
    in_second_step = event.get("delta") in ("Done ", "now.")
    return event["type"], event.get("id", event.get("toolCallId")), in_second_step


def test_an_empty_pipeline_changes_nothing() -> None:
    """The very events, and every byte."""
    assert all(one is other for one, other in zip(vercel.wrap(sf.Pipeline()).iter(STREAM), STREAM, strict=True))
    assert b"".join(vercel.wrap(sf.Pipeline()).iter([framed(STREAM)])) == framed(STREAM)


def test_what_no_rule_matches_leaves_as_it_came() -> None:
    """All events, `[DONE]` included, whatever the cuts; keys of calls may come later."""
    stage = vercel.wrap(sf.Redact("\x00"))
    plain = [event for event in STREAM if not event["type"].startswith("tool")]
    assert list(stage.iter(plain)) == plain
    raw = framed(plain)
    for seed in range(5):
        rng = random.Random(seed)
        cuts = sorted({0, len(raw), *(rng.randrange(len(raw)) for _ in range(40))})
        assert b"".join(stage.iter([raw[a:b] for a, b in itertools.pairwise(cuts)])) == raw
    assert message(stage.iter(STREAM)) == message(STREAM)


def test_the_message_of_the_front_end_is_filtered_as_a_whole() -> None:
    """Each part, the input of a tool in its deltas and when it is available, and what is quoted."""
    rule = sf.Redact("[a-f]+", to="<>")
    out = message(vercel.wrap(rule).iter(STREAM))
    want = message(STREAM)
    assert [part["type"] for part in out] == [part["type"] for part in want]
    for got, part in zip(out, want, strict=True):
        if part["type"] != "tool":
            assert got["text"] == rule.apply(part["text"])
    assert [part.get("input") for part in out if part["type"] == "tool"] == [
        {rule.apply("what"): "<>", "n": 1},
        {rule.apply("what"): rule.apply("whole")},  # it came without deltas
    ]
    assert [part.get("output") for part in out if part["type"] == "tool"] == [
        {"found": [rule.apply("here"), {"_in": rule.apply("there")}]},
        rule.apply("not found"),
    ]


def test_a_secret_in_any_field_does_not_come_out() -> None:
    """In dicts and in bytes, and what leaves is a stream that the front end reads."""
    stage = vercel.wrap(GUARD)
    events = json.loads(json.dumps(STREAM))
    places = 0
    for place, planted in plantings(events, SECRET, spared=vercel.OPAQUE, goes_on=goes_on):
        out = list(stage.iter(planted))
        assert not fragments(out, SECRET), place
        message(out)
        raw = framed(planted)
        got = payloads(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]])))
        assert not fragments(got, SECRET), place
        places += 1
    assert places > 20


def test_a_secret_across_text_parts_of_one_id_is_of_two_texts() -> None:
    """Ids are used again in the next step: what stands there is another text, and each is whole by itself."""
    items = list(vercel.Decode().iter(STREAM))
    texts: dict[Any, str] = {}
    for item in items:
        if isinstance(item, sf.TextDelta) and item.channel.kind == "answer":
            texts[item.channel] = texts.get(item.channel, "") + item.text
    assert list(texts.values()) == ["Look: there", "Done now."]
    assert [item.name for item in items if isinstance(item, sf.ToolCall)] == ["find", "find"]
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == ["stop"]


def test_the_signature_of_reasoning_that_was_changed_is_left_out() -> None:
    """It would not be taken back; null would not be read."""
    out = list(vercel.wrap(sf.Redact("think", to="█")).iter(STREAM))
    reasoning = [event for event in out if event["type"].startswith("reasoning")]
    assert "".join(event.get("delta", "") for event in reasoning) == "I █ so."
    assert not [event for event in reasoning if "providerMetadata" in event]
    kept = list(vercel.wrap(sf.Redact("Look", to="█")).iter(STREAM))
    assert [event for event in kept if event["type"].startswith("reasoning")] == STREAM[2:7]


@pytest.mark.parametrize("at", ["think", "there", "Done"])
def test_a_stopped_stream_ends_as_the_front_end_wants_it(at: str) -> None:
    """Open parts end, the step and the message finish, once; as bytes `[DONE]` comes last."""
    stage = vercel.wrap(sf.StopAt(at, channels=None))
    out = list(stage.iter(STREAM))
    parts = message(out)
    assert out[-2:] == [{"type": "finish-step"}, {"type": "finish"}]
    assert at not in json.dumps(parts)
    raw = b"".join(stage.iter([framed(STREAM)]))
    assert raw.endswith(b'data: {"type":"finish"}\n\ndata: [DONE]\n\n')
    assert raw.count(b"[DONE]") == 1
    assert message(payloads(raw)) == parts


def test_a_refused_stream_has_no_ending() -> None:
    """The consumer gets the exception."""
    out: list[Any] = []
    with pytest.raises(sf.Blocked):
        for event in vercel.wrap(sf.Block("there")).iter(STREAM):
            out.append(event)  # noqa: PERF402
    assert "finish" not in [event["type"] for event in out]
    assert "there" not in json.dumps(out)


def test_an_error_of_the_stream_is_filtered_and_given_on() -> None:
    """Its words may quote what went wrong."""
    out = list(vercel.wrap(GUARD).iter([{"type": "start"}, {"type": "error", "errorText": f"no {SECRET}"}]))
    assert out == [{"type": "start"}, {"type": "error", "errorText": "no █"}]
    assert [type(item) for item in vercel.Decode().iter([{"type": "error", "errorText": "x"}])] == [sf.Failure]


@pytest.mark.parametrize("event", [{"type": "text-delta", "delta": "x"}, {"type": "tool-input-delta", "inputTextDelta": "x"}])
def test_a_part_without_a_name_is_refused(event: dict[str, Any]) -> None:
    """Nobody could say which text it continues."""
    with pytest.raises(TypeError, match="has no"):
        list(vercel.wrap(GUARD).iter([event]))
    with pytest.raises(sf.MalformedInput, match="has no"):
        list(vercel.wrap(GUARD).iter([framed([event])]))


def test_the_format_is_told_by_its_events() -> None:
    """And by no other's."""
    assert detect(STREAM[0]) == "vercel"
    assert detect({"type": "error", "errorText": "x"}) == "vercel"
    assert "".join(sf.text_of(STREAM)) == "Look: thereDone now."
    assert "".join(sf.text_of([framed(STREAM)])) == "Look: thereDone now."


# ------------------------------------------------------------------ any provider, served to useChat


def served(decode: Any, raw: bytes) -> list[dict[str, Any]]:
    """The events that a front end gets for a recorded stream."""
    out = b"".join((decode.Decode() | vercel.Encode(as_bytes=True)).iter([raw]))
    assert out.endswith(b"data: [DONE]\n\n")
    return payloads(out)


PROVIDERS = {"openai.chat": openai.chat, "openai.responses": openai.responses, "anthropic.messages": anthropic.messages}
RECORDED = [
    pytest.param(api, entry, id=entry["file"])
    for api in PROVIDERS
    for entry in shared(api)
    if "nonjson_data" not in entry["features"]
]


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize(("api", "entry"), RECORDED)
def test_every_recorded_stream_is_one_that_the_front_end_reads(api: str, entry: dict[str, Any]) -> None:
    """All its text, reasoning and tool inputs are in the message, and it is begun and finished."""
    raw = body(entry)
    events = served(PROVIDERS[api], raw)
    parts = message(events)
    texts: dict[str, str] = {"answer": "", "reasoning": "", "refusal": ""}
    calls: dict[Any, str] = {}
    for item in PROVIDERS[api].Decode().iter([raw]):
        if isinstance(item, sf.TextDelta) and item.channel.choice[1] != 0:
            continue  # a message is one answer
        if isinstance(item, sf.TextDelta) and item.channel.kind in texts:
            texts[item.channel.kind] += item.text
        elif isinstance(item, sf.TextDelta) and item.channel.kind == "tool_arguments":
            calls[item.channel] = calls.get(item.channel, "") + item.text
        elif isinstance(item, sf.ToolCall):
            calls.setdefault(item.arguments, "")
    shown = {kind: "".join(part["text"] for part in parts if part["type"] == kind) for kind in ("text", "reasoning")}
    assert len(shown["text"]) == len(texts["answer"] + texts["refusal"])
    assert shown["reasoning"] == texts["reasoning"]
    inputs = [part["input"] for part in parts if part["type"] == "tool" and part["text"]]
    if entry["finish"] and "error" not in entry["features"]:
        key = lambda value: json.dumps(value, sort_keys=True)  # noqa: E731
        assert sorted(inputs, key=key) == sorted((json.loads(text or "{}") for text in calls.values()), key=key)
    assert events[0]["type"] == "start"
    assert events[-1]["type"] == "finish"


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
def test_other_readers_of_the_protocol_take_every_event() -> None:
    """The models that pydantic-ai has of it refuse fields that are not known."""
    types = pytest.importorskip("pydantic_ai.ui.vercel_ai.response_types", reason="pydantic-ai is not installed")
    known = {
        model.model_fields["type"].default: model
        for name, model in vars(types).items()
        if name.endswith("Chunk") and name != "BaseChunk"
    }
    for param in RECORDED[::7]:
        api, entry = param.values
        for event in served(PROVIDERS[api], body(entry)):  # type: ignore[index, arg-type]
            known[event["type"]].model_validate(event)


def last(events: Iterable[Any]) -> Any:
    """The last event."""
    return list(events)[-1]


def test_the_reason_is_said_to_front_ends_that_know_it() -> None:
    """Version 6 of the AI SDK; version 5 refuses the field."""
    items: list[Any] = [sf.TextDelta("Hi", sf.Channel("answer", (0, 0))), sf.Finish("max_tokens", scope=(0, 0))]
    assert last(vercel.Encode(reasons=True).iter(items)) == {"type": "finish", "finishReason": "length"}
    assert last(vercel.Encode().iter(items)) == {"type": "finish"}
    assert last(vercel.Encode(reasons=True).iter([sf.Finish("blocked")]))["finishReason"] == "content-filter"


def test_responses_of_an_agent_come_each_in_a_step() -> None:
    """One message, one finish."""
    items: list[Any] = []
    for n in range(2):
        items += [sf.TextDelta(f"turn {n}", sf.Channel("answer", (n, 0))), sf.Finish("stop", scope=(n, 0))]
    out: list[Any] = list(vercel.Encode().iter(items))
    assert [part["text"] for part in message(out)] == ["turn 0", "turn 1"]
    kinds = [event["type"] for event in out]
    assert (kinds.count("start"), kinds.count("start-step"), kinds.count("finish-step"), kinds.count("finish")) == (1, 2, 2, 1)


def test_an_error_of_a_provider_is_given_on_in_words() -> None:
    """And the stream still ends as one."""
    out: list[Any] = list(vercel.Encode().iter(["Hi", sf.Failure({"message": "overloaded"})]))
    assert {"type": "error", "errorText": "overloaded"} in out
    assert message(out)[0]["text"] == "Hi"
    assert out[-1] == {"type": "finish"}


def test_arguments_that_are_no_json_are_an_error_of_the_input() -> None:
    """The front end shows them, and runs nothing."""
    channel = sf.Channel("tool_arguments", (0, 0, "tool_calls", 0))
    out: list[Any] = list(vercel.Encode().iter([sf.ToolCall("c", "f", channel), sf.TextDelta('{"a"', channel)]))
    errors = [event for event in out if event["type"] == "tool-input-error"]
    assert [(event["toolCallId"], event["toolName"], event["input"]) for event in errors] == [("c", "f", '{"a"')]
    message(out)


def test_a_message_that_did_not_stream_is_filtered() -> None:
    """A UI message in the response, and UI messages in a request."""
    said = {"id": "1", "role": "user", "parts": [{"type": "text", "text": f"my {SECRET}"}, {"type": "source-url", "title": SECRET}]}
    assert not fragments([vercel.filter_response(GUARD, said)], SECRET)
    assert not fragments(vercel.filter_request(GUARD, [said]), SECRET)
