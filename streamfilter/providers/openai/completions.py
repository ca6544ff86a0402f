"""OpenAI's legacy completions: a prompt in, `choices[].text` out. Services that run models of one's own still speak it.

Source: OpenAI's API reference of completions, and vLLM's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Failure, Finish, Item, Key, TextDelta, Usage
from streamfilter.pipeline import stage
from streamfilter.providers import rewriting
from streamfilter.providers.counts import worded
from streamfilter.providers.events import EventReader, Origin
from streamfilter.providers.foreign import is_foreign
from streamfilter.providers.frames import SSE
from streamfilter.providers.places import Opaque, Path, at, is_opaque, within
from streamfilter.providers.rewriting import EventWriter
from streamfilter.providers.shapes import fields, get, plain
from streamfilter.providers.whole import Whole, afilter_request, filter_request
from streamfilter.providers.wrapping import DecodeStage, EncodeStage, Format, Quote, WrapStage
from streamfilter.reasons import spelled

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

NAME = "openai.completions"

OPAQUE: Opaque = frozenset(
    {
        *("id", "object", "model", "system_fingerprint", "service_tier", "finish_reason", "native_finish_reason", "type"),
        *within("provider", ""),  # OpenRouter: the name of one
        *within("obfuscation", ""),
        *within("p", ""),
    }
)
"""Fields whose strings are no text: names and ids."""

DONE = b"data: [DONE]\n\n"


class Reading:
    """One stream of completion chunks.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._first: Key | None = None  # the choice that has come first: what is said beside the choices is said with it

    def read(self, origin: Origin) -> None:
        """Read one chunk."""
        event = origin.event
        choices = get(event, "choices") or ()
        if not isinstance(choices, list | tuple):
            raise MalformedInput("the choices of a chunk are no list", origin.frame.offset if origin.frame else 0)
        keys = [_key(choice, position) for position, choice in enumerate(choices)]
        self._first = self._first or next(iter(keys), None)
        if self._first is not None and (choices or not is_foreign(NAME, event)):
            self._others(origin, (), (*self._first, "chunk"))
        for position, (key, choice) in enumerate(zip(keys, choices, strict=True)):
            self._seen.add(key)
            channel = Channel("answer", (*key, "text"))
            origin.text(("choices", position, "text"), channel)
            self._others(origin, ("choices", position), (*key, "choice"))
            if get(choice, "logprobs") is not None:
                self._probabilities(origin, position, channel)
            reason = get(choice, "finish_reason")
            if reason is not None:
                origin.items.append(Finish(str(reason), scope=key, origin=origin))
            elif not any(path[:2] == ("choices", position) for path in origin.slots):
                origin.rest(channel)
        usage = get(event, "usage")
        if usage is not None:
            origin.items.append(Usage(usage, scope=(0,) if not choices else None, origin=origin))
        if get(event, "error") is not None:
            origin.items.append(Failure(get(event, "error"), origin=origin))
        if not origin.items:
            origin.rest(None)

    def _others(self, origin: Origin, path: Path, place: Key) -> None:
        """What a string says that is not known goes on in the next chunk."""
        node, stands_in = at(origin.event, path), str(path[0]) if path else ""
        for name, value in fields(node).items():
            if isinstance(value, str) and name != "text" and not is_opaque(OPAQUE, name, node, stands_in):
                origin.text((*path, name), Channel("other", (*place, name)))

    def _probabilities(self, origin: Origin, position: int, channel: Channel) -> None:
        """They say the text in tokens, and those that were not taken are keys. So they stay only where they are the text."""
        origin.tokens["choices", position, "logprobs"] = channel


def _key(choice: Any, position: int) -> Key:
    index = get(choice, "index")
    return 0, index if isinstance(index, int) else position


