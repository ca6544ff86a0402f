"""Calls that a stage has dropped: nothing of them leaves, and what stands behind them moves up.

A call without its arguments is another call, which an agent would carry out. So where its beginning has not come out of the
pipeline, its end does not leave either, and where it is said once more, it is left out. Clients tell the parts of an answer by
their numbers, which begin at 0. This module knows no format.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.items import Channel, Item, TextDelta, ToolCall
from streamfilter.providers.events import Origin
from streamfilter.providers.places import Path


class Dropped:
    """The dropped calls of one response.

    Args:
        place: where in the key of a call's channel the number of its part stands; None: clients do not count parts.

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
        self._held: set[Channel] = set()  # those that were only held, while others began
        self._moved: dict[int, int] = {}

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
                    self._held.add(item.arguments)
            elif isinstance(item, ToolCall):
                own.append(item.arguments)
        self._calls.update(channel for channel in (*missing, *origin.due) if channel not in self._begun)
        return {path for path, channel in origin.calls.items() if channel in self._calls or channel in missing}

    def forget(self, channel: Channel) -> None:
        """A call has ended a while ago. Where clients count parts, it still counts."""
        if self._place is None:
            for calls in (self._begun, self._calls, self._held):
                calls.discard(channel)

    def number(self, number: int, *, begins: bool) -> int:
        """The number that a part of the answer has for clients.

        Args:
            number: that which it had.
            begins: whether it begins. One that has begun keeps its number.
        """
        if begins and self._place is not None:
            if self._take(self._held, number):  # its place was given away
                self._moved[number] = max(self._moved.values(), default=-1) + 1
                return self._moved[number]
            self._take(self._calls, number)  # of a response before, where this one has no beginning
            before = sum(int(channel.key[self._place]) < number for channel in self._calls)  # type: ignore[call-overload]
            self._moved[number] = number - before
        return self._moved.get(number, number)

    def _take(self, calls: set[Channel], number: int) -> bool:
        """Whether a call with this number was among some. It is not any more."""
        found = [channel for channel in calls if channel.key[self._place] == number]  # type: ignore[index]
        calls.difference_update(found)
        return bool(found)

    def clear(self) -> None:
        """The next response begins."""
        self._begun.clear()
        self._calls.clear()
        self._held.clear()
        self._moved.clear()
