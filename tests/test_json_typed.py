"""Documents for a type: partial values while they arrive, each part validated once, and at the end what pydantic gives."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import pickle
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NotRequired, TypeVar, Union
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    OnErrorOmit,
    PlainValidator,
    PrivateAttr,
    RootModel,
    SecretStr,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    computed_field,
    constr,
    create_model,
    field_serializer,
    field_validator,
    model_validator,
    with_config,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticOmit, SchemaError
from typing_extensions import TypeAliasType, TypedDict

from streamfilter.json import typed_plan, typed_schema
from streamfilter.json.partial import Partial, Required, Whole, unfinished
from streamfilter.json.typed import Plan, Typed, _planned, plan_of
from streamfilter.parsing.parser import Parser

T = TypeVar("T")


def read(model: Any, pieces: Iterable[str], **options: Any) -> list[Any]:
    """Every value behind a piece, and the last."""
    reading = Typed(model, **options)
    parser = Parser(reading)
    values: list[Any] = []
    for piece in pieces:
        parser.feed(piece)
        if not parser.is_complete:
            values += reading.given()
    parser.finish()
    return [*values, *reading.finish()]


def cuts(text: str, seed: int = 0) -> list[list[str]]:
    """At once, one character at a time, at random."""
    chance = random.Random(seed)
    several = []
    for most in (3, 12, 80):
        at = sorted({0, len(text), *(chance.randrange(len(text) + 1) for _ in range(max(1, len(text) // most)))})
        several.append([text[start:end] for start, end in itertools.pairwise(at)])
    return [[text], list(text), *several]


def names_of(item: Any) -> Sequence[str]:
    if isinstance(item, Partial):
        return item._partial_names
    if isinstance(item, BaseModel):
        return tuple(type(item).model_fields)
    return [field.name for field in dataclasses.fields(item)] if dataclasses.is_dataclass(item) else ()


def field_of(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else getattr(item, name)


def assert_grows(before: Any, after: Any) -> None:
    """What is shown is a beginning of what is shown later, and what is complete stays the same object."""
    if before is None or before is after:
        return
    if isinstance(before, str):
        assert isinstance(after, str) and after.startswith(before)
    elif isinstance(before, Partial):
        missing = unfinished(before)
        for name in before._partial_names:
            if name not in missing:
                assert field_of(before, name) is field_of(after, name)
            else:
                assert_grows(field_of(before, name), field_of(after, name))
    elif isinstance(before, list):
        assert isinstance(after, list) and len(before) <= len(after)
        for earlier, later in zip(before, after, strict=False):
            assert_grows(earlier, later)
        assert all(earlier is later for earlier, later in zip(before[:-1], after, strict=False))
    elif isinstance(before, dict):
        assert isinstance(after, dict) and list(before) == list(after)[: len(before)]
        for key in before:
            assert_grows(before[key], after[key])
    else:
        assert before == after


# ---------------------------------------------------------------------- models


class Bullet(BaseModel):
    id: int
    text: str
    when: date | None = None


class Card(BaseModel):
    title: str
    bullets: list[Bullet] = []
    more: dict[str, Bullet] = {}
    next: Card | None = None


class Circle(BaseModel):
    kind: Literal["circle"]
    r: float
    label: str = ""


class Square(BaseModel):
    kind: Literal["square", "box"]
    side: float
    corners: list[Bullet] = []


class Kind(Enum):
    BIG = "big"
    SMALL = "small"


class Big(BaseModel):
    kind: Literal[Kind.BIG]
    note: str


class Small(BaseModel):
    kind: Literal[Kind.SMALL]
    note: str


class Shapes(BaseModel):
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]]
    main: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    sized: Annotated[Big | Small, Field(discriminator="kind")] | None = None


class Box(BaseModel, Generic[T]):
    items: list[T]
    first: T | None = None


class Bullets(RootModel[list[Bullet]]):
    pass


class Shape(RootModel[Annotated[Circle | Square, Field(discriminator="kind")]]):
    pass


class Title(RootModel[str]):
    pass


class Roots(BaseModel):
    bullets: Bullets
    shape: Shape | None = None
    title: Title = Title("none")
    many: RootModel[dict[str, list[int]]] | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    name: str = "p"
    scale: dataclasses.InitVar[int] = 1
    notes: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self, scale: int) -> None:
        self.scaled = self.x * scale


@pydantic_dataclass(frozen=True)
class Pixel:
    at: Point
    colour: str = "red"


@dataclasses.dataclass(slots=True)
class Slim:
    a: str
    b: list[int]


@dataclasses.dataclass
class Counted:
    title: str
    unit: str = dataclasses.field(default="page", init=False)
    pages: list[int] = dataclasses.field(default_factory=list)


class Movie(TypedDict):
    title: str
    year: int
    cast: NotRequired[list[str]]


class Pair(NamedTuple):
    left: int
    right: str


class Classes(BaseModel):
    point: Point
    pixel: Pixel | None = None
    slim: Slim | None = None
    movie: Movie | None = None
    pair: Pair | None = None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: date
    at: datetime
    id: UUID
    n: int
    price: Decimal
    data: bytes = b""
    ids: set[int] = set()
    pair: tuple[int, date] = (1, date(2024, 1, 1))
    names: dict[int, str] = {}
    kind: Kind = Kind.BIG
    inner: Bullet | None = None


class Values(BaseModel):
    anything: Any = None
    thing: object = None
    json_: JsonValue = Field(default=None, alias="json")
    literal: Literal["yes", "no", 3] = "yes"
    kind: Kind = Kind.BIG
    short: constr(max_length=5) = "x"  # type: ignore[valid-type]
    secret: SecretStr = SecretStr("")
    data: bytes = b""
    many: tuple[int, ...] = ()
    unique: frozenset[str] = frozenset()
    grid: list[list[int]] = []
    either: int | str = 0
    one: str | list[Bullet] | None = None
    model_or_text: Bullet | str | None = None
    days: dict[date, list[str]] = {}
    kinds: dict[Kind, int] = {}
    numbers: list[float] = []
    least: Annotated[list[str], Field(min_length=1, max_length=3)] = ["x"]


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    one: str = Field(alias="einS")
    two: int = Field(default=2, validation_alias=AliasChoices("zwei", "deux"))
    three: str = Field(default="", serialization_alias="DREI")


class Cat(BaseModel):
    kind: Literal["cat"] = Field(alias="type")
    name: str = "c"


class Dog(BaseModel):
    kind: Literal["dog"] = Field(alias="type")
    name: str = "d"


class Pets(BaseModel):
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]]


Tags = TypeAliasType("Tags", list[str])


class Lowered(BaseModel):
    model_config = ConfigDict(str_to_lower=True)
    tags: Tags = []
    more: Tags = []


@with_config(ConfigDict(str_to_upper=True))
class Upper(TypedDict):
    name: str
    tags: NotRequired[Tags]
    more: NotRequired[Tags]
    next: NotRequired[Upper]


@dataclasses.dataclass
class Capital:
    __pydantic_config__ = ConfigDict(str_to_upper=True)
    name: str
    tags: Tags
    more: Tags


class Tagged(BaseModel):
    lowered: Lowered
    tags: Tags = []
    more: Tags = []


class Deep(BaseModel):
    deep: int = Field(validation_alias=AliasPath("a", "b", 0))


class HasDeep(BaseModel):
    name: str
    deep: Deep | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Named(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)
    name: str = Field(alias="Name")
    other: list[int] = Field([], validation_alias=AliasChoices("eins", "zwei"))


class TypedOpen(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    name: str


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Open | None = None


class Trimmed(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    name: str
    names: list[str] = []


class Validated(BaseModel):
    name: str
    tags: list[str] = []
    total: int = Field(default=0, validate_default=True)
    when: Annotated[date, AfterValidator(lambda day: day.replace(day=1))] = date(2024, 1, 1)
    upper: Annotated[str, BeforeValidator(lambda text: text.upper() if isinstance(text, str) else text)] = "X"
    wrapped: Annotated[int, WrapValidator(lambda value, then: then(value) + 1)] = 0
    plain: Annotated[Any, PlainValidator(lambda value: value)] = None
    size: int = 0
    items: list[Annotated[int, AfterValidator(lambda n: n + 1)]] = []

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        return name.strip() or "nobody"

    @field_validator("tags")
    @classmethod
    def _tagged(cls, tags: list[str], info: ValidationInfo) -> list[str]:
        assert info.mode == "json"
        return [*tags, info.data.get("name", "")]

    @field_validator("size")
    @classmethod
    def _sized(cls, size: int, info: ValidationInfo) -> int:
        return size + len(info.data.get("tags", [])) + int(info.data["total"])

    @model_validator(mode="after")
    def _checked(self) -> Validated:
        if self.size > 100:
            raise ValueError("too large")
        return self


class Before(BaseModel):
    a: str
    b: int = 1

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"a": value} if isinstance(value, str) else value


class Wrapped(BaseModel):
    a: str
    inner: Before | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _around(cls, value: Any, then: Any) -> Any:
        return then(value)


class Outer(BaseModel):
    name: str
    before: Before
    wrapped: Wrapped | None = None
    many: list[Before] = []


class Called(BaseModel):
    tag: Annotated[
        Annotated[Circle, Tag("c")] | Annotated[Square, Tag("s")],
        Discriminator(lambda value: "c" if (value.get("kind") if isinstance(value, dict) else value.kind) == "circle" else "s"),
    ]


class Private(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str
    _secret: list[int] = PrivateAttr(default_factory=lambda: [7])

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        return len(self.name)

    def secret(self) -> int:
        return self._secret[0]

    @field_serializer("name")
    def _written(self, name: str) -> str:
        return name.upper()


class Marked(BaseModel):
    city: Annotated[str, Whole]
    text: str = ""
    bullets: Annotated[list[Bullet], Whole] = []
    bullet: Annotated[Bullet, Whole] | None = None


class Step(BaseModel):
    number: Annotated[int, Required]
    text: str = ""
    kind: Annotated[str | None, Required] = None


class Steps(BaseModel):
    steps: list[Step]
    by_name: dict[str, Step] = {}


class Settings(TypedDict):
    name: str
    seconds: NotRequired[OnErrorOmit[float]]
    last: NotRequired[OnErrorOmit[Bullet]]


class Lenient(BaseModel):
    n: Annotated[int, Field(default=3)] = 3
    names: list[str] = Field(default=["a"], max_length=2)


class Node(BaseModel):
    name: str
    children: list[Node] = []
    parent: dict[str, Node] | None = None


class Twig(BaseModel):
    kind: Literal["twig"]
    n: int
    good: list[int] = []

    @field_validator("n")
    @classmethod
    def _noted(cls, n: int) -> int:
        CALLS.append(f"n {n}")
        return n


class Branch(BaseModel):
    kind: Literal["branch"]
    inner: Growth
    by: dict[str, Growth] = {}


class Bud(BaseModel):
    kind: Literal["bud"]
    type: Literal["small"]
    inner: Growth


class Leafy(BaseModel):
    kind: Literal["bud"]
    type: Literal["large"]
    inner: Annotated[Growth, AfterValidator(lambda value: value)]


Buds = Annotated[Bud | Leafy, Field(discriminator="type")]
Growth = Annotated[Twig | Branch | Buds, Field(discriminator="kind")]
for each in (Branch, Bud, Leafy):
    each.model_rebuild()


SORTED = Annotated[list[int], AfterValidator(sorted)]

BULLET = {"id": 1, "text": 'Änder\n "x" 😀 it', "when": "2024-02-03"}

CASES: list[tuple[Any, list[str]]] = [
    (
        Card,
        [
            json.dumps(
                {
                    "title": "Rivers",
                    "bullets": [BULLET, {"id": 2, "text": "two"}],
                    "more": {"a": BULLET, "b": {"id": 3, "text": ""}},
                }
            ),
            '{"bullets": [], "title": "x", "next": {"title": "y", "next": {"title": "z", "bullets": [{"text": "late", "id": 9}]}}, "extra": [1, {"a": 2}]}',
            '{"title": "x", "next": null, "bullets": [{"id": "7", "text": "lax", "when": null}]}',
            '{"title": 3}',
            "{}",
            "[]",
            '"title"',
            '{"title": "x", "bullets": [{"id": 1, "text": "a"}, {"id": "no", "text": 4}, {"id": 5, "text": "b", "when": "soon"}], "more": 3}',
            '{"title": "x", "bullets": {"id": 1}}',
            '{"title": "x", "more": {"k": {"id": 1, "text": "a"}, "l": [], "k": {"id": 2, "text": "b"}}}',
            '{"title": "x", "title": "yy", "bullets": [{"id": "bad", "id": 1, "text": "a"}]}',
            '{"title": "\\ud800", "x": 1}',
            '{"title": "\\ud83d\\ude00 \\u0041", "\\u0074itle2": 1}',
        ],
    ),
    (
        Shapes,
        [
            '{"shapes": [{"kind": "circle", "r": 1, "label": "round"}, {"side": 2.5, "corners": [{"id": 1, "text": "c"}, {"id": 2, "text": "d"}], "kind": "box"}], "main": {"r": 2, "kind": "circle", "label": "main"}}',
            '{"shapes": [], "main": null, "sized": {"note": "n", "kind": "big"}}',
            '{"shapes": [], "sized": {"kind": "small", "note": "note"}}',
            '{"shapes": [{"kind": "hexagon", "r": 1}]}',
            '{"shapes": [{"r": 1}, {"kind": 3}, {"kind": "circle"}, 7]}',
            '{"shapes": [{"corners": [{"id": "x", "text": "c"}], "kind": "square", "side": 1}]}',
        ],
    ),
    (Box[int], ['{"items": [1, 2, 345], "first": 6}', '{"items": [1, "a"]}']),
    (Box[Bullet], ['{"items": [{"id": 1, "text": "abc"}], "first": {"id": 2, "text": "de"}}']),
    (Box[Box[str]], ['{"items": [{"items": ["a", "bc"]}, {"items": []}], "first": {"items": ["x"], "first": "yy"}}']),
    (
        Roots,
        [
            '{"bullets": [{"id": 1, "text": "abc"}], "shape": {"label": "x", "kind": "circle", "r": 3}, "title": "long title", "many": {"a": [1, 2], "b": []}}',
            '{"bullets": [{"id": "z"}], "shape": {"kind": "circle"}}',
        ],
    ),
    (Bullets, ['[{"id": 1, "text": "abc"}, {"id": 2, "text": "d"}]', "[]", "{}"]),
    (Shape, ['{"r": 1, "kind": "circle"}', '{"kind": "none"}']),
    (Title, ['"some title"', "3"]),
    (
        Classes,
        [
            '{"point": {"x": 1, "name": "here", "scale": 3, "notes": ["a", "bcd"]}, "pixel": {"at": {"x": 5, "y": 6}, "colour": "blue"}, "slim": {"a": "aa", "b": [1, 2]}, "movie": {"title": "M", "year": 1931, "cast": ["Lorre", "Wernicke"]}, "pair": [1, "two"]}',
            '{"point": {"x": 1}, "movie": {"title": "Mo", "year": 1931}, "pair": {"left": 1, "right": "r"}}',
            '{"point": {"y": 1}, "movie": {"title": "M"}, "slim": {"a": 1, "b": ["z"]}, "pair": [1]}',
        ],
    ),
    (
        Strict,
        [
            '{"day": "2024-01-02", "at": "2024-01-02T03:04:05Z", "id": "12345678-1234-5678-1234-567812345678", "n": 12, "price": "1.20", "data": "abc", "ids": [1, 2, 2], "pair": [3, "2024-05-06"], "names": {"1": "one", "22": "two"}, "kind": "small", "inner": {"id": 1, "text": "t", "when": "2024-01-01"}}',
            '{"day": 3, "at": "x", "id": "y", "n": "12", "price": 1.5, "ids": ["1"], "names": {"a": "b"}, "kind": "none"}',
            '{"day": "2024-01-02", "at": "2024-01-02T03:04:05Z", "id": "12345678-1234-5678-1234-567812345678", "n": 12.0, "price": 1e3}',
        ],
    ),
    (
        Values,
        [
            '{"anything": {"a": [1, {"b": "text"}], "c": null}, "thing": [true, "some", {}], "json": {"x": ["y", 1.5, null, false]}, "literal": "no", "kind": "small", "short": "abcde", "secret": "hidden", "data": "bytes", "many": [1, 2], "unique": ["a", "b"]}',
            '{"grid": [[1, 2], [], [345]], "either": "12", "one": [{"id": 1, "text": "abc"}], "model_or_text": {"id": 1, "text": "abc"}, "days": {"2024-01-02": ["a", "b"]}, "kinds": {"big": 1}, "numbers": [1, 2.5, -0.0, 1e400], "least": ["a"]}',
            '{"either": 12, "one": "some text", "model_or_text": "text", "literal": 3, "anything": "growing", "json": "text"}',
            '{"short": "abcdef", "literal": "maybe", "kind": 1, "days": {"x": []}, "kinds": {"none": 1}, "least": [], "unique": [[]]}',
            '{"one": [{"id": 1}], "least": ["a", "b", "c", "d"], "anything": "\\udc00"}',
        ],
    ),
    (
        Aliased,
        [
            '{"einS": "abc", "zwei": 3, "three": "x"}',
            '{"one": "abc", "deux": 4, "two": 5}',
            '{"deux": 3, "zwei": 4, "one": "a"}',
            '{"eins": "a"}',
        ],
    ),
    (HasDeep, ['{"name": "abc", "deep": {"a": {"b": [1]}}}', '{"name": "abc", "deep": {"a": {"b": []}}}']),
    (Open, ['{"name": "abc", "other": {"x": [1, 2]}, "text": "some"}', '{"other": 1}']),
    (TypedOpen, ['{"name": "abc", "n": 3}', '{"name": "abc", "n": "x"}']),
    (Closed, ['{"name": "abc", "inner": {"name": "x", "y": 1}}', '{"name": "abc", "nam": 1}']),
    (Trimmed, ['{"name": " abc ", "names": [" a", "b "]}']),
    (
        Validated,
        [
            '{"name": " abc ", "tags": ["x", "yy"], "when": "2024-05-06", "upper": "low", "wrapped": 3, "plain": {"a": 1}, "size": 4, "items": [1, 2]}',
            '{"size": 1, "tags": [], "name": "n"}',
            '{"name": "x", "size": 200}',
            '{"name": 3, "tags": ["x"], "wrapped": "x", "items": ["y"]}',
        ],
    ),
    (
        Outer,
        [
            '{"name": "abc", "before": "text", "wrapped": {"a": "b", "inner": {"a": "c", "b": 2}}, "many": ["x", {"a": "y"}]}',
            '{"name": "abc", "before": {"a": 3}, "wrapped": 1, "many": [1]}',
        ],
    ),
    (Before, ['"abc"', '{"a": "b", "b": 3}', "3"]),
    (Called, ['{"tag": {"kind": "circle", "r": 1}}', '{"tag": {"kind": "square", "side": "x"}}']),
    (Private, ['{"name": "abc"}']),
    (
        Named,
        [
            '{"Name": "alias", "name": "extra", "zwei": [2], "more": {"a": 1}}',
            '{"name": "extra", "Name": "alias", "zwei": [2], "eins": [1]}',
        ],
    ),
    (
        Marked,
        [
            '{"city": "Lisbon", "text": "some", "bullets": [{"id": 1, "text": "a"}], "bullet": {"id": 2, "text": "b"}}',
            '{"city": 1, "bullets": [{}]}',
        ],
    ),
    (
        Steps,
        [
            '{"steps": [{"number": 1, "text": "one", "kind": "a"}, {"text": "two", "kind": null, "number": 2}, {"number": 3}], "by_name": {"x": {"kind": "kk", "number": 3, "text": "last"}}}',
            '{"steps": [{"number": "x", "kind": "k"}, {"text": "none"}]}',
        ],
    ),
    (Lenient, ['{"names": ["x", "y"]}', '{"names": ["x", "y", "z"]}', '{"n": null}']),
    (
        Node,
        [
            '{"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}, {"name": "d"}], "parent": {"p": {"name": "q", "parent": null}}}',
            '{"name": "a", "children": [{"name": "b", "children": [{"nam": "c"}]}]}',
        ],
    ),
    (
        Growth,
        [
            '{"inner": {"by": {"x": {"n": 1, "kind": "twig"}}, "inner": {"type": "large", "inner": {"n": 2, "kind": "twig"}, "kind": "bud"}, "kind": "branch"}, "kind": "branch"}',
            '{"inner": {"by": {"x": {"n": "no", "kind": "twig", "good": [1]}}, "inner": {"inner": {"good": [1], "n": "no", "kind": "twig"}, "type": "large", "kind": "bud"}, "kind": "branch"}, "kind": "branch"}',
            '{"inner": {"good": [1, "x", 3], "type": "small", "n": 1, "kind": "twig"}, "kind": "bud", "type": "small"}',
            '{"inner": {"kind": "none", "n": 1, "inner": {"kind": "twig"}}, "by": {"x": {"kind": 1}, "y": {"type": "small", "kind": "bud"}}, "kind": "branch"}',
        ],
    ),
    (list[Bullet], ['[{"id": 1, "text": "abc"}, {"id": 2, "text": "x"}]', "[1]"]),
    (dict[str, list[int]], ['{"a": [1, 2], "b": []}', '{"a": 1}']),
    (Movie, ['{"title": "abc", "year": 3}', '{"year": 3}']),
    (Point, ['{"x": 1, "y": 2, "scale": 4}', '{"y": 2}']),
    (Tagged, ['{"lowered": {"tags": ["ab", "cd"], "more": ["e"]}, "tags": ["Fg", "H"], "more": ["IJ"]}', '{"tags": ["A", 1]}']),
    (Capital, ['{"name": "De", "tags": ["Ab", "c"], "more": ["fg"]}', '{"name": "x", "tags": [1], "more": []}']),
    (Upper, ['{"tags": ["Ab", "c"], "name": "De", "next": {"name": "Fg", "tags": ["Hi"], "more": ["Jk"]}}', '{"name": 1}']),
    (Counted, ['{"title": "abc", "unit": "word", "pages": [1]}', '{"unit": ["x"], "title": "abc"}', '{"unit": "page"}']),
    (
        Pets,
        [
            '{"pets": [{"type": "cat", "name": "Tom"}, {"name": "Rex", "type": "dog"}]}',
            '{"pets": [{"type": "cat", "name": "Tom", "kind": "dog"}]}',
            '{"pets": [{"type": "cat", "kind": {"x": []}}]}',
            '{"pets": [{"type": "cat", "kind": null}, {"type": "dog"}]}',
            '{"pets": [{"type": "cat", "kind": "cat"}, {"kind": "dog", "type": "dog"}, {"kind": "cat", "type": "dog"}]}',
        ],
    ),
    (Annotated[Circle | Square, Field(discriminator="kind")], ['{"r": 1, "kind": "circle", "label": "abc"}', '{"kind": 1}']),
    (Circle | Square, ['{"r": 1, "kind": "circle", "label": "abc"}', '{"side": 1, "kind": "square"}', '{"kind": 1}']),
    (Card | None, ["null", '{"title": "abc"}']),
    (int, ["12", '"12"', '"x"']),
    (str, ['"some text"', "1"]),
    (Any, ['{"a": [1, "b"]}', '"text"', "12"]),
    (date, ['"2024-01-02"', '"x"']),
    (SORTED, ["[3, 1, 2]"]),
    (list[Bullet] | Bullet, ['[{"id": 1, "text": "a"}]', '{"id": 1, "text": "abc"}', "3"]),
    (list[Annotated[Card, Required]], ['[{"title": "abc"}]']),
    (list[OnErrorOmit[Bullet]], ['[{"id": 1, "text": "a"}, {"id": "x"}, {"id": 2, "text": "b"}, 3]', '[{"id": []}]']),
    (Annotated[list[OnErrorOmit[int]], Field(min_length=2, max_length=3)], ['["x", 1, "y", 2]', '[1, "x"]', '[1, 2, 3, "x", 4]']),
    (
        dict[OnErrorOmit[int], OnErrorOmit[list[Annotated[int, AfterValidator(abs)]]]],
        ['{"1": [1], "x": [2, {"y": 3}], "x": {"y": "z"}, "2": "y", "3": ["z"], "4": [-5]}', '{"1": [2], "1": ["x"], "x": [1, 2]}'],
    ),
    (dict[OnErrorOmit[int], list[int]], ['{"1": [1], "x": "y", "2": [2]}', '{"x": 1, "1": ["x"]}']),
    (
        Settings,
        ['{"name": "a", "seconds": "b", "last": {"id": 3}}', '{"seconds": "x"}'],
    ),
]

ALL = [
    pytest.param(model, text, id=f"{getattr(model, '__name__', model)}-{at}")
    for model, texts in CASES
    for at, text in enumerate(texts)
]
SHAPED = (Validated, SORTED)
"""Whose validators change what has been shown of a list."""


@pytest.mark.parametrize(("model", "text"), ALL)
@pytest.mark.parametrize("options", [{}, {"strings": False}, {"live": True}], ids=str)
def test_the_last_value_is_what_pydantic_gives(model: Any, text: str, options: dict[str, Any]) -> None:
    """Or its error, with the same locations; at every cut."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    for pieces in cuts(text):
        assert outcome(lambda: read(model, pieces, **options)[-1]) == outcome(lambda: adapter.validate_json(text))  # noqa: B023


