"""Responses of Ollama for what comes from none: text of other sources, and the legal ending of a stopped one.

What is made looks like what came: a chat's or a completion's, as dicts or as objects of the package whose objects came.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from streamfilter.items import Channel, Failure, Finish, Item, Key, TextDelta, Usage
from streamfilter.providers import rewriting
from streamfilter.providers.choices import place_of
from streamfilter.providers.counts import worded
from streamfilter.providers.ollama.reading import COUNTS
from streamfilter.providers.ordering import WholeCall, WholeCalls
from streamfilter.providers.shapes import fields, get, plain
from streamfilter.reasons import spelled


class Making(rewriting.Making):
    """One stream of responses.

    Args:
        model: the model's name, for responses that have no source.
    """

    has_choices = False

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self._time: str | None = None
        self._like: Any = None  # the last response that left, if it is an object
        self._is_chat = True
        self._response: Hashable = None  # that was made here
        self._is_begun = False
        self._is_over = False
        self._reason: str | None = None
        self._usage: dict[str, Any] = {}
        self._order = WholeCalls()

    def note(self, event: Any) -> None:
        """This response leaves."""
        self.follow(event)
        self._response, self._is_begun = None, True
        self._is_over = get(event, "done") is True
        if self._is_over:
            self.dropped.clear()

    def follow(self, event: Any) -> None:
        """What is made from now on looks like this one."""
        if not isinstance(event, Mapping):
            self._like = event
        if get(event, "error") is None:
            self._is_chat = get(event, "response") is None
        self._model = get(event, "model") or self._model
        self._time = get(event, "created_at") or self._time

    def delta(self, text: str, channel: Channel) -> Any:
        """A response that brings some more text of a channel that has begun."""
        return self._shaped(self._texted(text, channel))

    def make(self, item: Item) -> Sequence[Any]:
        """The responses for an item that comes from none."""
        return [self._shaped(event) for each in self._order.put(item) for event in self._made(each)]

    def end(self, reason: str) -> Sequence[Any]:
        """What ends the response comes last, with the counts."""
        made = [self._shaped(event) for each in self._order.rest() for event in self._made(each)]
        self._reason = self._reason or spelled(reason, "ollama")
        self._is_begun = True
        return made

    def finish(self) -> Sequence[Any]:
        """What ends the stream after all else."""
        return [self._shaped(event) for event in self._done()]

    # ------------------------------------------------------------------

    def _made(self, item: Item) -> Iterator[dict[str, Any]]:
        yield from self._followed(place_of(item))
        if isinstance(item, Failure):
            yield {"error": _error(item.error)}
        elif isinstance(item, Usage):
            self._usage |= _usage(item.usage)
        elif isinstance(item, Finish):
            self._reason = self._reason or spelled(item.reason, "ollama")
        elif isinstance(item, WholeCall):
            if item.given is not None:
                self._is_begun = True
                called = [{"function": {"name": item.name or "", "arguments": item.given}}]
                yield self._headed({"role": "assistant", "content": "", "tool_calls": called})
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if text:
                yield self._texted(text, channel)

    def _followed(self, place: Key) -> Iterator[dict[str, Any]]:
        """The end of what was made here, if what comes now is of another response."""
        if place and self._response not in (None, place[0]):
            yield from self._done()
            self._is_begun, self._is_over, self._reason, self._usage = False, False, None, {}
        self._response = place[0] if place else self._response

    def _done(self) -> Iterator[dict[str, Any]]:
        if self._is_begun and not self._is_over:
            self._is_over = True
            tail = {"done_reason": self._reason or "stop", "done": True, **self._usage}
            yield self._headed({"role": "assistant", "content": ""} if self._is_chat else "") | tail

    def _texted(self, text: str, channel: Channel) -> dict[str, Any]:
        self._is_begun = True
        is_thought = channel.kind == "reasoning"
        if self._is_chat:
            return self._headed({"role": "assistant", "content": "", **({"thinking": text} if is_thought else {"content": text})})
        return self._headed("") | {"thinking" if is_thought else "response": text}

    def _headed(self, said: dict[str, Any] | str) -> dict[str, Any]:
        time = self._time or datetime.now(UTC).isoformat().replace("+00:00", "Z")
        name = "response" if isinstance(said, str) else "message"
        return {"model": self._model, "created_at": time, name: said, "done": False}

    def _shaped(self, event: dict[str, Any]) -> Any:
        """A response as an object, if objects came."""
        made = getattr(type(self._like), "model_validate", None)
        return event if made is None or "error" in event else made(event)


def _error(error: object) -> str:
    given = plain(error)
    return given if isinstance(given, str) else str(get(given, "message") or "the provider reports an error")


def _usage(usage: object) -> dict[str, Any]:
    """Counts in Ollama's words, and how long it has taken."""
    given = fields(plain(usage))
    return {name: count for name, count in {**given, **worded(given, "ollama")}.items() if name in COUNTS}
