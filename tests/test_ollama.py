"""Ollama: chats and completions, as lines, dicts and objects of its package; on every recording, and with planted secrets."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from recordings import body, shared
from test_providers import COMMON, REDACT, pieces

import streamfilter as sf
from streamfilter.errors import MalformedInput
from streamfilter.providers import detect, ollama, openai
from streamfilter.testing import run_virtually
from streamfilter.testing.planting import fragments, plantings

RECORDED = [*shared("ollama.chat"), *shared("ollama.generate")]
recorded = pytest.mark.parametrize("entry", RECORDED, ids=[entry["file"] for entry in RECORDED])
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")
SECRET = "Zq7-kestrel-Wx4"


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The objects of some lines, without our help."""
    return [json.loads(line) for line in raw.decode().split("\n") if line.strip()]


def lines(events: list[dict[str, Any]], end: str = "\n") -> bytes:
    return "".join(json.dumps(event, ensure_ascii=False) + end for event in events).encode()


def said(events: list[dict[str, Any]]) -> dict[str, str]:
    """All text by field."""
    texts: dict[str, str] = {}
    for event in events:
        for place in (event, event.get("message") or {}):
            for name in ("content", "thinking", "response"):
                if isinstance(place.get(name), str):
                    texts[name] = texts.get(name, "") + place[name]
    return texts


def chat(done: bool = False, **message: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": "t", "message": {"role": "assistant", "content": "", **message}, "done": done}


def end(**fields: Any) -> dict[str, Any]:
    return chat(done=True) | {"done_reason": "stop", "prompt_eval_count": 2, "eval_count": 3} | fields


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


# ---------------------------------------------------------------------------------------------------------- recordings


@recorded
def test_an_empty_pipeline_and_one_that_finds_nothing_change_no_byte(entry: dict[str, Any]) -> None:
    """Whatever the cuts, between the bytes of a character too; dicts stay the same objects. The format is told by the first line."""
    raw = body(entry)
    events = events_of(raw)
    pipelines: list[Any] = [sf.Pipeline(), sf.Redact("\x00")]
    for pipeline in pipelines:
        for wrap in (ollama.wrap, sf.wrap):
            assert b"".join(wrap(pipeline).iter(pieces(raw, 1))) == raw
            assert b"".join(wrap(pipeline).iter(pieces(raw, 2, 3))) == raw
            assert all(one is other for one, other in zip(wrap(pipeline).iter(events), events, strict=True))
    for other_raw in (raw.rstrip(), raw.replace(b"\n", b"\r\n"), raw.replace(b"\n", b"\n\n")):
        assert b"".join(ollama.wrap(sf.Redact("\x00")).iter(pieces(other_raw, 1))) == other_raw


@recorded
def test_the_text_is_as_long_as_the_index_says(entry: dict[str, Any]) -> None:
    """Of bytes and of dicts; and the end, with its counts, is read."""
    raw = body(entry)
    assert len("".join(sf.text_of(pieces(raw, 3)))) == entry["text_chars"]
    assert len("".join(sf.text_of(events_of(raw)))) == entry["text_chars"]
    items = list(ollama.Decode().iter(pieces(raw, 3)))
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == ["stop"]
    (usage,) = [item.usage for item in items if isinstance(item, sf.Usage)]
    assert isinstance(usage, dict)
    assert usage["eval_count"] == events_of(raw)[-1]["eval_count"]


@recorded
@pytest.mark.parametrize("pipeline", [REDACT, sf.Redact(COMMON, to="")])
def test_text_is_filtered_as_a_whole(entry: dict[str, Any], pipeline: Any) -> None:
    """In bytes and dicts; the cuts do not matter; all lines but those whose text is held are there, and the last is the last."""
    raw = body(entry)
    events = events_of(raw)
    want = {name: pipeline.apply(text) for name, text in said(events).items()}
    stage = ollama.wrap(pipeline)
    out = list(stage.iter(events))
    assert said(out) == want
    written = {b"".join(stage.iter(pieces(raw, seed, most))) for seed, most in ((1, 7), (2, 100), (3, 5000))}
    assert len(written) == 1
    assert said(events_of(written.pop())) == want
    assert [event["done"] for event in out].count(True) == 1
    assert out[-1] == events[-1] | ({"context": []} if "context" in events[-1] else {})


@recorded
def test_a_stopped_response_ends_as_the_format_has_it(entry: dict[str, Any]) -> None:
    """Its last line is `done`, once; also when the counts of the source are waited for."""
    events = events_of(body(entry))
    (text,) = said(events).values()
    for after in ("close", "drain"):
        out = list(ollama.wrap(sf.StopAt(text[20:28])).iter(events, after_stop=after))
        assert [event["done"] for event in out].count(True) == 1
        assert out[-1]["done"] is True
        assert out[-1]["done_reason"] == "stop"
        assert ("eval_count" in out[-1]) == (after == "drain")
        assert said(out) == {name: text[: text.index(text[20:28])] for name in said(events)}


FULL: list[dict[str, Any]] = [
    chat(thinking="first"),
    chat(thinking=" second", content="now"),
    chat(content="some text")
    | {"logprobs": [{"token": "some text", "logprob": -1, "top_logprobs": [{"token": "a", "logprob": -2}]}]},
    chat(content=" and more"),
    chat(content="calling", tool_calls=[call("f", city="Paris", deep={"list": ["x"]}), call("g", n=1)]),
    chat(tool_calls=[call("h", a="b")]),
    end(context=[1, 2], unknown={"title": "t"}),
]
GENERATED: list[dict[str, Any]] = [
    {"model": "m", "created_at": "t", "response": "", "thinking": "why", "done": False},
    {"model": "m", "created_at": "t", "response": "", "thinking": " not", "done": False},
    {"model": "m", "created_at": "t", "response": "an", "done": False},
    {"model": "m", "created_at": "t", "response": " answer", "done": True, "context": [1]},
    {"error": "it broke"},
]


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    return path if path[-1] in ("content", "thinking", "response") else None


@pytest.mark.parametrize("events", [FULL, GENERATED, *(events_of(body(entry)) for entry in RECORDED)])
def test_a_secret_in_any_field_does_not_come_out(events: list[dict[str, Any]]) -> None:
    """No six characters of it, in dicts, lines and objects, wherever it is planted."""
    stage = ollama.wrap(GUARD)
    assert list(stage.iter(events)) == events
    for place, planted in plantings(events, SECRET, spared=ollama.OPAQUE, goes_on=goes_on):
        assert not fragments(stage.iter(planted), SECRET), place
        raw = lines(planted)
        assert not fragments(events_of(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]]))), SECRET), place


