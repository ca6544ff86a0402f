"""`sse_response` and `resumable_response`: what a handler of FastAPI or Starlette returns."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from streamfilter.context import Clock
from streamfilter.declaration import check_seconds
from streamfilter.providers.frames import json_text
from streamfilter.resumable.failures import StoreFailed, StreamExists
from streamfilter.resumable.stream import ResumableStream
from streamfilter.stream import check_source
from streamfilter.web.patience import UNREAD_SECONDS, check_unread
from streamfilter.web.problems import OnError, body_of, problem_of
from streamfilter.web.resuming import Start, following, written
from streamfilter.web.sending import Frames, Sending, answer, until_gone
from streamfilter.web.writing import ExitFormat, Writing, check_format

try:
    from starlette.background import BackgroundTask
    from starlette.responses import Response
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "starlette":
        raise
    raise ModuleNotFoundError('sse_response needs starlette: pip install "streamfilter[web]"', name=_missing.name) from None

KEEP_ALIVE_SECONDS = 15.0
"""Of silence until a comment is sent. Source: WHATWG HTML, 9.2.7, "Authoring notes": "every 15 seconds or so"."""

HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
"""No cache, no proxy and no compression may keep what is there. `x-accel-buffering` is nginx's word for that."""

_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
"""Of a header. Source: RFC 9110, 5.5 and 5.6.2. Not every server looks."""


class StreamResponse(Response):
    """A stream as an event stream. See `sse_response`, which makes it."""

    media_type = "text/event-stream"

    def __init__(
        self, sending: Sending, *, status: int, headers: Mapping[str, str], background: BackgroundTask | None = None
    ) -> None:
        self.sending = sending
        self.status_code = status
        self.background = background
        self.init_headers(headers)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        is_head = scope.get("method") == "HEAD"
        is_sent = await answer(start, self.sending, send, lambda: until_gone(receive), is_head=is_head)
        if is_sent and self.background is not None:
            await self.background()


class ResumableResponse(StreamResponse):
    """A stream that its reader may drop and come back to. See `resumable_response`, which makes it."""

    def __init__(
        self,
        open: Callable[[], Awaitable[Sending | None]],  # noqa: A002
        *,
        name: str,
        gone_status: int,
        on_error: OnError | None,
        status: int,
        headers: Mapping[str, str],
        background: BackgroundTask | None = None,
    ) -> None:
        self._open = open
        self._name = name
        self._gone_status = gone_status
        self._on_error = on_error
        self.status_code = status
        self.background = background
        self.init_headers(headers)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope.get("method") == "HEAD":  # what a stream is started for is its body
            await Response(status_code=self.status_code, headers=dict(self.headers))(scope, receive, send)
            return
        try:
            sending = await self._open()
        except StoreFailed as error:
            problem = problem_of(error, self._on_error)
            content = json_text(body_of(self._name, problem))
            await Response(content, status_code=problem.status, media_type="application/json")(scope, receive, send)
            return
        if sending is None:
            await Response(status_code=self._gone_status, headers={"cache-control": "no-store"})(scope, receive, send)
            return
        self.sending = sending
        await super().__call__(scope, receive, send)


def sse_response(
    stream: AsyncIterable[Any],
    format: ExitFormat = "events",  # noqa: A002  # what one calls it
    *,
    on_error: OnError | None = None,
    keep_alive: float | None = KEEP_ALIVE_SECONDS,
    unread_seconds: float | None = UNREAD_SECONDS,
    clock: Clock | None = None,
    model: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    background: BackgroundTask | None = None,
) -> StreamResponse:
    r"""A response that sends a stream to a browser or an SDK while it arrives, as server-sent events.

    The stream may be text, items, the chunks of a provider (objects, dicts or bytes: those of the client's format are sent as they
    are, those of others in its words), or values: what `ParseJSON` and `JSONEvents` give. It is closed when the response is over,
    however that is, and at once when the client leaves.

    An error in mid-stream becomes a legal error of the format, which says whether something was blocked, took too long or failed,
    and nothing else of it: no exception's message leaves.

    Args:
        stream: what is sent.
        format: what the client reads: `"openai"` (its SDKs; chat chunks, or Responses if the stream is one), `"anthropic"`,
            `"vercel-ui"` (`useChat` of the AI SDK), `"text"` (the answer's text as the data of events, lines ended by line feeds),
            `"events"` (events of our own, each with its `type` as JSON, for text, items and values) or `"patches"` (the same for
            `JSONEvents(patch=True)`).
        on_error: is told the exception, before the client is; it may give a `Problem`, or the words that the client is told.
        keep_alive: seconds of silence until a comment is sent; None sends none.
        unread_seconds: until a client that reads nothing and does not leave is given up, and the stream closed; None: never.
        clock: what they go by; without one, the event loop that runs.
        model: the model's name, for formats that have it, where the stream does not bring it.
        status: of HTTP.
        headers: more of them. They may replace those that are set here, but for the content type.
        background: as for any response of Starlette.

    Raises:
        ValueError: the format, the seconds, the status or a header is none.
        TypeError: the stream is no async iterable, or a header's value no str; the message says what would be right.
        ModuleNotFoundError: starlette is not installed.

    Example:
        >>> import asyncio
        >>> async def text():
        ...     yield "Hi"
        >>> async def main():
        ...     async def send(message):
        ...         print(message.get("body"))
        ...     await sse_response(text(), "text")({"type": "http"}, asyncio.Event().wait, send)
        >>> asyncio.run(main())
        None
        b'data: Hi\n\n'
        b'event: done\ndata: {"type":"done"}\n\n'
        b''
    """
    check_format(format)
    check_source(stream, "the stream")
    if keep_alive is not None:
        check_seconds("keep_alive", keep_alive)
    _check_status("status", status)
    given = _headers(format, headers)
    writing = Writing(format, model)
    sending = Sending(stream, writing, seconds=keep_alive, clock=clock, on_error=on_error, unread_seconds=unread_seconds)
    return StreamResponse(sending, status=status, headers=given, background=background)


