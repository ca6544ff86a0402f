"""What a model is while it arrives: `Partial[Card]` is a `Card` whose fields are `None` until they are there.

Such a class is a subclass of the model, so that methods, properties and `match` statements work on what has come so far. Nothing
of it is validated as a whole: no validator, no `__init__` and no `__post_init__` runs for it. How one fills is not known here.
"""

from __future__ import annotations

import copy
import threading
import weakref
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, SchemaSerializer

Model = TypeVar("Model")
NEW: Final[Callable[[type], Any]] = object.__new__


class Maker(NamedTuple):
    """What makes a partial value of a dict, which becomes its own, and of the bits of those fields that are finished.

    Attributes:
        partial: its class, of which `NEW` makes an instance.
        set_values: gives it the dict.
        set_mask: gives it the bits.
    """

    partial: type
    set_values: Callable[[Any, dict[str, Any]], None]
    set_mask: Callable[[Any, int], None]

    def make(self, values: dict[str, Any], mask: int) -> Any:
        """All of it."""
        item = NEW(self.partial)
        self.set_values(item, values)
        self.set_mask(item, mask)
        return item


MARK = "streamfilter"
"""The key of our markers in the metadata of a core schema."""

if TYPE_CHECKING:

    class _Of(Generic[Model]):
        pass

else:

    class _Of:
        __slots__ = ()

        def __class_getitem__(cls, _: object) -> type:
            return cls


class Partial(_Of[Model]):
    """The class of every value of a model that is not complete; `Partial[Card]` is that of one model.

    Fields that are not there yet are `None`; `unfinished` names them, and those that still grow. It is not validated, though
    each complete part in it is. `isinstance(item, sf.Partial)` tells it from a real model.

    Example:
        >>> from pydantic import BaseModel
        >>> class Card(BaseModel):
        ...     title: str
        ...     bullets: list[str]
        >>> Partial[Card], issubclass(Partial[Card], Card), isinstance(Card(title="Rivers", bullets=[]), Partial)
        (<class 'streamfilter.json.partial.Partial[Card]'>, True, False)
    """

    __slots__ = ()

    if TYPE_CHECKING:
        _partial_names: ClassVar[tuple[str, ...]]
        _partial_repr: ClassVar[frozenset[str]]
        _partial_of: ClassVar[type]
        _partial_mask: int
    else:

        def __class_getitem__(cls, model: Any) -> type:
            """The class for a model, a dataclass, a `TypedDict` or a `RootModel`."""
            from streamfilter.json.typed import plan_of  # noqa: PLC0415  # it stands above

            partial = plan_of(model).partial
            if partial is None:
                raise TypeError(f"Partial is for models, dataclasses and typed dicts: {model!r} has no fields")
            return partial

    def __init_subclass__(cls, **options: object) -> None:
        """What a model does when it is subclassed is not meant for its partial class."""

    def _partial_values(self) -> dict[str, Any]:
        return dict(self) if isinstance(self, dict) else vars(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__repr_args__())
        return f"{type(self).__name__}({shown})"

    def __repr_args__(self) -> Iterable[tuple[str, Any]]:
        """Only fields: what is computed from them may not be ready for `None`."""
        return [(name, value) for name, value in self._partial_values().items() if name in self._partial_repr]

    def __copy__(self) -> Any:
        return _restored(type(self), dict(self._partial_values()), self._partial_mask)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        return _restored(type(self), copy.deepcopy(dict(self._partial_values()), memo), self._partial_mask)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._partial_of, dict(self._partial_values()), self._partial_mask)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()


