"""A chat model of LangChain whose every call goes through pipelines.

The guarded model is of a class made below the model's own, so that tools, structured output, agents and tracing find the model that
they know. Only what asks the provider is another: `_generate`, `_stream` and their async forms, which all else in LangChain is made
of. What LangChain makes of their answers, such as chunks for callbacks, events and histories, is made of filtered text then.

LangChain is not imported here: what is needed of it is taken from the modules that the model's class has brought.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast

from streamfilter.context import AfterStop
from streamfilter.errors import MalformedInput
from streamfilter.pipeline import Stage
from streamfilter.plain import run_through
from streamfilter.providers import langchain
from streamfilter.providers.guarding_pipelines import Contexts, Pipelines, check_after_stop, checked, waits
from streamfilter.providers.places import revised, strings
from streamfilter.providers.requests import Filtering
from streamfilter.providers.tokens import unfit
from streamfilter.providers.wrapping import quoting

M = TypeVar("M")

_ROLES = {"human": "user", "system": "system", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}
"""Types of messages whose names are somebody's, in words of the APIs; a tool's name is none that is filtered."""

_SAID = ("content", "additional_kwargs", "tool_calls", "invalid_tool_calls", "name")
"""What of a message is sent."""

_ENTRIES = ("invoke", "stream", "generate", "generate_prompt", "_generate_with_cache", "_iter_v2_events", "stream_events")
"""What a model is asked by, and what that goes through."""


def guarded(
    model: M,
    *,
    request: Stage[str, str] | None = None,
    response: Stage[str, str] | None = None,
    context: Contexts = None,
    after_stop: AfterStop = "close",
) -> M:
    """A chat model whose every call is filtered, streaming or not; in all else the model that it was, of a class below its own.

    So it composes with `|`, and `bind_tools`, `with_structured_output`, agents and retries work on it. What callbacks and
    `astream_events` tell of its answers, and what histories keep of them, is the filtered text. The model itself stays as it was.
    Caches of LangChain are not used by it: they would keep the questions as they were before the request was filtered.

    Args:
        model: a chat model, or one with arguments bound (`model.bind_tools(...)`).
        request: what all text in requests goes through: messages, tools, arguments of the call.
        response: what all text in responses goes through.
        context: of all calls, or a function that makes one for each. Without one, and where it has no vault, each call has a vault
            of its own, which its request and its response share.
        after_stop: what happens to the source once a stage has ended a stream.

    Raises:
        TypeError: it is no chat model, is guarded already, or answers past what is guarded; a pipeline is none of text stages.
        ValueError: `after_stop` is something else.

    Example:
        >>> import streamfilter as sf
        >>> guarded(object(), response=sf.Redact("a"))
        Traceback (most recent call last):
        TypeError: object is no chat model of LangChain
    """
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(model).__mro__}
    options: dict[str, Any] = {"request": request, "response": response, "context": context, "after_stop": after_stop}
    if "langchain_core.runnables.base.RunnableBindingBase" in names:
        bound: Any = model
        return cast("M", bound.model_copy(update={"bound": guarded(bound.bound, **options)}))
    if "langchain_core.language_models.chat_models.BaseChatModel" not in names:
        raise TypeError(f"{type(model).__qualname__} is no chat model of LangChain")
    if isinstance(model, _Guarded):
        raise TypeError("the model is guarded: join the pipelines with `|`, and guard it once")
    sent, received = checked(request, response, context)
    given = Pipelines(request=sent, response=received, context=context, after_stop=check_after_stop(after_stop))
    made: Any = copy.copy(model)
    object.__setattr__(made, "__class__", _class(cast("Any", type(model))))
    vars(made).update(_guarding=given, cache=False)
    vars(made).pop("_serialized", None)
    return cast("M", made)


@cache
def _class(kind: Any) -> type:
    """The class of a guarded model."""
    base = import_module("langchain_core.language_models.chat_models").BaseChatModel
    for name in (*_ENTRIES, *(f"a{name}" for name in _ENTRIES), "_agenerate_with_cache", "_aiter_v2_events"):
        own = getattr(kind, name, None)
        if own is not getattr(base, name, None) and not _ends_in(own, name):
            raise TypeError(f"{kind.__qualname__} answers in a {name} of its own, past what can be guarded")
    made: Any = type(kind)(kind.__name__, (_Guarded, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    made.__qualname__ = kind.__qualname__
    if kind._stream is not base._stream:  # noqa: SLF001  # LangChain tells by this whether a model streams
        made._stream = _stream  # noqa: SLF001
    if made._stream is not base._stream or kind._astream is not base._astream:  # noqa: SLF001
        made._astream = _astream  # noqa: SLF001
    made._stream_chat_model_events = made._astream_chat_model_events = None  # noqa: SLF001  # they are made of `_stream` then
    return cast("type", made)


def _ends_in(own: Any, name: str) -> bool:
    """Whether a method calls the one that it overrides."""
    code = getattr(own, "__code__", None)
    return code is not None and "super" in code.co_names and name in code.co_names


def _raw(model: Any) -> Any:
    """The model as it was, with what has been set on it since."""
    made: Any = object.__new__(type(model).__mro__[2])
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        object.__setattr__(made, name, getattr(model, name))
    return made


class _Guarded:
    """What is another in a guarded model. It has no annotated attributes: they would be taken for fields."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise TypeError("a guarded model cannot be made anew with other fields: configure the model first, and guard it then")

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Not so: what is loaded again would be the model that is not guarded."""
        return False

    def __reduce__(self) -> tuple[Any, ...]:
        given = vars(self)["_guarding"]
        return _again, (_raw(self), given)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> Any:
        call = _Call(self, is_live=False)
        messages, options = run_through(call.asked(messages, {"stop": stop, **options}))
        return run_through(call.answered(_raw(self)._generate(messages, **options)))  # noqa: SLF001

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> Any:
        call = _Call(self, is_live=True)
        messages, options = await call.asked(messages, {"stop": stop, **options})
        return await call.answered(await _raw(self)._agenerate(messages, **options))  # noqa: SLF001

    def get_num_tokens_from_messages(self, messages: Any, *args: Any, **options: Any) -> Any:
        """Some providers count by being sent the messages."""
        messages, options = run_through(_Call(self, is_live=False).asked(messages, options))
        return _raw(self).get_num_tokens_from_messages(messages, *args, **options)


def _again(model: Any, given: Pipelines) -> Any:
    return guarded(model, request=given.request, response=given.response, context=given.context, after_stop=given.after_stop)


def _stream(self: Any, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> Iterator[Any]:  # noqa: ARG001
    call = _Call(self, is_live=False)
    messages, options = run_through(call.asked(messages, {"stop": stop, **options}))
    source = _raw(self)._stream(messages, **options)  # noqa: SLF001
    if call.response is None:
        yield from source
        return
    last = None
    with langchain.wrap(call.response).iter(_Messages(iter(source)), context=call.context, after_stop=call.after_stop) as stream:
        for last in stream:
            yield _chunk(last)
    if last is None:
        yield _nothing()


async def _astream(
    self: Any,
    messages: Any,
    stop: Any = None,
    run_manager: Any = None,  # noqa: ARG001  # it hears of what comes out
    **options: Any,
) -> AsyncIterator[Any]:
    call = _Call(self, is_live=True)
    messages, options = await call.asked(messages, {"stop": stop, **options})
    source = _raw(self)._astream(messages, **options)  # noqa: SLF001
    if call.response is None:
        async for chunk in source:
            yield chunk
        return
    last = None
    async with langchain.wrap(call.response)(_Messages(aiter(source)), context=call.context, after_stop=call.after_stop) as stream:
        async for last in stream:
            yield _chunk(last)
    if last is None:
        yield _nothing()


class _Messages:
    """The messages of an answer's chunks, plain or in an event loop.

    Args:
        chunks: as the model gives them.
    """

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    def __iter__(self) -> _Messages:
        return self

    def __next__(self) -> Any:
        return _message(next(self._chunks))

    def close(self) -> None:
        """Leave the model's stream."""
        if hasattr(self._chunks, "close"):
            self._chunks.close()

    def __aiter__(self) -> _Messages:
        return self

    async def __anext__(self) -> Any:
        return _message(await anext(self._chunks))

    async def aclose(self) -> None:
        """The same in an event loop."""
        if hasattr(self._chunks, "aclose"):
            await self._chunks.aclose()


