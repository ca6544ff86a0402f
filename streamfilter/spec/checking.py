"""Checking a declaration without what it will be given where it runs: what is not here is stood for, and noted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamfilter.pipeline import Stage
from streamfilter.spec.declaring import read_all
from streamfilter.spec.scope import Scope, prefixes
from streamfilter.spec.texts import source_of


def checked(path: Path, allow_imports: Iterable[str] = ()) -> tuple[dict[str, Stage[Any, Any]], list[str]]:
    """The pipelines that a file declares, which can be looked at but not used, and the names of what they need.

    Returns:
        The pipelines by name; and the names of live objects, with `$` before those of environment variables that are not set.

    Raises:
        SpecError: the file is wrong.
    """
    needs: list[str] = []
    pipelines = read_all(source_of(path), Scope(allow_imports=prefixes(allow_imports), needs=needs))
    return pipelines, [*dict.fromkeys(needs)]
