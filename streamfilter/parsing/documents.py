"""Documents in a stream: which text is read, where in it a document begins, what stands around it, and how it may end.

Strictly, the text is one document and nothing else. Otherwise prose and fences are skipped, as `search` has it.

What is made of a document is not known here: a `Reading` is a sink, and is asked after each piece what it has to give.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from streamfilter.errors import MalformedInput, TruncatedInput, Unfit
from streamfilter.items import Channel, End, Event, TextDelta
from streamfilter.machine import Machine, refusal, wrong_item
from streamfilter.parsing.parser import BLANKS, Limits, Parser, Position, Sink
from streamfilter.parsing.search import Search
from streamfilter.slices import Steps, at_once, cut, is_large

STEP_CHARS = 4096
"""Characters that are read without a turn for others: most take far below a microsecond, as events or with a model one or two."""


class Reading(Sink):
    """What is made of one document."""

    def given(self) -> Sequence[Any]:
        """What there is to give behind a piece in which the document has not ended."""
        return ()

    def ready(self) -> Sequence[Any]:
        """What of that is certain while the piece still goes on."""
        return ()

    def piece(self, text: str) -> Sequence[Any]:
        self.text(text)
        return self.given()

    def finish(self) -> Sequence[Any]:
        """The document is complete: all that there still is to give."""
        return self.given()


_NONE = Reading()
_BEGINNING = Position()


@dataclass(frozen=True, slots=True)
class Reader:
    """How documents are read.

    Attributes:
        name: the stage's, for errors.
        begin: begins the reading of a document, by its number.
        kind: the kind of channel that is read.
        opens: which brackets may open a document, where it is not strict.
        strict: whether the text is one document and nothing else.
        many: whether there may be several: one behind the other, each on a line, or as JSON Text Sequences (RFC 7464).
        truncated: what happens where the text ends inside a document.
        limits: of the parser.
        wrap: what is given for a value, of the document of that number, and whether it is the last of it.
        is_sliced: whether a large text may be read in slices: not where what is given shows what a piece was whole in.
    """

    name: str
    begin: Callable[[int], Reading]
    kind: str = "answer"
    opens: str = "{["
    strict: bool = False
    many: bool = False
    truncated: Literal["raise", "partial"] = "raise"
    limits: Limits = field(default_factory=Limits)
    wrap: Callable[[int, Any, bool], Any] | None = None
    is_sliced: bool = True


class Documents(Machine):
    """The machine of every stage that reads JSON.

    Args:
        reader: how.

    Attributes:
        completed: how many documents are complete.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._channel: Channel | None = None  # the one that is read: the first of its kind
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parser: Parser | None = None
        self._reading = _NONE
        self._wrong_bytes = False
        self.completed: int = 0  # documents
        self._position = _BEGINNING
        self._search = Search(reader.opens, reader.limits)
        self._wrap = reader.wrap
        self._goes_on = False  # the piece, behind what is read just now

    def feed(self, item: Any) -> Sequence[Any]:
        parser = self._parser
        if type(item) is str and parser is not None:  # nearly all of a document
            take = parser.take
            try:
                if take is not None and '"' not in item and "\\" not in item and item.isprintable() and item:
                    end = parser.end + len(item)
                    if end <= parser.last:  # most of a document is the text of strings
                        parser.end = end
                        given = take(item) or ()
                        return given if self._wrap is None else self._wrapped(given)
                taken = parser.feed(item)
            except Exception as error:
                return self._refused(error)
            if parser.is_complete:
                return self._read(item[taken:], parser)
            given = self._reading.given()
            return given if self._wrap is None else self._wrapped(given)
        if isinstance(item, End):
            return self._ended(item)
        text = item if type(item) is str else self._text(item)
        out = self._read(text) if text else ()
        return [*out, *self._refused_bytes()] if self._wrong_bytes and not self.ended else out

    def steps(self, item: Any) -> Steps | None:
        return self._steps(item) if is_large(item) and self._reader.is_sliced else None

    def _steps(self, item: Any) -> Steps:
        given = yield from self._bit_by_bit(self._text(item))
        return [*given, *self._refused_bytes()] if self._wrong_bytes and not self.ended else given

    def _bit_by_bit(self, text: str) -> Steps:
        given: Sequence[Any] = ()
        for n, piece in enumerate(cut(text, STEP_CHARS), 1):
            if n > 1:
                yield given
            self._goes_on = n * STEP_CHARS < len(text)
            given = self._read(piece)
            if self.ended:
                return given
        return given

    def finish(self) -> Sequence[Any]:
        return () if self.ended else self._settled()

    def drain(self, item: Any) -> Sequence[Any]:
        return ()

    def cancel(self) -> Sequence[Awaitable[object]]:
        self._search.leave()
        if self._parser is not None:
            self._parser.leave()
        return ()

    # ------------------------------------------------------------------ which text

    def _text(self, item: Any) -> str:
        """The text of an item, if it is of the channel that is read."""
        if isinstance(item, str):
            return str.__str__(item)
        if isinstance(item, bytes | bytearray | memoryview):
            self._decoder = self._decoder or codecs.getincrementaldecoder("utf-8")()
            return self._decoded(bytes(item))
        if isinstance(item, TextDelta):
            if self._channel is None and item.channel.kind == self._reader.kind and _is_first(item.channel):
                self._channel = item.channel
            return item.text if item.channel == self._channel else ""
        if not isinstance(item, Event):
            raise Unfit(wrong_item(self._reader.name, item))
        return ""

    def _refused_bytes(self) -> Sequence[Any]:
        parser = self._parser
        place = (parser.position if parser else self._position).place
        return self._refused(MalformedInput("the bytes are no UTF-8", path=tuple(parser.path) if parser else (), **place))

    def _decoded(self, data: bytes) -> str:
        """Bytes as text; of wrong ones, what stands before."""
        assert self._decoder is not None
        try:
            return self._decoder.decode(data)
        except UnicodeDecodeError as error:
            self._wrong_bytes = True
            return error.object[: error.start].decode()

    # ------------------------------------------------------------------ documents

    def _read(self, text: str, completed: Parser | None = None) -> Sequence[Any]:
        """Read text, behind a document that has just been completed."""
        out: list[Any] = []
        try:
            if completed is not None:
                out += self._completed(completed)
            if len(text) > STEP_CHARS and self._reader.many:  # behind each document the rest of it is copied
                return [*out, *at_once(self._bit_by_bit(text))]
            while text:
                parser = self._parser
                if parser is None:
                    text = self._between(text)
                    continue
                taken = parser.feed(text)
                if not parser.is_complete:
                    reading = self._reading
                    out += self._wrapped(reading.ready() if self._goes_on else reading.given())
                    break
                text = text[taken:]
                out += self._completed(parser)
        except Exception as error:
            return [*out, *self._refused(error)]
        return out

    def _between(self, text: str) -> str:
        """Text that is in no document: what is to be read of it by a parser, once there is one."""
        reader = self._reader
        if self.completed and not reader.many and not reader.strict:
            self._position = self._position.behind(text)
            return ""
        if not reader.strict:
            skipped, candidate = self._search.feed(text, self._position.offset)
            if skipped:
                self._position = self._position.behind(skipped)
            if candidate:
                self._open()
            return candidate
        begins = len(text) - len(text.lstrip(BLANKS + "\x1e" if reader.many else BLANKS))
        self._position = self._position.behind(text[:begins])
        text = text[begins:]
        if text and self.completed and not reader.many:
            raise MalformedInput("there is something behind the document", path=(), **self._position.place)
        if text:
            self._open()
        return text

    def _open(self) -> None:
        self._reading = self._reader.begin(self.completed)
        self._parser = Parser(self._reading, self._reader.limits, self._position)

    def _completed(self, parser: Parser) -> Sequence[Any]:
        self._parser = None
        self._position = parser.position
        given = self._wrapped(self._reading.finish(), complete=True)
        self.completed += 1
        self._reading = _NONE
        return given

    def _wrapped(self, values: Sequence[Any], *, complete: bool = False) -> Sequence[Any]:
        wrap, last = self._wrap, len(values) - 1
        return values if wrap is None else [wrap(self.completed, value, complete and n == last) for n, value in enumerate(values)]

    # ------------------------------------------------------------------ the end

    def _settled(self) -> Sequence[Any]:
        """The text is over."""
        out: list[Any] = []
        try:
            is_over = False
            while not is_over:  # what may have been a document was none; there may be one inside
                prose, rest = self._search.finish()
                self._position = self._position.behind(prose)
                out += self._read(rest)
                is_over = not rest
            if self.ended:
                return out
            if self._parser is None and not self.completed and self._search.is_empty_array:
                out += self._read_empty()
            if self._parser is not None:
                parser = self._parser
                parser.finish()
                out += self._completed(parser)
            elif self._decoder is not None and self._decoder.getstate()[0]:
                raise TruncatedInput("the bytes end inside a character", path=(), **self._position.place)
            elif not self.completed and not self._reader.many:
                raise TruncatedInput("there is no JSON document in the text", path=(), **self._position.place)
        except TruncatedInput as error:
            return out if self._reader.truncated == "partial" else [*out, *self._refused(error)]
        except Exception as error:
            return [*out, *self._refused(error)]
        return out

    def _read_empty(self) -> Sequence[Any]:
        self._open()
        return self._read("[]")

    def _ended(self, end: End) -> Sequence[Any]:
        """A stage before this one has ended the stream."""
        out = [*self._settled()] if end.error is None else []
        return out if self.ended else [*out, *self._end(end)]

    def _refused(self, error: Exception) -> Sequence[Any]:
        """Something is wrong: what was ready before it is given first."""
        return [*self._wrapped(self._reading.given()), *self._end(refusal(error))]

    def _end(self, end: End) -> Sequence[Any]:
        self.ended = True
        self._parser = None
        return (end,)


def _is_first(channel: Channel) -> bool:
    """Whether a channel is of the first choice of the first response."""
    return channel.key[:2] == (0, 0)[: len(channel.key[:2])]
