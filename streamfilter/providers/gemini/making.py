"""Chunks of Gemini's streams for what comes from none: text of other sources, calls, and the ending of a stopped candidate.

What is made looks like the chunks that came: dicts, or objects of the SDK whose objects came.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamfilter.items import Channel, Failure, Finish, Item, Key, TextDelta, Usage
from streamfilter.providers import rewriting
from streamfilter.providers.counts import worded
from streamfilter.providers.gemini.reading import value_of, word
from streamfilter.providers.ordering import WholeCall, WholeCalls
from streamfilter.providers.shapes import fields, get, plain
from streamfilter.reasons import spelled

_BROKEN = "MALFORMED_FUNCTION_CALL"
"""Gemini's word for a call that it could not complete."""


class Making(rewriting.Making):
    """One stream of chunks.

    Args:
        model: the model's name, for a response that has no source.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self._like: Any = None  # the last chunk that left, if it is an SDK's
        self._has_source = False
        self._named: dict[str, Any] = {"modelVersion": model} if model else {}
        self._open: dict[int, bool] = {}  # by index, candidates that have begun: whether they have no reason yet
        self._order = WholeCalls()
        self._broken: set[int] = set()  # candidates with a call that is not complete

    def note(self, event: Any) -> None:
        """This chunk leaves."""
        self._has_source = True
        if not isinstance(event, Mapping):
            self._like = event
        before = self._named.get("responseId")
        for name in ("modelVersion", "responseId"):
            value = value_of(event, name)
            if isinstance(value, str):
                self._named[name] = value
        if before is not None and before != self._named.get("responseId"):
            self._open = {}
        for candidate in get(event, "candidates") or ():
            index = get(candidate, "index") or 0
            has_ended = value_of(candidate, "finishReason") is not None
            self._open[index] = self._open.get(index, True) and not has_ended

    def delta(self, text: str, channel: Channel) -> Any:
        """A chunk that brings some more text of a channel that has begun."""
        return self._shaped(self._text(text, channel))

    def make(self, item: Item) -> Sequence[Any]:
        """The chunks for an item that comes from no chunk."""
        return [self._shaped(chunk) for each in self._order.put(item) for chunk in self._made(each)]

    def end(self, reason: str) -> Sequence[Any]:
        """The chunks that end what is open, because a stage has ended the stream."""
        made = [chunk for each in self._order.rest() for chunk in self._made(each)]
        indexes = [index for index, is_open in self._open.items() if is_open]
        if not self._open and reason != "end":
            indexes = [0]
        made += [self._ended(index, spelled(reason, "gemini")) for index in indexes]
        return [self._shaped(chunk) for chunk in made]

    # ------------------------------------------------------------------

    def _made(self, item: Item) -> Iterator[dict[str, Any]]:
        if isinstance(item, Failure):
            yield {"error": _error(item.error)}
        elif isinstance(item, Usage):
            if usage := worded(item.usage, "gemini"):
                nothing = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}  # the SDK takes none without
                yield self._chunk({"candidates": [nothing], "usageMetadata": usage})
        elif isinstance(item, Finish):
            scope = item.scope.choice if isinstance(item.scope, Channel) else item.scope
            given = _index(scope) if scope else None
            for index in [given] if given is not None else list(self._open) or [0]:
                if self._open.get(index, True):
                    yield self._ended(index, spelled(item.reason, "gemini"))
        elif isinstance(item, WholeCall):
            yield from self._called(item)
        elif isinstance(item, str | TextDelta):
            text, channel = (item, Channel()) if isinstance(item, str) else (item.text, item.channel)
            if text:
                yield self._text(text, channel)

    def _text(self, text: str, channel: Channel) -> dict[str, Any]:
        part: dict[str, Any] = {"text": text}
        if channel.kind == "reasoning":
            part["thought"] = True
        return self._of(_index(channel.key), part)

    def _of(self, index: int, *parts: dict[str, Any], **beside: Any) -> dict[str, Any]:
        """A chunk of one candidate."""
        self._open[index] = "finishReason" not in beside
        return self._chunk({"candidates": [{"content": {"parts": [*parts], "role": "model"}, "index": index, **beside}]})

    def _chunk(self, said: dict[str, Any]) -> dict[str, Any]:
        if not self._has_source:
            self._named.setdefault("responseId", uuid.uuid4().hex[:24])
        return {**said, **self._named}

    def _called(self, call: WholeCall) -> Iterator[dict[str, Any]]:
        index = _index(call.arguments.key)
        if call.given is None:
            self._open.setdefault(index, True)
            self._broken.add(index)
            return
        said: dict[str, Any] = {"name": call.name or "", "args": call.given}
        yield self._of(index, {"functionCall": {"id": call.id, **said} if call.id else said})

    def _ended(self, index: int, reason: str) -> dict[str, Any]:
        """A candidate is over."""
        is_broken = index in self._broken and reason == "STOP"
        self._broken.discard(index)
        return self._of(index, {"text": ""}, finishReason=_BROKEN if is_broken else reason)

    def _shaped(self, chunk: dict[str, Any]) -> Any:
        """A chunk as an object of the SDK, if its objects came."""
        validate = getattr(type(self._like), "model_validate", None)
        return chunk if validate is None or "error" in chunk else validate(chunk)


def _index(key: Key) -> int:
    index = key[1] if len(key) > 1 else 0
    return index if isinstance(index, int) else 0


def _error(error: object) -> dict[str, Any]:
    """What went wrong, as Google says it: `{"code": …, "message": …, "status": …}`."""
    given = fields(plain(error)) if not isinstance(error, str) else {"message": error}
    code = given.get("code")
    return {
        "code": code if isinstance(code, int) else 500,
        "message": str(given.get("message") or "the provider reports an error"),
        "status": word(given.get("status") or "INTERNAL"),
    }
