"""The least that must be held: by trying what might still arrive.

What two continuations of a text make of its last characters differently could not have left. So what is found here is proved to
be needed; more may be. It is the law of promptness, with the continuations that a recording, the rules' own texts and some probes
give.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streamfilter.context import Context
from streamfilter.items import End, Event, Item, TextDelta
from streamfilter.pipeline import Stage
from streamfilter.vault import Vault

PROBES = (
    " ",
    "\n",
    ".",
    "a",
    "1",
    "@",
    "-",
    "@example.com ",
    "0123456789 ",
    "55 010 2030 ",
    "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3hJ5 ",
    "\n\nx",
    ")",
    "](x)",
    "](https://example.com)",
    "**",
    "`",
    "|",
    ">",
)
"""What might arrive: an end of a word, of a line, a word or number that goes on, an address, digits, a key."""

NEXT_CHARS = 60
"""Of the recording's own continuation: longer than most matches."""

MAX_CHARS = 4_000_000
"""Characters that may be fed to try continuations: some seconds. What would come after is not computed: each try feeds all of the
text before it, as nothing less is sure to mean the same, so a text of 10,000 characters is about where this ends."""

MAX_MARKS = 200
"""Places in the held text that are told apart. Of more, every second, third, … is."""

MAX_LITERALS = 200
"""Texts of a pipeline's rules whose continuations are tried."""


@dataclass(slots=True)
class _Mark(Event):
    number: int


def least_holds(stage: Stage[Any, Any], text: str, ends: Sequence[int], held: Sequence[int]) -> list[int | None]:
    """For each place in a text, how many of the characters held there are proved to be needed.

    Args:
        stage: a pipeline of text stages that do not wait.
        text: the whole text.
        ends: the places.
        held: how many characters are held there.

    Returns:
        As many as are held, or fewer; None where it was not computed.

    Example:
        >>> import streamfilter as sf
        >>> least_holds(sf.Redact("a12"), "xa1 b", [1, 2, 3, 4], [0, 1, 2, 0])
        [0, 1, 2, 0]
    """
    needed: list[int | None] = []
    literals = _literals(stage)
    fed = 0
    for end, chars in zip(ends, held, strict=True):
        if fed > MAX_CHARS or not chars:
            needed.append(None if fed > MAX_CHARS else 0)
            continue
        probes = [*dict.fromkeys(("", *_continuations(literals, text, end), *PROBES))]
        least, tries = _needed(stage, text[:end], chars, probes)
        needed.append(least)
        fed += tries * end
    return needed


def _needed(stage: Stage[Any, Any], text: str, held: int, probes: Sequence[str]) -> tuple[int, int]:
    """How many characters at the end of a text are proved to be needed, and how many tries that took."""
    places = [*range(len(text) - held, len(text), -(-held // MAX_MARKS)), len(text)]
    first, marks = _run(stage, text, places, probes[0])
    agreed = [mark for mark in marks if mark is not None]
    tries = 1
    for probe in probes[1:]:
        if len(agreed) < 2:  # all that is held is needed
            break
        tries += 1
        out, others = _run(stage, text, places, probe)
        n = 0
        while n < len(agreed) and others[n] == agreed[n] and out[: agreed[n]] == first[: agreed[n]]:
            n += 1
        agreed = agreed[:n]
    return held if not agreed else len(text) - places[len(agreed) - 1], tries


def _run(stage: Stage[Any, Any], text: str, places: Sequence[int], rest: str) -> tuple[str, list[int | None]]:
    """What comes of a text and a continuation, and where in it the places are; those behind the end of the stream are nowhere."""
    machine = stage.machine(Context(vault=Vault()))
    marks: list[int | None] = [None] * len(places)
    out: list[str] = []
    size = 0

    def take(items: Sequence[Item]) -> bool:
        nonlocal size
        for item in items:
            if isinstance(item, _Mark):
                marks[item.number] = size
            elif isinstance(item, str | TextDelta):
                piece = item if isinstance(item, str) else item.text
                out.append(piece)
                size += len(piece)
            elif isinstance(item, End):
                return False
        return True

    def script() -> Iterator[Item]:
        at = 0
        for number, place in enumerate(places):
            yield text[at:place]
            yield _Mark(number)
            at = place
        yield text[at:] + rest

    if all(take(machine.feed(item)) for item in script()):
        take(machine.finish())
    return "".join(out), marks


def _continuations(literals: Sequence[str], text: str, end: int) -> Iterator[str]:
    """How the text did go on, and how it would if it became one of the literals."""
    yield text[end : end + 1]
    yield text[end : end + NEXT_CHARS]
    for literal in literals:
        tail = text[max(0, end - len(literal) + 1) : end]
        n = next((n for n in range(len(tail)) if literal.startswith(tail[n:])), None)
        if n is not None:
            yield literal[len(tail) - n :]


def _literals(value: object) -> list[str]:
    """The texts in a pipeline's definition: terms, patterns without operators, texts to stop at."""
    found: dict[str, None] = {}

    def look(value: object) -> None:
        if len(found) >= MAX_LITERALS:
            return
        if isinstance(value, str):
            found[value] = None
        elif isinstance(value, tuple | list):
            for element in value:
                look(element)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                look(getattr(value, field.name))

    look(value)
    return [text for text in found if len(text) > 1]
