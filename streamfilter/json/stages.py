"""What the stages that read JSON share: which text they read, and what they take."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypedDict, TypeVar, cast

from pydantic import Field

from streamfilter.context import AfterStop, Context
from streamfilter.declaration import Plain
from streamfilter.items import check_kinds, told
from streamfilter.machine import Machine
from streamfilter.parsing.documents import Documents, Reader, Reading
from streamfilter.parsing.parser import MAX_DEPTH, MAX_STRING, Limits
from streamfilter.pipeline import Stage, TextStage, stage
from streamfilter.plain import SyncStream
from streamfilter.stream import Stream

Value = TypeVar("Value", covariant=True)
M = TypeVar("M")
Self = TypeVar("Self", bound="JSONStage[Any]")


class Options(TypedDict, total=False):
    """The keyword arguments of every stage that reads JSON, for type checkers."""

    strict: bool
    truncated: Literal["raise", "partial"]
    max_depth: int
    max_string: int
    parse_float: Callable[[str], Any]
    parse_int: Callable[[str], Any]
    duplicates: Literal["last", "raise"]
    channel: str


@stage
class JSONStage(Stage[Any, Value], Generic[Value]):
    """A stage that reads the JSON in one channel and gives what it makes of it. All else is dropped.

    Args:
        strict: whether the text is one document and nothing else; otherwise prose, fences and thoughts around it are skipped.
        truncated: what happens where the text ends inside a document: `"raise"` raises `TruncatedInput`, `"partial"` lets it end.
        max_depth: containers inside one another.
        max_string: characters of one string, key or number, as written.
        parse_float: makes something of the text of a number with a fraction or an exponent, as for `json.loads`.
        parse_int: and of the others.
        duplicates: of equal keys in an object the `"last"` wins; `"raise"` refuses them.
        channel: the kind of channel that is read: of the first response its first choice.
    """

    strict: bool = dataclasses.field(default=False, kw_only=True)
    truncated: Literal["raise", "partial"] = dataclasses.field(default="raise", kw_only=True)
    max_depth: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_DEPTH, kw_only=True)
    max_string: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_STRING, kw_only=True)
    parse_float: Plain[Callable[[str], Any]] = dataclasses.field(default=float, kw_only=True)
    parse_int: Plain[Callable[[str], Any]] = dataclasses.field(default=int, kw_only=True)
    duplicates: Literal["last", "raise"] = dataclasses.field(default="last", kw_only=True)
    channel: Annotated[str, Field(min_length=1)] = dataclasses.field(default="answer", kw_only=True)

    gives: ClassVar[str] = "values"

    if TYPE_CHECKING:  # the source's type says nothing of the values

        def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, source: AsyncIterable[Any], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> Stream[Value]: ...

        def iter(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, items: Iterable[Any], *, context: Context | None = ..., after_stop: AfterStop = ...
        ) -> SyncStream[Value]: ...

    def reading(self, number: int) -> Reading:
        """Begin the document of this number."""
        raise NotImplementedError(f"{type(self).__name__}.reading is missing: give a Reading there")

    @property
    def opens(self) -> str:
        """Which brackets may open a document in prose."""
        return "{["

    @property
    def wrap(self) -> Callable[[int, Any, bool], Any] | None:
        """What is given for each value, if not the value."""
        return None

    @property
    def deepest(self) -> int:
        """Containers inside one another that whoever reads the values can take."""
        return self.max_depth

    @property
    def is_sliced(self) -> bool:
        """Whether a large text may be read in slices."""
        return True

    @property
    def has_many(self) -> bool:
        """Whether there may be several documents."""
        return False

    @cached_property
    def _reader(self) -> Reader:
        limits = Limits(min(self.max_depth, self.deepest), self.max_string, self.parse_float, self.parse_int, self.duplicates)
        return Reader(
            type(self).__name__,
            self.reading,
            kind=self.channel,
            opens=self.opens,
            strict=self.strict,
            many=self.has_many,
            truncated=self.truncated,
            limits=limits,
            wrap=self.wrap,
            is_sliced=self.is_sliced,
        )

    def machine(self, context: Context | None = None) -> Machine:
        return Documents(self._reader)

    def __post_init__(self) -> None:
        check_kinds((self.channel,))
        super().__post_init__()

    def on(self: Self, *kinds: str) -> Self:
        if len(kinds) != 1:
            raise ValueError(f"{type(self).__name__} reads one kind of channel: .on(kind)")
        return cast("Self", dataclasses.replace(cast("Any", self), channel=kinds[0]))

    def hint(self, earlier: Sequence[object]) -> str:
        """What is wrong with the stages in front of this one, if anything: a guard that reads JSON as it is written."""
        for part in earlier:
            if isinstance(part, TextStage) and part.is_guard:
                name = type(part).__name__
                return (
                    f"{name} in front of it reads the JSON as it is written: escapes slip past it, and a match may take a quote "
                    f"with it; FilterJSON({name}(…)) reads what the strings say"
                )
        return ""

    def explanation(self) -> str:
        return f"the JSON of {told(self.channel)}; all else is dropped"
