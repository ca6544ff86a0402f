"""Mapping, dropping and watching what flows by. None of these holds anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from streamfilter.context import Context
from streamfilter.declaration import Plain
from streamfilter.errors import Unfit
from streamfilter.items import Channel, Event, Item, Key, ToolCall, Usage, check_kinds
from streamfilter.machine import Machine, TextMachine, mapping, refusal, wrong_item
from streamfilter.pipeline import Stage, TextStage, stage


@stage
class MapText(TextStage):
    """Apply a function to each piece of text. It applies to the answer.

    Args:
        fn: a function with f(a + b) == f(a) + f(b), such as `str.lower`, or one that works character by character. Others depend on
            how the text happens to be cut.

    Example:
        >>> import streamfilter as sf
        >>> sf.MapText(str.swapcase).apply("Hello")
        'hELLO'
    """

    fn: Plain[Callable[[str], str]]

    if TYPE_CHECKING:

        def __init__(self, fn: Callable[[str], str], *, channels: tuple[str, ...] | None = ...) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return mapping(self.fn)

    def holds(self) -> str:
        return "holds nothing"


@stage
class Drop(Stage[str, str]):
    """Drop every item of some kinds of channel: text, and the events pinned there except usage.

    Args:
        kinds: kinds of channel: `"reasoning"`, `"refusal"`, `"tool_arguments"` (with the calls themselves), `"answer"`.

    Example:
        >>> import streamfilter as sf
        >>> thought = sf.TextDelta("hm", sf.Channel("reasoning"))
        >>> list(sf.Drop("reasoning").iter([thought, sf.TextDelta("yes")]))
        [TextDelta('yes', Channel(kind='answer', key=()))]
    """

    _variadic: ClassVar[str] = "kinds"
    kinds: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

    if TYPE_CHECKING:

        def __init__(self, *kinds: str) -> None: ...

    def compile(self) -> None:
        check_kinds(self.kinds)

    def machine(self, context: Context | None = None) -> Machine:
        return _Dropper(self.kinds, set() if context is None else context.seen)

    def explanation(self) -> str:
        return f"drops {', '.join(self.kinds)}; holds nothing"


class _Dropper(Machine):
    def __init__(self, kinds: tuple[str, ...], seen: set[Key]) -> None:
        self._kinds = frozenset(kinds)
        self._seen = seen
        self._plain = "answer" in self._kinds

    def feed(self, item: Item) -> Sequence[Item]:
        if isinstance(item, Event):
            scope = item.arguments if isinstance(item, ToolCall) else item.scope  # a call may be pinned elsewhere
            if not isinstance(scope, Channel) or scope.kind not in self._kinds:
                return (item,)
            if scope.choice:
                self._seen.add(scope.choice)  # the choice is there, though nothing of it is seen further on
            return () if not item.boundary and not isinstance(item, Usage) else (item,)
        if not isinstance(item, str):
            raise Unfit(wrong_item("Drop", item))
        return () if self._plain else (item,)


@stage
class Tap(Stage[str, str]):
    """Call a function with every item, and pass it on. What the function raises ends the stream.

    Args:
        fn: called with each item; what it returns is ignored.

    Example:
        >>> import streamfilter as sf
        >>> seen = []
        >>> list(sf.Tap(seen.append).iter(["a", "b"])), seen
        (['a', 'b'], ['a', 'b'])
    """

    fn: Plain[Callable[[Item], object]]

    if TYPE_CHECKING:

        def __init__(self, fn: Callable[[Item], object]) -> None: ...

    reads: ClassVar[str] = "anything"
    gives: ClassVar[str] = "anything"

    def machine(self, context: Context | None = None) -> Machine:
        return _Tap(self.fn)

    def explanation(self) -> str:
        return "sees every item; holds nothing"


class _Tap(Machine):
    def __init__(self, fn: Callable[[Item], object]) -> None:
        self._fn = fn

    def feed(self, item: Item) -> Sequence[Item]:
        try:
            self._fn(item)
        except Exception as error:  # a refusal: what came before it is delivered, however the text was cut
            self.ended = True
            return (refusal(error),)
        return (item,)
