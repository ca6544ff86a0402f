"""Machines that wait, their pump and their driver: what hostile sources, checks and consumers must not be able to do."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import Mark, ScriptedSource, run_virtually


async def _lines(*lines: tuple[float, Any]) -> AsyncIterator[Any]:
    for seconds, line in lines:
        await asyncio.sleep(seconds)
        yield line


def _check(seconds: float, bad: str = "bad\n") -> Callable[[sf.Window], Any]:
    async def check(window: sf.Window) -> bool:
        await asyncio.sleep(seconds)
        return bad not in window.text

    return check


async def _read(stream: Any, pause: float = 0.0) -> tuple[list[Any], BaseException | None]:
    """All that a consumer gets who takes his time."""
    out: list[Any] = []
    try:
        async for item in stream:
            out.append(item)
            await asyncio.sleep(pause)
    except BaseException as error:  # whatever it is
        return out, error
    return out, None


LINES = sf.by_line()


@pytest.mark.parametrize("mode", ["hold", "optimistic"])
@pytest.mark.parametrize("late", ["SECRET\n", Mark(scope=None), sf.TextDelta("SECRET", sf.Channel("tool_arguments"))])
@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_what_arrives_when_a_verdict_has_ended_the_stream_is_not_fed(mode: Any, late: Any, after_stop: Any) -> None:
    """The reader was waiting for it when the flag came, and the consumer is busy: it came too late."""
    asked: list[str] = []

    async def check(window: sf.Window) -> bool:
        asked.append(window.text)
        await asyncio.sleep(1.0)
        return False

    async def main() -> tuple[list[Any], BaseException | None]:
        source = _lines((0, "bad\n"), (1.5, late), (0.1, "more\n"))
        stage = sf.Moderate(check, mode=mode, window=LINES)
        async with stage(source, after_stop=after_stop) as stream:
            return await _read(stream, 5.0)

    out, error = run_virtually(main())
    assert out == (["bad\n"] if mode == "optimistic" else [])
    assert isinstance(error, sf.Blocked)
    assert asked == ["bad\n"]


def test_late_chunks_of_a_drained_stream_do_not_break_wrap() -> None:
    """A chunk that arrives between the flag and its delivery is drained like those after it."""

    def chunk(text: str, **rest: Any) -> dict[str, Any]:
        return {"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **rest}

    async def main() -> tuple[list[Any], BaseException | None]:
        source = _lines((0, chunk("ok\nbad\n")), (2.1, chunk("x", usage={"n": 1})), (9, chunk("y")))
        stage = chat.wrap(sf.Moderate(_check(1.0), window=LINES, action="stop"))
        async with stage(source, after_stop="drain") as stream:
            return await _read(stream, 5.0)

    out, error = run_virtually(main())
    assert error is None
    assert [(each["choices"] or [{}])[0].get("delta") for each in out] == [{"content": "ok\n"}, {}, None]
    assert [each["usage"] for each in out if each.get("usage")] == [{"n": 1}]


class Odd(BaseException):
    """What nobody catches."""


@pytest.mark.parametrize("is_async", [True, False])
def test_a_base_exception_of_a_check_ends_the_stream(is_async: bool) -> None:
    """It reaches the consumer, like any other."""

    def plain(window: sf.Window) -> bool:
        raise Odd

    async def check(window: sf.Window) -> bool:
        raise Odd

    async def main() -> BaseException | None:
        async with sf.Moderate(check if is_async else plain)(ScriptedSource(["x"])) as stream:
            return (await _read(stream))[1]

    assert isinstance(run_virtually(main()), Odd)


def test_a_shadow_that_gives_something_else_is_told_off_after_its_run() -> None:
    """The run is over, its last check is not: the `TypeError` still comes."""

    async def check(window: sf.Window) -> Any:
        await asyncio.sleep(3.0)

    async def main() -> tuple[list[Any], BaseException | None]:
        async with sf.Moderate(check, mode="shadow")(_lines((0, "Hello"), (0, sf.Finish("stop")))) as stream:
            return await _read(stream)

    out, error = run_virtually(main())
    assert (out, type(error)) == (["Hello", sf.Finish("stop")], TypeError)


def test_a_shadow_does_not_delay_text() -> None:
    """However slow its checks are."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        async with sf.Moderate(_check(50.0), mode="shadow", window=LINES)(_lines(*[(1.0, f"{n}\n") for n in range(5)])) as stream:
            return [loop.time() async for _ in stream]

    assert run_virtually(main()) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_leaving_while_somebody_waits_for_the_last_verdict() -> None:
    """The one who waits gets the end of the stream."""

    async def main() -> tuple[list[Any], BaseException | None]:
        stream = sf.Moderate(_check(9.0))(ScriptedSource(["x"]))
        reading = asyncio.ensure_future(_read(stream))
        await asyncio.sleep(1.0)
        await stream.aclose()
        return await reading

    assert run_virtually(main()) == ([], None)


