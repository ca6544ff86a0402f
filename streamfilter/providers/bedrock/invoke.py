"""Bedrock's InvokeModelWithResponseStream: events of a model's own format, each in the bytes of a chunk.

What is in the chunks is read and written as its own format has it; here it is taken out and put back. Known are Anthropic's
Messages and Amazon's Nova, whose events are those of the Converse stream. What else comes is refused (`REFUSED` names what it
is): of a format that is not known nobody could say where its text goes on. Items of other formats are encoded for Converse, which
is the same for all models.
Source: Amazon Bedrock's API reference, ResponseStream and PayloadPart.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, cast

from streamfilter.errors import MalformedInput, Unfit
from streamfilter.items import End, Failure, Item, Key
from streamfilter.pipeline import stage
from streamfilter.providers import foreign
from streamfilter.providers.anthropic.messages import FORMAT as MESSAGES
from streamfilter.providers.anthropic.messages.reading import Reading as Messages
from streamfilter.providers.bedrock.converse import FORMAT as CONVERSE
from streamfilter.providers.bedrock.reading import Reading as Converse
from streamfilter.providers.bedrock.reading import failure
from streamfilter.providers.data import parsed
from streamfilter.providers.detecting import detect
from streamfilter.providers.events import Origin, Queue, Reading, refusing
from streamfilter.providers.frames import AWS, Decoder, Framing, json_text
from streamfilter.providers.rewriting import EventWriter
from streamfilter.providers.shapes import fields
from streamfilter.providers.sse import Frame
from streamfilter.providers.wrapping import MAX_AGGREGATE, DecodeStage, Format, Quote, WrapStage

__all__ = ["FORMAT", "Decode", "Wrap", "wrap"]

NAME = "bedrock.invoke"

_INNER: dict[str, tuple[Format, Callable[[set[Key]], Reading]]] = {
    "anthropic.messages": (MESSAGES, Messages),
    "bedrock": (CONVERSE, Converse),
}
"""The formats of models that are known."""

REFUSED: dict[str, tuple[str, ...]] = {
    "Llama's": ("generation", "prompt_token_count"),
    "Mistral's": ("outputs",),
    "Titan's": ("outputText",),
    "Cohere's": ("is_finished", "event_type", "generations"),
    "AI21's or of OpenAI's kind": ("choices",),
}
"""Models with formats of their own that are not read, and what tells them. All of them speak Converse too.
Source: Amazon Bedrock's user guide, "Inference request parameters and response fields for foundation models"."""


class _Chunks:
    """Events in the chunks of messages."""

    gap = b""

    def begins(self, first: bytes) -> bool:
        return AWS.begins(first)

    def decoder(self) -> Decoder:
        return AWS.decoder()

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:
        is_chunk = frame is None or frame.event == "chunk"
        return AWS.encode({"chunk": {"bytes": json_text(event).encode()}} if is_chunk else event, name, frame)


class _Parsed(_Chunks):
    """Events in the chunks that boto3 gives. What stands for their bytes is the chunk itself: it leaves as it is."""

    def encode(self, event: Mapping[str, Any], name: str, frame: Frame | None) -> bytes:
        is_chunk = frame is None or frame.event == "chunk"
        return cast("bytes", {"chunk": {"bytes": json_text(event).encode()}} if is_chunk else event)


_CHUNKS: Framing = _Chunks()
_PARSED: Framing = _Parsed()


