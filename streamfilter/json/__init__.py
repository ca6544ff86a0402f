"""JSON while it arrives: values that fill in, elements as they close, text out of strings, and filters for what strings say."""

from streamfilter.json.parse import Document, ParseJSON

__all__ = ["Document", "ParseJSON"]
