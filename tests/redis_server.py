"""A real `redis-server` for tests, which can be killed and started again, and a proxy before it, which cuts connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

BINARY = shutil.which("redis-server")
RUNNING = os.environ.get("STREAMFILTER_REDIS_PORT")
"""A server that is there already, for tests that do not harm it."""


class Server:
    """A server on a port and in a folder of its own; each change is written at once, as `appendfsync always` says.

    As a cluster it has only itself, and all of the slots.
    """

    def __init__(self, folder: Path, *, persists: bool = True, clusters: bool = False) -> None:
        self.port = free_port()
        self._folder = folder
        self._persists = persists
        self._clusters = clusters
        self._running: subprocess.Popen[bytes] | None = None
        self.start()
        if clusters:
            slots = "".join(f"${len(str(slot))}\r\n{slot}\r\n" for slot in range(16384))
            self._asked(f"*16386\r\n$7\r\nCLUSTER\r\n$8\r\nADDSLOTS\r\n{slots}".encode(), b"+OK")

    def start(self) -> None:
        """Start it, and return when it answers."""
        assert BINARY is not None
        args = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "", "--loglevel", "warning"]
        args += ["--appendonly", "yes", "--appendfsync", "always"] if self._persists else ["--appendonly", "no"]
        if self._clusters:
            bus = free_port()  # by default that is the port and 10,000, which may be none
            args += ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
        self._running = subprocess.Popen([BINARY, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1000):
            with contextlib.suppress(OSError):
                return self._asked(b"PING\r\n", b"+PONG")
            assert self._running.poll() is None, "redis-server has ended"
            time.sleep(0.01)
        raise AssertionError("redis-server does not answer")

    def _asked(self, said: bytes, wanted: bytes) -> None:
        """Say something, and hear what is wanted.

        Raises:
            ConnectionError: it is something else.
        """
        with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.sendall(said)
            if not probe.recv(100).startswith(wanted):
                raise ConnectionError("redis-server says something else")

    def kill(self) -> None:
        """End it without a word, and return when it is gone."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(*, persists: bool = True, clusters: bool = False) -> Iterator[Server]:
    """A server, gone at the end; the test is skipped where there is none."""
    pytest.importorskip("redis")
    if BINARY is None:
        pytest.skip("there is no redis-server on this machine")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), persists=persists, clusters=clusters)
        try:
            yield server
        finally:
            server.kill()


class Proxy:
    """Passes bytes on, until it is told to cut.

    Args:
        port: of the server.
        loses_answer: is asked before each piece of an answer is passed on: whether the connection is cut instead. The server has
            done then what it was asked, and nobody knows.
    """

    def __init__(self, port: int, loses_answer: Callable[[], bool] = lambda: False) -> None:
        self.port = 0
        self.cuts = 0
        self._target = port
        self._loses = loses_answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_stalled = False  # takes everything and passes on nothing
        self.stalled = asyncio.Event()  # it has

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        self.cuts += bool(self._open)
        for writer in [*self._open]:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        far = None
        try:
            there, far = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(far)
            both = [
                asyncio.ensure_future(self._pass(reader, far)),
                asyncio.ensure_future(self._pass(there, writer, is_answer=True)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in both:
                    each.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for end in filter(None, (writer, far)):
                self._open.discard(end)
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False) -> None:
        while piece := await reader.read(65536):
            if is_answer and self._loses():
                self.cuts += 1
                return
            if self.is_stalled:
                self.stalled.set()
                await asyncio.Event().wait()
            writer.write(piece)
            await writer.drain()
