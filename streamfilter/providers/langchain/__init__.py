"""What LangChain streams: `AIMessageChunk`s of `model.astream(...)`, and the events of `astream_events(..., version="v2")`.

Objects and dicts are read by the names of their fields; LangChain is not imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from streamfilter.context import Context
from streamfilter.items import Key
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.langchain import writing
from streamfilter.providers.langchain.guarding import guarded
from streamfilter.providers.langchain.making import Writer
from streamfilter.providers.langchain.reading import NAME, OPAQUE, Reading, read_whole, without_tokens
from streamfilter.providers.whole import Whole, afilter_request, filter_request
from streamfilter.providers.wrapping import DecodeStage, EncodeStage, Format, Quote, WrapStage

__all__ = [
    "FORMAT",
    "OPAQUE",
    "Decode",
    "Encode",
    "Wrap",
    "afilter_request",
    "afilter_response",
    "filter_request",
    "filter_response",
    "guarded",
    "wrap",
]

T = TypeVar("T")


class _LangChain:
    name = NAME
    unit = "message chunks or events of LangChain"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen, is_decoded=stage.endswith("Decode")))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(quote, as_bytes=as_bytes)


class _Made(_LangChain):
    """The same, made of items from elsewhere."""

    def __init__(self, *, objects: bool = False) -> None:
        self._objects = objects

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return writing.Writer(writing.Making(model, objects=self._objects), quote, as_bytes=as_bytes)


FORMAT: Format = _LangChain()

_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Chunks or events of LangChain to items: text by run, tool calls, finish reasons, usage.

    The channels of run n are `Channel("answer", (n, 0, "content"))`, `"reasoning"`, `"refusal"` and `"tool_arguments"`. What chains
    and parsers pass on is of kind `"chain"`, so that the answer comes once.

    Raises:
        TypeError: an item is no chunk, no event and no dict.

    Example:
        >>> list(Decode().iter([{"type": "AIMessageChunk", "content": "Hi"}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'content')))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to `AIMessageChunk`s, whose sum is the message.

    The answer is `content`, reasoning and refusals are `additional_kwargs["reasoning_content"]` and `["refusal"]`, calls are
    `tool_call_chunks`. A message has one choice: the first of each response; another response begins another message, with another
    id. An error of the provider ends the stream as `sf.ProviderError`.

    Args:
        model: the model's name.
        as_bytes: whether to give the frames of an event stream.
        as_dicts: whether to give dicts. If neither, they are objects of `langchain-core`, which must be installed.

    Raises:
        ImportError: when streaming: it is not.

    Example:
        >>> [chunk["content"] for chunk in Encode(as_dicts=True).iter(["Hi ", "there"])]
        ['Hi ', 'there', '', '']
    """

    as_dicts: bool = False

    if TYPE_CHECKING:

        def __init__(self, model: str = ..., as_bytes: bool = ..., *, as_dicts: bool = ..., max_aggregate: int = ...) -> None: ...

    format: ClassVar[Format] = _Made()

    def machine(self, context: Context | None = None) -> Machine:
        if self.as_dicts or self.as_bytes:
            return super().machine(context)
        return _EncodeObjects(self.model, max_aggregate=self.max_aggregate).machine(context)


@stage
class _EncodeObjects(EncodeStage):
    format: ClassVar[Format] = _Made(objects=True)


@stage
class Wrap(WrapStage):
    """A stage over chunks or events of LangChain: chunks in, filtered chunks of the same class out.

    Every run has its own text. What the events of chains say of it again in pieces is filtered alike; what they say whole becomes
    what has left. All other strings, such as the input of a tool or a document, are filtered whole by the guards.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> chunk = {"type": "AIMessageChunk", "content": "pin 1234.", "id": "run-1"}
        >>> list(wrap(sf.Redact("[0-9]{4}", to="####")).iter([chunk]))
        [{'type': 'AIMessageChunk', 'content': 'pin ####.', 'id': 'run-1'}]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap


def filter_response(pipeline: Stage[str, str], response: T, *, context: Context | None = None) -> T:
    """A message that did not stream, its text and the arguments of its calls filtered by the same pipeline, the rest by its guards.

    Args:
        pipeline: text stages that need not wait.
        response: an `AIMessage`, or a dict of its fields. It is not changed.
        context: as for streams.

    Raises:
        TypeError: a stage must wait: use `afilter_response`.

    Example:
        >>> import streamfilter as sf
        >>> filter_response(sf.Redact("[0-9]+", to="#"), {"type": "ai", "content": "pin 1234"})
        {'type': 'ai', 'content': 'pin #'}
    """
    return without_tokens(response, _WHOLE.filter(pipeline, response, context))


async def afilter_response(pipeline: Stage[str, str], response: T, *, context: Context | None = None) -> T:
    """The same as `filter_response`, through stages that wait too."""
    return without_tokens(response, await _WHOLE.afilter(pipeline, response, context))
