"""`ParseJSON`: the value of a document while it arrives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from streamfilter.json.stages import JSONStage, M, Options, Value
from streamfilter.json.typed import MAX_DEPTH as MAX_TYPED_DEPTH
from streamfilter.json.typed import Typed, plan_of
from streamfilter.parsing.documents import Reading
from streamfilter.parsing.tree import Tree
from streamfilter.pipeline import stage

if TYPE_CHECKING:
    from typing import Unpack

    class ParseOptions(Options, total=False):
        """Those of `ParseJSON`."""

        live: bool
        many: bool
        strings: Literal["partial", "whole"]


@dataclass(frozen=True, slots=True)
class Document:
    """One of several documents, as far as it has come.

    Attributes:
        index: its number, from 0.
        value: what it is so far.
        complete: whether that is all.

    Example:
        >>> import streamfilter as sf
        >>> for document in sf.ParseJSON(many=True).iter(['{"a": [1, 2', ', 3]} [4]']):
        ...     print(document.index, document.value, document.complete)
        0 {'a': [1]} False
        0 {'a': [1, 2, 3]} True
        1 [4] True
    """

    index: int
    value: Any
    complete: bool


@stage
class ParseJSON(JSONStage[Value]):
    """Give the value of a JSON document after each chunk that changed it. The last is the value that `json.loads` gives.

    Containers only grow, strings are beginnings of what they will be, numbers, literals and keys are there when they are whole.

    With a model, each value but the last is a `Partial[Model]`, a subclass of it whose unfinished fields are `None`; `unfinished`
    names them. Each complete part is validated once, and is the same object in all later values. The last is a real `Model`.

    Args:
        model: a pydantic model, or any type that pydantic can validate; it reads 200 containers inside one another at most.
        live: gives one and the same object each time, which grows; else each value stays what it was, and shares its complete parts
            with those after it.
        many: gives a `Document` for each of several documents; see `strict`.
        strings: whether strings are there while they grow (`"partial"`), or when they are `"whole"`.

    Raises:
        MalformedInput: while streaming: what is no JSON, where, and on which path.
        TruncatedInput: while streaming: the text ended inside the document, or without one.
        LimitExceeded: while streaming.
        ValidationError: at the end, of pydantic: the document does not fit the model.
        ValueError: the model is none that pydantic knows.

    Example:
        >>> import streamfilter as sf
        >>> for value in sf.ParseJSON().iter(['Sure: {"a": [1, 2', '3, "so', ' on"]} Bye.']):
        ...     print(value)
        {'a': [1]}
        {'a': [1, 23, 'so']}
        {'a': [1, 23, 'so on']}
    """

    model: Any = None
    live: bool = dataclasses.field(default=False, kw_only=True)
    many: bool = dataclasses.field(default=False, kw_only=True)
    strings: Literal["partial", "whole"] = dataclasses.field(default="partial", kw_only=True)

    if TYPE_CHECKING:

        @overload
        def __init__(self: ParseJSON[Any], model: None = None, **options: Unpack[ParseOptions]) -> None: ...
        @overload
        def __init__(self: ParseJSON[M], model: type[M], **options: Unpack[ParseOptions]) -> None: ...
        def __init__(self, model: Any = None, **options: Any) -> None: ...

    def compile(self) -> None:
        if self.model is None:
            return
        try:
            plan = plan_of(self.model)
        except TypeError as error:
            raise ValueError(f"model: {error}") from None
        if not self.strict and _is_scalar(plan.adapter.core_schema):
            raise ValueError(
                "model: only objects and arrays are looked for in text, and a value of it is neither: write strict=True"
            )
        if self.parse_float is not float or self.parse_int is not int:
            raise ValueError("parse_float and parse_int with a model: the model says what becomes of a number")

    @property
    def deepest(self) -> int:
        return self.max_depth if self.model is None else MAX_TYPED_DEPTH

    @property
    def has_many(self) -> bool:
        return self.many

    @property
    def opens(self) -> str:
        return "{[" if self.model is None else plan_of(self.model).kinds or "{["

    @property
    def wrap(self) -> Callable[[int, Any, bool], Any] | None:
        return Document if self.many else None

    def reading(self, number: int) -> Reading:
        has_strings = self.strings == "partial"
        if self.model is not None:
            return Typed(self.model, strings=has_strings, live=self.live)
        return (Live if self.live else Values)(strings=has_strings, always=self.many)


class Values(Tree, Reading):
    """One document, as plain values: snapshots of what it is so far.

    Args:
        strings: whether strings are there while they grow.
        always: whether the last value is given although nothing has changed.
    """

    def __init__(self, *, strings: bool, always: bool) -> None:
        super().__init__(strings=strings)
        self._always = always

    def piece(self, text: str) -> Sequence[Any]:
        if not self._strings:
            self._parts.append(text)
            return ()
        container, place = self._container, self._place  # the lines of `text` stand here: this runs for most of what arrives
        string = container[place]
        container[place] = None
        string += text
        container[place] = string
        root = self._top[0]
        if container is self._top:
            return (root,)
        copied = inner = root.copy()
        for place, container in self._open:
            inner[place] = inner = container.copy()
        return (copied,)

    def given(self) -> Sequence[Any]:
        if not self.changed:
            return ()
        self.changed: bool = False
        return (self.snapshot(),)

    def finish(self) -> Sequence[Any]:
        self.changed = self.changed or self._always
        return self.given()


class Live(Values):
    """One document, as the one value that grows."""

    _root: Sequence[Any] = ()  # once it is a container, which it then remains

    def piece(self, text: str) -> Sequence[Any]:
        if not self._strings:
            self._parts.append(text)
            return ()
        container, place = self._container, self._place  # as above
        string = container[place]
        container[place] = None
        string += text
        container[place] = string
        return self._root or self._begun()

    def given(self) -> Sequence[Any]:
        if not self.changed:
            return ()
        self.changed = False
        return self._root or self._begun()

    def _begun(self) -> Sequence[Any]:
        root = (self._top[0],)
        if self._container is not self._top:
            self._root = root
        return root


_SCALARS = frozenset(
    ("int", "float", "bool", "str", "none", "literal", "enum", "decimal", "date", "time", "datetime", "timedelta", "uuid", "url")
)
"""Types of pydantic's schemas that take no object and no array, whatever they are given."""


def _is_scalar(schema: Any) -> bool:
    """Whether that is sure: a validator before a type may make anything of an object."""
    if schema["type"] in ("nullable", "default"):
        return _is_scalar(schema["schema"])
    if schema["type"] == "union":
        return all(_is_scalar(each[0] if isinstance(each, tuple) else each) for each in schema["choices"])
    return schema["type"] in _SCALARS
