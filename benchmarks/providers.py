"""What the formats of providers cost: event streams against httpx-sse, `wrap` against the loops of the real client and of dicts,
time and memory over a long stream."""

from __future__ import annotations

import codecs
import gc
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar

import streamfilter as sf
from benchmarks.figures import Figure, compare, ratio
from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai, sse, vercel

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
        """What stands below it."""
        for item in self._items:
            yield item


async def _drain(source: Any) -> None:
    async for _ in source:
        pass


async def figures() -> list[Figure]:
    """All of them."""
    return [
        *await _sse(),
        *await _wrap(),
        *await _sdk(),
        *await _linear(),
        *await _pieces(),
        *map(_memory, ("openai.chat", "gemini")),
    ]


class _Response:
    """As much of an HTTP response as httpx-sse looks at: its text, decoded as httpx does."""

    headers: ClassVar = {"content-type": "text/event-stream"}

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def iter_text(self) -> Iterator[str]:
        """The text, piece by piece."""
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        return map(decode, self._pieces)


STREAMS = Path(__file__).resolve().parents[2] / "shared" / "streams"


def recorded() -> list[bytes]:
    """The bodies of all event streams that were recorded; nothing where they are not."""
    index = STREAMS / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    return [(STREAMS / entry["file"]).read_bytes() for entry in entries if entry["file"].endswith(".sse")]


async def _sse() -> list[Figure]:
    try:
        theirs: Any = import_module("httpx_sse")
    except ImportError:
        return []
    found = []
    data = b"".join(sse.encode(json.dumps(event)) for event in chat_chunks(3000))
    kinds = {
        "recorded": recorded(),
        "data": [data],
        "event and data": [b"".join(sse.encode(json.dumps(event), event="delta") for event in chat_chunks(3000))],
        "CRLF": [data.replace(b"\n", b"\r\n")],
        "comments between": [b"".join(b": ping\n\n" + sse.encode(json.dumps(event)) for event in chat_chunks(3000))],
        "no space": [data.replace(b"data: ", b"data:")],
    }
    for name, bodies in kinds.items():
        events = sum(1 for raw in bodies for _ in sse.Decoder().feed(raw))
        for size in () if not events else (16, 200, 1024, 65536):
            streams = [[raw[at : at + size] for at in range(0, len(raw), size)] for raw in bodies]

            async def ours(streams: Sequence[Sequence[bytes]] = streams) -> None:
                for pieces in streams:
                    decoder = sse.Decoder()
                    for piece in pieces:
                        for _ in decoder.feed(piece):
                            pass

            async def other(streams: Sequence[Sequence[bytes]] = streams) -> None:
                for pieces in streams:
                    for _ in theirs.EventSource(_Response(pieces)).iter_sse():
                        pass

            taken = await compare({"ours": ours, "theirs": other}, rounds=5)
            note = f"{name}, pieces of {size} bytes, {min(taken['ours']) / events * 1e6:.3g} µs an event"
            found.append(Figure("decoding event streams / httpx-sse", ratio(taken["ours"], taken["theirs"]), 1, note))
    return found


async def _wrap() -> list[Figure]:
    chunks = chat_chunks(5000)
    events: list[dict[str, Any]] = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS[n % 5]}} for n in range(5000)
    ]
    redact = sf.Redact(r"\d{4}-\d{4}")
    runs: dict[str, Callable[[], Awaitable[object]]] = {
        "bare": lambda: _drain(_Given(chunks)),
        "empty": lambda: _drain(openai.chat.wrap(sf.Pipeline())(_Given(chunks))),
        "chat": lambda: _drain(openai.chat.wrap(redact)(_Given(chunks))),
        "messages": lambda: _drain(anthropic.messages.wrap(redact)(_Given(events))),
        "gemini": lambda: _drain(gemini.wrap(redact)(_Given(_GEMINI))),
    }
    taken = await compare(runs, rounds=5)
    micros = {name: min(times) / 5000 * 1e6 for name, times in taken.items()}
    return [
        Figure(
            "wrap of an empty pipeline / a bare loop over dicts",
            ratio(taken["empty"], taken["bare"]),
            3,
            f"{micros['empty']:.3g} µs",
        ),
        Figure("openai.chat.wrap(Redact), µs a chunk", micros["chat"], None),
        Figure("anthropic.messages.wrap(Redact), µs an event", micros["messages"], None),
        Figure("gemini.wrap(Redact), µs a chunk", micros["gemini"], None),
    ]


