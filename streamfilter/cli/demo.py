"""The demonstration: a recorded chat completion, redacted before one's eyes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterator
from importlib.resources import files

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import streamfilter as sf
from streamfilter.detectors import API_KEY, CREDIT_CARD, EMAIL, PHONE
from streamfilter.plain import PlainSource, SyncStream

PIPELINE = sf.Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY) | sf.StopAt("\nUser:")
DECLARATION = 'Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY) | StopAt("\\nUser:")'
RECORDING = "redaction.sse"

CHUNKS_PER_SECOND = 30
"""About the pace of a fast reader, and of a model: 30 chunks of 3.5 characters are 20 words a second."""

ROUNDS = 20
"""How often the whole recording is filtered to measure the cost per chunk."""


def recording() -> bytes:
    """The recorded response body."""
    return files("streamfilter.cli").joinpath("recordings", RECORDING).read_bytes()


class Replay:
    """The recording on its way through the pipeline, and what is known of it so far.

    Args:
        seconds: to wait before each chunk.
    """

    def __init__(self, seconds: float) -> None:
        self.arrived = ""
        self.released = ""
        self.chunks = 0
        self.most_held = 0
        self.first_release = 0
        self.stream: SyncStream[str] = PIPELINE.iter(self._source())
        self._seconds = seconds
        self._watch: Callable[[], None] = lambda: None

    def run(self, watch: Callable[[], None]) -> None:
        """Replay it all.

        Args:
            watch: called when a chunk has had its effect, before the next is waited for, and at the end.
        """
        self._watch = watch
        for text in self.stream:
            self.released += text
            self.first_release = self.first_release or self.chunks
        watch()

    def _source(self) -> Iterator[str]:
        with sf.text_of([recording()]) as texts:
            for text in texts:
                if self.chunks:
                    self._watch()
                time.sleep(self._seconds)
                self.most_held = max(self.most_held, self.stream.held)
                self.chunks += 1
                self.arrived += text
                yield text


def show(*, fast: bool, console: Console | None = None) -> None:
    """Replay the recording, then sum up.

    Args:
        fast: without waiting between chunks.
        console: where; a terminal shows it live, anything else gets plain lines.
    """
    console = console or Console()
    replay = Replay(0 if fast else 1 / CHUNKS_PER_SECOND)
    console.print(f"pipeline: {DECLARATION}\n", markup=False, highlight=False)
    if console.is_terminal:
        _live(replay, console)
    else:
        _lines(replay, console)
    console.print(_summary(replay))


def _live(replay: Replay, console: Console) -> None:
    with Live(_view(replay, console), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        replay.run(lambda: live.update(_view(replay, console), refresh=True))


def _view(replay: Replay, console: Console) -> Group:
    """What arrived, with what is held of it marked; and what was released."""
    lines = max(3, (console.height - 10) // 2)
    arrived = Text(replay.arrived)
    held = replay.stream.held
    if held:
        arrived.stylize("reverse yellow", len(replay.arrived) - held)
    released = Text(replay.released)
    for rule in replay.stream.report.counts:
        released.highlight_words([f"[{rule}]"], "bold green")
    width = max(20, console.width - 4)
    return Group(
        Panel(_tail(arrived, width, lines, console), title=f"arrived: {replay.chunks} chunks", title_align="left"),
        Panel(_tail(released, width, lines, console), title=f"released (held now: {held})", title_align="left"),
    )


def _tail(text: Text, width: int, lines: int, console: Console) -> Text:
    """The last lines of a text, wrapped."""
    wrapped = deque(text.wrap(console, width), maxlen=lines)
    return Text("\n").join(wrapped)


def _lines(replay: Replay, console: Console) -> None:
    arrived = released = 0

    def line() -> None:
        nonlocal arrived, released
        new = f"arrived {replay.arrived[arrived:]!r}, released {replay.released[released:]!r}, held {replay.stream.held}"
        console.print(new, markup=False, highlight=False, soft_wrap=True)
        arrived, released = len(replay.arrived), len(replay.released)

    replay.run(line)


def _summary(replay: Replay) -> Table:
    table = Table(title="what happened", show_header=False, title_justify="left")
    for rule, count in replay.stream.report.counts.items():
        table.add_row(f"matches of {rule}", str(count))
    table.add_row("chunks", str(replay.chunks))
    table.add_row("chunks until the first release", str(replay.first_release))
    table.add_row("most characters held", str(replay.most_held))
    filtered, bare = _costs()
    table.add_row("cost per chunk", f"{filtered:.1f} µs, {filtered / bare:.0f} times a bare `async for`")
    return table


def _costs() -> tuple[float, float]:
    """CPU time per chunk in microseconds: through the pipeline, and in a bare loop over the same chunks."""
    texts = list(sf.text_of([recording()]))

    async def timed(source: AsyncIterable[str]) -> float:
        start = time.process_time()
        async for _ in source:
            pass
        return (time.process_time() - start) / len(texts) * 1e6

    async def measured() -> tuple[float, float]:
        filtered = [await timed(PIPELINE(PlainSource(texts))) for _ in range(ROUNDS)]
        bare = [await timed(PlainSource(texts)) for _ in range(ROUNDS)]
        return min(filtered), min(bare)

    return asyncio.run(measured())
