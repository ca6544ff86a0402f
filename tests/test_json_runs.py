"""Arrays in long pieces, whose elements are read at once: the same values, places and limits as one character at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.parsing import scanner
from streamfilter.parsing.parser import Limits, Parser
from streamfilter.parsing.tree import Tree

ELEMENTS: dict[str, Callable[[random.Random], Any]] = {
    "numbers": lambda rng: rng.choice([0, -1, 1.5, 10**20, 12]),
    "strings": lambda rng: rng.choice(["", "a", 'b",', "],", '\\"}, {"', "é\u2028", "},"]),
    "arrays": lambda rng: [rng.choice([1, "],", []]) for _ in range(rng.randint(0, 4))],
    "objects": lambda rng: {"a": rng.choice([1, "},", {}, [{"b": 1}, {"b": 2}]]), "text": "x" * rng.randint(0, 300)},
    "nested objects": lambda rng: {"rows": [{"n": n, "s": "},{"} for n in range(rng.randint(0, 40))]},
    "all kinds": lambda rng: rng.choice([1, None, "a,", [1, [2]], {"k": {}}, True]),
}


def pieces(text: str, rng: random.Random) -> Iterator[list[str]]:
    yield [text]
    for size in (1, 300, 1000, 5000):
        yield [text[at : at + size] for at in range(0, len(text), size)]
    cuts = sorted(rng.sample(range(len(text)), 5))
    yield [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize("kind", ELEMENTS)
def test_values_are_those_of_json_loads(kind: str) -> None:
    """Of every kind of element, however the text is cut: of the whole document, and of one place in it."""
    rng = random.Random(kind)
    for seed in range(4):
        items = [ELEMENTS[kind](rng) for _ in range(rng.randint(50, 200))]
        value = {"before": [items[:3], []], "items": items, "after": {"all": items[-5:]}}
        text = json.dumps(value, indent=rng.choice([None, 1]), separators=(",", ":") if seed % 2 else None)
        for cut in pieces(text, rng):
            for live in (False, True):
                assert list(sf.ParseJSON(strict=True, live=live).iter(cut))[-1] == value
            assert list(sf.JSONItems("$.items[*]").iter(cut)) == items
            assert list(sf.JSONItems("$.items[7]").iter(cut)) == items[7:8]


def test_large_pieces_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a part ends: between elements, inside of one, or inside of one that is longer than it."""
    rng = random.Random(5)
    parts = (scanner.RUN_MOST, 300, 257)
    for element in ELEMENTS.values():
        items = [element(rng) for _ in range(2000)]
        items[700] = {"long": ["},{" * 20_000, *items[:600]]}
        items[1400] = "x," * 30_000
        text = json.dumps({"items": items})
        for most in parts:
            monkeypatch.setattr(scanner, "RUN_MOST", most)
            for cut in ([text], [text[at : at + 50_000] for at in range(0, len(text), 50_000)]):
                assert list(sf.JSONItems("$.items[*]").iter(cut)) == items
                assert list(sf.ParseJSON(strict=True, live=True).iter(cut))[-1] == {"items": items}


def test_a_type_validates_each_of_them() -> None:
    """Pydantic reads each text of a long list as the number that the type wants."""
    text = json.dumps({"items": [str(n) for n in range(500)]})
    for cut in pieces(text, random.Random(1)):
        assert list(sf.ParseJSON(dict[str, list[int]]).iter(cut))[-1] == {"items": list(range(500))}
        assert list(sf.JSONItems("$.items[*]", int).iter(cut)) == list(range(500))


def test_an_error_has_its_place_and_path() -> None:
    """Whatever the piece, what is wrong is at the same place; what was complete before it has been given."""
    good = [{"a": n} for n in range(200)]
    text = json.dumps({"items": good})[:-2] + ', {"a": 01}, {"a": 2}]}'
    for cut in pieces(text, random.Random(2)):
        found: list[Any] = []
        with pytest.raises(sf.MalformedInput) as raised:
            for item in sf.JSONItems("$.items[*]").iter(cut):
                found.append(item)  # noqa: PERF402  # what came before the error counts
        assert found == good
        assert raised.value.path == ("items", 200, "a")
        assert raised.value.offset == text.index(" 01") + 1


def test_a_comma_that_nothing_follows_is_malformed() -> None:
    """Also behind hundreds of elements that were read in one go."""
    for end in (", ]", ",]", ", }"):
        text = json.dumps(list(range(300)))[:-1] + end + " " * 300
        for cut in pieces(text, random.Random(3)):
            with pytest.raises(sf.MalformedInput):
                list(sf.ParseJSON(strict=True).iter(cut))


def test_limits_hold_inside_of_them() -> None:
    """Depth, length of strings and equal keys are looked at in elements that are read in one go as well."""
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    text = json.dumps([[1]] * 200 + [deep])
    assert list(sf.ParseJSON(max_depth=21).iter([text]))[-1] == json.loads(text)
    with pytest.raises(sf.LimitExceeded):
        list(sf.ParseJSON(max_depth=20).iter([text]))
    with pytest.raises(sf.LimitExceeded):
        list(sf.ParseJSON(max_string=50).iter([json.dumps(["a" * 51] * 20)]))
    twice = json.dumps([{"a": 1}] * 100)[:-1] + ', {"b": 1, "b": 2}]'
    with pytest.raises(sf.MalformedInput):
        list(sf.ParseJSON(duplicates="raise", strict=True).iter([twice]))


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"b":{"c":' + "{" + ",".join(f'"k{n}":[1,2]' for n in range(4000)),
        "[1," * 4000,
        '[["a",' * 4000,
        '[{"a":[{"b":1},{"c":' * 2000,
    ],
    ids=["many arrays in an object", "nested arrays", "nested behind strings", "nested in objects"],
)
def test_what_is_looked_at_twice_is_bounded(text: str) -> None:
    """Tries that fail, or that take little of what they look at, are few."""
    looked_at = 0
    parser = Parser(Tree(), Limits(max_depth=10**6))
    scanner: Any = parser._scanner
    scan = scanner._scan

    def counting(text: str, at: int) -> Any:
        nonlocal looked_at
        looked_at += len(text) - at
        return scan(text, at)

    scanner._scan = counting
    parser.feed(text)
    assert looked_at <= 8 * len(text)
