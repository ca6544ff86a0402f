"""The machine of `Extract`: reads one run of text from tag to tag, and says what leaves where.

It holds what may still become a tag. It holds more only where it was told to decide later: sections that are given whole, sections
that count only if they are closed, and beginnings of which it is not known whether they are inside a section.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple, TypeAlias, cast

from streamfilter.errors import LimitExceeded
from streamfilter.items import PLAIN, Channel, End, Event, Finish, Item, TextDelta
from streamfilter.machine import TextMachine
from streamfilter.markup.code_lines import CodeMap
from streamfilter.markup.extract_channels import leave, moved
from streamfilter.markup.extract_tags import Found, Marks, Spelling

Begins: TypeAlias = Literal["outside", "inside", "either"]
Unclosed: TypeAlias = Literal["extract", "keep"]
Overflow: TypeAlias = Literal["extract", "keep", "raise"]

_BLANKS = re.compile(r"\s*")
_NONE = re.compile(r"(?!)").search
_STEP = re.compile(r"[\r\n]|[^`](?=`)|`(?!`)")
"""Behind each of these it may be known whether something is code."""
_NOTHING: AbstractSet[int] = frozenset()  # one for all: a stream that needs no more has none of its own
_ANY = -1
"""The number of a section that has no opening tag: every closing tag closes it."""


class Options(NamedTuple):
    """What `Extract` was told; see there."""

    to: str | type[Event]
    begins: Begins
    unclosed: Unclosed
    many: bool
    nested: bool
    strip: bool
    code: bool
    max_chars: int
    overflow: Overflow

    @property
    def waits(self) -> bool:
        """Whether a section is held until it is closed."""
        return self.unclosed == "keep" or not isinstance(self.to, str)


class Tags:
    """The tags of a stage, compiled: what is looked for outside, inside and in between."""

    def __init__(self, spellings: list[Spelling], *, ignore_case: bool, attributes: bool, nested: bool) -> None:
        def marks(wanted: Iterable[tuple[bool, int]]) -> Marks:
            return Marks(wanted, spellings, ignore_case=ignore_case, attributes=attributes)

        numbers = range(len(spellings))
        self.outside: Marks = marks((True, number) for number in numbers)
        self.either: Marks = marks((opens, number) for number in numbers for opens in (True, False))
        self.inside: dict[int, Marks] = {n: marks([(False, n), (True, n)] if nested else [(False, n)]) for n in numbers}
        self.inside[_ANY] = self.either if nested else marks((False, number) for number in numbers)
        self.longest: int = self.either.longest


class Extractor(TextMachine):
    """One run of text, read from tag to tag."""

    def __init__(self, tags: Tags, options: Options) -> None:
        self._tags = tags
        self._told = options
        self._code = CodeMap() if options.code else None
        self._first = -1  # the run's first character, in characters of the channel
        self._made: Callable[[str, object], Item] | None = None
        self._marks: Marks | None = tags.outside
        self._number: int | None = None  # of the section that the text is in; None outside
        self._depth = 0
        self._is_either = options.begins == "either"
        self._waits = self._is_either  # whether all of the text is held until it is decided where it goes
        self._opening = 0  # so many characters of it are the opening tag
        self._scanned = 0  # in so many of the held characters no tag begins
        self._gone: AbstractSet[int] = _NOTHING  # spellings of which no closing tag is left in a text that has ended
        self._is_part = False  # whether the beginning of the section has left in an event
        self._is_lead = False  # at the very beginning, inside: an opening tag may stand here
        self._strips = False  # behind a closing tag: white space goes with it
        if self._is_either:
            self._marks = tags.either
        elif options.begins == "inside":
            self._enter(_ANY)
            self._is_lead = True

    def feed(self, text: str) -> None:
        hold = self.hold
        marks = self._marks
        if self._first < 0:
            self._first = hold.offset
        if marks is None and not self._strips:
            hold.keep(len(hold))
            hold.stops = _NONE
        elif len(hold) == len(text) and not (self._waits or self._strips or self._is_lead) and not (marks and marks.stops(text)):
            if self._code is not None:
                self._read(len(hold.buf))
            elif self._number is None and marks is not None:
                hold.stops = marks.stops
            self._let(len(text))
        else:
            self._scan(is_over=False)

    def finish(self) -> None:
        if self._code is not None:
            self._read(len(self.hold.buf))
            self._code.finish()
        self._scan(is_over=True)
        while self._waits and self.done is None:
            if not self._is_either and self._told.unclosed == "extract":
                self._give(len(self.hold))
                self._waits = False
            elif self._number is None or self._number == _ANY:
                self.hold.keep(len(self.hold))
                self._waits = False
            else:  # it was no opening tag. No closing tag follows, so that no other of this spelling is one.
                self._gone |= {self._number}
                self.hold.keep(self._opening)
                self._exit(self._tags.outside)
                self._scan(is_over=True)

    # ------------------------------------------------------------------ from tag to tag

    def _scan(self, *, is_over: bool) -> None:
        hold = self.hold
        while len(hold):
            buf, pos = hold.buf, hold.pos
            stop = min(len(buf), pos + self._opening + self._told.max_chars) if self._waits else len(buf)
            if self._strips:
                blanks = _BLANKS.match(buf, pos)
                if blanks and blanks[0]:
                    self._read(blanks.end())
                    hold.replace(len(blanks[0]), "")
                    continue
                self._strips = False
            if self._is_lead:
                if not self._lead(is_over=is_over):
                    return
                continue
            marks = self._marks
            if marks is None:
                hold.keep(len(hold))
                return
            found, safe = self._next(marks, pos + self._scanned, stop, is_over=is_over and stop == len(buf))
            if found is not None:
                self._meet(found)
            elif not self._waits:
                if safe > pos:
                    self._let(safe - pos)
                return
            else:
                self._scanned = safe - pos
                if stop == len(buf) or not self._decide():
                    return

    def _next(self, marks: Marks, start: int, stop: int, *, is_over: bool) -> tuple[Found | None, int]:
        """The next tag, if it is certain by `stop`; and up to where there is none."""
        buf = self.hold.buf
        while True:
            found = marks.find(buf, start, stop)
            safe = stop if is_over else marks.begins(buf, start, stop)
            if found is None or safe <= found.start:
                self._read(stop)
                is_code = safe < stop and self._code is not None and self._code.at(self._place(safe))
                return None, stop if is_code else safe
            is_code = self._is_code(found, stop)
            if is_code is None:
                return None, found.start
            if not is_code:
                return found, found.start
            start = found.end

    def _is_code(self, found: Found, stop: int) -> bool | None:
        """Whether a tag is in code; None if that is not certain by `stop`.

        The map is not shown more than this takes: what is held, and how much, must not depend on what happens to have arrived.
        """
        code = self._code
        if code is None:
            return False
        self._read(found.end)
        place = self._place(found.start)
        while (is_code := code.at(place)) is None and (seen := code.fed - self._place(0)) < stop:
            step = _STEP.search(self.hold.buf, seen, stop)
            known = stop if step is None else step.end()
            self._read(max(seen + 1, min(known, code.deadline - self._place(0))))
        return is_code

    def _place(self, at: int) -> int:
        """A place in the buffer, in characters since the run began."""
        return self.hold.base + at - self._first

    def _read(self, stop: int) -> None:
        """Show the text up to there to the map of code."""
        code = self._code
        if code is not None and (more := self._place(stop) - code.fed) > 0:
            code.feed(self.hold.buf[stop - more : stop], self._place(self.hold.pos))

    def _lead(self, *, is_over: bool) -> bool:
        """Take off an opening tag at the very beginning. False if it may still become one."""
        buf, pos = self.hold.buf, self.hold.pos
        stop = min(len(buf), pos + self._tags.longest)
        found = self._tags.outside.find(buf, pos, stop)
        if self._tags.outside.begins(buf, pos, stop) == pos and not is_over:
            return False
        self._is_lead = False
        if found is not None and found.start == pos:
            self._read(found.end)
            self._open(found)
        return True

    def _meet(self, found: Found) -> None:
        start = found.start - self.hold.pos
        end = found.end - self.hold.pos
        if self._number is None:
            if found.number in self._gone:
                self.hold.keep(end)
            elif found.opens:
                if start:
                    self.hold.keep(start)
                self._open(found)
            else:
                self._close(start, end)
            return
        self._depth += 1 if found.opens else -1
        if not self._depth:
            self._close(start, end)
        elif self._waits:
            self._scanned = end
        else:
            self._let(end)

    def _open(self, found: Found) -> None:
        """The hold begins with an opening tag."""
        self._enter(found.number)
        if self._waits:
            self._opening = self._scanned = found.end - found.start
        else:
            self.hold.replace(found.end - found.start, "")

    def _enter(self, number: int) -> None:
        self._number = number
        self._marks = self._tags.inside[number]
        self._depth = 1
        self._is_either = False
        self._waits = self._told.waits
        self._opening = self._scanned = 0
        self._is_part = False

    def _close(self, start: int, end: int) -> None:
        """A closing tag stands there."""
        size = end - start
        self._give(start)
        self.hold.replace(size, "")
        self._exit(self._tags.outside if self._told.many else None)
        self._strips = self._told.strip

    def _exit(self, marks: Marks | None) -> None:
        self._number = None
        self._marks = marks
        self._is_either = self._waits = False
        self._opening = self._scanned = 0

    def _decide(self) -> bool:
        """The limit is reached: decide now where the text goes. False if nothing more can be done for now."""
        hold = self.hold
        told = self._told
        if told.overflow == "raise":
            where = f"a section at character {hold.offset} of the {hold.channel.kind}"
            self.done: Finish | End | None = End("error", LimitExceeded("max_chars", told.max_chars, where))
            return False
        if told.overflow == "keep":
            hold.keep(self._opening + told.max_chars)
            self._exit(self._tags.outside)
            return True
        if self._scanned <= self._opening:
            return False  # a tag of which it is not known whether it is code: that will be known soon
        safe, opening = self._scanned, self._opening
        if self._is_either:
            self._enter(_ANY)
        self._opening = opening
        self._give(safe)
        self._opening = self._scanned = 0
        self._is_part = True
        self._waits = not isinstance(told.to, str)
        return True

    # ------------------------------------------------------------------ what leaves

    def _let(self, n: int) -> None:
        """Let text leave whose place is certain."""
        if self._number is None:
            self.hold.keep(n)
        else:
            self._extract(n)

    def _give(self, n: int) -> None:
        """Let a section leave: it stands in the first `n` held characters, behind the opening tag."""
        if self._opening:
            self.hold.replace(self._opening, "")
            n -= self._opening
        if n or not (isinstance(self._told.to, str) or self._is_part):
            self._extract(n)

    def _extract(self, n: int) -> None:
        hold = self.hold
        to = self._told.to
        if not isinstance(to, str):
            self._build(to, n)
        elif to == "drop":
            hold.replace(n, "")
        else:
            if self._made is None:
                self._made = moved(Channel(to, hold.channel.key))
            leave(hold, n, self._made)

    def _build(self, kind: type[Event], n: int) -> None:
        """An event stands in for a section. Events that stood in it follow."""
        out = self.hold.out
        before = len(out)
        self.hold.keep(n)
        pieces = [item for item in out[before:] if isinstance(item, str | TextDelta)]
        text = "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)
        event = cast("Callable[[str], Event]", kind)(text)
        if event.scope == PLAIN:
            event.scope = self.hold.channel
        if event.origin is None and pieces and isinstance(pieces[0], TextDelta):
            event.origin = pieces[0].origin
        out[before:] = [event, *(item for item in out[before:] if not isinstance(item, str | TextDelta))]
