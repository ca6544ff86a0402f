"""An HTTP client whose every call is filtered, around one of `httpx` or `httpx2`.

It is the same client in all else: it shares the attributes of the one it stands for, so its headers, cookies, hooks, proxies and
pools are that one's, and to close either closes both. Only `send` is another: it is what all calls of a client go through. What
stands beneath it (authentication, redirects, hooks, transports) sees what goes over the wire: the filtered request, the unfiltered
response.

Neither library is imported here: what is needed of it is taken from the module that the client's class is from.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any

from streamfilter.providers.guarding_calls import AsyncPieces, Call, Guarding, Pieces, Refused

LIBRARIES = ("httpx", "httpx2")
DROPPED = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that say how a body was sent; the filtered one is sent otherwise."""


class Carried(BaseException):
    """Carries an error of a stage past an SDK that takes every `Exception` for a failure of the connection, and tries again.

    Args:
        error: the error.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def guarded(client: Any, guarding: Guarding) -> Any:
    """A client that stands for another, and filters.

    Raises:
        TypeError: it is none, or is guarded.
    """
    if is_guarded(client):
        raise TypeError("the client is guarded: join the pipelines with `|`, and guard it once")
    if library_of(type(client)) is None:
        raise TypeError(f"the HTTP client is {type(client).__qualname__}: one of httpx or httpx2 is needed")
    kind: Any = type(client)
    made: Any = object.__new__(_class(kind))
    made.__dict__ = client.__dict__
    made.guarded = client
    made.guarding = guarding
    return made


def is_guarded(client: object) -> bool:
    """Whether an HTTP client filters."""
    return hasattr(client, "guarding")


def library_of(kind: type) -> str | None:
    """The name of the library that a class comes from; None if it is neither.

    Example:
        >>> library_of(dict) is None
        True
    """
    names = (base.__module__.partition(".")[0] for base in kind.__mro__)
    return next((name for name in names if name in LIBRARIES), None)


@cache
def _class(base: Any) -> type:
    closes = ("aclose", "__aenter__", "__aexit__") if hasattr(base, "aclose") else ("close", "__enter__", "__exit__")
    fields: dict[str, Any] = {"__slots__": ("guarded", "guarding"), "__doc__": base.__doc__, "__del__": _forget}
    fields["send"] = _asend if hasattr(base, "aclose") else _send
    fields |= {name: _given(name) for name in closes}
    fields |= dict.fromkeys(("_transport", "_mounts", "_transport_for_url"), property(_past))
    return type(base.__name__, (base,), fields)


def _given(name: str) -> Callable[..., Any]:
    """What the given client does."""

    def call(self: Any, *args: Any, **options: Any) -> Any:
        made = getattr(self.guarded, name)(*args, **options)
        return self if name == "__enter__" else made

    async def entered(self: Any) -> Any:
        await self.guarded.__aenter__()
        return self

    return entered if name == "__aenter__" else call


def _past(_: object) -> Any:
    """Only what sends past `send` asks this client for its transports, as `openai` does for identities by X.509 certificates."""
    raise Refused("the SDK would send this past the pipelines")


def _forget(self: Any) -> None:
    """Some clients close what they have when nobody has them any more. This one is not the last that has it."""


# ---------------------------------------------------------------------- plain


def _send(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
    guarding: Guarding = self.guarding
    call = None
    try:
        call = _call(guarding, request, is_live=False)
        if call is not None:
            body = request.read()
            call.asked(_says_stream(request), body)
            if call.filters_request and body:
                request = _request(request, call.request(body))
    except Exception as error:
        raise _raised(guarding, error) from None
    response = self.guarded.send(request, stream=True, **options)
    if call is not None and call.filters(response.status_code):
        wire = Wire(response)
        stream_class = _streams(library_of(type(response)) or "")[0]
        response = _response(response, stream_class(call.pieces(response.status_code, _kind(response), wire), response))
    else:
        wire = None
    if not stream:
        try:
            response.read()
        except BaseException as error:
            response.close()
            if wire is not None and isinstance(error, Exception) and error is not wire.error:
                raise _raised(guarding, error) from None
            raise
    return response


class Wire:
    """The body of a response as it comes, decoded.

    Args:
        response: the response.

    Attributes:
        error: what has broken it off.
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self._pieces: Any = None
        self.error: BaseException | None = None

    def __iter__(self) -> Wire:
        return self

    def __next__(self) -> bytes:
        if self._pieces is None:
            self._pieces = self._response.iter_bytes()
        try:
            piece: bytes = next(self._pieces)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        return piece

    def close(self) -> None:
        """Close the response, and with it the connection if anything is left to come."""
        self._response.close()


