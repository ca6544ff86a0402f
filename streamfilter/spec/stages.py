"""How stages and pipelines stand in a file: a stage is a table whose `stage` names it, a pipeline an array of them.

The stages are the public ones of this library, by their names in snake case, those of a provider's format behind its name
(`openai.chat.wrap`), and a user's own by `module:qualname`. There is no list of them here: `streamfilter.__all__` is one.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from streamfilter.errors import SpecError
from streamfilter.pipeline import Pipeline, Stage, TextStage, Wait
from streamfilter.spec.containers import Array
from streamfilter.spec.forms import Place, Schema, Schemas, any_of, check_fields
from streamfilter.spec.making import Fields, Kind, built, form_of
from streamfilter.spec.named import is_stage_function
from streamfilter.spec.scope import Plain, name_of
from streamfilter.spec.words import kind_of, shown, snake, summary, unknown

FORMATS = ("anthropic.messages", "bedrock.converse", "bedrock.invoke", "gemini", "langchain", "ollama", "openai.chat",
           "openai.completions", "openai.responses", "pydantic_ai", "vercel")  # fmt: skip
"""The providers' formats, each a module with stages of its own."""


@functools.cache
def stage_names() -> dict[str, tuple[str, str]]:
    """The module and the name of what may be a stage, by how files write it."""
    own = {snake(name): ("streamfilter", name) for name in import_module("streamfilter").__all__ if name[0].isupper()}
    kinds = ("Wrap", "Decode", "Encode")
    others = {f"{form}.{kind.lower()}": (f"streamfilter.providers.{form}", kind) for form in FORMATS for kind in kinds}
    return own | {"wrap": ("streamfilter", "wrap")} | others


@functools.cache
def stage_class(name: str) -> type[Stage[Any, Any]] | None:
    """The public stage that files call so."""
    if name not in stage_names():
        return None
    module, attribute = stage_names()[name]
    found = getattr(import_module(module), attribute, None)
    is_stage = isinstance(found, type) and issubclass(found, Stage) and found not in (Stage, TextStage)
    return found if is_stage else None


@functools.cache
def all_stages() -> dict[str, type[Stage[Any, Any]]]:
    """Every public stage, by how files write it, those of formats last. This imports them all."""
    return {
        name: cls for name in sorted(stage_names(), key=lambda name: ("." in name, name)) if (cls := stage_class(name)) is not None
    }


def stage_name(cls: type[Stage[Any, Any]]) -> str | None:
    """How files write a public stage; None if it is none."""
    module = cls.__module__.removeprefix("streamfilter.providers.")
    return next((name for name in (snake(cls.__name__), f"{module}.{cls.__name__.lower()}") if stage_class(name) is cls), None)


@functools.cache
def _fields(cls: type[Any]) -> Fields:
    return Fields(cls)


class PipelineForm:
    """A pipeline: an array of stages. One alone is that stage; a pipeline of one is written as `{stage = "pipeline"}`."""

    def takes(self, given: Plain) -> bool:
        return isinstance(given, list)

    def read(self, given: Plain, at: Place) -> Stage[Any, Any]:
        if isinstance(given, dict) and len(at.path) == 2:
            hint = f"write [[{at.path[0]}.{at.path[1]}]], in JSON and YAML a list, also of one"
            raise at.wrong(f"a table stands here, an array of stages is needed: {hint}")
        if not isinstance(given, list):
            raise at.wrong(f"{kind_of(given)} stands here, an array of stages is needed")
        parts = at.scope.each(functools.partial(self._stage, each, at.down(number)) for number, each in enumerate(given))
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
            known = [each for each in all_stages() if "." not in each or "." in name]
            own = f" (a stage of your own: 'module:{name}')" if name.isidentifier() else ""
            raise at.down("stage").wrong(unknown("stage", name, known) + own)
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
        kinds = Array(form_of(Kind), 1).read(fields["on"], at.down("on"))
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
        name = stage_name(cls)
        if name is None and cls.__module__.startswith("streamfilter.") and not isinstance(value, Wait):
            raise at.wrong(f"{cls.__qualname__} of {cls.__module__} is not declared: declare what it is joined to")
        try:
            if isinstance(value, Wait):
                return {"stage": name_of(value.fn, {})}
            name = name or name_of(cls, {})
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
            # The names stand here too, so that an editor tells all of them where one is wrong.
            names: list[Schema] = [{"enum": [*all_stages()]}, *schemas.imports]
            schemas.defs["stage"] = {
                "type": "object",
                "properties": {"stage": any_of(names) | {"description": "What the stage does, by its name."}},
                "required": ["stage"],
                "anyOf": [*map(schemas.ref, self._stages(schemas)), *self._imports(schemas)],
            }
        return schemas.ref("pipeline")

    def _stages(self, schemas: Schemas) -> list[str]:
        names = []
        for name, cls in all_stages().items():
            const = {"const": name, "description": summary(cls)}
            key = f"stage.{name}"
            names.append(key)
            schemas.defs[key] = {}
            if cls is Pipeline:
                several = Array(form_of(Kind), 1).schema(schemas)
                kinds = several | {"description": "Kinds of channel, for all."}
                properties = {"stage": const, "parts": schemas.ref("pipeline"), "on": kinds}
                schemas.defs[key] = {"type": "object", "properties": properties, "required": ["stage", "parts"]}
                schemas.defs[key] |= {"description": summary(cls), "additionalProperties": False}
            else:
                schemas.defs[key] = _fields(cls).table({"stage": const}, schemas)
        return names

    def _imports(self, schemas: Schemas) -> list[Schema]:
        return [{"type": "object", "properties": {"stage": each}, "required": ["stage"]} for each in schemas.imports]
