"""The JSON object in the data of an event: what is wrong with it, and which of its fields counts where one stands twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamfilter.errors import MalformedInput, TruncatedInput
from streamfilter.providers.frames import Framing
from streamfilter.providers.sse import JOINED, Frame

_NO_JSON = "the data of an event is not JSON"
_FIELDS = ("data:", "event:", "id:", "retry:", ":")


def parsed(data: str, offset: int) -> dict[str, Any]:
    """The object in the data of an event.

    Raises:
        MalformedInput: there is none.
    """
    return _parsed(data, offset, json.loads)


def _parsed(data: str, offset: int, read: Callable[[str], Any]) -> dict[str, Any]:
    event, problem = None, "the data of an event is not a JSON object"
    try:
        event = read(data)
    except _RepeatedNameError:
        raise
    except (ValueError, RecursionError) as error:
        problem = _NO_JSON
        if isinstance(error, json.JSONDecodeError) and data.startswith(_FIELDS, error.pos):
            problem = JOINED
    if not isinstance(event, dict):  # raised out here, it has not the error above for its context, which holds the data
        raise MalformedInput(problem, offset)
    return event


class _RepeatedNameError(ValueError):
    """An object has a field twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _RepeatedNameError
    return made


_strictly = json.JSONDecoder(object_pairs_hook=_object).decode


def said_in(frame: Frame, framing: Framing) -> tuple[dict[str, Any], Frame]:
    r"""The event in a frame, and the frame. If a field stands twice in it, readers differ about which counts: the last one does,
    as for Python, and the frame is made anew, without the other. So nothing leaves that was not read.

    Raises:
        MalformedInput: there is no JSON object.
        TruncatedInput: nor could there be: the stream has ended inside of the frame.

    Example:
        >>> from streamfilter.providers.frames import SSE
        >>> event, frame = said_in(Frame('{"a":1,"a":2}', "", None, b'data: {"a":1,"a":2}\r\n\r\n', 0), SSE)
        >>> event, frame.raw
        ({'a': 2}, b'data: {"a":2}\n\n')
    """
    data = frame.data or ""
    try:
        return _parsed(data, frame.offset, _strictly), frame
    except _RepeatedNameError:
        event = parsed(data, frame.offset)
    except MalformedInput as error:
        if frame.complete or error.problem != _NO_JSON:
            raise
        event = None
    if event is None:
        raise TruncatedInput("the stream ends inside an event", frame.offset)
    raw = framing.encode(event, frame.event, frame)
    return event, replace(frame, raw=raw, complete=True, is_cut=False)
