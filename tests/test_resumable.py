"""Resumable streams: the same facts over memory, in virtual time, and over a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from recordings import body, chunks, shared
from redis_server import RUNNING, served

import streamfilter as sf
from streamfilter.errors import Blocked, LimitExceeded, MalformedInput, ModerationError, SourceTimeout, TruncatedInput
from streamfilter.items import Channel, End, Event, Failure, Finish, Raw, TextDelta, ToolCall, Usage
from streamfilter.markup.code import CodeEnd, CodeStart
from streamfilter.resumable import (
    Ended,
    MemoryStore,
    NotResumable,
    ProducerFailed,
    ProducerLost,
    ProducerTimeout,
    RedisStore,
    ResumableStream,
    Store,
    StoreFailed,
    StreamExists,
    StreamUnknown,
    close_producers,
)
from streamfilter.resumable.encoding import END, ITEM, Encoding, ending_decoded, ending_encoded
from streamfilter.resumable.failures import How
from streamfilter.resumable.reading import PAGE_ITEMS
from streamfilter.resumable.store import Position, Terms
from streamfilter.testing.clock import run_virtually

T = TypeVar("T")
Open = Callable[[], Store]
Run = Callable[[Callable[[Open], Awaitable[T]]], T]

LONG = 60.0
"""Seconds until a test that hangs is an error. In virtual time, that is soon."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if RUNNING:
        pytest.importorskip("redis")
        yield int(RUNNING)
    else:
        with served(persists=False) as server:
            yield server.port


