"""How functions, classes and live objects stand in a file: by a name.

A name is that of what this library has for the place (`luhn` for the check of a rule), that of a live object which the caller hands
in, or, with a colon, an import, which the caller must allow. `{use = NAME}` says the same where a text would be one, and takes the
arguments of what is declared: `{use = "mask", keep_last = 2}`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_args

from streamfilter.declaration import Declared
from streamfilter.errors import SpecError
from streamfilter.items import Event
from streamfilter.spec.forms import Place, Schema, Schemas, any_of
from streamfilter.spec.making import Fields
from streamfilter.spec.scope import NAME, Absent, Plain, name_of
from streamfilter.spec.words import closest, kind_of, shown

_DECLARED = {
    "Match": {"mask": "text.masks:Mask", "hash": "text.masks:Hash"},
    "str": {"valid_number": "detectors.phones:ValidNumber", "gitleaks_finding": "detectors.gitleaks.findings:Finding"},
    "Window": {
        "threshold": "moderation.checks.models:Threshold",
        "classifier": "moderation.checks.models:Classifier",
        "openai_moderation": "moderation.checks.services:OpenAIModeration",
        "llm_judge": "moderation.checks.services:LlmJudge",
        "presidio": "moderation.checks.entities:Presidio",
        "all_of": "moderation.checks.together:AllOf",
        "any_of": "moderation.checks.together:AnyOf",
    },
}
"""Where the declared values are that can be called with a match, a text or a window. Their fields stand in their classes alone."""

_FUNCTIONS = {"str": {"luhn": "detectors:luhn", "mod97": "detectors:mod97"}}
"""Where the library's own functions are that are called with the text of a match."""

_RESERVED = {name for names in (*_DECLARED.values(), *_FUNCTIONS.values()) for name in names} | {"placeholder"}


