"""What every ready check has: what it asks, what the answer means, and one of two shells, plain or async.

A check is a `Judging` in a `PlainCheck`, or in an `AsyncCheck` if what is asked is async; the body is the same. Clients and models
are the caller's, and are taken as they come. Checks that are built alike are equal, so that a verdict cache knows them again, and
can be pickled if their parts can.

An answer that means nothing raises: what becomes of the text then is up to the stage's `failure`. No error shows an answer.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import reprlib
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, ClassVar, TypeAlias, cast

from pydantic import BeforeValidator, Field

from streamfilter.declaration import Declared, declared, is_async, show
from streamfilter.moderation.window import Window
from streamfilter.plain import run_through
from streamfilter.verdict import Verdict

Name: TypeAlias = Annotated[str, Field(min_length=1)]
Probability: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


def _names(given: object) -> object:
    """A name or several, as a tuple."""
    if isinstance(given, AbstractSet):
        return tuple(sorted(given, key=str))
    return (given,) if isinstance(given, str) else given


Names: TypeAlias = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(_names)]


@declared
class Judging(Declared):
    """What a check asks, and what the answer means. It does not know who waits for it."""

    _named: ClassVar[str]
    """The function that makes it."""

    @property
    def is_async(self) -> bool:
        """Whether it has to wait for answers."""
        return False

    async def judge(self, window: Window) -> Verdict:
        """The verdict on a window. If it is not async, it never suspends."""
        raise NotImplementedError

    def __repr__(self) -> str:
        given: list[str] = []
        for field in dataclasses.fields(cast("Any", self)):
            value = getattr(self, field.name)
            if value != field.default:
                given.append(f"{field.name}={shown(value)}" if field.kw_only else shown(value))
        return f"{self._named}({', '.join(given)})"


def shown(value: object) -> str:
    """A value as one would write it, but short: it stands in messages. What clients show of themselves is their address."""
    if callable(value):
        return show(value)
    return reprlib.repr(value) if type(value).__module__ == "builtins" else f"{type(value).__name__}(...)"


@declared
class PlainCheck(Declared):
    """A check that is called; in an event loop, by `Moderate` in a thread."""

    judging: Judging

    def __call__(self, window: Window) -> Verdict:
        """The verdict on a window."""
        return run_through(self.judging.judge(window))

    def __repr__(self) -> str:
        return repr(self.judging)


@declared
class AsyncCheck(Declared):
    """A check that is awaited."""

    judging: Judging

    async def __call__(self, window: Window) -> Verdict:
        """The verdict on a window."""
        return await self.judging.judge(window)

    def __repr__(self) -> str:
        return repr(self.judging)


Ready: TypeAlias = PlainCheck | AsyncCheck
"""A check, in the shell that fits."""


def ready(judging: Judging) -> Ready:
    """The check that judges so."""
    return AsyncCheck(judging) if judging.is_async else PlainCheck(judging)


@declared
class Question(Judging):
    """A check that asks one function."""

    def whom(self) -> Callable[..., Any]:
        """The function."""
        raise NotImplementedError

    def ask(self, window: Window) -> Any:
        """What it gives for a window: an answer, or an awaitable of one."""
        raise NotImplementedError

    def meaning(self, answer: Any) -> Verdict:
        """The verdict.

        Raises:
            TypeError: it is no answer.
        """
        raise NotImplementedError

    @property
    def is_async(self) -> bool:
        return is_async(self.whom())

    async def judge(self, window: Window) -> Verdict:
        return self.meaning(await answered(self.ask(window), self.whom()))

    def wrong(self, answer: object, needed: str) -> TypeError:
        """The error for what is no answer."""
        return TypeError(f"{self._named}: {shown(self.whom())} gave {type(answer).__qualname__}: {needed} is needed")


async def answered(given: Any, by: Callable[..., Any]) -> Any:
    """What a function gave, or what that is awaited for.

    Raises:
        TypeError: it gave an awaitable and is not async, so this may be a thread, where there is nobody to wait.
    """
    if not inspect.isawaitable(given):
        return given
    if is_async(by):
        return await given
    if inspect.iscoroutine(given):
        given.close()
    raise TypeError(f"{shown(by)} gave an awaitable, and is no async function: make it one, with `async def`")


def number(given: Any) -> float | None:
    """A number, also one of numpy or torch; None if it is none.

    Raises:
        ValueError: it is NaN, which would be below every threshold.

    Example:
        >>> number(1), number("1"), number(True)
        (1.0, None, None)
    """
    plain = given.item() if hasattr(given, "item") else given
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        return None
    if math.isnan(plain):
        raise ValueError("a score is NaN, which no threshold would catch")
    return float(plain)
