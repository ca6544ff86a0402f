"""The fuzz targets hold for their seeds and for damaged ones, and what they found stays mended. Fuzzing itself: tests/fuzz/README.md."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import fuzz_json
import fuzz_matching
import fuzz_sse
import pytest

from streamfilter.errors import MalformedInput
from streamfilter.providers.sse import Decoder, encode

TARGETS = {"json": fuzz_json, "matching": fuzz_matching, "sse": fuzz_sse}
ROUNDS = 400
PIECES = (
    b"[",
    b"]",
    b'{"',
    b'"',
    b",",
    b":",
    b"\\",
    b"\\u00",
    b"1e",
    b"-0",
    b"\n",
    b"\r",
    b"\r\n",
    b"data: ",
    b"\xff",
    b"\xc3",
    b"a",
)


def damaged(seeds: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """Seeds with something taken out, put in and put together, and other decisions."""
    for _ in range(ROUNDS):
        case = bytearray(rng.choice(seeds)[:300])
        for _ in range(rng.randint(0, 5)):
            at, other = rng.randint(0, len(case)), rng.choice(seeds)
            begin = rng.randint(0, len(other))
            case[at : at + rng.choice((0, 0, 1, 4))] = rng.choice(
                (b"", rng.choice(PIECES), other[begin : begin + rng.randint(1, 20)])
            )
        yield bytes(case) + rng.randbytes(9)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds_and_for_damaged_ones(name: str) -> None:
    """Without atheris: what it adds is that it looks for new ways through the code."""
    target = TARGETS[name]
    seeds = list(target.seeds())
    check: Callable[[bytes], None] = target.check
    for case in (*seeds, *damaged(seeds, random.Random(name))):
        check(case)
    for decision in range(len(target.CHECKS)):
        check(bytes([decision]))
    check(b"")


# ------------------------------------------------------------------ what was found in event streams; in JSON: test_mutants_parsing.py


def test_a_time_to_wait_of_thousands_of_digits_is_read_and_raises_nothing() -> None:
    """Python converts no more than 4,300 digits; a server may send more, and that is no reason to end the stream."""
    for digits in (20, 640, 4301, 100_000):
        raw = b"retry: " + b"9" * digits + b"\ndata: a\n\n"
        for pieces in ([raw], [raw[:9], raw[9:]]):
            decoder = Decoder()
            (frame,) = [frame for piece in pieces for frame in decoder.feed(piece)]
            assert frame.data == "a"
            assert frame.retry == (int("9" * digits) if digits <= 640 else None)


@pytest.mark.parametrize(("end", "shown"), [("\n", " "), ("\r", " "), ("\r\n", " "), ("\n\n", "  ")])
def test_what_a_name_says_cannot_begin_another_event(end: str, shown: str) -> None:
    """Names and ids that come out of what a server sends are one line, whatever stands in them."""
    raw = encode("text", event=f"delta{end}data: more", id=f"7{end}event: error")
    (frame,) = Decoder().feed(raw)
    assert frame.data == "text"
    assert (frame.event, frame.id) == (f"delta{shown}data: more", f"7{shown}event: error")


@pytest.mark.parametrize("raw", [b"data: a\r\n\r\n", b"data: a\n\r\n", b"\r\n", b": a\r\r\n", b"data: a\n\n", b"data: a\r\r"])
def test_the_bound_of_a_frame_does_not_depend_on_the_cuts(raw: bytes) -> None:
    """The line feed that may come behind a frame has no part in it: the frame has left by then."""
    size = len(raw) - raw.endswith(b"\r\n")
    for more in (b"", b"data: b"[: size - 1]):
        whole = raw + more
        for at in range(len(whole) + 1):
            for most, fits in ((size, True), (size - 1, False)):
                decoder = Decoder(most)
                try:
                    count = sum(len([*decoder.feed(piece)]) for piece in (whole[:at], whole[at:]))
                except MalformedInput as error:
                    assert (error.offset, fits) == (0, False)  # noqa: PT017
                else:
                    assert count == 1
                    assert fits
