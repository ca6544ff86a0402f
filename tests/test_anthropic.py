"""Anthropic's Messages API: the SDK's own objects and helper, what is signed, legal endings, other formats to it and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic as sdk
import httpx2
import pytest
from recordings import body, shared

import streamfilter as sf
from streamfilter.providers import anthropic, bedrock, openai
from streamfilter.testing import run_virtually

messages = anthropic.messages
GUARD = sf.Redact("secret", to="[x]")
RECORDED = shared("anthropic.messages")


def block(index: int, kind: str, *deltas: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """A content block's events."""
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "text_delta", "text": piece} for piece in pieces]


def thoughts(*pieces: str) -> list[dict[str, Any]]:
    return [{"type": "thinking_delta", "thinking": piece} for piece in pieces]


def message(*blocks: list[dict[str, Any]], reason: str = "end_turn") -> list[dict[str, Any]]:
    """A message's events."""
    start = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": start},
        *(event for each in blocks for event in each),
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


def client_over(raw: bytes) -> sdk.AsyncAnthropic:
    """The real client over a recorded body."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)

    return sdk.AsyncAnthropic(api_key="none", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))


ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["file"])
def test_the_helper_gives_the_final_message_over_filtered_text(entry: dict[str, Any]) -> None:
    """Nothing matches: it is the SDK's own. Something does: each text block is as the batch operation gives it."""
    redact = sf.Redact(r"(?i)\b(the|a|you)\b|[0-9]", to="█")

    async def final(pipeline: Any) -> tuple[Any, list[Any]]:
        async with (
            client_over(body(entry)) as client,
            client.messages.stream(**ASKED) as raw,
            messages.wrap(pipeline)(raw) as events,
        ):
            seen = [event async for event in events]
            return await events.get_final_message(), seen

    async def plain() -> Any:
        async with client_over(body(entry)) as client, client.messages.stream(**ASKED) as raw:
            return await raw.get_final_message()

    want = asyncio.run(plain())
    unchanging: tuple[Any, ...] = (sf.Pipeline(), sf.Redact("\0"))
    for pipeline in unchanging:
        got, _ = asyncio.run(final(pipeline))
        assert got == want
    got, seen = asyncio.run(final(redact))
    texts = [(each.text, other.text) for each, other in zip(got.content, want.content, strict=True) if other.type == "text"]
    assert all(one == redact.apply(other) for one, other in texts)
    echoed = "".join(event.text for event in seen if event.type == "text")
    assert echoed == "".join(
        event.delta.text for event in seen if event.type == "content_block_delta" and event.delta.type == "text_delta"
    )


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["file"])
def test_objects_of_the_sdk_come_out_as_they_came(entry: dict[str, Any]) -> None:
    """Where no text changes, the very objects; where it does, objects of the same classes."""

    async def read(pipeline: Any) -> tuple[list[Any], list[Any]]:
        async with client_over(body(entry)) as client:
            came: list[Any] = []
            stream = await client.messages.create(**ASKED, stream=True)
            async with messages.wrap(pipeline)(sf.Tap(came.append)(stream)) as events:
                return came, [event async for event in events]

    came, out = asyncio.run(read(sf.Redact("\0").on("answer", "reasoning")))
    assert len(came) == len(out)
    assert all(one is other for one, other in zip(came, out, strict=True))
    came, out = asyncio.run(read(sf.StopAt("e")))
    assert {type(event).__module__.partition(".")[0] for event in out} == {"anthropic"}


def test_a_signed_thought_is_never_edited() -> None:
    """Where it would be it ends, and loses its signature; the text after it goes on. Untouched, it keeps its signature."""
    signed = [*thoughts("I know the sec", "ret of it", " and more"), {"type": "signature_delta", "signature": "abc"}]
    events = message(block(0, "thinking", *signed, thinking="", signature=""), block(1, "text", *text("fine"), text=""))
    out = list(messages.wrap(GUARD).iter(events))
    said = "".join(event["delta"].get("thinking", "") for event in out if event["type"] == "content_block_delta")
    assert said == "I know the "
    assert "abc" not in json.dumps(out)
    assert [event for event in out if event["type"] == "content_block_stop"] == [
        {"type": "content_block_stop", "index": n} for n in (0, 1)
    ]
    assert list(messages.wrap(GUARD.on("answer")).iter(events)) == events


