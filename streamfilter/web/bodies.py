"""One response, or the body of one request, on its way through a pipeline: what its headers say, and what becomes of it.

Nothing is known here of ASGI or of connections: `StreamFilterMiddleware` is made of this, and so may a proxy be. What cannot be
read is blocked unless it was declared to pass; so is what is too large.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TypeAlias, get_args

from streamfilter.context import AfterStop, Context
from streamfilter.declaration import check_count
from streamfilter.errors import MalformedInput
from streamfilter.machine import Machine
from streamfilter.pipeline import Stage, as_stage
from streamfilter.providers.frames import SSE, json_text
from streamfilter.providers.objects import NotJSON, loaded
from streamfilter.providers.openai import chat
from streamfilter.stream import Segment, Stream, open_stream
from streamfilter.web.compressed import CODINGS, Inflated
from streamfilter.web.fields import Fields
from streamfilter.web.problems import Problem, Unreadable, body_of, last_piece
from streamfilter.web.streams import Body, Kind, Unknown, live_body
from streamfilter.web.whole import shown_request, shown_response

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Of a body that has to be there as a whole: requests with images reach some megabytes, text never does."""

MEDIA: Mapping[str, Kind] = {
    "text/event-stream": "sse",
    **dict.fromkeys(("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"), "lines"),
    **dict.fromkeys(("application/stream+json", "application/jsonlines", "application/json-lines"), "lines"),
    **dict.fromkeys(("application/x-json-stream", "application/json-seq"), "lines"),
    "application/vnd.amazon.eventstream": "messages",
    "text/plain": "text",
    "text/markdown": "text",
    **dict.fromkeys(("application/json", "text/json", "application/x-json"), "json"),
}
"""What bodies are, by their media type; records of `json-seq` are no lines, so they are blocked with what cannot be read. All that
end in `+json` are JSON, parts of a body (`multipart/byteranges`) cannot be read, and all others pass."""

DROPPED = frozenset(
    {
        *(b"content-length", b"content-encoding", b"transfer-encoding", b"trailer", b"accept-ranges"),
        *(b"etag", b"digest", b"content-digest", b"repr-digest", b"content-md5", b"want-content-digest"),
    }
)
"""Headers that say how a body was sent, or what it was: the filtered one is another. Sources: RFC 9110, RFC 9530, RFC 3230."""

