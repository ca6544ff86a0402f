"""Text that leaves in another channel than it came in, and the runs of that channel.

A text machine releases text as ever and says where it goes; events that stand in it keep their place. The other channel has the key
of the first, so that every barrier over a choice is one over both. What is moved, and why, is not known here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from streamfilter.context import AfterStop, Context
from streamfilter.hold import Hold
from streamfilter.items import Channel, Event, Item, Key, TextDelta, check_kinds
from streamfilter.lift import Lift, start_of
from streamfilter.machine import Machine
from streamfilter.pipeline import TextStage, stage
from streamfilter.plain import SyncStream
from streamfilter.stream import Stream


def leave(hold: Hold, n: int, made: Callable[[str, object], Item]) -> None:
    """Release the first `n` held characters, each piece of them as the item that `made` gives for its text and its origin.

    Example:
        >>> hold = Hold()
        >>> hold.append("so be it", "so be it")
        >>> leave(hold, 2, moved(Channel("reasoning")))
        >>> hold.keep(6)
        >>> hold.out
        [TextDelta('so', Channel(kind='reasoning', key=())), ' be it']
    """
    before = len(hold.out)
    hold.keep(n)
    dress(hold.out, before, made)


def dress(out: list[Item], first: int, made: Callable[[str, object], Item]) -> None:
    """Turn the text in a list of items, from the item of that number on, into what `made` gives for it."""
    for at in range(first, len(out)):
        item = out[at]
        if type(item) is str:
            out[at] = made(item, None)
        elif type(item) is TextDelta:
            out[at] = made(item.text, item.origin)


def moved(channel: Channel) -> Callable[[str, object], Item]:
    """For `leave`: as text of that channel."""
    return lambda text, origin: TextDelta(text, channel, origin)


class Siding(Lift):
    """A `Lift` whose text machines let text leave in channels of another kind.

    Where a run ends at a boundary in its channel, the run beside it ends too: what was moved there belongs to it.

    Args:
        stage: starts a fresh text machine for each run.
        name: the stage's, for errors.
        kind: of the other channels.
        kinds: the kinds of channel it applies to; None: every kind but the arguments of tool calls.
        context: the stream's, with which `start` is called.
    """

    def __init__(self, stage: TextStage, name: str, kind: str, *, kinds: Iterable[str] | None, context: Context | None) -> None:
        super().__init__(start_of, name, kinds=kinds, stage=stage, context=context)
        self._kind = kind

    def _barrier(self, event: Event, scope: Channel | Key) -> Sequence[Item]:
        runs = isinstance(scope, Channel) and scope in self._runs
        out = super()._barrier(event, scope)
        if isinstance(scope, Channel) and runs and scope.kind != self._kind and out and out[-1] is event:
            return [*out[:-1], Event(scope=Channel(self._kind, scope.key), boundary=True), event]
        return out


@stage
class Diverting(TextStage):
    """A text stage that gives a part of the text as something else: in channels of another kind, or as events."""

    if TYPE_CHECKING:  # to the other text stages, what goes in comes out

        def __call__(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, source: AsyncIterable[Item], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> Stream[Item]: ...

        def iter(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[Item], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> SyncStream[Item]: ...

    @property
    def beside(self) -> str | None:
        """The kind of channel that text goes to, if it goes to one."""
        return None

    def compile(self) -> None:
        if self.beside == "tool_arguments" or "tool_arguments" in (self.channels or ()):
            raise ValueError("the arguments of tool calls are JSON: nothing is taken out of them, or put there")
        check_kinds(None if self.beside is None else (self.beside,))

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()
        name = type(self).__name__
        if self.beside is None:
            return Lift(start_of, name, kinds=self.channels, stage=self, context=given)
        if given.is_decoded:  # the strings of a JSON text have nothing beside them: what is moved there would stay in the string
            dropping = cast("Diverting", dataclasses.replace(cast("Any", self), to="drop"))
            return dropping.machine(given)
        return Siding(self, name, self.beside, kinds=self.channels, context=given)
