"""The AI SDK's UI message stream, which `useChat` reads: version 1 of its data stream protocol.

`wrap(pipeline)` filters such a stream; `Encode` serves any provider's stream to a front end of the AI SDK: send its bytes with
`HEADERS`. Events are dicts, objects with these fields, or the raw bytes.
Source: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol, and the schema of its events in the AI SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from streamfilter.context import Context
from streamfilter.items import Key
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.vercel.making import Making, Writer
from streamfilter.providers.vercel.reading import NAME, OPAQUE, Reading, read_whole
from streamfilter.providers.whole import Whole, afilter_request, filter_request
from streamfilter.providers.wrapping import DecodeStage, EncodeStage, Format, Quote, WrapStage

__all__ = [
    "FORMAT",
    "HEADERS",
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

HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-vercel-ai-ui-message-stream": "v1",
    "x-accel-buffering": "no",
}
"""The headers of a response with such a stream. Source: `ui-message-stream-headers.ts` of the AI SDK."""


class _Vercel:
    name = NAME
    unit = "events of the AI SDK's UI message stream"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen), done=("[DONE]",))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(Making(), quote, as_bytes=as_bytes)


class _WithReasons(_Vercel):
    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(Making(reasons=True), quote, as_bytes=as_bytes)


FORMAT: Format = _Vercel()


T = TypeVar("T")
_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Events of a UI message stream to items: text by part, tool calls, finish reasons, errors.

    The channels are `Channel("answer", (0, 0, "text", number, id))`, `"reasoning"`, and `"tool_arguments"`
    (`(0, 0, "tool", toolCallId)`). All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no event, no dict and no bytes.
        MalformedInput: bytes are no event stream of JSON objects; all before that is given first.

    Example:
        >>> list(Decode().iter([{"type": "text-delta", "id": "t1", "delta": "Hi"}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text', 0, 't1')))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to events of a UI message stream, for `useChat`.

    Args:
        model: has no place in this format.
        as_bytes: whether to give the frames of an event stream, `[DONE]` included; else dicts.
        reasons: whether to say why the message is complete. The AI SDK knows that from version 6 on; version 5 refuses it.

    Example:
        >>> [event["type"] for event in Encode().iter(["Hi"])]
        ['start', 'start-step', 'text-start', 'text-delta', 'text-end', 'finish-step', 'finish']
    """

    reasons: bool = False

    if TYPE_CHECKING:

        def __init__(self, model: str = ..., as_bytes: bool = ..., *, reasons: bool = ..., max_aggregate: int = ...) -> None: ...

    format: ClassVar[Format] = FORMAT

    def machine(self, context: Context | None = None) -> Machine:
        if not self.reasons:
            return super().machine(context)
        return _EncodeReasons(self.model, self.as_bytes, max_aggregate=self.max_aggregate).machine(context)


@stage
class _EncodeReasons(EncodeStage):
    format: ClassVar[Format] = _WithReasons()


@stage
class Wrap(WrapStage):
    """A stage over events of a UI message stream: events in, filtered events out.

    All that is not text passes in the order of its part; strings in it (titles, tool outputs, `data-*`) are filtered whole by the
    guards. Held text leaves before its part ends. Where reasoning was changed, the signature in its metadata is left out.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> delta = {"type": "text-delta", "id": "t1", "delta": "pin 1234."}
        >>> list(wrap(sf.Redact("[0-9]{4}", to="####")).iter([delta]))
        [{'type': 'text-delta', 'id': 't1', 'delta': 'pin ####.'}]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap


def filter_response(pipeline: Stage[str, str], response: T, *, context: Context | None = None) -> T:
    """A whole UI message, its text filtered by the same pipeline, and what quotes it by its guards.

    Args:
        pipeline: text stages that need not wait.
        response: a dict with `parts`.
        context: as for streams.

    Raises:
        TypeError: a stage must wait: use `afilter_response`.

    Example:
        >>> import streamfilter as sf
        >>> filter_response(sf.Redact("[0-9]+", to="#"), {"id": "1", "parts": [{"type": "text", "text": "pin 1234"}]})
        {'id': '1', 'parts': [{'type': 'text', 'text': 'pin #'}]}
    """
    return _WHOLE.filter(pipeline, response, context)


async def afilter_response(pipeline: Stage[str, str], response: T, *, context: Context | None = None) -> T:
    """The same as `filter_response`, through stages that wait too."""
    return await _WHOLE.afilter(pipeline, response, context)
