"""Responses of Gemini that did not stream: each is one chunk, of which nothing leaves later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from streamfilter.context import Context
from streamfilter.items import End, Event, Finish, Item, TextDelta
from streamfilter.pipeline import Stage
from streamfilter.providers.events import Origin
from streamfilter.providers.gemini.reading import NAME, Reading, field_of, texts_of
from streamfilter.providers.gemini.writing import Writer
from streamfilter.providers.shapes import edited, get
from streamfilter.providers.wrapping import quoting
from streamfilter.reasons import spelled

T = TypeVar("T")


def filtered(pipeline: Stage[str, str], response: T, context: Context | None = None) -> T:
    """A response that did not stream, its text filtered by the same pipeline, and what quotes it by its guards.

    Args:
        pipeline: text stages that need not wait.
        response: a dict or an object of the SDK.
        context: as for streams.

    Raises:
        MalformedInput: it has a shape that could hide text.
        TypeError: a stage must wait: use `afilter_response`.
        Exception: what a stage ends a stream with.

    Example:
        >>> import streamfilter as sf
        >>> response = {"candidates": [{"content": {"parts": [{"text": "pin 1234."}]}, "finishReason": "STOP"}]}
        >>> filtered(sf.Redact("[0-9]{4}", to="####"), response)["candidates"][0]["content"]
        {'parts': [{'text': 'pin ####.'}]}
    """
    given = context or Context()
    origin = _read(response)
    items: Any = origin.items
    with pipeline.iter(items, context=given) as stream:
        out = list(stream)
    return _written(pipeline, origin, out, given)  # type: ignore[no-any-return]


async def afiltered(pipeline: Stage[str, str], response: T, context: Context | None = None) -> T:
    """The same through stages that wait too."""
    given = context or Context()
    origin = _read(response)
    async with pipeline(_each(origin.items), context=given) as stream:
        out = [item async for item in stream]
    return _written(pipeline, origin, out, given)  # type: ignore[no-any-return]


async def _each(items: Sequence[Item]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _read(response: Any) -> Origin:
    origin = Origin(response, NAME)
    Reading(set()).read(origin)
    return origin


def _written(pipeline: Stage[Any, Any], origin: Origin, out: Sequence[Item], context: Context) -> Any:
    group: list[Item] = []
    reasons: dict[Any, str] = {}  # by choice, where a stage has stopped it
    places = {item.channel: item.origin for item in reversed(origin.items) if isinstance(item, TextDelta)}
    for item in out:
        if isinstance(item, End) and item.error is not None:
            raise item.error
        if isinstance(item, str | TextDelta):
            text, channel, place = (
                (item, texts_of((0, 0)), None) if isinstance(item, str) else (item.text, item.channel, item.origin)
            )
            places[channel] = place or places.get(channel, origin)  # what is inserted stands behind what was said last
            group.append(TextDelta(text, channel, places[channel]))
        elif isinstance(item, Event) and item.origin is origin:
            group.append(item)
        elif isinstance(item, Finish):
            reasons[item.scope] = spelled(item.reason, "gemini")
    said = {id(item) for item in group}
    for item in origin.items:
        if isinstance(item, Finish) and id(item) not in said:  # what ends a stream without a word for it has refused it
            reasons.setdefault(item.scope, spelled("blocked", "gemini"))
    writer = Writer(quoting(pipeline, context))
    writer.note(origin)
    first, *more = writer.write(group) or [edited(origin.event, {"candidates": []})]
    candidates = list(get(first, "candidates") or ())
    for extra in more:  # text of a channel that it had none of
        candidates = [_joined(each, extra) for each in candidates]
    for n, candidate in enumerate(candidates):
        reason = reasons.get((0, get(candidate, "index") or 0))
        if reason is not None:
            known = field_of((get(origin.event, "candidates") or [candidate])[0], "finishReason")
            candidates[n] = edited(candidate, {known: reason})
    if all(one is other for one, other in zip(candidates, get(first, "candidates") or (), strict=True)):
        return first
    return edited(first, {"candidates": candidates})


def _joined(candidate: Any, extra: Any) -> Any:
    """A candidate with the parts that a further chunk has of it."""
    content = get(candidate, "content")
    for other in get(extra, "candidates") or ():
        if (get(other, "index") or 0) == (get(candidate, "index") or 0):
            kind = type((get(content, "parts") or [None])[0])
            parts = [_part(part, kind) for part in get(get(other, "content"), "parts") or ()]
            content = edited(content, {"parts": [*(get(content, "parts") or ()), *parts]})
    return edited(candidate, {"content": content})


def _part(part: Any, kind: type) -> Any:
    """A part in the class of the others."""
    validate = getattr(kind, "model_validate", None)
    return validate(part) if validate is not None and isinstance(part, dict) else part
