r"""Citations: the markers that a model puts into its answer, taken out of the text and given as events in their place.

What a marker looks like is a rule; that it is found whole, whatever the cuts, is the matching engine's business. Nothing is known
here of what a marker refers to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from streamfilter.context import Context
from streamfilter.items import Event, TextDelta
from streamfilter.machine import TextMachine
from streamfilter.matching import (
    MAX_HOLD,
    UNNAMED,
    AnyRule,
    Engine,
    Found,
    Given,
    Overflow,
    Rule,
    RuleLike,
    Scan,
    compiled,
    explain,
)
from streamfilter.matching.rules import RuleKind
from streamfilter.pipeline import TextStage, stage
from streamfilter.text.naming import check_names

# A number in brackets is also an index in a program (`row[1]`) and the text of a link (`[1](https://…)`). The second is told by
# what follows; the first looks like a citation right behind a word, as many models write it. Four digits are a year.
NUMBERS = Rule("number", r"\[(\d{1,3}(?:(?:, ?| ?[-\u2013] ?)\d{1,3}){0,20})\](?!\()")
NOTES = Rule("note", r"\[\^([^\]\[\s]{1,100})\](?![:(])")
SOURCES = Rule("source", "【([^【】\n]{1,200})】")
TAGS = Rule("cite", r"<cite((?:\s[^<>]{0,300})?)>((?:[^<]|<(?!/cite>)){0,600})</cite>")

NAME = "citation"
"""What a citation's rule is called where nobody has named it."""


@dataclasses.dataclass(slots=True)
class Citation(Event):
    """A marker stood here. See `Citations`.

    Args:
        text: the whole marker.
        rule: the name of the rule that found it; that of a bare pattern is "citation".
        groups: what the groups of its pattern matched, in their order; None for those that took no part.
        named: the same by name, of those that have one.
        start: where it began, in characters of its channel's text as it reached the stage.
        end: and where it ended.

    Example:
        >>> import streamfilter as sf
        >>> (citation,) = sf.Citations().iter(["[", "7]"])
        >>> citation.text, citation.groups, citation.start
        ('[7]', ('7',), 0)
    """

    text: str
    rule: str = NAME
    groups: tuple[str | None, ...] = ()
    named: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    start: int = 0
    end: int = 0


@stage
class Citations(TextStage):
    """Give the markers of citations as events, in their place. It applies to the answer.

    A marker is withheld until it is whole, and then taken out of the text; a `Citation` stands where it stood, in its channel. On a
    whole text that is `regex.sub` with nothing in place of each match, and an event for each. `providers.openai.chat.wrap` leaves
    the events out, for its format cannot say them: read them behind `Decode()`.

    Args:
        patterns: what markers look like: `Rule`s, or patterns. At each place, in the order given, the first that matches wins. With
            none, all of these: `NUMBERS` (`[1]`, `[2, 5-7]`, but no link), `NOTES` (`[^note]`, but no definition), `SOURCES`
            (`【4:0†source】`) and `TAGS` (`<cite id="2">…</cite>`).
        keep: whether the marker's text stays where it is, right behind its event.
        max_hold: characters that may be held for one marker that is still open.
        overflow: what happens then: `"release"` takes it for text, `"redact"` deletes it without an event, `"raise"` ends the
            stream with `LimitExceeded`.

    Raises:
        ValueError: a pattern cannot be streamed exactly or matches the empty text, or two rules share a name.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> for item in sf.Citations().iter(["It rains [", "2] often", "【4:0†so", "urce】."]):
        ...     print(item if isinstance(item, str) else (item.rule, item.groups))
        It rains
        ('number', ('2',))
         often
        ('source', ('4:0†source',))
        .
    """

    _variadic: ClassVar[str] = "patterns"
    patterns: tuple[RuleLike, ...] = ()
    keep: bool = dataclasses.field(default=False, kw_only=True)
    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)
    overflow: Overflow = dataclasses.field(default="release", kw_only=True)

    NUMBERS: ClassVar[Rule] = NUMBERS
    NOTES: ClassVar[Rule] = NOTES
    SOURCES: ClassVar[Rule] = SOURCES
    TAGS: ClassVar[Rule] = TAGS

    if TYPE_CHECKING:

        def __init__(
            self,
            *patterns: Given,
            keep: bool = ...,
            max_hold: int = ...,
            overflow: Overflow = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        check_names(self.patterns)
        for rule in self.patterns:
            if isinstance(rule, Rule) and rule.compiled.fullmatch(""):
                raise ValueError(f"pattern of {_named(rule)} matches the empty text, which is no marker")
        _ = self._engine

    @cached_property
    def _engine(self) -> Engine:
        return compiled(self.patterns or (TAGS, SOURCES, NOTES, NUMBERS))

    def start(self, context: Context | None = None) -> TextMachine:
        return _Citer(self, self._engine)

    def holds(self) -> str:
        return explain(self._engine, self.max_hold, self.overflow)


class _Citer(Scan):
    def __init__(self, stage: Citations, engine: Engine) -> None:
        super().__init__(engine, stage.max_hold, stage.overflow)
        self._keep = stage.keep

    def hit(self, found: Found, buf: str) -> None:
        chars = found.end - found.start
        if not chars:
            return
        hold = self.hold
        match = self.match(found, buf)
        last = hold.out[-1] if hold.out else None
        # What stands between two pieces of one chunk is of that chunk: else the chunk would be written as two.
        origin = last.origin if isinstance(last, TextDelta | Citation) else None
        text, rule = str(match.group()), _named(match.rule)
        start, end = hold.offset, hold.offset + chars
        groups, named = match.groups(), match.groupdict()
        hold.out.append(Citation(text, rule, groups, named, start, end, scope=hold.channel, origin=origin))
        if self._keep:
            hold.keep(chars)
        else:
            hold.replace(chars, "")

    def hit_open(self, rule: AnyRule) -> None:
        """It is deleted, and no event says what of it there was."""


def _named(rule: RuleKind) -> str:
    return NAME if rule.name == UNNAMED else rule.name
