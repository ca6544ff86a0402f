"""What is public of declarations: reading, writing, and the schema."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from streamfilter.errors import SpecError
from streamfilter.pipeline import Stage, as_stage
from streamfilter.spec.forms import Place, Schema, Schemas, check_fields
from streamfilter.spec.named import live_objects
from streamfilter.spec.scope import Absent, Noted, Plain, Scope, prefixes
from streamfilter.spec.stages import PipelineForm
from streamfilter.spec.texts import Format, Source, plain, source_of, written
from streamfilter.spec.words import kind_of, shown, unknown

VERSION = 1
"""Of the format. What is added to it is refused by older libraries as unknown; what changes its meaning counts it up."""

DEFAULT_NAME = "main"

Declaration = str | os.PathLike[str] | Mapping[str, Any]


def load(
    source: Declaration,
    name: str | None = None,
    *,
    checks: Mapping[str, object] | None = None,
    objects: Mapping[str, object] | None = None,
    allow_imports: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
) -> Stage[Any, Any]:
    """The pipeline that a file or a dictionary declares.

    Args:
        source: the path of a file, which ends with `.toml`, `.json`, `.yaml` or `.yml`; or what one would say, as a dictionary.
        name: which pipeline; it may be left out if there is one.
        checks: live checks for `Moderate`, by the names that the declaration has for them.
        objects: other live objects, such as clients and functions, by name.
        allow_imports: what the declaration may import: a module `"myapp.text"`, all below `"myapp."`, or one
            `"myapp.text:shout"`. Importing runs code, so allow none from files that others write.
        env: where `{env = "NAME"}` looks; the environment, if left out.

    Raises:
        SpecError: with file, line or path, what is wrong, and what would be right.
        ValueError: a name of `checks` or `objects` is none, or an entry of `allow_imports`.

    Example:
        >>> import streamfilter as sf
        >>> stage = load({"version": 1, "pipeline": {"main": [{"stage": "redact", "rules": ["email"]}]}})
        >>> stage.apply("mail joe@example.com")
        'mail [email]'
        >>> load({"version": 1, "pipeline": {"main": [{"stage": "redact", "rules": ["emial"]}]}})
        Traceback (most recent call last):
        ...
        streamfilter.errors.SpecError: pipeline.main[0].rules[0]: unknown rule 'emial': did you mean 'email'? There are ...
    """
    read = source_of(source)
    pipelines = _declared(read)
    if name is None:
        if len(pipelines) != 1:
            some = (
                f"pipelines {', '.join(pipelines)}: say which, by its name" if pipelines else "no pipeline: write [[pipeline.NAME]]"
            )
            raise SpecError(f"there {'is' if not pipelines else 'are'} {some}", file=read.file)
        name = next(iter(pipelines))
    if name not in pipelines:
        raise read.placed(SpecError(unknown("pipeline", name, pipelines), path=("pipeline",)))
    return _read(read, name, scope_of(checks, objects, allow_imports, env))


def load_all(
    source: Declaration,
    *,
    checks: Mapping[str, object] | None = None,
    objects: Mapping[str, object] | None = None,
    allow_imports: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
) -> dict[str, Stage[Any, Any]]:
    """All pipelines that a file or a dictionary declares, by name. The arguments are those of `load`.

    Raises:
        SpecError: as of `load`.

    Example:
        >>> load_all({"version": 1, "pipeline": {"a": [{"stage": "words"}], "b": []}})
        {'a': Words(), 'b': Pipeline()}
    """
    return read_all(source_of(source), scope_of(checks, objects, allow_imports, env))


def read_all(source: Source, scope: Scope) -> dict[str, Stage[Any, Any]]:
    """All pipelines of what was read.

    Raises:
        SpecError: as of `load`.
    """
    names = [*_declared(source)]
    return dict(zip(names, scope.each(functools.partial(_read, source, name, scope) for name in names), strict=True))


def dump(
    pipeline: Stage[Any, Any] | Mapping[str, Stage[Any, Any]],
    *,
    checks: Mapping[str, object] | None = None,
    objects: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A pipeline, or several by name, as what a file would declare: a dictionary that TOML, JSON and YAML can write.

    `load(dump(p)) == p`. What is as by default is left out. A function and a class is written as `module:qualname`, which `load`
    takes where it is allowed.

    Args:
        pipeline: what is declared; one alone is called "main".
        checks: live checks, by the names that stand for them.
        objects: other live objects, by name.
        env: the environment variables that may stand for secrets of the same value, none unless given.

    Raises:
        SpecError: something in it has no name: a lambda, a client, a secret.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.detectors import EMAIL
        >>> dump(sf.Redact(EMAIL) | sf.StopAt("END"))["pipeline"]["main"]
        [{'stage': 'redact', 'rules': ['email']}, {'stage': 'stop_at', 'stops': ['END']}]
    """
    scope = Scope(live_objects(checks, objects), env={} if env is None else env)
    named = pipeline if isinstance(pipeline, Mapping) else {DEFAULT_NAME: pipeline}
    for name in named:
        if not isinstance(name, str) or not name:
            raise SpecError(f"{kind_of(name)} is no name of a pipeline: a text is needed")
    form = PipelineForm()
    pipelines = {name: form.write(as_stage(each), Place(scope, ("pipeline", name))) for name, each in named.items()}
    plain(document := {"version": VERSION, "pipeline": pipelines})  # refuses what `load` would
    return document


