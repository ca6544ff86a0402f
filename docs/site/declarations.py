"""Shows in the API reference how things are built, and their examples as examples.

The reference is read from the source, not from what runs. There `@stage` and `@declared` are decorators like any other, although
each makes a dataclass. So both are said to be what they are, and so are named tuples; the limits that pydantic checks
(`Annotated[int, Field(ge=1)]`) are left out of the signatures, for the docstrings name them; where a constructor is written out
for type checkers, the defaults are those of the fields; a default that is a named constant is shown as its value, and another
name of a class (`wrap = Wrap`) as that class. `Example:` is what the docstrings say, `Examples:` what their reader looks for.
"""

from __future__ import annotations

import ast
import contextlib
from typing import Any

import griffe

DECORATORS = {"streamfilter.declaration.declared", "streamfilter.pipeline.stage"}
DATACLASS = griffe.ExprName("dataclasses.dataclass")


def _bare(annotation: Any) -> Any:
    """`Annotated[int, …]` is `int`."""
    if isinstance(annotation, griffe.ExprSubscript) and annotation.canonical_path.endswith("Annotated"):
        inner = annotation.slice
        return inner.elements[0] if isinstance(inner, griffe.ExprTuple) else inner
    return annotation


def _given(call: griffe.ExprCall) -> griffe.ExprKeyword | None:
    """The default in `field(default=…)`."""
    given = [each for each in call.arguments if isinstance(each, griffe.ExprKeyword) and each.name == "default"]
    return given[0] if given else None


def _default(field: griffe.Attribute) -> Any:
    """What a field is if it is not given; `...` if only running tells."""
    if not isinstance(field.value, griffe.ExprCall):
        return field.value
    given = _given(field.value)
    return given.value if given else "..."


def _value(default: Any, package: griffe.Module) -> Any:
    """The value of a constant of this library, if it is a number or a text; anything else as it was."""
    if isinstance(default, griffe.ExprName) and default.canonical_path.startswith("streamfilter."):
        with contextlib.suppress(griffe.GriffeError, AttributeError, KeyError, ValueError, SyntaxError):
            return repr(ast.literal_eval(str(package.modules_collection[default.canonical_path].value)))
    return default


def _is_declared(cls: griffe.Class) -> bool:
    return any(decorator.callable_path in DECORATORS for decorator in cls.decorators) or "NamedTuple" in map(str, cls.bases)


class Declarations(griffe.Extension):
    """Declared classes are dataclasses."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Something has been read, without its members."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """A class has been read, its members too."""
        if not _is_declared(cls):
            return
        cls.decorators.append(griffe.Decorator(DATACLASS, lineno=None, endlineno=None))
        for member in cls.members.values():
            if isinstance(member, griffe.Attribute):
                member.annotation = _bare(member.annotation)
        constructor = cls.members.get("__init__")
        if not isinstance(constructor, griffe.Function):
            return
        if any(parameter.kind is griffe.ParameterKind.var_keyword for parameter in constructor.parameters):
            cls.del_member("__init__")  # it stands for overloads; the fields say more
            return
        for parameter in constructor.parameters:
            field = cls.members.get(parameter.name)
            if str(parameter.default) == "..." and isinstance(field, griffe.Attribute) and field.value is not None:
                parameter.default = _default(field)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """All has been read."""
        self._show_values(pkg, pkg)

    def _show_values(self, inside: griffe.Module | griffe.Class, package: griffe.Module) -> None:
        for member in list(inside.members.values()):
            if isinstance(member, griffe.Attribute) and isinstance(inside.members.get(str(member.value)), griffe.Class):
                inside.set_member(member.name, griffe.Alias(member.name, f"{inside.path}.{member.value}", parent=inside))
            elif isinstance(member, griffe.Function):
                for parameter in member.parameters:
                    parameter.default = _value(parameter.default, package)
            elif isinstance(member, griffe.Module | griffe.Class):
                self._show_values(member, package)
            elif isinstance(member, griffe.Attribute) and isinstance(inside, griffe.Class):
                if isinstance(member.value, griffe.ExprName):
                    member.value = _value(member.value, package)
                elif isinstance(member.value, griffe.ExprCall) and (given := _given(member.value)):
                    given.value = _value(given.value, package)
