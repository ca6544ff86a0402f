"""What others in the event loop notice of one stream that is given a very large chunk, or a pattern that is slow to decide."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import patch

import streamfilter as sf
from benchmarks.figures import Figure
from benchmarks.kernel import drain
from benchmarks.load import FIVE
from benchmarks.scale import TRAPS
from benchmarks.stages import answered
from streamfilter.providers import ollama, openai

LARGE_CHARS = 10_000_000
PART_CHARS = 2_000_000
"""Characters, or bytes, for stages that take seconds for so many; more only take longer. What grows is what Python does at once: a
garbage collection goes through a document of 10 MB, while that grows, for some 70 ms."""
SLOW_CHARS = 40_000
"""Of what the slowest patterns meet: some seconds of work."""
STALL_MS = 50.0
"""Milliseconds for which nobody else has a turn: that of the slowest slice, and of a garbage collection in it."""
SLOW = ("a lookahead decides", "counted", "one character decides")


async def figures() -> list[Figure]:
    """The longest stall of a task that always wants its turn, with slices and without, in CPU time."""
    text = answered(100_000)
    found = [await _stall(f"a chunk of {LARGE_CHARS:,} characters", FIVE, text * (LARGE_CHARS // len(text)), is_shown=False)]
    found.append(await _stall("a chunk of 1,000,000 characters", FIVE, text * 10, is_shown=True))
    large = text * (LARGE_CHARS // len(text))
    found.append(await _stall("the same as a delta", FIVE, sf.TextDelta(large), is_shown=False))
    found.append(await _stall("the same in one chunk of a provider", openai.chat.Decode() | FIVE, _chunk(large), is_shown=False))
    gc.freeze()  # what was imported and made for others is not for a collection in one of these
    for name, stage, item in _stages(text * (PART_CHARS // len(text))):
        found.append(await _stall(f"{PART_CHARS:,} for {name}", stage, item, is_shown=False))
    for name in SLOW:
        pattern, slow = TRAPS[name]
        found.append(await _stall(f"a slow pattern ({name})", sf.Redact(pattern), slow * (SLOW_CHARS // len(slow)), is_shown=True))
    gc.unfreeze()
    return found


def _stages(large: str) -> Iterator[tuple[str, sf.Stage[Any, Any], Any]]:
    """Those that want their chunks whole, and give the same items as of a whole one."""
    document = json.dumps([{"a": n, "b": "some text here", "c": [1, 2.5, None, True]} for n in range(PART_CHARS // 60)])
    yield "ParseJSON", sf.ParseJSON(), document
    yield "JSONItems", sf.JSONItems("$[*]"), document
    yield "JSONEvents", sf.JSONEvents(), document
    yield "JSONText and five stages", sf.JSONText("$.a") | FIVE, json.dumps({"a": large})
    yield "FilterJSON", sf.FilterJSON(sf.Redact(r"\S+@\S+\.\w+")), json.dumps({"a": large})
    yield "Moderate", sf.Moderate(_allowed), large
    yield "Pace", sf.Pace(chars_per_second=1e9, max_lag=0.01), large
    yield "wrap, in one event", openai.chat.wrap(FIVE), _chunk(large)
    events = b"".join(b"data: " + json.dumps(_chunk("some text ")).encode() + b"\n\n" for _ in range(PART_CHARS // 120))
    yield "wrap, in one piece of many events", openai.chat.wrap(FIVE), events
    yield "Decode, in one piece of many events", openai.chat.Decode() | FIVE, events
    lines = b"".join(
        json.dumps({"message": {"content": "some text "}, "done": False}).encode() + b"\n" for _ in range(PART_CHARS // 60)
    )
    yield "Decode, in one piece of many lines", ollama.Decode() | FIVE, lines


async def _allowed(_: sf.Window) -> bool:
    return True


def _chunk(text: str) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


async def _stall(name: str, stage: sf.Stage[Any, Any], text: Any, *, is_shown: bool) -> Figure:
    note = ""
    if is_shown:
        with patch("streamfilter.slices.SLICE_CHARS", len(text)), patch("streamfilter.stream.SLICE_CHARS", len(text)):
            note = f"without slices {await _longest(stage, text):,.0f}"
    return Figure(f"fairness: {name}, longest stall of others, ms", await _longest(stage, text), STALL_MS, note)


async def _longest(stage: sf.Stage[Any, Any], text: Any) -> float:
    async def source() -> AsyncIterator[Any]:
        yield text

    task = asyncio.create_task(drain(stage(source())))
    longest, before = 0.0, time.process_time()
    while not task.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, before = max(longest, now - before), now
    await task
    return longest * 1000
