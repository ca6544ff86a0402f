"""Chunks of Gemini's `generateContent` streams to items: a channel for the answer of each candidate, one for its thoughts, one for
each call.

A chunk is a whole response with a little of everything: parts of text, thoughts and calls, why it ended, sources, token counts.
Each has its own place in the stream, so each can leave by itself. Fields have two spellings, that of the API (`functionCall`) and
that of the SDK (`function_call`); both are read everywhere.
Source: Google's reference of `GenerateContentResponse`, and the types of its SDK.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.items import Channel, Failure, Finish, Item, Key, Raw, TextDelta, ToolCall, Usage
from streamfilter.providers.events import Origin, first_seen
from streamfilter.providers.gemini.arguments import Assembler
from streamfilter.providers.places import Opaque, Path, is_mute, is_opaque, within
from streamfilter.providers.shapes import fields, get, plain

NAME = "gemini"

_DETAILS = ("promptTokensDetails", "candidatesTokensDetails", "cacheTokensDetails", "toolUsePromptTokensDetails")
_OPAQUE: tuple[str | tuple[str, str], ...] = (
    *("role", "finishReason", "responseId", "modelVersion", "createTime", "id", "mimeType", "blockReason", "placeId", "mediaId"),
    *within("sdkHttpResponse", ""),
    *within("retirementTime", "modelStatus"),
    *within("modelStage", "modelStatus"),
    *within("thoughtSignature", "parts"),
    *within("mediaResolution", "parts"),
    *within("name", "functionCall", "functionResponse"),
    *within("scheduling", "functionResponse"),
    *within("nullValue", "partialArgs"),
    *within("data", "inlineData"),
    *within("fileUri", "fileData"),
    *within("startOffset", "videoMetadata"),
    *within("endOffset", "videoMetadata"),
    *within("language", "executableCode"),
    *within("outcome", "codeExecutionResult"),
    *within("urlRetrievalStatus", "urlMetadata"),
    *within("sdkBlob", "searchEntryPoint"),
    *within("googleMapsWidgetContextToken", "groundingMetadata"),
    *within("trafficType", "usageMetadata"),
    *within("serviceTier", "usageMetadata"),
    *within("modality", *_DETAILS),
    *within("category", "safetyRatings"),
    *within("probability", "safetyRatings"),
    *within("severity", "safetyRatings"),
)


@cache
def _other(name: str) -> str:
    """A field of the API as the SDK spells it."""
    return re.sub("[A-Z]", lambda found: f"_{found.group().lower()}", name)


OPAQUE: Opaque = frozenset(_OPAQUE) | {
    _other(name) if isinstance(name, str) else (_other(name[0]), _other(name[1])) for name in _OPAQUE
}
"""Fields whose strings are no text: names, ids, states, files, and what only Google can read. In both spellings."""

_VALUES = ("stringValue", "numberValue", "boolValue")
_PLAIN = {
    "chunk": {"candidates", "usageMetadata", "usage_metadata", *("modelVersion", "responseId", "createTime", "sdk_http_response")}
    | {"model_version", "response_id", "create_time"},
    "candidate": {"content", "index", "finishReason", "finish_reason"},
    "content": {"parts", "role"},
    "part": {"text", "thought", "thoughtSignature", "thought_signature"},
}
"""What most chunks have: text, and fields whose strings are none."""

_NO_REASON = "FINISH_REASON_UNSPECIFIED"


def field_of(node: object, name: str) -> str:
    """How a field is spelled where it stands; as the API does where it does not.

    Example:
        >>> field_of({"function_call": {}}, "functionCall"), field_of({}, "functionCall")
        ('function_call', 'functionCall')
    """
    if type(node) is dict:  # most are
        return name if node.get(name) is not None or node.get(_other(name)) is None else _other(name)
    return name if get(node, name) is not None or get(node, _other(name)) is None else _other(name)


def value_of(node: object, name: str) -> Any:
    """A field in either spelling.

    Example:
        >>> value_of({"finish_reason": "STOP"}, "finishReason")
        'STOP'
    """
    return get(node, field_of(node, name))


def word(value: Any) -> str:
    """A value of an enumeration, as the API spells it."""
    return str(getattr(value, "value", value))


def texts_of(choice: Key, *, is_thought: bool = False) -> Channel:
    """The channel of a candidate's answer, or of its thoughts."""
    return Channel("reasoning", (*choice, "thought")) if is_thought else Channel("answer", (*choice, "text"))


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """Where a text came from: a chunk has several.

    Attributes:
        origin: the chunk.
        path: the place in it.
    """

    origin: Origin
    path: Path


