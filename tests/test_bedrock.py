"""Bedrock: the Converse stream as dicts, messages and server-sent events, and the models' own formats; every recording, and secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from recordings import body, shared
from test_frames import header, message
from test_providers import COMMON, REDACT, mapped, payloads, pieces

import streamfilter as sf
from streamfilter.errors import MalformedInput
from streamfilter.providers import anthropic, bedrock, detect, openai
from streamfilter.testing import run_virtually
from streamfilter.testing.planting import fragments, plantings

RECORDED = [*shared("bedrock-eventstream-converse"), *shared("bedrock-converse-json")]
recorded = pytest.mark.parametrize("entry", RECORDED, ids=[entry["file"] for entry in RECORDED])
SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")
X = sf.Redact("secret", to="█")


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The events in bytes: messages are read by botocore, without our help."""
    if raw[:1] != b"\0":
        return payloads(raw)
    buffer = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    buffer.add_data(raw)
    return [{each.headers.get(":event-type") or each.headers[":exception-type"]: json.loads(each.payload)} for each in buffer]


def messages(events: list[dict[str, Any]]) -> bytes:
    """Events as messages, by the letter of the format."""
    made = b""
    for event in events:
        ((kind, payload),) = event.items()
        made += message(
            header(":event-type", 7, kind.encode()) + header(":message-type", 7, b"event"), json.dumps(payload).encode()
        )
    return made


def said(events: list[dict[str, Any]]) -> dict[Any, str]:
    """The text of each channel."""
    texts: dict[Any, str] = {}
    turn = 0
    for event in events:
        turn += "messageStart" in event
        found = event.get("contentBlockDelta") or {"delta": {}}
        delta = found["delta"]
        for name, text in (
            ("text", delta.get("text")),
            ("reasoning", (delta.get("reasoningContent") or {}).get("text")),
            ("input", (delta.get("toolUse") or {}).get("input")),
            ("result", "".join(each.get("text", "") for each in delta.get("toolResult") or ()) or None),
        ):
            if text is not None:
                key = (turn, name, found["contentBlockIndex"])
                texts[key] = texts.get(key, "") + text
    return texts