class Making(rewriting.Making):
    """One stream of completion chunks.

    Args:
        model: the model's name, for chunks that have no source.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self._like: Any = None  # the last chunk that left
        self._open: dict[int, bool] = {}  # by choice, whether it has no reason to stop yet
        self._id = f"cmpl-{uuid.uuid4().hex}"

    def note(self, event: Any) -> None:
        """This chunk leaves."""
        self._like = event
        for position, choice in enumerate(get(event, "choices") or ()):
            index = get(choice, "index")
            self._open[index if isinstance(index, int) else position] = get(choice, "finish_reason") is None

    def delta(self, text: str, channel: Channel) -> Any:
        """A chunk that brings some more text of a choice."""
        said = {str(channel.key[-1]): text}
        choice = {"text": "", "index": channel.key[1], "logprobs": None, "finish_reason": None}
        return self._chunk(choice, **said) if channel.key[2:3] == ("chunk",) else self._chunk(choice | said)

    def make(self, item: Item) -> Sequence[Any]:
        """The chunks for an item that comes from no chunk."""
        return [*self._made(item)]

    def end(self, reason: str) -> Sequence[Any]:
        """The chunks that end what is open, because a stage has ended the stream."""
        return [self._finished(index, reason) for index, is_open in self._open.items() if is_open]

    # ------------------------------------------------------------------

    def _made(self, item: Item) -> Iterator[Any]:
        if isinstance(item, Failure):
            given = plain(item.error)
            yield {"error": given if isinstance(given, Mapping) else {"message": str(given)}}
        elif isinstance(item, Usage):
            if usage := worded(item.usage, "openai"):
                yield self._chunk(None, usage=usage)
        elif isinstance(item, Finish):
            index = item.scope[1] if isinstance(item.scope, tuple) and len(item.scope) > 1 else 0
            yield self._finished(index if isinstance(index, int) else 0, item.reason)
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if text and channel.kind in ("answer", "refusal"):  # it has no place for thoughts, and none for calls
                index = channel.key[1] if len(channel.key) > 1 and isinstance(channel.key[1], int) else 0
                self._open.setdefault(index, True)
                yield self._chunk({"text": text, "index": index, "logprobs": None, "finish_reason": None})

    def _finished(self, index: int, reason: str) -> Any:
        self._open[index] = False
        return self._chunk({"text": "", "index": index, "logprobs": None, "finish_reason": spelled(reason, "openai")})

    def _chunk(self, choice: dict[str, Any] | None, **more: Any) -> Any:
        like = fields(plain(self._like))
        made = {
            "id": like.get("id", self._id),
            "object": "text_completion",
            "created": like.get("created", int(time.time())),
            "model": like.get("model", self._model),
            "choices": [] if choice is None else [choice],
        }
        if self._like is None or isinstance(self._like, Mapping):
            return made | more
        return type(self._like).construct(**made, **more)


class Writer(EventWriter):
    """One stream of completion chunks, written: in bytes, `[DONE]` ends it.

    Args:
        making: makes chunks.
        quote: filters a text that a chunk quotes.
        as_bytes: whether to give frames of an event stream.
    """

    def __init__(self, making: Making, quote: Quote, *, as_bytes: bool) -> None:
        super().__init__(NAME, making, OPAQUE, quote, as_bytes=as_bytes, names=False)
        self._is_done = False

    def finish(self) -> list[Any]:
        """What ends the stream after all else."""
        out = super().finish()
        is_sse = self.as_bytes and self._framing is SSE
        return [*out, self._separated(DONE)] if is_sse and not self._is_done and not self._failed else out

    def _noted(self, channel: Channel, text: str) -> str:
        """Chunks never repeat what has been said: nothing is kept."""
        self._channels.add(channel)
        return text

    def _whole(self, origin: Origin) -> Any:
        self._is_done = self._is_done or (origin.frame is not None and (origin.frame.data or "").startswith("[DONE]"))
        return super()._whole(origin)


class _Completions:
    name = NAME
    unit = "completion chunks"

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        return EventReader(NAME, stage, self.unit, Reading(seen), done=("[DONE]",))

    def writer(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> Writer:
        return Writer(Making(model), quote, as_bytes=as_bytes)


FORMAT: Format = _Completions()


def read_whole(origin: Origin) -> None:
    """A completion that did not stream."""
    Reading(set()).read(origin)


_WHOLE = Whole(read_whole, OPAQUE)


@stage
class Decode(DecodeStage):
    """Completion chunks to items: text by choice, reasons to stop, usage, errors.

    The channel of choice n is `Channel("answer", (0, n, "text"))`. All that is none of these stays in its place as `Raw`.

    Raises:
        TypeError: an item is no chunk, no dict and no bytes.
        MalformedInput: bytes are no event stream of JSON objects; all before that is given first.

    Example:
        >>> list(Decode().iter([{"choices": [{"index": 0, "text": "Hi", "finish_reason": None}]}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'text')))]
    """

    format: ClassVar[Format] = FORMAT


@stage
class Encode(EncodeStage):
    """Items to completion chunks. The format has no place for thoughts and calls: they are left out.

    Args:
        model: the model's name, for items that come from no chunk.
        as_bytes: whether to give the frames of an event stream, `[DONE]` included; else dicts, or chunks of the class that came.

    Example:
        >>> [chunk["choices"][0]["text"] for chunk in Encode().iter(["Hi"])]
        ['Hi', '']
    """

    format: ClassVar[Format] = FORMAT


@stage
class Wrap(WrapStage):
    """A stage over completion chunks: chunks in, filtered chunks of the same type out.

    All that is not text passes untouched; held text leaves before the chunk with the reason to stop. Log probabilities are left out
    where the text has changed, and where they list tokens that were not taken.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them. None does here: nothing is kept.

    Raises:
        TypeError: the pipeline is no stage, or must wait.

    Example:
        >>> import streamfilter as sf
        >>> chunk = {"choices": [{"index": 0, "text": "pin 1234", "finish_reason": "stop"}]}
        >>> list(wrap(sf.Redact("[0-9]{4}", to="####")).iter([chunk]))
        [{'choices': [{'index': 0, 'text': 'pin ####', 'finish_reason': 'stop'}]}]
    """

    format: ClassVar[Format] = FORMAT


wrap = Wrap
filter_response: Final = _WHOLE.filter
afilter_response: Final = _WHOLE.afilter
