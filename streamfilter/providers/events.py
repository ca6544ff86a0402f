"""Streams whose chunks are JSON events: which text each brings, what of it says text once more, and what else has a place in it.

A format says where text stands in its events, and which strings are none: ids, types, signatures. Every other string is text that
the provider quotes, such as a title: nothing is taken for harmless because its field is not known here.

This module knows events as dicts and as objects of an SDK, and no provider.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, End, Item, Key, Raw, Scope, TextDelta
from streamfilter.providers.frames import BINARY_MESSAGES, NDJSON, SSE, TEXT_MESSAGES, Decoder, Framing, framing_of, message
from streamfilter.providers.shapes import fields, get
from streamfilter.providers.sse import Frame

Path: TypeAlias = tuple[str | int, ...]
"""From an event to a value in it."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A place where an event says once more all that a channel has said.

    Attributes:
        channel: the channel.
        is_parsed: whether it is said as what its JSON text means.
    """

    channel: Channel
    is_parsed: bool = False


@dataclass(frozen=True, slots=True)
class Echo:
    """What an event is that a helper of an SDK makes of those before it: it gives what a channel has said since the last one.

    Attributes:
        channel: the channel.
        delta: where that stands.
        snapshot: where all that it has said stands.
        is_parsed: whether that is given as what its JSON text means so far.
    """

    channel: Channel
    delta: Path
    snapshot: Path
    is_parsed: bool = False


@dataclass(eq=False, slots=True)
class Origin:
    """An event and what was read from it.

    Attributes:
        event: the dict or SDK object; None for a frame that is none, such as a comment.
        format: the name of its format.
        frame: the frame it came in, if it came as bytes.
        framing: how it stood in them.
        items: all that was read from it, in order.
        slots: where its text stands.
        parsed: those of them that say it as what its JSON text means.
        repeats: where text is said once more.
        spans: places that count characters of a channel: of no use once that has changed. The empty place is the whole event.
        tokens: lists of the tokens of a channel's text in this event. They are left out where it is not what they say.
        signs: places that sign the text of a channel; the empty place is the whole event.
        echo: if it is one, of what.
        counts: how much the channels that it signs or counts had said by then, in characters.
        is_noted: whether a writer has seen it arrive.
        has_left: whether it has left, but for text that may come later.
        is_plain: whether it is known to say nothing else, so that it need not be searched for quoted text.
        leaves: of an event that may leave in several parts, those: each leaves with any of its items.
        encoded: slots of a text that is JSON: which of its strings stands there; None: all that it means.
        ends: where a channel's text ended behind this event, in characters from its beginning. A writer may note it here.
    """

    event: Any
    format: str
    frame: Frame | None = None
    framing: Framing | None = None
    items: list[Item] = field(default_factory=list)
    slots: dict[Path, Channel] = field(default_factory=dict)
    parsed: set[Path] = field(default_factory=set)
    repeats: dict[Path, Repeat] = field(default_factory=dict)
    spans: dict[Path, Channel] = field(default_factory=dict)
    tokens: dict[Path, Channel] = field(default_factory=dict)
    signs: dict[Path, Channel] = field(default_factory=dict)
    echo: Echo | None = None
    counts: dict[Channel, int] = field(default_factory=dict)
    is_noted: bool = False
    has_left: bool = False
    is_plain: bool = False
    leaves: dict[Path, tuple[Item, ...]] = field(default_factory=dict)
    encoded: dict[Path, int | None] = field(default_factory=dict)
    ends: dict[Channel, int] = field(default_factory=dict)

    def text(self, path: Path, channel: Channel) -> None:
        """There is text of a channel at a place, if it is any."""
        value = at(self.event, path)
        if isinstance(value, str) and value:
            self.slots[path] = channel
            self.items.append(TextDelta(value, channel, self))

    def arguments(self, path: Path, channel: Channel) -> None:
        """There are all the arguments of a call at a place, as what their JSON text means."""
        if at(self.event, path) is not None:
            self.slots[path] = channel
            self.parsed.add(path)
            self.items.append(TextDelta(self.said(path), channel, self))

    def said(self, path: Path) -> str:
        """The text at a place."""
        value = at(self.event, path)
        return json.dumps(value, ensure_ascii=False) if path in self.parsed else str(value)

    def value(self, path: Path, text: str) -> Any:
        """What stands at a place if it says this text."""
        if path not in self.parsed:
            return text
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):  # it was cut off
            return {}
        return found if isinstance(found, dict) else {}

    def rest(self, scope: Scope, *, boundary: bool = False) -> None:
        """All else that the event says has this place."""
        self.items.append(Raw(self.event, scope=scope, boundary=boundary, origin=self))


class Reading(Protocol):
    """What a format knows of one stream."""

    def read(self, origin: Origin) -> None:
        """Read one event: its items, and where its text stands.

        Raises:
            MalformedInput: it has a shape that could hide text.
        """


class EventReader:
    """One stream of events, read: SDK objects, dicts, or the bytes of an event stream.

    Args:
        name: the format's.
        stage: whose, for errors.
        unit: what it reads, in words.
        reading: knows the format.
        done: the data of the frames that end the stream and are no events.
        framings: how its events may stand in bytes. If there are several, the first bytes tell which.
    """

    def __init__(
        self, name: str, stage: str, unit: str, reading: Reading, *, done: Sequence[str] = (), framings: Sequence[Framing] = (SSE,)
    ) -> None:
        self._name = name
        self._stage = stage
        self._unit = unit
        self._reading = reading
        self._done = tuple(done)
        self._framings = tuple(framings)
        self._framing: Framing | None = None
        self._decoder: Decoder | None = None
        self._first = b""  # bytes that do not tell the framing
        self._count = 0  # of messages
        self._said: dict[Channel, int] = {}
        self.as_bytes = False

    def read(self, item: object) -> Iterator[Origin | End]:
        """The events in one item of the source. Malformed input gives an `End` with the error, behind all before it."""
        if isinstance(item, bytes | bytearray | memoryview):
            self.as_bytes = True
            raw = bytes(item)
            is_first = (
                self._decoder is None and not self._first and NDJSON not in self._framings
            )  # a cut may stand before a line end
            if self._framing is BINARY_MESSAGES or (is_first and is_message(raw)):
                self._framing = BINARY_MESSAGES
                yield from self._frames(self._message(raw))
            else:
                yield from self._pieces(raw)
        elif isinstance(item, str) and (self._count or item.lstrip()[:1] == "{"):  # else it is text, and its sender mistaken
            self.as_bytes = True
            self._framing = TEXT_MESSAGES
            yield from self._frames(self._message(item))
        elif isinstance(item, Mapping) or (hasattr(item, "__dict__") and not isinstance(item, type)):
            try:
                yield self._origin(item, None)
            except MalformedInput as error:
                raise TypeError(f"{self._stage}: {error.problem}") from None
        else:
            kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
            raise TypeError(f"{self._stage} was fed {kind}: it reads {self._unit}, as SDK objects, dicts or the raw response bytes")

    def finish(self) -> Iterator[Origin | End]:
        """The events that were left in bytes when the source ended."""
        if self._first:  # empty lines, and nothing else
            self._framing = self._framings[-1]
            self._decoder = self._framing.decoder()
            yield from self._frames(self._decoder.feed(self._first))
        if self._decoder is not None:
            yield from self._frames(self._decoder.finish())

    def _message(self, item: str | bytes) -> Iterator[Frame]:
        self._count += 1
        yield message(item, self._count - 1)

    def _pieces(self, piece: bytes) -> Iterator[Origin | End]:
        if self._decoder is None:
            piece, self._first = self._first + piece, b""
            self._framing = framing_of(piece, self._framings)
            if self._framing is None:
                self._first = piece
                return
            self._decoder = self._framing.decoder()
        yield from self._frames(self._decoder.feed(piece))

    def _frames(self, frames: Iterator[Frame]) -> Iterator[Origin | End]:
        try:
            for frame in map(Frame.checked, frames):
                if not frame.data or frame.data.strip() in self._done:
                    origin = Origin(None, self._name, frame, self._framing)
                    origin.items.append(Raw(frame, scope=() if frame.data else None, origin=origin))
                    yield origin
                else:
                    yield self._origin(*said_in(frame, self._framing or SSE))
        except MalformedInput as error:
            yield End("error", error)

    def _origin(self, event: Any, frame: Frame | None) -> Origin:
        origin = Origin(event, self._name, frame, self._framing)
        self._reading.read(origin)
        if not (origin.slots or origin.is_plain) and _is_foreign(self._name, event):
            raise MalformedInput("an event is of another format than those before it", frame.offset if frame else 0)
        for path, channel in origin.slots.items():
            self._said[channel] = self._said.get(channel, 0) + len(origin.said(path))
        for channel in (*origin.signs.values(), *origin.spans.values()):
            origin.counts[channel] = self._said.get(channel, 0)
        return origin


_TEXTS = {"choices": "openai.completions", "candidates": "gemini", "contentBlockDelta": "bedrock"}
_DELTAS = {"content_block_delta": "anthropic.messages", "response.output_text.delta": "openai.responses", "text-delta": "vercel"}
"""Where formats have their text, and whose it is: fields of events without a type, and types."""


def _is_foreign(name: str, event: Any) -> bool:
    """Whether the text of an event stands where another format has it: read as a quote, what is split over two would come out."""
    if name not in _TEXTS.values() and name not in _DELTAS.values():
        return False
    kind = get(event, "type")
    if isinstance(kind, str) and _DELTAS.get(kind, name) != name:
        return True
    return any(owner != name and get(event, field) for field, owner in _TEXTS.items())


def is_message(raw: bytes) -> bool:
    r"""Whether the first bytes of a stream are a whole message of a WebSocket: a JSON object, and no line end behind it.

    Example:
        >>> is_message(b'{"a": 1}'), is_message(b'{"a": 1}\n'), is_message(b"data: 1")
        (True, False, False)
    """
    if raw[:1] != b"{" or raw[-1:] != b"}":
        return False
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False


def parsed(data: str, offset: int) -> dict[str, Any]:
    """The object in the data of an event.

    Raises:
        MalformedInput: there is none.
    """
    return _parsed(data, offset, json.loads)


def _parsed(data: str, offset: int, read: Callable[[str], Any]) -> dict[str, Any]:
    try:
        event = read(data)
    except _RepeatedNameError:
        raise
    except (ValueError, RecursionError):
        raise MalformedInput("the data of an event is not JSON", offset) from None
    if not isinstance(event, dict):
        raise MalformedInput("the data of an event is not a JSON object", offset)
    return event


class _RepeatedNameError(ValueError):
    """An object has a field twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _RepeatedNameError
    return made


