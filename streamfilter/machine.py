"""Machines: what a stage becomes for one stream. They are fed items and say what can be released.

A machine does no I/O and knows nothing of async, sources or consumers; everything here is tested with `==`. `feed` is eager and
gives a sequence. A machine says that the stream is over by giving `End` last; from then on it is only `drain`ed, and `finish`ed.

The author of a text stage writes a `TextMachine`, which sees one run of one channel's text and its hold buffer. `Lift` makes it a
machine over items, once for all stages: a fresh text machine for every run, events in their exact place, barriers, stopping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from streamfilter.hold import Hold
from streamfilter.items import PLAIN, Channel, End, Event, Finish, Item, Key, TextDelta, Usage, covers


class Machine:
    """One stream's mutable state of one stage. As it stands it passes everything.

    Example:
        >>> Machine().feed("text")
        ('text',)
    """

    ended: bool = False
    """Set by a machine that has given an `End`, its own or one that it was fed."""

    def feed(self, item: Item) -> Sequence[Item]:
        """Take one item in; give what can be released now, in order. After an `End` it is not called again."""
        return (item,)

    def finish(self) -> Sequence[Item]:
        """The input ended, or a stage ended the stream: give what is left."""
        return ()

    def drain(self, item: Item) -> Sequence[Item]:
        """Take one item in after the `End` of a stream that is read to its end: only usage still passes."""
        return (item,) if isinstance(item, Usage) else ()

    def rescue(self) -> Sequence[Item]:
        """A machine behind this one has ended the stream: what is held here dies, but for usage that waits in it."""
        return ()

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return 0


class TextMachine:
    """One run of text. Subclass it, decide in `feed` what may leave, and settle the rest in `finish`.

    Attributes:
        hold: the text that has arrived and not left; the kernel appends to it before each `feed`.
        done: set it, after releasing what was decided, to end more than the run: a `Finish` stops this choice, an `End` the whole
            stream. Whatever is still held then dies.

    Example:
        >>> class Vowels(TextMachine):
        ...     def feed(self, text: str) -> None:
        ...         for character in text:
        ...             self.hold.keep(1) if character in "aeiou" else self.hold.replace(1, "")
        >>> machine = Lift(Vowels, "Vowels")
        >>> machine.feed("stream")
        ['e', 'a']
    """

    context: int = 0
    """How many released characters `hold.buf` keeps to the left of the held text."""

    hold: Hold
    done: Finish | End | None = None

    def feed(self, text: str) -> None:
        """`text` has just been appended to the hold: release what nothing that may still arrive could change."""
        raise NotImplementedError(f"{type(self).__name__}.feed is missing: decide there what may leave the hold")

    def finish(self) -> None:
        """The run ended: release all that is held. By default it leaves unchanged."""
        self.hold.keep(len(self.hold))


class Mapping(TextMachine):
    """The text machine that holds nothing: a function of each piece. See `mapping`."""

    def __init__(self, fn: Callable[[str], str]) -> None:
        self.fn = fn


def mapping(fn: Callable[[str], str]) -> TextMachine:
    """A text machine that replaces each piece by `fn(piece)` and holds nothing. It needs f(a + b) == f(a) + f(b).

    Example:
        >>> Lift(lambda: mapping(str.upper), "Shout").feed("quiet")
        ('QUIET',)
    """
    return Mapping(fn)


class _Run:
    """What a channel's text meets in a `Lift`: at first this, which lets it pass untouched."""

    __slots__ = ()

    @property
    def buffer(self) -> Hold | None:
        """Its hold buffer, if it has one."""
        return None

    def feed(self, item: str | TextDelta) -> Sequence[Item]:
        return (item,)

    def settle(self) -> Sequence[Item]:
        return ()


class _Muted(_Run):
    """A channel of a stopped choice."""

    __slots__ = ()

    def feed(self, item: str | TextDelta) -> Sequence[Item]:
        return ()


_PASSING = _Run()
_MUTED = _Muted()


