"""Audit: a record of each finding and each ending, for whoever must be able to say later what was done, and never to what text."""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from streamfilter.context import Finding
from streamfilter.declaration import check_plain, is_async
from streamfilter.observer import Ending, Observer, Opened, Watch

Record: TypeAlias = dict[str, object]
"""What an audit writes: strings, numbers, `None`, lists, and the caller's tags."""

Sink: TypeAlias = Callable[[Record], object]
"""Where records go. It is called in the stream, which it holds up; what it raises ends the stream."""


@dataclass(frozen=True, slots=True)
class Audit(Observer):
    """Writes a record when a stream begins, for each finding, and for its ending, whatever that is. See `audit`.

    Args:
        sink: called with each record.
        now: gives the time of a record, in seconds since 1970.
    """

    sink: Sink
    now: Callable[[], float] = time.time

    def begin(self, stream: Opened) -> Watch:
        watch = _Writing(self, stream)
        watch.write("begin")
        return watch


def audit(sink: Sink, *, now: Callable[[], float] = time.time) -> Audit:
    """An observer that writes down what was done and how the stream ended, and never text.

    Each record has `time`, `stream` (a random name, one for all records of a stream), `pipeline` (a fingerprint), `tags`, and
    `event`. Of a `"finding"` also `rule`, `action`, `channel`, `key`, `start`, `end`, `score`. Of the `"end"` also `ending`,
    `error` (a class, never a message) and `findings` (their number per rule). The names of rules are written, so they should not
    be secret.

    Args:
        sink: called with each record, in order, and never awaited. What it raises ends the stream: what cannot be written down does
            not happen. One that waits, for a disk or a network, stalls the event loop: give `queue.SimpleQueue().put`, and let a
            thread of your own write.
        now: the clock of the records, in seconds since 1970.

    Raises:
        TypeError: `sink` cannot be called, or it or `now` is async.

    Example:
        >>> import streamfilter as sf
        >>> records = []
        >>> context = sf.Context(tags={"tenant": "acme"}, observe=[audit(records.append)])
        >>> sf.Redact("secret").apply("a secret", context=context)
        'a [redacted]'
        >>> [record["event"] for record in records]
        ['begin', 'finding', 'end']
        >>> records[1]["rule"], records[1]["start"], records[1]["end"], records[2]["ending"]
        ('redacted', 2, 8, 'finished')
    """
    if not callable(sink):
        raise TypeError(f"sink is {type(sink).__qualname__}: a function of a record is needed, such as list.append")
    if is_async(sink):
        raise TypeError("sink is async, and nothing awaits it: give a plain function, such as queue.put_nowait")
    check_plain("now", now)
    return Audit(sink, now)


class _Writing(Watch):
    """The records of one stream."""

    def __init__(self, audit: Audit, stream: Opened) -> None:
        self._audit = audit
        self._stream = stream
        self._same = {"stream": uuid.uuid4().hex, "pipeline": stream.pipeline}

    def write(self, event: str, **more: object) -> None:
        """Write a record."""
        tags = dict(self._stream.tags)
        given = self._audit.sink({"time": self._audit.now(), "event": event, **self._same, "tags": tags, **more})
        if inspect.iscoroutine(given):
            given.close()
            raise TypeError("the sink gave a coroutine, which nothing awaits: give a plain function, such as queue.put_nowait")

    def found(self, finding: Finding) -> None:
        channel = finding.channel
        self.write(
            "finding",
            rule=finding.rule,
            action=finding.action,
            channel=channel.kind,
            key=list(channel.key),
            start=finding.start,
            end=finding.end,
            score=finding.score,
        )

    def ended(self, ending: Ending) -> None:
        self.write("end", ending=ending.how, error=ending.error, findings=dict(self._stream.report.counts))