def outcome(validate: Callable[[], Any]) -> Any:
    """A value with all that is in it, or what is wrong."""
    try:
        value = validate()
    except ValidationError as error:
        return _errors(error)
    more = (value.model_fields_set, value.model_extra, value.model_dump()) if isinstance(value, BaseModel) else ()
    return type(value), value, repr(value), more


def _errors(error: ValidationError) -> list[Any]:
    errors = error.errors(include_url=False)
    if errors[0]["type"] == "json_invalid":  # it says where in a text
        return [(each["type"], each["loc"]) for each in errors]
    return [{key: value if key != "ctx" else repr(value) for key, value in each.items()} for each in errors]


@pytest.mark.parametrize(("model", "text"), [case for case in ALL if not any(case.values[0] is each for each in SHAPED)])
@pytest.mark.parametrize("strings", [True, False])
def test_values_only_grow(model: Any, text: str, strings: bool) -> None:
    """Strings are beginnings, lists and dicts only gain, and a complete field is the same object ever after."""
    if any(text.count(f'"{key}":') > 1 for key in ("k", "title")) and "next" not in text:
        return  # a key that comes twice shows another value
    if '"deux": 3, "zwei": 4' in text or model is Named:
        return  # so do two keys of one field
    for pieces in cuts(text):
        try:
            values = read(model, pieces, strings=strings)
        except ValidationError:
            continue
        for before, after in itertools.pairwise(values):
            assert_grows(before, after)