@pytest.fixture(params=["memory", "redis"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Runs a test with a function that opens the store: each call is another server's view of the same one."""
    return runner(request, request.param)


@pytest.fixture(params=["memory", "redis", "redis-text", "redis-resp3", "redis-resp3-text", "redis-resp3-legacy"])
def run_each(request: pytest.FixtureRequest) -> Run[Any]:
    """The same, with clients of every kind: whether they decode, and which version of the protocol they speak."""
    return runner(request, request.param)


KINDS: dict[str, dict[str, Any]] = {
    "redis": {},
    "redis-text": {"decode_responses": True},
    "redis-resp3": {"protocol": 3, "legacy_responses": False},
    "redis-resp3-text": {"protocol": 3, "legacy_responses": False, "decode_responses": True},
    "redis-resp3-legacy": {"protocol": 3},
}


def runner(request: pytest.FixtureRequest, kind: str) -> Run[Any]:
    """Over one kind of store."""

    async def limited(main: Callable[[Open], Awaitable[T]], open_store: Open) -> T:
        before = asyncio.all_tasks()
        async with asyncio.timeout(LONG):
            result = await main(open_store)
        for _ in range(100):
            if not asyncio.all_tasks() - before:
                break
            await asyncio.sleep(0.01)
        assert not asyncio.all_tasks() - before, "tasks are left"
        return result

    async def with_redis(main: Callable[[Open], Awaitable[T]]) -> T:
        from redis.asyncio import Redis

        async with contextlib.AsyncExitStack() as stack:
            prefix = f"test{os.urandom(6).hex()}"

            def opened() -> Store:
                client = Redis(port=request.getfixturevalue("port"), **KINDS[kind])
                stack.push_async_callback(client.aclose)
                return RedisStore(client, prefix=prefix)

            return await limited(main, opened)

    if kind != "memory":
        request.getfixturevalue("port")
        return lambda main: asyncio.run(with_redis(main))
    memory = MemoryStore()
    return lambda main: run_virtually(limited(main, lambda: memory))


class Source:
    """An async iterator that counts how often it is closed, and may be told when to give its items."""

    def __init__(
        self, items: Sequence[Any], *, error: BaseException | None = None, gate: asyncio.Semaphore | None = None, ends: bool = True
    ) -> None:
        self.items = [*items]
        self.given = 0
        self.closed = 0
        self.error = error
        self.gate = gate
        self.ends = ends
        self.moved = asyncio.Event()

    async def until(self, count: int) -> None:
        """Wait until so many items were given."""
        while self.given < count:
            self.moved.clear()
            await self.moved.wait()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self.gate is not None:
            await self.gate.acquire()
        else:
            await asyncio.sleep(0)
        if self.given < len(self.items):
            self.given += 1
            self.moved.set()
            return self.items[self.given - 1]
        if self.error is not None:
            raise self.error
        if not self.ends:
            await asyncio.Event().wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


async def read(answer: ResumableStream, after: str | None = None) -> list[Any]:
    async with answer.read(after) as reader:
        return [item async for item in reader]


async def ids(answer: ResumableStream) -> list[str]:
    async with answer.read() as reader:
        return [str(reader.last_id) async for _ in reader]


@dataclass
class Note(Event):
    """An event of one's own."""

    words: str
    place: tuple[int, ...] = ()


@dataclass
class Cite(Event):
    """One with fields that are never compared."""

    url: str
    score: float = field(compare=False)
    weight: float = field(default=0.0, compare=False, kw_only=True)


class Chunk(BaseModel):
    """As an SDK's."""

    id: str
    choices: list[dict[str, Any]] = []
    unset: str | None = None


TEXTS = ["Hel", "lo", " ", "wörld 🌊", "", "\n\n", "\ud83c", "\udf0a", 'data: "x"\r\n', "\0"]
DELTAS = [
    TextDelta("Hi", Channel("answer", (0, 0))),
    TextDelta("", Channel("reasoning", ("resp_1", 0, ("block", None, True)))),
    ToolCall("call_1", "get", Channel("tool_arguments", (0, 0, "call_1")), scope=Channel("answer", (0, 0))),
    ToolCall(None, None, Channel()),
    Finish("stop", scope=(0, 0)),
    Usage({"input": 3, "parts": [1, None, 2.5]}, scope=None),
    Failure({"message": "overloaded"}),
    Raw("chunk", scope=None),
    Raw(b"\xff\x00"),
    CodeStart("python", "python a.py"),
    CodeEnd(closed=False),
    Note("mine", (1, 2)),
    Note("mine", (), scope=(), boundary=True),
]
VALUES = [
    {"id": "c1", "choices": [{"delta": {"content": "x"}, "finish_reason": None}]},
    {},
    [],
    [1, [2]],
    {"json": {"a": 1}},
    {"": 0},
    0,
    1.5,
    -0.0,
    True,
    None,
    10**30,
    ("a", 0),
    Channel("answer", (0,)),
]
BYTES = [b"data: 1\n\n", b"", b": ping\n\n", "data: é\n\n".encode(), b"\xff\xfe", b"event: a\r\ndata: b\r\n\r\n"]
ALL: dict[str, list[Any]] = {"texts": TEXTS, "events": DELTAS, "values": VALUES, "bytes": BYTES}


# ---------------------------------------------------------------------- items


@pytest.mark.parametrize("name", ALL)
def test_every_item_comes_back_as_what_it_was(run_each: Run[Any], name: str) -> None:
    """Text, events, values of JSON and bytes: equal, and of the same type, from the beginning and behind every id."""
    items = ALL[name]

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a", events=[Note])
        await (await answer.start(Source(items))).wait()
        got = await read(answer)
        assert got == items and [*map(type, got)] == [*map(type, items)]
        assert repr(got) == repr(items)
        for n, place in enumerate(await ids(answer), 1):
            assert await read(answer, place) == items[n:]

    run_each(main)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4
)


@settings(max_examples=100)
@given(
    st.one_of(
        st.text(st.characters(categories=None)),
        st.binary(),
        JSON,
        st.builds(TextDelta, st.text(), st.builds(Channel, st.text(), st.lists(KEYS).map(tuple))),
        st.builds(Raw, JSON),
        st.builds(Note, st.text(), st.lists(st.integers()).map(tuple)),
    )
)
def test_what_is_encoded_is_text_that_decodes_to_the_same(item: Any) -> None:
    """Whatever the item: its encoding has bytes in UTF-8, no line end, and gives an equal item of the same type."""
    encoding = Encoding([Note])
    payload = encoding.encoded(item)
    assert payload.encode().decode() == payload and "\n" not in payload
    again = encoding.decoded(payload, 1)
    assert again == item and type(again) is type(item)


def test_the_encoding_is_the_one_that_is_documented() -> None:
    """Version 1 stays what it is: other versions of this library read it."""
    table = {
        "Hi 🌊": '"Hi 🌊"',
        TextDelta: '{"delta":["Hi","answer",[0,1]]}',
        Finish: '{"event":["Finish",{"scope":{"tuple":[]},"boundary":false,"reason":"stop"}]}',
        b"data: 1\n\n": '{"utf8":"data: 1\\n\\n"}',
        b"\xff": '{"base64":"/w=="}',
        dict: '{"json":{"id":1}}',
        7: "7",
    }
    items: dict[Any, object] = {
        TextDelta: TextDelta("Hi", Channel("answer", (0, 1)), origin=object()),
        Finish: Finish("stop"),
        dict: {"id": 1},
    }
    for key, payload in table.items():
        assert Encoding().encoded(items.get(key, key)) == payload
    assert (ITEM, END) == ("v1", "end1")


def test_objects_of_sdks_come_back_as_dicts() -> None:
    """An object of pydantic is what was set in it, with its values of JSON."""
    encoding = Encoding()
    assert encoding.decoded(encoding.encoded(Chunk(id="c", choices=[{"n": 1}])), 1) == {"id": "c", "choices": [{"n": 1}]}
    assert encoding.decoded(encoding.encoded(Usage(Chunk(id="c"))), 1) == Usage({"id": "c"})


def test_what_is_never_compared_comes_back_too() -> None:
    """Only the origin is left behind, which is the provider's chunk: all else is part of what an event says."""
    encoding = Encoding([Cite])
    cite = encoding.decoded(encoding.encoded(Cite("u", 0.9, weight=0.5, origin=object())), 1)
    assert (cite.url, cite.score, cite.weight, cite.origin) == ("u", 0.9, 0.5, None)
    finish = encoding.decoded(encoding.encoded(Finish("stop", stopped=True)), 1)
    assert finish == Finish("stop") and finish.stopped


SECRET = "hunter2"
UNFIT: list[Any] = [
    [(1, SECRET)],
    (1.5, SECRET),
    {1: SECRET},
    {"a": (1, SECRET)},
    float("nan"),
    {"a": float("inf"), "b": SECRET},
    object(),
    {SECRET},
    End(SECRET),
    Note(SECRET),
    Raw(object()),
    Usage({"a": {SECRET}}),
    ValueError(SECRET),
    TextDelta(SECRET, Channel("answer", (object(),))),
]


@pytest.mark.parametrize("item", UNFIT, ids=lambda item: type(item).__name__)
def test_what_would_come_back_as_something_else_is_refused(item: Any) -> None:
    """The error names its class, and nothing of it; depth is no way around."""
    with pytest.raises(TypeError, match="cannot be kept") as caught:
        Encoding().encoded(item)
    assert SECRET not in str(caught.value) and caught.value.__cause__ is None


def test_a_very_deep_value_is_refused() -> None:
    """It is no RecursionError, on the way in or out."""
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(TypeError, match="cannot be kept"):
        Encoding().encoded(deep)
    with pytest.raises(MalformedInput):
        Encoding().decoded("[" * 200_000, 1)
    while deep:  # Python's own end of it would recurse
        deep = deep[0]


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "{",
        "[]",
        "[1]",
        "{}",
        '{"json":1,"utf8":""}',
        '{"unknown":1}',
        '{"event":["End",{"reason":"x"}]}',
        '{"event":["Note",{}]}',
        '{"event":["os.system",{}]}',
        '{"event":["../../os",{}]}',
        '{"event":["Finish",{"secret":1}]}',
        '{"event":["Finish"]}',
        '{"base64":"%"}',
        '{"base64":1}',
        '{"utf8":1}',
        '{"delta":["a","b"]}',
        '{"delta":[1,"b",[]]}',
        '{"delta":["a","b",[{}]]}',
        "9" * 5000,
    ],
    ids=lambda payload: payload[:30],
)
def test_what_nothing_of_ours_has_written_is_malformed(payload: str) -> None:
    """Whatever stands in a store builds nothing but our items, and the error has none of it."""
    with pytest.raises(MalformedInput) as caught:
        Encoding().decoded(payload, 7)
    assert caught.value.offset == 7 and caught.value.__cause__ is None


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[]",
        "{}",
        '{"how":"other"}',
        '{"how":[]}',
        '{"how":"failed","error":1}',
        '{"how":"failed","facts":[[]]}',
        '{"how":"failed","facts":1}',
    ],
)
def test_an_ending_that_is_none_is_malformed(payload: str) -> None:
    """As items are."""
    with pytest.raises(MalformedInput):
        ending_decoded(payload, 1)


