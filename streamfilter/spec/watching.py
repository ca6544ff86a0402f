"""`watch`: the pipelines of a file, as the file is now. Streams that run keep the pipeline they began with.

A thread looks at the file every so often, and at the files of words that it refers to, and compiles what has changed; who asks for
a pipeline never waits for that, after the first time. A file that is broken changes nothing: the last good pipelines stay, and
`error` says what is wrong. This module knows when to read, and nothing of what stands in the file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from streamfilter.declaration import check_plain, check_seconds
from streamfilter.errors import SpecError
from streamfilter.pipeline import Stage
from streamfilter.spec.declaring import read_all, scope_of
from streamfilter.spec.scope import Scope, Stamp, stamp
from streamfilter.spec.texts import content_of, parsed
from streamfilter.spec.words import unknown

SECONDS = 1.0
"""Between two looks at the file. A look reads some kilobytes, and people who change a file count in seconds."""

SETTLED_SECONDS = 0.05
"""In which a file that has changed must not change again: whoever writes one has some kilobytes more within a millisecond. What is
seen of a file while it is written may be good TOML, and lack the guards that are yet to come."""

_log = logging.getLogger("streamfilter")


class _Seen(NamedTuple):
    """What there was to read, at some time. The content alone says whether a declaration changed: it can be written twice within
    one tick of its file's clock. Files of words can be large, and are told by their stamps.
    """

    content: bytes | None
    problem: str | None  # that keeps it from being read
    words: Mapping[Path, Stamp | None]


class Watched:
    r"""The pipelines of a file, as it is now. Made by `watch`. It is for any number of threads.

    Attributes:
        path: of the file.
        error: what is wrong with the file as it is, if anything; the pipelines then are those of its last good version.
        version: counts the versions that were good, from 1.

    Example:
        >>> import pathlib, tempfile, threading
        >>> path = pathlib.Path(tempfile.mkdtemp(), "pipelines.toml")
        >>> text = "version = 1\n[[pipeline.acme]]\nstage = 'redact'\nrules = ['email']\n"
        >>> _ = path.write_text(text)
        >>> with watch(path, wait=threading.Event.wait) as config:  # so that nothing but `reload` looks at it here
        ...     _ = path.write_text(text.replace("email", "emial"))
        ...     config.reload(), config.version, config.get("acme").apply("joe@example.com")
        (False, 1, '[email]')
    """

    def __init__(
        self, path: Path, scope: Scope, wait: Callable[[threading.Event], object], on_error: Callable[[SpecError], object] | None
    ) -> None:
        self.path = path
        self.error: SpecError | None = None
        self.version: int = 0
        self._scope = scope
        self._on_error = on_error
        self._pipelines: Mapping[str, Stage[Any, Any]] = {}
        self._wait = wait
        self._seen = _Seen(None, None, {})  # of the last version that was looked at, good or bad
        self._is_closed = False
        self._reading = threading.Lock()
        self._read()
        if self.error is not None:
            raise self.error
        self._begin()

    def _begin(self) -> None:
        """Start the thread. A child of a fork has none of its parent's, and perhaps a lock that nobody will release."""
        self._pid = os.getpid()
        self._reading = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._closing,), name=f"watch {self.path.name}", daemon=True)
        self._thread.start()

    def get(self, name: str) -> Stage[Any, Any]:
        """The pipeline of this name, as the file has it now. It never waits.

        Raises:
            SpecError: there is none; the message says which there are.
        """
        if self._pid != os.getpid() and not self._is_closed:
            self._begin()
        pipelines = self._pipelines  # one reference: a reload puts another in its place
        try:
            return pipelines[name]
        except KeyError:
            raise SpecError(unknown("pipeline", name, pipelines), file=os.fspath(self.path)) from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the pipelines."""
        return tuple(self._pipelines)

    def reload(self) -> bool:
        """Read the file now, in this thread, and compile it though it may not have changed: the environment may have.

        In an event loop that is `await asyncio.to_thread(watched.reload)`.

        Returns:
            Whether the pipelines are those of the file: false if it is broken, which `error` then says.
        """
        self._read(is_forced=True)
        return self.error is None

    def close(self) -> None:
        """Stop watching. The pipelines stay as they are."""
        self._is_closed = True
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "broken, as it was before" if self.error else f"version {self.version}"
        return f"<Watched {os.fspath(self.path)!r}: {state}, pipelines: {len(self._pipelines)}>"

    def _watch(self, closing: threading.Event) -> None:
        while not closing.is_set():
            self._wait(closing)
            if not closing.is_set():
                self._read()

    def _read(self, *, is_forced: bool = False) -> None:
        with self._reading:
            seen = self._settled()
            if seen == self._seen and not is_forced:
                return
            scope = replace(self._scope, files={})
            try:
                if seen.content is None:
                    raise SpecError(seen.problem or "", file=os.fspath(self.path))
                self._pipelines = read_all(parsed(seen.content, self.path), scope)
                self.version += 1
                self.error = None
                if self.version > 1:
                    _log.info("%s: version %d of its pipelines, for new streams", self.path, self.version)
            except SpecError as error:
                self._refuse(error)
            except (Exception, SystemExit) as error:  # a user's stage or module, which must not end the watch
                self._refuse(SpecError(f"{type(error).__name__} while it was compiled", file=os.fspath(self.path)))
            self._seen = seen._replace(words=scope.files)

    def _settled(self) -> _Seen:
        """What there is to read, once nobody writes it; at the beginning, what there is."""
        seen = self._now()
        while self.version and seen != self._seen:
            self._closing.wait(SETTLED_SECONDS)
            before, seen = seen, self._now()
            if seen == before:
                break
        return seen

    def _now(self) -> _Seen:
        words = {path: stamp(path) for path in self._seen.words}
        try:
            return _Seen(content_of(self.path), None, words)
        except SpecError as error:
            return _Seen(None, error.problem, words)

    def _refuse(self, error: SpecError) -> None:
        is_new = str(error) != str(self.error)
        self.error = error
        if not self.version or not is_new:
            return
        _log.warning("the pipelines stay as they were: %s", error)
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:
                _log.exception("on_error of a watch raised")


def watch(
    path: str | os.PathLike[str],
    *,
    checks: Mapping[str, object] | None = None,
    objects: Mapping[str, object] | None = None,
    allow_imports: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
    wait: Callable[[threading.Event], object] | None = None,
    on_error: Callable[[SpecError], object] | None = None,
) -> Watched:
    """The pipelines that a file declares, kept as the file is.

    New streams get the pipeline of the file as it is now; those that run keep theirs. A thread of its own reads the file and
    compiles its pipelines when it has changed: written anew, or put in its place by renaming. Files of words that it refers to are
    watched too. What a module has that it imports from is not read again.

    Args:
        path: of the file, as for `load`; so are `checks`, `objects`, `allow_imports` and `env`.
        seconds: between two looks at the file.
        wait: called in that thread instead of waiting so long, with an event that is set when the watch is closed.
        on_error: called in that thread with what is wrong with a changed file, once for each thing; it is logged as a warning too.

    Raises:
        SpecError: the file is broken at the beginning, when there is no good one to keep.
        ValueError: `seconds` are no time.
        TypeError: `wait` or `on_error` is async.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "pipelines.json")
        >>> _ = path.write_text('{"version": 1, "pipeline": {"acme": [{"stage": "redact", "rules": ["email"]}]}}')
        >>> with watch(path) as config:
        ...     config.get("acme").apply("joe@example.com")
        '[email]'
    """
    check_seconds("seconds", seconds)
    check_plain("wait", wait)
    check_plain("on_error", on_error)
    scope = scope_of(checks, objects, allow_imports, env)
    return Watched(Path(path), scope, wait or (lambda closing: closing.wait(seconds)), on_error)
