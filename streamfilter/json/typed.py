"""The value of a document for a type, as it grows: partial values of models while it arrives, and the validated one at its end.

Every complete part is validated once, by pydantic, as it would be inside the document; it is shown, and is the same object in all
later values and in the last. No validator sees what is not complete. What is shown while it grows is decided in a plan.

A document that is not valid goes on being read. Its part that is wrong stays what it was; at the end the whole is validated as
pydantic does, which says everything that is wrong with it, and where.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter

from streamfilter.declaration import show
from streamfilter.json.partial import NEW
from streamfilter.json.typed_frames import ChoiceFrame, Frame, RowFrame, array_frame, object_frame
from streamfilter.json.typed_plan import FAILED, OMITTED, RAW, Bounds, Node, Rows, json_of
from streamfilter.json.typed_schema import Planner
from streamfilter.parsing.documents import Reading

MAX_DEPTH = 200
"""Containers inside one another, as many as pydantic reads. A parser for typed documents should take no more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a document for a type.

    Attributes:
        root: the node of the whole.
        kinds: which brackets may open it: `"{"`, `"["`, `"{["`; none of them, if it is a scalar.
        adapter: validates the whole.
    """

    root: Node
    kinds: str
    adapter: TypeAdapter[Any]

    @property
    def partial(self) -> type | None:
        """The class of partial values, if the type is a model."""
        return self.root.partial


def plan_of(model: Any) -> Plan:
    """The plan for a type. There is one for each type.

    Args:
        model: whatever pydantic has a schema for.

    Raises:
        TypeError: pydantic has none.

    Example:
        >>> plan_of(list[int]).kinds, plan_of(list[int]) is plan_of(list[int])
        ('[', True)
    """
    try:
        hash(model)
    except TypeError:
        return _planned(model)  # what `Annotated` holds need not be hashable
    return _plan_of(model, repr(model))


@functools.lru_cache(maxsize=256)
def _plan_of(model: Any, written: str) -> Plan:  # noqa: ARG001  # it is part of the key
    """The same. `int | str` equals `str | int`, but does not mean the same."""
    return _planned(model)


_TYPING = frozenset({"typing", "typing_extensions", "types"})
"""Where that is defined which stands for a type and is none: `Any`, `NewType`, aliases."""


def _has_schema(model: object) -> bool:
    """Whether it is made to stand for a type."""
    return hasattr(model, "__get_pydantic_core_schema__") and not isinstance(model, BaseModel)


def adapter_of(model: Any) -> TypeAdapter[Any]:
    """What validates values of a type.

    Raises:
        TypeError: it is a function or a value, and no type.
        PydanticUserError: pydantic has no schema for it.
        PydanticUndefinedAnnotation: it names what there is not.

    Example:
        >>> adapter_of(set[int]).validate_json("[1, 2, 1]")
        {1, 2}
    """
    if inspect.isroutine(model):  # pydantic would validate its arguments
        raise TypeError(f"a function is no model: {show(model)}")
    if not (isinstance(model, type) or get_origin(model) is not None or type(model).__module__ in _TYPING or _has_schema(model)):
        raise TypeError(f"a model is given as a type, not by its name or as a value: this is {type(model).__qualname__}")
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    adapter.rebuild()
    return adapter


def _planned(model: Any) -> Plan:
    try:
        adapter = adapter_of(model)
        schema: Any = adapter.core_schema
        planner = Planner(schema)
        kinds = planner.kinds(planner.root().schema, sure=False)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
        raise TypeError(f"{show(model)} is no type that pydantic can validate: {str(error).splitlines()[0]}") from error
    opens = ("{" if "object" in kinds else "") + ("[" if "array" in kinds else "")
    return Plan(planner.root(), opens, adapter)


class Typed(Reading):
    """Reads one document for a type.

    Args:
        model: the type, or the plan for it.
        strings: whether a string is there while it grows; else only once it is whole.
        live: gives one and the same object each time, which grows, and only at the end the validated one; else each value stays
            what it was, and shares its complete parts with those after it.

    Raises:
        TypeError: pydantic does not know the type.

    Example:
        >>> from pydantic import BaseModel
        >>> from streamfilter.parsing.parser import Parser
        >>> class Card(BaseModel):
        ...     title: str
        ...     bullets: list[str]
        >>> reading = Typed(Card)
        >>> parser = Parser(reading)
        >>> for piece in ('{"title": "Ri', 'vers", "bullets": ["long", "so'):
        ...     _ = parser.feed(piece)
        ...     print(*map(repr, reading.given()))
        Partial[Card](title='Ri', bullets=None)
        Partial[Card](title='Rivers', bullets=['long', 'so'])
        >>> _ = parser.feed('"]}')
        >>> reading.finish()
        (Card(title='Rivers', bullets=['long', 'so']),)
    """

    def __init__(self, model: Any, *, strings: bool = True, live: bool = False) -> None:
        self._plan = plan = model if isinstance(model, Plan) else plan_of(model)
        self._strings = strings
        self._live = live
        self._top = RowFrame(Rows(plan.root, Bounds(), None, ()))  # the document stands in it
        self._frames: list[Frame] = [self._top]
        self._frame: Frame = self._top  # the innermost
        self._visible = 1  # how many of them are shown
        self._growing: Any = None  # where the open string grows, in a dict or a list
        self._place: Any = 0
        self._is_seen = False  # whether that is shown
        self._parts: list[str] = []  # of the open string, if it does not grow there
        self._changed = False
        self._failed = False

    # ------------------------------------------------------------------ what is given

    def given(self) -> Sequence[Any]:
        """What is shown, if it has changed, in containers that stay as they are: the open ones are copied, the others shared."""
        if not self._changed:
            return ()
        self._changed = False
        if self._live or self._visible == 1:
            return (self._top.shown[0],)
        root: Any = None
        outer: Any = None
        place: Any = None
        for frame in self._frames[1 : self._visible]:
            item = shown = frame.copy()
            if frame.make is not None:  # its lines stand here: this runs for each open object behind each piece
                partial, set_values, set_mask = frame.make
                item = NEW(partial)
                set_values(item, shown)
                set_mask(item, frame.mask)
            if frame.dress is not None:
                item = frame.dress(item)
            if outer is None:
                root = item
            else:
                outer[place] = item
            outer, place = shown, frame.place
        return (root,)

    def finish(self) -> Sequence[Any]:
        """The validated value.

        Raises:
            ValidationError: of pydantic: the document is not valid.
        """
        if self._failed:
            return (self._plan.adapter.validator.validate_json(json_of(self._top.raw[0])),)
        return (self._top.shown[0],)

    # ------------------------------------------------------------------ what the parser says

    def begin_object(self) -> None:
        self._begin(object_frame(self._frame.next))

    def begin_array(self) -> None:
        self._begin(array_frame(self._frame.next))

    def end(self) -> None:
        frame = self._frames.pop()
        self._frame = parent = self._frames[-1]
        self._visible = min(self._visible, len(self._frames))
        raw = parent.raw
        if type(raw) is list:
            raw.append(frame.raw)
        else:
            raw[parent.key] = frame.raw
        if parent.next is RAW:
            self._leave(parent, frame.raw)
        else:
            self._settle(parent, frame.close())

    def key(self, key: str) -> None:
        if not key.isprintable():
            self._check(key)
        self._frame.begin_value(key)

    def begin_string(self) -> None:
        frame = self._frame
        if self._strings and frame.next.grows and not frame.hides:
            frame.put("")
            self._growing, self._place = frame.shown, frame.place
            self._is_seen = self._visible == len(self._frames)
            self._changed = self._changed or self._is_seen
        else:
            self._parts = []

    def text(self, text: str, raw: str | None = None) -> None:
        growing = self._growing
        if growing is None:
            self._parts.append(text)
            return
        # With no other reference to it, CPython grows a string in place.
        place = self._place
        string = growing[place]
        growing[place] = None
        string += text
        growing[place] = string
        if self._is_seen:
            self._changed = True

    def end_string(self) -> None:
        if self._growing is None:
            self.value("".join(self._parts))
        else:
            string = self._growing[self._place]
            self._growing = None
            self.value(string)

    def value(self, value: Any) -> None:
        frame = self._frame
        node = frame.next
        raw = frame.raw
        if type(raw) is list:
            raw.append(value)
        else:
            raw[frame.key] = value
        kind = type(value)
        if kind is str and not value.isprintable():
            self._check(value)
        if kind in node.same:  # most of what comes
            if frame.settle(value):
                self._show()
            elif self._visible == len(self._frames) and not frame.hides:
                self._changed = True
        elif node is RAW:
            if (kind is dict or kind is list) and "\\ud" in repr(value):  # which writes half a pair so, and is quick
                self._check(json.dumps(value, ensure_ascii=False))
            self._leave(frame, value)
        else:
            validated = node.validated(value)
            if validated is FAILED and (node.object if kind is dict else kind is list and node.array):
                if type(raw) is list:
                    raw.pop()
                self._retell(value)
            else:
                self._settle(frame, validated)

    # ------------------------------------------------------------------ its parts

    def _begin(self, frame: Frame) -> None:
        self._frames.append(frame)
        if frame.is_ready:
            self._show()
        self._frame = frame

    def _show(self) -> None:
        """The innermost frame may be shown from now on."""
        frame, parent = self._frames[-1], self._frames[-2]
        if not parent.hides:
            parent.put(frame.item)
            if self._visible == len(self._frames) - 1:
                self._visible += 1
                self._changed = True

    def _settle(self, frame: Frame, value: Any) -> None:
        """A value is complete, and validated. The frame is the innermost."""
        if value is FAILED or (value is OMITTED and frame is self._top):  # a document is in nothing that it could be left out of
            self._failed = True
            frame.fail()
        elif value is OMITTED:
            if frame.omit() and self._visible == len(self._frames):
                self._changed = True
        elif frame.settle(value):
            self._show()
        elif not frame.hides and self._visible == len(self._frames):
            self._changed = True

    def _leave(self, frame: Frame, value: Any) -> None:
        """A value is complete, and is not validated by itself. The frame is the innermost."""
        if frame.leave(value):
            self._show()
        elif type(frame) is ChoiceFrame:
            self._choose(frame)

    def _choose(self, choosing: ChoiceFrame) -> None:
        """It may be known now of which model the innermost object is: what came of it is told again then."""
        frame = choosing.chosen()
        if frame is None:
            return
        self._frames.pop()
        self._begin(frame)
        for key, value in choosing.raw.items():
            self._frame.begin_value(key)
            self.value(value)

    def _retell(self, value: Any) -> None:
        """Tell the parts of a container that came whole and is not valid: as much of it is shown then as if it had come in pieces.

        It is no deeper than pydantic reads. What an object is, is looked up before its parts are told, or they would be told once
        more behind it, and theirs again: each as often as it is deep.
        """
        if type(value) is dict:
            self._begin(object_frame(self._frame.next, value))
            for key, each in value.items():
                self.key(key)
                self._retell(each)
            self.end()
        elif type(value) is list:
            self.begin_array()
            for each in value:
                self._retell(each)
            self.end()
        else:
            self.value(value)

    def _check(self, text: str) -> None:
        """Pydantic takes no half of a surrogate pair; other strings are taken as they are."""
        try:
            text.encode()
        except UnicodeEncodeError:
            self._failed = True
