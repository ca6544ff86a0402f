"""Declared values: frozen, validated dataclasses that are recipes for something compiled.

Stages and rules are such values. The fields are the whole definition: what is validated, shown, compared, hashed, pickled. What is
compiled from them is kept beside and left out of all that.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

C = TypeVar("C")
F = TypeVar("F")

_NOT_PLAIN = "is async, and nobody would await it: give a plain function"


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, Field))
def declared(cls: type[C]) -> type[C]:
    """Make a class a frozen pydantic dataclass whose constructor raises a `ValueError` of one line.

    Example:
        >>> @declared
        ... class Size(Declared):
        ...     chars: int
        >>> Size(3)
        Size(3)
        >>> Size("many")
        Traceback (most recent call last):
        ...
        ValueError: Size: chars: Input should be a valid integer, unable to parse string as an integer
    """
    # The schema is built with the first value: importing a stage should cost little.
    config = ConfigDict(extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True, defer_build=True)
    return cast("type[C]", dataclass(frozen=True, repr=False, config=config)(cls))


class _Checked(type):
    """The class of declared classes: refuses in one line, where pydantic's own message spans several and names a web site."""

    if not TYPE_CHECKING:  # a type checker takes this for the signature of every class

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if "__pydantic_fields__" not in cls.__dict__:
                raise TypeError(f"class {cls.__name__} is not declared: write @sf.stage above it")
            try:
                return super().__call__(*args, **kwargs)
            except ValidationError as error:
                raise ValueError(f"{cls.__name__}: {_problem(cls, error, args)}") from None


def _problem(cls: Any, error: ValidationError, args: tuple[Any, ...]) -> str:
    """What is wrong: an argument there is not, else the first thing. Of a tuple with a bad element pydantic goes on to say that it
    has too few; of a misspelt name, that the right one is missing."""
    problems = error.errors(include_url=False, include_input=False)
    first = next((each for each in problems if each["type"].startswith("unexpected_") and len(each["loc"]) == 1), problems[0])
    place: list[Any] = list(first["loc"])
    if len(place) == 1 and first["type"].startswith("unexpected_"):
        return _unknown(cls, place[0])
    if place and isinstance(place[0], int):  # given by position
        place[0] = _names(cls, named=False)[place[0]]
    where = ".".join(map(str, place))
    what = first["msg"].removeprefix("Value error, ")
    hint = ""
    if len(place) == 1 and first["type"].startswith("missing"):
        needed = [field.name for field in dataclasses.fields(cls) if _is_needed(field)]
        hint = f": write {cls.__name__}({', '.join(f'*{name}' if name == cls._variadic else name for name in needed)})"
    elif len(place) == 1 and first["type"] == "tuple_type":
        hint = f": write {cls.__name__}(['...'])" if isinstance(first["loc"][0], int) else f": write {where}=['...']"
    elif len(place) == 2 and place[0] == cls._variadic and args and isinstance(args[place[1]], list | tuple | set | frozenset):
        hint = f": write {cls.__name__}(*{cls._variadic})"
    return f"{where}: {what}{hint}" if where else what


def _unknown(cls: type, given: str | int) -> str:
    """What there is instead of an argument that there is not."""
    if isinstance(given, int):
        names = _names(cls, named=True)
        return f"argument {given + 1}: " + (f"give it by name: {', '.join(names)}" if names else f"there are {given} at most")
    names = [*_names(cls, named=False), *_names(cls, named=True)]
    if not names:
        return f"unknown field {given!r}: there are none"
    import difflib  # noqa: PLC0415  # only what is wrong needs it

    close = difflib.get_close_matches(given, names, 1)
    return f"unknown field {given!r}: {f'did you mean {close[0]!r}? There' if close else 'there'} are {', '.join(names)}"


