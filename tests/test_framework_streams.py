"""Streams of frameworks as they made them of recorded streams of providers: no secret comes out, and they can be served as any other.

`framework_streams.json` has what `langchain-openai`, `langchain-anthropic`, `pydantic-ai` and the `ai` package made, shortened: two
events of each shape. Where the frameworks are installed, they read whole recordings, and are the reference.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import test_langchain
import test_pydantic_ai
import test_vercel
from guard_server import Server, running, streamed
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.providers import anthropic, detect, langchain, openai, pydantic_ai, vercel
from streamfilter.testing import cut
from streamfilter.testing.planting import fragments, plantings

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact(SECRET, to="█")
COMMON = sf.Redact(r"\b(?:the|a|is|and|to|of|in)\b", to="█")


def in_a_message(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a chunk; none does behind the reason why a message is complete."""
    return None if event.get("response_metadata", {}).get("finish_reason") else test_langchain.goes_on(event, path)


FORMATS: dict[str, tuple[Any, Any]] = {
    "langchain": (langchain, in_a_message),
    "pydantic_ai": (pydantic_ai, test_pydantic_ai.goes_on),
    "vercel": (vercel, test_vercel.goes_on),
}
STREAMS: dict[str, dict[str, list[Any]]] = json.loads((Path(__file__).parent / "framework_streams.json").read_text())
EACH = [pytest.param(api, name, id=f"{api}-{name}") for api, streams in STREAMS.items() for name in streams]


@pytest.mark.parametrize(("api", "name"), EACH)
def test_a_secret_in_any_field_does_not_come_out(api: str, name: str) -> None:
    """Whole or in halves, wherever it is planted in what the framework made."""
    module, goes_on = FORMATS[api]
    stage = module.wrap(GUARD)
    places = 0
    for place, planted in plantings(STREAMS[api][name], SECRET, spared=module.OPAQUE, goes_on=goes_on):
        assert not fragments(stage.iter(planted), SECRET), place
        places += 1
    assert places >= 1


@pytest.mark.parametrize(("api", "name"), EACH)
def test_what_no_rule_matches_says_what_it_said(api: str, name: str) -> None:
    """An empty pipeline gives the very events; text is as it came; the format is told by the first event."""
    module, _ = FORMATS[api]
    events = STREAMS[api][name]
    assert detect(events[0]) == api
    assert all(one is other for one, other in zip(module.wrap(sf.Pipeline()).iter(events), events, strict=True))
    assert said(module.Decode(), module.wrap(sf.Redact("\x00")).iter(events)) == said(module.Decode(), events)


Said = dict[str, Any]


def said(decode: Any, chunks: Any) -> Said:
    """What a stream says: its text of each kind, its calls with their arguments, why it is complete, whether with calls."""
    out: Said = {"answer": "", "reasoning": "", "calls": {}, "arguments": {}, "reasons": [], "waits": False, "failed": False}
    called: list[sf.ToolCall] = []
    try:
        for item in decode.iter(chunks):
            if isinstance(item, sf.TextDelta) and item.channel.kind == "tool_arguments":
                out["arguments"][item.channel] = out["arguments"].get(item.channel, "") + item.text
            elif isinstance(item, sf.TextDelta):
                kind = "answer" if item.channel.kind == "refusal" else item.channel.kind
                out[kind] = out.get(kind, "") + item.text
            elif isinstance(item, sf.ToolCall):
                out["calls"][item.arguments] = (item.id, item.name)
                out["arguments"].setdefault(item.arguments, "")
                called.append(item)
            elif isinstance(item, sf.Finish):
                out["reasons"].append(item.reason)
                out["waits"] = bool(called)
                called.clear()
    except sf.ProviderError:
        out["failed"] = True
    out["calls"] = [*out["calls"].values()]
    out["arguments"] = [text or "{}" for text in out["arguments"].values()]
    return out


# ------------------------------------------------------------------ any provider, served as a stream of a framework

PROVIDERS: dict[str, Any] = {
    "openai.chat": openai.chat,
    "openai.responses": openai.responses,
    "anthropic.messages": anthropic.messages,
}
RECORDED = [
    pytest.param(api, entry, id=entry["file"])
    for api in PROVIDERS
    for entry in shared(api)
    if "nonjson_data" not in entry["features"] and "n>1" not in entry["features"] and "error" not in entry["features"]
]
absent = pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")


