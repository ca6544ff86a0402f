"""Filter, reshape and guard the text of language models while it is still arriving.

import streamfilter as sf
from streamfilter.detectors import EMAIL

async with sf.Redact(EMAIL)(tokens) as stream:
    async for text in stream:
        print(text, end="", flush=True)
"""

from typing import TYPE_CHECKING

from streamfilter.context import Context, Finding, Report
from streamfilter.errors import (
    Blocked,
    LimitExceeded,
    MalformedInput,
    ModerationError,
    ProviderError,
    StreamFilterError,
    TruncatedInput,
)
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
from streamfilter.plain import SyncStream
from streamfilter.stream import Stream
from streamfilter.text import Block, Drop, Hash, MapText, Mask, Placeholder, Redact, Replace, Restore, StopAt, Tap
from streamfilter.vault import Vault
from streamfilter.verdict import Verdict, VerdictCache

if TYPE_CHECKING:
    from streamfilter import testing as testing
    from streamfilter.json import (
        Call,
        Document,
        FilterJSON,
        JSONEvent,
        JSONEvents,
        JSONItems,
        JSONPath,
        JSONText,
        ParseJSON,
        Partial,
        Required,
        ToolCalls,
        Whole,
        unfinished,
    )
    from streamfilter.moderation import Moderate, Window
    from streamfilter.providers.text import text_of
    from streamfilter.segment import Segmentation, by_chars, by_line, by_paragraph, by_sentence, by_words, cumulative, whole

__all__ = [
    "Block",
    "Blocked",
    "Call",
    "Channel",
    "Context",
    "Document",
    "Drop",
    "End",
    "Event",
    "Failure",
    "FilterJSON",
    "Finding",
    "Finish",
    "Hash",
    "Item",
    "JSONEvent",
    "JSONEvents",
    "JSONItems",
    "JSONPath",
    "JSONText",
    "LimitExceeded",
    "Machine",
    "MalformedInput",
    "MapText",
    "Mask",
    "Match",
    "Moderate",
    "ModerationError",
    "ParseJSON",
    "Partial",
    "Pipeline",
    "Placeholder",
    "ProviderError",
    "Raw",
    "Redact",
    "Replace",
    "Report",
    "Required",
    "Restore",
    "Rule",
    "Segmentation",
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
    "ToolCalls",
    "TruncatedInput",
    "Usage",
    "Vault",
    "Verdict",
    "VerdictCache",
    "Whole",
    "Window",
    "by_chars",
    "by_line",
    "by_paragraph",
    "by_sentence",
    "by_words",
    "cumulative",
    "mapping",
    "stage",
    "text_of",
    "unfinished",
    "whole",
]


_SEGMENTS = ("Segmentation", "by_chars", "by_line", "by_paragraph", "by_sentence", "by_words", "cumulative", "whole")
_JSON = (
    *("Call", "Document", "FilterJSON", "JSONEvent", "JSONEvents", "JSONItems", "JSONPath"),
    *("JSONText", "ParseJSON", "Partial", "Required", "ToolCalls", "Whole", "unfinished"),
)
_LATE = {
    "testing": "testing",
    "text_of": "providers.text",
    **dict.fromkeys(("Moderate", "Window"), "moderation"),
    **dict.fromkeys(_SEGMENTS, "segment"),
    **dict.fromkeys(_JSON, "json"),
}
"""Where public names are that are imported by those who use them."""


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        module = _LATE.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = import_module(f"streamfilter.{module}")
        return found if name == module else getattr(found, name)