def test_quotes_are_filtered_whole_and_arguments_as_json() -> None:
    """Citations and search results come as wholes; arguments stay JSON, and an escape in them hides nothing."""
    citation = {"type": "char_location", "cited_text": "the secret words", "document_title": "a secret", "start_char_index": 4}
    result = {"type": "web_search_result", "title": "no secret", "url": "https://secret.org", "encrypted_content": "secret"}
    call = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"to": "s\\u00', '65cret"}')]
    events = message(
        block(0, "text", *text("see"), {"type": "citations_delta", "citation": citation}, text=""),
        block(1, "web_search_tool_result", tool_use_id="t", content=[result]),
        block(2, "tool_use", *call, id="t2", name="send", input={}),
        reason="tool_use",
    )
    out = list(messages.wrap(GUARD).iter(events))
    assert out[3]["delta"]["citation"] == {**citation, "cited_text": "the [x] words", "document_title": "a [x]"}
    assert out[5]["content_block"]["content"] == [{**result, "title": "no [x]", "url": "https://[x].org"}]
    assert json.loads("".join(each["delta"]["partial_json"] for each in out if each.get("index") == 2 and "delta" in each)) == {
        "to": "[x]"
    }


def test_a_stop_closes_the_block_and_the_message() -> None:
    """With the reason that Anthropic has for it: `end_turn` for a stop, `refusal` for a block."""
    events = message(block(0, "text", *text("one two", " END", " three"), text=""))
    out = list(messages.wrap(sf.StopAt("END")).iter(events))
    assert [event["type"] for event in out[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert out[-2]["delta"]["stop_reason"] == "end_turn"
    out = list(messages.wrap(sf.Block("END", action="stop", message="(cut)")).iter(events))
    assert out[-2]["delta"]["stop_reason"] == "refusal"
    assert "".join(each["delta"].get("text", "") for each in out if each["type"] == "content_block_delta") == "one two (cut)"


def test_text_that_a_message_begins_with_goes_on_in_its_deltas() -> None:
    """So the SDK puts it together: what is split between the two does not come out."""
    secret = "Zq7-kestrel-Wx4"
    head, *_, settled, stop = message()
    for cut in range(len(secret) + 1):
        begun = {**head, "message": {**head["message"], "content": [{"type": "text", "text": "so " + secret[:cut]}]}}
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": secret[cut:]}}
        events = [begun, delta, {"type": "content_block_stop", "index": 0}, settled, stop]
        out = list(messages.wrap(sf.Redact(secret, to="█")).iter(events))
        first = out[0]["message"]["content"][0]["text"]
        assert first + "".join(each["delta"]["text"] for each in out if each["type"] == "content_block_delta") == "so █"
        assert "".join(sf.text_of(events)) == "so " + secret
        assert list(messages.wrap(sf.Redact("\x00")).iter(events)) == events


def test_several_messages_in_one_stream_do_not_mix() -> None:
    """An agent's turns: what one holds at its end leaves there."""
    events = [*message(block(0, "text", *text("my sec"), text="")), *message(block(0, "text", *text("ret"), text=""))]
    out = list(messages.wrap(GUARD).iter(events))
    second = [event["type"] for event in out].index("message_start", 1)
    for turn, want in ((out[:second], "my sec"), (out[second:], "ret")):
        assert "".join(event["delta"].get("text", "") for event in turn if event["type"] == "content_block_delta") == want
        assert turn[-1] == {"type": "message_stop"}


@pytest.mark.parametrize("target", [openai.chat, openai.responses])
def test_it_can_be_served_in_another_format_and_back(target: Any) -> None:
    """Text, reasoning, tool calls, why it ended, usage."""
    call = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"a"', ": 1}")]
    events = message(
        block(0, "thinking", *thoughts("hm"), thinking="", signature=""),
        block(1, "text", *text("Hel", "lo"), text=""),
        block(2, "tool_use", *call, id="t1", name="f", input={}),
        reason="tool_use",
    )
    there = messages.Decode() | target.Encode(model="m")
    back = list((there | target.Decode() | messages.Encode(model="m")).iter(events))
    snapshot = anthropic.messages.helper.Snapshot()
    for event in back:
        snapshot.note(event)
    content = snapshot.message["content"]
    assert [each["type"] for each in content] == ["thinking", "text", "tool_use"]
    assert (content[0]["thinking"], content[1]["text"], content[2]["input"], content[2]["name"]) == ("hm", "Hello", {"a": 1}, "f")
    assert snapshot.message["usage"]["output_tokens"] == 9
    if target is openai.chat:
        assert snapshot.message["stop_reason"] == "tool_use"


def test_an_error_in_mid_stream_comes_behind_the_text_before_it() -> None:
    """What was held leaves first, as no more can come; the provider's message is filtered too."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "a secret is overloaded"}}
    events = [*message(block(0, "text", *text("a sec"), text=""))[:3], error]
    out = list(messages.wrap(GUARD).iter(events))
    assert "".join(each["delta"]["text"] for each in out if "delta" in each) == "a sec"
    assert out[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "a [x] is overloaded"}}


def test_an_event_without_its_index_is_refused() -> None:
    """Its text could be anybody's."""
    with pytest.raises(TypeError, match="index"):
        list(messages.wrap(GUARD).iter([{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}]))


def test_decode_and_encode_are_the_identity_together() -> None:
    """Signed thoughts too: nothing has come through a pipeline that could have changed them."""
    signed = [*thoughts("I know"), {"type": "signature_delta", "signature": "abc"}]
    events = message(block(0, "thinking", *signed, thinking="", signature=""), block(1, "text", *text("fine"), text=""))
    assert list((messages.Decode() | messages.Encode()).iter(events)) == events


@pytest.mark.parametrize("mode", ["hold", "optimistic"])
@pytest.mark.parametrize("format_", [messages, bedrock])
def test_a_block_begins_when_those_before_it_have_left(mode: Any, format_: Any) -> None:
    """Also where a verdict on the text of one comes late: clients add what comes to the block that has begun last."""
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"a": ', "1}")]
    call = block(1, "tool_use", *pieces, id="t", name="pay", input={})
    given = message(block(0, "text", *text("I will pay. Now.")), call, block(2, "text", *text("Paid.")), reason="tool_use")
    if format_ is bedrock:
        given = list((messages.Decode() | bedrock.Encode()).iter(given))

    async def source() -> AsyncIterator[dict[str, Any]]:
        for event in given:
            await asyncio.sleep(0.02)
            yield event

    async def allowed(window: sf.Window) -> bool:
        await asyncio.sleep(0.05)
        return True

    async def read() -> list[Any]:
        async with sf.wrap(sf.Moderate(allowed, mode=mode))(source()) as stream:
            return [event async for event in stream]

    out = run_virtually(read())
    indexes = [index for event in out if (index := place_of(event)) is not None]
    assert indexes == sorted(indexes) and set(indexes) == {0, 1, 2}
    assert [(call.name, call.arguments) for call in (format_.Decode() | sf.ToolCalls()).iter(out) if call.complete] == [
        ("pay", {"a": 1})
    ]
    assert "".join(sf.text_of(out)) == "I will pay. Now.Paid."


def place_of(event: dict[str, Any]) -> int | None:
    """The index of the block that an event is of, in either format."""
    inner: Any = next((value for key, value in event.items() if key.startswith("contentBlock")), {})
    found = event.get("index", inner.get("contentBlockIndex"))
    return found if isinstance(found, int) else None


def test_a_block_that_begins_inside_of_another_ends_no_text() -> None:
    """No service sends that; what the other says goes on."""
    given = message(
        [*block(0, "text", *text("a sec"))[:2], *block(1, "text", *text("b")), *block(0, "text", *text("ret c"))[1:]],
        reason="end_turn",
    )
    out = [event for event in sf.wrap(GUARD).iter(given) if event.get("index") == 0 and "delta" in event]
    assert "".join(event["delta"]["text"] for event in out) == "a [x] c"