# ---------------------------------------------------------------------- reading


def test_each_item_is_there_before_the_source_is_asked_for_the_next(run_each: Run[Any]) -> None:
    """Readers follow live, in step with a source that waits for them."""
    items = [f"t{n} " for n in range(30)]

    async def main(store: Open) -> None:
        gate = asyncio.Semaphore(0)
        source = Source(items, gate=gate)
        producer = await ResumableStream(store(), "a").start(source)
        readers = [ResumableStream(store(), "a").read() for _ in range(3)]
        for n, item in enumerate(items):
            gate.release()
            assert [await anext(reader) for reader in readers] == [item] * 3
            assert source.given == n + 1
        gate.release()
        for reader in readers:
            assert [item async for item in reader] == []
        assert (await producer.wait()).how == "finished" and source.closed == 1

    run_each(main)


@pytest.mark.parametrize("seed", range(5))
def test_readers_that_drop_at_random_miss_nothing(run: Run[Any], seed: int) -> None:
    """Each takes a few items, leaves or is cancelled, and comes back behind the last it has seen: it has all of them, once."""
    rng = random.Random(seed)
    text = "".join(rng.choices("ab 12é🌊\n", k=400))
    cuts = sorted(rng.choices(range(len(text)), k=100))
    items = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    async def drop(answer: ResumableStream, got: list[str]) -> None:
        after = None
        while True:
            reader = answer.read(after)
            for _ in range(rng.randint(0, 9)):
                taking = asyncio.ensure_future(anext(reader, None))
                for _ in range(rng.randint(0, 3)):
                    await asyncio.sleep(0)
                if rng.random() < 0.1:
                    taking.cancel()
                    await asyncio.wait([taking])
                    break
                item = await taking
                if item is None:
                    return
                got.append(item)
                after = reader.last_id
            await reader.aclose()

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        producer = await answer.start(Source(items))
        every: list[list[str]] = [[] for _ in range(4)]
        await asyncio.gather(*(drop(ResumableStream(store(), "a"), got) for got in every))
        assert every == [items] * 4
        await producer.wait()

    run(main)


def test_a_recorded_stream_comes_back_chunk_by_chunk(run: Run[Any]) -> None:
    """A provider's recorded chunks, as dicts: what is read is what the recording says, filtered by an empty pipeline."""
    entries = [entry for entry in shared("openai.chat") if "tool" not in str(entry["file"])][:3]
    if not entries:
        pytest.skip("the shared recordings are not here")

    async def main(store: Open) -> None:
        for n, entry in enumerate(entries):
            want = chunks(body(entry))
            answer = ResumableStream(store(), f"a{n}")
            await answer.start(Source(want))
            assert await read(answer) == want

    run(main)


def test_ids_are_monotone_and_fit_an_event_stream(run: Run[Any]) -> None:
    """They grow within a stream, and from one to the next of the same id; they have no character that an `id:` cannot."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        seen: list[tuple[int, int]] = []
        for _ in range(3):
            await (await answer.start(Source(["x"] * 12))).wait()
            places = await ids(answer)
            assert all(set(place) <= set("0123456789-") for place in places)
            seen += [Position.read(place) for place in places]
            await answer.delete()
        assert seen == sorted(set(seen)) and len(seen) == 36

    run(main)


# (what, whether it is refused when it is given)
@pytest.mark.parametrize(
    "after",
    [
        "x",
        "1",
        "-",
        "1-",
        "-1",
        "1-1-1",
        "１-１",
        "1-1\n",
        "0x1-1",
        "1e3-1",
        "9" * 18 + "-1",
        "1-" + "9" * 16,
        "$",
        "+",
        "*",
        "1-1 {a}",
        "\0",
    ],
)
def test_an_event_id_that_is_none_is_refused(after: str) -> None:
    """A header may hold anything; the error quotes none of it."""
    with pytest.raises(NotResumable, match="none that this library has given"):
        ResumableStream(MemoryStore(), "a").read(after)


def test_an_event_id_from_elsewhere_is_refused(run: Run[Any]) -> None:
    """One of another stream of the same id, or beyond the end, or of the end itself, never gives a stream with a gap."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        await (await answer.start(Source(["x", "y"]))).wait()
        created = Position.read((await ids(answer))[0]).created
        for after in (f"{created}-3", f"{created}-4", f"{created}-999999999999999", f"{created - 1}-1", "0-0", "0-1"):
            with pytest.raises(NotResumable, match="event id"):
                await read(answer, after)
        assert await read(answer, f"{created}-0") == ["x", "y"]
        assert await read(answer, "") == ["x", "y"]

    run(main)


def test_leaving_ends_a_wait_and_two_cannot_wait(run: Run[Any]) -> None:
    """`aclose` from elsewhere ends what waits for the next item; a second one that waits is an error, and the first goes on."""

    async def main(store: Open) -> None:
        source = Source(["x"], ends=False)
        answer = ResumableStream(store(), "a")
        producer = await answer.start(source)
        reader = answer.read()
        assert await anext(reader) == "x"
        waiting = asyncio.ensure_future(anext(reader, "over"))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already"):
            await anext(reader)
        assert not waiting.done()
        await reader.aclose()
        assert await waiting == "over"
        await reader.aclose()
        await producer.aclose()
        assert source.closed == 1

    run(main)


# ---------------------------------------------------------------------- endings


def blocked() -> Blocked:
    return Blocked("canary", 12, "reasoning", left=20, reason=SECRET, score=0.5)


class Odd(Blocked):
    """One that is made otherwise."""

    def __init__(self) -> None:
        Exception.__init__(self, SECRET)


class Loud(Exception):
    """Says what it must not."""


