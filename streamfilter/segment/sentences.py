"""Finders of sentences: `Sentences` by the rules of UAX #29 alone, `Prose` with what people and models write beside them.

Both read the text once and remember a bounded part of it: whether a full stop ends a sentence depends on some characters before
it, and on those behind it up to the first that settles the matter. Which words are abbreviations is said from outside.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import regex

from streamfilter.segment.finders import Finder
from streamfilter.segment.languages import BEFORE_NUMBERS, ORDINALS, STARTERS

if TYPE_CHECKING:
    from streamfilter.segment.segmentation import Segmentation

STOP = regex.compile(r"[\p{SB=ATerm}\p{SB=STerm}\p{SB=Sep}\p{SB=CR}\p{SB=LF}…]")  # what may end a sentence
AFTER = regex.compile(r"[\p{SB=Upper}\p{SB=Lower}\p{SB=OLetter}\p{SB=ATerm}\p{SB=STerm}\p{SB=Sep}\p{SB=CR}\p{SB=LF}…]")  # of SB8
# Blanks, letters and marks of the usual scripts: none may end a sentence, none is an addition to the one before it.
QUIET = re.compile(
    r"[ \"-\-/->@-~\u00c0-\u024f\u0400-\u0481\u2013-\u2014\u2018-\u201d"
    r"\u3001\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3\uff0c]+"
).fullmatch
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
    """Sentences by UAX #29 and nothing else."""

    _tail = ""  # the last characters: `_reach` of them, and the last base if it is not among these
    _state = TEXT
    _end = 0  # where a sentence ends if what is looked for ahead does not undo it
    _reach = 1

    def feed(self, text: str) -> list[int]:
        # Most pieces of prose: a third of the time.
        seen = self._seen + len(text)
        if self._state == TEXT and seen < self.start + self._max and QUIET(text):
            self._seen = seen
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
            kind = self._kind(text, at)
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
                state = self._next(state, kind, text[at - 1], place)
                if state == BREAK:
                    yield self._end, place + 1
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

    def _kind(self, text: str, at: int) -> str:
        """The class of a character."""
        return _class(text[at])

    def _next(self, state: str, kind: str, char: str, place: int) -> str:
        """Where a character leads behind a terminator. A sentence that ends there ends at `_end`."""
        self._end = place
        return _behind(state, kind)

    def _entered(self, kind: str, text: str, at: int) -> str:
        """Where a character leads within a sentence."""
        if kind == "ATerm":
            base = BASE.search(text, 0, at)
            return CASED if base and _class(base[0]) in {"Upper", "Lower"} else TERM
        return END if kind == "STerm" else RETURN if kind == "CR" else TEXT


# ------------------------------------------------------------------ prose

# Behind a terminator that needs no blank; behind one whose sentence a lower-case letter goes on with; behind a full stop whose
# meaning the next word decides, or the next digit; at that word; at a quotation mark that opens or closes, as a blank will tell.
WIDE, WIDE_CLOSED, QUOTED, QUOTED_SPACED = "wide STerm", "wide STerm Close+", "STerm Close+", "STerm Close+ Sp+"
WEAK, WEAK_SPACED, ORDINAL, ORDINAL_SPACED = "letter stop", "letter stop Sp+", "number stop", "number stop Sp+"
INITIAL, INITIAL_SPACED = "initial stop", "initial stop Sp+"
COUNTED, COUNTED_SPACED, LOOK, MARK = "No stop", "No stop Sp+", "word", "quotation mark"
ITEM = "list number stop"  # ends nothing, but what stands before the number

CLOSE = {END: QUOTED, QUOTED: QUOTED, WIDE: WIDE_CLOSED, WIDE_CLOSED: WIDE_CLOSED} | dict.fromkeys(
    (TERM, CLOSED, WEAK, INITIAL, ORDINAL, COUNTED), CLOSED
)
_BLANK = {TERM: SPACED, CLOSED: SPACED, END: END_SPACED, WIDE: END_SPACED, WIDE_CLOSED: END_SPACED, QUOTED: QUOTED_SPACED}
_BLANK |= {WEAK: WEAK_SPACED, INITIAL: INITIAL_SPACED, ORDINAL: ORDINAL_SPACED, COUNTED: COUNTED_SPACED}
SPACE = _BLANK | {spaced: spaced for spaced in _BLANK.values()}
"""Where what closes leads, and where a blank does."""

IDEOGRAPHIC = frozenset("。！？｡．︒﹒﹖﹗")  # these stand for the blank behind them too
CLOSING = regex.compile(r"[*_~`\p{Extended_Pictographic}]")  # behind a terminator: the end of marked up text, and an emoji
OPENING = regex.compile(r"[\p{Ps}\p{Pi}]")
FINAL = regex.compile(r"\p{Pf}")  # closes in French and English, opens in German, Danish, Swedish
PARTICLES = frozenset("とっ")  # Japanese: と or って behind a quotation, with which the sentence goes on
OF_WORDS = regex.compile(r"[\p{L}\p{M}]")

# Read backwards from a full stop. Each is bounded: what is matched has to be remembered from piece to piece.
LISTED = regex.compile(
    r"(?r)(?:\A|(?<=[\n\r\u2028\u2029]))[ \t>#*_(-]{0,8}(?:\d{1,3}(?:\.\d{1,3}){0,3}|[a-zA-Z]|[ivxIVX]{2,4})"
)  # a number of a list or heading
LETTER = regex.compile(r"(?r)(?<![\w.'’°/])[\p{Lu}\p{Ll}]\p{M}{0,2}")
LETTERS = regex.compile(r"(?r)(?<!\w)(?:\p{L}\p{M}{0,2}\.){1,5}\p{L}\p{M}{0,2}")
NUMBER = regex.compile(r"(?r)(?<![\w.,])\d{1,2}")
NUMBERED = regex.compile(r"(?r)(?<![\w.])\L<words>", words=list(BEFORE_NUMBERS))
LONGEST = 24  # characters that one of these may look at: five letters with accents and stops, and one before them

