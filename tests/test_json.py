"""The JSON parser and `ParseJSON`: against `json.loads`, for every cut; what is shown before the end; prose, documents, errors."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.parsing.documents import STEP_CHARS
from streamfilter.parsing.parser import Parser
from streamfilter.testing import ScriptedSource, cut

SUITE = Path(__file__).resolve().parent.parent.parent / "shared" / "jsontestsuite"
FILES = sorted(SUITE.glob("*.json"))


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def loads(text: str) -> Any:
    """The reference: `json.loads` without NaN and Infinity."""
    return json.loads(text, parse_constant=_no_constant)


def cuts(text: str, seed: int = 0) -> Iterator[list[str]]:
    """The text at once, in pieces of 1 and 3, and cut at random."""
    yield [text]
    yield list(text)
    yield [text[at : at + 3] for at in range(0, len(text), 3)]
    rng = random.Random(seed)
    for _ in range(3):
        yield cut(text, *(rng.randint(0, len(text)) for _ in range(rng.randint(1, 9))))


def parsed(pieces: Sequence[Any], **options: Any) -> tuple[list[Any], Exception | None]:
    """What a stream of values gave, and how it ended."""
    out: list[Any] = []
    with sf.ParseJSON(**options).iter(pieces) as stream:
        try:
            for value in stream:
                out.append(value)  # noqa: PERF402  # what was given before an exception counts
        except sf.StreamFilterError as error:
            return out, error
    return out, None


def same(one: Any, other: Any) -> bool:
    """Equal, and of equal types: 1 is not True, nor 1.0."""
    return repr(one) == repr(other)


def a_value(rng: random.Random, depth: int = 4) -> Any:
    """A random value."""
    kind = rng.randint(0, 9 if depth else 6)
    if kind < 3:
        return "".join(rng.choice('ab"\\\n é€😀\u2028\x00/') for _ in range(rng.randint(0, 8)))
    if kind < 5:
        return rng.choice([0, -1, 12, 1.5, -0.0, 1e300, 123456789012345678901234567890, 2.5e-7])
    if kind < 7:
        return rng.choice([True, False, None])
    if kind < 8:
        return [a_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {rng.choice(["", "a", "b", 'k"', "é", "\\"]): a_value(rng, depth - 1) for _ in range(rng.randint(0, 4))}


def documents(count: int) -> Iterator[tuple[Any, str]]:
    """Random values, written in various ways."""
    for seed in range(count):
        rng = random.Random(seed)
        value = a_value(rng)
        yield (
            value,
            json.dumps(
                value,
                ensure_ascii=rng.random() < 0.5,
                indent=rng.choice([None, None, 1]),
                separators=rng.choice([None, (",", ":")]),
            ),
        )


# ------------------------------------------------------------------ the grammar


@pytest.mark.skipif(not FILES, reason="the shared JSONTestSuite is not beside this checkout")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_suite(path: Path) -> None:
    """`y_` gives what `json.loads` gives, `n_` is rejected, `i_` is as `json.loads` has it: as text and as bytes, at every cut."""
    raw = path.read_bytes()
    try:
        want, accepted = loads(raw.decode()), True
    except (ValueError, RecursionError):
        want, accepted = None, False
    assert path.name[0] == "i" or accepted is (path.name[0] == "y")
    sources: list[Sequence[Any]] = [
        [raw],
        [raw[at : at + 1] for at in range(len(raw))],
        [raw[at : at + 3] for at in range(0, len(raw), 3)],
    ]
    if len(raw) < 2000 or not accepted:
        try:
            sources += cuts(raw.decode())
        except UnicodeDecodeError:
            assert not accepted
    for pieces in sources:
        out, error = parsed(pieces, strict=True)
        assert (error is None) is accepted
        if accepted:
            assert same(out[-1], want)


def test_random_documents_end_as_json_loads_has_them() -> None:
    """Also live, also with whole strings, also in prose where they are containers."""
    for value, text in documents(400):
        for pieces in cuts(text, len(text)):
            for options in ({}, {"live": True}, {"strings": "whole"}):
                out, error = parsed(pieces, strict=True, **options)
                assert error is None
                assert same(out[-1], value)
            if isinstance(value, dict) and value:
                out, error = parsed(["Well: ", *pieces, " so {x}"])
                assert error is None
                assert same(out[-1], value)


def test_utf_8_cut_inside_a_character() -> None:
    """Bytes are text, wherever they are cut; bytes that are none are malformed."""
    for value, text in documents(60):
        raw = text.encode("utf-8", "surrogatepass")
        try:
            raw.decode()
        except UnicodeDecodeError:
            continue
        out, error = parsed([raw[at : at + 1] for at in range(len(raw))], strict=True)
        assert error is None
        assert same(out[-1], value)
    out, error = parsed([b'{"a": "\xff"}'])
    assert isinstance(error, sf.MalformedInput)
    assert parsed([b'["\xc3'], strict=True)[1] is not None


# ------------------------------------------------------------------ what is shown before the end


def grows(before: Any, after: Any) -> bool:
    """Whether one value may become the other: containers grow, only what came last may still change, strings are extended."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = list(before)
        return keys == list(after)[: len(keys)] and all(
            same(before[key], after[key]) or (n == len(keys) - 1 and grows(before[key], after[key])) for n, key in enumerate(keys)
        )
    if isinstance(before, list) and isinstance(after, list):
        last = len(before) - 1
        return len(before) <= len(after) and all(
            same(one, after[n]) or (n == last and grows(one, after[n])) for n, one in enumerate(before)
        )
    if isinstance(before, str) and isinstance(after, str):
        return after.startswith(before)
    return same(before, after)


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from strings_in(inner)


