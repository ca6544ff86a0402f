"""Strategies for texts in which a rule matches, or almost does: drawn from the rule's own pattern, words and check.

A drawn hit is a hit: it is asked of the rule itself. A near miss is a hit that was damaged in one place, and now and then it is a
hit all the same. Needs the extra `testing`.
"""

from __future__ import annotations

import itertools
import string
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import regex
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import TypeAdapter

from streamfilter.matching import AnyRule, Given, Rule, RuleLike, Terms, find_all
from streamfilter.matching.tree import (
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
)

EXTRA_REPEATS = 3
"""How many more repetitions than it needs a repeat gets at most: more make texts longer and find nothing else."""

MAX_MENDINGS = 500
"""Texts that are tried until a check agrees. A checksum of two digits agrees with one in 97."""

ATTEMPTS = 4
"""Drawings for one hit. Where assertions make most of them no match, Hypothesis is told that this one led nowhere."""

_COMMON = string.ascii_letters + string.digits + string.punctuation + " \t\n\r" + "éßſKÅπЖ中あ٣²\u00a0\u200b\u0301👩"
_FILLER = ("", " ", "\n", ".", ", ", "a", "1", " the ", "-", "é", "\u200b")
_RULES: TypeAdapter[AnyRule] = TypeAdapter(RuleLike)


def texts_for(*rules: Given, examples: Iterable[str] = (), max_parts: int = 4) -> st.SearchStrategy[str]:
    r"""Texts in which rules match, almost match, and do not.

    Args:
        rules: patterns, `Rule`s or `Terms`.
        examples: texts that they match, known beforehand: needed where a check wants more than a checksum (that something can be
            decoded, say), because nothing can be drawn for it then; see `hits`.
        max_parts: of how many hits, near misses and other pieces a text is made at most.

    Raises:
        TypeError: there is no rule.
        ValueError: what is given is none.

    Example:
        >>> from hypothesis import find
        >>> find(texts_for(r"ORD-\d{3}"), lambda text: "ORD-" in text and not text.endswith("-"))
        'ORD-000'
    """
    if not rules:
        raise TypeError("texts_for() needs a rule")
    parts = [st.sampled_from(_FILLER)]
    for rule in rules:
        checked = _RULES.validate_python(rule)
        own = [text for text in examples if found(checked, text)]
        parts += [hits(checked, *own), near_misses(checked, *own)]
    return st.lists(st.one_of(parts), max_size=max_parts).map("".join)


def hits(rule: Given, *examples: str) -> st.SearchStrategy[str]:
    r"""Texts in which a rule matches, its check included, with little around the match.

    A check is taken for a checksum: letters and digits are exchanged until it agrees. Where that leads nowhere (Hypothesis then
    says `Unsatisfiable`), give texts of your own.

    Args:
        rule: a pattern, a `Rule` or `Terms`.
        examples: texts that it matches; then only these are drawn.

    Raises:
        ValueError: it does not match one of them.

    Example:
        >>> from hypothesis import find
        >>> find(hits(r"a{2,}\b"), lambda text: True)
        'aa'
    """
    checked = _RULES.validate_python(rule)
    if wrong := [n for n, text in enumerate(examples) if not found(checked, text)]:
        raise ValueError(f"rule {checked.name} does not match the examples {wrong}")
    if examples:
        return st.sampled_from(examples)
    return _words(checked) if isinstance(checked, Terms) else _matches(checked)


def near_misses(rule: Given, *examples: str) -> st.SearchStrategy[str]:
    """Hits with one character deleted, doubled, exchanged or put in, or cut off at one place.

    Args:
        rule: a pattern, a `Rule` or `Terms`.
        examples: texts that it matches, to be damaged instead of drawn ones.
    """
    return _damaged(hits(rule, *examples))


@st.composite
def _damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    text = draw(texts)
    at = draw(st.integers(0, max(0, len(text) - 1)))
    new = draw(st.sampled_from((" ", "a", "0", "9", "\n", "-", "_", "\u0301")))
    left, char, right = text[:at], text[at : at + 1], text[at + 1 :]
    return draw(
        st.sampled_from(
            (
                left,
                right,
                left + right,
                left + char + char + right,
                left + new + right,
                left + char + new + right,
                new + text,
                text + new,
            )
        )
    )


# ------------------------------------------------------------------ patterns


@st.composite
def _matches(draw: st.DrawFn, rule: Rule) -> str:
    for _ in range(ATTEMPTS):
        text = _Drawing(draw, rule).text(rule.tree.root)
        if found(rule, text):
            return text
        if rule.check is not None and (mended := _mended(rule, text, draw(st.integers(0, 9)))):
            return mended
    return reject()


def found(rule: AnyRule, text: str) -> bool:
    """Whether a rule matches anywhere in a text."""
    return next(find_all([rule], text), None) is not None


