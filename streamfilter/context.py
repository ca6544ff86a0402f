"""What one stream is started with, and what its stages found.

A `Context` is the caller's and may serve many streams; a `Report` belongs to one. Neither ever holds text that was redacted: a
vault does, which the caller puts into the context, and which shows nothing of it. What it costs to watch a stream, only a stream
that is watched pays.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

from streamfilter.declaration import is_async
from streamfilter.items import Channel, Key
from streamfilter.observer import Ending, Observer, Opened, Watch
from streamfilter.vault import Vault
from streamfilter.verdict import VerdictCache

if TYPE_CHECKING:
    from streamfilter.metering import Gauge
    from streamfilter.stats import StageStats

MAX_FINDINGS = 10_000
"""Findings that a report keeps one by one; beyond it they are only counted, so that a report on an endless stream stays bounded."""


AfterStop: TypeAlias = Literal["close", "drain"]
"""What happens to the source once a stage has ended the stream. `"close"`: it is closed at once, which saves tokens and loses a
usage chunk that would have come later. `"drain"`: it is read to its end, and only usage still passes."""


class Timed(Protocol):
    """What a clock was told to call, and may be told not to."""

    def cancel(self) -> object:
        """Do not call it."""


class Clock(Protocol):
    """What stages that wait for moments in time go by. The event loops of asyncio are clocks."""

    def time(self) -> float:
        """Seconds since some moment. They never run backwards."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timed:
        """Call something when it is that time, in the event loop that is running now."""
        ...


