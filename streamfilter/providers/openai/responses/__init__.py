"""OpenAI's Responses API: its stream, and that of the SDK's helper, `client.responses.stream(...)`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, ClassVar, Final, cast

from streamfilter.context import AfterStop, Context
from streamfilter.items import Key
from streamfilter.pipeline import stage
from streamfilter.providers.bodies import PlainResponse, Response
from streamfilter.providers.events import EventReader
from streamfilter.providers.openai.responses.helper import ResponseEvents, SyncResponseEvents
from streamfilter.providers.openai.responses.making import Making
from streamfilter.providers.openai.responses.reading import NAME, OPAQUE, Reading, read_whole
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


class _Responses:
    name = NAME
    unit = "events of the Responses API"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> EventWriter:
        return EventWriter(NAME, Making(model), OPAQUE, quote, as_bytes=as_bytes)


FORMAT: Format = _Responses()
_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Events of the Responses API to items: text by part of an output item, tool calls, how it ended, usage, errors.

    The channel of part c of item n is `Channel("answer", (0, 0, n, "content", c))`; others are `"refusal"`, `"reasoning"` and
    `"tool_arguments"`. All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no event, no dict and no bytes.
        MalformedInput: bytes are no event stream of JSON objects; all before that is given first.

    Example:
        >>> delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"}
        >>> list(Decode().iter([delta]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 0, 'content', 0)))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to events of the Responses API.

    Args:
        model: the model's name, for items that come from no event.
        as_bytes: whether to give the frames of an event stream; else dicts, or events of the class that came.

    Example:
        >>> [event["type"].removeprefix("response.") for event in Encode().iter(["Hi"])]
        ['created', 'output_item.added', 'content_part.added', 'output_text.delta', 'output_text.done', 'content_part.done',
         'output_item.done', 'completed']
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A stage over events of the Responses API: events in, filtered events of the same type out.

    All that is not text passes untouched, in the order of its part; held text leaves before its part is done. Events that repeat
    text say what has left: `output_text.done`, `content_part.done`, `output_item.done`, `response.completed`. Where text changed,
    log probabilities and annotations that count its characters are dropped; events are numbered anew.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> place = {"output_index": 0, "content_index": 0}
        >>> events = [{"type": "response.output_text.delta", **place, "delta": "pin 12"},
        ...           {"type": "response.output_text.delta", **place, "delta": "34."},
        ...           {"type": "response.output_text.done", **place, "text": "pin 1234."}]
        >>> [event.get("delta", event.get("text")) for event in wrap(sf.Redact("[0-9]{4}", to="####")).iter(events)]
        ['pin ', '####', '.', 'pin ####.']
    """

    format: ClassVar[Format] = FORMAT

    def __call__(  # type: ignore[override]  # it is all that a stream is, and has the helper's accessors
        self, source: AsyncIterable[Any] | Response, *, context: Context | None = None, after_stop: AfterStop = "close"
    ) -> ResponseEvents[Any]:
        return ResponseEvents(super().__call__(cast("Any", source), context=context, after_stop=after_stop))

    def iter(  # type: ignore[override]
        self, items: Iterable[Any] | PlainResponse, *, context: Context | None = None, after_stop: AfterStop = "close"
    ) -> SyncResponseEvents[Any]:
        return SyncResponseEvents(super().iter(cast("Any", items), context=context, after_stop=after_stop))


wrap = Wrap
filter_response: Final = _WHOLE.filter
afilter_response: Final = _WHOLE.afilter
