"""Machines, chains of them and lifting, fact by fact: what mutants of them showed that nothing else had stated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.chain import Chain
from streamfilter.items import Item
from streamfilter.lift import Lift
from streamfilter.machine import Machine, TextMachine, mapping, refusal, wrong_item
from streamfilter.testing import Mark

ONE, TWO = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
END = sf.End("stop")


class Scripted(Machine):
    """Gives for an item what a table says, else the item; gives some things when it is finished or asked; writes down what it is told."""

    def __init__(self, log: list[Any], name: str, table: dict[str, list[Any]] | None = None, *later: Sequence[Any]) -> None:
        self.log, self.name, self.table, self.later = log, name, table or {}, list(later)

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        return bool(self.later)

    def feed(self, item: Any) -> Sequence[Any]:
        self.log.append((self.name, item))
        given = self.table.get(item, [item]) if isinstance(item, str) else [item]
        self.ended = self.ended or sf.End in map(type, given)
        return given

    def finish(self) -> Sequence[Any]:
        self.log.append((self.name, "finish"))
        return ()

    def collect(self) -> Sequence[Any]:
        self.log.append((self.name, "collect"))
        return self.later.pop(0) if self.later else ()

    def drain(self, item: Item) -> Sequence[Item]:
        self.log.append((self.name, "drain", item))
        return super().drain(item)

    def rescue(self) -> Sequence[Item]:
        self.log.append((self.name, "rescue"))
        return [sf.Usage(self.name)]


# ------------------------------------------------------------------ chains


def test_usage_that_waits_where_the_stream_is_ended_behind_it_leaves_before_the_end() -> None:
    """Whether the machine in front has given one item or several, and by whichever machine the stream is ended."""
    for given in (["END"], ["a", "END"], ["a", "END", "b"]):
        for ending in (1, 2):
            log: list[Any] = []
            machines = [Scripted(log, str(n), {"go": given} if n == 0 else {"END": [END]} if n == ending else {}) for n in range(3)]
            assert Chain(machines).feed("go") == [*given[: given.index("END")], *map(sf.Usage, "012"[:ending]), END]


def test_what_comes_too_late_is_gone_unless_it_is_to_be_drained() -> None:
    """Usage too."""
    assert Chain([Scripted([], "a", {"go": ["END", sf.Usage(1)]}), Scripted([], "b", {"END": [END]})]).feed("go") == [
        sf.Usage("a"),
        END,
    ]


@pytest.mark.parametrize("drains", [True, False])
def test_what_comes_too_late_is_drained_if_at_all(drains: bool) -> None:
    """All of it that is behind the end, item by item, through the machine that gave that; only usage passes."""
    log: list[Any] = []
    usage = sf.Usage(1)
    first, second = Scripted(log, "a", {"go": ["x", "END", usage, "y"]}), Scripted(log, "b", {"END": ["z", END]})
    out = Chain([first, second], drains=drains).feed("go")
    assert out == ["x", "z", *([usage] if drains else []), sf.Usage("a"), END]
    assert [entry[2:] for entry in log if entry[:2] == ("b", "drain")] == [
        *([(usage,), ("y",)] if drains else []),
        (sf.Usage("a"),),
    ]


def test_a_chain_is_finished_one_machine_after_the_other() -> None:
    """Each when all before it are over; until then it is asked what it has, and fed what those give."""
    log: list[Any] = []
    chain = Chain([Scripted(log, "a"), Scripted(log, "b", None, ["1"], ["2"]), Scripted(log, "c"), Scripted(log, "d")])
    assert (chain.finish(), log) == ([], [("a", "finish"), ("b", "finish"), ("c", "collect"), ("d", "collect")])
    assert chain.is_pending
    for given in ("1", "2"):
        log.clear()
        assert chain.collect() == [given]
        end = ["finish", "finish"] if given == "2" else ["collect", "collect"]
        assert log == [("a", "collect"), ("b", "collect"), ("c", given), ("c", end[0]), ("d", given), ("d", end[1])]
    assert not chain.is_pending
    log.clear()
    assert (chain.collect(), [entry[1] for entry in log]) == ([], ["collect"] * 4)


def test_what_stands_before_the_machine_that_ended_the_stream_is_not_finished() -> None:
    """What that still holds dies; those behind go on as ever."""
    for ending in (0, 1, 2):
        log: list[Any] = []
        chain = Chain([Scripted(log, str(n), {"END": [END]} if n == ending else {}) for n in range(3)])
        chain.feed("END")
        log.clear()
        assert chain.finish() == []
        assert log == [(str(n), "finish") for n in range(ending, 3)]


def test_a_stream_that_ends_by_itself_saves_usage_too() -> None:
    """When a machine ends it at something that has come by itself; what it gives last comes before the end."""
    log: list[Any] = []
    first, second = Scripted(log, "a", None, ["x", "END"]), Scripted(log, "b", {"END": [END]})
    assert Chain([first, second, Scripted(log, "c")]).collect() == ["x", sf.Usage("a"), END]
    second = Scripted(log, "b", {"END": [END]}, ["late"])
    assert Chain([Scripted(log, "a", None, ["x", "END"]), second]).collect() == ["x", "late", sf.Usage("a"), END]


def test_what_is_rescued_goes_on_as_after_the_end() -> None:
    """What those in front rescue is drained by those behind; one that has ended the stream has nothing to rescue."""
    log: list[Any] = []
    machines = [Scripted(log, name) for name in "abc"]
    machines[1].ended = True
    assert Chain(machines).rescue() == [sf.Usage("a"), sf.Usage("c")]
    a, c = sf.Usage("a"), sf.Usage("c")
    assert log == [("a", "rescue"), ("b", "drain", a), ("c", "drain", a), ("c", "rescue")]
    assert c not in [entry[-1] for entry in log]


def test_a_chain_is_what_its_machines_are() -> None:
    """It waits, is full and pends if one of them does; slices are taken by all or by none."""
    for waits, slices, full in ((True, True, False), (False, True, True), (False, False, False)):
        one, other = Machine(), Machine()
        one.waits, one.takes_slices, other.takes_slices, one.is_full = waits, True, slices, full
        for machines in ([one, other], [other, one]):
            chain = Chain(machines)
            assert (chain.waits, chain.takes_slices, chain.is_full, chain.is_pending) == (waits, slices, full, False)


def test_what_looks_like_the_end_of_an_iterator_is_an_error_with_its_cause() -> None:
    """Any other error is the end as it is."""
    for error in (StopIteration(1), StopAsyncIteration()):
        end = refusal(error)
        assert end.reason == "error"
        assert isinstance(end.error, RuntimeError)
        assert str(end.error) == f"a function in the pipeline raised {type(error).__name__}"
        assert end.error.__cause__ is error
    problem = ValueError("x")
    assert refusal(problem) == sf.End("error", problem)
    assert refusal(problem).error is problem


class _Inner:
    pass


def test_what_is_no_text_is_named_with_what_would_be_right() -> None:
    """By its package, not by the module in it."""
    read = "read a provider's stream with sf.text_of(source), or keep its chunks with providers.openai.chat.wrap(pipeline)"
    decode = "decode text with codecs.getincrementaldecoder, or read a provider's stream with sf.text_of(source)"
    inner = type("Inner", (), {"__module__": "shop.parts.small", "__qualname__": "Outer.Inner"})()
    for item, name, hint in (
        (None, "NoneType", "skip empty pieces in the source"),
        (b"x", "bytes", decode),
        (bytearray(), "bytearray", decode),
        (memoryview(b""), "memoryview", decode),
        (3, "int", read),
        (inner, "shop.Outer.Inner", read),
    ):
        assert wrong_item("Redact", item) == f"Redact was fed {name} where text is expected: {hint}"


def test_a_text_machine_releases_what_it_is_not_told_to_decide() -> None:
    """At the end of a run it leaves unchanged; without `feed` it says what is missing."""

    class Waiting(TextMachine):
        def feed(self, text: str) -> None:
            pass

    lift = Lift(Waiting, "Waiting")
    assert (lift.feed("ab"), lift.feed("c"), lift.held, lift.finish(), lift.held) == ([], [], 3, ["abc"], 0)

    class Bare(TextMachine):
        pass

    with pytest.raises(NotImplementedError, match=r"^Bare\.feed is missing: decide there what may leave the hold$"):
        Bare().feed("x")


def test_a_machine_whose_steps_would_never_run_is_refused_where_it_is_written() -> None:
    """Calling a generator or a coroutine function runs nothing of it: all text would pass a text machine as it came."""

    def generating(self: TextMachine, text: str = "") -> Any:
        yield text

    async def waiting(self: TextMachine, text: str = "") -> None: ...

    async def both(self: TextMachine, text: str = "") -> Any:
        yield text

    for function in (generating, waiting, both):
        for step in ("feed", "finish", "collect"):
            with pytest.raises(TypeError, match=rf"^Wrong\.{step} is a generator or async, .*hold\.keep and hold\.replace$"):
                type("Wrong", (TextMachine,), {step: function})
            with pytest.raises(TypeError, match=rf"^Wrong\.{step} is a generator or async, .*gives a list of items$"):
                type("Wrong", (Machine,), {step: function})
    type("Right", (TextMachine,), {"feed": lambda _self, _text: None, "pieces": generating})


# ------------------------------------------------------------------ lifting


def fed(machine: Machine, *items: Any) -> list[Any]:
    """What a machine gives for some items, one after the other."""
    return [out for item in items for out in machine.feed(item)]


def test_a_function_of_each_piece_keeps_what_the_piece_stands_on() -> None:
    """Its channel and its origin; what it leaves as it is leaves as it came, and what becomes nothing is gone."""
    lift = Lift(lambda: mapping({"a": "b", "c": "c", "d": ""}.__getitem__), "Map")
    changed, same = sf.TextDelta("a", ONE, "chunk 1"), sf.TextDelta("c", ONE, "chunk 2")
    (made,) = lift.feed(changed)
    assert isinstance(made, sf.TextDelta)
    assert (made.text, made.channel, made.origin) == ("b", ONE, "chunk 1")
    assert lift.feed(same)[0] is same
    assert fed(lift, "a", "c", "d", sf.TextDelta("d", ONE)) == ["b", "c"]
    (end,) = lift.feed("x")
    assert isinstance(end, sf.End)
    assert isinstance(end.error, KeyError)


def test_a_function_that_gives_no_text_is_named() -> None:
    """With what it gave."""
    (end,) = Lift(lambda: mapping(len), "Count").feed("x")  # type: ignore[arg-type]
    assert isinstance(end, sf.End)
    assert str(end.error) == "the function of Count gave int: a str is needed"


def test_a_boundary_ends_its_channel_and_no_other() -> None:
    """Of plain text too, also where there are choices, and in channels that share a choice or have none."""
    other, bare = sf.Channel("answer", (0, 0, 1)), sf.Channel("answer", (0,))
    channels = [sf.PLAIN, ONE, other, TWO, bare] if hasattr(sf, "PLAIN") else [sf.Channel(), ONE, other, TWO, bare]
    for ended in channels:
        lift = Lift(sf.Redact("ab", to="#").start, "Redact")
        assert fed(lift, *(sf.TextDelta("a", channel) for channel in channels)) == []
        boundary = Mark(scope=ended, boundary=True)
        assert lift.feed(boundary) == [sf.TextDelta("a", ended), boundary]
        out = fed(lift, *(sf.TextDelta("b", channel) for channel in channels))
        assert out == [sf.TextDelta("b" if channel == ended else "#", channel) for channel in channels]


def test_a_barrier_ends_what_is_under_it() -> None:
    """In the order in which the runs began."""
    bare, other = sf.Channel("answer", (0,)), sf.Channel("answer", (1, 0))
    channels = [TWO, bare, sf.Channel(), ONE, other]
    for scope, under in (
        ((), channels),
        ((0,), [TWO, bare, ONE]),
        ((0, 0), [ONE]),
        ((1,), [other]),
        ((0, 7), []),
        ((0, 0, 1), []),
    ):
        lift = Lift(sf.Redact("ab", to="#").start, "Redact")
        assert fed(lift, *(sf.TextDelta("a", channel) for channel in channels)) == []
        barrier = Mark(scope=scope)
        assert lift.feed(barrier) == [*(sf.TextDelta("a", channel) for channel in under), barrier]


def test_an_end_is_the_last_that_is_taken() -> None:
    """Nothing is held then, and finishing gives nothing."""
    lift = Lift(sf.Redact("ab", to="#").start, "Redact")
    assert (fed(lift, "a", END), lift.ended, lift.held, lift.finish()) == (["a", END], True, 0, ())
    broken = sf.End("error", sf.MalformedInput("broken", 0))
    lift = Lift(sf.Redact("ab", to="#").start, "Redact")
    usage = sf.Usage(1)
    assert (fed(lift, "a", usage, broken), lift.ended, lift.held) == ([usage, broken], True, 0)


def stopping(**options: Any) -> Lift:
    """A lift that stops a choice at `X`."""
    return Lift(sf.StopAt("X", "ab").start, "StopAt", **options)


def test_all_choices_must_be_over_when_one_has_been_stopped() -> None:
    """Stopped or finished, each once."""
    finish = [sf.Finish("length", scope=(0, n)) for n in range(4)]
    texts = [sf.TextDelta("t", sf.Channel("answer", (0, n))) for n in range(4)]
    stop = sf.TextDelta("X", sf.Channel("answer", (0, 2)))
    lift = stopping()
    assert fed(lift, *texts, *finish[:2]) == [*texts, *finish[:2]]
    assert lift.feed(stop) == [sf.Finish("stop", scope=(0, 2))]
    assert lift.feed(finish[3]) == [finish[3], END]
    assert lift.ended
    lift = stopping()
    assert fed(lift, *texts[:3], *finish[:2], stop) == [*texts[:3], *finish[:2], sf.Finish("stop", scope=(0, 2)), END]
    assert stopping().feed(stop) == [sf.Finish("stop", scope=(0, 2)), END]  # one, unless more were announced
    lift = stopping(choices=4)
    assert fed(lift, *texts[:3], *finish[:2], stop)[-1] == sf.Finish("stop", scope=(0, 2))
    lift = stopping()
    assert fed(lift, *texts[:2], *finish[:2]) == [*texts[:2], *finish[:2]]  # nobody was stopped: the source says when it is over


def test_usage_that_waits_in_a_stopped_choice_leaves_with_the_stop() -> None:
    """In whatever channel of it, and nothing else of that does; what waits in others stays."""
    other = sf.Channel("answer", (0, 0, 1))
    usage = [sf.Usage(n, scope=scope) for n, scope in enumerate((ONE, other, other, TWO))]
    lift = stopping()
    marks = [Mark(scope=ONE), Mark(scope=other)]
    held = [sf.TextDelta("a", channel) for channel in (ONE, other, TWO)]
    assert fed(lift, *held, *usage, *marks) == []
    assert lift.held == 3
    out = lift.feed(sf.TextDelta("-X", ONE))
    assert out[:2] == [sf.TextDelta("a", ONE), usage[0]]
    assert [item for item in out if isinstance(item, sf.Usage)] == usage[:3]
    assert sf.Finish("stop", scope=(0, 0)) in out
    assert lift.held == 1
    late = sf.Usage(9, scope=other)
    assert fed(lift, sf.TextDelta("b", other), Mark(scope=other), late, Mark(scope=(0, 0))) == [late]
    assert lift.feed(sf.TextDelta("-", TWO)) == [sf.TextDelta("a", TWO), usage[3], sf.TextDelta("-", TWO)]


class Late(TextMachine):
    """Finds at the end of its run that a `-` in it was the end, of this choice or of all."""

    def feed(self, text: str) -> None:
        pass

    def finish(self) -> None:
        end = self.hold.text.find("-")
        self.hold.keep(end if end >= 0 else len(self.hold))
        self.done = None if end < 0 else sf.Finish("stop")


def test_a_stop_that_is_found_when_a_run_ends_swallows_the_barrier() -> None:
    """Only usage survives it, and a barrier over everything."""
    found = [sf.TextDelta("a", ONE), sf.Finish("stop", scope=(0, 0))]
    usage, everything = sf.Usage(1, scope=(0, 0)), Mark(scope=())
    for event, left in (
        (Mark(scope=(0, 0)), []),
        (Mark(scope=ONE, boundary=True), []),
        (usage, [usage]),
        (sf.Finish("length", scope=(0, 0)), []),
        (everything, [sf.TextDelta("t", TWO), everything]),
    ):
        lift = Lift(Late, "Late")
        assert fed(lift, sf.TextDelta("a-b", ONE), sf.TextDelta("t", TWO)) == []
        assert lift.feed(event) == [*found, *left]


def test_plain_text_that_was_stopped_is_over() -> None:
    """Its channel has no choice: what comes later in it is gone; a choice of its own goes on."""
    lift = stopping(choices=2)
    assert fed(lift, "aX", "b", sf.TextDelta("c")) == ["a"]
    assert lift.feed(sf.TextDelta("d", ONE)) == [sf.TextDelta("d", ONE)]
    lift = stopping(choices=3)
    assert fed(lift, "a-", sf.TextDelta("X", ONE), "b") == ["a-", sf.Finish("stop", scope=(0, 0)), "b"]


class Piece(sf.TextDelta):
    """A delta of somebody's own."""

    __slots__ = ()


