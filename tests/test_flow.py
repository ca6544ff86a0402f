"""`Tee`, `Buffer` and `Collect`: several readers, one that is slow, and the whole text besides."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from laws_sources import LAWFUL
from stepping import cancelled

import streamfilter as sf
from streamfilter.flow.tee_readers import Reader
from streamfilter.providers.openai import chat
from streamfilter.testing import Mark, ScriptedSource, check_stage, run_virtually


class Odd(Exception):
    """An error of our own."""


class Source(ScriptedSource[int]):
    """Numbers, each after a pause; it says who reads and closes it, and fails if it is read twice at a time."""

    def __init__(self, count: int, *, pause: float = 0.0, **rest: Any) -> None:
        super().__init__(range(count), **rest)
        self.seconds = pause
        self.tasks: set[object] = set()
        self.is_busy = False

    async def __anext__(self) -> int:
        assert not self.is_busy
        self.is_busy = True
        try:
            self.tasks.add(asyncio.current_task())
            if self.seconds:
                await asyncio.sleep(self.seconds)
            return await super().__anext__()
        finally:
            self.is_busy = False

    async def aclose(self) -> None:
        self.tasks.add(asyncio.current_task())
        assert not self.is_busy
        await asyncio.sleep(self.seconds)
        await super().aclose()


def _drop(own: list[Any]) -> None:
    """What nobody else knows of is gone."""
    own.pop()
    gc.collect()


async def _read(stream: Any, pause: float = 0.0, most: int | None = None) -> list[Any]:
    """What a reader gets who takes his time, and leaves when he has so many."""
    out: list[Any] = []
    async with stream:
        while most is None or len(out) < most:
            try:
                out.append(await anext(stream))
            except StopAsyncIteration:
                break
            await asyncio.sleep(pause)
    return out


# ------------------------------------------------------------------ Tee


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("max_items", [1, 2, 100])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_reader_gets_everything_and_the_source_is_read_and_closed_once_by_one_task(
    n: int, max_items: int, count: int
) -> None:
    """Which is none of the readers'."""

    async def main() -> None:
        source = Source(count)
        readers = sf.Tee(n, max_items=max_items)(source)
        got = await asyncio.gather(*map(_read, readers))
        assert got == [[*range(count)]] * n
        assert source.closed == 1
        assert len(source.tasks) == 1
        assert source.tasks.isdisjoint(asyncio.all_tasks())
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


@pytest.mark.parametrize("seed", range(12))
def test_random_readers_stay_within_the_bound_and_lose_nothing(seed: int) -> None:
    """Whatever their pace and whoever leaves: checked at every item; no reader waits that need not."""
    chance = random.Random(seed)

    async def reader(own: Reader[int], every: Sequence[Reader[int]], max_items: int, count: int) -> None:
        leaves = chance.choice([None, None, chance.randrange(count + 1)])
        pause = chance.choice([0.0, 0.01, 0.1, 1.0])
        out: list[int] = []
        async with own:
            while leaves is None or len(out) < leaves:
                try:
                    out.append(await anext(own))
                except StopAsyncIteration:
                    assert len(out) == count
                    break
                assert max(each.behind for each in every) <= max_items
                await asyncio.sleep(pause * chance.random())
        assert out == [*range(len(out))]

    async def main() -> None:
        for _ in range(8):
            count, max_items = chance.randrange(40), chance.choice([1, 2, 3, 10])
            source = Source(count, pause=chance.choice([0.0, 0.05]))
            readers = sf.Tee(chance.randrange(1, 5), max_items=max_items)(source)
            await asyncio.gather(*(reader(each, readers, max_items, count) for each in readers))
            assert source.closed == 1
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


