"""How the pump ends, fact by fact: closed, left, cancelled, settled; its source is closed where it was read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import pytest
from test_mutants_pump import Scripted, Source, later, pumped, virtually

from streamfilter.closing import Closing
from streamfilter.pump import Pump


@pytest.mark.parametrize("ran_out", [True, False])
def test_a_source_that_is_being_closed_is_not_disturbed(ran_out: bool) -> None:
    """However often somebody asks for it; a cancel of who asks goes on when it is closed."""

    async def main() -> None:
        machine, source = Scripted(), Source(*([] if ran_out else [(50.0, "a")]), closing=4)
        pump = pumped(machine, source)
        await asyncio.sleep(1)
        await pump.close()
        assert source.closed == ([4.0] if ran_out else [5.0])

    virtually(main)


def test_a_cancel_in_closing_goes_on() -> None:
    """For what is being closed too; the one who waits hears of it when that has ended."""

    async def main() -> None:
        machine, source = Scripted(), Source((50, "a"), closing=4)
        pump = pumped(machine, source)
        await asyncio.sleep(1)
        closing = asyncio.ensure_future(pump.close())
        await asyncio.sleep(1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert closing.cancelled()
        assert source.closed == []

    virtually(main)


class Deaf(Source):
    """Loses a cancel: gives what it has instead."""

    async def step(self) -> Any:
        try:
            return await super().step()
        except asyncio.CancelledError:
            return "late"


@pytest.mark.parametrize("way", ["abandon", "close"])
def test_a_source_that_loses_the_cancel_is_not_read_on(way: str) -> None:
    """Nor is what it gives fed to the machine, whether the consumer closes the stream or vanishes."""

    async def main() -> None:
        machine, source = Scripted(), Deaf((50, "a"), (60, "b"))
        pump = pumped(machine, source)
        await asyncio.sleep(1)
        leaving = getattr(pump, way)()
        if leaving is not None:
            await leaving
        await asyncio.sleep(1)
        assert (source.asked, source.closed, machine.log) == ([0.0], [1.0], [])

    virtually(main)


def test_who_vanishes_has_the_source_closed() -> None:
    """As soon as the loop comes to it; where the loop is closed, nothing can be."""
    sources: list[Source] = []
    pumps: list[Pump] = []

    async def main() -> None:
        for items in ([(50.0, "a")], [(0.0, "a"), (50.0, "b")], []):
            machine = Scripted()
            sources.append(Source(*items))
            pumps.append(pumped(machine, sources[-1]))
        await asyncio.sleep(1)
        for pump in pumps:
            pump.abandon()
        await asyncio.sleep(1)
        assert [source.closed for source in sources] == [[1.0], [1.0], [0.0]]
        assert all(pump.is_settled for pump in pumps)

    virtually(main)
    for pump in pumps:
        pump.abandon()


def test_what_the_machine_had_begun_has_ended_when_the_stream_is_closed() -> None:
    """It is awaited with the source, and cancelled once."""
    ended: list[float] = []

    async def takes_a_while() -> None:
        await asyncio.sleep(2)
        ended.append(asyncio.get_running_loop().time())

    class Busy(Scripted):
        def cancel(self) -> Sequence[Awaitable[object]]:
            self.log.append("cancel")
            return [takes_a_while(), takes_a_while()]

    async def main() -> None:
        machine, source = Busy(), Source((50, "a"))
        pump = pumped(machine, source)
        await asyncio.sleep(1)
        pump.let_go()
        await pump.close()
        assert (ended, source.closed, machine.log) == ([3.0, 3.0], [1.0], ["cancel"])

    virtually(main)


def test_what_is_settled_comes_before_the_error_and_may_be_nothing() -> None:
    """Where both have come before anybody looks; and where the machine only says that it is over."""

    async def main() -> None:
        for fails in (True, False):
            machine, source = Scripted(), Source()
            pump = pumped(machine, source)
            with pytest.raises(StopAsyncIteration):
                await pump.__anext__()
            machine.is_pending = True

            def comes(machine: Scripted = machine, fails: bool = fails) -> None:
                if fails:
                    machine.give("x")
                    machine.error = KeyError("5")
                machine.is_pending = False
                machine.wake()

            later(1, comes)
            assert await pump.settle() == (["x"] if fails else [])
            assert asyncio.get_running_loop().time() == (1.0 if fails else 2.0)
            if fails:
                with pytest.raises(KeyError):
                    await pump.settle()
            assert pump.is_settled
            await pump.close()

    virtually(main)


def test_what_one_of_two_closings_leaves_open_is_not_forgotten_by_the_other() -> None:
    """The first waits for a slow source while the second finds a generator at work; who closes then closes that."""

    async def main() -> tuple[list[str], list[bool]]:
        closed: list[str] = []
        may_go, may_close = asyncio.Event(), asyncio.Event()

        class Slow:
            async def aclose(self) -> None:
                await may_close.wait()
                closed.append("slow")

        async def busy() -> AsyncIterator[str]:
            try:
                await may_go.wait()
                yield "a"
            finally:
                closed.append("busy")

        below = busy()
        reading = asyncio.ensure_future(anext(below))
        await asyncio.sleep(0)
        closing = Closing(Slow(), (below,))
        first = asyncio.create_task(closing.close())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task reads the source"):
            await closing.close()
        may_close.set()
        with pytest.raises(RuntimeError, match="another task reads the source"):
            await first
        open_then = [closing.is_open]
        may_go.set()
        await reading
        await closing.close()
        return closed, [*open_then, closing.is_open]

    assert asyncio.run(main()) == (["slow", "busy"], [True, False])