_strictly = json.JSONDecoder(object_pairs_hook=_object).decode


def said_in(frame: Frame, framing: Framing) -> tuple[dict[str, Any], Frame]:
    r"""The event in a frame, and the frame. If a field stands twice in it, readers differ about which counts: the last one does,
    as for Python, and the frame is made anew, without the other. So nothing leaves that was not read.

    Raises:
        MalformedInput: there is no JSON object.

    Example:
        >>> event, frame = said_in(Frame('{"a":1,"a":2}', "", None, b'data: {"a":1,"a":2}\r\n\r\n', 0), SSE)
        >>> event, frame.raw
        ({'a': 2}, b'data: {"a":2}\n\n')
    """
    data = frame.data or ""
    try:
        return _parsed(data, frame.offset, _strictly), frame
    except _RepeatedNameError:
        event = parsed(data, frame.offset)
        raw = framing.encode(event, frame.event, frame)
        return event, replace(frame, raw=raw, complete=True, is_cut=False)


def at(node: Any, path: Path) -> Any:
    """What stands at a place in an event; None if there is nothing."""
    for step in path:
        if type(node) is dict:  # as nearly all are
            node = node.get(step)
        elif isinstance(step, int):
            node = node[step] if isinstance(node, list | tuple) and step < len(node) else None
        else:
            node = get(node, step)
        if node is None:
            return None
    return node