def test_partial_values_only_grow() -> None:
    """Every value is a beginning of the next; numbers, literals and keys are whole; no half escape or surrogate pair is shown."""
    for value, text in documents(250):
        out, error = parsed(list(text), strict=True)
        assert error is None
        for before, after in itertools.pairwise(out):
            assert grows(before, after)
        for each in out:
            assert grows(each, value)
            assert not any("\ud800" <= character < "\ue000" for string in strings_in(each) for character in string)


def test_values_come_with_the_chunk_that_changed_them() -> None:
    """One for each, none for white space; a value is shown as soon as it is certain."""
    assert list(
        sf.ParseJSON(strict=True).iter(["  ", "[", "1", "2", ", ", "tr", "ue", ' , "', "a", "\\u00", "e9", '"', "]", "  "])
    ) == [
        [],
        [12],
        [12, True],
        [12, True, ""],
        [12, True, "a"],
        [12, True, "aé"],
    ]


def test_snapshots_do_not_change() -> None:
    """Each value stays what it was; complete parts are shared; `live` gives one object."""
    for _, text in documents(150):
        kept: list[tuple[Any, Any]] = []
        for value in sf.ParseJSON(strict=True).iter(list(text)):
            kept.append((value, copy.deepcopy(value)))  # noqa: PERF401
        assert all(same(value, then) for value, then in kept)
    one, two = parsed(['{"a": [1], "b": "x', 'y"}'])[0]
    assert one["a"] is two["a"]
    live = list(sf.ParseJSON(live=True).iter(['{"a": [1], "b": "x', 'y"}']))
    assert live[0] is live[1]


def test_whole_strings() -> None:
    """With `strings="whole"` a string is there when it is complete."""
    assert list(sf.ParseJSON(strings="whole").iter(['{"a": "x', "y", 'z", "b', '": 1}'])) == [
        {},
        {"a": "xyz"},
        {"a": "xyz", "b": 1},
    ]