def test_a_reader_that_is_ahead_waits_exactly_at_the_bound() -> None:
    """And goes on with each item that the slow one takes, or when it leaves."""

    async def main() -> None:
        source = Source(20)
        fast, slow = sf.Tee(2, max_items=3)(source)
        got: list[int] = []

        async def read() -> None:
            async for item in fast:
                got.append(item)  # noqa: PERF401  # it is looked at meanwhile

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(1)
        assert (got, slow.behind, source.given) == ([0, 1, 2], 3, 4)
        assert await anext(slow) == 0
        await asyncio.sleep(1)
        assert (got, slow.behind, source.given) == ([0, 1, 2, 3], 3, 5)
        await slow.aclose()
        await reading
        assert got == [*range(20)]
        assert slow.behind == 0
        assert source.closed == 1

    run_virtually(main())


@pytest.mark.parametrize("error", [None, OSError("reset by peer")], ids=["end", "error"])
@pytest.mark.parametrize("max_items", [1, 2, 3])
def test_a_reader_at_the_bound_learns_of_the_end_at_once(max_items: int, error: Exception | None) -> None:
    """The slowest reader has taken nothing, and as much waits for it as may: who is ahead is over, and it still gets everything."""

    async def source() -> AsyncIterator[int]:
        for n in range(max_items):
            yield n
        if error is not None:
            raise error

    async def read(reader: Reader[int]) -> tuple[list[int], Exception | None]:
        got: list[int] = []
        try:
            async for item in reader:
                got.append(item)  # noqa: PERF401  # the error comes behind it
        except OSError as raised:
            return got, raised
        return got, None

    async def main() -> None:
        fast, slow = sf.Tee(2, max_items=max_items)(source())
        assert await read(fast) == (list(range(max_items)), error)
        assert slow.behind == max_items
        assert await read(slow) == (list(range(max_items)), error)

    run_virtually(main())


def test_nothing_is_read_that_nobody_has_asked_for() -> None:
    """A tee is no buffer: the source is where its first reader is."""

    async def main() -> None:
        source = Source(20)
        first, second = sf.Tee(2)(source)
        await asyncio.sleep(1)
        assert source.given == 0
        assert [await anext(first), await anext(first)] == [0, 1]
        await asyncio.sleep(1)
        assert source.given == 2
        assert [await anext(second), await anext(second), await anext(second)] == [0, 1, 2]
        assert source.given == 3
        await first.aclose()
        assert source.closed == 0
        await second.aclose()
        assert source.closed == 1

    run_virtually(main())


def test_an_error_reaches_every_reader_after_the_items_before_it() -> None:
    """The same one, once each; afterwards they are at their end."""

    async def main() -> None:
        error = Odd()
        source = Source(3, error=error)
        readers = sf.Tee(2)(source)
        for reader in readers:
            got: list[int] = []
            with pytest.raises(Odd) as caught:
                async for item in reader:
                    got.append(item)  # noqa: PERF401  # the error comes behind it
            assert (caught.value, got) == (error, [0, 1, 2])
            assert [item async for item in reader] == []
        assert source.closed == 1

    run_virtually(main())


def test_a_refusal_of_a_stage_before_it_reaches_every_reader() -> None:
    """`Tee` around a pipeline: what was decided before the refusal comes first."""

    async def tokens() -> AsyncIterator[str]:
        for token in ["fine ", "CANARY ", "never"]:
            yield token

    async def main() -> None:
        for reader in sf.Tee(2)(sf.Block("CANARY")(tokens())):
            assert await anext(reader) == "fine "
            with pytest.raises(sf.Blocked):
                await anext(reader)

    run_virtually(main())


