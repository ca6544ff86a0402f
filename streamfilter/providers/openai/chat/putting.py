"""Texts put back where they stood: what leaves of a delta, and of the fragments of its calls.

All that is no text leaves once, with the first part. What leaves of the text behind that says only where it stands: clients add up
ids and names as they do text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamfilter.items import Channel
from streamfilter.providers.openai.chat.reading import Parts
from streamfilter.providers.openai.chat.texts import TEXT_FIELDS, has_other_parts
from streamfilter.providers.places import Path
from streamfilter.providers.shapes import edited, fields, get

_FIELDS = {"answer": "content", "refusal": "refusal", "reasoning": "reasoning_content"}
"""Where text of a kind goes that did not come from a chunk."""

_TELLING = ("index", "type")
"""Fields that tell where a text stands; what is said in them again counts once."""


def field_of(channel: Channel) -> str:
    """The field for text of a channel: that in its key, if it is for this kind. Text of a kind that has no field is left out."""
    own = str(channel.key[2]) if len(channel.key) == 3 else ""  # of this format
    if TEXT_FIELDS.get(own, "other") == channel.kind:
        return own
    return _FIELDS.get(channel.kind, "content" if channel.kind == "tool_arguments" else "")


def texts_put(parts: Parts, delta: Any, texts: Mapping[Channel, str], *, extras: bool, lost: frozenset[str]) -> dict[str, Any]:
    """The fields of a delta with the texts that came out, each where its channel's first piece stood.

    Args:
        parts: what was read from its choice.
        delta: it.
        texts: by channel.
        extras: whether what is no text comes out too.
        lost: fields that said the text once more, and do not any more.
    """
    left = dict(texts)
    by_path = {slot.path: left.pop(slot.item.channel, "") for slot in parts.slots}
    known = {slot.path[0] for slot in parts.slots if slot.item.channel.kind != "other"}
    is_first = extras or parts.extras is None
    kept: dict[str, Any] = {}
    for name in dict.fromkeys(str(path[0]) for path in by_path):
        is_lost = name in lost and name not in known
        below = {path[1:]: text for path, text in by_path.items() if path[0] == name and not (is_lost and path in parts.echoes)}
        keeps = not is_lost and (extras if name in known else is_first)
        shown = _filled(get(delta, name), below, keeps=keeps, is_bare=is_lost or not is_first) if below else None
        if shown:
            kept[name] = shown
    for name in TEXT_FIELDS:
        value = get(delta, name)
        if extras and not any(path[0] == name for path in by_path) and has_other_parts(value):
            kept[name] = value
    for channel, text in left.items():  # an insertion into a channel of which this chunk has nothing
        if name := field_of(channel):
            said = kept.get(name, "")
            kept[name] = said + text if isinstance(said, str) else [*said, text]
    return kept


def continued(fragment: Any, texts: Mapping[Path, Any]) -> Any:
    """What leaves of a fragment of a call behind its first part. Without an index, its id tells whose it is; and clients want to
    see its function."""
    made = _filled(fragment, texts, keeps=False, is_bare=True)
    told, function = {}, get(fragment, "function")
    if get(fragment, "index") is None and get(fragment, "id") is not None:
        told["id"] = get(fragment, "id")
    if function is not None and get(made, "function") is None:
        told["function"] = edited(function, {}, fields(function))
    return edited(made, told)


def _filled(node: Any, texts: Mapping[Path, str], *, keeps: bool, is_bare: bool) -> Any:
    """A part of a delta with its texts as they came out. What has nothing left is left out; so is a signed part that changed.

    Args:
        node: the part.
        texts: by their place in it.
        keeps: whether what is no text is something left.
        is_bare: whether to leave it out.
    """
    if () in texts:
        return texts[()]
    if not texts:
        return node if keeps else None
    inside: dict[str | int, dict[Path, str]] = {}
    for path, text in texts.items():
        inside.setdefault(path[0], {})[path[1:]] = text
    if isinstance(node, list | tuple):
        filled = [_filled(each, inside.get(n, {}), keeps=keeps, is_bare=is_bare) for n, each in enumerate(node)]
        return [each for each in filled if each]
    values = {str(step): _filled(get(node, str(step)), below, keeps=keeps, is_bare=is_bare) for step, below in inside.items()}
    if "signature" not in values and get(node, "signature") and any(get(node, name) != value for name, value in values.items()):
        return None
    beside = [name for name in fields(node) if name not in values and name not in _TELLING]
    if not any(values.values()) and not (keeps and beside):
        return None
    dropped = [name for name, value in values.items() if value is None or (is_bare and not value)]
    left = {name: value for name, value in values.items() if name not in dropped}
    return edited(node, left, [*dropped, *(beside if is_bare else ())])
