"""Lines of Markdown: the answer to what one is, a place in one, and the cells of one.

Nothing here knows what stands before a line, or decides what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["blank", "text", "heading", "code", "fence", "fenced", "unfence", "html", "rule", "underline", "table", "row"]

_CELL = re.compile(r":?-+:?")


@dataclass(slots=True)
class Line:
    """What a line is.

    Args:
        kind: which block it belongs to.
        start: where the text of that begins in the line.
        continues: whether it continues the paragraph before it.
        can_head: whether it may become the head of a table.
    """

    kind: Kind
    start: int
    continues: bool = False
    can_head: bool = False


class Place:
    """A place in a line, in characters and columns. Inside a tab, the column is ahead of the character."""

    __slots__ = ("at", "column", "indent", "line", "word")

    def __init__(self, line: str) -> None:
        self.line: str = line
        self.at: int = 0
        self.column: int = 0
        self.word: int
        self.indent: int
        self.look()

    def look(self) -> None:
        """Find the next word, and how far it is indented."""
        line, word, column = self.line, self.at, self.column
        if line[word : word + 1] not in " \t":
            self.word = word
            self.indent = 0
            return
        size = len(line)
        while word < size:
            if line[word] == " ":
                column += 1
            elif line[word] == "\t":
                column = (column // 4 + 1) * 4
            else:
                break
            word += 1
        self.word = word
        self.indent = column - self.column

    def skip(self, columns: int) -> None:
        """Leave out so many columns of white space."""
        while columns:
            width = (self.column // 4 + 1) * 4 - self.column if self.line[self.at] == "\t" else 1
            if width <= columns:
                self.at += 1
            self.column += min(width, columns)
            columns -= min(width, columns)
        self.look()

    def mark(self, chars: int) -> None:
        """Leave out the white space before the next word, and that many characters of it."""
        self.column += self.indent + chars
        self.at = self.word + chars
        self.look()

    @property
    def is_over(self) -> bool:
        return self.word == len(self.line)


def columns(line: str) -> int:
    """How many columns a table has whose line of delimiters this is; 0 if it is none."""
    if len(line) < 2 or (line[0] == "-" and line[1] in " \t"):
        return 0
    cells = [cell.strip(" \t") for cell in line.split("|")]
    if not all(cells[1:-1]):
        return 0
    filled = [cell for cell in cells if cell]
    return len(filled) if all(_CELL.fullmatch(cell) for cell in filled) else 0


def cells(line: str) -> int:
    r"""How many cells a line has as the head of a table.

    Example:
        >>> cells("| a | b |"), cells(r"a \| b"), cells("|")
        (2, 1, 0)
    """
    parts = re.split(r"(?<!\\)\|", line.strip(" \t\r\n"))
    return len(parts) - (parts[0] == "") - (len(parts) > 1 and parts[-1] == "")
