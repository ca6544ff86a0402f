"""Items to chunks of a chat completion: once per source chunk, each part on the chunk that brought it.

Of a chunk all of whose items come out again untouched, the chunk itself leaves. Else a copy leaves with what came out of it: the
text that is left, on the last part usage, finish and tool calls; a copy left with nothing is not sent. The role goes on the first
chunk of its choice that is sent, and only there.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from streamfilter.items import Channel, End, Event, Failure, Finish, Item, Raw, TextDelta, ToolCall, Usage
from streamfilter.providers import sse
from streamfilter.providers.openai.chat.reading import REPEATS, STRUCTURE, TEXT_FIELDS, Origin, Path, number_of
from streamfilter.providers.shapes import edited, fields, get, plain

DONE = b"data: [DONE]\n\n"
"""What ends OpenAI's event streams."""

FINISH_REASONS = {"blocked": "content_filter"}
"""The provider's word for why a stage ended the stream, where it is not our own."""

_FIELDS = {"answer": "content", "refusal": "refusal", "reasoning": "reasoning_content"}
"""Where text of a kind goes that did not come from a chunk."""


class Writer:
    """One stream of chunks, written.

    Args:
        as_bytes: whether to give frames of an event stream; else objects of the kind that came, or dicts.
        head: the fields of chunks that have no source.
    """

    def __init__(self, *, as_bytes: bool = False, head: dict[str, Any] | None = None) -> None:
        self.as_bytes = as_bytes
        self._head = head or {}
        self._template: Any = None  # the last chunk with a choice: what is made anew looks like it
        self._roles: dict[int, Any] = {}
        self._sent: set[int] = set()  # the choices that have been sent something
        self._seen: dict[int, None] = {}  # the choices that came, in order
        self._finished: set[int] = set()
        self._done = False
        self._failed = False

    def note(self, origin: Origin) -> None:
        """A chunk has arrived: remember what later ones may need of it."""
        for position, choice in enumerate(origin.choices):
            self._template = origin.chunk
            index = number_of(choice, position)
            self._seen.setdefault(index)
            if role := get(get(choice, "delta"), "role"):
                self._roles.setdefault(index, role)

    def write(self, items: Iterable[Item]) -> list[Any]:
        """The chunks for what came out of one source chunk. An `End` stays the last."""
        out: list[Any] = []
        for origin, group in groupby(items, key=_origin_of):
            grouped = list(group)
            for item in grouped:
                self._mark(item)
            if origin is not None:
                out += self._rewrite(origin, grouped)
                continue
            for item in grouped:
                if isinstance(item, End):
                    return [*out, *self._end(item), item]
                out += self._make(item)
        return out

    def finish(self) -> list[Any]:
        """What ends the stream after all else, if it has not come from the source."""
        if self.as_bytes and not self._done and not self._failed:
            self._done = True
            return [DONE]
        return []

    def _mark(self, item: Item) -> None:
        if isinstance(item, Finish) and isinstance(item.scope, tuple):
            self._finished.add(_index(item.scope))
        elif isinstance(item, Raw) and item.scope == ():
            self._done = True

    def _end(self, end: End) -> list[Any]:
        """The provider's own ending of every choice that has none; not after a refusal, where the consumer gets an exception."""
        if end.error is not None:
            self._failed = True
            return []
        reason = FINISH_REASONS.get(end.reason, "stop")
        open_choices = [index for index in self._seen if index not in self._finished]
        return [made for index in open_choices for made in self._make(Finish(reason, scope=(0, index)))]

    # ------------------------------------------------------------------ from a source chunk

    def _rewrite(self, origin: Origin, group: Sequence[Item]) -> list[Any]:
        untouched = len(group) == len(origin.items) and all(map(_same, group, origin.items))
        if untouched and not any(self._lacks_role(number_of(c, n), get(c, "delta")) for n, c in enumerate(origin.choices)):
            for position, choice in enumerate(origin.choices):
                self._sent.add(number_of(choice, position))
            return [origin.frame.raw if self.as_bytes and origin.frame is not None else origin.chunk]
        if origin.chunk is None:
            return []
        choices = [made for n, choice in enumerate(origin.choices) if (made := self._choice(origin, n, choice, group)) is not None]
        usage = next((item.usage for item in group if isinstance(item, Usage)), None)
        failure = any(isinstance(item, Failure) for item in group)
        whole = any(isinstance(item, Raw) and item.chunk is origin.chunk for item in group)
        if not (choices or usage is not None or failure or whole):
            return []
        drop = () if usage is not None else ("usage",)
        return [self._framed(edited(origin.chunk, {"choices": choices}, drop), origin)]

    def _choice(self, origin: Origin, position: int, choice: Any, group: Sequence[Item]) -> Any:
        """What is left of a choice; None if nothing is."""
        index = number_of(choice, position)
        delta = get(choice, "delta")
        texts: dict[Channel, str] = {}
        for item in group:
            if isinstance(item, TextDelta) and item.channel.key[1:2] == (index,):
                texts[item.channel] = texts.get(item.channel, "") + item.text
        slots = [slot for slot in origin.slots if slot.choice == position]
        calls = [(path, item) for n, path, item in origin.calls if n == position and any(item is each for each in group)]
        changed_calls = {
            item.channel for n, _, item in origin.calls if n == position and isinstance(item, TextDelta)
        } & texts.keys()
        finish = next((item for item in group if isinstance(item, Finish) and item.scope == (0, index)), None)
        beside = origin.extras.get(position)
        extras = beside is not None and any(item is beside for item in group)
        if not (texts or calls or finish or extras):
            return None
        same = all(texts.get(slot.item.channel) == _joined(slots, slot.item.channel) for slot in slots)

        known = fields(delta)
        kept: dict[str, Any] = {}
        for slot in slots:
            text = texts.pop(slot.item.channel, "")
            _put(kept, delta, slot.path, text)
        for channel in [channel for channel in texts if channel not in changed_calls]:
            kept[_FIELDS.get(channel.kind, "content")] = texts.pop(
                channel
            )  # an insertion into a channel that this chunk has none of
        self._put_calls(kept, delta, origin, position, calls, texts)
        if self._lacks_role(index, {}) or ("role" in known and index not in self._sent):
            kept["role"] = self._roles.get(index, known.get("role"))
        self._sent.add(index)
        gone = [name for name in known if name not in kept and (name in STRUCTURE or (name in REPEATS and not same) or not extras)]
        dropped = [name for name in fields(choice) if name not in STRUCTURE and (not extras or (name in REPEATS and not same))]
        changes = {"delta": edited(delta, kept, gone) if delta is not None else kept}
        if "finish_reason" in fields(choice) or finish is not None:
            changes["finish_reason"] = None if finish is None else finish.reason
        return edited(choice, changes, dropped)

    def _put_calls(
        self,
        kept: dict[str, Any],
        delta: Any,
        origin: Origin,
        position: int,
        calls: Sequence[tuple[Path, Item]],
        texts: dict[Channel, str],
    ) -> None:
        """The fragments of tool calls that came out, with their arguments as they came out."""
        fragments: list[Any] = []
        for path in dict.fromkeys(path for n, path, _ in origin.calls if n == position):
            begun = any(at == path and isinstance(item, ToolCall | Raw) for at, item in calls)
            channel = next(
                (item.channel for n, at, item in origin.calls if (n, at) == (position, path) and isinstance(item, TextDelta)), None
            )
            text = texts.pop(channel, None) if channel is not None else None
            if not begun and not text:
                continue
            holder = get(delta, str(path[0]))
            fragment = holder if len(path) == 1 else holder[path[1]]
            function = fragment if len(path) == 1 else get(fragment, "function")
            if channel is not None:
                function = edited(function, {"arguments": text or ""})
            if len(path) == 1:
                kept["function_call"] = function
            else:
                fragments.append(edited(fragment, {"function": function}))
        if fragments:
            kept["tool_calls"] = fragments

    def _lacks_role(self, index: int, delta: Any) -> bool:
        """Whether a chunk is the first of its choice to be sent, and does not have the role that an earlier one had."""
        return index not in self._sent and index in self._roles and not get(delta, "role")

    # ------------------------------------------------------------------ made anew

    def _make(self, item: Item) -> list[Any]:
        """A chunk for an item that comes from no chunk. What the format cannot say is left out."""
        if isinstance(item, Failure):
            return [self._framed({"error": plain(item.error)})]
        if isinstance(item, Usage):
            return [self._framed(self._chunk([], usage=item.usage))]
        index = _index(item.scope) if isinstance(item, Event) else 0
        delta: dict[str, Any] = {}
        if isinstance(item, str) or type(item) is TextDelta:
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if channel.kind == "tool_arguments":
                delta["tool_calls"] = [{"index": _call(channel), "function": {"arguments": text}}]
            else:
                name = next((part for part in channel.key if part in TEXT_FIELDS), _FIELDS.get(channel.kind, "content"))
                delta[str(name)] = text
        elif isinstance(item, ToolCall):
            call = {
                "index": _call(item.arguments),
                "id": item.id,
                "type": "function",
                "function": {"name": item.name, "arguments": ""},
            }
            delta["tool_calls"] = [call]
        elif not isinstance(item, Finish):
            return []
        if index not in self._sent and not isinstance(item, Finish):
            delta["role"] = self._roles.get(index, "assistant")
        self._sent.add(index)
        self._seen.setdefault(index)
        finish = item.reason if isinstance(item, Finish) else None
        return [self._framed(self._chunk([{"index": index, "delta": delta, "finish_reason": finish}]))]

    def _chunk(self, choices: list[dict[str, Any]], usage: Any = None) -> Any:
        """A chunk like those of the source: of its class, with its id and model."""
        template = self._template
        if template is None:
            return {**self._head, "choices": choices, **({"usage": plain(usage)} if usage is not None else {})}
        like = origin_choice = (get(template, "choices") or [None])[0]
        made = [
            edited(
                like, {**choice, "delta": _like(get(origin_choice, "delta"), choice["delta"])}, fields(like).keys() - choice.keys()
            )
            for choice in choices
        ]
        changes: dict[str, Any] = {"choices": made}
        if usage is not None:
            changes["usage"] = usage
        return edited(template, changes, () if usage is not None else ("usage",))

    def _framed(self, chunk: Any, origin: Origin | None = None) -> Any:
        if not self.as_bytes:
            return chunk
        frame = origin.frame if origin is not None else None
        data = json.dumps(plain(chunk), ensure_ascii=False, separators=(",", ":"))
        return sse.encode(data, event=frame.event if frame else "", id=frame.id if frame else None)


