"""The inside of one paragraph or heading: how much of its text nothing that follows can change.

It is fed the text without the marks of quotes and lists, and knows neither lines nor blocks. What it takes in is scanned once, from
left to right, as CommonMark's algorithm does it: a stack of brackets, a list of delimiters that may still open emphasis. What
stands before the first bracket or delimiter that is still open, and before what is scanned, is settled.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Any, cast

from streamfilter.markup.markdown_emphasis import FLANKS, KINDS, Delimiter, Question, pair
from streamfilter.markup.markdown_names import Names
from streamfilter.markup.markdown_tokens import (
    NOT,
    OPEN,
    PUNCTUATION,
    angle,
    definition,
    entity,
    is_labelled,
    label,
    link_tail,
    normal,
    title,
)

_SPECIAL = re.compile(r"\*\**|__*|~~*|`|\[|\]|!|<|&|\\|\^").search
"""Where a construct begins, and how far a run of delimiters goes."""

_BACKTICKS = re.compile(r"`+")
_IN_TARGET = re.compile(r"[^\x00-\x20\x7f()\\|<][^\x00-\x20\x7f()\\|]*")
_NO_TARGET = re.compile(r"[\x00-\x20\x7f()\\|]")
_NO_CODE = re.compile(r"[\n`|]")
_MARKS = re.compile(r"[\n`*_~\[\]!<&\\|^]")
_NONE = cast("list[Any]", ())  # nothing is put there but while something is scanned


@dataclass(slots=True)
class _Bracket:
    at: int
    inner: int  # where its text begins
    first: int  # how many delimiters stood before it
    kind: str  # "link", "image" or "note"
    is_active: bool = True


class Inline:
    """The text of one block.

    Attributes:
        text: what has been fed and not taken.
        before: the character before it.
        shift: characters that were fed before `text`, and taken.
        mode: "text", when that has begun; before it "start" and "title": a definition of a link, or its title, may come.
        is_idle: whether nothing is waited for: all that was fed can be taken.
        awaits: text without any of this settles nothing, nor does it end the line; None where that may be.
    """

    __slots__ = ("_active", "_at", "_brackets", "_chain", "_decides", "_delimiters", "_floors", "_frozen", "_is_clear", "_names",
                 "_seams", "_sought", "awaits", "before", "is_idle", "mode", "shift", "text")  # fmt: skip

    def __init__(self, names: Names) -> None:
        self._names = names
        self._clear()
        self.reset(may_define=False)

    def reset(self, *, may_define: bool, before: str = "\n") -> None:
        """Another block begins; a paragraph may begin with definitions of links. Or: nothing before this counts any more."""
        self.text: str = ""
        self.before: str = before
        self.is_idle: bool = True
        self.awaits: re.Pattern[str] | None = None
        self.mode = "start" if may_define else "text"
        self.shift: int = 0
        if not self._is_clear:
            self._clear()

    def _clear(self) -> None:
        self._is_clear = True  # there was nothing to scan since, so that the lists are not there
        self._at = 0  # so many characters of the text are scanned
        self._decides: re.Pattern[str] | None = None  # without one of these what is open stays so
        self._sought = 0  # the end of a code span is not before this
        self._brackets: list[_Bracket] = _NONE
        self._active = 0  # of these
        self._delimiters: list[Delimiter] = _NONE
        # Where the text may not end that has left, from the first to behind the second: without what follows it would mean another
        # thing there.
        self._seams: list[tuple[int, int]] = _NONE
        self._frozen: int | None = None  # nothing from here on is settled before the block ends
        self._chain = (-1, 0)  # a bracket here may be the label of a link that begins there

    def _begin(self) -> None:
        """There is something to scan, which most blocks do not have."""
        self._is_clear = False
        self._brackets, self._delimiters, self._seams = [], [], []
        self._floors: dict[Question, int] = {}

    def seal(self, chars: int) -> None:
        """Of the next characters that are fed all are to be taken at once, or none."""
        self._seam(self.shift, self.shift + len(self.text) + chars - 1)

    def feed(self, text: str) -> int:
        """Take text in; give how many characters are settled. They are no longer in `text`."""
        if self._decides is not None and self._decides.search(text) is None:
            self.text += text
            return 0
        if self.text:
            text = self.text + text
        self.text = text
        done = 0
        if self.mode != "text":
            if self.mode == "start" and text[0] != "[":
                self.mode = "text"
            else:
                done = self._definitions()
                text = self.text
                if self.mode != "text" or not text:
                    return done
        size = len(text)
        found = _SPECIAL(text, self._at)
        self._decides = None
        settled = at = self._at = size if found is None else self._scan(found)
        if self._active or self._delimiters or self._frozen is not None:
            settled = self._open_from(self.shift + at) - self.shift
        if self._seams:
            settled = self._sewn(settled)
        if settled == size:
            self.awaits = None
            self.is_idle = True
            self.before = text[-1]
            self.text = ""
            self._at = self._sought = 0
            self.shift += size
            return done + size
        self.is_idle = False
        if self._decides is not None:
            self.awaits = _NO_TARGET if self._decides is _NO_TARGET else _NO_CODE
        elif at == size and not self._seams:
            self.awaits = _MARKS  # something is open, nothing else stands before that, and all is scanned
        else:
            self.awaits = None
        if settled:
            self._take(settled)
        return done + settled

    def extend(self, text: str) -> None:
        """What `feed` does with text that has nothing of what is awaited: nothing of it is settled."""
        self.text += text
        if self._decides is None:
            self._at += len(text)

    def _sewn(self, settled: int) -> int:
        """Not so much that it would end in a seam."""
        for start, end in self._seams:
            if start - self.shift < settled <= end - self.shift:
                settled = start - self.shift
        self._seams = [each for each in self._seams if each[1] - self.shift >= settled]
        return settled

    def _open_from(self, place: int) -> int:
        """Where the first thing stands that is open, if it is before that place."""
        if self._delimiters and self._delimiters[0].at < place:
            place = self._delimiters[0].at
        if self._active:
            for each in self._brackets:
                if each.is_active:
                    place = min(place, each.at)
                    break
        return place if self._frozen is None else min(place, self._frozen)

    def _seam(self, start: int, end: int) -> None:
        """Add one. What is open around its beginning belongs to it, and those that touch are one: a text may end before them."""
        if self._is_clear:
            self._begin()
        start = self._open_from(start)
        seams = self._seams
        while seams and seams[-1][1] >= start:
            start = min(start, seams.pop()[0])
        seams.append((start, end))

    def _take(self, count: int) -> None:
        self.before = self.text[count - 1]
        self.text = self.text[count:]
        self._at = max(0, self._at - count)
        self._sought = max(0, self._sought - count)
        self.shift += count

    # ------------------------------------------------------------------ definitions

    def _definitions(self) -> int:
        """Read definitions up to the first that is not complete, or where text begins; give the characters of the complete ones."""
        done = 0
        self.awaits = None
        while self.mode != "text":
            step = self._define()
            if step == OPEN:
                self.is_idle = False
                break
            done += step
            if not self.text:
                self.is_idle = True
                break
        return done

    def _define(self) -> int:
        """Read a definition, or the title of one; give its characters, or OPEN."""
        text = self.text
        if not text:
            return OPEN
        if self.mode == "title":
            end = title(text, 0) if text[0] in "\"'(" else NOT
            self.mode = "title" if end == OPEN else "start"
            if end == NOT:
                return 0
        else:
            end, name, may_follow = definition(text) if text[0] == "[" else (NOT, "", False)
            if end == NOT:
                self.mode = "text"
                if text[0] == "[" and is_labelled(text):
                    # Without what says that it is none, it would be one.
                    stop = bisect_left(range(len(text)), True, key=lambda chars: definition(text[:chars])[0] == NOT)
                    self._seam(self.shift, self.shift + stop - 1)
                return 0
            if end != OPEN:
                self._names.add("link", name)
                self.mode = "title" if may_follow else "start"
        if end != OPEN:
            self._take(end)
            self._at = 0
        return end

    # ------------------------------------------------------------------ scanning

    def _scan(self, first: re.Match[str]) -> int:
        """Scan on, from what was found first; give up to where."""
        if self._is_clear:
            self._begin()
        text = self.text
        found: re.Match[str] | None = first
        while found is not None:
            at = found.start()
            mark = text[at]
            if mark in "*_~":
                end = self._run(at, found.end())
            elif mark == "[":
                end = self._open(at, at + 1, "link")
            elif mark == "]":
                end = self._close(at)
            elif mark == "<":
                end = angle(text, at)
            elif mark == "&":
                end = entity(text, at)
            elif mark == "`":
                end = self._code(at)
            elif at + 1 == len(text):
                end = OPEN
            elif mark == "\\":
                end = self._escape(at)
            else:
                end = self._open(at, at + 2, "image" if mark == "!" else "note") if text[at + 1] == "[" else at + 1
            if end == OPEN:
                return at
            found = _SPECIAL(text, at + 1 if end == NOT else end)
        return len(text)

    def _escape(self, at: int) -> int:
        text = self.text
        if text[at + 1] in "\r\n":
            return self._break(at)
        if text[at + 1] == "\\" and at + 2 == len(text):
            return OPEN  # in the head of a table it would escape a pipe
        return at + 2 if text[at + 1] in PUNCTUATION else at + 1

    def _code(self, at: int) -> int:
        text = self.text
        found = _BACKTICKS.match(text, at)
        end = found.end() if found else at
        if end == len(text):
            return OPEN
        for run in _BACKTICKS.finditer(text, max(end, self._sought)):
            if run.end() == len(text):
                self._sought = run.start()
                return OPEN
            if run.end() - run.start() == end - at:
                self._sought = 0
                return run.end()
        self._sought = len(text)
        self._decides = _BACKTICKS
        return OPEN

    def _run(self, at: int, end: int) -> int:
        """A run of delimiters: flanking decides what it can do."""
        text = self.text
        if end == len(text):
            return OPEN
        mark, count = text[at], end - at
        if mark == "~" and count < 2:
            return end
        before, after = text[at - 1] if at else self.before, text[end]
        opens, closes = FLANKS[mark][KINDS[before]][KINDS[after]]
        if not (opens or closes):
            return end
        openers = self._delimiters
        if closes and not opens and openers and not self._active:
            last = openers[-1]
            if last.mark == mark and last.left == count and not last.closes and mark != "~":
                openers.pop()  # the usual case of what `pair` does: an emphasis is complete
                return end
        size = count
        start = self.shift + at
        if mark == "~":
            start += size % 2
            count //= 2
        new = Delimiter(start, mark, count, size, opens, closes)
        if self._active or not closes:
            openers.append(new)  # in a bracket: whether that is a link decides what this can close
        else:
            self._pair(new)
        return end

    def _pair(self, new: Delimiter) -> None:
        end = new.at + (new.left * 2 if new.mark == "~" else new.left)
        start = pair(self._delimiters, new, self._floors)
        if new.opens and start < new.at:
            self._seam(start, end)  # where nothing follows, it can only close: that changes which openers fit

    def _break(self, at: int) -> int:
        """A backslash at the end of a line is a break only if text follows: the next line may begin as a block does."""
        text = self.text
        line = at + (2 if text[at + 1] == "\n" else 3)
        if len(text) <= line:
            return OPEN
        if text[line - 1] != "\n":
            return at + 1
        stop = text.find("\n", line)
        self._seam(self.shift + at, self.shift + (stop if stop >= 0 else len(text)))
        return line

    # ------------------------------------------------------------------ brackets

    def _open(self, at: int, inner: int, kind: str) -> int:
        here = self.shift + at
        start = self._chain[1] if self._chain[0] == here and kind == "link" else here
        self._brackets.append(_Bracket(start, self.shift + inner, len(self._delimiters), kind))
        self._active += 1
        return inner

    def _close(self, at: int) -> int:
        if not self._brackets:
            return at + 1
        opener = self._brackets[-1]
        if not opener.is_active:
            self._brackets.pop()
            return at + 1
        end = self._link_end(opener, at)
        if end == OPEN:
            return OPEN
        self._brackets.pop()
        self._active -= 1
        if end != NOT:
            del self._delimiters[opener.first :]  # they have no say outside of it
            if opener.kind == "link":
                for each in self._brackets:
                    if each.kind == "link" and each.is_active:
                        each.is_active = False  # no link stands in a link
                        self._active -= 1
        if not self._active:
            # No bracket that can still become anything divides the delimiters behind the first of these.
            first = self._brackets[0].first if self._brackets else opener.first
            if end == NOT or self._brackets:
                self._settle(first, opener.at if end == NOT else None)
            self._brackets.clear()  # an inactive one closes to nothing, as no bracket does
        return at + 1 if end == NOT else end

    def _settle(self, first: int, doubtful: int | None) -> None:
        """No link divides the delimiters from here on. But a definition may still come that makes one of a doubtful bracket."""
        waiting = self._delimiters[first:]
        del self._delimiters[first:]
        if waiting and doubtful is not None and self._frozen is None:
            inside: list[Delimiter] = []
            floors: dict[Question, int] = {}
            is_left = False
            for each in waiting:
                copy = replace(each)
                pair(inside, copy, floors)
                is_left |= copy.left > 0
            if is_left:
                self._frozen = min([doubtful, *(each.at for each in (*self._delimiters[:1], waiting[0]))])
        for each in waiting:
            self._pair(each)

    def _link_end(self, opener: _Bracket, at: int) -> int:
        """Where what the bracket opens ends; NOT if it opens nothing."""
        text = self.text
        inner = text[opener.inner - self.shift : at]
        if opener.kind == "note":
            return at + 1
        if at + 1 == len(text):
            return OPEN
        name, end = inner, at + 1
        if text[at + 1] == "(":
            tail = link_tail(text, at + 1)
            if tail != NOT:
                if tail == OPEN and _IN_TARGET.fullmatch(text, at + 2):
                    self._decides = _NO_TARGET
                return tail
        elif text[at + 1] == "[":
            found = label(text, at + 1)
            if found == OPEN:
                return OPEN
            if found != NOT:
                end = found
                name = text[at + 2 : found - 1] or inner
                self._chain = self.shift + at + 1, opener.at  # in case that it is not defined
        if self._names.has("link", normal(name)):
            return end
        is_note = opener.kind == "link" and inner[:1] == "^" and self._names.has("note", inner[1:])
        return at + 1 if is_note else NOT
