"""Passages through a pipeline, and the text around documents, fact by fact: what mutants of them showed that nothing had stated."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.hold import Hold
from streamfilter.items import PLAIN, Channel, End, Item, TextDelta
from streamfilter.machine import Machine
from streamfilter.parsing.passage import Outlet, Passage, Token, _cut, escaped


def units_of(tokens: Sequence[Token]) -> list[Token]:
    """One for each character."""
    return [unit for token in tokens for unit in ([token] if token.raw is not None else map(Token, token.text))]


def joined(units: Sequence[Token]) -> list[Token]:
    """As a parser tells them: plain ones that follow one another are one."""
    out: list[Token] = []
    for plain, group in itertools.groupby(units, lambda unit: unit.raw is None):
        same = list(group)
        out += [Token("".join(unit.text for unit in same))] if plain else same
    return out


def said_by(hold: Hold) -> str:
    """All text that has been released."""
    return "".join(item.text if isinstance(item, TextDelta) else str(item) for item in hold.out)


def test_tokens_are_cut_where_something_is_pinned() -> None:
    """In text at the place itself, of an escape behind it, once, however many places are in it; nothing is lost or comes twice."""
    rng = random.Random(7)
    kinds = [Token("é", r"\u00e9"), Token("\n", r"\n"), Token("a"), Token("bcd")]
    for _ in range(400):
        tokens = [rng.choice(kinds) for _ in range(rng.randint(0, 4))]
        begin = rng.randint(0, 3)
        length = sum(token.chars for token in tokens)
        places = sorted(rng.sample(range(begin + length + 3), min(rng.randint(0, 6), begin + length)))
        want: list[list[Token]] = [[]]
        at = begin
        for unit in units_of(tokens):
            want[-1].append(unit)
            if any(at < place <= at + unit.chars for place in places):
                want.append([])
            at += unit.chars
        parts = [list(part) for part in _cut(tokens, begin, places)]
        assert all(token.text for part in parts for token in part)
        assert [units_of(part) for part in parts] == [part for part in want if part]


class Scripted(Machine):
    """Gives a text, so much of it for each number of characters that have come; events at once, or at the end.

    Args:
        text: all that it gives.
        ready: how much of it has left when so many characters have come, the last at the end.
        is_quick: whether events pass at once, as when all before them is decided.
    """

    def __init__(self, text: str, ready: Sequence[int], *, is_quick: bool, channel: Channel) -> None:
        self._text, self._ready, self._is_quick, self._channel = text, ready, is_quick, channel
        self.came = self.left = 0
        self.fed: list[str] = []
        self._events: list[Item] = []

    def feed(self, item: Any) -> Sequence[Item]:
        if not isinstance(item, str | TextDelta):
            if self._is_quick:
                return [item]
            self._events.append(item)
            return ()
        text = item.text if isinstance(item, TextDelta) else item
        assert (type(item) is TextDelta) is (self._channel is not PLAIN)
        self.fed.append(text)
        self.came += len(text)
        return self._up_to(self._ready[self.came])

    def finish(self) -> Sequence[Item]:
        return [*self._up_to(len(self._text)), *self._events]

    def _up_to(self, end: int) -> Sequence[Item]:
        piece, self.left = self._text[self.left : end], max(end, self.left)
        return [] if not piece else [TextDelta(piece, self._channel) if self._channel is not PLAIN else piece]


UNITS = [Token("a"), Token("b"), Token("a", r"\u0061"), Token("b", r"\u0062"), Token("\n", r"\n"), Token("é")]


def drawn(rng: random.Random) -> tuple[list[Token], str, list[int]]:
    """A text in units, what comes of it, and when: much of it as it was, some of it changed, deleted, doubled, early or late."""
    units = [rng.choice(UNITS) for _ in range(rng.randint(0, 8))]
    said = "".join(unit.text for unit in units)
    at = rng.randint(0, len(said))
    change = rng.choice(["", "", "a", "\n", '"', said[at - 1 : at]])
    text = said[:at] + change + said[rng.choice([at, at, at + 1]) :] if rng.random() < 0.6 else said
    ready, left = [0], 0
    for came in range(1, len(said) + 1):
        left = max(left, min(len(text), came + rng.choice([-2, -1, 0, 0, 0, 0, 1, 2])))
        ready.append(left)
    return units, text, ready


def spelling(units: Sequence[Token], text: str, ready: Sequence[int]) -> list[str]:
    """Unit by unit: as it came, if all up to it is what went in and it did not come out before it went in; else anew."""
    said = "".join(unit.text for unit in units)
    return [
        (units[n].raw or units[n].text) if text[: n + 1] == said[: n + 1] and ready[n] <= n else escaped(text[n])
        for n in range(len(text))
    ]


@pytest.mark.parametrize("is_quick", [True, False])
@pytest.mark.parametrize("channel", [PLAIN, Channel("answer", (0, 0))])
def test_what_comes_out_as_it_went_in_keeps_its_spelling(is_quick: bool, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the first change, and but for what came out before it went in; at once, at every cut, in any channel."""
    for seed in range(600):
        rng = random.Random(seed)
        units, text, ready = drawn(rng)
        written = "".join(unit.raw or unit.text for unit in units)
        want = spelling(units, text, ready)
        monkeypatch.setattr("streamfilter.parsing.passage.MARK_CHARS", rng.choice([1, 3, 64]))
        hold = Hold(channel)
        outlet = Outlet(hold)
        machine = Scripted(text, ready, is_quick=is_quick, channel=channel)
        passage = Passage(machine, outlet)
        at = 0
        while at < len(units):
            size = rng.randint(1, 4)
            part = units[at : at + size]
            at += size
            raw = "".join(unit.raw or unit.text for unit in part)
            hold.append(raw if channel is PLAIN else TextDelta(raw, channel), raw)
            passage.feed(joined(part))
            outlet.settle()
            assert said_by(hold) == "".join(want[: machine.left])
            if text.startswith("".join(unit.text for unit in units)) and all(left <= came for came, left in enumerate(ready)):
                waiting = units[machine.left : machine.came]
                assert len(outlet) == passage.held == sum(unit.chars for unit in waiting) or is_quick
        passage.finish()
        outlet.settle()
        assert said_by(hold) == "".join(want), (units, text, ready)
        assert (len(outlet), passage.held, passage.done) == (0, 0, None)
        assert "".join(machine.fed) == "".join(unit.text for unit in units)
        assert all(machine.fed) if units else machine.fed == [""]
        assert hold.offset == len(written)


