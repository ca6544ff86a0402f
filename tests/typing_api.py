"""User code that must type-check, under mypy strict and pyright. It is not run; wrong uses are marked with the error they must give."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, assert_type

import anthropic as anthropic_sdk
import openai as openai_sdk
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.detectors import EMAIL, PII, SECRETS, from_gitleaks
from streamfilter.providers import langchain, openai, pydantic_ai, vercel

SAFE = sf.Redact(EMAIL, r"\d+", to="[{rule}]") | sf.StopAt("\nUser:")


@sf.stage
class Mask(sf.TextStage):
    """A user's stage with fields."""

    char: str = "x"
    keep: int = 0

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        return sf.mapping(lambda text: self.char * len(text))


async def twice(source: AsyncIterator[str]) -> AsyncIterator[str]:
    async for item in source:
        yield item
        yield item


async def items(source: AsyncIterator[sf.Item]) -> AsyncIterator[sf.Item]:
    async for item in source:
        yield item


def replaced(match: sf.Match) -> str:
    assert_type(match.group(), str)
    assert_type(match["name"], str | Any)
    return f"[{match.rule.name}]" + match[0]


async def text(tokens: AsyncIterable[str]) -> None:
    async with SAFE(tokens, context=sf.Context(tags={"tenant": "acme"}), after_stop="drain") as stream:
        async for piece in stream:
            assert_type(piece, str)
        assert_type(stream.report.counts, dict[str, int])
    for piece in SAFE.iter(["a"]):
        assert_type(piece, str)
    assert_type(SAFE.apply("a"), str)
    assert_type(await (SAFE | twice).aapply("a"), str)


async def events(source: AsyncIterable[sf.TextDelta], mixed: AsyncIterable[sf.Item]) -> None:
    async for delta in SAFE(source):
        assert_type(delta, sf.TextDelta)
    async for item in (items | SAFE)(mixed):
        assert_type(item, sf.Item)


async def chunks(source: AsyncIterable[ChatCompletionChunk], raw: AsyncIterable[bytes], some: AsyncIterable[Any]) -> None:
    async for chunk in openai.chat.wrap(SAFE)(source):
        assert_type(chunk.choices[0].delta.content, str | None)
    async for piece in openai.chat.wrap(SAFE)(raw):
        assert_type(piece, bytes)
    async for answer in SAFE(sf.text_of(some)):
        assert_type(answer, str)


def reversible(source: AsyncIterable[str]) -> None:
    context = sf.Context(vault=sf.Vault(max_entries=100), tags={"tenant": "acme"})
    private = sf.Redact(*PII, *SECRETS, sf.Terms(["a", "b"], name="names", fold="nfkc"), to=sf.Placeholder())
    assert_type(private.apply("a", context=context), str)
    assert_type(sf.Restore()(source, context=context), sf.Stream[str])
    sf.Redact("a", to=replaced)
    sf.Redact(sf.Rule("x", "a", timeout=0.5), to=sf.Mask(keep_last=2) if context.tags else sf.Hash("0123456789"))
    sf.Redact(*from_gitleaks("gitleaks.toml"))


def wrong(numbers: AsyncIterable[int]) -> None:
    SAFE(numbers)  # type: ignore[type-var]
    Mask(keep="many")  # type: ignore[arg-type]
    sf.Terms("abc", fold="nfc")  # type: ignore[arg-type]
    sf.Redact(3)  # type: ignore[arg-type]
    sf.Redact("a", overflow="keep")  # type: ignore[arg-type]
    sf.StopAt("a", after="b")  # type: ignore[call-arg]
    openai.chat.wrap(openai.chat.Decode())  # type: ignore[arg-type]


async def allowed(window: sf.Window) -> bool:
    return window.final or bool(window.context.tags)


def judged(window: sf.Window) -> sf.Verdict:
    return sf.Verdict.refuse("because", rule="violence", score=0.9)


MODERATED = SAFE | sf.Moderate(
    allowed, window=sf.by_sentence(max_wait=2.0), lookback_chars=400, concurrency=3, timeout=2.0, action="stop", message="Sorry."
)


async def moderated(tokens: AsyncIterable[str], source: AsyncIterable[ChatCompletionChunk]) -> None:
    async for piece in (MODERATED | sf.Moderate(judged, mode="shadow"))(tokens, context=sf.Context(verdicts=sf.VerdictCache())):
        assert_type(piece, str)
    async for chunk in openai.chat.wrap(MODERATED)(source):
        assert_type(chunk.choices[0].delta.content, str | None)
    sf.Moderate(judged, mode="eager")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Card(BaseModel):
    title: str
    bullets: list[str]


