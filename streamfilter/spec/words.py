"""Words for messages: what kind of value stands somewhere, and which name may have been meant."""

from __future__ import annotations

import datetime as dt
import difflib
import inspect
import re
from collections.abc import Iterable

SHOWN_CHARS = 60
"""Of a text of a file, in a message."""

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    ((list, tuple), "an array"),
    (dict, "a table"),
    (type(None), "null"),
    ((dt.date, dt.time), "a date or a time"),
)


def kind_of(value: object) -> str:
    """What a value of a file is, in words.

    Example:
        >>> kind_of(True), kind_of([1])
        ('true or false', 'an array')
    """
    return next((kind for types, kind in _KINDS if isinstance(value, types)), f"a {type(value).__qualname__}")


def shown(text: str) -> str:
    """A text of a file as it stands in a message."""
    return repr(text) if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]!r}…"


def closest(name: str, names: Iterable[str]) -> str:
    """The question whether the name that comes closest was meant; empty if none does.

    Example:
        >>> closest("PATERN", ["name", "pattern"]), closest("x", ["name"])
        ("did you mean 'pattern'?", '')
    """
    spelled = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), spelled, 1)
    return f"did you mean {spelled[close[0]]!r}?" if close else ""


def unknown(what: str, name: str, names: Iterable[str], of: str = "") -> str:
    """The message for a name that is none of those there are.

    Example:
        >>> unknown("field", "patern", ["name", "pattern"], of="a rule")
        "unknown field 'patern' of a rule: did you mean 'pattern'?"
    """
    known = [*names]
    return f"unknown {what} {shown(name)}{of and f' of {of}'}: {closest(name, known) or 'there are ' + ', '.join(known)}"


def snake(name: str) -> str:
    """The name of a class as files write it.

    Example:
        >>> [snake(name) for name in ("FilterJSON", "JSONItems", "StripANSI", "StopAt")]
        ['filter_json', 'json_items', 'strip_ansi', 'stop_at']
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def summary(documented: object) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def argument_texts(cls: type) -> dict[str, str]:
    """What docstrings say of the arguments of a class and of those above it.

    Example:
        >>> from streamfilter.matching import Rule
        >>> argument_texts(Rule)["flags"]
        'of `regex`; those of `re` are taken for the same ones of `regex`.'
    """
    texts: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", inspect.cleandoc(each.__dict__.get("__doc__") or ""), re.MULTILINE)
        for found in re.finditer(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", section[1] if section else "", re.MULTILINE):
            texts[found[1]] = " ".join(found[2].split())
    return texts
