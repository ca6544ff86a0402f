"""The body of a request on its way to a provider, filtered: all of it, not only what the model is said.

What is said to the model goes through the pipeline; every other string (descriptions of tools, metadata, a user's name) through its
guards. Strings that only the provider can read, or that must stay as they are for the call to be understood, are named here; no
field is taken for harmless because it is not known. This module knows JSON values, and nothing of HTTP.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from streamfilter.errors import MalformedInput

Apply: TypeAlias = Callable[[str], Awaitable[str]]
"""Filters one text."""

SPOKEN = frozenset(
    {
        *("messages", "system", "input", "instructions", "prompt", "suffix", "prediction"),
        *("contents", "content", "systemInstruction", "system_instruction", "requests", "promptVariables"),
    }
)
"""The parts of a request that the model is said."""

FIXED = frozenset(
    {
        *("type", "role", "model", "modelId", "status", "phase", "format", "detail", "required", "name", "anthropic_version"),
        *(
            "id",
            "call_id",
            "tool_call_id",
            "tool_use_id",
            "toolUseId",
            "item_id",
            "file_id",
            "previous_response_id",
            "container_id",
        ),
        *("fileUri", "file_uri", "media_type", "mimeType", "mime_type", "signature", "thoughtSignature", "thought_signature"),
        *("encrypted_content", "encrypted_index", "redacted_thinking", "cache_control", "ttl", "images"),
    }
)
"""Fields whose strings are no text: types, ids, names of tools, and what only the provider can read."""

FREE = frozenset({"input", "args", "response", "arguments", "metadata", "variables", "labels"})
"""Fields whose objects are somebody's own: no field in them is known, and their keys are text too."""

NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties"})
"""Fields whose objects have names for keys, and schemas below them."""

TOKENS = ("input", "prompt")
"""Fields in which some APIs take a text as the numbers of its tokens."""

_DATA_URL = re.compile(r"data:(?P<mime>[\w.+/-]*)(?:;[\w=.+-]+)*;base64,(?P<data>[A-Za-z0-9+/=_-]*)\Z")


class Filtering:
    """Filters one body.

    Args:
        apply: the pipeline.
        quote: its guards.
    """

    def __init__(self, apply: Apply, quote: Apply) -> None:
        self._apply = apply
        self._quote = quote

    async def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A body, filtered.

        Raises:
            MalformedInput: a text comes as tokens, which cannot be read.
            Exception: what a stage ends a text with.
        """
        out: dict[str, Any] = {}
        for name, value in body.items():
            if name in TOKENS and _has_tokens(value):
                raise MalformedInput(f"{name} is given as tokens, which cannot be filtered: give it as text", 0)
            out[name] = await self._value(value, name, self._apply if name in SPOKEN else self._quote)
        return out

    async def messages(self, value: Any) -> Any:
        """Messages, or one of them: all that is in them is said."""
        return await self._value(value, "messages", self._apply)

    async def _value(self, value: Any, name: str, apply: Apply) -> Any:
        """A value in a field that is known by its name."""
        if isinstance(value, str):
            if name == "arguments":
                return await self._arguments(value, apply)
            return value if name in FIXED or not value else await self._string(value, apply)
        if isinstance(value, list):
            if name == "required":
                return value
            items = [(each, await self._value(each, name if isinstance(each, str) else "", apply)) for each in value]
            return [new for old, new in items if new == old or not _is_signed(old)]  # a signed thought is never edited
        if not isinstance(value, Mapping):
            return value
        if name in FREE:
            return await self._free(value, apply)
        if name in NAMES:
            return {key: await self._value(each, "", apply) for key, each in value.items()}
        return {key: await self._field(value, key, each, apply) for key, each in value.items()}

    async def _field(self, parent: Mapping[str, Any], name: str, value: Any, apply: Apply) -> Any:
        if name == "data" and isinstance(value, str) and parent.get("type") != "text":  # a text document's is text
            mime = parent.get("media_type") or parent.get("mimeType") or parent.get("mime_type") or ""
            return await _base64(value, str(mime), apply)
        if name == "name" and isinstance(value, str) and parent.get("role") in ("user", "system", "developer", "assistant"):
            return await self._quote(value)  # somebody's, and no tool's
        return await self._value(value, name, apply)

    async def _free(self, value: Any, apply: Apply) -> Any:
        if isinstance(value, str):
            return await self._string(value, apply)
        if isinstance(value, list):
            return [await self._free(each, apply) for each in value]
        if isinstance(value, Mapping):
            return {await self._string(key, apply): await self._free(each, apply) for key, each in value.items()}
        return value

    async def _arguments(self, value: str, apply: Apply) -> str:
        """The arguments of a call, as JSON text: an escape must not hide anything."""
        try:
            said = json.loads(value)
        except (ValueError, RecursionError):
            return await self._string(value, apply)
        shown = await self._free(said, apply)
        return value if shown == said else json.dumps(shown, ensure_ascii=False)

    async def _string(self, value: str, apply: Apply) -> str:
        if value.startswith("data:") and (found := _DATA_URL.match(value)):
            return value[: found.start("data")] + await _base64(found["data"], found["mime"], apply)
        return await apply(value) if value else value


async def _base64(value: str, mime: str, apply: Apply) -> str:
    """A file. One of text is text; all others are as they are."""
    if not mime.startswith("text/"):
        return value
    text = None
    with suppress(binascii.Error, ValueError):  # some hold the text
        text = base64.b64decode(value, altchars=b"-_" if "-" in value or "_" in value else None, validate=True).decode()
    if text is None:
        raise MalformedInput("a file whose type is text is no text in base64", 0)
    shown = await apply(text)
    return value if shown == text else base64.b64encode(shown.encode()).decode()


def _is_signed(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "thinking" and "signature" in block


def _has_tokens(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, int) or _has_tokens(each) for each in value)
