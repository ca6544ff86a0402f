"""The bytes of a live body in, filtered bytes out: which machine, by what the body says it is and what its first event tells.

Machines only: nothing is known of HTTP here but the kinds of bodies.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from streamfilter.chain import Chain
from streamfilter.context import Context
from streamfilter.errors import MalformedInput
from streamfilter.items import End, Item
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage
from streamfilter.providers import sse
from streamfilter.providers.data import parsed
from streamfilter.providers.detecting import MAX_BYTES, Detecting, Wrap, detect
from streamfilter.providers.frames import AWS, NDJSON, SSE, Decoder, Framing
from streamfilter.providers.guarding_frames import Lines
from streamfilter.providers.machines import STEP_EVENTS
from streamfilter.providers.text_events import TextEvents, still_alive
from streamfilter.providers.wrapping import quoting
from streamfilter.slices import Steps, is_large
from streamfilter.web.fields import Fields

Unknown: TypeAlias = Literal["block", "pass"]
"""What becomes of what cannot be read: it is blocked, or passes unfiltered."""

Kind: TypeAlias = Literal["sse", "lines", "messages", "text", "json", "pass"]
"""What a body is: server-sent events, lines of JSON, messages of AWS's event stream, text, one JSON text; or nothing to filter."""

_FRAMINGS: dict[str, Framing] = {"sse": SSE, "lines": NDJSON, "messages": AWS}


class Body(NamedTuple):
    """What filters a live body.

    Attributes:
        machine: bytes in, filtered bytes out.
        name: gives the name of its format, once that is known; else "".
    """

    machine: Machine
    name: Callable[[], str]


def live_body(
    kind: Kind,
    pipeline: Stage[str, str],
    context: Context,
    name: str | None,
    unknown: Unknown,
    *,
    charset: str = "utf-8",
    text_at: str | None = None,
) -> Body:
    r"""Begin to filter a live body.

    Args:
        kind: of body, which is no `"json"`.
        pipeline: text stages.
        context: as for streams; started.
        name: the format's; None: its first event tells it.
        unknown: what becomes of events before one that tells it, and of a body that cannot be read.
        charset: of a text.
        text_at: the field of events of one's own in which their text stands.

    Example:
        >>> import streamfilter as sf
        >>> machine, name = live_body("sse", sf.Redact("[0-9]+", to="#"), sf.Context(), None, "block")
        >>> machine.feed(b"data: pin 12"), machine.feed(b"34 ok\n\n"), name()
        ([], [b'data: pin # ok\n\n'], 'text')
    """
    if kind == "text":
        return Body(_chained(context, _Read(charset), pipeline.machine(context), _Written()), lambda: "text")
    if text_at is not None:
        form = Fields(text_at, _FRAMINGS[kind])
        context.at_end(form.over)
        return Body(Wrap(pipeline).wrapping(form, context, pipeline.machine(context)), lambda: form.name)
    if name == "text":
        wrapping = Wrap(pipeline).wrapping(TextEvents(is_named=True), context, pipeline.machine(context))
        return Body(wrapping, lambda: "text")
    if name is not None:
        wrapping = import_module(f"streamfilter.providers.{name}").wrap(pipeline).machine(context)
        return Body(_placed(kind, name, wrapping, context), lambda: name)
    told = _Told(kind, Wrap(pipeline), context, unknown)
    return Body(told, lambda: told.name)


def _chained(context: Context, *machines: Machine) -> Chain:
    return Chain(machines, drains=context.after_stop == "drain")


def _placed(kind: Kind, name: str, wrapping: Machine, context: Context) -> Machine:
    """The machine of a format for bodies of a kind. Of all formats only one is made for lines; chunks of others stand there too."""
    if kind != "lines" or name == "ollama":
        return wrapping
    return _chained(context, _Framed(NDJSON.decoder(), _chunk_of), wrapping, _Lined())


class _Framed(Machine):
    """Bytes to what stands in their frames: of a large piece some frames at a time.

    Args:
        decoder: makes the frames.
        read: gives the items of a frame.
    """

    def __init__(self, decoder: Decoder, read: Callable[[sse.Frame], Sequence[Any]]) -> None:
        self._decoder = decoder
        self._read = read

    def feed(self, item: Any) -> Sequence[Any]:
        return self._items(self._decoder.feed(item))

    def steps(self, item: Any) -> Steps | None:
        return self._steps(self._decoder.feed(item)) if is_large(item) else None

    def _steps(self, frames: Iterator[sse.Frame]) -> Steps:
        while some := [*islice(frames, STEP_EVENTS)]:
            yield self._items(some)
        return ()

    def finish(self) -> Sequence[Any]:
        return self._items(self._decoder.finish())

    def _items(self, frames: Iterable[sse.Frame]) -> Sequence[Any]:
        return [item for frame in frames for item in self._read(frame)]


def _chunk_of(frame: sse.Frame) -> Sequence[Any]:
    """The chunk that a line of JSON is."""
    return [parsed(frame.data, frame.offset)] if frame.data and not frame.data.startswith("[DONE]") else ()


class _Lined(Machine):
    """Chunks to lines of JSON."""

    def feed(self, item: Any) -> Sequence[Any]:
        if type(item) is End:
            self.ended = True
            return (item,)
        return (NDJSON.encode(item, "", None),)


