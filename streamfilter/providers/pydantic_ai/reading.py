"""Events of a pydantic-ai agent to items: a channel for each part of each response.

Indices begin again with every response of the model. A part is said again when it ends, when a tool is called, and in the result of
the run, with the messages that it keeps.
Source: `pydantic_ai.messages` and `pydantic_ai.run`.
"""

from __future__ import annotations

from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Finish, Key, ToolCall
from streamfilter.providers.events import Origin, Path, Repeat, at, first_seen
from streamfilter.providers.said import Said
from streamfilter.providers.shapes import get

NAME = "pydantic_ai"

TEXTS = {"text": "answer", "thinking": "reasoning"}
"""Parts that are text, and the kind of channel each is."""

DELTAS = {"text": ("text", "content_delta"), "thinking": ("thinking", "content_delta"), "tool_call": ("tool", "args_delta")}
"""Deltas: what part they are of, and the field that has the text."""

MESSAGES: Path = ("result", "_state", "message_history")
"""Where the result of a run keeps its messages: `result.all_messages()` gives them."""

OPAQUE = frozenset(
    {
        *("event_kind", "part_kind", "part_delta_kind", "previous_part_kind", "next_part_kind", "kind", "id", "tool_name"),
        *("tool_call_id", "tool_name_delta", "tool_kind", "provider_name", "signature", "signature_delta", "canonical_system"),
        *("media_type", "role", "model_name", "finish_reason", "run_id", "conversation_id", "provider_response_id", "timestamp"),
        *("usage", "state", "outcome"),
    }
)
"""Fields whose strings are no text: names, ids, and what only a model's provider can read."""


class Reading:
    """One stream of events.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._response = 0
        self._parts: dict[int, Channel] = {}  # of the response
        self._begun: set[Channel] = set()  # those that have had text
        self._last: Channel | None = None
        self._said = Said(OPAQUE)

    def read(self, origin: Origin) -> None:
        """Read one event."""
        kind = get(origin.event, "event_kind")
        if kind == "part_start":
            self._start(origin)
        elif kind == "part_delta":
            self._delta(origin)
        elif kind == "part_end":
            self._end(origin)
        elif kind == "agent_run_result":
            self._said.find(origin)
            if at(origin.event, MESSAGES) is not None:
                self._said.find(origin, MESSAGES)
            origin.items.append(Finish("stop", scope=self._choice, origin=origin))
        else:
            self._said.find(origin)
            origin.rest(None if kind == "final_result" else self._last)
        self._said.note(origin)
        self._begun.update(origin.slots.values())

    @property
    def _choice(self) -> Key:
        return first_seen(self._seen, (self._response, 0))

    def _channel(self, index: int, part: str) -> Channel:
        kind = TEXTS.get(part, "tool_arguments" if part == "tool" or part.endswith("-call") else "other")
        name = "tool" if kind == "tool_arguments" else part
        channel = self._parts[index] = self._last = Channel(kind, (*self._choice, name, index))
        return channel

    def _start(self, origin: Origin) -> None:
        index = _index(origin)
        if index in self._parts:  # the next response of the model
            self._response += 1
            self._parts = {}
        part = get(origin.event, "part")
        kind = str(get(part, "part_kind"))
        channel = self._channel(index, kind)
        if channel.kind == "tool_arguments":
            name = get(part, "tool_name")
            call = ToolCall(get(part, "tool_call_id"), None if name is None else str(name), channel, scope=channel, origin=origin)
            origin.items.append(call)
            origin.text(("part", "args"), channel)
            return
        origin.rest(channel)
        if kind in TEXTS:
            origin.text(("part", "content"), channel)
            self._sign(origin, ("part", "signature"), channel)

    def _delta(self, origin: Origin) -> None:
        delta, index = get(origin.event, "delta"), _index(origin)
        part, field = DELTAS.get(str(get(delta, "part_delta_kind")), ("other", ""))
        channel = self._last = self._parts.get(index) or self._channel(index, part)
        if field:
            origin.text(("delta", field), channel)
        self._sign(origin, ("delta", "signature_delta"), channel)
        beside = ("signature_delta", "provider_details", "citations_delta", "tool_name_delta")
        if not origin.items or any(get(delta, name) is not None for name in beside):
            origin.rest(channel)

    def _end(self, origin: Origin) -> None:
        part, index = get(origin.event, "part"), _index(origin)
        channel = self._parts.get(index) or self._channel(index, str(get(part, "part_kind")))
        field = "args" if channel.kind == "tool_arguments" else "content"
        value: Any = get(part, field)
        if channel in self._begun:
            origin.repeats["part", field] = Repeat(channel, is_parsed=not isinstance(value, str))
        self._sign(origin, ("part", "signature"), channel)
        origin.rest(channel, boundary=True)

    def _sign(self, origin: Origin, path: Path, channel: Channel) -> None:
        if at(origin.event, path) is not None:
            origin.spans[path] = channel


def _index(origin: Origin) -> int:
    index = get(origin.event, "index")
    if not isinstance(index, int):
        raise MalformedInput("an event of a part has no index", origin.frame.offset if origin.frame else 0)
    return index