_CHARSET = re.compile(r";\s*charset=\"?([\w.:-]+)\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filter:
    """What bodies are filtered by.

    Args:
        pipeline: text stages, joined.
        context: of all bodies. One that has no vault gets one.
        format: the provider's whose format live bodies have (`"openai.chat"`), or `"text"` for events whose data is text; None: the
            first event tells it.
        text_at: of events of an application's own, the field in which their text stands (`"token"`, `"delta.text"`).
        unknown: what becomes of a body that cannot be read: its encoding or charset is unknown, no event tells its format, it is no
            JSON though it says so. `"block"` blocks it, `"pass"` lets it pass unfiltered.
        media: media types to add to `MEDIA`, or to replace there; None says that they cannot be read. `"text/*"` is all of a kind
            that have no entry of their own, `"*/*"` is all others.
        max_body_bytes: of a body that has to be there as a whole, once decompressed. A larger one is blocked.
        after_stop: what happens to the source once a stage has ended a stream.

    Raises:
        TypeError: the pipeline is none of text stages.
        ValueError: another argument makes no sense.
    """

    pipeline: Stage[str, str]
    context: Context = field(default_factory=Context)
    format: str | None = field(default=None, kw_only=True)
    text_at: str | None = field(default=None, kw_only=True)
    unknown: Unknown = field(default="block", kw_only=True)
    media: Mapping[str, Kind | None] = field(default_factory=dict, kw_only=True)
    max_body_bytes: int = field(default=MAX_BODY_BYTES, kw_only=True)
    after_stop: AfterStop = field(default="close", kw_only=True)

    def __post_init__(self) -> None:
        pipeline = as_stage(self.pipeline)
        chat.wrap(pipeline)  # refuses one that is none of text stages
        object.__setattr__(self, "pipeline", pipeline)
        if self.unknown not in get_args(Unknown):
            raise ValueError(f"unknown={self.unknown!r}: 'block' or 'pass' is needed")
        if self.after_stop not in get_args(AfterStop):
            raise ValueError(f"after_stop={self.after_stop!r}: 'close' or 'drain' is needed")
        check_count("max_body_bytes", self.max_body_bytes)
        if self.format not in (None, "text") and not _is_format(str(self.format)):
            raise ValueError(f"format={self.format!r}: 'text' is needed, or the name of a provider's format, such as 'openai.chat'")
        if self.text_at is not None:
            Fields(self.text_at, SSE)  # refuses what is no name
            if self.format is not None:
                raise ValueError("text_at: it is for events of no provider's format: give one of the two")
        for name, kind in self.media.items():
            if kind not in (*get_args(Kind), None) or name != name.lower():
                kinds = ", ".join(get_args(Kind))
                raise ValueError(f"media: {name!r}: {kind!r}: a media type in lower case, and None or one of {kinds}")
        object.__setattr__(self, "context", Context.with_vault(self.context))

    def within(self, context: Context) -> Filter:
        """The same for bodies of another context; what was checked is not checked again.

        Args:
            context: of these bodies. One that has no vault gets one.
        """
        made = copy(self)
        object.__setattr__(made, "context", Context.with_vault(context))
        return made

    def kind(self, media_type: str) -> Kind | None:
        """What a body of a media type is; None if it cannot be read.

        Example:
            >>> import streamfilter as sf
            >>> Filter(sf.Redact("a")).kind("application/problem+json")
            'json'
        """
        if media_type in self.media:
            return self.media[media_type]
        if (found := MEDIA.get(media_type)) is not None:
            return found
        if media_type.endswith("+json"):
            return "json"
        if not media_type or media_type == "multipart/byteranges":
            return None
        others = self.media.get("*/*", "pass")
        return self.media.get(f"{media_type.partition('/')[0]}/*", others)


class ResponseBody:
    """One response: what its headers become, and what filters its body.

    Args:
        by: what it is filtered by.
        status: of HTTP.
        headers: as they came; names in any case.
        method: of the request.

    Attributes:
        how: `"live"`: use `stream`; `"whole"`: use `whole`, before anything is sent; `"pass"`: it leaves as it is; `"block"`: it
            cannot be read, and nothing of it may leave.
        unread: why it cannot be read; "" where its headers say nothing against it.
        headers: as they are to be sent. Those of a whole body lack its length.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> body = ResponseBody(Filter(sf.Redact("[0-9]+", to="#")), 200, [(b"Content-Type", b"application/json"), (b"ETag", b"1")])
        >>> async def source():
        ...     yield b'{"pin": "1234"}'
        >>> body.how, body.headers, asyncio.run(body.whole(source()))
        ('whole', [(b'content-type', b'application/json')], b'{"pin":"#"}')
    """

    def __init__(self, by: Filter, status: int, headers: Headers, *, method: str = "GET") -> None:
        given = [(name.lower(), value) for name, value in headers]
        self._by = by
        self._status = status
        media, self._charset = _type(_header(given, b"content-type"))
        self._kind: Kind | None = by.kind(media)
        self._coding = _coding(_header(given, b"content-encoding"))
        self._body: Body | None = None
        self.unread: str = self._unread(has_type=bool(media))
        self.how: str = self._way(method)
        self.headers: list[tuple[bytes, bytes]] = given
        if self.how in ("live", "whole") or (self.how == "pass" and self._kind != "pass" and by.unknown == "block"):
            self.headers = [(name, value) for name, value in given if name not in DROPPED]
        if self.how == "live" and self._kind == "text":
            self.headers = [each for each in self.headers if each[0] != b"content-type"]
            self.headers.append((b"content-type", f"{media}; charset=utf-8".encode()))

    def _way(self, method: str) -> str:
        if self._kind == "pass" or method == "HEAD" or self._status in (204, 304) or self._status < 200:
            return "pass"
        if self.unread:
            return "pass" if self._by.unknown == "pass" else "block"
        return "whole" if self._kind in ("json", None) else "live"  # of one without a type it is seen whether there is anything

    def _unread(self, *, has_type: bool) -> str:
        if self._status == 206:
            return "it is a part of one"
        if self._coding is None:
            return "its content-encoding is none that is read here (gzip and deflate are)"
        if self._kind is None and has_type:
            return "its content-type is none that is read here"
        try:
            codecs.getincrementaldecoder("utf-8" if self._kind in ("json", None) else self._charset)
        except LookupError:
            return "its charset is not known"
        return ""

    @property
    def format(self) -> str:
        """The name of its format, as far as it is known; else ""."""
        return self._body.name() if self._body is not None else self._by.format or ""

    def stream(self, source: AsyncIterable[bytes]) -> Stream[bytes]:
        """A live body, filtered: a stream that closes the source.

        Args:
            source: its pieces, as they came.

        Raises:
            MalformedInput: while streaming: it is not what it says it is.
        """
        kind: Kind = "text" if self._kind is None else self._kind

        def start(context: Context) -> Machine:
            by = self._by
            self._body = live_body(kind, by.pipeline, context, by.format, by.unknown, charset=self._charset, text_at=by.text_at)
            return self._body.machine

        return open_stream([Segment("the body", start)], self._read(source), self._by.context, self._by.after_stop, is_live=True)

    async def whole(self, source: AsyncIterable[bytes]) -> bytes:
        """A whole body, filtered. The source is closed.

        Args:
            source: its pieces, as they came.

        Raises:
            Unreadable: it cannot be read, or is too large.
            Exception: what a stage ends a text with.
        """
        raw = await _collected(self._read(source), self._by.max_body_bytes)
        if not raw:
            return raw
        try:
            if self._kind is None:
                raise NotJSON
            said = loaded(raw)
        except NotJSON:
            if self._by.unknown == "pass":
                return raw
            what = "is no JSON, or could be read in two ways" if self._kind else "has no type"
            raise Unreadable(f"the body of a response {what}", 502) from None
        name = self._by.format if self._by.format != "text" else None
        shown = await shown_response(self._by.pipeline, said, name, self._by.context, is_error=self._status >= 300)
        return raw if shown == said else json_text(shown).encode()

    def last_piece(self, problem: Problem, *, number: int = 0) -> bytes | None:
        """What ends a live body that has failed; None if its format has nothing to say that with: it has to break off.

        Args:
            problem: what to say.
            number: of the event, where a format numbers its events.
        """
        if self._kind == "text":
            return None
        return last_piece(self.format, str(self._kind), problem, number=number)

    def failed(self, problem: Problem) -> bytes:
        """The body of the answer in place of a response of which nothing has left."""
        return json_text(body_of(self.format, problem)).encode()

    def _read(self, source: AsyncIterable[bytes]) -> AsyncIterable[bytes]:
        return Inflated(source, self._coding) if self._coding else source


async def request_body(by: Filter, headers: Headers, raw: bytes) -> bytes:
    """The body of a request, filtered; to be sent without its `DROPPED` headers.

    That of a provider's API (it has messages, contents, a prompt or an input) is filtered as that: what the model is said by the
    pipeline, other strings by its guards. Of any other JSON all strings go through the pipeline, and so does a text.

    Args:
        by: what it is filtered by.
        headers: of the request.
        raw: the body, as it came.

    Raises:
        Unreadable: it cannot be read, or is too large. Its `status` says which.
        Exception: what a stage ends a text with.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> by = Filter(sf.Redact("[0-9]+", to="#"))
        >>> asyncio.run(request_body(by, [(b"content-type", b"application/json")], b'{"question": "pin 1234?"}'))
        b'{"question":"pin #?"}'
    """
    if not raw:
        return raw
    given = [(name.lower(), value) for name, value in headers]
    media, charset = _type(_header(given, b"content-type"))
    kind, coding = by.kind(media), _coding(_header(given, b"content-encoding"))
    if kind not in ("json", "text") or coding is None:
        if by.unknown == "pass":
            return raw
        raise Unreadable(
            "by its content-type the body of a request is neither JSON nor text (application/json is), or its content-encoding is "
            "not known"
        )
    try:
        plain = await _collected(Inflated(_One(raw), coding) if coding else _One(raw), by.max_body_bytes, status=413)
    except MalformedInput as error:  # it is about how the request was sent, not what a stage has found in it
        raise Unreadable(f"the body of a request cannot be read: {error.problem}", 400) from None
    try:
        said = loaded(plain) if kind == "json" else plain.decode(charset, errors="replace")
    except (NotJSON, LookupError):
        if by.unknown == "pass":
            return raw
        raise Unreadable("the body of a request is no JSON, or could be read in two ways", 400) from None
    if isinstance(said, str) and kind == "text":
        return (await by.pipeline.aapply(said, context=by.context)).encode(charset, errors="replace")
    shown = await shown_request(by.pipeline, said, by.context)
    return plain if shown == said else json_text(shown).encode()


class _One:
    """A body in one piece."""

    def __init__(self, raw: bytes) -> None:
        self._rest = [raw]

    def __aiter__(self) -> _One:
        return self

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        return self._rest.pop()


async def _collected(source: AsyncIterable[bytes], most: int, status: int = 502) -> bytes:
    """All of a body. The source is closed."""
    pieces = []
    size = 0
    stream = open_stream([Segment("the body")], source, None, "close", is_live=True)
    async with stream:
        async for piece in stream:
            size += len(piece)
            if size > most:
                raise Unreadable(f"a body is larger than {most} bytes", status)
            pieces.append(piece)
    return b"".join(pieces)


def _header(headers: Headers, name: bytes) -> str:
    """A header's values, joined as they may be."""
    return ", ".join(value.decode("latin-1").strip() for key, value in headers if key == name)


def _type(value: str) -> tuple[str, str]:
    """The media type and the charset."""
    media, _, _ = value.partition(";")
    found = _CHARSET.search(value)
    media = media.strip().lower()
    return ("" if "," in media else media), found[1] if found else "utf-8"


def _coding(value: str) -> str | None:
    """How a body was compressed; "" if it was not, None if that is not known here."""
    value = value.strip().lower()
    return "" if value in ("", "identity") else value if value in CODINGS else None


def _is_format(name: str) -> bool:
    if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", name):
        return False
    try:
        return find_spec(f"streamfilter.providers.{name}") is not None and hasattr(
            import_module(f"streamfilter.providers.{name}"), "FORMAT"
        )
    except ModuleNotFoundError:
        return False
