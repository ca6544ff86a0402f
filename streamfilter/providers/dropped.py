"""Calls that a stage has dropped: nothing of them leaves, and what stands behind them moves up.

A call without its arguments is another call, which an agent would carry out. So where its beginning has not come out of the
pipeline, its end does not leave either, and where it is said once more, it is left out. Clients tell the parts of an answer by
their numbers, which begin at 0. This module knows no format.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamfilter.items import Channel, Item, TextDelta, ToolCall


class Dropped:
    """The dropped calls of one response.

    Args:
        place: where in the key of a call's channel the number of its part stands; None: clients do not count parts.

    Example:
        >>> call, dropped = Channel("tool_arguments", (0, 0, "tool", 1)), Dropped(3)
        >>> dropped.look([ToolCall("c", "pay", call)]) == {call}
        True
        >>> other = Channel("tool_arguments", (0, 0, "tool", 2))
        >>> dropped.look([TextDelta("end")], due=[call, other]) == {other}
        True
        >>> call in dropped, other in dropped, dropped.number(3, begins=True)
        (False, True, 2)
    """

    def __init__(self, place: int | None = None) -> None:
        self._place = place
        self._begun: set[Channel] = set()  # the calls whose beginning has come out
        self._calls: set[Channel] = set()
        self._moved: dict[int, int] = {}

    def __contains__(self, channel: Channel | None) -> bool:
        return channel in self._calls

    def look(self, group: Iterable[Item], came: Iterable[Item] = (), due: Iterable[Channel] = ()) -> set[Channel]:
        """Some items of an event have come out.

        Args:
            group: they.
            came: all that it had.
            due: calls that have begun before it.

        Returns:
            The calls of which it is known now what has become of them.
        """
        left = {id(item) for item in group if not isinstance(item, TextDelta)}
        begun = [item.arguments for item in group if isinstance(item, ToolCall)]
        self._begun.update(begun)
        own = [item.arguments for item in came if isinstance(item, ToolCall)]
        late: set[Channel] = set()  # those of its own that may come out yet: nothing behind them has
        for item in came:
            if isinstance(item, ToolCall):
                late.add(item.arguments)
            if id(item) in left:
                late.clear()
        dropped = {channel for channel in (*due, *own) if channel not in self._begun and channel not in late}
        self._calls |= dropped
        return {*begun, *dropped}

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
            before = sum(int(channel.key[self._place]) < number for channel in self._calls)  # type: ignore[call-overload]
            self._moved[number] = number - before
        return self._moved.get(number, number)

    def clear(self) -> None:
        """The next response begins."""
        self._begun.clear()
        self._calls.clear()
        self._moved.clear()
