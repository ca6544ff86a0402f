"""Rules, and what they mean on a whole text. Engines are held against `find_all`, which is written to be read, not to be fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from time import thread_time
from typing import Annotated, Any, Literal, Protocol, TypeAlias, overload

import regex
from pydantic import BeforeValidator, Field

from streamfilter.declaration import Declared, Plain, Seconds, declared
from streamfilter.errors import LimitExceeded
from streamfilter.matching.regular import Expression, NotRegularError, lower
from streamfilter.matching.tree import Refused, Tree, lookbehind, written_out
from streamfilter.slices import SLICE_CHARS

UNNAMED = "redacted"
"""What rules made of bare patterns are called. They share it, as nobody has named them."""

MAX_LOOKBEHIND_CHARS = 10_000
"""How far back a rule may look: every stream keeps so much released text readable."""

MAX_SECONDS = 2.0
"""For one search of a thousand characters, which takes some microseconds, and for the others that those may need. What takes longer
backtracks without an end in sight, and nothing else runs meanwhile."""

QUICK_SECONDS = 0.001
"""A search that takes less is not measured: a clock costs something, and so many are nearly all."""

MAX_EXPRESSION = 20_000
"""Of these, for an automaton; beyond it `regex`, which counts repeats, does better."""

MAX_WRITTEN_OUT = 200_000
"""Characters of a pattern with its repeats written out. `(?:(?:a{1000}){1000}){1000}` matches nothing that anybody holds."""


def _of_regex(flags: int) -> int:
    """Flags of `re` as those of `regex`: the number of ASCII in one is that of VERSION1 in the other."""
    same = {
        re.ASCII: regex.ASCII,
        re.IGNORECASE: regex.IGNORECASE,
        re.LOCALE: regex.LOCALE,
        re.MULTILINE: regex.MULTILINE,
        re.DOTALL: regex.DOTALL,
        re.VERBOSE: regex.VERBOSE,
    }
    return sum(int(flag) for each, flag in same.items() if flags & each)


def _as_flags(given: object) -> object:
    return _of_regex(given) if isinstance(given, re.RegexFlag) else given


@declared
class Rule(Declared):
    r"""A named pattern.

    Args:
        name: shown in replacements, reports and errors.
        pattern: in the syntax of the `regex` module (version 0, unless it says `(?V1)`).
        check: asked about each match with its text; a match for which it is not true is no match. A checksum, for example.
        flags: of `regex`; those of `re` are taken for the same ones of `regex`.
        lists: the named lists of the pattern (`\L<name>`), as (name, words).
        timeout: seconds that `regex` may take for one search, and for all further ones in a slice of text (1,024 characters)
            together, where it is needed: for a pattern that is not regular, and for the groups of a match; at most a year of them.
            Beyond it the stream ends with `LimitExceeded`.

    Raises:
        ValueError: the pattern is invalid, or cannot be streamed exactly; the message says what and where.

    Example:
        >>> Rule("order", r"ORD-\d+")
        Rule('order', 'ORD-\\d+')
        >>> Rule("cut", r"a\Kb")
        Traceback (most recent call last):
        ...
        ValueError: Rule: pattern cannot be streamed exactly: \K at position 1: it gives back decided text; use a lookbehind
    """

    name: Annotated[str, Field(min_length=1)]
    pattern: str
    check: Plain[Callable[[str], object]] | None = None
    flags: Annotated[int, BeforeValidator(_as_flags)] = 0
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    timeout: Seconds = MAX_SECONDS

    def compile(self) -> None:
        try:  # first, because some of what is refused makes `regex.compile` run out of memory
            chars, reach = written_out(self.tree.root), self.context
        except Refused as refused:
            raise ValueError(f"pattern cannot be streamed exactly: {refused}") from None
        except RecursionError:
            raise ValueError("pattern is nested too deeply") from None
        if chars > MAX_WRITTEN_OUT:
            raise ValueError(f"pattern has {chars:,} characters with its repeats written out: at most {MAX_WRITTEN_OUT:,} may be")
        try:
            _ = self.compiled
        except (regex.error, KeyError) as error:
            raise ValueError(f"pattern is not valid: {error}") from None
        if reach > MAX_LOOKBEHIND_CHARS:
            raise ValueError(f"pattern looks back {reach} characters: at most {MAX_LOOKBEHIND_CHARS} can be kept")

    @cached_property
    def tree(self) -> Tree:
        """The pattern, parsed."""
        from streamfilter.matching.syntax import parse

        return parse(self.pattern, self.flags)

    @cached_property
    def context(self) -> int:
        """How many characters to the left of a match it may look at; at least one, which tells the text's beginning."""
        return max(1, lookbehind(self.tree.root))

    @cached_property
    def compiled(self) -> regex.Pattern[str]:
        """The pattern, as `regex` compiles it."""
        return regex.compile(self.pattern, self.flags, **named_lists(self))

    @cached_property
    def expression(self) -> Expression:
        """The pattern, for an automaton.

        Raises:
            NotRegularError: no automaton can match it.
        """
        if (chars := written_out(self.tree.root)) > MAX_EXPRESSION:
            raise NotRegularError(f"it has {chars:,} characters with its repeats written out, more than {MAX_EXPRESSION:,}")
        return lower(self.tree)

    def match_at(self, text: str, start: int, *, advance: bool = False) -> Match | None:
        """What the pattern matches at one place, whether the check agrees or not."""
        found = self.match_groups(text, start, advance)
        return None if found is None else Match(self, text, (start, found.end()), advance=advance)

    def match_groups(self, text: str, start: int, advance: bool, allowed: Allowance | None = None) -> regex.Match[str] | None:
        """What `regex` matches at one place.

        Raises:
            LimitExceeded: it takes too long.
        """
        search = within if allowed is None else allowed.within
        return search(self, (advancing(self) if advance else self.compiled).match, text, start)


