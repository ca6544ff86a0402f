"""Values by their paths: found in a stream as in the whole value, wherever the text was cut; and steps that build the value again."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import json
import pickle
import random
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

import streamfilter as sf
from streamfilter.json.events import JSONEvent, JSONEvents
from streamfilter.json.items import JSONItems
from streamfilter.json.parse import ParseJSON
from streamfilter.json.stages import JSONStage
from streamfilter.json.texts import JSONText
from streamfilter.parsing.paths import Follower, JSONPath
from streamfilter.testing import cut

# ------------------------------------------------------------------ references: RFC 9535 on a whole value, and JSON Patch

ANY = None

PATHS: list[tuple[str, list[tuple[str | int | None, bool]]]] = [
    ("$", []),
    ("$.a", [("a", False)]),
    ("$['a']", [("a", False)]),
    ('$["a"].b', [("a", False), ("b", False)]),
    ("$ [ 'a' ]\n .b", [("a", False), ("b", False)]),
    ("$.a[*]", [("a", False), (ANY, False)]),
    ("$.*", [(ANY, False)]),
    ("$[*].a", [(ANY, False), ("a", False)]),
    ("$[0]", [(0, False)]),
    ("$[1][0]", [(1, False), (0, False)]),
    ("$.a[1].b", [("a", False), (1, False), ("b", False)]),
    ("$['0']", [("0", False)]),
    ("$..a", [("a", True)]),
    ("$..['a']", [("a", True)]),
    ("$..[1]", [(1, True)]),
    ("$..*", [(ANY, True)]),
    ("$..[*]", [(ANY, True)]),
    ("$.a..b", [("a", False), ("b", True)]),
    ("$..a..b", [("a", True), ("b", True)]),
    ("$..a.b", [("a", True), ("b", False)]),
    ("$..a[*]", [("a", True), (ANY, False)]),
    ("$..*..a", [(ANY, True), ("a", True)]),
    ("$.*.*[1]", [(ANY, False), (ANY, False), (1, False)]),
    ("$.é_1", [("é_1", False)]),
    ("$['']", [("", False)]),
    (r"""$['\'"\u00e9\n\/\\\ud83d\ude00']""", [("'\"é\n/\\😀", False)]),
    (r"""$["\"'"]""", [("\"'", False)]),
    ("$['a.b[0]']", [("a.b[0]", False)]),
]
"""Paths, and what they mean: keys, indexes or anything, directly or anywhere below."""

REFUSED = {
    "": "begins with",
    "a.b": "begins with",
    " $": "begins with",
    "$ ": "no step",
    "$.a ": "no step",
    "$.": "no step",
    "$..": "no step",
    "$...a": "no step",
    "$. a": "no step",
    "$[": "no step",
    "$[]": "no step",
    "$['a": "no step",
    "$[a]": "no step",
    "$[01]": "no step",
    "$[+1]": "no step",
    "$[1.0]": "no step",
    r"$['\x']": "no step",
    r"$['\"']": "no step",
    r'$["\'"]': "no step",
    r"$['\ud800']": "no step",
    r"$['\udc00']": "no step",
    r"$['\ud800\u0041']": "no step",
    "$['\ud800']": "no step",
    "$['\t']": "no step",
    "$a": "other signs",
    "$.a-b": "other signs",
    "$.a.b c": "no step",
    "$.1": "begins with a digit",
    "$..1": "begins with a digit",
    "$[-1]": "from the end",
    "$.a[ -1 ]": "from the end",
    "$[1:2]": "slices",
    "$[::-1]": "slices",
    "$..[:2]": "slices",
    "$[?@.a]": "filters",
    "$.a[?(@.b > 1)]": "filters",
    "$['a', 'b']": "several selectors",
    "$[0,1]": "several selectors",
    "$[(@.length-1)]": "scripts",
    "$[9007199254740992]": "at most 9007199254740991",
}

Place = tuple[str | int, ...]


def children(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return (((*place, part), inner) for part, inner in parts)


def descendants(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    """A value and all inside, each before what is inside of it."""
    yield place, value
    for child in children(place, value):
        yield from descendants(*child)


def meant(steps: Sequence[tuple[str | int | None, bool]], value: Any) -> set[Place]:
    """Each selector applied to every node that the ones before it have selected, as RFC 9535 puts it."""
    nodes: list[tuple[Place, Any]] = [((), value)]
    for part, deep in steps:
        parents = [inner for node in nodes for inner in descendants(*node)] if deep else nodes
        nodes = [child for parent in parents for child in children(*parent) if part is None or is_same(child[0][-1], part)]
    return {place for place, _ in nodes}


def is_same(part: str | int, other: str | int) -> bool:
    return type(part) is type(other) and part == other


def closing(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    """All values in the order in which they end."""
    for child in children(place, value):
        yield from closing(*child)
    yield place, value


def items_of(steps: Sequence[tuple[str | int | None, bool]], value: Any) -> list[Any]:
    places = meant(steps, value)
    return [inner for place, inner in closing((), value) if place in places]


def rebuilt(events: Iterable[JSONEvent]) -> Any:
    """The value that events tell of, put together by their paths."""
    top: dict[Any, Any] = {}

    def put(place: Place, value: Any) -> None:
        inside = functools.reduce(lambda around, part: around[part], ("", *place)[:-1], top) if place else top
        if isinstance(inside, list):
            assert place[-1] == len(inside)
            inside.append(value)
        else:
            inside[place[-1] if place else ""] = value

    parts: list[str] = []
    for place, kind, value in events:
        if kind == "text":
            parts.append(value)
        elif kind == "string":
            parts = []
            put(place, parts)
        elif kind == "end":
            inside = functools.reduce(lambda around, part: around[part], ("", *place)[:-1], top) if place else top
            if inside[place[-1] if place else ""] is parts:
                inside[place[-1] if place else ""] = "".join(parts)
                parts = []
        else:
            put(place, {"object": {}, "array": [], "value": value}[kind])
    return top[""]


def patched(document: Any, operation: dict[str, Any]) -> Any:
    """One operation of JSON Patch, of those that come."""
    assert set(operation) == {"op", "path", "value"}
    value = json.loads(json.dumps(operation["value"]))
    parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    if operation["op"] == "test":
        assert parts == [] and document == value
        return document
    if not parts:
        assert operation["op"] == "add" or isinstance(document, str)
        return value
    inside = document
    for part in parts[:-1]:
        inside = inside[int(part) if isinstance(inside, list) else part]
    last = parts[-1]
    if isinstance(inside, dict):
        assert operation["op"] == "add" or last in inside
        inside[last] = value
    elif operation["op"] == "add":
        inside.insert(int(last), value)
        assert int(last) < len(inside)
    else:
        inside[int(last)] = value
    return document


# ------------------------------------------------------------------ documents and cuts

NAMES = ["a", "b", "a", "0", "", "é_1", "a.b[0]", "'\"é\n/\\😀", "\"'", "long name"]

DOCUMENTS: list[Any] = [
    {},
    [],
    {"a": 1, "b": 2},
    {"a": {"a": {"a": [1, {"a": None, "b": "x"}]}}},
    {"a": [{"b": 1, "c": "a rather long text, so that it is worth a scan"}, {"b": [True, {"b": -1.5e3}]}, "b", []]},
    [[0, 1, [2, 3]], [4, [5, 6, [7]]], {"0": [8]}],
    {"'\"é\n/\\😀": '\\ " \n \u0001 é 😀', "": {"": ""}, "é_1": [], "\"'": {}, "a.b[0]": 0},
    {"items": [{"id": n, "a": {"b": [n, "text " * n]}} for n in range(12)], "a": "the end"},
]


def random_value(rng: random.Random, depth: int = 5) -> Any:
    kind = rng.randrange(8 if depth else 5)
    if kind > 5:
        return {rng.choice(NAMES): random_value(rng, depth - 1) for _ in range(rng.randrange(5))}
    if kind > 3:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))] if depth else []
    return rng.choice([None, True, 0, -1, 12.5, 1e30, "", "b", "a text", '\\ " \n é 😀 \ud800', "lorem ipsum dolor sit amet " * 3])


def random_text(rng: random.Random, value: Any) -> str:
    return json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1]))


def ways(text: str, seed: int = 0, tries: int = 3) -> Iterator[list[str]]:
    """At once, one character at a time, and at random cuts."""
    rng = random.Random(f"{seed} {text!a}")
    yield [text]
    yield list(text)
    for _ in range(tries):
        yield cut(text, *(rng.randrange(len(text) + 1) for _ in range(rng.randint(1, 8))))


def run(stage: Any, pieces: Iterable[str]) -> tuple[list[Any], BaseException | None]:
    """What a stage gives, and what it raises then. A text is fed one character at a time."""
    out: list[Any] = []
    try:
        for item in stage.iter(list(pieces)):
            out.append(item)  # noqa: PERF402  # what came before an error counts
    except Exception as error:
        return out, error
    return out, None


def given_by(stage: Any, pieces: Iterable[str]) -> list[Any]:
    out, error = run(stage, pieces)
    assert error is None, repr(error)
    return out


def values(count: int, seed: int) -> Iterator[Any]:
    rng = random.Random(seed)
    return itertools.chain(DOCUMENTS, (random_value(rng) for _ in range(count)))


# ------------------------------------------------------------------ paths


@pytest.mark.parametrize(("text", "steps"), PATHS, ids=[text for text, _ in PATHS])
def test_a_path_means_what_the_rfc_says(text: str, steps: list[tuple[str | int | None, bool]]) -> None:
    """Of every value in every document it matches the places that its selectors select one after the other."""
    path = JSONPath(text)
    for value in values(60, 1):
        expected = meant(steps, value)
        assert {place for place, _ in descendants((), value) if path.matches(place)} == expected
        assert {place for place, _ in descendants((), value) if path.matches(list(place))} == expected


@pytest.mark.parametrize("text", [text for text, _ in PATHS])
def test_following_a_path_says_what_matching_does(text: str) -> None:
    """A follower is where the path is, and says that it goes on wherever something inside matches."""
    path = JSONPath(text)

    def follow(follower: Follower, place: Place, value: Any) -> None:
        assert follower.is_end == path.matches(place)
        assert follower.goes_on or not any(path.matches(inner) for inner, _ in descendants(place, value) if inner != place)
        if isinstance(value, dict | list):
            follower.begin(is_array=isinstance(value, list))
            for inner, child in children(place, value):
                if isinstance(part := inner[-1], str):
                    follower.key(part)
                follow(follower, inner, child)
            follower.end()
            assert follower.is_end == path.matches(place)
        follower.over()

    for value in values(20, 2):
        follow(Follower(path), (), value)


@pytest.mark.parametrize(("text", "hint"), REFUSED.items(), ids=repr)
def test_what_is_no_path_is_refused(text: str, hint: str) -> None:
    """When it is built, in one line, with what is wrong, where, and what is supported."""
    with pytest.raises(ValueError, match=hint) as refused:
        JSONPath(text)
    assert "\n" not in str(refused.value)
    assert "character" in str(refused.value) or hint == "begins with"
    assert "$ followed by .name" in str(refused.value) or "at most" in hint


def test_a_path_is_a_value() -> None:
    """It can be compared, hashed, pickled and shown; and stages take its text for it."""
    path = JSONPath("$.items[*]")
    assert path == JSONPath("$.items[*]") != JSONPath("$.items")
    assert {path: 1}[pickle.loads(pickle.dumps(path))] == 1
    assert repr(path) == "JSONPath('$.items[*]')"
    assert [JSONPath(text).opens for text in ("$", "$.a", "$[0]", "$[*]", "$..a", "$['0']")] == ["{[", "{", "[", "{[", "{[", "{"]
    for make in (JSONItems, JSONText):
        assert make("$.items[*]") == make(path) == pickle.loads(pickle.dumps(make(path)))
        assert repr(make(path)) == f"{make.__name__}(JSONPath('$.items[*]'))"
        assert hash(make(path)) == hash(make("$.items[*]"))
        with pytest.raises(ValueError, match="path: a JSONPath or its text is needed, not int"):
            make(3)  # type: ignore[arg-type,call-overload]
        with pytest.raises(ValueError, match="filters are not"):
            make("$[?@.a]")


# ------------------------------------------------------------------ items


@pytest.mark.parametrize(("text", "steps"), PATHS, ids=[text for text, _ in PATHS])
def test_items_are_the_values_at_the_path(text: str, steps: list[tuple[str | int | None, bool]]) -> None:
    """Those of the whole value, in the order in which they end, at every cut alike."""
    stage = JSONItems(text, strict=True)
    rng = random.Random(3)
    for value in values(25, 3):
        written = random_text(rng, value)
        expected = items_of(steps, json.loads(written))
        for pieces in ways(written):
            assert given_by(stage, pieces) == expected


@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES), inner)), st.sampled_from(PATHS), st.lists(st.integers(0, 200)))  # fmt: skip
def test_items_of_any_document(value: Any, path: tuple[str, list[tuple[str | int | None, bool]]], cuts: list[int]) -> None:
    """Any value, path and cuts."""
    written = json.dumps(value)
    assert given_by(JSONItems(path[0], strict=True), cut(written, *cuts)) == items_of(path[1], value)


def test_an_item_is_given_with_the_character_that_ends_it() -> None:
    """Not later: a container with its bracket, a string with its quote, a number with what cannot continue it."""
    machine = JSONItems("$.a[*]", strict=True).machine()
    given_at = {n: list(out) for n, char in enumerate('{"a": [12, "x", {"b": []}], "c": 1}') if (out := machine.feed(char))}
    assert given_at == {9: [12], 13: ["x"], 24: [{"b": []}]}


def test_equal_keys_are_values_of_their_own() -> None:
    """Each is given, whether the object came at once or not; inside of an item the last wins, as for `json.loads`."""
    text = '{"a": {"x": 1, "x": 2, "y": "%s"}, "a": [3], "a": 4}' % ("long " * 20)
    inner = {"x": 2, "y": "long " * 20}
    for pieces in ways(text):
        assert given_by(JSONItems("$.a"), pieces) == [inner, [3], 4]
        assert given_by(JSONItems("$..x"), pieces) == [1, 2]
        assert given_by(JSONItems("$"), pieces) == [json.loads(text)]
        out, error = run(JSONItems("$.a", duplicates="raise"), pieces)
        assert (out, type(error)) == ([], sf.MalformedInput)
        assert error.path == ("a", "x")  # type: ignore[union-attr]  # its type has just been checked


BROKEN: dict[str, tuple[list[Any], type[Exception]]] = {
    '{"a": [1, {"b": 2}, 3, oops], "c": 4}': ([1, {"b": 2}, 3], sf.MalformedInput),
    '{"a": [1, {"b": 2}, {"b": 3,}], "c": 4}': ([1, {"b": 2}], sf.MalformedInput),
    '{"a": [1, 2], "c": nul}': ([1, 2], sf.MalformedInput),
    '{"a": [1, 2]': ([1, 2], sf.TruncatedInput),
    '{"a": [1, [2, 3': ([1], sf.TruncatedInput),
    '{"a": [1, "tw': ([1], sf.TruncatedInput),
    '{"a": [1, "\x00"]}': ([1], sf.MalformedInput),
    '{"a": ["\\ud83d\\ude00", "\\x"]}': (["😀"], sf.MalformedInput),
    '{"a": [1, NaN]}': ([1], sf.MalformedInput),
    f'{{"a": [1, {"9" * 5000}]}}': ([1], sf.LimitExceeded),
    f'{{"a": [1, {"[" * 2000}': ([1], sf.LimitExceeded),
    '{"a": [1]} {"a": [2]}': ([1], sf.MalformedInput),
    "": ([], sf.TruncatedInput),
    " ": ([], sf.TruncatedInput),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.items(), ids=[text[:30] for text in BROKEN])
def test_what_is_complete_before_an_error_is_given(text: str, expected: tuple[list[Any], type[Exception]]) -> None:
    """Whatever is wrong, and at every cut alike."""
    for pieces in ways(text):
        out, error = run(JSONItems("$.a[*]", strict=True), pieces)
        assert (out, type(error)) == expected
    if expected[1] is sf.TruncatedInput:
        assert given_by(JSONItems("$.a[*]", strict=True, truncated="partial"), text) == expected[0]


def test_prose_and_several_documents() -> None:
    """Prose is skipped, a path tells which brackets can be meant, and each of many documents is gone through."""
    for pieces in ways('See [1] and {"a": [1, 2]}, or [3, {"a": [4]}].'):
        assert given_by(JSONItems("$.a[*]"), pieces) == [1, 2]
        assert given_by(JSONItems("$[0]"), pieces) == [1]
    for pieces in ways('{"a": 1}\n{"b": 2}\n{"a": [3]}\n'):
        assert given_by(JSONItems("$.a", many=True), pieces) == [1, [3]]
        assert given_by(JSONItems("$", many=True, strict=True), pieces) == [{"a": 1}, {"b": 2}, {"a": [3]}]
    assert given_by(JSONItems("$.nothing"), ['{"a": 1}']) == []


def test_what_was_given_is_not_kept() -> None:
    """Nor is what is not meant: memory does not grow with the document."""
    item = json.dumps({"text": "lorem ipsum " * 20, "rows": [[n] * 5 for n in range(20)]})

    def source(size: int) -> Iterator[str]:
        yield '{"other": ['
        for n in range(2 * 200):
            if n == 200:
                yield '0], "items": ['
            yield from (item[at : at + size] for at in range(0, len(item), size))
            yield ", "
        yield "0]}"

    for size in (100, 1_000_000):
        tracemalloc.start()
        assert sum(1 for _ in JSONItems("$.items[*]").iter(source(size))) == 201
        assert tracemalloc.get_traced_memory()[1] < 60_000
        tracemalloc.stop()


class Row(BaseModel):
    model_config = ConfigDict(strict=True)
    id: int
    day: dt.date | None = None
    pair: tuple[int, ...] = ()


ROWS = '{"rows": [{"id": 1, "day": "2024-05-01"}, {"id": 2, "pair": [1, 2]}, {"id": 3, "more": null}]}'


def test_a_model_makes_the_items() -> None:
    """Each is what pydantic makes of its text, by its rules for JSON, in strict models too."""
    expected = TypeAdapter(dict[str, list[Row]]).validate_json(ROWS)["rows"]
    for pieces in ways(ROWS):
        assert given_by(JSONItems("$.rows[*]", Row), pieces) == expected
        assert given_by(JSONItems("$.rows", list[Row]), pieces) == [expected]
    assert given_by(JSONItems("$[*]", Decimal, parse_float=Decimal), ["[1, 0.10000000000000000001]"]) == [
        1,
        Decimal("0.10000000000000000001"),
    ]
    assert given_by(JSONItems("$[*]", float), ["[1, 1e400, 12345678901234567890]"]) == [1.0, float("inf"), 12345678901234567890.0]


def test_a_value_that_does_not_fit_ends_the_stream() -> None:
    """With pydantic's own error, as of the value alone, behind those before it."""
    text = '{"rows": [{"id": 1}, {"id": 2}, {"id": "x", "pair": [1, "y"]}, {"id": 4}]}'
    with pytest.raises(ValidationError) as expected:
        Row.model_validate_json('{"id": "x", "pair": [1, "y"]}')
    for pieces in ways(text):
        out, error = run(JSONItems("$.rows[*]", Row), pieces)
        assert out == [Row(id=1), Row(id=2)]
        assert isinstance(error, ValidationError)
        assert [(each["loc"], each["type"]) for each in error.errors()] == [
            (each["loc"], each["type"]) for each in expected.value.errors()
        ]
    out, error = run(JSONItems("$[*]", str), r'["a", "\ud800"]')  # json.loads takes it, pydantic does not
    assert (out, type(error)) == (["a"], ValidationError)


