"""Guarded chat models of LangChain: whatever asks them gets, tells and keeps filtered text, and what is sent is filtered."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from guard_server import cut
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.providers import langchain
from streamfilter.testing.planting import fragments

messages: Any = pytest.importorskip("langchain_core.messages", reason="langchain-core is not installed")
fakes: Any = pytest.importorskip("langchain_core.language_models.fake_chat_models")
outputs: Any = pytest.importorskip("langchain_core.outputs")
BaseChatModel: Any = pytest.importorskip("langchain_core.language_models").BaseChatModel
StrOutputParser: Any = pytest.importorskip("langchain_core.output_parsers").StrOutputParser

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact(SECRET, to="█")
COMMON = sf.Redact(r"\b(?:the|a|is|and|to|of|in)\b", to="█")
MAIL = sf.Rule("email", r"[\w.]+@[\w.]+\.com")
PRIVATE = sf.Redact(MAIL, to=sf.Placeholder())
PIN = sf.Redact(r"\d{4}", to="####")
JOE = "joe@secret.com"
SAID = f"my {SECRET} is here"
WANT = "my █ is here"


class Scripted(BaseChatModel):  # type: ignore[misc]
    """Says its pieces, whole or one by one, and remembers what it was asked."""

    pieces: list[Any]
    asked: list[Any] = []
    closed: list[bool] = []
    info: dict[str, Any] = {}
    streams: bool = True

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        self.asked.append((messages, {"stop": stop, **kwargs}))
        chunks = [each for each in self.pieces if not isinstance(each, Exception)]
        made = chunks[0]
        for each in chunks[1:]:
            made += each
        fields = ("content", "additional_kwargs", "response_metadata", "tool_calls", "invalid_tool_calls")
        message = globals()["messages"].AIMessage(**{name: getattr(made, name) for name in fields})
        return outputs.ChatResult(
            generations=[outputs.ChatGeneration(message=message, generation_info=self.info or None)], llm_output=self.info or None
        )

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        self.asked.append((messages, {"stop": stop, **kwargs}))
        try:
            for each in self.pieces:
                if isinstance(each, Exception):
                    raise each
                if run_manager:  # as older integrations do
                    run_manager.on_llm_new_token(each.content, chunk=outputs.ChatGenerationChunk(message=each))
                info = {name: value for name, value in self.info.items() if name != "finish_reason" or each is self.pieces[-1]}
                yield outputs.ChatGenerationChunk(message=each.model_copy(), generation_info=info or None)
        finally:
            self.closed.append(True)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        convert = pytest.importorskip("langchain_core.utils.function_calling").convert_to_openai_tool
        return self.bind(tools=[convert(each) for each in tools], **kwargs)


def piece(content: Any = "", **rest: Any) -> Any:
    return messages.AIMessageChunk(content=content, **rest)


def scripted(*texts: str, **options: Any) -> Any:
    return Scripted(pieces=[piece(text) for text in texts], asked=[], closed=[], **options)


def cuts(text: str) -> list[list[str]]:
    """A text whole, by characters, and in random pieces."""
    pieces = [[part.decode() for part in cut(text.encode(), seed, 6)] for seed in range(3)]
    return [[text], list(text), *pieces]


WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke("hi").content,
    "stream": lambda model: "".join(each.content for each in model.stream("hi")),
    "batch": lambda model: model.batch(["hi"])[0].content,
    "generate": lambda model: model.generate([[messages.HumanMessage("hi")]]).generations[0][0].text,
    "ainvoke": lambda model: asyncio.run(_awaited(model.ainvoke("hi"))).content,
    "astream": lambda model: asyncio.run(_joined(model.astream("hi"))),
    "abatch": lambda model: asyncio.run(_awaited(model.abatch(["hi"])))[0].content,
    "chain": lambda model: (model | StrOutputParser()).invoke("hi"),
    "streamed chain": lambda model: "".join((model | StrOutputParser()).stream("hi")),
    "retry": lambda model: model.with_retry().invoke("hi").content,
    "fallback": lambda model: scripted_failing().with_fallbacks([model]).invoke("hi").content,
    "config": lambda model: model.with_config(tags=["x"]).bind(stop=["y"]).invoke("hi").content,
    "transform": lambda model: "".join(each.content for each in model.transform(iter(["hi"]))),
}


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


async def _joined(stream: Any) -> str:
    return "".join([each.content async for each in stream])


def scripted_failing() -> Any:
    return Scripted(pieces=[], asked=[], closed=[])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_asking_gives_filtered_text(way: str) -> None:
    """However the model cuts what it says, and whatever is made of it."""
    for texts in cuts(SAID):
        assert WAYS[way](sf.guard(scripted(*texts), response=GUARD)) == WANT
    assert WAYS[way](langchain.guarded(fakes.FakeListChatModel(responses=[SAID]), response=GUARD)) == WANT


# ---------------------------------------------------------------------- what is told and kept


@pytest.mark.filterwarnings("ignore:astream_events version='v1' is deprecated")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_events_of_runs_tell_filtered_text_and_end_events_too(version: str) -> None:
    """The model's, the parser's, the chain's: pieces and ends; no fragment is in any."""
    for texts in cuts(SAID):
        chain = sf.guard(scripted(*texts), response=GUARD) | StrOutputParser()

        async def read(chain: Any = chain) -> list[Any]:
            return [event async for event in chain.astream_events("hm", version=version)]

        events = asyncio.run(read())
        assert not fragments([repr(event) for event in events], SECRET)
        ends = {event["event"]: event["data"]["output"] for event in events if event["event"].endswith("_end")}
        assert ends["on_parser_end"] == ends["on_chain_end"] == WANT
        pieces = [event["data"]["chunk"].content for event in events if event["event"] == "on_chat_model_stream"]
        assert "".join(pieces) == WANT
        if version == "v2":
            assert ends["on_chat_model_end"].content == WANT


