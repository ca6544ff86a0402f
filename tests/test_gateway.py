"""The gateway's own decisions, without a socket: where it may connect to, what it sends on, what it refuses."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any, cast

import pytest

import streamfilter as sf

pytest.importorskip("uvicorn")
pytest.importorskip("httpcore2")
pytest.importorskip("prometheus_client")

import httpcore2
from prometheus_client.parser import text_string_to_metric_families
from web_serving import body_of, called

from streamfilter.context import Report
from streamfilter.gateway import Gateway, Limits
from streamfilter.gateway.addresses import Inward, Network, is_inward, upstream_of
from streamfilter.gateway.counting import MAX_RULES, Counts
from streamfilter.gateway.endpoints import format_at
from streamfilter.gateway.exchange import Exchange
from streamfilter.gateway.messages import answered, asked, check, target_of
from streamfilter.gateway.refusals import Refused
from streamfilter.gateway.serving import listening_at

SAFE = sf.Redact("[0-9]+", to="#")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *(
            "::1",
            "::",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "3fff::1",
            "5f00::1",
            "192.88.99.1",
            "feff::1",
            "fe80::1",
            "fe80::1%eth0",
            "ff02::1",
            "2001:db8::1",
            "100::1",
        ),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:5ef5:79fd:0:59d:80ff:fffe"),
    ],
)
def test_addresses_inside_networks_are_inward(address: str) -> None:
    """Loopback, private, link-local, metadata, shared, documentation, multicast; and IPv6 that stands for such IPv4."""
    assert is_inward(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_addresses_are_not(address: str) -> None:
    """Nor is IPv6 that stands for public IPv4."""
    assert not is_inward(address)


def test_every_private_network_of_the_registry_is_inward() -> None:
    """The first and the last address of each special network that IANA lists as not globally reachable."""
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "240.0.0.0/4",
    ):
        network = ipaddress.ip_network(text)
        assert is_inward(str(network[0]))
        assert is_inward(str(network[-1]))


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://api.openai.com", "api.openai.com", 443, "", b"api.openai.com"),
        ("https://api.openai.com/", "api.openai.com", 443, "", b"api.openai.com"),
        ("http://Example.com:8000/v1/", "example.com", 8000, "/v1", b"example.com:8000"),
        ("https://[2606:4700::1]:443/a", "2606:4700::1", 443, "/a", b"[2606:4700::1]"),
        ("https://bücher.example", "xn--bcher-kva.example", 443, "", b"xn--bcher-kva.example"),
    ],
)
def test_an_upstream_is_read(url: str, host: str, port: int, path: str, authority: bytes) -> None:
    """Host, port, path, and what the host header says."""
    assert upstream_of(url)[1:] == (host, port, path, authority)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "api.openai.com",
            "ftp://x",
            "https://",
            "https:///v1",
            "https://x:99999",
            "https://x:0",
            "https://x:a",
            " https://x",
        ),
        *("https://u:SECRET@x", "https://SECRET@x", "https://x/?key=SECRET", "https://x/#SECRET", "https://x?", "https://x/a/../b"),
        *(
            "https://x/a//b",
            "https://x/%2e",
            "https://x/a b",
            "https://x\r\nSECRET: 1",
            "https://x y",
            "https://[::1",
            "https://x\\@y",
        ),
    ],
)
def test_an_upstream_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    """Users, queries and fragments too: keys stand there."""
    with pytest.raises(ValueError) as caught:
        upstream_of(url)
    assert "SECRET" not in str(caught.value)
    assert "upstream" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]"])
def test_an_upstream_inside_a_network_is_refused_at_once(host: str) -> None:
    """Unless that was allowed."""
    with pytest.raises(ValueError, match="inside a network"):
        Gateway(f"http://{host}", {"main": SAFE}, "main")
    Gateway(f"http://{host}", {"main": SAFE}, "main", allow_private_upstream=True)


def found(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Names have these addresses from now on."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("fd00::1",), ("2002:7f00:1::", "8.8.8.8")])
def test_a_name_that_points_inward_is_not_connected_to(monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]) -> None:
    """One such address is enough, and each connection asks anew."""
    connected: list[str] = []

    async def connect(_: Any, host: str, *__: Any) -> Any:
        connected.append(host)
        raise httpcore2.ConnectError("not here")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    found(monkeypatch, *addresses)
    with pytest.raises(Inward):
        asyncio.run(Network(allows_inward=False).connect_tcp("rebinding.example", 443))
    with pytest.raises(ValueError, match="inside a network"):
        asyncio.run(Gateway("https://rebinding.example", {"main": SAFE}, "main").reachable())
    assert not connected


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is not looked up again; the next address is tried where one does not answer."""
    connected: list[str] = []

    async def connect(_: Any, host: str, *__: Any) -> Any:
        connected.append(host)
        raise httpcore2.ConnectError("not here")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    found(monkeypatch, "8.8.8.8", "8.8.4.4")
    with pytest.raises(httpcore2.ConnectError):
        asyncio.run(Network(allows_inward=False).connect_tcp("dns.example", 443, timeout=5))
    assert connected == ["8.8.8.8", "8.8.4.4"]


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", "/v1beta/models/gemini-2.5:streamGenerateContent", "/a/b%20c", "/v1/ft:gpt(1)", "/a/..b", "/a/.b."]
)
def test_a_plain_path_is_sent_on_as_it_came(path: str) -> None:
    """Byte by byte: the gateway rewrites nothing."""
    assert target_of({"raw_path": path.encode(), "query_string": b"key=1&alt=sse"}) == (path, b"key=1&alt=sse")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "*",
            "v1",
            "http://evil.example/v1",
            "//evil.example/v1",
            "/v1//chat",
            "/v1/../x",
            "/..",
            "/.",
            "/v1/.",
            "/v1/./x",
            "/a/..;/b",
        ),
        *(
            "/%2e%2e/x",
            "/v1/%2E./x",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a b",
            "/a%00",
            "/a%0d%0aX: 1",
            "/a\r\nX: 1",
            "/a%7f",
            "/a%",
            "/a%g1",
        ),
        *("/a?b", "/a#b", "/é", "evil.example:443"),
    ],
)
def test_a_path_that_two_servers_may_read_in_two_ways_is_refused(path: str) -> None:
    """Dots, double and encoded slashes, controls, whole URLs."""
    with pytest.raises(Refused) as caught:
        target_of({"raw_path": path.encode() or b"", "path": path, "query_string": b""})
    assert caught.value.status == 400


