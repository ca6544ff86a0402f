"""Events of Amazon Bedrock's Converse stream to items: which text goes to which channel, and what stands beside it.

An event is a dict with one field, its type, as boto3 gives it: `{"contentBlockDelta": {…}}`. A block of text begins with its first
delta; only calls of tools have an event for their beginning.
Source: Amazon Bedrock's API reference, ConverseStreamOutput and the types it names.
"""

from __future__ import annotations

from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Failure, Finish, Key, Usage
from streamfilter.providers.events import Origin, first_seen
from streamfilter.providers.places import Opaque, Path, is_mute, within
from streamfilter.providers.shapes import fields, get, listed

NAME = "bedrock"

KINDS = {"text": "answer", "reasoningContent": "reasoning", "toolUse": "tool_arguments", "toolResult": "tool_result"}
"""Content blocks that are text, and the kind of channel each is."""

TEXTS: dict[str, Path] = {"text": ("text",), "reasoningContent": ("reasoningContent", "text"), "toolUse": ("toolUse", "input")}
"""Where in a delta the text of such a block stands."""

WHOLE = ("citation", "image")
"""Deltas that say nothing that goes on in the next one."""

EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")

OPAQUE: Opaque = frozenset(
    {
        *("role", "toolUseId", "type", "stopReason", "invokedModelId", ":error-code"),
        *within("name", "toolUse"),
        *within("signature", "reasoningContent", "reasoningText"),
        *within("redactedContent", "reasoningContent"),
        *within("p", *EVENTS),
        *within("format", "image", "document", "video", "audio"),
    }
)
"""Fields whose strings are no text: names, ids, counts, padding, and what only the provider can read."""


class Reading:
    """One stream of events.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._response = -1  # agents send several, one behind the other
        self._blocks: dict[int, Channel] = {}  # of the response, by their index
        self._open: set[int] = set()  # those that have begun and not ended
        self._uses: set[Channel] = set()  # those of tools, that had a beginning
        self._last: Channel | None = None

    def read(self, origin: Origin) -> None:
        """Read one event."""
        event = origin.event
        kinds = [kind for kind in EVENTS if get(event, kind) is not None]
        if len(kinds) > 1:
            raise MalformedInput("an event is of several types", origin.frame.offset if origin.frame else 0)
        kind = kinds[0] if kinds else ""
        if kind == "contentBlockDelta":
            self._delta(origin, event)
        elif kind == "contentBlockStart":
            self._start(origin, event)
        elif kind == "contentBlockStop":
            index = _index(origin, kind)
            channel = self._blocks.get(index) or self._channel("other", index)
            self._open.discard(index)
            if channel in self._uses:
                origin.calls[()], origin.due = channel, (channel,)
            origin.rest(channel, boundary=True)
        elif kind == "messageStart":
            self._response += 1
            self._blocks, self._open, self._uses, self._last = {}, set(), set(), None
            origin.rest(self._choice)
        elif kind == "messageStop":
            reason = get(get(event, kind), "stopReason")
            origin.items.append(Finish(str(reason or "end_turn"), scope=self._choice, origin=origin))
        elif kind == "metadata":
            usage = get(get(event, kind), "usage")
            if usage is None:
                origin.rest(self._choice)
            else:
                origin.items.append(Usage(usage, scope=self._choice, origin=origin))
        elif (error := failure(event)) is not None:
            origin.items.append(Failure(error, origin=origin))
        else:
            origin.rest(self._last)

    @property
    def _choice(self) -> Key:
        return first_seen(self._seen, (max(self._response, 0), 0))

    def _start(self, origin: Origin, event: Any) -> None:
        index = _index(origin, "contentBlockStart")
        start = fields(get(get(event, "contentBlockStart"), "start"))
        block = next(iter(start), "other")
        # Blocks follow one another: one begins when all of those before it has left. Where they do not, none ends another's text.
        is_next = not self._open
        channel = self._last = self._channel(block, index)
        scope = self._choice if is_next else channel
        if block != "toolUse":
            origin.rest(scope)
            return
        self._uses.add(channel)
        origin.call((), get(start[block], "toolUseId"), get(start[block], "name"), channel, scope)

    def _delta(self, origin: Origin, event: Any) -> None:
        index = _index(origin, "contentBlockDelta")
        said = get(event, "contentBlockDelta")
        delta = fields(get(said, "delta"))
        if len(delta) > 1:
            raise MalformedInput("a delta is of several types", origin.frame.offset if origin.frame else 0)
        block = next(iter(delta), "other")
        channel = self._blocks.get(index)
        if channel is None or (block in KINDS and channel.key[2] != block):
            channel = self._channel(block, index)
        self._last = channel
        at: Path = ("contentBlockDelta", "delta")
        if block in TEXTS:
            origin.text((*at, *TEXTS[block]), channel)
        elif block == "toolResult":
            for n, _ in enumerate(listed(delta[block])):
                origin.text((*at, block, n, "text"), channel)
        elif block not in WHOLE:
            origin.novel(at, OPAQUE, (*self._choice, index))
        inner = fields(delta.get("reasoningContent"))
        if "signature" in inner:
            origin.signs[() if len(inner) == 1 else (*at, "reasoningContent", "signature")] = channel
        is_usual = fields(said).keys() <= {"contentBlockIndex", "delta", "p"} and is_mute(
            said, OPAQUE, ("delta",), "contentBlockDelta"
        )
        is_alone = is_usual and len(fields(event)) == 1
        is_text = block == "text" or len(fields(delta.get(block))) == 1
        origin.is_plain = is_alone and is_text and len(origin.slots) == 1
        if not origin.items:
            origin.rest(channel)

    def _channel(self, block: str, index: int) -> Channel:
        channel = self._blocks[index] = Channel(KINDS.get(block, "other"), (*self._choice, block, index))
        self._open.add(index)
        return channel


def failure(event: Any) -> Any:
    """What an event says went wrong; None if it is no error."""
    found = next((value for name, value in fields(event).items() if name.endswith("Exception")), None)
    return found if found is not None else get(event, ":error-message")


def _index(origin: Origin, kind: str) -> int:
    index = get(get(origin.event, kind), "contentBlockIndex")
    if not isinstance(index, int):
        raise MalformedInput("an event of a content block has no index", origin.frame.offset if origin.frame else 0)
    return index


def read_whole(origin: Origin) -> None:
    """A response of Converse that did not stream."""
    path: Path = ("output", "message", "content")
    content = get(get(get(origin.event, "output"), "message"), "content")
    for n, block in enumerate(listed(content)):
        if get(block, "text") is not None:
            origin.text((*path, n, "text"), Channel("answer", (0, 0, "text", n)))
        elif (thought := get(get(block, "reasoningContent"), "reasoningText")) is not None:
            channel = Channel("reasoning", (0, 0, "reasoningContent", n))
            inside: Path = (*path, n, "reasoningContent", "reasoningText")
            origin.text((*inside, "text"), channel)
            if get(thought, "signature"):
                origin.signs[*inside, "signature"] = channel
        elif (use := get(block, "toolUse")) is not None:
            channel = Channel("tool_arguments", (0, 0, "toolUse", n))
            origin.call((*path, n), get(use, "toolUseId"), get(use, "name"), channel)
            origin.arguments((*path, n, "toolUse", "input"), channel)
    if get(origin.event, "stopReason") is not None:
        origin.items.append(Finish(str(get(origin.event, "stopReason")), scope=(0, 0), origin=origin))
