r"""Paths: which values of a document are meant, in the words of JSONPath, and whether what a parser tells stands there.

A subset of RFC 9535: `$`, `.name`, `['name']`, `[0]`, `.*`, `[*]`, and each of them anywhere below (`..name`, `..[0]`, `..*`, …).
What a stream cannot know when a value begins, such as whether an index counts from the end, is not in it; nor are filters, slices
and several selectors in one bracket. A path is a small automaton over keys and indexes, so following it costs one step for each
value, and of a value that it does not lead to nothing needs to be looked at. What is done with what is found is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import BeforeValidator

from streamfilter.declaration import Declared, declared

MAX_INDEX = 2**53 - 1
"""The greatest index: that of I-JSON (RFC 9535, 2.1)."""

SUPPORTED = "a path is $ followed by .name, ['name'], [0], .*, [*], ..name, ..['name'], ..[0], ..* or ..[*]"

_BLANK = r"[ \t\n\r]*"
_FIRST = r"[A-Za-z_\x80-\ud7ff\ue000-\U0010ffff]"  # RFC 9535, 2.5.1.1: name-first
_ESCAPE = (
    r"[bfnrt/\\]|u(?:[0-9A-CEFa-cef][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}|[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})"
)
_SEGMENT = re.compile(
    rf"""{_BLANK}(?:
    (?P<deep>\.\.)?\[{_BLANK}(?:
        '(?P<single>(?:[^'\\\x00-\x1f\ud800-\udfff]|\\(?:'|{_ESCAPE}))*)'
      | "(?P<double>(?:[^"\\\x00-\x1f\ud800-\udfff]|\\(?:"|{_ESCAPE}))*)"
      | (?P<index>0|[1-9][0-9]{{0,15}})
      | \*
    ){_BLANK}\]
  | (?P<dots>\.\.?)(?:(?P<name>{_FIRST}(?:{_FIRST}|[0-9])*)|\*)
)""",
    re.VERBOSE,
).match
_ESCAPED = re.compile(r"\\(?:u(?P<high>[Dd][89ABab]..)\\u(?P<low>....)|u(?P<unit>....)|(?P<letter>.))")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_HINTS = (
    (re.compile(r"(?:\.\.)?\[\s*\?"), "filters are not"),
    (re.compile(r"(?:\.\.)?\[\s*-[0-9]"), "an index from the end is not: where the end is, is not known before it"),
    (re.compile(r"(?:\.\.)?\[[\s\d-]*:"), "slices are not"),
    (re.compile(r"(?:\.\.)?\[[^\]]*,"), "several selectors in one bracket are not"),
    (re.compile(r"(?:\.\.)?\[\s*\("), "scripts are not"),
    (re.compile(r"\.\.?[0-9]"), "a name that begins with a digit is written ['0'], an index [0]"),
    (re.compile(r"[^\s.\[$]"), "a name with other signs is written ['a-b']"),
)


class Selector(NamedTuple):
    """One step of a path.

    Attributes:
        part: the key or the index it leads to; None: any.
        deep: whether it may come anywhere below.
    """

    part: str | int | None
    deep: bool


State: TypeAlias = int
"""How far a place has come along a path: bit n is set if what stands below may go on with selector n. 0: it leads nowhere."""


@declared
class JSONPath(Declared):
    """Which values of a document are meant.

    Args:
        text: a JSONPath (RFC 9535) of `$`, `.name`, `['name']`, `[0]`, `.*`, `[*]`, and of these behind `..`, anywhere below.

    Raises:
        ValueError: it is something else; the message says what is supported.

    Example:
        >>> path = JSONPath("$.items[*]['first name']")
        >>> path.matches(["items", 3, "first name"]), path.matches(["items", 3])
        (True, False)
        >>> JSONPath("$..text").matches(["items", 0, "text"])
        True
        >>> JSONPath("$.items[-1]")
        Traceback (most recent call last):
        ...
        ValueError: JSONPath: an index from the end is not: ... (at character 7): a path is $ followed by .name, ['name'], [0], ...
    """

    text: str

    def compile(self) -> None:
        _ = self.selectors

    @cached_property
    def selectors(self) -> tuple[Selector, ...]:
        """Its steps."""
        return _parsed(self.text)

    @cached_property
    def has_indexes(self) -> bool:
        """Whether it tells the elements of an array apart."""
        return any(isinstance(selector.part, int) for selector in self.selectors)

    @cached_property
    def opens(self) -> str:
        """Which brackets may open a document that it leads into."""
        first = self.selectors[0] if self.selectors else None
        if first is None or first.deep or first.part is None:
            return "{["
        return "{" if isinstance(first.part, str) else "["

    def step(self, state: State, part: str | int) -> State:
        """How far a key or an index leads, from a place that has come so far. The root has come to 1."""
        after = 0
        for n, (wanted, deep) in enumerate(self.selectors):
            if state >> n & 1:
                if deep:
                    after |= 1 << n
                if wanted is None or wanted == part:
                    after |= 2 << n
        return after

    def is_end(self, state: State) -> bool:
        """Whether what stands there is meant."""
        return state >> len(self.selectors) > 0

    def matches(self, path: Sequence[str | int]) -> bool:
        """Whether the value at these keys and indexes is meant.

        Example:
            >>> JSONPath("$..*").matches(["a", 0]), JSONPath("$..*").matches([])
            (True, False)
        """
        state = 1
        for part in path:
            state = self.step(state, part)
        return self.is_end(state)


class Follower:
    """Where on a path a parser is, for a sink, which says what it is told.

    Args:
        path: the path.

    Attributes:
        state: of the value that stands or will stand next; of one that has just ended, until `over`.

    Example:
        >>> follower = Follower(JSONPath("$.a[1]"))
        >>> follower.begin(is_array=False), follower.key("a"), follower.begin(is_array=True), follower.is_end
        (None, None, None, False)
        >>> follower.over(), follower.is_end
        (None, True)
    """

    def __init__(self, path: JSONPath) -> None:
        self.state: State = 1
        self._path = path
        self._step = path.step
        self._end = 1 << len(path.selectors)
        self._counts = path.has_indexes
        self._open: list[tuple[State, int]] = []  # of the open containers around the innermost
        self._around: State = 0  # of the innermost
        self._index = -1  # in it; -1 in an object

    @property
    def is_end(self) -> bool:
        """Whether the value is meant."""
        return self.state >= self._end

    @property
    def goes_on(self) -> bool:
        """Whether something inside of the value may be meant."""
        return self.state & (self._end - 1) > 0

    def begin(self, *, is_array: bool) -> None:
        """The value is a container: what stands in it comes next."""
        self._open.append((self._around, self._index))
        self._around = self.state
        self._index = 0 if is_array else -1
        if is_array and self.state:
            self.state = self._step(self.state, 0)

    def key(self, key: str) -> None:
        """The key of the value that comes next."""
        around = self._around
        self.state = self._step(around, key) if around else 0

    def over(self) -> None:
        """A value is over: what comes next is behind it. At the end of a container `end` comes first."""
        if self._counts and self._index >= 0 and self._around:  # otherwise all elements stand alike
            self._index += 1
            self.state = self._step(self._around, self._index)

    def end(self) -> None:
        """The innermost container ends, and is itself the value that stands there."""
        self.state = self._around
        self._around, self._index = self._open.pop()


def as_path(given: object) -> object:
    """A text as a path; a path as it is."""
    if isinstance(given, str):
        return JSONPath(given)
    if not isinstance(given, JSONPath | Mapping):
        raise ValueError(f"a JSONPath or its text is needed, not {type(given).__qualname__}")
    return given


PathLike: TypeAlias = Annotated[JSONPath | str, BeforeValidator(as_path)]
"""The field of a stage for a path: a `JSONPath`, or the text of one, which becomes one."""


def _parsed(text: str) -> tuple[Selector, ...]:
    if not text.startswith("$"):
        raise ValueError(f"a path begins with $: {SUPPORTED}")
    selectors: list[Selector] = []
    at = 1
    while at < len(text):
        found = _SEGMENT(text, at)
        if found is None:
            hint = next((hint for pattern, hint in _HINTS if pattern.match(text, at)), "this is no step of a path")
            raise ValueError(f"{hint} (at character {at}): {SUPPORTED}")
        part: str | int | None = found["name"]
        if found["index"]:
            part = int(found["index"])
            if part > MAX_INDEX:
                raise ValueError(f"an index is at most {MAX_INDEX} (at character {at})")
        quoted = found["double"] if found["single"] is None else found["single"]
        if quoted is not None:
            part = _ESCAPED.sub(_unescaped, quoted)
        selectors.append(Selector(part, deep=found["deep"] is not None or found["dots"] == ".."))
        at = found.end()
    return tuple(selectors)


def _unescaped(found: re.Match[str]) -> str:
    letter = found["letter"]
    if letter:
        return _LETTERS.get(letter, letter)
    if found["unit"]:
        return chr(int(found["unit"], 16))
    return chr(0x10000 + ((int(found["high"], 16) - 0xD800) << 10 | (int(found["low"], 16) - 0xDC00)))
