"""Text whose pieces stay whole for a stage that lets it leave bit by bit. What makes a piece whole is not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamfilter.items import PLAIN, Channel, Item, Key, TextDelta
from streamfilter.lift import Lift


class Unbreaking(Lift):
    """A `Lift` that can be told in which units a stage behind it wants its text; see `Unbroken`. Before that it is as any other.

    Each unit is fed by itself, so what leaves then is as little as may leave; and what leaves at one time is one piece.

    Example:
        >>> import streamfilter as sf
        >>> context = sf.Context()
        >>> machine = sf.Markdown().machine(context)
        >>> machine.feed("so **very bold** words")
        ['so **very bold** words']
        >>> context.unbroken[0].give_units(str.split)
        >>> machine.feed("so**very bold**words")
        ['so', '**verybold**words']
    """

    def __init__(self, *args: Any, kinds: Sequence[str] | None, **kwargs: Any) -> None:
        super().__init__(*args, kinds=kinds, **kwargs)
        self.kinds = kinds
        self._units: Callable[[str], list[str]] | None = None

    def give_units(self, units: Callable[[str], list[str]]) -> None:
        """From now on, text comes in these units."""
        self._units = units
        self.feed = self._feed_units  # type: ignore[method-assign]  # so it costs nothing where nobody asks

    def _feed_units(self, item: Item) -> Sequence[Item]:
        if not self._units or not (type(item) is str or type(item) is TextDelta):
            return super().feed(item)
        text, channel = (item, PLAIN) if isinstance(item, str) else (item.text, item.channel)
        if self.kinds is not None and channel.kind not in self.kinds:
            return super().feed(item)
        units = self._units(text)
        if len(units) < 2:
            return joined(super().feed(item))
        out: list[Item] = []
        for unit in units:
            out += joined(super().feed(unit if isinstance(item, str) else TextDelta(unit, item.channel, item.origin)))
        return out

    def _settle(self, scope: Channel | Key) -> list[Item]:
        out = super()._settle(scope)
        return joined(out) if self._units else out


def joined(items: Sequence[Item]) -> list[Item]:
    """All text of a channel in one piece, where its first stands.

    Example:
        >>> other = Channel("reasoning")
        >>> joined([TextDelta("a"), TextDelta("x", other), TextDelta("b")])
        [TextDelta('ab', Channel(kind='answer', key=())), TextDelta('x', Channel(kind='reasoning', key=()))]
    """
    out: list[Item] = []
    places: dict[object, int] = {}
    for item in items:
        place = None
        if isinstance(item, str | TextDelta):
            place = places.setdefault(str if isinstance(item, str) else item.channel, len(out))
        if place is None or place == len(out):
            out.append(item)
            continue
        first = out[place]
        if isinstance(first, TextDelta) and isinstance(item, TextDelta):
            out[place] = TextDelta(first.text + item.text, first.channel, first.origin)
        elif isinstance(first, str) and isinstance(item, str):
            out[place] = first + item
    return out