def test_a_pipeline_is_fed_at_escapes() -> None:
    """Of which must be known whether they had come out before; what is plain goes with what is before it."""
    hold = Hold()
    hold.append(written := r"ab\u0061cd\n\u0062", written)
    machine = Scripted("", [0] * 9, is_quick=True, channel=PLAIN)
    tokens = [Token("ab"), Token("a", r"\u0061"), Token("cd"), Token("\n", r"\n"), Token("b", r"\u0062")]
    Passage(machine, Outlet(hold)).feed(tokens)
    assert machine.fed == ["ab", "acd", "\n", "b"]


def test_a_long_text_that_is_as_it_was_keeps_its_spelling() -> None:
    """However long, at every size of pieces; also where it comes out late, or is held for long."""
    units = [UNITS[n % 7 % 6] for n in range(3000)]
    said = "".join(unit.text for unit in units)
    written = "".join(unit.raw or unit.text for unit in units)
    for (late, is_quick), size in itertools.product([(0, True), (0, False), (7, False), (2500, False)], (1, 50, 1000, 3000)):
        hold = Hold()
        outlet = Outlet(hold)
        passage = Passage(Scripted(said, [max(0, n - late) for n in range(3001)], is_quick=is_quick, channel=PLAIN), outlet)
        for at in range(0, 3000, size):
            raw = "".join(unit.raw or unit.text for unit in units[at : at + size])
            hold.append(raw, raw)
            passage.feed(joined(units[at : at + size]))
        passage.finish()
        outlet.settle()
        assert said_by(hold) == written