def test_each_value_is_validated_once() -> None:
    """However many pieces it comes in."""
    asked: list[int] = []

    class Counting(BaseModel):
        id: int

        @field_validator("id")
        @classmethod
        def ask(cls, value: int) -> int:
            asked.append(value)
            return value

    assert [item.id for item in given_by(JSONItems("$[*]", Counting), '[{"id": 1}, {"id": 2}]')] == asked == [1, 2]


@pytest.mark.parametrize(("model", "hint"), [(3, "as a value: this is int"), (print, "a function is no model: print"), ("Row", "is a name"), (list["Nowhere"], "Nowhere"), (object(), "object")])  # type: ignore[name-defined]  # noqa: F821  # fmt: skip
def test_a_model_that_is_none_is_refused(model: Any, hint: str) -> None:
    """When the stage is built, in one line."""
    for build in (lambda: JSONItems("$", model), lambda: JSONEvents(patch=True, model=model)):
        with pytest.raises(ValueError, match=hint) as refused:
            build()
        assert "\n" not in str(refused.value)


# ------------------------------------------------------------------ text


def runs(items: Iterable[Any]) -> list[str]:
    """The texts between boundaries."""
    texts = [""]
    for item in items:
        if isinstance(item, str):
            assert item
            texts[-1] += item
        else:
            assert item == sf.Event(boundary=True)
            texts.append("")
    return texts


