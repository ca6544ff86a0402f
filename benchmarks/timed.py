"""What timed stages cost a chunk, against a machine that waits for nothing; and how many tasks and timers they make for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio
from benchmarks.kernel import drain

CHUNKS = 20_000
EVENT = sf.Raw(": alive", scope=None)


class _Waiting(sf.Machine):
    waits = True


@sf.stage
class Waiting(sf.Stage[Any, Any]):
    """Passes everything, and could wait: what the pump costs."""

    def machine(self, context: sf.Context | None = None) -> sf.Machine:
        return _Waiting()


AnyStage: TypeAlias = sf.Stage[Any, Any]

STAGES: dict[str, AnyStage] = {
    "Pace": sf.Pace(chars_per_second=1e9),
    "Coalesce": sf.Coalesce(3600, max_chars=40),
    "Timeout": sf.Timeout(first=60, between=60, total=3600),
    "KeepAlive": sf.KeepAlive(60, EVENT),
}


class _Ticking:
    """A clock that goes as fast as it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.call: tuple[float, Callable[[], object]] | None = None
        self.calls = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> _Ticking:
        self.call = (when, callback)
        self.calls += 1
        return self

    def cancel(self) -> None:
        self.call = None

    def advance(self, seconds: float) -> None:
        """Let time pass, and make the call that is due meanwhile."""
        until = self.now + seconds
        while self.call is not None and self.call[0] <= until:
            (self.now, callback), self.call = self.call, None
            callback()
        self.now = max(self.now, until)


def _fed(
    stage: sf.Stage[Any, Any], chunks: int, seconds: float, counts: list[int] | None = None
) -> Callable[[], Awaitable[object]]:
    """A stream without a driver: chunks come so many seconds after each other, and what is due is collected."""

    async def run() -> None:
        clock = _Ticking()
        machine = stage.machine(sf.Context(clock=clock))

        def collect() -> None:
            machine.collect()

        machine.attach(collect)
        for _ in range(chunks):
            machine.feed("word")
            clock.advance(seconds)
        machine.finish()
        machine.cancel()
        if counts is not None:
            counts.append(clock.calls)

    return run


async def _tasks(stage: AnyStage, chunks: Sequence[str]) -> int:
    """How many tasks a stream makes."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    made = 0

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **rest: Any) -> asyncio.Task[Any]:
        nonlocal made
        made += 1
        return asyncio.Task(coroutine, loop=loop, **rest)

    loop.set_task_factory(factory)
    try:
        await drain(stage(TextSource(chunks)))
    finally:
        loop.set_task_factory(before)
    return made


async def figures() -> list[Figure]:
    """Each stage in a stream, behind the pump; then `Pace` and `Coalesce` alone, with text that always waits."""
    texts = ["word"] * CHUNKS
    runs: dict[str, Callable[[], Awaitable[object]]] = {"nothing": lambda: drain(Waiting()(TextSource(texts)))}
    for name, stage in STAGES.items():
        runs[name] = lambda stage=stage: drain(stage(TextSource(texts)))  # type: ignore[misc]
    taken = await compare(runs, rounds=5)
    found = [
        Figure(
            f"{name} / a machine that waits for nothing",
            ratio(taken[name], taken["nothing"]),
            2,
            f"{min(taken[name]) / CHUNKS * 1e6:.3g} µs a chunk; {min(taken['nothing']) / CHUNKS * 1e6:.3g}",
        )
        for name in STAGES
    ]
    for name, stage in STAGES.items():
        few, many = [await _tasks(stage, texts[:chunks]) for chunks in (10, 1010)]
        found.append(Figure(f"{name}, tasks made for 1,000 chunks", many - few, 0))

    late = {"Pace": sf.Pace(chars_per_second=100), "Coalesce": sf.Coalesce(0.1)}
    for name, stage in late.items():
        counts: list[int] = []
        gap = 0.036 if name == "Pace" else 0.01  # 4 characters take 0.04 s: more comes than may leave
        await _fed(stage, CHUNKS, gap, counts)()
        both = await compare({"short": _fed(stage, 2_000, gap), "long": _fed(stage, 40_000, gap)}, rounds=5)
        micros = min(both["long"]) / 40_000 * 1e6
        found.append(Figure(f"{name} with text that waits, µs a chunk", micros, 10))
        found.append(Figure(f"{name}, timers set for a chunk", counts[0] / CHUNKS, 2))
        found.append(
            Figure(f"{name}, cost of 40,000 chunks / 20 times that of 2,000", ratio(both["long"], both["short"]) / 20, 1.25)
        )
    return found
