"""Token counts of any provider, in numbers. Source: the references of the APIs."""

from __future__ import annotations

from streamfilter.providers.shapes import fields, plain

_READ = ("prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount", "prompt_token_count", "prompt_eval_count")
_WRITTEN = (
    *("completion_tokens", "output_tokens", "outputTokens", "candidatesTokenCount", "candidates_token_count"),
    "eval_count",
)


def counted(usage: object) -> tuple[int, int]:
    """How many tokens were read and written, as a provider's object says.

    Example:
        >>> counted({"prompt_tokens": 3, "completion_tokens": 4}), counted({"inputTokens": 5})
        ((3, 4), (5, 0))
    """
    given = fields(plain(usage))
    read = next((given[name] for name in _READ if isinstance(given.get(name), int)), 0)
    written = next((given[name] for name in _WRITTEN if isinstance(given.get(name), int)), 0)
    return read, written


def latest(known: tuple[int, int], usage: object) -> tuple[int, int]:
    """The counts of a stream that says them more than once, each time all or the other half.

    Example:
        >>> latest((3, 1), {"output_tokens": 9})
        (3, 9)
    """
    read, written = counted(usage)
    return read or known[0], written or known[1]
