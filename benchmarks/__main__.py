"""Print every figure, its bound, and whether it is met. Exit code 1 if one is not."""

from __future__ import annotations

import asyncio
import sys

from benchmarks import kernel, matching, moderation, observing, peers, providers, scale, stages, startup, structured, timed, web
from benchmarks.figures import Figure

GROUPS = {
    "kernel": kernel,
    "matching": matching,
    "moderation": moderation,
    "observing": observing,
    "providers": providers,
    "scale": scale,
    "stages": stages,
    "startup": startup,
    "json": structured,
    "timed": timed,
    "web": web,
}


async def main(names: list[str]) -> int:
    """Run the named groups, or all but the peers: those have a table of their own, and are none of this project's dependencies."""
    unknown = [name for name in names if name not in {*GROUPS, "peers"}]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(GROUPS)} and peers", file=sys.stderr)
        return 2
    if "peers" in names:
        print(await peers.table(), flush=True)
        names = [name for name in names if name != "peers"]
        if not names:
            return 0
    missed = 0
    print("| figure | value | bound | |\n|---|---|---|---|")
    for name in names or GROUPS:
        for figure in await GROUPS[name].figures():
            missed += not figure.met
            print(_row(figure), flush=True)
    return 1 if missed else 0


def _row(figure: Figure) -> str:
    bound = "–" if figure.bound is None else f"{figure.bound:g}"
    verdict = "" if figure.bound is None else "met" if figure.met else "**missed**"
    note = f" ({figure.note})" if figure.note else ""
    return f"| {figure.name}{note} | {figure.value:.4g} | {bound} | {verdict} |"


sys.exit(asyncio.run(main(sys.argv[1:])))