class _Drawing:
    """One text of a pattern, drawn. What groups have matched is remembered, for those who refer to them."""

    def __init__(self, draw: st.DrawFn, rule: Rule) -> None:
        self._draw = draw
        self._tree = rule.tree
        self._flags = rule.compiled.flags & int(regex.IGNORECASE | regex.ASCII | regex.DOTALL | regex.VERSION1)
        self._lists = dict(rule.lists)
        self._groups: dict[int, str] = {}

    def text(self, node: Node) -> str:
        """What a part of it may match."""
        match node:
            case Char(source):
                return self._draw(st.sampled_from(_examples(source, self._flags)))
            case Several(source):
                return self._draw(st.sampled_from(self._several(source)))
            case Sequence(items):
                return "".join([self.text(item) for item in items])
            case Choice(branches):
                return self.text(self._draw(st.sampled_from(branches)))
            case Capture(body, group):
                self._groups[group] = self.text(body)
                return self._groups[group]
            case Group(_, body) | Conditional(_, body):
                return self.text(body)
            case Look(opening, body):  # what stands ahead is written, if nothing else of the pattern writes it
                return self.text(body) if "!" not in opening and self._draw(st.booleans()) else ""
            case Repeat(body, least, most):
                times = self._draw(st.integers(least, min(most, least + EXTRA_REPEATS)))
                return "".join([self.text(body) for _ in range(times)])
            case Reference(group):
                return self._groups.get(group, "")
            case Call(ref):  # never of what it stands in: a rule that could nest without bound is refused
                return self.text(_group(self._tree, self._tree.number(ref)))
            case Edge() | Flags():
                return ""

    def _several(self, source: str) -> tuple[str, ...]:
        if source.startswith("\\L"):
            return self._lists[source[3:-1]] or ("",)
        return ("\n", "\r\n", "\r") if source == "\\R" else ("a", "e\u0301", "👩\u200d💻")


def _group(tree: Tree, number: int) -> Node:
    """The group of a number."""
    todo: list[Node] = [tree.root]
    while todo:
        node = todo.pop()
        if isinstance(node, Capture) and node.group == number:
            return node.body
        todo += children(node)
    return Sequence(())


@lru_cache(maxsize=1024)
def _examples(source: str, flags: int) -> tuple[str, ...]:
    """Characters that a class or a literal matches: common ones, else the first in Unicode."""
    # Kept here, not by `regex`: where that keeps 500 it draws global random numbers to drop some, which Hypothesis reports.
    pattern = regex.compile(source, flags, cache_pattern=False)
    common = tuple(char for char in dict.fromkeys(source + _COMMON) if pattern.fullmatch(char))
    if common:
        return _spread(common)
    rare = tuple(itertools.islice((char for char in map(chr, range(0x30000)) if pattern.fullmatch(char)), 8))
    return rare or ("",)


def _spread(chars: Iterable[str]) -> tuple[str, ...]:
    """Simple ones first: Hypothesis makes texts small towards them."""
    return tuple(sorted(chars, key=lambda char: (not char.isalnum(), not char.isascii(), char.isupper(), char)))


def _mended(rule: Rule, text: str, shift: int) -> str | None:
    """A text of the same form with which the check agrees: one or two of its letters and digits are exchanged.

    Args:
        shift: with which exchange to begin, so that not all texts are mended alike.
    """
    match, check = rule.compiled.search(text), rule.check
    if match is None or check is None:
        return None
    start, end = match.span()
    places = [at for at in range(start, end) if text[at].isascii() and text[at].isalnum()]
    tried = 0
    for many in (1, 2):
        for chosen in itertools.combinations(reversed(places), many):
            for new in itertools.product(*(_exchanges(text[at], shift) for at in chosen)):
                made = list(text)
                for at, char in zip(chosen, new, strict=True):
                    made[at] = char
                tried += 1
                mended = "".join(made)
                if check(mended[start:end]) and found(rule, mended):
                    return mended
                if tried == MAX_MENDINGS:
                    return None
    return None


def _exchanges(char: str, shift: int) -> str:
    kind = string.digits if char.isdigit() else string.ascii_uppercase if char.isupper() else string.ascii_lowercase
    return kind[shift:] + kind[:shift]


# ------------------------------------------------------------------ words


@st.composite
def _words(draw: st.DrawFn, terms: Terms) -> str:
    for _ in range(ATTEMPTS):
        text: str = draw(st.sampled_from(terms.words))
        if terms.ignore_case:
            text = _in_form(text, draw(st.integers(0, 4)))
        if terms.fold:
            at = draw(st.integers(0, len(text)))
            text = draw(st.sampled_from((text, text[:at] + "\u200b" + text[at:], unicodedata.normalize("NFD", text), _wide(text))))
        if found(terms, text):
            return text
    return reject()


def _in_form(text: str, form: int) -> str:
    return (text, text.upper(), text.lower(), text.title(), text.swapcase())[form]


def _wide(text: str) -> str:
    """In full-width letters."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)
