"""The driver: the three endings, closing, refusals, functions as stages, plain use; under asyncio and trio."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import pickle
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
import regex
import trio
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.detectors import EMAIL
from streamfilter.testing import ScriptedSource

Main = Callable[[], Awaitable[Any]]


async def _asyncio_pause() -> None:
    await asyncio.sleep(0)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each test that runs a stream runs under both."""
    return str(request.param)


@pytest.fixture
def run(backend: str) -> Callable[[Main], Any]:
    """Runs an async function under the backend."""
    if backend == "trio":
        return trio.run

    def under_asyncio(main: Main) -> Any:
        async def whole() -> Any:
            return await main()

        return asyncio.run(whole(), debug=True)

    return under_asyncio


@pytest.fixture
def pause(backend: str) -> Callable[[], Awaitable[object]]:
    """Suspends once."""
    return trio.lowlevel.checkpoint if backend == "trio" else _asyncio_pause


async def collected(stream: AsyncIterator[Any], into: list[Any]) -> None:
    async for item in stream:
        into.append(item)  # noqa: PERF401  # what was given before an exception counts


# ------------------------------------------------------------------ the three endings


def test_a_source_that_runs_out_settles_what_is_held_and_is_closed_once(run: Any, pause: Any) -> None:
    """Held text leaves at the end; the stream then stays at its end."""
    source = ScriptedSource(["xa", "b", "a"], pause=pause)

    async def main() -> None:
        stream = sf.Redact("abc", to="#")(source)
        got: list[str] = []
        await collected(stream, got)
        assert "".join(got) == "xaba"
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        assert source.closed == 1

    run(main)


def test_an_error_of_the_source_reaches_the_consumer_as_it_is_and_held_text_dies(run: Any, pause: Any) -> None:
    """The same exception object, no wrapping; nothing held is delivered; the source is closed once."""
    fault = OSError("connection reset")
    source = ScriptedSource(["xa", "b"], error=fault, pause=pause)
    got: list[str] = []

    async def main() -> None:
        async with sf.Redact("abc", to="#")(source) as stream:
            await collected(stream, got)

    with pytest.raises(OSError, match="connection reset") as caught:
        run(main)
    assert caught.value is fault
    assert caught.value.__cause__ is None
    assert (got, source.closed) == (["x"], 1)


def test_an_exception_of_the_consumer_closes_the_source(run: Any, pause: Any) -> None:
    """Leaving the `async with` by an exception is an ending."""
    source = ScriptedSource(["a", "b"], pause=pause)

    async def main() -> None:
        async with sf.MapText(str.upper)(source) as stream:
            async for _ in stream:
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main)
    assert source.closed == 1


def test_leaving_early_closes_before_the_first_item_too(run: Any) -> None:
    """Not a single item need have been read, and closing twice does nothing more."""
    source = ScriptedSource(["a"])

    async def main() -> None:
        async with sf.MapText(str.upper)(source) as stream:
            pass
        await stream.aclose()
        assert [item async for item in stream] == []

    run(main)
    assert (source.closed, source.given) == (1, 0)


def test_a_cancel_closes_the_source_and_goes_on() -> None:
    """Under asyncio: the task is cancelled while the source is awaited."""
    source = ScriptedSource(["a", "secret"], pause=lambda: asyncio.sleep(0))
    blocked = asyncio.Event

    class Stuck(ScriptedSource[str]):
        async def __anext__(self) -> str:
            if self.given:
                await blocked().wait()
            return await super().__anext__()

    source = Stuck(["a", "b"])

    async def consume() -> None:
        async for _ in sf.Redact("ab")(source):
            pass

    async def main() -> None:
        task = asyncio.create_task(consume())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert source.closed == 1


def test_a_cancel_closes_the_source_under_trio() -> None:
    """A cancel scope that ends closes the source exactly once."""

    class Stuck(ScriptedSource[str]):
        async def __anext__(self) -> str:
            if self.given:
                await trio.sleep_forever()
            return await super().__anext__()

    source = Stuck(["a", "b"])

    async def main() -> None:
        with trio.CancelScope() as scope:
            async for _ in sf.MapText(str.upper)(source):
                scope.cancel()

    trio.run(main)
    assert source.closed == 1


def test_an_error_while_closing_never_replaces_the_one_under_way(run: Any) -> None:
    """It is raised where it is the only one."""

    async def failing() -> None:
        source = ScriptedSource(["a"], error=OSError("first"), close_error=RuntimeError("second"))
        async for _ in sf.MapText(str.upper)(source):
            pass

    async def refused() -> None:
        source = ScriptedSource(["bad"], close_error=RuntimeError("second"))
        async for _ in sf.Block("bad")(source):
            pass

    async def consumer() -> None:
        source = ScriptedSource(["a"], close_error=RuntimeError("second"))
        async with sf.MapText(str.upper)(source):
            raise KeyError("first")

    async def only() -> None:
        source = ScriptedSource(["a"], close_error=RuntimeError("second"))
        async with sf.MapText(str.upper)(source):
            pass

    for main, kind in ((failing, OSError), (refused, sf.Blocked), (consumer, KeyError), (only, RuntimeError)):
        with pytest.raises(kind):
            run(main)