async def _sdk() -> list[Figure]:
    """The stream of the real client, over a body in memory; what it costs beyond parsing, bare and wrapped."""
    try:
        client_module: Any = import_module("openai")
        http: Any = import_module("httpx2")
        chunk_type: Any = import_module("openai.types.chat").ChatCompletionChunk
    except ImportError:
        return []
    pieces = [*frames(chat_chunks(2000)), b"data: [DONE]\n\n"]
    data = [json.dumps(event) for event in chat_chunks(2000)]
    request = http.Request("POST", "https://example.invalid")

    async with client_module.AsyncOpenAI(api_key="none") as client:

        def opened() -> Any:
            response = http.Response(200, content=_Given(pieces), request=request, headers={"content-type": "text/event-stream"})
            return client_module.AsyncStream(cast_to=chunk_type, response=response, client=client)

        async def parsing() -> None:
            response = http.Response(200, request=request)
            for each in data:
                client._process_response_data(data=json.loads(each), cast_to=chunk_type, response=response)  # noqa: SLF001  # its step

        empty = openai.chat.wrap(sf.Pipeline())
        redact = openai.chat.wrap(sf.Redact(r"\d{4}-\d{4}"))
        taken = await compare(
            {
                "parsing": parsing,
                "bare": lambda: _drain(opened()),
                "empty": lambda: _drain(empty(opened())),
                "redact": lambda: _drain(redact(opened())),
            },
            rounds=5,
        )
    beyond = {
        name: [all_of_it - parsed for all_of_it, parsed in zip(taken[name], taken["parsing"], strict=True)]
        for name in ("bare", "empty", "redact")
    }
    micros = {name: min(times) / 2000 * 1e6 for name, times in {**taken, **{f"{n} beyond": t for n, t in beyond.items()}}.items()}
    note = f"{micros['empty beyond']:.3g} and {micros['bare beyond']:.3g} µs a chunk; parsing: {micros['parsing']:.3g}"
    return [
        Figure(
            "wrap of an empty pipeline / the openai SDK's loop, beyond parsing", ratio(beyond["empty"], beyond["bare"]), 3, note
        ),
        Figure("wrap(Redact) / the openai SDK's loop, all of it", ratio(taken["redact"], taken["bare"]), None),
    ]


_GEMINI: list[dict[str, Any]] = [
    {
        "candidates": [{"content": {"role": "model", "parts": [{"text": WORDS[n % 5]}]}, "index": 0}],
        "usageMetadata": {"totalTokenCount": n},
    }
    for n in range(5000)
]


