"""Plain code: the same driver over a source that never suspends, so that a coroutine runs to its end in one step."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from inspect import isgeneratorfunction
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import BaseModel

from streamfilter.context import Report
from streamfilter.declaration import Declared, show
from streamfilter.errors import StreamFilterError
from streamfilter.items import Event
from streamfilter.stream import Function, Stream

if TYPE_CHECKING:
    from streamfilter.stats import Stats

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class SyncStream(Generic[T_co]):
    r"""What `stage.iter(items)` gives: the same stream for plain code, an iterator and a context manager.

    Attributes:
        report: what the stages have found so far.

    Raises:
        RuntimeError: while streaming: another thread reads it just now.

    Example:
        >>> import streamfilter as sf
        >>> with sf.Redact(r"\d{4}", to="####").iter(["pin 12", "34"]) as stream:
        ...     list(stream)
        ['pin ', '####']
    """

    def __init__(self, stream: Stream[T_co]) -> None:
        self._stream = stream
        self._turn = Lock()  # of who reads
        self.report: Report = stream.report

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return self._stream.held

    @property
    def stats(self) -> Stats:
        """What is measured of this stream, while it runs and after.

        Raises:
            RuntimeError: it is not measured; the message says how it would be.
        """
        return self._stream.stats

    def __iter__(self) -> Iterator[T_co]:
        return self

    def __next__(self) -> T_co:
        if not self._turn.acquire(blocking=False):
            who = "another thread, or by a function of its own stages"
            raise RuntimeError(f"the stream is read already, by {who}: let one read it, and give its items to the others")
        try:
            return run_through(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None
        finally:
            self._turn.release()

    def close(self) -> None:
        """Leave: held text dies and the source is closed."""
        run_through(self._stream.aclose())

    def __enter__(self) -> SyncStream[T_co]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        run_through(self._stream.__aexit__(kind, error, traceback))


class PlainSource:
    """A plain iterable as an async source that never suspends."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items
        self._iterator: Iterator[Any] | None = None

    def __aiter__(self) -> PlainSource:
        return self

    async def __anext__(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._items)
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    @property
    def ag_running(self) -> bool:
        """Whether a generator is at work for another thread, as async generators say it."""
        return getattr(self._iterator, "gi_running", False)

    def close(self) -> None:
        """Close the iterable if it can be closed, and the iterator it gave."""
        iterator, self._iterator = self._iterator, None
        for target in (iterator, self._items if self._items is not iterator else None):
            close = getattr(target, "close", None)
            if close is not None:
                close()


def run_through(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to wait for."""
    try:
        step.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    step.close()
    raise RuntimeError("a source or a stage suspended in plain code: use `async for` over stage(source)")


def check_items(items: object) -> None:
    """Refuse what cannot be iterated plainly, saying what would be right."""
    if isinstance(items, str | bytes):
        hint = "for a whole text use stage.apply(text), for the body of a response stage.iter([body])"
        raise TypeError(f"items is {type(items).__qualname__}: {hint}")
    if isinstance(items, dict) or getattr(type(items), "__iter__", None) is BaseModel.__iter__:  # its fields are no chunks
        hint = "ask for stream=True, or use filter_response of its format; one chunk is stage.iter([chunk])"
        raise TypeError(f"items is {type(items).__qualname__}: one object, no stream: {hint}")
    if not hasattr(items, "__iter__"):
        hint = "give an iterable"
        if hasattr(items, "__aiter__"):
            hint = "use `async for text in stage(source)`"
        elif hasattr(items, "__await__"):
            hint = "await it first"
        elif hasattr(items, "explain"):
            hint = "it is a stage: call it with a source, and join stages with `|`"
        elif hasattr(items, "__enter__"):
            hint = "it is a stream manager, enter it first: `with manager as items: stage.iter(items)`"
        raise TypeError(f"items is {type(items).__qualname__}, not a plain iterable: {hint}")


def check_text(text: object, stages: Sequence[Any], method: str) -> None:
    """Refuse what is no text, and stages whose values would be nothing of one."""
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__qualname__}: a str is needed")
    check_gives_text(stages, method)


def check_gives_text(stages: Sequence[Any], method: str) -> None:
    """Refuse stages whose values would be nothing of a text."""
    if (last := values_of(stages)) is not None:
        waits = any(part.must_wait for part in stages)
        hint = "`async for value in stage(source)`" if waits else "`*_, value = stage.iter([text])`"
        raise TypeError(f"{type(last).__name__} gives values, and {method} joins text: use {hint}")


def values_of(stages: Sequence[Any]) -> Any:
    """The stage whose values come out of these; None if none do."""
    # What passes anything passes the values before it; but nobody knows what a function makes of them.
    last = next((part for part in reversed(stages) if part.gives != "anything" or part.function is not None), None)
    return last if last is not None and last.gives == "values" else None


class NoText(StreamFilterError, TypeError):
    """A function gave values where text is joined or written, which could not be known before."""


def is_text(item: object) -> bool:
    """Whether an item belongs to a text that is joined or written. An event that a stage gave beside it does not.

    Raises:
        NoText: it is neither: left out, it would be missed by nobody.

    Example:
        >>> import streamfilter as sf
        >>> is_text("a"), is_text(sf.Usage({"total_tokens": 9}))
        (True, False)
        >>> is_text({"a": 1})
        Traceback (most recent call last):
        streamfilter.plain.NoText: a stage gives dict, and text is needed: leave out what gives values, or read them with ...
    """
    if isinstance(item, str):
        return True
    if isinstance(item, Event):
        return False
    hint = "leave out what gives values, or read them with `async for value in stage(source)`"
    raise NoText(f"a stage gives {type(item).__qualname__}, and text is needed: {hint}")


def checked_function(part: object) -> Function:
    """Refuse what is no stage and no function that may be one, saying what would be right. Gives it back."""
    if isinstance(part, Declared) and callable(part):
        raise TypeError(
            f"{show(part)} is no stage, and is not joined with `|`: call it with the stream, {show(part)}(stage(source))"
        )
    if takes_text(part):
        raise TypeError(f"{show(part)} takes one value, not a stream: for text write MapText(function), such as MapText(str.upper)")
    if isinstance(part, str | list | tuple | dict | set | frozenset):
        raise TypeError(f"{type(part).__qualname__} is no stage: join stages with `|`, and call them with a source, stage(source)")
    if hasattr(part, "__aiter__") or hasattr(part, "__iter__"):
        raise TypeError(f"a source ({type(part).__qualname__}) is no stage: call the stage with it, stage(source)")
    if isgeneratorfunction(part):
        raise TypeError(f"{show(part)} is a plain generator function: write `async def`, and `async for` over the stream in it")
    if callable(part):
        return cast("Function", part)
    raise TypeError(f"{type(part).__qualname__} is not a stage: give a Stage or an async generator function")


def takes_text(function: object) -> bool:
    """Whether it is `str` or `bytes`, or one of their methods. Of any other function nobody knows whether it takes a stream.

    Example:
        >>> takes_text(str.upper), takes_text("-".join), takes_text("a"), takes_text(aiter)
        (True, True, False, False)
    """
    owner = getattr(function, "__objclass__", getattr(function, "__self__", None))
    return any(function is kind or owner is kind or type(owner) is kind for kind in (str, bytes))
