"""How stages and pipelines stand in a file: a stage is a table whose `stage` names it, a pipeline an array of them.

The stages are the public ones of this library, by their names in snake case, and a user's own by `module:qualname`. There is no
list of them here: `streamfilter.__all__` is one.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from streamfilter.errors import SpecError
from streamfilter.pipeline import Pipeline, Stage, TextStage, Wait
from streamfilter.spec.containers import Array
from streamfilter.spec.forms import Place, Scalar, Schema, Schemas, check_fields
from streamfilter.spec.making import Fields, built
from streamfilter.spec.named import is_stage_function
from streamfilter.spec.scope import Plain, name_of
from streamfilter.spec.words import kind_of, shown, snake, summary, unknown


@functools.cache
def stage_names() -> dict[str, str]:
    """The public name of what may be a stage, by how files write it."""
    return {snake(name): name for name in import_module("streamfilter").__all__ if name[0].isupper()}


@functools.cache
def stage_class(name: str) -> type[Stage[Any, Any]] | None:
    """The public stage that files call so."""
    found = getattr(import_module("streamfilter"), stage_names().get(name, ""), None)
    is_stage = isinstance(found, type) and issubclass(found, Stage) and found not in (Stage, TextStage)
    return found if is_stage else None


@functools.cache
def all_stages() -> dict[str, type[Stage[Any, Any]]]:
    """Every public stage, by how files write it. This imports them all."""
    return {name: cls for name in sorted(stage_names()) if (cls := stage_class(name)) is not None}


@functools.cache
def _fields(cls: type[Any]) -> Fields:
    return Fields(cls)


class PipelineForm:
    """A pipeline: an array of stages. One alone is that stage; a pipeline of one is written as `{stage = "pipeline"}`."""

    def takes(self, given: Plain) -> bool:
        return isinstance(given, list)

    def read(self, given: Plain, at: Place) -> Stage[Any, Any]:
        if isinstance(given, dict) and len(at.path) == 2:
            raise at.wrong(f"a table stands here, an array of stages is needed: write [[{at.path[0]}.{at.path[1]}]]")
        if not isinstance(given, list):
            raise at.wrong(f"{kind_of(given)} stands here, an array of stages is needed")
        parts = [self._stage(each, at.down(number)) for number, each in enumerate(given)]
        if len(parts) == 1:
            return parts[0]
        return built(Pipeline, {"parts": tuple(parts)}, at)  # type: ignore[no-any-return]

    def _stage(self, given: Plain, at: Place) -> Stage[Any, Any]:
        if not isinstance(given, dict):
            raise at.wrong(f"{kind_of(given)} stands here, a table with stage is needed")
        if "stage" not in given:
            raise at.wrong("a stage needs its name: stage = …")
        name = given["stage"]
        if not isinstance(name, str):
            raise at.down("stage").wrong(f"{kind_of(name)} stands here, the name of a stage is needed")
        fields = {key: each for key, each in given.items() if key != "stage"}
        if name == "pipeline":
            return self._nested(fields, at)
        found: Any = self._imported(name, at.down("stage")) if ":" in name else stage_class(name)
        if found is None:
            raise at.down("stage").wrong(unknown("stage", name, all_stages()))
        if isinstance(found, type):
            return _fields(found).read(fields, at)  # type: ignore[no-any-return]
        check_fields(fields, [], [], name, at)
        return Wait(found)

    def _imported(self, name: str, at: Place) -> Any:
        try:
            found = at.scope.imported(name)
        except SpecError as error:
            raise at.misplaced(error) from None
        if is_stage_function(found) or (isinstance(found, type) and issubclass(found, Stage) and found not in (Stage, TextStage)):
            return found
        raise at.wrong(f"{shown(name)} is no stage: a class with @sf.stage or an async generator function is needed")

    def _nested(self, fields: dict[str, Plain], at: Place) -> Stage[Any, Any]:
        check_fields(fields, ["parts", "on"], ["parts"], "pipeline", at)
        inner = self.read(fields["parts"], at.down("parts"))
        pipeline: Pipeline[Any, Any] = built(Pipeline, {"parts": inner.stages}, at)
        if "on" not in fields:
            return pipeline
        kinds = Array(Scalar(str, str, "a text"), 1).read(fields["on"], at.down("on"))
        try:
            return pipeline.on(*kinds)
        except (ValueError, TypeError) as error:
            raise at.down("on").wrong(str(error)) from error

    def owns(self, value: Any) -> bool:
        return isinstance(value, Stage)

    def write(self, value: Any, at: Place) -> Plain:
        written = [self._written(part, at.down(number)) for number, part in enumerate(value.stages)]
        if isinstance(value, Pipeline) and len(written) == 1:
            return [{"stage": "pipeline", "parts": written}]
        return written

    def _written(self, value: Stage[Any, Any], at: Place) -> dict[str, Plain]:
        cls = type(value)
        public = stage_class(snake(cls.__name__)) is cls
        if not public and cls.__module__.startswith("streamfilter.") and not isinstance(value, Wait):
            raise at.wrong(f"{cls.__qualname__} of {cls.__module__} is not declared: declare what it is joined to")
        try:
            if isinstance(value, Wait):
                return {"stage": name_of(value.fn, {})}
            name = snake(cls.__name__) if public else name_of(cls, {})
        except SpecError as error:
            raise at.misplaced(error) from None
        return {"stage": name, **_fields(cls).write(value, at)}

    def schema(self, schemas: Schemas) -> Schema:
        if "pipeline" not in schemas.defs:
            schemas.defs["pipeline"] = schemas.defs["stage"] = {}
            schemas.defs["pipeline"] = {
                "type": "array",
                "items": schemas.ref("stage"),
                "description": "Stages, in the order in which text goes through them.",
            }
            schemas.defs["stage"] = {"anyOf": [*map(schemas.ref, self._stages(schemas)), *self._imports(schemas)]}
        return schemas.ref("pipeline")

    def _stages(self, schemas: Schemas) -> list[str]:
        names = []
        for name, cls in all_stages().items():
            const = {"const": name, "description": summary(cls)}
            key = f"stage.{name}"
            names.append(key)
            schemas.defs[key] = {}
            if cls is Pipeline:
                kinds = {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Kinds of channel, for all."}
                properties = {"stage": const, "parts": schemas.ref("pipeline"), "on": kinds}
                schemas.defs[key] = {"type": "object", "properties": properties, "required": ["stage", "parts"]}
                schemas.defs[key] |= {"description": summary(cls), "additionalProperties": False}
            else:
                schemas.defs[key] = _fields(cls).table({"stage": const}, schemas)
        return names

    def _imports(self, schemas: Schemas) -> list[Schema]:
        return [{"type": "object", "properties": {"stage": each}, "required": ["stage"]} for each in schemas.imports]