def strings(node: Any, opaque: frozenset[str], path: Path = (), *, is_opaque: bool = False) -> Iterator[tuple[Path, str]]:
    """The strings in an event that may be text: all but those that `opaque` fields hold, themselves or in a list.

    Example:
        >>> list(strings({"type": "x", "part": {"title": "T", "n": 1, "list": ["a"]}}, frozenset({"type"})))
        [(('part', 'title'), 'T'), (('part', 'list', 0), 'a')]
        >>> list(strings({"type": {"type": "x", "title": "T"}}, frozenset({"type"})))
        [(('type', 'title'), 'T')]
    """
    if isinstance(node, str):
        if node and not is_opaque:
            yield path, node
    elif isinstance(node, list | tuple):
        for n, each in enumerate(node):
            yield from strings(each, opaque, (*path, n), is_opaque=is_opaque)
    elif isinstance(node, Mapping) or hasattr(node, "__dict__"):
        for name, each in fields(node).items():
            yield from strings(each, opaque, (*path, name), is_opaque=name in opaque)


def is_mute(node: Any, opaque: frozenset[str], spared: Collection[str] = ()) -> bool:
    """Whether no string in a dict or an object may be text: whether `strings` would find none. It is asked of nearly every event.

    Args:
        node: the dict or the object.
        opaque: fields whose strings are no text.
        spared: fields that are looked at elsewhere.

    Example:
        >>> is_mute({"id": "x", "index": 1}, frozenset({"id"})), is_mute({"id": {"a": "b"}}, frozenset({"id"}))
        (True, False)
    """
    for name, value in (node if type(node) is dict else fields(node)).items():
        kind = type(value)
        if kind is str:
            if value and name not in opaque and name not in spared:
                return False
        elif not (kind is int or value is None or name in spared) and _says(value, opaque, is_opaque=name in opaque):
            return False
    return True


def _says(node: Any, opaque: frozenset[str], *, is_opaque: bool) -> bool:
    kind = type(node)
    if kind is dict:
        return not is_mute(node, opaque)
    if kind is list:
        return any(_says(each, opaque, is_opaque=is_opaque) for each in node)
    return kind not in (int, bool, float) and next(strings(node, opaque, is_opaque=is_opaque), None) is not None


def first_seen(seen: set[Key], key: Key) -> Key:
    """A choice, of which the stages that stop one shall know."""
    seen.add(key)
    return key
