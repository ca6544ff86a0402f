"""Observers: who is told when a stream begins, what it finds, and how it ends.

An observer is the caller's and may watch many streams; what it makes of each of them is a `Watch`. Neither is ever given text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from streamfilter.context import Finding, Report
    from streamfilter.stats import Stats

How: TypeAlias = Literal["finished", "stopped", "failed", "cancelled", "left"]
"""How a stream ended. `"finished"`: the source ran out. `"stopped"`: a stage ended it. `"failed"`: an exception of the source or of
the consumer did. `"cancelled"`: a cancel, or what else is no `Exception`. `"left"`: the consumer went away before the end."""

FINGERPRINT_CHARS = 16
"""Hexadecimal digits of a fingerprint: 64 bits. Among a million pipelines no two are likely to share one."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended.

    Args:
        how: in one word.
        error: the class of the exception that the consumer got, if any; never its message, which may quote text.

    Example:
        >>> str(Ending("stopped", "Blocked"))
        'stopped (Blocked)'
    """

    how: How
    error: str | None = None

    def __str__(self) -> str:
        return self.how if self.error is None else f"{self.how} ({self.error})"


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A stream from which the first item was asked for, as observers see it.

    Attributes:
        tags: those of its context.
        report: what its stages find.
        stats: what is measured of it, if it is.
        stage: the pipeline; its repr may quote rules and terms.
    """

    tags: Mapping[str, object]
    report: Report
    stats: Stats | None = None
    stage: object = field(default=None, repr=False)

    @property
    def pipeline(self) -> str:
        """Which pipeline this is: a fingerprint, the same wherever the same pipeline runs in the same version of this library."""
        return fingerprint(self.stage)


def fingerprint(stage: object) -> str:
    """The beginning of the SHA-256 of a pipeline's definition. Functions count by their names, live objects by their class.

    Example:
        >>> import streamfilter as sf
        >>> fingerprint(sf.Redact("a")) == fingerprint(sf.Redact("a")) != fingerprint(sf.Redact("b"))
        True
    """
    known = getattr(stage, "_fingerprint", None)
    if known is None:
        import hashlib  # noqa: PLC0415  # few streams are watched

        digest = hashlib.sha256()
        for part in _definition(stage):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
        known = digest.hexdigest()[:FINGERPRINT_CHARS]
        if dataclasses.is_dataclass(stage):  # kept beside the fields, as all that is made of them: a list of terms may be long
            object.__setattr__(stage, "_fingerprint", known)
    return str(known)


def _definition(value: object) -> Iterator[str]:
    """All that a value says, in parts. A repr does not do: that of many terms is shortened."""
    if isinstance(value, str | bytes | int | float | None):
        yield repr(value)
    elif isinstance(value, list | tuple | set | frozenset | Mapping):
        elements = value.items() if isinstance(value, Mapping) else value
        yield f"({type(value).__qualname__}"
        parts = ["\0".join(_definition(element)) for element in elements]
        yield from sorted(parts) if isinstance(value, set | frozenset) else parts
        yield ")"
    elif isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        yield f"{getattr(value, '__module__', '')}:{value.__qualname__}"  # methods of built-in types have no module
    else:
        yield f"{type(value).__module__}:{type(value).__qualname__}"
        if (
            dataclasses.is_dataclass(value) and cast("Any", type(value)).__dataclass_params__.frozen
        ):  # what is not may go round in circles
            for each in dataclasses.fields(value):
                yield each.name
                yield from _definition(getattr(value, each.name))


class Watch:
    """What an observer makes of one stream. As it stands it looks at nothing. What it raises ends the stream."""

    def arrived(self, seconds: float) -> None:
        """An item has arrived, at this time after the beginning. Told only of streams that are measured."""

    def released(self, seconds: float) -> None:
        """An item has left."""

    def found(self, finding: Finding) -> None:
        """A stage has found something."""

    def checked(self, seconds: float) -> None:
        """A check has answered, after so long. Told only of streams that are measured."""

    def ended(self, ending: Ending) -> None:
        """The stream is over. Called once, and last."""


class Observer:
    """Who watches streams. Subclass it, give a `Watch` in `begin`, and put it into `Context(observe=[...])`.

    Attributes:
        measures: whether the streams it watches are to be measured, which `Opened.stats`, `arrived`, `released` and `checked` need.

    Example:
        >>> import streamfilter as sf
        >>> class Endings(Observer, Watch):
        ...     def begin(self, stream): return self
        ...     def ended(self, ending): print(ending)
        >>> sf.Redact("secret").apply("a secret", context=sf.Context(observe=[Endings()]))
        finished
        'a [redacted]'
    """

    measures: bool = False

    def begin(self, stream: Opened) -> Watch:
        """A stream begins: the first item is asked for.

        Raises:
            NotImplementedError: the subclass has none.
        """
        raise NotImplementedError(f"{type(self).__name__}.begin is missing: give a Watch there")
