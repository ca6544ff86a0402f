"""Plans made of pydantic's schemas, fact by fact: what mutants of what makes them showed that nothing had stated."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Union
from typing import Required as TypingRequired

import pytest
from pydantic import (
    VERSION,
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    PlainValidator,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import SchemaValidator, core_schema, to_json
from test_json_typed import Before, Bullet, Bullets, Circle, Movie, Node, Point, of, partial, read
from typing_extensions import TypeAliasType, TypedDict

import streamfilter as sf
from streamfilter.json import typed_plan, typed_schema
from streamfilter.json.partial import Required, Whole, unfinished
from streamfilter.json.typed import Typed, _planned, plan_of
from streamfilter.parsing.parser import Parser

IS_OLD = VERSION.startswith("2.10.")
"""Pydantic that does not know of `validate_by_alias`, nor of dicts that fail fast."""


def schemed(make: Callable[[Any], Any]) -> Any:
    """A type by its core schema, which is made of a function that gives those of other types."""
    return Annotated[Any, GetPydanticSchema(lambda _, handler: make(handler.generate_schema))]


def same(value: Any) -> Any:
    return value


def seen(value: Any) -> Any:
    return ("seen", value)


CHECKED = AfterValidator(same)


class Itself(RootModel["Itself | list[int]"]):
    pass


class Sizes(RootModel[list[int]]):
    def __init__(self, root: Any = None, **sizes: int) -> None:
        super().__init__(list(sizes.values()) if root is None else root)


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        (int | list[int], "["),
        (Literal["a"] | dict[str, int], "{"),
        (list[int] | set[int] | None, "["),
        (Itself, "["),
        (Before | list[int], "{["),
        (Sizes, "["),
        (Annotated[dict[str, int], WrapValidator(lambda value, then: then(value))], "{"),
        (Annotated[Circle, Required], "{"),
        (Iterable[int], "{["),
    ],
    ids=str,
)
def test_a_document_opens_as_one_of_the_choices_does(model: Any, kinds: str) -> None:
    """Whatever stands around them, and though a type may stand in itself."""
    assert plan_of(model).kinds == kinds


class Lines(BaseModel):
    lines: list[str]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"lines": value} if isinstance(value, list) else value


class Low(BaseModel):
    model_config = ConfigDict(str_to_lower=True)
    text: str = ""
    by: dict[str, dict[str, str]] = {}
    either: str | int = ""
    several: int | list[str] = 0


class LowRoot(RootModel[dict[str, list[str]]]):
    model_config = ConfigDict(str_to_lower=True)


@pydantic_dataclass(config=ConfigDict(str_to_lower=True))
class LowData:
    name: str
    names: list[str]


class LowDict(TypedDict):
    __pydantic_config__ = ConfigDict(str_to_lower=True)  # type: ignore[misc]
    name: str
    names: list[str]


def shorter(of: Any) -> Any:
    """A list with all that may be said of one."""
    return core_schema.list_schema(
        of(int),
        min_length=1,
        max_length=2,
        fail_fast=False,
        strict=False,
        ref="s",
        metadata={},
        serialization=core_schema.to_string_ser_schema(),
    )


def smaller(of: Any) -> Any:
    """The same of a dict."""
    schema: Any = core_schema.dict_schema(of(str), of(int), min_length=1, max_length=2, strict=False, ref="d", metadata={})
    return {**schema, **({} if IS_OLD else {"fail_fast": False}), "serialization": core_schema.to_string_ser_schema()}


def told(value: Any, info: ValidationInfo) -> Any:
    return (value, (info.config or {}).get("title"))


class Told(RootModel[Annotated[list[int], AfterValidator(told)]]):
    pass


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    text: str = Field(alias="Text")


class OnlyByName(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=False)
    text: str = Field(alias="Text")


class Either(BaseModel):
    text: str = Field(validation_alias=AliasChoices("Text", AliasPath("T")))
    number: int = Field(0, validation_alias=AliasPath("N"))


class Far(BaseModel):
    text: str = Field(validation_alias=AliasChoices("Text", AliasPath("T", 0)))


class Tags(StrEnum):
    A = "a"
    B = "b"


class One(BaseModel):
    kind: Literal[Tags.A] = Field(alias="Kind")
    text: str = ""


class Other(BaseModel):
    kind: Literal[Tags.B] = Field(alias="Kind")


@dataclasses.dataclass
class Scaled:
    x: int
    scale: dataclasses.InitVar[Annotated[int, Required]]
    notes: list[str]

    def __post_init__(self, scale: int) -> None:
        self.x *= scale


class Late(BaseModel):
    text: str = ""
    x: Annotated[list[int], BeforeValidator(lambda value, info: value if info.mode == "json" else None), Required]


def marked(kind: Any, default: Any = ...) -> Any:
    return list[create_model("Model", x=(kind, default), text=(str, ""))]  # type: ignore[misc]  # it is a type


class Counted(BaseModel):
    x: int

    def __init__(self, x: int) -> None:
        super().__init__(x=x + 1)


class Holder(RootModel[Annotated[Annotated[One, AfterValidator(told)] | Other, Field(discriminator="kind")]]):
    pass


class Small(BaseModel):
    kind: Literal["small"]
    text: str


class Big(BaseModel):
    kind: Literal["big"]
    text: str


class SmallDict(TypedDict):
    kind: Literal["small"]
    text: str


class BigDict(TypedDict):
    kind: Literal["big"]
    text: str


Choice = Annotated[Annotated[Small, Whole] | Big, Field(discriminator="kind")]
SizeDicts = Annotated[Annotated[SmallDict, Whole] | BigDict, Field(discriminator="kind")]
Key = TypeAliasType("Key", Annotated[str, Required])
SameKey = TypeAliasType("SameKey", Key)
ToldKey = TypeAliasType("ToldKey", Annotated[Key, Field(description="a key")])
HeldSmall = TypeAliasType("HeldSmall", Annotated[Small, Whole])
HeldTold = TypeAliasType("HeldTold", Annotated[list[str], AfterValidator(told), Whole])


def keyed(kind: Any, *names: str) -> Any:
    """A model with a field, and others of one kind. Of what is there twice pydantic's schema has references."""
    return create_model("Keyed", text=(str, None), **dict.fromkeys(names, (kind, None)))  # type: ignore[call-overload]


