"""Events of a pydantic-ai agent to items: a channel for each part of each response.

Indices begin again with every response of the model. A part is said again when it ends, when a tool is called, and in the result of
the run, with the messages that it keeps.
Source: `pydantic_ai.messages` and `pydantic_ai.run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Finish, Key, Raw, Usage
from streamfilter.providers.events import Origin, Repeat, first_seen
from streamfilter.providers.foreign import check
from streamfilter.providers.places import Opaque, Path, at, within
from streamfilter.providers.said import Said
from streamfilter.providers.shapes import edited, get, listed

NAME = "pydantic_ai"

T = TypeVar("T")

TEXTS = {"text": "answer", "thinking": "reasoning"}
"""Parts that are text, and the kind of channel each is."""

DELTAS = {"text": ("text", "content_delta"), "thinking": ("thinking", "content_delta"), "tool_call": ("tool", "args_delta")}
"""Deltas: what part they are of, and the field that has the text."""

_SCOPES: dict[str, None] = dict.fromkeys(("final_result", "enqueued_messages", "custom", "capability"))
"""Events that come in the midst of a response, and may overtake its text. All others come behind it."""

USAGE: Path = ("result", "_state", "usage")
"""And where it keeps what was counted."""

MESSAGES: Path = ("result", "_state", "message_history")
"""Where the result of a run keeps its messages: `result.all_messages()` gives them."""

OPAQUE: Opaque = frozenset(
    {
        *("event_kind", "part_kind", "part_delta_kind", "previous_part_kind", "next_part_kind", "kind", "id", "tool_name"),
        *("tool_call_id", "tool_name_delta", "tool_kind", "provider_name", "canonical_system"),
        *("media_type", "role", "model_name", "finish_reason", "run_id", "conversation_id", "provider_response_id", "timestamp"),
        *within("state", "response", ""),
        *within("outcome", "part", "parts"),
        *within("signature", "part", "parts"),
        *within("signature_delta", "delta"),
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
            usage = at(origin.event, USAGE)
            if usage is not None:
                origin.items.append(Usage(usage, scope=self._choice, origin=origin))
            origin.items.append(Finish(_reason(origin), scope=self._choice, origin=origin))
        else:
            self._said.find(origin)
            check(NAME, origin)
            origin.rest(_SCOPES.get(str(kind), self._choice))
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
            origin.items.append(Raw(origin.event, scope=self._choice, origin=origin))
            self._response += 1
            self._parts, self._begun = {}, set()
        part = get(origin.event, "part")
        kind = _kind(origin, part, "part_kind")
        channel = self._channel(index, kind)
        if channel.kind == "tool_arguments":
            name = get(part, "tool_name")
            origin.call((), get(part, "tool_call_id"), name, channel)
            origin.text(("part", "args"), channel)
            return
        origin.rest(channel)
        if kind in TEXTS:
            origin.text(("part", "content"), channel)
            self._sign(origin, ("part", "signature"), channel)

    def _delta(self, origin: Origin) -> None:
        delta, index = get(origin.event, "delta"), _index(origin)
        part, field = DELTAS.get(_kind(origin, delta, "part_delta_kind"), ("other", ""))
        channel = self._last = self._parts.get(index) or self._channel(index, part)
        if field:
            origin.text(("delta", field), channel)
        self._sign(origin, ("delta", "signature_delta"), channel)
        if name := get(delta, "tool_name_delta"):
            origin.call((), get(delta, "tool_call_id"), name, channel)
        beside = ("signature_delta", "provider_details", "citations_delta")
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
        origin.rest(channel)  # no boundary: a text goes on behind a tool call as the same part

    def _sign(self, origin: Origin, path: Path, channel: Channel) -> None:
        """Where a part is signed, and the tokens that it was made of."""
        if at(origin.event, path) is not None:
            origin.spans[path] = channel
        tokens = (path[0], "provider_details", "logprobs")
        if at(origin.event, tokens) is not None:
            origin.tokens[tokens] = channel


def _index(origin: Origin) -> int:
    index = get(origin.event, "index")
    if not isinstance(index, int):
        raise MalformedInput("an event of a part has no index", origin.frame.offset if origin.frame else 0)
    return index


def _reason(origin: Origin) -> str:
    """Why the last response of a run was complete."""
    for message in reversed(listed(at(origin.event, MESSAGES))):
        if get(message, "kind") == "response" and isinstance(get(message, "finish_reason"), str):
            found = str(get(message, "finish_reason"))
            return "tool_calls" if found == "tool_call" else found
    return "stop"


def _kind(origin: Origin, part: object, name: str) -> str:
    kind = str(get(part, name))
    if kind == "speech":
        raise MalformedInput(
            "speech is not filtered: its transcript changes behind what has left", origin.frame.offset if origin.frame else 0
        )
    return kind


def read_whole(origin: Origin) -> None:
    """A response that did not stream."""
    for n, part in enumerate(listed(get(origin.event, "parts"))):
        kind = _kind(origin, part, "part_kind")
        field = "content" if kind in TEXTS else "args"
        channel = Channel(TEXTS.get(kind, "tool_arguments"), (0, 0, kind, n))
        if kind.endswith("-call"):
            origin.call(("parts", n), get(part, "tool_call_id"), get(part, "tool_name"), channel)
        if isinstance(get(part, field), str):
            origin.text(("parts", n, field), channel)
        elif isinstance(get(part, field), Mapping):
            origin.arguments(("parts", n, field), channel)
        elif isinstance(get(part, "content"), Mapping):
            origin.arguments(("parts", n, "content"), channel)
        for name in ("id", "signature") if kind in TEXTS else ():
            if get(part, name) is not None:
                origin.spans["parts", n, name] = channel
        if at(part, ("provider_details", "logprobs")) is not None:
            origin.tokens["parts", n, "provider_details", "logprobs"] = channel
    if not origin.items:
        origin.rest(())


def without_tokens(made: T, *, is_changed: bool) -> T:
    """A response without the tokens that it was made of, if its text has been changed."""
    details = get(made, "provider_details")
    if not is_changed or get(details, "logprobs") is None:
        return made
    without: T = edited(made, {"provider_details": {name: value for name, value in details.items() if name != "logprobs"}})
    return without
