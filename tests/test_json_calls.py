"""`ToolCalls`: arguments that fill in; interleaved calls, missing names, models, endings; on real recordings."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import tracemalloc
from typing import Any

import pytest
from pydantic import BaseModel, RootModel, ValidationError, field_validator
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.json.calls import Call, ToolCalls
from streamfilter.providers import langchain, pydantic_ai
from streamfilter.providers.openai import chat, responses
from streamfilter.testing import cut

RECORDINGS = [entry for entry in shared("openai.chat") if entry["tool_calls"]]


class Place(BaseModel):
    """Arguments of a tool."""

    city: str
    days: int = 1


def channel(number: int, choice: int = 0) -> sf.Channel:
    return sf.Channel("tool_arguments", (0, choice, "tool_calls", number))


def begins(number: int, name: str | None, id: str | None = None) -> sf.ToolCall:  # noqa: A002
    return sf.ToolCall(id, name, channel(number), scope=channel(number))


def called(items: list[Any], **options: Any) -> tuple[list[Call], Exception | None]:
    out: list[Call] = []
    try:
        for call in ToolCalls(**options).iter(items):
            out.append(call)  # noqa: PERF402  # what was given before an exception counts
    except (sf.StreamFilterError, ValidationError) as error:
        return out, error
    return out, None


def test_interleaved_calls_are_kept_apart() -> None:
    """Whatever the cuts: each call's arguments grow by themselves, and are complete once."""
    one, two = '{"city": "Turin", "days": 3}', '[1, "x"]'
    for seed in range(20):
        rng = random.Random(seed)
        first = [sf.TextDelta(piece, channel(0)) for piece in cut(one, *(rng.randint(0, len(one)) for _ in range(6)))]
        second = [sf.TextDelta(piece, channel(1)) for piece in cut(two, *(rng.randint(0, len(two)) for _ in range(4)))]
        mixed = [item for pair in itertools.zip_longest(first, second) for item in pair if item is not None]
        out, error = called(
            [begins(0, "weather", "a"), begins(1, None, "b"), sf.TextDelta("text"), *mixed, sf.Finish("tool_calls")]
        )
        assert error is None
        complete = [call for call in out if call.complete]
        assert {(call.id, call.name): call.arguments for call in complete} == {
            ("a", "weather"): json.loads(one),
            ("b", None): json.loads(two),
        }
        assert len(complete) == 2


def test_arguments_are_validated_by_the_name_of_the_tool() -> None:
    """Partial before, a real model when they are complete; other tools are plain."""
    items = [
        begins(0, "weather"),
        *(sf.TextDelta(piece, channel(0)) for piece in ('{"city": "Tu', 'rin"', "}")),
        begins(1, "other"),
        sf.TextDelta("{}", channel(1)),
    ]
    out, error = called(items, models={"weather": Place})
    assert error is None
    assert [call.complete for call in out] == [False, False, True, True]
    assert out[0].arguments.city == "Tu"
    weather, other = (call.arguments for call in out if call.complete)
    assert (weather, type(weather), other) == (Place(city="Turin"), Place, {})


def test_errors_end_the_stream_behind_what_was_certain() -> None:
    """Malformed, truncated and invalid arguments."""
    for text, kind in (
        ('{"city": x', sf.MalformedInput),
        ('{"city": "T', sf.TruncatedInput),
        ('{"days": 1}', ValidationError),
        ('{"city": ""} x', sf.MalformedInput),
    ):
        out, error = called([begins(0, "weather"), sf.TextDelta(text, channel(0))], models={"weather": Place})
        assert isinstance(error, kind)
    out, error = called(
        [begins(0, "weather"), sf.TextDelta('{"city": "T', channel(0))], models={"weather": Place}, truncated="partial"
    )
    assert (error, out[-1].complete, out[-1].arguments.city) == (None, False, "T")


def test_complete_arguments_are_told_so_although_something_wrong_follows() -> None:
    """However the text was cut."""
    for pieces in (['{"a":1} x'], ['{"a":1}', " x"], list('{"a":1} x')):
        out, error = called([begins(0, "f"), *(sf.TextDelta(piece, channel(0)) for piece in pieces)])
        assert (out[-1].arguments, out[-1].complete, type(error)) == ({"a": 1}, True, sf.MalformedInput)


