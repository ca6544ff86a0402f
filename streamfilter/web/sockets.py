"""`websocket`: a stream over a web socket of FastAPI or Starlette."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Protocol

from streamfilter.stream import check_source
from streamfilter.web.messages import Message, printable
from streamfilter.web.patience import UNREAD_SECONDS
from streamfilter.web.problems import OnError
from streamfilter.web.sending import Left, Sending, until_gone
from streamfilter.web.writing import ExitFormat, Writing, check_format

CLOSE_CODES = {"blocked": 1008, "timed_out": 1013, "failed": 1011}
"""Why a socket of plain text is closed. Source: RFC 6455, 7.4.1 (policy, internal error) and its registry (try again later)."""

_CONNECTING = 0
"""Starlette's state of a socket that nobody has accepted."""


class Socket(Protocol):
    """What is needed of `starlette.websockets.WebSocket`, which FastAPI's is too."""

    application_state: Any

    async def accept(self) -> None:
        """Agree to the connection."""

    async def receive(self) -> Any:
        """A message of ASGI."""

    async def send_text(self, data: str) -> None:
        """Send a message."""

    async def close(self, code: int = ..., reason: str | None = ...) -> None:
        """Close the connection."""


async def websocket(
    socket: Socket,
    stream: AsyncIterable[Any],
    format: ExitFormat = "events",  # noqa: A002  # what one calls it
    *,
    on_error: OnError | None = None,
    on_message: Callable[[str | bytes], object] | None = None,
    unread_seconds: float | None = UNREAD_SECONDS,
    model: str = "",
) -> bool:
    """Send a stream over a web socket while it arrives, one message for each event; the socket stays open for the next.

    The formats are those of `sse_response`. `"text"` sends the text itself, as it is, and its end cannot be told from it: there an
    error closes the socket, with code 1008 if something was blocked, 1013 if it took too long and 1011 if it failed. In all
    other formats errors are messages, and the last message is one that says so (`{"type": "done"}`, `[DONE]`, `message_stop`).

    Args:
        socket: is accepted, if nobody has.
        stream: what is sent. It is closed when it is over, and at once when the client leaves.
        format: what the client reads.
        on_error: as for `sse_response`.
        on_message: is given what the client sends meanwhile, such as the wish to stop: if what it gives (or awaits) is true, the
            stream is closed, and nothing more is sent. Without it, such messages are lost.
        unread_seconds: as for `sse_response`.
        model: as for `sse_response`.

    Returns:
        Whether the stream was sent to its end.

    Raises:
        ValueError: the format is none.
        TypeError: the stream is no async iterable; the message says what would be right.

    Example:
        Behind `@app.websocket("/chat")`, for each question::

            await websocket(socket, SAFE(answer_to(question)), "events")
    """
    check_format(format)
    check_source(stream, "the stream")
    sending = Sending(stream, Writing(format, model, in_lines=False), on_error=on_error, unread_seconds=unread_seconds)
    is_text = format == "text"

    async def send(message: Message) -> None:
        if message.data is not None and not (is_text and message.event):
            await socket.send_text(printable(message.data))

    async def arrived(message: Any) -> bool:
        said = message.get("text") if message.get("text") is not None else message.get("bytes")
        if on_message is None or said is None:
            return False
        given = on_message(said)
        return bool(await given) if inspect.isawaitable(given) else bool(given)

    receive: Callable[[], Awaitable[Any]] = socket.receive
    try:
        if getattr(socket.application_state, "value", None) == _CONNECTING:
            await socket.accept()
        problem = await sending.run(send, lambda: until_gone(receive, arrived))
        if problem is not None and is_text:
            await socket.close(CLOSE_CODES[problem.code], problem.message if len(problem.message.encode()) <= 123 else None)
    except Left:
        return False
    finally:
        await sending.close()
    return problem is None
