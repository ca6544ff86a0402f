"""What flows through a pipeline: text, and events that have a place in it.

An item is a `str` (plain text) or an `Event`. This module knows nothing of machines, stages or providers; it only fixes what an
item says about itself: which text it belongs to (`Channel`) and how far it may overtake that text (`Scope`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from streamfilter.errors import MalformedInput

Key: TypeAlias = tuple[Hashable, ...]


class Channel(NamedTuple):
    """Which text a piece belongs to.

    Args:
        kind: `"answer"`, `"reasoning"`, `"refusal"`, `"tool_arguments"`, or a kind of one's own.
        key: a path from the widest to the narrowest part: (response, choice, block or call, …). Plain text has none.

    Example:
        >>> Channel("answer", (0, 1)).choice
        (0, 1)
    """

    kind: str = "answer"
    key: Key = ()

    @property
    def choice(self) -> Key:
        """The part of the key that names one answer among several: (response, choice)."""
        return self.key[:2]


KINDS = ("answer", "reasoning", "refusal", "tool_arguments", "tool_result", "compaction", "other")
"""The kinds of channel that providers' streams have here."""

_ALSO_CALLED = {
    **dict.fromkeys(("thinking", "thought", "thoughts"), "reasoning"),
    **dict.fromkeys(("content", "text", "output_text"), "answer"),
    **dict.fromkeys(("tools", "tool_call", "tool_calls", "tool_use", "function_call", "arguments"), "tool_arguments"),
}
"""What providers call the text of such a channel. Who writes that means the channel, and would guard nothing."""

NEAR = 0.82
"""How like one of these a kind of one's own may not be, by `difflib`: a letter more or less, two of one's places changed."""


def check_kinds(kinds: Sequence[str] | None) -> None:
    """Refuse a misspelt kind of channel, which a stage would wait for in vain. Any other may be somebody's own; None is every one.

    Raises:
        ValueError: there is none, or one is empty, or nearly one of those that providers have, or what somebody calls one of these.

    Example:
        >>> check_kinds(["reasoning", "notes"])
        >>> check_kinds(["reasonning"])
        Traceback (most recent call last):
        ...
        ValueError: there is no kind of channel 'reasonning': did you mean 'reasoning'? One of your own needs a less like name
        >>> check_kinds(["tool_calls"])
        Traceback (most recent call last):
        ...
        ValueError: there is no kind of channel 'tool_calls': here that is 'tool_arguments'. One of your own needs another name
    """
    if kinds == ():
        raise ValueError("channels: at least one kind of channel is needed, such as 'answer'; None is every one")
    for kind in kinds or ():
        if kind in KINDS:
            continue
        if not kind:
            raise ValueError(f"a kind of channel is empty: there are {', '.join(KINDS)}, and your own")
        if kind.lower() in _ALSO_CALLED:
            said = f"here that is {_ALSO_CALLED[kind.lower()]!r}. One of your own needs another name"
            raise ValueError(f"there is no kind of channel {kind!r}: {said}")
        from difflib import get_close_matches  # noqa: PLC0415  # most use no kinds of their own

        if near := get_close_matches(kind.lower(), KINDS, 1, NEAR):
            said = f"did you mean {near[0]!r}? One of your own needs a less like name"
            raise ValueError(f"there is no kind of channel {kind!r}: {said}")


def told(kind: str) -> str:
    """A kind of channel in words: whether it is one that providers' streams have.

    Example:
        >>> told("answer"), told("notes")
        ('answer', "notes (a kind of one's own)")
    """
    return kind if kind in KINDS else f"{kind} (a kind of one's own)"


PLAIN = Channel()
"""The channel of plain `str` items."""

Scope: TypeAlias = Channel | Key | None
"""Where an event stands. A `Channel`: pinned there, it leaves once all text before it in that channel has left. A key prefix: a
barrier, every run under it settles first and ends; `()` is everything. `None`: nowhere, it passes at once."""


FREE = frozenset({"input", "code", "commands", "diff"})
"""What the last part but one of a call's key is where its arguments are no JSON, but a text: the input of a custom tool, code, the
commands of a shell, a patch."""


def is_free(channel: Channel) -> bool:
    """Whether the arguments of a call are a text, and no JSON.

    Example:
        >>> [is_free(Channel("tool_arguments", (0, 0, where, 0))) for where in ("tool_calls", "input")]
        [False, True]
    """
    return channel.kind == "tool_arguments" and not FREE.isdisjoint(channel.key[2:-1][-1:])


def covers(scope: Channel | Key, channel: Channel) -> bool:
    """Whether a barrier of this scope ends the runs of that channel.

    Example:
        >>> covers((0, 1), Channel("answer", (0, 1, "content"))), covers((), PLAIN), covers((0,), Channel(key=(1,)))
        (True, True, False)
    """
    if isinstance(scope, Channel):
        return scope == channel
    return channel.key[: len(scope)] == scope


