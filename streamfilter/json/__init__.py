"""JSON while it arrives: values that fill in, elements as they close, text out of strings, and filters for what strings say."""

from streamfilter.json.events import JSONEvent, JSONEvents
from streamfilter.json.items import JSONItems
from streamfilter.json.parse import Document, ParseJSON
from streamfilter.json.paths import JSONPath
from streamfilter.json.texts import JSONText

__all__ = ["Document", "JSONEvent", "JSONEvents", "JSONItems", "JSONPath", "JSONText", "ParseJSON"]
