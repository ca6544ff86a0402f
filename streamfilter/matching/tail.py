"""The engine that can match everything: the `regex` module, made to say where a match can still begin.

`regex` has partial matches: with `partial=True`, a pattern that runs into the end of the text says so. Alone that is not enough. A
partial match is only reported if there is no complete one *anywhere*, and some constructs take the end of what has arrived for the
end of the text. Both are mended here:

- A tail that can never match is put behind the pattern, `(?s:.*+.)`: everything to the end, and one character more. Now no match is
  ever complete, so the leftmost attempt that touches the end is reported; an empty group before the tail tells whether the
  pattern itself was through, that is, whether the match is *decided*.
- The pattern is printed anew from its tree, with what would be decided at the end of the text written as lookarounds that touch
  it, and repeats in a form that `regex` reports faithfully (`_Printer`).

Cost: each search begins again at the start of the hold, so a chunk costs time linear in what is held. `max_hold` bounds that.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import regex

from streamfilter.matching.rules import Match, Rule, advancing
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

TAIL = r"(?s:.*+.)"
"""Never matches, and always gets as far as the end of the text, which makes any match before it a partial one."""


class Found(NamedTuple):
    """A decided match in a buffer.

    Attributes:
        rule: the number of the rule.
        start, end: where, in the buffer.
        advance: whether it was looked for as a match that may not be empty.
    """

    rule: int
    start: int
    end: int
    advance: bool


class _Patterns(NamedTuple):
    """Neighbouring rules of one syntax version as three patterns. The empty group `d3` closes a match of rule 3."""

    stream: regex.Pattern[str]
    stream_advancing: regex.Pattern[str]
    final: regex.Pattern[str]
    final_advancing: regex.Pattern[str]
    numbers: dict[str, int]

    def decided(self, match: regex.Match[str]) -> int:
        """The number of the rule whose match this is; -1 if that is not decided."""
        return self.numbers.get(match.lastgroup or "", -1)


class TailEngine:
    """Rules, compiled. Immutable: any number of streams and threads share one.

    Args:
        rules: at each place, in this order, the first that matches wins.

    Attributes:
        context: how many characters to the left of the search it must see.

    Example:
        >>> engine = TailEngine([Rule("a", "abcd|c")])
        >>> engine.search("xabc", 0)
        (1, None)
        >>> engine.search("xabc!", 0)
        (3, Found(rule=0, start=3, end=4, advance=False))
    """

    name = "regex"

    def __init__(self, rules: SequenceOf[Rule]) -> None:
        self.rules = tuple(rules)
        self.context = max(rule.context for rule in self.rules)
        numbered = list(enumerate(self.rules))
        self._banks = [_compile(list(bank)) for _, bank in groupby(numbered, lambda pair: pair[1].tree.version1)]
        self._checked = any(rule.check is not None for rule in self.rules)

    def search(self, buf: str, pos: int, advance: bool = False) -> tuple[int, Found | None]:
        """Where, from `pos` on, the first match begins or could still begin; and that match, if it is decided.

        With nothing to be found yet, that is the end of the buffer. A match at `pos` may not be empty if `advance`.
        """
        while True:
            if len(self._banks) == 1:
                start, found = self._search(self._banks[0], buf, pos, advance)
            else:
                results = [self._search(bank, buf, pos, advance) for bank in self._banks]
                start, found = min(results, key=lambda result: result[0])
            if found is None or not self._checked or self._agrees(found, buf):
                return start, found
            decided, found = self.decide(buf, start, advance and start == pos, found.rule + 1)
            if found is not None or not decided:
                return start, found
            if start >= len(buf):
                return start, None
            pos, advance = start + 1, False

    def _search(self, bank: _Patterns, buf: str, pos: int, advance: bool) -> tuple[int, Found | None]:
        pattern = bank.stream_advancing if advance else bank.stream
        # A search that begins at the very end shows groups of attempts it made before it, if the pattern begins with any character.
        match = pattern.search(buf, pos, partial=True) if pos < len(buf) else pattern.match(buf, pos, partial=True)
        if match is None:
            return len(buf), None
        start = min(match.start(), len(buf))  # one past the end when every attempt has failed
        rule = bank.decided(match)
        if rule < 0:
            return start, None
        return start, Found(rule, start, match.end(match.lastgroup or 0), advance and start == pos)

    def decide(self, buf: str, start: int, advance: bool = False, first: int = 0) -> tuple[bool, Found | None]:
        """Whether it is decided what matches at `start`, of the rules from `first` on; and the match, if there is one."""
        for number in range(first, len(self.rules)):
            rule = self.rules[number]
            bank = _compile_one(number, rule)
            match = (bank.stream_advancing if advance else bank.stream).match(buf, start, partial=True)
            if match is None:
                continue
            if bank.decided(match) < 0:
                return False, None
            found = Found(number, start, match.end(match.lastgroup or 0), advance)
            if self._agrees(found, buf):
                return True, found
        return True, None

    def undecided(self, buf: str, start: int, advance: bool = False) -> Rule:
        """The first rule that could still match at `start`."""
        for number, rule in enumerate(self.rules):
            bank = _compile_one(number, rule)
            match = (bank.stream_advancing if advance else bank.stream).match(buf, start, partial=True)
            if match is not None and bank.decided(match) < 0:
                return rule
        return self.rules[0]

    def search_final(self, buf: str, pos: int, advance: bool = False) -> Found | None:
        """The first match from `pos` on, the buffer's end being the end of the text."""
        while pos <= len(buf):
            best: Found | None = None
            for bank in self._banks:
                match = (bank.final_advancing if advance else bank.final).search(buf, pos)
                if match is not None and (best is None or match.start() < best.start):
                    best = Found(bank.decided(match), match.start(), match.end(), advance and match.start() == pos)
            if best is None or not self._checked or self._agrees(best, buf):
                return best
            start = best.start
            other = self.decide_final(buf, start, advance and start == pos, best.rule + 1)
            if other is not None:
                return other
            pos, advance = start + 1, False
        return None

    def decide_final(self, buf: str, start: int, advance: bool = False, first: int = 0) -> Found | None:
        """The match at `start`, of the rules from `first` on, the buffer's end being the end of the text."""
        for number in range(first, len(self.rules)):
            bank = _compile_one(number, self.rules[number])
            match = (bank.final_advancing if advance else bank.final).match(buf, start)
            if match is not None:
                found = Found(number, start, match.end(), advance)
                if self._agrees(found, buf):
                    return found
        return None

    def match(self, found: Found, buf: str, shift: int = 0) -> Match:
        """What was found, with its groups.

        Args:
            shift: from positions in the buffer to positions in the text.
        """
        rule = self.rules[found.rule]
        pattern = advancing(rule) if found.advance else rule.compiled
        match = pattern.match(buf, found.start)
        # A decided match did not depend on the end of the buffer, so the pattern as written finds the same.
        assert match is not None and match.end() == found.end, rule.name
        return Match(rule, match, shift)

    def _agrees(self, found: Found, buf: str) -> bool:
        check = self.rules[found.rule].check
        return check is None or bool(check(buf[found.start : found.end]))


