"""Whether a JSON text may be over. It need not be JSON: that is for who reads it to find out."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKS = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class Brackets:
    r"""Whether the brackets of a JSON text are closed, so that it may be over. It keeps none of the text.

    Example:
        >>> brackets = Brackets()
        >>> for piece in ('{"a": "}\\', '"', '"', "}"):
        ...     brackets.add(piece)
        ...     print(brackets.are_closed)
        False
        False
        False
        True
    """

    __slots__ = ("_depth", "_has_opened", "_is_escaped", "_is_quoted")

    def __init__(self) -> None:
        self._depth = 0
        self._has_opened = False
        self._is_escaped = False  # the character that comes next
        self._is_quoted = False

    def add(self, text: str) -> None:
        """More text has come."""
        if not text:
            return
        marks: Sequence[str] = _MARKS.findall(text, int(self._is_escaped))
        self._is_escaped = bool(marks) and marks[-1] == "\\"
        for mark in marks:
            if mark == '"':
                self._is_quoted = not self._is_quoted
            elif not self._is_quoted and mark[0] != "\\":
                self._depth += 1 if mark in "{[" else -1
                self._has_opened = True

    @property
    def are_closed(self) -> bool:
        """Whether there were any, and all are."""
        return self._has_opened and self._depth <= 0 and not self._is_quoted
