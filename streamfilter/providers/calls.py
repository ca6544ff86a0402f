"""The calls in items that are written in another format: each begins once, has arguments, and is a reason why its answer ended.

Formats differ in what they leave out. Some services name a call in each of its fragments, and some only in the second; a call
without arguments has no text; and several formats have one word for an answer that is over and for one that waits for its calls.
Here it is put in order for all who write. This module knows no format, and not in what order what it gives is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from streamfilter.items import Channel, Event, Failure, Finish, Item, Key, Scope, TextDelta, ToolCall, covers, is_free
from streamfilter.providers.brackets import Brackets
from streamfilter.providers.recent import Recent
from streamfilter.reasons import ends_calls, for_calls

NO_ARGUMENTS = "{}"
"""The arguments of a call that has none, as JSON."""

ENDED = "end"
"""Why a stream is over whose source has ended without a reason."""


def ended_by(item: Item) -> Scope:
    """Where runs of text end with an item; None: nowhere.

    Example:
        >>> ended_by(Finish("stop", scope=(0, 0))), ended_by(TextDelta("a"))
        ((0, 0), None)
    """
    if not isinstance(item, Event):
        return None
    scope = item.scope
    if isinstance(scope, Channel) and isinstance(item, Finish):
        return scope.choice
    return None if isinstance(scope, Channel) and not item.boundary else scope


class _Call:
    """A call of an answer that is not over."""

    __slots__ = ("brackets", "has_begun", "has_said", "head", "is_over", "is_whole")

    def __init__(self, head: ToolCall) -> None:
        self.head = head
        self.has_begun = False  # it has been given
        self.has_said = False  # it has arguments
        self.is_over = False
        self.is_whole = False  # and nothing has cut it off
        self.brackets = Brackets()  # of its arguments


class Calls:
    """The calls of one stream of items.

    Example:
        >>> calls, channel = Calls(), Channel("tool_arguments", (0, 0, "call", 0))
        >>> [len([*calls.put(ToolCall("c", "now", channel))]) for _ in range(2)]
        [1, 0]
        >>> [*calls.put(Finish("STOP", scope=(0, 0), origin="chunk"))]  # doctest: +NORMALIZE_WHITESPACE
        [TextDelta('{}', Channel(kind='tool_arguments', key=(0, 0, 'call', 0))),
         Finish(scope=(0, 0), boundary=False, reason='tool_calls')]
    """

    def __init__(self) -> None:
        self._calls: dict[Channel, _Call] = {}  # of the answers that are not over
        self._ended: Recent[Channel] = Recent(self._forget)

    def put(self, item: Item) -> Iterator[Item]:
        """What is to be written for an item."""
        if isinstance(item, ToolCall):
            yield from self._named(item)
            return
        if isinstance(item, TextDelta):
            if item.text and item.channel in self._calls:
                call = self._calls[item.channel]
                yield from self._begun(call)
                call.has_said = True
                call.brackets.add(item.text)
        elif (scope := ended_by(item)) is not None:
            is_cut = isinstance(item, Failure | Finish)
            yield from self._over(scope, is_cut=is_cut, has_none=ends_calls(item))
            if isinstance(item, Finish):
                if (reason := self._reason(item.reason, scope)) != item.reason:
                    item = replace(item, reason=reason)
                self._calls = {channel: call for channel, call in self._calls.items() if not covers(scope, channel)}
        yield item

    def before(self, item: Item) -> list[Item]:
        """What is to be written before an item that leaves as it came, and may be the end of calls."""
        return [made for made in self.put(item) if type(made) is TextDelta] if self._calls and isinstance(item, Finish) else []

    def rest(self, reason: str) -> Iterator[Item]:
        """What is still to be written when the stream ends. If a stage has ended it, calls are cut off.

        Args:
            reason: why.
        """
        yield from self._over((), is_cut=True, has_none=reason == ENDED)

    def reason(self, reason: str, scope: Scope = ()) -> str:
        """Why an answer is over that has no reason of its own.

        Args:
            reason: why the stream is.
            scope: which answer.
        """
        return self._reason(reason, scope) if reason == ENDED else reason

    def _reason(self, reason: str, scope: Scope) -> str:
        called = [] if scope is None else [call for channel, call in self._calls.items() if covers(scope, channel)]
        return for_calls(reason) if called and all(call.is_whole for call in called) else reason

    def _named(self, item: ToolCall) -> Iterator[Item]:
        """A call begins when its name is known; what names it once more says nothing."""
        if item.arguments not in self._calls:
            self._calls[item.arguments] = _Call(item)
            self._ended.goes_on(item.arguments)
        call = self._calls[item.arguments]
        if not call.has_begun:
            call.head = replace(item, id=call.head.id or item.id, name=call.head.name or item.name)
            if call.head.name:
                yield from self._begun(call)

    def _begun(self, call: _Call) -> Iterator[Item]:
        if not call.has_begun:
            call.has_begun = True
            yield call.head

    def _over(self, scope: Channel | Key, *, is_cut: bool, has_none: bool) -> Iterator[Item]:
        """The calls under a barrier are over.

        Args:
            scope: its.
            is_cut: whether it may have cut them off.
            has_none: whether one that has no arguments until here has none.
        """
        for channel in [channel for channel, call in self._calls.items() if not call.is_over and covers(scope, channel)]:
            call = self._calls[channel]
            call.is_over = True
            yield from self._begun(call)
            if has_none and not call.has_said and not is_free(channel):
                call.brackets.add(NO_ARGUMENTS)
                yield TextDelta(NO_ARGUMENTS, channel)
            call.is_whole = not is_cut or call.brackets.are_closed
            self._ended.end(channel)

    def _forget(self, channel: Channel) -> None:
        self._calls.pop(channel, None)
