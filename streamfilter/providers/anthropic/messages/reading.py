"""Events of Anthropic's Messages API to items: a channel for each content block, told apart by its kind and its index.

Events of the SDK's helper, `client.messages.stream(...)`, are read too: those that repeat what the API's own have said are echoes.
Source: Anthropic's reference of streaming messages, and the types of its SDK.
"""

from __future__ import annotations

from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Failure, Finish, Key, Usage
from streamfilter.providers.events import Echo, Origin, Repeat, first_seen
from streamfilter.providers.places import Opaque, within
from streamfilter.providers.shapes import fields, get, listed, plain

NAME = "anthropic.messages"

BLOCKS = {"text": "answer", "thinking": "reasoning", "compaction": "compaction"}
"""Content blocks that are text, and the kind of channel each is."""

TEXTS = {"text": "text", "thinking": "thinking", "compaction": "content"}
"""The field of such a block that has its text."""

DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool", "partial_json"),
    "compaction_delta": ("compaction", "content"),
}
"""Deltas that bring text: what block they are of, and the field that has it."""

ECHOES = {"text": ("text", "text"), "thinking": ("thinking", "thinking"), "input_json": ("tool", "partial_json")}
"""Events of the SDK's helper that give a delta once more: what block they are of, and the field that has it."""

OPAQUE: Opaque = frozenset(
    {
        *("type", "id", "role", "model", "tool_use_id", "stop_reason", "service_tier", "media_type", "error_code"),
        *("tool_id", "skill_id"),
        *within("name", "tool_use", "server_tool_use", "mcp_tool_use"),
        *within("server_name", "mcp_tool_use"),
        *within("inference_geo", "usage"),
        *within("signature", "thinking", "signature_delta", "signature", "compaction"),
        *within("data", "redacted_thinking", "base64"),
        *within("encrypted_content", "web_search_result", "advisor_redacted_result", "compaction", "compaction_delta"),
        *within("encrypted_index", "web_search_result_location"),
        *within("encrypted_stdout", "encrypted_code_execution_result"),
        *within("file_id", "container_upload", "file", "code_execution_output", "bash_code_execution_output"),
        *within("file_id", "char_location", "page_location", "content_block_location"),
        *within("page_age", "web_search_result"),
        *within("retrieved_at", "web_fetch_result"),
        *within("expires_at", "container"),
    }
)
"""Fields whose strings are no text: names, ids, times, and what only Anthropic can read."""


