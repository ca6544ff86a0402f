"""`ToolCalls`: the tool calls of a provider's stream, with arguments that fill in, and are validated when they are complete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from streamfilter.context import Context
from streamfilter.declaration import show
from streamfilter.errors import LimitExceeded, MalformedInput, TruncatedInput, Unfit
from streamfilter.items import Channel, End, Event, Item, TextDelta, ToolCall, covers, is_free
from streamfilter.json.parse import Values
from streamfilter.json.typed import Typed, plan_of
from streamfilter.machine import Machine, refusal
from streamfilter.parsing.documents import Documents, Reader
from streamfilter.parsing.sink import MAX_DEPTH, MAX_STRING, Limits
from streamfilter.pipeline import Stage, stage
from streamfilter.reasons import ends_calls


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, as far as it has come.

    Attributes:
        id: the provider's name for it, if it gave one.
        name: the tool.
        arguments: what has come of its arguments; a `Partial[Model]` until they are complete, then a `Model`, if it has one. Those
            that are no JSON are a `str` until then.
        complete: whether that is all.
        channel: where its arguments came; its key tells calls apart that have no id.

    Example:
        >>> import streamfilter as sf
        >>> channel = sf.Channel("tool_arguments", (0,))
        >>> begun = sf.ToolCall("c1", "send", channel, scope=channel)
        >>> for call in sf.ToolCalls().iter([begun, sf.TextDelta('{"to": "A', channel), sf.TextDelta('da"}', channel)]):
        ...     print(call.name, call.arguments, call.complete)
        send {'to': 'A'} False
        send {'to': 'Ada'} True
    """

    id: str | None
    name: str | None
    arguments: Any
    complete: bool
    channel: Channel


def _check_models(models: object) -> object:
    if not isinstance(models, Mapping):
        first = show(models[0]) if isinstance(models, list | tuple) and models and isinstance(models[0], type) else "Model"
        raise ValueError(f"a dict by the names of tools is needed, not {type(models).__qualname__}: write {{name: {first}}}")
    return models


@stage
class ToolCalls(Stage[Any, Call]):
    """Give a `Call` after each piece that changed the arguments of one, and once when they are complete. All else is dropped.

    It reads items: `openai.chat.Decode() | ToolCalls()` reads a provider's chunks. Calls may be interleaved; what providers leave
    out of their fragments has been put in order by `Decode`. A call without any arguments has `{}`. A name that comes late counts
    for all of them: with `models`, no call is complete before it has its name, or is over.

    The input of a custom tool, code, commands and patches are no JSON: they are a `str`, which is complete when its end is told. So
    says their channel: the last part but one of its key is `"input"`, `"code"`, `"commands"` or `"diff"`.

    Args:
        models: by the name of a tool, what its arguments are validated as; those of other tools are plain values.
        truncated: what happens where the stream ends inside of arguments: `"raise"` raises `TruncatedInput`, `"partial"` does not.
        max_depth: containers inside one another.
        max_string: characters of one string, key or number, as written; of arguments that are no JSON; with `models`, of those that
            wait for their name.

    Raises:
        ValueError: a model is none that pydantic knows.
        MalformedInput: while streaming: arguments are no JSON, or a call has two names.
        TruncatedInput: while streaming: the stream ended inside of them.
        ValidationError: while streaming, of pydantic: they do not fit their model.
        LimitExceeded: while streaming.

    Example:
        >>> import streamfilter as sf
        >>> channel = sf.Channel("tool_arguments", (0, 0, "tool_calls", 0))
        >>> items = [sf.ToolCall("c1", "find", channel, scope=channel)]
        >>> items += [sf.TextDelta(text, channel) for text in ('{"where": "Tu', 'rin"}')]
        >>> for call in sf.ToolCalls().iter(items):
        ...     print(call.name, call.arguments, call.complete)
        find {'where': 'Tu'} False
        find {'where': 'Turin'} True
    """

    models: Annotated[dict[str, Any], BeforeValidator(_check_models)] = dataclasses.field(default_factory=dict, kw_only=True)
    truncated: Literal["raise", "partial"] = dataclasses.field(default="raise", kw_only=True)
    max_depth: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_DEPTH, kw_only=True)
    max_string: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_STRING, kw_only=True)

    gives: ClassVar[str] = "values"

    def compile(self) -> None:
        for name, model in self.models.items():
            try:
                plan_of(model)
            except TypeError as error:
                raise ValueError(f"models: {name}: {error}") from None

    def __hash__(self) -> int:
        return hash((tuple(self.models), self.truncated, self.max_depth, self.max_string))  # a dictionary has none

    def machine(self, context: Context | None = None) -> Machine:
        return _Calls(self)

    def explanation(self) -> str:
        return "the arguments of tool calls; all else is dropped"


