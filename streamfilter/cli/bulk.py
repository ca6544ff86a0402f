"""Many recorded streams through one pipeline: files, directories of files, JSONL with a field; in several processes, resumable.

One bad input stops nothing else: it is told, with its place. What is written is whole: a file gets its name when it is complete,
and how far a JSONL file has come stands beside it, so that a later run goes on there.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, NamedTuple

from streamfilter.cli.journal import Journal, completed
from streamfilter.cli.places import behind, part_of
from streamfilter.cli.running import Format, filter_file
from streamfilter.cli.workers import Task, workers
from streamfilter.errors import MalformedInput, StreamFilterError
from streamfilter.observer import fingerprint
from streamfilter.pipeline import Stage
from streamfilter.providers.kinds import HEAD_BYTES, legible
from streamfilter.records import filter_json

BATCH = 100
"""Records that one process takes at a time: few, so that all have something to do; many, so that handing them over costs little."""

BATCH_BYTES = 1024 * 1024
"""The same in bytes: a batch that has so many is full. A few batches for each process are in memory, whatever the input is."""

MAX_LINE_BYTES = 128 * 1024 * 1024
"""Bytes of the longest line that is looked at: while it is filtered it is in memory some ten times, and in several processes."""

MAX_BAD = 10_000
"""Bad inputs that are kept one by one; beyond it they are only counted, so that memory stays bounded. All bad records are in the
file that ends with `.bad`."""


class Batch(NamedTuple):
    """Some lines, None in place of one that is too long, and the bytes that they have in the file."""

    lines: list[bytes | None]
    size: int


class Bad(NamedTuple):
    """An input that could not be filtered: where it is, and why. Never its text."""

    place: str
    reason: str


@dataclass
class Outcome:
    """What became of all inputs.

    Attributes:
        done: inputs, or records, that were filtered.
        skipped: those that an earlier run had worked off.
        failed: those that are bad; of a file of records, those of the earlier run as well.
        counts: what was found in those of this run, per rule.
        bad: the first `MAX_BAD` that were bad in this run.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bad: list[Bad] = field(default_factory=list)

    def add(self, place: str, counts: dict[str, int], reason: str) -> None:
        """One more is worked off; it is bad if there is a reason."""
        if not reason:
            self.done += 1
            self.counts.update(counts)
            return
        self.failed += 1
        if len(self.bad) < MAX_BAD:
            self.bad.append(Bad(place, reason))


Watch = Callable[[int], object]
"""Is told how many bytes of input have been worked off since it was last called."""