class _Mapped(_Run):
    """A run whose machine is only a function."""

    __slots__ = ("fn", "lift")

    def __init__(self, lift: Lift, fn: Callable[[str], str]) -> None:
        self.lift = lift
        self.fn = fn

    def feed(self, item: str | TextDelta) -> Sequence[Item]:
        try:
            if isinstance(item, str):
                text = self.fn(item)
                return (text,) if text or not item else ()
            text = self.fn(item.text)
        except Exception as error:
            return self.lift.end(refusal(error))
        if text == item.text:
            return (item,)
        return (TextDelta(text, item.channel, item.origin),) if text else ()


class _Held(_Run):
    """A run whose machine decides through its hold."""

    __slots__ = ("channel", "hold", "lift", "machine")

    def __init__(self, lift: Lift, machine: TextMachine, channel: Channel, offset: int) -> None:
        self.lift = lift
        self.machine = machine
        self.channel = channel
        self.hold = machine.hold = Hold(channel, context=machine.context, offset=offset)

    @property
    def buffer(self) -> Hold:
        return self.hold

    def feed(self, item: str | TextDelta) -> Sequence[Item]:
        machine = self.machine
        hold = self.hold
        text: str = item if type(item) is str else item.text  # type: ignore[union-attr]  # exactly a str, or a delta
        if not text:
            # A piece without text says nothing to the machine; where nothing is held it keeps its place by passing.
            if item is not text:
                hold.note(item)  # type: ignore[arg-type]  # not a str, so a delta
            return () if len(hold) else (item,)
        out: list[Item] = []
        hold.out = out
        if (
            hold.simple and item is text and hold.pos == len(hold.buf)
        ):  # the first lines of `append`, without the call: this is the hot path of every text stage
            hold.base += hold.pos
            hold.pos = 0
            hold.buf = text
        else:
            hold.append(item, text)
        try:
            machine.feed(text)
        except Exception as error:
            machine.done = refusal(error)
        if machine.done is not None:
            return self.lift.stop(self, machine.done)
        return out

    def settle(self) -> Sequence[Item]:
        machine = self.machine
        hold = self.hold
        hold.out = []
        try:
            machine.finish()
            if len(hold) and machine.done is None:
                raise RuntimeError(
                    f"{type(machine).__name__}.finish() of {self.lift.name} left {len(hold)} characters in the hold: "
                    "keep or replace them"
                )
        except Exception as error:
            machine.done = refusal(error)
        if machine.done is not None:
            return self.lift.stop(self, machine.done)
        return hold.out


