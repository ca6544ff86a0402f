"""`Resume`: nothing lost, nothing doubled, whatever the moment of the drop. The reference is the stream that was not dropped."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from stepping import cancelled

import streamfilter as sf
from streamfilter.testing import Mark, ScriptedSource, cut, run_virtually


class Reset(Exception):
    """A drop of our own."""


PASS: sf.Pipeline[Any, Any] = sf.Pipeline()

NOW: tuple[float, float, float] = (0.0, 1.0, 0.0)
"""A backoff that does not wait."""

Opens = Callable[[sf.ResumePoint], Sequence[Any]]


class Service:
    """What can be connected to, and drops.

    Args:
        opens: what a connection from a point would give, if it did not drop.
        drops: when the connections drop, one after the other: None while they are made, or after so many items. Later ones do not.
        silently: whether a connection that drops ends instead of raising.
        is_function: whether `connect` is an async function.
    """

    def __init__(self, opens: Opens, drops: Sequence[int | None], *, silently: bool = False, is_function: bool = True) -> None:
        self.opens = opens
        self.drops = [*drops]
        self.silently = silently
        self.points: list[sf.ResumePoint] = []
        self.log: list[tuple[str, int]] = []
        self.connect: Callable[[sf.ResumePoint], Any] = self._connect if is_function else self._open
        self.pause = 0.0

    async def _connect(self, point: sf.ResumePoint) -> Any:
        if self.pause:
            await asyncio.sleep(self.pause)
        return self._open(point)

    def _open(self, point: sf.ResumePoint) -> Any:
        n = len(self.points)
        self.points.append(point)
        drop = self.drops[n] if n < len(self.drops) else -1
        if drop is None:
            raise Reset(n)
        items = self.opens(point)
        self.log.append(("open", n))
        return Connection(self, n, items if drop < 0 else items[:drop], drops=drop >= 0)

    @property
    def is_tidy(self) -> bool:
        """Whether each connection was closed once, before the next was opened."""
        opened = [n for what, n in self.log if what == "open"]
        return self.log == [(what, n) for n in opened for what in ("open", "close")]


class Connection(ScriptedSource[Any]):
    def __init__(self, service: Service, n: int, items: Sequence[Any], *, drops: bool) -> None:
        pause = (lambda: asyncio.sleep(service.pause)) if service.pause else None
        super().__init__(items, error=Reset(n) if drops and not service.silently else None, pause=pause)
        self.service = service
        self.n = n

    async def aclose(self) -> None:
        self.service.log.append(("close", self.n))
        if self.service.pause:
            await asyncio.sleep(self.service.pause)


async def _read(source: Any, into: list[Any] | None = None) -> list[Any]:
    out: list[Any] = [] if into is None else into
    async with PASS(source) as stream:
        async for item in stream:
            out.append(item)  # noqa: PERF401  # what was given before an error is part of the case
    return out


def joined(items: Sequence[Any]) -> list[Any]:
    """Text as it reads, and all else in its place."""
    out: list[Any] = []
    for item in items:
        if isinstance(item, sf.TextDelta):
            last = out[-1] if out else None
            if isinstance(last, tuple) and last[0] == item.channel:
                out[-1] = (item.channel, last[1] + item.text)
            elif item.text:
                out.append((item.channel, item.text))
        elif isinstance(item, str):
            if out and isinstance(out[-1], str):
                out[-1] += item
            elif item:
                out.append(item)
        else:
            out.append(item)
    return out


def moments(items: int, drops: int) -> Iterator[tuple[int | None, ...]]:
    """Every sequence of so many moments at which connections can drop."""
    return itertools.product([None, *range(items + 1)], repeat=drops)


# ------------------------------------------------------------------ every moment


ANSWER = ["He", "llo", " ", "y", "ou"]
TEXT = "".join(ANSWER)
REASONED = [
    sf.TextDelta("hm", sf.Channel("reasoning")),
    sf.TextDelta("He"),
    Mark(name=1),
    sf.TextDelta("llo"),
    sf.Finish("stop"),
]


def _recut(items: Sequence[Any], n: int) -> list[Any]:
    """The same items, their text cut in another way for every connection."""
    out: list[Any] = []
    for item in items:
        text = item if isinstance(item, str) else getattr(item, "text", None)
        if text is None:
            out.append(item)
            continue
        pieces = cut(text, *range(n % 3, len(text), 1 + n % 2))
        out += pieces if isinstance(item, str) else [sf.TextDelta(piece, item.channel) for piece in pieces]
    return out


def _merged(items: Sequence[Any], n: int) -> list[Any]:
    """The same text in one piece, or in two."""
    text = "".join(items)
    return cut(text, n % (len(text) + 1))


@pytest.mark.parametrize("is_function", [True, False])
@pytest.mark.parametrize("drops", [0, 1, 2, 3])
def test_continuing_a_prefix_loses_and_doubles_nothing(drops: int, is_function: bool) -> None:
    """Every moment of up to three drops; each connection is told exactly what was given."""

    async def main() -> None:
        for when in moments(len(TEXT), drops):
            service = Service(lambda point: _recut([TEXT[len(point.text) :]], point.items), when, is_function=is_function)
            given: list[str] = []
            source = sf.Resume(service.connect, restart="never", attempts=4, backoff=NOW, errors=(Reset,))
            await _read(source, given)
            assert "".join(given) == TEXT, when
            assert service.is_tidy
            assert all(TEXT.startswith(point.text) for point in service.points)
            assert [point.error is None for point in service.points] == [True, *[False] * (len(service.points) - 1)]

    run_virtually(main(), debug=False)


@pytest.mark.parametrize("recut", [_recut, _merged])
@pytest.mark.parametrize("drops", [0, 1, 2, 3])
def test_verifying_loses_and_doubles_nothing(drops: int, recut: Callable[[Sequence[Any], int], list[Any]]) -> None:
    """Every moment of up to three drops, though each connection cuts the text in another way."""

    async def main() -> None:
        for when in moments(len(TEXT), drops):
            service = Service(lambda point: recut(ANSWER, point.attempt), when)
            source = sf.Resume(service.connect, restart="verify", attempts=4, backoff=NOW, errors=(Reset,))
            given = await _read(source)
            assert "".join(given) == TEXT, when
            assert service.is_tidy
            assert service.points[-1].attempt == len(service.points)

    run_virtually(main(), debug=False)


@pytest.mark.parametrize("drops", [1, 2])
def test_verifying_keeps_events_and_channels_in_their_place(drops: int) -> None:
    """Text of several channels and events between it: what comes again is skipped, what is new passes."""

    async def main() -> None:
        want = joined(REASONED)
        for when in moments(8, drops):
            service = Service(lambda point: _recut(REASONED, point.attempt), when)
            source = sf.Resume(service.connect, restart="verify", attempts=4, backoff=NOW, errors=(Reset,))
            assert joined(await _read(source)) == want, when
            assert service.is_tidy

    run_virtually(main(), debug=False)


Numbered = tuple[int | None, str]


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("drops", [0, 1, 2, 3])
def test_resuming_by_event_id_loses_and_doubles_nothing(drops: int, every: int) -> None:
    """Events of one, two or three items, the last of which has the id: what belongs to an unfinished event comes again."""
    events: list[Numbered] = [(n if n % every == 0 else None, f"{n};") for n in range(1, 7)]

    def opens(point: sf.ResumePoint) -> list[Numbered]:
        return events[point.last_id or 0 :]

    async def main() -> None:
        for when in moments(6, drops):
            service = Service(opens, when)
            source = sf.Resume(
                service.connect, id=lambda item: item[0], text=lambda item: item[1], attempts=4, backoff=NOW, errors=(Reset,)
            )
            assert await _read(source) == events, when
            assert service.is_tidy
            for point in service.points:  # the text is that of the event that is not complete
                assert point.text == "".join(f"{n};" for n in range((point.last_id or 0) + 1, point.items + 1))

    run_virtually(main(), debug=False)


@pytest.mark.parametrize("drops", [1, 2, 3])
def test_before_the_first_release_a_restart_is_not_noticed_and_later_it_is_an_error(drops: int) -> None:
    """The default. What was given stays given, and the error is the source's own."""

    async def main() -> None:
        for when in moments(3, drops):
            service = Service(lambda point: ANSWER, when)
            given: list[str] = []
            fails = next((n for n, moment in enumerate(when) if moment), None)  # the first one after an item
            if fails is None:
                assert await _read(sf.Resume(service.connect, attempts=4, backoff=NOW, errors=(Reset,)), given) == ANSWER
                assert len(service.points) == drops + 1
            else:
                with pytest.raises(Reset) as caught:
                    await _read(sf.Resume(service.connect, attempts=4, backoff=NOW, errors=(Reset,)), given)
                assert caught.value.args == (fails,)
                assert given == ANSWER[: when[fails]]
                assert caught.value.__notes__ == [f"not resumed: a restart would repeat what was given ({when[fails]} so far)"]
            assert service.is_tidy

    run_virtually(main(), debug=False)


