"""Items to chunks of Gemini's streams. A chunk says many things, and each leaves when it may: what leaves later than the rest of
its chunk leaves on a copy of it that says nothing else.

So token counts do not wait for text that is held, and nothing is said twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from streamfilter.items import PLAIN, Channel, Event, Finish, Item, TextDelta, ToolCall, Usage
from streamfilter.providers.events import Origin
from streamfilter.providers.gemini.arguments import Strings, renamed
from streamfilter.providers.gemini.making import Making
from streamfilter.providers.gemini.reading import NAME, OPAQUE, Place, field_of, value_of
from streamfilter.providers.places import GONE, Path, at, is_below, put, revised, strings
from streamfilter.providers.rewriting import EventWriter, value_so_far
from streamfilter.providers.shapes import edited, fields, get
from streamfilter.providers.tokens import spelled_by, unfit
from streamfilter.providers.wrapping import Quote


class Writer(EventWriter):
    """One stream of chunks, written.

    Args:
        quote: filters a text that a chunk quotes.
        as_bytes: whether to give frames of an event stream.
        model: the model's name, for chunks that come from none.
    """

    def __init__(self, quote: Quote, *, as_bytes: bool = False, model: str = "") -> None:
        super().__init__(NAME, Making(model), OPAQUE, quote, as_bytes=as_bytes, names=False)
        self._came: dict[Channel, int] = {}  # characters
        self._strings: dict[Channel, Strings] = {}  # of calls whose arguments come in pieces
        self._calls: set[Channel] = set()  # that have come out and are not complete
        self._arguments: dict[Channel, str] = {}  # of calls that come whole, as far as they have come out

    def note(self, origin: Origin) -> None:
        """A chunk has arrived."""
        self._framed_as(origin)
        for item in origin.items:
            if isinstance(item, TextDelta):
                channel = item.channel
                self._came[channel] = self._came.get(channel, 0) + len(item.text)
                self._arrived(channel, item.text)
        origin.ends = {channel: self._came.get(channel, 0) for channel in (*origin.spans.values(), PLAIN)}

    def write(self, items: Sequence[Item]) -> list[Any]:
        """The chunks for what came out of one chunk. A reason that a stage gives stands behind the token counts of that chunk."""
        given = list(items)
        for n in range(len(given) - 1, -1, -1):
            if isinstance(given[n], Finish) and self._origin_of(given[n]) is None:
                behind = n + 1
                while behind < len(given) and isinstance(given[behind], Usage) and self._origin_of(given[behind]) is not None:
                    behind += 1
                given[n:behind] = [*given[n + 1 : behind], given[n]]
        return super().write(given)

    def _origin_of(self, item: Item) -> Origin | None:
        if isinstance(item, TextDelta) and isinstance(item.origin, Place):
            return item.origin.origin
        return super()._origin_of(item)

    def _noted(self, channel: Channel, text: str) -> str:
        """Chunks never repeat what has been said: nothing is kept."""
        self._channels.add(channel)
        return text

    def _forget(self, channel: Channel) -> None:
        """A channel has ended a while ago."""
        for kept in (self._came, self._strings, self._arguments):
            kept.pop(channel, None)
        self._calls.discard(channel)
        super()._forget(channel)

    def _rewritten(self, origin: Origin, group: Sequence[Item]) -> list[Any]:
        if not origin.leaves:
            return super()._rewritten(origin, group)
        if not origin.ends:
            self.note(origin)  # `Encode` sees chunks only when something of them comes out
        came = {id(item) for item in group}
        self._calls.update(item.arguments for item in group if isinstance(item, ToolCall))
        values, beside = self._placed(origin, group, came)
        more = [self._sent(self._making.delta(text, channel), origin) for channel, text in beside if text]
        filled = [path for path, value in values.items() if value not in (None, "")]
        gone = self._gone(origin, came, filled)
        for item in group:
            if isinstance(item, Event) and item.boundary and isinstance(item.scope, Channel):
                self._settled(item.scope)
                self._calls.discard(item.scope)
        if len(gone) == len(origin.leaves):
            return more
        left_out = {*gone, *self._void(origin, gone)}
        changes = {path: value for path, value in {**values, **_unfinished(origin, came, filled)}.items() if value is not None}
        if not origin.is_plain:
            changes |= unfit(origin.event, self._quote)
            for path, text in strings(origin.event, self._opaque):
                if not is_below(path, changes) and not is_below(path, origin.slots) and not is_below(path, left_out):
                    is_path = path[-1] in ("jsonPath", "json_path") and "partial" in str(path[-3:-2])
                    changes[path] = renamed(text, self._quote) if is_path else self._quote(text)
        changes = {path: value for path, value in changes.items() if value != at(origin.event, path)}
        changes |= {path: GONE for path in left_out if at(origin.event, path) is not None}
        if not changes:
            return [self._whole(origin), *more]
        return [self._sent(_trimmed(revised(origin.event, changes), origin.event), origin), *more]

    def _gone(self, origin: Origin, came: set[int], filled: Iterable[Path]) -> set[Path]:
        """What does not leave now: none of its text has come out, and nothing else of it. And calls that a stage has dropped, or
        the arguments of which: without these they would do something else."""
        there = {path[:n] for path in filled for n in range(1, len(path) + 1)}
        gone: set[Path] = set()
        for path, items in origin.leaves.items():
            scope = items[-1].scope if items and isinstance(items[-1], Event) else None
            is_dropped = isinstance(scope, Channel) and scope.kind == "tool_arguments" and scope not in self._calls
            if is_dropped or not (path in there or any(id(item) in came for item in items if not isinstance(item, TextDelta))):
                gone.add(path)
        return gone

    def _void(self, origin: Origin, gone: set[Path]) -> list[Path]:
        """What leaves now and counts or signs text of a channel that was changed. All text before it has left: if that is shorter
        than what has come, some was taken out."""
        found = []
        for path, channel in origin.spans.items():
            if is_below(path, gone):
                continue
            left = self._came.get(channel, 0) - len(self._awaited.get(channel, ()))
            if channel not in self._changed and left < origin.ends.get(channel, 0):
                self._changed.add(channel)
                self._awaited.pop(channel, None)
            if channel in self._changed or not _agrees(origin, path):
                found.append(path)
        return found

    def _placed(self, origin: Origin, group: Sequence[Item], came: set[int]) -> tuple[dict[Path, Any], list[tuple[Channel, str]]]:
        """What comes to stand at the places of text; and text for which there is none."""
        values: dict[Path, Any] = dict.fromkeys(origin.slots, "")
        numbered = {(origin.slots[path], n): path for path, n in reversed(origin.encoded.items())}
        beside: list[tuple[Channel, str]] = []
        pieces = groupby((item for item in group if isinstance(item, TextDelta)), key=lambda item: (item.channel, item.origin))
        for (channel, place), run in pieces:
            text = self._passed(channel, "".join(item.text for item in run))
            if channel.kind == "tool_arguments" and channel.key[2:3] == ("call",):
                self._arguments[channel] = self._arguments.get(channel, "") + text
            elif channel.kind == "tool_arguments" and channel.key[2:3] == ("stream",):
                for number, piece in self._strings.setdefault(channel, Strings()).feed(text):
                    slot = place.path if isinstance(place, Place) else None
                    if slot is None or origin.encoded.get(slot) != number:
                        slot = numbered.get((channel, number))
                    if slot is not None:  # else it is a string that no call has sent
                        values[slot] += piece
            elif isinstance(place, Place) and origin.slots[place.path] == channel:
                values[place.path] += text
            else:
                beside.append((channel, text))
        for path, which in origin.encoded.items():
            if which is None:
                channel = origin.slots[path]
                is_complete = any(id(item) in came for item in origin.leaves[path[:-2]])
                text = self._arguments.pop(channel, "") if is_complete else ""
                values[path] = _meant(text) if text else None
                if is_complete and not text:
                    self._calls.discard(channel)
        return values, beside

    def _framed(self, event: Any, origin: Origin | None) -> bytes:
        if not isinstance(event, Mapping) and hasattr(event, "model_dump"):
            event = event.model_dump(by_alias=True, exclude_none=True, mode="json", warnings=False)
        return super()._framed(event, origin)


def _agrees(origin: Origin, path: Path) -> bool:
    """Whether the tokens of a candidate, if it is these that stand at a place, say its text."""
    if path[-1] not in ("logprobsResult", "logprobs_result"):
        return True
    texts = {place: origin.said(place) for place in origin.slots if place[:-4] == path[:-1] and place[-1] == "text"}
    answer = [text for place, text in texts.items() if origin.slots[place].kind == "answer"]
    return spelled_by(value_of(at(origin.event, path), "chosenCandidates") or ()) in ("", "".join(answer), "".join(texts.values()))


def _meant(text: str) -> Any:
    """The arguments that a JSON text means."""
    try:
        return json.loads(text)
    except ValueError:  # a stage has made something else of it
        return value_so_far(text) or {}


def _unfinished(origin: Origin, came: set[int], filled: Sequence[Path]) -> dict[Path, Any]:
    """Pieces of arguments that are not complete yet have to say so."""
    changes: dict[Path, Any] = {}
    for path in filled:
        if origin.encoded.get(path) is None:
            continue
        piece, call = path[:-1], path[:-3]
        rest = origin.leaves[piece][-1]
        if id(rest) not in came:
            for place in (piece, call):
                name = "willContinue" if field_of(at(origin.event, call), "partialArgs") == "partialArgs" else "will_continue"
                changes[*place, name] = True
    return changes


def _trimmed(event: Any, source: Any) -> Any:
    """A chunk without the candidates that have nothing to say any more. One stays, with an empty part, as Gemini itself sends
    it: clients look into the first candidate of every chunk."""
    candidates = get(event, "candidates")
    if not candidates:
        return event
    kept = []
    for n, candidate in enumerate(candidates):
        if get(get(candidate, "content"), "parts"):
            kept.append(candidate)
        elif fields(candidate).keys() - {"content", "index"} or (n == len(candidates) - 1 and not kept):
            before = get(get(get(source, "candidates")[n], "content"), "parts")
            kept.append(put(candidate, ("content", "parts"), [_empty(before[0])]) if before else candidate)
    return event if len(kept) == len(candidates) and _same(kept, candidates) else edited(event, {"candidates": kept})


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def _empty(part: Any) -> Any:
    """A part that says nothing."""
    return {"text": ""} if isinstance(part, Mapping) else type(part)(text="")