class Lift(Machine):
    """A text machine per channel and run, lifted to items.

    Args:
        start: gives a fresh text machine for each run.
        name: the stage's, for errors.
        kinds: the kinds of channel it applies to; other text passes. None: every kind but tool arguments, which are JSON.
        choices: how many choices the stream will have; a stopped stream is over when all are, seen or not.

    Example:
        >>> lift = Lift(lambda: mapping(str.upper), "Shout")
        >>> lift.feed(TextDelta("a", Channel("answer", (0, 1))))
        (TextDelta('A', Channel(kind='answer', key=(0, 1))),)
    """

    def __init__(
        self, start: Callable[[], TextMachine], name: str, *, kinds: Iterable[str] | None = ("answer",), choices: int = 1
    ) -> None:
        self.name = name
        self._start = start
        self._kinds = None if kinds is None else frozenset(kinds)
        self._choices = choices
        self._plain: _Run | None = None  # the run of PLAIN, which plain streams ask for at every item
        self._runs: dict[Channel, _Run] = {}
        self._offsets: dict[Channel, int] = {}
        self._seen: set[Key] = set()
        self._stopped: set[Key] = set()
        self._finished: set[Key] = set()

    def feed(self, item: Item) -> Sequence[Item]:
        kind = type(item)
        if kind is str:
            run = self._plain
            if run is None:
                run = self._plain = self._runs.get(PLAIN) or self._open(PLAIN)
            return run.feed(item)  # type: ignore[arg-type]  # its exact type is str
        if kind is TextDelta:
            channel: Channel = item.channel  # type: ignore[union-attr]  # its exact type is TextDelta
            run = self._runs.get(channel)
            if run is None:
                run = self._open(channel)
            return run.feed(item)  # type: ignore[arg-type]
        return self._event(item)

    def finish(self) -> Sequence[Item]:
        return () if self.ended else self._settle(())

    def rescue(self) -> Sequence[Item]:
        holds = [run.buffer for run in self._runs.values() if run.buffer is not None]
        return [event for hold in holds for event in hold.drop() if isinstance(event, Usage)]

    @property
    def held(self) -> int:
        return sum(len(run.buffer) for run in self._runs.values() if run.buffer is not None)

    # ------------------------------------------------------------------ runs

    def _open(self, channel: Channel) -> _Run:
        """What the text of a channel meets, at the beginning of a run."""
        choice = channel.choice
        self._seen.add(choice)
        run: _Run
        if choice in self._stopped:
            run = _MUTED
        elif channel.kind == "tool_arguments" if self._kinds is None else channel.kind not in self._kinds:
            run = _PASSING
        else:
            machine = self._start()
            if isinstance(machine, Mapping):
                run = _Mapped(self, machine.fn)
            elif isinstance(machine, TextMachine):
                run = _Held(self, machine, channel, self._offsets.get(channel, 0))
            else:
                raise TypeError(f"start() of {self.name} gave {type(machine).__name__}: a TextMachine is needed")
        self._runs[channel] = run
        return run

    def _settle(self, scope: Channel | Key) -> list[Item]:
        """End every run under a barrier, in the order in which they began."""
        out: list[Item] = []
        for channel in [channel for channel in self._runs if covers(scope, channel)]:
            run = self._runs[channel]  # muted by now, if one that settled before it stopped their choice
            out += run.settle()
            if self.ended:
                break
            if run.buffer is not None:
                self._offsets[channel] = run.buffer.offset
            del self._runs[channel]  # the next text in it begins another
            if channel == PLAIN:
                self._plain = None
        return out

    # ------------------------------------------------------------------ events

    def _event(self, event: Item) -> Sequence[Item]:
        if isinstance(event, str):
            return self.feed(str.__str__(event))  # a subclass of str, as some clients give
        if not isinstance(event, Event):
            raise TypeError(wrong_item(self.name, event))
        if isinstance(event, TextDelta):
            return self.feed(TextDelta(event.text, event.channel, event.origin))
        scope = event.scope
        if scope is None:
            return (event,)
        choice = scope.choice if isinstance(scope, Channel) else scope[:2]
        if choice:
            self._seen.add(choice)
        if choice in self._stopped and scope != ():
            return _swallow(event)
        if isinstance(scope, Channel) and not event.boundary:
            run = self._runs.get(scope)
            hold = None if run is None else run.buffer
            if hold is None or not len(hold):
                return (event,)
            hold.pin(event)
            return ()
        out = self._settle(scope)
        if self.ended:
            return out
        if choice in self._stopped and scope != ():  # settling found a stop
            return [*out, *_swallow(event)]
        out.append(event)
        if isinstance(event, End):
            self.ended = True
        elif isinstance(event, Finish):
            self._finished.add(choice)
            if self._stopped:
                out += self._over()
        return out

    # ------------------------------------------------------------------ stopping

    def stop(self, run: _Held, done: Finish | End) -> Sequence[Item]:
        """A text machine is done, with this as its last word."""
        hold = run.hold
        survivors = [event for event in hold.drop() if isinstance(event, Usage)]
        out = hold.out
        if isinstance(done, End):
            return [*out, *survivors, *self.end(done)]
        choice = run.channel.choice
        self._stopped.add(choice)
        for channel in self._runs:
            if channel.choice == choice:
                other = self._runs[channel]
                if other is not run and other.buffer is not None:
                    survivors += [event for event in other.buffer.drop() if isinstance(event, Usage)]
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
        self.ended = True
        self._runs.clear()
        self._plain = None
        return (end,)