class _Open:
    """A call whose arguments are arriving."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.id: str | None = None
        self.name: str | None = None
        self.reader: Machine | None = None
        self.is_cut = False  # or nobody has told that they are over
        self.unread: list[str] = []  # what has come without a name, but for its showing: a model may be for it
        self.chars = 0  # of all that has come
        self.withheld: list[Call] = []  # what it would be complete with, if it gets no name
        self.unsure: Call | None = None  # what is shown if it is cut off there: see `_may_be_text`

    def call(self, number: int, arguments: Any, is_complete: bool) -> Call:
        return Call(self.id, self.name, arguments, is_complete, self.channel)


class _Text(Machine):
    """Reads arguments that are no JSON: a text, whose end is not to be seen in it."""

    def __init__(self, call: _Open, stage: ToolCalls) -> None:
        self._call = call
        self._stage = stage
        self._text = ""

    def feed(self, item: Any) -> Sequence[Any]:
        text, self._text = self._text, ""
        text += item  # with no other reference to it, CPython grows a string in place
        self._text = text
        if len(self._text) > self._stage.max_string:
            return self._refused(LimitExceeded("max_string", self._stage.max_string, "the arguments of a call that are no JSON"))
        return [self._call.call(0, self._text, False)]

    def finish(self) -> Sequence[Any]:
        call, stage = self._call, self._stage
        if call.is_cut:
            wrong = TruncatedInput("the stream ends inside the arguments of a call", len(self._text))
            return () if stage.truncated == "partial" else self._refused(wrong)
        model = stage.models.get(call.name or "")
        try:
            value = self._text if model is None else plan_of(model).adapter.validate_python(self._text)
        except Exception as error:
            return self._refused(error)
        return [call.call(0, value, True)]

    def _refused(self, error: Exception) -> Sequence[Any]:
        self.ended = True
        return [refusal(error)]


class _Calls(Machine):
    def __init__(self, stage: ToolCalls) -> None:
        self._stage = stage
        self._open: dict[Channel, _Open] = {}
        self._has_begun = False  # else a text is no stage's, but all that the source has: `text_of` gives no calls

    def feed(self, item: Item) -> Sequence[Any]:
        self._has_begun = self._has_begun or isinstance(item, Event)
        if isinstance(item, TextDelta):
            if item.channel.kind != "tool_arguments" or not item.text:
                return ()
            return self._said(self._call(item.channel), item.text)
        if isinstance(item, ToolCall):
            return self._named(self._call(item.arguments), item)
        if isinstance(item, End):
            return self._over(item)
        if isinstance(item, Event):
            is_pinned = isinstance(item.scope, Channel) and not item.boundary
            if item.scope is None or is_pinned:
                return ()
            return self._settled(item.scope, is_cut=not ends_calls(item))
        if isinstance(item, str) and self._has_begun:
            return ()
        kind = type(item).__qualname__
        raise Unfit(f"ToolCalls was fed {kind}: it reads items, as of providers.openai.chat.Decode() | ToolCalls(…)")

    def finish(self) -> Sequence[Any]:
        return () if self.ended else self._settled((), is_told=False)

    def drain(self, item: Item) -> Sequence[Any]:
        return ()

    def _call(self, channel: Channel) -> _Open:
        if channel not in self._open:
            self._open[channel] = _Open(channel)
        return self._open[channel]

    def _named(self, call: _Open, item: ToolCall) -> Sequence[Any]:
        """A call is named: what has come of it is read as what its tool takes.

        Some services say the whole name with every fragment. If one says another, clients differ: the first counts for some, the
        last for others, and OpenAI's SDK joins them. Which model is for the call would depend on that.
        """
        is_same = not item.id or item.id == call.id
        if is_same and call.name and item.name and item.name != call.name:
            return self._refused(MalformedInput("the fragments of a tool call have different names", call.chars))
        call.id, call.name = call.id or item.id, call.name or item.name
        if not call.name or not call.unread:
            return ()
        text = "".join(call.unread)
        call.unread, call.withheld, call.reader = [], [], None
        return self._given(call, lambda reader: reader.feed(text))

    def _said(self, call: _Open, text: str) -> Sequence[Any]:
        """Some more of the arguments of a call. While it has no name it is shown, but not complete: that may be up to a model."""
        given = self._given(call, lambda reader: reader.feed(text))
        shown = [each for each in given if not _may_be_text(each)]
        call.unsure = None if shown else given[-1] if given else call.unsure
        given = shown
        call.chars += len(text)
        if call.name or not self._stage.models or is_free(call.channel):
            return given
        call.unread.append(text)
        if call.chars > self._stage.max_string and not self.ended:
            return self._refused(LimitExceeded("max_string", self._stage.max_string, "the arguments of a call that has no name"))
        call.withheld += [each for each in given if _is_complete(each)]
        return [each for each in given if not _is_complete(each)]

    def _settled(self, scope: Any, *, is_cut: bool = False, is_told: bool = True) -> Sequence[Any]:
        """The arguments of the calls under a barrier are over, or are cut off there; or the stream is over, and nobody has told."""
        out: list[Any] = []
        for channel in [channel for channel in self._open if covers(scope, channel)]:
            call = self._open.pop(channel)
            call.is_cut = is_cut or not is_told
            is_none = call.reader is None and not is_cut and not is_free(channel)
            out += [call.call(0, each.arguments, True) for each in call.withheld]
            out += [call.unsure] if call.unsure and call.is_cut and self._stage.truncated == "partial" else ()
            out += self._given(call, (lambda reader: reader.feed("{}")) if is_none else (lambda reader: reader.finish()))
            if self.ended:
                break
        return out

    def _over(self, end: End) -> Sequence[Any]:
        """A stage before this one has ended the stream."""
        out = self._settled((), is_cut=True) if end.error is None else ()
        if self.ended:
            return out
        self.ended = True
        return [*out, end]

    def _refused(self, error: Exception) -> Sequence[Any]:
        self.ended = True
        return [refusal(error)]

    def _given(self, call: _Open, step: Callable[[Machine], Sequence[Any]]) -> Sequence[Any]:
        reader = call.reader = call.reader or (_Text(call, self._stage) if is_free(call.channel) else Documents(self._reader(call)))
        given = step(reader)
        self.ended = reader.ended
        return given

    def _reader(self, call: _Open) -> Reader:
        stage = self._stage
        model = stage.models.get(call.name or "")
        limits = Limits(stage.max_depth, stage.max_string)
        return Reader(
            "ToolCalls",
            lambda _: Values(strings=True, always=True) if model is None else Typed(model),
            strict=True,
            truncated=stage.truncated,
            limits=limits,
            wrap=call.call,
        )


def _may_be_text(item: object) -> bool:
    """Whether it is a call of whose arguments nothing is known but a string that an array begins with. If that is malformed, a
    guard before this stage has taken the whole for text, in which an escape stands for nothing."""
    arguments = item.arguments if isinstance(item, Call) and not item.complete else None
    while isinstance(arguments, list) and len(arguments) == 1:
        arguments = arguments[0]
        if isinstance(arguments, str):
            return True
    return False


def _is_complete(item: object) -> bool:
    return isinstance(item, Call) and item.complete