@pytest.mark.parametrize("restart", ["never", "verify"])
@pytest.mark.parametrize("silently", [True, False])
def test_an_end_without_the_last_item_is_a_drop_if_that_is_declared(restart: Any, silently: bool) -> None:
    """And behind the last item a drop is an end, whichever way the connection went."""
    whole = [*ANSWER, "."]
    text = "".join(whole)

    def opens(point: sf.ResumePoint) -> list[str]:
        return whole if restart == "verify" else [*text[len(point.text) :]]

    async def main() -> None:
        for when in moments(len(text), 2):
            service = Service(opens, when, silently=silently)
            source = sf.Resume(
                service.connect,
                restart=restart,
                is_complete=lambda item: item.endswith("."),
                attempts=4,
                backoff=NOW,
                errors=(Reset,),
            )
            assert "".join(await _read(source)) == text, when
            assert service.is_tidy
            if when[0] == len(text):
                assert len(service.points) == 1

    run_virtually(main(), debug=False)


def test_stages_downstream_do_not_notice() -> None:
    """Text that a stage holds over a drop is found all the same."""
    text = "my pin is 1234, yours 98"
    stage = sf.Redact(r"\d{4}", to="####")

    async def main() -> None:
        for when in moments(len(text), 2):
            service = Service(lambda point: [*text[len(point.text) :]], when)
            source = sf.Resume(service.connect, restart="never", backoff=NOW, errors=(Reset,))
            async with stage(source) as stream:
                assert "".join([each async for each in stream]) == stage.apply(text)

    run_virtually(main(), debug=False)


