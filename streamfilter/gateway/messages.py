"""Requests and responses of HTTP as a proxy sees them: which may be sent on, and with which headers. Pure: nothing is sent here.

Sources: RFC 9110 (7.6.1 for the headers of one connection, 7.6.3 for Via), RFC 9112 (6.1 and 6.3 for the length of bodies, 11.2 for
smuggling).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from streamfilter.gateway.refusals import Refused
from streamfilter.web.bodies import Headers

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

OF_ONE_CONNECTION = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authorization", b"proxy-authentication-info", b"http2-settings"),
    }
)
"""Headers that are not sent on."""

_LEADING_ELSEWHERE = frozenset({b"alt-svc", b"strict-transport-security", b"public-key-pins"})
"""What an upstream says of its own host. A client that believed the first of the gateway's would go past it."""

_OTHER_METHODS = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
"""Headers by which some servers take a request for one of another method. What it is was judged by the one in its first line."""

_DIGITS = 20
"""Of a length, which are read: more are more than any body has. As many as h11 takes."""

VIA = (b"via", b"1.1 streamfilter")

CLOSE = (b"connection", b"close")
"""Goes with an answer to a request whose end is not known: what comes behind it is not to be read as the next one."""

_PLAIN = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
"""RFC 3986, 3.3: segments of `pchar`."""

_ENCODED = re.compile(r"%(?:2e|2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
"""Dots, slashes, backslashes and controls, encoded: two servers may take them for two things."""

_DOTS = re.compile(r"/\.{1,2}(?:[/;]|\Z)")


def target_of(scope: Mapping[str, Any]) -> tuple[str, bytes]:
    """The path and the query of a request, as they may be sent on.

    Args:
        scope: of ASGI.

    Raises:
        Refused: the target is none of a resource of ours, or two servers may read it in two ways.

    Example:
        >>> target_of({"raw_path": b"/v1/models", "query_string": b"limit=2"})
        ('/v1/models', b'limit=2')
    """
    raw: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    query: bytes = scope.get("query_string") or b""
    try:
        path = raw.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(400, "the path of the request is not plain") from None
    # `fullmatch` needs a path that begins with a slash: whole URLs, `*` and `host:port` do not.
    if not _PLAIN.fullmatch(path) or "//" in path or _ENCODED.search(path) or _DOTS.search(path):
        raise Refused(400, "the path of the request is not plain")
    if not all(0x21 <= byte < 0x7F for byte in query):
        raise Refused(400, "the query of the request is not plain")
    return path, query


def check(scope: Mapping[str, Any]) -> None:
    """Refuse a request whose end two servers may see in two places, or that is for no resource.

    Args:
        scope: of ASGI.

    Raises:
        Refused: it is such a one.
    """
    if (doubt := doubt_of(scope)) is not None:
        raise Refused(400, doubt, headers=[CLOSE])
    if scope["method"] not in METHODS:
        raise Refused(405, "the method is not allowed", headers=[(b"allow", ", ".join(sorted(METHODS)).encode())])


def doubt_of(scope: Mapping[str, Any]) -> str | None:
    """Why two servers may see the end of a request in two places; None if they cannot. Source: RFC 9112, 6.1 and 6.3.

    Args:
        scope: of ASGI.

    Example:
        >>> doubt_of({"headers": [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]})
        "the length of the request's body is said in more than one way"
        >>> doubt_of({"headers": [(b"content-length", b"5")]})
    """
    headers: Headers = scope["headers"]
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    is_plain = len(lengths) <= 1 and all(value.isdigit() for value in lengths) and len(codings) <= 1
    if not is_plain or (lengths and codings) or any(value.strip().lower() != b"chunked" for value in codings):
        return "the length of the request's body is said in more than one way"
    return "HTTP/1.0 has no chunked bodies" if codings and scope.get("http_version") == "1.0" else None


def length_of(headers: Headers) -> int | None:
    """The length that a body is said to have; of one with more digits than Python reads, some that is too large as well."""
    said = next((value for name, value in headers if name.lower() == b"content-length"), None)
    return None if said is None else int(said.lstrip(b"0")[:_DIGITS] or b"0")


def asked(headers: Headers, authority: bytes, *, without: Iterable[bytes] = (), coding: bytes | None) -> list[tuple[bytes, bytes]]:
    """The headers of a request to the upstream.

    Args:
        headers: the client's.
        authority: the upstream's.
        without: names that are the gateway's own.
        coding: what the response may be encoded in; None: what the client says.

    Example:
        >>> asked([(b"Connection", b"x-a"), (b"X-A", b"1"), (b"Authorization", b"k")], b"api", coding=b"identity")
        [(b'host', b'api'), (b'Authorization', b'k'), (b'accept-encoding', b'identity'), (b'via', b'1.1 streamfilter')]
    """
    dropped = {*_named(headers), *without, *_OTHER_METHODS, b"host", b"expect"} - {
        b"content-length"
    }  # that one tells where the body ends
    if coding is not None:
        dropped.add(b"accept-encoding")
    made = [(b"host", authority), *((name, value) for name, value in headers if name.lower() not in dropped)]
    if coding is not None:
        made.append((b"accept-encoding", coding))
    made.append(VIA)
    if any(name.lower() == b"transfer-encoding" for name, _ in headers):
        made.append((b"transfer-encoding", b"chunked"))
    return made


def answered(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of a response to the client; names in lower case.

    Example:
        >>> answered([(b"Keep-Alive", b"5"), (b"Alt-Svc", b"h3"), (b"X-Request-Id", b"7")])
        [(b'x-request-id', b'7')]
    """
    dropped = {*_named(headers), *_LEADING_ELSEWHERE} - {b"content-length"}
    return [(name.lower(), value) for name, value in headers if name.lower() not in dropped]


def _named(headers: Headers) -> set[bytes]:
    """The names of headers of one connection: those that are always, and those that `connection` names."""
    options = b",".join(value for name, value in headers if name.lower() == b"connection")
    return {*OF_ONE_CONNECTION, *(option.strip().lower() for option in options.split(b","))}