@pytest.mark.parametrize(("text", "steps"), [case for case in PATHS if "*" in case[0] or ".." in case[0]], ids=str)
def test_texts_are_the_strings_at_the_path(text: str, steps: list[tuple[str | int | None, bool]]) -> None:
    """Those of the whole value, in order, a boundary between two of them."""
    stage = JSONText(text, strict=True)
    searches = steps[-1][0] is None or steps[-1][1]
    rng = random.Random(4)
    for value in values(25, 4):
        written = random_text(rng, value)
        whole = json.loads(written)
        places = meant(steps, whole)
        found = [inner for place, inner in descendants((), whole) if place in places]
        if not searches and not all(isinstance(each, str | None) for each in found):
            continue
        for pieces in ways(written):
            assert runs(given_by(stage, pieces)) == ([each for each in found if isinstance(each, str)] or [""])


def test_text_leaves_when_it_arrives() -> None:
    """With each character; an escape with its last, a pair of surrogates as one."""
    machine = JSONText("$.a").machine()
    out = [
        "".join(item for item in machine.feed(char) if isinstance(item, str)) for char in r'{"b": "no", "a": "x\n\ud83d\ude00y"}'
    ]
    assert [(n, text) for n, text in enumerate(out) if text] == [(18, "x"), (20, "\n"), (32, "😀"), (33, "y")]
    assert list(JSONText("$.a").machine().feed(r'{"a": "x\n\u0041y", "b": 1}')) == ["x\nAy"]