# ------------------------------------------------------------------------------------------------------ calls of tools


def test_arguments_are_filtered_as_the_json_they_are() -> None:
    """Their keys too, and every value; the line is the same otherwise."""
    event = chat(content="hm", tool_calls=[call("f", a="my secret", secret=[1, "secret"]), call("g")])
    want = chat(content="hm", tool_calls=[{"function": {"name": "f", "arguments": {"a": "my █", "█": [1, "█"]}}}, call("g")])
    stage = ollama.wrap(sf.Redact("secret", to="█"))
    assert list(stage.iter([event, end()])) == [want, end()]
    assert events_of(b"".join(stage.iter([lines([event, end()])]))) == [want, end()]


def test_a_call_leaves_once_whatever_waits() -> None:
    """Text that is held before it leaves before the end; nothing is there twice."""
    events = [chat(content="my sec"), chat(content="ret", thinking="a sec", tool_calls=[call("f", a="b")]), end()]
    out = list(ollama.wrap(sf.Redact("secret", to="█")).iter(events))
    assert said(out) == {"content": "my █", "thinking": "a sec"}
    assert [event["message"]["tool_calls"] for event in out if "tool_calls" in event["message"]] == [[call("f", a="b")]]
    assert out[-1] == end()


def test_a_stage_that_waits_keeps_calls_whole() -> None:
    """Each line with a call, and the last, leaves once, when all of it has been looked at."""

    async def fine(_: object) -> bool:
        return True

    async def run() -> list[Any]:
        stage = ollama.wrap(sf.Moderate(fine))

        async def source() -> Any:
            for event in FULL:
                yield copy.deepcopy(event)

        return [event async for event in stage(source())]

    out = run_virtually(run())
    assert said(out) == said(FULL)
    calls = [event["message"]["tool_calls"] for event in out if "tool_calls" in event["message"]]
    assert calls == [FULL[4]["message"]["tool_calls"], FULL[5]["message"]["tool_calls"]]
    assert [event["done"] for event in out].count(True) == 1
    assert out[-1]["done"] is True


def test_tokens_are_left_out_where_they_are_not_the_text() -> None:
    """Those of the text that has changed or has not left, and the whole conversation in the end."""
    tokens = [{"token": "my secret", "logprob": -1}]
    events = [chat(content="my secret") | {"logprobs": tokens}, end(context=[1, 2])]
    out = list(ollama.wrap(sf.Redact("secret", to="█")).iter(events))
    assert out == [chat(content="my █") | {"logprobs": []}, end(context=[])]


# ------------------------------------------------------------------------------------------- objects, formats, bytes


def test_objects_of_the_package_leave_as_such() -> None:
    """What is not changed is the same object; what is made is of the same class. The format is told by the first."""
    package = pytest.importorskip("ollama")
    events = [package.ChatResponse(**event) for event in FULL]
    for wrap in (ollama.wrap, sf.wrap):
        out = list(wrap(sf.Redact("\x00")).iter(events))
        assert all(one is other for one, other in zip(out, events, strict=True))
        out = list(wrap(sf.Redact("some|Paris", to="█")).iter(events))
        assert all(isinstance(event, package.ChatResponse) for event in out)
        assert out[2].message.content == "█ text"
        assert out[4].message.tool_calls[0].function.arguments == {"city": "█", "deep": {"list": ["x"]}}
        assert events[2].message.content == "some text"
    made = list(ollama.wrap(sf.StopAt("text")).iter(events))
    assert isinstance(made[-1], package.ChatResponse)
    assert made[-1].done is True
    generated = [package.GenerateResponse(**event) for event in GENERATED[:-1]]
    out = list(sf.wrap(sf.StopAt("wer")).iter(generated))
    assert [type(event) for event in out] == [package.GenerateResponse] * len(out)
    assert "".join(event.response for event in out) == "an ans"


