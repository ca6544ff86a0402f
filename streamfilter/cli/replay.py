"""A replay: text on its way through a pipeline, before one's eyes. What the demonstrations share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from streamfilter.observe.recordings import CHUNKS_PER_SECOND
from streamfilter.pipeline import Stage
from streamfilter.plain import SyncStream


class Replay:
    """Text on its way, and what is known of it so far.

    Args:
        pipeline: what it goes through.
        texts: the chunks.
        fast: without waiting before each.

    Attributes:
        notes: what the pipeline's own functions have to say; they add to it.
    """

    def __init__(self, pipeline: Stage[str, str], texts: Iterable[str], *, fast: bool) -> None:
        self.arrived: str = ""
        self.released: str = ""
        self.chunks: int = 0
        self.most_held: int = 0
        self.first_release: int = 0
        self.notes: list[str] = []
        self.stream: SyncStream[str] = pipeline.iter(self._source(texts))
        self._seconds = 0 if fast else 1 / CHUNKS_PER_SECOND
        self._watch: Callable[[], None] = lambda: None

    def show(self, console: Console) -> None:
        """Run it; a terminal shows it live, anything else gets plain lines."""
        if console.is_terminal:
            with Live(self._view(console), console=console, auto_refresh=False, vertical_overflow="crop") as live:
                self._run(lambda: live.update(self._view(console), refresh=True))
        else:
            self._run(_Lines(self, console).add)

    def _run(self, watch: Callable[[], None]) -> None:
        """Run it.

        Args:
            watch: called when a chunk has had its effect, before the next is waited for, and at the end.
        """
        self._watch = watch
        with self.stream as stream:
            for text in stream:
                self.released += text
                self.first_release = self.first_release or self.chunks
        watch()

    def _source(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            if self.chunks:
                self._watch()
            time.sleep(self._seconds)
            self.most_held = max(self.most_held, self.stream.held)
            self.chunks += 1
            self.arrived += text
            yield text

    def _view(self, console: Console) -> Group:
        """What arrived, with what is held of it marked; what was released; and the notes."""
        said = Text("\n".join(self.notes), no_wrap=True, overflow="ellipsis")
        notes = [Panel(said, title="verdicts", title_align="left")] if self.notes else []
        lines = max(3, (console.height - 10 - (len(self.notes) + 2 if notes else 0)) // 2)
        arrived = Text(self.arrived)
        held = self.stream.held
        if held:
            arrived.stylize("reverse yellow", len(self.arrived) - held)
        released = Text(self.released)
        for rule in self.stream.report.counts:
            released.highlight_words([f"[{rule}]"], "bold green")
        width = max(20, console.width - 4)
        return Group(
            Panel(_tail(arrived, width, lines, console), title=f"arrived: {self.chunks} chunks", title_align="left"),
            Panel(_tail(released, width, lines, console), title=f"released (held now: {held})", title_align="left"),
            *notes,
        )


def _tail(text: Text, width: int, lines: int, console: Console) -> Text:
    """The last lines of a text, wrapped."""
    wrapped = deque(text.wrap(console, width), maxlen=lines)
    return Text("\n").join(wrapped)


class _Lines:
    """What is new, in a line for each chunk and each note."""

    def __init__(self, replay: Replay, console: Console) -> None:
        self._replay = replay
        self._console = console
        self._arrived = self._released = self._notes = 0

    def add(self) -> None:
        """Write what is new."""
        replay = self._replay
        arrived, released = replay.arrived[self._arrived :], replay.released[self._released :]
        new = [*replay.notes[self._notes :], f"arrived {arrived!r}, released {released!r}, held {replay.stream.held}"]
        for line in new:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._arrived, self._released, self._notes = len(replay.arrived), len(replay.released), len(replay.notes)
