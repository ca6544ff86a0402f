"""`FilterJSON`: a text pipeline over what the strings of JSON text say, with all else left as it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from streamfilter.context import Context
from streamfilter.machine import Machine, TextMachine
from streamfilter.parsing.filtering import Run
from streamfilter.parsing.parser import MAX_DEPTH
from streamfilter.parsing.paths import JSONPath, PathLike
from streamfilter.pipeline import Pipeline, Stage, TextStage, as_stage, stage

AnyPath: TypeAlias = JSONPath | str


def _as_pipeline(given: object) -> object:
    """A pipeline that a string can go through at once."""
    pipeline = as_stage(given)
    for part in pipeline.stages:
        if part.must_wait or part.machine().waits:
            raise TypeError(f"{part!r} must wait, which the stages inside of FilterJSON cannot: put it behind JSONText(path)")
    for part in (pipeline, *pipeline.stages):
        if not {part.reads, part.gives} <= {"items", "anything"}:
            raise TypeError(f"{part!r} reads {part.reads} and gives {part.gives}: inside of FilterJSON stands what filters text")
    return pipeline


def _as_paths(given: object) -> object:
    return (given,) if isinstance(given, str | JSONPath) else given


@stage
class FilterJSON(TextStage):
    r"""Put the strings of JSON text through a text pipeline: JSON text in, JSON text out.

    Each string is decoded, goes through a machine of its own, and is escaped again. All else, white space included, stays as it is
    written, and so does every string up to where its text changes. If the JSON is valid, what comes out is. It applies to the
    answer and to the arguments of tool calls, each call by itself.

    - If the pipeline ends its choice or the stream inside a string, without an error, the string and every open container are
      closed; a key gets `null` for a value. What an error cuts off stays cut off.
    - Several documents may stand one behind another. Text around them goes through the pipeline as it is, between two documents
      as one text; only `{` or `[` opens a document there, once it has shown that it is one, as for `ParseJSON`, and a `"` with
      nothing but numbers, literals and white space before it. A number (of up to 1,000 characters), a literal or an empty array
      stays as it is if it is all there is. Where the answer is prose, leave it to text stages; those that are guards read the
      arguments of tool calls as JSON by themselves.
    - A document that is malformed ends the stream at the place, and so does what is a string for one reader and prose with a
      document in it for another: `"Here you are: {"to": …}`, or an escape in text behind `["{"]`. One that is cut off stays cut
      off, and is no error here; with `keys`, a last key that is not whole is left out.
    - The report counts characters of each decoded string, or of each text around documents, from 0.

    Args:
        pipeline: text stages that need not wait. All of them apply to the strings, whatever channels they name. A `Tap` among them
            also sees events that tell where a piece of text ended.
        at: a `JSONPath` or its text, or several: only the strings there are filtered, and no text around documents.
        keys: whether keys are filtered too; with `at`, those of the values there. A key leaves when it is whole. That no two keys
            become one is up to the pipeline.
        max_depth: containers inside one another.
        channels: the kinds of channel it applies to; None is every kind but tool arguments.

    Raises:
        TypeError: the pipeline is none, must wait, or works on something else than text.
        ValueError: a path is none.
        MalformedInput: while streaming: a document is no JSON, where, and on which path.
        LimitExceeded: while streaming.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.json.filtering import FilterJSON
        >>> stage = FilterJSON(sf.Redact(r"\w+@\w+", to="[email]"))
        >>> print(stage.apply(r'{"to": "joe\u0040home", "caf\u00e9":  [1, "na\u00efve"]}'))
        {"to": "[email]", "caf\u00e9":  [1, "na\u00efve"]}
        >>> list(FilterJSON(sf.StopAt("END")).iter(['{"a": [{"b": "so far', " so good EN", 'D of it"}], "c": 1}']))
        ['{"a": [{"b": "so far', ' so good ', '"}]}']
        >>> FilterJSON(sf.MapText(str.upper), at="$..name").apply('[{"name": "ada", "note": "x"}]')
        '[{"name": "ADA", "note": "x"}]'
    """

    pipeline: Annotated[Any, BeforeValidator(_as_pipeline)]
    at: Annotated[Annotated[tuple[PathLike, ...], Field(min_length=1)] | None, BeforeValidator(_as_paths)] = dataclasses.field(
        default=None, kw_only=True
    )
    keys: bool = dataclasses.field(default=False, kw_only=True)
    max_depth: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_DEPTH, kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=("answer", "tool_arguments"), kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            pipeline: Stage[str, str],
            *,
            at: AnyPath | Sequence[AnyPath] | None = ...,
            keys: bool = ...,
            max_depth: int = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    @cached_property
    def _pipelines(self) -> dict[str, Stage[Any, Any]]:
        return {}

    def applied(self, kind: str) -> Stage[Any, Any]:
        """The pipeline with all of its text stages applied to a kind of channel."""
        if kind not in self._pipelines:
            parts = (part.on(kind) if isinstance(part, TextStage) else part for part in self.pipeline.stages)
            self._pipelines[kind] = Pipeline(*parts)
        return self._pipelines[kind]

    def start(self, context: Context | None = None) -> TextMachine:
        own = (context or Context()).decoded()
        paths: Any = self.at
        return Run(lambda kind: self.applied(kind).machine(own), paths=paths, keys=self.keys, max_depth=self.max_depth)

    def _start_arguments(self, context: Context) -> TextMachine:
        return self.start(context)

    def machine(self, context: Context | None = None) -> Machine:
        if context is not None and context.is_started:
            self.pipeline.machine(context.decoded()).cancel()  # what the context lacks is said now, and not at the first string
        return self._lift(context, max([1, *(getattr(part, "choices", 1) for part in self.pipeline.stages)]))

    def holds(self) -> str:
        return "holds what its pipeline holds of a string, and keys, numbers and literals until they are whole"
