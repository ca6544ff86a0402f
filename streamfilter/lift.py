"""Lifting: a text machine becomes a machine over items, once for all stages.

Here are the rules of channels and runs: a fresh text machine for every run, events in their exact place, barriers that settle, and
stops that silence a choice and end the stream when all choices are over. What a text machine does with its text is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import cast

from streamfilter.hold import Hold, Rest
from streamfilter.items import PLAIN, Channel, End, Event, Finish, Item, Key, TextDelta, Usage, covers
from streamfilter.machine import Machine, Mapping, TextMachine, refusal, wrong_item

_NONE: AbstractSet[Key] = frozenset()
_AWAY = cast("list[Item]", ())  # nothing leaves but while a machine is fed: what is released then is not kept until it is fed again

KEPT_ENDED = 500
"""Channels whose runs have all ended and of which it is known how much they had said, so that what is found in their next run is
counted from their beginning. An agent's stream may have any number of channels, one behind the other."""


class _Run:
    """What a channel's text meets in a `Lift`: at first this, which lets it pass untouched."""

    __slots__ = ()

    hold: Hold | None = None
    """Its buffer, if it has one."""

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        return (item,)

    @property
    def is_pending(self) -> bool:
        """Whether it cannot settle yet."""
        return False

    def collect(self) -> Sequence[Item]:
        return ()

    def settle(self) -> Sequence[Item]:
        return ()

    def drop(self) -> Sequence[Event]:
        """End it: what is held dies, but for usage that waits there."""
        return ()


class _Muted(_Run):
    """A channel of a stopped choice."""

    __slots__ = ()

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        return ()


_PASSING = _Run()
_MUTED = _Muted()


class _Mapped(_Run):
    """A run whose machine is only a function."""

    __slots__ = ("fn", "lift")

    def __init__(self, lift: Lift, fn: Callable[[str], str]) -> None:
        self.lift = lift
        self.fn = fn

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        try:
            given = self.fn(text)
            if not isinstance(given, str):
                raise TypeError(f"the function of {self.lift.name} gave {type(given).__qualname__}: a str is needed")
        except Exception as error:
            return self.lift.end(refusal(error))
        if given == text:
            return (item,)
        if not given:
            return ()
        return (given,) if isinstance(item, str) else (TextDelta(given, item.channel, item.origin),)