PLAIN = PlainValidator(same)
STRING = core_schema.str_schema(strict=True, ref="t", metadata={}, serialization=core_schema.to_string_ser_schema())


class TextDict(TypedDict):
    text: str


ALIASED = core_schema.typed_dict_schema(
    {"text": core_schema.typed_dict_field(core_schema.str_schema(), validation_alias="Text")}, cls=TextDict
)
BULLET_A = "Partial[Bullet](id=None, text='a', when=None)"

SHOWN: list[tuple[Any, str, list[str]]] = [
    # What only one of several choices can take is shown as that.
    (list[Bullet] | Bullet, '{"text":"a|', [BULLET_A]),
    (list[Bullet] | Bullet, '[{"text":"a|', [f"[{BULLET_A}]"]),
    (int | Any, '[{"a":1},|[2,|3]]', ["[{'a': 1}]", "[{'a': 1}, [2]]", "[{'a': 1}, [2, 3]]"]),
    (Lines | list[int], '["1"|,"x"|]', ["", "", "Lines(lines=['1', 'x'])"]),
    (Annotated[Lines | Circle, CHECKED] | list[int], '["1"|,"x"|]', ["", "", "Lines(lines=['1', 'x'])"]),
    (Annotated[Lines, CHECKED] | list[int], '["1"|,"x"|]', ["", "", "Lines(lines=['1', 'x'])"]),
    (Bullet | Iterable[str], '{"id":1,|"text":"a"|}', ["", "", repr(TypeAdapter(Iterable[str]).validate_json("{}"))]),
    (Iterable[str] | list[int], "[1|,2|]", ["", "", repr(TypeAdapter(Iterable[str]).validate_json("{}"))]),
    (Annotated[Sizes | Bullet, Field(union_mode="left_to_right")], '{"id":1|,"text":2|}', ["", "", "Sizes(root=[1, 2])"]),
    # A string is not, if it is not sure that it stays what it is.
    (str | int, '"1|2"', ["'1'", "'12'"]),
    (int | Any, '"a|b"', ["", "'ab'"]),
    (date | str, '"2024|-01-02"', ["", "datetime.date(2024, 1, 2)"]),
    (Annotated[int | str, AfterValidator(seen)], '"a|"', ["", "('seen', 'a')"]),
    (Annotated[int | str, Field(union_mode="left_to_right")], '"1|2"', ["", "12"]),
    (Annotated[str | list[int], Field(union_mode="left_to_right")], '"1|2"', ["'1'", "'12'"]),
    (Annotated[str, Field(max_length=3)] | int, '"1|2"', ["", "'12'"]),
    (Low, '{"either":"B|"', ["Partial[Low](text=None, by=None, either=None, several=None)"]),
    # What stands around a value, and changes nothing while it grows.
    (schemed(lambda of: core_schema.custom_error_schema(of(list[int]), "mine", custom_error_message="no")), "[1,|2", ["[1]"]),
    (schemed(lambda of: core_schema.with_default_schema(of(list[int]), default=[7])), "[1,|2", ["[1]"]),
    (Sequence[int], "[1,|2", ["[1]"]),
    (list[Annotated[Node, Required]], '[{"name":"a|', ["[Partial[Node](name='a', children=None, parent=None)]"]),
    (Any | None, '"a|b"', ["'a'", "'ab'"]),
    # And what may change it.
    (
        of(list, schemed(lambda of: core_schema.with_default_schema(of(list[int]), default=[7], on_error="default"))),
        '[[1,|"x"],|[1,|2]]',
        ["[]", "[[7]]", "[[7]]", "[[7], [1, 2]]"],
    ),
    (schemed(lambda of: core_schema.chain_schema([of(list[int]), of(tuple[int, ...])])), "[2,|1]", ["", "(2, 1)"]),
    # Of what may be anything all is shown, and a validator sees only the whole.
    (Annotated[Any, AfterValidator(seen)], '{"a":["x|y",1|]}', ["{'a': ['x']}", "{'a': ['xy']}", "('seen', {'a': ['xy', 1]})"]),
    (Annotated[Any, AfterValidator(seen)], '[{"a":"x|y"},[1|]]', ["[{'a': 'x'}]", "[{'a': 'xy'}, []]", "('seen', [{'a': 'xy'}, [1]])"]),
    (Annotated[Any, AfterValidator(seen)], '"a|"', ["", "('seen', 'a')"]),
    (RootModel[Any], '{"a":"x|y"}', ["Partial[RootModel[Any]](root={'a': 'x'})", "RootModel[Any](root={'a': 'xy'})"]),
    (RootModel[Any], '["x|y"]', ["Partial[RootModel[Any]](root=['x'])", "RootModel[Any](root=['xy'])"]),
    # Roots in roots.
    (RootModel[RootModel[list[int]]], "[1,|2", ["Partial[RootModel[RootModel[list[int]]]](root=Partial[RootModel[list[int]]](root=[1]))"]),
    (RootModel[Bullet], '{"text":"a|', [f"Partial[RootModel[Bullet]](root={BULLET_A})"]),
    # What a config says.
    (LowRoot, '{"A|":["X|Y",|"Z"]}', [f"Partial[LowRoot](root={root})" for root in ("{}", "{'a': []}", "{'a': ['xy']}")] + ["LowRoot(root={'a': ['xy', 'z']})"]),
    (Low, '{"by":{"A":{"B":"C|D",|', [f"Partial[Low](text=None, by={by}, either=None, several=None)" for by in ("{'a': {}}", "{'a': {'b': 'cd'}}")]),
    (Low, '{"several":["A|B",|', [f"Partial[Low](text=None, by=None, either=None, several={several})" for several in ("[]", "['ab']")]),
    (LowData, '{"names":["A|B",|', ["Partial[LowData](name=None, names=[])", "Partial[LowData](name=None, names=['ab'])"]),
    (LowDict, '{"names":["A|B",|', ["Partial[LowDict](name=None, names=[])", "Partial[LowDict](name=None, names=['ab'])"]),
    (Holder, '{"Kind":"a","text":"a|"}', [f"Partial[Holder](root=Partial[One](kind={Tags.A!r}, text='a'))", f"Holder(root=(One(kind={Tags.A!r}, text='a'), 'Holder'))"]),
    (Told, "[1,|2]", ["Partial[Told](root=[1])", "Told(root=([1, 2], 'Told'))"]),
    # The keys of fields, and of what tells choices apart.
    (ByName, '{"text":"a|b"}', ["Partial[ByName](text='a')", "ByName(text='ab')"]),
    (ByName, '{"Text":"a|b"}', ["Partial[ByName](text='a')", "ByName(text='ab')"]),
    *([] if IS_OLD else [
        (OnlyByName, '{"text":"a|b"}', ["Partial[OnlyByName](text='a')", "OnlyByName(text='ab')"]),
        (OnlyByName, '{"Text":"a|', ["Partial[OnlyByName](text=None)"]),
    ]),
    (Either, '{"Text":"a|b","N":1}', ["Partial[Either](text='a', number=None)", "Either(text='ab', number=1)"]),
    (Either, '{"T":"a|b"}', ["Partial[Either](text='a', number=None)", "Either(text='ab', number=0)"]),
    (Either, '{"text":"a|', ["Partial[Either](text=None, number=None)"]),
    (schemed(lambda _: {**ALIASED, "populate_by_name": True}), '{"text":"a|', ["Partial[TextDict](text='a')"]),  # as pydantic 2.10 says it
    (schemed(lambda _: ALIASED), '{"text":"a|', ["Partial[TextDict](text=None)"]),
    (Far, '{"Text":"a|b"}', ["", "Far(text='ab')"]),
    (Far, '{"T":["a|b"]}', ["", "Far(text='ab')"]),
    (Annotated[One | Other, Field(discriminator="kind")], '{"Kind":"a","text":"a|', [f"Partial[One](kind={Tags.A!r}, text='a')"]),
    (Annotated[list[int], Tag("numbers")] | int, "[1,|2", ["[1]"]),
    # Of which fields an object is shown; of none, if its own `__init__` is to see them.
    (Counted, '{"x":1|}', ["", "Counted(x=2)"]),
    (list[Scaled], '[{"x":2,|"scale":3,|"notes":["a|"]}]', ["[]", "[Partial[Scaled](x=2, notes=None)]", "[Partial[Scaled](x=2, notes=['a'])]", "[Scaled(x=6, notes=['a'])]"]),
    (list[Late], '[{"text":"a|","x":[3]|,"text":"b|"}]', ["[]", "[Partial[Late](text='a', x=None)]", "[Partial[Late](text='b', x=None)]", "[Late(text='b', x=[3])]"]),
    (marked(Annotated[int, Required]), '[{"text":"a|","x":3,|"text":"b|', ["[]", "[Partial[Model](x=3, text='a')]", "[Partial[Model](x=3, text='b')]"]),
    (marked(Annotated[int, Required], 5), '[{"text":"a|","x":3,|', ["[]", "[Partial[Model](x=3, text='a')]"]),
    (marked(Annotated[int, Required, CHECKED]), '[{"text":"a|","x":3,|', ["[]", "[Partial[Model](x=3, text='a')]"]),
    (marked(Annotated[int, Required, WrapValidator(lambda value, then: then(value))]), '[{"text":"a|","x":3,|', ["[]", "[Partial[Model](x=3, text='a')]"]),
    (marked(Annotated[int, PLAIN, Required]), '[{"text":"a|","x":3,|', ["[]", "[Partial[Model](x=3, text='a')]"]),
    (marked(Annotated[int, Required, PLAIN]), '[{"text":"a|', ["[Partial[Model](x=None, text='a')]"]),
    (marked(of(Union, Annotated[int, Required], None)), '[{"text":"a|', ["[Partial[Model](x=None, text='a')]"]),
    # What is marked is withheld, or withholds its object, wherever it stands.
    (Annotated[str, Whole] | int, '"a|b"', ["", "'ab'"]),
    (int | Annotated[str, Whole] | None, '"a|b"', ["", "'ab'"]),
    (Annotated[str, Whole] | Bullet, '"a|b"', ["", "'ab'"]),
    (Annotated[str, Whole] | Bullet, '{"text":"a|', [BULLET_A]),
    (Annotated[str, Whole] | list[str], '["a|b"]', ["['a']", "['ab']"]),
    (of(list, Annotated[str, Whole] | int), '["a|",1]', ["[]", "['a', 1]"]),
    (Choice, '{"kind":"small","text":"a|"}', ["", "Small(kind='small', text='a')"]),
    (Choice, '{"kind":"big","text":"a|"}', ["Partial[Big](kind='big', text='a')", "Big(kind='big', text='a')"]),
    (of(list, SizeDicts), '[{"kind":"small","text":"a|"},|{"kind":"big","text":"b|"}]', ["[]", "[{'kind': 'small', 'text': 'a'}]", "[{'kind': 'small', 'text': 'a'}, Partial[BigDict](kind='big', text='b')]"]),
    (keyed(HeldSmall, "x", "y"), '{"x":{"kind":"small"|,"text":"a"}|', ["Partial[Keyed](text=None, x=None, y=None)", "Partial[Keyed](text=None, x=Small(kind='small', text='a'), y=None)"]),
    (keyed(Annotated[list[str], AfterValidator(told), Whole], "x"), '{"x":["a|"],"text":"b|', ["Partial[Keyed](text=None, x=None)", "Partial[Keyed](text='b', x=None)"]),
    (keyed(HeldTold, "x", "y"), '{"x":["a|"],"text":"b|', ["Partial[Keyed](text=None, x=None, y=None)", "Partial[Keyed](text='b', x=None, y=None)"]),
    *(
        (of(list, keyed(key, "x", "y")), '[{"text":"a|","x":"b"|,"y":"c"|}]', ["[]", "[]", "[Partial[Keyed](text='a', x='b', y='c')]"])
        for key in (Key, SameKey, ToldKey, Annotated[Key, Field(description="another")])
    ),
    # What is required of an object and waits for it is not there before.
    (of(list, keyed(Annotated[str, Required, AfterValidator(told)], "x")), '[{"x":"b",|"text":"a|"}]', ["[]", "[]"]),
    (of(list, keyed(Annotated[list[str], AfterValidator(told), Required], "x")), '[{"x":["b|"],|"text":"a|"}]', ["[]", "[]", "[]"]),
    # Lists, dicts and strings of which nothing is said, and of which all is.
    (list, '[1,|"a|', ["[1]", "[1, 'a']"]),
    (dict, '{"a":1,|"b":"a|', ["{'a': 1}", "{'a': 1, 'b': 'a'}"]),
    (schemed(lambda _: core_schema.list_schema()), '[1,|"a|', ["[1]", "[1, 'a']"]),
    (schemed(lambda _: core_schema.dict_schema()), '{"a":1,|"b":"a|', ["{'a': 1}", "{'a': 1, 'b': 'a'}"]),
    (schemed(shorter), "[1,|2", ["[1]"]),
    (schemed(smaller), '{"a":1,|"b"', ["{'a': 1}"]),
    (schemed(lambda _: STRING), '"a|b"', ["'a'", "'ab'"]),
]  # fmt: skip


