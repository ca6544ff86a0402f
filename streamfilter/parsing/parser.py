"""The incremental parser: JSON text in, in any pieces; what it says out, to a sink, as soon as it is certain.

It keeps no text: of what has arrived only an unfinished key, number, literal or escape is remembered. There is no recursion, so
depth costs memory only. Containers and strings that are complete in one piece go through the C scanner of the standard library,
if the sink takes them whole. What is built of it all, and what stands around a document, is not known here.

The grammar is that of RFC 8259, as `json.loads` reads it, without NaN and Infinity.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from streamfilter.errors import LimitExceeded, MalformedInput, TruncatedInput
from streamfilter.parsing.escapes import Wrong, escape_at
from streamfilter.parsing.scanner import Scanner
from streamfilter.parsing.sink import MAX_DEPTH, MAX_STRING, Limits, Path, Position, Sink

__all__ = ["BLANKS", "MAX_DEPTH", "MAX_STRING", "Limits", "Parser", "Path", "Position", "Sink"]

SCAN_CHARS = 48
"""Characters that must be left in a piece before the C scanner is tried: for less, trying costs more than it saves."""

SHORT_NUMBER = 16
"""Digits below which a number needs no second look: Python has no limit for so few."""

RUN_CHARS = 256
"""The same before it is tried for the elements of an array, all that are complete at once."""

BLANKS = " \t\n\r"

_SPECIAL = re.compile(r'["\\\x00-\x1f]').search
_Match: TypeAlias = Callable[..., re.Match[str]]
_BLANK = cast("_Match", re.compile(r"[ \t\n\r]*").match)  # always matches, as the next two do
_DIGITS = cast("_Match", re.compile(r"[-+.eE0-9]*").match)
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?").fullmatch
_BEGUN = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.(?:[0-9]+(?:[eE][-+]?[0-9]*)?)?|[eE][-+]?[0-9]*)?)?").fullmatch  # a beginning
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}


class Parser:
    """One document.

    Args:
        sink: is told what the text says.
        limits: what is taken.
        position: where the document begins.

    Attributes:
        path: where the parser is: for each open container the key or the index of what stands or will stand next in it.
        is_complete: whether the document is over. What follows it was not taken.

    Example:
        >>> class Printing(Sink):
        ...     def key(self, key): print("key", key)
        ...     def value(self, value): print("value", value)
        ...     def text(self, text, raw=None): print("text", text)
        >>> parser = Parser(Printing())
        >>> parser.feed('{"a": [12')
        key a
        9
        >>> parser.feed('3, "x'), parser.feed('y"]} and'), parser.is_complete
        value 123
        text x
        text y
        (5, 4, True)
    """

    def __init__(self, sink: Sink, limits: Limits | None = None, position: Position | None = None) -> None:
        self.path: Path = []
        self.is_complete = False
        self._sink = sink
        self._limits = limits = limits or Limits()
        self._arrays: list[bool] = []  # of the open containers, which are
        self._keys: list[set[str]] = []  # of the open objects, where duplicates are looked for
        self._unique = limits.duplicates == "raise"
        # The states, bound once: each takes from a place on, and says up to where.
        self._at_value, self._at_colon, self._at_after = self._value, self._colon, self._after
        self._at_key, self._at_string, self._at_digits = self._in_key, self._string, self._digits
        self._state = self._at_value
        self._most, self._deepest, self._makes_int = limits.max_string, limits.max_depth, limits.parse_int is int
        self._take: Callable[[str], None] | None = None  # in a string or a key: what gets a piece without quotes and escapes
        self._last = 0  # how far the open string, key or number may go
        self._parts: list[str] = []  # of the open key or number
        self._half = ""  # an unfinished escape or literal
        self._offset, self._lines, self._line = position or Position()  # of the piece
        self._scanner = Scanner(limits)

    def feed(self, text: str) -> int:
        """Take in a piece. Gives how much of it belongs to the document: all, unless that is over.

        Raises:
            MalformedInput: it is no JSON.
            LimitExceeded: it is more than the limits allow.
        """
        take = self._take
        if take is not None and '"' not in text and "\\" not in text and text.isprintable():
            chars = len(text)
            if not chars:
                return 0
            self._offset += chars
            if self._offset > self._last:
                take(text[: self._last - self._offset])  # what fits was certain
                raise self._too_long()
            take(text)
            return chars
        half = 0
        if self._half:
            half = len(self._half)
            text = self._half + text
            self._half = ""
            self._offset -= half
        at, chars = 0, len(text)
        try:
            while at < chars and not self.is_complete:
                at = self._state(text, at)
        except Wrong as wrong:
            self._count(text, wrong.at)
            raise MalformedInput(wrong.problem, **self._place()) from None
        if "\n" in text:
            self._count(text, at)
        else:
            self._offset += at
        return at - half

    @property
    def position(self) -> Position:
        """Behind what was taken."""
        return Position(self._offset, self._lines, self._line)

    def finish(self) -> None:
        """The text ends here.

        Raises:
            TruncatedInput: the document is not over.
            MalformedInput: what it ends with cannot be continued to JSON.
        """
        if self._state is self._at_digits:
            if not self.path and _NUMBER("".join(self._parts)):
                self._end_number(0)
            elif not _BEGUN("".join(self._parts)):
                raise MalformedInput("a number that is none", **self._place())
        if not self.is_complete:
            raise TruncatedInput("the text ends inside the document", **self._place())

    # ------------------------------------------------------------------ states: each takes from `at` on, and says up to where

    def _value(self, text: str, at: int) -> int:
        """A value stands here."""
        first = text[at]
        if first in BLANKS:
            at += 1
            if at == len(text):
                return at
            first = text[at]
            if first in BLANKS:
                return _BLANK(text, at).end()
        if first == '"':
            return self._begin_string(text, at)
        if first in "{[":
            return self._begin(text, at)
        if first in _LITERALS:
            return self._literal(text, at)
        if first in "-0123456789":
            self._last = self._offset + at + self._most
            self._parts = []
            self._state = self._at_digits
            return self._digits(text, at)
        raise Wrong("a value is missing", at)

    def _first_item(self, text: str, at: int) -> int:
        """A value or the end of an array stands here."""
        if text[at] in BLANKS and (at := _BLANK(text, at).end()) == len(text):
            return at
        return self._end(at) if text[at] == "]" else self._value(text, at)

    def _first_key(self, text: str, at: int) -> int:
        """A key or the end of an object stands here."""
        if text[at] in BLANKS and (at := _BLANK(text, at).end()) == len(text):
            return at
        return self._end(at) if text[at] == "}" else self._begin_key(text, at)

    def _begin_key(self, text: str, at: int) -> int:
        """A key stands here."""
        if text[at] in BLANKS and (at := _BLANK(text, at).end()) == len(text):
            return at
        if text[at] != '"':
            raise Wrong("a key is missing", at)
        return self._opened_key(text, at + 1)

    def _opened_key(self, text: str, at: int) -> int:
        self._last = self._offset + at + self._most
        found = _SPECIAL(text, at)
        if found is not None and text[found.start()] == '"':
            if self._offset + found.start() > self._last:
                raise self._too_long()
            return self._end_key(text, text[at : found.start()], found.start())
        self._parts = []
        self._state = self._at_key
        return self._in_key(text, at)

    def _in_key(self, text: str, at: int) -> int:
        """In a key."""
        found = _SPECIAL(text, at)
        end = len(text) if found is None else found.start()
        if self._offset + end > self._last:
            raise self._too_long()
        if end > at:
            self._parts.append(text[at:end])
        if found is None:
            self._take = self._parts.append
            return end
        self._take = None
        if text[end] == "\\":
            decoded, after = self._escape(text, end)
            self._parts.append(decoded)
            return after
        if text[end] != '"':
            raise Wrong("a control character in a key: it must be escaped", end)
        return self._end_key(text, "".join(self._parts), end)

    def _end_key(self, text: str, key: str, end: int) -> int:
        self.path[-1] = key
        if self._unique:
            if key in self._keys[-1]:
                raise Wrong("a key that its object has already", end)
            self._keys[-1].add(key)
        if text.startswith(":", end + 1):
            self._sink.key(key)
            self._state = self._at_value
            return end + 2
        self._state = self._at_colon
        return end + 1

    def _colon(self, text: str, at: int) -> int:
        """A colon stands here."""
        if text[at] in BLANKS and (at := _BLANK(text, at).end()) == len(text):
            return at
        if text[at] != ":":
            raise Wrong("a colon is missing behind a key", at)
        self._sink.key(self.path[-1])  # type: ignore[arg-type]  # in an object it is a key
        self._state = self._at_value
        return at + 1

    def _after(self, text: str, at: int) -> int:
        """A comma or the end of a container stands here."""
        if text[at] in BLANKS and (at := _BLANK(text, at).end()) == len(text):
            return at
        is_array = self._arrays[-1]
        if text[at] == ",":
            if is_array:
                self.path[-1] += 1  # type: ignore[operator]  # an index
                self._state = self._at_value
                if len(text) - at > RUN_CHARS and self._sink.takes_many and self._sink.takes_whole:
                    return self._elements(text, at + 1)
            elif text.startswith(' "', at + 1):  # as nearly everybody writes it
                return self._opened_key(text, at + 3)
            else:
                self._state = self._begin_key
            return at + 1
        if text[at] != ("]" if is_array else "}"):
            raise Wrong(f"a comma or the end of an {'array' if is_array else 'object'} is missing", at)
        return self._end(at)

    def _string(self, text: str, at: int) -> int:
        """In a string."""
        found = _SPECIAL(text, at)
        end = len(text) if found is None else found.start()
        if self._offset + end > self._last:
            self._sink.text(text[at : self._last - self._offset])
            raise self._too_long()
        if end > at:
            self._sink.text(text[at:end])
        if found is None:
            self._take = self._sink.text
            return end
        self._take = None
        if text[end] == "\\":
            decoded, after = self._escape(text, end)
            if decoded:
                self._sink.text(decoded, text[end:after])
            return after
        if text[end] != '"':
            raise Wrong("a control character in a string: it must be escaped", end)
        self._sink.end_string()
        return self._over(end + 1)

    def _digits(self, text: str, at: int) -> int:
        """In a number. It ends with the first character that can be in none."""
        end = _DIGITS(text, at).end()
        if self._offset + end > self._last:
            raise self._too_long()
        self._parts.append(text[at:end])
        return end if end == len(text) else self._end_number(end)

    # ------------------------------------------------------------------ their parts

    def _begin_string(self, text: str, at: int) -> int:
        at += 1
        self._last = self._offset + at + self._most
        sink = self._sink
        found = _SPECIAL(text, at)
        end = len(text) if found is None else found.start()
        if self._offset + end > self._last:
            sink.begin_string()
            sink.text(text[at : self._last - self._offset])
            raise self._too_long()
        if found is not None and sink.takes_whole and text[end] == '"':
            sink.value(text[at:end])
            return self._over(end + 1)
        sink.begin_string()
        self._state = self._at_string
        if found is not None:
            return self._string(text, at)
        if end > at:
            sink.text(text[at:])
        self._take = sink.text
        return end

    def _begin(self, text: str, at: int) -> int:
        """A container begins."""
        if len(text) - at > SCAN_CHARS and self._sink.takes_whole:
            scanned = self._scanner.container(text, at, len(self.path), self._offset)
            if scanned is not None:
                self._sink.value(scanned[0])
                return self._over(scanned[1])
        if len(self.path) >= self._deepest:
            raise LimitExceeded("max_depth", self._limits.max_depth, f"at offset {self._offset + at}")
        if text[at] == "{":
            self._sink.begin_object()
            self._state = self._first_key
            self._arrays.append(False)
            self.path.append("")
            if self._unique:
                self._keys.append(set())
        else:
            self._sink.begin_array()
            self._state = self._first_item
            self._arrays.append(True)
            self.path.append(0)
            if len(text) - at > RUN_CHARS and self._sink.takes_many and self._sink.takes_whole:
                return self._elements(text, at + 1)
        return at + 1

    def _elements(self, text: str, at: int) -> int:
        """An element of an array stands here, in a long piece."""
        scanned = self._scanner.elements(text, at, len(self.path))
        if scanned is None:
            return at
        self.path[-1] += len(scanned[0]) - 1  # type: ignore[operator]  # an index
        self._sink.values(scanned[0])
        return self._over(scanned[1])

    def _end(self, at: int) -> int:
        if not self._arrays.pop() and self._unique:
            self._keys.pop()
        self.path.pop()
        self._sink.end()
        return self._over(at + 1)

    def _over(self, at: int) -> int:
        """A value is over."""
        if self.path:
            self._state = self._at_after
        else:
            self.is_complete = True
        return at

    def _literal(self, text: str, at: int) -> int:
        word, value = _LITERALS[text[at]]
        if not text.startswith(word, at):
            if word.startswith(text[at:]):
                self._half = text[at:]
                return len(text)
            raise Wrong("a value is missing", at)
        self._sink.value(value)
        return self._over(at + len(word))

    def _end_number(self, at: int) -> int:
        parts = self._parts
        written = parts[0] if len(parts) == 1 else "".join(parts)
        if self._makes_int and len(written) < SHORT_NUMBER and written.isdigit() and (written[0] != "0" or len(written) == 1):
            self._sink.value(int(written))  # most numbers
            return self._over(at)
        found = _NUMBER(written)
        if found is None:
            raise Wrong("a number that is none", at - len(written))
        limits = self._limits
        try:
            value = limits.parse_int(written) if found.lastindex == 1 else limits.parse_float(written)
        except ValueError:
            if limits.parse_int is int and found.lastindex == 1:  # Python's limit for digits, against quadratic time
                raise LimitExceeded(
                    "digits", sys.get_int_max_str_digits(), f"in the number before offset {self._offset + at}"
                ) from None
            raise
        self._sink.value(value)
        return self._over(at)

    def _escape(self, text: str, at: int) -> tuple[str, int]:
        """An escape, decoded, and up to where it goes. If it is not all there, nothing, and it is kept."""
        decoded = escape_at(text, at)
        if decoded is None:
            self._half = text[at:]
            return "", len(text)
        return decoded

    # ------------------------------------------------------------------ where

    def _count(self, text: str, at: int) -> None:
        """A piece has been read up to here."""
        lines = text.count("\n", 0, at) if at > 0 else 0  # a number may have begun before the piece, in the same line
        if lines:
            self._lines += lines
            self._line = self._offset + text.rfind("\n", 0, at) + 1
        self._offset += at

    def _place(self) -> dict[str, Any]:
        column = self._offset - self._line + 1
        return {"offset": self._offset, "line": self._lines + 1, "column": column, "path": tuple(self.path)}

    def _too_long(self) -> LimitExceeded:
        return LimitExceeded("max_string", self._most, f"what begins at offset {self._last - self._most}")
