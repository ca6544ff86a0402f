"""The JSON parser and its scanner, fact by fact: what fuzzing found, and what mutants of them showed that nothing had stated."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import fuzz_json
import pytest
from fuzzing import ways

import streamfilter as sf
from streamfilter.parsing.parser import Limits, Parser, Sink
from streamfilter.parsing.scanner import FAILURES, Scanner
from streamfilter.parsing.tree import Tree


def test_what_follows_a_document_is_not_taken() -> None:
    """However often the parser is fed behind its end, also behind a number that `finish` has ended."""
    for text in ("[1]", '"a"', "{}", "true", "12 "):
        parser = Parser(Sink())
        assert parser.feed(text) == len(text.rstrip())
        end = parser.position
        assert [parser.feed(more) for more in ("", "]", " ", "[1]\n")] == [0, 0, 0, 0]
        parser.finish()
        assert (parser.is_complete, parser.position) == (True, end)
    parser = Parser(Sink())
    parser.feed("12")
    parser.finish()
    assert (parser.is_complete, parser.feed("3"), parser.end) == (True, 0, 2)


def test_a_limit_that_is_met_at_the_end_of_a_chunk_changes_nothing() -> None:
    """The next chunk is refused; it shows no value once more."""
    out: list[Any] = []
    with pytest.raises(sf.LimitExceeded):
        for value in sf.ParseJSON(strict=True, max_string=10).iter(['["0123456789', "0"]):
            out.append(value)  # noqa: PERF402  # what was given before the error counts
    assert out == [["0123456789"]]


class Failing(Sink):
    """Raises what is no error of ours."""

    def value(self, value: Any) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("text", "error"),
    [("[1,", ZeroDivisionError), ("[x", sf.MalformedInput), ("[[[", sf.LimitExceeded), ("[12345678901", sf.LimitExceeded)],
)
def test_nothing_is_taken_behind_an_error(text: str, error: type[Exception]) -> None:
    """Whoever raised it, the parser goes on with nothing, says so, and is not complete."""
    parser = Parser(Failing(), Limits(max_depth=2, max_string=10))
    with pytest.raises(error):
        parser.feed(text)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^fed behind an error$"):
            parser.feed("1]")
        assert not parser.is_complete
    with pytest.raises(sf.MalformedInput):
        parser.finish()


@pytest.mark.parametrize("number", ["-00.0", "01", "1.e", "--", "1e+-", "1.2.3"])
def test_a_number_that_is_none_is_wrong_where_it_begins(number: str) -> None:
    """Also if the text ends with it."""
    for before, path in (("\n ", ()), ("[1,\n ", (1,)), ('{"a":\n ', ("a",))):
        for end in ("", " ", "]", ","):
            for text in ([before + number + end], list(before + number + end)):
                with pytest.raises(sf.MalformedInput) as raised:
                    list(sf.ParseJSON(strict=True).iter(text))
                error = raised.value
                assert type(error) is sf.MalformedInput
                assert str(error).startswith("a number that is none")
                assert (error.offset, error.line, error.column, error.path) == (len(before), 2, 2, path)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"a [1, x]', 8),
        ('see\n{"a [1, x]', 12),
        ('{"a [1, 2', 9),
        ('[ [ {"b {"c": 1', 15),
        ('{"a {"b [x', 10),
        ("[ ", 2),
        ("so: [\n[", 7),
    ],
)
def test_a_document_in_what_was_none_is_where_it_is(text: str, wrong: int) -> None:
    """Where the end of the text shows that a bracket was prose, what is found behind it has its place in the whole text."""
    for pieces in ([text], list(text)):
        for stage in (sf.ParseJSON(), sf.ParseJSON(many=True)):
            try:
                list(stage.iter(pieces))
            except sf.MalformedInput as error:
                assert error.offset == wrong  # noqa: PT017
                assert error.line in (None, text.count("\n", 0, wrong) + 1)  # noqa: PT017
            else:
                assert stage == sf.ParseJSON(many=True)  # which may give nothing


DOCUMENTS = [
    '{"a": [1, -2.5e3, "x\\n\\u00e9\\ud83d\\ude00", {"b": null}], "c": true, "d": false}',
    '[[],{},"",0,1e5,-0,0.5,10, true ,false,null]',
    '{"one" : {"two":\n[{"three":\t"four"}, "\\"\\\\\\/\\b\\f\\n\\r\\t"]}, "one": 2}',
    '"' + "long " * 30 + '\\ud800"',
    json.dumps([{"n": n, "s": "},{"} for n in range(40)]),
    '{"rows": [' + ", ".join(f'[{n}, "],"]' for n in range(60)) + '], "then": {"k": [' + "1," * 150 + "2]}}",
    '["' + '", "'.join(f"text {n}, and" for n in range(50)) + '"] x',
    "  12345678901234567890123 ",
    '{"\\u0061": 1, "a": 2, "' + "k" * 60 + '\\n": {"a": 3}}',
    "[1, 2 3]",
    '{"a": tru}',
    '["\\ud83d\\u0041\\ud83dx\\ude00"]',
]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_documents_and_what_is_left_of_them(text: str) -> None:
    """Whole, cut off and damaged: values, ends and places are those of `json.loads`, at every cut and with all options."""
    rng = random.Random(text)
    for option in (0, 1, 4, 9):
        fuzz_json.check_parser(text, ways(text, [40, 90, 200]), option)
        for case in (
            text,
            text[: rng.randint(0, len(text))],
            text.replace(text[rng.randrange(len(text))], rng.choice('"]}{[,:\\0e'), 1),
        ):
            cuts = ways(case[:150], [rng.randrange(256) for _ in range(3)])
            for check in (fuzz_json.check_parser, fuzz_json.check_strict, fuzz_json.check_limits):
                check(case[:150], cuts, option)
        fuzz_json.check_strict(text, ways(text, [17, 99, 230]), option)


PLACES = [
    ("[1, 2 3]", 6, 1, 7, (1,), "a comma or the end of an array is missing"),
    ('{"a": 1 "b"}', 8, 1, 9, ("a",), "a comma or the end of an object is missing"),
    ('{"a": 1]', 7, 1, 8, ("a",), "a comma or the end of an object is missing"),
    ("[1}", 2, 1, 3, (0,), "a comma or the end of an array is missing"),
    ('{"a" 1}', 5, 1, 6, ("a",), "a colon is missing behind a key"),
    ('{"a":: 1}', 5, 1, 6, ("a",), "a value is missing"),
    ('{"a"x: 1}', 4, 1, 5, ("a",), "a colon is missing behind a key"),
    ('{\n"a"\n \n:\nx}', 10, 5, 1, ("a",), "a value is missing"),
    ("{1: 2}", 1, 1, 2, ("",), "a key is missing"),
    ('{"a": 1, }', 9, 1, 10, ("a",), "a key is missing"),
    ("[1, ]", 4, 1, 5, (1,), "a value is missing"),
    ('{"a": }', 6, 1, 7, ("a",), "a value is missing"),
    ("[\n\n nul1]", 4, 3, 2, (0,), "a value is missing"),
    ("[\n+1]", 2, 2, 1, (0,), "a value is missing"),
    ('["a\n"]', 3, 1, 4, (0,), "a control character in a string: it must be escaped"),
    ('{"a\x1f": 1}', 3, 1, 4, ("",), "a control character in a key: it must be escaped"),
    ('["\\x"]', 2, 1, 3, (0,), "an escape that is none"),
    ('["\\u12x4"]', 2, 1, 3, (0,), r"four digits are missing behind \u"),
    ('["\\ud83d\\u12x4"]', 8, 1, 9, (0,), r"four digits are missing behind \u"),
    ('{"a":\n {"b": [1,\n  01]}}', 19, 3, 3, ("a", "b", 1), "a number that is none"),
    ('{"a": 1, "a": 2}', 11, 1, 12, ("a",), "a key that its object has already"),
    ('[{"b": 1},\n{"\\u0062": 1, "b": 2}]', 27, 2, 17, (1, "b"), "a key that its object has already"),
]


@pytest.mark.parametrize(("text", "offset", "line", "column", "path", "problem"), PLACES)
def test_what_is_wrong_is_said_with_its_place(text: str, offset: int, line: int, column: int, path: Any, problem: str) -> None:
    """In all pieces, and with and without the C scanner."""
    for pieces in (*ways(text, [100]), [text[:offset], text[offset:]], [text[: offset + 1], text[offset + 1 :]]):
        for before in ("", "[0,\n" * 2):
            shown: Any = (*(1 for _ in before.split("\n")[:-1]), *path)
            for padding in ("", " " * 60):
                parser = Parser(Tree(), Limits(duplicates="raise"))
                with pytest.raises(sf.MalformedInput) as raised:
                    for piece in (before, *pieces[:-1], pieces[-1] + padding):
                        parser.feed(piece)
                error = raised.value
                assert type(error) is sf.MalformedInput
                assert (error.offset, error.line, error.column) == (len(before) + offset, before.count("\n") + line, column)
                assert error.path == shown
                assert error.problem == problem


def test_what_is_truncated_is_said_with_its_place() -> None:
    """At the end of the text, on the path to what is missing; a document that is whole is not."""
    for text, line, column, path in (
        ('{"a":\n [1, "x', 2, 8, ("a", 1)),
        ("", 1, 1, ()),
        ("[1,\n", 2, 1, (1,)),
        ('{"k', 1, 4, ("",)),
        ("-", 1, 2, ()),
        ("1.", 1, 3, ()),
        ("1e+", 1, 4, ()),
        ("[1.", 1, 4, (0,)),
        ("\n\ntru", 3, 4, ()),
        ('["\\ud83d\\u', 1, 11, (0,)),
    ):
        for pieces in ways(text, [128]):
            parser = Parser(Sink())
            for piece in pieces:
                parser.feed(piece)
            with pytest.raises(sf.TruncatedInput) as raised:
                parser.finish()
            error = raised.value
            assert (error.offset, error.line, error.column, error.path) == (len(text), line, column, path)
            assert str(error).startswith("the text ends inside the document")


@pytest.mark.parametrize(
    ("text", "limit", "options", "place"),
    [
        ("[[[]]]", "max_depth", {"max_depth": 3}, None),
        ("[[[[]]]]", "max_depth", {"max_depth": 3}, "at offset 3"),
        ('{"a":{"b":{"c":{}}}}', "max_depth", {"max_depth": 3}, "at offset 15"),
        ('["1234567890"]', "max_string", {"max_string": 10}, None),
        ('["12345678901"]', "max_string", {"max_string": 10}, "what begins at offset 2"),
        ('["1234\\u0041"]', "max_string", {"max_string": 10}, None),
        ('["12345\\u0041"]', "max_string", {"max_string": 10}, "what begins at offset 2"),
        ('{"1234567890":1}', "max_string", {"max_string": 10}, None),
        ('{"12345678901":1}', "max_string", {"max_string": 10}, "what begins at offset 2"),
        ('{"1234\\u0041":1}', "max_string", {"max_string": 10}, None),
        ('{"12345\\u0041":1}', "max_string", {"max_string": 10}, "what begins at offset 2"),
        ("[1234567890]", "max_string", {"max_string": 10}, None),
        ("[12345678901]", "max_string", {"max_string": 10}, "what begins at offset 1"),
        ("[" + "9" * 5000 + " ]", "digits", {}, "in the number before offset 5001"),
        ("[" + "9" * 5000 + ".0]", "digits", {}, None),
    ],
)
def test_a_limit_is_kept_to_the_character(text: str, limit: str, options: Any, place: str | None) -> None:
    """What is at it is taken, what is one beyond it is refused, and where is said; at every cut."""
    for pieces in ways(text, [100, 128]) if len(text) < 99 else [[text], [text[:70], text[70:]]]:
        for padding in ("", " " * 60):
            parser = Parser(Tree(), Limits(**options))
            try:
                for piece in (*pieces, padding):
                    parser.feed(piece)
            except sf.LimitExceeded as error:
                assert place is not None
                assert place in str(error)  # noqa: PT017
                assert error.limit == limit  # noqa: PT017
            else:
                assert place is None
                assert parser.is_complete


def test_what_numbers_are_made_of() -> None:
    """`parse_int` is given what has no fraction and no exponent, however short; `parse_float` the rest; what they raise is raised."""
    for text, ints, floats in (
        ("[0, -1, 12, 12345678901234567890]", ["0", "-1", "12", "12345678901234567890"], []),
        ("[1.5, 1e5, -2E-3, 0.0e+0]", [], ["1.5", "1e5", "-2E-3", "0.0e+0"]),
    ):
        for pieces in ways(text, [100]):
            made: list[Any] = []
            limits = Limits(parse_int=lambda text: ("int", text), parse_float=lambda text: ("float", text))
            tree = Tree()
            parser = Parser(tree, limits)
            for piece in pieces:
                parser.feed(piece)
            made = tree.root
            assert made == [("int", each) for each in ints] + [("float", each) for each in floats]

    def no_number(text: str) -> Any:
        raise ValueError("mine")

    for options in ({"parse_int": no_number}, {"parse_float": no_number}):
        with pytest.raises(ValueError, match="mine"):
            Parser(Sink(), Limits(**options)).feed("[1, 1.0]" + " " * 60)  # type: ignore[arg-type]


def test_a_limit_of_depth_counts_what_an_equal_key_puts_aside() -> None:
    """Also where the document is complete in one piece, and also with brackets in strings."""
    text = '{"a": {"b": [{"c": "[[[["}]}, "\\u0061": "}]\\"]", "d": [[]]}' + " " * 60
    for most in range(1, 7):
        for pieces in ways(text, [60, 128]):
            parser = Parser(Tree(), Limits(max_depth=most))
            try:
                for piece in pieces:
                    parser.feed(piece)
            except sf.LimitExceeded:
                assert most < 4
            else:
                assert most >= 4


class Counted(Sink):
    """Counts what it is told."""

    def __init__(self, *, whole: bool = True, many: bool = False) -> None:
        self.takes_whole, self.takes_many = whole, many
        self.told: list[str] = []

    def begin_array(self) -> None:
        self.told.append("[")

    def begin_string(self) -> None:
        self.told.append('"')

    def value(self, value: Any) -> None:
        self.told.append(type(value).__name__)

    def values(self, values: list[Any]) -> None:
        self.told.append(f"{len(values)} values")


def test_what_is_complete_in_a_piece_is_told_at_once() -> None:
    """A container with more than 48 characters left, a string in any case, and the elements of a long array together, if wanted."""
    long = json.dumps([1] * 100)
    for sink, text, told in (
        (Counted(), long, ["list"]),
        (Counted(whole=False), "[[1]" + " " * 99, ["[", "[", "int"]),
        (Counted(), "[[1]" + " " * 46, ["[", "list"]),
        (Counted(), "[[1]" + " " * 45, ["[", "[", "int"]),
        (Counted(), '["a", "b', ["[", "str", '"']),
        (Counted(whole=False), '["a", "b', ["[", '"', '"']),
        (Counted(many=True), "[" + "1, " * 100, ["[", "100 values"]),
        (Counted(), "[" + "1, " * 100, ["[", *["int"] * 100]),
        (Counted(many=True), "[" + "1, " * 85, ["[", *["int"] * 85]),
    ):
        Parser(sink).feed(text)
        assert sink.told == told, text


def test_the_scanner_is_tried_a_few_times_for_one_piece() -> None:
    """What is not complete fails at its end; with the next piece it may be."""
    scanner = Scanner(Limits())
    text = "[1, 2"
    for _ in range(FAILURES):
        assert scanner.container(text, 0, 0, 7) is None
    assert scanner.container("[1]", 0, 0, 7) is None
    assert scanner.container("[1]", 0, 0, 8) == ([1], 3)
    for _ in range(FAILURES):
        assert scanner.container(text, 0, 0, 9) is None
    assert scanner.container("[1]", 0, 0, 9) is None
    assert Scanner(Limits()).container("[1]", 0, 0) == ([1], 3)


def test_the_scanner_keeps_the_limits() -> None:
    """Depth to the level, in whatever container; length to the character; equal keys; NaN; what `parse_float` raises."""
    deep = '{"a": [{"b": [[1], "[[[["]}]}'
    for most in range(1, 8):
        for outside in range(3):
            scanned = Scanner(Limits(max_depth=most)).container(deep, 0, outside)
            assert (scanned is not None) is (5 + outside <= most)
    for text, most in (("[1, 22]", 7), ('{"a":1}', 7)):
        assert Scanner(Limits(max_string=most)).container(text, 0, 0) == (json.loads(text), 7)
        assert Scanner(Limits(max_string=most - 1)).container(text, 0, 0) is None
    assert Scanner(Limits(duplicates="raise")).container('[{"a": 1, "b": 2}]', 0, 0) == ([{"a": 1, "b": 2}], 18)
    assert Scanner(Limits(duplicates="raise")).container('[{"a": 1, "a": 2}]', 0, 0) is None
    assert Scanner(Limits()).container('[{"a": 1, "a": 2}]', 0, 0) == ([{"a": 2}], 18)
    for text in ("[NaN]", "[-Infinity]", "[1,]", "[1 2]", "[", "[1.5]"):
        assert Scanner(Limits(parse_float=lambda text: 1 // 0)).container(text, 0, 0) is None


@pytest.mark.parametrize(
    ("text", "at", "want"),
    [
        ("[1, [2], [3", 1, ([1, [2]], 7)),
        ('["a", "b", "c', 1, (["a", "b"], 9)),
        ('[{"a": 1}, {"b": 2}, {"c": ', 1, ([{"a": 1}, {"b": 2}], 19)),
        ('[ \n"a,", "b', 1, (["a,"], 7)),
        ("[1, 2], [3, 4", 1, ([1, 2], 5)),
        ("[1", 1, None),
        ("[", 1, None),
        ("[, 1, 2", 1, None),
    ],
)
def test_the_elements_of_an_array_that_are_complete(text: str, at: int, want: Any) -> None:
    """From one on, up to the last that is whole: what stands behind, be it the rest of one, is left."""
    assert Scanner(Limits()).elements(text, at, 1) == want


def test_elements_are_not_looked_for_where_most_is_none() -> None:
    """Three runs in a row that take less than half of what they look at are the last; one that takes more begins anew."""
    poor, good = "1, " + "[" * 99 + "1, ", "1, 2, 3"
    scanner = Scanner(Limits())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            scanner.elements(poor, 0, 1)
        assert scanner.elements(good, 0, 1) == ([1, 2], 4)
    for _ in range(FAILURES):
        scanner.elements(poor, 0, 1)
    assert scanner.elements(good, 0, 1) is None


def test_elements_keep_the_limit_of_depth() -> None:
    """As deep as they are inside of their array, and no deeper."""
    for most, fits in ((4, True), (3, False)):
        found = Scanner(Limits(max_depth=most)).elements("[[[1]], [[2]], [", 1, 2)
        assert (found == ([[[1]], [[2]]], 13)) is fits


def test_what_no_cut_and_no_short_cut_changes() -> None:
    """The index behind elements taken together, the place behind a document, how an escape was written, tries per piece."""
    text = "[7, " + "1, " * 100 + "x]"
    for pieces in ([text], [text[:20], text[20:]]):
        parser = Parser(Tree())
        with pytest.raises(sf.MalformedInput) as raised:
            for piece in pieces:
                parser.feed(piece)
        assert raised.value.path == (101,)
    parser = Parser(Sink())
    assert (parser.feed("[\n1] x\n"), parser.position) == (4, (4, 1, 2))
    written: list[Any] = []

    class Writing(Sink):
        takes_whole = False

        def text(self, text: str, raw: str | None = None) -> None:
            written.append((text, raw))

    Parser(Writing()).feed(r'"a\u0041\n"')
    assert written == [("a", None), ("A", r"\u0041"), ("\n", r"\n")]
    sink = Counted()
    parser = Parser(sink)
    for piece in ("[[[[1" + " " * 60, "]]], [2]" + " " * 60):
        parser.feed(piece)
    assert sink.told[-1] == "list"
    scanner = Scanner(Limits(max_string=7, max_depth=2))
    for _ in range(FAILURES - 1):
        assert scanner.container("[1, 2", 0, 0, 7) is None
    assert scanner.container("     [1, 22]", 5, 0, 7) == ([1, 22], 12)
    assert Scanner(Limits(max_depth=2)).container("[[1],[1],[[1]]]", 0, 0) is None
    digits = sys.get_int_max_str_digits()
    for options, text, said in (
        ({"max_depth": 1}, "[[", "max_depth of 1 "),
        ({"max_string": 1}, '["ab"]', "max_string of 1 "),
        ({}, "9" * (digits + 1) + " ", f"digits of {digits} "),
    ):
        with pytest.raises(sf.LimitExceeded, match=said):
            Parser(Sink(), Limits(**options)).feed(text)  # type: ignore[arg-type]
