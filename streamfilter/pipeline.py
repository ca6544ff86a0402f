"""Stages: immutable recipes that are declared once, joined with `|`, and started for any number of streams.

A stage is a frozen pydantic dataclass: one definition is the validation, the repr, the equality and the pickle. It holds no state
of any stream; `machine()` starts one. Here is how stages compose and how a text stage is lifted; what they do to text is not known.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, NewType, TypeVar, cast, dataclass_transform, overload

from pydantic import Field

from streamfilter.chain import Chain
from streamfilter.context import AfterStop, Context
from streamfilter.declaration import Declared, declared, show
from streamfilter.display import explained, table
from streamfilter.items import Event, Item, check_kinds, told
from streamfilter.lift import Lift, start_arguments_of, start_of
from streamfilter.machine import Machine, TextMachine
from streamfilter.plain import PlainSource, SyncStream, check_items, check_text, checked_function, is_text
from streamfilter.stream import Function, Segment, Stream, open_stream

C = TypeVar("C")
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Next = TypeVar("Next")
S = TypeVar("S", bound=str | Event)
Self = TypeVar("Self", bound="Stage[Any, Any]")
_Unknown = NewType("_Unknown", object)  # which `Any` fits, and nothing else: what is not known does not become `str`


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, Field))
def stage(cls: type[C]) -> type[C]:
    """Declare a stage: makes the class a frozen, validated dataclass.

    Raises:
        TypeError: the class is no subclass of `TextStage` or `Stage`.

    Example:
        >>> import streamfilter as sf
        >>> @sf.stage
        ... class Shout(sf.TextStage):
        ...     '''Upper-case all text.'''
        ...     def start(self, context=None): return sf.mapping(str.upper)
        >>> Shout().apply("quiet"), Shout()
        ('QUIET', Shout())
    """
    if not isinstance(cls, type):
        raise TypeError("@stage is for classes: an async generator function is a stage as it is, joined with `|`")
    if "__dataclass_fields__" in cls.__dict__ and "__pydantic_fields__" not in cls.__dict__:
        raise TypeError(f"{cls.__name__} is a dataclass already: leave out @dataclass, @stage makes it one")
    if not issubclass(cls, Declared):
        raise TypeError(f"{cls.__name__} is no stage: derive it from TextStage or Stage")
    return declared(cls)


@stage
class Stage(Declared, Generic[In, Out]):
    r"""A recipe: what is done to the items of a stream. Joined with `|`, called with a source.

    Subclass `TextStage` for stages that work on text, this class for those that work on items, and give `machine`.

    Example:
        >>> import streamfilter as sf
        >>> (sf.Redact(r"\d+", to="#") | sf.StopAt("END")).apply("a1b22 END of it")
        'a#b# '
    """

    reads: ClassVar[str] = "items"
    """What it can be fed: "items" (text and events), "chunks" of a provider, or "anything"."""
    gives: ClassVar[str] = "items"
    """What comes out of it: the same words."""
    owns_source: ClassVar[bool] = False
    """Whether its `function` closes what it reads: where that was read."""

    @property
    def function(self) -> Function | None:
        """Of a stage that has no machine: what is called with the stream so far."""
        return None

    def machine(self, context: Context | None = None) -> Machine:
        """Start: the mutable state of this stage for one stream."""
        raise NotImplementedError(f"{type(self).__name__}.machine is missing: give a Machine there")

    @property
    def stages(self) -> tuple[Stage[Any, Any], ...]:
        """The stages of a pipeline; of any other stage, itself."""
        return (self,)

    def on(self: Self, *kinds: str) -> Self:
        """The same stage applied to these kinds of channel: `.on("answer", "reasoning")`.

        Raises:
            TypeError: it is no text stage, or no pipeline that has one.

        Example:
            >>> import streamfilter as sf
            >>> sf.MapText(str.upper).on("answer", "reasoning")
            MapText(str.upper, channels=('answer', 'reasoning'))
        """
        raise TypeError(f"{type(self).__name__} works on items, not on text: .on(...) is for text stages")

    @property
    def must_wait(self) -> bool:
        """Whether it can only be used in an event loop."""
        return False

    def explain(self) -> str:
        """In words, for people: each stage, and which channels it applies to.

        Example:
            >>> import streamfilter as sf
            >>> print(sf.Redact("a").explain())
            Redact(Rule('redacted', 'a')): every text channel; holds a match that is still open, at most 1000 characters, ...
        """
        return "\n".join(map(": ".join, explained(self.stages))) or "an empty pipeline: passes everything"

    def _repr_html_(self) -> str:
        """What `explain` says, as a table for notebooks."""
        return table(("stage", "what it does"), explained(self.stages))

    def explanation(self) -> str:
        """In words: which items this stage applies to, and what it may hold."""
        return "every item"

    @overload
    def __call__(
        self: Stage[Never, _Unknown], source: AsyncIterable[Any], *, context: Context | None = ..., after_stop: AfterStop = ...
    ) -> Stream[Any]: ...
    @overload
    def __call__(
        self: Stage[str, str], source: AsyncIterable[S], *, context: Context | None = ..., after_stop: AfterStop = ...
    ) -> Stream[S]: ...
    @overload
    def __call__(self, source: AsyncIterable[In], *, context: Context | None = ..., after_stop: AfterStop = ...) -> Stream[Out]: ...
    def __call__(
        self, source: AsyncIterable[Any], *, context: Context | None = None, after_stop: AfterStop = "close"
    ) -> Stream[Any]:
        """Wrap an async iterable.

        Args:
            source: what is read: any async iterable of items.
            context: what the stream is started with.
            after_stop: whether a stream that a stage ended closes the source at once, or reads it to its end for its usage.

        Raises:
            TypeError: the source is no async iterable; the message says what would be right.
            ValueError: `after_stop` is not a policy.
        """
        opened = self._opened(source, is_live=True)
        return open_stream(self._segments(), opened, context, after_stop, is_live=True, stage=self)

    @overload
    def iter(
        self: Stage[Never, _Unknown], items: Iterable[Any], *, context: Context | None = ..., after_stop: AfterStop = ...
    ) -> SyncStream[Any]: ...
    @overload
    def iter(
        self: Stage[str, str], items: Iterable[S], *, context: Context | None = ..., after_stop: AfterStop = ...
    ) -> SyncStream[S]: ...
    @overload
    def iter(self, items: Iterable[In], *, context: Context | None = ..., after_stop: AfterStop = ...) -> SyncStream[Out]: ...
    def iter(self, items: Iterable[Any], *, context: Context | None = None, after_stop: AfterStop = "close") -> SyncStream[Any]:
        r"""Wrap a plain iterable: the same machines, for plain code.

        Raises:
            TypeError: `items` is no plain iterable, or a stage must wait; the message says what would be right.

        Example:
            >>> import streamfilter as sf
            >>> list(sf.Redact(r"\+[\d ]+\d", to="[phone]").iter(["call +1 55", "5 010 2030 now"]))
            ['call ', '[phone]', ' now']
        """
        given = self._opened(items, is_live=False)
        check_items(given)
        self._check_plain("iter")
        return SyncStream(open_stream(self._segments(), PlainSource(given), context, after_stop, is_live=False, stage=self))

    def apply(self: Stage[Never, Item], text: str, *, context: Context | None = None) -> str:
        r"""The whole of a text at once.

        Raises:
            TypeError: `text` is no str, a stage must wait (use `aapply`), or what comes out are values.

        Example:
            >>> import streamfilter as sf
            >>> sf.Redact(r"\d+", to="#").apply("a1b22")
            'a#b#'
        """
        check_text(text, self.stages, "apply")
        self._check_plain("apply", "aapply")
        with cast("Stage[str, str]", self).iter((text,), context=context) as stream:
            del text  # what reports errors records variables
            return "".join(item for item in stream if is_text(item))

    async def aapply(self: Stage[Never, Item], text: str, *, context: Context | None = None) -> str:
        """The whole of a text at once, through stages that wait.

        Raises:
            TypeError: `text` is no str, or what comes out are values.
        """
        check_text(text, self.stages, "aapply")
        async with open_stream(self._segments(), PlainSource((text,)), context, "close", is_live=True, stage=self) as stream:
            del text
            return "".join([item async for item in stream if is_text(item)])

    @overload
    def __or__(self, other: Stage[Out, Next]) -> Pipeline[In, Next]: ...
    @overload
    def __or__(self, other: Callable[[AsyncIterator[Out]], AsyncIterator[Next]]) -> Pipeline[In, Next]: ...
    def __or__(self, other: Any) -> Pipeline[Any, Any]:
        return Pipeline(*self.stages, *as_stage(other).stages)

    @overload
    def __ror__(self: Stage[str, str], other: Callable[[AsyncIterator[Next]], AsyncIterator[S]]) -> Pipeline[Next, S]: ...
    @overload
    def __ror__(self, other: Callable[[AsyncIterator[Next]], AsyncIterator[In]]) -> Pipeline[Next, Out]: ...
    def __ror__(self, other: Any) -> Pipeline[Any, Any]:
        return Pipeline(*as_stage(other).stages, *self.stages)

    def _segments(self) -> list[Segment]:
        segments: list[Segment] = []
        row: list[Stage[Any, Any]] = []
        for part in [*self.stages, None]:
            if part is not None and part.function is None:
                row.append(part)
                continue
            if row or part is None or part.owns_source:  # a stream may be closed twice, a source may not
                joined = row[0] if len(row) == 1 else self if len(row) == len(self.stages) else Pipeline(*row)
                name = " | ".join(type(each).__name__ for each in row) or (segments[-1].name if segments else "pipeline")
                segments.append(Segment(name, partial(machine_of, joined)))
                row = []
            if part is not None:
                segments.append(Segment(repr(part), function=part.function))
        return segments

    def _opened(self, source: Any, *, is_live: bool) -> Any:
        """What to read of a source: itself, if the stage knows no better."""
        return source

    def _check_plain(self, method: str, instead: str = "async for") -> None:
        for part in self.stages:
            if part.must_wait:
                raise TypeError(f"{part!r} must wait, which {method}() cannot: use {instead}")


@stage
class TextStage(Stage[str, str]):
    """A stage that works on one run of text and never sees channels, events or origins.

    Args:
        channels: the kinds of channel it applies to; other text passes. None is every kind, but tool arguments only for a guard.

    Attributes:
        is_guard: a guard is to see all text: if told nothing else it applies to every channel, and in the arguments of tool calls
            to keys as well. It need not see the same text twice.

    Example:
        >>> import streamfilter as sf
        >>> class _Masker(sf.TextMachine):
        ...     def feed(self, text):
        ...         self.hold.replace(len(text), "x" * len(text))
        >>> @sf.stage
        ... class Mask(sf.TextStage):
        ...     '''Show only how much text there is.'''
        ...     def start(self, context=None): return _Masker()
        >>> Mask().apply("secret")
        'xxxxxx'
    """

    channels: tuple[str, ...] | None = dataclasses.field(default=("answer",), kw_only=True)
    is_guard: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_kinds(self.channels)
        super().__post_init__()

    def start(self, context: Context | None = None) -> TextMachine:
        """The text machine of one run of one channel. In the arguments of tool calls: of one of the strings in them."""
        raise NotImplementedError(f"{type(self).__name__}.start is missing: give a TextMachine there")

    def machine(self, context: Context | None = None) -> Machine:
        return self._lift(context)

    def _lift(self, context: Context | None, choices: int = 1) -> Machine:
        given = context or Context()
        return Lift(
            start_of,
            type(self).__name__,
            kinds=self.channels,
            spares=() if self.is_guard else ("tool_arguments",),
            arguments=None if given.is_decoded else start_arguments_of,
            choices=choices,
            stage=self,
            context=given,
        )

    def _start_arguments(self, context: Context) -> TextMachine:
        from streamfilter.parsing.filtering import Run  # noqa: PLC0415  # few streams have tool calls

        inner, decoded = self.on("tool_arguments"), context.decoded()
        return Run(lambda _: inner.machine(decoded), keys=self.is_guard, is_lenient=True)

    def on(self: Self, *kinds: str) -> Self:
        if not kinds:
            raise ValueError("on() needs at least one kind of channel, such as 'answer' or 'reasoning'")
        return cast("Self", dataclasses.replace(cast("Any", self), channels=kinds))

    def explanation(self) -> str:
        return f"{self.reach()}; {self.holds()}"

    def reach(self) -> str:
        """In words: which channels this stage applies to."""
        return ", ".join(map(told, self.channels or ())) or f"every text channel{'' if self.is_guard else ' but tool_arguments'}"

    def holds(self) -> str:
        """In words: what this stage may hold back."""
        return "holds what its machine decides"


@stage
class Wait(Stage[Any, Any]):
    """A stage that is an async generator function: whatever takes an async iterator and gives one. `|` makes it of a function.

    Args:
        fn: called once per stream, with the stream so far.
    """

    fn: Function

    reads: ClassVar[str] = "anything"
    gives: ClassVar[str] = "anything"

    @property
    def must_wait(self) -> bool:
        return True

    def machine(self, context: Context | None = None) -> Machine:
        raise TypeError(f"{self!r} must wait, so it has no machine: use it in a stream, outside `wrap`")

    @property
    def function(self) -> Function:
        return self.fn

    def __repr__(self) -> str:
        return show(self.fn)


@stage
class Pipeline(Stage[In, Out]):
    """Stages in a row, itself a stage. An empty one changes nothing.

    Args:
        parts: what the items go through, in order. Pipelines among them are taken apart.

    Example:
        >>> import streamfilter as sf
        >>> sf.MapText(str.upper) | (sf.Redact("A") | sf.StopAt("END"))
        Pipeline(MapText(str.upper), Redact(Rule('redacted', 'A')), StopAt('END'))
    """

    _variadic: ClassVar[str] = "parts"
    parts: tuple[Any, ...] = ()

    if TYPE_CHECKING:

        @overload
        def __init__(self: Pipeline[Next, Next], part: Stage[Next, Next], /, *parts: Stage[Next, Next]) -> None: ...
        @overload
        def __init__(self: Pipeline[Any, Any], *parts: Any) -> None: ...
        def __init__(self, *parts: Any) -> None: ...

    def compile(self) -> None:
        flat = tuple(inner for part in self.parts for inner in as_stage(part).stages)
        for before, after in itertools.pairwise(flat):
            if "anything" not in (before.gives, after.reads) and before.gives != after.reads:
                where = f"{type(after).__name__} reads {after.reads}, and {type(before).__name__} before it gives {before.gives}"
                raise TypeError(f"a stage in the wrong place: {where}")
        object.__setattr__(self, "parts", flat)
        # What passes anything passes what its neighbours do.
        object.__setattr__(self, "reads", next((part.reads for part in flat if part.reads != "anything"), "anything"))
        object.__setattr__(self, "gives", next((part.gives for part in reversed(flat) if part.gives != "anything"), "anything"))

    @property
    def stages(self) -> tuple[Stage[Any, Any], ...]:
        return self.parts

    @property
    def must_wait(self) -> bool:
        return any(part.must_wait for part in self.parts)

    def machine(self, context: Context | None = None) -> Machine:
        given = context or Context()  # one for all, if only to share what they have seen
        first, *others = [machine_of(part, given) for part in self.parts] or [Machine()]
        return Chain([first, *others], drains=given.after_stop == "drain") if others else first

    def _opened(self, source: Any, *, is_live: bool) -> Any:
        return self.parts[0]._opened(source, is_live=is_live) if self.parts else source  # noqa: SLF001  # a stage's own

    def on(self: Self, *kinds: str) -> Self:
        if not any(isinstance(part, TextStage) for part in self.stages):
            raise TypeError("this pipeline has no text stage for .on(...) to apply to")
        return cast("Self", Pipeline(*(part.on(*kinds) if isinstance(part, TextStage) else part for part in self.stages)))


def machine_of(part: Stage[Any, Any], context: Context) -> Machine:
    """The machine of a stage, measured if the stream is; of a pipeline, its stages are."""
    if context.gauge is None or isinstance(part, Pipeline):
        return part.machine(context)
    from streamfilter.metering import metered  # noqa: PLC0415  # few streams are measured

    return metered(part.machine, type(part).__name__, context)


def as_stage(part: object) -> Stage[Any, Any]:
    """A stage as it is, and an async generator function as a stage.

    Raises:
        TypeError: it is neither; the message says what would be right.
    """
    if isinstance(part, Stage):
        return part
    if isinstance(part, type) and issubclass(part, Stage):
        raise TypeError(f"{part.__name__} is a class of stages, not a stage: write {part.__name__}(...)")
    return Wait(checked_function(part))
