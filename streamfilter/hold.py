"""The one hold buffer: the text of one run that has arrived and may not leave yet, and the events that stand in it.

`keep` and `replace` always take characters from the front, so the buffer knows which input each released piece came from: an
event pinned in the text leaves exactly when the text before it has left, and text leaves on the provider's chunk that brought it.
The buffer decides nothing: what may leave is the text machine's business, and what a chunk is, the provider's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from streamfilter.items import PLAIN, Channel, Event, Item, TextDelta

TRIM_CHARS = 256
"""Released characters that may pile up to the left of the hold before they are cut off: cutting at each release would copy the
held text each time, cutting seldom would keep memory; at this size a cut costs as much as one ordinary concatenation."""


class Hold:
    """The waiting text of one run.

    Args:
        channel: the channel of the run.
        context: how many released characters stay readable to the left (`buf[:pos]`), for matchers that look behind.
        offset: characters of this channel that earlier runs have seen.

    Attributes:
        buf: released context followed by the held text.
        pos: where the held text begins in `buf`.
        out: the items released since the machine was last fed.
        stops: a search, such as that of a pattern, which a machine may set when it is fed. Until it is fed again, a piece in which
            this finds nothing passes where nothing is held, and the machine, which would only keep it, is not asked: most machines
            are at rest in most of a text. It is not looked at where a machine has `context`.
        passed: the last piece that passed so.

    Example:
        >>> hold = Hold()
        >>> hold.append("secret!", "secret!")
        >>> hold.replace(6, "***")
        >>> hold.keep(1)
        >>> hold.out
        ['***', '!']
    """

    __slots__ = ("_last", "_pieces", "_pins", "base", "buf", "channel", "context", "out", "passed", "pos", "simple", "stops")

    def __init__(self, channel: Channel = PLAIN, *, context: int = 0, offset: int = 0) -> None:
        self.buf: str = ""
        self.pos: int = 0
        self.out: list[Item] = []
        self.channel: Channel = channel
        self.context: int = context
        self.simple: bool = not context  # no context to keep and no deltas: `buf` may be replaced once all of it is released
        self.base: int = offset  # of buf[0], in characters of the channel
        self.stops: Callable[[str], object] | None = None
        self.passed: str = ""
        # (end, delta) for each piece of the held text; None while the run has seen plain text only. A piece of plain text in a
        # run that has seen both has no delta.
        self._pieces: deque[tuple[int, TextDelta | None]] | None = None
        self._pins: deque[tuple[int, Event]] | None = None  # (place, event)
        self._last: TextDelta | None = None

    def __len__(self) -> int:
        return len(self.buf) - self.pos

    def __repr__(self) -> str:
        return f"<Hold of {len(self)} characters in the {self.channel.kind}>"  # never the text

    @property
    def text(self) -> str:
        """The held text."""
        return self.buf[self.pos :]

    @property
    def offset(self) -> int:
        """Where the held text begins, in characters of the channel."""
        return self.base + self.pos

    @property
    def pinned(self) -> Sequence[int]:
        """Where in the held text events stand, in characters of the channel."""
        return [place for place, _ in self._pins] if self._pins else ()

    # ------------------------------------------------------------------ what a text machine calls

    def keep(self, n: int) -> None:
        """Release the first `n` held characters unchanged, and every event up to them.

        Raises:
            ValueError: there are fewer held characters.
        """
        pos = self.pos
        stop = pos + n
        buf = self.buf
        if stop > len(buf) or n < 0:
            raise ValueError(f"keep({n}): only {len(buf) - pos} characters are held")
        pins = self._pins
        if pins is None and self._pieces is None:
            if n:
                self.out.append(buf[pos:stop])
                self.pos = stop
            return
        while pins and (place := pins[0][0] - self.base) <= stop:
            self._release(place)
            self.out.append(pins.popleft()[1])
        if not pins:
            self._pins = None
        self._release(stop)

    def replace(self, n: int, text: str) -> None:
        """Release `text`, in one piece, in place of the first `n` held characters. Events that stand in them follow right after it.

        With `n == 0` it is an insertion. An empty `text` deletes.

        Raises:
            ValueError: there are fewer held characters.
            TypeError: `text` is no str.
        """
        pos = self.pos
        stop = pos + n
        if stop > len(self.buf) or n < 0:
            raise ValueError(f"replace({n}, …): only {len(self.buf) - pos} characters are held")
        if not isinstance(text, str):
            raise TypeError(f"replace({n}, …) was given {type(text).__qualname__}: a str is needed")
        if self._pieces is None:
            if text:
                self.out.append(text)
            self.pos = stop
        else:
            if text:
                first = self._pieces[0][1] if self._pieces else self._last
                # Where plain text and deltas share a run, what stands in for plain text is plain.
                self.out.append(text if first is None else TextDelta(text, self.channel, first.origin))
            self.pos = stop
            self._forget_pieces()
        if self._pins is not None:
            self._unpin()

    def units(self, ends: Iterable[int], start: int) -> None:
        """Release the first held characters unchanged, as units: each in one piece, whatever pieces its text has come in.

        A unit leaves as a replacement does: on the chunk of its first character, and events that stand in it follow right after it.
        One that came as one piece is that piece.

        Args:
            ends: where the units end, ascending, in a count of one's own.
            start: where the held text begins in that count.

        Raises:
            ValueError: an end is behind the held text, or not behind the one before it.

        Example:
            >>> hold = Hold()
            >>> hold.append("one two three", "one two three")
            >>> hold.units([4, 8], 0)
            >>> hold.out
            ['one ', 'two ']
        """
        pos = self.pos
        shift = pos - start
        buf = self.buf
        size = len(buf)
        pieces = self._pieces
        is_plain = pieces is None and self._pins is None
        for end in ends:
            stop = end + shift
            if not pos < stop <= size:
                raise ValueError(f"units: an end at {end} where the units before it end at {pos - shift}, of {size - shift}")
            self.out.append(buf[pos:stop] if pieces is None else self._joined(stop))
            self.pos = pos = stop
            if not is_plain:
                if pieces is not None:
                    self._forget_pieces()
                if self._pins is not None:
                    self._unpin()

    def _joined(self, stop: int) -> str | TextDelta:
        """The text up to `buf[stop]` as one item of a run that has seen deltas."""
        end, first = self._pieces[0]  # type: ignore[index]  # it has pieces, and text that is held is in one
        if first is not None and end - self.base == stop and len(first.text) == stop - self.pos:
            return first
        text = self.buf[self.pos : stop]
        # Where plain text and deltas share a run, what begins with plain text is plain.
        return text if first is None else TextDelta(text, self.channel, first.origin)

    # ------------------------------------------------------------------ what the kernel calls

    def append(self, item: str | TextDelta, text: str) -> None:
        """Take in one piece, whose text is `text`."""
        buf = self.buf
        if self.pos > TRIM_CHARS and (cut := self.pos - self.context) > TRIM_CHARS:
            buf = buf[cut:]
            self.base += cut
            self.pos = self.context
        # With no other reference to it, CPython grows a string in place: held text costs nothing to extend.
        self.buf = ""
        buf += text
        self.buf = buf
        if self._pieces is not None or item is not text:
            self._append_piece(item, len(text))

    def note(self, item: str | TextDelta) -> None:
        """A piece has come that is not held: what is inserted from now on is of its kind, a delta or plain text."""
        delta = item if isinstance(item, TextDelta) else None
        if self._pieces is None:
            if delta is None:
                return
            self._pieces = self._begin_pieces(0)
        self._last = delta

    def _append_piece(self, item: str | TextDelta, chars: int) -> None:
        if self._pieces is None:
            self._pieces = self._begin_pieces(chars)
        self._pieces.append((self.base + len(self.buf), item if isinstance(item, TextDelta) else None))

    def _begin_pieces(self, chars: int) -> deque[tuple[int, TextDelta | None]]:
        """The pieces of a run that has seen plain text so far, but for the last so many characters."""
        self.simple = False
        plain = self.base + len(self.buf) - chars
        return deque([(plain, None)] if plain > self.offset else [])

    def pin(self, event: Event) -> None:
        """Put an event behind the text that is held now."""
        if self._pins is None:
            self._pins = deque()
        self._pins.append((self.base + len(self.buf), event))

    def drop(self) -> list[Event]:
        """Let the held text die, and hand over the events that stood in it."""
        events = [event for _, event in self._pins or ()]
        self._pins = None
        self.pos = len(self.buf)
        if self._pieces is not None:
            self._forget_pieces()
        return events

    def forget(self) -> None:
        """The run is over and nothing of it is held: forget all but how far the channel has come."""
        self.base = self.offset
        self.pos = 0
        self.buf = self.passed = ""
        self.stops = self._pieces = self._last = None

    # ------------------------------------------------------------------

    def _release(self, stop: int) -> None:
        """Release unchanged text up to `buf[stop]`, each piece on the chunk that brought it."""
        if self._pieces is None:
            if stop > self.pos:
                self.out.append(self.buf[self.pos : stop])
                self.pos = stop
            return
        while self.pos < stop:
            end, delta = self._pieces[0]
            upto = min(end - self.base, stop)
            text = self.buf[self.pos : upto]
            if delta is None:
                self.out.append(text)
            elif len(text) == len(delta.text):
                self.out.append(delta)
            else:
                self.out.append(TextDelta(text, self.channel, delta.origin))
            self.pos = upto
            self._forget_pieces()

    def _forget_pieces(self) -> None:
        pieces = self._pieces
        at = self.base + self.pos
        while pieces and pieces[0][0] <= at:
            self._last = pieces.popleft()[1]

    def _unpin(self) -> None:
        pins = self._pins
        at = self.base + self.pos
        while pins and pins[0][0] <= at:
            self.out.append(pins.popleft()[1])
        if not pins:
            self._pins = None
