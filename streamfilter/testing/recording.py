"""Recorded streams: what a real source gave, when, and in which pieces, in a file that a test replays.

The file is JSON Lines in UTF-8, to be read and edited by people. Its first line says what it is:

    {"recording": "streamfilter", "version": 1}

Each further line is one item, with the seconds since the stream was begun, and how it stood there:

    {"at": 0.21, "text": "Hel"}                                         plain text
    {"at": 0.22, "text": "lo", "channel": ["answer", 0, 0]}             a `TextDelta`: the kind, then the key
    {"at": 0.3, "base64": "ZGF0YTog"}                                   bytes
    {"at": 0.3, "chunk": {"choices": []}}                               a provider's chunk, as plain data
    {"at": 0.4, "event": "Finish", "scope": [0, 0], "reason": "stop"}   another event of this library

The last says how it ended: `{"at": 0.9, "end": "complete"}`, `"error"` (then with the `"error"`'s class, whose message may hold
anything and is not written), or `"closed"` by its reader. Objects of an SDK become plain data, and are replayed as such. Nothing is
pickled: a file can do nothing but say what it says.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

from streamfilter.closing import Closing
from streamfilter.items import PLAIN, Channel, End, Event, Failure, Finish, Raw, TextDelta, ToolCall, Usage
from streamfilter.testing.sources import Script, Sleep

VERSION = 1

_HEADER = {"recording": "streamfilter", "version": VERSION}
_EVENTS: Mapping[str, tuple[type[Any], tuple[str, ...]]] = {
    "Finish": (Finish, ("reason",)),
    "Usage": (Usage, ("usage",)),
    "Failure": (Failure, ("error",)),
    "Raw": (Raw, ("chunk",)),
    "ToolCall": (ToolCall, ("id", "name", "arguments")),
}


class RecordedError(ConnectionError):
    """Where the recorded source failed; the message is the class of its exception."""


@dataclass(frozen=True)
class RecordedStream:
    """A stream that was recorded.

    Attributes:
        items: what came.
        times: when, in seconds since it was begun.
        ending: `"complete"`, `"error"` or `"closed"`.
        end_at: when that was.
        error: the class of the source's exception.

    Example:
        >>> import asyncio, tempfile
        >>> async def tokens():
        ...     yield "Hel"
        ...     yield "lo"
        >>> async def main(path):
        ...     async with RecordedStream.record(tokens(), path) as stream:
        ...         return [text async for text in stream]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(f"{folder}/hello.jsonl"))
        ...     RecordedStream.load(f"{folder}/hello.jsonl").items
        ['Hel', 'lo']
        ('Hel', 'lo')
    """

    items: tuple[Any, ...]
    times: tuple[float, ...]
    ending: str = "complete"
    end_at: float = 0.0
    error: str | None = None

    @staticmethod
    def record(source: AsyncIterable[Any], path: str | os.PathLike[str]) -> Recording:
        """Read a source through, and write each item into a file as it comes.

        Args:
            source: any async iterable. It is closed with the recording, which gives what it gives.
            path: of the file; it is made anew.

        Raises:
            TypeError: an item cannot be written; all before it are.
            OSError: the file cannot be written.
        """
        return Recording(source, Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecordedStream:
        """Read a file.

        Raises:
            ValueError: it is no recording, or one of its lines says nothing that is known; the message says which.
            OSError: it cannot be read.
        """
        with Path(path).open(encoding="utf-8") as file:
            return cls.of(file, os.fspath(path))

    @classmethod
    def of(cls, lines: Iterable[str], name: str = "recording") -> RecordedStream:
        """Read lines.

        Raises:
            ValueError: as for `load`.

        Example:
            >>> RecordedStream.of(['{"recording": "streamfilter", "version": 1}', '{"at": 0.5, "text": "Hi"}']).times
            (0.5,)
        """
        items: list[Any] = []
        times: list[float] = []
        ending: dict[str, Any] = {"at": 0.0, "end": "closed"}  # a recording that was cut off was not complete
        number = 0
        for number, line in enumerate(lines, 1):
            try:
                said = json.loads(line)
                if number == 1:
                    _check_header(said)
                elif not isinstance(said, dict):
                    raise ValueError("it is no object")
                elif "end" in said:
                    ending = said
                else:
                    items.append(_read(said))
                    times.append(float(said["at"]))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise ValueError(f"{name}, line {number}: {_why(error)}") from None
        if number == 0:
            raise ValueError(f"{name}: it is empty")
        return cls(tuple(items), tuple(times), ending["end"], max([float(ending["at"]), *times[-1:]]), ending.get("error"))

    def script(self, *, speed: float = 1.0) -> Script:
        """What came, with the time between, as a script: `.source()` replays it, in real or virtual time.

        Args:
            speed: how many times as fast.

        Raises:
            ValueError: it is not more than 0.
        """
        if not speed > 0:
            raise ValueError(f"speed={speed}: more than 0 is needed")
        steps: list[Any] = []
        before = 0.0
        for at, item in zip((*self.times, self.end_at), (*self.items, None), strict=True):
            if at > before:
                steps.append(Sleep((at - before) / speed))
                before = at
            if item is not None:
                steps.append(item)
        return Script(tuple(steps), RecordedError(self.error) if self.ending == "error" else None)

    def replay(self, *, speed: float | None = 1.0) -> AsyncIterable[Any]:
        """A source that gives what came, when it came, in the same pieces. It ends or fails as the recorded one did.

        Args:
            speed: how many times as fast; None: without waiting, in any event loop or none.

        Raises:
            ValueError: the speed is not more than 0.
        """
        return Script(self.items, self.script().error).source() if speed is None else self.script(speed=speed).source()


class Recording:
    """A source that is being recorded: an async iterator and context manager over what it gives. See `RecordedStream.record`."""

    def __init__(self, source: AsyncIterable[Any], path: Path) -> None:
        self._iterator: AsyncIterator[Any] = aiter(source)
        self._closing = Closing(source, ())
        self._closing.begin(self._iterator)
        self._file: TextIO | None = path.open("w", encoding="utf-8", newline="\n")
        self._file.write(json.dumps(_HEADER) + "\n")
        self._time = _clock()
        self._begun = self._time()

    def __aiter__(self) -> Recording:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await anext(self._iterator)
        except StopAsyncIteration:
            self._end({"end": "complete"})
            raise
        except Exception as error:
            self._end({"end": "error", "error": type(error).__qualname__})
            raise
        self._write(_written(item))
        return item

    async def aclose(self) -> None:
        """Close the file and the source."""
        self._end({"end": "closed"})
        await self._closing.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _write(self, said: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"at": round(self._time() - self._begun, 6), **said}, ensure_ascii=False) + "\n")
            self._file.flush()  # what came before a crash is there

    def _end(self, said: dict[str, Any]) -> None:
        self._write(said)
        if self._file is not None:
            self._file.close()
            self._file = None


def _clock() -> Callable[[], float]:
    """The event loop's time, which may be virtual; in another event loop, that of the machine."""
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:
        return time.monotonic


