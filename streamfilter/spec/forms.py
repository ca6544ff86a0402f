"""Forms: how a value of some type stands in a file. Each reads it, writes it, and says its JSON Schema, so that the three agree.

A form is made from a type annotation (`spec.making`). What it reads has the right shape; whether it makes sense is up to the
constructor that gets it. Numbers, texts and their bounds are pydantic's business, in strict mode. This module knows no stage and
no rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import SecretStr, TypeAdapter, ValidationError

from streamfilter.errors import SpecError
from streamfilter.spec.scope import IMPORT, NAME, Plain, Scope
from streamfilter.spec.words import kind_of, shown, unknown

Schema = dict[str, Any]

NONE: Plain = {"none": True}
"""None, where it is not the default: TOML has no null."""

NOTHING: Schema = {
    "anyOf": [
        {"type": "null"},
        {"type": "object", "properties": {"none": {"const": True}}, "required": ["none"], "additionalProperties": False},
    ]
}

END = r"(?![\s\S])"
"""The end of a text, in Python and in ECMA 262: in Python `$` stands before a line end too."""

ENV: Schema = {
    "type": "object",
    "properties": {"env": {"type": "string", "minLength": 1, "description": "The name of an environment variable."}},
    "required": ["env"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document one is, and what may be referred to from there.

    Args:
        scope: what may be referred to.
        path: keys and indexes from the top.
    """

    scope: Scope
    path: tuple[str | int, ...] = ()

    def down(self, *steps: str | int) -> Place:
        """A place below this one."""
        return Place(self.scope, (*self.path, *steps))

    def wrong(self, problem: str) -> SpecError:
        """The error that something here is wrong."""
        return SpecError(problem, path=self.path)

    def misplaced(self, error: SpecError) -> SpecError:
        """An error that did not know its place, with this one."""
        return error if error.path else self.wrong(error.problem)


@dataclass
class Schemas:
    """The definitions of a schema, as they are come by.

    Args:
        objects: live objects by name; None: they are not known, and may be any.
        allow_imports: modules from which may be imported.
    """

    objects: Mapping[str, object] | None = None
    allow_imports: tuple[str, ...] = ()
    defs: dict[str, Schema] = field(default_factory=dict)

    def ref(self, name: str) -> Schema:
        """What refers to a definition."""
        return {"$ref": f"#/$defs/{name}"}

    def references(self, suits: Callable[[object], bool]) -> list[Schema]:
        """The texts that name something imported, or something live that suits."""
        if self.objects is None:
            live: list[Schema] = [{"type": "string", "pattern": f"^{NAME}{END}", "description": "The name of a live object."}]
        else:
            names = [name for name, value in self.objects.items() if suits(value)]
            live = [{"enum": names}] if names else []
        return [*live, *self.imports]

    @property
    def imports(self) -> list[Schema]:
        """The texts that name something imported."""
        allowed = [
            f"(?={re.escape(entry)})" if entry.endswith(".") else f"(?={re.escape(entry)}{END if ':' in entry else ':'})"
            for entry in self.allow_imports
        ]
        return [{"type": "string", "pattern": f"^({'|'.join(allowed)}){IMPORT}{END}"}] if allowed else []


def any_of(schemas: Sequence[Schema]) -> Schema:
    """One schema or the other."""
    distinct = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


class Form(Protocol):
    """How values of one type stand in a file."""

    def takes(self, given: Plain) -> bool:
        """Whether this is the form meant by what stands there, right or wrong."""
        ...

    def read(self, given: Plain, at: Place) -> Any:
        """The value.

        Raises:
            SpecError: what stands there is none.
        """
        ...

    def owns(self, value: Any) -> bool:
        """Whether the value is of this form."""
        ...

    def write(self, value: Any, at: Place) -> Plain:
        """How the value stands in a file.

        Raises:
            SpecError: it cannot.
        """
        ...

    def schema(self, schemas: Schemas) -> Schema:
        """What `read` accepts."""
        ...


