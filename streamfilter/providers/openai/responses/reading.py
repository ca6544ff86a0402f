"""Events of OpenAI's Responses API to items: a channel for each part of each output item.

Nearly all text comes twice or more: in deltas, when its part is done, when its item is, and when the response is.
Source: OpenAI's reference of streaming events, and the types of its SDK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Failure, Finish, Key, Usage
from streamfilter.providers.events import Origin, Repeat, first_seen
from streamfilter.providers.places import Opaque, Path, at, is_mute, is_opaque, within, words
from streamfilter.providers.shapes import get, listed

NAME = "openai.responses"

TEXTS: dict[str, tuple[str, str, str, str]] = {
    "response.output_text": ("answer", "content", "content_index", "text"),
    "response.refusal": ("refusal", "content", "content_index", "refusal"),
    "response.reasoning_text": ("reasoning", "content", "content_index", "text"),
    "response.reasoning_summary_text": ("reasoning", "summary", "summary_index", "text"),
    "response.function_call_arguments": ("tool_arguments", "arguments", "", "arguments"),
    "response.mcp_call_arguments": ("tool_arguments", "arguments", "", "arguments"),
    "response.custom_tool_call_input": ("tool_arguments", "input", "", "input"),
    "response.code_interpreter_call_code": ("tool_arguments", "code", "", "code"),
    "response.shell_call_command": ("tool_arguments", "commands", "command_index", "command"),
    "response.apply_patch_call_operation_diff": ("tool_arguments", "diff", "", "diff"),
    "response.audio.transcript": ("answer", "transcript", "", "transcript"),
}
"""Events whose `.delta` brings text and whose `.done` has all of it: the kind of channel, the list of the item that it stands in,
the field with the place in that, and the field of `.done` that has it."""

ITEMLESS = ("transcript",)
"""Where text stands that is in no item: by OpenAI's types, these events have no place."""

CALLS: dict[str, tuple[str] | tuple[str, str]] = {
    "function_call": ("arguments",),
    "mcp_call": ("arguments",),
    "custom_tool_call": ("input",),
    "code_interpreter_call": ("code",),
    "apply_patch_call": ("operation", "diff"),
    "mcp_approval_request": ("arguments",),
}
"""Items that are calls with one input, and where that stands in them."""

REQUESTS = ("mcp_approval_request",)
"""Those of them that only ask whether to call."""

PARTS = {"output_text": ("answer", "text"), "refusal": ("refusal", "refusal"), "reasoning_text": ("reasoning", "text")}
"""Parts of the content of an item: the kind of channel, and the field with the text."""

ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def _echoed(place: str) -> Iterator[tuple[str, ...]]:
    """The words that a response says of its request, by OpenAI's types: they are no text, though a rule may be about one."""
    yield from words(f"{place}reasoning.effort", "none", "minimal", "low", "medium", "high", "xhigh", "max")
    yield from words(f"{place}reasoning.summary", "auto", "concise", "detailed")
    yield from words(f"{place}reasoning.generate_summary", "auto", "concise", "detailed")
    yield from words(f"{place}reasoning.context", "auto", "current_turn", "all_turns")
    yield from words(f"{place}reasoning.mode", "standard", "pro")
    yield from words(f"{place}tools.search_context_size", "low", "medium", "high")
    yield from words(f"{place}tools.ranking_options.ranker", "auto", "default-2024-11-15")
    for execution in ("tools.execution", "output.execution"):
        yield from words(f"{place}{execution}", "server", "client")
    for side in ("input", "output"):
        yield from words(f"{place}moderation.{side}.category_applied_input_types.*", "text", "image")


