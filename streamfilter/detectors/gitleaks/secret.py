"""Where the secret is in what a rule of gitleaks matches, and patterns that match nothing but it.

gitleaks matches a secret with its label before it and the character behind it, and reports the secret. Here the match is what is
replaced. So the label becomes a lookbehind and the end a lookahead wherever that finds the same; besides, words that might become a
label then need not be held. Where it would not, the pattern stays, and the label is replaced with the secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from streamfilter.detectors.gitleaks.tree import UNBOUNDED, Atom, Edge, Either, Group, Node, Repeat, Row, children, width, written

MAX_LABEL = 200
"""Characters of a label that are looked back for. The labels of gitleaks' own rules have about 60."""

MAX_WORDS = 256
"""Words that are written out to see whether each has a keyword in it."""

MAX_COUNT = 64
"""How often something may be repeated to be written out."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a rule finds its secrets.

    Attributes:
        pattern: for `regex`; matches the secret, with its label or without.
        inner: the same without lookarounds at its ends, to find the secret in a match; None if the match is the secret.
        group: which group of `inner` the secret is; 0 for the first that is not empty.
    """

    pattern: str
    inner: str | None = None
    group: int = 0


def find(root: Node, group: int, *, label: bool) -> Found:
    r"""The pattern that matches the least that finds the same secrets.

    Args:
        root: the pattern of the rule.
        group: which group the secret is; 0 for the first that is not empty, and without groups the match.
        label: the label must stay in the match.

    Example:
        >>> from streamfilter.detectors.gitleaks.go import parse
        >>> find(parse(r"[\w.]{0,50}?key[ :]{1,3}([a-z]{20})(?:\s|$)").root, 0, label=False).pattern
        '(?<=key[ :]{1,3})([a-z]{20})(?:(?=[\\t\\n\\f\\r ])|\\Z)'
        >>> find(parse("(?:key: *)([a-z]{20})").root, 0, label=False)
        Found(pattern='(?:key: *)([a-z]{20})', inner='(?:key: *)([a-z]{20})', group=0)
    """
    if not has_captures(root):
        return Found(written(root))
    bare = _cut(root, group, label=False)
    kept = _cut(root, group, label=True) or _Cut(written(root), written(root))
    if bare is not None and (not label or bare.pattern == kept.pattern):
        return Found(bare.pattern)
    return Found(kept.pattern, kept.inner, group)


class _Cut(NamedTuple):
    """A pattern without what is around the secret, and what of it is not a lookaround."""

    pattern: str
    inner: str


def _cut(node: Node, group: int, *, label: bool) -> _Cut | None:
    if isinstance(node, Either):
        each = [_cut(branch, group, label=label) for branch in node.branches]
        cuts = [cut for cut in each if cut is not None]
        return _Cut(*map("|".join, zip(*cuts, strict=True))) if len(cuts) == len(each) and not group else None
    if isinstance(node, Group) and not node.number:
        cut = _cut(node.body, group, label=label)
        return cut and _Cut(f"{node.opening}{cut.pattern})", f"{node.opening}{cut.inner})")
    at = next((index for index, item in enumerate(node.items) if _holds(item, group)), None) if isinstance(node, Row) else None
    if at is None or not isinstance(node, Row):
        return None
    item = node.items[at]
    before, after = node.items[:at], node.items[at + 1 :]
    if not (isinstance(item, Group) and item.number in ({group} if group else range(1, UNBOUNDED)) and width(item)[0] > 0):
        inner = _cut(item, group, label=label)
        # What is cut off inside would have to be cut off before the edges outside, which stand beyond it.
        return inner if not (before or after) else None
    start = written(Row(before)) if label else _behind(before)
    end = _around("(?=", after)
    if start is None or end is None:
        return None
    return _Cut(start + written(item) + end, (start if label else "") + written(item))


def _holds(node: Node, group: int) -> bool:
    """Whether a group is in it; 0 is any."""
    if isinstance(node, Group) and node.number and group in (0, node.number):
        return True
    return any(_holds(child, group) for child in children(node))


def has_captures(node: Node) -> bool:
    """Whether a group in it captures."""
    return _holds(node, 0)


def _has_edges(node: Node) -> bool:
    """Whether it has a zero-width test in it."""
    return isinstance(node, Edge) or any(map(_has_edges, children(node)))


def _behind(items: Sequence[Node]) -> str | None:
    """A test that this stands before. What may be missing at its far left need not be asked for."""
    while items and _may_be_missing(items[0]):
        items = items[1:]
    return _around("(?<=", items)