def _usual() -> dict[str, tuple[Any, list[dict[str, Any]]]]:
    """By format, its module and events that bring text; agents have many runs, each of which says at its end what it has said."""
    part = {"output_index": 0, "content_index": 0, "item_id": "i"}
    tool = {"index": 0, "function": {"arguments": "1,"}}
    chunk = {"event": "on_chat_model_stream", "data": {"chunk": {"type": "AIMessageChunk", "content": "word "}}}
    end = {"event": "on_chat_model_end", "data": {"output": {"type": "ai", "content": "word "}}}
    text, delta = {"type": "text_delta", "text": "word "}, {"part_delta_kind": "text", "content_delta": "word "}
    return {
        "openai.chat": (openai.chat, chat_chunks(5)),
        "openai.chat, a call": (openai.chat, [{"choices": [{"index": 0, "delta": {"tool_calls": [tool]}}]}]),
        "openai.completions": (openai.completions, [{"choices": [{"index": 0, "text": "word "}]}]),
        "openai.responses": (openai.responses, [{"type": "response.output_text.delta", **part, "delta": "word "}]),
        "anthropic.messages": (anthropic.messages, [{"type": "content_block_delta", "index": 0, "delta": text}]),
        "gemini": (gemini, _GEMINI),
        "bedrock": (bedrock, [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "word "}}}]),
        "ollama": (ollama, [{"model": "m", "message": {"role": "assistant", "content": "word "}, "done": False}]),
        "vercel": (vercel, [{"type": "text-delta", "id": "1", "delta": "word "}]),
        "langchain": (langchain, [{"type": "AIMessageChunk", "content": "word ", "id": "run-1"}]),
        "langchain, many runs": (langchain, [{**each, "run_id": f"r{n}"} for n in range(15_000) for each in (chunk, end)]),
        "pydantic_ai": (pydantic_ai, [{"event_kind": "part_delta", "index": 0, "delta": delta}]),
    }


async def _linear() -> list[Figure]:
    """Ten times the stream, ten times the time: the cost of an event must not grow with what has come."""
    found = []
    for name, (module, events) in _usual().items():
        stage, given = module.wrap(sf.Redact(r"\d{4}-\d{4}")), list(islice(cycle(events), 30_000))

        def reading(count: int, stage: Any = stage, given: Sequence[Any] = given) -> Awaitable[None]:
            return _drain(stage(_Given(given[:count])))

        taken = await compare({"short": partial(reading, 3000), "long": partial(reading, 30_000)}, rounds=1)
        value = ratio(taken["long"], taken["short"]) / 10
        found.append(Figure(f"{name}.wrap(Redact): ten times the events / ten times the time", value, 1.5))
    return found


def _many(count: int) -> dict[str, tuple[Any, dict[str, Any]]]:
    """By format, one chunk that brings its text in many pieces."""
    texts = [{"type": "text", "text": WORDS[n % 5]} for n in range(count)]
    parts = [{"text": WORDS[n % 5]} for n in range(count)]
    return {
        "openai.chat": (openai.chat, {"choices": [{"index": 0, "delta": {"content": texts}}]}),
        "gemini": (gemini, {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]}),
        "langchain": (langchain, {"type": "AIMessageChunk", "content": texts, "id": "run-1"}),
    }


async def _pieces() -> list[Figure]:
    """One chunk of ten times the pieces, ten times the time."""
    found = []
    for name, (module, long) in _many(10_000).items():
        stage, short = module.wrap(sf.Redact(r"\d{4}-\d{4}")), _many(1000)[name][1]

        def reading(chunk: dict[str, Any], stage: Any = stage) -> Awaitable[None]:
            return _drain(stage(_Given([chunk])))

        taken = await compare({"short": partial(reading, short), "long": partial(reading, long)}, rounds=5)
        note = f"{min(taken['long']) / 10_000 * 1e6:.3g} µs a piece"
        value = ratio(taken["long"], taken["short"]) / 10
        found.append(Figure(f"{name}.wrap(Redact): one chunk of ten times the pieces / ten times the time", value, 1.5, note))
    return found


def _memory(name: str) -> Figure:
    """What a stream of 100 MB leaves in the memory, beyond what its first 3 MB do."""
    pieces = frames(chat_chunks(5000) if name == "openai.chat" else _GEMINI)
    chars = sum(map(len, pieces))
    wrap = openai.chat.wrap if name == "openai.chat" else gemini.wrap
    machine: Any = wrap(sf.Redact(r"\d{4}-\d{4}")).machine()
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
    return Figure(f"{name}: memory of a stream of 100 MB, beyond its first 3 MB, in KB", (held[1] - held[0]) / 1000, 64)
