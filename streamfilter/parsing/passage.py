r"""Passages: one text on its way through a pipeline, inside the hold of a larger text that it is spelled in.

What comes out as it went in keeps its spelling, `\u00e9` and `\/`; what comes out otherwise is spelled anew. A character counts as
unchanged if all that came out up to it is what went in up to it, and if it did not come out before it went in. So the spelling is,
like the text, the same however the input was cut.

What the text is a part of is not known here: a passage reads tokens, and takes from the front of the hold what it has read.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streamfilter.hold import Hold
from streamfilter.items import PLAIN, End, Event, Finish, Item, TextDelta
from streamfilter.machine import Machine

LAG_CHARS = 1000
"""Characters that may have been deleted, or come out too early, before a text counts as changed from there on. It need not be much:
what was deleted is hardly ever put back. What a pipeline only holds does not count."""

MARK_CHARS = 64
"""Characters that may be read before it is found out which of them are still held, while nothing has changed: most often it is
those that have not come out. It only delays events behind text that is deleted."""

_UNSAFE = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Token(NamedTuple):
    """A piece of text.

    Attributes:
        text: what it says.
        raw: how one character is written, if it is written as an escape.
    """

    text: str
    raw: str | None = None

    @property
    def chars(self) -> int:
        """How long it is as written."""
        return len(self.text if self.raw is None else self.raw)


@dataclass(slots=True)
class _Behind(Event):
    """Goes through a pipeline behind a piece of text: where it comes out, all before it has been decided.

    Args:
        read: how much of the passage was read by then, as written.
    """

    read: int = 0


class Outlet:
    """The front of a hold. Text that stays is released together with its neighbours, so that a chunk in which nothing changed
    leaves as it came.

    Args:
        hold: the hold.

    Attributes:
        unread: characters at its end that have not been read yet, and do not count.

    Example:
        >>> hold = Hold()
        >>> hold.append("secret", "secret")
        >>> outlet = Outlet(hold)
        >>> outlet.keep(1), outlet.keep(2), outlet.replace(3, "*"), hold.out
        (None, None, None, ['sec', '*'])
    """

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.unread = 0
        self._kept = 0

    def __len__(self) -> int:
        return len(self.hold) - self._kept - self.unread

    @property
    def offset(self) -> int:
        """Where what is held begins, in characters of the channel."""
        return self.hold.offset + self._kept

    def last(self, chars: int, taken: int | None = None) -> str:
        """So much of the end of the hold; or only as many characters of that."""
        buf = self.hold.buf
        begin = len(buf) - self.unread - chars
        return buf[begin : begin + (chars if taken is None else taken)]

    def keep(self, chars: int) -> None:
        """Release so much unchanged, soon."""
        self._kept += chars

    def replace(self, chars: int, text: str) -> None:
        """Release text in place of so much."""
        if chars or text:
            self.settle()
            self.hold.replace(chars, text)

    def give(self, event: Event) -> None:
        """Release an event."""
        self.settle()
        self.hold.out.append(event)

    def settle(self) -> None:
        """Release what is to be kept."""
        if self._kept:
            kept, self._kept = self._kept, 0
            self.hold.keep(kept)


class Passage:
    r"""One text on its way through a pipeline.

    Args:
        machine: the pipeline, started.
        outlet: the hold that the text is in; what was read is taken from its front when it has come out.
        is_spelled: whether what is changed is spelled as in a JSON string; else it is given as it is.

    Attributes:
        done: how the pipeline ended more than this text, if it did.
        is_spelled: as above.

    Example:
        >>> import streamfilter as sf
        >>> hold = Hold()
        >>> hold.append(written := r"caf\u00e9: \u0040joe, \"joe\"", written)
        >>> passage = Passage(sf.Redact("@[a-z]+").machine(), Outlet(hold))
        >>> passage.feed([Token("caf"), Token("é", r"\u00e9"), Token(": "), Token("@", r"\u0040"), Token("joe, ")])
        >>> passage.feed([Token('"', r"\""), Token("joe"), Token('"', r"\"")])
        >>> passage.finish()
        >>> print(*hold.out, sep="")
        caf\u00e9: [redacted], \"joe\"
    """

    def __init__(self, machine: Machine, outlet: Outlet, *, is_spelled: bool = True) -> None:
        self.done: Finish | End | None = None
        self.is_spelled = is_spelled
        self._machine = machine
        self._outlet = outlet
        self._channel = outlet.hold.channel
        # As written, in characters of the passage: how much was read, how much of that has come out as it was, and how much has
        # left the hold.
        self._read = self._matched = self._gone = 0
        self._marked = 0  # of what was read: as far as it is, or will be, known what has been decided
        self._same = True  # whether what came out is so far what went in
        self._pending: deque[Token] = deque()  # while that is so: what went in and has not come out, but for the beginning
        self._at = 0  # of the first of them, up to here
        self._ahead = ""  # or what came out and has not gone in

    @property
    def held(self) -> int:
        """Characters in the hold that were read, as written."""
        return self._read - self._gone

    def feed(self, tokens: Sequence[Token]) -> None:
        """Take in some text, which stands in the hold behind what was read before; what may leave does."""
        pinned = self._outlet.hold.pinned
        if not pinned:
            self._feed(tokens)
            if not self._same or self._read - self._marked >= MARK_CHARS:
                self._mark()
            return
        self._mark()
        for part in _cut(tokens, self._outlet.offset + self.held, pinned):
            self._feed(part)
            self._mark()

    def finish(self) -> None:
        """The text ends here."""
        if not self._read:
            self._put([Token("")])  # an empty text is one too
        if self.done is None:
            self._take(self._machine.finish())
        if self.done is None:
            self._decided(self._read)
        self.leave()

    def leave(self) -> None:
        """Nothing more is wanted of it."""
        self._machine.cancel()

    # ------------------------------------------------------------------ in

    def _feed(self, tokens: Sequence[Token]) -> None:
        begin = 0
        for n, token in enumerate(tokens):
            if token.raw is not None and n > begin:  # what has come out before it goes in must be known
                self._put(tokens[begin:n])
                begin = n
            if self.done is not None:
                return
        self._put(tokens[begin:])

    def _mark(self) -> None:
        """Find out what of the text that was read has been decided: events behind it may leave then, and it leaves the hold."""
        if max(self._gone, self._marked) < self._read and self.done is None:
            self._marked = self._read
            self._take(self._machine.feed(_Behind(scope=self._channel, read=self._read)))

    def _put(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            text, raw = token
            self._read += len(text if raw is None else raw)
            if self._same and text:
                if self._ahead:
                    self._await(token)
                else:
                    self._pending.append(token)
        text = tokens[0].text if len(tokens) == 1 else "".join([token.text for token in tokens])
        self._take(self._machine.feed(text if self._channel is PLAIN else TextDelta(text, self._channel)))

    def _await(self, token: Token) -> None:
        """It went in, and some of it has come out before; the rest is to come out."""
        ahead = self._ahead
        early = min(len(ahead), len(token.text))
        if ahead[:early] != token.text[:early]:
            self._changed()
            return
        self._ahead = ahead[early:]
        self._matched += early if token.raw is None else token.chars
        if early < len(token.text):
            self._pending.append(Token(token.text[early:]))

    # ------------------------------------------------------------------ out

    def _take(self, items: Sequence[Item]) -> None:
        """What came out of the pipeline."""
        for item in items:
            if isinstance(item, str):
                self._release(item)
            elif isinstance(item, TextDelta):
                self._release(item.text)
            elif isinstance(item, _Behind):
                self._decided(item.read)
            elif isinstance(item, Finish | End):
                self.done = item
                return
            else:
                self._outlet.give(item)

    def _release(self, text: str) -> None:
        if not self._same:
            self._outlet.replace(0, self._spelled(text))
            return
        raw, chars = self._match(text)
        if chars == len(text):
            self._keep(raw)
            return
        if self._same:
            self._ahead += text[chars:]
            if len(self._ahead) > LAG_CHARS:
                self._changed()
        self._outlet.replace(0, raw + self._spelled(text[chars:]))
        self._matched += len(raw)

    def _match(self, text: str) -> tuple[str, int]:
        """How much of a text comes out as it went in: as written, and in characters of the text."""
        pending = self._pending
        if pending and pending[0].raw is None and pending[0].text.startswith(text, self._at):
            self._at += len(text)
            if self._at == len(pending[0].text):
                pending.popleft()
                self._at = 0
            return text, len(text)
        raw: list[str] = []
        chars = 0
        while chars < len(text) and pending:
            token, at = pending[0], self._at
            n = min(len(text) - chars, len(token.text) - at)
            expected = token.text[at : at + n]
            came = text[chars : chars + n]
            if came != expected:
                n = next(i for i in range(n) if came[i] != expected[i])
                raw.append(expected[:n])
                chars += n
                self._changed()
                break
            raw.append(expected if token.raw is None else token.raw)
            chars += n
            self._at += n
            if self._at == len(token.text):
                pending.popleft()
                self._at = 0
        return raw[0] if len(raw) == 1 else "".join(raw), chars

    def _keep(self, raw: str) -> None:
        """Release text as it is written."""
        if self._gone < self._matched:  # this has come out already, before it went in
            self._outlet.replace(self._matched - self._gone, "")
            self._gone = self._matched
        self._matched += len(raw)
        if self._gone == self._matched - len(raw):
            self._outlet.keep(len(raw))
            self._gone = self._matched
        else:  # something before it was deleted, and this has come out in its place
            self._outlet.replace(0, raw)

    def _decided(self, read: int) -> None:
        """All has come out that so much of the passage becomes: what is left of it in the hold leaves no more."""
        if read > self._gone:
            self._outlet.replace(read - self._gone, "")
            self._gone = read
        if self._same and read - self._matched > LAG_CHARS:
            self._changed()

    def _changed(self) -> None:
        self._same = False
        self._pending.clear()
        self._ahead = ""

    def _spelled(self, text: str) -> str:
        return escaped(text) if self.is_spelled else text


def _cut(tokens: Sequence[Token], at: int, places: Sequence[int]) -> Iterator[Sequence[Token]]:
    """Tokens that begin at a place, cut at some places; an escape is not cut, but behind it."""
    part: list[Token] = []
    for token in tokens:
        end = at + token.chars
        inside = [place for place in places if at < place <= end]
        begin = at
        for place in inside if token.raw is None else inside[:1]:
            part.append(token if token.raw is not None else Token(token.text[begin - at : place - at]))
            yield part
            part = []
            begin = place
        if begin < end and (token.raw is None or not inside):
            part.append(Token(token.text[begin - at :], token.raw))
        at = end
    if part:
        yield part


def escaped(text: str) -> str:
    r"""A text as it is written in a JSON string, with no more escapes than needed.

    Example:
        >>> print(escaped('"é"\n\x00\ud800'))
        \"é\"\n\u0000\ud800
    """
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT.get(character) or f"\\u{ord(character):04x}"
