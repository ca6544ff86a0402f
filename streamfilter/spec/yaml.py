"""YAML by PyYAML's events: only what TOML and JSON can say, with the line of every value. It needs the extra `yaml`.

Plain scalars mean what YAML 1.2's core schema says (https://yaml.org/spec/1.2.2/#103-core-schema), so that the key `on` is a text
and `no` is no boolean. Anchors, aliases and tags are refused: the first make small files large, the last make objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from streamfilter.errors import SpecError
from streamfilter.spec.scope import Plain

MAX_DEPTH = 64
"""As of all declarations. It is checked here too, because what reads them calls itself."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PLAIN = re.compile(
    r"(?P<null>null|Null|NULL|~|)|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|(?P<int>[-+]?[0-9]+)|(?P<octal>0o[0-7]+)|(?P<hexadecimal>0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<infinite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)

_UNMISTAKABLE = re.compile(r"(?!(?i:null|true|false|yes|no|on|off|y|n|x)\Z)[A-Za-z_][A-Za-z0-9_]*")
"""What is a text in every version of YAML, though it has no quotes."""

Lines = dict[tuple[str | int, ...], int]


def parse(text: str) -> tuple[Plain, Lines]:
    """What a YAML text says, and the line of each value by its path.

    Raises:
        SpecError: it is no YAML, or has what no declaration has; with its line and column.
    """
    lines: Lines = {}
    try:
        events = iter(yaml.parse(text, Loader=_LOADER))
        assert isinstance(next(events), yaml.StreamStartEvent)
        if isinstance(next(events), yaml.StreamEndEvent):
            raise SpecError("it says nothing: it begins with version: 1")
        document = _value(next(events), events, (), lines)
        next(events)
        if not isinstance(again := next(events), yaml.StreamEndEvent):
            raise _wrong("a second document begins here: one is needed", again)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (None, None) if mark is None else (mark.line + 1, mark.column + 1)
        raise SpecError(f"it is not YAML: {error.problem or error.context}", line=line, column=column) from None
    except yaml.YAMLError as error:
        raise SpecError(f"it is not YAML: {str(error).splitlines()[0]}") from None
    return document, lines


def _wrong(problem: str, event: Any) -> SpecError:
    return SpecError(problem, line=event.start_mark.line + 1, column=event.start_mark.column + 1)


def _value(event: Any, events: Iterator[Any], path: tuple[str | int, ...], lines: Lines) -> Plain:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise _wrong("anchors and aliases are refused: write it out", event)
    if event.tag is not None:
        raise _wrong("tags are refused: write plain values", event)
    if len(path) > MAX_DEPTH:
        raise _wrong("it is nested too deeply", event)
    lines[path] = event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if isinstance(event, yaml.SequenceStartEvent):
        row: list[Plain] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            row.append(_value(inner, events, (*path, len(row)), lines))
        return row
    table: dict[str, Plain] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        name = _value(key, events, path, {})
        if not isinstance(name, str):
            raise _wrong("a key that is no text: write it in quotes", key)
        if name in table:
            raise _wrong(f"{name!r} stands twice in one table", key)
        table[name] = _value(next(events), events, (*path, name), lines)
        lines[(*path, name)] = key.start_mark.line + 1
    return table


def _scalar(event: Any) -> Plain:
    found = _PLAIN.fullmatch(event.value) if event.implicit[0] and not event.style else None
    text = event.value
    try:
        match found and found.lastgroup:
            case None:
                return text
            case "null":
                return None
            case "true" | "false" as word:
                return word == "true"
            case "int":
                return int(text)
            case "octal" | "hexadecimal":
                return int(text, 0)
            case "float":
                return float(text)
            case _:
                return float(text.replace(".", ""))
    except ValueError as error:
        raise _wrong(f"a number with too many digits: {error}", event) from None


class _Dumper(yaml.SafeDumper):
    """Writes texts in quotes unless they are texts in every version of YAML."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represented(dumper: yaml.SafeDumper, text: str) -> Any:
    style = None if _UNMISTAKABLE.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represented)


def written(document: Plain) -> str:
    """A document as YAML."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
