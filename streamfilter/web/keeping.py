"""An ASGI application whose event streams outlive their connections: what it sends is kept as it leaves, and read from there.

The stream is claimed before the application is called, so that of two requests for it one calls the application and the other one
follows. Then the application runs in a task of its own. If it answers with an event stream, its frames go into the store, and this
client too reads them from there; a client that leaves is not told to the application, an end of the stream is. Any other answer
goes to the client as it comes, and the stream is forgotten, so that the next request calls the application again.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

from streamfilter.providers import sse
from streamfilter.providers.frames import json_text
from streamfilter.resumable.failures import StoreFailed, StreamExists
from streamfilter.resumable.producing import Producer
from streamfilter.resumable.stream import ResumableStream
from streamfilter.web.exchange import App, Receive, Scope, Send
from streamfilter.web.handoff import Gone, Handoff
from streamfilter.web.patience import UNREAD_SECONDS
from streamfilter.web.problems import OnError, body_of, messages_of, number_behind, origin_of, problem_of
from streamfilter.web.resuming import Following, Head, body_of_frame, following
from streamfilter.web.sending import Frames, Sending, answer, until_gone

KEPT = frozenset({b"content-type", b"cache-control", b"x-accel-buffering", b"x-vercel-ai-ui-message-stream"})
"""Headers that who comes back gets too: those that say how to read the stream. All others are one answer's: cookies, ids, dates."""

OK = 200
LOG = logging.getLogger("streamfilter.web")
_RUNNING: set[asyncio.Task[None]] = set()
"""Loops hold their tasks weakly."""


Kept: TypeAlias = Callable[[Scope], "ResumableStream | Awaitable[ResumableStream | None] | None"]
"""Says where the event stream that answers a request is kept; None: nowhere."""


def checked(given: Kept | None) -> Kept | None:
    """Refuse what is no such function.

    Raises:
        TypeError: it is none.
    """
    if given is not None and not callable(given):
        raise TypeError(
            f"resumable is {type(given).__qualname__}: a function of the scope is needed, which gives a ResumableStream"
        )
    return given


async def keep(
    app: App,
    kept: Kept | None,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    name: str = "",
    on_error: OnError | None = None,
) -> None:
    """Serve one request, from the store if its stream is there, else by the application.

    Args:
        app: the application; it is called at most once for a stream.
        kept: says where its event stream is kept.
        scope: of the request.
        receive: of ASGI.
        send: of ASGI.
        name: of the format, where it is known before the stream is.
        on_error: is told of what goes wrong with the store, or in the application once its stream has begun.
    """
    resumable = await _of_scope(kept, scope) if kept is not None and scope["method"] in ("GET", "POST") else None
    if resumable is None:
        await app(scope, receive, send)
        return
    given = [value for key, value in scope["headers"] if key.lower() == b"last-event-id"]
    last_id = given[-1].decode("latin-1").strip() if given else ""
    kept_app = _Kept(app, scope, receive, send, name, on_error)
    try:
        producer = None if last_id else await resumable.start(kept_app)
    except StreamExists:
        producer = None
    except StoreFailed as error:
        await _failed(send, error, name, on_error)
        return
    if producer is not None:
        await kept_app.serve(resumable, producer)
        return
    try:
        found = await following(resumable, last_id, name=name, on_error=on_error)
        head = None if found is None else found.head or (_LOST if last_id else await found.begun())
    except StoreFailed as error:
        await _failed(send, error, name, on_error)
        return
    if found is None or head is None:
        await _nothing(send)
    else:
        headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in head["headers"]]
        await _follow({"status": OK, "headers": headers}, found, send, lambda: until_gone(receive))


async def _of_scope(kept: Kept, scope: Scope) -> ResumableStream | None:
    """Where the answer to a request is kept."""
    given: Any = kept(scope)
    if inspect.isawaitable(given):
        given = await given
    if given is not None and not isinstance(given, ResumableStream):
        raise TypeError(f"resumable gave {type(given).__qualname__}: a ResumableStream is needed, or None")
    return given


_LOST: Head = {"headers": [["content-type", "text/event-stream; charset=utf-8"], ["cache-control", "no-cache, no-transform"]]}
"""The head of a stream so long that its first entry is no longer kept."""


