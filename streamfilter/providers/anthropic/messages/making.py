"""Events of Anthropic's Messages API for what comes from none: text of other sources, and the legal ending of a stopped message.

What is made looks like the events that came: dicts, or objects of the SDK whose objects came.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from streamfilter.items import Channel, Failure, Finish, Item, Key, TextDelta, ToolCall, Usage
from streamfilter.providers import rewriting
from streamfilter.providers.anthropic.messages.reading import BLOCKS, DELTAS
from streamfilter.providers.choices import place_of
from streamfilter.providers.counts import worded
from streamfilter.providers.dropped import Dropped
from streamfilter.providers.ordering import Blocks
from streamfilter.providers.shapes import edited, fields, get, plain
from streamfilter.reasons import spelled

TYPES = {
    "message_start": "RawMessageStartEvent",
    "content_block_start": "RawContentBlockStartEvent",
    "content_block_delta": "RawContentBlockDeltaEvent",
    "content_block_stop": "RawContentBlockStopEvent",
    "message_delta": "RawMessageDeltaEvent",
    "message_stop": "RawMessageStopEvent",
}
"""The classes of events, in the SDK's module of types."""

_STARTS: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "compaction": {"type": "compaction", "content": None},
}
_DELTA_OF = {block: (kind, field) for kind, (block, field) in DELTAS.items()}
_BLOCK_OF = {kind: block for block, kind in BLOCKS.items()} | {"refusal": "text", "tool_arguments": "tool"}


class Making(rewriting.Making):
    """One stream of events.

    Args:
        model: the model's name, for a message that has no source.
    """

    has_choices = False

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self.dropped: Dropped = Dropped(place=3)
        self._like: Any = None  # the last event that left, if it is an SDK's
        self._response: Hashable = None  # whose message was made here
        self._is_begun = False
        self._is_settled = False  # its message has a reason to stop
        self._is_over = False
        self._next = 0  # the index of the next content block
        self._open: dict[int, Channel | None] = {}  # content blocks; those that were made here with their channel
        self._order = Blocks()
        self._usage: dict[str, Any] = {}
        self._reason: str | None = None  # it waits for the usage

    def note(self, event: Any) -> None:
        """This event leaves."""
        if not isinstance(event, Mapping):
            self._like = event
        kind, index = get(event, "type"), get(event, "index")
        if kind == "content_block_start":
            self._open.setdefault(index, None)
            self._next = max(self._next, index + 1)
        elif kind == "content_block_stop":
            self._open.pop(index, None)
        elif kind == "message_start":
            self._response, self._is_begun, self._is_settled, self._is_over = None, True, False, False
            self._next, self._open = 0, {}
            self.dropped.clear()
            self._usage = fields(plain(get(get(event, "message"), "usage")))
        elif kind == "message_delta":
            self._is_settled = True
        elif kind == "message_stop":
            self._is_over = True

    def numbered(self, event: Any) -> Any:
        """An event with the index that its block has now."""
        begins = get(event, "type") == "content_block_start"
        index = get(event, "index") if begins or self.dropped.has_moved else None
        if not isinstance(index, int):
            return event
        now = self.dropped.number(index, begins=begins)
        return event if now == index else edited(event, {"index": now})

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        index = channel.key[3]
        return self._shaped(_delta(text, str(channel.key[2]), index))

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        return [self._shaped(event) for each in self._order.put(item) for event in self._made(each)]

    def end(self, reason: str) -> Sequence[Any]:
        """The events that end what is open, because a stage has ended the stream."""
        if self._is_settled or not self._is_begun:
            return ()
        waiting = [event for item in self._order.rest() for event in self._made(item)]
        ending = (*waiting, *self._closed(), self._message_delta(self._reason or spelled(reason, "anthropic")))
        return [self._shaped(event) for event in ending]

    def finish(self) -> Sequence[Any]:
        """What ends the stream after all else."""
        return [self._shaped(event) for event in self._stopped()]

    # ------------------------------------------------------------------

    def _made(self, item: Item) -> Iterator[dict[str, Any]]:
        yield from self._followed(place_of(item))
        if isinstance(item, Failure):
            yield {"type": "error", "error": _error(item.error)}
        elif isinstance(item, Usage):
            self._usage |= worded(item.usage, "anthropic")
            if self._reason is not None:
                yield self._message_delta(self._reason)
        elif isinstance(item, Finish):
            if not self._is_settled and self._reason is None:
                yield from self._begun()
                yield from self._closed()
                self._reason = spelled(item.reason, "anthropic")
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if not text:
                return
            index = next((index for index, own in self._open.items() if own == channel), None)
            block = _BLOCK_OF.get(channel.kind, "text")
            if index is None:
                yield from self._begun()
                yield from self._started(channel, dict(_STARTS.get(block, _STARTS["text"])))
                index = self._next - 1
            yield _delta(text, block, index)
        elif isinstance(item, ToolCall):
            yield from self._begun()
            call_id = item.id or f"toolu_{uuid.uuid4().hex[:24]}"
            yield from self._started(item.arguments, {"type": "tool_use", "id": call_id, "name": item.name or "", "input": {}})

    def _followed(self, place: Key) -> Iterator[dict[str, Any]]:
        """The end of the message that was made here, if what comes now is of another response."""
        if place and self._response not in (None, place[0]):
            yield from self._closed()
            if not self._is_settled:
                self._reason = self._reason or spelled("stop", "anthropic")
            yield from self._stopped()
            self._is_begun, self._is_settled, self._next, self._usage = False, False, 0, {}
            self.dropped.clear()
        self._response = place[0] if place else self._response

    def _stopped(self) -> Iterator[dict[str, Any]]:
        if self._reason is not None:
            yield self._message_delta(self._reason)
        if self._is_begun and not self._is_over:
            yield {"type": "message_stop"}

    def _begun(self) -> Iterator[dict[str, Any]]:
        if self._is_begun:
            return
        self._is_begun = True
        message: dict[str, Any] = {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        yield {"type": "message_start", "message": message}

    def _started(self, channel: Channel, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A new content block; one that was made here before ends first, for they come one behind the other."""
        yield from self._closed(own=True)
        self._open[self._next] = channel
        yield {"type": "content_block_start", "index": self._next, "content_block": block}
        self._next = max(self._open) + 1

    def _closed(self, *, own: bool = False) -> Iterator[dict[str, Any]]:
        for index, channel in list(self._open.items()):
            if channel is not None or not own:
                del self._open[index]
                yield {"type": "content_block_stop", "index": index}

    def _message_delta(self, reason: str) -> dict[str, Any]:
        self._reason, self._is_settled = None, True
        usage = {"output_tokens": 0} | {name: count for name, count in self._usage.items() if name.endswith("tokens")}
        return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}

    def _shaped(self, event: dict[str, Any]) -> Any:
        """An event as an object of the SDK, if its objects came."""
        package = type(self._like).__module__.partition(".")[0]
        types = sys.modules.get(f"{package}.types")
        made = getattr(types, TYPES.get(str(event["type"]), ""), None)
        return event if self._like is None or made is None else made.model_validate(event)


def _delta(text: str, block: str, index: object) -> dict[str, Any]:
    kind, field = _DELTA_OF.get(block, _DELTA_OF["text"])
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}}


def _error(error: object) -> dict[str, Any]:
    """What went wrong, as Anthropic says it: `{"type": …, "message": …}`."""
    given = fields(plain(error)) if not isinstance(error, str) else {"message": error}
    return {"type": str(given.get("type") or "api_error"), "message": str(given.get("message") or "the provider reports an error")}
