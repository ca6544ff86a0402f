"""Timed stages: what leaves, in which order, and when, in virtual time, against inequalities and small simulations of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import pickle
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from laws_timed import LAWFUL
from stepping import cancelled

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import Mark, ScriptedSource, check_stage, run_virtually

EPS = 1e-6
Line = tuple[float, Any]
Left = tuple[float, Any]


async def _lines(lines: Sequence[Line], arrivals: list[Left] | None = None) -> AsyncIterator[Any]:
    """A source that gives each item so many seconds after the one before it was asked for."""
    loop = asyncio.get_running_loop()
    for seconds, line in lines:
        if seconds:
            await asyncio.sleep(seconds)
        if arrivals is not None:
            arrivals.append((loop.time(), line))
        yield line


def _timers(loop: asyncio.AbstractEventLoop) -> list[Any]:
    return [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]


def _run(
    stage: Any, lines: Sequence[Line], *, pause: float = 0, arrivals: list[Left] | None = None, **rest: Any
) -> tuple[list[Left], BaseException | None]:
    """What leaves and when, and the error at the end. No task and no timer stays."""

    async def main() -> tuple[list[Left], BaseException | None]:
        loop = asyncio.get_running_loop()
        out: list[Left] = []
        error: BaseException | None = None
        try:
            async with stage(_lines(lines, arrivals), **rest) as stream:
                async for item in stream:
                    out.append((round(loop.time(), 9), item))
                    if pause:
                        await asyncio.sleep(pause)
        except Exception as raised:
            error = raised
            out.append((round(loop.time(), 9), type(raised)))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not _timers(loop)
        return out, error

    return run_virtually(main(), debug=False)


def _text(items: Sequence[Any], channel: sf.Channel | None = None) -> str:
    if channel is None:
        return "".join(item for item in items if isinstance(item, str))
    return "".join(item.text for item in items if isinstance(item, sf.TextDelta) and item.channel == channel)


def _events(items: Sequence[Any]) -> list[Any]:
    return [item for item in items if not isinstance(item, str | sf.TextDelta)]


# ------------------------------------------------------------------ laws


@pytest.mark.parametrize(("stage", "means"), LAWFUL, ids=lambda each: repr(each) if isinstance(each, sf.Stage) else "")
def test_text_is_what_it_was(stage: Any, means: Callable[[str], str]) -> None:
    """`Pace` and `Coalesce` obey every law of text stages; timing they change, text they do not."""
    check_stage(stage, means, examples=40)


# ------------------------------------------------------------------ Pace

CUTS = {"word": r"\s*\S+\s*|\s+", "line": r"[^\n]*\n|[^\n]+", "char": r"(?s).", "chunk": r"(?s).+"}


@pytest.mark.parametrize(
    ("stage", "lines", "left"),
    [
        (sf.Pace(delay=0.1), [(0, "one two three")], [(0, "one "), (0.1, "two "), (0.2, "three")]),
        (sf.Pace(chars_per_second=10), [(0, "a bc d")], [(0, "a "), (0.2, "bc "), (0.5, "d")]),
        (sf.Pace(delay=0.1, by="char"), [(0, "abc")], [(0, "a"), (0.1, "b"), (0.2, "c")]),
        (
            sf.Pace(delay=0.1, by="line"),
            [(0, "a\n\nb"), (0, "c\nd")],
            [(0, "a\n"), (0.1, "\n"), (0.2, "b"), (0.2, "c\n"), (0.3, "d")],
        ),
        (sf.Pace(delay=0.1, by="chunk"), [(0, "a b"), (0, "c d")], [(0, "a b"), (0.1, "c d")]),
        # A source that is slower than the rate is not delayed at all.
        (sf.Pace(delay=0.1), [(0, "one"), (0.1, " two"), (0.5, " three")], [(0, "one"), (0.1, " two"), (0.6, " three")]),
        # What continues a word that has begun to leave has no delay, nor has white space.
        (
            sf.Pace(delay=0.1),
            [(0, "hel"), (0.01, "lo"), (0.01, " "), (0, "you")],
            [(0, "hel"), (0.01, "lo"), (0.02, " "), (0.1, "you")],
        ),
        # Events leave right behind the text before them, and text behind an event that waits waits too.
        (sf.Pace(delay=0.1), [(0, "a b"), (0, Mark()), (0, "c")], [(0, "a "), (0.1, "b"), (0.1, Mark()), (0.1, "c")]),
        (sf.Pace(delay=0.1), [(0, "a b"), (0, Mark(scope=None))], [(0, "a "), (0, Mark(scope=None)), (0.1, "b")]),
        # A burst that is too much for the rate leaves evenly within the bound: 20 units in a second.
        (sf.Pace(delay=0.1, by="char"), [(0, "x" * 20)], [(n / 20, "x") for n in range(20)]),
        # The higher rate ends with the text that needs it: "e" finds 0.1 s at twice the rate and three units before its end.
        (
            sf.Pace(delay=0.5, by="char", max_lag=1),
            [(0, "abcd"), (0.4, "e")],
            [(0, "a"), (0.25, "b"), (0.5, "c"), (0.75, "d"), (round(0.75 + 0.5 / 1.7, 9), "e")],
        ),
    ],
    ids=str,
)
def test_pace_by_hand(stage: Any, lines: Any, left: Any) -> None:
    """Small cases, worked out on paper."""
    assert _run(stage, lines) == (left, None)


def _units(stage: sf.Pace, arrivals: Sequence[Left]) -> list[tuple[float, str, float]]:
    """When each unit of plain text came, and what it costs: an independent reading of the documentation."""
    out = []
    before = ""
    for at, item in arrivals:
        if not isinstance(item, str) or not item:
            continue
        for n, unit in enumerate(re.findall(CUTS[stage.by], item)):
            cost = len(unit) / (stage.chars_per_second or 1) if stage.delay is None else stage.delay
            if stage.delay is not None and n == 0 and stage.by == "word":
                continues = before and not before[-1].isspace() and not unit[0].isspace()
                cost = 0.0 if continues or unit.isspace() else cost
            if stage.delay is not None and n == 0 and stage.by == "line" and before and before[-1] != "\n":
                cost = 0.0
            out.append((at, unit, cost))
        before = item
    return out


def _random_lines(rng: random.Random, events: bool = True) -> list[Line]:
    waits = rng.choice([(0.0,), (0.0, 0.0, 0.01, 0.3), (0.0, 0.05, 0.05, 1.0, 3.0), (0.02,)])
    lines: list[Line] = []
    for n in range(rng.randint(1, 25)):
        text = "".join(rng.choice("ab \nc d") for _ in range(rng.choice([1, 2, 4, 4, 9, 40])))
        item: Any = Mark(name=n, scope=rng.choice([sf.Channel(), sf.Channel(), ()])) if events and rng.random() < 0.15 else text
        lines.append((rng.choice(waits), item))
    return lines


@pytest.mark.parametrize("seed", [*range(150), 1272, 1594, 2415, 2607])
def test_pace_keeps_its_rate_and_its_bound(seed: int) -> None:
    """Whatever comes when: the same items in the same order, none later than the bound, and none before its rate lets it."""
    rng = random.Random(seed)
    rate = rng.choice([{"delay": 0.05}, {"delay": 0.4}, {"chars_per_second": 7}, {"chars_per_second": 60}])
    stage = sf.Pace(**rate, by=rng.choice(["word", "line", "char", "chunk"]), max_lag=rng.choice([0.1, 1.0, 5.0]))  # type: ignore[arg-type]
    lines = _random_lines(rng)
    arrivals: list[Left] = []
    left, error = _run(stage, lines, arrivals=arrivals)
    assert error is None
    items = [item for _, item in left]
    # The order is that of the source, and the text is cut into units only.
    whole: list[Any] = []
    for _, item in arrivals:
        whole += re.findall(CUTS[stage.by], item) if isinstance(item, str) else [item]
    assert items == whole
    # No item is later than the bound.
    came = [at for at, item in arrivals for _ in (re.findall(CUTS[stage.by], item) if isinstance(item, str) else [item])]
    for at, (when, item) in zip(came, left, strict=True):
        assert at - EPS <= when <= at + stage.max_lag + EPS, item
    # Between any two units lies at least the cost of those between them, at the highest rate that what came then can have needed.
    units = _units(stage, arrivals)
    times = [when for when, item in left if isinstance(item, str)]
    assert [unit for _, unit, _ in units] == [item for _, item in left if isinstance(item, str)]
    speeds = _speeds(units, times, stage.max_lag)
    for i, j in itertools.combinations(range(len(units)), 2):
        if units[j][2]:
            assert times[j] - times[i] >= sum(cost for _, _, cost in units[i:j]) / max(speeds[i : j + 1]) - EPS
    # Where the rate was never too low, each unit leaves at the first moment that the rate allows.
    if max(speeds, default=1) == 1:
        free = 0.0
        for (at, _, cost), when in zip(units, times, strict=True):
            earliest = max(at, free) if cost else max(at, when)
            assert abs(when - earliest) < EPS
            free = earliest + cost if cost else free


def _speeds(units: Sequence[tuple[float, str, float]], times: Sequence[float], max_lag: float) -> list[float]:
    """For each unit, the highest speed that anything needed that waited when it left: all work before its end, over the bound."""
    needs: list[float] = []
    for j, (at, _, _) in enumerate(units):
        last = max(k for k, (other, _, _) in enumerate(units) if other == at)  # what came at the same time
        waiting = [k for k in range(last + 1) if times[k] >= at - EPS]
        pause = max((units[k][2] for k in range(min(waiting, default=j)) if times[k] < at), default=0.0)
        needs.append((pause + sum(units[k][2] for k in waiting)) / max_lag)
    return [
        max([1.0, *(needs[k] for k in range(len(units)) if units[k][0] <= times[j] + EPS and times[k] >= times[j] - EPS)])
        for j in range(len(units))
    ]


def test_pace_holds_no_more_than_its_limit() -> None:
    """Of a burst that is longer, the oldest leaves at once; memory is bounded, and the source is not stopped."""
    stage = sf.Pace(delay=0.01, by="char", max_hold=10)
    left, _ = _run(stage, [(0, "x" * 5), (0, "y" * 100), (0, "zz")])
    assert _text([item for _, item in left]) == "x" * 5 + "y" * 100 + "zz"
    assert _text([item for at, item in left if at == 0]) == "x" * 5 + "y" * 92
    assert [at for at, _ in left if at > 0] == [n / 100 for n in range(1, 11)]
    machine = stage.machine()
    assert machine.held == 0


def test_pace_bounds_events_too() -> None:
    """Events without text fill no hold of characters; very many of them leave at once all the same."""
    left, _ = _run(sf.Pace(delay=1, max_lag=9), [(0, "a b"), *[(0.0, Mark(name=n)) for n in range(12_000)]])
    assert [item.name for _, item in left if isinstance(item, Mark)] == [*range(12_000)]
    assert sum(at == 0 for at, _ in left) > 2000


def test_late_timers_are_made_good() -> None:
    """A loop that was busy for a while lets several units leave together, so that the rate is kept."""

    class Late:
        """A clock that calls only at every full second."""

        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.time = self.loop.time

        def call_at(self, when: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
            return self.loop.call_at(math.ceil(when - 1e-9), callback)

    async def main() -> list[Left]:
        loop = asyncio.get_running_loop()
        stage = sf.Pace(delay=0.25, max_lag=60, by="char")
        async with stage(ScriptedSource(["abcdefghij"]), context=sf.Context(clock=Late())) as stream:
            return [(loop.time(), item) async for item in stream]

    left = run_virtually(main())
    assert [at for at, _ in left] == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]


# ------------------------------------------------------------------ Coalesce


@pytest.mark.parametrize(
    ("stage", "lines", "left"),
    [
        (sf.Coalesce(0.1), [(0, "a"), (0.05, "b"), (0.06, "c")], [(0.1, "ab"), (0.11, "c")]),
        (sf.Coalesce(0.1, max_chars=4), [(0, "abc"), (0.05, "de"), (0.2, "f")], [(0.05, "abcd"), (0.15, "e"), (0.25, "f")]),
        (sf.Coalesce(1, max_chars=2), [(0, "abcde"), (0, "f"), (0, "g")], [(0, "ab"), (0, "cd"), (0, "ef"), (0, "g")]),
        (sf.Coalesce(1, max_chars=1), [(0, "abc")], [(0, "a"), (0, "b"), (0, "c")]),
        (
            sf.Coalesce(1),
            [(0, "a"), (0.2, "b"), (0, Mark()), (0, "c"), (2, "d")],
            [(0.2, "ab"), (0.2, Mark()), (1.2, "c"), (2.2, "d")],
        ),
        (sf.Coalesce(1), [(0, "a"), (0, Mark(scope=None)), (0.5, "b")], [(0, Mark(scope=None)), (0.5, "ab")]),
    ],
    ids=str,
)
def test_coalesce_by_hand(stage: Any, lines: Any, left: Any) -> None:
    """Small cases, worked out on paper."""
    assert _run(stage, lines) == (left, None)


@pytest.mark.parametrize("seed", range(150))
def test_coalesced_text_is_never_late(seed: int) -> None:
    """No character waits longer than it may, no event waits at all, no piece is too long, and order is kept."""
    rng = random.Random(seed)
    stage = sf.Coalesce(rng.choice([0.02, 0.3, 2.0]), max_chars=rng.choice([1, 3, 10, 1000]))
    arrivals: list[Left] = []
    left, error = _run(stage, _random_lines(rng), arrivals=arrivals)
    assert error is None
    characters = [(at, each) for at, item in arrivals for each in (item if isinstance(item, str) else [item])]
    given = [(at, each) for at, item in left for each in (item if isinstance(item, str) else [item])]
    assert [each for _, each in given] == [each for _, each in characters]
    for (came, each), (went, _) in zip(characters, given, strict=True):
        assert came - EPS <= went <= came + (stage.seconds if isinstance(each, str) else 0) + EPS
    assert all(len(item) <= stage.max_chars for _, item in left if isinstance(item, str))
    # Nothing leaves without a reason: its time, its length, or what comes behind it.
    start = 0
    for n, (went, item) in enumerate(left):
        if not isinstance(item, str):
            start += 1
            continue
        is_due = abs(went - characters[start][0] - stage.seconds) < EPS
        is_last = n + 1 == len(left) or not isinstance(left[n + 1][1], str)
        assert is_due or len(item) == stage.max_chars or is_last
        start += len(item)


def test_coalesce_keeps_the_order_within_a_choice_and_delays_no_other() -> None:
    """Reasoning that waits leaves before the answer behind it; choices that take turns are joined all the same."""
    one, two = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
    think = sf.Channel("reasoning", (0, 0))
    stage = sf.Coalesce(1.0).on("answer", "reasoning")
    lines = [
        (0.1, sf.TextDelta(text, channel)) for text, channel in [("a", think), ("x", two), ("b", think), ("y", two), ("c", one)]
    ]
    left, _ = _run(stage, [*lines, (5, sf.Finish("stop"))])
    assert left == [
        (0.5, sf.TextDelta("ab", think)),
        (1.2, sf.TextDelta("xy", two)),
        (1.5, sf.TextDelta("c", one)),
        (5.5, sf.Finish("stop")),
    ]
    # Plain text and deltas of its channel are not joined.
    left, _ = _run(sf.Coalesce(1.0), [(0, "a"), (0, "b"), (0, sf.TextDelta("c")), (0, sf.TextDelta("d")), (0, "e")])
    assert [item for _, item in left] == ["ab", sf.TextDelta("cd"), "e"]
    # Text that the stage does not apply to lets that of its choice leave first, too.
    left, _ = _run(sf.Coalesce(1.0), [(0, sf.TextDelta("a", one)), (0, sf.TextDelta("x", two)), (0, sf.TextDelta("b", think))])
    assert [item for _, item in left] == [sf.TextDelta("a", one), sf.TextDelta("b", think), sf.TextDelta("x", two)]


# ------------------------------------------------------------------ Timeout


def _timed_out(lines: Sequence[Line], pause: float, first: float, between: float, total: float) -> tuple[list[Left], Any]:
    """What a `Timeout` gives to a consumer who pauses after each item, on paper: he asks, and waits for what has not come."""
    left: list[Left] = []
    asked = taken = waited = 0.0
    is_paused = False
    for n, (seconds, item) in enumerate(lines):
        comes = taken + seconds  # the source is asked as soon as the item before has been taken
        wait = 0.0 if is_paused else max(0.0, comes - asked)
        limit = first if n == 0 else between
        if wait > min(limit, total - waited):
            return left, (
                round(asked + min(limit, total - waited), 9),
                "total" if total - waited < limit else "first" if n == 0 else "between",
            )
        waited += wait
        taken = max(comes, asked)
        asked = taken + pause
        left.append((round(taken, 9), item))
        is_paused = item == sf.Finish("tool_calls") or (is_paused and (not item or isinstance(item, sf.Usage)))
    return left, None


@pytest.mark.parametrize("seed", range(200))
def test_a_timeout_comes_at_its_moment_and_not_before(seed: int) -> None:
    """However slow the consumer is, and with pauses that are announced: only the time is counted in which the source is waited for."""
    rng = random.Random(seed)
    texts: list[Any] = ["a", "b", "", sf.Finish("tool_calls"), sf.Usage(None), sf.Finish("stop")]
    lines: list[Line] = [(rng.choice([0, 0.1, 0.37, 1.03, 2.9]), rng.choice(texts)) for _ in range(rng.randint(1, 12))]
    first, between, total = (
        rng.choice([0.5, 1.7, math.inf]),
        rng.choice([0.3, 1.1, 2.2, math.inf]),
        rng.choice([1.315, 4.215, math.inf]),
    )
    limits = {name: limit for name, limit in (("first", first), ("between", between), ("total", total)) if limit < math.inf}
    if not limits:
        return
    pause = rng.choice([0, 0, 0.25, 1.9])
    want, expected = _timed_out(lines, pause, first, between, total)
    left, error = _run(sf.Timeout(**cast("Any", limits)), lines, pause=pause)
    if expected is None:
        assert (left, error) == (want, None)
        return
    assert isinstance(error, sf.SourceTimeout)
    assert isinstance(error, TimeoutError)
    assert (error.limit, error.seconds) == (expected[1], limits[expected[1]])
    assert left == [*want, (expected[0], sf.SourceTimeout)]


def test_a_source_that_ends_late_is_timed_out_and_closed() -> None:
    """The wait for the end counts like that for an item; text that is held dies, like on any error of the source."""

    class Late(ScriptedSource[str]):
        async def __anext__(self) -> str:
            if self.given == 2:
                await asyncio.sleep(100)
            return await super().__anext__()

    source = Late(["see 12", "3"])

    async def main() -> tuple[list[str], float]:
        out: list[str] = []
        with pytest.raises(sf.SourceTimeout, match=r"gave nothing for 7.0 s after an item \(between\)"):
            async with (sf.Timeout(between=7) | sf.Redact(r"\d+"))(source) as stream:
                async for text in stream:
                    out.append(text)  # noqa: PERF401
        return out, asyncio.get_running_loop().time()

    assert run_virtually(main()) == (["see ", "[redacted]"], 7.0)
    assert source.closed == 1


def test_what_other_stages_wait_for_is_not_the_source() -> None:
    """A check that takes its time stops the reading, and then no time is counted."""

    async def slow(window: sf.Window) -> bool:
        await asyncio.sleep(50)
        return True

    lines = [(0, "one\n"), (0, "two\n"), (0, "three\n")]
    left, error = _run(sf.Timeout(between=20) | sf.Moderate(slow, window=sf.by_line()), lines)
    assert error is None
    assert [at for at, _ in left] == [50, 100, 150]


def test_pauses_that_events_announce() -> None:
    """They last until something comes that is no usage, raw part or ping; and what announces one is the caller's choice."""
    stage = sf.Timeout(between=5, total=12)
    tools = [(1, "x"), (1, sf.Finish("tool_calls")), (1, sf.Usage(None)), (30, Mark(scope=None)), (30, "y"), (4, "z")]
    assert _run(stage, tools)[1] is None
    left, error = _run(stage, [*tools, (6, "late")])
    assert (left[-1][0], cast("Any", error).limit) == (72, "between")
    calls = sf.Timeout(between=5, pauses=lambda event: isinstance(event, Mark))
    assert _run(calls, [(1, "x"), (1, Mark()), (100, "y")])[1] is None
    assert _run(calls, [(1, "x"), (1, sf.Finish("tool_calls")), (100, "y")])[1] is not None


