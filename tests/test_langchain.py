"""What LangChain streams: chunks of messages and events of runs, real ones where it is installed, filtered like their whole texts."""

from __future__ import annotations

import asyncio
import functools
import json
import operator
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.providers import detect, langchain
from streamfilter.testing.planting import fragments, plantings

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact("Zq7-kestrel-Wx4", to="█")
COMMON = sf.Redact(r"\b(?:the|a|is|and)\b|[0-9]+", to="█")


def chunk(content: Any = "", **rest: Any) -> dict[str, Any]:
    """A chunk of a message, as a dict."""
    return {"type": "AIMessageChunk", "content": content, "id": "run-1", **rest}


def part(args: str, **rest: Any) -> dict[str, Any]:
    """A fragment of a tool call."""
    return {"type": "tool_call_chunk", "args": args, "index": 0, "name": None, "id": None, **rest}


STARTED = {"name": "f", "id": "c1"}

MESSAGES: dict[str, list[dict[str, Any]]] = {
    "text": [
        chunk("I say "),
        chunk("so.", response_metadata={"logprobs": {"content": [{"token": "so."}]}}),
        chunk("", response_metadata={"finish_reason": "stop", "model_name": "m", "note": "n"}, chunk_position="last"),
    ],
    "blocks": [
        chunk([{"type": "thinking", "thinking": "hm ", "index": 0}]),
        chunk([{"type": "thinking", "thinking": "so", "index": 0}]),
        chunk([{"type": "thinking", "signature": "AA", "index": 0}]),
        chunk([{"type": "text", "text": "I say ", "index": 1}]),
        chunk([{"type": "text", "text": "this", "index": 1, "annotations": [{"title": "t", "url": "u"}]}]),
        chunk([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "in short ", "index": 0}], "index": 2}]),
        chunk([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "it is", "index": 0}], "index": 2}]),
        chunk([{"type": "reasoning", "reasoning": "in all ", "index": 3}, "and "]),
        chunk([{"type": "reasoning_content", "reasoning_content": {"text": "why "}, "index": 4}, {"type": "novel", "what": "x"}]),
    ],
    "calls": [
        chunk("", tool_call_chunks=[part('{"a": "b', **STARTED)], tool_calls=[{"name": "f", "args": {"a": "b"}, "id": "c1"}]),
        chunk("", tool_call_chunks=[part('c", "d": ')], tool_calls=[], invalid_tool_calls=[{"name": None, "args": 'c", "d": '}]),
        chunk("", tool_call_chunks=[part("1}")], usage_metadata={"input_tokens": 1}),
        chunk([{"type": "input_json_delta", "partial_json": '{"e": "f', "index": 7}]),
        chunk([{"type": "input_json_delta", "partial_json": '"}', "index": 7}]),
    ],
    "beside": [
        chunk("", additional_kwargs={"reasoning_content": "hm "}),
        chunk("", additional_kwargs={"reasoning_content": "so", "refusal": "no", "note": "n"}),
        chunk("", additional_kwargs={"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a'}}]}),
        chunk("", additional_kwargs={"tool_calls": [{"index": 0, "function": {"arguments": '": 1}'}}]}),
        chunk("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
    ],
}


def run(kind: str, number: int, data: Any, **rest: Any) -> dict[str, Any]:
    """An event of a run."""
    return {
        "event": kind,
        "run_id": f"r{number}",
        "name": "n",
        "tags": [],
        "metadata": {"note": "n"},
        "data": data,
        "parent_ids": [],
        **rest,
    }


DONE = {"a": "bc"}
EVENTS: list[dict[str, Any]] = [
    run("on_chain_start", 0, {"input": {"question": "why"}}),
    run("on_chat_model_start", 1, {"input": {"messages": [[{"type": "human", "content": "why"}]]}}),
    run("on_chat_model_stream", 1, {"chunk": chunk("I say ")}),
    run("on_parser_stream", 2, {"chunk": "I say "}),
    run("on_chain_stream", 0, {"chunk": "I say "}),
    run("on_chat_model_stream", 1, {"chunk": chunk("so", tool_call_chunks=[part('{"a": "b', **STARTED)])}),
    run("on_chat_model_stream", 1, {"chunk": chunk("", tool_call_chunks=[part('c"}')])}),
    run("on_parser_stream", 2, {"chunk": "so"}),
    run("on_chain_stream", 0, {"chunk": "so"}),
    run(
        "on_chat_model_end",
        1,
        {"output": chunk("I say so", tool_calls=[{"name": "f", "args": DONE, "id": "c1"}]), "input": {"messages": [[]]}},
    ),
    run("on_parser_end", 2, {"output": "I say so", "input": chunk("I say so")}),
    run("on_tool_start", 3, {"input": DONE}),
    run("on_tool_end", 3, {"output": {"type": "tool", "content": "found", "tool_call_id": "c1"}, "input": DONE}),
    run("on_retriever_end", 4, {"output": [{"page_content": "text", "metadata": {"source": "s"}}]}),
    run("on_custom_event", 5, ["x", {"y": "z"}]),
    run("on_chain_stream", 6, {"chunk": {"messages": [{"type": "ai", "content": "I say so"}]}}),
    run("on_llm_stream", 7, {"chunk": {"text": "plain "}}),
    run("on_llm_stream", 7, {"chunk": {"text": "model"}}),
    run(
        "on_chain_end",
        0,
        {"output": {"messages": [{"type": "ai", "content": [{"type": "text", "text": "I say so"}]}], "all": "I say so"}},
    ),
]


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a chunk."""
    kind = event.get("event")
    if kind is not None and (
        not kind.endswith("_stream")
        or path[:2] != ("data", "chunk")
        or (path[-1] in ("chunk", "text", "content") and kind == "on_chain_stream" and len(path) > 2)
    ):
        return None
    inside = path if kind is None else path[2:]
    names = (
        "content",
        "text",
        "thinking",
        "reasoning",
        "partial_json",
        "args",
        "reasoning_content",
        "refusal",
        "arguments",
        "input",
    )
    if inside and (inside[-1] not in names or inside[0] in ("tool_calls", "invalid_tool_calls", "response_metadata", "metadata")):
        return None
    node: Any = event
    indices = []
    for step in path:
        node = node[step]
        indices.append(node.get("index") if isinstance(node, dict) else None)
    return event.get("run_id"), kind, inside, indices


@pytest.mark.parametrize("events", [*MESSAGES.values(), EVENTS], ids=[*MESSAGES, "events"])
def test_a_secret_in_any_field_does_not_come_out(events: list[dict[str, Any]]) -> None:
    """Whole or in halves, wherever it is planted."""
    stage = langchain.wrap(GUARD)
    places = 0
    for place, planted in plantings(json.loads(json.dumps(events)), SECRET, spared=langchain.OPAQUE, goes_on=goes_on):
        assert not fragments(stage.iter(planted), SECRET), place
        places += 1
    assert places >= 4


def test_what_is_said_again_becomes_what_has_left() -> None:
    """Halves of a secret in pieces, and it as a whole wherever the run is over: also with stages that are no guards."""
    text = json.dumps(EVENTS)
    for old, new in (("I say ", f"I say {SECRET[:6]}"), ("so", f"{SECRET[6:]}so"), ("I say so", f"I say {SECRET}so")):
        text = text.replace(f'"{old}"', f'"{new}"')
    events = json.loads(text)
    stage = langchain.wrap(GUARD | sf.MapText(str.upper, channels=("answer",)))
    out = json.loads(json.dumps(list(stage.iter(events))))
    assert not fragments(out, SECRET)
    ends = [event for event in out if event["event"].endswith("_end")]
    assert ends[0]["data"]["output"]["content"] == "I SAY █SO"
    assert ends[1]["data"] == {"output": "I SAY █SO", "input": chunk("I SAY █SO")}
    assert ends[-1]["data"]["output"] == {
        "messages": [{"type": "ai", "content": [{"type": "text", "text": "I SAY █SO"}]}],
        "all": "I SAY █SO",
    }


def test_what_no_rule_matches_leaves_as_it_came() -> None:
    """The very events; but for keys of calls, which wait."""
    stage = langchain.wrap(sf.Redact("\x00"))
    for name, events in MESSAGES.items():
        if name not in ("calls", "beside"):
            assert all(one is other for one, other in zip(stage.iter(events), events, strict=True))
    plain = [event for event in EVENTS if "tool_call_chunks" not in json.dumps(event)]
    assert all(one is other for one, other in zip(stage.iter(plain), plain, strict=True))


def test_blocks_without_an_index_are_one_text() -> None:
    """The message that is put together of them has them one by one: no piece of a secret is left in it."""
    pieces = [[{"type": "text", "text": text}] for text in ("a Zq7-kest", "rel-Wx4 b")]
    events = [run("on_chat_model_stream", 1, {"chunk": chunk(piece)}) for piece in pieces]
    events.append(run("on_chat_model_end", 1, {"output": chunk([*pieces[0], *pieces[1]])}))
    out = list(langchain.wrap(GUARD).iter(events))
    assert not fragments(out, SECRET)
    assert [block["text"] for block in out[-1]["data"]["output"]["content"]] == ["a █ b", ""]


def test_a_stopped_message_ends_with_a_last_chunk() -> None:
    """With the reason, once."""
    out = list(langchain.wrap(sf.StopAt("so")).iter(MESSAGES["text"]))
    assert "".join(each["content"] for each in out) == "I say "
    assert [each["response_metadata"]["finish_reason"] for each in out if "response_metadata" in each] == ["stop"]
    assert out[-1]["chunk_position"] == "last"


def test_the_format_is_told_by_its_chunks() -> None:
    """And a decoded stream of events has each answer once."""
    assert detect(MESSAGES["text"][0]) == detect(EVENTS[0]) == "langchain"
    assert "".join(sf.text_of(EVENTS)) == "I say soplain model"
    items = list(langchain.Decode().iter(MESSAGES["text"]))
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == ["stop"]
    calls = [item for item in langchain.Decode().iter(MESSAGES["calls"]) if isinstance(item, sf.ToolCall)]
    assert [(call.id, call.name) for call in calls] == [("c1", "f")]


# ------------------------------------------------------------------ with LangChain itself


def real() -> Any:
    """The messages of LangChain."""
    return pytest.importorskip("langchain_core.messages", reason="langchain-core is not installed")


def recorded(payloads: Sequence[dict[str, Any]]) -> list[Any]:
    """A recorded stream as LangChain's integration would give it."""
    messages = real()
    found = []
    for payload in payloads:
        for choice in payload.get("choices") or ():
            delta = choice.get("delta") or {}
            if choice["index"] or not isinstance(delta.get("content") or "", str):
                continue
            calls = [
                {
                    "name": call["function"].get("name"),
                    "args": call["function"].get("arguments"),
                    "id": call.get("id"),
                    "index": call["index"],
                }
                for call in delta.get("tool_calls") or ()
                if call.get("index") is not None
            ]
            beside = {"reasoning_content": delta["reasoning_content"]} if delta.get("reasoning_content") else {}
            metadata = {"finish_reason": choice["finish_reason"]} if choice.get("finish_reason") else {}
            found.append(
                messages.AIMessageChunk(
                    content=delta.get("content") or "",
                    tool_call_chunks=calls,
                    additional_kwargs=beside,
                    response_metadata=metadata,
                    id=payload["id"] or "r",
                )
            )
    return found


def mapped(value: Any) -> Any:
    """A value with all its strings filtered, keys too."""
    if isinstance(value, str):
        return COMMON.apply(value)
    if isinstance(value, list):
        return [mapped(each) for each in value]
    return {COMMON.apply(key): mapped(each) for key, each in value.items()} if isinstance(value, dict) else value


RECORDED = [entry for entry in shared("openai.chat") if "nonjson_data" not in entry["features"] and entry["tool_calls"] < 3]


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize("entry", RECORDED, ids=[entry["file"] for entry in RECORDED])
def test_the_sum_of_the_chunks_is_the_filtered_message(entry: dict[str, Any]) -> None:
    """`AIMessageChunk`s in, `AIMessageChunk`s out; added up they have the filtered text, reasoning and arguments."""
    given = recorded(chunks(body(entry)))
    if not given:
        pytest.skip("there is no text of one choice")
    out = list(langchain.wrap(COMMON).iter(given))
    assert {type(each) for each in out} == {type(given[0])}
    want, got = given[0], out[0]
    for each in given[1:]:
        want += each
    for each in out[1:]:
        got += each
    assert got.content == COMMON.apply(want.content)
    thought = want.additional_kwargs.get("reasoning_content", "")
    assert got.additional_kwargs.get("reasoning_content", "") == COMMON.apply(thought)
    assert [(call["name"], call["args"]) for call in got.tool_calls] == [
        (call["name"], mapped(call["args"])) for call in want.tool_calls
    ]
    assert got.response_metadata == want.response_metadata


def test_the_events_of_a_real_chain_are_filtered() -> None:
    """The model's, the parser's, the chain's: each in pieces and whole; the fragments of a secret are in none."""
    messages = real()
    GenericFakeChatModel = pytest.importorskip("langchain_core.language_models.fake_chat_models").GenericFakeChatModel  # noqa: N806
    StrOutputParser = pytest.importorskip("langchain_core.output_parsers").StrOutputParser  # noqa: N806
    RunnableLambda = pytest.importorskip("langchain_core.runnables").RunnableLambda  # noqa: N806

    model = GenericFakeChatModel(messages=iter([messages.AIMessage(content="my key is big here, the very one")]))
    secret = sf.Redact("key is big here", to="█")

    async def read() -> list[Any]:
        chain = model | StrOutputParser() | RunnableLambda(lambda text: {"said": text})
        async with langchain.wrap(secret)(chain.astream_events("hm", version="v2")) as stream:
            return [event async for event in stream]

    out = asyncio.run(read())
    whole = "my █, the very one"
    by_event: dict[str, str] = {}
    for event in out:
        if event["event"] in ("on_chat_model_stream", "on_parser_stream"):
            piece = event["data"]["chunk"]
            by_event[event["event"]] = by_event.get(event["event"], "") + (piece if isinstance(piece, str) else piece.content)
    assert by_event == {"on_chat_model_stream": whole, "on_parser_stream": whole}
    ends = {event["event"]: event["data"]["output"] for event in out if event["event"].endswith("_end")}
    assert ends["on_chat_model_end"].content == whole
    assert ends["on_parser_end"] == whole
    assert ends["on_chain_end"] == {"said": whole}
    assert "key" not in repr(out)
    assert "big" not in repr(out)


def passed(piece: Any) -> dict[str, Any]:
    """An event in which a chain passes something on."""
    return run("on_chain_stream", 0, {"chunk": piece})


PASSED: dict[str, Any] = {
    "a value": lambda text: {"answer": text},
    "two values": lambda text: {"answer": text, "other": text},
    "a message": lambda text: {"answer": chunk(text)},
    "a message of a graph": lambda text: ["messages", [chunk(text), {"langgraph_node": "n"}]],
    "an update of a graph": lambda text: {"n": {"messages": [chunk(text)]}},
}


@pytest.mark.parametrize("is_said_before", [False, True])
@pytest.mark.parametrize("name", PASSED)
def test_what_a_chain_passes_on_in_pieces_is_one_text(name: str, is_said_before: bool) -> None:
    """As values of a dict, which are added up key by key, and as chunks of messages in whatever stands around them; at every cut."""
    text = f"a {SECRET} b"
    for cut in range(1, len(text)):
        events = []
        for part in (text[:cut], text[cut:]):
            said = [run("on_chat_model_stream", 1, {"chunk": chunk(part)})] if is_said_before else []
            events += [*said, passed(PASSED[name](part))]
        out = list(langchain.wrap(GUARD).iter([*events, run("on_chain_end", 0, {"output": {"answer": text}})]))
        assert not fragments(out, SECRET), cut
        shown = [texts_of(event["data"]["chunk"]) for event in out if event["event"] == "on_chain_stream"]
        assert "".join(each for texts in shown for each in texts[:1]) == "a █ b" or name == "two values"
        assert out[-1]["data"]["output"] == {"answer": "a █ b"}
    fine = [passed(PASSED[name]("I ")), passed(PASSED[name]("say so"))]
    assert list(langchain.wrap(GUARD).iter(fine)) == fine


ADDED: dict[str, Callable[[str], dict[str, Any]]] = {
    "OpenAI's summaries": lambda text: chunk(
        additional_kwargs={"reasoning": {"summary": [{"index": 0, "type": "summary_text", "text": text}]}}
    ),
    "a field": lambda text: chunk(additional_kwargs={"novel": text}),
    "a field in a field": lambda text: chunk("so", additional_kwargs={"thinking": {"said": text}}),
    "a block": lambda text: chunk([{"type": "novel", "said": text, "index": 0}]),
    "deep in a block": lambda text: chunk([{"type": "novel", "said": {"a": {"b": text}}, "index": 0}]),
    "beside the text of a block": lambda text: chunk([{"type": "text", "text": "", "extras": {"a": text}, "index": 0}]),
    "a list in a block": lambda text: chunk([{"type": "novel", "said": [{"index": 1, "a": text}], "index": "lc_1"}]),
    "a list": lambda text: chunk(additional_kwargs={"novel": [{"index": 0, "type": "x", "note": text}]}),
    "beside a call": lambda text: chunk(additional_kwargs={"tool_calls": [{"index": 0, "function": {"novel": text}}]}),
    "beside a call of the older form": lambda text: chunk(additional_kwargs={"function_call": {"novel": text}}),
    "what is told of the response": lambda text: chunk(response_metadata={"note": text}),
    "deeper in that": lambda text: chunk("so", response_metadata={"a": {"b": [{"index": 3, "c": text}]}}),
}
"""Chunks whose texts LangChain adds up, as it does all strings there: of these only some are known."""


@pytest.mark.parametrize("name", ADDED)
def test_what_langchain_adds_up_is_one_text(name: str) -> None:
    """What is split over two chunks does not come out of their sum."""
    for cut in range(len(SECRET) + 1):
        given = [ADDED[name](text) for text in ("so ", SECRET[:cut], SECRET[cut:], " it is")]
        last = chunk(response_metadata={"finish_reason": "stop"}, chunk_position="last")
        for events in (
            [*given, last],
            [run("on_chat_model_stream", 1, {"chunk": each}) for each in (*given, last)],
        ):
            out = list(langchain.wrap(GUARD).iter(events))
            assert not fragments(out, SECRET)
            assert not any(part in json.dumps(out) for part in (SECRET[:cut], SECRET[cut:]) if len(part) > 2)
            assert "█" in json.dumps(out, ensure_ascii=False)
            assert out[0] is events[0]
            assert list(langchain.wrap(sf.Redact("\x00")).iter(events)) == events
        messages = pytest.importorskip("langchain_core.messages")
        real = [messages.AIMessageChunk(**{k: v for k, v in each.items() if k != "type"}) for each in (*given, last)]
        came, *more = list(langchain.wrap(GUARD).iter(real))
        for each in more:
            came += each
        assert SECRET not in str(came)
        assert "so █ it is" in str(came)


def filtered(node: Any) -> Any:
    """A value with all its strings filtered, but for names of fields."""
    if isinstance(node, dict):
        return {name: filtered(each) for name, each in node.items()}
    return [*map(filtered, node)] if isinstance(node, list) else GUARD.apply(node) if isinstance(node, str) else node


@pytest.mark.parametrize("name", ADDED)
def test_the_sum_of_what_leaves_is_the_filtered_sum(name: str) -> None:
    """By LangChain's own `+`, wherever the text is cut."""
    messages = real()
    rng = random.Random(name)
    text = f"so {SECRET} it is Zq7-kestrel-Wx5 and Zq7-k"
    for _ in range(30):
        cuts = sorted(rng.sample(range(1, len(text)), rng.choice([1, 2, 5, 9])))
        given = [ADDED[name](text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        given.append(
            chunk(response_metadata={"finish_reason": "stop", "model_name": "m", "created_at": "t"}, chunk_position="last")
        )
        came = [messages.AIMessageChunk(**{field: value for field, value in each.items() if field != "type"}) for each in given]
        out = list(langchain.wrap(GUARD).iter(came))
        want, got = (functools.reduce(operator.add, each).model_dump() for each in (came, out))
        assert got == filtered(want), cuts


def test_parts_of_lists_that_have_no_index_are_whole() -> None:
    """LangChain puts them one behind the other: each leaves with its chunk, and not in two parts."""
    for held in (
        chunk([{"type": "text", "text": "so", "index": 0, "annotations": [{"title": "Zq7-k"}]}]),
        chunk("so", additional_kwargs={"found": [{"title": "Zq7-k"}, "Zq7-k"]}),
        chunk("so", response_metadata={"ratings": [{"note": "Zq7-k"}], "done_reason": "Zq7-k"}),
    ):
        out = list(langchain.wrap(GUARD).iter([held, chunk("!")]))
        assert out[0] is held


def texts_of(node: Any) -> list[str]:
    """The texts in what is passed on."""
    if isinstance(node, dict):
        if node.get("type") == "AIMessageChunk":
            return [node["content"]]
        return [text for each in node.values() for text in texts_of(each)]
    if isinstance(node, list):
        return [
            text for each in node for text in texts_of(each) if isinstance(each, dict | list) and each != {"langgraph_node": "n"}
        ]
    return [node] if isinstance(node, str) else []
