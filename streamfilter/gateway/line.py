"""The line to one client: how much it may send, how long it may keep quiet, and how long it may read nothing."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

from streamfilter.gateway.exchange import Exchange
from streamfilter.gateway.limits import Limits
from streamfilter.gateway.refusals import Refused
from streamfilter.web.exchange import Receive, Send
from streamfilter.web.patience import Patience


class Line:
    """What the gateway receives and sends for one exchange.

    Args:
        exchange: is told what the client is sent.
        receive: of ASGI.
        send: of ASGI.
        limits: for it.

    Attributes:
        has_left: whether the client has, or has read nothing for too long.
    """

    def __init__(self, exchange: Exchange, receive: Receive, send: Send, limits: Limits) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._limits = limits
        self._patience = Patience(limits.between)
        self._size = 0
        self._has_all = False  # the request's body
        self.has_left: bool = False

    async def receive(self) -> Any:
        """The next message of the client's.

        Raises:
            Refused: its request is too large, or it sends nothing more of it.
        """
        try:
            async with asyncio.timeout(None if self._has_all else self._limits.between):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, "the request did not come to its end", ending="timed_out") from None
        if message["type"] == "http.disconnect":
            self.has_left = self.has_left or not self._exchange.is_complete
        else:
            self._has_all = not message.get("more_body", False)
            self._size += len(message.get("body", b""))
            if self._size > self._limits.body_bytes:
                raise Refused(413, f"the body of a request is larger than {self._limits.body_bytes} bytes")
        return message

    async def send(self, message: Any) -> None:
        """Send a message to the client.

        Raises:
            OSError: it has left, or has read nothing for too long.
        """
        if message["type"] == "http.response.start":
            self._exchange.status = message["status"]
        try:
            await self._patience.of(self._send(message))
        except OSError:
            self.has_left = True
            raise OSError("the client does not read") from None
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._exchange.is_complete = True

    def close(self) -> None:
        """Nothing more is sent."""
        self._patience.close()

    async def answer(self, refusal: Refused) -> None:
        """Answer in place of the upstream, if nothing was sent yet; else the response breaks off."""
        if self._exchange.status or self.has_left:
            return
        content = refusal.body(self._exchange.format or "")
        headers = [
            *refusal.headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        if not any(name == b"date" for name, _ in headers):
            headers.append((b"date", formatdate(usegmt=True).encode()))
        try:
            await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await self.send({"type": "http.response.body", "body": b"" if self._exchange.method == "HEAD" else content})
        except OSError:
            return
