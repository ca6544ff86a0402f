"""The text machine under every stage that looks for rules: it finds the matches of a run, in order, each as soon as it is decided.

It keeps what no match can begin in, hands each decided match to `hit`, and bounds the hold: a match that is still open at character
`max_hold + 1` of the hold overflows, at that character whatever the cuts. What a match means is the stage's business.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from streamfilter.display import holding
from streamfilter.errors import LimitExceeded
from streamfilter.items import End, Finish
from streamfilter.machine import TextMachine, refusal
from streamfilter.matching.engine import CheckRaisedError, Engine, Found, Pursuit
from streamfilter.matching.rules import Allowance, Match
from streamfilter.matching.terms import AnyRule

MAX_HOLD = 1000
"""Characters that may be held for one match that is still open. Long enough for anything people redact in prose, a JSON web token
included; short enough that searching the hold anew for each chunk stays near the cost of one search of ordinary text."""

Overflow: TypeAlias = Literal["redact", "release", "raise"]
"""What happens to a match that is still open when the hold is full. `"redact"`: it counts as a match, up to where it can no longer
continue. `"release"`: no match begins at its first character. `"raise"`: `LimitExceeded` ends the stream."""


class Scan(TextMachine):
    """One run, searched for the matches of an engine. Subclass it and give `hit`.

    Args:
        engine: the rules, compiled.
        max_hold: characters that may be held for one open match.
        overflow: what happens when they are full.

    Attributes:
        exhausted: set it to look for nothing more in this run.
    """

    has_constants: bool = False
    """Whether `constant` may give something: only then it is looked for what is certain before it is decided."""

    exhausted: bool = False
    early: bool = False
    """Whether the replacement of the match at the beginning of the hold has left already: it is certain, and only its end open."""

    def __init__(self, engine: Engine, max_hold: int = MAX_HOLD, overflow: Overflow = "redact") -> None:
        self.engine: Engine = engine.for_run()
        self.rules: tuple[AnyRule, ...] = engine.rules
        self._search = self.engine.begin()
        self._allowed = self.engine.allowed
        self.context: int = self.engine.context
        self.max_hold = max_hold
        self.overflow = overflow
        self._advance = False  # the match before was empty and ended here
        self._pursuit: Pursuit | None = None  # of an overflowing match
        self.exhausted = self.early = False
        self._swallow_rest = False  # it is longer than what can be looked through

    # ------------------------------------------------------------------ for stages

    def constant(self, rule: AnyRule) -> str:
        """What stands in for any match of a rule, if that is certain before the match is decided; else nothing."""
        return ""

    def hit_early(self, rule: AnyRule) -> None:
        """A match at the beginning of the hold is certain, though not where it ends: its constant leaves."""
        self.hold.replace(0, self.constant(rule))

    def hit(self, found: Found, buf: str) -> None:
        """A decided match: it is the first `found.end - found.start` characters of the hold. Release them, or set `done`. If
        `early`, its constant has left, and they are only to be deleted. If fewer are released, the search goes on behind those."""
        raise NotImplementedError

    def hit_open(self, rule: AnyRule) -> None:
        """A match at the beginning of the hold overflows and counts as one: release its replacement as an insertion (unless
        `early`), or set `done`. Its characters are deleted as soon as it is known where they end."""
        raise NotImplementedError

    def match(self, found: Found, buf: str) -> Match:
        """What was found, with its groups and its place in the channel's text. Call it before releasing anything."""
        match = self.engine.match(found, buf, self.hold.offset - found.start)
        if self._allowed is None:
            self._allowed = Allowance()  # for its groups, which `regex` finds
        match.allowed = self._allowed
        return match

    # ------------------------------------------------------------------ the run

    def feed(self, text: str) -> None:
        hold = self.hold
        if self._allowed is not None:
            self._allowed.renew(len(hold.buf) - hold.pos)
        if (self._pursuit is not None or self._swallow_rest) and not self._swallow():
            return
        chars = len(text)
        # Most text is before a match and no part of one.
        if hold.pos + chars == len(hold.buf) and not self._advance and self._search.passes(text, hold.base + hold.pos):
            hold.keep(chars)
            return
        limit = self.max_hold + 1
        search = self._search.search
        while True:
            buf, pos, base = hold.buf, hold.pos, hold.base
            if self.exhausted:
                hold.keep(len(buf) - pos)
                return
            held = len(buf) - pos
            if held > limit:
                # The hold can fill up before the end of a large chunk, and must then overflow as if the chunk had been cut there.
                left = max(0, pos - self.context)
                buf = buf[left : pos + limit]
                pos -= left
                base += left
            try:
                start, found = search(buf, base, pos, self._advance)
            except CheckRaisedError as raised:
                self._refuse(raised, raised.start - pos)
                return
            if start > pos:
                hold.keep(start - pos)
                self._advance = False
            if found is not None:
                self._advance = found.start == found.end
                self.hit(found, buf)
                self.early = False
            else:
                if self._search.open is not None and not self.early and (rule := self._certain(buf, start)) is not None:
                    self.early = True
                    self.hit_early(rule)
                if len(buf) - start == limit and self.done is None:
                    if not self._overflow(buf, base, start):
                        return
                elif held <= limit:
                    return
            if self.done is not None:
                return

    def finish(self) -> None:
        hold = self.hold
        if self._allowed is not None:
            self._allowed.renew(len(hold.buf) - hold.pos)
        if self._pursuit is not None:
            self._pursuit.finish(hold.buf, hold.base)
            self._end_swallow(self._pursuit.end)
        while self.done is None:
            buf, pos = hold.buf, hold.pos
            try:
                found = None if self.exhausted else self._search.final(buf, hold.base, pos, self._advance)
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
        self.done: Finish | End | None = refusal(raised.__cause__ or raised)

    def _certain(self, buf: str, start: int) -> AnyRule | None:
        """The rule whose replacement may leave now, though its match may still grow."""
        if not self.has_constants:
            return None
        number = self._search.certain(buf, start, self._advance)
        return self.rules[number] if number >= 0 and self.constant(self.rules[number]) else None

    # ------------------------------------------------------------------ overflow

    def _overflow(self, buf: str, base: int, start: int) -> bool:
        """The match at the beginning of the hold is still open and the hold is full. Whether to go on searching."""
        hold = self.hold
        if self.overflow == "release" and not self.early:
            hold.keep(1)
            self._advance = False
            return True
        pursuit = self.engine.pursue(buf, base, start, self._advance)
        rule = self.rules[pursuit.rule]
        if self.overflow == "raise":
            where = f"a match of rule {rule.name} at character {hold.offset} of the {hold.channel.kind} was still open"
            self.done = End("error", LimitExceeded("max_hold", self.max_hold, where))
            return False
        self.hit_open(rule)
        self.early = False
        if self.done is not None:
            return False
        self._pursuit = pursuit
        self._overflowed_at = hold.offset  # where it begins
        return self._swallow()

    def _swallow(self) -> bool:
        """Look whether the overflowing match is over, and delete it as far as it is known. Whether to go on searching."""
        hold, pursuit = self.hold, self._pursuit
        if pursuit is None:  # all of the rest is deleted
            hold.replace(len(hold), "")
            return False
        if pursuit.over(hold.buf, hold.base):
            self._end_swallow(pursuit.end)
            return True
        hold.replace(pursuit.needs - hold.offset, "")
        if pursuit.hopeless:
            self._swallow_rest = True
            self._end_swallow(hold.offset + len(hold))
        return False

    def _end_swallow(self, end: int) -> None:
        self.hold.replace(end - self.hold.offset, "")
        self._pursuit = None
        self._advance = end == self._overflowed_at  # it was empty after all


def explain(engine: Engine, max_hold: int, overflow: Overflow) -> str:
    """In words: what looking for rules may hold, and how they are looked for."""
    held = f"{holding('a match that is still open', max_hold)}, then overflow={overflow!r}"
    return f"{held}; {engine.summary}"
