"""What is filtered streaming is filtered whole by the same pipeline: requests, and responses that did not stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from streamfilter.context import Context
from streamfilter.errors import clear_text
from streamfilter.items import Channel, End, Item, ToolCall
from streamfilter.pipeline import Stage, as_stage
from streamfilter.plain import run_through
from streamfilter.providers.events import Origin
from streamfilter.providers.machines import STEP_EVENTS
from streamfilter.providers.places import GONE, Opaque, Path, at, is_below, revised, strings
from streamfilter.providers.requests import Filtering
from streamfilter.providers.rewriting import joined
from streamfilter.providers.shapes import plain
from streamfilter.providers.tokens import spelled_by, unfit
from streamfilter.providers.wrapping import Quoted, quoting
from streamfilter.slices import Steps, Turns, advanced, at_once, give_way

T = TypeVar("T")


@contextmanager
def _cleared() -> Iterator[None]:
    """No text stays in the variables of an error's traceback. Those of the function that is in here are its own to delete."""
    try:
        yield
    except Exception as error:
        clear_text(error)
        raise


def filter_request(pipeline: Stage[str, str], request: T, *, context: Context | None = None) -> T:
    """The messages of a request, or all of its arguments, with every text in them filtered as a whole.

    Args:
        pipeline: text stages that need not wait.
        request: a list of messages, or a dict of arguments (`{"model": …, "messages": […]}`), as dicts or SDK objects. It is not
            changed. What the model is said goes through the pipeline, all other text through its guards.
        context: with the vault that the response is restored from.

    Raises:
        TypeError: a stage must wait: use `afilter_request`.

    Example:
        >>> import streamfilter as sf
        >>> filter_request(sf.Redact("[0-9]+", to="#"), [{"role": "user", "content": [{"type": "text", "text": "pin 1234"}]}])
        [{'role': 'user', 'content': [{'type': 'text', 'text': 'pin #'}]}]
    """
    pipeline, given = as_stage(pipeline), context or Context()
    quote = quoting(pipeline, given)

    async def apply(text: str) -> str:
        return pipeline.apply(text, context=given)

    async def quoted(text: str) -> str:
        return quote(text)

    work = _filtered_request(request, Filtering(apply, quoted))
    del request
    with _cleared():
        return cast("T", run_through(work))


async def afilter_request(pipeline: Stage[str, str], request: T, *, context: Context | None = None) -> T:
    """The same as `filter_request`, through stages that wait too."""
    pipeline, given = as_stage(pipeline), context or Context()
    quote, turns = quoting(pipeline, given), Turns()

    async def apply(text: str) -> str:
        await turns.before(text)
        return await pipeline.aapply(text, context=given)

    async def quoted(text: str) -> str:
        await turns.before(text)
        return await quote.in_turn(text) if isinstance(quote, Quoted) else text

    work = _filtered_request(request, Filtering(apply, quoted))
    del request
    with _cleared():
        return cast("T", await work)


async def _filtered_request(request: Any, filtering: Filtering) -> Any:
    if isinstance(request, list | tuple):
        return [_like(each, await filtering.messages(plain(each))) for each in request]
    given: Any = plain(request)
    is_body = isinstance(given, Mapping) and "role" not in given
    return _like(request, await (filtering.body(given) if is_body else filtering.messages(given)))


def _like(came: Any, made: Any) -> Any:
    """What has been made of an object as an object again; what has not changed is what came."""
    if made == plain(came):
        return came
    build = getattr(came, "model_validate", None)
    return made if build is None else build(made)


