"""What the gateway counts, in the text that Prometheus reads.

No label comes from a request: methods and paths are not counted, pipelines have the names that the file gives them. The names of
rules are the pipelines'; those that a check makes up as it goes are cut off at a number.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streamfilter.context import Report
from streamfilter.gateway.exchange import Exchange

MAX_RULES = 1000
"""Names of rules that are counted one by one: a time series each, which Prometheus keeps for weeks."""

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""From a list of models to the longest answers."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counts:
    """The numbers of one gateway.

    Args:
        broken: whether the file of pipelines is broken, and the last good ones are in use.

    Example:
        >>> counts = Counts(lambda: False)
        >>> counts.ended(Exchange(pipeline="main", status=200), 0.5)
        >>> b'streamfilter_exchanges_total{ending="ok",pipeline="main",status="2xx"} 1.0' in counts.text()
        True
    """

    def __init__(self, broken: Callable[[], bool]) -> None:
        self._registry = registry = CollectorRegistry()
        self._rules: set[str] = set()
        self._exchanges = Counter(
            "streamfilter_exchanges",
            "Requests, by how they ended.",
            ("pipeline", "status", "ending"),
            registry=registry,
        )
        self._findings = Counter("streamfilter_findings", "What rules and checks found.", ("pipeline", "rule"), registry=registry)
        self._seconds = Histogram(
            "streamfilter_exchange_seconds",
            "From a request's headers to the end of its response.",
            ("pipeline",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.open: Gauge = Gauge("streamfilter_open", "Requests that are being served.", registry=registry)
        gauge = Gauge("streamfilter_pipelines_broken", "1 while the file of pipelines is broken.", registry=registry)
        gauge.set_function(lambda: float(broken()))

    def found(self, exchange: Exchange, report: Report) -> None:
        """Count what the stages of an exchange found."""
        for rule, count in report.counts.items():
            if rule not in self._rules:
                rule = rule if len(self._rules) < MAX_RULES else "other"  # noqa: PLW2901
                self._rules.add(rule)
            self._findings.labels(exchange.pipeline, rule).inc(count)

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """Count an exchange."""
        status = f"{exchange.status // 100}xx" if exchange.status else "none"
        self._exchanges.labels(exchange.pipeline, status, exchange.ending).inc()
        self._seconds.labels(exchange.pipeline).observe(seconds)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)
