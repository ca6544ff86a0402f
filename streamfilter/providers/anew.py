"""Calls whose beginning a stage has made anew: what follows of them belongs to it, and to no event any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamfilter.items import Channel, Item, Raw, TextDelta, ToolCall


class Anew:
    """Those of one stream of items.

    Example:
        >>> channel = Channel("tool_arguments", (0, 0, "tool", 0))
        >>> items = [ToolCall("c", "renamed", channel), TextDelta("{}", channel, "the event that brought it")]
        >>> [item.origin for item in Anew().put(items)]
        [None, None]
    """

    def __init__(self) -> None:
        self._channels: set[Channel] = set()

    def put(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items, those of such calls without the event that they came in."""
        if not self._channels:  # as nearly always, so this is quick
            for item in items:
                if isinstance(item, ToolCall):
                    break
            else:
                return items
        return [self._own(item) for item in items]

    def _own(self, item: Item) -> Item:
        if isinstance(item, ToolCall):
            change = self._channels.add if item.origin is None else self._channels.discard
            change(item.arguments)
        elif isinstance(item, TextDelta) and item.channel in self._channels:
            return TextDelta(item.text, item.channel)
        elif isinstance(item, Raw) and item.boundary and item.scope in self._channels:
            self._channels.discard(item.scope)  # it is one of them
            return replace(item, origin=None)
        return item
