"""A provider in a process of its own that fails as it is told: `python failing_server.py`. What it does it says on its output.

The model that a request asks for names the fault. It comes when `go` is read on standard input, behind the pieces before `FAULT_AT`.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SENTENCE = "Write to ada.lovelace@example.org about it, or better call. "
TEXT = SENTENCE * 5
SECRET = "ada.lovelace@example.org"
PIECES = [TEXT[at : at + 4] for at in range(0, len(TEXT), 4)]
FAULT_AT = (2 * len(SENTENCE) + len("Write to ada.lovela")) // 4
"""The fault comes in the middle of the third secret."""
MANY = 60
"""So many times the text, for readers that are slow: some megabytes of events."""
WAIT = 20.0
"""Seconds until a test is taken for hanging."""

GARBAGE = {
    "no chunk size": b"\xff\xfe\x00 no hex\r\n",
    "broken json": b'data: {"choices": [{"index": 0, "delta": {"content": "tru\n\n',
    "not utf-8": b"data: \xff\xc3\x28 {\n\n",
    "another shape": b'data: {"choices": [5], "delta": "never"}\n\n',
}
"""What comes instead of an event. The first stands where the size of the next chunk of the body is to be."""


def event(text: str) -> bytes:
    """A chat completion chunk, as its bytes."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    said = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(said)}\n\n".encode()


END = b'data: {"id":"c","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Answering(asyncio.StreamReaderProtocol):
    """Says when the reader does not keep up."""

    def pause_writing(self) -> None:
        super().pause_writing()
        _say("paused")


async def serve(go: asyncio.Queue[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, one answer, one fault."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = next(int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("content-length:"))
    fault = json.loads(await reader.readexactly(size))["model"]
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def write(body: bytes) -> None:
        writer.write(b"%x\r\n%s\r\n" % (len(body), body))

    try:
        if fault == "none, at length":
            for piece in PIECES * MANY:
                write(event(piece))
                await writer.drain()
        else:
            for piece in PIECES[:FAULT_AT]:
                write(event(piece))
            await writer.drain()
            await go.get()
            if fault == "none":
                for piece in PIECES[FAULT_AT:]:
                    write(event(piece))
            elif fault == "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif fault == "half-closed":
                writer.write_eof()
            elif fault == "no chunk size":
                writer.write(GARBAGE[fault])
            elif fault in GARBAGE:
                write(GARBAGE[fault])
        if fault.startswith("none"):
            write(END)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        else:
            _say(f"did {fault}")
        await reader.read()  # to the end, which comes when the caller closes
    except ConnectionError:
        pass
    finally:
        writer.close()
        _say("left")


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    go: asyncio.Queue[None] = asyncio.Queue()

    def begin() -> Answering:
        reader = asyncio.StreamReader(limit=2**20)
        return Answering(reader, lambda *both: serve(go, *both))

    server = await loop.create_server(begin, "127.0.0.1", 0)
    server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what it accepts has it too
    _say(str(server.sockets[0].getsockname()[1]))
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while await orders.readline():
        go.put_nowait(None)


# ------------------------------------------------------------------ for tests


class Server:
    """The process, as a test sees it.

    Attributes:
        url: where it is.
    """

    def __init__(self) -> None:
        self._running = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": ""},
        )
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._said.get(timeout=WAIT)}/v1"

    def _listen(self) -> None:
        assert self._running.stdout is not None
        for line in self._running.stdout:
            self._said.put(line.decode().strip())

    def go(self) -> None:
        """Let the fault come."""
        assert self._running.stdin is not None
        self._running.stdin.write(b"go\n")
        self._running.stdin.flush()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._running.send_signal(signal.SIGKILL)
        self._running.wait(WAIT)

    def heard(self, word: str) -> None:
        """Wait until it says this, passing over all else."""
        while self._said.get(timeout=WAIT) != word:
            pass

    async def hears(self, word: str) -> None:
        """As `heard`, in an event loop."""
        await asyncio.to_thread(self.heard, word)

    def close(self) -> None:
        """End it, and wait for that."""
        self._running.kill()
        self._running.wait(WAIT)
        self._thread.join(WAIT)
        for pipe in (self._running.stdin, self._running.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def running() -> Iterator[Server]:
    """A server, for as long as the block lasts."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


if __name__ == "__main__":
    asyncio.run(main())
