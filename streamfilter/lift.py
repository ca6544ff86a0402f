"""Lifting: a text machine becomes a machine over items, once for all stages.

Here are the rules of channels and runs: a fresh text machine for every run, events in their exact place, barriers that settle, and
stops that silence a choice and end the stream when all choices are over. What a text machine does with its text is not known here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from streamfilter.context import Context
from streamfilter.errors import Unfit
from streamfilter.items import PLAIN, Channel, End, Event, Finish, Item, Key, TextDelta, Usage, covers
from streamfilter.machine import Machine, Mapping, TextMachine, wrong_item
from streamfilter.runs import MUTED, PASSING, Held, Mapped, Run

_NONE: AbstractSet[Key] = frozenset()

KEPT_ENDED = 500
"""Channels whose runs have all ended and of which it is known how much they had said, so that what is found in their next run is
counted from their beginning. An agent's stream may have any number of channels, one behind the other."""


class _Startable(Protocol):
    def start(self, context: Context | None = None) -> TextMachine: ...

    def _start_arguments(self, context: Context) -> TextMachine: ...


def start_of(stage: _Startable, context: Context) -> TextMachine:
    """What a lift calls, which has both: a method that knows its stage would be an object more for each stage of each stream."""
    return stage.start(context)


def start_arguments_of(stage: _Startable, context: Context) -> TextMachine:
    """The same for the arguments of tool calls."""
    return stage._start_arguments(context)  # noqa: SLF001  # one of its stages'


