"""Which texts of a stream are remembered: all that may go on, and the last of those that have ended.

A stream may be endless: an agent's holds the text of each of its answers, one behind the other or side by side. What has ended is
remembered for a while, because later events repeat it. After that it is forgotten, and what comes of it then is new: text begins
anew, and what repeats it is filtered by itself, as a quote. This module knows no format, and not what is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from streamfilter.items import Channel, Event, Item, Key, ToolCall, covers

T = TypeVar("T", bound=Hashable)

KEPT_ENDED: Final = 500
"""What has ended and is remembered: four times the calls that the providers let a model make at once, so that the events that end
a response still find each. Of a text of usual length that is a megabyte or two."""


class Recent(Generic[T]):
    """What has ended and is not forgotten yet.

    Args:
        forget: is told what is forgotten.
        kept: how many are not.

    Example:
        >>> ended = Recent(print, kept=1)
        >>> ended.end("a")
        >>> ended.end("b")
        a
        >>> ended.goes_on("b")
        >>> ended.end("c")
    """

    __slots__ = ("_ended", "_forget", "_kept")

    def __init__(self, forget: Callable[[T], None], kept: int = KEPT_ENDED) -> None:
        self._forget = forget
        self._kept = kept
        self._ended: dict[T, None] = {}

    def end(self, each: T) -> None:
        """This has ended, as far as can be told."""
        self._ended.pop(each, None)
        self._ended[each] = None
        if len(self._ended) > self._kept:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._forget(oldest)

    def goes_on(self, each: T) -> None:
        """It goes on after all."""
        self._ended.pop(each, None)


class Channels:
    """The channels of a stream that are remembered.

    Args:
        forget: is told which one is not any more.
        kept: how many of those that have ended are.

    Example:
        >>> channels = Channels(print, kept=0)
        >>> channels.add(Channel("answer", (0, 0)))
        >>> channels.pass_by(Event(scope=(0,)))
        Channel(kind='answer', key=(0, 0))
    """

    __slots__ = ("_ended", "_within", "open")

    def __init__(self, forget: Callable[[Channel], None], kept: int = KEPT_ENDED) -> None:
        self.open: dict[Channel, None] = {}  # nearly every event asks whether its channel is among these
        self._within: dict[Key, dict[Channel, None]] = {}  # those by their choice, and by their part of it
        self._ended: Recent[Channel] = Recent(forget, kept)

    def add(self, channel: Channel) -> None:
        """Text of a channel has come."""
        if channel not in self.open:
            self.open[channel] = None
            for prefix in _prefixes(channel):
                self._within.setdefault(prefix, {})[channel] = None
            self._ended.goes_on(channel)

    def pass_by(self, item: Item) -> None:
        """An item comes by: if the runs of channels end with it, as far as can be told these have ended."""
        if isinstance(item, ToolCall):
            self.add(item.arguments)
        scope = item.scope if isinstance(item, Event) else None
        if isinstance(scope, Channel):
            if item.boundary and scope in self.open:  # type: ignore[union-attr]  # what has a scope is an event
                self._end(scope)
        elif scope is not None:
            within = self.open if len(scope) < 2 else self._within.get(scope[:3], ())
            for channel in [each for each in within if covers(scope, each)]:
                self._end(channel)

    def _end(self, channel: Channel) -> None:
        del self.open[channel]
        for prefix in _prefixes(channel):
            del self._within[prefix][channel]
            if not self._within[prefix]:
                del self._within[prefix]
        self._ended.end(channel)


def _prefixes(channel: Channel) -> set[Key]:
    return {channel.choice, channel.key[:3]}