def test_closing_prefers_aclose_and_takes_what_there_is(run: Any) -> None:
    """`aclose`, else `close`, async or plain; the iterator too, if it is another object; nothing at all is fine."""
    log: list[str] = []

    class Base:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

    class Both(Base):
        async def aclose(self) -> None:
            log.append("aclose")

        def close(self) -> None:
            log.append("wrong")

    class Plain(Base):
        def close(self) -> None:
            log.append("plain")

    class Async(Base):
        async def close(self) -> None:
            log.append("async")

    class Other(Plain):
        async def __aiter__(self) -> AsyncIterator[str]:
            try:
                yield "a"
            finally:
                log.append("iterator")

    async def main() -> None:
        for source in (Both(), Plain(), Async(), Base()):
            assert [item async for item in sf.MapText(str.upper)(source)] == []
        async with sf.MapText(str.upper)(Other()) as stream:
            assert await anext(stream) == "A"

    run(main)
    assert log == ["aclose", "plain", "async", "iterator", "plain"]


def test_a_started_stream_that_is_dropped_warns() -> None:
    """Python cannot see a `break`; the warning says what to write."""

    async def main() -> None:
        async for _ in sf.MapText(str.upper)(ScriptedSource(["a", "b"])):
            break

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert [each.category for each in caught] == [ResourceWarning]
    assert "async with stage(source)" in str(caught[0].message)


@pytest.mark.parametrize("stage", [sf.Redact("x"), sf.Coalesce(seconds=0.001)])
def test_a_stream_that_fails_where_two_tasks_read_it_seems_whole_to_neither(stage: sf.Stage[str, str]) -> None:
    """The second reader is refused, by an async generator or by the pump; the first was in the middle of a text."""

    async def main() -> list[Any]:
        may_go = asyncio.Event()

        async def tokens() -> AsyncIterator[str]:
            await may_go.wait()
            yield "half of "
            yield "it"

        stream = stage(tokens())

        async def read() -> list[str]:
            return [text async for text in stream]

        tasks = [asyncio.create_task(read()), asyncio.create_task(read())]
        for _ in range(9):
            await asyncio.sleep(0)
        tasks[1].cancel()
        may_go.set()
        await asyncio.wait(tasks)
        return [task.cancelled() or repr(task.exception()) for task in tasks]

    first, second = asyncio.run(main())
    assert "failed in another task that read it" in first
    assert second is True or "already" in second