@dataclass(frozen=True)
class Named:
    """What is called by a name.

    Args:
        what: it is, in words: "a function", "a class", "a value".
        argument: of a function: the name of the type that it is called with.
        classes: declared values that have no other form here, by name.
        is_text: whether a text means itself here, so that names stand in `{use = NAME}`.
    """

    what: str
    argument: str = ""
    classes: tuple[tuple[str, type], ...] = ()
    is_text: bool = False

    @classmethod
    def function(cls, annotation: Any) -> Named:
        """The form of a `Callable`."""
        parameters = (get_args(annotation) or ([],))[0]
        first = parameters[0] if isinstance(parameters, list) and len(parameters) == 1 else None
        return cls("a function", getattr(first, "__name__", ""))

    def among(self, classes: Mapping[str, type], is_text: bool) -> Named:
        """This form in a union with others."""
        return dataclasses.replace(self, classes=tuple(classes.items()), is_text=is_text)

    def takes(self, given: Plain) -> bool:
        return (isinstance(given, str) and not self.is_text) or (isinstance(given, dict) and "use" in given)

    def read(self, given: Plain, at: Place) -> Any:
        if isinstance(given, str) and not self.is_text:
            return self._found(given, {}, at)
        if not isinstance(given, dict) or not isinstance(given.get("use"), str):
            raise at.wrong(f"{kind_of(given)} stands here, the name of {self.what} is needed, or {{use = NAME}}")
        return self._found(given["use"], {key: each for key, each in given.items() if key != "use"}, at)

    def _found(self, name: str, more: dict[str, Plain], at: Place) -> Any:
        declared = self._declared(name)
        if declared is not None:
            return _in_shell(declared.read(more, at))
        if more:
            raise at.wrong(f"{shown(name)} takes no arguments: {closest(name, self._names) or 'only what is declared does'}")
        try:
            value = at.scope.imported(name) if ":" in name else self._called(name, at)
        except SpecError as error:
            hint = closest(name, self._names)
            raise at.wrong(f"nothing is named {shown(name)}: {hint}" if hint and ":" not in name else error.problem) from None
        if not self._suits(value):
            raise at.wrong(
                f"{name} is no class" if self.what == "a class" else f"{name} is a {type(value).__qualname__}: a function is needed"
            )
        return type(name, (Event,), {}) if self.what == "a class" and isinstance(value, Absent) else value

    def _suits(self, value: object) -> bool:
        """Whether it may stand here, as far as can be told before the constructor has it."""
        return callable(value) if self.what == "a function" else self.what != "a class" or isinstance(value, type | Absent)

    def _called(self, name: str, at: Place) -> Any:
        place = _FUNCTIONS.get(self.argument, {}).get(name)
        return _at(place) if place else at.scope.live(name)

    def _declared(self, name: str) -> Fields | None:
        """The form of a declared value."""
        if name in dict(self.classes):
            return Fields(dict(self.classes)[name])
        place = _DECLARED.get(self.argument, {}).get(name)
        if place is None:
            return None
        try:
            return _fields(place)
        except ImportError as error:
            raise SpecError(f"{name!r} cannot be used: {error}") from error

    @property
    def _names(self) -> list[str]:
        return [*dict(self.classes), *_DECLARED.get(self.argument, {}), *_FUNCTIONS.get(self.argument, {})]

    def owns(self, value: Any) -> bool:
        if self.what == "a function":
            return callable(value) or isinstance(value, tuple(dict(self.classes).values()))
        return not self.is_text or isinstance(value, type)

    def write(self, value: Any, at: Place) -> Plain:
        for name, known in at.scope.objects.items():
            if known is value:
                return self._written(name)
        judging = getattr(value, "judging", value) if isinstance(value, Declared) else value
        for name in self._names if isinstance(judging, Declared) else ():
            form = self._declared(name)
            if form is not None and form.owns(judging):
                return {"use": name, **form.write(judging, at)}
        for name, place in _FUNCTIONS.get(self.argument, {}).items():
            if _at(place) is value:
                return self._written(name)
        try:
            return self._written(name_of(value, at.scope.objects))
        except SpecError as error:
            raise at.misplaced(error) from None

    def _written(self, name: str) -> Plain:
        return {"use": name} if self.is_text else name

    def schema(self, schemas: Schemas) -> Schema:
        texts = schemas.references(self._suits)
        if own := [*_FUNCTIONS.get(self.argument, {})]:
            texts.insert(0, {"enum": own})
        tables: list[Schema] = []
        if texts:
            tables.append(
                {"type": "object", "properties": {"use": any_of(texts)}, "required": ["use"], "additionalProperties": False}
            )
        for name in [*dict(self.classes), *_DECLARED.get(self.argument, {})]:
            try:
                form = self._declared(name)
            except SpecError:  # its libraries are not here, and so it cannot be loaded
                continue
            assert form is not None
            key = f"use.{name}"
            if key not in schemas.defs:
                schemas.defs[key] = {}
                schemas.defs[key] = form.table({"use": {"const": name}}, schemas)
            tables.append(schemas.ref(key))
        if not (self.is_text or texts or tables):
            return {"not": {}}  # nobody has given anything that could stand here
        return any_of([*([] if self.is_text else texts), *tables]) if tables or not self.is_text else {"not": {}}


@functools.cache
def _fields(place: str) -> Fields:
    return Fields(_at(place))


@functools.cache
def _at(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"streamfilter.{module}"), name)


def _in_shell(value: Any) -> Any:
    """What judges windows, in the shell that makes a check of it."""
    from streamfilter.moderation.checks.judging import Judging, ready  # noqa: PLC0415  # few declarations have one

    return ready(value) if isinstance(value, Judging) else value


def live_objects(checks: Mapping[str, object] | None, objects: Mapping[str, object] | None) -> dict[str, object]:
    """Checks and other live objects as one.

    Raises:
        ValueError: a name is none, is given twice, or is one of the library's own.
    """
    both = {**(checks or {}), **(objects or {})}
    for name in both:
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise ValueError(f"{name!r} is no name for a live object: letters, digits, '_', '.' and '-', and no digit first")
        if name in _RESERVED:
            raise ValueError(f"{name!r} means something here already: give it another name")
    if checks and objects and (twice := checks.keys() & objects.keys()):
        raise ValueError(f"{min(twice)!r} is given twice, in checks and in objects")
    return both


def is_stage_function(value: object) -> bool:
    """Whether a function is a stage: an async generator function."""
    return inspect.isasyncgenfunction(value)
