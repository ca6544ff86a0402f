"""`serve`: a gateway on a socket, with uvicorn, until it is told to end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

import uvicorn

from streamfilter.declaration import check_plain, check_seconds
from streamfilter.gateway.connections import Connection
from streamfilter.gateway.entrance import Gateway

_HEADER_BYTES = 64 * 1024
"""Of a request's line and headers. Servers take 8 to 64 KB; a longer one gets 400."""


_BACKLOG = 2048
"""Connections that wait to be taken: uvicorn's own number."""

_LAST_SECONDS = 5.0
"""That a client has to read how its stream ends, once the time is over that it had to end by itself; then so long again, at most,
until a store has been told."""


def serve(
    gateway: Gateway,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    grace: float = 30.0,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve a gateway until SIGTERM or SIGINT. Then no more connections are taken, and streams may end.

    Args:
        gateway: what is served.
        host: a name or address to listen at.
        port: of it; 0 is any that is free.
        grace: seconds that streams have to end, once the signal has come. Those that have not end with an error of their format.
        on_ready: called with the URL, as soon as connections are taken.

    Raises:
        OSError: the address cannot be listened at.
        ValueError: `grace` is no time.
        TypeError: `on_ready` is async.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.gateway import Gateway
        >>> gateway = Gateway("https://api.openai.com", {"main": sf.Redact("a")}, "main")
        >>> serve(gateway, port=0, on_ready=print)  # doctest: +SKIP
        http://127.0.0.1:53211
    """
    check_plain("on_ready", on_ready)
    server = server_of(gateway, grace)
    with listening_at(host, port) as listening:
        if on_ready is not None:
            at, bound = listening.getsockname()[:2]
            on_ready(f"http://[{at}]:{bound}" if ":" in at else f"http://{at}:{bound}")
        server.run(sockets=[listening])


def listening_at(host: str, port: int) -> socket.socket:
    """A socket whose connections send what they are given at once.

    asyncio turns Nagle's algorithm off only where a socket says that it is of TCP, as those of `socket.create_server` do not. With
    it, the first chunk behind the headers waits for the client's delayed acknowledgement: 40 milliseconds.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except BaseException as error:
        listening.close()
        if isinstance(error, OSError):
            error.filename = f"{host}:{port}"  # the message then says what it is about
        raise
    return listening


def server_of(gateway: Gateway, grace: float) -> uvicorn.Server:
    """The server that `serve` runs."""
    check_seconds("grace", grace, zero=True)
    kind = type("Connection", (Connection,), {"unread_seconds": gateway.limits.between})
    config = uvicorn.Config(
        gateway,
        http=kind,  # of h11, the strictest reader there is, and the one that the tests run with
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # it would log what an exception says
        access_log=False,
        proxy_headers=False,
        server_header=False,  # both are the upstream's to say
        date_header=False,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_graceful_shutdown=round(grace + _LAST_SECONDS),
    )
    return _Server(config, gateway, grace)


class _Server(uvicorn.Server):
    """Ends what is still being served when its time is over, before uvicorn would break it off."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, grace: float) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._grace = grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and let streams end."""
        ending = asyncio.get_running_loop().call_later(self._grace, self._gateway.end)
        try:
            async with asyncio.timeout(self._grace + 2 * _LAST_SECONDS):
                await super().shutdown(sockets)
        except TimeoutError:
            return  # a store that does not answer: its readers see that nothing more comes
        finally:
            ending.cancel()
