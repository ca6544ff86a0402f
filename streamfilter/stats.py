"""What was measured of one stream: counts, and how long things took. Values that are read; `metering` writes them.

No text is in here, and memory is bounded: what is asked of many numbers is answered from a histogram of a fixed size. How a stream
is run, and what a machine is, is not known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from streamfilter.display import table
from streamfilter.observer import Ending

ERROR = 0.02
"""The relative error of a quantile: a reader of milliseconds does not tell 49 from 50."""

LEAST_SECONDS = 1e-6
"""What is shorter counts as this: a microsecond is less than a machine takes to look at a chunk."""

MOST_SECONDS = 1e6
"""What is longer counts as this: eleven days."""

TITLES = ("stage", "chunks in", "out", "chars in", "out", "held", "most", "p50 s", "p95 s", "max s", "matches", "checks")
"""Of the columns of a table."""

_GAMMA = (1 + ERROR) / (1 - ERROR)
_LOG = math.log(_GAMMA)


class Spread:
    """How some durations are spread: how many, their sum, the shortest and the longest, and quantiles to within 2 %.

    The histogram has buckets that grow by a constant factor (the DDSketch of Masson, Rim and Lee, VLDB 2019), so it never has more
    than some 700 of them, however much is added.

    Attributes:
        count: how many; of durations of characters, so many characters.
        total: their sum, in seconds.
        least: the shortest, in seconds; 0 if there are none.
        most: the longest, in seconds; 0 if there are none.

    Example:
        >>> spread = Spread()
        >>> for milliseconds in range(1, 101):
        ...     spread.add(milliseconds / 1000)
        >>> spread.count, spread.most, round(spread.quantile(0.5), 2)
        (100, 0.1, 0.05)
    """

    __slots__ = ("_buckets", "_none", "count", "least", "most", "total")

    def __init__(self) -> None:
        self.count: int = 0
        self.total: float = 0.0
        self.least: float = 0.0
        self.most: float = 0.0
        self._none = 0  # those that took no time at all, as text does that is not held
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float, count: int = 1) -> None:
        """Take note of a duration, or of several that are equal."""
        if seconds < self.least or not self.count:
            self.least = seconds
        self.count += count
        if seconds <= 0:  # the usual case of text that is not held
            self._none += count
            return
        self.most = max(self.most, seconds)
        self.total += seconds * count
        bucket = math.ceil(math.log(min(max(seconds, LEAST_SECONDS), MOST_SECONDS)) / _LOG)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def quantile(self, share: float) -> float:
        """The duration that this share of them does not exceed, in seconds; 0 if there are none.

        Raises:
            ValueError: the share is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"quantile({share}): a share between 0 and 1 is needed")
        rank = max(1, math.ceil(share * self.count))
        if rank <= self._none:
            return 0.0
        seen = self._none
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                middle = 2 * _GAMMA**bucket / (_GAMMA + 1)
                return min(max(middle, self.least), self.most)
        return self.most

    @property
    def mean(self) -> float:
        """Their mean, in seconds; 0 if there are none."""
        return self.total / self.count if self.count else 0.0

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return self.quantile(0.5)

    @property
    def p95(self) -> float:
        """What 19 of 20 do not exceed, in seconds."""
        return self.quantile(0.95)

    def as_dict(self) -> dict[str, float]:
        """What one would write into a log."""
        return {"count": self.count, "mean": self.mean, "p50": self.p50, "p95": self.p95, "max": self.most}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spread):
            return NotImplemented
        return self.as_dict() == other.as_dict() and self._buckets == other._buckets

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Spread of {self.count}: p50 {self.p50:.3g} s, p95 {self.p95:.3g} s, max {self.most:.3g} s>"


