"""Chunks of a chat completion to items: which text goes to which channel, and what stands beside it.

Every choice has its own channels, told apart by where the text stood: `Channel("answer", (0, choice, "content"))`. What is neither
text nor an event of the vocabulary stays on the chunk, as a `Raw` in its place. Nothing is changed here.
Source: the API reference of OpenAI's chat completions, and the variants of the services named in the comments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, End, Event, Failure, Finish, Item, Raw, Scope, TextDelta, ToolCall, Usage
from streamfilter.machine import Machine
from streamfilter.providers import sse
from streamfilter.providers.shapes import fields, get

RESPONSE = 0
"""A stream of chat completions is one response: the first part of every key."""

TEXT_FIELDS = {
    "content": "answer",
    "refusal": "refusal",
    "reasoning": "reasoning",  # Groq, OpenRouter
    "reasoning_content": "reasoning",  # DeepSeek, Qwen, xAI
}
"""The fields of a delta that are text, and the kind of channel each is."""

REPEATS = frozenset(
    {
        "logprobs",
        "message",  # Writer: the delta once more
        "reasoning_details",  # OpenRouter: the reasoning once more; alone (Snowflake) it is text
        "text",  # Together: the content once more
        "token_id",
        "token_ids",
    }
)
"""Fields beside the text that say it once more: where the text changed, or is not all there, they are dropped."""

STRUCTURE = frozenset({"index", "delta", "finish_reason", "role", "tool_calls", "function_call", *TEXT_FIELDS})
"""Fields of a choice or a delta that are read one by one; all others that have a value stay beside the text."""

Path = tuple[str | int, ...]


class Slot(NamedTuple):
    """Where in a chunk a piece of text stands.

    Attributes:
        choice: the position of the choice in the chunk.
        path: from the choice's delta to the text.
        item: the piece.
    """

    choice: int
    path: Path
    item: TextDelta


@dataclass(eq=False, slots=True)
class Origin:
    """A chunk and what was read from it.

    Attributes:
        chunk: the dict or SDK object; None for a frame that is none, such as `[DONE]`.
        frame: the frame it came in, if it came as bytes.
        items: all that was read from it, in order.
        slots: the text among it.
        calls: the events and text of tool calls, as (choice, path to the fragment, item).
        extras: for each choice with fields beside the text, the `Raw` that stands for them.
    """

    chunk: Any
    frame: sse.Frame | None = None
    items: list[Item] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    calls: list[tuple[int, Path, Item]] = field(default_factory=list)
    extras: dict[int, Raw] = field(default_factory=dict)

    @property
    def choices(self) -> Sequence[Any]:
        """The choices of the chunk."""
        return get(self.chunk, "choices") or ()


class Reader:
    """One stream of chunks, read: SDK objects, dicts, or the bytes of an event stream."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._sse: sse.Decoder | None = None
        self._last: Channel | None = None  # the channel of the last text: chunks without a choice stand behind it
        self._calls: dict[int, list[str | None]] = {}  # the ids of the calls of each choice, in order
        self.as_bytes = False

    def read(self, item: object) -> Iterator[Origin | End]:
        """The chunks in one item of the source. Malformed input gives an `End` with the error, behind all before it."""
        if isinstance(item, bytes | bytearray | memoryview):
            self.as_bytes = True
            self._sse = self._sse or sse.Decoder()
            yield from self._frames(self._sse.feed(bytes(item)))
        elif isinstance(item, Mapping) or hasattr(item, "choices"):
            yield self._origin(item, None)
        else:
            kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
            raise TypeError(
                f"{self._stage} was fed {kind}: it reads chat completion chunks, as SDK objects, dicts or the raw response bytes"
            )

    def finish(self) -> Iterator[Origin | End]:
        """The chunks that were left in bytes when the source ended."""
        if self._sse is not None:
            yield from self._frames(self._sse.finish())

    def _frames(self, frames: Iterator[sse.Frame]) -> Iterator[Origin | End]:
        try:
            for frame in frames:
                if frame.data is None:
                    yield self._raw(frame, None)
                elif frame.data == "[DONE]":
                    yield self._raw(frame, ())
                else:
                    yield self._origin(_parsed(frame), frame)
        except MalformedInput as error:
            yield End("error", error)

    def _raw(self, frame: sse.Frame, scope: Scope) -> Origin:
        origin = Origin(None, frame)
        origin.items.append(Raw(frame, scope=scope, origin=origin))
        return origin

    # ------------------------------------------------------------------ one chunk

    def _origin(self, chunk: Any, frame: sse.Frame | None) -> Origin:
        origin = Origin(chunk, frame)
        if (error := get(chunk, "error")) is not None:
            origin.items.append(Failure(error, origin=origin))
            return origin
        choices = get(chunk, "choices")
        usage = get(chunk, "usage")
        if choices is None and usage is None:
            problem = "an event is no chunk of a chat completion: it has no choices"
            if frame is not None:
                raise MalformedInput(problem, frame.offset)
            raise TypeError(f"{self._stage}: {problem}")
        finishes: list[Item] = []
        for position, choice in enumerate(choices or ()):
            self._choice(origin, position, choice, finishes)
        if usage is not None:
            origin.items.append(Usage(usage, scope=self._last, origin=origin))
        origin.items += finishes
        if not origin.items:
            origin.items.append(Raw(chunk, scope=self._last, origin=origin))
        return origin

    def _choice(self, origin: Origin, position: int, choice: Any, finishes: list[Item]) -> None:
        index = number_of(choice, position)
        delta = get(choice, "delta")
        scope = Channel("answer", (RESPONSE, index, "content"))
        for kind, name, path, text in _texts(delta):
            scope = Channel(kind, (RESPONSE, index, name))
            piece = TextDelta(text, scope, origin)
            origin.slots.append(Slot(position, path, piece))
            origin.items.append(piece)
            self._last = scope
        self._tools(origin, position, index, delta)
        beside = (fields(choice).keys() | fields(delta).keys()) - STRUCTURE - REPEATS
        empty = not any(isinstance(item, Event) and item.origin is origin and _choice_of(item) == index for item in origin.items)
        finish = get(choice, "finish_reason")
        if beside or (empty and finish is None):
            raw = Raw(choice, scope=scope, origin=origin)
            origin.extras[position] = raw
            origin.items.append(raw)
        if finish is not None:
            finishes.append(Finish(str(finish), scope=(RESPONSE, index), origin=origin))

    def _tools(self, origin: Origin, position: int, index: int, delta: Any) -> None:
        found: list[tuple[Path, Any, Any]] = [
            (("tool_calls", n), fragment, get(fragment, "function")) for n, fragment in enumerate(get(delta, "tool_calls") or ())
        ]
        if (legacy := get(delta, "function_call")) is not None:
            found.append((("function_call",), None, legacy))
        for path, fragment, function in found:
            channel = Channel("tool_arguments", (RESPONSE, index, path[0], self._call_number(index, fragment)))
            name, arguments = get(function, "name"), get(function, "arguments")
            call_id = get(fragment, "id")
            if name or call_id:
                self._call(origin, position, path, ToolCall(call_id or None, name or None, channel, scope=channel, origin=origin))
            if isinstance(arguments, str) and arguments:
                self._call(origin, position, path, TextDelta(arguments, channel, origin))
            elif arguments and not isinstance(arguments, str) and not (name or call_id):
                self._call(origin, position, path, Raw(fragment, scope=channel, origin=origin))

    def _call(self, origin: Origin, position: int, path: Path, item: Item) -> None:
        origin.items.append(item)
        origin.calls.append((position, path, item))

    def _call_number(self, index: int, fragment: Any) -> int:
        """Which call of a choice a fragment belongs to. Some services leave out the index, others the id of later fragments."""
        number = get(fragment, "index")
        call_id = get(fragment, "id") or None
        known = self._calls.setdefault(index, [])
        if not isinstance(number, int):
            if call_id in known and call_id is not None:
                number = known.index(call_id)
            else:
                number = len(known) if call_id is not None or not known else len(known) - 1
        known.extend([None] * (number + 1 - len(known)))
        known[number] = known[number] or call_id
        return number


