"""Statistics, observers and audits: what is measured is what happened, and no text is in it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter import observe
from streamfilter.detectors import PII
from streamfilter.observer import fingerprint
from streamfilter.testing.clock import run_virtually

PIN = sf.Rule("pin", r"\d{4}")


class Ticking:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> Any:
        raise AssertionError("nothing waits here")


def timed(clock: Ticking, pieces: Sequence[tuple[float, Any]]) -> Any:
    """A source whose pieces arrive at given times."""
    for when, piece in pieces:
        clock.now = when
        yield piece


# ---------------------------------------------------------------------- spreads


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_right_to_two_per_cent_however_many_numbers_there_are(seed: int) -> None:
    """Against sorting them all; and the memory is bounded."""
    rng = random.Random(seed)
    values = [10 ** rng.uniform(-5, 3) for _ in range(5000)]
    spread = observe.Spread()
    for value in values:
        spread.add(value)
    values.sort()
    for share in (0.01, 0.25, 0.5, 0.95, 0.99, 1.0):
        exact = values[max(1, math.ceil(share * len(values))) - 1]
        assert spread.quantile(share) == pytest.approx(exact, rel=0.0201)
    assert (spread.count, spread.least, spread.most) == (5000, values[0], values[-1])
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert len(spread._buckets) <= 700


def test_a_spread_of_weights_is_that_of_repetitions() -> None:
    """A duration of many characters is so many durations."""
    one, other = observe.Spread(), observe.Spread()
    for value, count in ((0.0, 3), (0.5, 4), (2.0, 1)):
        one.add(value, count)
        for _ in range(count):
            other.add(value)
    assert one == other
    assert one.quantile(3 / 8) == 0.0 < one.quantile(4 / 8)


def test_a_spread_of_nothing_and_of_extremes() -> None:
    """Nothing is zero; what is out of range stays between the shortest and the longest; a bad share is refused."""
    spread = observe.Spread()
    assert (spread.p50, spread.mean, spread.most, spread.as_dict()["count"]) == (0.0, 0.0, 0.0, 0)
    for value in (1e-300, 1e300):
        spread.add(value)
    assert 1e-300 <= spread.p50 <= 1e300
    assert spread.quantile(1) <= 1e300
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            spread.quantile(share)


# ---------------------------------------------------------------------- statistics


def test_times_and_counts_of_one_stage() -> None:
    """Each figure, from times that the test sets: `12` waits 2 s for `34`, which takes none."""
    clock = Ticking()
    source = timed(clock, [(1, "pin 12"), (3, "34"), (4, " ok")])
    with sf.Redact(PIN, to="####").iter(source, context=sf.Context(stats=True, clock=clock)) as stream:
        assert list(stream) == ["pin ", "####", " ok"]
    stats = stream.stats
    (stage,) = stats.stages
    assert (stage.name, stage.chunks_in, stage.chars_in, stage.chunks_out, stage.chars_out) == ("Redact", 3, 11, 3, 11)
    assert (stage.held, stage.most_held, stage.matches) == (0, 2, {"pin": 1})
    assert (stage.hold.count, stage.hold.total, stage.hold.most, stage.hold.p50) == (11, 4.0, 2.0, 0.0)
    assert (stats.first_in, stats.first_out, stats.seconds) == (1, 1, 4)
    assert (stats.gaps_in.count, stats.gaps_in.total) == (stats.gaps_out.count, stats.gaps_out.total) == (2, 3)
    assert stats.added == stage.hold
    assert stats.ending == observe.Ending("finished")


def test_statistics_are_there_while_the_stream_runs() -> None:
    """What is held now is seen between two items, and is nothing at the end."""
    with (sf.Redact(PIN) | sf.StopAt("END")).iter(["a12", "b", "1E", "N"], context=sf.Context(stats=True)) as stream:
        seen = [(stream.held, sum(stage.held for stage in stream.stats.stages)) for _ in stream]
        assert stream.stats.ending is not None
    assert [held for held, _ in seen] == [held for _, held in seen]
    assert any(held for held, _ in seen)
    assert all(stage.held == 0 for stage in stream.stats.stages)


@pytest.mark.parametrize("cuts", range(6))
def test_counts_do_not_depend_on_the_cuts(cuts: int) -> None:
    """Characters, matches, and what was held longest in characters, for random cuts and one at a time."""
    rng = random.Random(cuts)
    text = "call 1234 or 99 or 5678 END of it" * 3
    places = sorted(rng.sample(range(1, len(text)), 10)) if cuts else list(range(1, len(text)))
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    with (sf.Redact(PIN, to="#") | sf.MapText(str.upper)).iter(pieces, context=sf.Context(stats=True)) as stream:
        out = "".join(stream)
    want = re.sub(r"\d{4}", "#", text)
    first, second = stream.stats.stages
    assert out == want.upper()
    assert (first.chars_in, first.chars_out, second.chars_in, second.chars_out) == (len(text), len(want), len(want), len(want))
    assert first.matches == {"pin": 6}
    assert first.hold.count == len(text)


def test_a_stream_that_is_not_measured_says_how_it_would_be() -> None:
    """In plain code and in async code; and nothing is measured."""
    stream = sf.Redact(PIN).iter(["a"])
    with pytest.raises(RuntimeError, match=r"Context\(stats=True\)"):
        stream.stats  # noqa: B018
    assert list(stream) == ["a"]


def test_nobody_looking_costs_nothing_but_the_asking() -> None:
    """The machine of a stream that is not measured is the stage's own: nothing stands around it."""
    plain = sf.Redact(PIN).iter(["a"])
    measured = sf.Redact(PIN).iter(["a"], context=sf.Context(stats=True))
    assert type(plain._stream._machine) is type(sf.Redact(PIN).machine())
    assert type(measured._stream._machine).__name__ == "Gate"
    for stream in (plain, measured):
        list(stream)


