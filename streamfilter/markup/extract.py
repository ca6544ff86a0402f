"""`Extract`: what stands between tags leaves the text: into a channel of its own, as an event, or not at all."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator, Field

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.items import End, Event, Failure, Finish, Raw, TextDelta, ToolCall, Usage
from streamfilter.machine import TextMachine
from streamfilter.markup.extract_channels import Diverting
from streamfilter.markup.extract_machine import Begins, Extractor, Options, Overflow, Tags, Unclosed
from streamfilter.markup.extract_tags import Spelling, Tag, spelled
from streamfilter.pipeline import stage

MAX_CHARS = 100_000
"""Characters that may be held of one section: a long chain of thought has as many, and a stream that never closes a tag does not
fill the memory."""

_KERNEL = (TextDelta, ToolCall, Finish, Usage, Failure, Raw, End)


def _target(to: object) -> object:
    if not (isinstance(to, str) and to) and not (isinstance(to, type) and issubclass(to, Event)):
        raise ValueError("give a kind of channel such as 'reasoning', or 'drop', or an event class")
    if isinstance(to, type) and issubclass(to, _KERNEL):
        raise ValueError(f"{to.__name__} means something else in a stream: give an event class of your own")
    return to


@stage
class Extract(Diverting):
    r"""Take what stands between tags, such as `<think>…</think>`, out of the text. It applies to the answer.

    The tags themselves are deleted; text before, between and after sections stays. Of tags that begin at one place the longest
    counts. A section ends with the closing tag of the spelling that opened it. Nothing is held but what may still become a tag,
    except where the arguments below say so.

    Args:
        tags: names (`"think"` is `<think>` and `</think>`) or pairs of markers (`("[[", "]]")`, `("$$", "$$")`): the spellings of
            the tag.
        to: the kind of channel that a section goes to, in pieces as it arrives; it is a channel beside the one it came in, with
            the same key. `"drop"`: nowhere. An event class: each section is one event of it, built with its text when that is
            complete, and pinned where the section stood.
        begins: whether the text begins outside a section; `"inside"`, where models are made to think at once and only say when
            they have done (an opening tag at the very beginning is still taken off); or `"either"`: what stands before the first
            tag is a section if that is a closing one. It is held until then.
        unclosed: what becomes of a section that is never closed: `"extract"` takes it for one; `"keep"` leaves it in the text
            with its tag. A section is then held until it is closed.
        many: whether there may be several sections; else all behind the first is text.
        nested: whether sections stand inside one another: then opening tags in a section are counted, and stay in it with what
            closes them. Else they are nothing but text.
        strip: whether white space right behind a closing tag is deleted.
        ignore_case: whether `<THINK>` is a tag too.
        attributes: whether a named tag may have attributes, of at most 256 characters without angle brackets. They are deleted
            with it.
        code: whether tags in code are text, opening and closing ones: in fenced blocks, and in spans within one line. The text is
            read as it comes, sections included; a tag behind a backtick that is still open is held to the end of the line.
        max_chars: characters of a section that may be held where sections are held.
        overflow: what happens beyond: `"extract"` takes what is held for a section, and lets it leave (as an event, to be
            followed by another with the rest); `"keep"` takes it for text, with its tag; `"raise"` ends the stream with
            `LimitExceeded`.
        channels: the kinds of channel it applies to; None is every kind but the arguments of tool calls.

    Raises:
        ValueError: a marker is empty or given twice, or the arguments make no sense together; the message says why.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Extract("think").iter(["<thi", "nk>Easy.</th", "ink>It is ", "4 < 5."]))
        [TextDelta('Easy.', Channel(kind='reasoning', key=())), 'It is ', '4 < 5.']
        >>> sf.Extract("think", ("[[", "]]"), to="drop", strip=True).apply("<think>Hm.</think>\n\nYes[[?]].")
        'Yes.'
    """

    _variadic: ClassVar[str] = "tags"
    tags: Annotated[tuple[Annotated[str, Field(min_length=1)] | tuple[str, str], ...], Field(min_length=1)]
    to: Annotated[str | type[Event], BeforeValidator(_target)] = dataclasses.field(default="reasoning", kw_only=True)
    begins: Begins = dataclasses.field(default="outside", kw_only=True)
    unclosed: Unclosed = dataclasses.field(default="extract", kw_only=True)
    many: bool = dataclasses.field(default=True, kw_only=True)
    nested: bool = dataclasses.field(default=False, kw_only=True)
    strip: bool = dataclasses.field(default=False, kw_only=True)
    ignore_case: bool = dataclasses.field(default=False, kw_only=True)
    attributes: bool = dataclasses.field(default=False, kw_only=True)
    code: bool = dataclasses.field(default=False, kw_only=True)
    max_chars: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_CHARS, kw_only=True)
    overflow: Overflow = dataclasses.field(default="extract", kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            *tags: Tag,
            to: str | type[Event] = ...,
            begins: Begins = ...,
            unclosed: Unclosed = ...,
            many: bool = ...,
            nested: bool = ...,
            strip: bool = ...,
            ignore_case: bool = ...,
            attributes: bool = ...,
            code: bool = ...,
            max_chars: int = ...,
            overflow: Overflow = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        self._check_tags([spelled(tag) for tag in self.tags])
        super().compile()
        if self.nested and self.unclosed == "keep":
            raise ValueError("nested sections that stay if they are never closed are not offered: leave out one of the two")
        if self.overflow == "keep" and not isinstance(self.to, str) and self.unclosed == "extract":
            raise ValueError("overflow='keep' would show the beginning of a section as text: choose 'extract' or 'raise'")
        if self._is_held and self.max_chars < self._tags.longest:
            raise ValueError(f"max_chars is {self.max_chars}, and a tag may have {self._tags.longest} characters")

    def _check_tags(self, spellings: list[Spelling]) -> None:
        folded = [tuple(text.casefold() if self.ignore_case else text for text in spelling[:2]) for spelling in spellings]
        openings, closings = {opening for opening, _ in folded}, {closing for _, closing in folded}
        if len(openings) < len(folded):
            raise ValueError("two tags are opened alike: give each once")
        if self.nested and any(opening == closing for opening, closing in folded):
            raise ValueError("where opening and closing marker are equal, sections cannot be nested")
        if self.begins != "outside" and openings & closings:
            raise ValueError(f"begins={self.begins!r} cannot tell a marker that opens from an equal one that closes")
        if self.code and any(set(text) & set("`~\r\n") or text[:1].isspace() for text in (*openings, *closings)):
            raise ValueError("code=True is for markers without backticks, tildes and line ends that begin with no white space")

    @property
    def beside(self) -> str | None:
        return self.to if isinstance(self.to, str) and self.to != "drop" else None

    @property
    def _is_held(self) -> bool:
        return self.begins == "either" or self._options.waits

    @cached_property
    def _options(self) -> Options:
        return Options(*(getattr(self, name) for name in Options._fields))

    @cached_property
    def _tags(self) -> Tags:
        spellings = [spelled(tag) for tag in self.tags]
        return Tags(spellings, ignore_case=self.ignore_case, attributes=self.attributes, nested=self.nested)

    def start(self, context: Context | None = None) -> TextMachine:
        return Extractor(self._tags, self._options)

    def holds(self) -> str:
        held = holding("what may become a tag", self._tags.longest - 1)
        if self._options.waits:
            held += f", and each section until it is closed, at most {self.max_chars}"
        if self.begins == "either":
            held += f", and the text before the first tag, at most {self.max_chars}"
        return held + (", and a tag behind an open backtick to the end of the line" if self.code else "")
