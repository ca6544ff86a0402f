"""Forms of what holds other values: arrays, rows, tables, and one form or another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from streamfilter.spec.forms import Form, Nothing, Place, Schema, Schemas, any_of
from streamfilter.spec.scope import Plain
from streamfilter.spec.words import kind_of


@dataclass(frozen=True)
class Array:
    """Several values of one form.

    Args:
        item: the form of each. One that has `read_row` and `row_schema` may give several for one.
        least: how many there are at least.
    """

    item: Form
    least: int = 0

    def takes(self, given: Plain) -> bool:
        return isinstance(given, list)

    def read(self, given: Plain, at: Place) -> tuple[Any, ...]:
        if not isinstance(given, list):
            raise at.wrong(f"{kind_of(given)} stands here, an array is needed")
        if len(given) < self.least:
            raise at.wrong(f"at least {self.least} {'is' if self.least == 1 else 'are'} needed")
        row = getattr(self.item, "read_row", None)
        if row is not None:
            rows = at.scope.each(partial(row, each, at.down(number)) for number, each in enumerate(given))
            return tuple(value for several in rows for value in several)
        return tuple(at.scope.each(partial(self.item.read, each, at.down(number)) for number, each in enumerate(given)))

    def owns(self, value: Any) -> bool:
        return isinstance(value, tuple | list)

    def write(self, value: Any, at: Place) -> Plain:
        return [self.item.write(each, at.down(number)) for number, each in enumerate(value)]

    def schema(self, schemas: Schemas) -> Schema:
        item = getattr(self.item, "row_schema", self.item.schema)(schemas)
        return {"type": "array", "items": item} | ({"minItems": self.least} if self.least else {})


@dataclass(frozen=True)
class Row:
    """A fixed number of values, each of its form."""

    items: tuple[Form, ...]

    def takes(self, given: Plain) -> bool:
        return isinstance(given, list)

    def read(self, given: Plain, at: Place) -> tuple[Any, ...]:
        if not isinstance(given, list) or len(given) != len(self.items):
            raise at.wrong(f"an array of {len(self.items)} is needed")
        return tuple(form.read(each, at.down(number)) for number, (form, each) in enumerate(zip(self.items, given, strict=True)))

    def owns(self, value: Any) -> bool:
        return isinstance(value, tuple) and len(value) == len(self.items)

    def write(self, value: Any, at: Place) -> Plain:
        return [form.write(each, at.down(number)) for number, (form, each) in enumerate(zip(self.items, value, strict=True))]

    def schema(self, schemas: Schemas) -> Schema:
        size = len(self.items)
        return {"type": "array", "prefixItems": [form.schema(schemas) for form in self.items], "minItems": size, "maxItems": size}


_CODE_POINT = re.compile(r"U\+([0-9A-F]{4,6})")


@dataclass(frozen=True)
class Table:
    """Values by key. Keys are texts; a code point, where keys may be numbers, is written `U+00AD`.

    Args:
        value: the form of each value.
        numbers: whether keys may be numbers.
        least: how many there are at least.
    """

    value: Form
    numbers: bool = False
    least: int = 0

    def takes(self, given: Plain) -> bool:
        return isinstance(given, dict)

    def read(self, given: Plain, at: Place) -> dict[Any, Any]:
        if not isinstance(given, dict):
            raise at.wrong(f"{kind_of(given)} stands here, a table is needed")
        if len(given) < self.least:
            raise at.wrong(f"at least {self.least} {'is' if self.least == 1 else 'are'} needed")
        values = at.scope.each(partial(self.value.read, each, at.down(key)) for key, each in given.items())
        return dict(zip(map(self._key, given), values, strict=True))

    def _key(self, key: str) -> str | int:
        found = _CODE_POINT.fullmatch(key) if self.numbers else None
        return int(found[1], 16) if found else key

    def owns(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def write(self, value: Any, at: Place) -> Plain:
        written = {}
        for key, each in value.items():
            name = key if isinstance(key, str) else f"U+{key:04X}"
            written[name] = self.value.write(each, at.down(name))
        return written

    def schema(self, schemas: Schemas) -> Schema:
        return {"type": "object", "additionalProperties": self.value.schema(schemas)} | (
            {"minProperties": self.least} if self.least else {}
        )


class Channels(Array):
    """The kinds of channel a stage applies to; `"every"` is every kind."""

    def takes(self, given: Plain) -> bool:
        return given == "every" or isinstance(given, list)

    def read(self, given: Plain, at: Place) -> Any:
        if isinstance(given, str) and given != "every":
            raise at.wrong(f'write ["{given}"], or "every"' if len(given) < 60 else 'an array or "every" is needed')
        return None if given == "every" else super().read(given, at)

    def owns(self, value: Any) -> bool:
        return value is None or super().owns(value)

    def write(self, value: Any, at: Place) -> Plain:
        return "every" if value is None else super().write(value, at)

    def schema(self, schemas: Schemas) -> Schema:
        return {"anyOf": [{"const": "every"}, super().schema(schemas)]}


@dataclass(frozen=True)
class Either:
    """One form or another; the first that takes what stands there."""

    forms: tuple[Form, ...]

    def takes(self, given: Plain) -> bool:
        return any(form.takes(given) for form in self.forms)

    def read(self, given: Plain, at: Place) -> Any:
        for form in self.forms:
            if form.takes(given):
                return form.read(given, at)
        if len(self.forms) == 2 and isinstance(self.forms[1], Nothing):
            return self.forms[0].read(given, at)  # which says what is needed
        if isinstance(given, dict) and "use" not in given and self.takes({"use": ""}):
            raise at.wrong("a table without use cannot stand here: {use = NAME, …} is needed")
        raise at.wrong(f"{kind_of(given)} cannot stand here")

    def owns(self, value: Any) -> bool:
        return any(form.owns(value) for form in self.forms)

    def write(self, value: Any, at: Place) -> Plain:
        for form in self.forms:
            if form.owns(value):
                return form.write(value, at)
        raise at.wrong(f"a value of type {type(value).__qualname__} cannot be written")

    def schema(self, schemas: Schemas) -> Schema:
        return any_of([form.schema(schemas) for form in self.forms])