def test_readers_are_sources_of_other_pipelines() -> None:
    """Each is closed with its pipeline, and the source with the last of them."""

    async def main() -> None:
        source = ScriptedSource(["one ", "two ", "three"])
        to_show, to_store = sf.Tee(2)(source)
        shout, stop = sf.MapText(str.upper)(to_show), sf.StopAt("two")(to_store)
        assert await asyncio.gather(*map(_read, (shout, stop))) == [["ONE ", "TWO ", "THREE"], ["one "]]
        assert source.closed == 1

    run_virtually(main())


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("has_begun", [True, False])
def test_leaving_before_the_end_closes_the_source_once(readers: int, has_begun: bool) -> None:
    """When the last one has left, and also if nothing was ever read; leaving again does nothing."""

    async def main() -> None:
        source = Source(9, pause=1.0)
        every = sf.Tee(readers)(source)
        if has_begun:
            await anext(every[-1])
        for reader in every:
            assert source.closed == 0
            await reader.aclose()
        assert source.closed == 1
        for reader in every:
            await reader.aclose()
            assert [item async for item in reader] == []
        assert source.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


def test_leaving_while_somebody_waits_for_the_reader() -> None:
    """The one who waits gets the end of the stream."""

    async def main() -> None:
        source = Source(9, pause=5.0)
        first, second = sf.Tee(2)(source)
        waiting = asyncio.ensure_future(_read(first))
        await asyncio.sleep(1)
        await first.aclose()
        assert await waiting == []
        assert await _read(second) == [*range(9)]
        assert source.closed == 1

    run_virtually(main())


def test_a_cancelled_reader_leaves_and_the_source_goes_on_for_the_others() -> None:
    """A cancel never reaches what others read."""

    async def main() -> None:
        source = Source(9, pause=5.0)
        first, second = sf.Tee(2, max_items=1)(source)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(first), 1.0)
        assert [item async for item in first] == []
        assert await _read(second) == [*range(9)]
        assert source.closed == 1

    run_virtually(main())


def test_a_cancel_of_all_readers_at_every_step_leaves_nothing_behind() -> None:
    """Before each step of the event loop: no task, no open source."""
    at, was_open, cuts = 3, True, 0
    while was_open:
        source = Source(4, pause=1.0)

        async def read(source: Source = source) -> None:
            first, second = sf.Tee(2, max_items=2)(source)
            async with first, second, asyncio.TaskGroup() as group:
                group.create_task(_read(first, 1.5))
                group.create_task(_read(second, 0.5))

        was_open = cancelled(read, at)
        assert source.closed == 1, at
        assert len(source.tasks) == 1
        at += 1
        cuts += was_open
    assert cuts > 15


def test_a_cancel_of_one_reader_at_every_step_does_not_concern_the_other() -> None:
    """It gets everything, at its own pace, and the source is closed when it is done."""
    at, was_open, cuts = 3, True, 0
    while was_open:
        source = Source(4, pause=1.0)
        kept: list[int] = []

        async def read(source: Source = source, kept: list[int] = kept) -> None:
            first, second = sf.Tee(2, max_items=2)(source)

            async def other() -> None:
                kept.extend(await _read(second, 0.5))

            reading = asyncio.ensure_future(other())
            try:
                await _read(first, 1.5)
            finally:
                while not reading.done():
                    with contextlib.suppress(asyncio.CancelledError):  # it is for the first
                        await asyncio.wait([reading])

        was_open = cancelled(read, at)
        assert (kept, source.closed, len(source.tasks)) == ([0, 1, 2, 3], 1, 1), at
        at += 1
        cuts += was_open
    assert cuts > 15


@pytest.mark.parametrize("when", ["reading", "ended", "left"])
def test_an_error_in_closing_goes_to_whoever_is_there(when: str) -> None:
    """To every reader at the end, to the last one who leaves before it; it never replaces another."""

    async def main() -> None:
        source = Source(2, close_error=Odd("closing"), error=ValueError() if when == "reading" else None)
        first, second = sf.Tee(2)(source)
        await anext(first)
        if when == "left":
            await first.aclose()
            with pytest.raises(Odd):
                await second.aclose()
        else:
            for reader in (first, second):
                with pytest.raises(ValueError if when == "reading" else Odd):
                    [item async for item in reader]
        await first.aclose()
        await second.aclose()
        assert source.closed == 1

    run_virtually(main())


