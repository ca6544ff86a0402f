"""What a body is, told by its first bytes, in whatever pieces they come."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from streamfilter.providers.kinds import LINE_BYTES, Telling, kind_of

CHUNK = b'{"choices":[{"index":0,"delta":{"content":"a"}}]}'
PARTS = [
    *(b"data:", b"data: ", b"data: a", b"data: {", b'data: "a"', b"data: [DO", b"id: 1", b": c", b"event: x", b"even", b"x"),
    *(b"\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\r", b" ", b"\xef\xbb\xbf", b"\0", b"[", b"]", CHUNK, b"{", b"}", b",", b'"a"', b"1"),
]


def test_the_cuts_make_no_difference() -> None:
    """Nor what comes behind what has told it: no beginning of a body is told to be anything else."""
    for seed in range(3000):
        rng = random.Random(seed)
        body = b"".join(rng.choice(PARTS) for _ in range(rng.randint(0, 9)))
        kind = kind_of(body, is_whole=True)
        assert {kind_of(body[:end]) for end in range(len(body) + 1)} <= {None, kind}, body
        telling, told, at = Telling(), None, 0
        while told is None and at < len(body):
            size = rng.randint(1, 4)
            told = telling.feed(body[at : at + size])
            at += size
        assert (told or telling.finish()) == kind, body
        assert bytes(telling.head) == body[:at]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_two_lines_of_data_are_one_event(end: bytes) -> None:
    """So they are a text; only an empty line between them makes two events, whatever ends the lines."""
    assert kind_of(b"data: a" + end + b"data: b" + end + end, is_whole=True) == "text"
    assert kind_of(b"data: a" + end + end + b"data: b", is_whole=True) == "text-events"


def test_a_body_of_comments_alone_is_not_taken_for_text() -> None:
    """However many there are: a provider's events may follow them, and are found then."""
    assert kind_of(b": ping\n\n" * (LINE_BYTES // 8 + 1)) == "text-events"
    assert kind_of(b" " * LINE_BYTES) == "text"


@pytest.mark.parametrize(
    "flood",
    [
        lambda size: b"[" + CHUNK[:-1] + b',"l":[' + b'{"a":1},' * (size // 8),
        lambda size: CHUNK[:-1] + b',"l":[' + b'{"a":1},' * (size // 8),
        lambda size: b": ping\n\n" * (size // 8),
        lambda size: b"data: a\n" * (size // 8),
        lambda size: b"data: " + b"a" * size,
        lambda size: b"\n" * size,
    ],
    ids=["array", "line", "comments", "lines of data", "data", "blanks"],
)
def test_small_pieces_are_looked_at_in_linear_time(flood: Callable[[int], bytes]) -> None:
    """Four times the bytes take about four times as long, and not sixteen, where nothing tells it yet."""

    def taken(size: int) -> float:
        body, best = flood(size), float("inf")
        for _ in range(3):
            telling = Telling()
            begun = time.process_time()
            assert {telling.feed(body[at : at + 100]) for at in range(0, len(body), 100)} == {None}
            best = min(best, time.process_time() - begun)
        return best

    assert taken(600_000) < 10 * taken(150_000) + 0.02


def test_what_tells_it_is_told_at_once() -> None:
    """A text is known to be one by the byte that shows it, and does not wait for more, however much has come before."""
    for before, last, kind in [
        (b": ping\n\n" * 9999, b"x", "text"),
        (b"data: a\n" * 9999 + b"\n", b"data:", "text-events"),
        (b": ping\n\n" * 9999, b"data: {", "sse"),
        (b'{"message":{"content":"' + b"a" * 9999 + b'"},"done":false}', b"\n", "ndjson"),
    ]:
        telling = Telling()
        assert telling.feed(before) is None
        assert telling.feed(last) == kind
