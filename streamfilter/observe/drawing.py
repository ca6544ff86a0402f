"""The trace report as a picture, drawn by matplotlib, which is the extra `plot`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamfilter.observe.tracing import Trace

RECEIVED, HELD, LEAST = "#2f6fde", "#e8920c", "#1f9d63"
"""The colours of the page in its light dress: a picture has one."""


def draw(trace: Trace, target: Path) -> None:
    """Draw a trace into a file, in the format that its name ends with.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    try:
        figures: Any = import_module("matplotlib.figure")  # and not pyplot, which keeps figures and may want a display
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise ModuleNotFoundError(
            'a picture of a trace needs matplotlib: pip install "streamfilter[plot]"', name="matplotlib"
        ) from None
    rules = list(dict.fromkeys(found.rule for found in trace.findings))
    figure = figures.Figure(figsize=(10, 7 + 0.25 * len(rules)), layout="constrained")
    ratios = [3, 2, max(0.6, 0.3 * len(rules))]
    flow, holds, found = figure.subplots(3, 1, sharex=True, height_ratios=ratios)
    _flow(trace, flow)
    _holds(trace, holds)
    for n, rule in enumerate(rules):
        times = [each.seconds for each in trace.findings if each.rule == rule]
        found.plot(times, [n] * len(times), "|", color=HELD, markersize=12, markeredgewidth=2)
    found.set_yticks(range(len(rules)), [_plain(rule) for rule in rules])
    found.set_ylim(max(len(rules), 1) - 0.5, -0.5)
    found.set_ylabel("findings")
    found.set_xlabel("seconds")
    figure.suptitle(_plain(f"{trace.name}: {' | '.join(trace.stages)}"), fontsize=11)
    figure.savefig(target, dpi=144)


def _flow(trace: Trace, axes: Any) -> None:
    times = [step.seconds for step in trace.steps]
    received = [step.received for step in trace.steps]
    left = [step.received - step.held for step in trace.steps]
    axes.fill_between(times, left, received, step="post", color=HELD, alpha=0.5, label="held", linewidth=0)
    axes.step(times, received, where="post", color=RECEIVED, label="received", linewidth=1.2)
    axes.step(times, left, where="post", color=HELD, label="left or replaced", linewidth=1.2)
    axes.set_ylabel("characters")
    axes.legend(loc="upper left", frameon=False)


def _holds(trace: Trace, axes: Any) -> None:
    times = [step.seconds for step in trace.steps]
    axes.fill_between(times, [step.held for step in trace.steps], step="post", color=HELD, alpha=0.6, label="held", linewidth=0)
    tried = {step.seconds: step.least for step in trace.steps if step.least is not None}
    if len(tried) > 1:  # the last is the end
        axes.fill_between([*tried], [*tried.values()], step="post", color=LEAST, alpha=0.75, label="proved needed", linewidth=0)
    axes.set_ylabel("characters held")
    axes.legend(loc="upper left", frameon=False)


def _plain(text: str) -> str:
    """A name that is not read as a formula."""
    return text.replace("$", r"\$")