def dump_text(
    pipeline: Stage[Any, Any] | Mapping[str, Stage[Any, Any]],
    form: Format = "toml",
    *,
    checks: Mapping[str, object] | None = None,
    objects: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """What `dump` gives as the text of a file. TOML needs the extra `toml`, YAML the extra `yaml`.

    Raises:
        SpecError: as of `dump`, or the extra is not installed.

    Example:
        >>> import streamfilter as sf
        >>> print(dump_text(sf.StopAt("END"), "json"))
        {
          "version": 1,
          "pipeline": {
            "main": [
              {
                "stage": "stop_at",
                "stops": [
                  "END"
                ]
              }
            ]
          }
        }
    """
    return written(dump(pipeline, checks=checks, objects=objects, env=env), form)


def json_schema(
    *,
    checks: Iterable[str] | Mapping[str, object] | None = None,
    objects: Iterable[str] | Mapping[str, object] | None = None,
    allow_imports: Iterable[str] = (),
) -> dict[str, Any]:
    """The JSON Schema (2020-12) of declarations, for editors and for whoever generates them.

    It accepts what `load` accepts with the same arguments, but for what a schema cannot say: whether a pattern compiles, a file,
    an import or a variable is there, one number is more than another. The guide to declared pipelines lists it.

    Args:
        checks: live checks by name, or their names alone; if neither these nor `objects` are given, every name is accepted.
        objects: other live objects, by name, or their names alone: then one is accepted where another might have to stand.
        allow_imports: as for `load`.

    Example:
        >>> json_schema()["properties"]["version"]
        {'const': 1, 'description': 'The version of the format.'}
    """
    known = None if checks is None and objects is None else {**_named(checks or ()), **_named(objects or ())}
    schemas = Schemas(known, prefixes(allow_imports))
    pipeline = PipelineForm().schema(schemas)
    version: Schema = {"const": VERSION, "description": "The version of the format."}
    named: Schema = {
        "type": "object",
        "additionalProperties": pipeline,
        "propertyNames": {"minLength": 1},
        "description": "By name.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pipelines of streamfilter",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "version": version,
            "pipeline": named | {"description": "Pipelines, by name."},
        },
        "required": ["version", "pipeline"],
        "additionalProperties": False,
        "$defs": dict(sorted(schemas.defs.items())),
    }


def _named(given: Iterable[str] | Mapping[str, object]) -> Mapping[str, object]:
    """Live objects, or what stands for them where there are only names."""
    return given if isinstance(given, Mapping) else {name: Absent(name) for name in given}


def scope_of(
    checks: Mapping[str, object] | None,
    objects: Mapping[str, object] | None,
    allow_imports: Iterable[str],
    env: Mapping[str, str] | None,
) -> Scope:
    """What a declaration may refer to, by the arguments of `load`.

    Raises:
        ValueError: as of `load`.
    """
    return Scope(live_objects(checks, objects), prefixes(allow_imports), os.environ if env is None else env)


def _read(source: Source, name: str, scope: Scope) -> Stage[Any, Any]:
    place = Place(replace(scope, folder=source.folder), ("pipeline", name))
    try:
        return PipelineForm().read(source.document["pipeline"][name], place)
    except Noted:
        raise
    except SpecError as error:
        raise source.placed(error) from error.__cause__


def _declared(source: Source) -> dict[str, Plain]:
    """The pipelines of a document, as they stand there.

    Raises:
        SpecError: it is no declaration of this version.
    """
    document = source.document
    try:
        if not isinstance(document, dict):
            raise SpecError(f"it is {kind_of(document)}: a table with version and pipeline is needed")
        if "version" not in document:
            raise SpecError("version is missing: write version = 1")
        version = document["version"]
        if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
            raise SpecError(f"version {version} is newer than this library knows, which is {VERSION}", path=("version",))
        if version != VERSION or isinstance(version, bool):
            raise SpecError("write version = 1", path=("version",))
        check_fields(document, ["version", "pipeline", "$schema"], ["pipeline"], "a declaration", Place(Scope()))
        if not isinstance(document.get("$schema", ""), str):
            raise SpecError(f"{kind_of(document['$schema'])} stands here, a text is needed", path=("$schema",))
        pipelines = document["pipeline"]
        if not isinstance(pipelines, dict):
            raise SpecError(f"{kind_of(pipelines)} stands here: write [[pipeline.NAME]] above each stage", path=("pipeline",))
        if "" in pipelines:
            raise SpecError(f"{shown('')} is no name of a pipeline", path=("pipeline",))
        return pipelines
    except SpecError as error:
        raise source.placed(error) from None
