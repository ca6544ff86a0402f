"""What this library promises in figures, each with the figures that show whether it holds: one table from all benchmarks."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module

from benchmarks.figures import Figure, quicken

GROUPS = {
    "startup": "startup",
    "kernel": "kernel",
    "matching": "matching",
    "scale": "scale",
    "moderation": "moderation",
    "json": "structured",
    "stages": "stages",
    "timed": "timed",
    "providers": "providers",
    "observing": "observing",
    "web": "web",
    "gateway": "gateway",
    "load": "load",
    "fairness": "fairness",
}
"""What can be asked for, and the module that measures it: each has `figures()`."""


@dataclass(frozen=True)
class Promise:
    """A sentence, and the figures that it is about.

    Args:
        says: what is promised.
        pattern: what is found in the names of its figures.
        least: how many there are at least: a promise of which a part is not measured is not kept.
    """

    says: str
    pattern: str
    least: int = 1


PROMISES: Mapping[str, Sequence[Promise]] = {
    "Importing": (Promise("`import streamfilter`: at most 100 ms more than `import pydantic, regex`", r"^import streamfilter"),),
    "Kernel": (
        Promise("a lifted stage that does nothing: at most 7 bare `async for` steps", r"^a lifted stage that does nothing"),
        Promise("each further one: at most 5 more", r"^the second such|^each further one", 2),
        Promise("cost per chunk flat in the length of the stream", r"^cost per chunk, 200,000 chunks / 10,000 chunks"),
        Promise("memory flat too", r"^memory of a stream of 200,000"),
    ),
    "Matching": (
        Promise("wrong outputs on 10,000 random cases: none", r"^wrong outputs"),
        Promise("unsafe releases: none", r"^unsafe releases"),
        Promise("held characters over the least possible: at most 1.05", r"^held characters / least possible", 2),
        Promise("four PII rules: at most 5 times a bare `async for` and one `regex.sub`", r"^four PII rules / "),
        Promise("100 secret-scanner rules: at most 1.5 times the four", r"^100 secret-scanner rules / "),
        Promise("10,000 terms: at most 1.5 times the four", r"^10,000 terms / four"),
        Promise("compiled within a second", r": seconds to compile"),
        Promise("the first 100,000 characters cold: at most 4 times warm", r"first 100,000 characters / warm"),
        Promise("no chunk above 20 ms on the traps, 1,000 characters held", r"^trap, "),
    ),
    "Moderation": (
        Promise("overhead per chunk of a check that answers at once, and beside others", r"^sentences, .* check", 2),
        Promise("chunks to the first release, beside a loop by hand and NeMo's buffer", r"^chunks to the first release", 3),
    ),
    "JSON": (
        Promise("live: at most half of jiter that parses again, at 1 KB", r"^1 KB, live / jiter"),
        Promise("live: at most a hundredth of it, at 100 KB", r"^100 KB, live / jiter"),
        Promise("independent snapshots: at most twice live", r"^100 KB, snapshots / live"),
        Promise("growth exponent from 10 KB to 1 MB: at most 1.10, four kinds of documents", r"^growth from 10 KB", 4),
        Promise("typed partials of 100 items: at most 150 times one `validate_json`", r"^typed partials of 100 items"),
        Promise("and linear", r"^typed partials, cost per chunk"),
        Promise("a document in one chunk: at most 3 times `json.loads`", r"in one chunk / json.loads"),
        Promise("memory beyond the value constant", r"^memory of items of 750 KB"),
    ),
    "Text stages": (
        Promise("each text stage: at most 5 times a lifted stage that does nothing", r" / a lifted stage that does nothing$", 30),
        Promise("and linear", r", cost of 400 KB / 20 times that of 20 KB", 30),
        Promise("five stages in a row: at most 100 bare `async for` steps", r"^Extract \| Redact"),
    ),
    "Timed stages": (Promise("`Pace` and `Coalesce` add no task per item", r"tasks made for 1,000 chunks"),),
    "Providers": (
        Promise(
            "`wrap` of an OpenAI stream, empty: at most 3 times the bare loop beyond parsing", r"^wrap of an empty pipeline", 2
        ),
        Promise("decoding event streams: at least as fast as httpx-sse", r"^decoding event streams"),
        Promise("memory flat over 100 MB", r": memory of a stream of 100 MB"),
    ),
    "Seeing": (Promise("nobody looking: less than 10 % of a bare stage", r"^nobody looking"),),
    "Web": (
        Promise("gateway, four PII rules: at most twice the CPU per chunk of a plain proxy", r"(?i)gateway.* / "),
        Promise("200 streams at once through one gateway, none failed", r"(?i)gateway.*(failed|200 )"),
        Promise("first byte delayed by at most what the pipeline holds", r"^first byte through the gateway"),
        Promise("memory flat", r"^memory at the peak of a (response|stream)"),
    ),
    "Load": (
        Promise(
            "1,000 and 5,000 streams: 100,000 chunks a second where a bare step costs 0.1 µs", r"a chunk / a bare async for step", 2
        ),
        Promise("at most 20 KB per idle stream", r"idle streams of five stages, KB each", 2),
        Promise("p99 of the added delay: at most a turn of the loop and 5 ms", r"p99 added to a chunk", 2),
        Promise("a chunk of 10 MB, or a slow pattern: nobody else waits for more than 50 ms of work", r"^fairness: ", 5),
    ),
}
"""What was promised when each part was planned. Figures with bounds of their own, which nobody had asked for, come below."""


def gathered(name: str, rounds: int = 1, *, quick: bool = False) -> tuple[list[Figure], str]:
    """The figures of one part, the least of so many rounds; or none, and why it could not be measured.

    It has a process to itself: what other parts have left would be gone through by the garbage collector at its cost.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_measured, name, rounds, quick=quick).result()


