"""Which engine finds the matches of some rules: the automaton for what is regular, `regex` for the rest, or both side by side."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from streamfilter.matching.cache import Compiled
from streamfilter.matching.engine import Engine, Found, Pursuit
from streamfilter.matching.regular import NotRegularError
from streamfilter.matching.rules import Allowance, Match, Rule
from streamfilter.matching.terms import AnyRule

if TYPE_CHECKING:
    from streamfilter.matching.automaton import Automaton
    from streamfilter.matching.tail import TailEngine


_ENGINES: WeakValueDictionary[tuple[AnyRule, ...], Engine] = WeakValueDictionary()
"""Those in use. An engine keeps megabytes of what it has worked out, and should go with the last stage that has it."""


def compiled(rules: tuple[AnyRule, ...]) -> Engine:
    r"""The engine for some rules; equal rules share one.

    Raises:
        ValueError: the rules are too large together.

    Example:
        >>> from streamfilter.matching.rules import Rule
        >>> compiled((Rule("a", "a"),)) is compiled((Rule("a", "a"),))
        True
        >>> print(compiled((Rule("twice", r"(a)\1"),)).summary)
        regex: searches what is held with each chunk, because of rule twice: it refers back to a group
    """
    return _ENGINES.get(rules) or _ENGINES.setdefault(rules, _compile(rules))


def _compile(rules: tuple[AnyRule, ...]) -> Engine:
    from streamfilter.matching.automaton import Automaton
    from streamfilter.matching.tail import TailEngine

    regular: list[tuple[int, AnyRule]] = []
    others: list[tuple[int, Rule]] = []
    reasons: list[str] = []
    for number, rule in enumerate(rules):
        try:
            rule.expression  # noqa: B018
        except NotRegularError as reason:
            assert isinstance(rule, Rule)
            others.append((number, rule))
            reasons.append(f"of rule {rule.name}: {reason}")
        else:
            regular.append((number, rule))
    why = "; ".join(dict.fromkeys(reasons))
    if not regular:
        return TailEngine(others, why)
    try:
        automaton = Automaton(regular)
    except NotRegularError as error:
        raise ValueError(
            f"the rules are too large together: {error}; bound their repeats, or give them to several stages"
        ) from None
    return SideBySide(rules, automaton, TailEngine(others, why)) if others else automaton


class SideBySide(Compiled):
    """Two engines for the rules of one stage: what the first of them in the order of rules finds at the first place counts.

    Args:
        rules: all of them.
        automaton: for some.
        tail: for the others.
    """

    def __init__(self, rules: tuple[AnyRule, ...], automaton: Automaton, tail: TailEngine) -> None:
        self.rules = rules
        self.both: tuple[Automaton, TailEngine] = (automaton, tail)
        self.context: int = max(automaton.context, tail.context)
        self.summary: str = f"{automaton.summary}; beside it {tail.summary}"
        self._of_automaton = {number for number, _ in automaton.numbered}

    @property
    def allowed(self) -> Allowance | None:
        return self.both[1].allowed

    def for_run(self) -> SideBySide:
        engine = copy(self)
        engine.both = self.both[0], self.both[1].for_run()
        return engine

    def begin(self) -> SideBySideSearch:
        return SideBySideSearch(self)

    def pursue(self, buf: str, base: int, start: int, advance: bool) -> SideBySidePursuit:
        return SideBySidePursuit([engine.pursue(buf, base, start, advance) for engine in self.both])

    def settle(self, found: Found | None, buf: str, start: int, advance: bool) -> Found | None:
        """Whether a match that one engine has found is it, though the other is not through; None if that is open."""
        if found is None:
            return None
        other = self.both[found.rule in self._of_automaton]
        decided, earlier = other.decide(buf, start, advance, found.rule)
        return (earlier or found) if decided else None

    def match(self, found: Found, buf: str, shift: int = 0) -> Match:
        return self.both[found.rule not in self._of_automaton].match(found, buf, shift)


class SideBySideSearch:
    """The search through one run with two engines."""

    open: object | None = True  # both are asked

    def __init__(self, engine: SideBySide) -> None:
        self._engine = engine
        self._searches = [each.begin() for each in engine.both]

    def passes(self, text: str, at: int) -> bool:
        return False  # the one would have searched what the other has not

    def search(self, buf: str, base: int, pos: int, advance: bool) -> tuple[int, Found | None]:
        results = [each.search(buf, base, pos, advance) for each in self._searches]
        self._starts = [start for start, _ in results]
        (one, found_one), (two, found_two) = results
        if one != two:
            return results[one > two]
        if found_one is not None and found_two is not None:
            return one, _first([found_one, found_two])
        return one, self._engine.settle(found_one or found_two, buf, one, advance and one == pos)

    def certain(self, buf: str, start: int, advance: bool) -> int:
        for place, search, other in zip(self._starts, self._searches, reversed(self._engine.both), strict=True):
            rule = search.certain(buf, start, advance) if place == start else -1
            if rule >= 0 and other.decide(buf, start, advance, rule) == (True, None):
                return rule
        return -1

    def final(self, buf: str, base: int, pos: int, advance: bool) -> Found | None:
        return _first([each.final(buf, base, pos, advance) for each in self._searches])


class SideBySidePursuit:
    """An overflowing match, followed by two engines."""

    def __init__(self, pursuits: Sequence[Pursuit]) -> None:
        self._pursuits = pursuits
        self._open = list(pursuits)
        self.rule: int = min((each.rule for each in pursuits if each.rule >= 0), default=-1)

    def over(self, buf: str, base: int) -> bool:
        self._open = [each for each in self._open if not each.over(buf, base)]
        if not self._open:
            self._settle()
            return True
        over = (each.end for each in self._pursuits if each not in self._open and each.matched >= 0)
        self.needs: int = min([*over, *(each.needs for each in self._open)])
        self.hopeless: bool = any(each.hopeless for each in self._open)
        return False

    def finish(self, buf: str, base: int) -> None:
        for each in self._open:
            each.finish(buf, base)
        self._settle()

    def _settle(self) -> None:
        matched = [each for each in self._pursuits if each.matched >= 0]
        best = min(matched, key=lambda each: each.matched) if matched else max(self._pursuits, key=lambda each: each.end)
        self.matched: int = best.matched
        self.end: int = best.end


def _first(found: Sequence[Found | None]) -> Found | None:
    """The leftmost match, and of several the one of the first rule."""
    return min((each for each in found if each is not None), key=lambda each: (each.start, each.rule), default=None)
