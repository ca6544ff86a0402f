r"""A longest answer: `Limit` ends a choice where it has said enough, behind a whole sentence or word.

The meaning, on the whole text of a run. *m* is the length of its longest beginning that keeps all limits. If only white space
follows, that beginning is what leaves. Else the text is cut; with a suffix that counts, *m* is at most `max_chars` less its length.
The cut is behind the last sentence that ends, white space aside, at or before *m* and fewer than `max_back` characters before it;
if none does, behind the last such word; if none does, at *m*. With `at="char"` it is always at *m*, and white space counts like any
other character.

Sentences are those of `segment`. One that ends at *m* can be told from one that goes on only by what follows, so the text is judged
together with the first character of it that is too much and no white space; or, in a flood of white space, with the first
`max_back` characters that are too much.

So a character may leave when no such cut can come before it. That is certain of all that stands `max_back` characters before the
earliest *m* that is still possible. Nearer to it, sentences leave when they are complete; words when they are complete and no
complete sentence stands before them to which a cut could go back; and white space with what follows it. The rest is held. Where a
terminator turns out not to end a sentence ("No. 5"), a little more is held than must be: finders say what ends, not what does not.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Literal, TypeAlias

import regex
from pydantic import Field

from streamfilter.context import Context
from streamfilter.display import counted
from streamfilter.items import Channel, Finish
from streamfilter.lift import Lift, start_arguments_of
from streamfilter.machine import Machine, TextMachine
from streamfilter.pipeline import TextStage, stage
from streamfilter.segment import by_sentence

MAX_BACK = 500
"""Characters that a cut may go back, and so about what may be held near a limit: sentences have 100 and seldom 300; an answer that
loses more than this is not cut behind a sentence but within one."""

MAX_UNREAD = 1000
"""Characters that are looked at together where nothing can happen to them: to look at 4 takes almost as long."""

NEVER = sys.maxsize
"""Further than any text goes."""

SENTENCES = by_sentence(max_chars=NEVER)  # it keeps nothing of a sentence, so it needs no largest size
# What may end a sentence, or may not. By SB6 and SB8 of UAX #29 a full stop does not before these.
TERMINATOR = regex.compile(r"(?!\.(?:[0-9]| ?[a-z]))[\p{SB=ATerm}\p{SB=STerm}\p{SB=Sep}\p{SB=CR}…]").search
RARE = re.compile(r"[^\t\n -\-/->@-~]|[!?]").search  # finds these, and more, in a third of the time
SOLID = re.compile(r"\S").search
WORDS = re.compile(r"\S+").finditer

At: TypeAlias = Literal["sentence", "word", "char"]
Size: TypeAlias = Annotated[int, Field(strict=True, ge=1)]


@dataclasses.dataclass(slots=True)
class _Said:
    """What a channel has said so far."""

    chars: int = 0
    words: int = 0
    newlines: int = 0
    solid: int = 0  # behind its last character that is no white space


@stage
class Limit(TextStage):
    r"""End a choice where its text reaches a limit, behind a whole sentence or word. It applies to the answer.

    Nothing that keeps the limits is changed. A text that does not is cut behind its last sentence that fits, with the white space
    there; if none fits, behind its last word; if none does, within a word. The choice's reason to finish becomes `reason` at once,
    later text and events of it are swallowed except usage, and the stream is over when every choice is stopped or finished. Each
    channel is counted by itself, over the boundaries in it, which end sentences and words.

    Args:
        max_chars: the longest text, in characters.
        max_words: the most words: what white space separates.
        max_lines: the most lines. A line ends with `\n`; the text behind the last of these is one more.
        at: where it may be cut: behind a `"sentence"`, a `"word"`, or any `"char"`.
        suffix: what follows where text was cut off, such as "…". It counts towards `max_chars`, and not as a word or line.
        max_back: how far the cut may go back from the limit for the sake of a whole sentence or word. At most about twice as much
            is held, and only near a limit.
        reason: the reason to finish. Some clients take "length" for an error; "stop" never is.
        choices: how many choices the stream will have: it is not over before all have been seen.

    Raises:
        ValueError: there is no limit, or the suffix is longer than `max_chars`.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Limit(max_chars=20).iter(["It rains. ", "It sno", "ws. It", " never stops."]))
        ['It rains.', ' It snows.']
        >>> sf.Limit(max_words=3, at="word", suffix="…").apply("to be or not to be")
        'to be or…'
    """

    max_chars: Size | None = dataclasses.field(default=None, kw_only=True)
    max_words: Size | None = dataclasses.field(default=None, kw_only=True)
    max_lines: Size | None = dataclasses.field(default=None, kw_only=True)
    at: At = dataclasses.field(default="sentence", kw_only=True)
    suffix: str = dataclasses.field(default="", kw_only=True)
    max_back: Size = dataclasses.field(default=MAX_BACK, kw_only=True)
    reason: Annotated[str, Field(min_length=1)] = dataclasses.field(default="length", kw_only=True)
    choices: Annotated[int, Field(ge=1)] = dataclasses.field(default=1, kw_only=True)

    def compile(self) -> None:
        if self.max_chars is None and self.max_words is None and self.max_lines is None:
            raise ValueError("there is no limit: give max_chars, max_words or max_lines")
        if self.max_chars is not None and len(self.suffix) > self.max_chars:
            raise ValueError(f"suffix has {len(self.suffix)} characters, more than max_chars, to which it counts")

    def start(self, context: Context | None = None) -> TextMachine:
        return _Limiter(self, {}, context or Context())

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()
        said: dict[Channel, _Said] = {}  # of this stream
        return Lift(
            lambda stage, context: _Limiter(stage, said, context),
            type(self).__name__,
            kinds=self.channels,
            arguments=None if given.is_decoded else start_arguments_of,
            choices=self.choices,
            stage=self,
            context=given,
        )

    def holds(self) -> str:
        if self.at != "char":
            most = counted(2 * self.max_back + len(self.suffix), "character")
            return f"holds, near a limit, the {self.at} that may not fit, at most {most}"
        if not (self.max_chars and self.suffix):
            return "holds nothing"
        return f"holds {counted(len(self.suffix), 'character')} at max_chars"


class _Limiter(TextMachine):
    """One run. Places are counted in characters of the channel as it has left and is held, over all of its runs."""

    _m = NEVER  # how much of the text keeps the limits, once that is known
    _doubt = NEVER  # behind what may have ended a sentence later than those that did
    _stop = ""  # this, if what comes next may settle it
    # Where the run begins, and what is held; where the last sentence ended that is complete and fits, and the last such word (0 is
    # none); behind the last character that has left and is no white space.
    _base = _left = _sentence = _word = _solid = 0
    _end = _far = 0  # as long as nothing is held: where the text ends, and up to where it leaves whatever comes

    def __init__(self, stage: Limit, said: dict[Channel, _Said], context: Context) -> None:
        self._stage = stage
        self._said = said
        self._found = context.found
        self._now: _Said | None = None
        self._unread: list[str] = []
        self._finder = SENTENCES.start() if stage.at == "sentence" else None
        self._back = 1 if stage.at == "char" else stage.max_back
        self._max_chars = stage.max_chars or NEVER
        self._max_words = stage.max_words or NEVER
        self._max_lines = stage.max_lines or NEVER
        self._counts = (self._max_words, self._max_lines) != (NEVER, NEVER)
        self._room = self._max_chars - (len(stage.suffix) if stage.max_chars else 0)

    def feed(self, text: str) -> None:
        hold = self.hold
        end = self._end + len(text)
        if end <= self._far:  # whatever comes, it leaves: it can be looked at later, more at once
            self._end = end
            self._unread.append(text)
            hold.keep(len(text))
            return
        now = self._now or self._begin()
        if self._unread:
            self._read(now)
        self._far = 0
        end = now.chars + len(text)
        if self._counts or end > self._max_chars:
            over = self._measure(text, now)
            if over is not None:
                self._follow(text[: over + 1], now)
                self._cut(now)
                return
        self._follow(text, now)
        safe = self._lowest(now) - self._back + 1
        if end <= safe:
            self._left = self._end = end
            self._solid = now.solid
            self._far = min(safe, end + MAX_UNREAD)
            hold.keep(len(hold))
        elif (upto := max(safe, self._certain(now))) > self._left:
            self._keep(upto)

    def finish(self) -> None:
        hold, now = self.hold, self._now
        if now is not None:
            if self._unread:
                self._read(now)
            if self._m < now.chars:  # only white space is too much
                hold.keep(self._m - self._left)
                hold.replace(len(hold), "")
                now.chars = self._m
        hold.keep(len(hold))

    def _begin(self) -> _Said:
        """The first text has come: now it is known in which channel. What earlier runs said has left, and may stay so."""
        now = self._now = self._said.setdefault(self.hold.channel, _Said())
        self._base = self._left = self._word = self._solid = now.chars
        self._sentence = now.chars if self._finder is not None else 0
        return now

    def _read(self, now: _Said) -> None:
        """Look at what has left unread."""
        text = "".join(self._unread)
        self._unread.clear()
        self._left += len(text)
        self._follow(text, now)

    def _keep(self, upto: int) -> None:
        hold = self.hold
        chars = upto - self._left
        if bare := len(hold.buf[hold.pos : hold.pos + chars].rstrip()):
            self._solid = self._left + bare
        self._left = upto
        hold.keep(chars)

    # ------------------------------------------------------------------ counting

    def _is_open(self, now: _Said) -> bool:
        """Whether the last character belongs to a word."""
        return now.solid == now.chars > self._base

    def _measure(self, text: str, now: _Said) -> int | None:
        """Where in this text it shows that all of it is too long, if it does."""
        start = now.chars
        if self._m == NEVER:
            at = self._longest(text, now)
            if at == len(text):
                return None
            self._m = start + at
        at = max(0, self._m - start)
        solid = None if self._stage.at == "char" else SOLID(text, at)
        over = min(solid.start() if solid else NEVER, max(at, self._m + self._back - 1 - start))
        return over if over < len(text) else None

    def _longest(self, text: str, now: _Said) -> int:
        """How much of this text keeps the limits."""
        longest = min(len(text), max(0, self._max_chars - now.chars))
        if self._max_lines != NEVER and text.count("\n") >= (left := self._max_lines - now.newlines):
            at = 0
            for _ in range(left):
                at = text.index("\n", at) + 1
            longest = min(longest, at)
        if self._max_words != NEVER:
            goes_on = self._is_open(now) and not text[0].isspace()
            left = self._max_words - now.words + goes_on
            if len(text.split()) > left:
                longest = min(longest, next(islice(WORDS(text), left, None)).start())
        return longest

    def _follow(self, text: str, now: _Said) -> None:
        """Take note of what has come."""
        start = now.chars
        if self._max_words != NEVER:
            now.words += len(text.split()) - (self._is_open(now) and not text[0].isspace())
        if self._max_lines != NEVER:
            now.newlines += text.count("\n")
        if bare := len(text.rstrip()):
            now.solid = start + bare
        now.chars = start + len(text)
        if now.chars <= self._left:
            self._solid = now.solid
        if self._finder is not None:
            if ends := self._finder.feed(text):
                self._end_sentences(ends)
                text = text[max(0, self._base + ends[-1] - start) :]
            if self._stop or (self._doubt == NEVER and RARE(text)):
                known = self._stop + text
                found = TERMINATOR(known)
                self._doubt = NEVER if found is None else now.chars - len(known) + found.end()
                rest = known[found.start() :] if found is not None else ""
                self._stop = rest if rest in {".", ". "} else ""

    def _end_sentences(self, ends: Sequence[int]) -> None:
        """Sentences have ended. The white space behind one need not fit."""
        self._doubt = NEVER
        self._stop = ""
        buf, pos, left = self.hold.buf, self.hold.pos, self._left
        first = bisect_right(ends, self._room - self._base)
        for end in ends[max(0, first - 1) : first + 1]:
            if self._base + end >= left:  # else a cut no longer goes back so far
                bare = len(buf[pos : pos + self._base + end - left].rstrip())
                place = left + bare if bare else self._solid
                if place <= self._room:
                    self._sentence = place

    def _end_word(self, now: _Said, room: int) -> int:
        """Where the last word ended that is complete and fits."""
        pos, left = self.hold.pos, self._left
        text = self.hold.buf[pos : pos + now.chars - left]
        fits = text[: max(0, room - left)]
        if fits:
            if fits[-1].isspace() or text[len(fits) : len(fits) + 1].isspace():
                bare = len(fits.rstrip())
            else:
                before = fits.rsplit(None, 1)
                bare = len(before[0]) if len(before) == 2 else 0
            if bare:
                self._word = left + bare
            elif fits[0].isspace():
                self._word = self._solid
        elif text[:1].isspace() and left <= room:
            self._word = self._solid
        return self._word

    # ------------------------------------------------------------------ releasing

    def _lowest(self, now: _Said, *, lines: bool = True) -> int:
        """The earliest *m* that is still possible."""
        lowest = min(self._room, self._m)
        if self._max_words != NEVER:
            lowest = min(lowest, now.chars + 2 * (self._max_words - now.words) + self._is_open(now))
        if lines and self._max_lines != NEVER:
            lowest = min(lowest, now.chars + self._max_lines - now.newlines)
        return lowest

    def _certain(self, now: _Said) -> int:
        """How much leaves whatever comes, as far as whole sentences and words go."""
        room = min(self._room, self._m)
        if self._stage.at == "char":
            return min(now.chars, room)
        # The end of a line ends a sentence: no cut there goes back behind what has come.
        if self._sentence and self._sentence + self._back > self._lowest(now, lines=False):
            return self._sentence
        word = self._end_word(now, room)
        if word and word + self._back > self._room:
            certain = word
        else:  # the last word is certain, and what white space is behind it unless a cut may come there
            certain = now.solid if word and word + self._back > self._lowest_cut(now) else now.chars
        return min(certain, room, self._doubt)

    def _lowest_cut(self, now: _Said) -> int:
        """The earliest *m* that is still possible for a cut behind the last word."""
        if self._finder is not None:  # the end of a line may make it the end of a sentence, and then any *m* counts
            return self._lowest(now)
        lowest = now.chars if now.words == self._max_words else NEVER
        return min(lowest, self._m, now.chars + self._max_lines - now.newlines)

    def _cut(self, now: _Said) -> None:
        hold, suffix = self.hold, self._stage.suffix
        at = m = min(self._m, self._room)
        if self._sentence > max(0, m - self._back):
            at = self._sentence
        elif self._stage.at != "char" and (word := self._end_word(now, m)) > max(0, m - self._back):
            at = word
        at = max(at, self._left)  # an earlier run may have taken the room of the suffix
        hold.keep(at - self._left)
        if suffix and at + len(suffix) <= self._max_chars:
            hold.replace(0, suffix)
        self._found("limit", "stop", hold.channel, hold.offset, None)
        self.done = Finish(self._stage.reason)
