"""Documents for a type, fact by fact: what mutants of their frames and of partial values showed that nothing had stated."""

from __future__ import annotations

import abc
import copy
import dataclasses
import functools
import pickle
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import pytest
from fuzzing import ways
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from streamfilter.json.partial import Partial, Required, Whole, unfinished
from streamfilter.json.typed import Typed, plan_of
from streamfilter.parsing.parser import Parser


def partial(model: Any, text: str, **options: Any) -> Any:
    """What there is of a beginning."""
    reading = Typed(model, **options)
    Parser(reading).feed(text)
    (value,) = reading.given()
    return value


def outcome(read: Callable[[], Any]) -> Any:
    """A value, or what is wrong with it and where."""
    try:
        return read()
    except ValidationError as error:
        return [(each["type"], each["loc"]) for each in error.errors()]


def last(model: Any, pieces: Iterable[str], shown: list[str]) -> Any:
    """The value at the end; what differed on the way is added."""
    reading = Typed(model)
    parser = Parser(reading)
    for piece in pieces:
        parser.feed(piece)
        if not parser.is_complete:
            shown += [repr(value) for value in reading.given()]
    parser.finish()
    return reading.finish()[0]


class Circle(BaseModel):
    kind: Literal["circle"]
    r: float
    label: str = ""


class Big(BaseModel):
    kind: Literal["square"]
    size: Literal["big"]
    side: int


class Small(BaseModel):
    kind: Literal["square"]
    size: Literal["small"]
    side: int
    note: str | None = None


class Round(RootModel[Circle]):
    pass


class Rounds(RootModel[Annotated[Round | Big, Field(discriminator="kind")]]):
    pass


class Square(RootModel[Annotated[Big | Small, Field(discriminator="size")]]):
    pass


class Shape(RootModel[Annotated[Circle | Square, Field(discriminator="kind")]]):
    pass


SEEN: list[str] = []


def seen(value: Any) -> Any:
    SEEN.append(type(value).__name__)
    return value


Inner = Annotated[Big | Small, Field(discriminator="size"), AfterValidator(seen)]
Watched = Annotated[Circle | Inner, Field(discriminator="kind"), AfterValidator(seen)]


class Day(BaseModel):
    n: int = 0
    day: date | None = None


class Looking(BaseModel):
    """Its validators look at other fields before there is a value."""

    name: str
    upper: str = ""
    lower: str = ""
    marked: Annotated[str, Required] = ""

    @field_validator("upper", "lower", "marked", mode="before")
    @classmethod
    def _named(cls, value: Any, info: ValidationInfo) -> Any:
        return f"{info.data['name']} {value}"


class Named(BaseModel):
    name: str


Few = Annotated[dict[str, int], Field(min_length=2, max_length=3)]

CIRCLE = "Partial[Circle](kind='circle', r=1.0, label='a')"
SMALL = "Partial[Small](kind='square', size='small', side=None, note='a')"

SHOWN: list[tuple[Any, str, str]] = [
    (Round, '{"kind": "circle", "r": 1, "label": "a"}', f"Partial[Round](root={CIRCLE})"),
    (Rounds, '{"r": 1, "kind": "circle", "label": "a"}', f"Partial[Rounds](root=Partial[Round](root={CIRCLE}))"),
    (list[Round], '[{"kind": "circle", "r": 1, "label": "a", "kind": "none"}]', f"[Partial[Round](root={CIRCLE})]"),
    (Shape, '{"r": 1, "kind": "circle", "label": "a"}', f"Partial[Shape](root={CIRCLE})"),
    (Shape, '{"kind": "square", "size": "small", "note": "a"}', f"Partial[Shape](root=Partial[Square](root={SMALL}))"),
    (Shape, '{"size": "small", "note": "a", "kind": "square"}', f"Partial[Shape](root=Partial[Square](root={SMALL}))"),
    (Watched, '{"size": "small", "note": "a", "kind": "square"}', SMALL),
    (Watched, '{"label": "a", "size": "small", "note": "circle", "side": 1, "kind": "none"}', ""),
    (Watched, '{"label": "a", "note": "circle", "r": "square", "size": "big"}', ""),
    (Watched, '{"label": "square", "kind": "circle", "r": 1, "x": 2}', "Partial[Circle](kind='circle', r=1.0, label='square')"),
    (Watched, '{"kind": ["circle"], "r": {"kind": "square"}}', ""),
    (Watched, '{"kind": "circle", "label": "b", "kind": "square"}', "Partial[Circle](kind='circle', r=None, label='b')"),
    (list[Day], '[{"n": 1, "day": "2024-01-02"}, {"day": "soon", "n": 2}]', "[Day(n=1, day=datetime.date(2024, 1, 2)), Partial[Day](n=2, day=None)]"),
    (dict[str, Day], '{"a": {"day": [1]}, "b": {"n": 3}}', "{'a': Partial[Day](n=None, day=None), 'b': Day(n=3, day=None)}"),
    (dict[date, list[int]], '{"2024-01-02": [1], "soon": [2], "2024-01-03": [3]}', "{datetime.date(2024, 1, 2): [1], datetime.date(2024, 1, 3): [3]}"),
    (dict[date, int], '{"soon": 2, "2024-01-03": 3, "x": 4}', "{datetime.date(2024, 1, 3): 3}"),
    (dict[date, int], '{"2024-01-03": 3, "soon": 2}', "{datetime.date(2024, 1, 3): 3}"),
    (list[Few], '[{"a": 1}, {"a": 1, "b": 2}]', "[{'a': 1}]"),
    (list[Few], '[{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3, "d": 4}]', "[{'a': 1, 'b': 2, 'c': 3}, {'a': 1, 'b': 2, 'c': 3, 'd': 4}]"),
]  # fmt: skip
"""Of each type a document, and what is shown last of it."""