ERRORS: list[tuple[Exception, type[Exception], str]] = [
    (blocked(), Blocked, str(blocked())),
    (
        ModerationError("toxic", "gave no verdict within 2.0 s", 7),
        ModerationError,
        str(ModerationError("toxic", "gave no verdict within 2.0 s", 7)),
    ),
    (SourceTimeout("between", 3.0), SourceTimeout, str(SourceTimeout("between", 3.0))),
    (LimitExceeded("max_hold", 10, "rule a"), LimitExceeded, "max_hold of 10 exceeded: rule a"),
    (MalformedInput("bad", 3, line=1, column=4, path=(SECRET,)), MalformedInput, "bad, at line 1, column 4 (offset 3)"),
    (TruncatedInput("cut", 3), TruncatedInput, "cut, at offset 3"),
    (Loud(SECRET), ProducerFailed, "the stream ended with an error where it was written: Loud"),
    (ConnectionResetError(SECRET), ProducerFailed, "the stream ended with an error where it was written: ConnectionResetError"),
    (TimeoutError(SECRET), ProducerTimeout, "the stream ended with an error where it was written: TimeoutError"),
    (Odd(), ProducerFailed, "the stream ended with an error where it was written: Blocked"),
    (type("N" * 500, (Exception,), {})(), ProducerFailed, "the stream ended with an error where it was written: " + "N" * 100),
]


@pytest.mark.parametrize(("error", "kind", "message"), ERRORS, ids=[type(error).__name__[:20] for error, *_ in ERRORS])
def test_an_error_reaches_every_reader_and_none_of_its_text(
    run: Run[Any], error: Exception, kind: type[Exception], message: str
) -> None:
    """After the items before it: one of the library's own as it was, others by their class. The writer's own gets the original."""

    async def main(store: Open) -> None:
        source = Source(["a", "b"], error=error)
        answer = ResumableStream(store(), "a")
        producer = await answer.start(source)
        for reader in (answer.read(), ResumableStream(store(), "a").read()):
            got = []
            with pytest.raises(kind) as caught:
                async for item in reader:
                    got.append(item)  # noqa: PERF401  # they are kept although an error follows
            assert got == ["a", "b"] and type(caught.value) is kind and str(caught.value) == message
            assert SECRET not in repr(caught.value) and SECRET not in repr(vars(caught.value)) and SECRET not in repr(reader.ended)
            assert reader.ended is not None and reader.ended.how == "failed"
            assert isinstance(caught.value, TimeoutError) == isinstance(error, TimeoutError)
            assert repr(pickle.loads(pickle.dumps(caught.value))) == repr(caught.value)
        with pytest.raises(type(error)) as own:
            await producer.wait()
        assert own.value is error and source.closed == 1

    run(main)


def test_quiet_endings_reach_every_reader(run: Run[Any]) -> None:
    """The source ran out; a stage has ended it: the reader ends, and says which."""

    async def main(store: Open) -> None:
        plain, stopped = ResumableStream(store(), "a"), ResumableStream(store(), "b")
        await plain.start(sf.StopAt("END")(Source(["a", "b"])))
        source = Source(["a", " EN", "D b"], ends=False)
        await stopped.start(sf.StopAt("END")(source))
        wanted: list[tuple[ResumableStream, str, How]] = [(plain, "ab", "finished"), (stopped, "a ", "stopped")]
        for answer, items, how in wanted:
            for _ in range(2):
                reader = answer.read()
                assert "".join([item async for item in reader]) == items
                assert reader.ended == Ended(how)
        assert source.closed == 1
        assert await plain.status() == "ended"

    run(main)


def test_a_refusal_is_raised_behind_what_was_certain(run: Run[Any]) -> None:
    """What a pipeline that blocks delivers and raises is what readers get, and the store has nothing else."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        source = Source(["fine. ", "the can", "ary sings"], ends=False)
        await answer.start(sf.Block(sf.Terms(["canary"], name="canary"))(source))
        got = []
        with pytest.raises(Blocked, match="rule canary matched at character 10"):
            async for item in answer.read():
                got.append(item)  # noqa: PERF401  # as above
        assert "".join(got) == "fine. the " and source.closed == 1

    run(main)


def test_stages_that_wait_end_as_they_do_elsewhere(run: Run[Any]) -> None:
    """A time-out in a pipeline with tasks of its own is a time-out for readers; what came before is there, what is held is not."""

    async def main(store: Open) -> None:
        source = Source(["card ", "4111 11"], ends=False)
        answer = ResumableStream(store(), "a")
        producer = await answer.start((sf.Timeout(between=0.2) | sf.Redact(r"\d{4} \d{4}", to="#"))(source))
        reader = ResumableStream(store(), "a").read()
        assert await anext(reader) == "card "
        with pytest.raises(SourceTimeout, match="between"):
            await anext(reader)
        with pytest.raises(SourceTimeout):
            await producer.wait()
        assert source.closed == 1
        with pytest.raises(StopAsyncIteration):
            await anext(reader)

    run(main)


def test_a_reader_is_a_source_for_pipelines(run: Run[Any]) -> None:
    """What is read may be filtered again, for one reader only; leaving that stream leaves the reader."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        producer = await answer.start(Source(["one ", "two ", "three"], ends=False))
        reader = answer.read()
        async with sf.MapText(str.upper)(reader) as stream:
            assert [await anext(stream), await anext(stream)] == ["ONE ", "TWO "]
        assert [item async for item in reader] == []
        again = answer.read(reader.last_id)
        assert await anext(again) == "three"
        await again.aclose()
        await producer.aclose()

    run(main)


def test_a_fast_source_waits_for_a_slow_store() -> None:
    """No more than a batch gathers before the store has it, and it is written in one go."""

    class Slow(MemoryStore):
        sizes: list[int] = []

        async def append(self, id: str, owner: str, first: int, name: str, payloads: Sequence[str]) -> Any:  # noqa: A002
            await asyncio.sleep(0.2)
            self.sizes.append(len(payloads))
            return await super().append(id, owner, first, name, payloads)

    async def main() -> None:
        source = Source([str(n) for n in range(1000)])
        store = Slow()
        producer = await ResumableStream(store, "a").start(source)
        async for item in ResumableStream(store, "a").read():
            assert source.given <= int(item) + 2 * 100
        await producer.wait()
        assert len([size for size in store.sizes if size]) < 25 and 99 <= max(store.sizes) <= 100

    run_virtually(main())


ENDS: list[tuple[str, Callable[[Any, ResumableStream], Awaitable[object]], str, type[Exception] | None]] = [
    ("cancel", lambda producer, answer: producer.aclose(), "cancelled", ProducerFailed),
    ("stop", lambda producer, answer: answer.stop(), "asked", None),
]


