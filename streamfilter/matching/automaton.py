"""The engine for regular rules: each character is looked at once, and a chunk costs no more the more is held.

The `finder` says from where a match has begun or could still begin. Once something matches from the first such place, whatever
comes, the rules are asked in order what matches there and how far (`decider`), one character after the other; behind a decided
match the finder begins anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from streamfilter.matching.alphabet import Alphabet, Numbers
from streamfilter.matching.cache import Cache, Compiled
from streamfilter.matching.decider import Decider
from streamfilter.matching.decision import MIN_TRACE, AutomatonPursuit, Decision, Trace
from streamfilter.matching.engine import Found
from streamfilter.matching.finder import HERE, Finder
from streamfilter.matching.finder import State as Finding
from streamfilter.matching.program import Left, Program
from streamfilter.matching.rules import Allowance, Match
from streamfilter.matching.terms import AnyRule


class _Way:
    """A way of the finder through text that was held, so that a later one that comes upon it need not go on.

    Attributes:
        start: where it began.
        states: what it was in behind each character.
        starts: the places of the state's groups, from each character on behind which they changed.
    """

    __slots__ = ("start", "starts", "states")

    def __init__(self, start: int) -> None:
        self.start = start
        self.states: list[Finding] = []
        self.starts: list[tuple[int, list[int]]] = [(start, [])]

    @property
    def end(self) -> int:
        """How far it went."""
        return self.start + len(self.states)

    def meets(self, state: Finding, at: int) -> bool:
        """Whether it was in the same state behind the same character."""
        return self.start < at <= self.end and self.states[at - self.start - 1] is state

    def starts_from(self, at: int, starts: list[int]) -> list[int]:
        """The places at its end, for one that came upon it behind a character with these."""
        before = self.starts[bisect_right(self.starts, at, key=itemgetter(0)) - 1][1]
        theirs = dict(zip(before, starts, strict=True))
        return [theirs.get(place, place) for place in self.starts[-1][1]]


class AutomatonSearch:
    """The search through one run. All positions but those of arguments and results are in the run."""

    _state: Finding
    _starts: list[int]  # of the state's groups
    open: Decision | None

    def __init__(self, engine: Automaton) -> None:
        self._engine = engine
        self._expected = -1  # where the next search begins if it goes on from this one; the first begins anew
        self._traces: dict[int, Trace] = {}
        self._way: _Way | None = None

    def search(self, buf: str, base: int, pos: int, advance: bool) -> tuple[int, Found | None]:
        at = base + pos
        if at != self._expected or advance is not (self._advance and at == self._origin):
            self._restart(buf, base, at, advance)
        while True:
            decision = self.open
            if decision is None:
                if not self._find(buf, base):
                    self._expected = start = self._starts[0] if self._starts else self._read
                    return start - base, None
                decision = self.open = self._decide(self._starts[0] if self._starts else self._read)
            if not decision.run(buf, base):
                self._expected = decision.start
                return decision.start - base, None
            if decision.found is not None:
                return self._give(decision.found, base)
            if not self._pass_over(decision.start, buf, base):
                return len(buf), None

    def passes(self, text: str, at: int) -> bool:
        if at != self._expected or not self._state.idle.issuperset(text):
            return False
        self._expected = self._read = at + len(text)
        return True

    def certain(self, buf: str, start: int, advance: bool) -> int:
        decision = self.open
        if decision is None or decision.end < 0:
            return -1
        number, rule = self._engine.numbered[decision.rule]
        return number if rule.check is None else -1

    def final(self, buf: str, base: int, pos: int, advance: bool) -> Found | None:
        while True:
            start, found = self.search(buf, base, pos, advance)
            if found is not None:
                return found
            if self.open is None and not self._state.may_end:
                return None
            for decision in [self.open] if self.open is not None else map(self._decide, (*self._starts, self._read)):
                found = decision.finish(buf, base)
                if found is not None:
                    return self._give(found, base)[1]
                start = decision.start
                if self._engine.checked:
                    break  # a check may have said no to what hid a later match
            if not self._engine.checked or not self._pass_over(start, buf, base):
                return None
            pos, advance = start + 1 - base, False

    # ------------------------------------------------------------------

    def _restart(self, buf: str, base: int, at: int, advance: bool) -> None:
        finding = self._engine.finder
        left = self._engine.left(finding.program, buf, at - base, self._engine.context)
        self._state = finding.begin(left, begin=at == base, nonempty=advance)
        self._starts = []
        self._expected = self._read = self._origin = at
        self._advance = advance
        self.open = None
        self._replays = base + len(buf) - at >= MIN_TRACE  # there may be text that was gone through before

    def _find(self, buf: str, base: int) -> bool:
        """Go through the text until something matches from the first place that is left. Whether it does."""
        state, starts, at = self._state, self._starts, self._read
        if state.certain:
            return True
        if self._replays:
            self._replays = False
            return self._find_again(buf, base)
        for character in buf[at - base :]:
            state, keep = state[character]
            if keep is not None:
                starts = [at] if keep is HERE else [at if number < 0 else starts[number] for number in keep] if keep else []
                if state.certain:
                    at += 1
                    break
            at += 1
        self._state, self._starts, self._read = state, starts, at
        return state.certain

    def _find_again(self, buf: str, base: int) -> bool:
        """As `_find`, through text in which it may come upon the way that it went before."""
        state, starts, at = self._state, self._starts, self._read
        known, way = self._way, _Way(at)
        for character in buf[at - base :]:
            state, keep = state[character]
            if keep is not None:
                starts = [at if number < 0 else starts[number] for number in keep]
                way.starts.append((at + 1, starts))
            at += 1
            way.states.append(state)
            if state.certain:
                break
            if known is not None and known.meets(state, at):
                state, starts, at = known.states[-1], known.starts_from(at, starts), known.end
                way = known
                break
        self._state, self._starts, self._read, self._way = state, starts, at, way
        return state.certain or self._find(buf, base)

    def _decide(self, start: int) -> Decision:
        return Decision(self._engine, start, self._advance and start == self._origin, self._traces)

    def _give(self, found: Found, base: int) -> tuple[int, Found]:
        start = found.start - base
        return start, Found(found.rule, start, found.end - base, found.advance)

    def _pass_over(self, start: int, buf: str, base: int) -> bool:
        """Nothing matches at `start` after all, for a check said no: look behind it. Whether there is something."""
        if start >= base + len(buf):
            return False
        self._restart(buf, base, start + 1, advance=False)
        return True


class Automaton(Compiled):
    """Regular rules, compiled.

    Args:
        numbered: the rules with their numbers: at each place, in this order, the first that matches wins.

    Raises:
        NotRegularError: together they are too large.

    Example:
        >>> from streamfilter.matching.rules import Rule
        >>> search = Automaton([(0, Rule("a", "abcd|c"))]).begin()
        >>> search.search("xabc", 0, 0, False)
        (1, None)
        >>> search.search("xabc!", 0, 1, False)
        (3, Found(rule=0, start=3, end=4, advance=False))
    """

    summary = "automaton: one step for each character"
    allowed: Allowance | None = None  # nothing here takes long

    def __init__(self, numbered: Sequence[tuple[int, AnyRule]]) -> None:
        self.numbered: tuple[tuple[int, AnyRule], ...] = tuple(numbered)
        self.rules: tuple[AnyRule, ...] = tuple(rule for _, rule in numbered)
        self.context: int = max(rule.context for _, rule in self.numbered)
        self._by_number = dict(self.numbered)
        self.checked: bool = any(rule.check is not None for _, rule in self.numbered)
        self._numbers = Numbers()
        self._cache = Cache()
        self.finder: Finder = Finder([rule.expression for _, rule in self.numbered], self._numbers, self._cache)
        self._alphabet = self.finder.alphabet = Alphabet(self._numbers)
        self._deciders: dict[int, Decider] = {}

    def for_run(self) -> Automaton:
        return self

    def begin(self) -> AutomatonSearch:
        return AutomatonSearch(self)

    def decider(self, index: int) -> Decider:
        """The automaton of one rule, by its place among the rules."""
        decider = self._deciders.get(index)
        if decider is None:
            expression = self.numbered[index][1].expression
            decider = self._deciders.setdefault(index, Decider(expression, self._numbers, self._alphabet, self._cache))
        return decider

    def left(self, program: Program, buf: str, pos: int, context: int) -> Left:
        """What the lookbehinds of a program have seen before a place.

        Args:
            context: how far they look.
        """
        left = program.left
        if program.looks_behind:
            for character in buf[max(0, pos - context) : pos]:
                left = program.step_left(left, self._alphabet[character])
        return left

    def pursue(self, buf: str, base: int, start: int, advance: bool) -> AutomatonPursuit:
        return AutomatonPursuit(self, buf, base, start, advance)

    def decide(self, buf: str, start: int, advance: bool, stop: int) -> tuple[bool, Found | None]:
        decision = Decision(self, start, advance, {}, range(sum(number < stop for number, _ in self.numbered)))
        return decision.run(buf, 0), decision.found

    def match(self, found: Found, buf: str, shift: int = 0) -> Match:
        return Match(self._by_number[found.rule], buf, found[1:3], advance=found.advance, shift=shift)
