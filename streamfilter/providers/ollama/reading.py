"""Responses of Ollama to items: `/api/chat` and `/api/generate`, which differ only in where their text stands.

A stream is a line of JSON for each piece; the last one is `done` and has the counts. A call of a tool comes whole, on one line.
Source: Ollama's API reference, and the types of its package for Python.
"""

from __future__ import annotations

from typing import Any

from streamfilter.items import Channel, Failure, Finish, Key, Usage
from streamfilter.providers.events import Origin, first_seen
from streamfilter.providers.foreign import check
from streamfilter.providers.places import Opaque, Path, at, is_mute, is_opaque, within
from streamfilter.providers.shapes import fields, get, listed

NAME = "ollama"

OPAQUE: Opaque = frozenset(
    {
        *("model", "created_at", "role", "done_reason", "id", "type", "remote_model"),
        *within("remote_host", ""),
        *within("name", "function"),
        *within("tool_name", "message"),
        *within("image", ""),
        *within("images", "", "message"),
    }
)
"""Fields whose strings are no text: names, ids, times, and images in base64."""

TEXTS: dict[Path, str] = {
    ("message", "thinking"): "reasoning",
    ("message", "content"): "answer",
    ("thinking",): "reasoning",
    ("response",): "answer",
}
"""Where text stands, and the kind of its channel."""

COUNTS = ("prompt_eval_count", "eval_count", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration")

_PLAIN = {"model", "created_at", "message", "done", "response", "thinking"}
_PLAIN_MESSAGE = {"role", "content", "thinking"}
_SAID = {"response", "content", "thinking"}


class Reading:
    """One stream of responses.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._response = 0  # agents send several, one behind the other
        self._calls = 0  # of the response
        self._is_over = False
        self._last: Channel | None = None

    def read(self, origin: Origin) -> None:
        """Read one line."""
        event = origin.event
        if self._is_over:
            self._response, self._calls, self._is_over = self._response + 1, 0, False
        choice = first_seen(self._seen, (self._response, 0))
        if get(event, "error") is not None:
            origin.items.append(Failure(get(event, "error"), origin=origin))
            return
        for path, kind in TEXTS.items():
            channel = Channel(kind, (*choice, path[-1]))
            origin.text(path, channel)
            if path in origin.slots:
                self._last = channel
        origin.is_plain = _is_plain(event)
        if not origin.is_plain and get(event, "done") is not True:
            self._read_others(origin, choice)
        self._read_calls(origin, choice)
        check(NAME, origin)
        last = self._last or Channel("answer", (*choice, "content"))
        if get(event, "logprobs") is not None:
            origin.tokens["logprobs",] = last
        if get(event, "context") is not None:
            origin.spans["context",] = last  # the whole conversation, in tokens
        if get(event, "done") is True:
            self._is_over, self._last = True, None
            origin.items.append(Finish(str(get(event, "done_reason") or "stop"), scope=choice, origin=origin))
            usage = {name: get(event, name) for name in COUNTS if get(event, name) is not None}
            origin.items.append(Usage(usage, scope=choice, origin=origin))
        elif not origin.items:
            origin.rest(last)

    def _read_others(self, origin: Origin, choice: Key) -> None:
        """Strings of a message that may be new: what each says goes on in the next one."""
        message = get(origin.event, "message")
        for name, value in fields(message).items():
            path: Path = ("message", name)
            if isinstance(value, str) and path not in TEXTS and not is_opaque(OPAQUE, name, message, "message"):
                origin.text(path, Channel("other", (*choice, *path)))

    def _read_calls(self, origin: Origin, choice: Key) -> None:
        for n, call in enumerate(listed(at(origin.event, ("message", "tool_calls")))):
            channel = Channel("tool_arguments", (*choice, "tool_calls", self._calls))
            self._calls += 1
            origin.call(("message", "tool_calls", n), get(call, "id"), get(get(call, "function"), "name"), channel)
            origin.arguments(("message", "tool_calls", n, "function", "arguments"), channel)
            origin.rest(channel, boundary=True)


def _is_plain(event: Any) -> bool:
    """Whether all that it says is text, or no text at all."""
    head, inner = fields(event), fields(get(event, "message"))
    said = [value for each in (head, inner) for name, value in each.items() if name in _SAID]
    return (
        head.keys() <= _PLAIN
        and inner.keys() <= _PLAIN_MESSAGE
        and all(isinstance(value, str) for value in said)
        and is_mute(head, OPAQUE, _SAID | {"message"} if inner else _SAID, "")
        and is_mute(inner, OPAQUE, _SAID, "message")
    )


def read_whole(origin: Origin) -> None:
    """A response that did not stream."""
    Reading(set()).read(origin)