@pytest.mark.parametrize(("name", "end", "how", "error"), ENDS, ids=[each[0] for each in ENDS])
def test_held_text_dies_when_it_is_ended_from_outside(run: Run[Any], name: str, end: Any, how: str, error: Any) -> None:
    """A cancel or a stop, while half a secret is held: the source is closed, and what is held never enters the store."""

    async def main(store: Open) -> None:
        source = Source(["card ", "4111 11"], ends=False)
        answer = ResumableStream(store(), "a", lease_seconds=1.5)
        producer = await answer.start(sf.Redact(r"\d{4} \d{4}", to="#")(source))
        other = ResumableStream(store(), "a")
        reader = other.read()
        assert await anext(reader) == "card "
        await source.until(2)
        assert await other.status() == "live"
        await end(producer, other)
        with pytest.raises(error) if error else contextlib.nullcontext():
            assert [item async for item in reader] == []
        assert reader.ended is not None and reader.ended.how == how
        assert source.closed == 1
        assert (await producer.wait()).how == how
        assert await end(producer, other) in (None, False)  # once more does nothing
        with pytest.raises(error) if error else contextlib.nullcontext():
            assert "4" not in "".join([item async for item in other.read()])

    run(main)


@pytest.mark.parametrize("turns", range(16))
def test_whenever_a_writer_is_closed_its_readers_are_told(run: Run[Any], turns: int) -> None:
    """Before its task has begun, while it reads, writes what waits or tells its end: there is an end, and no lease to wait for."""

    async def main(store: Open) -> None:
        source = Source(["card ", "4111 11", "11 ", "4111 1"])
        answer = ResumableStream(store(), "a", lease_seconds=LONG)
        producer = await answer.start(sf.Redact(r"\d{4} \d{4}", to="#")(source))
        for _ in range(turns):
            await asyncio.sleep(0)
        await producer.aclose()
        assert source.closed == 1 or source.given == 4
        text, reader = "", ResumableStream(store(), "a").read()
        with contextlib.suppress(ProducerFailed):
            async for item in reader:
                text += item
        assert reader.ended is not None and reader.ended == producer.ended == await producer.wait()
        assert reader.ended.how in ("cancelled", "finished")
        assert text == "card # 4111 1" if reader.ended.how == "finished" else "card # ".startswith(text.removesuffix("4111 1"))

    run(main)


class Hesitant(MemoryStore):
    """Takes entries or the end only when it has been asked a second time, or is told to."""

    def __init__(self, call: str) -> None:
        super().__init__()
        self._call = call
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def append(self, id: str, owner: str, first: int, name: str, payloads: Sequence[str]) -> Any:  # noqa: A002
        if payloads:
            await self._wait("append")
        return await super().append(id, owner, first, name, payloads)

    async def end(self, id: str, owner: str, first: int, name: str, payload: str) -> None:  # noqa: A002
        await self._wait("end")
        await super().end(id, owner, first, name, payload)

    async def _wait(self, call: str) -> None:
        if call == self._call and not self.asked.is_set():
            self.asked.set()
            await self.go_on.wait()


@pytest.mark.parametrize(("call", "how"), [("append", "cancelled"), ("end", "finished")])
def test_a_writer_that_is_closed_while_it_waits_for_the_store_tells_its_end(call: str, how: str) -> None:
    """All was read, and the store takes its time over the last items or the end: readers learn of the end at once all the same."""

    async def main() -> None:
        store = Hesitant(call)
        answer = ResumableStream(store, "a", lease_seconds=LONG)
        producer = await answer.start(Source("ab"))
        await store.asked.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        await producer.aclose()
        assert await answer.status() == "ended"
        reader = answer.read()
        with contextlib.suppress(ProducerFailed):
            assert [item async for item in reader] == (["a", "b"] if call == "end" else [])
        assert reader.ended == producer.ended and producer.ended is not None and producer.ended.how == how

    run_virtually(main())


def test_a_server_that_goes_down_ends_what_it_writes(run: Run[Any]) -> None:
    """What ends in time has all of it in the store; the rest is cancelled, its source closed, its readers told. Others go on."""

    async def main(store: Open) -> None:
        view, other = store(), store()
        far = other if other is not view else MemoryStore()
        gate = asyncio.Semaphore(0)
        sources = [Source("ab", gate=gate), Source("ab", ends=False), Source("ab", ends=False)]
        stores = [view, view, far]
        producers = [await ResumableStream(stores[n], str(n)).start(sources[n]) for n in range(3)]
        closing = asyncio.ensure_future(close_producers(view, 2.0))
        for _ in range(3):
            gate.release()
        assert await read(ResumableStream(store(), "0")) == ["a", "b"]
        with pytest.raises(ProducerFailed, match="CancelledError"):
            await read(ResumableStream(store(), "1"))
        await closing
        assert [each.ended and each.ended.how for each in producers] == ["finished", "cancelled", None]
        assert [each.closed for each in sources] == [1, 1, 0]
        waiting = asyncio.ensure_future(close_producers(far, None))
        await asyncio.sleep(1)
        assert not waiting.done()
        await ResumableStream(far, "2").stop()
        await waiting
        assert producers[2].ended is not None and producers[2].ended.how == "asked"
        await close_producers(view)  # there are none
        for seconds in (-1, float("inf"), "1"):
            with pytest.raises(ValueError, match="seconds"):
                await close_producers(view, seconds)  # type: ignore[arg-type]

    run(main)


def test_it_goes_on_when_all_readers_have_left(run: Run[Any]) -> None:
    """Unless declared otherwise: they come back to all of it."""

    async def main(store: Open) -> None:
        gate = asyncio.Semaphore(1)
        answer = ResumableStream(store(), "a")
        producer = await answer.start(Source("abc", gate=gate))
        async with answer.read() as reader:
            assert await anext(reader) == "a"
        await asyncio.sleep(0.5)
        for _ in range(3):
            gate.release()
        assert (await producer.wait()).how == "finished"
        assert await read(answer, reader.last_id) == ["b", "c"]

    run(main)


