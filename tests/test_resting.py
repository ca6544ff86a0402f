"""Machines at rest: what a text machine would only keep passes it by, and nobody can tell but by what it was not asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter.chain import Chain
from streamfilter.items import PLAIN
from streamfilter.lift import Lift
from streamfilter.machine import Machine, mapping
from streamfilter.runs import Held

ANSWER, OTHER = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
SECRET = re.compile(r"<[^>]*>")


class Hiding(sf.TextMachine):
    """Takes out what stands in `<>`, and writes down what it was fed, what had passed before, and where it has found something."""

    def __init__(self, fed: list[str], passed: list[str], places: list[int], *, rests: bool, context: int = 0) -> None:
        self.fed, self.passed, self.places = fed, passed, places
        self.rests, self.context = rests, context

    def feed(self, text: str) -> None:
        hold = self.hold
        self.fed.append(text)
        self.passed.append(hold.passed)
        while found := SECRET.search(hold.text):
            hold.keep(found.start())
            self.places.append(hold.offset)
            hold.replace(found.end() - found.start(), "#")
        at = hold.text.find("<")
        hold.keep(len(hold) if at < 0 else at)
        if self.rests:
            hold.stops = re.compile("<").search


def hiding(*, rests: bool = True, context: int = 0) -> tuple[Lift, list[str], list[str], list[int]]:
    fed: list[str] = []
    passed: list[str] = []
    places: list[int] = []
    return Lift(lambda: Hiding(fed, passed, places, rests=rests, context=context), "Hiding"), fed, passed, places


def through(lift: Machine, items: Sequence[Any]) -> list[list[Any]]:
    """What leaves at each item, and at the end."""
    leaving = [*map(lift.feed, items), lift.finish()]
    return [[told(out) for out in each] for each in leaving]


def told(item: Any) -> Any:
    """All that can be seen of an item: a delta's origin as well, by which chunk it came on."""
    return (item.text, item.channel, item.origin) if isinstance(item, sf.TextDelta) else item


@st.composite
def mixed(draw: st.DrawFn) -> list[Any]:
    """Plain text, deltas in two channels, and events among them, with many pieces in which nothing is to be found."""
    piece = st.sampled_from(["ab", "c ", "<", ">", "<x>", "a<b", "c>d", "", "plain text", "<>"])
    items: list[Any] = []
    for n, kind in enumerate(draw(st.lists(st.integers(0, 5), max_size=14))):
        text = draw(piece)
        deltas = [sf.TextDelta(text, channel, n) for channel in (ANSWER, OTHER, PLAIN)]
        items.append([text, *deltas, sf.Usage(str(n)), text][kind])
    return items


@given(mixed())
def test_what_leaves_and_when_does_not_depend_on_whether_a_machine_rests(items: list[Any]) -> None:
    """Nor where it finds something: a machine that is asked about every piece says the same."""
    resting, fed, _, places = hiding()
    asked, all_fed, _, all_places = hiding(rests=False)
    assert through(resting, items) == through(asked, items)
    assert places == all_places
    assert len(fed) <= len(all_fed)


@given(st.lists(st.sampled_from(["ab", "c ", "<", ">", "<x>", "a<b", "c>d", "plain text"]), max_size=14))
def test_a_machine_that_rests_finds_what_a_pattern_finds_in_the_whole_text(pieces: list[str]) -> None:
    """And where: the pieces that have passed count."""
    lift, _, _, places = hiding()
    text = "".join(pieces)
    assert "".join(str(out) for given in through(lift, pieces) for out in given) == SECRET.sub("#", text)
    assert places == [found.start() for found in SECRET.finditer(text)]


def test_a_machine_at_rest_is_asked_only_about_what_stops_it() -> None:
    """It is asked about everything while something is held, and after it was asked it must say again what stops it."""
    lift, fed, passed, _ = hiding()
    assert through(lift, ["a", "b", "c", "d<", "e", "f>", "g", "h", "<"]) == [
        *(["a"], ["b"], ["c"], ["d"], [], ["#"], ["g"], ["h"], []),
        ["<"],
    ]
    assert fed == ["a", "d<", "e", "f>", "<"]
    assert passed == ["", "c", "c", "c", "h"]


def test_what_passes_a_machine_at_rest_is_the_item_that_came() -> None:
    """A piece of plain text, or a delta with its origin; and a replacement behind one stays on its chunk."""
    lift, fed, _, _ = hiding()
    text, delta = "plain text", sf.TextDelta("a delta", ANSWER, object())
    assert through(lift, ["x"]) == [["x"], []]
    assert lift.feed(text)[0] is text
    lift.feed(sf.TextDelta("begins", ANSWER))
    assert lift.feed(delta)[0] is delta
    hidden = sf.TextDelta("<secret>", ANSWER, "its chunk")
    assert [told(out) for out in lift.feed(hidden)] == [("#", ANSWER, "its chunk")]
    assert "a delta" not in fed


