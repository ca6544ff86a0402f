"""What a body is, by how it begins: the events of a provider, in one of their framings, or a text, which may stand in events too.
For what comes without a type.

What could be anything is text: as text it is filtered, where an event stream's comments and fields would pass. Text in several
events is told apart: what is cut in two by the framing would pass as well.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Literal, TypeAlias

from streamfilter.providers.detecting import detect, format_named

Kind: TypeAlias = Literal["text", "sse", "text-events", "ndjson", "array", "aws"]
"""A text; chunks in an event stream; an event stream whose data is text; chunks in lines of JSON, in a JSON array, in messages of
AWS."""

LINE_BYTES = 1024 * 1024
"""Bytes of what may be the first event: of a line of JSON, of an array's element, of an event stream up to its second event."""

_LINE = re.compile(rb"[^\r\n]+")
_BLANK = re.compile(rb"(\r\n?|\n){2}")
_DATA = re.compile(rb"data: ?(?:\{|\[DONE\])")
_ELEMENT = re.compile(r"\[[ \t\r\n]*")
_TOLD_BY = 10
"""Characters behind a fault in JSON that are more than a word or an escape has: it is not because the text is cut off there."""

_DONE = (b"data: [DONE]", b"data:[DONE]")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""How lines of an event stream begin. https://html.spec.whatwg.org/multipage/server-sent-events.html"""


def kind_of(head: bytes, *, is_whole: bool = False) -> Kind | None:
    r"""What begins like this; None if that is still open.

    Args:
        head: the first bytes.
        is_whole: whether there are no more. Then it is never open.

    Example:
        >>> kind_of(b": ping"), kind_of(b": ping", is_whole=True), kind_of(b': ping\n\ndata: {"a": 1}'), kind_of(b"so it is")
        (None, 'text', 'sse', 'text')
        >>> kind_of(b"data: so it\n\n"), kind_of(b"data: so it\n\n", is_whole=True), kind_of(b"data: so it\n\ndata:  is\n\n")
        (None, 'text', 'text-events')
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
    if first.startswith(b"["):
        return _kind_of_array(first[:LINE_BYTES].decode("utf-8", "surrogateescape"), is_cut=len(first) >= LINE_BYTES)
    return _kind_of_events(head[:LINE_BYTES])


def _kind_of_events(head: bytes) -> Kind | None:
    """The same of what may be an event stream. One event of text is a text too, of which it may only be the beginning."""
    data: list[bytes] = []  # of the first event that has any
    is_over, end = False, 0
    for found in _LINE.finditer(head):
        line, begin, end = found[0], end, found.end()
        is_over = is_over or (bool(data) and _BLANK.search(head, begin, found.start()) is not None)
        if not data and _DATA.match(line):
            return "sse"
        if line.startswith(b"data:"):
            if is_over:
                return "sse" if _is_json(b"\n".join(data)) else "text-events"
            may_be_done = not data and end == len(head) and any(done.startswith(line) for done in _DONE)
            if not may_be_done and line not in (b"data:", b"data: "):
                data.append(line.removeprefix(b"data:"))
        elif not line.startswith(_FIELDS) and not any(field.startswith(line) for field in _FIELDS):
            return "text"
    return "text" if len(head) >= LINE_BYTES else None


def _is_json(data: bytes) -> bool:
    """Whether it is a string or a list of JSON's: no provider's event, and what a text would be is not known."""
    try:
        return isinstance(json.loads(data), str | list)
    except (ValueError, RecursionError):
        return False


def _kind_of_array(text: str, *, is_cut: bool) -> Kind | None:
    """The same of what begins as a list does: its first element is an event of a provider, or all is text."""
    begin = _ELEMENT.match(text)
    at = begin.end() if begin else 0
    if text[at : at + 1] not in ("", "{"):
        return "text"
    try:
        return "array" if _is_chunk(json.JSONDecoder().raw_decode(text, at)[0]) else "text"
    except RecursionError:
        return "text"
    except json.JSONDecodeError as error:
        is_open = error.msg.startswith("Unterminated") or error.pos + _TOLD_BY >= len(text)
        return None if is_open and not is_cut else "text"


def _is_chunk(event: Any) -> bool:
    """Whether it is one of a provider's stream: what looks like one may be of a log of answers, or of questions with `choices`."""
    name = detect(event)
    if name is None:
        return False
    try:
        for _ in format_named(name).reader(name, set()).read(event):
            pass
    except TypeError:
        return False
    return True


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