def test_text_goes_on_through_text_stages() -> None:
    """Escapes do not hide a match, and none spans two strings."""
    hide = sf.Redact(r"\d{4}", to="#")
    for pieces in ways(r'{"a": "pin \u0031\u003234.", "b": 5678}'):
        assert JSONText("$.a").__or__(hide).apply("".join(pieces)) == "pin #."
        assert "".join(given_by(JSONText("$.a") | hide, pieces)) == "pin #."
    for pieces in ways('{"a": ["12", "34", "", "5678"], "b": "9"}'):
        assert runs(given_by(JSONText("$.a[*]") | hide, pieces)) == ["12", "34", "", "#"]
        assert runs(given_by(JSONText("$.a[*]") | sf.StopAt("34"), pieces)) == ["12", ""]
    for pieces in ways('{"a": "12"}\n{"b": 1}\n{"a": "34"}'):
        assert runs(given_by(JSONText("$.a", many=True) | hide, pieces)) == ["12", "34"]


@pytest.mark.parametrize(
    ("written", "kind"), {"1": "a number", "1.5": "a number", "true": "a literal", "{}": "an object", "[1]": "an array"}.items()
)
def test_text_of_what_is_no_string(written: str, kind: str) -> None:
    """Is refused where the path names one value, and passed over where it looks for strings; null and nothing are no text."""
    for pieces in ways(f'{{"b": "before", "a": {written}, "c": "behind"}}'):
        out, error = run(JSONText("$.a"), pieces)
        assert out == []
        assert isinstance(error, TypeError)
        assert str(error) == f"JSONText was given {kind} at $.a, where a string or null is expected"
        assert isinstance(run(JSONText("$.a", parse_int=str, parse_float=str), pieces)[1], TypeError)
        assert runs(given_by(JSONText("$.*"), pieces)) == ["before", "behind"]
        assert given_by(JSONText("$..a"), pieces) == []
    for text in ('{"a": null, "b": "x"}', '{"b": "x"}', '["x"]'):
        assert given_by(JSONText("$.a", strict=True), text) == []


