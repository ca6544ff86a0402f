r"""How items stand in a store: version 1, JSON, one field of an entry each. Never pickle: a store is read by many.

The field `v1` has an item, `end1` how the stream ended; other names are of versions to come, and refused. A text is a JSON string;
everything else an object with one key, which says what it is:

| in Python | in the store |
|---|---|
| `"Hi"` | `"Hi"` |
| `TextDelta("Hi", Channel("answer", (0, 1)))` | `{"delta":["Hi","answer",[0,1]]}` |
| `Finish("stop")`, and other events | `{"event":["Finish",{"scope":{"tuple":[]},"boundary":false,"reason":"stop"}]}` |
| `b"data: 1\n\n"` | `{"utf8":"data: 1\n\n"}`, or `{"base64":"…"}` where it is no UTF-8 |
| a number, True, None | themselves |
| `{"id": 1}`, a list | `{"json":{"id":1}}` |
| `("a", 0)`, a path | `{"tuple":["a",0]}` |
| an object of pydantic, as SDKs give | the dict of its `model_dump(mode="json", exclude_unset=True)` |

The `origin` of an event, the provider's chunk, is left behind, and of what is never compared the defaults. What would come back as
something else is refused: tuples in lists, keys that are no `str`, NaN. An error names the class of what it refuses, never its
content.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, cast

from pydantic import BaseModel

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, End, Event, TextDelta
from streamfilter.resumable.failures import HOWS, Ended

ITEM = "v1"
END = "end1"

_EVENTS = {
    **dict.fromkeys(("Failure", "Finish", "Raw", "ToolCall", "Usage"), "items"),
    **dict.fromkeys(("CodeDelta", "CodeEnd", "CodeStart"), "markup.code"),
    "Citation": "text.citations",
}
"""The library's events, by name, and where they are. Only these, and those that the caller names, are ever built."""

_UNFIT = (TypeError, ValueError, RecursionError, KeyError, AttributeError)


class Encoding:
    """Items to JSON and back.

    Args:
        events: classes of the caller's own events, dataclasses.

    Raises:
        TypeError: one of them is no dataclass derived from `Event`.
        ValueError: two have the same name, or one has that of an event of the library.

    Example:
        >>> encoding = Encoding()
        >>> encoding.encoded(TextDelta("Hi", Channel("answer", (0, 1))))
        '{"delta":["Hi","answer",[0,1]]}'
        >>> encoding.decoded('{"utf8":"data: 1"}', 1)
        b'data: 1'
    """

    def __init__(self, events: Iterable[type[Event]] = ()) -> None:
        self._own: dict[str, type[Event]] = {}
        for each in events:
            if not (isinstance(each, type) and issubclass(each, Event) and dataclasses.is_dataclass(each)):
                raise TypeError(f"events: {each!r}: a dataclass that is derived from Event is needed")
            if each.__name__ in self._own or each.__name__ in _EVENTS:
                raise ValueError(f"events: there is another event named {each.__name__}")
            self._own[each.__name__] = each

    def encoded(self, item: object) -> str:
        """An item as it stands in a store.

        Raises:
            TypeError: it cannot be kept there as what it is.
        """
        if type(item) is str:
            return _dumped(item)
        try:
            if type(item) is TextDelta:
                return _dumped({"delta": [item.text, item.channel.kind, _untupled(item.channel.key)]})
            return _dumped(self._event(item) if isinstance(item, Event) else _packed(item))
        except _UNFIT:  # what they say may quote the item
            raise TypeError(
                f"an item is {type(item).__qualname__}, which cannot be kept in a store as what it is: text, bytes, values of "
                "JSON, objects of pydantic and events made of these can; give classes of your own events as events=(…)"
            ) from None

    def decoded(self, payload: str, number: int) -> Any:
        """An item from a store.

        Raises:
            MalformedInput: nothing of this version has written that.
        """
        try:
            value = json.loads(payload)
            return self._unpacked(value)
        except _UNFIT:
            raise MalformedInput("an entry of the store is no item that this version has written", number) from None

    # ------------------------------------------------------------------

    def _event(self, event: Event) -> object:
        name = type(event).__name__
        if isinstance(event, End) or self._class(name) is not type(event):
            raise TypeError
        fields = [(field, getattr(event, field.name)) for field in dataclasses.fields(event) if field.name != "origin"]
        kept = {field.name: _packed(value) for field, value in fields if field.compare or value is not field.default}
        return {"event": [name, kept]}

    def _class(self, name: str) -> type[Event]:
        own = self._own.get(name)
        return own or cast("type[Event]", getattr(import_module(f"streamfilter.{_EVENTS[name]}"), name))

    def _unpacked(self, value: Any) -> Any:
        if value is None or type(value) in (str, bool, int, float):
            return value
        ((tag, inner),) = value.items()
        if tag == "json":
            return inner
        if tag == "tuple":
            return _tupled(inner)
        if tag == "channel":
            kind, key = inner
            return Channel(kind, _tupled(key))
        if tag == "utf8":
            return inner.encode()
        if tag == "base64":
            return base64.b64decode(inner, validate=True)
        if tag == "delta":
            text, kind, key = inner
            if type(text) is str and type(kind) is str and type(key) is list:
                return TextDelta(text, Channel(kind, _tupled(key)))
        if tag == "event":
            name, fields = inner
            return self._class(name)(**{each: self._unpacked(field) for each, field in fields.items()})
        raise ValueError


