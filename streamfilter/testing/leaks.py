"""Leak checks: text that was held in errors, reprs and logs; tasks that outlive their stream; sources that nobody closed.

They look from outside, at what an operator of the application could read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from streamfilter.testing.sources import ScriptedSource

S = TypeVar("S", bound=ScriptedSource[Any])

LEAK_CHARS = 6
"""So many characters of a secret in a row are a leak: fewer are found in any prose."""


class Leak(AssertionError):
    """Something is left that should not be; the message says what and where, and never quotes a secret."""


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """All that is logged meanwhile, at every level, by every logger that has no level of its own and propagates."""
    root = logging.getLogger()
    level, records = root.level, _Records()
    root.addHandler(records)
    root.setLevel(logging.NOTSET)
    try:
        yield records.records
    finally:
        root.setLevel(level)
        root.removeHandler(records)


def leaked(value: object, text: str, chars: int = LEAK_CHARS) -> str | None:
    """The first part of a text that can be read in something: an exception with all it was caused by, a log record, a str, a repr.

    Args:
        value: where to look.
        text: what must not be there.
        chars: how long a part counts. Of a shorter text, all of it.

    Example:
        >>> leaked(ValueError("cannot parse 'my secret'"), "my secret."), leaked(ValueError("at character 6"), "my secret.")
        ('my sec', None)
    """
    size = min(chars, len(text))
    said = _said(value)
    parts = (text[at : at + size] for at in range(len(text) - size + 1)) if size else ()
    return next((part for part in parts if part.strip() and (part in said or repr(part)[1:-1] in said)), None)


def _said(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, logging.LogRecord):
        error = value.exc_info[1] if value.exc_info else None
        return "\n".join([value.getMessage(), repr(value.args), "" if error is None else _said(error)])
    if isinstance(value, BaseException):
        return "\n".join(_chain(value, set()))
    return f"{value!r}\n{value}"


def _chain(error: BaseException, seen: set[int]) -> Iterator[str]:
    """What an exception says, and those it came from, without the lines of source in their tracebacks."""
    if id(error) in seen:
        return
    seen.add(id(error))
    yield "\n".join(traceback.format_exception_only(error))
    yield repr(error)
    yield repr(error.args)
    for inner in (error.__cause__, error.__context__, *(error.exceptions if isinstance(error, BaseExceptionGroup) else ())):
        if inner is not None:
            yield from _chain(inner, seen)


class LeakCheck:
    """A block in which nothing may leak: `with leak_check("the secret") as leaks: …`, in plain or async code.

    When the block is left, it looks for the secrets in all that was logged and in what the block raised; that all sources it was
    told of are closed exactly once; and, in an event loop, that no task is left that was begun in it.

    Args:
        secrets: texts that may not be read anywhere.
        chars: how many characters of one in a row are a leak.

    Attributes:
        is_entered: whether the block was entered: without, nothing is looked for.

    Raises:
        Leak: when the block is left. What the block itself has raised stays its cause.

    Example:
        >>> import streamfilter as sf
        >>> with LeakCheck("4111 1111") as leaks:
        ...     stream = sf.Redact("[0-9 ]+").iter(["4111 11", "11."])
        ...     leaks.look(stream, list(stream))
        >>> with LeakCheck("4111 1111") as leaks:
        ...     leaks.look(["card 4111 1111"])
        Traceback (most recent call last):
        ...
        streamfilter.testing.leaks.Leak: a list holds 6 or more characters of secret 1 in a row
    """

    def __init__(self, *secrets: str, chars: int = LEAK_CHARS) -> None:
        if not all(isinstance(secret, str) and secret for secret in secrets):
            raise ValueError("secrets must be texts of one character or more")
        if chars < 1:
            raise ValueError(f"chars={chars}: 1 or more is needed")
        self._secrets = secrets
        self._chars = chars
        self._sources: list[ScriptedSource[Any]] = []
        self._stack = contextlib.ExitStack()
        self._records: list[logging.LogRecord] = []
        self._tasks: set[asyncio.Task[Any]] | None = None
        self.is_entered: bool = False

    def source(self, source: S) -> S:
        """Watch a source: it has to be closed exactly once by the end. Gives it back."""
        self._sources.append(source)
        return source

    def look(self, *values: object) -> None:
        """Look for the secrets in something right now: its repr and str; of an exception, all that it came from.

        Raises:
            Leak: one is there.
        """
        for value in values:
            for n, secret in enumerate(self._secrets, 1):
                if leaked(value, secret, self._chars):
                    what = "a log record" if isinstance(value, logging.LogRecord) else f"a {type(value).__name__}"
                    raise Leak(f"{what} holds {min(self._chars, len(secret))} or more characters of secret {n} in a row")

    def __enter__(self) -> Self:
        self.is_entered = True
        self._records = self._stack.enter_context(logged())
        with contextlib.suppress(RuntimeError):  # no event loop runs
            self._tasks = asyncio.all_tasks()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._stack.close()
        self.look(*self._records)
        if error is not None:
            if not isinstance(error, Leak):
                self.look(error)
            return
        for n, source in enumerate(self._sources, 1):
            if source.closed != 1:
                raise Leak(f"source {n} was closed {source.closed} times after {source.given} items: once is right")
        if self._tasks is not None and (left := _begun(self._tasks)):
            raise Leak(f"{len(left)} tasks are still there: {', '.join(left)}")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        await asyncio.sleep(0)  # what was cancelled in the block's last step ends now
        self.__exit__(kind, error, where)


def _begun(before: Iterable[asyncio.Task[Any]]) -> list[str]:
    """The names of the tasks that were begun since, and are not over."""
    known = set(before)
    return sorted(task.get_name() for task in asyncio.all_tasks() if task not in known and not task.done())
