"""The laws that every stage obeys, as functions that raise `LawBroken` with what was fed, what left, what should have.

Each takes a stage and one case; `check_stage` lets Hypothesis find the cases. None of them looks into a stage: they feed machines
and compare what leaves, with `means`, a stage's meaning on a whole text, as the independent reference. Here are the laws on text
and its order; those on how streams end, and on what stays as it is, are in `endings`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from streamfilter.items import End, Item
from streamfilter.pipeline import as_stage
from streamfilter.testing.sources import Mark, cut
from streamfilter.testing.tracing import (
    AnyStage,
    Gives,
    LawBroken,
    Means,
    Trace,
    broken,
    released,
    text_in,
    trace,
    view,
    waits,
)

__all__ = [
    "AnyStage",
    "LawBroken",
    "TextMeaning",
    "batch",
    "grouping",
    "linearity",
    "place",
    "prefix",
    "promptness",
    "released",
]

TextMeaning: TypeAlias = Callable[[str], str]

GROWTH = 4
"""How much longer the longer stream of `linearity` is. What is quadratic takes 16 times as long, what is linear 4 times."""

MAX_GROWTH = 9.0
"""Of its time: about in the middle between the two, so that neither noise nor a cheap quadratic part decides."""

ROUNDS = 5
"""Timings of which the least counts: other work on the machine only ever adds."""


def batch(stage: AnyStage, pieces: Sequence[str], means: Means, *, gives: Gives = "text") -> None:
    """*Batch*: what leaves adds up to the stage's meaning on the whole text.

    Args:
        gives: what of the output the meaning is about; see `check_stage`.

    Raises:
        LawBroken: it does not.
    """
    found = trace(stage, pieces)
    try:
        wanted = means("".join(pieces))
    except Exception as refusal:
        if not isinstance(found.error, type(refusal)):
            problem = f"it ended with {type(found.error).__name__}, and should have refused the text with {type(refusal).__name__}"
            raise broken("batch", problem, stage, found) from found.error
        return
    if found.error is not None:
        raise broken("batch", f"it raised {type(found.error).__name__}", stage, found, raised=found.error) from found.error
    gave = view(found.given, gives)
    if gave != wanted:
        problem = "what left does not add up to what the whole text means"
        raise broken("batch", problem, stage, found, gave=gave, wanted=wanted)


def prefix(stage: AnyStage, pieces: Sequence[str], *, gives: Gives = "text") -> None:
    """*Prefix*: what has left after a text depends on that text alone, not on how it was cut.

    Raises:
        LawBroken: it depends on more.
    """
    for n in range(1, len(pieces) + 1):
        text = "".join(pieces[:n])
        found = trace(stage, pieces[:n])
        gave = view(found.early, gives)
        for name, other in (("at once", [text]), ("one character at a time", list(text))):
            wanted = view(trace(stage, other).early, gives)
            if gave != wanted:
                problem = f"what has left depends on the cuts: {name}, something else had left"
                raise broken("prefix", problem, stage, found, gave=gave, wanted=wanted)


# ------------------------------------------------------------------ events


def place(
    stage: AnyStage, text: str, at: int, places: Iterable[int], expected: int | None = None, means: TextMeaning | None = None
) -> None:
    """*Place*: an event changes no text, is neither lost nor doubled, overtakes no text and waits for none that comes after it.

    Args:
        at: the event's place in the input, in characters.
        places: where else to cut.
        expected: its place in the output, where that is known.
        means: the stage's meaning, from which it is told where an event may not be.

    Raises:
        LawBroken: one of these is not so.
    """
    places = list(places)
    left, right = text[:at], text[at:]
    _keeps_up(stage, text, at, cut(left, *places))
    plain = text_in(trace(stage, [text]).given)
    least = _least(text, at, means) if means else 0
    first: int | None = None
    for n, (before, after) in enumerate(
        (
            (cut(left, *places), cut(right, *(p - at for p in places))),
            (list(left), list(right)),
            ([left], [right]),
        )
    ):
        found = trace(stage, [*before, Mark(name=at), *after, Mark(name="last")])
        items = found.given
        gave = text_in(items)
        if gave != plain:
            raise broken("place", f"an event at {at} changes the text", stage, found, gave=gave, wanted=plain)
        offset = _offset(stage, found, at)
        first = offset if n == 0 else first
        wanted = first if expected is None else expected
        if offset != wanted:
            problem = f"an event at {at} of {text!r} leaves at {offset} of {gave!r}, expected {wanted}"
            raise broken("place", problem, stage, found)
        if offset is not None and offset < least:
            problem = f"an event at {at} of {text!r} leaves at {offset} of {gave!r}, before text that came before it"
            raise broken("place", problem, stage, found, expected_at_least=least)


def _keeps_up(stage: AnyStage, text: str, at: int, before: Sequence[str]) -> None:
    """An event leaves when the text before it has left, neither earlier nor later, as far as a machine says what it holds."""
    if waits(stage):
        return
    machine = stage.machine()
    script: list[Item] = [*before, Mark(name=at)]
    early = [out for piece in script for out in machine.feed(piece)]
    has_left = any(isinstance(item, Mark) for item in early)
    if machine.held and has_left:
        problem = f"an event at {at} of {text!r} overtakes {machine.held} held characters"
        raise broken("place", problem, stage, trace(stage, [*before, Mark(name=at), *text[at:]]))
    for n, char in enumerate(["", *text[at:]]):
        if machine.ended:
            return
        has_left = has_left or any(isinstance(item, Mark) for item in (machine.feed(char) if char else ()))
        if not has_left and not machine.ended and machine.held <= n:
            problem = f"an event at {at} of {text!r} has not left, though nothing before it is held"
            raise broken("place", problem, stage, trace(stage, [*before, Mark(name=at), *text[at : at + n]]))


def _least(text: str, at: int, means: TextMeaning) -> int:
    """Where in the output an event at `at` can stand at the earliest.

    Where no part of the text changes what another means, it is behind what the text before it means. Behind the last character
    something may be put in, so nothing is known there.
    """
    if not 0 < at < len(text):
        return 0
    whole = means(text)
    return len(means(text[:at])) if all(means(text[:n]) + means(text[n:]) == whole for n in range(1, len(text))) else 0


def _offset(stage: AnyStage, found: Trace, at: int) -> int | None:
    """Where the first of two events is in the output. After the end of a stream there is none."""
    items = found.given
    names = [item.name for item in items if isinstance(item, Mark)]
    has_ended = bool(items) and isinstance(items[-1], End)
    if names != [at, "last"] and not (has_ended and names in ([at], [])):
        lost = [name for name in (at, "last") if name not in names]
        problem = f"events are lost: {lost}" if lost else f"events are doubled or change their order: {names}"
        raise broken("place", problem, stage, found)
    index = next((i for i, item in enumerate(items) if isinstance(item, Mark) and item.name == at), None)
    return None if index is None else len(text_in(items[:index]))


# ------------------------------------------------------------------ how much is held, and at which cost


def promptness(
    stage: AnyStage, text: str, means: TextMeaning, alphabet: Sequence[str], depth: int, *, exact: bool = True
) -> tuple[int, int]:
    """*Promptness*: by brute force. What all continuations agree on may leave; nothing else may, and nothing of it is held.

    Args:
        alphabet: the characters, or pieces, of the continuations tried.
        depth: their greatest length; more finds more reasons to hold.
        exact: whether to demand that nothing is held that could leave; else only that nothing leaves that may not.

    Returns:
        How many characters may have been held in all prefixes together, and how many were.

    Raises:
        LawBroken: something has left too early, or is held too long.
    """
    may = did = 0
    endings = ["".join(letters) for n in range(depth + 1) for letters in itertools.product(alphabet, repeat=n)]
    for n in range(1, len(text) + 1):  # before its first character a run has not begun
        start = text[:n]
        found = trace(stage, list(start))
        gave = text_in(found.early)
        certain = _common(means(start + ending) for ending in endings)
        if not certain.startswith(gave):
            other = next(start + ending for ending in endings if not means(start + ending).startswith(gave))
            problem = "something has left that was not certain yet"
            raise broken("promptness", problem, stage, found, gave=gave, wanted=certain, because_of=other)
        if exact and gave != certain:
            looked = f"no continuation of <= {depth} characters of the alphabet could change"
            problem = f"something is held that {looked}; a greater depth= (prompt= of check_stage) finds more reasons"
            raise broken("promptness", problem, stage, found, gave=gave, wanted=certain)
        whole = len(means(start))
        may += whole - len(certain)
        did += whole - len(gave)
    return may, did


def _common(texts: Iterable[str]) -> str:
    iterator = iter(texts)
    common = next(iterator)
    for text in iterator:
        while not text.startswith(common):
            common = common[:-1]
    return common


def linearity(stage: AnyStage, unit: str, *, chunks: int = 4000) -> float:
    """*Linearity*: a stream that is four times as long costs about four times as much.

    It measures processor time, of which it takes the least of several rounds. Choose a `unit` that the stage holds long:
    what never matches costs nothing.

    Args:
        unit: the chunk that comes again and again.
        chunks: how many in the shorter stream: more than fill the hold, behind which other work is done than before. What is
            quadratic shows when it costs more than a chunk's linear part.

    Returns:
        How many times as much the longer one costs: 4 for what is linear, 16 for what is quadratic.

    Raises:
        LawBroken: it is more than 9.
        TypeError: the stage has no machine, as an async generator function has none.
        ValueError: the unit is empty, there are no chunks, or the stage ends the stream on them.

    Example:
        >>> import streamfilter as sf
        >>> linearity(sf.Redact("a[^b]*b"), "ac", chunks=2000) < 9
        True
    """
    if any(part.function is not None for part in as_stage(stage).stages):
        raise TypeError("linearity feeds a machine, and an async generator function has none: give a stage")
    if not unit or chunks < 1:
        raise ValueError(f"unit={unit!r}, chunks={chunks}: a text is needed, and one chunk or more, or nothing is fed")
    growth = _cost(stage, unit, chunks * GROWTH) / _cost(stage, unit, chunks)
    if growth > MAX_GROWTH:
        problem = f"{GROWTH} times as many chunks take {growth:.1f} times as long: the cost grows faster than the stream"
        raise broken("linearity", problem, stage, unit=unit, chunks=(chunks, chunks * GROWTH))
    return growth


def _cost(stage: AnyStage, unit: str, chunks: int) -> float:
    """Seconds of one thread."""

    def once() -> float:
        machine = stage.machine()
        begun = time.thread_time()
        for _ in range(chunks):
            machine.feed(unit)
            if machine.ended:
                raise ValueError(f"{stage!r} ends the stream on {unit!r}: choose a unit that it goes on after")
        machine.finish()
        return time.thread_time() - begun

    return min(once() for _ in range(ROUNDS))


# ------------------------------------------------------------------ several stages


def grouping(a: AnyStage, b: AnyStage, c: AnyStage, pieces: Sequence[Item]) -> None:
    """*Grouping*: `(a | b) | c` is `a | (b | c)`, as a value and in what it does.

    Raises:
        LawBroken: it is not.
    """
    left, right = (a | b) | c, a | (b | c)
    if left != right:
        raise broken("grouping", "two groupings of the same stages are not equal", left, gave=left, wanted=right)
    one, other = trace(left, pieces), trace(right, pieces)
    gave, wanted = shape(one.given), shape(other.given)
    if gave != wanted or shape(one.early) != shape(other.early):
        raise broken("grouping", f"{right!r} does something else", left, one, gave=gave, wanted=wanted)


def shape(items: Sequence[Any]) -> list[Any]:
    """Items as far as they can be compared: exceptions are equal only to themselves."""
    return [(item.reason, type(item.error)) if isinstance(item, End) else item for item in items]
