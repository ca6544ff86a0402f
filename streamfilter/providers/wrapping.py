"""What every provider's format has: `Decode`, `Encode`, and `wrap`, which is both around a text pipeline.

A format gives a reader and a writer for one stream. Nothing is known here of what chunks look like.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeAlias, TypeVar, overload

from pydantic import Field

from streamfilter.context import AfterStop, Context
from streamfilter.items import End, Event, Item, Key, Usage
from streamfilter.machine import Machine
from streamfilter.pipeline import Pipeline, Stage, TextStage, as_stage, machine_of, stage
from streamfilter.plain import SyncStream
from streamfilter.providers.bodies import PlainResponse, Response, opened, opened_plain
from streamfilter.stream import Stream

Chunk = TypeVar("Chunk")

MAX_AGGREGATE = 1_000_000
"""Characters of one channel that are kept because an event may repeat them: four times the longest answers of today's models."""

Aggregate: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
"""Such a number."""

Quote = Callable[[str], str]
"""Filters a text that a chunk quotes, as a whole."""


class Origin(Protocol):
    """A chunk that was read.

    Attributes:
        items: all that was read from it, in order.
    """

    @property
    def items(self) -> list[Item]: ...


class Reader(Protocol):
    """One stream of chunks, read.

    Attributes:
        as_bytes: whether it came as bytes.
    """

    as_bytes: bool

    def read(self, item: object) -> Iterator[Any]:
        """What was read from one item of the source: an `Origin` for each chunk, an `End` behind the last good one."""
        ...

    def finish(self) -> Iterator[Any]:
        """What was left in bytes when the source ended."""
        ...


class Writer(Protocol):
    """One stream of chunks, written.

    Attributes:
        as_bytes: whether to give bytes.
        max_aggregate: characters of one channel that are kept because an event may repeat them. What repeats more is filtered by
            itself, as a quote.
    """

    as_bytes: bool
    max_aggregate: int

    def note(self, origin: Any) -> None:
        """A chunk has arrived."""

    def write(self, items: Iterable[Item]) -> list[Any]:
        """The chunks for what came out of one source chunk. An `End` stays the last."""
        ...

    def finish(self) -> list[Any]:
        """What ends the stream after all else."""
        ...

    def rest(self) -> list[Any]:
        """What is left of the end of what was sent last."""
        ...


class Format(Protocol):
    """A provider's format.

    Attributes:
        name: as one writes it: `"openai.chat"`.
        unit: what its chunks are called.
    """

    name: str
    unit: str

    def reader(self, stage: str, seen: set[Key]) -> Reader:
        """Begin to read a stream."""
        ...

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        """Begin to write one."""
        ...


