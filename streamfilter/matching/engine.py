"""What an engine is: the face that `scan` sees, whichever finds the matches."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from streamfilter.matching.rules import Allowance, Match
from streamfilter.matching.terms import AnyRule

MAX_SWALLOW = 100_000
"""Characters within which the end of an overflowing match is looked for, where they must be kept for that; a private key has some
thousands. Beyond, the rest of the run counts as the match."""


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
        self.start = start


def agrees(rule: AnyRule, buf: str, start: int, end: int) -> bool:
    """Whether a rule's check agrees to a match.

    Raises:
        CheckRaisedError: it raised.
    """
    if rule.check is None:
        return True
    try:
        return bool(rule.check(buf[start:end]))
    except Exception as error:
        raise CheckRaisedError(start) from error


class Search(Protocol):
    """The search through one run of text. It may remember how far it has got, so positions come with that of the buffer.

    Attributes:
        open: what is being decided behind a search; None if nothing is, so that nothing is certain.
    """

    @property
    def open(self) -> object | None: ...

    def search(self, buf: str, base: int, pos: int, advance: bool) -> tuple[int, Found | None]:
        """Where, from `pos` on, the first match begins or could still begin; and that match, if it is decided.

        With nothing to be found yet, that is the end of the buffer.

        Args:
            buf: the text, with as much as the engine's `context` before `pos`; it begins at the run's beginning if nothing is.
            base: where the buffer begins in the run.
            pos: where in the buffer to begin.
            advance: whether a match at `pos` may not be empty.

        Raises:
            CheckRaisedError: a check raised.
        """
        ...

    def passes(self, text: str, at: int) -> bool:
        """Whether nothing of a text can be part of a match, when nothing before it is: a cheap look, which may say no. If so, it
        has been searched.

        Args:
            text: what has arrived since the last search.
            at: where it begins in the run.
        """
        ...

    def certain(self, buf: str, start: int, advance: bool) -> int:
        """After a search that has found nothing decided: the number of the rule that is certain to match at `start`, though how far
        is still open; -1 if that is not certain. A rule with a check never is: the check is asked about the whole match."""
        ...

    def final(self, buf: str, base: int, pos: int, advance: bool) -> Found | None:
        """The first match from `pos` on, the buffer's end being the end of the text."""
        ...


class Pursuit(Protocol):
    """An overflowing match, which counts as one, followed to where it can no longer continue. Checks are not asked.

    Attributes:
        rule: the number of the first rule that could still match; -1 if none could.
        needs: the place in the run from which on text must be kept.
        matched: once it is over: the number of the rule that did match; -1 if none did.
        end: where the match ends, in the run; if there is none after all, before the character that showed it.
        hopeless: whether its end is too far away to be looked for.
    """

    rule: int
    needs: int
    matched: int
    end: int
    hopeless: bool

    def over(self, buf: str, base: int) -> bool:
        """Look at what there is by now, of which `buf` has all from `needs` on. Whether the match is over."""
        ...

    def finish(self, buf: str, base: int) -> None:
        """The text is over, and with it the match."""
        ...


class Engine(Protocol):
    """Rules, compiled. Immutable: any number of streams and threads share one.

    Attributes:
        allowed: the time that its searches share, if it is one for a run and its searches may take long.
    """

    @property
    def allowed(self) -> Allowance | None: ...

    def for_run(self) -> Engine:
        """The same engine for one run, with an allowance of its own. What is compiled is shared."""
        ...

    @property
    def rules(self) -> tuple[AnyRule, ...]:
        """At each place, in this order, the first that matches wins."""
        ...

    @property
    def context(self) -> int:
        """How many characters to the left of the search it must see; at least one, which tells the text's beginning."""
        ...

    @property
    def summary(self) -> str:
        """In words: what it is, and why this one."""
        ...

    def begin(self) -> Search:
        """A search through a new run."""
        ...

    def pursue(self, buf: str, base: int, start: int, advance: bool) -> Pursuit:
        """Follow what is still open at a place to its end.

        Args:
            buf: the text, with all that there is from `start` on.
            base: where the buffer begins in the run.
            start: where in the buffer the match begins.
            advance: whether it may not be empty.
        """
        ...

    def match(self, found: Found, buf: str, shift: int = 0) -> Match:
        """What was found, with its groups.

        Args:
            found: the match.
            buf: where it was found.
            shift: from positions in the buffer to positions in the text.
        """
        ...
