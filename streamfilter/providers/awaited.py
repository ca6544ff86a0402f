"""Text that has come and not left yet, so that what leaves can be held against it. This module knows no format."""

from __future__ import annotations


class Awaited:
    """Text that has come and not left yet. However much is held, and in however many pieces it leaves, each costs what it is long.

    Example:
        >>> awaited = Awaited()
        >>> awaited.add("abc")
        >>> awaited.takes("ab"), awaited.takes("x"), awaited.rest
        (True, False, 'c')
    """

    __slots__ = ("_at", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._at = 0  # how much of it has left

    def add(self, text: str) -> None:
        """More has come."""
        before, self._text = self._text, ""
        if 2 * self._at >= len(before):
            before, self._at = before[self._at :], 0
        before += text  # with no other reference to it, CPython grows a string in place
        self._text = before

    def takes(self, text: str) -> bool:
        """Whether a text is the next of it. Then it has left."""
        is_next = self._text.startswith(text, self._at)
        if is_next:
            self._at += len(text)
        return is_next

    def __len__(self) -> int:
        return len(self._text) - self._at

    @property
    def rest(self) -> str:
        """What has not left."""
        return self._text[self._at :]