def _measured(name: str, rounds: int, *, quick: bool) -> tuple[list[Figure], str]:
    if quick:
        quicken(1)
    try:
        measure = import_module(f"benchmarks.{GROUPS[name]}").figures
        taken = [asyncio.run(measure()) for _ in range(rounds)]
    except ImportError as error:
        return [], f"needs {error.name}"
    return [min(same, key=_value) for same in zip(*taken, strict=True)], ""


def _value(figure: Figure) -> float:
    return math.inf if math.isnan(figure.value) else figure.value


def kept(promise: Promise, figures: Sequence[Figure]) -> tuple[str, str]:
    """The figure that comes nearest to its bound or furthest beyond it, and the verdict over all of a promise."""
    found = [figure for figure in figures if re.search(promise.pattern, figure.name)]
    if not found:
        return "–", "not measured"
    bounded = [figure for figure in found if figure.bound is not None]
    worst = max(bounded or found, key=_closeness)
    shown = f"{worst.value:.3g}" if worst.bound is None else f"{worst.value:.3g} of {worst.bound:.3g}"
    missed = [figure for figure in bounded if not figure.met]
    if missed:
        return shown, f"**missed** by {len(missed)} of {len(bounded)}"
    if len(found) < promise.least:
        return shown, f"{len(found)} of {promise.least} measured"
    return shown, "met" if bounded else "shown"


def _closeness(figure: Figure) -> float:
    if figure.bound is None or math.isnan(figure.value):
        return -1.0
    return figure.value / figure.bound if figure.bound else math.inf * (figure.value > 0) if figure.value else 0.0


def promises(figures: Sequence[Figure]) -> str:
    """A row for each promise."""
    rows = ["| part | promised | nearest to its bound | |", "|---|---|---|---|"]
    for part, promised in PROMISES.items():
        rows += [f"| {part} | {promise.says} | {' | '.join(kept(promise, figures))} |" for promise in promised]
    return "\n".join(rows)


HEAD = "| figure | value | bound | | behind it |\n|---|---|---|---|---|"


def row(figure: Figure) -> str:
    """A row of the table of all figures."""
    bound = "–" if figure.bound is None else f"{figure.bound:.4g}"
    verdict = "" if figure.bound is None else "met" if figure.met else "**missed**"
    cells = (figure.name.replace("|", "\\|"), f"{figure.value:.4g}", bound, verdict, figure.note)
    return f"| {' | '.join(cells)} |"


def read(row: str) -> Figure | None:
    """The figure of a row, as exactly as it stands there; None for another line."""
    cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)]
    try:
        _, name, value, bound, _, note, _ = cells
        return Figure(name, float(value), None if bound == "–" else float(bound), note)
    except ValueError:
        return None
