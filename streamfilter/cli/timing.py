"""The command `bench`: what a pipeline costs on an input, against no pipeline at all."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import streamfilter as sf
from streamfilter.cli.choosing import Command, with_pipeline
from streamfilter.observe.recordings import over_text, pieces_of


@click.command(cls=Command)
@with_pipeline
@click.option("--chunk", type=click.IntRange(1), metavar="CHARS", help="Cut the text anew, to chunks of so many characters.")
@click.option(
    "--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Runs; the fastest counts, the median is told."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.argument("recording", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def bench(stage: sf.Stage[Any, Any], chunk: int | None, rounds: int, as_json: bool, recording: Path) -> None:
    """Measure what a pipeline costs on RECORDING: a provider's response as it came, or a text.

    Each stage is also run alone, on the whole input, so that one sees which of them costs; together they cost less than the sum.
    """
    pieces = pieces_of(recording)
    if chunk is not None:
        text = "".join(pieces)
        pieces = [text[at : at + chunk] for at in range(0, len(text), chunk)]
    if not pieces:
        raise click.UsageError(f"{recording} has no text")
    stage = over_text(stage)
    if stage.reads == "chunks":
        raise click.UsageError("bench is for pipelines over text: this one reads a provider's chunks otherwise than by a wrap")
    stages = {"no stage": sf.Pipeline(), "pipeline": stage}
    parts = stage.stages
    if len(parts) > 1:
        stages |= {f"{at}. {type(part).__name__}": part for at, part in enumerate(parts, 1)}
    taken: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, each in stages.items():  # by turns, so that all see the same machine
            taken[name].append(_seconds(each, pieces))
    rows = [_row(name, times, pieces) for name, times in taken.items()]
    if as_json:
        click.echo(json.dumps({"chunks": len(pieces), "chars": sum(map(len, pieces)), "rounds": rounds, "runs": rows}))
        return
    table = Table("", "µs a chunk", "median", "chunks a second", "characters a second")
    for row in rows:
        micros, median = row["micros_a_chunk"], row["median_micros_a_chunk"]
        table.add_row(
            row["name"], f"{micros:.2f}", f"{median:.2f}", f"{row['chunks_a_second']:,.0f}", f"{row['chars_a_second']:,.0f}"
        )
    console = Console()
    console.print(f"{len(pieces):,} chunks, {sum(map(len, pieces)):,} characters; the fastest of {rounds} runs")
    console.print(table)


def _seconds(stage: sf.Stage[Any, Any], pieces: Sequence[str]) -> float:
    """How long it takes in an event loop, as applications have it. What it raises is the pipeline's way to end."""

    async def given() -> AsyncIterator[str]:
        for piece in pieces:
            yield piece

    async def once() -> float:
        start = time.perf_counter()
        try:
            async with stage(given(), context=sf.Context.with_vault(None)) as stream:
                async for _ in stream:
                    pass
        except sf.StreamFilterError:
            pass
        return time.perf_counter() - start

    return asyncio.run(once())


def _row(name: str, times: Sequence[float], pieces: Sequence[str]) -> dict[str, Any]:
    best = min(times)
    return {
        "name": name,
        "micros_a_chunk": best / len(pieces) * 1e6,
        "median_micros_a_chunk": statistics.median(times) / len(pieces) * 1e6,
        "chunks_a_second": len(pieces) / best,
        "chars_a_second": sum(map(len, pieces)) / best,
    }
