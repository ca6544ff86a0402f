"""Which form the fields of a declared class have: made from their annotations, which are the one definition of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo

from streamfilter.declaration import Declared
from streamfilter.errors import SpecError
from streamfilter.matching import Rule, Terms
from streamfilter.spec.containers import Array, Channels, Either, Row, Table
from streamfilter.spec.forms import Choice, Form, Nothing, Place, Scalar, Schema, Schemas, Secret, check_fields
from streamfilter.spec.scope import Plain
from streamfilter.spec.words import argument_texts, kind_of, snake, summary

_SCALARS: dict[type, tuple[type | tuple[type, ...], str]] = {
    str: (str, "a text"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    bool: (bool, "true or false"),
}


Kind = Annotated[str, Field(min_length=1)]
"""A kind of channel."""


def form_of(annotation: Any, name: str = "") -> Form:
    """The form of a field.

    Args:
        annotation: its type. Of the metadata only pydantic's `Field`s count: validators are the constructor's business.
        name: its name: one called `pipeline`, of any type, is a pipeline.
    """
    fields: list[FieldInfo] = []
    while get_origin(annotation) is Annotated:
        fields += [each for each in annotation.__metadata__ if isinstance(each, FieldInfo)]
        annotation = annotation.__origin__
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _either(tuple(_bounded(each, fields) for each in args), name)
    if annotation in _SCALARS:
        return Scalar(_bounded(annotation, fields), *_SCALARS[annotation])
    if origin is Literal:
        return Choice(args)
    least = max((each.min_length for field in fields for each in field.metadata if hasattr(each, "min_length")), default=0)
    if origin in (tuple, list):
        several = origin is list or args[-1] is Ellipsis
        return Array(form_of(args[0]), least) if several else Row(tuple(map(form_of, args)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        numbers = {int, str} == {*get_args(args[0])}
        return Table(form_of(args[1]), numbers, least) if numbers or _is_text(args[0]) else _single(annotation, name)
    return _single(annotation, name)


def _bounded(annotation: Any, fields: Sequence[FieldInfo]) -> Any:
    """A type with the `Field`s of what it stands in; None has no bounds."""
    if annotation is types.NoneType:
        return annotation
    return functools.reduce(lambda inner, each: Annotated[inner, each], fields, annotation)


def _is_text(annotation: Any) -> bool:
    return (annotation.__origin__ if get_origin(annotation) is Annotated else annotation) is str


def _single(annotation: Any, name: str) -> Form:
    """The form of what is neither a container nor a scalar."""
    from streamfilter.spec.named import Named  # noqa: PLC0415  # its tables have fields of this module's forms
    from streamfilter.spec.rules import RuleForm  # noqa: PLC0415
    from streamfilter.spec.stages import PipelineForm  # noqa: PLC0415

    if annotation in (None, types.NoneType):
        return Nothing()
    if annotation is SecretStr:
        return Secret()
    if annotation in (Rule, Terms):
        return RuleForm((annotation,))
    if annotation is Any and name == "pipeline":
        return PipelineForm()
    if get_origin(annotation) is Callable or annotation is Callable:
        return Named.function(annotation)
    if get_origin(annotation) is type:
        return Named("a class")
    cls: Any = annotation if inspect.isclass(annotation) else object
    if issubclass(cls, Declared):
        names = [field.name for field in dataclasses.fields(typing.cast("Any", cls))]
        is_text = len(names) == 1 and typing.get_type_hints(cls)[names[0]] is str
        return Worded(cls, names[0]) if is_text else Fields(cls)
    return Named("a value")


def _either(args: tuple[Any, ...], name: str) -> Form:
    """The form of a union."""
    from streamfilter.spec.named import Named  # noqa: PLC0415
    from streamfilter.spec.rules import RuleForm  # noqa: PLC0415

    if name == "channels" and types.NoneType in args and len(args) == 2:
        return Channels(form_of(Kind), 1)
    kinds = tuple(each for each in args if each in (Rule, Terms))
    forms: list[Form] = [RuleForm(kinds)] if kinds else []
    forms += [form_of(each, name) for each in args if each not in kinds]
    if any(isinstance(form, Worded) for form in forms):  # which is what a text means then
        forms = [form for form in forms if not (isinstance(form, Scalar) and form.takes("text"))]
    if any(isinstance(form, Named) for form in forms):
        empty = [form for form in forms if isinstance(form, Fields) and not form.required]
        has_text = any(form.takes("text") for form in forms if not isinstance(form, Named))
        forms = [
            form.among({snake(each.cls.__name__): each.cls for each in empty}, has_text) if isinstance(form, Named) else form
            for form in forms
            if form not in empty
        ]
    return forms[0] if len(forms) == 1 else Either(tuple(forms))


class Fields:
    """A declared value, as a table of its fields.

    Args:
        cls: its class.
    """

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self._infos: dict[str, FieldInfo] = cls.__pydantic_fields__
        self.names: list[str] = [field.name for field in dataclasses.fields(cls) if field.init]
        self.required: list[str] = [name for name in self.names if self._infos[name].is_required()]

    @functools.cached_property
    def forms(self) -> dict[str, Form]:
        """Of the fields. Made when they are needed: pipelines have stages that have pipelines."""
        hints = typing.get_type_hints(self.cls, include_extras=True)
        return {name: form_of(hints[name], name) for name in self.names}

    def takes(self, given: Plain) -> bool:
        return isinstance(given, dict) and not given.keys().isdisjoint(self.required)

    def read(self, given: Plain, at: Place) -> Any:
        what = self.cls.__name__
        if not isinstance(given, dict):
            raise at.wrong(f"{kind_of(given)} stands here, a table with {' and '.join(self.required) or 'fields'} is needed")
        names = [name for name in given if name in self.names]
        reads = [functools.partial(self.forms[name].read, given[name], at.down(name)) for name in names]
        _, *values = at.scope.each([functools.partial(check_fields, given, self.names, self.required, what, at), *reads])
        return self.build(dict(zip(names, values, strict=True)), at)

    def build(self, values: Mapping[str, Any], at: Place) -> Any:
        """The value of some fields.

        Raises:
            SpecError: they make no sense together.
        """
        return built(self.cls, values, at)

    def owns(self, value: Any) -> bool:
        return type(value) is self.cls

    def write(self, value: Any, at: Place) -> Plain:
        values = {name: getattr(value, name) for name in self.names}
        return {
            name: self.forms[name].write(each, at.down(name))
            for name, each in values.items()
            if not self._is_default(name, each, values)
        }

    def _is_default(self, name: str, value: Any, values: dict[str, Any]) -> bool:
        info = self._infos[name]
        if info.is_required():
            return False
        usual = info.get_default(call_default_factory=True, validated_data=values)
        return bool(usual is value or (type(usual) is type(value) and usual == value))

    def properties(self, schemas: Schemas) -> dict[str, Schema]:
        """The schemas of the fields, with what their documentation says."""
        texts = argument_texts(self.cls)
        described: dict[str, Schema] = {}
        for name, form in self.forms.items():
            told: Schema = {"description": texts[name]} if name in texts else {}
            info = self._infos[name]
            if not info.is_required() and isinstance(info.default, str | int | float):
                told["default"] = info.default
            described[name] = form.schema(schemas) | told
        return described

    def schema(self, schemas: Schemas) -> Schema:
        name = self.cls.__name__
        if name not in schemas.defs:
            schemas.defs[name] = {}  # so that one that contains itself ends
            schemas.defs[name] = self.table({}, schemas)
        return schemas.ref(name)

    def table(self, more: dict[str, Schema], schemas: Schemas) -> Schema:
        """The schema of a table of the fields and some more."""
        return {
            "type": "object",
            "description": summary(self.cls),
            "properties": {**more, **self.properties(schemas)},
            "required": [*more, *self.required],
            "additionalProperties": False,
            **_together(self.cls),
        }


class Worded:
    """A declared value that is one text, such as a path, as that text.

    Args:
        cls: its class.
        name: of its field.
    """

    def __init__(self, cls: type[Any], name: str) -> None:
        self._cls = cls
        self._name = name

    def takes(self, given: Plain) -> bool:
        return isinstance(given, str)

    def read(self, given: Plain, at: Place) -> Any:
        if not isinstance(given, str):
            raise at.wrong(f"{kind_of(given)} stands here, a text is needed")
        return built(self._cls, {self._name: given}, at)

    def owns(self, value: Any) -> bool:
        return type(value) is self._cls

    def write(self, value: Any, at: Place) -> Plain:
        return getattr(value, self._name)

    def schema(self, schemas: Schemas) -> Schema:
        return {"type": "string", "description": summary(self._cls), **_together(self._cls)}


def _together(cls: type[Any]) -> Schema:
    from streamfilter.spec.together import together  # noqa: PLC0415  # most who load make no schema

    return together(cls)


def built(cls: type[Any], values: Mapping[str, Any], at: Place) -> Any:
    """A declared value.

    Raises:
        SpecError: its constructor refuses; what it said is the cause.
    """
    try:
        return cls(**values)
    except SpecError as error:
        raise at.misplaced(error) from error
    except (ValueError, TypeError) as error:
        raise at.wrong(str(error).removeprefix(f"{cls.__name__}: ")) from error
    except ImportError as error:
        raise at.wrong(f"{cls.__name__} cannot be used: {error}") from error
