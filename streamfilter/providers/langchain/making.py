"""Chunks and events of LangChain for what comes from none: text that leaves later than its chunk, and the end of a stopped message.

What is made is a copy of a chunk that came, so that it is of its class. Tool calls as they are parsed so far are parsed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamfilter.items import PLAIN, Channel, Finish, Item, TextDelta
from streamfilter.providers import rewriting
from streamfilter.providers.events import Origin
from streamfilter.providers.langchain.reading import NAME, OPAQUE, reason_of
from streamfilter.providers.places import Path, at, put, revised
from streamfilter.providers.rewriting import value_so_far
from streamfilter.providers.shapes import edited, fields, get
from streamfilter.reasons import spelled

NOTHING: dict[str, Any] = {
    "content": "",
    "tool_call_chunks": [],
    "tool_calls": [],
    "invalid_tool_calls": [],
    "additional_kwargs": {},
    "response_metadata": {},
}
"""A chunk that says nothing."""


class Making(rewriting.Making):
    """One stream of chunks or events."""

    def __init__(self) -> None:
        super().__init__()
        self.likes: dict[Channel, tuple[Any, Path]] = {}  # an event with text of each channel and no other, and where it stands
        self._last: tuple[Any, Path] | None = None
        self._finished = False

    def came(self, origin: Origin) -> None:
        """An event of the source has arrived."""
        for path, channel in origin.slots.items():
            event = origin.event
            if channel.key[2:3] == ("piece",):
                event = revised(event, {place: "" for place in origin.slots if place != path})
            self.likes[channel] = self._last = (event, path)

    def forget(self, channel: Channel) -> bool:
        """A channel has ended a while ago: what comes of it once more begins it anew."""
        self.likes.pop(channel, None)
        return True

    def note(self, event: Any) -> None:
        """This event leaves."""
        self._finished = self._finished or reason_of(get(event, "response_metadata")) is not None

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        return _with(*self.likes[channel], text)

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        if isinstance(item, Finish):
            return self._ended(item.reason)
        text, channel = (item, PLAIN) if isinstance(item, str) else ("", PLAIN)
        if isinstance(item, TextDelta):
            text, channel = item.text, item.channel
        if not text:
            return ()
        like = self.likes.get(channel) or (self._last if channel == PLAIN else None)
        if like is not None:
            return (_with(*like, text),)
        return ({"type": "AIMessageChunk", **NOTHING, "content": text},) if channel.kind == "answer" else ()

    def end(self, reason: str) -> Sequence[Any]:
        """A last chunk with the reason, because a stage has ended the stream; events of runs just end."""
        return self._ended(reason)

    def _ended(self, reason: str) -> Sequence[Any]:
        if self._finished or self._last is None or get(self._last[0], "event") is not None:
            return ()
        self._finished = True
        last = _bare(self._last[0])
        return (edited(last, {"response_metadata": {"finish_reason": spelled(reason, "openai")}, "chunk_position": "last"}),)


class Writer(rewriting.EventWriter):
    """One stream of chunks or events, written.

    Args:
        quote: filters a text that an event quotes.
        as_bytes: whether to give frames of an event stream.
        making: makes chunks.
    """

    def __init__(self, quote: Callable[[str], str], *, as_bytes: bool = False, making: Making | None = None) -> None:
        self._own = making or Making()
        super().__init__(NAME, self._own, OPAQUE, quote, as_bytes=as_bytes, names=False)

    def note(self, origin: Origin) -> None:
        """An event has arrived."""
        self._own.came(origin)
        super().note(origin)

    def _sent(self, event: Any, origin: Origin | None = None) -> Any:
        place: Path = ("data", "chunk") if isinstance(get(event, "event"), str) else ()
        message = at(event, place) if place else event
        if get(message, "tool_calls") or get(message, "invalid_tool_calls"):
            chunks = get(message, "tool_call_chunks")
            if chunks is not None:
                event = put(event, place, edited(message, parsed(chunks)))
        return super()._sent(event, origin)


def parsed(chunks: Sequence[Any]) -> dict[str, Any]:
    """What the fragments of calls mean so far, as the class has it."""
    calls: list[dict[str, Any]] = []
    invalid: list[dict[str, Any]] = []
    for chunk in chunks:
        text, name, identity = get(chunk, "args") or "", get(chunk, "name"), get(chunk, "id")
        value = value_so_far(text) if text else {}
        if isinstance(value, dict):
            calls.append({"name": name or "", "args": value, "id": identity, "type": "tool_call"})
        else:
            invalid.append({"name": name, "args": text, "id": identity, "error": None, "type": "invalid_tool_call"})
    return {"tool_calls": calls, "invalid_tool_calls": invalid}


def _bare(message: Any) -> Any:
    """A chunk of the same class and id that says nothing."""
    return edited(message, NOTHING, ("usage_metadata", "chunk_position"))


def _with(event: Any, path: Path, text: str) -> Any:
    """An event like another that says nothing but this text, at the same place."""
    place: Path = ("data", "chunk") if isinstance(get(event, "event"), str) else ()
    inside = list(path[len(place) :])
    message = at(event, place) if place else event
    if inside in ([], ["text"]) or (place and not _is_message(message)):
        return put(event, path, text)
    made = _bare(message)
    if len(inside) == 1:
        return put(event, place, edited(made, {str(inside[0]): text}))
    holder = at(message, (inside[0],))
    return put(event, place, edited(made, {str(inside[0]): _only(holder, tuple(inside[1:]), text)}))


def _is_message(node: object) -> bool:
    return get(node, "type") is not None or get(node, "content") is not None


def _only(node: Any, path: Path, text: str) -> Any:
    """The fields on the way to a text."""
    if not path:
        return text
    if isinstance(path[0], int):
        return [_piece(node[path[0]], path[1:], text)]
    return {path[0]: _only(get(node, path[0]), path[1:], text)}


def _piece(part: Any, path: Path, text: str) -> Any:
    """A part of a list with this text and what tells to which it belongs; names would be joined to what has come."""
    if not path:
        return text
    kept = {name: value for name, value in fields(part).items() if name in ("type", "index")}
    kept |= {name: None for name in ("name", "id") if get(part, name) is not None and path[-1] == "args"}
    return {**kept, str(path[0]): _only(get(part, str(path[0])), path[1:], text)}
