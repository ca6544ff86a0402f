"""Server-sent events: `Decoder` against the algorithm of the standard, at every cut; `encode` there and back.

Run: `python tests/fuzz/fuzz_sse.py -max_total_time=300`

Source of the algorithm: WHATWG HTML, section 9.2.6, "Interpreting an event stream", written down here line by line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from fuzzing import RECORDING, SEED_BYTES, Draw, instrumented, run, ways

with instrumented(__name__, "streamfilter.providers.sse"):
    from streamfilter.errors import MalformedInput
    from streamfilter.providers.sse import Decoder, Frame, Seam, encode

MAX_BYTES = 3000
BOM = b"\xef\xbb\xbf"


def reference(raw: bytes) -> tuple[list[Any], Any]:
    """What the standard makes of each block of lines, (event, data, id, retry), and of what is left without an empty line.

    A block without data dispatches nothing, but is one here.
    """
    blocks = []
    block: dict[str, Any] = {"event": "", "data": None, "id": None, "retry": None}
    begun = False
    lines = re.split(r"\r\n|\n|\r", raw.decode("utf-8", "replace").removeprefix("\ufeff"))
    for number, line in enumerate(lines):
        if number == len(lines) - 1 and not line:
            break  # behind the last line end is no line
        if not line and number == 0 and raw.startswith(BOM):
            continue  # an empty line that a byte order mark stands in: it ends nothing, as nothing has begun
        begun = True
        if not line:
            blocks.append(tuple(block.values()))
            block, begun = {"event": "", "data": None, "id": None, "retry": None}, False
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value[:1] == " " else value
        if field == "data":
            block["data"] = value if block["data"] is None else f"{block['data']}\n{value}"
        elif (field == "id" and "\0" in value) or (field == "retry" and not re.fullmatch("[0-9]+", value)):
            continue
        elif field in block:
            block[field] = int(value) if field == "retry" else value
    return blocks, tuple(block.values()) if begun else None


def decoded(pieces: Sequence[bytes], most: int = 10**6) -> tuple[list[Frame], Any]:
    """All frames, and the place of an error."""
    decoder = Decoder(most)
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames.extend(decoder.feed(piece))
        frames.extend(decoder.finish())
    except MalformedInput as error:
        return frames, error.offset
    return frames, None


def check(case: bytes) -> None:
    """One case."""
    draw = Draw(case)
    what = draw.of(CHECKS)
    places = draw.places()
    option = draw.number(256)
    raw = draw.bytes()[:MAX_BYTES]
    what(raw, ways(raw, places), option)


def check_standard(raw: bytes, cuts: list[list[bytes]], option: int) -> None:
    """Frames are the blocks of the standard, and their bytes add up to the input."""
    want, rest = reference(raw)
    places: set[str] = set()
    for pieces in cuts:
        frames, error = decoded(pieces)
        assert error is None
        assert b"".join(frame.raw for frame in frames) == raw
        offset = 0
        for frame in frames:
            assert frame.offset == offset
            offset += len(frame.raw)
        said = [(frame.event, frame.data, frame.id, frame.retry) for frame in frames if frame.complete]
        assert said == want, (said, want)
        left = [(frame.event, frame.data, frame.id, frame.retry) for frame in frames if not frame.complete]
        assert left == ([rest] if rest else []) or (not rest and left == [("", None, None, None)]), (left, rest)
        places.add(repr([frame.stray for frame in frames]))
    assert len(places) == 1, places


def check_promptness(raw: bytes, cuts: list[list[bytes]], option: int) -> None:
    """After each byte, all blocks that have ended are there."""
    decoder = Decoder()
    count = 0
    for at in range(len(raw)):
        count += len([*decoder.feed(raw[at : at + 1])])
        assert count == len(reference(raw[: at + 1])[0])


def check_bound(raw: bytes, cuts: list[list[bytes]], option: int) -> None:
    """A frame that is too large is refused at its place, whatever the cuts; those before it are there."""
    most = option + 1
    ends = set()
    for pieces in cuts:
        frames, error = decoded(pieces, most)
        ends.add(repr(([(frame.data, frame.offset) for frame in frames], error)))
        if error is None:
            assert all(len(frame.raw) <= most + 1 for frame in frames)
    assert len(ends) == 1, ends


def check_seam(raw: bytes, cuts: list[list[bytes]], option: int) -> None:
    """What leaves as it came, with frames that are made among it, is the same at every cut."""
    sent = set()
    for pieces in cuts:
        decoder, seam, out, number = Decoder(), Seam(b"\n\n"), b"", 0
        for batch in [*pieces, None]:
            for frame in decoder.feed(batch) if batch is not None else decoder.finish():
                number += 1
                out += seam.made(b"data: made\n\n") if option >> number % 8 & 1 else seam.whole(frame)
        out += b"".join(seam.rest(is_cut=False))
        sent.add(out)
    assert len(sent) == 1, sent
    if not option:
        assert sent == {raw}


def check_round_trip(raw: bytes, cuts: list[list[bytes]], option: int) -> None:
    """What is written is read again; only line ends become line feeds."""
    name, identity = (("", None), ("delta", "7"), ("a: b ", ""), (" x", "é:"))[option % 4]
    text = raw.decode(errors="replace")
    for pieces in ways(encode(text, event=name, id=identity), [option]):
        frames, error = decoded(pieces)
        assert error is None
        assert [(frame.event, frame.id, frame.complete) for frame in frames] == [(name, identity, True)]
        assert frames[0].data == re.sub(r"\r\n|\r", "\n", text)


CHECKS = (check_standard, check_promptness, check_bound, check_seam, check_round_trip)


def seeds() -> Iterator[bytes]:
    """The recording that is shipped, and each rule of the format once, for each of the checks."""
    raw = RECORDING.read_bytes()[:SEED_BYTES]
    lines = [
        raw,
        raw.replace(b"\n", b"\r\n"),
        raw.replace(b"\n", b"\r")[:400],
        b"\xef\xbb\xbf: hi\n\ndata:a\ndata\ndata:  b\nevent: e\nid: 1\nretry: 10\n\nid\r\rid: a\0b\r\n\r\nother\nretry: 1a\n\n",
        b"data: \xc3\xa9\xf0\x9f\x8e\x89\xff\n\ndata: open",
    ]
    for number in range(len(CHECKS)):
        for line in lines:
            yield line + bytes([64, 128, 2, number])


if __name__ == "__main__":
    run(check, seeds())
    sys.exit()
