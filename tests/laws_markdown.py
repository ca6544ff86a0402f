"""The rows of the table of laws for `Markdown`: it changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import streamfilter as sf
from streamfilter.testing.laws import AnyStage

LAWFUL: list[tuple[AnyStage, Callable[[str], str]]] = [
    (sf.Markdown(), str),
    (sf.Markdown(max_hold=3), str),
    (sf.Markdown() | sf.Pace(delay=0.001), str),
]

ALPHABET = "ab *_`[](<|-\n"

LAWFUL3: list[tuple[AnyStage, Callable[[str], str], str]] = [
    *((stage, means, ALPHABET) for stage, means in LAWFUL),
    (sf.Markdown(max_hold=1), str, "a*[]\n|- >"),
    (sf.Markdown(channels=("answer", "reasoning")), str, "#a=~\\&;!`\n1."),
]
