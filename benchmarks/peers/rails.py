"""The guard frameworks, guardrails-ai and NeMo Guardrails, as peers that redact: driven through their own entrances for streams.

No model, no hub and no network is used: what finds the secrets are patterns, in a validator and a rail of one's own.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar

import regex

from benchmarks.peers.adapters import PATTERNS, Peer, Source
from streamfilter.detectors import CREDIT_CARD, EMAIL

SECRETS = {"email": EMAIL.pattern, "credit_card": CREDIT_CARD.pattern, **PATTERNS}
"""The detectors of both frameworks' hubs ask models that would have to be downloaded, so all kinds get patterns of ours."""
_ASKED = [{"role": "user", "content": "go on"}]


@cache
def compiled(*patterns: str) -> regex.Pattern[str]:
    """One pattern for all."""
    return regex.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def guardrails() -> Any:
    """guardrails-ai, told to send nothing to anybody."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("OTEL_SDK_DISABLED", "true")
    for said in ("We recommend including 'messages'", "Could not obtain an event loop"):
        warnings.filterwarnings("ignore", message=said, category=UserWarning)
    module = import_module("guardrails")
    settings = import_module("guardrails.settings").settings
    settings.rc = import_module("guardrails.classes.rc").RC(enable_metrics=False)
    settings.disable_tracing = True
    return module


@cache
def validator(*patterns: str) -> Any:
    """A class of validators, as in its guide "Custom validators": `register_validator`, and a `FailResult` with its `fix_value`."""
    guardrails()
    parts: Any = import_module("guardrails.validators")
    spans = import_module("guardrails.classes.validation.validation_result").ErrorSpan
    found = compiled(*patterns)

    def validate(_self: Any, value: str, _metadata: Any) -> Any:
        errors = [spans(start=match.start(), end=match.end(), reason="a secret") for match in found.finditer(value)]
        if not errors:
            return parts.PassResult()
        return parts.FailResult(error_message="a secret", fix_value=found.sub("[secret]", value), error_spans=errors)

    kind = type("Patterns", (parts.Validator,), {"_validate": validate})
    return parts.register_validator(name=f"peers/patterns-{len(patterns)}", data_type="string")(kind)


class Guardrails(Peer):
    """A `Guard` with one validator for all kinds and `on_fail="fix"`, called with `stream=True` around a function that streams.

    The function stands for the model, as in its guide "Custom LLM wrappers". A validator gets a sentence at a time, by its default
    `_chunking_function`. `whole` is `Guard.validate`.
    """

    package = "guardrails-ai"
    detail = "Guard"
    on_fail: ClassVar[str] = "fix"
    patterns: ClassVar[Sequence[str]] = tuple(SECRETS.values())

    def __init__(self, secrets: Sequence[str]) -> None:
        self._module = guardrails()
        self._validator = validator(*self.patterns)

    def _guard(self, kind: str = "Guard") -> Any:
        """One for each stream: a validator keeps text from a stream that was ended."""
        return getattr(self._module, kind)().use(self._validator(on_fail=self.on_fail))

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        def model(*_args: Any, messages: Any, **_options: Any) -> Any:  # noqa: ARG001  # it is given by name
            yield from inputs

        for outcome in self._guard()(model, messages=_ASKED, stream=True):
            yield outcome.validated_output or ""

    async def whole(self, text: str) -> str:
        return str(self._guard().validate(text).validated_output)


class GuardrailsAsync(Guardrails):
    """The same as `AsyncGuard`. A stream of one's own is handed over as one of LiteLLM: an object with `completion_stream`."""

    detail = "AsyncGuard"

    async def pieces(self, inputs: Iterable[Any]) -> AsyncGenerator[str]:
        async def model(*_args: Any, messages: Any, **_options: Any) -> Any:  # noqa: ARG001  # it is given by name
            return SimpleNamespace(completion_stream=Source(inputs))

        async for outcome in await self._guard("AsyncGuard")(model, messages=_ASKED, stream=True):
            yield outcome.validated_output or ""


class Nemo(Peer):
    """An output rail of one's own that masks; streaming as by default, but for `stream_first`, which sends before it looks.

    It is driven by `LLMRails.stream_async(generator=…)`, which its documentation has for streams from elsewhere. A rail may answer
    with a changed message (`RailOutcome.transform`); in a stream that is not looked at, only whether it blocks. `whole` is what
    the rail makes of the text.
    """

    package = "nemoguardrails"
    detail = "a rail that masks"
    colang: ClassVar[str] = "define subflow mask output\n  $bot_message = execute mask_output(text=$bot_message)\n"
    flow: ClassVar[str] = "mask output"
    config: ClassVar[str] = ""
    stream_first: ClassVar[bool] = False

    def __init__(self, secrets: Sequence[str]) -> None:
        module = import_module("nemoguardrails")
        logging.getLogger("nemoguardrails").setLevel(logging.ERROR)
        first = str(self.stream_first).lower()
        streaming = f"streaming: {{enabled: true, stream_first: {first}}}"
        yaml = f"models: []\nrails:\n  output:\n    flows: ['{self.flow}']\n    {streaming}\n{self.config}"
        self._rails = module.LLMRails(module.RailsConfig.from_content(colang_content=self.colang, yaml_content=yaml))
        outcomes = import_module("nemoguardrails.actions.rail_outcome")

        async def mask_output(text: str = "", **_context: Any) -> Any:
            masked = await Nemo.whole(self, text)
            return outcomes.RailOutcome.transform([(outcomes.TransformTarget.BOT_MESSAGE, masked)])

        self._rails.register_action(mask_output, "mask_output")

    def pieces(self, inputs: Iterable[Any]) -> AsyncIterator[str]:
        pieces: AsyncIterator[str] = self._rails.stream_async(messages=_ASKED, generator=Source(inputs))
        return pieces

    async def whole(self, text: str) -> str:
        return compiled(*SECRETS.values()).sub("[secret]", text)


RAILS: tuple[type[Peer], ...] = (GuardrailsAsync, Nemo)
"""`Guard` gives what `AsyncGuard` gives, in an event loop at six times the cost, which no server would pay."""
