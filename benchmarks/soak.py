"""Random streams for minutes on end, many at once, under asyncio's debug mode: `python -m benchmarks.soak --minutes 10`.

Streams that are read to their end, cancelled, left, read slowly, fed by sockets, broken by their source and refused by a stage;
with stages that wait and with pipelines made anew. What each gave is compared with what the whole text means. Between rounds
nothing runs; what is there then must not grow: memory, objects, tasks, file descriptors, caches. Exit code 1 if something does.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import logging
import random
import resource
import statistics
import sys
import time
import warnings
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import streamfilter as sf
from benchmarks.stages import answered, prose
from streamfilter.detectors import PII
from streamfilter.matching.cache import Cache

AT_ONCE = 40
ROUND_SECONDS = 4.0
WARM = 0.3
"""The part of the rounds that is not counted: caches fill, and the allocator finds its size."""
MORE = {"resident_kb": (3 * 1024, 0.03), "objects": (1000, 0.001), "tasks": (0, 0.0), "files": (0, 0.0), "caches": (2000, 0.02)}
"""How much of each may be there at the end beyond what was there after warming up: so much, and so great a part of it. Pages are
taken by the megabyte. The text comes from a few words, so that its automata are nearly complete after warming up: the rest of their
steps, some hundreds of objects, comes in the first minute."""

ADDRESSES, NUMBERS, PLACES = sf.Redact(r"[\w.]{1,30}@example\.org"), sf.Redact(*PII), sf.Redact(sf.Terms(["river", "harbour"]))
ADDRESS = "ada.lovelace@example.org"


async def _allowed(window: sf.Window) -> bool:
    await asyncio.sleep(len(window.text) % 3 / 2000)
    return True


STAGES: dict[str, sf.Stage[str, str]] = {
    "five": sf.Extract("think") | NUMBERS | sf.Links(["example.org"]) | sf.Markdown() | sf.Words(),
    "terms": sf.Redact(sf.Terms(["valley", "boats"]), to="…") | sf.Sentences() | sf.Unicode(),
    "stops": ADDRESSES | sf.StopAt("evening and small") | sf.Limit(max_chars=400),
    "refuses": sf.Normalize("NFC") | sf.Block("lights lights|sea sea") | sf.Words(),
    "moderates": sf.Moderate(_allowed, window=sf.by_sentence(), concurrency=3) | ADDRESSES,
    "buffers": sf.Buffer(4) | NUMBERS,
    "waits": sf.Timeout(between=60) | PLACES,
}
"""What the streams go through."""

MEANT: dict[str, sf.Stage[str, str]] = {
    "moderates": ADDRESSES,
    "buffers": NUMBERS,
    "waits": PLACES,
}
"""What the whole text means where stages wait, which plain code cannot run."""


class SourceError(Exception):
    """A source is broken."""


class OwnError(Exception):
    """A reader is broken."""


@dataclass
class State:
    """What there is when nothing runs."""

    resident_kb: float
    objects: float
    tasks: float
    files: float
    caches: float

    @classmethod
    def now(cls) -> State:
        """Look."""
        for _ in range(3):
            gc.collect()
        objects = gc.get_objects()
        cached = sum(each._entries for each in objects if isinstance(each, Cache))  # noqa: SLF001  # only counted
        cached += sum(each.cache_info().currsize for each in objects if isinstance(each, functools._lru_cache_wrapper))  # noqa: SLF001
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
        return cls(pages * resource.getpagesize() / 1024, len(objects), len(asyncio.all_tasks()), files, cached)


class Soak:
    """The run.

    Args:
        seed: of all that is random.

    Attributes:
        streams: by how they ended, how many.
        problems: what was wrong.
        open: sources that were begun and are not closed.
    """

    def __init__(self, seed: int) -> None:
        self.streams: dict[str, int] = {}
        self.problems: list[str] = []
        self.open = 0
        self._rng = random.Random(seed)
        self._port = 0
        text = prose(30_000) + answered(10_000)
        spots = [self._rng.randrange(len(text)) for _ in range(200)]
        self._text = functools.reduce(lambda said, at: f"{said[:at]} {ADDRESS} {said[at:]}", spots, text)

    async def run(self, minutes: float) -> list[State]:
        """Rounds until the time is over; what was there after each."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        for stage in {**STAGES, **MEANT}.values():
            with suppress(TypeError):  # it waits
                self._warm(stage)
        states = []
        until = time.monotonic() + 60 * minutes
        async with server:
            while time.monotonic() < until:
                end = min(until, time.monotonic() + ROUND_SECONDS)
                await asyncio.gather(*(self._streams(end) for _ in range(AT_ONCE)))
                await asyncio.sleep(0.05)  # the server's connections close
                if self.open:
                    self.problems.append(f"{self.open} sources were not closed")
                    self.open = 0
                states.append(State.now())
        return states

    def _warm(self, stage: sf.Stage[str, str]) -> None:
        """Show a stage all of the text, from many places: its automata then know what is to come."""
        for at in range(0, len(self._text), 100):
            with suppress(sf.Blocked):
                stage.apply(self._text[at : at + 2000])

    async def _streams(self, until: float) -> None:
        while time.monotonic() < until:
            task = asyncio.create_task(self._stream())
            if self._rng.random() < 0.25:
                await asyncio.wait([task], timeout=self._rng.random() / 20)
                task.cancel()
            try:
                how = await task
            except asyncio.CancelledError:
                how = "cancelled"
            self.streams[how] = self.streams.get(how, 0) + 1

    async def _stream(self) -> str:
        rng = self._rng
        name = rng.choice([*STAGES, "anew"])
        stage = sf.Redact(f"{rng.randrange(10**9)}|[a-z.]+@example") if name == "anew" else STAGES[name]
        at = rng.randrange(len(self._text) - 2000)
        text = self._text[at : at + rng.randint(0, 2000)]
        reads = rng.choice(["all", "all", "slowly", "leaves", "raises"])
        breaks_at = rng.randrange(len(text) + 1) if rng.random() < 0.2 else None
        source = self._socket(text) if rng.random() < 0.2 else self._source(text, breaks_at)
        got, how = "", "finished"
        try:
            async with aclosing(source), stage(source, after_stop=rng.choice(["close", "drain"])) as stream:
                async for piece in stream:
                    got += piece
                    if reads == "slowly":
                        await asyncio.sleep(rng.random() / 500)
                    elif reads == "leaves" and rng.random() < 0.05:
                        how = "left"
                        break
                    elif reads == "raises" and rng.random() < 0.05:
                        raise OwnError
        except SourceError:
            how = "broken"
        except OwnError:
            how = "raised"
        except sf.Blocked:
            how = "refused"
        self._check(MEANT.get(name, stage), text, got, how)
        return how

    def _check(self, stage: sf.Stage[str, str], text: str, got: str, how: str) -> None:
        want = ""
        with suppress(sf.Blocked), stage.iter([text]) as stream:
            for piece in stream:
                want += piece
        if not want.startswith(got) or (how in ("finished", "refused") and want != got):
            self.problems.append(f"{stage!r} gave {len(got)} characters that are wrong, and {how}")

    # ------------------------------------------------------------------ sources

    async def _source(self, text: str, breaks_at: int | None) -> AsyncGenerator[str, None]:
        self.open += 1
        try:
            at = 0
            while at < len(text):
                if breaks_at is not None and at >= breaks_at:
                    raise SourceError
                size = self._rng.randint(1, 8) if self._rng.random() < 0.99 else 2000
                if self._rng.random() < 0.3:
                    await asyncio.sleep(0)
                yield text[at : at + size]
                at += size
        finally:
            self.open -= 1

    async def _socket(self, text: str) -> AsyncGenerator[str, None]:
        self.open += 1
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(len(text.encode()).to_bytes(4, "big") + text.encode())
            while piece := await reader.read(self._rng.randint(1, 64)):
                yield piece.decode()
        finally:
            self.open -= 1
            if writer is not None:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Give back what comes, and close."""
        try:
            raw = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
            for at in range(0, len(raw), 100):
                writer.write(raw[at : at + 100])
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class _Warnings(logging.Handler):
    """What asyncio says of tasks and resources nobody saw to. That a step was slow says only that the machine is busy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if not said.startswith("Executing "):
            self._problems.append(said[:300])


