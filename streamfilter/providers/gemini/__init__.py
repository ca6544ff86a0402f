"""Gemini's `generateContent`: its streams, as the API sends them and as Google's SDK gives them."""

from __future__ import annotations

from typing import ClassVar, Final

from streamfilter.items import Key
from streamfilter.pipeline import stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.gemini import whole
from streamfilter.providers.gemini.reading import NAME, OPAQUE, Reading
from streamfilter.providers.gemini.writing import Writer
from streamfilter.providers.whole import afilter_request, filter_request
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


class _Gemini:
    name = NAME
    unit = "chunks of Gemini's generateContent"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(quote, as_bytes=as_bytes, model=model)


FORMAT: Format = _Gemini()


@stage
class Decode(DecodeStage):
    """Chunks of Gemini to items: text by candidate, thoughts, tool calls, finish reasons, token counts, errors.

    The answer of candidate c is `Channel("answer", (0, c, "text"))`, its thoughts are `"reasoning"` (`"thought"`), the arguments of
    its call n `"tool_arguments"` (`"call"`, or `"stream"` where they come in pieces), as the JSON text that they are. All that is
    none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no chunk, no dict and no bytes.
        MalformedInput: bytes are no event stream of JSON objects; all before that is given first.

    Example:
        >>> chunk = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}}]}
        >>> list(Decode().iter([chunk]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text')))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to chunks of Gemini. A call leaves when its arguments are complete, at the latest with the reason that ends its turn.

    Args:
        model: the model's name, for items that come from no chunk.
        as_bytes: whether to give the frames of an event stream; else dicts, or chunks of the class that came.

    Example:
        >>> [chunk["candidates"][0]["content"]["parts"] for chunk in Encode().iter(["Hi"])]
        [[{'text': 'Hi'}], [{'text': ''}]]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A stage over chunks of Gemini: chunks in, filtered chunks of the same type out.

    All that is not text passes untouched, in its order; text that is held leaves on a copy of its chunk that says nothing else.
    Arguments of calls are filtered as JSON, what quotes text (sources, results of code) is filtered whole. Where the text before
    them was changed, a text's signature and all that counts its characters (the segments of sources, citations) are left out.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them. None does here: nothing is kept.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> chunk = {"candidates": [{"content": {"role": "model", "parts": [{"text": "pin 1234."}]}}]}
        >>> [chunk["candidates"][0]["content"]["parts"] for chunk in wrap(sf.Redact("[0-9]{4}", to="####")).iter([chunk])]
        [[{'text': 'pin ####.'}]]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap
filter_response: Final = whole.filtered
afilter_response: Final = whole.afiltered
