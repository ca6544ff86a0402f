"""One request to an application and its response, each on its way through a filter.

The application runs where it is called. What it sends is handed over, piece by piece, to a task that filters it and sends it on; so
pipelines that wait do, and a slow client slows the application. Nothing is known here of how a filter is chosen (`middleware`), nor
of what bodies say (`bodies`). Source: the ASGI specification, HTTP & WebSocket, version 2.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

from streamfilter.context import Report
from streamfilter.providers.frames import json_text
from streamfilter.web.bodies import DROPPED, Filter, ResponseBody, request_body
from streamfilter.web.handoff import Gone, Handoff, is_of_closing
from streamfilter.web.patience import Patience
from streamfilter.web.problems import FAILED, OnError, Problem, Unreadable, body_of, number_behind, problem_of
from streamfilter.web.sending import LAST_SECONDS

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

UNASKED = frozenset({b"accept-encoding", b"range", b"if-range", b"if-none-match", b"if-modified-since"})
"""Headers of a request that the application is not shown: it is not to compress what is read here, nor to send parts, nor to say
that what it would send, unfiltered, has not changed."""

PAST = ("http.response.pathsend", "http.response.zerocopysend", "http.response.trailers", "http.response.push")
"""Extensions of ASGI by which something is sent past the body."""


class Exchange:
    """One request and its response.

    Args:
        by: what the response is filtered by, if it is.
        asked: what the request is filtered by, if it is.
        report: of both.
        on_error: is told of what goes wrong.
        receive: of ASGI.
        send: of ASGI.
        unread_seconds: until a client that reads nothing is given up; None: never.
    """

    def __init__(
        self,
        by: Filter | None,
        asked: Filter | None,
        report: Report,
        on_error: OnError | None,
        receive: Receive,
        send: Send,
        *,
        unread_seconds: float | None = None,
    ) -> None:
        self.report = report
        self._by = by
        self._asked = asked
        self._on_error = on_error
        self._receive = receive
        self._send = send
        self._patience = Patience(unread_seconds)
        self._method = "GET"
        self._begun: list[MutableMapping[str, Any]] = []  # what the application is to receive first
        self._body: ResponseBody | None = None
        self._handoff: Handoff | None = None
        self._delivery: asyncio.Task[None] | None = None
        self._over = asyncio.Event()  # nothing more is sent to the client
        self._has_left = False  # the client
        self._is_complete = False  # the application has sent all
        self._broken: Exception | None = None  # why a body has to break off
        self._number = 0  # of the next event, where a format numbers them

    async def run(self, app: App, scope: Scope) -> None:
        """Let the application serve it."""
        self._method = scope["method"]
        scope = _narrowed(scope, is_filtered=self._by is not None)
        try:
            if self._asked is not None and not await self._ask(scope):
                return
            await app(scope, self._received, self._sent)
        except BaseException as error:
            await self._failed(error)
            if not self._over.is_set() or not is_of_closing(error) or not isinstance(error, Exception):
                raise
        else:
            if self._handoff is not None and not self._is_complete:
                await self._failed(None if self._has_left else RuntimeError("the application returned within its response"))
            elif self._delivery is not None:  # an application that takes the end for a disconnect does not wait for the last bytes
                await self._delivery
        finally:
            self._patience.close()
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
            if isinstance(error, Unreadable) and problem is FAILED:  # its words are fixed, and for who sent the request
                problem = replace(problem, message=f"{str(error)[0].upper()}{str(error)[1:]}.")
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
            await self._answer(problem_of(Unreadable(f"a response cannot be read: {body.unread}", 502), self._on_error))
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
            await self._forward(message)
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
                    self._number = number_behind(piece, self._number)
        except Gone:
            return
        except Exception as error:
            made = body.last_piece(problem_of(error, self._on_error), number=self._number)
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
            await self._patience.of(self._send(message))
        except OSError:  # the client has left, or does not read; a source's own must not be taken for that
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
            is_cut_off = isinstance(error, asyncio.CancelledError) and not self._has_left and not self._over.is_set()
            self._delivery.cancel()
            if is_cut_off:  # at once: a server that goes down soon cancels again
                await self._cut_off()
            await asyncio.gather(self._delivery, return_exceptions=True)
            self._over.set()

    async def _cut_off(self) -> None:
        """The server takes no more: a live body that has begun ends with an error of its format, if the client reads it at once."""
        body = self._body
        last = body.last_piece(FAILED, number=self._number) if body is not None and body.how == "live" else None
        if last is not None:
            with suppress(Exception):
                async with asyncio.timeout(LAST_SECONDS):
                    await self._out(last, more=False)


class _Left(Exception):
    """The application has gone."""


def _narrowed(scope: Scope, *, is_filtered: bool) -> Scope:
    """What the application sees of a request."""
    made = dict(scope)
    if is_filtered:
        made["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in UNASKED]
        made["extensions"] = {name: value for name, value in (scope.get("extensions") or {}).items() if name not in PAST}
    return made
