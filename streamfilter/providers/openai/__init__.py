"""OpenAI's formats."""

from streamfilter.providers.openai import chat, completions, responses

__all__ = ["chat", "completions", "responses"]