# ------------------------------------------------------------------ prose around it


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('Use {x}: {"a":1}', {"a": 1}),
        ('Sure! ```json\n{"a": [1, 2]}\n``` Anything else?', {"a": [1, 2]}),
        ('<think>Maybe {"a": 2}?</think>\n{"a": 1}', {"a": 1}),
        ('  <think>{"a": 2}', sf.TruncatedInput),
        ("<thin {} >", {}),
        ("see [the {docs}] or [1, 2]", [1, 2]),
        ("[[[[x]]]] [[0]]", [[0]]),
        ('{"a {"b": 3}', {"b": 3}),
        ('{"key" {"b": 3}', {"b": 3}),
        ('["abc {"b": 3}', sf.MalformedInput),  # a first element is complete
        ('["abc {', sf.TruncatedInput),
        ("```\n[]\n```", []),
        ("[]", []),
        ("- [ ] to do", sf.TruncatedInput),
        ("[ ] [", sf.TruncatedInput),
        ("[]\n{ ", sf.TruncatedInput),
        ("- [] to do\n[1]", [1]),
        ("no JSON at all", sf.TruncatedInput),
        ("", sf.TruncatedInput),
        ('"a string"', sf.TruncatedInput),
        ('{"a": 1} and {"b": 2}', {"a": 1}),
        ('{"a": 1} }}} [[[ "', {"a": 1}),
        ('{"a": x}', sf.MalformedInput),
        ('{"a": 1', sf.TruncatedInput),
        ("[1, x]", sf.MalformedInput),
        ('At [10:32:05] Ada said: {"a": 1}', {"a": 1}),
        ('See [3rd ed.], [4:0†source], [1-3], [true story], [nullable], [-]: {"a": 1}', {"a": 1}),
        ("[[2024-01-01] x] [12 \n 3] [[], 2024-01-01]", sf.MalformedInput),  # `[]` is an element
        ("[10:32:05] all fine.", sf.TruncatedInput),
        ("[0 , x]", sf.MalformedInput),
        ("see [1] and so on", [1]),
        ("see [[1.5e3 ] and so on", sf.MalformedInput),
        ("[0, " + "1" * 5000 + "]", sf.LimitExceeded),
        ("{} {}", {}),
        ('\ufeff{"a": 1}', {"a": 1}),
    ],
)
def test_prose_is_skipped(text: str, want: Any) -> None:
    """Only `{` or `[` opens a document, and only when it has shown that it is one; at every cut the same."""
    for pieces in cuts(text, len(text)):
        out, error = parsed(pieces)
        if isinstance(want, type):
            assert type(error) is want
        else:
            assert error is None
            assert same(out[-1], want)
            assert all(grows(value, want) for value in out)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('{"key": 1}', 6),
        ('{ "key"\n : 1}', 9),
        ('{"' + "k" * 200 + '": 1}', 203),
        ('{"a\\n": 1}', 6),
        ('[{"a": 1}]', 5),
        ('[ \n {"a" : 1}]', 9),
        ('[[{"a": 1}]]', 6),
        ("[[], 1]", 2),
        ("{}", 1),
        ("[{}]", 2),
        ('["a", 1]', 3),
        ("[12, 1]", 3),
        ("[12 , 1]", 4),
        ("[true]", 5),
        ("[[null , 1]]", 7),
        ('  {"a": 1}', 6),
    ],
)
def test_a_document_is_shown_with_the_character_that_shows_it(text: str, first: int) -> None:
    """Behind its first colon, `{}` or first complete element; how it begins does not matter, nor how long its first key is."""
    for size in (1, 2, 5, len(text)):
        machine = sf.ParseJSON[Any]().machine()
        given = [bool(machine.feed(text[at : at + size])) for at in range(0, len(text), size)]
        assert given.index(True) == first // size, (text, size)


@pytest.mark.parametrize("text", ["{", '{"', '{"a', '{"a"', "[", "[ {", '[{"a" ', '{"a":', '{"' + "k" * 100])
def test_a_beginning_alone_is_no_document(text: str) -> None:
    """Where the text ends before it has shown that it is one, there was none; behind the colon there was."""
    for pieces in cuts(text):
        out, error = parsed(pieces)
        assert isinstance(error, sf.TruncatedInput)
        assert error.offset == len(text)
        assert out == ([{}] if text.endswith(":") else [])


def test_brackets_without_end_are_searched_in_linear_time() -> None:
    """A hundred thousand brackets that are no document are looked at once, and so is what looks like keys and strings."""
    for text in ("[" * 9000 + "x", '{"' * 20_000, '["a' * 20_000, "[{" * 20_000, '{"[' * 20_000, "[1" + "[" * 1000 + "x" * 1000):
        kinds = {type(parsed(pieces, max_depth=10**6)[1]) for pieces in ([text], cut(text, *range(0, len(text), 1000)))}
        assert len(kinds) == 1


