"""What stands between quotation marks in a JSON text, as it is written: where it ends, and where others may begin to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast

_TO_QUOTE = cast("Callable[..., re.Match[str]]", re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL).match)  # always matches
_BRACKET = re.compile(r"[\[{]").search
_OTHER = {"}": re.compile(r"\[").search, "]": re.compile(r"\{").search}


class Quotes:
    r"""The strings and keys of a run of JSON text.

    A reader that skips prose may begin at a bracket in one of them, if it takes what is a document here for prose: a string by
    itself, or a document that begins with the bracket that it does not look for. Text that follows is read as strings there.

    Attributes:
        is_escaped: whether the next character stands behind a backslash.
        has_bracket: whether there was one in a string that was a document.
        has_other: whether in a document there was one of the other kind than that which opened it.

    Example:
        >>> quotes = Quotes()
        >>> quotes.end("say \\"), quotes.end('" and "')
        (0, 7)
        >>> quotes.look("see [1]", 7, ["}"])
        >>> quotes.has_bracket, quotes.has_other
        (False, True)
    """

    def __init__(self) -> None:
        self.is_escaped: bool = False
        self.has_bracket: bool = False
        self.has_other: bool = False

    def end(self, text: str) -> int:
        """Behind the quotation mark that ends a string or key; 0 if it is not there yet."""
        if '"' not in text and "\\" not in text:
            self.is_escaped = False
            return 0
        end = _TO_QUOTE(text, 1 if self.is_escaped else 0).end()
        self.is_escaped = end < len(text) and text[end] == "\\"
        return end + 1 if end < len(text) and not self.is_escaped else 0

    def look(self, text: str, end: int, closers: Sequence[str]) -> None:
        """Look for brackets.

        Args:
            text: in it a string or key stands.
            end: up to there.
            closers: what closes the containers around it, from the outermost on.
        """
        if not closers:
            self.has_bracket = self.has_bracket or _BRACKET(text, 0, end) is not None
        elif not self.has_other:
            self.has_other = _OTHER[closers[0]](text, 0, end) is not None
