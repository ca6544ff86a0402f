"""Regrouping: text leaves in the pieces that one asks for, whatever pieces it has come in. No character is lost or changed.

Each stage divides a run of text into units, and releases each of them whole, in one item, at the first character where its end is
certain. The units depend on the text alone: joined they are it, and only the last of a run may be unfinished. Where units end is
known to the finders in `segment`, how text waits for them to `regroup_machines`; here is what they are for whom.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from streamfilter.context import Context
from streamfilter.declaration import Plain, plain, show
from streamfilter.display import counted, holding
from streamfilter.machine import TextMachine
from streamfilter.pipeline import TextStage, stage
from streamfilter.segment import Graphemes as Clusters
from streamfilter.segment import Language, Segmentation, abbreviations, by_chars, by_line, by_paragraph, by_sentence, by_words
from streamfilter.text.regroup_machines import Asked, Blocks, Divided, Spoken, Weighed

MAX_LINE_CHARS = 65_536
"""Who asks for lines means to read them, and half a line is a wrong one. A line of this size is a document: a page has 4,000."""

MAX_PARAGRAPH_CHARS = 65_536
"""The same: paragraphs of prose have some thousand characters, what has more is code or noise."""

MAX_SENTENCE_CHARS = 1000
"""Prose has about 100 in a sentence; services that speak take a few thousand at a time."""

MAX_WORD_CHARS = 1000
"""A web address is one word, and so is Chinese text up to its next blank."""

MAX_GRAPHEME_CHARS = 256
"""Unicode's stream-safe text has 30 accents on one letter (UAX #15), the longest emoji of its list 10 characters."""

MAX_SEGMENT_CHARS = 1000
"""A function is asked about up to so much text with each piece: this is what a piece may cost."""

Boundary: TypeAlias = Callable[[str], int | None]
"""Where the first unit of a text ends, in characters, or None: that is not certain yet."""

Chars: TypeAlias = Annotated[int, Field(strict=True, ge=1)]


class _Regrouper(TextStage):
    """A stage that divides text into units."""

    @cached_property
    def _how(self) -> Segmentation:
        """What the units are: one for all runs."""
        raise NotImplementedError

    def start(self, context: Context | None = None) -> TextMachine:
        return Divided(self._how.start())


