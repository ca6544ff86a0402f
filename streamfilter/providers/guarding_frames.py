"""What a stream says beside its events: comments, names, ids, fields that nobody knows.

A format gives them on as they came, because they are no text of a model. A guarded client gives on only what the guards let pass:
whoever reads the raw response sees it. This module knows lines of event streams, and no format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from streamfilter.context import Context
from streamfilter.items import End
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.wrapping import Quote, quoting

MAX_KNOWN = 64
"""Lines that are known to be harmless: names of events come again and again, ids do not."""

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


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
        return _Beside(quoting(self.pipeline, context or Context()))


class _Beside(Machine):
    def __init__(self, quote: Quote) -> None:
        self._quote = quote
        self._known: set[bytes] = set()

    def feed(self, item: Any) -> Sequence[Any]:
        if isinstance(item, End):
            self.ended = True
        return (self._shown(item),) if isinstance(item, bytes) else (item,)

    def drain(self, item: Any) -> Sequence[Any]:
        return self.feed(item)

    def _shown(self, frame: bytes) -> bytes:
        return b"".join([line for line in _LINE.findall(frame) if line.startswith(b"data:") or self._is_harmless(line, frame)])

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
