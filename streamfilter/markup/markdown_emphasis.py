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


def flanks(mark: str, before: str, after: str) -> tuple[bool, bool]:
    """Whether a run can open and can close emphasis between these characters.

    Example:
        >>> flanks("*", " ", "a"), flanks("_", "a", "b"), flanks("*", " ", " ")
        ((True, False), (False, False), (False, False))
    """
    space_before, space_after = _is_space(before), _is_space(after)
    mark_before, mark_after = _is_mark(before), _is_mark(after)
    left = not space_after and (not mark_after or space_before or mark_before)
    right = not space_before and (not mark_before or space_after or mark_after)
    if mark == "_":
        return left and (not right or mark_before), right and (not left or mark_after)
    return left, right


def _is_space(character: str) -> bool:
    return character in " \t\n\r\f\v" or unicodedata.category(character) == "Zs"


def _is_mark(character: str) -> bool:
    return character in PUNCTUATION or unicodedata.category(character)[0] in "PS"