_STARTERS = frozenset(word[:size] for word in STARTERS for size in range(1, len(word) + 1))
PREFIXES = {
    WEAK_SPACED: _STARTERS,
    INITIAL_SPACED: _STARTERS,
    ORDINAL_SPACED: frozenset(word[:size] for word in ORDINALS for size in range(1, len(word) + 1)),
}


class Prose(Sentences):
    """Sentences as they are written: UAX #29, and abbreviations, initials, lists, addresses, quotations and marked up text."""

    _stop = TERM  # what the last full stop is
    _word = ""  # in the state LOOK: so much of it
    _after = ""  # in the states LOOK and MARK: the state before it
    _begun = 0  # where the last sentence behind a terminator begins, if it is one

    def __init__(self, how: Segmentation) -> None:
        super().__init__(how)
        self._abbreviation = how.abbreviation
        self._last_words = how.last_words
        self._reach = 1 + max(LONGEST, *map(len, how.abbreviations))

    def _kind(self, text: str, at: int) -> str:
        char = text[at]
        if char == ".":
            self._stop = self._full_stop(text, at)
            return "Other" if self._stop == TEXT else "ATerm"
        return "ATerm" if char == "…" else _class(char)

    def _full_stop(self, text: str, at: int) -> str:
        """Where a full stop leads, by what stands before it."""
        _, blank, word = text[max(0, at - self._reach) : at].rpartition(" ")
        if blank and len(word) > 1 and word.isalpha() and word not in self._last_words and word.strip("ivxIVX"):
            return TERM  # most words: all that follows says the same, in five times the time
        if self._abbreviation.match(text, 0, at) or LISTED.match(text, 0, at):
            return TEXT
        patterns = ((COUNTED, NUMBERED), (INITIAL, LETTER), (WEAK, LETTERS), (ORDINAL, NUMBER))
        state, found = next(((state, found) for state, pattern in patterns if (found := pattern.match(text, 0, at))), (TERM, None))
        if found and state == ORDINAL and self._seen - len(self._tail) + found.start() == self._begun:
            return ITEM  # directly behind the end of a sentence: it belongs to what follows
        return state

    def _entered(self, kind: str, text: str, at: int) -> str:
        char = text[at]
        if kind == "ATerm" and char == ".":
            return TEXT if self._stop == ITEM else self._stop
        if kind == "ATerm":
            return WIDE if char in IDEOGRAPHIC else TERM
        if kind == "STerm":
            # A question mark between blanks may be an operator, or French: a lower-case letter goes on.
            return WIDE if char in IDEOGRAPHIC else QUOTED if at and text[at - 1].isspace() else END
        return RETURN if kind == "CR" else TEXT

    def _next(self, state: str, kind: str, char: str, place: int) -> str:
        state = self._led(state, kind, char, place)
        if state in {BREAK, AHEAD}:
            self._begun = self._end
        return state

    def _led(self, state: str, kind: str, char: str, place: int) -> str:
        if state == LOOK:
            return self._look(char)
        if state == MARK and kind not in {"Extend", "Format"}:
            if kind in {"Upper", "Lower", "OLetter", "Numeric", "Other", "Close"}:
                return BREAK  # it opens what follows
            state = QUOTED_SPACED if self._after in {END_SPACED, QUOTED_SPACED} else SPACED
        elif state != MARK:
            self._end = place
        if kind in {"Extend", "Format"}:
            return state
        if kind in {"SContinue", "ATerm", "STerm", "Sep", "CR", "LF"}:
            return TEXT
        if kind == "Sp":
            return SPACE[state]
        return self._spaced(state, kind, char) if state == SPACE[state] else self._joined(state, kind, char)

    def _joined(self, state: str, kind: str, char: str) -> str:
        """Directly behind a terminator and what closes: without a blank, only scripts that have none go on to another sentence."""
        closes = kind == "Close" or CLOSING.match(char)
        if state in {WIDE, WIDE_CLOSED} and (not closes or OPENING.match(char)):
            return TEXT if state == WIDE_CLOSED and char in PARTICLES else BREAK
        if closes:
            return CLOSE[state]
        if kind == "Numeric" and state in {CLOSED, QUOTED}:
            return state  # the number of a note: [1]
        return BREAK if kind == "OLetter" else TEXT

    def _spaced(self, state: str, kind: str, char: str) -> str:
        """Behind a terminator and a blank."""
        if FINAL.match(char):
            self._after = state
            return MARK
        if state in {END_SPACED, QUOTED_SPACED}:
            return TEXT if kind == "Lower" and state == QUOTED_SPACED else BREAK
        if kind == "Lower" or (kind == "Numeric" and state in {COUNTED_SPACED, INITIAL_SPACED}):
            return TEXT
        if kind == "Upper" and state in PREFIXES:
            self._after = state
            self._word = ""
            return self._look(char)
        return BREAK if kind in {"Upper", "OLetter"} else AHEAD

    def _look(self, char: str) -> str:
        """One more character of the word that decides, or the one behind it."""
        word, prefixes = self._word, PREFIXES[self._after]
        weak = self._after != ORDINAL_SPACED
        if OF_WORDS.match(char):
            self._word = word + char
            return LOOK if self._word in prefixes else TEXT if weak else BREAK
        known = word in STARTERS and not (char == "." and len(word) == 1) if weak else word not in ORDINALS
        return BREAK if known else TEXT
