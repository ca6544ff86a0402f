"""The streams of model providers: to items, through a text pipeline, and back.

No SDK is imported here: objects are read by the names of their fields.
"""

from streamfilter.providers import openai
from streamfilter.providers.text import text_of

__all__ = ["openai", "text_of"]
