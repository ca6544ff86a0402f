"""`Gateway`: what every request meets first. It is admitted, gets its pipeline, and is logged and counted when it is over.

An ASGI application, for any server that speaks HTTP as strictly as uvicorn with h11 does. What bodies say is the middleware's
business, where they come from `Forward`'s. Logged are the method, the path without its query, the status, the time and the
pipeline's name: no header, no address, nothing of a body.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from typing import Any, Literal, Protocol, TypeAlias, get_args

from streamfilter.context import Report
from streamfilter.declaration import check_seconds
from streamfilter.errors import SpecError
from streamfilter.gateway.addresses import Inward, Network, is_inward, upstream_of
from streamfilter.gateway.counting import CONTENT_TYPE, Counts
from streamfilter.gateway.endpoints import format_at
from streamfilter.gateway.exchange import CURRENT, KEY, Exchange
from streamfilter.gateway.forwarding import Forward
from streamfilter.gateway.limits import Limits
from streamfilter.gateway.line import Line
from streamfilter.gateway.messages import check, doubt_of, length_of, target_of
from streamfilter.gateway.refusals import Refused, ending_of
from streamfilter.gateway.resuming import OWN, UNREAD_SECONDS, stream_id
from streamfilter.observe.recordings import over_text
from streamfilter.pipeline import Stage, as_stage
from streamfilter.providers.openai import chat
from streamfilter.resumable import ResumableStream, Store, StoreFailed, close_producers
from streamfilter.resumable.store import check_store
from streamfilter.spec.words import closest
from streamfilter.web.exchange import Receive, Scope, Send
from streamfilter.web.middleware import StreamFilterMiddleware
from streamfilter.web.problems import reason_of
from streamfilter.web.streams import Kind

Others: TypeAlias = Literal["filter", "pass", "block"]
"""What becomes of requests for paths where no model answers: filtered as far as they can be read, passed as they are, refused."""

LOG = logging.getLogger("streamfilter.gateway")

LOGGED_CHARS = 256
"""Of a path, in the log: those of every API's fit, and a client's longest is 64 KB."""

CHOICE = b"x-streamfilter-pipeline"
"""The header by which a request names its pipeline."""

_STRICT: Mapping[str, Kind | None] = {"*/*": None, "text/plain": None, "text/markdown": None}
"""Where a model answers, it does so in JSON or in events. What says to be anything else could be those all the same."""

_READABLE: Mapping[str, Kind | None] = {
    **dict.fromkeys(("text/*", "application/xml", "application/javascript", "application/x-subrip"), "text"),
    **dict.fromkeys(("image/*", "audio/*", "video/*", "application/octet-stream", "application/pdf", "application/zip"), "pass"),
    "*/*": None,
}
"""Elsewhere: what has text in it is filtered as that, what is an image, a sound or a file passes, and all else is blocked."""

_NAME = re.compile(r"[A-Za-z0-9._~-]+")

_OVER_TEXT = "declare the stages over text alone, or in one wrap"


class Pipelines(Protocol):
    """Pipelines by name: a dictionary, or what `sf.watch` gives."""

    def get(self, name: str, /) -> Stage[Any, Any] | None:
        """The pipeline of this name."""


class Gateway:
    r"""A reverse proxy that filters what goes through it, as an ASGI application.

    Args:
        upstream: the URL of the API; a path stands before those of requests.
        pipelines: by name; `sf.watch(path)` for those of a file, as it is when a request comes.
        name: of the pipeline that filters responses.
        request: the name of the one that filters requests, if any. The two share a vault, one for each exchange.
        offers: the pipelines that a request may choose, each with the one for its request or None. A client may then choose the
            weakest, so offer only what any may have.
        by: how it chooses: `"header"` (`x-streamfilter-pipeline: NAME`), or `"path"` (`/NAME/v1/…`).
        others: what becomes of paths where no model answers.
        limits: what a request may cost.
        resumable: where event streams are kept of requests that name one (`x-stream-id: NAME`, with a key): who has lost the
            connection sends the same request with `Last-Event-ID`, and gets what followed; who wants it to end sends it as DELETE.
            Choose a new name for each answer.
        unread_seconds: until a kept answer that nobody reads is stopped; None: never.
        status: the path below which `healthz` and `metrics` are. No request for it goes to the upstream.
        allow_private_upstream: whether the upstream may have an address inside a network.

    Attributes:
        limits: what a request may cost.

    Raises:
        ValueError: an argument makes no sense, or the upstream is an address inside a network.
        TypeError: a pipeline is none of text stages, or `resumable` no store.
        SpecError: a pipeline's name is none of the file's.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.gateway import Gateway
        >>> Gateway("https://api.openai.com", {"main": sf.Redact(r"sk-\w+")}, "main")
        Gateway('api.openai.com', 'main')
        >>> Gateway("https://169.254.169.254", {"main": sf.Redact("a")}, "main")
        Traceback (most recent call last):
        ValueError: the upstream is an address inside a network: that has to be allowed (allow_private_upstream)
    """

    def __init__(
        self,
        upstream: str,
        pipelines: Pipelines,
        name: str,
        *,
        request: str | None = None,
        offers: Mapping[str, str | None] | None = None,
        by: Literal["header", "path"] = "header",
        others: Others = "filter",
        limits: Limits | None = None,
        resumable: Store | None = None,
        unread_seconds: float | None = UNREAD_SECONDS,
        status: str = "/-",
        allow_private_upstream: bool = False,
    ) -> None:
        self._upstream = upstream_of(upstream)
        self._pipelines = pipelines
        self._name = name
        self._routes: dict[str, str | None] = {name: request, **(offers or {})}
        self._offers = frozenset(offers or ())
        self._by = by
        self._others = others
        self.limits: Limits = limits or Limits()
        self._status = status
        self._network = Network(allows_inward=allow_private_upstream)
        self._check(request, allows_inward=allow_private_upstream)
        without = {CHOICE} if resumable is None else {CHOICE, *OWN}
        self._forward = Forward(self._upstream, self.limits, self._network, without=frozenset(without))
        self._store = None if resumable is None else check_store("resumable", resumable)
        self._unread = None if unread_seconds is None else check_seconds("unread_seconds", unread_seconds, zero=True)
        self._models = self._filtering(
            format=lambda scope: scope[KEY].format, media=_STRICT, resumable=None if resumable is None else self._kept
        )
        self._rest = self._forward if others == "pass" else self._filtering(media=_READABLE)
        self._open = 0
        self._running = 0  # what the upstream is asked; that of a kept stream outlives its request
        self._counts = Counts(lambda: getattr(pipelines, "error", None) is not None)

    def __repr__(self) -> str:
        return f"Gateway({self._upstream.host!r}, {self._name!r})"

    def _check(self, request: str | None, *, allows_inward: bool) -> None:
        if isinstance(self._pipelines, Stage) or not callable(getattr(self._pipelines, "get", None)):
            raise TypeError(f"pipelines is {type(self._pipelines).__qualname__}: a dict of pipelines by name is needed")
        for name, given, alias in (("by", self._by, Literal["header", "path"]), ("others", self._others, Others)):
            if given not in get_args(alias):
                raise ValueError(f"{name}={given!r}: one of {', '.join(map(repr, get_args(alias)))} is needed")
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self._status):
            raise ValueError(f"status={self._status!r}: a plain path is needed, such as '/-'")
        if request is not None and (offered := self._routes[self._name]) != request:  # it would guard no request at all
            other = "without one" if offered is None else f"with {offered!r}"
            raise ValueError(f"offers: {self._name!r} stands there {other}, and request={request!r}: say the same twice, or once")
        for name in self._offers:
            if not _NAME.fullmatch(name) or (self._by == "path" and f"/{name}" == "/" + self._status.split("/")[1]):
                raise ValueError(f"offers: {name!r} cannot be a header's value or the first part of a path")
        for name in {*self._routes, *(each for each in self._routes.values() if each is not None)}:
            inner = self._pipeline(name)
            if "chunks" in (inner.reads, inner.gives):
                raise TypeError(f"pipeline {name!r} works on chunks, which the gateway reads and writes itself: {_OVER_TEXT}")
            chat.wrap(inner)  # refuses what is no pipeline for text otherwise
        try:
            is_refused = not allows_inward and is_inward(self._upstream.host)
        except ValueError:
            return  # it is a name: `reachable` and every connection look it up
        if is_refused:
            raise ValueError("the upstream is an address inside a network: that has to be allowed (allow_private_upstream)")

    async def reachable(self) -> None:
        """Look the upstream's name up, and refuse one inside a network. Each connection does so again.

        Raises:
            ValueError: it is inside a network, though that is not allowed, or has no address.
        """
        try:
            await self._network.addresses(self._upstream.host, self._upstream.port)
        except Inward:
            raise ValueError("the upstream is inside a network: that has to be allowed (allow_private_upstream)") from None
        except Exception:
            raise ValueError("the upstream's name has no address") from None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif f"{scope['path']}/".startswith(self._status + "/") and doubt_of(scope) is None:  # with a doubt it is refused as any is
            await self._told(scope, send)
        else:
            await self._exchanged(scope, receive, send)

    def end(self) -> None:
        """End what is still being served: streams with an error of their format, others with a status. Nothing more is served.

        A server does so when the time is over that streams have to end by themselves.
        """
        self._forward.end()

    async def aclose(self) -> None:
        """Close the connections to the upstream. A server does so at its end."""
        await self._forward.aclose()

    # ------------------------------------------------------------------ an exchange

    async def _exchanged(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.monotonic()
        exchange = Exchange()
        CURRENT.set(exchange)
        line = Line(exchange, receive, send, self.limits)
        self._open += 1
        self._counts.open.inc()
        try:
            await self._admitted(scope, exchange, line)
        except Exception as error:
            # Of a body that was being filtered the client has been told; else it breaks off, or nothing has been sent.
            if exchange.ending == "ok":
                self._ended_by(error, exchange, line)
            await line.answer(error if isinstance(error, Refused) else Refused(502, "the answer could not be completed"))
        except asyncio.CancelledError:
            exchange.ending = "failed"
            raise
        finally:
            line.close()
            self._open -= 1
            self._counts.open.dec()
            seconds = time.monotonic() - begun
            if exchange.ending == "ok" and not exchange.is_complete:
                exchange.ending = "left" if line.has_left else "failed"
            self._counts.ended(exchange, seconds)
            name, path = exchange.pipeline or "-", _bounded(exchange.path)
            LOG.info("%s %s %d %.3fs %s %s", exchange.method, path, exchange.status, seconds, name, exchange.ending)

    def _ended_by(self, error: Exception, exchange: Exchange, line: Line) -> None:
        """Keep how an exchange ends by what no body's filter has seen; and log it, unless it is about the client."""
        exchange.ending = "left" if line.has_left else ending_of(error, has_begun=bool(exchange.status))
        if exchange.ending in ("failed", "timed_out"):
            LOG.warning("an answer was not sent on: %s (%s)", exchange.ending, reason_of(error))

    async def _admitted(self, scope: Scope, exchange: Exchange, line: Line) -> None:
        """Choose what serves a request, and let it."""
        exchange.format = format_at(scope["path"], scope["method"])  # whose words it is refused in, if it is
        check(scope)
        exchange.method = scope["method"]
        path, exchange.query = target_of(scope)
        exchange.pipeline, exchange.path = self._chosen(scope, path)
        exchange.request = self._routes[exchange.pipeline]
        exchange.format = format_at(exchange.path, exchange.method)
        if await self._stopped(scope, exchange, line):  # before it is counted: it makes room
            return
        if max(self._open, self._running + 1) > self.limits.streams:
            raise Refused(503, "too many requests are being served", headers=[(b"retry-after", b"1")])
        if (length := length_of(scope["headers"])) is not None and length > self.limits.body_bytes:
            raise Refused(413, f"the body of a request is larger than {self.limits.body_bytes} bytes")
        if exchange.format is None and self._others == "block":
            raise Refused(404, "the path is none of a model's")
        serve = self._rest if exchange.format is None else self._models
        await serve({**scope, KEY: exchange}, line.receive, line.send)

    def _chosen(self, scope: Scope, path: str) -> tuple[str, str]:
        """The pipeline that a request gets, and the path that is asked for."""
        if self._by == "path":
            _, first, rest = f"{path}/".split("/", 2)
            return (first, f"/{rest[:-1]}") if first in self._offers and rest else (self._name, path)
        names = {value.decode("latin-1").strip() for name, value in scope["headers"] if name.lower() == CHOICE}
        if not names:
            return self._name, path
        name = names.pop()
        if names or name not in self._offers:
            raise Refused(400, "the request names a pipeline that is not offered")
        return name, path

    def _filtering(self, **options: Any) -> StreamFilterMiddleware:
        return StreamFilterMiddleware(
            self._asked,
            lambda scope: self._pipeline(scope[KEY].pipeline),
            request=lambda scope: self._pipeline(scope[KEY].request) if scope[KEY].request is not None else None,
            max_body_bytes=self.limits.body_bytes,
            on_report=self._reported,
            on_error=_note,
            unread_seconds=None,  # `Line` sees to that
            **options,
        )

    async def _asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._running += 1
        try:
            await self._forward(scope, receive, send)
        finally:
            self._running -= 1

    def _kept(self, scope: Scope) -> ResumableStream | None:
        """The stream that a request names."""
        exchange: Exchange = scope[KEY]
        found = stream_id(scope["headers"], exchange.query, exchange.path, exchange.pipeline)
        if found is None or self._store is None:
            return None
        return ResumableStream(self._store, found, unread_seconds=self._unread)

    async def _stopped(self, scope: Scope, exchange: Exchange, line: Line) -> bool:
        """Stop the stream that a request names, if it is for that: DELETE where POST begins one."""
        is_begun_there = exchange.method == "DELETE" and format_at(exchange.path, "POST") is not None
        kept = self._kept({**scope, KEY: exchange}) if is_begun_there else None
        if kept is None:
            return False
        try:
            is_written = await kept.stop()
        except StoreFailed:
            raise Refused(502, "the stream was not stopped: its store does not answer") from None
        if not is_written:
            raise Refused(404, "no stream of this name is being written for this key, path and pipeline")
        headers = [(b"date", formatdate(usegmt=True).encode())]
        await line.send({"type": "http.response.start", "status": 204, "headers": headers})
        await line.send({"type": "http.response.body", "body": b""})
        return True

    def _pipeline(self, name: str) -> Stage[Any, Any]:
        found = self._pipelines.get(name)
        if found is None:
            known = getattr(self._pipelines, "names", self._pipelines)
            hint = closest(name, known) if isinstance(known, Iterable) else ""
            raise SpecError(f"there is no pipeline {name!r}{hint and f': {hint}'}")
        return over_text(as_stage(found))  # what is in a wrap is wrapped here, for whichever format a request is of

    def _reported(self, scope: Scope, report: Report) -> None:
        self._counts.found(scope[KEY], report)

    # ------------------------------------------------------------------ the server's side

    async def _told(self, scope: Scope, send: Send) -> None:
        """Health and metrics."""
        path = scope["path"].removeprefix(self._status)
        status, kind, content = 404, "text/plain; charset=utf-8", b"there are healthz and metrics\n"
        if path == "/healthz":
            status, content = 200, b"ok\n"
        elif path == "/metrics":
            status, kind, content = 200, CONTENT_TYPE, self._counts.text()
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
        ]
        headers.append((b"date", formatdate(usegmt=True).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._forward.ended()  # answers that are kept go on without their clients, until `end`
        await self.aclose()
        if self._store is not None:
            await close_producers(self._store, None)  # the last frames are still to be written, and the end
        await send({"type": "lifespan.shutdown.complete"})


def _note(error: Exception) -> None:
    """Keep what went wrong, for the log and the numbers."""
    exchange = CURRENT.get()
    exchange.ending = ending_of(error, has_begun=bool(exchange.status))


def _bounded(path: str) -> str:
    """A path for the log; of a longer one its beginning, and how many characters it has."""
    return path if len(path) <= LOGGED_CHARS else f"{path[:LOGGED_CHARS]}...[{len(path)}]"
