"""Resumable streams on the web: whoever drops and comes back has the bytes of one who never did, and nothing is asked for twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from redis_server import served

import streamfilter as sf
from streamfilter.providers import sse
from streamfilter.resumable import MemoryStore, ResumableStream, StoreFailed
from streamfilter.resumable.encoding import ITEM, Encoding
from streamfilter.resumable.store import Terms
from streamfilter.testing import run_virtually

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from web_serving import WAIT, Source, body_of, called, serving

from streamfilter.web import StreamFilterMiddleware, resumable_response, sse_response
from streamfilter.web.resuming import body_of_frame, with_id

SECRET = "1234-5678"
SAID = f"My pin is {SECRET}, née Ömer.\nLine two: 42 \U0001f600 end"
SAFE = sf.Redact(r"\d{4}-\d{4}", to="[pin]")
PIECES = [SAID[at : at + 4] for at in range(0, len(SAID), 4)]
ID = re.compile(rb"\nid: (\d+-\d+)\n\n")
SEEDS = range(6)

App = Callable[[Any, Any, Any], Awaitable[None]]


class Slow:
    """Gives its items, each after a while of virtual time; then ends, fails, or waits for ever. Knows how it was used."""

    def __init__(self, items: Sequence[Any], *, error: BaseException | None = None, stalls: bool = False) -> None:
        self.items = list(items)
        self.error = error
        self.stalls = stalls
        self.begun = 0
        self.closed = 0
        self.pause = 0.25

    def __call__(self) -> AsyncIterator[Any]:
        self.begun += 1
        return self

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(self.pause)
        if self.items:
            return self.items.pop(0)
        if self.stalls:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


class Client:
    """One request to an application, by a client that may leave after so many frames."""

    def __init__(self, app: App, last_id: str = "", leaves_after: int | None = None, method: str = "POST") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.is_complete = False
        self._app = app
        self._left = asyncio.Event()
        self._after = leaves_after
        headers = [(b"last-event-id", last_id.encode())] if last_id else []
        self._scope = {"type": "http", "method": method, "path": "/chat", "headers": headers, "asgi": {"spec_version": "2.3"}}
        self._asked = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def run(self) -> Client:
        if self._after == 0:
            self._left.set()
        await self._app(self._scope, self._receive, self._send)
        return self

    @property
    def last_id(self) -> str:
        return ids[-1].decode() if (ids := ID.findall(self.body)) else ""

    async def _receive(self) -> dict[str, Any]:
        if self._asked:
            return self._asked.pop()
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if self._left.is_set():
            raise OSError("closed")
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        if not (body := message.get("body", b"")).startswith(b":"):  # a comment is nothing
            self.body += body
        self.is_complete = not message.get("more_body", False)
        if self._after is not None and len(ID.findall(self.body)) >= self._after:
            self._left.set()


async def persistent(request: Callable[[str, int | None], Client], drops: Sequence[int]) -> bytes:
    """The bytes that a client has which drops after so many frames, again and again, and then stays."""
    got, last_id = b"", ""
    for after in [*drops, None]:
        client = await request(last_id, after).run()
        if client.status == 204:
            return got
        got += client.body
        last_id = client.last_id or last_id
    return got


def without_ids(raw: bytes) -> bytes:
    return re.sub(rb"\nid: \d+-\d+(?=\n\n)", b"", raw)


def drops_of(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [1] * 40 if seed == 0 else [rng.randint(0, 5) for _ in range(rng.randint(1, 9))]


def chat(pieces: Sequence[str]) -> list[dict[str, Any]]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [{**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    return [*said, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def raw(events: Sequence[dict[str, Any]], name: str = "") -> list[bytes]:
    """An event stream, cut where no frame ends; with ids and a name of its own."""
    frames = [f"{name}id: {n}\r\ndata: {json.dumps(event)}\r\n\r\n".encode() for n, event in enumerate(events)]
    whole = b"\xef\xbb\xbf: hello\n\n" + b"".join(frames) + b"data: [DONE]\n\n"
    return [whole[at : at + 37] for at in range(0, len(whole), 37)]


STREAMS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "openai": (PIECES, SAFE),
    "anthropic": (PIECES, SAFE),
    "vercel-ui": (PIECES, SAFE),
    "text": (PIECES, SAFE),
    "events": (PIECES, SAFE),
    "patches": ([{"op": "add", "path": "/a", "value": n} for n in range(9)], lambda source: source),
    "openai chunks": (chat(PIECES), lambda source: source),
    "openai bytes": (raw(chat(PIECES)), lambda source: source),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", STREAMS)
def test_who_drops_and_comes_back_has_the_bytes_of_who_never_did(name: str, seed: int) -> None:
    """In every format, for any drops: also those of `sse_response`, but for the ids; and the provider was called once."""
    items, safe = STREAMS[name]
    form: Any = name.split(maxsplit=1)[0]

    async def main() -> None:
        source, answer = Slow(items), ResumableStream(MemoryStore(), "a")

        def request(last_id: str, after: int | None) -> Client:
            return Client(resumable_response(answer, lambda: safe(source()), form, last_event_id=last_id or None), "", after)

        first = asyncio.ensure_future(request("", None).run())
        dropping = await persistent(request, drops_of(seed))
        stayed = await first
        whole = without_ids(stayed.body)
        assert dropping == stayed.body
        assert source.begun == source.closed == 1
        assert stayed.is_complete
        if name == "openai bytes":  # its frames leave as they came, but for how their lines end
            frames = [frame.raw for frame in sse.Decoder().feed(b"".join(items))]
            assert whole == b"".join(frame.rstrip(b"\r\n") + b"\n\n" for frame in frames)
        else:
            plain = body_of(await called(sse_response(safe(Source(items)), form, keep_alive=None)))
            normal = [re.sub(rb'"(id|messageId|created)":("[^"]*"|\d+)', b"", each) for each in (plain, whole)]
            assert normal[0] == normal[1]
        assert (await request(stayed.last_id, None).run()).status == 204

    run_virtually(main())


@pytest.mark.parametrize(
    ("frame", "reads"),
    [
        (b"data: 1\n\n", "1"),
        (b"id: 9\ndata: 1\r\n\r\n", "1"),
        (b"data: 1\rid: 9\r\r", "1"),
        (b"\xef\xbb\xbfdata: 1\n\n", "1"),
        (b"data\n\n", ""),
        (b": a comment\n\n", None),
    ],
)
def test_the_id_of_a_frame_is_ours(frame: bytes, reads: str | None) -> None:
    """Whatever ids and line ends it has: a reader of event streams takes the last one."""
    (found,) = sse.Decoder().feed(with_id(body_of_frame(frame), "17-3"))
    assert (found.data, found.id) == (reads, "17-3")


WRONG: dict[str, tuple[Any, Any, str]] = {
    "blocked": (sf.Block(sf.Terms(["pin"])), None, "blocked"),
    "failed": (SAFE, ValueError("secret"), "failed"),
    "timed out": (SAFE, TimeoutError("secret"), "timed_out"),
}
SAYS = {
    "openai": {"blocked": '"type":"content_filter"', "failed": '"type":"server_error"', "timed_out": '"type":"timeout"'},
    "anthropic": {"blocked": "invalid_request_error", "failed": "api_error", "timed_out": "timeout_error"},
    "vercel-ui": {code: f'"data":{{"code":"{code}"}}' for code in ("blocked", "failed", "timed_out")},
    "text": {code: f'"code":"{code}"' for code in ("blocked", "failed", "timed_out")},
    "events": {code: f'"code":"{code}"' for code in ("blocked", "failed", "timed_out")},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("form", SAYS)
def test_an_error_reaches_who_comes_back_in_the_words_of_the_format(form: Any, wrong: str) -> None:
    """Once, with what ends the stream then, and never what the exception says; `on_error` is told once."""
    stage, error, code = WRONG[wrong]
    told: list[Exception] = []

    async def main() -> None:
        source, store = Slow(PIECES, error=error), MemoryStore()

        def request(last_id: str, after: int | None) -> Client:
            answer = ResumableStream(store, "a")
            start = lambda: stage(source())  # noqa: E731
            return Client(resumable_response(answer, start, form, last_event_id=last_id, on_error=told.append), "", after)

        dropping = await persistent(request, [1] * 60)
        late = await request("", None).run()
        assert dropping == late.body
        assert late.body.decode().count(SAYS[form][code]) == 1
        assert b"secret" not in late.body
        assert late.body.rstrip().count(b"[DONE]") == (form in ("openai", "vercel-ui"))
        assert (len(told), source.begun, source.closed) == (1, 1, 1)
        assert SECRET not in str([kept.entries for kept in store._streams.values()])

    run_virtually(main())


def test_who_asks_for_what_is_not_there_starts_nothing() -> None:
    """An unknown or expired stream, a foreign event, a later one, garbage: 204, or what was declared; without `start` too."""

    async def main() -> None:
        source, store = Slow(PIECES), MemoryStore()
        for id_, last_id, start in [("a", "17-2", source), ("a", "garbage", source), ("a", "", None), ("a", "9" * 400, source)]:
            for given, expected in ((204, 204), (404, 404)):
                response = resumable_response(ResumableStream(store, id_), start, "text", last_event_id=last_id, gone_status=given)
                client = await Client(response).run()
                assert (client.status, client.body, client.is_complete) == (expected, b"", True)
        assert source.begun == 0
        answer = ResumableStream(store, "a", keep_seconds=100)
        first = await Client(resumable_response(answer, source, "text")).run()
        created, number = first.last_id.split("-")
        for last_id in (f"{created}-{int(number) + 1}", f"{created}-{int(number) + 9}", f"{int(created) + 1}-2"):
            assert (await Client(resumable_response(answer, source, "text", last_event_id=last_id)).run()).status == 204
        await asyncio.sleep(101)
        assert (await Client(resumable_response(answer, None, "text", last_event_id=f"{created}-2")).run()).status == 204
        assert source.begun == 1

    run_virtually(main())


@pytest.mark.parametrize("last_id", [False, True])
def test_what_another_version_has_written_is_an_error_of_the_format(last_id: bool) -> None:
    """Not one of the server's: who reads it is told that it failed."""

    async def main() -> Client:
        store = MemoryStore()
        stream = ResumableStream(store, "one")
        await store.create("one", "owner", Terms(15, 3600, 100, False))
        await store.append("one", "owner", 1, ITEM, ["{no item"] * 3)
        first = (await store.page("one", 0, 1, "")).entries[0].position
        response = resumable_response(stream, None, "text", last_event_id=str(first) if last_id else None)
        return await Client(response).run()

    client = run_virtually(main())
    assert client.status == 200
    assert client.is_complete
    assert b'event: error\ndata: {"type":"error","code":"failed"' in client.body


