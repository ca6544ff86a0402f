r"""How rules stand in a file: by the name of a catalogue's rule, as a pattern, or as terms, which may be in a file of their own.

    rules = ["PII", "api_key", {name = "order", pattern = 'ORD-\d+', flags = ["ignorecase"]}, {words = {file = "names.txt"}}]

A text is always a name, never a pattern: whoever misspells one is told, and not left with a rule that finds nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import regex

from streamfilter import detectors
from streamfilter.errors import SpecError
from streamfilter.matching import UNNAMED, Rule, Terms
from streamfilter.spec.forms import ENV, Form, Place, Schema, Schemas, any_of, check_fields, from_env
from streamfilter.spec.making import Fields
from streamfilter.spec.scope import Plain, stamp
from streamfilter.spec.words import kind_of, shown, unknown

MAX_FILE_BYTES = 32 * 1024 * 1024
"""Of a file of words: `Terms` takes five million letters, which are at most 20 MB, and there are line ends."""

TUPLES = ("PII", "SECRETS")

_FLAGS = ("ASCII", "BESTMATCH", "DOTALL", "ENHANCEMATCH", "FULLCASE", "IGNORECASE", "MULTILINE", "POSIX", "REVERSE", "UNICODE",
          "VERBOSE", "VERSION0", "VERSION1", "WORD")  # fmt: skip
"""Those of `regex` that do not depend on a locale, by name."""


class Flags:
    """The flags of a pattern: their names, or the number that they make together."""

    names: ClassVar[dict[str, int]] = {name.lower(): int(getattr(regex, name)) for name in _FLAGS}

    def takes(self, given: Plain) -> bool:
        return isinstance(given, list | int)

    def read(self, given: Plain, at: Place) -> int:
        if isinstance(given, int) and not isinstance(given, bool):
            return given
        if not isinstance(given, list):
            raise at.wrong(f"{kind_of(given)} stands here, an array of names such as 'ignorecase' is needed")
        flags = 0
        for number, name in enumerate(given):
            if not isinstance(name, str) or name not in self.names:
                place = at.down(number)
                raise place.wrong(unknown("flag", name, self.names) if isinstance(name, str) else "the name of a flag is needed")
            flags |= self.names[name]
        return flags

    def owns(self, value: Any) -> bool:
        return isinstance(value, int)

    def write(self, value: Any, at: Place) -> Plain:
        named = [name for name, bit in self.names.items() if value & bit]
        return named if sum(self.names[name] for name in named) == value else value

    def schema(self, schemas: Schemas) -> Schema:
        return {"anyOf": [{"type": "array", "items": {"enum": [*self.names]}}, {"type": "integer"}]}


@dataclass(frozen=True)
class WordList:
    """The words of terms: an array, `{file = "names.txt"}` with one on each line, or `{env = "NAME"}` for one word.

    Args:
        array: the form of the array.
    """

    array: Form

    def takes(self, given: Plain) -> bool:
        return True

    def read(self, given: Plain, at: Place) -> Any:
        if isinstance(given, dict) and [*given] == ["file"]:
            return self._from_file(given["file"], at.down("file"))
        if isinstance(given, dict) and "env" in given:
            return (from_env(given, at),)
        if isinstance(given, dict):
            raise at.wrong('an array of texts, {file = "…"} or {env = "…"} is needed')
        return self.array.read(given, at)

    def _from_file(self, given: Plain, at: Place) -> tuple[str, ...]:
        if not isinstance(given, str) or not given:
            raise at.wrong("the path of a file is needed")
        path = at.scope.folder / Path(given)
        at.scope.files[path] = stamp(path)
        try:
            if not path.resolve().is_relative_to(at.scope.folder.resolve()):  # else a file could ask for the words of any other
                raise at.wrong(f"{given} leads elsewhere: files of words are beside the declaration, or in folders below")
            if not path.is_file():
                raise at.wrong(f"{given} is a directory: a file is needed" if path.is_dir() else f"there is no file {given}")
            if path.stat().st_size > MAX_FILE_BYTES:
                raise at.wrong(f"{given} has more than {MAX_FILE_BYTES:,} bytes")
            return Terms.from_file(path).words
        except SpecError:
            raise
        except (OSError, ValueError) as error:
            raise at.wrong(str(error).removeprefix("Terms: ")) from error

    def owns(self, value: Any) -> bool:
        return self.array.owns(value)

    def write(self, value: Any, at: Place) -> Plain:
        return self.array.write(value, at)

    def schema(self, schemas: Schemas) -> Schema:
        path = {"type": "string", "minLength": 1, "description": "UTF-8, one word on each line; from where the declaration is."}
        file = {"type": "object", "properties": {"file": path}, "required": ["file"], "additionalProperties": False}
        return {"anyOf": [self.array.schema(schemas), file, ENV]}


class Pattern(Fields):
    """A rule by its pattern. Without a name it is called as a bare pattern is in Python."""

    def __init__(self, cls: type[Any] = Rule) -> None:
        super().__init__(cls)
        self.required: list[str] = ["pattern"]  # and not the name

    @functools.cached_property
    def forms(self) -> dict[str, Form]:
        return super().forms | {"flags": Flags()}

    def build(self, values: Any, at: Place) -> Any:
        return super().build({"name": UNNAMED} | values, at)

    def write(self, value: Any, at: Place) -> Plain:
        written = super().write(value, at)
        return {name: each for name, each in written.items() if (name, each) != ("name", UNNAMED)}


class Words(Fields):
    """Terms by their words."""

    def __init__(self, cls: type[Any] = Terms) -> None:
        super().__init__(cls)

    @functools.cached_property
    def forms(self) -> dict[str, Form]:
        forms = super().forms
        return forms | {"words": WordList(forms["words"])}


_TABLES: dict[type, Callable[[], Fields]] = {Rule: Pattern, Terms: Words}


@functools.cache
def _made(kind: type) -> Fields:
    return _TABLES[kind]()


def _table(kind: Any) -> Fields:
    return _made(kind)


@dataclass(frozen=True)
class RuleForm:
    """A rule.

    Args:
        kinds: what may stand here: `Rule`, `Terms`.
    """

    kinds: tuple[type, ...]

    def takes(self, given: Plain) -> bool:
        return isinstance(given, str | dict)

    def read(self, given: Plain, at: Place) -> Any:
        rules = self.read_row(given, at)
        if len(rules) > 1:
            raise at.wrong(f"{given} names {len(rules)} rules: one is needed here")
        return next(iter(rules))

    def read_row(self, given: Plain, at: Place) -> tuple[Any, ...]:
        """The rules that stand here: `PII` are several.

        Raises:
            SpecError: there are none.
        """
        if isinstance(given, str) and Rule in self.kinds:
            return self._named(given, at)
        if not isinstance(given, dict):
            raise at.wrong(f"{kind_of(given)} stands here, the name of a rule or a table with pattern or words is needed")
        kind = Terms if "words" in given and Terms in self.kinds else self.kinds[0]
        if Terms in self.kinds and not {"pattern", "words"} & given.keys():
            check_fields(given, [*{**_table(Rule).forms, **_table(Terms).forms}], [], "a rule", at)
            raise at.wrong("a rule needs pattern, or words")
        return (_table(kind).read(given, at),)

    def _named(self, name: str, at: Place) -> tuple[Any, ...]:
        try:
            return detectors.named(name)
        except ValueError as error:
            if re.fullmatch(r"\w*", name):
                raise at.wrong(str(error)) from None
            raise at.wrong(f"unknown rule {shown(name)}: a pattern is written {{pattern = '…'}}") from None

    def owns(self, value: Any) -> bool:
        return isinstance(value, self.kinds)

    def write(self, value: Any, at: Place) -> Plain:
        if isinstance(value, Rule) and value.name in detectors.NAMES:
            try:
                known: object = detectors.by_name(value.name)
            except ValueError:  # its libraries are not here
                known = None
            if known == value:
                return value.name
        return _table(type(value)).write(value, at) if type(value) in self.kinds else _not_written(value, at)

    def schema(self, schemas: Schemas) -> Schema:
        return self._schema("RuleName", detectors.NAMES, schemas)

    def row_schema(self, schemas: Schemas) -> Schema:
        """What `read_row` accepts."""
        return self._schema("RuleNames", (*TUPLES, *detectors.NAMES), schemas)

    def _schema(self, key: str, names: tuple[str, ...], schemas: Schemas) -> Schema:
        named: list[Schema] = []
        if Rule in self.kinds:
            schemas.defs[key] = {"enum": [*names], "description": "Rules of the catalogue, by name."}
            named = [schemas.ref(key)]
        return any_of([*named, *(_table(kind).schema(schemas) for kind in self.kinds)])


def _not_written(value: object, at: Place) -> Plain:
    raise at.wrong(f"a rule of type {type(value).__qualname__} cannot be written")
