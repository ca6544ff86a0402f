"""How each peer is driven: as an async iterator of text, which is what a server needs, and with what configuration, and why.

Two rules make the comparison fair. A kind of secret is found by the peer's own detector if it has one; if it has none, by a
pattern of ours, given to it the way its documentation gives patterns of one's own. And of what a peer leaves open, what is best
for it is taken: its own chunk objects are made before the clock starts, and it is driven without the framework around it where
that can be done.

A peer is imported when it is made, and only then; it need not be installed.
"""

from __future__ import annotations

import abc
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, ClassVar

import streamfilter as sf
from streamfilter.detectors import API_KEY, CREDIT_CARD, EMAIL, PHONE
from streamfilter.matching import replace_all

PATTERNS = {
    "phone": r"(?<![\w+.-])\+[1-9](?:[ .\-/()]{0,2}\d){6,14}(?![\w-])",
    "api_key": r"(?<![A-Za-z0-9])(?:sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16}|ghp_[A-Za-z0-9]{36,})",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "private_key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
}
"""What a peer without a detector of its own is given: the parts of our rules that these texts need, because each part costs."""
RULES = (EMAIL, PHONE, CREDIT_CARD, API_KEY, *(sf.Rule(name, PATTERNS[name]) for name in ("jwt", "private_key")))


class Source:
    """An async source over any iterable, which never suspends."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items: Iterator[Any] = iter(items)

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


class Peer(abc.ABC):
    """A way to redact a stream.

    Args:
        secrets: what is to be found, for a peer that knows no patterns.
    """

    package: ClassVar[str]
    """As it is installed."""
    detail: ClassVar[str] = ""
    """Which of several configurations it is."""

    @abc.abstractmethod
    def __init__(self, secrets: Sequence[str]) -> None: ...

    def inputs(self, chunks: Sequence[str]) -> list[Any]:
        """What it reads: one for each chunk, and then what ends its stream, if anything does. For one use."""
        return list(chunks)

    @abc.abstractmethod
    def pieces(self, inputs: Iterable[Any]) -> AsyncIterator[str]:
        """The text that it lets out."""

    async def whole(self, text: str) -> str:
        """What it makes of a whole text; the same text in one chunk, if it has nothing else."""
        return "".join([piece async for piece in self.pieces(self.inputs([text]))])

    def comparable(self, output: str) -> str:
        """An output without what is random in it."""
        return output


class Streamfilter(Peer):
    """The catalogue's rules as they are, and two for the blocks of "late". `whole` is the definition of rules, not the engine."""

    package = "streamfilter"

    def __init__(self, secrets: Sequence[str]) -> None:
        self._stage = sf.Redact(*RULES)

    def pieces(self, inputs: Iterable[Any]) -> AsyncIterator[str]:
        return self._stage(Source(inputs))

    async def whole(self, text: str) -> str:
        return replace_all(RULES, text, lambda match: f"[{match.rule.name}]")


