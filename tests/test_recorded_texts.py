"""Every text stage on the text of every recording whose format is known, against what the whole text becomes without our help."""

from __future__ import annotations

import itertools
import random
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import regex
from laws_shape import standard, strict, without_escapes
from recordings import body, index

import streamfilter as sf

ENTRIES = [
    entry
    for entry in index()
    if entry["text_chars"] and "nonjson_data" not in entry["features"] and entry["api"] != "bedrock-eventstream-invoke"
]

TABLE = str.maketrans({"e": "E", "q": None, " ": "  "})

STAGES: list[tuple[sf.Stage[str, str], Callable[[str], str]]] = [
    (sf.Words(), str),
    (sf.Lines(), str),
    (sf.Sentences(), str),
    (sf.Sentences("en", min_chars=40, max_chars=200), str),
    (sf.Paragraphs(), str),
    (sf.Graphemes(), str),
    (sf.Chunks(7), str),
    (sf.Segments(sf.by_words(3)), str),
    (sf.Markdown(), str),
    (sf.Normalize("NFC"), lambda text: unicodedata.normalize("NFC", text)),
    (sf.Normalize("NFKD"), lambda text: unicodedata.normalize("NFKD", text)),
    (sf.Strip(), str.strip),
    (sf.Collapse(), lambda text: re.sub(r"\s+", " ", text)),
    (sf.Translate(TABLE), lambda text: text.translate(TABLE)),
    (sf.Repetition(), str),
    (sf.Limit(max_chars=10**6), str),
    (sf.Collect(id), str),
    (sf.StripANSI(), without_escapes(4096)),
    (sf.Unicode(), standard),
    (sf.Unicode("strict"), strict),
    (sf.Citations(r"\[[0-9]+\]"), lambda text: re.sub(r"\[[0-9]+\]", "", text)),
    (sf.Extract("think") | sf.Drop("reasoning"), lambda text: regex.sub(r"(?s)<think>.*?(?:</think>|$)", "", text)),
]


CUT_ALIKE = (sf.Links(["example.org"]), sf.CodeFences(), sf.Pace(chars_per_second=50), sf.Coalesce(1))
"""What is read by real parsers elsewhere, or is about time: here only the cuts must not matter."""


def randomly(text: str, most: int) -> list[str]:
    """The text in pieces of random sizes."""
    rng = random.Random(most)
    cuts = [0]
    while cuts[-1] < len(text):
        cuts.append(min(len(text), cuts[-1] + rng.randint(1, most)))
    return [text[begin:end] for begin, end in itertools.pairwise(cuts)]


@pytest.mark.skipif(not ENTRIES, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_every_stage_on_the_text_of_every_recording(entry: dict[str, Any]) -> None:
    """As a whole, as it was cut, and cut anew; units are the same units."""
    came = list(sf.text_of([body(entry)]))
    text = "".join(came)
    assert len(text) == entry["text_chars"]
    for stage, means in STAGES:
        units: set[tuple[str, ...]] = set()
        for pieces in ([text], came, randomly(text, 3), randomly(text, 60)):
            out = [item for item in stage.iter(pieces) if isinstance(item, str)]
            assert "".join(out) == means(text), stage
            units.add(tuple(out))
        if isinstance(stage, sf.Words | sf.Lines | sf.Sentences | sf.Paragraphs | sf.Graphemes | sf.Chunks | sf.Segments):
            assert len(units) == 1
    for stage in CUT_ALIKE:
        given = {
            "".join(item for item in stage.iter(pieces) if isinstance(item, str)) for pieces in ([text], came, randomly(text, 3))
        }
        assert len(given) == 1, stage
    assert tuple(sf.Graphemes().iter(came)) == tuple(regex.findall(r"\X", text))
