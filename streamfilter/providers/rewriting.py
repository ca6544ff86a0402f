"""Items to events of the format they came from: each event once, with the text that came out of it.

An event all of whose items come out again, and which says nothing else that changes, leaves as it came, as the same object or the
same bytes. Text that comes out later than the rest of its event leaves on an event of its own.

What an event says beside its text is filtered here: text that it repeats becomes what the channel has said, other text that it
quotes goes through the guards as a whole, and what counts characters or signs them is left out where they have changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from streamfilter.errors import LimitExceeded, MalformedInput
from streamfilter.items import PLAIN, Channel, End, Event, Item, TextDelta
from streamfilter.parsing.parser import Parser
from streamfilter.parsing.tree import MISSING, Tree
from streamfilter.providers.anew import Anew
from streamfilter.providers.awaited import Awaited
from streamfilter.providers.calls import Calls
from streamfilter.providers.choices import FirstChoice
from streamfilter.providers.dropped import Dropped
from streamfilter.providers.events import Origin, Repeat
from streamfilter.providers.frames import SSE, Framing
from streamfilter.providers.guarding_frames import Lines
from streamfilter.providers.places import GONE, Opaque, Path, at, is_below, revised, strings
from streamfilter.providers.recent import Channels
from streamfilter.providers.shapes import plain
from streamfilter.providers.sse import Seam
from streamfilter.providers.together import Together
from streamfilter.providers.tokens import spelled_by, unfit
from streamfilter.providers.wrapping import MAX_AGGREGATE

PLACELESS = ("tool_result", "compaction", "other")
"""Kinds of text for which no other format has a place: there it would be taken for the answer."""


class Making:
    """What a format knows of one stream of events that are written. As it stands it makes nothing.

    Attributes:
        said: by channel, what has left.
        has_changed: whether events have been left out, or held, or others put in.
        has_choices: whether there may be several answers, side by side.
        dropped: the calls of a response that a stage has dropped.
    """

    has_choices: bool = True

    def __init__(self) -> None:
        self.said: Mapping[Channel, str] = {}
        self.has_changed = False
        self.dropped: Dropped = Dropped()

    def note(self, event: Any) -> None:
        """This event of the source leaves."""

    def numbered(self, event: Any) -> Any:
        """An event with the number that it has now, if the format numbers its events."""
        return event

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        return ()

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        raise NotImplementedError

    def forget(self, channel: Channel) -> bool:  # this knows nothing of any
        """A channel has ended a while ago. Whether what it has said may be forgotten."""
        return True

    def end(self, reason: str) -> Sequence[Any]:
        """The events that end what is open, because a stage has ended the stream."""
        return ()

    def finish(self) -> Sequence[Any]:
        """What ends the stream after all else."""
        return ()


class EventWriter:
    """One stream of events, written.

    Args:
        name: the format's.
        making: makes events.
        opaque: fields whose strings are no text.
        quote: filters a text that an event quotes.
        as_bytes: whether to give frames of an event stream; else objects of the kind that came, or dicts.
        names: whether frames have the name of their event.
        framing: how events stand in bytes, if none has come so.
        signed: the kinds of channels whose text is signed: it leaves as it came, or ends where it would be changed.

    Attributes:
        max_aggregate: characters of one channel that are kept because an event may repeat them. What repeats more is filtered by
            itself, as a quote.
    """

    max_aggregate: int = MAX_AGGREGATE

    def __init__(
        self,
        name: str,
        making: Making,
        opaque: Opaque,
        quote: Callable[[str], str],
        *,
        as_bytes: bool = False,
        names: bool = True,
        framing: Framing = SSE,
        signed: Collection[str] = (),
    ) -> None:
        self.as_bytes = as_bytes
        self._name = name
        self._making = making
        self._opaque = opaque
        self._quote = quote
        self._names = names
        self._framing = framing
        self._kinds = frozenset(signed)
        self._foreign = Calls()  # of other formats
        self._anew = Anew()
        self._together = Together()
        self._first = FirstChoice()  # of theirs
        self._channels = Channels(self._forget)
        self._said: dict[Channel, str] = {}  # what has left
        making.said = self._said
        self._awaited: dict[Channel, Awaited] = {}  # what has come and not left, of channels that have not been changed
        self._changed: set[Channel] = set()
        self._cut: set[Channel] = set()  # signed ones that had to be changed
        self._echoed: dict[Channel, int] = {}  # how much of a channel
        self._echoes: dict[Channel, Origin] = {}  # the last one of each
        self._seam = Seam(framing.gap)
        self._lines = Lines(quote)
        self._lost: set[Path] = set()  # where in the event at hand calls stand that do not leave
        self._failed = False
        self._is_held = False  # the last event that has arrived: nothing has left since

    def note(self, origin: Origin) -> None:
        """An event has arrived."""
        origin.is_noted = True
        if origin.event is not None:
            self._making.has_changed = self._making.has_changed or self._is_held
            self._is_held = True
        self._framed_as(origin)
        for path, channel in origin.slots.items():
            self._arrived(channel, origin.said(path))

    def _arrived(self, channel: Channel, text: str) -> None:
        if channel not in self._channels.open:
            self._channels.add(channel)
        if channel not in self._changed:
            self._awaited.setdefault(channel, Awaited()).add(text)

    def _framed_as(self, origin: Origin) -> None:
        """What is made is framed as what comes. What stands beside the data of a frame goes through the guards."""
        if origin.frame is not None and origin.framing is SSE:
            self._lines.show(origin.frame)
        if origin.framing is not None and origin.framing is not self._framing:
            self._framing = origin.framing
            self._seam = Seam(origin.framing.gap)

    def write(self, items: Sequence[Item]) -> list[Any]:
        """The events for what came out of one event of the source. An `End` stays the last."""
        out: list[Any] = []
        for origin, group in groupby(self._together.put(self._anew.put(items), self._origin_of), key=self._origin_of):
            grouped = list(group)
            if origin is not None:
                out += self._rewritten(origin, grouped)
                for item in grouped:
                    if type(item) is not TextDelta:
                        self._channels.pass_by(item)
                continue
            for item in grouped:
                if isinstance(item, End):
                    self._failed = item.error is not None
                    return [*out, *self.rest(is_cut=True), *(() if self._failed else self._ending(item.reason)), item]
                if self._making.has_choices or self._first.takes(item):
                    self._making.dropped.begin(item)  # a stage may have made a call anew
                    out += [made for each in self._foreign.put(item) for made in self._from_elsewhere(each)]
        return out

    def finish(self) -> list[Any]:
        """What ends the stream after all else, if it has not come from the source."""
        return [] if self._failed else [*map(self._made, self._making.finish())]

    def rest(self, *, is_cut: bool = False) -> list[Any]:
        """What is left of the end of what was sent last."""
        return [*self._seam.rest(is_cut=is_cut)]

    # ------------------------------------------------------------------ from an event

    def _origin_of(self, item: Item) -> Origin | None:
        origin = item.origin if isinstance(item, Event) and not isinstance(item, End) else None
        return origin if isinstance(origin, Origin) and origin.format == self._name else None

    def _rewritten(self, origin: Origin, group: Sequence[Item]) -> list[Any]:
        untouched = len(group) == len(origin.items) and all(one is other for one, other in zip(group, origin.items, strict=True))
        if not origin.is_noted:
            self.note(origin)
        if origin.event is None:
            return [self._whole(origin)] if self.as_bytes else []
        self._making.has_changed = self._making.has_changed or not untouched
        texts = {channel: self._passed(channel, text) for channel, text in joined(group).items()}
        ended = [item.scope for item in group if isinstance(item, Event) and item.boundary and isinstance(item.scope, Channel)]
        before = [echo for channel in ended for echo in self._settled(channel)]
        self._lost = self._making.dropped.gone(origin, group) if origin.calls or origin.due else set()
        for channel in origin.due:
            self._channels.add(channel)
        if () in self._lost:
            self._making.has_changed = True
            return before
        comes_alone = all(isinstance(item, TextDelta) for item in origin.items)
        if origin.has_left or all(isinstance(item, TextDelta) for item in group):
            if not any(texts.values()):
                return before
            if not comes_alone:
                made = (self._making.delta(text, channel) for channel, text in texts.items() if text)
                return [*before, *(self._sent(delta, origin) for delta in made)]
        origin.has_left = not comes_alone
        changes = self._changes(origin, texts, is_as_it_came=untouched and not self._cut)
        if changes is None:
            return before
        if untouched and not changes:
            return [*before, self._whole(origin)]
        return [*before, self._sent(revised(origin.event, changes), origin)]

    def _passed(self, channel: Channel, text: str) -> str:
        """What leaves of a text that has come out. Here it is found out whether a channel was changed."""
        if channel in self._awaited:  # it has come here; what is only written, as by `Encode`, has nothing to be held against
            awaited = self._awaited[channel]
            if not awaited.takes(text):
                self._changed.add(channel)
                self._awaited.pop(channel, None)
                if channel.kind in self._kinds:
                    self._cut.add(channel)
                    text = text[: _common(awaited.rest, text)]
        elif channel in self._cut:
            text = ""
        return self._noted(channel, text)

    def _noted(self, channel: Channel, text: str) -> str:
        self._channels.add(channel)
        if text and len(self._said.get(channel, "")) <= self.max_aggregate:
            said = self._said.pop(channel, "")  # with no other reference to it, CPython grows a string in place
            said += text
            self._said[channel] = said
        return text

    # ------------------------------------------------------------------ from elsewhere

    def _from_elsewhere(self, item: Item) -> list[Any]:
        """The events for an item that comes from no event of this format."""
        if isinstance(item, str):
            self._inserted(PLAIN, item)
        elif isinstance(item, TextDelta):
            if item.channel.kind in PLACELESS and item.channel not in self._channels.open:
                return []
            item = TextDelta(self._inserted(item.channel, item.text), item.channel)
        made = [*map(self._made, self._making.make(item))]
        self._channels.pass_by(item)
        return made

    def _ending(self, reason: str) -> list[Any]:
        """The events that end what is open."""
        made = [event for item in self._foreign.rest(reason) for event in self._from_elsewhere(item)]
        return [*made, *map(self._made, self._making.end(self._foreign.reason(reason)))]

    def _inserted(self, channel: Channel, text: str) -> str:
        """What leaves of a text that comes from no event."""
        self._changed.add(channel)
        return self._noted(channel, "" if channel in self._cut else text)

    def _forget(self, channel: Channel) -> None:
        """A channel has ended a while ago."""
        if not self._making.forget(channel):
            self._channels.add(channel)
            return
        for kept in (self._said, self._awaited, self._echoed, self._echoes):
            kept.pop(channel, None)
        self._changed.discard(channel)
        self._cut.discard(channel)
        self._making.dropped.forget(channel)

    def _settled(self, channel: Channel) -> list[Any]:
        """A run of a channel is over: what has not left of it will not."""
        if self._awaited.pop(channel, None):
            self._changed.add(channel)
            if channel.kind in self._kinds:
                self._cut.add(channel)
        last = self._echoes.get(channel)
        changes = self._echo(last) if last is not None and last.echo is not None else {}
        if not changes or last is None:
            return []
        return [self._sent(revised(last.event, changes))]

    def _changes(self, origin: Origin, texts: dict[Channel, str], *, is_as_it_came: bool) -> dict[Path, Any] | None:
        """What an event has to say otherwise, by place; None if there is no use for it any more."""
        event = origin.event
        changes: dict[Path, Any] = {}
        if origin.echo is not None and not changes.update(self._echo(origin)) and not changes:
            return None
        for places, void in ((origin.signs, self._cut), (origin.spans, self._changed)):
            for path, channel in places.items():
                # Where text was taken out before it came here, as between `Decode` and `Encode`, it is too short. What was not may
                # have left in a unit with text that came later.
                said = len(self._said.get(channel, ""))
                is_other = channel not in self._awaited and said != origin.counts.get(channel, said) and said <= self.max_aggregate
                if channel in void or is_other:
                    if not path:
                        return None
                    value = at(event, path)
                    changes[path] = [] if isinstance(value, list | tuple) else "" if isinstance(value, str) else None
        changes |= dict.fromkeys(self._lost, GONE)
        if not (is_as_it_came and origin.is_plain):
            left = dict(texts)
            for path, channel in origin.slots.items():
                shown = left.pop(channel, "")  # of what is whole: if none, it leaves with a later part, and must not become `{}`
                changes[path] = origin.value(path, shown) if shown or channel not in origin.whole else ""
        for path, channel in origin.tokens.items():
            tokens = at(event, path) or ()
            is_here = channel in origin.slots.values()
            spoken = texts.get(channel) if is_here else at(event, (*path[:-1], "text"))  # or beside what it says once more
            if channel in self._changed or spelled_by(tokens) not in ("", spoken):
                changes[path] = [] if isinstance(tokens, list | tuple) else None
        for path, repeat in origin.repeats.items():
            value = at(event, path)
            if repeat.channel in self._changed or value == self._said.get(repeat.channel):
                changes[path] = self._repeated(value, repeat)  # what it says otherwise of a text that has not changed is a quote
        if origin.tokens or not origin.is_plain:
            changes |= {path: value for path, value in unfit(event, self._quote).items() if not is_below(path, changes)}
            for path, text in strings(event, self._opaque):
                if not is_below(path, changes):
                    changes[path] = self._quote(text)
        return {path: value for path, value in changes.items() if value != at(event, path)} if changes else changes

    def _repeated(self, value: Any, repeat: Repeat) -> Any:
        said = self._said.get(repeat.channel, "")
        if len(said) > self.max_aggregate:
            return self._quote(value) if isinstance(value, str) else None
        if not repeat.is_parsed:
            return said if isinstance(value, str) else value
        try:
            return json.loads(said)
        except ValueError:  # it was malformed, cut off, or dropped
            return {}

    def _echo(self, origin: Origin) -> dict[Path, Any]:
        """What an echo has to say: nothing, if nothing has left since the last one."""
        echo = origin.echo
        assert echo is not None
        said, echoed = self._said.get(echo.channel, ""), self._echoed.get(echo.channel, 0)
        self._echoes[echo.channel] = origin
        if len(said) <= echoed:
            return {}
        self._echoed[echo.channel] = len(said)
        return {echo.delta: said[echoed:], echo.snapshot: value_so_far(said) if echo.is_parsed else said}

    # ------------------------------------------------------------------ as they leave

    def _whole(self, origin: Origin) -> Any:
        self._is_held = False
        if origin.event is not None:
            self._making.note(origin.event)
        event = self._making.numbered(origin.event)
        if not self.as_bytes:
            return event
        if origin.frame is None or event is not origin.event:
            return self._framed(event, origin)
        return self._seam.whole(origin.frame)

    def _sent(self, event: Any, origin: Origin | None = None) -> Any:
        self._is_held = False
        self._making.note(event)
        event = self._making.numbered(event)
        return self._framed(event, origin) if self.as_bytes else event

    def _made(self, event: Any) -> Any:
        self._making.has_changed = True
        event = self._making.numbered(event)
        return self._framed(event, None) if self.as_bytes else event

    def _framed(self, event: Any, origin: Origin | None) -> bytes:
        frame = origin.frame if origin is not None else None
        event = plain(event)
        name = frame.event if frame else str(event.get("type", "")) if self._names else ""
        return self._separated(self._framing.encode(event, name, frame))

    def _separated(self, raw: bytes) -> bytes:
        """A frame that was made, behind what is left of the one before it."""
        return self._seam.made(raw)


def joined(group: Iterable[Item]) -> dict[Channel, str]:
    """The text of each channel in some items, however many they are.

    Example:
        >>> joined([TextDelta("a"), TextDelta("b")])
        {Channel(kind='answer', key=()): 'ab'}
    """
    pieces: dict[Channel, list[str]] = {}
    for item in group:
        if isinstance(item, TextDelta):
            pieces.setdefault(item.channel, []).append(item.text)
    return {channel: "".join(texts) for channel, texts in pieces.items()}


def value_so_far(text: str) -> Any:
    """What a JSON text means that may be cut off.

    Example:
        >>> value_so_far('{"a": [1, "b')
        {'a': [1, 'b']}
    """
    tree = Tree()
    with suppress(MalformedInput, LimitExceeded):
        Parser(tree).feed(text)
    return None if tree.root is MISSING else tree.root


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