def test_text_before_an_error_is_given() -> None:
    """Then the error comes, and what a stage behind still holds dies with it or leaves as its law says."""
    for pieces in ways('{"a": "some te'):
        out, error = run(JSONText("$.a"), pieces)
        assert ("".join(out), type(error)) == ("some te", sf.TruncatedInput)
        assert "".join(given_by(JSONText("$.a", truncated="partial"), pieces)) == "some te"
    for pieces in ways('{"a": "some\\te\nxt"}'):
        out, error = run(JSONText("$.a"), pieces)
        assert ("".join(out), type(error)) == ("some\te", sf.MalformedInput)


# ------------------------------------------------------------------ events and operations


def test_events_build_the_value() -> None:
    """Of any document, at every cut; apart from how its strings were cut they are the same."""
    rng = random.Random(5)
    for value in values(80, 5):
        written = random_text(rng, value)
        told = []
        for pieces in ways(written):
            events = given_by(JSONEvents(strict=True), pieces)
            assert rebuilt(events) == json.loads(written)
            groups = itertools.groupby(events, key=lambda event: event[:2])
            told.append([(key, "".join(event.value for event in group) if key[1] == "text" else [event.value for event in group]) for key, group in groups])  # fmt: skip
        assert all(each == told[0] for each in told)


