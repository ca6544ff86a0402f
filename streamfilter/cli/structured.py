"""The demonstration of structured output: an object fills in while its JSON arrives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from pydantic import BaseModel
from rich.console import Console, Group
from rich.json import JSON
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

import streamfilter as sf
from streamfilter.detectors import EMAIL
from streamfilter.observe.recordings import CHUNKS_PER_SECOND

CHUNK_CHARS = 4
"""About the size of a model's token."""

ANSWER = """Here is the card you asked for {as JSON}:

```json
{"title": "Rivers of the north", "length_km": 812, "bullets": ["They run to the sea \\u2014 slowly.",
 "Ask joe@example.com for maps.", "The \\"long\\" one freezes in January."], "source": {"name": "An atlas", "year": 1998}}
```
Tell me if you want it shorter.
"""


class Source(BaseModel):
    """Where a card is from."""

    name: str
    year: int


class Card(BaseModel):
    """What the model was asked for."""

    title: str
    length_km: int
    bullets: list[str]
    source: Source


PIPELINE = sf.FilterJSON(sf.Redact(EMAIL, to="[{rule}]")) | sf.ParseJSON(Card)
"""Strings are redacted as what they say, however they are escaped; the object is there from its first field on."""


def show(*, fast: bool, console: Console | None = None) -> None:
    """Show it: live on a terminal, else a line for each change."""
    console = console or Console()
    arrived = ""
    changes = 0

    def chunks() -> Iterator[str]:
        nonlocal arrived
        for at in range(0, len(ANSWER), CHUNK_CHARS):
            time.sleep(0 if fast else 1 / CHUNKS_PER_SECOND)
            arrived += ANSWER[at : at + CHUNK_CHARS]
            yield ANSWER[at : at + CHUNK_CHARS]

    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    first = 0
    card: Card | None = None
    if live:
        live.start()
    for card in PIPELINE.iter(chunks()):
        changes += 1
        first = first or len(arrived)
        written = card.model_dump_json(warnings=False)
        missing = ", ".join(sorted(sf.unfinished(card)))
        if live:
            panels = Panel(Text(arrived[-400:]), title="arrived"), Panel(JSON(written), title=f"unfinished: {missing or 'nothing'}")
            live.update(Group(*panels), refresh=True)
        else:
            console.print(f"{len(arrived):4} characters: {written}", markup=False, highlight=False, soft_wrap=True)
    if live:
        live.stop()
    assert card is not None
    text = json.dumps(card.model_dump(), ensure_ascii=False)
    console.print(
        f"\n{changes} values; the first after {first} of {len(ANSWER)} characters; the last is a valid {type(card).__name__}:"
    )
    console.print(text, markup=False, highlight=False, soft_wrap=True)
