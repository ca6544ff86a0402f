"""Resumable streams over a real Redis that is killed, cut off, slow, full or wrong; and writers that die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from redis_server import Proxy, Server, served

import streamfilter as sf
from streamfilter.resumable import (
    MemoryStore,
    NotResumable,
    ProducerFailed,
    ProducerLost,
    RedisStore,
    ResumableStream,
    Store,
    StoreFailed,
    StreamUnknown,
)
from streamfilter.resumable.encoding import END, ITEM
from streamfilter.resumable.store import Page, Sign, Terms

pytest.importorskip("redis")
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SECRET = "hunter2"
LONG = 60.0
ITEMS = [f"t{n} " for n in range(60)]


class Steps:
    """A source that gives an item when it is told to, and says when it is closed."""

    def __init__(self, items: Sequence[Any] = ITEMS, *, free: bool = False) -> None:
        self.items = items
        self.gate = asyncio.Semaphore(len(items) + 1 if free else 0)
        self.given = 0
        self.closed = asyncio.Event()
        self.closings = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await self.gate.acquire()
        if self.given == len(self.items):
            raise StopAsyncIteration
        self.given += 1
        return self.items[self.given - 1]

    async def aclose(self) -> None:
        self.closings += 1
        self.closed.set()


@contextlib.asynccontextmanager
async def clients() -> AsyncIterator[Callable[..., RedisStore]]:
    """Opens stores on a port, each with a client of its own."""
    async with contextlib.AsyncExitStack() as stack:

        def opened(port: int, *, patience_seconds: float = 15.0, kind: Any = Redis, **options: Any) -> RedisStore:
            client = kind(host="127.0.0.1", port=port, **{"socket_timeout": 1.0, "retry": Retry(NoBackoff(), 0), **options})
            stack.push_async_callback(client.aclose)
            return RedisStore(client, patience_seconds=patience_seconds)

        yield opened


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LONG):
            await main()

    asyncio.run(limited())


async def taken(reader: Any, count: int) -> list[Any]:
    return [await anext(reader) for _ in range(count)]


def test_a_server_that_is_killed_and_comes_back_costs_nothing() -> None:
    """Writer and readers go on behind a restart: nothing is missing, nothing doubled."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps()
            producer = await ResumableStream(opened(server.port), "a").start(source)
            readers = [ResumableStream(opened(server.port), "a").read() for _ in range(2)]
            got: list[list[str]] = [[], []]
            for n in range(0, 60, 20):
                for _ in range(20):
                    source.gate.release()
                for reader, texts in zip(readers, got, strict=True):
                    texts.extend(await taken(reader, 15))  # those behind are read after the restart
                waiting = asyncio.ensure_future(taken(readers[0], 5))
                await asyncio.to_thread(server.kill)
                source.gate.release()  # an item comes while nobody is there to take it
                await asyncio.sleep(0)
                await asyncio.to_thread(server.start)
                got[0] += await waiting
                got[1] += await taken(readers[1], 5)
                assert got[0] == got[1] == ITEMS[: n + 20]
            source.gate.release()
            for reader in readers:
                assert [item async for item in reader] == []
            assert (await producer.wait()).how == "finished" and source.closings == 1

    with served() as server:
        run(lambda: main(server))


