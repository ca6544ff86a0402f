"""Items to chunks of a chat completion: once per source chunk, each part on the chunk that brought it.

Of a chunk all of whose items come out again untouched, the chunk itself leaves. Else a copy leaves with what came out of it: the
text that is left, on the last part usage, finish and tool calls; a copy left with nothing is not sent. The role goes on the first
chunk of its choice that is sent, and only there.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from streamfilter.items import Channel, End, Event, Failure, Finish, Item, Key, Raw, TextDelta, ToolCall, Usage, is_free
from streamfilter.providers import sse
from streamfilter.providers.anew import Anew
from streamfilter.providers.calls import Calls
from streamfilter.providers.counts import worded
from streamfilter.providers.frames import Framing
from streamfilter.providers.guarding_frames import Lines
from streamfilter.providers.openai.chat.beside import quoted
from streamfilter.providers.openai.chat.putting import continued, field_of, texts_put
from streamfilter.providers.openai.chat.reading import CUSTOM, HEAD, STRUCTURE, Origin, Parts
from streamfilter.providers.openai.chat.texts import DETAILS, is_signed
from streamfilter.providers.places import Path, at, revised
from streamfilter.providers.recent import KEPT_ENDED
from streamfilter.providers.rewriting import joined
from streamfilter.providers.shapes import edited, fields, get, plain
from streamfilter.providers.together import Together
from streamfilter.reasons import spelled

DONE = b"data: [DONE]\n\n"
"""What ends OpenAI's event streams."""

