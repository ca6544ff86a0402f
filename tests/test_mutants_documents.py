"""Documents in a stream, fact by fact: what mutants of their machine showed that nothing had stated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fuzzing import ways

import streamfilter as sf
from streamfilter.parsing.documents import STEP_CHARS
from streamfilter.slices import PIECE_BYTES, SLICE_CHARS, advanced, at_once

STRICT = sf.ParseJSON(strict=True)
LOOSE = sf.ParseJSON()
LINES = sf.ParseJSON(strict=True, many=True)

BEHIND = "there is something behind the document"
NO_UTF_8 = "the bytes are no UTF-8"
HALF = "the bytes end inside a character"
NONE = "there is no JSON document in the text"

ENDINGS: list[tuple[Any, Any, Any, type[Exception], str, Any]] = [
    (STRICT, "[1]\n 2", [1], sf.MalformedInput, BEHIND, (5, 2, 2, ())),
    (STRICT, "[1]]", [1], sf.MalformedInput, BEHIND, (3, 1, 4, ())),
    (STRICT, '\n"a"\n\n"b"', "a", sf.MalformedInput, BEHIND, (6, 4, 1, ())),
    (STRICT, b"[1]\n \xff", [1], sf.MalformedInput, NO_UTF_8, (5, 2, 2, ())),
    (STRICT, b"\n\xc3(", None, sf.MalformedInput, NO_UTF_8, (1, 2, 1, ())),
    (LOOSE, b'so [1,\n"\xc3\xa9a\xff"', [1, "éa"], sf.MalformedInput, NO_UTF_8, (10, 2, 4, (1,))),
    (LOOSE, b'so {"a":\n"\xe2\x82\xac\xe2\x82 "', {"a": "€"}, sf.MalformedInput, NO_UTF_8, (11, 2, 3, ("a",))),
    (STRICT, b"[1]\n\xc3", [1], sf.TruncatedInput, HALF, (4, 2, 1, ())),
    (LOOSE, b"so \n\xc3", None, sf.TruncatedInput, HALF, (4, 2, 1, ())),
    (STRICT, b'{"a":"\xc3', {"a": ""}, sf.TruncatedInput, "the text ends inside the document", (6, 1, 7, ("a",))),
    (LOOSE, "no\n json", None, sf.TruncatedInput, NONE, (8, 2, 6, ())),
    (LOOSE, "", None, sf.TruncatedInput, NONE, (0, 1, 1, ())),
    (STRICT, "\n ", None, sf.TruncatedInput, NONE, (2, 2, 2, ())),
    (LOOSE, '{"a": 1, x', {"a": 1}, sf.MalformedInput, "a key is missing", (9, 1, 10, ("a",))),
    (STRICT, "\n01", None, sf.MalformedInput, "a number that is none", (1, 2, 1, ())),
    (STRICT, "\x1e[1]", None, sf.MalformedInput, "a value is missing", (0, 1, 1, ())),
    (LINES, '1\n[2]\x1f"a"', [2], sf.MalformedInput, "a value is missing", (5, 2, 4, ())),
    (LINES, "\n1\n[2,", [2], sf.TruncatedInput, "the text ends inside the document", (6, 3, 4, (1,))),
]


@pytest.mark.parametrize(("stage", "text", "last", "error", "says", "place"), ENDINGS)
def test_what_ends_a_stream_of_documents_is_said_with_its_place(
    stage: Any, text: Any, last: Any, error: type[Exception], says: str, place: Any
) -> None:
    """Counted from the beginning of the text, in characters; all that came before it has been given; at every cut."""
    size = len(text)
    cuts = [[text], *([text[:at], text[at:]] for at in range(size)), [text[at : at + 1] for at in range(size)]]
    for pieces in cuts:
        out: list[Any] = []
        with pytest.raises(error) as raised:
            for value in stage.iter([piece for piece in pieces if piece]):
                out.append(value.value if isinstance(value, sf.Document) else value)  # noqa: PERF401  # before the error
        assert type(raised.value) is error
        assert (out[-1] if out else None) == last
        assert str(raised.value).startswith(says)
        found: Any = raised.value
        assert (found.offset, found.line, found.column, found.path) == place


class Said(str):
    """A text as some clients give it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<text>"


