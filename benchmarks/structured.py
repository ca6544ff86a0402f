"""Streaming JSON: a value after every chunk of 4 characters, against those who parse again, and its growth with the document."""

from __future__ import annotations

import io
import json
import math
import random
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pydantic_core
from pydantic import BaseModel, TypeAdapter

import streamfilter as sf
from benchmarks.figures import Figure, compare, ratio

WORDS = "the river runs along a valley until it meets the sea where boats wait for evening and small lights".split()
DISTRIBUTIONS = {
    "pydantic_core.from_json": "pydantic-core",
    "jiter": "jiter",
    "partial-json-parser": "partial-json-parser",
    "LangChain": "langchain-core",
}
"""What has each peer: their speed differs from version to version."""


class Item(BaseModel):
    """One item of the documents."""

    id: int
    title: str
    text: str
    done: bool


class Items(BaseModel):
    """A document."""

    items: list[Item]


def items(count: int) -> str:
    """An array of objects, some 150 characters each."""
    rng = random.Random(count)

    def words(number: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(number))

    made = [
        {"id": n, "title": words(4).capitalize(), "text": f"{words(16).capitalize()}.", "done": n % 3 == 0} for n in range(count)
    ]
    return json.dumps({"items": made})


def shapes(chars: int) -> dict[str, str]:
    """Documents of some size: an array of objects, one string, deep nesting, a flat array."""
    depth = min(chars // 8, 900)
    return {
        "an array of objects": items(chars // 150),
        "one long string": json.dumps({"text": ("It runs along. " * (chars // 15))}),
        "deep nesting": json.dumps([_nested(depth)] * max(1, chars // (8 * depth))),
        "one flat array": json.dumps([n * 7 % 1000 for n in range(chars // 5)]),
    }


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth // 2):
        value = [{"a": value}]
    return value


def chunked(text: str) -> list[str]:
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def _fed(make: Callable[[], Callable[[str], object]], chunks: Sequence[str]) -> Callable[[], Awaitable[object]]:
    again = max(1, 5000 // len(chunks))  # what takes a moment only is done some times over

    async def run() -> None:
        for _ in range(again):
            feed = make()
            for chunk in chunks:
                feed(chunk)

    return run


def _machine(**options: Any) -> Callable[[], Callable[[str], object]]:
    stage: sf.ParseJSON[Any] = sf.ParseJSON(**options)
    return lambda: stage.machine().feed


def _again(parse: Callable[[bytes], object]) -> Callable[[], Callable[[str], object]]:
    """What parses all that has come, after every chunk."""

    def make() -> Callable[[str], object]:
        text = b""

        def feed(chunk: str) -> None:
            nonlocal text
            text += chunk.encode()
            parse(text)

        return feed

    return make


def _peers() -> dict[str, Callable[[bytes], object]]:
    peers: dict[str, Callable[[bytes], object]] = {
        "pydantic_core.from_json": lambda text: pydantic_core.from_json(text, allow_partial="trailing-strings"),
    }
    jiter, partial, langchain = _there("jiter"), _there("partial_json_parser"), _there("langchain_core.utils.json")
    if jiter:
        peers["jiter"] = lambda text: jiter.from_json(text, partial_mode="trailing-strings")
    if partial:
        peers["partial-json-parser"] = lambda text: partial.loads(text.decode())
    if langchain:
        peers["LangChain"] = lambda text: langchain.parse_partial_json(text.decode())
    return peers


def _there(name: str) -> Any:
    """A peer, if it is installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


async def figures() -> list[Figure]:
    """All of them."""
    return [*await _against(), *await _growth(), *await _typed(), *await _instructor(), *await _whole(), *await _items(), _memory()]


async def _against() -> list[Figure]:
    found: list[Figure] = []
    for name, chars, bounds in (("1 KB", 1_000, (0.5, None)), ("10 KB", 10_000, (None, None)), ("100 KB", 100_000, (0.01, 2))):
        chunks = chunked(items(chars // 150))
        runs = {"live": _fed(_machine(live=True), chunks), "snapshots": _fed(_machine(), chunks)}
        peers = _peers()
        if chars > 2_000:  # the others would take minutes
            peers = {key: peer for key, peer in peers.items() if key == "jiter" or (chars < 20_000 and key != "LangChain")}
        runs |= {key: _fed(_again(peer), chunks) for key, peer in peers.items()}
        taken = await compare(runs, rounds=3 if chars > 20_000 else 9)
        fed = len(chunks) * max(1, 5000 // len(chunks))
        micros = {key: f"{min(times) / fed * 1e6:.3g} µs a chunk" for key, times in taken.items()}
        for key in peers:
            bound = bounds[0] if key == "jiter" else None
            note = f"{micros['live']}; {micros[key]} by {DISTRIBUTIONS[key]} {version(DISTRIBUTIONS[key])}"
            found.append(Figure(f"{name}, live / {key} that parses again", ratio(taken["live"], taken[key]), bound, note))
        found.append(Figure(f"{name}, snapshots / live", ratio(taken["snapshots"], taken["live"]), bounds[1], micros["snapshots"]))
    return found


async def _growth() -> list[Figure]:
    """The exponent by which the cost of a document grows with its length."""
    found: list[Figure] = []
    small, large = shapes(10_000), shapes(1_000_000)
    for name in small:
        short, long = chunked(small[name]), chunked(large[name])
        taken = await compare({"short": _fed(_machine(live=True), short), "long": _fed(_machine(live=True), long)}, rounds=3)
        again = max(1, 5000 // len(short))
        exponent = math.log(ratio(taken["long"], taken["short"]) * again) / math.log(len(long) / len(short))
        note = f"{min(taken['long']) / len(long) * 1e6:.3g} µs a chunk"
        found.append(Figure(f"growth from 10 KB to 1 MB, live: {name}", exponent, 1.1, note))
    return found


async def _typed() -> list[Figure]:
    found: list[Figure] = []
    taken: dict[int, float] = {}
    for count, bound in ((100, 150), (1000, None)):
        text = items(count)
        adapter = TypeAdapter(Items)

        async def once(adapter: TypeAdapter[Items] = adapter, text: str = text) -> None:
            for _ in range(20):
                adapter.validate_json(text)

        runs = await compare({"partials": _fed(_machine(model=Items), chunked(text)), "once": once}, rounds=3)
        value = ratio(runs["partials"], runs["once"]) * 20
        taken[count] = min(runs["partials"]) / len(chunked(text))
        note = f"{taken[count] * 1e6:.3g} µs a chunk"
        found.append(Figure(f"typed partials of {count} items / one validate_json", value, bound, note))
    found.append(Figure("typed partials, cost per chunk, 1,000 items / 100", taken[1000] / taken[100], 1.5))
    return found


async def _instructor() -> list[Figure]:
    instructor = _there("instructor.dsl.partial")
    if not instructor:
        return []
    chunks = chunked(items(20))  # its time grows with the square of their number
    partial = instructor.Partial[Items]
    runs = {
        "ours": _consumed(lambda: sf.ParseJSON(Items).iter(chunks)),
        "theirs": _consumed(lambda: partial.model_from_chunks(chunks)),
    }
    taken = await compare(runs, rounds=3)
    return [Figure("typed partials of 20 items / instructor.Partial", ratio(taken["ours"], taken["theirs"]))]


async def _whole() -> list[Figure]:
    text = items(700)

    async def whole() -> None:
        sf.ParseJSON(live=True).machine().feed(text)

    async def loads() -> None:
        json.loads(text)

    taken = await compare({"whole": whole, "loads": loads})
    return [Figure("100 KB in one chunk / json.loads", ratio(taken["whole"], taken["loads"]), 3)]


async def _items() -> list[Figure]:
    """Whole items of a large document in large chunks."""
    ijson = _there("ijson")
    if not ijson:
        return []
    found: list[Figure] = []
    text = items(20_000)
    data = text.encode()
    for size in (16_000, 1_000_000):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        stage: sf.JSONItems[Any] = sf.JSONItems("$.items[*]")
        runs = {
            "ours": _consumed(lambda: stage.iter(pieces)),  # noqa: B023
            "theirs": _consumed(lambda: ijson.items(io.BytesIO(data), "items.item", buf_size=size, use_float=True)),  # noqa: B023
        }
        taken = await compare(runs, rounds=3)
        found.append(Figure(f"items of 3 MB, {size // 1000} KB a chunk / ijson", ratio(taken["ours"], taken["theirs"])))
    return found


def _consumed(make: Callable[[], Iterable[object]]) -> Callable[[], Awaitable[object]]:
    async def run() -> None:
        for _ in make():
            pass

    return run


def _memory() -> Figure:
    """Of a long document, beyond its value: what the machine holds while a string grows."""
    machine = sf.JSONItems("$.items[*]").machine()
    chunks = chunked(items(5000))
    first, rest = chunks[:2000], chunks[2000:]
    tracemalloc.start()
    try:
        for chunk in first:
            machine.feed(chunk)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for chunk in rest:
            machine.feed(chunk)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return Figure("memory of items of 750 KB, beyond one item, in KB", peak / 1000, 64)