@pytest.mark.parametrize("seed", range(8))
def test_long_streams_that_drop_many_times(seed: int) -> None:
    """Random texts, cuts, moments and ways; ten drops and more."""
    chance = random.Random(seed)

    def pieces(text: str) -> list[str]:
        return cut(text, *(chance.randrange(len(text) + 1) for _ in range(chance.randrange(30)))) if text else []

    async def main() -> None:
        for _ in range(60):
            text = "".join(chance.choice("ab \n🙂\x00\ud800") for _ in range(chance.randrange(80)))
            when = [chance.choice([None, 0, 1, 2, 3, 5, 8]) for _ in range(chance.randrange(15))]
            restart: Any = chance.choice(["never", "verify"])
            is_prefix = restart == "never"
            service = Service(lambda point: pieces(text[len(point.text) :] if is_prefix else text), when)  # noqa: B023  # used at once
            source: sf.Resume[str] = sf.Resume(service.connect, restart=restart, attempts=20, backoff=NOW, errors=(Reset,))
            assert "".join(await _read(source)) == text
            assert service.is_tidy

    run_virtually(main(), debug=False)


# ------------------------------------------------------------------ what differs


@pytest.mark.parametrize(
    ("first", "second", "offset"),
    [
        (["abc"], ["abd"], 2),
        (["abc"], ["abd", "e"], 2),
        (["abc"], ["a", "b", "x"], 2),
        (["abc"], ["xbc"], 0),
        (["abc"], ["ab"], 2),  # it ends before it has given what was given
        (["abc"], [], 0),
        (["abc", Mark(name=1)], ["abcd"], 3),
        (["abc", Mark(name=1)], ["abc", Mark(name=2)], 3),
        (["abc", Mark(name=1)], ["abc", "d"], 3),
        (["abc"], ["ab", Mark(name=1)], 2),
        (["abc"], [sf.TextDelta("abc", sf.Channel("reasoning"))], 0),
        ([sf.ToolCall("1", "search", sf.Channel("tool_arguments"))], [sf.ToolCall("2", "find", sf.Channel("tool_arguments"))], 0),
    ],
)
def test_a_restart_that_differs_is_an_error(first: list[Any], second: list[Any], offset: int) -> None:
    """It says where, and holds no text; what was given stays given, nothing of the other answer is."""
    service = Service(lambda point: first if point.attempt == 1 else second, [len(first)])
    given: list[Any] = []

    async def main() -> None:
        await _read(sf.Resume(service.connect, restart="verify", backoff=NOW, errors=(Reset,)), given)

    with pytest.raises(sf.MalformedInput) as caught:
        run_virtually(main())
    assert given == first
    assert caught.value.offset == offset
    assert str(caught.value) == f"the reopened source gives something else than before, at offset {offset}"
    assert service.is_tidy


