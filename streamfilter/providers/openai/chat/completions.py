"""Chat completions that did not stream: where their text stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streamfilter.items import Channel, Finish
from streamfilter.providers.events import Origin
from streamfilter.providers.openai.chat.texts import DETAILS, texts
from streamfilter.providers.places import Opaque, Path, at, within, words
from streamfilter.providers.shapes import fields, get, listed

OPAQUE: Opaque = frozenset(
    {
        *("id", "object", "model", "role", "finish_reason", "native_finish_reason", "type", "system_fingerprint", "service_tier"),
        "tool_call_id",
        *within("name", "function", "custom", "function_call"),
        *within("channel", "delta"),  # Groq: the name of one
        *within("provider", "", "reasoning_details"),
        *within("signature", "reasoning_details", "thinking"),  # as OpenRouter and as Anthropic
        *within("data", "reasoning_details", "audio", "redacted_thinking"),
        *within("format", "reasoning_details"),
        *within("file_id", "file", "file_citation"),
        *within("obfuscation", ""),
        *within("p", ""),
        *within("thought_signature", "google"),
        *within("encrypted_content", "delta", "message"),
        *within("reasoning_opaque", "delta", "message"),
        *words("moderation.input.results.category_applied_input_types.*", "text", "image"),
        *words("moderation.output.results.category_applied_input_types.*", "text", "image"),
    }
)
"""Fields whose strings are no text: names, ids, audio, padding, and what only the provider can read."""


def read_whole(origin: Origin) -> None:
    """A `ChatCompletion`."""
    for position, choice in enumerate(listed(get(origin.event, "choices"))):
        message = get(choice, "message")
        index = get(choice, "index")
        number = index if isinstance(index, int) else position
        here: Path = ("choices", position, "message")
        for kind, name, path, _ in texts(fields(message)):
            channel = Channel(kind, (0, number, name, *path[1:]))
            origin.text((*here, *path), channel)
            for beside in ("annotations", *DETAILS):
                if get(message, beside) is not None and beside not in path:
                    origin.spans[*here, beside] = channel
            if get(get(choice, "logprobs"), name) is not None:
                origin.tokens["choices", position, "logprobs", name] = channel
        for place, path in _calls(message):
            channel = Channel("tool_arguments", (0, number, *path))
            origin.call((*here, *place), get(at(message, place), "id"), get(at(message, path[:-1]), "name"), channel)
            origin.text((*here, *path), channel)
        reason = get(choice, "finish_reason")
        if reason is not None:
            origin.items.append(Finish(str(reason), scope=(0, number), origin=origin))


def place(response: Any, channel: Channel) -> Path | None:
    """Where text of a channel goes that a completion has not: reasoning that a stage has told from the answer has a field."""
    for position, choice in enumerate(listed(get(response, "choices"))):
        index = get(choice, "index")
        if channel.kind == "reasoning" and channel.key[1:2] == (index if isinstance(index, int) else position,):
            return ("choices", position, "message", "reasoning_content")
    return None


def _calls(message: Any) -> Iterator[tuple[Path, Path]]:
    """Where the calls of a message stand, and their arguments."""
    if get(message, "function_call") is not None:
        yield ("function_call",), ("function_call", "arguments")
    for n, call in enumerate(listed(get(message, "tool_calls"))):
        for kind, name in (("function", "arguments"), ("custom", "input")):
            if get(call, kind) is not None:
                yield ("tool_calls", n), ("tool_calls", n, kind, name)
