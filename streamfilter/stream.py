"""The one driver: it reads a source, feeds a machine, and gives what the machine releases.

This is the only place that awaits a source and the only place that closes one. A stream ends in one of three ways:

- *The source ran out*: held text settles and leaves; the source is closed.
- *A stage ended it*: what was decided before leaves; the source is closed; then the stage's error, if any, is raised.
- *An error, a cancel, `aclose`, leaving the `async with`*: held text dies; the source is closed; the same exception goes on.

Sync use is the same driver: over a source that never suspends, a coroutine runs to its end in one step.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from streamfilter.context import AfterStop, Context, Report
from streamfilter.items import End
from streamfilter.machine import Machine

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Function: TypeAlias = Callable[[AsyncIterator[Any]], AsyncIterator[Any]]
"""An async generator function, or anything else that takes an async iterator and gives one."""


class _Outcome:
    """How a stream and the streams it stands on have ended."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None


class Stream(Generic[T_co]):
    r"""What `stage(source)` gives: an async iterator, and an async context manager that closes the source however it is left.

    Attributes:
        report: what the stages have found so far.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def tokens():
        ...     for token in ["pin 12", "34", " ok"]:
        ...         yield token
        >>> async def main():
        ...     async with sf.Redact(r"\d{4}", to="####")(tokens()) as stream:
        ...         return [text async for text in stream]
        >>> asyncio.run(main())
        ['pin ', '####', ' ok']
    """

    def __init__(
        self,
        machine: Machine,
        source: AsyncIterable[Any],
        *,
        name: str,
        context: Context,
        below: Sequence[object],
        outcome: _Outcome,
        inner: bool,
    ) -> None:
        self.report: Report = context.report
        self._machine = machine
        self._feed: Callable[[Any], Sequence[Any]] = machine.feed
        self._source = source
        self._name = name
        self._below = below  # closed after the source: what stands beneath async generator functions
        self._context = context
        self._inner = inner  # beneath an async generator function: its errors are raised by the stream on top
        self._outcome = outcome
        self._iterator: AsyncIterator[Any] | None = None
        self._step: Callable[[], Awaitable[Any]] | None = None
        self._ready: Sequence[T_co] = ()  # made and not yet given, from self._next on
        self._next = 0
        self._read_all = False  # nothing more will be read
        self._stopped = False  # because a stage said so
        self._refused = False  # with an error
        self._error: BaseException | None = None  # that one
        self._settled = False  # nothing more will be made
        self._closed = False

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return self._machine.held

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self

    async def __anext__(self) -> T_co:
        item: T_co
        if self._ready:
            item = self._ready[self._next]
            self._next += 1
            if self._next == len(self._ready):
                self._ready = ()
            return item
        step = self._step
        if step is None and self._read_all:
            return await self._finish()
        feed = self._feed
        try:
            if step is None:
                step = self._start()
            while True:
                try:
                    arrived = await step()
                except StopAsyncIteration:
                    self._stop_reading()
                    break
                items = feed(arrived)
                if items:
                    if type(items[-1]) is End:
                        items = self._end(items)
                        if self._read_all:
                            self._give(items)
                            break
                        feed = self._feed
                    if len(items) > 1:
                        self._ready = items
                        self._next = 1
                    if items:
                        item = items[0]
                        return item
        except BaseException:
            await self._abandon()
            raise
        return await self.__anext__()

    async def aclose(self) -> None:
        """Leave: held text dies and the source is closed. Closing twice does nothing more."""
        self._stop_reading()
        self._settled = True
        self._ready = ()
        try:
            self._let_go()
        finally:
            await self._close()

    async def __aenter__(self) -> Stream[T_co]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            await self._abandon()

    def __del__(self) -> None:
        # Python cannot see a `break`: without `async with`, nobody but the garbage collector learns that the consumer has left.
        if getattr(self, "_iterator", None) is not None and not self._inner:
            warnings.warn(
                f"the stream of {self._name} was dropped before its end, so its source was not closed: "
                "write `async with stage(source) as stream`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    # ------------------------------------------------------------------

    def _start(self) -> Callable[[], Awaitable[Any]]:
        self._iterator = iterator = self._source.__aiter__()
        self._step = step = iterator.__anext__
        return step

    def _stop_reading(self) -> None:
        self._read_all = True
        self._step = None

    def _let_go(self) -> None:
        """Drop the machine, and with it the text it holds."""
        self._machine = Machine()
        self._feed = self._machine.feed
        if not self._inner:  # those beneath have ended before this one
            self._context.ended()

    def _give(self, items: Sequence[T_co]) -> None:
        self._ready = items
        self._next = 0

    def _end(self, items: Sequence[Any]) -> Sequence[Any]:
        """A stage ended the stream: what leaves before that, with the stage's error noted for the very end."""
        end: End = items[-1]
        self._stopped = True
        if end.error is not None:
            self._refused = True
            self._error = end.error
        if self._context.after_stop == "drain":
            self._drain()
        else:
            self._stop_reading()
        return items[:-1]

    def _drain(self) -> None:
        """Let only usage pass from now on, here and in the streams beneath."""
        self._feed = self._machine.drain
        for below in self._below:
            if isinstance(below, Stream):
                Stream._drain(below)

    async def _finish(self) -> T_co:
        """Nothing more is read, and all that was ready is delivered: settle, close, end."""
        try:
            if not self._settled:
                self._settled = True
                if self._stopped:
                    await self._close()
                if not self._refused:
                    items: Sequence[Any] = self._machine.finish()
                    if items and type(items[-1]) is End:
                        items = self._end(items)
                    self._give(items)
                return await self.__anext__()
            await self._close()
            self._let_go()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            await self._abandon()
            if self._error is None or not isinstance(error, Exception):
                raise
        # A refusal beneath an async generator function is raised on top of it, unless a stage has ended the stream before that.
        refusal, self._error = self._error if self._stopped else self._outcome.error, None
        self._outcome.error = refusal if self._inner else None
        if refusal is not None and not self._inner:
            raise refusal
        raise StopAsyncIteration

    async def _abandon(self) -> None:
        """Close because of an exception that goes on: an error in closing does not replace it."""
        try:
            await self.aclose()
        except Exception:  # the one under way says more
            return

    async def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        iterator, self._iterator = self._iterator, None
        targets = [self._source, *self._below]
        if iterator is not None and iterator is not self._source and hasattr(iterator, "aclose"):
            targets.insert(0, iterator)
        failure: BaseException | None = None
        for target in targets:
            try:
                await _close(target)
            except BaseException as error:  # the others are closed all the same
                failure = failure or error
        if failure is not None:
            raise failure


async def _close(source: object) -> None:
    """Close by `aclose()`, else `close()`, async or plain; what has neither needs no closing."""
    close = getattr(source, "aclose", None) or getattr(source, "close", None)
    if close is not None:
        result = close()
        if hasattr(result, "__await__"):
            await result


class Segment(NamedTuple):
    """A part of a pipeline that has one driver: machines in a row, or an async generator function.

    Attributes:
        name: for errors.
        start: starts the machine.
        function: or what is called with the stream so far.
    """

    name: str
    start: Callable[[Context], Machine] | None = None
    function: Function | None = None


def open_stream(
    segments: Sequence[Segment], source: AsyncIterable[Any], context: Context | None, after_stop: AfterStop
) -> Stream[Any]:
    """The stream of a pipeline. The last segment has a machine, if only an empty one."""
    if after_stop not in ("close", "drain"):
        raise ValueError(f"after_stop={after_stop!r}: 'close' or 'drain' is needed")
    check_source(source)
    if context is not None and not isinstance(context, Context):
        raise TypeError(f"context is {type(context).__qualname__}: a Context is needed")
    context = (context or Context()).started(after_stop)
    outcome = _Outcome()
    below: list[object] = []
    for segment in segments:
        if segment.function is not None:
            below = [source, *below]
            source = segment.function(aiter(source))
            check_source(source, f"what {segment.name} gave")
        else:
            start = segment.start or (lambda _: Machine())
            stream: Stream[Any] = Stream(
                start(context),
                source,
                name=segment.name,
                context=context,
                below=below,
                outcome=outcome,
                inner=segment is not segments[-1],
            )
            source, below = stream, []
    assert isinstance(source, Stream)
    return source


class SyncStream(Generic[T_co]):
    r"""What `stage.iter(items)` gives: the same stream for plain code, an iterator and a context manager.

    Attributes:
        report: what the stages have found so far.

    Example:
        >>> import streamfilter as sf
        >>> with sf.Redact(r"\d{4}", to="####").iter(["pin 12", "34"]) as stream:
        ...     list(stream)
        ['pin ', '####']
    """

    def __init__(self, stream: Stream[T_co]) -> None:
        self._stream = stream
        self.report: Report = stream.report

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return self._stream.held

    def __iter__(self) -> Iterator[T_co]:
        return self

    def __next__(self) -> T_co:
        try:
            return run_through(self._stream.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

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


def check_source(source: object, what: str = "the source") -> None:
    """Refuse what cannot be iterated asynchronously, saying what would be right."""
    if hasattr(source, "__aiter__"):
        return
    if isinstance(source, str | bytes):
        hint = "for a whole text use stage.apply(text), for the body of a response stage.iter([body])"
    elif hasattr(source, "__await__"):
        hint = "await it first: `stage(await client.create(...))`"
    elif hasattr(source, "__aenter__") or (hasattr(source, "__enter__") and not hasattr(source, "__iter__")):
        hint = "it is a stream manager, enter it first: `async with manager as source: stage(source)`"
    elif hasattr(source, "__iter__"):
        hint = "for a plain iterable use `for text in stage.iter(items)`"
    elif callable(source):
        hint = "call it first, or join it as a stage: `stage | function`"
    else:
        hint = "give an async iterable"
    raise TypeError(f"{what} is {type(source).__qualname__}, not an async iterable: {hint}")


def check_items(items: object) -> None:
    """Refuse what cannot be iterated plainly, saying what would be right."""
    if isinstance(items, str | bytes):
        hint = "for a whole text use stage.apply(text), for the body of a response stage.iter([body])"
        raise TypeError(f"items is {type(items).__qualname__}: {hint}")
    if not hasattr(items, "__iter__"):
        hint = "give an iterable"
        if hasattr(items, "__aiter__"):
            hint = "use `async for text in stage(source)`"
        elif hasattr(items, "__await__"):
            hint = "await it first"
        elif hasattr(items, "__enter__"):
            hint = "it is a stream manager, enter it first: `with manager as items: stage.iter(items)`"
        raise TypeError(f"items is {type(items).__qualname__}, not a plain iterable: {hint}")
