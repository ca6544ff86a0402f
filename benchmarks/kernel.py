"""What the kernel costs: a text stage that does nothing, against a bare `async for`; and whether that stays flat."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterable

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio

CHUNKS = 50_000


class _Keep(sf.TextMachine):
    def feed(self, text: str) -> None:
        self.hold.keep(len(text))


@sf.stage
class Keep(sf.TextStage):
    """Does nothing, through the hold buffer."""

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        return _Keep()


async def drain(source: AsyncIterable[object]) -> None:
    """A bare `async for`."""
    async for _ in source:
        pass


async def figures() -> list[Figure]:
    """Lifted stages against a bare `async for`, and long streams against short ones."""
    texts = ["abcd"] * CHUNKS
    keep = Keep()
    taken = await compare(
        {
            "bare": lambda: drain(TextSource(texts)),
            "one": lambda: drain(keep(TextSource(texts))),
            "two": lambda: drain((keep | keep)(TextSource(texts))),
            "five": lambda: drain((keep | keep | keep | keep | keep)(TextSource(texts))),
        }
    )
    each = [(five - one) / 4 for one, five in zip(taken["one"], taken["five"], strict=True)]
    second = [two - one for one, two in zip(taken["one"], taken["two"], strict=True)]
    per_chunk = min(taken["bare"]) / CHUNKS * 1e6

    short, long = ["abcd"] * 10_000, ["abcd"] * 200_000
    grown = await compare({"short": lambda: drain(keep(TextSource(short))), "long": lambda: drain(keep(TextSource(long)))}, 5)
    return [
        Figure(
            "a lifted stage that does nothing / bare async for", ratio(taken["one"], taken["bare"]), 7, f"bare {per_chunk:.3f} µs"
        ),
        Figure("the second such stage, more / bare", ratio(second, taken["bare"]), 5),
        Figure("each further one of five, more / bare", ratio(each, taken["bare"]), 5),
        Figure("cost per chunk, 200,000 chunks / 10,000 chunks", ratio(grown["long"], grown["short"]) / 20, 1.15),
        Figure("memory of a stream of 200,000 chunks, KB", await _memory(long), 64),
    ]


async def _memory(texts: list[str]) -> float:
    """The most that a stream takes beyond its source, in KB."""
    stage = sf.Redact(r"\d+")
    await drain(stage(TextSource(texts[:10])))
    tracemalloc.start()
    await drain(stage(TextSource(texts)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1024
