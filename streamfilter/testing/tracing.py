"""What a stage lets out, and when: the observation that every law compares, and the message that shows it.

A stage with a machine is fed; one that is an async generator function is driven by a stream, in virtual time. Nothing here judges.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from streamfilter.items import Channel, End, Event, Item, TextDelta
from streamfilter.pipeline import Stage
from streamfilter.plain import run_through
from streamfilter.testing.clock import run_virtually
from streamfilter.testing.sources import ScriptedSource

AnyStage: TypeAlias = Stage[Any, Any]

Gives: TypeAlias = Literal["text", "items", "last"]
"""What of a stage's output its meaning is about: the joined `"text"`, the `"items"` (units, values), or the `"last"` one."""

Means: TypeAlias = Callable[[str], Any]
"""What a whole text means. It may raise: then the stage has to end with an exception of that class."""

MAX_SHOWN_STEPS = 24
"""Lines of a case: more than a screen is not read."""

MAX_SHOWN_CHARS = 200
"""Of one value in a case."""


@dataclass(frozen=True)
class Trace:
    """What a stage let out while it was fed.

    Attributes:
        steps: each piece, and what left then. A stage that ends the stream is not fed the rest.
        rest: what left when the stream ended.

    Example:
        >>> import streamfilter as sf
        >>> trace(sf.Redact("ab"), ["xa", "by"])
        Trace(steps=(('xa', ['x']), ('by', ['[redacted]', 'y'])), rest=[])
    """

    steps: tuple[tuple[Any, list[Any]], ...]
    rest: list[Any]

    @property
    def early(self) -> list[Any]:
        """All that left before the end."""
        return [item for _, left in self.steps for item in left]

    @property
    def given(self) -> list[Any]:
        """All that left."""
        return self.early + self.rest

    @property
    def error(self) -> BaseException | None:
        """What the consumer was raised by the stage, if anything."""
        last = self.given[-1:]
        return last[0].error if last and isinstance(last[0], End) else None


def trace(stage: AnyStage, pieces: Iterable[Any]) -> Trace:
    """Feed a stage, and take down what leaves when."""
    if any(part.function is not None for part in stage.stages):
        return run_virtually(_driven(stage, list(pieces)), debug=False)
    machine = stage.machine()
    steps: list[tuple[Any, list[Any]]] = []
    for piece in pieces:
        left = list(machine.feed(piece))
        steps.append((piece, left))
        if left and isinstance(left[-1], End):
            return Trace(tuple(steps), [])
    return Trace(tuple(steps), list(machine.finish()))


async def _driven(stage: AnyStage, pieces: list[Any]) -> Trace:
    source = ScriptedSource(pieces, pause=partial(asyncio.sleep, 1))  # so that all has left that will, before the next comes
    lefts: list[list[Any]] = [[] for _ in range(len(pieces) + 1)]

    def now() -> list[Any]:
        return lefts[-1] if source.is_over or not source.given else lefts[source.given - 1]

    try:
        async with stage(source) as stream:
            async for item in stream:
                now().append(item)
    except Exception as error:
        now().append(End("error", error))
    return Trace(tuple(zip(pieces, lefts, strict=False)), lefts[-1])


def run(stage: AnyStage, use: Coroutine[Any, Any, None]) -> None:
    """Run what uses a stage: what waits needs an event loop, nothing else does."""
    if waits(stage):
        run_virtually(use, debug=False)
    else:
        run_through(use)


def waits(stage: AnyStage) -> bool:
    """Whether items may leave by themselves, so that it matters when the source gives what."""
    return any(part.function is not None or part.machine().waits for part in stage.stages)


def released(stage: AnyStage, pieces: Iterable[Item]) -> tuple[list[Any], list[Any]]:
    """What leaves while these items are fed, and what leaves when the stream then ends. An `End` is the last of its list.

    Example:
        >>> import streamfilter as sf
        >>> released(sf.Redact("ab"), ["xa"])
        (['x'], ['a'])
    """
    found = trace(stage, pieces)
    return found.early, found.rest


def text_in(items: Iterable[Any]) -> str:
    """The text of some items, joined."""
    return "".join(item if isinstance(item, str) else item.text for item in items if isinstance(item, str | TextDelta))