@dataclass(slots=True)
class StageStats:
    """What one stage of a stream has done so far.

    Attributes:
        name: the class of the stage.
        chunks_in: items it was fed.
        chars_in: characters in them; a provider's chunk, which has no text before it is read, has none.
        chunks_out: items it gave.
        chars_out: characters in those.
        held: characters held now.
        most_held: the most held between two items.
        hold: how long characters stayed, in seconds, counted in characters. Those that left with the item that brought them
            stayed for none. Where several channels hold text at once, the oldest is taken to leave first.
        working: seconds in which the machine worked, with all that it called.
        matches: findings per rule.
        checks: how long checks took to answer, with their retries, in seconds.
    """

    name: str
    chunks_in: int = 0
    chars_in: int = 0
    chunks_out: int = 0
    chars_out: int = 0
    held: int = 0
    most_held: int = 0
    hold: Spread = field(default_factory=Spread)
    working: float = 0.0
    matches: dict[str, int] = field(default_factory=dict)
    checks: Spread = field(default_factory=Spread)

    def as_dict(self) -> dict[str, object]:
        """What one would write into a log."""
        given = {name: getattr(self, name) for name in self.__slots__}
        return {name: value.as_dict() if isinstance(value, Spread) else value for name, value in given.items()}


@dataclass(slots=True)
class Stats:
    """What was measured of one stream, while it runs and after.

    Seconds count from when the first item was asked for. Every item that arrives counts as a chunk, and every item that leaves.

    Attributes:
        stages: of each stage, in order. Behind a stage that has a pipeline inside, such as a `wrap`, come the stages of that.
        first_in: seconds until the first chunk arrived; None before.
        first_out: seconds until the first chunk left; None before.
        gaps_in: between one chunk that arrived and the next.
        gaps_out: between one chunk that left and the next.
        added: how long characters stayed in all stages together: what the pipeline added to their way.
        seconds: until the end of the stream, or until something last happened.
        working: seconds in which machines worked, with all that they called.
        ending: how it ended; None before.

    Example:
        >>> import streamfilter as sf
        >>> with sf.Redact("secret").iter(["a se", "cret"], context=sf.Context(stats=True)) as stream:
        ...     text = "".join(stream)
        >>> stage = stream.stats.stages[0]
        >>> stage.chars_in, stage.chars_out, stage.most_held, stage.matches, stream.stats.ending.how
        (8, 12, 2, {'redacted': 1}, 'finished')
    """

    stages: list[StageStats] = field(default_factory=list)
    first_in: float | None = None
    first_out: float | None = None
    gaps_in: Spread = field(default_factory=Spread)
    gaps_out: Spread = field(default_factory=Spread)
    added: Spread = field(default_factory=Spread)
    seconds: float = 0.0
    working: float = 0.0
    ending: Ending | None = None

    def as_dict(self) -> dict[str, object]:
        """What one would write into a log: numbers, and names of stages and rules."""
        spreads = {name: getattr(self, name).as_dict() for name in ("gaps_in", "gaps_out", "added")}
        return {
            "seconds": self.seconds,
            "working": self.working,
            "ending": None if self.ending is None else self.ending.how,
            "error": None if self.ending is None else self.ending.error,
            "first_in": self.first_in,
            "first_out": self.first_out,
            **spreads,
            "stages": [stage.as_dict() for stage in self.stages],
        }

    def __str__(self) -> str:
        rows = [TITLES, *map(_row, self.stages)]
        widths = [max(len(row[n]) for row in rows) for n in range(len(TITLES))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        return "\n".join([*lines, self._whole()])

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return f"{table(TITLES, map(_row, self.stages))}<p>{self._whole()}</p>"

    def _whole(self) -> str:
        """The last line: of the stream as a whole. No name of a stage is in it, nor anything else that would need escaping."""
        ending = "so far" if self.ending is None else str(self.ending)
        first = ", ".join(
            f"first {way} after {'–' if when is None else f'{when:.3g} s'}"
            for way, when in (("in", self.first_in), ("out", self.first_out))
        )
        return f"{self.seconds:.3g} s, {ending}; {first}; added {_durations(self.added)}"


def _row(stage: StageStats) -> tuple[str, ...]:
    counts = (stage.chunks_in, stage.chunks_out, stage.chars_in, stage.chars_out, stage.held, stage.most_held)
    times = (stage.hold.p50, stage.hold.p95, stage.hold.most)
    more = (sum(stage.matches.values()), stage.checks.count)
    return (stage.name, *map(str, counts), *(f"{seconds:.3g}" for seconds in times), *map(str, more))


def _durations(spread: Spread) -> str:
    return f"p50 {spread.p50:.3g} s, p95 {spread.p95:.3g} s, max {spread.most:.3g} s"
