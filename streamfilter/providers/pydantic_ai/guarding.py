"""A model of pydantic-ai whose every call goes through pipelines: a `WrapperModel`, for agents and all else that takes a model.

What an agent streams, what it gives and what its histories hold is made of what its model gives, so it is of filtered text.
pydantic-ai is not imported before a model is guarded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast, get_args

from streamfilter.context import AfterStop, Context
from streamfilter.pipeline import Stage
from streamfilter.providers import pydantic_ai
from streamfilter.providers.guarding_calls import Refused, Unknown
from streamfilter.providers.guarding_pipelines import Contexts, Pipelines, check_after_stop, checked, waits
from streamfilter.providers.places import revised, strings
from streamfilter.providers.pydantic_ai.asking import Asking
from streamfilter.providers.pydantic_ai.reading import OPAQUE
from streamfilter.providers.tokens import unfit
from streamfilter.providers.wrapping import Quote, quoting

M = TypeVar("M")

_SHOWN = ("provider_response_id", "canonical_system", "finish_reason", "state", "failed_attempts")
"""What a response knows while it streams, and that has no text."""


def guarded(
    model: M,
    *,
    request: Stage[str, str] | None = None,
    response: Stage[str, str] | None = None,
    context: Contexts = None,
    after_stop: AfterStop = "close",
    unknown: Unknown = "raise",
) -> M:
    """A model whose every call is filtered, streaming or not: a `WrapperModel` around it.

    So `agent.run`, `run_stream`, `iter` and `run_stream_events`, their results and their message histories have the filtered text,
    and tools get filtered arguments.

    Args:
        model: of pydantic-ai.
        request: what all text in requests goes through: messages, tools, instructions, settings.
        response: what all text in responses goes through.
        context: of all calls, or a function that makes one for each. Without one, and where it has no vault, each call has a vault
            of its own, which its request and its response share.
        after_stop: what happens to the source once a stage has ended a stream.
        unknown: what becomes of batches and of compaction, which cannot be filtered: `"raise"` refuses them, `"pass"` lets
            them pass unfiltered.

    Raises:
        TypeError: it is no such model, is guarded already, or a pipeline is none of text stages.
        ValueError: `after_stop` or `unknown` is something else.

    Example:
        >>> import streamfilter as sf
        >>> guarded(object(), response=sf.Redact("a"))
        Traceback (most recent call last):
        TypeError: object is no model of pydantic-ai
    """
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(model).__mro__}
    if "pydantic_ai.models.Model" not in names:
        raise TypeError(f"{type(model).__qualname__} is no model of pydantic-ai")
    if unknown not in get_args(Unknown):
        raise ValueError(f"unknown={unknown!r}: 'raise' or 'pass' is needed")
    inner: Any = model
    while inner is not None:
        if isinstance(inner, _Guarded):
            raise TypeError("the model is guarded: join the pipelines with `|`, and guard it once")
        inner = vars(inner).get("wrapped")
    made: Any = _classes()[0](model)
    sent, received = checked(request, response, context)
    made.guarding = Pipelines(request=sent, response=received, context=context, after_stop=check_after_stop(after_stop))
    made.unknown = unknown
    return cast("M", made)


@cache
def _classes() -> tuple[Any, Any]:
    """The classes of guarded models and of what they stream."""
    models = import_module("pydantic_ai.models")
    wrapper: Any = import_module("pydantic_ai.models.wrapper").WrapperModel
    named = {"__module__": __name__}
    return type("GuardedModel", (_Guarded, wrapper), dict(named)), type(
        "GuardedResponse", (_Streamed, models.StreamedResponse), dict(named)
    )


class _Guarded:
    """What is another in a guarded model."""

    wrapped: Any
    guarding: Pipelines
    unknown: Unknown

    async def request(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> Any:
        call = _Call(self.guarding)
        asked = await call.asked(messages, model_settings, model_request_parameters)
        return await call.answered(await self.wrapped.request(*asked))

    @asynccontextmanager
    async def request_stream(
        self, messages: Any, model_settings: Any, model_request_parameters: Any, run_context: Any = None
    ) -> AsyncIterator[Any]:
        call = _Call(self.guarding)
        asked = await call.asked(messages, model_settings, model_request_parameters)
        async with self.wrapped.request_stream(*asked, run_context) as response:
            if call.response is None:
                yield response
                return
            made = _classes()[1](response.model_request_parameters)
            made.inner, made.call = response, call
            made.shown()
            yield made

    async def count_tokens(self, messages: Any, model_settings: Any, model_request_parameters: Any) -> Any:
        asked = await _Call(self.guarding).asked(messages, model_settings, model_request_parameters)
        return await self.wrapped.count_tokens(*asked)

    async def compact_messages(self, request_context: Any, *, instructions: str | None = None) -> Any:
        self._refuse("compaction")
        return await self.wrapped.compact_messages(request_context, instructions=instructions)

    async def batch_encode(self, request: Any) -> Any:
        self._refuse("a batch")
        return await self.wrapped.batch_encode(request)

    def batch_decode(self, result: Any, request: Any) -> Any:
        self._refuse("a batch")
        return self.wrapped.batch_decode(result, request)

    def _model_for_response(self, response: Any) -> Any:
        return self  # and not the one beneath, which is not guarded

    def _refuse(self, what: str) -> None:
        if self.unknown == "raise" and (self.guarding.request or self.guarding.response):
            raise Refused(f"it is not known how to filter {what}; unknown='pass' lets it pass as it is")


class _Streamed:
    """What is another in a response that streams through a pipeline."""

    inner: Any
    call: _Call
    model_request_parameters: Any
    final_result_event: Any
    _event_iterator: Any
    _parts_manager: Any
    _cancelled: bool
    _finished: bool
    _first_chunk_monotonic: float | None

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._event_iterator is None:
            self._event_iterator = self._events()
        return cast("AsyncIterator[Any]", self._event_iterator)

    async def _events(self) -> AsyncIterator[Any]:
        assert self.call.response is not None
        wrapped = pydantic_ai.wrap(self.call.response)
        async with wrapped(aiter(self.inner), context=self.call.context, after_stop=self.call.after_stop) as stream:
            async for event in stream:
                self._parts_manager.apply_event(event)
                self._first_chunk_monotonic = self.inner._first_chunk_monotonic  # noqa: SLF001
                if event.event_kind == "final_result":
                    self.final_result_event = event
                self.shown()
                yield event
        self._finished = not self._cancelled
        self.shown()

    async def _get_event_iterator(self) -> AsyncIterator[Any]:
        return self.__aiter__()

    def shown(self) -> None:
        """Show what the response beneath knows by now."""
        for name in _SHOWN:
            setattr(self, name, getattr(self.inner, name))
        if self._finished and not self.inner._finished and not self.inner.cancelled:  # noqa: SLF001  # a stage has ended it
            vars(self).update(state="complete", finish_reason="stop")

    def get(self) -> Any:
        given = self.inner.get()
        parts = self._parts_manager.get_parts()
        said = [part.content if part.part_kind == "text" else None for part in given.parts]
        kept = [replace(part, id=None) if part.part_kind == "text" and part.content not in said else part for part in parts]
        made = replace(given, parts=[])
        quote = quoting(self.call.response, self.call.context) if self.call.response else str
        made = pydantic_ai.without_tokens(_quoted(made, quote), is_changed=kept != [*given.parts])
        if self._finished and not self.inner._finished:  # noqa: SLF001
            made = replace(made, state=self.state, finish_reason=self.finish_reason)  # type: ignore[attr-defined]
        return replace(made, parts=kept)

    async def close_stream(self) -> None:
        await self.inner.cancel()

    def get_stream_cancel_errors(self) -> Any:
        return self.inner.get_stream_cancel_errors()

    def _enforce_request_deadline(self, deadline: Any) -> None:
        self.inner._enforce_request_deadline(deadline)  # noqa: SLF001

    @property
    def usage(self) -> Any:
        return self.inner.usage

    @property
    def model_name(self) -> Any:
        return self.inner.model_name

    @property
    def provider_name(self) -> Any:
        return self.inner.provider_name

    @property
    def provider_url(self) -> Any:
        return self.inner.provider_url

    @property
    def timestamp(self) -> Any:
        return self.inner.timestamp


class _Call:
    """One call of a guarded model.

    Args:
        given: its pipelines.
    """

    def __init__(self, given: Pipelines) -> None:
        self._request = given.request
        self.response = given.response
        self.context: Context = given.begun()
        self.after_stop: AfterStop = given.after_stop

    async def asked(self, messages: Any, settings: Any, parameters: Any) -> tuple[Any, Any, Any]:
        """What is asked, filtered."""
        pipeline = self._request
        if pipeline is None:
            return messages, settings, parameters
        quoted = quoting(pipeline, self.context)
        is_waiting = waits(pipeline)

        async def apply(text: str) -> str:
            if is_waiting:
                return await pipeline.aapply(text, context=self.context)
            return pipeline.apply(text, context=self.context)

        async def quote(text: str) -> str:
            return quoted(text)

        asking = Asking(apply, quote)
        return await asking.messages(messages), await asking.settings(settings), await asking.parameters(parameters)

    async def answered(self, response: Any) -> Any:
        """A whole answer, filtered."""
        if self.response is None:
            return response
        return await pydantic_ai.afilter_response(self.response, response, context=self.context)


def _quoted(response: Any, quote: Quote) -> Any:
    """What a response says beside its parts, through the guards."""
    changes = {path: shown for path, text in strings(response, OPAQUE) if (shown := quote(text)) != text}
    return revised(response, {**changes, **unfit(response, quote)})