class Reading:
    """One stream of events.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._response = -1  # agents send several, one behind the other
        self._blocks: dict[int, Channel] = {}  # of the response, by their index
        self._last: Channel | None = None
        self._open: set[int] = set()  # those that have begun and not ended
        self._uses: set[int] = set()  # those of tools
        self._usage: Any = None  # as the message began
        self._whole: Origin | None = None  # the beginning of a call with all of its arguments, if no delta says otherwise

    def read(self, origin: Origin) -> None:
        """Read one event."""
        event = origin.event
        kind = get(event, "type")
        if self._whole is not None:
            self._decide(self._whole, event, str(kind))
        if kind == "content_block_delta":
            self._delta(origin, event)
        elif kind == "content_block_start":
            self._start(origin, event)
        elif kind == "content_block_stop":
            self._stop(origin, event)
        elif kind == "message_start":
            self._response += 1
            self._usage = get(get(event, "message"), "usage")
            self._blocks, self._last, self._open, self._uses = {}, None, set(), set()
            origin.rest(self._choice)
            self._begin(origin, get(event, "message"))
        elif kind == "message_delta":
            self._settle(origin, event)
        elif kind == "message_stop":
            self._repeats(origin, event)
            origin.rest(self._choice)
        elif kind == "error":
            origin.items.append(Failure(get(event, "error"), origin=origin))
        elif kind == "ping":
            origin.is_plain = fields(event).keys() == {"type"}
            origin.rest(None)
        else:
            self._echo(origin, event, str(kind))

    @property
    def _choice(self) -> Key:
        return first_seen(self._seen, (max(self._response, 0), 0))

    def _begin(self, origin: Origin, message: Any) -> None:
        """Text that a message has as it begins, which goes on in its deltas."""
        for n, block in enumerate(listed(get(message, "content"))):
            if field := TEXTS.get(str(get(block, "type"))):
                origin.text(("message", "content", n, field), self._channel(str(get(block, "type")), n))

    def _start(self, origin: Origin, event: Any) -> None:
        block, index = get(event, "content_block"), _index(origin)
        kind = str(get(block, "type"))
        channel = self._last = self._channel(kind, index)
        # Blocks follow one another: one begins when all of those before it has left. Where they do not, none ends another's text.
        scope = channel if self._open else self._choice
        self._open.add(index)
        self._uses.discard(index)  # of a message before it, if this one has no beginning
        origin.due = tuple(self._blocks[each] for each in self._open & self._uses)
        if channel.kind != "tool_arguments":
            origin.rest(scope)
            if field := TEXTS.get(kind):
                origin.text(("content_block", field), channel)
            return
        self._uses.add(index)
        origin.call((), get(block, "id"), get(block, "name"), channel, scope)
        origin.text(("content_block", "input"), channel)
        if origin.slots:
            self._whole, origin.waits = origin, True
            origin.whole = frozenset()  # it opens a block, and must leave: what comes of the arguments may follow in deltas

    def _decide(self, start: Origin, event: Any, kind: str) -> None:
        """Whether the arguments with which a call begins are all. If deltas follow, what these say stands in their place, as in
        Anthropic's SDK."""
        partial = get(get(event, "delta"), "partial_json") if kind == "content_block_delta" else None
        if kind == "ping" or partial == "":
            return
        if partial is not None and get(event, "index") == get(start.event, "index"):
            start.retract(("content_block", "input"))
        self._whole, start.waits = None, False

    def _delta(self, origin: Origin, event: Any) -> None:
        delta, index = get(event, "delta"), _index(origin)
        kind = str(get(delta, "type"))
        channel = self._blocks.get(index)
        if kind in DELTAS:
            block, field = DELTAS[kind]
            channel = self._last = channel or self._channel(block, index)
            origin.text(("delta", field), channel)
            is_usual = fields(delta).keys() == {"type", field} and fields(event).keys() <= {"type", "index", "delta"}
            origin.is_plain = is_usual and isinstance(get(delta, field), str)
            if not origin.items:
                origin.rest(channel)
            return
        channel = channel or self._channel("other", index)
        if kind == "signature_delta":
            origin.signs[()] = channel
        elif kind != "citations_delta":  # a citation is whole
            origin.novel(("delta",), OPAQUE, (*self._choice, kind, index))
        if not origin.items:
            origin.rest(channel)

    def _stop(self, origin: Origin, event: Any) -> None:
        index = _index(origin)
        self._open.discard(index)
        channel = self._blocks.get(index) or self._channel("other", index)
        self._repeats_block(origin, get(event, "content_block"), ("content_block",), index)  # the helper's have it
        if index in self._uses:
            origin.calls[()], origin.due = channel, (channel,)
        origin.rest(channel, boundary=True)

    def _settle(self, origin: Origin, event: Any) -> None:
        """The message is complete, but for its last event."""
        reason = get(get(event, "delta"), "stop_reason")
        if reason is not None:
            origin.items.append(Finish(str(reason), scope=self._choice, origin=origin))
        usage = get(event, "usage")
        if usage is not None:
            if get(usage, "input_tokens") is None and self._usage is not None:  # they were counted at the beginning
                usage = {**fields(plain(self._usage)), **fields(plain(usage))}
            origin.items.append(Usage(usage, scope=self._last, origin=origin))
        if not origin.items:
            origin.rest(self._choice)

    # ------------------------------------------------------------------ the SDK's helper

    def _echo(self, origin: Origin, event: Any, kind: str) -> None:
        if kind in ECHOES and self._last is not None and get(event, ECHOES[kind][1]) is not None:
            field = ECHOES[kind][1]
            origin.echo = Echo(self._last, (field,), ("snapshot",), is_parsed=kind == "input_json")
        elif kind == "signature" and self._last is not None:
            origin.signs[()] = self._last
        origin.rest(self._last)

    def _repeats(self, origin: Origin, event: Any) -> None:
        for n, block in enumerate(listed(get(get(event, "message"), "content"))):
            self._repeats_block(origin, block, ("message", "content", n), n)
            origin.calls |= {("message", "content", n): self._blocks[n]} if n in self._uses else {}

    def _repeats_block(self, origin: Origin, block: Any, path: tuple[str | int, ...], index: int) -> None:
        channel = self._blocks.get(index)
        if block is None or channel is None:
            return
        kind = str(get(block, "type"))
        if field := TEXTS.get(kind):
            origin.repeats[*path, field] = Repeat(channel)
        elif index in self._uses and get(block, "input") is not None:
            origin.repeats[*path, "input"] = Repeat(channel, is_parsed=True)
        if get(block, "signature"):
            origin.signs[*path, "signature"] = channel

    def _channel(self, block: str, index: int) -> Channel:
        kind = BLOCKS.get(block, "tool_arguments" if block == "tool" or _is_use(block) else "other")
        name = "tool" if kind == "tool_arguments" else block
        channel = self._blocks[index] = Channel(kind, (*self._choice, name, index))
        return channel


def _is_use(block: str) -> bool:
    """Whether a block of that type is a call of a tool, of whomever's."""
    return block.endswith("_use")


def _index(origin: Origin) -> int:
    index = get(origin.event, "index")
    if not isinstance(index, int):
        raise MalformedInput("an event of a content block has no index", origin.frame.offset if origin.frame else 0)
    return index


def read_whole(origin: Origin) -> None:
    """A message that did not stream."""
    for n, block in enumerate(listed(get(origin.event, "content"))):
        kind = str(get(block, "type"))
        field = TEXTS.get(kind)
        if field is None and _is_use(kind):
            channel = Channel("tool_arguments", (0, 0, "tool", n))
            origin.call(("content", n), get(block, "id"), get(block, "name"), channel)
            origin.arguments(("content", n, "input"), channel)
        if field is None:
            continue
        channel = Channel(BLOCKS[kind], (0, 0, kind, n))
        origin.text(("content", n, field), channel)
        if get(block, "signature"):
            origin.signs["content", n, "signature"] = channel
    reason = get(origin.event, "stop_reason")
    if reason is not None:
        origin.items.append(Finish(str(reason), scope=(0, 0), origin=origin))
