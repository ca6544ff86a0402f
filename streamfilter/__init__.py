"""Filter, reshape and guard the text of language models while it is still arriving.

import streamfilter as sf
from streamfilter.detectors import EMAIL

async with sf.Redact(EMAIL)(tokens) as stream:
    async for text in stream:
        print(text, end="", flush=True)
"""

from typing import TYPE_CHECKING

from streamfilter.context import Context, Finding, Report
from streamfilter.errors import Blocked, LimitExceeded, MalformedInput, ProviderError, StreamFilterError
from streamfilter.items import (
    Channel,
    End,
    Event,
    Failure,
    Finish,
    Item,
    Raw,
    TextDelta,
    ToolCall,
    Usage,
)
from streamfilter.machine import Machine, TextMachine, mapping
from streamfilter.matching import Match, Rule, Terms
from streamfilter.pipeline import Pipeline, Stage, TextStage, stage
from streamfilter.stream import Stream, SyncStream
from streamfilter.text import Block, Drop, Hash, MapText, Mask, Placeholder, Redact, Replace, Restore, StopAt, Tap
from streamfilter.vault import Vault

if TYPE_CHECKING:
    from streamfilter import testing as testing
    from streamfilter.providers.text import text_of

__all__ = [
    "Block",
    "Blocked",
    "Channel",
    "Context",
    "Drop",
    "End",
    "Event",
    "Failure",
    "Finding",
    "Finish",
    "Hash",
    "Item",
    "LimitExceeded",
    "Machine",
    "MalformedInput",
    "MapText",
    "Mask",
    "Match",
    "Pipeline",
    "Placeholder",
    "ProviderError",
    "Raw",
    "Redact",
    "Replace",
    "Report",
    "Restore",
    "Rule",
    "Stage",
    "StopAt",
    "Stream",
    "StreamFilterError",
    "SyncStream",
    "Tap",
    "Terms",
    "TextDelta",
    "TextMachine",
    "TextStage",
    "ToolCall",
    "Usage",
    "Vault",
    "mapping",
    "stage",
    "text_of",
]


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        if name == "text_of":  # the providers are imported by those who read one
            from streamfilter.providers.text import text_of

            return text_of
        if name == "testing":
            import streamfilter.testing

            return streamfilter.testing
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
