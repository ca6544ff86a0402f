"""One call of a guarded client: its request and its response, as bytes, through the pipelines, with one context.

This module knows the formats of requests and responses, and nothing of connections or of any SDK.
"""

from __future__ import annotations

import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from streamfilter.context import AfterStop, Context
from streamfilter.errors import MalformedInput
from streamfilter.plain import run_through
from streamfilter.providers.guarding_endpoints import Endpoint, endpoint_of
from streamfilter.providers.guarding_frames import Beside
from streamfilter.providers.guarding_pipelines import Pipelines, waits
from streamfilter.providers.requests import FIXED, Filtering
from streamfilter.providers.shapes import object_in
from streamfilter.providers.wrapping import quoting

Unknown: TypeAlias = Literal["raise", "pass"]
"""What becomes of a call that is not known to carry no text: it is refused, or passes as it is."""

CODES = FIXED | {"code", "param", "request_id", "@type", "domain", "reason", "locale"}
"""Fields of an error whose strings are no text."""


class Pieces(Protocol):
    """The body of a response in pieces, filtered."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> object:
        """Leave."""
        ...


class AsyncPieces(Protocol):
    """The same in an event loop."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def aclose(self) -> Awaitable[object]:
        """Leave."""
        ...


class Refused(TypeError):
    """A call cannot be filtered, so it is not made."""


@dataclass(frozen=True, kw_only=True)
class Guarding(Pipelines):
    """What a client is guarded with.

    Args:
        unknown: what becomes of calls that are not known.
        carries: whether the SDK takes errors of its HTTP client for failures of the connection, so that those of stages must be
            carried past it.
    """

    unknown: Unknown
    carries: bool

    def call(self, method: str, path: str, *, has_body: bool, is_live: bool) -> Call | None:
        """Begin a call; None if nothing of it is filtered.

        Args:
            method: of HTTP.
            path: of the URL.
            has_body: whether something is sent.
            is_live: whether in an event loop, so that stages may wait.

        Raises:
            TypeError: it cannot be filtered.
        """
        endpoint = endpoint_of(method, path)
        sends = self.request if has_body else None
        if endpoint is None:
            if self.unknown == "raise" and (sends or self.response):
                what = "what it sends" if self.response is None else "what comes back" if not sends else "it"
                raise Refused(
                    f"{method} {path}: it is not known how to filter {what}; unknown='pass' lets such calls pass as they are"
                )
            return None
        if sends is not None and not endpoint.has_text:
            raise Refused(f"{method} {path}: it is not known to send anything, so that is not filtered")
        if not (sends or (self.response and endpoint.format)):
            return None
        waiting = None if is_live else self.must_wait()
        if waiting is not None:
            raise Refused(f"{waiting!r} must wait, which plain code cannot: use the async client")
        return Call(self, endpoint, self.begun())


class Call:
    """One call.

    Args:
        guarding: what it is filtered by.
        endpoint: what it calls.
        context: its own.
    """

    def __init__(self, guarding: Guarding, endpoint: Endpoint, context: Context) -> None:
        self._endpoint = endpoint
        self._context = context
        self._after_stop: AfterStop = guarding.after_stop
        self._request = guarding.request if endpoint.has_text else None
        self._response = guarding.response if endpoint.format else None
        self._is_streamed = False

    # ------------------------------------------------------------------ request

    @property
    def filters_request(self) -> bool:
        """Whether what is sent is filtered."""
        return self._request is not None

    def asked(self, url_says: bool, body: bytes | None) -> None:
        """Take note of whether a stream was asked for."""
        said = object_in(body) if body else None
        self._is_streamed = url_says or bool(said and said.get("stream") is True)

    def request(self, body: bytes) -> bytes:
        """The body of the request, filtered."""
        return run_through(self.arequest(body, is_live=False))

    async def arequest(self, body: bytes, *, is_live: bool = True) -> bytes:
        """The same in an event loop."""
        pipeline = self._request
        said = object_in(body)
        if pipeline is None or said is None:
            raise MalformedInput("the body of a request is not a JSON object", 0)
        is_waiting = is_live and waits(pipeline)
        quoted = quoting(pipeline, self._context)

        async def apply(text: str) -> str:
            if is_waiting:
                return await pipeline.aapply(text, context=self._context)
            return pipeline.apply(text, context=self._context)

        async def quote(text: str) -> str:
            return quoted(text)

        return json.dumps(await Filtering(apply, quote).body(said)).encode()

    # ------------------------------------------------------------------ response

    def filters(self, status: int) -> bool:
        """Whether what comes back is filtered. Errors are: they may quote what they are about."""
        return self._response is not None and status >= 200

    def pieces(self, status: int, kind: str, source: Iterable[bytes]) -> Pieces:
        """The body of the response in pieces, decoded, filtered.

        Args:
            status: of HTTP.
            kind: its type, in lower case.
            source: its pieces.
        """
        if status < 300 and self._is_events(kind):
            return self._frames().iter(source, context=self._context, after_stop=self._after_stop)  # type: ignore[no-any-return]
        return self._whole(status, source)

    def apieces(self, status: int, kind: str, source: AsyncIterable[bytes]) -> AsyncPieces:
        """The same in an event loop."""
        if status < 300 and self._is_events(kind):
            return self._frames()(source, context=self._context, after_stop=self._after_stop)  # type: ignore[no-any-return]
        return self._awhole(status, source)

    def _frames(self) -> Any:
        assert self._response is not None
        return self._endpoint.module().wrap(self._response) | Beside(self._response)

    def _is_events(self, kind: str) -> bool:
        return "event-stream" in kind or (self._is_streamed and "json" not in kind)

    def _whole(self, status: int, source: Iterable[bytes]) -> Generator[bytes, None, None]:
        raw = b"".join(source)
        if status >= 300:
            yield self._failure(raw)
        elif raw:
            shown = self._endpoint.module().filter_response(self._response, _answer(raw), context=self._context)
            yield json.dumps(shown).encode()

    async def _awhole(self, status: int, source: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        raw = b"".join([piece async for piece in source])
        if status >= 300:
            yield self._failure(raw)
        elif raw:
            shown = await self._endpoint.module().afilter_response(self._response, _answer(raw), context=self._context)
            yield json.dumps(shown).encode()

    def _failure(self, raw: bytes) -> bytes:
        """An error: all its text, through the guards."""
        assert self._response is not None
        quote = quoting(self._response, self._context)
        try:
            said = json.loads(raw)
        except (ValueError, RecursionError):
            return quote(raw.decode(errors="replace")).encode(errors="replace")
        return json.dumps(_quoted(said, quote)).encode()


def _quoted(value: Any, quote: Callable[[str], str], name: str = "") -> Any:
    if isinstance(value, str):
        return value if name in CODES else quote(value)
    if isinstance(value, list):
        return [_quoted(each, quote, name) for each in value]
    return {key: _quoted(each, quote, key) for key, each in value.items()} if isinstance(value, Mapping) else value


def _answer(raw: bytes) -> dict[str, Any]:
    said = object_in(raw)
    if said is None:
        raise MalformedInput("the body of a response is not a JSON object", 0)
    return said
