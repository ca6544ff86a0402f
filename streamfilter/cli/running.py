"""A file or a pipe through a pipeline, live: bytes in as they come, bytes out as they are released."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import enum
import select
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import IO, Any

from streamfilter.cli.framed import Array, TextEvents
from streamfilter.context import Context, Report
from streamfilter.errors import MalformedInput
from streamfilter.observe.recordings import over_text
from streamfilter.pipeline import Stage
from streamfilter.plain import is_text
from streamfilter.providers import detecting, text_events
from streamfilter.providers.kinds import HAS_NUL, Kind, Telling, legible
from streamfilter.providers.objects import elements, lines
from streamfilter.web.bodies import MAX_BODY_BYTES

READ_BYTES = 64 * 1024
"""Bytes read at once; a pipe gives what it has without waiting for so many."""


class Format(enum.Enum):
    """What the input is: how it stands in bytes, or of which provider it is, in the bytes that this one sends."""

    AUTO = "auto"
    TEXT = "text"
    SSE = "sse"
    TEXT_EVENTS = "text-events"
    NDJSON = "ndjson"
    ARRAY = "array"
    AWS = "aws"
    OPENAI_CHAT = "openai.chat"
    OPENAI_COMPLETIONS = "openai.completions"
    OPENAI_RESPONSES = "openai.responses"
    ANTHROPIC = "anthropic.messages"
    GEMINI = "gemini"
    VERCEL = "vercel"
    OLLAMA = "ollama"
    BEDROCK = "bedrock"


FRAMINGS = frozenset({Format.AUTO, Format.SSE, Format.NDJSON, Format.ARRAY, Format.AWS})
"""Those that do not say whose the events are."""


def filter_file(
    pipeline: Stage[Any, Any],
    source: IO[bytes],
    sink: IO[bytes],
    form: Format = Format.AUTO,
    watch: Callable[[int], object] = lambda _: None,
    begun: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Filter from one file to another, writing each piece at once. Either may be non-blocking: it is waited for.

    Text is UTF-8; bytes that are not come out as they went in. Events are those of any provider that is known. What placeholders
    stand for is gone with the stream.

    Args:
        watch: called with the number of bytes that were read since it was last called.
        begun: called with the report before there is anything in it: it is good however the stream ends.

    Raises:
        MalformedInput: the input is compressed, in UTF-16 or has a NUL, or is no stream of a provider's events; all before that is
            written first.
    """
    pieces = _read(source, watch)
    if form is not Format.AWS:
        pieces = legible(pieces, is_text=form in (Format.TEXT, Format.TEXT_EVENTS))
    is_named = form is not Format.AUTO
    if not is_named:
        form, pieces = _detected(pieces)
    stage = _stage(form, pipeline, is_named=is_named)
    read = _READERS.get(form)
    items: Iterator[Any] = pieces if read is None else read(pieces)
    end = b"\n" if form is Format.NDJSON and stage.gives == "chunks" else b""
    with contextlib.nullcontext() if over_text(pipeline).reads == "chunks" else _hinting(form):
        if any(part.must_wait for part in pipeline.stages):
            return asyncio.run(_filter_live(stage, items, sink, end, begun))
        with stage.iter(items, context=Context.with_vault(None)) as stream:
            begun(stream.report)
            for piece in stream:
                _write(piece, sink, end)
    return stream.report


def _stage(form: Format, pipeline: Stage[Any, Any], *, is_named: bool) -> Stage[Any, Any]:
    """What a pipeline is for such an input. A wrap that was declared counts where nothing else says whose the chunks are."""
    inside = over_text(pipeline)
    if inside.reads != "chunks":
        if form is Format.TEXT:
            return inside
        if form is Format.TEXT_EVENTS:
            return TextEvents(inside, is_named)
        if form not in FRAMINGS:
            wrapped: Stage[Any, Any] = import_module(f"streamfilter.providers.{form.value}").wrap(inside)
            return wrapped
    elif form not in FRAMINGS:
        raise MalformedInput("the input is text, and the pipeline reads a provider's chunks", 0)
    over_chunks = pipeline if pipeline.reads == "chunks" else detecting.wrap(pipeline)
    return Array(over_chunks) if form is Format.ARRAY and over_chunks.gives == "chunks" else over_chunks


