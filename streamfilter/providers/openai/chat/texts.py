"""Where in a chunk of a chat completion text stands, and what beside it says the text once more.

This is the one place that knows the fields; services that speak OpenAI's format are named where they differ.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from streamfilter.errors import MalformedInput
from streamfilter.providers.places import Opaque, is_below, merged, strings
from streamfilter.providers.shapes import get, listed
from streamfilter.providers.tokens import is_honest

Path = tuple[str | int, ...]
"""From a delta to a text in it."""

ENTIRE = frozenset({"annotations", "citations", "content_filter_results", "context", "executed_tools", "images", "search_results"})
"""Fields whose texts are whole on the chunk that brings them: none of them is part of another text."""

TEXT_FIELDS = {
    "content": "answer",
    "refusal": "refusal",
    "reasoning": "reasoning",  # Groq, OpenRouter
    "reasoning_content": "reasoning",  # DeepSeek, Qwen, xAI
    "reasoning_text": "reasoning",  # GitHub Copilot
    "thinking": "reasoning",
}
"""The fields of a delta that are text, and the kind of channel each is."""

DETAILS = ("reasoning_details", "thinking_blocks")
"""Lists that say the reasoning once more (OpenRouter, LiteLLM); alone (Snowflake) they are text."""

_DETAIL_FIELDS = ("text", "summary", "thinking")

REPEATS = frozenset(
    {
        "logprobs",
        "message",  # Writer: the delta once more
        *DETAILS,
        "text",  # Together: the content once more
        "token_id",
        "token_ids",
    }
)
"""Fields beside the text that say it once more. They are dropped where it changed, is not all there, or is not what they say."""


def texts(delta: Mapping[str, Any], repeating: Container[str] = ()) -> Iterator[tuple[str, str, Path, str]]:
    """The pieces of text in the fields of a delta: (kind of channel, name, path, text).

    Args:
        delta: it.
        repeating: lists that have said the reasoning once more: what they say alone is not taken for it.
    """
    reasons = False
    for name, kind in TEXT_FIELDS.items():
        if name not in delta:
            continue
        value = delta[name]
        if isinstance(value, str) and value:
            reasons = reasons or kind == "reasoning"
            yield kind, name, (name,), value
        elif isinstance(value, list | tuple):
            yield from _parts(name, kind, value)
    if "audio" in delta and isinstance(text := get(delta["audio"], "transcript"), str) and text:
        yield "answer", "audio", ("audio", "transcript"), text
    for details in DETAILS:
        if details in delta and not reasons and details not in repeating:
            for n, detail in enumerate(listed(delta[details])):
                for name in _DETAIL_FIELDS:
                    if isinstance(text := get(detail, name), str) and text:
                        yield "reasoning", details, (details, n, name), text


def _parts(name: str, kind: str, parts: Sequence[Any]) -> Iterator[tuple[str, str, Path, str]]:
    """Content as a list of parts (Mistral): text, and thinking, which is a list itself; Databricks calls it summary."""
    for n, part in enumerate(parts):
        if isinstance(part, str):
            if part:
                yield kind, name, (name, n), part
            continue
        if isinstance(text := get(part, "text"), str) and text:
            yield kind, name, (name, n, "text"), text
        for field in ("thinking", "summary"):
            thinking = get(part, field)
            if isinstance(thinking, str) and thinking:
                yield "reasoning", "thinking", (name, n, field), thinking
            for m, inner in enumerate(listed(thinking)):
                if isinstance(text := get(inner, "text"), str) and text:
                    yield "reasoning", "thinking", (name, n, field, m, "text"), text


def others(delta: Mapping[str, Any], taken: Container[Path], opaque: Opaque) -> list[tuple[Path, str]]:
    """The strings of a delta that are not known, and may be text that goes on in the next one; those that are fields of it first.

    Args:
        delta: it.
        taken: where its known text stands.
        opaque: the fields that have none.
    """
    found = [(path[1:], text) for path, text in strings(delta, opaque, ("delta",)) if not _is_whole(delta, path[1:])]
    return sorted((each for each in found if not is_below(each[0], taken)), key=lambda each: len(each[0]) > 1)


def _is_whole(delta: Mapping[str, Any], path: Path) -> bool:
    """Whether a string of a delta is known to be all that its place says: what clients add to a list, or what says once more."""
    name, *inside = path
    if name in ENTIRE or path[-1:] == ("index",):
        return True
    if name in DETAILS:
        return len(inside) == 2 and inside[-1] in _DETAIL_FIELDS
    value = delta[str(name)]
    return name in TEXT_FIELDS and isinstance(value, list | tuple) and get(value[int(inside[0])], "index") is None


def has_other_parts(value: object) -> bool:
    """Whether a list of parts has one without text, such as a reference."""
    return isinstance(value, list | tuple) and any(
        not isinstance(part, str) and all(get(part, name) is None for name in _DETAIL_FIELDS) for part in value
    )


def misquotes(choice: Mapping[str, Any], delta: Mapping[str, Any], pieces: Sequence[tuple[Path, str]]) -> frozenset[str]:
    """Of the fields of a choice and its delta, those that repeat text, and say something else than the pieces of this chunk.

    Engines that hold text back let their tokens run ahead, and some services repeat all of the message so far.
    """
    found_in: dict[str | int, list[str]] = {}
    for path, text in pieces:
        found_in.setdefault(path[0], []).append(text)
    said = {name: "".join(texts) for name, texts in found_in.items()}
    found: set[str] = set()
    if "logprobs" in choice and not _quotes_tokens(choice["logprobs"], said):
        found.add("logprobs")
    if "message" in choice and not _quotes_message(choice["message"], delta, said):
        found.add("message")
    if choice.get("text", "") not in ("", said.get("content")):
        found.add("text")
    for details in DETAILS:
        reasoning = (said.get(name) for name, kind in TEXT_FIELDS.items() if kind == "reasoning")
        if is_repeating(delta, details, said) and _joined(delta[details]) not in reasoning:
            found.add(details)
    if not said:
        found |= {name for name in ("token_id", "token_ids") if choice.get(name) or delta.get(name)}
    return frozenset(found)


class Order:
    """Parts of lists whose texts are read as one, as they are shown: each is over when the next one begins."""

    def __init__(self) -> None:
        self._last: dict[str | int, Path] = {}  # by field, where it has said something last
        self._over: set[Path] = set()

    def check(self, delta: Mapping[str, Any], path: Path, offset: int) -> None:
        """A part of a delta says something here.

        Raises:
            MalformedInput: it goes on behind another one: clients would put together what has not been seen so.
        """
        if len(path) < 3 or get(delta[str(path[0])][int(path[1])], "index") is None:
            return
        place = merged(delta, path)
        last = self._last.get(place[0], place)
        if place != last:
            self._over.add(last)
        if place in self._over:
            raise MalformedInput("a part of a list goes on behind another one", offset)
        self._last[place[0]] = place


def is_repeating(delta: Mapping[str, Any], details: str, said: Container[str | int]) -> bool:
    """Whether a list says reasoning that stands beside it.

    Args:
        delta: what has it.
        details: its name.
        said: the fields of the delta that are text.
    """
    return details in delta and details not in said and bool(_joined(delta[details]))


def _joined(details: object) -> str:
    return "".join(str(get(detail, name) or "") for detail in listed(details) for name in _DETAIL_FIELDS)


def echoes(node: Mapping[str, Any], names: Iterable[str], texts: Collection[str], opaque: Opaque) -> frozenset[str]:
    """The fields beside the text of which a string is one of its pieces. As no list of all services' fields could be complete, they
    are found by what they say.

    Args:
        node: a chunk, a choice or a delta.
        names: its fields beside the text.
        texts: the pieces of text that the chunk brings.
        opaque: the fields that have none.

    Example:
        >>> sorted(echoes({"a": [{"b": "Hi"}], "c": "Ho"}, ["a", "c"], ["Hi"], frozenset()))
        ['a']
    """
    return frozenset(
        name for name in names if name not in ENTIRE and any(text in texts for _, text in strings(node[name], opaque, (name,)))
    )


def _quotes_tokens(logprobs: Any, said: Mapping[str | int, str]) -> bool:
    for name in ("content", "refusal"):
        tokens = listed(get(logprobs, name))
        if "".join(str(get(token, "token")) for token in tokens) not in ("", said.get(name)) or not all(map(is_honest, tokens)):
            return False
    return True


def _quotes_message(message: Any, delta: Mapping[str, Any], said: Mapping[str | int, str]) -> bool:
    texts_agree = all(get(message, name) in (None, "", said.get(name)) for name in TEXT_FIELDS)
    return texts_agree and get(message, "tool_calls") in (None, [], delta.get("tool_calls"))


def is_signed(delta: Any) -> bool:
    """Whether reasoning in a delta is signed or encrypted: what its provider would not take back if it were changed."""
    return any(get(detail, "signature") or get(detail, "data") for details in DETAILS for detail in listed(get(delta, details)))
