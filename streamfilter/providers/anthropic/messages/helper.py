"""What the SDK's helper stream has beside its events, over filtered ones: the final message, its text, the message so far."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

from streamfilter.plain import SyncStream
from streamfilter.providers.accessors import Events, SyncEvents
from streamfilter.providers.rewriting import value_so_far
from streamfilter.providers.shapes import edited, fields, get
from streamfilter.stream import Stream

Chunk = TypeVar("Chunk")


class Snapshot:
    """A message, put together of its events: dicts or SDK objects.

    Attributes:
        message: as far as it has come; None before it has begun.

    Example:
        >>> snapshot = Snapshot()
        >>> snapshot.note({"type": "message_start", "message": {"id": "m", "content": []}})
        >>> snapshot.note({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        >>> snapshot.note({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}})
        >>> snapshot.message, snapshot.text
        ({'id': 'm', 'content': [{'type': 'text', 'text': 'Hi'}]}, 'Hi')
    """

    def __init__(self) -> None:
        self._message: Any = None
        self._blocks: dict[int, Any] = {}  # as they began
        self._grown: dict[int, dict[str, list[Any]]] = {}  # by block and field, what has come since: joined when it is asked for

    @property
    def message(self) -> Any:
        if self._message is None:
            return None
        return edited(self._message, {"content": [self._block(index) for index in sorted(self._blocks)]})

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        blocks = [self._block(index) for index in sorted(self._blocks)]
        return "".join(get(block, "text") for block in blocks if get(block, "type") == "text")

    def note(self, event: Any) -> None:
        """An event has come."""
        kind, index = get(event, "type"), get(event, "index")
        if kind == "message_start":
            self._message, self._blocks, self._grown = get(event, "message"), {}, {}
        elif kind == "content_block_start":
            self._begin(index, get(event, "content_block"))
        elif kind == "content_block_delta" and index in self._blocks:
            self._grow(self._grown.setdefault(index, {}), get(event, "delta"))
        elif kind == "content_block_stop" and get(event, "content_block") is not None:
            self._begin(index, get(event, "content_block"))  # as the helper has parsed it
        elif kind == "message_delta" and self._message is not None:
            delta, usage = fields(get(event, "delta")), fields(get(event, "usage"))
            before = get(self._message, "usage")
            changes = {**delta, **({"usage": edited(before, usage)} if usage and before is not None else {})}
            self._message = edited(self._message, changes)
        elif kind == "message_stop" and get(event, "message") is not None:
            self._message, self._grown = get(event, "message"), {}
            self._blocks = dict(enumerate(get(self._message, "content")))

    def _begin(self, index: int, block: Any) -> None:
        self._blocks[index] = block
        self._grown.pop(index, None)

    @staticmethod
    def _grow(grown: dict[str, list[Any]], delta: Any) -> None:
        for name in ("text", "thinking", "content", "partial_json"):
            if isinstance(get(delta, name), str):
                grown.setdefault(name, []).append(get(delta, name))
                return
        if get(delta, "signature") is not None:
            grown["signature"] = [get(delta, "signature")]
        elif get(delta, "citation") is not None:
            grown.setdefault("citations", []).append(get(delta, "citation"))

    def _block(self, index: int) -> Any:
        """A block as far as it has come."""
        block = self._blocks[index]
        changes: dict[str, Any] = {}
        for name, pieces in self._grown.get(index, {}).items():
            if name == "citations":
                changes[name] = [*(get(block, name) or ()), *pieces]
                continue
            pieces[:] = ["".join(pieces)]
            if name == "partial_json":
                changes["input"] = _parsed(pieces[0])
            else:
                changes[name] = pieces[0] if name == "signature" else (get(block, name) or "") + pieces[0]
        return edited(block, changes) if changes else block


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return value_so_far(text) or {}


class Kept:
    """The message of a helper's stream. A stream of plain events may be endless, and nobody asks it for its message.

    Args:
        is_helper: whether it is one.
    """

    def __init__(self, *, is_helper: bool) -> None:
        self._snapshot = Snapshot() if is_helper else None

    @property
    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            raise TypeError("only what wraps the stream of client.messages.stream() has the message of its events")
        return self._snapshot

    def note(self, event: Any) -> None:
        """An event leaves."""
        if self._snapshot is not None:
            self._snapshot.note(event)


class MessageEvents(Events[Chunk]):
    """What `wrap(pipeline)(client.messages.stream(...))` gives: filtered events, and the helper's accessors over them.

    Args:
        stream: the filtered events.
        is_helper: whether they are the helper's: of no other stream the message is kept.
    """

    def __init__(self, stream: Stream[Chunk], *, is_helper: bool) -> None:
        super().__init__(stream)
        self._kept = Kept(is_helper=is_helper)

    def note(self, event: Chunk) -> None:
        """An event leaves."""
        self._kept.note(event)

    @property
    def current_message_snapshot(self) -> Any:
        """The message so far."""
        return self._kept.snapshot.message

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """Only the text of the answer."""

        async def texts() -> AsyncIterator[str]:
            async for event in self:
                text = _text(event)
                if text is not None:
                    yield text

        return texts()

    async def get_final_message(self) -> Any:
        """The whole message, when all has come."""
        await self.until_done()
        return self._kept.snapshot.message

    async def get_final_text(self) -> str:
        """All of its text."""
        await self.until_done()
        return self._kept.snapshot.text


class SyncMessageEvents(SyncEvents[Chunk]):
    """The same for plain code.

    Args:
        stream: the filtered events.
        is_helper: whether they are the helper's: of no other stream the message is kept.
    """

    def __init__(self, stream: SyncStream[Chunk], *, is_helper: bool) -> None:
        super().__init__(stream)
        self._kept = Kept(is_helper=is_helper)

    def note(self, event: Chunk) -> None:
        """An event leaves."""
        self._kept.note(event)

    @property
    def current_message_snapshot(self) -> Any:
        """The message so far."""
        return self._kept.snapshot.message

    @property
    def text_stream(self) -> Iterator[str]:
        """Only the text of the answer."""
        return (text for event in self if (text := _text(event)) is not None)

    def get_final_message(self) -> Any:
        """The whole message, when all has come."""
        self.until_done()
        return self._kept.snapshot.message

    def get_final_text(self) -> str:
        """All of its text."""
        self.until_done()
        return self._kept.snapshot.text


def _text(event: Any) -> str | None:
    delta = get(event, "delta")
    return get(delta, "text") if get(delta, "type") == "text_delta" else None