class _Held(_Run):
    """A run whose machine decides through its hold."""

    __slots__ = ("channel", "hold", "lift", "machine", "rest")

    def __init__(self, lift: Lift, machine: TextMachine, channel: Channel, offset: int) -> None:
        self.lift: Lift = lift
        self.machine: TextMachine = machine
        self.channel: Channel = channel
        self.rest: Rest = (lift.plain_rest if channel == PLAIN else None) or Rest()
        self.hold: Hold = Hold(channel, context=machine.context, offset=offset)  # pyright: ignore[reportIncompatibleVariableOverride]
        machine.hold = self.hold
        machine.done = machine.done  # what is the machine's own is read three times as fast as what is its class's

    def feed(self, item: str | TextDelta, text: str) -> Sequence[Item]:
        rest = self.rest
        if rest.stops is not None:
            if text and rest.stops(text) is None:
                rest.chars += len(text)
                rest.last = item
                if item is not text:
                    rest.delta = item
                return (item,)
            self._rise()
        hold = self.hold
        machine = self.machine
        if not text:
            # A piece without text says nothing to the machine; where nothing is held it keeps its place by passing.
            if item is not text:
                hold.note(item)
            elif not machine.passes_empty:
                return ()
            return () if len(hold) else (item,)
        out: list[Item] = []
        hold.out = out
        if hold.simple and item is text and hold.pos == len(hold.buf):  # what has left is not needed any more
            hold.base += hold.pos
            hold.pos = 0
            hold.buf = text
        else:
            hold.append(item, text)
        try:
            if machine.feed(text) is not None:  # type: ignore[func-returns-value]  # by its type; but users write it
                raise TypeError(f"feed() of {self.lift.name} gave something: text leaves through hold.keep and hold.replace")
        except Exception as error:
            machine.done = refusal(error)
        if machine.done is not None:
            return self.lift.stop(self, machine.done)
        hold.out = _AWAY
        if hold.stops is not None:
            if hold.pos == len(hold.buf) and not hold.context:
                rest.stops = hold.stops
            hold.stops = None
        return out

    def _rise(self) -> None:
        """The machine is at rest no longer."""
        rest = self.rest
        rest.stops = None
        if rest.chars:
            self.hold.skip(rest)

    @property
    def is_pending(self) -> bool:
        return self.machine.is_pending

    def collect(self) -> Sequence[Item]:
        return self._released(self.machine.collect)

    def settle(self) -> Sequence[Item]:
        return self._released(self._finish)

    def drop(self) -> Sequence[Event]:
        self.rest.stops = None  # from now on nothing passes by
        return [event for event in self.hold.drop() if isinstance(event, Usage)]

    def _finish(self) -> None:
        machine = self.machine
        machine.finish()
        if len(self.hold) and machine.done is None and not machine.is_pending:
            raise RuntimeError(
                f"{type(machine).__name__}.finish() of {self.lift.name} left {len(self.hold)} characters in the hold: "
                "keep or replace them"
            )

    def _released(self, step: Callable[[], None]) -> Sequence[Item]:
        """What leaves while the machine takes a step that no text has caused."""
        self._rise()
        machine = self.machine
        hold = self.hold
        out: list[Item] = []
        hold.out = out
        try:
            step()
        except Exception as error:
            machine.done = refusal(error)
        if machine.done is not None:
            return self.lift.stop(self, machine.done)
        hold.out = _AWAY
        return out