class LangChain(Peer):
    """A `PIIMiddleware` for each kind, as in LangChain's guide "Guardrails" and in the class's docstring, with `apply_to_output`.

    E-mail addresses and cards are built in; the other kinds get a pattern, as the docstring does for API keys. The pattern there
    has a fixed length, with which no part of a short key leaks, and a long one is not found; ours is open at its end, as keys are
    and as sether's and llm-redacted's are. What is driven are the stream transformers that the middlewares install
    (langchain/agents/middleware/pii.py), in their order, without an agent, a graph or a model, all of which would cost more. The
    end is that of `ChatModelStream` (langchain_core/language_models/chat_model_stream.py, `_resolve_block_text`): who reads
    deltas gets the rest of the finished block if the deltas were a beginning of it, else nothing. `whole` is the finished block,
    which is redacted as a whole; that is also what `after_model` puts into the state.
    """

    package = "langchain"
    detail = "a middleware for each kind"

    def __init__(self, secrets: Sequence[str]) -> None:
        self._module = import_module("langchain.agents.middleware.pii")
        self._made: list[Callable[[], Any]] = [make for each in self._middlewares() for make in each.transformers]

    def _middlewares(self) -> list[Any]:
        make = self._module.PIIMiddleware
        built_in = [make(kind, apply_to_output=True) for kind in ("email", "credit_card")]
        return built_in + [make(kind, detector=pattern, apply_to_output=True) for kind, pattern in PATTERNS.items()]

    def inputs(self, chunks: Sequence[str]) -> list[Any]:
        deltas = [{"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": chunk}} for chunk in chunks]
        finish = {"event": "content-block-finish", "index": 0, "content": {"type": "text", "text": "".join(chunks)}}
        return [
            {"type": "event", "method": "messages", "params": {"namespace": [], "data": (payload, {"run_id": "1"})}}
            for payload in [*deltas, finish]
        ]

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        transformers = [make() for make in self._made]
        sent: list[str] = []
        for event in inputs:
            for transformer in transformers:
                transformer.process(event)
            payload = event["params"]["data"][0]
            if payload["event"] == "content-block-delta":
                sent.append(payload["delta"]["text"])
                yield sent[-1]
            else:
                whole, before = payload["content"]["text"], "".join(sent)
                yield whole[len(before) :] if whole.startswith(before) else ""

    async def whole(self, text: str) -> str:
        transformers = [make() for make in self._made]
        finish = self.inputs([text])[-1]
        for transformer in transformers:
            transformer.process(finish)
        return str(finish["params"]["data"][0]["content"]["text"])


class LangChainOnce(LangChain):
    """The same kinds in the detector of a single middleware: a function, which `PIIMiddleware` takes too.

    With one for each kind, each holds 128 characters of its own. This is the least that it can hold and cost.
    """

    detail = "one middleware for all kinds"

    def _middlewares(self) -> list[Any]:
        patterns = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}

        def detect(text: str) -> list[dict[str, Any]]:
            found = [*self._module.detect_email(text), *self._module.detect_credit_card(text)]
            for kind, pattern in patterns.items():
                spans = ((each[0], *each.span()) for each in pattern.finditer(text))
                found += [{"type": kind, "value": value, "start": start, "end": end} for value, start, end in spans]
            found.sort(key=lambda match: (match["start"], -match["end"]))
            kept: list[dict[str, Any]] = []
            for match in found:  # the middleware takes for granted that matches do not overlap
                if not kept or match["start"] >= kept[-1]["end"]:
                    kept.append(match)
            return kept

        return [self._module.PIIMiddleware("pii", detector=detect, apply_to_output=True)]


class LiteLLM(Peer):
    """The guardrail `litellm_content_filter` with action MASK, as in its documentation (proxy/guardrails/litellm_content_filter).

    E-mail, cards and US telephone numbers are prebuilt; keys, JWTs and private keys get a pattern (`pattern_type: regex`). AWS and
    GitHub keys have prebuilt patterns too, but ours for keys, which the others need, finds them, and without theirs it is faster.
    The documentation streams under `during_call`, of which the class warns that it is unstable with MASK, so it is `post_call`;
    what streams is `async_post_call_streaming_iterator_hook`, which is driven here without the proxy. `whole` is
    `apply_guardrail`, which it uses for answers that are not streamed. The map of model costs is not fetched.
    """

    package = "litellm"

    def __init__(self, secrets: Sequence[str]) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        logging.getLogger("LiteLLM Proxy").setLevel(logging.ERROR)
        hooks = import_module("litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter")
        guardrails = import_module("litellm.types.guardrails")
        self._types = import_module("litellm.types.utils")
        self._user = import_module("litellm.proxy._types").UserAPIKeyAuth()
        patterns = self._patterns(guardrails.ContentFilterPattern)
        hook = guardrails.GuardrailEventHooks.post_call
        self._guard = hooks.ContentFilterGuardrail("peers", patterns=patterns, event_hook=hook)

    def _patterns(self, kind: Any) -> list[Any]:
        prebuilt = [{"pattern_type": "prebuilt", "pattern_name": name} for name in ("email", "credit_card", "us_phone")]
        own = [(name, pattern) for name, pattern in PATTERNS.items() if name != "phone"]
        patterns = [{"pattern_type": "regex", "name": name, "pattern": pattern} for name, pattern in own]
        return [kind(action="MASK", **each) for each in (*prebuilt, *patterns)]

    def inputs(self, chunks: Sequence[str]) -> list[Any]:
        def chunk(finish: str | None = None, **delta: str) -> Any:
            choice = self._types.StreamingChoices(index=0, delta=self._types.Delta(**delta), finish_reason=finish)
            return self._types.ModelResponseStream(choices=[choice])

        return [*(chunk(content=text) for text in chunks), chunk("stop")]

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        async for chunk in self._guard.async_post_call_streaming_iterator_hook(self._user, Source(inputs), {}):
            yield chunk.choices[0].delta.content or ""

    async def whole(self, text: str) -> str:
        return str((await self._guard.apply_guardrail({"texts": [text]}, {}, "response"))["texts"][0])