def as_rule(given: object) -> object:
    r"""A pattern as a rule named "redacted"; anything else as it is.

    A compiled pattern is taken by its source, flags and named lists. One of the standard library's `re` then means what `regex`
    makes of it: the two differ on `\w` for 30,468 code points, on `\d` for 110, on `\s` for 4.
    """
    if isinstance(given, str):
        return Rule(UNNAMED, given)
    if isinstance(given, regex.Pattern | re.Pattern) and not isinstance(given.pattern, str):
        raise ValueError("the pattern is for bytes: a pattern for str is needed")
    if isinstance(given, regex.Pattern):
        lists = tuple((name, tuple(sorted(words))) for name, words in given.named_lists.items())
        implied = regex.UNICODE | regex.VERSION0 | (regex.FULLCASE if given.flags & regex.VERSION1 else 0)
        return Rule(UNNAMED, given.pattern, flags=given.flags & ~implied, lists=lists)
    if isinstance(given, re.Pattern):
        return Rule(UNNAMED, given.pattern, flags=_of_regex(given.flags))
    if not isinstance(given, Rule | Mapping):
        raise ValueError(f"a Rule or a pattern is needed, not {type(given).__qualname__}")
    return given


Given: TypeAlias = "Rule | str | regex.Pattern[str] | re.Pattern[str]"
"""What a stage takes for a rule."""


class RuleKind(Protocol):
    """What the reference and a match need to know of a rule."""

    @property
    def name(self) -> str:
        """Shown in replacements, reports and errors."""
        ...

    @property
    def check(self) -> Callable[[str], object] | None:
        """Asked about each match."""
        ...

    def match_at(self, text: str, start: int, *, advance: bool = False) -> Match | None:
        """What matches at one place, whether the check agrees or not."""
        ...

    def match_groups(self, text: str, start: int, advance: bool) -> regex.Match[str] | None:
        """What `regex` matches at one place."""
        ...