@pytest.mark.parametrize("kind", [Redis, RedisCluster])
def test_a_server_that_is_not_there_yet_is_waited_for(kind: Any) -> None:
    """A node, or a cluster of which none can be reached: as long as the store is patient."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            await asyncio.to_thread(server.kill)
            source = Steps(["x"], free=True)
            with pytest.raises(StoreFailed, match="no connection for 0 s"):
                await ResumableStream(opened(server.port, kind=kind, patience_seconds=0), "a").start(source)
            assert source.closings == 1
            answer = ResumableStream(opened(server.port, kind=kind), "a")
            starting = asyncio.ensure_future(answer.start(Steps(["x"], free=True)))
            await asyncio.sleep(0)
            await asyncio.to_thread(server.start)
            await starting
            assert [item async for item in answer.read()] == ["x"]

    with served(clusters=kind is RedisCluster) as server:
        run(lambda: main(server))


@pytest.mark.parametrize("seed", range(6))
def test_answers_that_are_lost_double_nothing(seed: int) -> None:
    """Connections are cut at random, also when Redis has done what it was asked and its answer is on the way."""

    async def main(server: Server) -> None:
        rng = random.Random(seed)
        async with Proxy(server.port, lambda: rng.random() < 0.08) as proxy, clients() as opened:
            source = Steps([*ITEMS, *ITEMS], free=True)
            producer = await ResumableStream(opened(proxy.port), "a").start(source)
            every: list[list[str]] = [[] for _ in range(3)]

            async def follow(got: list[str]) -> None:
                reader = ResumableStream(opened(proxy.port), "a").read()
                async for item in reader:
                    got.append(item)
                    if rng.random() < 0.05:
                        proxy.cut()

            await asyncio.gather(*map(follow, every))
            assert every == [[*ITEMS, *ITEMS]] * 3
            assert (await producer.wait()).how == "finished"
            assert proxy.cuts > 3
            raw = Redis(port=server.port)
            assert await raw.xlen("streamfilter:{a}:items") == len(source.items) + 1
            await raw.aclose()

    with served(persists=False) as server:
        run(lambda: main(server))


def test_a_lost_answer_to_the_start_starts_once() -> None:
    """The one who has started it is not told that somebody else has."""

    async def main(server: Server) -> None:
        to_lose: list[bool] = []
        async with Proxy(server.port, lambda: bool(to_lose) and to_lose.pop()) as proxy, clients() as opened:
            store = opened(proxy.port)
            assert await ResumableStream(store, "other").status() is None  # the connection is there, and knows the script
            answer = ResumableStream(store, "a")
            to_lose.append(True)
            producer = await answer.start(Steps(["x"], free=True))
            assert proxy.cuts == 1
            assert [item async for item in answer.read()] == ["x"]
            await producer.wait()

    with served(persists=False) as server:
        run(lambda: main(server))


def test_a_store_that_stays_away_fails_closed() -> None:
    """At the end of its lease the writer gives up and closes its source; readers are told after their patience."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps()
            answer = ResumableStream(opened(server.port, patience_seconds=100), "a", lease_seconds=1.5)
            producer = await answer.start(sf.Redact(SECRET, to="#")(source))
            reader = ResumableStream(opened(server.port, patience_seconds=0.5), "a").read()
            source.gate.release()
            assert await anext(reader) == ITEMS[0]
            server.kill()
            with pytest.raises(StoreFailed, match=r"no connection for 0\.5 s") as caught:
                await anext(reader)
            assert caught.value.__cause__ is None
            with pytest.raises(StoreFailed, match="lease"):
                await producer.wait()
            assert source.closings == 1 and source.given == 1
            with pytest.raises(StoreFailed):
                await ResumableStream(opened(server.port, patience_seconds=0), "a").start(late := Steps())
            assert late.closings == 1

    with served() as server:
        run(lambda: main(server))


def test_a_store_that_forgets_fails_closed() -> None:
    """A restart without persistence: the stream is gone for readers, and its writer stops."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps()
            producer = await ResumableStream(opened(server.port), "a", lease_seconds=9).start(source)
            reader = ResumableStream(opened(server.port), "a").read()
            source.gate.release()
            assert await anext(reader) == ITEMS[0]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            source.gate.release()
            with pytest.raises(StoreFailed, match="no longer there"):
                await producer.wait()
            with pytest.raises(StreamUnknown):
                await anext(reader)
            assert source.closings == 1

    with served(persists=False) as server:
        run(lambda: main(server))


@pytest.mark.parametrize("lost", [1, 3, 5])
def test_a_store_that_forgets_the_last_items_fails_closed(lost: int) -> None:
    """As Redis may after a power cut: whatever it has lost, no reader gets a gap or other items under the same ids."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps()
            producer = await ResumableStream(opened(server.port), "a").start(source)
            reader = ResumableStream(opened(server.port), "a").read()
            for _ in range(5):
                source.gate.release()
            assert await taken(reader, 5) == ITEMS[:5]
            created = str(reader.last_id).partition("-")[0]
            raw = Redis(port=server.port)
            await raw.xdel("streamfilter:{a}:items", *(f"{created}-{n}" for n in range(6 - lost, 6)))
            await raw.hset("streamfilter:{a}:state", "last", str(5 - lost))
            await raw.aclose()
            source.gate.release()
            with pytest.raises(StoreFailed, match="no longer there"):
                await producer.wait()
            with pytest.raises(NotResumable, match="does not have"):
                await anext(reader)
            assert source.closings == 1

    with served(persists=False) as server:
        run(lambda: main(server))


