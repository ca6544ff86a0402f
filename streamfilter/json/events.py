"""`JSONEvents`: what a document says, in small steps, each with its path: as events, or as operations on a copy of the value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

from streamfilter.json.items import validator
from streamfilter.json.patches import Patches, Placed
from streamfilter.json.stages import JSONStage
from streamfilter.json.typed import MAX_DEPTH as MAX_TYPED_DEPTH
from streamfilter.parsing.documents import Reading
from streamfilter.pipeline import stage

Kind: TypeAlias = Literal["object", "array", "string", "text", "value", "end"]
"""`"object"`, `"array"`, `"string"`: one begins. `"text"`: more of the string. `"value"`: a number or a literal. `"end"`: what
began there is complete."""


class JSONEvent(NamedTuple):
    """One step of a document.

    Attributes:
        path: keys and indexes, from the root to the value that it is about.
        kind: what happens there; see `Kind`.
        value: the text, the number or the literal; otherwise None.

    Example:
        >>> import streamfilter as sf
        >>> for event in sf.JSONEvents().iter(['{"name": "A', 'da"}']):
        ...     print(event.path, event.kind, event.value)
        () object None
        ('name',) string None
        ('name',) text A
        ('name',) text da
        ('name',) end None
        () end None
    """

    path: tuple[str | int, ...]
    kind: Kind
    value: Any = None


@stage
class JSONEvents(JSONStage[Any]):
    """Give what a document says as events, enough to build its value, or as operations that build it elsewhere.

    Each event names the value that it is about. Of objects and arrays the beginning and the end are told, of strings also their
    text while it arrives. Equal keys in one object are told one after the other.

    With `patch=True` the operations are those of JSON Patch (RFC 6902), as dicts: applied in order, to any document, they give
    after each piece the value so far. The last is a `test` of the whole value. It changes nothing, is the only one of its kind, and
    says that the value is complete and, with a model, valid. Of the model's own no part is in it: the value is what was sent.

    JSON Patch cannot append to a string. With `strings="partial"` each piece replaces the string with what it is so far, which for
    one of n characters in pieces of k sends n² / 2k: 2 million for 4,000 characters in pieces of 4. `"whole"` sends each once.

    Args:
        model: a pydantic model, or any type that pydantic can validate: what the value must be, with `patch=True`.
        patch: whether operations are given.
        strings: of operations: whether strings are there while they grow (`"partial"`), or when they are `"whole"`.
        many: whether there may be several documents; see `strict`. Each begins with an event whose path is empty.

    Raises:
        ValueError: the model is no model, or what is for operations is given without `patch`, or `many` with it.
        ValidationError: while streaming, of pydantic: the value does not fit the model. The last operation is missing then.
        MalformedInput: while streaming: what is no JSON, where, and on which path.
        TruncatedInput: while streaming: the text ended inside the document, or without one.
        LimitExceeded: while streaming.

    Example:
        >>> from streamfilter.json.events import JSONEvents
        >>> for event in JSONEvents().iter(['{"a": [1, "so', ' on"]}']):
        ...     print(*event)
        () object None
        ('a',) array None
        ('a', 0) value 1
        ('a', 1) string None
        ('a', 1) text so
        ('a', 1) text  on
        ('a', 1) end None
        ('a',) end None
        () end None
        >>> for operation in JSONEvents(patch=True).iter(['{"a": [1, "so', ' on"]}']):
        ...     print(operation)
        {'op': 'add', 'path': '', 'value': {}}
        {'op': 'add', 'path': '/a', 'value': []}
        {'op': 'add', 'path': '/a/0', 'value': 1}
        {'op': 'add', 'path': '/a/1', 'value': 'so'}
        {'op': 'replace', 'path': '/a/1', 'value': 'so on'}
        {'op': 'test', 'path': '', 'value': {'a': [1, 'so on']}}
    """

    model: Any = dataclasses.field(default=None, kw_only=True)
    patch: bool = dataclasses.field(default=False, kw_only=True)
    strings: Literal["partial", "whole"] = dataclasses.field(default="partial", kw_only=True)
    many: bool = dataclasses.field(default=False, kw_only=True)

    def compile(self) -> None:
        if self.patch and self.many:
            raise ValueError("many: operations are for one document")
        if not self.patch and self.model is not None:
            raise ValueError("model: of events nothing is built that could be validated; it is for patch=True")
        if not self.patch and self.strings != "partial":
            raise ValueError("strings: events give text as it comes; it is for patch=True")
        _ = self._validate

    @property
    def deepest(self) -> int:
        return self.max_depth if self.model is None else MAX_TYPED_DEPTH

    @property
    def has_many(self) -> bool:
        return self.many

    @property
    def is_sliced(self) -> bool:
        return not self.patch  # what is whole in one piece comes in one operation

    def reading(self, number: int) -> Reading:
        return Patches(self._validate, strings=self.strings == "partial") if self.patch else _Events()

    @cached_property
    def _validate(self) -> Callable[[Any], Any] | None:
        return None if self.model is None else validator(self.model, as_json=self.parse_float is float and self.parse_int is int)


class _Events(Placed):
    """One document of `JSONEvents`."""

    takes_whole = False

    def __init__(self) -> None:
        super().__init__()
        self._ready: list[JSONEvent] = []
        self._parts: list[str] = []  # text that is not in there yet

    def begin_object(self) -> None:
        self._give("object")
        super().begin_object()

    def begin_array(self) -> None:
        self._give("array")
        super().begin_array()

    def end(self) -> None:
        super().leave()
        self._give("end")
        self.over()

    def begin_string(self) -> None:
        self._give("string")

    def text(self, text: str, raw: str | None = None) -> None:
        self._parts.append(text)

    def end_string(self) -> None:
        self._settle()
        self._give("end")
        self.over()

    def value(self, value: Any) -> None:
        self._give("value", value)
        self.over()

    def given(self) -> Sequence[JSONEvent]:
        self._settle()
        return self.ready()

    def ready(self) -> Sequence[JSONEvent]:
        ready, self._ready = self._ready, []
        return ready

    def _give(self, kind: Kind, value: Any = None) -> None:
        self._ready.append(JSONEvent(tuple(self.path), kind, value))

    def _settle(self) -> None:
        if self._parts:
            self._give("text", "".join(self._parts))
            self._parts.clear()