def _message(chunk: Any) -> Any:
    """The message of a chunk, with all that the chunk says of it, as LangChain joins them."""
    message = chunk.message
    if not str(message.type).endswith("MessageChunk"):
        raise MalformedInput("a chunk of the answer is none of a message, and cannot be filtered", 0)
    said = {**(chunk.generation_info or {}), **message.response_metadata}
    return message.model_copy(update={"response_metadata": said})


def _chunk(message: Any) -> Any:
    return import_module("langchain_core.outputs").ChatGenerationChunk(message=message)


def _nothing() -> Any:
    """What is left of an answer of which nothing is: LangChain takes no chunk at all for a failure."""
    return _chunk(import_module("langchain_core.messages").AIMessageChunk(content=""))


class _Call:
    """One call of a guarded model.

    Args:
        model: it.
        is_live: whether in an event loop, so that stages may wait.
    """

    def __init__(self, model: Any, *, is_live: bool) -> None:
        given: Pipelines = model._guarding  # noqa: SLF001
        waiting = None if is_live else given.must_wait()
        if waiting is not None:
            raise TypeError(f"{waiting!r} must wait, which plain code cannot: use the async methods of the model")
        self._is_live = is_live
        self._request = given.request
        self.response = given.response
        self.context = given.begun()
        self.after_stop: AfterStop = given.after_stop

    async def asked(self, messages: Sequence[Any], options: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The messages and arguments of the request, filtered."""
        pipeline = self._request
        if pipeline is None:
            return [*messages], {**options}
        quoted = quoting(pipeline, self.context)
        is_waiting = self._is_live and waits(pipeline)

        async def apply(text: str) -> str:
            if is_waiting:
                return await pipeline.aapply(text, context=self.context)
            return pipeline.apply(text, context=self.context)

        async def quote(text: str) -> str:
            return quoted(text)

        filtering = Filtering(apply, quote)
        return [await _filtered(each, filtering) for each in messages], await filtering.body(options)

    async def answered(self, result: Any) -> Any:
        """A whole answer, filtered."""
        pipeline = self.response
        if pipeline is None:
            return result
        generations = [await self._generation(each, pipeline) for each in result.generations]
        said, quote = result.llm_output or {}, quoting(pipeline, self.context)
        said = revised(said, {**{path: quote(text) for path, text in strings(said, langchain.OPAQUE)}, **unfit(said, quote)})
        return type(result)(generations=generations, llm_output=said)

    async def _generation(self, given: Any, pipeline: Stage[str, str]) -> Any:
        info = given.generation_info or {}
        message = given.message.model_copy(update={"response_metadata": {**info, **given.message.response_metadata}})
        if self._is_live and waits(pipeline):
            message = await langchain.afilter_response(pipeline, message, context=self.context)
        else:
            message = langchain.filter_response(pipeline, message, context=self.context)
        kept = {name: message.response_metadata.get(name) for name in info}
        return type(given)(message=message, generation_info=kept or None)


async def _filtered(message: Any, filtering: Filtering) -> Any:
    """A message of a request. What is not sent with it, such as the artifact of a tool, stays as it is."""
    given = {name: value for name in _SAID if (value := getattr(message, name, None))}
    content = given.pop("content", None)
    made = await filtering.messages({**given, "role": _ROLES.get(message.type, message.type)})
    if isinstance(content, list):
        blocks = [shown for block in content for shown in await _block(block, filtering)]
        given, made = {**given, "content": content}, {**made, "content": blocks}
    elif content:
        given, made = {**given, "content": content}, {**made, "content": await filtering.messages(content)}
    changed = {name: made[name] for name, value in given.items() if made[name] != value}
    return message.model_copy(update=changed) if changed else message


async def _block(block: Any, filtering: Filtering) -> list[Any]:
    """A block of content; none if it is a signed thought that would be changed. What LangChain calls base64, the APIs call data."""
    if not isinstance(block, Mapping) or "base64" not in block or "data" in block:
        return cast("list[Any]", await filtering.messages([block]))
    (made,) = await filtering.messages([{"data" if name == "base64" else name: value for name, value in block.items()}])
    return [{"base64" if name == "data" else name: value for name, value in made.items()}]
