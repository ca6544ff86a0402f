"""The machine of `Links`: text passes up to a mark, what the mark may begin is judged, and what is refused is swallowed to its end.

A rule that all of it keeps: what is judged and allowed is not stepped over. Reading goes on right behind the mark, so that the same
characters are also read as the plain text, the tag or the other link that they may be to another reader. All that is remembered is
of the text that has *left*, with what stands in for a URL in it: what is taken out joins nothing that was not looked at.
"""

from __future__ import annotations

from typing import cast

from streamfilter.context import Context, Finding
from streamfilter.errors import Blocked
from streamfilter.items import End, Finish
from streamfilter.machine import TextMachine
from streamfilter.markup import links_scan as scan
from streamfilter.markup.links_tags import NAMED, Tags
from streamfilter.markup.links_urls import HOST_CHARS, SCHEME_CHARS
from streamfilter.markup.links_verdicts import Verdicts

MAX_NESTED = 100
"""Open brackets that are told apart. Beyond, every target in the paragraph counts as an image's."""

_AMBIGUOUS = frozenset("`\\<$")
"""Between the brackets of an image, these may hide one of them from some readers."""

_TARGET = "#"
"""What stands in for a target or a value: a link to where one is. It is no URL that could be continued to another host."""

_BLUNT = "|"
"""What stands in for a mark in a style: with what is before it or behind it, it spells nothing."""

_NO_END = "&#93;"
"""A closing bracket that closes nothing."""

_NO_TAGS = Tags()  # what a text without tags has in place of its own: it never changes
_NONE = cast("list[bool]", ())


