"""Work in steps, fact by fact: what machines do with it, and chains of them."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.chain import Chain
from streamfilter.items import Item
from streamfilter.machine import Machine
from streamfilter.slices import ITEM_CHARS, PIECE_BYTES, SLICE_CHARS, Steps, at_once, give_way, is_large, sliced

END = sf.End("stop")


class Scripted(Machine):
    """Gives for each character of a text what a table says, else the character; more than one, in as many steps. Writes all down."""

    def __init__(self, log: list[Any], name: str, table: dict[str, list[Any]], *, steps: bool) -> None:
        self.log, self.name, self.table, self.in_steps = log, name, table, steps

    def _given(self, item: Any) -> list[Any]:
        self.log.append((self.name, "feed", item))
        given = self.table.get(item, [item]) if isinstance(item, str) else [item, *self.table.get("usage", [])]
        self.ended = self.ended or END in given
        return given

    def feed(self, item: Any) -> Sequence[Any]:
        assert not self.ended
        return at_once(self._steps(item)) if isinstance(item, str) else self._given(item)

    def steps(self, item: Any) -> Steps | None:
        return self._steps(item) if self.in_steps and isinstance(item, str) and len(item) > 1 else None

    def _steps(self, item: str) -> Steps:
        assert not self.ended
        for character in item[:-1]:
            given = self._given(character)
            if self.ended:
                return given
            yield given
        return self._given(item[-1])

    def drain(self, item: Item) -> Sequence[Item]:
        self.log.append((self.name, "drain", item))
        return super().drain(item)

    def rescue(self) -> Sequence[Item]:
        self.log.append((self.name, "rescue"))
        return [sf.Usage(self.name)]


class Passing(Scripted):
    """Is fed slices, so it never has steps of its own; gives texts as they are."""

    takes_slices = True

    def feed(self, item: Any) -> Sequence[Any]:
        self.log.append((self.name, "feed", item))
        return [item]


def pairs(chance: random.Random, drains: bool) -> tuple[list[list[Any]], list[Chain]]:
    """The same chain twice, and what its machines write down."""
    logs: list[list[Any]] = [[], []]
    rows: list[list[Machine]] = [[], []]
    ending = chance.randrange(4)  # one only, where what comes too late for those behind it is not made
    for n in range(chance.randrange(1, 5)):
        many = ["a", "bc", sf.Usage(n), "d", "!", "ef", sf.Usage(-n)]
        table: dict[str, list[Any]] = {
            "x": chance.sample(many, chance.randrange(4)),
            "a": chance.choice([["a"], [], ["ab", "x"], many]),
        }
        if (drains or n == ending) and chance.random() < 0.6:
            table[chance.choice(["!", "!", "usage"])] = chance.choice([[END], ["a", END]])
        in_steps = chance.random() < 0.6
        for log, row in zip(logs, rows, strict=True):
            row.append(Scripted(log, str(n), table, steps=in_steps))
    return logs, [Chain(row, drains=drains) for row in rows]


@pytest.mark.parametrize("drains", [False, True])
def test_a_chain_gives_in_steps_what_it_gives_at_once(drains: bool) -> None:
    """The same items; each machine is fed and drained the same, in the same order, and those before the end are rescued once."""
    chance = random.Random(drains)
    for _ in range(300):
        logs, (one, other) = pairs(chance, drains)
        for item in ("xax", "a", sf.Usage("u"), "ax!xa", "b!a"):
            if one.ended:
                break
            given, rest = one.begin(item)
            got = [*given, *(() if rest is None else at_once(rest))]
            assert got == list(other.feed(item))
            for n in range(len(one.machines)):
                (fed, late), (want, want_late) = (
                    [[entry for entry in log if entry[0] == str(n) and (entry[1] == "feed") == is_fed] for is_fed in (True, False)]
                    for log in logs
                )
                if one.ended and not drains:  # what comes too late is not even made
                    want = want[: len(fed)]
                assert (fed, late) == (want, want_late)
        assert one.ended == other.ended


def test_what_a_step_gives_goes_through_before_the_next() -> None:
    """As far as it gets; there is a turn for others after each step of each machine."""
    log: list[Any] = []
    chain = Chain([Scripted(log, name, {"a": ["bc"]}, steps=True) for name in "12"] + [Scripted(log, "3", {}, steps=False)])
    work = chain.steps("aa")
    assert work is not None
    assert next(work) == ["b"]
    assert log == [("1", "feed", "a"), ("2", "feed", "b"), ("3", "feed", "b")]
    assert next(work) == ["c"]
    assert log[3:] == [("2", "feed", "c"), ("3", "feed", "c")]
    assert at_once(work) == ["b", "c"]
    assert [entry[0] for entry in log[5:]] == ["1", "2", "3", "2", "3"]


def test_items_count_as_what_they_are_and_for_some_characters_at_least() -> None:
    """So many go through before others have a turn, until a slice is full; the next may stand behind it whole."""
    sizes = [1000, 23, 5, 1020, 1, 900, 900, 7, *[1] * 130]
    texts = ["x" * size for size in sizes]

    class Spreading(Machine):
        def feed(self, item: Any) -> Sequence[Any]:
            return texts

    work = Chain([Spreading(), Passing([], "1", {}, steps=False)]).begin("go")
    assert work[1] is not None
    got = [list(work[0])]
    try:
        while True:
            got.append(list(next(work[1])))
    except StopIteration as over:
        got.append(list(over.value))
    want: list[list[str]] = [[]]
    room = SLICE_CHARS
    for text in texts:
        if room <= 0:
            want.append([])
            room = SLICE_CHARS
        want[-1].append(text)
        room -= max(ITEM_CHARS, len(text))
    assert got == want


BIG = "x" * (2 * SLICE_CHARS + 1)


def test_a_chain_begins_what_takes_no_time_and_leaves_the_rest_to_steps() -> None:
    """What takes time is a text that a machine has steps for, many items, or a large one where slices are taken from there on."""

    def begun(given: list[Any], steps: bool, *more: Machine) -> tuple[list[Any], list[Any] | None]:
        first = Scripted([], "1", {"a": given}, steps=False)
        second = Scripted([], "2", {}, steps=steps)
        out, rest = Chain([first, *more] if more else [first, second]).begin("a")
        return list(out), None if rest is None else list(at_once(rest))

    some = ["c"] * (SLICE_CHARS // ITEM_CHARS)
    for given in ([], ["bc"], ["b"], ["b", "cd"], ["bc", "d"], ["bc", "de"], some):
        want = list("".join(given))
        assert begun(given, False) == (want, None)
        at = next((n for n, each in enumerate(given) if len(each) > 1), None)
        assert begun(given, True) == ((want, None) if at is None else (want[: at + 1], want[at + 1 :]))
    assert begun([*some, "d"], False) == (some, ["d"])

    def slices() -> Machine:
        return Passing([], "3", {}, steps=False)

    cut = [BIG[:SLICE_CHARS]] * 2 + ["x"]
    assert begun([BIG], False, slices()) == (cut[:1], cut[1:])
    assert begun(["a", BIG, "b"], False, slices()) == (["a", cut[0]], [*cut[1:], "b"])
    assert begun(["a", BIG[:SLICE_CHARS]], False, slices()) == (["a", cut[0]], None)
    assert begun([BIG], False, slices(), Scripted([], "4", {}, steps=False)) == (list(BIG), None)  # that wants it whole
    for chain in (Chain([slices()]), Chain([slices(), slices()])):
        work = chain.steps(BIG)
        assert work is not None
        assert at_once(work) == cut
        assert chain.steps(BIG[:SLICE_CHARS]) is None
        first, rest = chain.begin(BIG)
        assert rest is not None
        assert [*first, *at_once(rest)] == cut
        assert chain.begin("a") == (["a"], None)


# ------------------------------------------------------------------ slices


def test_bytes_are_large_that_are_more_than_a_piece() -> None:
    """Of whatever type."""
    for size, large in ((PIECE_BYTES, False), (PIECE_BYTES + 1, True)):
        data = bytes(size)
        assert [is_large(each) for each in (data, bytearray(data), memoryview(data), [data], str)] == [large] * 3 + [False] * 2


def test_behind_an_end_no_slice_is_fed() -> None:
    """What comes with it leaves."""
    fed: list[int] = []

    def feed(text: str) -> list[Any]:
        fed.append(len(text))
        return [] if len(fed) == 1 else ["a", END]

    assert at_once(sliced(feed, BIG * 2)) == ["a", END]
    assert fed == [SLICE_CHARS] * 2


@pytest.mark.parametrize("without", ["asyncio", "trio", ""])
def test_without_an_event_loop_there_is_nobody_to_give_way_to(monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    """Whichever library is there."""
    monkeypatch.delitem(sys.modules, without, raising=False)
    with pytest.raises(StopIteration):
        give_way().send(None)
