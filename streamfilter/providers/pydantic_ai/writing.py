"""Items from any provider as events of pydantic-ai: parts as they begin, go on and end, and the result with what was counted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from streamfilter.errors import ProviderError
from streamfilter.items import PLAIN, Channel, End, Failure, Finish, Item, TextDelta, ToolCall, Usage
from streamfilter.providers.choices import place_of
from streamfilter.providers.counts import latest
from streamfilter.providers.pydantic_ai import making
from streamfilter.reasons import spelled

_PARTS = {
    "answer": ("text", "TextPart", "content"),
    "refusal": ("text", "TextPart", "content"),
    "reasoning": ("thinking", "ThinkingPart", "content"),
    "tool_arguments": ("tool_call", "ToolCallPart", "args"),
}
"""Kinds of text: the kind of delta, the class of the part, and its field with the text."""

_REASONS = {"tool_calls": "tool_call"}
"""Reasons of OpenAI that pydantic-ai says otherwise."""


class Making(making.Making):
    """One stream of events for items that come from none.

    Args:
        model: the name of the model.
        objects: whether to make pydantic-ai's own objects.
    """

    has_choices = False

    def __init__(self, model: str = "", *, objects: bool = False) -> None:
        super().__init__()
        self._model = model
        self._package = _package() if objects else None
        self._response: object = None
        self._parts: dict[Channel, _Part] = {}  # of the response, in order
        self._last: Channel | None = None  # whose part has not ended
        self._reason: str | None = None
        self._counts = (0, 0)
        self._total = (0, 0)
        self._responses: list[Any] = []
        self._answer = ""

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        if isinstance(item, Failure):
            return (End("error", ProviderError(item.error)),)
        return [*self._made(item)]

    def end(self, reason: str) -> Sequence[Any]:
        """The end of the part that is open, and the result."""
        made = [*self._ended()]
        if self._parts:
            self._keep(reason)
        return [*made, *self._result()]

    def _made(self, item: Item) -> Iterator[Any]:
        if isinstance(item, Usage):
            self._counts = latest(self._counts, item.usage)
            return
        key = place_of(item)
        if key and key[0] != self._response:
            yield from self._ended()
            if self._parts:
                self._keep("stop")
            self._response = key[0]
        if isinstance(item, Finish):
            yield from self._ended()
            self._reason = self._reason or item.reason
        elif isinstance(item, str | TextDelta):
            text, channel = (item, PLAIN) if isinstance(item, str) else (item.text, item.channel)
            if text and channel.kind in _PARTS:
                yield from self._text(text, channel)
        elif isinstance(item, ToolCall) and item.arguments not in self._parts:
            yield from self._started(item.arguments, "", tool_name=item.name or "tool", tool_call_id=item.id or _name())

    def _text(self, text: str, channel: Channel) -> Iterator[Any]:
        part = self._parts.get(channel)
        if part is None:
            call = {"tool_name": "tool", "tool_call_id": _name()} if channel.kind == "tool_arguments" else {}
            yield from self._started(channel, text, **call)
            return
        kind = _PARTS[channel.kind][0]
        part.pieces.append(text)
        named = {"tool_call_id": part.call["tool_call_id"]} if kind == "tool_call" else {}
        delta = self._shaped(making.CLASSES[kind], {making.FIELDS[kind]: text, **named}, part_delta_kind=kind)
        yield self._shaped("PartDeltaEvent", {"index": part.number, "delta": delta}, event_kind="part_delta")

    def _started(self, channel: Channel, text: str, **call: str) -> Iterator[Any]:
        before = self._last
        yield from self._ended(_kind(channel))
        self._parts[channel], self._last = _Part(len(self._parts), call, [text]), channel
        values = {"index": self._parts[channel].number, "part": self._part(channel)}
        previous = {"previous_part_kind": _kind(before)} if before is not None else {}
        yield self._shaped("PartStartEvent", {**values, **previous}, event_kind="part_start")

    def _ended(self, following: str | None = None) -> Iterator[Any]:
        channel, self._last = self._last, None
        if channel is not None:
            values = {"index": self._parts[channel].number, "part": self._part(channel), "next_part_kind": following}
            yield self._shaped("PartEndEvent", values, event_kind="part_end")

    def _part(self, channel: Channel) -> Any:
        part = self._parts[channel]
        _, name, field = _PARTS[channel.kind]
        return self._shaped(name, {**part.call, field: "".join(part.pieces)}, part_kind=_kind(channel))

    def _keep(self, reason: str) -> None:
        """The response is over: it is kept for the result."""
        said = spelled(self._reason or reason, "openai")
        values = {"parts": [self._part(channel) for channel in self._parts], "finish_reason": _REASONS.get(said, said)}
        usage = {"input_tokens": self._counts[0], "output_tokens": self._counts[1]}
        self._total = (self._total[0] + self._counts[0], self._total[1] + self._counts[1])
        made = usage if self._package is None else self._package["RequestUsage"](**usage)
        named = {"model_name": self._model} if self._model else {}
        self._responses.append(self._shaped("ModelResponse", {**values, "usage": made, **named}, kind="response"))
        self._answer = "".join(
            piece for channel, part in self._parts.items() if channel.kind in ("answer", "refusal") for piece in part.pieces
        )
        self._parts, self._reason, self._counts = {}, None, (0, 0)

    def _result(self) -> Iterator[Any]:
        if not self._responses:
            return
        usage = {"requests": len(self._responses), "input_tokens": self._total[0], "output_tokens": self._total[1]}
        kept, self._responses = self._responses, []
        if self._package is None:
            state = {"message_history": kept, "usage": usage}
            yield {"event_kind": "agent_run_result", "result": {"output": self._answer, "_state": state}}
            return
        result = self._package["AgentRunResult"](output=self._answer)
        result._state.message_history.extend(kept)  # noqa: SLF001  # it has no other way to be given messages
        result._state.usage = self._package["RunUsage"](**usage)  # noqa: SLF001
        yield self._package["AgentRunResultEvent"](result=result)

    def _shaped(self, name: str, values: dict[str, Any], **kind: str) -> Any:
        return {**values, **kind} if self._package is None else self._package[name](**values)


class _Part(NamedTuple):
    number: int
    call: dict[str, str]
    pieces: list[str]


class Writer(making.Writer):
    """One stream of items, written as events.

    Args:
        making: makes them.
        quote: filters a text that an event quotes.
        as_bytes: whether to give frames of an event stream.
    """

    def __init__(self, making: Making, quote: Callable[[str], str], *, as_bytes: bool = False) -> None:
        super().__init__(quote, as_bytes=as_bytes, making=making)

    def _made(self, event: Any) -> Any:
        return event if isinstance(event, End) else super()._made(event)


def _kind(channel: Channel) -> str:
    """The kind of a channel's part."""
    return _PARTS[channel.kind][0].replace("_", "-")


def _name() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _package() -> dict[str, Any]:
    """The classes of pydantic-ai, by name."""
    try:
        modules = [import_module(f"pydantic_ai.{name}") for name in ("messages", "run", "usage")]
    except ImportError:
        raise ImportError("pydantic_ai.Encode makes objects of pydantic-ai-slim: install it, or give as_dicts=True") from None
    return {name: value for module in modules for name, value in vars(module).items()}
