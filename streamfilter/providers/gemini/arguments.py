"""The streamed arguments of a call: pieces of values with their paths to the JSON text they are part of, and its strings back.

Gemini 3 may send `{"jsonPath": "$.city", "stringValue": "Tu", "willContinue": true}`. As one text of JSON it is what all other
providers send: guards read it so, and other formats can be written from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from streamfilter.errors import LimitExceeded, MalformedInput
from streamfilter.parsing.parser import Parser
from streamfilter.parsing.sink import Sink

Steps: TypeAlias = tuple[str | int, ...]

_STEP = re.compile(r"""\.([^.\[\]'"]+)|\[(0|[1-9][0-9]*)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def steps(path: str) -> Steps | None:
    """The keys and indexes of a JSONPath to one value; None if it is none.

    Example:
        >>> steps("$.recipe.steps[0]['the name']"), steps("$..name")
        (('recipe', 'steps', 0, 'the name'), None)
    """
    if path[:1] != "$":
        return None
    made: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        name, index, *quoted = found.groups()
        made.append(int(index) if index else name or _ESCAPED.sub(r"\1", quoted[0] or quoted[1] or ""))
        at = found.end()
    return tuple(made)


def renamed(path: str, change: Callable[[str], str]) -> str:
    r"""A JSONPath with its keys changed; its indexes are no text.

    Example:
        >>> renamed("$.list[0].my key", str.upper), renamed("$.a", lambda key: "it's")
        ('$.LIST[0].MY KEY', "$['it\\'s']")
    """

    def key(found: re.Match[str]) -> str:
        name, index, *quoted = found.groups()
        if index:
            return found.group()
        before = name or _ESCAPED.sub(r"\1", quoted[0] or quoted[1] or "")
        after = change(before)
        if after == before:
            return found.group()
        is_plain = _STEP.fullmatch(f".{after}") is not None
        return f".{after}" if is_plain else "['" + re.sub(r"(['\\])", r"\\\1", after) + "']"

    return _STEP.sub(key, path)


class Assembler:
    """Makes one text of JSON of values that come with their paths, in the order of the text.

    Attributes:
        count: the strings that have begun.

    Example:
        >>> made = Assembler()
        >>> pieces = (("$.a[0].b", "x", True), ("$.a[0].b", "y", False), ("$.a[0].c", 1, False), ("$.a[1]", "z", True))
        >>> [made.add(*piece) for piece in pieces], made.finish()
        (['{"a":[{"b":"x', 'y"', ',"c":1 ', '},"z'], '"]}')
    """

    def __init__(self) -> None:
        self.count: int = 0
        self._at: Steps = ()  # of the last value
        self._keys: list[set[str]] = []  # of the open containers; an array has none
        self._is_open = False  # a string

    def add(self, path: str, value: Any, goes_on: bool) -> str:
        """The text for one more value, or for more of the open string.

        Args:
            path: the JSONPath.
            value: a string, a number, a truth value or None.
            goes_on: whether more of this string will come.

        Raises:
            MalformedInput: the path leads to no place that may still follow: its text could go on where nobody looks.
        """
        where = steps(path)
        if self._is_open and where == self._at:
            text = escaped(value) if isinstance(value, str) else ""
        else:
            text = self._moved(where)
            if isinstance(value, str):
                self.count += 1
                self._is_open = True
                text += '"' + escaped(value)
            else:
                text += json.dumps(value) + " "  # or a number could go on
        return text + ("" if goes_on else self._closed())

    def finish(self) -> str:
        """What is left of the text when all has come."""
        text = self._closed() + "".join("}" if isinstance(step, str) else "]" for step in reversed(self._at))
        self._at, self._keys = (), []
        return text

    def _closed(self) -> str:
        was_open, self._is_open = self._is_open, False
        return '"' if was_open else ""

    def _moved(self, where: Steps | None) -> str:
        """The text between the last value and one at another place."""
        if not where or not isinstance(where[0], str):
            raise MalformedInput("a piece of the arguments of a call has no path of its own", 0)
        before = self._at
        pairs = enumerate(zip(before, where, strict=False))
        common = next((n for n, (one, other) in pairs if one != other), min(len(before), len(where)))
        if before and (common == len(before) or common == len(where)):
            raise MalformedInput("the arguments of a call go back to a value that is complete", 0)
        text = self._closed() + "".join("}" if isinstance(step, str) else "]" for step in reversed(before[common + 1 :]))
        del self._keys[common + 1 :]
        for n in range(common, len(where)):
            step = where[n]
            is_first = n > common or not before
            last = None if is_first else before[n]
            if is_first:
                self._keys.append(set())
            text += ("{" if isinstance(step, str) else "[") if is_first else ","
            if isinstance(step, str):
                if isinstance(last, int) or step in self._keys[n]:
                    raise MalformedInput("the arguments of a call go back to a value that is complete", 0)
                self._keys[n].add(step)
                text += json.dumps(step, ensure_ascii=False) + ":"
            elif isinstance(last, str) or step != (0 if last is None else last + 1):
                raise MalformedInput("the arguments of a call leave out an element of an array", 0)
        self._at = where
        return text


class Strings(Sink):
    """Reads a text of JSON for what its strings say, in the order in which they come.

    Example:
        >>> strings = Strings()
        >>> strings.feed('{"a": "x'), strings.feed('y", "b": 1, "c": "z"}')
        ([(1, 'x')], [(1, 'y'), (2, 'z')])
    """

    takes_whole = False

    def __init__(self) -> None:
        self._parser = Parser(self)
        self._count = 0
        self._said: list[tuple[int, str]] = []
        self._is_broken = False

    def feed(self, text: str) -> Sequence[tuple[int, str]]:
        """What some more text says: pieces of strings, and which each is of, from 1. Behind what is malformed: nothing."""
        if not self._is_broken:
            try:
                self._parser.feed(text)
            except (MalformedInput, LimitExceeded):
                self._is_broken = True
        said, self._said = self._said, []
        return said

    def begin_string(self) -> None:
        self._count += 1

    def text(self, text: str, raw: str | None = None) -> None:
        self._said.append((self._count, text))


def escaped(text: str) -> str:
    r"""A text as it stands between the quotation marks of a JSON string.

    Example:
        >>> escaped('say "é"')
        'say \\"é\\"'
    """
    return json.dumps(text, ensure_ascii=False)[1:-1]