def test_a_function_may_pass_over_a_source_that_fails_to_close() -> None:
    """What it makes of the text is whole, and nobody else has read the stream."""

    class Stuck:
        def __init__(self) -> None:
            self.left = ["a", "b"]

        def __aiter__(self) -> Stuck:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

        async def aclose(self) -> None:
            raise OSError("stuck")

    async def patient(texts: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for text in texts:
                yield text
        except OSError:
            yield "."

    async def main() -> list[str]:
        return [text async for text in (sf.MapText(str.upper) | patient | sf.MapText(str))(Stuck())]

    assert asyncio.run(main()) == ["A", "B", "."]


# ------------------------------------------------------------------ refusals and stops


def test_a_refusal_delivers_what_was_decided_then_closes_then_raises(run: Any) -> None:
    """The consumer has all text before the violation when it gets the exception."""
    source = ScriptedSource(["ok b", "ad x", "never"])
    got: list[str] = []

    async def main() -> None:
        await collected(sf.Block("bad")(source), got)

    with pytest.raises(sf.Blocked):
        run(main)
    assert ("".join(got), source.closed, source.given) == ("ok ", 1, 2)


def test_an_exception_of_a_function_is_a_refusal_as_it_is(run: Any) -> None:
    """From `MapText`, a callable of `Replace`, `Tap`, a check, an observer: unwrapped, and what came before is delivered."""
    fault = ZeroDivisionError("mine")

    def boom(value: Any) -> Any:
        if "b" in str(getattr(value, "group", lambda: value)()):
            raise fault
        return value if isinstance(value, str) else "#"

    def observer(_: sf.Finding) -> None:
        raise fault

    stages: list[Any] = [
        sf.MapText(boom),
        sf.Replace("b", boom),
        sf.Redact("b", to=boom),
        sf.Tap(boom),
        sf.Redact(sf.Rule("r", "b", check=boom)),
        sf.Redact("b"),
    ]
    for stage in stages:
        source = ScriptedSource(["a", "b", "c"])
        got: list[str] = []

        async def main(stage: Any = stage, source: Any = source, got: list[str] = got) -> None:
            await collected(stage(source, context=sf.Context(observe=[observer])), got)

        with pytest.raises(ZeroDivisionError) as caught:
            run(main)
        assert caught.value is fault
        assert (got, source.closed) == (["a"], 1)


def test_a_stop_closes_the_source_at_once_or_drains_it(run: Any) -> None:
    """`close` loses a later usage chunk, `drain` reads to the end and keeps it, and runs no checks on the way."""
    answer = sf.Channel("answer", (0, 0))
    usage = sf.Usage({"total": 3}, scope=None)
    items = [sf.TextDelta("aEND", answer), sf.TextDelta("xx", answer), usage]
    seen: list[str] = []

    def check(text: str) -> bool:
        seen.append(text)
        return True

    stage = sf.Redact(sf.Rule("x", "x|a", check=check)) | sf.StopAt("END") | sf.Redact("zz")

    async def main(policy: Any) -> tuple[list[Any], ScriptedSource[Any]]:
        source = ScriptedSource(items)
        async with stage(source, after_stop=policy) as stream:
            return [item async for item in stream], source

    stopped = [sf.TextDelta("[x]", answer), sf.Finish("stop", scope=(0, 0))]
    got, source = run(lambda: main("close"))
    assert (got, source.given, source.closed) == (stopped, 1, 1)
    got, source = run(lambda: main("drain"))
    assert (got, source.given, source.closed) == ([*stopped, usage], 3, 1)
    assert seen == ["a", "a"]
    with pytest.raises(ValueError, match="after_stop='later': 'close' or 'drain' is needed"):
        stage(ScriptedSource(items), after_stop="later")  # type: ignore[call-overload]


def test_a_refusal_is_raised_after_draining(run: Any) -> None:
    """The error comes at the very end."""
    source = ScriptedSource(["bad", "x"])

    async def main() -> None:
        async for _ in sf.Block("bad")(source, after_stop="drain"):
            pass

    with pytest.raises(sf.Blocked):
        run(main)
    assert source.given == 2


# ------------------------------------------------------------------ async generator functions as stages


async def twice(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A stage that is a function."""
    async for item in source:
        yield item
        yield item


async def first(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A stage that ends early."""
    async for item in source:
        yield item
        return


def test_a_function_is_a_stage_anywhere(run: Any, pause: Any) -> None:
    """At either end or between machines, and beside other functions."""
    upper = sf.MapText(str.upper)
    cases: list[tuple[Any, list[str]]] = [
        (upper | twice, ["A", "A", "B", "B"]),
        (twice | upper, ["A", "A", "B", "B"]),
        (upper | twice | sf.Redact("BB", to="#"), ["A", "A", "#"]),
        (twice | upper | twice, ["A"] * 4 + ["B"] * 4),
        (upper | twice | twice, ["A"] * 4 + ["B"] * 4),
        (upper | first | upper, ["A"]),
    ]
    for stage, want in cases:
        source = ScriptedSource(["a", "b"], pause=pause)

        async def main(stage: Any = stage, source: Any = source) -> list[str]:
            async with stage(source) as stream:
                return [item async for item in stream]

        assert run(main) == want
        assert source.closed == 1
    assert repr(upper | twice) == "Pipeline(MapText(str.upper), twice)"
    assert pickle.loads(pickle.dumps(upper | twice)) == upper | twice


def test_every_segment_of_a_mixed_pipeline_is_closed(run: Any) -> None:
    """The function's generator first, then what is beneath it, each once."""
    log: list[str] = []

    async def watched(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for item in source:
                yield item
        finally:
            log.append("function")

    class Source(ScriptedSource[str]):
        async def aclose(self) -> None:
            log.append("source")

    async def main() -> None:
        async with (sf.MapText(str.upper) | watched | sf.MapText(str.lower))(Source(["a", "b"])) as stream:
            assert await anext(stream) == "a"

    run(main)
    assert log == ["function", "source"]


def test_a_refusal_beneath_a_function_is_raised_on_top_of_it(run: Any) -> None:
    """The function sees its source end; what is above settles; then the refusal is raised."""
    got: list[str] = []

    async def main() -> None:
        await collected((sf.Block("bad") | twice | sf.Redact("aab", to="#"))(ScriptedSource(["a", "bad"])), got)

    with pytest.raises(sf.Blocked):
        run(main)
    assert "".join(got) == "aa"


def test_an_error_in_a_function_is_an_error_of_the_source(run: Any) -> None:
    """It goes on as it is, and everything is closed."""

    async def broken(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in source:
            yield item
            raise ZeroDivisionError("mine")

    source = ScriptedSource(["ab", "b"])

    async def main() -> None:
        async for _ in (sf.MapText(str.upper) | broken | sf.Redact("ABB"))(source):
            pass

    with pytest.raises(ZeroDivisionError, match="mine"):
        run(main)
    assert source.closed == 1


def test_a_stage_that_must_wait_says_so_in_plain_code() -> None:
    """`iter` and `apply` name it and what to use instead; `aapply` works."""
    stage = sf.MapText(str.upper) | twice
    with pytest.raises(TypeError, match=r"twice must wait, which iter\(\) cannot: use async for"):
        stage.iter(["a"])
    with pytest.raises(TypeError, match=r"twice must wait, which apply\(\) cannot: use aapply"):
        stage.apply("a")
    assert asyncio.run(stage.aapply("a")) == "AA"


def test_values_are_not_joined_as_a_text() -> None:
    """`apply` and `aapply` say what to use instead; what passes anything changes nothing, what a function gives is unknown."""
    values: list[Any] = [sf.ParseJSON(), sf.JSONItems("$[*]"), sf.JSONItems("$[*]") | sf.Tap(id)]
    for stage in values:
        message = r"gives values, and {} joins text: use `\*_, value = stage\.iter\(\[text\]\)`"
        with pytest.raises(TypeError, match=message.format("apply")):
            stage.apply("[1]")
        with pytest.raises(TypeError, match=message.format("aapply")):
            asyncio.run(stage.aapply("[1]"))
    waiting: Any = values[1] | sf.Timeout(first=5)
    with pytest.raises(TypeError, match=r"use `async for value in stage\(source\)`"):
        asyncio.run(waiting.aapply("[1]"))
    assert asyncio.run((values[1] | written).aapply("[1, 2]")) == "12"
    assert sf.JSONText("$.a").apply('{"a": "x"}') == "x"


async def written(values: AsyncIterator[Any]) -> AsyncIterator[str]:
    """Values as text."""
    async for value in values:
        yield str(value)


async def same(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A stage that is a function and changes nothing."""
    async for item in source:
        yield item


def test_a_refusal_that_a_later_stage_never_reached_is_none(run: Any) -> None:
    """`StopAt` ends the stream before what `Block` found further on, with or without a function between, whatever the cuts."""
    for stage in (sf.Block("bomb") | sf.StopAt("END"), sf.Block("bomb") | same | sf.StopAt("END")):
        for text in (["ok END bomb"], list("ok END bomb")):
            for policy in ("close", "drain"):
                got: list[str] = []

                async def main(stage: Any = stage, text: Any = text, policy: Any = policy, got: list[str] = got) -> None:
                    async with stage(ScriptedSource(text), after_stop=policy) as stream:
                        await collected(stream, got)

                run(main)
                assert "".join(got) == "ok "


def test_a_check_that_raises_delivers_what_came_before_it(run: Any) -> None:
    """Whatever the cuts, and whether the end or more text decides."""

    def check(text: str) -> bool:
        if text == "3":
            raise ZeroDivisionError("mine")
        return True

    for text in (["1 2 3"], list("1 2 3"), ["1 2 3 4"]):
        got: list[str] = []

        async def main(text: Any = text, got: list[str] = got) -> None:
            await collected(sf.Redact(sf.Rule("d", r"\d\b", check=check), to="#")(ScriptedSource(text)), got)

        with pytest.raises(ZeroDivisionError):
            run(main)
        assert "".join(got) == "# # "


def test_what_looks_like_the_end_of_an_iterator_is_an_error(run: Any) -> None:
    """A function that raises `StopIteration` or `StopAsyncIteration` does not end the stream as if all were well."""

    def stop(_: Any) -> Any:
        raise StopAsyncIteration

    for stage in (sf.MapText(stop), sf.Redact("b", to=stop), sf.Tap(stop)):

        async def main(stage: Any = stage) -> None:
            await collected(stage(ScriptedSource(["b"])), [])

        with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
            run(main)


def test_a_source_that_cannot_be_iterated_after_all_is_closed(run: Any) -> None:
    """Its `__aiter__` raises."""

    class Broken(ScriptedSource[str]):
        def __aiter__(self) -> Any:
            raise OSError("no")

    source = Broken(["a"])

    async def main() -> None:
        async for _ in sf.MapText(str.upper)(source):
            pass

    with pytest.raises(OSError, match="no"):
        run(main)
    assert source.closed == 1


# ------------------------------------------------------------------ plain code


def test_plain_code_goes_through_the_same_machines() -> None:
    """`iter` is an iterator and a context manager, closes its generator, and has the report."""
    log: list[str] = []

    def source() -> Iterator[str]:
        try:
            yield from ["xa", "b", "c"]
        finally:
            log.append("closed")

    with sf.Redact("ab", to="#").iter(source()) as stream:
        assert next(stream) == "x"
        assert stream.held == 1
        assert list(stream) == ["#", "c"]
        assert stream.report.counts == {"redacted": 1}
    with sf.Redact("ab").iter(source()) as stream:
        next(stream)
    assert log == ["closed", "closed"]
    assert list(stream) == []


def test_plain_code_works_inside_a_running_loop() -> None:
    """`apply` in a coroutine does not touch the loop."""

    async def main() -> str:
        return sf.Redact("a", to="#").apply("ab")

    assert asyncio.run(main()) == "#b"


def test_the_callers_context_variables_are_seen() -> None:
    """In callbacks, as in any code that the caller runs."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def main() -> None:
        variable.set("set")
        async for _ in sf.Tap(lambda _: seen.append(variable.get()))(ScriptedSource(["a"])):
            pass

    asyncio.run(main())
    assert seen == ["set"]


def test_observers_hear_of_each_finding_with_the_tags() -> None:
    """As it happens, and in each stream's own report; a context serves many streams."""
    heard: list[sf.Finding] = []
    context = sf.Context(tags={"tenant": "acme"}, observe=[heard.append])
    stage = sf.Redact("a")
    for _ in range(2):
        with stage.iter(["xa"], context=context) as stream:
            list(stream)
        assert stream.report.counts == {"redacted": 1}
    assert [(found.rule, found.start, found.end, found.tags) for found in heard] == [("redacted", 1, 2, {"tenant": "acme"})] * 2
    assert context.report.counts == {}


# ------------------------------------------------------------------ errors that help


class Manager:
    """An SDK's stream manager that was not entered."""

    async def __aenter__(self) -> None: ...


async def _coroutine() -> None: ...


class Card(BaseModel):
    """What an SDK gives that was not asked for a stream: pydantic iterates over its fields."""

    title: str


def test_what_is_no_source_is_refused_with_what_would_be_right() -> None:
    """Each message says what it got and what to write."""
    stage: Any = sf.MapText(str.upper)
    coroutine = _coroutine()
    cases: list[tuple[Any, str]] = [
        ("text", r"source is str, .* stage\.apply\(text\)"),
        (b"text", r"source is bytes"),
        (coroutine, "await it first"),
        (Manager(), "async with manager as source"),
        (["a"], r"stage\.iter\(items\)"),
        (twice, "call it first, or join it"),
        (stage, r"source is MapText, .* it is a stage: call it with a source, .* join stages with `\|`"),
        (Card(title="a secret"), r"source is Card, .*: it is one object, no stream: ask for stream=True, or use filter_response"),
        (3, "int, not an async iterable"),
    ]
    for source, message in cases:
        with pytest.raises(TypeError, match=message):
            stage(source)
    coroutine.close()
    plain: list[tuple[Any, str]] = [
        ("text", r"stage\.apply"),
        (ScriptedSource(["a"]), "async for"),
        (Card(title="a secret"), "items is Card: one object, no stream: ask for stream=True, or use filter_response"),
        ({"choices": []}, r"items is dict: one object, no stream: .* one chunk is stage\.iter\(\[chunk\]\)"),
        (stage, "it is a stage: call it with a source"),
        (3, "give an iterable"),
    ]
    for items, message in plain:
        with pytest.raises(TypeError, match=message):
            stage.iter(items)
    wholes: list[Any] = [Card(title="a secret"), {"choices": []}]
    for whole in wholes:
        with pytest.raises(TypeError, match="one object, no stream: ask for stream=True"):
            sf.text_of(whole)  # its fields would be taken for chunks
    not_stages: list[tuple[Any, str]] = [
        (["a"], r"stage\(source\)"),
        (3, "int is not a stage"),
        (sf.Redact, r"write Redact\(\.\.\.\)"),
        (str.upper, r"str\.upper takes one value, not a stream: for text write MapText\(function\), such as MapText\(str\.upper\)"),
        ("-".join, "str.join takes one value"),
        (bytes.decode, "bytes.decode takes one value"),
        (str, "str takes one value"),
    ]
    for wrong, message in not_stages:
        with pytest.raises(TypeError, match=message):
            wrong | stage
        with pytest.raises(TypeError, match=message):
            stage | wrong
    assert repr(stage | aiter) == "Pipeline(MapText(str.upper), aiter)"  # a builtin that takes a stream and gives one
    for source in (["a"], ScriptedSource(["a"])):
        with pytest.raises(TypeError, match=r"source \(\w+\) is no pipeline: write sf\.wrap\(stage\)\(source\)"):
            sf.wrap(source)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="context is int: a Context is needed"):
        stage.iter(["a"], context=3)
    with pytest.raises(TypeError, match=r"tags is list: a dict is needed, tags=\{'tenant': 'acme'\}"):
        sf.Context(tags=["acme"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Drop was fed int"):
        list(sf.Drop("answer").iter([3]))  # type: ignore[type-var]
    with pytest.raises(TypeError, match="text is int"):
        stage.apply(3)
    pipelines: list[sf.Pipeline[Any, Any]] = [sf.Pipeline(), sf.Pipeline(sf.Tap(id))]
    for pipeline in pipelines:
        with pytest.raises(TypeError, match="no text stage"):
            pipeline.on("answer")
    with pytest.raises(TypeError, match="works on items, not on text"):
        sf.Tap(id).on("answer")
    with pytest.raises(ValueError, match="at least one kind"):
        sf.MapText(str.upper).on()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (None, "Redact was fed NoneType where text is expected: skip empty pieces"),
        (b"bytes", r"Redact was fed bytes .* sf\.text_of\(source\)"),
        (3, r"Redact was fed int .* providers\.openai\.chat\.wrap"),
        ({"choices": []}, "Redact was fed dict"),
    ],
)
def test_a_source_of_something_else_than_text_is_a_type_error(item: Any, message: str) -> None:
    """It names the stage, the type and the remedy; the source is closed; what came before was delivered."""
    source = ScriptedSource(["a", item])
    got: list[str] = []

    async def main() -> None:
        await collected(sf.Redact("bb")(source), got)

    with pytest.raises(TypeError, match=message):
        asyncio.run(main())
    assert (got, source.closed) == (["a"], 1)


BAD: list[tuple[Callable[[], Any], str]] = [
    (sf.Redact, "Redact: rules: Field required"),
    (lambda: sf.Redact(3), "Redact: rules.0: a Rule or a pattern is needed, not int"),  # type: ignore[arg-type]
    (lambda: sf.Redact("a", to="[{name}]"), r"Redact: to has a field \{name\}: only \{rule\} is known"),
    (lambda: sf.Redact("a", to="{"), "Redact: to is no valid template: Single '{'"),
    (lambda: sf.Redact("a", max_hold=0), "Redact: max_hold: .* greater than or equal to 1"),
    (lambda: sf.Redact("a", overflow="keep"), "Redact: overflow: .* 'redact', 'release' or 'raise'"),  # type: ignore[arg-type]
    (lambda: sf.Redact("a", rules=("b",)), "Redact: rules are given twice"),  # type: ignore[call-arg]
    (lambda: sf.Redact("a", colour=1), "Redact: unknown field 'colour': there are rules, .*max_hold, overflow"),  # type: ignore[call-arg]
    (lambda: sf.Replace("(a)", r"\2"), "Replace: to is not a valid template"),
    (lambda: sf.Replace("(?P<n>a)", r"\g<m>"), "Replace: to is not a valid template"),
    (lambda: sf.Replace("a", "b", -1), "Replace: count: .* greater than or equal to 0"),
    (lambda: sf.Block("a", message="no"), r"Block: message is only shown with action='stop'"),
    (sf.StopAt, "StopAt: stops: Field required"),
    (lambda: sf.StopAt("a", ""), "StopAt: stops.1: .* at least 1 character"),
    (lambda: sf.StopAt("a", choices=0), "StopAt: choices: "),
    (lambda: sf.MapText(3), "MapText: fn: .* callable"),  # type: ignore[arg-type]
    (sf.Drop, "Drop: kinds: Field required"),
    (lambda: sf.Rule("", "a"), "Rule: name: "),
    (lambda: sf.Replace("a", "b", 1, 2), "Replace: argument 4: give it by name: .*max_hold"),  # type: ignore[call-arg]
    (lambda: sf.Redact("a", maxhold=3), "Redact: unknown field 'maxhold': did you mean 'max_hold'. There are rules, "),  # type: ignore[call-arg]
    (lambda: sf.Limit(words=3), "Limit: unknown field 'words': did you mean 'max_words'"),  # type: ignore[call-arg]
    (lambda: sf.MapText(function=str), "MapText: unknown field 'function': .* fn, channels"),  # type: ignore[call-arg]
    (lambda: cast("Any", sf.Limit)(100), "Limit: argument 1: give it by name: max_chars, max_words, max_lines, "),
    (lambda: sf.Timeout(5), "Timeout: argument 1: give it by name: first, between, total, pauses$"),  # type: ignore[call-arg]
    (lambda: sf.Rule("a", "b", None, 0, (), 1.0, 7), "Rule: argument 7: there are 6 at most"),  # type: ignore[call-arg]
    (lambda: sf.Redact(("a", "b")), r"rules.0: a Rule or a pattern is needed, not tuple: write Redact\(\*rules\)"),  # type: ignore[arg-type]
    (lambda: sf.Block("a", ["b"]), r"rules.1: .* not list: write Block\(\*rules\)"),  # type: ignore[arg-type]
    (lambda: sf.StopAt(["a"]), r"StopAt: stops.0: .*: write StopAt\(\*stops\)"),  # type: ignore[arg-type]
    (lambda: sf.StopAt(stops=("", "b")), "StopAt: stops.0: .* at least 1 character$"),  # type: ignore[call-arg]
    (lambda: sf.Rule(r"\d+"), r"Rule: pattern: Field required: write Rule\(name, pattern\)"),  # type: ignore[call-arg]
    (lambda: sf.Redact("a", channels="answer"), r"Redact: channels: .*: write channels=\['\.\.\.'\]"),  # type: ignore[arg-type]
    (lambda: sf.Redact(regex.compile(b"a")), "rules.0: the pattern is for bytes"),  # type: ignore[arg-type]
    (lambda: sf.Rule("a", "b", flags=1 << 30), "flags=1073741824 at position 0: only the flags"),
    (lambda: sf.Rule("a", "b", flags=regex.DEBUG), "only the flags"),
]


@pytest.mark.parametrize(("build", "message"), BAD)
def test_bad_arguments_fail_when_the_stage_is_built(build: Callable[[], Any], message: str) -> None:
    """In one line that names the argument and what would be right."""
    with pytest.raises(ValueError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_what_functions_give_must_be_text() -> None:
    """A callable that gives something else is named."""
    with pytest.raises(TypeError, match="to gave NoneType for a match of redacted: a str is needed"):
        sf.Redact("a", to=lambda _: None).apply("a")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="the function of MapText gave int"):
        sf.MapText(len).apply("a")  # type: ignore[arg-type]


def test_stages_are_values() -> None:
    """Equal, hashable, picklable, with a repr one could write; empty pipelines included."""
    stage = sf.Redact("a", to="#") | sf.Replace("b", "c", 1) | sf.StopAt("x", include=True) | sf.Drop("reasoning")
    same = sf.Redact("a", to="#") | (sf.Replace("b", "c", 1) | sf.StopAt("x", include=True)) | sf.Drop("reasoning")
    assert stage == same
    assert hash(stage) == hash(same)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert pickle.loads(pickle.dumps(stage)).apply("abxb") == "#cx"
    rule = "Rule('redacted', 'b')"
    assert (
        repr(sf.Replace("b", "c", 1) | sf.StopAt("x", include=True))
        == f"Pipeline(Replace({rule}, 'c', count=1), StopAt('x', include=True))"
    )
    assert sf.Pipeline().apply("a") == "a"
    assert sf.Pipeline().explain() == "an empty pipeline: passes everything"
    with pytest.raises(AttributeError):
        stage.parts = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    "build",
    [
        lambda kind: sf.Redact("a").on(kind),
        lambda kind: sf.MapText(str.upper, channels=("answer", kind)),
        (sf.Redact("a") | sf.StopAt("b")).on,
        sf.Drop,
        lambda kind: sf.Extract("think", to=kind),
        lambda kind: sf.CodeFences(to=kind),
        lambda kind: sf.Collect(print, channels=(kind,)),
        lambda kind: sf.FilterJSON(sf.Redact("a")).on(kind),
        lambda kind: sf.JSONText("$.a").on(kind),
        lambda kind: sf.Pace(chars_per_second=1).on(kind),
        lambda kind: sf.load({"version": 1, "pipeline": {"a": [{"stage": "words", "channels": [kind]}]}}),
        lambda kind: sf.load(
            {"version": 1, "pipeline": {"a": [{"stage": "pipeline", "parts": [{"stage": "words"}], "on": [kind]}]}}
        ),
    ],
)
def test_a_misspelt_kind_of_channel_is_refused(build: Callable[[str], object]) -> None:
    """A stage that waits for it would guard nothing, and say nothing. A kind of one's own is any that is not so near."""
    for kind, meant in (("reasonning", "reasoning"), ("Answer", "answer"), ("refusals", "refusal"), ("anwser", "answer")):
        with pytest.raises(ValueError, match=f"no kind of channel '{kind}': did you mean '{meant}'"):
            build(kind)
    for kind, meant in (
        ("thinking", "reasoning"),
        ("Thoughts", "reasoning"),
        ("tool_calls", "tool_arguments"),
        ("content", "answer"),
    ):
        with pytest.raises(ValueError, match=f"no kind of channel '{kind}': here that is '{meant}'"):
            build(kind)
    for kind in ("notes", "code", "summary", "reasoning_summary", "reasoning", "refusal", "compaction", "tool_result"):
        build(kind)


def test_no_kind_of_channel_is_refused() -> None:
    """A guard of nothing is a mistake: None is every kind."""
    builds: list[Callable[[], object]] = [
        lambda: sf.Redact("a", channels=()),
        lambda: sf.Redact("a").on(),
        lambda: sf.Redact("a").on(""),
    ]
    for build in builds:
        with pytest.raises(ValueError, match="kind of channel"):
            build()
    declared: Any = {"version": 1, "pipeline": {"a": [{"stage": "words", "channels": []}]}}
    for channels in ([], [""]):
        declared["pipeline"]["a"][0]["channels"] = channels
        with pytest.raises(sf.SpecError, match="channels"):
            sf.load(declared)


def test_what_is_explained_tells_kinds_of_one_s_own() -> None:
    """So that who meant another sees it."""
    assert (
        sf.Words()
        .on("answer", "notes")
        .explain()
        .startswith("Words(channels=('answer', 'notes')): answer, notes (a kind of one's own); ")
    )
    assert "the JSON of notes (a kind of one's own);" in sf.ParseJSON().on("notes").explain()


def test_a_guard_in_front_of_json_is_told_of() -> None:
    """`Redact | ParseJSON` reads the text of the document, with its escapes; `FilterJSON(Redact)` reads what its strings say."""
    wrong = sf.Redact("[0-9]+") | sf.Words() | sf.ParseJSON()
    said = "Redact in front of it reads the JSON as it is written: escapes slip past it"
    assert [said in line for line in wrong.explain().split("\n")] == [False, False, True]
    assert said in wrong._repr_html_()
    for right in (
        sf.FilterJSON(sf.Redact("[0-9]+")) | sf.ParseJSON(),
        sf.JSONText("$.a") | sf.Redact("[0-9]+"),
        sf.Words() | sf.ParseJSON(),
    ):
        assert "in front of it" not in right.explain()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (sf.StopAt("x"), "holds nothing; "),
        (sf.StopAt("xy"), "holds the beginning of a stop string, at most 1 character; "),
        (sf.StopAt("xyz"), "holds the beginning of a stop string, at most 2 characters; "),
        (sf.Chunks(1), "holds nothing"),
        (sf.Chunks(2), "holds at most 1 character"),
        (sf.Chunks(3), "holds at most 2 characters"),
        (sf.Limit(max_chars=9, at="char", suffix="…"), "holds 1 character at max_chars"),
        (sf.Limit(max_chars=9, at="char", suffix="..."), "holds 3 characters at max_chars"),
        (sf.Repetition(max_repeats=21), "holds what would be the same more than 21 times, at most "),
        (sf.Redact("a", max_hold=1), "holds a match that is still open, at most 1 character, then overflow="),
        (sf.Pace(delay=1, by="word"), "lets text leave at 1 second a word; "),
        (sf.Pace(delay=0.5, by="word"), "lets text leave at 0.5 seconds a word; "),
        (sf.Pace(chars_per_second=1, max_lag=1), "lets text leave at 1 character a second; holds each character 1 second at most"),
        (sf.Coalesce(1), "holds text for 1 second, or up to "),
        (sf.Coalesce(2, max_chars=1), "holds text for 2 seconds, or up to 1 character of it"),
        (sf.Buffer(1), "every item; reads one of them ahead"),
    ],
)
def test_what_is_explained_is_counted_in_words(part: sf.Stage[Any, Any], said: str) -> None:
    """One character, two characters, and nothing where there would be none."""
    assert regex.search(rf"[;:] {regex.escape(said)}(?!s)", part.explain())


def test_a_pattern_that_is_a_word_is_explained_as_that() -> None:
    """In Python a text is a pattern: who means the rule of the catalogue is shown that it is not that."""
    for stage in (sf.Redact("email"), sf.Block("a+", "email")):
        assert "finds the text 'email' itself, which is no name of a rule here; holds" in stage.explain()
    for stage in (sf.Redact(EMAIL), sf.Redact(sf.Rule("mail", "email")), sf.Redact(r"e-?mail"), sf.Redact(sf.Terms(["email"]))):
        assert "itself" not in stage.explain()


def test_a_generator_that_is_at_work_for_a_thread_is_closed_by_that() -> None:
    """Another thread that closes the stream meanwhile is told so; nothing more leaves, and nothing stays open."""
    asked, go_on = threading.Event(), threading.Event()
    said: list[str] = []
    closed: list[threading.Thread] = []

    def source() -> Iterator[str]:
        try:
            yield "a sec"
            asked.set()
            go_on.wait(20)
            yield "ret"
            yield "c"
        finally:
            closed.append(threading.current_thread())

    def read() -> None:
        try:
            said.extend(stream)
        except RuntimeError as error:
            said.append(str(error))

    stream = sf.Redact("secret").iter(source())
    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert asked.wait(20)
        with pytest.raises(RuntimeError, match="another task reads the source just now, or a thread: it is closed when"):
            stream.close()
        assert closed == []
    finally:
        go_on.set()
        reader.join()
    assert said[0] == "a "
    assert "failed in another task that read it, or a thread" in said[1]
    assert closed == [reader]
    stream.close()


def test_only_one_thread_reads_a_stream_of_plain_code() -> None:
    """Another gets an error, at once and nothing of the text; the one that reads goes on as if it were alone."""
    asked, go_on = threading.Event(), threading.Event()
    read: list[str] = []

    def source() -> Iterator[str]:
        yield "pin 12"
        asked.set()
        go_on.wait(30)
        yield "34 ok"

    stream = sf.Redact("[0-9]{4}", to="#").iter(source())
    reader = threading.Thread(target=lambda: read.extend(stream))
    reader.start()
    try:
        assert asked.wait(30)
        with pytest.raises(RuntimeError, match="is read already, by another thread"):
            next(stream)
    finally:
        go_on.set()
        reader.join(30)
    assert "".join(read) == "pin # ok"


def test_a_function_does_not_read_the_stream_that_it_works_for() -> None:
    """That would wait for itself: it is refused with a sentence that says so."""
    streams: list[sf.SyncStream[str]] = []
    streams.append(sf.MapText(lambda text: text + next(streams[0])).iter(["a", "b"]))
    with pytest.raises(RuntimeError, match="a function of its own stages"):
        list(streams[0])


def test_a_plain_generator_function_is_no_stage() -> None:
    """It is refused when it is joined, and the message says what to write."""

    def plain(stream: Iterator[str]) -> Iterator[str]:
        yield from stream

    with pytest.raises(TypeError, match=r"plain is a plain generator function: write `async def`"):
        sf.Words() | plain  # type: ignore[operator]


async def passing_on(stream: AsyncIterator[str]) -> AsyncIterator[str]:
    async for text in stream:
        yield text


@pytest.mark.parametrize("stage", [sf.Redact("a"), sf.Redact("a") | sf.Words(), sf.Words() | passing_on])
@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_source_that_is_read_while_its_stream_is_left_is_closed_by_who_reads(
    stage: sf.Stage[str, str], is_cancelled: bool
) -> None:
    """Nobody can close an async generator that is at work; it must not stay open for that, nor be closed twice."""

    async def main() -> tuple[int, list[Any]]:
        may_go, closings = asyncio.Event(), 0

        async def tokens() -> AsyncIterator[str]:
            nonlocal closings
            try:
                yield "so "
                await may_go.wait()
                yield "so "
                raise AssertionError("read on")
            finally:
                closings += 1

        stream = stage(tokens())

        async def read() -> list[str]:
            return [text async for text in stream]

        reader = asyncio.create_task(read())
        for _ in range(9):
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"another task reads the source just now|already running"):
            await stream.aclose()
        if is_cancelled:
            reader.cancel()
        may_go.set()
        await asyncio.wait([reader])
        await stream.aclose()
        return closings, [None if reader.cancelled() else reader.exception()]

    closings, [error] = asyncio.run(main())
    assert closings == 1
    assert error is None if is_cancelled else isinstance(error, RuntimeError)