def test_a_source_that_loses_a_cancel_is_left_all_the_same() -> None:
    """`asyncio.wait_for` of 3.11 forgets a cancel when its item has come in the same round: nothing more is read or asked."""
    asked: list[str] = []

    async def check(window: sf.Window) -> bool:
        asked.append(window.text)
        return True

    class Deaf:
        closed = 0

        def __aiter__(self) -> Deaf:
            return self

        async def __anext__(self) -> str:
            try:
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:
                return "late\n"
            return "line\n"

        async def aclose(self) -> None:
            Deaf.closed += 1

    async def main() -> float:
        async with sf.Moderate(check, window=LINES)(Deaf()) as stream:
            assert await stream.__anext__() == "line\n"
            await asyncio.sleep(0.5)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == 1.5
    assert (asked, Deaf.closed) == (["line\n"], 1)


class Ending(sf.TextMachine):
    """Ends the stream with its run."""

    def feed(self, text: str) -> None:
        return None

    def finish(self) -> None:
        self.hold.keep(len(self.hold))
        self.done = sf.End("stop")


@sf.stage
class EndsIt(sf.TextStage):
    """A stage that ends the stream when its run ends."""

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        return Ending()


def test_what_is_given_last_comes_before_the_end() -> None:
    """A machine ends the stream when it is finished, and one behind it has something to say at its end: no `End` is delivered."""
    chunk = {"id": "1", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}
    out = list((chat.Decode() | EndsIt() | chat.Encode(as_bytes=True)).iter([chunk]))
    assert all(isinstance(item, bytes) for item in out)
    assert out[-1] == b"data: [DONE]\n\n"


def test_tasks_that_start_at_once() -> None:
    """With an eager task factory (3.12) a check may be through before it was known to have begun."""
    if not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("this Python has no eager tasks")

    async def main(bad: str) -> tuple[list[Any], BaseException | None]:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # 3.11 has none

        async def check(window: sf.Window) -> bool:
            return window.text != bad

        async with sf.Moderate(check, window=LINES, concurrency=2)(ScriptedSource(["a\nb\n", "c\nd\ne"])) as stream:
            return await _read(stream)

    assert run_virtually(main("")) == (["a\n", "b\n", "c\n", "d\n", "e"], None)
    out, error = run_virtually(main("c\n"))
    assert (out, type(error)) == (["a\n", "b\n"], sf.Blocked)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("when", [0.5, 1.5, 2.5, 3.5])
def test_cancelled_once_or_twice_the_source_is_closed(times: int, when: float) -> None:
    """While it is read, while verdicts are waited for, while it is being closed; and no task stays."""

    class Slow(ScriptedSource[str]):
        async def aclose(self) -> None:
            self.closed += 1
            await asyncio.sleep(1.0)

    async def main() -> None:
        source = Slow(["One. ", "Two"], pause=lambda: asyncio.sleep(1.0))

        async def read() -> None:
            async with sf.Moderate(_check(9.0))(source) as stream:
                await _read(stream)

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(when)
        for _ in range(times):
            reading.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([reading])
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert source.closed == 1

    run_virtually(main())


@pytest.mark.parametrize("takes", [1, 9])
def test_a_source_is_closed_in_the_task_that_read_it(takes: int) -> None:
    """Also one that has not run out, beneath an async function that has: what it holds open (a time-out) belongs to a task."""
    tasks: list[Any] = []

    async def source() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        try:
            for line in ("a\n", "b\n", "c\n"):
                yield line
        finally:
            tasks.append(asyncio.current_task())

    async def some(stream: AsyncIterator[str]) -> AsyncIterator[str]:
        n = 0
        async for item in stream:
            yield item
            n += 1
            if n == takes:
                return

    async def main() -> None:
        async with (some | sf.Moderate(_check(1.0), window=LINES))(source()) as stream:
            await _read(stream)
        assert tasks[0] is tasks[1]

    run_virtually(main())


def test_checks_and_callbacks_see_the_callers_variables_and_no_others() -> None:
    """What one check sets, no other sees, nor a stage behind."""
    variable = contextvars.ContextVar("variable", default="")
    seen: list[str] = []

    async def check(window: sf.Window) -> bool:
        seen.append(variable.get())
        variable.set("a check's")
        await asyncio.sleep(1.0)
        return True

    async def main() -> None:
        variable.set("the caller's")
        stage = sf.Moderate(check, window=sf.by_line(max_wait=0.5)) | sf.Tap(lambda _: seen.append(variable.get()))
        async with stage(_lines((0, "a\nb\nc"), (3, "d\n"))) as stream:
            await _read(stream)

    run_virtually(main())
    assert set(seen) == {"the caller's"}
    assert len(seen) == 8


def test_nothing_is_read_when_something_has_raised() -> None:
    """An exception of a stage behind the check, when a verdict comes by itself."""

    def fail(item: Any) -> None:
        raise ValueError("boom")

    class Raising(sf.Machine):
        def feed(self, item: sf.Item) -> Sequence[sf.Item]:
            raise ValueError("boom")

    @sf.stage
    class Raises(sf.Stage[str, str]):
        """Raises."""

        def machine(self, context: sf.Context | None = None) -> sf.Machine:
            return Raising()

    async def main(stage: Any) -> tuple[int, BaseException | None]:
        source = ScriptedSource([f"{n}\n" for n in range(20)], pause=lambda: asyncio.sleep(1.0))
        async with (sf.Moderate(_check(1.5), window=LINES, concurrency=9) | stage)(source) as stream:
            _, error = await _read(stream)
            return source.given, error

    for stage in (sf.Tap(fail), Raises()):
        given, error = run_virtually(main(stage))
        assert (given, str(error)) == (2, "boom")