@pytest.mark.parametrize("query", [b"a b", b"a\r\nX: 1", b"\xff", b"a\x00"])
def test_a_query_that_is_not_plain_is_refused(query: bytes) -> None:
    """It could end the request's line."""
    with pytest.raises(Refused):
        target_of({"raw_path": b"/", "query_string": query})


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], "1.1"),
        ([(b"content-length", b"1"), (b"Content-Length", b"1")], "1.1"),
        ([(b"content-length", b"1, 1")], "1.1"),
        ([(b"content-length", b"+1")], "1.1"),
        ([(b"content-length", b"-1")], "1.1"),
        ([(b"content-length", b"")], "1.1"),
        ([(b"transfer-encoding", b"gzip, chunked")], "1.1"),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], "1.1"),
        ([(b"transfer-encoding", b"xchunked")], "1.1"),
        ([(b"transfer-encoding", b"chunked")], "1.0"),
    ],
)
def test_a_request_whose_end_is_not_certain_is_refused(headers: list[tuple[bytes, bytes]], version: str) -> None:
    """So nothing can be hidden behind it."""
    with pytest.raises(Refused) as caught:
        check({"method": "POST", "headers": headers, "http_version": version})
    assert caught.value.status == 400
    assert (b"connection", b"close") in caught.value.headers


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "PROPFIND", "get"])
def test_other_methods_are_refused(method: str) -> None:
    """A proxy that does CONNECT is one for anywhere."""
    with pytest.raises(Refused) as caught:
        check({"method": method, "headers": []})
    assert caught.value.status == 405


def test_headers_of_one_connection_are_not_sent_on() -> None:
    """Those of RFC 9110, 7.6.1, and those that `connection` names, in any case and in several lines. Nor is another method."""
    hop = [(name, b"1") for name in (b"Keep-Alive", b"Proxy-Connection", b"TE", b"Trailer", b"Upgrade", b"Proxy-Authorization")]
    named = [(b"Connection", b"close, X-Mine"), (b"connection", b" x-OTHER ,,")]
    kept = [(b"Authorization", b"Bearer k"), (b"Content-Length", b"2")]
    given = [*hop, *named, (b"x-mine", b"1"), (b"X-Other", b"1"), *kept, (b"Host", b"evil")]
    method = [(b"X-HTTP-Method-Override", b"POST"), (b"x-method-override", b"POST")]
    assert asked([*given, *method], b"api", coding=None) == [(b"host", b"api"), *kept, (b"via", b"1.1 streamfilter")]
    assert answered(given) == [(b"authorization", b"Bearer k"), (b"content-length", b"2"), (b"host", b"evil")]


