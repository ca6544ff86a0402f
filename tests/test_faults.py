"""A provider that fails, and readers that do: real processes, real sockets, the real client.

For each fault: what the reader got is what the text that had come means as a whole, but for the word that was still open; nothing of
that word is in what was raised or logged; the same exception came that the client raises by itself; and everything is closed.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import failing_server
import pytest
from failing_server import FAULT_AT, MANY, PIECES, SECRET, TEXT, WAIT, Server

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import LeakCheck

openai = pytest.importorskip("openai", reason="the client that reads")

FILTER = sf.Redact(r"[\w.]+@example\.org", to="[email]")
FIVE = sf.Unicode() | FILTER | sf.StopAt("<never>") | sf.Limit(max_chars=10**6) | sf.StripANSI()
SENT = "".join(PIECES[:FAULT_AT])
EVENTS = ["broken json", "not utf-8", "another shape"]
"""Garbage that is framed as an event is."""


def whole(text: str) -> str:
    """What a text means."""
    return re.sub(r"[\w.]+@example\.org", "[email]", text)


def seen(text: str) -> str:
    """What may be seen of it while it still goes on: all but a last word, which could become an address."""
    return whole(re.sub(r"[\w.]+$", "", text))


assert re.search(r"ada\.lov\w*$", SENT)
assert whole(TEXT).startswith(seen(SENT))
assert not seen(SENT).endswith("[email]")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with failing_server.running() as running:
        yield running


# ------------------------------------------------------------------ readers

Open = Callable[[str, str], Any]


@asynccontextmanager
async def text_of(url: str, model: str, stage: Any = FILTER, **rest: Any) -> AsyncIterator[AsyncIterator[str]]:
    """The text of the client's stream, through a pipeline."""
    async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
        source = await client.chat.completions.create(model=model, messages=[], stream=True)
        try:
            async with stage(sf.text_of(source), **rest) as stream:
                yield stream
        finally:
            assert source.response.is_closed


@asynccontextmanager
async def wrapped(url: str, model: str) -> AsyncIterator[AsyncIterator[str]]:
    """The client's chunks, with a pipeline inside."""
    async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
        source = await client.chat.completions.create(model=model, messages=[], stream=True)
        try:
            async with chat.wrap(FIVE)(source) as stream:
                yield _contents(stream)
        finally:
            assert source.response.is_closed


@asynccontextmanager
async def guarded(url: str, model: str) -> AsyncIterator[AsyncIterator[str]]:
    """A guarded client's own stream."""
    async with sf.guard(openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0), response=FILTER) as client:
        source = await client.chat.completions.create(model=model, messages=[], stream=True)
        async with source:
            yield _contents(source)
        assert source.response.is_closed


@asynccontextmanager
async def waiting(url: str, model: str) -> AsyncIterator[AsyncIterator[str]]:
    """A pipeline with a check in it, so that a task reads the source."""

    async def check(_: sf.Window) -> bool:
        await asyncio.sleep(0)
        return True

    async with text_of(url, model, FILTER | sf.Moderate(check, window=sf.by_chars(1))) as stream:
        yield stream


@asynccontextmanager
async def unfiltered(url: str, model: str) -> AsyncIterator[AsyncIterator[str]]:
    """The client by itself."""
    client = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    async with client, await client.chat.completions.create(model=model, messages=[], stream=True) as source:
        yield _contents(source)


async def _contents(stream: Any) -> AsyncIterator[str]:
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                yield choice.delta.content


OPEN: dict[str, Open] = {"text": text_of, "wrap": wrapped, "guard": guarded, "moderate": waiting}
readers = pytest.mark.parametrize("opened", OPEN.values(), ids=OPEN)