@absent
@pytest.mark.parametrize(("api", "entry"), RECORDED)
@pytest.mark.parametrize("framework", [langchain, pydantic_ai], ids=["langchain", "pydantic_ai"])
def test_a_stream_that_is_encoded_and_decoded_says_the_same(framework: Any, api: str, entry: dict[str, Any]) -> None:
    """Text, reasoning, calls, arguments, the reason in OpenAI's words; as dicts and as bytes, cut at random."""
    raw = body(entry)
    want = said(PROVIDERS[api].Decode(), [raw])
    events = list((PROVIDERS[api].Decode() | framework.Encode(as_dicts=True)).iter([raw]))
    got = said(framework.Decode(), events)
    assert {name: got[name] for name in ("answer", "reasoning", "arguments")} == {
        name: want[name] for name in ("answer", "reasoning", "arguments")
    }
    named = [name for _, name in got["calls"]]
    assert [name for name in named if name != "tool"] == [name for _, name in want["calls"] if name]
    if want["reasons"]:
        assert got["reasons"][-1] == openai_reason(want["reasons"][-1], want["waits"])
    coded = b"".join((PROVIDERS[api].Decode() | framework.Encode(as_bytes=True)).iter([raw]))
    again = said(framework.Decode(), [piece.encode("latin-1") for piece in cut(coded.decode("latin-1"), 700, 1)])
    assert {**again, "calls": len(again["calls"])} == {**got, "calls": len(got["calls"])}  # some get a name made up