def new_head(model: str) -> dict[str, Any]:
    """The fields that every chunk of a completion has in common, for one that has no source."""
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": int(time.time()), "model": model}


def _origin_of(item: Item) -> Origin | None:
    origin = item.origin if isinstance(item, Event) and not isinstance(item, End) else None
    return origin if isinstance(origin, Origin) else None


def _same(one: Item, other: Item) -> bool:
    return one is other


def _index(scope: object) -> int:
    key = scope.key if isinstance(scope, Channel) else scope
    index = key[1] if isinstance(key, tuple) and len(key) > 1 else 0
    return index if isinstance(index, int) else 0


def _call(channel: Channel) -> int:
    number = channel.key[-1] if channel.key else 0
    return number if isinstance(number, int) else 0


def _like(delta: Any, values: dict[str, Any]) -> Any:
    """A delta with these values, of the class of another."""
    return values if delta is None else edited(delta, values, fields(delta).keys() - values.keys())


def _joined(slots: Iterable[Any], channel: Channel) -> str:
    return "".join(slot.item.text for slot in slots if slot.item.channel == channel)


def _put(kept: dict[str, Any], delta: Any, path: Path, text: str) -> None:
    """Put a text where it stood, copying what is on the way."""
    name = str(path[0])
    if len(path) == 1:
        if text:
            kept[name] = text
        return
    kept[name] = _replaced(kept.get(name, get(delta, name)), path[1:], text)


def _replaced(node: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    step = path[0]
    if isinstance(step, int):
        return [_replaced(each, path[1:], text) if n == step else each for n, each in enumerate(node)]
    return edited(node, {step: _replaced(get(node, step), path[1:], text)})
