"""Ending a stream at what rules match: `StopAt` for stop strings, `Block` for what must not be said."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import regex
from pydantic import Field

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.errors import Blocked
from streamfilter.items import End, Finish
from streamfilter.machine import Machine, TextMachine
from streamfilter.matching import MAX_HOLD, AnyRule, Engine, Found, Given, Overflow, Rule, RuleLike, Scan, compiled, explain
from streamfilter.pipeline import TextStage, stage
from streamfilter.text.naming import check_names, plain_words


@stage
class Block(TextStage):
    """End the whole stream at the first match of a rule. A guard: it applies to every text channel.

    The text before the match is delivered; nothing of the match ever is, whatever the cuts.

    Args:
        rules: what to look for: `Rule`s, or patterns (which become rules named "redacted").
        action: `"raise"` raises `Blocked` to the consumer, `"stop"` ends the stream without an error; in a provider's stream every
            choice then finishes for the reason of filtered content.
        message: with `"stop"`, the last text of the channel.
        max_hold: characters that may be held for one match that is still open.
        overflow: what happens then: `"redact"` counts as a match, `"release"` lets it pass, `"raise"` ends the stream with
            `LimitExceeded`.
        channels: the kinds of channel it applies to; None is every kind. The arguments of tool calls are read as JSON.

    Raises:
        ValueError: a pattern cannot be streamed exactly, two rules share a name, or there is a message and no `"stop"`.
        Blocked: while streaming, if `action="raise"`: with the rule and the offset, never the text.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> sf.Block("secret", action="stop", message="(withheld)").apply("the secret is out")
        'the (withheld)'
        >>> sf.Block(sf.Rule("canary", "c4n4ry")).apply("this is c4n4ry")
        Traceback (most recent call last):
        ...
        streamfilter.errors.Blocked: rule canary matched at character 8 of the answer
    """

    _variadic: ClassVar[str] = "rules"
    rules: Annotated[tuple[RuleLike, ...], Field(min_length=1)]
    action: Literal["raise", "stop"] = dataclasses.field(default="raise", kw_only=True)
    message: str | None = dataclasses.field(default=None, kw_only=True)
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)
    overflow: Overflow = dataclasses.field(default="redact", kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    is_guard: ClassVar[bool] = True

    if TYPE_CHECKING:

        def __init__(
            self,
            *rules: Given,
            action: Literal["raise", "stop"] = ...,
            message: str | None = ...,
            max_hold: int = ...,
            overflow: Overflow = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        check_names(self.rules)
        _ = self._engine
        if self.message is not None and self.action == "raise":
            raise ValueError("message is only shown with action='stop': an exception is no text")

    @cached_property
    def _engine(self) -> Engine:
        return compiled(self.rules)

    def start(self, context: Context | None = None) -> TextMachine:
        return _Blocker(self, self._engine, context or Context())

    def holds(self) -> str:
        return plain_words(self.rules) + explain(self._engine, self.max_hold, self.overflow)


class _Blocker(Scan):
    def __init__(self, stage: Block, engine: Engine, context: Context) -> None:
        super().__init__(engine, stage.max_hold, stage.overflow)
        self._stage = stage
        self._found = context.found

    def hit(self, found: Found, buf: str) -> None:
        self._block(self.engine.rules[found.rule], self.hold.offset + found.end - found.start)

    def hit_open(self, rule: AnyRule) -> None:
        self._block(rule, None)

    def _block(self, rule: AnyRule, end: int | None) -> None:
        hold = self.hold
        self._found(rule.name, "block", hold.channel, hold.offset, end)
        if self._stage.action == "raise":
            self.done = End("blocked", Blocked(rule.name, hold.offset, hold.channel.kind))
        else:
            hold.replace(0, self._stage.message or "")
            self.done = End("blocked")


@stage
class StopAt(TextStage):
    r"""Stop a choice at the first of some strings, as a model's `stop` parameter does. It applies to the answer.

    The choice's reason to finish becomes "stop" at once, later text and events of it are swallowed except usage, and the stream is
    over when every choice is stopped or finished.

    Args:
        stops: the strings, taken literally. The one that begins first counts; of several that begin there, the shortest.
        include: whether the string itself is still delivered.
        choices: how many choices the stream will have: it is not over before all have been seen.

    Raises:
        ValueError: there is no string, or an empty one.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.StopAt("\nUser:").iter(["Fine.\nUs", "ual.\n", "User", ": and you?"]))
        ['Fine.', '\nUsual.']
    """

    _variadic: ClassVar[str] = "stops"
    stops: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    include: bool = dataclasses.field(default=False, kw_only=True)
    choices: Annotated[int, Field(ge=1)] = dataclasses.field(default=1, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self, *stops: str, include: bool = ..., choices: int = ..., channels: tuple[str, ...] | None = ...
        ) -> None: ...

    def compile(self) -> None:
        _ = self._engine

    @cached_property
    def _engine(self) -> Engine:
        return compiled(tuple(Rule("stop", regex.escape(text)) for text in sorted(self.stops, key=len)))

    def start(self, context: Context | None = None) -> TextMachine:
        return _Stopper(self, self._engine, context or Context())

    def machine(self, context: Context | None = None) -> Machine:
        return self._lift(context, self.choices)

    def holds(self) -> str:
        return f"{holding('the beginning of a stop string', max(map(len, self.stops)) - 1)}; {self._engine.summary}"


class _Stopper(Scan):
    def __init__(self, stage: StopAt, engine: Engine, context: Context) -> None:
        super().__init__(engine, max_hold=max(MAX_HOLD, *map(len, stage.stops)))  # a string never fills it
        self._include = stage.include
        self._found = context.found

    def hit(self, found: Found, buf: str) -> None:
        hold = self.hold
        chars = found.end - found.start
        self._found("stop", "stop", hold.channel, hold.offset, hold.offset + chars)
        if self._include:
            hold.keep(chars)
        else:
            hold.replace(chars, "")
        self.done = Finish("stop")
