"""Tags: how they are spelled, and where in a text the next one stands, or may still begin.

What stands between two tags, and what becomes of it, is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

ATTRIBUTES_CHARS = 256
"""Characters of the attributes in a tag: so many are held until its end is seen. Models give a tag an attribute or two."""

Tag: TypeAlias = str | tuple[str, str]
"""The name of a tag, such as `"think"`, or the two markers themselves."""

_NAME = re.compile(r"\w[\w.:-]*")


class Spelling(NamedTuple):
    """The two markers of one tag, and the name that it has between angle brackets."""

    opening: str
    closing: str
    name: str | None = None


def spelled(tag: Tag) -> Spelling:
    """The markers of a tag.

    Raises:
        ValueError: it is neither a name nor two markers; the message says what would be right.

    Example:
        >>> spelled("think").closing, spelled(("[[", "]]")).closing
        ('</think>', ']]')
    """
    if isinstance(tag, tuple):
        if not all(tag):
            raise ValueError("a marker is empty: give the text that opens a section and the text that closes it")
        return Spelling(*tag)
    if not _NAME.fullmatch(tag):
        raise ValueError("a tag is given by its name, 'think' for <think>…</think>, or as the pair of its two markers")
    return Spelling(f"<{tag}>", f"</{tag}>", tag)


class Found(NamedTuple):
    """A marker in a text.

    Attributes:
        start: where it begins.
        end: where it ends.
        opens: whether it opens a section.
        number: the number of its spelling.
    """

    start: int
    end: int
    opens: bool
    number: int


class Marks:
    """Some markers, compiled. The one that begins first counts; of several that begin there, the longest.

    Args:
        wanted: those that are looked for: whether each opens, and the number of its spelling.
        spellings: all of them.
        ignore_case: whether case counts.
        attributes: whether tags with names may have attributes.

    Example:
        >>> marks = Marks([(True, 0)], [spelled("think")], ignore_case=False, attributes=False)
        >>> marks.find("a <think> b", 0, 11), marks.begins("a <thi", 0, 6)
        (Found(start=2, end=9, opens=True, number=0), 2)
    """

    def __init__(
        self, wanted: Iterable[tuple[bool, int]], spellings: list[Spelling], *, ignore_case: bool, attributes: bool
    ) -> None:
        flags = re.IGNORECASE if ignore_case else 0
        literals: list[tuple[str, bool, int]] = []
        wider: list[tuple[str, str, bool, int]] = []
        for opens, number in wanted:
            spelling = spellings[number]
            text = spelling.opening if opens else spelling.closing
            literals.append((text, opens, number))
            if attributes and spelling.name:
                space = rf"\s[^<>]{{0,{ATTRIBUTES_CHARS - 1}}}" if opens else rf"\s{{1,{ATTRIBUTES_CHARS}}}"
                wider.append((text[:-1], space, opens, number))
        literals.sort(key=lambda literal: -len(literal[0]))
        self._kinds = [(opens, number) for _, opens, number in literals] + [(opens, number) for *_, opens, number in wider]
        whole = [re.escape(text) for text, *_ in literals] + [f"{re.escape(text)}{space}>" for text, space, *_ in wider]
        begun = [_begun(text) for text, *_ in literals if len(text) > 1] + [_begun(text, space) for text, space, *_ in wider]
        self._whole = re.compile("|".join(f"({pattern})" for pattern in whole), flags)
        self._begun = re.compile(rf"(?:{'|'.join(begun)})\Z", flags) if begun else None
        self.longest: int = max(len(text) for text, *_ in literals) + (ATTRIBUTES_CHARS if wider else 0)
        firsts = {text[0] for text, *_ in literals}
        self.stops: Callable[[str], object] = re.compile(f"[{''.join(map(re.escape, firsts))}]", flags).search
        """Looks for the first character of a marker."""

    def find(self, text: str, start: int, stop: int) -> Found | None:
        """The first marker that ends up to `stop`."""
        match = self._whole.search(text, start, stop)
        if match is None or match.lastindex is None:
            return None
        return Found(match.start(), match.end(), *self._kinds[match.lastindex - 1])

    def begins(self, text: str, start: int, stop: int) -> int:
        """Where a marker may begin of which more is to come; `stop` if nowhere."""
        if self._begun is None:
            return stop
        match = self._begun.search(text, max(start, stop - self.longest + 1), stop)
        return stop if match is None else match.start()


def _begun(text: str, more: str = "") -> str:
    """A pattern for every beginning of a text that is not all of it; with `more`, for all of it with that behind."""
    characters = [re.escape(character) for character in text]
    pattern = f"(?:{more})?" if more else ""
    for character in reversed(characters[1:] if more else characters[1:-1]):
        pattern = f"(?:{character}{pattern})?"
    return characters[0] + pattern
