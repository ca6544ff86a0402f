"""Who stops a stream before a forbidden phrase, how much of it gets out, and what that costs while there is none.

The meaning to compare with: all that stands before the phrase, and nothing of it. Each peer is told one pattern, the way its
documentation says; one that looks for words only is told the phrase itself.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import streamfilter as sf
from benchmarks.peers import adapters
from benchmarks.peers.adapters import Peer, Source
from benchmarks.peers.measure import CUTS, cuts
from benchmarks.peers.rails import Guardrails, Nemo
from benchmarks.peers.texts import prose

PATTERN = r"launch code \d{4}-\d{4}"
PHRASE = "launch code 4711-0815"
_PLACE = 6000


@dataclass(frozen=True)
class Forbidden:
    """A text with the phrase in it."""

    before: str
    after: str


def forbidden() -> Forbidden:
    """The same in every run."""
    rng = random.Random(14)
    return Forbidden(f"{prose(_PLACE, rng)}Then send the ", f" to them. {prose(_PLACE, rng)}")


class Refused(Exception):
    """A stream that ended with what stands for an error."""


class StreamfilterBlock(Peer):
    """`Block` with the pattern."""

    package = "streamfilter"

    def __init__(self, secrets: Sequence[str]) -> None:
        self._stage = sf.Block(PATTERN)

    def pieces(self, inputs: Iterable[Any]) -> AsyncIterator[str]:
        return self._stage(Source(inputs))


class LangChainBlock(adapters.LangChain):
    """A `PIIMiddleware` with the pattern and `strategy="block"`."""

    detail = "PIIMiddleware"

    def _middlewares(self) -> list[Any]:
        return [self._module.PIIMiddleware("forbidden", detector=PATTERN, strategy="block", apply_to_output=True)]


class LiteLLMBlock(adapters.LiteLLM):
    """The content filter with the pattern and action BLOCK."""

    def _patterns(self, kind: Any) -> list[Any]:
        return [kind(action="BLOCK", pattern_type="regex", name="forbidden", pattern=PATTERN)]


class GuardrailsBlock(Guardrails):
    """The validator with the pattern and `on_fail="exception"`."""

    on_fail = "exception"
    patterns = (PATTERN,)


class NemoBlock(Nemo):
    """Its rail `regex check output`, and its default: what has come is sent, then looked at."""

    detail = "regex check output"
    colang = ""
    flow = "regex check output"
    config = f"  config:\n    regex_detection:\n      output:\n        patterns: ['{PATTERN}']\n"
    stream_first = True

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        async for piece in super().pieces(inputs):
            if piece.startswith('{"error"'):  # in a server, what makes an error of it
                raise Refused
            yield piece

    async def whole(self, text: str) -> str:
        return "".join([piece async for piece in self.pieces([text])])


class NemoBlockFirst(NemoBlock):
    """The same, looked at before it is sent."""

    detail = "regex check output, stream_first=False"
    stream_first = False


class LlmStreamProcessorBlock(Peer):
    """The phrase as a keyword, with `halt`; `yield_mode="token"`, its default."""

    package = "llm-stream-processor"
    detail = 'told the phrase, yield_mode="token"'
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, secrets: Sequence[str]) -> None:
        self._module = import_module("stream_processor")
        self._registry = self._module.KeywordRegistry()
        self._registry.register(PHRASE, self._module.halt)

    pieces = adapters.LlmStreamProcessor.pieces


class LlmStreamProcessorBlockChunks(LlmStreamProcessorBlock):
    """Not flushed after each token."""

    detail = 'told the phrase, yield_mode="chunk:64"'
    options: ClassVar[dict[str, Any]] = {"yield_mode": "chunk:64", "record_history": False}


BLOCKERS: tuple[type[Peer], ...] = (
    StreamfilterBlock,
    LangChainBlock,
    LiteLLMBlock,
    GuardrailsBlock,
    NemoBlock,
    NemoBlockFirst,
    LlmStreamProcessorBlock,
    LlmStreamProcessorBlockChunks,
)


@dataclass(frozen=True)
class Stopped:
    """What came of all cuttings: how many were stopped, how many as they should be; at the worst what was sent and what was lost.

    Args:
        stopped: streams that ended before what stands behind the phrase.
        exact: streams whose output was all before the phrase, and no more.
        sent: characters of the phrase in an output, at most.
        lost: characters of the output that were missing before the phrase, at most.
    """

    stopped: int
    exact: int
    sent: int
    lost: int

    def cells(self) -> tuple[str, str, str, str]:
        """For a table."""

        def of(count: int) -> str:
            return {CUTS + 1: "yes", 0: "never"}.get(count, f"{count} of {CUTS + 1}")

        return of(self.stopped), of(self.exact), f"{self.sent} of {len(PHRASE)}", str(self.lost)


async def _output(peer: Peer, chunks: Sequence[str]) -> str:
    """What came out before the stream ended, whichever way."""
    out: list[str] = []
    try:
        async for piece in peer.pieces(peer.inputs(chunks)):
            out.append(piece)  # noqa: PERF401  # what came before an exception counts
    except Exception as error:
        if type(error).__name__ not in {"Refused", "Blocked", "PIIDetectionError", "HTTPException", "ValidationError"}:
            raise
    return "".join(out)


async def stopped(peer: Peer, text: Forbidden) -> Stopped:
    """One text, cut in every way."""
    ended = exact = sent = lost = 0
    for chunks in cuts(text.before + PHRASE + text.after):
        output = await _output(peer, chunks)
        ended += text.after[-200:] not in output
        exact += output == text.before
        reached = max((n for n in range(1, len(PHRASE) + 1) if output.startswith(text.before + PHRASE[:n])), default=0)
        sent = max(sent, len(PHRASE) if PHRASE in output else reached)
        lost = max(lost, len(text.before) - len(output))
    return Stopped(ended, exact, sent, lost)
