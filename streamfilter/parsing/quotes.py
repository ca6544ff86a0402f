"""What stands between quotation marks in a JSON text, as it is written: where it ends, and where others may begin to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast

_TO_QUOTE = cast("Callable[..., re.Match[str]]", re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL).match)  # always matches
_BRACKET = re.compile(r"[\[{]").search
_BRACKETS = re.compile(r"[\[\]]").findall
_BLANKS = " \t\n\r"
_UNQUOTED = _BLANKS + "[]{},:0123456789+-.Etruefalsn"
"""Characters that an array may have before its first string, and more: letters are those of literals in any order."""


class Quotes:
    r"""The strings and keys of a run of JSON text.

    A reader that skips prose may begin at a bracket in one of them, if it takes what is a document here for prose: a string by
    itself, or a document that begins with the bracket that it does not look for. Text that follows is read as strings there.

    Attributes:
        is_escaped: whether the next character stands behind a backslash.
        has_bracket: whether there was one in a string that was a document.
        has_other: whether in a document there was one of the other kind than that which opened it, of what may go on behind the
            string: an object that has just begun, or an array of which nothing is quoted yet.

    Example:
        >>> quotes = Quotes()
        >>> quotes.end("say \\"), quotes.end('" and "')
        (0, 7)
        >>> quotes.look("see [1]", ["}"], is_over=True), quotes.has_other
        (None, False)
        >>> quotes.look("see [1, ", ["}"], is_over=True), quotes.has_other
        (None, True)
    """

    def __init__(self) -> None:
        self.is_escaped: bool = False
        self.has_bracket: bool = False
        self.has_other: bool = False
        self._open = 0  # brackets that were open at the end of what was looked at

    def end(self, text: str) -> int:
        """Behind the quotation mark that ends a string or key; 0 if it is not there yet."""
        if '"' not in text and "\\" not in text:
            self.is_escaped = False
            return 0
        end = _TO_QUOTE(text, 1 if self.is_escaped else 0).end()
        self.is_escaped = end < len(text) and text[end] == "\\"
        return end + 1 if end < len(text) and not self.is_escaped else 0

    def look(self, text: str, closers: Sequence[str], *, is_over: bool) -> None:
        """Look for brackets.

        Args:
            text: more of a string or key.
            closers: what closes the containers around it, from the outermost on.
            is_over: whether that is all of it.
        """
        if not closers:
            self.has_bracket = self.has_bracket or _BRACKET(text) is not None
            return
        if closers[0] == "]":
            if ended := text.rstrip(_BLANKS):
                self._open = int(ended[-1] == "{")
        elif self._open or "[" in text:
            before = text.rstrip(_UNQUOTED)
            self._open = 0 if before else self._open
            for bracket in _BRACKETS(text, len(before)):
                self._open = self._open + 1 if bracket == "[" else max(0, self._open - 1)
        if is_over:
            self.has_other = self.has_other or self._open > 0
            self._open = 0
