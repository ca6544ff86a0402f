"""Machines: what a stage becomes for one stream. They are fed items and say what can be released.

A machine does no I/O and knows nothing of async, sources or consumers; everything here is tested with `==`. `feed` is eager and
gives a sequence. A machine says that the stream is over by giving `End` last; from then on it is only `drain`ed, and `finish`ed.

Some machines wait: for a verdict, for a moment in time. They too are only fed and asked; when there is something to `collect` they
call what the driver has `attach`ed. Where nobody is attached, in plain code, they may decide at once or not at all.

In an event loop others want their turn too: a machine that was given something large gives its work in `steps`.

The author of a text stage writes a `TextMachine`, which sees one run of one channel's text and its hold buffer. `lift` makes it a
machine over items, once for all stages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Protocol

from streamfilter.hold import Hold
from streamfilter.items import End, Finish, Item, Usage
from streamfilter.slices import Steps, is_large, sliced, started

if TYPE_CHECKING:
    from streamfilter.runs import Held


class Watcher(Protocol):
    """Told what the driver of a waiting machine is itself waiting for. Called often, so be quick."""

    def reading(self, give_up: Callable[[BaseException], None] | None) -> None:
        """The driver begins to wait for the source's next item; with None, that is over.

        Args:
            give_up: ends the stream with an error, as if the source had raised it.
        """

    def wanted(self, is_wanted: bool) -> None:
        """The consumer begins to wait for an item, or has stopped waiting."""


def _check_steps(cls: type, does: str) -> None:
    """Refuse steps that would never run when they are called: all text would pass a text machine as it came."""
    for step in ("feed", "finish", "collect"):
        function = cls.__dict__.get(step)
        if isgeneratorfunction(function) or iscoroutinefunction(function) or isasyncgenfunction(function):
            raise TypeError(
                f"{cls.__name__}.{step} is a generator or async, so it would never run: make it a plain function that {does}"
            )


class Machine:
    """One stream's mutable state of one stage. As it stands it passes everything.

    Example:
        >>> Machine().feed("text")
        ('text',)
    """

    ended: bool = False
    """Set by a machine that has given an `End`, its own or one that it was fed."""

    waits: bool = False
    """Whether it may give items by themselves, between one `feed` and the next. It does not change."""

    takes_slices: bool = False
    """Whether a text may be fed to it in slices, without any difference but that what leaves unchanged leaves in slices too."""

    watchers: Sequence[Watcher] = ()
    """Who in it is to be told what the driver waits for. They do not change."""

    is_full: bool = False
    """Whether it should not be fed for now, because what it waits for has to come first."""

    plain_run: Held | None = None
    """What plain text meets in it, if that is known: what drives it may feed this, and need not feed it what passes it at rest."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check_steps(cls, "gives a list of items")

    is_pending: bool = False
    """Whether something will still come by itself. After `finish` the machine is not over before this is False."""

    def feed(self, item: Item) -> Sequence[Item]:
        """Take one item in; give what can be released now, in order. After an `End` it is not called again."""
        return (item,)

    def steps(self, item: Any) -> Steps | None:
        """The same, bit by bit: what the steps give is what `feed` gives. None if that takes no time worth a turn for others.

        Until the last step the machine is asked for nothing else, and what comes by itself waits; but it may be left.
        """
        return sliced(self.feed, item) if self.takes_slices and is_large(item) else None

    @property
    def has_steps(self) -> bool:
        """Whether its work is ever given in steps."""
        return self.takes_slices or type(self).steps is not Machine.steps

    def begin(self, item: Any) -> tuple[Sequence[Item], Steps | None]:
        """What comes of an item at once, and the rest of the work on it, if that takes long: what drivers call."""
        work = self.steps(item)
        return (self.feed(item), None) if work is None else started(work)

    def finish(self) -> Sequence[Item]:
        """The input ended, or a stage ended the stream: give what is left."""
        return ()

    def drain(self, item: Item) -> Sequence[Item]:
        """Take one item in after the `End` of a stream that is read to its end: only usage still passes."""
        return (item,) if isinstance(item, Usage) else ()

    def rescue(self) -> Sequence[Item]:
        """A machine behind this one has ended the stream: what is held here dies, but for usage that waits in it."""
        return ()

    def attach(self, wake: Callable[[], None]) -> None:
        """A driver runs the machine in an event loop: `wake` is to be called whenever there is something to `collect`."""

    def collect(self) -> Sequence[Item]:
        """What can be released now that something has come that was waited for."""
        return ()

    def cancel(self) -> Sequence[Awaitable[object]]:
        """The driver leaves, and asks nothing more: give up what is held and what is waited for, at once.

        What takes a while to end is returned, to be awaited.
        """
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
        >>> from streamfilter.lift import Lift
        >>> machine = Lift(Vowels, "Vowels")
        >>> machine.feed("stream")
        ['e', 'a']
    """

    context: int = 0
    """How many released characters `hold.buf` keeps to the left of the held text."""

    passes_empty: bool = True
    """Whether plain text that has none passes where nothing is held. It does not where units leave: it is none."""

    hold: Hold
    done: Finish | End | None = None

    is_pending: bool = False
    """Whether it waits for something before it can settle: until then `finish` may leave text in the hold. See `waiting`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check_steps(cls, "calls hold.keep and hold.replace")

    def feed(self, text: str) -> None:
        """`text` has just been appended to the hold: release what nothing that may still arrive could change."""
        raise NotImplementedError(f"{type(self).__name__}.feed is missing: decide there what may leave the hold")

    def finish(self) -> None:
        """The run ended: release all that is held. By default it leaves unchanged."""
        self.hold.keep(len(self.hold))

    def collect(self) -> None:
        """Something has come that was waited for: release what may leave now."""

    def leave(self) -> None:
        """The stream was left, and nothing more is wanted: let go of what only the garbage collector would find."""


class Mapping(TextMachine):
    """The text machine that holds nothing: a function of each piece. See `mapping`."""

    def __init__(self, fn: Callable[[str], str]) -> None:
        self.fn = fn


def mapping(fn: Callable[[str], str]) -> TextMachine:
    """A text machine that replaces each piece by `fn(piece)` and holds nothing. It needs f(a + b) == f(a) + f(b).

    Example:
        >>> from streamfilter.lift import Lift
        >>> Lift(lambda: mapping(str.upper), "Shout").feed("quiet")
        ('QUIET',)
    """
    return Mapping(fn)


def refusal(error: BaseException) -> End:
    """The end of a stream because something in it raised. What would look like the end of an iterator does not (PEP 479)."""
    if isinstance(error, StopIteration | StopAsyncIteration):
        cause, error = error, RuntimeError(f"a function in the pipeline raised {type(error).__name__}")
        error.__cause__ = cause
    return End("error", error)


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
