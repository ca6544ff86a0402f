"""What stands between the parser and those who make something of a document: what it tells them, where it is, what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = list[str | int]
"""Keys and indexes, from the root to a value."""

MAX_DEPTH = 1000
"""Containers inside one another: as many as `json.loads` takes. Nothing that is meant to be read is so deep."""

MAX_STRING = 100_000_000
"""Characters of one string, key or number, as written. This is a bound for what is broken, not for what is long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a parser takes, and what it makes of numbers.

    Attributes:
        max_depth: containers inside one another.
        max_string: characters of one string or key.
        parse_float: makes something of the text of a number with a fraction or an exponent.
        parse_int: and of the others.
        duplicates: `"last"`: of equal keys in an object the last wins; `"raise"`: they are malformed.
    """

    max_depth: int = MAX_DEPTH
    max_string: int = MAX_STRING
    parse_float: Callable[[str], Any] = float
    parse_int: Callable[[str], Any] = int
    duplicates: str = "last"


class Sink:
    """What a parser tells, in the order of the text. As it stands it ignores everything."""

    takes_whole: bool = True
    """Whether a container or a string that is complete may come as one `value`."""

    takes_many: bool = False
    """Whether several such elements of an array may come as one `values`."""

    def begin_object(self) -> None:
        """An object begins; keys and values follow, and `end`."""

    def begin_array(self) -> None:
        """An array begins; values follow, and `end`."""

    def end(self) -> None:
        """The innermost open container ends."""

    def key(self, key: str) -> None:
        """A key is complete, its colon is there; its value follows."""

    def begin_string(self) -> None:
        """A string begins; its text follows, and `end_string`."""

    def text(self, text: str, raw: str | None = None) -> None:
        """More text of the open string, and how it was written, if that is not the same."""

    def piece(self, text: str) -> Any:
        """The same, where that is all of a piece. Gives what there is to give behind it, if the sink is asked for that."""
        self.text(text)

    def end_string(self) -> None:
        """The open string ends."""

    def value(self, value: Any) -> None:
        """A complete value: a number, a literal, or anything if it is taken whole."""

    def values(self, values: list[Any]) -> None:
        """Several, which follow one another in an array."""
        for value in values:
            self.value(value)


class Position(NamedTuple):
    """A place in a text.

    Attributes:
        offset: in characters.
        lines: how many lines have ended before it.
        line: where its line begins.
    """

    offset: int = 0
    lines: int = 0
    line: int = 0

    @property
    def place(self) -> dict[str, int]:
        """As errors say it."""
        return {"offset": self.offset, "line": self.lines + 1, "column": self.offset - self.line + 1}

    def behind(self, text: str) -> Position:
        """The place behind some more text."""
        offset = self.offset + len(text)
        lines = text.count("\n")
        return (
            Position(offset, self.lines + lines, self.offset + text.rfind("\n") + 1)
            if lines
            else Position(offset, self.lines, self.line)
        )
