"""Chunks of a chat completion to items: which text goes to which channel, and what stands beside it.

Every choice has its own channels, told apart by where the text stood: `Channel("answer", (0, choice, "content"))`. What is neither
text nor an event of the vocabulary stays on the chunk, as a `Raw` in its place. Nothing is changed here. What has a shape that
could hide text from the pipeline is refused.
Source: the API reference of OpenAI's chat completions, and the variants of the services named in the comments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamfilter.errors import MalformedInput, Unfit
from streamfilter.items import Channel, End, Failure, Finish, Item, Key, Raw, Scope, TextDelta, ToolCall, Usage
from streamfilter.providers import sse
from streamfilter.providers.data import said_in
from streamfilter.providers.events import is_message, refusing
from streamfilter.providers.frames import BINARY_MESSAGES, SSE, TEXT_MESSAGES, Decoder, Framing, message
from streamfilter.providers.openai.chat.calls import Calls
from streamfilter.providers.openai.chat.completions import OPAQUE
from streamfilter.providers.openai.chat.texts import (
    DETAILS,
    ENTIRE,
    REPEATS,
    TEXT_FIELDS,
    Order,
    Path,
    echoes,
    has_other_parts,
    is_repeating,
    misquotes,
    others,
    texts,
)
from streamfilter.providers.places import is_mute, merged
from streamfilter.providers.shapes import fields, get, meant

RESPONSE = 0
"""A stream of chat completions is one response: the first part of every key."""

HEAD = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "system_fingerprint",
        "service_tier",
        "provider",
        "choices",
        "usage",
        "error",
        "obfuscation",
        "p",
    }
)
"""Fields of a chunk that every part of it may carry (the last two are padding); all others leave once."""

STRUCTURE = frozenset({"index", "delta", "finish_reason", "role", "tool_calls", "function_call", *TEXT_FIELDS})
"""Fields of a choice or a delta that are read one by one; all others that have a value stay beside the text."""

_KNOWN = STRUCTURE | REPEATS | ENTIRE


class Slot(NamedTuple):
    """Where in a delta a piece of text stands; if it stands there as what its JSON means, that."""

    path: Path
    item: TextDelta
    value: Any = None

    def shown(self, text: str) -> Any:
        """What stands there if it says this text."""
        return text if self.value is None else self.value if text == self.item.text else meant(text, self.value)


@dataclass(eq=False, slots=True)
class Fragment:
    """A fragment of a tool call.

    Attributes:
        path: where it stands in the delta.
        node: itself.
        channel: that of its call's arguments.
        items: what was read from it.
        slots: its text.
    """

    path: Path
    node: Any
    channel: Channel
    items: list[Item]
    slots: list[Slot]

    def carry(self, origin: Origin) -> None:
        """It says more than arguments: what of that is no text leaves once, with this."""
        if all(isinstance(item, TextDelta) for item in self.items):
            self.items.append(Raw(self.node, scope=self.channel, origin=origin))
            origin.items.append(self.items[-1])


@dataclass(eq=False, slots=True)
class Parts:
    """What was read from one choice of a chunk.

    Attributes:
        index: the choice's.
        slots: its text.
        calls: its fragments of tool calls.
        extras: what stands for its fields beside the text, if there are any.
        others: the fields of its delta that are not known and are text.
        echoes: where in the delta what is not known says the chunk's text once more.
        repeats: the fields that repeat text.
        misquotes: those of them that say something else than this chunk's.
        is_plain: whether there is nothing else in it that could be text.
    """

    index: int
    slots: list[Slot] = field(default_factory=list)
    calls: list[Fragment] = field(default_factory=list)
    extras: Raw | None = None
    others: frozenset[str] = frozenset()
    echoes: frozenset[Path] = frozenset()
    repeats: frozenset[str] = REPEATS
    misquotes: frozenset[str] = frozenset()
    is_plain: bool = False


@dataclass(eq=False, slots=True)
class Origin:
    """A chunk and what was read from it.

    Attributes:
        chunk: the dict or SDK object; None for a frame that is none, such as `[DONE]`.
        frame: the frame it came in, if it came as bytes.
        framing: how it stood in them, if that was not as a server-sent event.
        items: all that was read from it, in order.
        parts: by the position of the choice.
        whole: the channels of the calls all of whose arguments it says, so that it cannot leave with a part of these.
        extras: what stands for the chunk's own fields beyond the usual, if there are any.
        repeats: those of them that repeat text.
        is_plain: whether there is nothing but text and names in it.
        quoted: the chunk with what it says beside its text filtered; None before that is done.
        is_noted: whether a writer has seen it arrive.
    """

    chunk: Any
    frame: sse.Frame | None = None
    framing: Framing | None = None
    items: list[Item] = field(default_factory=list)
    parts: list[Parts] = field(default_factory=list)
    whole: frozenset[Channel] = frozenset()
    extras: Raw | None = None
    repeats: frozenset[str] = frozenset()
    is_plain: bool = False
    quoted: Any = None
    is_noted: bool = False


CUSTOM = "input"
"""What tells the channels of custom tools, which take a text and no JSON."""

_SPOKEN = frozenset(TEXT_FIELDS) | {"tool_calls"}


class Reader:
    """One stream of chunks, read: SDK objects, dicts, or the bytes of an event stream."""

    def __init__(self, stage: str, seen: set[Key]) -> None:
        self._stage = stage
        self._seen = seen  # the choices of this stream so far, for the stages that stop one
        self._sse: Decoder | None = None
        self._last: Channel | None = None  # the channel of the last text: chunks without a choice stand behind it
        self._calls: dict[int, Calls] = {}
        self._orders: dict[int, Order] = {}
        self._repeating: dict[int, set[str]] = {}  # by choice, the lists that have said its reasoning once more
        self._messages: Framing | None = None  # if it comes as messages of a WebSocket: how
        self._count = 0  # of them
        self.as_bytes: bool = False

    def read(self, item: object) -> Iterator[Origin | End]:
        """The chunks in one item of the source. Malformed input gives an `End` with the error, behind all before it."""
        if isinstance(item, bytes | bytearray | memoryview):
            self.as_bytes = True
            raw = bytes(item)
            if self._messages is BINARY_MESSAGES or (self._sse is None and is_message(raw)):
                self._messages = BINARY_MESSAGES
                yield from self._frames(self._message(raw))
            else:
                self._sse = self._sse or SSE.decoder()
                yield from self._frames(self._sse.feed(raw))
        elif isinstance(item, str) and (self._count or item.lstrip()[:1] == "{"):  # else it is text, and its sender mistaken
            self.as_bytes = True
            self._messages = TEXT_MESSAGES
            yield from self._frames(self._message(item))
        elif isinstance(item, Mapping) or hasattr(item, "choices"):
            yield refusing(self._stage, lambda: self._origin(item, None))
        else:
            kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
            raise Unfit(
                f"{self._stage} was fed {kind}: it reads chat completion chunks, as SDK objects, dicts or the raw response bytes"
            )

    def _message(self, item: str | bytes) -> Iterator[sse.Frame]:
        self._count += 1
        yield message(item, self._count - 1)

    def finish(self) -> Iterator[Origin | End]:
        """The chunks that were left in bytes when the source ended."""
        if self._sse is not None:
            yield from self._frames(self._sse.finish())

    def _frames(self, frames: Iterator[sse.Frame]) -> Iterator[Origin | End]:
        try:
            for frame in map(sse.Frame.checked, frames):
                if not frame.data:
                    yield _unread(frame, None)
                elif frame.data.strip() == "[DONE]":
                    yield _unread(frame, ())
                else:
                    yield self._origin(*said_in(frame, self._messages or SSE))
        except MalformedInput as error:
            yield End("error", error.with_traceback(None))  # this frame, which goes on, has the text of an event

    # ------------------------------------------------------------------ one chunk

    def _origin(self, chunk: Any, frame: sse.Frame | None) -> Origin:
        origin = Origin(chunk, frame, self._messages)
        offset = frame.offset if frame is not None else 0
        given = fields(chunk)
        choices, usage, error = given.get("choices"), given.get("usage"), given.get("error")
        if not error and given.get("object") == "error":  # older vLLM
            error = chunk
        if choices is None and not error and usage is None and given.keys() - {"type"}:
            raise MalformedInput("an event is no chunk of a chat completion: it has no choices", offset)
        finishes: list[Item] = []
        for position, choice in enumerate(_listed(choices, "choices", offset)):
            self._choice(origin, position, choice, finishes, offset)
        if error is not chunk and (beside := given.keys() - HEAD):
            texts = [item.text for item in origin.items if isinstance(item, TextDelta)]
            origin.repeats = echoes(given, beside, texts, OPAQUE)
            origin.extras = Raw(chunk, scope=self._last, origin=origin)
            origin.items.append(origin.extras)
        is_usual = origin.extras is None and not error and all(parts.is_plain for parts in origin.parts)
        origin.is_plain = is_usual and is_mute(given, OPAQUE, ("choices",), "")
        if usage is not None:
            origin.items.append(Usage(usage, scope=self._last, origin=origin))
        origin.items += finishes
        if error:
            origin.items.append(Failure(error, origin=origin))
        if not origin.items:
            origin.items.append(Raw(chunk, scope=self._last, origin=origin))
        return origin

    def _choice(self, origin: Origin, position: int, choice: Any, finishes: list[Item], offset: int) -> None:
        outer = fields(choice)
        delta = outer.get("delta")
        if not (delta is None or _is_node(delta)):
            raise MalformedInput("a choice or its delta is no object", offset)
        if delta is None and ("message" in outer or "text" in outer):
            raise MalformedInput("this is a whole completion, not a chunk of a stream", offset)
        given = fields(delta)
        index = outer.get("index")
        parts = Parts(index if isinstance(index, int) else position)
        origin.parts.append(parts)
        self._seen.add((RESPONSE, parts.index))
        before = len(origin.items)
        scope = self._texts(origin, parts, given, offset)
        if "tool_calls" in given or "function_call" in given:
            self._tools(origin, parts, given, offset)
        is_usual = STRUCTURE.issuperset(outer) and STRUCTURE.issuperset(given)
        is_plain = all(isinstance(given[name], str) for name in TEXT_FIELDS.keys() & given.keys())
        spared = _SPOKEN if parts.calls and all(map(_is_usual_call, given.get("tool_calls") or ())) else TEXT_FIELDS
        has_only_text = (is_usual and len(given) == len(parts.slots)) or is_mute(given, OPAQUE, spared, "delta")
        has_nested = not (is_plain and has_only_text) and self._others(origin, parts, given)
        if not is_usual:
            said = _unusual(parts, outer, given)
            if repeating := {name for name in DETAILS if said and is_repeating(given, name, said)}:
                self._repeating.setdefault(parts.index, set()).update(repeating)
        finish = outer.get("finish_reason")
        finish = None if finish in ("", "null") else finish
        if isinstance(finish, Mapping | list):
            raise MalformedInput("the reason why a choice ended is no word", offset)
        beside = set() if is_usual else (outer.keys() | given.keys()) - STRUCTURE - parts.others
        is_mute_beside = has_only_text and is_mute(outer, OPAQUE, ("delta",))
        parts.is_plain = is_plain and not beside and is_mute_beside
        has_others = has_nested or (not is_plain and any(has_other_parts(given.get(name)) for name in TEXT_FIELDS))
        if beside - parts.repeats or has_others or (len(origin.items) == before and finish is None):
            details = next((name for name in DETAILS if given.get(name)), None)
            if not parts.slots and details is not None:
                scope = self._channel("reasoning", parts.index, details)  # a signature goes where its text went
            parts.extras = Raw(choice, scope=scope, origin=origin)
            origin.items.append(parts.extras)
        if finish is not None:
            if parts.index in self._calls:
                self._calls[parts.index].end()
            self._orders.pop(parts.index, None)
            finishes.append(Finish(str(finish), scope=(RESPONSE, parts.index), origin=origin))

    def _texts(self, origin: Origin, parts: Parts, given: Mapping[str, Any], offset: int) -> Channel:
        """What is known to be text. The channel of the last of it."""
        scope = self._channel("answer", parts.index, "content")
        for kind, name, path, text in texts(given, self._repeating.get(parts.index, ())):
            if len(path) > 2:
                self._orders.setdefault(parts.index, Order()).check(given, path, offset)
            scope = self._channel(kind, parts.index, name)
            piece = TextDelta(text, scope, origin)
            parts.slots.append(Slot(path, piece))
            origin.items.append(piece)
            self._last = scope
        return scope

    def _others(self, origin: Origin, parts: Parts, given: Mapping[str, Any]) -> bool:
        """What is not known. A string in a delta goes on in the next one, however deep: so do clients put it together. Whether
        there is some in a field that is more than a string."""
        said = {slot.item.text for slot in parts.slots}
        calls = {call.path: call for call in parts.calls}
        slots = [*parts.slots, *(slot for call in parts.calls for slot in call.slots)]
        has_nested = False
        for path, text in others(given, {slot.path for slot in slots}, OPAQUE):
            place: Key = merged(given, path)
            call = calls.get(path[:2]) or calls.get(path[:1])
            if call is not None:  # by whose number it is told apart
                place = (path[0], *call.channel.key[-1:], *place[len(call.path) :])
            piece = TextDelta(text, Channel("other", (RESPONSE, parts.index, *place)), origin)
            origin.items.append(piece)
            if call is not None:
                call.slots.append(Slot(path, piece))
                call.items.append(piece)
                call.carry(origin)
                continue
            parts.slots.append(Slot(path, piece))
            if text in said and path[0] not in STRUCTURE:
                parts.echoes |= {path}
            elif len(path) == 1:
                parts.others |= {str(path[0])}
                said.add(text)
            else:
                has_nested = True
        return has_nested

    def _channel(self, kind: str, choice: int, name: str) -> Channel:
        """A channel of a choice: every chunk has one, and nearly always that of the one before."""
        last = self._last
        if last is not None and last.kind == kind and last.key == (RESPONSE, choice, name):
            return last
        return Channel(kind, (RESPONSE, choice, name))

    def _tools(self, origin: Origin, parts: Parts, delta: Mapping[str, Any], offset: int) -> None:
        found: list[tuple[Path, Any, Any, Path]] = []
        for n, fragment in enumerate(_listed(delta.get("tool_calls"), "tool_calls", offset)):
            custom = get(fragment, "custom") if get(fragment, "function") is None else None
            if custom is None and get(fragment, "custom"):
                raise MalformedInput("a fragment is of a function and of a custom tool", offset)
            place: Path = ("function", "arguments") if custom is None else ("custom", "input")
            found.append((("tool_calls", n), fragment, get(fragment, str(place[0])), place))
        if (legacy := delta.get("function_call")) is not None:
            found.append((("function_call",), None, legacy, ("function", "arguments")))
        for path, fragment, function, place in found:
            name, arguments, call_id = get(function, "name"), get(function, str(place[1])), get(fragment, "id") or None
            calls = self._calls.setdefault(parts.index, Calls())
            number, kind = calls.messages, None  # the older form has one in a message
            if fragment is not None:
                number = calls.number(get(fragment, "index"), call_id, name, offset)
                kind = calls.kind(number, str(place[0]) if function is not None else None, offset) or get(fragment, "type")
            where = CUSTOM if kind == "custom" else path[0]
            channel = Channel("tool_arguments", (RESPONSE, parts.index, where, number))
            items: list[Item] = []
            if name or call_id:
                items.append(ToolCall(call_id, name or None, channel, scope=channel, origin=origin))
            value = arguments if arguments and isinstance(arguments, Mapping | list) else None  # they come whole, as what they mean
            if value is not None:
                arguments = json.dumps(value, ensure_ascii=False)
                origin.whole |= {channel}
            if isinstance(arguments, str) and arguments:
                items.append(TextDelta(arguments, channel, origin))
            if not items:  # whatever else it brings
                items.append(Raw(fragment, scope=channel, origin=origin))
            origin.items += items
            inside = place if fragment is not None else place[1:]
            slots = [Slot((*path, *inside), item, value) for item in items if isinstance(item, TextDelta)]
            parts.calls.append(Fragment(path, legacy if fragment is None else fragment, channel, items, slots))


def _unusual(parts: Parts, outer: Mapping[str, Any], given: Mapping[str, Any]) -> set[str | int]:
    """Fields that are not known, and what in them, or in those beside the text that are, says it once more. The fields of text."""
    known = [slot for slot in parts.slots if slot.path not in parts.echoes]
    beside = [name for name in outer if name not in _KNOWN and type(outer[name]) is not int]
    if beside:
        parts.repeats |= echoes(outer, beside, {slot.item.text for slot in known}, OPAQUE)
    parts.repeats |= {str(path[0]) for path in parts.echoes}
    said = [(slot.path, slot.item.text) for slot in known if slot.item.channel.kind != "other" or len(slot.path) == 1]
    parts.misquotes = misquotes(outer, given, said)
    return {path[0] for path, _ in said}


def _unread(frame: sse.Frame, scope: Scope) -> Origin:
    origin = Origin(None, frame)
    origin.items.append(Raw(frame, scope=scope, origin=origin))
    return origin


def _is_usual_call(fragment: Any) -> bool:
    """Whether a fragment of a call says its arguments, and names and ids, and nothing that must be searched for quotes."""
    function = get(fragment, "function")
    if not (
        _is_node(function)
        and isinstance(get(function, "arguments"), str)
        and is_mute(fragment, OPAQUE, ("function",), "tool_calls")
    ):
        return False
    return is_mute(function, OPAQUE, ("arguments",), "function")


def _is_node(value: object) -> bool:
    return type(value) is dict or isinstance(value, Mapping) or hasattr(value, "__dict__")


def _listed(value: Any, what: str, offset: int) -> Sequence[Any]:
    """A list of objects, or nothing."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(map(_is_node, value)):
        raise MalformedInput(f"{what} is no list of objects", offset)
    return value
