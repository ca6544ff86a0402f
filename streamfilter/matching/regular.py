"""Regular expressions in the strict sense: what an automaton can match, and the way there from the tree of a pattern.

Groups are gone, flags are resolved into the predicates of single characters, and the edges are what they mean: lookarounds of one
character. A tree that has something else is not regular, which is said with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import regex

from streamfilter.matching.folding import Folding, Trait
from streamfilter.matching.tree import (
    UNBOUNDED,
    Capture,
    Char,
    Choice,
    Edge,
    Flags,
    Group,
    Look,
    Node,
    Repeat,
    Sequence,
    Tree,
    children,
    has_capture,
    width,
)


class NotRegularError(ValueError):
    """No automaton can match this pattern as `regex` does; the message says why."""


class Predicate(NamedTuple):
    """A set of characters, as `regex` decides it."""

    source: str
    flags: int = 0


class Property(NamedTuple):
    """A set of characters, by what they are folded to."""

    folding: Folding
    trait: Trait


@dataclass(frozen=True, slots=True)
class One:
    """One character."""

    predicate: Predicate | Property


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other; with no items, the empty text."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """The first that leads to a match."""

    branches: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """Something, several times; `most` is None without a bound."""

    body: Expression
    least: int
    most: int | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """The beginning of the text."""


@dataclass(frozen=True, slots=True)
class Around:
    """A lookaround whose body has neither lookarounds nor `Begin`."""

    body: Expression
    behind: bool
    wanted: bool


@dataclass(frozen=True, slots=True)
class Words:
    """One of some words, of several the longest.

    Args:
        words: folded.
        folding: of the text.
        after_word: what follows a word that ends in a word character.
        after_other: what follows any other.
    """

    words: tuple[str, ...]
    folding: Folding
    after_word: Expression
    after_other: Expression


Expression: TypeAlias = One | Row | Either | Loop | Begin | Around | Words

EMPTY = Row(())
ANY = One(Predicate("(?s:.)"))
NEWLINE = One(Predicate(r"\n"))
NOT_NEWLINE = One(Predicate(r"[^\n]"))


def lower(tree: Tree) -> Expression:
    r"""The expression of a tree.

    Raises:
        NotRegularError: there is none.

    Example:
        >>> from streamfilter.matching.syntax import parse
        >>> lower(parse("(a)+").root and parse("(a)+"))
        Loop(body=One(predicate=Predicate(source='a', flags=0)), least=1, most=None, greedy=True)
        >>> lower(parse(r"(a)\1"))
        Traceback (most recent call last):
        ...
        streamfilter.matching.regular.NotRegularError: it refers back to a group
    """
    if tree.mixed_case and _has_negated_set(tree.root):
        raise NotRegularError("it ignores case in parts beside negated sets, which `regex` decides in its own way")
    if (tree.ignore_case or tree.mixed_case) and _has_property(tree.root):
        raise NotRegularError("it ignores case beside properties, which `regex` decides in its own way")
    if _chooses_what_is_not(tree.root):
        raise NotRegularError("it has a choice of negated characters, which `regex` decides in its own way")
    return _Lowering(tree).node(tree.root)


class _Lowering:
    def __init__(self, tree: Tree) -> None:
        fixed = {regex.ASCII: tree.ascii, regex.VERSION1: tree.version1}
        self.fixed = sum(int(flag) for flag, holds in fixed.items() if holds)
        self.ignore_case = tree.ignore_case
        self.dot_all = tree.dot_all
        self.word = One(Predicate(r"\w", self.fixed))

    def node(self, node: Node) -> Expression:
        match node:
            case Char(source):
                return One(self.predicate(source))
            case Edge(kind):
                return edge(kind, self.word)
            case Flags(source):
                self.set_flags(source)
                return EMPTY
            case Sequence(items):
                return row([self.node(item) for item in items])
            case Choice(branches):
                return Either(tuple(self.node(branch) for branch in branches))
            case Capture(body):
                return self.scope(body)
            case Group(opening, body) if opening != "(?>":
                saved = self.ignore_case, self.dot_all
                self.set_flags(opening)
                inner = self.node(body)
                self.ignore_case, self.dot_all = saved
                return inner
            case Look(opening, body):
                if not node.behind and has_capture(body):
                    raise NotRegularError("it captures in a lookahead")
                return around(self.scope(body), behind=node.behind, wanted="=" in opening)
            case Repeat():
                return self.repeat(node)
        raise NotRegularError(_REASONS[type(node).__name__])

    def scope(self, body: Node) -> Expression:
        saved = self.ignore_case, self.dot_all
        inner = self.node(body)
        self.ignore_case, self.dot_all = saved
        return inner

    def set_flags(self, opening: str) -> None:
        """From `(?i-s:` or `(?i)`."""
        on, _, off = opening.partition("-")
        self.ignore_case = ("i" in on or self.ignore_case) and "i" not in off
        self.dot_all = ("s" in on or self.dot_all) and "s" not in off

    def predicate(self, source: str) -> Predicate:
        if source == ".":
            return Predicate("(?s:.)" if self.dot_all else ".")
        return Predicate(source, self.fixed | (int(regex.IGNORECASE) if self.ignore_case else 0))

    def repeat(self, node: Repeat) -> Expression:
        if node.mode == "+":
            raise NotRegularError("it has a possessive repeat")
        if node.most > 1 and width(node.body)[0] == 0:
            raise NotRegularError("it repeats what can be empty")
        body = self.node(node.body)
        return Loop(body, node.least, None if node.most >= UNBOUNDED else node.most, node.mode != "?")


_REASONS = {
    "Reference": "it refers back to a group",
    "Call": "it calls a group",
    "Conditional": "it has a condition",
    "Group": "it has an atomic group",
    "Several": r"it has \X, \R or a named list",
}


def row(items: list[Expression]) -> Expression:
    """One after the other, without rows in rows."""
    flat = [part for item in items for part in (item.items if isinstance(item, Row) else (item,))]
    return flat[0] if len(flat) == 1 else Row(tuple(flat))


def around(body: Expression, *, behind: bool, wanted: bool) -> Expression:
    r"""A lookaround. What stands alone in one is taken out of it, so that `(?=\s|$)` and `(?<!\S|^)` have nothing nested.

    Raises:
        NotRegularError: there is a lookaround in it all the same.
    """
    match body:
        case Either(branches):
            parts = [around(branch, behind=behind, wanted=wanted) for branch in branches]
            return Either(tuple(parts)) if wanted else row(parts)
        case Begin() | Around():
            return body if wanted else opposite(body)
    if has_assertion(body):
        raise NotRegularError("it has an assertion inside a lookaround")
    return Around(body, behind, wanted)


def opposite(test: Begin | Around) -> Around:
    """A test that holds where another does not."""
    if isinstance(test, Begin):
        return Around(ANY, behind=True, wanted=True)
    return Around(test.body, test.behind, not test.wanted)


def has_assertion(node: Expression) -> bool:
    """Whether there is a test in it that is not of the character it stands at."""
    match node:
        case Row(parts) | Either(parts):
            return any(map(has_assertion, parts))
        case Loop(body):
            return has_assertion(body)
        case One():
            return False
    return True


@lru_cache(maxsize=256)
def edge(kind: str, word: One) -> Expression:
    r"""An edge as the lookarounds that it means.

    Args:
        kind: as in `tree.Edge`.
        word: what a word character is.
    """
    before, after = Around(word, behind=True, wanted=True), Around(word, behind=False, wanted=True)
    more, newline = Around(ANY, behind=False, wanted=True), Around(NEWLINE, behind=False, wanted=True)
    match kind:
        case "^":
            return Begin()
        case "^m":
            return Either((Begin(), Around(NEWLINE, behind=True, wanted=True)))
        case r"\Z":
            return opposite(more)
        case "$m":
            return Around(NOT_NEWLINE, behind=False, wanted=False)
        case "$":
            last = Around(Row((ANY, ANY)), behind=False, wanted=False)
            return Either((opposite(more), Row((newline, last))))
        case r"\m":
            return Row((opposite(before), after))
        case r"\M":
            return Row((before, opposite(after)))
        case r"\b":
            return Either((Row((before, opposite(after))), Row((opposite(before), after))))
        case r"\B":
            return Either((Row((before, after)), Row((opposite(before), opposite(after)))))
    raise AssertionError(kind)


def _has_property(node: Node) -> bool:
    if isinstance(node, Char):
        return any(part in node.source for part in (r"\p", r"\P", "[:"))
    return any(map(_has_property, children(node)))


def _has_negated_set(node: Node) -> bool:
    if isinstance(node, Char):
        return node.source.startswith(("[^", r"\P", r"\W", r"\S", r"\D", r"\p{^"))
    return any(map(_has_negated_set, children(node)))


_is_negated_character = regex.compile(r"\[\^(?:\\.[^\]]*|[^\\])\]").fullmatch


def _chooses_what_is_not(node: Node) -> bool:
    """Whether it may choose between characters that are negated: `regex` makes `[^ab]` of `[^a]|[^b]`, which is any character."""
    if isinstance(node, Choice):
        ends = _negated_ends(node)
        if len(ends) > len({before for before, _ in ends}):
            return True
    return any(map(_chooses_what_is_not, children(node)))


def _negated_ends(node: Node) -> set[tuple[int, str]]:
    """The negated characters that its branches end with, and how many characters stand before each: `regex` takes branches together
    behind what they have in common."""
    match node:
        case Char(source) if _is_negated_character(source):
            return {(0, source)}
        case Sequence((*items, last)):
            before = width(Sequence(tuple(items)))[0]
            return {(before + more, source) for more, source in _negated_ends(last)}
        case Group(opening, body) if opening != "(?>":
            return _negated_ends(body)
        case Choice(branches):
            return set().union(*map(_negated_ends, branches))
    return set()
