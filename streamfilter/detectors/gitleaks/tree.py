"""The tree of a pattern of gitleaks, and what can be said of it: how it is written for `regex`, how much a part of it matches.

The matching engine has a tree of its own, of patterns in the syntax of `regex`. This one knows the letters that a part stands for,
and is taken apart and written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

UNBOUNDED = 1 << 30
"""A width with no upper bound."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One character.

    Attributes:
        source: as `regex` writes it.
        letters: all that it can be, in small letters, if that is certain and they are few; else nothing.
    """

    source: str
    letters: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A zero-width test."""

    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """The first that leads to a match."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A group by its opening; `number` is 0 if it captures nothing."""

    opening: str
    body: Node
    number: int = 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """Something, several times."""

    body: Node
    least: int
    most: int
    sign: str


Node: TypeAlias = Atom | Edge | Row | Either | Group | Repeat


def written(node: Node, *, captures: bool = True) -> str:
    """A tree in the syntax of `regex`, with or without its captures."""
    match node:
        case Atom(source) | Edge(source):
            return source
        case Row(items):
            return "".join(written(item, captures=captures) for item in items)
        case Either(branches):
            return "|".join(written(branch, captures=captures) for branch in branches)
        case Group(opening, body, number):
            return f"{'(?:' if number and not captures else opening}{written(body, captures=captures)})"
        case Repeat(body, _, _, sign):
            return written(body, captures=captures) + sign


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside a node."""
    match node:
        case Row(items):
            return items
        case Either(branches):
            return branches
        case Group(_, body) | Repeat(body):
            return (body,)
    return ()


def width(node: Node) -> tuple[int, int]:
    """The least and the most characters that a node can match; `UNBOUNDED` if there is no most."""
    match node:
        case Atom():
            return 1, 1
        case Edge():
            return 0, 0
        case Row(items):
            widths = [width(item) for item in items]
            return sum(least for least, _ in widths), min(UNBOUNDED, sum(most for _, most in widths))
        case Either(branches):
            widths = [width(branch) for branch in branches]
            return min(least for least, _ in widths), max(most for _, most in widths)
        case Group(_, body):
            return width(body)
        case Repeat(body, least, most):
            low, high = width(body)
            return low * least, min(UNBOUNDED, high * most)