def inputs_in(paths: Iterable[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """The files of some paths, each with the name that its output gets; those of a directory in order, but for hidden ones. Links
    to directories are not followed. The directory of outputs is not entered: what an earlier run wrote is no input. A directory
    that cannot be read is given itself: it will be told as what cannot be opened."""
    written = out.resolve()
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        found: list[Path] = []
        closed: list[OSError] = []
        for place, directories, names in os.walk(path, onerror=closed.append):
            shown = [name for name in directories if not name.startswith(".")]
            directories[:] = [name for name in shown if Path(place, name).resolve() != written]
            found += [file for name in names if not name.startswith(".") and (file := Path(place, name)).is_file()]
        found += [Path(error.filename) for error in closed]
        yield from ((file, file.relative_to(path)) for file in sorted(found))


def size_of(path: Path) -> int:
    """Its bytes; none if it is gone."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


# ---------------------------------------------------------------------- files


def filter_files(
    stage: Stage[Any, Any], files: Iterable[tuple[Path, Path]], out: Path, form: Format, jobs: int, watch: Watch, *, resume: bool
) -> Outcome:
    """Filter files into a directory, each by itself.

    Args:
        resume: whether what is there already is left as it is.
    """
    outcome = Outcome()
    waiting = []
    for source, name in files:
        if resume and (out / name).is_file():
            outcome.skipped += 1
            watch(size_of(source))
        else:
            waiting.append((source, out / name))
    begun: set[Path] = set()

    def tasks() -> Iterator[Task]:
        for source, target in waiting:
            begun.add(target)
            yield Task(str(source), _file, (source, target, form))

    try:
        with workers(stage, jobs) as run:
            for task, (counts, reason) in run(tasks()):
                source, target, _ = task.args
                begun.discard(target)
                outcome.add(task.place, counts, reason)
                watch(size_of(source))
    finally:
        for target in begun:  # what processes that were ended have left
            with contextlib.suppress(OSError):
                part_of(target).unlink(missing_ok=True)
    return outcome


def written_for(target: Path) -> tuple[Path, ...]:
    """All that is written for one file: what it becomes, also while it does."""
    return target, part_of(target)


def _file(stage: Stage[Any, Any], source: Path, target: Path, form: Format) -> tuple[dict[str, int], str]:
    part = part_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as file, part.open("wb") as sink:
            report = filter_file(stage, file, sink, form)
        part.replace(behind(target))
        return report.counts, ""
    except StreamFilterError as error:
        return {}, f"{type(error).__name__}: {error}"
    except OSError as error:
        return {}, error.strerror or type(error).__qualname__
    except Exception as error:  # of a check, or a callback: its message may quote the text
        return {}, type(error).__qualname__
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


# ---------------------------------------------------------------------- records


def filter_lines(stage: Stage[Any, Any], source: Path, out: Path, name: str, jobs: int, watch: Watch, *, resume: bool) -> Outcome:
    """Filter a field of each line of a JSONL file into another. Bad records are set aside, in a file that ends with `.bad`. A file
    that begins as none does is bad itself, and nothing is written.

    Args:
        name: of the field.
        resume: whether to go on where an earlier run was interrupted; then the input and the pipeline must be the same. What an
            earlier run has completed is left as it is if they are, and done anew if not.

    Raises:
        JournalError: they are not; or the input changed while it was read.
        WorkerError: a process ended. What was done before is kept.
    """
    outcome = Outcome()
    work = f"{fingerprint(stage)} {name}"
    if resume and (there := completed(source, out, work)) is not None:
        outcome.skipped, outcome.failed = there
        watch(size_of(source))
        return outcome
    with source.open("rb") as file:
        if reason := _illegible(file):
            outcome.add(str(source), {}, reason)
            return outcome
        with Journal(file, out, work, resume=resume) as journal:
            outcome.skipped, outcome.failed = journal.lines, journal.bad
            watch(journal.read)
            if journal.read:
                file.seek(journal.read)
            with workers(stage, jobs) as run:
                for task, rows in run(_batches(file, source, name, journal.lines)):
                    batch: Batch = task.args[1]
                    good, bad = io.BytesIO(), io.BytesIO()
                    for at, (line, counts, reason) in enumerate(rows, journal.lines + 1):
                        if reason:
                            bad.write(json.dumps({"line": at, "reason": reason}).encode() + b"\n")
                        elif line:
                            good.write(line + b"\n")
                        if reason or line:
                            outcome.add(f"{source}:{at}", counts, reason)
                    journal.add(len(batch.lines), batch.size, good.getvalue(), bad.getvalue())
                    watch(batch.size)
    return outcome


def _illegible(file: BufferedReader) -> str:
    """Why no line of it can be read, by how it begins. That may be a pipe: it is looked at, and not read."""
    try:
        list(legible(iter([file.peek(HEAD_BYTES)[:HEAD_BYTES]]), is_text=True))
    except MalformedInput as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _batches(file: IO[bytes], source: Path, name: str, done: int) -> Iterator[Task]:
    batch: list[bytes | None] = []
    size = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        size += len(line)
        is_whole = len(line) <= MAX_LINE_BYTES
        batch.append(line if is_whole else None)
        while not is_whole and not line.endswith(b"\n") and (line := file.readline(BATCH_BYTES)):
            size += len(line)
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield Task(f"{source}:{done + 1}-{done + len(batch)}", _lines, (name, Batch(batch, size)))
            done += len(batch)
            batch, size = [], 0
    if batch:
        yield Task(f"{source}:{done + 1}-{done + len(batch)}", _lines, (name, Batch(batch, size)))


def _lines(stage: Stage[Any, Any], name: str, batch: Batch) -> list[tuple[bytes | None, dict[str, int], str]]:
    """Each line with what was found in it, or why it is bad."""
    filtered = filter_json(stage, (line or b"" for line in batch.lines), field=name)
    return [
        (None, {}, f"it is longer than {MAX_LINE_BYTES} bytes") if line is None else (each.line, each.counts, each.reason)
        for line, each in zip(batch.lines, filtered, strict=True)
    ]
