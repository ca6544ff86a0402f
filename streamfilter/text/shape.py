r"""Shaping text, whatever it says: `Strip`, `Collapse`, `Translate`.

None of them knows of languages or of markup. What can be deleted is deleted as it comes, so only `Strip` holds more than one
character. White space is what `str.isspace` and `\s` take for it.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.errors import LimitExceeded
from streamfilter.items import End
from streamfilter.machine import TextMachine, mapping
from streamfilter.pipeline import TextStage, stage

MAX_BLANKS = 10_000
"""Characters that may be held because they could be the last. They differ, so a count does not do; it is more than anybody means,
and as ASCII as much memory as a screen."""


@stage
class Strip(TextStage):
    r"""Strip white space, or some characters, from the ends of the text, as `str.strip` does with the whole of it.

    What could be the end of the text is held until something else follows. At the beginning nothing is held.

    Args:
        chars: the characters to strip, as a set; None is white space.
        left: whether to strip the beginning.
        right: whether to strip the end.
        max_hold: characters that may be held.
        overflow: what happens when there are more. `"release"` lets the first of them leave, so that at most `max_hold` are
            stripped from the end. `"raise"` ends the stream with `LimitExceeded`.

    Raises:
        ValueError: there are no characters to strip, or neither side is to be stripped.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Strip().iter(["\n\n Fi", "ne. ", "\n", "Yes.", " \n"]))
        ['Fi', 'ne.', ' \nYes.']
        >>> sf.Strip('"', right=False).apply('"Fine."')
        'Fine."'
    """

    chars: Annotated[str, Field(min_length=1)] | None = None
    left: bool = dataclasses.field(default=True, kw_only=True)
    right: bool = dataclasses.field(default=True, kw_only=True)
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_BLANKS, kw_only=True)
    overflow: Literal["release", "raise"] = dataclasses.field(default="release", kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            chars: str | None = ...,
            *,
            left: bool = ...,
            right: bool = ...,
            max_hold: int = ...,
            overflow: Literal["release", "raise"] = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        if not (self.left or self.right):
            raise ValueError("left=False and right=False strip nothing: leave out the one that is to be stripped")

    def start(self, context: Context | None = None) -> TextMachine:
        return _Stripper(self)

    def holds(self) -> str:
        return holding("what could be the end of the text", self.max_hold) if self.right else "holds nothing"


_BLANKS = re.compile(r"\s+")


class _Stripper(TextMachine):
    def __init__(self, stage: Strip) -> None:
        self._chars = stage.chars
        self._runs = _BLANKS if stage.chars is None else re.compile(f"[{re.escape(stage.chars)}]+")
        self._begins = stage.left
        self._right = stage.right
        self._limit = stage.max_hold
        self._overflow = stage.overflow

    def feed(self, text: str) -> None:
        hold = self.hold
        if self._begins:
            rest = text.lstrip(self._chars)
            hold.replace(len(text) - len(rest), "")
            if not rest:
                return
            self._begins = False
            text = rest
        if not self._right:
            hold.keep(len(text))
            return
        if self._overflow == "raise" and len(hold) > self._limit:
            self._check(hold.text)
            if self.done is not None:
                return
        held = len(text) - len(text.rstrip(self._chars))
        if held < len(text):
            hold.keep(len(hold) - held)
        if len(hold) > self._limit:
            hold.keep(len(hold) - self._limit)

    def _check(self, text: str) -> None:
        """End the stream where more had to be held than may be, though the text may have come in one piece."""
        hold = self.hold
        for run in self._runs.finditer(text):
            if run.end() - run.start() > self._limit:
                hold.keep(run.start())
                where = f"what could be the end of the {hold.channel.kind}, from character {hold.offset} on"
                self.done = End("error", LimitExceeded("max_hold", self._limit, where))
                return

    def finish(self) -> None:
        self.hold.replace(len(self.hold), "")


@stage
class Collapse(TextStage):
    r"""Make one of each run of white space, as `re.sub(r"\s+", to, text)` does with the whole text.

    What stands for a run leaves with its first character; with `lines=True`, once its first line break has come or it is over.

    Args:
        to: what stands for a run.
        lines: whether a run in which there is a line break becomes one newline instead. Line breaks are those of `str.splitlines`.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Collapse().iter(["a ", " ", "\n b", "\tc"]))
        ['a ', 'b', ' c']
        >>> sf.Collapse(lines=True).apply("a  b \r\n\r\n  c")
        'a b\nc'
    """

    to: str = " "
    lines: bool = dataclasses.field(default=False, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, to: str = ..., *, lines: bool = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return _LineCollapser(self.to) if self.lines else _Collapser(self.to)

    def holds(self) -> str:
        return "holds the last character of a run of white space without a line break" if self.lines else "holds nothing"


_BREAK = re.compile(r"[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")


class _Collapser(TextMachine):
    def __init__(self, to: str) -> None:
        self._to = to.replace("\\", "\\\\")  # a template
        self._is_blank = False  # what came last

    def feed(self, text: str) -> None:
        hold = self.hold
        if self._is_blank:
            rest = text.lstrip()
            if len(rest) < len(text):
                hold.replace(len(text) - len(rest), "")
                if not rest:
                    return
                text = rest
        self._is_blank = text[-1].isspace()
        collapsed = _BLANKS.sub(self._to, text)
        if collapsed == text:
            hold.keep(len(text))
        else:
            hold.replace(len(text), collapsed)


class _LineCollapser(TextMachine):
    """Of a run that has no line break yet, the last character is held: what stands for the run leaves in its place."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._is_broken = False  # the run that came last, if there is one: its newline has left

    def feed(self, text: str) -> None:
        hold = self.hold
        rest = text.lstrip()
        if self._is_broken:
            hold.replace(len(text) - len(rest), "")
        elif len(hold) > len(rest):  # a run is held, or begins here
            self._run(len(hold) - len(rest), text[: len(text) - len(rest)], is_over=bool(rest))
        if not rest:
            return
        self._is_broken = False
        inner = rest.rstrip()
        collapsed = _BLANKS.sub(self._stand_in, inner)
        if collapsed == inner:
            hold.keep(len(inner))
        else:
            hold.replace(len(inner), collapsed)
        if len(inner) < len(rest):
            self._run(len(rest) - len(inner), rest[len(inner) :], is_over=False)

    def _run(self, chars: int, new: str, *, is_over: bool) -> None:
        """The first so many held characters are a run, or its beginning; `new` are those that have just come."""
        hold = self.hold
        found = _BREAK.search(new)
        if found:
            hold.replace(chars - len(new) + found.start(), "")
            hold.replace(1, "\n")
            hold.replace(len(new) - found.end(), "")
            self._is_broken = True
        elif is_over:
            hold.replace(chars - 1, "")
            hold.replace(1, self._to)
        else:
            hold.replace(chars - 1, "")

    def _stand_in(self, run: re.Match[str]) -> str:
        return "\n" if _BREAK.search(run[0]) else self._to

    def finish(self) -> None:
        hold = self.hold
        hold.replace(len(hold), self._to if len(hold) else "")


