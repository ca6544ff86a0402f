"""Finders: where the segments of one text end, found while it arrives. One class for each kind of segment; sentences and graphemes
have modules of their own.

The rules they keep are those of the package. What a kind is called, and how large its segments may be, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfilter.segment.segmentation import Segmentation


# With `re`, so that blanks are what `str.split` takes for them.
NEWLINE = re.compile(r"\r\n?|\n")
BLANKS = re.compile(r"[ \t\r\n]*")
WORD = re.compile(r"\S+")


class Finder:
    """The boundaries of one run of text. This one knows no end but the largest size; the others say which natural ends there are.

    Attributes:
        start: where the unfinished segment begins, in characters since the run began.

    Example:
        >>> from streamfilter.segment import by_sentence
        >>> finder = by_sentence().start()
        >>> finder.feed("How so? "), finder.feed("I ask you"), finder.cut()
        ([], [8], 17)
    """

    def __init__(self, how: Segmentation) -> None:
        self._how = how
        self._max = how.max_chars
        self._seen = 0  # characters fed
        self.start: int = 0

    def feed(self, text: str) -> list[int]:
        """Take in more of the text, and give the ends that are certain now, ascending, in characters since the run began."""
        ends: list[int] = []
        start, most = self.start, self._max
        for end, certain in self._natural(text):
            while certain - start > most:
                start = self.split(start)
                ends.append(start)
            if end > start and self.counts(start, end):
                start = end
                ends.append(end)
        self._seen += len(text)
        while self._seen - start >= most:
            start = self.split(start)
            ends.append(start)
        self.start = start
        return ends

    def cut(self) -> int | None:
        """End the unfinished segment here: time is up, or the run has ended. Gives its end, or None if it is empty.

        Natural ends of sentences, paragraphs and lines stay where they are in the whole text. Words are counted anew.
        """
        if self._seen == self.start:
            return None
        self.start = self._seen
        return self._seen

    def _natural(self, text: str) -> Iterable[tuple[int, int]]:
        """The natural ends that become certain in this text: each with the count of characters at which it does, in that order."""
        return ()

    def counts(self, start: int, end: int) -> bool:
        """Whether the natural end that was just given ends the segment that begins at `start`. Who sees the text may say no."""
        return True

    def split(self, start: int) -> int:
        """Where a segment of the largest size ends: behind its last character, or earlier, which who sees the text may prefer."""
        return start + self._max


class Lines(Finder):
    """Lines as Python's universal newlines know them."""

    _held = ""  # a carriage return that was last: perhaps a line feed comes

    def feed(self, text: str) -> list[int]:
        seen = self._seen + len(text)
        if self._held or seen >= self.start + self._max or "\n" in text or "\r" in text:
            return super().feed(text)
        self._seen = seen  # most pieces
        return []

    def _natural(self, text: str) -> Iterator[tuple[int, int]]:
        offset = self._seen - len(self._held)
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        for found in NEWLINE.finditer(text, 0, len(text) - len(self._held)):
            end = offset + found.end()
            yield end, end + (found[0] == "\r")  # it takes one more character to know that it is alone


class Paragraphs(Finder):
    r"""Paragraphs, which end where `\n[ \t\r]*\n(?:[ \t\r]*\n)*` does."""

    _newlines = 0  # in the blanks that are last
    _end = 0  # behind the last of these newlines

    def feed(self, text: str) -> list[int]:
        seen = self._seen + len(text)
        if self._newlines or seen >= self.start + self._max or "\n" in text:
            return super().feed(text)
        self._seen = seen  # most pieces
        return []

    def _natural(self, text: str) -> Iterator[tuple[int, int]]:
        seen = self._seen
        at = 0
        while True:
            if not self._newlines and (at := text.find("\n", at)) < 0:
                return
            stop = BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches everywhere
            if newlines := text.count("\n", at, stop):
                self._newlines += newlines
                self._end = seen + text.rfind("\n", at, stop) + 1
            if stop == len(text):
                return
            if self._newlines > 1:
                yield self._end, seen + stop + 1
            self._newlines = 0
            at = stop


class Words(Finder):
    """So many words, with the blanks behind them. The beginning of every word is a natural end, and these are counted."""

    _word = 0  # where the last word ended
    _begun = 0  # where the segment begins whose words are counted
    _count = 0

    def feed(self, text: str) -> list[int]:
        seen, start = self._seen, self.start
        if seen + len(text) >= start + self._max or self._how.size != 1:
            return super().feed(text)
        # The usual case, word by word, and none too long: the same without the calls, and without an expression, which takes longer
        # to begin than the text has characters.
        word = self._word
        ends: list[int] = []
        last = 0
        for found in text.split():
            first = text.find(found, last)
            last = first + len(found)
            if seen + first > word > start:
                start = seen + first
                ends.append(start)
            word = seen + last
        self._word = word
        self._seen = seen + len(text)
        self.start = start
        return ends

    def _natural(self, text: str) -> Iterator[tuple[int, int]]:
        seen = self._seen
        for found in WORD.finditer(text):
            at = seen + found.start()
            if at > self._word:  # else it goes on with the word that was last
                yield at, at + 1
            self._word = seen + found.end()

    def counts(self, start: int, end: int) -> bool:
        if start != self._begun:
            self._begun = start
            self._count = 0
        self._count += self._word > start  # blanks at the beginning of a segment are no word
        return self._count == self._how.size
