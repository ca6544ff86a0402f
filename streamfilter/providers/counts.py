"""Token counts of any provider, in numbers, and in the words of another. Source: the references of the APIs."""

from __future__ import annotations

from typing import Any

from streamfilter.providers.shapes import fields, plain

_NAMES = {
    # what was read, what was written, and all of it, by family of formats
    "openai": ("prompt_tokens", "completion_tokens", "total_tokens"),
    "responses": ("input_tokens", "output_tokens", "total_tokens"),
    "anthropic": ("input_tokens", "output_tokens", ""),
    "gemini": ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
    "bedrock": ("inputTokens", "outputTokens", "totalTokens"),
    "ollama": ("prompt_eval_count", "eval_count", ""),
    "gemini's SDK": ("prompt_token_count", "candidates_token_count", "total_token_count"),
}
_WHOLE = ("openai", "responses", "bedrock")
"""Those whose clients take no counts without all three."""

_DETAILS = {
    "openai": {"input_tokens_details": "prompt_tokens_details", "output_tokens_details": "completion_tokens_details"},
    "responses": {"prompt_tokens_details": "input_tokens_details", "completion_tokens_details": "output_tokens_details"},
}
"""What OpenAI's two APIs call the same."""

_NEEDED = {
    "responses": {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
"""What counts stand beside others, without which clients take none."""

_THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count")
"""What Gemini counts beside what it has written. All others count it in."""


def _known(given: dict[str, Any]) -> list[int | None]:
    """What was read, written, and all of it; None where it is not said."""
    columns = ([given.get(name) for name in names] for names in zip(*_NAMES.values(), strict=True))
    found = [next((count for count in column if isinstance(count, int)), None) for column in columns]
    thoughts = next((given[name] for name in _THOUGHTS if isinstance(given.get(name), int)), 0)
    if thoughts:
        found[1] = (found[1] or 0) + thoughts
    return found


def counted(usage: object) -> tuple[int, int]:
    """How many tokens were read and written, as a provider's object says.

    Example:
        >>> counted({"prompt_tokens": 3, "completion_tokens": 4}), counted({"inputTokens": 5})
        ((3, 4), (5, 0))
    """
    read, written, _ = _known(fields(plain(usage)))
    return read or 0, written or 0


def latest(known: tuple[int, int], usage: object) -> tuple[int, int]:
    """The counts of a stream that says them more than once, each time all or the other half.

    Example:
        >>> latest((3, 1), {"output_tokens": 9})
        (3, 9)
    """
    read, written = counted(usage)
    return read or known[0], written or known[1]


def worded(usage: object, family: str) -> dict[str, Any]:
    """Counts in the words of a family of formats: `"openai"`, `"responses"`, `"anthropic"`, `"gemini"`, `"bedrock"`, `"ollama"`.

    What is said in its words stays as it came; of all else only the numbers pass.

    Example:
        >>> worded({"promptTokenCount": 3, "candidatesTokenCount": 4, "x": "y"}, "openai")
        {'prompt_tokens': 3, 'completion_tokens': 4, 'total_tokens': 7}
        >>> worded({"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 2}, "anthropic")
        {'input_tokens': 3, 'output_tokens': 4, 'cache_read_input_tokens': 2}
    """
    given = fields(plain(usage))
    names = _NAMES[family]
    counts = _known(given)
    if counts == [None, None, None]:
        return {}
    if counts[2] is None:
        counts[2] = (counts[0] or 0) + (counts[1] or 0)
    default = 0 if family in _WHOLE else None
    found = {name: default if count is None else count for name, count in zip(names, counts, strict=True)}
    made: dict[str, Any] = {name: count for name, count in found.items() if name and count is not None}
    known = names[:2] if counts[:2] != [None, None] else names  # the word for all of it is not one's own
    if any(name in given for name in known):
        made |= given
    else:
        made |= {own: given[name] for name, own in _DETAILS.get(family, {}).items() if name in given}
    return made | {name: zeros | fields(made.get(name)) for name, zeros in _NEEDED.get(family, {}).items()}
