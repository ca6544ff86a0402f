"""Rows for the table of laws: stages that end a choice, and the one that takes citations out."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamfilter as sf
from streamfilter.testing.laws import AnyStage

ALPHABET = "ab A.\n1[]"


def limited(
    text: str,
    *,
    max_chars: int | None = None,
    max_words: int | None = None,
    max_lines: int | None = None,
    at: str = "sentence",
    suffix: str = "",
    max_back: int = 500,
) -> str:
    """`Limit`, by trying every beginning of a whole text. The sentences are the finder's: `test_segment` has their reference."""

    def keeps(part: str) -> bool:
        lines = part.count("\n") + (not part.endswith("\n") and part != "")
        pairs = (max_chars, len(part)), (max_words, len(part.split())), (max_lines, lines)
        return all(most is None or size <= most for most, size in pairs)

    longest = max(n for n in range(len(text) + 1) if keeps(text[:n]))
    shows = next(
        (n for n in range(longest, len(text)) if at == "char" or not text[n].isspace() or n == longest + max_back - 1), None
    )
    if shows is None:
        return text[:longest]
    text = text[: shows + 1]
    most = longest if max_chars is None else min(longest, max_chars - len(suffix))
    sentences = [len(text[:end].rstrip()) for end in sf.by_sentence(max_chars=10**9).start().feed(text)]
    words = [match.end() for match in re.finditer(r"\S+(?=\s)", text)]
    for kind, ends in (("sentence", sentences), ("word", words)):
        near = [end for end in ends if max(0, most - max_back) < end <= most]
        if near and at in ("sentence", kind):
            return text[: max(near)] + suffix
    return text[:most] + suffix


def unlooped(text: str, max_repeats: int, min_chars: int, max_period: int) -> str:
    """`Repetition`, by a regular expression on every beginning of a whole text."""
    looped = re.compile(rf"(?s)(.{{{min_chars},{max_period}}}?)\1{{{max_repeats}}}\Z")
    for end in range(len(text) + 1):
        units = [
            match[1]
            for start in range(end)
            if (match := looped.match(text[:end], start)) and start + len(match[1]) * (max_repeats + 1) == end
        ]
        if units:
            return text[: end - min(map(len, units))]
    return text


def _limit(**given: object) -> tuple[AnyStage, Callable[[str], str]]:
    """A row. The law of stops expects the reason "stop"."""
    return sf.Limit(reason="stop", **given), lambda text: limited(text, **given)  # type: ignore[arg-type]


# The law of stops lets a second choice say six characters without white space: these may not be too much.
LAWFUL: list[tuple[AnyStage, Callable[[str], str]]] = [
    _limit(max_chars=6),
    _limit(max_chars=7, suffix="…"),
    _limit(max_chars=9, max_back=4),
    _limit(max_words=2),
    _limit(max_words=2, max_back=3, suffix="…"),
    _limit(max_lines=1, suffix="…"),
    _limit(max_lines=2, max_words=3, max_chars=8),
    _limit(max_chars=6, at="word"),
    _limit(max_chars=8, at="word", max_back=3, suffix="…"),
    _limit(max_words=2, at="word", suffix="…"),
    _limit(max_lines=2, at="word"),
    _limit(max_chars=6, at="char"),
    _limit(max_chars=6, max_words=2, max_lines=2, at="char", suffix="……"),
    (sf.Repetition(max_repeats=3, min_chars=2, max_period=4, reason="stop"), lambda text: unlooped(text, 3, 2, 4)),
    (sf.Repetition(max_repeats=4, min_chars=2, max_period=2, reason="stop"), lambda text: unlooped(text, 4, 2, 2)),
    (sf.Citations(r"\[[a1]*\]"), lambda text: re.sub(r"\[[a1]*\]", "", text)),
    (sf.Citations(r"\[1+(?!a)", r"b\w"), lambda text: re.sub(r"\[1+(?!a)|b\w", "", text)),
    (sf.Citations(r"\[1+", keep=True), str),
]