def test_an_exception_of_the_consumer_is_not_replaced_by_one_in_closing() -> None:
    """Leaving the `async with` by an exception."""

    async def main() -> None:
        (reader,) = sf.Tee(1)(Source(2, close_error=Odd("closing")))
        with pytest.raises(KeyError):
            async with reader:
                await anext(reader)
                raise KeyError

    run_virtually(main())


def test_two_tasks_do_not_wait_for_one_reader() -> None:
    """The second is told; the first goes on."""

    async def main() -> None:
        (reader,) = sf.Tee(1)(Source(2, pause=1.0))
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.1)
        with pytest.raises(RuntimeError, match=r"this reader of Tee\(1\) already"):
            await anext(reader)
        assert await waiting == 0
        await reader.aclose()

    run_virtually(main())


def test_a_reader_that_was_dropped_counts_no_longer_and_is_told_of() -> None:
    """Without `async with` only the garbage collector knows; the others do not wait for ever."""

    async def main() -> None:
        source = Source(9)
        own = [*sf.Tee(2, max_items=2)(source)]
        await anext(own[1])
        with pytest.warns(ResourceWarning, match=r"a reader of Tee\(2, max_items=2\) was dropped before its end"):
            _drop(own)
        assert await _read(own[0]) == [*range(9)]
        own = [*sf.Tee(2)(Source(9, pause=1.0))]
        await anext(own[0])
        _drop(own)  # nobody has begun to read it
        with pytest.warns(ResourceWarning):
            _drop(own)
        await asyncio.sleep(3.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


def test_a_source_that_loses_a_cancel_is_left_all_the_same() -> None:
    """It gives one more item, which nobody gets, and is closed."""

    class Deaf(Source):
        async def __anext__(self) -> int:
            try:
                await asyncio.sleep(5.0)
            except asyncio.CancelledError:
                self.given += 1
            return 0

    async def main() -> None:
        source = Deaf(0)
        (reader,) = sf.Tee(1)(source)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reader), 1.0)
        assert (source.given, source.closed) == (1, 1)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": -1}, {"n": 2, "max_items": 0}, {"n": "many"}])
def test_a_tee_of_nothing_is_refused(arguments: dict[str, Any]) -> None:
    """When it is built."""
    with pytest.raises(ValueError, match=r"^Tee: (n|max_items): "):
        sf.Tee(**arguments)


def test_a_tee_is_a_value_and_no_stage() -> None:
    """It stands around a pipeline, not in it, and says so."""
    assert repr(sf.Tee(2, max_items=5)) == "Tee(2, max_items=5)"
    with pytest.raises(TypeError, match=r"call it with the stream, Tee\(2\)\(stage\(source\)\)"):
        sf.MapText(str.upper) | sf.Tee(2)  # type: ignore[operator]
    with pytest.raises(TypeError, match="not an async iterable"):
        sf.Tee(2)(["a"])  # type: ignore[arg-type]


def test_a_tee_needs_asyncio() -> None:
    """And says so under another event loop."""
    import trio

    async def main() -> None:
        (reader,) = sf.Tee(1)(ScriptedSource(["a"]))
        await anext(reader)

    with pytest.raises(RuntimeError, match=r"Tee\(1\) reads in a task of its own, which needs asyncio"):
        trio.run(main)


# ------------------------------------------------------------------ Buffer


@pytest.mark.parametrize("n", [1, 2, 5, 100])
def test_a_buffer_reads_so_many_items_ahead_and_no_more(n: int) -> None:
    """Checked at every item; everything comes, in order."""

    async def main() -> None:
        source = Source(30)
        async with sf.Buffer(n)(source) as stream:  # type: ignore[type-var]  # any items will do
            taken = 0
            async for item in stream:
                assert item == taken
                taken += 1
                assert source.given - taken <= n
                await asyncio.sleep(1)
                assert source.given == min(taken + n, 30)
        assert (taken, source.closed) == (30, 1)

    run_virtually(main())


