"""Lifting text machines that wait: a run may be over and its text not yet decided.

To the rules of `lift` this adds one. A barrier whose runs are still pending waits for them, and what comes behind it in the same
channels waits behind it; other channels are not delayed. What is waited for, and how, is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamfilter.items import Channel, End, Event, Item, Key, Scope, Usage, covers
from streamfilter.lift import Lift


class WaitingLift(Lift):
    """A `Lift` for text machines that may still be pending when they have finished. Until they are not, they are finished again.

    Example:
        >>> from streamfilter.items import Finish
        >>> from streamfilter.machine import TextMachine
        >>> class Patient(TextMachine):
        ...     is_pending = True
        ...     def feed(self, text): pass
        ...     def finish(self): pass
        ...     def collect(self):
        ...         self.is_pending = False
        ...         self.hold.keep(len(self.hold))
        >>> lift = WaitingLift(Patient, "Patient")
        >>> lift.feed("text"), lift.feed(Finish("stop")), lift.collect()
        ([], [], ['text', Finish(scope=(), boundary=False, reason='stop')])
    """

    waits = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._behind: list[Item] = []  # barriers that wait for their runs, and what has come behind them, in order
        self._scopes: set[Scope] = set()  # of these
        self._is_stuck = False  # whether there is anything but barriers among them
        self._is_finishing = False

    def feed(self, item: Item) -> Sequence[Item]:
        if self._behind and any(_overlap(_scope(item), before) for before in self._scopes):
            self._is_stuck = True
            return self._wait(item)
        return super().feed(item)

    def finish(self) -> Sequence[Item]:
        self._is_finishing = True
        return self.collect()

    def collect(self) -> Sequence[Item]:
        out: list[Item] = []
        for run in list(self._runs.values()):
            if not self.ended:
                out += run.collect()
        behind = self._behind
        self._forget()
        for item in behind:  # each passes now, or waits again
            if not self.ended:
                out += self.feed(item)
        if self._is_finishing and not self._behind and not self.ended:
            out += self._settle(())
        return out

    def rescue(self) -> Sequence[Item]:
        return [*super().rescue(), *self._usage()]

    def end(self, end: End) -> Sequence[Item]:
        usage = self._usage()
        self._forget()
        return [*usage, *super().end(end)]

    @property
    def is_full(self) -> bool:  # type: ignore[override]  # it is not set, but seen
        """Whether text or an event waits behind a barrier: what is read now could only wait there too."""
        return self._is_stuck

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        """Whether a barrier or a run waits."""
        return bool(self._behind) or any(run.is_pending for run in self._runs.values())

    def _barrier(self, event: Event, scope: Channel | Key) -> Sequence[Item]:
        out = self._settle(scope)
        if not self.ended and any(covers(scope, channel) for channel, run in self._runs.items() if run.is_pending):
            return [*out, *self._wait(event)]
        return out if self.ended else [*out, *super()._barrier(event, scope)]

    def _wait(self, item: Item) -> Sequence[Item]:
        self._behind.append(item)
        self._scopes.add(_scope(item))
        return ()

    def _usage(self) -> list[Usage]:
        return [item for item in self._behind if isinstance(item, Usage)]

    def _forget(self) -> None:
        self._behind = []
        self._scopes = set()
        self._is_stuck = False


def _scope(item: Item) -> Scope:
    return item.scope if isinstance(item, Event) else Channel()


def _overlap(one: Scope, other: Scope) -> bool:
    """Whether the order of two items matters."""
    if one is None or other is None:
        return False
    if isinstance(one, Channel):
        return covers(other, one)
    if isinstance(other, Channel):
        return covers(one, other)
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
