"""The laws on how streams end, on what two of them share, and on what must stay as it is or must never be said."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from streamfilter.items import Channel, End, Finish, Item, TextDelta, Usage
from streamfilter.machine import Machine
from streamfilter.testing.clock import run_virtually
from streamfilter.testing.laws import shape
from streamfilter.testing.leaks import LEAK_CHARS, leaked, logged
from streamfilter.testing.sources import Script, ScriptedSource
from streamfilter.testing.tracing import AnyStage, Gives, LawBroken, Means, broken, run, text_in, trace, view, waits

_ADDRESS = re.compile(r"0x[0-9a-f]+")
"""In the repr of an object: chance, not text."""


def ending(stage: AnyStage, pieces: Sequence[Item]) -> None:
    """*Ending*: however a stream ends, its source is closed exactly once; on an error held text dies, and the error goes on.

    Raises:
        LawBroken: it is closed never or again, text leaves after the error, or the error does not.
    """

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
            raise broken("ending", "a closed stream gave something", stage)

    for way in (read, unread, left, closed_twice):
        source = ScriptedSource[Item](pieces)
        with contextlib.suppress(Exception) if way in (read, left) else contextlib.nullcontext():  # refusals are endings too
            run(stage, way(source))
        if source.closed != 1:
            problem = f"the source was closed {source.closed} times, when the stream was {way.__name__}"
            raise broken("ending", problem, stage, source_of=list(pieces))
    run(stage, _failing(stage, pieces))


async def _failing(stage: AnyStage, pieces: Sequence[Item]) -> None:
    """A source that fails behind some pieces."""
    fault = OSError("a planted fault")
    # What waits is given the time that it needs before the source fails.
    source = ScriptedSource(pieces, error=fault, pause=partial(asyncio.sleep, 1) if waits(stage) else None)
    got: list[Any] = []
    raised: BaseException | None = None
    try:
        async with stage(source) as stream:
            async for item in stream:
                got.append(item)
    except Exception as error:
        raised = error
    if source.closed != 1:
        problem = f"the source failed, and was closed {source.closed} times"
        raise broken("ending", problem, stage, source_of=list(pieces))
    if any(part.function is not None for part in stage.stages):  # what it would give without the fault cannot be told
        if source.is_over and raised is not fault:  # one that has ended before the source failed has not seen it
            raise broken("ending", _turned(raised), stage, source_of=list(pieces)) from raised
        return
    found = trace(stage, pieces)
    wanted = [item for item in found.early if not isinstance(item, End)]
    if got != wanted:
        problem = "the source failed, and what was held should have died"
        raise broken("ending", problem, stage, found, gave=got, wanted=wanted)
    if wanted == found.early and (raised is not fault or fault.__cause__ is not None):
        raise broken("ending", _turned(raised), stage, found) from raised


def _turned(raised: BaseException | None) -> str:
    return "the source's error was swallowed" if raised is None else f"the source's error was turned into {type(raised).__name__}"


def live(stage: AnyStage, script: Script, means: Means, *, gives: Gives = "text") -> None:
    """*Live*: read through a stream, in an event loop, from a source that takes its time, it gives the same; and no task is left.

    Time is virtual.

    Args:
        script: texts, and the time between them.
        gives: what of the output the meaning is about; see `check_stage`.

    Raises:
        LawBroken: it gives something else, never ends, or leaves a task.
    """
    source = script.source()
    got: list[Any] = []

    async def read() -> None:
        async with stage(source) as stream:
            async for item in stream:
                got.append(item)
        if asyncio.all_tasks() != {asyncio.current_task()}:
            raise broken("live", "a task outlives its stream", stage, script=script)

    try:
        wanted = means("".join(script.items))
    except Exception:
        return  # that it is refused is the business of `batch`
    try:
        run_virtually(read(), debug=False)
    except LawBroken:
        raise
    except Exception as error:
        raise broken("live", f"it raised {type(error).__name__}", stage, script=script, raised=error) from error
    gave = view(got, gives)
    if gave != wanted:
        problem = "what left does not add up to what the whole text means"
        raise broken("live", problem, stage, script=script, left=got, gave=gave, wanted=wanted)


def done(stage: AnyStage, pieces: Sequence[str]) -> None:
    """*Done*: a stop in one choice ends that choice and nothing else, and the stream exactly when all are over.

    Two choices take turns: the first hears the pieces, the second a text that no stage looks for, until the provider finishes the
    second and then the first.

    Raises:
        LawBroken: it ends something else, or does not end what it should.
    """
    alone = trace(stage, pieces)
    last = alone.given[-1] if alone.given else None
    stopped = isinstance(last, End)
    if isinstance(last, End) and last.reason != "stop":
        return  # it ends the whole stream, which is another matter
    one, two = Channel("answer", (0, 0)), Channel("answer", (0, 1))
    other = "\N{BLACK SQUARE}"
    script: list[Item] = [TextDelta(other, two)]  # a stream whose seen choices are all stopped is over: show both
    for piece in pieces:
        script += [TextDelta(piece, one), TextDelta(other, two)]
    script += [Usage(None, scope=one), Finish("length", scope=two.key), Finish("length", scope=one.key)]
    found = trace(stage, script)
    out, fed = found.given, len(found.steps)

    def check(fact: bool, what: str) -> None:
        if not fact:
            raise broken("done", what, stage, found)

    for channel, want in ((one, alone), (two, trace(stage, [other] * (len(pieces) + 1)))):
        got = text_in(item for item in out if isinstance(item, TextDelta) and item.channel == channel)
        check(got == text_in(want.given), f"it gives a choice {got!r}, and {text_in(want.given)!r} if that is alone")
    finishes = [item for item in out if isinstance(item, Finish) and item.scope == one.key]
    reason = "stop" if stopped else "length"
    check([item.reason for item in finishes] == [reason], f"it does not finish a choice once, with its reason {reason!r}")
    check(any(isinstance(item, Usage) for item in out), "it swallows usage")
    later = out[out.index(finishes[0]) + 1 :]
    check(not any(isinstance(item, TextDelta) and item.channel == one for item in later), "it gives more text of a finished choice")
    # A stop found only when the provider finishes the choice ends the stream there; one found before, with the other choice.
    in_time = stopped and not (alone.rest and isinstance(alone.rest[-1], End))
    ended = bool(out) and isinstance(out[-1], End)
    check(ended == stopped and fed == len(script) - in_time, "it does not end the stream exactly when all choices are over")


# ------------------------------------------------------------------ what stays as it is


def independence(stage: AnyStage, ones: Sequence[Item], others: Sequence[Item]) -> None:
    """*Independence*: two streams of one stage, fed in turn, give what each gives alone.

    Raises:
        LawBroken: one of them gives something else.
    """
    alone = trace(stage, ones), trace(stage, others)
    outs = _in_turn(stage, ones, others)
    for out, found in zip(outs, alone, strict=True):
        gave, wanted = shape(out), shape(found.given)
        if gave != wanted:
            problem = "beside another stream it gives something else than alone"
            raise broken("independence", problem, stage, found, gave=gave, wanted=wanted, beside=(list(ones), list(others)))


def _in_turn(stage: AnyStage, ones: Sequence[Item], others: Sequence[Item]) -> tuple[list[Any], list[Any]]:
    outs: tuple[list[Any], list[Any]] = ([], [])
    if any(part.function is not None for part in stage.stages):

        async def read(pieces: Sequence[Item], out: list[Any]) -> None:
            try:
                async with stage(ScriptedSource(pieces, pause=partial(asyncio.sleep, 1))) as stream:
                    async for item in stream:
                        out.append(item)
            except Exception as error:
                out.append(End("error", error))

        async def both() -> None:
            await asyncio.gather(read(ones, outs[0]), read(others, outs[1]))

        run_virtually(both(), debug=False)
        return outs
    machines: tuple[Machine, Machine] = (stage.machine(), stage.machine())
    over = [False, False]
    for pair in itertools.zip_longest(ones, others):
        for i, item in enumerate(pair):
            if item is not None and not over[i]:
                outs[i].extend(machines[i].feed(item))
                over[i] = bool(outs[i]) and isinstance(outs[i][-1], End)
    for i, machine in enumerate(machines):
        if not over[i]:
            outs[i].extend(machine.finish())
    return outs


def constancy(stage: AnyStage, pieces: Sequence[Item]) -> None:
    """*Constancy*: what was fed and what was given is not changed afterwards, and the same pieces give the same again.

    Raises:
        LawBroken: something changes.
    """
    fed: list[tuple[Any, Any]] = []
    found = trace(stage, _watched(pieces, fed))
    for was, item in fed:
        if was != item:
            raise broken("constancy", "it changes what it was fed", stage, found, gave=item, wanted=was)
    machine = stage.machine() if not waits(stage) else None
    if machine is None:
        return
    kept: list[tuple[Any, Any]] = []
    for piece in pieces:
        kept += [(copy.deepcopy(item), item) for item in machine.feed(piece) if not isinstance(item, End)]
        if machine.ended:
            break
    else:
        machine.finish()
    again = trace(stage, pieces)
    for n, (was, item) in enumerate(kept):
        if was != item:
            raise broken("constancy", f"item {n} was changed after it had been given", stage, again, gave=item, wanted=was)
    gave, wanted = shape([item for item in again.early if not isinstance(item, End)]), shape([was for was, _ in kept])
    if gave != wanted:
        raise broken("constancy", "the same pieces do not give the same again", stage, again, gave=gave, wanted=wanted)


def _watched(pieces: Sequence[Any], fed: list[tuple[Any, Any]]) -> Iterator[Any]:
    for piece in pieces:
        fed.append((copy.deepcopy(piece), piece))
        yield piece


def silence(stage: AnyStage, pieces: Sequence[str]) -> None:
    """*Silence*: no exception, log or repr of a machine holds text. Six characters of it in a row count.

    Raises:
        LawBroken: one does. The message says where, and shows it: it is the test's own text.
    """
    text = "".join(pieces)
    if len(text) < LEAK_CHARS:
        return
    with logged() as records:
        found = trace(stage, pieces)
        said: list[tuple[str, object]] = [("an exception", found.error)] if found.error is not None else []
        if not any(part.function is not None for part in stage.stages):
            machine = stage.machine()
            for piece in pieces:
                machine.feed(piece)
                if machine.ended:
                    break
                said.append(("the repr of the machine", _ADDRESS.sub("", repr(machine))))
    said += [("a log", record) for record in records]
    for what, value in said:
        if part := leaked(value, text):
            raise broken("silence", f"{what} holds text of the stream", stage, found, text=text, holds=part)
