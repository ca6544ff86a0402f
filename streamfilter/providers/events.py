"""Streams whose chunks are JSON events: which text each brings, what of it says text once more, and what else has a place in it.

A format says where text stands in its events, and which strings are none: ids, types, signatures. Every other string is text that
the provider quotes, such as a title: nothing is taken for harmless because its field is not known here.

This module knows events as dicts and as objects of an SDK, and no provider.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from streamfilter.errors import MalformedInput, Unfit
from streamfilter.items import Channel, End, Item, Key, Raw, Scope, TextDelta, ToolCall
from streamfilter.providers import foreign
from streamfilter.providers.data import said_in
from streamfilter.providers.frames import BINARY_MESSAGES, NDJSON, SSE, TEXT_MESSAGES, Decoder, Framing, framing_of, message
from streamfilter.providers.places import Opaque, Path, at, merged, strings
from streamfilter.providers.shapes import meant
from streamfilter.providers.sse import Frame

Made = TypeVar("Made")

MAX_COUNTED = 500
"""Channels whose characters are counted: those that said something last, more than are ever open at once. If one that was left out
goes on, what counts or signs its text is found not to fit it any more."""

KEPT_RESPONSES = 100
"""Responses of one stream whose choices the stages know: how far those that wait may be behind what comes."""


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
        whole: the channels all of whose text it says, so that it cannot leave with a part of that.
        repeats: where text is said once more.
        calls: where calls begin, end or are said once more, all of each, and their channels; the empty place is the whole event.
        due: calls that have begun before it: the beginning of each has come out of the pipeline by now, or a stage has dropped it.
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
        waits: whether those behind it may still say something else of what it says: then it is read, but goes nowhere yet.
    """

    event: Any
    format: str
    frame: Frame | None = None
    framing: Framing | None = None
    items: list[Item] = field(default_factory=list)
    slots: dict[Path, Channel] = field(default_factory=dict)
    parsed: set[Path] = field(default_factory=set)
    whole: frozenset[Channel] = frozenset()
    repeats: dict[Path, Repeat] = field(default_factory=dict)
    calls: dict[Path, Channel] = field(default_factory=dict)
    due: tuple[Channel, ...] = ()
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
    waits: bool = False

    def text(self, path: Path, channel: Channel) -> None:
        """There is text of a channel at a place, if it is any. Arguments may stand there as what their JSON text means."""
        value = at(self.event, path)
        if isinstance(value, str) and value:
            self.slots[path] = channel
            self.items.append(TextDelta(value, channel, self))
        elif isinstance(value, Mapping) and value and channel.kind == "tool_arguments":  # an empty one may be what deltas fill
            self.arguments(path, channel)

    def novel(self, path: Path, opaque: Opaque, place: Key) -> list[Channel]:
        """There is a delta of a type that may be new: what each string in it says goes on in the next one. Their channels.

        Args:
            path: where it stands.
            opaque: fields whose strings are no text.
            place: what tells it from deltas of other types and parts.
        """
        for inside, _ in strings(at(self.event, path), opaque, path):
            self.text(inside, Channel("other", (*place, *merged(self.event, inside))))
        return list(self.slots.values())

    def arguments(self, path: Path, channel: Channel) -> None:
        """There are all the arguments of a call at a place, as what their JSON text means."""
        if at(self.event, path) is not None:
            self.slots[path] = channel
            self.parsed.add(path)
            self.whole |= {channel}
            self.items.append(TextDelta(self.said(path), channel, self))

    def retract(self, path: Path) -> None:
        """What stands at a place is no text: something else has come for it. Nothing may have left yet."""
        channel = self.slots.pop(path)
        self.parsed.discard(path)
        self.whole -= {channel}
        self.items[:] = [item for item in self.items if not (isinstance(item, TextDelta) and item.channel == channel)]

    def said(self, path: Path) -> str:
        """The text at a place."""
        value = at(self.event, path)
        return json.dumps(value, ensure_ascii=False) if path in self.parsed else str(value)

    def value(self, path: Path, text: str) -> Any:
        """What stands at a place if it says this text."""
        if path not in self.parsed:
            return text
        return meant(text, at(self.event, path))

    def call(self, path: Path, call_id: Any, name: object, channel: Channel, scope: Scope = None) -> None:
        """A call of a tool begins, all of which that is here stands at a place. By default it is pinned to its arguments."""
        self.calls[path] = channel
        name = None if name is None else str(name)
        self.items.append(ToolCall(call_id, name, channel, scope=channel if scope is None else scope, origin=self))

    def rest(self, scope: Scope, *, boundary: bool = False) -> None:
        """All else that the event says has this place."""
        self.items.append(Raw(self.event, scope=scope, boundary=boundary, origin=self))


