"""Decisions: what matches at one place, by the deciders of rules in order, one character after the other.

All positions are in the run. A decision remembers its way, so that one that begins further on, when held text is replayed, can end
as it did. A *pursuit* follows an overflowing match, of which nothing is kept that need not leave.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING

from streamfilter.matching.decider import State
from streamfilter.matching.engine import MAX_SWALLOW, Found, agrees

if TYPE_CHECKING:
    from streamfilter.matching.automaton import Automaton

MIN_TRACE = 16
"""Characters that a decision must have looked at for its way to be remembered: for fewer, looking again costs less."""


class Trace:
    """The way of a decision, so that a later one that comes upon it can end as it did.

    Without it, replaying what was held looks as far from each place: `a(?:[^z]*b)?` on a thousand `a` and a `z`.

    Attributes:
        start: where it began.
        states: what it was in behind each character.
        places: those that it remembered then, from each character on behind which they changed.
        end: where the match ended; -1 if there was none.
        seen: behind which character that was known.
    """

    __slots__ = ("end", "places", "seen", "start", "states")

    def __init__(self, start: int) -> None:
        self.start: int = start
        self.states: list[State] = []
        self.places: list[tuple[int, list[int]]] = []
        self.end: int = -1
        self.seen: int = -1

    def end_from(self, at: int, places: list[int], end: int) -> int | None:
        """Where a match ends whose decision has come upon this way, or -1.

        Args:
            at: behind which character.
            places: that it remembers there; as many as were remembered here.
            end: where it ends by then.

        Returns:
            None if that cannot be told.
        """
        if self.seen <= at:
            return end
        if self.end > at or not places:
            return self.end
        mine = self.places[bisect_right(self.places, at, key=itemgetter(0)) - 1][1]
        ends = {place for place, known in zip(places, mine, strict=True) if known == self.end}
        return ends.pop() if len(ends) == 1 else None


class Decision:
    """What matches at one start: rule after rule, one character after the other. All positions are in the run.

    Args:
        engine: the rules.
        start: where.
        advance: whether the match may not be empty.
        traces: by rule, the ways of earlier decisions in this run; added to.
        rules: which to ask, by their place among the engine's.

    Attributes:
        decided: whether nothing can change it any more.
        found: then, what matches, in the run; None if nothing does.
        rule: which rule is being asked.
        end: where a match of it ends by now; -1 if it does not match by now.
    """

    def __init__(
        self,
        engine: Automaton,
        start: int,
        advance: bool,
        traces: dict[int, Trace],
        rules: range | None = None,
    ) -> None:
        rules = range(len(engine.numbered)) if rules is None else rules
        self.decided: bool = False
        self.found: Found | None = None
        self.rule: int = rules.start - 1
        self._engine = engine
        self._advance = advance
        self._traces = traces
        self._stop = rules.stop
        self._checks = self._traced = True
        self.start = start
        self._state: State | None = None

    @property
    def end(self) -> int:
        return self._trace.end if self._state is not None else -1

    def pursue(self) -> None:
        """From now on ask no check, for the text will be gone, and remember no way, for it is never replayed."""
        self._checks = self._traced = False

    def ends(self) -> list[int]:
        """Where a match may end that has been accepted by now, if only but for its lookaheads."""
        if self.found is not None:
            return [self.found.end]
        if self._state is None:
            return []
        return [self._trace.end, *self._places] if self._trace.end >= 0 else self._places

    def run(self, buf: str, base: int) -> bool:
        """Go on through all of the text that there is. Whether it is decided."""
        while not self.decided:
            if self._state is None:
                self._next_rule(buf, base)
            elif not self._run_rule(buf, base):
                return False
            else:
                self._settle(buf, base)
        return True

    def finish(self, buf: str, base: int) -> Found | None:
        """What matches, now that the text is over."""
        while not self.run(buf, base):
            assert self._state is not None
            trace = self._trace
            effect = self._state[""][1]
            if effect is not None and effect.matched is not None:
                trace.end, trace.seen = self._places[effect.matched], self.read + 1
            self._settle(buf, base)
        return self.found

    def _next_rule(self, buf: str, base: int) -> None:
        self.rule += 1
        if self.rule >= self._stop:
            self.decided = True
            return
        decider = self._decider = self._engine.decider(self.rule)
        at = self.start - base
        left = self._engine.left(decider.program, buf, at, self._engine.rules[self.rule].context)
        state, accepted = decider.begin(left, begin=at == 0, nonempty=self._advance)
        self._state = state
        self._trace = Trace(self.start)
        self.read: int = self.start
        self._places = [self.start] * state.places
        if self._places:
            self._trace.places.append((self.start, self._places))
        if accepted:
            self._trace.end = self._trace.seen = self.start

    def _run_rule(self, buf: str, base: int) -> bool:
        """Whether the rule has no thread left."""
        state, trace, at, places = self._state, self._trace, self.read, self._places
        assert state is not None
        if not state.threads:
            return True
        known = self._traces.get(self.rule)
        # Beside another engine, whose matches come first, a search may begin before a way that it has gone.
        before = known.states if known is not None and known.start <= at else None
        states = trace.states if self._traced else None
        for character in buf[at - base :]:
            state, effect = state[character]
            at += 1
            if states is not None:
                states.append(state)
            if effect is not None:
                keep, matched = effect
                if matched is not None:
                    trace.end, trace.seen = at if matched < 0 else places[matched], at
                places = [at if number < 0 else places[number] for number in keep]
                if places and states is not None:
                    trace.places.append((at, places))
                if not state.threads:
                    break
            if before is not None and known is not None:
                number = at - known.start - 1
                if number >= len(before):
                    before = None
                elif before[number] is state and (end := known.end_from(at, places, trace.end)) is not None:
                    trace.end = end
                    trace.states.clear()  # the rest of the way is known already
                    return True
        self._state, self.read, self._places = state, at, places
        return not state.threads

    def _settle(self, buf: str, base: int) -> None:
        """The rule asked has no thread left: it matches, or the next one is asked."""
        trace = self._trace
        if len(trace.states) >= MIN_TRACE:
            self._traces[self.rule] = trace
        number, rule = self._engine.numbered[self.rule]
        if trace.end >= 0 and (not self._checks or agrees(rule, buf, self.start - base, trace.end - base)):
            self.found = Found(number, self.start, trace.end, self._advance)
            self.decided = True
        self._state = None


class AutomatonPursuit:
    """An overflowing match, followed by all rules that could still match: what was read need not be kept."""

    def __init__(self, engine: Automaton, buf: str, base: int, start: int, advance: bool) -> None:
        self._decisions: list[Decision] = []
        for index in range(len(engine.numbered)):
            decision = Decision(engine, base + start, advance, {}, range(index, index + 1))
            if not decision.run(buf, base):
                decision.pursue()
                self._decisions.append(decision)
            elif decision.found is not None:
                self._decisions.append(decision)
        self.rule: int = next((engine.numbered[each.rule][0] for each in self._decisions if not each.decided), -1)
        self.matched: int = -1
        self.end: int = base + start
        self.hopeless: bool = False
        self._read = base + len(buf)
        self.needs: int = self._needed()

    def over(self, buf: str, base: int) -> bool:
        while True:
            limit = self._needed() + MAX_SWALLOW
            text = buf[: limit - base]
            # All of them must see the text, which may be gone when the first is through.
            through = [decision.run(text, base) for decision in self._decisions]
            if all(through):
                self._settle()
                return True
            self._read = base + len(text)
            self.needs = self._needed()
            if self._read < limit:
                return False
            if self.needs + MAX_SWALLOW == limit:
                self.hopeless = True
                return False

    def finish(self, buf: str, base: int) -> None:
        for decision in self._decisions:
            decision.finish(buf, base)
        self._read = base + len(buf) + 1
        self._settle()

    def _needed(self) -> int:
        """A match of one of the rules ends here by now, or may turn out to: text behind it may have to leave."""
        ends = [end for each in self._decisions for end in each.ends()]
        return min(ends, default=self._read)

    def _settle(self) -> None:
        found = next((each.found for each in self._decisions if each.found is not None), None)
        if found is not None:
            self.matched, self.end = found.rule, found.end
        elif self._decisions:
            # With the last character that any of them looked at it became certain that there is no match, and that is none of it.
            self.end = max(self._read, *(each.read for each in self._decisions)) - 1
