"""Bodies that a gateway reads and no `wrap` does: event streams whose data is text, and JSON arrays of chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamfilter.chain import Chain
from streamfilter.context import Context
from streamfilter.items import End
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers.frames import json_text
from streamfilter.web.streams import live_body


@stage
class TextEvents(Stage[Any, Any]):
    r"""The data of all events, through one pipeline: bytes in, bytes out.

    Args:
        pipeline: text stages.
        is_named: whether the data was said to be text; else a JSON object among it ends the stream.

    Example:
        >>> import streamfilter as sf
        >>> list(TextEvents(sf.Redact("[0-9]{4}", to="#")).iter([b"data: pin 12\n\ndata: 34 ok\n\n"]))
        [b'data: pin \n\n', b'data: #\n\n', b'data:  ok\n\n']
    """

    pipeline: Stage[str, str]
    is_named: bool = True

    @property
    def must_wait(self) -> bool:
        return self.pipeline.must_wait

    def machine(self, context: Context | None = None) -> Machine:
        return live_body("sse", self.pipeline, context or Context(), "text" if self.is_named else None, "block").machine


@stage
class Array(Stage[Any, Any]):
    r"""The chunks of an array, through a stage over chunks: JSON texts in, the bytes of an array out.

    Example:
        >>> import streamfilter as sf
        >>> b"".join(Array(sf.wrap(sf.Redact("[0-9]{4}", to="#"))).iter(['{"message":{"content":"pin 1234"},"done":true}']))
        b'[{"message":{"content":"pin #"},"done":true}]\n'
    """

    over_chunks: Stage[Any, Any]

    @property
    def must_wait(self) -> bool:
        return self.over_chunks.must_wait

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()
        return Chain([self.over_chunks.machine(given), _Written()], drains=given.after_stop == "drain")


class _Written(Machine):
    """Chunks to an array: one on each line, each written as it comes."""

    def __init__(self) -> None:
        self._has_begun = False

    def feed(self, item: Any) -> Sequence[Any]:
        if type(item) is End:
            self.ended = True
            return (item,)
        before = ",\n" if self._has_begun else "["
        self._has_begun = True
        return ((before + (item if isinstance(item, str) else json_text(item))).encode(),)

    def finish(self) -> Sequence[Any]:
        return (b"]\n" if self._has_begun else b"[]\n",)