class _Call:
    """A call whose arguments arrive in pieces."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.assembler = Assembler()


class Reading:
    """One stream of chunks.

    Args:
        seen: the choices that have come so far.
    """

    def __init__(self, seen: set[Key]) -> None:
        self._seen = seen
        self._response = 0  # agents send several, one behind the other
        self._identity: Any = None  # of the response
        self._last: dict[Key, Channel] = {}  # by choice, the channel of its last text
        self._calls: dict[Key, int] = {}  # by choice, how many have come
        self._open: dict[Key, _Call] = {}  # by choice, the one that goes on

    def read(self, origin: Origin) -> None:
        """Read one chunk."""
        event = origin.event
        if get(event, "error") is not None:
            origin.items.append(Failure(get(event, "error"), origin=origin))
            return
        self._turn(origin, value_of(event, "responseId"))
        candidates = get(event, "candidates")
        if candidates is not None and not isinstance(candidates, list | tuple):
            raise _malformed(origin, "the candidates of a chunk are no list")
        last: Channel | None = None
        origin.is_plain = True
        for n, candidate in enumerate(candidates or ()):
            last = self._candidate(origin, candidate, ("candidates", n))
        self._beside(origin, event, last)
        if not (fields(event).keys() <= _PLAIN["chunk"] and is_mute(event, OPAQUE, ("candidates",), "")):
            origin.is_plain = False
        if not origin.items:
            origin.leaves.clear()
            origin.rest(last)

    def _turn(self, origin: Origin, identity: Any) -> None:
        """If another response begins, all of the one before it ends."""
        if identity is None or identity == self._identity:
            return
        if self._identity is not None:
            choices = sorted(choice for choice in self._seen if choice[0] == self._response)
            origin.items += [Raw(None, scope=choice, origin=origin) for choice in choices]
            self._response += 1
            self._last, self._calls, self._open = {}, {}, {}
        self._identity = identity

    def _beside(self, origin: Origin, event: Any, last: Channel | None) -> None:
        """What a chunk says beside its candidates."""
        feedback = field_of(event, "promptFeedback")
        if (given := get(event, feedback)) is not None:
            reason = value_of(given, "blockReason")
            choice = self._choice(0)
            item: Item = Raw(event, scope=choice, origin=origin)
            if reason is not None:
                item = Finish(word(reason), scope=choice, origin=origin)
            self._leaves(origin, item, (feedback,))
        usage = field_of(event, "usageMetadata")
        if (given := get(event, usage)) is not None:
            has_ended = any(isinstance(item, Finish) for item in origin.items)
            self._leaves(origin, Usage(given, scope=last if has_ended else None, origin=origin), (usage,))
        known = {"candidates", feedback, usage}
        for name, value in fields(event).items():  # what the SDK adds of its own says the answer once more
            if name not in known and not is_opaque(OPAQUE, name, event, "") and not isinstance(value, int | float):
                channel = last or texts_of(self._choice(0))
                self._leaves(origin, Raw(event, scope=channel, origin=origin), (name,))
                if name == "parsed":
                    origin.spans[name,] = channel

    # ------------------------------------------------------------------ candidates

    def _choice(self, index: int) -> Key:
        return first_seen(self._seen, (self._response, index))

    def _candidate(self, origin: Origin, candidate: Any, path: Path) -> Channel:
        _check(origin, candidate, "a candidate")
        index = get(candidate, "index")
        if index is not None and not isinstance(index, int):
            raise _malformed(origin, "the index of a candidate is no number")
        choice = self._choice(index or 0)  # zero is left out
        content = get(candidate, "content")
        _check(origin, content, "the content of a candidate")
        parts = get(content, "parts")
        is_usual = fields(candidate).keys() <= _PLAIN["candidate"] and fields(content).keys() <= _PLAIN["content"]
        if not (
            is_usual and is_mute(candidate, OPAQUE, ("content",), "candidates") and is_mute(content, OPAQUE, ("parts",), "content")
        ):
            origin.is_plain = False
        if parts is not None and not isinstance(parts, list | tuple):
            raise _malformed(origin, "the parts of a candidate are no list")
        for n, part in enumerate(parts or ()):
            self._part(origin, part, (*path, "content", "parts", n), choice)
        answer = texts_of(choice)
        finish, message = field_of(candidate, "finishReason"), field_of(candidate, "finishMessage")
        rest = [name for name in fields(candidate) if name not in ("content", "index", finish, message)]
        if rest:
            item = Raw(origin.event, scope=answer, origin=origin)
            self._leaves(origin, item, *((*path, name) for name in rest))
            _count(origin, candidate, path, answer)
        reason = get(candidate, finish)
        if reason is not None:
            ending: Item = Raw(origin.event, scope=answer, origin=origin)
            if word(reason) != _NO_REASON:
                ending = Finish(word(reason), scope=choice, origin=origin)
            self._leaves(origin, ending, (*path, finish), (*path, message))
        return self._last.get(choice, answer)

    @staticmethod
    def _leaves(origin: Origin, item: Item, *paths: Path) -> None:
        origin.items.append(item)
        for path in paths:
            origin.leaves[path] = (*origin.leaves.get(path, ()), item)

    # ------------------------------------------------------------------ parts

    def _part(self, origin: Origin, part: Any, path: Path, choice: Key) -> None:
        _check(origin, part, "a part")
        call = field_of(part, "functionCall")
        if get(part, call) is not None:
            origin.is_plain = False
            self._call(origin, part, path, choice, call)
            return
        if not (fields(part).keys() <= _PLAIN["part"] and is_mute(part, OPAQUE, ("text",), "parts")):
            origin.is_plain = False
        text = get(part, "text")
        if text is not None and not isinstance(text, str):
            raise _malformed(origin, "the text of a part is no string")
        channel = self._last.get(choice) or texts_of(choice)
        if text is not None:
            channel = texts_of(choice, is_thought=bool(get(part, "thought")))
            if text:
                self._last[choice] = channel
        given: tuple[Item, ...] = ()
        if text:
            origin.slots[*path, "text"] = channel
            given = (TextDelta(text, channel, Place(origin, (*path, "text"))),)
            origin.items += given
        heard = field_of(part, "audioTranscription")
        spoken = get(get(part, heard), "text")
        if isinstance(spoken, str) and spoken:
            place, other = (*path, heard, "text"), Channel("other", (*choice, "part", heard))
            origin.slots[place], origin.spans[*path, heard, "words"] = other, other
            given = (*given, TextDelta(spoken, other, Place(origin, place)))
            origin.items.append(given[-1])
        beside = [name for name in fields(part) if name not in ("text", "thought")]
        if beside or not text:
            rest = Raw(origin.event, scope=channel, origin=origin)
            self._leaves(origin, rest, *((*path, name) for name in beside if text))
            given = (*given, rest)
        origin.leaves[path] = given
        signature = field_of(part, "thoughtSignature")
        if get(part, signature) is not None and text is not None:
            origin.spans[*path, signature] = channel

    def _call(self, origin: Origin, part: Any, path: Path, choice: Key, name: str) -> None:
        call = get(part, name)
        _check(origin, call, "a call")
        if get(part, "text"):
            raise _malformed(origin, "a part is text and a call at once")
        pieces = value_of(call, "partialArgs")
        if pieces is not None and not isinstance(pieces, list | tuple):
            raise _malformed(origin, "the pieces of the arguments of a call are no list")
        goes_on = bool(value_of(call, "willContinue"))
        is_new = get(call, "name") is not None or choice not in self._open
        if is_new and (before := self._open.pop(choice, None)) is not None:  # it was not said that it is complete
            origin.items.append(TextDelta(before.assembler.finish(), before.channel, origin))
            origin.items.append(Raw(None, scope=before.channel, boundary=True, origin=origin))
        if is_new and not goes_on and not pieces:
            self._whole(origin, call, (*path, name), choice)
            return
        given: list[Item] = []
        if is_new:
            opened = self._open[choice] = _Call(self._channel(choice, "stream"))
            given.append(_tool_call(call, opened.channel, origin))
            self._leaves(origin, given[0], *((*path, name, each) for each in ("name", "id") if get(call, each) is not None))
            beside = [each for each in fields(part) if each != name]
            for each in beside:
                origin.leaves[*path, each] = (given[0],)
        opened = self._open[choice]
        deltas = self._pieces(origin, opened, pieces or (), (*path, name, field_of(call, "partialArgs")))
        given += [item for item in deltas if item is not None]
        if not goes_on:
            del self._open[choice]
            if closing := opened.assembler.finish():
                origin.items.append(TextDelta(closing, opened.channel, origin))
        rest = Raw(origin.event, scope=opened.channel, boundary=not goes_on, origin=origin)
        origin.items.append(rest)
        origin.leaves[path] = (*given, rest)
        for n, delta in enumerate(deltas):
            own = (*path, name, field_of(call, "partialArgs"), n)
            origin.leaves[own] = (rest,) if delta is None else (delta, rest)

    def _pieces(self, origin: Origin, opened: _Call, pieces: Any, path: Path) -> list[TextDelta | None]:
        """The items for pieces of arguments; None for one that brings no text of a string."""
        made: list[TextDelta | None] = []
        for n, piece in enumerate(pieces):
            value = next((value_of(piece, name) for name in _VALUES if value_of(piece, name) is not None), None)
            goes_on = bool(value_of(piece, "willContinue"))
            is_text = value_of(piece, "stringValue") is not None
            if not isinstance(value, str if is_text else int | float | None):
                raise _malformed(origin, "a piece of the arguments of a call is neither a string nor a number")
            try:
                text = opened.assembler.add(str(value_of(piece, "jsonPath")), value, goes_on)
            except MalformedInput as error:
                raise _malformed(origin, error.problem) from None
            place = (*path, n, field_of(piece, "stringValue"))
            has_text = isinstance(value, str) and bool(value)
            delta = TextDelta(text, opened.channel, Place(origin, place) if has_text else origin)
            if text:
                origin.items.append(delta)
            if has_text:
                origin.slots[place] = opened.channel
                origin.encoded[place] = opened.assembler.count
            made.append(delta if has_text else None)
        return made

    def _whole(self, origin: Origin, call: Any, path: Path, choice: Key) -> None:
        """A call that comes with all of its arguments. It leaves when all of them have."""
        channel = self._channel(choice, "call")
        origin.items.append(_tool_call(call, channel, origin))
        arguments = get(call, "args")
        if arguments is not None:
            text = json.dumps(plain(arguments), ensure_ascii=False)
            origin.slots[*path, "args"] = channel
            origin.encoded[*path, "args"] = None
            origin.items.append(TextDelta(text, channel, origin))
        rest = Raw(origin.event, scope=channel, boundary=True, origin=origin)
        self._leaves(origin, rest, path[:-1])

    def _channel(self, choice: Key, way: str) -> Channel:
        number = self._calls[choice] = self._calls.get(choice, -1) + 1
        return Channel("tool_arguments", (*choice, way, number))


def _count(origin: Origin, candidate: Any, path: Path, answer: Channel) -> None:
    """Note what counts the characters of an answer, or says its tokens."""
    for metadata, name in (("groundingMetadata", "groundingSupports"), ("citationMetadata", "citations")):
        outer = field_of(candidate, metadata)
        if value_of(get(candidate, outer), name) is not None:
            origin.spans[*path, outer, field_of(get(candidate, outer), name)] = answer
    if value_of(candidate, "logprobsResult") is not None:
        origin.spans[*path, field_of(candidate, "logprobsResult")] = answer


def _tool_call(call: Any, channel: Channel, origin: Origin) -> ToolCall:
    name, identity = get(call, "name"), get(call, "id")
    return ToolCall(identity, None if name is None else str(name), channel, scope=channel, origin=origin)


def _check(origin: Origin, node: Any, what: str) -> None:
    if node is not None and not isinstance(node, Mapping) and not hasattr(node, "__dict__"):
        raise _malformed(origin, f"{what} is no object")


def _malformed(origin: Origin, problem: str) -> MalformedInput:
    return MalformedInput(problem, origin.frame.offset if origin.frame else 0)