def test_a_timeout_ends_the_reading_of_a_stopped_stream_too() -> None:
    """With `after_stop="drain"` a source is read to its end for its usage: one that never ends is given up."""
    lines = [(0, "a STOP"), (1, "b"), (1, sf.Usage(7)), (100, "c")]
    stage = sf.Timeout(between=10) | sf.StopAt("STOP")
    assert _run(stage, lines) == ([(0, "a ")], None)
    left, _ = _run(stage, lines, after_stop="drain")
    assert left == [(0, "a "), (2, sf.Usage(7)), (12, sf.SourceTimeout)]


def test_the_error_is_a_value() -> None:
    """It says which limit and how much, is pickled, and is caught as a `TimeoutError`."""
    error = sf.SourceTimeout("total", 3.5)
    again = pickle.loads(pickle.dumps(error))
    assert (again.limit, again.seconds, str(again)) == ("total", 3.5, "the source was waited for 3.5 s in all (total)")
    assert isinstance(error, TimeoutError)
    assert isinstance(error, sf.StreamFilterError)


# ------------------------------------------------------------------ KeepAlive


@pytest.mark.parametrize("seed", range(100))
def test_keep_alive_breaks_every_silence(seed: int) -> None:
    """A consumer who waits is given something at least so often; between items only, and never when he does not wait."""
    rng = random.Random(seed)
    lines: list[Line] = [(rng.choice([0, 0.3, 1.1, 5.3]), str(n)) for n in range(rng.randint(0, 8))]
    pause = rng.choice([0, 0, 0.4, 3.1])
    seconds = rng.choice([0.5, 1.0, 2.0])
    arrivals: list[Left] = []
    left, error = _run(sf.KeepAlive(seconds, Mark), lines, pause=pause, arrivals=arrivals)
    assert error is None
    assert [item for _, item in left if isinstance(item, str)] == [item for _, item in lines]
    previous = 0.0
    for n, (at, item) in enumerate(left):
        asked = previous + pause if n else 0.0
        assert at <= max(asked, previous + seconds) + EPS  # nobody waits for longer
        if isinstance(item, Mark):
            came = max((when for when, each in arrivals if when <= at - EPS and str(each) in [x for _, x in left[:n]]), default=0.0)
            assert at >= max(asked, came + seconds) - EPS  # nor is it given sooner
        previous = at
    assert not left or isinstance(left[-1][1], str)


