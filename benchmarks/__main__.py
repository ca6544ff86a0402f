"""`python -m benchmarks`: every figure, its bound, whether it is met; and this library beside what one would use instead.

python -m benchmarks                     all of the following; exit code 1 if a figure misses its bound
python -m benchmarks promised            every figure, and what was promised and whether it holds
python -m benchmarks kernel matching     the figures of some parts
python -m benchmarks peers               redaction, blocking and partial JSON beside others, as far as they are installed
--quick       one round of each comparison: a first look
--rounds N    each part N times, the least of each figure
--write       put what was measured into docs/ too
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable

from benchmarks import figures, pages, peers, promised


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    known = [*promised.GROUPS, "promised", *peers.TABLES, "peers"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="one round of each comparison")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="each module N times, the least of each figure")
    parser.add_argument("--write", action="store_true", help="put what was measured into docs/ too")
    given = parser.parse_args()
    if unknown := set(given.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    if given.write and given.quick:
        parser.error("--quick is a first look: what is written has all its rounds")
    return given


async def main(given: argparse.Namespace) -> int:
    """Measure what was asked for; the peers last, because some of them are large."""
    if given.quick:
        figures.quicken(1)
    some = [name for name in given.names if name in promised.GROUPS]
    tables = [name for name in given.names if name in peers.TABLES]
    if "promised" in given.names or not given.names:
        some = list(promised.GROUPS)
    if "peers" in given.names or not given.names:
        tables = list(peers.TABLES)
    met = not some or _figures(some, given)
    for name in tables:
        began = pages.load()
        table = await peers.TABLES[name]()
        print(f"## {table.title}\n\n{table}\n", flush=True)
        if given.write:
            pages.write_comparison(table, began)
    return 0 if met else 1


def _figures(names: Iterable[str], given: argparse.Namespace) -> bool:
    """Print each part as it comes, and last the promises, if all parts were asked for."""
    found: list[figures.Figure] = []
    print(promised.HEAD, flush=True)
    for name in names:
        began = pages.load()
        some, why = promised.gathered(name, given.rounds, quick=given.quick)
        rows = map(promised.row, some) if some else [f"| {name}: not measured, {why} | | | | |"]
        print("\n".join(rows), flush=True)
        found += some
        if given.write:
            pages.write_figures(name, some, why, began)
    if set(names) == set(promised.GROUPS):
        print(f"\n{promised.promises(found)}\n", flush=True)
    return all(figure.met for figure in found)


sys.exit(asyncio.run(main(_arguments())))