@pytest.mark.parametrize("ends", [True, False], ids=["then the source ends", "then it is silent"])
def test_a_writer_of_which_the_last_items_are_forgotten_says_so_without_another_item(ends: bool) -> None:
    """Neither its end nor a sign of life passes for what comes behind the items that are left: nobody reads a part as the whole."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps(ITEMS[:5])
            answer = ResumableStream(opened(server.port), "a")
            producer = await answer.start(source)
            reader = answer.read()
            for _ in range(5):
                source.gate.release()
            assert await taken(reader, 5) == ITEMS[:5]
            created = str(reader.last_id).partition("-")[0]
            raw = Redis(port=server.port)
            await raw.xdel("streamfilter:{a}:items", f"{created}-4", f"{created}-5")
            await raw.hset("streamfilter:{a}:state", "last", "3")
            await raw.aclose()
            if ends:
                source.gate.release()
            with pytest.raises(StoreFailed, match="no longer there"):
                await producer.wait()
            assert producer.ended is not None and producer.ended.how == "failed" and source.closings == 1
            assert await answer.status() != "ended"

    with served(persists=False) as server:
        run(lambda: main(server))


def test_a_connection_that_is_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes everything and answers nothing, as behind a firewall that forgot it: another one is tried."""
    monkeypatch.setattr("streamfilter.resumable.redis_streams.ANSWER_SECONDS", 0.2)

    async def main(server: Server) -> None:
        async with Proxy(server.port) as proxy, clients() as opened:
            source = Steps(["x", "y"])
            producer = await ResumableStream(opened(proxy.port, socket_timeout=None), "a", lease_seconds=20).start(source)
            reader = ResumableStream(opened(proxy.port, socket_timeout=1.0), "a").read()
            source.gate.release()
            assert await anext(reader) == "x"
            proxy.is_stalled = True
            waiting = asyncio.ensure_future(anext(reader))
            source.gate.release()
            await proxy.stalled.wait()
            proxy.is_stalled = False  # for connections to come: those that have stalled stay so
            assert await waiting == "y"
            source.gate.release()
            assert (await producer.wait()).how == "finished"
            assert [item async for item in reader] == []

    with served(persists=False) as server:
        run(lambda: main(server))


