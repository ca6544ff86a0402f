"""Thousands of streams at once in one process on one core: chunks per second in all, what each chunk is delayed, and memory.

Five stages each, chunks of 4 characters, sources that suspend before every chunk. Everything is measured against the same streams
with no pipeline, in the same process and in turn; memory in a process of its own for each figure.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import resource
import statistics
import time
import tracemalloc
import types
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, ratio, seconds
from benchmarks.kernel import drain
from benchmarks.stages import answered
from streamfilter.detectors import PII

COUNTS = (1000, 5000)
CHUNKS_EACH = {1000: 100, 5000: 40}
"""Of 4 characters: short answers, so that what a stream costs at its beginning and end is not lost among its chunks."""
ROUNDS = 3
BARE_STEPS = 200_000
BARE_MICROS, CHUNKS_PER_SECOND = 0.1, 100_000
"""The aim: so many chunks a second, where a step of a bare `async for` over a class-based source costs so many microseconds."""

PACED_PER_SECOND = {1000: 20, 5000: 4}
"""Chunks that each stream gets in a second when it is measured how long they take: 20,000 in all, at which no core is full."""
PACED_SECONDS = 4.0
TICK = 0.002
"""Seconds between two looks at which chunks are due."""

IDLE_STREAMS = 1000
IDLE_KB = 20.0
EXTRA_MS = 5.0
"""Milliseconds that a chunk may be delayed beyond one turn of the event loop, at the 99th percentile."""

Wrap = Callable[[AsyncIterable[str]], AsyncIterable[Any]]
FIVE = sf.Extract("think") | sf.Redact(*PII) | sf.Links(["example.org"]) | sf.Markdown() | sf.Words()


def bare(source: AsyncIterable[str]) -> AsyncIterable[str]:
    """No pipeline."""
    return source


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield


class Suspending:
    """A source that gives way to the event loop before each chunk, and never ends if it is told to stay."""

    def __init__(self, chunks: Sequence[str], *, stays: bool = False) -> None:
        self._chunks = iter(chunks)
        self._stays = stays

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        await _turn()
        chunk = next(self._chunks, None)
        if chunk is None:
            if self._stays:
                await asyncio.get_running_loop().create_future()
            raise StopAsyncIteration
        return chunk


class Paced:
    """A source whose chunks come when they come.

    Attributes:
        took: for each chunk, the seconds from when it was due until the reader, who has all that it released, asked for the next.
    """

    def __init__(self) -> None:
        self.took: list[float] = []
        self._due = 0.0
        self._waiter: asyncio.Future[str | None] | None = None
        self._late: list[tuple[float, str | None]] = []

    def give(self, due: float, chunk: str | None) -> None:
        """A chunk has come, or the end."""
        if self._waiter is not None and not self._waiter.done():
            self._due = due
            self._waiter.set_result(chunk)
        else:
            self._late.append((due, chunk))

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if self._due:
            self.took.append(time.perf_counter() - self._due)
        if self._late:
            self._due, chunk = self._late.pop(0)
        else:
            self._waiter = asyncio.get_running_loop().create_future()
            chunk = await self._waiter
        if chunk is None:
            raise StopAsyncIteration
        return chunk


def texts(count: int, chunks: int) -> list[list[str]]:
    """For each stream its chunks: all from one text, no two from the same place."""
    text = answered(200_000)
    starts = [n * 7919 % (len(text) - 4 * chunks) for n in range(count)]
    return [[text[at : at + 4] for at in range(start, start + 4 * chunks, 4)] for start in starts]


async def _full(wrap: Wrap, given: list[list[str]]) -> None:
    """All streams as fast as they go: in each turn of the loop each of them gets one chunk."""
    async with asyncio.TaskGroup() as group:
        for chunks in given:
            group.create_task(drain(wrap(Suspending(chunks))))


async def _paced(wrap: Wrap, given: list[list[str]], rate: float) -> list[float]:
    """All streams at a rate, none in step with another: the milliseconds of each chunk."""
    loop = asyncio.get_running_loop()
    sources = [Paced() for _ in given]
    tasks = [loop.create_task(drain(wrap(source))) for source in sources]
    await asyncio.sleep(0.1)
    count = len(given)
    total = count * min(map(len, given))
    start, n = time.perf_counter(), 0
    while n < total:
        now = time.perf_counter() - start
        while n < total and (due := n / count / rate) <= now:
            sources[n % count].give(start + due, given[n % count][n // count])
            n += 1
        await asyncio.sleep(TICK)
    for source in sources:
        source.give(time.perf_counter(), None)
    await asyncio.gather(*tasks)
    return sorted(1000 * took for source in sources for took in source.took)


async def figures() -> list[Figure]:
    """Throughput, delays and memory."""
    found: list[Figure] = []
    for count in COUNTS:
        found += await _throughput(count)
    for count in COUNTS:
        found += await _delays(count)
    for count in COUNTS:
        found += _memory(count)
    return found


async def _throughput(count: int) -> list[Figure]:
    given = texts(count, CHUNKS_EACH[count])
    runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "five": partial(_full, FIVE, given),
        "bare": partial(_full, bare, given),
        "step": lambda: drain(TextSource(["abcd"] * BARE_STEPS)),
    }
    await runs["five"]()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            taken[name].append(await seconds(run))
    total = count * CHUNKS_EACH[count]
    step = statistics.median(taken["step"]) / BARE_STEPS * 1e6
    five, none = statistics.median(taken["five"]), statistics.median(taken["bare"])
    aim = CHUNKS_PER_SECOND * BARE_MICROS / step
    note = (
        f"{total / five:,.0f} chunks a second in all, {total / none:,.0f} without; a bare step {step:.3f} µs, so the aim {aim:,.0f}"
    )
    per_step = [one / total * BARE_STEPS for one in taken["five"]]
    bound = 1e6 / CHUNKS_PER_SECOND / BARE_MICROS
    turn = five / CHUNKS_EACH[count] * 1000
    return [
        Figure(
            f"load: {count:,} streams of five stages, a chunk / a bare async for step", ratio(per_step, taken["step"]), bound, note
        ),
        Figure(f"load: {count:,} streams, a turn of the loop in which each has a chunk, ms", turn),
    ]


async def _delays(count: int) -> list[Figure]:
    rate = PACED_PER_SECOND[count]
    given = texts(count, int(PACED_SECONDS * rate))
    without, took = await _paced(bare, given, rate), await _paced(FIVE, given, rate)
    alone = await _turn_ms(count)
    added = {percent: _at(took, percent) - _at(without, percent) for percent in (50, 95, 99)}
    note = (
        f"p50 {added[50]:.2f}, p95 {added[95]:.2f}; without a pipeline p99 {_at(without, 99):.2f}; {count * rate:,} chunks a second"
    )
    return [Figure(f"load: {count:,} streams, p99 added to a chunk, ms", added[99], alone + EXTRA_MS, note)]


async def _turn_ms(count: int) -> float:
    """Milliseconds of one turn of the loop in which each stream has a chunk."""
    given = texts(count, 10)
    began = time.perf_counter()
    await _full(FIVE, given)
    return (time.perf_counter() - began) / 10 * 1000


def _at(sorted_values: list[float], percent: int) -> float:
    return sorted_values[min(len(sorted_values) - 1, len(sorted_values) * percent // 100)]


# ------------------------------------------------------------------ memory


def _memory(count: int) -> list[Figure]:
    measured: dict[tuple[bool, str], float] = {}
    for is_piped in (False, True):
        for kind in ("traced", "resident"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
                measured[is_piped, kind] = fresh.submit(_idle, count, kind, is_piped=is_piped).result()
    traced = measured[True, "traced"] - measured[False, "traced"]
    resident = measured[True, "resident"] - measured[False, "resident"]
    note = f"its source and its task {measured[False, 'traced']:.1f} more"
    return [
        Figure(f"load: {count:,} idle streams of five stages, KB each, by tracemalloc", traced, IDLE_KB, note),
        Figure(f"load: {count:,} idle streams of five stages, KB each, resident", resident, IDLE_KB),
    ]


def _idle(count: int, kind: str, *, is_piped: bool) -> float:
    """KB of a stream that has had some text, holds some of it, and waits for more."""
    return asyncio.run(_idling(count, FIVE if is_piped else bare, _resident if kind == "resident" else _traced))


async def _idling(count: int, wrap: Wrap, measure: Callable[[], float]) -> float:
    given = texts(count + 50, 10)
    tasks = [asyncio.create_task(drain(wrap(Suspending(chunks, stays=True)))) for chunks in given[count:]]
    await _settled()  # what is made once, for all streams
    if measure is _traced:
        tracemalloc.start()
    gc.collect()
    before = measure()
    tasks += [asyncio.create_task(drain(wrap(Suspending(chunks, stays=True)))) for chunks in given[:count]]
    await _settled()
    gc.collect()
    grown = measure() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return grown / count


async def _settled() -> None:
    for _ in range(15):
        await asyncio.sleep(0)


def _traced() -> float:
    return tracemalloc.get_traced_memory()[0] / 1024


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024