@pytest.mark.parametrize(("model", "text", "expected"), SHOWN, ids=itertools.count())
def test_what_is_shown(model: Any, text: str, expected: list[str]) -> None:
    """At each of these places, in whatever pieces the text up to there came; and at the end what pydantic gives."""
    for size in (1, 3, len(text)):
        reading = Typed(model)
        parser = Parser(reading)
        last = ""
        for part, want in zip(text.split("|"), expected, strict=False):
            for at in range(0, len(part), size):
                parser.feed(part[at : at + size])
                last = "".join(map(repr, reading.given())) or last
            if parser.is_complete:
                assert want == repr(TypeAdapter(model).validate_json(text.replace("|", "")))
                last = repr(reading.finish()[0])
            assert last == want


@pytest.mark.parametrize("text", ["[]", "[1]", "[1,2]", "[1,2,3]", "{}", '{"a":1}', '{"a":1,"b":2}', '{"a":1,"b":2,"c":3}'])
def test_lists_and_dicts_have_as_many_items_as_they_may(text: str) -> None:
    """Not fewer, and no more."""
    for model in (
        schemed(shorter),
        schemed(smaller),
        Annotated[list[int], Field(min_length=1)],
        Annotated[dict[str, int], Field(max_length=2)],
    ):
        assert_reads(model, text)