@pytest.mark.parametrize("kind", [Redis, RedisCluster])
def test_readers_of_a_source_that_is_silent_for_longer_than_the_client_waits_go_on(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is told to wait for less than the client takes for a lost connection, whichever client says how long that is."""
    monkeypatch.setattr("streamfilter.resumable.redis_streams.ANSWER_SECONDS", 0.5)

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps(["x", "y"])
            producer = await ResumableStream(opened(server.port, kind=kind), "a", lease_seconds=1.5).start(source)
            store = opened(server.port, kind=kind, socket_timeout=0.3, patience_seconds=0.1)
            asked, often = store._client.xread, asyncio.Event()
            calls: list[Any] = []

            def xread(*args: Any, **options: Any) -> Any:
                calls.append(args)
                if len(calls) > 20:
                    often.set()
                return asked(*args, **options)

            monkeypatch.setattr(store._client, "xread", xread)
            reader = ResumableStream(store, "a").read()
            source.gate.release()
            assert await anext(reader) == "x"
            waiting, enough = asyncio.ensure_future(anext(reader)), asyncio.ensure_future(often.wait())
            await asyncio.wait((waiting, enough), return_when=asyncio.FIRST_COMPLETED)
            source.gate.release()
            assert await waiting == "y"
            source.gate.release()
            assert [item async for item in reader] == []
            assert (await producer.wait()).how == "finished"
            await enough

    with served(persists=False, clusters=kind is RedisCluster) as server:
        run(lambda: main(server))


def test_what_redis_refuses_is_said_without_what_it_was_sent() -> None:
    """A key of another type, a full memory, a password: at once, with Redis's code and none of its words."""

    async def main(server: Server) -> None:
        raw = Redis(port=server.port)
        async with clients() as opened:
            store = opened(server.port)
            await raw.set(f"streamfilter:{{{SECRET}}}:state", "text")
            with pytest.raises(StoreFailed, match="ResponseError") as caught:
                await ResumableStream(store, SECRET).start(Steps())
            assert SECRET not in str(caught.value) and caught.value.__cause__ is None and caught.value.__suppress_context__
            source = Steps()
            producer = await ResumableStream(store, "a").start(source)
            await raw.config_set("maxmemory", "1")
            source.gate.release()
            with pytest.raises(StoreFailed, match=r"OutOfMemoryError|OOM"):
                await producer.wait()
            assert source.closings == 1
            await raw.config_set("maxmemory", "0")
            await raw.config_set("requirepass", SECRET)
            with pytest.raises(StoreFailed, match=r"Authentication|ResponseError"):
                await ResumableStream(opened(server.port), "b").start(Steps())
        await raw.aclose()

    with served(persists=False) as server:
        run(lambda: main(server))


def test_streams_look_in_redis_as_documented() -> None:
    """Three keys, on one node of a cluster; ids of Redis Streams; an entry has one field, of JSON; all of them expire."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            store = opened(server.port)
            answer = ResumableStream(store, "a", keep_seconds=100, unread_seconds=50)
            producer = await answer.start(Steps(["Hi", {"n": 1}], free=True))
            reader = answer.read()
            assert await taken(reader, 2) == ["Hi", {"n": 1}]
            await producer.wait()
            raw = Redis(port=server.port, decode_responses=True)
            keys = sorted(map(str, await raw.keys("*")))
            assert keys == ["streamfilter:{a}:items", "streamfilter:{a}:readers", "streamfilter:{a}:state"]
            rows: Any = await raw.xrange(keys[0])
            assert rows[1][0] == reader.last_id
            assert [fields for _, fields in rows] == [{"v1": '"Hi"'}, {"v1": '{"json":{"n":1}}'}, {"end1": '{"how":"finished"}'}]
            assert all([0 < await raw.pttl(key) <= 100_000 for key in keys])
            assert {key[key.index("{") : key.index("}")] for key in keys} == {"{a"}  # what a cluster takes a node by
            await reader.aclose()
            await raw.aclose()

    with served(persists=False) as server:
        run(lambda: main(server))


@contextlib.asynccontextmanager
async def written_by(program: str, server: Server) -> AsyncIterator[tuple[asyncio.subprocess.Process, AsyncIterator[Any]]]:
    """A process that has written five items, and a reader here that has read them."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(server.port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert writer.stdout is not None
    try:
        assert await writer.stdout.readline() == b"written\n"
        async with clients() as opened:
            reader = ResumableStream(opened(server.port), "a").read()
            assert await taken(reader, 5) == [f"t{n} " for n in range(5)]
            yield writer, reader
    finally:
        with contextlib.suppress(ProcessLookupError):
            writer.kill()
        await writer.wait()


WRITER = """
import asyncio, sys
from redis.asyncio import Redis, RedisCluster
from streamfilter.resumable import RedisStore, ResumableStream

async def source():
    for n in range(5):
        yield f"t{n} "
    print("written", flush=True)
    await asyncio.Event().wait()

async def main():
    producer = await ResumableStream(RedisStore(Redis(port=int(sys.argv[1]))), "a", lease_seconds=1.5).start(source())
    await producer.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("sent", "error"), [(signal.SIGKILL, "ProducerLost"), (signal.SIGINT, "ProducerFailed"), (signal.SIGSTOP, "ProducerLost")]
)
def test_a_writer_that_dies_is_told_by_its_readers(sent: signal.Signals, error: str) -> None:
    """In a process of its own: killed or frozen, its lease runs out; interrupted, it says so. All it had written is read."""

    async def main(server: Server) -> None:
        async with written_by(WRITER, server) as (writer, reader):
            writer.send_signal(sent)
            with pytest.raises(sf.StreamFilterError) as caught:
                await anext(reader)
            assert type(caught.value).__name__ == error

    with served(persists=False) as server:
        run(lambda: main(server))


SERVER = """
import asyncio, sys, uvicorn
from redis.asyncio import Redis, RedisCluster
from streamfilter.resumable import RedisStore, ResumableStream, close_producers

async def source():
    try:
        for n in range(5):
            yield f"t{n} "
        print("written", flush=True)
        await asyncio.Event().wait()
    finally:
        print("closed", flush=True)

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    store = RedisStore(Redis(port=int(sys.argv[1])))
    await receive()
    await ResumableStream(store, "a").start(source())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await close_producers(store)
    await send({"type": "lifespan.shutdown.complete"})

uvicorn.run(app, port=0, log_level="critical")
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_shuts_down_tells_its_readers(sent: signal.Signals) -> None:
    """Under uvicorn, which ends the process by the signal it got: in the lifespan the source is closed, and the end is told."""
    pytest.importorskip("uvicorn")

    async def main(server: Server) -> None:
        async with written_by(SERVER, server) as (writer, reader):
            writer.send_signal(sent)
            with pytest.raises(ProducerFailed, match="CancelledError"):
                await anext(reader)
            assert writer.stdout is not None
            assert await writer.stdout.read() == b"closed\n"

    with served(persists=False) as server:
        run(lambda: main(server))


def test_a_writer_that_wakes_after_its_lease_writes_no_more() -> None:
    """Its readers have been told that it is lost, so it is: what it would add could be read by some and not by others."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            source = Steps()
            answer = ResumableStream(opened(server.port), "a", lease_seconds=1.0)
            producer = await answer.start(source)
            raw = Redis(port=server.port)
            heard = int(await raw.hget("streamfilter:{a}:state", "heard") or 0)
            await raw.hset("streamfilter:{a}:state", "heard", str(heard - 5000))
            with pytest.raises(ProducerLost):
                await anext(answer.read())
            source.gate.release()
            with pytest.raises(StoreFailed, match="longer than its lease"):
                await producer.wait()
            assert await raw.xlen("streamfilter:{a}:items") == 0
            await raw.aclose()
            await source.closed.wait()

    with served(persists=False) as server:
        run(lambda: main(server))


def test_readers_of_a_server_that_shuts_down_leave_nothing_behind() -> None:
    """Cancelled while they wait: every connection goes back to the pool, and no task is left."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            store = opened(server.port)
            answer = ResumableStream(store, "a", unread_seconds=0)
            source = Steps()
            producer = await answer.start(source)
            await asyncio.sleep(0)
            before = asyncio.all_tasks()
            waiting = [asyncio.ensure_future(anext(answer.read())) for _ in range(20)]
            await asyncio.sleep(0.2)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)
            assert all(each.cancelled() for each in waiting)
            assert asyncio.all_tasks() - before <= set(waiting)
            assert (await producer.wait()).how == "unread" and source.closings == 1
            assert not store._client.connection_pool._in_use_connections

    with served(persists=False) as server:
        run(lambda: main(server))


