"""The trace report: one page of HTML that needs nothing else, no script and no network, and has no text of the stream.

Curves are stretched to the width of the page and keep the width of their lines; words stand beside them, so that they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from streamfilter.stats import StageStats

if TYPE_CHECKING:
    from streamfilter.observe.tracing import Found, Step, Trace

MAX_POINTS = 1200
"""Points of a curve: about one for each pixel of a wide page. Of more, those with the most held stay, so that no peak is lost."""

ZOOMED_STEPS = 120
"""Steps that are shown from nearer, of a stream with more than three times as many: some four seconds at the usual pace."""

MAX_LANES = 12
"""Rules, and stages, that have a lane of their own; a table has all."""

WIDTH, HEIGHT = 1000, 100
"""Of a curve, in units of its own."""

HUES = {"redact": "held", "stop": "stop", "block": "stop", "replace": "mend", "restore": "received"}
"""The colour of an action; others have that of text that is held."""


def page_of(trace: Trace) -> str:
    """The page."""
    css = files("streamfilter.observe").joinpath("report.css").read_text("utf-8")
    steps = thinned(trace.steps)
    span = span_of(trace)
    title = f"What happened to {escape(trace.name)}"
    through = escape(" | ".join(trace.stages)) or "an empty pipeline"
    parts = [
        f"<h1>{title}</h1><p>through <code>{through}</code>, pipeline <code>{trace.pipeline}</code></p>",
        _tiles(trace),
        _curves(trace, steps, span),
        _stage_lanes(trace, steps, span),
        _finding_lanes(trace.findings, span),
        _check_lane(trace, span),
        _tables(trace),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>\n{css}</style></head>\n<body><main>\n'
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def thinned(steps: Sequence[Step], points: int = MAX_POINTS) -> list[Step]:
    """Steps for a curve: of each few, the first and the one at which most was held."""
    if len(steps) <= points:
        return [*steps]
    size = -(-2 * len(steps) // points)
    kept: dict[int, Step] = {}
    for start in range(0, len(steps), size):
        most = max(range(start, min(start + size, len(steps))), key=lambda n: steps[n].held)
        kept[start] = steps[start]
        kept[most] = steps[most]
    kept[len(steps) - 1] = steps[-1]
    return [kept[n] for n in sorted(kept)]


def span_of(trace: Trace) -> float:
    """The seconds that a trace is wide."""
    return max([step.seconds for step in trace.steps] + [found.seconds for found in trace.findings], default=0) or 1.0


# ---------------------------------------------------------------------- numbers


def _tiles(trace: Trace) -> str:
    stats, last = trace.stats, trace.steps[-1] if trace.steps else None
    added = stats.added
    held = [step for step in trace.steps if step.least is not None]
    tried = sum(step.held for step in held)
    needed = sum(step.least or 0 for step in held)
    tiles = [
        ("chunks read", f"{stats.gaps_in.count + (stats.first_in is not None):,} <small>of {trace.chunks:,}</small>"),
        ("characters in, out", f"{last.received if last else 0:,}, {last.released if last else 0:,}"),
        ("most held at once", f"{max((step.held for step in trace.steps), default=0)} <small>characters</small>"),
        ("a character stayed, median", time_of(added.p50)),
        ("95 of 100 no longer than", time_of(added.p95)),
        ("the longest", time_of(added.most)),
        ("findings", str(sum(trace.counts.values()))),
        ("checks", str(sum(stage.checks.count for stage in stats.stages))),
        ("ending", escape("–" if stats.ending is None else str(stats.ending))),
        ("proved to be needed", f"{100 * needed / tried:.0f} % <small>of what was held</small>" if tried else "–"),
    ]
    return '<dl class="tiles">' + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles) + "</dl>"


def time_of(seconds: float) -> str:
    """A duration for people.

    Example:
        >>> time_of(0), time_of(0.000042), time_of(0.0421), time_of(4.2)
        ('0 s', '42 µs', '42.1 ms', '4.2 s')
    """
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0 s" if seconds <= 0 else "under 1 µs"


# ---------------------------------------------------------------------- curves


def _curves(trace: Trace, steps: Sequence[Step], span: float) -> str:
    most = max((step.held for step in steps), default=0) or 1
    shown = _area(line_of(steps, lambda step: step.held, span, most), "held")
    tried = [step for step in trace.steps if step.least is not None]
    entries = ["held: held in all stages"]
    if len(tried) > 1:  # the last is the end
        shown += _area(line_of(thinned(tried), lambda step: step.least or 0, span, most), "least", ".75")
        part = "" if len(tried) == len(trace.steps) else f", computed at {len(tried):,} of {len(trace.steps):,} chunks"
        entries.append(f"least: proved to be needed, whatever filters{part}")
    elif len(steps) > 1:
        entries.append("–: how much had to be held was not computed")
    return (
        "<h2>Characters received, and those that had left or were replaced</h2>"
        + _flow(steps, 0, span)
        + _zoomed(trace.steps)
        + "<h2>Characters held</h2>"
        + _legend(*entries)
        + _chart(shown, 150, f"{most} characters", "characters held over time")
        + _ticks(0, span)
    )


def _zoomed(steps: Sequence[Step]) -> str:
    """Of a stream so long that the band is too thin to be seen: where it is the widest."""
    if len(steps) <= 3 * ZOOMED_STEPS:
        return ""
    peak = max(range(len(steps)), key=lambda n: steps[n].held)
    near = steps[max(0, peak - ZOOMED_STEPS // 2) : peak + ZOOMED_STEPS // 2]
    start, end = near[0].seconds, near[-1].seconds
    return "<h2>The same around the most that was held</h2>" + _flow(near, start, end - start) if end > start else ""


def _flow(steps: Sequence[Step], start: float, span: float) -> str:
    low = min((step.received - step.held for step in steps), default=0) if start else 0
    top = max((step.received for step in steps), default=0) - low or 1
    received = line_of(steps, lambda step: step.received - low, span, top, start)
    left = line_of(steps, lambda step: step.received - step.held - low, span, top, start)
    band = f'<path d="{received} {_back(left)} Z" fill="var(--held)" fill-opacity=".55"/>'
    both = f"{band}{_stroke(received, 'received')}{_stroke(left, 'held')}"
    return (
        _legend("received: received", "held: held: the band between what arrived and what was decided")
        + _chart(both, 240, f"{top + low:,} characters", "characters received and left over time")
        + _ticks(start, span)
    )


def line_of(steps: Sequence[Step], value: Callable[[Step], float], span: float, top: float, start: float = 0) -> str:
    """A curve of steps: what was known holds until the next is.

    Args:
        steps: in order.
        value: what is drawn of each.
        span: the seconds that the curve is wide.
        top: the value at its upper edge; its lower is 0.
        start: the second at its left edge.
    """
    path = ""
    for step in steps:
        x, y = WIDTH * (step.seconds - start) / span, HEIGHT * (1 - value(step) / top)
        path += f"H{x:.1f}V{y:.2f}" if path else f"M{x:.1f},{y:.2f}"
    return f"{path}H{WIDTH}" if path else ""


def _back(path: str) -> str:
    """The same curve from its end to its beginning, to go on from where another has ended."""
    points: list[tuple[str, str]] = []
    x, y = "0", "0"
    for part in path.replace("H", " H").replace("V", " V").split():
        if part[0] == "M":
            x, y = part[1:].split(",")
        elif part[0] == "H":
            x = part[1:]
        else:
            y = part[1:]
        points.append((x, y))
    return "".join(f"L{x},{y}" for x, y in reversed(points))


def _stroke(path: str, hue: str) -> str:
    return f'<path d="{path}" fill="none" stroke="var(--{hue})" stroke-width="1.6"/>'


def _area(path: str, hue: str, opacity: str = ".6") -> str:
    if not path:
        return ""
    start = path[1 : path.index(",")]
    return f'<path d="M{start},{HEIGHT}V{path.split(",", 1)[1]}V{HEIGHT}Z" fill="var(--{hue})" fill-opacity="{opacity}"/>'


def _chart(inner: str, height: int, label: str, says: str) -> str:
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{escape(says)}">{inner}</svg>'
    return f'<div class="chart" style="height:{height}px">{svg}<b>{escape(label)}</b></div>'


def _ticks(start: float, span: float) -> str:
    places = [(share, time_of(start + span * share)) for share in (0, 0.25, 0.5, 0.75, 1)]
    return '<div class="ticks">' + "".join(f'<span style="left:{share:.0%}">{shown}</span>' for share, shown in places) + "</div>"


def _legend(*entries: str) -> str:
    keys = (entry.split(": ", 1) for entry in entries)
    shown = (f'<span style="--key:{"transparent" if hue == "–" else f"var(--{hue})"}">{escape(says)}</span>' for hue, says in keys)
    return f'<div class="legend">{"".join(shown)}</div>'


# ---------------------------------------------------------------------- lanes


def _stage_lanes(trace: Trace, steps: Sequence[Step], span: float) -> str:
    stages = [(n, name) for n, name in enumerate(trace.stages) if trace.stats.stages[n].most_held][:MAX_LANES]
    if not stages:
        return "<h2>Held in each stage</h2><p>No stage held anything.</p>"
    top = max(trace.stats.stages[n].most_held for n, _ in stages)
    lanes = []
    for n, name in stages:
        area = line_of(steps, lambda step, n=n: step.holds[n] if n < len(step.holds) else 0, span, top)  # type: ignore[misc]
        label = f"{escape(name)}: at most {trace.stats.stages[n].most_held}"
        lanes.append(f'<div class="lane"><h3>{label}</h3>{_chart(_area(area, "held"), 44, "", f"characters held in {name}")}</div>')
    return "<h2>Held in each stage</h2>" + "".join(lanes) + _ticks(0, span)


def _finding_lanes(findings: Sequence[Found], span: float) -> str:
    if not findings:
        return "<h2>Findings</h2><p>Nothing was found.</p>"
    rules: dict[str, list[Found]] = {}
    for found in findings:
        rules.setdefault(found.rule, []).append(found)
    lanes = []
    for rule, each in sorted(rules.items(), key=lambda entry: -len(entry[1]))[:MAX_LANES]:
        marks = "".join(_mark(found, span) for found in each)
        label = f"{escape(rule)}: {len(each)}"
        lanes.append(f'<div class="lane"><h3>{label}</h3>{_chart(marks, 22, "", f"when {rule} was found")}</div>')
    more = f"<p>… and {len(rules) - MAX_LANES} rules more, in the table.</p>" if len(rules) > MAX_LANES else ""
    hues = dict.fromkeys(HUES.get(found.action, "held") for found in findings)
    legend = _legend(*(f"{hue}: {', '.join(_actions(findings, hue))}" for hue in hues))
    return "<h2>Findings, when they were made</h2>" + legend + "".join(lanes) + _ticks(0, span) + more


def _check_lane(trace: Trace, span: float) -> str:
    """Verdicts: when each check was asked, and when it answered."""
    if not trace.checks:
        return ""
    marks = ""
    for each in trace.checks:
        start, end = (WIDTH * max(0.0, when) / span for when in (each.seconds - each.took, each.seconds))
        says = f"asked for {time_of(each.took)}, answered after {time_of(each.seconds)}"
        path = f"M{start:.1f},50H{end:.1f}M{end:.1f},0V{HEIGHT}"
        marks += f'<path d="{path}" stroke="var(--mend)" stroke-width="3"><title>{says}</title></path>'
    label = f"{len(trace.checks)} answers"
    lane = f'<div class="lane"><h3>{label}</h3>{_chart(marks, 22, "", "when checks answered")}</div>'
    return "<h2>Checks, from being asked to their verdict</h2>" + lane + _ticks(0, span)


def _actions(findings: Sequence[Found], hue: str) -> list[str]:
    """What the findings of a colour did."""
    return sorted({found.action for found in findings if HUES.get(found.action, "held") == hue})


def _mark(found: Found, span: float) -> str:
    x = WIDTH * found.seconds / span
    hue = HUES.get(found.action, "held")
    says = escape(f"{found.rule}: {found.action} after {time_of(found.seconds)}, {_place(found)}")
    return f'<path d="M{x:.1f},0V{HEIGHT}" stroke="var(--{hue})" stroke-width="3"><title>{says}</title></path>'


def _place(found: Found) -> str:
    return f"characters {found.start} to {'the end' if found.end is None else found.end}"


# ---------------------------------------------------------------------- tables


def _tables(trace: Trace) -> str:
    stages = [_stage_row(stage) for stage in trace.stats.stages]
    heads = ("stage", "chunks in", "out", "chars in", "out", "most held", "stayed, median", "95 %", "longest", "findings", "checks")
    out = "<h2>Stages</h2>" + _table(heads, stages, words=1)
    found = [
        (each.rule, each.action, each.channel, time_of(each.seconds), f"{each.received:,}", f"{each.start:,}",
         "–" if each.end is None else f"{each.end:,}", "–" if each.score is None else f"{each.score:.2f}")
        for each in trace.findings
    ]  # fmt: skip
    if not found:
        return out
    titles = ("rule", "action", "channel", "after", "received by then", "from character", "to", "score")
    total = sum(trace.counts.values())
    more = f"<p>The first {len(found):,} of {total:,}.</p>" if total > len(found) else ""
    return f"{out}<h2>Findings</h2>{more}{_table(titles, found, words=3)}"


def _stage_row(stage: StageStats) -> tuple[str, ...]:
    counts = (stage.chunks_in, stage.chunks_out, stage.chars_in, stage.chars_out, stage.most_held)
    checks = f"{stage.checks.count}, median {time_of(stage.checks.p50)}" if stage.checks.count else "–"
    times = (time_of(stage.hold.p50), time_of(stage.hold.p95), time_of(stage.hold.most))
    return (stage.name, *(f"{count:,}" for count in counts), *times, str(sum(stage.matches.values())), checks)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        shown = (f"<{tag}{' class=word' if n < words else ''}>{escape(cell)}</{tag}>" for n, cell in enumerate(row))
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f'<div class="scroll"><table><thead>{cells("th", heads)}</thead><tbody>{body}</tbody></table></div>'
