"""`JSONText`: what the strings at a path say, decoded, while they arrive: plain text for the stages behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from streamfilter.items import Event, told
from streamfilter.json.stages import JSONStage
from streamfilter.parsing.documents import Reading
from streamfilter.parsing.paths import Follower, JSONPath, PathLike
from streamfilter.pipeline import stage

_KINDS = {dict: "an object", list: "an array", bool: "a literal"}


@stage
class JSONText(JSONStage[str]):
    r"""Give the text of the string at a path while it arrives, decoded, to be joined with text stages: `JSONText("$.answer") | …`.

    If there are several, they are runs of their own: an `Event` with `boundary=True` stands between two, so that no match spans
    them. `null` is no text. Any other value is refused where the path ends with a name or an index, and passed over where it looks
    for strings among others: behind `..`, and for a `*`.

    Args:
        path: a `JSONPath`, or its text, such as `"$.answer"`. If it begins with a name, only `{` opens a document; with an index,
            only `[`.
        many: whether there may be several documents; see `strict`. An event stands before the first string of each but the first.

    Raises:
        ValueError: the path is none.
        TypeError: while streaming: what the path names is neither a string nor `null`.
        MalformedInput: while streaming: what is no JSON, where, and on which path.
        TruncatedInput: while streaming: the text ended inside the document, or without one.
        LimitExceeded: while streaming.

    Example:
        >>> import streamfilter as sf
        >>> from streamfilter.json.texts import JSONText
        >>> stage = JSONText("$.answer") | sf.Redact(r"\w+@\w+", to="[email]")
        >>> list(stage.iter(['{"id": 1, "answer": "Write to jo', 'e\\u00', '40home.", "n": 2}']))
        ['Write to ', '[email]', '.']
    """

    path: PathLike
    many: bool = dataclasses.field(default=False, kw_only=True)

    gives: ClassVar[str] = "items"

    @property
    def has_many(self) -> bool:
        return self.many

    @property
    def opens(self) -> str:
        return self._path.opens

    def reading(self, number: int) -> Reading:
        return _Texts(self._path, number)

    def explanation(self) -> str:
        return f"the strings at {self._path.text} in the JSON of {told(self.channel)}; all else is dropped"

    @property
    def _path(self) -> JSONPath:
        return cast("JSONPath", self.path)


class _Texts(Reading):
    """One document of `JSONText`."""

    def __init__(self, path: JSONPath, number: int) -> None:
        self._path = path
        self._follower = Follower(path)
        self._counts = path.has_indexes
        self._searches = bool(path.selectors) and (path.selectors[-1].deep or path.selectors[-1].part is None)
        self._is_next = number > 0  # whether there was a string before
        self._ready: list[str | Event] = []
        self._parts: list[str] = []  # text that is not in there yet
        self._moved()

    def begin_object(self) -> None:
        self._begin({})

    def begin_array(self) -> None:
        self._begin([])

    def end(self) -> None:
        self._follower.end()
        self._follower.over()
        self._moved()

    def key(self, key: str) -> None:
        self._follower.key(key)
        self._moved()

    def begin_string(self) -> None:
        if self._is_meant:
            if self._is_next:
                self._settle()
                self._ready.append(Event(boundary=True))
            self._is_next = True

    def text(self, text: str, raw: str | None = None) -> None:
        if self._is_meant:
            self._parts.append(text)

    def end_string(self) -> None:
        self._over()

    def value(self, value: Any) -> None:
        if self._is_meant:
            self._check(value)
        self._over()

    def given(self) -> Sequence[str | Event]:
        self._settle()
        return self.ready()

    def ready(self) -> Sequence[str | Event]:
        ready = self._ready
        if ready:
            self._ready = []
        return ready

    def _begin(self, container: dict[str, Any] | list[Any]) -> None:
        if self._is_meant:
            self._check(container)
        self._follower.begin(is_array=type(container) is list)
        self._moved()

    def _over(self) -> None:
        if self._counts:
            self._follower.over()
            self._moved()

    def _moved(self) -> None:
        """Another value stands next."""
        follower = self._follower
        self._is_meant = follower.is_end
        self.takes_whole = (
            follower.state == 0
        )  # a string that is meant never comes as a value, so that it is not taken for a number

    def _settle(self) -> None:
        if self._parts:
            self._ready.append("".join(self._parts))
            self._parts.clear()

    def _check(self, value: Any) -> None:
        """Something that is no string stands where one is meant."""
        if value is not None and not self._searches:
            kind = _KINDS.get(type(value), "a number")
            raise TypeError(f"JSONText was given {kind} at {self._path.text}, where a string or null is expected")