def _is_beginning(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether one sequence of text and events begins another, whatever their cuts."""
    *before, last = joined(first) or [None]
    again = joined(second)[: len(before) + 1]
    if last is None:
        return True
    if len(again) <= len(before) or again[:-1] != before:
        return False
    if isinstance(last, tuple) and isinstance(again[-1], tuple):
        return bool(last[0] == again[-1][0]) and again[-1][1].startswith(last[1])
    return bool(last == again[-1])


@pytest.mark.parametrize("seed", range(4))
def test_a_restart_is_an_error_if_and_only_if_it_differs(seed: int) -> None:
    """Random streams of several channels and events, against a comparison of the whole."""
    chance = random.Random(seed)
    channels = [sf.Channel(), sf.Channel("reasoning"), sf.Channel("answer", (0, 1))]

    def some(most: int) -> list[Any]:
        def one() -> Any:
            if chance.random() < 0.75:
                return sf.TextDelta(
                    chance.choice(["", "a", "b", "ab", "ba", "aab"]), chance.choice(channels[: chance.choice([1, 1, 2, 3])])
                )
            return chance.choice([Mark(name=0), Mark(name=1), sf.Finish("stop")])

        return [one() for _ in range(chance.randrange(most))]

    async def main() -> set[bool]:
        found: set[bool] = set()
        for n in range(400):
            first = some(7)
            second = _recut(first, n) + some(3) if chance.random() < 0.6 else some(7)
            service = Service(lambda point: first if point.attempt == 1 else second, [len(first)])  # noqa: B023  # used at once
            given: list[Any] = []
            is_same = True
            try:
                await _read(sf.Resume(service.connect, restart="verify", backoff=NOW, errors=(Reset,)), given)
            except sf.MalformedInput:
                is_same = False
            assert is_same == _is_beginning(first, second), (first, second)
            assert joined(given) == joined(second if is_same else first)
            assert service.is_tidy
            found.add(is_same)
        return found

    assert run_virtually(main(), debug=False) == {True, False}


@pytest.mark.parametrize(
    "items",
    [
        [sf.ToolCall("{}", "search", sf.Channel("tool_arguments")), sf.TextDelta("{", sf.Channel("tool_arguments"))],
        [sf.Raw({"id": "{}"}), sf.TextDelta("a")],
        ["a", sf.Usage("{}")],
        ["a", Mark(scope=None, name="{}"), "b"],
    ],
)
def test_what_is_made_anew_each_time_is_not_compared(items: list[Any]) -> None:
    """Ids and counts are another connection's; they are given once, as they came first. Pings stand nowhere."""

    def named(item: Any, n: int) -> Any:
        if isinstance(item, sf.ToolCall):
            return sf.ToolCall(f"id{n}", item.name, item.arguments)
        return type(item)({"id": n}) if isinstance(item, sf.Raw | sf.Usage) else item

    service = Service(lambda point: [*(named(item, point.attempt) for item in items), "end"], [len(items)])

    async def main() -> list[Any]:
        return await _read(sf.Resume(service.connect, restart="verify", backoff=NOW, errors=(Reset,)))

    assert run_virtually(main()) == [*(named(item, 1) for item in items), "end"]


def test_chunks_of_a_provider_are_verified_by_their_text() -> None:
    """With `text=` any items are compared; what has no text by its type, and a chunk is never cut."""

    def chunk(text: str | None, n: int) -> dict[str, Any]:
        return {"id": n, "text": text}

    def opens(point: sf.ResumePoint) -> list[Any]:
        texts = [None, "a", "bc", None, "d"] if point.attempt < 3 else [None, "a", "bcd"]
        return [chunk(text, point.attempt) for text in texts]

    async def main(*drops: int) -> list[Any]:
        service = Service(opens, drops)
        return await _read(
            sf.Resume(service.connect, restart="verify", text=lambda each: each["text"], backoff=NOW, errors=(Reset,))
        )

    given = run_virtually(main(3))
    assert [(each["text"], each["id"]) for each in given] == [(None, 1), ("a", 1), ("bc", 1), (None, 2), ("d", 2)]
    with pytest.raises(sf.MalformedInput, match=r"cuts its chunks otherwise|something else than before"):
        run_virtually(main(4, 0))


def test_an_event_id_before_what_should_come_again_is_an_error() -> None:
    """Items without an id that do not come again are lost or doubled, nobody knows: better to say so."""
    events = [(1, "a"), (None, "b"), (2, "c")]
    service = Service(lambda point: events if point.last_id is None else events[2:], [2])

    async def main() -> None:
        source = sf.Resume(service.connect, id=lambda each: each[0], text=lambda each: each[1], backoff=NOW, errors=(Reset,))
        await _read(source)

    with pytest.raises(sf.MalformedInput, match="something else than before"):
        run_virtually(main())


def test_pings_pass_when_resuming_by_event_id() -> None:
    """What has neither id nor text is not expected again."""
    service = Service(lambda point: [(1, "a"), (None, None)] if point.last_id is None else [(None, None), (2, "b")], [2])

    async def main() -> list[Any]:
        source = sf.Resume(service.connect, id=lambda each: each[0], text=lambda each: each[1], backoff=NOW, errors=(Reset,))
        return await _read(source)

    assert run_virtually(main()) == [(1, "a"), (None, None), (None, None), (2, "b")]


# ------------------------------------------------------------------ attempts and waiting


@pytest.mark.parametrize("attempts", [1, 2, 5])
@pytest.mark.parametrize("when", [None, 0])
def test_when_the_attempts_are_used_up_the_last_error_goes_on(attempts: int, when: int | None) -> None:
    """As it is, with a note of how many there were."""
    service = Service(lambda point: ANSWER, [when] * 10)

    async def main() -> None:
        await _read(sf.Resume(service.connect, attempts=attempts, backoff=NOW, errors=(Reset,)))

    with pytest.raises(Reset) as caught:
        run_virtually(main())
    assert caught.value.args == (attempts - 1,)
    assert caught.value.__notes__ == [f"not resumed: gave up after {attempts} attempt{'s' if attempts > 1 else ''}"]
    assert service.is_tidy
    assert [point.attempt for point in service.points] == [*range(1, attempts + 1)]


def test_something_new_begins_the_row_again_but_not_where_each_restart_costs_everything() -> None:
    """A stream that drops after every item ends well by prefix; verified, two attempts are two."""

    def read(restart: Any) -> tuple[Service, list[str]]:
        def opens(point: sf.ResumePoint) -> list[str]:
            return ANSWER if restart == "verify" else [*TEXT[len(point.text) :]]

        service = Service(opens, [1, 1, 1, 1, 1] if restart == "never" else [1, 2, 3])
        given: list[str] = []
        run_virtually(_read(sf.Resume(service.connect, restart=restart, attempts=2, backoff=NOW, errors=(Reset,)), given))
        return service, given

    service, given = read("never")
    assert "".join(given) == TEXT
    assert len(service.points) == 6
    with pytest.raises(Reset) as caught:
        read("verify")
    assert caught.value.__notes__ == ["not resumed: gave up after 2 attempts"]


def test_backoff_waits_as_told_by_the_function() -> None:
    """In seconds of the event loop's clock, for each failure in a row."""
    service = Service(lambda point: [*TEXT[len(point.text) :]], [None, None, 2, 0])
    asked: list[int] = []
    times: list[float] = []

    def backoff(attempt: int) -> float:
        asked.append(attempt)
        return attempt * 10.0

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source = sf.Resume(service.connect, restart="never", attempts=5, backoff=backoff, errors=(Reset,))
        async with PASS(source) as stream:
            times.extend([loop.time() async for _ in stream])

    run_virtually(main())
    assert asked == [1, 2, 1, 2]
    assert (times[0], times[2]) == (30.0, 60.0)


def test_backoff_of_three_numbers_grows_to_its_limit_and_is_never_the_same() -> None:
    """Between half and all of it; the sleep can be another one."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    service = Service(lambda point: ANSWER, [None] * 9)
    source = sf.Resume(service.connect, attempts=10, backoff=(1.0, 2.0, 30.0), errors=(Reset,), sleep=sleep)
    run_virtually(_read(source))
    assert len({round(each, 9) for each in slept}) == 9
    for n, seconds in enumerate(slept):
        assert min(2.0**n, 30.0) / 2 <= seconds <= min(2.0**n, 30.0)


def test_a_very_long_row_of_failures_waits_no_longer_than_the_limit() -> None:
    """2.0 to the power of thousands is no number any more."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    service = Service(lambda point: ANSWER, [None] * 3000)
    run_virtually(_read(sf.Resume(service.connect, attempts=3001, backoff=(1.0, 2.0, 30.0), errors=(Reset,), sleep=sleep)))
    assert max(slept) <= 30.0


def test_it_runs_under_trio_with_its_sleep() -> None:
    """asyncio is only needed to wait."""
    import trio

    service = Service(lambda point: ANSWER, [None, 0])

    async def main(**sleeps: Any) -> list[Any]:
        return await _read(sf.Resume(service.connect, backoff=lambda _: 0.001, errors=(Reset,), **sleeps))

    async def with_sleep() -> list[Any]:
        return await main(sleep=trio.sleep)

    assert trio.run(with_sleep) == ANSWER
    service.points.clear()
    with pytest.raises(RuntimeError, match=r"give its own, .*sleep=trio.sleep"):
        trio.run(main)


# ------------------------------------------------------------------ what counts as a drop


def _client_error(package: str, name: str) -> type[Exception]:
    """An exception as a client that is not installed would have it."""
    return type(name, (Exception,), {"__module__": f"{package}._exceptions"})


@pytest.mark.parametrize(
    ("error", "is_drop"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (type("ReadError", (_client_error("httpx", "NetworkError"),), {"__module__": "httpx"})(), True),
        (_client_error("aiohttp", "ClientPayloadError")(), True),
        (_client_error("elsewhere", "NetworkError")(), False),
        (_client_error("httpx", "InvalidURL")(), False),
        (ValueError("a bug"), False),
        (sf.ProviderError(), False),
    ],
)
def test_the_usual_exceptions_of_lost_connections_are_drops_and_no_others(error: Exception, is_drop: bool) -> None:
    """Told by class, or by name where the client need not be there. What is no drop goes on as it is."""
    sources = [ScriptedSource([], error=error), ScriptedSource(ANSWER)]
    opened = iter(sources)
    reading = _read(sf.Resume(lambda point: next(opened), backoff=NOW))
    if is_drop:
        assert run_virtually(reading) == ANSWER
    else:
        with pytest.raises(type(error)) as caught:
            run_virtually(reading)
        assert caught.value is error
        assert not hasattr(error, "__notes__")
    assert [source.closed for source in sources] == [1, int(is_drop)]


def test_the_names_of_the_usual_exceptions_are_right() -> None:
    """Those of clients that are there exist, and mean a connection."""
    import importlib.util

    from streamfilter.flow.resume import DROPS

    found = 0
    for name in (each for each in DROPS if isinstance(each, str)):
        package, _, attribute = name.partition(".")
        if importlib.util.find_spec(package):
            error = getattr(importlib.import_module(package), attribute)
            assert issubclass(error, Exception)
            assert error.__module__.partition(".")[0] == package
            found += 1
    assert found


# ------------------------------------------------------------------ bad input


async def _nothing(point: sf.ResumePoint) -> AsyncIterator[str]:
    return
    yield


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": -1}, "attempts"),
        ({"backoff": (1.0, 0.5, 3.0)}, "1 <= factor"),
        ({"backoff": (2.0, 2.0, 1.0)}, "first <= max"),
        ({"backoff": (-1.0, 2.0, 1.0)}, "0 <= first"),
        ({"backoff": (1.0, 2.0, float("inf"))}, "first <= max"),
        ({"backoff": (1.0, 2.0)}, r"backoff: \(first, factor, max\) in seconds is needed"),
        ({"backoff": 1.0}, r"backoff: \(first, factor, max\) in seconds is needed"),
        ({"backoff": (1.0, "2", 3.0)}, r"backoff: \(first, factor, max\) in seconds is needed"),
        ({"restart": "sometimes"}, "restart"),
        ({"id": str, "restart": "verify"}, "goes on behind an event, restart='verify' begins again"),
        ({"id": str, "restart": "before_first_release"}, "give one of them"),
        ({"errors": ("ReadError",)}, "'package.Name' is needed"),
        ({"errors": ("httpx.ReadError.x",)}, "'package.Name' is needed"),
        ({"errors": (asyncio.CancelledError,)}, "errors"),
        ({"errors": asyncio.CancelledError}, "errors"),
        ({"errors": "ReadError"}, "'package.Name' is needed"),
        ({"errors": 3}, "errors"),
        ({"max_chars": 0}, "max_chars"),
        ({"is_complete": 3}, "is_complete"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], problem: str) -> None:
    """With what was wrong."""
    with pytest.raises(ValueError, match=problem):
        sf.Resume(_nothing, **arguments)


