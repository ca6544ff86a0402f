"""Work in steps, fact by fact: what the driver and the pump do between them, and what others may do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from test_mutants_pump import Scripted, Source, pumped, virtually

import streamfilter as sf
from streamfilter.chain import Chain
from streamfilter.machine import Machine
from streamfilter.slices import SLICE_CHARS, Steps
from streamfilter.stream import Segment, Stream, open_stream
from streamfilter.testing import ScriptedSource

# ------------------------------------------------------------------ the driver

END = sf.End("stop")


class Driven(Machine):
    """Gives each of a list in a step of its own, and anything else as it is; writes down what it is asked for."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def feed(self, item: Any) -> Sequence[Any]:
        self.log.append(("feed", item))
        return [item]

    def begin(self, item: Any) -> tuple[Sequence[Any], Steps | None]:
        self.log.append(("begin", item))
        return super().begin(item)

    def steps(self, item: Any) -> Steps | None:
        return self._steps(item) if isinstance(item, list) else None

    def _steps(self, items: list[Any]) -> Steps:
        for item in items[:-1]:
            self.log.append(item)
            yield () if item == "-" else [item]
        self.log.append(items[-1])
        self.ended = items[-1] is END
        return items[-1:]

    def drain(self, item: Any) -> Sequence[Any]:
        self.log.append(("drain", item))
        return [item]

    def finish(self) -> Sequence[Any]:
        self.log.append("finish")
        return ["last"]


def opened(
    machine: Machine, items: Sequence[Any], after_stop: Any = "close", **options: Any
) -> tuple[Stream[Any], ScriptedSource[Any]]:
    """A stream of one machine."""
    source = ScriptedSource(items)
    segments = [Segment("Driven", lambda context: machine)]
    return open_stream(segments, source, None, after_stop, **{"is_live": True, **options}), source


SMALL, LARGE = "x" * SLICE_CHARS, "x" * (SLICE_CHARS + 1)
DELTAS = [sf.TextDelta(SMALL), sf.TextDelta(LARGE)]


async def _given(stream: Any) -> list[Any]:
    return [item async for item in stream]


def test_only_what_may_take_long_is_begun() -> None:
    """Text that is more than a slice, and what is no text, if the machine has steps at all and others want a turn."""
    items = [SMALL, LARGE, *DELTAS, 7]
    begun = [("feed", SMALL), ("begin", LARGE), ("feed", LARGE), ("feed", DELTAS[0])]
    begun += [("begin", DELTAS[1]), ("feed", DELTAS[1]), ("begin", 7), ("feed", 7)]
    fed = [entry for entry in begun if entry[0] == "feed"]

    class Without(Driven):
        steps = Machine.steps

    for kind, is_live, want in ((Driven, True, begun), (Driven, False, fed), (Without, True, fed)):
        log: list[Any] = []
        assert asyncio.run(_given(opened(kind(log), items, is_live=is_live)[0])) == [*items, "last"]
        assert log == [*want, "finish"]


def test_a_segment_without_a_machine_passes_everything() -> None:
    """As it came, however large."""
    items = [SMALL, LARGE, *DELTAS, 7]
    stream = open_stream([Segment("nothing")], ScriptedSource(items), None, "close", is_live=True)
    assert asyncio.run(_given(stream)) == items


def test_others_have_a_turn_before_each_step_but_the_first() -> None:
    """Whether it gives something or not."""
    log: list[Any] = []

    async def count() -> None:
        while True:
            log.append("turn")
            await asyncio.sleep(0)

    async def main() -> list[Any]:
        counting = asyncio.create_task(count())
        await asyncio.sleep(0)
        log.clear()
        got = await _given(opened(Driven(log), [["a", "-", "-", "b"], "c"])[0])
        counting.cancel()
        return got

    items = ["a", "-", "-", "b"]
    assert asyncio.run(main()) == ["a", "b", "c", "last"]
    assert log == [("begin", items), "a", "turn", "-", "turn", "-", "turn", "b", ("feed", "c"), "finish"]


@pytest.mark.parametrize("end", ["in a step", "at once"])
def test_behind_an_end_nothing_is_begun(end: str) -> None:
    """What is drained is drained whole; what is not is not read."""
    usage = sf.Usage(1)
    first = ["a", END] if end == "in a step" else [END]
    for after_stop in ("close", "drain"):
        log: list[Any] = []
        stream, source = opened(Driven(log), [first, LARGE, ["c"], usage], after_stop)
        late = [LARGE, ["c"], usage] if after_stop == "drain" else []
        assert asyncio.run(_given(stream)) == [*first[:-1], *late, "last"]
        assert log[1:] == [*first, *(("drain", item) for item in late), "finish"]
        assert source.closed == 1


