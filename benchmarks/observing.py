"""What watching a stream costs: nothing to those that nobody watches, and how much to those that are measured."""

from __future__ import annotations

from collections.abc import AsyncIterable
from functools import partial

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio
from benchmarks.kernel import Keep, drain
from streamfilter import observe
from streamfilter.context import Context
from streamfilter.outcome import Outcome
from streamfilter.stream import Stream

CHUNKS = 50_000
SHORT_STREAMS = 2000
SHORT_CHUNKS = 20


class _Unwatched(Context):
    """A context that has never heard of observers."""

    def begin(self, stage: object) -> None:
        """Nothing."""

    def ended(self, ending: observe.Ending) -> None:
        """Nothing."""


def _bare(texts: list[str]) -> AsyncIterable[object]:
    """The same driver over the same machine, with nothing in it that could watch."""
    named = {"name": "Keep", "context": _Unwatched(), "below": (), "outcome": Outcome(), "inner": False, "is_live": True}
    return Stream(Keep().machine(), TextSource(texts), **named)  # type: ignore[arg-type]  # each is what it is called


async def figures() -> list[Figure]:
    """A stage that does nothing: unwatched, audited, measured; and what very short streams pay at their beginning and end."""
    texts = ["abcd"] * CHUNKS
    keep = Keep()
    audited = sf.Context(observe=[observe.audit(lambda _: None)])
    taken = await compare(
        {
            "bare": lambda: drain(_bare(texts)),
            "nobody": lambda: drain(keep(TextSource(texts))),
            "audit": lambda: drain(keep(TextSource(texts), context=audited)),
            "stats": lambda: drain(keep(TextSource(texts), context=sf.Context(stats=True))),
            "loop": lambda: drain(TextSource(texts)),
        }
    )
    few = texts[:SHORT_CHUNKS]
    short = await compare({name: partial(_often, few, context) for name, context in (("nobody", None), ("audit", audited))})
    each = [(stats - nobody) / CHUNKS * 1e6 for stats, nobody in zip(taken["stats"], taken["nobody"], strict=True)]
    return [
        Figure("nobody looking / the same driver and machine without observers", ratio(taken["nobody"], taken["bare"]), 1.1),
        Figure("audited, nothing found / nobody looking", ratio(taken["audit"], taken["nobody"]), 1.1),
        Figure("audited / nobody looking, streams of 20 chunks", ratio(short["audit"], short["nobody"]), 3),
        Figure(
            "measured, more / bare async for",
            ratio(_more(taken), taken["loop"]),
            60,
            f"{sorted(each)[len(each) // 2]:.1f} µs a chunk",
        ),
    ]


def _more(taken: dict[str, list[float]]) -> list[float]:
    return [stats - nobody for stats, nobody in zip(taken["stats"], taken["nobody"], strict=True)]


async def _often(texts: list[str], context: sf.Context | None) -> None:
    keep = Keep()
    for _ in range(SHORT_STREAMS):
        await drain(keep(TextSource(texts), context=context))