class Lift(Machine):
    """A text machine per channel and run, lifted to items.

    Args:
        start: gives a fresh text machine for each run.
        name: the stage's, for errors.
        kinds: the kinds of channel it applies to; other text passes. None: every kind but those it `spares`.
        spares: those.
        arguments: gives the text machine for the arguments of a tool call, if that is another.
        choices: how many choices the stream will have; a stopped stream is over when all are, seen or not.
        seen: the choices that were seen so far, shared by the machines of a stream.

    Example:
        >>> from streamfilter.machine import mapping
        >>> lift = Lift(lambda: mapping(str.upper), "Shout")
        >>> lift.feed(TextDelta("a", Channel("answer", (0, 1))))
        (TextDelta('A', Channel(kind='answer', key=(0, 1))),)
    """

    takes_slices = True  # what leaves of a text does not depend on its cuts

    def __init__(
        self,
        start: Callable[[], TextMachine],
        name: str,
        *,
        kinds: Iterable[str] | None = ("answer",),
        spares: Iterable[str] = ("tool_arguments",),
        arguments: Callable[[], TextMachine] | None = None,
        choices: int = 1,
        seen: set[Key] | None = None,
    ) -> None:
        self.name = name
        self.plain_rest: Rest | None = Rest()
        self._start = start
        # Thousands of streams may be open at once, most of which never have more than one channel: what is empty or told once takes
        # no room of its own, as a set would.
        self._kinds = None if kinds is None else tuple(kinds)
        self._spares = tuple(spares)
        self._arguments = arguments
        self._choices = choices
        self._plain: _Run | None = None  # the run of PLAIN, which plain streams ask for at every item
        self._runs: dict[Channel, _Run] = {}
        self._by_choice: dict[Key, dict[Channel, None]] = {}  # the channels of these; not of plain text, which has no choice
        self._offsets: dict[Channel, int] = {}
        self._seen: set[Key] = set() if seen is None else seen
        self._stopped: AbstractSet[Key] = _NONE
        self._finished: AbstractSet[Key] = _NONE

    def feed(self, item: Item) -> Sequence[Item]:
        if type(item) is str:
            run = self._plain
            if run is None:
                run = self._plain = self._runs.get(PLAIN) or self._open(PLAIN)
            return run.feed(item, item)
        if type(item) is TextDelta:
            channel = item.channel
            run = self._runs.get(channel)
            if run is None:
                run = self._open(channel)
            return run.feed(item, item.text)
        return self._event(item)

    def finish(self) -> Sequence[Item]:
        return () if self.ended else self._settle(())

    def rescue(self) -> Sequence[Item]:
        return [event for run in self._runs.values() for event in run.drop()]

    @property
    def held(self) -> int:
        return sum(len(run.hold) for run in self._runs.values() if run.hold is not None)

    # ------------------------------------------------------------------ runs

    def _open(self, channel: Channel) -> _Run:
        """What the text of a channel meets, at the beginning of a run."""
        choice = channel.choice
        self._seen.add(choice)
        run: _Run
        if choice in self._stopped:
            run = _MUTED
        elif channel.kind in self._spares if self._kinds is None else channel.kind not in self._kinds:
            run = _PASSING
        else:
            machine = self._arguments() if self._arguments and channel.kind == "tool_arguments" else self._start()
            if isinstance(machine, Mapping):
                run = _Mapped(self, machine.fn)
            elif isinstance(machine, TextMachine):
                run = _Held(self, machine, channel, self._offsets.get(channel, 0))
            else:
                raise TypeError(f"start() of {self.name} gave {type(machine).__name__}: a TextMachine is needed")
        self._runs[channel] = run
        if choice:
            self._by_choice.setdefault(choice, {})[channel] = None
        return run

    def _under(self, scope: Channel | Key) -> list[Channel]:
        """The channels under a barrier that have a run, in the order in which these began."""
        within = self._runs if not isinstance(scope, Channel) and len(scope) < 2 else self._of_choice(choice_of(scope))
        return [channel for channel in within if covers(scope, channel)]

    def _of_choice(self, choice: Key) -> Iterable[Channel]:
        """The channels of a choice that have a run."""
        return self._by_choice.get(choice, ()) if choice else [channel for channel in self._runs if not channel.choice]

    def _settle(self, scope: Channel | Key) -> list[Item]:
        """End every run under a barrier, in the order in which they began."""
        out: list[Item] = []
        for channel in self._under(scope):
            run = self._runs[channel]  # muted by now, if one that settled before it stopped their choice
            out += run.settle()
            if self.ended:
                break
            if run.is_pending:
                continue
            if run.hold is not None:
                self._note_offset(channel, run.hold.offset)
            del self._runs[channel]  # the next text in it begins another
            if channel.choice:
                of_choice = self._by_choice[channel.choice]
                del of_choice[channel]
                if not of_choice:
                    del self._by_choice[channel.choice]
            if channel == PLAIN:
                self._plain = None
        return out

    def _note_offset(self, channel: Channel, offset: int) -> None:
        self._offsets.pop(channel, None)
        self._offsets[channel] = offset
        if len(self._offsets) > KEPT_ENDED:
            del self._offsets[next(iter(self._offsets))]

    # ------------------------------------------------------------------ events

    def _event(self, event: Item) -> Sequence[Item]:
        if isinstance(event, str):
            return self.feed(str.__str__(event))  # a subclass of str, as some clients give
        if not isinstance(event, Event):
            raise TypeError(wrong_item(self.name, event))
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
            run = self._runs.get(scope)
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

    def stop(self, run: _Held, done: Finish | End) -> Sequence[Item]:
        """A text machine is done, with this as its last word."""
        out = run.hold.out
        if isinstance(done, End):
            return [*out, *self.end(done)]
        choice = run.channel.choice
        self._stopped = _with(self._stopped, choice)
        survivors: list[Item] = []
        for channel in self._runs:
            if channel.choice == choice:
                survivors += self._runs[channel].drop()
                self._runs[channel] = _MUTED
        if PLAIN.choice == choice:
            self._plain = _MUTED
        if choice:  # plain text has no choices, and so nothing that could finish apart from the stream
            out.append(Finish(done.reason, scope=choice))
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
        self._runs.clear()
        self._by_choice.clear()
        self._plain = None
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
