"""How far a JSONL file has come: its output so far, and beside it a line that says of which input, so that a later run goes on."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from streamfilter.errors import StreamFilterError


class JournalError(StreamFilterError):
    """An interrupted run cannot be gone on with."""


class Journal:
    """The output of one run over a file of lines, written beside its final place until it is complete.

    Args:
        source: the input.
        target: the output.
        work: what is done with the input, in a word: who goes on must do the same.
        resume: whether to go on where an earlier run was interrupted, if there was one.

    Attributes:
        lines: lines of the input that are done.
        read: their bytes.

    Raises:
        JournalError: that run had another input, or did something else; or its output is gone.
    """

    def __init__(self, source: Path, target: Path, work: str, *, resume: bool) -> None:
        self._target = target
        self._bad_target = target.with_name(f"{target.name}.bad")
        self._note = target.with_name(f".{target.name}.progress")
        self._part = target.with_name(f".{target.name}.part")
        self._bad_part = target.with_name(f".{target.name}.bad.part")
        state = source.stat()
        self._of: dict[str, Any] = {"version": 1, "size": state.st_size, "changed": state.st_mtime_ns, "work": work}
        self.lines = self.read = 0
        self._written = self._bad_written = 0
        self._stack = ExitStack()
        if resume and self._note.exists():
            self._go_on()

    def __enter__(self) -> Self:
        self._out = self._opened(self._part, self._written)
        self._bad = self._opened(self._bad_part, self._bad_written)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stack.close()
        if error is not None:
            return
        self._part.replace(self._target)
        if self._bad_written:
            self._bad_part.replace(self._bad_target)
        else:
            self._bad_part.unlink()
            self._bad_target.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def add(self, lines: int, read: int, good: bytes, bad: bytes) -> None:
        """Some more lines are done. What was written is on the disk before it is said to be there."""
        for file, text in ((self._out, good), (self._bad, bad)):
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.lines += lines
        self.read += read
        self._written += len(good)
        self._bad_written += len(bad)
        said = self._note.with_name(f"{self._note.name}.new")
        said.write_text(json.dumps({**self._of, "lines": self.lines, "read": self.read, **self._sizes()}), "utf-8")
        said.replace(self._note)

    def _sizes(self) -> dict[str, int]:
        return {"written": self._written, "bad": self._bad_written}

    def _opened(self, path: Path, size: int) -> IO[bytes]:
        file = self._stack.enter_context(path.open("r+b" if size else "wb"))
        file.truncate(size)  # what was written and not said is written again
        file.seek(size)
        return file

    def _go_on(self) -> None:
        try:
            said = json.loads(self._note.read_text("utf-8"))
            of = {key: said[key] for key in self._of}
            sizes = [said[key] for key in ("lines", "read", "written", "bad")]
            if not all(isinstance(size, int) and size >= 0 for size in sizes):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise JournalError(f"{self._note} does not say how far a run has come: begin anew, without --resume") from None
        if of != self._of:
            other = "pipeline or field" if of["size"] == self._of["size"] and of["changed"] == self._of["changed"] else "input"
            raise JournalError(f"{self._note} is of a run with another {other}: begin anew, without --resume")
        self.lines, self.read, self._written, self._bad_written = sizes
        for path, size in ((self._part, self._written), (self._bad_part, self._bad_written)):
            if size and (not path.exists() or path.stat().st_size < size):
                raise JournalError(f"{path} has less than {self._note} says: begin anew, without --resume")
