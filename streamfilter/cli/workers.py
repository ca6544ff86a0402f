"""Worker processes: tasks go out, results come back in the order of the tasks.

Not `ProcessPoolExecutor`: on the way out it waits for what runs, and an input may never end; a worker that is killed while it
writes a result can leave it waiting for the rest; and its workers outlive a parent that is killed. Here each worker has a pipe of
its own, so that its death is the end of that pipe, and ends with its parent. What a task does is not known here.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, cast

from streamfilter.errors import StreamFilterError
from streamfilter.pipeline import Stage

AHEAD = 3
"""Tasks for each worker that are handed out before the result of the first of them is taken: so many are kept in memory."""


class WorkerError(StreamFilterError):
    """A worker process cannot begin, or ended before its task."""


class Task(NamedTuple):
    """What a worker does: `function(stage, *args)`. The function must be one that can be imported.

    Attributes:
        place: where its input is, for people.
    """

    place: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


Run = Callable[[Iterator[Task]], Iterator[tuple[Task, Any]]]


@contextlib.contextmanager
def workers(stage: Stage[Any, Any], jobs: int) -> Iterator[Run]:
    """What does tasks and gives each with its result, in their order: here, or in some processes. On the way out all of them end,
    at once if an exception is under way.

    Raises:
        WorkerError: the pipeline cannot be handed to another process; or a worker ended, or failed, in a task.
    """
    if jobs == 1:
        yield lambda tasks: ((task, task.function(stage, *task.args)) for task in tasks)
        return
    crew = _Crew(_pickled(stage), jobs)
    try:
        yield crew.run
    except BaseException:
        crew.end()
        raise
    crew.leave()


def _pickled(stage: Stage[Any, Any]) -> bytes:
    for part in stage.stages:
        try:
            pickle.dumps(part)
        except Exception as error:  # whatever its parts raise; the message may quote them
            what = f"the stage {type(part).__name__} cannot go to another process ({type(error).__qualname__})"
            right = "what it is made of must be importable, no lambda and no open client; or use one process"
            raise WorkerError(f"{what}: {right}") from None
    return pickle.dumps(stage)


class _Worker:
    """A process and the pipe to it."""

    def __init__(self, pickled: bytes) -> None:
        context = get_context("spawn")  # a fork of a process that has threads may never come alive
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, pickled), daemon=True)
        with _uninterrupted(), theirs:
            self.process.start()

    def give(self, task: Task) -> None:
        with contextlib.suppress(OSError):  # it is gone, which is told when its result is taken
            self.pipe.send((task.function, task.args))

    def take(self, task: Task) -> Any:
        """The result, or why there is none."""
        try:
            is_done, result = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            told = f"{task.place}: the process that filtered this {how}"
            return WorkerError(f"{told}. What was done before is kept: --resume goes on there")
        return result if is_done else WorkerError(f"{task.place}: {result}")


class _Crew:
    """Workers, started when there is something for them to do."""

    def __init__(self, pickled: bytes, jobs: int) -> None:
        self._pickled = pickled
        self._jobs = jobs
        self._all: list[_Worker] = []

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Any]]:
        idle: list[_Worker] = []
        busy: dict[Connection, tuple[_Worker, int]] = {}
        given: dict[int, Task] = {}
        done: dict[int, Any] = {}
        upcoming = enumerate(tasks)
        first = 0
        has_failed = False
        while True:
            while not has_failed and len(given) < self._jobs * AHEAD and (idle or len(self._all) < self._jobs):
                number, task = next(upcoming, (0, None))
                if task is None:
                    break
                worker = idle.pop() if idle else self._another()
                worker.give(task)
                given[number] = task
                busy[worker.pipe] = worker, number
            if first in done:
                task, result = given.pop(first), done.pop(first)
                if isinstance(result, WorkerError):
                    raise result
                yield task, result
                first += 1
                continue
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker, number = busy.pop(cast("Connection", pipe))  # no sockets were given
                done[number] = worker.take(given[number])
                has_failed |= isinstance(done[number], WorkerError)  # what was given out before is still waited for
                idle.append(worker)

    def _another(self) -> _Worker:
        self._all.append(_Worker(self._pickled))
        return self._all[-1]

    def leave(self) -> None:
        """No more tasks come."""
        for worker in self._all:
            worker.pipe.close()
        for worker in self._all:
            worker.process.join()

    def end(self) -> None:
        """Whatever they are doing."""
        for worker in self._all:
            worker.process.kill()
        self.leave()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that starts here is deaf to Ctrl-C from its first moment, when it could only say so with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # otherwise started with the first process, it would allow the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---------------------------------------------------------------------- in the worker


def _work(pipe: Connection, pickled: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to deal with
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    stage: Any = None
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            function, args = pipe.recv()
            try:
                stage = pickle.loads(pickled) if stage is None else stage  # noqa: S301  # from the parent
                answer = True, function(stage, *args)
            except Exception as error:  # its message may quote the text
                answer = False, f"{type(error).__qualname__} in the process that filtered this"
            pipe.send(answer)


def _end_with_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # also in the midst of a task: its result has nowhere to go
