"""The stages beside sources that obey the laws of text stages, and what each does to a whole text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamfilter as sf

AnyStage = sf.Stage[Any, Any]

LAWFUL: list[tuple[AnyStage, Callable[[str], str]]] = [
    (sf.Collect(id), str),
    (sf.Collect(id, max_chars=3, channels=None), str),
]
