"""OpenAI's formats."""

from streamfilter.providers.openai import chat, responses

__all__ = ["chat", "responses"]
