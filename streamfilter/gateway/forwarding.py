"""`Forward`: an ASGI application that asks the upstream, and gives its answer as it comes.

It filters nothing, and knows of no pipeline: `StreamFilterMiddleware` is around it. Whatever ends it, such as the client's leaving,
closes what the upstream sends. When the gateway goes down, what still runs ends as an upstream that fails would end it: so who
filters it tells the client in the words of its format.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpcore2

from streamfilter.gateway.addresses import Inward, Network, Upstream
from streamfilter.gateway.exchange import KEY, Exchange
from streamfilter.gateway.limits import Limits
from streamfilter.gateway.messages import answered, asked
from streamfilter.gateway.refusals import Refused
from streamfilter.web.bodies import DROPPED, MEDIA
from streamfilter.web.exchange import Receive, Scope, Send

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT_IDLE = 100
"""Connections that wait for the next request. More at once are made and closed."""

_IDLE_SECONDS = 30.0
"""Until an idle one is closed: before most servers do, at 60 or 75, so that a request seldom meets one that is closing."""


class Forward:
    """Asks the upstream.

    Args:
        upstream: where.
        limits: how long it may take.
        network: what connects.
        without: headers of requests that are the gateway's own.
    """

    def __init__(self, upstream: Upstream, limits: Limits, network: Network, *, without: frozenset[bytes] = frozenset()) -> None:
        self._upstream = upstream
        self._limits = limits
        self._network = network
        self._without = without
        self._pool: httpcore2.AsyncConnectionPool | None = None
        self._running: dict[asyncio.Task[None], asyncio.Timeout] = {}  # each with what ends it
        self._is_ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = _Upload(receive)
        sender = asyncio.get_running_loop().create_task(self._answer(scope, body, send))
        watcher = asyncio.ensure_future(body.until_gone())
        try:
            await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_over = sender.done()
            for task in (sender, watcher):
                task.cancel()
            await asyncio.gather(sender, watcher, return_exceptions=True)
        if is_over:
            sender.result()

    def end(self) -> None:
        """End what runs, and begin nothing more."""
        self._is_ending = True
        for total in self._running.values():
            _wait(total, 0)

    async def ended(self) -> None:
        """Return when nothing runs any more."""
        while self._running:
            await asyncio.wait(self._running)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _answer(self, scope: Scope, body: _Upload, send: Send) -> None:
        exchange: Exchange = scope[KEY]
        has_begun = False
        response: httpcore2.Response | None = None
        task = asyncio.current_task()
        assert task is not None
        try:
            async with asyncio.timeout(0 if self._is_ending else self._limits.total) as total, asyncio.timeout(None) as patience:
                self._running[task] = total
                body.on_end = lambda: _wait(patience, self._limits.first)
                response = await self._connected().handle_async_request(self._request(scope, exchange, body))
                headers = _checked(exchange, response)
                has_begun = True
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                _wait(patience, self._limits.between)
                async for piece in response.aiter_stream():
                    patience.reschedule(None)  # how long the client takes is not the upstream's fault
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    _wait(patience, self._limits.between)
                patience.reschedule(None)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            if self._is_ending and isinstance(error, TimeoutError):
                raise _GoingDown from None
            if has_begun:
                raise
            raise _refusal(error) from None
        finally:
            self._running.pop(task, None)
            if response is not None:
                await response.aclose()

    def _connected(self) -> httpcore2.AsyncConnectionPool:
        if self._pool is None:  # made in the loop that uses it
            self._pool = httpcore2.AsyncConnectionPool(
                max_connections=None,  # the gateway admits as many as it will
                max_keepalive_connections=_KEPT_IDLE,
                keepalive_expiry=_IDLE_SECONDS,
                network_backend=self._network,
            )
        return self._pool

    def _request(self, scope: Scope, exchange: Exchange, body: _Upload) -> httpcore2.Request:
        at = self._upstream
        target = (at.path + exchange.path).encode() + (b"?" + exchange.query if exchange.query else b"")
        # Where nothing is filtered the client's own wish stands; else the middleware has taken it away, and what is compressed is
        # held back by whoever compresses it.
        is_asked = any(name.lower() == b"accept-encoding" for name, _ in scope["headers"])
        return httpcore2.Request(
            exchange.method,
            httpcore2.URL(scheme=at.scheme, host=at.host.encode(), port=at.port, target=target),
            headers=asked(scope["headers"], at.authority, without=self._without, coding=None if is_asked else b"identity"),
            content=body,
            extensions={"timeout": {"connect": self._limits.connect, "write": self._limits.between}},
        )


class _Upload:
    """The body of a request, read as it is sent; and the client, watched from then on."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_ended = asyncio.Event()
        self.on_end: Callable[[], object] = lambda: None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Left
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self.on_end()
        self._has_ended.set()

    async def until_gone(self) -> None:
        """Return when the client has left."""
        await self._has_ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _GoingDown(Refused):
    """The time is over that the answer had to end."""

    def __init__(self) -> None:
        super().__init__(503, "the gateway goes down", headers=[(b"retry-after", b"1")])


class _Left(Refused):
    """The client has left within its request."""

    def __init__(self) -> None:
        super().__init__(400, "the request broke off")


def _wait(patience: asyncio.Timeout, seconds: float) -> None:
    patience.reschedule(asyncio.get_running_loop().time() + seconds)


def _checked(exchange: Exchange, response: httpcore2.Response) -> list[tuple[bytes, bytes]]:
    """The headers of a response that may be sent on.

    Raises:
        Refused: it may not.
    """
    headers = answered(response.headers)
    # A client that followed one would take its key, and its stream, past the gateway. Some follow all that name a place.
    if response.status in _REDIRECTS or (300 <= response.status < 400 and any(name == b"location" for name, _ in headers)):
        raise Refused(502, "the upstream redirects, and redirects are not followed", ending="failed")
    if not 200 <= response.status <= 599:
        raise Refused(502, "the upstream's answer is none", ending="failed")
    if exchange.format is not None and response.status >= 400 and not _is_readable(headers):
        # A page of a balancer's: its status says what there is to say, and no client of such a path reads more.
        kept = [(name, value) for name, value in headers if name not in DROPPED and name != b"content-type"]
        raise Refused(response.status, "the upstream answered with an error", headers=kept, ending="ok")
    return headers


def _is_readable(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether it is what clients of a model's path read."""
    given = next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
    media = given.partition(";")[0].strip().lower()
    return media.endswith("+json") or MEDIA.get(media) in ("json", "sse", "lines", "messages")


def _refusal(error: Exception) -> Refused:
    """What a client is told if nothing has come of the upstream."""
    if isinstance(error, Inward):
        return Refused(502, "the upstream is not to be connected to", ending="failed")
    if isinstance(error, httpcore2.ConnectTimeout | httpcore2.PoolTimeout):
        return Refused(504, "the upstream cannot be reached in time", ending="timed_out")
    if isinstance(error, TimeoutError | httpcore2.TimeoutException):
        return Refused(504, "the upstream took too long", ending="timed_out")
    if isinstance(error, httpcore2.ConnectError):
        return Refused(502, "the upstream cannot be reached", ending="failed")
    if isinstance(error, httpcore2.LocalProtocolError):
        return Refused(400, "the request cannot be sent on")
    return Refused(502, "the upstream sent no answer that can be read", ending="failed")