def test_a_check_that_makes_an_error_of_a_cancel_is_not_asked_again() -> None:
    """Its retries are given up with the stream."""
    asked: list[float] = []

    async def check(window: sf.Window) -> bool:
        asked.append(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(99)
        except asyncio.CancelledError:
            raise ConnectionError from None
        return True

    async def main() -> float:
        async with sf.Moderate(check, retries=5)(ScriptedSource(["x"])) as stream:
            reading = asyncio.ensure_future(_read(stream))
            await asyncio.sleep(5.0)
            reading.cancel()
        await asyncio.wait([reading])
        return asyncio.get_running_loop().time()

    assert (run_virtually(main()), asked) == (5.0, [0.0])


def test_an_interrupt_is_no_failure_of_a_check() -> None:
    """In plain code, with a time limit (in a thread) or without, it goes through, whatever the policy."""

    def check(window: sf.Window) -> bool:
        raise KeyboardInterrupt

    for timeout in (None, 10.0):
        with pytest.raises(KeyboardInterrupt):
            sf.Moderate(check, timeout=timeout, failure="release").apply("x")


def test_two_consumers_at_once_are_refused() -> None:
    """Both are told: the stream ends with the second one's error, and to the first its text does not seem to be whole."""

    async def main() -> list[Any]:
        async with sf.Moderate(_check(1.0))(ScriptedSource(["x"])) as stream:
            return [*await asyncio.gather(stream.__anext__(), stream.__anext__(), return_exceptions=True)]

    one, two = run_virtually(main())
    assert isinstance(two, RuntimeError)
    assert "somebody waits for the next item" in str(two)
    assert isinstance(one, RuntimeError)
    assert "failed in another task" in str(one)


def test_a_coroutine_that_nobody_waits_for_is_closed() -> None:
    """A plain callable gives one in its thread when the stream has gone: no warning that it was never awaited."""
    asked, answered, through = threading.Event(), threading.Event(), threading.Event()

    async def late(window: sf.Window) -> bool:
        return True

    def check(window: sf.Window) -> Any:
        asked.set()
        assert answered.wait(10)
        try:
            return late(window)
        finally:
            through.set()

    async def main() -> None:
        async with sf.Moderate(check)(ScriptedSource(["x"])) as stream:
            reading = asyncio.ensure_future(_read(stream))
            while not asked.is_set():  # noqa: ASYNC110  # a thread sets it
                await asyncio.sleep(0)
            reading.cancel()
        await asyncio.wait([reading])
        answered.set()
        assert await asyncio.to_thread(through.wait, 10)

    asyncio.run(main(), debug=True)


def test_max_wait_counts_from_the_first_character() -> None:
    """Also when the end before it became certain late: "5 p.m. 77" is one sentence until an X has come."""
    asked: list[tuple[str, float]] = []

    async def check(window: sf.Window) -> bool:
        asked.append((window.text, asyncio.get_running_loop().time()))
        return True

    async def main() -> None:
        async with sf.Moderate(check, window=sf.by_sentence(max_wait=1.0))(
            _lines((0, "At 5 p.m. 77"), (0.9, " X"), (5, ""))
        ) as stream:
            await _read(stream)

    run_virtually(main())
    assert asked == [("At 5 p.m. ", 0.9), ("77 X", 1.0)]


def test_an_error_in_closing_does_not_replace_the_one_under_way() -> None:
    """Even if it is a group of base exceptions, as task groups raise them."""
    group = BaseExceptionGroup("closing", [Odd()])

    async def main(stage: Any) -> BaseException | None:
        return (await _read(stage(ScriptedSource(["x"], error=KeyError("first"), close_error=group))))[1]

    for stage in (sf.Moderate(_check(0.0)), sf.MapText(str.upper)):
        assert isinstance(run_virtually(main(stage)), KeyError)


def test_many_events_behind_a_slow_check_stop_the_reading() -> None:
    """They have no characters, but they take memory."""
    source: ScriptedSource[sf.Item] = ScriptedSource(["x", *(Mark(name=n) for n in range(5000))])

    async def main() -> None:
        async with sf.Moderate(_check(9.0), window=sf.by_chars(1))(source) as stream:
            reading = asyncio.ensure_future(_read(stream))
            await asyncio.sleep(5.0)
            assert source.given < 1100
            assert len((await reading)[0]) == 5001

    run_virtually(main())


def test_an_unhashable_check_with_a_cache_fails_when_the_stream_begins() -> None:
    """Before anything is read."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, window: sf.Window) -> bool:
            return True

    with pytest.raises(TypeError, match="not hashable"):
        sf.Moderate(Unhashable())(ScriptedSource(["x"]), context=sf.Context(verdicts=sf.VerdictCache()))