async def failing(opened: Open, server: Server, model: str, come: Callable[[], object], until: str) -> BaseException:
    """Read until a text has come; then let the fault come, and read on. What is raised; nothing comes before that."""
    got, raised = "", None
    try:
        async with opened(server.url, model) as stream:
            async for text in stream:
                got += text
                if got == until:
                    come()
    except Exception as error:  # whatever it is, it is looked at
        raised = error
    assert got == until
    assert raised is not None
    return raised


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No file or socket stays open that was opened meanwhile, and no task or generator is found unclosed."""
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ------------------------------------------------------------------ the provider fails


@pytest.mark.parametrize(
    ("opened", "fault"),
    [
        pytest.param(opened, fault, id=f"{name}-{fault}")
        for name, opened in OPEN.items()
        for fault in ("reset", "half-closed", "no chunk size", "broken json", "not utf-8")
        if opened is not guarded or fault not in EVENTS  # which a guarded client reads itself, see below
    ],
)
def test_a_fault_of_the_provider(server: Server, nothing_left: None, opened: Open, fault: str) -> None:
    """The reader has all that could leave before the fault, and the very error that the client raises by itself, and nothing else."""

    async def main() -> None:
        async with LeakCheck(SECRET) as leaks:
            raised = await failing(opened, server, fault, server.go, seen(SENT))
            leaks.look(raised)
            await server.hears("left")
        expected = await failing(unfiltered, server, fault, server.go, SENT)
        await server.hears("left")
        assert type(raised) is type(expected)

    asyncio.run(main())


@pytest.mark.parametrize("fault", EVENTS)
def test_garbage_that_the_library_reads(server: Server, nothing_left: None, fault: str) -> None:
    """An event that cannot be read ends the stream there, with an error of ours: held text dies, as on any error of the source."""

    async def main() -> None:
        async with LeakCheck(SECRET) as leaks:
            raised = await failing(guarded, server, fault, server.go, seen(SENT))
            leaks.look(raised)
            assert isinstance(raised, sf.MalformedInput)
            assert "tru" not in str(raised)
            await server.hears("left")

    asyncio.run(main())


@pytest.mark.parametrize("opened", [text_of, waiting], ids=["text", "moderate"])
def test_chunks_of_another_shape(server: Server, nothing_left: None, opened: Open) -> None:
    """What the client lets pass and the library cannot read is an error of the sender: held text dies."""

    async def main() -> None:
        async with LeakCheck(SECRET) as leaks:
            raised = await failing(opened, server, "another shape", server.go, seen(SENT))
            leaks.look(raised)
            assert isinstance(raised, TypeError)
            await server.hears("left")

    asyncio.run(main())


@readers
def test_a_killed_provider(nothing_left: None, opened: Open) -> None:
    """The same when its process is killed."""

    async def main(server: Server) -> None:
        async with LeakCheck(SECRET) as leaks:
            raised = await failing(opened, server, "none", server.kill, seen(SENT))
            leaks.look(raised)
        assert type(raised).__module__.startswith("httpx") or isinstance(raised, (openai.APIConnectionError, ConnectionError))

    with failing_server.running() as server:
        asyncio.run(main(server))


@readers
def test_none(server: Server, nothing_left: None, opened: Open) -> None:
    """Without a fault, all of it."""

    async def main() -> None:
        got = ""
        async with opened(server.url, "none") as stream:
            async for text in stream:
                got += text
                if got == seen(SENT):
                    server.go()
        await server.hears("left")
        assert got == whole(TEXT)

    asyncio.run(main())


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], object], list[bool]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> Any:
        timer = _Timer()
        self.timers.append((when, callback, timer.off))
        return timer

    def move(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback, off in due:
            if not off:
                callback()


class _Timer:
    def __init__(self) -> None:
        self.off: list[bool] = []

    def cancel(self) -> None:
        self.off.append(True)


@pytest.mark.parametrize("stage", [FILTER, FIVE], ids=["one", "five"])
def test_a_provider_that_stalls(server: Server, nothing_left: None, stage: Any) -> None:
    """After so many seconds without a chunk `SourceTimeout` is raised, and the provider sees the connection closed."""
    clock = HandClock()

    async def pass_time() -> None:
        await server.hears("did stall")
        clock.move(30)

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []

        def stall() -> None:
            server.go()
            tasks.append(asyncio.create_task(pass_time()))

        def opened(url: str, model: str) -> Any:
            return text_of(url, model, sf.Timeout(between=30) | stage, context=sf.Context(clock=cast("Any", clock)))

        async with LeakCheck(SECRET) as leaks:
            raised = await failing(opened, server, "stall", stall, seen(SENT))
            leaks.look(raised)
            assert isinstance(raised, sf.SourceTimeout)
            await server.hears("left")
            await tasks[0]

    asyncio.run(main())


# ------------------------------------------------------------------ the reader fails


@readers
@pytest.mark.parametrize("how", ["leaves", "raises", "is cancelled"])
def test_a_reader_that_goes_away(server: Server, nothing_left: None, opened: Open, how: str) -> None:
    """However it leaves in the middle: the provider sees the connection closed while the client lives on, and no task stays."""

    class OwnError(Exception):
        pass

    async def read() -> str:
        got = ""
        async with opened(server.url, "none") as stream:
            async for text in stream:
                got += text
                if got == seen(SENT):
                    if how == "leaves":
                        break
                    if how == "raises":
                        raise OwnError(got)
                    cast("asyncio.Task[str]", asyncio.current_task()).cancel()
        return got

    async def main() -> None:
        async with LeakCheck(SECRET):
            task = asyncio.create_task(read())
            await asyncio.wait([task])
            if how == "leaves":
                assert task.result() == seen(SENT)
            elif how == "raises":
                assert isinstance(task.exception(), OwnError)
            else:
                assert task.cancelled()
            server.go()  # what it would have sent finds nobody
            await server.hears("left")

    asyncio.run(main())


@readers
def test_a_slow_reader(server: Server, nothing_left: None, opened: Open) -> None:
    """One that stops reading stops the provider; nothing piles up in between. Reading on, it has all of it."""

    async def main() -> None:
        async with opened(server.url, "none, at length") as stream:
            got = await anext(stream)
            await server.hears("paused")  # without a word from here
            async for text in stream:
                got += text
        await server.hears("left")
        assert got == whole(TEXT * MANY)

    asyncio.run(main())


# ------------------------------------------------------------------ processes


def reading(url: str, model: str) -> subprocess.Popen[bytes]:
    """The reader in a process of its own."""
    script = str(Path(failing_server.__file__).with_name("failing_reader.py"))
    return subprocess.Popen([sys.executable, script, url, model], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_up_to(file: Any, text: str) -> str:
    """Read from a pipe until this has come."""
    got = b""
    while len(got) < len(text) and (more := os.read(file.fileno(), len(text) - len(got))):
        got += more
    return got.decode()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """How a process ended, what else it wrote, and what it said."""
    rest, said = process.communicate(timeout=WAIT)
    return process.returncode, rest, said.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_to_the_reader(server: Server, nothing_left: None, number: signal.Signals) -> None:
    """The source is closed, nothing more is printed, and what the process says has nothing of the open word."""
    process = reading(server.url, "none")
    assert read_up_to(process.stdout, seen(SENT)) == seen(SENT)
    process.send_signal(number)
    code, rest, said = ended(process)
    server.go()
    server.heard("left")
    assert rest == b""
    assert said.startswith("closed True\n")
    assert "ada" not in said
    assert code == (143 if number is signal.SIGTERM else -signal.SIGINT)


def test_a_killed_reader(server: Server, nothing_left: None) -> None:
    """What it had printed is all there is, and the provider sees the connection closed."""
    process = reading(server.url, "none")
    assert read_up_to(process.stdout, seen(SENT)) == seen(SENT)
    process.kill()
    assert ended(process) == (-signal.SIGKILL, b"", "")
    server.go()
    server.heard("left")


@pytest.mark.parametrize("then", ["is read", "is closed"])
def test_a_full_pipe(server: Server, nothing_left: None, then: str) -> None:
    """A reader whose output nobody takes stops the provider; it goes on when somebody does, and closes all when that one leaves."""
    process = reading(server.url, "none, at length")
    assert process.stdout is not None
    assert process.stderr is not None
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    server.heard("paused")
    if then == "is read":
        code, rest, said = ended(process)
        assert (code, rest.decode(), said) == (0, whole(TEXT * MANY), "closed True\n")
    else:
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(WAIT) == 1
        assert said == "closed True\nnobody reads\n"
        process.stderr.close()
    server.heard("left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_to_the_command_line(nothing_left: None, number: signal.Signals) -> None:
    """`streamfilter run` in the middle of a pipe: what it wrote is what may be seen of what it read, and it says no secret."""
    command = [sys.executable, "-m", "streamfilter", "run", "--redact", "email"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"Write to ada.lovelace@exam")
    process.stdin.flush()
    assert read_up_to(process.stdout, "Write to ") == "Write to "
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stderr is not None
    rest, said = process.stdout.read(), process.stderr.read().decode()
    assert process.wait(WAIT) != 0
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    assert rest == b""
    assert "ada" not in said
    assert json.dumps(said).count("Traceback") == 0