def test_keep_alive_goes_on_while_stages_before_it_wait() -> None:
    """The source has ended and a check is still out: the connection is kept. When all is over, nothing comes any more."""

    async def slow(window: sf.Window) -> bool:
        await asyncio.sleep(2.5)
        return True

    stage = sf.Moderate(slow) | sf.KeepAlive(1, lambda: Mark(name="ping", scope=None))
    ping = Mark(name="ping", scope=None)
    assert _run(stage, [(0, "text")])[0] == [(1, ping), (2, ping), (2.5, "text")]
    left, _ = _run(stage | (lambda source: source), [(0, "text")])
    assert left[-1] == (2.5, "text")


def test_keep_alive_is_silent_behind_its_end() -> None:
    """Where the stage is not the last, what stands behind it may take long to settle: nothing comes out of turn."""

    async def slow(window: sf.Window) -> bool:
        await asyncio.sleep(9)
        return True

    left, error = _run(sf.KeepAlive(1, Mark(scope=None)) | sf.Moderate(slow), [(0, "text"), (2.5, "")])
    assert error is None
    assert [at for at, item in left if isinstance(item, Mark)] == [1, 2]
    assert left[-1] == (11.5, "text")


def test_keep_alive_gives_copies_and_bytes() -> None:
    """Who changes one of the events has not changed the next; behind a stage that gives bytes it gives bytes."""
    left, _ = _run(sf.KeepAlive(1, Mark(name=[])), [(2.5, "x")])
    assert left[0][1] == left[1][1]
    assert left[0][1] is not left[1][1]

    chunk = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    left, _ = _run(chat.wrap(sf.MapText(str.upper)) | sf.KeepAlive(1, b": alive\n\n"), [(1.5, chunk), (1.5, b"data: [DONE]\n\n")])
    assert [item for _, item in left][::2] == [b": alive\n\n", b": alive\n\n"]
    assert b"HI" in left[1][1]


