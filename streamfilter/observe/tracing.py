"""Tracing: a recorded stream is sent through a pipeline once more, and what happens is written down, step by step.

What was written down is numbers and the names of stages, rules and actions: no text.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamfilter.context import Context, Finding
from streamfilter.observe.least import least_holds
from streamfilter.observe.recordings import CHUNKS_PER_SECOND, Recording, over_text, pieces_of
from streamfilter.observer import Observer, Opened, Watch, fingerprint
from streamfilter.pipeline import Stage, as_stage
from streamfilter.plain import SyncStream
from streamfilter.stats import Stats
from streamfilter.stream import Stream

MAX_FINDINGS = 2000
"""Findings, and answers of checks, that a trace keeps one by one; more nobody reads, and a page of them is slow to show."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was known when the pipeline had dealt with something.

    Attributes:
        seconds: when.
        received: characters that had arrived.
        released: characters that had left.
        held: characters held in all stages.
        holds: characters held in each stage.
        least: how many of those held are proved to be needed, whatever the pipeline were made of; None where that was not computed.
    """

    seconds: float
    received: int
    released: int
    held: int
    holds: tuple[int, ...]
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and when it was made.

    Attributes:
        seconds: when.
        received: characters that had arrived by then.
        rule: the name of the rule.
        action: what was done.
        channel: the kind of channel.
        start: its first character, counted in the channel's text as it reached the stage.
        end: the character after its last; None if that was not known.
        score: how sure a check was, if it said so.
    """

    seconds: float
    received: int
    rule: str
    action: str
    channel: str
    start: int
    end: int | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of a check, and when it came. What it led to, if to anything, is a finding.

    Attributes:
        seconds: when.
        took: seconds since the check was asked.
    """

    seconds: float
    took: float


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened to a recording in a pipeline. See `trace`.

    Attributes:
        name: of the recording.
        pipeline: the fingerprint of the pipeline.
        stages: the names of the stages.
        chunks: pieces of text in the recording; `steps` are of those that were read.
        steps: in order; the last is the end.
        findings: the first 2000.
        checks: the first 2000 answers.
        counts: findings per rule.
        stats: what was measured. Where no stage waits its times are those of the recording's pace, else those of a clock.
    """

    name: str
    pipeline: str
    stages: tuple[str, ...]
    chunks: int
    steps: tuple[Step, ...]
    findings: tuple[Found, ...]
    checks: tuple[Answered, ...]
    counts: dict[str, int]
    stats: Stats

    def as_dict(self) -> dict[str, Any]:
        """All of it, as one would write it into a JSON file."""
        shown = {name: getattr(self, name) for name in ("name", "pipeline", "stages", "chunks", "counts")}
        lists = {name: [asdict(each) for each in getattr(self, name)] for name in ("steps", "findings", "checks")}
        return {**shown, "stats": self.stats.as_dict(), **lists}

    def html(self) -> str:
        """One page that needs nothing else."""
        from streamfilter.observe.page import page_of  # noqa: PLC0415  # most who import this trace nothing

        return page_of(self)

    def _repr_html_(self) -> str:
        """The page, in a frame, so that its style does not spill into a notebook."""
        from html import escape  # noqa: PLC0415

        return f'<iframe srcdoc="{escape(self.html())}" style="width:100%;height:900px;border:0"></iframe>'

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it into a file: `.html`, `.json`, or, with the extra `plot`, `.png` or `.svg`.

        Raises:
            ValueError: the name of the file ends with nothing of these.
            ModuleNotFoundError: matplotlib is not installed.
        """
        target = Path(path)
        kind = target.suffix.lower()
        if kind == ".html":
            target.write_text(self.html(), "utf-8")
        elif kind == ".json":
            target.write_text(json.dumps(self.as_dict(), indent=1) + "\n", "utf-8")
        elif kind in (".png", ".svg"):
            from streamfilter.observe.drawing import draw  # noqa: PLC0415  # matplotlib is an extra

            draw(self, target)
        else:
            raise ValueError(f"{target.name}: a name that ends with .html, .json, .png or .svg is needed")


def trace(
    stage: Stage[Any, Any],
    recording: Recording,
    *,
    name: str | None = None,
    chunks_per_second: float = CHUNKS_PER_SECOND,
    least: bool = True,
    context: Context | None = None,
) -> Trace:
    r"""Send a recording through a pipeline, and write down what happens.

    A provider's event stream is read as `text_of` does: its answer is traced, chunk by chunk. The pace is even. If a stage waits,
    this runs in an event loop of its own and takes as long as the recording does at that pace; otherwise it takes no time.

    Args:
        stage: a pipeline over text, or such a one in a `wrap`.
        recording: the body of a response or of a text, as bytes or as the path of a file; or pieces of text.
        name: what to call it; by default the name of the file.
        chunks_per_second: the pace.
        least: whether to try, at each step, how much must be held; for long recordings that takes seconds. It is left out where a
            stage waits.
        context: what the stream is started with, but for its clock.

    Raises:
        TypeError: the pipeline reads a provider's chunks otherwise than by a `wrap`, or the recording is nothing such.
        ValueError: the pace is not positive.
        MalformedInput: the body of a response cannot be read, a text is not UTF-8, or it is longer than 8 MiB.

    Example:
        >>> import streamfilter as sf
        >>> seen = trace(sf.Redact(r"\d{4}"), ["pin 12", "34", " ok"])
        >>> [(step.received, step.held, step.least) for step in seen.steps]
        [(6, 2, 2), (8, 0, 0), (11, 0, 0), (11, 0, 0)]
        >>> seen.counts
        {'redacted': 1}
    """
    part = over_text(as_stage(stage))
    if "chunks" in (part.reads, part.gives):
        raise TypeError(f"trace is for text: {type(part).__name__} works on a provider's chunks; trace the pipeline inside it")
    if not chunks_per_second > 0:
        raise ValueError(f"chunks_per_second={chunks_per_second}: a positive number is needed")
    texts = pieces_of(recording)
    run = _Run(part, texts, chunks_per_second, Context.with_vault(context))
    if part.must_wait or part.machine(run.context).waits:
        _run_live(run)
    else:
        run.plain()
    steps = _with_least(part, texts, run.steps) if least and not run.is_live else run.steps
    shown = name or (Path(recording).name if isinstance(recording, os.PathLike) else "recording")
    stages = tuple(each.name for each in run.stats.stages)
    lists = tuple(steps), tuple(run.findings), tuple(run.checks)
    return Trace(shown, fingerprint(part), stages, len(texts), *lists, run.counts, run.stats)


def _run_live(run: _Run) -> None:
    """In an event loop of its own: in a notebook there is one already, and so it is another thread's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(run.live())
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, run.live()).result()


