"""Strategies for JSON documents of a schema: the values it allows, and the many ways to write one.

The schema is that of a pydantic model, or JSON Schema in the part that pydantic writes and that services take for structured
output. What else a schema says is refused by name: a document that it does not allow would be no test. Needs the extra `testing`.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

MAX_DEPTH = 4
"""How often a schema may refer to itself inside one document, where it need not."""

MAX_EXTRA = 3
"""Elements that an array has beyond those it must, and characters of a text."""

_NOTES = frozenset(
    [
        "$schema",
        "$id",
        "$defs",
        "definitions",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "discriminator",
    ]
)
"""What says nothing about which documents are allowed. (`discriminator` only says which of several alternatives to look at.)"""

_KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties", "minProperties")),
    "array": frozenset(("items", "prefixItems", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern", "format")),
    "integer": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    "number": frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    "boolean": frozenset(),
    "null": frozenset(),
}

_FORMATS: Mapping[str, Callable[[], st.SearchStrategy[str]]] = {
    "date": lambda: st.dates().map(lambda date: date.isoformat()),
    "date-time": lambda: st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "time": lambda: st.times().map(lambda time: time.isoformat() + "Z"),
    "uuid": lambda: st.uuids().map(str),
    "email": lambda: st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.(com|org)", fullmatch=True),
    "ipv4": lambda: st.ip_addresses(v=4).map(str),
    "ipv6": lambda: st.ip_addresses(v=6).map(str),
}

_CHARS = 'aZ09 .,"\\/{}[]:\n\té👩\u2028\u0000'
"""Of free text: what JSON must escape, may escape, and what a careless reader takes for structure."""


def json_documents(schema: Any, *, ascii_only: bool = False) -> st.SearchStrategy[str]:
    r"""JSON texts of the documents that a schema allows, written in many ways: with white space, escapes, keys in any order.

    Args:
        schema: a pydantic model, any type that pydantic has a schema for, or a JSON Schema as a dict (or True: anything).
        ascii_only: whether all else is escaped.

    Raises:
        ValueError: the schema says something that is not known here; the message says what, and where.

    Example:
        >>> from hypothesis import find
        >>> find(json_documents({"type": "array", "items": {"type": "integer"}}), lambda text: len(json.loads(text)) == 2)
        '[0,0]'
    """
    return _written(json_values(schema), ascii_only)


def json_values(schema: Any) -> st.SearchStrategy[Any]:
    """The values that a schema allows, as `json.loads` would give them.

    Args:
        schema: as for `json_documents`.

    Raises:
        ValueError: the schema says something that is not known here; the message says what, and where.

    Example:
        >>> from hypothesis import find
        >>> find(json_values({"enum": ["a", "b"]}), lambda value: value != "a")
        'b'
    """
    if isinstance(schema, Mapping | bool):
        return _Schema(schema).values()
    adapter = TypeAdapter[Any](schema)

    def is_valid(value: Any) -> bool:
        try:
            adapter.validate_json(json.dumps(value))
        except ValueError:
            return False
        return True

    return _Schema(adapter.json_schema()).values().filter(is_valid)


class _Schema:
    """A schema, compiled to strategies. What it refers to is compiled once."""

    def __init__(self, root: Mapping[str, Any] | bool) -> None:
        self._root = root
        self._referred: dict[str, st.SearchStrategy[Any]] = {}

    def values(self) -> st.SearchStrategy[Any]:
        return self._of(self._root, "#")

    def _of(self, schema: Any, where: str) -> st.SearchStrategy[Any]:
        if schema is True or schema == {}:
            return _anything()
        if not isinstance(schema, Mapping):
            raise ValueError(f"{where}: {schema!r} allows no document")
        said = {key: value for key, value in schema.items() if key not in _NOTES}
        if "$ref" in said:
            return self._alone(said, "$ref", where, lambda ref: self._reference(ref, where))
        if "const" in said:
            return st.just(said["const"])
        if "enum" in said:
            return st.sampled_from(list(said["enum"]))
        for name in ("anyOf", "oneOf"):
            if name in said:
                return self._alone(said, name, where, functools.partial(self._some, where=f"{where}/{name}"))
        if "allOf" in said:
            return self._alone(said, "allOf", where, lambda parts: self._all(parts, f"{where}/allOf"))
        return self._typed(said, where)

    def _alone(self, said: Mapping[str, Any], name: str, where: str, make: Callable[[Any], Any]) -> st.SearchStrategy[Any]:
        """What leaves nothing else to say beside it."""
        if beside := sorted(set(said) - {name, "type"}):
            raise ValueError(f"{where}: {', '.join(beside)} beside {name} is not supported")
        made: st.SearchStrategy[Any] = make(said[name])
        return made

    def _reference(self, ref: str, where: str) -> st.SearchStrategy[Any]:
        if ref not in self._referred:
            if not ref.startswith("#/"):
                raise ValueError(f"{where}: $ref {ref!r} is not in the document: only '#/…' is supported")
            target: Any = self._root
            for step in ref[2:].split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                if not isinstance(target, Mapping) or name not in target:
                    raise ValueError(f"{where}: $ref {ref!r} leads nowhere")
                target = target[name]
            self._referred[ref] = st.deferred(lambda: self._of(target, ref))
            self._of(target, ref)  # what is refused is refused now
        return self._referred[ref]

    def _some(self, parts: Any, where: str) -> st.SearchStrategy[Any]:
        return st.one_of([self._of(part, f"{where}/{n}") for n, part in enumerate(parts)])

    def _all(self, parts: Any, where: str) -> st.SearchStrategy[Any]:
        if len(parts) != 1:
            raise ValueError(f"{where}: several schemas that all hold are not supported")
        return self._of(parts[0], f"{where}/0")

    def _typed(self, said: Mapping[str, Any], where: str) -> st.SearchStrategy[Any]:
        kinds = said.get("type")
        if kinds is None:
            guessed = [kind for kind, keywords in _KEYWORDS.items() if keywords & set(said)]
            kinds = guessed[:1] if len(guessed) == 1 else []
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if not kinds or set(kinds) - set(_KEYWORDS):
            raise ValueError(f"{where}: type {said.get('type')!r} is not supported: one of {', '.join(_KEYWORDS)} is needed")
        known = frozenset(("type",)).union(*(_KEYWORDS[kind] for kind in kinds))
        if unknown := sorted(set(said) - known):
            raise ValueError(f"{where}: {', '.join(unknown)} is not supported for {' or '.join(kinds)}")
        makers: dict[str, Callable[[Mapping[str, Any], str], st.SearchStrategy[Any]]] = {
            "object": self._object,
            "array": self._array,
            "string": _string,
            "integer": lambda said, where: _number(said, where, whole=True),
            "number": lambda said, where: _number(said, where, whole=False),
            "boolean": lambda _said, _where: st.booleans(),
            "null": lambda _said, _where: st.none(),
        }
        return st.one_of([makers[kind](said, where) for kind in kinds])

    def _object(self, said: Mapping[str, Any], where: str) -> st.SearchStrategy[Any]:
        properties = {name: self._of(part, f"{where}/properties/{name}") for name, part in said.get("properties", {}).items()}
        required = set(said.get("required", ()))
        more = said.get("additionalProperties", False)
        values = _anything() if more is True else self._of(more, f"{where}/additionalProperties") if more else None
        if unnamed := required - set(properties):
            properties |= {name: values if values is not None else _anything() for name in sorted(unnamed)}
        fixed = st.fixed_dictionaries(
            {name: part for name, part in properties.items() if name in required},
            optional={name: part for name, part in properties.items() if name not in required},
        )
        least = int(said.get("minProperties", 0))
        if values is not None:
            extra = st.dictionaries(_text().filter(lambda name: name not in properties), values, max_size=MAX_EXTRA)
            fixed = st.builds(lambda first, second: first | second, fixed, extra)
        return fixed.filter(lambda value: len(value) >= least) if least else fixed

    def _array(self, said: Mapping[str, Any], where: str) -> st.SearchStrategy[Any]:
        first = [self._of(part, f"{where}/prefixItems/{n}") for n, part in enumerate(said.get("prefixItems", ()))]
        items = said.get("items", True)
        least = max(int(said.get("minItems", 0)) - len(first), 0)
        most = int(said["maxItems"]) - len(first) if "maxItems" in said else least + MAX_EXTRA
        if most < least:
            raise ValueError(f"{where}: maxItems is too small")
        rest = self._of(items, f"{where}/items") if items is not False and most else None
        others = st.just([]) if rest is None else st.lists(rest, min_size=least, max_size=min(most, least + MAX_EXTRA))
        return st.builds(lambda one, two: [*one, *two], st.tuples(*first), others)


def _anything() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-(10**6), 10**20) | _floats() | _text()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=MAX_EXTRA) | st.dictionaries(_text(), inner, max_size=MAX_EXTRA),
        max_leaves=6,
    )


def _floats(least: float | None = None, most: float | None = None, **bounds: Any) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_nan=False, allow_infinity=False, **bounds)


def _text(least: int = 0, most: int | None = None) -> st.SearchStrategy[str]:
    return st.text(_CHARS, min_size=least, max_size=least + MAX_EXTRA * 2 if most is None else min(most, least + MAX_EXTRA * 2))


def _string(said: Mapping[str, Any], where: str) -> st.SearchStrategy[str]:
    least, most = int(said.get("minLength", 0)), said.get("maxLength")
    if "format" in said:
        if said["format"] not in _FORMATS:
            raise ValueError(f"{where}: format {said['format']!r} is not supported: one of {', '.join(_FORMATS)} is")
        if len(said) > 2:
            raise ValueError(f"{where}: other keywords beside format are not supported")
        return _FORMATS[said["format"]]()
    if "pattern" in said:
        found = st.from_regex(said["pattern"])
        return found.filter(lambda text: len(text) >= least and (most is None or len(text) <= most))
    return _text(least, most)


def _number(said: Mapping[str, Any], where: str, *, whole: bool) -> st.SearchStrategy[Any]:
    low, high = said.get("minimum"), said.get("maximum")
    above, below = said.get("exclusiveMinimum"), said.get("exclusiveMaximum")
    if not whole:
        bounds = {"exclude_min": above is not None, "exclude_max": below is not None}
        return _floats(above if above is not None else low, below if below is not None else high, **bounds)
    lows = [*([math.ceil(low)] if low is not None else []), *([math.floor(above) + 1] if above is not None else [])]
    highs = [*([math.floor(high)] if high is not None else []), *([math.ceil(below) - 1] if below is not None else [])]
    step = said.get("multipleOf", 1)
    if not isinstance(step, int) or step < 1:
        raise ValueError(f"{where}: multipleOf {step!r} is not supported: a whole number is")
    least, most = (-(-max(lows) // step) if lows else None), (min(highs) // step if highs else None)
    if least is not None and most is not None and least > most:
        raise ValueError(f"{where}: no integer is allowed")
    return st.integers(least, most).map(lambda value: value * step)


# ------------------------------------------------------------------ writing


@st.composite
def _written(draw: st.DrawFn, values: st.SearchStrategy[Any], ascii_only: bool) -> str:
    """A value as JSON: as `json.dumps` writes it, or with white space and escapes of one's own."""
    value = draw(values)
    style = draw(st.sampled_from(("short", "plain", "indented", "odd")))
    if style == "odd":
        return "".join(_odd(draw, value, ascii_only))
    separators = (",", ":") if style == "short" else None
    return json.dumps(value, ensure_ascii=ascii_only, indent=2 if style == "indented" else None, separators=separators)


