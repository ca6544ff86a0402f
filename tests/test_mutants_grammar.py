"""The grammar of JSON, character by character: what may stand where, what it is called if it may not, and where that is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fuzzing import ways

import streamfilter as sf
from streamfilter.parsing.parser import RUN_CHARS, Parser, Sink
from streamfilter.parsing.tree import Tree

CHARACTERS = [*map(chr, range(128)), "\x85", "\xa0", "é", "\u2028", "\ufeff", "\ud800", "\U0001f600"]
BLANKS = " \t\n\r"
AFTER = "a comma or the end of an {} is missing"


class Whole(Sink):
    """Takes all in one."""

    takes_whole = takes_many = True


@pytest.mark.parametrize("sink", [Sink, Whole])
@pytest.mark.parametrize(
    ("before", "may", "problem"),
    [
        ("", '"-0123456789tfn{[', "a value is missing"),
        ("[", '"-0123456789tfn{[]', "a value is missing"),
        ("[\n[1,", '"-0123456789tfn{[', "a value is missing"),
        ("[{},", '"-0123456789tfn{[', "a value is missing"),
        ('{"a":', '"-0123456789tfn{[', "a value is missing"),
        ("{", '"}', "a key is missing"),
        ('{"a":0,', '"', "a key is missing"),
        ('{"a"', ":", "a colon is missing behind a key"),
        ('{"a" \n ', ":", "a colon is missing behind a key"),
        ("[true", ",]", AFTER.format("array")),
        ('[""', ",]", AFTER.format("array")),
        ('{"a":[]', ",}", AFTER.format("object")),
        ('{"a":null \r\n', ",}", AFTER.format("object")),
    ],
)
def test_only_what_may_stand_at_a_place_does(sink: type[Sink], before: str, may: str, problem: str) -> None:
    """Blanks anywhere; of all else the first character that may not is told, with its place. Nothing hangs."""
    for blanks in ("", " ", "\n\t "):
        start = before + blanks
        for character in CHARACTERS:
            for pieces in ([start + character], [start, character], [*start, character]):
                parser = Parser(sink())
                if character in may or character in BLANKS:
                    assert [parser.feed(piece) for piece in pieces] == [*map(len, pieces)]
                    continue
                with pytest.raises(sf.MalformedInput) as raised:
                    for piece in pieces:
                        parser.feed(piece)
                wrong = raised.value
                assert str(wrong).startswith(problem)
                place = (len(start), start.count("\n") + 1, len(start) - start.rfind("\n"))
                assert (wrong.offset, wrong.line, wrong.column) == place


def test_lines_are_counted_once_also_where_elements_are_taken_together() -> None:
    """Before them, in them and behind them."""
    for elements in (["1"] * RUN_CHARS, ['{"a":\n[1,\n"b"]}'] * 40, ['"a"', "\n2", "\r\n3\n"] * 90):
        for before in ("", "\n\n", " \n", '\n{"a":\n'):
            text = f"{before}[\n{','.join(elements)},\n x"
            assert json.loads(text[len(before) :].removesuffix(",\n x") + "]")
            place = (len(text) - 1, text.count("\n") + 1, len(text) - 1 - text.rfind("\n"))
            for pieces in ways(text, [3, 99, 250]):
                for sink in (Tree(), Whole(), Sink()):
                    parser: Any = Parser(sink)
                    with pytest.raises(sf.MalformedInput) as raised:
                        for piece in pieces:
                            parser.feed(piece)
                    wrong = raised.value
                    assert (wrong.offset, wrong.line, wrong.column) == place
