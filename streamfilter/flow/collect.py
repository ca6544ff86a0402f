"""`Collect`: the whole text at the end, besides the stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from streamfilter.context import Context
from streamfilter.declaration import Plain
from streamfilter.display import counted
from streamfilter.errors import LimitExceeded, Unfit
from streamfilter.items import PLAIN, Channel, End, Event, Failure, Item, TextDelta, check_kinds
from streamfilter.machine import Machine, refusal, wrong_item
from streamfilter.pipeline import Stage, stage

MAX_CHARS = 1_000_000
"""Characters that are kept: twice the longest answer that models of today give (128,000 tokens of some four characters)."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What `Collect` has seen of a stream. Its repr shows no text.

    Attributes:
        texts: the text of each channel, in the order in which they began.
        complete: whether this is all of it: the stream has come to its end here, without an error, and nothing was dropped.
        dropped: how many characters came after `max_chars`, and are not here.

    Example:
        >>> import streamfilter as sf
        >>> kept = []
        >>> _ = list(sf.Collect(kept.append, max_chars=5).iter(["Hello, ", "you"]))
        >>> kept[0].text, kept[0].complete, kept[0].dropped
        ('Hello', False, 5)
    """

    texts: Mapping[Channel, str] = dataclasses.field(repr=False)
    complete: bool
    dropped: int = 0

    @property
    def text(self) -> str:
        """The text of all channels, one after the other. Unless told otherwise only the answer is collected."""
        return "".join(self.texts.values())


@stage
class Collect(Stage[str, str]):
    """Pass everything, and call a function with the whole text once the stream is over.

    It is called once for each stream, however that ended: at the end of the text, before the stream's last items are delivered;
    after an error, a cancel, an `aclose`, or a stop by a stage behind it, with what came until then, if anything, which is not
    `complete`. To collect what the consumer gets, let it stand last. It cannot be called for a stream that is dropped without a
    word: read in `async with`.

    Args:
        fn: a plain function, called with a `Collected`. What it raises at the end of the text ends the stream.
        max_chars: how many characters are kept, of all channels together.
        overflow: beyond that `"cut"` keeps the beginning, which is not `complete`; `"raise"` ends the stream.
        channels: the kinds of channel that are collected; None is every one.

    Raises:
        ValueError: an argument makes no sense.
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> def store(answer):
        ...     print(repr(answer.text), answer.complete)
        >>> for text in (sf.Redact(r"[0-9]+", to="#") | sf.Collect(store)).iter(["pin 12", "34 ok"]):
        ...     print(text)
        pin
        #
         ok
        'pin # ok' True
    """

    fn: Plain[Callable[[Collected], object]]
    max_chars: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_CHARS, kw_only=True)
    overflow: Literal["cut", "raise"] = dataclasses.field(default="cut", kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=("answer",), kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            fn: Callable[[Collected], object],
            *,
            max_chars: int = ...,
            overflow: Literal["cut", "raise"] = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    reads: ClassVar[str] = "items"

    def compile(self) -> None:
        check_kinds(self.channels)

    def machine(self, context: Context | None = None) -> Machine:
        machine = _Collector(self)
        if context is not None:
            context.at_end(machine.over)
        return machine

    def explanation(self) -> str:
        where = "every text channel" if self.channels is None else ", ".join(self.channels)
        return f"{where}; keeps a copy of at most {counted(self.max_chars, 'character')}, holds nothing"


class _Collector(Machine):
    def __init__(self, stage: Collect) -> None:
        self._stage = stage
        self._is_wanted = stage.channels is None or "answer" in stage.channels  # of plain text
        self._pieces: dict[Channel, list[str]] = {}
        self._room = stage.max_chars
        self._dropped = 0
        self._has_failed = False  # the provider has said so
        self._is_told = False

    def feed(self, item: Item) -> Sequence[Item]:
        if isinstance(item, str):
            return self._keep(item, item, PLAIN) if self._is_wanted else (item,)
        if isinstance(item, TextDelta):
            kinds = self._stage.channels
            return self._keep(item, item.text, item.channel) if kinds is None or item.channel.kind in kinds else (item,)
        if isinstance(item, End):
            return self._end(item)
        if isinstance(item, Failure):
            self._has_failed = True
        elif not isinstance(item, Event):
            raise Unfit(wrong_item("Collect", item))
        return (item,)

    def finish(self) -> Sequence[Item]:
        if not self.ended:
            try:
                self._tell(complete=True)
            except Exception as error:
                self.ended = True
                return (refusal(error),)
        return ()

    def over(self) -> None:
        """The stream is over. If this machine has not come to its end, something has cut it off."""
        self._tell(complete=False)

    def _keep(self, item: Item, text: str, channel: Channel) -> Sequence[Item]:
        size = len(text)
        if size > self._room:
            if self._stage.overflow == "raise":
                self.ended = True
                where = f"the {channel.kind} that Collect was to keep"
                return (End("error", LimitExceeded("max_chars", self._stage.max_chars, where)),)
            self._dropped += size - self._room
            text = text[: self._room]
            size = self._room
        if size:
            self._room -= size
            pieces = self._pieces.get(channel)
            if pieces is None:
                pieces = self._pieces[channel] = []
            pieces.append(text)
        return (item,)

    def _end(self, end: End) -> Sequence[Item]:
        self.ended = True
        try:
            self._tell(complete=end.error is None)
        except Exception as error:
            return (end if end.error is not None else refusal(error),)
        return (end,)

    def _tell(self, *, complete: bool) -> None:
        if self._is_told:
            return
        self._is_told = True
        texts = {channel: "".join(pieces) for channel, pieces in self._pieces.items()}
        self._pieces = {}
        self._stage.fn(Collected(texts, complete and not self._dropped and not self._has_failed, self._dropped))
