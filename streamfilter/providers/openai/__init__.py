"""OpenAI's streams, and those of the many services that speak the same format."""

from streamfilter.providers.openai import chat

__all__ = ["chat"]
