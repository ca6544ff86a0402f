"""Unicode normalization of text that is still arriving: `Normalize`.

A text may be cut before every character that neither composes with what stands before it nor moves before it (UAX #15 section 9,
"Detecting Normalization Forms"; section 13, "Stream-Safe Text Format"). Between two such places stands a *segment*: a letter with
its marks, the jamo of a syllable. This module finds segments; `unicodedata` normalizes them, and knows what there is to know about
characters. Nothing here knows of scripts or languages.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias
from unicodedata import combining, decomposition, normalize

from pydantic import Field

from streamfilter.context import Context
from streamfilter.errors import LimitExceeded
from streamfilter.items import End
from streamfilter.machine import TextMachine
from streamfilter.pipeline import TextStage, stage

Form: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]

MAX_MARKS = 1000
"""Combining marks in a row that are put in order together. UAX #15 calls 30 more than any text needs; a longer run costs memory and
sorting, which at this length are still small, and below it the result is exactly that of `unicodedata.normalize`."""

GRAPHEME_JOINER = "\N{COMBINING GRAPHEME JOINER}"
"""What the Stream-Safe Text Format puts into runs of marks: it is invisible, and no mark moves across it."""

_OPEN, _MARK, _TAIL = 1, 2, 4
"""What a character may do at the edge of a segment: change with what follows, move among marks, compose with what is before it."""

_MAX_PARTS = 4
"""A character decomposes canonically into at most so many (UAX #15, table 6): no longer segment composes into one."""


@stage
class Normalize(TextStage):
    r"""Bring text into a Unicode normalization form, as `unicodedata.normalize` does with the whole of it.

    Held is what could still compose with what follows, or change places with it: with NFC a letter that takes accents, and a letter
    with marks. A digit, an ideograph or a complete Hangul syllable leaves at once. With NFD and NFKD only marks are held.

    Args:
        form: `"NFC"`, `"NFD"`, `"NFKC"` or `"NFKD"`.
        max_marks: combining marks in a row that are put in order together.
        overflow: what happens when there are more. `"joiner"` inserts U+034F after every so many, as the Stream-Safe Text Format of
            UAX #15 does after 30: the result is the normalization of that text. `"release"` inserts nothing, and normalizes every
            so many by themselves. `"raise"` ends the stream with `LimitExceeded`.

    Raises:
        ValueError: the form is none of these.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Normalize("NFC").iter(["1 cafe", "\u0301 ", "\u212b"]))
        ['1 caf', 'é', ' ', 'Å']
        >>> sf.Normalize("NFKC").apply("ﬁne²")
        'fine2'
    """

    form: Form
    max_marks: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_MARKS, kw_only=True)
    overflow: Literal["joiner", "release", "raise"] = dataclasses.field(default="joiner", kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            form: Form,
            *,
            max_marks: int = ...,
            overflow: Literal["joiner", "release", "raise"] = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return _Normalizer(self, _kinds(self.form))

    def holds(self) -> str:
        what = "a letter that could still compose, and its marks" if self.form.endswith("C") else "marks that could still move"
        return f"holds {what}, at most {self.max_marks} of these"


class _Kinds(dict[str, int]):
    """What each character may do under one form. It is found out when the character is first seen."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form: Form = form
        self._full: Form = "NFKD" if form in ("NFKC", "NFKD") else "NFD"
        self._composes = form.endswith("C")

    def __missing__(self, character: str) -> int:
        full = normalize(self._full, character)
        if combining(full[0]):
            kind = _OPEN | _MARK
        elif self._composes:
            kind = _TAIL * (full[0] in _pairs()[1]) | _OPEN * self._is_open(character, full)
        else:
            kind = _OPEN * bool(combining(full[-1]))
        self[character] = kind
        return kind

    def _is_open(self, character: str, full: str) -> bool:
        """Whether something that follows could change what becomes of a character."""
        firsts, seconds = _pairs()
        if full == character and full not in firsts:
            return False  # most characters of most scripts
        now = normalize(self._form, character)
        # A mark that composes with nothing goes behind what is composed; only behind marks that are left over it may not stay.
        return bool(combining(now[-1])) or any(not normalize(self._form, character + second).startswith(now) for second in seconds)


_kinds = functools.cache(_Kinds)


@functools.cache
def _pairs() -> tuple[frozenset[str], frozenset[str]]:
    """The characters that begin, and those that end, a pair that composes into one."""
    firsts = set(map(chr, range(0x1100, 0x1113)))  # Hangul composes by arithmetic (The Unicode Standard, section 3.12)
    seconds = {*map(chr, range(0x1161, 0x1176)), *map(chr, range(0x11A8, 0x11C3))}
    for code in range(0xC0, 0x20000):  # the planes above have compatibility ideographs, each of which becomes one other
        # These blocks, of ideographs and syllables, have no pairs; they are half of what there is to look through.
        if 0x3400 <= code < 0xA000 or 0xAC00 <= code < 0xF900:
            continue
        parts = decomposition(chr(code))
        if " " in parts and parts[0] != "<":
            first, second = (chr(int(part, 16)) for part in parts.split())
            if normalize("NFC", first + second) == chr(code):  # some are excluded from composition
                firsts.add(first)
                seconds.add(second)
    firsts.update(map(chr, range(0xAC00, 0xD7A4, 28)))  # a syllable without a final consonant takes one
    return frozenset(firsts), frozenset(seconds)


class _Normalizer(TextMachine):
    """Holds one segment. Whatever has come before it has left."""

    def __init__(self, stage: Normalize, kinds: _Kinds) -> None:
        self._form: Form = stage.form
        self._composes = stage.form.endswith("C")
        self._kinds = kinds
        self._limit = stage.max_marks
        self._overflow = stage.overflow
        self._size = 0  # of the segment, in held characters
        self._given = 0  # of the normalized segment, characters that have left
        self._marks = 0  # in a row, up to now
        self._is_ascii = True  # of the segment, if there is one

    def feed(self, text: str) -> None:
        if not text.isascii():
            for at in range(0, len(text), self._limit):  # so that no run of marks inside a part is longer than may be
                self._take(text[at : at + self._limit])
                if self.done is not None:
                    return
            return
        # No ASCII character is changed by any form, or changes what stands before it.
        waits = 1 if self._kinds[text[-1]] else 0
        if self._is_ascii:
            self.hold.keep(self._size + len(text) - waits)
        else:
            self._release()
            self.hold.keep(len(text) - waits)
        self._is_ascii = True
        self._size = waits
        self._marks = 0

    def finish(self) -> None:
        self._release()

    def _take(self, text: str) -> None:
        kinds = self._kinds
        joins = _MARK | _TAIL
        first = 0
        while kinds[text[first]] & joins:
            self._join(text[first])
            first += 1
            if first == len(text) or self.done is not None:
                return
        self._release()
        last = len(text) - 1
        while kinds[text[last]] & joins:
            last -= 1
        if last > first:
            self._pass(last - first)
        self._begin(text[last])
        for character in text[last + 1 :]:
            self._join(character)

    def _begin(self, character: str) -> None:
        """A segment begins with this."""
        kind = self._kinds[character]
        self._marks = 1 if kind & _MARK else 0
        if not kind & _OPEN:
            self._pass(1)
            return
        self._size = 1
        self._is_ascii = character.isascii()
        if not (self._composes or kind & _MARK):
            # It decomposes: only the marks at its end can still change places.
            parts = normalize(self._form, character)
            self._given = next(n for n in range(len(parts), 0, -1) if not combining(parts[n - 1]))
            self.hold.replace(0, parts[: self._given])

    def _join(self, character: str) -> None:
        """A character has come that may belong to the segment."""
        is_mark = self._kinds[character] & _MARK
        if is_mark and self._marks == self._limit:
            self._exceed()
            if self.done is not None:
                return
        elif not is_mark:
            before = self._segment()
            apart = normalize(self._form, before) + normalize(self._form, character)
            if normalize(self._form, before + character) == apart:
                self._release()
                self._begin(character)
                return
        self._marks = self._marks + 1 if is_mark else 0
        self._size += 1
        self._is_ascii = False
        if self._composes and self._size <= _MAX_PARTS:
            now = normalize(self._form, self._segment())
            if len(now) == 1 and not self._kinds[now] & _OPEN:
                self._release()

    def _exceed(self) -> None:
        if self._overflow == "raise":
            hold = self.hold
            where = f"combining marks before character {hold.offset + self._size} of the {hold.channel.kind}"
            self.done = End("error", LimitExceeded("max_marks", self._limit, where))
            return
        self._release()
        self._marks = 0
        if self._overflow == "joiner":
            self.hold.replace(0, GRAPHEME_JOINER)

    def _segment(self) -> str:
        hold = self.hold
        return hold.buf[hold.pos : hold.pos + self._size]

    def _release(self) -> None:
        """The segment is complete."""
        if self._size:
            self._pass(self._size)
            self._size = 0

    def _pass(self, chars: int) -> None:
        """Let so many characters leave in their normal form."""
        hold = self.hold
        text = hold.buf[hold.pos : hold.pos + chars]
        normal = normalize(self._form, text)
        if normal == text:
            hold.keep(chars)
        else:
            hold.replace(chars, normal[self._given :])
            self._given = 0
