"""What moderation costs and holds: `Moderate` with a check that answers at once, beside the ways to do it by hand and by a peer.

The peer is NVIDIA NeMo Guardrails' output buffer. It does not have to be installed; `pip install --no-deps nemoguardrails` gets it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import math
import random
import re
import statistics
import sys
import tracemalloc
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType
from typing import Any, TypeAlias
from unittest.mock import patch

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio
from benchmarks.kernel import drain
from benchmarks.peers.measure import Held, chunked
from benchmarks.peers.texts import clean, prose
from streamfilter.testing.clock import run_virtually

CHUNKS = 30_000
SHORT, LONG = 10_000, 200_000
MEGABYTE = 1_000_000
NEMO_CHUNKS, NEMO_CONTEXT = 200, 50
"""NeMo's own settings (`chunk_size`, `context_size`): each window but the first has 150 new chunks, and the 50 before these."""
CHUNK_SECONDS = 0.02
"""Between two chunks, where it is counted what is held between them: a model that gives 50 tokens a second."""

Source: TypeAlias = AsyncIterable[str]
Way: TypeAlias = Callable[[Source], AsyncIterator[str]]
"""From a source to what may be read of it."""


async def allowed(_: object) -> bool:
    """A check that answers at once."""
    return True


async def allowed_later(_: object) -> bool:
    """A check that lets others run once."""
    await asyncio.sleep(0)
    return True


def allowed_plainly(_: object) -> bool:
    """A check for plain code."""
    return True


# ------------------------------------------------------------------ the other ways

_SENTENCE_END = re.compile(r"[.!?]\s")


async def by_hand(source: Source) -> AsyncIterator[str]:
    """What one would write: hold until a sentence seems to end, ask, go on. "e.g. this" ends one, and nothing ends a long one."""
    held = ""
    async for chunk in source:
        held += chunk
        while found := _SENTENCE_END.search(held):
            sentence, held = held[: found.end()], held[found.end() :]
            if not await allowed(sentence):
                return
            yield sentence
    if held and await allowed(held):
        yield held


def by_hand_plainly(source: Iterable[str]) -> Iterator[str]:
    """The same in plain code."""
    held = ""
    for chunk in source:
        held += chunk
        while found := _SENTENCE_END.search(held):
            sentence, held = held[: found.end()], held[found.end() :]
            if not allowed_plainly(sentence):
                return
            yield sentence
    if held and allowed_plainly(held):
        yield held


class _Nemo:
    """NeMo's `RollingBuffer`, unchanged, and around it the loop of `LLMRails._run_output_rails_in_streaming` that waits for rails.

    That is what remains of the loop with `stream_first=False` and one rail, without the dispatcher that looks the rail up, which
    would cost more. The class is loaded from its file: the package's `__init__` imports a server and its models' libraries, and
    the one module that the file imports, the configuration, is only asked for a name in annotations.
    """

    def __init__(self) -> None:
        installed = distribution("nemoguardrails")
        spec = importlib.util.spec_from_file_location("buffer", str(installed.locate_file("nemoguardrails/rails/llm/buffer.py")))
        assert spec and spec.loader
        module: Any = importlib.util.module_from_spec(spec)
        config: Any = ModuleType("config")
        config.OutputRailsStreamingConfig = object
        with patch.dict(sys.modules, {"nemoguardrails.rails.llm.config": config}):
            spec.loader.exec_module(module)
        self._buffer: Any = module.RollingBuffer(buffer_context_size=NEMO_CONTEXT, buffer_chunk_size=NEMO_CHUNKS)
        self.version = installed.version

    async def __call__(self, source: Source) -> AsyncIterator[str]:
        async for batch in self._buffer(source):
            if not await allowed(self._buffer.format_chunks(batch.processing_context)):
                return
            for chunk in batch.user_output_chunks:
                yield chunk


def _nemo() -> _Nemo | None:
    try:
        return _Nemo()
    except PackageNotFoundError:
        return None


# ------------------------------------------------------------------ the figures


async def figures() -> list[Figure]:
    """The cost of a chunk, what is held, and whether both stay flat."""
    nemo = _nemo()
    return [*await _costs(nemo), *await _holding(nemo), *await _growth()]


