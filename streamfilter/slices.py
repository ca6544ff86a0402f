"""Slices: what takes long is worked off bit by bit, and whoever shares the event loop has a turn after each.

A machine that is fed something large gives its work as `Steps`: a generator of what it releases, with a turn for others behind each
`yield`, and the last of it returned. Text is cut only before machines to which that makes no difference; all others say themselves
what they can do in steps, so that what leaves is what `feed` would have given. What machines do is not known here.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from time import thread_time
from typing import Any, TypeAlias

from streamfilter.items import End, TextDelta

SLICE_CHARS = 1024
"""Characters that are fed to the machines at once. Patterns that are slow to decide take some 20 µs a character, so that no turn of
the loop takes more than some 20 ms; on ordinary text it takes below one, still long against the turn that is given away. Patterns
with hundreds of places (`(a{1,100}){1,100}`), or that backtrack, can take longer. No model gives so many at once."""

SLOW_SECONDS = 0.02
"""What a slice of a text may take, before those behind it are made smaller."""

ITEM_CHARS = 16
"""Characters that any item counts for at least: one large chunk may become many small items."""

PIECE_BYTES = 16 * 1024
"""Bytes that are read without a turn for others: some hundred events. Most network reads bring no more."""

_BYTES = frozenset({bytes, bytearray, memoryview})

Steps: TypeAlias = Generator[Sequence[Any], None, Sequence[Any]]
"""The work on one item, in steps. If it gives an `End`, then last."""


def is_large(item: object) -> bool:
    """Whether it is text, and more than a slice; or bytes, and more than a piece.

    Example:
        >>> is_large("a" * 1024), is_large(TextDelta("a" * 1025)), is_large(b"a" * 2000), is_large(None)
        (False, True, False, False)
    """
    kind = type(item)
    if kind is str:
        return len(item) > SLICE_CHARS  # type: ignore[arg-type]  # its exact type is str
    if kind is TextDelta:
        return len(item.text) > SLICE_CHARS  # type: ignore[attr-defined]
    return kind in _BYTES and len(item) > PIECE_BYTES  # type: ignore[arg-type]


def cost(item: object) -> int:
    """What an item counts for, in characters."""
    chars = len(item) if isinstance(item, str) else len(item.text) if type(item) is TextDelta else 0
    return max(ITEM_CHARS, chars)


def cut(item: Any, size: int | None = None, start: int = 0) -> Iterator[Any]:
    """A text in slices, one by one: to cut all at once takes long too. Those of a delta stand on the chunk that brought it.

    Example:
        >>> [len(each) for each in cut("x" * 2500)]
        [1024, 1024, 452]
    """
    size = size or SLICE_CHARS
    if type(item) is TextDelta:
        text, channel, origin = item.text, item.channel, item.origin
        return (TextDelta(text[at : at + size], channel, origin) for at in range(start, len(text), size))
    return (item[at : at + size] for at in range(start, len(item), size))


def sliced(feed: Callable[[Any], Sequence[Any]], item: Any) -> Steps:
    """A large text, fed in slices: smaller ones behind one that has taken long, until they are quick again.

    Where a smaller one takes nearly as long, as with a function that asks another machine, the next is as large as before.
    """
    at, end, size = 0, len(item.text if type(item) is TextDelta else item), SLICE_CHARS
    chars, seconds = 0, 0.0  # of the one before, if that was slow
    while True:
        start = thread_time()
        given = feed(next(cut(item, size, at)))
        at += size
        if at >= end or (given and type(given[-1]) is End):
            return given
        taken = thread_time() - start
        yield given
        if taken <= SLOW_SECONDS:
            size, chars = min(SLICE_CHARS, 2 * size), 0
        elif size < chars and taken > seconds * (1 + size / chars) / 2:  # it saved less than half of what it is shorter
            size, chars = chars, 0
        else:
            chars, seconds = size, taken
            size = max(1, int(size * SLOW_SECONDS / taken))


def advanced(work: Steps) -> tuple[Sequence[Any], bool]:
    """What the next step of a work gives, and whether it was the last."""
    try:
        return next(work), False
    except StopIteration as over:
        return over.value, True


def started(work: Steps) -> tuple[Sequence[Any], Steps | None]:
    """What the first step of a work gives, and the rest of it, if there is any."""
    given, is_over = advanced(work)
    return given, None if is_over else work


def at_once(work: Steps) -> Sequence[Any]:
    """All that a work gives, where nobody else wants a turn.

    Example:
        >>> def work():
        ...     yield ["a"]
        ...     return ["b"]
        >>> at_once(work())
        ['a', 'b']
    """
    out: list[Any] = []
    is_over = False
    while not is_over:
        given, is_over = advanced(work)
        out += given
    return out


async def give_way() -> None:
    """Let the others in the event loop have a turn. A cancel arrives here. Without a loop that is known it does nothing."""
    # What is running has been imported: nothing is imported here.
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001  # the public one raises where there is none
        await _turn()
    elif trio is not None and trio.lowlevel.in_trio_run():
        await trio.lowlevel.checkpoint()


class Turns:
    """Turns for others while much small text is worked off, each piece of it at once."""

    def __init__(self) -> None:
        self._room = SLICE_CHARS

    async def before(self, text: object) -> None:
        """Something is next: let others have a turn, if enough was done since the last one.

        Args:
            text: it; what is no text counts for something too.
        """
        if self._room <= 0:
            self._room = SLICE_CHARS
            await give_way()
        self._room -= cost(text)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    yield  # to a task of asyncio: go on in the next turn
