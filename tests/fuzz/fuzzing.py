"""What the fuzz targets share: how bytes become a case, how texts are cut, and how atheris is started.

A target is a function of bytes that raises if a fact does not hold. The text of a case stands in front, and what is decided about
it (cuts, options) is read from the end, so that a seed is a plain document, and a case is one also without atheris: tests run them.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
S = TypeVar("S", str, bytes)

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDING = ROOT / "streamfilter" / "cli" / "recordings" / "redaction.sse"
SUITE = ROOT.parent / "shared" / "jsontestsuite"
SEED_BYTES = 1500
"""Of a recording, how much is a seed: a mutation in a longer one is tried less often."""


class Draw:
    """Decisions, read from the end of some bytes; where those are used up, the first choice each time.

    Example:
        >>> draw = Draw(b"text" + bytes([1, 7]))
        >>> draw.number(4), draw.of("abc"), draw.text()
        (3, 'b', 'text')
    """

    def __init__(self, case: bytes) -> None:
        self._left = case

    def number(self, below: int) -> int:
        """A number from 0 on."""
        if not self._left:
            return 0
        last = self._left[-1]
        self._left = self._left[:-1]
        return last % below

    def of(self, choices: Sequence[T]) -> T:
        """One of several."""
        return choices[self.number(len(choices))]

    def bytes(self) -> bytes:
        """All that is left."""
        left, self._left = self._left, b""
        return left

    def text(self) -> str:
        """The same as text."""
        return self.bytes().decode(errors="replace")

    def places(self) -> list[int]:
        """For cuts: shares of the length, in 256ths."""
        return [self.number(256) for _ in range(self.number(6))]


def ways(whole: S, places: Iterable[int]) -> list[list[S]]:
    """A text or bytes at once, one by one, and cut at some places.

    Example:
        >>> ways("abcd", [128])
        [['abcd'], ['a', 'b', 'c', 'd'], ['ab', 'cd']]
    """
    size: int = len(whole)
    cuts = sorted({0, size, *(place * size // 256 for place in places)})
    return [[whole], [whole[at : at + 1] for at in range(size)], [whole[a:b] for a, b in itertools.pairwise(cuts)]]


def instrumented(name: str, package: str = "streamfilter") -> contextlib.AbstractContextManager[Any]:
    """What is imported of a package inside is watched for coverage, if the target of this name is the program that runs."""
    if name != "__main__":
        return contextlib.nullcontext()
    watching: contextlib.AbstractContextManager[Any] = atheris().instrument_imports(include=[package])
    return watching


def atheris() -> Any:
    """The fuzzer, which need not be there."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        sys.exit('fuzzing needs atheris: pip install "streamfilter[fuzz]" (CPython 3.11 to 3.13)')


def run(check: Callable[[bytes], None], seeds: Iterable[bytes]) -> None:
    """Fuzz a target, from some seeds on, with the options of libFuzzer; a directory among them keeps what was found."""
    fuzzer = atheris()
    with tempfile.TemporaryDirectory() as beside:
        for number, seed in enumerate(seeds):
            (Path(beside) / f"seed{number}").write_bytes(seed)
        fuzzer.Setup([*sys.argv, beside], check)
        fuzzer.Fuzz()
