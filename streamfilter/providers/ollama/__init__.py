"""Ollama: the streams of its chats (`/api/chat`) and of its completions (`/api/generate`)."""

from __future__ import annotations

from typing import ClassVar, Final

from streamfilter.items import Key
from streamfilter.pipeline import stage
from streamfilter.providers.events import EventReader
from streamfilter.providers.frames import NDJSON
from streamfilter.providers.ollama.making import Making
from streamfilter.providers.ollama.reading import NAME, OPAQUE, Reading, read_whole
from streamfilter.providers.ollama.writing import Writer
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
    unit = "responses of Ollama"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen), framings=(NDJSON,))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(Making(model), quote, as_bytes=as_bytes)


FORMAT: Format = _Responses()
_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Responses of Ollama to items: text, thoughts, tool calls, the reason to stop, counts, errors.

    The channels are `Channel("answer", (0, 0, "content"))` (`"response"` where it is a completion), `"reasoning"` (`"thinking"`)
    and `"tool_arguments"` (`"tool_calls"` and the number of the call). All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no response, no dict and no bytes.
        MalformedInput: bytes are no lines of JSON objects; all before that is given first.

    Example:
        >>> list(Decode().iter([{"message": {"role": "assistant", "content": "Hi"}, "done": False}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'content')))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to responses of Ollama, of a chat unless they come from completions. A call waits until its arguments are whole.

    Args:
        model: the model's name, for items that come from no response.
        as_bytes: whether to give lines of JSON; else dicts, or responses of the class that came.

    Example:
        >>> [(response["message"]["content"], response["done"]) for response in Encode().iter(["Hi"])]
        [('Hi', False), ('', True)]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    r"""A stage over responses of Ollama: responses in, filtered responses of the same type out.

    All that is not text passes untouched; held text leaves before the response that is `done`. The arguments of a call are filtered
    as the JSON they are. Where text has changed, its tokens (`logprobs`, `context`) are left out.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them. Here only their number counts.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> list(wrap(sf.Redact("[0-9]{4}", to="####")).iter([b'{"response":"pin 1234.","done":false}', b"\n"]))
        [b'{"response":"pin ####.","done":false}\n']
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap
filter_response: Final = _WHOLE.filter
afilter_response: Final = _WHOLE.afilter
