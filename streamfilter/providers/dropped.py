"""Calls that a stage has dropped: nothing of them leaves, and what stands behind them moves up.

A call without its arguments is another call, which an agent would carry out. So where its beginning has not come out of the
pipeline, its end does not leave either, and where it is said once more, it is left out. Clients tell the parts of an answer by
their numbers, which begin at 0. This module knows no format.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from streamfilter.items import Channel, Item, TextDelta, ToolCall
from streamfilter.providers.events import Origin
from streamfilter.providers.places import Path


class Dropped:
    """The dropped calls of one response.

    Args:
        place: where in the key of a call's channel the number of its part stands; None: clients do not count parts.

    Attributes:
        has_moved: whether a part has another number now.

    Example:
        >>> from streamfilter.providers.events import Origin
        >>> calls = [Channel("tool_arguments", (0, 0, "tool", n)) for n in (1, 2)]
        >>> dropped = Dropped(place=3)
        >>> dropped.begin(ToolCall("c", "pay", calls[0]))
        >>> [dropped.gone(Origin({}, "format", calls={(): call}, due=(call,)), ["its end"]) for call in calls]
        [set(), {()}]
        >>> dropped.number(3, begins=True)
        2
    """

    def __init__(self, place: int | None = None) -> None:
        self._place = place
        self._begun: set[Channel] = set()  # the calls whose beginning has come out
        self._calls: set[Channel] = set()
        self._by_number: dict[int, Channel] = {}
        self._numbers: list[int] = []  # these numbers, in order
        self._held: set[int] = set()  # those of calls that were only held, while others began
        self._moved: dict[int, int] = {}
        self.has_moved: bool = False

    def begin(self, item: Item) -> None:
        """An item comes out of the pipeline, which may be the beginning of a call."""
        if isinstance(item, ToolCall):
            self._begun.add(item.arguments)

    def gone(self, origin: Origin, group: Sequence[Item]) -> set[Path]:
        """The places of an event where calls stand that are not to leave.

        Args:
            origin: the event.
            group: what has come out of it.
        """
        left = {id(item) for item in group if not isinstance(item, TextDelta)}
        missing: list[Channel] = []
        own: list[Channel] = []
        for item in origin.items:
            if id(item) in left:
                missing += own  # what stands behind a beginning has come out: it will not
                own = []
                self.begin(item)
                if isinstance(item, ToolCall) and item.arguments in self._calls:
                    self._calls.discard(item.arguments)
                    self._held.update(self._number(item.arguments))
            elif isinstance(item, ToolCall):
                own.append(item.arguments)
        for channel in (*missing, *origin.due):
            if channel not in self._begun and channel not in self._calls:
                self._calls.add(channel)
                for number in self._number(channel):
                    self._by_number[number] = channel
                    insort(self._numbers, number)
        return {path for path, channel in origin.calls.items() if channel in self._calls or channel in missing}

    def forget(self, channel: Channel) -> None:
        """A call has ended a while ago. Where clients count parts, it still counts."""
        if self._place is None:
            self._begun.discard(channel)
            self._calls.discard(channel)

    def number(self, number: int, *, begins: bool) -> int:
        """The number that a part of the answer has for clients.

        Args:
            number: that which it had.
            begins: whether it begins. One that has begun keeps its number.
        """
        if begins and self._place is not None:
            before = bisect_left(self._numbers, number)
            if number in self._by_number:  # it was only held, or of a response before, if this one has no beginning
                self._calls.discard(self._by_number.pop(number))
                del self._numbers[before]
            is_late = number in self._held  # its place was given away
            self._held.discard(number)
            self._moved[number] = max(self._moved.values(), default=-1) + 1 if is_late else number - before
            self.has_moved = self.has_moved or self._moved[number] != number
        return self._moved.get(number, number)

    def _number(self, channel: Channel) -> tuple[int, ...]:
        number = None if self._place is None else channel.key[self._place]
        return (number,) if isinstance(number, int) else ()

    def clear(self) -> None:
        """The next response begins."""
        self._begun.clear()
        self._calls.clear()
        self._by_number.clear()
        self._numbers.clear()
        self._held.clear()
        self._moved.clear()
        self.has_moved = False
