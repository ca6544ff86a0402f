"""Events of one format in a stream of another: read as quotes, what is split over two of them would come out.

This module knows where each format has its text, and nothing else of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamfilter.errors import MalformedInput
from streamfilter.providers.shapes import get, listed

if TYPE_CHECKING:
    from streamfilter.providers.events import Origin

_TYPES = {
    "content_block_delta": "anthropic.messages",
    "response.output_text.delta": "openai.responses",
    "text-delta": "vercel",
    "reasoning-delta": "vercel",
    "tool-input-delta": "vercel",
    "AIMessageChunk": "langchain",
    "completion": "Anthropic's older completions",
    "content-delta": "Cohere's",
    "tool-call-delta": "Cohere's",
}
"""Types of events that bring text, and whose they are: also of some that are not read here."""

_LISTS = {"choices": ("openai.chat", "openai.completions"), "candidates": ("gemini",)}
"""Fields of events without a type that are lists with text in them."""


def check(name: str, origin: Origin) -> None:
    """Refuse an event of another format.

    Args:
        name: of the format.
        origin: the event, and the text that the format has found in it.

    Raises:
        MalformedInput: it is one.
    """
    if not origin.slots and is_foreign(name, origin.event):
        said = f"an event is of another format than this stream, which is read as {name}"
        raise MalformedInput(said, origin.frame.offset if origin.frame else 0)


def is_foreign(name: str, event: Any) -> bool:
    """Whether the text of an event stands where another format has it.

    Args:
        name: of the format.
        event: a dict or an object, in which the format has found no text.

    Example:
        >>> is_foreign("ollama", {"choices": [{"delta": {}}]}), is_foreign("ollama", {"message": {}, "done": False})
        (True, False)
    """
    kind = get(event, "type")
    if isinstance(kind, str):
        owner = "openai.responses" if kind.startswith("response.") and kind.endswith(".delta") else _TYPES.get(kind, name)
        if owner != name:
            return True
    if name != "langchain" and isinstance(get(event, "event"), str) and get(event, "run_id") is not None:
        return True
    if get(event, "object") == "thread.message.delta" or get(get(event, "token"), "text") is not None:  # OpenAI's assistants, TGI
        return True
    if name == "openai.completions" and any(get(choice, "delta") is not None for choice in listed(get(event, "choices"))):
        return True
    for field, owners in _LISTS.items():
        if name not in owners and listed(get(event, field)):
            return True
    if name != "bedrock" and get(get(event, "contentBlockDelta"), "delta") is not None:
        return True
    if name != "ollama" and isinstance(get(event, "done"), bool):
        return get(event, "message") is not None or get(event, "response") is not None
    return name != "pydantic_ai" and get(event, "event_kind") in ("part_start", "part_delta")
