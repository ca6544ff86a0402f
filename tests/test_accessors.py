"""The helper streams of OpenAI's client over filtered events: their accessors say what has left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from recordings import body, shared

import streamfilter as sf
from streamfilter.providers import openai

SAFE = sf.Redact(r"\d{4}", to="####")


def client(raw: bytes, kind: type[Any]) -> Any:
    """The real client, its transport giving these bytes."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)

    http: Any = httpx2.AsyncClient if kind is AsyncOpenAI else httpx2.Client
    return kind(api_key="none", base_url="http://test/v1", http_client=http(transport=httpx2.MockTransport(answer)))


class Answer(BaseModel):
    """What a structured answer says."""

    pin: str


def spoken(*texts: str) -> bytes:
    """A stream of chunks that say this."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [*({"content": text} for text in texts), {}]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]} for delta in deltas]
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


RAW = spoken('{"pin": "12', '34"', "}")
ASKED: dict[str, Any] = {"model": "m", "messages": [], "response_format": Answer}


async def read_async(use: Callable[[Any], Any] | None = None) -> tuple[list[Any], Any, Any]:
    """The events, the final completion and the snapshot, of the asynchronous client."""
    async with client(RAW, AsyncOpenAI) as sdk, sdk.chat.completions.stream(**ASKED) as helper:
        if use is None:
            events = [event async for event in helper]
            return events, await helper.get_final_completion(), helper.current_completion_snapshot
        async with use(helper) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_completion()
            assert helper._response.is_closed
            return events, final, stream.current_completion_snapshot


def read_plain(use: Callable[[Any], Any]) -> tuple[list[Any], Any, Any]:
    """The same of the plain client."""
    with client(RAW, OpenAI) as sdk, sdk.chat.completions.stream(**ASKED) as helper, use(helper) as stream:
        events = list(stream)
        return events, stream.get_final_completion(), stream.current_completion_snapshot


def test_an_empty_pipeline_gives_the_events_of_the_helper() -> None:
    """All of them, equal, and the same final completion."""
    want = asyncio.run(read_async())
    assert [event.type for event in want[0]].count("content.delta") == 3
    assert asyncio.run(read_async(openai.chat.wrap(sf.Pipeline()))) == want
    assert read_plain(openai.chat.wrap(sf.Pipeline()).iter) == want
    assert asyncio.run(read_async(openai.chat.wrap(sf.Redact("nothing")))) == want


def test_the_helpers_events_are_made_of_what_has_left() -> None:
    """The final completion, what it parses to, every snapshot: nothing in them has the text that was taken out."""
    for events, final, snapshot in (asyncio.run(read_async(openai.chat.wrap(SAFE))), read_plain(openai.chat.wrap(SAFE).iter)):
        assert final.choices[0].message.content == '{"pin": "####"}'
        assert final.choices[0].message.parsed == Answer(pin="####")
        assert snapshot.choices[0].message.content == '{"pin": "####"}'
        assert "".join(event.delta for event in events if event.type == "content.delta") == '{"pin": "####"}'
        assert [event.content for event in events if event.type == "content.done"] == ['{"pin": "####"}']
        assert "1234" not in repr(events)


def test_leaving_closes_the_helper() -> None:
    """And with it the response."""

    async def main() -> None:
        async with client(RAW, AsyncOpenAI) as sdk, sdk.chat.completions.stream(**ASKED) as helper:
            async with openai.chat.wrap(SAFE)(helper) as stream:
                await anext(stream)
            assert helper._response.is_closed

    asyncio.run(main())


@pytest.mark.parametrize("entry", shared("openai.responses"), ids=lambda entry: entry["file"])
def test_the_final_response_of_the_responses_helper_is_filtered(entry: dict[str, Any]) -> None:
    """`get_final_response`, `until_done`: what the helper itself gives over filtered bytes; for plain code too."""
    raw = body(entry)
    if b"response.completed" not in raw:
        pytest.skip("it was not completed")
    safe = sf.Redact(r"\b(?:the|a|is|and)\b", to="█")
    wrap = openai.responses.wrap(safe)

    async def read(raw: bytes, use: Callable[[Any], Any] | None) -> Any:
        async with client(raw, AsyncOpenAI) as sdk, sdk.responses.stream(model="m", input="") as helper:
            if use is None:
                return await helper.get_final_response()
            async with use(helper) as stream:
                assert await stream.until_done() is stream
                return await stream.get_final_response()

    try:
        want = asyncio.run(read(b"".join(wrap.iter([raw])), None))
    except Exception as error:  # the client cannot read this recording at all
        pytest.skip(f"the client: {type(error).__name__}")
    found = asyncio.run(read(raw, wrap))
    assert found.output_text == want.output_text
    assert found.model_dump(warnings=False) == want.model_dump(warnings=False)
    with client(raw, OpenAI) as sdk, sdk.responses.stream(model="m", input="") as helper, wrap.iter(helper) as stream:
        assert stream.get_final_response().output_text == want.output_text


def test_a_response_that_was_not_completed_has_no_final_one() -> None:
    """As the helper says it."""
    with openai.responses.wrap(SAFE).iter([]) as stream, pytest.raises(RuntimeError, match=r"response\.completed"):
        stream.get_final_response()