class _Reader:
    def __init__(self, stage: str, seen: set[Key]) -> None:
        self._stage = stage
        self._seen = seen
        self._decoder: Decoder | None = None
        self._inner: tuple[str, Reading] | None = None
        self._queue = Queue()
        self.as_bytes = False

    def read(self, item: object) -> Iterator[Origin | End]:
        if isinstance(item, bytes | bytearray | memoryview):
            self.as_bytes = True
            self._decoder = self._decoder or AWS.decoder()
            yield from self._frames(self._decoder.feed(bytes(item)))
        elif isinstance(item, Mapping):
            frame = Frame(None, next(iter(item), ""), None, cast("bytes", item), 0)
            yield from self._queue.put(refusing(self._stage, lambda: self._origin(item, frame, _PARSED)))
        elif isinstance(item, str) and item.lstrip()[:1] == "{":  # of a log: no mistake of code
            yield End("error", MalformedInput("chunks of InvokeModelWithResponseStream come in messages of AWS, not as JSON", 0))
        else:
            kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
            raise Unfit(f"{self._stage} was fed {kind}: it reads {FORMAT.unit}, as dicts or the raw response bytes")

    def finish(self) -> Iterator[Origin | End]:
        if self._decoder is not None:
            yield from self._frames(self._decoder.finish())
        yield from self._queue.rest()

    def _frames(self, frames: Iterator[Frame]) -> Iterator[Origin | End]:
        try:
            for frame in frames:
                yield from self._queue.put(self._origin(parsed(frame.data or "", frame.offset), frame, _CHUNKS))
        except MalformedInput as error:
            yield from self._queue.rest()
            yield End("error", error)

    def _origin(self, outer: Mapping[str, Any], frame: Frame, framing: Framing) -> Origin:
        if "chunk" not in outer:
            return self._other(outer, frame, framing)
        event = _inside(outer, frame.offset)
        name, reading = self._inner = self._inner or self._known(event, frame.offset)
        origin = Origin(event, name, frame, framing)
        reading.read(origin)
        if not origin.is_plain:
            foreign.check(name, origin)
        return origin

    def _other(self, outer: Mapping[str, Any], frame: Frame, framing: Framing) -> Origin:
        name = self._inner[0] if self._inner else "bedrock"
        origin = Origin(outer, name, frame, framing)
        error = failure(outer)
        if error is not None:
            origin.items.append(Failure(error, origin=origin))
        else:
            origin.rest(None)
        return origin

    def _known(self, event: Any, offset: int) -> tuple[str, Reading]:
        name = detect(event)
        if name not in _INNER:
            refused = next((model for model, signs in REFUSED.items() if any(sign in event for sign in signs)), name or "not known")
            raise MalformedInput(
                f"the format of the model is {refused}: {NAME} reads Anthropic's and Nova's; use Converse, which has every model",
                offset,
            )
        return name, _INNER[name][1](self._seen)


def _inside(outer: Mapping[str, Any], offset: int) -> dict[str, Any]:
    """The event in a chunk."""
    chunk = fields(outer["chunk"])
    if len(outer) != 1 or not chunk.keys() <= {"bytes", "p"}:  # the other is padding
        raise MalformedInput("a chunk has more than its bytes", offset)
    raw, text = chunk.get("bytes", b""), None
    with suppress(binascii.Error, UnicodeDecodeError, TypeError):
        text = (base64.b64decode(raw, validate=True) if isinstance(raw, str) else bytes(raw)).decode()
    if text is None:
        raise MalformedInput("the bytes of a chunk are no text in base64", offset)
    return parsed(text, offset)


class _Writer:
    """It is the writer of the format that the model has, as soon as that is known."""

    def __init__(self, quote: Quote) -> None:
        self._quote = quote
        self._inner: EventWriter | None = None
        self.max_aggregate = MAX_AGGREGATE
        self.as_bytes = False  # an event in a chunk stands in bytes in any case: its framing tells what the chunk is

    def note(self, origin: Origin) -> None:
        if self._inner is None:
            self._inner = cast("EventWriter", _INNER[origin.format][0].writer(self._quote, as_bytes=True))
            self._inner.max_aggregate = self.max_aggregate
        self._inner.note(origin)

    def write(self, items: Sequence[Item]) -> list[Any]:
        return self._inner.write(items) if self._inner else [item for item in items if isinstance(item, End)]

    def finish(self) -> list[Any]:
        return self._inner.finish() if self._inner else []

    def rest(self) -> list[Any]:
        return []  # a message is whole


class _Invoke:
    name = NAME
    unit = "chunks of InvokeModelWithResponseStream"

    def reader(self, stage: str, seen: set[Key]) -> _Reader:
        return _Reader(stage, seen)

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> _Writer:
        return _Writer(quote)


FORMAT: Format = _Invoke()


@stage
class Decode(DecodeStage):
    """Chunks to the items of the model's own format: Anthropic's Messages, or Nova's.

    Raises:
        TypeError: an item is no chunk and no bytes; or a chunk as a dict is malformed.
        MalformedInput: bytes are no messages of chunks, or the model's format is not known; all before that is given first.

    Example:
        >>> inner = b'{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}}'
        >>> list(Decode().iter([{"chunk": {"bytes": inner}}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text', 0)))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A stage over the chunks of InvokeModelWithResponseStream: chunks in, filtered chunks of the same type out.

    What is in them is filtered as the model's own format is: Anthropic's Messages, or Nova's.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> inner = b'{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "pin 1234."}}}'
        >>> list(wrap(sf.Redact("[0-9]{4}", to="####")).iter([{"chunk": {"bytes": inner}}]))
        [{'chunk': {'bytes': b'{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"pin ####."}}}'}}]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap
