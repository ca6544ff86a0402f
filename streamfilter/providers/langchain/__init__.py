"""What LangChain streams: `AIMessageChunk`s of `model.astream(...)`, and the events of `astream_events(..., version="v2")`.

Objects and dicts are read by the names of their fields; LangChain is not imported.
"""

from __future__ import annotations

from typing import ClassVar

from streamfilter.items import Key
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.langchain.making import Writer
from streamfilter.providers.langchain.reading import NAME, OPAQUE, Reading
from streamfilter.providers.whole import afilter_request, filter_request
from streamfilter.providers.wrapping import DecodeStage, Format, Quote, WrapStage

__all__ = ["FORMAT", "OPAQUE", "Decode", "Wrap", "afilter_request", "filter_request", "wrap"]


class _LangChain:
    name = NAME
    unit = "message chunks or events of LangChain"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen, is_decoded=stage.endswith("Decode")))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(quote, as_bytes=as_bytes)


FORMAT: Format = _LangChain()


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
class Wrap(WrapStage):
    """A text pipeline around chunks or events. See `wrap`.

    Args:
        pipeline: what the text goes through.
    """

    format: ClassVar[Format] = FORMAT


def wrap(pipeline: Stage[str, str]) -> Wrap:
    """A stage over chunks or events of LangChain: chunks in, filtered chunks of the same class out.

    Every run has its own text. What the events of chains say of it again in pieces is filtered alike; what they say whole becomes
    what has left. All other strings, such as the input of a tool or a document, are filtered whole by the guards.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> chunk = {"type": "AIMessageChunk", "content": "pin 1234.", "id": "run-1"}
        >>> list(wrap(sf.Redact("[0-9]{4}", to="####")).iter([chunk]))
        [{'type': 'AIMessageChunk', 'content': 'pin ####.', 'id': 'run-1'}]
    """
    return Wrap(pipeline)
