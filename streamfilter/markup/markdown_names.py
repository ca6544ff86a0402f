"""What a Markdown text has defined so far: links and footnotes, by their names."""

from __future__ import annotations

from typing import Literal

MAX_LABELS = 10_000
"""Definitions that are remembered, of links and of footnotes. A text with more of them is a list of links: further ones are not
looked up, and so what they define is held a little shorter than it might be."""


class Names:
    """What has been defined so far: it outlives paragraphs."""

    __slots__ = ("_defined",)

    def __init__(self) -> None:
        self._defined: set[tuple[str, str]] | None = None  # most texts define nothing

    def add(self, kind: Literal["link", "note"], name: str) -> None:
        """Remember one."""
        if self._defined is None:
            self._defined = set()
        if len(self._defined) < MAX_LABELS:
            self._defined.add((kind, name))

    def has(self, kind: Literal["link", "note"], name: str) -> bool:
        """Whether it is defined."""
        return self._defined is not None and (kind, name) in self._defined