def test_events_of_roots_prose_and_many_documents() -> None:
    """A scalar is a document if that is strict; others stand in prose; of many, each begins anew."""
    assert given_by(JSONEvents(strict=True), ["12"]) == [JSONEvent((), "value", 12)]
    assert given_by(JSONEvents(strict=True), ['""']) == [JSONEvent((), "string"), JSONEvent((), "end")]
    for pieces in ways('First {"a": 1, "a": []} and [2]'):
        assert rebuilt(given_by(JSONEvents(), pieces)) == {"a": []}
        events = given_by(JSONEvents(many=True), pieces)
        assert [event.kind for event in events] == ["object", "value", "array", "end", "end", "array", "value", "end"]
    out, error = run(JSONEvents(), '{"a": "te')
    assert (out[-1], type(error)) == (JSONEvent(("a",), "text", "e"), sf.TruncatedInput)


def snapshots(stage: JSONStage[Any], pieces: Sequence[str]) -> Iterator[list[Any]]:
    """What a stage gives after each piece, and at the end."""
    machine = stage.machine()
    for piece in pieces:
        yield list(machine.feed(piece))
    yield list(machine.finish())


@pytest.mark.parametrize("strings", ["partial", "whole"])
def test_operations_keep_a_copy_in_step(strings: Any) -> None:
    """After each piece it is the value so far; the last operation is the only test, of the whole."""
    rng = random.Random(6)
    for value in values(60, 6):
        written = random_text(rng, value).replace("\\ud800", "?").replace("\ud800", "?")
        for pieces in ways(written):
            copy: Any = "nothing"
            shown: Any = "nothing"
            operations: list[dict[str, Any]] = []
            for new, seen in zip(snapshots(JSONEvents(patch=True, strings=strings, strict=True), pieces), snapshots(ParseJSON(strings=strings, strict=True), pieces), strict=True):  # fmt: skip
                for operation in new:
                    copy = patched(copy, operation)
                operations += new
                shown = seen[-1] if seen else shown
                assert copy == shown
            assert copy == json.loads(written)
            assert [operation["op"] for operation in operations].index("test") == len(operations) - 1
            places = [operation["path"] for operation in operations if operation["op"] == "add"]
            assert strings == "partial" or "replace" not in {operation["op"] for operation in operations}
            assert len(places) == len(set(places)) <= len(list(descendants((), value)))