@pytest.mark.parametrize("unread", [0, 0.3])
def test_it_stops_with_its_last_reader_if_so_declared(run: Run[Any], unread: float) -> None:
    """Not before the first one has come, nor while one of two is there, even one that asks for nothing; then it stops."""

    async def main(store: Open) -> None:
        source = Source(["a"], ends=False)
        answer = ResumableStream(store(), "a", unread_seconds=unread, lease_seconds=1.2)
        producer = await answer.start(source)
        await asyncio.sleep(0.5)
        assert producer.ended is None
        idle, brief = ResumableStream(store(), "a").read(), answer.read()
        assert await anext(idle) == await anext(brief) == "a"
        await brief.aclose()
        await asyncio.sleep(2)  # more than the reader's lease, in which it does nothing
        assert producer.ended is None and source.closed == 0
        await idle.aclose()
        assert (await producer.wait()).how == "unread" and source.closed == 1
        reader = answer.read()
        assert [item async for item in reader] == ["a"] and reader.ended == Ended("unread")

    run(main)


def test_a_reader_that_comes_back_in_time_keeps_it_going(run: Run[Any]) -> None:
    """The time without readers begins anew with each of them."""

    async def main(store: Open) -> None:
        source = Source(["a"], ends=False)
        answer = ResumableStream(store(), "a", unread_seconds=3.0)
        producer = await answer.start(source)
        for _ in range(3):
            reader = answer.read()
            assert await anext(reader) == "a"
            await reader.aclose()
            await asyncio.sleep(1.2)
            assert producer.ended is None
        await producer.aclose()

    run(main)


def test_a_reader_that_is_cut_off_before_it_was_heard_has_come_and_left(run: Run[Any]) -> None:
    """Its first question may never reach the store, as a client may leave at any time: its leaving says that it was there."""

    async def main(store: Open) -> None:
        source = Source(["x"], ends=False)
        producer = await ResumableStream(store(), "a", unread_seconds=0.3).start(source)
        other = await ResumableStream(store(), "b").start(Source(["x"]))
        for id in ("a", "b"):  # noqa: A001
            deaf: Any = MemoryStore()
            deaf.page, deaf.leave = lambda *_: asyncio.Event().wait(), store().leave
            waiting = asyncio.ensure_future(anext(ResumableStream(deaf, id).read()))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert (await producer.wait()).how == "unread" and source.closed == 1
        assert (await other.wait()).how == "finished"  # one that counts no readers

    run(main)


def test_a_reader_that_leaves_while_another_reads_stops_nothing(run: Run[Any]) -> None:
    """Whether the store had heard of it or not, and however often it says so."""

    async def main(store: Open) -> None:
        view = store()
        await view.create("a", "me", Terms(30.0, 100.0, 1000, counts_readers=True))
        await view.page("a", 0, 1, "one")
        for reader in ("never heard of", "one"):
            assert (await view.append("a", "me", 1, ITEM, [])).unread_seconds == 0
            await view.leave("a", reader)
        await asyncio.sleep(0.1)
        before = (await view.append("a", "me", 1, ITEM, [])).unread_seconds
        await view.leave("a", "one")  # does not begin the time anew
        assert 0.05 < before <= (await view.append("a", "me", 1, ITEM, [])).unread_seconds

    run(main)


def test_a_reader_of_a_deleted_stream_does_not_count_for_another_of_the_same_id(run: Run[Any]) -> None:
    """What it says of itself, that it is there or that it leaves, is said of the stream that it has read."""

    async def main(store: Open) -> None:
        view, terms = store(), Terms(30.0, 100.0, 1000, counts_readers=True)
        first = await view.create("a", "me", terms)
        await view.page("a", 0, 1, "old", first)
        await view.delete("a")
        second = await view.create("a", "me again", terms)
        await view.leave("a", "old", first)
        await asyncio.sleep(0.1)
        assert (await view.append("a", "me again", 1, ITEM, [])).unread_seconds == 0  # nobody has come yet
        assert (await view.page("a", 0, 1, "old", first)).created == second
        await view.page("a", 0, 1, "new", second)
        await view.leave("a", "new", second)
        await asyncio.sleep(0.1)
        assert (await view.append("a", "me again", 1, ITEM, [])).unread_seconds > 0.05

    run(main)


def test_readers_that_leave_a_deleted_stream_do_not_end_the_next(run: Run[Any]) -> None:
    """An answer is asked for anew under the same id while somebody still has the old one open."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a", unread_seconds=0, lease_seconds=1.2)
        await answer.start(Source(["x"], ends=False))
        readers = [answer.read() for _ in range(2)]
        for reader in readers:
            assert await anext(reader) == "x"
        await answer.delete()
        producer = await answer.start(source := Source(["y"], ends=False))
        await readers[0].aclose()
        await asyncio.sleep(1.5)  # the other one still says that it is there, of the old one
        assert await answer.status() == "live" and source.closed == 0
        async with answer.read() as reader:
            assert await anext(reader) == "y"
        assert (await producer.wait()).how == "unread"
        await readers[1].aclose()

    run(main)


def test_a_reader_that_vanishes_counts_until_its_lease_is_over(run: Run[Any]) -> None:
    """Nobody says good-bye for one whose server was killed."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a", unread_seconds=0, lease_seconds=1.2)
        producer = await answer.start(Source(["a"], ends=False))
        view = store()
        await view.page("a", 0, 1, "somebody")
        assert (await producer.wait()).how == "unread"

    run(main)


# ---------------------------------------------------------------------- writers


async def begun(store: Store, lease: float, *payloads: str) -> None:
    """A stream whose writer is gone."""
    await store.create("a", "owner", Terms(lease, 100.0, 1000, counts_readers=False))
    await store.append("a", "owner", 1, ITEM, payloads)


def test_a_dead_writer_is_told_from_a_slow_one(run: Run[Any]) -> None:
    """A reader of a stream that nobody writes any more gets what there is, and then an error; one that is silent for long does not."""

    async def main(store: Open) -> None:
        await begun(store(), 0.5, '"x"')
        dead = ResumableStream(store(), "a")
        reader = dead.read()
        assert await anext(reader) == "x"
        with pytest.raises(ProducerLost, match="no sign of life"):
            await anext(reader)
        assert await dead.status() == "lost" and not await dead.stop()
        with pytest.raises(ProducerLost):
            await read(dead, reader.last_id)
        gate = asyncio.Semaphore(1)
        slow = ResumableStream(store(), "b", lease_seconds=1.2)
        producer = await slow.start(Source(["x", "y"], gate=gate))
        reader = slow.read()
        assert await anext(reader) == "x"
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(2)
        assert not waiting.done()
        gate.release()
        gate.release()
        assert await waiting == "y"
        assert (await producer.wait()).how == "finished"
        await reader.aclose()

    run(main)