def test_a_resume_is_a_value_and_no_stage() -> None:
    """It has a repr that can be read, and is joined with nothing."""
    assert repr(sf.Resume(_nothing, attempts=5)) == "Resume(_nothing, attempts=5)"
    assert sf.Resume(_nothing) == sf.Resume(_nothing)
    with pytest.raises(TypeError, match="call the stage with it"):
        sf.Resume(_nothing) | sf.MapText(str.upper)  # type: ignore[operator]
    assert "secret" not in repr(sf.ResumePoint(text="secret", error=ValueError("secret")))


class Opened:
    """A connection that nobody can iterate, but close."""

    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("given", "problem"),
    [(["a"], "list, not an async iterable"), ("a", "str, not an async iterable"), (None, "NoneType"), (Opened(), "Opened")],
)
@pytest.mark.parametrize("is_function", [True, False])
@pytest.mark.parametrize("errors", [(Reset,), (Exception,)])
def test_a_connect_that_gives_no_async_iterable_is_told_off(given: Any, problem: str, is_function: bool, errors: Any) -> None:
    """At once, whatever counts as a drop; and what it has opened is closed."""
    calls: list[sf.ResumePoint] = []

    def connect(point: sf.ResumePoint) -> Any:
        calls.append(point)
        return given

    async def connect_async(point: sf.ResumePoint) -> Any:
        return connect(point)

    before = getattr(given, "closed", 0)
    with pytest.raises(TypeError, match=f"what .*connect.* gave is {problem}"):
        run_virtually(_read(sf.Resume(connect_async if is_function else connect, errors=errors, backoff=NOW)))
    assert len(calls) == 1
    assert getattr(given, "closed", 1) == before + 1


