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
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import groupby
from typing import Any

import regex

from streamfilter.matching.cache import Compiled
from streamfilter.matching.engine import MAX_SWALLOW, Found, agrees
from streamfilter.matching.printing import NeverCertain, Use, print_pattern
from streamfilter.matching.rules import Allowance, Match, Rule, within
from streamfilter.matching.tree import width

TAIL = "(?s:.*+)(?-i:\U0010ffff)"
"""Never matches, and always gets as far as the end of the text, which makes any match before it a partial one. The character is one
that no text has: by its absence `regex` sees at once that there is no complete match, instead of trying at every start, which on a
thousand blanks for `\\s+$` takes ten thousand times as long."""

LONG_HOLD = 64
"""Characters that are held when a match is so likely to be open still that this is asked before anything is searched. For a word's
length that costs more than it spares."""


class _Bank:
    """Neighbouring rules that may stand in one pattern, each way. The empty group `d3` closes a match of rule 3.

    Patterns are compiled when they are first needed: compiling takes a thousand times as long as matching, and few ways are.
    """

    def __init__(self, numbered: Sequence[tuple[int, Rule]]) -> None:
        self.numbered = numbered
        self.first: Rule = numbered[0][1]  # whose time is that of all of them
        self.numbers: dict[str | None, int] = {f"d{number}": number for number, _ in numbered}

    @cached_property
    def stream(self) -> regex.Pattern[str]:
        return self._compile("stream", advance=False)

    @cached_property
    def stream_advancing(self) -> regex.Pattern[str]:
        return self._compile("stream", advance=True)

    @cached_property
    def final(self) -> regex.Pattern[str]:
        return self._compile("final", advance=False)

    @cached_property
    def final_advancing(self) -> regex.Pattern[str]:
        return self._compile("final", advance=True)

    @cached_property
    def certain(self) -> regex.Pattern[str] | None:
        return self._compile_certain(advance=False)

    @cached_property
    def certain_advancing(self) -> regex.Pattern[str] | None:
        return self._compile_certain(advance=True)

    def decided(self, match: regex.Match[str]) -> int:
        """The number of the rule whose match this is; -1 if that is not decided."""
        return self.numbers.get(match.lastgroup, -1)

    def _compile_certain(self, *, advance: bool) -> regex.Pattern[str] | None:
        try:
            return self._compile("certain", advance=advance)
        except NeverCertain:
            return None

    def _compile(self, use: Use, *, advance: bool) -> regex.Pattern[str]:
        tree = self.numbered[0][1].tree
        chosen = {regex.VERSION1: tree.version1, regex.ASCII: tree.ascii, regex.IGNORECASE: tree.ignore_case}
        flags = sum(flag for flag, holds in chosen.items() if holds)
        tests = r"(?!\G)" if advance else ""
        branches: list[str] = []
        lists: dict[str, Any] = {}
        for number, rule in self.numbered:
            with contextlib.suppress(NeverCertain):
                branches.append(f"(?:{print_pattern(rule.tree, number, use)}{tests}(?P<d{number}>))")
                lists |= {f"l{number}_{name}": words for name, words in rule.lists}
        if not branches:
            raise NeverCertain
        return regex.compile(f"(?:{'|'.join(branches)}){TAIL if use == 'stream' else ''}", flags, **lists)


