"""What importing the library costs beyond its dependencies."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.figures import Figure

_USED = "streamfilter as sf; sf.Redact, sf.Stream"
"""Names are imported when they are first used: with these come the kernel and the matching, as for any pipeline."""

_TIMED = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"


async def figures() -> list[Figure]:
    """`import streamfilter`, with what a pipeline needs of it, against `import pydantic, regex`: CPU time, the least of each.

    In fresh interpreters, in turn.
    """
    taken = [(_milliseconds(_USED), _milliseconds("pydantic, regex")) for _ in range(9)]
    ours, theirs = map(min, zip(*taken, strict=True))
    return [Figure("import streamfilter, more than import pydantic, regex, in ms of CPU", ours - theirs, 100)]


def _milliseconds(what: str) -> float:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # what is installed is compiled
    run = subprocess.run([sys.executable, "-c", _TIMED.format(what)], capture_output=True, text=True, check=True, env=env)
    return float(run.stdout) * 1000
