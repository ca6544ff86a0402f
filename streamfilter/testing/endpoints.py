"""The planted-secrets test for an application: whatever field of its input a secret stands in, it does not come out.

The application is an async function from bytes to bytes: what it is sent, or what its model's provider sends it, to what its client
gets. `endpoint` makes one of an ASGI application or a URL.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from streamfilter.testing.leaks import LEAK_CHARS, Leak, leaked
from streamfilter.testing.planting import Path, fragments, plantings

Endpoint: TypeAlias = Callable[[bytes], Awaitable[bytes]]

CONTROL = "river-stone-cloud"
"""Harmless text that is planted first: where nothing that is sent comes out, that secrets do not either proves nothing."""

SHOWN_PLACES = 5


async def check_endpoint(
    call: Endpoint,
    sample: Any,
    secret: str,
    *,
    spared: Collection[str] = (),
    goes_on: Callable[[Any, Path], object] | None = None,
    write: Callable[[Any], bytes] | None = None,
    chars: int = LEAK_CHARS,
) -> int:
    """Plant a secret at each place of a sample, one at a time, and look for it in what comes out.

    Args:
        call: the application.
        sample: what it is sent, as plain data: a JSON body as a dict, or the events of an event stream as a list.
        secret: what its filters must find: an address, a card number, a key.
        spared: names of fields that are no text (`"model"`, `"role"`): nothing is planted in or below them.
        goes_on: which text goes on in a later event, so that the secret is planted in halves too; see `plantings`.
        write: a sample as bytes; by default JSON for a dict, and for a list an event stream that ends with `[DONE]`.
        chars: how many characters of the secret in a row are a leak.

    Returns:
        At how many places it was planted.

    Raises:
        Leak: it came out; the message names the places, and never the secret.
        ValueError: nothing can be proved: harmless text that is planted does not come out either, or there is no place for it.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def application(body):
        ...     return sf.Redact("[0-9]{4}").apply(json.loads(body)["text"]).encode()
        >>> asyncio.run(check_endpoint(application, {"text": "pin "}, "123456", chars=4))
        1
        >>> asyncio.run(check_endpoint(application, {"text": "pin "}, "12-34-56", chars=4))
        Traceback (most recent call last):
        ...
        streamfilter.testing.leaks.Leak: the secret came out from 1 of 1 places: text
    """
    events, written = _as_events(sample, write)

    async def places_of(text: str, size: int) -> tuple[list[str], int]:
        out: list[str] = []
        planted = list(plantings(events, text, spared=spared, goes_on=goes_on))
        for place, made in planted:
            if fragments([await _called(call, written(made), text, size)], text, size):
                out.append(_named(place, isinstance(sample, Mapping)))
        return out, len(planted)

    heard, many = await places_of(CONTROL, len(CONTROL))
    if not many:
        raise ValueError("the sample has no text: give one with a string in each field that may have one")
    if not heard:
        raise ValueError("nothing that is sent comes out, whatever it is: give a sample that the application answers with its text")
    found, many = await places_of(secret, min(chars, len(secret)))
    if found:
        shown = ", ".join(dict.fromkeys(found[:SHOWN_PLACES]))
        raise Leak(f"the secret came out from {len(found)} of {many} places: {shown}{' …' if len(found) > SHOWN_PLACES else ''}")
    return many


async def _called(call: Endpoint, body: bytes, secret: str, size: int) -> bytes:
    try:
        answer = await call(body)
    except Exception as error:
        if leaked(error, secret, size):
            raise Leak(f"the application raised {type(error).__name__}, which holds the secret") from None
        raise
    if not isinstance(answer, bytes):
        raise TypeError(f"the application gave {type(answer).__qualname__}: bytes are needed")
    return answer


def _as_events(sample: Any, write: Callable[[Any], bytes] | None) -> tuple[list[Any], Callable[[list[Any]], bytes]]:
    """A sample as events, and how these become bytes."""
    if isinstance(sample, Mapping):
        one: Callable[[Any], bytes] = write or (lambda body: json.dumps(body).encode())
        return [dict(sample)], lambda events: one(events[0])
    if isinstance(sample, Sequence) and not isinstance(sample, str | bytes):
        return list(sample), write or _event_stream
    raise TypeError(f"sample is {type(sample).__qualname__}: a dict, or a list of events, is needed")


def _event_stream(events: list[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def _named(place: tuple[int, Path], is_one: bool) -> str:
    path = ".".join(map(str, place[1])) or "the whole"
    return path if is_one else f"event {place[0]}: {path}"


def endpoint(
    target: Any, path: str = "/", *, method: str = "POST", headers: Mapping[str, str] | None = None, seconds: float = 30.0
) -> Endpoint:
    """An ASGI application, or a URL, as a function from the body of a request to the body of its response.

    Args:
        target: the application, or the URL of the server (`"http://127.0.0.1:8000"`).
        path: of the endpoint.
        method: of the request.
        headers: of the request; by default it says that its body is JSON.
        seconds: how long an answer may take.

    Raises:
        ModuleNotFoundError: `httpx2` is not installed. It comes with the extra `testing`.
        RuntimeError: when called: the response has a status of 400 or more, so that it proves nothing.
    """
    try:
        import httpx2
    except ModuleNotFoundError:
        raise ModuleNotFoundError('endpoint() needs httpx2: pip install "streamfilter[testing]"') from None
    is_url = isinstance(target, str)
    base = target if is_url else "http://application"

    async def call(body: bytes) -> bytes:
        transport = None if is_url else httpx2.ASGITransport(app=target)
        async with httpx2.AsyncClient(transport=transport, base_url=base, timeout=seconds) as client:
            sent = {"content-type": "application/json", **(headers or {})}
            response = await client.request(method, path, content=body, headers=sent)
            if response.status_code >= 400:
                raise RuntimeError(f"the endpoint answered with status {response.status_code}, which proves nothing")
            return response.content

    return call