class TailEngine(Compiled):
    """Rules, compiled. Immutable, but for the time of one that is for a run: any number of streams and threads share one.

    Args:
        numbered: the rules with their numbers: at each place, in this order, the first that matches wins.
        why: the reasons for this engine.

    Example:
        >>> search = TailEngine([(0, Rule("a", "abcd|c"))]).begin()
        >>> search.search("xabc", 0, 0, False)
        (1, None)
        >>> search.search("xabc!", 0, 1, False)
        (3, Found(rule=0, start=3, end=4, advance=False))
    """

    allowed: Allowance | None = None

    def __init__(self, numbered: Sequence[tuple[int, Rule]], why: str = "") -> None:
        self.numbered: tuple[tuple[int, Rule], ...] = tuple(numbered)
        self.rules: tuple[Rule, ...] = tuple(rule for _, rule in numbered)
        self.summary: str = f"regex: searches what is held with each chunk{', because ' + why if why else ''}"
        self.context: int = max(rule.context for _, rule in self.numbered)
        self._banks = [_Bank(list(bank)) for _, bank in groupby(self.numbered, lambda pair: _company(*pair))]
        self._alone = {number: _Bank([(number, rule)]) for number, rule in self.numbered}
        self._by_number = dict(self.numbered)
        self._checked = any(rule.check is not None for _, rule in self.numbered)
        self._within: Callable[..., regex.Match[str] | None] = within
        self._empties = any(width(rule.tree.root)[0] == 0 for _, rule in self.numbered)

    def for_run(self) -> TailEngine:
        engine = copy(self)
        engine.allowed = Allowance()
        engine._within = engine.allowed.within  # noqa: SLF001  # its own
        return engine

    def begin(self) -> TailSearch:
        return TailSearch(self)

    def search(self, buf: str, pos: int, advance: bool, *, here: bool) -> tuple[int, Found | None]:
        """As `Search.search`.

        Args:
            buf: the text.
            pos: where to begin.
            advance: whether a match at `pos` may not be empty.
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
            decided, other = self.decide(buf, start, advance and start == pos, after=found.rule)
            if other is not None:
                return start, other if decided else None
            if start >= len(buf):
                return start, None
            pos, advance = start + 1, False

    def _search(self, bank: _Bank, buf: str, pos: int, advance: bool, here: bool) -> tuple[int, Found | None]:
        pattern = bank.stream_advancing if advance else bank.stream
        # A search that begins at the very end shows groups of attempts before it, if the pattern begins with any character.
        match = self._within(bank.first, pattern.match, buf, pos, partial=True) if here or pos == len(buf) else None
        if match is None and pos < len(buf):
            match = self._within(bank.first, pattern.search, buf, pos, partial=True)
        if match is None:
            return len(buf), None
        start = min(match.start(), len(buf))  # one past the end when every attempt has failed
        rule = bank.decided(match)
        if rule < 0:
            return start, None
        return start, Found(rule, start, match.end(f"d{rule}"), advance and start == pos)

    def pursue(self, buf: str, base: int, start: int, advance: bool) -> TailPursuit:
        return TailPursuit(self, buf, base, start, advance)

    def decide(
        self,
        buf: str,
        start: int,
        advance: bool,
        stop: int | None = None,
        *,
        after: int = -1,
        without: frozenset[int] | None = None,
    ) -> tuple[bool, Found | None]:
        """As `Engine.decide`.

        Args:
            buf: the text.
            start: where.
            advance: whether the match may not be empty.
            stop: the number of the rule before which to stop.
            after: the number of the rule behind which to begin.
            without: in a pursuit, where no check is asked, the rules that do not take part.
        """
        for number, end in self._matches(buf, start, advance):
            if stop is not None and number >= stop:
                break
            if number <= after or (without and number in without):
                continue
            if end < 0 or without is not None or agrees(self._by_number[number], buf, start, end):
                return end >= 0, Found(number, start, end, advance)
        return True, None

    def refused(self, buf: str, start: int, advance: bool) -> frozenset[int]:
        """The rules that match at a place, but for their checks."""
        return frozenset(
            number
            for number, end in self._matches(buf, start, advance)
            if end >= 0 and not agrees(self._by_number[number], buf, start, end)
        )

    def certain(self, buf: str, start: int, advance: bool) -> int:
        """As `Search.certain`."""
        if (start < len(buf) or self._empties) and any(self._finds(bank, buf, start, advance) for bank in self._banks):
            for number, end in self._matches(buf, start, advance):
                if end < 0:  # those before it are refused, or wait for another engine, which is asked too
                    if self._by_number[number].check is None and self._finds(self._alone[number], buf, start, advance):
                        return number
                    break
        return -1

    def _matches(self, buf: str, start: int, advance: bool) -> Iterator[tuple[int, int]]:
        """The rules that match at a place, or still could, in their order: (number, where its match ends; -1 if that is open)."""
        for number, bank in self._alone.items():
            match = self._within(bank.first, (bank.stream_advancing if advance else bank.stream).match, buf, start, partial=True)
            if match is not None:
                yield number, match.end(f"d{number}")

    def search_final(self, buf: str, pos: int, advance: bool) -> Found | None:
        """As `Search.final`."""
        while pos <= len(buf):
            best: Found | None = None
            for bank in self._banks:
                match = self._within(bank.first, (bank.final_advancing if advance else bank.final).search, buf, pos)
                if match is not None and (best is None or match.start() < best.start):
                    best = Found(bank.decided(match), match.start(), match.end(), advance and match.start() == pos)
            if best is None or not self._checked or self._agrees(best, buf):
                return best
            start = best.start
            other = self.decide_final(buf, start, advance and start == pos, after=best.rule)
            if other is not None:
                return other
            pos, advance = start + 1, False
        return None

    def decide_final(
        self, buf: str, start: int, advance: bool, *, after: int = -1, without: frozenset[int] | None = None
    ) -> Found | None:
        """The match at `start`, the buffer's end being the end of the text; arguments as of `decide`."""
        for number, bank in self._alone.items():
            if number <= after or (without and number in without):
                continue
            match = self._within(bank.first, (bank.final_advancing if advance else bank.final).match, buf, start)
            if match is not None and (without is not None or agrees(self._by_number[number], buf, start, match.end())):
                return Found(number, start, match.end(), advance)
        return None

    def match(self, found: Found, buf: str, shift: int = 0) -> Match:
        return Match(self._by_number[found.rule], buf, found[1:3], advance=found.advance, shift=shift)

    def _finds(self, bank: _Bank, buf: str, start: int, advance: bool) -> bool:
        """Whether some rule of a bank is certain to match at `start`, if no rule before it does."""
        pattern = bank.certain_advancing if advance else bank.certain
        return pattern is not None and self._within(bank.first, pattern.match, buf, start) is not None

    def _agrees(self, found: Found, buf: str) -> bool:
        return agrees(self._by_number[found.rule], buf, found.start, found.end)


