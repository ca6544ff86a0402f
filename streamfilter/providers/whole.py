"""What is filtered streaming is filtered whole by the same pipeline: requests, and responses that did not stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from streamfilter.context import Context
from streamfilter.items import Channel, End, Item, TextDelta
from streamfilter.pipeline import Stage
from streamfilter.providers.events import Origin, Path, at, strings
from streamfilter.providers.rewriting import put
from streamfilter.providers.wrapping import quoting

T = TypeVar("T")

TEXTS = frozenset({"messages", "system", "input", "instructions", "contents", "prompt", "content", "system_instruction", "config"})
"""The arguments of a request that have text; all others are settings."""

ARGUMENTS = frozenset({"arguments", "input", "args"})
"""Fields of a message that have the arguments of a call; what they are as text is JSON."""

OPAQUE = frozenset(
    {
        *("type", "id", "role", "name", "model", "call_id", "tool_call_id", "tool_use_id", "item_id", "status", "media_type"),
        *("mime_type", "mimeType", "data", "file_id", "file_data", "file_uri", "fileUri", "format", "detail", "signature"),
        *("encrypted_content", "encrypted_index", "thought_signature", "thoughtSignature", "cache_control", "phase"),
        *("response_mime_type", "safety_settings", "tool_config", "toolUseId", "bytes"),
    }
)
"""Fields of a request whose strings are no text: names, ids, settings, files, and what only the provider can read."""


def filter_request(pipeline: Stage[str, str], request: T, *, context: Context | None = None) -> T:
    """The messages of a request, or all of its arguments, with every text in them filtered as a whole.

    Args:
        pipeline: text stages that need not wait.
        request: a list of messages, or a dict of arguments (`{"model": …, "messages": […]}`), as dicts or SDK objects. It is not
            changed.
        context: with the vault that the response is restored from.

    Raises:
        TypeError: a stage must wait: use `afilter_request`.

    Example:
        >>> import streamfilter as sf
        >>> filter_request(sf.Redact("[0-9]+", to="#"), [{"role": "user", "content": [{"type": "text", "text": "pin 1234"}]}])
        [{'role': 'user', 'content': [{'type': 'text', 'text': 'pin #'}]}]
    """
    given = context or Context()
    made: Any = request
    for path, text in list(_texts(request)):
        shown = pipeline.apply(text, context=given)
        if shown != text:
            made = put(made, path, shown)
    return made  # type: ignore[no-any-return]


async def afilter_request(pipeline: Stage[str, str], request: T, *, context: Context | None = None) -> T:
    """The same as `filter_request`, through stages that wait too."""
    given = context or Context()
    made: Any = request
    for path, text in list(_texts(request)):
        shown = await pipeline.aapply(text, context=given)
        if shown != text:
            made = put(made, path, shown)
    return made  # type: ignore[no-any-return]


def _texts(request: Any) -> Iterable[tuple[Path, str]]:
    is_whole = isinstance(request, Mapping) and "role" not in request
    for path, text in strings(request, OPAQUE):
        if (not is_whole or path[0] in TEXTS) and not text.startswith("data:"):
            yield path, text


@dataclass(frozen=True, slots=True)
class Whole:
    """A format's responses that did not stream.

    Attributes:
        read: reads one: where its text stands.
        opaque: its fields whose strings are no text.
    """

    read: Callable[[Origin], None]
    opaque: frozenset[str]

    def filter(self, pipeline: Stage[str, str], response: T, context: Context | None) -> T:
        """A whole response, filtered."""
        origin = Origin(response, "")
        self.read(origin)
        return filtered(pipeline, origin, self.opaque, context)  # type: ignore[no-any-return]

    async def afilter(self, pipeline: Stage[str, str], response: T, context: Context | None) -> T:
        """The same through stages that wait too."""
        origin = Origin(response, "")
        self.read(origin)
        return await afiltered(pipeline, origin, self.opaque, context)  # type: ignore[no-any-return]


def filtered(pipeline: Stage[str, str], origin: Origin, opaque: frozenset[str], context: Context | None) -> Any:
    """A whole response, filtered.

    Args:
        pipeline: text stages that need not wait.
        origin: the response, read.
        opaque: its fields that are no text.
        context: as for streams.

    Raises:
        Exception: what a stage ends a stream with.
    """
    given = context or Context()
    out: list[Item] = []
    with pipeline.iter(origin.items, context=given) as stream:
        out += stream
    return _put(pipeline, origin, opaque, given, out)


async def afiltered(pipeline: Stage[str, str], origin: Origin, opaque: frozenset[str], context: Context | None) -> Any:
    """The same through stages that wait too."""
    given = context or Context()
    out: list[Item] = []
    async with pipeline(_each(origin.items), context=given) as stream:
        out += [item async for item in stream]
    return _put(pipeline, origin, opaque, given, out)


async def _each(items: Sequence[Item]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _put(pipeline: Stage[str, str], origin: Origin, opaque: frozenset[str], context: Context, out: Sequence[Item]) -> Any:
    texts: dict[Channel, str] = {}
    for item in out:
        if isinstance(item, TextDelta):
            texts[item.channel] = texts.get(item.channel, "") + item.text
        elif isinstance(item, End) and item.error is not None:
            raise item.error
    quote = quoting(pipeline, context)
    event = origin.event
    changes: dict[Path, Any] = {}
    changed: set[Channel] = set()
    for path, channel in origin.slots.items():
        changes[path] = texts.pop(channel, "")
        if changes[path] != at(event, path):
            changed.add(channel)
    for path, channel in (*origin.spans.items(), *origin.tokens.items(), *origin.signs.items()):
        if channel in changed:
            value = at(event, path)
            changes[path] = [] if isinstance(value, list | tuple) else "" if isinstance(value, str) else None
    for path, text in strings(event, opaque):
        if not any(path[: len(place)] == place for place in changes):
            changes[path] = quote(text)
    for path, value in changes.items():
        if value != at(event, path):
            event = put(event, path, value)
    return event
