"""Chat completions that did not stream: where their text stands."""

from __future__ import annotations

from typing import Any

from streamfilter.items import Channel, Finish
from streamfilter.providers.events import Origin
from streamfilter.providers.openai.chat.texts import DETAILS, texts
from streamfilter.providers.places import Opaque, Path, within, words
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
        at: Path = ("choices", position, "message")
        for kind, name, path, _ in texts(fields(message)):
            channel = Channel(kind, (0, number, name, *path[1:]))
            origin.text((*at, *path), channel)
            for beside in ("annotations", *DETAILS):
                if get(message, beside) is not None and beside not in path:
                    origin.spans[*at, beside] = channel
            if get(get(choice, "logprobs"), name) is not None:
                origin.tokens["choices", position, "logprobs", name] = channel
        for path in _calls(message):
            origin.text((*at, *path), Channel("tool_arguments", (0, number, *path)))
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


def _calls(message: Any) -> list[Path]:
    """Where the arguments of a message's calls stand."""
    paths: list[Path] = [("function_call", "arguments")]
    for n, _ in enumerate(listed(get(message, "tool_calls"))):
        paths += [("tool_calls", n, "function", "arguments"), ("tool_calls", n, "custom", "input")]
    return paths
