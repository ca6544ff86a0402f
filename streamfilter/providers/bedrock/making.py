"""Events of the Converse stream for what comes from none: text of other sources, and the legal ending of a stopped message."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Hashable, Iterator, Sequence
from typing import Any

from streamfilter.items import Channel, Failure, Finish, Item, Key, TextDelta, ToolCall, Usage
from streamfilter.providers import rewriting
from streamfilter.providers.bedrock.reading import KINDS
from streamfilter.providers.choices import place_of
from streamfilter.providers.counts import worded
from streamfilter.providers.ordering import Blocks
from streamfilter.providers.shapes import get, plain
from streamfilter.reasons import spelled

_BLOCK_OF = {kind: block for block, kind in KINDS.items() if block != "toolResult"}


class Making(rewriting.Making):
    """One stream of events."""

    has_choices = False

    def __init__(self) -> None:
        super().__init__()
        self._response: Hashable = None  # whose message was made here
        self._is_begun = False
        self._is_settled = False  # its message has a reason to stop
        self._next = 0  # the index of the next content block
        self._open: dict[int, Channel | None] = {}  # content blocks; those that were made here with their channel
        self._order = Blocks()
        self._usage: dict[str, Any] = {}

    def note(self, event: Any) -> None:
        """This event leaves."""
        if get(event, "messageStart") is not None:
            self._response, self._is_begun, self._is_settled, self._next, self._open = None, True, False, 0, {}
            self.dropped.clear()
        elif get(event, "messageStop") is not None:
            self._is_settled = True
        for kind in ("contentBlockStart", "contentBlockDelta"):
            if get(event, kind) is not None:
                index = get(get(event, kind), "contentBlockIndex")
                self._is_begun = True  # some services leave out the start
                self._open.setdefault(index, None)
                self._next = max(self._next, index + 1)
        if get(event, "contentBlockStop") is not None:
            self._open.pop(get(get(event, "contentBlockStop"), "contentBlockIndex"), None)

    def delta(self, text: str, channel: Channel) -> Any:
        """An event that brings some more text of a channel that has begun."""
        return _delta(text, str(channel.key[2]), channel.key[3])

    def make(self, item: Item) -> Sequence[Any]:
        """The events for an item that comes from no event."""
        return [event for each in self._order.put(item) for event in self._made(each)]

    def end(self, reason: str) -> Sequence[Any]:
        """The events that end what is open, because a stage has ended the stream."""
        waiting = [event for item in self._order.rest() for event in self._made(item)]
        return [*waiting, *self._settled(spelled(reason, "bedrock"))] if self._is_begun else ()

    def finish(self) -> Sequence[Any]:
        """What ends the stream after all else."""
        return [*self._counted()]

    # ------------------------------------------------------------------

    def _made(self, item: Item) -> Iterator[dict[str, Any]]:
        yield from self._followed(place_of(item))
        if isinstance(item, Failure):
            yield {"modelStreamErrorException": {"message": _error(item.error)}}
        elif isinstance(item, Usage):
            self._usage |= worded(item.usage, "bedrock")
            if self._is_settled:
                yield from self._counted()
        elif isinstance(item, Finish):
            yield from self._begun()
            yield from self._settled(spelled(item.reason, "bedrock"))
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if not text:
                return
            yield from self._begun()
            index = next((index for index, own in self._open.items() if own == channel), None)
            if index is None:
                index = yield from self._started(channel)
            yield _delta(text, _BLOCK_OF.get(channel.kind, "text"), index)
        elif isinstance(item, ToolCall):
            yield from self._begun()
            index = yield from self._started(item.arguments)
            use = {"toolUseId": item.id or f"tooluse_{uuid.uuid4().hex[:22]}", "name": item.name or ""}
            yield {"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": use}}}

    def _followed(self, place: Key) -> Iterator[dict[str, Any]]:
        """The end of the message that was made here, if what comes now is of another response."""
        if place and self._is_begun and self._response not in (None, place[0]):
            yield from self._settled(spelled("stop", "bedrock"))
            self._is_begun, self._is_settled, self._next = False, False, 0
        self._response = place[0] if place else self._response

    def _begun(self) -> Iterator[dict[str, Any]]:
        if not self._is_begun:
            self._is_begun = True
            yield {"messageStart": {"role": "assistant"}}

    def _started(self, channel: Channel) -> Generator[dict[str, Any], None, int]:
        """A new content block; one that was made here before ends first, for they come one behind the other. Gives its index."""
        yield from self._closed(own=True)
        index = self._next
        self._open[index] = channel
        self._next = max(self._open) + 1
        return index

    def _closed(self, *, own: bool = False) -> Iterator[dict[str, Any]]:
        for index, channel in list(self._open.items()):
            if channel is not None or not own:
                del self._open[index]
                yield {"contentBlockStop": {"contentBlockIndex": index}}

    def _settled(self, reason: str) -> Iterator[dict[str, Any]]:
        yield from self._closed()
        if not self._is_settled:
            self._is_settled = True
            yield {"messageStop": {"stopReason": reason}}
            yield from self._counted()

    def _counted(self) -> Iterator[dict[str, Any]]:
        usage, self._usage = self._usage, {}
        if usage:
            yield {"metadata": {"usage": usage}}


def _delta(text: str, block: str, index: object) -> dict[str, Any]:
    said: dict[str, Any] = {"text": text}
    if block == "reasoningContent":
        said = {block: {"text": text}}
    elif block == "toolUse":
        said = {block: {"input": text}}
    elif block == "toolResult":
        said = {block: [{"text": text}]}
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": said}}


def _error(error: object) -> str:
    given = plain(error)
    return given if isinstance(given, str) else str(get(given, "message") or "the provider reports an error")
