"""The measured parts of docs/: tables between two marks of a page, and the plot. `python -m benchmarks --write` makes them anew."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.peers import Table
from benchmarks.promised import GROUPS, HEAD, promises, read, row

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMPARISON, FIGURES, PLOT = DOCS / "comparison.md", DOCS / "figures.md", DOCS / "pictures" / "comparison.svg"
LOADED = 1.0
"""Processes that want a core, per core, from which on what was measured is marked as measured under load."""


def circumstances(began: float) -> str:
    """On what the figures were measured, and whether the machine had other work; to be asked at the end."""
    load = max(began, os.getloadavg()[0]) / (os.cpu_count() or 1)
    busy = (
        f" **The machine had other work meanwhile** ({load:.1f} processes per core): ratios hold, times are high."
        if load > LOADED
        else ""
    )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Measured {datetime.now(UTC):%Y-%m-%d} with {python}, {os.cpu_count()} cores.{busy}"


def load() -> float:
    """Processes that wanted a core, of late."""
    return os.getloadavg()[0]


def between(page: Path, name: str, text: str) -> None:
    """Put a text between a page's marks `<!-- name -->` and `<!-- /name -->`."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, mark, rest = page.read_text().partition(opening)
    if not mark or closing not in rest:
        raise ValueError(f"{page.name} has no marks {opening.strip()} and {closing}")
    page.write_text(f"{before}{opening}{text}\n{closing}{rest.partition(closing)[2]}")


def write_comparison(table: Table, began: float) -> None:
    """One of the three tables, and the plot of what then stands in the page."""
    between(COMPARISON, table.name, f"{table}\n\n{circumstances(began)}")
    draw(COMPARISON.read_text(), PLOT)


def write_figures(name: str, figures: Sequence[Figure], why: str, began: float) -> None:
    """The figures of one part, or why there are none; the others stay what they are. The promises are read off the page."""
    parts = dict(re.findall(r"<!-- part (\w+) -->\n(.*?)\n<!-- /part -->", FIGURES.read_text(), re.DOTALL))
    table = "\n".join([HEAD, *map(row, figures)]) + f"\n\n{circumstances(began)}"
    parts[name] = f"### {name}\n\n{table if figures else f'Not measured: {why}.'}"
    text = "\n\n".join(f"<!-- part {part} -->\n{parts[part]}\n<!-- /part -->" for part in GROUPS if part in parts)
    between(FIGURES, "figures", text)
    between(FIGURES, "promises", promises([figure for line in text.splitlines() if (figure := read(line))]))


def draw(page: str, path: Path) -> None:
    """What is held against what it costs, of those who redact; what a chunk costs by the size of a document, of those who parse."""
    import_module("matplotlib").use("svg")
    plot: Any = import_module("matplotlib.pyplot")
    look = {"svg.fonttype": "none", "svg.hashsalt": "streamfilter", "font.size": 9, "font.family": "sans-serif"}
    with plot.rc_context(look):
        figure, (left, right) = plot.subplots(1, 2, figsize=(11, 6), layout="constrained")
        _points(left, _rows(page, "redaction"))
        _lines(right, _rows(page, "partial-json"))
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        plot.close(figure)
    path.write_text(re.sub(r"[ \t]+\n", "\n", path.read_text()))


def _rows(page: str, name: str) -> list[list[str]]:
    """The cells of a table in the page, of those that were measured."""
    lines = page.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line.startswith("| ")]
    return [row for row in cells[2:] if len(row) == len(cells[0]) and "not installed" not in row[1]]


def _points(axes: Any, rows: Sequence[Sequence[str]]) -> None:
    points = [(name, exact, held, cost) for name, exact, _, held, _, cost, _ in rows if cost != "–" and held[:1].isdigit()]
    for number, (_, exact, held, cost) in enumerate(points, 1):
        is_exact = set(exact.split(" / ")) == {"yes"}
        look = {"color": "#1b6e3c", "marker": "o"} if is_exact else {"color": "#b3402a", "marker": "X"}
        place = (max(float(held.partition(" ")[0]), 0.5), float(cost))
        axes.scatter(*place, s=42, zorder=3, **look)
        axes.annotate(str(number), place, textcoords="offset points", xytext=(6, 4), color=look["color"])
    axes.set(xscale="log", yscale="log", ylabel="µs of CPU per chunk of 4 characters")
    names = "\n".join(f"{number}  {name}" for number, (name, *_) in enumerate(points, 1))
    axes.set_xlabel(f"characters held on clean text, mean\n\n{names}", fontsize=8, multialignment="left")
    axes.set_title("Redaction: round is exact at every cut, a cross is not", fontsize=9)
    axes.grid(alpha=0.25)


def _lines(axes: Any, rows: Sequence[Sequence[str]]) -> None:
    lines = [(name, [float(cost) for cost in costs if cost != "–"]) for name, _, _, _, _, *costs in rows]
    below = math.inf
    for name, micros in sorted(lines, key=lambda line: -line[1][-1]):
        places = [10**size for size in range(len(micros))]
        look = {"linewidth": 2.2, "color": "#1b6e3c"} if name.startswith("streamfilter") else {"linewidth": 1}
        axes.plot(places, micros, marker="o", markersize=3, **look)
        below = min(micros[-1], below / 1.25)  # no name covers another
        axes.annotate(name, (places[-1], below), textcoords="offset points", xytext=(6, -3), fontsize=7)
    axes.set(xscale="log", yscale="log", xlim=(0.8, 5000), xlabel="size of the document, KB")
    axes.set_title("Partial JSON: µs of CPU per chunk, with a value after each", fontsize=9)
    axes.grid(alpha=0.25)
