"""The engine that can match everything: the `regex` module, made to say where a match can still begin.

`regex` has partial matches: with `partial=True`, a pattern that runs into the end of the text says so. Alone that is not enough. A
partial match is only reported if there is no complete one *anywhere*, and some constructs take the end of what has arrived for the
end of the text. Both are mended here:

- A tail that can never match is put behind the pattern: everything to the end, and one character more. Now no match is ever
  complete, so the leftmost attempt that touches the end is reported; an empty group before the tail tells whether the pattern
  itself was through, that is, whether the match is *decided*.
- The pattern is printed anew from its tree, with what would be decided at the end of the text written as lookarounds that touch
  it, and repeats in a form that `regex` reports faithfully (`printing`).

Cost: each search begins again at the start of the hold, so a chunk costs time linear in what is held. `max_hold` bounds that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import regex

from streamfilter.matching.printing import NeverCertain, Use, print_pattern
from streamfilter.matching.rules import Match, Rule, advancing
from streamfilter.matching.tree import width

TAIL = "(?s:.*+)(?-i:\U0010ffff)"
"""Never matches, and always gets as far as the end of the text, which makes any match before it a partial one. The character is one
that no text has: by its absence `regex` sees at once that there is no complete match, instead of trying at every start, which on a
thousand blanks for `\\s+$` takes ten thousand times as long."""


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


class CheckRaisedError(Exception):
    """A rule's check raised, which is the exception's cause.

    Attributes:
        start: where the match began whose text it was given: nothing before that is in doubt.
    """

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.start = start


class _Patterns(NamedTuple):
    """Neighbouring rules that may stand in one pattern, each way. The empty group `d3` closes a match of rule 3."""

    stream: regex.Pattern[str]
    stream_advancing: regex.Pattern[str]
    final: regex.Pattern[str]
    final_advancing: regex.Pattern[str]
    numbers: dict[str, int]
    certain: regex.Pattern[str] | None = None
    certain_advancing: regex.Pattern[str] | None = None

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

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.context = max(rule.context for rule in self.rules)
        numbered = list(enumerate(self.rules))
        self._banks = [_compile(list(bank)) for _, bank in groupby(numbered, lambda pair: _company(*pair))]
        self._checked = any(rule.check is not None for rule in self.rules)
        self._empties = any(width(rule.tree.root)[0] == 0 for rule in self.rules)

    def search(self, buf: str, pos: int, advance: bool = False, *, here: bool = False) -> tuple[int, Found | None]:
        """Where, from `pos` on, the first match begins or could still begin; and that match, if it is decided.

        With nothing to be found yet, that is the end of the buffer. A match at `pos` may not be empty if `advance`.

        Args:
            here: whether a match at `pos` is likely, because much is held from there, or a match has just ended there. That is then
                asked first, which spares a search: it looks for a complete match at every start before it reports a partial one.
        """
        while True:
            if len(self._banks) == 1:
                start, found = self._search(self._banks[0], buf, pos, advance, here)
            else:
                results = [self._search(bank, buf, pos, advance, here) for bank in self._banks]
                start, found = min(results, key=lambda result: result[0])
            if found is None or not self._checked or self._agrees(found, buf):
                return start, found
            decided, found = self.decide(buf, start, advance and start == pos, found.rule + 1)
            if found is not None or not decided:
                return start, found
            if start >= len(buf):
                return start, None
            pos, advance = start + 1, False

    def _search(self, bank: _Patterns, buf: str, pos: int, advance: bool, here: bool) -> tuple[int, Found | None]:
        pattern = bank.stream_advancing if advance else bank.stream
        if here and pos < len(buf):
            match = pattern.match(buf, pos, partial=True)
            if match is None:
                return self._search(bank, buf, pos + 1, False, False)
        else:
            # A search that begins at the very end shows groups of attempts before it, if the pattern begins with any character.
            match = (pattern.search if pos < len(buf) else pattern.match)(buf, pos, partial=True)
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

    def certain(self, buf: str, start: int, advance: bool = False) -> Rule | None:
        """The rule that is certain to match at `start`, though how far is still open; None if that is not certain.

        A rule with a check never is: the check is asked about the whole match.
        """
        if start == len(buf) and not self._empties:
            return None
        if not any(_finds(bank, buf, start, advance) for bank in self._banks):
            return None
        for number, rule in enumerate(self.rules):
            bank = _compile_one(number, rule)
            match = (bank.stream_advancing if advance else bank.stream).match(buf, start, partial=True)
            if match is None:
                continue
            if bank.decided(match) >= 0 and not self._agrees(Found(number, start, match.end(match.lastgroup or 0), advance), buf):
                continue
            return rule if rule.check is None and _finds(bank, buf, start, advance) else None
        return None

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
        if check is None:
            return True
        try:
            return bool(check(buf[found.start : found.end]))
        except Exception as error:
            raise CheckRaisedError(found.start) from error


def _company(number: int, rule: Rule) -> object:
    """What rules must have in common to stand in one pattern. `regex` honours some flags for sets and case only if they hold for a
    whole pattern, and mistakes negated sets where parts of one ignore case and others do not: such a rule stands alone."""
    tree = rule.tree
    return number if tree.mixed_case else (tree.version1, tree.ascii, tree.ignore_case)


@lru_cache(maxsize=1024)
def _compile_one(number: int, rule: Rule) -> _Patterns:
    return _compile([(number, rule)])


def _compile(numbered: Sequence[tuple[int, Rule]]) -> _Patterns:
    """Rules that may stand together, as one pattern each way."""
    tree = numbered[0][1].tree
    chosen = {regex.VERSION1: tree.version1, regex.ASCII: tree.ascii, regex.IGNORECASE: tree.ignore_case}
    flags = sum(flag for flag, holds in chosen.items() if holds)

    def compiled(use: Use, advance: bool) -> regex.Pattern[str] | None:
        tests = r"(?!\G)" if advance else ""
        branches: list[str] = []
        lists: dict[str, Any] = {}
        for number, rule in numbered:
            with contextlib.suppress(NeverCertain):
                branches.append(f"(?:{print_pattern(rule.tree, number, use)}{tests}(?P<d{number}>))")
                lists |= {f"l{number}_{name}": words for name, words in rule.lists}
        if not branches:
            return None
        return regex.compile(f"(?:{'|'.join(branches)}){TAIL if use == 'stream' else ''}", flags, **lists)

    stream, stream_advancing = compiled("stream", False), compiled("stream", True)
    final, final_advancing = compiled("final", False), compiled("final", True)
    assert stream and stream_advancing and final and final_advancing
    return _Patterns(
        stream,
        stream_advancing,
        final,
        final_advancing,
        {f"d{number}": number for number, _ in numbered},
        compiled("certain", False),
        compiled("certain", True),
    )


def _finds(bank: _Patterns, buf: str, start: int, advance: bool) -> bool:
    """Whether some rule of a bank is certain to match at `start`, if no rule before it does."""
    pattern = bank.certain_advancing if advance else bank.certain
    return pattern is not None and pattern.match(buf, start) is not None
