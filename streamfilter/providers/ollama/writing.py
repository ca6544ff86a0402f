"""Items to responses of Ollama: what has a call or ends the stream leaves whole, once.

A line has a call with its arguments, or the end and the counts. Stages may give these one by one, some of them later; a reader of
lines would see two calls, or two ends. So they wait for one another here. Text does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamfilter.items import End, Item, TextDelta, ToolCall, Usage
from streamfilter.providers.events import Origin
from streamfilter.providers.frames import NDJSON
from streamfilter.providers.ollama.making import Making
from streamfilter.providers.ollama.reading import NAME, OPAQUE
from streamfilter.providers.rewriting import EventWriter
from streamfilter.providers.wrapping import Quote


class Writer(EventWriter):
    """One stream of responses, written.

    Args:
        making: makes responses.
        quote: filters a text that a response quotes.
        as_bytes: whether to give lines.
    """

    def __init__(self, making: Making, quote: Quote, *, as_bytes: bool) -> None:
        super().__init__(NAME, making, OPAQUE, quote, as_bytes=as_bytes, names=False, framing=NDJSON)
        self._follow = making.follow
        self._parts: dict[int, tuple[Origin, list[Item]]] = {}  # by response, what of it has come and waits for the rest

    def note(self, origin: Origin) -> None:
        """A response has arrived."""
        super().note(origin)
        if origin.event is not None:
            self._follow(origin.event)

    def write(self, items: Sequence[Item]) -> list[Any]:
        """The responses for what came out of one. An `End` stays the last."""
        given = list(items)
        if given and isinstance(end := given[-1], End) and end.error is None:
            counts = [item for _, parts in self._parts.values() for item in parts if isinstance(item, Usage)]
            self._parts.clear()  # of a stopped response nothing else counts
            given[-1:] = [*counts, end]
        return super().write(given)

    def _rewritten(self, origin: Origin, group: Sequence[Item]) -> list[Any]:
        if origin.event is not None:
            self._follow(origin.event)
        is_one = sum(not isinstance(item, TextDelta) for item in origin.items) < 2
        needed = sum(not isinstance(item, TextDelta | ToolCall) for item in origin.items)  # a call has an end, and may be dropped
        parts = self._parts[id(origin)][1] if id(origin) in self._parts else []
        came = sum(not isinstance(item, TextDelta | ToolCall) for item in (*parts, *group))
        if is_one or came == needed or (came and isinstance(group[-1], Usage)):
            self._parts.pop(id(origin), None)
            return super()._rewritten(origin, [*parts, *group])
        text = [item for item in group if isinstance(item, TextDelta) and item.channel.kind != "tool_arguments"]
        if rest := [item for item in group if item not in text]:
            self._parts[id(origin)] = (origin, parts + rest)
        return super()._rewritten(origin, text) if text else []
