"""Timed stages and what they mean: in the table of laws."""

from __future__ import annotations

from collections.abc import Callable

import streamfilter as sf
from streamfilter.testing.laws import AnyStage

LAWFUL: list[tuple[AnyStage, Callable[[str], str]]] = [
    (sf.Pace(delay=0.001), str),
    (sf.Pace(chars_per_second=100, by="char", max_lag=0.5), str),
    (sf.Pace(delay=0.01, by="chunk", channels=None), str),
    (sf.Pace(chars_per_second=1000, by="line"), str),
    (sf.Coalesce(3600, max_chars=3), str),
    (sf.Coalesce(3600, max_chars=1, channels=None), str),
    (sf.Coalesce(3600), str),
]
"""The reference is the text itself. The seconds are such that in the time the laws give a source nothing depends on them."""