def resumable_response(
    resumable: ResumableStream,
    start: Start | None,
    format: ExitFormat = "events",  # noqa: A002
    *,
    last_event_id: str | None = None,
    gone_status: int = 204,
    on_error: OnError | None = None,
    keep_alive: float | None = KEEP_ALIVE_SECONDS,
    unread_seconds: float | None = UNREAD_SECONDS,
    clock: Clock | None = None,
    model: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    background: BackgroundTask | None = None,
) -> ResumableResponse:
    r"""A response like that of `sse_response`, for a stream that outlives it: a client that drops comes back to where it was.

    The first request for a stream starts it, in a task of its own that writes the frames into the store; this client and all others
    read them from there, each with an id. A request for a stream that exists follows it, from the beginning or behind the event
    that it names, and starts nothing. Whoever comes back gets the bytes that were missed, errors and the end of the format too.
    When a client leaves, the stream goes on, or stops as `unread_seconds` of the `ResumableStream` says; `await
    resumable.stop()`, on any server, ends it.

    Args:
        resumable: the stream's place in a store. Check that the client may read it.
        start: gives what is sent, as for `sse_response`: a function without arguments, async or not. It is called once for a
            stream. None: this request starts nothing.
        format: what the client reads; the same for all requests for a stream.
        last_event_id: the request's header `Last-Event-ID`, as it came. Such a request never starts anything.
        gone_status: of the answer when there is nothing to follow: no stream (never begun, or expired), an event that is not one of
            its own, or its last event. By 204 an `EventSource` is told to stop.
        on_error: is told the exception, where the stream is written, and of what only one reader sees, where it is read.
        keep_alive: as for `sse_response`.
        unread_seconds: as for `sse_response`; the stream itself goes on.
        clock: as for `sse_response`.
        model: as for `sse_response`.
        status: as for `sse_response`.
        headers: as for `sse_response`.
        background: as for `sse_response`; it runs after each response that was sent to its end.

    Raises:
        ValueError: the format, the seconds, a status or a header is none.
        TypeError: `start` is a stream, which each request would begin; or a header's value is no str.
        ModuleNotFoundError: starlette is not installed.

    Example:
        >>> import asyncio
        >>> from streamfilter.resumable import MemoryStore, ResumableStream
        >>> async def text():
        ...     yield "Hi"
        >>> async def main():
        ...     stream = ResumableStream(MemoryStore(), "answer-1")
        ...     async def send(message):
        ...         print(message.get("status") or message["body"][:13])
        ...     for last_event_id in (None, "17-1"):
        ...         response = resumable_response(stream, text, "text", last_event_id=last_event_id)
        ...         await response({"type": "http"}, asyncio.Event().wait, send)
        >>> asyncio.run(main())
        200
        b'data: Hi\nid: '
        b'event: done\nd'
        b''
        204
        b''
    """
    check_format(format)
    if keep_alive is not None:
        check_seconds("keep_alive", keep_alive)
    check_unread(unread_seconds)
    if not isinstance(resumable, ResumableStream):
        raise TypeError(f"resumable is {type(resumable).__qualname__}: a ResumableStream is needed")
    if start is not None and not callable(start):
        raise TypeError(
            f"start is {type(start).__qualname__}: a function that gives the stream is needed, such as lambda: safe(model())"
        )
    _check_status("status", status)
    _check_status("gone_status", gone_status)
    name = Writing(format).name

    async def opened() -> Sending | None:
        if start is not None and not last_event_id:
            with suppress(StreamExists):
                await resumable.start(written(start, Writing(format, model), clock=clock, on_error=on_error))
        found = await following(resumable, last_event_id, name=name, on_error=on_error)
        return None if found is None else Sending(found, Frames(), seconds=keep_alive, clock=clock, unread_seconds=unread_seconds)

    return ResumableResponse(
        opened,
        name=name,
        gone_status=gone_status,
        on_error=on_error,
        status=status,
        headers=_headers(format, headers),
        background=background,
    )


def _check_status(name: str, status: int) -> None:
    """Refuse what is no status of HTTP that a response can have."""
    if not isinstance(status, int) or status not in range(200, 600):
        raise ValueError(f"{name}={status!r}: a status of HTTP is needed, such as 200 or 404")


def _headers(format: ExitFormat, headers: Mapping[str, str] | None) -> dict[str, str]:  # noqa: A002
    """The headers of a response. What is wrong is told by their names: a value may be a secret."""
    if headers is not None and not callable(getattr(headers, "items", None)):
        raise TypeError(f"headers is {type(headers).__qualname__}: a dict is needed")
    given: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _NAME.match(name):
            raise ValueError(f"headers: {name!r} is no name that a header can have")
        if not isinstance(value, str):
            raise TypeError(f"headers: the value of {name} is {type(value).__qualname__}: a str is needed")
        if not _VALUE.match(value):
            raise ValueError(f"headers: the value of {name} has characters that a header cannot have")
        if name.lower() in ("content-type", "content-length", "transfer-encoding", "content-encoding"):
            raise ValueError(f"headers: {name.lower()} is that of an event stream, and not to be set")
        given[name.lower()] = value
    if format == "vercel-ui":
        given = {"x-vercel-ai-ui-message-stream": "v1", **given}
    return {**HEADERS, **given}
