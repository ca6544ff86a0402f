"""`sse_response`: what a handler of FastAPI or Starlette returns."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import Any

from streamfilter.context import Clock
from streamfilter.stream import check_source
from streamfilter.web.messages import Message
from streamfilter.web.problems import OnError
from streamfilter.web.sending import Left, Sending, until_gone
from streamfilter.web.writing import ExitFormat, Writing, check_format

try:
    from starlette.background import BackgroundTask
    from starlette.responses import Response
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "starlette":
        raise
    raise ModuleNotFoundError('sse_response needs starlette: pip install "streamfilter[web]"', name=missing.name) from None

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
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope.get("method") == "HEAD":  # Starlette routes it to what is for GET
                await self.sending.close()
            else:

                async def body(message: Message) -> None:
                    await send({"type": "http.response.body", "body": message.frame(), "more_body": True})

                await self.sending.run(body, lambda: until_gone(receive))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (Left, OSError):
            return  # nobody is there any more
        finally:
            await self.sending.close()
        if self.background is not None:
            await self.background()


def sse_response(
    stream: AsyncIterable[Any],
    format: ExitFormat = "events",  # noqa: A002  # what one calls it
    *,
    on_error: OnError | None = None,
    keep_alive: float | None = KEEP_ALIVE_SECONDS,
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
        clock: what they go by; without one, the event loop that runs.
        model: the model's name, for formats that have it, where the stream does not bring it.
        status: of HTTP.
        headers: more of them. They may replace those that are set here, but for the content type.
        background: as for any response of Starlette.

    Raises:
        ValueError: the format, the seconds or a header is none.
        TypeError: the stream is no async iterable; the message says what would be right.
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
    if keep_alive is not None and not 0 < keep_alive < float("inf"):
        raise ValueError(f"keep_alive={keep_alive!r}: seconds above 0 are needed, or None")
    given = {name.lower(): value for name, value in (headers or {}).items()}
    for name, value in given.items():
        if not _NAME.match(name) or not _VALUE.match(value):
            raise ValueError("headers: a name or a value has characters that a header cannot have")
        if name in ("content-type", "content-length", "transfer-encoding", "content-encoding"):
            raise ValueError(f"headers: {name} is that of an event stream, and not to be set")
    if format == "vercel-ui":
        given = {"x-vercel-ai-ui-message-stream": "v1", **given}
    sending = Sending(stream, Writing(format, model), seconds=keep_alive, clock=clock, on_error=on_error)
    return StreamResponse(sending, status=status, headers={**HEADERS, **given}, background=background)