# ---------------------------------------------------------------------- told by an event


class _Told(Detecting):
    """Becomes the machine of a format when an event has told which; data that is no JSON object is text.

    Unlike in `wrap`, how events stand in bytes is known from the type of the body, and what tells nothing may pass.
    """

    def __init__(self, kind: Kind, wrap: Wrap, context: Context, unknown: Unknown) -> None:
        inner = wrap.pipeline.machine(context)
        super().__init__("a response", lambda form: _placed(kind, form.name, wrap.wrapping(form, context, inner), context))
        self._lines = Lines(quoting(wrap.pipeline, context))
        as_text = TextEvents(is_named=unknown == "pass")  # text it is then, whatever else would come
        self._texts: Callable[[], Machine] = lambda: wrap.wrapping(as_text, context, inner)
        self._kind = kind
        self._passes = unknown == "pass"
        self._reader = _FRAMINGS[kind].decoder()
        self._bytes = bytearray()  # what has come and not left
        self._begin_at = 0  # where they begin in the body
        self.waits, self.watchers = inner.waits, inner.watchers
        self.name = ""

    def feed(self, item: Any) -> Sequence[Any]:
        if self._inner is not None:
            return self._fed(self._inner, item)
        self._bytes += item
        out = self._looked(item, is_last=False)
        return [*out, *self._fed(self._inner, waiting)] if (waiting := self._known()) and self._inner is not None else out

    def _first_steps(self, item: Any) -> Steps:
        self._bytes += item
        out = self._looked(item, is_last=False)
        if not (waiting := self._known()):
            return out
        if (work := self.steps(waiting)) is None:
            return [*out, *self.feed(waiting)]
        yield out
        return (yield from work)

    def finish(self) -> Sequence[Any]:
        out = [*self._looked(b"", is_last=True)] if self._inner is None else []
        if self._inner is None or (out and type(out[-1]) is End):
            return out
        if waiting := self._known():
            out += self._fed(self._inner, waiting)
            if out and type(out[-1]) is End:
                return out
        return [*out, *self._inner.finish()]

    def _looked(self, piece: bytes, *, is_last: bool) -> Sequence[Any]:
        out: list[bytes] = []
        try:
            for frame in self._reader.finish() if is_last else self._reader.feed(piece):
                frame.checked()
                if not frame.data and frame.offset == self._begin_at:  # a comment passes at once
                    taken = self._taken(frame.offset + len(frame.raw))
                    out += taken if self._passes or self._kind != "sse" else [self._shown(frame)]
                if not frame.data or frame.data.startswith("[DONE]"):
                    continue
                self._has_events = True
                self._tell(frame)
                if self._inner is not None:
                    break
                if self._passes:
                    out += self._taken(frame.offset + len(frame.raw))
            if self._inner is None and is_last and not self._passes and self._has_events:
                raise MalformedInput("no event has told the format of a response", self._begin_at)
            if self._inner is None and len(self._bytes) > MAX_BYTES:
                raise MalformedInput(f"no event in the first {MAX_BYTES} bytes tells the format of a response", self._begin_at)
        except MalformedInput as error:
            if not self._passes:
                self.ended = True
                return [*out, End("error", error)]
            self._inner = Machine()
        return [*out, *self._taken(self._begin_at + len(self._bytes))] if self._inner is None and is_last else out

    def _known(self) -> bytes:
        """What has waited for the format to be told, once it is."""
        waiting = b"" if self._inner is None else bytes(self._bytes)
        if waiting:
            self._bytes.clear()
        return waiting

    def _taken(self, end: int) -> list[bytes]:
        """What waits, up to a place in the body: it leaves as it came."""
        size = end - self._begin_at
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        self._begin_at = end
        return [taken] if taken else []

    def _shown(self, frame: sse.Frame) -> bytes:
        """What is left of a frame without data."""
        left = still_alive(self._lines.shown(frame.raw), frame.raw)
        return left if frame.complete else left + SSE.gap

    def _tell(self, frame: sse.Frame) -> None:
        """What an event tells."""
        try:
            event = json.loads(str(frame.data))
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            if self._kind != "sse":
                raise MalformedInput("the data of an event is not a JSON object", frame.offset)
            self.name, self._inner = "text", self._texts()
            if self._wake is not None:
                self._inner.attach(self._wake)
            return
        name = "ollama" if self._kind == "lines" and "error" in event else detect(event)
        if name is None and self._kind == "messages":
            name = "bedrock"
        if name is not None:
            self.name = name
            self._become(name)


# ---------------------------------------------------------------------- text


class _Read(Machine):
    """Bytes to text. What a character is not becomes what a reader makes of it."""

    def __init__(self, charset: str) -> None:
        self._decoder = codecs.getincrementaldecoder(charset)(errors="replace")

    def feed(self, item: Any) -> Sequence[Item]:
        text = self._decoder.decode(item)
        return (text,) if text else ()

    def finish(self) -> Sequence[Item]:
        text = self._decoder.decode(b"", final=True)
        return (text,) if text else ()


class _Written(Machine):
    """Text to bytes. What is no text has no place in a text."""

    takes_slices = True

    def feed(self, item: Any) -> Sequence[Any]:
        if type(item) is End:
            self.ended = True
            return (item,)
        return (item.encode(errors="replace"),) if isinstance(item, str) and item else ()