def test_a_call_without_arguments_has_none() -> None:
    """`{}`, when it is known that nothing comes: at the finish, or at the end of the stream."""
    for end in ([], [sf.Finish("tool_calls", scope=(0, 0))], [sf.TextDelta("", channel(0)), sf.Finish("tool_calls")]):
        out, error = called([begins(0, "now", "a"), *end])
        assert (out, error) == ([Call("a", "now", {}, True, channel(0))], None)
    out, error = called([begins(0, "weather")], models={"weather": Place})
    assert isinstance(error, ValidationError)


CUT = [
    *("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "content_filter", "SAFETY", "guardrail_intervened"),
    *("error", "abort", "other", "a new word", "model_length", "insufficient_system_resource"),  # of gateways, Mistral, DeepSeek
    *("malformed_tool_use", "malformed_model_output", "MALFORMED_FUNCTION_CALL", "OTHER", "incomplete", "cancelled"),
]
DONE = [
    *("stop", "tool_calls", "function_call", "completed"),  # OpenAI
    *("end_turn", "tool_use", "stop_sequence", "pause_turn"),  # Anthropic and Bedrock
    *("STOP", "COMPLETE", "TOOL_CALL", "STOP_SEQUENCE"),  # Gemini and Cohere
    *("tool-calls", "tool_call", "eos", "eos_token", "normal"),  # the AI SDK, pydantic-ai, Together, Hugging Face, Baidu
]


@pytest.mark.parametrize("reason", CUT)
def test_a_call_that_has_said_nothing_when_its_answer_is_cut_off_is_none(reason: str) -> None:
    """Its arguments would have followed: nobody may run it with `{}`."""
    for origin in (None, "chunk"):
        out, error = called([begins(0, "pay", "a"), sf.Finish(reason, scope=(0, 0), origin=origin)])
        assert (out, type(error)) == ([], sf.TruncatedInput)
    assert type(called([begins(0, "pay", "a"), sf.Failure("overloaded")])[1]) is sf.TruncatedInput
    answered = [begins(0, "pay", "a"), sf.TextDelta("{}", channel(0)), sf.Finish(reason, scope=(0, 0))]
    assert called(answered) == ([Call("a", "pay", {}, True, channel(0))], None)


@pytest.mark.parametrize("reason", DONE)
def test_a_call_that_has_said_nothing_when_its_answer_is_done_has_no_arguments(reason: str) -> None:
    """In the words of each service."""
    out, error = called([begins(0, "now", "a"), sf.Finish(reason, scope=(0, 0))])
    assert (out, error) == ([Call("a", "now", {}, True, channel(0))], None)


@pytest.mark.parametrize("before", [sf.StopAt("STOP"), sf.Limit(max_chars=2, reason="stop"), sf.Block("STOP", action="stop")])
def test_a_call_that_has_said_nothing_when_a_stage_stops_its_answer_is_none(before: sf.Stage[Any, Any]) -> None:
    """A stage's own word, `"stop"`, is that of services too, at whose end a call without arguments has none."""
    items = [begins(0, "pay", "a"), sf.TextDelta("so STOP", sf.Channel("answer", (0, 0))), sf.TextDelta('{"a":1}', channel(0))]
    items.append(sf.Finish("tool_calls", scope=(0, 0)))
    with pytest.raises(sf.TruncatedInput):
        list((before | ToolCalls()).iter(items))
    out, error = called([begins(0, "now", "a"), sf.Finish("stop", scope=(0, 0))])
    assert (out, error) == ([Call("a", "now", {}, True, channel(0))], None)


WAYS = [[text] for text in ('{"city": "Turin"}', '{"days": 1}', '{"city": x')] + [
    list('{"city": "Turin"}'),
    ['{"city"', ': 1, "days": 2}'],
]


@pytest.mark.parametrize("pieces", WAYS, ids=repr)
@pytest.mark.parametrize("named", range(-1, 18))
def test_arguments_are_validated_wherever_the_name_comes(pieces: list[str], named: int) -> None:
    """What is complete, and what is raised, is the same as if the name had come first; and nothing is complete before it comes."""
    said: list[sf.Item] = [sf.TextDelta(piece, channel(0)) for piece in pieces]
    items = [*said[: named + 1], begins(0, "weather", "a"), *said[named + 1 :], sf.Finish("tool_calls", scope=(0, 0))]
    models: Any = {"weather": Place, "other": int}
    want, wrong = called([begins(0, "weather", "a"), *said], models=models)
    out, error = called(items, models=models)
    assert [call for call in out if call.complete] == [call for call in want if call.complete]
    assert type(error) is type(wrong)
    assert all(isinstance(call.arguments, Place) for call in out if call.name)


def test_a_call_that_is_never_named_is_complete_when_it_is_over() -> None:
    """Once, as it was; that it may have gone on is told as for others."""
    models: Any = {"weather": Place}
    for pieces in (['{"a": 1}'], ['{"a": 1', "}"], ["12"]):
        said: list[sf.Item] = [sf.TextDelta(piece, channel(0)) for piece in pieces]
        for end in ([], [sf.Finish("tool_calls", scope=(0, 0))], [sf.Finish("length", scope=(0, 0))]):
            out, error = called([begins(0, None, "a"), *said, *end], models=models)
            assert [call for call in out if call.complete] == [Call("a", None, json.loads("".join(pieces)), True, channel(0))]
            assert (out[-1].complete, error) == (True, None)
    assert type(called([sf.TextDelta('{"a": 1', channel(0))], models=models)[1]) is sf.TruncatedInput


def test_what_waits_for_a_name_is_bounded() -> None:
    """By `max_string`, where there are models; else nothing waits."""
    said = [sf.TextDelta(piece, channel(0)) for piece in ("[1,", "2,", "3]")]
    assert called(list(said), models={"f": Place}, max_string=7)[1] is None
    error = called(list(said), models={"f": Place}, max_string=6)[1]
    assert str(error) == "max_string of 6 exceeded: the arguments of a call that has no name"
    assert called(list(said), max_string=6)[1] is None
    assert called([begins(0, "g"), *said], models={"f": Place}, max_string=6)[1] is None


def test_a_name_in_pieces_is_refused() -> None:
    """OpenAI's SDK joins them, others take the first: the model of neither may be left out. The same name may be said again."""
    for last in (begins(0, "oo"), begins(0, "foo"), begins(0, "oo", "a")):
        items = [begins(0, "f", "a"), sf.TextDelta('{"n":', channel(0)), last, sf.TextDelta("1}", channel(0))]
        out, error = called(items, models={"foo": Place})
        assert ([call.complete for call in out], str(error)) == (
            [False],
            "the fragments of a tool call have different names, at offset 5",
        )
    out, error = called([begins(0, "f", "a"), begins(0, "f"), begins(0, "f", "a"), sf.TextDelta("{}", channel(0))])
    assert (out, error) == ([Call("a", "f", {}, True, channel(0))], None)


def test_names_in_pieces_are_seen_in_formats_whose_clients_join_them() -> None:
    """LangChain's chunks, and the name deltas of Pydantic AI."""
    fragments = [{"index": 0, "name": name, "args": args, "id": None} for name, args in (("f", '{"n":'), (None, "1"), ("oo", "}"))]
    chunks = [{"type": "AIMessageChunk", "content": "", "id": "run-1", "tool_call_chunks": [each]} for each in fragments]
    part = {"part_kind": "tool-call", "tool_name": "f", "args": "{", "tool_call_id": "a"}
    delta = {"part_delta_kind": "tool_call", "tool_name_delta": "oo", "args_delta": "}"}
    events = [{"event_kind": "part_start", "index": 0, "part": part}, {"event_kind": "part_delta", "index": 0, "delta": delta}]
    for decode, source in ((langchain.Decode(), chunks), (pydantic_ai.Decode(), events)):
        stage: Any = decode | ToolCalls(models={"foo": Place})
        with pytest.raises(sf.MalformedInput, match="different names"):
            list(stage.iter(source))


# ------------------------------------------------------------------ arguments that are no JSON

FREE = sf.Channel("tool_arguments", (0, 0, 0, "input", 0))


class Statement(RootModel[str]):
    """The input of a custom tool."""

    @field_validator("root")
    @classmethod
    def reads(cls, value: str) -> str:
        assert value.startswith("SELECT")
        return value


def free(*pieces: str) -> list[sf.Item]:
    return [sf.ToolCall("a", "sql", FREE, scope=FREE), *(sf.TextDelta(piece, FREE) for piece in pieces)]


@pytest.mark.parametrize("text", ["SELECT 1", "{", "12", '"', ""])
@pytest.mark.parametrize("end", [sf.Raw(1, scope=FREE, boundary=True), sf.Finish("tool_calls", scope=(0, 0))], ids=repr)
def test_arguments_that_are_no_json_are_a_text(text: str, end: sf.Event) -> None:
    """It grows, and is complete where its end is told, whatever it looks like."""
    out, error = called([*free(*text), end])
    want = [Call("a", "sql", text[:n], False, FREE) for n in range(1, len(text) + 1)]
    assert (out, error) == ([*want, Call("a", "sql", text, True, FREE)], None)


def test_half_a_text_is_no_call() -> None:
    """Nothing in it says that it is over: where a stream breaks off, or is cut off, it is not complete."""
    for end in ([], [sf.Finish("length", scope=(0, 0))], [sf.Failure("overloaded")], [sf.End("stop")]):
        for pieces in ((), ("rm -r /tmp", "/x")):
            out, error = called([*free(*pieces), *end])
            assert not any(call.complete for call in out)
            assert isinstance(error, sf.TruncatedInput)
            out, error = called([*free(*pieces), *end], truncated="partial")
            assert ([call.arguments for call in out], error) == (list(itertools.accumulate(pieces)), None)


def test_a_model_validates_the_text() -> None:
    """When it is complete; by then the name may have come late."""
    done = sf.Raw(1, scope=FREE, boundary=True)
    out, error = called([*free("SELECT", " 1"), done], models={"sql": Statement})
    assert ([call.arguments for call in out], error) == (["SELECT", "SELECT 1", Statement("SELECT 1")], None)
    head, *said = free("DROP")
    for items in ([head, *said, done], [*said, head, done]):
        out, error = called(items, models={"sql": Statement})
        assert ([call.complete for call in out], type(error)) == ([False], ValidationError)
    error = called([*free("SEL", "ECT"), done], max_string=5)[1]
    assert str(error) == "max_string of 5 exceeded: the arguments of a call that are no JSON"


def test_custom_tools_of_chat_completions() -> None:
    """Their input is told from a function's arguments, also beside one; stored without its chunks it is written as it came."""
    function = {"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
    fragments = [
        {"index": 0, "id": "a", "type": "custom"},
        {"index": 0, "custom": {"name": "sql", "input": "SELECT "}},
        function,
        {"index": 0, "custom": {"input": "1"}},
        {"index": 1, "function": {"arguments": "1}"}},
    ]
    given = [{"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]} for each in fragments]
    given.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    items = list(chat.Decode().iter(given))
    want = [("f", {"a": 1}), ("sql", "SELECT 1")]
    assert sorted((call.name, call.arguments) for call in called(items)[0] if call.complete) == want
    for item in items:
        item.origin = None  # type: ignore[union-attr]
    again = list((chat.Encode() | chat.Decode()).iter(items))
    assert sorted((call.name, call.arguments) for call in called(again)[0] if call.complete) == want


@pytest.mark.skipif(not RECORDINGS, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize(("name", "kind"), [("custom", "custom_tool_call_input"), ("shell", "shell_call_command")])
def test_recorded_calls_with_a_text(name: str, kind: str) -> None:
    """What the deltas of each say, joined."""
    entry = next(entry for entry in shared("openai.responses") if f"openai-{name}-tool_1" in entry["file"])
    raw = body(entry)
    said = "".join(each["delta"] for each in chunks(raw) if each["type"] == f"response.{kind}.delta")
    found = [call.arguments for call in (responses.Decode() | ToolCalls()).iter([raw]) if call.complete]
    assert (found, bool(said)) == ([said], True)


def test_a_text_that_grows_is_not_copied() -> None:
    """However long the input of a custom tool becomes, a piece costs what the piece is long: there is never a second whole text."""
    where = sf.Channel("tool_arguments", (0, 0, "input", 0))
    machine = ToolCalls().machine()
    tracemalloc.start()
    try:
        for _ in range(100):  # CPython does so from some uses on
            machine.feed(sf.TextDelta("x" * 10_000, where))
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        machine.feed(sf.TextDelta("abcd", where))
        assert before > 1_000_000
        assert tracemalloc.get_traced_memory()[1] - before < 100_000
    finally:
        tracemalloc.stop()


def test_bad_models_are_refused_when_the_stage_is_built() -> None:
    """By the name of the tool."""
    with pytest.raises(ValueError, match="models: weather: "):
        ToolCalls(models={"weather": object()})
    for models, message in (([Place], r"not list: write \{name: Place\}"), (Place, r"write \{name: Model\}")):
        with pytest.raises(ValueError, match=f"models: a dict by the names of tools is needed, .*{message}"):
            ToolCalls(models=models)  # type: ignore[arg-type]


@pytest.mark.skipif(not RECORDINGS, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize("entry", RECORDINGS, ids=[entry["file"] for entry in RECORDINGS])
def test_recorded_calls(entry: dict[str, Any]) -> None:
    """The calls of real streams: as many as the index says, with the arguments that joining the fragments gives."""
    raw = body(entry)
    want: dict[tuple[int, Any], str] = {}
    for payload in chunks(raw):
        for choice in payload.get("choices") or ():
            for fragment in (choice.get("delta") or {}).get("tool_calls") or ():
                key = (choice["index"], fragment.get("index", fragment.get("id")))
                want[key] = want.get(key, "") + ((fragment.get("function") or {}).get("arguments") or "")
    for pieces in ([raw], [raw[at : at + 7] for at in range(0, len(raw), 7)]):
        calls = [call for call in (chat.Decode() | ToolCalls()).iter(pieces) if call.complete]
        assert sorted(json.dumps(call.arguments, sort_keys=True) for call in calls) == sorted(
            json.dumps(json.loads(text or "{}"), sort_keys=True) for text in want.values()
        )


def test_text_alone_has_no_calls() -> None:
    """`text_of` gives none: who reads that would wait for calls in vain. Text that a stage puts among items is no call."""
    for pieces in (["{}"], ["", "a"]):
        with pytest.raises(TypeError, match=r"ToolCalls was fed str: it reads items, as of .*Decode\(\)"):
            list(sf.ToolCalls().iter(pieces))
    with pytest.raises(TypeError, match="ToolCalls was fed dict: it reads items"):
        list(sf.ToolCalls().iter([{"choices": []}]))
    channel = sf.Channel("tool_arguments", (0, 0, "tool_calls", 0))
    items = [sf.TextDelta("so", sf.Channel("answer", (0, 0))), "put in", sf.TextDelta('{"a": 1}', channel)]
    assert [call.arguments for call in sf.ToolCalls().iter(items)][-1] == {"a": 1}


ARGUMENTS = sf.Channel("tool_arguments", (0, 0, "tool_calls", 0))


@pytest.mark.parametrize("text", [r'["joe\u0040home\x"]', r' [ ["joe\u0040home', '["joe\\u0040home\n"]', r'["joe\u0040home"x'])
def test_an_array_is_not_shown_before_it_is_sure_that_it_is_one(text: str) -> None:
    """A guard takes it for text if its first string is malformed, and then its escapes have not been read."""
    for pieces in ([text], list(text)):
        shown: list[Any] = []
        items: list[Any] = [
            sf.ToolCall("c", "f", ARGUMENTS, scope=ARGUMENTS),
            *(sf.TextDelta(piece, ARGUMENTS) for piece in pieces),
        ]
        with contextlib.suppress(sf.StreamFilterError):
            for call in (sf.Redact("joe@home") | sf.ToolCalls()).iter(items):
                shown.append(call)  # noqa: PERF402  # what was given before an exception counts
        assert "joe@home" not in repr(shown)


@pytest.mark.parametrize("text", ['["abc', '["abc",', '["abc"', '[["abc'])
def test_an_array_that_is_cut_off_is_shown_then(text: str) -> None:
    """As much of it as has come, at every cut, if what is cut off is to be shown."""
    want = json.loads(text.rstrip(",").rstrip('"') + '"' + "]" * text.count("["))
    for pieces in ([text], list(text), [text[:3], text[3:]]):
        items: list[Any] = [
            sf.ToolCall("c", "f", ARGUMENTS, scope=ARGUMENTS),
            *(sf.TextDelta(piece, ARGUMENTS) for piece in pieces),
        ]
        got = list(sf.ToolCalls(truncated="partial").iter([*items, sf.Finish("length", scope=(0, 0))]))
        assert got[-1].arguments == want
        assert not got[-1].complete
