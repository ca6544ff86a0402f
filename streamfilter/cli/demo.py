"""The demonstration: a recorded chat completion, redacted before one's eyes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable
from importlib.resources import files

from rich.console import Console
from rich.table import Table

import streamfilter as sf
from streamfilter.cli.replay import Replay
from streamfilter.detectors import API_KEY, CREDIT_CARD, EMAIL, PHONE
from streamfilter.plain import PlainSource

PIPELINE = sf.Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY) | sf.StopAt("\nUser:")
DECLARATION = 'Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY) | StopAt("\\nUser:")'
RECORDING = "redaction.sse"

ROUNDS = 20
"""How often the whole recording is filtered to measure the cost per chunk."""


def recording() -> list[str]:
    """The text of the recorded response body, chunk by chunk."""
    body = files("streamfilter.cli").joinpath("recordings", RECORDING).read_bytes()
    with sf.text_of([body]) as texts:
        return list(texts)


def show(*, fast: bool, console: Console | None = None) -> None:
    """Replay the recording, then sum up.

    Args:
        fast: without waiting between chunks.
        console: where; a terminal shows it live, anything else gets plain lines.
    """
    console = console or Console()
    texts = recording()
    replay = Replay(PIPELINE, texts, fast=fast)
    console.print(f"pipeline: {DECLARATION}\n", markup=False, highlight=False)
    replay.show(console)
    console.print(_summary(replay, texts))


def _summary(replay: Replay, texts: list[str]) -> Table:
    table = Table(title="what happened", show_header=False, title_justify="left")
    for rule, count in replay.stream.report.counts.items():
        table.add_row(f"matches of {rule}", str(count))
    table.add_row("chunks", str(replay.chunks))
    table.add_row("chunks until the first release", str(replay.first_release))
    table.add_row("most characters held", str(replay.most_held))
    filtered, bare = _costs(texts)
    table.add_row("cost per chunk", f"{filtered:.1f} µs, {filtered / bare:.0f} times a bare `async for`")
    return table


def _costs(texts: list[str]) -> tuple[float, float]:
    """CPU time per chunk in microseconds: through the pipeline, and in a bare loop over the same chunks."""

    async def timed(source: AsyncIterable[str]) -> float:
        start = time.process_time()
        async for _ in source:
            pass
        return (time.process_time() - start) / len(texts) * 1e6

    async def measured() -> tuple[float, float]:
        filtered = [await timed(PIPELINE(PlainSource(texts))) for _ in range(ROUNDS)]
        bare = [await timed(PlainSource(texts)) for _ in range(ROUNDS)]
        return min(filtered), min(bare)

    return asyncio.run(measured())
