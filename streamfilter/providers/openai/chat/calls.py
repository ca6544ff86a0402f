"""Which tool call the fragments of one choice belong to.

By the format it is told by their index, and the first one has the id and the name. Some services leave out the index, give all
calls the same one, write it as a string, or leave out the id of later fragments; and many clients read an index that is left out
as 0. What these could put together otherwise is refused: it might be text that nobody has seen whole.
"""

from __future__ import annotations

from streamfilter.errors import MalformedInput
from streamfilter.providers.places import ordinal
from streamfilter.providers.recent import KEPT_ENDED


class Calls:
    """The calls of one choice so far.

    Attributes:
        messages: how many messages have ended.

    Example:
        >>> calls = Calls()
        >>> calls.number(0, "a", "f"), calls.number(1, "b", "g"), calls.number(0, None, None)
        (0, 1, 0)
    """

    def __init__(self) -> None:
        self.messages: int = 0
        self._count = 0
        self._last: dict[int, int] = {}  # by index, the last one
        self._ids: dict[object, int] = {}
        self._unnamed: dict[int | None, int] = {}  # by index, the last one that has no id yet; in the order in which they came
        self._placeless: set[int] = set()  # those of this message that have no index yet
        self._kinds: dict[int, str] = {}
        self._has_places = False  # this message has one with an index
        self._before = 0  # how many there were before this message

    def number(self, index: object, call_id: object, name: object, offset: int = 0) -> int:
        """The number of a fragment's call among the choice's.

        Args:
            index: the fragment's, if it has one.
            call_id: its call's, if it says it.
            name: its tool's, if it says it.
            offset: where in the stream it stands, for errors.

        Raises:
            MalformedInput: its index is no number, or it could be of several calls.
        """
        at, called = ordinal(index), _key(call_id)
        if index is not None and at is None:
            raise MalformedInput("the index of a tool call is no number", offset)
        found = self._continued(at, name, offset) if called is None else self._named(at, called, name, offset)
        if found is None:
            found, self._count = self._count, self._count + 1
            self._begin(found, at, called)
        elif at is not None and found in self._placeless:
            self._placeless.discard(found)
            self._last[at] = found
            if self._unnamed.get(None) == found:
                self._unnamed[at] = self._unnamed.pop(None)
        self._has_places = self._has_places or at is not None
        return found

    def kind(self, number: int, kind: str | None, offset: int) -> str | None:
        """What kind of call one is, of which a fragment says so, or does not; None if nothing has said it yet.

        Raises:
            MalformedInput: it was of another kind: its arguments stand in two places.
        """
        if kind is not None and self._kinds.setdefault(number, kind) != kind:
            raise MalformedInput("a tool call is of a function and of a custom tool", offset)
        return self._kinds.get(number)

    def end(self) -> None:
        """A message is complete: of those before it the last calls are remembered, for what comes late."""
        self.messages += 1
        self._placeless.clear()
        self._kinds.clear()
        self._has_places, self._before = False, self._count
        while len(self._ids) > KEPT_ENDED:
            del self._ids[next(iter(self._ids))]

    def _begin(self, number: int, at: int | None, called: object) -> None:
        if at is None:
            self._placeless.add(number)
        else:
            self._last[at] = number
        if called is not None:
            self._ids[called] = number
        else:
            self._unnamed.pop(at, None)
            self._unnamed[at] = number

    def _continued(self, at: int | None, name: object, offset: int) -> int | None:
        """The call of a fragment without an id; None: a new one."""
        if at is not None:
            is_known = at in self._last or not self._placeless or (at and name)
            return self._last.get(at) if is_known else self._only_placeless(offset)
        if self._has_places and (name or self._count - self._before > 1):
            raise _ambiguous(offset)
        return None if name or not self._count else self._count - 1

    def _named(self, at: int | None, called: object, name: object, offset: int) -> int | None:
        """The call of a fragment with an id: the last one that has it, or has none yet and is at its index; None: a new one."""
        if at is None:
            nameless = None if name else next(reversed(self._unnamed), None)
        else:
            nameless = at
            if at not in self._unnamed and self._unnamed.get(None) in self._placeless and not (at and name):
                self._only_placeless(offset)
                nameless = None
        found, known = -1 if at is None and name else self._unnamed.get(nameless, -1), self._ids.get(called, -1)
        if found < 0 or found < known:
            return known if known >= 0 else None
        del self._unnamed[nameless]
        self._ids[called] = found
        return found

    def _only_placeless(self, offset: int) -> int:
        """The one call without an index."""
        if len(self._placeless) > 1:
            raise _ambiguous(offset)
        return next(iter(self._placeless))


def _ambiguous(offset: int) -> MalformedInput:
    return MalformedInput("a fragment could be of several tool calls: some have an index and others none", offset)


def _key(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else repr(value)