OPAQUE: Opaque = frozenset(
    {
        *("type", "id", "object", "status", "role", "item_id", "call_id", "response_id", "previous_response_id", "container_id"),
        *("model", "service_tier", "vector_store_id", "caller_id", "approval_request_id"),
        *(
            (place, name)
            for place in ("response", "")  # it streamed, or came whole
            for name in ("truncation", "tool_choice", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
        ),
        *within("name", "tools", "tool_choice", "format", "function_call", "custom_tool_call", "mcp_call", "mcp_approval_request"),
        *within("name", "api"),
        *within("fingerprint", "program"),
        *within("delta", "response.audio.delta"),
        *within("namespace", "function_call", "custom_tool_call"),
        *within("server_label", "mcp", "mcp_call", "mcp_list_tools", "mcp_approval_request"),
        *within("phase", "message"),
        *within("verbosity", "text"),
        *within("encrypted_content", "reasoning", "compaction"),
        *within("obfuscation", ""),
        *within("file_id", "file_citation", "container_file_citation", "file_path", "input_image", "input_file", "results"),
        *within("result", "image_generation_call"),
        *within("partial_image_b64", "response.image_generation_call.partial_image"),
        *(word for place in ("response.", "") for word in _echoed(place)),
        *words("item.execution", "server", "client"),
    }
)
"""Fields whose strings are no text: names, ids, settings, images, and what only OpenAI can read."""


class Reading:
    """One stream of events.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._response = -1  # agents send several, one behind the other
        self._last: Channel | None = None
        self._begun: set[Channel] = set()  # those that have had text: some services send none but when it is done
        self._items: set[object] = set()  # those that have, by output index
        self._calls: dict[object, Channel] = {}  # by output index
        self._open: dict[object, Channel] = {}  # those that have not ended
        self._novel: dict[tuple[str, ...], dict[Channel, None]] = {}  # those of types that may be new, by their place

    def read(self, origin: Origin) -> None:
        """Read one event."""
        event = origin.event
        kind = str(get(event, "type"))
        base, _, step = kind.rpartition(".")
        if base in TEXTS and step in ("delta", "done"):
            self._text(origin, event, base, step)
        elif kind in ("response.created", "response.queued"):
            if kind == "response.created":
                self._response += 1
                self._last = None
                self._begun, self._items, self._novel = set(), set(), {}
                self._calls, self._open = {}, {}
            origin.rest(self._choice)
        elif kind in ENDS:
            self._end(origin, event, kind)
        elif kind in ("response.content_part.added", "response.content_part.done"):
            self._part(origin, event, kind)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._item(origin, event, kind)
        elif kind in ("response.reasoning_summary_part.added", "response.reasoning_summary_part.done"):
            channel = self._channel(origin, "reasoning", "summary", get(event, "summary_index"))
            self._once_more(origin, ("part", "text"), channel, is_done=kind.endswith("done"))
        elif kind == "response.output_text.annotation.added":
            channel = self._channel(origin, "answer", "content", get(event, "content_index"))
            origin.spans[()] = channel
            origin.rest(channel)
        elif kind == "error":
            origin.items.append(Failure(get(event, "error") or event, origin=origin))
        else:
            self._novel_text(origin, event, base, step)
            if not origin.items:
                origin.rest(self._last)

    @property
    def _choice(self) -> Key:
        return first_seen(self._seen, (max(self._response, 0), 0))

    def _channel(self, origin: Origin, kind: str, where: str, number: object = None, output: object = None) -> Channel:
        """The channel of a place in an item."""
        output = get(origin.event, "output_index") if output is None else output
        if where in ITEMLESS:
            output = None
        elif not isinstance(output, int):
            raise MalformedInput("an event of an output item has no output_index", origin.frame.offset if origin.frame else 0)
        return Channel(kind, (*self._choice, output, where, number if isinstance(number, int) else 0))

    def _text(self, origin: Origin, event: Any, base: str, step: str) -> None:
        kind, where, index, field = TEXTS[base]
        channel = self._channel(origin, kind, where, get(event, index) if index else None)
        if step == "done":
            if self._calls.get(channel.key[2]) == channel:
                origin.calls[()], origin.due = channel, (channel,)
            self._once_more(origin, (field,), channel, is_done=True)
            return
        self._last = channel
        self._begin(origin, ("delta",), channel)
        if get(event, "logprobs"):
            origin.tokens["logprobs",] = channel
        origin.is_plain = is_mute(event, OPAQUE, ("delta",), "") and isinstance(get(event, "delta"), str)
        if not origin.items:
            origin.rest(channel)

    def _novel_text(self, origin: Origin, event: Any, base: str, step: str) -> None:
        """A type that may be new, or says its text in parts of a delta, as the output of a shell does."""
        place = (*(repr(get(event, name)) for name in ("output_index", "item_id", "content_index", "command_index")), base)
        if step == "delta" and not is_opaque(OPAQUE, step, event, ""):
            self._novel.setdefault(place, {}).update(dict.fromkeys(origin.novel(("delta",), OPAQUE, (*self._choice, *place))))
        elif step == "done":
            for channel in self._novel.pop(place, ()):
                origin.rest(channel, boundary=True)

    def _once_more(self, origin: Origin, path: Path, channel: Channel, *, is_done: bool) -> None:
        """Text that begins a channel, or all that it has said."""
        if is_done:
            self._said(origin, path, channel)
            beside = path[:-1]
            for name in ("logprobs", "annotations"):
                if at(origin.event, (*beside, name)):
                    origin.spans[*beside, name] = channel
                    origin.tokens |= {(*beside, name): channel} if name == "logprobs" else {}
            origin.rest(channel, boundary=True)
        else:
            # Of a run that begins it is the boundary, so that who drops the text does not drop it, and keep what ends that.
            origin.rest(channel, boundary=not (channel in self._begun or at(origin.event, path)))
            self._begin(origin, path, channel)

    def _begin(self, origin: Origin, path: Path, channel: Channel) -> None:
        """Some text of a channel, if there is any here."""
        origin.text(path, channel)
        if path in origin.slots:
            self._begun.add(channel)
            self._items.add(channel.key[2])

    def _said(self, origin: Origin, path: Path, channel: Channel) -> None:
        """All that a channel has said stands here; if it has said nothing, then that is its text."""
        if channel in self._begun or path in origin.repeats:
            origin.repeats[path] = Repeat(channel, is_parsed=isinstance(at(origin.event, path), Mapping))
        else:
            self._begin(origin, path, channel)

    def _part(self, origin: Origin, event: Any, kind: str) -> None:
        part = PARTS.get(str(get(get(event, "part"), "type")))
        if part is None:
            origin.rest(self._last)
            return
        channel = self._channel(origin, part[0], "content", get(event, "content_index"))
        self._once_more(origin, ("part", part[1]), channel, is_done=kind.endswith("done"))

    def _item(self, origin: Origin, event: Any, kind: str) -> None:
        item = get(event, "item")
        output = get(event, "output_index")
        output = output if isinstance(output, int) else None  # what needs it refuses any other
        is_done = kind.endswith("done")
        is_own = output is not None and (is_done or output not in self._items)
        scope = (*self._choice, output) if is_own else self._last
        if is_done:
            if output in self._calls:
                origin.calls[()], origin.due = self._calls[output], (self._calls[output],)
                self._open.pop(output, None)
            else:
                self._begin_late(origin, (), item, output)
            self.repeated(origin, item, ("item",), output)
            origin.rest(scope)
            return
        for calls in (self._calls, self._open):
            calls.pop(output, None)  # of a response before it, if this one has no beginning
        origin.due = tuple(self._open.values())
        call = str(get(item, "type"))
        is_call = _is_call(item)
        if not is_call and call not in REQUESTS:
            origin.rest(scope)  # it waits for no text of other items: its own, which does not, would pass it
            return
        path = CALLS.get(call, ("arguments",))
        channel = self._channel(origin, "tool_arguments", str(path[-1]))
        if is_call:
            self.begin(origin, (), item, output)
        self._said(origin, ("item", *path), channel)
        if not is_call:
            origin.rest(channel, boundary=True)

    def _end(self, origin: Origin, event: Any, kind: str) -> None:
        response = get(event, "response")
        is_first = not self._calls
        for output, item in enumerate(listed(get(response, "output"))):
            if is_first:
                self._begin_late(origin, ("response", "output", output), item, output)
            self.repeated(origin, item, ("response", "output", output), output)
            origin.calls |= {("response", "output", output): self._calls[output]} if output in self._calls else {}
        if kind == "response.failed":
            origin.items.append(Failure(get(response, "error"), origin=origin))
        else:
            reason = get(get(response, "incomplete_details"), "reason") or kind.removeprefix("response.")
            origin.items.append(Finish(str(reason), scope=self._choice, origin=origin))
        usage = get(response, "usage")
        if usage is not None:
            origin.items.append(Usage(usage, scope=self._last, origin=origin))

    def _begin_late(self, origin: Origin, path: Path, item: Any, output: object) -> None:
        """A call that has not begun is there, all of it."""
        if _is_call(item) and self._arguments(origin, item, output) not in self._begun:
            self.begin(origin, path, item, output)

    def _arguments(self, origin: Origin, item: Any, output: object) -> Channel:
        where = CALLS.get(str(get(item, "type")), ("arguments",))[-1]
        return self._channel(origin, "tool_arguments", where, None, output)

    def begin(self, origin: Origin, path: Path, item: Any, output: object) -> None:
        """A call begins with the item at a place."""
        channel = self._calls[output] = self._open[output] = self._arguments(origin, item, output)
        origin.call(path, get(item, "call_id") or get(item, "id"), get(item, "name"), channel)

    def repeated(self, origin: Origin, item: Any, path: Path, output: object) -> None:
        """Where an item says once more what its channels have said, or says it for the first time."""
        for place, channel in self._places(origin, item, output):
            self._said(origin, (*path, *place), channel)
            for name in ("logprobs", "annotations"):
                if at(item, (*place[:-1], name)):
                    origin.spans[*path, *place[:-1], name] = channel
                    origin.tokens |= {(*path, *place[:-1], name): channel} if name == "logprobs" else {}

    def _places(self, origin: Origin, item: Any, output: object) -> Iterator[tuple[Path, Channel]]:
        for n, part in enumerate(listed(get(item, "content"))):
            kind, field = PARTS.get(str(get(part, "type")), ("", ""))
            if kind:
                yield ("content", n, field), self._channel(origin, kind, "content", n, output)
        for n, _ in enumerate(listed(get(item, "summary"))):
            yield ("summary", n, "text"), self._channel(origin, "reasoning", "summary", n, output)
        if place := CALLS.get(str(get(item, "type"))):
            yield place, self._channel(origin, "tool_arguments", str(place[-1]), None, output)
        for n, _ in enumerate(listed(get(get(item, "action"), "commands"))):
            yield ("action", "commands", n), self._channel(origin, "tool_arguments", "commands", n, output)


def _is_call(item: object) -> bool:
    """Whether an item of a response calls a tool that has a name."""
    return str(get(item, "type")).endswith("_call") and get(item, "name") is not None


def read_whole(origin: Origin) -> None:
    """A response that did not stream."""
    reading = Reading(set())
    for output, item in enumerate(listed(get(origin.event, "output"))):
        if _is_call(item):
            reading.begin(origin, ("output", output), item, output)
        reading.repeated(origin, item, ("output", output), output)
    origin.items.append(Finish(str(get(origin.event, "status") or "completed"), scope=(0, 0), origin=origin))
