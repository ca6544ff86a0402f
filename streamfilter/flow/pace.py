"""`Pace`: bursts of text leave at a steady rate, and never late.

The machine is a queue. Each unit of text in it costs some seconds; the next leaves when those of the last one have passed. A piece
of text that would leave too late at this rate needs a higher one: all that stands before it, over the greatest lag. The rate is at
any moment the highest that a waiting piece needs, so the lag of each is bounded, and a burst leaves evenly instead of in a heap.
"""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from streamfilter.context import Context
from streamfilter.declaration import Seconds
from streamfilter.display import counted
from streamfilter.flow.delaying import Delaying
from streamfilter.flow.timer import TOLERANCE
from streamfilter.items import PLAIN, Channel, End, Event, Item, TextDelta, Usage
from streamfilter.machine import Machine, TextMachine, mapping
from streamfilter.pipeline import TextStage, stage

MAX_LAG = 1.0
"""Seconds: a reader of smooth text does not notice that it is a second old, and one who waits for the end does not mind."""

MAX_HOLD = 10_000
"""Characters: more than a model gives within `MAX_LAG`. What comes from a cache or a file in one go need not be smooth."""

MAX_ITEMS = 10_000
"""Pieces and events that may wait: some are without text, and no limit on characters meets them."""

_UNITS = {
    "word": re.compile(r"\s*+\S+\s*+|\s+"),  # with the white space around it: a model's tokens begin with theirs
    "line": re.compile(r"[^\n]*+\n|[^\n]+"),
    "char": re.compile(r"(?s)."),
}

_BEGINS = {"word": re.compile(r"(?<=\s)(?=\S)"), "line": re.compile(r"(?<=\n)"), "char": re.compile("")}
"""Where a unit begins that is not the first."""

_Cut: TypeAlias = Callable[[str], list[str]]

Unit: TypeAlias = Literal["word", "line", "char", "chunk"]


@stage
class Pace(TextStage):
    r"""Let text leave at a steady rate, so that bursts read smoothly. It applies to the answer.

    The first unit after a silence leaves at once, each further one when the time of the one before it has passed. No character
    leaves later than `max_lag` seconds after it came: where the rate is too low for that, it rises, evenly. At the end of the
    stream too, the rest leaves at that rate.

    Nothing changes its order: text of other channels and events wait behind what came before them; only events without a place
    pass at once. A unit is not waited for to be complete: what has come of a word is one, and what continues a word that has begun
    to leave has no delay. For whole words, write `Words() | Pace(...)`. Behind `Markdown()`, what is half shown otherwise is a
    unit: a link, an emphasis, a row of a table.

    Without an event loop no time passes: all leaves at once, cut as it would be.

    Args:
        chars_per_second: the rate: this, or `delay`.
        delay: seconds from one unit to the next.
        by: what leaves at a time: a `"word"` with the white space around it, a `"line"`, a `"char"`, or a `"chunk"` as it came.
        max_lag: seconds that a character may stay at most.
        max_hold: characters that may wait; if there are more, the oldest leave at once.
        channels: the kinds of channel it applies to; None is every kind but tool arguments. All of them together have
            the rate.

    Raises:
        ValueError: there is no rate, or there are two; or an argument makes no sense.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.testing import run_virtually  # as asyncio.run, in virtual time
        >>> run_virtually(sf.Pace(delay=0.1).aapply("one two three"))
        'one two three'
        >>> list(sf.Pace(chars_per_second=80).iter(["one two", " three"]))
        ['one ', 'two', ' three']
    """

    chars_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = dataclasses.field(default=None, kw_only=True)
    delay: Seconds | None = dataclasses.field(default=None, kw_only=True)
    by: Unit = dataclasses.field(default="word", kw_only=True)
    max_lag: Seconds = dataclasses.field(default=MAX_LAG, kw_only=True)
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            chars_per_second: float | None = ...,
            delay: float | None = ...,
            by: Unit = ...,
            max_lag: float = ...,
            max_hold: int = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        if (self.chars_per_second is None) == (self.delay is None):
            raise ValueError("a rate is needed, and one only: chars_per_second=80, or delay=0.05 from unit to unit")

    def start(self, context: Context | None = None) -> TextMachine:
        return mapping(str)  # a run by itself has no clock

    def machine(self, context: Context | None = None) -> Machine:
        return _Pacing(self, context or Context())

    def holds(self) -> str:
        if self.delay:
            rate = f"{counted(self.delay, 'second')} a {self.by}"
        else:
            rate = f"{counted(self.chars_per_second or 0, 'character')} a second"
        most = f"{counted(self.max_lag, 'second')} at most, and {counted(self.max_hold, 'character')}"
        return f"lets text leave at {rate}; holds each character {most}"