def openai_reason(reason: str, has_called: bool = False) -> str:
    """Source: the references of the APIs. Of these, the Responses API has no word for an answer that waits for its calls."""
    if has_called and reason in ("stop", "completed"):
        return "tool_calls"
    words = {"end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
    more = {"max_output_tokens": "length", "completed": "stop", "refusal": "content_filter", "model_length": "length"}
    return {**words, **more}.get(reason, reason)


def server_of(kind: str) -> Any:
    return pytest.importorskip(kind, reason=f"{kind} is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def chat_model(api: str, server: Server) -> Any:
    """LangChain's own."""
    if api == "anthropic.messages":
        return server_of("langchain_anthropic").ChatAnthropic(model="m", api_key="none", base_url=server.url, max_retries=0)
    made = server_of("langchain_openai").ChatOpenAI
    is_responses = api == "openai.responses"
    return made(
        model="m", api_key="none", base_url=f"{server.url}/v1", max_retries=0, use_responses_api=is_responses, stream_usage=True
    )


def agent_model(api: str, server: Server) -> Any:
    """pydantic-ai's own."""
    if api == "anthropic.messages":
        provider = server_of("pydantic_ai.providers.anthropic").AnthropicProvider(api_key="none", base_url=server.url)
        return server_of("pydantic_ai.models.anthropic").AnthropicModel("m", provider=provider)
    models = server_of("pydantic_ai.models.openai")
    provider = server_of("pydantic_ai.providers.openai").OpenAIProvider(api_key="none", base_url=f"{server.url}/v1")
    return (models.OpenAIResponsesModel if api == "openai.responses" else models.OpenAIChatModel)("m", provider=provider)


def texts_of(message: Any) -> tuple[str, str, list[Any]]:
    """What a message of LangChain says: text, reasoning, calls."""
    content = message.content if isinstance(message.content, list) else [{"type": "text", "text": message.content}]
    thoughts = [thought for block in content if isinstance(block, dict) and isinstance(thought := block.get("thinking", ""), str)]
    thoughts += [part["text"] for block in content if isinstance(block, dict) for part in block.get("summary", ())]
    thoughts.append(message.additional_kwargs.get("reasoning_content", ""))
    return str(message.text), "".join(thoughts), [(call["name"], call["args"]) for call in message.tool_calls]


async def response_of(model: Any) -> Any:
    messages = server_of("pydantic_ai.messages")
    asked = [messages.ModelRequest([messages.UserPromptPart("hm")])]
    async with server_of("pydantic_ai.direct").model_request_stream(model, asked) as stream:
        async for _ in stream:
            pass
        return stream.get()


def parts_of(response: Any) -> list[Any]:
    return [(part.part_kind, getattr(part, "content", None) or getattr(part, "args", None)) for part in response.parts]


def mapped(value: Any) -> Any:
    if isinstance(value, str):
        return COMMON.apply(value)
    if isinstance(value, list | tuple):
        return [mapped(each) for each in value]
    return {COMMON.apply(key): mapped(each) for key, each in value.items()} if isinstance(value, dict) else value


def last_count(entry: dict[str, Any]) -> int:
    """Some providers count again and again; LangChain adds that up."""
    counts = [payload["usage"].get("completion_tokens", 0) for payload in chunks(body(entry)) if payload.get("usage")]
    return int(counts[-1])


def some() -> list[Any]:
    """Each third of those that are not long."""
    return [param for param in RECORDED if param.values[1]["text_chars"] < 1500][::3]  # type: ignore[index]


@absent
@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::ResourceWarning"
)  # the frameworks': of models they do not know, of clients
@pytest.mark.parametrize(("api", "entry"), some())
def test_a_guarded_chat_model_says_what_the_batch_operation_makes_of_its_message(
    server: Server, api: str, entry: dict[str, Any]
) -> None:
    """LangChain's own models over recorded streams; what `Encode` makes of the recording is the message that they make."""
    model = chat_model(api, server)
    server.replies(streamed(body(entry), 1, most=1000))
    try:
        pieces = list(model.stream("hm"))
        want = sum(pieces[1:], pieces[0])
    except (TypeError, AttributeError):
        pytest.skip("LangChain cannot read this recording")
    server.replies(streamed(body(entry), 2, most=1000))
    given = list(sf.guard(model, response=COMMON).stream("hm"))
    got = sum(given[1:], given[0])
    text, thoughts, calls = texts_of(want)
    if isinstance(want.content, str):
        assert texts_of(got) == (COMMON.apply(text), COMMON.apply(thoughts), [(name, mapped(args)) for name, args in calls])
    else:  # each block is a text of its own
        assert [block.get("text") for block in got.content if "text" in block] == [
            COMMON.apply(block["text"]) for block in want.content if "text" in block
        ]
        assert texts_of(got)[2] == [(name, mapped(args)) for name, args in calls]
    made = list((PROVIDERS[api].Decode() | langchain.Encode()).iter([body(entry)]))
    encoded = sum(made[1:], made[0])
    assert str(encoded.text) == text
    if "variant_a" in str(entry["file"]):
        return  # it says the name of a call twice, and LangChain adds them
    if api == "openai.chat" and "think_tag" not in entry["features"] and "content_parts" not in entry["features"]:
        assert texts_of(encoded)[2] == calls
        if want.usage_metadata:
            assert encoded.usage_metadata["output_tokens"] in (want.usage_metadata["output_tokens"], last_count(entry))


@absent
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("api", "entry"), some())
def test_a_guarded_model_of_an_agent_says_what_the_batch_operation_makes_of_its_response(
    server: Server, api: str, entry: dict[str, Any]
) -> None:
    """pydantic-ai's own models over recorded streams; what `Encode` makes of the recording has the text that they make of it."""
    server.replies(streamed(body(entry), 1, most=1000))
    want = asyncio.run(response_of(agent_model(api, server)))
    server.replies(streamed(body(entry), 2, most=1000))
    got = asyncio.run(response_of(sf.guard(agent_model(api, server), response=COMMON)))
    filtered = pydantic_ai.filter_response(COMMON, want)  # proved part by part in its own tests
    assert [(kind, as_value(value)) for kind, value in parts_of(got)] == [
        (kind, as_value(value)) for kind, value in parts_of(filtered)
    ]
    assert [part.content for part in got.parts if part.part_kind == "text"] == [
        COMMON.apply(part.content) for part in want.parts if part.part_kind == "text"
    ]
    assert (got.finish_reason, got.usage, got.state) == (want.finish_reason, want.usage, want.state)
    made = list((PROVIDERS[api].Decode() | pydantic_ai.Encode()).iter([body(entry)]))
    if "think_tag" not in entry["features"]:  # which pydantic-ai takes out
        answer = "".join(part.content for part in want.parts if part.part_kind == "text")
        assert made[-1].result.output == answer