@pytest.mark.parametrize(("model", "text", "want"), SHOWN)
def test_what_is_shown_last_of_a_document_that_is_right_or_wrong(model: Any, text: str, want: str) -> None:
    """A `RootModel` is around what it stands for; what is wrong stays what it was. The end is that of pydantic, at every cut."""
    for pieces in ways(text, [9, 40, 99]):
        shown: list[str] = []
        assert outcome(lambda: last(model, pieces, shown)) == outcome(lambda: TypeAdapter(model).validate_json(text))  # noqa: B023
        assert len(pieces) < len(text) or (shown or [""])[-1] == want


def test_an_object_is_shown_when_what_is_required_of_it_is_there() -> None:
    """Also if that is kept as it came, because its validator looks at other fields; it is shown once then."""
    reading = Typed(list[Looking])
    parser = Parser(reading)
    given = []
    for piece in ('[{"name": "a", "upper": "b"', ', "marked": "c"', ', "lower": "d"'):
        parser.feed(piece)
        given.append([repr(value) for value in reading.given()])
    assert given == [["[]"], ["[Partial[Looking](name='a', upper=None, lower=None, marked=None)]"], []]
    parser.feed("}]")
    assert reading.finish() == ([Looking.model_validate({"name": "a", "upper": "b", "marked": "c", "lower": "d"})],)


@dataclasses.dataclass
class Since:
    x: int
    since: dataclasses.InitVar[date]
    last: date | None = None


class Waiting(BaseModel):
    day: date
    name: Annotated[str, Required]


@pytest.mark.parametrize(
    ("model", "pieces", "counts"),
    [
        (Since, ['{"x": 1,', ' "since": "2024-01-02"', ', "last": "2024-01-02"', ","], [1, 0, 1, 0]),
        (list[Waiting], ['[{"day": "2024-01-02"', ', "na', 'me": "a"', ', "day": "2024-01-03"'], [1, 0, 1, 1]),
        (list[date], ['["2024-01-02"', ', "soon"', ', "2024-01-03"'], [1, 0, 0]),
        (list[int], ["[1, ", '"x', '"', ", 3, "], [1, 0, 0, 0]),
    ],
)
def test_nothing_is_given_for_what_is_not_shown(model: Any, pieces: list[str], counts: list[int]) -> None:
    """What only `__post_init__` gets, what is in an object that waits, and what is behind something wrong."""
    reading = Typed(model)
    parser = Parser(reading)
    given = []
    for piece in pieces:
        parser.feed(piece)
        given.append(len(reading.given()))
    assert given == counts


@pytest.mark.parametrize(
    ("model", "text", "missing"),
    [
        (Day, "{", ("n", "day")),
        (Day, '{"n": 1, "day": "2024-01-02"', ()),
        (Small, '{"kind": "square", "size": "small", "note": "a", "note": "b', ("side", "note")),
        (Small, '{"kind": "square", "size": "small", "note": "a", "note": "b"', ("side",)),
        (Circle, '{"label": "a", "kind": "circle", "label": "b', ("r", "label")),
    ],
)
@pytest.mark.parametrize("live", [False, True])
def test_unfinished_names_what_grows_again(model: Any, text: str, missing: tuple[str, ...], live: bool) -> None:
    """Whether a value is one of many or the only one that grows; a key that comes again opens its field."""
    for pieces in ways(text, [9, 40]):
        reading = Typed(model, live=live)
        parser = Parser(reading)
        value: Any = None
        for piece in pieces:
            parser.feed(piece)
            (value,) = reading.given() or (value,)
        assert unfinished(value) == missing


