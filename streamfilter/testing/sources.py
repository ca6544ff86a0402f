"""Sources that follow a script, and cutting of texts."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from streamfilter.items import PLAIN, Event

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)


@dataclass(slots=True, repr=False)
class Mark(Event):
    """An event to see where events go. Pinned to plain text unless told otherwise.

    Args:
        name: tells marks apart.
    """

    name: object = None

    def __repr__(self) -> str:
        return f"Mark({self.name!r})" if self.scope == PLAIN else f"Mark({self.name!r}, scope={self.scope!r})"


@dataclass(frozen=True, slots=True)
class Sleep:
    """A step of a script: so much time passes before the next item.

    Args:
        seconds: how much, as the event loop counts.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ValueError(f"Sleep({self.seconds!r}): the seconds must be 0 or more")


def cut(text: Text, *places: int) -> list[Text]:
    """A text (or bytes) in pieces, cut at these places (in characters, or bytes).

    Example:
        >>> cut("streams", 2, 5)
        ['st', 'rea', 'ms']
    """
    at = [0, *sorted(place for place in set(places) if 0 < place < len(text)), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(at)]


def ways(text: Text, seed: int = 0) -> list[list[Text]]:
    """A text (or bytes) at once, one character (or byte) at a time, and cut at random in three ways, always the same.

    Args:
        seed: for other cuts. They also depend on the length of the text.

    Example:
        >>> ways("abc")[:2]
        [['abc'], ['a', 'b', 'c']]
    """
    rng = random.Random(f"{seed} {len(text)}")  # noqa: S311  # tests that are the same each time, no secrets
    out = [[text], cut(text, *range(1, len(text)))]
    for _ in range(3):
        out.append(cut(text, *(rng.randrange(len(text) + 1) for _ in range(4))))  # noqa: PERF401  # mypy cannot type a comprehension
    return out


class ScriptedSource(Generic[T]):
    """A class-based async source that gives some items, then ends or raises, and counts how often it was closed.

    Args:
        items: what it gives. `Sleep`s among them let time pass (in an event loop of asyncio) and are not given.
        error: what it raises after them, instead of ending.
        pause: awaited before each item, such as `trio.lowlevel.checkpoint`; without it the source never suspends.
        close_error: what closing it raises.

    Attributes:
        given: how many items it has given.
        closed: how often it was closed.
        is_over: whether it has said that there is no more, or raised its error.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> source = ScriptedSource(["a", "b"])
        >>> async def main():
        ...     async with sf.MapText(str.upper)(source) as stream:
        ...         return [text async for text in stream]
        >>> asyncio.run(main()), source.closed
        (['A', 'B'], 1)
    """

    def __init__(
        self,
        items: Iterable[T | Sleep],
        *,
        error: BaseException | None = None,
        pause: Callable[[], Awaitable[object]] | None = None,
        close_error: BaseException | None = None,
    ) -> None:
        self._steps: Sequence[T | Sleep] = list(items)
        self._next = 0
        self._error = error
        self._pause = pause
        self._close_error = close_error
        self.given: int = 0
        self.closed: int = 0
        self.is_over: bool = False

    def __aiter__(self) -> ScriptedSource[T]:
        return self

    async def __anext__(self) -> T:
        if self._pause is not None:
            await self._pause()
        while self._next < len(self._steps):
            step = self._steps[self._next]
            self._next += 1
            if not isinstance(step, Sleep):
                self.given += 1
                return step
            await asyncio.sleep(step.seconds)
        self.is_over = True
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> Any:
        """Count it."""
        self.closed += 1
        if self._close_error is not None:
            raise self._close_error


@dataclass(frozen=True)
class Script:
    """A stream to be: what comes, how long each waits, and how it ends. Equal scripts give equal streams, as often as wanted.

    Args:
        steps: items, and `Sleep`s between them.
        error: what the source raises after them; None: it ends.
        fault: in a word, what was done to it, if it is a script of a fault.

    Example:
        >>> script = Script(("Hel", Sleep(2), "lo"))
        >>> script.items, script.seconds
        (['Hel', 'lo'], 2)
    """

    steps: tuple[Any, ...]
    error: Exception | None = None
    fault: str | None = None

    @property
    def items(self) -> list[Any]:
        """What comes."""
        return [step for step in self.steps if not isinstance(step, Sleep)]

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(step.seconds for step in self.steps if isinstance(step, Sleep))

    def source(self) -> ScriptedSource[Any]:
        """A fresh source that follows it."""
        return ScriptedSource(self.steps, error=self.error)