@pytest.mark.filterwarnings("ignore::Warning")  # LangChain says that this version is new
def test_events_of_the_new_protocol_are_made_of_filtered_text() -> None:
    """Version 3, where the model has events of its own for it too: they are not used."""

    class Native(Scripted):
        def _stream_chat_model_events(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError

        _astream_chat_model_events = _stream_chat_model_events

    for kind in (Scripted, Native):
        model = sf.guard(kind(pieces=[piece("my Zq7-kes"), piece("trel-Wx4 is here")], asked=[], closed=[]), response=GUARD)

        async def read(model: Any = model) -> list[Any]:
            return [event async for event in await model.astream_events("hm", version="v3")]

        events = [*asyncio.run(read()), *model.stream_events("hm", version="v3")]
        assert not fragments([repr(event) for event in events], SECRET)
        assert "is here" in repr(events)


def test_callbacks_hear_filtered_text() -> None:
    """Every token, and the end; also of models that tell callbacks themselves."""
    handlers = pytest.importorskip("langchain_core.callbacks")
    heard: list[Any] = []

    class Hearing(handlers.BaseCallbackHandler):  # type: ignore[misc,name-defined]
        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            heard.append((token, repr(kwargs["chunk"])))

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            heard.append(repr(response))

    model = sf.guard(scripted("my Zq7-kes", "trel-Wx4 is here"), response=GUARD)
    config = {"callbacks": [Hearing()]}
    list(model.stream("hi", config=config))
    model.invoke("hi", config=config)
    assert len(heard) > 3
    assert not fragments(heard, SECRET)


def test_histories_of_agents_hold_filtered_text_and_tools_get_filtered_arguments() -> None:
    """An agent's messages, its streams and its checkpoints; the arguments of calls are filtered as JSON."""
    agents = pytest.importorskip("langchain.agents", reason="langchain is not installed")
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    found: list[str] = []

    def find(what: str) -> str:
        """Find it."""
        found.append(what)
        return f"found {what}"

    class Turns(Scripted):
        """Calls the tool, and then says what it said."""

        def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
            has_result = any(each.type == "tool" for each in messages)
            for each in self.pieces[2:] if has_result else self.pieces[:2]:
                yield outputs.ChatGenerationChunk(message=each.model_copy())

    call = {"name": "find", "id": "c1", "index": 0, "type": "tool_call_chunk"}
    pieces = [
        piece(tool_call_chunks=[{**call, "args": '{"what": "Zq7-kes'}]),
        piece(tool_call_chunks=[{**call, "name": None, "id": None, "args": 'trel-Wx4"}'}]),
        piece("it is Zq7-kes"),
        piece("trel-Wx4, there"),
    ]
    model = sf.guard(Turns(pieces=pieces, asked=[], closed=[]), response=GUARD)
    saver = memory.InMemorySaver()
    agent = agents.create_agent(model, tools=[find], checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "1"}}

    async def run() -> list[Any]:
        told = []
        async for each in agent.astream({"messages": [("user", "hm")]}, config, stream_mode=["messages", "values", "updates"]):
            told.append(each)  # noqa: PERF401
        return told

    told = asyncio.run(run())
    assert found == ["█"]
    assert not fragments([repr(each) for each in told], SECRET)
    history = agent.get_state(config).values["messages"]
    assert [each.content for each in history] == ["hm", "", "found █", "it is █, there"]
    assert history[1].tool_calls[0]["args"] == {"what": "█"}
    assert not fragments([repr([*saver.list(config)])], SECRET)