FINISH_REASONS = {"blocked": "content_filter", "tool_calls": "tool_calls"}
"""The provider's word for why a stage ended the stream, where it is not our own."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Writer:
    """One stream of chunks, written.

    Args:
        quote: filters a text that a chunk quotes.
        as_bytes: whether to give frames of an event stream; else objects of the kind that came, or dicts.
        head: the fields of chunks that have no source.
    """

    max_aggregate: int = 0  # no chunk repeats what others have said: nothing is kept

    def __init__(self, quote: Callable[[str], str], *, as_bytes: bool = False, head: dict[str, Any] | None = None) -> None:
        self.as_bytes = as_bytes
        self._quote = quote
        self._head = head or {}
        self._template: Any = None  # the last chunk with a choice: what is made anew looks like it
        self._roles: dict[int, Any] = {}
        self._sent: set[int] = set()  # the choices that have been sent something
        self._given_roles: set[int] = set()  # those whose role did not leave on the chunk that brought it
        self._seen: dict[int, None] = {}  # the choices that came, in order
        self._finished: set[int] = set()
        self._edited: set[int] = set()  # the choices whose reasoning was changed: signatures over it are void
        self._foreign = Calls()  # of other formats
        self._anew = Anew()
        self._together = Together()
        self._called: dict[Key, dict[Channel, int]] = {}  # their numbers, by choice
        self._done = False
        self._framing: Framing | None = None
        self._seam = sse.Seam(b"\n\n")
        self._lines = Lines(quote)
        self._failed = False

    def note(self, origin: Origin) -> None:
        """A chunk has arrived: remember what later ones may need of it."""
        origin.is_noted = True
        if origin.frame is not None and origin.framing is None:
            self._lines.show(origin.frame)
        self._framing = origin.framing
        for parts, choice in zip(origin.parts, get(origin.chunk, "choices") or (), strict=True):
            delta = get(choice, "delta")
            if delta is not None:
                self._template = origin.chunk
            self._seen.setdefault(parts.index)
            if isinstance(role := get(delta, "role"), str) and role:
                self._roles.setdefault(parts.index, role)

    def write(self, items: Sequence[Item]) -> list[Any]:
        """The chunks for what came out of one source chunk. An `End` stays the last."""
        out: list[Any] = []
        for origin, group in groupby(self._together.put(self._anew.put(items), _origin_of), key=_origin_of):
            grouped = list(group)
            for item in grouped:
                self._mark(item)
            if origin is not None:
                out += [made for item in grouped for extra in self._foreign.before(item) for made in self._make(extra)]
                if not origin.is_noted:  # `Encode` sees chunks only when something of them comes out
                    self.note(origin)
                out += self._rewrite(origin, grouped)
                continue
            for item in grouped:
                if isinstance(item, End):
                    return [*out, *self.rest(is_cut=True), *self._end(item), item]
                out += self._from_elsewhere(item)
        return out

    def finish(self) -> list[Any]:
        """What ends the stream after all else, if it has not come from the source."""
        if self.as_bytes and self._framing is None and not self._done and not self._failed:
            self._done = True
            return [self._seam.made(DONE)]
        return []

    def rest(self, *, is_cut: bool = False) -> list[Any]:
        """What is left of the end of what was sent last."""
        return [*self._seam.rest(is_cut=is_cut)]

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
        out = [made for item in self._foreign.rest(end.reason) for made in self._make(item)]
        for scope in [(0, index) for index in self._seen if index not in self._finished]:
            reason = FINISH_REASONS.get(self._foreign.reason(end.reason, scope), "stop")
            out += self._make(Finish(reason, scope=scope))
        return out

    # ------------------------------------------------------------------ from a source chunk

    def _rewrite(self, origin: Origin, group: Sequence[Item]) -> list[Any]:
        untouched = len(group) == len(origin.items) and all(map(_same, group, origin.items))
        chunk = quoted(origin, self._quote)
        if untouched and self._may_leave_whole(origin):
            self._sent.update(parts.index for parts in origin.parts)
            if not self.as_bytes:
                return [] if chunk is None else [chunk]
            if origin.frame is None or chunk is not origin.chunk:
                return [self._framed(chunk, origin)] if chunk is not None else []
            return [self._seam.whole(origin.frame)]
        if origin.chunk is None:
            return []
        present = {id(item) for item in group}
        own: dict[object, list[Item]] = {}  # by choice
        for item in group:
            own.setdefault(_number(item), []).append(item)
        choices = [
            made
            for parts, choice in zip(origin.parts, get(chunk, "choices") or (), strict=True)
            if (made := self._choice(parts, choice, own.get(parts.index, ()), present)) is not None
        ]
        usage = next((item.usage for item in group if isinstance(item, Usage)), None)
        failure = any(isinstance(item, Failure) for item in group)
        extras = origin.extras is not None and id(origin.extras) in present
        whole = any(isinstance(item, Raw) and item.chunk is origin.chunk for item in group)
        if not (choices or usage is not None or failure or extras or whole):
            return []
        drop = {"usage"} if usage is None else set()
        drop |= set() if failure else {"error"}
        drop |= origin.repeats if extras or whole else fields(chunk).keys() - HEAD
        return [self._framed(edited(chunk, {"choices": choices}, drop), origin)]

    def _may_leave_whole(self, origin: Origin) -> bool:
        """Whether a chunk from which nothing was taken may leave as it came: it has its role, and says nothing beside its text."""
        for parts, choice in zip(origin.parts, get(origin.chunk, "choices") or (), strict=True):
            delta = get(choice, "delta")
            lacks_role = parts.index not in self._sent and parts.index in self._roles and not get(delta, "role")
            had_role = parts.index in self._given_roles and get(delta, "role")
            if lacks_role or had_role or parts.misquotes or (parts.index in self._edited and is_signed(delta)):
                return False
        return True

    def _choice(self, parts: Parts, choice: Any, group: Sequence[Item], present: set[int]) -> Any:
        """What is left of a choice; None if nothing is."""
        index = parts.index
        own = {slot.item.channel for slots in (parts.slots, *(call.slots for call in parts.calls)) for slot in slots}
        texts = {channel: text for channel, text in joined(group).items() if channel in own or field_of(channel)}
        finish = next((item for item in group if isinstance(item, Finish)), None)
        extras = parts.extras is not None and id(parts.extras) in present
        called = any(id(item) in present for fragment in parts.calls for item in fragment.items)
        if not (texts or finish or extras or called):
            return None
        delta = get(choice, "delta")
        same = self._note_edits(parts, texts)
        repeats = parts.repeats - parts.misquotes if same and parts.slots else frozenset()
        if index in self._edited and is_signed(delta):
            repeats -= {*DETAILS}
        if parts.calls:
            repeats -= {"message"}  # it may have arguments that leave otherwise
        kept = self._calls(parts, delta, texts, present)
        kept |= texts_put(parts, delta, texts, extras=extras, lost=parts.repeats - repeats)
        if not (kept or finish or extras):
            return None
        if index not in self._sent and (role := self._roles.get(index)):
            self._given_roles.add(index)
            kept["role"] = role
        self._sent.add(index)

        def gone(node: Any) -> list[str]:
            beside = [name for name in fields(node) if name not in STRUCTURE]
            return [name for name in beside if (name not in repeats if name in parts.repeats else not extras)]

        texted = {slot.path[0] for slot in parts.slots}  # what has come out of these is in what is kept
        dropped = [name for name in fields(delta) if name in STRUCTURE or name in texted] + gone(delta)
        changes: dict[str, Any] = {"delta": kept if delta is None else edited(delta, kept, [n for n in dropped if n not in kept])}
        if finish is not None or get(choice, "finish_reason") is not None:
            changes["finish_reason"] = None if finish is None else finish.reason
        return edited(choice, changes, gone(choice))

    def _note_edits(self, parts: Parts, texts: Mapping[Channel, str]) -> bool:
        """Whether all of a choice's text leaves here as it came; note whether reasoning was changed."""
        same = True
        for channel, came in joined(slot.item for slot in parts.slots).items():
            if texts.get(channel) != came:
                same = False
                if channel.kind == "reasoning":
                    self._edited.add(parts.index)
        return same

    def _calls(self, parts: Parts, delta: Any, texts: dict[Channel, str], present: set[int]) -> dict[str, Any]:
        """The fragments of tool calls that came out, with their arguments as they came out: if these changed, all on the first
        fragment of their call. Takes their texts."""
        kept: dict[str, Any] = {}
        came = joined(item for fragment in parts.calls for item in fragment.items)
        moved = {channel: shown for channel, text in came.items() if (shown := texts.pop(channel, "")) != text}
        for call in parts.calls:
            said: dict[Path, Any] = {}
            for slot in call.slots:
                item = slot.item
                said[slot.path[len(call.path) :]] = slot.shown(moved.get(item.channel, item.text))
                moved.update({item.channel: ""} if item.channel in moved else {})
            carriers = [item for item in call.items if not isinstance(item, TextDelta)]
            comes = any(id(item) in present for item in carriers)
            if not (comes or any(said.values())):
                continue
            fragment = at(delta, call.path)  # what it quotes is filtered there
            fragment = revised(fragment, said) if comes or not carriers else continued(fragment, said)
            if len(call.path) == 1:
                kept["function_call"] = fragment
            else:
                kept.setdefault("tool_calls", []).append(fragment)
        return kept

    # ------------------------------------------------------------------ made anew

    def _from_elsewhere(self, item: Item) -> list[Any]:
        """The chunks for an item that comes from no chunk."""
        return [made for each in self._foreign.put(item) for made in self._make(each)]

    def _make(self, item: Item) -> list[Any]:
        """A chunk that says an item. What the format cannot say is left out."""
        if isinstance(item, Failure):
            return [self._framed({"error": plain(item.error)})]
        if isinstance(item, Usage):
            usage = worded(item.usage, "openai")
            return [self._framed(self._chunk([], usage=usage))] if usage else []
        index = _index(item.scope) if isinstance(item, Event) else 0
        delta: dict[str, Any] = {}
        if isinstance(item, str) or type(item) is TextDelta:
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if channel.kind == "tool_arguments":
                said: Any = {"custom": {"input": text}} if is_free(channel) else {"function": {"arguments": text}}
                delta["tool_calls"] = [{"index": self._call(channel), **said}]
            else:
                if not (name := field_of(channel)):
                    return []
                delta[name] = text
        elif isinstance(item, ToolCall):
            kind, field = ("custom", "input") if is_free(item.arguments) else ("function", "arguments")
            call = {"index": self._call(item.arguments), "id": item.id or f"call_{uuid.uuid4().hex[:24]}", "type": kind}
            delta["tool_calls"] = [{**call, kind: {"name": item.name or "", field: ""}}]
        elif not isinstance(item, Finish):
            return []
        if index not in self._sent and (not isinstance(item, Finish) or index in self._roles):
            delta["role"] = self._roles.get(index, "assistant")
        self._sent.add(index)
        self._seen.setdefault(index)
        finish = spelled(item.reason, "openai") if isinstance(item, Finish) else None
        return [self._framed(self._chunk([{"index": index, "delta": delta, "finish_reason": finish}]))]

    def _call(self, channel: Channel) -> int:
        """The number of a call in its choice: that which it came with, or the next one."""
        number = channel.key[-1] if channel.key else 0
        if channel.key[2:3] in (("tool_calls",), (CUSTOM,)) and isinstance(number, int):
            return number
        calls = self._called.setdefault(channel.choice, {})
        if len(self._called) > KEPT_ENDED:
            del self._called[next(iter(self._called))]
        return calls.setdefault(channel, len(calls))

    def _chunk(self, choices: list[dict[str, Any]], usage: Any = None) -> Any:
        """A chunk like those of the source: of its class, with its id and model."""
        template = self._template
        if template is None:
            return {**self._head, "choices": choices, **({"usage": plain(usage)} if usage is not None else {})}
        like = next(each for each in get(template, "choices") if get(each, "delta") is not None)
        made = [
            edited(like, {**choice, "delta": _like(get(like, "delta"), choice["delta"])}, fields(like).keys() - choice.keys())
            for choice in choices
        ]
        changes: dict[str, Any] = {"choices": made}
        if usage is not None:
            changes["usage"] = usage
        beside = fields(template).keys() - HEAD
        return edited(template, changes, beside if usage is not None else {"usage", "error", *beside})

    def _framed(self, chunk: Any, origin: Origin | None = None) -> Any:
        if not self.as_bytes:
            return chunk
        frame = origin.frame if origin is not None else None
        if self._framing is not None:
            return self._framing.encode(plain(chunk), "", frame)
        data = json.dumps(plain(chunk), ensure_ascii=False, separators=(",", ":"))
        if _LONE_SURROGATE.search(data):  # half of a character that a service has cut in two: only escaped can it be sent on
            data = json.dumps(plain(chunk), separators=(",", ":"))
        return self._seam.made(sse.encode(data, event=frame.event if frame else "", id=frame.id if frame else None))


def new_head(model: str) -> dict[str, Any]:
    """The fields that every chunk of a completion has in common, for one that has no source."""
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": int(time.time()), "model": model}


def _origin_of(item: Item) -> Origin | None:
    origin = item.origin if isinstance(item, Event) and not isinstance(item, End) else None
    return origin if isinstance(origin, Origin) else None


def _number(item: Item) -> object:
    """The number of the choice that an item is of, if it is of one."""
    key: Any = item.channel.key if isinstance(item, TextDelta) else item.scope if isinstance(item, Finish) else None
    return key[1] if isinstance(key, tuple) and len(key) > 1 else None


def _same(one: Item, other: Item) -> bool:
    return one is other


def _index(scope: object) -> int:
    key = scope.key if isinstance(scope, Channel) else scope
    index = key[1] if isinstance(key, tuple) and len(key) > 1 else 0
    return index if isinstance(index, int) else 0


def _like(delta: Any, values: dict[str, Any]) -> Any:
    """A delta with these values, of the class of another."""
    return values if delta is None else edited(delta, values, fields(delta).keys() - values.keys())