@pytest.mark.parametrize("kind", [str, Said, bytes, bytearray, memoryview])
def test_documents_come_in_text_and_in_bytes(kind: type) -> None:
    """Whatever stands between several of them: lines, record separators, blanks. Each is given with its number."""
    text = '1\n[2]\x1e"aé"\r\n\t {"b":\n\x1etrue}  \n\x1e\x1enull\n'.replace("\n\x1etrue", "\ntrue")
    want = [1, [2], "aé", {"b": True}, None]
    written: Any = text if issubclass(kind, str) else text.encode()
    for size in (1, 2, 3, 5, 99):
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        out = [document for document in LINES.iter(map(kind, pieces)) if document.complete]
        assert [(document.index, document.value) for document in out] == list(enumerate(want))


@pytest.mark.parametrize("behind", ["", " and more", "\n[2]", " {", '"', "```\n"])
def test_only_the_first_document_is_read_where_one_is_wanted(behind: str) -> None:
    """What follows it is prose, whatever it is; how often it is given, and the last time, does not depend on that."""
    for text, want in (("so: [1]", [1]), ('{"a": "b"}', {"a": "b"}), ("```json\n[ ]\n```" if not behind else "[[]]", None)):
        for pieces in ways(text + behind, [20, 77]):
            values = list(LOOSE.iter(pieces))
            assert values[-1] == (want if want is not None else json.loads(text.strip("`json\n")))


def test_what_is_partial_is_given_where_that_is_wanted() -> None:
    """A text that ends inside a document, or before one, is no error then; what is malformed is."""
    stage = sf.ParseJSON(truncated="partial")
    for text, last in (
        ("so [1, 2", [1]),
        ('{"a": "b', {"a": "b"}),
        ("nothing", None),
        ("", None),
        ("[", None),
        ("[[", None),
        ("[[1]", [[1]]),
        ("[ ]", []),
    ):
        for pieces in ways(text, [3, 60]):
            values = list(stage.iter(pieces))
            assert (values[-1] if values else None) == last, (text, pieces)
    with pytest.raises(sf.MalformedInput):
        list(stage.iter(['{"a": 1, x']))


def test_one_channel_is_read_and_nothing_else() -> None:
    """The first of its kind, of the first choice of the first response; events pass it by."""
    answer, thought = sf.Channel("answer", (0, 0)), sf.Channel("reasoning", (0, 0))
    other = sf.Channel("answer", (0, 1))
    machine = sf.ParseJSON().machine()
    fed = [
        sf.TextDelta("[9]", thought),
        sf.TextDelta("[8]", other),
        sf.TextDelta("[1, ", answer),
        sf.TextDelta("7]", other),
        sf.Event(),
        sf.TextDelta("2]", answer),
    ]
    out: list[Any] = [value for item in fed for value in machine.feed(item)]
    assert out[-1] == [1, 2]
    assert not machine.finish()
    with pytest.raises(TypeError, match=r"^ParseJSON was fed int where text is expected"):
        list(sf.ParseJSON().iter(["[1", 3]))


def test_a_stage_before_it_ends_the_text() -> None:
    """As its source would, if that is no error: what is whole is given, and what is not is truncated. An error is its own."""
    stop: Any = sf.StopAt("END")
    for text, kept, values in (
        ('{"a": [1, 2]} END', sf.ParseJSON(strict=True), {"a": [1, 2]}),
        ("12END", sf.ParseJSON(strict=True), 12),
        ('{"a": [1, 2END', sf.ParseJSON(truncated="partial"), {"a": [1]}),
        ("so: [1] END", sf.ParseJSON(), [1]),
    ):
        for pieces in ways(text + ", 3", [9, 99]):
            assert list((stop | kept).iter(pieces))[-1] == values
    for before, text, error in ((stop, '{"a": [1, 2END', sf.TruncatedInput), (sf.Block("bad"), '{"a": 1, bad', sf.Blocked)):
        for kept in (sf.ParseJSON(), sf.ParseJSON(strict=True)):
            for pieces in ways(text + ", 3", [9, 99]):
                with pytest.raises(error):
                    list((before | kept).iter(pieces))
    for text in ('{"a": x', "[1] 2"):
        machine = sf.ParseJSON(strict=True).machine()
        (*_, end) = machine.feed(text)
        assert isinstance(end, sf.End)
        assert machine.ended
        assert not machine.finish()


