"""Filter, reshape and guard the text of language models while it is still arriving.

import streamfilter as sf
from streamfilter.detectors import EMAIL

async with sf.Redact(EMAIL)(tokens) as stream:
    async for text in stream:
        print(text, end="", flush=True)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfilter import testing as testing
    from streamfilter.context import Context, Finding, Report
    from streamfilter.errors import (
        Blocked,
        LimitExceeded,
        MalformedInput,
        ModerationError,
        ProviderError,
        SourceTimeout,
        SpecError,
        StreamFilterError,
        TruncatedInput,
    )
    from streamfilter.flow.buffer import Buffer
    from streamfilter.flow.coalesce import Coalesce
    from streamfilter.flow.collect import Collect, Collected
    from streamfilter.flow.keepalive import KeepAlive
    from streamfilter.flow.pace import Pace
    from streamfilter.flow.resume import Resume, ResumePoint
    from streamfilter.flow.tee import Tee
    from streamfilter.flow.timeout import Timeout
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
    from streamfilter.machine import Machine, TextMachine, mapping
    from streamfilter.markup.code import CodeDelta, CodeEnd, CodeFences, CodeStart
    from streamfilter.markup.extract import Extract
    from streamfilter.markup.links import Links
    from streamfilter.markup.markdown import Markdown
    from streamfilter.matching import Match, Rule, Terms
    from streamfilter.moderation import Moderate, Window
    from streamfilter.pipeline import Pipeline, Stage, TextStage, stage
    from streamfilter.plain import SyncStream
    from streamfilter.providers.detecting import wrap
    from streamfilter.providers.guarding import guard
    from streamfilter.providers.text import text_of
    from streamfilter.segment import Segmentation, by_chars, by_line, by_paragraph, by_sentence, by_words, cumulative, whole
    from streamfilter.spec import Watched, dump, dump_text, json_schema, load, load_all, watch
    from streamfilter.stream import Stream
    from streamfilter.text.ansi import StripANSI
    from streamfilter.text.citations import Citation, Citations
    from streamfilter.text.limit import Limit
    from streamfilter.text.masks import Hash, Mask
    from streamfilter.text.normalize import Normalize
    from streamfilter.text.regroup import Chunks, Graphemes, Lines, Paragraphs, Segments, Sentences, Words
    from streamfilter.text.repetition import Repetition
    from streamfilter.text.replace import Redact, Replace
    from streamfilter.text.reversible import Placeholder, Restore
    from streamfilter.text.shape import Collapse, Strip, Translate
    from streamfilter.text.simple import Drop, MapText, Tap
    from streamfilter.text.stop import Block, StopAt
    from streamfilter.text.unicode import Unicode
    from streamfilter.vault import Vault
    from streamfilter.verdict import Verdict, VerdictCache

__all__ = [
    "Block",
    "Blocked",
    "Buffer",
    "Call",
    "Channel",
    "Chunks",
    "Citation",
    "Citations",
    "Coalesce",
    "CodeDelta",
    "CodeEnd",
    "CodeFences",
    "CodeStart",
    "Collapse",
    "Collect",
    "Collected",
    "Context",
    "Document",
    "Drop",
    "End",
    "Event",
    "Extract",
    "Failure",
    "FilterJSON",
    "Finding",
    "Finish",
    "Graphemes",
    "Hash",
    "Item",
    "JSONEvent",
    "JSONEvents",
    "JSONItems",
    "JSONPath",
    "JSONText",
    "KeepAlive",
    "Limit",
    "LimitExceeded",
    "Lines",
    "Links",
    "Machine",
    "MalformedInput",
    "MapText",
    "Markdown",
    "Mask",
    "Match",
    "Moderate",
    "ModerationError",
    "Normalize",
    "Pace",
    "Paragraphs",
    "ParseJSON",
    "Partial",
    "Pipeline",
    "Placeholder",
    "ProviderError",
    "Raw",
    "Redact",
    "Repetition",
    "Replace",
    "Report",
    "Required",
    "Restore",
    "Resume",
    "ResumePoint",
    "Rule",
    "Segmentation",
    "Segments",
    "Sentences",
    "SourceTimeout",
    "SpecError",
    "Stage",
    "StopAt",
    "Stream",
    "StreamFilterError",
    "Strip",
    "StripANSI",
    "SyncStream",
    "Tap",
    "Tee",
    "Terms",
    "TextDelta",
    "TextMachine",
    "TextStage",
    "Timeout",
    "ToolCall",
    "ToolCalls",
    "Translate",
    "TruncatedInput",
    "Unicode",
    "Usage",
    "Vault",
    "Verdict",
    "VerdictCache",
    "Watched",
    "Whole",
    "Window",
    "Words",
    "by_chars",
    "by_line",
    "by_paragraph",
    "by_sentence",
    "by_words",
    "cumulative",
    "dump",
    "dump_text",
    "guard",
    "json_schema",
    "load",
    "load_all",
    "mapping",
    "stage",
    "text_of",
    "unfinished",
    "watch",
    "whole",
    "wrap",
]


_SEGMENTS = ("Segmentation", "by_chars", "by_line", "by_paragraph", "by_sentence", "by_words", "cumulative", "whole")
_JSON = (
    *("Call", "Document", "FilterJSON", "JSONEvent", "JSONEvents", "JSONItems", "JSONPath"),
    *("JSONText", "ParseJSON", "Partial", "Required", "ToolCalls", "Whole", "unfinished"),
)
_ERRORS = (
    *("Blocked", "LimitExceeded", "MalformedInput", "ModerationError", "ProviderError"),
    *("SourceTimeout", "SpecError", "StreamFilterError", "TruncatedInput"),
)
_ITEMS = ("Channel", "End", "Event", "Failure", "Finish", "Item", "Raw", "TextDelta", "ToolCall", "Usage")
_LATE = {
    "testing": "testing",
    **dict.fromkeys(_ERRORS, "errors"),
    **dict.fromkeys(_ITEMS, "items"),
    **dict.fromkeys(("Context", "Finding", "Report"), "context"),
    **dict.fromkeys(("Machine", "TextMachine", "mapping"), "machine"),
    **dict.fromkeys(("Match", "Rule", "Terms"), "matching"),
    **dict.fromkeys(("Pipeline", "Stage", "TextStage", "stage"), "pipeline"),
    "SyncStream": "plain",
    "Stream": "stream",
    **dict.fromkeys(("Redact", "Replace"), "text.replace"),
    **dict.fromkeys(("Placeholder", "Restore"), "text.reversible"),
    **dict.fromkeys(("Hash", "Mask"), "text.masks"),
    **dict.fromkeys(("Block", "StopAt"), "text.stop"),
    **dict.fromkeys(("Drop", "MapText", "Tap"), "text.simple"),
    "Vault": "vault",
    **dict.fromkeys(("Verdict", "VerdictCache"), "verdict"),
    "Buffer": "flow.buffer",
    **dict.fromkeys(("Collect", "Collected"), "flow.collect"),
    **dict.fromkeys(("Resume", "ResumePoint"), "flow.resume"),
    "Tee": "flow.tee",
    **dict.fromkeys(("Watched", "dump", "dump_text", "json_schema", "load", "load_all", "watch"), "spec"),
    "guard": "providers.guarding",
    "text_of": "providers.text",
    "wrap": "providers.detecting",
    "Links": "markup.links",
    **dict.fromkeys(("CodeDelta", "CodeEnd", "CodeFences", "CodeStart"), "markup.code"),
    "Extract": "markup.extract",
    **dict.fromkeys(("Moderate", "Window"), "moderation"),
    **dict.fromkeys(("Citation", "Citations"), "text.citations"),
    "Limit": "text.limit",
    "Repetition": "text.repetition",
    "Normalize": "text.normalize",
    "StripANSI": "text.ansi",
    "Unicode": "text.unicode",
    **dict.fromkeys(("Collapse", "Strip", "Translate"), "text.shape"),
    "Coalesce": "flow.coalesce",
    "KeepAlive": "flow.keepalive",
    "Pace": "flow.pace",
    "Timeout": "flow.timeout",
    "Markdown": "markup.markdown",
    **dict.fromkeys(_SEGMENTS, "segment"),
    **dict.fromkeys(("Chunks", "Graphemes", "Lines", "Paragraphs", "Segments", "Sentences", "Words"), "text.regroup"),
    **dict.fromkeys(_JSON, "json"),
}
"""Where public names are. They are imported when they are first used: all that stages need takes a third of a second, in which
nobody could interrupt the command line quietly.
"""


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        module = _LATE.get(name)
        if module is None:
            from importlib.util import find_spec

            # `name.a` would import `name`, and names that begin with an underscore are asked for by tools.
            is_module = name.isidentifier() and name[0] != "_" and find_spec(f"{__name__}.{name}") is not None
            hint = f": a module is imported by name, `from {__name__} import {name}`" if is_module else ""
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
        from importlib import import_module

        found = import_module(f"streamfilter.{module}")
        globals()[name] = found = found if name == module else getattr(found, name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
