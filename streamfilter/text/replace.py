"""Rewriting what rules match: `Redact` for guards, `Replace` for everything that `regex.sub` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import regex
from pydantic import BeforeValidator, Field

from streamfilter.context import Context, Finding
from streamfilter.declaration import Declared, plain
from streamfilter.machine import Machine, TextMachine
from streamfilter.matching import MAX_HOLD, AnyRule, Engine, Found, Given, Match, Overflow, Rule, RuleLike, Scan, compiled, explain
from streamfilter.matching.templates import check_template
from streamfilter.matching.tree import width
from streamfilter.pipeline import TextStage, stage
from streamfilter.text.naming import check_names, plain_words
from streamfilter.text.reversible import Placeholder, lookalike, vault_of
from streamfilter.vault import LONGEST, Vault, placeholder_name

_MARK = "\U0010ffff"
"""A character that no text has: what a group stands for when it is asked which part of a template comes before any group."""

_NO_GROUPS = regex.compile("")


def _check_replacement(to: object) -> object:
    """Refuse what is no replacement; and the class of a declared one, which could be called too, but not with a match."""
    if isinstance(to, type) and issubclass(to, Declared):
        raise ValueError(f"it is the class {to.__name__}: write {to.__name__}(...)")
    if not isinstance(to, str | Placeholder) and not callable(to):
        raise ValueError(f"a text or a function of the match is needed, not {type(to).__qualname__}")
    return plain(to)


def _check_template(to: object) -> object:
    if isinstance(to, Placeholder):
        raise ValueError("a Placeholder is for Redact: a template or a function of the match is needed")
    return _check_replacement(to)


@stage
class Redact(TextStage):
    r"""Replace what rules match. A guard: it applies to every text channel.

    On a whole text it means: at each place, in the order given, the first rule that matches (and whose check agrees) wins; its
    match is replaced, and the search goes on behind it. For one rule that is `regex.sub`.

    Args:
        rules: what to look for: `Rule`s, or patterns (which become rules named "redacted").
        to: what stands in for a match: a text, in which `{rule}` is the name of the rule, a function of the `Match`, such as
            `Mask()` or `Hash(salt)`, or `Placeholder()`, which `Restore` takes back.
        max_hold: characters that may be held for one match that is still open.
        overflow: what happens then: `"redact"` replaces it once and swallows it up to where it can no longer continue, `"release"`
            lets it pass, `"raise"` ends the stream with `LimitExceeded`. A text that has left already, because the match was
            certain, stays; the match is then swallowed.
        channels: the kinds of channel it applies to; None is every kind. The arguments of tool calls are read as JSON.

    Raises:
        ValueError: a pattern cannot be streamed exactly, two rules share a name, or `to` has an unknown field; when it is started
            with a `Placeholder` and without a vault.
        LimitExceeded: while streaming, if `overflow="raise"`, or the vault is full.

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
    to: Annotated[str | Callable[[Match], str] | Placeholder, BeforeValidator(_check_replacement)] = dataclasses.field(
        default="[{rule}]", kw_only=True
    )
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)
    overflow: Overflow = dataclasses.field(default="redact", kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    is_guard: ClassVar[bool] = True

    if TYPE_CHECKING:

        def __init__(
            self,
            *rules: Given,
            to: str | Callable[[Match], str] | Placeholder = ...,
            max_hold: int = ...,
            overflow: Overflow = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        check_names(self.rules)
        _ = self._engine
        if isinstance(self.to, str):
            check_template("to", self.to)
        if isinstance(self.to, Placeholder):
            if self.max_hold < LONGEST:
                raise ValueError(f"max_hold: with a Placeholder at least {LONGEST}, for text that looks like one is held too")
            if self.overflow == "release":
                raise ValueError(
                    "overflow='release' lets text out that was not looked at, and that Restore could take for a placeholder"
                )

    @cached_property
    def _engine(self) -> Engine:
        return compiled((*self.rules, lookalike()) if isinstance(self.to, Placeholder) else self.rules)

    def machine(self, context: Context | None = None) -> Machine:
        if isinstance(self.to, Placeholder) and context is not None and context.is_started:
            vault_of(context, "Redact(to=Placeholder())")
        return self._lift(context)

    def start(self, context: Context | None = None) -> TextMachine:
        given = context or Context()
        if isinstance(self.to, Placeholder):
            return _Hider(self, self._engine, given, vault_of(given, "Redact(to=Placeholder())"))
        return _Redactor(self, self._engine, given, self.to)

    def holds(self) -> str:
        return plain_words(self.rules) + explain(self._engine, self.max_hold, self.overflow)


class _Redacting(Scan):
    """Replaces and reports; a subclass says what stands in for a match."""

    def __init__(self, stage: Redact, engine: Engine, context: Context) -> None:
        self._context = context
        self._begun: Finding | None = None  # of the match whose replacement has left early
        super().__init__(engine, stage.max_hold, stage.overflow)

    def stand_in(self, rule: AnyRule, found: Found, buf: str) -> str:
        """What stands in for a match."""
        raise NotImplementedError

    def stand_in_open(self, rule: AnyRule) -> str:
        """What stands in for a match that overflows, and so is not known as a whole."""
        raise NotImplementedError

    def hit(self, found: Found, buf: str) -> None:
        rule = self.engine.rules[found.rule]
        chars = found.end - found.start
        text = "" if self.early else self.stand_in(rule, found, buf)
        self._report(rule, chars)
        self.hold.replace(chars, text)

    def hit_open(self, rule: AnyRule) -> None:
        self._report(rule, None)
        if not self.early:
            self.hold.replace(0, self.stand_in_open(rule))

    def _report(self, rule: AnyRule, chars: int | None) -> None:
        hold = self.hold
        begun, self._begun = self._begun, None
        end = None if chars is None else hold.offset + chars
        self._context.found(rule.name, "redact", hold.channel, hold.offset, end, begun)


class _Redactor(_Redacting):
    """With a text or a function. A text is constant, and leaves early."""

    def __init__(self, stage: Redact, engine: Engine, context: Context, to: str | Callable[[Match], str]) -> None:
        self._to = to
        super().__init__(stage, engine, context)
        self.has_constants: bool = isinstance(to, str) and to != ""

    def hit_early(self, rule: AnyRule) -> None:
        self._begun = self._context.begun(rule.name, "redact", self.hold.channel, self.hold.offset)
        super().hit_early(rule)

    def constant(self, rule: AnyRule) -> str:
        return self._to.format(rule=rule.name) if isinstance(self._to, str) else ""

    def stand_in(self, rule: AnyRule, found: Found, buf: str) -> str:
        return self.constant(rule) if isinstance(self._to, str) else _called(self._to, self.match(found, buf))

    def stand_in_open(self, rule: AnyRule) -> str:
        return self.constant(rule) if isinstance(self._to, str) else f"[{rule.name}]"


class _Hider(_Redacting):
    """With placeholders. The last of its rules is the lookalike, so it is found only where no other rule matches."""

    def __init__(self, stage: Redact, engine: Engine, context: Context, vault: Vault) -> None:
        self._vault = vault
        self._lookalike = len(stage.rules)
        super().__init__(stage, engine, context)

    def hit(self, found: Found, buf: str) -> None:
        if found.rule != self._lookalike:
            super().hit(found, buf)
            return
        text = buf[found.start : found.end]
        if self._vault.reserve(text):
            self.hold.keep(1)  # as if it were no match: the search goes on behind its first character
        else:
            self.hold.replace(len(text), self._vault.issue("", text))

    def stand_in(self, rule: AnyRule, found: Found, buf: str) -> str:
        return self._vault.issue(rule.name, buf[found.start : found.end])

    def stand_in_open(self, rule: AnyRule) -> str:
        return f"[{placeholder_name(rule.name)}]"  # no brackets that could be a placeholder's, whatever the rule is called


@stage
class Replace(TextStage):
    r"""Replace what a pattern matches: `regex.sub` on a stream. It applies to the answer, and is no guard: it reports nothing.

    Args:
        pattern: a pattern, compiled or not, or a `Rule`.
        to: a template as in `regex.sub` (`\1`, `\g<name>`), or a function of the `Match`. What a template has before its first
            group leaves as soon as the match is certain.
        count: replace at most so many matches in each run; 0 is all.
        max_hold: characters that may be held for one match that is still open.
        overflow: what happens then: `"release"` lets the match pass, `"redact"` deletes it, `"raise"` ends the stream with
            `LimitExceeded`. A replacement that has begun to leave is brought to its end, without the text of the groups.

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
    to: Annotated[str | Callable[[Match], str], BeforeValidator(_check_template)]
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
        _ = self._engine, self._template

    @cached_property
    def _engine(self) -> Engine:
        return compiled((self.pattern,))

    @cached_property
    def _template(self) -> _Template | None:
        """What is known of the replacement before any match, if it is a template."""
        pattern = self.pattern.compiled if isinstance(self.pattern, Rule) else _NO_GROUPS
        return _read_template(self.to, pattern) if isinstance(self.to, str) else None

    def start(self, context: Context | None = None) -> TextMachine:
        return _Replacer(self, self._engine, self._template)

    def holds(self) -> str:
        return explain(self._engine, self.max_hold, self.overflow)


class _Replacer(Scan):
    def __init__(self, stage: Replace, engine: Engine, template: _Template | None) -> None:
        self._to = stage.to
        self._template = template
        self._left = stage.count
        self._early = ""
        # With `overflow="release"` a match that grows too long is not replaced after all, so its replacement is not certain before
        # its end. A constant has left already where that is found, and nothing is lost; with groups, their text would be.
        is_bounded = isinstance(stage.pattern, Rule) and width(stage.pattern.tree.root)[1] <= stage.max_hold
        if template is not None and (template.is_constant or is_bounded or stage.overflow != "release"):
            self._early = template.beginning
        super().__init__(engine, stage.max_hold, stage.overflow)
        self.has_constants: bool = self._early != ""

    def constant(self, rule: AnyRule) -> str:
        return self._early

    def hit(self, found: Found, buf: str) -> None:
        if self._template is not None and self._template.is_constant:
            text = self._template.beginning
        else:
            match = self.match(found, buf)
            text = match.expand(self._to) if isinstance(self._to, str) else _called(self._to, match)
        self.hold.replace(found.end - found.start, text[len(self._early) :] if self.early else text)
        self._count()

    def hit_open(self, rule: AnyRule) -> None:
        if self.early and self._template is not None:  # what has begun is brought to its end: a tag is closed
            self.hold.replace(0, self._template.empty[len(self._early) :])
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


class _Template(NamedTuple):
    """What is known of a template before any match.

    Attributes:
        beginning: what it gives before the first group.
        is_constant: whether that is all.
        empty: what it gives when all groups are empty.
    """

    beginning: str
    is_constant: bool
    empty: str


def _read_template(template: str, pattern: regex.Pattern[str]) -> _Template:
    """Let `regex` expand a template for matches with the same groups, which hold a mark, or nothing: so its escapes mean what they
    mean there."""
    names = {number: name for name, number in pattern.groupindex.items()}

    def expanded(text: str) -> str:
        groups = "".join(f"(?P<{names[n]}>{text})" if n in names else f"({text})" for n in range(1, pattern.groups + 1))
        match = regex.fullmatch(groups + text, text * (pattern.groups + 1))
        assert match is not None
        return match.expand(template)

    try:
        beginning, mark, _ = expanded(_MARK).partition(_MARK)
        return _Template(beginning, not mark, expanded(""))
    except (regex.error, IndexError) as error:
        raise ValueError(f"to is not a valid template for this pattern: {error}") from None
