"""Text whose pieces stay whole for a stage that lets it leave bit by bit. What makes a piece whole is not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from streamfilter.items import PLAIN, Item, TextDelta
from streamfilter.lift import Lift
from streamfilter.runs import Held

_Cut: TypeAlias = Callable[[str], list[str]]


class Unbreaking(Lift):
    """A `Lift` that can be told in which units a stage behind it wants its text; see `Unbroken`. Before that it is as any other.

    Each unit is fed by itself, so what leaves then is as little as may leave; in one piece, if its text machine says so.

    Example:
        >>> import streamfilter as sf
        >>> context = sf.Context()
        >>> machine = sf.Markdown().machine(context)
        >>> context.unbroken[0].give_units(str.split, ["answer"])
        >>> machine.feed("so**very bold**words")
        ['so', '**verybold**words']
    """

    def __init__(self, *args: Any, kinds: Sequence[str] | None, **kwargs: Any) -> None:
        super().__init__(*args, kinds=kinds, **kwargs)
        self._given = kinds
        self._wanted: tuple[tuple[_Cut, Sequence[str] | None], ...] = ()
        self._cuts: dict[str, tuple[_Cut, ...]] = {}  # of the kinds of channel that have come

    def gives_whole(self, kind: str) -> bool:
        """Whether the text of a kind of channel is looked at."""
        return _is_among(kind, self._given)

    def give_units(self, units: _Cut, kinds: Sequence[str] | None) -> None:
        """Text of these kinds will come in these units; if others are wanted too, in what both cut.

        Raises:
            RuntimeError: some has come already, and may have passed whole.
        """
        if self._runs:
            raise RuntimeError("units are given before text comes")
        self._wanted += ((units, kinds),)
        self.plain_run: Held | None = None  # no piece passes by itself

    def feed(self, item: Item) -> Sequence[Item]:
        if not self._wanted or not (type(item) is str or type(item) is TextDelta):
            return Lift.feed(self, item)  # nearly always, and `super()` takes as long as the call
        text, kind = (item, PLAIN.kind) if isinstance(item, str) else (item.text, item.channel.kind)
        cuts = self._cuts.get(kind)
        if cuts is None:
            cuts = self._cuts[kind] = self._cuts_of(kind)
        if not cuts:
            return super().feed(item)
        units = [text]
        for cut in cuts:
            units = [unit for each in units for unit in cut(each)]
        if len(units) < 2:
            return super().feed(item)
        out: list[Item] = []
        for unit in units:
            out += super().feed(unit if isinstance(item, str) else TextDelta(unit, item.channel, item.origin))
            if self.ended:
                break
        return out

    plain_feed = feed  # where no units are wanted

    def _cuts_of(self, kind: str) -> tuple[_Cut, ...]:
        return tuple(cut for cut, kinds in self._wanted if self.gives_whole(kind) and _is_among(kind, kinds))


def _is_among(kind: str, kinds: Sequence[str] | None) -> bool:
    """Whether a stage for these kinds of channel applies to one. None is every kind but tool arguments: it is no guard."""
    return kind != "tool_arguments" if kinds is None else kind in kinds