def delta(index: int, **said: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": said}}


def stop(index: int) -> dict[str, Any]:
    return {"contentBlockStop": {"contentBlockIndex": index}}


def start(index: int, **said: Any) -> dict[str, Any]:
    return {"contentBlockStart": {"contentBlockIndex": index, "start": said}}


# ---------------------------------------------------------------------------------------------------------- recordings


@recorded
def test_an_empty_pipeline_and_one_that_finds_nothing_change_no_byte(entry: dict[str, Any]) -> None:
    """Whatever the cuts; only keys of calls may come later. The format is told by the first event."""
    raw = body(entry)
    events = events_of(raw)
    for wrap in (bedrock.wrap, sf.wrap):
        assert b"".join(wrap(sf.Pipeline()).iter(pieces(raw, 1))) == raw
        out = list(wrap(sf.Redact("\x00")).iter(events))
        assert said(out) == said(events)
        written = b"".join(wrap(sf.Redact("\x00")).iter(pieces(raw, 2, 30)))
        assert said(events_of(written)) == said(events)
        if "tool_args" not in entry["features"]:
            assert written == raw
            assert all(one is other for one, other in zip(out, events, strict=True))


@recorded
def test_the_text_is_as_long_as_the_index_says(entry: dict[str, Any]) -> None:
    """Also its reasoning, its calls and its reason to stop."""
    raw = body(entry)
    assert len("".join(sf.text_of(pieces(raw, 3)))) == entry["text_chars"]
    items = list(bedrock.Decode().iter(pieces(raw, 3)))
    reasoning = [item.text for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "reasoning"]
    assert len("".join(reasoning)) == entry["reasoning_chars"]
    assert sum(isinstance(item, sf.ToolCall) for item in items) == entry["tool_calls"]
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == entry["finish"]
    assert sum(isinstance(item, sf.Usage) for item in items) == 1


@recorded
@pytest.mark.parametrize("pipeline", [REDACT, sf.Redact(COMMON, to="")])
def test_each_channel_is_filtered_as_its_whole_text(entry: dict[str, Any], pipeline: Any) -> None:
    """In bytes and dicts; arguments by what they say; a signed thought ends where it would be changed; cuts do not matter."""
    raw = body(entry)
    events = events_of(raw)
    stage = bedrock.wrap(pipeline)
    written = {b"".join(stage.iter(pieces(raw, seed, most))) for seed, most in ((1, 7), (2, 100), (3, 5000))}
    assert len(written) == 1
    for out in (list(stage.iter(events)), events_of(written.pop())):
        got = said(out)
        for key, text in said(events).items():
            if key[1] == "input":
                assert mapped(json.loads(text), pipeline.apply) == json.loads(got[key])
            elif key[1] == "reasoning":
                assert pipeline.apply(text).startswith(got.get(key, ""))
                assert text.startswith(got.get(key, ""))
            else:
                assert got[key] == pipeline.apply(text)
        others = [[next(iter(event)) for event in each if "contentBlockDelta" not in event] for each in (out, events)]
        assert others[0] == others[1]


@recorded
def test_a_stopped_message_ends_as_the_format_has_it(entry: dict[str, Any]) -> None:
    """Its open block is closed, and it has a reason to stop."""
    events = events_of(body(entry))
    text = next(text for key, text in said(events).items() if key[1] == "text")
    for given in (events, [body(entry)]):
        out: list[Any] = list(bedrock.wrap(sf.StopAt(text[20:26])).iter(given))
        out = events_of(b"".join(out)) if given is not events else out
        kinds = [next(iter(event)) for event in out]
        assert kinds[-2:] == ["contentBlockStop", "messageStop"]
        assert kinds.count("messageStop") == 1
        begun = {event["contentBlockDelta"]["contentBlockIndex"] for event in out if "contentBlockDelta" in event}
        assert sorted(begun) == [event["contentBlockStop"]["contentBlockIndex"] for event in out if "contentBlockStop" in event]


FULL: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    delta(0, reasoningContent={"text": "I think"}),
    delta(0, reasoningContent={"text": " so"}),
    delta(0, reasoningContent={"signature": "c2ln"}),
    stop(0),
    delta(1, reasoningContent={"redactedContent": "cmVk"}),
    stop(1),
    delta(2, text="It is"),
    delta(2, text=" so."),
    delta(2, citation={"title": "T", "source": "S", "sourceContent": [{"text": "quoted"}], "location": {"web": {"url": "u"}}}),
    stop(2),
    start(3, toolUse={"toolUseId": "t", "name": "f"}),
    delta(3, toolUse={"input": '{"a": "b'}),
    delta(3, toolUse={"input": ' c"}'}),
    stop(3),
    start(4, toolResult={"toolUseId": "t", "type": "x", "status": "success"}),
    delta(4, toolResult=[{"text": "found"}, {"json": {"a": "b"}}]),
    delta(4, toolResult=[{"text": " it"}]),
    stop(4),
    {"messageStop": {"stopReason": "end_turn", "additionalModelResponseFields": {"note": "n", "list": ["x"]}}},
    {
        "metadata": {
            "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
            "metrics": {"latencyMs": 4},
            "trace": {"guardrail": {"modelOutput": ["It is so."], "actionReason": "none"}},
        }
    },
    {"newEvent": {"text": "x"}},
    {"modelStreamErrorException": {"message": "m", "originalMessage": "o"}},
]


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    if path[:2] != ("contentBlockDelta", "delta") or path[2] == "citation" or "json" in path:
        return None
    return path, event["contentBlockDelta"]["contentBlockIndex"]


@pytest.mark.parametrize("events", [FULL, *(events_of(body(entry)) for entry in RECORDED)])
def test_a_secret_in_any_field_does_not_come_out(events: list[dict[str, Any]]) -> None:
    """No six characters of it, in dicts and in messages, wherever it is planted."""
    stage = bedrock.wrap(GUARD)
    for place, planted in plantings(events, SECRET, spared=bedrock.OPAQUE, goes_on=goes_on):
        assert not fragments(stage.iter(planted), SECRET), place
        raw = messages(planted)
        assert not fragments(events_of(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]]))), SECRET), place


# ------------------------------------------------------------------------------------------------------------- details


def test_a_signed_thought_is_never_edited() -> None:
    """Where it would be changed it ends, and its signature is left out; what follows stays."""
    events = [delta(0, reasoningContent={"text": "a secret here"}), delta(0, reasoningContent={"signature": "s"}), stop(0)]
    assert list(bedrock.wrap(X).iter(events)) == [delta(0, reasoningContent={"text": "a "}), stop(0)]
    events = [delta(0, reasoningContent={"text": "a thought"}), delta(0, reasoningContent={"signature": "s"}), stop(0)]
    assert list(bedrock.wrap(X).iter(events)) == events


