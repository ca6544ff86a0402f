"""The code that users want to write, as they would write it: one pipeline for everything that this library does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.detectors import EMAIL, PII, SECRETS
from streamfilter.providers import openai
from streamfilter.testing import ScriptedSource, run_virtually

SAFE = sf.Redact(*PII, *SECRETS, to="[{rule}]") | sf.StopAt("\nUser:")


async def given(*items: Any) -> AsyncIterator[Any]:
    """A source."""
    for item in items:
        yield item


def chunk(text: str) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


class Card(BaseModel):
    """What a model is asked for."""

    title: str
    bullets: list[str]


def test_text_in_and_text_out() -> None:
    """Plain or async, and a whole text; the report counts."""

    async def main() -> tuple[str, Any]:
        async with SAFE(given("mail jo@exam", "ple.org\nUs", "er: and")) as stream:
            return "".join([text async for text in stream]), stream.report.counts

    assert asyncio.run(main()) == ("mail [email]", {"email": 1, "stop": 1})
    assert "".join(SAFE.iter(["call +1 55", "5 010 2030"])) == "call [phone]"
    assert sf.Redact(r"\d+", to="#").apply("a1b22") == "a#b#"


def test_any_provider_only_the_answer() -> None:
    """As text, and as the chunks that came."""

    async def main() -> str:
        return "".join([text async for text in SAFE(sf.text_of(given(chunk("jo@exam"), chunk("ple.org!"))))])

    assert asyncio.run(main()) == "[email]!"
    assert [out["choices"][0]["delta"]["content"] for out in sf.wrap(SAFE).iter([chunk("jo@example.org !")])] == ["[email] !"]


def test_structured_output_as_it_fills_in() -> None:
    """The last item is the validated model; elements, the text of a string, escapes that do not slip past."""
    raw = [
        chunk(piece) for piece in ('{"title": "Ri', 'vers", "bullets": ["lo', 'ng"], "answer": "Ask jo\\u0040example.org. Yes."}')
    ]

    async def main() -> tuple[list[Any], list[Any], str, str]:
        cards = [card async for card in sf.ParseJSON(Card)(sf.text_of(given(*raw)))]
        bullets = [bullet async for bullet in sf.JSONItems("$.bullets[*]")(sf.text_of(given(*raw)))]
        speak = sf.JSONText("$.answer") | sf.Redact(EMAIL) | sf.Sentences()
        spoken = [text async for text in speak(sf.text_of(given(*raw)))]
        clean = sf.FilterJSON(SAFE) | sf.ParseJSON()
        values: list[Any] = [value async for value in clean(sf.text_of(given(*raw)))]
        return cards, bullets, "|".join(spoken), values[-1]["answer"]

    cards, bullets, spoken, answer = asyncio.run(main())
    assert cards[-1] == Card(title="Rivers", bullets=["long"])
    assert bullets == ["long"]
    assert spoken == "Ask [email]. |Yes."
    assert answer == "Ask [email]. Yes."


def test_nothing_leaves_before_its_verdict() -> None:
    """The sentence that was refused is not in what the caller sees, the one before it is."""

    async def allowed(window: sf.Window) -> bool:
        return "weapon" not in window.text

    moderated = SAFE | sf.Moderate(
        allowed,
        window=sf.by_sentence(),
        lookback_chars=400,
        concurrency=3,
        timeout=2.0,
        action="stop",
        message="Sorry, I can't continue.",
    )
    assert asyncio.run(moderated.aapply("Hello. A weapon, then.")) == "Hello. Sorry, I can't continue."


def test_a_leaked_prompt_ends_the_stream() -> None:
    """With an error that names the rule, though the word was cut in two."""
    guard = sf.Block(sf.Terms(["c4n4ry"], name="canary"), action="raise")
    with pytest.raises(sf.Blocked, match="rule canary"):
        list(guard.iter(["the prompt is c4n", "4ry"]))


def test_what_the_request_hides_the_response_gives_back() -> None:
    """One vault for each conversation."""
    private = sf.Redact(*PII, to=sf.Placeholder())
    findings: list[sf.Finding] = []
    context = sf.Context(vault=sf.Vault(), tags={"tenant": "acme"}, observe=[findings.append])
    asked = openai.chat.filter_request(private, [{"role": "user", "content": "I am jo@example.org"}], context=context)
    assert asked == [{"role": "user", "content": "I am <EMAIL_1>"}]
    out = list(openai.chat.wrap(sf.Restore()).iter([chunk("Hi <EM"), chunk("AIL_1>!")], context=context))
    assert "".join(each["choices"][0]["delta"]["content"] for each in out) == "Hi jo@example.org!"
    assert {finding.tags["tenant"] for finding in findings} == {"acme"}


def test_reasoning_apart_links_checked_and_a_steady_pace() -> None:
    """Half Markdown and foreign links are never shown; the pace is kept in virtual time."""
    ui = sf.Extract("think") | sf.Links(allow=["example.com"]) | sf.Markdown() | sf.Pace(chars_per_second=200)
    pieces = ["<thi", "nk>Hm.</think>See **th", "is** [page](https://evil.org/?q=", "secret) or [that](https://example.com)."]

    async def main() -> list[Any]:
        async with ui(given(*pieces)) as stream:
            return [item async for item in stream]

    out = run_virtually(main())
    answer = "".join(item for item in out if isinstance(item, str))
    assert answer == "See **this** [page](#) or [that](https://example.com)."
    reasoning = "".join(item.text for item in out if isinstance(item, sf.TextDelta) and item.channel.kind == "reasoning")
    assert reasoning == "Hm."


def test_time_outs_and_dropped_sources() -> None:
    """A source that drops before anything was given is opened again; one that is silent is given up."""
    opened: list[sf.ResumePoint] = []

    def connect(point: sf.ResumePoint) -> AsyncIterator[Any]:
        opened.append(point)
        error = ConnectionError("dropped") if len(opened) == 1 else None
        return ScriptedSource([] if error else ["mail jo@example", ".org"], error=error)

    async def main() -> str:
        source = sf.Resume(connect, attempts=3)
        return "".join([text async for text in (sf.Timeout(first=10, between=5) | SAFE)(source)])

    assert run_virtually(main()) == "mail [email]"
    assert len(opened) == 2

    async def silent() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(60)

    async def waits() -> None:
        async with (sf.Timeout(first=10, between=5) | SAFE)(silent()) as stream:
            async for _ in stream:
                pass

    with pytest.raises(sf.SourceTimeout, match="between"):
        run_virtually(waits())
