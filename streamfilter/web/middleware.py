"""`StreamFilterMiddleware`: what an ASGI application sends goes through a pipeline, and what it is sent, if wanted.

Here is chosen what a request is filtered by, and checked, once for all requests, whether that can be. How a request and its
response go through it is `exchange`'s business.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from streamfilter.context import MAX_FINDINGS, AfterStop, Context, Finding, Report
from streamfilter.declaration import check_plain
from streamfilter.pipeline import Pipeline, Stage, as_stage
from streamfilter.web.bodies import MAX_BODY_BYTES, Filter
from streamfilter.web.exchange import App, Exchange, Receive, Scope, Send
from streamfilter.web.keeping import Kept, checked, keep
from streamfilter.web.patience import UNREAD_SECONDS, check_unread
from streamfilter.web.problems import OnError
from streamfilter.web.streams import Kind, Unknown

Pipe: TypeAlias = Stage[str, str]
OfScope: TypeAlias = Callable[[Scope], "Pipe | Awaitable[Pipe | None] | None"]

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
        resumable: a function of the scope (it may be async) that gives the `ResumableStream` which keeps the answer, if that is an
            event stream, or None. A request for one that exists, or with `Last-Event-ID`, is answered from it, and the application
            is not called.
        unread_seconds: as for `sse_response`.
        on_report: called with the scope and the `Report` of each exchange, when it is over, however.
        on_error: is told the exception, before the client is; it may give a `Problem`, or the words that the client is told.

    Raises:
        TypeError: a pipeline is none of text stages, or an argument is no function, or async though only pipelines may be.
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
        unread_seconds: float | None = UNREAD_SECONDS,
        on_report: Callable[[Scope, Report], object] | None = None,
        on_error: OnError | None = None,
    ) -> None:
        if isinstance(paths, str) or not all(path.startswith("/") for path in paths or ()):
            raise ValueError(f"paths={paths!r}: a list of what paths begin with is needed, such as ['/chat']")
        for name, given in (("pipeline", pipeline), ("request", request), ("on_report", on_report), ("on_error", on_error)):
            if not callable(given) and (given is not None or name == "pipeline"):
                wanted = "a function" if name.startswith("on_") else "a stage, or a function that gives one,"
                raise TypeError(f"{name} is {type(given).__qualname__}: {wanted} is needed")
        for name, plain in (("context", context), ("format", format), ("on_report", on_report), ("on_error", on_error)):
            check_plain(name, plain)
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
        self._unread = check_unread(unread_seconds)
        self._on_report = on_report
        self._on_error = on_error
        self._filters: dict[tuple[int, str | None], tuple[Pipe, Filter]] = {}  # by identity, so they are kept
        for given in (pipeline, request):
            if isinstance(given, type) and issubclass(given, Stage):  # it can be called, but not with a scope
                as_stage(given)
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
            exchange = Exchange(by, asked, report, self._on_error, receive, send, unread_seconds=self._unread)
            await exchange.run(self.app, scope)
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


async def _of_scope(given: Pipe | OfScope | None, scope: Scope) -> Pipe | None:
    """The pipeline for a request."""
    made: Any = given if isinstance(given, Stage) or given is None else given(scope)
    if inspect.isawaitable(made):
        made = await made
    if made is not None and not isinstance(made, Stage):
        raise TypeError(f"what gives pipelines gave {type(made).__qualname__}: a stage is needed, or None")
    return made if made is not None and made.stages else None


def _into(report: Report) -> Callable[[Finding], None]:
    def observe(finding: Finding) -> None:
        report.counts[finding.rule] = report.counts.get(finding.rule, 0) + 1
        if len(report.findings) < MAX_FINDINGS:
            report.findings.append(finding)

    return observe
