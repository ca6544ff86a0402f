"""Why a choice is complete, in the words of each provider.

Source: the references of the APIs named.
"""

from __future__ import annotations

from streamfilter.items import Failure, Finish, Item

_WORDS: dict[str, dict[str, str]] = {
    # (what it means): by format
    "stop": {"openai": "stop", "anthropic": "end_turn", "gemini": "STOP", "bedrock": "end_turn", "ollama": "stop"},
    "length": {"openai": "length", "anthropic": "max_tokens", "gemini": "MAX_TOKENS", "bedrock": "max_tokens", "ollama": "length"},
    "tool_calls": {"openai": "tool_calls", "anthropic": "tool_use", "gemini": "STOP", "bedrock": "tool_use", "ollama": "stop"},
    "content_filter": {
        "openai": "content_filter",
        "anthropic": "refusal",
        "gemini": "SAFETY",
        "bedrock": "content_filtered",
        "ollama": "stop",
    },
}

_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.values()} | {
    "stop": "stop",
    "stop_sequence": "stop",
    "end": "stop",
    "end_turn": "stop",
    "STOP": "stop",
    "pause_turn": "stop",
    **dict.fromkeys(("completed", "eos", "eos_token", "normal", "COMPLETE", "STOP_SEQUENCE"), "stop"),
    "blocked": "content_filter",
    "refusal": "content_filter",
    "guardrail_intervened": "content_filter",
    "function_call": "tool_calls",
    **dict.fromkeys(("tool-calls", "tool_call", "TOOL_CALL"), "tool_calls"),
    "content-filter": "content_filter",
    "max_output_tokens": "length",
    **dict.fromkeys(("model_length", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
}


_UNSAID = frozenset({"stop", "STOP", "completed", "end"})
"""Words with which an answer is over, of formats that have none for one that waits for its calls, and of a source without one."""


def for_calls(reason: str) -> str:
    """Why an answer with calls is over: for these, unless its reason says otherwise.

    Example:
        >>> for_calls("STOP"), for_calls("length")
        ('tool_calls', 'length')
    """
    return "tool_calls" if reason in _UNSAID else reason


def ends_calls(item: Item) -> bool:
    """Whether a call that has said nothing until it ends with an item has no arguments: nothing has cut it off.

    A reason that is not known to say so does not: services have new words for what went wrong, and seldom for what went well.

    Example:
        >>> ends_calls(Finish("stop")), ends_calls(Finish("error")), ends_calls(Finish("stop", stopped=True))
        (True, False, False)
    """
    if isinstance(item, Finish):
        return not item.stopped and _MEANINGS.get(item.reason) in ("stop", "tool_calls")
    return not isinstance(item, Failure)


def spelled(reason: str, family: str) -> str:
    """A reason in the words of a family of formats: `"openai"`, `"anthropic"`, `"gemini"`, `"bedrock"`, `"ollama"`.

    Example:
        >>> spelled("max_tokens", "openai"), spelled("blocked", "anthropic"), spelled("stop", "gemini")
        ('length', 'refusal', 'STOP')
    """
    return _WORDS[_MEANINGS.get(reason, "stop")][family]
