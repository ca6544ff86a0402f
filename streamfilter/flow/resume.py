"""`Resume`: a source that opens a dropped one again, so that nobody who reads it notices.

It knows connections only as async iterables, and drops only as exceptions. It imports no client of any provider: their exceptions
are told by name.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import BeforeValidator, Field

from streamfilter.closing import Closing
from streamfilter.declaration import LONGEST_SECONDS, Declared, Plain, declared, plain, show
from streamfilter.errors import TruncatedInput
from streamfilter.flow.resume_record import Record, Remembers, Replay
from streamfilter.stream import check_source

T = TypeVar("T")

MAX_CHARS = 1_000_000
"""Characters that are remembered: twice the longest answer that models of today give (128,000 tokens of some four characters)."""

BACKOFF = (0.5, 2.0, 30.0)
"""Seconds to wait: at first, each time so many times longer, and at most. As the clients of OpenAI and Anthropic wait, but for the
longest: they give up after 8 s."""

DROPS: tuple[type[Exception] | str, ...] = (
    *(ConnectionError, TimeoutError),
    *(f"{name}.{each}" for name in ("httpx", "httpx2") for each in ("NetworkError", "TimeoutException", "RemoteProtocolError")),
    *("aiohttp.ClientConnectionError", "aiohttp.ClientPayloadError"),
    *("openai.APIConnectionError", "anthropic.APIConnectionError"),
)
"""The exceptions that mean that a connection was lost, or not made: those of Python and of usual clients, not what a server
answers."""

_REMEMBERS: dict[str, Remembers] = {"before_first_release": "nothing", "verify": "everything", "never": "text"}

Backoff: TypeAlias = Callable[[int], float] | tuple[float, float, float]
Sleep: TypeAlias = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """From where a connection is to be opened. Its repr shows no text.

    Attributes:
        attempt: 1 for the first connection, and then one more than connections have failed in a row.
        items: how many items were given so far.
        text: what was given of the answer's text, where it is needed: with `restart="never"` and `"verify"` all of it, with `id`
            what came after the event of that id, else "".
        last_id: the id of the last event that had one, if ids are read.
        error: what the last connection ended with; None for the first one.

    Example:
        >>> point = ResumePoint(attempt=2, items=3, text="Hello, ")
        >>> {"prompt": "Greet me.", "prefix": point.text}  # what a service is asked that goes on behind a text
        {'prompt': 'Greet me.', 'prefix': 'Hello, '}
        >>> point
        ResumePoint(attempt=2, items=3, last_id=None)
    """

    attempt: int = 1
    items: int = 0
    text: str = dataclasses.field(default="", repr=False)
    last_id: Any = None
    error: Exception | None = dataclasses.field(default=None, repr=False)


def _several(errors: Any) -> Any:
    return (errors,) if isinstance(errors, type | str) else errors


def _backoff(backoff: Any) -> Any:
    is_triple = isinstance(backoff, tuple | list) and len(backoff) == 3
    if callable(backoff) or (is_triple and all(isinstance(each, int | float) for each in backoff)):
        return plain(backoff)
    raise ValueError("(first, factor, max) in seconds is needed, such as (0.5, 2, 30), or a function of the attempt to seconds")


@declared
class Resume(Declared, Generic[T]):
    """A source that opens a dropped one again: nothing is lost and nothing doubled, and what reads it does not notice.

    `connect(point)` opens a connection, the first one too: it gives an async iterable, or is an async function that does. What it
    has to give from a `ResumePoint` depends on what the service can do:

    - *By event id* (`id=`): what follows the event `point.last_id`; from the beginning while that is None. Items without an id
      belong to the event whose id comes next: they are expected again, and skipped. Those that have neither id nor text pass
      (pings).
    - *By continuing a prefix* (`restart="never"`): what follows `point.text`.
    - *By restarting*: everything from its beginning. With `restart="before_first_release"`, the default, only a drop before
      anything was given is repaired; a later one is an error, as chat services would begin another answer. With `"verify"` what
      was given is skipped, however it is cut now, as long as it is the same; where it is not, that is an error.

    What this source has given counts as released, even if a stage still holds it. Each connection is closed once, before the next
    one is opened. Each iteration is a stream of its own. Read it through a pipeline, which closes it: `SAFE(sf.Resume(connect))`.

    Args:
        connect: called with a `ResumePoint`.
        attempts: how many connections may fail in a row. What is new ends the row, but not under `"verify"`, where each connection
            costs the whole answer again.
        backoff: how long to wait before the next one: a function of how many have failed in a row to seconds, or (first, factor,
            max) in seconds, of which a random part between half and all is waited.
        restart: None is `"never"` with `id`, else `"before_first_release"`.
        id: gives the id of an item, or None. If several items make up an event, the last one has its id.
        errors: the exceptions that are drops: classes, or names such as `"openai.APIError"` of what need not be imported, and what
            is derived from them; one, or a tuple of them. All others go on as they are.
        is_complete: whether this item is the last one there can be. If given, a source that ends with another one was dropped.
        text: gives the text of an item, or None; unless given that of plain text and of `TextDelta`.
        max_chars: how many characters are remembered. A drop after more of them, where they are needed, is an error.
        sleep: awaited to wait; `asyncio.sleep` unless given.

    Raises:
        ValueError: an argument makes no sense, or not beside another.
        TypeError: while streaming, if `connect` gives no async iterable.
        MalformedInput: while streaming, if a connection does not begin with what it should repeat.
        TruncatedInput: while streaming, if the source ended before it was complete, and cannot be resumed. Of other drops the last
            exception is raised, as it is. A note on it says why it was not resumed.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> answer = ["Hel", "lo ", "you"]
        >>> async def connect(point):
        ...     for n, token in enumerate(answer):
        ...         if n == point.attempt:
        ...             raise ConnectionError("reset by peer")
        ...         yield token
        >>> async def main():
        ...     source = sf.Resume(connect, attempts=3, restart="verify", backoff=(0.01, 1, 0.01))
        ...     async with sf.MapText(str.upper)(source) as stream:
        ...         return [text async for text in stream]
        >>> asyncio.run(main())
        ['HEL', 'LO ', 'YOU']
    """

    connect: Callable[[ResumePoint], AsyncIterable[T] | Awaitable[AsyncIterable[T]]]
    attempts: Annotated[int, Field(ge=1)] = dataclasses.field(default=3, kw_only=True)
    backoff: Annotated[Backoff, BeforeValidator(_backoff)] = dataclasses.field(default=BACKOFF, kw_only=True)
    restart: Literal["before_first_release", "verify", "never"] | None = dataclasses.field(default=None, kw_only=True)
    id: Plain[Callable[[Any], object]] | None = dataclasses.field(default=None, kw_only=True)
    errors: Annotated[tuple[type[Exception] | str, ...], BeforeValidator(_several)] = dataclasses.field(default=DROPS, kw_only=True)
    is_complete: Plain[Callable[[Any], bool]] | None = dataclasses.field(default=None, kw_only=True)
    text: Plain[Callable[[Any], str | None]] | None = dataclasses.field(default=None, kw_only=True)
    max_chars: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_CHARS, kw_only=True)
    sleep: Sleep | None = dataclasses.field(default=None, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            connect: Callable[[ResumePoint], AsyncIterable[T] | Awaitable[AsyncIterable[T]]],
            *,
            attempts: int = ...,
            backoff: Backoff = ...,
            restart: Literal["before_first_release", "verify", "never"] | None = ...,
            id: Callable[[T], object] | None = ...,  # noqa: A002  # the word of the format
            errors: type[Exception] | str | tuple[type[Exception] | str, ...] = ...,
            is_complete: Callable[[T], bool] | None = ...,
            text: Callable[[T], str | None] | None = ...,
            max_chars: int = ...,
            sleep: Sleep | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        if self.id is not None and self.restart not in (None, "never"):
            raise ValueError(f"id goes on behind an event, restart={self.restart!r} begins again: give one of them")
        if not callable(self.backoff):
            first, factor, longest = self.backoff
            if not (0 <= first <= longest <= LONGEST_SECONDS and 1 <= factor < math.inf):
                raise ValueError(f"backoff: {self.backoff}: (first, factor, max) with 0 <= first <= max and 1 <= factor is needed")
        for each in self.errors:
            if isinstance(each, str) and not (each.count(".") == 1 and all(map(str.isidentifier, each.split(".")))):
                raise ValueError(f"errors: {each!r}: 'package.Name' is needed, such as 'httpx.ReadError'")

    def __aiter__(self) -> Resumed[T]:
        return Resumed(self)


class Resumed(AsyncIterator[T]):
    """One iteration of a `Resume`. `aclose()` closes the connection that is open."""

    def __init__(self, resume: Resume[T]) -> None:
        self._resume = resume
        remembers: Remembers = _REMEMBERS[resume.restart or "before_first_release"] if resume.id is None else "items"
        self._record = Record(remembers, resume.max_chars, resume.text)
        self._is_verified = resume.restart == "verify"
        self._is_repeated = self._is_verified or resume.id is not None  # whether a connection begins with what was given before
        self._classes = tuple(each for each in resume.errors if not isinstance(each, str))
        self._names = {each for each in resume.errors if isinstance(each, str)}
        self._closing: Closing | None = None
        self._step: Callable[[], Awaitable[T]] | None = None
        self._replay: Replay | None = None  # until what was given has been found again
        self._items = 0
        self._failures = 0  # in a row
        self._last: tuple[T, ...] = ()  # the last item
        self._last_id: object = None
        self._error: Exception | None = None
        self._refusal: TypeError | None = None  # of what `connect` gave
        self._is_over = False

    async def __anext__(self) -> T:
        try:
            while not self._is_over:
                try:
                    item = await (self._step or await self._connected())()
                except StopAsyncIteration:
                    if self._is_over or self._is_at_end():
                        break
                    dropped: Exception = TruncatedInput("the source ended before it was complete", self._record.chars)
                except Exception as error:
                    if not self._is_drop(error):
                        raise
                    if self._is_over or self._is_whole():
                        break
                    dropped = error
                else:
                    new = () if self._is_over else self._new(item)  # somebody may have left meanwhile
                    if new:
                        return new[0]
                    continue
                if not await self._resumes(dropped):
                    raise dropped
            self._is_over = True
            await self._close()
        except BaseException:
            self._is_over = True
            await self._abandon()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave: the connection is closed, and no other is opened."""
        self._is_over = True
        await self._close()

    # ------------------------------------------------------------------ items

    def _new(self, item: T) -> Sequence[T]:
        """What of an item was not given before."""
        resume = self._resume
        self._last = (item,)
        key = None if resume.id is None else resume.id(item)
        rest: Sequence[T] = (item,)
        if self._replay is not None:
            if key is not None and not self._replay.is_done:
                raise self._replay.differs()
            rest = self._replay.rest(item)
            if self._replay.is_done:
                self._replay = None
        for new in rest:
            self._items += 1
            if not self._is_verified:
                self._failures = 0
            self._record.add(new)
            if key is not None:
                self._last_id = key
                self._record.clear()
        return rest

    def _is_at_end(self) -> bool:
        """Whether a source that has ended was meant to."""
        if self._resume.is_complete is not None and not (self._last and self._resume.is_complete(self._last[0])):
            return False
        if self._replay is not None:
            raise self._replay.differs()
        return True

    def _is_whole(self) -> bool:
        """Whether everything there can be has come, so that nothing was lost with the connection."""
        is_complete = self._resume.is_complete
        return is_complete is not None and self._replay is None and bool(self._last) and is_complete(self._last[0])

    # ------------------------------------------------------------------ connections

    async def _connected(self) -> Callable[[], Awaitable[T]]:
        resume = self._resume
        point = ResumePoint(self._failures + 1, self._items, self._record.text, self._last_id, self._error)
        try:
            given: Any = resume.connect(point)
            if not hasattr(given, "__aiter__") and hasattr(given, "__await__"):
                given = await given
        except StopAsyncIteration as error:  # it would end the stream
            raise RuntimeError(f"{show(resume.connect)} raised StopAsyncIteration") from error
        closing = self._closing = Closing(given, ())
        try:
            check_source(given, f"what {show(resume.connect)} gave")
        except TypeError as error:
            self._refusal = error
            raise
        if self._is_over:  # somebody has left meanwhile
            await self._close()
            raise StopAsyncIteration
        iterator = cast("AsyncIterable[T]", given).__aiter__()
        closing.begin(iterator)
        self._step = iterator.__anext__
        self._replay = Replay(self._record) if self._is_repeated and self._record.entries else None
        if self._is_verified:
            self._last = ()
        return self._step

    def _is_drop(self, error: Exception) -> bool:
        if isinstance(error, self._classes):
            return error is not self._refusal
        names = {f"{cls.__module__.partition('.')[0]}.{cls.__qualname__}" for cls in type(error).__mro__}
        return not names.isdisjoint(self._names)

    async def _resumes(self, error: Exception) -> bool:
        """After a drop: whether another connection is to be opened. It may be now."""
        await self._abandon()
        resume, record = self._resume, self._record
        self._failures += 1
        self._error = error
        if self._items and resume.restart in (None, "before_first_release") and resume.id is None:
            why = f"a restart would repeat what was given ({self._items} so far)"
        elif record.is_beyond:
            why = f"more than max_chars={resume.max_chars} characters would have to be remembered"
        elif self._failures >= resume.attempts:
            why = f"gave up after {self._failures} attempt{'s' if self._failures > 1 else ''}"
        else:
            await self._wait()
            return True
        error.add_note(f"not resumed: {why}")
        return False

    async def _wait(self) -> None:
        seconds = _seconds(self._resume.backoff, self._failures)
        if seconds:
            await (self._resume.sleep or _sleep)(seconds)

    async def _close(self) -> None:
        closing, self._closing, self._step = self._closing, None, None
        if closing is not None:
            await closing.close()

    async def _abandon(self) -> None:
        """Close because of an exception: an error in closing does not replace it."""
        try:
            await self._close()
        except (Exception, BaseExceptionGroup):  # the one under way says more
            return


def _seconds(backoff: Backoff, failures: int) -> float:
    """How long to wait after so many failures in a row."""
    if callable(backoff):
        seconds = backoff(failures)
        if not (isinstance(seconds, int | float) and 0 <= seconds <= LONGEST_SECONDS):
            raise ValueError(f"{show(backoff)} gave {seconds!r} for attempt {failures}: seconds are needed, 0 or more")
        return seconds
    first, factor, longest = backoff
    try:
        seconds = min(first * factor ** (failures - 1), longest)
    except OverflowError:
        seconds = longest
    return random.uniform(seconds / 2, seconds)  # noqa: S311  # so that not all clients come back at once


async def _sleep(seconds: float) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "Resume waits with asyncio.sleep: for another event loop give its own, such as sleep=trio.sleep"
        ) from None
    await asyncio.sleep(seconds)