class Seeing(TextMachine):
    """Releases all but the last character, and writes down what it sees and where."""

    context = 2

    def __init__(self, log: list[tuple[int, str, str]]) -> None:
        self.log = log

    def feed(self, text: str) -> None:
        if "!" in text:
            raise KeyError
        self.log.append((self.hold.offset, self.hold.buf[max(0, self.hold.pos - 2) : self.hold.pos], self.hold.text))
        self.hold.keep(len(self.hold) - 1)


def test_a_machine_sees_what_it_holds_and_some_of_what_it_has_released() -> None:
    """With the place of it in the channel, over runs; an error of its own ends the stream."""
    log: list[tuple[int, str, str]] = []
    lift = Lift(lambda: Seeing(log), "Seeing")
    boundary = Mark(boundary=True)
    assert fed(lift, "abc", "de", boundary, "fg", "h") == ["ab", "cd", "e", boundary, "f", "g"]
    assert log == [(0, "", "abc"), (2, "ab", "cde"), (5, "", "fg"), (6, "f", "gh")]
    (end,) = lift.feed("!")
    assert isinstance(end, sf.End)
    assert isinstance(end.error, KeyError)


def test_places_are_counted_where_nothing_stays() -> None:
    """Piece by piece."""
    stage = sf.Redact("ab")
    with stage.iter(["xx", "xxx", "y", "ab", "z", "ab"]) as stream:
        list(stream)
    assert [(found.start, found.end) for found in stream.report.findings] == [(6, 8), (9, 11)]


