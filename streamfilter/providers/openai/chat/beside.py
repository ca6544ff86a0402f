"""What a chunk says beside its text: every other string that is no name goes through the guards, as a quote.

No field is taken for harmless because it is not known here: services add fields of their own, and put into them whole search
results, failed tool calls, the words that a model did not choose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamfilter.providers.openai.chat.completions import OPAQUE
from streamfilter.providers.openai.chat.reading import Origin, Parts
from streamfilter.providers.openai.chat.texts import DETAILS, TEXT_FIELDS
from streamfilter.providers.places import Path, is_below, revised, strings
from streamfilter.providers.tokens import unfit


def quoted(origin: Origin, quote: Callable[[str], str]) -> Any:
    """A chunk with all that it quotes filtered, and its text as it came; the chunk itself where nothing changes.

    Args:
        origin: the chunk, read.
        quote: filters one text, as a whole.
    """
    chunk = origin.chunk
    if origin.is_plain or chunk is None:
        return chunk
    if origin.quoted is None:
        said = [_places_of(parts) for parts in origin.parts]
        changes = unfit(chunk, quote)
        for path, text in strings(chunk, OPAQUE):
            if not is_below(path, changes) and not _is_said(origin, path, said) and (shown := quote(text)) != text:
                if "logprobs" in path:  # a token stands there in characters and in bytes
                    changes[path[: path.index("logprobs") + 1]] = None
                else:
                    changes[path] = shown
        origin.quoted = revised(chunk, changes)
    return origin.quoted


def _places_of(parts: Parts) -> set[Path]:
    """Where in the delta of a choice the text of channels stands."""
    return {slot.path for slot in parts.slots} | {slot.path for call in parts.calls for slot in call.slots}


def _is_said(origin: Origin, path: Path, said: Sequence[set[Path]]) -> bool:
    """Whether a string of a chunk is text of a channel, or says it once more and is known to be the same."""
    if path[0] != "choices" or len(path) < 3 or not isinstance(path[1], int):
        return False
    parts, place = origin.parts[path[1]], path[2:]
    if place[0] == "delta":
        inside = place[1:]
        is_detail = inside[0] in DETAILS and inside[-1] in ("text", "summary", "thinking") and len(inside) == 3
        return is_below(inside, said[path[1]]) or (is_detail and inside[0] not in parts.misquotes)
    if place[0] not in ("text", "message", "logprobs") or place[0] in parts.misquotes:
        return False
    if place[0] == "message" and len(place) > 1:
        is_input = place[1] == "tool_calls" and place[3:] in (("function", "arguments"), ("custom", "input"))
        return is_input or (len(place) == 2 and place[1] in TEXT_FIELDS)
    return place == ("text",) or (len(place) == 4 and place[-1] == "token")
