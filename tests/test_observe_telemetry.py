"""OpenTelemetry: what its own SDK exports, under the names that its own package of conventions has."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter import observe
from streamfilter.testing.clock import run_virtually

pytest.importorskip("opentelemetry.sdk")

import contextlib

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as names
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import SpanKind, StatusCode

PIN = sf.Rule("pin", r"\d{4}")
ARRIVALS = ((0.5, "pin 12"), (0.7, "34"), (1.7, " ok"))
"""Texts, and when they arrive."""


async def allowed(window: sf.Window) -> bool:
    """A check that takes a quarter of a second."""
    await asyncio.sleep(0.25)
    return True


async def arriving(error: BaseException | None = None) -> AsyncIterator[str]:
    now = 0.0
    for when, text in ARRIVALS:
        await asyncio.sleep(when - now)
        now = when
        yield text
    if error is not None:
        raise error


async def read(stage: sf.Stage[str, str], *observers: observe.Observer, error: BaseException | None = None) -> None:
    context = sf.Context(observe=observers, clock=asyncio.get_running_loop(), tags={"tenant": "acme", "n": 3, "live": object()})
    async with stage(arriving(error), context=context) as stream:
        _ = [item async for item in stream]


def recorded(stage: sf.Stage[str, str], *, error: BaseException | None = None, **named: Any) -> dict[str, list[Any]]:
    """The data points of each metric, after one stream."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    observer = observe.metrics(provider.get_meter("streamfilter"), **named)
    with contextlib.suppress(OSError, sf.Blocked):
        run_virtually(read(stage, observer, error=error), debug=False)
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    provider.shutdown()
    return {metric.name: [metric, *metric.data.data_points] for metric in metrics}


