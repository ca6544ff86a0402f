"""Emphasis: what a run of delimiters can do, and which opener it closes. CommonMark's rules, and the same for GitHub's `~~`.

Nothing here knows the text, or what is held: a run is its mark, its size and the characters beside it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

from streamfilter.markup.markdown_tokens import PUNCTUATION

Question: TypeAlias = tuple[str, bool, int]
"""What decides which openers a run can close: its mark, whether it may open too, its size modulo 3."""


@dataclass(slots=True)
class Delimiter:
    """A run that may open or close emphasis, as far as it is not used up."""

    at: int
    mark: str
    left: int  # characters that are not used up; of tildes, pairs
    size: int
    opens: bool
    closes: bool


def _fits(opener: Delimiter, closer: Delimiter) -> bool:
    """CommonMark's rule of three (rules 9 and 10 of emphasis)."""
    if opener.mark == "~" or not (opener.closes or closer.opens):
        return True
    return (opener.size + closer.size) % 3 != 0 or (opener.size % 3 == 0 and closer.size % 3 == 0)


def pair(openers: list[Delimiter], new: Delimiter, floors: dict[Question, int]) -> int:
    """Let a run close what it can; if it may open, it stays. Give where the first that it closed stands, or it itself.

    Args:
        openers: the runs before it that may still be closed.
        floors: before where no opener fits, by what fits: so that equal runs do not ask again and again.
    """
    start = new.at
    key = (new.mark, new.opens, new.size % 3)
    while new.closes and new.left:
        floor = floors.get(key, -1)
        for place in range(len(openers) - 1, -1, -1):
            opener = openers[place]
            if opener.at < floor:
                place = -1  # noqa: PLW2901  # none of the rest fits: an equal run has asked them all
                break
            if opener.mark == new.mark and _fits(opener, new):
                break
        else:
            place = -1
        if place < 0:
            floors[key] = new.at
            break
        opener = openers[place]
        del openers[place + 1 :]
        start = opener.at
        used = min(opener.left, new.left) if new.mark == "~" else 2 if opener.left > 1 and new.left > 1 else 1
        opener.left -= used
        new.left -= used
        new.at += used * 2 if new.mark == "~" else used
        if not opener.left:
            openers.pop()
    if new.opens and new.left:
        openers.append(new)
    return start


class _Kinds(dict[str, int]):
    """What flanking asks of a character. Those of ASCII are known beforehand; of the others nothing is kept."""

    def __missing__(self, character: str) -> int:
        category = unicodedata.category(character)
        return SPACE if category == "Zs" else MARK if category[0] in "PS" else LETTER


LETTER, SPACE, MARK = range(3)
"""What is neither white space nor punctuation; white space; punctuation and symbols."""

KINDS = _Kinds(
    {chr(code): MARK if chr(code) in PUNCTUATION else SPACE if chr(code) in " \t\n\r\f\v" else LETTER for code in range(128)}
)
"""Of each character, which of them it is.

Example:
    >>> KINDS["a"] == KINDS["\u00e9"] == LETTER, KINDS["\u00a0"] == SPACE, KINDS["\u20ac"] == MARK
    (True, True, True)
"""


def flanks(mark: str, before: int, after: int) -> tuple[bool, bool]:
    """Whether a run can open and can close emphasis between characters of these kinds.

    Example:
        >>> flanks("*", SPACE, LETTER), flanks("_", LETTER, LETTER), flanks("*", SPACE, SPACE)
        ((True, False), (False, False), (False, False))
    """
    left = after != SPACE and (after != MARK or before != LETTER)
    right = before != SPACE and (before != MARK or after != LETTER)
    if mark == "_":
        return left and (not right or before == MARK), right and (not left or after == MARK)
    return left, right


FLANKS = {mark: [[flanks(mark, before, after) for after in range(3)] for before in range(3)] for mark in "*_~"}
"""All that `flanks` can say: a run is looked up, twice as fast as it is asked."""
