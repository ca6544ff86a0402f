r"""Loops: `Repetition` ends a choice whose model says the same again and again.

The meaning, on the whole text of a run: the text is too much at the first place where it ends in some unit `max_repeats` + 1 times
in a row, the unit having `min_chars` to `max_period` characters; the shortest such unit counts. All but the last of these repeats
is delivered. So characters, words and lines need no rules of their own: a row of dashes is a unit of `min_chars` dashes.

How it is found in linear time. What repeats with a period has it in its last characters too, and those stood there before, one
period ago. So now and then, at *checkpoints*, the last `gram` characters are looked for in what came just before them. If they are
at least as many as the period, the nearest place is exactly one period away: were it nearer, the gram would have two periods and,
by the theorem of Fine and Wilf, so would one that divides both, and the period would not be the shortest. From there the loop is
followed back to its beginning, which says where it will be too much, and forward with the text. Periods come in *scales*, each
with a gram as long as its longest, and with checkpoints so close that one of them lies between the moment when a loop can be seen
and the one when its last repeat, which has to be held, begins. That takes `max_repeats` of at least 3.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.errors import Blocked
from streamfilter.items import End, Finish
from streamfilter.machine import Machine, TextMachine
from streamfilter.pipeline import TextStage, stage

MAX_REPEATS = 10
"""Refrains come four times, rows of a table that are all alike perhaps eight; loops go on until the tokens are used up."""

MIN_CHARS = 20
"""With `MAX_REPEATS`, a row of one character may have 219, which is wider than rules, tables and indentation are."""

MAX_PERIOD = 1000
"""A long paragraph, or some. Of the text so far, `MAX_REPEATS` times as much is kept, which is about a page for each."""


@stage
class Repetition(TextStage):
    r"""End a choice whose model loops: it has said the same more than so many times in a row. It applies to answer and reasoning.

    The same may be a line, a paragraph, a cycle of words, some characters: any text of `min_chars` to `max_period` characters, or
    a shorter one that comes so often that several of it have `min_chars`. The first `max_repeats` are delivered. The next is held
    as long as it is the same, and dies when it is complete. Nothing else is held, and in no case more than `max_period` characters.

    Args:
        max_repeats: how often the same may come in a row, at least 3.
        min_chars: the shortest unit that is counted.
        max_period: the longest.
        action: `"stop"` stops the choice, as `StopAt` does; `"raise"` ends the stream with `Blocked`.
        reason: with `"stop"`, the choice's reason to finish. Some clients take "length" for an error; "stop" never is.
        choices: how many choices the stream will have: it is not over before all have been seen.

    Raises:
        ValueError: `max_period` is less than `min_chars`.
        Blocked: while streaming, if `action="raise"`: with the rule "repetition" and the offset, never the text.

    Example:
        >>> import streamfilter as sf
        >>> stage = sf.Repetition(max_repeats=3, min_chars=5)
        >>> list(stage.iter(["So: ", "and on, and on, an", "d on, and", " on, and on, "]))
        ['So: ', 'and on, and on, an', 'd on,']
    """

    max_repeats: Annotated[int, Field(strict=True, ge=3)] = dataclasses.field(default=MAX_REPEATS, kw_only=True)
    min_chars: Annotated[int, Field(strict=True, ge=1)] = dataclasses.field(default=MIN_CHARS, kw_only=True)
    max_period: Annotated[int, Field(strict=True, ge=1)] = dataclasses.field(default=MAX_PERIOD, kw_only=True)
    action: Literal["stop", "raise"] = dataclasses.field(default="stop", kw_only=True)
    reason: Annotated[str, Field(min_length=1)] = dataclasses.field(default="length", kw_only=True)
    choices: Annotated[int, Field(ge=1)] = dataclasses.field(default=1, kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=("answer", "reasoning"), kw_only=True)

    def compile(self) -> None:
        if self.max_period < self.min_chars:
            raise ValueError(f"max_period is {self.max_period}, less than min_chars, which is {self.min_chars}")

    def start(self, context: Context | None = None) -> TextMachine:
        return _Watcher(self, context or Context())

    def machine(self, context: Context | None = None) -> Machine:
        return self._lift(context, self.choices)

    def holds(self) -> str:
        return holding(f"what would be the same more than {self.max_repeats} times", self.max_period)


class _Scale(NamedTuple):
    """Periods of some sizes.

    Attributes:
        gram: how many characters are looked for: the longest of these periods.
        every: characters from one checkpoint to the next.
    """

    gram: int
    every: int


def _scales(repeats: int, shortest: int, longest: int) -> list[_Scale]:
    """A loop with the period p and a unit of k characters can be seen when it has gram + p of them, and its last repeat begins when
    it has k * repeats: so far may checkpoints be apart."""
    scales = [_Scale(shortest, (repeats - 2) * shortest)]
    while (before := scales[-1].gram) < longest:
        gram = min(longest, max(before + 1, before * repeats // 2))
        scales.append(_Scale(gram, (repeats - 1) * (before + 1) - gram))
    return scales


class _Loop(NamedTuple):
    """A loop under way.

    Attributes:
        period: its shortest.
        seen: where it was seen.
        wheel: how it goes on from there, for a while, and from everywhere within the period.
        allowed: the end of the repeats that may be.
        full: the end of the one that may not.
    """

    period: int
    seen: int
    wheel: str
    allowed: int
    full: int


class _Watcher(TextMachine):
    """Places are counted in characters of the run."""

    def __init__(self, stage: Repetition, context: Context) -> None:
        self._stage = stage
        self._found = context.found
        self._scales = _scales(stage.max_repeats, stage.min_chars, stage.max_period)
        self._kept = stage.max_repeats * stage.max_period + 1
        self._history = ""  # up to the last checkpoint
        self._recent: list[str] = []  # since then
        self._loops: list[_Loop] = []
        self._at = self._left = 0  # the end of the text, and the beginning of what is held
        self._next = self._distance()  # the next checkpoint

    def feed(self, text: str) -> None:
        if not self._loops and self._at + len(text) < self._next:
            self._recent.append(text)
            self._at = self._left = self._at + len(text)
            self.hold.keep(len(text))
            return
        done = 0
        while done < len(text):
            stop = min(self._next, *(loop.full for loop in self._loops), self._at + len(text) - done) - self._at + done
            part = text[done:stop]
            self._loops = [loop for loop in self._loops if loop.wheel.startswith(part, (self._at - loop.seen) % loop.period)]
            self._at += len(part)
            done = stop
            full = [loop for loop in self._loops if loop.full == self._at]
            if full:
                self._stop(max(loop.allowed for loop in full))
                return
            self._recent.append(part)
            if self._at == self._next:
                self._look()
        upto = min(self._at, *(loop.allowed for loop in self._loops), self._at)
        if upto > self._left:
            self.hold.keep(upto - self._left)
            self._left = upto

    def _distance(self) -> int:
        """How far it is to the next checkpoint."""
        return min(scale.every - self._at % scale.every for scale in self._scales)

    def _look(self) -> None:
        """This is a checkpoint: look for loops."""
        history, self._history = self._history, ""  # with no other reference to it, CPython grows a string in place
        history += "".join(self._recent)
        self._recent.clear()
        if len(history) > 2 * self._kept:
            history = history[-self._kept :]
        self._history = history
        for scale in self._scales:
            if self._at % scale.every == 0:
                backwards = history[: -2 * scale.gram - 1 : -1]
                period = backwards.find(backwards[: scale.gram], 1)
                if period > 0 and all(loop.period != period for loop in self._loops):
                    self._follow(period, scale.gram)
        self._next = self._at + self._distance()

    def _follow(self, period: int, seen: int) -> None:
        """The last `seen` characters are those one period ago: a loop, unless its shortest unit is too long."""
        stage = self._stage
        unit = -(-stage.min_chars // period) * period
        if unit > stage.max_period:
            return
        history = self._history
        end = len(history)
        sizes = range(seen + 1, min(end - period, self._kept) + 1)
        differs = bisect_left(sizes, True, key=lambda size: history[end - size :] != history[end - size - period : end - period])
        begin = self._at - (seen + differs) - period
        allowed = begin + stage.max_repeats * unit
        turn = history[end - period :]
        wheel = turn * (2 + self._scales[0].every // period)
        self._loops.append(_Loop(period, self._at, wheel, allowed, allowed + unit))

    def _stop(self, allowed: int) -> None:
        hold = self.hold
        hold.keep(allowed - self._left)
        is_stop = self._stage.action == "stop"
        self._found("repetition", "stop" if is_stop else "block", hold.channel, hold.offset, hold.offset + self._at - allowed)
        if is_stop:
            self.done = Finish(self._stage.reason)
        else:
            self.done = End("blocked", Blocked("repetition", hold.offset, hold.channel.kind))
