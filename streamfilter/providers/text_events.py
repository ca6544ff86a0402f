"""Events whose data is text: one text, through all of an event stream. To the rest of the library a format like a provider's.

An event with a name of its own is no part of that text, which goes on behind it. It says something beside it: the guards see that
by itself, of a JSON object each of its strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import PLAIN, End, Item, Key, Raw, TextDelta
from streamfilter.providers import foreign, rewriting, sse
from streamfilter.providers.data import said_in
from streamfilter.providers.events import Origin
from streamfilter.providers.frames import SSE, json_text
from streamfilter.providers.rewriting import EventWriter
from streamfilter.providers.shapes import object_in

NAME = "text"

NO_TEXT = "the data of an event is a JSON object, and that of those before it was text: leave out the one or the other"
"""What is wrong with a stream that was taken for text by how it began."""

IN_PYTHON = ", or say that all is text: format='text'"
"""What may be done about it besides, where a format can be named."""

UNNAMED = "other"
"""The name of an event the own name of which guards have left out."""


class TextEvents:
    r"""The format of events whose data is text.

    Args:
        is_named: whether somebody has said that they are. Else it was told by how the stream began, and data that is a JSON object
            ends it: as a text, what stands in it with escapes, or is cut in two by such events, would pass.

    Example:
        >>> reader = TextEvents(is_named=True).reader("x", set())
        >>> [origin.items for origin in reader.read(b'data: Hi\n\ndata: {"a": 1}\n\n')]
        [[TextDelta('Hi', Channel(kind='answer', key=()))], [TextDelta('{"a": 1}', Channel(kind='answer', key=()))]]
    """

    name = NAME
    unit = "events whose data is text"

    def __init__(self, *, is_named: bool) -> None:
        self._is_named = is_named

    def reader(self, stage: str, seen: set[Key]) -> TextReader:
        """Begin to read a stream."""
        return TextReader(is_named=self._is_named)

    def writer(self, quote: Callable[[str], str], *, as_bytes: bool = False, model: str = "") -> EventWriter:
        """Begin to write one."""
        return _Writer(NAME, _Making(), frozenset(), quote, as_bytes=as_bytes)


class TextReader:
    """One stream of them, read.

    Args:
        is_named: as for `TextEvents`.
    """

    as_bytes = True

    def __init__(self, *, is_named: bool) -> None:
        self._is_named = is_named
        self._decoder = SSE.decoder()

    def read(self, item: Any) -> Iterator[Origin | End]:
        """The events that are complete with these bytes. Malformed input gives an `End` with the error, behind all before it."""
        return self._origins(self._decoder.feed(item))

    def finish(self) -> Iterator[Origin | End]:
        """What was left when the source ended."""
        return self._origins(self._decoder.finish())

    def _origins(self, frames: Iterable[sse.Frame]) -> Iterator[Origin | End]:
        try:
            for frame in frames:
                yield self._origin(frame.checked())
        except MalformedInput as error:
            yield End("error", error.with_traceback(None))

    def _origin(self, frame: sse.Frame) -> Origin:
        data = frame.data
        if not data or data.startswith("[DONE]"):
            origin = Origin(None, NAME, frame, SSE)
            origin.items.append(Raw(frame, scope=() if data else None, origin=origin))
            return origin
        said = object_in(data) if data.lstrip().startswith("{") else None
        if frame.event in ("", "message"):
            if said and not self._is_named:  # an empty one may be a piece of code, and hides nothing
                raise MalformedInput(NO_TEXT + IN_PYTHON, frame.offset)
            origin = Origin([data], NAME, frame, SSE, is_plain=True)
            origin.text((0,), PLAIN)
            return origin
        event, frame = ([data], frame) if said is None else said_in(frame, SSE)
        origin = Origin(event, NAME, frame, SSE)
        origin.rest(PLAIN)  # it keeps its place, and cuts no match in two: the text goes on behind it
        foreign.check(NAME, origin)
        return origin


class _Making(rewriting.Making):
    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event: text that a stage has put in."""
        if isinstance(item, TextDelta):
            item = item.text if item.channel.kind == "answer" else ""
        return [[item]] if isinstance(item, str) else ()


class _Writer(EventWriter):
    """Writes them. One of which no text is left does not leave."""

    def note(self, origin: Origin) -> None:
        """An event has arrived."""
        frame = origin.frame
        raw, name = (b"", "") if frame is None else (frame.raw, frame.event)
        super().note(origin)
        if frame is not None and frame.raw != raw:
            frame.raw = still_alive(frame.raw, raw)
            if name and not frame.event:  # without any it would go on in the text, of which it is no part
                frame.event = UNNAMED
                frame.raw = f"event: {UNNAMED}\n".encode() + frame.raw

    def write(self, items: Sequence[Item]) -> list[Any]:
        return [made for made in super().write(items) if made != b""]

    def _framed(self, event: Any, origin: Origin | None) -> bytes:
        data = "".join(event) if isinstance(event, list) else json_text(event)
        if not data:
            return b""
        frame = origin.frame if origin is not None else None
        name, id_ = (frame.event, frame.id) if frame else ("", None)
        return self._separated(sse.encode(data.encode(errors="replace").decode(), event=name, id=id_))


def still_alive(left: bytes, raw: bytes) -> bytes:
    r"""What leaves of a frame. Where guards have left none of its lines, a comment does: it kept the connection alive.

    Args:
        left: what the guards have left of it.
        raw: as it came.

    Example:
        >>> still_alive(b"\n", b": pin 1234\n\n"), still_alive(b"\n", b"\n")
        (b':\n\n', b'\n')
    """
    return left if left.strip() or not raw.strip() else b":\n" + left
