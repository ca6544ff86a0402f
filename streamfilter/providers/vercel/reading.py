"""Events of the AI SDK's UI message stream to items: a channel for each text part, reasoning part and tool call.

Ids of parts are used again in later steps, so a part is told apart by its number too. A tool's input comes in deltas and then once
more as a whole: of that only the deltas are text. If there are none, the whole is.
Source: `packages/ai/src/ui-message-stream/ui-message-chunks.ts` of the AI SDK (versions 5 and 6), and its page on stream protocols.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Failure, Finish, Key
from streamfilter.providers.events import Origin, Repeat, first_seen
from streamfilter.providers.places import Opaque, within
from streamfilter.providers.recent import KEPT_ENDED
from streamfilter.providers.shapes import fields, get, listed

NAME = "vercel"

PARTS = {"text": "answer", "reasoning": "reasoning"}
"""Parts that come as `<part>-start`, `-delta`, `-end`, and the kind of channel each is."""

STEPS = ("start-step", "finish-step", "abort")

OPAQUE: Opaque = frozenset(
    {
        *("type", "id", "role", "messageId", "toolCallId", "toolName", "sourceId", "approvalId", "itemId", "mediaType"),
        "finishReason",
        *within("state", "parts"),
        *within("signature", "anthropic", "vertexAnthropic", "bedrock", "amazonBedrock", "openrouter"),
        *within("redactedData", "anthropic", "vertexAnthropic", "bedrock", "amazonBedrock"),
        *within("thoughtSignature", "google", "vertex", "googleVertex", "gateway"),
        *within("reasoningEncryptedContent", "openai", "azure", "xai"),
        *within("encryptedContent", "openai", "azure", "anthropic"),
    }
)
"""Fields whose strings are no text: names, ids, and what only a model's provider can read."""

_MEDIA = re.compile(r"data:(?:image|audio|video)/[\w.+-]+;base64,[A-Za-z0-9+/]*={0,2}")


