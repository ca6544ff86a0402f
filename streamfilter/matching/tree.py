"""The tree of a pattern, and what can be told from it: how wide a match can be, how far back it looks.

A tree keeps the source of whatever matches exactly one character and never looks into it: classes mean what `regex` says. What it
does know is what an engine must treat apart: assertions, repeats, groups, references. Nodes are never changed; that they are not
declared frozen, nor comparable, saves several milliseconds of importing the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

UNBOUNDED = 1 << 30
"""A width with no upper bound."""

CLUSTER_CONTEXT = 1000
r"""Characters before a `\X` that must stay readable: whether a regional indicator ends a flag depends on how many of them stand in
a row before it (Unicode, annex 29, GB12), and `regex` counts them at each. Nobody writes five hundred flags without a blank."""


class Refused(ValueError):
    """A construct that cannot be streamed exactly, or is not understood.

    Attributes:
        construct: the part of the pattern, as written.
        position: where it stands, in characters from the pattern's beginning.
        reason: why it is refused, or what would be right.
    """

    def __init__(self, construct: str, position: int, reason: str) -> None:
        super().__init__(f"{construct} at position {position}: {reason}")
        self.construct = construct
        self.position = position
        self.reason = reason


@dataclass(slots=True, eq=False)
class Char:
    """Anything that matches exactly one character: a literal, an escape, a class, a dot."""

    source: str


@dataclass(slots=True, eq=False)
class Several:
    r"""An atom of a varying number of characters: `\X`, `\R`, `\L<name>`."""

    source: str


@dataclass(slots=True, eq=False)
class Edge:
    r"""A zero-width test: `^ $ \A \Z \b \B \m \M`. `$` is told apart under `(?m)`: `$m`."""

    kind: str


@dataclass(slots=True, eq=False)
class Flags:
    """Inline flags that hold from here to the end of the group: `(?i)`."""

    source: str


@dataclass(slots=True, eq=False)
class Reference:
    r"""What a group has matched, once more: `\1`, `(?P=name)`."""

    group: int


@dataclass(slots=True, eq=False)
class Call:
    """A group's pattern, once more: `(?1)`, `(?&name)`. The group may come later."""

    ref: str


@dataclass(slots=True, eq=False)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Choice:
    """The first that leads to a match."""

    branches: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Capture:
    """A numbered group."""

    body: Node
    group: int


@dataclass(slots=True, eq=False)
class Group:
    """A group that captures nothing, by its opening: `(?:`, `(?i-s:`, `(?>`. A branch reset is `(?:`, its numbers are resolved."""

    opening: str
    body: Node


@dataclass(slots=True, eq=False)
class Look:
    """A lookaround, by its opening: `(?=`, `(?!`, `(?<=`, `(?<!`; and where it stands in the pattern."""

    opening: str
    body: Node
    at: int

    @property
    def behind(self) -> bool:
        """Whether it looks to the left."""
        return "<" in self.opening


@dataclass(slots=True, eq=False)
class Conditional:
    """`(?(1)yes|no)`, `(?(?=ahead)yes|no)`, or `(?(DEFINE)…)`, whose test is None."""

    test: int | Look | None
    body: Node


@dataclass(slots=True, eq=False)
class Repeat:
    """Something, several times. `mode` is "" (greedy), "?" (lazy) or "+" (possessive)."""

    body: Node
    least: int
    most: int
    source: str
    mode: str