@pytest.mark.parametrize(
    ("form", "ending"),
    [
        ("openai", b"data: [DONE]"),
        ("anthropic", b'event: message_stop\ndata: {"type":"message_stop"}'),
        ("vercel-ui", b"data: [DONE]"),
        ("text", b'event: done\ndata: {"type":"done"}'),
        ("events", b'event: done\ndata: {"type":"done"}'),
    ],
)
def test_anybody_may_stop_a_stream_and_its_readers_come_to_an_end(form: Any, ending: bytes) -> None:
    """From another server; the source is closed, what was held dies, and behind the end there is nothing."""

    async def main() -> None:
        store, source = MemoryStore(), Slow(["pin ", "1234-", "56"], stalls=True)
        response = resumable_response(ResumableStream(store, "a"), lambda: SAFE(source()), form)
        reading = asyncio.ensure_future(Client(response).run())
        await asyncio.sleep(3)
        assert await ResumableStream(store, "a").stop()
        client = await reading
        assert ID.sub(b"", client.body).endswith(ending)
        assert b"1234" not in client.body
        assert source.closed == 1
        again = Client(resumable_response(ResumableStream(store, "a"), None, form, last_event_id=client.last_id))
        assert (await again.run()).status == 204

    run_virtually(main())


def test_a_stream_stops_with_its_last_reader_if_so_declared() -> None:
    """`unread_seconds` after the last one has left, and not while another is there."""

    async def main() -> None:
        source = Slow(["a"] * 1000)
        answer = ResumableStream(MemoryStore(), "a", unread_seconds=5)
        await Client(resumable_response(answer, source, "text"), leaves_after=2).run()
        await asyncio.sleep(3)
        second = Client(resumable_response(answer, source, "text"), leaves_after=40)
        await second.run()
        assert (source.closed, await answer.status()) == (0, "live")
        await asyncio.sleep(8)
        assert (source.closed, source.begun, await answer.status()) == (1, 1, "ended")

    run_virtually(main())