@pytest.mark.parametrize(("model", "text"), ALL)
def test_what_is_shown_depends_on_the_text_alone(model: Any, text: str) -> None:
    """Not on the cuts, also of a document that does not fit: as if it had come one character at a time."""
    expected: dict[int, str] = {}
    for pieces in (list(text), *cuts(text)):
        reading = Typed(model)
        parser = Parser(reading)
        at, value = 0, "nothing"
        for piece in pieces:
            parser.feed(piece)
            at += len(piece)
            if parser.is_complete:
                break
            value = next((repr((given, unfinished(given))) for given in reading.given()), value)
            assert expected.setdefault(at, value) == value


@pytest.mark.parametrize(("model", "text"), ALL)
def test_values_are_independent(model: Any, text: str) -> None:
    """What was given does not change, and the live value shows the same at each moment."""
    live, still = Typed(model, live=True), Typed(model)
    one, other = Parser(live), Parser(still)
    seen: list[tuple[Any, str]] = []
    for char in text:
        one.feed(char)
        other.feed(char)
        if one.is_complete:
            break
        shown = [repr(value) for value in live.given()]
        given = still.given()
        assert shown == [repr(value) for value in given]
        seen += [(value, repr(value)) for value in given]
    assert all(repr(value) == written for value, written in seen)


