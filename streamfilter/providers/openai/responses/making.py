"""Events of OpenAI's Responses API for what comes from none: text of other sources, and the legal ending of a stopped response.

Its ending says all text once more, so that what has left is remembered. Events are numbered as they leave.
"""

from __future__ import annotations

import copy
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamfilter.items import Channel, Failure, Finish, Item, TextDelta, ToolCall, Usage
from streamfilter.providers import rewriting
from streamfilter.providers.counts import worded
from streamfilter.providers.dropped import Dropped
from streamfilter.providers.openai.responses.reading import CALLS, ENDS, TEXTS
from streamfilter.providers.shapes import edited, fields, get, plain
from streamfilter.reasons import spelled

_EVENTS = {(kind, where): (base, index, field) for base, (kind, where, index, field) in reversed(TEXTS.items())}
"""The events for text in a place. Where several kinds of calls have the same one, it is the first: what the item is tells."""

_PARTS = {"answer": ("output_text", "text"), "refusal": ("refusal", "refusal"), "reasoning": ("reasoning_text", "text")}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Making(rewriting.Making):
    """One stream of events.

    Args:
        model: the model's name, for a response that has no source.
    """

    has_choices = False

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self.dropped: Dropped = Dropped(place=2)
        self._like: Any = None  # the last event that left, if it is an SDK's
        self._number: int | None = None  # of the last event
        self._response: dict[str, Any] | None = None
        self._items: dict[int, dict[str, Any]] = {}  # those that have begun, by output index
        self._given: set[int] = set()  # those of the source: only of these are the numbers in channels
        self._next = 0  # the output index of the next one
        self._done: set[int] = set()
        self._own: dict[Channel, int] = {}  # channels from elsewhere, and the item of each
        self._before: dict[Channel, int] = {}  # how much these had said in the responses before this one
        self._turn = -1  # the number of the response: agents send several, one behind the other
        self._usage: Any = None
        self._reason: str | None = None
        self._is_over = False

    def note(self, event: Any) -> None:
        """This event of the source leaves."""
        if not isinstance(event, Mapping):
            self._like = event
        kind, output = str(get(event, "type")), get(event, "output_index")
        if kind == "response.created":
            self._response = dict(fields(plain(get(event, "response"))))
            self._items, self._given, self._next, self._done, self._is_over = {}, set(), 0, set(), False
            self._turn += 1
            self._before = {channel: len(self.said.get(channel, "")) for channel in self._own}
            self._own = {}
            self.dropped.clear()
        elif kind in ENDS:
            self._is_over = True
        elif not isinstance(output, int):
            return
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._begin(output, fields(plain(get(event, "item"))))
            self._given.add(output)
            if kind.endswith("done"):
                self._done.add(output)

    def _begin(self, output: int, item: Mapping[str, Any]) -> None:
        self._items[output] = dict(item)
        self._next = max(self._next, output + 1)

    def numbered(self, event: Any) -> Any:
        """An event with the number that it has now, and that of its item."""
        begins = get(event, "type") == "response.output_item.added"
        output = get(event, "output_index") if begins or self.dropped.has_moved else None
        if isinstance(output, int):
            now = self.dropped.number(output, begins=begins)
            event = event if now == output else edited(event, {"output_index": now})
        number = get(event, "sequence_number")
        if not isinstance(number, int):
            return event
        is_first = self._number is None or (number == 0 and get(event, "type") == "response.created")
        now = number if is_first or not self.has_changed else (self._number or 0) + 1
        self._number = now
        return event if now == number else edited(event, {"sequence_number": now})

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        return self._shaped(self._text_event(channel, "delta", text))

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        return [self._shaped(event) for event in self._made(item)]

    def forget(self, channel: Channel) -> bool:
        """A channel has ended a while ago. Its response may say at its end all that it has said."""
        return not (channel in self._own or self._is_known(channel)) or self._is_over

    def end(self, reason: str) -> Sequence[Any]:
        """The events that end what is open, because a stage has ended the stream."""
        if self._is_over or self._response is None:
            return ()
        self._reason = self._reason or reason
        return ()

    def finish(self) -> Sequence[Any]:
        """What ends the stream after all else."""
        if self._is_over or self._response is None or self._reason is None:
            return ()
        self._is_over = True
        return [self._shaped(event) for event in self._ending(self._reason)]

    # ------------------------------------------------------------------ what comes from elsewhere

    def _made(self, item: Item) -> Iterator[dict[str, Any]]:
        if isinstance(item, Failure):
            error = fields(plain(item.error)) if not isinstance(item.error, str) else {"message": item.error}
            message = str(error.get("message") or "the provider reports an error")
            yield {"type": "error", "code": error.get("code"), "message": message, "param": None}
        elif isinstance(item, Usage):
            self._usage = worded(item.usage, "responses") or self._usage
        elif isinstance(item, Finish):
            yield from self._begun()
            self._reason = self._reason or item.reason
        elif isinstance(item, ToolCall):
            yield from self._begun()
            call_id = item.id or f"call_{uuid.uuid4().hex[:24]}"
            call = {"type": "function_call", "call_id": call_id, "name": item.name or "", "arguments": ""}
            yield from self._added(item.arguments, {"id": f"fc_{uuid.uuid4().hex}", "status": "in_progress", **call})
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if not text:
                return
            yield from self._begun()
            if channel not in self._own and not self._is_known(channel):
                yield from self._message(channel)
            yield self._text_event(channel, "delta", text)

    def _begun(self) -> Iterator[dict[str, Any]]:
        if self._response is not None:
            return
        self._response = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "model": self._model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        self.has_changed = True
        yield {"type": "response.created", "sequence_number": 0, "response": dict(self._response)}

    def _message(self, channel: Channel) -> Iterator[dict[str, Any]]:
        """An item for text of a channel from elsewhere."""
        kind, field = _PARTS.get(channel.kind, _PARTS["answer"])
        is_reasoning = channel.kind == "reasoning"
        item: dict[str, Any] = {"type": "reasoning", "summary": [], "content": []}
        if not is_reasoning:
            item = {"type": "message", "role": "assistant", "content": []}
        identity = f"{'rs' if is_reasoning else 'msg'}_{uuid.uuid4().hex}"
        yield from self._added(channel, {"id": identity, "status": "in_progress", **item})
        part: dict[str, Any] = {"type": kind, field: ""}
        if kind == "output_text":
            part["annotations"] = []
        place = {"item_id": identity, "output_index": self._own[channel], "content_index": 0}
        yield {"type": "response.content_part.added", "sequence_number": 0, **place, "part": part}

    def _added(self, channel: Channel, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        output = self._next
        self._begin(output, item)
        self._own[channel] = output
        yield {"type": "response.output_item.added", "sequence_number": 0, "output_index": output, "item": dict(item)}

    def _is_known(self, channel: Channel) -> bool:
        return len(channel.key) == 5 and channel.key[0] == max(self._turn, 0) and channel.key[2] in self._given

    def _text_event(self, channel: Channel, step: str, text: str) -> dict[str, Any]:
        """A delta, or what says that a text is done."""
        output, where, number = self._place(channel)
        base, index, field = _EVENTS[channel.kind if (channel.kind, where) in _EVENTS else "answer", where]
        if output is not None and self._items.get(output, {}).get("type") == "mcp_call":
            base = "response.mcp_call_arguments"
        event: dict[str, Any] = {"type": f"{base}.{step}", "sequence_number": 0}
        if output is not None:
            event |= {"item_id": self._items.get(output, {}).get("id", ""), "output_index": output}
        if index:
            event[index] = number
        if base == "response.output_text":
            event["logprobs"] = []
        return {**event, "delta" if step == "delta" else field: text}

    def _place(self, channel: Channel) -> tuple[int | None, str, int]:
        if channel in self._own:
            return self._own[channel], "arguments" if channel.kind == "tool_arguments" else "content", 0
        output, where, number = channel.key[2:5]
        return output, str(where), number  # type: ignore[return-value]  # they are ours

    # ------------------------------------------------------------------ the ending

    def _ending(self, reason: str) -> Iterator[dict[str, Any]]:
        """All that is open is done, and then the response."""
        said: dict[int | None, list[Channel]] = {}
        for channel in self.said:
            if channel in self._own or self._is_known(channel):
                said.setdefault(self._place(channel)[0], []).append(channel)
        for output, item in self._items.items():
            if output not in self._done:
                yield from self._finished(output, item, said.get(output, ()))
        meaning = spelled(reason, "openai")
        is_whole = meaning not in _INCOMPLETE
        response = {
            **(self._response or {}),
            "status": "completed" if is_whole else "incomplete",
            "output": [*self._items.values()],
        }
        if not is_whole:
            response["incomplete_details"] = {"reason": _INCOMPLETE[meaning]}
        if self._usage is not None:
            response["usage"] = self._usage
        yield {"type": f"response.{response['status']}", "sequence_number": 0, "response": response}

    def _finished(self, output: int, item: dict[str, Any], channels: Sequence[Channel]) -> Iterator[dict[str, Any]]:
        item = copy.deepcopy(item)
        for channel in channels:
            text = self.said[channel][self._before.get(channel, 0) if channel in self._own else 0 :]
            _, where, number = self._place(channel)
            yield self._text_event(channel, "done", text)
            place = {"item_id": item.get("id", ""), "output_index": output}
            if where == "content":
                kind, field = _PARTS.get(channel.kind, _PARTS["answer"])
                part = {"type": kind, field: text, **({"annotations": []} if kind == "output_text" else {})}
                item.setdefault("content", []).append(part)
                yield {"type": "response.content_part.done", "sequence_number": 0, **place, "content_index": number, "part": part}
            elif where == "summary":
                part = {"type": "summary_text", "text": text}
                item.setdefault("summary", []).append(part)
                index = {"summary_index": number}
                yield {"type": "response.reasoning_summary_part.done", "sequence_number": 0, **place, **index, "part": part}
            elif path := CALLS.get(str(item.get("type"))):
                inner = item.setdefault(path[0], {}) if len(path) > 1 else item
                inner[path[-1]] = text
        item["status"] = "completed"
        self._items[output] = item
        self._done.add(output)
        yield {"type": "response.output_item.done", "sequence_number": 0, "output_index": output, "item": item}

    def _shaped(self, event: dict[str, Any]) -> Any:
        """An event as an object of the SDK, if its objects came."""
        if self._like is None:
            return event
        package = type(self._like).__module__.partition(".")[0]
        types = sys.modules.get(f"{package}.types.responses")
        name = "".join(part.capitalize() for part in event["type"].replace(".", "_").split("_"))
        name = _CLASSES.get(name, name)
        made = getattr(types, f"{name}Event", None) or getattr(types, name, None)
        return event if made is None else made.model_construct(**event) if made.__name__.endswith("Failed") else _built(made, event)


_CLASSES = {"ResponseOutputTextDelta": "ResponseTextDelta", "ResponseOutputTextDone": "ResponseTextDone"}


def _built(made: Any, event: dict[str, Any]) -> Any:
    build = getattr(made, "construct", None)
    return made.model_validate(event) if build is None else build(**event)