class Lift(Machine):
    """A text machine per channel and run, lifted to items.

    Args:
        start: gives a fresh text machine for each run. It is called with the `stage` and the `context`, if there is one.
        name: the stage's, for errors.
        kinds: the kinds of channel it applies to; other text passes. None: every kind but those it `spares`.
        spares: those.
        arguments: gives the text machine for the arguments of a tool call, if that is another. It is called likewise.
        choices: how many choices the stream will have; a stopped stream is over when all are, seen or not.
        stage: whose machine it is.
        context: the stream's, whose machines share which choices were seen so far.

    Example:
        >>> from streamfilter.machine import mapping
        >>> lift = Lift(lambda: mapping(str.upper), "Shout")
        >>> lift.feed(TextDelta("a", Channel("answer", (0, 1))))
        (TextDelta('A', Channel(kind='answer', key=(0, 1))),)
    """

    takes_slices = True  # what leaves of a text does not depend on its cuts

    # Thousands of streams may be open at once, most of which never have more than one channel: what they do not need takes no room.
    _by_choice: dict[Key, dict[Channel, None]]  # the channels of these, where there are several runs; plain text has no choice
    _offsets: dict[Channel, int] | None = None
    _stopped: AbstractSet[Key] = _NONE
    _finished: AbstractSet[Key] = _NONE

    def __init__(
        self,
        start: Callable[..., TextMachine],
        name: str,
        *,
        kinds: Iterable[str] | None = ("answer",),
        spares: Iterable[str] = ("tool_arguments",),
        arguments: Callable[..., TextMachine] | None = None,
        choices: int = 1,
        stage: object = None,
        context: Context | None = None,
    ) -> None:
        self.name = name
        self.plain_run: Held | None = Held(self, PLAIN)
        self._start = start
        self._stage = stage
        self._context = context
        self._kinds = None if kinds is None else tuple(kinds)
        self._spares = tuple(spares)
        self._arguments = arguments
        self._choices = choices
        self._plain: Run | None = None  # the run of PLAIN, which plain streams ask for at every item
        self._several: dict[Channel, Run] | None = None  # all runs in the order in which they began, if that is not the only one
        self._seen: set[Key] = set() if context is None else context.seen

    def feed(self, item: Item) -> Sequence[Item]:
        if type(item) is str:
            run = self._plain
            if run is None:
                run = self._open(PLAIN)
            return run.feed(item, item)
        if type(item) is TextDelta:
            channel = item.channel
            run = self._run(channel) if self._several is None else self._several.get(channel)
            if run is None:
                run = self._open(channel)
            return run.feed(item, item.text)
        return self._event(item)

    plain_feed = feed
    """What `plain_run` stands in for in a chain. A lift that feeds otherwise is fed itself."""

    def finish(self) -> Sequence[Item]:
        if self._several is not None:
            out: Sequence[Item] = () if self.ended else self._settle(())
            self.plain_run = None  # they know each other: without this they would not be gone when the stream is
            return out
        run = self._plain
        out = () if run is None or self.ended else run.settle()
        if run is not None and run.is_pending:
            return out
        self._plain = self.plain_run = None
        if run is not None:
            run.end()
        return out

    def cancel(self) -> Sequence[Awaitable[object]]:
        for channel, run in list(self._runs.items()):
            run.leave()
            self._set_run(channel, MUTED)  # a function of a stage may have left the stream, and those behind it be fed still
        self.plain_run = None
        return ()

    def rescue(self) -> Sequence[Item]:
        usage = [event for run in self._runs.values() for event in run.drop()]
        self._several = self._plain = self.plain_run = None
        return usage

    @property
    def held(self) -> int:
        return sum(len(run.hold) for run in self._runs.values() if run.hold is not None)

    # ------------------------------------------------------------------ runs

    @property
    def _runs(self) -> dict[Channel, Run]:
        """All runs, in the order in which they began."""
        if self._several is not None:
            return self._several
        return {} if self._plain is None else {PLAIN: self._plain}

    def _run(self, channel: Channel) -> Run | None:
        """What the text of a channel meets now."""
        return self._plain if channel == PLAIN else None if self._several is None else self._several.get(channel)

    def _set_run(self, channel: Channel, run: Run) -> None:
        is_plain = channel == PLAIN
        if self._several is None and not is_plain:
            self._several, self._by_choice = self._runs, {}
        if self._several is not None:
            self._several[channel] = run
        if is_plain:
            self._plain = run

    def _open(self, channel: Channel) -> Run:
        """What the text of a channel meets, at the beginning of a run."""
        choice = channel.choice
        self._seen.add(choice)
        run: Run
        if choice in self._stopped:
            run = MUTED
        elif channel.kind in self._spares if self._kinds is None else channel.kind not in self._kinds:
            run = PASSING
        else:
            start = self._arguments if self._arguments and channel.kind == "tool_arguments" else self._start
            machine = start() if self._context is None else start(self._stage, self._context)
            if isinstance(machine, Mapping):
                run = Mapped(self, machine.fn)
            elif isinstance(machine, TextMachine):
                held = self.plain_run if channel == PLAIN else None
                run = held = Held(self, channel, (self._offsets or {}).get(channel, 0)) if held is None else held
                held.begin(machine)
            else:
                raise TypeError(f"start() of {self.name} gave {type(machine).__name__}: a TextMachine is needed")
        self._set_run(channel, run)
        if choice:
            self._by_choice.setdefault(choice, {})[channel] = None
        return run

    def _under(self, scope: Channel | Key) -> list[Channel]:
        """The channels under a barrier that have a run, in the order in which these began."""
        if self._several is None:
            return [PLAIN] if self._plain is not None and (not scope or covers(scope, PLAIN)) else []
        within = self._runs if not isinstance(scope, Channel) and len(scope) < 2 else self._of_choice(choice_of(scope))
        return [channel for channel in within if covers(scope, channel)]

    def _of_choice(self, choice: Key) -> Iterable[Channel]:
        """The channels of a choice that have a run."""
        if choice:
            return () if self._several is None else self._by_choice.get(choice, ())
        return [channel for channel in self._runs if not channel.choice]

    def _settle(self, scope: Channel | Key) -> list[Item]:
        """End every run under a barrier, in the order in which they began."""
        out: list[Item] = []
        for channel in self._under(scope):
            run = self._run(channel)  # muted by now, if one that settled before it stopped their choice
            assert run is not None
            out += run.settle()
            if self.ended:
                break
            if not run.is_pending:
                self._end_run(channel, run)
        return out

    def _end_run(self, channel: Channel, run: Run) -> None:
        """A run has settled: the next text in its channel begins another."""
        run.end()
        if run.hold is not None and run is not self.plain_run:  # which counts on
            self._note_offset(channel, run.hold.offset)
        if self._several is not None:
            del self._several[channel]
        if channel == PLAIN:
            self._plain = None
        elif channel.choice:
            of_choice = self._by_choice[channel.choice]
            del of_choice[channel]
            if not of_choice:
                del self._by_choice[channel.choice]

    def _note_offset(self, channel: Channel, offset: int) -> None:
        offsets = self._offsets = {} if self._offsets is None else self._offsets
        offsets.pop(channel, None)
        offsets[channel] = offset
        if len(offsets) > KEPT_ENDED:
            del offsets[next(iter(offsets))]

    # ------------------------------------------------------------------ events

    def _event(self, event: Item) -> Sequence[Item]:
        if isinstance(event, str):
            return self.feed(str.__str__(event))  # a subclass of str, as some clients give
        if not isinstance(event, Event):
            raise Unfit(wrong_item(self.name, event))
        if isinstance(event, TextDelta):
            return self.feed(TextDelta(event.text, event.channel, event.origin))
        if isinstance(event, End) and event.is_broken_off:
            return self.end(event)
        scope = event.scope
        if scope is None:
            return (event,)
        choice = choice_of(scope)
        if choice:
            self._seen.add(choice)
        if choice in self._stopped and scope != ():
            return _swallow(event)
        if isinstance(scope, Channel) and not event.boundary:
            run = self._run(scope)
            hold = None if run is None else run.hold
            if hold is None or not len(hold):
                return (event,)
            hold.pin(event)
            return ()
        return self._barrier(event, scope)

    def _barrier(self, event: Event, scope: Channel | Key) -> Sequence[Item]:
        """An event behind which all runs under its scope have ended."""
        out = self._settle(scope)
        if self.ended:
            return out
        choice = choice_of(scope)
        if choice in self._stopped and scope != ():  # settling found a stop
            return [*out, *_swallow(event)]
        out.append(event)
        if isinstance(event, End):
            self.ended: bool = True
        elif isinstance(event, Finish):
            self._finished = _with(self._finished, choice)
            if len(self._finished) > len(self._seen) + 100:  # of the others no reader of a stream knows any more
                self._finished &= self._seen
            if self._stopped:
                out += self._over()
        return out

    # ------------------------------------------------------------------ stopping

    def stop(self, run: Held, done: Finish | End) -> Sequence[Item]:
        """A text machine is done, with this as its last word."""
        out = run.out
        if isinstance(done, End):
            return [*out, *self.end(done)]
        choice = run.channel.choice
        self._stopped = _with(self._stopped, choice)
        survivors: list[Item] = []
        for channel, other in list(self._runs.items()):
            if channel.choice == choice:
                survivors += other.drop()
                self._set_run(channel, MUTED)
        if choice:  # plain text has no choices, and so nothing that could finish apart from the stream
            out.append(Finish(done.reason, scope=choice, stopped=True))
        return [*out, *survivors, *self._over()]

    def _over(self) -> Sequence[Item]:
        over = self._stopped | self._finished
        if self._seen <= over and len(self._seen) >= self._choices:
            return self.end(End("stop"))
        return ()

    def end(self, end: End) -> Sequence[Item]:
        """End the stream here: all text still held dies."""
        usage = self.rescue()
        self.ended = True
        return [*usage, end]


def _swallow(event: Event) -> Sequence[Item]:
    """An event of a stopped choice: only usage survives."""
    return (event,) if isinstance(event, Usage) else ()


def _with(keys: AbstractSet[Key], key: Key) -> AbstractSet[Key]:
    """A set and one key more; the one that is empty stays so."""
    if not isinstance(keys, set):
        keys = set()
    keys.add(key)
    return keys


def choice_of(scope: Channel | Key) -> Key:
    """The choice that a scope belongs to.

    Example:
        >>> choice_of(Channel("answer", (0, 1, "content"))), choice_of((0, 1)), choice_of(())
        ((0, 1), (0, 1), ())
    """
    return scope.choice if isinstance(scope, Channel) else scope[:2]
