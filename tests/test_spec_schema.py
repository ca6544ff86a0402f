"""The schema of declarations: it accepts what `load` accepts, and nothing else but what no schema can tell, of which there is a list."""

from __future__ import annotations

import copy
import importlib.util
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_spec import IMPORTS, KNOWN, OBJECTS, STAGES, VALIDATOR, any_stage

import streamfilter as sf
from streamfilter.spec.stages import all_stages

jsonschema = pytest.importorskip("jsonschema")


def test_the_schema_is_one() -> None:
    """It obeys its own metaschema, and every stage and field in it says what it is for."""
    schema = sf.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, cls in all_stages().items():
        table = schema["$defs"][f"stage.{name}"]
        assert len(table["description"]) > 10, name
        if cls is not sf.Pipeline:
            undescribed = [
                field for field, told in table["properties"].items() if "description" not in told and "anyOf" not in told
            ]
            assert not undescribed, f"{name}: {undescribed}"


def declaring(**stage: Any) -> dict[str, Any]:
    """A document of one stage."""
    return {"version": 1, "pipeline": {"main": [stage]}}


def redacting(**rule: Any) -> dict[str, Any]:
    return declaring(stage="redact", rules=[rule])


def asking(**check: Any) -> dict[str, Any]:
    """One that asks a service."""
    return declaring(stage="moderate", check={"use": "openai_moderation", "client": "client", **check})


CONCEALED: list[tuple[str, dict[str, Any]]] = [
    # whether a pattern is one, can be streamed, and goes with its named lists, flags and template
    (r"pattern is not valid|unused keyword argument", redacting(pattern="(")),
    (r"pattern (cannot be streamed|looks back|has [\d,]+ characters|is nested)", redacting(pattern=r"a\Kb")),
    (r"pattern of .* matches the empty text", declaring(stage="citations", patterns=[{"pattern": "a*"}])),
    (r"to is not a valid template for this pattern", declaring(stage="replace", pattern={"pattern": "a"}, to=r"\1")),
    (r"words\.\d+: nothing is left of it", redacting(words=["\u00ad"], fold="nfkc")),
    # how two numbers, or a number and a text, compare
    (r"suffix has \d+ characters", declaring(stage="limit", max_chars=1, suffix="...")),
    (r"max_period is \d+, less than", declaring(stage="repetition", min_chars=40, max_period=39)),
    (r"min_chars is \d+, and max_chars", declaring(stage="sentences", min_chars=9, max_chars=8)),
    (r"max_chars: with '(chars|cumulative)'", declaring(stage="segments", boundary={"by": "chars", "size": 3, "max_chars": 4})),
    (r"max_chars is \d+, and a tag may have", declaring(stage="extract", tags=["think"], unclosed="keep", max_chars=3)),
    (r"an index is at most", declaring(stage="json_text", path="$[9999999999999999]")),
    # whether two of several are alike
    (
        r"two different rules are named",
        declaring(stage="redact", rules=[{"name": "n", "pattern": "a"}, {"name": "n", "pattern": "b"}]),
    ),
    (r"two tags are opened alike", declaring(stage="extract", tags=["a", ["<a>", "b"]])),
    (r"opening and closing marker are equal", declaring(stage="extract", tags=[["$", "$"]], nested=True)),
    (r"cannot tell a marker that opens", declaring(stage="extract", tags=[["$", "$"]], begins="inside")),
    (r"a character stands there twice", declaring(stage="translate", table={"a": "b", "U+0061": "c"})),
    (r"no kind of channel '\w+': did you mean", declaring(stage="words", channels=["reasonning"])),
    (r"a category is given twice", asking(thresholds={"self_harm": 1, "self-harm": 1})),
    # what an import gives, and what a live object can do
    (r"cannot import|is not defined there", declaring(stage="map_text", fn="builtins:nothing")),
    (r"is no stage: a class", declaring(stage="builtins:str.upper")),
    (r"is no class|is a \w+: a function is needed", declaring(stage="extract", tags=["a"], to={"use": "builtins:str.upper"})),
    (r"a function is no model|pydantic can validate", declaring(stage="parse_json", model="loud")),
    (r"is async, and nobody would await", declaring(stage="collect", fn="mod")),
    (r"has no (moderations\.create|analyze)", asking(client="loud")),
    (r"means something else in a stream|ends something", declaring(stage="extract", tags=["a"], to={"use": "usage"})),
    # what is in the environment, in files, in other libraries
    (r"the environment variable .* is not set", redacting(words={"env": "NOBODY"})),
    (r"there is no file|is a directory|leads elsewhere|more than [\d,]+ bytes", redacting(words={"file": "none"})),
    (r"cannot be used: .*pip install", declaring(stage="moderate", check={"use": "presidio"})),
    # which stages can follow each other, and stand inside of others
    (r"a stage in the wrong place", {"version": 1, "pipeline": {"main": [{"stage": "parse_json"}, {"stage": "words"}]}}),
    (r"must wait, which|inside of FilterJSON stands", declaring(stage="filter_json", pipeline=[{"stage": "timeout", "first": 1}])),
    (r"no text stage for|works on items, not on text", declaring(stage="pipeline", parts=[], on=["answer"])),
]
"""What `load` refuses and no schema can: what the message says, and a document that is so. The guide has the same groups."""