class Scalar:
    """Texts, numbers and booleans with their bounds.

    Args:
        annotation: of the type, with its `Field`s.
        types: of the values.
        what: it is, in words.
    """

    def __init__(self, annotation: Any, types: type | tuple[type, ...], what: str) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._types = types
        self._what = what

    def takes(self, given: Plain) -> bool:
        return isinstance(given, self._types) and (self._types is bool or not isinstance(given, bool))

    def read(self, given: Plain, at: Place) -> Any:
        if not self.takes(given):
            raise at.wrong(f"{kind_of(given)} stands here, {self._what} is needed")
        try:
            return self._adapter.validate_python(given, strict=True)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise at.wrong(re.sub("^Input should|^(String|Value) should", "it should", problem)) from None

    def owns(self, value: Any) -> bool:
        return self.takes(value)

    def write(self, value: Any, at: Place) -> Plain:
        if isinstance(value, float) and value - value != 0:
            raise at.wrong(f"{value} cannot be written: JSON has no such number")
        return value

    def schema(self, schemas: Schemas) -> Schema:
        return self._adapter.json_schema()


@dataclass(frozen=True)
class Choice:
    """One of some literal values."""

    values: tuple[Any, ...]

    def takes(self, given: Plain) -> bool:
        return isinstance(given, str)

    def read(self, given: Plain, at: Place) -> Any:
        if not isinstance(given, str):
            raise at.wrong(f"{kind_of(given)} stands here, one of {', '.join(map(repr, self.values))} is needed")
        if given not in self.values:
            raise at.wrong(unknown("value", given, self.values))
        return given

    def owns(self, value: Any) -> bool:
        return value in self.values

    def write(self, value: Any, at: Place) -> Plain:
        return value

    def schema(self, schemas: Schemas) -> Schema:
        return {"enum": [*self.values]}


class Nothing:
    """None: null, or `{none = true}`."""

    def takes(self, given: Plain) -> bool:
        return given is None or (isinstance(given, dict) and "none" in given)

    def read(self, given: Plain, at: Place) -> None:
        if given is not None and (given != NONE or given["none"] is not True):  # 1 == True
            raise at.wrong("nothing is written {none = true}")

    def owns(self, value: Any) -> bool:
        return value is None

    def write(self, value: Any, at: Place) -> Plain:
        return dict(NONE)

    def schema(self, schemas: Schemas) -> Schema:
        return NOTHING


class Secret:
    """A secret: `{env = "NAME"}`, or a text, though a file is no place for one."""

    def takes(self, given: Plain) -> bool:
        return isinstance(given, str | dict)

    def read(self, given: Plain, at: Place) -> SecretStr:
        if isinstance(given, str):
            return SecretStr(given)
        return SecretStr(from_env(given, at))

    def owns(self, value: Any) -> bool:
        return isinstance(value, SecretStr)

    def write(self, value: Any, at: Place) -> Plain:
        for name, known in at.scope.env.items():
            if known == value.get_secret_value():
                return {"env": name}
        raise at.wrong("a secret is not written: give dump the environment that has it, env={'NAME': …}")

    def schema(self, schemas: Schemas) -> Schema:
        return {"anyOf": [{"type": "string"}, ENV]}


def from_env(given: Plain, at: Place) -> str:
    """The text of an environment variable, of `{env = "NAME"}`.

    Raises:
        SpecError: it is written differently, or not set.
    """
    if not (isinstance(given, dict) and [*given] == ["env"] and isinstance(given["env"], str) and given["env"]):
        raise at.wrong('a text or {env = "NAME"} is needed')
    try:
        return at.scope.secret(given["env"])
    except SpecError as error:
        raise at.misplaced(error) from error


def check_fields(given: Mapping[str, Plain], names: Sequence[str], required: Sequence[str], what: str, at: Place) -> None:
    """Refuse a table with a field that does not exist, or without one that must be there.

    Raises:
        SpecError: with the name of the field.
    """
    for name in given:
        if name not in names:
            raise at.wrong(unknown("field", name, names, of=what) if names else f"{what} has no fields, so no {shown(name)}")
    if missing := [name for name in required if name not in given]:
        raise at.wrong(f"{what} needs {' and '.join(missing)}")