def test_what_is_said_twice_is_there_once(run: Run[Any]) -> None:
    """A writer that has not got an answer says the same again: no item is doubled; a gap, another writer or a late one is refused."""

    async def main(store: Open) -> None:
        view = store()
        terms = Terms(30.0, 100.0, 1000, counts_readers=False)
        created = await view.create("a", "me", terms)
        assert created == await view.create("a", "me", terms)
        for first, payloads in ((1, ["1", "2"]), (1, ["1", "2"]), (2, ["2", "3"]), (3, ["3"]), (1, [])):
            await view.append("a", "me", first, ITEM, payloads)
        assert [entry.payload for entry in (await view.page("a", 0, 10, "")).entries] == ["1", "2", "3"]
        for owner, first in (("you", 4), ("me", 5)):
            with pytest.raises(StoreFailed, match="no longer there"):
                await view.append("a", owner, first, ITEM, ["4"])
        with pytest.raises(StoreFailed, match="no longer there"):  # of what it had taken, something is missing
            await view.end("a", "me", 5, END, ending_encoded(Ended("finished")))
        for first in (3, 4):  # the writer may not know yet that the third one was taken
            await view.end("a", "me", first, END, ending_encoded(Ended("finished")))
        with pytest.raises(StoreFailed, match="no longer there"):
            await view.append("a", "me", 4, ITEM, ["4"])
        assert await read(ResumableStream(view, "a")) == [1, 2, 3]
        await view.create("b", "me", Terms(0.2, 100.0, 1000, counts_readers=False))
        await asyncio.sleep(0.4)
        with pytest.raises(StoreFailed, match="longer than its lease"):
            await view.append("b", "me", 1, ITEM, ["1"])

    run(main)


def test_a_stream_is_started_once(run: Run[Any]) -> None:
    """The second source is closed, also before it was read; what there is can be deleted and started anew."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        first = await answer.start(Source("ab"))
        for _ in range(2):
            second = Source("xy")
            with pytest.raises(StreamExists, match="started already"):
                await ResumableStream(store(), "a").start(second)
            assert (second.given, second.closed) == (0, 1)
            await first.wait()
        assert await answer.delete() and not await answer.delete()
        await (await answer.start(Source("xy"))).wait()
        assert await read(answer) == ["x", "y"]

    run(main)


def test_of_many_that_start_one_does(run: Run[Any]) -> None:
    """At the same time, from several servers."""

    async def main(store: Open) -> None:
        sources = [Source([str(n)]) for n in range(8)]
        results = await asyncio.gather(*(ResumableStream(store(), "a").start(source) for source in sources), return_exceptions=True)
        assert sum(isinstance(result, StreamExists) for result in results) == 7
        (winner,) = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
        assert await read(ResumableStream(store(), "a")) == [str(winner)]
        assert [source.closed for n, source in enumerate(sources) if n != winner] == [1] * 7

    run(main)


def test_a_stream_that_is_not_there_is_unknown(run: Run[Any]) -> None:
    """Never started, deleted while it is read, or expired."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a", lease_seconds=1.2, keep_seconds=0.6)
        with pytest.raises(StreamUnknown, match="no stream with this id"):
            await read(answer)
        assert await answer.status() is None and not await answer.stop()
        source = Source(["x"], ends=False)
        producer = await answer.start(source)
        reader = answer.read()
        assert await anext(reader) == "x"
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.05)
        assert await answer.delete()
        with pytest.raises(StreamUnknown):
            await waiting
        with pytest.raises(StoreFailed):
            await producer.wait()
        assert source.closed == 1
        await (await answer.start(Source(["x"]))).wait()
        assert await read(answer) == ["x"]
        while await answer.status() is not None:  # noqa: ASYNC110  # nobody is told that a key has expired
            await asyncio.sleep(0.05)
        with pytest.raises(StreamUnknown):
            await read(answer)
        await (await answer.start(Source(["y"]))).wait()
        assert await read(answer) == ["y"]

    run(main)


def test_a_stream_that_goes_on_does_not_expire(run: Run[Any]) -> None:
    """However short it is kept: it is, from its last sign of life on."""

    async def main(store: Open) -> None:
        gate = asyncio.Semaphore(1)
        answer = ResumableStream(store(), "a", lease_seconds=1.2, keep_seconds=0.6)
        producer = await answer.start(Source(["x", "y"], gate=gate))
        await asyncio.sleep(2)
        gate.release()
        gate.release()
        await producer.wait()
        assert await read(answer) == ["x", "y"]

    run(main)


