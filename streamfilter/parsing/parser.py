"""The incremental parser: JSON text in, in any pieces; what it says out, to a sink, as soon as it is certain.

It keeps no text: of what has arrived only an unfinished key, number, literal or escape is remembered. There is no recursion, so
depth costs memory only. Containers and strings that are complete in one piece go through the C scanner of the standard library,
if the sink takes them whole. What is built of it all, and what stands around a document, is not known here.

The grammar is written as generators that are sent the pieces, and go on where they waited for more: what is between two characters
then stands in local variables, which takes half the time of states and methods.

The grammar is that of RFC 8259, as `json.loads` reads it, without NaN and Infinity.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Generator
from functools import cached_property
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
_Read: TypeAlias = Generator[None, str, tuple[str, int]]
"""Takes a text from a place on, is sent the next when that is all read, and gives the text in which it stopped, and where."""

_Match: TypeAlias = Callable[..., re.Match[str]]
_BLANKS = cast("_Match", re.compile(r"[ \t\n\r]*").match)  # always matches, as does the next
_DIGITS = cast("_Match", re.compile(r"[-+.eE0-9]*").match)
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?").fullmatch
_BEGUN = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.(?:[0-9]+(?:[eE][-+]?[0-9]*)?)?|[eE][-+]?[0-9]*)?)?").fullmatch  # a beginning
_VALUE, _AFTER, _KEY, _FIRST = range(4)  # what stands at a place, but for blanks
_BEGINNING = Position()
_LITERALS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_TAKEN_FOR_VALUES = {
    "\ufeff": ": a byte order mark is none",
    "N": ": NaN is none, and None is written null",
    "I": ": Infinity is none",
    "T": ": true is written in small letters",
    "F": ": false is written in small letters",
    "'": ": double quotation marks stand around a string",
}
"""What often stands where a value is missing, by its first character."""


class Parser:
    """One document.

    Args:
        sink: is told what the text says.
        limits: what is taken.
        position: where the document begins.

    Attributes:
        path: where the parser is: for each open container the key or the index of what stands or will stand next in it.
        is_complete: whether the document is over. What follows it was not taken.
        end: the offset behind what was taken.
        take: in a string or a key that goes on, what takes a piece of it in which nothing is escaped or special. Whoever feeds the
            parser may give it that and move `end`, which is quick, as long as that is not behind `last`.
        last: the offset up to which the open string or key may go.

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
        self.is_complete: bool = False
        self._sink = sink
        self._limits = limits = limits or Limits()
        self._most = limits.max_string
        self._arrays: list[bool] = []  # of the open containers, which are
        self._keys: list[set[str]] | None = [] if limits.duplicates == "raise" else None  # of the open objects
        self._digits: list[str] = []  # of a number that may go on
        self.take: Callable[[str], Any] | None = None
        self.last: int = 0
        self.end: int
        self.end, self._lines, self._line = position or _BEGINNING
        self._offset = self.end  # where the text begins that is read: with the piece, or with what was left of those before it
        self._grammar = grammar = self._read()
        next(grammar)
        self._send = grammar.send

    def feed(self, text: str) -> int:
        """Take in a piece. Gives how much of it belongs to the document: all, unless that is over.

        Raises:
            MalformedInput: it is no JSON.
            LimitExceeded: it is more than the limits allow.
            ValueError: an error has ended it before.
        """
        begin = self._offset = self.end
        try:
            self._send(text)
        except StopIteration as over:
            if over.value is not None:
                self.is_complete = True
                self.end = self._offset + over.value
            elif not self.is_complete:  # a generator that has raised says no more
                raise ValueError("fed behind an error") from None
            return self.end - begin
        except Wrong as wrong:
            self.end = self._offset + wrong.at
            raise MalformedInput(wrong.problem, **self._place()) from None
        self.end = begin + len(text)
        return len(text)

    def leave(self) -> None:
        """Nothing more will be fed: without this, all that was built would be gone only when the garbage collector comes."""
        with contextlib.suppress(ValueError):  # it may be at work: what makes a value may have left the stream
            self._grammar.close()

    @property
    def position(self) -> Position:
        """Behind what was taken."""
        return Position(self.end, self._lines, self._line)

    def finish(self) -> None:
        """The text ends here.

        Raises:
            TruncatedInput: the document is not over.
            MalformedInput: what it ends with cannot be continued to JSON.
        """
        written = "".join(self._digits)
        if written and not self.path and _NUMBER(written):
            self.feed(" ")  # which belongs to nothing
        elif not _BEGUN(written):
            self.end -= len(written)  # where it begins, as where something follows it
            raise MalformedInput("a number that is none", **self._place())
        if not self.is_complete:
            raise TruncatedInput("the text ends inside the document", **self._place())

    # ------------------------------------------------------------------ the grammar

    def _read(self) -> Generator[None, str, int]:
        """A document. Gives up to where it goes in the last text."""
        path, arrays = self.path, self._arrays
        text, at, here = (yield), 0, _VALUE
        while True:
            while at == len(text):
                text, at = (yield), 0
            first = text[at]
            if first <= " " and first in BLANKS:
                at = at + 1 if first == " " else self._counted(text, at, _BLANKS(text, at).end())
            elif here == _VALUE:
                if len(text) - at > SCAN_CHARS and (end := self._scanned(text, at)):
                    at = end
                elif first == '"':
                    text, at = yield from self._string(text, at + 1)
                elif first in "{[":
                    self._begin(first, at)
                    at += 1
                    here = _FIRST
                    continue
                elif first in _LITERALS:
                    text, at = yield from self._literal(text, at)
                else:
                    text, at = yield from self._number(text, at)
                if not path:
                    return at
                here = _AFTER
            elif here == _AFTER:
                if first == ",":
                    at += 1
                    here = _KEY
                    if arrays[-1]:
                        path[-1] += 1  # type: ignore[operator]  # an index
                        here = _VALUE
                else:
                    self._ended(first, at)
                    at += 1
                    if not path:
                        return at
            elif here == _KEY:
                text, at = yield from self._key(text, at)
                here = _VALUE
            else:  # a container has just begun
                here = _AFTER if first == "}]"[arrays[-1]] else _VALUE if arrays[-1] else _KEY

    def _more(self, text: str, at: int) -> Generator[None, str, str]:
        """The same text with more behind it, from a place on: what stands there is not all there yet."""
        left = text[at:]
        text = yield
        self._offset -= len(left)
        return left + text

    def _key(self, text: str, at: int) -> _Read:
        """A key, with its colon."""
        if text[at] != '"':
            raise Wrong("a key is missing", at)
        at += 1
        last = self._offset + at + self._most
        before: list[str] = []
        while True:
            found = _SPECIAL(text, at)
            end = len(text) if found is None else found.start()
            if self._offset + end > last:
                raise self._too_long(last)
            if found is None:
                before.append(text[at:])
                self.take, self.last = before.append, last
                text, at = (yield), 0
                self.take = None
            elif text[end] == '"':
                break
            else:
                before.append(text[at:end])
                text, at, decoded, _ = yield from self._escape(text, end, "key")
                before.append(decoded)
        key = self.path[-1] = f"{''.join(before)}{text[at:end]}" if before else text[at:end]
        if self._keys is not None:
            if key in self._keys[-1]:
                raise Wrong("a key that its object has already", end)
            self._keys[-1].add(key)
        at = end + 1
        while at == len(text) or text[at] != ":":
            if at == len(text):
                text, at = (yield), 0
            elif text[at] in BLANKS:
                at = self._counted(text, at, _BLANKS(text, at).end())
            else:
                raise Wrong("a colon is missing behind a key", at)
        self._sink.key(key)
        return text, at + 1

    def _string(self, text: str, at: int) -> _Read:
        """A string, from behind its quotation mark on."""
        sink = self._sink
        last = self._offset + at + self._most
        found = _SPECIAL(text, at)
        end = len(text) if found is None else found.start()
        if found is not None and text[end] == '"' and self._offset + end <= last and sink.takes_whole:
            sink.value(text[at:end])
            return text, end + 1
        sink.begin_string()
        while True:
            if self._offset + end > last:
                if at < last - self._offset:
                    sink.text(text[at : last - self._offset])
                raise self._too_long(last)
            if end > at:
                sink.text(text[at:end])
            if found is None:
                self.take, self.last = sink.piece, last
                text, at = (yield), 0
                self.take = None
            elif text[end] == '"':
                sink.end_string()
                return text, end + 1
            else:
                text, at, decoded, raw = yield from self._escape(text, end, "string")
                sink.text(decoded, raw)
            found = _SPECIAL(text, at)
            end = len(text) if found is None else found.start()

    def _escape(self, text: str, at: int, where: str) -> Generator[None, str, tuple[str, int, str, str]]:
        """An escape: what it says, and how it was written."""
        if text[at] != "\\":
            raise Wrong(f"a control character in a {where}: it must be escaped", at)
        while (escape := escape_at(text, at)) is None:
            text, at = (yield from self._more(text, at)), 0
        decoded, end = escape
        return text, end, decoded, text[at:end]

    def _literal(self, text: str, at: int) -> _Read:
        """True, false or null."""
        word, value = _LITERALS[text[at]]
        while not text.startswith(word, at):
            if not word.startswith(text[at:]):
                raise Wrong("a value is missing", at)
            text, at = (yield from self._more(text, at)), 0
        self._sink.value(value)
        return text, at + len(word)

    def _number(self, text: str, at: int) -> _Read:
        """A number. It ends with the first character that can be in none."""
        if text[at] not in "-0123456789":
            raise Wrong(f"a value is missing{_TAKEN_FOR_VALUES.get(text[at], '')}", at)
        last = self._offset + at + self._most
        while True:
            end = _DIGITS(text, at).end()
            if self._offset + end > last:
                raise self._too_long(last)
            if end < len(text):
                break
            self._digits.append(text[at:])
            text, at = (yield), 0
        written = text[at:end]
        if self._digits:
            written = f"{''.join(self._digits)}{written}"
            self._digits.clear()
        self._sink.value(self._made(written, end))
        return text, end

    # ------------------------------------------------------------------ its parts

    def _begin(self, bracket: str, at: int) -> None:
        """A container begins."""
        if len(self.path) >= self._limits.max_depth:
            raise LimitExceeded("max_depth", self._limits.max_depth, f"at offset {self._offset + at}")
        is_array = bracket == "["
        self._arrays.append(is_array)
        if is_array:
            self._sink.begin_array()
            self.path.append(0)
            return
        self._sink.begin_object()
        self.path.append("")
        if self._keys is not None:
            self._keys.append(set())

    def _ended(self, bracket: str, at: int) -> None:
        """The innermost container ends, if it is of this kind."""
        is_array = self._arrays[-1]
        if bracket != "}]"[is_array]:
            raise Wrong(f"a comma or the end of an {'array' if is_array else 'object'} is missing", at)
        self._arrays.pop()
        self.path.pop()
        if self._keys is not None and not is_array:
            self._keys.pop()
        self._sink.end()

    def _scanned(self, text: str, at: int) -> int:
        """What begins here and is complete in this piece, through the C scanner: up to where it goes, or 0."""
        sink, path = self._sink, self.path
        if not sink.takes_whole:
            return 0
        if sink.takes_many and path and self._arrays[-1] and len(text) - at > RUN_CHARS:
            run = self._scanner.elements(text, at, len(path))
            if run is not None:
                path[-1] += len(run[0]) - 1  # type: ignore[operator]  # an index
                sink.values(run[0])
                return self._counted(text, at, run[1])
        scanned = self._scanner.container(text, at, len(path), self._offset) if text[at] in "{[" else None
        if scanned is None:
            return 0
        sink.value(scanned[0])
        return self._counted(text, at, scanned[1])

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(self._limits)

    def _made(self, written: str, at: int) -> Any:
        """What is made of a number that ends at this place."""
        limits = self._limits
        if (
            limits.parse_int is int
            and len(written) < SHORT_NUMBER
            and written.isdigit()
            and (written[0] != "0" or len(written) == 1)
        ):
            return int(written)  # most numbers
        found = _NUMBER(written)
        if found is None:
            raise Wrong("a number that is none", at - len(written))
        try:
            return limits.parse_int(written) if found.lastindex == 1 else limits.parse_float(written)
        except ValueError:
            if limits.parse_int is int and found.lastindex == 1:  # Python's limit for digits, against quadratic time
                raise LimitExceeded(
                    "digits", sys.get_int_max_str_digits(), f"in the number before offset {self._offset + at}"
                ) from None
            raise

    # ------------------------------------------------------------------ where

    def _counted(self, text: str, at: int, end: int) -> int:
        """The same end of what has been read from a place on, after its lines have been counted. Only blanks have any."""
        lines = text.count("\n", at, end)
        if lines:
            self._lines += lines
            self._line = self._offset + text.rfind("\n", at, end) + 1
        return end

    def _place(self) -> dict[str, Any]:
        column = self.end - self._line + 1
        return {"offset": self.end, "line": self._lines + 1, "column": column, "path": tuple(self.path)}

    def _too_long(self, last: int) -> LimitExceeded:
        return LimitExceeded("max_string", self._most, f"what begins at offset {last - self._most}")
