"""Messages to a client that may vanish: the one place that sends a stream of our own over a connection.

Reading and sending run in a task; another waits for the client to leave. Whoever is first ends the other, so a client that leaves
closes the stream at once, also before its first item; one that reads nothing does so after a time. A server that cancels, as one
that goes down does, leaves a moment for the error of the format. What an exception says never leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from streamfilter.chain import Chain
from streamfilter.context import Clock, Context
from streamfilter.flow.keepalive import KeepAlive
from streamfilter.machine import Machine
from streamfilter.stream import Segment, Stream, open_stream
from streamfilter.web.messages import ALIVE, Message
from streamfilter.web.patience import Patience, check_unread
from streamfilter.web.problems import FAILED, OnError, Problem, check_on_error, messages_of, problem_of
from streamfilter.web.writing import Writing

Out = Callable[[Message], Awaitable[object]]

LAST_SECONDS = 1.0
"""For the last words to a client, where the server takes no more: the whole of it waits."""


class Left(Exception):
    """The client has left. It never leaves this part."""


class Frames(Machine):
    """Passes on frames that are written already; they tell their errors themselves."""

    name = "events"
    count = 0

    def feed(self, item: Any) -> Sequence[Any]:
        return (Message(None, raw=item),)


class Sending:
    """One stream on its way to one client.

    Args:
        stream: any async iterable.
        writing: writes its items.
        seconds: without a message until a comment is sent; None never sends one.
        clock: which these go by.
        on_error: is told of what goes wrong.
        unread_seconds: until a client that reads nothing is given up; None never does.

    Attributes:
        is_ended: whether the last message was sent, that of an error too.
    """

    def __init__(
        self,
        stream: AsyncIterable[Any],
        writing: Writing | Frames,
        *,
        seconds: float | None = None,
        clock: Clock | None = None,
        on_error: OnError | None = None,
        unread_seconds: float | None = None,
    ) -> None:
        check_on_error(on_error)
        self._writing = writing
        self._on_error = on_error
        self._unread = check_unread(unread_seconds)
        self._patience: Patience | None = None
        self._is_ending = False  # what ends it is being sent
        self.is_ended: bool = False
        self._stream: Stream[Message] = open_stream(
            [Segment("sse_response", lambda context: _machine(writing, seconds, context))],
            stream,
            Context(clock=clock),
            "close",
            is_live=True,
        )

    async def run(self, send: Out, gone: Callable[[], Awaitable[object]]) -> Problem | None:
        """Send all of it, until it ends or the client leaves.

        Args:
            send: sends a message.
            gone: returns when the client has left.

        Returns:
            What the client was told, if the stream did not end well.

        Raises:
            Left: the client has left; everything is closed.
        """
        self._patience = Patience(self._unread)
        sender = asyncio.ensure_future(self._sent(send))
        watcher = asyncio.ensure_future(gone())
        try:
            await asyncio.wait({sender, watcher}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._cut_off(sender, send)
            raise
        finally:
            has_left = not sender.done()
            for task in (sender, watcher):
                task.cancel()
            self._patience.close()
            await asyncio.gather(sender, watcher, return_exceptions=True)
        if has_left:
            if not watcher.cancelled() and (error := watcher.exception()) is not None:
                raise error  # of a callback
            raise Left
        return sender.result()

    async def close(self) -> None:
        """Send nothing, and close the stream."""
        await self._stream.aclose()

    async def _sent(self, send: Out) -> Problem | None:
        try:
            async with self._stream as stream:
                async for message in stream:
                    await self._out(send, message)
                self.is_ended = True
        except Left:
            raise
        except Exception as error:
            self._is_ending = True
            problem = problem_of(error, self._on_error)
            await self._tell(send, problem)
            return problem
        return None

    async def _tell(self, send: Out, problem: Problem) -> None:
        for message in messages_of(self._writing.name, problem, number=self._writing.count):
            await self._out(send, message)
        self.is_ended = True

    async def _cut_off(self, sender: asyncio.Task[Problem | None], send: Out) -> None:
        """Nobody waits for the stream any longer, but the client is there: say so at once, for who cancels may soon do so again."""
        sender.cancel()
        if self._is_ending or self.is_ended or isinstance(self._writing, Frames):  # who follows a kept stream comes back to it
            return
        with suppress(Left, TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._tell(send, FAILED)

    async def _out(self, send: Out, message: Message) -> None:
        assert self._patience is not None
        try:
            await self._patience.of(send(message))
        except Exception:  # servers raise an OSError for a client that has left, Starlette's sockets one of their own
            raise Left from None


def _machine(writing: Writing | Frames, seconds: float | None, context: Context) -> Machine:
    return writing if seconds is None else Chain([writing, KeepAlive(seconds, lambda: ALIVE).machine(context)])


async def answer(
    start: dict[str, Any],
    sending: Sending,
    send: Callable[[Any], Awaitable[object]],
    gone: Callable[[], Awaitable[object]],
    *,
    is_head: bool = False,
) -> bool:
    """Send a response: its start, the stream as its body, its end. The stream is closed, however that goes.

    Args:
        start: its first message.
        sending: the stream.
        send: of ASGI.
        gone: returns when the client has left.
        is_head: whether the request is a HEAD, whose answer has no body.

    Returns:
        Whether all of it was sent.
    """

    async def body(message: Message) -> None:
        await send({"type": "http.response.body", "body": message.frame(), "more_body": True})

    try:
        await send(start)
        if is_head:  # Starlette routes it to what is for GET
            await sending.close()
        else:
            await sending.run(body, gone)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (Left, OSError):
        return False  # nobody is there any more
    except asyncio.CancelledError:
        if sending.is_ended:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        raise
    finally:
        await sending.close()
    return True


async def until_gone(receive: Callable[[], Awaitable[Any]], on_message: Callable[[Any], Awaitable[bool]] | None = None) -> None:
    """Return when the client has left.

    Args:
        receive: of ASGI.
        on_message: is given what the client sends meanwhile; whether that is enough.
    """
    while True:
        try:
            message = await receive()
        except Exception:  # nothing more can be received, so nobody is there
            return
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            return
        if on_message is not None and await on_message(message):
            return
