"""`CodeFences`: fenced code as events, or in a channel of its own, while it streams; the text around it stays text.

The rules of fences are CommonMark's. A fence counts wherever it stands at the beginning of a line: lists, quotes and HTML, inside
which CommonMark reads some of them otherwise, are not looked at.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.items import Channel, Event, Item, TextDelta
from streamfilter.machine import TextMachine
from streamfilter.markup.code_lines import LINE_CHARS, OPENING, closing
from streamfilter.markup.extract_channels import Diverting, dress, leave, moved
from streamfilter.pipeline import stage

_NEWLINE = re.compile(r"\r\n?|\n")
_MAY_OPEN = re.compile(r" {0,3}(?:`{0,2}|`{3,}[^`\r\n]*|~{0,2}|~{3,}[^\r\n]*)")


@dataclass(slots=True)
class CodeStart(Event):
    """A block of code begins.

    Args:
        language: the first word behind the fence, as it stands there; empty if there is none.
        info: all that stands behind the fence, without blanks around it.

    Example:
        >>> CodeStart("python", "python title=a.py").language
        'python'
    """

    language: str
    info: str = ""


@dataclass(slots=True)
class CodeDelta(Event):
    """A piece of the code of a block.

    Args:
        text: the piece. It ends with the end of its line, if that has arrived.

    Example:
        >>> CodeDelta("a = 1").text
        'a = 1'
    """

    text: str


@dataclass(slots=True)
class CodeEnd(Event):
    """A block of code is over.

    Args:
        closed: whether a fence has closed it; else the text has ended.

    Example:
        >>> CodeEnd().closed
        True
    """

    closed: bool = True


@stage
class CodeFences(Diverting):
    r"""Give fenced code as events while it streams: `CodeStart`, `CodeDelta`s, `CodeEnd`. It applies to the answer.

    A fence is three or more backticks or tildes behind at most three spaces; it is closed by a line of the same character that
    has at least as many. The fences are deleted with their lines, and the indentation of the first is taken off the code. Line
    ends stay as they are. Nothing is held but a line that may still be a fence.

    Args:
        to: `"events"`; or the kind of channel that code goes to as text, beside the one it came in, with the same key: `CodeStart`
            and `CodeEnd` stand there too, and no match spans two blocks; or `"drop"`: nowhere.
        max_line: characters of a line that may be a fence, with what stands behind it. A longer one is none.
        channels: the kinds of channel it applies to; None is every kind but the arguments of tool calls.

    Raises:
        ValueError: the arguments of tool calls are named: they are JSON.

    Example:
        >>> import streamfilter as sf
        >>> for item in sf.CodeFences().iter(["So:\n``", "`py\na = ", "1\n``", "`\nDone."]):
        ...     print(repr(item) if isinstance(item, str) else item)
        'So:\n'
        CodeStart(scope=..., boundary=False, language='py', info='py')
        CodeDelta(scope=..., boundary=False, text='a = ')
        CodeDelta(scope=..., boundary=False, text='1\n')
        CodeEnd(scope=..., boundary=False, closed=True)
        'Done.'
    """

    to: Annotated[str, Field(min_length=1)] = dataclasses.field(default="events", kw_only=True)
    max_line: Annotated[int, Field(ge=3)] = dataclasses.field(default=LINE_CHARS, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, to: str = ..., max_line: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    @property
    def beside(self) -> str | None:
        return None if self.to in ("events", "drop") else self.to

    def start(self, context: Context | None = None) -> TextMachine:
        return _Fences(self)

    def holds(self) -> str:
        return holding("a line that may be a fence", self.max_line)


class _Fences(TextMachine):
    def __init__(self, stage: CodeFences) -> None:
        self._to = stage.to
        self._max = stage.max_line
        self._is_rest = False  # of a line that is no fence
        self._closing: re.Pattern[str] | None = None  # of the open block
        self._may_close = _MAY_OPEN
        self._indent = 0
        self._is_cut = False  # a fence ended with a carriage return: a line feed behind it is part of that
        self._piece: Callable[[str, object], Item] | None = None

    def feed(self, text: str) -> None:
        if self._is_rest and "\n" not in text and "\r" not in text:
            self._let(len(text))
            if self._closing is None:
                self.hold.stops = _NEWLINE.search
        else:
            self._scan(is_over=False)

    def finish(self) -> None:
        self._scan(is_over=True)
        if self._closing is not None:
            self._end(0, is_closed=False)

    def _scan(self, *, is_over: bool) -> None:
        hold = self.hold
        buf = hold.buf
        at = hold.pos
        if self._is_cut and at < len(buf):
            self._is_cut = False
            if buf[at] == "\n":
                hold.replace(1, "")
                at += 1
        while at < len(buf):
            newline = _NEWLINE.search(buf, at)
            stop = len(buf) if newline is None else newline.start()
            end = len(buf) if newline is None else newline.end()
            if not self._is_rest:
                if stop - at <= self._max:
                    if newline is None and not is_over:
                        if (_MAY_OPEN if self._closing is None else self._may_close).fullmatch(buf, at, stop):
                            break
                    elif self._is_fence(at, stop, end):
                        at = end
                        continue
                if self._indent and self._closing is not None:
                    at = self._outdent(at)
            self._is_rest = newline is None
            at = end
        self._let(at - hold.pos)

    def _is_fence(self, at: int, stop: int, end: int) -> bool:
        """Look at a whole line, and take it out if it is a fence."""
        hold = self.hold
        if self._closing is not None:
            if not self._closing.fullmatch(hold.buf, at, stop):
                return False
            self._let(at - hold.pos)
            self._end(end - at, is_closed=True)
        else:
            found = OPENING.fullmatch(hold.buf, at, stop)
            if found is None:
                return False
            self._let(at - hold.pos)
            self._open(found, end - at)
        self._is_cut = end == len(hold.buf) and hold.buf.endswith("\r", at)
        return True

    def _open(self, found: re.Match[str], n: int) -> None:
        fence = found[1] or found[3]
        info = (found[2] or found[4] or "").strip(" \t")
        self._closing = closing(fence)
        self._may_close = re.compile(rf" {{0,3}}{fence[0]}{{0,{len(fence) - 1}}}|{self._closing.pattern}")
        self._indent = len(found[0]) - len(found[0].lstrip(" "))
        self._stand_in(CodeStart(re.split("[ \t]", info, maxsplit=1)[0], info), n)

    def _end(self, n: int, *, is_closed: bool) -> None:
        self._closing = None
        self._indent = 0
        self._stand_in(CodeEnd(is_closed, boundary=self._to != "events"), n)

    def _stand_in(self, event: Event, n: int) -> None:
        """The event leaves in place of a line; events that stood in it follow."""
        hold = self.hold
        if self._to == "drop":
            hold.replace(n, "")
            return
        out = hold.out
        before = len(out)
        hold.keep(n)
        line = out[before:]
        event.scope = hold.channel if self._to == "events" else Channel(self._to, hold.channel.key)
        event.origin = next((item.origin for item in line if isinstance(item, TextDelta)), None)
        out[before:] = [event, *(item for item in line if not isinstance(item, str | TextDelta))]

    def _outdent(self, at: int) -> int:
        """Take the indentation of the fence off a line of code. A tab that reaches beyond it leaves the rest of its columns."""
        hold = self.hold
        buf = hold.buf
        stop = at
        while stop < at + self._indent and stop < len(buf) and buf[stop] == " ":
            stop += 1
        spaces = ""
        if stop < at + self._indent and buf[stop : stop + 1] == "\t":
            stop += 1
            spaces = " " * (4 - self._indent)
        if stop > at:
            self._let(at - hold.pos)
            before = len(hold.out)
            hold.replace(stop - at, "" if self._to == "drop" else spaces)
            dress(hold.out, before, self._made())
        return stop

    def _let(self, n: int) -> None:
        """Let text leave, or code."""
        hold = self.hold
        if not n:
            return
        if self._closing is None:
            hold.keep(n)
        elif self._to == "drop":
            hold.replace(n, "")
        else:
            leave(hold, n, self._made())

    def _made(self) -> Callable[[str, object], Item]:
        """What a piece of code becomes."""
        if self._piece is None:
            channel = self.hold.channel
            if self._to == "events":
                self._piece = lambda text, origin: CodeDelta(text, scope=channel, origin=origin)
            else:
                self._piece = moved(Channel(self._to, channel.key))
        return self._piece
