"""`JSONItems`: the values at a path, each as it closes. What is not meant is read past and never built."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, overload

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import to_json

from streamfilter.declaration import show
from streamfilter.items import told
from streamfilter.json.stages import JSONStage, M, Options, Value
from streamfilter.json.typed import MAX_DEPTH as MAX_TYPED_DEPTH
from streamfilter.json.typed import adapter_of
from streamfilter.parsing.documents import Reading
from streamfilter.parsing.paths import Follower, JSONPath, PathLike
from streamfilter.pipeline import stage

if TYPE_CHECKING:
    from typing import Unpack


@stage
class JSONItems(JSONStage[Value]):
    """Give each value at a path, complete, as it closes. What is not meant is never built, and what was given is not kept.

    If one is inside another, as may be with `$..name`, both are given, the inner one first; it is then also part of the other.
    Equal keys in one object are different values. Where nothing is meant, nothing is given.

    Args:
        path: a `JSONPath`, or its text, such as `"$.items[*]"`. If it begins with a name, only `{` opens a document; with an index,
            only `[`.
        model: a pydantic model, or any type that pydantic can validate: each value is validated as it closes, by the rules for
            JSON; by those for Python objects if `parse_float` or `parse_int` is given. It reads 200 containers inside one another
            at most.
        many: whether there may be several documents; see `strict`.

    Raises:
        ValueError: the path is none of those, or the model is no model.
        ValidationError: while streaming, of pydantic: a value does not fit the model. Those before it were given.
        MalformedInput: while streaming: what is no JSON, where, and on which path.
        TruncatedInput: while streaming: the text ended inside the document, or without one.
        LimitExceeded: while streaming.

    Example:
        >>> from streamfilter.json.items import JSONItems
        >>> for item in JSONItems("$.items[*]").iter(['Here: {"items": [{"a": 1}, {"', 'a": [2]}, "thr', 'ee"], "b": {}}']):
        ...     print(item)
        {'a': 1}
        {'a': [2]}
        three
        >>> list(JSONItems("$[*]", set[int]).iter(["[[1, 2, 1], [3]]"]))
        [{1, 2}, {3}]
    """

    path: PathLike
    model: Any = None
    many: bool = dataclasses.field(default=False, kw_only=True)

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: JSONItems[Any], path: str | JSONPath, model: None = None, *, many: bool = ..., **options: Unpack[Options]
        ) -> None: ...
        @overload
        def __init__(
            self: JSONItems[M], path: str | JSONPath, model: type[M], *, many: bool = ..., **options: Unpack[Options]
        ) -> None: ...
        def __init__(self, path: str | JSONPath, model: Any = None, **options: Any) -> None: ...

    def compile(self) -> None:
        _ = self._validate

    @property
    def has_many(self) -> bool:
        return self.many

    @property
    def opens(self) -> str:
        return self._path.opens

    @property
    def deepest(self) -> int:
        return self.max_depth if self.model is None else MAX_TYPED_DEPTH

    def reading(self, number: int) -> Reading:
        return _Items(self._path, self._validate)

    def explanation(self) -> str:
        return f"the values at {self._path.text} in the JSON of {told(self.channel)}; all else is dropped"

    @property
    def _path(self) -> JSONPath:
        return cast("JSONPath", self.path)

    @cached_property
    def _validate(self) -> Callable[[Any], Any] | None:
        return None if self.model is None else validator(self.model, as_json=self.parse_float is float and self.parse_int is int)


def validator(model: Any, *, as_json: bool) -> Callable[[Any], Any]:
    """What validates a complete value.

    Args:
        model: a type.
        as_json: by pydantic's rules for JSON, as if its text were validated: they take a string for a date, a list for a tuple, in
            strict models and in unions too. The way through a text again costs about half as much again as validation itself.

    Raises:
        ValueError: pydantic cannot validate it.

    Example:
        >>> validator(tuple[int, ...], as_json=True)([1, 2])
        (1, 2)
    """
    if isinstance(model, str):
        raise ValueError("model is a name: give the type itself")
    try:
        adapter = adapter_of(model)
    except TypeError as error:
        raise ValueError(f"model: {error}") from None
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        problem = str(error).splitlines()[0].partition(". ")[0]
        raise ValueError(f"model {show(model)} is none that pydantic can validate: {problem}") from None
    if not as_json:
        return adapter.validate_python

    def validated(value: Any) -> Any:
        try:
            text = to_json(value)
        except ValueError:  # a lone surrogate has no UTF-8: escaped, it is refused as pydantic refuses it in a text
            text = json.dumps(value).encode()
        return adapter.validate_json(text)

    return validated


class _Items(Reading):
    """One document of `JSONItems`."""

    def __init__(self, path: JSONPath, validate: Callable[[Any], Any] | None) -> None:
        self._follower = Follower(path)
        self._counts = path.has_indexes
        self.takes_many = not self._counts
        self._validate = validate
        self._ready: list[Any] = []  # complete, and not given yet
        self._open: list[Any] = []  # the containers that are being built: an item, and in it the open ones
        self._keys: list[str] = []  # of each, where it is an object, the key for what comes next
        self._parts: list[str] = []  # of the open string
        self._moved()

    def begin_object(self) -> None:
        self._begin({})

    def begin_array(self) -> None:
        self._begin([])

    def end(self) -> None:
        self._follower.end()
        if self._open:
            container = self._open.pop()
            self._keys.pop()
            if self._follower.is_end:
                self._close(container)
        self._follower.over()
        self._moved()

    def key(self, key: str) -> None:
        self._follower.key(key)
        self._moved()
        if self._keys:
            self._keys[-1] = key

    def begin_string(self) -> None:
        self._parts.clear()

    def text(self, text: str, raw: str | None = None) -> None:
        if self._open or self._is_item:
            self._parts.append(text)

    def end_string(self) -> None:
        self.value("".join(self._parts))

    def value(self, value: Any) -> None:
        if self._open:
            self._put(value)
        if self._is_item:
            self._close(value)
        if self._counts:
            self._follower.over()
            self._moved()

    def values(self, values: list[Any]) -> None:
        if self._validate is not None or not self._is_item or self._open:
            super().values(values)
        else:
            self._ready += values

    def given(self) -> Sequence[Any]:
        return self.ready()

    def ready(self) -> Sequence[Any]:
        ready = self._ready
        if ready:
            self._ready = []
        return ready

    def _begin(self, container: Any) -> None:
        if self._open or self._is_item:
            if self._open:
                self._put(container)
            self._open.append(container)
            self._keys.append("")
        self._follower.begin(is_array=type(container) is list)
        self._moved()

    def _put(self, value: Any) -> None:
        container = self._open[-1]
        if type(container) is list:
            container.append(value)
        else:
            container[self._keys[-1]] = value

    def _moved(self) -> None:
        """Another value stands next."""
        follower = self._follower
        self._is_item = follower.is_end
        self.takes_whole = not follower.goes_on  # a container with items inside is gone through, all others come at once

    def _close(self, value: Any) -> None:
        self._ready.append(value if self._validate is None else self._validate(value))