def test_a_connection_header_cannot_take_away_what_says_where_a_body_ends() -> None:
    """Else the upstream would read the body as the next request."""
    given = [(b"connection", b"content-length, host"), (b"content-length", b"5"), (b"host", b"a")]
    assert asked(given, b"api", coding=b"identity")[:2] == [(b"host", b"api"), (b"content-length", b"5")]
    assert (b"transfer-encoding", b"chunked") in asked([(b"Transfer-Encoding", b"chunked")], b"api", coding=None)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai.chat"),
        ("/openai/deployments/gpt/chat/completions", "openai.chat"),
        ("/v1/completions", "openai.completions"),
        ("/v1/responses", "openai.responses"),
        ("/v1/messages", "anthropic.messages"),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "gemini"),
        ("/api/chat", "ollama"),
        ("/v1/chat/completions/", "openai.chat"),
        ("/v1/chat/completion%73", "openai.chat"),
        ("/V1/Chat/Completions", "openai.chat"),
        ("/v1/chat;a=1/completions;b", "openai.chat"),
        ("/v1/chat/completions%20", "openai.chat"),
        ("/v1beta/models/gemini-2.5-pro%3AstreamgeneratecontenT", "gemini"),
        ("/v1/messages/count_tokens", None),
        ("/v1/threads/1/messages", None),
        ("/v1/models", None),
        ("/v1/embeddings", None),
    ],
)
def test_the_paths_of_models_are_known(path: str, name: str | None) -> None:
    """And only where something is posted; so are other spellings, which a server may take for the same."""
    assert format_at(path, "POST") == name
    assert format_at(path, "GET") is None


@pytest.mark.parametrize(
    "given",
    [{"streams": 0}, {"streams": 1.5}, {"first": -1}, {"total": float("nan")}, {"between": float("inf")}, {"body_bytes": True}],
)
def test_limits_that_are_none_are_refused(given: dict[str, Any]) -> None:
    """With the name of the one that is wrong."""
    with pytest.raises(ValueError, match=next(iter(given))):
        Limits(**given)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"by": "cookie"}, ValueError),
        ({"others": "maybe"}, ValueError),
        ({"status": "health"}, ValueError),
        ({"status": "/"}, ValueError),
        ({"offers": {"a b": None}}, ValueError),
        ({"offers": {"missing": None}}, sf.SpecError),
        ({"request": "missing"}, sf.SpecError),
        ({"request": "a b", "offers": {"main": None}}, ValueError),  # which pipeline guards requests?
        ({"request": "a b", "offers": {"main": "main"}}, ValueError),
        ({"offers": {"-": None}, "by": "path"}, ValueError),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """When the gateway is made, not when a request comes."""
    with pytest.raises(error):
        Gateway("https://api.example.com", {"main": SAFE, "a b": SAFE, "-": SAFE}, "main", **options)
    with pytest.raises(TypeError):
        Gateway("https://api.example.com", {"main": cast("Any", 5)}, "main")


def test_counts_are_what_prometheus_reads() -> None:
    """Parsed by its own reader; names of rules are escaped, and no more than so many are counted one by one."""
    counts = Counts(lambda: True)
    report = Report()
    report.counts.update({'a "quoted"\n\\rule': 2, **{f"r{n}": 1 for n in range(MAX_RULES + 5)}})
    counts.found(Exchange(pipeline="main"), report)
    counts.ended(Exchange(pipeline="main", status=502, ending="failed"), 0.2)
    families = {family.name: family for family in text_string_to_metric_families(counts.text().decode())}
    rules = {
        sample.labels["rule"]: sample.value
        for sample in families["streamfilter_findings"].samples
        if sample.name.endswith("_total")
    }
    assert rules['a "quoted"\n\\rule'] == 2
    assert len(rules) <= MAX_RULES + 1
    assert sum(rules.values()) == MAX_RULES + 7
    (ended,) = [sample for sample in families["streamfilter_exchanges"].samples if sample.name.endswith("_total")]
    assert ended.labels == {"pipeline": "main", "status": "5xx", "ending": "failed"}
    assert families["streamfilter_pipelines_broken"].samples[0].value == 1


def test_status_paths_never_reach_the_upstream() -> None:
    """Also those of which nothing is known; web sockets are refused."""
    gateway = Gateway("https://api.example.com", {"main": SAFE}, "main", status="/ops/gw")
    sent = asyncio.run(called(gateway, {"path": "/ops/gw/healthz", "method": "GET"}))
    assert (sent[0]["status"], body_of(sent)) == (200, b"ok\n")
    assert asyncio.run(called(gateway, {"path": "/ops/gw/other", "method": "GET"}))[0]["status"] == 404
    closed: list[Any] = []

    async def socket_() -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            closed.append(message)

        await gateway({"type": "websocket", "path": "/"}, receive, send)

    asyncio.run(socket_())
    assert closed == [{"type": "websocket.close", "code": 1008}]


def test_connections_send_at_once() -> None:
    """Those of the socket that is served have no Nagle's algorithm, which would hold the first chunk back."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: Any, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listening_at("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(connected, sock=listening):
                with socket.create_connection(listening.getsockname()):
                    return await found

    assert asyncio.run(accepted())


def test_an_address_that_cannot_be_listened_at_is_named() -> None:
    """Who starts several reads which of them it is."""
    with listening_at("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(OSError, match=f"in use: '127.0.0.1:{port}'"):
            listening_at("127.0.0.1", port)


def test_an_extra_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    import sys

    import streamfilter.gateway as package

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "streamfilter.gateway.serving", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"streamfilter\[gateway\]"):
        package.__getattr__("serve")