@dataclass(frozen=True, slots=True)
class Whole:
    """A format's responses that did not stream.

    Attributes:
        read: reads one: where its text stands.
        opaque: its fields whose strings are no text.
        place: where text of a channel goes that the response has not, as `Extract` makes it; None: nowhere, it is left out.
    """

    read: Callable[[Origin], None]
    opaque: Opaque
    place: Callable[[Any, Channel], Path | None] = lambda _event, _channel: None

    def filter(self, pipeline: Stage[str, str], response: T, context: Context | None = None) -> T:
        """A response that did not stream, its text filtered by the same pipeline, and what quotes it by its guards.

        Args:
            pipeline: text stages that need not wait.
            response: a dict or an object of an SDK. It is not changed.
            context: as for streams.

        Raises:
            TypeError: a stage must wait: use `afilter_response`.
            Exception: what a stage ends a stream with.

        Example:
            >>> import streamfilter as sf
            >>> from streamfilter.providers.openai import chat
            >>> message = {"role": "assistant", "content": "pin 1234"}
            >>> chat.filter_response(sf.Redact("[0-9]+", to="#"), {"choices": [{"index": 0, "message": message}]})
            {'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': 'pin #'}}]}
        """
        origin = Origin(response, "")
        del response
        try:
            self.read(origin)
            with _cleared():
                return filtered(pipeline, origin, self, context)  # type: ignore[no-any-return]
        finally:
            del origin

    async def afilter(self, pipeline: Stage[str, str], response: T, context: Context | None = None) -> T:
        """The same as `filter_response`, through stages that wait too."""
        origin = Origin(response, "")
        del response
        try:
            self.read(origin)
            with _cleared():
                return await afiltered(pipeline, origin, self, context)  # type: ignore[no-any-return]
        finally:
            del origin


def filtered(pipeline: Stage[str, str], origin: Origin, form: Whole, context: Context | None) -> Any:
    """A whole response, filtered.

    Args:
        pipeline: text stages that need not wait.
        origin: the response, read.
        form: its format.
        context: as for streams.

    Raises:
        Exception: what a stage ends a stream with.
    """
    given = context or Context()
    out: list[Item] = []
    with pipeline.iter(origin.items, context=given) as stream:
        out += stream
    return at_once(_put(pipeline, origin, form, given, out))[0]


async def afiltered(pipeline: Stage[str, str], origin: Origin, form: Whole, context: Context | None) -> Any:
    """The same through stages that wait too."""
    given = context or Context()
    out: list[Item] = []
    async with pipeline(_each(origin.items), context=given) as stream:
        out += [item async for item in stream]
    work = _put(pipeline, origin, form, given, out)
    shown, is_over = advanced(work)
    while not is_over:
        await give_way()
        shown, is_over = advanced(work)
    return shown[0]


async def _each(items: Sequence[Item]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _put(pipeline: Stage[str, str], origin: Origin, form: Whole, context: Context, out: Sequence[Item]) -> Steps:
    """The response, as the last step gives it."""
    for item in out:
        if isinstance(item, End) and item.error is not None:
            raise item.error
    texts = joined(out)
    begun = {item.arguments for item in out if isinstance(item, ToolCall)}
    quote = quoting(pipeline, context)
    event = origin.event
    changes: dict[Path, Any] = {path: GONE for path, channel in origin.calls.items() if channel not in begun}
    changed: set[Channel] = set()
    came = {channel: origin.said(path) for path, channel in origin.slots.items()}
    for path, channel in origin.slots.items():
        changes[path] = origin.value(path, texts.pop(channel, ""))
        if changes[path] != at(event, path):
            changed.add(channel)
    spelled = {path: (spelled_by(at(event, path)), came.get(channel)) for path, channel in origin.tokens.items()}
    lying = {path for path, (text, said) in spelled.items() if text is None or (text != said and quote(text) != text)}
    for path, channel in (*origin.spans.items(), *origin.tokens.items(), *origin.signs.items()):
        if channel in changed or path in lying:
            value = at(event, path)
            changes[path] = [] if isinstance(value, list | tuple) else "" if isinstance(value, str) else None
    for channel, text in texts.items():
        place = form.place(event, channel)
        if place is not None and text:
            said = changes.get(place)
            changes[place] = said + text if isinstance(said, str) else text
    changes |= {path: value for path, value in unfit(event, quote).items() if not is_below(path, changes)}
    for n, (path, text) in enumerate(strings(event, form.opaque), 1):
        if n % STEP_EVENTS == 0:
            yield ()
        if not is_below(path, changes):
            changes[path] = quote(text)
    return (revised(event, {path: value for path, value in changes.items() if value != at(event, path)}),)