def test_a_writer_that_is_gone_is_told_by_the_reader_in_the_words_of_the_format() -> None:
    """Killed, or cancelled: what there is, an error behind which there is nothing, and the end."""

    async def main() -> None:
        store = MemoryStore()
        await store.create("a", "x", Terms(15, 100, 100, counts_readers=False))
        entries = [{"format": "openai.responses"}, b'event: response.created\ndata: {"type":"response.created"}']
        await store.append("a", "x", 1, ITEM, [Encoding().encoded(entry) for entry in entries])
        client = await Client(resumable_response(ResumableStream(store, "a"), None, "openai")).run()
        frames = [*sse.Decoder().feed(client.body)]
        assert [json.loads(frame.data or "")["type"] for frame in frames] == ["response.created", "error"]
        assert json.loads(frames[1].data or "")["sequence_number"] == 1
        late = Client(resumable_response(ResumableStream(store, "a"), None, "openai", last_event_id=frames[0].id))
        assert [frame.raw for frame in frames][1] == (await late.run()).body
        gone = Client(resumable_response(ResumableStream(store, "a"), None, "openai", last_event_id=client.last_id))
        assert (await gone.run()).status == 204

    run_virtually(main())


def test_no_frame_leaves_later_than_without_a_store() -> None:
    """At the same moments of virtual time as from `sse_response`."""

    async def moments(response: Any) -> list[tuple[float, bytes]]:
        sent: list[tuple[float, bytes]] = []
        began = asyncio.get_running_loop().time()

        async def send(message: dict[str, Any]) -> None:
            if message.get("body"):
                sent.append((round(asyncio.get_running_loop().time() - began, 3), without_ids(message["body"])))

        await response({"type": "http"}, asyncio.Event().wait, send)
        return sent

    async def main() -> None:
        kept = resumable_response(ResumableStream(MemoryStore(), "a"), lambda: SAFE(Slow(PIECES)), "events")
        assert await moments(kept) == await moments(sse_response(SAFE(Slow(PIECES)), "events"))

    run_virtually(main())