def test_metrics_of_a_stream_by_the_conventions() -> None:
    """Names, units and buckets are those of OpenTelemetry; the times are those at which the chunks arrived."""
    points = recorded(sf.Redact(PIN), provider="openai", model="gpt-4o", attributes={"server.address": "example.com"})
    common = {
        names.GEN_AI_OPERATION_NAME: names.GenAiOperationNameValues.CHAT.value,
        names.GEN_AI_PROVIDER_NAME: names.GenAiProviderNameValues.OPENAI.value,
        names.GEN_AI_REQUEST_MODEL: "gpt-4o",
        "server.address": "example.com",
    }
    for name, count, total in (
        (gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION, 1, 1.7),
        (gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, 1, 0.5),
        (gen_ai_metrics.GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK, 2, 1.2),
        ("streamfilter.time_to_first_release", 1, 0.5),
        ("streamfilter.time_per_release", 2, 1.2),
        ("streamfilter.hold.max", 1, 0.2),
    ):
        metric, point = points[name]
        assert (point.count, metric.unit, dict(point.attributes)) == (count, "s", common), name
        assert point.sum == pytest.approx(total), name
        if name.startswith("gen_ai."):
            assert point.explicit_bounds == (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    _, found = points["streamfilter.findings"]
    assert found.value == 1
    assert found.attributes == {
        **common,
        "streamfilter.rule": "pin",
        "streamfilter.action": "redact",
        "streamfilter.channel": "answer",
    }
    _, ended = points["streamfilter.streams"]
    assert (ended.value, ended.attributes) == (1, {**common, "streamfilter.ending": "finished"})


@pytest.mark.parametrize(
    ("stage", "error", "ending", "kind"),
    [
        (sf.Redact(PIN), OSError("secret 1234"), "failed", "OSError"),
        (sf.Block(PIN), None, "stopped", "Blocked"),
        (sf.StopAt("ok"), None, "stopped", None),
    ],
)
def test_metrics_of_endings(stage: sf.Stage[str, str], error: BaseException | None, ending: str, kind: str | None) -> None:
    """The class of an error is told, and no message."""
    points = recorded(stage, error=error)
    _, duration = points[gen_ai_metrics.GEN_AI_CLIENT_OPERATION_DURATION]
    _, ended = points["streamfilter.streams"]
    assert duration.attributes.get(error_attributes.ERROR_TYPE) == ended.attributes.get(error_attributes.ERROR_TYPE) == kind
    assert ended.attributes["streamfilter.ending"] == ending


def test_metrics_of_checks() -> None:
    """Each answer of a check, with what it took."""
    _, point = recorded(sf.Moderate(allowed))["streamfilter.check.duration"]
    assert (point.count, point.sum) == (1, 0.25)


def spans(stage: sf.Stage[str, str], *, error: BaseException | None = None, **named: Any) -> Sequence[ReadableSpan]:
    """What is exported of one stream in a span of the caller's."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("app")

    async def main() -> None:
        with tracer.start_as_current_span("request"):
            await read(stage, observe.traces(tracer, **named), error=error)

    with contextlib.suppress(OSError, sf.Blocked):
        run_virtually(main(), debug=False)
    provider.shutdown()
    return exporter.get_finished_spans()


def test_the_span_of_a_stream() -> None:
    """Its name, kind, parent and attributes; each finding is an event; there is no text in it."""
    span, request = spans(sf.Redact(PIN), provider="anthropic", model="claude")
    assert (span.name, span.kind, request.name) == ("chat claude", SpanKind.CLIENT, "request")
    assert span.parent is not None
    assert request.context is not None
    assert span.parent.span_id == request.context.span_id
    attributes = dict(span.attributes or {})
    assert len(str(attributes.pop("streamfilter.pipeline"))) == 16
    assert "object object" in str(attributes.pop("streamfilter.tag.live"))
    assert attributes == {
        names.GEN_AI_OPERATION_NAME: "chat",
        names.GEN_AI_PROVIDER_NAME: "anthropic",
        names.GEN_AI_REQUEST_MODEL: "claude",
        names.GEN_AI_REQUEST_STREAM: True,
        names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: 0.5,
        "streamfilter.ending": "finished",
        "streamfilter.findings": 1,
        "streamfilter.checks": 0,
        "streamfilter.time_to_first_release": 0.5,
        "streamfilter.hold.p50": 0.0,
        "streamfilter.hold.p95": pytest.approx(0.2, rel=0.02),
        "streamfilter.hold.max": pytest.approx(0.2),
        "streamfilter.tag.tenant": "acme",
        "streamfilter.tag.n": 3,
    }
    (event,) = span.events
    assert event.name == "streamfilter.finding"
    assert dict(event.attributes or {}) == {
        "streamfilter.rule": "pin", "streamfilter.action": "redact", "streamfilter.channel": "answer", "streamfilter.start": 4, "streamfilter.end": 8,
    }  # fmt: skip
    assert "1234" not in span.to_json()


def test_a_span_of_an_error_says_its_class_and_not_its_message() -> None:
    """Of the source's, and of a stage's."""
    for stage, error, kind in ((sf.Redact(PIN), OSError("secret 1234"), "OSError"), (sf.Block(PIN), None, "Blocked")):
        span = spans(stage, error=error)[0]
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == kind
        assert (span.attributes or {})[error_attributes.ERROR_TYPE] == kind
        assert "1234" not in span.to_json()


def test_a_span_shows_only_so_many_findings() -> None:
    """Of very many findings all are counted, and the first hundred shown."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sf.Redact(PIN).apply("1234 " * 300, context=sf.Context(observe=[observe.traces(provider.get_tracer("app"))]))
    (span,) = exporter.get_finished_spans()
    assert (len(span.events), (span.attributes or {})["streamfilter.findings"]) == (100, 300)
    provider.shutdown()


@pytest.mark.parametrize("make", [observe.metrics, observe.traces])
def test_what_is_no_meter_or_tracer_is_refused(make: Any) -> None:
    """At once, with what is needed."""
    with pytest.raises(TypeError, match="of opentelemetry is needed"):
        make(object())


@pytest.mark.parametrize("make", [observe.metrics, observe.traces])
def test_without_opentelemetry_the_error_names_the_extra(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; all else of `observe` works without it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ModuleNotFoundError, match=r"streamfilter\[otel\]"):
        make(object())
