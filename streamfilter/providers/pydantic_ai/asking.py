"""What a model of pydantic-ai is asked, filtered: the messages, the tools and instructions, the settings.

Objects are read and copied by the names of their fields; pydantic-ai is not imported. What is asked is not changed: where something
has to be another, a copy is sent.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from streamfilter.providers.places import is_opaque
from streamfilter.providers.pydantic_ai.reading import OPAQUE
from streamfilter.providers.requests import Apply, Filtering
from streamfilter.providers.shapes import fields, get

UNSENT = frozenset({"metadata", "usage", "timestamp", "failed_attempts", "vendor_metadata", "return_schema", "retry"})
"""Fields of messages and tools that only the application reads."""

OWN_SETTINGS = frozenset({"extra_headers", "timeout"})
"""Settings that are the connection's."""


class Asking:
    """One request.

    Args:
        apply: the pipeline.
        quote: its guards.
    """

    def __init__(self, apply: Apply, quote: Apply) -> None:
        self._apply = apply
        self._quote = quote
        self._spoken = Filtering(apply, quote)
        self._quoted = Filtering(quote, quote)

    async def messages(self, messages: Any) -> list[Any]:
        """The messages: all that is in them is said."""
        made = []
        for message in messages:
            parts = [shown for part in message.parts for shown in await self._part(part)]
            rest = await self._value(_edited(message, {"parts": []}), "", self._apply)
            is_same = parts == [*message.parts] and fields(rest).keys() == fields(message).keys()
            is_same = is_same and all(value is get(message, name) for name, value in fields(rest).items() if name != "parts")
            made.append(message if is_same else _edited(rest, {"parts": parts}))
        return made

    async def parameters(self, given: Any) -> Any:
        """Tools, instructions, and what the output shall be."""
        changes: dict[str, Any] = {}
        for name in ("function_tools", "output_tools"):
            changes[name] = [await self._tool(each) for each in get(given, name) or ()]
        if get(given, "output_object") is not None:
            changes["output_object"] = await self._tool(given.output_object)
        for name, apply in (
            ("instruction_parts", self._apply),
            ("native_tools", self._quote),
            ("prompted_output_template", self._quote),
        ):
            if get(given, name):
                changes[name] = await self._value(get(given, name), name, apply)
        changed = {name: value for name, value in changes.items() if value != get(given, name)}
        return _edited(given, changed) if changed else given

    async def settings(self, given: Mapping[str, Any] | None) -> Any:
        """The settings of the request, but those of its connection."""
        if given is None:
            return None
        return {**given, **await self._quoted.body({name: each for name, each in given.items() if name not in OWN_SETTINGS})}

    # ------------------------------------------------------------------

    async def _part(self, part: Any) -> list[Any]:
        """A part of a message; none if it is a signed thought that would be changed."""
        if str(get(part, "part_kind")).endswith(("tool-return", "tool-call")):
            made = await self._called(part)
        else:
            made = await self._value(part, "", self._apply)
        if made is part:
            return [part]
        if get(part, "part_kind") == "thinking" and get(part, "signature"):
            return []
        # A provider that has stored the part by its id would take what it has.
        return [_edited(made, {"id": None}) if get(part, "part_kind") in ("text", "thinking") else made]

    async def _called(self, part: Any) -> Any:
        """A call or what came of it: somebody's own values, so that their keys are text too."""
        changes: dict[str, Any] = {}
        for name in ("args", "content"):
            value = get(part, name)
            if isinstance(value, str):
                kind = "arguments" if name == "args" else "content"
                changes[name] = (await self._spoken.messages({kind: value}))[kind]
            elif value is not None:
                changes[name] = await self._own(value)
        changed = {name: value for name, value in changes.items() if value is not get(part, name)}
        return _edited(part, changed) if changed else part

    async def _own(self, value: Any) -> Any:
        """What a tool gave: files as what they are, all else as the JSON that is sent of it."""
        if get(value, "kind") is not None and not isinstance(value, Mapping):
            return await self._value(value, "", self._apply)
        if isinstance(value, list | tuple):
            made = [await self._own(each) for each in value]
            return value if all(one is other for one, other in zip(made, value, strict=True)) else made
        plain = to_jsonable_python(value, serialize_unknown=True)
        shown = (await self._spoken.messages({"args": {"": plain}}))["args"][""]
        return value if shown == plain else shown

    async def _tool(self, tool: Any) -> Any:
        changes: dict[str, Any] = {}
        if get(tool, "description"):
            changes["description"] = await self._quote(tool.description)
        for name in ("parameters_json_schema", "json_schema"):
            if get(tool, name):
                changes[name] = (await self._quoted.body({"schema": get(tool, name)}))["schema"]
        changed = {name: value for name, value in changes.items() if value != get(tool, name)}
        return _edited(tool, changed) if changed else tool

    async def _value(self, value: Any, name: str, apply: Apply) -> Any:
        """A value in a field of an object; the very one if nothing in it changes."""
        if name in UNSENT or value is None:
            return value
        if isinstance(value, str):
            shown = (await Filtering(apply, apply).messages({"said": value}))["said"]
            return value if shown == value else shown
        if isinstance(value, list | tuple):
            made = [await self._value(each, "", apply) for each in value]
            return value if all(one is other for one, other in zip(made, value, strict=True)) else made
        if isinstance(get(value, "data"), bytes):
            return await self._file(value, apply)
        given = value if isinstance(value, Mapping) else fields(value) if hasattr(value, "__dict__") else {}
        changes = {
            key: each if is_opaque(OPAQUE, str(key), value, name or "parts") else await self._value(each, str(key), apply)
            for key, each in given.items()
        }
        changed = {key: each for key, each in changes.items() if each is not given[key]}
        return _edited(value, changed) if changed else value

    async def _file(self, file: Any, apply: Apply) -> Any:
        """A file: one of text is text."""
        if not str(get(file, "media_type")).startswith("text/"):
            return file
        text = file.data.decode()
        shown = await apply(text)
        return file if shown == text else _edited(file, {"data": shown.encode()})


def _edited(value: Any, changes: Mapping[str, Any]) -> Any:
    """A shallow copy with some fields changed, of a frozen object too."""
    if isinstance(value, Mapping):
        return {**value, **changes}
    made = copy.copy(value)
    for name, each in changes.items():
        object.__setattr__(made, name, each)
    return made
