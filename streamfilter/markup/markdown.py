"""Markdown that is never half there: what could still turn into markup is held until it is decided.

Here lines are put together: `markdown_blocks` says what a line is, `markdown_inline` how much of a paragraph is settled, and this
module counts which characters of the input may leave for that. It knows the grammar of neither.
"""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from streamfilter.context import Context
from streamfilter.machine import TextMachine
from streamfilter.markup.markdown_blocks import Blocks, cells
from streamfilter.markup.markdown_inline import Inline, Names
from streamfilter.pipeline import TextStage, stage

MAX_HOLD = 1000
"""Characters held for one construct: some lines of prose. A link or an emphasis that is longer is seldom one."""

_STOPS = re.compile(r"[\n`*_~\[!<&\\|^]")
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

    def holds(self) -> str:
        return f"holds Markdown that is not complete, at most {self.max_hold} characters; longer constructs leave as they are"


class _Reader(TextMachine):
    """What has arrived and not left is: `_pieces`, which the paragraph waits for; then `_late`, then `_line`."""

    def __init__(self, max_hold: int) -> None:
        self._max_hold = max_hold
        names = Names()
        self._blocks = Blocks(names)
        self._inline = Inline(names)
        # What is done with the rest of a line: "start" (what it is is open), "text" (of a paragraph), "heading", "pass", "wait" (it
        # leaves when it is whole).
        self._mode = "start"
        self._line = ""  # its beginning, while what it is is open; in "wait", all that is held
        # Held text of the paragraph, by lines: [characters that stand before the text, characters of text].
        self._pieces: deque[list[int]] = deque()
        self._late: str | None = None  # text that the paragraph has not been told: it may be the head of a table
        self._has_pipe = self._can_head = False
        self._is_sealed = False  # whether no part of the line may leave alone
        self._head = ""  # what stands for the text before the first pipe, when cells are counted
        self._free = 0  # so many characters may leave
        self._waiting = 0  # so many may not
        self._is_plain = False  # nothing is held: text without marks may pass
        self._awaits: re.Pattern[str] | None = None  # text without any of this waits for what is open before it

    def feed(self, text: str) -> None:
        if self._is_plain and (self._mode == "pass" or _STOPS.search(text) is None) and "\n" not in text:
            self._inline.before = text[-1]
            self.hold.keep(len(text))
            return
        awaits = self._awaits
        if awaits is not None and awaits.search(text) is None and self._waiting + len(text) <= self._max_hold:
            self._inline.extend(text)
            self._pieces[-1][1] += len(text)
            self._waiting += len(text)
            return
        chars = len(text)
        if self._waiting + chars > self._max_hold:
            self._feed_long(text)
        elif "\n" in text:
            self._feed(text)
        elif self._mode == "start":
            self._free = 0
            self._waiting += chars
            self._begin(text, is_whole=False)
            if self._free:
                self.hold.keep(self._free)
        elif self._mode == "wait":
            self._line += text
            self._waiting += chars
            return
        elif self._mode == "text" and self._late is None and "|" not in text:
            self._go_on_in(text)
            return
        else:
            self._feed(text)
        self._is_plain = not self._waiting and self._mode not in ("start", "wait") and (self._mode == "pass" or self._is_open())
        self._awaits = self._inline.awaits if self._mode == "text" and self._late is None else None

    def _go_on_in(self, text: str) -> None:
        """More of a line of a paragraph that is no head of a table: what `_feed` does, without asking."""
        inline, chars = self._inline, len(text)
        settled = inline.feed(text)
        if settled == chars and not self._pieces:
            self.hold.keep(chars)
        else:
            self._free = 0
            self._waiting += chars
            self._add(chars)
            if settled:
                self._take(settled)
                self.hold.keep(self._free)
        self._is_plain = not self._waiting and inline.is_text and inline.is_idle
        self._awaits = inline.awaits

    def _feed(self, text: str) -> None:
        self._free = 0
        self._waiting += len(text)
        self._read(text)
        if self._free:
            self.hold.keep(self._free)

    def _feed_long(self, text: str) -> None:
        """Feed so much at a time that a construct overflows at the same character however the text is cut."""
        at = 0
        while at < len(text):
            stop = min(len(text), at + self._max_hold + 1 - self._waiting)
            self._feed(text[at:stop])
            at = stop
            if self._waiting > self._max_hold:
                self._free = 0
                self._overflow()
                self.hold.keep(self._free)

    def _is_open(self) -> bool:
        return self._late is None and self._inline.is_text and self._inline.is_idle

    def _release(self, chars: int) -> None:
        self._free += chars
        self._waiting -= chars

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
        self._pieces.clear()
        self._line = self._blocks.waits = ""
        self._release(self._waiting)

    # ------------------------------------------------------------------ lines

    def _read(self, text: str) -> None:
        if "\n" not in text and self._mode != "start":
            self._go_on(text, is_whole=False)
            return
        at = 0
        while at < len(text):
            end = text.find("\n", at) + 1
            piece = text[at : end or len(text)]
            at += len(piece)
            if self._mode == "start":
                self._begin(piece, is_whole=end > 0)
            else:
                self._go_on(piece, is_whole=end > 0)

    def _begin(self, piece: str, *, is_whole: bool) -> None:
        blocks, inline = self._blocks, self._inline
        self._line += piece
        if blocks.waits and not is_whole and not piece.strip(blocks.waits):
            return
        line = self._line
        blocks.has_text = inline.is_text or bool(inline.text) or self._late is not None
        blocks.may_title = inline.is_title
        is_headed = blocks.heads > 0
        found = blocks.read(line.rstrip("\r\n"), is_whole=is_whole)
        if found is None:
            if line.endswith("\r"):
                blocks.waits = ""  # the end of the line, or a character of it
            return
        self._line = ""
        if found.continues:
            self._tell()
        else:
            self._end()
        rest = line[found.start :]
        if found.kind == "text":
            if not found.continues:
                inline.reset(may_define=True)
            self._mode = "text"
            self._pieces.append([found.start, 0])
            self._can_head = found.can_head
            # What an earlier line has opened may turn out to stand before a table: then it stays open. And half of this line may
            # look like the delimiters of one, or like a fence that ends the paragraph.
            first = line[found.start]
            is_late = not inline.is_idle or (is_headed and first in "|:-")
            self._late = "" if is_late else None
            self._is_sealed = is_late and first in _BEGINS
            self._has_pipe = False
        elif found.kind == "heading":
            inline.reset(may_define=False)
            self._mode = "heading"
            self._pieces.append([found.start, 0])
        else:
            self._mode = "wait" if found.kind in ("html", "row") else "pass"
            if self._mode == "pass":
                self._release(found.start)
            else:
                self._line, rest = line[: found.start], line[found.start :]
        if rest or is_whole:
            self._go_on(rest, is_whole=is_whole)

    def _go_on(self, piece: str, *, is_whole: bool) -> None:
        """More of a line of which is known what it is."""
        if self._mode == "text":
            self._text(piece, is_whole=is_whole)
        elif self._mode == "heading":
            self._add(len(piece))
            self._take(self._inline.feed(piece))
            if is_whole:
                self._end()
        elif self._mode == "pass":
            self._release(len(piece))
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
        self._release(len(self._line))
        self._line = ""

    # ------------------------------------------------------------------ paragraphs

    def _text(self, piece: str, *, is_whole: bool) -> None:
        """Text of a paragraph. From the first pipe of a line on it waits for the next line, which may make a table of this one."""
        if self._late is None and "|" not in piece:
            settled = self._inline.feed(piece)
            if settled == len(piece) and not self._pieces:
                self._release(settled)
            else:
                self._add(len(piece))
                self._take(settled)
            return
        self._add(len(piece))
        if self._can_head and not self._has_pipe and "|" in piece:
            self._has_pipe = True
            before, _, _ = piece.partition("|")
            last = (before or self._late or self._inline.text or self._inline.before)[-1:]
            self._head = "" if last == "\n" else "x\\" if last == "\\" else "x"
            if self._late is None:
                if before:
                    self._take(self._inline.feed(before))
                self._late = ""
                piece = piece[len(before) :]
        if self._late is None:
            self._take(self._inline.feed(piece))
            return
        self._late += piece
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
            self._take(self._inline.feed(late))

    def _add(self, chars: int) -> None:
        if not self._pieces:
            self._pieces.append([0, 0])
        self._pieces[-1][1] += chars

    def _take(self, chars: int) -> None:
        """So many characters of the paragraph's text are settled: with them leaves what stands before them."""
        pieces = self._pieces
        while chars:
            piece = pieces[0]
            part = min(chars, piece[1])
            self._release(piece[0] + part)
            piece[0] = 0
            piece[1] -= part
            chars -= part
            if not piece[1]:
                pieces.popleft()

    def _end(self) -> None:
        """The block ended: all that was held for it leaves."""
        self._release(sum(map(sum, self._pieces)))
        self._pieces.clear()
        self._late = None
        self._inline.reset(may_define=False)
