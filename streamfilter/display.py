"""How values are shown to people: shortened, and as tables for notebooks. What they mean is not known here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

BRIEF_CHARS = 200
"""Of a repr that people are shown: some lines. That of a catalogue of rules fills a screen."""


def brief(value: object) -> str:
    """The beginning of a repr.

    Example:
        >>> len(brief("x" * 1000))
        201
    """
    text = repr(value)
    return text if len(text) <= BRIEF_CHARS else f"{text[:BRIEF_CHARS]}…"


def counted(number: float, noun: str) -> str:
    """A number of things.

    Example:
        >>> counted(1, "character"), counted(0.5, "second"), counted(1_000_000, "character")
        ('1 character', '0.5 seconds', '1000000 characters')
    """
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun}" if shown == "1" else f"{shown} {noun}s"


def holding(what: str, most: int) -> str:
    """What a stage says of itself that holds something, of at most so many characters.

    Example:
        >>> holding("a line until it ends", 80), holding("a line until it ends", 0)
        ('holds a line until it ends, at most 80 characters', 'holds nothing')
    """
    return f"holds {what}, at most {counted(most, 'character')}" if most > 0 else "holds nothing"


class Explained(Protocol):
    """A stage, as far as it is shown. One that knows what may be wrong with the stages in front of it has a `hint` of them too."""

    def explanation(self) -> str:
        """In words."""
        ...


def explanation(part: Explained, earlier: Sequence[object]) -> str:
    """What a stage says of itself, and of those in front of it."""
    hint = getattr(part, "hint", None)
    said = "" if hint is None else hint(earlier)
    return f"{part.explanation()}; {said}" if said else part.explanation()


def explained(parts: Sequence[Explained]) -> list[tuple[str, str]]:
    """The stages of a pipeline, each with what it does."""
    return [(brief(part), explanation(part, parts[:number])) for number, part in enumerate(parts)]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in HTML, without any style of its own, so that a notebook's light or dark one applies.

    Example:
        >>> table(["a"], [["<b>"]])
        '<table><thead><tr><th style="text-align:left">a</th></tr></thead>...&lt;b&gt;...</table>'
    """
    head = _row("th", titles)
    body = "".join(_row("td", row) for row in rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    from html import escape  # noqa: PLC0415  # its table of entities would make up half of what importing this costs

    shown = (escape(cell).replace("\n", "<br>") for cell in cells)
    return "<tr>" + "".join(f'<{tag} style="text-align:left">{cell}</{tag}>' for cell in shown) + "</tr>"