@stage
class Words(_Regrouper):
    r"""Release text word by word, each with the white space behind it, as `\S+\s*` divides it. It applies to the answer.

    A word leaves when the next one begins. White space at the very beginning belongs to the first word. Scripts that are written
    without blanks have a word between two blanks.

    Args:
        max_chars: the longest word, with its white space: what is longer is divided there.
        channels: the kinds of channel it applies to.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Words().iter(["to b", "e or", " not"]))
        ['to ', 'be ', 'or ', 'not']
    """

    max_chars: Chars = dataclasses.field(default=MAX_WORD_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, max_chars: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    @cached_property
    def _how(self) -> Segmentation:
        return by_words(1, max_chars=self.max_chars)

    def holds(self) -> str:
        return holding("a word and the white space behind it until the next begins", self.max_chars - 1)


@stage
class Lines(_Regrouper):
    r"""Release text line by line, each with its `\n`, `\r\n` or `\r`, Python's universal newlines. It applies to the answer.

    Args:
        max_chars: the longest line, with its end: what is longer is divided there.
        channels: the kinds of channel it applies to.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Lines().iter(["on", "e\r", "\ntw", "o\n\nthr", "ee"]))
        ['one\r\n', 'two\n', '\n', 'three']
    """

    max_chars: Chars = dataclasses.field(default=MAX_LINE_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, max_chars: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    @cached_property
    def _how(self) -> Segmentation:
        return by_line(max_chars=self.max_chars)

    def holds(self) -> str:
        return holding("a line until it ends", self.max_chars - 1)


@stage
class Paragraphs(_Regrouper):
    r"""Release text paragraph by paragraph, each with the blank lines behind it. It applies to the answer.

    A paragraph leaves when the next one begins, which may be indented. Blank lines at the very beginning belong to the first.

    Args:
        max_chars: the longest paragraph, with its blank lines: what is longer is divided there.
        channels: the kinds of channel it applies to.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Paragraphs().iter(["One\ntwo", "\n", "\n\n  Th", "ree"]))
        ['One\ntwo\n\n\n', '  Three']
    """

    max_chars: Chars = dataclasses.field(default=MAX_PARAGRAPH_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, max_chars: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    @cached_property
    def _how(self) -> Segmentation:
        return by_paragraph(max_chars=self.max_chars)

    def start(self, context: Context | None = None) -> TextMachine:
        return Weighed(Blocks(self._how))

    def holds(self) -> str:
        return holding("a paragraph until the next begins", self.max_chars - 1)


@stage
class Sentences(_Regrouper):
    """Release text sentence by sentence, each with the white space behind it in its line. It applies to the answer.

    They are those of Unicode's UAX #29, with what people write beside: abbreviations, initials, numbered lists, web addresses,
    quotations, notes, emphasis. The end of a line ends a sentence; blank lines go with the next one. A unit leaves when its end
    is certain: mostly at the first character of the next sentence.

    Args:
        language: whose abbreviations are known, a code of ISO 639-1; None: those of all languages that are no words in another.
        min_chars: a sentence with less, white space around it not counted, leaves with the next one.
        max_chars: a longer one is divided: behind a clause, where one ends late enough, else behind a blank, else anywhere between
            two graphemes.
        channels: the kinds of channel it applies to.

    Raises:
        ValueError: the language is not known, or `min_chars` is more than `max_chars`.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Sentences().iter(["Dr. No pa", "id $3.50. Why? ", "See https://a.b/?q=1 and", " so on."]))
        ['Dr. No paid $3.50. ', 'Why? ', 'See https://a.b/?q=1 and so on.']
        >>> list(sf.Sentences(min_chars=10).iter(["Yes. I do. But why", " do you ask?"]))
        ['Yes. I do. ', 'But why do you ask?']
    """

    language: Language | None = None
    min_chars: Chars = dataclasses.field(default=1, kw_only=True)
    max_chars: Chars = dataclasses.field(default=MAX_SENTENCE_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            language: Language | None = ...,
            *,
            min_chars: int = ...,
            max_chars: int = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars is {self.min_chars}, and max_chars {self.max_chars}: no sentence could have both")

    @cached_property
    def _how(self) -> Segmentation:
        return by_sentence(max_chars=self.max_chars, abbreviations=abbreviations(self.language))

    def start(self, context: Context | None = None) -> TextMachine:
        return Weighed(Spoken(self._how, self.min_chars))

    def holds(self) -> str:
        return holding("a sentence until its end is certain", self.max_chars - 1)


@stage
class Graphemes(_Regrouper):
    r"""Release text grapheme by grapheme: what a reader takes for one character, the extended clusters of Unicode's UAX #29.

    No emoji is cut, no accent from its letter, no `\r\n`. The last one waits for the next character, which could belong to it; line
    feeds and controls do not. It applies to the answer.

    Args:
        max_chars: the longest grapheme: what is longer is divided there.
        channels: the kinds of channel it applies to.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Graphemes().iter(["e", "\u0301a", "👩", "\u200d🚀"])) == ["e\u0301", "a", "👩\u200d🚀"]
        True
    """

    max_chars: Chars = dataclasses.field(default=MAX_GRAPHEME_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, max_chars: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    @cached_property
    def _how(self) -> Segmentation:
        return by_chars(self.max_chars)

    def start(self, context: Context | None = None) -> TextMachine:
        return Divided(Clusters(self._how))

    def holds(self) -> str:
        return holding("a grapheme until the next character", self.max_chars - 1)


@stage
class Chunks(_Regrouper):
    """Release text so many characters at a time; only the last unit of a run may have less. It applies to the answer.

    Characters are Unicode code points: a unit may begin with an accent. See `Graphemes`.

    Args:
        size: how many.
        channels: the kinds of channel it applies to.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Chunks(4).iter(["st", "reamfilt", "er"]))
        ['stre', 'amfi', 'lter']
    """

    size: Chars

    if TYPE_CHECKING:

        def __init__(self, size: int, *, channels: tuple[str, ...] | None = ...) -> None: ...

    @cached_property
    def _how(self) -> Segmentation:
        return by_chars(self.size)

    def holds(self) -> str:
        return f"holds at most {counted(self.size - 1, 'character')}" if self.size > 1 else "holds nothing"


def _boundary(given: Any) -> Any:
    if callable(given) or isinstance(given, Segmentation | Mapping):
        return plain(given)
    raise ValueError("a function of the text is needed, or a Segmentation such as by_line()")


@stage
class Segments(_Regrouper):
    """Release text in units of one's own: a function says where they end, or a `Segmentation`. It applies to the answer.

    The function is given the beginning of what is held, at most `max_chars` of it, and gives how many characters the first unit
    has, or None if more text could change that. It must depend on nothing else, and not change its mind: what it gives for a text
    it gives for every text that begins with it. Then the units depend on the text alone, not on its pieces. It is asked again with
    each piece, so what a unit costs grows with its length times the number of its pieces.

    Args:
        boundary: the function, or what `by_sentence` and the like give.
        at_end: the function for what is left when the text has ended; its None means all of it. Without one it is one unit.
        max_chars: the longest unit, and the most that is held: it ends there if the function does not know better. By default
            1000; a segmentation has its own.
        channels: the kinds of channel it applies to.

    Raises:
        ValueError: a segmentation has a clock (`max_wait`), is cumulative, or comes with `at_end` or `max_chars`; while
            streaming, if the function gives a number that is not in the text.
        TypeError: while streaming, if the function gives something else.

    Example:
        >>> import streamfilter as sf
        >>> def first_cell(text: str) -> int | None:
        ...     return text.find("|") + 1 or None
        >>> list(sf.Segments(first_cell).iter(["a|b", "c|", "d"]))
        ['a|', 'bc|', 'd']
        >>> list(sf.Segments(sf.by_words(2)).iter(["to be or", " not to be"]))
        ['to be ', 'or not ', 'to be']
    """

    boundary: Annotated[Segmentation | Boundary, BeforeValidator(_boundary)]
    at_end: Plain[Boundary] | None = dataclasses.field(default=None, kw_only=True)
    max_chars: Chars | None = dataclasses.field(default=None, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            boundary: Segmentation | Boundary,
            *,
            at_end: Boundary | None = ...,
            max_chars: int | None = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        how = self.boundary
        if not isinstance(how, Segmentation):
            return
        if self.at_end is not None or self.max_chars is not None:
            raise ValueError(f"at_end and max_chars are for functions: {how.by!r} knows its end, and has a max_chars of its own")
        if how.by == "cumulative":
            raise ValueError("boundary: cumulative segments overlap, and text leaves once: give what stands inside it")
        if how.max_wait is not None:
            raise ValueError("boundary: max_wait needs a clock, and there is none here: leave it out")

    def start(self, context: Context | None = None) -> TextMachine:
        if isinstance(self.boundary, Segmentation):
            return Divided(self.boundary.start())
        return Asked(self.boundary, self.at_end, self.max_chars or MAX_SEGMENT_CHARS)

    def holds(self) -> str:
        of = show(self.boundary)
        most = self.boundary.max_chars if isinstance(self.boundary, Segmentation) else self.max_chars or MAX_SEGMENT_CHARS
        return holding(f"a unit of {of} until it ends", most - 1)