def test_an_event_passes_a_machine_at_rest_at_its_place() -> None:
    """Where something is held it waits, as everywhere."""
    lift, *_ = hiding()
    usage = sf.Usage("late")
    assert through(lift, ["a", "b", usage, "c<", usage, "d>"]) == [["a"], ["b"], [usage], ["c"], [], ["#", usage], []]


@given(mixed())
def test_it_is_the_same_where_a_driver_lets_pieces_pass_by(items: list[Any]) -> None:
    """What drives machines in a row need not even feed one at rest: what leaves, when and what of it is found are the same."""
    rows = [[hiding(rests=rests) for _ in range(2)] for rests in (True, False)]
    resting, asked = (Chain([row[0][0], Lift(lambda: mapping(str.upper), "Upper"), row[1][0]]) for row in rows)
    assert through(resting, items) == through(asked, items)
    assert [places for *_, places in rows[0]] == [places for *_, places in rows[1]]
    assert len(rows[0][1][1]) <= len(rows[1][1][1])


class Stopping(sf.TextMachine):
    """Stops the choice at a mark, and rests otherwise."""

    def feed(self, text: str) -> None:
        if "#" in text:
            self.done = sf.Finish("stop")
            return
        self.hold.keep(len(self.hold))
        self.hold.stops = re.compile("#").search


@pytest.mark.parametrize("is_alone", [True, False])
def test_nothing_passes_a_machine_at_rest_whose_choice_was_stopped_elsewhere(is_alone: bool) -> None:
    """Plain text and this reasoning are of one choice: the first may rest while the other ends it."""
    lift = Lift(Stopping, "Stopping", kinds=None, choices=2)
    machine = lift if is_alone else Chain([lift, Lift(Stopping, "Stopping")])
    machine.feed(sf.TextDelta("other", ANSWER))
    assert [machine.feed("text"), machine.feed("more")] == [["text"], ("more",)]
    assert machine.feed(sf.TextDelta("#", sf.Channel("reasoning"))) == []
    assert not machine.feed("too late")
    assert machine.feed(sf.TextDelta("goes on", ANSWER)) == (sf.TextDelta("goes on", ANSWER),)


def test_usage_that_waits_in_several_channels_of_a_stopped_choice_survives() -> None:
    """All of it, in the order of the channels; the text that it waited for does not."""
    lift = Lift(lambda: Hiding([], [], [], rests=True), "Hiding", kinds=None)
    channels = [sf.Channel("answer", (0, 0)), sf.Channel("reasoning", (0, 0)), sf.Channel("refusal", (0, 0))]
    usages = [sf.Usage(str(n), scope=channel) for n, channel in enumerate(channels)]
    for channel, usage in zip(channels, usages, strict=True):
        assert lift.feed(sf.TextDelta("<held", channel)) == []
        assert not lift.feed(usage)
    last = lift._runs[channels[-1]]
    assert isinstance(last, Held)
    assert last.machine is not None
    last.machine.done = sf.Finish("stop")
    assert [item for item in lift.feed(sf.TextDelta("more", channels[-1])) if isinstance(item, sf.Usage)] == usages


def test_pieces_behind_a_delta_that_has_passed_leave_one_by_one() -> None:
    """Where plain text and deltas share a run each piece is an item, whatever was at rest meanwhile."""
    for rests in (True, False):
        items = ["a", sf.TextDelta("b", PLAIN), "c", "<", "d"]
        assert through(hiding(rests=rests)[0], items)[-1] == ["<", "d"]


class Buffered(sf.Machine):
    """One that has a name of ours."""

    def feed(self, item: Any) -> list[Any]:
        return [item]

    def rest(self) -> list[Any]:
        return ["its own"]


def test_what_else_a_machine_calls_rest_is_its_own_business() -> None:
    """A driver asks no machine for that but those that say so."""
    assert Chain([Buffered(), Lift(lambda: mapping(str.upper), "Upper")]).feed("a") == ("A",)


def test_units_are_given_before_text_comes() -> None:
    """What rests would let pieces pass whole."""
    context = sf.Context()
    machine = (sf.MapText(str) | sf.Markdown()).machine(context)
    machine.feed("some words ")
    with pytest.raises(RuntimeError, match="before text comes"):
        context.unbroken[0].give_units(str.split, ["answer"])


