"""Which format a stream has, by its first event.

Every format is told by fields that no other has. This is the one list of them; a format is imported when a stream of it comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Any

from streamfilter.context import Context
from streamfilter.errors import MalformedInput, Unfit
from streamfilter.items import End
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, machine_of, stage
from streamfilter.providers import sse
from streamfilter.providers.data import parsed
from streamfilter.providers.events import is_message
from streamfilter.providers.frames import AWS, NDJSON, Decoder, Framing, framing_of
from streamfilter.providers.machines import Decoding
from streamfilter.providers.shapes import get
from streamfilter.providers.wrapping import DecodeStage, Format, WrapStage
from streamfilter.slices import Steps

MAX_BYTES = 1024 * 1024
"""Bytes that may come before the first event that tells the format: a response object of OpenAI has some 10 KB."""

MAX_EVENTS = 4096
"""Events that may come before it, where they come as objects."""

UNTOLD = "the provider's format"
"""How ends what is said of a stream that tells no format that is known."""

IN_PYTHON = "; name it: providers.openai.chat.Decode()"
"""What may be done about it, where a format can be named."""

_ANTHROPIC = frozenset({"message_start", "content_block_start", "content_block_delta", "message_delta", "ping"})
_GEMINI = ("candidates", "usageMetadata", "usage_metadata", "promptFeedback", "prompt_feedback")

_BEDROCK = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop")
_VERCEL = frozenset({"start", "start-step", "text-start", "text-delta", "reasoning-start", "tool-input-start", "message-metadata"})


def _type(event: Any) -> str:
    kind = get(event, "type")
    return kind if isinstance(kind, str) else ""


def _is_completion(event: Any) -> bool:
    """Whether it is of OpenAI's legacy completions: with the text on the choice."""
    choices = get(event, "choices")
    first = choices[0] if isinstance(choices, list | tuple) and choices else None
    return get(event, "object") == "text_completion" or (get(first, "text") is not None and get(first, "delta") is None)


_SIGNS: dict[str, Callable[[Any], bool]] = {
    "openai.completions": _is_completion,
    "openai.chat": lambda event: get(event, "choices") is not None or (_has_error(event) and not _type(event)),
    "openai.responses": lambda event: _type(event).startswith("response.") or (_is_error(event) and _has_number(event)),
    "gemini": lambda event: any(get(event, name) is not None for name in _GEMINI),
    "anthropic.messages": lambda event: _type(event) in _ANTHROPIC or (_is_error(event) and _has_error(event)),
    "langchain": lambda event: _type(event) == "AIMessageChunk" or str(get(event, "event")).startswith("on_"),
    "pydantic_ai": lambda event: get(event, "event_kind") is not None,
    "vercel": lambda event: _type(event) in _VERCEL or (_is_error(event) and get(event, "errorText") is not None),
    "ollama": lambda event: isinstance(get(event, "done"), bool) and (_has(event, "message") or _has(event, "response")),
    "bedrock.invoke": lambda event: _has(get(event, "chunk"), "bytes"),
    "bedrock": lambda event: any(_has(event, name) for name in _BEDROCK),
}


def _has(event: Any, name: str) -> bool:
    return get(event, name) is not None


def _is_error(event: Any) -> bool:
    return _type(event) == "error"


def _has_error(event: Any) -> bool:
    return get(event, "error") is not None or get(event, "object") == "error"


def _has_number(event: Any) -> bool:
    return get(event, "sequence_number") is not None


def detect(event: Any) -> str | None:
    """The name of the format of an event; None if it is of none that is known, or of several.

    Args:
        event: a dict or an object of an SDK.

    Example:
        >>> detect({"choices": []}), detect({"type": "response.created"}), detect({"type": "ping"}), detect({"a": 1})
        ('openai.chat', 'openai.responses', 'anthropic.messages', None)
    """
    return next((name for name, sign in _SIGNS.items() if sign(event)), None)


def _framed(event: Any, framing: Framing | None) -> str | None:
    """The same of an event in bytes. An error may tell nothing but how it came."""
    if framing is NDJSON and _has_error(event):
        return "ollama"
    return detect(event) or ("bedrock" if framing is AWS else None)


def format_named(name: str) -> Format:
    """A format.

    Example:
        >>> format_named("openai.chat").unit
        'chat completion chunks'
    """
    module = import_module(f"streamfilter.providers.{name}")
    found: Format = module.FORMAT
    return found


