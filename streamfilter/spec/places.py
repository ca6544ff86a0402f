"""Lines of places in TOML and JSON, whose parsers do not tell them. For messages only, so it may take as long as parsing does."""

from __future__ import annotations

import json
import tomllib
from itertools import accumulate
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

MAX_LINES = 10_000
"""Of a TOML file: in a longer one lines are not told. It is parsed some 15 times to tell one, and more if values span lines."""

MAX_VALUE_LINES = 200
"""So many lines are tried to find where a value ends that spans lines."""


def toml_line(text: str, path: tuple[str | int, ...]) -> int | None:
    r"""The line in which the statement begins that gives the value at a path.

    The beginning of a file, by lines, either is TOML or breaks off inside a value. Once it has the value it has it in every longer
    beginning, so the shortest is found by halving.

    Example:
        >>> toml_line("a = 1\n\n# so\n[b]\nc = [\n  2,\n]\n", ("b", "c", 0))
        5
    """
    lines = text.splitlines(keepends=True)
    if len(lines) > MAX_LINES or not path:
        return None
    ends = [0, *accumulate(map(len, lines))]
    low, high = 0, len(lines)  # beginnings of so many lines: without the value, and with it
    while high - low > 1:
        middle = (low + high) // 2
        for tried in range(middle, min(high, middle + MAX_VALUE_LINES)):
            document = _beginning(text[: ends[tried]])
            if document is not None:
                break
        else:
            if high - middle > MAX_VALUE_LINES:
                return None
            high = middle  # nothing between them is TOML, so what stands there is one value
            continue
        if _has(document, path):
            high = tried if tried < high else middle
        else:
            low = tried
    while low + 1 < len(lines) and lines[low].lstrip()[:1] in ("", "#"):
        low += 1
    return low + 1


def _beginning(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _has(document: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        is_in = step in document if isinstance(document, dict) else isinstance(step, int) and _is_longer(document, step)
        if not is_in:
            return False
        document = document[step]
    return True


def _is_longer(document: Any, number: int) -> bool:
    return isinstance(document, list) and number < len(document)


def json_line(text: str, path: tuple[str | int, ...]) -> int | None:
    r"""The line in which the value at a path begins, or the last value on the way that is there.

    Example:
        >>> json_line('{"a": 1,\n "b": [\n2,\n3]}', ("b", 1))
        4
    """
    decoder = json.JSONDecoder()
    at = _value(text, 0)
    try:
        for step in path:
            at = _member(text, at, step, decoder)
    except (ValueError, IndexError, StopIteration, RecursionError):
        pass
    return text.count("\n", 0, at) + 1


def _value(text: str, at: int) -> int:
    """Where the next value begins."""
    while text[at] in " \t\r\n,:":
        at += 1
    return at


def _member(text: str, at: int, step: str | int, decoder: json.JSONDecoder) -> int:
    """Where a member of the object or the array that begins here does.

    Raises:
        ValueError: there is none.
    """
    is_object, number = text[at] == "{", 0
    at = _value(text, at + 1)
    while text[at] not in "}]":
        name: str | int = number
        if is_object:
            name, at = scanstring(text, at + 1, True)
            at = _value(text, at)
        if name == step:
            return at
        _, at = decoder.raw_decode(text, at)
        at, number = _value(text, at), number + 1
    raise ValueError