@pytest.mark.parametrize("is_async", [True, False])
def test_a_connect_that_ends_iteration_does_not_end_the_stream(is_async: bool) -> None:
    """A `StopAsyncIteration` from it is a mistake, not an answer without text."""

    def connect(point: sf.ResumePoint) -> Any:
        raise StopAsyncIteration

    async def connect_async(point: sf.ResumePoint) -> Any:
        raise StopAsyncIteration

    with pytest.raises(RuntimeError, match=r"connect.* raised StopAsyncIteration"):
        run_virtually(_read(sf.Resume(connect_async if is_async else connect)))


def test_one_kind_of_drop_needs_no_tuple() -> None:
    """As with `except`."""
    service = Service(lambda point: ANSWER, [None])
    assert sf.Resume(service.connect, errors=Reset).errors == (Reset,)
    assert sf.Resume(service.connect, errors="httpx.ReadError") == sf.Resume(service.connect, errors=("httpx.ReadError",))


@pytest.mark.parametrize("gives", [-1.0, float("nan"), float("inf"), None, "1"])
def test_a_backoff_that_gives_no_seconds_is_told_off(gives: Any) -> None:
    """With what it gave."""
    service = Service(lambda point: ANSWER, [None])
    with pytest.raises(ValueError, match="seconds are needed"):
        run_virtually(_read(sf.Resume(service.connect, backoff=lambda _: gives, errors=(Reset,))))