def test_a_delta_without_text_keeps_its_place() -> None:
    """It passes where nothing is held, else it is gone; what is inserted behind it is a delta too."""
    lift = Lift(sf.Redact("ab", to="#").start, "Redact")
    empty = sf.TextDelta("", ONE, "chunk")
    assert lift.feed(empty)[0] is empty
    assert fed(lift, sf.TextDelta("a", ONE), empty, sf.TextDelta("c", ONE)) == [sf.TextDelta("a", ONE), sf.TextDelta("c", ONE)]

    class Adding(TextMachine):
        def feed(self, text: str) -> None:
            pass

        def finish(self) -> None:
            self.hold.replace(0, "+")

    lift = Lift(Adding, "Adding")
    (passed, made) = [*lift.feed(empty), *lift.finish()]
    assert passed is empty
    assert isinstance(made, sf.TextDelta)
    assert (made.text, made.channel, made.origin) == ("+", ONE, "chunk")


def test_a_delta_of_ones_own_is_a_delta() -> None:
    """With its channel and its origin."""
    out = fed(Lift(sf.Redact("ab", to="#").start, "Redact"), Piece("xa", ONE, "1"), Piece("b", ONE, "2"), Piece("y", ONE, "3"))
    assert [(item.text, item.channel, item.origin) for item in out] == [("x", ONE, "1"), ("#", ONE, "1"), ("y", ONE, "3")]


