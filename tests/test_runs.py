"""Runs: a chain feeds plain text to them past the stages, one object serves one run after another, and nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import warnings
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter.chain import Chain
from streamfilter.context import Context
from streamfilter.detectors import PII
from streamfilter.items import PLAIN
from streamfilter.lift import Lift
from streamfilter.machine import Machine, TextMachine, mapping
from streamfilter.parsing.parser import Parser
from streamfilter.parsing.sink import Sink
from streamfilter.runs import Run

ANSWER, OTHER, BESIDE = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1)), sf.Channel("reasoning")


class Hiding(TextMachine):
    """Takes out what stands in `<>` and rests otherwise; says how far the channel had come, and what stood before."""

    def __init__(self, places: list[Any], context: int) -> None:
        self.places = places
        self.context = context

    def feed(self, text: str) -> None:
        hold = self.hold
        while found := re.search("<[^>]*>", hold.text):
            hold.keep(found.start())
            self.places.append((hold.offset, hold.buf[max(0, hold.pos - self.context) : hold.pos]))
            hold.replace(len(found[0]), "#")
        at = hold.text.find("<")
        hold.keep(len(hold) if at < 0 else at)
        hold.stops = re.compile("<").search


class Stopping(TextMachine):
    """Stops the choice at a `!`."""

    def feed(self, text: str) -> None:
        at = text.find("!")
        self.hold.keep(len(text) if at < 0 else at)
        if at >= 0:
            self.done = sf.Finish("stop")


def row(kinds: str, places: list[Any]) -> Iterator[Machine]:
    """Machines, one for each letter."""
    starts: dict[str, Any] = {
        "h": lambda: Hiding(places, 0),
        "c": lambda: Hiding(places, 2),
        "s": Stopping,
        "u": lambda: mapping(str.swapcase),
        "w": lambda: sf.Words().start(),
    }
    for kind in kinds:
        if kind == "m":
            yield Machine()
        else:
            yield Lift(starts[kind], kind, kinds=None if kind != "w" else ("answer",), choices=2)


def by_hand(machines: Sequence[Machine], item: Any, *, ends: bool = False) -> list[Any]:
    """What leaves the last of some machines where each is fed by itself, and none is passed by."""
    items = [] if ends else [item]
    for n, machine in enumerate(machines):
        given: list[Any] = []
        for each in items:
            given += machine.feed(each)
            if has_ended(given):
                break
        if ends and not has_ended(given):
            given += machine.finish()
        items = given
        if has_ended(items):  # what is held before it dies, but for usage
            items[-1:-1] = Chain(machines[:n]).rescue()
            ends = False
    return items


def has_ended(items: Sequence[Any]) -> bool:
    return bool(items) and isinstance(items[-1], sf.End)


def told(items: Sequence[Any]) -> list[Any]:
    return [(item.text, item.channel, item.origin) if isinstance(item, sf.TextDelta) else item for item in items]


@st.composite
def mixed(draw: st.DrawFn) -> list[Any]:
    """Plain text above all, deltas, and events: in the text, behind which a run ends, and over a choice."""
    items: list[Any] = []
    for n, kind in enumerate(draw(st.lists(st.integers(0, 13), max_size=16))):
        text = draw(st.sampled_from(["ab", "c ", "<", ">", "<x>", "a<b", "c>d", "", "plain text", "!", " b"]))
        deltas = [sf.TextDelta(text, channel, n) for channel in (ANSWER, OTHER, PLAIN, BESIDE)]
        events = [sf.Usage(str(n)), sf.Event(), sf.Event(boundary=True), sf.Event(scope=()), sf.Finish("end", scope=(0, 0))]
        items.append([*deltas, *events, *[text] * 5][kind])
    return items


@given(st.text("hcsuwm", min_size=1, max_size=4), mixed())
def test_a_chain_gives_what_its_machines_give_one_after_the_other(kinds: str, items: list[Any]) -> None:
    """Whatever passes those at rest, whichever runs end, and wherever a choice is stopped; and what they have seen is the same."""
    places: tuple[list[Any], list[Any]] = ([], [])
    chain, machines = Chain([*row(kinds, places[0])]), [*row(kinds, places[1])]
    for machine in machines:
        machine.plain_run = None  # a new one for each run
    for item in items:
        expected = by_hand(machines, item)
        assert told(chain.feed(item)) == told(expected)
        assert places[0] == places[1]
        if has_ended(expected):
            return
    assert told(chain.finish()) == told(by_hand(machines, None, ends=True))
    assert places[0] == places[1]


def test_a_run_begins_anew_in_the_object_of_the_one_before() -> None:
    """What is found is counted from the beginning of the channel, and nothing of the run before is seen."""
    places: list[Any] = []
    lift = Lift(lambda: Hiding(places, 3), "Hiding")
    chain = Chain([lift, Machine()])
    run = lift.plain_run
    fed = [[*chain.feed(item)] for item in ("abc<", "d", sf.Event(boundary=True), "e>", "f<g>")]
    assert fed[-2:] == [["e>"], ["f", "#"]]
    assert places == [(8, "e>f")]
    assert lift.plain_run is run


def test_units_may_be_given_when_the_chain_is_made() -> None:
    """It knew already what plain text meets in it, which passes the cutting by."""
    context = Context()
    machine = (sf.MapText(str) | sf.Markdown()).machine(context)
    context.unbroken[0].give_units(lambda text: re.findall(r"\S+\s*", text), ["answer"])
    assert machine.feed("some words and **bold ones** here ") == ["some ", "words ", "and ", "**bold ones** ", "here "]


def test_a_machine_that_is_fed_after_its_end_begins_a_run() -> None:
    """Held text that has died is not what comes next, whoever still feeds it."""
    places: list[Any] = []
    lift = Lift(lambda: Hiding(places, 0), "Hiding")
    chain = Chain([lift, Machine()])
    assert [*chain.feed("held<")] == ["held"]
    assert not lift.rescue()
    assert (lift.held, [*chain.feed("a>")]) == (0, ["a>"])
    assert ([*chain.finish()], [*chain.feed("b")]) == ([], ["b"])


KINDS = (Machine, TextMachine, Run, Context)
STAGES = (
    sf.Extract("think") | sf.Redact(*PII) | sf.Links(["example.org"]) | sf.Markdown() | sf.Words(),
    sf.Redact("ab") | sf.StopAt("x") | sf.Sentences(),
    sf.Replace(r"a(?=b)", "c") | sf.Limit(max_words=2),
    sf.MapText(str.upper),
)


@contextlib.contextmanager
def leaving(*kinds: type) -> Iterator[list[str]]:
    """What was made meanwhile of some kinds and is not gone at the end, without the garbage collector."""
    left: list[str] = []
    gc.collect()
    gc.disable()
    try:
        before = {id(each) for each in gc.get_objects() if isinstance(each, kinds)}
        yield left
        left += [type(each).__qualname__ for each in gc.get_objects() if isinstance(each, kinds) and id(each) not in before]
    finally:
        gc.enable()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("pieces", [[], ["so ab"], ["so ab", " **x** sa", "y [a](b"]])
def test_a_stream_that_has_ended_leaves_nothing_to_the_garbage_collector(stage: sf.Stage[str, str], pieces: list[str]) -> None:
    """Its machines are gone with it: thousands of streams would make a cycle each."""
    with leaving(*KINDS) as left:
        assert isinstance(list(stage.iter(pieces)), list)
    assert left == []


async def endless(error: Exception | None = None) -> Any:
    """A source that does not end by itself, unless it breaks."""
    for text in ("So a. So", " **b** sa", "y [a](b"):
        yield text
    if error is not None:
        raise error
    await asyncio.get_running_loop().create_future()


async def left_by_break(stage: sf.Stage[Any, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        async for _ in stage(endless()):
            break


async def left_by_error(stage: sf.Stage[Any, Any]) -> None:
    with contextlib.suppress(KeyError):
        async with stage(endless()) as stream:
            async for _ in stream:
                raise KeyError


async def left_by_its_source(stage: sf.Stage[Any, Any]) -> None:
    with contextlib.suppress(OSError):
        async for _ in stage(endless(OSError())):
            pass


async def left_by_cancel(stage: sf.Stage[Any, Any]) -> None:
    async def read() -> None:
        async for _ in stage(endless()):
            pass

    task = asyncio.create_task(read())
    for _ in range(9):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def allowing_the_first(window: sf.Window) -> bool:
    if window.index:
        await asyncio.get_running_loop().create_future()
    return True


HOLDING = (
    *STAGES,
    sf.FilterJSON(sf.Redact("ab") | sf.Sentences()),
    sf.Moderate(allowing_the_first),
    sf.Moderate(allowing_the_first, mode="optimistic", concurrency=2) | sf.Words(),
)


@pytest.mark.parametrize("stage", HOLDING)
@pytest.mark.parametrize("leave", [left_by_break, left_by_error, left_by_its_source, left_by_cancel])
def test_the_text_that_a_stream_held_is_gone_when_it_is_left(stage: sf.Stage[str, str], leave: Any) -> None:
    """It dies there, and not when the garbage collector comes, which a process may do without for long."""
    with leaving(Run, TextMachine, sf.Window) as left:
        asyncio.run(leave(stage))
    assert left == []


@pytest.mark.parametrize("piece", ['["so ab', '["so ab", "a', '{"ab', '["a", 12', '"a\\u00'])
def test_half_a_string_of_filtered_json_is_gone_when_its_stream_is_left(piece: str) -> None:
    """Each is a text of its own, with machines of its own; those of whole ones are gone with them."""
    stage = sf.FilterJSON(sf.Redact("ab") | sf.Sentences(), keys=True)
    with leaving(*KINDS, Parser, Sink) as left:
        with stage.iter([piece, "c"]) as stream:
            for _ in stream:
                break
        del stream
    assert left == []


@pytest.mark.parametrize("pieces", [["sec", "a", "ret b", "more"], ["sec", "ret a secret", "x"], ["secre", "t a", "z"]])
@pytest.mark.parametrize("first", [sf.Redact("a", to=lambda _: leave()), sf.MapText(lambda text: leave() if "a" in text else text)])
def test_nothing_leaves_behind_a_function_that_leaves_its_stream(first: sf.Stage[str, str], pieces: list[str]) -> None:
    """The stages behind it hold halves of what they look for, and are given the rest."""
    for items in (pieces, [sf.TextDelta(piece, ANSWER) for piece in pieces]):
        with (first | sf.Redact("secret", to="#") | sf.Words()).iter(items) as streams["left"]:
            assert list(streams["left"]) == []


streams: dict[str, Any] = {}


def leave() -> str:
    streams["left"].close()
    return "A"


@pytest.mark.parametrize("stage", [sf.ParseJSON(), sf.ParseJSON(dict[str, list[str]]), sf.JSONEvents(), sf.JSONText("$.a[0]")])
def test_half_a_document_is_gone_when_its_stream_is_left(stage: Any) -> None:
    """All that was built of it."""
    with leaving(Parser, Sink) as left:
        with stage.iter(['{"a": ["b', 'c", "d', '"]}']) as stream:
            assert next(stream)
        del stream
    assert left == []


def test_a_number_may_leave_the_stream_that_it_is_read_from() -> None:
    """Its parser is at work just then: the value of this piece is the last."""
    with sf.ParseJSON(parse_int=lambda _: len(leave())).iter(['{"a": [1', ', 2, "b', '"]}']) as streams["left"]:
        assert list(streams["left"]) == [{"a": []}, {"a": [1, 1, "b"]}]


def test_a_stage_that_fails_to_let_go_does_not_keep_its_source_open() -> None:
    """Its error is raised, and the source is closed all the same."""

    class Failing(Machine):
        def cancel(self) -> Any:
            raise KeyError("cancel")

    @sf.stage
    class Fails(sf.Stage[str, str]):
        def machine(self, context: Context | None = None) -> Machine:
            return Failing()

    closed = []

    async def source() -> Any:
        try:
            yield "a"
        finally:
            closed.append(True)

    async def main() -> None:
        async with Fails()(source()) as stream:
            assert await anext(stream) == "a"

    with pytest.raises(KeyError, match="cancel"):
        asyncio.run(main())
    assert closed == [True]


def test_all_that_has_passed_counts_where_something_is_found() -> None:
    """In a chain too, which does not even feed a machine at rest."""
    places: list[Any] = []
    chain = Chain([Lift(lambda: Hiding(places, 0), "Hiding"), Lift(lambda: Hiding([], 0), "Behind")])
    assert [[*chain.feed(text)] for text in ("ab", "cd", "ef", "g<h>")][-1] == ["g", "#"]
    assert places == [(7, "")]


def test_how_far_each_channel_has_come_is_known_when_the_runs_of_others_end() -> None:
    """Also of the one whose run ended first; and of none that ended anew is it forgotten earlier."""
    places: list[Any] = []
    lift = Lift(lambda: Hiding(places, 0), "Hiding", kinds=None)
    for channel in (ANSWER, OTHER, BESIDE, ANSWER):
        lift.feed(sf.TextDelta("abcd", channel))
        lift.feed(sf.Event(scope=channel, boundary=True))
    for channel in (ANSWER, OTHER, BESIDE):
        lift.feed(sf.TextDelta("<x>", channel))
    assert [place for place, _ in places] == [8, 4, 4]


class Failing(TextMachine):
    """Raises when it is finished."""

    def feed(self, text: str) -> None:
        self.hold.keep(len(text))

    def finish(self) -> None:
        raise LookupError("in finish")


def test_what_a_machine_raises_when_it_is_finished_ends_the_stream() -> None:
    """As what it raises when it is fed: what was decided has left."""
    assert not Chain([Lift(Failing, "Failing")]).finish()  # there is no run
    chain = Chain([Machine(), Lift(Failing, "Failing")])
    assert [*chain.feed("said")] == ["said"]
    (end,) = chain.finish()
    assert isinstance(end, sf.End)
    assert isinstance(end.error, LookupError)


def test_all_that_watch_are_told_of_in_a_chain() -> None:
    """Whichever machines they are in."""
    machines = [Machine(), Machine(), Machine()]
    watchers: list[Any] = [object(), object(), object()]
    machines[0].watchers, machines[2].watchers = watchers[:2], watchers[2:]
    assert [*Chain(machines).watchers] == watchers


def test_of_channels_without_number_only_the_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those whose runs ended last, whenever they began; others are counted from their beginning again."""
    monkeypatch.setattr("streamfilter.lift.KEPT_ENDED", 2)
    places: list[Any] = []
    lift = Lift(lambda: Hiding(places, 0), "Hiding", kinds=None)

    def said(channel: sf.Channel, text: str) -> None:
        lift.feed(sf.TextDelta(text, channel))
        lift.feed(sf.Event(scope=channel, boundary=True))

    for channel in (ANSWER, OTHER, ANSWER, BESIDE):
        said(channel, "abcd")
    for channel in (ANSWER, BESIDE, OTHER):
        lift.feed(sf.TextDelta("<x>", channel))
    assert [place for place, _ in places] == [8, 4, 0]


