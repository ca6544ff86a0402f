"""What each text stage costs on chunks of 4 characters, against a lifted stage that does nothing; and whether that stays flat."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import streamfilter as sf
from benchmarks.figures import Figure, compare, ratio
from benchmarks.kernel import Keep

WORDS = "the river runs along a valley until it meets the sea where boats wait for evening and small lights".split()


def prose(chars: int) -> str:
    """Text as models write it: sentences, now and then a new paragraph."""
    rng = random.Random(chars)
    out: list[str] = []
    size = 0
    while size < chars:
        sentence = " ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 16))).capitalize()
        sentence += rng.choice([". ", ". ", "? ", ".\n\n"])
        out.append(sentence)
        size += len(sentence)
    return "".join(out)[:chars]


STAGES: dict[str, tuple[Callable[[], sf.Stage[Any, Any]], Callable[[int], str]]] = {
    "MapText": (lambda: sf.MapText(str.upper), prose),
    "StopAt": (lambda: sf.StopAt("\nUser:"), prose),
}
"""Each text stage, and what makes a text for it of some length."""


def _fed(stage: sf.Stage[Any, Any], text: str) -> Callable[[], Awaitable[object]]:
    chunks: Sequence[str] = [text[at : at + 4] for at in range(0, len(text), 4)]

    async def run() -> None:
        machine = stage.machine()
        feed = machine.feed
        for chunk in chunks:
            feed(chunk)
        machine.finish()

    return run


async def figures() -> list[Figure]:
    """Each stage against one that does nothing, and on a long text against a short one."""
    found: list[Figure] = []
    for name, (make, text_of) in STAGES.items():
        short, long = text_of(20_000), text_of(400_000)
        runs = {"bare": _fed(Keep(), short), "short": _fed(make(), short), "long": _fed(make(), long)}
        taken = await compare(runs, rounds=5)
        micros = min(taken["short"]) / len(short) * 4e6
        found.append(
            Figure(
                f"{name} / a lifted stage that does nothing", ratio(taken["short"], taken["bare"]), 5, f"{micros:.3g} µs a chunk"
            )
        )
        found.append(Figure(f"{name}, cost of 400 KB / 20 times that of 20 KB", ratio(taken["long"], taken["short"]) / 20, 1.25))
    return found