def test_open_brackets_cost_a_piece_nothing() -> None:
    """However deep what may be a document is, a piece takes no more steps: the open brackets are not gone through for each."""

    def steps(depth: int) -> int:
        counted = itertools.count()
        pieces = cut("[" * depth, *range(0, depth, 4))
        before = sys.getprofile()
        sys.setprofile(lambda *_: next(counted) and None)
        try:
            error = parsed(pieces, max_depth=depth)[1]
        finally:
            sys.setprofile(before)
        assert isinstance(error, sf.TruncatedInput)
        return next(counted)

    steps(4)  # what is made once
    assert steps(4000) < 4.5 * steps(1000)


# ------------------------------------------------------------------ several documents


@pytest.mark.parametrize("each", ["[1]\n", "{}", '{"a": 1}\n', "prose [2] "])
@pytest.mark.parametrize("strict", [False, True])
def test_many_documents_in_one_piece_are_read_in_linear_time(each: str, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind each the rest is copied: of a large piece no more than some thousand characters, however it is fed."""
    if strict and "prose" in each:
        return
    feed, read = Parser.feed, list[int]()

    def measured(parser: Any, text: str) -> int:
        read.append(len(text))
        return feed(parser, text)

    monkeypatch.setattr(Parser, "feed", measured)
    text, options = each * 5000, {"many": True, "strict": strict}
    for pieces in ([text], [text[:1], text[1:]], ["", text]):
        out, error = parsed(pieces, **options)
        assert error is None and [each.index for each in out if each.complete] == list(range(5000))
    assert sum(chars > STEP_CHARS + len(each) for chars in read) <= 1  # the piece itself, if a document was open before it


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('{"a":1}\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        ('\x1e{"a":1}\n\x1e[2]\n', [{"a": 1}, [2]]),
        ("1\n2 3", [1, 2, 3]),
        ('"a""b"null[]', ["a", "b", None, []]),
        ("", []),
        ("\n\n", []),
    ],
)
def test_several_documents(text: str, want: list[Any]) -> None:
    """NDJSON, JSON Text Sequences and documents in a row; each with its number, and whether it is complete."""
    for pieces in cuts(text):
        out, error = parsed(pieces, many=True, strict=True)
        assert error is None
        assert [(each.index, each.value) for each in out if each.complete] == list(enumerate(want))
        assert [each.index for each in out] == sorted(each.index for each in out)
    out, error = parsed(list('one: {"a": 1}, two: {"a": [2, 3]}.'), many=True)
    assert [each.value for each in out if each.complete] == [{"a": 1}, {"a": [2, 3]}]


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("text", "kind", "line", "column", "path"),
    [
        ('{"a": [1, 2,\n 3 4]}', sf.MalformedInput, 2, 4, ("a", 2)),
        ('{"a": {"b": tru}}', sf.MalformedInput, 1, 13, ("a", "b")),
        ('["a\nb"]', sf.MalformedInput, 1, 4, (0,)),
        ('{"a": 1.}', sf.MalformedInput, 1, 7, ("a",)),
        ('{"a" 1}', sf.MalformedInput, 1, 6, ("a",)),
        ("[1] x", sf.MalformedInput, 1, 5, ()),
        ('{"a": [1, {"b": "x', sf.TruncatedInput, 1, 19, ("a", 1, "b")),
        ("[1, 2", sf.TruncatedInput, 1, 6, (1,)),
        ("-", sf.TruncatedInput, 1, 2, ()),
        ('["\\u12', sf.TruncatedInput, 1, 7, (0,)),
        ("nul", sf.TruncatedInput, 1, 4, ()),
        ("[NaN]", sf.MalformedInput, 1, 2, (0,)),
        ("[-Infinity]", sf.MalformedInput, 1, 2, (0,)),
        ("\ufeff[1]", sf.MalformedInput, 1, 1, ()),
        ('["\\x"]', sf.MalformedInput, 1, 3, (0,)),
        ('[\n{"a": 1,\n "b": [2,\n\n3]}\n ,"' + "x" * 60 + '",\n\n\n  x]', sf.MalformedInput, 9, 3, (2,)),
        ("[" + "[1,\n2],\n" * 100 + "\n\nx]", sf.MalformedInput, 203, 1, (100,)),
    ],
)
def test_errors_say_where(text: str, kind: type[Exception], line: int, column: int, path: tuple[Any, ...]) -> None:
    """Malformed is told from truncated; line, column, offset and path are the same at every cut; no message shows the text."""
    for pieces in cuts(text):
        _, error = parsed(pieces, strict=True)
        assert type(error) is kind
        assert isinstance(error, sf.MalformedInput)
        assert (error.line, error.column, error.path) == (line, column, path)
        before = text.split("\n")[: line - 1]
        assert error.offset == sum(map(len, before)) + len(before) + column - 1


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("\ufeff1", "a byte order mark"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("None", "NaN is none, and None is written null"),
        ("True", "true"),
        ("False", "false"),
        ("'a'", "double quotation marks"),
    ],
)
def test_what_is_often_taken_for_json_is_named(value: str, hint: str) -> None:
    """The error says what stands there instead of a value, or what would be right."""
    for pieces in cuts(f'{{"a": {value}}}'):
        _, error = parsed(pieces)
        assert str(error).startswith(f"a value is missing: {hint}")


def test_everything_before_an_error_is_delivered() -> None:
    """What was certain is given first, however the text was cut."""
    for pieces in cuts('{"a": [1, 2], "b": x'):
        out, error = parsed(pieces)
        assert out[-1] == {"a": [1, 2]}
        assert isinstance(error, sf.MalformedInput)


def test_a_truncated_document_may_be_taken_as_it_is() -> None:
    """`truncated="partial"`: the last value is what there is; an empty stream gives none."""
    assert parsed(['{"a": [1, "x'], truncated="partial") == ([{"a": [1, "x"]}], None)
    assert parsed([], truncated="partial") == ([], None)
    assert isinstance(parsed(['{"a": x'], truncated="partial")[1], sf.MalformedInput)


def test_limits() -> None:
    """Depth, strings, keys and numbers, at every cut; Python's own limit on digits too."""
    for text, limit, options in (
        ("[[[[1]]]]", "max_depth", {"max_depth": 3}),
        ("[[" + "[1]," * 60 + "[[1]]]]", "max_depth", {"max_depth": 3}),
        ('["' + "a" * 11 + '"]', "max_string", {"max_string": 10}),
        ('{"' + "a" * 11 + '": 1}', "max_string", {"max_string": 10}),
        ("[" + "1" * 11 + "]", "max_string", {"max_string": 10}),
        ("[" + "1" * 5000 + "]", "digits", {}),
    ):
        for pieces in cuts(text):
            _, error = parsed(pieces, strict=True, **options)
            assert isinstance(error, sf.LimitExceeded), (text, pieces)
            assert error.limit == limit
    for pieces in cuts('{"a": "' + "x" * 20 + '"}'):
        assert parsed(pieces, max_string=10)[0][-1] == {"a": "x" * 10}  # what fits is shown, however it was cut
    assert parsed(["[[[1]]]"], max_depth=3)[1] is None


def test_many_brackets_in_one_piece_are_searched_in_linear_time() -> None:
    """A piece of prose is not copied for each bracket in it: half a million of them take no longer than they must."""
    text = "see {x} and [y], " * 60_000 + '{"a": 1}'
    assert parsed([text]) == ([{"a": 1}], None)


def test_what_is_too_deep_is_not_read_from_inside() -> None:
    """In prose too: the brackets around it are no prose."""
    for pieces in cuts("so: " + "[" * 9 + "1" + "]" * 9):
        assert isinstance(parsed(pieces, max_depth=5)[1], sf.LimitExceeded)


def test_depth_costs_no_recursion() -> None:
    """A hundred thousand levels, if that is allowed."""
    text = "[" * 100_000 + "]" * 100_000
    for pieces in ([text], cut(text, *range(0, len(text), 999))):
        out, error = parsed(pieces, strict=True, live=True, max_depth=100_000)
        assert error is None
        depth, value = 0, out[-1]
        while value:
            depth, value = depth + 1, value[0]
        assert depth == 99_999


def test_duplicate_keys() -> None:
    """The last wins, as in `json.loads`; or they are refused, at every cut."""
    text = '{"a": 1, "b": {"a": 2, "x": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "a": 3}, "a": 4}'
    for pieces in cuts(text):
        assert parsed(pieces)[0][-1] == json.loads(text)
        _, error = parsed(pieces, duplicates="raise")
        assert isinstance(error, sf.MalformedInput)
        assert error.path == ("b", "a")


def test_numbers_may_be_made_of_their_text() -> None:
    """`parse_float` and `parse_int`, as for `json.loads`; what they raise is raised."""
    from decimal import Decimal

    text = '{"a": [1.10, -2e5, 3], "b": 12345678901234567890.0}'
    for pieces in cuts(text):
        assert same(parsed(pieces, parse_float=Decimal, parse_int=str)[0][-1], json.loads(text, parse_float=Decimal, parse_int=str))
    with pytest.raises(ZeroDivisionError):
        list(sf.ParseJSON(parse_int=lambda text: 1 // 0).iter(["[1]"]))


# ------------------------------------------------------------------ streams


def test_which_text_is_read() -> None:
    """The answer of the first choice of the first response; `.on` another kind; events and other channels are dropped."""
    one, two = sf.Channel("answer", (0, 0, "content")), sf.Channel("answer", (0, 1, "content"))
    thought = sf.Channel("reasoning", (0, 0, "reasoning"))
    items: list[Any] = [
        sf.TextDelta('{"no": ', two),
        sf.TextDelta('{"b"', thought),
        sf.TextDelta('{"a": ', one),
        sf.TextDelta(": 2}", thought),
        sf.Usage({}),
        sf.TextDelta("1}", one),
        sf.Finish("stop"),
    ]
    assert list(sf.ParseJSON().iter(items)) == [{}, {"a": 1}]
    assert list(sf.ParseJSON().on("reasoning").iter(items)) == [{"b": 2}]
    with pytest.raises(ValueError, match="reads one kind of channel"):
        sf.ParseJSON().on("answer", "reasoning")
    with pytest.raises(TypeError, match="ParseJSON was fed dict where text is expected"):
        list(sf.ParseJSON().iter([{}]))


def test_a_stage_before_it_may_end_the_stream() -> None:
    """A refusal goes through; a stop leaves a truncated document."""
    with pytest.raises(sf.Blocked):
        list((sf.Block("bad") | sf.ParseJSON()).iter(['{"a": "bad"}']))
    with pytest.raises(sf.TruncatedInput):
        list((sf.StopAt("END") | sf.ParseJSON()).iter(['{"a": "END"}']))
    stopped: list[Any] = list((sf.StopAt("END") | sf.ParseJSON()).iter(['{"a": 1} END {']))
    assert stopped == [{"a": 1}]
    stopped = list((sf.StopAt("END") | sf.ParseJSON(truncated="partial")).iter(['{"a": "x END"}']))
    assert stopped == [{"a": "x "}]


def test_async_streams_close_their_source() -> None:
    """At the end, and on an error."""

    async def main(*pieces: str) -> tuple[list[Any], int]:
        source = ScriptedSource(pieces)
        out: list[Any] = []
        try:
            async with sf.ParseJSON()(source) as stream:
                async for value in stream:
                    out.append(value)  # noqa: PERF401
        except sf.MalformedInput:
            out.append("malformed")
        return out, source.closed

    assert asyncio.run(main('{"a": ', "1}")) == ([{}, {"a": 1}], 1)
    assert asyncio.run(main('{"a": ', "x}")) == ([{}, "malformed"], 1)


@pytest.mark.parametrize("model", [lambda: 3, print, 3, "Card", object(), str.upper])
def test_a_model_that_is_no_model(model: Any) -> None:
    """Refused when the stage is built, saying which argument."""
    with pytest.raises(ValueError, match="ParseJSON: model: "):
        sf.ParseJSON(model)


# ------------------------------------------------------------------ found by hostile testing


def test_leading_white_space_is_not_kept() -> None:
    """Nor looked at again for each piece: it may be followed by a thought, but it is none."""
    machine: Any = sf.ParseJSON().machine()
    for _ in range(50_000):
        machine.feed(" ")
    assert len(machine._search._tag) == 0
    assert [*machine.feed("<think>{}</think>"), *machine.feed('{"a": 1}')] == [{"a": 1}]


def test_wrong_bytes_are_placed_behind_what_was_right() -> None:
    """At every cut: what stands before is delivered, and the error has its place; an unfinished character is truncated."""
    raw = b'{"a":1,\n"b":"x\xff"}'
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))], [raw[:9], raw[9:]]):
        out, error = parsed(pieces)
        assert out[-1] == {"a": 1, "b": "x"}
        assert isinstance(error, sf.MalformedInput)
        assert (error.offset, error.line, error.column, error.path) == (14, 2, 7, ("b",))
    assert parsed([b'{"a":1}\xff'])[0] == [{"a": 1}]
    assert parsed([b'{"a":"x\xc3'], truncated="partial") == ([{"a": "x"}], None)
    assert isinstance(parsed([b'{"a":"x\xc3'])[1], sf.TruncatedInput)


