"""Rules that were taken over from somewhere else, and what could not be: it is listed, not dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from streamfilter.matching import Rule


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of what was to be taken over that was not.

    Attributes:
        rule: the name of the rule that it belongs to; "" if to all.
        what: the rule itself ("rule"), or which part of it.
        reason: why, and what holds instead.
    """

    rule: str
    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.rule or 'all rules'}: {self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TakenRules(Sequence[Rule]):
    """Rules, to be given to a stage: `Redact(*rules)`.

    Attributes:
        rules: in the order in which they were given.
        left_out: what was not taken over.
    """

    rules: tuple[Rule, ...]
    left_out: tuple[LeftOut, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Rule, ...]: ...
    def __getitem__(self, index: int | slice) -> Rule | tuple[Rule, ...]:
        return self.rules[index]

    def __len__(self) -> int:
        return len(self.rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)