def _check_header(said: Any) -> None:
    if not isinstance(said, dict) or said.get("recording") != "streamfilter":
        raise ValueError(f"this is no recording: the first line has to be {json.dumps(_HEADER)}")
    if said.get("version") != VERSION:
        raise ValueError(f"version {said.get('version')!r} is not known: this is version {VERSION}")


def _why(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _written(item: Any) -> dict[str, Any]:
    """An item as a line says it.

    Raises:
        TypeError: it cannot be written.
    """
    if isinstance(item, str):
        return {"text": str(item)}
    if isinstance(item, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(item).decode()}
    if isinstance(item, TextDelta):
        return {"text": item.text, "channel": [item.channel.kind, *item.channel.key]}
    if isinstance(item, Event):
        return _written_event(item)
    return {"chunk": _plain(item)}


def _written_event(event: Event) -> dict[str, Any]:
    name = type(event).__name__
    if name not in _EVENTS or type(event) is not _EVENTS[name][0]:
        hint = "the end of a stream is no item of a source" if isinstance(event, End) else f"one of {', '.join(_EVENTS)} can"
        raise TypeError(f"{name} cannot be recorded: {hint}")
    said: dict[str, Any] = {"event": name, "scope": _written_scope(event.scope)}
    if event.boundary:
        said["boundary"] = True
    for field in _EVENTS[name][1]:
        value = getattr(event, field)
        said[field] = _written_scope(value) if isinstance(value, Channel) else _plain(value)
    return said


def _written_scope(scope: Any) -> Any:
    return {"channel": [scope.kind, *scope.key]} if isinstance(scope, Channel) else None if scope is None else list(scope)


def _plain(value: Any) -> Any:
    """Plain data, of an object of an SDK too.

    Raises:
        TypeError: it cannot be made of it.
    """
    dump = getattr(value, "model_dump", None)
    made = dump(mode="json") if callable(dump) else value
    try:
        return json.loads(json.dumps(made))
    except (TypeError, ValueError):
        raise TypeError(f"{type(value).__qualname__} cannot be recorded: plain data, pydantic models, text and bytes can") from None


def _read(said: dict[str, Any]) -> Any:
    """The item of a line."""
    if "text" in said:
        if not isinstance(said["text"], str):
            raise ValueError("text is no string")
        return TextDelta(said["text"], _channel(said["channel"])) if "channel" in said else said["text"]
    if "base64" in said:
        return base64.b64decode(said["base64"], validate=True)
    if "chunk" in said and "event" not in said:
        return said["chunk"]
    if said.get("event") not in _EVENTS:
        raise ValueError("a line has to say text, base64, chunk, event or end")
    made, fields = _EVENTS[said["event"]]
    values = {field: _scope(said[field]) if field == "arguments" else said[field] for field in fields}
    return made(**values, scope=_scope(said["scope"]), boundary=said.get("boundary", False))


def _scope(said: Any) -> Any:
    if isinstance(said, dict):
        return _channel(said["channel"])
    return None if said is None else tuple(said)


def _channel(said: Any) -> Channel:
    made = Channel(said[0], tuple(said[1:]))
    return PLAIN if made == PLAIN else made
