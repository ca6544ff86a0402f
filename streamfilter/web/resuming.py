r"""Event streams whose readers drop and come back: what is kept are the frames of the response, and each leaves with an id.

An entry of the store is a frame without the empty line that ends it; the first entry is no frame, but the response's head: the name
of the format, in which an error is told that only a reader sees. Errors of the stream and what ends it are frames like others, so
a stream that has "finished" in the store is complete in the words of its format, and any other ending is told by who reads it.

A frame's id is that of its entry, as its last field: by the standard that one counts, whatever the frame said itself. What a reader
is told besides has the id of the stream's end, behind which there is nothing; what it has to try again, has none.
Nothing is known here of connections. Source: WHATWG HTML, 9.2.6.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from streamfilter.context import Clock, Context
from streamfilter.errors import MalformedInput
from streamfilter.resumable.encoding import END, ending_decoded
from streamfilter.resumable.failures import NotResumable, StoreFailed, StreamUnknown
from streamfilter.resumable.reading import Reader
from streamfilter.resumable.store import Page, Position
from streamfilter.resumable.stream import ResumableStream
from streamfilter.stream import Segment, Stream, check_source, open_stream
from streamfilter.web.messages import DONE, Message, said
from streamfilter.web.problems import OnError, messages_of, problem_of
from streamfilter.web.writing import Writing

Source: TypeAlias = AsyncIterable[Any]
Start: TypeAlias = Callable[[], "Source | Awaitable[Source]"]
"""Gives what is sent. It is called once for a stream, by who writes it."""

Head: TypeAlias = dict[str, Any]
"""The first entry: `format`, the name that errors go by, and what else who writes wants to be known."""


def body_of_frame(frame: bytes) -> bytes:
    r"""A frame as it is kept; nothing, if there is nothing in it.

    Example:
        >>> body_of_frame(b"data: 1\r\n\r\n")
        b'data: 1'
    """
    return frame.rstrip(b"\r\n")


def with_id(body: bytes, id: str | None) -> bytes:  # noqa: A002  # what the field is called
    r"""A frame as it leaves.

    Example:
        >>> with_id(b"id: its own\ndata: 1", "17-2")
        b'id: its own\ndata: 1\nid: 17-2\n\n'
    """
    return b"%s\n\n" % body if id is None else b"%s\nid: %s\n\n" % (body, id.encode())


async def written(
    start: Start, writing: Writing, *, clock: Clock | None = None, on_error: OnError | None = None
) -> AsyncIterator[Head | bytes]:
    """What is to be kept of a stream: its head, its frames, and those of its error. An async generator.

    Args:
        start: gives the stream.
        writing: writes its items.
        clock: of the stream.
        on_error: is told of what goes wrong, once.
    """
    has_head = False
    try:
        source = start()
        if inspect.isawaitable(source):
            source = await source
        check_source(source, "what start gives")
        segments = [Segment("resumable_response", lambda _: writing)]
        stream: Stream[Message] = open_stream(segments, source, Context(clock=clock), "close", is_live=True)
        async with stream:
            async for message in stream:
                if not has_head:  # now the first item has told what the format is
                    has_head = True
                    yield {"format": writing.name}
                yield body_of_frame(message.frame())
    except Exception as error:
        if not has_head:
            yield {"format": writing.name}
        for message in messages_of(writing.name, problem_of(error, on_error), number=writing.count):
            yield body_of_frame(message.frame())


class Following:
    """A reader's way through a stream: an async iterable of whole frames with their ids, whatever happens.

    Args:
        reader: of the entries.
        head: the stream's, if it is known.
        name: of the format, where the head does not say.
        on_error: is told of what only this reader sees.

    Attributes:
        head: the stream's, as far as it is known.
    """

    def __init__(self, reader: Reader, head: Head | None, name: str, on_error: OnError | None) -> None:
        self.head: Head | None = head
        self._reader = reader
        self._name = name
        self._on_error = on_error

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._frames()

    async def aclose(self) -> None:
        """Leave."""
        await self._reader.aclose()

    async def begun(self) -> Head | None:
        """The head, as soon as there is one; None if the stream has ended without. For who reads from the beginning.

        Raises:
            StoreFailed: the store cannot be reached.
        """
        if self.head is None:
            try:
                self._take(await anext(self._reader, None))
            except StoreFailed:
                raise
            except Exception:
                return None
        return self.head

    def _take(self, entry: Any) -> None:
        if isinstance(entry, dict):
            self.head = entry

    async def _frames(self) -> AsyncIterator[bytes]:
        is_last = True  # whether there is nothing behind
        try:
            async with self._reader as reader:
                async for entry in reader:
                    if isinstance(entry, bytes):
                        yield with_id(entry, reader.last_id)
                    else:
                        self._take(entry)
                how = reader.ended.how if reader.ended is not None else "finished"
                messages = [] if how == "finished" else _farewell(self._format(), is_begun=self._number() > 1)
        except Exception as error:
            is_last = not isinstance(error, StoreFailed)
            messages = messages_of(self._format(), problem_of(error, self._on_error), number=max(0, self._number() - 1))
        for message in messages:
            is_end = is_last and message is messages[-1]
            yield with_id(body_of_frame(message.frame()), self._end_id() if is_end else None)

    def _format(self) -> str:
        return str((self.head or {}).get("format") or self._name)

    def _number(self) -> int:
        """Of the last entry that was read."""
        given = self._reader.last_id
        return 0 if given is None else Position.read(given).number

    def _end_id(self) -> str | None:
        given = self._reader.last_id
        return None if given is None else str(Position(Position.read(given).created, self._number() + 1))


async def following(
    resumable: ResumableStream, last_id: str | None, *, name: str, on_error: OnError | None = None
) -> Following | None:
    """What follows an event; None if there is nothing that could: no such stream, none of its events, or its last one.

    Args:
        resumable: the stream.
        last_id: the header `Last-Event-ID`, from anybody; None or "": from the beginning.
        name: of the format in which errors are told.
        on_error: is told of what only this reader sees.

    Raises:
        StoreFailed: the store cannot be reached.
    """
    try:
        after = Position.read(last_id) if last_id else None
        page, head = await resumable.peek(after)
        if not _has_more(page, after):
            return None
    except (NotResumable, StreamUnknown):
        return None
    except MalformedInput:  # who reads it is told so, in the words of the format
        head = None
    return Following(resumable.read(last_id), head if isinstance(head, dict) else None, name, on_error)


def _has_more(page: Page, after: Position | None) -> bool:
    """Whether what follows can be given, and there is any or may yet be."""
    number = 0 if after is None else after.number
    if after is not None and (after.created != page.created or number > page.last - page.is_ended):
        return False
    if not page.entries:
        return number == page.last
    entry = page.entries[0]
    if entry.position.number != number + 1:  # what is between is no longer kept
        return False
    return entry.name != END or ending_decoded(entry.payload, number + 1).how != "finished"


def _farewell(name: str, *, is_begun: bool) -> list[Message]:
    """What ends a stream that somebody has stopped, as far as its format can say that without knowing what is open."""
    if name == "vercel":
        return [said({"type": "abort"}), DONE]
    if name in ("openai.chat", "openai.completions"):
        return [DONE]
    if name == "anthropic.messages":
        return [said({"type": "message_stop"}, named=True)] if is_begun else []
    if name in ("text", "events", "patches"):
        return [said({"type": "done"}, named=True)]
    return []
