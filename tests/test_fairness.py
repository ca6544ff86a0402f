"""What takes long is worked off in steps: the same items as at once, a turn for others after each, and it can be left in between."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.flow import pace
from streamfilter.machine import Machine
from streamfilter.providers import anthropic, bedrock, ollama, openai
from streamfilter.providers.frames import NDJSON, SSE, framing_of
from streamfilter.slices import at_once
from streamfilter.testing import run_virtually
from streamfilter.web.bodies import Filter, ResponseBody

TINY = 24
"""Characters of a slice, so that short texts have many."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "slices.SLICE_CHARS",
        "stream.SLICE_CHARS",
        "pump.SLICE_CHARS",
        "chain.SLICE_CHARS",
        "parsing.documents.STEP_CHARS",
    ):
        monkeypatch.setattr(f"streamfilter.{name}", TINY)
    for name in ("slices.PIECE_BYTES", "providers.frames.PIECE_BYTES"):
        monkeypatch.setattr(f"streamfilter.{name}", 3 * TINY)
    monkeypatch.setattr("streamfilter.providers.machines.STEP_EVENTS", 3)


async def source(items: Sequence[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def live(stage: Any, items: Sequence[Any], **options: Any) -> tuple[list[Any], str]:
    """What a stream gives, and the error that ends it."""

    async def main() -> tuple[list[Any], str]:
        out: list[Any] = []
        try:
            async with stage(source(items), **options) as stream:
                async for item in stream:
                    out.append(item)  # noqa: PERF401
        except Exception as error:
            return out, f"{type(error).__name__}: {error}"
        return out, ""

    return run_virtually(main())


def plain(stage: Any, items: Sequence[Any], **options: Any) -> tuple[list[Any], str]:
    """The same in plain code, where all is done at once."""
    out: list[Any] = []
    try:
        with stage.iter(items, **options) as stream:
            out.extend(stream)
    except Exception as error:
        return out, f"{type(error).__name__}: {error}"
    return out, ""


def shown(got: tuple[list[Any], str]) -> tuple[list[str], str]:
    """For comparison: SDK objects and partial models by what they show."""
    return [repr(item) for item in got[0]], got[1]


def document(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return "".join(chance.choice('ab é"\\\n\U0001f600{[') for _ in range(chance.choice([0, 3, 9, 80])))
    if kind < 5:
        return chance.choice([None, True, 0, -12, 1.5e3, 1234567890])
    size = chance.randrange(6)
    if kind < 7:
        return [document(chance, depth + 1) for _ in range(size)]
    return {f"k{n}" if n else "a": document(chance, depth + 1) for n in range(size)}


def pieces(text: str, chance: random.Random) -> list[str]:
    """A text in a few pieces, mostly larger than a slice."""
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


class Card(BaseModel):
    a: Any = None
    k1: Any = None


READERS: dict[str, Callable[[], Any]] = {
    "values": sf.ParseJSON,
    "growing": lambda: sf.ParseJSON(strings="whole", truncated="partial"),
    "many": lambda: sf.ParseJSON(many=True, truncated="partial"),
    "strict": lambda: sf.ParseJSON(strict=True, duplicates="raise"),
    "limited": lambda: sf.ParseJSON(max_string=50, max_depth=3),
    "model": lambda: sf.ParseJSON(Card),
    "items": lambda: sf.JSONItems("$[*]", truncated="partial"),
    "inner items": lambda: sf.JSONItems("$..a", many=True),
    "text": lambda: sf.JSONText("$..a"),
    "events": sf.JSONEvents,
    "operations": lambda: sf.JSONEvents(patch=True),
    "behind": lambda: sf.Tap(lambda item: None) | sf.MapText(str) | sf.ParseJSON(),
}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", READERS)
def test_documents_give_the_same_items(name: str) -> None:
    """One snapshot a chunk, items, events, errors with their places: at random texts and cuts, well-formed or not."""
    chance = random.Random(name)
    stage = READERS[name]()
    for _ in range(120):
        text = json.dumps(document(chance), ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 1]))
        text = (
            chance.choice(["", "", "Here [it] is: ", "```json\n"])
            + text
            + chance.choice(["", "", "\n", " and that {is} all", text])
        )
        if chance.random() < 0.3:
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice(["", "x", "]", '"', "\\", "\x00"]) + text[at + chance.randrange(3) :]
        given: list[Any] = pieces(text, chance)
        if chance.random() < 0.3 and name != "behind":
            given = [piece.encode() for piece in given]
        assert shown(live(stage, given)) == shown(plain(stage, given)), given


def test_the_values_are_those_of_the_whole_text() -> None:
    """As `json.loads` and a walk through its value give them, of a large document in one chunk."""
    value = [{"a": n, "b": f"text {n}", "c": [1, 2.5, None, True, {"a": "é" * (n % 90)}]} for n in range(900)]
    text = json.dumps(value)
    assert live(sf.ParseJSON(), [text]) == ([value], "")
    assert live(sf.ParseJSON(), [text[:-1], "]"])[0][-1] == value
    assert live(sf.JSONItems("$[*]"), [text]) == (value, "")
    events, error = live(sf.JSONEvents(), [text.encode()])
    assert not error
    leaves = [event for event in events if event.kind == "value"]
    assert [event.value for event in leaves] == [leaf for each in value for leaf in (each["a"], 1, 2.5, None, True)]
    long = {"a": "no\nword " * 9000}
    assert live(sf.JSONText("$.a"), [json.dumps(long)]) == ([long["a"]], "")
    redacted = live(sf.FilterJSON(sf.Redact("word", to="#")), [text, json.dumps(long)])
    assert "".join(redacted[0]) == text + json.dumps(long).replace("word", "#")


# -------------------------------------------------------------------------------------------------------------- providers


def chat(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"object": "chat.completion.chunk", "id": "c", "created": 1, "model": "m", "choices": [choice], **more}


def chat_chunks(texts: Sequence[str]) -> list[dict[str, Any]]:
    last = {**chat(""), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {**chat(""), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    return [*map(chat, texts), last, usage]


def claude_chunks(texts: Sequence[str]) -> list[dict[str, Any]]:
    message: dict[str, Any] = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "x",
        "stop_reason": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts]
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


def ollama_chunks(texts: Sequence[str]) -> list[dict[str, Any]]:
    made = [{"model": "m", "created_at": "t", "message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    return [
        *made,
        {"model": "m", "created_at": "t", "message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 3},
    ]


def bedrock_chunks(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"messageStart": {"role": "assistant"}},
        *({"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 0}} for text in texts),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}},
    ]


def framed(events: Sequence[dict[str, Any]], end: str = "\n", done: str = "") -> bytes:
    body = "".join(
        f"event: {event['type']}{end}data: {json.dumps(event)}{end}{end}"
        if "type" in event
        else f"data: {json.dumps(event)}{end}{end}"
        for event in events
    )
    return (f": hello{end}{end}" + body + (f"data: {done}{end}{end}" if done else "")).encode()


def in_bytes(name: str, texts: Sequence[str], end: str) -> bytes:
    if name == "chat":
        return framed(chat_chunks(texts), end, "[DONE]")
    if name == "claude":
        return framed(claude_chunks(texts), end)
    if name == "ollama":
        return b"".join(json.dumps(event).encode() + end.encode() for event in ollama_chunks(texts))
    from streamfilter.providers.frames import AWS

    return b"".join(AWS.encode(event, "", None) for event in bedrock_chunks(texts))


FORMATS = {"chat": openai.chat, "claude": anthropic.messages, "ollama": ollama, "bedrock": bedrock.converse}
CHUNKS = {"chat": chat_chunks, "claude": claude_chunks, "ollama": ollama_chunks, "bedrock": bedrock_chunks}
GUARD = sf.Redact(r"\d{3}-\d{4}", to="#") | sf.Redact(r"\S+@\S+\.org", to="@")


def texts(chance: random.Random) -> list[str]:
    words = ["call ", "555-", "0100", " joe@", "x.org ", "é", " so", " long. " * 20, "\n", "end "]
    return ["".join(chance.choice(words) for _ in range(chance.randrange(1, 6))) for _ in range(chance.randrange(1, 25))]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_providers_give_the_same_chunks(name: str, after_stop: Any) -> None:
    """Dicts and bytes with many events, whole, or cut anywhere; decoded, encoded, wrapped, stopped and refused."""
    chance = random.Random(name)
    form: Any = FORMATS[name]
    stages = [
        form.wrap(GUARD),
        form.wrap(GUARD | sf.StopAt("end ")),
        form.wrap(sf.Block("long") | GUARD),
        sf.wrap(GUARD),
        sf.wrap(sf.Limit(max_chars=90, at="char")),
        form.Decode(),
        form.Decode() | sf.Tap(lambda item: None) | GUARD | sf.StopAt("end "),
    ]
    if name != "bedrock":
        stages.append(form.Decode() | GUARD | sf.Limit(max_chars=90, at="char") | form.Encode(as_bytes=True))
    for _ in range(12):
        said = texts(chance)
        raw = in_bytes(name, said, chance.choice(["\n", "\r\n"]))
        if chance.random() < 0.2:
            at = chance.randrange(len(raw))
            raw = raw[:at] + b"?" + raw[at + 1 :]
        at = chance.randrange(len(raw) + 1)
        for given in (CHUNKS[name](said), [raw], [raw[:at], raw[at:]]):
            for stage in stages:
                want, got = plain(stage, given, after_stop=after_stop), live(stage, given, after_stop=after_stop)
                assert _joined(got) == _joined(want), (stage, given)


def _joined(got: tuple[list[Any], str]) -> tuple[list[Any], str]:
    """Neighbouring deltas of one chunk and channel as one: behind `Decode`, text stages leave in slices what they do not change."""
    out: list[Any] = []
    for item in got[0]:
        before = out[-1] if out else None
        if isinstance(item, sf.TextDelta) and isinstance(before, sf.TextDelta) and item.channel == before.channel:
            out[-1] = sf.TextDelta(before.text + item.text, item.channel)
        else:
            out.append(item if not hasattr(item, "origin") or isinstance(item, sf.TextDelta) else repr(item))
    return [repr(item) for item in out], got[1]


@pytest.mark.usefixtures("tiny")
def test_messages_of_a_socket_stay_whole() -> None:
    """A WebSocket message is one event, in bytes or text, however large it is."""
    said = ["call 555-0100 " * 40, "joe@x.org"]
    for given in ([json.dumps(each).encode() for each in chat_chunks(said)], [json.dumps(each) for each in chat_chunks(said)]):
        got = live(openai.chat.wrap(GUARD), given)
        assert got == plain(openai.chat.wrap(GUARD), given)
        assert len(got[0]) == len(given)
        assert type(got[0][0]) is type(given[0])
        content = "".join(json.loads(each)["choices"][0]["delta"].get("content", "") for each in got[0][:-1])
        assert content == re.sub(r"\d{3}-\d{4}", "#", "".join(said)).replace("joe@x.org", "@")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("framing", [SSE, NDJSON], ids=["sse", "ndjson"])
def test_frames_are_as_whole_as_with_all_of_a_piece(framing: Any) -> None:
    """Wherever the parts of a large piece end, also within a line end."""
    chance = random.Random(1)
    from streamfilter.providers.frames import LineDecoder
    from streamfilter.providers.sse import Decoder

    for _ in range(300):
        end = chance.choice(["\n", "\r\n", "\r"] if framing is SSE else ["\n", "\r\n"])
        lines = ["data: " + "x" * chance.randrange(60), "event: e", ": c", "", ""]
        mixed = ["\n", "\r\n", "\r"] if framing is SSE and chance.random() < 0.3 else [end]
        raw = "".join(chance.choice(lines) + chance.choice(mixed) for _ in range(40)).encode() + b": end\n\n"
        whole = Decoder() if framing is SSE else LineDecoder()
        want = [*whole.feed(raw), *whole.finish()]
        decoder = framing.decoder()
        got = [*decoder.feed(raw), *decoder.finish()]
        for frame in got:  # that a line feed may come matters only behind those that end like this one
            frame.is_cut = frame.is_cut and frame.raw.endswith(b"\r\n\r")
        assert got == [replace(frame, is_cut=False) for frame in want[:-1]] + want[-1:]


# ------------------------------------------------------------------------------------------------------- stages that wait


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("mode", ["hold", "optimistic", "shadow"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_windows_are_the_same(mode: Any, concurrency: int) -> None:
    """Each window as the whole text is divided, in order; items, findings and the end as if it were divided at once."""
    chance = random.Random(mode)
    for n in range(25):
        text = "".join(chance.choice(["One. ", "Two words! ", "It is so ", "bad ", "\n\n", "é"]) for _ in range(60))
        windows: list[sf.Window] = []

        async def check(window: sf.Window, windows: list[sf.Window] = windows) -> bool:
            windows.append(window)
            return "bad" not in window.text

        stage = sf.Moderate(check, mode=mode, concurrency=concurrency, lookback_chars=n % 3 * 5, action="stop", message="(no)")
        got, error = live(stage, pieces(text, chance) if n % 2 else [text])
        assert not error
        cutter: Any = sf.by_sentence().start()
        ends = [*cutter.feed(text)]
        ends += [] if (last := cutter.cut()) is None else [last]
        want = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        assert [window.text for window in windows] == want[: len(windows)]
        bad = next((k for k, each in enumerate(want) if "bad" in each), None)
        if mode == "hold":
            assert got == (want if bad is None else [*want[:bad], "(no)"])
        elif mode == "optimistic" and bad is None:
            assert "".join(got) == text
        elif mode == "shadow":
            assert "".join(got) == text
            assert len(windows) == len(want)


@pytest.mark.usefixtures("tiny")
def test_a_large_text_is_asked_about_while_it_is_divided() -> None:
    """The checks run in the turns of others; what they decide leaves behind the last slice, in order, also within `wrap`."""
    said = [f"Sentence {n} here. " for n in range(60)]

    async def check(window: sf.Window) -> bool:
        await asyncio.sleep(0.001)
        return True

    stage = sf.Moderate(check, concurrency=2, window=sf.by_sentence(max_wait=0.5))
    assert live(stage, ["".join(said)]) == (said, "")
    wrapped = live(openai.chat.wrap(stage), chat_chunks(["".join(said)]))[0]
    content = "".join(choice["delta"].get("content", "") for each in wrapped for choice in each["choices"])
    assert content == "".join(said)
    behind = live(sf.Tap(lambda item: None) | stage | sf.Redact("Sentence", to="S"), ["".join(said)])[0]
    assert "".join(behind) == "".join(said).replace("Sentence", "S")


@pytest.mark.parametrize("by", ["word", "line", "char"])
def test_what_is_more_than_may_be_held_leaves_as_one(by: Any) -> None:
    """All units but the last, as a walk through all of them finds them; they leave at the rate."""
    chance = random.Random(by)
    for _ in range(60):
        text = "".join(chance.choice("ab \n\t") for _ in range(chance.randrange(1, 90)))
        hold = chance.randrange(1, 90)
        units = pace._UNITS[by].findall(text)
        excess, n = len(text) - hold, 0
        while n < len(units) and excess > 0:
            excess -= len(units[n])
            n += 1
        want = [*(["".join(units[:n])] if n else []), *units[n:]]
        assert live(sf.Pace(delay=0.01, by=by, max_hold=hold, max_lag=60), [text]) == (want, "")


# ------------------------------------------------------------------------------------------------------------ being left

BIG = json.dumps([{"a": "planted"}] * 3000)
LEFT: dict[str, tuple[Callable[[], Any], Any]] = {
    "JSONItems": (lambda: sf.JSONItems("$[*]"), BIG),
    "JSONEvents": (sf.JSONEvents, BIG),
    "bytes": (sf.ParseJSON, BIG.encode()),
    "decoded": (lambda: openai.chat.Decode() | sf.Redact("x"), in_bytes("chat", ["planted"] * 900, "\n")),
    "wrapped": (lambda: openai.chat.wrap(sf.Redact("x")), in_bytes("chat", ["planted "] * 900, "\n")),
    "detected": (lambda: sf.wrap(sf.Redact("x")), in_bytes("claude", ["planted "] * 900, "\n")),
    "one event": (lambda: sf.wrap(sf.Redact("x")), chat("planted " * 9000)),
    "moderated": (lambda: sf.Moderate(_allowed), "Planted. " * 3000),
    "measured": (lambda: sf.Tap(lambda item: None) | sf.JSONItems("$[*]"), BIG),
}


async def _allowed(window: sf.Window) -> bool:
    return True


class Given:
    """A source that tells whether it was closed, and that can be seen to be gone."""

    def __init__(self, item: Any) -> None:
        self.items = [item]
        self.is_closed = False

    def __aiter__(self) -> Given:
        return self

    async def __anext__(self) -> Any:
        if self.items:
            return self.items.pop()
        await asyncio.sleep(60)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize("way", ["cancel", "aclose", "break", "throw"])
def test_it_can_be_left_between_steps(name: str, way: str) -> None:
    """Nothing more is given, the source is closed at once, no task is left, and nothing keeps what was being worked off."""
    make, item = LEFT[name]
    context = sf.Context(stats=True) if name == "measured" else sf.Context()

    async def main() -> None:
        given = Given(item)
        stream: Any = make()(given, context=context)
        machine = weakref.ref(stream._machine)
        got: list[Any] = []

        async def read() -> None:
            async with stream:
                async for each in stream:
                    got.append(each)
                    if way == "break":
                        return
                    if way == "throw":
                        raise KeyError(name)

        task = asyncio.create_task(read())
        for _ in range(6):
            await asyncio.sleep(0)
        if way == "aclose":
            await stream.aclose()
        if way in ("cancel", "aclose") or not got:
            task.cancel()
        before = len(got)
        await asyncio.wait([task])
        assert given.is_closed
        assert len(got) <= before + (way == "break")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert stream.held == 0
        assert stream._work is None
        assert not task.cancelled() or way in ("cancel", "aclose") or not before
        task_error = None if task.cancelled() else task.exception()
        assert task_error is None or isinstance(task_error, KeyError | RuntimeError)
        del task, task_error
        gc.collect()
        if stream._pump is None:
            assert machine() is None
        else:  # it stays with its pump, which has nothing more to do
            assert stream._pump._under_way is None
            assert stream._pump._reader.done()

    run_virtually(main())


class Faulty(Machine):
    """Raises, or ends the stream, in its third step."""

    def __init__(self, end: bool) -> None:
        self._end = end

    def steps(self, item: Any) -> Iterator[Any]:  # type: ignore[override]
        def work() -> Any:
            yield ["a"]
            yield ["b"]
            if self._end:
                self.ended = True
                return ["c", sf.End("error", ValueError("in a step"))]
            raise ValueError("in a step")

        return work()  # type: ignore[no-any-return]


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("is_chain", [False, True])
def test_an_error_in_a_step(end: bool, is_chain: bool) -> None:
    """What left before it has left; the source is closed, and the error is the consumer's."""

    @sf.stage
    class Fault(sf.Stage[Any, Any]):
        def machine(self, context: sf.Context | None = None) -> Machine:
            return Faulty(end)

    async def main() -> None:
        given = Given({"x": 1})
        got: list[Any] = []
        stage: Any = Fault() | sf.Redact("x") if is_chain else Fault()
        with pytest.raises(ValueError, match="in a step"):
            async with stage(given) as stream:
                async for each in stream:
                    got.append(each)  # noqa: PERF401  # what came before the error counts
        assert got == (["a", "b", "c"] if end else ["a", "b"])
        assert given.is_closed

    run_virtually(main())


@pytest.mark.parametrize("name", LEFT)
def test_others_have_their_turns(name: str) -> None:
    """Some for each part of it, while the stream has only one item from its source."""
    make, item = LEFT[name]
    size = len(item) if isinstance(item, str | bytes) else 72_000

    async def main() -> int:
        turns, over = 0, False

        async def read() -> None:
            nonlocal over
            async with make()(source([item])) as stream:
                async for _ in stream:
                    pass
            over = True

        task = asyncio.create_task(read())
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        await asyncio.gather(task, return_exceptions=True)
        return turns

    assert asyncio.run(main()) >= size // 20_000


def test_steps_give_what_feeding_gives() -> None:
    """Of every stage here, by the machines alone."""
    for make, item in LEFT.values():
        one, other = make().machine(), make().machine()
        work = one.steps(item)
        assert work is not None
        got, want = at_once(work), other.feed(item)
        if "moderated" not in repr(make):
            texts = ["".join(each for each in out if isinstance(each, str)) for out in (got, want)]
            assert texts[0] == texts[1]
            assert len(got) >= len(want)


# ------------------------------------------------------------------------------------------------- bodies and messages, whole


def whole_response(text: str, *, strings: int = 0) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    notes = [{"note": f"call 555-{n:04}"} for n in range(strings)]
    return {"object": "chat.completion", "id": "c", "created": 1, "model": "m", "choices": [choice], "notes": notes}


async def _body(kind: str, raw: bytes) -> bytes:
    body = ResponseBody(Filter(GUARD), 200, [(b"content-type", kind.encode())])

    async def pieces() -> AsyncIterator[bytes]:
        yield raw

    if body.how == "whole":
        return await body.whole(pieces())
    async with body.stream(pieces()) as stream:
        return b"".join([piece async for piece in stream])


CALLS = "call 555-0100 now. " * 4000
CALM = "Nothing is in it. " * 4000
MANY = [{"role": "user", "content": f"call 555-{n:04}"} for n in range(2000)]
PARTS = [{"candidates": [{"content": {"role": "model", "parts": [{"text": "call 555-0100. "}]}, "index": 0}]}] * 2000
BODIES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Any]] = {
    "messages": (
        lambda: openai.chat.afilter_request(GUARD, {"messages": MANY}),
        lambda got: [each["content"] for each in got["messages"]],
        ["call #"] * len(MANY),
    ),
    "a quote": (
        lambda: openai.chat.afilter_request(GUARD, {"messages": [], "user": CALLS}),
        lambda got: got["user"],
        re.sub(r"\d{3}-\d{4}", "#", CALLS),
    ),
    "a response": (
        lambda: openai.chat.afilter_response(GUARD, whole_response("", strings=2000)),
        lambda got: [each["note"] for each in got["notes"]],
        ["call #"] * 2000,
    ),
    "text": (lambda: _body("text/plain", CALM.encode()), bytes.decode, CALM),
    "events of text": (
        lambda: _body("text/event-stream", b"data: call 555-0100\n\n" * 4000),
        lambda got: "".join(re.findall(r"data: (.*)\n", got.decode())),
        "call #" * 4000,
    ),
    "events": (
        lambda: _body("text/event-stream", in_bytes("chat", [CALLS[:19]] * 2000, "\n")),
        lambda got: "".join(
            json.loads(each)["choices"][0]["delta"].get("content", "")
            for each in re.findall(r"data: (\{.*\})\n", got.decode())
            if '"content"' in each
        ),
        "call # now. " * 2000,
    ),
    "numbers": (lambda: _body("application/json", json.dumps([*range(9000)]).encode()), json.loads, [*range(9000)]),
    "a list of chunks": (
        lambda: _body("application/json", json.dumps(PARTS).encode()),
        lambda got: "".join(
            part["text"] for chunk in json.loads(got) for candidate in chunk["candidates"] for part in candidate["content"]["parts"]
        ),
        "call #. " * len(PARTS),
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_filtered_whole_gives_others_their_turns(name: str) -> None:
    """However much of a body or a request comes at once: a turn for some hundreds of characters, or for some strings."""
    make, read, want = BODIES[name]

    async def main() -> tuple[int, Any]:
        turns, task = 0, asyncio.ensure_future(make())
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        return turns, await task

    turns, got = asyncio.run(main())
    assert read(got) == want
    assert turns >= 25


def test_what_tells_a_format_may_come_in_one_large_piece() -> None:
    """The limit is for what does not tell it: where a piece ends makes no difference."""
    raw = in_bytes("chat", ["call 555-0100. " * 1000] * 150, "\n")
    assert len(raw) > 2 * 1024 * 1024
    pieces = [raw[at : at + 100_000] for at in range(0, len(raw), 100_000)]
    got = b"".join(sf.wrap(GUARD).iter([raw]))
    assert got == b"".join(sf.wrap(GUARD).iter(pieces))
    assert b"555" not in got
    for late in ([b": x\n" * 300_000 + raw], [b": x\n" * 300_000, raw]):
        with pytest.raises(sf.MalformedInput, match="no event in the first 1048576 bytes"):
            list(sf.wrap(GUARD).iter(late))


@pytest.mark.parametrize("stage", [sf.wrap(GUARD), bedrock.converse.wrap(GUARD)], ids=["any", "two"])
def test_empty_lines_are_looked_at_once(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first event tells how events stand in bytes, byte by byte."""
    looked = 0

    def counted(first: bytes, *framings: Any) -> Any:
        nonlocal looked
        looked += len(first)
        return framing_of(first, *framings)

    for module in ("detecting", "events"):
        monkeypatch.setattr(f"streamfilter.providers.{module}.framing_of", counted)
    machine = stage.machine(sf.Context())
    for _ in range(3000):
        assert not machine.feed(b"\n")
    assert looked <= 3000