Node: TypeAlias = (
    Char | Several | Edge | Flags | Reference | Call | Sequence | Choice | Capture | Group | Look | Conditional | Repeat
)


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole pattern.

    Attributes:
        root: its tree.
        names: the number of each named group.
        version1: whether it has the set operations and scopes of `(?V1)`.
        ascii: whether all of it is ASCII.
        ignore_case: whether all of it ignores case.
        mixed_case: whether some of it does and some does not.
        dot_all: whether the dot of a part without flags of its own matches newlines too.
        verbose: whether the pattern's end is in verbose syntax.
    """

    root: Node
    names: dict[str, int]
    version1: bool
    ascii: bool
    ignore_case: bool
    mixed_case: bool
    dot_all: bool
    verbose: bool

    def number(self, ref: str) -> int:
        """The number of a group named by number or name; 0 if there is none."""
        return int(ref) if ref.isdecimal() else self.names.get(ref, 0)


# ------------------------------------------------------------------ widths


def width(node: Node) -> tuple[int, int]:
    """The least and the most characters that a node can match; `UNBOUNDED` if there is no most.

    Example:
        >>> from streamfilter.matching.syntax import parse
        >>> width(parse("ab?|c{2,}").root) == (1, UNBOUNDED)
        True
    """
    match node:
        case Char():
            return 1, 1
        case Edge() | Flags() | Look():
            return 0, 0
        case Several(source="\\R"):
            return 1, 2
        case Several() | Reference() | Call():
            return 0, UNBOUNDED
        case Sequence(items):
            widths = [width(item) for item in items]
            return sum(least for least, _ in widths), min(UNBOUNDED, sum(most for _, most in widths))
        case Choice(branches):
            widths = [width(branch) for branch in branches]
            return min(least for least, _ in widths), max(most for _, most in widths)
        case Capture(body) | Group(_, body):
            return width(body)
        case Conditional(_, body):
            return 0, width(body)[1]
        case Repeat(body, least, most):
            low, high = width(body)
            return low * least, min(UNBOUNDED, high * most)


def written_out(node: Node) -> int:
    """How many characters a node has if its repeats are written out.

    Example:
        >>> from streamfilter.matching.syntax import parse
        >>> written_out(parse("(?:ab){3,5}c*").root)
        11
    """
    if isinstance(node, Repeat):
        return max(1, written_out(node.body)) * (node.most if node.most < UNBOUNDED else max(1, node.least))
    return int(isinstance(node, Char)) + sum(map(written_out, children(node)))


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside a node."""
    match node:
        case Sequence(items):
            return items
        case Choice(branches):
            return branches
        case Capture(body) | Group(_, body) | Look(_, body) | Repeat(body):
            return (body,)
        case Conditional(test, body):
            return (test, body) if isinstance(test, Look) else (body,)
        case _:
            return ()


def lookbehind(node: Node) -> int:
    r"""How many characters to the left of a match must stay readable.

    Raises:
        Refused: there is no bound.

    Example:
        >>> from streamfilter.matching.syntax import parse
        >>> lookbehind(parse(r"(?<=ab|c)d").root), lookbehind(parse(r"\bd").root), lookbehind(parse(r"(?<=a+)d").root)
        (2, 1, 1)
    """
    if isinstance(node, Edge):
        return 1
    if isinstance(node, Several) and node.source == "\\X":
        return CLUSTER_CONTEXT
    inner = max((lookbehind(child) for child in children(node)), default=0)
    if isinstance(node, Look) and node.behind:
        reach = _reach(node.body) + inner
        if reach >= UNBOUNDED:
            raise Refused(node.opening, node.at, "how far this lookbehind looks back has no bound")
        return reach
    return inner


def _reach(node: Node) -> int:
    """How far to the left a lookbehind's body must be able to see. A repeat at its far left need not be seen beyond its least
    count: if more repetitions fit there, the nearest ones fit too. That does not hold for what captures."""
    match node:
        case Choice(branches):
            return max(_reach(branch) for branch in branches)
        case Group(opening, body) if opening != "(?>":
            return _reach(body)
        case Sequence(items) if items:
            return min(UNBOUNDED, _reach(items[0]) + sum(width(item)[1] for item in items[1:]))
        case Repeat(body, least, _, _, "" | "?") if not has_capture(body):
            return min(UNBOUNDED, width(body)[1] * least)
        case _:
            return width(node)[1]


def has_capture(node: Node) -> bool:
    """Whether a group in it captures."""
    return isinstance(node, Capture) or any(has_capture(child) for child in children(node))