@lru_cache(maxsize=1024)
def _compile_one(number: int, rule: Rule) -> _Patterns:
    return _compile([(number, rule)])


def _compile(numbered: SequenceOf[tuple[int, Rule]]) -> _Patterns:
    """Rules of one syntax version, as one pattern each way."""
    version = "(?V1)" if numbered[0][1].tree.version1 else ""
    lists: dict[str, Any] = {f"l{number}_{name}": words for number, rule in numbered for name, words in rule.lists}

    def compiled(stream: bool, advance: bool) -> regex.Pattern[str]:
        tests = r"(?!\G)" if advance else ""
        branches = [f"(?:{_print(rule.tree, number, stream)}{tests}(?P<d{number}>))" for number, rule in numbered]
        return regex.compile(f"{version}(?:{'|'.join(branches)}){TAIL if stream else ''}", **lists)

    return _Patterns(
        compiled(True, False),
        compiled(True, True),
        compiled(False, False),
        compiled(False, True),
        {f"d{number}": number for number, _ in numbered},
    )


# ------------------------------------------------------------------ printing a pattern anew

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

_OPEN = "(?:|(?!))"
"""Matches the empty text, then nothing. At the end of what has arrived, `regex` turns a partial repeat of a group into a failed
one; with this in front of what is repeated it does not."""