def unfinished(item: object) -> tuple[str, ...]:
    """The names of the fields that are not complete: missing so far, or still growing. Of a finished model, none.

    Example:
        >>> from pydantic import BaseModel
        >>> class Card(BaseModel):
        ...     title: str
        ...     pages: int
        >>> from streamfilter.parsing.parser import Parser
        >>> from streamfilter.json.typed import Typed
        >>> reading = Typed(Card)
        >>> parser = Parser(reading)
        >>> for piece in ('{"title": "Ri', 'vers", "pages": 1'):
        ...     _ = parser.feed(piece)
        ...     [card] = reading.given()
        ...     print(repr(card), unfinished(card))
        Partial[Card](title='Ri', pages=None) ('title', 'pages')
        Partial[Card](title='Rivers', pages=None) ('pages',)
        >>> unfinished(Card(title="Rivers", pages=1))
        ()
    """
    if not isinstance(item, Partial):
        return ()
    mask = item._partial_mask  # noqa: SLF001  # an accessor of its own module; as a method it would stand in the way of fields
    return tuple(name for at, name in enumerate(item._partial_names) if not mask >> at & 1)  # noqa: SLF001


# ---------------------------------------------------------------------- markers


_KEPT: Final[dict[str, Any]] = {"pydantic_js_updates": {}}
"""Where a model has but one place, pydantic 2.10 drops its metadata, unless it knows one of the keys. This one says nothing."""


