"""What stages that keep text for a time have in common: which text that is, whom they wake, and that nothing overtakes it.

When text leaves is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamfilter.context import Context
from streamfilter.errors import Unfit
from streamfilter.flow.timer import Timer
from streamfilter.items import Channel, Event, Item, TextDelta
from streamfilter.lift import choice_of
from streamfilter.machine import Machine, wrong_item


class Delaying(Machine):
    """A machine that keeps text of some channels until its timer rings.

    Args:
        name: the stage's, for errors.
        channels: the kinds of channel whose text it keeps; None is every kind but tool arguments.
        context: of the stream.
    """

    waits = True

    def __init__(self, name: str, channels: tuple[str, ...] | None, context: Context) -> None:
        self._name = name
        self._channels = channels
        self._seen = context.seen
        self._timer = Timer(context.clock, self._ring)
        self._wake: Callable[[], None] = lambda: None

    def attach(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._timer.start()

    def _ring(self) -> None:
        if self.is_waiting:
            self._wake()

    @property
    def is_waiting(self) -> bool:
        """Whether it keeps anything."""
        raise NotImplementedError

    def _keeps(self, channel: Channel) -> bool:
        """The first text of a channel has come: whether it is kept."""
        self._seen.add(channel.choice)  # a stage behind this one may stop one whose text is still here
        channels = self._channels
        return channel.kind != "tool_arguments" if channels is None else channel.kind in channels

    def _event(self, event: Item) -> Sequence[Item]:
        """What is no plain text and no delta, by its exact type."""
        if isinstance(event, str):
            return self.feed(str.__str__(event))  # a subclass of str, as some clients give
        if not isinstance(event, Event):
            raise Unfit(wrong_item(self._name, event))
        if isinstance(event, TextDelta):
            return self.feed(TextDelta(event.text, event.channel, event.origin))
        if event.scope is None:
            return (event,)
        if choice := choice_of(event.scope):
            self._seen.add(choice)
        return self._placed(event)

    def _placed(self, event: Event) -> Sequence[Item]:
        """An event that has a place: it leaves behind the text before it."""
        raise NotImplementedError