def test_arguments_of_tool_calls_may_have_a_machine_of_their_own() -> None:
    """Where they are read at all; other channels have the other."""
    call = sf.Channel("tool_arguments", (0, 0, 1))
    lift = Lift(lambda: mapping(str.upper), "Map", kinds=None, spares=(), arguments=lambda: mapping(str.title))
    assert fed(lift, sf.TextDelta("ab", call), sf.TextDelta("ab", ONE)) == [sf.TextDelta("Ab", call), sf.TextDelta("AB", ONE)]
    lift = Lift(lambda: mapping(str.upper), "Map", kinds=None)
    assert fed(lift, sf.TextDelta("ab", call), sf.TextDelta("ab", ONE)) == [sf.TextDelta("ab", call), sf.TextDelta("AB", ONE)]


def test_what_is_left_in_the_hold_is_told_without_its_text() -> None:
    """By the machine and the stage, with what to do."""

    class Leaving(Late):
        def finish(self) -> None:
            pass

    (end,) = fed(Lift(Leaving, "Leave"), "secret", Mark(scope=()))
    assert isinstance(end, sf.End)
    assert str(end.error) == "Leaving.finish() of Leave left 6 characters in the hold: keep or replace them"


@pytest.mark.parametrize("context", [0, 2])
def test_what_has_all_left_is_counted_and_seen_as_far_as_it_is_wanted(context: int) -> None:
    """Piece by piece, where nothing is held."""
    log: list[tuple[int, str]] = []

    class Passing(TextMachine):
        def feed(self, text: str) -> None:
            log.append((self.hold.offset, self.hold.buf[: self.hold.pos][-2:]))
            self.hold.keep(len(self.hold))

    Passing.context = context
    assert fed(Lift(Passing, "Passing"), "abc", "d", "ef", "g") == ["abc", "d", "ef", "g"]
    assert log == [(0, ""), (3, "bc" if context else ""), (4, "cd" if context else ""), (6, "ef" if context else "")]