@pytest.mark.parametrize("most", [1, 2, 5])
def test_more_readers_than_connections_are_served(most: int) -> None:
    """Writers and readers of many streams share few connections: all get everything, none keeps another from going on."""

    async def main(server: Server) -> None:
        async with clients() as opened:
            store = opened(server.port, max_connections=most)
            sources = [Steps(ITEMS[:10]) for _ in range(5)]
            answers = [ResumableStream(store, str(n), unread_seconds=5) for n in range(5)]
            producers = [await answer.start(source) for answer, source in zip(answers, sources, strict=True)]

            async def follow(answer: ResumableStream, source: Steps) -> list[Any]:
                got = []
                async with answer.read() as reader:
                    source.gate.release()
                    async for item in reader:
                        got.append(item)
                        source.gate.release()
                return got

            readers = [follow(answer, source) for answer, source in zip(answers, sources, strict=True) for _ in range(4)]
            assert await asyncio.gather(*readers) == [ITEMS[:10]] * 20
            assert [(await producer.wait()).how for producer in producers] == ["finished"] * 5

    with served(persists=False) as server:
        run(lambda: main(server))


async def done(store: Store, name: str, arguments: Sequence[Any]) -> object:
    """What a call of a store gives, without what differs from one store to the next: when a stream was begun, and how long ago."""
    try:
        result = await getattr(store, name)(*arguments)
    except sf.StreamFilterError as error:
        return repr(error)
    if isinstance(result, Page):
        entries = [(entry.position.number, entry.name, entry.payload) for entry in result.entries]
        return (result.last, bool(result.is_ended), result.lease_left > 0, result.lease_seconds, result.counts_readers, entries)
    if isinstance(result, Sign):
        return (result.is_asked, result.unread_seconds < 60)
    return None if name == "create" else result