def _without_queries(text: str) -> str:
    """A text whose sentences are the same for all: by UAX #29 one ends at the question mark in `a?b=c`."""
    return text.replace("?b=c", "")


def _text(chunks: int) -> list[str]:
    """Prose in so many chunks. It is made page by page, because `prose` counts what it has so far at each sentence."""
    rng = random.Random(12)
    pages = (prose(4000, rng) for _ in range(chunks // 900))
    made = chunked(_without_queries("".join(pages)))[:chunks]
    assert len(made) == chunks
    return made


async def _costs(nemo: _Nemo | None) -> list[Figure]:
    """Each way over the same text, in chunks of four characters."""
    chunks = _text(CHUNKS)
    sentences = sf.Moderate(allowed, window=sf.by_sentence())
    ways: dict[str, Way] = {
        "hand": by_hand,
        "sentences": sentences,
        # As many checks as NeMo asks for, and each sees as much.
        "blocks": sf.Moderate(allowed, window=sf.by_chars(4 * (NEMO_CHUNKS - NEMO_CONTEXT)), lookback_chars=4 * NEMO_CONTEXT),
        "small": sf.Moderate(allowed, window=sf.by_chars(40)),
        "large": sf.Moderate(allowed, window=sf.by_chars(4000)),
        "later": sf.Moderate(allowed_later, window=sf.by_sentence()),
        "overlapping": sf.Moderate(allowed_later, window=sf.by_sentence(), concurrency=3),
    }
    if nemo is not None:
        ways["nemo"] = nemo

    plain = sf.Moderate(allowed_plainly, window=sf.by_sentence())
    runs: dict[str, Callable[[], Awaitable[object]]] = {
        "bare": lambda: drain(TextSource(chunks)),
        **{name: _running(way, chunks) for name, way in ways.items()},
        "plain": lambda: _drain_plainly(plain.iter(chunks)),
        "plain hand": lambda: _drain_plainly(by_hand_plainly(chunks)),
    }
    with_report = sentences(TextSource(chunks))
    await drain(with_report)
    checks = with_report.report.checks

    async def asking() -> None:
        await drain(TextSource(chunks))
        for _ in range(checks):
            await allowed(chunks)

    taken = await compare({**runs, "asking": asking})
    note = {name: f"{min(times) / CHUNKS * 1e6:.3g} µs a chunk" for name, times in taken.items()}
    note["sentences"] += f", {checks:,} checks in {CHUNKS:,} chunks"

    def over(name: str, other: str, said: str, bound: float | None = None) -> Figure:
        return Figure(said, ratio(taken[name], taken[other]), bound, note[name])

    def over_nemo(name: str, said: str) -> Figure:
        said = f"{said} / NeMo Guardrails' buffer"
        if nemo is None:
            return Figure(said, math.nan, None, "nemoguardrails is not installed")
        return Figure(said, ratio(taken[name], taken["nemo"]), None, f"{nemo.version}: {note['nemo']}; here {note[name]}")

    more = CHUNKS * 4 / 40 - CHUNKS * 4 / 4000
    each = [(small - large) / more * 1e6 for small, large in zip(taken["small"], taken["large"], strict=True)]
    return [
        Figure("µs per chunk of a bare async for", min(taken["bare"]) / CHUNKS * 1e6),
        over("sentences", "bare", "sentences, async check / bare async for", 45),
        over("sentences", "asking", "sentences, async check / (bare async for + the checks)"),
        over("sentences", "hand", "sentences, async check / a loop by hand"),
        over_nemo("sentences", "sentences, async check"),
        over_nemo("blocks", "blocks like NeMo's, async check"),
        over("blocks", "bare", "blocks like NeMo's, async check / bare async for", 20),
        Figure("µs for each check (windows of 40 characters against 4,000)", statistics.median(each)),
        over("plain", "bare", "sentences, plain check, iter / bare async for", 28),
        over("plain", "plain hand", "sentences, plain check, iter / a plain loop by hand"),
        over("overlapping", "bare", "sentences, three checks at a time that yield once / bare async for", 50),
        over("overlapping", "later", "the same / one at a time"),
    ]


def _running(way: Way, chunks: Sequence[str]) -> Callable[[], Awaitable[object]]:
    return lambda: drain(way(TextSource(chunks)))


async def _drain_plainly(source: Iterable[str]) -> None:
    for _ in source:
        pass


# ------------------------------------------------------------------ what is held


class _Timed:
    """A source with time between its chunks, which notes how much has come out before each."""

    def __init__(self, chunks: Sequence[str]) -> None:
        self._chunks = chunks
        self.output = ""
        self.released: list[int] = []

    async def __aiter__(self) -> AsyncIterator[str]:
        for chunk in self._chunks:
            await asyncio.sleep(CHUNK_SECONDS)
            self.released.append(len(self.output))
            yield chunk


async def _holding(nemo: _Nemo | None) -> list[Figure]:
    """How long the first text waits and how much is held, in virtual time, so that an answer comes before the next chunk does."""
    chunks = chunked(_without_queries(clean()))
    ways: dict[str, Way | None] = {
        "sentences": sf.Moderate(allowed, window=sf.by_sentence()),
        "a loop by hand": by_hand,
        "NeMo Guardrails' buffer": nemo,
    }
    made = {
        name: None if way is None else await asyncio.to_thread(run_virtually, _held(way, chunks), debug=False)
        for name, way in ways.items()
    }
    first = [
        Figure(f"chunks to the first release, {name}", math.nan if held is None else held.first, None, _missing(held))
        for name, held in made.items()
    ]
    chars = [
        Figure(
            f"characters held, mean, {name}",
            math.nan if held is None else statistics.mean(held.chars),
            None,
            _missing(held) or f"mean / p95 / max {held}",
        )
        for name, held in made.items()
    ]
    return [*first, *chars]


def _missing(held: Held | None) -> str:
    return "" if held else "nemoguardrails is not installed"


async def _held(way: Way, chunks: Sequence[str]) -> Held:
    source = _Timed(chunks)
    async for piece in way(source):
        source.output += piece
    assert source.output == "".join(chunks)
    arrived = itertools.accumulate(map(len, chunks))
    released = source.released[1:]  # after each chunk but the last, as in the table of peers
    chars = [came - went for came, went in zip(arrived, released, strict=False)]
    return Held(chars, next(count for count, went in enumerate(released, 1) if went))


# ------------------------------------------------------------------ growth


async def _growth() -> list[Figure]:
    """Long streams against short ones, one chunk against many, and prose against what never ends a sentence."""
    stage = sf.Moderate(allowed, window=sf.by_sentence())
    long = _text(LONG)
    single = ["".join(_text(MEGABYTE // 4))]
    endless = chunked(re.sub(r"[^a-z]+", " ", "".join(long[:SHORT]).lower()))
    texts = {"short": long[:SHORT], "long": long, "single": single, "endless": endless}
    taken = await compare({name: _running(stage, chunks) for name, chunks in texts.items()}, 5)
    chars = {name: sum(map(len, chunks)) for name, chunks in texts.items()}

    def over(name: str, other: str, said: str, bound: float | None = None) -> Figure:
        """Of the costs of a character."""
        note = f"{min(taken[name]) / chars[name] * 1e6:.2g} µs a character, {min(taken[other]) / chars[other] * 1e6:.2g}"
        return Figure(said, ratio(taken[name], taken[other]) * chars[other] / chars[name], bound, note)

    low, high = await _memory(stage, texts["short"]), await _memory(stage, long)
    return [
        over("long", "short", f"cost per chunk, {LONG:,} chunks / {SHORT:,} chunks", 1.2),
        over("single", "long", "cost per character, 1 MB in a single chunk / in chunks of 4", 1),
        over("endless", "short", "cost per character, no sentence ever ends / prose"),
        Figure(f"memory of {LONG:,} chunks, more than of {SHORT:,}, KB", high - low, 64, f"{high:.3g} KB"),
    ]


async def _memory(stage: sf.Moderate, chunks: Sequence[str]) -> float:
    """The most that a stream takes beyond its source, in KB."""
    await drain(stage(TextSource(chunks[:100])))
    tracemalloc.start()
    await drain(stage(TextSource(chunks)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1024
