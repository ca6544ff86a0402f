"""`StreamFilterMiddleware`: what an ASGI application sends goes through a pipeline, and what it is sent, if wanted.

The application runs where it is called. What it sends is handed over, piece by piece, to a task that filters it and sends it on; so
pipelines that wait do, and a slow client slows the application. Nothing is known here of what bodies say (`bodies`).
Source: the ASGI specification, HTTP & WebSocket, version 2.5.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from streamfilter.context import MAX_FINDINGS, AfterStop, Context, Finding, Report
from streamfilter.pipeline import Pipeline, Stage
from streamfilter.providers.frames import json_text
from streamfilter.web.bodies import DROPPED, MAX_BODY_BYTES, Filter, ResponseBody, Unreadable, request_body
from streamfilter.web.handoff import Gone, Handoff, is_of_closing
from streamfilter.web.keeping import Kept, checked, keep
from streamfilter.web.problems import OnError, Problem, body_of, problem_of
from streamfilter.web.streams import Kind, Unknown

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Pipe: TypeAlias = Stage[str, str]
OfScope: TypeAlias = Callable[[Scope], "Pipe | Awaitable[Pipe | None] | None"]

UNASKED = frozenset({b"accept-encoding", b"range", b"if-range", b"if-none-match", b"if-modified-since"})
"""Headers of a request that the application is not shown: it is not to compress what is read here, nor to send parts, nor to say
that what it would send, unfiltered, has not changed."""

PAST = ("http.response.pathsend", "http.response.zerocopysend", "http.response.trailers", "http.response.push")
"""Extensions of ASGI by which something is sent past the body."""

MAX_FILTERS = 64
"""Pipelines that are remembered as checked. An application that makes one for each request has no use for them."""


class StreamFilterMiddleware:
    """Filters the responses of an ASGI application, live and whole: `app.add_middleware(StreamFilterMiddleware, pipeline=SAFE)`.

    Server-sent events and lines of JSON of any provider's format, events whose data is text, plain text and JSON are filtered; the
    format is told by the first event. Bodies of all other media types pass. Web sockets are refused while `unknown` is `"block"`.
    What goes wrong once something has left becomes a legal error of the format, and the end; before that, an answer with an error.

    Args:
        app: the application.
        pipeline: text stages; or a function of the scope (it may be async) that gives them, and None for what is not filtered.
        context: what bodies are filtered with: one for all, or a function of the scope that makes one. Without a vault, each
            exchange has one of its own, which its request and its response share.
        request: the same as `pipeline` for the bodies of requests: JSON and text. None: they pass.
        paths: what the paths begin with that are filtered; None is every path. All others pass.
        format: as for `Filter`; or a function of the scope that gives it.
        text_at: as for `Filter`.
        unknown: as for `Filter`.
        media: as for `Filter`.
        max_body_bytes: as for `Filter`; of requests too.
        after_stop: as for streams.
        resumable: a function of the scope that gives the `ResumableStream` which keeps the answer, if that is an event stream, or
            None. A request for one that exists, or with `Last-Event-ID`, is answered from it; the application is not called.
        on_report: called with the scope and the `Report` of each exchange, when it is over, however.
        on_error: is told the exception, before the client is; it may give a `Problem`, or the words that the client is told.

    Raises:
        TypeError: a pipeline is none of text stages, or an argument is no function.
        ValueError: another argument makes no sense.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def app(scope, receive, send):
        ...     await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        ...     await send({"type": "http.response.body", "body": b"pin 12", "more_body": True})
        ...     await send({"type": "http.response.body", "body": b"34"})
        >>> safe = StreamFilterMiddleware(app, sf.Redact("[0-9]+", to="#"))
        >>> async def main():
        ...     async def send(message):
        ...         print(message.get("body"))
        ...     await safe({"type": "http", "method": "GET", "path": "/", "headers": []}, asyncio.Event().wait, send)
        >>> asyncio.run(main())
        None
        b'pin '
        b'#'
        b''
    """

    def __init__(
        self,
        app: App,
        pipeline: Pipe | OfScope,
        *,
        context: Context | Callable[[Scope], Context] | None = None,
        request: Pipe | OfScope | None = None,
        paths: Sequence[str] | None = None,
        format: str | Callable[[Scope], str | None] | None = None,  # noqa: A002  # what one calls it
        text_at: str | None = None,
        unknown: Unknown = "block",
        media: Mapping[str, Kind | None] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        after_stop: AfterStop = "close",
        resumable: Kept | None = None,
        on_report: Callable[[Scope, Report], object] | None = None,
        on_error: OnError | None = None,
    ) -> None:
        if isinstance(paths, str) or not all(path.startswith("/") for path in paths or ()):
            raise ValueError(f"paths={paths!r}: a list of what paths begin with is needed, such as ['/chat']")
        for name, given in (("pipeline", pipeline), ("request", request), ("on_report", on_report), ("on_error", on_error)):
            if not callable(given) and (given is not None or name == "pipeline"):
                wanted = "a function" if name.startswith("on_") else "a stage, or a function that gives one,"
                raise TypeError(f"{name} is {type(given).__qualname__}: {wanted} is needed")
        if context is not None and not isinstance(context, Context) and not callable(context):
            raise TypeError(f"context is {type(context).__qualname__}: a Context is needed, or a function of the scope")
        self.app = app
        self._pipeline = pipeline
        self._request = request
        self._context = context
        self._format = format
        self._paths = None if paths is None else tuple(paths)
        self._options: dict[str, Any] = {
            "format": None if callable(format) else format,
            "text_at": text_at,
            "unknown": unknown,
            "media": dict(media or {}),
            "max_body_bytes": max_body_bytes,
            "after_stop": after_stop,
        }
        self._resumable = checked(resumable)
        self._on_report = on_report
        self._on_error = on_error
        self._filters: dict[tuple[int, str | None], tuple[Pipe, Filter]] = {}  # by identity, so they are kept
        for given in (pipeline, request):
            Filter(given if isinstance(given, Stage) else Pipeline(), **self._options)  # refuses what is wrong, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        kind = scope["type"]
        is_selected = kind in ("http", "websocket") and (self._paths is None or scope["path"].startswith(self._paths))
        pipeline = await _of_scope(self._pipeline, scope) if is_selected else None
        request = await _of_scope(self._request, scope) if is_selected else None
        if pipeline is None and request is None:
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await self._socket(scope, receive, send)
        else:
            app, name = partial(self._exchange, pipeline, request), self._name(scope) or ""
            await keep(app, self._resumable, scope, receive, send, name=name, on_error=self._on_error)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What goes over a web socket is not known."""
        if self._options["unknown"] == "pass":
            await self.app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _exchange(self, pipeline: Pipe | None, request: Pipe | None, scope: Scope, receive: Receive, send: Send) -> None:
        given = self._context(scope) if callable(self._context) else self._context
        if given is not None and not isinstance(given, Context):
            raise TypeError(f"context gave {type(given).__qualname__}: a Context is needed")
        name = self._name(scope)
        report = Report()
        context = replace(given or Context(), observe=[*(given.observe if given else ()), _into(report)])
        by = None if pipeline is None else self._filter(pipeline, name).within(context)
        if by is not None:
            context = by.context
        asked = None if request is None else self._filter(request, name).within(context)
        try:
            await _Exchange(by, asked, report, self._on_error, receive, send).run(self.app, scope)
        finally:
            if self._on_report is not None:
                self._on_report(scope, report)

    def _name(self, scope: Scope) -> str | None:
        return self._format(scope) if callable(self._format) else self._options["format"]

    def _filter(self, pipeline: Pipe, name: str | None) -> Filter:
        """The one of a pipeline and a format: most applications have few, and checking one costs as much as a short answer."""
        key = (id(pipeline), name)
        if key not in self._filters:
            if len(self._filters) >= MAX_FILTERS:
                self._filters.clear()
            self._filters[key] = pipeline, Filter(pipeline, **{**self._options, "format": name})
        return self._filters[key][1]


