"""The pump, fact by fact: when it reads, what it tells the machine and its watchers, and what is over when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.closing import Closing
from streamfilter.machine import Machine
from streamfilter.pump import Pump
from streamfilter.testing import run_virtually


class Watching:
    """Writes down what the driver waits for, with the time."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.give_up: Callable[[BaseException], None] | None = None

    def reading(self, give_up: Callable[[BaseException], None] | None) -> None:
        self.told.append(("reading", give_up is not None, asyncio.get_running_loop().time()))
        self.give_up = give_up or self.give_up

    def wanted(self, is_wanted: bool) -> None:  # as `Watcher` has it
        self.told.append(("wanted", is_wanted, asyncio.get_running_loop().time()))


class Scripted(Machine):
    """Gives what it is fed and what is put into it; writes down who calls it, and whether somebody else was at work."""

    waits = True

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.waiting: list[Any] = []
        self.last: list[Any] = []
        self.wakes: Callable[[], None] | None = None  # in the middle of its work
        self.error: BaseException | None = None
        self._at_work = False

    def attach(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def give(self, *items: Any) -> None:
        """Something comes by itself."""
        self.waiting += items
        self.wake()

    def _work(self, name: Any, given: list[Any]) -> Sequence[Any]:
        assert not self._at_work
        self._at_work = True
        self.log.append(name)
        if self.wakes is not None:
            wakes, self.wakes = self.wakes, None
            wakes()
        self._at_work = False
        if self.error is not None:
            raise self.error
        return given

    def feed(self, item: Any) -> Sequence[Any]:
        return self._work(item, [item])

    def collect(self) -> Sequence[Any]:
        given, self.waiting = self.waiting, []
        return self._work("collect", given)

    def finish(self) -> Sequence[Any]:
        return self._work("finish", self.last)

    def drain(self, item: Any) -> Sequence[Any]:
        return self._work(("drain", item), [])


class Source:
    """Gives its items at their times, counted from the beginning, and may take a while to be closed."""

    def __init__(self, *items: tuple[float, Any], closing: float = 0.0) -> None:
        self.items, self.takes = list(items), closing
        self.asked: list[float] = []
        self.closed: list[float] = []

    async def step(self) -> Any:
        loop = asyncio.get_running_loop()
        self.asked.append(loop.time())
        if not self.items:
            raise StopAsyncIteration
        when, item = self.items.pop(0)
        await asyncio.sleep(max(0.0, when - loop.time()))
        if isinstance(item, BaseException):
            raise item
        return item

    async def aclose(self) -> None:
        await asyncio.sleep(self.takes)
        self.closed.append(asyncio.get_running_loop().time())


def pumped(machine: Machine, source: Source, *, drains: bool = False) -> Pump:
    return Pump(machine, source.step, Closing(source, []), drains=drains, name="Scripted")


def later(seconds: float, fn: Callable[..., object], *given: Any) -> None:
    asyncio.get_running_loop().call_later(seconds, fn, *given)


def virtually(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(whole())


def test_without_an_event_loop_the_stage_is_named() -> None:
    """Nothing has been begun by then."""
    with pytest.raises(RuntimeError, match=r"^Scripted waits, which needs asyncio: run the stream in its event loop$") as raised:
        pumped(Scripted(), Source())
    assert raised.value.__suppress_context__


def test_nothing_is_read_while_something_is_ready_or_the_machine_is_full() -> None:
    """Either is enough, also if it comes about while an item is under way; taking it, or room in the machine, reads on."""

    async def main() -> None:
        machine, source = Scripted(), Source((0, "a"), (0, "b"), (0, "c"))
        pump = pumped(machine, source)
        await asyncio.sleep(1)
        assert (source.asked, machine.log) == ([0.0], ["a"])  # "a" is ready
        assert await pump.__anext__() == ["a"]
        machine.is_full = True
        await asyncio.sleep(1)
        assert source.asked == [0.0]
        pump._resume()  # looks again, in vain
        await asyncio.sleep(1)
        assert source.asked == [0.0]
        machine.is_full = False
        machine.wake()
        await asyncio.sleep(1)
        assert (source.asked, machine.log) == ([0.0, 3.0], ["a", "collect", "b"])
        await pump.close()
        assert source.closed == [4.0]

    virtually(main)


def test_a_machine_that_is_full_of_what_it_was_fed_is_fed_no_more() -> None:
    """It has given nothing, so nobody takes anything: there is room when it says so."""

    class Filling(Scripted):
        def feed(self, item: Any) -> Sequence[Any]:
            self.is_full = True
            super().feed(item)
            return ()

    async def main() -> None:
        machine, source = Filling(), Source((0, "a"), (0, "b"))
        pump = pumped(machine, source)
        await asyncio.sleep(1)
        assert (source.asked, machine.log) == ([0.0], ["a"])
        machine.is_full = False
        machine.wake()
        await asyncio.sleep(1)
        assert (source.asked, machine.log) == ([0.0, 1.0], ["a", "collect", "b"])
        await pump.close()

    virtually(main)


def test_what_comes_by_itself_is_given_in_order_with_what_is_read() -> None:
    """All that has come meanwhile at once, also several times, and also behind it what is read then."""

    async def main() -> None:
        machine, source = Scripted(), Source((3, "read"), (9, "late"))
        pump = pumped(machine, source)
        later(1, machine.give, "one")
        later(2, machine.give, "two", "three")
        await asyncio.sleep(4)
        assert await pump.__anext__() == ["one", "two", "three", "read"]
        later(1, machine.give, "four")
        assert await pump.__anext__() == ["four"]
        assert asyncio.get_running_loop().time() == 5.0
        assert await pump.__anext__() == ["late"]
        with pytest.raises(StopAsyncIteration):
            await pump.__anext__()
        machine.last = ["last"]
        machine.is_pending = True
        assert (await pump.settle(), pump.is_settled) == (["last"], False)
        later(1, machine.give, "five")
        later(1, setattr, machine, "is_pending", False)
        assert (await pump.settle(), machine.log[-2:]) == (["five"], ["finish", "collect"])
        await asyncio.sleep(0)
        assert pump.is_settled
        await pump.close()

    virtually(main)


def test_a_machine_that_wakes_its_driver_at_work_is_asked_afterwards() -> None:
    """Whether it is fed, asked or finished: it is never called from within itself, and nothing is lost."""

    async def main() -> None:
        machine, source = Scripted(), Source((1, "a"))
        pump = pumped(machine, source)
        machine.wakes = lambda: machine.give("by itself")
        await asyncio.sleep(2)
        assert await pump.__anext__() == ["a", "by itself"]
        machine.wakes = lambda: machine.give("again")
        machine.give("first")
        await asyncio.sleep(2)
        assert await pump.__anext__() == ["first", "again"]
        with pytest.raises(StopAsyncIteration):
            await pump.__anext__()
        machine.last, machine.is_pending = ["last"], True
        machine.wakes = lambda: machine.give("then")
        assert await pump.settle() == ["last"]
        assert await pump.settle() == ["then"]
        assert machine.log == ["a", "collect", "collect", "collect", "finish", "collect"]
        machine.is_pending = False
        await pump.close()

    virtually(main)


@pytest.mark.parametrize("drains", [True, False])
def test_when_the_machine_has_ended_nothing_is_read_but_what_is_drained(drains: bool) -> None:
    """And that only once the driver says so. The source is closed where it was read."""

    async def main() -> None:
        machine, source = Scripted(), Source((0, "a"), (5, "b"), (6, "c"))
        pump = pumped(machine, source, drains=drains)

        def ends() -> None:
            machine.ended = True
            machine.give(sf.End("stop"))

        later(1, ends)
        assert await pump.__anext__() == ["a"]
        assert await pump.__anext__() == [sf.End("stop")]
        await asyncio.sleep(9)
        assert (source.asked, machine.log) == ([0.0, 0.0], ["a", "collect"])
        assert source.closed == ([] if drains else [5.0])
        if drains:
            pump.drain()
            with pytest.raises(StopAsyncIteration):
                await pump.__anext__()
            assert machine.log[2:] == [("drain", "b"), ("drain", "c")]
        await pump.close()
        assert len(source.closed) == 1

    virtually(main)


def test_a_machine_that_ends_at_what_it_is_fed_closes_the_source() -> None:
    """Without another item, and without the driver."""

    async def main() -> None:
        machine, source = Scripted(), Source((0, "a"), (0, "b"))
        pump = pumped(machine, source)
        machine.wakes = lambda: setattr(machine, "ended", True)
        assert await pump.__anext__() == ["a"]
        await asyncio.sleep(1)
        assert (source.asked, source.closed) == ([0.0], [0.0])
        await pump.close()
        assert source.closed == [0.0]

    virtually(main)


def test_an_error_comes_behind_what_was_given_before_it_and_nothing_is_read_or_asked_then() -> None:
    """Whoever raises it: the source, the machine when it is asked, or when it is finished."""

    async def source_fails() -> None:
        machine, source = Scripted(), Source((1, "a"), (2, OSError("1")))
        pump = pumped(machine, source)
        later(1.5, machine.give, "by itself")
        assert await pump.__anext__() == ["a"]
        await asyncio.sleep(5)
        assert await pump.__anext__() == ["by itself"]
        for _ in range(2):
            with pytest.raises(OSError, match="1"):
                await pump.__anext__()
        machine.give("too late")
        assert machine.log == ["a", "collect"]
        assert source.closed == [2.0]
        await pump.close()

    async def asking_fails() -> None:
        machine, source = Scripted(), Source((1, "a"), (3, "b"), (4, "c"))
        pump = pumped(machine, source)
        assert await pump.__anext__() == ["a"]
        machine.error = KeyError("2")
        later(0.5, machine.give, "x")
        with pytest.raises(KeyError):
            await pump.__anext__()
        machine.error = None
        await asyncio.sleep(9)
        assert (machine.log, source.asked) == (["a", "collect"], [0.0, 1.0])
        assert source.closed == [3.0]
        await pump.close()

    async def settling_fails() -> None:
        machine, source = Scripted(), Source()
        pump = pumped(machine, source)
        with pytest.raises(StopAsyncIteration):
            await pump.__anext__()
        machine.last, machine.is_pending = ["last"], True
        later(1, setattr, machine, "error", KeyError("3"))
        later(1, machine.give, "x")
        assert await pump.settle() == ["last"]
        with pytest.raises(KeyError):
            await pump.settle()
        await pump.close()

    async def both() -> None:
        machine, source = Scripted(), Source()
        pump = pumped(machine, source)
        with pytest.raises(StopAsyncIteration):
            await pump.__anext__()
        machine.last, machine.is_pending = ["last"], True

        def fails() -> None:
            machine.error = KeyError("4")
            machine.wake()

        machine.wakes = fails  # asked when `finish` has given
        with pytest.raises(KeyError):
            await pump.settle()
        await pump.close()

    for main in (source_fails, asking_fails, settling_fails, both):
        virtually(main)


def test_watchers_hear_what_is_waited_for_and_may_give_up() -> None:
    """Reading is over before the machine is fed; whoever gives up ends the stream as the source's error would."""

    async def main() -> None:
        machine, source, watching = Scripted(), Source((1, "a"), (50, "b")), Watching()
        machine.watchers = (watching,)
        pump = pumped(machine, source)
        assert await pump.__anext__() == ["a"]
        assert watching.told == [
            ("wanted", True, 0.0),
            ("reading", True, 0.0),
            ("reading", False, 1.0),
            ("wanted", False, 1.0),
        ]
        watching.told.clear()
        assert watching.give_up is not None
        later(2, watching.give_up, TimeoutError("enough"))
        later(4, watching.give_up, TimeoutError("more"))
        with pytest.raises(TimeoutError, match="enough"):
            await pump.__anext__()
        assert watching.told == [("wanted", True, 1.0), ("reading", True, 1.0), ("wanted", False, 3.0)]
        await asyncio.sleep(3)
        with pytest.raises(TimeoutError, match="enough"):
            await pump.__anext__()
        await pump.close()
        assert source.closed == [6.0]

    virtually(main)


def test_who_gives_up_while_the_machine_is_fed_ends_the_reading() -> None:
    """No further item is asked for."""

    async def main() -> None:
        machine, source, watching = Scripted(), Source((1, "a"), (2, "b")), Watching()
        machine.watchers = (watching,)
        pump = pumped(machine, source)

        def gives_up() -> None:
            assert watching.give_up is not None
            watching.give_up(TimeoutError("enough"))

        machine.wakes = gives_up
        assert await pump.__anext__() == ["a"]
        await asyncio.sleep(5)
        assert (source.asked, source.closed) == ([0.0], [1.0])
        with pytest.raises(TimeoutError, match="enough"):
            await pump.__anext__()
        await pump.close()

    virtually(main)


def test_a_second_reader_is_refused_by_name() -> None:
    """The first goes on."""

    async def main() -> None:
        machine, source = Scripted(), Source((5, "a"))
        pump = pumped(machine, source)
        first = asyncio.ensure_future(pump.__anext__())
        await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match=r"^somebody waits for the next item of the stream of Scripted already$"):
            await pump.__anext__()
        assert await first == ["a"]
        await pump.close()

    virtually(main)


def test_what_is_let_go_gives_nothing_more() -> None:
    """What was ready dies, nobody is asked, and who waits gets the end."""

    async def main() -> None:
        machine, source = Scripted(), Source((1, "a"), (9, "b"))
        pump = pumped(machine, source)
        await asyncio.sleep(2)
        pump.let_go()
        machine.give("x")
        with pytest.raises(StopAsyncIteration):
            await pump.__anext__()
        assert (machine.log, pump.is_settled) == (["a"], True)
        await pump.close()
        assert (source.closed, source.asked) == ([2.0], [0.0])

    virtually(main)