class _PrivateKeys:
    """A detector of one's own for sether: a type, and `detect` (its README, "Custom detectors")."""

    type = "PRIVATE_KEY"

    def __init__(self, match: Callable[[int, int, str], Any]) -> None:
        self._pattern = re.compile(PATTERNS["private_key"])
        self._match = match

    def detect(self, text: str) -> list[Any]:
        return [self._match(found.start(), found.end(), found[0]) for found in self._pattern.finditer(text)]


class Sether(Peer):
    """The packs `basic` and `secrets`, as in its README ("Detectors"), and its defaults for all else.

    Private keys get a detector of one's own; a whole one is shorter than the 256 characters that are held. `whole` is
    `redact_sync`. Its tokens have a random part.
    """

    package = "sether"

    def __init__(self, secrets: Sequence[str]) -> None:
        self._module = import_module("sether")
        private_keys = _PrivateKeys(self._module.DetectorMatch)
        self._detectors = [*self._module.basic_detectors, *self._module.secrets_detectors, private_keys]

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        for piece in self._module.Sether(detectors=self._detectors).redact_stream(inputs):
            yield piece

    async def whole(self, text: str) -> str:
        return str(self._module.Sether(detectors=self._detectors).redact_sync(text))

    def comparable(self, output: str) -> str:
        return str(self._module.TOKEN_RE.sub(r"<\1>", output))


class LlmRedacted(Peer):
    """`StreamingSanitizer` as in its README and docstring: `feed`, at the end `flush`. All kinds are built in."""

    package = "llm-redacted"

    def __init__(self, secrets: Sequence[str]) -> None:
        self._module = import_module("llm_redacted")

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        sanitizer = self._module.StreamingSanitizer()
        for chunk in inputs:
            yield sanitizer.feed(chunk)
        yield sanitizer.flush()

    async def whole(self, text: str) -> str:
        return str(self._module.sanitize_output(text))


class LlmStreamProcessor(Peer):
    """Each secret itself as a keyword that is replaced, because it knows literal words only: it is told what it has to find.

    `yield_mode="token"` is the default, and what every example of its README uses. For whole texts it has nothing else.
    """

    package = "llm-stream-processor"
    detail = 'told the secrets, yield_mode="token"'
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, secrets: Sequence[str]) -> None:
        self._module = import_module("stream_processor")
        self._registry = self._module.KeywordRegistry()
        for secret in secrets:
            self._registry.register(secret, lambda _: self._module.replace("[REDACTED]"))

    def pieces(self, inputs: Iterable[Any]) -> AsyncIterator[str]:
        @self._module.llm_stream_processor(self._registry, **self.options)  # type: ignore[untyped-decorator]
        async def tokens() -> AsyncGenerator[str]:
            for chunk in inputs:
                yield chunk

        pieces: AsyncIterator[str] = tokens()
        return pieces


class LlmStreamProcessorChunks(LlmStreamProcessor):
    """Not flushed after each token; the larger of its other two modes, and without the history, which only costs."""

    detail = 'told the secrets, yield_mode="chunk:64"'
    options: ClassVar[dict[str, Any]] = {"yield_mode": "chunk:64", "record_history": False}


PEERS: tuple[type[Peer], ...] = (
    Streamfilter,
    LangChain,
    LangChainOnce,
    LiteLLM,
    Sether,
    LlmRedacted,
    LlmStreamProcessor,
    LlmStreamProcessorChunks,
)
