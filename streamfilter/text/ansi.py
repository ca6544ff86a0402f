"""Deleting what only terminals obey: `StripANSI`.

The grammar of escape sequences is here, and nothing of what any of them does. What belongs to one is deleted as it comes.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from streamfilter.context import Context
from streamfilter.errors import LimitExceeded
from streamfilter.items import End
from streamfilter.machine import TextMachine
from streamfilter.pipeline import TextStage, stage

MAX_STRING = 4096
"""Characters that a control string may have. Titles and links stay below it (terminals take links of about 2,000 characters); what
begins a string and never ends it must not swallow the rest of an answer."""


@stage
class StripANSI(TextStage):
    r"""Delete the escape sequences that terminals obey: colours, cursor movements, titles, links, the clipboard.

    The grammar is that of ECMA-48: control sequences (`ESC [`), control strings (OSC, DCS, SOS, PM and APC, up to ST; OSC also to
    BEL, as xterm has it), escapes of two and more characters (ECMA-35), and the 8-bit forms of all (U+0080 to U+009F, but for NEL,
    which is a line break). A sequence that breaks off is deleted as far as it came, so no ESC ever leaves. Nothing is held.

    Args:
        max_string: characters that a control string may have.
        overflow: what happens when there are more: `"release"` takes what follows for text, `"raise"` ends the stream with
            `LimitExceeded`.

    Raises:
        LimitExceeded: while streaming, if `overflow="raise"`.

    Example:
        >>> import streamfilter as sf
        >>> sf.StripANSI().apply("\x1b[1;31mred\x1b[0m \x1b]8;;https://example.org\x1b\\link\x1b]8;;\x07")
        'red link'
        >>> list(sf.StripANSI().iter(["a\x1b", "[3", "1mb"]))
        ['a', 'b']
    """

    max_string: Annotated[int, Field(ge=1)] = dataclasses.field(default=MAX_STRING, kw_only=True)
    overflow: Literal["release", "raise"] = dataclasses.field(default="release", kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            max_string: int = ...,
            overflow: Literal["release", "raise"] = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return _Escapes(self)

    def holds(self) -> str:
        return "holds nothing"


_INTRODUCER = re.compile(r"[\x1b\x80-\x84\x86-\x9f]")
_PARAMETERS = re.compile(r"[ -?]*")  # in any order: terminals read on to the final character of a malformed sequence
_INTERMEDIATES = re.compile(r"[ -/]*")
_STRING = re.compile(r"[^\x18\x1a\x1b\x9c]*")  # CAN and SUB abort it, and an ESC begins either ST or something else
_OSC = re.compile(r"[^\x07\x18\x1a\x1b\x9c]*")
_ENDS = {_PARAMETERS: "@", _INTERMEDIATES: "0"}
"""The first of the characters that may be final; "~" is the last."""
_INSIDE = {
    **dict.fromkeys(("[", "\x9b"), _PARAMETERS),
    **dict.fromkeys(("]", "\x9d"), _OSC),
    **dict.fromkeys(("P", "X", "^", "_", "\x90", "\x98", "\x9e", "\x9f"), _STRING),
}
"""What goes on behind an ESC and this, or behind this."""


class _Escapes(TextMachine):
    """What is deleted is deleted at once; all that is remembered is what it belongs to."""

    def __init__(self, stage: StripANSI) -> None:
        self._limit = stage.max_string
        self._overflow = stage.overflow
        self._inside: re.Pattern[str] | None = None  # what the sequence that has begun goes on with
        self._chars = 0  # of the control string that has begun
        self._is_bare = False  # the sequence has its ESC, and nothing else yet

    def feed(self, text: str) -> None:
        hold = self.hold
        at = 0
        while at < len(text):
            if self._inside is not None:
                stop = self._go_on(text, at)
                hold.replace(stop - at, "")
                at = stop
                if self.done is not None:
                    return
                continue
            found = _INTRODUCER.search(text, at)
            stop = found.start() if found else len(text)
            if stop > at:
                hold.keep(stop - at)
            if found:
                hold.replace(1, "")
                self._begin(text[stop])
                stop += 1
            at = stop
        if self._inside is None:
            hold.stops = _INTRODUCER.search

    def _begin(self, introducer: str) -> None:
        self._is_bare = introducer == "\x1b"
        self._inside = _INTERMEDIATES if self._is_bare else _INSIDE.get(introducer)
        self._chars = 0

    def _go_on(self, text: str, at: int) -> int:
        """Where the part of the sequence ends that stands here. At the end of the text it may go on."""
        inside = self._inside
        assert inside is not None
        if inside in (_STRING, _OSC):
            return self._go_on_string(inside, text, at)
        stop = _end(inside, text, at, len(text))
        is_bare = self._is_bare and stop == at
        if stop == len(text):
            self._is_bare = is_bare
            return stop
        last = text[stop]
        if is_bare and last in _INSIDE and last.isascii():
            self._begin(last)
            return stop + 1
        self._inside = None
        return stop + 1 if _ENDS[inside] <= last <= "~" else stop

    def _go_on_string(self, inside: re.Pattern[str], text: str, at: int) -> int:
        stop = _end(inside, text, at, at + self._limit - self._chars)
        self._chars += stop - at
        if stop == len(text):
            return stop
        self._inside = None
        last = text[stop]
        if last == "\x9c" or (last == "\x07" and inside is _OSC):
            return stop + 1
        if self._overflow == "raise" and last not in "\x18\x1a\x1b":
            where = f"a control string before character {self.hold.offset + stop - at} of the {self.hold.channel.kind}"
            self.done = End("error", LimitExceeded("max_string", self._limit, where))
        return stop


def _end(pattern: re.Pattern[str], text: str, at: int, most: int) -> int:
    found = pattern.match(text, at, most)
    return found.end() if found else at