def test_held_text_leaves_before_its_block_ends() -> None:
    """On a delta of its own."""
    events = [delta(0, text="a sec"), stop(0), {"messageStop": {"stopReason": "end_turn"}}]
    out = list(bedrock.wrap(X).iter(events))
    assert said(out) == {(0, "text", 0): "a sec"}
    assert out[-2:] == events[-2:]


def test_bytes_that_boto3_gives_pass() -> None:
    """Redacted thoughts are bytes there; as JSON they are base64."""
    events = [delta(0, reasoningContent={"redactedContent": b"\0\1"}), stop(0)]
    assert list(bedrock.wrap(X).iter(events)) == events
    raw = b"".join((bedrock.Decode() | bedrock.Encode(as_bytes=True)).iter(events))
    assert events_of(raw)[0] == delta(0, reasoningContent={"redactedContent": "AAE="})


def test_an_error_is_a_failure_and_its_words_are_filtered() -> None:
    """An exception in mid-stream, and an error that has no payload; it tells the format where nothing came before."""
    raised = header(":exception-type", 7, b"throttlingException") + header(":message-type", 7, b"exception")
    raw = message(raised, b'{"message":"a secret"}')
    assert b"".join(sf.wrap(X).iter([raw])) == message(raised, '{"message":"a █"}'.encode())
    (failure,) = list(bedrock.Decode().iter([raw]))
    assert isinstance(failure, sf.Failure)
    assert failure.error == {"message": "a secret"}
    failed = header(":error-code", 7, b"Bad") + header(":error-message", 7, b"secret") + header(":message-type", 7, b"error")
    (failure,) = list(bedrock.Decode().iter([message(failed, b"")]))
    assert isinstance(failure, sf.Failure)
    assert b"secret" not in b"".join(bedrock.wrap(X).iter([message(failed, b"")]))


def test_the_real_parser_reads_what_is_written() -> None:
    """boto3's own stream of Converse, over a filtered body of messages."""
    session = pytest.importorskip("botocore.session").get_session()
    model = session.get_service_model("bedrock-runtime").operation_model("ConverseStream")
    eventstream = pytest.importorskip("botocore.eventstream")
    parser = pytest.importorskip("botocore.parsers").EventStreamJSONParser()

    class Body:
        def stream(self) -> Any:
            yield from bedrock.wrap(sf.Redact("so", to="█")).iter(pieces(messages(FULL[:-2]), 1))

        def close(self) -> None: ...

    shape = model.output_shape.members["stream"]
    stream = eventstream.EventStream(Body(), shape, parser, "ConverseStream")
    texts = said(list(stream))
    assert texts[1, "text", 2] == "It is █."
    assert json.loads(texts[1, "input", 3]) == {"a": "b c"}


def test_other_formats_become_events_and_events_other_formats() -> None:
    """Text, thoughts, calls, the reason and the counts."""
    events = [event for event in FULL[:-2] if "toolResult" not in str(event)]
    chunks = list((bedrock.Decode() | openai.chat.Encode()).iter(events))
    back = list((openai.chat.Decode() | bedrock.Encode()).iter(chunks))
    texts = {(key[1]): text for key, text in said(back).items()}
    assert texts == {"reasoning": "I think so", "text": "It is so.", "input": '{"a": "b c"}'}
    assert list(back[0]) == ["messageStart"]
    assert [next(iter(event)) for event in back[-3:]] == ["contentBlockStop", "messageStop", "metadata"]
    assert back[-2] == {"messageStop": {"stopReason": "tool_use"}}  # "stop" does not say that it is not for the call
    unsigned = [FULL[0], *FULL[7:]]
    assert list((bedrock.Decode() | bedrock.Encode()).iter(unsigned)) == unsigned
    raw = messages(unsigned)
    assert b"".join((bedrock.Decode() | bedrock.Encode(as_bytes=True)).iter([raw])) == raw
    made = b"".join((openai.chat.Decode() | bedrock.Encode(as_bytes=True)).iter(chunks))
    assert said(events_of(made)).keys() == said(back).keys()


@pytest.mark.parametrize(
    "event",
    [
        {"contentBlockDelta": {"delta": {"text": "secret"}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "a", "toolUse": {"input": "secret"}}}},
        {"messageStart": {"role": "assistant"}, **delta(0, text="secret")},
    ],
)
def test_a_shape_that_could_hide_text_is_refused(event: dict[str, Any]) -> None:
    """Without the text in the error."""
    raw = b"data: " + json.dumps(event).encode() + b"\n\n"
    with pytest.raises(MalformedInput) as error:
        list(bedrock.wrap(X).iter([raw]))
    assert "secret" not in str(error.value)
    with pytest.raises(TypeError):
        list(bedrock.wrap(X).iter([event]))