def test_choices_that_nobody_knows_any_more_do_not_end_a_stream() -> None:
    """A reader forgets those that have finished, and so does a lift; those that go on are not over because of it."""
    context = Context()
    lift = Lift(lambda stage, given: Stopping(), "Stopping", context=context)
    for choice in (0, 1):
        lift.feed(sf.TextDelta("a", sf.Channel("answer", (0, choice))))
    for choice in range(2, 150):
        lift.feed(sf.Finish("stop", scope=(0, choice)))
        context.seen.discard((0, choice))
    assert lift.feed(sf.TextDelta("!", ANSWER)) == [sf.Finish("stop", scope=(0, 0))]
    assert [type(item) for item in lift.feed(sf.TextDelta("!", OTHER))] == [sf.Finish, sf.End]


@pytest.mark.parametrize("pieces", [["so ab"], ["so ab", "y <x"]])
def test_a_stream_that_is_over_holds_nothing(pieces: list[str]) -> None:
    """Whether it was read to its end or left."""
    for leaves in (False, True):
        with sf.Redact("<[^>]*>").iter(pieces) as stream:
            for _ in stream:
                if leaves:
                    break
        assert stream.held == 0


class Own(Lift):
    """A lift that does something with text before it is fed."""

    def feed(self, item: Any) -> Sequence[Any]:
        return super().feed(item.replace("a", "AAA"))


