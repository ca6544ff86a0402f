"""`Coalesce`: fewer and larger pieces of text, at the price of a delay that is bounded.

The machine keeps one piece for each choice that has text waiting, in the order in which these began. All text waits equally long,
so they are due in that order too, and one timer is enough.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from streamfilter.context import Context
from streamfilter.declaration import Seconds
from streamfilter.display import counted
from streamfilter.flow.delaying import Delaying
from streamfilter.flow.timer import TOLERANCE
from streamfilter.items import PLAIN, Channel, End, Event, Item, Key, TextDelta
from streamfilter.machine import Machine, TextMachine, mapping
from streamfilter.pipeline import TextStage, stage

MAX_CHARS = 1000
"""Characters: a long paragraph. Who waits for so much text at once waits for time to pass, not for more of it."""


@stage
class Coalesce(TextStage):
    r"""Join pieces of text into fewer, larger ones. It applies to the answer.

    Text waits for at most `seconds` after its first character came, or until there are `max_chars` of it, or something comes behind
    it that has a place: an event, or text of another channel of the same choice. Then it leaves in one piece, on the chunk that
    brought its first character. Events are never delayed, and other choices not either.

    Without an event loop no time passes: then only `max_chars`, what comes behind the text, and the end let it leave.

    Args:
        seconds: that text may wait.
        max_chars: of the pieces that leave: longer ones are cut.
        channels: the kinds of channel it applies to; None is every kind but tool arguments.

    Raises:
        ValueError: an argument makes no sense.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def tokens():
        ...     for token in ["Hel", "lo ", "wor", "ld"]:
        ...         yield token
        >>> async def main():
        ...     async with sf.Coalesce(5, max_chars=8)(tokens()) as stream:
        ...         return [text async for text in stream]
        >>> asyncio.run(main())
        ['Hello wo', 'rld']
    """

    seconds: Seconds
    max_chars: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, seconds: float, *, max_chars: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return mapping(str)  # a run by itself has no clock

    def machine(self, context: Context | None = None) -> Machine:
        return _Coalescing(self, context or Context())

    def holds(self) -> str:
        return f"holds text for {counted(self.seconds, 'second')}, or up to {counted(self.max_chars, 'character')} of it"


class _Piece:
    """Text of one channel that waits to become more."""

    __slots__ = ("channel", "chars", "due", "first", "texts")

    def __init__(self, first: str | TextDelta, channel: Channel, text: str, due: float) -> None:
        self.first = first
        self.channel = channel
        self.texts = [text]
        self.chars = len(text)
        self.due = due

    def item(self) -> Item:
        """All of it, on the chunk that brought its first character."""
        if len(self.texts) == 1:
            return self.first
        return _like(self.first, "".join(self.texts))


class _Coalescing(Delaying):
    def __init__(self, stage: Coalesce, context: Context) -> None:
        super().__init__("Coalesce", stage.channels, context)
        self._seconds = stage.seconds
        self._max_chars = stage.max_chars
        self._joins: dict[Channel, bool] = {}  # whether a channel's text is joined, of the channels that have come
        self._pieces: dict[Key, _Piece] = {}  # what waits, in the order in which it is due

    def feed(self, item: Item) -> Sequence[Item]:
        if type(item) is str:
            text, channel = item, PLAIN
        elif type(item) is TextDelta:
            text, channel = item.text, item.channel
        else:
            return self._event(item)
        is_joined = self._joins.get(channel)
        if is_joined is None:
            is_joined = self._joins[channel] = self._keeps(channel)
        out: list[Item] = []
        choice = channel[1][:2]  # the channel's, without the call: this is done for each chunk
        piece = self._pieces.get(choice)
        if piece is not None:
            if not text and piece.channel == channel:
                return ()  # says nothing, as it does to any text stage that holds
            # Other text of the choice comes behind it; and what joins plain text and a delta would belong to neither.
            if piece.channel != channel or type(piece.first) is not type(item):
                out.append(self._pieces.pop(choice).item())
                piece = None
        if not is_joined or not text:
            out.append(item)
        elif piece is None:
            self._begin(item, text, channel, out)
        else:
            piece.texts.append(text)
            piece.chars += len(text)
            if piece.chars >= self._max_chars:
                self._fill(item, text, channel, out)
        return out

    def finish(self) -> Sequence[Item]:
        return self._all()

    def collect(self) -> Sequence[Item]:
        if not self._pieces or not self._timer.is_running:
            return ()
        out: list[Item] = []
        due: list[Key] = []
        soon = self._timer.now() + TOLERANCE
        for piece in self._pieces.values():
            if piece.due > soon:
                self._timer.set(piece.due)
                break
            out.append(piece.item())
            due.append(piece.channel.choice)
        for choice in due:
            del self._pieces[choice]
        return out

    def rescue(self) -> Sequence[Item]:
        self.cancel()
        return ()

    def cancel(self) -> Sequence[Awaitable[object]]:
        self._timer.stop()
        self._pieces.clear()
        return ()

    @property
    def is_waiting(self) -> bool:
        return bool(self._pieces)

    @property
    def held(self) -> int:
        return sum(piece.chars for piece in self._pieces.values())

    # ------------------------------------------------------------------

    def _placed(self, event: Event) -> Sequence[Item]:
        if isinstance(event, End) and event.is_broken_off:
            self.cancel()
        out = [*self._all(), event]
        if isinstance(event, End):
            self.ended = True
            self._timer.stop()
        return out

    def _begin(self, item: str | TextDelta, text: str, channel: Channel, out: list[Item]) -> None:
        if len(text) > self._max_chars or self._max_chars == 1:
            text = self._whole(item, text, out)
            if not text:
                return
            item = _like(item, text)
        elif len(text) == self._max_chars:
            out.append(item)
            return
        due = 0.0
        if self._timer.is_running:
            due = self._timer.now() + self._seconds
            self._timer.set(due)
        self._pieces[channel.choice] = _Piece(item, channel, text, due)

    def _fill(self, item: str | TextDelta, text: str, channel: Channel, out: list[Item]) -> None:
        """A piece is as long as it may be, or longer by a part of the text that came last."""
        piece = self._pieces.pop(channel.choice)
        excess = piece.chars - self._max_chars
        if not excess:
            out.append(piece.item())
            return
        piece.texts[-1] = text[:-excess]
        out.append(piece.item())
        rest = text[-excess:]
        self._begin(_like(item, rest), rest, channel, out)

    def _whole(self, item: str | TextDelta, text: str, out: list[Item]) -> str:
        """The pieces of a long text leave that are as long as they may be; what is left of it."""
        size = self._max_chars
        stop = len(text) - len(text) % size
        out += [_like(item, text[at : at + size]) for at in range(0, stop, size)]
        return text[stop:]

    def _all(self) -> list[Item]:
        out = [piece.item() for piece in self._pieces.values()]
        self._pieces.clear()
        return out


def _like(item: str | TextDelta, text: str) -> str | TextDelta:
    """A text on the chunk that brought an item."""
    return text if isinstance(item, str) else TextDelta(text, item.channel, item.origin)
