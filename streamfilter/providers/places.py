"""Places in an event: what stands there, which of them say no text, and copies with other values there.

An event is a dict or an object of an SDK, with others and lists in it. Nothing is known here of what it says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any, Final, TypeAlias

from streamfilter.providers.shapes import edited, fields, get

Path: TypeAlias = tuple[str | int, ...]
"""From an event to a value in it."""

_NUMBER = re.compile(r"-?[0-9]{1,9}")

Opaque: TypeAlias = frozenset[str | tuple[str, ...]]
"""Fields whose strings are no text: by their name, wherever they stand; or by a place and their name, as `within` makes them. And
strings that are none in a place, as `words` makes them."""

_NONE: Opaque = frozenset()


def at(node: Any, path: Path) -> Any:
    """What stands at a place in an event; None if there is nothing."""
    for step in path:
        if type(node) is dict:  # as nearly all are
            node = node.get(step)
        elif isinstance(step, int):
            node = node[step] if isinstance(node, list | tuple) and step < len(node) else None
        else:
            node = get(node, step)
        if node is None:
            return None
    return node


def is_below(path: Path, places: Container[Path]) -> bool:
    """Whether a place is one of these, or in one of them."""
    return any(path[:n] in places for n in range(1, len(path) + 1))


def put(node: Any, path: Path, value: Any) -> Any:
    """A copy of an event with another value at a place.

    Example:
        >>> put({"a": [{"b": 1}, 2]}, ("a", 0, "b"), 3)
        {'a': [{'b': 3}, 2]}
    """
    if not path:
        return value
    step = path[0]
    if isinstance(step, int):
        made = list(node)
        made[step] = put(made[step], path[1:], value)
        return made
    return edited(node, {step: put(get(node, step), path[1:], value)})


GONE: Final = object()
"""In the place of a value: nothing is to stand there."""


def revised(node: Any, changes: Mapping[Path, Any]) -> Any:
    """A copy of an event with other values at some places, or without them. It is made in one go: an event may have many parts.

    Args:
        node: the event, or a part of it.
        changes: by place. What stands below one that is changed itself does not count.

    Example:
        >>> revised({"a": [{"b": 1}, 2, 3], "c": 4}, {("a", 0, "b"): 5, ("a", 1): GONE, ("c",): GONE})
        {'a': [{'b': 5}, 3]}
    """
    if not changes:
        return node
    if () in changes:
        return changes[()]
    inner: dict[str | int, dict[Path, Any]] = {}
    for path, value in changes.items():
        inner.setdefault(path[0], {})[path[1:]] = value
    made = {step: revised(at(node, (step,)), below) for step, below in inner.items()}
    if isinstance(node, list | tuple):
        return [each for each in (made.get(n, given) for n, given in enumerate(node)) if each is not GONE]
    dropped = [str(step) for step, value in made.items() if value is GONE]
    return edited(node, {str(step): value for step, value in made.items() if value is not GONE}, dropped)


def ordinal(value: object) -> int | None:
    """The number that an index is: clients take one in a string for the same. None if it is none.

    Example:
        >>> ordinal(1), ordinal("1"), ordinal(1.5), ordinal(None)
        (1, 1, None, None)
    """
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def merged(node: Any, path: Path) -> Path:
    """A place as those know it who add up what comes: what a list holds is told apart by its `index` if it has one, else by where
    it stands.

    Example:
        >>> merged({"a": [{"index": 4, "b": "x"}]}, ("a", 0, "b"))
        ('a', 4, 'b')
    """
    known: list[str | int] = []
    for step in path:
        node = at(node, (step,))
        index = get(node, "index") if isinstance(step, int) else None
        number = ordinal(index)
        known.append(step if index is None else str(index) if number is None else number)
    return tuple(known)


def within(name: str, *places: str) -> Iterator[tuple[str, str]]:
    """A field whose strings are no text in some places, and may be anything in all others.

    Args:
        name: of the field.
        places: each the type of the object that has it, or the field that this object stands in; `""` for an event itself.

    Example:
        >>> opaque = frozenset(within("data", "audio", "redacted"))
        >>> list(strings({"audio": {"data": "a"}, "odd": {"data": "b"}}, opaque))
        [(('odd', 'data'), 'b')]
        >>> list(strings({"type": "redacted", "data": "a"}, opaque | {"type"}))
        []
    """
    return ((place, name) for place in places)


def words(place: str, *choices: str) -> Iterator[tuple[str, ...]]:
    """Words of a closed vocabulary that are no text in one place of an event; what else stands there may be.

    Args:
        place: the fields from the event to it, with a dot between two; a `*` at the end is a field of any name.
        choices: the words.

    Example:
        >>> opaque = frozenset(words("reasoning.effort", "low", "high"))
        >>> list(strings({"reasoning": {"effort": "low"}, "part": {"effort": "low"}}, opaque))
        [(('part', 'effort'), 'low')]
        >>> list(strings({"reasoning": {"effort": "so"}}, opaque))
        [(('reasoning', 'effort'), 'so')]
    """
    return ((*place.split("."), choice) for choice in choices)


def _is_word(opaque: Opaque, path: Path, text: str) -> bool:
    names = [step for step in path if isinstance(step, str)]
    return len(names) > 1 and ((*names, text) in opaque or (*names[:-1], "*", text) in opaque)


def is_opaque(opaque: Opaque, name: str, node: object, place: str | None) -> bool:
    """Whether the strings of a field are no text.

    Args:
        opaque: the fields that have none.
        name: of the field.
        node: what has it.
        place: the field that this stands in; None if that is not known.
    """
    if name in opaque or (place, name) in opaque:
        return True
    kind = get(node, "type")
    return isinstance(kind, str) and (kind, name) in opaque


def strings(node: Any, opaque: Opaque, path: Path = (), *, is_spared: bool = False) -> Iterator[tuple[Path, str]]:
    """The strings in an event that may be text: all but those that `opaque` fields hold, themselves or in a list. In the arguments
    of a call no field is known: a tool has named them, whatever it calls `id` or `type`.

    Example:
        >>> list(strings({"type": "x", "part": {"title": "T", "n": 1, "list": ["a"]}}, frozenset({"type"})))
        [(('part', 'title'), 'T'), (('part', 'list', 0), 'a')]
        >>> list(strings({"type": {"type": "x", "title": "T"}}, frozenset({"type"})))
        [(('type', 'title'), 'T')]
        >>> list(strings({"type": "call", "args": {"type": "T"}}, frozenset({"type"})))
        [(('args', 'type'), 'T')]
    """
    if isinstance(node, str):
        if node and not (is_spared or _is_word(opaque, path, node)):
            yield path, node
    elif isinstance(node, list | tuple):
        for n, each in enumerate(node):
            yield from strings(each, opaque, (*path, n), is_spared=is_spared)
    elif isinstance(node, Mapping) or hasattr(node, "__dict__"):
        place = next((step for step in reversed(path) if isinstance(step, str)), "")
        for name, each in fields(node).items():
            if isinstance(each, Mapping) and _are_arguments(name, node):
                yield from strings(each, _NONE, (*path, name))
            else:
                yield from strings(each, opaque, (*path, name), is_spared=is_opaque(opaque, name, node, place))


def _are_arguments(name: str, node: object) -> bool:
    """Whether a field of an object holds the arguments of a call: what has an `input` may be no call, such as a run."""
    if name == "input":
        return get(node, "toolCallId") is not None or str(get(node, "type")).endswith("_use")
    return name in ("args", "arguments")


def is_mute(node: Any, opaque: Opaque, spared: Collection[str] = (), place: str | None = None) -> bool:
    """Whether no string in a dict or an object may be text: then `strings` finds none. It is asked of nearly every event.

    Args:
        node: the dict or the object.
        opaque: fields whose strings are no text.
        spared: fields that are looked at elsewhere.
        place: the field that it stands in, `""` for an event itself; None if that is not known: then fewer are opaque.

    Example:
        >>> is_mute({"id": "x", "index": 1}, frozenset({"id"})), is_mute({"id": {"a": "b"}}, frozenset({"id"}))
        (True, False)
    """
    for name, value in (node if type(node) is dict else fields(node)).items():
        kind = type(value)
        if kind is str:
            if value and name not in opaque and name not in spared and not is_opaque(opaque, name, node, place):
                return False
        elif not (kind is int or value is None or name in spared) and _says(value, opaque, name, node, place):
            return False
    return True


def _says(value: Any, opaque: Opaque, name: str, node: Any, place: str | None) -> bool:
    """Whether a field says something that may be text."""
    kind = type(value)
    if kind is dict:
        return not is_mute(value, _NONE if _are_arguments(name, node) else opaque, place=name)
    if kind in (int, bool, float):
        return False
    is_spared = is_opaque(opaque, name, node, place)
    return next(strings(value, opaque, (name,), is_spared=is_spared), None) is not None
