"""Many recorded streams through one pipeline: files, directories of files, JSONL with a field; in several processes, resumable.

One bad input stops nothing else: it is told, with its place. What is written is whole: a file gets its name when it is complete,
and how far a JSONL file has come stands beside it, so that a later run goes on there.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from streamfilter.cli.journal import Journal
from streamfilter.cli.running import Format, filter_file
from streamfilter.errors import StreamFilterError
from streamfilter.observer import fingerprint
from streamfilter.pipeline import Stage
from streamfilter.records import filter_records

BATCH = 100
"""Records that one process takes at a time: few, so that all have something to do; many, so that handing them over costs little."""

AHEAD = 3
"""Batches, or files, for each process that are handed out before the first of them is back."""


class Bad(NamedTuple):
    """An input that could not be filtered: where it is, and why. Never its text."""

    place: str
    reason: str


@dataclass
class Outcome:
    """What became of all inputs.

    Attributes:
        done: inputs, or records, that were filtered.
        skipped: those that an earlier run had filtered.
        counts: what was found in those of this run, per rule.
        bad: the others.
    """

    done: int = 0
    skipped: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bad: list[Bad] = field(default_factory=list)


Watch = Callable[[int], object]
"""Is told how many bytes of input have been worked off since it was last called."""


def inputs_in(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """The files of some paths, each with the name that its output gets; those of a directory in order, but for hidden ones."""
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            name = file.relative_to(path)
            if not any(part.startswith(".") for part in name.parts):
                yield file, name


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
        if resume and (out / name).exists():
            outcome.skipped += 1
            watch(source.stat().st_size)
        else:
            waiting.append((source, out / name, form))
    with _workers(stage, jobs) as run:
        for (source, _, _), (counts, reason) in run(_file, iter(waiting)):
            if reason:
                outcome.bad.append(Bad(str(source), reason))
            else:
                outcome.done += 1
                outcome.counts.update(counts)
            with contextlib.suppress(OSError):
                watch(source.stat().st_size)
    return outcome


def _file(stage: Stage[Any, Any], source: Path, target: Path, form: Format) -> tuple[dict[str, int], str]:
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as file, part.open("wb") as sink:
            report = filter_file(stage, file, sink, form)
        part.replace(target)
        return report.counts, ""
    except StreamFilterError as error:
        return {}, f"{type(error).__name__}: {error}"
    except OSError as error:
        return {}, error.strerror or type(error).__qualname__
    except Exception as error:  # of a check, or a callback: its message may quote the text
        return {}, type(error).__qualname__
    finally:
        part.unlink(missing_ok=True)


# ---------------------------------------------------------------------- records


def filter_lines(stage: Stage[Any, Any], source: Path, out: Path, name: str, jobs: int, watch: Watch, *, resume: bool) -> Outcome:
    """Filter a field of each line of a JSONL file into another. Bad records are set aside, in a file that ends with `.bad`.

    Args:
        name: of the field.
        resume: whether to go on where an earlier run was interrupted; then the input and the pipeline must be the same.

    Raises:
        JournalError: they are not.
    """
    outcome = Outcome()
    with Journal(source, out, f"{fingerprint(stage)} {name}", resume=resume) as journal:
        outcome.skipped = journal.lines
        watch(journal.read)
        with source.open("rb") as file, _workers(stage, jobs) as run:
            file.seek(journal.read)
            batches = ((name, batch) for batch in iter(lambda: list(islice(file, BATCH)), []))
            for (_, batch), rows in run(_lines, batches):
                good, bad = io.BytesIO(), io.BytesIO()
                for at, (line, counts, reason) in enumerate(rows, journal.lines + 1):
                    if reason:
                        outcome.bad.append(Bad(f"{source}:{at}", reason))
                        bad.write(json.dumps({"line": at, "reason": reason}).encode() + b"\n")
                    elif line:
                        outcome.done += 1
                        outcome.counts.update(counts)
                        good.write(line)
                size = sum(map(len, batch))
                journal.add(len(batch), size, good.getvalue(), bad.getvalue())
                watch(size)
    return outcome


def _lines(stage: Stage[Any, Any], name: str, batch: list[bytes]) -> list[tuple[bytes, dict[str, int], str]]:
    """Each line with what was found in it, or why it is bad. Empty lines stay empty."""
    records: list[Any] = []
    wrong: dict[int, str] = {}
    for at, line in enumerate(batch):
        try:
            records.append(json.loads(line) if line.strip() else None)
        except (ValueError, RecursionError) as error:
            records.append(None)
            column = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            wrong[at] = f"it is no JSON{column}"
    asked = [at for at, line in enumerate(batch) if at not in wrong and line.strip()]
    filtered = dict(zip(asked, filter_records(stage, [records[at] for at in asked], field=name), strict=True))
    out: list[tuple[bytes, dict[str, int], str]] = []
    for at in range(len(batch)):
        if at in filtered and filtered[at].record is not None:
            written = json.dumps(filtered[at].record, ensure_ascii=False, separators=(",", ":"))
            out.append((written.encode("utf-8", "backslashreplace") + b"\n", filtered[at].counts, ""))
        else:
            out.append((b"", {}, wrong.get(at) or (filtered[at].reason if at in filtered else "")))
    return out


# ---------------------------------------------------------------------- processes

_stage: Stage[Any, Any] | None = None  # of this process


def _begin(pickled: bytes) -> None:
    """In each process, once. An interrupt is the parent's to deal with."""
    global _stage  # noqa: PLW0603  # what an initializer leaves for the tasks of its process has no other place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stage = pickle.loads(pickled)  # noqa: S301  # from the parent


def _task(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return function(_stage, *args)


Run = Callable[[Callable[..., Any], Iterator[Any]], Iterator[tuple[Any, Any]]]


@contextlib.contextmanager
def _workers(stage: Stage[Any, Any], jobs: int) -> Iterator[Run]:
    """What runs a function over arguments and gives each with its result, in their order: here, or in some processes."""
    if jobs == 1:
        yield lambda function, tasks: ((args, function(stage, *args)) for args in tasks)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(pickle.dumps(stage),))
    try:
        yield lambda function, tasks: _in_order(pool, function, tasks, jobs * AHEAD)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: Executor, function: Callable[..., Any], tasks: Iterator[Any], ahead: int) -> Iterator[tuple[Any, Any]]:
    running: deque[tuple[Any, Future[Any]]] = deque()
    for args in tasks:
        running.append((args, pool.submit(_task, function, args)))
        if len(running) > ahead:
            done, future = running.popleft()
            yield done, future.result()
    while running:
        done, future = running.popleft()
        yield done, future.result()
