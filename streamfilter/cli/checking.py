"""`check`: what a file declares, and what each of its stages does, without the objects that it will be given where it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamfilter.display import counted, explanation
from streamfilter.pipeline import Stage, TextStage
from streamfilter.spec.checking import checked

_MOST = re.compile(r"at most (\d+) characters?\b")


class Checked:
    """The pipelines of a file, explained.

    Args:
        path: of the file.
        allow_imports: modules from which it may import.

    Raises:
        SpecError: the file is wrong.
    """

    def __init__(self, path: str, allow_imports: Iterable[str] = ()) -> None:
        self.path = path
        self.pipelines: dict[str, Stage[Any, Any]]
        self.needs: list[str]
        self.pipelines, self.needs = checked(Path(path), allow_imports)

    def as_json(self) -> dict[str, Any]:
        """What `show` shows."""
        pipelines = {name: _stages(pipeline) for name, pipeline in self.pipelines.items()}
        return {"file": self.path, "pipelines": pipelines, "needs": self.needs}

    def show(self, console: Console) -> None:
        """Print it."""
        for name, pipeline in self.pipelines.items():
            title = _plain(f"pipeline {name}")
            table = Table("", "stage", "channels", "what it does", title=title, title_justify="left", show_lines=True)
            for place, part, earlier in _places(pipeline):
                told = _described(part, earlier)
                where = part.reach() if isinstance(part, TextStage) else "items"
                table.add_row(place, _plain(told["stage"]), _plain(where), _plain(told["does"]))
            console.print(table if pipeline.stages else _plain(f"pipeline {name}: no stage, passes everything"))
        if self.needs:
            console.print(_plain(f"It needs, where it is loaded: {', '.join(self.needs)}"))
        console.print(_plain(f"{self.path}: good, {counted(len(self.pipelines), 'pipeline')}"))


def _plain(text: str) -> Text:
    """A text that came from a file, without what a terminal would obey."""
    return Text("".join(char if char.isprintable() else repr(char)[1:-1] for char in text))


def _inner(part: Stage[Any, Any]) -> Stage[Any, Any] | None:
    """The pipeline that a stage has inside of it, if any."""
    inner = getattr(part, "pipeline", None)
    return inner if isinstance(inner, Stage) else None


def _places(pipeline: Stage[Any, Any], above: str = "") -> Iterator[tuple[str, Stage[Any, Any], Sequence[Stage[Any, Any]]]]:
    """Each stage, and those inside of it, with their numbers, and those in front of them."""
    for number, part in enumerate(pipeline.stages):
        yield f"{above}{number}", part, pipeline.stages[:number]
        if (inner := _inner(part)) is not None:
            yield from _places(inner, f"{above}{number}.")


def _stages(pipeline: Stage[Any, Any]) -> list[dict[str, Any]]:
    return [_described(part, pipeline.stages[:number]) for number, part in enumerate(pipeline.stages)]


def _described(part: Stage[Any, Any], earlier: Sequence[Stage[Any, Any]]) -> dict[str, Any]:
    does = part.holds() if isinstance(part, TextStage) else explanation(part, earlier)
    inner = _inner(part)
    if inner is not None:
        does = does.removesuffix(f"\n{inner.explain()}")  # they have rows of their own
    return {
        "stage": type(part).__name__,
        "channels": part.channels if isinstance(part, TextStage) else None,
        "does": does,
        "most_held_chars": int(found[1]) if (found := _MOST.search(does)) else None,
        "waits": part.must_wait,
        "reads": part.reads,
        "gives": part.gives,
        **({} if inner is None else {"pipeline": _stages(inner)}),
    }