def test_what_the_event_function_raises_ends_the_stream() -> None:
    """And reaches the consumer as it is."""

    def broken() -> Any:
        raise KeyError("x")

    left, _ = _run(sf.KeepAlive(1, broken), [(0, "a"), (5, "b")])
    assert left == [(0, "a"), (1, KeyError)]


async def _ping() -> Any:
    return Mark()


@pytest.mark.parametrize(
    ("make", "what"),
    [(lambda: None, "NoneType"), (_ping, "coroutine"), (lambda: sf.End("x"), "End"), (lambda: sf.Finish("stop"), "Finish")],
)
def test_an_event_function_that_gives_no_event_is_an_error(make: Callable[[], Any], what: str) -> None:
    """When it does, in words; nothing ends in silence."""
    left, error = _run(sf.KeepAlive(1, make), [(0, "a"), (5, "b")])
    assert left == [(0, "a"), (1, TypeError)]
    assert re.search(f"gave {what} for an event", str(error))


# ------------------------------------------------------------------ all of them, in pipelines

ALL = [
    sf.Pace(delay=0.2),
    sf.Pace(chars_per_second=9, by="char", max_lag=0.7),
    sf.Coalesce(0.3, max_chars=5),
    sf.Timeout(first=50, between=50, total=5000),
    sf.KeepAlive(0.4, Mark(name="ping", scope=None)),
]


