"""Where commands write: never over what they read, and nothing twice. It is looked at before anything is written."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import click


def check_places(read: Iterable[Path], written: Iterable[Path]) -> None:
    """Refuse places where an input would be lost, or an output.

    Args:
        read: files, and directories of them.
        written: files that will be there, and a directory that they come into.

    Raises:
        UsageError: one of them is an input, by this name or by another; or two of them are one file.
    """
    inputs = {_file(path) for path in read} - {None}
    places: set[Path] = set()
    for path in written:
        if _file(path) in inputs:
            raise click.UsageError(f"{path} is an input: it would be lost")
        place = path.parent.resolve() / path.name  # of a link itself: an output takes its place
        if place in places:
            raise click.UsageError(f"{path} would be written twice: two outputs need two places")
        places.add(place)


def _file(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever it is called. A terminal that is read and written loses nothing."""
    try:
        state = path.stat()
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode) else None
