"""What a measurement gives, and how speeds are compared on a noisy machine: in turn, several times, by the medians of ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Args:
        name: what was measured.
        value: the figure.
        bound: what it may be at most; None for a figure that is only shown.
        note: the figures behind it.
    """

    name: str
    value: float
    bound: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether it keeps its bound."""
        return self.bound is None or self.value <= self.bound


class TextSource:
    """A class-based async source that never suspends: the least that an `async for` can cost."""

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items
        self._at = 0

    def __aiter__(self) -> TextSource:
        return self

    async def __anext__(self) -> str:
        at = self._at
        if at >= len(self._items):
            raise StopAsyncIteration
        self._at = at + 1
        return self._items[at]


async def seconds(run: Callable[[], Awaitable[object]]) -> float:
    """CPU time of one run, without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        await run()
        return time.process_time() - start
    finally:
        gc.enable()


_most: list[int] = []
"""How many rounds there are at most, where somebody is in a hurry."""


def quicken(rounds: int) -> None:
    """From now on every comparison takes so many rounds at most: a first look, not a figure to publish."""
    _most[:] = [rounds]


async def compare(runs: dict[str, Callable[[], Awaitable[object]]], rounds: int = 7) -> dict[str, list[float]]:
    """CPU times of several runs, taken in turn so that a drift of the machine's speed meets all of them alike."""
    rounds = min([rounds, *_most])
    for run in runs.values():
        await run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(await seconds(run))
    return taken


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios, round by round."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))