class Match:
    """A decided match, as templates and callables see it: the part of `regex.Match` that does not depend on the cuts.

    Attributes:
        rule: what matched, a `Rule` or `Terms`; `rule.name` is what `{rule}` in a template says.
        allowed: the time for its groups, if it is shared with others.

    Example:
        >>> import streamfilter as sf
        >>> def shown(match: sf.Match) -> str:
        ...     return f"{match.rule.name} of {match['year']} at {match.start()}"
        >>> sf.Redact(sf.Rule("date", "(?P<year>[0-9]{4})-[0-9]{2}"), to=shown).apply("on 2024-05")
        'on date of 2024 at 3'
    """

    __slots__ = ("_advance", "_buf", "_inner", "_shift", "_span", "allowed", "rule")

    def __init__(self, rule: RuleKind, buf: str, span: tuple[int, int], *, advance: bool = False, shift: int = 0) -> None:
        self.rule: RuleKind = rule
        self._buf = buf
        self._span = span
        self._advance = advance
        self._shift = shift  # between the buffer and the text
        self._inner: regex.Match[str] | None = None
        self.allowed: Allowance | None = None

    @property
    def _groups(self) -> regex.Match[str]:
        """As `regex` matches it. Only who asks for groups pays for that."""
        if self._inner is None:
            start, end = self._span
            shared = (self.allowed,) if isinstance(self.rule, Rule) else ()  # nothing else backtracks
            self._inner = self.rule.match_groups(self._buf, start, self._advance, *shared)
            # A decided match did not depend on the end of the buffer, so the pattern as written finds the same.
            assert self._inner is not None and self._inner.end() == end, self.rule.name
        return self._inner

    @overload
    def group(self, group: Literal[0] = 0, /) -> str: ...
    @overload
    def group(self, group: int | str, /) -> str | Any: ...  # None where it took no part
    @overload
    def group(self, group: int | str, second: int | str, /, *groups: int | str) -> tuple[str | Any, ...]: ...
    def group(self, *groups: int | str) -> Any:
        """As `regex.Match.group`."""
        return self._buf[slice(*self._span)] if groups in ((), (0,)) else self._groups.group(*groups)

    __getitem__ = group

    def groups(self, default: Any = None) -> tuple[Any, ...]:
        """As `regex.Match.groups`."""
        return self._groups.groups(default)

    def groupdict(self, default: Any = None) -> dict[str, Any]:
        """As `regex.Match.groupdict`."""
        return self._groups.groupdict(default)

    def expand(self, template: str) -> str:
        """As `regex.Match.expand`."""
        return self._groups.expand(template)

    def start(self, group: int | str = 0) -> int:
        """Where a group begins, in characters of the channel's text; -1 if it took no part."""
        at = self._span[0] if group == 0 else self._groups.start(group)
        return at if at < 0 else at + self._shift

    def end(self, group: int | str = 0) -> int:
        """Where a group ends, in characters of the channel's text; -1 if it took no part."""
        at = self._span[1] if group == 0 else self._groups.end(group)
        return at if at < 0 else at + self._shift

    def span(self, group: int | str = 0) -> tuple[int, int]:
        """Where a group begins and ends."""
        return self.start(group), self.end(group)

    @property
    def lastgroup(self) -> str | None:
        """As `regex.Match.lastgroup`."""
        return self._groups.lastgroup

    @property
    def lastindex(self) -> int | None:
        """As `regex.Match.lastindex`."""
        return self._groups.lastindex

    def __repr__(self) -> str:
        return f"<match of {self.rule.name} at {self.start()}>"  # never the text


# ------------------------------------------------------------------ the meaning, on a whole text


def match_at(rules: Sequence[RuleKind], text: str, start: int, *, advance: bool = False) -> Match | None:
    """The match at one place: of the first rule that matches there and whose check agrees.

    Args:
        advance: the match before was empty and ended here, so this one may not be empty.
    """
    for rule in rules:
        found = rule.match_at(text, start, advance=advance)
        if found is not None and (rule.check is None or rule.check(found.group())):
            return found
    return None


