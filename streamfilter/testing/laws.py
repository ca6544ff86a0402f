"""The laws that every stage obeys, as functions that raise `LawBroken` with what was fed, what left, what should have.

Each takes a stage and one case; `check_stage` lets Hypothesis find the cases. None of them looks into a stage: they feed machines
and compare what leaves, with `means`, a stage's meaning on a whole text, as the independent reference.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

from streamfilter.items import Channel, End, Finish, Item, TextDelta, Usage
from streamfilter.pipeline import Stage
from streamfilter.plain import run_through
from streamfilter.testing.clock import run_virtually
from streamfilter.testing.sources import Mark, ScriptedSource, cut

TextMeaning: TypeAlias = Callable[[str], str]
AnyStage: TypeAlias = Stage[Any, Any]


class LawBroken(AssertionError):
    """A stage broke a law; the message is the case."""


def released(stage: AnyStage, pieces: Iterable[Item]) -> tuple[list[Item], list[Item]]:
    """What leaves while these items are fed, and what leaves when the stream then ends. An `End` is the last of its list.

    Example:
        >>> import streamfilter as sf
        >>> released(sf.Redact("ab"), ["xa"])
        (['x'], ['a'])
    """
    machine = stage.machine()
    out: list[Item] = []
    for piece in pieces:
        out += machine.feed(piece)
        if out and isinstance(out[-1], End):
            return out, []
    return out, list(machine.finish())


def _text(items: Iterable[Item]) -> str:
    return "".join(item if isinstance(item, str) else item.text for item in items if isinstance(item, str | TextDelta))


def batch(stage: AnyStage, pieces: Sequence[str], means: TextMeaning) -> None:
    """*Batch*: what leaves adds up to the stage's meaning on the whole text."""
    fed, rest = released(stage, pieces)
    for item in fed + rest:
        if isinstance(item, End) and item.error is not None:
            raise LawBroken(f"batch: {stage!r} was fed {list(pieces)!r} and raised {item.error!r}") from item.error
    got, want = _text(fed + rest), means("".join(pieces))
    if got != want:
        raise LawBroken(f"batch: {stage!r} was fed {list(pieces)!r} and gave {got!r}, but the whole text means {want!r}")


def prefix(stage: AnyStage, pieces: Sequence[str]) -> None:
    """*Prefix*: what has left after a text depends on that text alone, not on how it was cut."""
    for n in range(1, len(pieces) + 1):
        text = "".join(pieces[:n])
        got = _text(released(stage, pieces[:n])[0])
        for name, other in (("at once", [text]), ("one character at a time", list(text))):
            if got != (want := _text(released(stage, other)[0])):
                raise LawBroken(f"prefix: {stage!r} had let out {got!r} after {list(pieces[:n])!r}, but {want!r} if fed {name}")


def place(stage: AnyStage, text: str, at: int, places: Iterable[int], expected: int | None = None) -> None:
    """*Place*: an event changes no text, and leaves at a place in the output that does not depend on the cuts.

    Args:
        at: the event's place in the input, in characters.
        places: where else to cut.
        expected: its place in the output, where that is known.
    """

    def run(before: Sequence[str], after: Sequence[str]) -> tuple[str, int | None]:
        fed, rest = released(stage, [*before, Mark(name=at), *after])
        items = fed + rest
        index = next((i for i, item in enumerate(items) if isinstance(item, Mark)), None)
        return _text(items), None if index is None else len(_text(items[:index]))

    places = list(places)
    left, right = text[:at], text[at:]
    machine = stage.machine()
    script: list[Item] = [*cut(left, *places), Mark(name=at)]
    early = [out for piece in script for out in machine.feed(piece)]
    if machine.held and any(isinstance(item, Mark) for item in early):
        raise LawBroken(f"place: {stage!r} let an event at {at} of {text!r} overtake {machine.held} held characters")
    plain = _text(itertools.chain(*released(stage, [text])))
    first = run(cut(left, *places), cut(right, *(place - at for place in places)))
    for before, after in (
        (cut(left, *places), cut(right, *(p - at for p in places))),
        (list(left), list(right)),
        ([left], [right]),
    ):
        got, offset = run(before, after)
        if got != plain:
            raise LawBroken(f"place: {stage!r} gave {got!r} with an event at {at} of {text!r}, and {plain!r} without")
        if offset != first[1] or (expected is not None and offset != expected):
            wanted = first[1] if expected is None else expected
            raise LawBroken(
                f"place: {stage!r} put an event at {at} of {text!r} to {offset} of {got!r}, expected {wanted} ({before}, {after})"
            )


