"""What an agent of pydantic-ai streams: `agent.run_stream_events(...)`, and the events of a run's nodes.

Objects are read by the names of their fields; pydantic-ai is not imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from streamfilter.context import Context
from streamfilter.items import Key
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.pydantic_ai import writing
from streamfilter.providers.pydantic_ai.guarding import guarded
from streamfilter.providers.pydantic_ai.making import Writer
from streamfilter.providers.pydantic_ai.reading import NAME, OPAQUE, Reading, read_whole, without_tokens
from streamfilter.providers.shapes import get, listed
from streamfilter.providers.whole import Whole
from streamfilter.providers.wrapping import DecodeStage, EncodeStage, Format, Quote, WrapStage

__all__ = [
    "FORMAT",
    "OPAQUE",
    "Decode",
    "Encode",
    "Wrap",
    "afilter_response",
    "filter_response",
    "guarded",
    "without_tokens",
    "wrap",
]

T = TypeVar("T")


class _PydanticAI:
    name = NAME
    unit = "events of a pydantic-ai agent"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(quote, as_bytes=as_bytes)


class _Made(_PydanticAI):
    """The same, made of items from elsewhere."""

    def __init__(self, *, objects: bool = False) -> None:
        self._objects = objects

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return writing.Writer(writing.Making(model, objects=self._objects), quote, as_bytes=as_bytes)


FORMAT: Format = _PydanticAI()

_WHOLE = Whole(read_whole, OPAQUE)


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
class Encode(EncodeStage):
    """Items to events of pydantic-ai: each part begins, goes on and ends; the last event has the result of the run.

    Finish reasons and usage are in the messages of that result. There is one choice: the first of each response. An error of the
    provider ends the stream as `sf.ProviderError`.

    Args:
        model: the model's name.
        as_bytes: whether to give the frames of an event stream.
        as_dicts: whether to give dicts. If neither, they are objects of `pydantic-ai-slim`, which must be installed.

    Raises:
        ImportError: when streaming: it is not.

    Example:
        >>> [event["event_kind"] for event in Encode(as_dicts=True).iter(["Hi ", "there"])]
        ['part_start', 'part_delta', 'part_end', 'agent_run_result']
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
    """A stage over events of a pydantic-ai agent: events in, filtered events of the same classes out.

    Held text leaves before its part ends. What says a part again (its end, the calls of tools, the result of the run and the
    messages in it) becomes what has left; all other strings are filtered whole by the guards.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> delta = {"event_kind": "part_delta", "index": 0, "delta": {"part_delta_kind": "text", "content_delta": "pin 1234."}}
        >>> [event["delta"] for event in wrap(sf.Redact("[0-9]{4}", to="####")).iter([delta])]
        [{'part_delta_kind': 'text', 'content_delta': 'pin ####.'}]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap


def filter_response(pipeline: Stage[str, str], response: T, *, context: Context | None = None) -> T:
    """A `ModelResponse`, the text and the arguments of its parts filtered by the same pipeline, the rest by its guards.

    Args:
        pipeline: text stages that need not wait.
        response: with parts. It is not changed.
        context: as for streams.

    Raises:
        TypeError: a stage must wait: use `afilter_response`.

    Example:
        >>> import streamfilter as sf
        >>> filter_response(sf.Redact("[0-9]+", to="#"), {"parts": [{"part_kind": "text", "content": "pin 1234"}]})
        {'parts': [{'part_kind': 'text', 'content': 'pin #'}]}
    """
    made = _WHOLE.filter(pipeline, response, context)
    return without_tokens(made, is_changed=_texts(made) != _texts(response))


async def afilter_response(pipeline: Stage[str, str], response: T, *, context: Context | None = None) -> T:
    """The same as `filter_response`, through stages that wait too."""
    made = await _WHOLE.afilter(pipeline, response, context)
    return without_tokens(made, is_changed=_texts(made) != _texts(response))


def _texts(response: object) -> list[object]:
    """What the parts of a response say."""
    return [get(part, field) for part in listed(get(response, "parts")) for field in ("content", "args")]
