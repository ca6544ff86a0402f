"""Large texts are worked off in slices: what comes out is the same, others have their turn, and it can be cancelled in between."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import trio

import streamfilter as sf
from streamfilter.slices import SLICE_CHARS, Slices
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
    """Events and bytes pass as they are, and so do texts of the very size."""

    async def main() -> None:
        items = [sf.TextDelta("a" * 5000), b"b" * 5000, "c" * SLICE_CHARS]
        slices = Slices(source(items).__anext__)
        assert [await anext(slices) for _ in items] == items

    asyncio.run(main())


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
