"""What the formats of providers cost: event streams against httpx-sse, `wrap` against a bare loop, memory over a long stream."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

import streamfilter as sf
from benchmarks.figures import Figure, compare, ratio
from streamfilter.providers import anthropic, openai, sse

WORDS = ("the river ", "runs along ", "a valley ", "until it ", "meets the sea. ")


def chat_chunks(count: int) -> list[dict[str, Any]]:
    """Chunks of a chat completion."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return [{**head, "choices": [{"index": 0, "delta": {"content": WORDS[n % 5]}, "finish_reason": None}]} for n in range(count)]


def frames(events: Iterable[dict[str, Any]], size: int = 4096) -> list[bytes]:
    """Events as the body of an event stream, in pieces as they come from a socket."""
    raw = b"".join(sse.encode(json.dumps(event)) for event in events)
    return [raw[at : at + size] for at in range(0, len(raw), size)]


class _Given:
    """A source of objects as an SDK gives them: a stream's iterator around that of its decoder."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for item in self.decoded():
            yield item

    async def decoded(self) -> AsyncIterator[Any]:
        """The decoder alone."""
        for item in self._items:
            yield item


async def _drain(source: Any) -> None:
    async for _ in source:
        pass


async def figures() -> list[Figure]:
    """All of them."""
    return [*await _sse(), *await _wrap(), _memory()]


async def _sse() -> list[Figure]:
    try:
        theirs: Any = import_module("httpx_sse._decoders")
    except ImportError:
        return []
    pieces = frames(chat_chunks(5000))

    async def ours() -> None:
        decoder = sse.Decoder()
        for piece in pieces:
            for _ in decoder.feed(piece):
                pass

    async def other() -> None:  # what its `iter_sse` does with the texts of a response
        lines, decoder = theirs.SSELineDecoder(), theirs.SSEDecoder()
        for piece in pieces:
            for line in lines.decode(piece.decode()):
                decoder.decode(line.rstrip("\n"))

    taken = await compare({"ours": ours, "theirs": other})
    note = f"{min(taken['ours']) / 5000 * 1e6:.3g} µs an event"
    return [Figure("decoding event streams / httpx-sse", ratio(taken["ours"], taken["theirs"]), 1, note)]


async def _wrap() -> list[Figure]:
    chunks = chat_chunks(5000)
    events: list[dict[str, Any]] = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS[n % 5]}} for n in range(5000)
    ]
    redact = sf.Redact(r"\d{4}-\d{4}")
    runs: dict[str, Callable[[], Awaitable[object]]] = {
        "bare": lambda: _drain(_Given(chunks)),
        "one": lambda: _drain(_Given(chunks).decoded()),
        "empty one": lambda: _drain(openai.chat.wrap(sf.Pipeline())(_Given(chunks).decoded())),
        "empty": lambda: _drain(openai.chat.wrap(sf.Pipeline())(_Given(chunks))),
        "chat": lambda: _drain(openai.chat.wrap(redact)(_Given(chunks))),
        "messages": lambda: _drain(anthropic.messages.wrap(redact)(_Given(events))),
    }
    taken = await compare(runs, rounds=5)
    micros = {name: min(times) / 5000 * 1e6 for name, times in taken.items()}
    return [
        Figure("wrap of an empty pipeline / a bare loop", ratio(taken["empty"], taken["bare"]), 3, f"{micros['empty']:.3g} µs"),
        Figure("wrap of an empty pipeline / one generator", ratio(taken["empty one"], taken["one"]), None),
        Figure("openai.chat.wrap(Redact), µs a chunk", micros["chat"], None),
        Figure("anthropic.messages.wrap(Redact), µs an event", micros["messages"], None),
    ]


def _memory() -> Figure:
    """What a stream of 100 MB leaves in the memory, beyond what its first 3 MB do."""
    pieces = frames(chat_chunks(5000))
    chars = sum(map(len, pieces))
    machine: Any = openai.chat.wrap(sf.Redact(r"\d{4}-\d{4}")).machine()
    tracemalloc.start()
    try:
        held = []
        for size in (3_000_000, 97_000_000):
            for _ in range(size // chars):
                for piece in pieces:
                    machine.feed(piece)
            gc.collect()  # a chunk and what was read from it know each other
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return Figure("memory of a stream of 100 MB, beyond its first 3 MB, in KB", (held[1] - held[0]) / 1000, 64)