class Ending(sf.TextMachine):
    """Lets everything pass, is at rest from then on, and says something at the end."""

    def feed(self, text: str) -> None:
        self.hold.keep(len(self.hold))
        self.hold.stops = re.compile("<").search

    def finish(self) -> None:
        self.hold.replace(0, "!")


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["a", "b"], "!"),
        ([sf.TextDelta("a", ANSWER, 1), sf.TextDelta("b", ANSWER, 2)], ("!", ANSWER, 2)),
        ([sf.TextDelta("<", ANSWER, 1), sf.TextDelta("b", ANSWER, 2), sf.TextDelta("", ANSWER, 3)], ("!", ANSWER, 3)),
        (["a", sf.TextDelta("b", PLAIN, 1)], ("!", PLAIN, 1)),
        ([sf.TextDelta("<", PLAIN, 1), "b"], "!"),
    ],
)
def test_what_is_said_at_the_end_is_of_the_kind_of_what_has_passed_at_rest(items: list[Any], said: Any) -> None:
    """Plain text behind plain text, and a delta on the chunk of the last delta."""
    lift = Lift(Ending, "Ending")
    assert through(lift, items) == [*([told(item)] for item in items), [said]]


def test_plain_text_that_has_none_passes_where_nothing_is_held() -> None:
    """At rest or not; but it is no word."""
    for rests in (True, False):
        lift, fed, *_ = hiding(rests=rests)
        assert through(lift, ["", "a", "", "<", "", ">", ""]) == [[""], ["a"], [""], [], [], ["#"], [""], []]
        assert fed == ["a", "<", ">"]
    assert list(sf.Words().iter(["", "a ", "", "b", ""])) == ["a ", "b"]


class Over(sf.TextMachine):
    """Is done before anything has come."""

    def __init__(self) -> None:
        self.done = sf.End("stop")

    def feed(self, text: str) -> None:
        self.hold.keep(len(text))


def test_a_machine_that_is_made_done_is_done_with_the_first_piece() -> None:
    """What it said when it was made is not forgotten when it gets its hold."""
    assert through(Lift(Over, "Over"), ["a"])[0] == ["a", sf.End("stop")]


def test_a_machine_with_context_is_asked_about_every_piece() -> None:
    """It has to see what stands before."""
    lift, fed, *_ = hiding(context=3)
    assert through(lift, ["a", "b", "c<d>"]) == [["a"], ["b"], ["c", "#"], []]
    assert fed == ["a", "b", "c<d>"]


@pytest.mark.parametrize(
    ("stage", "pieces"),
    [
        (sf.Extract("think"), ["a <think>b</think>", *"cdef", "<think>g</think>", "h"]),
        (sf.Extract("think", many=False), ["a <think>b</think>", *"cdef", "<think>g</think>", "h"]),
        (sf.Extract("think", ignore_case=True), ["a", "b", "<THINK>c</Think>", "d", "<", "t", "hink>", "e"]),
        (
            sf.Links(["example.org"]),
            ["so", "me! ", "!", "[a](http://evil.org)", " b", "ht", "tp", "s://evil.org", " w", "ww.evil.org", "!"],
        ),
        (sf.Markdown(), ["some ", "words ", "1 ", "*2* ", "3 ", "*", "4", "*", " 5"]),
        (sf.StripANSI(), ["a ", "b", "\x1b[1", "mc", "d", "\x1b", "]0;title", "\x07e", "f", "\x9b", "31mg", "h"]),
        (
            sf.CodeFences(),
            ["a ", "b", " c\n", "d ", "e", "\n```py\n", "1", "2", "\n", "`", "``\n", "f ", "g", "\r", "\n", "~~~\n", "3"],
        ),
        (sf.Words(), ["", "a ", "", "b", "", " ", "c"]),
    ],
    ids=repr,
)
def test_stages_at_rest_give_what_they_give_of_the_text_in_one_piece(stage: Any, pieces: list[str]) -> None:
    """As text and as deltas, whatever channels it ends up in."""
    text = "".join(pieces)

    def seen(items: list[Any]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for item in stage.iter(items):
            if isinstance(item, str | sf.TextDelta):
                kind, piece = ("answer", item) if isinstance(item, str) else (item.channel.kind, item.text)
                texts[kind] = texts.get(kind, "") + piece
        return texts

    whole = seen([text])
    assert seen(pieces) == whole
    assert seen([*text]) == whole
    assert seen([sf.TextDelta(piece, ANSWER) for piece in pieces]) == whole