class Unbroken(Protocol):
    """A machine that gives text in pieces which half shown would show what is not there."""

    def gives_whole(self, kind: str) -> bool:
        """Whether it does so for a kind of channel. Else it lets its text pass."""
        ...

    def give_units(self, units: Callable[[str], list[str]], kinds: Sequence[str] | None) -> None:
        """A stage behind it will cut these units of these kinds: give each in a piece of its own instead, where that is whole.

        Args:
            units: divides a text.
            kinds: of channel; None is every kind but tool arguments.
        """
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a stage found, and what it did. It never holds the text.

    Attributes:
        rule: the name of the rule.
        action: `"redact"`, `"restore"`, `"block"` or `"stop"`; of a check also `"replace"`, `"flag"` (it was only watched) and
            `"release"` (it gave no verdict, and the text left without one).
        channel: where.
        start: its first character, counted in the channel's text as it reached the stage.
        end: the character after its last; None if the stream ended, or the limit was reached, before that was known.
        score: how sure a check was, if it said so.
        tags: the tags of the stream's context.

    Example:
        >>> import streamfilter as sf
        >>> with sf.Redact(sf.Rule("pin", "[0-9]{4}")).iter(["pin 12", "34"]) as stream:
        ...     text = "".join(stream)
        >>> (found,) = stream.report.findings
        >>> found.rule, found.action, found.start, found.end
        ('pin', 'redact', 4, 8)
    """

    rule: str
    action: str
    channel: Channel
    start: int
    end: int | None
    score: float | None = None
    tags: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Report:
    r"""What the stages of one stream have found so far.

    Attributes:
        counts: findings per rule.
        findings: the first `MAX_FINDINGS` of them, in the order in which they were decided. A match whose replacement had begun to
            leave when the stream was cut off comes last, with `end=None`.
        checks: how many windows of text checks were asked about; what a cache answered is not among them.
        checked_chars: how many characters these had.

    Example:
        >>> import streamfilter as sf
        >>> with sf.Redact(r"\d+").iter(["a1b", "22"]) as stream:
        ...     "".join(stream), stream.report.counts
        ('a[redacted]b[redacted]', {'redacted': 2})
    """

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    checks: int = 0
    checked_chars: int = 0


_NONE = cast("list[Watch]", ())  # most streams nobody watches


def _is_clock(given: object) -> bool:
    return not isinstance(given, type) and all(callable(getattr(given, name, None)) for name in ("time", "call_at"))


@dataclass(frozen=True)
class Context:
    """What a stream is started with: `stage(source, context=Context(tags={"tenant": "acme"}, observe=[audit]))`.

    Args:
        tags: whatever names the stream for those who watch it; they are on every `Finding`.
        observe: functions that are called with each `Finding` as it happens, once; and an `Observer` for more than that. What an
            observer raises ends the stream.
        vault: what `Redact(..., to=Placeholder())` remembers, and `Restore()` restores from. One caller's, over all their streams.
        verdicts: where `Moderate` remembers what its checks said of the same text before.
        clock: what `Pace`, `Coalesce`, `Timeout` and `KeepAlive` go by; without one, by the event loop that is running.
            Measurements go by it too; without one, by `time.perf_counter`.
        stats: whether to measure the streams, for `stream.stats`. Those that are not measured pay nothing.

    Attributes:
        report: of one stream: `stream.report`. That of a context one has made stays empty.
        after_stop: of one stream.
        is_started: whether it is of one stream: what it lacks then, no caller will add.
        seen: the choices that have come so far, whichever stage of one stream saw them: a stage that stops one must know of those
            whose text is still held before it.
        unbroken: of one stream: the machines begun so far whose pieces no stage behind them should cut.
        is_decoded: whether it is for what the strings in a JSON text say.
        gauge: of one stream that is measured: what does so.
        watches: of one stream: what its observers have made of it.

    Raises:
        TypeError: an argument is something else; an observer is async, so that nothing would await it.

    Example:
        >>> import streamfilter as sf
        >>> found = []
        >>> context = sf.Context(tags={"tenant": "acme"}, observe=[found.append])
        >>> sf.Redact(sf.Rule("pin", "[0-9]{4}")).apply("pin 1234", context=context)
        'pin [pin]'
        >>> found[0].rule, found[0].start, found[0].tags
        ('pin', 4, {'tenant': 'acme'})
    """

    tags: Mapping[str, object] = field(default_factory=dict)
    observe: Sequence[Callable[[Finding], object] | Observer] = ()
    vault: Vault | None = None
    verdicts: VerdictCache | None = None
    clock: Clock | None = None
    stats: bool = False
    report: Report = field(default_factory=Report, init=False, compare=False, repr=False)
    after_stop: AfterStop = field(default="close", init=False, compare=False, repr=False)
    is_started: bool = field(default=False, init=False, compare=False, repr=False)
    seen: set[Key] = field(default_factory=set, init=False, compare=False, repr=False)
    unbroken: list[Unbroken] = field(default_factory=list, init=False, compare=False, repr=False)
    is_decoded: bool = field(default=False, init=False, compare=False, repr=False)
    gauge: Gauge | None = field(default=None, init=False, compare=False, repr=False)
    _stage: StageStats | None = field(default=None, init=False, compare=False, repr=False)  # of the stage that this copy is for
    watches: list[Watch] = field(default=_NONE, init=False, compare=False, repr=False)
    _open: list[Finding] = field(default_factory=list, init=False, compare=False, repr=False)  # begun, and not found yet
    _last: list[Callable[[], object]] = field(default_factory=list, init=False, compare=False, repr=False)  # see `at_end`

    def __post_init__(self) -> None:
        if self.vault is not None and not isinstance(self.vault, Vault):
            raise TypeError(f"vault is {type(self.vault).__qualname__}: a Vault is needed")
        if self.verdicts is not None and not isinstance(self.verdicts, VerdictCache):
            raise TypeError(f"verdicts is {type(self.verdicts).__qualname__}: a VerdictCache is needed")
        if type(self.tags) is not dict and not isinstance(self.tags, Mapping):
            raise TypeError(f"tags is {type(self.tags).__qualname__}: a dict is needed, tags={{'tenant': 'acme'}}")
        if isinstance(self.observe, Observer) or callable(self.observe):
            raise TypeError("observe is one observer: a list of them is needed, observe=[...]")
        if type(self.observe) not in (tuple, list) and (isinstance(self.observe, str) or not isinstance(self.observe, Sequence)):
            kind = type(self.observe).__qualname__
            raise TypeError(f"observe is {kind}: a list of functions or Observers is needed, observe=[...]")
        for observer in self.observe:
            if isinstance(observer, type) or not (callable(observer) or isinstance(observer, Observer)):
                name = observer.__qualname__ if isinstance(observer, type) else type(observer).__qualname__
                raise TypeError(f"observe has {name}: a function of a Finding, or an Observer, is needed")
            if is_async(observer):
                raise TypeError("observe has an async function, and nothing awaits it: give a plain one")
        if self.clock is not None and not _is_clock(self.clock):
            raise TypeError(f"clock is {type(self.clock).__qualname__}: time() and call_at(when, callback) are needed")
        if not isinstance(self.stats, bool):
            raise TypeError(f"stats is {type(self.stats).__qualname__}: a bool is needed")

    @classmethod
    def with_vault(cls, given: Context | None) -> Context:
        """The context that was given, if any. One that has no vault gets its own."""
        if given is None:
            return cls(vault=Vault())
        return given if given.vault is not None else dataclasses.replace(given, vault=Vault())

    @classmethod
    def started(cls, given: Context | None, after_stop: AfterStop) -> Context:
        """What one stream gets: the context that it was given, if any, with an empty report."""
        started = cls() if given is None else dataclasses.replace(given)
        object.__setattr__(started, "after_stop", after_stop)
        object.__setattr__(started, "is_started", True)
        if started.observe:
            object.__setattr__(started, "watches", [])
        if started.stats or any(isinstance(observer, Observer) and observer.measures for observer in started.observe):
            from streamfilter.metering import Gauge  # noqa: PLC0415  # few streams are measured

            now = time.perf_counter if started.clock is None else started.clock.time
            object.__setattr__(started, "gauge", Gauge(now, started.watches))
        return started

    def of(self, stats: StageStats) -> Context:
        """The same context for one stage of a stream that is measured: what is found then counts as that stage's."""
        own = copy.copy(self)
        object.__setattr__(own, "_stage", stats)
        return own

    def decoded(self) -> Context:
        """The same context for what the strings in a JSON text say: there is one choice only in there, and no more JSON."""
        decoded = copy.copy(self)
        object.__setattr__(decoded, "seen", set())
        object.__setattr__(decoded, "unbroken", [])
        object.__setattr__(decoded, "is_decoded", True)
        object.__setattr__(decoded, "gauge", None)  # the stages in there are those of the stage that reads it
        return decoded

    def found(
        self,
        rule: str,
        action: str,
        channel: Channel,
        start: int,
        end: int | None,
        begun: Finding | None = None,
        *,
        score: float | None = None,
    ) -> None:
        """Report a finding. Offsets count the characters of the channel's text as it reached the stage.

        Args:
            begun: what `begun` gave for it.
        """
        if begun is not None:
            self._open.remove(begun)
        self._report(Finding(rule, action, channel, start, end, score, self.tags))

    def begun(self, rule: str, action: str, channel: Channel, start: int) -> Finding:
        """Take note of a finding whose end is open, though what stands in for it has begun to leave.

        It is reported when it is `found`; if the stream is cut off before, then.
        """
        finding = Finding(rule, action, channel, start, None, tags=self.tags)
        self._open.append(finding)
        return finding

    def at_end(self, call: Callable[[], object]) -> None:
        """Call this once the stream is over, however it ended."""
        self._last.append(call)

    def begin(self, stage: object) -> None:
        """The first item of a stream is asked for: its observers begin to watch it.

        Args:
            stage: what the stream was made by.
        """
        if self.gauge is not None:
            self.gauge.begin()
        for observer in self.observe:
            if isinstance(observer, Observer):
                stats = None if self.gauge is None else self.gauge.stats
                self.watches.append(observer.begin(Opened(self.tags, self.report, stats, stage)))

    @contextlib.contextmanager
    def checking(self) -> Iterator[None]:
        """A check is asked meanwhile."""
        if self.gauge is None:
            yield
            return
        began = self.gauge.now()
        yield
        self.gauge.checked(self._stage, self.gauge.now() - began)

    def ended(self, ending: Ending) -> None:
        """The stream is over: report what was begun and never found, and tell those who watch. The second time it does nothing."""
        self.unbroken.clear()  # they know this: without them they are gone with the stream
        try:
            while self._open:
                self._report(self._open.pop(0))
        finally:
            try:
                self._at_end()
            finally:
                if self.gauge is not None and self.gauge.stats.ending is None:
                    self.gauge.end(ending)
                self._tell(ending)

    def _tell(self, ending: Ending) -> None:
        """Whatever one of them raises, all are told."""
        try:
            while self.watches:
                self.watches.pop(0).ended(ending)
        finally:
            if self.watches:
                self._tell(ending)

    def _at_end(self) -> None:
        """Whatever one of them raises, all are called."""
        try:
            while self._last:
                self._last.pop(0)()
        finally:
            if self._last:
                self._at_end()

    def _report(self, finding: Finding) -> None:
        report = self.report
        report.counts[finding.rule] = report.counts.get(finding.rule, 0) + 1
        if len(report.findings) < MAX_FINDINGS:
            report.findings.append(finding)
        if self._stage is not None:
            self._stage.matches[finding.rule] = self._stage.matches.get(finding.rule, 0) + 1
        for observer in self.observe:
            if not isinstance(observer, Observer):
                observer(finding)
        for watch in self.watches:
            watch.found(finding)
