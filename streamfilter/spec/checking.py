"""Checking a declaration without what it will be given where it runs: what is not here is stood for, and noted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from streamfilter.errors import SpecError
from streamfilter.pipeline import Stage
from streamfilter.spec.declaring import read_all
from streamfilter.spec.scope import MAX_PROBLEMS, Noted, Scope, prefixes
from streamfilter.spec.texts import source_of


class Wrong(SpecError):
    """Several things are wrong in a declaration, or one.

    Attributes:
        problems: each of them.
    """

    def __init__(self, problems: Sequence[SpecError]) -> None:
        super().__init__(problems[0].problem)
        self.problems: tuple[SpecError, ...] = tuple(problems)

    def __str__(self) -> str:
        more = f"\nand perhaps more: {MAX_PROBLEMS} are told at most" if len(self.problems) == MAX_PROBLEMS else ""
        return "\n".join(map(str, self.problems)) + more


def checked(path: Path, allow_imports: Iterable[str] = ()) -> tuple[dict[str, Stage[Any, Any]], list[str]]:
    """The pipelines that a file declares, which can be looked at but not used, and the names of what they need.

    Returns:
        The pipelines by name; and the names of live objects, with `$` before those of environment variables that are not set.

    Raises:
        Wrong: the file is; all is told that is wrong, at once.
    """
    needs: list[str] = []
    problems: list[SpecError] = []
    try:
        source = source_of(path)
        try:
            pipelines = read_all(source, Scope(allow_imports=prefixes(allow_imports), needs=needs, problems=problems))
        except Noted:
            raise Wrong([*map(source.placed, problems)]) from None
    except Wrong:
        raise
    except SpecError as error:
        raise Wrong([error]) from error
    return pipelines, [*dict.fromkeys(needs)]
