"""Finders: where the segments of one text end, found while it arrives. One class for each kind of segment.

The rules they keep are those of the package. What a kind is called, and how large its segments may be, is not known here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    from streamfilter.segment.segmentation import Segmentation


# With `re`, so that blanks are what `str.split` takes for them.
NEWLINE = re.compile(r"\r\n?|\n")
BLANKS = re.compile(r"[ \t\r\n]*")
WORD = re.compile(r"\S+")


class Finder:
    """The boundaries of one run of text. This one knows no end but the largest size; the others say which natural ends there are.

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
        self._start = 0

    @property
    def start(self) -> int:
        """Where the unfinished segment begins, in characters since the run began."""
        return self._start

    def feed(self, text: str) -> list[int]:
        """Take in more of the text, and give the ends that are certain now, ascending, in characters since the run began."""
        ends: list[int] = []
        start, most = self._start, self._max
        for end, certain in self._natural(text):
            while certain - start > most:
                start += most
                ends.append(start)
            if end > start and self._counts(start):
                start = end
                ends.append(end)
        self._seen += len(text)
        while self._seen - start >= most:
            start += most
            ends.append(start)
        self._start = start
        return ends

    def cut(self) -> int | None:
        """End the unfinished segment here: time is up, or the run has ended. Gives its end, or None if it is empty.

        Natural ends of sentences, paragraphs and lines stay where they are in the whole text. Words are counted anew.
        """
        if self._seen == self._start:
            return None
        self._start = self._seen
        return self._seen

    def _natural(self, text: str) -> Iterable[tuple[int, int]]:
        """The natural ends that become certain in this text: each with the count of characters at which it does, in that order."""
        return ()

    def _counts(self, start: int) -> bool:
        """Whether the natural end that was just given ends the segment that begins at `start`."""
        return True


class Lines(Finder):
    """Lines as Python's universal newlines know them."""

    _held = ""  # a carriage return that was last: perhaps a line feed comes

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

    def _natural(self, text: str) -> Iterator[tuple[int, int]]:
        seen = self._seen
        for found in WORD.finditer(text):
            at = seen + found.start()
            if at > self._word:  # else it goes on with the word that was last
                yield at, at + 1
            self._word = seen + found.end()

    def _counts(self, start: int) -> bool:
        if start != self._begun:
            self._begun = start
            self._count = 0
        self._count += self._word > start  # blanks at the beginning of a segment are no word
        return self._count == self._how.size


STOP = regex.compile(r"[\p{SB=ATerm}\p{SB=STerm}\p{SB=Sep}\p{SB=CR}\p{SB=LF}]")  # what may end a sentence
AFTER = regex.compile(r"[\p{SB=Upper}\p{SB=Lower}\p{SB=OLetter}\p{SB=ATerm}\p{SB=STerm}\p{SB=Sep}\p{SB=CR}\p{SB=LF}]")  # of SB8
QUIET = re.compile(r"[ \"-\-/->@-~]*").fullmatch  # printable ASCII, and none of it may end a sentence
BASE = regex.compile(r"(?r)[^\p{SB=Extend}\p{SB=Format}]")  # searches backwards: the last that is no addition to one before it
CLASSES = regex.compile(
    r"(?P<Lower>\p{SB=Lower})|(?P<Upper>\p{SB=Upper})|(?P<OLetter>\p{SB=OLetter})|(?P<Sp>\p{SB=Sp})|(?P<Close>\p{SB=Close})|"
    r"(?P<ATerm>\p{SB=ATerm})|(?P<STerm>\p{SB=STerm})|(?P<SContinue>\p{SB=SContinue})|(?P<Numeric>\p{SB=Numeric})|"
    r"(?P<Extend>\p{SB=Extend})|(?P<Format>\p{SB=Format})|(?P<Sep>\p{SB=Sep})|(?P<CR>\p{SB=CR})|(?P<LF>\p{SB=LF})"
)


@functools.lru_cache(4096)  # around terminators few characters are usual, and the memory for the others has to be bounded
def _class(char: str) -> str:
    """The value of Sentence_Break."""
    found = CLASSES.match(char)
    return (found and found.lastgroup) or "Other"


