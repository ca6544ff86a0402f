"""Files of declarations: TOML, JSON and YAML, read into what they say, with the lines where they say it, and written.

What is read is checked for what no declaration has: a size, a depth, a kind of value. Nothing here knows what declarations mean.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from streamfilter.errors import SpecError
from streamfilter.spec.places import json_line, toml_line
from streamfilter.spec.scope import Plain
from streamfilter.spec.words import kind_of

Format: TypeAlias = Literal["toml", "json", "yaml"]

SUFFIXES: dict[str, Format] = {".toml": "toml", ".json": "json", ".yaml": "yaml", ".yml": "yaml"}

MAX_BYTES = 4 * 1024 * 1024
"""Of a file. A thousand tenants with a dozen stages each have two million at most; long lists of words have files of their own."""

MAX_DEPTH = 64
"""Of arrays and tables in each other. A stage in a stage takes four, and nobody nests five of them."""

MAX_VALUES = 1_000_000
"""In a document, as many as in the largest file: a dictionary that contains another twice, and so on, has no end in sight."""


Lines: TypeAlias = Callable[[tuple[str | int, ...]], int | None]
"""Gives the line of a path in a document, if that can be told."""


def _nowhere(path: tuple[str | int, ...]) -> None:
    """That cannot be told."""


@dataclass(frozen=True)
class Source:
    """What a declaration says, and where it stands.

    Args:
        document: what it says.
        file: its name; None if it comes from no file.
        folder: from which the paths in it lead.
        line: the line of a path in it, if that can be told.
    """

    document: Plain
    file: str | None = None
    folder: Path = field(default_factory=Path)
    line: Lines = _nowhere

    def placed(self, error: SpecError) -> SpecError:
        """An error about a place in this document, with its file and line."""
        if error.file is not None or self.file is None:
            return error
        return SpecError(error.problem, file=self.file, line=self.line(error.path), path=error.path)


def source_of(given: str | os.PathLike[str] | Mapping[str, Any]) -> Source:
    """A file, or a document.

    Raises:
        SpecError: it cannot be read, or has what no declaration has.
    """
    if isinstance(given, Mapping):
        return Source(plain(given))
    if not isinstance(given, str | os.PathLike):
        raise SpecError(f"{kind_of(given)} is no declaration: give the path of a file, or a dictionary")
    path = Path(given)
    return parsed(content_of(path), path)


def content_of(path: Path) -> bytes:
    """The bytes of a file of declarations.

    Raises:
        SpecError: there is none, or it is too large.
    """
    name = os.fspath(path)
    try:
        if not path.exists():
            raise SpecError("there is no such file", file=name)
        if not path.is_file():
            raise SpecError("it is a directory: a file is needed" if path.is_dir() else "it is no regular file", file=name)
        if format_of(path) is None:
            raise SpecError(f"its name does not say what it is: it ends with {', '.join(SUFFIXES)}", file=name)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=name) from error
    if len(content) > MAX_BYTES:
        raise SpecError(f"has more than {MAX_BYTES:,} bytes: long lists of words belong into files, {{file = …}}", file=name)
    return content


def format_of(path: Path) -> Format | None:
    """What a file is, by its name."""
    return SUFFIXES.get(path.suffix.lower())


def parsed(content: bytes, path: Path) -> Source:
    """What the bytes of a file say.

    Raises:
        SpecError: they say nothing; with the line.
    """
    name = os.fspath(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1  # of what is behind a byte order mark
        raise SpecError(f"byte 0x{error.object[error.start]:02x} is not UTF-8: text is needed", file=name, line=line) from None
    if "\0" in text:
        raise SpecError("it has a zero byte: text is needed", file=name, line=text.count("\n", 0, text.index("\0")) + 1)
    if not text.strip():
        raise SpecError("the file is empty: it begins with version = 1", file=name)
    parse = {"toml": _toml, "json": _json, "yaml": _yaml}[format_of(path) or "toml"]
    line_of: Lines = _nowhere
    try:
        document, line_of = parse(text)
        return Source(plain(document), name, path.parent, line_of)
    except RecursionError:
        raise SpecError("it is nested too deeply", file=name) from None
    except SpecError as error:
        place = error.line or line_of(error.path)
        raise SpecError(error.problem, file=name, line=place, column=error.column, path=error.path) from None


_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_DEEP_KEY = re.compile(rf"(?m)(?:^|[\[{{,])[ \t]*+(?:{_PART}){{{MAX_DEPTH}}}")
"""A key with so many parts: `tomllib` reads one in a time that grows with their square, and a file could hold a million."""


def _toml(text: str) -> tuple[Plain, Lines]:
    if deep := _DEEP_KEY.search(text):
        raise SpecError("it is nested too deeply", line=text.count("\n", 0, deep.end()) + 1)
    try:
        return tomllib.loads(text), lambda path: toml_line(text, path)
    except ValueError as error:  # also of a number with too many digits
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        if found is None:
            raise SpecError(f"it is not TOML: {error}") from None
        line, column = (int(found[2]), int(found[3])) if found[2] else (text.rstrip().count("\n") + 1, None)
        raise SpecError(f"it is not TOML: {found[1][0].lower()}{found[1][1:]}", line=line, column=column) from None


def _json(text: str) -> tuple[Plain, Lines]:
    try:
        return json.loads(text, object_pairs_hook=_once), lambda path: json_line(text, path)
    except json.JSONDecodeError as error:
        raise SpecError(f"it is not JSON: {error.msg[0].lower()}{error.msg[1:]}", line=error.lineno, column=error.colno) from None
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(f"it is not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise SpecError(f"{twice!r} stands twice in one table")
    return table


def _yaml(text: str) -> tuple[Plain, Lines]:
    try:
        from streamfilter.spec.yaml import parse  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise SpecError(f'YAML needs {error.name}: pip install "streamfilter[yaml]"') from None
    document, lines = parse(text)
    return document, lines.get


def plain(document: Any) -> Plain:
    """A document of dictionaries, lists and scalars only, with whole numbers as ints, as JSON Schema has it.

    Raises:
        SpecError: something else is in it, it contains itself, or it is too large.
    """
    left = MAX_VALUES

    def copied(value: Any, path: tuple[str | int, ...]) -> Plain:
        nonlocal left
        left -= 1
        if len(path) > MAX_DEPTH or left < 0:
            raise SpecError("it is nested too deeply" if left >= 0 else f"it has more than {MAX_VALUES:,} values")
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise SpecError(f"a key is {kind_of(key)}: keys are texts", path=path)
            return {_text(key, path): copied(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [copied(each, (*path, number)) for number, each in enumerate(value)]
        if isinstance(value, str):
            return _text(value, path)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise SpecError(f"{value} stands here: JSON has no such number", path=path)
            return int(value) if value.is_integer() else value
        if value is None or isinstance(value, bool | int):
            return value
        raise SpecError(f"{kind_of(value)} stands here, which no declaration has", path=path)

    return copied(document, ())


def _text(text: str, path: tuple[str | int, ...]) -> str:
    if not text.isascii() and re.search("[\ud800-\udfff]", text):
        raise SpecError("half a surrogate pair stands here, which is no character", path=path)
    return text


def written(document: Plain, form: Format) -> str:
    """A document as a text.

    Raises:
        SpecError: its library is not here.
        ValueError: there is no such format.
    """
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    try:
        if form == "toml":
            import tomli_w  # noqa: PLC0415  # an extra

            return tomli_w.dumps(document)
        if form == "yaml":
            from streamfilter.spec.yaml import written as yaml_text  # noqa: PLC0415  # an extra

            return yaml_text(document)
    except ModuleNotFoundError as error:
        raise SpecError(f'writing {form.upper()} needs {error.name}: pip install "streamfilter[{form}]"') from None
    raise ValueError(f"unknown format {form!r}: there are 'toml', 'json' and 'yaml'")