async def structured(tokens: AsyncIterable[str]) -> None:
    async for card in sf.ParseJSON(Card, strict=True)(tokens):
        assert_type(card, Card)
    async for bullet in sf.JSONItems("$.bullets[*]", str)(tokens):
        assert_type(bullet, str)
    async for text in (sf.JSONText("$.title") | SAFE)(tokens):
        assert_type(text, str)
    for value in sf.ParseJSON(live=True).iter(["{}"]):
        assert_type(value, Any)
    async for card in (SAFE | sf.ParseJSON(Card))(tokens):
        assert_type(card, Card)
    (SAFE | sf.ParseJSON(Card)).apply("{}")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    await sf.ParseJSON(Card).aapply("{}")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def declared(tokens: AsyncIterable[str], raw: AsyncIterable[bytes], watched: sf.Stage[Any, Any]) -> None:
    """Of what a file declares nothing is known but what one says oneself."""
    async for value in sf.load("cards.toml", allow_imports=["cards"])(tokens):
        assert_type(value, Any)
    async for value in sf.watch("cards.toml").get("cards")(raw):
        assert_type(value, Any)
    for value in (SAFE | watched).iter(["{}"]):
        assert_type(value, Any)
    assert_type(watched.apply("a"), str)
    cards: sf.Stage[str, Card] = sf.load("cards.toml")
    assert_type(cards(tokens), sf.Stream[Card])
    assert_type((watched | SAFE)(tokens), sf.Stream[str])


def in_a_row(
    tokens: AsyncIterable[str], mixed: AsyncIterable[sf.TextDelta], some: list[sf.TextStage], any_: sf.Stage[Any, Any]
) -> None:
    """Text stages are typed as that, by `Pipeline` too; what changes the type in between is typed by `|`."""
    assert_type(sf.Pipeline(sf.Redact("a"), sf.Words()), sf.Pipeline[str, str])
    assert_type(sf.Pipeline(*some)(mixed), sf.Stream[sf.TextDelta])
    assert_type(sf.Pipeline(sf.Redact("a"), sf.ParseJSON(Card))(tokens), sf.Stream[Any])
    assert_type(sf.Pipeline(*any_.stages)(tokens), sf.Stream[Any])
    assert_type(sf.Pipeline(), sf.Pipeline[Any, Any])
    cards: sf.Pipeline[str, Card] = sf.Pipeline(sf.Redact("a"), sf.ParseJSON(Card))
    assert_type(cards(tokens), sf.Stream[Card])


async def guarded(plain: openai_sdk.OpenAI, live: openai_sdk.AsyncOpenAI, other: anthropic_sdk.AsyncAnthropic) -> None:
    client = sf.guard(live, request=SAFE, response=SAFE | sf.Restore(), context=sf.Context, unknown="pass", after_stop="drain")
    assert_type(client, openai_sdk.AsyncOpenAI)
    assert_type(sf.guard(plain, response=SAFE), openai_sdk.OpenAI)
    assert_type(sf.guard(other, request=SAFE, context=sf.Context(vault=sf.Vault())), anthropic_sdk.AsyncAnthropic)
    assert_type(await client.chat.completions.create(model="m", messages=[]), ChatCompletion)
    sf.guard(plain, unknown="skip")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.guard(plain, response="text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def wrapped(source: AsyncIterable[ChatCompletionChunk], whole: ChatCompletion, raw: AsyncIterable[bytes]) -> None:
    assert_type(sf.wrap(SAFE)(source), sf.Stream[ChatCompletionChunk])
    assert_type(sf.wrap(SAFE)(raw), sf.Stream[bytes])
    assert_type(openai.chat.filter_response(SAFE, whole), ChatCompletion)
    assert_type(openai.chat.filter_request(SAFE, {"messages": [1]}), dict[str, list[int]])
    assert_type(langchain.filter_response(SAFE, {"content": "a"}), dict[str, str])
    assert_type(langchain.guarded(1, response=SAFE), int)  # the very type, whatever it is
    assert_type(pydantic_ai.guarded("a", response=SAFE, unknown="pass"), str)
    assert_type(vercel.Encode(as_bytes=True), vercel.Encode)
    langchain.Encode("m", as_dicts=True)
    pydantic_ai.Encode(as_bytes=True)