def test_silence_is_broken_by_comments_that_are_kept_nowhere() -> None:
    """For each reader; they have no id."""

    async def main() -> None:
        store, sent = MemoryStore(), []
        source = Slow(["a"])
        source.pause = 40.0

        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("body"))

        await resumable_response(ResumableStream(store, "a"), source, "text")({"type": "http"}, asyncio.Event().wait, send)
        assert sent.count(b": keep-alive\n\n") == 4
        assert "keep-alive" not in str(store._streams["a"].entries)

    run_virtually(main())


def test_wrong_arguments_are_refused_when_the_response_is_made() -> None:
    """With a word on what would be right."""
    answer = ResumableStream(MemoryStore(), "a")
    wrong: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (TypeError, "a function that gives the stream", {"start": Source([])}),
        (ValueError, "format=", {"format": "sse"}),
        (ValueError, "keep_alive=", {"keep_alive": 0}),
        (ValueError, "unread_seconds=", {"unread_seconds": -1}),
        (ValueError, "gone_status=", {"gone_status": 99}),
        (ValueError, "content-type", {"headers": {"Content-Type": "a"}}),
    ]
    for error, words, given in wrong:
        with pytest.raises(error, match=words):
            resumable_response(answer, **{"start": lambda: Source([]), **given})
    with pytest.raises(TypeError, match="a function of the scope"):
        StreamFilterMiddleware(App, SAFE, resumable=answer)  # type: ignore[arg-type]


def test_what_starts_a_stream_may_fail_or_be_async_and_a_head_starts_none() -> None:
    """It is the stream's error then, told once for all readers; HEAD is answered without."""

    async def main() -> None:
        answer, calls = ResumableStream(MemoryStore(), "a"), []

        async def start() -> Any:
            calls.append(1)
            raise ValueError("secret")

        head = await Client(resumable_response(answer, start, "text"), method="HEAD").run()
        assert (head.status, head.body, await answer.status()) == (200, b"", None)
        bodies = [(await Client(resumable_response(answer, start, "text")).run()).body for _ in range(2)]
        assert bodies[0] == bodies[1]
        assert b'"code":"failed"' in bodies[0]
        assert (len(calls), b"secret" in bodies[0]) == (1, False)

    run_virtually(main())


# ---------------------------------------------------------------------- the middleware