@pytest.mark.parametrize(
    ("chars", "restart", "is_lost"), [(8, "never", False), (7, "never", True), (8, "verify", False), (7, "verify", True)]
)
def test_what_is_remembered_is_bounded(chars: int, restart: Any, is_lost: bool) -> None:
    """A drop after more than `max_chars` is an error that says so, as what was given can no longer be told."""
    service = Service(lambda point: [*(TEXT if restart == "verify" else TEXT[len(point.text) :])], [8])
    reading = _read(sf.Resume(service.connect, restart=restart, max_chars=chars, backoff=NOW, errors=(Reset,)))
    if not is_lost:
        assert "".join(run_virtually(reading)) == TEXT
        return
    with pytest.raises(Reset) as caught:
        run_virtually(reading)
    assert caught.value.__notes__ == ["not resumed: more than max_chars=7 characters would have to be remembered"]


def test_by_event_id_a_stream_may_be_as_long_as_it_likes() -> None:
    """Only what came after the last id is remembered."""
    events = [(n, "x" * 100) for n in range(1, 101)]
    service = Service(lambda point: events[point.last_id or 0 :], [50, 30])
    source = sf.Resume(
        service.connect, id=lambda each: each[0], text=lambda each: each[1], max_chars=100, backoff=NOW, errors=(Reset,)
    )
    assert run_virtually(_read(source)) == events