WAYS: list[sf.Stage[Any, Any]] = [
    sf.Redact(PIN) | sf.StopAt("END"), sf.StopAt("b", choices=2) | sf.Redact("a"), sf.Block("12"), sf.Limit(max_chars=5) | sf.Words(),
    sf.Extract("t") | sf.Drop("reasoning"), sf.Sentences() | sf.Moderate(lambda window: "b" not in window.text, action="stop", message="x"), sf.Pipeline(),
]  # fmt: skip


@pytest.mark.parametrize("stage", WAYS, ids=repr)
@pytest.mark.parametrize("after_stop", ["close", "drain"])
@pytest.mark.parametrize("seed", range(3))
def test_measuring_changes_nothing(stage: sf.Stage[Any, Any], after_stop: Any, seed: int) -> None:
    """Items, findings and errors of a measured stream are those of the same stream that is not: with stops, choices and usage."""
    rng = random.Random(seed)
    one, two = (sf.Channel("answer", (0, n)) for n in range(2))
    items: list[Any] = []
    for _ in range(30):
        text = rng.choice(["a", "b", "1", "2", "34", ". ", "<t>", "</t>", "EN", "D"])
        items.append(rng.choice([text, sf.TextDelta(text, one), sf.TextDelta(text, two)]))
    items += [sf.Usage({"tokens": 3}), sf.Finish("stop", scope=one.key), sf.Usage(None, scope=()), sf.Finish("stop", scope=two.key)]

    def outcome(**more: Any) -> tuple[list[Any], object, object]:
        context, out, error = sf.Context(**more), list[Any](), None
        with stage.iter(items, context=context, after_stop=after_stop) as stream:
            try:
                out.extend(stream)
            except sf.StreamFilterError as raised:
                error = (type(raised), str(raised))
            return out, error, stream.report.findings

    assert outcome(stats=True) == outcome()


