"""The text machine under every stage that looks for rules: it finds the matches of a run, in order, each as soon as it is decided.

It keeps what no match can begin in, hands each decided match to `hit`, and bounds the hold: a match that is still open at character
`max_hold + 1` of the hold overflows, at that character whatever the cuts. What a match means is the stage's business.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

from streamfilter.errors import LimitExceeded
from streamfilter.items import End
from streamfilter.machine import TextMachine, refusal
from streamfilter.matching.rules import Match, Rule
from streamfilter.matching.tail import CheckRaisedError, Found, TailEngine

MAX_HOLD = 1000
"""Characters that may be held for one match that is still open. Long enough for anything people redact in prose, a JSON web token
included; short enough that searching the hold anew for each chunk stays near the cost of one search of ordinary text."""

LONG_HOLD = 64
"""Characters that are held when a match is so likely to be open still that this is asked before anything is searched. For a word's
length that costs more than it spares."""

MAX_SWALLOW = 100_000
"""Characters within which the end of an overflowing match is looked for; a private key has some thousands. Beyond, the rest of the
run counts as the match: some patterns take time in the square of what they have matched."""

Overflow: TypeAlias = Literal["redact", "release", "raise"]
"""What happens to a match that is still open when the hold is full. `"redact"`: it counts as a match, up to where it can no longer
continue. `"release"`: no match begins at its first character. `"raise"`: `LimitExceeded` ends the stream."""


@lru_cache(maxsize=256)
def compiled(rules: tuple[Rule, ...]) -> TailEngine:
    """The engine for some rules; equal rules share one.

    Example:
        >>> compiled((Rule("a", "a"),)) is compiled((Rule("a", "a"),))
        True
    """
    return TailEngine(rules)


class Scan(TextMachine):
    """One run, searched for the matches of an engine. Subclass it and give `hit`.

    Args:
        engine: the rules, compiled.
        max_hold: characters that may be held for one open match.
        overflow: what happens when they are full.

    Attributes:
        exhausted: set it to look for nothing more in this run.
    """

    exhausted = False
    early = False
    """Whether the replacement of the match at the beginning of the hold has left already: it is certain, and only its end open."""

    def __init__(self, engine: TailEngine, max_hold: int = MAX_HOLD, overflow: Overflow = "redact") -> None:
        self.engine = engine
        self.context = engine.context
        self.max_hold = max_hold
        self.overflow = overflow
        self._has_constants = any(self.constant(rule) for rule in engine.rules)
        self._advance = False  # the match before was empty and ended here
        self._swallow_until = 0  # of an overflowing match: the size at which to look again whether it is over; 0 if there is none
        self._swallow_seen = 0  # and the size at which it was seen to be still open
        self._swallow_rest = False  # it is longer than what can be looked through

    # ------------------------------------------------------------------ for stages

    def constant(self, rule: Rule) -> str:
        """What stands in for any match of a rule, if that is certain before the match is decided; else nothing."""
        return ""

    def hit(self, found: Found, buf: str) -> None:
        """A decided match: it is the first `found.end - found.start` characters of the hold. Release them, or set `done`. If
        `early`, its replacement has left, and they are only to be deleted."""
        raise NotImplementedError

    def hit_open(self, rule: Rule) -> None:
        """A match at the beginning of the hold overflows and counts as one: release its replacement as an insertion (unless
        `early`), or set `done`. Its characters are deleted as soon as it is known where they end."""
        raise NotImplementedError

    def match(self, found: Found, buf: str) -> Match:
        """What was found, with its groups and its place in the channel's text. Call it before releasing anything."""
        return self.engine.match(found, buf, self.hold.offset - found.start)

    # ------------------------------------------------------------------ the run

    def feed(self, text: str) -> None:
        hold = self.hold
        if self._swallow_rest:
            hold.replace(len(hold), "")
            return
        if self._swallow_until and not self._swallow():
            return
        limit = self.max_hold + 1
        search = self.engine.search
        here = len(hold) - len(text) > LONG_HOLD
        while self.done is None:
            buf = hold.buf
            pos = hold.pos
            if self.exhausted:
                hold.keep(len(buf) - pos)
                return
            if cut := len(buf) - pos > limit:
                # The hold can fill up before the end of a large chunk, and must then overflow as if the chunk had been cut there.
                left = max(0, pos - self.context)
                buf = buf[left : pos + limit]
                pos -= left
            try:
                start, found = search(buf, pos, self._advance, here=here)
            except CheckRaisedError as raised:
                self._refuse(raised, raised.start - pos)
                return
            if start > pos:
                hold.keep(start - pos)
                self._advance = False
            if found is not None:
                here = True
                self._advance = found.start == found.end
                self.hit(found, buf)
                self.early = False
                continue
            if not self.early and (rule := self._certain(buf, start)) is not None:
                self.early = True
                hold.replace(0, self.constant(rule))
            if len(buf) - start == limit:
                if not self._overflow(buf, start):
                    return
            elif not cut:
                return

    def finish(self) -> None:
        hold = self.hold
        if self._swallow_until:
            found = self.engine.decide_final(hold.buf, hold.pos, self._advance)
            self._end_swallow(found, len(hold))
        while self.done is None:
            buf, pos = hold.buf, hold.pos
            try:
                found = None if self.exhausted else self.engine.search_final(buf, pos, self._advance)
            except CheckRaisedError as raised:
                self._refuse(raised, raised.start - pos)
                return
            if found is None:
                hold.keep(len(buf) - pos)
                return
            hold.keep(found.start - pos)
            self._advance = found.start == found.end
            self.hit(found, buf)
            self.early = False

    def _refuse(self, raised: CheckRaisedError, clean: int) -> None:
        """A check raised: the text before the match that it was asked about leaves, and the stream ends with its exception."""
        self.hold.keep(clean)
        self.done = refusal(raised.__cause__ or raised)

    def _certain(self, buf: str, start: int) -> Rule | None:
        """The rule whose replacement may leave now, though its match may still grow."""
        if not self._has_constants:
            return None
        rule = self.engine.certain(buf, start, self._advance)
        return rule if rule is not None and self.constant(rule) else None

    # ------------------------------------------------------------------ overflow

    def _overflow(self, buf: str, start: int) -> bool:
        """The match at the beginning of the hold is still open and the hold is full. Whether to go on searching."""
        hold = self.hold
        if self.overflow == "release" and not self.early:
            hold.keep(1)
            self._advance = False
            return True
        rule = self.engine.undecided(buf, start, self._advance)
        if self.overflow == "raise":
            where = f"a match of rule {rule.name} at character {hold.offset} of the {hold.channel.kind} was still open"
            self.done = End("error", LimitExceeded("max_hold", self.max_hold, where))
            return False
        self.hit_open(rule)
        self.early = False
        if self.done is not None:
            return False
        self._swallow_seen = self.max_hold + 1
        self._swallow_until = self._swallow_seen + 1
        return self._swallow()

    def _swallow(self) -> bool:
        """Look whether the overflowing match is over, and if so delete it. Looks are spaced in proportion to its size, which keeps
        their total cost linear; where it is found to be over is then searched for exactly, so it does not depend on the cuts."""
        hold = self.hold
        while (size := self._swallow_until) <= len(hold):
            if self._is_over(size):
                low, high = self._swallow_seen, size
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (low, middle) if self._is_over(middle) else (middle, high)
                found = self._decide(high)
                # With the last of these characters it became certain. If there is no match, that character is none of it.
                self._end_swallow(found, high - 1)
                return True
            if size >= MAX_SWALLOW:
                self._swallow_rest = True
                self._end_swallow(None, len(hold))
                return False
            self._swallow_seen = size
            self._swallow_until = min(MAX_SWALLOW, size + max(1, size // 8))
        return False

    def _decide(self, size: int) -> Found | None:
        hold = self.hold
        return self.engine.decide(hold.buf[: hold.pos + size], hold.pos, self._advance)[1]

    def _is_over(self, size: int) -> bool:
        hold = self.hold
        return self.engine.decide(hold.buf[: hold.pos + size], hold.pos, self._advance)[0]

    def _end_swallow(self, found: Found | None, otherwise: int) -> None:
        """Delete the overflowed match, or without one the characters through which it could have continued."""
        self.hold.replace(otherwise if found is None else found.end - self.hold.pos, "")
        self._swallow_until = 0
        self._advance = found is not None and found.start == found.end


def explain(max_hold: int, overflow: Overflow) -> str:
    """In words: what looking for rules may hold."""
    return f"holds a match that is still open, at most {max_hold} characters, then overflow={overflow!r}"