class _Marker:
    """What stands behind a type in `Annotated`. Pydantic passes it by; the plan of a model finds it."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        schema: Any = handler(source)
        known: Any = schema.get("metadata") or {}
        return {**schema, "metadata": {**_KEPT, **known, MARK: (*known.get(MARK, ()), cls)}}


class Whole(_Marker):
    """Withholds a value until it is complete: `Annotated[str, Whole]`.

    Example:
        >>> from typing import Annotated
        >>> from pydantic import create_model
        >>> Answer = create_model("Answer", city=Annotated[str, Whole], text=str)
        >>> from streamfilter.parsing.parser import Parser
        >>> from streamfilter.json.typed import Typed
        >>> reading = Typed(Answer)
        >>> _ = Parser(reading).feed('{"city": "Li')
        >>> reading.given()
        (Partial[Answer](city=None, text=None),)
    """

    __slots__ = ()


class Required(_Marker):
    """Withholds the object that a field belongs to until that field is complete: `kind: Annotated[str, Required]`.

    Example:
        >>> from typing import Annotated
        >>> from pydantic import create_model
        >>> Step = create_model("Step", number=Annotated[int, Required], text=str)
        >>> from streamfilter.parsing.parser import Parser
        >>> from streamfilter.json.typed import Typed
        >>> reading = Typed(list[Step])
        >>> parser = Parser(reading)
        >>> _ = parser.feed('[{"number": 1')
        >>> reading.given()
        ([],)
        >>> _ = parser.feed(', "text": "Di')
        >>> reading.given()
        ([Partial[Step](number=1, text='Di')],)
    """

    __slots__ = ()


# ---------------------------------------------------------------------- classes

_LOCK = threading.Lock()
_CLASSES: weakref.WeakKeyDictionary[type, weakref.ref[type]] = weakref.WeakKeyDictionary()
"""The partial class of each model. It holds on to its model, so it must not be held here."""


def partial_class(model: type, names: tuple[str, ...], serializer: Callable[[type], SchemaSerializer] | None = None) -> type:
    """The partial class of a model, made when it is first asked for.

    Args:
        model: a model, a dataclass or a `TypedDict`.
        names: its fields.
        serializer: makes what serialises it, for a class.
    """
    with _LOCK:
        known = _CLASSES.get(model)
        partial = known() if known is not None else None
        if partial is None:
            partial = _created(model, names, serializer)
            _CLASSES[model] = weakref.ref(partial)
        return partial


class _Serializer:
    """The serialiser of a class, built when it is first asked for: by then the schema of a recursive type is complete."""

    def __init__(self, make: Callable[[type], SchemaSerializer]) -> None:
        self._make = make

    def __get__(self, item: Any, partial: type) -> SchemaSerializer:
        serializer = self._make(partial)
        type.__setattr__(partial, "__pydantic_serializer__", serializer)
        return serializer


def _created(model: type, names: tuple[str, ...], serializer: Callable[[type], SchemaSerializer] | None) -> type:
    is_dict = issubclass(model, dict)  # of a TypedDict the class is one, though it has no instances
    base = dict if is_dict else model
    has_dict = is_dict or any("__dict__" in vars(each) for each in model.__mro__)
    body: dict[str, Any] = {
        "__slots__": ("_partial_mask",) if has_dict else ("_partial_mask", "__dict__"),
        "__doc__": f"A {model.__name__} of which not all is there yet.",
        "__module__": Partial.__module__,
        "_partial_names": names,
        "_partial_of": model,
        "_partial_repr": frozenset(name for name in names if _is_in_repr(model, name)),
    }
    if serializer is not None:
        body["__pydantic_serializer__"] = _Serializer(serializer)
    if issubclass(model, BaseModel):
        extra = model.model_config.get("extra") == "allow"
        body["__pydantic_fields_set__"] = property(_fields_set, _ignored)
        body["__pydantic_extra__"] = property(lambda _: {} if extra else None, _ignored)
        body["__pydantic_private__"] = property(_private, _ignored)
    elif is_dict:
        body["copy"] = Partial.__copy__
    else:
        slots = [name for name in names if hasattr(getattr(model, name, None), "__set__")]  # a dataclass with slots
        body.update({name: property(_from_dict(name)) for name in slots})
    meta = type(base)
    create: Any = ABCMeta.__new__ if issubclass(meta, ABCMeta) else type.__new__  # what a metaclass does besides is for models
    created: type = create(meta, f"Partial[{model.__name__}]", (Partial, base), body)
    return created


def maker(partial: type) -> Maker:
    """What makes instances of a partial class."""
    owner = next(each for each in partial.__mro__ if "__dict__" in vars(each))
    return Maker(partial, vars(owner)["__dict__"].__set__, vars(partial)["_partial_mask"].__set__)


def set_mask(item: Any, mask: int) -> None:
    """Say which fields of a partial value are finished, by their bits."""
    object.__setattr__(item, "_partial_mask", mask)


def _restored(partial: type, values: dict[str, Any], mask: int) -> Any:
    if not issubclass(partial, dict):
        return maker(partial).make(values, mask)
    item = partial(values)
    set_mask(item, mask)
    return item


def _unpickled(model: type, values: dict[str, Any], mask: int) -> Any:
    return _restored(Partial[model], values, mask)  # type: ignore[valid-type]  # at run time it gives a class


def _is_in_repr(model: type, name: str) -> bool:
    fields: Mapping[str, Any] = getattr(model, "__pydantic_fields__", None) or getattr(model, "__dataclass_fields__", {})
    return bool(getattr(fields.get(name), "repr", True))


# ---------------------------------------------------------------------- what pydantic looks for in an instance


def _fields_set(item: Any) -> set[str]:
    missing = unfinished(item)
    return {name for name in item._partial_names if vars(item)[name] is not None or name not in missing}  # noqa: SLF001


def _private(item: Any) -> dict[str, Any]:
    """Private attributes with their defaults, made when a method asks for them."""
    slot: Any = vars(BaseModel)["__pydantic_private__"]
    try:
        private: dict[str, Any] = slot.__get__(item)
    except AttributeError:
        private = {}
        for name, attribute in type(item).__private_attributes__.items():
            default = _default(attribute, {**vars(item), **private})
            if default is not PydanticUndefined:
                private[name] = default
        slot.__set__(item, private)
    return private


def _default(attribute: Any, values: dict[str, Any]) -> Any:
    if attribute.default_factory is None:
        return copy.deepcopy(attribute.default)
    takes_values = getattr(attribute, "default_factory_takes_validated_data", False)
    return attribute.default_factory(values) if takes_values else attribute.default_factory()


def _ignored(item: Any, value: Any) -> None:
    """Copies and pickles set it; it is not kept."""


def _from_dict(name: str) -> Callable[[Any], Any]:
    return lambda item: vars(item)[name]