def test_operations_are_those_of_the_standard() -> None:
    """An implementation of JSON Patch by others makes the value of them."""
    jsonpatch = pytest.importorskip("jsonpatch")
    rng = random.Random(7)
    for value in values(40, 7):
        written = random_text(rng, value)
        for pieces in ways(written, tries=1):
            for strings in ("partial", "whole"):
                operations = given_by(JSONEvents(patch=True, strings=strings, strict=True), pieces)
                assert jsonpatch.JsonPatch(operations).apply(None) == json.loads(written)
                step: Any = {"old": 1}
                for operation in operations:
                    step = jsonpatch.JsonPatch([operation]).apply(step)
                assert step == json.loads(written)


def test_equal_keys_in_operations() -> None:
    """Another value of a key takes the place of the one before."""
    for pieces in ways('{"a": {"b": 1}, "a": "two", "a": [3, {"a": 4, "a": "5"}], "c": 6}'):
        operations = given_by(JSONEvents(patch=True), pieces)
        assert functools.reduce(patched, operations, None) == {"a": [3, {"a": "5"}], "c": 6}


def test_the_last_operation_says_that_the_value_is_valid() -> None:
    """It is missing where the value does not fit the model, was cut off, or is malformed; those before it are there."""
    for pieces in ways('{"id": 1, "day": "2024-05-01"}'):
        assert given_by(JSONEvents(patch=True, model=Row), pieces)[-1] == {
            "op": "test",
            "path": "",
            "value": {"id": 1, "day": "2024-05-01"},
        }
    for text, kind in {'{"id": "x"}': ValidationError, '{"id": "x"': sf.TruncatedInput, '{"id": "x",}': sf.MalformedInput}.items():
        for pieces in ways(text):
            operations, error = run(JSONEvents(patch=True, model=Row), pieces)
            assert type(error) is kind
            assert functools.reduce(patched, operations, None) == {"id": "x"}
            assert "test" not in {operation["op"] for operation in operations}
    assert given_by(JSONEvents(patch=True, truncated="partial"), ['{"a": [1, "x']) == [
        {"op": "add", "path": "", "value": {}},
        {"op": "add", "path": "/a", "value": []},
        {"op": "add", "path": "/a/0", "value": 1},
        {"op": "add", "path": "/a/1", "value": "x"},
    ]