@pytest.mark.parametrize(
    "text",
    [
        '{"size": "big", "side": "x", "kind": "square"}',
        '{"size": "big", "side": 1, "kind": "square"}',
        '{"kind": "circle"}',
        '{"size": "none", "kind": "square"}',
    ],
)
def test_a_validator_around_a_choice_sees_only_what_is_valid(text: str) -> None:
    """As often as of the whole document: none of what has failed inside."""
    SEEN.clear()
    want = outcome(lambda: TypeAdapter(Watched).validate_json(text))
    called = [*SEEN]
    for pieces in ways(text, [9, 40]):
        SEEN.clear()
        assert outcome(lambda: last(Watched, pieces, [])) == want  # noqa: B023
        assert SEEN[: len(called)] == called
        assert set(SEEN) <= {"Big"}


# ---------------------------------------------------------------------- partial values


class Key(BaseModel):
    name: str
    key: str = Field(repr=False)


@dataclasses.dataclass
class Login:
    name: str
    key: str = dataclasses.field(repr=False)


class Log(BaseModel):
    login: Login
    keys: list[Key] = []


def test_a_field_that_is_not_to_be_printed_is_not() -> None:
    """As in the `repr` of a real one: it may be a secret. It is there all the same."""
    value = partial(Log, '{"login": {"name": "a", "key": "b"}, "keys": [{"name": "a", "key": "b')
    assert (value.login.key, value.keys[0].key) == ("b", "b")
    assert repr(value) == "Partial[Log](login=Login(name='a'), keys=[Partial[Key](name='a')])"
    assert repr(partial(Log, '{"login": {"name": "a", "key": "b').login) == "Partial[Login](name='a')"


def test_a_deep_copy_shares_what_was_shared() -> None:
    """Whatever else is copied with it."""
    value = partial(Log, '{"login": {"name": "a", "key": "b"}, "keys": [{"name": "a", ')
    copied, keys = copy.deepcopy((value, value.keys))
    assert copied.keys is keys
    assert copied == value
    assert copied.keys is not value.keys


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Notes(BaseModel):
    name: str
    _last: str
    _lines: list[list[str]] = PrivateAttr(default=[[]])

    def note(self, text: str) -> tuple[str, list[list[str]]]:
        self._last = text
        self._lines[0].append(text)
        return self._last, self._lines


class Unset(BaseModel):
    name: str
    _last: str

    def note(self, text: str) -> str:
        self._last = text
        return self._last


class Made(BaseModel):
    name: str
    _first: str = PrivateAttr(default_factory=lambda data: f"first {data['name']}")
    _second: str = PrivateAttr(default_factory=lambda data: f"{data['_first']}, second")
    _plain: list[int] = PrivateAttr(default_factory=list)

    def made(self) -> tuple[str, str, list[int]]:
        return self._first, self._second, self._plain


def test_private_attributes_of_a_partial_value_are_those_of_its_model() -> None:
    """They have their defaults, and can be set; each value has its own."""
    models: list[Any] = [Notes, Unset]
    for model in models:
        real = [model(name="a").note("x"), model(name="a").note("y")]
        assert [partial(model, '{"name": "a').note("x"), partial(model, '{"name": "a').note("y")] == real


@pytest.mark.skipif(not hasattr(PrivateAttr(), "default_factory_takes_validated_data"), reason="a newer pydantic has it")
def test_a_private_attribute_is_made_of_what_came_before_it() -> None:
    """Fields, and private attributes too."""
    assert partial(Made, '{"name": "a').made() == Made(name="a").made()


def test_what_is_extra_in_a_partial_value_comes_at_the_end() -> None:
    """Until then there is none; of a model that takes none, never."""
    for model in (Open, Notes, Key):
        value = partial(model, '{"name": "a", "other": 1, "more": [2')
        assert value.model_extra == model.model_construct(name="a").model_extra
        with pytest.raises(AttributeError, match="other"):
            value.other  # noqa: B018


def test_a_partial_class_looks_like_one() -> None:
    """It says what it is and where it is from; its serialiser is made once."""
    for model in (Key, Login):
        partial_class: Any = Partial[model]  # type: ignore[valid-type]
        assert partial_class.__name__ == partial_class.__qualname__ == f"Partial[{model.__name__}]"
        assert partial_class.__module__ == Partial.__module__
        assert partial_class.__doc__ == f"A {model.__name__} of which not all is there yet."
        assert partial_class.__pydantic_serializer__ is partial_class.__pydantic_serializer__


class Speaker(abc.ABC):
    @abc.abstractmethod
    def speak(self) -> str: ...


class Person(BaseModel, Speaker):
    name: str

    def speak(self) -> str:
        return f"I am {self.name}"


class Child(Person):
    pass


@dataclasses.dataclass
class Robot(Speaker):
    name: str

    def speak(self) -> str:
        return f"I am {self.name}"


class Toy(Robot):
    pass


