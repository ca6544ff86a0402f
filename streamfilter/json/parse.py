"""`ParseJSON`: the value of a document while it arrives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamfilter.json.documents import Reading
from streamfilter.json.stages import JSONStage
from streamfilter.json.tree import Tree
from streamfilter.pipeline import stage


@dataclass(frozen=True, slots=True)
class Document:
    """One of several documents, as far as it has come.

    Attributes:
        index: its number, from 0.
        value: what it is so far.
        complete: whether that is all.
    """

    index: int
    value: Any
    complete: bool


@stage
class ParseJSON(JSONStage):
    """Give the value of a JSON document after each chunk that changed it. The last is the value that `json.loads` gives.

    Containers only grow, strings are beginnings of what they will be, numbers, literals and keys are there when they are whole.

    Args:
        live: gives one and the same object each time, which grows; else each value stays what it was, and shares its complete parts
            with those after it.
        many: gives a `Document` for each of several documents; see `strict`.
        strings: whether strings are there while they grow (`"partial"`), or when they are `"whole"`.

    Raises:
        MalformedInput: while streaming: what is no JSON, where, and on which path.
        TruncatedInput: while streaming: the text ended inside the document, or without one.
        LimitExceeded: while streaming.

    Example:
        >>> import streamfilter as sf
        >>> for value in sf.ParseJSON().iter(['Sure: {"a": [1, 2', '3, "so', ' on"]} Bye.']):
        ...     print(value)
        {'a': [1]}
        {'a': [1, 23, 'so']}
        {'a': [1, 23, 'so on']}
    """

    live: bool = dataclasses.field(default=False, kw_only=True)
    many: bool = dataclasses.field(default=False, kw_only=True)
    strings: Literal["partial", "whole"] = dataclasses.field(default="partial", kw_only=True)

    @property
    def has_many(self) -> bool:
        return self.many

    def reading(self, number: int) -> Reading:
        return _Values(self, number)


class _Values(Tree, Reading):
    """One document of `ParseJSON`."""

    def __init__(self, stage: ParseJSON, number: int) -> None:
        super().__init__(strings=stage.strings == "partial")
        self._stage = stage
        self._number = number
        self._given = 0

    def given(self) -> Sequence[Any]:
        if self.changes == self._given:
            return ()
        self._given = self.changes
        return self._shown(complete=False)

    def finish(self) -> Sequence[Any]:
        return self._shown(complete=True) if self._stage.many or self.changes > self._given else ()

    def _shown(self, *, complete: bool) -> Sequence[Any]:
        value = self.root if self._stage.live else self.snapshot()
        return (Document(self._number, value, complete),) if self._stage.many else (value,)