UNICODE = r"a tag is given by its name|is no host|has more than one reading|to: only letters, digits|a path is \$ followed by"
"""What is refused of signs beyond ASCII: the patterns of the schema mean the same in every language, and know no tables of Unicode."""


def is_concealed(problem: str, document: Any) -> bool:
    """Whether a schema need not see this problem."""
    if re.search(UNICODE, problem):
        return not json.dumps(document, ensure_ascii=False).isascii()
    return any(re.search(pattern, problem) for pattern, _ in CONCEALED)


TOO = [*IMPORTS, "builtins:nothing"]
OBJECTS_TOO = {**KNOWN, "objects": {**OBJECTS, "usage": sf.Usage}}


@pytest.mark.parametrize(("pattern", "document"), CONCEALED, ids=[pattern[:40] for pattern, _ in CONCEALED])
def test_what_no_schema_can_tell(pattern: str, document: dict[str, Any]) -> None:
    """Each entry of the list is needed: there is a document that `load` refuses for this, and the schema accepts."""
    validator = jsonschema.Draft202012Validator(sf.json_schema(objects=OBJECTS_TOO["objects"], allow_imports=TOO))
    if "presidio" in str(document) and importlib.util.find_spec("presidio_analyzer"):
        pytest.skip("its library is installed")
    with pytest.raises(sf.SpecError) as caught:
        sf.load(document, allow_imports=TOO, **OBJECTS_TOO)
    assert re.search(pattern, caught.value.problem), caught.value.problem
    validator.validate(document)


# ------------------------------------------------------------------ documents with something changed

NUMBERS: list[Any] = [0, 1, -1, 2, 3, 5, 9, 32, 0.5, -0.5, 1e-9, 10**7, 10**30, 1e308, 2.0, 2**63]
TEXTS = ["", "x", " ", "\n", "x\n", ".", "{rule}", "{rule!r}", "{x}", "{", "}}", "{{}}", "email", "PII", "every", "answer", "tool_arguments",
         "$", "$.a\n", "$..b[*]", "$['a", "$[01]", "$[-1]", "a.b", "a..b", "(", "a`", "NFC", "de", "*.x.org", "*", "x.org:80", "x.org:65536",
         "x.org.:00080", "x.org:", "http://x", "https", "javascript", "a b", "[a]", "[a", "A" * 40, "A" * 300, "é", "\u200b", "*.é.org",
         "mod", "mod\n", "loud", "luhn", "print", "client", "ping", "found", "nobody", "os:system", "builtins:str.upper", "builtins:str.upper\n",
         "builtins:float", "decimal:Decimal", "think", "drop", "stop", "raise", "release", "\x00", "\r\n", "U+00AD", "U+110000", "cumulative",
         "sentence", "chars", "line"]  # fmt: skip
VALUES: list[Any] = [None, True, False, *NUMBERS, *TEXTS, [], ["answer"], [1], [["a", "b"]], [["$", "$"]], [["", "b"]], {}, {"none": True},
                     {"env": "SALT"}, {"env": ""}, {"use": "mod"}, {"use": "nobody"}, {"use": "mask"}, {"use": "placeholder"},
                     {"use": "mask", "keep_last": -1}, {"use": "hash", "salt": "short"}, {"pattern": "a"}, {"pattern": "a", "timeout": 0},
                     {"words": ["a"]}, {"words": []}, {"words": {"env": "OTHER"}}, {"by": "line"}, {"by": "words", "size": 0}, {"by": "chars"},
                     {"by": "line", "max_wait": 1}, {"by": "cumulative", "every": {"by": "cumulative"}}, {"use": "threshold", "model": "loud"},
                     [{"stage": "words"}], [{"stage": "redact", "rules": ["email"]}]]  # fmt: skip


