"""JSON while it arrives: values that fill in, elements as they close, text out of strings, and filters for what strings say."""

from streamfilter.json.calls import Call, ToolCalls
from streamfilter.json.events import JSONEvent, JSONEvents
from streamfilter.json.filtering import FilterJSON
from streamfilter.json.items import JSONItems
from streamfilter.json.parse import Document, ParseJSON
from streamfilter.json.partial import Partial, Required, Whole, unfinished
from streamfilter.json.texts import JSONText
from streamfilter.parsing.paths import JSONPath

__all__ = [
    "Call",
    "Document",
    "FilterJSON",
    "JSONEvent",
    "JSONEvents",
    "JSONItems",
    "JSONPath",
    "JSONText",
    "ParseJSON",
    "Partial",
    "Required",
    "ToolCalls",
    "Whole",
    "unfinished",
]