def _may_be_missing(node: Node) -> bool:
    """Whether it matches the empty text wherever that stands."""
    if isinstance(node, Either):
        return any(map(_may_be_missing, node.branches))
    return (isinstance(node, Repeat) and node.least == 0) or (
        not isinstance(node, Atom | Edge) and all(map(_may_be_missing, children(node)))
    )


def _around(opening: str, items: Sequence[Node]) -> str | None:
    """A lookaround, if it can be written; edges stand beside it, since within it they would be lookarounds in a lookaround."""
    if all(isinstance(item, Edge) for item in items):
        return "".join(map(written, items))
    group = items[0] if len(items) == 1 and isinstance(items[0], Group) else None
    if group is not None and isinstance(group.body, Either) and _has_edges(group):
        each = [_around(opening, branch.items if isinstance(branch, Row) else [branch]) for branch in group.body.branches]
        return None if None in each else f"{'(?:' if group.number else group.opening}{'|'.join(map(str, each))})"
    whole = Row(tuple(items))
    if _has_edges(whole) or not 0 < width(whole)[0] <= width(whole)[1] <= MAX_LABEL:
        return None
    return f"{opening}{written(whole, captures=False)})"


def has_endless_label(node: Node) -> bool:
    r"""Whether any text may stand in a match before its secret, however much.

    Example:
        >>> from streamfilter.detectors.gitleaks.go import parse
        >>> has_endless_label(parse(r"curl .* -u (.+)").root), has_endless_label(parse(r"curl\s+-u (.+)").root)
        (True, False)
    """
    if isinstance(node, Row) and has_captures(node):
        at = next(index for index, item in enumerate(node.items) if has_captures(item))
        return any(map(_is_endless, node.items[:at])) or has_endless_label(node.items[at])
    return not (isinstance(node, Group) and node.number) and any(map(has_endless_label, children(node)))


def _is_endless(node: Node) -> bool:
    if isinstance(node, Repeat) and node.most == UNBOUNDED and isinstance(node.body, Atom) and node.body.source in (".", "(?s:.)"):
        return True
    return any(map(_is_endless, children(node)))


# ------------------------------------------------------------------ keywords


def implies(root: Node, keywords: Sequence[str]) -> bool:
    """Whether whatever a pattern matches has one of some words in it, in small or capital letters. If not sure: no.

    Example:
        >>> from streamfilter.detectors.gitleaks.go import parse
        >>> implies(parse("(?i)x{0,9}pass(?:w(?:or)?d|phrase)=").root, ["passwd", "password", "phrase"])
        True
        >>> implies(parse("[a-f0-9]{40}|hub_[a-f0-9]{40}").root, ["hub_"])
        False
    """
    match root:
        case Either(branches):
            return all(implies(branch, keywords) for branch in branches)
        case Group(_, body):
            words = _words(root)
            return _each_has(words, keywords) if words is not None else implies(body, keywords)
        case Repeat(body, least):
            return least > 0 and implies(body, keywords)
        case Row(items):
            return _row_implies(items, keywords)
    return False


def _row_implies(items: Sequence[Node], keywords: Sequence[str]) -> bool:
    """Whether one of the items has a keyword in it, or some that follow one another have, read together."""
    together = {""}
    for item in items:
        words = _words(item)
        if words is not None and len(words) * len(together) <= MAX_WORDS:
            together = {before + word for before, word in product(together, words)}
            continue
        if _each_has(together, keywords) or implies(item, keywords):
            return True
        together = {""} if words is None else words
    return _each_has(together, keywords)


def _each_has(words: set[str], keywords: Sequence[str]) -> bool:
    return all(any(keyword in word for keyword in keywords) for word in words)


def _words(node: Node) -> set[str] | None:
    """All that a node can match, in small letters, if that is certain and not too much."""
    match node:
        case Atom(_, letters):
            return set(letters) or None
        case Edge():
            return {""}
        case Either(branches):
            each = [_words(branch) for branch in branches]
            found = set().union(*(words for words in each if words is not None))
            return found if None not in each and len(found) <= MAX_WORDS else None
        case Group(_, body):
            return _words(body)
        case Repeat(body, least, most):
            once = _words(body)
            return None if once is None or most > MAX_COUNT else _joined([once] * least + [once | {""}] * (most - least))
        case Row(items):
            return _joined([_words(item) for item in items])
    return None


def _joined(parts: Sequence[set[str] | None]) -> set[str] | None:
    together = {""}
    for words in parts:
        if words is None or len(words) * len(together) > MAX_WORDS:
            return None
        together = {before + word for before, word in product(together, words)}
    return together
