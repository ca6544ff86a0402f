"""Events that say all the arguments of a call at once, on their way to be written: what comes of one waits for the rest of it.

Where an object stands, half of its text would be another object, `{}`, which no reader can tell from a whole one; and an event that
has left cannot take the other half. So a call and the pieces of its arguments leave together. One that was cut off, or whose
arguments a stage has dropped, does not leave: it would do something else. This module knows no format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from streamfilter.items import Channel, Event, Item, Key, Raw, TextDelta, ToolCall, covers
from streamfilter.providers.brackets import Brackets
from streamfilter.providers.calls import ended_by


class _Origin(Protocol):
    @property
    def items(self) -> list[Item]: ...
    @property
    def whole(self) -> frozenset[Channel]: ...


class _Waiting:
    """What has come of the calls of an event."""

    __slots__ = ("_missing", "_open", "channels", "items", "origin")

    def __init__(self, origin: _Origin) -> None:
        self.origin = origin  # kept, so that no other has its id
        self.channels = origin.whole
        self.items: list[Item] = []
        self._open = {channel: Brackets() for channel in self.channels}  # those whose arguments have not all come
        self._missing = sum(not isinstance(item, TextDelta) and channel_of(item) in self.channels for item in origin.items)

    def add(self, item: Item) -> bool:
        """One more of its items has come. Whether that is all."""
        self.items.append(item)
        channel = channel_of(item)
        if isinstance(item, TextDelta):
            if item.channel in self._open:
                self._open[item.channel].add(item.text)
                if self._open[item.channel].are_closed:
                    del self._open[item.channel]
        elif isinstance(item, ToolCall | Raw):
            self._missing -= 1
            if item.boundary and channel is not None and self._has_said(channel):  # it may be no object, or malformed
                self._open.pop(channel, None)
        return not (self._missing or self._open)

    def rest(self) -> list[Item]:
        """What leaves when nothing more will come: what stands behind the arguments need not, but these must be whole."""
        return self.items if not self._open else [item for item in self.items if channel_of(item) not in self.channels]

    def _has_said(self, channel: Channel) -> bool:
        return any(isinstance(item, TextDelta) and item.text and item.channel == channel for item in self.items)


class Together:
    """The calls of one stream of items whose arguments came whole.

    Example:
        >>> from streamfilter.providers.openai import chat
        >>> call = {"index": 0, "id": "c", "function": {"name": "pay", "arguments": {"sum": 1}}}
        >>> begun, text = chat.Decode().iter([{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}])
        >>> pieces = [TextDelta(text.text[at : at + 4], text.channel, text.origin) for at in (0, 4, 8)]
        >>> together = Together()
        >>> [len([*together.put([item], lambda item: item.origin)]) for item in (begun, *pieces)]
        [0, 0, 0, 4]
    """

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}  # by event

    def put(self, items: Iterable[Item], origin_of: Callable[[Item], _Origin | None]) -> list[Item]:
        """What leaves of some items.

        Args:
            items: they.
            origin_of: the event of this format that an item comes from.
        """
        out: list[Item] = []
        for came in items:
            item = self._owned(came) if self._waiting else came
            if not (self._waiting or getattr(getattr(item, "origin", None), "whole", None)):  # as nearly always, so this is quick
                out.append(item)
                continue
            origin = origin_of(item)
            scope = ended_by(item)
            waiting = self._waiting.get(id(origin))
            if origin is not None and origin.whole and channel_of(item) in origin.whole:
                if waiting is None:
                    waiting = self._waiting[id(origin)] = _Waiting(origin)
                if waiting.add(item):
                    out += self._waiting.pop(id(origin)).items
            elif waiting is not None and scope is None and not isinstance(item, TextDelta):  # text would be overtaken
                waiting.items.append(item)
            else:
                out += [] if scope is None else self._rest(scope)
                out.append(item)
        return out

    def _owned(self, item: Item) -> Item:
        """A piece of arguments that a stage has made anew belongs to the event that waits for it."""
        if not isinstance(item, TextDelta) or item.origin is not None:
            return item
        origin = next((each.origin for each in self._waiting.values() if item.channel in each.channels), None)
        return TextDelta(item.text, item.channel, origin)

    def _rest(self, scope: Channel | Key) -> list[Item]:
        """What leaves at a barrier: what has not come by then will not."""
        ended = [key for key, each in self._waiting.items() if any(covers(scope, channel) for channel in each.channels)]
        return [item for key in ended for item in self._waiting.pop(key).rest()]


def channel_of(item: Item) -> Channel | None:
    """The channel in which an item stands; a call, that of its arguments.

    Example:
        >>> channel = Channel("tool_arguments", (0, 0, "tool", "c"))
        >>> channel_of(ToolCall("c", "pay", channel, scope=(0, 0))) == channel_of(TextDelta("{}", channel)) == channel
        True
    """
    if isinstance(item, ToolCall):
        return item.arguments
    scope = item.scope if isinstance(item, Event) else None
    return scope if isinstance(scope, Channel) else None
