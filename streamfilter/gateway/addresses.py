"""Where the gateway connects to: one upstream, fixed when it starts, and no address inside a network unless that was allowed.

A name is looked up for each connection and what it gives is judged then, so a name that pointed outward at the start may not point
inward later; the connection goes to the very address that was judged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias, cast
from urllib.parse import urlsplit

import httpcore2

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""IPv6 addresses that stand for IPv4 ones. Sources: RFC 6052, 2.1; RFC 8215. All of the second are local."""

_NEWLY = tuple(map(ipaddress.ip_network, ("192.88.99.0/24", "3fff::/20", "5f00::/16")))
"""Networks that are nobody's host, as not all versions of Python know. Sources: RFC 7526, RFC 9637, RFC 9602."""

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


class Inward(httpcore2.ConnectError):
    """The upstream's name has an address inside a network. The message has neither."""


class Upstream(NamedTuple):
    """Where requests go.

    Attributes:
        scheme: `b"http"` or `b"https"`.
        host: a name or an address, without brackets.
        port: of it.
        path: what stands before every path; "" or "/v1".
        authority: what the `host` header says.
    """

    scheme: bytes
    host: str
    port: int
    path: str
    authority: bytes


def upstream_of(url: str) -> Upstream:
    """Read an upstream's URL. Errors do not quote it: people put keys there.

    Args:
        url: of `http` or `https`.

    Raises:
        ValueError: it is none, or has what an upstream's may not have.

    Example:
        >>> upstream_of("https://api.openai.com/v1/")
        Upstream(scheme=b'https', host='api.openai.com', port=443, path='/v1', authority=b'api.openai.com')
    """
    wanted = "a URL such as https://api.openai.com is needed"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"the upstream is no URL: {wanted}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or url != url.strip():
        raise ValueError(f"the upstream is no URL of http or https: {wanted}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError("the upstream's URL has a user, a query or a fragment: keys are the client's to send")
    path = parts.path.rstrip("/")
    if not _PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("the path of the upstream's URL is no plain one, such as /v1")
    try:
        host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
    except UnicodeError:
        raise ValueError(f"the upstream's host is no name: {wanted}") from None
    if not _HOST.fullmatch(host) or port == 0:
        raise ValueError(f"the upstream's host or port is none: {wanted}")
    usual = 443 if parts.scheme == "https" else 80
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, usual) else f"{shown}:{port}"
    return Upstream(parts.scheme.encode(), host, port or usual, path, authority.encode())


def is_inward(address: str) -> bool:
    """Whether an IP address is inside a network, or of this host: loopback, private, link-local, of metadata services.

    All that is not of the public internet counts, also where an IPv6 address stands for an IPv4 one.

    Args:
        address: without brackets; a zone may stand behind it.

    Raises:
        ValueError: it is none.

    Example:
        >>> is_inward("169.254.169.254"), is_inward("::ffff:10.0.0.1"), is_inward("8.8.8.8")
        (True, True, False)
    """
    found: Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64[0]:
            inner = ipaddress.IPv4Address(found.packed[-4:])
        if inner is not None:
            return is_inward(str(inner))
        if found in _NAT64[1] or found.is_site_local or found.packed[:12] == bytes(12):  # the last were once IPv4 addresses too
            return True
    return not found.is_global or found.is_multicast or found.is_reserved or any(found in network for network in _NEWLY)


class Network(httpcore2.AsyncNetworkBackend):
    """Connects by asyncio, to addresses that were judged.

    Args:
        allows_inward: whether addresses inside a network may be connected to.
    """

    def __init__(self, *, allows_inward: bool) -> None:
        self._allows_inward = allows_inward
        self._inner = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # of the class that this is
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to a host: to the first of its addresses that answers.

        Raises:
            Inward: one of its addresses is inside a network, though that is not allowed.
            httpcore2.ConnectError: there is none, or none answers.
            httpcore2.ConnectTimeout: none answers in time.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await self.addresses(host, port)
                failure: Exception = httpcore2.ConnectError("no address")
                for address in addresses:
                    try:
                        return await self._inner.connect_tcp(address, port, None, local_address, socket_options)
                    except httpcore2.ConnectError as error:
                        failure = error
                raise failure
        except TimeoutError:
            raise httpcore2.ConnectTimeout("no connection in time") from None

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host; all of them may be connected to.

        Raises:
            Inward: one is inside a network, though that is not allowed.
            httpcore2.ConnectError: it has none.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("the name of the upstream has no address") from None
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if not self._allows_inward and any(map(is_inward, addresses)):
            raise Inward("the upstream is inside a network")
        return addresses
