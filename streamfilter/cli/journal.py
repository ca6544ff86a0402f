"""How far a JSONL file has come: its output so far, and beside it a line that says of which input, so that a later run goes on."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from streamfilter.cli.places import behind, part_of
from streamfilter.errors import StreamFilterError

NOTE_SECONDS = 1.0
"""How often it is noted how far a run has come: what was done since then is what a crash costs. Each note waits for the disk twice;
one for each hundred records took as long as filtering them."""

SEAL = "user.streamfilter.complete"
"""The extended attribute by which a complete output says of which input and work it is. A file beside it would lie in the way for
ever, and be lost where the output is moved. Where a file system keeps none, a complete file is done anew."""


class JournalError(StreamFilterError):
    """A run over a file cannot be begun or gone on with, or what it has read is not to be trusted."""


class Journal:
    """The output of one run over a file of lines, written beside its final place until it is complete.

    Args:
        source: the input, open.
        target: the output.
        work: what is done with the input, in a word: who goes on must do the same.
        resume: whether to go on where an earlier run was interrupted, if there was one.

    Attributes:
        lines: lines of the input that are done.
        read: their bytes.
        bad: how many of them were bad.

    Raises:
        JournalError: that run had another input, or did something else; or its output is gone; or it still runs. Later: the input
            was changed.
    """

    def __init__(self, source: IO[bytes], target: Path, work: str, *, resume: bool) -> None:
        self._source = source
        self._target = target
        _, self._bad_target, self._part, self._bad_part, self._note, self._next = written_for(target)
        self._of = _state(os.fstat(source.fileno()), work)
        self.lines: int = 0
        self.read: int = 0
        self.bad: int = 0
        self._written = self._bad_written = 0
        self._said = time.monotonic()
        self._resume = resume
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._out = stack.enter_context(_opened(self._part))
            self._aside = stack.enter_context(_opened(self._bad_part))
            _lock(self._out, self._target)
            if self._resume and self._note.exists():
                self._go_on()
            else:
                self._note.unlink(missing_ok=True)  # of an earlier run: it would tell of this one if that is killed before it notes
            for file, size in ((self._out, self._written), (self._aside, self._bad_written)):
                file.truncate(size)  # what was written and not noted is written again
                file.seek(size)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None:
            with contextlib.suppress(OSError, JournalError):  # the disk may be full; then the last note holds
                self._say()
            with contextlib.suppress(OSError):
                self._stack.close()
            return
        with self._stack:
            self._say()
            self._part.replace(behind(self._target))
            if self._bad_written:
                self._bad_part.replace(behind(self._bad_target))
            else:
                self._bad_part.unlink()
                self._bad_target.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)
            if sys.platform == "linux":
                with contextlib.suppress(OSError):  # a file system without such attributes, or without room for this one
                    os.setxattr(self._target, SEAL, _seal(self._of, self._target))

    def add(self, lines: int, read: int, good: bytes, bad: bytes) -> None:
        """Some more lines are done. Bad ones are a line each."""
        self._out.write(good)
        self._aside.write(bad)
        self.lines += lines
        self.read += read
        self.bad += bad.count(b"\n")
        self._written += len(good)
        self._bad_written += len(bad)
        if time.monotonic() - self._said > NOTE_SECONDS:
            self._say()

    def _say(self) -> None:
        """What was written is on the disk before it is said to be there."""
        if _state(os.fstat(self._source.fileno()), self._of["work"]) != self._of:
            raise JournalError(f"{self._source.name} was changed while it was read: filter a copy of it")
        for file in (self._out, self._aside):
            file.flush()
            os.fsync(file.fileno())
        sizes = {"written": self._written, "bad_written": self._bad_written}
        self._next.write_text(json.dumps({**self._of, "lines": self.lines, "read": self.read, "bad": self.bad, **sizes}), "utf-8")
        self._next.replace(self._note)
        self._said = time.monotonic()

    def _go_on(self) -> None:
        try:
            said = json.loads(self._note.read_text("utf-8"))
            of = {key: said[key] for key in self._of}
            sizes = [said[key] for key in ("lines", "read", "bad", "written", "bad_written")]
            if not all(isinstance(size, int) and size >= 0 for size in sizes):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise JournalError(f"{self._note} does not say how far a run has come: begin anew, without --resume") from None
        if not self._source.seekable():
            raise JournalError(f"{self._source.name} is no file: a run over it cannot be gone on with")
        if of != self._of:
            other = "pipeline or field" if of["size"] == self._of["size"] and of["changed"] == self._of["changed"] else "input"
            raise JournalError(f"{self._note} is of a run with another {other}: begin anew, without --resume")
        self.lines, self.read, self.bad, self._written, self._bad_written = sizes
        for path, file, size in ((self._part, self._out, self._written), (self._bad_part, self._aside, self._bad_written)):
            if os.fstat(file.fileno()).st_size < size:
                raise JournalError(f"{path} has less than {self._note} says: begin anew, without --resume")


def written_for(target: Path) -> tuple[Path, ...]:
    """All that a run writes: its output and what tells of bad lines; both also while they are written; how far it has come."""
    bad = target.with_name(f"{target.name}.bad")
    part, note = part_of(target), part_of(target).with_suffix(".progress")
    return target, bad, part, part_of(bad), note, note.with_suffix(".progress.new")


def completed(source: Path, target: Path, work: str) -> tuple[int, int] | None:
    """How many lines an earlier run has worked off, and how many of them were bad. None if what is there is not known to be all of
    this work over this input, as it was left; or another run was begun."""
    _, bad_target, part, *_ = written_for(target)
    of = _state(source.stat(), work)
    if part.exists() or not of["changed"]:  # a pipe is another one each time
        return None
    try:
        if sys.platform != "linux" or os.getxattr(target, SEAL) != _seal(of, target):
            return None
    except OSError:
        return None
    good, bad = (_lines_in(path) if path.is_file() else 0 for path in (target, bad_target))
    return good + bad, bad


def _state(state: os.stat_result, work: str) -> dict[str, Any]:
    """Which input this is, as far as that can be told without reading it, and what is done with it."""
    is_file = stat.S_ISREG(state.st_mode)  # a pipe has no size, and is always changed
    return {"version": 2, "size": state.st_size * is_file, "changed": state.st_mtime_ns * is_file, "work": work}


def _seal(of: dict[str, Any], target: Path) -> bytes:
    """What was done, and the output and what tells of bad lines as they are now: whoever changes them breaks it."""
    left = [path.stat() if path.is_file() else None for path in written_for(target)[:2]]
    return json.dumps([of, [each and (each.st_size, each.st_mtime_ns) for each in left]]).encode()


def _lines_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _opened(path: Path) -> IO[bytes]:
    """To be read and written, as it is: whether somebody else is writing it is not known yet."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666), "r+b")


def _lock(file: IO[bytes], target: Path) -> None:
    """Until it is closed. Where there are no such locks, two runs that write one output are not told."""
    try:
        import fcntl  # noqa: PLC0415  # not on Windows
    except ModuleNotFoundError:  # pragma: no cover
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise JournalError(f"{target} is being written by another run") from None
    except OSError:
        return  # a file system without locks
