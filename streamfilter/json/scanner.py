"""The C scanner of the standard library, for containers that are complete in one piece."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, cast

from streamfilter.json.sink import Limits


class Scanner:
    """Reads one value at a place in a text, within limits.

    Example:
        >>> Scanner(Limits()).scan('[1, {"a": 2}] and', 0, 0)
        ([1, {'a': 2}], 13)
        >>> Scanner(Limits()).scan("[1, 2", 0, 0)
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        hook = _unique if limits.duplicates == "raise" else None
        decoder: Any = json.JSONDecoder(
            parse_float=limits.parse_float, parse_int=limits.parse_int, parse_constant=_refused, object_pairs_hook=hook
        )
        self._scan = cast("Callable[[str, int], tuple[Any, int]]", decoder.scan_once)

    def scan(self, text: str, at: int, depth: int) -> tuple[Any, int] | None:
        """The value and up to where it goes; None if it is not complete, wrong, or more than the limits allow.

        Args:
            depth: of the containers around it.
        """
        try:
            value, end = self._scan(text, at)
        except Exception:  # not complete, wrong, too deep, or of `parse_float`: who reads it step by step finds out, and where
            return None
        if end - at > self._limits.max_string:  # some string in it may be too long
            return None
        left = self._limits.max_depth - depth
        if left < sys.getrecursionlimit() and _opened(text, at, end) > left and _depth(value) > left:
            return None
        return value, end


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


def _depth(value: Any) -> int:
    """Containers inside one another."""
    deepest = 0
    todo = [(value, 1)]
    while todo:
        each, depth = todo.pop()
        deepest = max(deepest, depth)
        inside = each.values() if isinstance(each, dict) else each
        todo += [(inner, depth + 1) for inner in inside if isinstance(inner, dict | list)]
    return deepest
