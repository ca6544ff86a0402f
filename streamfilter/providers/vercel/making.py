"""Events of the AI SDK's UI message stream for what comes from none, and the legal ending of a stopped message.

The front end refuses a delta of a part that has not begun, fields it does not know, and null where a field is optional.
Source: `packages/ai/src/ui/process-ui-message-stream.ts` of the AI SDK.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from streamfilter.items import Channel, Failure, Finish, Item, TextDelta, ToolCall
from streamfilter.providers import rewriting
from streamfilter.providers.events import Origin
from streamfilter.providers.shapes import edited, fields, get, plain
from streamfilter.providers.vercel.reading import NAME, OPAQUE
from streamfilter.reasons import spelled

DONE = b"data: [DONE]\n\n"
"""What ends the stream."""

_PART_OF = {"answer": "text", "refusal": "text", "reasoning": "reasoning"}


class Making(rewriting.Making):
    """One stream of events.

    Args:
        reasons: whether the front end knows reasons to finish: version 5 of the SDK refuses them.
    """

    has_choices = False

    def __init__(self, *, reasons: bool = False) -> None:
        super().__init__()
        self._reasons = reasons
        self._is_begun = False
        self._in_step = False
        self._is_over = False
        self._reason: str | None = None
        self._open: dict[tuple[str, str], Channel | None] = {}  # parts; those that were made here with their channel
        self._calls: dict[Channel, tuple[str, str]] = {}  # that were made here and are open: their id and name
        self._response: Hashable = None  # that of the step that was made here

    def note(self, event: Any) -> None:
        """This event leaves."""
        kind = str(get(event, "type"))
        part, _, step = kind.rpartition("-")
        if kind == "start":
            self._is_begun, self._in_step, self._is_over, self._reason = True, False, False, None
            self._open = {}
            self.dropped.clear()
        elif kind in ("finish", "abort"):
            self._is_over, self._in_step = True, False
        elif kind in ("start-step", "finish-step"):
            self._in_step = kind == "start-step"
            self._open = {key: channel for key, channel in self._open.items() if channel is not None}
        elif step == "start" and part in ("text", "reasoning"):
            self._open.setdefault((part, get(event, "id")), None)
        elif step == "end":
            self._open.pop((part, get(event, "id")), None)

    def numbered(self, event: Any) -> Any:
        """An event without what has been taken out of it: the front end takes no null."""
        if "providerMetadata" not in fields(event) and get(event, "type") is not None and _has(event, "providerMetadata"):
            return edited(event, {}, ("providerMetadata",))
        return event

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        return _delta(text, str(channel.key[2]), str(channel.key[-1]))

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        return [*self._made(item)]

    def forget(self, channel: Channel) -> bool:
        """A channel has ended a while ago. A call that was made here and is open says all of its input at its end."""
        return channel not in self._calls

    def end(self, reason: str) -> Sequence[Any]:
        """The events that end what is open, because a stage has ended the stream."""
        if self._is_over:
            return ()
        return [*self._ending(reason)] if self._is_begun else ()

    def finish(self) -> Sequence[Any]:
        """What ends the stream after all else."""
        return [*self._ending("stop")] if self._reason is not None and not self._is_over else ()

    # ------------------------------------------------------------------

    def _made(self, item: Item) -> Iterator[dict[str, Any]]:
        if isinstance(item, Failure):
            yield from self._begun(None)
            yield {"type": "error", "errorText": _said(item.error)}
        elif isinstance(item, Finish):
            if not self._is_over:
                yield from self._begun(None)
                choice = item.scope if isinstance(item.scope, tuple) else ()
                yield from self._closed(lambda channel: channel is None or channel.key[: len(choice)] == choice)
                self._reason = self._reason or item.reason
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if text:
                yield from self._text(text, channel)
        elif isinstance(item, ToolCall):
            yield from self._call(item.arguments, item.id, item.name)

    def _text(self, text: str, channel: Channel) -> Iterator[dict[str, Any]]:
        if channel.kind == "tool_arguments":
            if channel.key[2:3] == ("tool",) and channel not in self._calls and channel in self.said and len(channel.key) == 4:
                yield _delta(text, "tool", str(channel.key[3]))  # into a call of the source
                return
            if channel not in self._calls:
                yield from self._call(channel, None, None)
            yield _delta(text, "tool", self._calls[channel][0])
            return
        part = _PART_OF.get(channel.kind)
        if part is None:
            return
        yield from self._begun(channel.key[:1] or None)
        name = next((name for (kind, name), own in self._open.items() if kind == part and own == channel), None)
        if name is None and len(channel.key) == 5 and (part, channel.key[4]) in self._open:  # a part of the source
            name = str(channel.key[4])
        if name is None:
            yield from self._closed(lambda own: own is not None and own.choice == channel.choice, calls=False)
            name = f"{part}-{uuid.uuid4().hex[:12]}"
            self._open[part, name] = channel
            yield {"type": f"{part}-start", "id": name}
        yield _delta(text, part, name)

    def _call(self, channel: Channel, name: str | None, tool: str | None) -> Iterator[dict[str, Any]]:
        yield from self._begun(channel.key[:1] or None)
        yield from self._closed(lambda own: own is not None and own.choice == channel.choice, calls=False)
        if channel in self._calls:
            return
        self._calls[channel] = call = name or f"call_{uuid.uuid4().hex[:12]}", tool or "tool"
        yield {"type": "tool-input-start", "toolCallId": call[0], "toolName": call[1]}

    def _begun(self, response: Hashable) -> Iterator[dict[str, Any]]:
        """The beginning of the message and of a step; responses of an agent come each in a step of its own."""
        if not self._is_begun:
            self._is_begun, self._is_over = True, False
            yield {"type": "start", "messageId": f"msg_{uuid.uuid4().hex}"}
        if response is not None and self._in_step and self._response not in (None, response) and self._reason is not None:
            yield from self._closed(lambda _: True)
            self._in_step, self._reason = False, None
            yield {"type": "finish-step"}
        if not self._in_step:
            self._in_step = True
            yield {"type": "start-step"}
        self._response = response if response is not None else self._response

    def _closed(self, these: Callable[[Channel | None], bool], *, calls: bool = True) -> Iterator[dict[str, Any]]:
        for (part, name), channel in list(self._open.items()):
            if these(channel):
                del self._open[part, name]
                yield {"type": f"{part}-end", "id": name}
        for channel, (name, tool) in list(self._calls.items()) if calls else ():
            if these(channel):
                del self._calls[channel]
                yield self._available(name, tool, self.said.get(channel, ""))

    def _available(self, name: str, tool: str, text: str) -> dict[str, Any]:
        event = {"toolCallId": name, "toolName": tool}
        try:
            return {"type": "tool-input-available", **event, "input": json.loads(text) if text else {}}
        except (ValueError, RecursionError):
            return {"type": "tool-input-error", **event, "input": text, "errorText": "the input is not JSON"}

    def _ending(self, reason: str) -> Iterator[dict[str, Any]]:
        yield from self._closed(lambda _: True)
        if self._in_step:
            yield {"type": "finish-step"}
        self._in_step, self._is_over = False, True
        word = spelled(self._reason or reason, "openai").replace("_", "-")
        yield {"type": "finish", **({"finishReason": word} if self._reasons else {})}


class Writer(rewriting.EventWriter):
    """One stream of events, written; as bytes it ends with `[DONE]`.

    Args:
        making: makes events.
        quote: filters a text that an event quotes.
        as_bytes: whether to give frames of an event stream.
    """

    def __init__(self, making: Making, quote: Callable[[str], str], *, as_bytes: bool = False) -> None:
        super().__init__(NAME, making, OPAQUE, quote, as_bytes=as_bytes, names=False)
        self._is_done = False

    def finish(self) -> list[Any]:
        """What ends the stream after all else, if it has not come from the source."""
        out = super().finish()
        if self.as_bytes and not self._is_done and not self._failed:
            self._is_done = True
            out.append(self._separated(DONE))
        return out

    def _whole(self, origin: Origin) -> Any:
        self._is_done = self._is_done or (origin.event is None and origin.frame is not None and bool(origin.frame.data))
        return super()._whole(origin)


def _delta(text: str, part: str, name: str) -> dict[str, Any]:
    if part == "tool":
        return {"type": "tool-input-delta", "toolCallId": name, "inputTextDelta": text}
    return {"type": f"{part}-delta", "id": name, "delta": text}


def _has(event: Any, field: str) -> bool:
    return field in event if isinstance(event, dict) else False


def _said(error: object) -> str:
    """What went wrong, in words."""
    given = fields(plain(error)) if not isinstance(error, str) else {"message": error}
    return str(given.get("message") or "the provider reports an error")
