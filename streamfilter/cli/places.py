"""Where commands write: never over what they read or what is no file, and nothing twice. It is looked at before all else."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import click


def check_places(read: Iterable[Path], written: Iterable[Path], replaced: Iterable[Path] = ()) -> None:
    """Refuse places where an input would be lost, or an output, or what is no file.

    Args:
        read: files, and directories of them.
        written: what will be written to, whatever it is.
        replaced: files that will be there, and stand beside their places until they are complete.

    Raises:
        UsageError: one of them is an input, by this name or by another; or two of them are one file; or one that would be replaced
            is a pipe or a device.
    """
    replaced = list(replaced)
    inputs = {_file(path) for path in read} - {None}
    places: set[Path] = set()
    for path in [*replaced, *written]:
        if _file(path) in inputs:
            raise click.UsageError(f"{path} is an input: it would be lost")
        place = Path(os.path.realpath(path))
        if place in places:
            raise click.UsageError(f"{path} would be written twice: two outputs need two places")
        places.add(place)
    for path in replaced:
        state = _state(path)
        if state is not None and _is_special(state):
            hint = "name another; one input without --output goes to standard output"
            raise click.UsageError(f"{path} is no regular file, and would become one: {hint}")


def behind(target: Path) -> Path:
    """What a link points to, so that it stays a link. What is none is given back as it is called."""
    with contextlib.suppress(OSError):  # what is wrong with it is told by what writes there
        if target.is_symlink():
            return Path(os.path.realpath(target))
    return target


def part_of(target: Path) -> Path:
    """Where it is written until it is complete: beside the file, on whose file system it must be."""
    place = behind(target)
    return place.with_name(f".{place.name}.part")


def _file(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever it is called. A terminal that is read and written loses nothing."""
    state = _state(path)
    return (state.st_dev, state.st_ino) if state is not None and not _is_special(state) else None


def _state(path: Path) -> os.stat_result | None:
    """None if there is nothing, or nothing that can be looked at: a name may be too long."""
    with contextlib.suppress(OSError):
        return path.stat()
    return None


def _is_special(state: os.stat_result) -> bool:
    """Whether it is a pipe, a device or a socket."""
    return not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode)
