"""What starts the text machines of a stage in one stream, each when its run begins. What they do is not known here."""

from __future__ import annotations

from typing import Protocol

from streamfilter.context import Context
from streamfilter.machine import TextMachine


class _Startable(Protocol):
    def start(self, context: Context | None = None) -> TextMachine: ...

    def _start_arguments(self, context: Context) -> TextMachine: ...


class Starting:
    """Starts the text machines of one stage in one stream.

    Two functions would do. But with all that they close over they are six objects, for each stage of each of thousands of streams,
    and the garbage collector goes through all of them.

    Args:
        stage: whose they are.
        context: the stream's.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.lift import Lift
        >>> Lift(Starting(sf.Redact("42"), sf.Context()), "Redact").feed("6 x 7 = 42")
        ['6 x 7 = ', '[redacted]']
    """

    __slots__ = ("_stage", "context")

    def __init__(self, stage: _Startable, context: Context) -> None:
        self._stage = stage
        self.context: Context = context

    def __call__(self) -> TextMachine:
        return self._stage.start(self.context)

    def arguments(self) -> TextMachine:
        """The one for the arguments of a tool call."""
        return self._stage._start_arguments(self.context)  # noqa: SLF001  # one of its stages'
