"""Which calls of a provider's API carry text, and in which format.

This is the one list of them. What is not in it is not known to be harmless: whether that is refused is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

from streamfilter.pipeline import Stage


class Module(Protocol):
    """What a call needs of a format's module."""

    filter_response: Callable[..., Any]
    afilter_response: Callable[..., Any]
    wrap: Callable[[Stage[str, str]], Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of an API.

    Attributes:
        method: of HTTP; None for any.
        path: how the path ends.
        has_text: whether the request brings text.
        format: the name of the format of the response; None if it brings no text of a model.
    """

    method: str | None
    path: re.Pattern[str]
    has_text: bool
    format: str | None

    def module(self) -> Module:
        """The module of the response's format."""
        return cast("Module", import_module(f"streamfilter.providers.{self.format}"))


def _endpoint(method: str | None, path: str, format_name: str | None = None, *, has_text: bool = False) -> Endpoint:
    return Endpoint(method, re.compile(rf"{path}\Z"), has_text, format_name)


_ID = "[^/]+"
_ALL = (
    _endpoint("POST", "/chat/completions", "openai.chat", has_text=True),
    _endpoint("GET", f"/chat/completions/{_ID}", "openai.chat"),
    _endpoint("POST", "(?<!/chat)/completions", "openai.completions", has_text=True),
    _endpoint("POST", "/responses", "openai.responses", has_text=True),
    _endpoint("GET", f"/responses/{_ID}", "openai.responses"),
    _endpoint("POST", f"/responses/{_ID}/cancel", "openai.responses"),
    _endpoint("POST", "/responses/input_tokens", has_text=True),
    _endpoint("POST", "/v1/messages", "anthropic.messages", has_text=True),
    _endpoint("POST", "/v1/messages/count_tokens", has_text=True),
    _endpoint("POST", f"/publishers/anthropic/models/{_ID}:(?:rawPredict|streamRawPredict)", "anthropic.messages", has_text=True),
    _endpoint("POST", ":(?:generateContent|streamGenerateContent)", "gemini", has_text=True),
    _endpoint("POST", ":(?:countTokens|embedContent|batchEmbedContents)", has_text=True),
    _endpoint("POST", "/(?:embeddings|moderations)", has_text=True),
    _endpoint("GET", f"/models(?:/{_ID}){{0,2}}"),
    _endpoint("GET", f"/(?:files|batches)(?:/{_ID})?"),
    _endpoint("POST", f"(?<!/messages)/batches(?:/{_ID}/cancel)?", has_text=True),  # of files, which cannot be sent or read
    _endpoint("DELETE", ""),
)
"""Source: the methods of the SDKs `openai` 3, `anthropic` 2 and `google-genai` 3. The responses of those without a format have
numbers, names and what the caller has stored."""


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """The call that a request is; None if it is none that is known, or its format is not there.

    Example:
        >>> endpoint_of("POST", "/v1/chat/completions").format, endpoint_of("POST", "/v1/threads/t_1/messages")
        ('openai.chat', None)
    """
    for endpoint in _ALL:
        if endpoint.method in (None, method) and endpoint.path.search(path):
            return endpoint if endpoint.format is None or _is_there(endpoint.format) else None
    return None


def _is_there(format_name: str) -> bool:
    return find_spec(f"streamfilter.providers.{format_name}") is not None