def test_what_a_pipeline_holds_for_a_while_keeps_its_spelling() -> None:
    """However long the text: what has come out is not counted as deleted."""
    units = [UNITS[0], *[UNITS[1 + 2 * (n % 3 == 0)] for n in range(69)]] * 30
    for size in (35, 70, 71, 350):
        hold = Hold()
        outlet = Outlet(hold)
        passage = Passage(sf.Redact("ab*c").machine(), outlet)
        for at in range(0, len(units), size):
            raw = "".join(unit.raw or unit.text for unit in units[at : at + size])
            hold.append(raw, raw)
            passage.feed(joined(units[at : at + size]))
        passage.finish()
        outlet.settle()
        assert said_by(hold) == "".join(unit.raw or unit.text for unit in units)


def test_what_comes_out_early_twice_is_waited_for() -> None:
    """All of it, bit by bit; what then comes in time keeps its spelling again."""
    units = [*map(Token, "abab"), Token("b", r"\u0062")]
    hold = Hold()
    outlet = Outlet(hold)
    passage = Passage(Scripted("ababb", [0, 3, 4, 4, 4, 5], is_quick=True, channel=PLAIN), outlet)
    for unit in units:
        hold.append(raw := unit.raw or unit.text, raw)
        passage.feed([unit])
    outlet.settle()
    assert said_by(hold) == r"abab\u0062"


class Over(Machine):
    """Ends with the first text."""

    def feed(self, item: Any) -> Sequence[Item]:
        assert not self.ended
        self.ended = True
        return ["#", End("stop")]


def test_a_pipeline_that_has_ended_is_not_fed() -> None:
    """Nor asked what it has decided, and what is behind the end does not leave."""
    for pinned in (False, True):
        hold = Hold()
        outlet = Outlet(hold)
        passage = Passage(Over(), outlet)
        for raw in ("ab" * 50, "cd"):
            hold.append(raw, raw)
            if pinned:
                hold.pin(sf.Usage(1))
            passage.feed([Token(raw)])
        assert passage.done == End("stop")
        passage.finish()
        outlet.settle()
        assert said_by(hold) == "#"


@pytest.mark.parametrize("is_long", [False, True])
def test_events_keep_their_place_in_a_passage(is_long: bool) -> None:
    """What stands in text that is replaced comes right behind it, all else where it was; however much is read at once."""
    for seed in range(300):
        rng = random.Random(seed)
        hold = Hold(offset=5)
        out: list[Item] = []
        outlet = Outlet(hold)
        passage = Passage(sf.Redact("ab+a", to="#").machine(), outlet)
        said = ""
        places: list[int] = []
        for _ in range(rng.randint(1, 5)):
            fed: list[Token] = []
            for _ in range(rng.randint(1, 3)):
                part = [rng.choice(UNITS[:4]) for _ in range(rng.randint(1, 90 if is_long else 3))]
                raw = "".join(unit.raw or unit.text for unit in part)
                hold.append(raw, raw)
                fed += part
                said += "".join(unit.text for unit in part)
                if rng.random() < 0.5:
                    hold.pin(sf.Usage(len(places)))
                    places.append(len(said))
            passage.feed(joined(fed))
            outlet.settle()
            out, hold.out = out + hold.out, []
        passage.finish()
        outlet.settle()
        out += hold.out
        spans = [found.span() for found in re.finditer("ab+a", said)]
        behind = [next((end for begin, end in spans if begin < place < end), place) for place in places]
        pieces: list[Any] = []
        for at in range(len(said) + 1):
            if any(end == at for _, end in spans):
                pieces.append("#")
            pieces += [sf.Usage(n) for n, place in enumerate(behind) if place == at]
            if at < len(said) and not any(begin <= at < end for begin, end in spans):
                pieces.append(said[at])
        assert told(out) == told(pieces)


def told(items: Sequence[Any]) -> list[Any]:
    """Texts joined, as they are meant, and events."""
    joined_up: list[Any] = []
    for is_text, group in itertools.groupby(items, lambda item: isinstance(item, str)):
        same = list(group)
        joined_up += ["".join(same).replace("\\u0061", "a").replace("\\u0062", "b")] if is_text else same
    return joined_up