WORDS = st.text(max_size=8)
BULLETS = st.builds(
    lambda id_, text, when: {"id": id_, "text": text} | ({} if when is ... else {"when": when}),
    st.integers() | st.sampled_from(["7", 1.0, 1.5, True]),
    WORDS | st.none(),
    st.sampled_from([..., None, "2024-01-02", "2024-13-01", 3]),
)
SHAPES = st.permutations([("kind", "circle"), ("r", 1.5), ("label", "x")]).map(dict) | st.fixed_dictionaries(
    {"corners": st.lists(BULLETS, max_size=2), "kind": st.sampled_from(["box", "square", "none", 1]), "side": st.integers(0, 9)}
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "title": WORDS,
        "tags": st.lists(WORDS, max_size=3),
        "shapes": st.lists(SHAPES, max_size=3),
        "more": st.dictionaries(WORDS, BULLETS, max_size=3),
        "choice": WORDS | st.integers() | st.lists(BULLETS, max_size=2) | st.none(),
        "any": st.recursive(
            WORDS | st.integers() | st.booleans(),
            lambda each: st.lists(each, max_size=2) | st.dictionaries(WORDS, each, max_size=2),
        ),
        "numbers": st.lists(st.integers() | WORDS, max_size=3),
        "ünknown": st.lists(st.integers(), max_size=2),
    },
)


class Mixed(BaseModel):
    title: str
    tags: Annotated[list[str], Field(max_length=2)] = []
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]] = []
    more: dict[str, Bullet] = {}
    choice: str | int | list[Bullet] | None = None
    any: Any = None
    numbers: set[int] = set()


@given(document=DOCUMENTS, spaced=st.booleans(), escaped=st.booleans(), data=st.data())
def test_any_document_at_any_cut(document: dict[str, Any], spaced: bool, escaped: bool, data: st.DataObject) -> None:
    """Values only grow, up to the one that pydantic gives, or its error."""
    text = json.dumps(document, indent=1 if spaced else None, ensure_ascii=escaped)
    at = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=30))})
    pieces = [text[start:end] for start, end in itertools.pairwise(at)]
    expected = outcome(lambda: Mixed.model_validate_json(text))
    values: list[Any] = []

    def last() -> Any:
        values.extend(read(Mixed, pieces))
        return values[-1]

    assert outcome(last) == expected
    for before, after in itertools.pairwise(values):
        assert_grows(before, after)


SIMPLE: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (str, WORDS),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (date, st.dates().map(str)),
    (Any, WORDS | st.lists(WORDS)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Bullet, BULLETS),
    (Point, st.fixed_dictionaries({"x": st.integers()}, optional={"name": WORDS, "notes": st.lists(WORDS, max_size=2)})),
    (Movie, st.fixed_dictionaries({"year": st.integers(), "title": WORDS}, optional={"cast": st.lists(WORDS, max_size=2)})),
    (Annotated[Circle | Square, Field(discriminator="kind")], SHAPES),
    (Annotated[str, Whole], WORDS),
    (Annotated[str, StringConstraints(max_length=3)], WORDS),
    (Step, st.fixed_dictionaries({"text": WORDS, "number": st.integers()}, optional={"kind": WORDS | st.none()})),
    (Before, WORDS | st.fixed_dictionaries({"a": WORDS})),
    (Bullets, st.lists(BULLETS, max_size=2)),
    (Title, WORDS),
]


def of(origin: Any, *arguments: Any) -> Any:
    """A type of types that a type checker does not know."""
    return origin[arguments if len(arguments) > 1 else arguments[0]]


