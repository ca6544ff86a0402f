"""The tokens that a text was made of, and those that were not taken: where an event lists them, and what of them may leave.

Tokens stay where they are what the text says. Those that might have come instead belong to no text: one of them is a beginning, and
over several places, in several events, they may spell what a guard would find in a text. So they stay while a guard would let
each of them pass at once; from the first on that it would change, or hold for what may follow, they are left out. This module knows
no format but by the names of such fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from streamfilter.providers.places import GONE, Path
from streamfilter.providers.shapes import fields, get, listed

UNTAKEN: Final = frozenset({"top_logprobs", "topCandidates", "top_candidates", "prompt_logprobs"})
"""Fields with tokens that were not taken: OpenAI's and those of who speaks like it, Gemini's in both spellings; and vLLM's of the
prompt."""

_TAKEN = frozenset({"logprobs", "logprobsResult", "logprobs_result"})
_NAMES = UNTAKEN | _TAKEN
_LISTS = ("content", "refusal", "tokens", "chosenCandidates", "chosen_candidates")


def is_honest(token: object) -> bool:
    r"""Whether the bytes of a token say what its string says. Of a part of a character some services write the bytes in the string
    too, as escapes.

    Example:
        >>> [is_honest({"token": token, "bytes": [97, 226]}) for token in (r"a\xe2", "b")], is_honest({"token": "a", "bytes": [97]})
        ([True, False], True)
    """
    raw, said = get(token, "bytes"), get(token, "token")
    if raw is None:
        return True
    try:
        meant = bytes(raw).decode(errors="ignore")
    except (TypeError, ValueError):
        return False
    return meant == said or (len(meant) < len(raw) and isinstance(said, str) and meant in said)


def spelled_by(tokens: Any) -> str | None:
    """The text of some tokens; None if they say more.

    OpenAI's legacy completions list them as strings, beside a list of those that were not taken: there they are keys.
    """
    if isinstance(tokens, list | tuple):
        if not all(map(is_honest, tokens)):
            return None
        return "".join(str(get(token, "token")) for token in tokens)
    return None if get(tokens, "top_logprobs") else "".join(map(str, get(tokens, "tokens") or ()))


def unfit(event: Any, quote: Callable[[str], str], path: Path = ()) -> dict[Path, Any]:
    """What is to stand in the place of tokens that may not leave: those that were not taken, where a guard doubts them, and lists
    the text of which a guard would change.

    Args:
        event: a dict or an object.
        quote: what filters a text as a whole; `str` if there is no guard. One that cannot say what it `doubts` doubts all.
        path: where the event stands, if it is a part of another.

    Example:
        >>> token = {"token": "a", "top_logprobs": [{"token": "b"}]}
        >>> unfit({"logprobs": [token]}, str.lower), unfit({"logprobs": [token]}, str.upper), unfit({"logprobs": [token]}, str)
        ({('logprobs', 0, 'top_logprobs'): []}, {('logprobs',): []}, {})
    """
    return {} if quote is str or not _has_tokens(event) else dict(_unfit(event, quote, path))


def _has_tokens(node: Any) -> bool:
    """Whether any are listed: most events list none, and this is asked of nearly every one."""
    if not isinstance(node, list | tuple):
        node = node if type(node) is dict else fields(node)
        if not _NAMES.isdisjoint(node) and any(map(node.get, _NAMES)):
            return True
        node = node.values()
    for value in node:
        kind = type(value)
        if kind is str or kind is int or value is None:
            continue
        if (kind is dict or kind is list or isinstance(value, Mapping | tuple) or hasattr(value, "__dict__")) and _has_tokens(
            value
        ):
            return True
    return False


def _unfit(node: Any, quote: Callable[[str], str], path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, list | tuple):
        for n, each in enumerate(node):
            yield from _unfit(each, quote, (*path, n))
    elif isinstance(node, Mapping) or hasattr(node, "__dict__"):
        for name, value in fields(node).items():
            if not isinstance(value, Mapping | list | tuple) and not hasattr(value, "__dict__"):
                continue
            if (name in UNTAKEN and _is_doubted(value, quote)) or (name in _TAKEN and _is_changed(value, quote)):
                yield (*path, name), [] if isinstance(value, list | tuple) else GONE
            else:
                yield from _unfit(value, quote, (*path, name))


def _is_doubted(tokens: Any, quote: Callable[[str], str]) -> bool:
    doubts: Callable[[str], bool] | None = getattr(quote, "doubts", None)
    return bool(tokens) and (doubts is None or any(text is None or doubts(text) for text in _untaken(tokens)))


def _untaken(node: Any) -> Iterator[str | None]:
    """The tokens in a list of those that were not taken, which are names in some formats; None for one that says two things."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _untaken(each)
    elif isinstance(node, Mapping) or hasattr(node, "__dict__"):
        yield None if not is_honest(node) else ""
        for name, value in fields(node).items():
            if name != "bytes":
                yield name
                yield from _untaken(value)


def _is_changed(tokens: Any, quote: Callable[[str], str]) -> bool:
    lists = [tokens] if isinstance(tokens, list | tuple) else [listed(get(tokens, name)) for name in _LISTS]
    for each in lists:
        given = [*_each(each)]
        text = "".join(token if isinstance(token, str) else str(get(token, "token") or "") for token in given)
        if not all(map(is_honest, given)) or (text and quote(text) != text):
            return True
    return False


def _each(tokens: Any) -> Iterator[Any]:
    """The tokens of a list; some have one for each step."""
    for token in tokens:
        if isinstance(token, list | tuple):
            yield from _each(token)
        else:
            yield token
