"""Anthropic's Messages API: its stream, and that of the SDK's helper, `client.messages.stream(...)`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, ClassVar, Final

from streamfilter.context import AfterStop, Context
from streamfilter.items import Key
from streamfilter.pipeline import stage
from streamfilter.providers.anthropic.messages.helper import MessageEvents, SyncMessageEvents
from streamfilter.providers.anthropic.messages.making import Making
from streamfilter.providers.anthropic.messages.reading import NAME, OPAQUE, Reading, read_whole
from streamfilter.providers.events import EventReader
from streamfilter.providers.rewriting import EventWriter
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
    "wrap",
]


class _Messages:
    name = NAME
    unit = "events of the Messages API"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> EventWriter:
        return EventWriter(NAME, Making(model), OPAQUE, quote, as_bytes=as_bytes, signed=("reasoning",))


FORMAT: Format = _Messages()
_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Events of the Messages API to items: text by content block, tool calls, stop reasons, usage, errors.

    The channels of block n are `Channel("answer", (0, 0, "text", n))`, `"reasoning"` (`"thinking"`) and `"tool_arguments"`
    (`"tool"`). All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no event, no dict and no bytes.
        MalformedInput: bytes are no event stream of JSON objects; all before that is given first.

    Example:
        >>> delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
        >>> list(Decode().iter([delta]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text', 0)))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to events of the Messages API.

    Args:
        model: the model's name, for items that come from no event.
        as_bytes: whether to give the frames of an event stream; else dicts, or events of the class that came.

    Example:
        >>> [event["type"] for event in Encode().iter(["Hi"])]
        ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A stage over events of the Messages API: events in, filtered events of the same type out.

    All that is not text passes untouched, in the order of its content block; held text leaves before its block ends. Text that is
    quoted, such as a citation's, is filtered whole. A signed thought is never edited: where it would be, it ends, unsigned.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "pin 1234."}}
        >>> [event["delta"] for event in wrap(sf.Redact("[0-9]{4}", to="####")).iter([delta])]
        [{'type': 'text_delta', 'text': 'pin ####.'}]
    """

    format: ClassVar[Format] = FORMAT

    def __call__(  # type: ignore[override]  # it is all that a stream is, and has the helper's accessors
        self, source: AsyncIterable[Any], *, context: Context | None = None, after_stop: AfterStop = "close"
    ) -> MessageEvents[Any]:
        stream = super().__call__(source, context=context, after_stop=after_stop)
        return MessageEvents(stream, is_helper=hasattr(source, "get_final_message"))

    def iter(  # type: ignore[override]
        self, items: Iterable[Any], *, context: Context | None = None, after_stop: AfterStop = "close"
    ) -> SyncMessageEvents[Any]:
        stream = super().iter(items, context=context, after_stop=after_stop)
        return SyncMessageEvents(stream, is_helper=hasattr(items, "get_final_message"))


wrap = Wrap
filter_response: Final = _WHOLE.filter
afilter_response: Final = _WHOLE.afilter