@pytest.mark.parametrize(("model", "below"), [(Person, Child), (Robot, Toy)])
def test_a_subclass_of_a_model_is_not_one_of_its_partial_class(model: Any, below: Any) -> None:
    """Whatever was asked about the model before. A partial value is one of its model, with all methods, and of what that is one of."""
    value = partial(model, '{"name": "An')
    partial_class: Any = Partial[model]
    assert isinstance(below(name="a"), model)
    assert issubclass(below, model)
    assert not isinstance(below(name="a"), partial_class)
    assert not issubclass(below, partial_class)
    assert isinstance(value, Speaker)
    assert value.speak() == "I am An"


def test_pydantic_may_make_one_of_a_partial_class() -> None:
    """As `model_construct` and the old `copy` do, which set what a model has besides its fields."""
    value = partial(Key, '{"name": "a", "key": "b')
    with pytest.deprecated_call():
        copied = value.copy()
    made = type(value).model_construct(name="a", key="b")
    assert (copied.name, copied.key, copied.model_extra) == (made.name, made.key, made.model_extra) == ("a", "b", None)
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_marker_is_for_its_place_only() -> None:
    """Of a model that stands in several, and in itself; the other metadata stays, and several markers count."""

    class Several(BaseModel):
        held: Annotated[Person, Whole] | None = None
        free: Person | None = None

    class Alone(BaseModel):
        held: Annotated[Person, Whole] | None = None

    class Both(BaseModel):
        a: Annotated[str, Whole, Required]
        b: Annotated[str, Required, Whole]
        c: str

    assert repr(partial(Several, '{"held": {"name": "a')) == "Partial[Several](held=None, free=None)"
    assert repr(partial(Alone, '{"held": {"name": "a')) == "Partial[Alone](held=None)"
    assert repr(partial(Several, '{"free": {"name": "a')) == "Partial[Several](held=None, free=Partial[Person](name='a'))"
    for text, want in (
        ('[{"a": "1", "c": "3"', "[]"),
        ('[{"b": "2", "c": "3"', "[]"),
        ('[{"c": "3", "a": "1", "b": "2", "a": "4', "[Partial[Both](a='1', b='2', c='3')]"),
        ('[{"c": "3", "a": "1", "b": "2", "b": "4', "[Partial[Both](a='1', b='2', c='3')]"),
    ):
        assert repr(partial(list[Both], text)) == want
    several: list[tuple[Any, Any]] = [
        (Annotated[Path, Whole, Required], Path),
        (Annotated[int, WithJsonSchema({"type": "string"}), Whole], Annotated[int, WithJsonSchema({"type": "string"})]),
        (Annotated[Person, Required], Person),
        (
            Annotated[Annotated[Big, Whole] | Circle, Field(discriminator="kind")],
            Annotated[Big | Circle, Field(discriminator="kind")],
        ),
    ]
    for marked, plain in several:
        assert TypeAdapter(marked).json_schema() == TypeAdapter(plain).json_schema()


# ---------------------------------------------------------------------- types


class Even:
    """Stands for a type, as an object."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(list[int])


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        (NewType("Numbers", list[int]), "["),
        (Callable[[int], str], "{["),
        (Even(), "["),
        (Annotated[dict[str, int], ["not hashable"]], "{"),
        (str, ""),
    ],
)
def test_whatever_pydantic_takes_for_a_type_is_one(model: Any, kinds: str) -> None:
    """Also what is none in Python. A type that can be hashed has one plan."""
    assert plan_of(model).kinds == kinds
    assert (plan_of(model) is plan_of(model)) is (kinds != "{")


class Unknown:
    pass


class Broken(BaseModel):
    name: list[Missing]  # type: ignore[name-defined]  # noqa: F821


class Hidden(BaseModel):
    key: str


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (print, "^a function is no model: print$"),
        (len, "^a function is no model: len$"),
        (pickle.Pickler.dump, "^a function is no model: Pickler.dump$"),
        (lambda: 3, "^a function is no model: .*<lambda>$"),
        (Hidden(key="sk-hunter2"), "^a model is given as a type, not by its name or as a value: this is Hidden$"),
        (functools.partial(Hidden, key="sk-hunter2"), "^a model is given as a type, .*: this is partial$"),
        ([Hidden], "this is list$"),
        (Unknown, "^Unknown is no type that pydantic can validate: Unable to generate .*Unknown"),
        (Broken, "^Broken is no type that pydantic can validate: .*Missing"),
        (list[Unknown], "^list.* is no type that pydantic can validate: Unable to generate .*Unknown"),
    ],
    ids=str,
)
def test_what_is_no_type_is_refused_with_its_name_and_the_reason(model: Any, says: str) -> None:
    """In one line; of a value only what it is, as it may hold a secret."""
    with pytest.raises(TypeError, match=says) as raised:
        plan_of(model)
    assert "\n" not in str(raised.value)
