"""What `Resume` remembers of what it has given, and how it finds that again at the beginning of another connection.

Text is compared as text, whatever its cuts; everything else one by one, in order. No error here holds any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from streamfilter.errors import MalformedInput
from streamfilter.items import PLAIN, Channel, Event, Raw, TextDelta, ToolCall, Usage

Remembers: TypeAlias = Literal["nothing", "text", "items", "everything"]
"""What is remembered: nothing; the text; the text and events; the text and all that is given."""

TextOf: TypeAlias = Callable[[Any], str | None]


@dataclass(slots=True)
class _Run:
    """Text of one channel that nothing interrupts, in pieces."""

    channel: Channel | None
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0]


@dataclass(slots=True)
class _Other:
    """Something that is not text."""

    item: object


class Record:
    """What was given since some moment.

    Args:
        remembers: what of it.
        max_chars: how much text is remembered; all else counts as one character each.
        text_of: gives the text of an item; None is that of plain text and of `TextDelta`.

    Attributes:
        is_beyond: whether more was given than is remembered.
        chars: how much text was given at all.
    """

    def __init__(self, remembers: Remembers, max_chars: int, text_of: TextOf | None) -> None:
        self._remembers = remembers
        self._max_chars = max_chars
        self._text_of = text_of
        self.entries: list[_Run | _Other] = []
        self._size = 0
        self.is_beyond: bool = False
        self.chars: int = 0

    @property
    def text(self) -> str:
        """Its text: of several channels, that of the answer."""
        runs = [each for each in self.entries if isinstance(each, _Run)]
        return "".join(run.text for run in runs if run.channel is None or run.channel.kind == "answer")

    def add(self, item: object) -> None:
        """This was given."""
        channel, text = self.read(item)
        self.chars += len(text or "")
        if self._remembers == "nothing" or self.is_beyond:
            return
        if text is None and not self.counts(item):
            return
        self._size += 1 if text is None else len(text)
        if self._size > self._max_chars:
            self.clear()
            self.is_beyond = True
        elif text is None:
            self.entries.append(_Other(item))
        elif text:
            last = self.entries[-1] if self.entries else None
            if not isinstance(last, _Run) or last.channel != channel:
                last = _Run(channel)
                self.entries.append(last)
            last.pieces.append(text)

    def clear(self) -> None:
        """Begin again: from here on."""
        self.entries = []
        self._size = 0
        self.is_beyond = False

    def read(self, item: object) -> tuple[Channel | None, str | None]:
        """The text of an item, if it is one of text, and where that belongs."""
        if self._text_of is not None:
            text = self._text_of(item)
            if text is not None and not isinstance(text, str):
                raise TypeError(f"text= gave {type(text).__qualname__}: a str or None is needed")
            return None, text or (text if isinstance(item, str | TextDelta) else None)
        if isinstance(item, str):
            return PLAIN, item
        if isinstance(item, TextDelta):
            return item.channel, item.text
        return None, None

    def counts(self, item: object) -> bool:
        """Whether something that is not text is remembered. What stands nowhere in the text is not: pings, comments."""
        if isinstance(item, Event):
            return item.scope is not None and self._remembers in ("items", "everything")
        return self._remembers == "everything"

    def is_same(self, before: object, again: object) -> bool:
        """Whether something that is not text has come again. What is made anew each time is not compared: ids, counts."""
        if type(before) is not type(again):
            return False
        if isinstance(before, ToolCall) and isinstance(again, ToolCall):
            return (before.name, before.arguments) == (again.name, again.arguments)
        if isinstance(before, Raw | Usage) and isinstance(again, Raw | Usage):
            return before.scope == again.scope
        return self._text_of is not None or bool(before == again)


class Replay:
    """A connection that begins with what is in a record.

    Args:
        record: what was given. It may grow meanwhile.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._entries: Sequence[_Run | _Other] = [*record.entries]
        self._index = 0
        self._at = 0  # in the text of that entry
        self._chars = 0  # found again
        self._expected = ""  # the text of that entry
        self._open()

    @property
    def is_done(self) -> bool:
        """Whether everything was found again."""
        return self._index == len(self._entries)

    def rest(self, item: Any) -> Sequence[Any]:
        """What of this item was not given before: nothing, the item, or the end of its text.

        Raises:
            MalformedInput: it is something else than what was given before.
        """
        if self.is_done:
            return (item,)
        channel, text = self._record.read(item)
        entry = self._entries[self._index]
        if text is None:
            if not self._record.counts(item):
                return () if isinstance(item, Event) else (item,)
            if not isinstance(entry, _Other) or not self._record.is_same(entry.item, item):
                raise self.differs()
            self._advance()
            return ()
        if not text:
            return ()
        if not isinstance(entry, _Run) or entry.channel != channel:
            raise self.differs()
        size = min(len(text), len(self._expected) - self._at)
        if not self._expected.startswith(text[:size], self._at):
            raise self.differs(_common(text, self._expected[self._at : self._at + size]))
        self._at += size
        self._chars += size
        if self._at == len(self._expected):
            self._advance()
        if size == len(text):
            return ()
        if not self.is_done:
            raise self.differs()  # more text where something else has followed
        if isinstance(item, TextDelta) and item.text == text:
            return (TextDelta(text[size:], item.channel, item.origin),)
        if isinstance(item, str) and item == text:
            return (text[size:],)
        raise MalformedInput(
            "the chunks of the reopened source are cut otherwise than before, and only text can be cut", self._chars
        )

    def differs(self, chars: int = 0) -> MalformedInput:
        """The error for what does not fit, behind so many more characters."""
        return MalformedInput("the reopened source gives something else than before", self._chars + chars)

    def _advance(self) -> None:
        self._index += 1
        self._at = 0
        self._open()

    def _open(self) -> None:
        entry = None if self.is_done else self._entries[self._index]
        self._expected = entry.text if isinstance(entry, _Run) else ""


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
