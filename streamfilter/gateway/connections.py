"""One connection of uvicorn's, given up if its client reads nothing. Nothing is known here of requests and answers.

An application that gives up a client cannot close its connection: what the server still has for it would have to be read first. So
this is the server's to do, and its own protocol does not.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_AT_ONCE = struct.pack("ii", 1, 0)
"""What the system itself has for the client is not kept either, for minutes: it is told that the connection was reset."""


class Connection(H11Protocol):
    """A connection that breaks off when its client has read nothing for too long, also when all was sent.

    Attributes:
        unread_seconds: how long that is.
    """

    unread_seconds: float

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin. A piece that the network does not take at once stops whoever sends, so that any that waits is seen."""
        transport.set_write_buffer_limits(0)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        """Something waits for the client."""
        super().pause_writing()
        self._look(self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        """Nothing does."""
        self._look_no_more()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._look_no_more()
        super().connection_lost(exc)

    def _look(self, before: int) -> None:
        """Look whether there is less than there was, again and again."""
        waiting = self.transport.get_write_buffer_size()
        if waiting >= before:
            if (connection := self.transport.get_extra_info("socket")) is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()
        else:
            self._patience = self.loop.call_later(self.unread_seconds, self._look, waiting)

    def _look_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
