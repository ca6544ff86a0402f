"""The stages that read JSON, fact by fact: what mutants of them showed that nothing had stated."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fuzzing import ways
from pydantic import BaseModel, TypeAdapter, ValidationError

import streamfilter as sf
from streamfilter.json.calls import Call, ToolCalls
from streamfilter.json.events import JSONEvent, JSONEvents
from streamfilter.json.filtering import FilterJSON
from streamfilter.json.items import JSONItems
from streamfilter.json.stages import JSONStage

UPPER = sf.MapText(str.upper)


def fed(stage: Any, items: Sequence[Any]) -> tuple[list[Any], sf.End | None]:
    """What a machine gives, and the end that it gives last. It says whether it has given one, and gives nothing behind it."""
    machine = stage.machine()
    out: list[Any] = []
    for item in items:
        if not machine.ended:
            out += machine.feed(item)
    out += machine.finish()
    end = out.pop() if out and isinstance(out[-1], sf.End) else None
    assert machine.ended is (end is not None)
    assert not any(isinstance(item, sf.End) for item in out)
    assert not (machine.ended and machine.finish())
    return out, end


# ------------------------------------------------------------------ calls


def channel(number: int, choice: int = 0) -> sf.Channel:
    return sf.Channel("tool_arguments", (0, choice, "tool_calls", number))


def begins(where: sf.Channel, name: str | None = "f") -> sf.ToolCall:
    return sf.ToolCall(None, name, where, scope=where)


THREE = [channel(0), channel(1), channel(0, choice=1)]

BARRIERS: list[tuple[sf.Event, list[sf.Channel]]] = [
    (sf.Finish("tool_calls"), THREE),
    (sf.Finish("tool_calls", scope=(0, 0)), THREE[:2]),
    (sf.Finish("tool_calls", scope=(0, 1)), THREE[2:]),
    (sf.Event(scope=channel(1), boundary=True), [channel(1)]),
    (sf.Event(scope=channel(1)), []),
    (sf.Event(scope=None), []),
    (sf.Event(scope=None, boundary=True), []),
    (sf.Event(), []),
    (sf.TextDelta("text", sf.Channel("answer", channel(0).key)), []),
]


@pytest.mark.parametrize(("event", "over"), BARRIERS, ids=repr)
@pytest.mark.parametrize("written", [["", "", ""], ["12", "", "1e3"], ['{"a": 1}', "12", ""]], ids=repr)
def test_calls_are_over_at_a_barrier_above_them(event: sf.Event, over: list[sf.Channel], written: list[str]) -> None:
    """Those that it covers, then; the others when they are. A number may go on until then, and where nothing came there is `{}`."""
    for size in (1, 9):
        machine: Any = ToolCalls().machine()
        before: list[Any] = []
        for where, text in zip(THREE, written, strict=True):
            before += machine.feed(begins(where))
            for at in range(0, len(text), size):
                before += machine.feed(sf.TextDelta(text[at : at + size], where))
        assert {call.channel for call in before if call.complete} == {
            w for w, text in zip(THREE, written, strict=True) if "}" in text
        }
        values = {where: json.loads(text or "{}") for where, text in zip(THREE, written, strict=True) if "}" not in text}
        for given, wanted in ((machine.feed(event), over), (machine.finish(), [where for where in THREE if where not in over])):
            assert [*given] == [Call(None, "f", values[where], True, where) for where in wanted if where in values]
        assert not machine.ended


def test_what_ends_inside_of_a_call_is_told_behind_the_calls_before_it() -> None:
    """At a barrier and at the end of the source; those behind it are not over."""
    items = [*map(begins, THREE), sf.TextDelta('{"a": 1', THREE[1])]
    for last in ([], [sf.Finish("stop")]):
        out, end = fed(ToolCalls(), [*items, *last])
        assert [(call.channel, call.arguments) for call in out if call.complete] == [(THREE[0], {})]
        assert end is not None
        assert isinstance(end.error, sf.TruncatedInput)
        assert end.error.offset == 7
        out, end = fed(ToolCalls(truncated="partial"), [*items, *last])
        assert [call.channel for call in out if call.complete] == [THREE[0], THREE[2]]
        assert end is None


@pytest.mark.parametrize("text", ["", '{"a": 1'])
def test_a_stage_that_ends_the_stream_cuts_off_the_calls_that_are_not_over(text: str) -> None:
    """Nobody knows what they would have said, also where nothing of it had come: they are not complete, or someone would act on them."""
    calls: list[sf.Item] = [*map(begins, THREE), sf.TextDelta("[1]", THREE[0]), sf.TextDelta(text, THREE[2])]
    stopped, refused = sf.End("stop"), sf.End("error", ValueError())
    for items in ([*calls, stopped], [*calls, "so: bad"]):
        guard: Any = sf.Block("bad", action="stop")
        for truncated in ("raise", "partial"):
            found: list[Call] = []
            raised: Exception | None = None
            stage: Any = guard | ToolCalls(truncated=truncated)
            try:
                for call in stage.iter(items):
                    found.append(call)  # noqa: PERF402  # what was given before an exception counts
            except sf.StreamFilterError as wrong:
                raised = wrong
            assert type(raised) is (sf.TruncatedInput if truncated == "raise" else type(None))
            assert [(call.channel, call.arguments) for call in found if call.complete] == [(THREE[0], [1])]
    out, end = fed(ToolCalls(), [*calls, refused])
    assert end is refused
    assert [call.channel for call in out if call.complete] == [THREE[0]]
    assert fed(ToolCalls(), [begins(THREE[0]), sf.TextDelta("[1]", THREE[0]), stopped])[1] is stopped


def test_arguments_may_come_of_a_call_that_nobody_has_named() -> None:
    """They are plain, and its name and id are none until somebody says them; what is said first stays."""
    text = '{"a": [1, "x"]}'
    for pieces in ways(text, [99]):
        out, end = fed(ToolCalls(models={"f": int}), [sf.TextDelta(piece, THREE[0]) for piece in pieces])
        assert end is None
        assert out[-1] == Call(None, None, json.loads(text), True, THREE[0])
        assert not any(call.complete for call in out[:-1])
        if len(pieces) == len(text):
            assert [call.arguments for call in out[:-1]] == [{}, {"a": []}, {"a": [1]}, {"a": [1, ""]}, {"a": [1, "x"]}]
    said = [sf.ToolCall(id_, name, THREE[0]) for id_, name in (("", ""), ("1", None), (None, "f"), ("2", "g"))]
    out, end = fed(ToolCalls(), [*said, sf.TextDelta("{}", THREE[0])])
    assert out == [Call("1", "f", {}, True, THREE[0])]


@pytest.mark.parametrize(("text", "limit", "most"), [('{"a": [[1]]}', "max_depth", 3), ('{"a": "long"}', "max_string", 4)])
def test_limits_hold_in_arguments(text: str, limit: str, most: int) -> None:
    """Each its own."""
    less: Any = {limit: most - 1}
    enough: Any = {limit: most}
    for pieces in ways(text, [99]):
        _, end = fed(ToolCalls(**less), [sf.TextDelta(piece, THREE[0]) for piece in pieces])
        assert end is not None
        assert isinstance(end.error, sf.LimitExceeded)
        assert end.error.limit == limit
        out, end = fed(ToolCalls(**enough), [sf.TextDelta(piece, THREE[0]) for piece in pieces])
        assert (out[-1].arguments, end) == (json.loads(text), None)


@pytest.mark.parametrize(
    ("item", "problem"),
    [({}, "dict: it reads items"), (sf.TextDelta(3, THREE[0]), "int where text is expected")],  # type: ignore[arg-type]
)
def test_what_is_no_item_of_a_stream_is_refused(item: Any, problem: str) -> None:
    """Saying by which stage, and what it was."""
    with pytest.raises(TypeError, match=rf"^ToolCalls was fed {problem}"):
        list(ToolCalls().iter([item]))


def test_a_stage_for_calls_is_a_value() -> None:
    """It is found in a set, its models do not hinder that; and it says what it reads and drops."""
    stages = {
        ToolCalls(models={"f": dict[str, int]}, truncated="partial"),
        ToolCalls(models={"f": dict[str, int]}, truncated="partial"),
    }
    assert len(stages) == 1
    assert ToolCalls(models={"f": dict}) not in stages
    assert ToolCalls().explanation() == "the arguments of tool calls; all else is dropped"


# ------------------------------------------------------------------ events and operations


@pytest.mark.parametrize(
    ("options", "argument", "says"),
    [
        ({"patch": True, "many": True}, "many", "one document"),
        ({"model": int}, "model", "patch=True"),
        ({"strings": "whole"}, "strings", "patch=True"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(options: dict[str, Any], argument: str, says: str) -> None:
    """By name, and saying where they are for."""
    with pytest.raises(ValueError, match=f"^JSONEvents: {argument}: .*{says}$"):
        JSONEvents(**options)


WRITTEN = [r'{"a": "x\u00e9\ud83d\ude00\n ", "b": ["", "one", {"c": "\\"}, "two"], "": 1}', r'["\u0041", [["b"]], ""]', '"text"']


@pytest.mark.parametrize("text", WRITTEN)
@pytest.mark.parametrize("strings", ["partial", "whole"])
def test_an_operation_is_given_where_something_has_changed(text: str, strings: Any) -> None:
    """Each place is added once; what replaces it is longer each time. A piece that says nothing yet gives none, nor does an empty one."""
    for pieces in (*ways(text, [40, 99, 170]), [piece for char in text for piece in (char, "")]):
        *operations, last = JSONEvents(patch=True, strings=strings, strict=True).iter(pieces)
        assert last == {"op": "test", "path": "", "value": json.loads(text)}
        there: dict[str, Any] = {}
        for operation in operations:
            path, value = operation["path"], operation["value"]
            assert operation["op"] == ("replace" if path in there else "add")
            if path in there:
                assert strings == "partial"
                assert value.startswith(there[path])
                assert len(value) > len(there[path])
            there[path] = value


RFC_6901 = {"foo": "/foo", "": "/", "a/b": "/a~1b", "c%d": "/c%d", "e^f": "/e^f", "g|h": "/g|h", "i\\j": "/i\\j", 'k"l': '/k"l', " ": "/ ", "m~n": "/m~0n", "~1": "/~01", "~0/": "/~00~1"}  # fmt: skip
"""Keys as a JSON Pointer has them: the examples of its section 5, and two that must be escaped in order."""


def test_a_place_is_written_as_the_standard_has_it() -> None:
    """Of any key, and of an index."""
    text = json.dumps({key: [n, "x"] for n, key in enumerate(RFC_6901)})
    *operations, _ = JSONEvents(patch=True).iter(list(text))
    places = [operation["path"] for operation in operations if operation["op"] == "add"]
    assert places == ["", *(place for path in RFC_6901.values() for place in (path, f"{path}/0", f"{path}/1"))]


# ------------------------------------------------------------------ filtering


@pytest.mark.parametrize("choices", [1, 2, 3])
def test_a_stop_in_a_string_ends_the_stream_once_all_choices_are_over(choices: int) -> None:
    """As many as the stage that stops them was told; what stands beside it in the pipeline has no say."""
    places = [sf.Channel("answer", (0, n, "content")) for n in range(choices)]
    for pipeline in (
        sf.StopAt("END", choices=choices),
        sf.MapText(str.upper) | sf.StopAt("END", choices=choices) | sf.Replace("x", "y"),
    ):
        machine = FilterJSON(pipeline).machine()
        for place in places:
            assert not machine.ended
            for piece in ('["a', "EN", 'D, b"]'):
                out = [] if machine.ended else machine.feed(sf.TextDelta(piece, place))
                assert not any("b" in item.text.lower() for item in out if isinstance(item, sf.TextDelta))
        assert machine.ended


# ------------------------------------------------------------------ items


@pytest.mark.parametrize("written", [r'"\ud800"', r'{"a": ["\udc00"]}', r'["x", "\ud83dx"]'])
@pytest.mark.parametrize("model", [Any, str | None, dict[str, Any], list[str]], ids=str)
def test_half_a_pair_of_surrogates_is_refused_as_in_a_text(written: str, model: Any) -> None:
    """Whatever is asked for: `json.loads` takes one, pydantic takes no text with one."""
    with pytest.raises(ValidationError) as wanted:
        TypeAdapter(model).validate_json(written)
    for pieces in ways(f"[null, {written}]", [99]):
        with pytest.raises(ValidationError) as raised:
            list(JSONItems("$[1]", model).iter(pieces))
        assert [error["type"] for error in raised.value.errors()] == [error["type"] for error in wanted.value.errors()]


class Nothing:
    """What pydantic has no schema for."""


@pytest.mark.parametrize(
    ("model", "says"),
    [("Row", "model is a name: give the type itself"), (Nothing, "model Nothing is none that pydantic can validate: .*Nothing'>")],
)
def test_a_model_that_is_none_is_named_in_one_sentence(model: Any, says: str) -> None:
    """What pydantic says of it, without what else could be done about it."""
    with pytest.raises(ValueError, match=f"^JSONItems: {says}$"):
        JSONItems("$", model)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"a": Nothing}, "a model is given as a type, not by its name or as a value: this is dict"),
        ([int], "a model is given as a type, not by its name or as a value: this is list"),
        (TypeAdapter(int), "a model is given as a type, not by its name or as a value: this is TypeAdapter"),
        (len, "a function is no model: len"),
        (begins, "a function is no model: begins"),
    ],
    ids=str,
)
def test_what_is_no_model_is_none_for_any_stage(model: Any, says: str) -> None:
    """Pydantic would take a function for its arguments, and some values for schemas."""
    makes: list[Callable[[], Any]] = [
        lambda: sf.ParseJSON(model),
        lambda: JSONItems("$", model),
        lambda: JSONEvents(patch=True, model=model),
    ]
    for make in makes:
        with pytest.raises(ValueError, match=f"^(ParseJSON|JSONItems|JSONEvents): model: {says}$"):
            make()


# ------------------------------------------------------------------ values


class Card(BaseModel):
    """What a value is read as."""

    title: str
    tags: list[str] = []


CARD = '{"title": "Rivers", "tags": ["long", "wet"]}'


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("strings", ["partial", "whole"])
def test_a_model_is_read_as_plain_values_are(strings: Any, live: bool) -> None:
    """Strings are there while they grow, or when they are whole; a live value is one object, others stay what they were."""
    for model in (None, Card):
        stage: Any = sf.ParseJSON(model, strings=strings, live=live)
        values: list[Any] = []
        titles: list[Any] = []
        for value in stage.iter(list(CARD)):
            values.append(value)
            titles.append(value.get("title") if model is None else value.title)
        beginnings = ["Rivers"[:size] for size in range(6)] if strings == "partial" else []
        assert list(dict.fromkeys(titles)) == [None, *beginnings, "Rivers"]
        *before, last = values
        assert last == (json.loads(CARD) if model is None else Card.model_validate_json(CARD))
        assert (type(last) is Card) is (model is Card)
        assert len({id(value) for value in before}) == (1 if live else len(before))


@pytest.mark.parametrize("option", ["parse_float", "parse_int"])
def test_a_model_says_what_becomes_of_numbers(option: str) -> None:
    """Either function is refused beside it, by name."""
    given: Any = {option: str}
    with pytest.raises(ValueError, match=r"^ParseJSON: parse_float and parse_int with a model"):
        sf.ParseJSON(Card, **given)


@pytest.mark.parametrize("live", [False, True])
def test_a_piece_that_changes_nothing_gives_nothing(live: bool) -> None:
    """White space, half a number, escape or literal, a comma, a key, the end of what was shown; live or not."""
    machine = sf.ParseJSON[Any](live=live, strict=True).machine()
    script = [(" [", True), (" ", False), ("1", False), (",", True), ("\n", False), ('"', True), ("\\", False), ("u00", False), ("41", True), ('"', False), (", {", True), ('"a"', False), (":", False), ("tr", False), ("ue", True), (" ", False)]  # fmt: skip
    for piece, changes in script:
        assert bool(machine.feed(piece)) is changes, piece


# ------------------------------------------------------------------ what they share


def test_a_stage_of_one_s_own_says_what_it_lacks() -> None:
    """By its name, with the first document."""

    @sf.stage
    class Own(JSONStage[Any]):
        pass

    with pytest.raises(NotImplementedError, match=r"^Own\.reading is missing: give a Reading there$"):
        list(Own().iter(["[1]"]))


@pytest.mark.parametrize("make", [sf.ParseJSON, JSONEvents, functools.partial(JSONItems, "$"), functools.partial(sf.JSONText, "$")])
def test_one_kind_of_channel_is_read(make: Any) -> None:
    """A misspelt one is refused, and so is none or more than one; the stage is named."""
    name = type(make()).__name__
    with pytest.raises(ValueError, match="there is no kind of channel 'anwser': did you mean 'answer'"):
        make(channel="anwser")
    for kinds in ((), ("answer", "reasoning")):
        with pytest.raises(ValueError, match=f"^{name} reads one kind of channel: "):
            make().on(*kinds)
    assert make().on("reasoning") == make(channel="reasoning")


def test_what_is_read_is_said_in_words() -> None:
    """Also that it is a kind of one's own, which may be a slip. Of the stages in front of it nothing, if nothing is wrong with them."""
    own = "in the JSON of notes (a kind of one's own); all else is dropped"
    said = {
        sf.ParseJSON[Any](): own[3:],
        JSONItems("$.a"): f"the values at $.a {own}",
        sf.JSONText("$.a"): f"the strings at $.a {own}",
    }
    for stage, words in said.items():
        one: Any = stage.on("notes")
        assert one.explanation() == words
        assert (sf.Words() | one).explain().endswith(words)


