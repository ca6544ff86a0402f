"""What the channels of a stream have said, to find where it is said whole again.

Frameworks pass a model's text on: as what a run gives, as what goes into the next, in a list of messages. No list of the places
could be complete; so it is found by what it says: by what is going on, and by the last of what has ended. This module knows no
format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from streamfilter.items import Channel
from streamfilter.providers.events import Origin, Repeat
from streamfilter.providers.places import Opaque, Path, at, strings
from streamfilter.providers.recent import Channels
from streamfilter.providers.shapes import fields, get

MAX_KNOWN = 1_000_000
"""Characters of one channel that are looked for where text is said again: what is longer is filtered there by itself."""


class Said:
    """What each channel has said.

    Args:
        opaque: the fields of events whose strings are no text.
    """

    def __init__(self, opaque: Opaque) -> None:
        self._opaque = opaque
        self._channels = Channels(self._forget)
        self._came: dict[Channel, list[str]] = {}
        self._size: dict[Channel, int] = {}
        self._fresh: dict[Channel, None] = {}  # those that have said more since it was last looked for
        self._joined: dict[Channel, str] = {}  # as it was then
        self._texts: dict[str, dict[Channel, None]] = {}  # the same by what they say
        self._meant: dict[Channel, Any] = {}  # what the arguments of calls mean

    def note(self, origin: Origin) -> None:
        """An event has been read."""
        for path, channel in origin.slots.items():
            self._channels.add(channel)
            text = origin.said(path)
            size = self._size[channel] = self._size.get(channel, 0) + len(text)
            if size > MAX_KNOWN:
                self._came.pop(channel, None)
            else:
                self._came.setdefault(channel, []).append(text)
            self._fresh[channel] = None
        for item in origin.items:
            self._channels.pass_by(item)

    def _forget(self, channel: Channel) -> None:
        """A channel has ended a while ago."""
        self._came.pop(channel, None)
        self._size.pop(channel, None)
        self._fresh.pop(channel, None)
        self._unjoin(channel)

    def find(self, origin: Origin, path: Path = ()) -> None:
        """Find what of an event, or of a part of it, says all of a channel once more: as text, as what JSON means, as a list."""
        node = at(origin.event, path) if path else origin.event
        self._join()
        texts = self._texts
        for place, said in strings(node, self._opaque, path):
            if said in texts:
                origin.repeats[place] = Repeat(next(reversed(texts[said])))
        for place, part in _nodes(node, self._opaque, path):
            if isinstance(part, list | tuple):
                self._find_in_list(origin, place, part, texts)
            elif part and (found := next((each for each, value in self._meant.items() if value == part), None)) is not None:
                origin.repeats[place] = Repeat(found, is_parsed=True)

    def _find_in_list(self, origin: Origin, path: Path, parts: Any, texts: Mapping[str, dict[Channel, None]]) -> None:
        """Blocks that were not joined say it together: the first gets all, the others nothing."""
        found = [(n, text) for n, each in enumerate(parts) if (text := _text_of(each))]
        channels = texts.get("".join(text for _, text in found)) if len(found) > 1 else None
        if not channels:
            return
        channel = next(reversed(channels))
        for m, (n, _) in enumerate(found):
            inside = (*path, n) if isinstance(parts[n], str) else (*path, n, "text")
            origin.repeats.pop(inside, None)
            if m:
                origin.spans[inside] = channel
            else:
                origin.repeats[inside] = Repeat(channel)

    def _join(self) -> None:
        """What has been said since the last time: a stream may have many runs, and each is joined when it has grown."""
        for channel in self._fresh:
            self._unjoin(channel)
            if channel in self._came:
                text = self._joined[channel] = "".join(self._came[channel])
                self._came[channel] = [text]
                self._texts.setdefault(text, {})[channel] = None
                if channel.kind == "tool_arguments" and (value := _meant(text)) is not None:
                    self._meant[channel] = value
        self._fresh.clear()

    def _unjoin(self, channel: Channel) -> None:
        before = self._joined.pop(channel, None)
        if before is not None:
            del self._texts[before][channel]
            if not self._texts[before]:
                del self._texts[before]
        self._meant.pop(channel, None)


def _text_of(part: object) -> str | None:
    text = part if isinstance(part, str) else get(part, "text") if isinstance(part, Mapping) else None
    return text if isinstance(text, str) else None


def _nodes(node: Any, opaque: Opaque, path: Path) -> Iterator[tuple[Path, Any]]:
    """The dicts and lists in an event."""
    if isinstance(node, list | tuple):
        yield path, node
        for n, each in enumerate(node):
            yield from _nodes(each, opaque, (*path, n))
    elif isinstance(node, Mapping) or hasattr(node, "__dict__"):
        if isinstance(node, Mapping):
            yield path, node
        for name, each in fields(node).items():
            if name not in opaque:
                yield from _nodes(each, opaque, (*path, name))


def _meant(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
