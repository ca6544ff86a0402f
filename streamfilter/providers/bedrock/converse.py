"""Amazon Bedrock's Converse stream, as boto3 gives it and as it comes over the wire."""

from __future__ import annotations

from typing import ClassVar, Final

from streamfilter.items import Key
from streamfilter.pipeline import stage
from streamfilter.providers.bedrock.making import Making
from streamfilter.providers.bedrock.reading import NAME, OPAQUE, Reading, read_whole
from streamfilter.providers.events import EventReader
from streamfilter.providers.frames import AWS, SSE
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


class _Converse:
    name = NAME
    unit = "events of the Converse stream"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen), framings=(AWS, SSE))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> EventWriter:  # events name none
        return EventWriter(NAME, Making(), OPAQUE, quote, as_bytes=as_bytes, names=False, framing=AWS, signed=("reasoning",))


FORMAT: Format = _Converse()
_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Events of the Converse stream to items: text by content block, tool calls, stop reasons, usage, errors.

    The channels of block n are `Channel("answer", (0, 0, "text", n))`, `"reasoning"` (`"reasoningContent"`) and `"tool_arguments"`
    (`"toolUse"`). All that is none of these stays in its place as `Raw`. Bytes are messages of AWS's event stream, or server-sent
    events: the first byte tells.

    Raises:
        TypeError: an item is no event, no dict and no bytes.
        MalformedInput: bytes are no event stream of JSON objects; all before that is given first.

    Example:
        >>> list(Decode().iter([{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text', 0)))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to events of the Converse stream.

    Args:
        model: events of this format do not name it.
        as_bytes: whether to give messages of AWS's event stream; else dicts, as boto3 gives them.

    Example:
        >>> [list(event) for event in Encode().iter(["Hi"])]
        [['messageStart'], ['contentBlockDelta'], ['contentBlockStop'], ['messageStop']]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A stage over events of the Converse stream: events in, filtered events of the same type out.

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
        >>> delta = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "pin 1234."}}}
        >>> [event["contentBlockDelta"]["delta"] for event in wrap(sf.Redact("[0-9]{4}", to="####")).iter([delta])]
        [{'text': 'pin ####.'}]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap
filter_response: Final = _WHOLE.filter
afilter_response: Final = _WHOLE.afilter