SHARED = {"strict": False, "truncated": "raise", "max_depth": 1000, "max_string": 100_000_000, "parse_float": float, "parse_int": int, "duplicates": "last", "channel": "answer"}  # fmt: skip
"""What may be left out of every stage that reads the JSON of one channel, and what it is then."""

LEFT_OUT: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (sf.ParseJSON, (None,), SHARED | {"live": False, "many": False, "strings": "partial"}),
    (JSONEvents, (), SHARED | {"model": None, "patch": False, "strings": "partial", "many": False}),
    (JSONItems, ("$.a", None), SHARED | {"many": False}),
    (sf.JSONText, ("$.a",), SHARED | {"many": False}),
    (ToolCalls, (), {"models": {}, "truncated": "raise", "max_depth": 1000, "max_string": 100_000_000}),
    (FilterJSON, (UPPER,), {"at": None, "keys": False, "max_depth": 1000, "channels": ("answer", "tool_arguments")}),
]


@pytest.mark.parametrize(("make", "given", "left_out"), LEFT_OUT, ids=lambda part: getattr(part, "__name__", ""))
def test_what_may_be_left_out_is_given_by_name(make: Any, given: tuple[Any, ...], left_out: dict[str, Any]) -> None:
    """And is what the documents say, if it is."""
    assert make(*given, **left_out) == make(*given) == make(*(part for part in given if part is not None))
    with pytest.raises(ValueError, match=f"argument {len(given) + 1}: give it by name: ") as refused:
        make(*given, next(iter(left_out.values())))
    assert {*str(refused.value).rpartition(": ")[2].split(", ")} == {*left_out}


def test_what_is_no_text_cannot_be_filtered_behind() -> None:
    """Values and calls are not; the strings of a document are text again."""
    for stage in (sf.ParseJSON[Any](), JSONEvents(), JSONItems("$"), ToolCalls()):
        with pytest.raises(TypeError, match=f"reads items, and {type(stage).__name__} before it gives values"):
            _ = stage | UPPER
    assert (sf.JSONText("$.a") | UPPER).apply('{"a": "text"}') == "TEXT"


def test_an_event_without_a_value_has_none() -> None:
    """As where something begins or ends."""
    assert JSONEvent((), "object") == JSONEvent((), "object", None) == ((), "object", None)
