"""What a stream says beside its events: comments, names, ids, fields that nobody knows.

They are no text of a model, but whoever reads the raw response sees them: only what the guards let pass is given on. This module
knows lines of event streams, and no format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from streamfilter.context import Context
from streamfilter.items import End
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.sse import Frame, frame_of
from streamfilter.providers.wrapping import Quote, quoting

MAX_KNOWN = 64
"""Lines that are known to be harmless: names of events come again and again, ids do not."""

_DATA = re.compile(rb"(?:\xef\xbb\xbf)?data:").match
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


class Lines:
    r"""Frames of one event stream without the lines beside their data that guards would change.

    Args:
        quote: the guards.

    Example:
        >>> import streamfilter as sf
        >>> lines = Lines(quoting(sf.Redact("[0-9]{4}"), sf.Context()))
        >>> lines.shown(b": pin 1234\n\n"), lines.shown(b"event: a\ndata: 1234\n\n")
        (b'\n', b'event: a\ndata: 1234\n\n')
    """

    def __init__(self, quote: Quote) -> None:
        self._quote = quote
        self._known: set[bytes] = set()

    def shown(self, frame: bytes) -> bytes:
        """What of a frame may leave."""
        if (frame[:5] == b"data:" and frame.count(b"\n") == 2 and b"\r" not in frame) or self._quote is str:
            return frame  # as nearly all are
        return b"".join([line for line in _LINE.findall(frame) if _DATA(line) or self._is_harmless(line, frame)])

    def show(self, frame: Frame) -> None:
        """The same in place, with the name and the id of the frame."""
        raw = self.shown(frame.raw)
        if raw != frame.raw:
            left = frame_of(
                raw, raw, frame.offset
            )  # the guards have seen these lines: asked again, they would report what they found twice
            frame.raw, frame.event, frame.id = raw, left.event, left.id

    def _is_harmless(self, line: bytes, frame: bytes) -> bool:
        if not line.strip() or line in self._known:
            return True
        if line.startswith(b"event:") and b'"%s"' % line[6:].strip() in frame:  # the event itself says its type
            return True
        text = line.decode(errors="replace")
        if self._quote(text) != text:
            return False
        if len(self._known) < MAX_KNOWN:
            self._known.add(line)
        return True


@stage
class Beside(Stage[Any, Any]):
    r"""Frames of an event stream without the lines that the guards of a pipeline would change.

    Args:
        pipeline: whose guards.

    Example:
        >>> import streamfilter as sf
        >>> list(Beside(sf.Redact("[0-9]{4}")).iter([b": pin 1234\n\n", b"event: a\ndata: 1234\n\n"]))
        [b'\n', b'event: a\ndata: 1234\n\n']
    """

    pipeline: Any

    reads: ClassVar[str] = "chunks"
    gives: ClassVar[str] = "chunks"

    def machine(self, context: Context | None = None) -> Machine:
        return _Beside(Lines(quoting(self.pipeline, context or Context())))


class _Beside(Machine):
    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def feed(self, item: Any) -> Sequence[Any]:
        if isinstance(item, End):
            self.ended = True
        return (self._lines.shown(item),) if isinstance(item, bytes) else (item,)

    def drain(self, item: Any) -> Sequence[Any]:
        return self.feed(item)
