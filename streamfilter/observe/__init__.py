"""Seeing what happens: statistics of a stream, observers, and the report on a recorded one.

Nothing in here ever sees text that was held or redacted; `trace` reads a recording, and draws no text of it.
"""

from typing import TYPE_CHECKING

from streamfilter.observe.auditing import Audit, audit
from streamfilter.observe.telemetry import metrics, traces
from streamfilter.observer import Ending, Observer, Opened, Watch
from streamfilter.stats import Spread, StageStats, Stats

if TYPE_CHECKING:
    from streamfilter.observe.tracing import Trace, trace

__all__ = [
    "Audit",
    "Ending",
    "Observer",
    "Opened",
    "Spread",
    "StageStats",
    "Stats",
    "Trace",
    "Watch",
    "audit",
    "metrics",
    "trace",
    "traces",
]


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        if name not in ("Trace", "trace"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from streamfilter.observe import tracing  # noqa: PLC0415  # it reads what providers send, and most only observe

        return getattr(tracing, name)
