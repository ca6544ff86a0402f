"""The JSON stages against two parsers that others wrote: partial-json-parser for values that grow, ijson for complete items."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.testing import cut

ijson: Any = pytest.importorskip("ijson")
partial: Any = pytest.importorskip("partial_json_parser")

GROWING = partial.Allow.STR | partial.Allow.OBJ | partial.Allow.ARR
"""What may be unfinished, of what is shown: numbers and literals may not."""

TEXTS = ["", "a", "it runs along", "é", 'say "no"', "a\\b", "line\nline", "\t", "/", "tail "]


def a_value(rng: random.Random, depth: int = 3) -> Any:
    """A random value; an object or an array at the root, which is what may stand in prose."""
    kind = rng.randint(0, 5) if depth < 3 else rng.randint(4, 5)
    if kind == 0 or (kind > 3 and not depth):
        return rng.choice(TEXTS)
    if kind == 1:
        return rng.choice([0, -1, 12, 1.5, 2.5e-7, 10**15])
    if kind < 4:
        return rng.choice([True, False, None])
    if kind == 4:
        return [a_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {rng.choice(["", "a", "b", 'k"', "é"]): a_value(rng, depth - 1) for _ in range(rng.randint(0, 4))}


@pytest.mark.parametrize("seed", range(60))
def test_what_is_shown_is_what_partial_json_parser_makes_of_the_prefix(seed: int) -> None:
    """For each prefix of a document that shows that it is one. It strips white space, which may be a string's, or end a number."""
    rng = random.Random(seed)
    text = json.dumps(a_value(rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 2]))
    machine = sf.ParseJSON().machine()
    shown: Any = None
    for at, character in enumerate(text):
        for value in machine.feed(character):
            shown = value
            prefix = text[: at + 1]
            assert prefix[-1].isspace() or shown == partial.loads(prefix, GROWING), prefix
    machine.finish()
    assert shown == (json.loads(text) or shown)


@pytest.mark.parametrize("seed", range(60))
def test_items_are_those_of_ijson(seed: int) -> None:
    """One character at a time, at random cuts and at once."""
    rng = random.Random(seed)
    document = {"head": a_value(rng), "items": [a_value(rng, 2) for _ in range(rng.randint(0, 9))], "tail": a_value(rng)}
    text = json.dumps(document, indent=rng.choice([None, 1]))
    want = list(ijson.items(io.BytesIO(text.encode()), "items.item", use_float=True))
    for pieces in ([text], list(text), cut(text, *(rng.randint(0, len(text)) for _ in range(9)))):
        assert list(sf.JSONItems("$.items[*]").iter(pieces)) == want
