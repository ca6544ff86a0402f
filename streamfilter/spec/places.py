"""Lines of places in TOML and JSON, whose parsers do not tell them. For messages only, so it may take as long as parsing does."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import accumulate
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

MAX_LINES = 10_000
"""Of a TOML file: in a longer one lines are not told. It is parsed some 15 times to tell one, and more if values span lines."""

MAX_VALUE_LINES = 200
"""So many lines are tried to find where a value ends that spans lines."""


def toml_line(text: str, path: tuple[str | int, ...]) -> int | None:
    r"""The line in which the value at a path begins, or the statement that gives it.

    The beginning of a file, by lines, either is TOML or breaks off inside a value. Once it has the value it has it in every longer
    beginning, so the shortest is found by halving. That is the statement; within it the way is read token by token.

    Example:
        >>> toml_line("a = 1\n\n# so\n[b]\nc = [\n  2,\n]\n", ("b", "c", 0))
        6
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
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
    return low + 1 + text.count("\n", ends[low], _within(text, ends[low], path))


_BASIC, _LITERAL = r'"(?:\\.|[^"\\])*"', r"'[^']*'"
_SKIPPED = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(rf"[ \t]*({_BASIC}|{_LITERAL}|[A-Za-z0-9_-]+)[ \t]*([.=])?")
_TOKEN = re.compile(
    rf"""\"\"\"(?:\\[\s\S]|[^\\])*?"{{3,5}}|'''[\s\S]*?'{{3,5}}|{_BASIC}|{_LITERAL}|#[^\n]*|[\[\]{{}},]|[^\[\]{{}},#"']+"""
)
"""Texts, comments, brackets and commas; what else there is means nothing here. https://toml.io/en/v1.0.0"""


def _within(text: str, at: int, path: tuple[str | int, ...]) -> int:
    """Where the value at a path begins, as far as the statement that begins here leads; the text is TOML."""
    at = _SKIPPED.match(text, at).end()  # type: ignore[union-attr]  # which matches anything
    if text[at : at + 1] in ("[", ""):
        return at
    before = _beginning(text[:at])
    keys, value = _keys(text, at)
    size = len(keys)
    starts = [n for n in range(len(path)) if path[n : n + size] == keys and _has(before, path[:n])]
    if not starts:
        return at
    rest = path[starts[-1] + size :]
    while rest and (inner := _inner(text, value, rest)) is not None:
        value, rest = inner
    return value


def _keys(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """The keys before an equals sign, and where the value behind it begins."""
    keys: list[str] = []
    while (found := _KEY.match(text, at)) is not None:
        keys += tomllib.loads(f"{found[1]} = 0")
        at = found.end()
        if found[2] != ".":
            break
    return tuple(keys), _SKIPPED.match(text, at).end()  # type: ignore[union-attr]


def _inner(text: str, at: int, path: tuple[str | int, ...]) -> tuple[int, tuple[str | int, ...]] | None:
    """Where the next value on a path begins, in the array or the inline table that begins here, and the rest of the path."""
    opening, number = text[at : at + 1], 0
    while opening in ("[", "{"):
        at = _SKIPPED.match(text, at + 1).end()  # type: ignore[union-attr]
        if text[at : at + 1] in ("]", "}", ""):
            break
        keys: tuple[str | int, ...] = (number,)
        if opening == "{":
            keys, at = _keys(text, at)
        if path[: len(keys)] == keys:
            return at, path[len(keys) :]
        at, number = _value_end(text, at), number + 1
        if text[at : at + 1] != ",":
            break
    return None


def _value_end(text: str, at: int) -> int:
    """Where the comma or the bracket behind a value stands."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if token[0] in "[{":
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        if depth < 0 or (depth == 0 and token[0] == ","):
            return token.start()
    return len(text)


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