def test_a_broken_message_ends_the_stream() -> None:
    """All before it is given."""
    raw = messages(FULL[:3])
    stream = bedrock.wrap(X).iter([raw[:-1] + bytes([raw[-1] ^ 1])])
    out = [next(stream), next(stream)]
    assert b"".join(out) == messages(FULL[:2])
    with pytest.raises(MalformedInput, match="checksum"):
        next(stream)


def test_requests_and_whole_responses_are_filtered() -> None:
    """By the same pipeline; ids, names and files stay."""
    content = [{"text": "a secret"}, {"toolUse": {"toolUseId": "secret", "name": "secret", "input": {"a": "secret"}}}]
    want = [{"text": "a █"}, {"toolUse": {"toolUseId": "secret", "name": "secret", "input": {"a": "█"}}}]
    request = {"modelId": "secret", "system": [{"text": "secret"}], "messages": [{"role": "user", "content": content}]}
    assert bedrock.filter_request(X, request) == request | {
        "system": [{"text": "█"}],
        "messages": [{"role": "user", "content": want}],
    }
    thought = {"reasoningContent": {"reasoningText": {"text": "secret", "signature": "s"}}}
    response = {"output": {"message": {"role": "assistant", "content": [*content, thought]}}, "stopReason": "end_turn"}
    filtered = {"reasoningContent": {"reasoningText": {"text": "█", "signature": ""}}}
    expected = {"output": {"message": {"role": "assistant", "content": [*want, filtered]}}, "stopReason": "end_turn"}
    assert bedrock.filter_response(X, response) == expected
    assert run_virtually(bedrock.afilter_response(X, response)) == expected


# -------------------------------------------------------------------------------------------------- models' own formats


INVOKED = shared("bedrock-eventstream-invoke")
invoked = pytest.mark.parametrize("entry", INVOKED, ids=[entry["file"] for entry in INVOKED])
invoke = bedrock.invoke