def _names(cls: Any, *, named: bool) -> list[str]:
    """The fields that are given by name only, its own before those of its bases; or the others, in their order."""
    fields = [field.name for field in dataclasses.fields(cls) if field.init and field.kw_only == named]
    return sorted(fields, key=lambda name: named and name not in cls.__annotations__)


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    """Whether it has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@declared
class Declared(metaclass=_Checked):
    """The base of declared values."""

    _variadic: ClassVar[str] = ""
    """The name of the field that positional arguments fill together."""

    def compile(self) -> None:
        """Check what validation cannot, and make what uses of this value share. Called once, when it is built.

        Raises:
            ValueError: the fields are valid one by one, and yet make no sense.
        """

    def __post_init__(self) -> None:
        self.compile()

    def __deepcopy__(self, memo: object) -> Self:
        """Itself: it never changes, and what is compiled is shared."""
        return self

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, given: Any) -> Any:
        if not (cls._variadic and isinstance(given, ArgsKwargs) and given.args):
            return given
        named = given.kwargs or {}
        if cls._variadic in named:
            raise ValueError(f"{cls._variadic} are given twice, by position and by name")
        return {**named, cls._variadic: given.args}

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(cast("Any", self))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.compile()

    def __repr__(self) -> str:
        placed: list[str] = []
        named: list[str] = []
        for field in dataclasses.fields(cast("Any", self)):
            value = getattr(self, field.name)
            if field.name == self._variadic:
                placed += map(show, value)
            elif _is_needed(field):
                placed.append(show(value))
            elif value != field.default:
                named.append(f"{field.name}={show(value)}")
        return f"{type(self).__name__}({', '.join(placed + named)})"


def show(value: object) -> str:
    """A value as one would write it: functions by their names.

    Example:
        >>> show(str.upper), show(1)
        ('str.upper', '1')
    """
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) and callable(value) else repr(value)


def is_async(function: object) -> bool:
    """Whether what a function gives is to be awaited. Of a plain function that gives an awaitable nobody can tell.

    Example:
        >>> async def allowed(window): return True
        >>> is_async(allowed), is_async(functools.partial(allowed)), is_async(str.isalpha)
        (True, True, False)
    """
    while isinstance(function, functools.partial):
        function = function.func
    called = getattr(type(function), "__call__", None)  # noqa: B004  # the function, not whether there is one
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def check_plain(name: str, function: object) -> None:
    """Refuse an async function where nobody would await it: it would never run, and what it gives, a coroutine, counts as true.

    Raises:
        TypeError: it is one.
    """
    if is_async(function):
        raise TypeError(f"{name} {_NOT_PLAIN}")


def check_takes(function: Callable[..., object], *given: str) -> None:
    """Refuse a function that cannot be called with so many arguments. Some, as of those written in C, do not say what they take.

    Args:
        function: it.
        given: what it will be given, in words.

    Raises:
        ValueError: it cannot.

    Example:
        >>> check_takes(str.upper, "a text")
        >>> check_takes(lambda: True, "a text")
        Traceback (most recent call last):
        ValueError: <lambda> cannot be called with a text and nothing else
    """
    if getattr(function, "__signature__", None) is not None:  # it says what it hands on
        return
    try:
        signature = inspect.signature(function, follow_wrapped=False)  # a wrapper may add arguments
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*given)
    except TypeError:
        said = f"with {' and '.join(given)} and nothing else" if given else "without arguments"
        raise ValueError(f"{show(function)} cannot be called {said}") from None


def plain(function: F) -> F:
    """A function of one value as it is; for a field see `Plain`.

    Raises:
        ValueError: it is async, or cannot be called with one value.
    """
    if isinstance(function, StandIn):
        return function
    if is_async(function):
        raise ValueError(f"{show(function)} {_NOT_PLAIN}")
    if callable(function):
        check_takes(function, "one value")
    return function


class StandIn:
    """The base of what stands for a function that is not here: nobody knows whether that is async, so it suits everywhere."""


Plain = Annotated[F, AfterValidator(plain)]
"""The type of a field that takes a function of one value and does not await it: `check: Plain[Callable[[str], object]]`."""


LONGEST_SECONDS = 31_536_000.0
"""Of any time that is given: a year. Some time beyond, clocks of threads, of `regex` and of stores overflow, each in a way of its
own: a search that may take 1e18 seconds has run out of time at once."""

Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
"""The type of a field that is a time."""


def check_seconds(name: str, seconds: float, *, zero: bool = False) -> float:
    """Refuse what is no time.

    Raises:
        ValueError: it is none, or 0 where that makes no sense.

    Example:
        >>> check_seconds("grace", 2), check_seconds("grace", 0, zero=True)
        (2, 0)
        >>> check_seconds("grace", float("inf"))
        Traceback (most recent call last):
        ValueError: grace=inf: seconds above 0 are needed, and at most a year of them
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not (seconds >= 0 if zero else seconds > 0) or not seconds <= LONGEST_SECONDS:
        least = "of at least" if zero else "above"
        raise ValueError(f"{name}={seconds!r}: seconds {least} 0 are needed, and at most a year of them")
    return seconds


def is_count(value: object) -> bool:
    """Whether it is a whole number from 1. A bool is none: who writes `True` for a number has meant something else."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_count(name: str, count: int) -> int:
    """Refuse what is no whole number from 1.

    Raises:
        ValueError: it is none.

    Example:
        >>> check_count("words", 4)
        4
        >>> check_count("words", True)
        Traceback (most recent call last):
        ValueError: words=True: a whole number from 1 is needed
    """
    if not is_count(count):
        raise ValueError(f"{name}={count!r}: a whole number from 1 is needed")
    return count