class Guard(TextMachine):
    """One run of text. See `Links` for the arguments."""

    def __init__(self, verdicts: Verdicts, context: Context, *, to: str, action: str, domains: bool) -> None:
        self._verdicts = verdicts
        self._context = context
        self._to = to
        self._action = action
        self._max_hold = verdicts.max_hold
        self._domains = domains
        self._marks = scan.WORDS_AND_MARKS if domains else scan.MARKS
        self._tags = _NO_TAGS
        self._idle = not domains  # nothing is open, and no more held than the beginning of a word: text without marks may pass
        self._at = 0  # in hold.buf: up to here it may leave
        self._last = ""  # the last two characters that left, where they matter
        self._open: list[bool] = _NONE  # for each open bracket, whether it is an image's
        self._closed: tuple[bool, bool] | None = None  # of one that was just closed: whether it is one, and blanks have come since
        self._any_image = False  # in this paragraph, whether any target may be an image's
        self._line = False  # whether a line has begun, with blanks only so far
        self._goes_on = False  # whether a URL may go on that was allowed by its host: to some reader only a blank ends it
        self._until = ""  # what a URL that is swallowed began with
        self._depth = 0  # of parentheses in it
        self._begun: Finding | None = None
        self._mailbox = False  # whether the last word was the name of an address
        self._slashed = False  # whether two slashes stand before it, so that it may be a user's name as well
        self._imaged = False  # whether an image may have left that refers to a definition
        self._has_foreign = False  # whether a tag has left that begins SVG or MathML
        self._style = 0  # whether one has left that begins a style, and not its end: 1, or 2 if it may be of SVG or MathML
        self._defined = False  # whether a definition has left that is allowed for links only

    def feed(self, text: str) -> None:
        if not self._idle:
            self._read(over=False)
            return
        hold = self.hold
        buf, pos = hold.buf, hold.pos
        mark = scan.MARK.search(buf, pos)
        stop = len(buf) if mark is None else mark.start()
        # What is last may be the beginning of a word that begins a URL.
        if (mark is None or (mark.end() == len(buf) and mark[0].isalpha())) and (stop == pos or buf[stop - 1] != "!"):
            if stop > pos:
                hold.keep(stop - pos)
            hold.stops = scan.STOPS
        else:
            self._read(over=False)

    def finish(self) -> None:
        self._read(over=True)
        if self._begun is not None:
            self._settle()

    # ------------------------------------------------------------------ reading

    def _read(self, over: bool) -> None:
        hold = self.hold
        self._at = hold.pos
        size = len(hold.buf)
        while self._at < size and self.done is None:
            if not (self._swallow(over) if self._until else self._step(over)):
                break
        if self.done is not None:
            return
        self._leave()
        is_open = self._last[-1:] == "!" or bool(self._open) or self._any_image or self._closed is not None or self._goes_on
        self._idle = not (is_open or self._until or self._tags.states or self._domains)

    def _step(self, over: bool) -> bool:
        """Pass up to the next mark, and past it if that can be decided. False: it cannot."""
        if self._closed is not None:
            return self._target(*self._closed, over)
        buf = self.hold.buf
        mark = self._marks[self._tags.states != 0].search(buf, self._at)
        if mark is None:
            self._pass(len(buf))
            return True
        at = mark.start()
        self._pass(at)
        if mark[0] == "[":
            return self._opened(at)
        if mark[0] == "]":
            return self._bracket(at)
        if mark[0] == "<":
            return self._angle(at, over)
        if mark[0] == "=":
            return self._equals(at, over)
        if self._domains and mark.lastgroup == "word":
            return self._domain(at, over)
        return self._word(at, over)

    def _pass(self, upto: int) -> None:
        """The text up to there stays."""
        if upto == self._at:
            return
        self._closed = None
        self._goes_on = self._goes_on and scan.ENDS["run"].search(self.hold.buf, self._at, upto) is None
        if self._domains:
            text = self._before(self._at)[-1:] + self.hold.buf[self._at : upto]
            *earlier, word = scan.USER_END.split(text)
            self._slashed = "//" in word or (self._slashed and not earlier)
        if self._tags.states or self._open or self._any_image:
            self._note(self.hold.buf[self._at : upto])
        self._at = upto

    def _note(self, text: str) -> None:
        """Text that stays, or stands in for what does not, changes what is open."""
        self._tags.walk(text)
        if not (self._open or self._any_image):
            return
        begun = self._line and scan.BLANK_LINE.match("\n" + text)
        if begun or scan.BLANK_LINE.search(text):
            self._open = _NONE
            self._any_image = False
        self._line = scan.LINE_BEGUN.search(("\n" if self._line else "") + text) is not None
        if not self._any_image and True in self._open and not _AMBIGUOUS.isdisjoint(text):
            self._any_image = True

    def _leave(self) -> None:
        """What may leave does."""
        hold = self.hold
        if self._at > hold.pos:
            self._last = (self._last + hold.buf[max(hold.pos, self._at - 2) : self._at])[-2:]
            hold.keep(self._at - hold.pos)

    def _before(self, at: int) -> str:
        """The last two characters before `at`, as they have left or will."""
        pos = self.hold.pos
        return (self._last + self.hold.buf[max(pos, at - 2) : at])[-2:]

    # ------------------------------------------------------------------ Markdown

    def _opened(self, at: int) -> bool:
        image = self._before(at)[-1:] == "!"
        if not self._open and not self._any_image:
            self._line = False
        self._pass(at + 1)
        if not self._open:
            self._open = []
        self._open.append(image)
        if len(self._open) > MAX_NESTED:
            self._open = _NONE
            self._any_image = True
        return True

    def _bracket(self, at: int) -> bool:
        image = self._any_image or (bool(self._open) and self._open[-1])
        if image and self._defined:  # perhaps an image that refers to a definition which is for links only: it gets no end
            self._any_image = True
            return self._swap(_NO_END)
        self._imaged = self._imaged or image  # even with a target: where that is none to some reader, it is a reference
        if self._open:
            self._open.pop()
        self._pass(at + 1)
        self._closed = (image, False)
        return True

    def _target(self, image: bool, is_apart: bool, over: bool) -> bool:
        """Behind a bracket, where its target may stand."""
        buf, at = self.hold.buf, self._at
        limit = at + self._max_hold
        kind = buf[at]
        if kind == ">" or kind.isspace():
            is_blank_line = kind == self._before(at)[-1:] == "\n"
            self._pass(at + 1)
            self._closed = None if is_blank_line else (image, True)
            return True
        if kind not in ("(" if is_apart else "(:"):
            self._closed = None
            return True
        match = scan.BEFORE_TARGET.match(buf, at + 1, limit)
        start = match.end() if match else at + 1
        if start == len(buf) and not over and start < limit:
            return False
        defines = kind == ":"
        if start < limit and buf[start : start + 1] == "<":
            start, kind = start + 1, "<"
        loads = image or (defines and self._imaged)
        verdict = self._verdicts.target(buf, at, start, kind, over, loads, is_apart=is_apart)
        if verdict is None:
            return False
        if verdict and defines and not self._verdicts.target(buf, at, start, kind, over, loads=True):
            self._defined = True
        self._pass(at + 1 if verdict else start)
        if not verdict:
            self._refuse("image" if image else "link", _TARGET, kind)
        return True

    def _swap(self, text: str) -> bool:
        """Let `text` stand in for one mark that may load something."""
        self._leave()
        hold = self.hold
        if self._stop("image"):
            return True
        self._context.found("image", "redact", hold.channel, hold.offset, hold.offset + 1)
        hold.replace(1, text)
        self._note(text)
        self._last = text[-2:]
        self._at = hold.pos
        return True

    # ------------------------------------------------------------------ HTML

    def _angle(self, at: int, over: bool) -> bool:
        buf = self.hold.buf
        if self._style and (blunted := self._blunt(at, over)) is not None:
            return blunted
        match = scan.TAG_NAME.match(buf, at + 1)
        end = match.end() if match else at + 1
        if end == len(buf) and not over and end - at <= SCHEME_CHARS:
            return False
        if match is None:
            self._pass(at + 1)
            return True
        if 1 < len(match[0]) < SCHEME_CHARS and buf[end : end + 1] == ":":
            verdict = self._verdicts.autolink(buf, at, end, over)
            if verdict is None:
                return False
            if not verdict:
                self._pass(at + 1)
                self._refuse("link", self._to, "auto")
                return True
        self._pass(at + 1)  # the name may be the beginning of a URL as well
        if self._tags is _NO_TAGS:
            self._tags = Tags()
        self._tags.begin(match[0])
        name = match[0].lower()
        self._has_foreign = self._has_foreign or name in scan.FOREIGN
        if name == "style":
            self._style = 2 if self._has_foreign else max(1, self._style)
        return True

    def _blunt(self, at: int, over: bool) -> bool | None:
        """At a `<` or `&` in a style, which may begin what is read there before the style is. None: it does not."""
        buf = self.hold.buf
        seen = buf[at : at + scan.MAX_BLUNTED]
        if len(seen) < scan.MAX_BLUNTED and not over and "</style".startswith(seen.lower()):
            return False
        if not self._tags.states and scan.STYLE_END.fullmatch(seen):
            self._style = 0
        elif scan.BLUNTED[self._style].match(seen):
            return self._swap(_BLUNT)
        elif seen[0] == "&" and len(seen) < scan.MAX_BLUNTED and not over and seen[1:].isalpha():
            return False
        return None

    def _equals(self, at: int, over: bool) -> bool:
        buf = self.hold.buf
        tags = self._tags
        name = tags.name
        if not tags.states & NAMED or name not in scan.ATTRIBUTES:
            self._pass(at + 1)
            return True
        match = scan.HTML_BLANK.match(buf, at + 1, at + self._max_hold)
        start = match.end() if match else at + 1
        limit = at + self._max_hold
        if start == len(buf) and not over and start < limit:
            return False
        kind = buf[start:limit][:1]
        start, kind = (start + 1, kind) if kind and kind in "\"'" else (start, "=")
        loads = name not in scan.LEADING or (name == "href" and tags.loads)
        if name in scan.WHOLE:
            verdict = self._verdicts.value(name, buf, at, start, kind, over)
        else:
            verdict = self._verdicts.target(buf, at, start, kind, over, loads)
        if verdict is None:
            return False
        self._pass(at + 1 if verdict else start)
        if not verdict:
            self._refuse("image" if loads else "link", _TARGET, kind)
        return True

    # ------------------------------------------------------------------ plain text

    def _word(self, at: int, over: bool) -> bool:
        """At a `:`, an escape, or the beginning of a word that begins URLs."""
        buf = self.hold.buf
        if self._style and buf[at] == "&" and (blunted := self._blunt(at, over)) is not None:
            return blunted
        match = scan.BARE.match(buf, at, at + self._max_hold, partial=True)
        if match is None or (match.partial and over):
            self._pass(at + 1)
            return True
        if match.partial:
            if len(buf) < at + self._max_hold:
                return False
            if buf[at] in "\"'":  # a string that begins with nothing but blanks
                self._pass(at + 1)
                self._refuse("image", _TARGET, "string")
            else:
                self._refuse("link", self._to, "bare")
            return True
        end = match.end()
        kind, verdict = self._verdicts.word(match, buf, over, self._before(at))
        if verdict is None:
            return False
        if verdict:
            self._pass(end if kind in ("style", "set") else at + 1)
            self._goes_on = self._goes_on or kind == "bare"
        elif kind in ("style", "set", "string"):
            self._pass(at + 1 if kind == "string" else end)
            self._refuse("image", _TARGET, kind)
        else:
            self._refuse("link", self._to, kind)
        return True

    def _domain(self, at: int, over: bool) -> bool:
        """At a word that may be the name of a host."""
        buf, before = self.hold.buf, self._before(at)
        end, verdict = self._verdicts.domain(buf, at, over, before, is_after_name=self._mailbox)
        if verdict is None:
            return False
        is_name = end < at + HOST_CHARS and buf[end : end + 1] == "@" and (not before or before[-1] in " \t\n<(,;\"'")
        self._mailbox = is_name and not self._slashed
        if verdict:
            self._pass(max(end, at + 1))
        else:
            self._refuse("link", self._to, "bare")
        return True

    # ------------------------------------------------------------------ what is refused

    def _refuse(self, rule: str, text: str, kind: str) -> None:
        """Let `text` stand in for what follows, up to where a target of this kind ends."""
        self._leave()
        hold = self.hold
        if self._stop(rule):
            return
        if text[:1] == "[" and self._before(hold.pos)[-1:] == "!":  # its brackets would be an image's
            text = text[1:-1]
        elif text[:1] == "[" and (self._any_image or True in self._open):  # its bracket may close an image's
            text = text[1:-1] if self._defined else text
            self._imaged = True
        self._begun = self._context.begun(rule, "redact", hold.channel, hold.offset)
        hold.replace(0, text)
        self._note(text)
        self._last = text[-2:]
        self._closed = (self._any_image or True in self._open, False) if text[-1:] == "]" else None
        # Else what stands behind could become the host of the URL before.
        self._until = "run" if self._goes_on and kind in scan.BARE_KINDS else kind
        self._depth = 0

    def _stop(self, rule: str) -> bool:
        """End the stream here, if that is asked for."""
        if self._action == "replace":
            return False
        hold = self.hold
        self._context.found(rule, "block", hold.channel, hold.offset, None)
        self.done: Finish | End | None = End(
            "blocked", Blocked(rule, hold.offset, hold.channel.kind) if self._action == "raise" else None
        )
        return True

    def _swallow(self, over: bool) -> bool:
        hold = self.hold
        buf = hold.buf
        at = hold.pos
        ends = scan.ENDS[self._until]
        while True:
            end = ends.search(buf, at)
            if end is None or self._until not in scan.COUNTED or end[0] not in "()":
                break
            self._depth += 1 if end[0] == "(" else -1
            if self._depth < 0:
                break
            at = end.end()
        stop = end.start() if end else len(buf)
        keep = stop
        if self._until in ("bare", "mail"):
            while keep > hold.pos and stop - keep < scan.KEPT_MARKS and buf[keep - 1] in ".,;!?":
                keep -= 1
        # The quotes in it stay where one may end another value that has been judged: else text behind it would belong to that. And
        # what follows one is no URL, should it begin a string.
        quotes = "".join(quote + _TARGET for quote in scan.QUOTE.findall(buf, hold.pos, keep)) if self._tags.states else ""
        hold.replace(keep - hold.pos, quotes)
        if quotes:
            self._closed = None
            self._note(quotes)
            self._last = (self._last + quotes)[-2:]
        self._at = hold.pos
        if end is None and not over:
            return False
        self._settle()
        self._pass(stop)
        return True

    def _settle(self) -> None:
        """The URL has ended: report it."""
        begun, hold = self._begun, self.hold
        self._until = ""
        self._begun = None
        if begun is not None:
            self._context.found(begun.rule, begun.action, begun.channel, begun.start, hold.offset, begun)