def verdicts(states: list[State]) -> list[str]:
    """A row for each thing that must not grow: after warming up, at the end, and what may be."""
    counted = states[int(len(states) * WARM) :]
    part = max(1, len(counted) // 3)
    rows = []
    for n, each in enumerate(fields(State)):
        first = statistics.median(astuple(state)[n] for state in counted[:part])
        last = statistics.median(astuple(state)[n] for state in counted[-part:])
        most, share = MORE[each.name]
        limit = first + most + share * first
        rows.append(f"| {each.name} | {first:,.0f} | {last:,.0f} | {limit:,.0f} | {'met' if last <= limit else '**grows**'} |")
    return rows


def main(arguments: list[str]) -> int:
    """Run it; 1 if something grows or was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    soak = Soak(given.seed)
    logging.getLogger("asyncio").addHandler(_Warnings(soak.problems))
    logging.getLogger("asyncio").propagate = False

    def unraisable(what: Any) -> None:
        soak.problems.append(f"unraisable: {what.exc_value!r}"[:300])

    sys.unraisablehook = unraisable
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        states = asyncio.run(soak.run(given.minutes), debug=True)
    total = sum(soak.streams.values())
    print(f"{total:,} streams in {given.minutes:g} minutes, {len(states)} rounds:", dict(sorted(soak.streams.items())))
    print("| | warm | at the end | may be | |\n|---|---|---|---|---|")
    rows = verdicts(states)
    print("\n".join(rows))
    for problem in soak.problems[:20]:
        print(problem)
    return 1 if soak.problems or any("grows" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