def test_source_and_consumer_take_their_time_at_once() -> None:
    """Ten items of one second each for both: ten seconds less."""

    async def main(stage: Any) -> float:
        await _read(stage(Source(10, pause=1.0)), 1.0)
        return asyncio.get_running_loop().time()

    assert run_virtually(main(sf.Pipeline())) == 22.0  # with one to learn of the end, and one to close
    assert run_virtually(main(sf.Buffer(1))) == 12.0


def test_a_buffer_decouples_stages_that_wait() -> None:
    """The source is read ahead while a check is under way behind it, and only so far."""
    given: list[int] = []

    async def check(window: sf.Window) -> bool:
        await asyncio.sleep(10.0)
        given.append(source.given)
        return True

    source = ScriptedSource([f"{n}\n" for n in range(40)])

    async def main() -> list[str]:
        async with (sf.Buffer(7) | sf.Moderate(check, window=sf.by_line()))(source) as stream:
            return [text async for text in stream]

    assert "".join(run_virtually(main())) == "".join(f"{n}\n" for n in range(40))
    assert all(before < n <= before + 11 for before, n in enumerate(given[:25]))
    assert source.closed == 1


def _upper() -> sf.Stage[str, str]:
    return sf.MapText(str.upper)


async def _pass(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for item in source:
        yield item


@pytest.mark.parametrize(
    "pipeline",
    [
        sf.Buffer(2),
        sf.Pipeline(sf.Buffer(2)),
        _upper() | sf.Buffer(2),
        sf.Buffer(2) | _upper(),
        sf.Buffer(2) | sf.Buffer(1) | _upper(),
        _pass | sf.Buffer(2) | _pass,
        sf.Buffer(2) | _pass | _upper(),
    ],
    ids=repr,
)
def test_a_buffer_anywhere_in_a_pipeline_closes_the_source_once_where_it_was_read(pipeline: sf.Stage[Any, Any]) -> None:
    """At the end, on an error, on leaving, before anything was read."""

    class Text(ScriptedSource[str]):
        tasks: set[object]

        async def __anext__(self) -> str:
            self.tasks = {*getattr(self, "tasks", ()), asyncio.current_task()}
            await asyncio.sleep(0.1)
            return await super().__anext__()

        async def aclose(self) -> None:
            self.tasks = {*getattr(self, "tasks", ()), asyncio.current_task()}
            await super().aclose()

    async def main() -> None:
        source = Text(["a", "b", "c", "d"])
        assert "".join(await _read(pipeline(source), 1.0)).lower() == "abcd"
        assert (source.closed, len(source.tasks)) == (1, 1)
        source = Text(["a", "b", "c", "d"])
        assert len(await _read(pipeline(source), 1.0, most=1)) == 1
        assert (source.closed, len(source.tasks)) == (1, 1)
        source = Text(["a", "b"], error=Odd())
        stream = pipeline(source)
        assert [(await anext(stream)).lower(), (await anext(stream)).lower()] == ["a", "b"]
        with pytest.raises(Odd):
            await anext(stream)
        assert (source.closed, len(source.tasks)) == (1, 1)
        source = Text(["a", "b"])
        async with pipeline(source):
            pass
        assert source.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


@pytest.mark.parametrize("pipeline", [sf.Buffer(2), _upper() | sf.Buffer(1), sf.Buffer(3) | _upper()], ids=repr)
def test_a_cancelled_consumer_of_a_buffer_leaves_nothing_behind(pipeline: sf.Stage[Any, Any]) -> None:
    """Before every step of the event loop."""
    at, was_open, cuts = 3, True, 0
    while was_open:
        source = ScriptedSource(["a", "b", "c", "d"], pause=lambda: asyncio.sleep(0.4))
        entered: list[object] = []

        async def read(source: Any = source, entered: list[object] = entered) -> None:
            async with pipeline(source) as stream:
                entered.append(stream)
                async for _ in stream:
                    await asyncio.sleep(1.0)

        was_open = cancelled(read, at)
        assert source.closed == len(entered)
        at += 1
        cuts += was_open
    assert cuts > 8


def test_a_refusal_before_a_buffer_comes_behind_what_waits_in_it() -> None:
    """What a guard let pass is delivered, however late the consumer."""

    async def main() -> None:
        async with (sf.Block("x") | sf.Buffer(10))(ScriptedSource(["a", "b", "x", "c"])) as stream:
            await asyncio.sleep(1)
            got: list[str] = []
            with pytest.raises(sf.Blocked):
                async for text in stream:
                    got.append(text)
                    await asyncio.sleep(1)
            assert got == ["a", "b"]

    run_virtually(main())


@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_a_stop_behind_a_buffer_reaches_the_source(after_stop: Any) -> None:
    """It is closed at once, or read to its end for its usage."""

    async def main() -> tuple[list[Any], int, int]:
        source: ScriptedSource[Any] = ScriptedSource(["a", "x", "b", "c", sf.Usage(1)])
        async with (sf.Buffer(1) | sf.StopAt("x"))(source, after_stop=after_stop) as stream:
            return [item async for item in stream], source.given, source.closed

    items, given, closed = run_virtually(main())
    assert items == ["a", *([sf.Usage(1)] if after_stop == "drain" else [])]
    assert given == 5 if after_stop == "drain" else given < 5
    assert closed == 1


def test_a_buffered_stream_that_is_dropped_is_told_of_and_closed() -> None:
    """Once, by the stream."""

    async def main() -> None:
        source = Source(9)
        own: list[Any] = [sf.Buffer(2)(source)]
        await anext(own[0])
        with pytest.warns(ResourceWarning, match="dropped before its end") as told:
            _drop(own)
        assert len(told) == 1
        del told  # it holds the stream
        gc.collect()
        await asyncio.sleep(1)
        assert source.closed == 1

    run_virtually(main())


@pytest.mark.parametrize("n", [0, -1, "x"])
def test_a_buffer_of_nothing_is_refused(n: Any) -> None:
    """When it is built."""
    with pytest.raises(ValueError, match=r"^Buffer: n: "):
        sf.Buffer(n)


def test_a_buffer_must_wait() -> None:
    """In plain code and inside `wrap` there is nothing to read ahead: it says so."""
    with pytest.raises(TypeError, match=r"Buffer\(2\) must wait, which iter\(\) cannot"):
        (sf.Buffer(2) | _upper()).iter(["a"])
    with pytest.raises(TypeError, match=r"Buffer\(2\) reads ahead in a task of its own, .* outside `wrap`"):
        chat.wrap(sf.Buffer(2)).machine()
    assert sf.Buffer(2).explain() == "Buffer(2): every item; reads up to 2 of them ahead"


def test_an_async_generator_function_stands_outside_wrap() -> None:
    """Where one is put inside, that is said, as of a buffer."""

    async def same(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in source:
            yield item

    insides: tuple[Any, ...] = (same, _upper() | same)
    for inside in insides:
        with pytest.raises(TypeError, match=r"same must wait, so it has no machine: use it in a stream, outside `wrap`$"):
            chat.wrap(inside)


# ------------------------------------------------------------------ Collect


def _kept(pipeline: Any, items: Sequence[Any]) -> None:
    with pipeline.iter(items) as stream:
        for _ in stream:
            pass


@pytest.mark.parametrize(("stage", "means"), LAWFUL, ids=[repr(stage) for stage, _ in LAWFUL])
def test_collect_obeys_every_law(stage: Any, means: Any) -> None:
    """It changes nothing, whatever it keeps."""
    check_stage(stage, means, alphabet="ab \n12")


def test_the_whole_text_of_each_channel_is_collected_once() -> None:
    """Over all runs and whatever its cuts, in the order in which channels begin."""
    seen: list[sf.Collected] = []
    thought, other = sf.Channel("reasoning"), sf.Channel("answer", (0, 1))
    items = [
        sf.TextDelta("hm", thought),
        "Hel",
        Mark(boundary=True),
        sf.TextDelta("", other),
        sf.TextDelta("x", other),
        "lo",
        sf.TextDelta("?", thought),
        sf.Finish("stop"),
    ]
    _kept(sf.Collect(seen.append), items)
    _kept(sf.Collect(seen.append, channels=None), items)
    _kept(sf.Collect(seen.append, channels=("reasoning",)), items)
    plain = sf.Channel()
    assert seen == [
        sf.Collected({plain: "Hello", other: "x"}, complete=True),
        sf.Collected({thought: "hm?", plain: "Hello", other: "x"}, complete=True),
        sf.Collected({thought: "hm?"}, complete=True),
    ]
    assert [list(each.texts) for each in seen] == [[plain, other], [thought, plain, other], [thought]]
    assert seen[0].text == "Hellox"
    assert "Hello" not in repr(seen)


def test_what_is_collected_is_what_stands_before_it() -> None:
    """After a guard, only what the guard let pass."""
    seen: list[str] = []
    pipeline = (
        sf.Collect(lambda each: seen.append(each.text))
        | sf.Redact("[0-9]+", to="#")
        | sf.Collect(lambda each: seen.append(each.text))
    )
    _kept(pipeline, ["pin 1", "2 ok 3"])
    assert sorted(seen) == ["pin # ok #", "pin 12 ok 3"]


@pytest.mark.parametrize(
    ("pipeline", "items", "text", "complete"),
    [
        (lambda collect: collect, ["a", "b"], "ab", True),
        (lambda collect: collect, [], "", True),
        (lambda collect: sf.StopAt("x") | collect, ["a", "x", "b"], "a", True),
        (lambda collect: collect | sf.StopAt("x"), ["a", "x", "b"], "ax", False),
        (lambda collect: sf.Block("x") | collect, ["a", "x", "b"], "a", False),
        (lambda collect: collect | sf.Block("x"), ["a", "x", "b"], "ax", False),
        (lambda collect: collect, ["a", sf.Failure("overloaded")], "a", False),
        (lambda collect: collect, ["a", 3], "a", False),
    ],
)
def test_whether_the_text_is_complete_is_known(pipeline: Any, items: list[Any], text: str, complete: bool) -> None:
    """It has come to its end there, without an error; called once in any case."""
    seen: list[sf.Collected] = []
    try:
        _kept(pipeline(sf.Collect(seen.append)), items)
    except (sf.Blocked, TypeError):
        assert not complete
    assert [(each.text, each.complete) for each in seen] == [(text, complete)]


@pytest.mark.parametrize("how", ["error", "cancel", "leave", "unread"])
@pytest.mark.parametrize("pipeline", [lambda each: each, lambda each: each | _pass, lambda each: each | sf.Buffer(1)])
def test_what_had_come_is_collected_however_the_stream_ends(how: str, pipeline: Any) -> None:
    """An error of the source, a cancel, leaving: it is not complete, and whoever stores it knows."""
    seen: list[sf.Collected] = []

    async def main() -> None:
        source = ScriptedSource(["a", "b"], error=Odd() if how == "error" else None, pause=lambda: asyncio.sleep(1.0))
        stage = pipeline(sf.Collect(seen.append))

        async def read() -> None:
            async with stage(source) as stream:
                if how != "unread":
                    assert await anext(stream) == "a"
                if how == "leave":
                    return
                if how != "unread":
                    await _read(stream)

        if how == "error":
            with pytest.raises(Odd):
                await read()
        elif how == "cancel":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(), 1.5)
        else:
            await read()

    run_virtually(main())
    want = {"error": "ab", "cancel": "a", "leave": "a", "unread": ""}[how]
    assert [(each.text, each.complete) for each in seen] == [(want, False)]


@pytest.mark.parametrize(("size", "dropped"), [(3, 4), (6, 1), (7, 0), (8, 0)])
def test_what_is_collected_is_bounded(size: int, dropped: int) -> None:
    """The beginning is kept, of all channels together, and the rest is counted; the stream itself passes whole."""
    items: list[Any] = ["ab", sf.TextDelta("cd", sf.Channel("answer", (0, 1))), "efg"]
    seen: list[sf.Collected] = []
    assert list(sf.Collect(seen.append, max_chars=size).iter(items)) == items
    (found,) = seen
    assert (len(found.text), found.dropped, found.complete) == (7 - dropped, dropped, dropped == 0)


def test_a_limit_that_raises_ends_the_stream() -> None:
    """At the first character that does not fit, with what came before it delivered."""
    seen: list[sf.Collected] = []
    out: list[Any] = []
    with pytest.raises(sf.LimitExceeded, match="max_chars of 3"):
        out.extend(sf.Collect(seen.append, max_chars=3, overflow="raise").iter(["ab", "cd"]))
    assert [(each.text, each.complete) for each in seen] == [("ab", False)]


def test_what_the_function_raises_ends_the_stream() -> None:
    """At the end of the text; it does not replace an error that is under way."""

    def fails(found: sf.Collected) -> None:
        raise Odd

    out: list[Any] = []
    with sf.Collect(fails).iter(["a"]) as stream, pytest.raises(Odd):
        out.extend(stream)
    with (sf.StopAt("x") | sf.Collect(fails)).iter(["a", "x"]) as stream, pytest.raises(Odd):
        out.extend(stream)
    with (sf.Block("x") | sf.Collect(fails)).iter(["a", "x"]) as stream, pytest.raises(sf.Blocked):
        out.extend(stream)
    with pytest.raises(KeyError), sf.Collect(fails).iter(["a"]) as stream:
        next(iter(stream))
        raise KeyError


def test_streams_of_one_collect_share_nothing() -> None:
    """Two at once: two texts."""
    seen: list[str] = []
    stage = sf.Collect(lambda each: seen.append(each.text))
    with stage.iter(["a", "b"]) as one, stage.iter(["x"]) as other:
        assert [next(one), next(other), next(one)] == ["a", "x", "b"]
        assert [*one, *other] == []
    assert seen == ["ab", "x"]


def test_collect_inside_wrap() -> None:
    """The chunks pass as they are, and the answer of each choice is there."""
    chunks = [
        {"id": "1", "choices": [{"index": n, "delta": {"content": text}, "finish_reason": None}]}
        for n, text in ((0, "a"), (1, "x"), (0, "b"))
    ]
    seen: list[sf.Collected] = []
    assert list(chat.wrap(sf.Collect(seen.append)).iter(chunks)) == chunks
    assert [list(each.texts.values()) for each in seen] == [["ab", "x"]]


async def _async(found: sf.Collected) -> None: ...


class _Callable:
    async def __call__(self, found: sf.Collected) -> None: ...


@pytest.mark.parametrize(
    ("fn", "rest", "problem"),
    [
        (_async, {}, "_async is async"),
        (_Callable(), {}, "is async"),
        (3, {}, "fn"),
        (print, {"max_chars": 0}, "max_chars"),
        (print, {"overflow": "drop"}, "overflow"),
        (print, {"channels": ()}, "channels"),
    ],
)
def test_a_collect_that_makes_no_sense_is_refused(fn: Any, rest: dict[str, Any], problem: str) -> None:
    """When it is built."""
    with pytest.raises(ValueError, match=problem):
        sf.Collect(fn, **rest)
