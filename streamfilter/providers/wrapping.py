"""What every provider's format has: `Decode`, `Encode`, and `wrap`, which is both around a text pipeline.

A format gives a reader and a writer for one stream. Nothing is known here of what chunks look like.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeAlias, TypeVar, overload

from pydantic import Field

from streamfilter.context import AfterStop, Context
from streamfilter.items import End, Item, Key
from streamfilter.machine import Machine
from streamfilter.pipeline import Pipeline, Stage, TextStage, as_stage, machine_of, stage
from streamfilter.plain import SyncStream
from streamfilter.providers.bodies import PlainResponse, Response, opened, opened_plain
from streamfilter.providers.machines import Decoding, Encoding, Reader, Wrapping, Writer
from streamfilter.slices import advanced, give_way
from streamfilter.stream import Stream

Chunk = TypeVar("Chunk")

MAX_AGGREGATE = 1_000_000
"""Characters of one channel that are kept because an event may repeat them: four times the longest answers of today's models."""

Aggregate: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
"""Such a number."""

Quote = Callable[[str], str]
"""Filters a text that a chunk quotes, as a whole."""


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
        return Encoding(self.format.name, writer)

    def explanation(self) -> str:
        return f"writes {self.format.unit}; holds only what must not leave inside of a call, or without the rest of it"


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
        if inner.gives == "values":  # all of the answer would be gone
            said = f"wrap gives chunks, which cannot say the values of {inner!r}"
            raise TypeError(f"{said}: read `Decode() | stage`")
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
        return Wrapping(inner, reader, writer, drains=context.after_stop == "drain")

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

    return Quoted(lambda: joined.machine(context.decoded())) if guards else str


class Quoted:
    """Filters texts, each as a whole, through machines of one pipeline.

    Args:
        begin: starts a machine.
    """

    def __init__(self, begin: Callable[[], Machine]) -> None:
        self._begin = begin
        self._has_doubts = False

    def __call__(self, text: str) -> str:
        machine = self._begin()
        return self._ended(machine, [*machine.feed(text)])

    async def in_turn(self, text: str) -> str:
        """The same, with turns for others while it works on a large one."""
        machine = self._begin()
        items, work = machine.begin(text)
        out, is_over = [*items], work is None
        while work is not None and not is_over:
            await give_way()
            items, is_over = advanced(work)
            out += items
        return self._ended(machine, out)

    def _ended(self, machine: Machine, out: list[Any]) -> str:
        """What has left in all."""
        if not machine.ended:
            out += machine.finish()
        for item in out:
            if isinstance(item, End) and item.error is not None:
                raise item.error
        return "".join([item for item in out if isinstance(item, str)])

    def doubts(self, text: str) -> bool:
        """Whether a guard would change a text, or hold any of it for what may follow; or would have any before it.

        Texts that belong to nothing may go on one another: behind the first that is doubted, all are.

        Example:
            >>> import streamfilter as sf
            >>> quote = quoting(sf.Redact("pin 42"), sf.Context())
            >>> quote.doubts("a"), quote.doubts("pi"), quote.doubts("n 42")
            (False, True, True)
        """
        if not self._has_doubts:
            machine = self._begin()
            self._has_doubts = "".join(map(str, machine.feed(text))) != text or machine.held > 0
        return self._has_doubts
