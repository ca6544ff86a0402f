"""How a text is divided: a declared value for each way, with its largest size and its longest wait."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import regex
from pydantic import Field

from streamfilter.declaration import Declared, Seconds, declared
from streamfilter.segment.finders import Finder, Lines, Paragraphs, Words
from streamfilter.segment.languages import ABBREVIATIONS, BEFORE_NUMBERS
from streamfilter.segment.sentences import Prose, Sentences

# The largest sizes, and what stays below them.
MAX_SENTENCE_CHARS = 1000  # prose has about 100 in one; a thousand without an end are a table, a program or noise
MAX_PARAGRAPH_CHARS = 4000  # about a page: who waits for paragraphs does not mean to wait longer
MAX_LINE_CHARS = 1000  # prose and programs have less than 200 in one; a longer one was never meant to be read
MAX_WORDS_CHARS = 1000  # a web address is one word, so there is room for some, however few words a segment has
CHARS_PER_WORD = 32  # English has 6 with the blank, German 7: only what is not written in words comes to this on an average
MAX_WHOLE_CHARS = 1_000_000  # more than a model says at once, and at 4 bytes a character no burden for who keeps it
MAX_ABBREVIATION_CHARS = 32  # so many before each full stop may be looked at and are remembered; no abbreviation is longer


def _usual_max_chars(given: Mapping[str, Any]) -> int:
    by, size, every = given["by"], given["size"] or 0, given["every"]
    usual = {"sentence": MAX_SENTENCE_CHARS, "paragraph": MAX_PARAGRAPH_CHARS, "line": MAX_LINE_CHARS, "chars": size}
    usual["words"] = max(MAX_WORDS_CHARS, CHARS_PER_WORD * size)
    return int(every.max_chars) if every else usual.get(by, MAX_WHOLE_CHARS)


@declared
class Segmentation(Declared):
    """How a text is divided. It is made by one of the functions below, or in a file by `{by = "sentence", max_chars = 600}`.

    Args:
        by: by what.
        size: with "words" and "chars", how many; else None.
        every: with "cumulative", what divides the text; else None.
        max_chars: the largest size of a segment, in characters. With "chars" it is the size, with "cumulative" that of `every`.
        max_wait: seconds the first character of a segment may wait before who drives the finder cuts; None: no limit but `every`'s.
        abbreviations: with "sentence", words that do not end one with their full stop, which is left out; else none.

    Raises:
        ValueError: an argument is of the wrong type, out of range, missing, or belongs to another way of dividing.

    Example:
        >>> Segmentation("words", size=3)
        by_words(3)
    """

    by: Literal["sentence", "paragraph", "line", "words", "chars", "whole", "cumulative"]
    size: Annotated[int | None, Field(strict=True, ge=1)] = dataclasses.field(default=None, kw_only=True)
    every: Segmentation | None = dataclasses.field(default=None, kw_only=True)
    max_chars: Annotated[int, Field(strict=True, ge=1)] = Field(default_factory=_usual_max_chars, kw_only=True)
    max_wait: Annotated[Seconds | None, Field(strict=True)] = dataclasses.field(default=None, kw_only=True)
    abbreviations: tuple[str, ...] = Field(default_factory=lambda of: ABBREVIATIONS if of["by"] == "sentence" else (), kw_only=True)

    def compile(self) -> None:
        for name, having in (("size", ("words", "chars")), ("every", ("cumulative",))):
            if (getattr(self, name) is None) == (self.by in having):
                raise ValueError(f"{name}: {self.by!r} {'needs one' if self.by in having else 'has none'}")
        if self.by in {"chars", "cumulative"} and self.max_chars != _usual_max_chars(self.__dict__):
            raise ValueError(f"max_chars: with {self.by!r} it is that of {'every' if self.every else 'size'}, so leave it out")
        if self.every is not None:
            if self.every.by == "cumulative":
                raise ValueError("every: it looks at all the text already, so give what stands inside it")
            if self.max_wait is None:
                object.__setattr__(self, "max_wait", self.every.max_wait)
        if self.abbreviations and self.by != "sentence":
            raise ValueError(f"abbreviations: {self.by!r} has none, only 'sentence' has")
        if not all(0 < len(each) <= MAX_ABBREVIATION_CHARS and each[-1] != "." for each in self.abbreviations):
            raise ValueError(f"abbreviations: each has 1 to {MAX_ABBREVIATION_CHARS} characters, without the full stop behind it")

    @functools.cached_property
    def abbreviation(self) -> regex.Pattern[str]:
        """Matches an abbreviation backwards from its full stop. Word characters are those of `regex`, accents too."""
        return regex.compile(r"(?r)(?<!\w)\L<words>", words=list(self.abbreviations))

    @functools.cached_property
    def last_words(self) -> frozenset[str]:
        """The last words of these, and those that numbers follow: behind any other word a full stop is only that."""
        return BEFORE_NUMBERS.union(each.rpartition(" ")[2] for each in self.abbreviations)

    def start(self) -> Finder:
        """The finder for one run of text."""
        if self.every is not None:
            return self.every.start()
        finders = {"sentence": Prose if self.abbreviations else Sentences, "paragraph": Paragraphs, "line": Lines, "words": Words}
        return finders.get(self.by, Finder)(self)

    def __repr__(self) -> str:
        given = [repr(each) for each in (self.size, self.every) if each is not None]
        if self.max_chars != _usual_max_chars(self.__dict__):
            given.append(f"max_chars={self.max_chars}")
        if self.max_wait != (self.every and self.every.max_wait):
            given.append(f"max_wait={self.max_wait}")
        if self.by == "sentence" and self.abbreviations != ABBREVIATIONS:
            given.append(f"abbreviations={self.abbreviations}")
        return f"{'' if self.by in {'whole', 'cumulative'} else 'by_'}{self.by}({', '.join(given)})"


def by_sentence(
    *, max_chars: int = MAX_SENTENCE_CHARS, max_wait: float | None = None, abbreviations: tuple[str, ...] = ABBREVIATIONS
) -> Segmentation:
    """Divide a text into sentences: those of Unicode's UAX #29, SB1 to SB11, each with the white space behind it.

    What comes behind a full stop decides whether it ends a sentence: a lower-case letter goes on with it, a capital begins one. But
    behind one of the abbreviations, compared as they are written, it never does; nor behind initials, the numbers of lists, and
    question marks in web addresses. Without abbreviations, `()`, the rules of UAX #29 are all. Those of other languages are given
    by `streamfilter.segment.abbreviations`.

    Example:
        >>> by_sentence().start().feed("Dr. No? Yes. No.")
        [8, 13]
    """
    return Segmentation("sentence", max_chars=max_chars, max_wait=max_wait, abbreviations=abbreviations)


def by_paragraph(*, max_chars: int = MAX_PARAGRAPH_CHARS, max_wait: float | None = None) -> Segmentation:
    r"""Divide a text into paragraphs: each ends with the blank lines behind it, and the next begins with its indentation.

    Example:
        >>> by_paragraph().start().feed("One\n\n\n  Two")
        [6]
    """
    return Segmentation("paragraph", max_chars=max_chars, max_wait=max_wait)


def by_line(*, max_chars: int = MAX_LINE_CHARS, max_wait: float | None = None) -> Segmentation:
    r"""Divide a text into lines: each ends with its `\n`, `\r\n` or `\r`, Python's universal newlines.

    Example:
        >>> by_line().start().feed("one\r\ntwo\nthree")
        [5, 9]
    """
    return Segmentation("line", max_chars=max_chars, max_wait=max_wait)


def by_words(n: int, *, max_chars: int | None = None, max_wait: float | None = None) -> Segmentation:
    r"""Divide a text into `n` words at a time, each with the white space behind it, as `(?:\S+\s*){n}` does.

    They are counted from the beginning of a segment, also where the one before it was cut or ended at its largest size. That is 32
    characters a word, and at least 1000, unless given.

    Example:
        >>> by_words(2).start().feed("to be or not to be")
        [6, 13]
    """
    if max_chars is None:
        return Segmentation("words", size=n, max_wait=max_wait)
    return Segmentation("words", size=n, max_chars=max_chars, max_wait=max_wait)


def by_chars(n: int, *, max_wait: float | None = None) -> Segmentation:
    """Divide a text into `n` characters at a time.

    Example:
        >>> by_chars(3).start().feed("segment")
        [3, 6]
    """
    return Segmentation("chars", size=n, max_wait=max_wait)


def whole(*, max_chars: int = MAX_WHOLE_CHARS, max_wait: float | None = None) -> Segmentation:
    """Do not divide a text, unless it is longer than the largest size.

    Example:
        >>> finder = whole().start()
        >>> finder.feed("One. Two. "), finder.cut()
        ([], 10)
    """
    return Segmentation("whole", max_chars=max_chars, max_wait=max_wait)


def cumulative(every: Segmentation | int, *, max_wait: float | None = None) -> Segmentation:
    """Divide a text as `every` does, or into so many characters at a time, and look at all of it so far at each end.

    The ends are those of `every`; to look at all of the text is up to who uses them. So the characters looked at grow with the
    square of the text: of 10,000 by 100 at a time they are 505,000.

    Example:
        >>> cumulative(200)
        cumulative(by_chars(200))
    """
    return Segmentation("cumulative", every=by_chars(every) if isinstance(every, int) else every, max_wait=max_wait)
