"""Events of an application's own: JSON objects, in one field of which the text of an answer stands.

To the rest of the library this is a format like a provider's. Every other string of an event is a quote, which the guards filter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from streamfilter.items import PLAIN, Channel, Key
from streamfilter.providers import rewriting
from streamfilter.providers.events import EventReader, Origin
from streamfilter.providers.frames import Framing
from streamfilter.providers.places import Path, at
from streamfilter.providers.rewriting import EventWriter

NAME = "events"

LOG = logging.getLogger("streamfilter.web")


class Fields:
    r"""The format of events whose text stands in one field.

    Args:
        field: its name; with dots, names from the outside in.
        framing: how events stand in bytes.

    Raises:
        ValueError: a name is empty.

    Example:
        >>> from streamfilter.providers.frames import NDJSON
        >>> reader = Fields("delta.text", NDJSON).reader("x", set())
        >>> [origin.items for origin in reader.read(b'{"delta": {"text": "Hi"}}\n')]
        [[TextDelta('Hi', Channel(kind='answer', key=()))]]
    """

    name = NAME
    unit = "events of an application"

    def __init__(self, field: str, framing: Framing) -> None:
        self._path: Path = tuple(field.split(".")) if isinstance(field, str) else ()
        self._framing = framing
        self._found: bool | None = None  # whether some event has had it; None before there was any
        if not self._path or not all(self._path):
            raise ValueError(f"text_at={field!r}: the name of a field is needed, such as 'token' or 'delta.text'")

    def reader(self, stage: str, seen: set[Key]) -> EventReader:
        """Begin to read a stream."""
        return EventReader(NAME, stage, self.unit, self, done=("[DONE]",), framings=(self._framing,))

    def writer(self, quote: Callable[[str], str], *, as_bytes: bool = False, model: str = "") -> EventWriter:
        """Begin to write one."""
        making = _Making(self._path)
        return EventWriter(NAME, making, frozenset(), quote, as_bytes=as_bytes, names=False, framing=self._framing)

    def read(self, origin: Origin) -> None:
        """Read one event. One without text keeps its place and cuts no match in two: the text may go on behind it."""
        origin.text(self._path, PLAIN)
        self._found = self._found or bool(origin.items)
        if not origin.items or _size(origin.event, self._path) > 1:
            origin.rest(PLAIN)

    def over(self) -> None:
        """The stream is over. If its text was never there where it was said to be, somebody should know."""
        if self._found is False:
            field = ".".join(map(str, self._path))
            LOG.warning("no event had the field text_at=%r: each of their strings was filtered by itself", field)


class _Making(rewriting.Making):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text."""
        event: Any = text
        for name in reversed(self._path):
            event = {name: event}
        return event

    def make(self, item: Any) -> Sequence[Any]:
        """The events for an item that comes from no event: text that a stage has put in."""
        text = item if isinstance(item, str) else getattr(item, "text", "")
        return [self.delta(text, PLAIN)] if text else ()


def _size(event: Any, path: Path) -> int:
    """How many fields an event has, on the way to its text."""
    return max(len(node) for n in range(len(path)) if isinstance(node := at(event, path[:n]) if n else event, dict))