class TailSearch:
    """The search through one run. It remembers no more than whether it will find something where it stands."""

    open: object | None = True  # it is asked anew each time

    def __init__(self, engine: TailEngine) -> None:
        self._engine = engine
        self._here = False

    def passes(self, text: str, at: int) -> bool:
        return False

    def search(self, buf: str, base: int, pos: int, advance: bool) -> tuple[int, Found | None]:
        start, found = self._engine.search(buf, pos, advance, here=self._here)
        self._here = found is not None or len(buf) - start > LONG_HOLD
        return start, found

    def certain(self, buf: str, start: int, advance: bool) -> int:
        return self._engine.certain(buf, start, advance)

    def final(self, buf: str, base: int, pos: int, advance: bool) -> Found | None:
        return self._engine.search_final(buf, pos, advance)


class TailPursuit:
    """An overflowing match, followed by looking again at sizes that grow by an eighth, which keeps the cost proportional; where it
    is found to be over is then searched for exactly, so it does not depend on the cuts."""

    matched: int
    end: int
    hopeless: bool = False

    def __init__(self, engine: TailEngine, buf: str, base: int, start: int, advance: bool) -> None:
        self._engine = engine
        self._advance = advance
        self._seen = len(buf) - start  # the size at which it was seen to be still open
        self._look_at = self._seen + 1
        self.needs: int = base + start
        self._without = engine.refused(buf, start, advance)
        _, found = engine.decide(buf, start, advance)
        self.rule: int = -1 if found is None else found.rule

    def over(self, buf: str, base: int) -> bool:
        start = self.needs - base
        while (size := self._look_at) <= len(buf) - start:
            if self._decide(buf, start, size)[0]:
                size = bisect_left(range(size), True, self._seen + 1, key=lambda less: self._decide(buf, start, less)[0])
                # With the last of these characters it became certain. If there is no match, that character is none of it.
                self._settle(self._decide(buf, start, size)[1], base, self.needs + size - 1)
                return True
            if size >= MAX_SWALLOW:
                self.hopeless = True
                return False
            self._seen = size
            self._look_at = min(MAX_SWALLOW, size + max(1, size // 8))
        return False

    def finish(self, buf: str, base: int) -> None:
        start = self.needs - base
        self._look_at = len(buf) - start  # it may have been over since the last look
        if not self.over(buf, base):
            self._settle(self._engine.decide_final(buf, start, self._advance, without=self._without), base, base + len(buf))

    def _settle(self, found: Found | None, base: int, otherwise: int) -> None:
        self.matched = -1 if found is None else found.rule
        self.end = otherwise if found is None else base + found.end

    def _decide(self, buf: str, start: int, size: int) -> tuple[bool, Found | None]:
        return self._engine.decide(buf[: start + size], start, self._advance, without=self._without)


def _company(number: int, rule: Rule) -> object:
    """What rules must have in common to stand in one pattern. `regex` honours some flags for sets and case only if they hold for a
    whole pattern, and mistakes negated sets where parts of one ignore case and others do not: such a rule stands alone."""
    tree = rule.tree
    return number if tree.mixed_case else (tree.version1, tree.ascii, tree.ignore_case, rule.timeout)