class Provider:
    """An application that answers with an event stream, slowly; counts its calls and knows whether it was cancelled."""

    def __init__(self, pieces: Sequence[bytes], *, error: Exception | None = None, kind: bytes = b"text/event-stream") -> None:
        self.pieces = pieces
        self.error = error
        self.kind = kind
        self.status = 200
        self.calls = 0
        self.over = 0
        self.asked = b""
        self.is_told = False  # that the client has left
        self.waits = 0.0  # before it answers
        self.stalls = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        try:
            self.asked = (await receive())["body"]
            leaving = asyncio.ensure_future(receive())
            await asyncio.sleep(self.waits)
            headers = [(b"content-type", self.kind), (b"set-cookie", b"a=1"), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            for piece in self.pieces:
                await asyncio.sleep(0.2)
                self.is_told = self.is_told or leaving.done()
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if self.stalls:
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            leaving.cancel()
        finally:
            self.over += 1


def filtered(app: Any, store: Any, **options: Any) -> App:
    return StreamFilterMiddleware(app, SAFE, resumable=lambda scope: ResumableStream(store, "a", **options))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("error", [None, ValueError("secret")], ids=["whole", "failing"])
def test_the_middleware_calls_the_application_once(seed: int, error: Exception | None) -> None:
    """A client that drops has the bytes of one that stays, the application hears of no drop, and no secret is in the store."""

    async def main() -> None:
        provider, store = Provider(raw(chat(PIECES)), error=error), MemoryStore()
        app = filtered(provider, store)
        first = asyncio.ensure_future(Client(app).run())
        await asyncio.sleep(0.01)  # it is the first
        dropping = await persistent(lambda last_id, after: Client(app, last_id, after), drops_of(seed))
        stayed = await first
        assert stayed.is_complete
        assert dropping == stayed.body
        assert (provider.calls, provider.over, provider.is_told, provider.asked) == (1, 1, False, b"{}")
        texts = [json.loads(frame.data) for frame in sse.Decoder().feed(stayed.body) if frame.data and frame.data[0] == "{"]
        said = "".join(each["choices"][0]["delta"].get("content", "") for each in texts if "choices" in each)
        assert said == SAID.replace(SECRET, "[pin]")
        assert ('"type":"server_error"' in stayed.body.decode()) == (error is not None)
        assert SECRET not in str(store._streams["a"].entries)
        late = await Client(app).run()
        assert (late.body, late.headers.get(b"set-cookie"), provider.calls) == (stayed.body, None, 1)
        assert stayed.headers[b"set-cookie"] == b"a=1"
        assert late.headers[b"content-type"].startswith(b"text/event-stream")
        assert (await Client(app, stayed.last_id).run()).status == 204
        assert (await Client(app, "17-3").run()).status == 204

    run_virtually(main())


def test_a_client_that_leaves_before_the_answer_finds_it_when_it_is_back() -> None:
    """And one that comes meanwhile follows it; the application is called once."""

    async def main() -> None:
        provider = Provider(raw(chat(PIECES)))
        provider.waits = 30
        app = filtered(provider, MemoryStore())
        first = asyncio.ensure_future(Client(app, leaves_after=0).run())
        await asyncio.sleep(1)
        second = await Client(app).run()
        await first
        assert (provider.calls, second.is_complete, b"[pin]" in second.body) == (1, True, True)

    run_virtually(main())


@pytest.mark.parametrize(("status", "kind"), [(200, b"application/json"), (429, b"text/event-stream"), (200, b"text/plain")])
def test_an_answer_that_is_no_event_stream_is_not_kept(status: int, kind: bytes) -> None:
    """It leaves as without a store, filtered, and the next request calls the application again."""

    async def main() -> None:
        provider, store = Provider([b'"pin ', b'1234-5678"'], kind=kind), MemoryStore()
        provider.status = status
        if status != 200:
            provider.pieces = [b'data: {"choices":[{"index":0,"delta":{"content":"pin 1234-5678"}}]}\n\n']
        plain, kept = StreamFilterMiddleware(provider, SAFE), filtered(provider, store)
        expected = await Client(plain).run()
        for _ in range(2):
            client = await Client(kept).run()
            assert (client.status, client.body, client.headers) == (expected.status, expected.body, expected.headers)
            assert b"[pin]" in client.body
        assert (provider.calls, provider.over, store._streams) == (3, 3, {})

    run_virtually(main())


def test_an_application_that_fails_before_its_answer_is_its_servers_to_answer() -> None:
    """The exception goes on, nothing is kept, and the next request calls it again."""

    async def main() -> None:
        calls = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            calls.append(1)
            raise ValueError("early")

        store = MemoryStore()
        for _ in range(2):
            with pytest.raises(ValueError, match="early"):
                await Client(filtered(app, store)).run()
        assert (len(calls), store._streams) == (2, {})

    run_virtually(main())


def test_an_application_may_answer_while_it_is_asked() -> None:
    """Its request still arrives, piece by piece, and the client's leaving is seen when all of it has."""

    async def main() -> None:
        got, pieces = [], [b"data: a\n\n", b"data: b\n\n", b"data: c\n\n"]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            more = True
            while more:
                message = await receive()
                got.append(message["body"])
                more = message["more_body"]
                await send({"type": "http.response.body", "body": message["body"], "more_body": True})
            assert (await receive())["type"] == "http.disconnect"

        store = MemoryStore()
        made = StreamFilterMiddleware(app, SAFE, format="text", resumable=lambda scope: ResumableStream(store, "a"))
        client = Client(made, leaves_after=3)
        client._asked = [{"type": "http.request", "body": each, "more_body": n > 0} for n, each in enumerate(reversed(pieces))]
        await client.run()
        assert got == pieces
        assert without_ids(client.body).startswith(b"data: a\n\n")
        assert await ResumableStream(store, "a").stop()
        await asyncio.sleep(5)
        assert await ResumableStream(store, "a").status() == "ended"

    run_virtually(main())


def test_a_server_that_shuts_down_cancels_what_it_passes_on() -> None:
    """An answer that is not kept is the request's own: cancelled with it, so nothing is left running."""

    async def main() -> None:
        provider, store = Provider([b'"a'], kind=b"application/octet-stream"), MemoryStore()
        provider.stalls = True
        serving = asyncio.ensure_future(Client(filtered(provider, store)).run())
        await asyncio.sleep(5)
        serving.cancel()
        await asyncio.wait([serving])
        await asyncio.sleep(0)
        assert (provider.over, serving.cancelled(), store._streams) == (1, True, {})

    run_virtually(main())


@pytest.mark.parametrize("when", ["before the answer", "within it"])
def test_a_stop_cancels_the_application(when: str) -> None:
    """From another server, before its answer and within it; readers come to an end."""

    async def main() -> None:
        provider, store = Provider(raw(chat(PIECES))), MemoryStore()
        provider.stalls, provider.waits = True, 1000 if when == "before the answer" else 0
        reading = asyncio.ensure_future(Client(filtered(provider, store)).run())
        await asyncio.sleep(60)
        assert await ResumableStream(store, "a").stop()
        client = await reading
        assert (client.status, client.is_complete, provider.over) == (204 if provider.waits else 200, True, 1)

    run_virtually(main())


def test_without_readers_the_application_is_cancelled_if_so_declared() -> None:
    """`unread_seconds` after the last has left."""

    async def main() -> None:
        provider, store = Provider(raw(chat(PIECES))), MemoryStore()
        provider.stalls = True
        await Client(filtered(provider, store, unread_seconds=5), leaves_after=3).run()
        await asyncio.sleep(4)
        assert provider.over == 0
        await asyncio.sleep(30)
        assert provider.over == 1

    run_virtually(main())


class Broken:
    """A store that cannot be reached."""

    async def create(self, *_: Any) -> int:
        raise StoreFailed("gone")

    append = end = page = follow = leave = ask = delete = create


@pytest.mark.parametrize("last_id", ["", "17-3"])
def test_a_store_that_cannot_be_reached_is_an_error_and_nothing_is_asked_for(last_id: str) -> None:
    """502 with a body of the format, by a view and by the middleware; and at once."""

    async def main() -> None:
        provider, source = Provider([]), Slow([])
        store: Any = Broken()
        response = resumable_response(ResumableStream(store, "a"), source, "anthropic", last_event_id=last_id)
        viewed = await Client(response).run()
        assert (viewed.status, json.loads(viewed.body)["error"]["type"], source.begun) == (502, "api_error", 0)
        asked = await Client(filtered(provider, store), last_id).run()
        assert (asked.status, json.loads(asked.body)["error"]["type"], provider.calls) == (502, "server_error", 0)

    run_virtually(main())


# ---------------------------------------------------------------------- real sockets, a real Redis


def test_over_real_sockets_and_redis_who_drops_misses_nothing() -> None:
    """Two servers and one Redis; each request goes to either, connections are cut, the provider is called once."""
    httpx = pytest.importorskip("httpx")
    redis = pytest.importorskip("redis.asyncio")
    from starlette.responses import Response

    from streamfilter.resumable import RedisStore

    begun: list[int] = []
    with served() as server, contextlib.ExitStack() as stack:
        said = [f"{n} " for n in range(300)]

        async def source() -> AsyncIterator[str]:
            begun.append(1)
            for each in said:
                await asyncio.sleep(0.002)
                yield each

        def replica() -> str:
            opened: list[Any] = []

            async def app(scope: Any, receive: Any, send: Any) -> None:
                if not opened:
                    opened.append(redis.Redis(port=server.port))
                if scope["path"] == "/close":
                    await opened[0].aclose()
                    await Response()(scope, receive, send)
                    return
                last_id = dict(scope["headers"]).get(b"last-event-id", b"").decode()
                answer = ResumableStream(RedisStore(opened[0]), scope["path"].strip("/"))
                await resumable_response(answer, lambda: SAFE(source()), "events", last_event_id=last_id)(scope, receive, send)

            host, port = stack.enter_context(serving(app))
            return f"http://{host}:{port}"

        replicas = [replica(), replica()]
        rng = random.Random(5)

        def read(last_id: str, most: int | None) -> tuple[int, bytes]:
            got = b""
            headers = {"last-event-id": last_id} if last_id else {}
            with (
                httpx.Client(timeout=WAIT) as client,
                client.stream("GET", f"{rng.choice(replicas)}/one", headers=headers) as response,
            ):
                for piece in response.iter_raw():
                    got += piece
                    if most is not None and len(got) > most:
                        break
            return response.status_code, got[: got.rfind(b"\n\n") + 2]

        dropping, last_id = b"", ""
        for _ in range(1000):
            status, got = read(last_id, rng.randint(0, 4000))
            if status == 204:
                break
            dropping += got
            last_id = ids[-1].decode() if (ids := ID.findall(got)) else last_id
        _, stayed = read("", None)
        assert dropping == stayed
        frames = [json.loads(frame.data or "") for frame in sse.Decoder().feed(stayed)]
        assert "".join(frame.get("text", "") for frame in frames) == "".join(said)
        assert begun == [1]
        for each in replicas:
            httpx.get(f"{each}/close")


# ---------------------------------------------------------------------- the gateway

KEY = {"authorization": "Bearer one"}


def test_a_client_of_the_gateway_names_its_stream_and_comes_back_to_it() -> None:
    """With its key and no other; the upstream is asked once, and sees none of the headers."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("prometheus_client")
    httpx = pytest.importorskip("httpx")
    from gateway_serving import Upstream, between, chat_frames

    upstream = Upstream(chat_frames(["Write to jo@", "example.com", ", please. ", "Or call."]))
    with between(upstream, resumable=MemoryStore()) as url, httpx.Client(timeout=WAIT) as client:

        def post(**headers: str) -> Any:
            given = {key.replace("_", "-"): value for key, value in headers.items()}
            return client.post(f"{url}/v1/chat/completions", json={"model": "m"}, headers=given)

        named = {**KEY, "x-stream-id": "a1"}
        with client.stream("POST", f"{url}/v1/chat/completions", json={"model": "m"}, headers=named) as response:
            first = next(response.iter_raw())
        first = first[: first.find(b"\n\n") + 2]
        (last_id,) = ID.findall(first)
        rest = post(**named, last_event_id=last_id.decode())
        whole = post(**named)
        assert first + rest.content == whole.content
        assert b"example.com" not in whole.content
        frames = [json.loads(frame.data) for frame in sse.Decoder().feed(whole.content) if frame.data and frame.data[0] == "{"]
        said = "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames)
        assert said == "Write to [email], please. Or call."
        assert ID.sub(b"", whole.content).endswith(b"data: [DONE]")
        assert (rest.status_code, rest.headers["content-type"], len(upstream.scopes)) == (200, "text/event-stream", 1)
        assert not {b"x-stream-id", b"last-event-id"} & upstream.headers.keys()
        assert post(**named, last_event_id=ID.findall(whole.content)[-1].decode()).status_code == 204
        assert post(x_stream_id="a1", authorization="Bearer two", last_event_id=last_id.decode()).status_code == 204
        assert len(upstream.scopes) == 1
        assert ID.findall(post(x_stream_id="a1", authorization="Bearer two").content)
        assert len(upstream.scopes) == 2
        assert not ID.findall(post(**KEY).content)
        assert len(upstream.scopes) == 3
        for refused in ({"x-stream-id": "a1"}, {**KEY, "x-stream-id": "a 1"}, {**KEY, "x-stream-id": "a" * 129}):
            answer = post(**refused)
            assert (answer.status_code, "(x-stream-id)" in answer.text) == (400, True), answer.text
        assert len(upstream.scopes) == 3


def test_an_answer_that_nobody_reads_is_stopped_and_counts_until_then() -> None:
    """The upstream's connection is closed; meanwhile it is one of those that the gateway admits."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("prometheus_client")
    httpx = pytest.importorskip("httpx")
    from gateway_serving import Stalling, between, chat_frames

    upstream = Stalling(chat_frames(["Write ", "to "], done=False))
    options: dict[str, Any] = {"resumable": MemoryStore(), "unread_seconds": 0.5, "limits": {"streams": 1}}
    with between(upstream, **options) as url, httpx.Client(timeout=WAIT) as client:
        given: dict[str, Any] = {"json": {"model": "m"}, "headers": {**KEY, "x-stream-id": "a1"}}
        with client.stream("POST", f"{url}/v1/chat/completions", **given) as response:
            assert next(response.iter_raw())
        busy = client.post(f"{url}/v1/chat/completions", json={"model": "m"}, headers=KEY)
        assert busy.status_code == 503
        assert upstream.left.wait(WAIT)
        upstream.let_go.set()


def test_a_client_of_the_gateway_stops_its_stream() -> None:
    """DELETE with the path, the name and the key it was asked with; what else is deleted is the upstream's business."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("prometheus_client")
    httpx = pytest.importorskip("httpx")
    from gateway_serving import Stalling, between, chat_frames

    upstream = Stalling(chat_frames(["Write ", "to "], done=False)[:-1])
    named = {**KEY, "x-stream-id": "a1"}
    with between(upstream, resumable=MemoryStore()) as url, httpx.Client(timeout=WAIT) as client:
        path = f"{url}/v1/chat/completions?a=1"
        with client.stream("POST", path, json={"model": "m"}, headers=named) as response:
            got = next(pieces := response.iter_raw())
            for at, headers, status in (
                (path, {**named, "authorization": "Bearer two"}, 404),
                (path, {**named, "x-stream-id": "a2"}, 404),
                (f"{url}/v1/completions?a=1", named, 404),
                (path, {"x-stream-id": "a1"}, 400),
            ):
                answer = client.delete(at, headers=headers)
                assert (answer.status_code, "stream" in answer.json()["error"]["message"]) == (status, True), answer.text
            assert not upstream.left.is_set()
            stopped = client.delete(path, headers=named)
            assert (stopped.status_code, stopped.content) == (204, b"")
            got += b"".join(pieces)
        assert upstream.left.wait(WAIT)
        assert ID.sub(b"", got).endswith(b"data: [DONE]")  # what ends a stream that was stopped
        assert client.post(path, json={"model": "m"}, headers=named).content == got  # it is there as far as it went
        assert client.delete(path, headers=named).status_code == 404  # it has ended
        assert [scope["method"] for scope in upstream.scopes] == ["POST"]
        upstream.let_go.set()
        for at, headers in ((path, KEY), (f"{url}/v1/files/1", named)):  # no stream is named; none could have been begun there
            assert client.delete(at, headers=headers).status_code == 200
        assert [scope["method"] for scope in upstream.scopes] == ["POST", "DELETE", "DELETE"]


def test_a_stream_can_be_stopped_where_there_is_room_for_no_other_request() -> None:
    """That makes room."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("prometheus_client")
    httpx = pytest.importorskip("httpx")
    from gateway_serving import Stalling, between, chat_frames

    upstream = Stalling(chat_frames(["Write ", "to "], done=False)[:-1])
    given: dict[str, Any] = {"headers": {**KEY, "x-stream-id": "a1"}}
    with between(upstream, resumable=MemoryStore(), limits={"streams": 1}) as url, httpx.Client(timeout=WAIT) as client:
        path = f"{url}/v1/chat/completions"
        with client.stream("POST", path, json={"model": "m"}, **given) as response:
            assert next(response.iter_raw())
            assert client.post(path, json={"model": "m"}, headers=KEY).status_code == 503
            assert client.delete(path, **given).status_code == 204
        assert upstream.left.wait(WAIT)
        upstream.let_go.set()


def test_a_stop_that_the_store_does_not_hear_is_no_success() -> None:
    """502 that says so, for the stream goes on."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("prometheus_client")
    from gateway_serving import SAFE as MAILS

    from streamfilter.gateway import Gateway

    broken: Any = Broken()
    gateway = Gateway("https://api.example.com", {"main": MAILS}, "main", resumable=broken)
    headers = [(b"authorization", b"Bearer one"), (b"x-stream-id", b"a1")]
    sent = asyncio.run(called(gateway, {"method": "DELETE", "path": "/v1/chat/completions", "headers": headers}))
    assert (sent[0]["status"], b"store" in body_of(sent)) == (502, True)


def test_readers_of_a_named_store_may_wait_longer_than_its_client_would() -> None:
    """Else a silence of the model's would count as a lost connection."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("redis")
    from streamfilter.gateway.resuming import store_at

    store: Any = store_at("redis://127.0.0.1:1/0")
    assert store._client.connection_pool.make_connection().socket_timeout is None


@pytest.mark.parametrize("address", ["", "redis", "http://127.0.0.1", "redis://:secret@[bad"])
def test_a_store_that_is_none_is_refused_without_its_password(address: str) -> None:
    """Before anything listens."""
    pytest.importorskip("httpcore2")
    pytest.importorskip("redis")
    from streamfilter.gateway.resuming import store_at

    with pytest.raises(ValueError, match="redis://127") as caught:
        store_at(address)
    assert "secret" not in str(caught.value)