def tables(document: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The tables in a document: of stages, of rules, and of what else has fields."""
    if isinstance(document, dict) and depth > 1:
        yield document
    for each in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from tables(each, depth + 1)


def other(value: Any, chance: random.Random) -> Any:
    """Another value, mostly of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return chance.choice(NUMBERS)
    if isinstance(value, str):
        return chance.choice(TEXTS)
    if isinstance(value, list) and value:
        place = chance.randrange(len(value))
        match chance.choice(["twice", "less", "other", "more"]):
            case "twice":
                return [*value, copy.deepcopy(value[place])]
            case "less":
                return value[:place] + value[place + 1 :]
            case "other" if not isinstance(value[place], dict):
                return [*value[:place], other(value[place], chance), *value[place + 1 :]]
            case _:
                return [*value, chance.choice(TEXTS)]
    return copy.deepcopy(chance.choice(VALUES))


def changed(document: Any, chance: random.Random, known: dict[str, list[Any]]) -> Any:
    """A document with one or two things changed: a field's value, a field more, a field less, another name.

    Args:
        known: values that fields of a name have had elsewhere.
    """
    document = copy.deepcopy(document)
    for _ in range(chance.choice([1, 1, 2])):
        places = [*tables(document)]
        if not places:
            break
        table = chance.choice(places)
        definition = VALIDATOR.schema["$defs"].get(f"stage.{table.get('stage')}", {})
        fields = [*definition.get("properties", {})] or [*table]
        match chance.choice(["more", "more", "other", "other", "known", "less", "name"]):
            case "more":
                field = chance.choice([*fields, "extra", "on", "name", "use"])
                table[field] = copy.deepcopy(chance.choice(known[field] or VALUES))
            case "less" if table:
                del table[chance.choice([*table])]
            case "name" if table:
                field = chance.choice([*table])
                table[f"{field}x"] = table.pop(field)
            case "known" if table:
                field = chance.choice([*table])
                table[field] = copy.deepcopy(chance.choice(known[field] or VALUES))
            case _ if table:
                field = chance.choice([*table])
                table[field] = other(table[field], chance)
    return document


@given(st.lists(any_stage(tuple(STAGES)), min_size=4, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_schema_accepts_what_is_read_and_nothing_else(stages: list[Any], chance: random.Random) -> None:
    """Of documents with something changed: what loads is accepted; what is refused the schema refuses too, or it stands in the list of
    what no schema can tell."""
    documents = [sf.dump(stage, **KNOWN) for stage in stages]
    known: dict[str, list[Any]] = defaultdict(list)
    for document in documents:
        for table in tables(document):
            for field, value in table.items():
                known[field].append(value)
    for document in [changed(document, chance, known) for document in documents for _ in range(4)]:
        is_valid = VALIDATOR.is_valid(document)
        try:
            sf.load_all(document, allow_imports=IMPORTS, **KNOWN)
        except sf.SpecError as error:
            assert not is_valid or is_concealed(error.problem, document), (document, error.problem)  # noqa: PT017  # it may be raised or not
        else:
            assert is_valid, (document, next(VALIDATOR.iter_errors(document)).message)


TOP: list[Any] = [None, [], "x", {}, {"version": 1}, {"version": 2, "pipeline": {}}, {"version": True, "pipeline": {}}, {"version": "1", "pipeline": {}},
                  {"version": 1, "pipeline": []}, {"version": 1, "pipeline": {}}, {"version": 1.0, "pipeline": {}}, {"version": 1, "pipeline": {"": []}},
                  {"version": 1, "pipeline": {"a": {}}}, {"version": 1, "pipeline": {"a": []}}, {"version": 1, "pipeline": {"a": [1]}}, {"version": 1, "pipeline": {"a": [{}]}},
                  {"version": 1, "pipeline": {}, "$schema": "x"}, {"version": 1, "pipeline": {}, "$schema": 1}, {"version": 1, "pipeline": {}, "pipelines": {}},
                  {"version": 1, "pipeline": {"a": [{"stage": 1}]}}, {"version": 1, "pipeline": {"a": [{"stage": "none"}]}}]  # fmt: skip


@pytest.mark.parametrize("document", TOP, ids=repr)
def test_the_frame_of_a_document_is_what_the_schema_says(document: Any) -> None:
    """Version, names and arrays: the schema accepts what `load_all` accepts."""
    try:
        sf.load_all(document)
    except (sf.SpecError, TypeError):
        is_read = False
    else:
        is_read = True
    assert VALIDATOR.is_valid(document) == is_read


def test_the_schema_knows_live_objects_where_it_is_given_them() -> None:
    """With the objects themselves, and not only their names, what is no function is refused where a function stands."""
    document = declaring(stage="map_text", fn="client")
    knowing = jsonschema.Draft202012Validator(sf.json_schema(objects={"client": OBJECTS["client"], "loud": OBJECTS["loud"]}))
    naming = jsonschema.Draft202012Validator(sf.json_schema(objects=["client", "loud"]))
    assert not knowing.is_valid(document)
    assert naming.is_valid(document)
    assert knowing.is_valid(declaring(stage="map_text", fn="loud"))
    assert not naming.is_valid(declaring(stage="map_text", fn="others"))
