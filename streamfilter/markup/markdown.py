"""Markdown that is never half there: what could still turn into markup is held until it is decided.

Here lines are put together: `markdown_blocks` says what a line is, `markdown_inline` how much of a paragraph is settled, and this
module counts which characters of the input may leave for that. It knows the grammar of neither.
"""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from streamfilter.context import Context
from streamfilter.display import holding
from streamfilter.hold import Hold
from streamfilter.lift import start_of
from streamfilter.machine import Machine, TextMachine
from streamfilter.markup.markdown_blocks import Blocks
from streamfilter.markup.markdown_inline import Inline
from streamfilter.markup.markdown_lines import cells
from streamfilter.markup.markdown_names import Names
from streamfilter.markup.unbreaking import Unbreaking
from streamfilter.pipeline import TextStage, stage

MAX_HOLD = 1000
"""Characters held for one construct: some lines of prose. A link or an emphasis that is longer is seldom one."""

_STOPS = re.compile(r"[\n`*_~\[!<&\\|^]").search
"""Where nothing is held, text without these leaves as it comes."""

_BEGINS = frozenset("`~#<*+_-=|:>[")
"""What lines begin with that are more than text."""


@stage
class Markdown(TextStage):
    r"""Hold Markdown that is not complete, so that what was shown never shows half of it. It applies to the answer.

    The text is not changed. After every piece, what has left renders to a beginning of what the whole document renders to: no half
    link, image, emphasis, code span, tag or entity, no opening of a fence, no row of a table, no mark of a list that may become a
    rule. What is no markup leaves at once; what may be is held until it is complete, or cannot be any more, at the latest
    when its paragraph ends.

    Args:
        max_hold: characters that may be held. Where one construct is longer, all that is held leaves as it is, and counts as text.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Markdown().iter(["so **bo", "ld** and [a li", "nk](https://exam", "ple.org) a * b"]))
        ['so ', '**bold** and ', '[a link](https://example.org) a * b']
    """

    max_hold: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_HOLD, kw_only=True)

    if TYPE_CHECKING:

        def __init__(self, *, max_hold: int = ..., channels: tuple[str, ...] | None = ...) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return _Reader(self.max_hold)

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()
        machine = Unbreaking(start_of, type(self).__name__, kinds=self.channels, stage=self, context=given)
        if not given.is_decoded:  # there are as many machines as strings in there, and no stage that cuts
            given.unbroken.append(machine)
        return machine

    def holds(self) -> str:
        return f"{holding('Markdown that is not complete', self.max_hold)}; longer constructs leave as they are"


class _Reader(TextMachine):
    """What begins to read with the first piece: then it has its hold."""

    def __init__(self, max_hold: int) -> None:
        self._max_hold = max_hold

    def feed(self, text: str) -> None:
        reading = _Lines(self.hold, self._max_hold).reading()
        next(reading)
        reading.send(text)
        # The other pieces go straight to the generator: without a call in between, which most of them are cheap enough to feel.
        self.feed = reading.send  # type: ignore[assignment, method-assign]

    def finish(self) -> None:
        if len(self.hold):
            _release(self.hold, len(self.hold))