@dataclass(slots=True, kw_only=True)
class Event:
    """Something in a stream that is not plain text. Subclass it (as a dataclass) for events of your own.

    Args:
        scope: how it is ordered against text; see `Scope`. By default it is pinned to plain text.
        boundary: if pinned, whether it also ends the run: text before it settles, and no match spans it.
        origin: the provider's chunk it came on, if any.

    Example:
        >>> @dataclass
        ... class Citation(Event):
        ...     number: int
        >>> Citation(3)
        Citation(scope=Channel(kind='answer', key=()), boundary=False, number=3)
    """

    scope: Scope = PLAIN
    boundary: bool = False
    origin: object = field(default=None, repr=False, compare=False)


class TextDelta(Event):
    """A piece of text with a place in a provider's stream.

    Args:
        text: the piece.
        channel: which text it continues.
        origin: the provider's chunk that brought it; it is carried along, never compared.

    Example:
        >>> TextDelta("Hel", Channel("answer", (0, 0)))
        TextDelta('Hel', Channel(kind='answer', key=(0, 0)))
    """

    # Written by hand: this is the one event built on every chunk, and it has a channel where the others have a scope.
    __slots__ = ("channel", "text")

    def __init__(self, text: str, channel: Channel = PLAIN, origin: object = None) -> None:
        self.text: str = text
        self.channel: Channel = channel
        self.origin = origin

    @property
    def scope(self) -> Channel:  # type: ignore[override]  # a delta stands in its channel, and nowhere else
        """Its channel."""
        return self.channel

    @property
    def boundary(self) -> bool:  # type: ignore[override]  # text never ends a run
        """Never."""
        return False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextDelta):
            return NotImplemented
        return self.text == other.text and self.channel == other.channel

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[TextDelta], tuple[str, Channel, object]]:
        return type(self), (self.text, self.channel, self.origin)

    def __repr__(self) -> str:
        return f"TextDelta({self.text!r}, {self.channel!r})"


@dataclass(slots=True)
class ToolCall(Event):
    """A tool call begins; its arguments follow as `TextDelta`s of `arguments`.

    Args:
        id: the provider's name for the call, if it gave one.
        name: the tool.
        arguments: the channel of the call's arguments; the event is pinned there, so it always comes before them.

    Example:
        >>> from streamfilter.providers.openai import chat
        >>> function = {"name": "pay", "arguments": '{"sum": 1}'}
        >>> call = {"index": 0, "id": "c1", "type": "function", "function": function}
        >>> chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
        >>> begun, arguments = chat.Decode().iter([chunk])
        >>> begun.id, begun.name, begun.arguments == arguments.channel
        ('c1', 'pay', True)
    """

    id: str | None
    name: str | None
    arguments: Channel


@dataclass(slots=True)
class Finish(Event):
    """One choice is complete: a barrier over it; without a scope, over everything.

    Args:
        reason: the provider's word for why (`"stop"`, `"length"`, `"tool_calls"`, `"content_filter"`, …).
        stopped: whether a stage has stopped the choice: what had begun in it, such as a tool call, may lack its rest. Like `origin`
            it is carried along, and never compared.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Redact("secret").iter(["a sec", sf.Finish("length"), "ret"]))  # what was held can no longer go on
        ['a ', 'sec', Finish(scope=(), boundary=False, reason='length'), 'ret']
    """

    reason: str
    scope: Scope = field(default=(), kw_only=True)
    stopped: bool = field(default=False, kw_only=True, repr=False, compare=False)


@dataclass(slots=True)
class Usage(Event):
    """Token counts. They are kept when all else of a stopped choice is swallowed.

    Args:
        usage: the provider's own object.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Drop("answer").iter(["one", sf.Usage({"total_tokens": 9})]))
        [Usage(scope=Channel(kind='answer', key=()), boundary=False, usage={'total_tokens': 9})]
    """

    usage: object


@dataclass(slots=True)
class Failure(Event):
    """The provider reports an error in mid-stream: a barrier over everything.

    Args:
        error: the provider's own object.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Redact("secret").iter(["a sec", sf.Failure({"message": "overloaded"})]))
        ['a ', 'sec', Failure(scope=(), boundary=False, error={'message': 'overloaded'})]
    """

    error: object
    scope: Scope = field(default=(), kw_only=True)


@dataclass(slots=True)
class Raw(Event):
    """A part of the provider's stream that is neither text nor one of the events above, as it came.

    Args:
        chunk: the provider's own object.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Redact("secret").iter(["a sec", sf.Raw({"type": "ping"}, scope=None), "ret"]))  # it passes at once
        ['a ', Raw(scope=None, boundary=False, chunk={'type': 'ping'}), '[redacted]']
    """

    chunk: object


@dataclass(slots=True)
class End(Event):
    """The stream is over by decision of a stage: a barrier over everything, and the last item a machine gives.

    Args:
        reason: why, in one word (`"stop"`, `"blocked"`, `"error"`).
        error: raised to the consumer once everything before it was delivered. `MalformedInput` is no decision: what is still held
            then was broken off, and dies as on an error of the source.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Redact("secret").iter(["a sec", sf.End("stop"), "ret"]))  # nothing that follows is read
        ['a ', 'sec']
    """

    reason: str
    error: BaseException | None = None
    scope: Scope = field(default=(), kw_only=True)

    @property
    def is_broken_off(self) -> bool:
        """Whether the source broke the text off here, by sending what cannot be read."""
        return isinstance(self.error, MalformedInput)


Item: TypeAlias = str | Event
"""What a text pipeline reads and gives."""