def test_a_graph_that_streams_an_invoked_model_tells_filtered_text() -> None:
    """`stream_mode="messages"` makes `invoke` stream."""
    graphs = pytest.importorskip("langgraph.graph", reason="langgraph is not installed")
    model = sf.guard(scripted("my Zq7-kes", "trel-Wx4 is here"), response=GUARD)
    graph = graphs.StateGraph(graphs.MessagesState)
    graph.add_node("say", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(graphs.START, "say")
    told = [each for each, _ in graph.compile().stream({"messages": [("user", "hm")]}, stream_mode="messages")]
    assert "".join(each.content for each in told if each.type == "AIMessageChunk") == WANT
    assert not fragments([repr(each) for each in told], SECRET)


# ---------------------------------------------------------------------- what is said beside the text


def beside() -> list[Any]:
    """A message with the secret in whatever it has, in two pieces."""
    call = {"name": "f", "id": "c1", "index": 0, "type": "tool_call_chunk"}
    halves = (SECRET[:8], SECRET[8:])
    return [
        piece(
            [{"type": "text", "text": half, "index": 0}, {"type": "thinking", "thinking": half, "index": 1}],
            tool_call_chunks=[
                {**call, "args": '{"a": "' + half if not n else half + '"}', **({} if not n else {"name": None, "id": None})}
            ],
            additional_kwargs={"reasoning_content": half, "refusal": half},
            response_metadata={"logprobs": {"content": [{"token": half, "top_logprobs": [{"token": half}]}]}},
        )
        for n, half in enumerate(halves)
    ] + [
        piece(
            [{"type": "thinking", "signature": "AA", "index": 1}, {"type": "other", "title": SECRET}],
            response_metadata={"note": SECRET},
        )
    ]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_no_field_of_an_answer_brings_the_secret(way: str) -> None:
    """Text, thoughts, arguments, logprobs, metadata, what the whole answer says of itself."""
    info = {"logprobs": {"content": [{"token": SECRET[:8]}, {"token": SECRET[8:]}]}, "what": SECRET, "finish_reason": "stop"}
    model = sf.guard(Scripted(pieces=beside(), asked=[], closed=[], info=info), response=GUARD)
    asks: dict[str, Callable[[], Any]] = {
        "invoke": lambda: model.invoke("hi"),
        "ainvoke": lambda: asyncio.run(_awaited(model.ainvoke("hi"))),
        "stream": lambda: list(model.stream("hi")),
        "astream": lambda: asyncio.run(_listed(model.astream("hi"))),
    }
    said = asks[way]()
    whole: Any = said if not isinstance(said, list) else sum(said[1:], said[0])
    assert whole.tool_calls[0]["args"] == {"a": "█"}
    assert not fragments([repr(said), repr(whole)], SECRET)


async def _listed(stream: Any) -> list[Any]:
    return [each async for each in stream]


def test_arguments_that_are_parsed_are_filtered_with_their_keys() -> None:
    """Calls of a whole message, those in its content, and those that could not be read."""
    args = {SECRET: [f"a {SECRET}"], "n": 1}
    message = messages.AIMessage(
        content=[
            {"type": "tool_use", "id": "c1", "name": "f", "input": args},
            {"type": "text", "text": "so", "annotations": [{"start": 1}]},
        ],
        tool_calls=[{"name": "f", "args": args, "id": "c1"}],
        invalid_tool_calls=[{"name": "f", "args": f'{{"a": "{SECRET}', "id": "c2", "error": None}],
    )
    made = langchain.filter_response(GUARD, message)
    assert made.tool_calls[0]["args"] == made.content[0]["input"] == {"█": ["a █"], "n": 1}
    assert made.invalid_tool_calls[0]["args"] == '{"a": "█'
    assert made.content[1] == message.content[1]
    assert not fragments([repr(made)], SECRET)
    assert SECRET in repr(message)
    assert langchain.filter_response(sf.Redact("\x00"), message) is message


def test_chunks_that_are_no_chunks_of_a_message_are_refused() -> None:
    """Their text could not be joined; those of other roles are filtered."""
    chunks = [messages.ChatMessageChunk(role="x", content=half) for half in (SAID[:9], SAID[9:])]
    assert "".join(each.content for each in langchain.wrap(GUARD).iter(chunks)) == WANT

    class Odd(Scripted):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            yield outputs.ChatGenerationChunk.model_construct(message=messages.AIMessage(SECRET), generation_info=None)

    with pytest.raises(sf.MalformedInput, match="none of a message"):
        list(sf.guard(Odd(pieces=[], asked=[], closed=[]), response=GUARD).stream("hi"))


# ---------------------------------------------------------------------- requests


def test_requests_are_sent_filtered_and_answers_restored() -> None:
    """Messages of every kind, arguments of calls, tools and their schemas, stop words; the caller's messages stay as they were."""
    args = {"to": JOE, JOE: 1}
    given = [
        messages.SystemMessage(JOE),
        messages.HumanMessage(
            [
                {"type": "text", "text": f"I am {JOE}"},
                {"type": "file", "base64": "am9lQHNlY3JldC5jb20=", "mime_type": "text/plain"},
            ],
            name=JOE,
        ),
        messages.AIMessage(
            [{"type": "thinking", "thinking": JOE, "signature": "AA"}, "a " + JOE],
            tool_calls=[{"name": "send", "args": args, "id": "c1"}],
        ),
        messages.ToolMessage(f"sent to {JOE}", tool_call_id="c1", artifact=object()),
        messages.HumanMessage("am9lQHNlY3JldC5jb20="),
    ]

    class Send(BaseModel):
        """Send to joe@secret.com."""

        to: str

    for way in ("invoke", "stream", "ainvoke", "astream"):
        inner = scripted("To <EM", "AIL_1>, pin 12", "34.")
        model = sf.guard(inner, request=PRIVATE, response=sf.Restore() | PIN).bind_tools([Send]).bind(stop=[JOE], user=JOE)
        asks: dict[str, Callable[[Any], str]] = {
            "invoke": lambda model: model.invoke(given).content,
            "stream": lambda model: "".join(each.content for each in model.stream(given)),
            "ainvoke": lambda model: asyncio.run(_awaited(model.ainvoke(given))).content,
            "astream": lambda model: asyncio.run(_joined(model.astream(given))),
        }
        assert asks[way](model) == f"To {JOE}, pin ####."
        (sent, options), *_ = inner.asked
        assert "joe" not in repr(sent) + repr(options)
        assert "am9lQHNlY3JldC5jb20=" not in repr(sent[1])
        assert sent[2].content == ["a <EMAIL_1>"]
        assert sent[2].tool_calls[0]["args"] == {"to": "<EMAIL_1>", "<EMAIL_1>": 1}
        assert sent[3].artifact is given[3].artifact
        assert sent[4] is given[4]
        assert options["tools"][0]["function"]["name"] == "Send"
        assert JOE in repr(given)


def test_counting_tokens_sends_filtered_messages() -> None:
    """Some providers count by being asked."""

    class Counting(Scripted):
        def get_num_tokens_from_messages(self, messages: Any, tools: Any = None) -> int:
            self.asked.append((messages, tools))
            return 3

    inner = Counting(pieces=[], asked=[], closed=[])
    assert sf.guard(inner, request=PRIVATE).get_num_tokens_from_messages([messages.HumanMessage(JOE)], tools=[]) == 3
    assert inner.asked[0][0][0].content == "<EMAIL_1>"


def test_one_vault_for_all_calls_if_the_context_has_one() -> None:
    """Numbers go on; observers see both ways."""
    findings: list[sf.Finding] = []
    context = sf.Context(vault=sf.Vault(), observe=[findings.append])
    inner = scripted("To <EMAIL_2>")
    model = sf.guard(inner, request=PRIVATE, response=sf.Restore(), context=context)
    model.invoke("ann@other.com")
    assert model.invoke(JOE).content == f"To {JOE}"
    assert [each[0][0].content for each in inner.asked] == ["<EMAIL_1>", "<EMAIL_2>"]
    assert {finding.action for finding in findings} == {"redact", "restore"}


# ---------------------------------------------------------------------- endings


def test_a_refusal_ends_the_call() -> None:
    """Before the match all leaves; what was not said is in no error, and the model's stream is closed. A refused request is not sent."""
    inner = scripted("Pin ", "12", "34", " x")
    model = sf.guard(inner, response=sf.Block(r"\d{4}"))
    got = []
    with pytest.raises(sf.Blocked) as caught:
        for each in model.stream("hi"):
            got.append(each.content)  # noqa: PERF401
    assert "".join(got) == "Pin "
    assert "1234" not in repr(caught.value)
    assert inner.closed == [True]
    with pytest.raises(sf.Blocked):
        model.invoke("hi")
    with pytest.raises(sf.Blocked):
        sf.guard(inner, request=sf.Block("hi")).invoke("hi")
    assert len(inner.asked) == 2


def test_an_error_of_the_provider_drops_held_text_and_reaches_the_caller() -> None:
    """As it is."""
    inner = Scripted(pieces=[piece("so Zq7-kes"), ConnectionError("gone")], asked=[], closed=[])
    model = sf.guard(inner, response=GUARD)
    got = []
    with pytest.raises(ConnectionError, match="gone"):
        for each in model.stream("hi"):
            got.append(each.content)  # noqa: PERF401
    assert "".join(got) == "so "
    assert inner.closed == [True]


def test_a_stopped_answer_ends_with_its_reason() -> None:
    """And the model's stream is closed at once; an answer of which nothing is left is an empty one."""
    inner = scripted("Hi END", " and", " more")
    said = list(sf.guard(inner, response=sf.StopAt("END")).stream("hi"))
    assert sum(said[1:], said[0]).content == "Hi "
    assert sum(said[1:], said[0]).response_metadata["finish_reason"] == "stop"
    assert inner.closed == [True]
    assert [each.content for each in sf.guard(scripted("abc"), response=sf.Redact("abc", to="")).stream("hi")] in ([""], ["", ""])


def test_who_leaves_early_closes_the_models_stream() -> None:
    """Plain and in an event loop."""
    inner = scripted(*"many pieces")
    stream = sf.guard(inner, response=GUARD).stream("hi")
    next(stream)
    stream.close()
    assert inner.closed == [True]

    async def leave() -> None:
        stream = sf.guard(inner, response=GUARD).astream("hi")
        await anext(stream)
        await stream.aclose()

    asyncio.run(leave())


async def always(window: sf.Window) -> bool:
    await asyncio.sleep(0)
    return "1234" not in window.text


def test_pipelines_that_wait_work_in_an_event_loop_only() -> None:
    """Requests, whole answers and streams."""
    model = sf.guard(scripted("Hello. ", "There."), request=sf.Moderate(always), response=sf.Moderate(always))
    assert asyncio.run(_joined(model.astream("hi"))) == "Hello. There."
    assert asyncio.run(_awaited(model.ainvoke("hi"))).content == "Hello. There."
    with pytest.raises(sf.Blocked):
        asyncio.run(_awaited(model.ainvoke("My pin is 1234.")))
    for ask in (model.invoke, lambda text: list(model.stream(text))):
        with pytest.raises(TypeError, match="async methods"):
            ask("hi")


# ---------------------------------------------------------------------- what it is


def test_a_guarded_model_is_the_model_that_it_was() -> None:
    """Of its class, with its settings; they can be set, and copies and pickles are guarded. The model itself stays as it was."""
    inner = fakes.FakeListChatModel(responses=[SAID], tags=["t"])
    model = sf.guard(inner, response=GUARD)
    assert isinstance(model, type(inner))
    assert (model.tags, model._llm_type, type(model).__name__) == (["t"], inner._llm_type, "FakeListChatModel")
    for copied in (
        model.model_copy(),
        model.model_copy(deep=True),
        pickle.loads(pickle.dumps(model)),
        model.with_config(tags=["u"]),
    ):
        assert copied.invoke("hi").content == WANT
    model.responses = ["other " + SECRET]
    assert model.invoke("hi").content == "other █"
    assert model.model_copy(update={"responses": ["new " + SECRET]}).invoke("hi").content == "new █"
    assert inner.invoke("hi").content == SAID
    with pytest.raises(TypeError, match="request= or response= is needed"):  # it would guard nothing
        sf.guard(inner)


def test_bound_models_are_guarded_and_others_refused() -> None:
    """What is no chat model, is guarded, or answers past what is guarded."""
    bound = scripted(SAID).bind(stop=["x"])
    assert sf.guard(bound, response=GUARD).invoke("hi").content == WANT
    model = sf.guard(scripted(SAID), response=GUARD)
    with pytest.raises(TypeError, match="join the pipelines"):
        sf.guard(model, response=GUARD)
    with pytest.raises(TypeError, match="join the pipelines"):
        sf.guard(model.bind(stop=["x"]), response=GUARD)
    with pytest.raises(TypeError, match="configure the model first"):
        type(model)(pieces=[])
    with pytest.raises(TypeError, match="no chat model"):
        langchain.guarded(StrOutputParser(), response=GUARD)
    with pytest.raises(TypeError, match="response: "):
        sf.guard(scripted(SAID), response=cast("Any", sf.wrap(GUARD)))
    with pytest.raises(ValueError, match="after_stop"):
        sf.guard(scripted(SAID), response=GUARD, after_stop="wait")  # type: ignore[arg-type]

    class Own(Scripted):
        def invoke(self, *args: Any, **kwargs: Any) -> Any:
            return messages.AIMessage(SECRET)

    class Polite(Scripted):
        def invoke(self, *args: Any, **kwargs: Any) -> Any:
            return super().invoke(*args, **kwargs)

    with pytest.raises(TypeError, match="invoke of its own"):
        sf.guard(Own(pieces=[]), response=GUARD)
    assert sf.guard(Polite(pieces=[piece(SAID)]), response=GUARD).invoke("hi").content == WANT


def test_caches_are_not_used() -> None:
    """They would give what was not filtered, and keep what was asked."""
    caches = pytest.importorskip("langchain_core.caches")
    cache = caches.InMemoryCache()
    inner = Scripted(pieces=[piece(SAID)], asked=[], closed=[], cache=cache)
    assert inner.invoke("hi").content == SAID
    model = sf.guard(inner, response=GUARD)
    assert model.invoke("hi").content == WANT
    assert model.invoke("hi").content == WANT
    assert len(inner.asked) == 3


def test_fields_cannot_be_configured_past_the_guard() -> None:
    """`configurable_fields` makes the model anew: that is refused, not unguarded."""
    runnables = pytest.importorskip("langchain_core.runnables")
    model = sf.guard(fakes.FakeListChatModel(responses=[SAID]), response=GUARD)
    made = model.configurable_fields(responses=runnables.ConfigurableField(id="r"))
    with pytest.raises(TypeError, match="configure the model first"):
        made.invoke("hi", config={"configurable": {"r": [SECRET]}})