def test_a_document_is_complete_with_its_last_character() -> None:
    """Not with the next piece; and at the end of the text all are found in what was none."""
    machine: Any = LINES.machine()
    assert [document.complete for piece in ("[1", ", 2", "]") for document in machine.feed(piece)] == [False, False, True]
    for text, want in (('{"a [1] {"b [2] {"c', [[1], [2]]), ('[ [ {"a [1]', [[1]])):
        for pieces in ways(text, [9, 99]):
            out = [document.value for document in sf.ParseJSON(many=True).iter(pieces) if document.complete]
            assert out == want


@pytest.mark.parametrize("raw", [b"[1]\n\n\xc3", b'{"a": 1} and\nmore \xe2\x82'])
def test_bytes_that_end_inside_a_character_behind_the_document_have_their_place(raw: bytes) -> None:
    """Text behind the only document is skipped, and counts."""
    whole = raw.decode(errors="ignore")
    place = (len(whole), whole.count("\n") + 1, len(whole) - whole.rfind("\n"))
    for pieces in ([raw], [raw[n : n + 1] for n in range(len(raw))]):
        with pytest.raises(sf.MalformedInput) as raised:
            list(sf.ParseJSON().iter(pieces))
        assert (raised.value.offset, raised.value.line, raised.value.column) == place


def test_strings_of_several_documents_are_runs_of_their_own() -> None:
    """A boundary stands between any two, and before the first of each document but the first, also if there was none before."""
    boundary = sf.Event(boundary=True)
    for documents in ([["a"], ["b"]], [[], ["a", "b"], ["c"]], [["a", "b"], [], ["c"]]):
        text = "".join(json.dumps({"s": strings}) for strings in documents)
        want: list[Any] = []
        for n, strings in enumerate(documents):
            for k, string in enumerate(strings):
                want += [boundary, string] if n or k else [string]
        for pieces in ways(text, [9, 99]):
            assert list(sf.JSONText("$.s[*]", many=True).iter(pieces)) == want


ROWS = json.dumps([{"a": f"row {n}", "b": [n, None]} for n in range(2000)])
LARGE: list[Any] = [
    ROWS,
    sf.TextDelta(ROWS),
    ROWS.encode(),
    ROWS[:-1].encode() + b"\xff]",
    b'["a' + b"b" * 2 * PIECE_BYTES + b"\xff",
    f"{ROWS} and {ROWS}",
    f"so {{{ROWS}",
    "no json " * 9000,
    ROWS[:-2] + ", x" + ROWS,
    '["' + "x" * (3 * STEP_CHARS - 2),
]


@pytest.mark.parametrize("item", LARGE, ids=range(len(LARGE)))
@pytest.mark.parametrize("stage", [sf.ParseJSON(), sf.ParseJSON(many=True), sf.JSONItems("$[*]"), sf.JSONText("$[*].a")])
def test_a_large_item_is_read_in_steps_that_give_what_it_gives_at_once(stage: Any, item: Any) -> None:
    """A turn for others after each but the last; with the refusal of bytes that are none, and without what is not read."""
    machine, want = stage.machine(), stage.machine()
    work = machine.steps(item)
    got: list[Any] = []
    steps, is_over = 0, False
    while not is_over:
        given, is_over = advanced(work)
        got += given
        steps += 1
    assert repr(got) == repr([*want.feed(item)])
    text = item.decode(errors="ignore") if isinstance(item, bytes) else getattr(item, "text", item)
    assert machine.ended == want.ended
    assert steps == -(-len(text) // STEP_CHARS) or machine.ended


def test_a_large_text_of_a_channel_that_is_not_read_gives_nothing() -> None:
    """And one that is no more than a slice is not read in steps."""
    machine = sf.ParseJSON().machine()
    work = machine.steps(sf.TextDelta(ROWS, sf.Channel("reasoning")))
    assert work is not None
    assert at_once(work) == []
    assert machine.steps(ROWS[:SLICE_CHARS]) is None


def test_behind_a_refusal_nothing_is_found() -> None:
    """Though there would be a document in what was none."""
    for stage in (sf.ParseJSON(), sf.ParseJSON(many=True), sf.JSONItems("$[*]")):
        machine: Any = stage.machine()
        (end,) = machine.feed(b'true{"[1, 2]{\xff')
        assert isinstance(end, sf.End)
        assert isinstance(end.error, sf.MalformedInput)
        assert not machine.finish()