def _print(tree: Tree, number: int, stream: bool) -> str:
    """A pattern printed anew, to stand among others: its groups are renamed, its flags are its own."""
    printer = _Printer(tree, number, stream)
    body = printer.show(tree.root)
    return f"(?{tree.flags}:{body})"


class _Printer:
    """Prints a tree as a pattern.

    Args:
        number: of the rule; it keeps the names of its groups apart from those of other rules.
        stream: whether to rewrite what would be decided at the end of what has arrived.
    """

    def __init__(self, tree: Tree, number: int, stream: bool) -> None:
        self.tree = tree
        self.number = number
        self.stream = stream
        self.referenced = _referenced(tree.root, tree)

    def name(self, group: int) -> str:
        return f"g{self.number}_{group}"

    def show(self, node: Node) -> str:
        match node:
            case Char(source):
                return source if source not in (" ", "#", "\n", "\t") else regex.escape(source)
            case Several(source):
                return self.several(source)
            case Edge(kind):
                return _STREAMED_EDGES.get(kind, kind) if self.stream else _FINAL_EDGES.get(kind, kind)
            case Flags(source):
                return source
            case Reference(group):
                return f"(?P={self.name(group)})"
            case Call(ref):
                return f"(?&{self.name(self.tree.number(ref))})"
            case Sequence(items):
                return "".join(
                    self.repeat(item, after) if isinstance(item, Repeat) else self.show(item)
                    for item, after in zip(items, [*items[1:], None], strict=False)
                )
            case Choice(branches):
                return "|".join(map(self.show, branches))
            case Capture(body, group):
                return f"(?P<{self.name(group)}>{self.show(body)})" if group in self.referenced else f"(?:{self.show(body)})"
            case Group(opening, body) | Look(opening, body):
                return f"{opening}{self.show(body)})"
            case Conditional(test, body):
                return self.conditional(test, body)
            case Repeat():
                return self.repeat(node, None)

    def several(self, source: str) -> str:
        if source.startswith(r"\L"):
            return rf"\L<l{self.number}_{source[3:-1]}>"
        if source == r"\X" and self.stream:
            return r"(?:\X(?=(?s:.)))"  # a cluster is known to be whole by what follows it
        return source

    def conditional(self, test: int | Look | None, body: Node) -> str:
        if test is None:
            return f"(?(DEFINE){self.show(body)})"
        shown = self.show(test) if isinstance(test, Look) else f"({self.name(test)})"
        return f"(?{shown}{self.show(body)})"

    def repeat(self, node: Repeat, after: Node | None) -> str:
        body = self.show(node.body)
        single = isinstance(node.body, Char)
        if isinstance(node.body, Sequence | Choice):
            body = f"(?:{body})"
        if self.stream and self.must_open(node, single, after):
            body = f"(?:{_OPEN}{body})"
        return f"{body}{node.source}{node.mode}"

    def must_open(self, node: Repeat, single: bool, after: Node | None) -> bool:
        """Which repeats `regex` does not report faithfully at the end: groups, and lazy single characters, unless a literal
        follows, which it looks for first (and much faster so)."""
        if not single:
            return node.source != "?" or node.mode == "?"
        return node.mode == "?" and not (isinstance(after, Char) and regex.match(r"[\w<>=/;,:!@%&\"'~`-]\Z", after.source))


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