@contextlib.contextmanager
def _hinting(form: Format) -> Iterator[None]:
    """Where no event tells the format, it is said what to do about it here."""
    said: MalformedInput | None = None
    try:
        yield
    except MalformedInput as error:
        problem = error.problem.removesuffix(detecting.IN_PYTHON).removesuffix(text_events.IN_PYTHON)
        hint = next((hint for ends, hint in _HINTS.items() if problem.endswith(ends)), _AS_TEXT if form is Format.ARRAY else None)
        if hint is None:
            raise
        said = MalformedInput(problem + hint, error.offset)
    if said is not None:
        raise said


async def _filter_live(
    stage: Stage[Any, Any], items: Iterator[Any], sink: IO[bytes], end: bytes, begun: Callable[[Report], object]
) -> Report:
    async with stage(_given(items), context=Context.with_vault(None)) as stream:
        begun(stream.report)
        async for piece in stream:
            _write(piece, sink, end)
    return stream.report


async def _given(items: Iterator[Any]) -> AsyncIterator[Any]:
    """Read beside the event loop. A thread that waits for a pipe is left behind on the way out: an executor would wait for it."""
    loop = asyncio.get_running_loop()
    while True:
        arrived = loop.create_future()
        threading.Thread(target=_read_beside, args=(items, loop, arrived), daemon=True).start()
        if (item := await arrived) is None:
            return
        yield item


def _read_beside(items: Iterator[Any], loop: asyncio.AbstractEventLoop, arrived: asyncio.Future[Any]) -> None:
    try:
        item, error = next(items, None), None
    except Exception as raised:
        item, error = None, raised

    def tell() -> None:
        if arrived.done():
            return
        if error is None:
            arrived.set_result(item)
        else:
            arrived.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(tell)


def _write(piece: Any, sink: IO[bytes], end: bytes) -> None:
    if isinstance(piece, bytes) or is_text(piece):  # not an event that a stage gave beside the text
        data = piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogateescape")
        left = memoryview(data if data.endswith(end) else data + end)
        raw = getattr(sink, "raw", sink)  # a buffer could not say how much of what it was given has been refused
        while left:
            taken = raw.write(left)
            if taken is None:
                select.select([], [raw], [])
            else:
                left = left[taken:]


def _read(source: IO[bytes], watch: Callable[[int], object]) -> Iterator[bytes]:
    # What is read beside an event loop may never come: a buffered file would be locked by it when the interpreter ends.
    raw = getattr(source, "raw", source)
    while (piece := raw.read(READ_BYTES)) != b"":
        if piece is None:  # whoever opened it does not wait for it; we do: nothing there yet is not the end
            select.select([raw], [], [])
            continue
        watch(len(piece))
        yield piece


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _messages(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Messages of AWS, and nothing that a wrap would take for another framing."""
    first = next(pieces, b"")
    if first and not first.startswith(b"\0"):
        raise MalformedInput("the input is no messages of AWS, which begin with their length", 0)
    yield from _chained(first, pieces)


_READERS: dict[Format, Callable[[Iterator[bytes]], Iterator[Any]]] = {
    Format.TEXT: _decoded,
    Format.NDJSON: lines,
    Format.AWS: _messages,
    Format.ARRAY: lambda pieces: elements(pieces, MAX_BODY_BYTES),
}
_UNTOLD = (
    ": name it (such as --format openai.chat), or take the data of events, or all, as text (--format text-events, --format text)"
)
_HINTS = {
    detecting.UNTOLD: _UNTOLD,
    "is not a JSON object": _UNTOLD,
    HAS_NUL: "",  # it says it itself
    text_events.NO_TEXT: ", or take all as text (--format text-events)",
}
"""What to do about an error here, by how it ends."""

_AS_TEXT = ": if it is no array of a provider's chunks, take it as text (--format text)"


def _detected(pieces: Iterator[bytes]) -> tuple[Format, Iterator[bytes]]:
    """Tell what comes by how it begins, reading no more than needed."""
    telling = Telling()
    kind: Kind | None = None
    while kind is None and (piece := next(pieces, b"")):
        kind = telling.feed(piece)
    return Format(kind or telling.finish()), _chained(bytes(telling.head), pieces)


def _chained(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from pieces