class _Table(Mapping[Any, Any]):
    """A dictionary that does not change, and so has a hash."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Mapping[Any, Any]) -> None:
        self._pairs = dict(pairs)

    def __getitem__(self, key: Any) -> Any:
        return self._pairs[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __hash__(self) -> int:
        return hash(frozenset(self._pairs.items()))

    def __repr__(self) -> str:
        return repr(self._pairs)


@stage
class Translate(TextStage):
    r"""Replace single characters by others, by texts or by nothing, as `str.translate` does. It holds nothing.

    Args:
        table: what becomes of a character: another, a text, a code point, or None for nothing. The keys are characters or code
            points, so what `str.maketrans` gives is one.

    Raises:
        ValueError: a key is no single character or code point, or one stands there twice.

    Example:
        >>> import streamfilter as sf
        >>> sf.Translate({"“": '"', "”": '"', "…": "...", "\u00ad": None}).apply("“Well…”")
        '"Well..."'
        >>> sf.Translate(str.maketrans("abc", "xyz", "-")).apply("a-b-c")
        'xyz'
    """

    table: Annotated[Mapping[int | str, Annotated[int, Field(ge=0, le=sys.maxunicode)] | str | None], AfterValidator(_Table)]

    if TYPE_CHECKING:

        def __init__(
            self,
            table: Mapping[int, int | str | None] | Mapping[str, int | str | None] | Mapping[int | str, int | str | None],
            *,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        for key in self.table:
            if len(key) != 1 if isinstance(key, str) else not 0 <= key <= sys.maxunicode:
                raise ValueError("table: a key is no single character and no code point: use Replace for longer texts")
        if len(self._table) < len(self.table):
            raise ValueError("table: a character stands there twice, by itself and as a code point")

    @cached_property
    def _table(self) -> dict[int, int | str | None]:
        return {ord(key) if isinstance(key, str) else key: value for key, value in self.table.items()}

    def start(self, context: Context | None = None) -> TextMachine:
        table = self._table
        return mapping(lambda text: text.translate(table))

    def holds(self) -> str:
        return "holds nothing"
