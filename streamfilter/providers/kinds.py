"""What a body is, by how it begins: the events of a provider, in one of their framings, or a text. For what comes without a type.

What could be anything is text: as text it is filtered, where an event stream's comments and fields would pass.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Literal, TypeAlias

from streamfilter.providers.detecting import detect

Kind: TypeAlias = Literal["text", "sse", "ndjson", "aws"]
"""A text; an event stream, lines of JSON, messages of AWS."""

LINE_BYTES = 1024 * 1024
"""Bytes of a first line that may be an event in lines of JSON."""

_LINE = re.compile(rb"[^\r\n]+")
_DATA = re.compile(rb"data: ?(?:\{|\[DONE\])")
_DONE = (b"data: [DONE]", b"data:[DONE]")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How lines of an event stream begin. https://html.spec.whatwg.org/multipage/server-sent-events.html"""


def kind_of(head: bytes, *, is_whole: bool = False) -> Kind | None:
    r"""What begins like this; None if that is still open.

    Args:
        head: the first bytes.
        is_whole: whether there are no more. Then it is never open.

    Example:
        >>> kind_of(b": ping"), kind_of(b": ping", is_whole=True), kind_of(b': ping\n\ndata: {"a": 1}'), kind_of(b"data: so it is")
        (None, 'text', 'sse', 'text')
    """
    if is_whole:
        return kind_of(head) or kind_of(head + b"\n") or "text"
    if head.startswith(b"\0"):  # a message of AWS begins with its length
        return "aws"
    head = head.removeprefix(codecs.BOM_UTF8)
    first = head.lstrip()
    if not first or codecs.BOM_UTF8.startswith(head):
        return None
    if first.startswith(b"{"):
        return _kind_of_lines(first)
    for found in _LINE.finditer(head):
        line = found[0]
        if _DATA.match(line):
            return "sse"
        if line.startswith(b"data:"):
            may_be_done = found.end() == len(head) and any(done.startswith(line) for done in _DONE)
            if not may_be_done and line not in (b"data:", b"data: "):
                return "text"
        elif not line.startswith(_FIELDS) and not any(field.startswith(line) for field in _FIELDS):
            return "text"
    return None


def _kind_of_lines(head: bytes) -> Kind | None:
    """The same of what begins as an object does: its first line is an event of a provider, or all is text."""
    line, newline, _ = head.partition(b"\n")
    if len(line) >= LINE_BYTES:
        return "text"
    if not newline:
        return None
    try:
        return "ndjson" if detect(json.loads(line)) else "text"
    except (ValueError, RecursionError):
        return "text"
