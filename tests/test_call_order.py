"""Calls that go on side by side, and text between their arguments, in formats that have one behind the other: none is cut in two."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter
from recordings import body, shared
from test_foreign_calls import FORMATS, Chunk, answer, chunk, encode, formats, fragment, reasons

import streamfilter as sf
from streamfilter.items import Channel, Item, is_free
from streamfilter.providers import anthropic, openai
from streamfilter.providers.brackets import Brackets
from streamfilter.providers.ordering import Blocks, WholeCall, WholeCalls
from streamfilter.testing import cut

DONE = chunk({}, "tool_calls")
CASES: dict[str, list[Chunk]] = {
    "text that comes late": [fragment("", 0, "c0", "pay"), fragment('{"a": 1'), chunk({"content": "So. "}), fragment("00}"), DONE],
    "text between calls": [
        *(fragment("", 0, "c0", "pay"), fragment('{"a": 1}'), chunk({"content": "So."})),
        *(fragment("", 1, "c1", "pay"), fragment('{"b": 2}', 1), DONE),
    ],
    "side by side": [
        *(fragment('{"a":', 0, "c0", "pay"), fragment('{"b":', 1, "c1", "get")),
        *(fragment("1}"), fragment("2}", 1), DONE),
    ],
    "all begin first": [
        *(fragment("", 0, "c0", "pay"), fragment("", 1, "c1", "get"), fragment("", 2, "c2", "put")),
        *(fragment("{}", 2), fragment('{"b": "}"}', 1), fragment('{"a": 1}'), DONE),
    ],
    "one without arguments": [
        *(fragment("", 0, "c0", "now"), fragment("", 1, "c1", "get"), chunk({"content": "Hm"}), fragment('{"b": 2}', 1), DONE)
    ],
    "blanks behind": [fragment('{"a": 1}', 0, "c0", "pay"), chunk({"content": "So."}), fragment("\n"), DONE],
    "begun as text begins": [chunk({"content": "I "}), fragment("", 0, "c0", "pay"), chunk({"content": "see"}), DONE],
}
"""Streams of chat completions, where calls are told apart by their index."""


def in_order(decode: Any, chunks: Sequence[Any]) -> list[tuple[str | None, Any]]:
    """The calls of a stream that are complete, in the order in which they begin."""
    found = {call.channel: call for call in (decode | sf.ToolCalls()).iter(chunks) if call.complete}
    begun = dict.fromkeys(item.arguments for item in decode.iter(chunks) if isinstance(item, sf.ToolCall))
    return [(found[channel].name, found[channel].arguments) for channel in begun]


@formats
@pytest.mark.parametrize("case", CASES)
def test_each_call_comes_out_whole_and_once(name: str, case: str) -> None:
    """As the source says them, in the order in which they begin; and all of the text."""
    stream = openai.chat.Decode() | sf.Redact("\x00") | encode(name)
    out = list(stream.iter(CASES[case]))
    assert in_order(FORMATS[name].Decode(), out) == in_order(openai.chat.Decode(), CASES[case])
    assert answer(FORMATS[name].Decode(), out) == answer(openai.chat.Decode(), CASES[case])


def some_chunks(rng: random.Random) -> list[Chunk]:
    """Calls and text in any order, each in its own, cut anywhere."""
    lines: list[list[Chunk]] = []
    for n in range(rng.randint(1, 4)):
        value = {"k": rng.choice(["}", '"{', "\\", "\\\\", "a]", "é\n"]) * rng.randint(0, 3), "n": [n, {}]}
        text = rng.choice(["", json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1) + "\n"])
        pieces = cut(text, rng.choice([1, 3, 9]), rng.randint(0, 99)) if text else [""]
        lines.append([fragment("", n, f"c{n}", "f"), *(fragment(piece, n) for piece in pieces)])
    lines.append([chunk({"content": piece}) for piece in cut("It is so, they say.", rng.choice([1, 5]), 1)])
    begun, made = 1, []
    while any(lines):
        n = rng.choice([n for n, line in enumerate(lines) if line and (n <= begun or n == len(lines) - 1)])
        begun = max(begun, n + 1)
        made += [lines[n].pop(0) for _ in range(rng.randint(1, len(lines[n])))]
    return [*made, DONE]


@formats
@pytest.mark.parametrize("seed", range(30))
def test_calls_and_text_in_any_order(name: str, seed: int) -> None:
    """The same of streams that are made at random."""
    chunks = some_chunks(random.Random(seed))
    out = list((openai.chat.Decode() | encode(name)).iter(chunks))
    assert in_order(FORMATS[name].Decode(), out) == in_order(openai.chat.Decode(), chunks)
    assert answer(FORMATS[name].Decode(), out) == answer(openai.chat.Decode(), chunks)


RECORDED = [
    pytest.param(api, entry, id=entry["file"])
    for api in ("openai.chat", "openai.responses", "anthropic.messages")
    for entry in shared(api)
    if entry["tool_calls"] and not {"nonjson_data", "error", "n>1"} & {*entry["features"]}
]


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize(("api", "entry"), RECORDED)
def test_recorded_calls_are_the_same_in_every_format(api: str, entry: dict[str, Any]) -> None:
    """All that are complete, with what they mean."""

    def said(decode: Any, chunks: Sequence[Any]) -> list[tuple[str, str]]:
        read = (decode | sf.ToolCalls(truncated="partial")).iter(chunks)
        return sorted((call.name or "", json.dumps(call.arguments)) for call in read if call.complete)

    decode, raw = FORMATS[api].Decode(), [body(entry)]
    if any(isinstance(item, sf.TextDelta) and is_free(item.channel) for item in [*decode.iter(raw)]):
        pytest.skip("the input of a custom tool is no JSON")
    want = said(decode, raw)
    for name in FORMATS:
        out = list((decode | encode(name)).iter(raw))
        assert said(FORMATS[name].Decode(), out) == want, name


SDK: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


@pytest.mark.parametrize("seed", range(30))
def test_the_sdk_of_anthropic_puts_the_blocks_together(seed: int) -> None:
    """Each has deltas of its own kind only, and the blocks stand one behind the other."""
    chunks = some_chunks(random.Random(seed))
    message, buffers, is_open = None, dict[int, Any](), None
    kinds = {"text": "text_delta", "tool_use": "input_json_delta"}
    for event in (openai.chat.Decode() | anthropic.messages.Encode(model="m")).iter(chunks):
        message = accumulate_event(event=SDK.validate_python(event), current_snapshot=message, json_bufs=buffers)
        if event["type"] == "content_block_start":
            assert is_open is None
            is_open = event["index"], kinds[event["content_block"]["type"]]
        elif event["type"] == "content_block_delta":
            assert is_open == (event["index"], event["delta"]["type"])
        elif event["type"] == "content_block_stop":
            is_open = None
    assert message is not None
    assert is_open is None
    said = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert said == in_order(openai.chat.Decode(), chunks)
    assert "".join(block.text for block in message.content if block.type == "text") == answer(openai.chat.Decode(), chunks)


@pytest.mark.parametrize("seed", range(10))
def test_bedrock_has_one_open_block(seed: int) -> None:
    """A call begins with its start, text with its first delta. Source: the reference of ConverseStream."""
    is_open: tuple[int, str] | None = None
    for event in (openai.chat.Decode() | encode("bedrock")).iter(some_chunks(random.Random(seed))):
        ((kind, given),) = event.items()
        if kind == "contentBlockStart":
            assert is_open is None
            is_open = given["contentBlockIndex"], "toolUse"
        elif kind == "contentBlockDelta":
            is_open = is_open or (given["contentBlockIndex"], "text")
            assert is_open == (given["contentBlockIndex"], *given["delta"])
        elif kind == "contentBlockStop":
            is_open = None


# ------------------------------------------------------------------ when things leave

ANSWER = Channel("answer", (0, 0, "content"))
ONE, OTHER = (Channel("tool_arguments", (0, 0, "call", n)) for n in range(2))


def begins(channel: Channel) -> sf.ToolCall:
    """A call."""
    return sf.ToolCall("c", "f", channel, scope=channel)


def leaves(order: Any, *items: Item) -> list[list[Any]]:
    """What leaves at each item: texts, and what else it is by its class."""
    return [[getattr(each, "text", None) or type(each).__name__ for each in order.put(item)] for item in items]


def text(channel: Channel, *pieces: str) -> list[Item]:
    """Pieces of a channel."""
    return [sf.TextDelta(piece, channel) for piece in pieces]


def test_what_goes_on_leaves_as_it_comes() -> None:
    """What is over makes way at once; only what has no place yet waits, and leaves as soon as it has one."""
    items = [
        begins(ONE),
        *text(ONE, '{"a": ', "1}"),
        begins(OTHER),
        *text(OTHER, '{"b"'),
        *text(ANSWER, "So"),
        *text(OTHER, ": 2}"),
    ]
    assert leaves(Blocks(), *items) == [["ToolCall"], ['{"a": '], ["1}"], ["ToolCall"], ['{"b"'], [], [": 2}", "So"]]
    assert leaves(Blocks(), begins(ONE), *text(ANSWER, "a", "b"), sf.Raw(1, scope=ONE, boundary=True)) == [
        *(["ToolCall"], [], []),
        ["a", "b", "Raw"],
    ]


def test_calls_that_leave_whole_leave_when_they_are_over() -> None:
    """Text need not wait for one that goes on; behind one that may be over it comes behind it."""
    items = [begins(ONE), *text(ONE, '{"a": '), *text(ANSWER, "So"), *text(ONE, "1}"), *text(ANSWER, "So")]
    assert leaves(WholeCalls(), *items) == [[], [], ["So"], [], ["WholeCall", "So"]]
    assert leaves(WholeCalls(), begins(ONE), *text(ONE, "{}"), sf.Raw(1, scope=ONE, boundary=True)) == [
        [],
        [],
        ["WholeCall", "Raw"],
    ]


def test_a_choice_does_not_wait_for_a_call_of_another() -> None:
    """Its calls leave before its end."""
    other = Channel("tool_arguments", (0, 1, "call", 0))
    order = WholeCalls()
    assert leaves(order, begins(ONE), begins(other), *text(other, "{}"), sf.Finish("stop", scope=(0, 1))) == [
        *([], [], []),
        ["WholeCall", "Finish"],
    ]
    assert [type(each) for each in order.rest()] == [WholeCall]


@formats
def test_what_waits_leaves_when_a_stage_ends_the_stream(name: str) -> None:
    """The text; of the calls, those that are whole are, and those that are not are no calls."""
    chunks = [
        *(fragment('{"a": 1', 0, "c0", "pay"), chunk({"content": "one "}), fragment('{"b": 2}', 1, "c1", "get")),
        *(chunk({"content": "two STOP"}), fragment("00}"), DONE),
    ]
    out = list((openai.chat.Decode() | sf.StopAt("STOP") | encode(name)).iter(chunks))
    assert answer(FORMATS[name].Decode(), out) == "one two "
    said = [call for call in (FORMATS[name].Decode() | sf.ToolCalls(truncated="partial")).iter(out) if call.complete]
    assert [(call.name, call.arguments) for call in said] == [("get", {"b": 2})]
    assert "tool" not in str(reasons(FORMATS[name].Decode(), out))


def test_what_waits_is_gone_where_an_error_ends_the_stream() -> None:
    """A call that an error has cut off has no end, and nothing comes behind it."""
    chunks = [fragment('{"a": 1', 0, "c0", "pay"), chunk({"content": "one "}), chunk({"content": "BAD"})]
    out = (openai.chat.Decode() | sf.Block("BAD") | anthropic.messages.Encode()).iter(chunks)
    types = [next(out)["type"] for _ in range(3)]
    assert types == ["message_start", "content_block_start", "content_block_delta"]
    with pytest.raises(sf.Blocked):
        next(out)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_brackets_are_closed_where_the_json_is_over(size: int) -> None:
    """As `json.loads` has it, behind every character, however it is cut."""
    rng = random.Random(size)
    for _ in range(100):
        value = [{"a\\": rng.choice(['"', "\\", "}", "{[", '\\\\"', "é"]) * rng.randint(0, 3)}, [rng.randint(0, 9), {}, []]]
        written = " " + json.dumps(value, indent=rng.choice([None, 1])) + " "
        brackets, come = Brackets(), ""
        for piece in (written[at : at + size] for at in range(0, len(written), size)):
            brackets.add(piece)
            come += piece
            try:
                is_over = json.loads(come) == value
            except ValueError:
                is_over = False
            assert brackets.are_closed == is_over