def number_of(choice: Any, position: int) -> int:
    """The index of a choice; its position where the service leaves it out."""
    index = get(choice, "index")
    return index if isinstance(index, int) else position


def _choice_of(item: Event) -> object:
    scope = item.scope
    key = scope.key if isinstance(scope, Channel) else scope or ()
    return key[1] if len(key) > 1 else None


def _texts(delta: Any) -> Iterator[tuple[str, str, Path, str]]:
    """The pieces of text in a delta: (kind of channel, name, path, text)."""
    reasons = False
    for name, kind in TEXT_FIELDS.items():
        value = get(delta, name)
        if isinstance(value, str) and value:
            reasons = reasons or kind == "reasoning"
            yield kind, name, (name,), value
        elif isinstance(value, list | tuple):
            yield from _parts(name, value)
    if not reasons:
        for n, detail in enumerate(get(delta, "reasoning_details") or ()):
            for name in ("text", "summary"):
                if isinstance(text := get(detail, name), str) and text:
                    yield "reasoning", "reasoning_details", ("reasoning_details", n, name), text


def _parts(name: str, parts: Sequence[Any]) -> Iterator[tuple[str, str, Path, str]]:
    """Content as a list of parts (Mistral): text, and thinking, which is a list itself."""
    for n, part in enumerate(parts):
        if isinstance(text := get(part, "text"), str) and text:
            yield "answer", name, (name, n, "text"), text
        thinking = get(part, "thinking")
        if isinstance(thinking, str) and thinking:
            yield "reasoning", "thinking", (name, n, "thinking"), thinking
        elif isinstance(thinking, list | tuple):
            for m, inner in enumerate(thinking):
                if isinstance(text := get(inner, "text"), str) and text:
                    yield "reasoning", "thinking", (name, n, "thinking", m, "text"), text


def _parsed(frame: sse.Frame) -> Any:
    try:
        chunk = json.loads(frame.data or "")
    except (ValueError, RecursionError):
        raise MalformedInput("the data of an event is not JSON", frame.offset) from None
    if not isinstance(chunk, dict):
        raise MalformedInput("the data of an event is not a JSON object", frame.offset)
    return chunk


class Decoding(Machine):
    """The machine of `Decode`: chunks in, items out."""

    def __init__(self, stage: str) -> None:
        self._reader = Reader(stage)

    def feed(self, item: Any) -> Sequence[Item]:
        return self._items(self._reader.read(item))

    def finish(self) -> Sequence[Item]:
        return () if self.ended else self._items(self._reader.finish())

    def drain(self, item: Any) -> Sequence[Item]:
        return [out for out in self.feed(item) if isinstance(out, Usage)]

    def _items(self, origins: Iterator[Origin | End]) -> Sequence[Item]:
        out: list[Item] = []
        for origin in origins:
            if isinstance(origin, End):
                self.ended = True
                return [*out, origin]
            out += origin.items
        return out