def test_a_wrong_number_from_an_earlier_piece_has_its_place() -> None:
    """Whatever lines come behind it."""
    for pieces in cuts("[\n1.\n\n]", 3):
        _, error = parsed(pieces, strict=True)
        assert isinstance(error, sf.MalformedInput)
        assert (error.line, error.column, error.offset) == (2, 1, 2)


def test_an_empty_piece_changes_nothing() -> None:
    """Also inside a string."""
    assert parsed(['{"a":"x', "", "", '"}'])[0] == [{"a": "x"}]


def test_a_limit_that_is_met_in_prose_shows_nothing() -> None:
    """Nothing had shown that it was a document."""
    for text, options in (
        ('see ["this is long] {"a":1}', {"max_string": 5}),
        ('x [[[ {"a":1}', {"max_depth": 2}),
        ('[{"abcdef":1}]', {"max_string": 5}),
        ('[{"a":1}]', {"max_depth": 1}),
    ):
        for pieces in cuts(text):
            out, error = parsed(pieces, **options)
            assert (out, type(error)) == ([], sf.LimitExceeded)
    for text, where, options in (
        ("see [" + "1" * 5000 + "]", "before offset 5005", {}),
        ("<think>[</think>x [1] [[[1", "at offset 24", {"max_depth": 2, "many": True}),
        ('so {x} ["abcdef', "begins at offset 9", {"max_string": 5}),
        ("[" * 5000 + 'x: [["abcdef', "begins at offset 5006", {"max_string": 5, "max_depth": 9000}),
    ):
        for pieces in cuts(text):
            assert str(parsed(pieces, **options)[1]).endswith(where)
    prose = "x [1:2] [[" * 1200  # more than is searched at a time
    for before in (
        ["<think>a", "b</think>"],
        ["<think>a", "b</think>" + prose],
        [prose + "y"],
        [prose, prose + "y"],
        ["z\n", "[1:2] y"],
    ):
        pieces = [*before[:-1], before[-1] + '["abcdef']
        begins = len("".join(before)) + 2
        assert str(parsed(pieces, max_string=5, max_depth=9000)[1]).endswith(f"begins at offset {begins}"), pieces
    machine = sf.ParseJSON[Any](max_string=5).machine()
    assert [bool(machine.feed(character)) for character in '{"abcdef'] == [False] * 7 + [True]  # with the first that is too much
    assert parsed(["[" + " " * 12_000 + 'x] {"a":1}']) == ([{"a": 1}], None)


def test_what_makes_numbers_may_raise_anything() -> None:
    """What was certain before is delivered, in one piece too."""
    from decimal import Decimal, InvalidOperation

    text = '{"first": [1, 2, 3], "second": "abcdefghijklmnopqrstuvwxyz", "n": 1e9999999999999999999999}'
    for pieces in cuts(text):
        out: list[Any] = []
        with pytest.raises(InvalidOperation):
            for value in sf.ParseJSON(parse_float=Decimal).iter(pieces):
                out.append(value)  # noqa: PERF402
        assert out[-1] == {"first": [1, 2, 3], "second": "abcdefghijklmnopqrstuvwxyz"}