@pytest.mark.parametrize("seed", range(4))
def test_redis_does_what_memory_does(seed: int) -> None:
    """Any calls in any order, wrong ones among them: the scripts give what the store in memory gives, which is their reference."""

    async def main(server: Server) -> None:
        rng = random.Random(seed)
        terms = Terms(50.0, 50.0, 1000, counts_readers=bool(seed % 2))
        async with clients() as opened:
            stores = (MemoryStore(), opened(server.port))
            begun = set()
            for _ in range(400):
                id, owner = rng.choice("ab"), rng.choice(["me", "me", "you"])  # noqa: A001
                calls: list[tuple[str, list[Any]]] = [
                    ("append", [id, owner, rng.randint(1, 12), ITEM, [str(n) for n in range(rng.randint(0, 3))]]),
                    ("page", [id, rng.randint(0, 12), rng.randint(1, 5), rng.choice(["", "r1", "r2"])]),
                    ("leave", [id, rng.choice(["r1", "r2"])]),
                    ("ask", [id]),
                ]
                if rng.random() < 0.05:
                    calls = [("end", [id, owner, rng.randint(1, 12), END, "{}"]), ("delete", [id])]
                if rng.random() < (0.05 if id in begun else 0.5):
                    calls = [("create", [id, owner, terms])]
                    begun.add(id)
                name, arguments = rng.choice(calls)
                if name == "delete":
                    begun.discard(id)
                want, got = [await done(store, name, arguments) for store in stores]
                assert got == want, (name, arguments)

    with served(persists=False) as server:
        run(lambda: main(server))


def test_a_client_of_another_kind_is_refused() -> None:
    """The plain one of redis-py would block the event loop; the message says which is needed."""
    import redis

    for client in (redis.Redis(), None, "redis://localhost"):
        with pytest.raises(TypeError, match=r"one of redis\.asyncio is needed"):
            RedisStore(client)  # type: ignore[arg-type]
    for prefix in ("", "a b", "{a}", 7):
        with pytest.raises(ValueError, match="prefix"):
            RedisStore(Redis(), prefix=prefix)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="patience_seconds"):
        RedisStore(Redis(), patience_seconds=-1)
    assert repr(RedisStore(Redis(password=SECRET))) == "RedisStore(prefix='streamfilter')"


def test_without_redis_the_extra_is_named() -> None:
    """And everything else works: importing the part imports nothing of it."""
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from streamfilter.resumable import MemoryStore, RedisStore, ResumableStream\n"
        "ResumableStream(MemoryStore(), 'a')\n"
        "try: RedisStore(None)\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.dumps(done.stdout.strip()) == json.dumps('RedisStore needs redis: pip install "streamfilter[redis]"')
