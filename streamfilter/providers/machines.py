"""The machines of `Decode`, `Encode` and `wrap`, between a reader and a writer of some format.

What one item of the source brings is worked off in steps: some events, or a slice of a large text, and others have a turn. An event
is read, and written, as a whole. Nothing is known here of what chunks look like.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any, Protocol

from streamfilter.errors import Unfit
from streamfilter.items import End, Event, Item, TextDelta, Usage
from streamfilter.machine import Machine, Watcher
from streamfilter.slices import Steps, advanced, is_large, started

STEP_EVENTS = 64
"""Events that are read without a turn for others: each takes some 20 to 50 µs to read, filter and write."""


class Origin(Protocol):
    """A chunk that was read.

    Attributes:
        items: all that was read from it, in order.
    """

    @property
    def items(self) -> list[Item]: ...


class Reader(Protocol):
    """One stream of chunks, read.

    Attributes:
        as_bytes: whether it came as bytes.
    """

    as_bytes: bool

    def read(self, item: object) -> Iterator[Any]:
        """What was read from one item of the source: an `Origin` for each chunk, an `End` behind the last good one."""
        ...

    def finish(self) -> Iterator[Any]:
        """What was left in bytes when the source ended."""
        ...


class Writer(Protocol):
    """One stream of chunks, written.

    Attributes:
        as_bytes: whether to give bytes.
        max_aggregate: characters of one channel that are kept because an event may repeat them. What repeats more is filtered by
            itself, as a quote.
    """

    as_bytes: bool
    max_aggregate: int

    def note(self, origin: Any) -> None:
        """A chunk has arrived."""

    def write(self, items: Sequence[Item]) -> list[Any]:
        """The chunks for what came out of one source chunk. An `End` stays the last."""
        ...

    def finish(self) -> list[Any]:
        """What ends the stream after all else."""
        ...

    def rest(self) -> list[Any]:
        """What is left of the end of what was sent last."""
        ...


class Decoding(Machine):
    """The machine of `Decode`.

    Args:
        reader: of the stream.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def feed(self, item: Any) -> Sequence[Item]:
        return self._items(self._reader.read(item))

    def steps(self, item: Any) -> Steps | None:
        return self._steps(self._reader.read(item)) if is_large(item) else None

    def _steps(self, origins: Iterator[Any]) -> Steps:
        given = self._items(islice(origins, STEP_EVENTS))
        while not self.ended and (first := next(origins, None)) is not None:
            yield given
            given = self._items(chain((first,), islice(origins, STEP_EVENTS - 1)))
        return given

    def finish(self) -> Sequence[Item]:
        return () if self.ended else self._items(self._reader.finish())

    def drain(self, item: Any) -> Sequence[Item]:
        return [out for out in self.feed(item) if isinstance(out, Usage)]

    def _items(self, origins: Iterator[Any]) -> Sequence[Item]:
        out: list[Item] = []
        for origin in origins:
            if isinstance(origin, End):
                self.ended = True
                return [*out, origin]
            out += origin.items
        return out


class Encoding(Machine):
    """The machine of `Encode`.

    Args:
        name: the format's, for errors.
        writer: of the stream.
    """

    def __init__(self, name: str, writer: Writer) -> None:
        self._name = name
        self._writer = writer

    def feed(self, item: Item) -> Sequence[Any]:
        if not isinstance(item, str | Event):
            kind = type(item).__qualname__
            raise Unfit(f"{self._name}.Encode was fed {kind}: it writes items, text and events; read chunks with Decode")
        out = self._writer.write((item,))
        self.ended: bool = bool(out) and isinstance(out[-1], End)
        return out

    def finish(self) -> Sequence[Any]:
        ending = [] if self.ended else self._writer.write((End("end"),))[:-1]
        return [*ending, *self._writer.finish()]

    def drain(self, item: Item) -> Sequence[Any]:
        return self._writer.write((item,)) if isinstance(item, Usage) else ()