# ---------------------------------------------------------------------- validators that see the fields before


def with_fields(value: Any, info: ValidationInfo) -> Any:
    """A list, and the names of the fields before it behind that."""
    return [*value, *map(str, info.data or ())] if isinstance(value, list) else value


AFTER = AfterValidator(with_fields)
BEFORE = BeforeValidator(with_fields)
WRAP = WrapValidator(lambda value, then, info: with_fields(then(value), info))
Names = list[str]
Nest = TypeAliasType("Nest", "list[Nest] | str")
Deep = TypeAliasType("Deep", "list[Annotated[list[Deep] | str, AFTER]]")


class Checked(BaseModel):
    n: str

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Checked:
        assert info.mode == "json"
        return self


class Loop(BaseModel):
    n: str
    loops: list[Loop] = []

    @model_validator(mode="after")
    def _first(self, info: ValidationInfo) -> Loop:
        return self

    @model_validator(mode="after")
    def _second(self, info: ValidationInfo) -> Loop:
        return self


@pydantic_dataclass
class CheckedData:
    n: str

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> CheckedData:
        return self


class Own(BaseModel):
    n: str
    x: Annotated[Names, AFTER]


@dataclasses.dataclass
class OwnData:
    n: str
    x: Annotated[Names, AFTER]


class OwnDict(TypedDict):
    n: str
    x: Annotated[Names, AFTER]


Twice = TypeAliasType("Twice", Annotated[list[str], AFTER])

