"""Hypothesis strategies for streams: cuts, texts that rules match, documents, bytes, providers' chunks, and what goes wrong.

Needs the extra `testing`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

try:
    from hypothesis import strategies as st
except ModuleNotFoundError:
    raise ModuleNotFoundError('the strategies need Hypothesis: pip install "streamfilter[testing]"') from None

from streamfilter.items import Event
from streamfilter.testing.documents import json_documents, json_values
from streamfilter.testing.matches import hits, near_misses, texts_for
from streamfilter.testing.sources import Mark, Script, Sleep, cut
from streamfilter.testing.wire import PROVIDERS, EventStream, ProviderStream, provider_streams, sse_bytes

__all__ = [
    "FAULTS",
    "PROVIDERS",
    "EventStream",
    "ProviderStream",
    "chunkings",
    "faults",
    "hits",
    "json_documents",
    "json_values",
    "near_misses",
    "provider_streams",
    "sse_bytes",
    "streams",
    "texts_for",
]

T = TypeVar("T", str, bytes)

FAULTS = ("dropped", "stalled", "duplicated", "cut off", "torn")
"""What `faults` does: the connection breaks with an error; nothing comes for `STALL_SECONDS`; an item comes twice; the stream ends
in the middle as if it were complete; its last item is only half there before the connection breaks."""

STALL_SECONDS = 3600.0
"""Longer than any time-out that is meant for a stream."""

DELAYS = (0.0, 0.02, 0.5, 30.0)
"""Between tokens, between sentences, before the first token, and long."""


def chunkings(text: T, *, max_cuts: int = 8) -> st.SearchStrategy[list[T]]:
    """Ways to cut a text, or bytes, into pieces.

    Args:
        text: what is cut.
        max_cuts: at how many places at most.

    Example:
        >>> from hypothesis import find
        >>> find(chunkings("streams"), lambda pieces: len(pieces) > 2)
        ['s', 't', 'reams']
    """
    places = st.lists(st.integers(1, max(1, len(text) - 1)), max_size=max_cuts)
    return places.map(lambda chosen: cut(text, *chosen))


@st.composite
def streams(
    draw: st.DrawFn,
    texts: st.SearchStrategy[str] | str,
    *,
    events: Sequence[Event | st.SearchStrategy[Event]] = (),
    delays: Sequence[float] = DELAYS,
    errors: Sequence[Exception] = (),
    max_cuts: int = 8,
) -> Script:
    """Streams of text in pieces, with events between them and time passing. `script.source()` is a source, as often as wanted.

    Args:
        texts: the whole text, or where it comes from.
        events: what may stand between pieces; by default `Mark`s, numbered. Each place gets one of them, or none.
        delays: seconds that may pass before an item.
        errors: with which the source may end; without any it never fails.
        max_cuts: at how many places the text is cut at most.

    Example:
        >>> from hypothesis import find
        >>> find(streams("ab", errors=[OSError("gone")]), lambda script: len(script.items) > 2 and script.error)
        Script(steps=('a', Mark(0), 'b'), error=OSError('gone'), fault=None)
    """
    text = texts if isinstance(texts, str) else draw(texts)
    steps: list[Any] = []
    for number, piece in enumerate(draw(chunkings(text, max_cuts=max_cuts))):
        if number and draw(st.booleans()):
            steps.append(_event(draw, events, number - 1))
        if delays and (delay := draw(st.sampled_from(tuple(delays)))):
            steps.append(Sleep(delay))
        steps.append(piece)
    return Script(tuple(steps), draw(st.sampled_from((None, *errors))))


def _event(draw: st.DrawFn, events: Sequence[Event | st.SearchStrategy[Event]], number: int) -> Event:
    if not events:
        return Mark(name=number)
    chosen = draw(st.sampled_from(tuple(events)))
    return draw(chosen) if isinstance(chosen, st.SearchStrategy) else dataclasses.replace(chosen)


@st.composite
def faults(draw: st.DrawFn, stream: Script | Sequence[Any], kinds: Sequence[str] = FAULTS) -> Script:
    """A stream in which one thing goes wrong. `script.fault` says what.

    Args:
        stream: a script, or items.
        kinds: what may go wrong, of `FAULTS`.

    Raises:
        ValueError: a kind is none.

    Example:
        >>> from hypothesis import find
        >>> find(faults(["a", "b"], ["duplicated"]), lambda script: True)
        Script(steps=('a', 'a', 'b'), error=None, fault='duplicated')
    """
    if not kinds or set(kinds) - set(FAULTS):
        raise ValueError(f"kinds={list(kinds)}: some of {', '.join(FAULTS)} are needed")
    steps = stream.steps if isinstance(stream, Script) else tuple(stream)
    error = stream.error if isinstance(stream, Script) else None
    items = [n for n, step in enumerate(steps) if not isinstance(step, Sleep)]
    if not items:
        return Script(steps, ConnectionError("the connection was dropped"), "dropped")
    kind = draw(st.sampled_from(tuple(kinds)))
    at = draw(st.sampled_from(items))
    gone = ConnectionError("the connection was dropped")
    if kind == "dropped":
        return Script(steps[:at], gone, kind)
    if kind == "cut off":
        return Script(steps[:at], None, kind)
    if kind == "stalled":
        return Script((*steps[:at], Sleep(STALL_SECONDS), *steps[at:]), error, kind)
    if kind == "duplicated":
        return Script((*steps[: at + 1], *steps[at:]), error, kind)
    half = steps[at][: len(steps[at]) // 2] if isinstance(steps[at], str | bytes) else None
    return Script((*steps[:at], half) if half else steps[:at], gone, kind)