class Wrapping(Machine):
    """The machine of `wrap`.

    Args:
        inner: the pipeline's.
        reader: of the stream.
        writer: of what leaves.
        drains: whether the stream is read on for its usage when a stage has ended it.
    """

    def __init__(self, inner: Machine, reader: Reader, writer: Writer, *, drains: bool) -> None:
        self._inner = inner
        self._drains = drains
        self._reader = reader
        self._writer = writer
        self._late: list[Item] = []  # usage on the chunk at which a stage ended the stream, while text before it is still held
        self._is_finishing = False
        self.waits: bool = inner.waits
        self.watchers: Sequence[Watcher] = inner.watchers

    def feed(self, item: Any) -> Sequence[Any]:
        return self._through(self._reader.read(item))

    def begin(self, item: Any) -> tuple[Sequence[Any], Steps | None]:
        if is_large(item):
            return super().begin(item)
        origins = self._reader.read(item)
        first = next(origins, None)
        if first is None:
            return (), None
        origins = chain((first,), origins)
        if not isinstance(first, End) and any(map(is_large, first.items)):
            return started(self._steps(origins))
        return self._through(origins), None

    def steps(self, item: Any) -> Steps:
        return self._steps(self._reader.read(item))

    def finish(self) -> Sequence[Any]:
        self._is_finishing = True
        out: list[Any] = []
        if not self.ended:
            out += self._through(self._reader.finish())
        elif self._drains:
            out += [made for late in self._reader.finish() for made in self._drained(late)]
        if not self.ended:
            out += self._written(self._inner.finish())
        return self._finished(out)

    def collect(self) -> Sequence[Any]:
        out = self._written(self._inner.collect())
        return self._finished(out) if self._is_finishing else out

    def attach(self, wake: Callable[[], None]) -> None:
        self._inner.attach(wake)

    def cancel(self) -> Sequence[Awaitable[object]]:
        return self._inner.cancel()

    @property
    def is_full(self) -> bool:  # type: ignore[override]  # these are the pipeline's
        return self._inner.is_full

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        return self._inner.is_pending

    def drain(self, item: Any) -> Sequence[Any]:
        return [made for origin in self._reader.read(item) for made in self._drained(origin)]

    def _drained(self, origin: Any) -> list[Any]:
        items = [] if isinstance(origin, End) else origin.items
        return self._written([out for each in items for out in self._inner.drain(each)])

    @property
    def held(self) -> int:
        return self._inner.held

    def _through(self, origins: Iterator[Any]) -> Sequence[Any]:
        """Each chunk through the pipeline, and what comes of it written as one."""
        out: list[Any] = []
        for origin in origins:
            out += self._written(self._fed(self._noted(origin)))
            if self.ended:
                return self._over(out, origins)
            if self._inner.ended and not self._drains:
                break
        return out

    def _steps(self, origins: Iterator[Any]) -> Steps:
        """The same in steps."""
        out: list[Any] = []
        for n, origin in enumerate(origins, 1):
            items = self._noted(origin)
            out += self._written((yield from self._in_turn(items)) if any(map(is_large, items)) else self._fed(items))
            if self.ended:
                return self._over(out, origins)
            if self._inner.ended and not self._drains:
                break
            if n % STEP_EVENTS == 0:
                yield out
                out = []
        return out

    def _over(self, out: list[Any], late: Iterator[Any]) -> Sequence[Any]:
        """What leaves when the stream is over, with the usage on what comes late."""
        end = out.pop()
        return [*out, *([made for origin in late for made in self._drained(origin)] if self._drains else ()), end]

    def _noted(self, origin: Any) -> Sequence[Item]:
        """The items of a chunk, of which the writer knows."""
        if isinstance(origin, End):
            return [origin]
        self._writer.note(origin)
        items: Sequence[Item] = origin.items
        return items

    def _fed(self, items: Sequence[Item]) -> list[Item]:
        """What comes of one chunk's items. If the stream ends at one of them, usage on the same chunk still counts."""
        out: list[Item] = []
        for item in items:
            if self._inner.ended:
                self._late += self._inner.drain(item)
            else:
                out += self._inner.feed(item)
        return out

    def _in_turn(self, items: Sequence[Item]) -> Generator[Sequence[Any], None, list[Item]]:
        """The same in steps: what comes of the chunk is still written as one."""
        out: list[Item] = []
        for item in items:
            work = None if self._inner.ended else self._inner.steps(item)
            if work is None:
                out += self._fed([item])
                continue
            is_over, pieces = False, list[Item]()
            while not is_over:
                given, is_over = advanced(work)
                pieces += _rejoined(item, given)  # here too, so that it is not all left for the last step
                if not is_over:
                    yield ()
            out += _rejoined(item, pieces)
        return out

    def _written(self, items: Sequence[Item]) -> list[Any]:
        self._writer.as_bytes = self._reader.as_bytes
        if items and isinstance(items[-1], End):
            self.ended = True
            items = [*items[:-1], *self._late, items[-1]]
        return self._writer.write(items)

    def _finished(self, out: list[Any]) -> Sequence[Any]:
        """If a stage has ended the stream, what ends it for the client."""
        end = [out.pop()] if out and isinstance(out[-1], End) else []
        return [*out, *(self._writer.finish() if self.ended else self._writer.rest()), *end]


def _rejoined(item: Item, pieces: Sequence[Item]) -> list[Item]:
    """What came of an item that was fed in slices: pieces of its text that follow one another are one; if that is all, the item."""
    if type(item) is not TextDelta:
        return [*pieces]
    out: list[Item] = []
    for is_text, group in groupby(pieces, lambda each: type(each) is TextDelta and each.origin is item.origin):
        parts: list[Any] = [*group]
        if is_text and len(parts) > 1 and len({part.channel for part in parts}) == 1:
            text = "".join([part.text for part in parts])
            parts = [item if text == item.text else TextDelta(text, parts[0].channel, item.origin)]
        out += parts
    return out
