"""OpenAI's chat completion streams, and those of the services that speak the same format.

`wrap(pipeline)` is what applications use: chunks in, filtered chunks of the same type out. `Decode` and `Encode` are its halves.
SDK objects, dicts and the raw bytes of an event stream are read alike; no SDK is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from streamfilter.context import AfterStop, Context
from streamfilter.items import Key
from streamfilter.pipeline import stage
from streamfilter.providers.openai.chat.completions import OPAQUE, place, read_whole
from streamfilter.providers.openai.chat.helper import Chunks, CompletionEvents, SyncChunks, SyncCompletionEvents, is_helper
from streamfilter.providers.openai.chat.reading import Reader
from streamfilter.providers.openai.chat.writing import Writer, new_head
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


class _Chat:
    name = "openai.chat"
    unit = "chat completion chunks"

    def reader(self, stage: str, seen: set[Key]) -> Reader:
        return Reader(stage, seen)

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(quote, as_bytes=as_bytes, head=new_head(model))


FORMAT: Format = _Chat()
_WHOLE = Whole(read_whole, OPAQUE, place)


@stage
class Decode(DecodeStage):
    """Chat completion chunks to items: text by channel, tool calls, finish reasons, usage, errors.

    The channels of choice n are `Channel("answer", (0, n, "content"))`, `"refusal"`, `"reasoning"` (by the spelling of its field)
    and `"tool_arguments"`. All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no chunk, no dict and no bytes.
        MalformedInput: bytes are no event stream of chunks; all before that is given first.

    Example:
        >>> chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        >>> for item in Decode().iter([chunk]):
        ...     print(item)
        TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'content')))
        Finish(scope=(0, 0), boundary=False, reason='stop')
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to chat completion chunks.

    Args:
        model: the model's name, for items that come from no chunk.
        as_bytes: whether to give the frames of an event stream, `[DONE]` included; else dicts, or chunks of the class that came.

    Example:
        >>> import streamfilter as sf
        >>> [chunk["choices"] for chunk in Encode().iter(["Hi"])]
        [[{'index': 0, 'delta': {'content': 'Hi', 'role': 'assistant'}, 'finish_reason': None}],
         [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    r"""A stage over chat completion chunks: chunks in, filtered chunks of the same type out.

    All that is not text passes in the order of its channel; strings in it, such as a citation's, are filtered whole by the guards,
    but for names and ids. Text leaves on the chunk that brought it; held text leaves
    before the chunk with the finish reason; a stopped choice gets its finish reason at once, a stopped stream its legal ending.
    Where the text changed, log probabilities and other fields that repeat it are dropped.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them. None does here: nothing is kept.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "pin 1234"}, "finish_reason": "stop"}]}
        >>> list(wrap(sf.Redact(r"\d{4}", to="####")).iter([chunk]))
        [{'id': '1', 'choices': [{'index': 0, 'delta': {'content': 'pin ####'}, 'finish_reason': 'stop'}]}]
    """

    format: ClassVar[Format] = FORMAT

    if not TYPE_CHECKING:  # for a stream of chunks it is what every `wrap` is

        def __call__(self, source: Any, *, context: Context | None = None, after_stop: AfterStop = "close") -> Any:
            given = Chunks(source) if is_helper(source) else source
            stream = super().__call__(given, context=context, after_stop=after_stop)
            return CompletionEvents(stream, source) if is_helper(source) else stream

        def iter(self, items: Any, *, context: Context | None = None, after_stop: AfterStop = "close") -> Any:
            given = SyncChunks(items) if is_helper(items) else items
            stream = super().iter(given, context=context, after_stop=after_stop)
            return SyncCompletionEvents(stream, items) if is_helper(items) else stream


wrap = Wrap
filter_response: Final = _WHOLE.filter
afilter_response: Final = _WHOLE.afilter