def test_the_real_client_reads_what_is_written() -> None:
    """Lines that the package's own client has read from a filtered body."""
    package = pytest.importorskip("ollama")
    httpx = pytest.importorskip("httpx")
    raw = b"".join(ollama.wrap(sf.Redact("some|Paris", to="█\u2028")).iter(pieces(lines(FULL), 1)))
    client = package.Client()
    client._client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=raw)), base_url="http://localhost"
    )
    out = list(client.chat(model="m", stream=True))
    assert said([json.loads(event.model_dump_json(exclude_none=True)) for event in out])["content"] == (
        said(FULL)["content"].replace("some", "█\u2028")
    )
    assert out[4].message.tool_calls[0].function.arguments["city"] == "█\u2028"


def test_other_formats_become_lines_and_lines_other_formats() -> None:
    """Text, thoughts, calls, the reason and the counts; a call waits until its arguments are whole."""
    chunks = list((ollama.Decode() | openai.chat.Encode()).iter(FULL))
    back = list((openai.chat.Decode() | ollama.Encode(model="m")).iter(chunks))
    assert said(back) == said(FULL)
    calls = [each for event in back for each in event["message"].get("tool_calls", ())]
    assert calls == [call("f", city="Paris", deep={"list": ["x"]}), call("g", n=1), call("h", a="b")]
    assert back[-1]["done_reason"] == "stop"
    assert back[-1]["eval_count"] == 3
    assert all(event["model"] == "m" for event in back)
    raw = b"".join(b for b in (openai.chat.Decode() | ollama.Encode(as_bytes=True)).iter(chunks))
    assert said(events_of(raw)) == said(FULL)
    again = list((ollama.Decode() | ollama.Encode()).iter(FULL))
    assert said(again) == said(FULL)
    assert again[-1] == FULL[-1]


def test_several_responses_are_several_texts() -> None:
    """What ends with one is not joined to the next."""
    events = [chat(content="sec"), end(), chat(content="ret"), end()]
    assert list(ollama.wrap(sf.Redact("secret", to="█")).iter(events)) == events


def test_an_error_is_a_failure_and_its_words_are_filtered() -> None:
    """As the API reports it in mid-stream. Alone on a line it still tells the format."""
    events = [chat(content="a"), {"error": "no secret"}]
    out = list(ollama.wrap(sf.Redact("secret", to="█")).iter(events))
    assert out == [events[0], {"error": "no █"}]
    assert sum(isinstance(item, sf.Failure) for item in ollama.Decode().iter(events)) == 1
    for end in (b"\n", b""):
        written = b"".join(sf.wrap(sf.Redact("secret", to="█")).iter([b'{"error":"no ', b'secret"}' + end]))
        assert written == '{"error":"no █"}\n'.encode()


@pytest.mark.parametrize("raw", [b"<html>secret</html>\n", b'{"a": \n', b'"secret"\n', b"[1]\n", b"data: {}\n\n"])
def test_what_is_no_line_of_an_object_is_refused(raw: bytes) -> None:
    """All before it is given; nothing of it is in the error."""
    good = lines([chat(content="a")])
    stream = ollama.wrap(sf.Redact("x")).iter([good + raw])
    assert next(iter(stream)) == good
    with pytest.raises(MalformedInput) as error:
        list(stream)
    assert "secret" not in str(error.value)


def test_requests_and_whole_responses_are_filtered() -> None:
    """By the same pipeline; names and images stay. What is in settings goes through the guards: no field is known to be none."""
    guard = sf.Redact("secret", to="█")
    request = {
        "model": "secret",
        "messages": [{"role": "user", "content": "a secret", "images": ["secret"]}],
        "options": {"stop": "secret"},
    }
    assert ollama.filter_request(guard, request) == request | {
        "messages": [{"role": "user", "content": "a █", "images": ["secret"]}],
        "options": {"stop": "█"},
    }
    assert ollama.filter_request(guard, {"prompt": "secret", "suffix": "secret"}) == {"prompt": "█", "suffix": "█"}
    whole = chat(content="a secret", thinking="secret", tool_calls=[call("f", a="secret")]) | {"done": True, "context": [1]}
    want = chat(content="a █", thinking="█", tool_calls=[call("f", a="█")]) | {"done": True, "context": []}
    assert ollama.filter_response(guard, whole) == want
    assert run_virtually(ollama.afilter_response(guard, whole)) == want


def test_the_format_is_told_by_its_own_fields() -> None:
    """Of chats and completions."""
    assert detect(FULL[0]) == detect(GENERATED[0]) == detect(end()) == "ollama"
