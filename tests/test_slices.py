"""Large texts are worked off in slices: what comes out is the same, others have their turn, and it can be cancelled in between."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import trio

import streamfilter as sf
from streamfilter import slices
from streamfilter.chain import Chain
from streamfilter.detectors import PII, SECRETS
from streamfilter.machine import Machine
from streamfilter.providers import openai
from streamfilter.slices import ITEM_CHARS, SLICE_CHARS, advanced, at_once, cut, is_large, sliced
from streamfilter.testing import run_virtually

TEXT = "Call 555-0100 or write to joe@example.org, says the harbour. Then nothing more.\n\n" * 300
STAGES: dict[str, tuple[Any, Callable[[str], str]]] = {
    "redact": (sf.Redact(r"\d{3}-\d{4}", to="#"), lambda text: re.sub(r"\d{3}-\d{4}", "#", text)),
    "in a row": (
        sf.MapText(str.upper) | sf.Redact(r"\S+@\S+\.ORG", to="@") | sf.Redact("HARBOUR", to=""),
        lambda text: re.sub(r"\S+@\S+\.ORG", "@", text.upper()).replace("HARBOUR", ""),
    ),
    "stops": (sf.Redact("joe", to="*") | sf.Limit(max_chars=5000, at="char"), lambda text: text.replace("joe", "*")[:5000]),
    "waits": (sf.Timeout(between=60) | sf.Redact("harbour", to="~"), lambda text: text.replace("harbour", "~")),
}


async def source(pieces: Sequence[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


def cuts(text: str) -> list[list[str]]:
    """A text whole, with small pieces around a large one, and at the very sizes that matter."""
    n = SLICE_CHARS
    ends = [[len(text)], [3, 9, len(text) - 5, len(text)], [n, 2 * n + 1, 3 * n, len(text)], [n - 1, 2 * n, len(text)]]
    return [[text[a:b] for a, b in zip([0, *each], each, strict=False)] for each in ends]


@pytest.mark.parametrize("name", STAGES)
def test_the_text_is_the_same(name: str) -> None:
    """As the whole text means, whatever the chunks, and under trio where nothing waits."""
    stage, means = STAGES[name]

    async def through(pieces: list[str]) -> str:
        async with stage(source(pieces)) as stream:
            return "".join([text async for text in stream])

    for pieces in cuts(TEXT):
        assert run_virtually(through(pieces)) == means(TEXT)
        if name != "waits":
            assert trio.run(through, pieces) == means(TEXT)


def test_units_are_the_same() -> None:
    """What is regrouped does not show where it was cut."""

    async def through(pieces: list[str]) -> list[str]:
        async with sf.Lines()(source(pieces)) as stream:
            return [text async for text in stream]

    for pieces in cuts(TEXT):
        assert run_virtually(through(pieces)) == TEXT.splitlines(keepends=True)


@pytest.mark.parametrize("run", [asyncio.run, None], ids=["asyncio", "trio"])
def test_others_have_a_turn_after_each_slice(run: Callable[[Any], None] | None) -> None:
    """While one stream works off a large chunk, a task that only counts its turns has as many."""
    turns, over = 0, False
    stage = STAGES["redact"][0]

    async def read() -> None:
        nonlocal over
        async with stage(source([TEXT])) as stream:
            async for _ in stream:
                pass
        over = True

    async def count() -> None:
        nonlocal turns
        while not over:
            turns += 1
            if run is None:
                await trio.lowlevel.checkpoint()
            else:
                await asyncio.sleep(0)

    async def under_asyncio() -> None:
        await asyncio.gather(read(), count())

    async def under_trio() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(count)

    if run is None:
        trio.run(under_trio)
    else:
        run(under_asyncio())
    assert turns >= len(TEXT) // SLICE_CHARS


def test_a_cancel_arrives_between_slices() -> None:
    """It does not wait for the end of the chunk; the source is closed, and what is left of the chunk is never fed."""
    fed: list[int] = []
    closed: list[bool] = []

    async def given() -> AsyncIterator[str]:
        try:
            yield "a" * (10 * SLICE_CHARS)
        finally:
            closed.append(True)

    def seen(text: str) -> str:
        fed.append(len(text))
        return ""

    async def read() -> None:
        async with sf.MapText(seen)(given()) as stream:
            async for _ in stream:
                pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert fed == [SLICE_CHARS] * 2
    assert closed == [True]


@pytest.mark.parametrize(
    ("stage", "items"),
    [(sf.Pipeline(), 2), (sf.Buffer(2), 2), (sf.ParseJSON(), 1), (sf.MapText(str.lower) | sf.ParseJSON(), 1)],
    ids=repr,
)
def test_what_counts_its_chunks_gets_them_whole(stage: Any, items: int) -> None:
    """Where the number of chunks shows, in items passed on, buffered or shown, they are not cut."""
    text = '{"a": "' + "b" * (5 * SLICE_CHARS) + '"'

    async def through() -> int:
        async with stage(source([text, "}"])) as stream:
            return len([item async for item in stream])

    assert run_virtually(through()) == items


def test_only_text_is_cut() -> None:
    """Events and small texts are never large; a delta is cut into some of its channel and chunk."""
    for item in (sf.Finish("stop"), b"b" * 5000, "c" * SLICE_CHARS, sf.TextDelta("d" * SLICE_CHARS), {"a": "e" * 5000}, None):
        assert not is_large(item)
        assert sf.Redact("a").machine().steps(item) is None
    assert is_large("c" * (SLICE_CHARS + 1))
    channel, chunk = sf.Channel("reasoning", (0, 1)), object()
    got = [*cut(sf.TextDelta(TEXT[:2500], channel, chunk))]
    assert [(each.channel, each.origin) for each in got] == [(channel, chunk)] * 3
    assert [each.text for each in got] == [*cut(TEXT[:2500])] == [TEXT[:1024], TEXT[1024:2048], TEXT[2048:2500]]


Passing = sf.Tap(lambda item: None)
"""Wants its chunks whole, as it is told of each."""


def chunks_of(text: str) -> list[Any]:
    """One of a provider's chunks with all of it, and what follows."""
    choice: dict[str, Any] = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    chunk = {"object": "chat.completion.chunk", "id": "c", "created": 1, "model": "m", "choices": [choice]}
    last = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {**chunk, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    return [chunk, last, usage]


WITHIN: dict[str, tuple[Any, Callable[[str], Sequence[Any]]]] = {
    "decoded": (openai.chat.Decode(), chunks_of),
    "told": (Passing, lambda text: [text, "."]),
    "deltas": (Passing, lambda text: [sf.TextDelta(text), sf.TextDelta(".")]),
    "parsed": (sf.JSONText("$.a"), lambda text: [json.dumps({"a": text}), ""]),
    "kept alive": (sf.KeepAlive(60, "never") | Passing, lambda text: [text, "."]),
    "waits behind": (Passing | sf.Timeout(between=60), lambda text: [text, "."]),
}
"""What comes of a pipeline's first stages in large pieces. What follows it takes slices."""


@pytest.mark.parametrize("name", WITHIN)
@pytest.mark.parametrize("after_stop", ["close", "drain"])
@pytest.mark.parametrize("behind", ["redacted", "stopped", "refused", "cut off"])
def test_it_is_the_same_within_a_pipeline(name: str, after_stop: Any, behind: str) -> None:
    """Items, errors and the ending are those of plain code, which has no slices; a turn is given away after each."""
    first, made = WITHIN[name]
    last = {
        "redacted": sf.Redact(r"\d{3}-\d{4}", to="#") | sf.Redact(r"\S+@\S+\.org", to="@"),
        "stopped": sf.Redact("joe", to="*") | sf.StopAt("nothing more"),
        "refused": sf.Block("harbour") | sf.Redact("joe", to="*"),
        "cut off": sf.Limit(max_chars=3000, at="char"),
    }[behind]
    waits = name in ("kept alive", "waits behind")
    stage = first | last
    turns = 0

    async def live(measured: bool) -> tuple[list[Any], str]:
        nonlocal turns
        out: list[Any] = []
        context = sf.Context(stats=True) if measured else None
        is_over = False

        async def count() -> None:
            nonlocal turns
            while not is_over:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        try:
            async with stage(source(made(TEXT)), context=context, after_stop=after_stop) as stream:
                async for item in stream:
                    out.append(item)  # noqa: PERF401
        except sf.Blocked as error:
            return out, str(error)
        finally:
            is_over = True
            await counting
        return out, ""

    def plain() -> tuple[list[Any], str]:
        out: list[Any] = []
        try:
            with (last if waits else stage).iter(made(TEXT), after_stop=after_stop) as stream:
                out.extend(stream)
        except sf.Blocked as error:
            return out, str(error)
        return out, ""

    def shown(got: tuple[list[Any], str]) -> tuple[str, list[Any], str]:
        items, error = got
        texts = "".join(item.text if isinstance(item, sf.TextDelta) else item if isinstance(item, str) else "" for item in items)
        return texts, [item for item in items if not isinstance(item, str | sf.TextDelta)], error

    want = shown(plain())
    for measured in (False, True):
        turns = 0
        assert shown(run_virtually(live(measured))) == want
        assert turns >= len(want[0]) // SLICE_CHARS


@pytest.mark.parametrize("item", ["0123456789" * 2000, sf.TextDelta("0123456789" * 2000)], ids=["text", "delta"])
def test_slices_are_smaller_behind_one_that_took_long(item: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that with the same pattern the next takes no longer than it may; and as large as before where it is quick again."""
    now = 0.0
    fed: list[tuple[str, float]] = []

    def feed(piece: Any) -> Sequence[Any]:
        nonlocal now
        text = piece.text if isinstance(piece, sf.TextDelta) else piece
        taken = len(text) * (0.001 if 2000 < sum(len(each) for each, _ in fed) < 6000 else 1e-6)
        now += taken
        fed.append((text, taken))
        return [piece]

    monkeypatch.setattr(slices, "thread_time", lambda: now)
    assert len(at_once(sliced(feed, item))) == len(fed)
    assert "".join(text for text, _ in fed) == "0123456789" * 2000
    assert [len(text) for text, _ in fed[:4]] == [1024, 1024, 1024, 20]
    assert max(taken for _, taken in fed[3:]) < 0.05
    assert [len(text) for text, _ in fed[-4:-1]] == [1024] * 3


@pytest.mark.parametrize("seconds", [0.021, 0.03, 0.3, 3.0])
@pytest.mark.parametrize("each", [0.0, 1e-6, 1e-5])
def test_slices_are_not_made_smaller_in_vain(seconds: float, each: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes as long for a few characters as for many, and some for each, is called at most twice as often as for full slices."""
    now = 0.0
    sizes: list[int] = []

    def feed(text: str) -> Sequence[str]:
        nonlocal now
        now += seconds + each * len(text)
        sizes.append(len(text))
        return [text]

    monkeypatch.setattr(slices, "thread_time", lambda: now)
    assert "".join(at_once(sliced(feed, "x" * 40 * SLICE_CHARS))) == "x" * 40 * SLICE_CHARS
    assert 40 <= len(sizes) <= 80


def test_only_the_end_of_a_pipeline_is_fed_slices() -> None:
    """What ends with what wants its chunks whole gets them so, and what comes before that too."""

    def fed(make: Callable[[Any], sf.Stage[Any, Any]]) -> list[int]:
        sizes: list[int] = []
        stage = make(sf.Tap(lambda item: sizes.append(len(str(item))))) | sf.Strip()
        work = stage.machine().steps("x" * 5000)
        assert work is not None
        for _ in work:
            pass
        return sizes

    assert fed(lambda tap: tap) == fed(lambda tap: sf.MapText(str.lower) | tap) == fed(lambda tap: tap | sf.Redact("a")) == [5000]
    assert fed(lambda tap: sf.MapText(lambda text: text) | Passing | tap | sf.Redact("b")) == [5000]
    work = (Passing | sf.Redact("a")).machine().steps("x" * 5000)
    assert work is not None
    assert [len("".join(given)) for given in work] == [1024, 1024, 1024, 1024]  # and the rest is returned


class Spreading(Machine):
    """Gives each character by itself."""

    def feed(self, item: Any) -> Sequence[Any]:
        return list(item)


def test_many_small_items_of_one_chunk_give_turns_away() -> None:
    """Not only large ones."""
    work = Chain([Spreading(), sf.Redact("a").machine()]).steps("bcd" * 200)
    assert work is not None
    got: list[Any] = []
    is_over = False
    while not is_over:
        given, is_over = advanced(work)
        assert len(given) == SLICE_CHARS // ITEM_CHARS or is_over
        got += given
    assert "".join(got) == "bcd" * 200


def test_one_pipeline_in_many_threads() -> None:
    """Eight threads share a pipeline that was never used before, and with it what it works out; each gets what the text means."""
    pipeline = (
        sf.Redact(r"\d{3}-\d{4}", sf.Terms(["harbour", "nothing"]), to="#")
        | sf.Redact(r"(?i)\bj\w+@[\w.]+", to="@")
        | sf.Sentences()
    )
    want = re.sub(r"\b[jJ]\w+@[\w.]+", "@", re.sub(r"\d{3}-\d{4}|harbour|nothing", "#", TEXT))
    start = threading.Barrier(8)
    got: list[bool] = []

    def plain(size: int) -> str:
        with pipeline.iter(TEXT[at : at + size] for at in range(0, len(TEXT), size)) as stream:
            return "".join(stream)

    async def live(size: int) -> str:
        async with pipeline(source([TEXT[at : at + size] for at in range(0, len(TEXT), size)])) as stream:
            return "".join([text async for text in stream])

    def work(size: int) -> None:
        start.wait(10)
        got.append(plain(size) == want)
        got.append(asyncio.run(live(size)) == want)

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 3, 5, 8, 50, 999, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == [True] * 16


MANY: dict[str, tuple[Callable[[], Any], Sequence[Any]]] = {
    "guards": (lambda: sf.Redact(*PII, *SECRETS, to="[{rule}]") | sf.Links(allow=["a.example"]) | sf.Unicode(), [TEXT[:3000]]),
    "backtracks": (lambda: sf.Redact(r"(\w)\1", r"(?<!\d)\d{3}(?!\d)", to="#"), [TEXT[:3000]]),
    "callables": (lambda: sf.Redact(r"\d{3}-\d{4}", to=lambda match: match[0][::-1]), [TEXT[:3000]]),
    "shapers": (lambda: sf.Markdown() | sf.Normalize("NFKC") | sf.Words(), ["**a** [b](c) `d`\n\n- e\n" * 60]),
    "documents": (lambda: sf.FilterJSON(sf.Redact(r"\d{3}-\d{4}", to="#")), [json.dumps([TEXT[:400]] * 5)]),
    "snapshots": (lambda: sf.JSONItems("$[*].a"), [json.dumps([{"a": n, "b": TEXT[:20]} for n in range(99)])]),
    "wrapped": (
        lambda: sf.wrap(sf.Redact(r"\d{3}-\d{4}", to="#")),
        [each for n in range(30) for each in chunks_of(TEXT[n : n + 90])[:1]],
    ),
    "moderated": (lambda: sf.Moderate(lambda window: "joe" not in window.text, action="stop", message="."), ["So. " * 99 + "joe."]),
}


@pytest.mark.parametrize("name", MANY)
def test_threads_that_take_turns_all_the_time(name: str) -> None:
    """Eight of them share a stage that was just made, and switch after a microsecond: each gets what one alone gets of another."""
    make, items = MANY[name]

    def given(stage: Any) -> str:
        pieces = [each[at : at + 7] for each in items for at in range(0, len(each), 7)] if isinstance(items[0], str) else items
        with stage.iter(pieces) as stream:
            return repr(list(stream)) + repr(stream.report.counts)

    want = given(make())
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            stage, start = make(), threading.Barrier(8)
            got: list[str] = []

            def work(stage: Any = stage, start: threading.Barrier = start, got: list[str] = got) -> None:
                start.wait(10)
                got.append(given(stage))

            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert got == [want] * 8
    finally:
        sys.setswitchinterval(before)
