r"""A finder of graphemes: what a reader takes for one character, the extended grapheme clusters of UAX #29.

Which characters belong together is known to the `regex` module, whose `\X` it is. What is known here is when one is complete: an
accent may still come to all characters but line feeds and controls, so the last is held until the next character is there.
"""

from __future__ import annotations

import regex

from streamfilter.segment.finders import Finder

CLUSTER = regex.compile(r"\X")
CLOSED = regex.compile(r"[\p{GCB=Control}\p{GCB=LF}]")  # GB4: nothing belongs to what stands before it


class Graphemes(Finder):
    """Grapheme clusters. What comes behind the end of the largest size begins another, whatever it is."""

    _held = ""  # the unfinished one

    def feed(self, text: str) -> list[int]:
        held = self._held + text
        start, most = self.start, self._max
        size = len(held)
        self._seen += len(text)
        if size <= most and held.isascii() and "\r" not in held:
            last = size - (held[-1:] >= " " and held[-1:] != "\x7f")
            ends = list(range(start + 1, start + last + 1))
            self._held = held[last:]
            self.start: int = start + last
            return ends
        ends = []
        at = 0
        while at < size:
            # A copy, since `\X` would see what stands before its place, also where the largest size has cut it off. It has one
            # character more than a unit may have, which shows whether an end there is natural.
            end = at + min(CLUSTER.match(held[at : at + most + 1]).end(), most)  # type: ignore[union-attr]  # it always matches
            if end == size and end - at < most and not CLOSED.match(held, end - 1):
                break
            at = end
            ends.append(start + end)
        self._held = held[at:]
        self.start = start + at
        return ends

    def cut(self) -> int | None:
        self._held = ""
        return super().cut()
