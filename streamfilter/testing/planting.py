"""Planted secrets: a stream of events with a secret in one more place, for every place there is; and whether it comes out.

What providers send says text more than once: in deltas, in what repeats them, in tokens, quotes and titles. A guard that misses
one of these places leaks. This knows no provider: it walks events as plain data.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


class Planted(NamedTuple):
    """Events with a secret in them.

    Attributes:
        place: where: the number of the event, and the path in it.
        events: a copy of all.
    """

    place: tuple[int, Path]
    events: list[Any]


def plantings(
    events: Sequence[Any],
    secret: str,
    *,
    spared: Collection[str | tuple[str, ...]] = (),
    goes_on: Callable[[Any, Path], object] | None = None,
) -> Iterator[Planted]:
    """Every way to plant a secret in a string of some events: whole, and in halves where a text goes on in a later event.

    A place counts once: what stands at the same path in another event of the same kind is not tried again.

    Args:
        events: as plain data.
        secret: what is planted, at the end of the string.
        spared: fields whose strings are no text, such as `"id"`; what objects below them have is. A field that has none only in
            some places is spared there by the place and its name: the type of the object that has it, or the field this stands in.
        goes_on: of an event and a path in it, which text goes on there: whatever tells it from others; None if none does.

    Example:
        >>> events = [{"type": "delta", "text": "a"}, {"type": "delta", "text": "b"}]
        >>> for planted in plantings(events, "SECRET", spared={"type"}, goes_on=lambda event, path: path):
        ...     print(planted.place, [event["text"] for event in planted.events])
        (0, ('text',)) ['aSECRET', 'b']
        (0, ('text',)) ['aSEC', 'RETb']
    """
    tried: set[Any] = set()
    for number, event in enumerate(events):
        for path in _strings(event, frozenset(spared)):
            kind = _kind(event, path)
            if kind in tried:
                continue
            tried.add(kind)
            yield Planted((number, path), _with(events, {(number, path): _at(event, path) + secret}))
            text = goes_on and goes_on(event, path)
            behind = range(number + 1, len(events)) if goes_on and text is not None else ()
            later = next((n for n in behind if _is_there(events[n], path) and goes_on and goes_on(events[n], path) == text), None)
            if later is not None:
                half = len(secret) // 2
                halves = {
                    (number, path): _at(event, path) + secret[:half],
                    (later, path): secret[half:] + _at(events[later], path),
                }
                yield Planted((number, path), _with(events, halves))


def fragments(output: Iterable[Any], secret: str, chars: int = 6) -> list[str]:
    """What of a secret is left in some output: every part of it of some length that is found in its bytes, or in what its strings
    say, or in lists of bytes.

    Args:
        output: events as plain data, or bytes.
        secret: what was planted.
        chars: how long a part counts.

    Example:
        >>> fragments([{"text": "my SECRE"}], "SECRET", chars=5), fragments([{"text": "my [x]"}], "SECRET", chars=5)
        (['SECRE'], [])
    """
    parts = [secret[at : at + chars] for at in range(len(secret) - chars + 1)]
    texts: list[str] = []
    for each in output:
        if isinstance(each, bytes):
            texts.append(each.decode(errors="replace"))
        else:
            texts.append(json.dumps(each, ensure_ascii=False))
            texts += _texts(each)
    return [part for part in parts if any(part in text for text in texts)]


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        if node and all(isinstance(each, int) and 0 <= each < 256 for each in node):
            yield bytes(node).decode(errors="replace")
        for each in node:
            yield from _texts(each)
    elif isinstance(node, dict):
        for key, each in node.items():
            yield from _texts(key)
            yield from _texts(each)


def _strings(node: Any, spared: frozenset[str | tuple[str, ...]], path: Path = (), *, is_spared: bool = False) -> Iterator[Path]:
    if isinstance(node, str):
        if not is_spared:
            yield path
    elif isinstance(node, list):
        for n, each in enumerate(node):
            yield from _strings(each, spared, (*path, n), is_spared=is_spared)
    elif isinstance(node, dict):
        places = (str(node.get("type")), ["", *(step for step in path if isinstance(step, str))][-1])
        for name, each in node.items():
            is_place = name in spared or any((place, name) in spared for place in places)
            yield from _strings(each, spared, (*path, name), is_spared=is_place)


def _kind(event: Any, path: Path) -> tuple[Any, ...]:
    """Which places are alike: numbers in a path do not count."""
    types = []
    node = event
    for step in path:
        types.append(node.get("type") if isinstance(node, dict) else None)
        node = node[step]
    return (*types, *("#" if isinstance(step, int) else step for step in path))


def _at(node: Any, path: Path) -> Any:
    for step in path:
        node = node[step]
    return node


def _is_there(node: Any, path: Path) -> bool:
    try:
        return isinstance(_at(node, path), str)
    except (KeyError, IndexError, TypeError):
        return False


def _with(events: Sequence[Any], values: dict[tuple[int, Path], str]) -> list[Any]:
    made = copy.deepcopy(list(events))
    for (number, path), value in values.items():
        _at(made[number], path[:-1])[path[-1]] = value
    return made
