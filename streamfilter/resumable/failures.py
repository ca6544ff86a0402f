"""What can go wrong with a stream that is kept in a store, and how a reader is told what ended the one who wrote it.

Of an exception its class travels, and of this library's own what their messages consist of: names, numbers. Never what another
exception says, which may quote the text. No message here names a stream: its id may be all that one needs to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from streamfilter.errors import (
    Blocked,
    LimitExceeded,
    MalformedInput,
    ModerationError,
    SourceTimeout,
    StreamFilterError,
    TruncatedInput,
)

How: TypeAlias = Literal["finished", "stopped", "asked", "unread", "failed", "cancelled"]
"""How a stream ended. `"finished"`: the source ran out. `"stopped"`: a stage ended it. `"asked"`: somebody called `stop()`.
`"unread"`: its last reader had left. `"failed"`: an exception of the source or a stage. `"cancelled"`: its writer was cancelled."""

HOWS: tuple[How, ...] = ("finished", "stopped", "asked", "unread", "failed", "cancelled")

NAME_CHARS = 100
"""Of the name of a foreign exception's class; one that is made from text must not carry it along."""


class StreamExists(StreamFilterError):
    """A stream with this id has been started before, here or elsewhere: read that one, or delete it first.

    Example:
        >>> StreamExists()
        StreamExists('a stream with this id was started already: read it, or delete() it first')
    """

    def __init__(self) -> None:
        super().__init__("a stream with this id was started already: read it, or delete() it first")

    def __reduce__(self) -> tuple[type[StreamExists], tuple[()]]:
        return type(self), ()


class StreamUnknown(StreamFilterError, LookupError):
    """There is no stream with this id: it was never started, was deleted, or is no longer kept.

    Example:
        >>> isinstance(StreamUnknown(), LookupError)
        True
    """

    def __init__(self) -> None:
        super().__init__("there is no stream with this id: it was never started, was deleted, or has expired")

    def __reduce__(self) -> tuple[type[StreamUnknown], tuple[()]]:
        return type(self), ()


class NotResumable(StreamFilterError, ValueError):
    """What follows the event that a reader named cannot be given without a gap.

    Attributes:
        problem: why.

    Example:
        >>> NotResumable("the event id is none of this library's")
        NotResumable('the event id is none of this library's')
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __repr__(self) -> str:
        return f"NotResumable('{self.problem}')"


class ProducerLost(StreamFilterError):
    """Whoever wrote the stream has given no sign of life for its `lease_seconds`: what there is of it is all there will be.

    Example:
        >>> print(ProducerLost())
        whoever wrote this stream has given no sign of life for longer than its lease: it will not go on
    """

    def __init__(self) -> None:
        super().__init__("whoever wrote this stream has given no sign of life for longer than its lease: it will not go on")

    def __reduce__(self) -> tuple[type[ProducerLost], tuple[()]]:
        return type(self), ()


class StoreFailed(StreamFilterError):
    """The store could not be reached for too long, refused, or has lost what it had taken.

    Attributes:
        problem: what happened.

    Example:
        >>> StoreFailed("no connection for 15.0 s (ConnectionError)")
        StoreFailed('the store of resumable streams: no connection for 15.0 s (ConnectionError)')
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"the store of resumable streams: {problem}")
        self.problem = problem

    def __reduce__(self) -> tuple[type[StoreFailed], tuple[str]]:
        return type(self), (self.problem,)


class ProducerFailed(StreamFilterError):
    """The stream ended with an exception where it was written. Which, is all that readers are told.

    Attributes:
        error: the name of its class.

    Example:
        >>> ProducerFailed("ConnectionResetError")
        ProducerFailed('the stream ended with an error where it was written: ConnectionResetError')
    """

    def __init__(self, error: str) -> None:
        super().__init__(f"the stream ended with an error where it was written: {error}")
        self.error = error

    def __reduce__(self) -> tuple[type[ProducerFailed], tuple[str]]:
        return type(self), (self.error,)


class ProducerTimeout(ProducerFailed, TimeoutError):
    """The same, where that exception was a `TimeoutError`; and so is this.

    Example:
        >>> isinstance(ProducerTimeout("ReadTimeout"), TimeoutError)
        True
    """


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream in a store ended.

    Args:
        how: in one word; see `How`.
        error: the name of the exception's class, if there was one.
        facts: what its message consists of, if it is this library's own.
        is_timeout: whether it is a `TimeoutError`.

    Example:
        >>> Ended.by(Blocked("canary", 120)).exception()
        Blocked('rule canary matched at character 120 of the answer')
        >>> Ended.by(KeyError("secret")).exception(), Ended("finished").exception()
        (ProducerFailed('the stream ended with an error where it was written: KeyError'), None)
    """

    how: How
    error: str | None = None
    facts: tuple[str | int | float | None, ...] = ()
    is_timeout: bool = False

    @classmethod
    def by(cls, error: BaseException) -> Ended:
        """The ending by an exception."""
        if not isinstance(error, Exception):
            return cls("cancelled", type(error).__name__[:NAME_CHARS])
        name, facts = next(
            ((known.__name__, _facts(error, _OWN[known])) for known in type(error).__mro__ if known in _OWN),
            (type(error).__name__[:NAME_CHARS], ()),
        )
        return cls("failed", name, facts, isinstance(error, TimeoutError))

    def exception(self) -> Exception | None:
        """What a reader gets at the end, if anything."""
        if self.error is None:
            return None
        for known, names in _OWN.items():
            if known.__name__ == self.error and len(names) == len(self.facts):
                given = dict(zip(names, self.facts, strict=True))
                placed = [given.pop(name) for name in names if name not in _NAMED]
                own: Exception = known(*placed, **given)
                return own
        return (ProducerTimeout if self.is_timeout else ProducerFailed)(self.error)


_OWN: dict[type[Any], Sequence[str]] = {
    Blocked: ("rule", "offset", "channel", "left", "score"),  # not its reason, which may quote the text
    ModerationError: ("check", "problem", "offset", "channel"),
    SourceTimeout: ("limit", "seconds"),
    LimitExceeded: ("limit", "value", "where"),
    TruncatedInput: ("problem", "offset", "line", "column"),  # not the path: keys are text
    MalformedInput: ("problem", "offset", "line", "column"),
}
"""Exceptions that readers get as they were, and what they are made of; none of it is text that was held or redacted."""

_NAMED = {"left", "score", "line", "column"}


def _facts(error: Exception, names: Sequence[str]) -> tuple[str | int | float | None, ...]:
    """What an exception is made of; nothing, if a subclass has made it of something else."""
    facts = tuple(getattr(error, name, None) for name in names)
    allowed = [str | int | float | None if name in _NAMED else str | int | float for name in names]
    return facts if all(map(isinstance, facts, allowed)) else ()