def test_stages_inside_a_wrap_are_measured() -> None:
    """A provider's chunks have no text before they are read: the stages of the pipeline inside have."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("pin 12", "34", " ok")]
    for pipeline in (sf.Redact(PIN), sf.Redact(PIN) | sf.MapText(str.upper)):
        with sf.wrap(pipeline).iter(chunks, context=sf.Context(stats=True)) as stream:
            list(stream)
        wrap, redact, *_ = stream.stats.stages
        assert (wrap.name, wrap.chunks_in, wrap.chars_in) == ("Wrap", 3, 0)
        assert (redact.name, redact.chars_in, redact.matches, redact.most_held) == ("Redact", 11, {"pin": 1}, 2)
        assert stream.stats.added.count == 11


def test_stages_around_async_generators_are_measured() -> None:
    """Each part of such a pipeline has a driver of its own; the stream has one set of figures."""

    async def same(source: AsyncIterator[str]) -> AsyncIterator[str]:
        async for item in source:
            yield item

    async def main() -> observe.Stats:
        async with (sf.Redact(PIN) | same | sf.MapText(str.upper))(texts(), context=sf.Context(stats=True)) as stream:
            assert [item async for item in stream] == ["PIN ", "[PIN]", " OK"]
        return stream.stats

    async def texts() -> AsyncIterator[str]:
        for text in ("pin 12", "34", " ok"):
            yield text

    stats = run_virtually(main())
    assert [stage.name for stage in stats.stages] == ["Redact", "MapText"]
    assert (stats.gaps_in.count, stats.gaps_out.count) == (2, 2)
    assert stats.ending == observe.Ending("finished")


def test_checks_are_timed() -> None:
    """In virtual time a check takes what it sleeps; and the text waits for it."""

    async def check(window: sf.Window) -> bool:
        await asyncio.sleep(0.5)
        return True

    async def main() -> observe.Stats:
        context = sf.Context(stats=True, clock=asyncio.get_running_loop())
        async with sf.Moderate(check)(source(), context=context) as stream:
            assert "".join([item async for item in stream]) == "One. Two. "
        return stream.stats

    async def source() -> AsyncIterator[str]:
        for text in ("One. ", "Two. "):
            yield text

    (stage,) = run_virtually(main()).stages
    assert stage.checks.count == 2
    assert stage.checks.least == stage.checks.most == 0.5
    assert stage.hold.most >= 0.5


def test_statistics_can_be_printed_and_written_down() -> None:
    """As a table for people and for notebooks, and as what `json` takes; no text is in any of them."""
    with sf.Redact("hunter2").iter(["my hunter2"], context=sf.Context(stats=True)) as stream:
        list(stream)
    written = json.loads(json.dumps(stream.stats.as_dict()))
    assert written["stages"][0]["matches"] == {"redacted": 1}
    assert written["ending"] == "finished"
    shown = str(stream.stats), stream.stats._repr_html_(), repr(stream.stats)
    assert all("Redact" in each and "hunter2" not in each for each in shown)


def test_memory_of_a_measured_stream_is_bounded() -> None:
    """A hundred thousand chunks leave no more behind than a thousand."""

    def buckets(chunks: int) -> int:
        clock = Ticking()
        rng = random.Random(0)
        source = timed(clock, [(n + rng.random(), "ab 12") for n in range(chunks)])
        with sf.Redact(PIN).iter(source, context=sf.Context(stats=True, clock=clock)) as stream:
            for _ in stream:
                pass
        stats = stream.stats
        return sum(len(spread._buckets) for spread in (stats.added, stats.gaps_in, stats.gaps_out, stats.stages[0].hold))

    assert buckets(20_000) <= buckets(1000) + 200


# ---------------------------------------------------------------------- endings


async def pieces(*texts: str, error: BaseException | None = None) -> AsyncIterator[str]:
    for text in texts:
        yield text
    if error is not None:
        raise error


class Noted(observe.Observer, observe.Watch):
    """Notes all that it is told."""

    def __init__(self) -> None:
        self.notes: list[object] = []
        self.opened: list[observe.Opened] = []

    def begin(self, stream: observe.Opened) -> observe.Watch:
        self.opened.append(stream)
        self.notes.append("begin")
        return self

    def found(self, finding: sf.Finding) -> None:
        self.notes.append(finding.rule)

    def ended(self, ending: observe.Ending) -> None:
        self.notes.append(str(ending))


async def ran_out(noted: Noted) -> None:
    async with sf.Redact(PIN)(pieces("a1234"), context=sf.Context(observe=[noted])) as stream:
        _ = [item async for item in stream]


async def ran_out_without_with(noted: Noted) -> None:
    _ = [item async for item in sf.Redact(PIN)(pieces("a1234"), context=sf.Context(observe=[noted]))]


async def stopped(noted: Noted) -> None:
    async with (sf.Redact(PIN) | sf.StopAt("END"))(pieces("1234 END", " x"), context=sf.Context(observe=[noted])) as stream:
        _ = [item async for item in stream]


async def stopped_and_drained(noted: Noted) -> None:
    context = sf.Context(observe=[noted])
    async with (sf.Redact(PIN) | sf.StopAt("END"))(pieces("1234 END", " x"), context=context, after_stop="drain") as stream:
        _ = [item async for item in stream]


async def refused(noted: Noted) -> None:
    with pytest.raises(sf.Blocked):
        async with sf.Block(PIN)(pieces("x 1234", " x"), context=sf.Context(observe=[noted])) as stream:
            _ = [item async for item in stream]


async def refused_beneath(noted: Noted) -> None:
    async def same(source: AsyncIterator[str]) -> AsyncIterator[str]:
        async for item in source:
            yield item

    with pytest.raises(sf.Blocked):
        async with (sf.Block(PIN) | same)(pieces("x 1234", " x"), context=sf.Context(observe=[noted])) as stream:
            _ = [item async for item in stream]


async def failed(noted: Noted) -> None:
    with pytest.raises(OSError, match="planted"):
        async with sf.Redact(PIN)(pieces("a1234", error=OSError("planted 1234")), context=sf.Context(observe=[noted])) as stream:
            _ = [item async for item in stream]


async def consumer_failed(noted: Noted) -> None:
    with pytest.raises(KeyError):
        async with sf.Redact(PIN)(pieces("a1234", "b"), context=sf.Context(observe=[noted])) as stream:
            async for _ in stream:
                raise KeyError


async def consumer_failed_afterwards(noted: Noted) -> None:
    with pytest.raises(KeyError):
        async with sf.Redact(PIN)(pieces("a1234"), context=sf.Context(observe=[noted])) as stream:
            _ = [item async for item in stream]
            raise KeyError


async def left(noted: Noted) -> None:
    async with sf.Redact(PIN)(pieces("1234", "b", "c"), context=sf.Context(observe=[noted])) as stream:
        async for _ in stream:
            break


async def cancelled(noted: Noted) -> None:
    async def run() -> None:
        async with sf.Redact(PIN)(pieces("1234", "b", "c"), context=sf.Context(observe=[noted])) as stream:
            async for _ in stream:
                await asyncio.sleep(9)

    task = asyncio.create_task(run())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_while_reading(noted: Noted) -> None:
    async def slow() -> AsyncIterator[str]:
        yield "1234"
        await asyncio.sleep(9)

    async def run() -> None:
        _ = [item async for item in sf.Redact(PIN)(slow(), context=sf.Context(observe=[noted]))]

    task = asyncio.create_task(run())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def dropped(noted: Noted) -> None:
    stream = sf.Redact(PIN)(pieces("1234", "b", "c"), context=sf.Context(observe=[noted]))
    async for _ in stream:
        break
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del stream, _
        gc.collect()


async def unread(noted: Noted) -> None:
    async with sf.Redact(PIN)(pieces("1234"), context=sf.Context(observe=[noted])):
        pass


ENDINGS = [
    (ran_out, ["begin", "pin", "finished"]),
    (ran_out_without_with, ["begin", "pin", "finished"]),
    (stopped, ["begin", "pin", "stop", "stopped"]),
    (stopped_and_drained, ["begin", "pin", "stop", "stopped"]),
    (refused, ["begin", "pin", "stopped (Blocked)"]),
    (refused_beneath, ["begin", "pin", "stopped (Blocked)"]),
    (failed, ["begin", "pin", "failed (OSError)"]),
    (consumer_failed, ["begin", "failed (KeyError)"]),
    (consumer_failed_afterwards, ["begin", "pin", "finished"]),
    (left, ["begin", "pin", "left"]),
    (cancelled, ["begin", "pin", "cancelled (CancelledError)"]),
    (cancelled_while_reading, ["begin", "pin", "cancelled (CancelledError)"]),
    (dropped, ["begin", "pin", "left"]),
    (unread, []),
]


@pytest.mark.parametrize(("way", "told"), ENDINGS, ids=lambda value: value.__name__ if callable(value) else "")
def test_an_observer_is_told_of_every_ending_once(way: Callable[[Noted], Any], told: list[str]) -> None:
    """Whatever way a stream ends, in order, once; a stream that nobody has read has not begun."""
    noted = Noted()
    run_virtually(way(noted), debug=False)
    if way is consumer_failed:  # the first item was released before the match was complete
        noted.notes = [note for note in noted.notes if note != "pin"]
    assert noted.notes == told


def test_functions_and_observers_hear_the_same() -> None:
    """A function of findings is the least of observers, beside others."""
    noted, heard = Noted(), list[str]()
    context = sf.Context(observe=[lambda finding: heard.append(finding.rule), noted], tags={"tenant": "acme"})
    sf.Redact(PIN).apply("1234 5678", context=context)
    assert heard == ["pin", "pin"]
    assert noted.notes == ["begin", "pin", "pin", "finished"]
    assert noted.opened[0].tags == {"tenant": "acme"}
    assert noted.opened[0].stats is None  # nobody asked for them


def test_streams_of_one_context_are_told_apart() -> None:
    """An observer watches each stream by itself."""
    noted = Noted()
    context = sf.Context(observe=[noted], stats=True)
    sf.Redact(PIN).apply("1234", context=context)
    sf.Redact(PIN).apply("56789", context=context)
    one, other = noted.opened
    assert one.stats is not other.stats
    assert one.report is not other.report
    assert one.pipeline == other.pipeline


@pytest.mark.parametrize("moment", ["begin", "found", "ended", "arrived", "released"])
def test_what_an_observer_raises_ends_the_stream_and_closes_the_source(moment: str) -> None:
    """It fails closed, wherever it fails; the other observers are told of the ending all the same."""

    class Failing(observe.Observer, observe.Watch):
        measures = True

        def begin(self, stream: observe.Opened) -> observe.Watch:
            if moment == "begin":
                raise LookupError(moment)
            return self

    def fail(*args: object) -> None:
        raise LookupError(moment)

    failing, noted, closed = Failing(), Noted(), list[bool]()
    if moment != "begin":
        setattr(failing, moment, fail)

    def source() -> Any:
        try:
            yield "a 1234"
            yield "b"
        finally:
            closed.append(True)

    with (
        pytest.raises(LookupError, match=moment),
        sf.Redact(PIN).iter(source(), context=sf.Context(observe=[noted, failing])) as stream,
    ):
        list(stream)
    assert noted.notes[-1] in (("finished",) if moment == "ended" else ("stopped (LookupError)", "failed (LookupError)"))
    assert closed or moment == "begin"  # a generator that was not begun need not be closed


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"observe": [3]}, "observe has int"),
        ({"observe": [Noted]}, "observe has Noted"),
        ({"observe": print}, r"observe=\[\.\.\.\]"),
        ({"observe": Noted()}, r"observe=\[\.\.\.\]"),
    ],
)
def test_what_is_no_observer_is_refused(wrong: dict[str, Any], says: str) -> None:
    """When the context is made, with what would be right."""
    with pytest.raises(TypeError, match=says):
        sf.Context(**wrong)


def test_an_observer_without_begin_says_so() -> None:
    """The base class is no observer."""
    with pytest.raises(NotImplementedError, match=r"begin is missing"):
        sf.Redact(PIN).apply("a", context=sf.Context(observe=[observe.Observer()]))


# ---------------------------------------------------------------------- audit


@pytest.mark.parametrize(("way", "told"), ENDINGS, ids=lambda value: value.__name__ if callable(value) else "")
def test_an_audit_has_every_ending_and_no_text(way: Callable[[Noted], Any], told: list[str]) -> None:
    """A record of the beginning, of each finding and of the ending, which `json` takes; neither text nor messages are in it."""
    records: list[dict[str, Any]] = []

    class Audited(Noted):
        def begin(self, stream: observe.Opened) -> observe.Watch:
            return observe.audit(records.append, now=lambda: 1.5).begin(stream)

    run_virtually(way(Audited()), debug=False)
    assert [record["event"] for record in records] == (["begin", *["finding"] * (len(records) - 2), "end"] if told else [])
    if told:
        assert str(observe.Ending(records[-1]["ending"], records[-1]["error"])) == told[-1]
        assert records[-1]["findings"] == {rule: told.count(rule) for rule in dict.fromkeys(told[1:-1])} or way is consumer_failed
        assert len({(record["stream"], record["pipeline"], record["time"]) for record in records}) == 1
    assert "1234" not in json.dumps(
        [{name: value for name, value in record.items() if name not in ("stream", "pipeline")} for record in records]
    )


def test_a_record_of_a_finding_says_all_but_the_text() -> None:
    """Rule, action, channel, offsets, score and tags."""
    records: list[dict[str, Any]] = []
    context = sf.Context(tags={"tenant": "acme"}, observe=[observe.audit(records.append)])
    deltas = [sf.TextDelta("x 12", sf.Channel("answer", (0, 1))), sf.TextDelta("34", sf.Channel("answer", (0, 1)))]
    with sf.Redact(PIN).iter(deltas, context=context) as stream:
        list(stream)
    found = records[1]
    assert found | {"time": 0, "stream": "", "pipeline": ""} == {
        "time": 0, "event": "finding", "stream": "", "pipeline": "", "tags": {"tenant": "acme"}, "rule": "pin",
        "action": "redact", "channel": "answer", "key": [0, 1], "start": 2, "end": 6, "score": None,
    }  # fmt: skip


def test_an_audit_awaits_nothing_and_says_so() -> None:
    """A coroutine that nobody awaits would write nothing down: refused when it is given, or else when it comes out of the sink."""

    async def write(record: dict[str, object]) -> None:
        raise AssertionError

    async def writing(finding: sf.Finding) -> None:
        raise AssertionError

    class Writer:
        async def __call__(self, record: dict[str, object]) -> None:
            raise AssertionError

    for sink in (write, functools.partial(write), Writer(), asyncio.Queue[dict[str, object]]().put):
        with pytest.raises(TypeError, match=r"sink is async, and nothing awaits it.*put_nowait"):
            observe.audit(sink)
    with pytest.raises(TypeError, match="async function, and nothing awaits"):
        sf.Context(observe=[functools.partial(writing)])
    out: list[str] = []
    context = sf.Context(observe=[observe.audit(lambda *record: write(*record))])  # noqa: PLW0108  # which is not async itself
    with pytest.raises(TypeError, match="sink gave a coroutine, which nothing awaits"):
        out.extend(sf.Redact(PIN).iter(["a 1234"], context=context))
    assert out == []


def test_an_audit_that_cannot_write_lets_nothing_pass() -> None:
    """What cannot be written down does not happen: the replaced text does not leave."""

    def full(record: dict[str, object]) -> None:
        if record["event"] == "finding":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        sf.Redact(PIN).apply("a 1234", context=sf.Context(observe=[observe.audit(full)]))
    with pytest.raises(TypeError, match="function of a record"):
        observe.audit("file")  # type: ignore[arg-type]


def test_a_fingerprint_is_the_pipeline_s_definition() -> None:
    """The same for equal pipelines, another for others, also where a repr is shortened; live objects do not change it."""
    words = [f"word{n}" for n in range(100)]
    several = [
        sf.Redact(PIN), sf.Redact(sf.Rule("pin", r"\d{5}")), sf.Redact(PIN, to="#"), sf.Redact(PIN) | sf.StopAt("x"),
        sf.Redact(sf.Terms(words)), sf.Redact(sf.Terms([*words, "more"])), sf.MapText(str.upper), sf.MapText(str.lower), sf.Pipeline(),
    ]  # fmt: skip
    prints = [fingerprint(stage) for stage in several]
    assert len(set(prints)) == len(several)
    assert fingerprint(sf.Redact(sf.Rule("pin", r"\d{4}"))) == prints[0]

    class Check:
        def __call__(self, window: sf.Window) -> bool:
            return True

    assert fingerprint(sf.Moderate(Check())) == fingerprint(sf.Moderate(Check()))

    @dataclasses.dataclass(eq=False)
    class Circular:
        itself: Any = None

        def __call__(self, window: sf.Window) -> bool:
            return True

    circular = Circular()
    circular.itself = circular
    assert fingerprint(sf.Moderate(circular)) == fingerprint(sf.Moderate(Circular()))


@pytest.mark.parametrize("other", ["0", "random"])
def test_a_fingerprint_is_the_same_in_every_run(other: str) -> None:
    """Hashes of strings differ from run to run; fingerprints do not."""
    code = "import streamfilter as sf; from streamfilter.observer import fingerprint; from streamfilter.detectors import PII; print(fingerprint(sf.Redact(*PII, to='#') | sf.MapText(str.upper)))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": other}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == fingerprint(sf.Redact(*PII, to="#") | sf.MapText(str.upper))


# ---------------------------------------------------------------------- notebooks


def test_a_pipeline_is_a_table_in_a_notebook() -> None:
    """Each stage a row, as `explain` says it, escaped."""
    pipeline = sf.Redact("<b>") | sf.StopAt("END")
    shown = pipeline._repr_html_()
    assert shown.count("<tr>") == 3
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    for line in pipeline.explain().splitlines():
        assert line.split(": ", 1)[0].replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#x27;") in shown


async def twice(source: AsyncIterator[str]) -> AsyncIterator[str]:
    async for item in source:
        yield item
        yield item


@pytest.mark.parametrize("stage", [sf.Redact("x"), sf.StopAt("b"), sf.Redact("x") | twice], ids=["plain", "stopped", "function"])
def test_a_source_that_cannot_be_closed_is_no_good_ending(stage: Any) -> None:
    """The consumer gets the error, and who watches hears of it, not of a stream that went well."""

    class Source:
        def __init__(self) -> None:
            self._left = ["a", "b", "c"]

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop(0)

        async def aclose(self) -> None:
            raise OSError("reset")

    records: list[dict[str, object]] = []

    async def main() -> None:
        async with stage(Source(), context=sf.Context(observe=[observe.audit(records.append)])) as stream:
            async for _ in stream:
                pass

    with pytest.raises(OSError, match="reset"):
        asyncio.run(main())
    assert [(record["event"], record.get("ending")) for record in records if record["event"] != "finding"] == [
        ("begin", None),
        ("end", "failed"),
    ]
    assert records[-1]["error"] == "OSError"
