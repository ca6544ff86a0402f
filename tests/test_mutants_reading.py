"""The search for documents in prose and the value that grows, fact by fact: what mutants of them showed that nothing had stated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fuzzing import ways

import streamfilter as sf
from streamfilter.parsing.parser import Parser
from streamfilter.parsing.scanner import Scanner
from streamfilter.parsing.search import FENCED_CHARS, THOUGHT, Search
from streamfilter.parsing.sink import Limits, Position
from streamfilter.parsing.tree import MISSING, Tree


def found(pieces: list[str], *, opens: str = "{[", limits: Limits | None = None) -> tuple[str, str, bool]:
    """What a search gives for a text in pieces: the prose, what is to be parsed, and whether the text was an empty array."""
    search = Search(opens, limits or Limits())
    prose, rest = "", ""
    for n, piece in enumerate(pieces):
        skipped, candidate = search.feed(piece)
        prose += skipped
        if candidate:
            return prose, candidate + "".join(pieces[n + 1 :]), search.is_empty_array
    while True:
        skipped, rest = search.finish()
        prose += skipped
        if not rest:
            return prose, "", search.is_empty_array
        skipped, candidate = search.feed(rest)
        prose += skipped
        if candidate:
            return prose, candidate, search.is_empty_array


BEGINNINGS = [
    ("", '{"a":1}'),
    ("", '[{"a" :1}]'),
    ("", '{"' + "k" * 100 + '":1}'),
    ("so: ", '{"a":1}'),
    ("{a} and (", "[1]"),
    ("[[[ {x} ", "{}"),
    ("", "[[]]"),
    ('{"a", ', "[true]"),
    ("no document", ""),
    ("[", ""),
    ("{ [ ", ""),
    ('{"a" ', ""),
    ("[ ] todo, [ ] more: ", '{"a":1}'),
    ('<think>{"a":1}</think>', '{"b":1}'),
    ("  \n<think>[1] </thin></think>so: ", "[2]"),
    ("<think>a</think>", '{"b":1}</think>'),
    ("<think>a</think>", "[1]"),
    ("<thin", '{"a":1}'),
    ("<think>a</think><think>", '{"b":1}</think>'),
    ("x<think>", '{"a":1}</think>'),
    ('<think>{"a":1}', ""),
    ('<think>{"a":1}</thi', ""),
    ("<thi", ""),
    ("  <", ""),
]


@pytest.mark.parametrize(("prose", "document"), BEGINNINGS)
def test_where_a_document_begins_does_not_depend_on_the_cuts(prose: str, document: str) -> None:
    """Nor on how much more comes; what a leading thought says is none."""
    for behind in ("", " and more", "\n" * 200):
        text = prose + document + (behind if document else "")
        for pieces in ways(text, [3, 40, 100, 128]):
            assert found(pieces)[:2] == (prose, document + (behind if document else "")), pieces


def test_prose_leaves_at_once() -> None:
    """But for what may become a tag, or a document."""
    begin, end = THOUGHT
    for text, held in (
        ("ab <", 0),
        ("<t", 2),
        (" <t", 2),
        (begin, 0),
        (f"{begin}a", 0),
        (f"{begin}a</thi", 5),
        (f"{begin}{end[:-1]}", 7),
    ):
        for pieces in ([text], list(text)):
            search = Search("{[", Limits())
            assert "".join(search.feed(piece)[0] for piece in pieces) == text[: len(text) - held]


@pytest.mark.parametrize(("opens", "begins"), [("{", '{"b":2}]'), ("[", '[{"b":2}]'), ("{[", '[{"b":2}]')])
def test_only_what_may_open_a_document_does(opens: str, begins: str) -> None:
    """Also in what looks like most documents."""
    for before in ("", "so "):
        for pieces in ways(before + '[{"b":2}]', [60, 128]):
            assert found(pieces, opens=opens)[1] == begins


def test_what_has_not_shown_what_it_is_is_taken_for_a_document_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """At so many characters, and no earlier: until then it may be prose."""
    monkeypatch.setattr("streamfilter.parsing.search.PROBE_CHARS", 20)
    for text in ('["' + "a" * 30, "[[" + " " * 40):
        for before in ("", "so: [x] "):
            for size in (1, 3, 20, 100):
                search = Search("{[", Limits())
                given = 0
                for at in range(0, len(before + text), size):
                    skipped, candidate = search.feed((before + text)[at : at + size])
                    given += len(skipped)
                    if candidate:
                        assert given == len(before)
                        assert len(candidate) >= 20
                        assert len(candidate) < 20 + size
                        break
                else:
                    pytest.fail("it was held for ever")
    assert found(['["' + "a" * 17])[1] == ""
    assert found(['["' + "a" * 18])[1] == '["' + "a" * 18


def test_a_text_that_is_an_empty_array_is_one_at_every_cut() -> None:
    """In a fence or in none, up to so many characters; with anything else in it, it is not, however far behind."""
    for text, is_empty in (
        ("[]", True),
        (" [ ]\n", True),
        ("```json\n[]\n```\n", True),
        ("[]" + " " * (FENCED_CHARS - 2), True),
        ("[]" + " " * (FENCED_CHARS - 1), False),
        ("[]" + " " * (FENCED_CHARS - 2) + "x", False),
        ("[]" + " " * (FENCED_CHARS - 1) + "x", False),
        ("[]" + " " * (FENCED_CHARS + 8) + "x and more", False),
        ("[] []", False),
        ("[ ] todo", False),
        ("[", False),
        ("", False),
    ):
        for pieces in [*ways(text, [1, 60, 90]), [text[:60], text[60:]], [text[:100], text[100:101], text[101:]]]:
            assert found([piece for piece in pieces if piece])[2] is is_empty
            try:
                values = list(sf.ParseJSON().iter(pieces))
            except sf.TruncatedInput:
                assert not is_empty
            else:
                assert is_empty
                assert values[-1] == []


def test_brackets_that_open_no_document_are_no_empty_array() -> None:
    """Where only objects are looked for, `[]` is prose like any other."""
    for pieces in ways(" []\n", [1, 60]):
        assert found(pieces, opens="{") == (" []\n", "", False)


def test_a_limit_is_found_out_by_the_parser_of_the_document() -> None:
    """What is searched for it is not looked at beyond the limit, or it would be taken for prose."""
    for limits, text in ((Limits(max_depth=1), "[[1]]"), (Limits(max_string=5), '{"abcdefgh": 1}')):
        for pieces in ([text], list(text)):
            with pytest.raises(sf.LimitExceeded):
                prose, document, _ = found(pieces, limits=limits)
                assert prose == ""
                Parser(Tree(), limits).feed(document)


def test_a_place_behind_more_text_is_that_of_the_whole_text() -> None:
    """Counted from the beginning, however the text is cut: ends of lines that are one behind the other, at the edges, and none."""
    for text in ("a\nbc\n\ndef\n", "\n", "\n\na", "abc", ""):
        for first in range(len(text) + 1):
            for second in range(first, len(text) + 1):
                place = Position().behind(text[:first]).behind(text[first:second]).behind(text[second:])
                lines = text.split("\n")
                assert place == (len(text), len(lines) - 1, len(text) - len(lines[-1]))
                assert place.place == {"offset": len(text), "line": len(lines), "column": len(lines[-1]) + 1}


# ------------------------------------------------------------------ the value


def test_there_is_no_value_before_its_beginning() -> None:
    """What stands for it is false, and says what it is."""
    tree = Tree()
    assert (tree.root, bool(tree.root), repr(tree.root), tree.changed) == (MISSING, False, "MISSING", False)
    assert tree.snapshot() is MISSING


@pytest.mark.parametrize("strings", [True, False])
def test_a_value_is_changed_by_whatever_is_put_into_it(strings: bool) -> None:  # a case
    """And by nothing else; what is open is copied for a snapshot, so that this stays as it is."""
    text = json.dumps({"a": [1, 2, [3, "four", {"five": None}], *range(200), ["x"]], "b": "text", "c": {}, "d": []})
    for pieces in ways(text, [30, 100]):
        tree = Tree(strings=strings)
        parser = Parser(tree)
        before: Any = MISSING
        shown: list[tuple[Any, str]] = []
        for piece in pieces:
            tree.changed = False
            parser.feed(piece)
            snapshot = tree.snapshot()
            assert snapshot == tree.root
            if before is not MISSING and tree.root is not MISSING:
                assert tree.changed or json.dumps(snapshot) == before
            before = before if snapshot is MISSING else json.dumps(snapshot)
            if snapshot is not MISSING:
                shown.append((snapshot, json.dumps(snapshot)))
        assert tree.root == json.loads(text)
        assert all(json.dumps(value) == was for value, was in shown)


def test_strings_grow_or_come_whole() -> None:
    """After many elements at once, too."""
    for strings, values in ((True, [1, 2, "ab"]), (False, [1, 2])):
        tree = Tree(strings=strings)
        tree.begin_array()
        for changed in ([1, 2], []):
            tree.changed = False
            tree.values(changed)
            assert tree.changed
        tree.begin_string()
        tree.text("a")
        tree.text("b")
        assert tree.root == values
        tree.end_string()
        tree.begin_array()
        tree.values([3])
        tree.value(4)
        tree.end()
        tree.value(5)
        assert tree.root == [1, 2, "ab", [3, 4], 5]
    assert Tree(strings=False).root is MISSING
    grows = Tree()
    Parser(grows).feed('"a')
    assert grows.root == "a"


# ------------------------------------------------------------------ escapes, and elements at once

UNITS = ("\\u0041", "\\ud7ff", "\\ud800", "\\udbff", "\\udc00", "\\udfff", "\\ue000", "\\uffff", "a", "\\n")


@pytest.mark.parametrize("first", UNITS)
def test_halves_of_surrogate_pairs_are_those_of_json(first: str) -> None:
    """Each with each, at the edges of what is a half: joined, or alone, and with another behind them."""
    for second in UNITS:
        text = f'"{first}{second}\\ude00"'
        want = json.loads(text)
        for pieces in ([text], list(text), [text[:7], text[7:]]):
            tree = Tree()
            parser = Parser(tree)
            for piece in pieces:
                parser.feed(piece)
            assert tree.root == want


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('{"a": 1}, {"b": 2, "c": [3, 4], "d', 8),
        ("[1, 2], [3, 4, 5", 6),
        ('"a", "b, and, so on', 3),
        (' \n{"a": ","}, {"b": 2, ', 12),
        ("1, 2, 3", 4),
        ("1, [2, 3", 0),
    ],
)
def test_a_comma_inside_of_what_is_not_complete_ends_no_element(text: str, whole: int) -> None:
    """The first element shows how those like it end; where they differ, nothing is taken at once."""
    want = (json.loads(f"[{text[:whole]}]"), whole) if whole else None
    assert Scanner(Limits()).elements(text, 0, 1) == want


def test_elements_are_taken_at_once_up_to_so_many_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are whole in them."""
    monkeypatch.setattr("streamfilter.parsing.scanner.RUN_MOST", 10)
    assert Scanner(Limits()).elements("1, 2, 3, 4, 5, 6, 7, 8", 0, 1) == ([1, 2, 3], 7)
    assert Scanner(Limits()).elements("1, 2, 3, 4, 5, 6, 7, 8", 3, 1) == ([2, 3, 4], 10)
    assert Scanner(Limits()).elements("123456789012, 2, 3", 0, 1) is None
