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
        self._blocks: dict[int, Any] = {}
        self._inputs: dict[int, str] = {}  # JSON, as it comes

    @property
    def message(self) -> Any:
        if self._message is None:
            return None
        return edited(self._message, {"content": [self._blocks[index] for index in sorted(self._blocks)]})

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return "".join(get(block, "text") for _, block in sorted(self._blocks.items()) if get(block, "type") == "text")

    def note(self, event: Any) -> None:
        """An event has come."""
        kind, index = get(event, "type"), get(event, "index")
        if kind == "message_start":
            self._message, self._blocks, self._inputs = get(event, "message"), {}, {}
        elif kind == "content_block_start":
            self._blocks[index] = get(event, "content_block")
        elif kind == "content_block_delta" and index in self._blocks:
            self._blocks[index] = self._grown(index, get(event, "delta"))
        elif kind == "content_block_stop" and get(event, "content_block") is not None:
            self._blocks[index] = get(event, "content_block")  # as the helper has parsed it
        elif kind == "content_block_stop" and index in self._inputs:
            self._blocks[index] = edited(self._blocks[index], {"input": _parsed(self._inputs[index])})
        elif kind == "message_delta":
            delta, usage = fields(get(event, "delta")), fields(get(event, "usage"))
            before = get(self._message, "usage")
            changes = {**delta, **({"usage": edited(before, usage)} if usage and before is not None else {})}
            self._message = edited(self._message, changes)
        elif kind == "message_stop" and get(event, "message") is not None:
            self._message = get(event, "message")
            self._blocks = dict(enumerate(get(self._message, "content")))

    def _grown(self, index: int, delta: Any) -> Any:
        block = self._blocks[index]
        for name in ("text", "thinking", "content"):
            if isinstance(get(delta, name), str):
                return edited(block, {name: (get(block, name) or "") + get(delta, name)})
        if get(delta, "partial_json") is not None:
            self._inputs[index] = self._inputs.get(index, "") + get(delta, "partial_json")
            return edited(block, {"input": value_so_far(self._inputs[index]) or {}})
        if get(delta, "signature") is not None:
            return edited(block, {"signature": get(delta, "signature")})
        if get(delta, "citation") is not None:
            return edited(block, {"citations": [*(get(block, "citations") or ()), get(delta, "citation")]})
        return block


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return value_so_far(text) or {}


class MessageEvents(Events[Chunk]):
    """What `wrap(pipeline)(client.messages.stream(...))` gives: filtered events, and the helper's accessors over them.

    Args:
        stream: the filtered events.
    """

    def __init__(self, stream: Stream[Chunk]) -> None:
        super().__init__(stream)
        self._snapshot = Snapshot()

    def note(self, event: Chunk) -> None:
        """An event leaves."""
        self._snapshot.note(event)

    @property
    def current_message_snapshot(self) -> Any:
        """The message so far."""
        return self._snapshot.message

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
        return self._snapshot.message

    async def get_final_text(self) -> str:
        """All of its text."""
        await self.until_done()
        return self._snapshot.text


class SyncMessageEvents(SyncEvents[Chunk]):
    """The same for plain code.

    Args:
        stream: the filtered events.
    """

    def __init__(self, stream: SyncStream[Chunk]) -> None:
        super().__init__(stream)
        self._snapshot = Snapshot()

    def note(self, event: Chunk) -> None:
        """An event leaves."""
        self._snapshot.note(event)

    @property
    def current_message_snapshot(self) -> Any:
        """The message so far."""
        return self._snapshot.message

    @property
    def text_stream(self) -> Iterator[str]:
        """Only the text of the answer."""
        return (text for event in self if (text := _text(event)) is not None)

    def get_final_message(self) -> Any:
        """The whole message, when all has come."""
        self.until_done()
        return self._snapshot.message

    def get_final_text(self) -> str:
        """All of its text."""
        self.until_done()
        return self._snapshot.text


def _text(event: Any) -> str | None:
    delta = get(event, "delta")
    return get(delta, "text") if get(delta, "type") == "text_delta" else None