class Chain(Machine):
    """Machines in a row, as one: each is fed what the one before it gives.

    Args:
        machines: in order.
        drains: whether usage passes that comes after one of them has ended the stream.

    Example:
        >>> Chain([Lift(lambda: mapping(str.upper), "Shout"), Machine()]).feed("a")
        ('A',)
    """

    def __init__(self, machines: Sequence[Machine], *, drains: bool = False) -> None:
        self.machines = tuple(machines)
        self._drains = drains
        self._feed_first = machines[0].feed
        self._feed_rest = tuple(machine.feed for machine in machines[1:])

    def feed(self, item: Item) -> Sequence[Item]:
        items = self._feed_first(item)
        for feed in self._feed_rest:
            if len(items) != 1:
                if not items:
                    return items
                for machine in self.machines[self._feed_rest.index(feed) + 1 :]:
                    items = self._feed_all(machine, items)
                break
            items = feed(items[0])
        if items and type(items[-1]) is End:
            return [*items[:-1], *self.rescue(), items[-1]]
        return items

    def _feed_all(self, machine: Machine, items: Sequence[Item]) -> list[Item]:
        """Feed one machine several items. If it ends the stream at one of them, the others have come too late."""
        out: list[Item] = []
        for n, item in enumerate(items, 1):
            out += machine.feed(item)
            if out and type(out[-1]) is End:
                end = out.pop()
                if self._drains:
                    out += [passed for late in items[n:] for passed in machine.drain(late)]
                return [*out, end]
        return out

    def finish(self) -> Sequence[Item]:
        # If a machine ended the stream, what those before it still hold dies.
        first = next((i for i, machine in enumerate(self.machines) if machine.ended), 0)
        items: list[Item] = []
        for machine in self.machines[first:]:
            items = self._feed_all(machine, items)
            items += machine.finish()
        return [*items[:-1], *self.rescue(), items[-1]] if items and type(items[-1]) is End else items

    def rescue(self) -> Sequence[Item]:
        items: list[Item] = []
        for machine in self.machines:
            items = [out for item in items for out in machine.drain(item)]
            if not machine.ended:
                items += machine.rescue()
        return items

    def drain(self, item: Item) -> Sequence[Item]:
        items: Sequence[Item] = (item,)
        for machine in self.machines:
            items = [out for item in items for out in machine.drain(item)]
        return items

    @property
    def ended(self) -> bool:  # type: ignore[override]  # of a chain it is not set, but seen
        """Whether one of the machines has given an `End`."""
        return any(machine.ended for machine in self.machines)

    @property
    def held(self) -> int:
        return sum(machine.held for machine in self.machines)


def refusal(error: BaseException) -> End:
    """The end of a stream because something in it raised. What would look like the end of an iterator does not (PEP 479)."""
    if isinstance(error, StopIteration | StopAsyncIteration):
        cause, error = error, RuntimeError(f"a function in the pipeline raised {type(error).__name__}")
        error.__cause__ = cause
    return End("error", error)


def _swallow(event: Event) -> Sequence[Item]:
    """An event of a stopped choice: only usage survives."""
    return (event,) if isinstance(event, Usage) else ()


def wrong_item(stage: str, item: object) -> str:
    """Why an item is no text, and what its sender should do instead."""
    kind = type(item)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
    if item is None:
        hint = "skip empty pieces in the source"
    elif isinstance(item, bytes | bytearray | memoryview):
        hint = "decode text with codecs.getincrementaldecoder, or read a provider's stream with sf.text_of(source)"
    else:
        hint = "read a provider's stream with sf.text_of(source), or keep its chunks with providers.openai.chat.wrap(pipeline)"
    return f"{stage} was fed {name} where text is expected: {hint}"