@pytest.mark.parametrize("waits", [False, True])
def test_a_stream_that_is_refused_is_not_finished(waits: bool) -> None:
    """What is held dies; what was given before leaves, then the error is raised, once."""

    class Refusing(Driven):
        def feed(self, item: Any) -> Sequence[Any]:
            self.ended = True
            return [item, sf.End("error", ValueError("no"))]

    Refusing.waits = waits
    for after_stop in ("close", "drain"):
        log: list[Any] = []

        async def main(after_stop: str = after_stop, log: list[Any] = log) -> list[Any]:
            stream, source = opened(Refusing(log), ["a", sf.Usage(1)], after_stop)
            got: list[Any] = []
            with pytest.raises(ValueError, match="no"):
                while True:
                    got.append(await stream.__anext__())
            assert source.closed == 1
            return [*got, *await _given(stream)]

        assert asyncio.run(main()) == ["a", *([sf.Usage(1)] if after_stop == "drain" else [])]
        assert "finish" not in log


def test_what_a_pump_gives_is_not_begun_again() -> None:
    """It has been through the machine."""

    class Waiting(Driven):
        waits = True

    log: list[Any] = []
    assert asyncio.run(_given(opened(Waiting(log), [["a", "-", "b"], 7])[0])) == ["a", "b", 7, "last"]
    assert log == [("begin", ["a", "-", "b"]), "a", "-", "b", ("begin", 7), ("feed", 7), "finish"]


