"""Lifting text machines that wait: a run may be over and its text not yet decided.

To the rules of `lift` this adds one. A barrier whose runs are still pending waits for them, and what comes behind it in its own
channel or choice waits behind it; others are not delayed. What is waited for, and how, is not known here: a text machine that has
something to collect says that it is `due`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

from streamfilter.items import Channel, End, Event, Item, Key, Scope, TextDelta, Usage, covers
from streamfilter.lift import Lift, choice_of
from streamfilter.machine import TextMachine
from streamfilter.runs import Held

MAX_EVENTS = 1000
"""Events that may come while text is waited for, before nothing more is read. Text has limits of its own, events have none."""


class WaitingLift(Lift):
    """A `Lift` for text machines that may still be pending when they have finished. Until they are not, they are finished again.

    Example:
        >>> from streamfilter.items import Finish
        >>> from streamfilter.machine import TextMachine
        >>> class Patient(TextMachine):
        ...     is_pending = True
        ...     def feed(self, text): lift.due(self)
        ...     def finish(self): pass
        ...     def collect(self):
        ...         self.is_pending = False
        ...         self.hold.keep(len(self.hold))
        >>> lift = WaitingLift(Patient, "Patient")
        >>> lift.feed("text"), lift.feed(Finish("stop")), lift.collect()
        ([], [], ['text', Finish(scope=(), boundary=False, reason='stop')])
    """

    waits = True

    takes_slices = False  # how many windows of a large text are under way at once is told by the stage, not by the slices

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plain_run: Held | None = None  # text may have to wait behind a barrier
        self._due: dict[TextMachine, None] = {}
        # Barriers that wait for their runs, each with what has come behind it: by channel, by choice, and over all of them.
        self._behind: dict[Channel | Key, deque[Item]] = {}
        self._last: deque[Item] = deque()
        self._waiting = 0  # items in all of these
        self._events = 0  # that came while something was pending
        self._retried: Item | None = None  # what leaves its queue just now, or stays
        self._is_finishing = False

    def due(self, machine: TextMachine) -> None:
        """A text machine has something to collect."""
        self._due[machine] = None

    def feed(self, item: Item) -> Sequence[Item]:
        if type(item) is not str and type(item) is not TextDelta and self.is_pending:
            self._events += 1
        if self._waiting and not (isinstance(item, End) and item.is_broken_off):
            scope = _scope(item)
            if scope is not None:
                queue = self._last if self._last or _is_wide(scope) else self._queue(scope)
                if queue is not None:
                    queue.append(item)
                    self._waiting += 1
                    return () if isinstance(scope, Channel) else self._settle(scope)  # what waits is asked for at once
        return super().feed(item)

    def finish(self) -> Sequence[Item]:
        self._is_finishing = True
        out = self._settle(())
        return out if self.ended else [*out, *self.collect()]

    def collect(self) -> Sequence[Item]:
        out: list[Item] = []
        advanced = False
        while self._due and not self.ended:
            machine = next(iter(self._due))
            del self._due[machine]
            self._events = 0
            out += self._collected(machine)
            channel = machine.hold.channel
            for key in (channel, channel.choice):
                if key in self._behind and not self.ended:
                    advanced = True
                    out += self._advance(self._behind[key])
                    if not self._behind.get(key, True):
                        del self._behind[key]
        if self._last and not self.ended:
            before = len(self._last)
            out += self._advance_last()
            advanced = advanced or len(self._last) < before
        if advanced and self._last and not self.ended:
            out += self._settle(())  # what stands first there is over all: what it waits for is asked for at once
        if self._is_finishing and not self.ended and (advanced or not self.has_pending_runs):
            out += self._settle(())
        return out

    def rescue(self) -> Sequence[Item]:
        return [*super().rescue(), *self._usage()]

    def cancel(self) -> Sequence[Awaitable[object]]:
        self._forget()
        return super().cancel()

    def end(self, end: End) -> Sequence[Item]:
        out = super().end(end)
        self._forget()
        return out

    def _forget(self) -> None:
        """Nothing that waits will be given."""
        self._behind = {}
        self._last = deque()
        self._waiting = 0
        self._due.clear()

    @property
    def is_full(self) -> bool:  # type: ignore[override]  # it is not set, but seen
        """Whether anything waits behind a barrier, or very many events for text: what is read now could only wait there too."""
        return self._waiting > len(self._behind) + bool(self._last) or self._events > MAX_EVENTS

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        """Whether a barrier or a run waits."""
        return not self.ended and (bool(self._waiting) or self.has_pending_runs)

    @property
    def has_pending_runs(self) -> bool:
        """Whether a run waits."""
        return any(run.is_pending for run in self._runs.values())

    # ------------------------------------------------------------------

    def _collected(self, machine: TextMachine) -> Sequence[Item]:
        run = self._runs.get(machine.hold.channel)
        if run is not None and run.hold is machine.hold:
            return run.collect()
        machine.collect()  # its run is over, and nobody has waited for it
        return self.end(machine.done) if isinstance(machine.done, End) else ()

    def _under(self, scope: Channel | Key) -> list[Channel]:
        channels = super()._under(scope)
        return [channel for channel in channels if not self._goes_on(channel)] if self._behind else channels

    def _goes_on(self, channel: Channel) -> bool:
        """Whether what has come in it may wait behind a barrier over another part of its choice: then its run is not over."""
        queue = None if channel in self._behind else self._behind.get(channel.choice)
        first = _scope(queue[0]) if queue else None
        return first is not None and not covers(first, channel)

    def _barrier(self, event: Event, scope: Channel | Key) -> Sequence[Item]:
        out = self._settle(scope)
        if self.ended:
            return out
        if any(self._runs[channel].is_pending for channel in self._under(scope)):
            if self._retried is event:
                self._retried = None  # it stays where it is
            else:
                (self._last if _is_wide(scope) else self._behind.setdefault(_key(scope), deque())).append(event)
                self._waiting += 1
            return out
        return [*out, *super()._barrier(event, scope)]

    def _advance(self, queue: deque[Item]) -> Sequence[Item]:
        """What can leave a queue now. Where others of a choice need not wait behind a channel, that has a queue of its own."""
        out: list[Item] = []
        while queue and not self.ended:
            item = queue[0]
            scope = _scope(item)
            own = self._behind.get(scope) if isinstance(scope, Channel) else None
            if own is not None and own is not queue:
                own.append(queue.popleft())
                continue
            if scope is not None and not isinstance(scope, Channel) and self._has_queues(choice_of(scope)):
                out += self._settle(scope)
                break
            self._retried = item
            out += super().feed(item)
            if self._retried is None:
                if own is not None or not isinstance(scope, Channel):
                    break
                self._behind[scope] = deque([queue.popleft()])
            elif queue:  # an end has emptied them all
                queue.popleft()
                self._waiting -= 1
        self._retried = None
        return out

    def _advance_last(self) -> Sequence[Item]:
        """What can leave the queue behind a barrier over all choices: what follows one that passes is queued as if it came now."""
        out: list[Item] = []
        while self._last and not self.ended:
            item = self._last[0]
            scope = _scope(item)
            if scope is None or _is_wide(scope):
                if self._behind or self.has_pending_runs:
                    break
                self._retried = item
                out += super().feed(item)
                if self._retried is None:  # its last windows have only just been asked about
                    break
                self._retried = None
                if self._last:  # an end has emptied it
                    self._last.popleft()
                    self._waiting -= 1
            elif (queue := self._queue(scope)) is not None:
                queue.append(self._last.popleft())
                if not isinstance(scope, Channel):
                    out += self._settle(scope)
            else:
                self._last.popleft()
                self._waiting -= 1
                out += super().feed(item)
        return out

    def _queue(self, scope: Channel | Key) -> deque[Item] | None:
        """Where what has this scope waits, if it does."""
        choice = choice_of(scope)
        queue = self._behind.get(choice)
        if queue is None and isinstance(scope, Channel):
            return self._behind.get(scope)
        if queue is None and self._has_queues(choice):
            queue = self._behind[choice] = deque()
        return queue

    def _has_queues(self, choice: Key) -> bool:
        """Whether a channel of the choice has a queue of its own."""
        return any(channel in self._behind for channel in self._of_choice(choice))

    def _usage(self) -> list[Usage]:
        waiting = [item for queue in (*self._behind.values(), self._last) for item in queue]
        return [item for item in waiting if isinstance(item, Usage)]


def _scope(item: Item) -> Scope:
    return item.scope if isinstance(item, Event) else Channel()


def _is_wide(scope: Channel | Key) -> bool:
    """Whether it may cover several choices."""
    return not isinstance(scope, Channel) and len(scope) < 2


def _key(scope: Channel | Key) -> Channel | Key:
    """What waits for the same runs."""
    return scope if isinstance(scope, Channel) else choice_of(scope)