def as_value(value: Any) -> Any:
    """Arguments as what they mean."""
    try:
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except ValueError:
        return value


# ------------------------------------------------------------------ Encode by itself


@pytest.mark.parametrize("framework", [langchain, pydantic_ai], ids=["langchain", "pydantic_ai"])
def test_responses_of_an_agent_and_choices_do_not_mix(framework: Any) -> None:
    """Each response is a message of its own; of several choices the first is one."""
    items: list[Any] = []
    for n in range(2):
        items += [sf.TextDelta(f"turn {n}.{choice}", sf.Channel("answer", (n, choice))) for choice in (0, 1)]
        items += [
            sf.Finish("stop", scope=(n, 0)),
            sf.Finish("stop", scope=(n, 1)),
            sf.Usage({"prompt_tokens": 1, "completion_tokens": 2}),
        ]
    events: list[Any] = list(framework.Encode(as_dicts=True).iter(items))
    assert said(framework.Decode(), events)["answer"] == "turn 0.0turn 1.0"
    if framework is langchain:
        assert len({event["id"] for event in events}) == 2
        assert [event["usage_metadata"]["output_tokens"] for event in events if "usage_metadata" in event] == [2, 2]
        assert [event["chunk_position"] for event in events if "chunk_position" in event] == ["last", "last"]
    else:
        kept = events[-1]["result"]["_state"]
        assert [message["parts"][0]["content"] for message in kept["message_history"]] == ["turn 0.0", "turn 1.0"]
        assert kept["usage"] == {"requests": 2, "input_tokens": 2, "output_tokens": 4}


@pytest.mark.parametrize("framework", [langchain, pydantic_ai], ids=["langchain", "pydantic_ai"])
def test_an_error_of_a_provider_ends_the_stream_behind_the_text_before_it(framework: Any) -> None:
    """There is no event for it; as bytes too."""
    for options in ({"as_dicts": True}, {"as_bytes": True}):
        got = []
        with pytest.raises(sf.ProviderError) as caught:
            for event in framework.Encode(**options).iter(["Hi", sf.Failure({"message": "overloaded"})]):
                got.append(event)  # noqa: PERF402
        assert said(framework.Decode(), got)["answer"] == "Hi"
        assert caught.value.payload == {"message": "overloaded"}


@pytest.mark.parametrize("framework", [langchain, pydantic_ai], ids=["langchain", "pydantic_ai"])
def test_what_a_framework_streams_can_be_served_as_any_other_provider(framework: Any) -> None:
    """Decoded from the framework, encoded for OpenAI, Anthropic and the AI SDK."""
    call = sf.Channel("tool_arguments", (0, 0, "tool_calls", 0))
    items: list[Any] = [
        sf.TextDelta("hm", sf.Channel("reasoning", (0, 0))),
        sf.TextDelta("Hi", sf.Channel("answer", (0, 0))),
        sf.ToolCall("c1", "find", call, scope=call),
        sf.TextDelta('{"a": 1}', call),
        sf.Finish("tool_calls", scope=(0, 0)),
        sf.Usage({"prompt_tokens": 3, "completion_tokens": 4}),
    ]
    chunks: list[Any] = list(framework.Encode(as_dicts=True).iter(items))
    for other in (openai.chat, openai.responses, anthropic.messages, vercel):
        got = said(other.Decode(), list((framework.Decode() | other.Encode()).iter(chunks)))
        assert (got["answer"], got["reasoning"], got["calls"], got["arguments"]) == ("Hi", "hm", [("c1", "find")], ['{"a": 1}']), (
            other
        )
        if other in (openai.chat, anthropic.messages):
            assert openai_reason(got["reasons"][-1]) == "tool_calls"


def test_objects_need_the_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "langchain_core.messages", None)
    with pytest.raises(ImportError, match="langchain-core"):
        list(langchain.Encode().iter(["Hi"]))
    monkeypatch.setitem(__import__("sys").modules, "pydantic_ai.messages", None)
    with pytest.raises(ImportError, match="pydantic-ai-slim"):
        list(pydantic_ai.Encode().iter(["Hi"]))
