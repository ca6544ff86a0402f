"""One message to a browser or a client: a frame of an event stream, or a message of a web socket."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pydantic_core import to_jsonable_python

from streamfilter.providers import sse
from streamfilter.providers.frames import json_text
from streamfilter.providers.shapes import plain

_NAME = re.compile(r"[A-Za-z0-9_.:-]+\Z")
"""What names an event. A name comes from a chunk, and so from outside: a line end in it would be one of the frame's."""


class Message(NamedTuple):
    """What is sent at once.

    Attributes:
        data: its text; None if there is none, as in a comment.
        event: its name in an event stream; "" if it has none.
        raw: the frame that it came as, if it did.
    """

    data: str | None
    event: str = ""
    raw: bytes | None = None

    def frame(self) -> bytes:
        r"""As it stands in an event stream.

        Example:
            >>> Message("1", "a").frame(), Message("1", "a\ndata: 2").frame()
            (b'event: a\ndata: 1\n\n', b'data: 1\n\n')
        """
        if self.raw is not None:
            return self.raw
        return sse.encode(printable(self.data or ""), event=self.event if _NAME.match(self.event) else "")


ALIVE = Message(None, raw=b": keep-alive\n\n")
"""A comment, which every reader of an event stream passes over."""

DONE = Message("[DONE]")
"""What ends a stream of OpenAI's chat completions, and one of the AI SDK's events."""


def said(event: Any, *, named: bool = False) -> Message:
    """An event as a message.

    Args:
        event: plain data, or an object that can be dumped as such.
        named: whether its `type` is its name in an event stream too.

    Example:
        >>> said({"type": "ping"}, named=True)
        Message(data='{"type":"ping"}', event='ping', raw=None)
    """
    given = plain(event)
    return Message(json_text(given), str(given.get("type", "")) if named and isinstance(given, dict) else "")


def jsonable(value: Any) -> Any:
    """A value as plain data: models, partial ones too, dataclasses, dates. What is not known becomes its kind, never its repr.

    Example:
        >>> jsonable({"a": (1, 2.5)}), jsonable(object())
        ({'a': [1, 2.5]}, 'object')
    """
    return to_jsonable_python(value, inf_nan_mode="null", bytes_mode="base64", fallback=lambda other: type(other).__qualname__)


def printable(text: str) -> str:
    """A text without halves of characters, which cannot be sent."""
    return text if text.isascii() else text.encode(errors="replace").decode()
