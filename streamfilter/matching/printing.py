"""Printing a pattern anew from its tree, to stand among others, for one of three uses.

- *stream*: what `regex` would decide at the end of what has arrived is written as lookarounds that touch the end, and repeats in a
  form that it reports faithfully, so that a search stays open exactly where the text could still decide.
- *final*: as it was, the end being the end of the text.
- *certain*: matches where, whatever may still arrive, *some* match begins. It never looks at the end: a path through the pattern
  that is complete in what has arrived stays a path. Patterns that can forget such a path (atomic and possessive parts,
  conditionals, …) have no such form.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from itertools import zip_longest
from typing import Literal, TypeAlias

from streamfilter.matching.tree import (
    UNBOUNDED,
    Call,
    Capture,
    Char,
    Choice,
    Conditional,
    Edge,
    Flags,
    Group,
    Look,
    Node,
    Reference,
    Repeat,
    Sequence,
    Several,
    Tree,
    children,
    has_capture,
    width,
)

Use: TypeAlias = Literal["stream", "final", "certain"]


class NeverCertain(ValueError):
    """The pattern has no certain form."""


_STREAMED_EDGES = {
    r"\b": r"(?:(?<=\w)(?!\w)|(?<!\w)(?=\w))",
    r"\B": r"(?:(?<=\w)(?=\w)|(?<!\w)(?!\w))",
    r"\m": r"(?:(?<!\w)(?=\w))",
    r"\M": r"(?:(?<=\w)(?!\w))",
    r"\Z": r"(?!(?s:.))",
    "$": r"(?:(?!(?s:.))|(?=\n(?!(?s:.))))",
    "$m": r"(?![^\n])",
    "^": r"\A",
    "^m": r"(?:\A|(?<=\n))",
}
"""Assertions that `regex` decides at the end of what has arrived, as lookarounds that touch the end and so stay open there. Those
of the beginning are spelled out because the flags around them are printed apart."""

_FINAL_EDGES = {"$": r"(?-m:$)", "$m": r"(?m:$)", "^": r"\A", "^m": r"(?m:^)"}

_CERTAIN_EDGES = {
    r"\b": r"(?:(?<=\w)(?=\W)|(?<!\w)(?=\w))",
    r"\B": r"(?:(?<=\w)(?=\w)|(?<!\w)(?=\W))",
    r"\m": r"(?:(?<!\w)(?=\w))",
    r"\M": r"(?:(?<=\w)(?=\W))",
    r"\Z": "(?!)",
    "$": "(?!)",
    "$m": r"(?=\n)",
    "^": r"\A",
    "^m": r"(?:\A|(?<=\n))",
}
"""Assertions that hold by what is there, not by what is not."""

_EDGES = {"stream": _STREAMED_EDGES, "final": _FINAL_EDGES, "certain": _CERTAIN_EDGES}

_ANYTHING = frozenset({r"[\s\S]", r"[\S\s]", r"[\d\D]", r"[\D\d]", r"[\w\W]", r"[\W\w]"})
_LITERAL = frozenset(string.ascii_letters + string.digits + "<>=/;,:!@%&\"'~`-_")

_OPEN = "(?:|(?!))"
"""Matches the empty text, then nothing. At the end of what has arrived, `regex` turns a partial repeat of a group into a failed
one; with this in front of what is repeated it does not."""


def print_pattern(tree: Tree, number: int, use: Use) -> str:
    """A pattern printed anew, to stand among others: its groups are renamed. Whether it is ASCII and ignores case is not in it.

    Args:
        tree: the pattern.
        number: of its rule; it keeps the names of its groups apart from those of other rules.
        use: see above.

    Raises:
        NeverCertain: for the certain use, if the pattern has no such form.
    """
    body = _Printer(tree, number, use).show(tree.root)
    return f"(?s:{body})" if tree.dot_all else f"(?:{body})"


class _Printer:
    around = False  # inside a lookaround

    def __init__(self, tree: Tree, number: int, use: Use) -> None:
        self.tree = tree
        self.number = number
        self.use = use
        self.referenced = _referenced(tree.root, tree)

    def name(self, group: int) -> str:
        return f"g{self.number}_{group}"

    def show(self, node: Node, after: Node | None = None) -> str:
        match node:
            case Char(source):
                return source
            case Several() | Call() | Conditional() if self.use == "certain":
                raise NeverCertain
            case Several(source):
                return self.several(source)
            case Edge(kind):
                return _EDGES[self.use].get(kind, kind)
            case Flags(source):
                return source
            case Reference(group):
                return f"(?P={self.name(group)})"
            case Call(ref):
                return f"(?&{self.name(self.tree.number(ref))})"
            case Sequence(items):
                shown = [self.show(item, after) for item, after in zip_longest(items, items[1:])]
                if self.use == "stream":
                    shown = [self.tested(items, at) + part for at, part in enumerate(shown)]
                return "".join(shown)
            case Choice(branches):
                return "|".join(self.show(branch) for branch in branches)
            case Capture(body, group):
                stays = group in self.referenced or _ends_negated(body)
                return f"(?P<{self.name(group)}>{self.show(body)})" if stays else f"(?:{self.show(body)})"
            case Look():
                return self.look(node)
            case Group(opening, body):
                if self.use == "certain" and opening == "(?>":
                    raise NeverCertain
                return f"{opening}{self.show(body)})"
            case Conditional(test, body):
                return self.conditional(test, body)
            case Repeat():
                return self.repeat(node, after)

    def tested(self, items: tuple[Node, ...], at: int) -> str:
        """What stands in front of an item: in front of a lookaround, a test of the next character. Else `regex` reports one that is
        open where no match can begin, and not even the same ones whatever the text further on."""
        if not isinstance(items[at], Look) or not (first := _first(items[at + 1 :])):
            return ""
        return f"(?={first})"

    def several(self, source: str) -> str:
        if source.startswith(r"\L"):
            return rf"\L<l{self.number}_{source[3:-1]}>"
        if source == r"\X" and self.use == "stream":
            return r"(?:\X(?=(?s:.)))"  # a cluster is known to be whole by what follows it
        return source

    def look(self, node: Look) -> str:
        around, self.around = self.around, True
        shown = f"{node.opening}{self.show(node.body)})"
        self.around = around
        if self.use != "certain":
            return shown
        if node.behind:
            if _looks_on(node.body):
                raise NeverCertain
            return shown
        if node.opening == "(?=":
            if has_capture(node.body):
                raise NeverCertain  # it keeps its first path, which may not be the one that is complete
            return shown
        most = width(node.body)[1]
        if most >= UNBOUNDED or _looks_on(node.body):
            raise NeverCertain
        return f"(?:(?=(?s:.{{{most}}})){shown})"  # what is not there is certain once that much is there

    def conditional(self, test: int | Look | None, body: Node) -> str:
        if test is None:
            return f"(?(DEFINE){self.show(body)})"
        shown = self.show(test) if isinstance(test, Look) else f"({self.name(test)})"
        return f"(?{shown}{self.show(body)})"

    def repeat(self, node: Repeat, after: Node | None) -> str:
        if self.use == "certain" and node.mode == "+":
            raise NeverCertain
        body = self.show(node.body)
        if self.use == "stream" and self.must_open(node, after):
            body = f"(?:{_OPEN}{body})"
        return f"{body}{node.source}{node.mode}"

    def must_open(self, node: Repeat, after: Node | None) -> bool:
        """Which repeats `regex` does not report faithfully at the end: any in a lookaround, groups, and lazy single characters. Not
        one of any character before a literal, which `regex` looks for, and much faster so; for others it would look beyond what
        they match."""
        if self.around:
            return True
        if not isinstance(node.body, Char):
            return node.source != "?" or node.mode == "?"
        anything = node.body.source in _ANYTHING and node.most >= UNBOUNDED
        return node.mode == "?" and not (anything and isinstance(after, Char) and after.source in _LITERAL)


def _first(items: Iterable[Node]) -> str:
    """The characters that some nodes can begin with, as alternatives; nothing where that is not told, or they can be empty."""
    found: list[str] = []
    for item in items:
        match item:
            case Edge() | Look():
                continue
            case Char(source):  # not negated beside others: `regex` makes `[^ab]` of `[^a]|[^b]`
                first = f"(?>{source})" if source.startswith("[^") else source
            case Group(opening, body):
                first = (inner := _first((body,))) and f"{opening}{inner})"
            case Choice(branches):
                firsts = [_first((branch,)) for branch in branches]
                first = "|".join(firsts) if all(firsts) else ""
            case Sequence(within):
                first = _first(within)
            case Capture(body) | Repeat(body):
                first = _first((body,))
            case _:
                return ""
        if not first:
            return ""
        found.append(first)
        if not isinstance(item, Repeat) or item.least:
            return "|".join(found)
    return ""


def _ends_negated(node: Node) -> bool:
    """Whether its last character is negated: `regex` takes `[^a]|[^b]` together, but no group that captures."""
    match node:
        case Char(source):
            return source.startswith("[^")
        case Sequence((*_, last)) | Capture(last) | Group(_, last):
            return _ends_negated(last)
        case Choice(branches):
            return any(map(_ends_negated, branches))
    return False


def _referenced(node: Node, tree: Tree) -> set[int]:
    """The groups that something in the pattern refers to; the others need not capture."""
    found = {group for child in children(node) for group in _referenced(child, tree)}
    match node:
        case Reference(group):
            found.add(group)
        case Conditional(int(group), _):
            found.add(group)
        case Call(ref):
            found.add(tree.number(ref))
    return found


def _looks_on(node: Node) -> bool:
    """Whether a part may look at what follows it."""
    return (isinstance(node, Edge) and node.kind not in ("^", "^m")) or (
        (isinstance(node, Look) and not node.behind) or any(map(_looks_on, children(node)))
    )
