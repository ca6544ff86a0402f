"""Reading and copying the parsed chunks of providers: dicts and SDK objects alike. No SDK is imported."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any


def get(node: object, name: str) -> Any:
    """A field of a dict or an object; None if it is not there."""
    if type(node) is dict:  # as nearly all are
        return node.get(name)
    return _getter(type(node))(node, name)  # type: ignore[arg-type]  # classes are hashable


def fields(node: object) -> dict[str, Any]:
    """The fields of a dict or an object that have a value, those its class does not know included.

    Example:
        >>> fields({"a": 1, "b": None})
        {'a': 1}
    """
    given: Mapping[str, Any]
    if type(node) is dict:
        given = node
    elif node is None:
        return {}
    elif isinstance(node, Mapping):
        given = node
    else:  # what begins with an underscore is none of its fields
        known = {name: value for name, value in getattr(node, "__dict__", {}).items() if name[:1] != "_"}
        given = {**known, **(getattr(node, "model_extra", None) or {})}
    return {name: value for name, value in given.items() if value is not None}


@lru_cache(maxsize=1024)
def _getter(kind: type) -> Callable[[Any, str], Any]:
    """How objects of a class are read. It is looked up once: asking an abstract class every time costs more than the reading."""
    if issubclass(kind, Mapping):
        return _item
    if kind.__module__ == "builtins":  # a string has an `index` and a `title`, but no fields
        return _nothing
    return _modelled if hasattr(kind, "__pydantic_fields__") else _attribute


def _item(node: Mapping[str, Any], name: str) -> Any:
    return node.get(name)


def _nothing(_node: object, _name: str) -> None:
    return None


def _attribute(node: object, name: str) -> Any:
    return getattr(node, name, None)


def _modelled(node: Any, name: str) -> Any:
    """A field of a Pydantic model. One asked for what it does not have would write an error message first."""
    own = node.__dict__
    if name in own:
        return own[name]
    more = node.__pydantic_extra__
    if more is not None and name in more:
        return more[name]
    return getattr(node, name, None) if _is_declared(type(node), name) else None  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _is_declared(kind: type, name: str) -> bool:
    """Whether a class has it itself, such as a property."""
    return any(name in vars(each) for each in kind.__mro__)


def listed(value: object) -> Sequence[Any]:
    """What a list holds; nothing of what is none: what that says is filtered as a quote.

    Example:
        >>> listed([1]), listed(True), listed("abc")
        ([1], (), ())
    """
    return value if isinstance(value, list | tuple) else ()


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
    given = {**dict.fromkeys((name for name in drop if hasattr(made, name)), None), **changes}
    extra = getattr(made, "__pydantic_extra__", None) or {}  # of the copy; by `setattr`, one with an underscore would not get there
    for name, value in given.items():
        if name in extra:
            extra[name] = value
        else:
            setattr(made, name, value)
    return made


def plain(node: Any) -> Any:
    """An SDK object as plain data, as it came; plain data as it is."""
    dump = getattr(node, "model_dump", None)
    return dump(exclude_unset=True, mode="json", warnings=False) if dump is not None else node


def meant(text: str, before: object) -> Any:
    """What stands in the place of a value that has become this JSON text; an empty object, if it is none any more or was cut off.

    Example:
        >>> meant('{"a": 1}', {"a": 2}), meant('"b"', "a"), meant("[1]", {"a": 1}), meant('{"a', {"a": 1})
        ({'a': 1}, 'b', {}, {})
    """
    found = None
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
    return found if isinstance(found, dict) or type(found) is type(before) else {}


def object_in(text: str | bytes) -> dict[str, Any] | None:
    """The object that a JSON text is; None if it is none, or was cut off.

    Example:
        >>> object_in('{"a": 1}'), object_in("[1]"), object_in('{"a')
        ({'a': 1}, None, None)
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
