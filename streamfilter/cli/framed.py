"""Bodies that a gateway reads and no `wrap` does: event streams whose data is text, and JSON arrays of chunks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from streamfilter.chain import Chain
from streamfilter.context import Context
from streamfilter.errors import MalformedInput
from streamfilter.items import End
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, stage
from streamfilter.providers import detecting
from streamfilter.providers.frames import json_text
from streamfilter.web.bodies import MAX_BODY_BYTES
from streamfilter.web.streams import live_body
from streamfilter.web.whole import NotJSON, loaded


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
    r"""The chunks of an array, through one pipeline: dicts in, the bytes of an array out.

    Example:
        >>> import streamfilter as sf
        >>> b"".join(Array(sf.Redact("[0-9]{4}", to="#")).iter([{"message": {"content": "pin 1234"}, "done": True}]))
        b'[{"message":{"content":"pin #"},"done":true}]\n'
    """

    pipeline: Stage[str, str]

    @property
    def must_wait(self) -> bool:
        return self.pipeline.must_wait

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()
        return Chain([detecting.wrap(self.pipeline).machine(given), _Written()], drains=given.after_stop == "drain")


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
        return ((before + json_text(item)).encode(),)

    def finish(self) -> Sequence[Any]:
        return (b"]\n" if self._has_begun else b"[]\n",)


def elements(pieces: Iterator[bytes]) -> Iterator[Any]:
    """The chunks of a JSON array. It is read whole: what it says is not certain before its end.

    Raises:
        MalformedInput: it is none, or larger than what the gateway takes.

    Example:
        >>> list(elements(iter([b'[{"a": 1}, ', b'{"a": 2}]'])))
        [{'a': 1}, {'a': 2}]
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise MalformedInput(
                f"the array of chunks is larger than {MAX_BODY_BYTES} bytes: give its elements as lines of JSON", 0
            )
    found: Any = None
    with contextlib.suppress(NotJSON):  # it quotes nothing, but its cause may
        found = loaded(bytes(body))
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise MalformedInput("the input is no JSON array of objects, or could be read in two ways", 0)
    yield from found