class _Pacing(Delaying):
    def __init__(self, stage: Pace, context: Context) -> None:
        super().__init__("Pace", stage.channels, context)
        self._cut: _Cut = _whole if stage.by == "chunk" else _UNITS[stage.by].findall
        self._unbroken = tuple(context.unbroken)
        for machine in self._unbroken:
            machine.give_units(self._cut, stage.channels)
        self._by = stage.by
        self._delay = stage.delay
        self._each = 1 / stage.chars_per_second if stage.chars_per_second else 0.0
        self._max_lag = stage.max_lag
        self._max_hold = stage.max_hold
        self._cuts: dict[Channel, _Cut | None] = {}  # of the channels that have come; None: its text is not paced
        self._last: dict[Channel, str] = {}  # the last character of these
        # (item, characters, seconds that it costs). What costs nothing leaves with what is before it.
        self._queue: deque[tuple[Item, int, float]] = deque()
        self._chars = 0  # in the queue
        self._work = 0.0  # seconds that it costs
        self._free = 0.0  # when the next may leave
        self._speed = 1.0  # seconds that are worked off in a second
        self._left = 0  # items that have left the queue
        # (speed, the number of the last item it is for), of pieces that need more than 1: falling speeds, rising numbers.
        self._needs: deque[tuple[float, int]] = deque()

    def attach(self, wake: Callable[[], None]) -> None:
        super().attach(wake)
        self._free = self._timer.now()

    def feed(self, item: Item) -> Sequence[Item]:
        if type(item) is str:
            text, channel = item, PLAIN
        elif type(item) is TextDelta:
            text, channel = item.text, item.channel
        else:
            return self._event(item)
        cut = self._cuts[channel] if channel in self._cuts else self._open(channel)
        if cut is None or not text:
            return self._pass(item, len(text))
        if not self._timer.is_running:
            return _items(item, cut(text))
        is_large = cut is not _whole and len(text) > self._max_hold
        pieces = self._last_of(text) if is_large else cut(text)
        first = _UNITS[self._by].match(text)[0] if is_large else pieces[0]  # type: ignore[index]  # it has text, so it matches
        cost = self._cost(channel, first)
        if self._delay is not None and self._by != "chunk":
            self._last[channel] = text[-1]
        if len(first) == len(text) and not self._queue:
            if not cost:
                return (item,)
            now = self._timer.now()
            if self._free <= now + TOLERANCE:  # the usual case of a source that is slower than the rate
                self._free = now + cost
                return (item,)
        return self._arrive(item, pieces, cost, len(text))

    def finish(self) -> Sequence[Item]:
        return ()  # what waits leaves in its time

    def collect(self) -> Sequence[Item]:
        return self._due(self._timer.now()) if self._queue and self._timer.is_running else ()

    def rescue(self) -> Sequence[Item]:
        usage = [item for item, _, _ in self._queue if isinstance(item, Usage)]
        self.cancel()
        return usage

    def cancel(self) -> Sequence[Awaitable[object]]:
        self._timer.stop()
        self.is_full = False
        self._queue.clear()
        self._chars = 0
        return ()

    @property
    def is_waiting(self) -> bool:
        return bool(self._queue)

    @property
    def is_pending(self) -> bool:  # type: ignore[override]  # it is not set, but seen
        """Whether anything waits for its time."""
        return bool(self._queue)

    @property
    def held(self) -> int:
        return self._chars

    # ------------------------------------------------------------------ what arrives

    def _open(self, channel: Channel) -> _Cut | None:
        """The first text of a channel has come: how it is cut, if it is paced."""
        cut: _Cut | None = None
        if self._keeps(channel):
            cut = _whole if any(machine.gives_whole(channel.kind) for machine in self._unbroken) else self._cut
        self._cuts[channel] = cut
        return cut

    def _last_of(self, text: str) -> list[str]:
        """The units of a text that is longer than what may be held, with those in one piece that will leave at once."""
        begin = len(text) - self._max_hold
        if self._by == "word":
            begin = max(begin, len(text) - len(text.lstrip()) + 1)  # the first one has the white space before it
        found = _BEGINS[self._by].search(text, begin)
        return [text[: found.start()], *self._cut(text[found.start() :])] if found else [text]

    def _placed(self, event: Event) -> Sequence[Item]:
        if isinstance(event, End):
            if event.is_broken_off:
                return [*self.rescue(), *self._pass(event, 0)]
            self.is_full = True
        return self._pass(event, 0)

    def _pass(self, item: Item, chars: int) -> Sequence[Item]:
        """What is not paced: it leaves behind what came before it."""
        if not self._queue:
            if isinstance(item, End):
                self._end()
            return (item,)
        out: list[Item] = []
        self._make_room(chars, out)
        if not self._queue:
            return [*out, item]
        self._queue.append((item, chars, 0.0))
        self._chars += chars
        return out

    def _cost(self, channel: Channel, piece: str) -> float:
        """Seconds for the first piece of a text: what continues a unit is a part of it."""
        if self._delay is None:
            return self._each * len(piece)
        last = self._last.get(channel, "\n")
        if self._by == "word":
            return 0.0 if piece.isspace() or not (last.isspace() or piece[0].isspace()) else self._delay
        return 0.0 if self._by == "line" and last != "\n" else self._delay

    def _arrive(self, item: str | TextDelta, pieces: list[str], cost: float, chars: int) -> Sequence[Item]:
        """Text comes that has to wait, at least in part."""
        out: list[Item] = []
        if self._chars + chars > self._max_hold or len(self._queue) >= MAX_ITEMS:
            self._make_room(chars, out)
            pieces = self._let_pass(item, pieces, chars - self._max_hold, out)
        now = self._timer.now()
        queue = self._queue
        if not queue:
            self._free = max(self._free, now)
        delay, each = self._delay, self._each
        for n, each_item in enumerate(_items(item, pieces)):
            size = len(pieces[n])
            seconds = cost if n == 0 else each * size if delay is None else delay
            queue.append((each_item, size, seconds))
            self._chars += size
            self._work += seconds
        pause = max(0.0, self._free - now) * self._speed
        need = (pause + self._work) / self._max_lag
        if need > 1:
            self._need(need, now + pause / max(need, self._speed))
        return [*out, *self._due(now)]

    def _need(self, need: float, free: float) -> None:
        """What has come last needs so high a speed; at that, the next may leave at `free`."""
        needs = self._needs
        while needs and needs[-1][0] <= need:
            needs.pop()
        needs.append((need, self._left + len(self._queue)))
        if need > self._speed:
            self._speed = need
            self._free = free

    # ------------------------------------------------------------------ what leaves

    def _due(self, now: float) -> list[Item]:
        """What may leave by now."""
        out: list[Item] = []
        queue = self._queue
        soon = now + TOLERANCE
        while queue and (not queue[0][2] or self._free <= soon):
            seconds = self._take(out, now)
            if seconds:
                self._free += seconds / self._speed
        if queue:
            self._timer.set(self._free)
        elif out and isinstance(out[-1], End):
            self._end()
        return out

    def _take(self, out: list[Item], now: float) -> float:
        """The next item of the queue leaves; how many seconds it costs."""
        item, chars, seconds = self._queue.popleft()
        out.append(item)
        self._left += 1
        self._chars -= chars
        self._work = self._work - seconds if self._queue else 0.0  # sums drift
        needs = self._needs
        if needs and needs[0][1] <= self._left:
            needs.popleft()
            speed = needs[0][0] if needs else 1.0
            self._free = now + (self._free - now) * self._speed / speed  # what is left of a pause is longer then
            self._speed = speed
        return seconds

    def _make_room(self, chars: int, out: list[Item]) -> None:
        """The oldest leave at once, if too much waits with what has come."""
        now = self._timer.now()
        while self._queue and (self._chars + chars > self._max_hold or len(self._queue) >= MAX_ITEMS):
            self._take(out, now)
        while self._queue and not self._queue[0][2]:
            self._take(out, now)

    def _let_pass(self, item: str | TextDelta, pieces: list[str], excess: int, out: list[Item]) -> list[str]:
        """So many characters of a text that is longer than what may be held leave at once; what stays of it."""
        passed: list[str] = []
        n = 0
        while n < len(pieces) and (excess > 0 or len(pieces) - n > MAX_ITEMS):
            passed.append(pieces[n])
            excess -= len(pieces[n])
            n += 1
        if passed:
            out += _items(item, ["".join(passed)])
        return pieces[n:]

    def _end(self) -> None:
        self.ended = True
        self.is_full = False  # what is read on for its usage passes
        self._timer.stop()


def _whole(text: str) -> list[str]:
    return [text]


def _items(item: str | TextDelta, pieces: list[str]) -> Sequence[Item]:
    """The pieces of a text, each on the chunk that brought it."""
    if len(pieces) == 1 and len(pieces[0]) == len(item if isinstance(item, str) else item.text):
        return (item,)
    if isinstance(item, str):
        return pieces
    return [TextDelta(piece, item.channel, item.origin) for piece in pieces]