def inside(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is in the chunks."""
    found = [event["chunk"]["bytes"] for event in events]
    return [json.loads(base64.b64decode(raw) if isinstance(raw, str) else raw) for raw in found]


def texts_of(events: list[dict[str, Any]]) -> dict[Any, str]:
    """The text of each channel, of Nova's events or Anthropic's."""
    texts = dict(said(events))
    for event in events:
        for name in ("text", "thinking", "partial_json"):
            if event.get("type") == "content_block_delta" and name in event["delta"]:
                key = (0, "input" if name == "partial_json" else name, event["index"])
                texts[key] = texts.get(key, "") + event["delta"][name]
    return texts


def parsed_by_boto(raw: bytes) -> list[dict[str, Any]]:
    """As boto3 gives them: the bytes of chunks are decoded."""
    return [{"chunk": {"bytes": base64.b64decode(event["chunk"]["bytes"])}} for event in events_of(raw)]


@invoked
def test_chunks_are_filtered_as_the_format_of_their_model(entry: dict[str, Any]) -> None:
    """In bytes and as boto3 gives them; what is not changed leaves as it came; the cuts do not matter."""
    raw = body(entry)
    for wrap in (invoke.wrap, sf.wrap):
        stage = wrap(REDACT)
        written = {b"".join(stage.iter(pieces(raw, seed, most))) for seed, most in ((1, 7), (2, 100), (3, 5000))}
        assert len(written) == 1
        want = texts_of(inside(events_of(raw)))
        for out in (events_of(written.pop()), list(stage.iter(parsed_by_boto(raw)))):
            got = texts_of(inside(out))
            for key, text in want.items():
                if key[1] == "input":
                    assert mapped(json.loads(text or "{}"), REDACT.apply) == json.loads(got.get(key) or "{}")
                else:
                    assert got[key] == REDACT.apply(text)
        events = parsed_by_boto(raw)
        out = list(wrap(sf.Redact("\x00")).iter(events))
        assert texts_of(inside(out)) == want
        assert sum(one is event for one in out for event in events) > len(events) / 2
        assert b"".join(wrap(sf.Pipeline()).iter(pieces(raw, 1))) == raw


@invoked
def test_the_text_in_chunks_is_as_long_as_the_index_says(entry: dict[str, Any]) -> None:
    """And its calls and reason to stop are read."""
    raw = body(entry)
    assert len("".join(sf.text_of(pieces(raw, 3)))) == entry["text_chars"]
    items = list(invoke.Decode().iter(parsed_by_boto(raw)))
    assert sum(isinstance(item, sf.ToolCall) for item in items) == entry["tool_calls"]
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == entry["finish"]


@invoked
def test_a_stopped_stream_of_chunks_ends_as_the_format_of_its_model_has_it(entry: dict[str, Any]) -> None:
    """In chunks."""
    raw = body(entry)
    text = next(text for key, text in texts_of(inside(events_of(raw))).items() if key[1] == "text" and len(text) > 8)
    out = inside(events_of(b"".join(invoke.wrap(sf.StopAt(text[4:8])).iter([raw]))))
    last = out[-1]
    assert last.get("type") == "message_stop" or "messageStop" in last


@invoked
def test_a_secret_in_any_field_of_a_chunk_does_not_come_out(entry: dict[str, Any]) -> None:
    """Nor in its bytes."""
    inner = inside(events_of(body(entry)))
    spared = bedrock.OPAQUE | anthropic.messages.OPAQUE

    def both(event: dict[str, Any], path: tuple[Any, ...]) -> object:
        is_text = path[-1] in ("text", "partial_json", "input") and "delta" in path
        return (path, event.get("index"), event.get("contentBlockDelta", {}).get("contentBlockIndex")) if is_text else None

    for place, planted in plantings(inner, SECRET, spared=spared, goes_on=both):
        chunks = [{"bytes": base64.b64encode(json.dumps(event).encode()).decode()} for event in planted]
        raw = messages([{"chunk": chunk} for chunk in chunks])
        assert not fragments(inside(events_of(b"".join(invoke.wrap(GUARD).iter([raw])))), SECRET), place


BAD_CHUNKS: list[dict[str, Any]] = [
    {"chunk": {"bytes": base64.b64encode(b'{"outputText": "secret"}').decode()}},
    {"chunk": {"bytes": base64.b64encode(b'{"choices": [{"delta": {"content": "secret"}}]}').decode()}},
    {"chunk": {"bytes": "not base64: secret"}},
    {"chunk": {"bytes": "/w=="}},
    {"chunk": {"bytes": "e30=", "more": "secret"}},
]


@pytest.mark.parametrize("event", BAD_CHUNKS)
def test_chunks_of_a_format_that_is_not_known_are_refused(event: dict[str, Any]) -> None:
    """In bytes and in dicts; nothing of the text is in the error."""
    with pytest.raises(MalformedInput) as malformed:
        list(invoke.wrap(X).iter([messages([event])]))
    with pytest.raises(TypeError) as mistaken:
        list(invoke.wrap(X).iter([event]))
    assert "secret" not in f"{malformed.value} {mistaken.value}"


def test_an_error_between_chunks_is_a_failure() -> None:
    """In messages and in dicts."""
    first = {"chunk": {"bytes": json.dumps(FULL[0]).encode()}}
    events = [first, {"internalServerException": {"message": "a secret"}}]
    assert list(invoke.wrap(X).iter(events)) == [first, {"internalServerException": {"message": "a █"}}]
    raised = header(":exception-type", 7, b"x.Exception") + header(":message-type", 7, b"exception")
    raw = message(raised, b'{"message":"a secret"}')
    assert b"".join(invoke.wrap(X).iter([raw])) == message(raised, '{"message":"a █"}'.encode())


def test_the_format_is_told_by_its_own_fields() -> None:
    """By any event of a block or of a message's ends."""
    assert {detect(event) for event in FULL[:-3]} == {"bedrock"}


@pytest.mark.parametrize(
    ("model", "event"),
    [
        ("Llama's", {"generation": "Hi", "prompt_token_count": 3, "generation_token_count": 1, "stop_reason": None}),
        ("Mistral's", {"outputs": [{"text": "Hi", "stop_reason": None}]}),
        ("Titan's", {"outputText": "Hi", "index": 0, "totalOutputTextTokenCount": None, "completionReason": None}),
        ("Cohere's", {"is_finished": False, "event_type": "text-generation", "text": "Hi"}),
        ("AI21's", {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}),
        ("not known", {"surprise": "Hi"}),
    ],
)
def test_models_whose_own_format_is_not_read_are_refused_by_name(model: str, event: dict[str, Any]) -> None:
    """With what to use instead. Nothing of the text is in the error. (Shapes of AWS's user guide.)"""
    chunk = {"chunk": {"bytes": json.dumps(event).encode()}}
    with pytest.raises(TypeError, match=f"the format of the model is {model}.*use Converse") as caught:
        list(bedrock.invoke.wrap(sf.Redact("x")).iter([chunk]))
    assert "Hi" not in str(caught.value)
