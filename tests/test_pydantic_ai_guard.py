"""Guarded models of pydantic-ai: what agents stream, give and keep is of filtered text, and what is sent is filtered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from guard_server import cut
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.providers import pydantic_ai
from streamfilter.testing.planting import fragments

package: Any = pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
parts: Any = pytest.importorskip("pydantic_ai.messages")
functions: Any = pytest.importorskip("pydantic_ai.models.function")
direct: Any = pytest.importorskip("pydantic_ai.direct")
TestModel: Any = pytest.importorskip("pydantic_ai.models.test").TestModel
WrapperModel: Any = pytest.importorskip("pydantic_ai.models.wrapper").WrapperModel
FallbackModel: Any = pytest.importorskip("pydantic_ai.models.fallback").FallbackModel
Parameters: Any = pytest.importorskip("pydantic_ai.models").ModelRequestParameters

SECRET = "Zq7-kestrel-Wx4"
GUARD = sf.Redact(SECRET, to="█")
MAIL = sf.Rule("email", r"[\w.]+@[\w.]+\.com")
PRIVATE = sf.Redact(MAIL, to=sf.Placeholder())
PIN = sf.Redact(r"\d{4}", to="####")
JOE = "joe@secret.com"
SAID = f"my {SECRET} is here"
WANT = "my █ is here"
ESCAPED = '{"a": "Zq7\\u002dkestrel-Wx4"}'
ESCAPED_JOE = '{"what": "joe\\u0040secret.com"}'


class Scripted:
    """What a model says in each of its turns, whole and in pieces, and what it was asked."""

    def __init__(self, *turns: Any, whole: list[Any] | None = None) -> None:
        self.asked: list[Any] = []
        self.closed = 0
        self._turns = list(turns)
        self._whole = list(whole or ())

    def model(self, **options: Any) -> Any:
        return sf.guard(functions.FunctionModel(self._say, stream_function=self._stream), **options)

    def _say(self, messages: Any, info: Any) -> Any:
        self.asked.append((messages, info))
        return parts.ModelResponse(parts=self._whole.pop(0))

    async def _stream(self, messages: Any, info: Any) -> AsyncIterator[Any]:
        self.asked.append((messages, info))
        try:
            for each in self._turns.pop(0):
                if isinstance(each, Exception):
                    raise each
                yield each
        finally:
            self.closed += 1


def cuts(text: str) -> list[list[str]]:
    return [[text], list(text), *([part.decode() for part in cut(text.encode(), seed, 6)] for seed in range(3))]


async def of_run(agent: Any) -> Any:
    return await agent.run("hm")


async def of_stream(agent: Any) -> Any:
    async with agent.run_stream("hm") as result:
        texts = [text async for text in result.stream_text(debounce_by=None)]
        assert "".join(texts[-1:]) == await result.get_output()
        assert not fragments(texts, SECRET)
        return result


async def of_deltas(agent: Any) -> Any:
    async with agent.run_stream("hm") as result:
        texts = [text async for text in result.stream_text(delta=True, debounce_by=None)]
        assert "".join(texts) == WANT
        return result


async def of_responses(agent: Any) -> Any:
    async with agent.run_stream("hm") as result:
        assert not fragments([repr(each) async for each in result.stream_response(debounce_by=None)], SECRET)
        return result


async def of_iter(agent: Any) -> Any:
    async with agent.iter("hm") as run:
        async for node in run:
            assert SECRET not in repr(node)
            if package.Agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    assert not fragments([repr(event) async for event in stream], SECRET)
        return run.result


async def of_events(agent: Any) -> Any:
    async with agent.run_stream_events("hm") as stream:
        events = [event async for event in stream]
    assert not fragments([repr(event) for event in events], SECRET)
    ends = [event.part.content for event in events if event.event_kind == "part_end"]
    assert ends == [WANT]
    return events[-1].result


async def of_observer(agent: Any) -> Any:
    seen: list[Any] = []

    async def observe(_: Any, events: Any) -> None:
        async for event in events:
            seen.append(repr(event))  # noqa: PERF401

    result = await agent.run("hm", event_stream_handler=observe)
    assert len(seen) > 2
    assert not fragments(seen, SECRET)
    return result


WAYS: dict[str, Callable[[Any], Any]] = {
    way.__name__: way for way in (of_run, of_stream, of_deltas, of_responses, of_iter, of_events, of_observer)
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_running_gives_and_keeps_filtered_text(way: str) -> None:
    """However the model cuts what it says; the history too."""
    for texts in cuts(SAID):
        model = Scripted(texts, whole=[[parts.TextPart(SAID)]]).model(response=GUARD)
        result = asyncio.run(WAYS[way](package.Agent(model)))
        history = result.all_messages()
        assert history[-1].parts[0].content == WANT
        assert history[-1].state == "complete"
        assert not fragments([result.all_messages_json().decode(), repr(history)], SECRET)


def test_direct_requests_and_wrappers_around_it_are_filtered() -> None:
    """Also as one of several models."""

    async def run(model: Any) -> list[Any]:
        given = [parts.ModelRequest([parts.UserPromptPart("hm")])]
        whole = await direct.model_request(model, given)
        async with direct.model_request_stream(model, given) as stream:
            events = [event async for event in stream]
            return [whole, *events, stream.get()]

    for wrapped in (lambda model: model, lambda model: FallbackModel(model, TestModel()), WrapperModel):
        model = wrapped(Scripted(["my Zq7-kes", "trel-Wx4 is here"], whole=[[parts.TextPart(SAID)]]).model(response=GUARD))
        said = asyncio.run(run(model))
        assert not fragments([repr(each) for each in said], SECRET)
        assert said[-1].parts[0].content == said[0].parts[0].content == WANT


def test_tools_get_filtered_arguments_and_histories_filtered_calls() -> None:
    """Whole and in pieces; the second turn too."""
    found: list[str] = []

    def find(what: str) -> str:
        """Find it."""
        found.append(what)
        return f"found {what}"

    call = functions.DeltaToolCall
    turns = [
        ["Look: ", {0: call(name="find", json_args='{"what": "Zq7-kes', tool_call_id="c1")}, {0: call(json_args='trel-Wx4"}')}],
        ["it is Zq7-kes", "trel-Wx4, there"],
    ]
    whole = [[parts.ToolCallPart("find", {"what": SECRET}, tool_call_id="c1")], [parts.TextPart(SAID)]]

    async def run() -> None:
        agent = package.Agent(Scripted(*turns, whole=whole).model(response=GUARD), tools=[find])
        result = await of_run(agent)
        async with agent.run_stream_events("hm") as stream:
            events = [event async for event in stream]
        for history in (result.all_messages(), events[-1].result.all_messages()):
            assert history[1].parts[-1].args_as_dict() == {"what": "█"}
            assert not fragments([repr(history)], SECRET)
        assert events[-1].result.output == "it is █, there"
        assert not fragments([repr(event) for event in events], SECRET)

    asyncio.run(run())
    assert found == ["█", "█"]


def test_structured_output_is_made_of_filtered_text() -> None:
    """Partial ones too."""

    class Card(BaseModel):
        what: str

    call = functions.DeltaToolCall

    async def run() -> Any:
        turn = [
            {0: call(name="final_result", json_args='{"what": "a Zq7-kes', tool_call_id="c1")},
            {0: call(json_args='trel-Wx4"}')},
        ]
        agent = package.Agent(Scripted(turn).model(response=GUARD), output_type=Card)
        async with agent.run_stream("hm") as result:
            seen = [each async for each in result.stream_output(debounce_by=None)]
            assert not fragments([repr(each) for each in seen], SECRET)
            return await result.get_output()

    assert asyncio.run(run()) == Card(what="a █")


def test_a_secret_around_a_tool_call_does_not_come_out() -> None:
    """A text goes on behind a call as the same part: its end in between is no boundary."""
    call = functions.DeltaToolCall
    turn = ["my Zq7-kes", {1: call(name="find", json_args="{}", tool_call_id="c1")}, "trel-Wx4 is here"]

    def find() -> str:
        """Find it."""
        return "found"

    async def run() -> list[Any]:
        agent = package.Agent(Scripted(turn, ["done"]).model(response=GUARD), tools=[find])
        async with agent.run_stream_events("hm") as stream:
            return [event async for event in stream]

    events = asyncio.run(run())
    assert not fragments([repr(event) for event in events], SECRET)
    assert not fragments([repr(events[-1].result.all_messages())], SECRET)


# ---------------------------------------------------------------------- what a response says


def test_no_part_of_a_whole_response_brings_the_secret() -> None:
    """Text, thoughts with what signs them, arguments with their keys, what tools of the provider gave, details, tokens."""
    tokens = {"logprobs": [{"token": SECRET[:8]}, {"token": SECRET[8:]}], "note": SECRET}
    args = {SECRET: [SECRET], "n": 1}
    given = parts.ModelResponse(
        parts=[
            parts.ThinkingPart(SAID, signature="AA", provider_name="p", id="i"),
            parts.TextPart(SAID, id="i", provider_name="p", provider_details=tokens),
            parts.TextPart("plain", id="j", provider_name="p"),
            parts.ToolCallPart("f", args, tool_call_id="c1"),
            parts.ToolCallPart("f", ESCAPED, tool_call_id="c2"),
            parts.NativeToolCallPart("search", {"q": SECRET}, tool_call_id="c3"),
            parts.NativeToolReturnPart("search", {SECRET: SECRET}, tool_call_id="c3"),
        ],
        provider_details=tokens,
    )
    made = pydantic_ai.filter_response(GUARD, given)
    assert not fragments([repr(made)], SECRET)
    assert made.parts[0].content == WANT and made.parts[0].signature in (None, "")
    assert (made.parts[1].content, made.parts[1].id or None) == (WANT, None)
    assert made.parts[2] is given.parts[2]
    assert made.parts[3].args == {"█": ["█"], "n": 1}
    assert made.parts[4].args_as_dict() == {"a": "█"}
    assert repr(given).count(SECRET) > 5
    assert pydantic_ai.filter_response(sf.Redact("\x00"), given) is given


def test_speech_is_refused() -> None:
    """Its transcript is corrected behind what has left."""
    speech = {"part_kind": "speech", "transcript": SAID}
    with pytest.raises(TypeError, match="speech is not filtered"):
        list(pydantic_ai.wrap(GUARD).iter([{"event_kind": "part_start", "index": 0, "part": speech}]))
    with pytest.raises(TypeError, match="speech is not filtered"):
        delta = {"part_delta_kind": "speech", "transcript": SAID}
        list(pydantic_ai.wrap(GUARD).iter([{"event_kind": "part_delta", "index": 0, "delta": delta}]))
    with pytest.raises(sf.MalformedInput, match="speech is not filtered"):
        pydantic_ai.filter_response(GUARD, {"parts": [speech]})


# ---------------------------------------------------------------------- requests


def test_requests_are_sent_filtered_and_answers_restored() -> None:
    """Messages of every kind, tools, instructions and settings; the history stays as it was."""

    class Found(BaseModel):
        mail: str

    def find(what: str) -> Any:
        """Find joe@secret.com."""
        return {JOE: Found(mail=JOE)}

    given = [
        parts.ModelRequest(
            [
                parts.SystemPromptPart(JOE),
                parts.UserPromptPart(["I am ", JOE, parts.BinaryContent(JOE.encode(), media_type="text/plain")]),
            ]
        ),
        parts.ModelResponse(
            [
                parts.ThinkingPart(JOE, signature="AA", provider_name="p"),
                parts.TextPart(JOE, id="i", provider_name="p"),
                parts.ToolCallPart("find", ESCAPED_JOE, tool_call_id="c0"),
            ]
        ),
        parts.ModelRequest(
            [
                parts.ToolReturnPart("find", Found(mail=JOE), tool_call_id="c0"),
                parts.RetryFeedbackPart(f"no {JOE}", retry=parts.RetryInfo("no_output")),
            ]
        ),
    ]
    kept = repr(given)
    call = functions.DeltaToolCall
    scripted = Scripted(
        [{0: call(name="find", json_args='{"what": "<EMAIL_1>"}', tool_call_id="c1")}],
        ["To <EM", "AIL_1>, pin 12", "34."],
        whole=[[parts.ToolCallPart("find", {"what": "<EMAIL_1>"}, tool_call_id="c1")], [parts.TextPart("To <EMAIL_1>, pin 1234.")]],
    )
    model = scripted.model(request=PRIVATE, response=sf.Restore() | PIN)
    agent = package.Agent(model, tools=[find], instructions=f"I am {JOE}")

    async def run() -> list[str]:
        whole = await agent.run(f"Write to {JOE}", message_history=given, model_settings={"stop_sequences": [JOE]})
        async with agent.run_stream(f"Write to {JOE}", message_history=given) as result:
            return [whole.output, await result.get_output(), repr(whole.all_messages())]

    first, second, history = asyncio.run(run())
    assert first == second == f"To {JOE}, pin ####."
    assert kept == repr(given)
    assert JOE in history
    assert len(scripted.asked) == 4
    for asked, info in scripted.asked:
        said = repr(asked) + repr(info)
        assert "joe" not in said
        assert "<EMAIL_1>" in said
        assert [part.part_kind for part in asked[1].parts] == ["text", "tool-call"]
        assert asked[1].parts[0].id is None
    (second_asked, _) = scripted.asked[1]
    assert second_asked[-1].parts[0].content == {"<EMAIL_1>": {"mail": "<EMAIL_1>"}}


def test_a_request_in_which_nothing_is_found_is_sent_as_it_is() -> None:
    """The very messages."""
    scripted = Scripted(whole=[[parts.TextPart("so")]])
    given = [parts.ModelRequest([parts.UserPromptPart("hm")])]
    asyncio.run(direct.model_request(scripted.model(request=PRIVATE), given))
    assert scripted.asked[0][0][0] is given[0]


def test_batches_and_compaction_are_refused() -> None:
    """They cannot be filtered; `unknown="pass"` lets them pass."""
    model = sf.guard(TestModel(), response=GUARD)
    calls: list[Callable[[Any], Any]] = [lambda model: model.compact_messages(None), lambda model: model.batch_encode(None)]
    for call in calls:
        with pytest.raises(TypeError, match="unknown='pass'"):
            asyncio.run(_awaited(call(model)))
        with pytest.raises(Exception) as caught:  # what the model itself says of it
            asyncio.run(_awaited(call(sf.guard(TestModel(), response=GUARD, unknown="pass"))))
        assert "unknown=" not in str(caught.value)


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


# ---------------------------------------------------------------------- endings


def test_a_refusal_ends_the_run_and_closes_the_models_stream() -> None:
    """All before the match has left; a refused request is not sent."""
    scripted = Scripted(["Pin ", "12", "34", " x"], whole=[[parts.TextPart("Pin 1234")]])
    agent = package.Agent(scripted.model(response=sf.Block(r"\d{4}")))
    seen: list[str] = []

    async def stream() -> None:
        async with agent.run_stream("hm") as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                seen.append(text)  # noqa: PERF401

    runs: list[Callable[[], Any]] = [stream, lambda: of_run(agent)]
    for run in runs:
        with pytest.raises(sf.Blocked):
            asyncio.run(run())
    assert "".join(seen) == "Pin "
    assert scripted.closed == 1
    with pytest.raises(sf.Blocked):
        asyncio.run(of_run(package.Agent(scripted.model(request=sf.Block("hm")))))
    assert len(scripted.asked) == 2


def test_a_stopped_response_is_complete() -> None:
    """It ends where the stage says, and the run with it."""
    scripted = Scripted(["Hi END", " and", " more"])
    agent = package.Agent(scripted.model(response=sf.StopAt("END")))

    async def run() -> Any:
        async with agent.run_stream("hm") as result:
            assert await result.get_output() == "Hi "
            return result.all_messages()[-1]

    made = asyncio.run(run())
    assert (made.state, made.finish_reason, made.parts[0].content) == ("complete", "stop", "Hi ")
    assert scripted.closed == 1


def test_an_error_of_the_provider_drops_held_text() -> None:
    """It reaches the caller as it is."""
    scripted = Scripted(["so Zq7-kes", ConnectionError("gone")])
    seen: list[str] = []

    async def run() -> None:
        async with package.Agent(scripted.model(response=GUARD)).run_stream("hm") as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                seen.append(text)  # noqa: PERF401

    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(run())
    assert "".join(seen) == "so "


def test_who_leaves_early_closes_the_models_stream() -> None:
    """And what is kept of the response is filtered."""
    scripted = Scripted(["so Zq7-kes", "trel-Wx4", " and more", " and more"])

    async def run() -> Any:
        async with package.Agent(scripted.model(response=GUARD)).run_stream("hm") as result:
            async for _ in result.stream_text(delta=True, debounce_by=None):
                break
            return repr(result.all_messages())

    assert not fragments([asyncio.run(run())], SECRET)
    assert scripted.closed == 1


async def always(window: sf.Window) -> bool:
    await asyncio.sleep(0)
    return "1234" not in window.text


def test_pipelines_that_wait_filter_too() -> None:
    """Requests, whole responses and streams."""
    scripted = Scripted(["Hello. ", "There."], whole=[[parts.TextPart("Hello.")]])
    agent = package.Agent(scripted.model(request=sf.Moderate(always), response=sf.Moderate(always)))
    assert asyncio.run(of_run(agent)).output == "Hello."
    assert asyncio.run(_output(agent)) == "Hello. There."
    with pytest.raises(sf.Blocked):
        asyncio.run(_awaited(agent.run("My pin is 1234.")))


async def _output(agent: Any) -> Any:
    async with agent.run_stream("hm") as result:
        return await result.get_output()


# ---------------------------------------------------------------------- what it is


def test_a_guarded_model_is_a_wrapper_of_the_model() -> None:
    """Agents know its name, profile and settings; what cannot be guarded is refused."""
    inner = TestModel(custom_output_text=SAID)
    model = sf.guard(inner, response=GUARD)
    assert isinstance(model, WrapperModel)
    assert (model.model_name, model.system, model.wrapped) == (inner.model_name, inner.system, inner)
    assert model._model_for_response(parts.ModelResponse([])) is model
    with pytest.raises(TypeError, match="join the pipelines"):
        sf.guard(model, response=GUARD)
    with pytest.raises(TypeError, match="join the pipelines"):
        sf.guard(WrapperModel(model), response=GUARD)
    with pytest.raises(TypeError, match="no model of pydantic-ai"):
        pydantic_ai.guarded("test", response=GUARD)
    with pytest.raises(ValueError, match="unknown="):
        pydantic_ai.guarded(inner, response=GUARD, unknown="skip")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="request: "):
        sf.guard(inner, request=cast("Any", sf.wrap(GUARD)))
    with pytest.raises(TypeError, match="request= or response= is needed"):  # it would guard nothing
        sf.guard(inner)


def test_errors_of_a_guarded_client_beneath_a_model_are_filtered() -> None:
    """The provider quotes the prompt: what the framework makes of it says nothing, where the client itself is guarded."""
    openai_client: Any = pytest.importorskip("openai")
    http: Any = pytest.importorskip("httpx2")
    models: Any = pytest.importorskip("pydantic_ai.models.openai")
    providers: Any = pytest.importorskip("pydantic_ai.providers.openai")
    said = {"error": {"message": f"no: {SECRET}", "type": "invalid"}}
    transport = http.MockTransport(lambda _: http.Response(400, json=said))

    async def failed(response: Any) -> str:
        async with openai_client.AsyncOpenAI(api_key="none", http_client=http.AsyncClient(transport=transport)) as plain:
            client = plain if response is None else sf.guard(plain, response=response)
            model = models.OpenAIChatModel("m", provider=providers.OpenAIProvider(openai_client=client))
            with pytest.raises(Exception, match="400") as caught:
                await package.Agent(model).run("hi")
            return repr(caught.value) + str(caught.value)

    assert SECRET in asyncio.run(failed(None))
    assert not fragments([asyncio.run(failed(GUARD))], SECRET)
