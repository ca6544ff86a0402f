"""The order of calls where a format has them one behind the other, or whole: none is cut in two, and nothing else is inside one.

Elsewhere calls may go on side by side, and text between their arguments: a model calls several tools at once, or a verdict on the
answer comes late. A call is over where its run ends. Where the source does not say so before the answer ends, it may be over when
all of its brackets are closed: then it is when something else comes.

What comes of a call that is over, or that has not begun, is left out. This module knows no format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamfilter.items import Channel, Item, Key, Scope, TextDelta, ToolCall, covers
from streamfilter.providers.brackets import Brackets
from streamfilter.providers.calls import ended_by
from streamfilter.providers.shapes import object_in


class _Pending:
    """A call that has not left whole.

    Attributes:
        items: what of it waits.
        is_over: whether that is all.
    """

    __slots__ = ("_brackets", "head", "is_over", "items")

    def __init__(self, head: ToolCall) -> None:
        self.head = head
        self.items: list[Item] = [head]
        self.is_over = False
        self._brackets = Brackets()

    def add(self, piece: TextDelta) -> None:
        """More of its arguments has come."""
        self.items.append(piece)
        self._brackets.add(piece.text)

    def makes_way(self, *, is_followed: bool) -> bool:
        """Whether it is over, or may be and something else has come."""
        return self.is_over or (is_followed and self._brackets.are_closed)

    def taken(self) -> list[Item]:
        """What of it waits, which does not any more."""
        items, self.items = self.items, []
        return items


class _Order:
    """What has come, and may not leave yet."""

    def __init__(self) -> None:
        self._calls: dict[Key, dict[Channel, _Pending]] = {}  # by choice, in the order in which they began
        self._texts: list[Item] = []

    def put(self, item: Item) -> Iterator[Item]:
        """What leaves when an item has come."""
        if isinstance(item, ToolCall):
            self._calls.setdefault(item.arguments.choice, {})[item.arguments] = _Pending(item)
        elif isinstance(item, TextDelta) and item.channel.kind == "tool_arguments":
            calls = self._calls.get(item.channel.choice, {})
            if item.channel in calls:
                calls[item.channel].add(item)
        elif isinstance(item, str | TextDelta):
            self._texts.append(item)
        else:
            yield from self.rest(ended_by(item))
            yield item
            return
        yield from self._released()

    def rest(self, scope: Scope = ()) -> Iterator[Item]:
        """What leaves when all that there is at a place is over."""
        if scope is not None:
            for channel, call in [each for calls in self._calls.values() for each in calls.items()]:
                call.is_over = call.is_over or covers(scope, channel)
            yield from self._released()

    def _released(self) -> Iterator[Item]:
        raise NotImplementedError

    def _first(self, choice: Key) -> tuple[Channel, _Pending]:
        """The call of a choice that has begun first."""
        return next(iter(self._calls[choice].items()))

    def _leave(self, channel: Channel) -> None:
        """A call has left whole."""
        del self._calls[channel.choice][channel]
        if not self._calls[channel.choice]:
            del self._calls[channel.choice]

    def _said(self) -> list[Item]:
        """The text that waits, which does not any more."""
        texts, self._texts = self._texts, []
        return texts


class Blocks(_Order):
    """Items for a format with one open block. While a call goes on, all else waits.

    Example:
        >>> blocks, channel = Blocks(), Channel("tool_arguments", (0, 0, "call", 0))
        >>> call = [ToolCall("c", "f", channel), TextDelta('{"a"', channel), "Hi", TextDelta(": 1}", channel)]
        >>> [[*blocks.put(item)] for item in call][2:]
        [[], [TextDelta(': 1}', Channel(kind='tool_arguments', key=(0, 0, 'call', 0))), 'Hi']]
    """

    def _released(self) -> Iterator[Item]:
        is_followed = bool(self._texts)
        while self._calls:
            choice = next(iter(self._calls))
            channel, call = self._first(choice)
            yield from call.taken()
            if not call.makes_way(is_followed=is_followed or len(self._calls) > 1 or len(self._calls[choice]) > 1):
                return
            self._leave(channel)
            yield from self._said()
        yield from self._said()


@dataclass(slots=True)
class WholeCall(ToolCall):
    """A call with all of its arguments.

    Args:
        given: what their JSON means; None if it is no object, or was cut off: who knows what the call would do.
    """

    given: dict[str, Any] | None


class WholeCalls(_Order):
    """Items for a format whose calls are whole. Of one choice they leave in their order; text goes past a call that goes on.

    Example:
        >>> calls, channel = WholeCalls(), Channel("tool_arguments", (0, 0, "call", 0))
        >>> call = [ToolCall("c", "f", channel), TextDelta('{"a"', channel), "Hi", TextDelta(": 1}", channel)]
        >>> [[*calls.put(item)] for item in call], [each.given for each in calls.rest()]
        ([[], [], ['Hi'], []], [{'a': 1}])
    """

    def _released(self) -> Iterator[Item]:
        is_followed = bool(self._texts)
        for choice in [*self._calls]:
            while choice in self._calls:
                channel, call = self._first(choice)
                if not call.makes_way(is_followed=is_followed or len(self._calls[choice]) > 1):
                    break
                self._leave(channel)
                text = "".join([item.text for item in call.items if isinstance(item, TextDelta)])
                yield WholeCall(call.head.id, call.head.name, channel, object_in(text), scope=channel)
        yield from self._said()
