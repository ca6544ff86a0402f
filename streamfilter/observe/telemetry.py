"""OpenTelemetry: metrics and traces of streams, through its API alone. What is done with them is the application's own setting.

Names under `gen_ai.` are those of the semantic conventions for generative AI, which are in development; they say what
*arrived*, and when. What the pipeline made of it has names under `streamfilter.`.
https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from streamfilter.context import Finding
from streamfilter.observer import Ending, Observer, Opened, Watch
from streamfilter.stats import Stats

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter
    from opentelemetry.trace import Span, Tracer

Attributes: TypeAlias = Mapping[str, str | bool | int | float]

BOUNDARIES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Seconds at which the buckets of `gen_ai` histograms end, as the conventions say they should."""

FINE_BOUNDARIES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""The same for what a pipeline adds, which should be far less than what a model takes."""

MAX_EVENTS = 100
"""Findings that a span shows one by one: the default limit of OpenTelemetry's SDKs is 128 events a span, and the last ones win."""


def metrics(
    meter: Meter,
    *,
    provider: str | None = None,
    operation: str = "chat",
    model: str | None = None,
    attributes: Attributes | None = None,
) -> Observer:
    """An observer that records metrics of each stream.

    | name | kind | of |
    |---|---|---|
    | `gen_ai.client.operation.duration` | histogram, s | the stream, from when its first item was asked for |
    | `gen_ai.client.operation.time_to_first_chunk` | histogram, s | what arrived |
    | `gen_ai.client.operation.time_per_output_chunk` | histogram, s | what arrived, after the first |
    | `streamfilter.time_to_first_release` | histogram, s | what left |
    | `streamfilter.time_per_release` | histogram, s | what left, after the first |
    | `streamfilter.hold.p50`, `.p95`, `.max` | histograms, s | how long characters stayed in the pipeline, once per stream |
    | `streamfilter.check.duration` | histogram, s | checks, with their retries |
    | `streamfilter.findings` | counter | findings, by `streamfilter.rule`, `.action` and `.channel` |
    | `streamfilter.streams` | counter | streams, by `streamfilter.ending` |

    Streams watched by it are measured. Tags of a context do not become attributes, as they may have any number of values.

    Args:
        meter: from `opentelemetry.metrics.get_meter`.
        provider: `gen_ai.provider.name`, such as `"openai"`; left out if None.
        operation: `gen_ai.operation.name`.
        model: `gen_ai.request.model`; left out if None.
        attributes: on every metric.

    Raises:
        ModuleNotFoundError: `opentelemetry-api` is not installed; it is the extra `otel`.
        TypeError: `meter` is no meter.

    Example:
        >>> import streamfilter as sf
        >>> from opentelemetry.metrics import get_meter
        >>> from streamfilter import observe
        >>> context = sf.Context(observe=[observe.metrics(get_meter("shop"), provider="openai", model="gpt-5")])
        >>> sf.Redact("secret").apply("a secret", context=context)  # counted where the application's metrics go
        'a [redacted]'
    """
    _check("metrics", "Meter", meter)
    return _Metrics(_Instruments(meter), _named(provider, operation, model, attributes))


def traces(
    tracer: Tracer,
    *,
    provider: str | None = None,
    operation: str = "chat",
    model: str | None = None,
    attributes: Attributes | None = None,
) -> Observer:
    """An observer that makes a span of each stream, from when its first item was asked for to its end.

    The span's parent is the span that is current then. It has the attributes `gen_ai.operation.name`, `gen_ai.provider.name`,
    `gen_ai.request.model`, `gen_ai.request.stream`, `gen_ai.response.time_to_first_chunk`, `error.type`, and ours:
    `streamfilter.pipeline` (a fingerprint), `.ending`, `.time_to_first_release`, `.hold.p50`, `.hold.p95`, `.hold.max`,
    `.findings`, `.checks`, and `.tag.NAME` for each tag. Each of the first 100 findings is an event, `streamfilter.finding`.

    Args:
        tracer: from `opentelemetry.trace.get_tracer`.
        provider: `gen_ai.provider.name`, such as `"openai"`; left out if None.
        operation: `gen_ai.operation.name`.
        model: `gen_ai.request.model`; left out if None.
        attributes: on every span.

    Raises:
        ModuleNotFoundError: `opentelemetry-api` is not installed; it is the extra `otel`.
        TypeError: `tracer` is no tracer.

    Example:
        >>> import streamfilter as sf
        >>> from opentelemetry.trace import get_tracer
        >>> from streamfilter import observe
        >>> context = sf.Context(observe=[observe.traces(get_tracer("shop"), provider="openai")])
        >>> sf.Redact("secret").apply("a secret", context=context)  # a span below the one that is current
        'a [redacted]'
    """
    _check("traces", "Tracer", tracer)
    return _Traces(tracer, _named(provider, operation, model, attributes))


def _check(what: str, kind: str, given: object) -> None:
    try:
        wanted = getattr(import_module("opentelemetry.metrics" if kind == "Meter" else "opentelemetry.trace"), kind)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise ModuleNotFoundError(
            f'observe.{what} needs opentelemetry-api: pip install "streamfilter[otel]"', name="opentelemetry"
        ) from None
    if not isinstance(given, wanted):
        raise TypeError(f"observe.{what} was given {type(given).__qualname__}: a {kind} of opentelemetry is needed")


def _named(provider: str | None, operation: str, model: str | None, attributes: Attributes | None) -> Attributes:
    given = {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider, "gen_ai.request.model": model}
    return {**{name: value for name, value in given.items() if value is not None}, **(attributes or {})}


# ---------------------------------------------------------------------- metrics