def test_a_stream_that_is_closed_in_the_turn_of_another_is_over() -> None:
    """No further step is taken, nothing is finished, and the reader has the end."""
    log: list[Any] = []

    async def main() -> list[Any]:
        stream, source = opened(Driven(log), [["a", "-", "b"], "c"])
        got = [await stream.__anext__()]
        reading = asyncio.ensure_future(_given(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        got += await reading
        assert source.closed == 1
        assert stream._work is None
        return got

    assert asyncio.run(main()) == ["a"]
    assert log == [("begin", ["a", "-", "b"]), "a"]


def test_a_stream_that_waits_is_closed_where_it_was_read() -> None:
    """Though its source is just being read; nothing is finished or given then, and no task is left."""
    closed: list[bool] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    class Waiting(Driven):
        waits = True

    async def main(log: list[Any]) -> None:
        stream = open_stream([Segment("Waiting", lambda context: Waiting(log))], source(), None, "close", is_live=True)
        assert await stream.__anext__() == "a"
        await asyncio.sleep(0)
        await stream.aclose()
        assert closed == [True]
        assert await _given(stream) == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    log: list[Any] = []
    asyncio.run(main(log))
    assert log == [("feed", "a")]


def test_what_arrives_after_the_stream_was_closed_is_gone() -> None:
    """And what was held: from a source that gives something to who waits for it when it is closed by another."""

    class Late(ScriptedSource[str]):
        def __init__(self, late: str) -> None:
            super().__init__(["a sec"])
            self.late, self.arrived = late, asyncio.get_running_loop().create_future()

        async def __anext__(self) -> str:
            if self.given:
                return str(await self.arrived)
            return await super().__anext__()

        async def aclose(self) -> None:
            if not self.arrived.done():
                self.arrived.set_result(self.late)

    async def main(late: str) -> list[Any]:
        stream: Any = sf.Redact("secret", to="#")(Late(late))
        got = [await stream.__anext__()]
        reading = asyncio.ensure_future(_given(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        return got + await reading

    for late in ("ret", "urely b", "secret" + LARGE):
        assert asyncio.run(main(late)) == ["a "]


# ------------------------------------------------------------------ the pump


class Working(Scripted):
    """Gives each of a list in a step of its own, where None is nothing; at some of them something happens, in that turn or the next."""

    def __init__(self) -> None:
        super().__init__()
        self.then: dict[Any, Callable[[], object]] = {}
        self.soon: dict[Any, Callable[[], object]] = {}

    def steps(self, item: Any) -> Steps | None:
        if isinstance(item, str):
            self.log.append("begin")
        return self._steps(item) if isinstance(item, list) else None

    def _steps(self, items: list[Any]) -> Steps:
        for item in items[:-1]:
            yield self._step(item)
        return self._step(items[-1])

    def _step(self, item: Any) -> Sequence[Any]:
        self.then.get(item, bool)()
        if item in self.soon:
            asyncio.get_running_loop().call_soon(self.soon[item])
        return [each for each in self._work(item, [item]) if each[0] != "-"]


def test_what_comes_by_itself_waits_for_the_last_step() -> None:
    """Whether it comes in a step or between two; it is collected once, and what is given leaves as it comes."""

    async def main() -> None:
        for when in ("then", "soon"):
            machine = Working()
            getattr(machine, when).update({"-a": partial(machine.give, "x"), "b": partial(machine.give, "y")})
            source = Source((0, ["-a", "b", "-c", "d"]), (0, ["-e", "f"]), (50, "g"))
            pump = pumped(machine, source)
            assert await pump.__anext__() == ["b"]
            assert machine.log == ["-a", "b"]
            assert await pump.__anext__() == ["d", "x", "y"]
            assert machine.log == ["-a", "b", "-c", "d", "collect"]
            machine.log.clear()
            assert await pump.__anext__() == ["f"]
            await asyncio.sleep(1)
            machine.give("z")
            assert await pump.__anext__() == ["z"]
            assert machine.log == ["-e", "f", "collect"]
            await pump.close()

    virtually(main)


def test_work_that_was_begun_is_ended() -> None:
    """Though the machine is full meanwhile, or has ended: it is asked for that behind the last step. Others have their turns."""

    async def main() -> None:
        turns: list[int] = []
        steps = [f"-{n}" for n in range(7)]

        async def count() -> None:
            while True:
                turns.append(len(machine.log))
                await asyncio.sleep(0)

        for name in ("is_full", "ended"):
            machine, source = Working(), Source((0, [*steps, "x"]), (0, "late"))
            machine.then = {"-1": partial(setattr, machine, name, True)}
            pump = pumped(machine, source)
            counting = asyncio.ensure_future(count())
            assert await pump.__anext__() == ["x"]
            counting.cancel()
            await asyncio.sleep(1)
            assert machine.log == [*steps, "x"]
            assert len(source.asked) == 1
            assert {*range(1, 8)} <= {*turns}
            turns.clear()
            assert bool(source.closed) == (name == "ended")
            await pump.close()

    virtually(main)


def test_nothing_is_gone_on_with_until_what_was_given_is_taken() -> None:
    """A step that gives something is the last until then."""

    async def main() -> None:
        machine, source = Working(), Source((0, ["a", "-b", "c", "d"]), (0, "e"))
        pump = pumped(machine, source)
        for given, done in (("a", 1), ("c", 3), ("d", 4), ("e", 5)):
            await asyncio.sleep(1)
            assert machine.log == ["a", "-b", "c", "d", "e"][:done]
            pump._resume()  # looks again, in vain
            await asyncio.sleep(1)
            assert len(machine.log) == done
            assert await pump.__anext__() == [given]
        await pump.close()

    virtually(main)


@pytest.mark.parametrize("way", ["let_go", "close", "_vanish"])
def test_work_that_is_left_is_not_gone_on_with(way: str) -> None:
    """Wherever it is left: nothing more is done or fed."""

    async def main() -> None:
        machine, source = Working(), Source((0, ["-a", "-b", "-c"]), (0, "d"))
        pump = pumped(machine, source)
        left: list[Any] = []

        def leaves() -> None:
            given = getattr(pump, way)()
            if given is not None:
                left.append(asyncio.ensure_future(given))

        machine.soon = {"-a": leaves}
        await asyncio.sleep(1)
        assert machine.log == ["-a", "-b"][: 2 if way == "close" else 1]
        assert source.closed == [0.0]
        if way != "close":
            assert pump._under_way is None
        await pump.close()

    virtually(main)


def test_an_error_in_a_step_comes_behind_what_was_given() -> None:
    """The machine is asked for nothing more."""

    async def main() -> None:
        machine, source = Working(), Source((0, ["a", "-b", "c"]), (0, "d"))
        machine.then = {"-b": lambda: 1 // 0}
        pump = pumped(machine, source)
        assert await pump.__anext__() == ["a"]
        with pytest.raises(ZeroDivisionError):
            await pump.__anext__()
        machine.give("x")
        await asyncio.sleep(1)
        assert (machine.log, len(source.closed)) == (["a"], 1)
        await pump.close()

    virtually(main)


def test_only_what_is_more_than_a_slice_is_looked_at_for_steps() -> None:
    """Of text; what is drained never is."""

    async def main() -> None:
        small, large = "x" * SLICE_CHARS, "x" * (SLICE_CHARS + 1)
        machine, source = Working(), Source((0, small), (0, large), (0, large), (0, ["a"]))
        pump = pumped(machine, source, drains=True)
        assert [await pump.__anext__() for _ in range(2)] == [[small], [large]]
        assert machine.log == [small, "begin", large]
        machine.log.clear()
        pump.drain()
        await asyncio.sleep(1)
        assert machine.log == [("drain", large), ("drain", ["a"])]
        await pump.close()

    virtually(main)


def test_a_chain_is_asked_when_one_of_its_machines_has_something() -> None:
    """Whichever; it goes through those behind it."""

    async def main() -> None:
        for n in range(3):
            machines: list[Machine] = [Driven([]) for _ in range(3)]
            machines[n] = machine = Scripted()
            pump = pumped(Chain(machines), Source((50, "a")))
            asyncio.get_running_loop().call_later(1, machine.give, "x")
            assert await pump.__anext__() == ["x"]
            await pump.close()

    virtually(main)
