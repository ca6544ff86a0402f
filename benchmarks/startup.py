"""What importing the library costs beyond its dependencies."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.figures import Figure

_TIMED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


async def figures() -> list[Figure]:
    """`import streamfilter` against `import pydantic, regex`, in fresh interpreters, in turn."""
    more: list[float] = []
    for _ in range(9):
        ours, theirs = (_milliseconds(what) for what in ("streamfilter", "pydantic, regex"))
        more.append(ours - theirs)
    return [Figure("import streamfilter, more than import pydantic, regex, in ms", statistics.median(more), 100)]


def _milliseconds(what: str) -> float:
    run = subprocess.run([sys.executable, "-c", _TIMED.format(what)], capture_output=True, text=True, check=True)
    return float(run.stdout) * 1000