class Queue:
    """Events that have been read, in order: behind one that waits, all do."""

    def __init__(self) -> None:
        self._origins: deque[Origin] = deque()

    def put(self, origin: Origin) -> Iterator[Origin]:
        """Those that need not wait now that one more has been read."""
        self._origins.append(origin)
        while self._origins and not self._origins[0].waits:
            yield self._origins.popleft()

    def rest(self) -> Iterator[Origin]:
        """Those that wait when nothing more comes."""
        while self._origins:
            yield self._origins.popleft()


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
        self._first = bytearray()  # empty lines, which do not tell the framing
        self._count = 0  # of messages
        self._said: dict[Channel, int] = {}
        self._queue = Queue()
        self.as_bytes: bool = False

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
            yield from map(self._counted, self._queue.put(refusing(self._stage, lambda: self._origin(item, None))))
        else:
            kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
            raise Unfit(f"{self._stage} was fed {kind}: it reads {self._unit}, as SDK objects, dicts or the raw response bytes")

    def finish(self) -> Iterator[Origin | End]:
        """The events that were left in bytes when the source ended."""
        if self._first:  # empty lines, and nothing else
            self._framing = self._framings[-1]
            self._decoder = self._framing.decoder()
            yield from self._frames(self._decoder.feed(bytes(self._first)))
        if self._decoder is not None:
            yield from self._frames(self._decoder.finish())
        yield from map(self._counted, self._queue.rest())

    def _message(self, item: str | bytes) -> Iterator[Frame]:
        self._count += 1
        yield message(item, self._count - 1)

    def _pieces(self, piece: bytes) -> Iterator[Origin | End]:
        if self._decoder is None:
            self._first += piece
            if len(self._framings) > 1 and not piece.strip():
                return
            piece = bytes(self._first)
            self._first.clear()
            framing = framing_of(piece, self._framings)
            assert framing is not None  # there is but one, or more than empty lines
            self._framing, self._decoder = framing, framing.decoder()
        yield from self._frames(self._decoder.feed(piece))

    def _frames(self, frames: Iterator[Frame]) -> Iterator[Origin | End]:
        try:
            for frame in map(Frame.checked, frames):
                if not frame.data or frame.data.strip() in self._done:
                    origin = Origin(None, self._name, frame, self._framing)
                    origin.items.append(Raw(frame, scope=() if frame.data else None, origin=origin))
                else:
                    origin = self._origin(*said_in(frame, self._framing or SSE))
                yield from map(self._counted, self._queue.put(origin))
        except MalformedInput as error:
            yield from map(self._counted, self._queue.rest())
            yield End("error", error.with_traceback(None))  # this frame, which goes on, has the text of an event

    def _origin(self, event: Any, frame: Frame | None) -> Origin:
        origin = Origin(event, self._name, frame, self._framing)
        self._reading.read(origin)
        if not origin.is_plain:
            foreign.check(self._name, origin)
        return origin

    def _counted(self, origin: Origin) -> Origin:
        for path, channel in origin.slots.items():  # the channel that has said something last comes last
            self._said[channel] = self._said.pop(channel, 0) + len(origin.said(path))
        while len(self._said) > MAX_COUNTED:
            del self._said[next(iter(self._said))]
        for channel in (*origin.signs.values(), *origin.spans.values()):
            origin.counts[channel] = self._said.get(channel, 0)
        return origin


def refusing(stage: str, read: Callable[[], Made]) -> Made:
    """What is read of an object. What is wrong with one is its sender's mistake, and no malformed input.

    Args:
        stage: whose, for errors.
        read: reads it.

    Raises:
        TypeError: it has a shape that could hide text.

    Example:
        >>> refusing("chat.Decode", lambda: 1)
        1
    """
    try:
        return read()
    except MalformedInput as error:
        problem = error.problem
    raise TypeError(f"{stage}: {problem}")  # without the other for its context


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


def first_seen(seen: set[Key], key: Key) -> Key:
    """A choice of the response that goes on, of which the stages that stop one shall know.

    Args:
        seen: the choices that have come so far. That of a response long before this one is over, and no stage need know of it.
        key: the number of the response, and that of the choice.

    Example:
        >>> seen = {(0, 0), (99, 0)}
        >>> first_seen(seen, (100, 0)), sorted(seen)
        ((100, 0), [(99, 0), (100, 0)])
    """
    number, choice = key
    if isinstance(number, int) and number >= KEPT_RESPONSES:
        seen.discard((number - KEPT_RESPONSES, choice))
    seen.add(key)
    return key