class _Instruments:
    """What a meter makes, once for all streams."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, of: str, boundaries: tuple[float, ...] = FINE_BOUNDARIES) -> Histogram:
            return meter.create_histogram(name, unit="s", description=of, explicit_bucket_boundaries_advisory=boundaries)

        client = "gen_ai.client.operation."
        self.duration = seconds(f"{client}duration", "GenAI operation duration.", BOUNDARIES)
        self.first_in = seconds(f"{client}time_to_first_chunk", "Time to receive the first chunk.", BOUNDARIES)
        self.gap_in = seconds(f"{client}time_per_output_chunk", "Time per chunk received after the first one.", BOUNDARIES)
        self.first_out = seconds("streamfilter.time_to_first_release", "Time until the first item left.", BOUNDARIES)
        self.gap_out = seconds("streamfilter.time_per_release", "Time per item that left after the first one.", BOUNDARIES)
        self.hold = {
            name: seconds(f"streamfilter.hold.{name}", f"How long characters of a stream stayed in the pipeline: {name}.")
            for name in ("p50", "p95", "max")
        }
        self.check = seconds("streamfilter.check.duration", "How long a check took to answer.", BOUNDARIES)
        self.findings: Counter = meter.create_counter("streamfilter.findings", unit="{finding}", description="Findings.")
        self.streams: Counter = meter.create_counter("streamfilter.streams", unit="{stream}", description="Streams that ended.")


@dataclass(frozen=True)
class _Metrics(Observer):
    instruments: _Instruments = field(repr=False)
    attributes: Attributes

    measures = True

    def begin(self, stream: Opened) -> Watch:
        return _Measuring(self.instruments, self.attributes, stream)


class _Measuring(Watch):
    """The metrics of one stream."""

    def __init__(self, instruments: _Instruments, attributes: Attributes, stream: Opened) -> None:
        self._instruments = instruments
        self._attributes = attributes
        self._stream = stream
        self._last_in: float | None = None
        self._last_out: float | None = None

    def arrived(self, seconds: float) -> None:
        last, self._last_in = self._last_in, seconds
        instrument = self._instruments.first_in if last is None else self._instruments.gap_in
        instrument.record(seconds - (last or 0), self._attributes)

    def released(self, seconds: float) -> None:
        last, self._last_out = self._last_out, seconds
        instrument = self._instruments.first_out if last is None else self._instruments.gap_out
        instrument.record(seconds - (last or 0), self._attributes)

    def found(self, finding: Finding) -> None:
        self._instruments.findings.add(1, {**self._attributes, **_told(finding)})

    def checked(self, seconds: float) -> None:
        self._instruments.check.record(seconds, self._attributes)

    def ended(self, ending: Ending) -> None:
        instruments, stats = self._instruments, self._stream.stats
        assert stats is not None  # it is measured
        of_error = {} if ending.error is None else {"error.type": ending.error}
        instruments.duration.record(stats.seconds, {**self._attributes, **of_error})
        instruments.streams.add(1, {**self._attributes, **of_error, "streamfilter.ending": ending.how})
        added = stats.added.as_dict()
        if added["count"]:
            for name, instrument in instruments.hold.items():
                instrument.record(added[name], self._attributes)


def _told(finding: Finding) -> dict[str, str]:
    """What tells findings apart that are counted."""
    return {
        "streamfilter.rule": finding.rule,
        "streamfilter.action": finding.action,
        "streamfilter.channel": finding.channel.kind,
    }


# ---------------------------------------------------------------------- traces


@dataclass(frozen=True)
class _Traces(Observer):
    tracer: Tracer = field(repr=False)
    attributes: Attributes

    measures = True

    def begin(self, stream: Opened) -> Watch:
        name = " ".join(
            str(self.attributes[key]) for key in ("gen_ai.operation.name", "gen_ai.request.model") if key in self.attributes
        )
        kind = import_module("opentelemetry.trace").SpanKind.CLIENT
        tags = {
            f"streamfilter.tag.{tag}": value if isinstance(value, str | bool | int | float) else str(value)
            for tag, value in stream.tags.items()
        }
        given = {"gen_ai.request.stream": True, "streamfilter.pipeline": stream.pipeline, **tags, **self.attributes}
        return _Tracing(self.tracer.start_span(name, kind=kind, attributes=given), stream)


class _Tracing(Watch):
    """The span of one stream."""

    def __init__(self, span: Span, stream: Opened) -> None:
        self._span = span
        self._stream = stream
        self._findings = 0

    def arrived(self, seconds: float) -> None:
        if not self._stats.gaps_in.count:
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)

    @property
    def _stats(self) -> Stats:
        assert self._stream.stats is not None  # it is measured
        return self._stream.stats

    def found(self, finding: Finding) -> None:
        self._findings += 1
        if self._findings <= MAX_EVENTS:
            place: dict[str, int] = {"streamfilter.start": finding.start}
            if finding.end is not None:
                place["streamfilter.end"] = finding.end
            self._span.add_event("streamfilter.finding", {**_told(finding), **place})

    def ended(self, ending: Ending) -> None:
        stats, span = self._stats, self._span
        span.set_attribute("streamfilter.ending", ending.how)
        span.set_attribute("streamfilter.findings", self._findings)
        span.set_attribute("streamfilter.checks", self._stream.report.checks)
        if stats.first_out is not None:
            span.set_attribute("streamfilter.time_to_first_release", stats.first_out)
        added = stats.added.as_dict()
        for name in ("p50", "p95", "max") if added["count"] else ():
            span.set_attribute(f"streamfilter.hold.{name}", added[name])
        if ending.error is not None:
            span.set_attribute("error.type", ending.error)
            status = import_module("opentelemetry.trace")
            span.set_status(status.StatusCode.ERROR, ending.error)
        span.end()
