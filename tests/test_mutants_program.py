"""What an automaton is made of, fact by fact, quickly: what mutants of it showed that nothing else had stated in a second."""

from __future__ import annotations

import itertools
from typing import Any

import fuzz_matching
import pytest
import regex

from streamfilter.matching import Rule, cache, folding, program
from streamfilter.matching.alphabet import Alphabet, Numbers
from streamfilter.matching.automaton import Automaton
from streamfilter.matching.cache import Cache
from streamfilter.matching.program import Program
from streamfilter.matching.regular import EMPTY, NotRegularError, Words, lower
from streamfilter.matching.syntax import parse


def programmed(pattern: str) -> Program:
    """A pattern alone."""
    return Program(lower(parse(pattern)), Numbers(), Cache())


@pytest.mark.parametrize(
    ("pattern", "nodes"),
    [
        ("", 1), ("aaaa", 5), ("ab|cb", 5), ("a{3}", 4), ("(?:a|b){2}", 7), ("a*", 3), ("a+", 3), ("a?", 3), ("a{2,4}", 7), ("a{2,}", 4),
        ("(?=ab)c|(?=ab)d", 8), ("(?<=a)b|(?<=a)c", 8), ("^a", 3),
    ],
)  # fmt: skip
def test_equal_nodes_are_one(pattern: str, nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many a pattern has, the last one among them; so many are taken, and not one more."""
    assert len(programmed(pattern)._nodes) == nodes
    monkeypatch.setattr(program, "MAX_NODES", nodes)
    programmed(pattern)
    monkeypatch.setattr(program, "MAX_NODES", nodes - 1)
    with pytest.raises(NotRegularError, match=rf"^its repeats, written out, have more than {nodes - 1} characters$"):
        programmed(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=(?:b|a|a)c)b",
        "(?!(?:c|b|a|b|a)c)[ab]",
        "(?<=(?:b|a|a)c)b",
        "b(?=(?:ab?|c|ab?)b?c)",
        "a(?:^|b)|c^",
        "(?:^|a)(?:b|^)c",
        "(?:a|a|c)b",
        "(?=|a)b",
        "(?!|a)b|c",
        "(?<=|a)b",
        "(?<!|a)b|a",
        "b(?!)|c",
        "a(?<!^|b)b?",
        "(?:ab|b|a|ab|c)c?(?=a|a|c)",
    ],
)
def test_branches_that_are_alike_or_lead_nowhere(pattern: str) -> None:
    """All texts of up to five letters, by each letter."""
    engine = Automaton([(0, Rule("r", pattern))])
    for chars in range(6):
        for letters in itertools.product("abc", repeat=chars):
            text = "".join(letters)
            assert fuzz_matching.through(engine, list(text) or [""]) == regex.sub(pattern, "<0>", text), text


FLAGGED = [
    "(?m:(?-m:^a)|b$)", "(?m)b(?-m:$)|(?-m)^a", "(?i:^a)|b(?-i:$)", "(?i)^a|b$",
    "a(?i)b", "(?:a(?i)b)b", "(a(?i)b)b", "(?=a(?i)b)(?i:a)b", "(?s:.)b.", "((?s).)b.", "(?i-s:a.)b", "(?s)(?-s:.)b.", "(?s)(?-s:a)(?-s).b",
    "(?i)(?-i:a)b", "(?i)(?-i)ab", "(?i:(?-i:a)b)a", "(?s:a(?-s:.).)", "(?:(?s).)(?<=.)b", "a(?i:(?:b|a)(?-i)b)", "(?m:^)a(?m:$)", "(?is:.b)|.a",
    "(?<=(?i)a)b", "(?!(?s).)a|b(?!.)", r"(?i:\n)(?s).|(?-i:b)",
]  # fmt: skip


@pytest.mark.parametrize("pattern", FLAGGED)
def test_flags_hold_for_as_far_as_they_do(pattern: str) -> None:
    """To the end of their group, by the automaton: all texts of up to three letters."""
    engine = Automaton([(0, Rule("r", pattern))])
    for chars in range(4):
        for letters in itertools.product("abAB\n", repeat=chars):
            text = "".join(letters)
            assert fuzz_matching.through(engine, list(text) or [""]) == regex.sub(pattern, "<0>", text), text


def test_ways_that_meet_are_gone_once() -> None:
    """Where each of forty choices has two ways to the same place; `regex` itself would go them all."""
    for pattern in (f"(?={'(?:|)' * 40}a)a", f"(?<={'(?:|)' * 40}a)a?", f"{'(?:|)' * 40}a"):
        assert fuzz_matching.through(Automaton([(0, Rule("r", pattern))]), ["ba", "b"]) == ("ba<0>b" if "<" in pattern else "b<0>b")


def test_a_program_forgets_with_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has worked out is bounded with the rest, and worked out anew."""
    monkeypatch.setattr(cache, "MAX_ENTRIES", 12)
    pattern = "(?<=a[ab])b(?=.c)|(?<!b)c"
    engine = Automaton([(0, Rule("r", pattern))])
    for letters in itertools.product("abc", repeat=5):
        text = "".join(letters)
        assert fuzz_matching.through(engine, list(text)) == regex.sub(pattern, "<0>", text), text
        made = engine.finder.program
        assert len(made._closures) + len(made._lefts) < 24


def test_what_is_known_of_a_character_is_not_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its symbol nor what lookbehinds become with it, whose beginnings do so for all of them."""
    numbers = Numbers()
    made = Program(lower(parse("(?<=a[ab])b")), numbers, Cache())
    alphabet = Alphabet(numbers)
    symbol = alphabet["a"]
    calls: list[object] = []
    step = Program._step_flat

    def stepped(*args: Any) -> frozenset[int]:
        calls.append(args)
        return step(*args)

    monkeypatch.setattr(Alphabet, "_look_up", stepped)
    monkeypatch.setattr(Program, "_step_flat", stepped)
    assert alphabet["a"] is symbol
    assert not calls
    one = made.step_left(made.left, symbol)
    assert len(calls) == 2
    assert made.step_left(made.left, symbol) is one
    assert len(calls) == 2
    assert made.step_left(one, symbol).place.behind == (True,)
    assert len(calls) == 3


def test_words_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs with the same words share their trie; characters that are in none of them are one symbol."""
    shared = folding.trie(("once", "only"))
    monkeypatch.delattr(folding, "Trie")
    assert folding.trie(("once", "only")) is shared
    numbers = Numbers()
    ignoring = folding.Folding(ignore_case=True)
    assert numbers.words(Words(("once", "only"), ignoring, EMPTY, EMPTY)) == 0
    alphabet = Alphabet(numbers)
    assert alphabet["x"] is alphabet["é"]
    assert alphabet["o"] is alphabet["O"]
    assert [alphabet[each].folded for each in "xoN"] == [(None,), ("o",), ("n",)]