def find_all(rules: Sequence[RuleKind], text: str) -> Iterator[Match]:
    """All matches in a whole text: the definition of what several rules mean. For one rule without a check, `regex.finditer`.

    Example:
        >>> [match.span() for match in find_all([Rule("a", "ab|c"), Rule("b", "b+")], "abbc")]
        [(0, 2), (2, 3), (3, 4)]
    """
    at = 0
    empty_at = -1  # where the match before ended, if it was empty
    while at <= len(text):
        found = match_at(rules, text, at, advance=at == empty_at)
        if found is None:
            at += 1
            continue
        yield found
        at = found.end()
        empty_at = at if found.start() == at else -1


def replace_all(rules: Sequence[RuleKind], text: str, to: Callable[[Match], str], count: int = 0) -> str:
    r"""A whole text with its matches replaced; for one rule without a check, `regex.sub`.

    Example:
        >>> replace_all([Rule("digits", r"\d+")], "a1b22", lambda match: "#")
        'a#b#'
    """
    out: list[str] = []
    at = 0
    for number, found in enumerate(find_all(rules, text), 1):
        out += [text[at : found.start()], to(found)]
        at = found.end()
        if number == count:
            break
    return "".join(out) + text[at:]


def advancing(rule: Rule) -> regex.Pattern[str]:
    """The rule's pattern for a match that may not be empty where the search begins."""
    chosen = {regex.ASCII: rule.tree.ascii, regex.VERSION1: rule.tree.version1}
    flags = sum(flag for flag, holds in chosen.items() if holds)  # which `regex` honours for a whole pattern only
    return regex.compile(f"(?:{_closed(rule)})(?!\\G)", rule.flags | flags, **named_lists(rule))


class Allowance:
    """The time that the searches of one slice of text share, for others wait for all of them: a thousand characters may be dozens
    of searches. Rules that allow the same share it, so that a quick rule does not hurry another."""

    __slots__ = ("_chars", "_taken")

    def __init__(self) -> None:
        self._chars = 0
        self._taken: dict[float, float] = {}  # in seconds, by what rules allow

    def renew(self, chars: int) -> None:
        """A slice begins: so many characters are there to be searched. What is not cut into slices has the time of all of them."""
        self._chars = chars
        if self._taken:
            self._taken = {}

    def within(
        self, rule: Rule, method: Callable[..., regex.Match[str] | None], *args: Any, **kwargs: Any
    ) -> regex.Match[str] | None:
        """As `within`, in what is left of the time."""
        timeout = rule.timeout
        try:
            return method(*args, timeout=min(QUICK_SECONDS, timeout), **kwargs)
        except TimeoutError:
            taken = self._taken.get(timeout, 0.0)  # it begins again, and is measured
        left = timeout * max(1, self._chars // SLICE_CHARS) - taken
        start = thread_time()
        try:
            return method(*args, timeout=max(0.0, min(timeout, left)), **kwargs)
        except TimeoutError:
            where = f"the searches for rule {rule.name} in one slice of text" if taken else f"a search for rule {rule.name}"
            raise LimitExceeded("timeout", timeout, f"{where}, in seconds") from None
        finally:
            self._taken[timeout] = taken + thread_time() - start


def within(rule: Rule, method: Callable[..., regex.Match[str] | None], *args: Any, **kwargs: Any) -> regex.Match[str] | None:
    """Call a method of a pattern, within the time that a rule allows.

    Raises:
        LimitExceeded: it takes longer.
    """
    try:
        return method(*args, timeout=rule.timeout, **kwargs)
    except TimeoutError:
        raise LimitExceeded("timeout", rule.timeout, f"a search for rule {rule.name}, in seconds") from None


def named_lists(rule: Rule) -> dict[str, Any]:
    """The named lists of a rule as `regex.compile` takes them."""
    return dict(rule.lists)


def _closed(rule: Rule) -> str:
    """The pattern so that it can be put into parentheses: a comment of a verbose one could swallow the closing one."""
    return rule.pattern + "\n" if rule.tree.verbose else rule.pattern
