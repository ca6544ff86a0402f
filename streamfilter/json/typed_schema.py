"""From a core schema of pydantic to a plan: which of its places may be shown while they grow, and what is validated when.

A place is shown while it grows only where nothing that is not known yet can change it: an object of a model without validators that
come before its fields, a list, a dict, a plain string. All else, and all that is not known here, is withheld until it is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, NamedTuple

from pydantic_core import SchemaValidator, ValidationError

from streamfilter.json.partial import MARK, Required, Whole, maker, partial_class, set_mask
from streamfilter.json.typed_plan import (
    ANY,
    FAILED,
    HOLE,
    OMITTED,
    RAW,
    Bounds,
    Choices,
    Definitions,
    Entries,
    Field,
    Fields,
    Node,
    Rows,
    Schema,
    Step,
    has_refs,
    hole_or_default,
    inside,
    own_fields,
    root_serializer,
    serializer,
    takes_holes,
)

NONE: Final = type(None)
_SCALARS: Final[dict[str, type]] = {"str": str, "int": int, "float": float, "bool": bool}
_NUMBERS: Final = ("int", "float", "bool")
_ALL_KINDS: Final = frozenset(("object", "array", "string"))
_KINDS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(("model-fields", "dataclass-args", "typed-dict", "dict", "tagged-union"), frozenset(("object",))),
    **dict.fromkeys(("list", "tuple", "set", "frozenset"), frozenset(("array",))),
    **dict.fromkeys(("date", "datetime", "time", "timedelta", "decimal", "uuid", "url"), frozenset(("string",))),
    **dict.fromkeys(("str", "bytes", "literal", "json", *_NUMBERS), frozenset(("string",))),
    "none": frozenset(),
}
"""The kinds of JSON that grow and that schemas take, as far as that is sure."""

_CLASSES: Final = frozenset(("model-fields", "dataclass-args", "typed-dict"))
"""The schemas with fields of a class. A validator in one of these sees those before it, and nothing that is outside."""

_COMMON: Final = frozenset(("type", "strict", "ref", "metadata", "serialization"))
_LIST_KEYS: Final = _COMMON | {"items_schema", "min_length", "max_length", "fail_fast"}
_DICT_KEYS: Final = _COMMON | {"keys_schema", "values_schema", "min_length", "max_length", "fail_fast"}
_SHAPING: Final = ("str_to_lower", "str_to_upper", "str_strip_whitespace", "str_min_length", "str_max_length")


class _Around(NamedTuple):
    """What stands around a value.

    Attributes:
        steps: what is done with it when it is complete, the innermost first, and the config that it is done with.
        dress: makes something of it while it is partial.
    """

    steps: tuple[tuple[Schema, Any], ...] = ()
    dress: Callable[[Any], Any] | None = None


class Planner:
    """Makes nodes.

    Args:
        schema: of the root.
    """

    def __init__(self, schema: Schema) -> None:
        self._definitions = Definitions(schema)
        self._nodes: dict[tuple[int, str], Node] = {}  # by the identity of their schemas, all of which the definitions keep

    def root(self) -> Node:
        """The node of the whole document."""
        return self._node(self._definitions.root, None)

    def kinds(self, schema: Schema, *, sure: bool, seen: tuple[int, ...] = ()) -> frozenset[str]:
        """The kinds of JSON that grow and may become a value of a schema: all, where that is not known.

        Args:
            schema: what is asked about.
            sure: whether what a validator sees first counts as well, and not only what it is put around.
            seen: where the question comes from.
        """
        kind = schema["type"]
        if kind == "union":
            return frozenset().union(*(self.kinds(each, sure=sure, seen=seen) for each in _choices(schema)))
        inner = schema["schema"] if kind in ("model", "dataclass") else self._transparent(schema)
        if kind in ("function-before", "function-wrap") and not sure:
            inner = schema["schema"]
        if inner is None or (sure and schema.get("custom_init")):
            return _KINDS.get(kind, _ALL_KINDS)
        return frozenset() if id(inner) in seen else self.kinds(inner, sure=sure, seen=(*seen, id(inner)))

    def _transparent(self, schema: Schema) -> Schema | None:
        """What stands in a schema that takes just what stands in it, or `None`."""
        kind = schema["type"]
        if kind in ("nullable", "custom-error", "function-after") or (
            kind == "default" and schema.get("on_error", "raise") == "raise"
        ):
            return schema["schema"]  # type: ignore[no-any-return]
        if kind == "definition-ref":
            return self._definitions.named(schema)
        return schema["json_schema"] if kind == "json-or-python" else None

    # ------------------------------------------------------------------ nodes

    def _node(self, schema: Schema, config: Any) -> Node:
        """The node of a schema. There is one for each, or recursive types would have no end.

        A type that has a name stands once in the schemas, and may be in several models: what it takes is up to their configs.
        """
        key = id(schema), _settings(config)
        known = self._nodes.get(key)
        if known is None:
            known = self._nodes[key] = Node(schema, config, self._definitions)
            self._fill(known, schema, config, _Around())
        return known

    def _fill(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        """Say what is done at a node with what has this schema, or leave it as one that is withheld."""
        if Whole in _marks(schema):
            return
        kind = schema["type"]
        inner = self._transparent(schema)
        if inner is not None:
            if kind == "nullable" and not around.steps:
                node.same |= {NONE}
            if kind == "function-after":
                around = around._replace(steps=((schema, config), *around.steps))
                node.same = frozenset()
            self._fill(node, inner, config, around)
        elif kind in _SCALARS:
            if not around.steps and _is_plain(schema, config):
                node.same |= {_SCALARS[kind]}
                node.grows = kind == "str"
        elif kind in _FILLS and (kind not in ("model", "dataclass") or takes_holes()):
            _FILLS[kind](self, node, schema, config, around)

    def _fill_any(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        inner = self._node(schema, config) if around.steps else node
        if inner is node:
            node.same = frozenset((str, int, float, bool, NONE))
            node.grows = True
        node.object = Entries(None, inner, Bounds(), around.dress, self._steps(around))
        node.array = Rows(inner, Bounds(), around.dress, self._steps(around))

    def _fill_model(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        config = schema.get("config")
        steps = ((schema, config), *around.steps)
        inner = schema["schema"]
        if schema.get("custom_init"):
            return
        if schema.get("root_model"):
            partial = partial_class(schema["cls"], ("root",), lambda made: root_serializer(made, config))
            node.partial = node.partial or partial
            self._fill(node, inner, config, _Around(steps, _dressed(partial, around.dress)))
        elif inner["type"] == "model-fields":
            self._fill_fields(node, schema["cls"], inner, config, _Around(steps, around.dress))

    def _fill_dataclass(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        is_known = schema["schema"]["type"] == "dataclass-args" and not self._borrows(schema, config)
        config = schema.get("config")
        if is_known:
            around = around._replace(steps=((schema, config), *around.steps))
            self._fill_fields(node, schema["cls"], schema["schema"], config, around)

    def _fill_typed_dict(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        if schema.get("cls") is not None and not self._borrows(schema, config):
            self._fill_fields(node, schema["cls"], schema, schema.get("config"), around)

    def _borrows(self, schema: Schema, config: Any) -> bool:
        """Whether a named type stands in a class with settings but no validator: pydantic reads that by the settings around it."""
        if "__pydantic_validator__" in vars(schema["cls"]) or _settings(schema.get("config")) == _settings(config):
            return False
        named = self._definitions.closed(schema).get("definitions", ())
        return any(each["type"] not in ("model", "dataclass", "typed-dict") for each in named)

    def _fill_list(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        if schema.keys() <= _LIST_KEYS:
            item = self._node(schema.get("items_schema", ANY), config)
            node.array = Rows(item, _bounds(schema), around.dress, self._steps(around))

    def _fill_dict(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        if schema.keys() <= _DICT_KEYS:
            keys = schema.get("keys_schema", ANY)
            is_plain = keys["type"] == "any" or (keys["type"] == "str" and _is_plain(keys, config))
            value = self._node(schema.get("values_schema", ANY), config)
            node.object = Entries(
                None if is_plain else self._key(keys, config), value, _bounds(schema), around.dress, self._steps(around)
            )

    def _fill_choices(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        keys = _paths(schema["discriminator"])
        if keys is None:
            return
        nodes = {value: self._node(each, config) for value, each in schema["choices"].items()}
        node.object = Choices(tuple(keys), nodes, around.dress, self._steps(around))

    def _fill_union(self, node: Node, schema: Schema, config: Any, around: _Around) -> None:
        """What only one of the choices can take is shown as if there were no others."""
        choices = [(each, self.kinds(each, sure=True)) for each in _choices(schema)]
        for kind in ("object", "array"):
            takers = [each for each, kinds in choices if kind in kinds]
            if len(takers) == 1:
                alone = Node(takers[0], config, self._definitions)
                self._fill(alone, takers[0], config, around)
                setattr(node, kind, getattr(alone, kind))
        strings = [each for each, kinds in choices if "string" in kinds]
        others = [each for each in strings if each["type"] != "str" or Whole in _marks(each) or not _is_plain(each, config)]
        is_smart = schema.get("mode", "smart") == "smart"  # a string stays one then, even if it looks like a number
        only_numbers = all(each["type"] in _NUMBERS for each in others) and (is_smart or not others)
        node.grows = not around.steps and len(strings) - len(others) == 1 and only_numbers

    def _steps(self, around: _Around) -> tuple[Step, ...]:
        return tuple(Step({**schema, "schema": HOLE}, config, self._definitions) for schema, config in around.steps)

    def _key(self, schema: Schema, config: Any) -> Callable[[str], Any]:
        """What validates a key: pydantic reads more from keys than from other strings."""
        entry: Any = self._definitions.closed({"type": "dict", "keys_schema": schema})
        validator = SchemaValidator(entry, config)

        def key(text: str) -> Any:
            try:
                return next(iter(validator.validate_json(f"{{{quoted(text)}:0}}")), OMITTED)
            except ValidationError:
                return FAILED

        return key

    # ------------------------------------------------------------------ fields

    def _fill_fields(self, node: Node, cls: type, schema: Schema, config: Any, around: _Around) -> None:
        """Say what to do with the fields of a class, if they are found by simple keys, each by its own."""
        own = own_fields(schema)
        keys = {name: _keys(name, field, {**(config or {}), **schema}) for name, field in own}
        found = [key for each in keys.values() for key in {*(each or ())}]
        if not all(keys.values()) or len(set(found)) < len(found):
            return
        made, staged = {}, {}
        bit = 1
        for name, field in own:
            made[name], staged[name] = self._field(name, field, config, bit, keys[name] or [])
            bit <<= made[name].bit > 0
        is_dict = schema["type"] == "typed-dict"
        names = tuple(name for name, field in own if not field.get("init_only"))
        blank = dict.fromkeys(name for name in names if not is_dict or _is_expected(dict(own)[name], schema))
        written = None if is_dict else lambda made_of: serializer(made_of, schema, config, made, self._definitions)
        partial = partial_class(cls, names, written)
        stage = {**schema, "fields": staged if isinstance(schema["fields"], dict) else list(staged.values())}
        others = schema.get("extra_behavior") or (config or {}).get("extra_fields_behavior") or "ignore"
        node.partial = node.partial or partial
        node.object = Fields(
            fields={key: replace(made[name], part=f"{quoted(key)}:{quoted(key)}") for name in keys for key in keys[name] or ()},
            required=frozenset(name for name, field in own if self._is_required(field["schema"])),
            blank=_blank(partial, blank) if is_dict else blank.copy,
            make=None if is_dict else maker(partial),
            dress=around.dress,
            steps=self._made(stage, config, around, is_dict=is_dict),
            keeps_others=others != "ignore",
        )

    def _made(self, stage: Schema, config: Any, around: _Around, *, is_dict: bool) -> tuple[Step, ...]:
        """The steps that make an object of its fields. The first makes the model too, unless it refers to other schemas.

        Where a schema has definitions, pydantic takes the validator that a class has, and not the one with holes.
        """
        if is_dict or has_refs(stage):
            return (Step(stage, config, self._definitions), *self._steps(around))
        model, outside = around.steps[0][0], around._replace(steps=around.steps[1:])
        return (Step({**model, "schema": stage}, config, self._definitions), *self._steps(outside))

    def _field(self, name: str, field: Schema, config: Any, bit: int, keys: Sequence[str]) -> tuple[Field, Schema]:
        """A field, and what is left of it for the time when the object is put together."""
        bit = 0 if field.get("init_only") else bit
        inner, rest = self._peeled(field["schema"], config, keys)
        if inner is None or field.get("init") is False:  # pydantic does not look at what a document has for that
            return Field(name, RAW, bit), field
        node = self._node(inner, config)
        if not bit:
            return Field(name, node, bit, is_hidden=True), {**field, "schema": rest}
        late = inner is not field["schema"]
        hidden = late and node.object is None and node.array is None
        return Field(name, node, bit, is_late=late, is_hidden=hidden), {**field, "schema": rest}

    def _peeled(self, schema: Schema, config: Any, keys: Sequence[str], *, validates: bool = False) -> tuple[Schema | None, Schema]:
        """What of a field is validated as soon as it is complete, and the schema of the rest, with a hole.

        A validator that asks for `info` may look at the fields before its own: it waits for the object, and so does all that
        stands around it. What stands inside of one that comes before its value waits too: then there is nothing to be peeled out.

        Args:
            schema: of the field, or of what stands in that.
            config: of the model.
            keys: of the field.
            validates: whether a default that stands around comes here.
        """
        known = self._definitions.resolved(schema)
        is_default = known["type"] == "default"
        if is_default:
            validates = bool(validates or known.get("validate_default", (config or {}).get("validate_default")))
        if not self._sees_fields(schema):
            hole = hole_or_default(known["schema"] if is_default else known, keys) if validates else HOLE
            return schema, {**known, "schema": hole} if is_default else hole
        if (is_default or known["type"] == "function-after") and Whole not in (*_marks(schema), *_marks(known)):
            inner, rest = self._peeled(known["schema"], config, keys, validates=validates)
            return inner, {**known, "schema": rest}
        return None, schema

    def _sees_fields(self, schema: Schema, *, direct: bool = True, seen: set[int] | None = None) -> bool:
        """Whether a validator in a field asks for `info`: wherever it stands, it sees the fields that are before this one.

        Only those in the fields of a class that stands there see the fields of that, and no others. One behind a whole model, in a
        list or a choice, is not asked about: few look at those fields, and the model would not be shown while it grows.
        """
        seen = set() if seen is None else seen  # one schema may be reached in many ways
        if id(schema) in seen:
            return False
        seen.add(id(schema))
        kind = schema["type"]
        if kind == "definition-ref":
            return self._sees_fields(self._definitions.named(schema), direct=direct, seen=seen)
        if kind.startswith("function-") and schema["function"]["type"] == "with-info":
            inner = schema
            while not direct and inner["type"] in ("function-after", "definition-ref"):
                inner = self._transparent(inner) or inner
            if direct or inner["type"] not in ("model", "dataclass"):
                return True
        direct = direct and kind in ("default", "function-after")
        others = {**schema, "fields": ()} if kind in _CLASSES else schema
        return any(self._sees_fields(each, direct=direct, seen=seen) for each in inside(others))

    def _is_required(self, schema: Schema) -> bool:
        """Whether a field is marked."""
        inner: Schema | None = schema
        while inner is not None and Required not in _marks(inner):
            if inner["type"] == "definition-ref":
                inner = self._definitions.named(inner)
            else:
                inner = inner["schema"] if inner["type"].startswith(("function-", "default")) and "schema" in inner else None
        return inner is not None


_FILLS: Final[dict[str, Callable[[Planner, Node, Schema, Any, _Around], None]]] = {
    "any": Planner._fill_any,  # noqa: SLF001
    "model": Planner._fill_model,  # noqa: SLF001
    "dataclass": Planner._fill_dataclass,  # noqa: SLF001
    "typed-dict": Planner._fill_typed_dict,  # noqa: SLF001
    "list": Planner._fill_list,  # noqa: SLF001
    "dict": Planner._fill_dict,  # noqa: SLF001
    "tagged-union": Planner._fill_choices,  # noqa: SLF001
    "union": Planner._fill_union,  # noqa: SLF001
}


def _marks(schema: Schema) -> Sequence[Any]:
    marks: Sequence[Any] = (schema.get("metadata") or {}).get(MARK, ())
    return marks


def _settings(config: Any) -> str:
    """What is the same for configs that do the same: they name their models too."""
    return repr(sorted((name, value) for name, value in (config or {}).items() if name != "title"))


def _choices(schema: Schema) -> list[Schema]:
    return [each[0] if isinstance(each, tuple) else each for each in schema["choices"]]


def _is_plain(schema: Schema, config: Any) -> bool:
    """Whether a scalar is taken as it is."""
    config = config or {}
    return schema.keys() <= _COMMON and not any(config.get(each) for each in _SHAPING) and config.get("allow_inf_nan") is not False


def _bounds(schema: Schema) -> Bounds:
    return Bounds(schema.get("min_length"), schema.get("max_length"))


def _paths(found: Any) -> list[str] | None:
    """The keys that an alias or a discriminator names; `None`, if it leads further down, or is a function."""
    if isinstance(found, str):
        return [found]
    if not isinstance(found, list):
        return None
    paths = found if all(isinstance(each, list) for each in found) else [found]
    return [path[0] for path in paths] if all(len(path) == 1 and isinstance(path[0], str) for path in paths) else None


def _keys(name: str, field: Schema, settings: Schema) -> list[str] | None:
    """The keys that a field is found by."""
    alias = field.get("validation_alias")
    keys = [name] if alias is None or settings.get("validate_by_alias") is False else _paths(alias)
    by_name = settings.get("validate_by_name") or settings.get("populate_by_name")
    return [*keys, name] if keys is not None and by_name else keys


def _is_expected(field: Schema, schema: Schema) -> bool:
    return bool(field.get("required", schema.get("total", True)))


def _blank(partial: type, values: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    def blank() -> dict[str, Any]:
        item: dict[str, Any] = partial(values)
        set_mask(item, 0)
        return item

    return blank


def _dressed(partial: type, dress: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """What puts a `RootModel` around a partial value, and then what is around that."""
    make = maker(partial).make
    return lambda value: make({"root": value}, 0) if dress is None else dress(make({"root": value}, 0))