@pytest.mark.parametrize("seed", range(60))
def test_in_pipelines_with_text_stages_and_each_other(seed: int) -> None:
    """Text is what the text stages make of it, in each channel; events keep their order among each other, all channels together."""
    rng = random.Random(seed)
    channels = [sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1)), sf.Channel("reasoning", (0, 0))]
    digits = sf.Redact(r"\d+", to="#")
    parts: list[Any] = [rng.choice(ALL) for _ in range(rng.randint(1, 4))]
    parts.insert(rng.randint(0, len(parts)), digits)
    lines: list[Line] = []
    for n in range(rng.randint(1, 25)):
        channel = rng.choice(channels)
        item: Any = sf.TextDelta("".join(rng.choice("a1 2b") for _ in range(rng.randint(1, 6))), channel)
        if rng.random() < 0.15:
            item = Mark(name=n, scope=())
        lines.append((rng.choice([0, 0, 0.1, 0.6]), item))
    left, error = _run(sf.Pipeline(*parts), lines, pause=rng.choice([0, 0, 0.5]))
    assert error is None
    items = [item for _, item in left if not (isinstance(item, Mark) and item.name == "ping")]
    for channel in channels:
        runs: list[str] = [""]  # a barrier ends a run
        for _, item in lines:
            if isinstance(item, Mark):
                runs.append("")
            elif item.channel == channel:
                runs[-1] += item.text
        assert _text(items, channel) == "".join(re.sub(r"\d+", "#", run) for run in runs)
    assert _events(items) == _events([item for _, item in lines])