class _Run(Observer, Watch):
    """One run of a recording, which watches itself."""

    measures = True

    def __init__(self, stage: Stage[Any, Any], texts: Sequence[str], pace: float, context: Context) -> None:
        self.is_live = False
        self.steps: list[Step] = []
        self.findings: list[Found] = []
        self.checks: list[Answered] = []
        self.counts: dict[str, int] = {}
        self.stats = Stats()
        self._stage = stage
        self._texts = texts
        self._pause = 1 / pace
        self._fed = self._received = self._released = 0
        self._stream: Stream[Any] | SyncStream[Any] | None = None
        self._start = 0.0
        self.context = Context(
            tags=context.tags, observe=[*context.observe, self], vault=context.vault, verdicts=context.verdicts, clock=self
        )

    def time(self) -> float:
        """Of a recording that takes no time: when its last chunk arrived."""
        return max(0, self._fed - 1) * self._pause

    def call_at(self, when: float, callback: object, /) -> Any:
        """Nothing waits where this is the clock."""
        raise AssertionError

    def plain(self) -> None:
        """Run it in no time."""
        with self._stage.iter(self._source(), context=self.context) as stream:
            self._stream = stream
            self._quietly(iter(stream))

    def _quietly(self, items: Iterator[Any]) -> None:
        try:
            for item in items:
                self._released += _chars(item)
        except Exception:  # how it ended is in the statistics; the exception may be the point of the pipeline
            if self.stats.ending is None:
                raise
        self._note()

    def _source(self) -> Iterator[str]:
        for text in self._texts:
            if self._fed:
                self._note()
            self._arrive(text)
            yield text
        self._note()

    async def live(self) -> None:
        """Run it in the time that it takes."""
        self.is_live = True
        self.context = Context(
            tags=self.context.tags, observe=self.context.observe, vault=self.context.vault, verdicts=self.context.verdicts
        )
        self._start = time.perf_counter()
        try:
            async with self._stage(self._live_source(), context=self.context) as stream:
                self._stream = stream
                async for item in stream:
                    self._released += _chars(item)
                    self._note()
        except Exception:
            if self.stats.ending is None:
                raise
        self._note()

    async def _live_source(self) -> AsyncIterator[str]:
        for text in self._texts:
            if self._fed:
                await asyncio.sleep(self._pause)
                self._note()
            self._arrive(text)
            yield text

    def _arrive(self, text: str) -> None:
        self._fed += 1
        self._received += len(text)

    @property
    def _now(self) -> float:
        return time.perf_counter() - self._start if self.is_live else self.time()

    def _note(self) -> None:
        held = 0 if self._stream is None else min(self._stream.held, self._received)
        holds = tuple(each.held for each in self.stats.stages)
        self.steps.append(Step(self._now, self._received, self._released, held, holds))

    # ------------------------------------------------------------------ watching

    def begin(self, stream: Opened) -> Watch:
        assert stream.stats is not None  # it is measured
        self.stats = stream.stats
        return self

    def found(self, finding: Finding) -> None:
        self.counts[finding.rule] = self.counts.get(finding.rule, 0) + 1
        if len(self.findings) < MAX_FINDINGS:
            place = (finding.channel.kind, finding.start, finding.end, finding.score)
            self.findings.append(Found(self._now, self._received, finding.rule, finding.action, *place))

    def checked(self, seconds: float) -> None:
        if len(self.checks) < MAX_FINDINGS:
            self.checks.append(Answered(self._now, seconds))


def _with_least(stage: Stage[Any, Any], texts: Sequence[str], steps: Sequence[Step]) -> list[Step]:
    """The steps, with how much must be held at each. The last is the end, where nothing need be."""
    if not steps:
        return []
    *before, last = steps
    needed = least_holds(stage, "".join(texts), [step.received for step in before], [step.held for step in before])
    held = zip(before, needed, strict=True)
    return [*(_replaced(step, least) for step, least in held), _replaced(last, 0)]


def _replaced(step: Step, least: int | None) -> Step:
    return Step(step.seconds, step.received, step.released, step.held, step.holds, least)


def _chars(item: object) -> int:
    text = getattr(item, "text", item)
    return len(text) if isinstance(text, str) else 0
