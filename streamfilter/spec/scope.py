"""What a declaration may refer to, and from where: live objects, imports, the environment, files.

Nothing is imported that the caller has not allowed, and an import gives only what is defined where it is looked for: a module that
imports `os` does not lend it. This module knows names, and nothing of what they are for.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import core_schema

from streamfilter.declaration import StandIn
from streamfilter.errors import SpecError
from streamfilter.spec.words import closest

T = TypeVar("T")

Plain = Any
"""What files hold: dictionaries, lists, text, numbers, booleans."""

NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*"
"""The name of a live object: no colon, which would make it an import."""

IMPORT = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
"""`module:qualname`, in ASCII."""

STAND_IN_SECRET = "x" * 32
"""For a secret that only the place has where the declaration will run. As long as secrets are."""


Stamp = tuple[int, int, int, int]
"""Of a file: what changes when it is written or another is put in its place."""


def stamp(path: Path) -> Stamp | None:
    """The stamp of a file as it is now; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


MAX_PROBLEMS = 20
"""That are told of one declaration: to find the line of each it is parsed some times."""


class Noted(SpecError):
    """What is wrong in here has been noted, so that the rest could be looked at; nothing can be made of it."""


class Absent(StandIn):
    """Stands for a live object that is not here, so that a declaration can be checked without it. Nothing can be asked of it.

    Args:
        name: of what it stands for.
    """

    def __init__(self, name: str) -> None:
        self.__qualname__ = name

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __get_pydantic_core_schema__(self, *_: object) -> Any:
        return core_schema.any_schema()

    async def __call__(self, *_: object, **__: object) -> Any:
        """Refuse: there is nobody to answer.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"{self.__qualname__} only stands for what is given by name")


@dataclass(frozen=True)
class Scope:
    """What a declaration may refer to.

    Args:
        objects: live objects by name.
        allow_imports: modules from which may be imported: `"myapp.text"`, those below `"myapp."`, or one `"myapp.text:shout"`.
        env: the environment.
        folder: from which paths of files lead.
        needs: where to note the names of what is not here, which then is stood for; None: it is an error.
        files: where the files are noted that are read besides, each with its stamp from before.
        problems: where to note what is wrong, so that all of it is found; None: the first is raised.
    """

    objects: Mapping[str, object] = field(default_factory=dict)
    allow_imports: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    folder: Path = field(default_factory=Path)
    needs: list[str] | None = None
    files: dict[Path, Stamp | None] = field(default_factory=dict)
    problems: list[SpecError] | None = None

    def each(self, reads: Iterable[Callable[[], T]]) -> list[T]:
        """What several readings give, all of which are tried where problems are noted.

        Raises:
            SpecError: of the first that fails; a `Noted`, if problems are noted.
        """
        read: list[T] = []
        noted = self.problems
        has_failed = False
        for each in reads:
            try:
                read.append(each())
            except Noted:
                has_failed = True
            except SpecError as error:
                if noted is None:
                    raise
                noted.append(error)
                has_failed = True
            if noted is not None and len(noted) >= MAX_PROBLEMS:
                break
        if has_failed:
            raise Noted("what is wrong is noted")
        return read

    def live(self, name: str) -> object:
        """The live object of a name.

        Raises:
            SpecError: there is none.
        """
        if name in self.objects:
            return self.objects[name]
        if self.needs is not None and re.fullmatch(NAME, name):
            self.needs.append(name)
            return Absent(name)
        known = f"there are {', '.join(sorted(self.objects))}" if self.objects else f"hand it in: objects={{{name!r}: …}}"
        raise SpecError(f"nothing is named {name!r}: {closest(name, self.objects) or known}")

    def secret(self, name: str) -> str:
        """The value of an environment variable.

        Raises:
            SpecError: it is not set.
        """
        if name in self.env:
            return self.env[name]
        if self.needs is not None:
            self.needs.append(f"${name}")
            return STAND_IN_SECRET
        raise SpecError(f"the environment variable {name!r} is not set")

    def allows(self, path: str) -> bool:
        """Whether `module:qualname` may be imported."""
        module = path.partition(":")[0]
        return any(entry in (module, path) or (entry.endswith(".") and path.startswith(entry)) for entry in self.allow_imports)

    def imported(self, path: str) -> Any:
        """What `module:qualname` names.

        Raises:
            SpecError: that is not allowed, there is no such thing, or it is not defined there.
        """
        if not re.fullmatch(IMPORT, path):
            raise SpecError("an import is written module:qualname")
        if not self.allows(path):
            raise SpecError(f"importing {path!r} is not allowed: who loads the declaration says allow_imports=[…]")
        module, _, qualname = path.partition(":")
        try:
            found: Any = import_module(module)
            for name in qualname.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError) as error:
            is_absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
            hint = ", its folder is not on PYTHONPATH?" if is_absent else ""
            raise SpecError(f"cannot import {path!r}: {error}{hint}") from error
        except Exception as error:
            raise SpecError(f"cannot import {path!r}: its module raised {type(error).__name__}") from error
        if import_path(found) != path:
            raise SpecError(f"{path!r} is not defined there: name it where it is defined")
        return found


def import_path(value: object) -> str | None:
    """Where a function or a class is defined, as `module:qualname`; None if it has no such name.

    Example:
        >>> import_path(str.upper), import_path(Path), import_path(lambda: 1)
        ('builtins:str.upper', 'pathlib:Path', None)
    """
    if not (inspect.isroutine(value) or isinstance(value, type)):
        return None
    owner = getattr(value, "__objclass__", value)
    path = f"{getattr(owner, '__module__', None)}:{getattr(value, '__qualname__', None)}"
    return path if re.fullmatch(IMPORT, path) else None


def name_of(value: object, objects: Mapping[str, object]) -> str:
    """What a declaration calls a live object, a function or a class.

    Raises:
        SpecError: it has no name. The message does not show it: clients hold keys.
    """
    for name, known in objects.items():
        if known is value:
            return name
    path = import_path(value)
    if path is not None:
        module, _, qualname = path.partition(":")
        found: Any = import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if found is value:
            return path
    what = getattr(value, "__qualname__", None) if inspect.isroutine(value) else f"a value of type {type(value).__qualname__}"
    raise SpecError(f"{what} has no name that a file could give: hand it in by one, objects={{'name': …}}")


def prefixes(allow_imports: Iterable[str]) -> tuple[str, ...]:
    """What may be imported from, checked.

    Raises:
        ValueError: an entry names no module.
    """
    if isinstance(allow_imports, str):
        raise ValueError(f"allow_imports is a text: give a list, [{allow_imports!r}]")
    entries = tuple(allow_imports)
    for entry in entries:
        if not re.fullmatch(rf"{IMPORT}|[A-Za-z_][\w.]*", entry, re.ASCII):
            raise ValueError(f"allow_imports: {entry!r} is no module: give 'app.text', 'app.' for all below, or 'app.text:shout'")
    return entries
