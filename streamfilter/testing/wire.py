"""Strategies for what comes over the wire: event streams as bytes, and the streams of providers. Needs the extra `testing`.

Each says beside its bytes what they mean, so that a test has its reference.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hypothesis import strategies as st

from streamfilter.items import Channel, Finish, Item, TextDelta, ToolCall

PROVIDERS = (
    "openai.chat",
    "openai.responses",
    "openai.completions",
    "anthropic.messages",
    "gemini",
    "bedrock",
    "ollama",
    "vercel",
    "langchain",
    "pydantic_ai",
)
"""The formats whose streams can be written: those with an `Encode`."""

_TEXT_ONLY = frozenset(("openai.completions",))
"""Those that have no place for reasoning and tool calls."""

_OBJECTS = frozenset(("langchain", "pydantic_ai"))
"""Those that are written as objects of their framework, unless told otherwise."""


@dataclass(frozen=True)
class EventStream:
    """Bytes of `text/event-stream`, and what they mean.

    Attributes:
        raw: the bytes.
        events: the dispatched events, in order: (type, data). What has no data is not dispatched.
    """

    raw: bytes
    events: tuple[tuple[str, str], ...]


@st.composite
def sse_bytes(draw: st.DrawFn, data: Sequence[str] | None = None) -> EventStream:
    r"""Event streams as a server may legally write them: every line end, comments, fields in any order, data on several lines.

    Source: the WHATWG HTML standard, section 9.2.6, "Interpreting an event stream".

    Args:
        data: what the events say, in order; by default short texts.

    Example:
        >>> from hypothesis import find
        >>> find(sse_bytes(["hi"]), lambda stream: True)
        EventStream(raw=b'data: hi\n\n', events=(('message', 'hi'),))
    """
    texts = draw(st.lists(st.text('a1 :é"{}\u2028', max_size=5), max_size=4)) if data is None else list(data)
    end = draw(st.sampled_from(("\n", "\r\n", "\r")))
    out = ["\ufeff" if draw(st.booleans()) else ""]
    events: list[tuple[str, str]] = []
    for text in texts:
        kind = draw(st.sampled_from(("", "delta", "ping")))
        fields = [[f"data{draw(_colon(line))}{line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]]
        if kind:
            fields.append([f"event: {kind}"])
        fields += [
            [line]
            for line in draw(st.lists(st.sampled_from((": a comment", ":", "id: 7", "retry: 100", "unknown: x")), max_size=2))
        ]
        lines = [line for group in draw(st.permutations(fields)) for line in group]
        out.append(end.join([*lines, "", ""]))
        if draw(st.booleans()):
            out.append(f": between{end}{end}")
        events.append((kind or "message", text))
    return EventStream("".join(out).encode(), tuple(events))


def _colon(line: str) -> st.SearchStrategy[str]:
    """One space behind the colon belongs to it; a line that begins with one needs it."""
    return st.just(": ") if line.startswith(" ") else st.sampled_from((": ", ":"))


@dataclass(frozen=True)
class ProviderStream:
    """A stream as a provider sends it, and what was said in it.

    Attributes:
        name: of the format, such as `"openai.chat"`.
        chunks: as dicts.
        raw: the same, as the bytes of the response.
        text: the answer.
        reasoning: what was thought before it.
        arguments: of the tool call at its end, as JSON text; None if there is no call.
    """

    name: str
    chunks: tuple[Any, ...]
    raw: bytes
    text: str
    reasoning: str = ""
    arguments: str | None = None


@st.composite
def provider_streams(
    draw: st.DrawFn,
    name: str | None = None,
    texts: st.SearchStrategy[str] | None = None,
    *,
    reasoning: st.SearchStrategy[str] | None = None,
    arguments: st.SearchStrategy[str] | None = None,
) -> ProviderStream:
    """Streams in the format of a provider, of a text in pieces, with a legal ending.

    Args:
        name: the format, one of `PROVIDERS`; by default any of them.
        texts: where the answer comes from.
        reasoning: where thoughts come from that stand before it, in formats that have a place for them.
        arguments: where the arguments of a tool call come from that stands behind it, as JSON texts of objects; likewise.

    Raises:
        ValueError: the format is none of those.

    Example:
        >>> from hypothesis import find, strategies
        >>> stream = find(provider_streams("ollama", strategies.just("Hi")), lambda stream: True)
        >>> [chunk["message"]["content"] for chunk in stream.chunks], stream.text
        (['H', 'i', ''], 'Hi')
    """
    if name is not None and name not in PROVIDERS:
        raise ValueError(f"name={name!r}: one of {', '.join(PROVIDERS)} is needed")
    chosen = name or draw(st.sampled_from(PROVIDERS))
    text = draw(texts if texts is not None else st.text("ab .é\n", max_size=12))
    thought = draw(reasoning) if reasoning is not None and chosen not in _TEXT_ONLY else ""
    called = draw(arguments) if arguments is not None and chosen not in _TEXT_ONLY else None
    items = _items(draw, text, thought, called)
    encode = _encode(chosen)
    made = tuple(encode(model="m", **({"as_dicts": True} if chosen in _OBJECTS else {})).iter(items))
    raw = b"".join(encode(model="m", as_bytes=True).iter(items))
    return ProviderStream(chosen, made, raw, text, thought, called)


def _items(draw: st.DrawFn, text: str, thought: str, called: str | None) -> list[Item]:
    """What is said, in pieces, as items of one choice."""
    answer, reasoning, call = Channel("answer", (0, 0)), Channel("reasoning", (0, 0)), Channel("tool_arguments", (0, 0, 0))
    items: list[Item] = [TextDelta(piece, reasoning) for piece in _pieces(draw, thought)]
    items += [TextDelta(piece, answer) for piece in _pieces(draw, text)]
    if called is not None:
        items.append(ToolCall("call_1", "look_up", call, scope=call))
        items += [TextDelta(piece, call) for piece in _pieces(draw, called)]
    items.append(Finish("stop" if called is None else "tool_calls", scope=(0, 0)))
    return items


def _pieces(draw: st.DrawFn, text: str) -> list[str]:
    size = draw(st.integers(1, max(1, len(text))))
    return [text[at : at + size] for at in range(0, len(text), size)]


@functools.cache
def _encode(name: str) -> Any:
    return import_module(f"streamfilter.providers.{name}").Encode