# Where the text so far has left us: in a sentence; looking ahead (SB8) from an end that a lower-case letter would undo; behind a
# carriage return; behind the end of a sentence; behind a terminator and what belongs to it.
TEXT, AHEAD, RETURN, BREAK = "text", "ahead", "CR", "÷"
CASED, TERM, CLOSED, SPACED = "letter ATerm", "ATerm", "ATerm Close+", "ATerm Close* Sp+"
END, END_SPACED = "STerm Close*", "STerm Close* Sp+"


def _behind(state: str, kind: str) -> str:
    """What the next character means behind a terminator. SB1 to SB11 are the rules of UAX #29."""
    strong = state in {END, END_SPACED}
    if kind in {"Extend", "Format"}:
        return state  # SB5
    if kind in {"SContinue", "ATerm", "STerm", "Sep", "CR", "LF"}:
        return TEXT  # SB8a, SB9, SB10; if it ends a sentence it does so by itself
    if kind == "Sp":
        return END_SPACED if strong else SPACED  # SB9, SB10
    if kind == "Close" and state not in {SPACED, END_SPACED}:
        return END if strong else CLOSED  # SB9
    if strong:
        return BREAK  # SB11
    if kind == "Lower" or (kind == "Upper" and state == CASED) or (kind == "Numeric" and state in {CASED, TERM}):
        return TEXT  # SB8, SB7, SB6
    return BREAK if kind in {"Upper", "OLetter"} else AHEAD  # SB11, SB8


class Sentences(Finder):
    """Sentences by UAX #29, but that a full stop behind an abbreviation is a character like any other."""

    _tail = ""  # the last characters: `_reach` of them, and the last base if it is not among these
    _state = TEXT
    _end = 0  # in the state AHEAD: the end that is not certain yet

    def __init__(self, how: Segmentation) -> None:
        super().__init__(how)
        self._abbreviation = how.abbreviation
        self._reach = 1 + max(map(len, how.abbreviations), default=0)

    def feed(self, text: str) -> list[int]:
        # Most pieces of prose: a third of the time.
        if self._state == TEXT and self._seen + len(text) < self._start + self._max and QUIET(text) and self._tail.isascii():
            self._seen += len(text)
            self._tail = (self._tail + text)[-self._reach :]
            return []
        return super().feed(text)

    def _natural(self, text: str) -> Iterator[tuple[int, int]]:
        at = len(self._tail)
        text = self._tail + text
        offset = self._seen - at
        state = self._state
        while True:
            if state in {TEXT, AHEAD}:
                found = (STOP if state == TEXT else AFTER).search(text, at)
                if found is None:
                    break
                at = found.start()
            elif at == len(text):
                break
            kind = "Other" if text[at] == "." and self._abbreviation.match(text, 0, at) else _class(text[at])
            place = offset + at
            at += 1
            if state == AHEAD:
                if kind == "Other":  # the full stop of an abbreviation
                    continue
                if kind != "Lower":
                    yield self._end, place + 1
            elif state == RETURN:
                if kind != "LF":  # SB3
                    yield place, place + 1  # SB4
            elif state != TEXT:
                state = _behind(state, kind)
                if state == BREAK:
                    yield place, place + 1
                elif state == AHEAD:
                    self._end = place
                    continue
                elif state != TEXT:
                    continue
            if kind in {"Sep", "LF"}:
                yield place + 1, place + 1  # SB4
            state = self._entered(kind, text, at - 1)
        self._state = state
        self._tail = text[-self._reach :]
        if not self._tail.isascii():  # there may be accents without end, and SB7 asks for the letter under them
            base = BASE.search(text)
            if base and base.start() < len(text) - self._reach:
                self._tail = base[0] + self._tail

    def _entered(self, kind: str, text: str, at: int) -> str:
        """Where this character leads within a sentence."""
        if kind == "ATerm":
            base = BASE.search(text, 0, at)
            return CASED if base and _class(base[0]) in {"Upper", "Lower"} else TERM
        return END if kind == "STerm" else RETURN if kind == "CR" else TEXT
