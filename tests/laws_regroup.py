"""The regrouping stages in the table of laws: joined they give the text again."""

from __future__ import annotations

from collections.abc import Callable

import streamfilter as sf
from streamfilter.testing.laws import AnyStage


def two_digits(text: str) -> int | None:
    """A user's boundary: behind the second digit."""
    digits = [at for at, char in enumerate(text) if char.isdigit()]
    return digits[1] + 1 if len(digits) > 1 else None


def blank_or_all(text: str) -> int | None:
    """And what it does with the rest."""
    return text.find(" ") + 1 or None


LAWFUL3: list[tuple[AnyStage, Callable[[str], str], str]] = [
    (sf.Words(), str, "ab \n12"),
    (sf.Words(max_chars=2), str, "ab \n"),
    (sf.Lines(), str, "a\r\n"),
    (sf.Lines(max_chars=3), str, "a\r\n"),
    (sf.Paragraphs(), str, "a \r\n\n"),
    (sf.Paragraphs(max_chars=3), str, "a \n"),
    (sf.Sentences(), str, "aB.? \n1"),
    (sf.Sentences("de"), str, "zZ.B? 1M"),
    (sf.Sentences(min_chars=3, max_chars=5), str, "aB.,? \n"),
    (sf.Graphemes(), str, "a\r\n\u0301\u200d👩🇩क\u094d"),
    (sf.Graphemes(max_chars=2), str, "a\r\n\u0301\u200d👩🇩"),
    (sf.Chunks(3), str, "ab \n12"),
    (sf.Segments(two_digits, at_end=blank_or_all), str, "ab 12"),
    (sf.Segments(two_digits, max_chars=4), str, "ab 12"),
    (sf.Segments(sf.by_words(2)), str, "ab \n12"),
]
"""Each with its meaning on the whole text, and the characters of the texts."""