async def _nothing(send: Send) -> None:
    """There is nothing to follow: an `EventSource` stops at that."""
    with suppress(OSError):
        await send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _failed(send: Send, error: StoreFailed, name: str, on_error: OnError | None) -> None:
    """The store cannot be reached, so nothing is asked for: an answer that nobody could come back to was not what was wanted."""
    problem = problem_of(error, on_error)
    content = json_text(body_of(name, problem)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    with suppress(OSError):
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": content, "more_body": False})


async def _follow(start: dict[str, Any], found: Following, send: Send, gone: Callable[[], Awaitable[object]]) -> None:
    await answer({"type": "http.response.start", **start}, Sending(found, Frames(), unread_seconds=UNREAD_SECONDS), send, gone)


class _Kept:
    """The application's answer: what it is sent and sends; and, as a source, the entries of its stream."""

    def __init__(self, app: App, scope: Scope, receive: Receive, send: Send, name: str, on_error: OnError | None) -> None:
        self._call = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._name = name
        self._on_error = on_error
        self._app: asyncio.Task[None] | None = None
        self._handoff = Handoff()
        self._decoder = sse.Decoder()
        self._entries: deque[Head | bytes] = deque()
        self._number = 0  # of the next event, where a format numbers them
        self._has_all = asyncio.Event()  # of the request
        self._has_begun = asyncio.Event()  # the answer, so that it is known where it goes
        self._is_settled = asyncio.Event()  # the application may be told that the client has left
        self._start: dict[str, Any] = {}  # of an event stream
        self._is_direct = False  # it is none, and goes to the client
        self._is_complete = False  # the application has sent all
        self._is_done = False  # all of it was read
        self._is_closed = False

    async def serve(self, resumable: ResumableStream, producer: Producer) -> None:
        """Call the application, and answer the client."""
        self._app = asyncio.get_running_loop().create_task(self._run())
        _RUNNING.add(self._app)
        self._app.add_done_callback(_RUNNING.discard)
        await self._has_begun.wait()
        if not self._is_direct:
            try:
                found = await following(resumable, None, name=self._name, on_error=self._on_error)
            except StoreFailed as error:
                await _failed(self._send, error, self._name, self._on_error)
                return
            if found is None or not self._start:  # it was stopped before there was an answer
                await _nothing(self._send)
            else:
                await _follow(self._start, found, self._send, self._gone)
            return
        try:
            with suppress(StoreFailed):
                await producer.wait()
                await resumable.delete()
            await self._app
        finally:
            self._app.cancel()

    # ------------------------------------------------------------------ as a source

    def __aiter__(self) -> _Kept:
        return self

    async def __anext__(self) -> Head | bytes:
        if not self._start:
            await self._has_begun.wait()
            if self._is_direct:
                raise StopAsyncIteration
        while not self._entries:
            if self._is_done:
                raise StopAsyncIteration
            await self._more()
        return self._entries.popleft()

    async def _more(self) -> None:
        try:
            frames = [*self._decoder.feed(await anext(self._handoff))]
        except StopAsyncIteration:
            self._is_done = True
            frames = [*self._decoder.finish()]
        except Exception as error:
            self._is_done = True
            told = messages_of(self._name, problem_of(error, self._on_error), number=self._number)
            self._entries.extend(body_of_frame(message.frame()) for message in told)
            return
        for frame in frames:
            self._number = number_behind(frame.raw, self._number)
            if body := body_of_frame(frame.raw):
                self._entries.append(body)

    async def aclose(self) -> None:
        """The stream is over: so is the application, unless it has done its part and is tidying up."""
        self._is_closed = True
        if self._is_direct:
            return
        self._is_settled.set()
        await self._handoff.aclose()
        if self._app is not None and not self._is_done:
            self._app.cancel()
            await asyncio.wait([self._app])
        self._has_begun.set()

    # ------------------------------------------------------------------ for the application

    async def _run(self) -> None:
        try:
            if not self._is_closed:
                await self._call(self._scope, self._received, self._sent)
        except Exception as error:
            if not self._start:
                raise
            LOG.warning("an application failed in an event stream that is kept: %s", origin_of(error))
            self._end(error)
        finally:
            if not self._start and not self._is_closed:
                self._go_direct()
            self._end(RuntimeError("the application returned within its response"))

    def _end(self, error: Exception | None) -> None:
        if not self._is_complete:
            self._is_complete = True
            self._handoff.end(error)

    def _go_direct(self) -> None:
        self._is_direct = True
        self._is_settled.set()
        self._has_begun.set()

    async def _received(self) -> Any:
        if not self._has_all.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                self._has_all.set()
            return message
        await self._is_settled.wait()
        return await self._receive() if self._is_direct else {"type": "http.disconnect"}

    async def _gone(self) -> None:
        """Return when the client has left; until its request is complete, the application is the one who reads it."""
        await self._has_all.wait()
        await until_gone(self._receive)

    async def _sent(self, message: Any) -> None:
        kind = message["type"]
        if kind == "http.response.start" and not self._start and not self._is_direct:
            if _is_event_stream(message):
                self._begin(message)
                return
            self._go_direct()
        if self._is_direct:
            await self._send(message)
        elif kind == "http.response.body":
            if self._is_closed or self._is_complete:
                raise Gone("the stream is over")
            if message.get("body"):
                await self._handoff.give(bytes(message["body"]))
            if not message.get("more_body", False):
                self._end(None)

    def _begin(self, message: Any) -> None:
        headers = [(bytes(key).lower(), bytes(value)) for key, value in message.get("headers", ())]
        self._start = {"status": OK, "headers": [each for each in headers if each[0] != b"content-length"]}
        kept = [[key.decode("latin-1"), value.decode("latin-1")] for key, value in headers if key in KEPT]
        self._entries.append({"format": self._name, "headers": kept})
        self._has_begun.set()


def _is_event_stream(start: Any) -> bool:
    """Whether an answer is what can be kept: events, which have ids, and not compressed."""
    headers = {bytes(key).lower(): bytes(value) for key, value in start.get("headers", ())}
    is_events = headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"text/event-stream"
    return start["status"] == OK and is_events and headers.get(b"content-encoding", b"identity") == b"identity"
