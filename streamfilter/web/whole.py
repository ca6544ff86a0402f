"""Whole bodies of JSON, filtered: a provider's as that, every string of any other.

A JSON text that two readers may read in two ways is not read: what one of them sees, the pipeline has not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from streamfilter.context import Context
from streamfilter.pipeline import Stage
from streamfilter.providers.detecting import detect
from streamfilter.providers.guarding_pipelines import waits
from streamfilter.providers.openai import chat
from streamfilter.slices import SLICE_CHARS, Turns

ASKING = frozenset({"messages", "contents", "prompt", "input", "system", "instructions"})
"""What tells the request of a provider's API from others."""

_OBJECTS = {"chat.completion": "openai.chat", "text_completion": "openai.completions", "response": "openai.responses"}
_SHOWN = frozenset({*_OBJECTS.values(), "anthropic.messages", "gemini", "ollama", "vercel"})
"""The formats that `format_of` knows. What says to be of one of them and has another shape has text where nobody looks for it."""


def format_of(said: Any) -> str | None:
    """The name of the format of a whole response; None if it is of none that is known.

    Example:
        >>> format_of({"object": "chat.completion", "choices": []}), format_of({"answer": "Hi"})
        ('openai.chat', None)
    """
    if not isinstance(said, Mapping):
        return None
    if (named := _OBJECTS.get(str(said.get("object")))) is not None:
        return named
    first = choices[0] if isinstance(choices := said.get("choices"), list) and choices else None
    if isinstance(first, Mapping):
        return "openai.chat" if isinstance(first.get("message"), Mapping) else "openai.completions" if "text" in first else None
    if said.get("type") == "message" and isinstance(said.get("content"), list):
        return "anthropic.messages"
    if isinstance(said.get("candidates"), list):
        return "gemini"
    if isinstance(said.get("done"), bool) and ("message" in said or "response" in said):
        return "ollama"
    if isinstance(said.get("parts"), list) and "role" in said:
        return "vercel"
    return None


async def shown_response(pipeline: Stage[str, str], said: Any, name: str | None, context: Context, *, is_error: bool) -> Any:
    """A whole response, filtered.

    Args:
        pipeline: text stages.
        said: what it says.
        name: of its format; None: it is seen. Where its shape is another, every string is filtered.
        context: as for streams.
        is_error: whether it is none of a model.

    Raises:
        NotJSON: it has a shape that could hide text.
        Exception: what a stage ends a text with.
    """
    if isinstance(said, list) and said and isinstance(said[0], dict) and (stream := detect(said[0])) is not None and not is_error:
        wrap = import_module(f"streamfilter.providers.{stream}").wrap(pipeline)
        async with wrap(_each(said), context=context) as chunks:  # Gemini's streams are lists, where nobody asks for events
            return [chunk async for chunk in chunks]
    found = None if is_error else format_of(said)
    if found is None and name not in _SHOWN and not is_error and isinstance(said, Mapping) and "error" not in said:
        found = name
    if found is not None:
        module = import_module(f"streamfilter.providers.{found}")
        return await module.afilter_response(pipeline, said, context=context)
    return await Strings(pipeline, context).shown(said)


async def shown_request(pipeline: Stage[str, str], said: Any, context: Context) -> Any:
    """The body of a request, filtered.

    Args:
        pipeline: text stages.
        said: what it says.
        context: as for streams.

    Raises:
        Exception: what a stage ends a text with.
    """
    if isinstance(said, Mapping) and not ASKING.isdisjoint(said):
        return await chat.afilter_request(pipeline, said, context=context)
    return await Strings(pipeline, context).shown(said)


class Strings:
    """Filters every string of plain data, keys too.

    Args:
        pipeline: text stages.
        context: as for streams.
    """

    def __init__(self, pipeline: Stage[str, str], context: Context) -> None:
        self._pipeline = pipeline
        self._context = context
        self._waits = waits(pipeline)
        self._turns = Turns()

    async def shown(self, value: Any) -> Any:
        """What is left of a value."""
        await self._turns.before(value)
        if isinstance(value, str):
            return await self._string(value)
        if isinstance(value, list):
            return [await self.shown(each) for each in value]
        if isinstance(value, Mapping):
            return {await self._string(key): await self.shown(each) for key, each in value.items()}
        return value

    async def _string(self, text: str) -> str:
        if not text:
            return text
        if self._waits or len(text) > SLICE_CHARS:  # a long one is worked off in slices
            return await self._pipeline.aapply(text, context=self._context)
        return self._pipeline.apply(text, context=self._context)


async def _each(chunks: Sequence[Any]) -> AsyncIterator[Any]:
    turns = Turns()
    for chunk in chunks:
        await turns.before(chunk)
        yield chunk
