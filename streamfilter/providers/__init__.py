"""The streams of model providers: to items, through a text pipeline, and back.

No SDK is imported here: objects are read by the names of their fields.
"""

from streamfilter.providers import anthropic, bedrock, gemini, langchain, ollama, openai, pydantic_ai, vercel
from streamfilter.providers.detecting import detect, wrap
from streamfilter.providers.text import text_of

__all__ = ["anthropic", "bedrock", "detect", "gemini", "langchain", "ollama", "openai", "pydantic_ai", "text_of", "vercel", "wrap"]