class _Lines:
    """One run. What has arrived and not left: the text in `Inline`, and what stands before its lines; then `_late`, or `_line`."""

    def __init__(self, hold: Hold, max_hold: int) -> None:
        self._hold = hold
        self._max_hold = max_hold
        names = Names()
        self._blocks = Blocks(names)
        self._inline = Inline(names)
        # What is done with the rest of a line: "start" (what it is is open), "text" (of a paragraph), "heading", "pass", "wait" (it
        # leaves when it is whole).
        self._mode = "start"
        self._line = ""  # its beginning, while what it is is open; in "wait", all that is held
        # What stands before the text of lines and has not left: (the place in the paragraph's text, characters). It leaves with
        # the first character behind it.
        self._margins: deque[tuple[int, int]] | None = None
        self._late: str | None = None  # text that the paragraph has not been told: it may be the head of a table
        self._has_pipe = self._can_head = False
        self._is_sealed = False  # whether no part of the line may leave alone
        self._head = ""  # what stands for the text before the first pipe, when cells are counted
        self._free = 0  # so many characters may leave

    def reading(self) -> Generator[None, str, None]:
        """Is sent the pieces, each when it stands in the hold. Most leave or wait in one of the inner loops, with one question."""
        hold, inline, most = self._hold, self._inline, self._max_hold
        text = yield
        while True:
            mode = self._mode
            is_inside = self._late is None and mode in {"text", "heading"}
            if mode == "pass":
                while "\n" not in text:
                    hold.keep(len(text))
                    text = yield
            elif is_inside and inline.is_idle and inline.mode == "text":
                if _STOPS(text) is None:
                    hold.keep(len(text))
                    hold.stops, hold.passed = _STOPS, text
                    text = yield
                    inline.before = hold.passed[-1]
            elif is_inside and inline.awaits is not None:
                ends = inline.awaits.search
                while len(hold.buf) - hold.pos <= most and ends(text) is None:
                    inline.extend(text)
                    text = yield
            elif mode == "wait":
                while len(hold.buf) - hold.pos <= most and "\n" not in text:
                    self._line += text
                    text = yield
            if len(hold.buf) - hold.pos > most:
                self._feed_long(text)
            elif is_inside and "\n" not in text and "|" not in text:
                settled = inline.feed(text)
                if settled:
                    _release(hold, settled + self._margin() if self._margins else settled)
            else:
                self._free = 0
                self._read(text)
                if self._free:
                    _release(hold, self._free)
            text = yield

    def _feed_long(self, text: str) -> None:
        """Feed so much at a time that a construct overflows at the same character however the text is cut."""
        at, held = 0, len(self._hold) - len(text)
        while at < len(text):
            piece = text[at : at + self._max_hold + 1 - held]
            at += len(piece)
            self._free = 0
            self._read(piece)
            if self._free:
                _release(self._hold, self._free)
            held += len(piece) - self._free
            if held > self._max_hold:
                self._overflow()
                _release(self._hold, held)
                held = 0

    def _overflow(self) -> None:
        """Too much is held for one construct: it leaves as it is."""
        held = self._line[-1:] or (self._late or self._inline.text)[-1:]
        if self._mode == "wait":
            self._mode = "pass"
        elif self._mode == "start":
            opens = self._line.lstrip(" \t>")[:3]
            self._mode = "pass" if opens in ("```", "~~~") else "text"
            self._blocks.leaf = "fence" if self._mode == "pass" else "text"
            self._blocks.heads = 0
        self._can_head = self._has_pipe = False
        self._late = None
        self._inline.reset(may_define=False, before=held or "\n")
        self._margins = None
        self._line = self._blocks.waits = ""

    # ------------------------------------------------------------------ lines

    def _read(self, text: str) -> None:
        if "\n" not in text:
            piece = self._begin(text, is_whole=False) if self._mode == "start" else text
            if piece:
                self._go_on(piece, is_whole=False)
            return
        at, size = 0, len(text)
        while at < size:
            end = text.find("\n", at) + 1
            piece = text[at : end or size]
            at += len(piece)
            if self._mode == "start":
                piece = self._begin(piece, is_whole=end > 0)
            if piece:
                self._go_on(piece, is_whole=end > 0)

    def _begin(self, piece: str, *, is_whole: bool) -> str:
        """More of a line of which is open what it is. Give what stands behind the marks that say it; nothing while that is open."""
        blocks, inline = self._blocks, self._inline
        self._line = line = self._line + piece
        if blocks.waits and not is_whole and not piece.strip(blocks.waits):
            return ""
        blocks.has_text = inline.mode == "text" or bool(inline.text) or self._late is not None
        blocks.may_title = inline.mode == "title" and not inline.text
        is_headed = blocks.heads > 0
        found = blocks.read(line.rstrip("\r\n"), is_whole=is_whole)
        if found is None:
            if line.endswith("\r"):
                blocks.waits = ""  # the end of the line, or a character of it
            return ""
        self._line = ""
        kind, start = found.kind, found.start
        if found.continues:
            self._tell()
        else:
            self._end(may_define=kind == "text")
        if kind in {"text", "heading"}:
            self._mode = kind
            if start:
                if self._margins is None:
                    self._margins = deque()
                self._margins.append((inline.shift + len(inline.text), start))
            if kind == "text":
                self._can_head = found.can_head
                # What an earlier line has opened may turn out to stand before a table: then it stays open. And half of this line
                # may look like the delimiters of one, or like a fence that ends the paragraph.
                is_late = not inline.is_idle or (is_headed and line[start] in "|:-")
                self._late = "" if is_late else None
                self._is_sealed = is_late and line[start] in _BEGINS
                self._has_pipe = False
        elif kind in {"html", "row"}:
            self._mode = "wait"
            self._line = line[:start]
        else:
            self._mode = "pass"
            self._free += start
        return line[start:] if start else line

    def _go_on(self, piece: str, *, is_whole: bool) -> None:
        """More of a line of which is known what it is."""
        if self._mode == "text":
            if self._late is None and ("|" not in piece or not self._can_head):
                self._take(piece)
            else:
                self._row(piece, is_whole=is_whole)
        elif self._mode == "heading":
            self._take(piece)
            if is_whole:
                self._end(may_define=False)
        elif self._mode == "pass":
            self._free += len(piece)
        else:
            self._line += piece
            if is_whole:
                self._whole()
        if is_whole:
            self._mode = "start"

    def _whole(self) -> None:
        """A line that was waited for is whole."""
        blocks = self._blocks
        if blocks.leaf == "html" and blocks.ends_html(self._line):
            blocks.leaf = ""
        self._free += len(self._line)
        self._line = ""

    # ------------------------------------------------------------------ paragraphs

    def _row(self, piece: str, *, is_whole: bool) -> None:
        """Text that may head a table: from the first pipe of its line on it waits for the next line, which may say so."""
        if self._can_head and not self._has_pipe and "|" in piece:
            self._has_pipe = True
            before, _, _ = piece.partition("|")
            last = (before or self._late or self._inline.text or self._inline.before)[-1:]
            self._head = "" if last == "\n" else "x\\" if last == "\\" else "x"
            if self._late is None:
                if before:
                    self._take(before)
                self._late = ""
                piece = piece[len(before) :]
        self._late = (self._late or "") + piece
        if not is_whole:
            return
        if self._has_pipe:
            _, pipe, rest = self._late.partition("|")
            self._blocks.heads = cells(self._head + pipe + rest)
        else:
            self._tell()

    def _tell(self) -> None:
        """What the paragraph has not been told is no head of a table."""
        late, self._late = self._late, None
        if late:
            if self._is_sealed:
                self._inline.seal(len(late.rstrip("\n")))
            self._take(late)

    def _take(self, text: str) -> None:
        """More text of the paragraph: what is settled leaves, and with it what stands before it."""
        settled = self._inline.feed(text)
        if settled:
            self._free += settled + self._margin() if self._margins else settled

    def _margin(self) -> int:
        """How much leaves that stands before lines."""
        margins, shift = self._margins, self._inline.shift
        chars = 0
        while margins and margins[0][0] < shift:
            chars += margins.popleft()[1]
        return chars

    def _end(self, *, may_define: bool) -> None:
        """The block ended: all that was held for it leaves."""
        inline = self._inline
        self._free += len(inline.text)
        if self._margins:
            self._free += sum(chars for _, chars in self._margins)
            self._margins = None
        if self._late is not None:
            self._free += len(self._late)
            self._late = None
        inline.reset(may_define=may_define)


def _release(hold: Hold, chars: int) -> None:
    """So much may leave: in one piece, whatever deltas it came in, as a part may be half of something. Only events part it."""
    if hold.simple:
        hold.keep(chars)
        return
    start = hold.offset
    stop = start + chars
    events = {place for place in hold.pinned if place < stop}
    hold.units((*sorted(events), stop), start)