def _odd(draw: st.DrawFn, value: Any, ascii_only: bool) -> list[str]:
    blank = draw(st.sampled_from(("", " ", "\n", "\t \r\n")))
    if isinstance(value, dict):
        pairs = draw(st.permutations(list(value.items())))
        parts = [[*_odd_text(draw, key, ascii_only), blank, ":", blank, *_odd(draw, inner, ascii_only)] for key, inner in pairs]
        return ["{", blank, *_joined(parts), "}"]
    if isinstance(value, list):
        return ["[", blank, *_joined([[*_odd(draw, inner, ascii_only), blank] for inner in value]), "]"]
    return _odd_text(draw, value, ascii_only) if isinstance(value, str) else [json.dumps(value)]


def _joined(parts: list[list[str]]) -> list[str]:
    return [piece for n, part in enumerate(parts) for piece in ([","] if n else []) + part]


def _odd_text(draw: st.DrawFn, text: str, ascii_only: bool) -> list[str]:
    """A string in which some characters are escaped that need not be."""
    escaped = draw(st.sets(st.integers(0, len(text)), max_size=2))
    out = [json.dumps(char, ensure_ascii=ascii_only)[1:-1] for char in text]
    for at in escaped:
        if at < len(text):
            raw = text[at].encode("utf-16-be")
            out[at] = "".join(f"\\u{raw[n] * 256 + raw[n + 1]:04x}" for n in range(0, len(raw), 2))
    return ['"', *out, '"']