def test_what_is_no_longer_kept_is_an_error_and_no_gap(run: Run[Any]) -> None:
    """Of more than `max_items` the first ones go: who needs them is told, who does not, goes on. Any number is kept below."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a", max_items=50)
        items = [f"{n} " * 20 for n in range(1000)]
        gate = asyncio.Semaphore(10)
        producer = await answer.start(Source(items, gate=gate))
        late = answer.read()
        early = [await anext(late) for _ in range(10)]
        for _ in range(1000):
            gate.release()
        await producer.wait()
        with pytest.raises(NotResumable, match="max_items"):
            await read(answer)
        with pytest.raises(NotResumable, match="max_items"):
            early += [item async for item in late]
        assert early == items[: len(early)]
        created = Position.read(str(late.last_id)).created
        assert await read(answer, f"{created}-951") == items[951:]
        page = await store().page("a", 999, 10, "")
        assert (page.last, len(page.entries)) == (1001, 2)

    run(main)


def test_more_bytes_than_allowed_end_the_stream(run: Run[Any]) -> None:
    """With an error that says so, for the writer and the readers; what would be beyond is not written."""

    async def main(store: Open) -> None:
        source = Source(["12345678", "é234567", "1"], ends=False)
        answer = ResumableStream(store(), "a", max_bytes=20)
        producer = await answer.start(source)
        got = []
        with pytest.raises(LimitExceeded, match="max_bytes of 20 exceeded: a resumable stream, at its item 3"):
            async for item in answer.read():
                got.append(item)  # noqa: PERF401  # as above
        assert got == ["12345678", "é234567"]  # as JSON, 10 bytes each
        with pytest.raises(LimitExceeded):
            await producer.wait()
        assert source.closed == 1

    run(main)


def test_an_item_that_cannot_be_stored_ends_the_stream(run: Run[Any]) -> None:
    """With a TypeError where it is written, of which readers are told the class."""

    async def main(store: Open) -> None:
        source = Source(["a", object(), "b"])
        answer = ResumableStream(store(), "a")
        producer = await answer.start(source)
        with pytest.raises(ProducerFailed, match="TypeError"):
            await read(answer)
        with pytest.raises(TypeError, match="an item is object"):
            await producer.wait()
        assert source.closed == 1

    run(main)


def test_a_reader_refuses_what_a_newer_version_has_written(run: Run[Any]) -> None:
    """It says so, rather than guess."""

    async def main(store: Open) -> None:
        view = store()
        await view.create("a", "me", Terms(5.0, 5.0, 10, counts_readers=False))
        await view.append("a", "me", 1, "v2", ["{}"])
        with pytest.raises(MalformedInput, match="version"):
            await read(ResumableStream(view, "a"))

    run(main)


@pytest.mark.parametrize("cut", [1, 2, 5, 9])
def test_nothing_of_a_secret_is_ever_in_the_store(run: Run[Any], cut: int) -> None:
    """Whatever the cuts: of what is redacted no part enters it, also when the source fails in the middle."""
    text = "pin 4111 1111 and more"

    async def main(store: Open) -> None:
        view = store()
        for n, pieces in enumerate(([text[i : i + cut] for i in range(0, len(text), cut)], [text[: 4 + cut]])):
            error = ConnectionError(SECRET) if n else None
            answer = ResumableStream(view, f"a{n}")
            producer = await answer.start(sf.Redact(r"\d{4} \d{4}", to="#")(Source(pieces, error=error)))
            with contextlib.suppress(ConnectionError):
                await producer.wait()
            stored = [entry.payload for entry in (await view.page(f"a{n}", 0, 100, "")).entries]
            assert len(stored) > 1 and not any(digit in payload for payload in stored[:-1] for digit in "0123456789")
            assert SECRET not in "".join(stored)

    run(main)


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"id": ""}, ValueError, "1 to 256"),
        ({"id": "a b"}, ValueError, "no blanks"),
        ({"id": "{a}"}, ValueError, "braces"),
        ({"id": "a" * 257}, ValueError, "256"),
        ({"id": "a\n"}, ValueError, "control"),
        ({"id": "\ud800"}, ValueError, "control"),
        ({"id": 7}, TypeError, "int"),
        ({"unread_seconds": -1}, ValueError, "unread_seconds=-1: seconds of at least 0"),
        ({"lease_seconds": 0}, ValueError, "lease_seconds=0: seconds above 0"),
        ({"lease_seconds": float("nan")}, ValueError, "lease_seconds"),
        ({"keep_seconds": float("inf")}, ValueError, "keep_seconds"),
        ({"keep_seconds": "1"}, ValueError, "keep_seconds"),
        ({"max_items": 0}, ValueError, "max_items=0"),
        ({"max_bytes": 1.5}, ValueError, "max_bytes=1.5"),
        ({"events": [str]}, TypeError, "a dataclass that is derived from Event"),
        ({"events": [Note, Note]}, ValueError, "another event named Note"),
        ({"events": [Finish]}, ValueError, "another event named Finish"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """When it is built, and the message says what would be right."""
    with pytest.raises(error, match=message):
        ResumableStream(**{"store": MemoryStore(), "id": "a", **arguments})


def test_what_is_no_stream_is_refused_before_anything_begins(run: Run[Any]) -> None:
    """A text, a plain iterable, a coroutine: as everywhere."""

    async def main(store: Open) -> None:
        answer = ResumableStream(store(), "a")
        for source in ("text", ["a"], 7):
            with pytest.raises(TypeError, match="not an async iterable"):
                await answer.start(source)  # type: ignore[arg-type]
        assert await answer.status() is None

    run(main)


def test_no_repr_has_an_id_or_a_text() -> None:
    """An id is all that one needs to read a stream."""

    async def main() -> None:
        answer = ResumableStream(MemoryStore(), SECRET)
        producer = await answer.start(Source([SECRET]))
        reader = answer.read()
        await anext(reader)
        for value in (answer, producer, reader, MemoryStore()):
            assert SECRET not in repr(value)
        await producer.wait()

    run_virtually(main())


def test_hours_in_memory_costs_no_time_and_keeps_nothing() -> None:
    """A slow stream with a reader, in virtual time; and streams that have expired are let go."""

    async def main() -> int:
        store = MemoryStore()
        for n in range(20):
            answer = ResumableStream(store, str(n), keep_seconds=10)

            async def hourly() -> AsyncIterator[str]:
                yield "tick"
                await asyncio.sleep(600)
                yield "tock"

            await answer.start(hourly())
            assert await read(answer) == ["tick", "tock"]
        return len(store._streams)

    assert run_virtually(main(), debug=False) <= 2


@pytest.mark.parametrize("size", [99, 100, 101, 2000])
def test_who_catches_up_gives_others_their_turns(size: int) -> None:
    """One behind each page, also where the store never waits; and who is left in such a turn gives nothing more."""

    async def main() -> tuple[int, int]:
        stream = ResumableStream(MemoryStore(), "long")
        producer = await stream.start(Source([f"{n} " for n in range(size)]))
        await producer.wait()
        turns = 0

        async def read() -> list[Any]:
            async with stream.read() as reader:
                return [item async for item in reader]

        task = asyncio.create_task(read())
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
        assert await task == [f"{n} " for n in range(size)]
        left, got = stream.read(), 0

        async def read_some() -> None:
            nonlocal got
            async for _ in left:
                got += 1

        reading = asyncio.create_task(read_some())
        await asyncio.sleep(0)
        await left.aclose()
        await reading
        return turns, got

    turns, got = run_virtually(main())
    assert turns > size // PAGE_ITEMS
    assert got == min(size, PAGE_ITEMS)
