"""What an agent of pydantic-ai streams: `agent.run_stream_events(...)`, and the events of a run's nodes.

Objects are read by the names of their fields; pydantic-ai is not imported.
"""

from __future__ import annotations

from typing import ClassVar

from streamfilter.items import Key
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.pydantic_ai.making import Writer
from streamfilter.providers.pydantic_ai.reading import NAME, OPAQUE, Reading
from streamfilter.providers.wrapping import DecodeStage, Format, Quote, WrapStage

__all__ = ["FORMAT", "OPAQUE", "Decode", "Wrap", "wrap"]


class _PydanticAI:
    name = NAME
    unit = "events of a pydantic-ai agent"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(quote, as_bytes=as_bytes)


FORMAT: Format = _PydanticAI()


@stage
class Decode(DecodeStage):
    """Events of an agent to items: text by part, tool calls, the end of the run.

    The channels of part n of the first response are `Channel("answer", (0, 0, "text", n))`, `"reasoning"` (`"thinking"`) and
    `"tool_arguments"` (`"tool"`).

    Raises:
        TypeError: an item is no event and no dict.

    Example:
        >>> delta = {"event_kind": "part_delta", "index": 0, "delta": {"part_delta_kind": "text", "content_delta": "Hi"}}
        >>> list(Decode().iter([delta]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text', 0)))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A text pipeline around events of an agent. See `wrap`.

    Args:
        pipeline: what the text goes through.
    """

    format: ClassVar[Format] = FORMAT


def wrap(pipeline: Stage[str, str]) -> Wrap:
    """A stage over events of a pydantic-ai agent: events in, filtered events of the same classes out.

    Held text leaves before its part ends. What says a part again (its end, the calls of tools, the result of the run and the
    messages in it) becomes what has left; all other strings are filtered whole by the guards.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> delta = {"event_kind": "part_delta", "index": 0, "delta": {"part_delta_kind": "text", "content_delta": "pin 1234."}}
        >>> [event["delta"] for event in wrap(sf.Redact("[0-9]{4}", to="####")).iter([delta])]
        [{'part_delta_kind': 'text', 'content_delta': 'pin ####.'}]
    """
    return Wrap(pipeline)