def promptness(stage: AnyStage, text: str, means: TextMeaning, alphabet: str, depth: int, *, exact: bool = True) -> tuple[int, int]:
    """*Promptness*: by brute force. What all continuations agree on may leave; nothing else may, and nothing of it is held.

    Args:
        alphabet: the characters of the continuations tried.
        depth: their greatest length; more finds more reasons to hold.
        exact: whether to demand that nothing is held that could leave; else only that nothing leaves that may not.

    Returns:
        How many characters may have been held in all prefixes together, and how many were.
    """
    may = did = 0
    endings = ["".join(letters) for n in range(depth + 1) for letters in itertools.product(alphabet, repeat=n)]
    for n in range(1, len(text) + 1):  # before its first character a run has not begun
        start = text[:n]
        got = _text(released(stage, list(start))[0])
        common = _common(means(start + ending) for ending in endings)
        if not common.startswith(got):
            raise LawBroken(f"promptness: {stage!r} had let out {got!r} after {start!r}, where only {common!r} was certain")
        if exact and got != common:
            raise LawBroken(f"promptness: {stage!r} had let out only {got!r} after {start!r}, where {common!r} was certain")
        whole = len(means(start))
        may += whole - len(common)
        did += whole - len(got)
    return may, did


def _common(texts: Iterable[str]) -> str:
    iterator = iter(texts)
    common = next(iterator)
    for text in iterator:
        while not text.startswith(common):
            common = common[:-1]
    return common


def ending(stage: AnyStage, pieces: Sequence[Item]) -> None:
    """*Ending*: however a stream ends, its source is closed exactly once; on an error held text dies, and the error goes on."""

    async def read(source: ScriptedSource[Item]) -> None:
        async for _ in stage(source):
            pass

    async def unread(source: ScriptedSource[Item]) -> None:
        async with stage(source):
            pass

    async def left(source: ScriptedSource[Item]) -> None:
        async with stage(source) as stream:
            async for _ in stream:
                break

    async def closed_twice(source: ScriptedSource[Item]) -> None:
        stream = stage(source)
        await stream.aclose()
        await stream.aclose()
        async for _ in stream:
            raise LawBroken(f"ending: a closed stream of {stage!r} gave something")

    for way in (read, unread, left, closed_twice):
        source = ScriptedSource(pieces)
        with contextlib.suppress(Exception) if way is read else contextlib.nullcontext():  # a stage's refusal is an ending too
            _run(stage, way(source))
        if source.closed != 1:
            raise LawBroken(f"ending: the source of {stage!r} was closed {source.closed} times when it was {way.__name__}")
    _run(stage, _failing(stage, pieces))


def _run(stage: AnyStage, use: Coroutine[Any, Any, None]) -> None:
    """What waits needs an event loop; nothing else does."""
    if stage.machine().waits:
        run_virtually(use, debug=False)
    else:
        run_through(use)


async def _failing(stage: AnyStage, pieces: Sequence[Item]) -> None:
    """A source that fails behind some pieces."""
    fault = OSError("a planted fault")
    # What waits is given the time that it needs before the source fails.
    source = ScriptedSource(pieces, error=fault, pause=partial(asyncio.sleep, 1) if stage.machine().waits else None)
    got: list[Item] = []
    raised: BaseException | None = None
    try:
        async with stage(source) as stream:
            async for item in stream:
                got.append(item)
    except Exception as error:
        raised = error
    fed = released(stage, pieces)[0]
    want = [item for item in fed if not isinstance(item, End)]
    if got != want:
        raise LawBroken(f"ending: when the source of {stage!r} failed after {list(pieces)!r} it had given {got!r}, not {want!r}")
    if want == fed and (raised is not fault or fault.__cause__ is not None):
        raise LawBroken(f"ending: {stage!r} turned the source's exception into {raised!r}")
    if source.closed != 1:
        raise LawBroken(f"ending: when the source of {stage!r} failed, it was closed {source.closed} times")