def _packed(value: Any) -> Any:
    """Anything but an event, so that it can be told what it was."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, Channel):
        return {"channel": [value.kind, _untupled(value.key)]}
    if type(value) is tuple:
        return {"tuple": _untupled(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return {"utf8": raw.decode()}
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(raw).decode()}
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_unset=True)
    if json.loads(_dumped(value)) != value:  # tuples have become lists, numbers keys
        raise TypeError
    return {"json": value}


def _untupled(key: object) -> list[Any]:
    """A path as lists: of names, numbers and paths."""
    if type(key) is not tuple or not all(type(step) in (str, int, bool, tuple) or step is None for step in key):
        raise TypeError
    return [_untupled(step) if type(step) is tuple else step for step in key]


def _tupled(key: Any) -> tuple[Any, ...]:
    if type(key) is not list or not all(type(step) in (str, int, bool, list) or step is None for step in key):
        raise TypeError
    return tuple(_tupled(step) if type(step) is list else step for step in key)


def _dumped(value: object) -> str:
    """JSON in as few bytes as UTF-8 allows; half surrogate pairs, which it has no bytes for, are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def ending_encoded(ended: Ended) -> str:
    """How a stream ended, as it stands in a store.

    Example:
        >>> ending_encoded(Ended("failed", "KeyError"))
        '{"how":"failed","error":"KeyError"}'
    """
    fields: dict[str, object] = {"how": ended.how, "error": ended.error, "facts": list(ended.facts), "timeout": ended.is_timeout}
    try:
        return _dumped({name: value for name, value in fields.items() if value})
    except _UNFIT:  # a score that is no number
        return _dumped({name: value for name, value in fields.items() if value and name != "facts"})


def ending_decoded(payload: str, number: int) -> Ended:
    """How a stream ended, from a store.

    Raises:
        MalformedInput: nothing of this version has written that.
    """
    try:
        fields: Mapping[str, Any] = json.loads(payload)
        how, error, facts = fields["how"], fields.get("error"), fields.get("facts", [])
        if how in HOWS and type(error) in (str, type(None)) and all(isinstance(each, str | int | float | None) for each in facts):
            return Ended(how, error, tuple(facts), fields.get("timeout") is True)
    except _UNFIT:
        pass
    raise MalformedInput("an entry of the store is no ending that this version has written", number)
