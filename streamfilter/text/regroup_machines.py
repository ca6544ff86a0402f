"""The text machines of the regrouping stages: text waits in the hold until a finder, or a user's function, says where a unit ends.

What a unit is, the finders know; what the stages are called and how large their units may be, `regroup` does.
"""

from __future__ import annotations

from collections.abc import Callable

import regex

from streamfilter.declaration import show
from streamfilter.hold import Hold
from streamfilter.machine import TextMachine
from streamfilter.segment import Finder, Paragraphs, Prose, Segmentation

FIRST_LOOK = 64
"""So many characters of a long piece a user's function is shown at first, then twice as many, and so on: if it were shown all of it
for each unit, a text in one piece would cost the square of its length."""


class Divided(TextMachine):
    """Each unit leaves when a finder reports its end."""

    passes_empty = False

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    def feed(self, text: str) -> None:
        finder = self.finder
        start = finder.start
        ends = finder.feed(text)
        if ends:
            self.hold.units(ends, start)

    def finish(self) -> None:
        rest = len(self.hold)
        if rest:
            self.hold.units((rest,), 0)


class Weighed(Divided):
    """The same with a finder that looks at the held text."""

    finder: Blocks | Spoken

    def feed(self, text: str) -> None:
        finder = self.finder
        finder.hold = self.hold
        start = finder.start
        ends = finder.feed(text)
        if ends:
            self.hold.units(ends, start)


class Blocks(Paragraphs):
    """Paragraphs that are not blank: blank lines before the first belong to it."""

    hold: Hold

    def counts(self, start: int, end: int) -> bool:
        at = self.hold.pos - self.start
        return not self.hold.buf[at + start : at + end].isspace()


class Spoken(Prose):
    """Sentences that are not too short, and divided at their best place where they are too long.

    Args:
        how: of sentences.
        min_chars: what a unit has at least, white space around it not counted. A shorter one goes on with the next sentence.
    """

    hold: Hold

    def __init__(self, how: Segmentation, min_chars: int) -> None:
        super().__init__(how)
        self._min = min_chars

    def counts(self, start: int, end: int) -> bool:
        at = self.hold.pos - self.start
        return len(self.hold.buf[at + start : at + end].strip()) >= self._min

    def split(self, start: int) -> int:
        at = self.hold.pos + start - self.start
        return start + best_split(self.hold.buf[at : at + self._max], self._min)


# Read backwards. Blanks are no part of them: a flood of blanks would be read again from each of its places.
ENDED = regex.compile(r"(?r)[\p{SB=STerm}\p{SB=ATerm}…][\p{SB=Close}*_~`]*")
CLAUSE = regex.compile(r"(?r)(?:[,;:)–—،؛]\p{SB=Close}*(?=\s)|[—，、；：])")
BLANK = regex.compile(r"(?r)\s")
BLANKS = regex.compile(r"\s*")
CLUSTER = regex.compile(r"\X")
LAST_CLUSTERS = 64  # characters among which the last grapheme begins, if it is one of those that people write


def best_split(text: str, min_chars: int = 1) -> int:
    """Where to divide a text that is as long as a unit may be: behind its last clause, else behind its last blank.

    A clause counts if it ends behind the first third of the text and has `min_chars`, a blank if so much is before it. Where there
    is none, the last grapheme goes to the next unit, for it may be unfinished.

    Example:
        >>> best_split("He came, saw the thing and w"), best_split("He came and saw it and w"), best_split("x" * 24)
        (9, 23, 24)
    """
    said = text.rstrip()
    if len(said) < len(text) and ENDED.match(said):
        return len(text)  # a sentence may have ended here: nothing has denied it yet
    for pattern, least in ((CLAUSE, max(min_chars, len(text) // 3)), (BLANK, min_chars)):
        found = pattern.search(text)
        end = BLANKS.match(text, found.end()).end() if found else 0  # type: ignore[union-attr]  # it matches everywhere
        if end >= least and not text[:end].isspace():
            return int(end)
    if text.isascii():
        return len(text)
    tail = max(0, len(text) - LAST_CLUSTERS)
    last = tail + [found.start() for found in CLUSTER.finditer(text[tail:])][-1]
    return last if last > tail else len(text)


class Asked(TextMachine):
    """Each unit leaves when a user's function says where it ends.

    Args:
        boundary: asked about the beginning of what is held, as `Segments` says.
        at_end: asked about what is left, if there is one.
        max_chars: how long a unit may be.
    """

    passes_empty = False

    def __init__(self, boundary: Callable[[str], int | None], at_end: Callable[[str], int | None] | None, max_chars: int) -> None:
        self._boundary = boundary
        self._at_end = at_end
        self._max = max_chars
        self._asked = 0  # characters of the held text that were found to have no certain end

    def feed(self, text: str) -> None:
        hold = self.hold
        boundary = self._boundary
        while True:
            buf, pos = hold.buf, hold.pos
            held = len(buf) - pos
            size = self._asked
            if held <= size:
                return
            room = min(held, self._max)
            end = None
            while end is None and size < room:
                size = room if room <= FIRST_LOOK else min(room, max(FIRST_LOOK, 2 * size))
                end = boundary(buf[pos : pos + size])
            if end is not None:
                _check(boundary, end, size)
            elif room < self._max:
                self._asked = room
                return
            hold.units((end or room,), 0)
            self._asked = 0

    def finish(self) -> None:
        hold = self.hold
        while rest := len(hold):
            end = self._at_end(hold.text) if self._at_end else None
            if end is not None:
                _check(self._at_end, end, rest)
            hold.units((end or rest,), 0)


def _check(boundary: Callable[[str], int | None] | None, end: object, chars: int) -> None:
    """See that what a user's function says of a text of so many characters makes sense."""
    if not isinstance(end, int) or isinstance(end, bool):
        raise TypeError(f"{show(boundary)} gave {type(end).__qualname__} for a boundary: an int or None is needed")
    if not 0 < end <= chars:
        raise ValueError(f"{show(boundary)} gave {end} for a boundary: 1 to {chars} are in the text it was given, or None")
