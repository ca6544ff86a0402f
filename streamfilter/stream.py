"""The one driver: it reads a source, feeds a machine, and gives what the machine releases.

This is the only place that awaits a source and the only place that closes one. A stream ends in one of three ways:

- *The source ran out*: held text settles and leaves; the source is closed.
- *A stage ended it*: what was decided before leaves; the source is closed; then the stage's error, if any, is raised.
- *An error, a cancel, `aclose`, leaving the `async with`*: held text dies; the source is closed; the same exception goes on.

A machine that waits gets a pump between itself and this driver (`pump`): what it gives by itself then arrives here too.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

from streamfilter.closing import Closing
from streamfilter.context import AfterStop, Context, Report
from streamfilter.errors import clear_text
from streamfilter.items import End, TextDelta
from streamfilter.machine import Machine
from streamfilter.observer import Ending
from streamfilter.outcome import Outcome
from streamfilter.slices import SLICE_CHARS, Steps, advanced, give_way

if TYPE_CHECKING:
    from streamfilter.pump import Pump
    from streamfilter.stats import Stats

T_co = TypeVar("T_co", covariant=True)

Function: TypeAlias = Callable[[AsyncIterator[Any]], AsyncIterator[Any]]
"""An async generator function, or anything else that takes an async iterator and gives one."""

_GONE = Machine()  # of a stream that is over


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
        outcome: Outcome,
        inner: bool,
        is_live: bool,
        stage: object = None,
    ) -> None:
        self.report: Report = context.report
        self._machine = machine
        self._feed: Callable[[Any], Sequence[Any]] = machine.feed
        self._source = source
        self._name = name
        self._stage = stage
        self._below = below  # what stands beneath async generator functions
        self._closing = Closing(source, below)
        self._pump: Pump | None = None
        self._is_live = is_live  # in an event loop, so that a machine may wait
        self._has_steps = is_live and machine.has_steps
        self._work: Steps | None = None  # on something large, that goes on
        self._context = context
        self._inner = inner  # beneath an async generator function: its errors are raised by the stream on top
        self._outcome = outcome
        self._step: Callable[[], Awaitable[Any]] | None = None
        self._ready: Sequence[T_co] = ()  # made and not yet given, from self._next on
        self._next = 0
        self._read_all = False  # nothing more will be read
        self._stopped = False  # because a stage said so
        self._refused = False  # with an error
        self._error: BaseException | None = None  # that one
        self._settled = False  # nothing more will be made

    @property
    def held(self) -> int:
        """How many characters are held now."""
        return self._machine.held

    @property
    def stats(self) -> Stats:
        """What is measured of this stream, while it runs and after.

        Raises:
            RuntimeError: it is not measured; the message says how it would be.
        """
        gauge = self._context.gauge
        if gauge is None:
            raise RuntimeError("this stream is not measured: start it with context=Context(stats=True)")
        return gauge.stats

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self

    async def __anext__(self) -> T_co:
        if self._ready:
            item: T_co = self._ready[self._next]
            self._next += 1
            if self._next == len(self._ready):
                self._ready = ()
            return item
        step = self._step
        if step is None and self._read_all:
            return await self._finish()
        try:
            if step is None:
                step = self._start()
            while True:
                if (work := self._work) is not None:
                    await give_way()
                    if self._read_all:  # the stream was closed in the turn of another
                        break
                    items = self._worked(work)
                else:
                    try:
                        arrived = await step()
                    except StopAsyncIteration:
                        self._stop_reading()
                        break
                    feed = self._feed  # as it is now: the stream may have been left meanwhile
                    if (type(arrived) is str and len(arrived) <= SLICE_CHARS) or not self._has_steps:
                        items = feed(arrived)
                    else:
                        items = self._fed(arrived)
                if len(items) == 1 and type(items[0]) is not End:  # nearly always
                    return items[0]  # type: ignore[no-any-return]
                if items and type(items[-1]) is End:
                    items = self._end(items)
                if self._read_all:  # so it is too if the stream was left meanwhile
                    break
                if items:
                    item, *self._ready = items
                    self._next = 0
                    return item
        except BaseException as error:
            arrived = items = feed = None  # type: ignore[assignment]  # what reports errors records variables
            await self._abandon(error)
            raise
        arrived = items = feed = None  # type: ignore[assignment]
        if self._settled and self._outcome.fault is not None:  # another task has left: here it must not seem whole
            await self._closing.close()  # what was at work for this task could not be closed there
            raise RuntimeError(f"the stream of {self._name} has failed in another task that read it, or a thread: let one read it")
        return await self.__anext__()

    async def aclose(self) -> None:
        """Leave: held text dies and the source is closed. Closing twice does nothing more."""
        self._stop_reading()
        self._settled = True
        self._ready = ()
        await self._leave()

    async def __aenter__(self) -> Stream[T_co]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            await self._abandon(error)

    def __del__(self) -> None:
        # Python cannot see a `break`: without `async with`, nobody but the garbage collector learns that the consumer has left.
        if not (hasattr(self, "_closing") and self._closing.is_open):
            return
        if self._pump is not None:
            self._pump.abandon()
        else:
            self._machine.cancel()
        if not self._inner:
            self._context.ended(Ending("left"))
            warnings.warn(
                f"the stream of {self._name} was dropped before its end, so its source was not closed: "
                "write `async with stage(source) as stream`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    # ------------------------------------------------------------------

    def _start(self) -> Callable[[], Awaitable[Any]]:
        if not self._inner:
            self._context.begin(self._stage)
        iterator = self._source.__aiter__()
        self._closing.begin(iterator)
        step: Callable[[], Awaitable[Any]] = iterator.__anext__
        if self._machine.waits and self._is_live:
            from streamfilter.pump import Pump  # noqa: PLC0415  # few streams wait

            self._pump = Pump(self._machine, step, self._closing, drains=self._context.after_stop == "drain", name=self._name)
            self._feed, self._has_steps = _as_they_are, False
            step = self._pump.__anext__
        self._step = step
        return step

    def _fed(self, item: Any) -> Sequence[Any]:
        """What comes of an item at once. If that takes long, more comes with the next steps."""
        if type(item) is TextDelta and len(item.text) <= SLICE_CHARS:
            return self._feed(item)
        items, self._work = self._machine.begin(item)
        return items

    def _worked(self, work: Steps) -> Sequence[Any]:
        """What the next step of the work gives."""
        items, is_over = advanced(work)
        if is_over:
            self._work = None
        return items

    def _stop_reading(self) -> None:
        self._read_all = True
        self._step = None

    def _let_go(self) -> None:
        """Drop the machine, and with it the text it holds."""
        machine, self._machine = self._machine, _GONE
        self._feed, self._has_steps, self._work = _GONE.drain, False, None
        if self._pump is not None:
            self._pump.let_go()
        elif not self._outcome.is_complete:  # else all that it held has left
            machine.cancel()

    def _end(self, items: Sequence[Any]) -> Sequence[Any]:
        """A stage ended the stream: what leaves before that, with the stage's error noted for the very end."""
        end: End = items[-1]
        self._stopped = self._outcome.is_stopped = True
        if end.error is not None:
            self._refused, self._error = True, end.error
        if self._context.after_stop == "drain":
            self._drain()
        else:
            self._stop_reading()
            self._ready, self._next = items[:-1], 0
        return items[:-1]

    def _drain(self) -> None:
        """Let only usage pass from now on, here and in the streams beneath."""
        if self._pump is None:
            self._feed, self._has_steps = self._machine.drain, False
        else:
            self._pump.drain()
        for below in self._below:
            if isinstance(below, Stream):
                Stream._drain(below)

    async def _finish(self) -> T_co:
        """Nothing more is read, and all that was ready is delivered: settle, close, end."""
        try:
            if not self._settled:
                if self._stopped:
                    await self._close()
                items = () if self._refused else await self._rest()
                if self._refused:
                    self._settled = True
                elif items and type(items[-1]) is End:
                    items = self._end(items)
                if items or not self._settled:
                    self._ready, self._next = items, 0
                    return await self.__anext__()
            if not self._inner:
                self._outcome.is_complete = True
            await self._leave()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            await self._abandon(error)
            if self._error is None or not isinstance(error, Exception):
                raise
        # A refusal beneath an async generator function is raised on top of it, unless a stage has ended the stream before that.
        refusal, self._error = self._error if self._stopped else self._outcome.error, None
        self._outcome.error = refusal if self._inner else None
        if refusal is not None and not self._inner:
            clear_text(refusal)
            raise refusal
        raise StopAsyncIteration

    async def _rest(self) -> Sequence[Any]:
        """What the machine gives when it is finished. One that waits gives it bit by bit."""
        if self._pump is None:
            self._settled = True
            return self._machine.finish()
        items = await self._pump.settle()
        self._settled = self._settled or self._pump.is_settled
        return items

    async def _leave(self) -> None:
        try:
            try:
                self._let_go()
            finally:
                await self._close()
        except BaseException as error:
            self._outcome.fault = self._outcome.fault or error
            raise
        finally:
            if not self._inner:  # those beneath have ended before this one
                self._context.ended(self._outcome.ending(self._error if self._stopped else self._outcome.error))

    async def _abandon(self, error: BaseException) -> None:
        """Close because of an exception that goes on: an error in closing does not replace it."""
        if not self._inner:  # what is raised beneath may be caught on the way
            self._outcome.fault = error
        try:
            await self.aclose()
        except (Exception, BaseExceptionGroup):  # the one under way says more
            return
        finally:
            clear_text(error)

    async def _close(self) -> None:
        await (self._closing.close() if self._pump is None else self._pump.close())


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
    segments: Sequence[Segment],
    source: AsyncIterable[Any],
    context: Context | None,
    after_stop: AfterStop,
    *,
    is_live: bool,
    stage: object = None,
) -> Stream[Any]:
    """The stream of a pipeline. The last segment has a machine, if only an empty one.

    Args:
        is_live: whether it will be read in an event loop, so that machines may wait.
        stage: what the stream is made by, for observers.
    """
    if after_stop not in ("close", "drain"):
        raise ValueError(f"after_stop={after_stop!r}: 'close' or 'drain' is needed")
    check_source(source)
    if context is not None and not isinstance(context, Context):
        raise TypeError(f"context is {type(context).__qualname__}: a Context is needed")
    context = Context.started(context, after_stop)
    outcome = Outcome()
    first = next(segment for segment in segments if segment.function is None)
    below: tuple[object, ...] = ()
    for segment in segments:
        if segment.function is not None:
            below = (source, *below)
            source = segment.function(aiter(source))
            check_source(source, f"what {segment.name} gave")
        else:
            machine = segment.start(context) if segment.start is not None else Machine()
            stream: Stream[Any] = Stream(
                _gated(machine, context, is_first=segment is first, is_last=segment is segments[-1]),
                source,
                name=segment.name,
                context=context,
                below=below,
                outcome=outcome,
                inner=segment is not segments[-1],
                is_live=is_live,
                stage=stage,
            )
            source, below = stream, ()
    assert isinstance(source, Stream)
    return source


def _gated(machine: Machine, context: Context, *, is_first: bool, is_last: bool) -> Machine:
    """A segment's machine, measured if the stream is."""
    if context.gauge is None:
        return machine
    from streamfilter.metering import Gate  # noqa: PLC0415  # few streams are measured

    return Gate(machine, context.gauge, is_first=is_first, is_last=is_last)


def _as_they_are(items: Sequence[Any]) -> Sequence[Any]:
    """What a pump gives has been through the machine."""
    return items


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
    elif hasattr(source, "model_dump"):  # of pydantic, which iterates over its fields
        hint = "it is one object, no stream: ask for stream=True, or use filter_response of its format"
    elif hasattr(source, "__iter__"):
        hint = "here use `stage(source)`" if hasattr(source, "held") else "for a plain iterable use `for text in stage.iter(items)`"
    elif hasattr(source, "explain"):
        hint = "it is a stage: call it with a source, `stage(source)`, and join stages with `|`"
    else:
        hint = "call it first, or join it as a stage: `stage | function`" if callable(source) else "give an async iterable"
    raise TypeError(f"{what} is {type(source).__qualname__}, not an async iterable: {hint}")