def done(stage: AnyStage, pieces: Sequence[str]) -> None:
    """*Done*: a stop in one choice ends that choice and nothing else, and the stream exactly when all are over.

    Two choices take turns: the first hears the pieces, the second a text that no stage looks for, until the provider finishes the
    second and then the first.
    """
    alone = stage_alone(stage, pieces)
    stopped = isinstance(alone[-1:] and alone[-1], End)
    if stopped and cast("End", alone[-1]).reason != "stop":
        return  # it ends the whole stream, which is another matter
    one, two = Channel("answer", (0, 0)), Channel("answer", (0, 1))
    other = "\N{BLACK SQUARE}"
    script: list[Item] = [TextDelta(other, two)]  # a stream whose seen choices are all stopped is over: show both
    for piece in pieces:
        script += [TextDelta(piece, one), TextDelta(other, two)]
    script += [Usage(None, scope=one), Finish("length", scope=two.key), Finish("length", scope=one.key)]

    machine = stage.machine()
    out: list[Item] = []
    fed = 0
    while fed < len(script) and not (out and isinstance(out[-1], End)):
        out += machine.feed(script[fed])
        fed += 1

    def check(fact: bool, what: str) -> None:
        if not fact:
            raise LawBroken(f"done: {stage!r} {what}: it gave {out!r} for {script!r}")

    for channel, want in ((one, alone), (two, stage_alone(stage, [other] * (len(pieces) + 1)))):
        got = _text(item for item in out if isinstance(item, TextDelta) and item.channel == channel)
        check(got == _text(want), f"gave a choice {got!r}, and {_text(want)!r} if it is alone")
    finishes = [item for item in out if isinstance(item, Finish) and item.scope == one.key]
    check([item.reason for item in finishes] == ["stop" if stopped else "length"], "did not finish a choice once, with its reason")
    check(any(isinstance(item, Usage) for item in out), "swallowed usage")
    later = out[out.index(finishes[0]) + 1 :]
    check(not any(isinstance(item, TextDelta) and item.channel == one for item in later), "gave more text of a finished choice")
    # A stop found only when the provider finishes the choice ends the stream there; one found before, with the other choice.
    in_time = stopped and not isinstance(released(stage, pieces)[1][-1:] and released(stage, pieces)[1][-1], End)
    ended = bool(out) and isinstance(out[-1], End)
    check(ended == stopped and fed == len(script) - in_time, "did not end the stream exactly when all choices were over")


def stage_alone(stage: AnyStage, pieces: Sequence[Item]) -> list[Item]:
    """All that a stage gives for some pieces."""
    fed, rest = released(stage, pieces)
    return fed + rest


def grouping(a: AnyStage, b: AnyStage, c: AnyStage, pieces: Sequence[Item]) -> None:
    """*Grouping*: `(a | b) | c` is `a | (b | c)`, as a value and in what it does."""
    left, right = (a | b) | c, a | (b | c)
    if left != right or released(left, pieces) != released(right, pieces):
        raise LawBroken(f"grouping: {left!r} differs from {right!r} on {list(pieces)!r}")


def independence(stage: AnyStage, ones: Sequence[Item], others: Sequence[Item]) -> None:
    """*Independence*: two streams of one stage, fed in turn, give what each gives alone."""
    machines = stage.machine(), stage.machine()
    outs: tuple[list[Item], list[Item]] = ([], [])
    over = [False, False]
    for pair in itertools.zip_longest(ones, others):
        for i, item in enumerate(pair):
            if item is not None and not over[i]:
                outs[i].extend(machines[i].feed(item))
                over[i] = bool(outs[i]) and isinstance(outs[i][-1], End)
    for i, machine in enumerate(machines):
        if not over[i]:
            outs[i].extend(machine.finish())
    for out, pieces in zip(outs, (ones, others), strict=True):
        want = stage_alone(stage, pieces)
        if _shape(out) != _shape(want):
            raise LawBroken(f"independence: {stage!r} gave {out!r} for {list(pieces)!r} beside another stream, and {want!r} alone")


def _shape(items: Sequence[Item]) -> list[object]:
    """Items as far as they can be compared: exceptions are equal only to themselves."""
    return [(item.reason, type(item.error)) if isinstance(item, End) else item for item in items]


def check_stage(stage: AnyStage, means: TextMeaning, *, alphabet: str = "ab \n", examples: int = 100, max_chars: int = 12) -> None:
    """Run every law that applies to a text stage, on cases that Hypothesis finds.

    Args:
        stage: what to check.
        means: its meaning on a whole text: the independent reference.
        alphabet: the characters of the texts; choose those that the stage reacts to.
        examples: how many cases to try.
        max_chars: the longest text.

    Raises:
        LawBroken: with the smallest case that Hypothesis found.

    Example:
        >>> import streamfilter as sf
        >>> check_stage(sf.MapText(str.upper), means=str.upper, examples=10)
        >>> check_stage(sf.MapText(str.title), means=str.title, examples=100)
        Traceback (most recent call last):
        ...
        streamfilter.testing.laws.LawBroken: ...
    """
    try:
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st
    except ModuleNotFoundError:
        raise ModuleNotFoundError("check_stage needs Hypothesis: pip install 'streamfilter[testing]'") from None

    texts = st.text(alphabet, max_size=max_chars)

    @settings(
        max_examples=examples,
        report_multiple_bugs=False,
        deadline=None,
        database=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
    )
    @given(text=texts, other=texts, places=st.lists(st.integers(0, max_chars), max_size=4), at=st.integers(0, max_chars))
    def laws(text: str, other: str, places: list[int], at: int) -> None:
        pieces = cut(text, *places)
        batch(stage, pieces, means)
        batch(stage, list(text) or [text], means)  # a stream without any text has no run, and so no meaning
        prefix(stage, pieces)
        if text:
            place(stage, text, min(at, len(text)), places)
        ending(stage, pieces)
        done(stage, pieces)
        grouping(stage, stage, stage, pieces)
        independence(stage, pieces, list(other))

    laws()
