"""The C scanner of the standard library, for containers that are complete in one piece."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import cached_property
from itertools import accumulate
from typing import Any, cast

from streamfilter.parsing.sink import Limits

FAILURES = 3
"""Failed tries for one piece. A container that is not complete in it fails at its end, and so does each in it."""

RUN_MOST = 32_000
"""Characters in which elements that follow one another are looked for at once. They are copied: what stays in the processor's cache
takes half as long as a megabyte. An element that is longer is scanned by itself."""


class Scanner:
    """Reads values at a place in a text, within limits.

    Example:
        >>> Scanner(Limits()).container('[1, {"a": 2}] and', 0, 0)
        ([1, {'a': 2}], 13)
        >>> Scanner(Limits()).container("[1, 2", 0, 0)
        >>> Scanner(Limits()).elements("[1, [2], [3", 1, 1)
        ([1, [2]], 7)
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._offset = -1
        self._failures = 0  # with the text of this offset
        self._wasted_runs = 0  # of elements, one behind the other: most of what was scanned was none of them

    @cached_property
    def _scan(self) -> Callable[[str, int], tuple[Any, int]]:
        limits = self._limits
        hook = _unique if limits.duplicates == "raise" else None
        decoder: Any = json.JSONDecoder(
            parse_float=limits.parse_float, parse_int=limits.parse_int, parse_constant=_refused, object_pairs_hook=hook
        )
        return cast("Callable[[str, int], tuple[Any, int]]", decoder.scan_once)

    def container(self, text: str, at: int, depth: int, offset: int = 0) -> tuple[Any, int] | None:
        """The container that begins here, and up to where it goes; None if it is not complete, wrong, or more than is allowed.

        Args:
            depth: of the containers around it.
            offset: of the text, so that there are few tries for each.
        """
        if offset != self._offset:
            self._offset, self._failures = offset, 0
        scanned = self._scanned(text, at, depth) if self._failures < FAILURES else None
        if scanned is None:
            self._failures += 1
        return scanned

    def elements(self, text: str, at: int, depth: int) -> tuple[list[Any], int] | None:
        """The elements of an array that are complete, from one on, and up to where they go; None as before.

        Args:
            depth: of the containers around them.
        """
        if self._wasted_runs == FAILURES:
            return None
        # Up to the last comma behind what looks like the first element. It may stand inside of one that is not complete.
        begin = _BEGIN(text, at)
        closing = _CLOSING.get(begin[1], "") if begin else ""
        last = text.rfind(f"{closing},", at, at + RUN_MOST) + len(closing)
        run = f"[{text[at:last]}]"
        values, end = (last > at and self._scanned(run, 0, depth - 1)) or ([], 0)
        self._wasted_runs = 0 if end > len(run) // 2 else self._wasted_runs + 1
        return (values, at + end - 2) if values else None  # their array may itself have ended before

    def _scanned(self, text: str, at: int, depth: int) -> tuple[Any, int] | None:
        try:
            value, end = self._scan(text, at)
        except Exception:  # not complete, wrong, too deep, or of `parse_float`: who reads it step by step finds out, and where
            return None
        if end - at > self._limits.max_string:  # some string in it may be too long
            return None
        left = self._limits.max_depth - depth
        if end - at > left and left < sys.getrecursionlimit() and _opened(text, at, end) > left and _depth(text[at:end]) > left:
            return None
        return value, end


_BEGIN = re.compile(r"[ \t\n\r]*(.)").match
_CLOSING = {'"': '"', "[": "]", "{": "}"}


def _refused(name: str) -> Any:
    """NaN and Infinity are no JSON."""
    raise ValueError(name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _opened(text: str, at: int, end: int) -> int:
    return text.count("[", at, end) + text.count("{", at, end)


def _depth(text: str) -> int:
    """Containers inside one another, in the text: a value that an equal key has replaced was as deep."""
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in _NO_BRACKETS("", text)))


_NO_BRACKETS = re.compile(r'[^"\[\]{}]+|"[^"\\]*(?:\\.[^"\\]*)*"').sub
