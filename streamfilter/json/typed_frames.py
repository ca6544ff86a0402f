"""The open containers of a document that is read for a type: what of each is shown, and how its value is put together.

A frame keeps three things: what came (`raw`), what of it is shown (`shown`), and, where that differs, what was validated. It does
not know what stands around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from streamfilter.json.partial import Maker, set_mask
from streamfilter.json.typed_plan import FAILED, OMITTED, ONE, RAW, Choices, Entries, Field, Fields, Node, Rows, Step, json_of, run


class Frame:
    """An open container. As it stands, one that is withheld until it is complete.

    Args:
        raw: begins what came.
        node: validates it at the end, where nothing is shown.

    Attributes:
        raw: what came, complete.
        key: in an object, of the value that comes next.
        next: the node of that value.
        hides: whether that value is not to be shown, though others are.
        shown: what is shown of the container, in a dict or a list of its own; `None`, if nothing is.
        copy: copies that.
        place: where in it the next value stands.
        item: what stands for the container in the one around it: `shown`, or a partial value that has it as its own.
        make: makes another one like it.
        dress: makes something of that.
        mask: the bits of the fields that are finished.
        is_ready: whether it may be shown.
        steps: what is done with its value by what stands around it.
        choices: what it was chosen by, and the node that was, if it was before all of it was there.
    """

    __slots__ = (
        "_node",
        "choices",
        "copy",
        "dress",
        "hides",
        "is_ready",
        "item",
        "key",
        "make",
        "mask",
        "next",
        "place",
        "raw",
        "shown",
        "steps",
    )

    def __init__(self, raw: Any, node: Node = RAW) -> None:
        self.raw: Any = raw
        self._node = node
        self.key: str = ""
        self.next: Node = RAW
        self.hides: bool = False
        self.shown: Any = None
        self.copy: Any = None
        self.place: Any = 0
        self.item: Any = None
        self.make: Maker | None = None
        self.dress: Any = None
        self.mask: int = 0
        self.is_ready: bool = False
        self.steps: tuple[Step, ...] = ()
        self.choices: tuple[tuple[Choices, Node], ...] = ()

    def begin_value(self, key: str) -> None:
        """The key of the next value."""
        self.key = key

    def put(self, value: Any) -> None:
        """Show the next value, which is not finished."""
        self.shown[self.place] = value

    def settle(self, value: Any) -> bool:
        """The next value is complete and valid. Gives whether the container may be shown from now on, and might not before."""
        return False

    def fail(self) -> None:
        """The next value is complete, and not valid. What is shown of it stays as it is."""

    def omit(self) -> bool:
        """The next value is complete, and left out. Gives whether that changes what is shown."""
        return False

    def leave(self, value: Any) -> bool:
        """The next value is complete, and is not to be validated by itself. Gives the same as `settle`."""
        return False

    def close(self) -> Any:
        """The value of the container, validated; or `FAILED`, or `OMITTED`."""
        return self._finished(self._node.validated(self.raw))

    def wrap(self, dress: Callable[[Any], Any] | None, steps: tuple[Step, ...]) -> None:
        """Something stands around the container: what makes of it what is shown, and what is done when it is complete."""
        inner = self.dress
        if dress is not None:
            self.item = None if self.item is None else dress(self.item)
            self.dress = dress if inner is None else lambda value: dress(inner(value))
        self.steps = (*self.steps, *steps)

    def _finished(self, value: Any) -> Any:
        """The value with what stands around the container."""
        return run(self.steps, ONE, {"0": value}) if self.steps and value is not FAILED else value


class RowFrame(Frame):
    """An array whose items are shown."""

    __slots__ = ("_failed", "_plan")

    place: int

    def __init__(self, plan: Rows) -> None:
        super().__init__([])
        self._plan = plan
        self._failed = False
        self.next: Node = plan.item
        self.is_ready = True
        self.shown: Any = []
        self.item: Any = self.shown
        self.copy: Any = self.shown.copy
        if plan.dress is not None:
            self.wrap(plan.dress, ())

    def put(self, value: Any) -> None:
        self.shown.append(value)

    def settle(self, value: Any) -> bool:
        if not self.hides:
            if self.place < len(self.shown):
                self.shown[self.place] = value
            else:
                self.shown.append(value)
            self.place += 1
        return False

    def fail(self) -> None:
        self._failed = self.hides = True  # what comes after it would stand in the wrong place

    def omit(self) -> bool:
        is_shown = not self.hides and self.place < len(self.shown)
        if is_shown:
            self.shown.pop()
        return is_shown

    def close(self) -> Any:
        if self._failed or not self._plan.bounds.hold(len(self.shown)):
            return FAILED
        return self._finished(run(self._plan.steps, ONE, {"0": self.shown}))


class EntryFrame(Frame):
    """An object that is any dict, and whose values are shown."""

    __slots__ = ("_before", "_failed", "_plan")

    def __init__(self, plan: Entries) -> None:
        super().__init__({})
        self._plan = plan
        self._before: Any = OMITTED  # what the key had that came last
        self._failed = False
        self.next: Node = plan.value
        self.is_ready = True
        self.shown: Any = {}
        self.item: Any = self.shown
        self.copy: Any = self.shown.copy
        if plan.dress is not None:
            self.wrap(plan.dress, ())

    def begin_value(self, key: str) -> None:
        self.key = self.place = key
        if self._plan.key is not None:
            self.place: Any = self._plan.key(key)
            self.hides: bool = self.place is FAILED or self.place is OMITTED
            self.next = RAW if self.place is OMITTED else self._plan.value  # pydantic does not look at what such a key has
            self._failed = self._failed or self.place is FAILED
        self._before = self.shown.get(self.place, OMITTED)

    def settle(self, value: Any) -> bool:
        if not self.hides:
            self.shown[self.place] = value
        return False

    def fail(self) -> None:
        self._failed = True

    def omit(self) -> bool:
        is_shown = self.shown.get(self.place, OMITTED) is not self._before
        if is_shown and self._before is OMITTED:
            del self.shown[self.place]
        elif is_shown:
            self.shown[self.place] = self._before
        return is_shown

    def close(self) -> Any:
        if self._failed or not self._plan.bounds.hold(len(self.shown)):
            return FAILED
        return self._finished(run(self._plan.steps, ONE, {"0": self.shown}))


_OTHER = Field("", RAW, 0)
"""A key that is no field."""


class FieldFrame(Frame):
    """An object that has fields."""

    __slots__ = ("_awaited", "_done", "_failed", "_field", "_mark", "_marked", "_parts", "_plan")

    mask: int

    def __init__(self, plan: Fields) -> None:
        super().__init__({})
        self._plan = plan
        self._field = _OTHER
        self._failed = False
        self._awaited = set(plan.required) if plan.required else None
        self._done: dict[str, Any] = {}  # by key
        self._parts: list[str] = []  # of the JSON text: a key and the name of a part, or what came
        self.is_ready: bool = not self._awaited
        self.shown: Any = plan.blank()
        self.copy: Any = self.shown.copy
        self.make: Maker | None = plan.make
        if plan.make is None:
            self.item: Any = self.shown
            self._marked: Any = self.shown
            self._mark: Callable[[Any, int], None] = set_mask
        else:
            self.item = self._marked = plan.make.make(self.shown, 0)
            self._mark = plan.make.set_mask
        if plan.dress is not None:
            self.wrap(plan.dress, ())

    def begin_value(self, key: str) -> None:
        self.key = key
        self._field = field = self._plan.fields.get(key, _OTHER)
        self.next: Node = field.node
        self.place: Any = field.name
        self.hides: bool = field.is_hidden

    def put(self, value: Any) -> None:
        self.shown[self.place] = value
        if self.mask & self._field.bit:  # the key was there before
            self.mask ^= self._field.bit
            self._mark(self._marked, self.mask)

    def settle(self, value: Any) -> bool:
        field = self._field
        self._done[self.key] = value
        self._parts.append(field.part)
        if not field.is_hidden:
            self.shown[field.name] = value
        if field.is_late:
            return False  # what is required is not there before the object is complete
        self.mask |= field.bit
        self._mark(self._marked, self.mask)
        return self._awaited is not None and self._is_due()

    def fail(self) -> None:
        self._failed = True

    def omit(self) -> bool:
        field = self._field
        self._done[self.key] = OMITTED
        self._parts.append(field.part)
        is_shown = self.shown.get(field.name) is not None
        if is_shown and field.name in self._plan.blank():
            self.shown[field.name] = None
        elif is_shown:  # a typed dict need not have it
            del self.shown[field.name]
        if self.mask & field.bit:
            self.mask ^= field.bit
            self._mark(self._marked, self.mask)
        return is_shown

    def leave(self, value: Any) -> bool:
        if self._field is not _OTHER or self._plan.keeps_others:
            self._parts.append(f"{quoted(self.key)}:{json_of(value)}")
        return self._awaited is not None and self._is_due()

    def close(self) -> Any:
        if self._failed or (self._plan.keeps_others and self._has_equal()):
            return FAILED
        if any(plan.chosen(self.raw) is not choice for plan, choice in self.choices):
            return FAILED  # another key that it might have been chosen by came later, and counts
        return self._finished(run(self._plan.steps, f"{{{','.join(self._parts)}}}", self._done))

    def _has_equal(self) -> bool:
        """Whether two keys of one field came. One counts as a key that is no field: pydantic says which, of the whole document."""
        fields = self._plan.fields
        return len({fields[key].name for key in self._done}) < len(self._done)

    def _is_due(self) -> bool:
        if self._awaited is not None:
            self._awaited.discard(self._field.name)
            if not self._awaited:
                self._awaited = None
                self.is_ready = True
        return self.is_ready


class ChoiceFrame(Frame):
    """An object of which it is not known yet what it is.

    Attributes:
        choice: the node of that, once it is known.
    """

    __slots__ = ("_plan", "choice")

    def __init__(self, node: Node, plan: Choices) -> None:
        super().__init__({}, node)
        self._plan = plan
        self.choice: Node | None = None

    def leave(self, value: Any) -> bool:
        if self.key in self._plan.keys and self.choice is None and type(value) in (str, int, bool):
            self.choice = self._plan.nodes.get(value)
        return False

    def chosen(self, known: Mapping[str, Any] | None = None) -> Frame | None:
        """The frame that takes the place of this one; `None`, if what was chosen is withheld as well.

        Args:
            known: what is in the object, if that is known already; for `object_frame`.
        """
        choice = self.choice
        if choice is None or choice.object is None:
            return None
        frame = object_frame(choice, known)
        frame.wrap(self._plan.dress, self._plan.steps)
        frame.wrap(self.dress, self.steps)
        frame.choices = (*frame.choices, (self._plan, choice), *self.choices)
        return frame


def object_frame(node: Node, known: Mapping[str, Any] | None = None) -> Frame:
    """The frame of an object that begins.

    Args:
        node: where it stands.
        known: what is in it, if that is known already: then the frame is that of what it is.
    """
    plan = node.object
    if isinstance(plan, Fields):
        return FieldFrame(plan)
    if isinstance(plan, Entries):
        return EntryFrame(plan)
    if plan is None:
        return Frame({}, node)
    choosing = ChoiceFrame(node, plan)
    for key, value in (known or {}).items():
        choosing.begin_value(key)
        choosing.leave(value)
    return choosing.chosen(known) or choosing


def array_frame(node: Node) -> Frame:
    """The frame of an array that begins."""
    return Frame([], node) if node.array is None else RowFrame(node.array)
