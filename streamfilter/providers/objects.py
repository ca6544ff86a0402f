"""Bodies of JSON as the objects that they hold, each as a text of its own, which every `wrap` and `Decode` reads: lines, an array.

So whoever reads a body reads it in one way, and what is wrong with it is said of the body, not of the code that feeds it.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from streamfilter.errors import MalformedInput, TruncatedInput
from streamfilter.providers.frames import json_text
from streamfilter.providers.shapes import object_in


class NotJSON(ValueError):
    """It is none, or not for certain."""


def loaded(raw: bytes) -> Any:
    """What a JSON text says.

    Raises:
        NotJSON: it is none, two fields of an object have one name, or a number is none that JSON has, or too large.

    Example:
        >>> loaded(b'{"a": 1}')
        {'a': 1}
    """
    try:
        return json.loads(raw, object_pairs_hook=_object, parse_constant=_refused, parse_float=_float)
    except (ValueError, RecursionError):
        raise NotJSON from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotJSON
    return made


def _refused(_: str) -> Any:
    raise NotJSON


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJSON
    return value


def lines(pieces: Iterator[bytes]) -> Iterator[str]:
    r"""The lines of a body that say something, each with its end. What marks a file as UTF-8 is no JSON.

    Raises:
        MalformedInput: a line is no JSON object: of what begins as none, a `wrap` would say that code feeds it wrongly.
        TruncatedInput: the body ends inside one. The offset is the number of the line, from 0.

    Example:
        >>> list(lines(iter([b'{"a": 1}\n\n{"b"', b": 2}"])))
        ['{"a": 1}\n', '{"b": 2}']
    """
    for number, line in enumerate(_lines(pieces)):
        if not line.lstrip().startswith(b"{"):
            raise MalformedInput("a line is no JSON object, as lines of JSON (NDJSON) have to be", number)
        text = line.decode("utf-8", "surrogateescape")
        if not text.endswith("\n") and object_in(text) is None:
            raise TruncatedInput("the stream ends inside an event", number)
        yield text


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        parts.append(first)
        for other in others:
            line = b"".join([*parts, b"\n"]).removeprefix(codecs.BOM_UTF8)
            parts = [other]
            if line.strip():
                yield line
    if last := b"".join(parts).removeprefix(codecs.BOM_UTF8).strip():
        yield last


def elements(pieces: Iterator[bytes], most: int) -> Iterator[str]:
    """The objects of a JSON array. It is read whole: what it says is not certain before its end.

    Args:
        pieces: the body.
        most: bytes that it may have.

    Raises:
        MalformedInput: it is none, or larger.

    Example:
        >>> list(elements(iter([b'[{"a": 1}, ', b'{"a": 2}]']), 100))
        ['{"a":1}', '{"a":2}']
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most:
            raise MalformedInput(f"the array of chunks is larger than {most} bytes: give its elements as lines of JSON", 0)
    found: Any = None
    with suppress(NotJSON):  # it quotes nothing, but its cause may
        found = loaded(bytes(body))
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise MalformedInput("the input is no JSON array of objects, or could be read in two ways", 0)
    for each in found:
        yield json_text(each)