FIELDS: list[tuple[Any, str, str, str, bool]] = [
    (Names, '["c|","d"]', "['c']", "['c', 'd']", True),
    (Annotated[Names, AFTER], '["c|","d"]', "['c']", "['c', 'd']", False),
    (Annotated[Names, CHECKED, AFTER], '["c|","d"]', "['c']", "['c', 'd']", False),
    (Annotated[Names, AFTER, CHECKED], '["c|","d"]', "['c']", "['c', 'd']", False),
    (Annotated[Names, BEFORE], '["c|","d"]', "None", "None", False),
    (Annotated[Names, BEFORE, CHECKED], '["c|","d"]', "None", "None", False),
    (Annotated[Names, BEFORE, AFTER], '["c|","d"]', "None", "None", False),
    (Annotated[Names, AFTER, BEFORE], '["c|","d"]', "None", "None", False),
    (Annotated[Names, WRAP], '["c|","d"]', "None", "None", False),
    (Annotated[str, AFTER], '"c|d"', "None", "None", False),
    (Annotated[str, BEFORE], '"c|d"', "None", "None", False),
    (of(Union, Annotated[Names, AFTER], None), '["c|","d"]', "None", "None", False),
    (list[Annotated[Names, AFTER]], '[["c|","d"]]', "None", "None", False),
    (dict[str, Annotated[Names, AFTER]], '{"x":["c|","d"]}', "None", "None", False),
    (tuple[str, Annotated[Names, AFTER]], '["e",["c|","d"]]', "None", "None", False),
    (Deep, '["c|","d"]', "None", "None", False),
    (Nest, '["c|","d"]', "['c']", "['c', 'd']", True),
    (Checked, '{"n":"c|"}', "Partial[Checked](n='c')", "Checked(n='c')", False),
    (Annotated[Checked, CHECKED], '{"n":"c|"}', "Partial[Checked](n='c')", "Checked(n='c')", False),
    (Checked | None, '{"n":"c|"}', "Partial[Checked](n='c')", "Checked(n='c')", True),
    (list[Checked], '[{"n":"c|"}]', "[Partial[Checked](n='c')]", "[Checked(n='c')]", True),
    (dict[str, Checked | None], '{"a":{"n":"c|"}}', "{'a': Partial[Checked](n='c')}", "{'a': Checked(n='c')}", True),
    (Loop, '{"n":"c|"}', "Partial[Loop](n='c', loops=None)", "Loop(n='c', loops=[])", False),
    (list[Loop], '[{"n":"c|"}]', "[Partial[Loop](n='c', loops=None)]", "[Loop(n='c', loops=[])]", True),
    (list[Annotated[Loop, AFTER]], '[{"n":"c|"}]', "[Partial[Loop](n='c', loops=None)]", "[Loop(n='c', loops=[])]", True),
    (list[CheckedData], '[{"n":"c|"}]', "[Partial[CheckedData](n='c')]", "[CheckedData(n='c')]", True),
    (Own, '{"n":"c","x":["d|"]}', "Partial[Own](n='c', x=['d'])", "Own(n='c', x=['d', 'n'])", True),
    (OwnData, '{"n":"c","x":["d|"]}', "Partial[OwnData](n='c', x=['d'])", "OwnData(n='c', x=['d', 'n'])", True),
    (list[OwnDict], '[{"n":"c","x":["d|"]}]', "[Partial[OwnDict](n='c', x=['d'])]", "[{'n': 'c', 'x': ['d', 'n']}]", True),
    (Twice, '["c|","d"]', "['c']", "['c', 'd']", False),
    (Annotated[Twice, CHECKED], '["c|","d"]', "['c']", "['c', 'd']", False),
]


@pytest.mark.parametrize("default", [{}, {"default_factory": list}, {"default_factory": list, "validate_default": True}], ids=str)
@pytest.mark.parametrize(("kind", "text", "growing", "complete", "is_finished"), FIELDS, ids=itertools.count())
def test_a_validator_that_sees_the_fields_before_its_own_waits_for_them(
    default: dict[str, Any], kind: Any, text: str, growing: str, complete: str, is_finished: bool
) -> None:
    """What stands inside of it is shown, if nothing comes before that; its field is finished with the object."""
    again: dict[str, Any] = {"y": (kind, None)} if default else {}  # of what is there twice pydantic's schema has references
    model: Any = create_model("Model", a=(str, ...), x=(kind, Field(**default)), z=(str, ""), **again)
    start = '{"a":"b","x":' + text.split("|", maxsplit=1)[0]
    whole = '{"a":"b","x":' + text.replace("|", "")
    for so_far, x, z in ((start, growing, None), (whole, complete, None), (whole + ',"z":"e', complete, "e")):
        value = partial(model, so_far)
        assert (value.a, repr(value.x), value.z) == ("b", x, z)
        assert unfinished(value) == (("z", *again) if is_finished and so_far != start else ("x", "z", *again))
    for document in (whole + "}", '{"z":"e",' + whole[9:] + ',"a":"b"}', '{"a":"b"}', '{"a":"b","x":3}'):
        assert_reads(model, document)


def assert_reads(model: Any, text: str) -> None:
    """The last value is pydantic's, or its errors are, however the text is cut; what is valid is shown as it closes."""
    want = result(lambda: TypeAdapter(model).validate_json(text))
    half = len(text) // 2
    for pieces in ([text], [text[:half], text[half:]], list(text)):
        assert result(lambda: read(model, pieces)[-1]) == want  # noqa: B023  # it is called here
    if type(want) is tuple:
        reading = Typed(list[model])
        parser = Parser(reading)
        for char in f"[{text},{text},":
            parser.feed(char)
        [values] = reading.given()
        assert [result(lambda: value) for value in values] == [want, want]  # noqa: B023


def result(validate: Callable[[], Any]) -> Any:
    try:
        value = validate()
    except ValidationError as error:
        return [(each["type"], each["loc"]) for each in error.errors()]
    return type(value), repr(value), getattr(value, "model_fields_set", ()), getattr(value, "__dict__", value)


# ---------------------------------------------------------------------- what a schema says of fields


SEEING = BeforeValidator(lambda value, info: value if info.data is not None else None)


class Tree(BaseModel):
    model_config = ConfigDict(str_to_lower=True, validate_default=True, extra="allow")
    name: str
    raw: Annotated[str, SEEING] = "X"
    trees: Annotated[list[Tree], SEEING] = []


@pydantic_dataclass(config=ConfigDict(str_to_lower=True, validate_default=True))
class TreeData:
    name: str
    raw: Annotated[str, SEEING] = "X"
    trees: Annotated[list[TreeData], SEEING] = dataclasses.field(default_factory=list)


class TreeDict(TypedDict):
    __pydantic_config__ = ConfigDict(str_to_lower=True, extra="allow")  # type: ignore[misc]
    name: str
    raw: Annotated[str, SEEING]
    trees: Annotated[list[TreeDict], SEEING]


class LaterDict(TypedDict):
    __pydantic_config__ = ConfigDict(str_to_lower=True, extra="forbid")  # type: ignore[misc]
    name: str
    raw: Annotated[str, SEEING]


@pytest.mark.parametrize("model", [Tree, TreeData, TreeDict, LaterDict])
def test_what_waits_for_its_object_is_validated_as_its_class_says(model: Any) -> None:
    """Of a class that stands in itself as well, and of one that does not."""
    for text in (
        '{"name":"A","raw":"B"}',
        '{"name":"A","raw":"B","trees":[]}',
        '{"name":"A","trees":[{"name":"B","raw":"C","trees":[]}],"raw":"D","more":{"x":"E"}}',
        '{"raw":"A","trees":[{"name":"B","trees":[{}]}]}',
    ):
        assert_reads(model, text)


