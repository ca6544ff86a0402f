"""Items from any provider as `AIMessageChunk`s: their sum is the message that LangChain's own integration would have made."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from streamfilter.errors import ProviderError
from streamfilter.items import PLAIN, Channel, End, Failure, Finish, Item, Key, TextDelta, ToolCall, Usage
from streamfilter.providers.choices import place_of
from streamfilter.providers.counts import latest
from streamfilter.providers.langchain import making
from streamfilter.reasons import spelled

_BESIDE = {"reasoning": "reasoning_content", "refusal": "refusal"}
"""Text that is not the answer's, and the additional field that LangChain's integrations have for it."""


class Making(making.Making):
    """One stream of chunks for items that come from none.

    Args:
        model: the name of the model.
        objects: whether to make LangChain's own objects.
    """

    has_choices = False

    def __init__(self, model: str = "", *, objects: bool = False) -> None:
        super().__init__()
        self._model = model
        self._class: Callable[..., Any] | None = _chunk_class() if objects else None
        self._response: object = None  # whose chunks these are
        self._id = ""
        self._is_new = True  # what comes next is of another message
        self._counts = (0, 0)
        self._calls: dict[Channel, int] = {}
        self._is_reasoned = False
        self._is_closed = True

    def make(self, item: Item) -> Sequence[Any]:
        """The chunks for an item that comes from no chunk."""
        if isinstance(item, Failure):
            return (End("error", ProviderError(item.error)),)
        return [*self._made(item)]

    def end(self, reason: str) -> Sequence[Any]:
        """The reason, if there was none, and a last chunk."""
        return [*self._settled(reason), *self._closed()]

    def _made(self, item: Item) -> Iterator[Any]:
        self._follow(place_of(item))
        if isinstance(item, Usage):
            self._counts = latest(self._counts, item.usage)
        elif isinstance(item, Finish):
            yield from self._settled(item.reason)
        elif isinstance(item, str | TextDelta):
            text, channel = (item, PLAIN) if isinstance(item, str) else (item.text, item.channel)
            if text and channel.kind == "tool_arguments":
                if channel not in self._calls:
                    yield from self._call(None, None, channel)
                yield from self._said(tool_call_chunks=[_fragment(self._calls[channel], text)])
            elif text and channel.kind in _BESIDE:
                yield from self._said(additional_kwargs={_BESIDE[channel.kind]: text})
            elif text and channel.kind == "answer":
                yield from self._said(content=text)
        elif isinstance(item, ToolCall):
            yield from self._call(item.id, item.name, item.arguments)

    def _follow(self, place: Key) -> None:
        """Another response begins another message."""
        if place and place[0] != self._response:
            self._response, self._is_new = place[0], True
            self._calls, self._is_reasoned = {}, False

    def _call(self, name: str | None, tool: str | None, channel: Channel) -> Iterator[Any]:
        if channel not in self._calls:
            self._calls[channel] = index = len(self._calls)
            call = {"name": tool or "tool", "id": name or f"call_{uuid.uuid4().hex[:24]}"}
            yield from self._said(tool_call_chunks=[{**_fragment(index, ""), **call}])

    def _settled(self, reason: str) -> Iterator[Any]:
        if self._id and not self._is_new and not self._is_reasoned:
            self._is_reasoned = True
            named = {"model_name": self._model} if self._model else {}
            yield from self._said(response_metadata={"finish_reason": spelled(reason, "openai"), **named})

    def _closed(self) -> Iterator[Any]:
        if self._is_closed:
            return
        (read, written), self._counts = self._counts, (0, 0)
        usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        yield self._chunk(chunk_position="last", **({"usage_metadata": usage} if read or written else {}))
        self._is_closed = True

    def _said(self, **said: Any) -> Iterator[Any]:
        """A chunk; before the first of a message, the last of the one before."""
        if self._is_new:
            yield from self._closed()
            self._id, self._is_new = f"lc_run-{uuid.uuid4()}", False
        self._is_closed = False
        yield self._chunk(**said)

    def _chunk(self, **said: Any) -> Any:
        if self._class is not None:
            return self._class(**{"content": "", **said, "id": self._id})
        parsed = making.parsed(said["tool_call_chunks"]) if "tool_call_chunks" in said else {}
        return {"type": "AIMessageChunk", **making.NOTHING, **said, **parsed, "id": self._id}


class Writer(making.Writer):
    """One stream of items, written as chunks.

    Args:
        making: makes them.
        quote: filters a text that a chunk quotes.
        as_bytes: whether to give frames of an event stream.
    """

    def __init__(self, making: Making, quote: Callable[[str], str], *, as_bytes: bool = False) -> None:
        super().__init__(quote, as_bytes=as_bytes, making=making)

    def _made(self, event: Any) -> Any:
        return event if isinstance(event, End) else super()._made(event)


def _fragment(index: int, text: str) -> dict[str, Any]:
    return {"type": "tool_call_chunk", "index": index, "name": None, "id": None, "args": text}


def _chunk_class() -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = import_module("langchain_core.messages").AIMessageChunk
    except ImportError:
        raise ImportError(
            "langchain.Encode makes objects of the package langchain-core: install it, or give as_dicts=True"
        ) from None
    return found