@pytest.mark.parametrize("stage", ALL, ids=repr)
@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_a_stop_before_or_behind_them(stage: Any, after_stop: Any) -> None:
    """What was decided before the stop still leaves, in its time; behind it nothing but usage, and that only if it is drained."""
    lines = [(0, "one two "), (0.1, "three STOP four"), (0.1, sf.Usage(1)), (0.1, "five")]
    for pipeline in (sf.StopAt("STOP") | stage, stage | sf.StopAt("STOP")):
        left, error = _run(pipeline, lines, after_stop=after_stop)
        items = [item for _, item in left if not isinstance(item, Mark)]
        assert error is None
        assert _text(items) == "one two three "
        # Usage that had come when the string left was held behind text, and what is held of usage is kept.
        waits = isinstance(stage, sf.Pace) and pipeline.stages[0] == stage
        assert _events(items) == ([sf.Usage(1)] if after_stop == "drain" or waits else [])
    left, error = _run(sf.Block("STOP") | stage, lines, after_stop=after_stop)
    assert _text([item for _, item in left if not isinstance(item, type)]) == "one two three "
    assert isinstance(error, sf.Blocked)


@pytest.mark.parametrize("stage", ALL, ids=repr)
def test_held_text_dies_on_an_error(stage: Any) -> None:
    """What has not left when the source fails never leaves, and no timer stays."""

    async def failing() -> AsyncIterator[str]:
        yield "one two three four five six seven"
        await asyncio.sleep(0.05)
        raise OSError("planted")

    async def main() -> tuple[list[Any], float]:
        out: list[Any] = []
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError, match="planted"):
            async with stage(failing()) as stream:
                async for item in stream:
                    out.append(item)  # noqa: PERF401
        assert not _timers(loop)
        return out, loop.time()

    out, at = run_virtually(main())
    assert at == 0.05
    assert len(_text(out)) in {"Pace": (1, 2, 3, 4, 5), "Coalesce": (30,)}.get(type(stage).__name__, (33,))


@pytest.mark.parametrize("stage", ALL, ids=repr)
@pytest.mark.parametrize("when", [0.0, 0.1, 0.3, 0.55, 1.0, 3.0])
def test_left_or_cancelled_they_leave_nothing_behind(stage: Any, when: float) -> None:
    """The source is closed once, no task and no timer is left, and nothing happens afterwards."""

    async def main(cancels: bool) -> int:
        source = ScriptedSource(["one two three four "] * 3, pause=lambda: asyncio.sleep(0.5))
        loop = asyncio.get_running_loop()

        async def read() -> None:
            async with stage(source) as stream:
                async for _ in stream:
                    if not cancels and loop.time() >= when:
                        break

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(when)
        if cancels:
            reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not _timers(loop)
        return source.closed

    assert run_virtually(main(True)) in ((0, 1) if when == 0 else (1,))
    assert run_virtually(main(False)) == 1


@pytest.mark.parametrize("stage", [*ALL, ALL[3] | ALL[0] | ALL[2] | ALL[4]], ids=repr)
def test_cancelled_before_every_step_of_the_loop(stage: Any) -> None:
    """The source is closed once, whenever it is; no timer stays, and a held text never leaves afterwards."""
    for at in itertools.count(2):
        source = ScriptedSource(["one two ", "three"], pause=lambda: asyncio.sleep(0.1))
        after: list[Any] = []

        async def read(source: Any = source, after: list[Any] = after) -> None:
            try:
                async with stage(source) as stream:
                    async for _ in stream:
                        await asyncio.sleep(0)
            finally:
                after += _timers(asyncio.get_running_loop())

        was_cancelled = cancelled(read, at)
        assert not after
        assert source.closed <= 1
        assert source.closed == 1 or source.given == 0
        if not was_cancelled:
            break


