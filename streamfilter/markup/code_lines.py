"""Which lines open and close fenced code, and where in a text there is code, found while it arrives.

The rules of fences are CommonMark's (https://spec.commonmark.org/0.31.2/#fenced-code-blocks), for fences that stand in no list, no
quote and no HTML. What is done with code is not known here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from operator import itemgetter

LINE_CHARS = 1000
"""Characters of a line that may open or close a block, and of a code span: what is longer is neither. Until its end is seen a line
that looks like a fence is held; information strings are a few words."""

SETTLE_CHARS = 4096
"""Characters that a `CodeMap` piles up before it reads them: in pieces of a few characters, reading costs more than keeping."""

OPENING = re.compile(r" {0,3}(?:(`{3,})([^`\r\n]*)|(~{3,})([^\r\n]*))")
"""A line that opens a block, without its end. The information of a fence of backticks has none in it."""

_NEWLINE = re.compile(r"[\r\n]")
_HEAD = re.compile(r" {0,3}(?:`{3,}[^`\r\n]*|~{3,}[^\r\n]*)")
_BEGUN = re.compile(r" {0,3}(?:`*|~*)\Z")
_MARK = re.compile(r"`+|[\r\n]")
_end = itemgetter(1)


def closing(fence: str) -> re.Pattern[str]:
    """What matches a line that closes a block, without its end.

    Example:
        >>> [bool(closing("~~~").fullmatch(line)) for line in ("~~~~ ", "   ~~~", "~~", "```", "    ~~~", "~~~ a")]
        [True, True, False, False, False, False]
    """
    return re.compile(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*")


class CodeMap:
    """Where in a text there is code: in fenced blocks, and in spans between two runs of equally many backticks in one line.

    All text is read, from its first character. It is linear: backticks that nothing closes have each another length, so that within
    `LINE_CHARS` there are few. What is remembered is bounded if the places asked for go on.

    Example:
        >>> code = CodeMap()
        >>> code.feed("a `b` c `d", 0)
        >>> [code.at(place) for place in (0, 3, 6, 9)]
        [False, True, False, None]
    """

    def __init__(self) -> None:
        self._text = ""  # of which it is not known yet whether it is code
        self._more: list[str] = []  # what follows it, and has not been read
        self._base = 0  # where it begins
        self._code: list[tuple[int, int]] = []  # from and to, in order
        self._fence: re.Pattern[str] | None = None  # what closes the open block
        self._since = 0  # where that block began
        self._is_head = True  # whether the text begins with a line
        self._is_open = False  # whether it begins with backticks or a line that may be code or not
        self._is_long = False  # whether the text so far ends with too many backticks
        self._most = 0  # so much of the text may be looked at for that
        self.fed: int = 0

    def feed(self, text: str, first: int) -> None:
        """Take in more of the text. No place before `first` will be asked for."""
        self.fed += len(text)
        self._more.append(text)
        if self.fed > self._base + SETTLE_CHARS:
            self._settle()
            del self._code[: bisect_right(self._code, first, key=_end)]

    def at(self, place: int) -> bool | None:
        """Whether there is code at a place in the text; None if that is not known yet."""
        self._settle()
        after = bisect_right(self._code, place, key=_end)
        if after < len(self._code) and self._code[after][0] <= place:
            return True
        if self._fence is not None and place >= self._since:
            return True
        return None if self._is_open and place >= self._base else False

    @property
    def deadline(self) -> int:
        """With so many characters of the text it is known, at the latest, what is not known now."""
        return self._base + self._most + 1

    def finish(self) -> None:
        """The text has ended: backticks that nothing has closed are no code."""
        self._settle(is_over=True)

    def _settle(self, *, is_over: bool = False) -> None:
        if self._more:
            self._text += "".join(self._more)
            self._more.clear()
        text = self._text
        at = 0
        self._is_open = False
        while at < len(text):
            end = self._line(text, at, is_over) if self._is_head or self._fence is not None else self._span(text, at, is_over)
            if end is None:
                break
            at = end
        self._text = text[at:]
        self._base += at

    def _line(self, text: str, at: int, is_over: bool) -> int | None:
        """Read what is decided by lines, and give its end; None if more of the text is needed."""
        newline = _NEWLINE.search(text, at)
        end = len(text) if newline is None else newline.start()
        is_whole = newline is not None or is_over
        if not self._is_head or end - at > LINE_CHARS:  # the rest of a line in a block, or one that is too long for a fence
            self._is_head = self._fence is not None and newline is not None
            return at if self._fence is None else end + (newline is not None)
        if self._fence is not None:
            if not is_whole:
                return None
            if self._fence.fullmatch(text, at, end):
                self._fence = None
                self._code.append((self._since, self._base + end))
            return end + (newline is not None)
        if (_HEAD.fullmatch(text, at, end) or _BEGUN.match(text, at, end)) and not is_whole:
            self._wait(at, at + LINE_CHARS)
            return None
        if found := OPENING.fullmatch(text, at, end):
            self._fence = closing(found[1] or found[3])
            self._since = self._base + at
            return end + (newline is not None)
        self._is_head = False
        return at

    def _span(self, text: str, at: int, is_over: bool) -> int | None:
        """Read up to the next end of a line, or behind a run of backticks and what it opens."""
        mark = _MARK.search(text, at)
        if mark is None:
            self._is_long = False
            return len(text)
        begin, end = mark.span()
        if mark[0][0] == "`" and (end - begin > LINE_CHARS or (self._is_long and begin == at)):
            self._is_long = True  # so many backticks open nothing, and what follows right behind is more of them
            return end
        self._is_long = False
        if mark[0] in "\r\n":
            self._is_head = True
            return end
        most = end + LINE_CHARS
        is_known = is_over or len(text) > most
        for other in _MARK.finditer(text, end, most + 1):
            if other[0] in "\r\n":
                is_known = True
                break
            if len(other[0]) == end - begin and other.end() <= most and (other.end() < len(text) or is_over):
                self._code.append((self._base + begin, self._base + other.end()))
                return other.end()
        if is_known:
            return end
        if begin > at:
            return begin
        self._wait(begin, most)
        return None

    def _wait(self, at: int, most: int) -> None:
        self._is_open = True
        self._most = most - at
