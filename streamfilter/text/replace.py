"""Rewriting what rules match: `Redact` for guards, `Replace` for everything that `regex.sub` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from string import Formatter
from typing import TYPE_CHECKING, Annotated, ClassVar

import regex
from pydantic import Field

from streamfilter.context import Context
from streamfilter.machine import TextMachine
from streamfilter.matching import MAX_HOLD, Found, Given, Match, Overflow, Rule, RuleLike, Scan, compiled, explain
from streamfilter.pipeline import TextStage, stage


@stage
class Redact(TextStage):
    r"""Replace what rules match. A guard: it applies to every text channel.

    On a whole text it means: at each place, in the order given, the first rule that matches (and whose check agrees) wins; its
    match is replaced, and the search goes on behind it. For one rule that is `regex.sub`.

    Args:
        rules: what to look for: `Rule`s, or patterns (which become rules named "redacted").
        to: what stands in for a match: a text, in which `{rule}` is the name of the rule, or a function of the `Match`.
        max_hold: characters that may be held for one match that is still open.
        overflow: what happens then: `"redact"` replaces it once and swallows it up to where it can no longer continue, `"release"`
            lets it pass, `"raise"` ends the stream with `LimitExceeded`.
        channels: the kinds of channel it applies to; None is every kind but tool arguments.

    Raises:
        ValueError: a pattern cannot be streamed exactly, or `to` has an unknown field.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> stage = sf.Redact(sf.Rule("order", r"ORD-\d+"), r"\d{4,}")
        >>> stage.apply("ORD-7 and 12345")
        '[order] and [redacted]'
        >>> list(stage.iter(["see OR", "D-", "77", " or not"]))
        ['see ', '[order]', ' or not']
    """

    _variadic: ClassVar[str] = "rules"
    rules: Annotated[tuple[RuleLike, ...], Field(min_length=1)]
    to: str | Callable[[Match], str] = dataclasses.field(default="[{rule}]", kw_only=True)
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)
    overflow: Overflow = dataclasses.field(default="redact", kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            *rules: Given,
            to: str | Callable[[Match], str] = ...,
            max_hold: int = ...,
            overflow: Overflow = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        compiled(self.rules)
        if isinstance(self.to, str):
            _check_fields(self.to)

    def start(self, context: Context | None = None) -> TextMachine:
        return _Redactor(self, context or Context())

    def holds(self) -> str:
        return explain(self.max_hold, self.overflow)


class _Redactor(Scan):
    def __init__(self, stage: Redact, context: Context) -> None:
        self._to = stage.to
        self._found = context.found
        super().__init__(compiled(stage.rules), stage.max_hold, stage.overflow)

    def constant(self, rule: Rule) -> str:
        return self._to.format(rule=rule.name) if isinstance(self._to, str) else ""

    def hit(self, found: Found, buf: str) -> None:
        hold = self.hold
        rule = self.engine.rules[found.rule]
        chars = found.end - found.start
        text = self.constant(rule) if isinstance(self._to, str) else _called(self._to, self.match(found, buf))
        self._found(rule.name, "redact", hold.channel, hold.offset, hold.offset + chars)
        hold.replace(chars, "" if self.early else text)

    def hit_open(self, rule: Rule) -> None:
        self._found(rule.name, "redact", self.hold.channel, self.hold.offset, None)
        if not self.early:
            # A function needs a whole match, which there is not.
            self.hold.replace(0, self.constant(rule) if isinstance(self._to, str) else f"[{rule.name}]")


@stage
class Replace(TextStage):
    r"""Replace what a pattern matches: `regex.sub` on a stream. It applies to the answer.

    Args:
        pattern: a pattern, compiled or not, or a `Rule`.
        to: a template as in `regex.sub` (`\1`, `\g<name>`), or a function of the `Match`.
        count: replace at most so many matches in each run; 0 is all.
        max_hold: characters that may be held for one match that is still open.
        overflow: what happens then: `"release"` lets the match pass, `"redact"` deletes it, `"raise"` ends the stream with
            `LimitExceeded`.

    Raises:
        ValueError: the pattern cannot be streamed exactly, or the template is bad.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> sf.Replace(r"(\w+), (\w+)", r"\2 \1").apply("Lovelace, Ada")
        'Ada Lovelace'
        >>> list(sf.Replace("colour", "color", count=1).iter(["Col", "our: col", "our, colour"]))
        ['Col', 'our: ', 'color', ', colour']
    """

    pattern: RuleLike
    to: str | Callable[[Match], str]
    count: Annotated[int, Field(ge=0)] = 0
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)
    overflow: Overflow = dataclasses.field(default="release", kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            pattern: Given,
            to: str | Callable[[Match], str],
            count: int = ...,
            *,
            max_hold: int = ...,
            overflow: Overflow = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        compiled((self.pattern,))
        if isinstance(self.to, str):
            _check_template(self.to, self.pattern.compiled)

    def start(self, context: Context | None = None) -> TextMachine:
        return _Replacer(self)

    def holds(self) -> str:
        return explain(self.max_hold, self.overflow)


class _Replacer(Scan):
    def __init__(self, stage: Replace) -> None:
        self._to = stage.to
        self._constant = stage.to if isinstance(stage.to, str) and "\\" not in stage.to else None
        self._left = stage.count
        super().__init__(compiled((stage.pattern,)), stage.max_hold, stage.overflow)

    def constant(self, rule: Rule) -> str:
        return self._constant or ""

    def hit(self, found: Found, buf: str) -> None:
        if self._constant is not None:
            text = "" if self.early else self._constant
        elif isinstance(self._to, str):
            text = self.match(found, buf).expand(self._to)
        else:
            text = _called(self._to, self.match(found, buf))
        self.hold.replace(found.end - found.start, text)
        self._count()

    def hit_open(self, rule: Rule) -> None:
        self._count()

    def _count(self) -> None:
        if self._left:
            self._left -= 1
            self.exhausted = not self._left


def _called(to: Callable[[Match], str], match: Match) -> str:
    text = to(match)
    if not isinstance(text, str):
        raise TypeError(f"to gave {type(text).__qualname__} for a match of {match.rule.name}: a str is needed")
    return text


def _check_template(template: str, pattern: regex.Pattern[str]) -> None:
    """Let `regex` expand a template for a match of the empty text with the same groups."""
    names = {number: name for name, number in pattern.groupindex.items()}
    groups = "".join(f"(?P<{names[number]}>)" if number in names else "()" for number in range(1, pattern.groups + 1))
    match = regex.match(groups, "")
    assert match is not None
    try:
        match.expand(template)
    except (regex.error, IndexError) as error:
        raise ValueError(f"to is not a valid template for this pattern: {error}") from None


def _check_fields(template: str) -> None:
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"to is no valid template: {error}; write {{{{ and }}}} for braces") from None
    for _, name, spec, conversion in fields:
        if name is not None and (name != "rule" or spec or conversion):
            raise ValueError(f"to has a field {{{name}}}: only {{rule}} is known; write {{{{ and }}}} for braces")