def combined(parts: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    """Types that are made of others, with what makes documents for them."""
    return (
        parts.map(lambda part: (of(list, part[0]), st.lists(part[1], max_size=3)))
        | parts.map(lambda part: (of(dict, str, part[0]), st.dictionaries(WORDS, part[1], max_size=3)))
        | parts.map(lambda part: (of(dict, date, part[0]), st.dictionaries(st.dates().map(str), part[1], max_size=2)))
        | parts.map(lambda part: (part[0] | None, part[1] | st.none()))
        | st.tuples(parts, parts).map(lambda two: (of(Union, two[0][0], two[1][0]), two[0][1] | two[1][1]))
        | parts.map(lambda part: (of(tuple, part[0], ...), st.lists(part[1], max_size=3)))
        | parts.map(
            lambda part: (
                of(Box, part[0]),
                st.fixed_dictionaries({"items": st.lists(part[1], max_size=2)}, optional={"first": part[1]}),
            )
        )
        | st.tuples(parts, parts).map(_made)
    )


def _made(two: tuple[tuple[Any, Any], tuple[Any, Any]]) -> tuple[Any, Any]:
    (one, ones), (other, others) = two
    return create_model("Made", one=(one, ...), other=(other | None, None)), st.fixed_dictionaries(
        {"one": ones}, optional={"other": others}
    )


TYPES = st.recursive(st.sampled_from(SIMPLE), combined, max_leaves=4)


@given(typed=TYPES, data=st.data())
def test_any_type_at_any_cut(typed: tuple[Any, st.SearchStrategy[Any]], data: st.DataObject) -> None:
    """The same for types that are put together at random, and documents that mostly fit."""
    model, documents = typed
    text = json.dumps(data.draw(documents))
    pieces = data.draw(st.sampled_from(cuts(text, seed=len(text))))
    values: list[Any] = []

    def last() -> Any:
        values.extend(read(model, pieces))
        return values[-1]

    assert outcome(last) == outcome(lambda: TypeAdapter(model).validate_json(text))
    for before, after in itertools.pairwise(values):
        assert_grows(before, after)


# ---------------------------------------------------------------------- what is shown, and when


def shown(model: Any, *pieces: str, **options: Any) -> list[str]:
    return [repr(value) for value in read(model, pieces, **options)]


def test_fields_appear_when_they_are_there() -> None:
    """Strings as they grow, numbers and dates when complete; what is not there yet is `None`, whatever its default is."""
    assert shown(Bullet, '{"id": 1', '2, "te', 'xt": "so', "me", '", "when": "2024', '-01-02"', "}") == [
        "Partial[Bullet](id=None, text=None, when=None)",
        "Partial[Bullet](id=12, text=None, when=None)",
        "Partial[Bullet](id=12, text='so', when=None)",
        "Partial[Bullet](id=12, text='some', when=None)",
        "Partial[Bullet](id=12, text='some', when=None)",  # `text` is finished now
        "Partial[Bullet](id=12, text='some', when=datetime.date(2024, 1, 2))",
        "Bullet(id=12, text='some', when=datetime.date(2024, 1, 2))",
    ]


def test_a_value_is_given_only_if_something_changed() -> None:
    """Not for white space, keys, and what is withheld."""
    reading = Typed(Marked)
    parser = Parser(reading)
    counts = []
    for piece in ('{"ci', 'ty": "Lis', "bon", '"', ", ", '"unknown": [1, 2]', ', "text": "', "a"):
        parser.feed(piece)
        counts.append(len(reading.given()))
    assert counts == [1, 0, 0, 1, 0, 0, 1, 1]


def test_whole_strings() -> None:
    """With `strings=False` a string is there when it is complete."""
    assert shown(Title, '"ab', 'c"', strings=False) == ["Title(root='abc')"]
    assert shown(list[str], '["ab', 'c", "d', '"]', strings=False) == ["[]", "['abc']", "['abc', 'd']"]


def test_a_discriminated_union_is_shown_when_its_member_is_known() -> None:
    """What came before is in it at once."""
    model = Annotated[Circle | Square, Field(discriminator="kind")]
    assert shown(list[model], '[{"label": "ab', 'c", "kind": "cir', 'cle"', ', "r": 1', "}]") == [
        "[]",
        "[Partial[Circle](kind='circle', r=None, label='abc')]",
        "[Circle(kind='circle', r=1.0, label='abc')]",
    ]


def test_markers() -> None:
    """`Whole` withholds a value until it is complete, `Required` its object until the field is."""
    assert shown(Marked, '{"city": "Lis', 'bon", "bullets": [{"id": 1, "text": "a"}', "]", "}") == [
        "Partial[Marked](city=None, text=None, bullets=None, bullet=None)",
        "Partial[Marked](city='Lisbon', text=None, bullets=None, bullet=None)",
        "Partial[Marked](city='Lisbon', text=None, bullets=[Bullet(id=1, text='a', when=None)], bullet=None)",
        "Marked(city='Lisbon', text='', bullets=[Bullet(id=1, text='a', when=None)], bullet=None)",
    ]
    assert shown(list[Step], '[{"text": "ab', 'c", "number": 1', ', "kind": null', "}]")[:-1] == [
        "[]",
        "[Partial[Step](number=1, text='abc', kind=None)]",
    ]
    schema = Marked.model_json_schema()["properties"]
    assert schema["city"] == {"title": "City", "type": "string"}


@pytest.mark.parametrize(
    ("model", "pieces", "expected"),
    [
        (
            Outer,
            ['{"name": "a", "before": {"a": "x', '"', '}, "many": ["x"'],
            ["name='a', before=None", "before=Before(a='x', b=1)", "many=['x'"],
        ),
        (list[Annotated[int, AfterValidator(lambda n: -n)]], ["[1, ", "2"], ["[-1]"]),
        (Validated, ['{"name": " ab', 'c"'], ["name=None", "name='abc'"]),
        (
            Values,
            ['{"literal": "y', 'es", "kind": "b', 'ig", "short": "a'],
            ["literal=None", "literal='yes', kind=None", "short=None"],
        ),
        (Values, ['{"many": [1', ', 2], "grid": [[1', ", 2"], ["many=None", "many=(1, 2)", "grid=[[1]]"]),
        (Values, ['{"anything": {"a": ["x', 'y", 1'], ["anything={'a': ['x']}", "anything={'a': ['xy']}"]),
        (Values, ['{"one": "te', 'xt"'], ["one='te'", "one='text'"]),
        (Values, ['{"one": [{"id": 1', ', "text": "a'], ["one=[Partial[Bullet]", "text='a'"]),
        (Values, ['{"model_or_text": {"text": "a', 'b"'], ["model_or_text=Partial[Bullet](id=None, text='a'"]),
        (Values, ['{"days": {"2024-01-02": ["a', 'b"'], ["days={datetime.date(2024, 1, 2): ['a']}"]),
        (Values, ['{"secret": "x', 'y"'], ["secret=None", "secret=SecretStr('**********')"]),
        (
            Classes,
            ['{"movie": {"title": "a', 'b", "cast": ["x'],
            ["Partial[Movie](title='a', year=None)", "year=None, cast=['x'])"],
        ),
        (
            Roots,
            ['{"bullets": [{"id": 3', ', "text": "x"}, {'],
            ["Partial[Bullets](root=[Partial[Bullet](id=None", "Bullet(id=3, text='x', when=None), Partial"],
        ),
        (
            Roots,
            ['{"bullets": [], "shape": {"kind": "circle"', ', "r": 1}'],
            ["shape=Partial[Shape](root=Partial[Circle](kind='circle'", "shape=Shape(root=Circle"],
        ),
        (
            Box[Box[str]],
            ['{"items": [{"items": ["a'],
            ["Partial[Box[Box[str]]](items=[Partial[Box[str]](items=['a'], first=None)], first=None)"],
        ),
    ],
)
def test_what_is_shown(model: Any, pieces: list[str], expected: list[str]) -> None:
    """Of types of every kind: what may be shown while it grows is, all else when it is complete."""
    reading = Typed(model)
    parser = Parser(reading)
    given = []
    for piece in pieces:
        parser.feed(piece)
        given += [repr(value) for value in reading.given()]
    for written, part in zip(given, expected, strict=False):
        assert part in written
    assert len(given) >= min(len(pieces), len(expected)) - 1


def test_a_part_that_is_wrong_stays_what_it_was() -> None:
    """What comes after it goes on; the error comes at the end, with all that is wrong."""
    text = '{"title": "x", "bullets": [{"id": 1, "text": "a"}, {"id": "no", "text": "b"}, {"id": 3, "text": "c"}], "more": {"k": {"id": "y", "text": ""}}}'
    reading = Typed(Card)
    parser = Parser(reading)
    given: list[Any] = []
    for char in text:
        parser.feed(char)
        given += [] if parser.is_complete else reading.given()
    assert [bullet.id for bullet in given[-1].bullets] == [1, None]
    assert unfinished(given[-1]) == ("bullets", "more", "next")
    with pytest.raises(ValidationError) as caught:
        reading.finish()
    assert [error["loc"] for error in caught.value.errors()] == [("bullets", 1, "id"), ("more", "k", "id")]


def test_the_errors_are_those_of_the_whole_document_whatever_came_whole() -> None:
    """Each once, with its place, wherever the text was cut."""
    text = '{"title": "x", "bullets": [{"id": "a", "text": "b"}, {"id": 2, "text": []}], "more": {"k": {"id": "y", "text": ""}}}'
    with pytest.raises(ValidationError) as whole:
        Card.model_validate_json(text)
    for at in range(len(text)):
        with pytest.raises(ValidationError) as caught:
            read(Card, [text[:at], text[at:]])
        assert caught.value.errors() == whole.value.errors()


@pytest.mark.parametrize("extra", [r'{"a": ["\ud800"]}', r'[{"\ud800": 1}]'])
@pytest.mark.parametrize("whole", [True, False])
def test_half_a_surrogate_pair_is_refused_where_it_is_no_field(extra: str, whole: bool) -> None:
    """As pydantic refuses it in the text, also inside a container that comes whole."""
    text = f'{{"extra": {extra}, "title": "{"long " * 20}"}}'
    with pytest.raises(ValidationError):
        Card.model_validate_json(text)
    with pytest.raises(ValidationError, match="Invalid JSON"):
        read(Card, ["{", text[1:]] if whole else text)


# ---------------------------------------------------------------------- once


CALLS: list[str] = []


def noted(name: str) -> AfterValidator:
    def note(value: Any) -> Any:
        CALLS.append(f"{name} {value!r}")
        return value

    return AfterValidator(note)


class Leaf(BaseModel):
    n: Annotated[int, noted("n")]
    text: Annotated[str, noted("text")] = ""

    @field_validator("n", mode="before")
    @classmethod
    def _before(cls, n: Any) -> Any:
        CALLS.append(f"before {n!r}")
        return n

    @model_validator(mode="after")
    def _after(self) -> Leaf:
        CALLS.append(f"leaf {self.n}")
        return self

    def model_post_init(self, context: Any, /) -> None:
        CALLS.append(f"init {self.n}")


class Kept(BaseModel):
    leaves: list[OnErrorOmit[Leaf]]
    by: dict[Annotated[OnErrorOmit[int], noted("key")], OnErrorOmit[list[Leaf]]] = {}
    settings: list[Settings] = []
    some: list[Annotated[Leaf, AfterValidator(lambda leaf: leaf if leaf.n > 1 else omitted())]] = []


def omitted() -> Any:
    raise PydanticOmit


KEPT = '{"leaves": [{"n": 1}, {"n": "bad"}, {"n": 3}, 4, {"n": 5}], "by": {"6": [{"n": 7}], "x": [{"n": 8}], "9": [{}], "10": []}, "settings": [{"name": "a", "seconds": "b", "last": 3}, {"name": "c", "seconds": 4}], "some": [{"n": 1}, {"n": 2, "text": "a"}, {"n": 0}, {"n": 3}]}'


class Once(BaseModel):
    leaves: Annotated[list[Leaf], noted("leaves")]
    by: dict[Annotated[str, noted("key")], Leaf] = {}
    ids: Annotated[set[Annotated[int, noted("id")]], noted("ids")] = set()
    tagged: Annotated[Circle | Square, Field(discriminator="kind"), noted("tagged")] | None = None
    late: Annotated[list[Leaf], noted("late")] = []
    default: Annotated[int, Field(validate_default=True), noted("default")] = 5

    @field_validator("late")
    @classmethod
    def _late(cls, late: list[Leaf], info: ValidationInfo) -> list[Leaf]:
        CALLS.append(f"info {list(info.data)}")
        return late

    @model_validator(mode="after")
    def _after(self) -> Once:
        CALLS.append("once")
        return self


ONCE = '{"leaves": [{"n": 1, "text": "a"}, {"n": 2}], "by": {"x": {"n": 3}}, "ids": [4, 5], "tagged": {"r": 1, "kind": "circle"}, "late": [{"n": 6}]}'


@pytest.mark.parametrize(("model", "text"), [(Once, ONCE), (Kept, KEPT)])
def test_every_validator_runs_once(model: type[BaseModel], text: str) -> None:
    """As often as for the whole document at once, and on the same values; in whichever pieces it comes."""
    CALLS.clear()
    whole = model.model_validate_json(text)
    expected = sorted(CALLS)
    for pieces in cuts(text):
        CALLS.clear()
        assert read(model, pieces)[-1] == whole
        assert sorted(CALLS) == expected


def test_what_is_left_out_is_shown_no_more_and_hides_nothing() -> None:
    """Of what may be left out nothing is shown before its end, unless its own validator leaves it out."""
    seen = [shown(Kept, *pieces) for pieces in (cuts(KEPT)[0], list(KEPT))]
    assert seen[0] == seen[1][-1:]
    for kept in ("[Leaf(n=1, text='')]", "[Leaf(n=1, text=''), Leaf(n=3, text='')]", "by={6: [Leaf(n=7, text='')]}"):
        assert any(kept in value for value in seen[1])
    some = [value.rpartition("some=")[2] for value in seen[1]]
    assert [each for each, _ in itertools.groupby(some)] == [
        "None)",
        "[])",
        "[Partial[Leaf](n=None, text=None)])",
        "[])",
        "[Partial[Leaf](n=None, text=None)])",
        "[Partial[Leaf](n=2, text=None)])",
        "[Partial[Leaf](n=2, text='a')])",
        "[Leaf(n=2, text='a')])",
        "[Leaf(n=2, text='a'), Partial[Leaf](n=None, text=None)])",
        "[Leaf(n=2, text='a')])",
        "[Leaf(n=2, text='a'), Partial[Leaf](n=None, text=None)])",
        "[Leaf(n=2, text='a'), Leaf(n=3, text='')])",
    ]


SMALL = Annotated[list[int], AfterValidator(lambda numbers: numbers if sum(numbers) < 9 else omitted())]


@pytest.mark.parametrize(
    ("model", "text", "so_far", "missing"),
    [
        (Settings, '{"seconds":3,"name":"a","seconds":"b"', "Partial[Settings](name='a')", ("seconds", "last")),
        (
            create_model("Model", x=(SMALL, None), a=(str, None)),
            '{"x":[3],"a":"b","x":[9]',
            "Partial[Model](x=None, a='b')",
            ("x",),
        ),
        (dict[str, SMALL], '{"x":[3],"y":[9],"x":[1,8]', "{'x': [3]}", ()),
        (dict[str, SMALL], '{"x":[9],"x":[3],"x":[10],"x":[4]', "{'x': [4]}", ()),
    ],
)
def test_what_is_left_out_may_have_come_before(model: Any, text: str, so_far: str, missing: tuple[str, ...]) -> None:
    """A field is what came last, an entry the last that is not left out, as pydantic has it."""
    whole = text + "}"
    for pieces in ([text, "}"], [*text, "}"]):
        values = read(model, pieces)
        assert repr(values[-2]) == so_far
        assert values[-1] == TypeAdapter(model).validate_json(whole)
        assert unfinished(values[-2]) == missing


class Spare(BaseModel):
    x: OnErrorOmit[int] = Field(default="zz", validate_default=True)
    y: Annotated[OnErrorOmit[int], AfterValidator(abs), Field(validate_default=True)] = "zz"  # type: ignore[assignment]
    z: Annotated[int, BeforeValidator(lambda value: value or omitted()), Field(validate_default=True)] = 0


class SpareSettings(TypedDict):
    x: NotRequired[Annotated[OnErrorOmit[int], Field(default="zz", validate_default=True)]]


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (create_model("One", part=(Spare, ...)), '{"part":{}}'),
        (create_model("Some", part=(Spare | None, None)), '{"part":{"x":1}}'),
        (create_model("Many", parts=(list[Spare], ...)), '{"parts":[{"y":-2},{"x":"a","z":3},{}]}'),
        (create_model("Dicts", parts=(dict[str, SpareSettings], ...)), '{"parts":{"a":{},"b":{"x":1},"c":{"x":"y"}}}'),
        (create_model("Left", part=(OnErrorOmit[Spare], ...), last=(Spare, ...)), '{"part":{"z":"a"},"last":{}}'),
        (Spare, "{}"),
    ],
)
def test_a_default_that_is_left_out_leaves_the_rest_of_its_part(model: Any, text: str) -> None:
    """Only the field is not there, as pydantic has it; what is left out itself still is."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    for pieces in cuts(text):
        assert outcome(lambda: read(model, pieces)[-1]) == outcome(lambda: adapter.validate_json(text))  # noqa: B023


@pytest.mark.parametrize("model", [OnErrorOmit[int], Annotated[list[str], AfterValidator(lambda _: omitted())]])
def test_a_whole_document_cannot_be_left_out(model: Any) -> None:
    """Pydantic says so."""
    text = '["x"]'
    with pytest.raises(SchemaError) as wanted:
        TypeAdapter(model).validate_json(text)
    for pieces in cuts(text):
        with pytest.raises(SchemaError) as raised:
            read(model, pieces)
        assert str(raised.value) == str(wanted.value)


def test_no_validator_sees_what_is_not_complete() -> None:
    """Behind each character, only what is closed has been validated."""
    CALLS.clear()
    parser = Parser(Typed(Once))
    for char in '{"leaves": [{"n": 12, "text": "ab':
        parser.feed(char)
    assert CALLS == ["before 12", "n 12"]
    parser.feed('c"')
    assert CALLS[2:] == ["text 'abc'"]
    parser.feed("}")
    assert CALLS[3:] == ["init 12", "leaf 12"]
    parser.feed("], ")
    assert CALLS[5].startswith("leaves [Leaf(")


@pytest.mark.parametrize(
    "around",
    [
        '{"inner":%s,"kind":"branch"}',
        '{"by":{"a":%s},"kind":"branch","inner":{"n":"no","kind":"twig"}}',
        '{"inner":%s,"type":"small","kind":"bud"}',
        '{"inner":%s,"kind":"bud","type":"large"}',
        '{"kind":"branch","inner":%s}',
    ],
)
def test_a_document_that_is_not_valid_is_validated_as_often_however_deep_it_is(around: str) -> None:
    """And read as deep as pydantic reads, also where it is known of each object only at its end what it is."""
    adapter: TypeAdapter[Any] = TypeAdapter(Growth)
    counts = []
    for depth in (9, 90 if '"by"' in around else 190):
        text = '{"n":1,"good":["x"],"kind":"twig"}'
        for _ in range(depth):
            text = around % text
        with pytest.raises(ValidationError) as wanted:
            adapter.validate_json(text)
        for pieces in ([text], list(text)):
            CALLS.clear()
            with pytest.raises(ValidationError) as raised:
                read(Growth, pieces, live=True)
            assert _errors(raised.value) == _errors(wanted.value)
            counts.append(len(CALLS))
    assert counts[:2] == counts[2:]


def lowered(value: Any, info: ValidationInfo) -> Any:
    """A value and the lowest so far."""
    return value, dict(info.data) if info.data is not None else None


LOWERED = AfterValidator(lowered)


class Lowest(RootModel[Annotated[int, LOWERED]]):
    pass


class LowestField(RootModel[int]):
    @field_validator("root")
    @classmethod
    def _root(cls, root: int, info: ValidationInfo) -> Any:
        return lowered(root, info)


class LowestBefore(RootModel[Any]):
    @model_validator(mode="before")
    @classmethod
    def _before(cls, value: Any, info: ValidationInfo) -> Any:
        return lowered(value, info)


class LowBefore(BaseModel):
    x: Any

    @model_validator(mode="before")
    @classmethod
    def _before(cls, value: Any, info: ValidationInfo) -> Any:
        return {"x": lowered(value, info)}


class LowAfter(BaseModel):
    x: Any
    y: Annotated[Any, LOWERED] = None

    @model_validator(mode="after")
    def _after(self, info: ValidationInfo) -> LowAfter:
        self.x = lowered(self.x, info)
        return self


class LowRest(TypedDict, extra_items=Annotated[int, LOWERED]):  # type: ignore[call-arg]
    x: Annotated[int, LOWERED]


class LowPair(NamedTuple):
    x: Annotated[int, LOWERED]


class LowTree(RootModel["list[LowTree] | Annotated[int, LOWERED]"]):
    pass


X = '{"x":5,"y":6}'


@pytest.mark.parametrize(
    ("high", "text"),
    [
        (Lowest, "5"),
        (list[Lowest], "[5,6]"),
        (LowestField, "5"),
        (LowestBefore, X),
        (LowBefore, X),
        (LowAfter, X),
        (LowRest, X),
        (LowPair, "[5]"),
        (LowTree, "[5,[6,[]]]"),
    ],
    ids=str,
)
def test_a_validator_sees_the_fields_before_its_own_wherever_it_stands_in_a_field(high: Any, text: str) -> None:
    """In a model that stands there too, if it is not for one of the fields of that: those see one another."""
    model = create_model("Model", low=(int, ...), high=(high, ...), last=(int, 0))
    whole = f'{{"low":1,"high":{text},"last":2}}'
    expected = repr(model.model_validate_json(whole))
    for pieces in cuts(whole):
        assert repr(read(model, pieces)[-1]) == expected


def test_complete_parts_are_shared() -> None:
    """A validated part is the same object in all later values, and in the model."""
    values = read(Card, json.dumps({"title": "x", "bullets": [BULLET] * 3, "more": {"a": BULLET}, "next": {"title": "y"}}))
    last = values[-1]
    for value in values[:-1]:
        for part, final in zip(value.bullets or [], last.bullets, strict=False):
            assert part is final or isinstance(part, Partial)
        if value.bullets and "bullets" not in unfinished(value):
            assert value.bullets is last.bullets
        if value.next is not None and not isinstance(value.next, Partial):
            assert value.next is last.next


def test_a_validator_may_read_another_document() -> None:
    """Of the same model, while its own is put together."""

    class Nested(BaseModel):
        name: str
        inner: Any = None

        @model_validator(mode="after")
        def _read(self) -> Nested:
            if self.inner == "read":
                self.inner = read(Nested, '{"name": "inner"}')[-1]
            return self

    [*_, value] = read(Nested, '{"name": "outer", "inner": "read"}')
    assert value.name == "outer" and value.inner == Nested(name="inner")


# ---------------------------------------------------------------------- partial values


def partial(model: Any, text: str, **options: Any) -> Any:
    reading = Typed(model, **options)
    Parser(reading).feed(text)
    [value] = reading.given()
    return value


def test_a_partial_value_is_one_of_its_model() -> None:
    """Its methods, properties and patterns work; and it can be told from a real one."""
    value = partial(Private, '{"name": "ab')
    assert isinstance(value, Private) and isinstance(value, Partial) and type(value) is Partial[Private]
    assert value.size == 2 and value.secret() == 7
    match partial(Shapes, '{"shapes": [{"kind": "circle", "r": 2').shapes[0]:
        case Square():
            raise AssertionError
        case Circle(kind=kind, r=r):
            assert [kind, r] == ["circle", None]
    assert not isinstance(Private(name="x"), type(value)) and not isinstance(partial(Card, "{"), type(value))


def test_the_class_of_partial_values_is_made_once() -> None:
    """Wherever the model is met; it is named after it."""
    assert Partial[Bullet] is Partial[Bullet] is type(partial(Card, '{"bullets": [{').bullets[0])
    assert Partial[Box[int]].__name__ == "Partial[Box[int]]"
    assert repr(partial(Card, '{"bullets": [{"id": 1, ').bullets) == "[Partial[Bullet](id=1, text=None, when=None)]"
    assert plan_of(Card) is plan_of(Card) and isinstance(plan_of(Card), Plan)
    assert plan_of(int | str) is not plan_of(str | int)
    assert plan_of(Annotated[int, ["not hashable"]]).kinds == ""
    with pytest.raises(TypeError, match="has no fields"):
        Partial[list[int]]


def test_unfinished_names_what_is_missing_or_grows() -> None:
    """Of a finished model nothing; `null` is finished; an alias goes by the name of its field."""
    assert unfinished(partial(Bullet, '{"text": "a')) == ("id", "text", "when")
    assert unfinished(partial(Bullet, '{"when": null, "text": "a"')) == ("id",)
    assert unfinished(partial(Aliased, '{"einS": "a", "deux": 1')) == ("two", "three")
    assert unfinished(partial(Card, '{"title": "", "bullets": [')) == ("bullets", "more", "next")
    assert unfinished(partial(Movie, '{"title": "", "cast": [')) == ("year", "cast")
    assert unfinished(partial(Pixel, '{"colour": "red", "at": {')) == ("at",)
    assert unfinished(partial(Validated, '{"tags": ["a"], "total": 1,')) == (
        "name",
        "tags",
        "when",
        "upper",
        "wrapped",
        "plain",
        "size",
        "items",
    )
    assert unfinished(Bullet(id=1, text="")) == unfinished([1]) == unfinished(None) == ()


def test_partial_values_are_written_and_compared_like_others() -> None:
    """Complete parts by their own serialisers; nothing is computed from what is missing."""
    text = '{"title": "Ri", "bullets": [{"id": 1, "text": "a", "when": "2024-01-02"}, {"id": 2'
    value = partial(Card, text + ", ")
    assert value.model_dump(exclude_unset=True) == {
        "title": "Ri",
        "bullets": [{"id": 1, "text": "a", "when": date(2024, 1, 2)}, {"id": 2}],
    }
    assert json.loads(value.model_dump_json(exclude_none=True))["bullets"][0]["when"] == "2024-01-02"
    assert value == partial(Card, text + " , ") and value != partial(Card, '{"title": "Ri", ')
    assert partial(Private, '{"name": "ab", ').model_dump() == {"name": "AB"}
    assert partial(Aliased, '{"einS": "a", ').model_dump(by_alias=True) == {"einS": "a", "two": None, "DREI": None}
    assert json.loads(partial(Values, '{"secret": "x", "kind": "big", ').model_dump_json(exclude_none=True)) == {
        "secret": "**********",
        "kind": "big",
    }
    assert partial(Roots, '{"bullets": [{"id": 1, ').model_dump()["bullets"] == [{"id": 1, "text": None, "when": None}]
    assert partial(Node, '{"name": "a", "children": [{"name": "b').model_dump(exclude_none=True) == {
        "name": "a",
        "children": [{"name": "b"}],
    }
    point = partial(Classes, '{"point": {"x": 1, "notes": ["a"').point
    assert dataclasses.asdict(point) == {"x": 1, "y": None, "name": None, "notes": ["a"]}
    assert partial(Classes, '{"pixel": {"colour": "red", ').model_dump()["pixel"] == {"at": None, "colour": "red"}
    assert partial(Movie, '{"title": "a') == {"title": "a", "year": None}
    slim = partial(Slim, '{"a": "x", ')
    assert (slim.a, slim.b) == ("x", None)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Card, '{"title": "x", "bullets": [{"id": 1, '),
        (Pixel, '{"at": {"x": 1, '),
        (Slim, '{"a": "b", '),
        (Movie, '{"title": "b", '),
        (Private, '{"name": "b'),
        (Bullets, '[{"id": 1, '),
    ],
)
def test_partial_values_can_be_copied(model: Any, text: str) -> None:
    """Shallow, deep, and by way of pickle: equal, and with the same fields unfinished."""
    value = partial(model, text)
    for copied in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert copied == value and repr(copied) == repr(value) and unfinished(copied) == unfinished(value)
        assert type(copied) is type(value)
    if isinstance(value, BaseModel):
        assert value.model_copy() == value
        assert value.model_copy(update={"title": "new"} if model is Card else None) is not value


def test_a_model_that_watches_its_subclasses_does_not_see_partial_ones() -> None:
    """`__init_subclass__` runs for models only, and may ask for arguments; so may a metaclass."""
    made: list[type] = []

    class Watched(BaseModel):
        registry: ClassVar[list[type]] = made

        def __init_subclass__(cls, *, kind: str, **options: Any) -> None:
            made.append(cls)

        @classmethod
        def __pydantic_init_subclass__(cls, **options: Any) -> None:
            made.append(cls)

    class Watching(Watched, kind="x"):
        name: str

    before = list(made)
    assert repr(partial(Watching, '{"name": "a')) == "Partial[Watching](name='a')"
    assert made == before


# ---------------------------------------------------------------------- models that are none


class Undefined(BaseModel):
    name: NotThere  # type: ignore[name-defined]  # noqa: F821


class Arbitrary:
    pass


@pytest.mark.parametrize(
    "model",
    [42, "Card", object(), Arbitrary, [int], ..., Undefined, of(list, "NotThere"), Bullet(id=1, text="")],
    ids=repr,
)
def test_what_pydantic_does_not_know_is_refused(model: Any) -> None:
    """When the plan is made, with its reason."""
    with pytest.raises(TypeError, match="type"):
        plan_of(model)


class Client:
    def __repr__(self) -> str:
        return "Client(api_key='sk-hunter2')"


@pytest.mark.parametrize("model", [Client(), [Client()], {"client": Client()}, {"type": "object"}])
def test_what_was_given_by_mistake_is_not_shown(model: Any) -> None:
    """It may be anything, and have a key in its `repr`."""
    with pytest.raises(TypeError, match=rf"as a value: this is {type(model).__name__}$"):
        plan_of(model)


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        (Card, "{"),
        (Before, "{"),
        (Wrapped, "{"),
        (Point, "{"),
        (Movie, "{"),
        (dict[str, int], "{"),
        (Shape, "{"),
        (list[int], "["),
        (Bullets, "["),
        (tuple[int, str], "["),
        (set[int], "["),
        (Card | list[Card], "{["),
        (list[int] | None, "["),
        (Any, "{["),
        (Pair, "{["),
        (int, ""),
        (Title, ""),
        (date, ""),
        (Kind, "{["),
    ],
    ids=str,
)
def test_which_brackets_may_open_a_document(model: Any, kinds: str) -> None:
    """Those of what the type takes; of a scalar none; all, where that is not known."""
    assert plan_of(model).kinds == kinds


def test_plans_of_types_that_were_made_at_run_time() -> None:
    """Names of fields that schemas use for themselves mean nothing special."""
    names = ("type", "default", "function", "config", "metadata", "schema_", "cls", "items")
    fields: dict[str, Any] = dict.fromkeys(names, (list[Bullet], ...))
    model = create_model("Odd", **fields)
    text = json.dumps({name: [BULLET] for name in fields})
    assert read(model, text)[-1] == model.model_validate_json(text)


def test_other_errors_of_validators_come_at_once() -> None:
    """Pydantic does not turn them into a `ValidationError` either."""

    class Raising(BaseModel):
        n: Annotated[int, AfterValidator(lambda n: 1 // n)]

    with pytest.raises(ZeroDivisionError):
        Parser(Typed(Raising)).feed('{"n": 0,')


def test_a_pydantic_that_takes_no_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are withheld until they are complete, and right, where they cannot be put together of their parts."""
    assert typed_plan.takes_holes()
    monkeypatch.setattr(typed_schema, "takes_holes", lambda: False)
    plan = _planned(list[Bullet])
    text = json.dumps([BULLET, BULLET])
    assert [len(value) for value in read(plan, text)] == [0, 1, 2, 2]
    assert read(plan, text)[-1] == [Bullet.model_validate(BULLET)] * 2


def test_models_read_by_several_threads() -> None:
    """A plan is shared, what is read is not."""
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda n: read(Box[int], f'{{"items": [{n}, {n}], "first": {n}}}')[-1], range(200)))
    assert values == [Box[int](items=[n, n], first=n) for n in range(200)]
