r"""What a JSON Schema says of some classes beyond the types of their fields: which go together, and how some texts are written.

The classes check all this when they are built, in words that people read; here it is in the words of JSON Schema, for editors. A
property test holds the two together. Patterns mean the same in Python's `re` and in ECMA 262: no `\w` or `\d`, and an end of text
that no line end precedes. What only Unicode's tables tell, such as which sign beyond ASCII is a letter, is not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamfilter.markup.links_urls import MAX_PORT, NEVER
from streamfilter.segment.segmentation import MAX_ABBREVIATION_CHARS
from streamfilter.spec.forms import END, NOTHING, Schema
from streamfilter.text.masks import MIN_SALT_CHARS
from streamfilter.vault import LONGEST

_BEYOND = r"[^\x00-\x7f]"  # ASCII
_LETTER = rf"(?:[A-Za-z0-9_]|{_BEYOND})"


def _is(**fields: Any) -> Schema:
    """The fields are given, and have these values."""
    return {"required": [*fields], "properties": {name: {"const": value} for name, value in fields.items()}}


def _given(name: str) -> Schema:
    """A field is given, and is not nothing."""
    return {"required": [name], "properties": {name: {"not": NOTHING}}}


def _may(**schemas: Schema) -> Schema:
    """What fields are if they are given."""
    return {"properties": schemas}


def _when(one: Schema, other: Schema, otherwise: Schema | None = None) -> Schema:
    return {"if": one, "then": other} | ({} if otherwise is None else {"else": otherwise})


def _text(pattern: str) -> Schema:
    return {"pattern": f"^(?:{pattern}){END}"}


def _usual(name: str) -> Schema:
    """The function of Python that a field has by default."""
    return {"enum": [f"builtins:{name}", {"use": f"builtins:{name}"}]}


def _path() -> Schema:
    """A JSONPath: see `parsing.paths`."""
    blank = r"[ \t\n\r]*"
    first = rf"(?:[A-Za-z_]|{_BEYOND})"
    pair = r"[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"
    escape = rf"[bfnrt/\\]|u(?:[0-9A-CEFa-cef][0-9A-Fa-f]{{3}}|[Dd][0-7][0-9A-Fa-f]{{2}}|{pair})"
    quoted = "|".join(rf"{mark}(?:[^{mark}\\\x00-\x1f]|\\(?:{mark}|{escape}))*{mark}" for mark in "'\"")
    bracket = rf"(?:\.\.)?\[{blank}(?:{quoted}|0|[1-9][0-9]{{0,15}}|\*){blank}\]"
    return _text(rf"\$(?:{blank}(?:{bracket}|\.\.?(?:{first}(?:{first}|[0-9])*|\*)))*")


def _hosts() -> Schema:
    assert MAX_PORT == 65_535  # which the pattern spells out
    label = rf"(?:{_LETTER}|-)+"
    port = r"0*(?:[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    return {"items": _text(rf"(?:\*\.)?{label}(?:\.{label})*(?:\.?:(?=[0-9]{{1,5}}{END}){port})?")}


def _links() -> list[Schema]:
    plain = rf"(?:[A-Za-z0-9 _*-]|{_BEYOND})*"
    schemes = {"items": {"not": {"enum": sorted(NEVER)}}}
    return [_may(allow=_hosts(), images=_hosts(), schemes=schemes, to=_text(rf"\[{plain}\]|{plain}"))]


def _segmentation() -> list[Schema]:
    sized, inner = {"enum": ["words", "chars"]}, {"const": "cumulative"}
    return [
        _when(_may(by=sized), _given("size"), _may(size=NOTHING)),
        _when(_may(by=inner), _given("every"), _may(every=NOTHING)),
        _may(every={"not": _is(by="cumulative")}),
        _when(_may(by={"const": "sentence"}), {}, _may(abbreviations={"maxItems": 0})),
        _may(abbreviations={"items": {"minLength": 1, "maxLength": MAX_ABBREVIATION_CHARS} | _text(r"[\s\S]*[^.]")}),
    ]


def _segments() -> list[Schema]:
    divided = {"type": "object", "required": ["by"]}
    known = _may(at_end=NOTHING, max_chars=NOTHING, boundary=_may(by={"not": {"const": "cumulative"}}, max_wait=NOTHING))
    return [_when(_may(boundary=divided), known)]


def _translate() -> list[Schema]:
    one = {"minLength": 1, "maxLength": 1}
    return [_may(table={"propertyNames": {"anyOf": [one, _text(r"U\+(?:[0-9A-F]{4,5}|0[0-9A-F]{5}|10[0-9A-F]{4})")]}})]


_APART = _may(channels={"not": {"type": "array", "contains": {"const": "tool_arguments"}}}, to={"not": {"const": "tool_arguments"}})
"""Of what is taken out of a text and put elsewhere."""

_QUIET = _when(_given("message"), _is(action="stop"))
"""An exception shows no message."""


def _extract() -> list[Schema]:
    marker = {"minLength": 1}
    unmistakable = _text(r"(?!\s)[^`~\r\n]*")
    return [
        _APART,
        _may(to={"not": {"const": ""}}),
        _may(tags={"uniqueItems": True, "items": {"items": marker} | _text(rf"{_LETTER}(?:[A-Za-z0-9_.:-]|{_BEYOND})*")}),
        {"not": _is(nested=True, unclosed="keep")},
        _when({"required": ["to"]} | _may(to={"type": "object"}, unclosed={"const": "extract"}), {"not": _is(overflow="keep")}),
        _when(_is(code=True), _may(tags={"items": {"items": unmistakable}})),
    ]


def _template(more: str) -> Schema:
    """A format string with `{rule}` alone, and what may follow that in the braces."""
    return _text(rf"(?:[^{{}}]|\{{\{{|\}}\}}|\{{rule{more}\}})*")


def _redact() -> list[Schema]:
    placed = {"required": ["to"]} | _may(to={"type": "object"} | _is(use="placeholder"))
    safe = _may(max_hold={"minimum": LONGEST}, overflow={"not": {"const": "release"}})
    return [_may(to={"anyOf": [{"type": "object"}, _template(":?")]}), _when(placed, safe)]


_RULES: dict[str, Callable[[], list[Schema]]] = {
    "Block": lambda: [_QUIET],
    "CodeFences": lambda: [_APART],
    "Extract": _extract,
    "Hash": lambda: [_may(salt={"minLength": MIN_SALT_CHARS})],
    "JSONEvents": lambda: [
        _when(_is(patch=True), _may(many={"const": False}), _may(model=NOTHING, strings={"const": "partial"})),
    ],
    "JSONPath": lambda: [_path()],
    "Limit": lambda: [{"anyOf": [_given("max_chars"), _given("max_words"), _given("max_lines")]}],
    "Links": _links,
    "ParseJSON": lambda: [_when(_given("model"), _may(parse_float=_usual("float"), parse_int=_usual("int")))],
    "Moderate": lambda: [
        _QUIET,
        _when(_may(window=_is(by="cumulative")) | {"required": ["window"]}, _may(lookback_chars={"const": 0})),
    ],
    "Pace": lambda: [{"oneOf": [_given("chars_per_second"), _given("delay")]}],
    "Presidio": lambda: [
        _when({"not": _given("analyzer")}, _may(language={"const": "en"})),
        _may(replace={"anyOf": [{"type": ["object", "null"]}, _template(r"(?:![^{}])?(?::(?:[^{}]|\{[^{}]*\})*)?")]}),
    ],
    "Redact": _redact,
    "Segmentation": _segmentation,
    "Segments": _segments,
    "Strip": lambda: [{"not": _is(left=False, right=False)}],
    "Timeout": lambda: [{"anyOf": [_given("first"), _given("between"), _given("total")]}],
    "Translate": _translate,
}


def together(cls: type) -> Schema:
    """What the schema of a class of this library says besides its fields.

    Example:
        >>> import streamfilter as sf
        >>> together(sf.Strip)
        {'allOf': [{'not': {'required': ['left', 'right'], 'properties': {'left': {'const': False}, 'right': {'const': False}}}}]}
        >>> together(sf.Words)
        {}
    """
    rules = _RULES.get(cls.__name__) if cls.__module__.startswith("streamfilter.") else None
    return {} if rules is None else {"allOf": rules()}