def test_whole_strings_are_sent_once() -> None:
    """So that what is sent grows with the document, and not with its square."""
    sent = {}
    for chars in (1_000, 2_000):
        text = json.dumps({"a": "x" * chars})
        for strings in ("partial", "whole"):
            operations = given_by(JSONEvents(patch=True, strings=strings), [text[at : at + 4] for at in range(0, len(text), 4)])
            sent[strings, chars] = sum(len(json.dumps(operation)) for operation in operations)
    assert sent["whole", 2_000] < 2.1 * sent["whole", 1_000]
    assert 3 * sent["partial", 1_000] < sent["partial", 2_000] < 2_000**2 / 8 + 60 * 500


def test_what_is_only_for_operations_is_refused_without_them() -> None:
    """And several documents with them."""
    for wrong, hint in {"model": "model: of events", "strings": "strings: events"}.items():
        with pytest.raises(ValueError, match=hint):
            JSONEvents(**{wrong: {"model": int, "strings": "whole"}[wrong]})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="many: operations"):
        JSONEvents(patch=True, many=True)
    assert repr(JSONEvents(patch=True, strings="whole")) == "JSONEvents(patch=True, strings='whole')"
    assert dataclasses.replace(JSONEvents(), patch=True) == pickle.loads(pickle.dumps(JSONEvents(patch=True)))


def test_a_channel_is_chosen_and_explained() -> None:
    """Items of tool arguments, or of text that is read as JSON; and what is dropped is said."""
    channel = sf.Channel("tool_arguments", (0, 0, 0))
    deltas = [sf.TextDelta("no {", sf.Channel("answer", (0, 0))), sf.TextDelta('{"a": [1, ', channel), sf.TextDelta("2]}", channel)]
    stage: Any = JSONItems("$.a[*]").on("tool_arguments")
    assert list(stage.iter(deltas)) == [1, 2]
    assert list(JSONText("$.a").iter([b'{"a": "\xc3', b'\xa9"}'])) == ["é"]
    assert JSONText("$.a").explanation() == "the strings at $.a in the JSON of answer; all else is dropped"
    assert JSONItems("$.a").explanation() == "the values at $.a in the JSON of answer; all else is dropped"
    with pytest.raises(TypeError, match=r"Redact reads items, and JSONItems before it gives values"):
        _ = JSONItems("$.a") | sf.Redact("x")


@pytest.mark.parametrize(
    "stage",
    [sf.JSONEvents(patch=True, model=list[Any]), sf.JSONItems("$", list[Any]), sf.ParseJSON(list[Any])],
    ids=lambda stage: type(stage).__name__,
)
def test_what_pydantic_is_to_validate_is_no_deeper_than_it_reads(stage: Any) -> None:
    """At every cut the same error, which says where; it would be one of pydantic's, or of Python's recursion."""
    for depth in (199, 200, 201, 300, 999):
        text = "[" * depth + "]" * depth
        for pieces in ([text], cut(text, *range(1, len(text)))):
            if depth <= 200:
                assert list(stage.iter(pieces))
                continue
            with pytest.raises(sf.LimitExceeded, match=r"^max_depth of 200 exceeded: .*offset 200"):
                list(stage.iter(pieces))