# ---------------------------------------------------------------------- in an event loop


async def _asend(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
    guarding: Guarding = self.guarding
    call = None
    try:
        call = _call(guarding, request, is_live=True)
        if call is not None:
            body = await request.aread()
            call.asked(_says_stream(request), body)
            if call.filters_request and body:
                request = _request(request, await call.arequest(body))
    except Exception as error:
        raise _raised(guarding, error) from None
    response = await self.guarded.send(request, stream=True, **options)
    if call is not None and call.filters(response.status_code):
        wire = AsyncWire(response)
        stream_class = _streams(library_of(type(response)) or "")[1]
        response = _response(response, stream_class(call.apieces(response.status_code, _kind(response), wire), response))
    else:
        wire = None
    if not stream:
        try:
            await response.aread()
        except BaseException as error:
            await response.aclose()
            if wire is not None and isinstance(error, Exception) and error is not wire.error:
                raise _raised(guarding, error) from None
            raise
    return response


class AsyncWire:
    """The same in an event loop."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._pieces: Any = None
        self.error: BaseException | None = None

    def __aiter__(self) -> AsyncWire:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces is None:
            self._pieces = self._response.aiter_bytes()
        try:
            piece: bytes = await self._pieces.__anext__()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        return piece

    async def aclose(self) -> None:
        """Close the response, and with it the connection if anything is left to come."""
        # The generator that reads it is left to the event loop: where all of this is collected at once, it is being closed already.
        self._pieces = None
        await self._response.aclose()


# ---------------------------------------------------------------------- both


def _call(guarding: Guarding, request: Any, *, is_live: bool) -> Call | None:
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    call = guarding.call(request.method, request.url.path, has_body=has_body, is_live=is_live)
    if call is not None and call.filters_request and has_body:
        kind = headers.get("content-type", "")
        if "json" not in kind.lower() or "content-encoding" in headers:
            raise Refused(
                f"{request.method} {request.url.path}: only JSON bodies are filtered, and this one is {kind or 'of no type'}"
            )
    return call


def _says_stream(request: Any) -> bool:
    path: str = request.url.path
    return path.endswith((":streamGenerateContent", ":streamRawPredict")) or request.url.params.get("stream") == "true"


def _kind(response: Any) -> str:
    return str(response.headers.get("content-type", "")).lower()


def _raised(guarding: Guarding, error: Exception) -> BaseException:
    return Carried(error) if guarding.carries else error


def _request(request: Any, body: bytes) -> Any:
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in DROPPED]
    made = sys.modules[library_of(type(request)) or ""].Request
    return made(request.method, request.url, headers=headers, content=body, extensions=request.extensions)


def _response(response: Any, stream: Any) -> Any:
    made = sys.modules[library_of(type(response)) or ""].Response(
        status_code=response.status_code,
        headers=[(name, value) for name, value in response.headers.multi_items() if name.lower() not in DROPPED],
        stream=stream,
        request=response.request,
        extensions=response.extensions,
        history=response.history,
        default_encoding=response.default_encoding,
    )
    made.next_request = response.next_request
    stream.made = made
    return made


@cache
def _streams(library: str) -> tuple[type, type]:
    """The classes of filtered bodies, plain and async, of a library."""
    module = sys.modules[library]

    class Filtered(module.SyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, pieces: Pieces, response: Any) -> None:
            self._pieces = pieces
            self._response = response
            self._began = time.perf_counter()
            self.made: Any = None

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._pieces)

        def close(self) -> None:
            self.made.elapsed = dt.timedelta(seconds=time.perf_counter() - self._began)
            try:
                self._pieces.close()
            finally:
                self._response.close()

    class AsyncFiltered(module.AsyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, pieces: AsyncPieces, response: Any) -> None:
            self._pieces = pieces
            self._response = response
            self._began = time.perf_counter()
            self.made: Any = None

        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self._pieces)

        async def aclose(self) -> None:
            self.made.elapsed = dt.timedelta(seconds=time.perf_counter() - self._began)
            try:
                await self._pieces.aclose()
            finally:
                await self._response.aclose()

    return Filtered, AsyncFiltered
