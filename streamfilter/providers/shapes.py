"""Reading and copying the parsed chunks of providers: dicts and SDK objects alike. No SDK is imported."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any


def get(node: object, name: str) -> Any:
    """A field of a dict or an object; None if it is not there."""
    if isinstance(node, Mapping):
        return node.get(name)
    return getattr(node, name, None)


def fields(node: object) -> dict[str, Any]:
    """The fields of a dict or an object that have a value, those its class does not know included.

    Example:
        >>> fields({"a": 1, "b": None})
        {'a': 1}
    """
    if node is None:
        return {}
    if isinstance(node, Mapping):
        given: Mapping[str, Any] = node
    else:  # what begins with an underscore is none of its fields
        known = {name: value for name, value in getattr(node, "__dict__", {}).items() if not name.startswith("_")}
        given = {**known, **(getattr(node, "model_extra", None) or {})}
    return {name: value for name, value in given.items() if value is not None}


def edited(node: Any, changes: Mapping[str, Any], drop: Iterable[str] = ()) -> Any:
    """A shallow copy with some fields changed and others dropped (in an object: None, for whoever reads them).

    Example:
        >>> edited({"a": 1, "b": 2}, {"a": 3}, drop=["b"])
        {'a': 3}
    """
    made = copy.copy(node)
    if isinstance(made, MutableMapping):
        for name in drop:
            made.pop(name, None)
        made.update(changes)
        return made
    for name in drop:
        if hasattr(made, name):
            setattr(made, name, None)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def plain(node: Any) -> Any:
    """An SDK object as plain data, as it came; plain data as it is."""
    dump = getattr(node, "model_dump", None)
    return dump(exclude_unset=True, mode="json", warnings=False) if dump is not None else node
