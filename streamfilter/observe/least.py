"""The least that must be held: by trying what might still arrive.

What two continuations of a text make of its last characters differently could not have left. So what is found here is proved to
be needed; more may be. It is the law of promptness, with the continuations that a recording, the rules' own texts and some probes
give.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from streamfilter.context import Context, Report
from streamfilter.items import End, Event, Item, TextDelta
from streamfilter.machine import Machine
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
"""Characters that may be fed to try continuations: some seconds. Where that is not enough for all places, every second, third, …
is tried."""

COPY_CHARS = 250
"""A copy of a machine takes about as long as feeding it so many characters."""

TRIES = 6
"""Of continuations at a place, about: those that made a difference at the one before it are tried first."""

MAX_MARKS = 200
"""Places in the held text that are told apart. Of more, every second, third, … is."""

MAX_LITERALS = 200
"""Texts of a pipeline's rules whose continuations are tried."""

_Try: TypeAlias = Callable[[str], tuple[str, dict[int, int]]]
"""What comes of a continuation, and where in that the marks are; those behind the end of the stream are nowhere."""


@dataclass(slots=True)
class _Mark(Event):
    place: int

    def __deepcopy__(self, memo: object) -> _Mark:
        return self


def least_holds(stage: Stage[Any, Any], text: str, ends: Sequence[int], held: Sequence[int]) -> list[int | None]:
    """For each place in a text, how many of the characters held there are proved to be needed.

    Args:
        stage: a pipeline of text stages that do not wait.
        text: the whole text.
        ends: the places, in order.
        held: how many characters are held there.

    Returns:
        As many as are held, or fewer; None where it was not computed, for there are many places.

    Example:
        >>> import streamfilter as sf
        >>> least_holds(sf.Redact("a12"), "xa1 b", [1, 2, 3, 4], [0, 1, 2, 0])
        [0, 1, 2, 0]
    """
    places = [(end, chars) for end, chars in zip(ends, held, strict=True) if chars]
    probes = _Probes(stage, text)
    needed = _by_copies(stage, text, places, probes)
    if needed is None:
        needed = _by_replays(stage, text, places, probes)
    return [needed.get(end) if chars else 0 for end, chars in zip(ends, held, strict=True)]


def _by_copies(stage: Stage[Any, Any], text: str, places: Sequence[tuple[int, int]], probes: _Probes) -> dict[int, int] | None:
    """The text is fed once, and what might follow to copies of the machine; None if those share what they change."""
    needed: dict[int, int] = {}
    context = _context()
    machine, run, at = stage.machine(context), _Run(), 0
    try:
        for end, chars in _affordable(places, [COPY_CHARS + chars for _, chars in places]):
            run.feed(machine, _marked(text, range(at, end)))
            at, gone = end, {place: 0 for place in range(end - chars, end) if place in run.marks}

            def go_on(rest: str, gone: dict[int, int] = gone, end: int = end) -> tuple[str, dict[int, int]]:
                copied = copy.deepcopy(machine, {id(context.report): Report()})  # what has been reported grows, and does not matter
                return _Run(gone).ended(copied, [_Mark(end), rest])

            needed[end] = _needed(go_on, end, chars, probes)
        is_alike = run.ended(machine, [text[at:]])[0] == _Run().ended(stage.machine(_context()), [text])[0]
    except Exception:  # of a machine that is half a copy, or cannot be copied: to feed it anew is slower, and sure
        return None
    return needed if is_alike else None


def _by_replays(stage: Stage[Any, Any], text: str, places: Sequence[tuple[int, int]], probes: _Probes) -> dict[int, int]:
    """The text is fed anew for whatever might follow."""
    needed: dict[int, int] = {}
    for end, chars in _affordable(places, [end for end, _ in places]):

        def go_on(rest: str, end: int = end, chars: int = chars) -> tuple[str, dict[int, int]]:
            items = [text[: end - chars], *_marked(text, range(end - chars, end)), _Mark(end), rest]
            return _Run().ended(stage.machine(_context()), items)

        needed[end] = _needed(go_on, end, chars, probes)
    return needed


def _affordable(places: Sequence[tuple[int, int]], costs: Sequence[int]) -> Sequence[tuple[int, int]]:
    """As many of the places as there is time for, from all of the text."""
    return places[:: -(-sum(costs) * TRIES // MAX_CHARS) or 1]


def _needed(go_on: _Try, end: int, held: int, probes: _Probes) -> int:
    """How many of the characters before a place are proved to be needed."""
    marks = [*range(end - held, end, -(-held // MAX_MARKS)), end]
    first, places = go_on("")
    agreed = [(mark, places[mark]) for mark in marks if mark in places]
    for probe in probes.at(end):
        if len(agreed) < 2:  # all that is held is needed
            break
        out, places = go_on(probe)
        n = 0
        while n < len(agreed) and places.get(agreed[n][0]) == agreed[n][1] and out.startswith(first[: agreed[n][1]]):
            n += 1
        if n < len(agreed):
            agreed = agreed[:n]
            probes.prefer(probe)
    return held if not agreed else end - agreed[-1][0]


def _context() -> Context:
    return Context(vault=Vault(picklable=True))


def _marked(text: str, places: Iterable[int]) -> Iterator[Item]:
    """The characters, each behind its mark."""
    for place in places:
        yield _Mark(place)
        yield text[place]


class _Run:
    """What comes out of a machine.

    Args:
        marks: where those are that had left before.
    """

    def __init__(self, marks: Mapping[int, int] = MappingProxyType({})) -> None:
        self.marks = dict(marks)
        self._texts: list[str] = []
        self._size = 0
        self._is_over = False

    def feed(self, machine: Machine, items: Iterable[Item]) -> None:
        """Feed it, unless the stream is at its end."""
        for item in items:
            if self._is_over:
                return
            self._take(machine.feed(item))

    def ended(self, machine: Machine, items: Iterable[Item]) -> tuple[str, dict[int, int]]:
        """Feed it what is the rest: all its text, and where in that the marks are."""
        self.feed(machine, items)
        if not self._is_over:
            self._take(machine.finish())
        return "".join(self._texts), self.marks

    def _take(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, _Mark):
                self.marks[item.place] = self._size
            elif isinstance(item, str | TextDelta):
                self._texts.append(item if isinstance(item, str) else item.text)
                self._size += len(self._texts[-1])
            elif isinstance(item, End):
                self._is_over = True
                return


class _Probes:
    """What is tried: how the text did go on, how it would become a text of the rules, and what might arrive anywhere."""

    def __init__(self, stage: Stage[Any, Any], text: str) -> None:
        self._text = text
        self._literals = _literals(stage)
        self._usual = dict.fromkeys(PROBES)

    def at(self, end: int) -> Sequence[str]:
        """Those at a place, those that are likely to make a difference first."""
        return [*dict.fromkeys((*_continuations(self._literals, self._text, end), *self._usual))]

    def prefer(self, probe: str) -> None:
        """It has made a difference, and may do so again."""
        if probe in self._usual:
            self._usual = dict.fromkeys((probe, *self._usual))


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
