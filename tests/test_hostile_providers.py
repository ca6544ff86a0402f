"""Providers and models that mean harm: fields of other types and in other places, names that stand twice, notes beside the events.

A secret never comes out, an honest stream is never refused, and nothing fails but as the formats say.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from recordings import body, shared
from test_providers import payloads, pieces

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, sse, vercel
from streamfilter.providers.detecting import MAX_BYTES, MAX_EVENTS
from streamfilter.providers.openai.chat.reading import _Calls
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


def is_opaque(node: Any, opaque: frozenset[str], *, below: bool = False) -> bool:
    """Whether the secret is said by a field whose strings are none by the format's own list."""
    if isinstance(node, str):
        return below and SECRET in node
    if isinstance(node, list):
        return any(is_opaque(each, opaque, below=below) for each in node)
    return isinstance(node, dict) and any(is_opaque(each, opaque, below=name in opaque) for name, each in node.items())


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
    calls, known = _Calls(), list[tuple[object, object]]()
    for _ in range(60):
        index, call_id, name = rng.choice([0, 1, 2, -1, "0"]), rng.choice([None, "a", "b", "c"]), rng.choice([None, "f"])
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


@pytest.mark.parametrize("first", ["chat", "completions", "messages", "responses", "gemini", "bedrock", "vercel"])
@pytest.mark.parametrize("then", ["chat", "completions", "messages", "responses", "gemini", "bedrock"])
def test_a_format_that_changes_within_a_stream(first: str, then: str) -> None:
    """It is refused: what would be read as quotes could be one secret in two. What came before has left."""
    module, before = USUAL[first]
    after = USUAL[then][1]
    if USUAL[then][0] is module or {first, then} == {"chat", "completions"}:  # these two tell their text in the same place
        pytest.skip("the same format")
    raw = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in (*before, *after)]
    out: list[bytes] = []
    with pytest.raises(sf.MalformedInput):
        out.extend(module.wrap(GUARD).iter(raw))
    with pytest.raises(TypeError, match="wrap: "):
        list(module.wrap(GUARD).iter([*before, *after]))
