"""Which paths are a model's, and whose format their bodies have.

The format of a known path is not guessed by what comes: so an answer of which nothing has come can be refused in the words that its
client reads, and a body of another kind does not pass for what it is not. Servers take more than one spelling of a path for the
same: encoded letters, a slash at the end, parameters, capitals. All of them are known here, or an answer could leave unread.
Sources: the API references of OpenAI, Anthropic, Google and Ollama.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_ENDPOINTS = (
    (re.compile(r"/chat/completions\Z"), "openai.chat"),
    (re.compile(r"/completions\Z"), "openai.completions"),
    (re.compile(r"/responses\Z"), "openai.responses"),
    (re.compile(r"/v1/messages\Z"), "anthropic.messages"),  # OpenAI's threads have messages too
    (re.compile(r":(?:stream)?generatecontent\Z"), "gemini"),
    (re.compile(r"/api/(?:chat|generate)\Z"), "ollama"),
)

_PARAMETERS = re.compile(r";[^/]*")
"""Of a segment. Source: RFC 3986, 3.3."""


def format_at(path: str, method: str) -> str | None:
    """The name of the format that a path's bodies have; None if it is none where a model answers.

    Args:
        path: of the request.
        method: of the request: what is asked for with another than POST is a list, or an answer from long ago.

    Example:
        >>> format_at("/v1/chat/completions", "POST"), format_at("/v1beta/models/gemini-2.5-pro:generateContent", "POST")
        ('openai.chat', 'gemini')
        >>> format_at("/v1/Chat/completion%73/;a=1", "POST"), format_at("/v1/models", "GET")
        ('openai.chat', None)
    """
    if method != "POST":
        return None
    plain = _PARAMETERS.sub("", unquote(path)).lower().rstrip("/ ")
    return next((name for pattern, name in _ENDPOINTS if pattern.search(plain)), None)