def test_a_stop_behind_pace_knows_the_choices_that_wait_in_it() -> None:
    """One choice is stopped while all text of the other is still held: the stream goes on for that one."""
    one, two = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
    lines = [(0, sf.TextDelta(text, channel)) for text, channel in [("a STOP b", one), ("c d", two)]]
    for stage in (sf.Pace(delay=0.1), sf.Coalesce(0.1)):
        left, error = _run(
            stage | sf.StopAt("STOP"), [*lines, (1, sf.Finish("stop", scope=two.key)), (1, sf.TextDelta("late", one))]
        )
        items = [item for _, item in left]
        assert error is None
        assert (_text(items, one), _text(items, two)) == ("a ", "c d")
        assert _events(items) == [sf.Finish("stop", scope=one.key), sf.Finish("stop", scope=two.key)]
        assert left[-1][0] == 1


@pytest.mark.parametrize("stage", ALL, ids=repr)
def test_no_task_is_made_for_an_item(stage: Any) -> None:
    """One task reads the source, however many items there are, and at most one timer is set at any time."""

    async def main(items: int) -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        tasks = 0
        timers = 0

        def factory(loop: Any, coroutine: Any, **rest: Any) -> Any:
            nonlocal tasks
            tasks += 1
            return asyncio.Task(coroutine, loop=loop, **rest)

        loop.set_task_factory(factory)
        async with stage(ScriptedSource(["word "] * items, pause=lambda: asyncio.sleep(0.01))) as stream:
            async for _ in stream:
                timers = max(timers, len(_timers(loop)))
        return tasks, timers

    few, many = run_virtually(main(3), debug=False), run_virtually(main(300), debug=False)
    assert few[0] == many[0] == 1
    assert many[1] <= 2  # the source's own sleep is one


@pytest.mark.parametrize(
    "inner", [sf.Pace(delay=0.1), sf.Coalesce(0.2), sf.Timeout(between=30), sf.Pace(delay=0.1) | sf.Coalesce(0.2)], ids=repr
)
def test_inside_wrap(inner: Any) -> None:
    """Chunks come out whose text adds up to the same, the finish and the usage last, and a source that is stuck is given up."""

    def chunk(text: str | None, **rest: Any) -> dict[str, Any]:
        return {"id": "1", "choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": None, **rest}]}

    lines: list[Line] = [(0.01, chunk(text)) for text in ["one two", " three", " four five six"]]
    lines += [(0.3, chunk(None, finish_reason="stop")), (0.1, {"id": "1", "choices": [], "usage": {"n": 1}})]
    left, error = _run(chat.wrap(inner), lines)
    assert error is None
    chunks = [item for _, item in left]
    assert (
        "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks if each["choices"])
        == "one two three four five six"
    )
    assert [each["choices"][0]["finish_reason"] for each in chunks if each["choices"]][-1] == "stop"
    assert sum(bool(each.get("usage")) for each in chunks) == 1
    left, error = _run(chat.wrap(inner | sf.Timeout(between=20)), [*lines, (99, chunk("late"))])
    assert isinstance(error, sf.SourceTimeout)


