"""Escapes in strings, as RFC 8259 has them, and what is wrong at a place in a piece of text."""

from __future__ import annotations

import re

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNIT = re.compile(r"\\u([0-9a-fA-F]{4})").match
_BEGUN_UNIT = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?").fullmatch


class Wrong(Exception):
    """Something is wrong at a place in a piece of text.

    Attributes:
        problem: what.
        at: where in it.
    """

    def __init__(self, problem: str, at: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


def escape_at(text: str, at: int) -> tuple[str, int] | None:
    r"""The escape at a place, decoded, and up to where it goes; None if it is not all there.

    Half of a surrogate pair waits for what follows it; if that is not the other half, it stays alone, as in `json.loads`.

    Raises:
        Wrong: it is none.

    Example:
        >>> escape_at(r"a\n", 1), escape_at(r"\u00e9", 0), escape_at(r"\ud83d\ude0", 0), escape_at(r"\ud83d\ude00", 0)
        (('\n', 3), ('é', 6), None, ('😀', 12))
    """
    letter = text[at + 1 : at + 2]
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 2
    unit = _unit(text, at)
    if unit is None or not 0xD800 <= unit < 0xDC00:
        return None if unit is None else (chr(unit), at + 6)
    if not "\\u".startswith(text[at + 6 : at + 8]):
        return chr(unit), at + 6
    second = _unit(text, at + 6)
    if second is None:
        return None
    if 0xDC00 <= second < 0xE000:
        return chr(0x10000 + ((unit - 0xD800) << 10 | (second - 0xDC00))), at + 12
    return chr(unit), at + 6


def _unit(text: str, at: int) -> int | None:
    r"""What four digits behind `\u` say; None if they are not all there."""
    found = _UNIT(text, at)
    if found is not None:
        return int(found[1], 16)
    if at == len(text) or _BEGUN_UNIT(text, at):
        return None
    raise Wrong(r"four digits are missing behind \u" if text[at + 1] == "u" else "an escape that is none", at)