@stage
class Decode(DecodeStage):
    """Chunks of any provider whose format is known to items.

    Example:
        >>> list(Decode().iter([{"choices": [{"index": 0, "delta": {"content": "Hi"}}]}]))
        [TextDelta('Hi', Channel(kind='answer', key=(0, 0, 'content')))]
    """

    def machine(self, context: Context | None = None) -> Machine:
        seen = set() if context is None else context.seen
        return Detecting("Decode", lambda form: Decoding(form.reader(f"{form.name}.Decode", seen)))

    def explanation(self) -> str:
        return "reads the chunks of any provider; holds nothing"


@stage
class Wrap(WrapStage):
    """A stage over the chunks of any provider whose format is known: chunks in, filtered chunks of the same type out.

    The first event tells the format; what it does not tell waits.

    Args:
        pipeline: text stages, joined; an empty `Pipeline()` changes nothing.
        max_aggregate: characters of one channel that are kept because an event may repeat them; what repeats more is filtered by
            itself, as a quote.

    Raises:
        TypeError: the pipeline is no stage, or must wait.
        MalformedInput: while streaming: no event has told the format.

    Example:
        >>> import streamfilter as sf
        >>> delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "pin 1234."}}
        >>> [event["delta"]["text"] for event in sf.wrap(sf.Redact("[0-9]{4}", to="####")).iter([delta])]
        ['pin ####.']
    """

    def compile(self) -> None:
        if not isinstance(self.pipeline, Stage) and any(hasattr(self.pipeline, name) for name in ("__aiter__", "__iter__")):
            raise TypeError(f"a source ({type(self.pipeline).__qualname__}) is no pipeline: write sf.wrap(stage)(source)")
        super().compile()

    def started(self, context: Context) -> Machine:
        inner = machine_of(self.pipeline, context)
        detecting = Detecting("wrap", lambda form: self.wrapping(form, context, inner))
        detecting.waits, detecting.watchers = inner.waits, inner.watchers
        return detecting

    def explanation(self) -> str:
        return f"the text of any provider's chunks, through\n{self.pipeline.explain()}"


wrap = Wrap


