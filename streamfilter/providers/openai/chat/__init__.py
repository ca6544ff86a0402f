"""OpenAI's chat completion streams, and those of the services that speak the same format.

`wrap(pipeline)` is what applications use: chunks in, filtered chunks of the same type out. `Decode` and `Encode` are its halves.
SDK objects, dicts and the raw bytes of an event stream are read alike; no SDK is imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from streamfilter.context import AfterStop, Context
from streamfilter.items import End, Event, Item, Key, Usage
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, as_stage, stage
from streamfilter.plain import SyncStream
from streamfilter.providers.openai.chat.reading import Decoding, Origin, Reader
from streamfilter.providers.openai.chat.writing import Writer, new_head
from streamfilter.stream import Stream

__all__ = ["Decode", "Encode", "Wrap", "wrap"]

Chunk = TypeVar("Chunk")


@stage
class Decode(Stage[Any, Item]):
    """Chat completion chunks to items: text by channel, tool calls, finish reasons, usage, errors.

    The channels of choice n are `Channel("answer", (0, n, "content"))`, `"refusal"`, `"reasoning"` (by the spelling of its field)
    and `"tool_arguments"`. All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no chunk, no dict and no bytes.
        MalformedInput: bytes are no event stream of chunks; all before that is given first.

    Example:
        >>> chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        >>> for item in Decode().iter([chunk]):
        ...     print(item)
        TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'content')))
        Finish(scope=(0, 0), boundary=False, reason='stop')
    """

    reads: ClassVar[str] = "chunks"

    def machine(self, context: Context | None = None) -> Machine:
        return Decoding("openai.chat.Decode", set() if context is None else context.seen)


@stage
class Encode(Stage[Any, Any]):
    """Items to chat completion chunks.

    Args:
        model: the model's name, for items that come from no chunk.
        as_bytes: whether to give the frames of an event stream, `[DONE]` included; else dicts, or chunks of the class that came.

    Example:
        >>> import streamfilter as sf
        >>> [chunk["choices"] for chunk in Encode().iter(["Hi"])]
        [[{'index': 0, 'delta': {'content': 'Hi', 'role': 'assistant'}, 'finish_reason': None}],
         [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]]
    """

    model: str = ""
    as_bytes: bool = False

    if TYPE_CHECKING:

        def __init__(self, model: str = ..., as_bytes: bool = ...) -> None: ...

    gives: ClassVar[str] = "chunks"

    def machine(self, context: Context | None = None) -> Machine:
        return _Encoding(Writer(as_bytes=self.as_bytes, head=new_head(self.model)))


class _Encoding(Machine):
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def feed(self, item: Item) -> Sequence[Any]:
        if not isinstance(item, str | Event):
            raise TypeError(
                f"openai.chat.Encode was fed {type(item).__qualname__}: it writes items, text and events; read chunks with Decode"
            )
        out = self._writer.write((item,))
        self.ended = bool(out) and isinstance(out[-1], End)
        return out

    def finish(self) -> Sequence[Any]:
        ending = [] if self.ended else self._writer.write((End("end"),))[:-1]
        return [*ending, *self._writer.finish()]

    def drain(self, item: Item) -> Sequence[Any]:
        return self._writer.write((item,)) if isinstance(item, Usage) else ()


@stage
class Wrap(Stage[Any, Any]):
    """A text pipeline around a stream of chunks. See `wrap`.

    Args:
        pipeline: what the text goes through.
    """

    pipeline: Any

    if TYPE_CHECKING:  # the type of the chunks is the source's: dicts, bytes or SDK objects

        def __call__(
            self, source: AsyncIterable[Chunk], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> Stream[Chunk]: ...

        def iter(
            self, items: Iterable[Chunk], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> SyncStream[Chunk]: ...

    def compile(self) -> None:
        inner = as_stage(self.pipeline)
        if "chunks" in (inner.reads, inner.gives):
            raise TypeError(f"wrap is for a pipeline of text stages: {inner!r} reads {inner.reads} and gives {inner.gives}")
        inner.machine()  # refuses a pipeline that must wait
        object.__setattr__(self, "pipeline", inner)

    reads: ClassVar[str] = "chunks"
    gives: ClassVar[str] = "chunks"

    @property
    def must_wait(self) -> bool:
        return bool(self.pipeline.must_wait)

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()
        inner = self.pipeline.machine(given)
        return _Wrapping(inner, seen=given.seen, drains=given.after_stop == "drain", identity=not self.pipeline.stages)

    def explanation(self) -> str:
        return f"the text of chat completion chunks, through\n{self.pipeline.explain()}"


def wrap(pipeline: Stage[str, str]) -> Wrap:
    r"""A stage over chat completion chunks: chunks in, filtered chunks of the same type out.

    All that is not text passes untouched, in the order of its channel. Text leaves on the chunk that brought it; held text leaves
    before the chunk with the finish reason; a stopped choice gets its finish reason at once, a stopped stream its legal ending.
    Where the text changed, log probabilities and other fields that repeat it are dropped.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "pin 1234"}, "finish_reason": "stop"}]}
        >>> list(wrap(sf.Redact(r"\d{4}", to="####")).iter([chunk]))
        [{'id': '1', 'choices': [{'index': 0, 'delta': {'content': 'pin ####'}, 'finish_reason': 'stop'}]}]
    """
    return Wrap(pipeline)


class _Wrapping(Machine):
    def __init__(self, inner: Machine, *, seen: set[Key], drains: bool, identity: bool) -> None:
        self._inner = inner
        self._drains = drains
        self._reader = Reader("openai.chat.wrap", seen)
        self._writer = Writer(identity=identity)
        self._late: list[Item] = []  # usage on the chunk at which a stage ended the stream, while text before it is still held
        self._is_finishing = False
        self.waits = inner.waits

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

    def _drained(self, origin: Origin | End) -> list[Any]:
        items = origin.items if isinstance(origin, Origin) else []
        return self._written([out for each in items for out in self._inner.drain(each)])

    @property
    def held(self) -> int:
        return self._inner.held

    def _through(self, origins: Iterator[Origin | End]) -> Sequence[Any]:
        """Each chunk through the pipeline, and what comes of it written as one."""
        out: list[Any] = []
        for origin in origins:
            if isinstance(origin, Origin):
                self._writer.note(origin)
            out += self._written(self._fed(origin.items if isinstance(origin, Origin) else [origin]))
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
        return [*out, *(self._writer.finish() if self.ended else ()), *end]
