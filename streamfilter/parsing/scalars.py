"""What stands outside of strings and is no text either: white space, numbers, literals, empty arrays; and what may become one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TypeAlias, cast

_Match: TypeAlias = Callable[..., re.Match[str]]
_BLANK = r"[ \t\n\r]*"
_PARTS_OF_WORDS = tuple(word[:n] for word in ("true", "false", "null") for n in range(len(word) - 1, 0, -1))
_QUIET = cast("_Match", re.compile(rf"(?:[ \t\n\r\x1e]++|\[{_BLANK}\])*+").match)  # always matches, as does the next
_SCALARS = cast("_Match", re.compile(rf"(?:[ \t\n\r\x1e]++|\[{_BLANK}\]|true|false|null|[-+.eE0-9]++)*+").match)
_SCALAR = re.compile(rf"{_BLANK}(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?){_BLANK}").fullmatch
_BEGUN = re.compile(rf"\[{_BLANK}|{'|'.join(_PARTS_OF_WORDS)}|").fullmatch


def quiet_end(text: str, end: int = sys.maxsize) -> int:
    """Where the white space ends that a text begins with, and empty arrays, which are documents without text.

    Args:
        text: it.
        end: it is looked at up to there.

    Example:
        >>> quiet_end(" [ ] a"), quiet_end(" [ ] a", 3)
        (5, 1)
    """
    return _QUIET(text, 0, end).end()


def scalars_end(text: str) -> int:
    """The same, and of numbers and literals.

    Example:
        >>> scalars_end("[] true 1e5 a")
        12
    """
    return _SCALARS(text).end()


def is_scalar(text: str) -> bool:
    r"""Whether it is one number or literal.

    Example:
        >>> is_scalar(" -1.5e3\n"), is_scalar("1 2"), is_scalar("tru")
        (True, False, False)
    """
    return _SCALAR(text) is not None


def may_go_on(text: str, at: int) -> bool:
    """Whether what stands from there on may become more of what `scalars_end` passes.

    Example:
        >>> may_go_on("1 tru", 2), may_go_on("1 tr,", 2), may_go_on("1", 1)
        (True, False, True)
    """
    return _BEGUN(text, at) is not None


def part_of_word(ends: Callable[[int], str]) -> int:
    """How many characters at the end of a text may be the beginning of a literal.

    Args:
        ends: gives the last so many of its characters.

    Example:
        >>> part_of_word(lambda chars: "[1, nul"[-chars:])
        3
    """
    return next((len(part) for part in _PARTS_OF_WORDS if ends(len(part)) == part), 0)