# ------------------------------------------------------------------ leaving


@pytest.mark.parametrize("restart", ["never", "verify"])
def test_a_cancel_at_every_step_closes_what_was_opened_once(restart: Any) -> None:
    """In connect, while reading, while closing what was dropped, in the backoff; and nothing else is opened."""
    at, was_open, cuts = 3, True, 0
    while was_open:
        service = Service(lambda point: [*(TEXT if restart == "verify" else TEXT[len(point.text) :])], [2, None, 1])
        service.pause = 1.0
        source = sf.Resume(service.connect, restart=restart, backoff=lambda _: 5.0, errors=(Reset,), attempts=6)
        was_open = cancelled(lambda source=source: _read(source), at)  # type: ignore[misc]
        assert service.is_tidy, (at, service.log)
        at += 1
        cuts += was_open
    assert cuts > 20


@pytest.mark.parametrize("when", [0.5, 1.5, 2.5, 4.5, 6.5, 9.5])
def test_who_leaves_meanwhile_ends_it_and_nothing_is_opened_behind_him(when: float) -> None:
    """While another task waits in connect, for an item, or in the backoff."""
    service = Service(lambda point: ANSWER, [0])
    service.pause = 1.0

    async def main() -> None:
        iterator = aiter(sf.Resume(service.connect, backoff=lambda _: 5.0, errors=(Reset,)))

        async def read() -> list[str]:
            return [each async for each in iterator]

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(when)
        await iterator.aclose()
        opened = len(service.points)
        await iterator.aclose()
        await reading
        assert service.is_tidy
        assert len(service.points) <= max(opened, 1)
        assert [each async for each in iterator] == []

    run_virtually(main())


def test_what_is_never_read_opens_nothing() -> None:
    """Not even when it is closed."""
    service = Service(lambda point: ANSWER, [])

    async def main() -> None:
        async with sf.Pipeline()(sf.Resume(service.connect)):
            pass
        await aiter(sf.Resume(service.connect)).aclose()

    run_virtually(main())
    assert service.points == []


def test_an_error_in_closing_what_was_dropped_stops_nobody() -> None:
    """The drop was what happened; the next connection is opened."""
    sources = [ScriptedSource([], error=Reset(), close_error=OSError("closing")), ScriptedSource(ANSWER)]
    opened = iter(sources)
    assert run_virtually(_read(sf.Resume(lambda point: next(opened), backoff=NOW, errors=(Reset,)))) == ANSWER
    assert [source.closed for source in sources] == [1, 1]


def test_each_iteration_is_a_stream_of_its_own() -> None:
    """What one has received, another has not."""
    service = Service(lambda point: [*TEXT[len(point.text) :]], [2])

    async def main() -> tuple[list[str], list[str]]:
        source = sf.Resume(service.connect, restart="never", backoff=NOW, errors=(Reset,))
        return await _read(source), await _read(source)

    assert run_virtually(main()) == ([*TEXT], [*TEXT])
    assert [point.items for point in service.points] == [0, 2, 0]


def test_async_generator_functions_are_connections() -> None:
    """What they open is closed where they are left, in their `finally`."""
    log: list[object] = []

    async def connect(point: sf.ResumePoint) -> AsyncIterator[str]:
        log.append(point.attempt)
        try:
            for token in ANSWER[point.items :]:
                yield token
                if token == "llo" and point.items < 2:
                    raise ConnectionError
        finally:
            log.append("closed")

    assert run_virtually(_read(sf.Resume(connect, restart="never", backoff=NOW))) == ANSWER
    assert log == [1, "closed", 2, "closed"]