def test_between_async_generator_functions() -> None:
    """A pipeline that has functions in it has several drivers; each stage waits in its own."""

    async def doubled(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in source:
            yield item
            yield item

    left, _ = _run(sf.Coalesce(0.1) | doubled | sf.Pace(delay=0.2, by="chunk"), [(0, "a"), (0.05, "b")])
    assert left == [(0.05, "ab"), (0.25, "ab")]
    _, error = _run(sf.MapText(str.upper) | doubled | sf.Timeout(between=5), [(0, "a"), (9, "b")])
    assert isinstance(error, sf.SourceTimeout)


def test_the_clock_is_the_contexts() -> None:
    """A clock of one's own is asked what time it is and told what to call; the loop's time does not count then."""

    class Manual:
        def __init__(self) -> None:
            self.now = 0.0
            self.calls: list[tuple[float, Callable[[], object]]] = []

        def time(self) -> float:
            return self.now

        def call_at(self, when: float, callback: Callable[[], object], /) -> Any:
            call = (when, callback)
            self.calls.append(call)

            return SimpleNamespace(cancel=lambda: self.calls.remove(call) if call in self.calls else None)

        def advance(self, seconds: float) -> None:
            until = self.now + seconds
            while due := sorted((call for call in self.calls if call[0] <= until), key=lambda call: call[0]):
                self.calls.remove(due[0])
                self.now = due[0][0]
                due[0][1]()
            self.now = until

    async def main() -> None:
        clock = Manual()
        out: list[Any] = []

        async def read() -> None:
            async with (sf.Pace(delay=10, max_lag=60) | sf.KeepAlive(60, Mark))(
                _lines([(0, "a b c"), (1e9, "")]), context=context
            ) as stream:
                async for item in stream:
                    out.append(item)  # noqa: PERF401

        context = sf.Context(clock=clock)
        reading = asyncio.ensure_future(read())
        for seconds, want in [(0, "a "), (9, "a "), (1, "a b "), (10, "a b c"), (59, "a b c")]:
            clock.advance(seconds)
            for _ in range(9):
                await asyncio.sleep(0)
            assert _text(out) == want
        assert _events(out) == []
        clock.advance(1)
        for _ in range(9):
            await asyncio.sleep(0)
        assert _events(out) == [Mark()]
        assert asyncio.get_running_loop().time() == 0
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        assert clock.calls == []

    run_virtually(main())


def test_on_a_real_loop() -> None:
    """Nothing here depends on virtual time."""

    async def main() -> str:
        stage = sf.Timeout(first=60) | sf.Pace(delay=1e-6) | sf.Coalesce(0.0001, max_chars=4) | sf.KeepAlive(60, Mark)
        async with stage(ScriptedSource(["one ", "two ", "three"])) as stream:
            return _text([item async for item in stream])

    assert asyncio.run(main()) == "one two three"


def test_in_plain_code() -> None:
    """No time passes there: `Pace` cuts and delays nothing, `Coalesce` joins by length, and what only waits is refused."""
    one: list[sf.Item] = ["a b", Mark(), "c"]
    two: list[sf.Item] = ["ab", "cde", Mark(), "f", "g"]
    assert list(sf.Pace(delay=5).iter(one)) == ["a ", "b", Mark(), "c"]
    assert list(sf.Coalesce(5, max_chars=4).iter(two)) == ["abcd", "e", Mark(), "fg"]
    assert (sf.Pace(delay=5) | sf.Coalesce(5)).apply("a b c") == "a b c"
    for stage in (sf.Timeout(first=1), sf.KeepAlive(1, Mark())):
        with pytest.raises(TypeError, match=r"must wait, which iter\(\) cannot"):
            (sf.MapText(str.upper) | stage).iter(["a"])
        with pytest.raises(TypeError, match="use aapply"):
            stage.apply("a")


@pytest.mark.parametrize("stage", ALL, ids=repr)
def test_items_that_are_none(stage: Any) -> None:
    """What is neither text nor event is refused where text is expected, with a hint; a text of a subclass of str is text."""

    class Text(str):
        __slots__ = ()

    assert _text([item for _, item in _run(stage, [(0, Text("a b"))])[0]]) == "a b"
    if isinstance(stage, sf.TextStage):
        error = _run(stage, [(0, b"bytes")])[1]
        assert isinstance(error, TypeError)
        assert "was fed bytes where text is expected" in str(error)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (sf.Pace, "a rate is needed, and one only"),
        (lambda: sf.Pace(delay=1, chars_per_second=1), "a rate is needed, and one only"),
        (lambda: sf.Pace(delay=0), "delay: Input should be greater than 0"),
        (lambda: sf.Pace(chars_per_second=-1), "chars_per_second: Input should be greater than 0"),
        (lambda: sf.Pace(delay=math.nan), "delay"),
        (lambda: sf.Pace(delay=1, max_lag=0), "max_lag: Input should be greater than 0"),
        (lambda: sf.Pace(delay=1, max_hold=0), "max_hold: Input should be greater than or equal to 1"),
        (lambda: sf.Pace(delay=1, by=cast("Any", "page")), "by: Input should be 'word', 'line', 'char' or 'chunk'"),
        (lambda: sf.Coalesce(-1), "seconds: Input should be greater than 0"),
        (lambda: sf.Coalesce(math.inf), "seconds"),
        (lambda: sf.Coalesce(1, max_chars=0), "max_chars: Input should be greater than or equal to 1"),
        (sf.Timeout, "a limit is needed"),
        (lambda: sf.Timeout(first=0), "first: Input should be greater than 0"),
        (lambda: sf.Timeout(between=-2), "between: Input should be greater than 0"),
        (lambda: sf.Timeout(total=math.inf), "total"),
        (lambda: sf.KeepAlive(0, Mark()), "seconds: Input should be greater than 0"),
        (lambda: sf.KeepAlive(1, cast("Any", None)), "event is None"),
        (lambda: sf.KeepAlive(1, sf.End("x")), "event: End ends something"),
        (lambda: sf.KeepAlive(1, sf.Finish("stop")), "event: Finish ends something"),
        (lambda: sf.KeepAlive(1, sf.Failure("x")), "event: Failure ends something"),
    ],
)
def test_bad_arguments_fail_when_the_stage_is_built(make: Callable[[], Any], problem: str) -> None:
    """With what is wrong, in one line."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        make()


def test_stages_are_values() -> None:
    """Equal, shown and pickled by their fields."""
    for stage in [*ALL, sf.Timeout(total=1)]:
        assert pickle.loads(pickle.dumps(stage)) == stage
        assert stage.explain()
    assert repr(sf.Pace(delay=0.05)) == "Pace(delay=0.05)"
    assert repr(sf.Coalesce(0.05, max_chars=9)) == "Coalesce(0.05, max_chars=9)"
    assert repr(sf.Timeout(first=5)) == "Timeout(first=5.0)"


@pytest.mark.parametrize(
    "stage", [sf.Pace(chars_per_second=9, by="char"), sf.Pace(delay=1, by="line"), sf.Pace(delay=1), sf.Coalesce(1, max_chars=2)]
)
@pytest.mark.parametrize(
    "text", [" " * 400_000, "x" * 400_000, "\n" * 400_000, "\ud800" * 400_000, "a " * 200_000, "\0" * 400_000], ids=list("swnlaz")
)
def test_floods_cost_in_proportion(stage: Any, text: str) -> None:
    """Half a megabyte of anything, at once or a character at a time, is a matter of a moment."""
    left, error = _run(stage, [(0, text)])
    assert error is None
    assert _text([item for _, item in left]) == text
