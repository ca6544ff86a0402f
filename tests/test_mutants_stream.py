"""The driver of streams, fact by fact: what mutants of it showed that nothing else had stated in a second."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import pytest

import streamfilter as sf
from streamfilter.observer import Ending, Observer, Opened, Watch
from streamfilter.stream import check_source
from streamfilter.testing import ScriptedSource


class Heard(Observer, Watch):
    """Writes down what is watched, and how it has ended."""

    def __init__(self) -> None:
        self.begun: list[Opened] = []
        self.endings: list[Ending] = []

    def begin(self, stream: Opened) -> Watch:
        self.begun.append(stream)
        return self

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)


async def twice(texts: AsyncIterator[str]) -> AsyncIterator[str]:
    async for text in texts:
        yield text
        yield text


class Entered:
    """Is to be entered with `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *given: object) -> None:
        pass


class Listed(Entered):
    """And may be iterated as it is."""

    def __iter__(self) -> Listed:
        return self


def test_what_is_no_source_is_told_what_would_be_right() -> None:
    """By what it is, whole."""

    async def made() -> None:
        pass

    coroutine = made()
    whole = "for a whole text use stage.apply(text), for the body of a response stage.iter([body])"
    enter = "it is a stream manager, enter it first: `async with manager as source: stage(source)`"
    plain = "for a plain iterable use `for text in stage.iter(items)`"
    for source, kind, hint in (
        ("a", "str", whole),
        (b"a", "bytes", whole),
        (coroutine, "coroutine", "await it first: `stage(await client.create(...))`"),
        (Entered(), "Entered", enter),
        (Listed(), "Listed", plain),
        (["a"], "list", plain),
        (sf.Redact("a").iter(["a"]), "SyncStream", "here use `stage(source)`"),
        (len, "builtin_function_or_method", "call it first, or join it as a stage: `stage | function`"),
        (3, "int", "give an async iterable"),
    ):
        with pytest.raises(TypeError) as raised:
            check_source(source)
        assert str(raised.value) == f"the source is {kind}, not an async iterable: {hint}"
    coroutine.close()
    wrong: Any = lambda texts: 3  # noqa: E731  # named by what it is
    stage: Any = sf.MapText(str.upper)
    pipeline = stage | wrong
    with pytest.raises(TypeError, match=r"^what .*lambda.* gave is int, not an async iterable: give an async iterable$"):
        pipeline(ScriptedSource(["a"]))


def test_a_stream_that_is_not_measured_says_how_it_would_be() -> None:
    """Nothing is measured for those who have not asked for it."""
    with pytest.raises(RuntimeError, match=r"^this stream is not measured: start it with context=Context\(stats=True\)$"):
        _ = sf.Redact("a")(ScriptedSource([])).stats


@pytest.mark.parametrize("with_function", [False, True])
def test_a_stream_that_is_dropped_warns_once_and_is_left(with_function: bool) -> None:
    """By its name, and with the stream; those beneath it do not say it again."""
    heard = Heard()
    stage: Any = sf.MapText(str.upper) | twice if with_function else sf.MapText(str.upper)

    async def main() -> None:
        stream = stage(ScriptedSource(["a", "b"]), context=sf.Context(observe=[heard]))
        await stream.__anext__()
        del stream

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    (warning,) = caught
    assert warning.category is ResourceWarning
    name, said = str(warning.message).removeprefix("the stream of ").split(" was ", 1)
    assert said == "dropped before its end, so its source was not closed: write `async with stage(source) as stream`"
    assert ("twice" in name) if with_function else (name == "MapText")
    assert isinstance(warning.source, sf.Stream)
    assert [opened.stage for opened in heard.begun] == [stage]
    assert heard.endings == [Ending("left")]


def _raises(text: str) -> str:
    raise KeyError(text)


async def _all(stream: Any) -> None:
    async for _ in stream:
        pass


async def _one(stream: Any) -> None:
    async with stream:
        await stream.__anext__()


async def _failing(stream: Any) -> None:
    async with stream:
        await stream.__anext__()
        raise ZeroDivisionError


async def _cancelled(stream: Any) -> None:
    async with stream:
        await stream.__anext__()
        raise asyncio.CancelledError


@pytest.mark.parametrize("functions", [(), ("before",), ("behind",), ("before", "behind")])
@pytest.mark.parametrize(
    ("stage", "error", "read", "ending"),
    [
        (sf.MapText(str.upper), None, _all, Ending("finished")),
        (sf.MapText(str.upper), None, _one, Ending("left")),
        (sf.MapText(str.upper), None, _failing, Ending("failed", "ZeroDivisionError")),
        (sf.MapText(str.upper), None, _cancelled, Ending("cancelled", "CancelledError")),
        (sf.MapText(str.upper), OSError("x"), _all, Ending("failed", "OSError")),
        (sf.StopAt("b"), None, _all, Ending("stopped")),
        (sf.Block("b"), None, _all, Ending("stopped", "Blocked")),
        (sf.MapText(_raises), None, _all, Ending("stopped", "KeyError")),
    ],
)
def test_who_watches_hears_once_how_it_has_ended(
    functions: tuple[str, ...], stage: Any, error: Exception | None, read: Callable[[Any], Any], ending: Ending
) -> None:
    """Whatever functions stand around it; with the class of the error that the consumer gets."""
    for function in functions:
        stage = twice | stage if function == "before" else stage | twice
    heard = Heard()

    async def main() -> str | None:
        stream = stage(ScriptedSource(["a", "b", "c"], error=error), context=sf.Context(observe=[heard]))
        try:
            await read(stream)
        except BaseException as raised:  # whatever it is
            return type(raised).__name__
        return None

    assert asyncio.run(main()) == ending.error
    assert heard.endings == [ending]
    assert len(heard.begun) == 1


def test_errors_keep_no_text_of_the_stream_and_what_was_left_gives_nothing() -> None:
    """Neither the one that is raised nor the one that goes on; what was ready dies."""

    def texts(error: BaseException | None) -> list[str]:
        found, traceback = [], None if error is None else error.__traceback__
        while traceback is not None:
            frame, traceback = traceback.tb_frame, traceback.tb_next
            if frame.f_globals["__name__"].startswith("streamfilter."):
                found += [name for name, value in frame.f_locals.items() if "secret" in repr(value)]
        return found

    async def source() -> AsyncIterator[str]:
        yield "x"
        yield "the secret"
        raise OSError

    async def main(stage: Any, is_left: bool) -> BaseException | None:
        try:
            stream = stage(source())
            if not is_left:
                await _all(stream)
            async with stream:
                await _all(stream)
        except Exception as error:
            return error
        return None

    late: Any = sf.MapText(lambda text: text if text == "x" else str(1 // 0))
    stages: tuple[Any, ...] = (
        sf.Redact("secret!", to="#"),
        sf.Block("secret"),
        sf.MapText(_raises),
        late,
        late | twice | sf.Redact("xxy"),
    )
    for stage in stages:
        for is_left in (True, False):
            error = asyncio.run(main(stage, is_left))
            assert error is not None
            assert texts(error) == []

    async def left() -> list[str]:
        stream = sf.Redact("ab", to="#")(ScriptedSource(["xab ab y"]))
        out = [await stream.__anext__()]
        await stream.aclose()
        return out + [text async for text in stream]

    assert asyncio.run(left()) == ["x"]


@pytest.mark.parametrize("functions", [(), ("before",), ("behind",), ("before", "behind")])
def test_an_error_is_raised_once_and_behind_it_is_nothing(functions: tuple[str, ...]) -> None:
    """Whoever reads on gets no more, and not the error again."""

    async def main(stage: Any) -> list[Any]:
        for function in functions:
            stage = twice | stage if function == "before" else stage | twice
        stream = stage(ScriptedSource(["a", "b", "c"]))
        told: list[Any] = []
        for _ in range(9):
            try:
                told.append(await stream.__anext__())
            except (Exception, StopAsyncIteration) as error:
                told.append(type(error))
        return told

    texts = ["a"] * 2 ** len(functions)
    over = [StopAsyncIteration] * 9
    for stage, error in ((sf.Block("b"), sf.Blocked), (sf.MapText(lambda text: text if text == "a" else _raises(text)), KeyError)):
        assert asyncio.run(main(stage)) == [*texts, error, *over][:9]


class Unclosable(ScriptedSource[str]):
    """Cannot be closed."""

    async def aclose(self) -> None:
        raise OSError


@pytest.mark.parametrize("stage", [sf.StopAt("c"), sf.MapText(str.upper) | twice])
def test_an_error_in_closing_at_the_end_is_how_it_has_ended(stage: Any) -> None:
    """All has left, and whoever watches hears of the error that the consumer gets."""
    heard = Heard()
    out: list[str] = []

    async def main() -> None:
        async for text in stage(Unclosable(["a", "b", "c"]), context=sf.Context(observe=[heard])):
            out.append(text)  # noqa: PERF401  # what came before the error counts

    with pytest.raises(OSError):
        asyncio.run(main())
    assert "".join(out).lower().replace("aa", "a").replace("bb", "b").startswith("ab")
    assert heard.endings == [Ending("failed", "OSError")]


def test_two_readers_of_a_stream_that_waits_are_told_apart() -> None:
    """The second is refused, by the name of the stage."""

    async def pause() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(60)

    async def main() -> None:
        async with sf.Pace(chars_per_second=80)(pause()) as stream:
            await stream.__anext__()
            first = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match=r"^somebody waits for the next item of the stream of Pace already$"):
                await stream.__anext__()
            first.cancel()

    asyncio.run(main())