def view(items: Sequence[Any], gives: Gives) -> Any:
    """What a stage's meaning is compared with. Of nothing, the last item is None.

    Example:
        >>> view(["a", "b"], "text"), view(["a", "b"], "items"), view(["a", "b"], "last")
        ('ab', ['a', 'b'], 'b')
    """
    if gives == "text":
        return text_in(items)
    values = [item for item in items if not isinstance(item, End)]
    return values if gives == "items" else next(reversed(values), None)


# ------------------------------------------------------------------ what a failed test shows


class LawBroken(AssertionError):
    """A stage broke a law. The message is the case: what was fed, what left when, and what should have.

    Attributes:
        law: the name of the law.
    """

    def __init__(self, law: str, problem: str, rows: Sequence[tuple[str, str]] = ()) -> None:
        self.law = law
        width = min(max([len(label) for label, _ in rows], default=0), 40)
        super().__init__("\n".join([f"{law}: {problem}", *(f"  {label:<{width}}  {value}" for label, value in rows)]))
        self._made_of = law, problem, tuple(rows)

    def __reduce__(self) -> tuple[type[LawBroken], tuple[str, str, tuple[tuple[str, str], ...]]]:
        return type(self), self._made_of


def broken(law: str, problem: str, stage: object, found: Trace | None = None, **values: Any) -> LawBroken:
    """The error for a case.

    Args:
        law: its name.
        problem: what is wrong, in a clause.
        stage: what broke it.
        found: what left when.
        values: whatever else tells; of `gave` and `wanted` it is shown where they part.
    """
    rows = [("stage", _short(stage))]
    if found is not None:
        rows += [("fed", "left"), *_lines(found)]
    rows += [(name.replace("_", " "), _short(value)) for name, value in values.items()]
    if "gave" in values and "wanted" in values and (where := _parting(values["gave"], values["wanted"])):
        rows.append(("differs", where))
    return LawBroken(law, problem, rows)


def _lines(found: Trace) -> list[tuple[str, str]]:
    lines = [(_short(piece), _left(left)) for piece, left in found.steps]
    if len(lines) > MAX_SHOWN_STEPS:
        half = MAX_SHOWN_STEPS // 2
        lines = [*lines[:half], ("…", f"({len(lines) - 2 * half} more)"), *lines[-half:]]
    return [*lines, ("(end)", _left(found.rest))]


def _left(items: Sequence[Any]) -> str:
    return ", ".join(map(_short, items)) or "-"


def _short(value: object) -> str:
    shown = _event(value) if isinstance(value, Event) else repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[:MAX_SHOWN_CHARS]}…"


def _event(event: Event) -> str:
    """An event without what it says by default: a case is read line by line."""
    if isinstance(event, TextDelta):
        return f"{event.text!r} in {event.channel.kind}{event.channel.key}"
    if not dataclasses.is_dataclass(event):
        return repr(event)
    fields = [field for field in dataclasses.fields(event) if field.repr]
    said = [(field.name, value) for field in fields if (value := getattr(event, field.name)) != field.default]
    return f"{type(event).__name__}({', '.join(f'{name}={_place(value)}' for name, value in said)})"


def _place(value: object) -> str:
    return f"{value.kind}{value.key}" if isinstance(value, Channel) else repr(value)


def _parting(gave: Any, wanted: Any) -> str | None:
    """Where two texts or lists part."""
    if not (isinstance(gave, str | list) and isinstance(wanted, str | list) and type(gave) is type(wanted)):
        return None
    unit = "character" if isinstance(gave, str) else "item"
    at = next((n for n, (one, other) in enumerate(zip(gave, wanted, strict=False)) if one != other), min(len(gave), len(wanted)))
    if at == len(gave) == len(wanted):
        return None
    if at == len(gave):
        return f"from {unit} {at} on: {_short(wanted[at:])} is missing"
    if at == len(wanted):
        return f"from {unit} {at} on: {_short(gave[at:])} is too much"
    return f"from {unit} {at} on: {_short(gave[at : at + 1])} instead of {_short(wanted[at : at + 1])}"
