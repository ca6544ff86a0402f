"""Events of a pydantic-ai agent for what comes from none: text that leaves later than its event, and the ends of parts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamfilter.items import Channel, Event, Item, TextDelta
from streamfilter.providers import rewriting
from streamfilter.providers.events import Origin
from streamfilter.providers.places import Path, at, is_below, strings
from streamfilter.providers.pydantic_ai.reading import DELTAS, MESSAGES, NAME, OPAQUE
from streamfilter.providers.shapes import edited, get
from streamfilter.providers.tokens import unfit

_KIND_OF = {part: (kind, field) for kind, (part, field) in DELTAS.items()}
FIELDS = dict(_KIND_OF.values())
CLASSES = {"text": "TextPartDelta", "thinking": "ThinkingPartDelta", "tool_call": "ToolCallPartDelta"}


class Making(rewriting.Making):
    """One stream of events."""

    def __init__(self) -> None:
        super().__init__()
        self.channels: dict[int, Channel] = {}  # by index, as they came
        self._like: Any = None  # the last event of a part
        self._open: dict[int, Any] = {}  # parts that have begun

    def note(self, event: Any) -> None:
        """This event leaves."""
        kind, index = get(event, "event_kind"), get(event, "index")
        if kind == "part_start":
            self._open[index] = get(event, "part")
        elif kind == "part_end":
            self._open.pop(index, None)
        if kind in ("part_start", "part_delta"):
            self._like = event

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        kind, field = _KIND_OF.get(str(channel.key[2]), _KIND_OF["text"])
        return self._shaped(
            "PartDeltaEvent",
            {"index": channel.key[3], "delta": self._shaped(CLASSES[kind], {field: text}, part_delta_kind=kind)},
            event_kind="part_delta",
        )

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event: text of a part that came."""
        if isinstance(item, TextDelta) and item.text and len(item.channel.key) == 4:
            return (self.delta(item.text, item.channel),)
        return ()

    def end(self, reason: str) -> Sequence[Any]:
        """The ends of the parts that are open, because a stage has ended the stream."""
        made: list[Any] = []
        for index, part in self._open.items():
            channel = self.channels.get(index)
            field = "args" if get(part, "args") is not None or get(part, "content") is None else "content"
            said = self.said.get(channel, "") if channel is not None else ""
            closed = edited(part, {field: said}) if channel is not None and channel.kind != "other" else part
            made.append(self._shaped("PartEndEvent", {"index": index, "part": closed}, event_kind="part_end"))
        self._open = {}
        return made

    def _shaped(self, name: str, values: dict[str, Any], **kind: str) -> Any:
        """An object of the package whose objects came, or a dict."""
        made = None if isinstance(self._like, Mapping) else getattr(sys.modules.get(type(self._like).__module__), name, None)
        return {**values, **kind} if made is None else made(**values)


class Writer(rewriting.EventWriter):
    """One stream of events, written. What the result of a run keeps to itself is filtered too.

    Args:
        quote: filters a text that an event quotes.
        as_bytes: whether to give frames of an event stream.
        making: makes events.
    """

    def __init__(self, quote: Callable[[str], str], *, as_bytes: bool = False, making: Making | None = None) -> None:
        self._own = making or Making()
        super().__init__(NAME, self._own, OPAQUE, quote, as_bytes=as_bytes, names=False)

    def note(self, origin: Origin) -> None:
        """An event has arrived."""
        if self._own._like is None and get(origin.event, "event_kind") == "part_start":  # noqa: SLF001
            self._own._like = origin.event  # noqa: SLF001
        for channel in origin.slots.values():
            self._own.channels[int(str(channel.key[3]))] = channel
        super().note(origin)

    def _rewritten(self, origin: Origin, group: Sequence[Item]) -> list[Any]:
        """The end of a part leaves behind all of its text: what has not left by then will not, unless it comes later."""
        if get(origin.event, "event_kind") == "part_end":
            for item in group:
                if isinstance(item, Event) and isinstance(item.scope, Channel):
                    self._settled(item.scope)
        return super()._rewritten(origin, group)

    def _changes(self, origin: Origin, texts: dict[Channel, str], *, is_as_it_came: bool) -> dict[Path, Any] | None:
        changes = super()._changes(origin, texts, is_as_it_came=is_as_it_came)
        kept = at(origin.event, MESSAGES)
        if changes is None or kept is None:
            return changes
        changes |= {path: value for path, value in unfit(kept, self._quote, MESSAGES).items() if not is_below(path, changes)}
        for path, text in strings(kept, OPAQUE, MESSAGES):
            if not (is_below(path, changes) or is_below(path, origin.repeats)):
                changes[path] = self._quote(text)
        return {path: value for path, value in changes.items() if value != at(origin.event, path)}