class Reading:
    """One stream of events.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._message = -1
        self._count = 0  # of parts
        self._parts: dict[tuple[str, str], Channel] = {}  # that are open, by type and id
        self._calls: dict[str, Channel] = {}
        self._begun: set[Channel] = set()  # those that had a beginning, with the name of a tool
        self._due: set[Channel] = set()  # those of them that have not ended since
        self._spoken: set[Channel] = set()  # the calls whose input came in deltas
        self._last: Channel | None = None

    def read(self, origin: Origin) -> None:
        """Read one event."""
        event = origin.event
        kind = str(get(event, "type"))
        part, _, step = kind.rpartition("-")
        if part in PARTS and step in ("start", "delta", "end"):
            self._part(origin, part, step)
        elif kind.startswith("tool-"):
            self._tool(origin, kind)
        elif kind == "start":
            self._message += 1
            self._parts, self._calls, self._last = {}, {}, None
            self._begun, self._due, self._spoken = set(), set(), set()
            origin.rest(self._choice)
        elif kind == "finish":
            origin.items.append(Finish(str(get(event, "finishReason") or "stop"), scope=self._choice, origin=origin))
        elif kind == "error":
            origin.items.append(Failure(get(event, "errorText"), origin=origin))
        elif kind in STEPS:
            if kind != "start-step":
                self._parts = {}
                self._forget_calls()
            origin.rest(self._choice)
        else:
            if step == "delta" and isinstance(get(event, "delta"), str):  # it may be new: what it says goes on in the next one
                origin.text(("delta",), Channel("other", (*self._choice, kind, repr(get(event, "id")))))
            is_file = kind == "file" and fields(event).keys() <= {"type", "url", "mediaType"}
            origin.is_plain = is_file and _MEDIA.fullmatch(str(get(event, "url"))) is not None  # no address: that may say something
            if not origin.items:
                origin.rest(self._last)

    def _forget_calls(self) -> None:
        """A step is complete: the last calls are remembered, for what comes late of them, such as their outputs."""
        while len(self._calls) > KEPT_ENDED:
            name = next(iter(self._calls))
            channel = self._calls.pop(name)
            for known in (self._begun, self._due, self._spoken):
                known.discard(channel)

    @property
    def _choice(self) -> Key:
        return first_seen(self._seen, (max(self._message, 0), 0))

    def _part(self, origin: Origin, part: str, step: str) -> None:
        name = _id(origin, "id")
        channel = self._parts.get((part, name)) if step != "start" else None
        if channel is None:
            channel = self._parts[part, name] = Channel(PARTS[part], (*self._choice, part, self._count, name))
            self._count += 1
        self._last = channel
        given = fields(origin.event)
        if "providerMetadata" in given:  # a signature may be there
            origin.spans["providerMetadata",] = channel
        if step != "delta":  # both are boundaries, so that who drops the text drops neither, or the front end would miss one
            if step == "end":
                del self._parts[part, name]
            origin.rest(channel, boundary=True)
            return
        origin.text(("delta",), channel)
        origin.is_plain = given.keys() == {"type", "id", "delta"} and isinstance(given["delta"], str)
        if not origin.is_plain or not origin.items:
            origin.rest(channel)

    def _tool(self, origin: Origin, kind: str) -> None:
        event = origin.event
        name = _id(origin, "toolCallId")
        known = self._calls.get(name)
        channel = self._calls.setdefault(name, Channel("tool_arguments", (*self._choice, "tool", name)))
        tool = get(event, "toolName")
        if tool is not None and (known is None or kind == "tool-input-start"):
            self._begun.add(channel)
            self._due.add(channel)
            origin.call((), name, tool, channel)
        elif channel in self._begun:
            origin.calls[()] = channel
        if kind == "tool-input-delta":
            self._spoken.add(channel)
            self._last = channel
            origin.text(("inputTextDelta",), channel)
            is_usual = fields(event).keys() == {"type", "toolCallId", "inputTextDelta"}
            origin.is_plain = is_usual and isinstance(get(event, "inputTextDelta"), str)
        elif kind in ("tool-input-available", "tool-input-error"):
            if channel in self._spoken:
                is_parsed = kind == "tool-input-available" or not isinstance(get(event, "input"), str)
                origin.repeats["input",] = Repeat(channel, is_parsed=is_parsed)
            else:
                self._whole(origin, channel, is_parsed=kind == "tool-input-available")
            origin.rest(channel, boundary=True)
            origin.due = (channel,) if known is not None and channel in self._due else ()
            self._due.discard(channel)  # later it is forgotten that it left
        if not origin.items:
            origin.rest(channel)

    def _whole(self, origin: Origin, channel: Channel, *, is_parsed: bool) -> None:
        """All of a tool's input, which did not stream. What is wrong in it may have stayed the text that it was."""
        if is_parsed and not isinstance(get(origin.event, "input"), Mapping):
            origin.arguments(("input",), channel)
        else:
            origin.text(("input",), channel)
        if origin.slots:
            origin.whole |= {channel}
            self._spoken.add(channel)


def _id(origin: Origin, field: str) -> str:
    found = get(origin.event, field)
    if not isinstance(found, str):
        raise MalformedInput(f"an event of a part has no {field}", origin.frame.offset if origin.frame else 0)
    return found


def read_whole(origin: Origin) -> None:
    """A UI message: text and reasoning among its parts."""
    for n, part in enumerate(listed(get(origin.event, "parts"))):
        kind: Any = get(part, "type")
        if kind in PARTS:
            channel = Channel(PARTS[kind], (0, 0, kind, n))
            origin.text(("parts", n, "text"), channel)
        elif get(part, "toolCallId") is not None and isinstance(get(part, "input"), Mapping):
            channel = Channel("tool_arguments", (0, 0, "tool", n))
            origin.call(("parts", n), get(part, "toolCallId"), get(part, "toolName") or str(kind).removeprefix("tool-"), channel)
            origin.arguments(("parts", n, "input"), channel)