Anything = TypeAliasType("Anything", Any)


class Anythings(BaseModel):
    one: Annotated[Anything, AfterValidator(seen)]
    other: Anything = None


@pytest.mark.parametrize(
    "model", [int | Any, list[Bullet] | Bullet, Annotated[Any, AfterValidator(seen)], RootModel[Any], list[Node], Sequence[Point]]
)
def test_an_array_of_which_much_comes_at_once_is_read_as_any_other(model: Any) -> None:
    """Its elements come whole then."""
    for each in ({"id": 1, "text": "a", "name": "b", "x": 1}, {"text": [1], "name": {}, "notes": [{}]}):
        assert_reads(model, json.dumps([each] * 20))
        assert_reads(model, json.dumps([{"id": 1, "text": "a", "name": "b", "x": 1}] * 20 + [each]))
        assert_reads(Anythings, json.dumps({"one": [each] * 20, "other": [each] * 20}))


class OpenDict(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    name: str


class ClosedDict(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    name: str


class PartDict(TypedDict, total=False):
    a: TypingRequired[str]
    b: str


@pydantic_dataclass(config=ConfigDict(extra="allow"))
class OpenData:
    name: str


@pydantic_dataclass(config=ConfigDict(extra="forbid"))
class ClosedData:
    name: str


STRICT_DICT = core_schema.typed_dict_schema(
    {"name": core_schema.typed_dict_field(core_schema.str_schema())}, extra_behavior="forbid", cls=OpenDict
)


@pytest.mark.parametrize("model", [OpenDict, ClosedDict, OpenData, ClosedData, Movie, schemed(lambda _: STRICT_DICT)])
@pytest.mark.parametrize("text", ['{"name":"a","more":[1]}', '{"more":1,"name":"a"}', '{"name":"a"}', "{}"])
def test_keys_that_are_no_fields_are_kept_ignored_or_refused_as_the_class_says(model: Any, text: str) -> None:
    """Also those of typed dicts and dataclasses."""
    assert_reads(model, text)
    assert_reads(list[model], f"[{text}]")


class PlaceDict(TypedDict):
    x: Any


@dataclasses.dataclass
class Bare:
    x: Any


SHAPING: list[tuple[ConfigDict, Any, str]] = [
    (ConfigDict(str_to_lower=True), str, '"A"'),
    (ConfigDict(str_to_upper=True), str, '"a"'),
    (ConfigDict(str_strip_whitespace=True), str, '" a"'),
    (ConfigDict(str_min_length=2), str, '"a"'),
    (ConfigDict(str_max_length=1), str, '"ab"'),
    (ConfigDict(allow_inf_nan=False), float, "1e999"),
    (ConfigDict(strict=True), int, '"1"'),
]


@pytest.mark.parametrize(("config", "kind", "text"), SHAPING, ids=str)
def test_what_a_config_says_of_values_holds_wherever_they_stand(config: ConfigDict, kind: Any, text: str) -> None:
    """In fields, lists, dicts, choices, references and what has no config of its own; and a string that it changes is not shown before."""
    part = schemed(lambda of: core_schema.typed_dict_schema({"x": core_schema.typed_dict_field(of(kind))}, cls=PlaceDict))
    data = schemed(
        lambda of: core_schema.dataclass_schema(
            Bare, core_schema.dataclass_args_schema("Bare", [core_schema.dataclass_field("x", of(kind))]), ["x"]
        )
    )
    either = schemed(lambda of: core_schema.tagged_union_schema({"a": of(tagged(kind))}, "kind"))
    places: list[tuple[Any, str]] = [
        (kind, text),
        (kind | None, text),
        (list[kind], f"[{text}]"),
        (dict[str, kind], f'{{"k":{text}}}'),
        (kind | list[kind], f"[{text}]"),
        (part, f'{{"x":{text}}}'),
        (list[part], f'[{{"x":{text}}}]'),  # type: ignore[valid-type]
        (data, f'{{"x":{text}}}'),
        (either, f'{{"kind":"a","x":{text}}}'),
        (Annotated[list[kind], AFTER], f"[{text}]"),
        (Annotated[list[kind], BEFORE], f"[{text}]"),
    ]
    for each, document in places:
        model: Any = create_model("Model", x=(each, ...), __config__=config)
        assert_reads(model, f'{{"x":{document}}}')
        root: Any = type("Root", (RootModel,), {"model_config": config, "__annotations__": {"root": each}})
        assert_reads(root, document)
    if kind is str:
        assert (
            repr(partial(create_model("Model", x=(str, ...), __config__=config), '{"x":' + text[:-1])) == "Partial[Model](x=None)"
        )


def tagged(kind: Any) -> Any:
    fields = {"kind": core_schema.typed_dict_field(core_schema.str_schema())}
    return schemed(lambda of: core_schema.typed_dict_schema({**fields, "x": core_schema.typed_dict_field(of(kind))}, cls=PlaceDict))


DEFAULTS: list[tuple[Any, Any]] = [
    (int, "5"),
    (int, "no"),
    (str, "a"),
    (str, "x"),
    (list[int], ["1", 2]),
    (Annotated[list[int], CHECKED], ["1", 2]),
    (Annotated[Names, AFTER], ["c"]),
    (Annotated[Names, AFTER, CHECKED], ["c"]),
    (Annotated[Names, BEFORE], ["c"]),
    (Annotated[str, AFTER], "a"),
    (Bullet | None, {"id": 1, "text": "a"}),
    (Twice, ["a"]),
]


@pytest.mark.parametrize(("kind", "default"), DEFAULTS, ids=str)
def test_a_default_that_is_to_be_validated_is(kind: Any, default: Any) -> None:
    """Whatever stands around it, and though it may read like the key of another field. Where it is not to be, it stays what it is."""
    options: list[Any] = [{}, {"validate_default": True}, {"validate_default": False}]
    for config in options:
        for field in options:
            model: Any = create_model(
                "Model",
                a=(str, ...),
                x=(kind, Field(default, **field)),
                y=(kind, Field(default, alias="why", **field)),
                __config__=config,
            )
            assert_reads(model, '{"a":"b"}')
            assert_reads(model, '{"x":"y","a":"b","why":["x"]}')
            assert_reads(model, '{"a":"x","x":["a"]}')


GIVEN = GetPydanticSchema(lambda of, handler: core_schema.with_default_schema(handler(of), default=["q", "x"]))
Given = TypeAliasType("Given", Annotated[Names, AFTER, GIVEN])
GivenPlain = TypeAliasType("GivenPlain", Annotated[Names, GIVEN])
GivenLate = TypeAliasType("GivenLate", Annotated[Names, GIVEN, AFTER])


@pytest.mark.parametrize("kind", [Given, GivenPlain, GivenLate, list[Given]], ids=str)
@pytest.mark.parametrize("config", [ConfigDict(), ConfigDict(validate_default=True)], ids=str)
def test_a_default_may_stand_in_what_several_fields_refer_to(kind: Any, config: ConfigDict) -> None:
    """It is that of each."""
    model: Any = create_model("Model", a=(str, ...), x=(kind, ...), y=(kind, ...), __config__=config)
    for text in (
        '{"a":"b"}',
        '{"a":"b","x":["c"]}',
        '{"a":"b","y":["c"]}',
        '{"a":"b","x":["c"],"y":[]}',
        '{"a":"b","x":["c"],"y":[1]}',
    ):
        assert_reads(model, text)


@pytest.mark.parametrize(
    ("model", "text", "missing"),
    [
        (Point, '{"scale":3,', ("x", "y", "name", "notes")),
        (Point, '{"scale":3,"notes":[],', ("x", "y", "name")),
        (Point, '{"name":"a","scale":3,"x":1,', ("y", "notes")),
        (Scaled, '{"scale":3,"notes":[],', ("x",)),
        (Movie, "{", ("title", "year", "cast")),
        (Movie, '{"year":1,', ("title", "cast")),
        (PartDict, '{"b":"x"', ("a",)),
        (Late, '{"x":[1],"text":"a",', ("x",)),
    ],
)
def test_what_is_missing_is_told_by_name(model: Any, text: str, missing: tuple[str, ...]) -> None:
    """Whichever fields of a class have no attribute; what only its `__post_init__` is given is not in it."""
    value = partial(model, text)
    assert unfinished(value) == missing
    assert "scale" not in getattr(value, "__dict__", value)


def test_a_typed_dict_shows_what_it_must_have() -> None:
    """`None` until it is there; the rest once it is."""
    assert [dict(partial(PartDict, text)) for text in ("{", '{"b":"x', '{"b":"x","a":"y')] == [
        {"a": None},
        {"a": None, "b": "x"},
        {"a": "y", "b": "x"},
    ]
    assert json.loads(to_json(partial(PartDict, '{"b":"x'))) == {"a": None, "b": "x"}
    for options, shown in (({}, {"a": None, "b": "x"}), ({"total": True}, {"a": None, "b": "x"}), ({"total": False}, {"b": "x"})):
        fields = {name: core_schema.typed_dict_field(core_schema.str_schema()) for name in "ab"}
        schema: Any = {**core_schema.typed_dict_schema(fields, cls=PartDict), **options}
        model = schemed(lambda _: schema)  # noqa: B023  # it is called here
        assert dict(partial(model, '{"b":"x')) == shown
        assert_reads(model, '{"b":"x"}')


def test_a_root_that_grows_is_not_finished() -> None:
    """Nor is one in it."""
    value = partial(RootModel[RootModel[list[int]]], "[1,")
    assert unfinished(value) == unfinished(value.root) == ("root",)


class Times(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float", ser_json_bytes="base64")
    one: timedelta
    several: list[timedelta]
    raw: dict[str, bytes]
    last: str


@pydantic_dataclass(config=Times.model_config)
class TimesData:
    one: timedelta
    several: list[timedelta]
    raw: dict[str, bytes]
    last: str


class TimesRoot(RootModel[list[timedelta]]):
    model_config = Times.model_config


@pytest.mark.parametrize("model", [Times, TimesData])
def test_complete_parts_are_written_as_the_config_says(model: Any) -> None:
    """As they are in the complete value."""
    text = '{"one":"PT1M","several":["PT2M"],"raw":{"a":"bcd"},"last":"'
    whole = json.loads(TypeAdapter(model).dump_json(TypeAdapter(model).validate_json(text + '"}')))
    assert json.loads(to_json(partial(model, text))) == whole == {"one": 60.0, "several": [120.0], "raw": {"a": "YmNk"}, "last": ""}
    assert json.loads(partial(TimesRoot, '["PT1M",').model_dump_json()) == [60.0]


class Counting(RootModel[list[str]]):
    @model_serializer
    def _counted(self) -> int:
        return len(self.root)


@pytest.mark.parametrize(
    ("kind", "text", "want"),
    [
        (Bullet, '{"id":1,', {"id": 1, "text": None, "when": None}),
        (list[Bullet], '[{"id":1,', [{"id": 1, "text": None, "when": None}]),
        (Bullets, '[{"id":1,', [{"id": 1, "text": None, "when": None}]),
        (dict[str, Bullet], '{"a":{"id":1,', {"a": {"id": 1, "text": None, "when": None}}),
        (tuple[Node, ...], '[{"name":"a"}],', [{"name": "a", "children": [], "parent": None}]),
        (Point, '{"x":1,"scale":2,', {"x": 1, "y": None, "name": None, "notes": None}),
        (Scaled, '{"x":1,"scale":2,', {"x": 1, "notes": None}),
        (Movie, '{"title":"a",', {"title": "a", "year": None}),
        (Counting, '["a","b', ["a", "b"]),
    ],
)
def test_what_grows_is_written_as_what_it_is(kind: Any, text: str, want: Any) -> None:
    """In whatever it stands; what is complete is written as ever, and what is no attribute is not."""
    value: Any = partial(create_model("Model", x=(kind, ...), y=(int, ...)), f'{{"x":{text}')
    assert json.loads(to_json(value)) == json.loads(value.model_dump_json()) == {"x": want, "y": None}


class PlainFields(BaseModel):
    first: Annotated[Bullet, PlainValidator(Bullet.model_validate)]
    text: str
    second: Bullet

    @field_validator("second", mode="plain")
    @classmethod
    def _made(cls, value: Any) -> Bullet:
        return Bullet.model_validate(value)

    @field_serializer("text")
    def _written(self, text: str) -> Bullet:
        return Bullet(id=0, text=text)


@pydantic_dataclass
class PlainData:
    first: Annotated[Bullet, PlainValidator(Bullet.model_validate)]
    nodes: Annotated[tuple[Node, ...], PlainSerializer(lambda nodes: [node.name for node in nodes])]
    second: Bullet | None = None


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (PlainFields, '{"first":{"id":1,"text":"a"},"text":"b",|"second":{"id":2,"text":"c"}}'),
        (PlainFields, '{"second":{"id":2,"text":"c"},|"text":"b","first":{"id":1,"text":"a"}}'),
        (PlainData, '{"first":{"id":1,"text":"a"},|"nodes":[{"name":"b"}]}'),
        (PlainData, '{"nodes":[{"name":"b"},{"name":"c","children":[{"name":"d"}]}],|"first":{"id":1,"text":"a"}}'),
    ],
)
def test_complete_parts_are_written_as_in_the_whole(model: Any, text: str) -> None:
    """Also where how they are written refers to other models, or they do."""
    whole = json.loads(to_json(TypeAdapter(model).validate_json(text.replace("|", ""))))
    value = partial(model, text.split("|", maxsplit=1)[0])
    missing = unfinished(value)
    assert 0 < len(missing) < len(whole)
    assert json.loads(to_json(value)) == {name: None if name in missing else part for name, part in whole.items()}


def test_a_field_of_whatever_name_may_refer_to_its_own_type() -> None:
    """Though schemas have other things under these names."""
    for name in ("metadata", "serialization", "default", "config", "expected", "members", "cls", "function", "type", "schema_ref"):
        field: dict[str, Any] = {name: (list[Node], ...)}
        model = create_model("Odd", **field)
        odd: Any = TypedDict("Odd", {name: list[Node]})  # type: ignore[misc]  # a name that is known when it runs
        for each in (model, Annotated[model, Whole], Annotated[odd, Whole]):
            assert_reads(each, json.dumps({name: [{"name": "a", "children": [{"name": "b"}]}]}))


class Doubled(BaseModel):
    number: int
    text: str = Field(alias="number", coerce_numbers_to_str=True)
    other: list[int] = []


@pytest.mark.parametrize("text", ['{"number": 1}', '{"other": [1, 2], "number": 12}', '{"number": "1"}', '{"number": []}'])
def test_two_fields_of_one_key_each_make_of_it_what_they_are(text: str) -> None:
    """What one has made of it is not the other's value."""

    def last(pieces: list[str]) -> Any:
        return list(sf.ParseJSON(Doubled, strict=True).iter(pieces))[-1]

    def outcome(make: Callable[[Any], Any], given: object) -> Any:
        try:
            return make(given)
        except ValidationError as error:
            return [(each["type"], each["loc"]) for each in error.errors()]

    assert outcome(last, [text]) == outcome(last, list(text)) == outcome(Doubled.model_validate_json, text)


def test_a_default_that_looks_like_a_schema_is_none() -> None:
    """It refers to nothing."""
    looks: Any = {"type": "definition-ref", "schema_ref": "nothing"}
    model: Any = create_model(
        "Model", a=(list[Node], ...), x=(dict[str, str], looks), y=(dict[str, str], Field(looks, json_schema_extra={"x": looks}))
    )
    for each in (model, Annotated[model, Whole]):
        assert_reads(each, '{"a":[{"name":"b"}]}')


def test_no_class_is_put_together_where_pydantic_takes_no_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither models nor dataclasses: they are withheld until they are complete. Typed dicts and lists need none."""
    monkeypatch.setattr(typed_schema, "takes_holes", lambda: False)
    for model, text, shown in (
        (list[Bullet], '[{"id":1,', "[]"),
        (list[Point], '[{"x":1,', "[]"),
        (list[Movie], '[{"year":1,', "[Partial[Movie](title=None, year=1)]"),
    ):
        assert repr(partial(_planned(model), text)) == shown


def test_a_pydantic_that_cannot_be_told_which_validator_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told nothing then; if it takes that of the class, no holes are used. What is read is right."""
    told: list[dict[str, Any]] = []

    def older(schema: Any, config: Any = None, **options: Any) -> SchemaValidator:
        told.append(options)
        if options:
            raise TypeError(f"unexpected keyword arguments: {options}")
        return SchemaValidator(schema, config)

    monkeypatch.setattr(typed_plan, "SchemaValidator", older)
    takes_holes = typed_plan.takes_holes.__wrapped__()
    monkeypatch.setattr(typed_schema, "takes_holes", lambda: takes_holes)
    assert told[:2] == [{"_use_prebuilt": False}, {}]
    plan = _planned(list[Low])
    assert typed_plan._built(core_schema.str_schema(), {"str_to_lower": True}).validate_json('"A"') == "a"
    text = '[{"text":"A","by":{"B":{"C":"D"}}},{"text":"E"}]'
    for pieces in ([text], list(text)):
        assert read(plan, pieces)[-1] == [Low(text="a", by={"b": {"c": "d"}}), Low(text="e")]


def test_whether_holes_are_taken_is_asked_of_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not, if it validates by the class instead, whether that refuses what is in the hole or makes something else of it."""
    for validate in (Bullet.__pydantic_validator__, SchemaValidator(core_schema.no_info_plain_validator_function(lambda _: Low()))):
        monkeypatch.setattr(typed_plan, "_built", lambda schema, config: validate)  # noqa: B023
        assert not typed_plan.takes_holes.__wrapped__()