class Detecting(Machine):
    """Becomes the machine of a format when an event has told which it is. What comes before waits.

    Args:
        stage: whose, for errors.
        begin: starts the machine for a format.
    """

    def __init__(self, stage: str, begin: Callable[[Format], Machine]) -> None:
        self._stage = stage
        self._begin = begin
        self._inner: Machine | None = None
        self._waiting: list[Any] = []
        self._size = 0  # of what waits
        self._first = bytearray()  # empty lines, which do not tell how events stand in bytes
        self._framing: Framing | None = None
        self._decoder: Decoder | None = None
        self._has_events = False
        self._wake: Callable[[], None] | None = None

    def feed(self, item: Any) -> Sequence[Any]:
        inner = self._inner
        if inner is None:
            out = self._tried(item)
            return self._caught_up() if out is None else out
        return self._fed(inner, item)

    def steps(self, item: Any) -> Steps | None:
        inner = self._inner
        if inner is None:
            return self._first_steps(item)
        work = None if inner.ended else inner.steps(item)
        return None if work is None else self._noted(work, inner)

    def begin(self, item: Any) -> tuple[Sequence[Any], Steps | None]:
        inner = self._inner
        if inner is None or inner.ended:
            return super().begin(item)
        given, work = inner.begin(item)
        self.ended = inner.ended
        return given, None if work is None else self._noted(work, inner)

    def _first_steps(self, item: Any) -> Steps:
        out = self._tried(item)
        if out is not None:
            return out
        waiting, self._waiting = self._waiting, []
        out = []
        for each in waiting:
            work = self.steps(each)
            if work is not None:
                yield out
                out = []
            out = [*out, *(self.feed(each) if work is None else (yield from work))]
        return out

    def _noted(self, work: Steps, inner: Machine) -> Steps:
        given = yield from work
        self.ended = inner.ended
        return given

    def _tried(self, item: Any) -> Sequence[Any] | None:
        """What to give for an item while the format is not known; None if it has told it."""
        self._waiting.append(item)
        try:
            name = self._name(item)
        except MalformedInput as error:
            self.ended: bool = True
            return (End("error", error),)
        if name is None:
            return ()
        self._become(name)
        return None

    def finish(self) -> Sequence[Any]:
        if self._inner is not None:
            return self._inner.finish()
        try:
            name = self._told(is_last=True)
            if name is None and self._has_events:
                raise MalformedInput(f"no event has told {UNTOLD}{IN_PYTHON}", 0)
        except MalformedInput as error:
            self.ended = True
            return (End("error", error),)
        if name is None:  # comments, pings and marks of an end, which say nothing
            waiting, self._waiting = self._waiting, []
            return waiting
        self._become(name)
        out = self._caught_up()
        return out if self.ended else [*out, *self.finish()]  # now it is that of the format

    def drain(self, item: Any) -> Sequence[Any]:
        return () if self._inner is None else self._inner.drain(item)

    def rescue(self) -> Sequence[Any]:
        return () if self._inner is None else self._inner.rescue()

    def attach(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        if self._inner is not None:
            self._inner.attach(wake)

    def collect(self) -> Sequence[Any]:
        return () if self._inner is None else self._inner.collect()

    def cancel(self) -> Sequence[Awaitable[object]]:
        return () if self._inner is None else self._inner.cancel()

    @property
    def is_full(self) -> bool:  # type: ignore[override]  # these are the inner machine's
        return self._inner is not None and self._inner.is_full

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        return self._inner is not None and self._inner.is_pending

    @property
    def held(self) -> int:
        return 0 if self._inner is None else self._inner.held

    def _become(self, name: str) -> None:
        self._inner = self._begin(format_named(name))
        if self._wake is not None:
            self._inner.attach(self._wake)

    def _caught_up(self) -> Sequence[Any]:
        """What comes of what has waited."""
        waiting, self._waiting = self._waiting, []
        return [out for each in waiting for out in self.feed(each)]

    def _fed(self, inner: Machine, item: Any) -> Sequence[Any]:
        if inner.ended:
            return inner.drain(item)
        out = inner.feed(item)
        self.ended = inner.ended
        return out

    def _name(self, item: Any) -> str | None:
        """What an item tells."""
        if isinstance(item, str) and item.lstrip()[:1] == "{":  # a message of a WebSocket
            return self._detected(parsed(item, 0))
        if not isinstance(item, bytes | bytearray | memoryview):
            name = self._detected(item)
            if name is None and not (isinstance(item, Mapping) or hasattr(item, "__dict__")):
                kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
                hint = ", not text or the lines of a response: give the response itself" if isinstance(item, str) else ""
                raise Unfit(
                    f"{self._stage} was fed {kind}: it reads a provider's chunks, as SDK objects, dicts or response bytes{hint}"
                )
            return name
        raw = bytes(item)
        room = MAX_BYTES - self._size
        self._size += len(raw)
        if self._decoder is None and not self._first and is_message(raw):  # of a WebSocket, or a line before its end
            event = parsed(raw.decode(), 0)
            if not _has_error(event) and (name := detect(event)):
                return name
        name = self._told(raw[:room])  # what tells it in so many bytes does so however they were cut
        if name is None and self._size > MAX_BYTES:
            raise MalformedInput(f"no event in the first {MAX_BYTES} bytes tells {UNTOLD}", 0)
        return name

    def _detected(self, event: Any) -> str | None:
        """What an event tells that came by itself."""
        self._has_events = True
        self._size += MAX_BYTES // MAX_EVENTS
        name = detect(event)
        if name is None and self._size > MAX_BYTES:
            raise MalformedInput(f"none of the first {MAX_EVENTS} events tells {UNTOLD}", 0)
        return name

    def _told(self, piece: bytes = b"", *, is_last: bool = False) -> str | None:
        """What some more bytes tell; at the end of the source, also those that nothing has ended."""
        if self._decoder is None:
            self._first += piece
            if not is_last and not piece.strip():
                return None
            piece = bytes(self._first)
            self._framing = framing_of(piece)
            self._decoder = self._framing.decoder() if self._framing else sse.Decoder()
        for frame in chain(self._decoder.feed(piece), self._decoder.finish() if is_last else ()):
            if frame.checked().data and str(frame.data).strip() != "[DONE]":
                self._has_events = True
                if name := _framed(parsed(str(frame.data), frame.offset), self._framing):
                    return name
        return None