class _Exchange:
    """One request and its response.

    Attributes:
        report: of both.
    """

    def __init__(
        self, by: Filter | None, asked: Filter | None, report: Report, on_error: OnError | None, receive: Receive, send: Send
    ) -> None:
        self.report = report
        self._by = by
        self._asked = asked
        self._on_error = on_error
        self._receive = receive
        self._send = send
        self._method = "GET"
        self._begun: list[MutableMapping[str, Any]] = []  # what the application is to receive first
        self._body: ResponseBody | None = None
        self._handoff: Handoff | None = None
        self._delivery: asyncio.Task[None] | None = None
        self._over = asyncio.Event()  # nothing more is sent to the client
        self._has_left = False  # the client
        self._is_complete = False  # the application has sent all
        self._broken: Exception | None = None  # why a body has to break off

    async def run(self, app: App, scope: Scope) -> None:
        """Let the application serve it."""
        self._method = scope["method"]
        scope = _narrowed(scope, is_filtered=self._by is not None)
        if self._asked is not None and not await self._ask(scope):
            return
        try:
            await app(scope, self._received, self._sent)
        except BaseException as error:
            await self._failed(error)
            if not self._over.is_set() or not is_of_closing(error) or not isinstance(error, Exception):
                raise
        else:
            if self._handoff is not None and not self._is_complete:
                await self._failed(None if self._has_left else RuntimeError("the application returned within its response"))
        if self._broken is not None:
            raise self._broken

    # ------------------------------------------------------------------ the request

    async def _ask(self, scope: Scope) -> bool:
        """Filter the request's body; whether there is anything to serve."""
        assert self._asked is not None
        pieces, size, more = [], 0, True
        try:
            while more:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    return False
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                more = message.get("more_body", False)
                if size > self._asked.max_body_bytes:
                    raise Unreadable(f"a body is larger than {self._asked.max_body_bytes} bytes", 413)
            raw = b"".join(pieces)
            shown = await request_body(self._asked, scope["headers"], raw)
        except Exception as error:
            problem = problem_of(error, self._on_error)
            status = error.status if isinstance(error, Unreadable) else 504 if problem.code == "timed_out" else 400
            await self._answer(replace(problem, status=status))
            return False
        if shown is not raw:
            kept = [(name, value) for name, value in scope["headers"] if name.lower() not in DROPPED]
            scope["headers"] = [*kept, (b"content-length", str(len(shown)).encode())]
        self._begun = [{"type": "http.request", "body": shown, "more_body": False}]
        return True

    async def _received(self) -> MutableMapping[str, Any]:
        """What the application receives: at last, that the client has left, as soon as there is no more to send."""
        if self._begun:
            return self._begun.pop(0)
        arriving = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((arriving, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            if not arriving.done():
                arriving.cancel()
        if not arriving.done() or arriving.cancelled():
            with suppress(asyncio.CancelledError):
                await arriving
            return {"type": "http.disconnect"}
        message: MutableMapping[str, Any] = arriving.result()
        self._has_left = self._has_left or message["type"] == "http.disconnect"
        return message

    # ------------------------------------------------------------------ the response

    async def _sent(self, message: MutableMapping[str, Any]) -> None:
        """What the application sends."""
        kind = message["type"]
        if self._by is None:
            await self._send(message)
        elif kind == "http.response.start":
            await self._start(message)
        elif kind == "http.response.body":
            await self._piece(message)
        elif kind == "http.response.early_hint":
            await self._send(message)

    async def _start(self, message: MutableMapping[str, Any]) -> None:
        assert self._by is not None
        if self._body is not None:
            raise RuntimeError("the application has begun its response twice")
        body = self._body = ResponseBody(self._by, message["status"], message.get("headers", ()), method=self._method)
        message = {key: value for key, value in message.items() if key != "trailers"} | {"headers": body.headers}
        if body.how == "block":
            await self._answer(problem_of(Unreadable("a response cannot be read"), self._on_error))
        elif body.how == "pass":
            await self._send(message)
        else:
            self._handoff = Handoff()
            if body.how == "live":
                await self._send(message)
            deliver = self._deliver_live if body.how == "live" else self._deliver_whole
            self._delivery = asyncio.ensure_future(deliver(body, self._handoff, message))

    async def _piece(self, message: MutableMapping[str, Any]) -> None:
        if self._body is None:
            raise RuntimeError("the application sends a body before its response has begun")
        if self._body.how == "pass":
            await self._send(message)
            return
        if self._handoff is None or self._over.is_set():
            raise Gone("the response is over")
        if message.get("body"):
            await self._handoff.give(bytes(message["body"]))
        if not message.get("more_body", False):
            self._is_complete = True
            self._handoff.end()
            assert self._delivery is not None
            await asyncio.shield(self._delivery)

    async def _deliver_live(self, body: ResponseBody, source: Handoff, _: MutableMapping[str, Any]) -> None:
        stream = body.stream(source)
        last = b""
        try:
            async with stream:
                async for piece in stream:
                    await self._out(piece)
        except Gone:
            return
        except Exception as error:
            made = body.last_piece(problem_of(error, self._on_error))
            if made is None:
                self._broken = error
                return
            last = made
        finally:
            self.report.checks += stream.report.checks
            self.report.checked_chars += stream.report.checked_chars
            self._over.set()
        with suppress(Gone):
            await self._out(last, more=False)

    async def _deliver_whole(self, body: ResponseBody, source: Handoff, start: MutableMapping[str, Any]) -> None:
        try:
            shown = await body.whole(source)
        except _Left:  # the application has failed before anything has left: that is its server's to answer
            return
        except Exception as error:
            await self._answer(problem_of(error, self._on_error))
            return
        finally:
            self._over.set()
        start["headers"] = [*start["headers"], (b"content-length", str(len(shown)).encode())]
        with suppress(Gone):
            await self._forward(start)
            await self._out(shown, more=False)

    async def _answer(self, problem: Problem) -> None:
        """An error, in place of a response of which nothing has left."""
        name = self._body.format if self._body is not None else (self._asked and self._asked.format) or ""
        content = json_text(body_of(name, problem)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        self._over.set()
        with suppress(Gone):
            await self._forward({"type": "http.response.start", "status": problem.status, "headers": headers})
            await self._out(content, more=False)

    async def _out(self, piece: bytes, *, more: bool = True) -> None:
        await self._forward({"type": "http.response.body", "body": piece, "more_body": more})

    async def _forward(self, message: MutableMapping[str, Any]) -> None:
        try:
            await self._send(message)
        except OSError:  # the client has left; a source's own must not be taken for that
            self._has_left = True
            raise Gone("the client has left") from None

    async def _failed(self, error: BaseException | None) -> None:
        """The application is over before its response is."""
        if self._handoff is None or self._delivery is None:
            return
        if isinstance(error, Exception) and not self._has_left:
            self._handoff.end(error if self._body is not None and self._body.how == "live" else _Left())
            await self._delivery
        else:
            self._delivery.cancel()
            await asyncio.gather(self._delivery, return_exceptions=True)
            self._over.set()


class _Left(Exception):
    """The application has gone."""


async def _of_scope(given: Pipe | OfScope | None, scope: Scope) -> Pipe | None:
    """The pipeline for a request."""
    made: Any = given if isinstance(given, Stage) or given is None else given(scope)
    if inspect.isawaitable(made):
        made = await made
    if made is not None and not isinstance(made, Stage):
        raise TypeError(f"what gives pipelines gave {type(made).__qualname__}: a stage is needed, or None")
    return made if made is not None and made.stages else None


def _narrowed(scope: Scope, *, is_filtered: bool) -> Scope:
    """What the application sees of a request."""
    made = dict(scope)
    if is_filtered:
        made["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in UNASKED]
        made["extensions"] = {name: value for name, value in (scope.get("extensions") or {}).items() if name not in PAST}
    return made


def _into(report: Report) -> Callable[[Finding], None]:
    def observe(finding: Finding) -> None:
        report.counts[finding.rule] = report.counts.get(finding.rule, 0) + 1
        if len(report.findings) < MAX_FINDINGS:
            report.findings.append(finding)

    return observe