@stage
class DecodeStage(Stage[Any, Item]):
    """Chunks of a provider to items."""

    format: ClassVar[Format]
    reads: ClassVar[str] = "chunks"

    if TYPE_CHECKING:  # responses are read too

        def __call__(
            self, source: AsyncIterable[Any] | Response, *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> Stream[Item]: ...
        def iter(
            self, items: Iterable[Any] | PlainResponse, *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> SyncStream[Item]: ...

    def _opened(self, source: Any, *, is_live: bool) -> Any:
        return opened(source) if is_live else opened_plain(source)

    def machine(self, context: Context | None = None) -> Machine:
        return Decoding(self.format.reader(f"{self.format.name}.Decode", set() if context is None else context.seen))

    def explanation(self) -> str:
        return f"reads {self.format.unit}; holds nothing"


class Decoding(Machine):
    """The machine of `Decode`.

    Args:
        reader: of the stream.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def feed(self, item: Any) -> Sequence[Item]:
        return self._items(self._reader.read(item))

    def finish(self) -> Sequence[Item]:
        return () if self.ended else self._items(self._reader.finish())

    def drain(self, item: Any) -> Sequence[Item]:
        return [out for out in self.feed(item) if isinstance(out, Usage)]

    def _items(self, origins: Iterator[Any]) -> Sequence[Item]:
        out: list[Item] = []
        for origin in origins:
            if isinstance(origin, End):
                self.ended = True
                return [*out, origin]
            out += origin.items
        return out


@stage
class EncodeStage(Stage[Any, Any]):
    """Items to chunks of a provider.

    Args:
        model: the model's name, for items that come from no chunk.
        as_bytes: whether to give the frames of an event stream; else dicts, or chunks of the class that came.
        max_aggregate: characters of one channel that are kept because an event may repeat them.

    Raises:
        ValueError: `max_aggregate` is negative.
    """

    model: str = ""
    as_bytes: bool = False
    max_aggregate: Aggregate = field(default=MAX_AGGREGATE, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, model: str = ..., as_bytes: bool = ..., *, max_aggregate: int = ...) -> None: ...

    format: ClassVar[Format]
    gives: ClassVar[str] = "chunks"

    def machine(self, context: Context | None = None) -> Machine:
        writer = self.format.writer(str, as_bytes=self.as_bytes, model=self.model)
        writer.max_aggregate = self.max_aggregate
        return _Encoding(self.format.name, writer)

    def explanation(self) -> str:
        return f"writes {self.format.unit}; holds nothing"


class _Encoding(Machine):
    def __init__(self, name: str, writer: Writer) -> None:
        self._name = name
        self._writer = writer

    def feed(self, item: Item) -> Sequence[Any]:
        if not isinstance(item, str | Event):
            kind = type(item).__qualname__
            raise TypeError(f"{self._name}.Encode was fed {kind}: it writes items, text and events; read chunks with Decode")
        out = self._writer.write((item,))
        self.ended = bool(out) and isinstance(out[-1], End)
        return out

    def finish(self) -> Sequence[Any]:
        ending = [] if self.ended else self._writer.write((End("end"),))[:-1]
        return [*ending, *self._writer.finish()]

    def drain(self, item: Item) -> Sequence[Any]:
        return self._writer.write((item,)) if isinstance(item, Usage) else ()


@stage
class WrapStage(Stage[Any, Any]):
    """A text pipeline around a provider's chunks: chunks in, filtered chunks of the same type out.

    Args:
        pipeline: what the text goes through.
        max_aggregate: characters of one channel that are kept because an event may repeat them. What repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, must wait, or is none of text stages.
        ValueError: `max_aggregate` is negative.
    """

    if TYPE_CHECKING:
        pipeline: Stage[str, str]
    else:  # `compile` says more of what is wrong with a pipeline than a validator would
        pipeline: Any
    max_aggregate: Aggregate = field(default=MAX_AGGREGATE, kw_only=True)

    if TYPE_CHECKING:  # the type of the chunks is the source's: dicts, bytes or SDK objects

        @overload
        def __call__(
            self, source: AsyncIterable[Chunk], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> Stream[Chunk]: ...
        @overload
        def __call__(self, source: Response, *, context: Context | None = ..., after_stop: AfterStop = ...) -> Stream[bytes]: ...
        def __call__(self, source: Any, **options: Any) -> Stream[Any]: ...  # pyright: ignore[reportIncompatibleMethodOverride]
        @overload
        def iter(
            self, items: Iterable[Chunk], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> SyncStream[Chunk]: ...
        @overload
        def iter(
            self, items: PlainResponse, *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> SyncStream[bytes]: ...
        def iter(self, items: Any, **options: Any) -> SyncStream[Any]: ...  # pyright: ignore[reportIncompatibleMethodOverride]

    def _opened(self, source: Any, *, is_live: bool) -> Any:
        return opened(source) if is_live else opened_plain(source)

    format: ClassVar[Format]
    reads: ClassVar[str] = "chunks"
    gives: ClassVar[str] = "chunks"

    def compile(self) -> None:
        inner = as_stage(self.pipeline)
        if "chunks" in (inner.reads, inner.gives):
            raise TypeError(f"wrap is for a pipeline of text stages: {inner!r} reads {inner.reads} and gives {inner.gives}")
        inner.machine()  # refuses a pipeline that must wait
        object.__setattr__(self, "pipeline", inner)

    @property
    def must_wait(self) -> bool:
        return bool(self.pipeline.must_wait)

    def machine(self, context: Context | None = None) -> Machine:
        if not self.pipeline.stages:
            return Machine()  # whatever it is: nothing is changed, and so nothing need be understood
        return self.started(context or Context())

    def started(self, context: Context) -> Machine:
        """The machine, where there is something to do."""
        return self.wrapping(self.format, context, machine_of(self.pipeline, context))

    def wrapping(self, form: Format, context: Context, inner: Machine) -> Machine:
        """The machine for streams of a format, around that of the pipeline."""
        reader = form.reader(f"{form.name}.wrap", context.seen)
        writer = form.writer(quoting(self.pipeline, context))
        writer.max_aggregate = self.max_aggregate
        return _Wrapping(inner, reader, writer, drains=context.after_stop == "drain")

    def explanation(self) -> str:
        return f"the text of {self.format.unit}, through\n{self.pipeline.explain()}"


def quoting(pipeline: Stage[Any, Any], context: Context) -> Quote:
    """What filters a text that a chunk quotes, such as a title: the guards of a pipeline, on the text as a whole.

    Example:
        >>> import streamfilter as sf
        >>> quoting(sf.Redact("b+", to="*") | sf.MapText(str.upper), sf.Context())("abba")
        'a*a'
    """
    guards = [part.on("answer") for part in pipeline.stages if isinstance(part, TextStage) and part.is_guard and not part.must_wait]
    joined: Pipeline[Any, Any] = Pipeline(*guards)

    def quoted(text: str) -> str:
        machine = joined.machine(context.decoded())
        out = [*machine.feed(text)]
        if not machine.ended:
            out += machine.finish()
        for item in out:
            if isinstance(item, End) and item.error is not None:
                raise item.error
        return "".join([item for item in out if isinstance(item, str)])

    return quoted if guards else str


class _Wrapping(Machine):
    def __init__(self, inner: Machine, reader: Reader, writer: Writer, *, drains: bool) -> None:
        self._inner = inner
        self._drains = drains
        self._reader = reader
        self._writer = writer
        self._late: list[Item] = []  # usage on the chunk at which a stage ended the stream, while text before it is still held
        self._is_finishing = False
        self.waits = inner.waits
        self.watchers = inner.watchers

    def feed(self, item: Any) -> Sequence[Any]:
        return self._through(self._reader.read(item))

    def finish(self) -> Sequence[Any]:
        self._is_finishing = True
        out: list[Any] = []
        if not self.ended:
            out += self._through(self._reader.finish())
        elif self._drains:
            out += [made for late in self._reader.finish() for made in self._drained(late)]
        if not self.ended:
            out += self._written(self._inner.finish())
        return self._finished(out)

    def collect(self) -> Sequence[Any]:
        out = self._written(self._inner.collect())
        return self._finished(out) if self._is_finishing else out

    def attach(self, wake: Callable[[], None]) -> None:
        self._inner.attach(wake)

    def cancel(self) -> Sequence[Awaitable[object]]:
        return self._inner.cancel()

    @property
    def is_full(self) -> bool:  # type: ignore[override]  # these are the pipeline's
        return self._inner.is_full

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        return self._inner.is_pending

    def drain(self, item: Any) -> Sequence[Any]:
        return [made for origin in self._reader.read(item) for made in self._drained(origin)]

    def _drained(self, origin: Any) -> list[Any]:
        items = [] if isinstance(origin, End) else origin.items
        return self._written([out for each in items for out in self._inner.drain(each)])

    @property
    def held(self) -> int:
        return self._inner.held

    def _through(self, origins: Iterator[Any]) -> Sequence[Any]:
        """Each chunk through the pipeline, and what comes of it written as one."""
        out: list[Any] = []
        for origin in origins:
            if not isinstance(origin, End):
                self._writer.note(origin)
            out += self._written(self._fed(origin.items if not isinstance(origin, End) else [origin]))
            if self.ended:
                end = out.pop()
                if self._drains:
                    out += [made for late in origins for made in self._drained(late)]
                return [*out, end]
            if self._inner.ended and not self._drains:
                break
        return out

    def _fed(self, items: Sequence[Item]) -> list[Item]:
        """What comes of one chunk's items. If the stream ends at one of them, usage on the same chunk still counts."""
        out: list[Item] = []
        for item in items:
            if self._inner.ended:
                self._late += self._inner.drain(item)
            else:
                out += self._inner.feed(item)
        return out

    def _written(self, items: Sequence[Item]) -> list[Any]:
        self._writer.as_bytes = self._reader.as_bytes
        if items and isinstance(items[-1], End):
            self.ended = True
            items = [*items[:-1], *self._late, items[-1]]
        return self._writer.write(items)

    def _finished(self, out: list[Any]) -> Sequence[Any]:
        """If a stage has ended the stream, what ends it for the client."""
        end = [out.pop()] if out and isinstance(out[-1], End) else []
        return [*out, *(self._writer.finish() if self.ended else self._writer.rest()), *end]
