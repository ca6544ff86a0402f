"""What is to be done with each value of a document for a type: the plan of it, made from the core schema that pydantic made.

A plan knows where objects and arrays may be shown while they grow, and how each part is validated, once. A complete part is
validated from JSON, as it would be inside the document. An object is put together of validated parts by the schema of its model, in
which each field has a *hole*: a function that takes what was validated before. So what stands around the fields (defaults, aliases,
validators of the model) is done by pydantic as ever, and what stands inside is not done again.

What pydantic's schemas have that is not known here is validated when it is complete, and withheld before.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic_core import PydanticOmit, SchemaError, SchemaSerializer, SchemaValidator, ValidationError

from streamfilter.json.partial import Maker

Schema: TypeAlias = Mapping[str, Any]

FAILED: Final = object()
"""Stands for a part that is not valid. What is wrong is said by pydantic, of the whole document, at its end."""

OMITTED: Final = object()
"""Stands for a part that is left out of what it stands in, as `OnErrorOmit` says."""

_FETCHED: ContextVar[Mapping[str, Any]] = ContextVar("_FETCHED")


def _fetch(name: str) -> Any:
    """What a hole gives: the part of this name."""
    part = _FETCHED.get()[name]
    if part is OMITTED:
        raise PydanticOmit
    return part


ANY: Final[Schema] = {"type": "any"}
HOLE: Final[Schema] = {"type": "function-plain", "function": {"type": "no-info", "function": _fetch}}
ONE: Final = '"0"'
"""The JSON that stands for the one part, where there is but one hole."""


def hole_or_default(schema: Schema, keys: Collection[str]) -> Schema:
    """A hole where pydantic validates a default: that comes here as well, when no key of the field has come.

    Args:
        schema: of the field.
        keys: of the field. They are what its parts are named by; a default may look like the name of another.
    """

    def which(value: Any) -> str:
        return "part" if type(value) is str and value in keys and value in _FETCHED.get() else "default"

    # A choice, and no validator around the schema: through that, pydantic passes no default that is left out.
    return {"type": "tagged-union", "discriminator": which, "choices": {"part": HOLE, "default": schema}}


def json_of(value: Any) -> str:
    """The JSON of a value. Scalars are most of what comes."""
    if type(value) is str:
        return quoted(value)
    return repr(value) if type(value) is int else json.dumps(value)


class _Probe(BaseModel):
    pass


@functools.cache
def takes_holes() -> bool:
    """Whether a model is made by the schema that is given for it: pydantic 2.11.0 to 2.11.3 take the validator that it has."""
    hole = {"type": "function-plain", "function": {"type": "no-info", "function": lambda _: ({"name": 1}, None, {"name"})}}
    try:
        probe = _built({"type": "model", "cls": _Probe, "schema": hole}, None).validate_json(ONE)
    except ValidationError:
        return False
    return "name" in vars(probe)


def _built(schema: Any, config: Any) -> SchemaValidator:
    """Of a class that has a validator, pydantic takes that, unless told not to. Not every version can be told."""
    build: Any = SchemaValidator
    try:
        validator: SchemaValidator = build(schema, config, _use_prebuilt=False)
    except TypeError:
        validator = SchemaValidator(schema, config)
    return validator


def _refused(error: SchemaError) -> object:
    """What a part is that pydantic raises this for: by itself it stands in nothing to be left out of. Only the text tells."""
    return OMITTED if "Uncaught Omit" in str(error) else FAILED


class Step:
    """One thing that is done to put a value together: a schema with holes.

    Args:
        schema: has them.
        config: of the model that it stands in.
        builder: knows the definitions.
    """

    def __init__(self, schema: Schema, config: Any, builder: Definitions) -> None:
        self._schema = schema
        self._config = config
        self._builder = builder

    @functools.cached_property
    def validate(self) -> Callable[[str], Any]:
        """Validates a JSON text in which names stand for the parts that are there to be fetched."""
        schema: Any = self._builder.closed({key: value for key, value in self._schema.items() if key != "ref"})
        return _built(schema, self._config).validate_json


def run(steps: Sequence[Step], text: str, parts: Mapping[str, Any]) -> Any:
    """Run some steps: the first on a JSON text in which names stand for parts, each other on what the one before it gave.

    Gives `FAILED` if something is not valid, `OMITTED` if it is left out, and without any steps the one part.
    """
    if not steps:
        return parts["0"]
    value: Any = None
    before = _FETCHED.set(parts)
    try:
        for step in steps:
            value = step.validate(text)
            if step is not steps[-1]:
                text = ONE
                _FETCHED.set({"0": value})
    except ValidationError:
        return FAILED
    except SchemaError as error:
        return _refused(error)
    finally:
        _FETCHED.reset(before)
    return value


class Definitions:
    """The schemas that others refer to.

    Args:
        schema: of the whole, which begins with them, if there are any.
    """

    def __init__(self, schema: Schema) -> None:
        has_any = schema["type"] == "definitions"
        self.root: Schema = schema["schema"] if has_any else schema
        self._known: dict[str, Schema] = {each["ref"]: each for each in schema["definitions"]} if has_any else {}

    def named(self, reference: Schema) -> Schema:
        """What a reference is to: it may be another one, with markers of its own."""
        return self._known[reference["schema_ref"]]

    def resolved(self, schema: Schema) -> Schema:
        """What a schema refers to in the end, or itself."""
        while schema["type"] == "definition-ref":
            schema = self.named(schema)
        return schema

    def closed(self, schema: Schema, *, written: bool = False) -> Schema:
        """A schema that can stand alone: with all that it refers to, and if it is `written`, what it is serialised by."""
        needed: dict[str, Schema] = {}
        open_ones = [schema]
        while open_ones:
            for ref in _refs(open_ones.pop(), written=written):
                if ref not in needed:
                    needed[ref] = self._known[ref]
                    open_ones.append(needed[ref])
        return {"type": "definitions", "schema": schema, "definitions": list(needed.values())} if needed else schema


_NO_SCHEMAS = frozenset(("metadata", "serialization", "default", "config", "expected", "members", "cls", "function"))
"""What a schema has under these keys is none. A field may have such a name."""


def inside(value: Any, *, written: bool = False) -> Iterator[Schema]:
    """The schemas directly inside of one, however they are kept in it; if it is to be `written`, in its serialiser too."""
    skipped = _NO_SCHEMAS if isinstance(value, Mapping) and is_schema(value) else ()
    for key, each in value.items() if isinstance(value, Mapping) else enumerate(value):
        if key in skipped and not (written and key == "serialization"):
            continue
        if isinstance(each, Mapping) and is_schema(each):
            yield each
        elif isinstance(each, Mapping | list | tuple):
            yield from inside(each, written=written)


def is_schema(value: Schema) -> bool:
    """Whether a mapping is a schema, and not one of names to schemas, in which "type" may be a name."""
    return isinstance(value.get("type"), str)


def _refs(schema: Schema, *, written: bool = False) -> Iterator[str]:
    if schema["type"] == "definition-ref":
        yield schema["schema_ref"]
    for each in inside(schema, written=written):
        yield from _refs(each, written=written)


# ---------------------------------------------------------------------- what a plan is made of


class Node:
    """A place where a value stands.

    Args:
        schema: of the value.
        config: of the model that it stands in.
        builder: knows the definitions.

    Attributes:
        same: the types of values that validation leaves as they are, so that it need not be asked.
        grows: whether a string is shown while it grows.
        object: what to do with an object, if it is to be shown while it grows.
        array: what to do with an array, if that is.
        partial: the class of its partial values, if it is for one model.
    """

    def __init__(self, schema: Schema, config: Any, builder: Definitions) -> None:
        self.same: frozenset[type] = frozenset()
        self.grows = False
        self.object: Fields | Entries | Choices | None = None
        self.array: Rows | None = None
        self.partial: type | None = None
        self.schema = schema
        self._config = config
        self._builder = builder

    @functools.cached_property
    def _validator(self) -> SchemaValidator:
        schema: Any = self._builder.closed(self.schema)
        return SchemaValidator(schema, self._config)

    def validated(self, value: Any) -> Any:
        """What becomes of a complete value; or `FAILED`, or `OMITTED`."""
        try:
            return self._validator.validate_json(json_of(value))
        except ValidationError:
            return FAILED
        except SchemaError as error:
            return _refused(error)


@dataclass(slots=True)
class Field:
    """A field of an object.

    Attributes:
        name: in Python.
        node: what is validated before the object is complete.
        bit: stands for it among those that are finished; 0, if the object will have no such attribute.
        is_late: only some of it is; the rest is done with the object.
        is_hidden: it is not shown before the object is complete.
        part: its key, and the name of its part, in the JSON of which the object is put together.
    """

    name: str
    node: Node
    bit: int
    is_late: bool = False
    is_hidden: bool = False
    part: str = ""


@dataclass(slots=True)
class Fields:
    """What to do with an object of a model, a dataclass or a `TypedDict`.

    Attributes:
        fields: by their keys.
        required: the names of those that must be there before it is shown.
        blank: begins a dict of what is shown.
        make: makes a partial value of such a dict; a `TypedDict` is one.
        dress: makes something of the partial value: a `RootModel` around it.
        steps: put it together.
        keeps_others: whether keys that are no fields matter.
    """

    fields: dict[str, Field]
    required: frozenset[str]
    blank: Callable[[], dict[str, Any]]
    make: Maker | None
    dress: Callable[[Any], Any] | None
    steps: tuple[Step, ...]
    keeps_others: bool


@dataclass(slots=True)
class Choices:
    """What to do with an object that is of one of several models, by one of its values.

    Attributes:
        keys: of that value. Of several that come, the first of these counts.
        nodes: by the value.
        dress: as for `Fields`.
        steps: what is done with it when it is put together.
    """

    keys: tuple[str, ...]
    nodes: dict[Any, Node]
    dress: Callable[[Any], Any] | None
    steps: tuple[Step, ...]

    def chosen(self, raw: Mapping[str, Any]) -> Node | None:
        """The node of an object that is complete."""
        value = next((raw[key] for key in self.keys if key in raw), None)
        return self.nodes.get(value) if type(value) in (str, int, bool) else None


@dataclass(slots=True)
class Bounds:
    """How many items there may be."""

    least: int | None = None
    most: int | None = None

    def hold(self, items: int) -> bool:
        """Whether there are as many."""
        return (self.least is None or items >= self.least) and (self.most is None or items <= self.most)


@dataclass(slots=True)
class Entries:
    """What to do with an object that is any dict.

    Attributes:
        key: gives a key as validated, or `FAILED`, or `OMITTED`; `None` if it stays what it is.
        value: of its values.
        bounds: of their number.
        dress: as for `Fields`.
        steps: what is done with the whole dict.
    """

    key: Callable[[str], Any] | None
    value: Node
    bounds: Bounds
    dress: Callable[[Any], Any] | None
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Rows:
    """What to do with an array; as for `Entries`."""

    item: Node
    bounds: Bounds
    dress: Callable[[Any], Any] | None
    steps: tuple[Step, ...]


RAW: Final = Node(ANY, None, Definitions(ANY))
"""Where a value stands that is only kept as it came: nobody knows it, or its validators are to see the fields before it."""


# ---------------------------------------------------------------------- fields in schemas


def own_fields(schema: Schema) -> list[tuple[str, Schema]]:
    """The fields in a schema, by their names."""
    fields = schema["fields"]
    return list(fields.items()) if isinstance(fields, dict) else [(field["name"], field) for field in fields]


def serializer(partial: type, schema: Schema, config: Any, fields: dict[str, Field], builder: Definitions) -> SchemaSerializer:
    """What serialises partial values: complete parts as ever, all else as what it is. Nothing is computed from them."""

    def of(name: str, field: Schema) -> Schema:
        node = fields[name].node
        is_leaf = not (node.object or node.array)
        return {**field, "schema": {"type": "nullable", "schema": field["schema"]} if is_leaf else ANY}

    own = [(name, of(name, field)) for name, field in own_fields(schema) if not field.get("init_only")]
    whole: Any = {"cls": partial, "config": config or {}}
    if schema["type"] == "model-fields":
        whole |= {"type": "model", "schema": {"type": "model-fields", "fields": dict(own)}}
    else:
        args = {"type": "dataclass-args", "fields": [field for _, field in own]}
        whole |= {"type": "dataclass", "schema": args, "fields": [name for name, _ in own]}
    return _serializer(builder.closed(whole, written=True), config)


def root_serializer(partial: type, config: Any) -> SchemaSerializer:
    """The same for a `RootModel`."""
    return _serializer({"type": "model", "cls": partial, "schema": ANY, "root_model": True, "config": config or {}}, config)


def _serializer(schema: Any, config: Any) -> SchemaSerializer:
    return SchemaSerializer(schema, config)  # which is for what has no serialiser of its own


def has_refs(schema: Schema) -> bool:
    """Whether there are references to others in a schema."""
    return any(True for _ in _refs(schema))