def test_a_lift_that_feeds_in_its_own_way_is_fed_itself() -> None:
    """Whether its class does, or somebody has put something around this one, or it stands behind a proxy."""
    fed: list[Any] = []

    def watched() -> Lift:
        lift = Lift(lambda: Hiding([], 0), "Hiding")
        feed = lift.feed

        def feed_watched(item: Any) -> Sequence[Any]:
            fed.append(item)
            return feed(item)

        lift.feed = feed_watched  # type: ignore[method-assign]
        return lift

    class Proxy(Machine):
        def __init__(self, inner: Lift) -> None:
            self.inner, self.plain_run = inner, inner.plain_run

        def feed(self, item: Any) -> Sequence[Any]:
            fed.append(item)
            return self.inner.feed(item)

    for lift in (watched(), Proxy(Lift(lambda: Hiding([], 0), "Hiding"))):
        chain = Chain([lift, Machine()])
        fed.clear()
        assert [[*chain.feed(text)] for text in ("a", "ba", "a")] == [["a"], ["ba"], ["a"]]
        assert fed == ["a", "ba", "a"]
    own = Chain([Own(lambda: mapping(str.swapcase), "Own"), Machine()])
    held = Chain([Own(lambda: sf.Words().start(), "Own"), Machine()])
    assert [[*own.feed(text)] for text in ("a", "ba")] == [["aaa"], ["Baaa"]]
    assert [[*held.feed(text)] for text in ("a ", "ba ", "a")] == [[], ["AAA "], ["bAAA "]]


def test_what_a_stage_is_asked_for_one_stream_is_not_kept_for_another() -> None:
    """The function that stands in for it may have seen things; and a method that is replaced counts from then on."""

    class Once(sf.Stage[str, str]):
        @property
        def function(self) -> Any:
            seen: set[str] = set()

            async def run(source: Any) -> Any:
                async for item in source:
                    if item not in seen:
                        seen.add(item)
                        yield item

            return run

        def machine(self, context: Context | None = None) -> Machine:
            raise NotImplementedError

    class Up(sf.TextStage):
        def start(self, context: Context | None = None) -> TextMachine:
            return mapping(str.upper)

    once, up = sf.stage(Once)(), sf.stage(Up)()

    async def through_once() -> list[str]:
        async def source() -> Any:
            for text in "aba":
                yield text

        async with once(source()) as stream:
            return [text async for text in stream]

    assert [asyncio.run(through_once()) for _ in range(2)] == [["a", "b"]] * 2
    assert up.apply("ab") == "AB"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(up), "start", lambda *_: mapping(lambda _: "P"))
        assert up.apply("ab") == "P"
    assert up.apply("ab") == "AB"


def test_a_stage_that_was_used_is_gone_with_its_last_name() -> None:
    """And with it the engine, which may have megabytes: a server may make one for each request."""
    gc.collect()
    gc.disable()
    try:
        stage = sf.Redact("zz9") | sf.Words()
        assert list(stage.iter(["a"])) == ["a"]
        gone = weakref.ref(stage.stages[0])
        del stage
        assert gone() is None
    finally:
        gc.enable()
