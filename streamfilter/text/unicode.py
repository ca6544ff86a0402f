"""Characters that nobody sees and machines read: `Unicode` removes or refuses them.

Invisible characters carry instructions past a reader (tags, "ASCII smuggling"; variation selectors; zero-width characters), show
code in another order than it runs (bidi controls, "Trojan Source"), and hide words from filters. Most of them also have honest work
in some script or emoji, which is seen from what stands next to them: this module knows these neighbours, one character at a time,
and nothing of words, of languages, or of characters that merely look alike.

Sources: Unicode Technical Report 36 and Technical Standard 39 (security), UAX #31 (default-ignorable characters in identifiers),
UTS #51 (emoji), RFC 5892 appendix A (joiners), CVE-2021-42574 (Trojan Source).
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

import regex
from pydantic import Field

from streamfilter.context import Context, Finding
from streamfilter.errors import Blocked
from streamfilter.items import End
from streamfilter.machine import TextMachine
from streamfilter.pipeline import TextStage, stage

Category: TypeAlias = Literal["bidi", "tags", "zero_width", "variation_selectors", "default_ignorable", "private_use", "control"]

RANGES: dict[Category, tuple[tuple[int, int], ...]] = {
    # Explicit formatting and implicit marks: UAX #9, table 4.
    "bidi": ((0x061C, 0x061C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069)),
    # ASCII over again, invisible: The Unicode Standard, section 23.9.
    "tags": ((0xE0000, 0xE007F),),
    # The space, the joiners and the no-break spaces that have no width: The Unicode Standard, section 23.2.
    "zero_width": ((0x200B, 0x200D), (0x2060, 0x2060), (0xFEFF, 0xFEFF)),
    # 256 of them, so one for each byte, and the Mongolian ones: section 23.4.
    "variation_selectors": ((0x180B, 0x180D), (0x180F, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)),
    # What else is Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and the interlinear annotation characters.
    "default_ignorable": (
        *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180E, 0x180E), (0x2061, 0x2065)),
        *((0x206A, 0x206F), (0x3164, 0x3164), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
        *((0xE0080, 0xE00FF), (0xE01F0, 0xE0FFF)),
    ),
    "private_use": ((0xE000, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)),
    # Of C0 and C1 all but tab, line feed, carriage return and NEL, which are white space.
    "control": ((0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F)),
}
"""The characters of each category, from the first to the last of each range."""

NEIGHBOURS = 32
"""How many characters before, and how many marks behind one, may tell whether its use is legitimate. Letters have a few marks."""

_STANDARD: tuple[Category, ...] = ("bidi", "tags", "zero_width", "variation_selectors", "default_ignorable")


@stage
class Unicode(TextStage):
    r"""Remove or refuse characters that are invisible or reorder text. A guard: it applies to every text channel.

    The categories: `"bidi"` (bidirectional controls, as in Trojan Source), `"tags"` (U+E0000 to U+E007F, ASCII smuggling),
    `"zero_width"` (ZWSP, ZWNJ, ZWJ, WJ, BOM), `"variation_selectors"` (VS1 to VS256 and the Mongolian ones),
    `"default_ignorable"` (all others that Unicode calls so, such as the soft hyphen and the Hangul fillers), `"private_use"` and
    `"control"` (C0 and C1 but for white space).

    Args:
        policy: `"standard"` spares what its neighbours show to be legitimate: joiners in emoji and in scripts that need them, emoji
            variation selectors, the three flags that are spelled with tags, directional marks near right-to-left letters; see
            docs/shaping.md. `"strict"` spares nothing.
        categories: what to look for; None is the first five, and under `"strict"` all.
        action: `"remove"` deletes them, `"raise"` raises `Blocked` to the consumer.
        channels: the kinds of channel it applies to; None is every kind. The arguments of tool calls are read as JSON.

    Raises:
        ValueError: a category is unknown, or there is none.
        Blocked: while streaming, if `action="raise"`: its rule is the category.

    Example:
        >>> import streamfilter as sf
        >>> sf.Unicode().apply("pay\u200b\U000e0068\U000e0069 \u202eme👩\u200d🚀")
        'pay me👩\u200d🚀'
        >>> sf.Unicode(action="raise").apply("if admin:\u2066 pass")
        Traceback (most recent call last):
        ...
        streamfilter.errors.Blocked: rule bidi matched at character 9 of the answer
    """

    policy: Literal["standard", "strict"] = "standard"
    categories: Annotated[tuple[Category, ...], Field(min_length=1)] | None = dataclasses.field(default=None, kw_only=True)
    action: Literal["remove", "raise"] = dataclasses.field(default="remove", kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    is_guard: ClassVar[bool] = True

    if TYPE_CHECKING:

        def __init__(
            self,
            policy: Literal["standard", "strict"] = ...,
            *,
            categories: tuple[Category, ...] | None = ...,
            action: Literal["remove", "raise"] = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def start(self, context: Context | None = None) -> TextMachine:
        return _Remover(self, self._suspects, context or Context())

    @functools.cached_property
    def _suspects(self) -> re.Pattern[str]:
        categories = self.categories or (_STANDARD if self.policy == "standard" else tuple(RANGES))
        ranges = "".join(f"\\U{first:08x}-\\U{last:08x}" for each in categories for first, last in RANGES[each])
        return re.compile(f"[{ranges}]")

    def holds(self) -> str:
        if self.policy == "strict":
            return "holds nothing"
        return f"holds an invisible character until its neighbours are known, at most {NEIGHBOURS + 2} characters"


_EMOJI = regex.compile(r"(?V1)[\p{Emoji}--[0-9#*]]")
_CURSIVE = rf"(?V1)[\p{{jt=D}}\p{{jt=L}}][\p{{jt=T}}--\p{{Cf}}--\p{{DI}}]{{0,{NEIGHBOURS - 1}}}"
_CURSIVE_BEFORE = regex.compile(_CURSIVE + r"\Z")
_MARKS = regex.compile(rf"(?V1)[\p{{jt=T}}--\p{{Cf}}--\p{{DI}}]{{0,{NEIGHBOURS}}}")
_CURSIVE_AFTER = regex.compile(r"[\p{jt=D}\p{jt=R}]")
_UNSPACED = regex.compile(r"\p{lb=SA}")
_MONGOLIAN = regex.compile(r"(?V1)[\p{Mongolian}&&\p{L}]")
# The blocks in which characters are right-to-left by default (DerivedBidiClass.txt), but for ALM.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_INVISIBLE = regex.compile(r"[\p{DI}\p{Cf}]")

_BLACK_FLAG = "\N{WAVING BLACK FLAG}"
_FLAGS = tuple("".join(chr(0xE0000 + ord(letter)) for letter in name) + "\U000e007f" for name in ("gbeng", "gbsct", "gbwls"))
"""England, Scotland and Wales: the emoji tag sequences recommended for interchange (UTS #51, RGI_Emoji_Tag_Sequence). Others are as
well-formed, and would carry any text."""

_REMOVE, _WAIT = 0, -1


class _Remover(TextMachine):
    """Looks at each suspect with its neighbours. Held is a suspect whose neighbours have not all come, and those that have."""

    def __init__(self, stage: Unicode, suspects: re.Pattern[str], context: Context) -> None:
        self._suspects = suspects
        self._is_strict = stage.policy == "strict"
        self._raises = stage.action == "raise"
        self._begin = context.begun
        self._found = context.found
        self._before = ""  # the last characters that came before the held ones, left or removed
        self._run: tuple[Category, Finding, int] | None = None  # removed last, of one category: what, its finding, how many

    def feed(self, text: str) -> None:
        hold = self.hold
        if self._run is None and len(hold) == len(text) and self._suspects.search(text) is None:
            hold.keep(len(text))
            self._before = (self._before + text)[-NEIGHBOURS:]
            return
        self._look(is_last=False)

    def finish(self) -> None:
        self._look(is_last=True)
        self._close()

    def _look(self, *, is_last: bool) -> None:
        hold = self.hold
        text = self._before + hold.text
        at = len(self._before)
        while self.done is None:
            found = self._suspects.search(text, at)
            stop = found.start() if found else len(text)
            kept = 0 if stop == len(text) else self._judge(text, stop, is_last=is_last)
            clear = stop - at + max(kept, 0)
            if clear:
                self._close()
                hold.keep(clear)
                at += clear
            if found is None or kept == _WAIT:
                break
            if kept == _REMOVE:
                self._remove(category_of(text[at]))
                at += 1
        self._before = text[max(at - NEIGHBOURS, 0) : at]

    def _remove(self, category: Category) -> None:
        hold = self.hold
        if self._raises:
            self._found(category, "block", hold.channel, hold.offset, hold.offset + 1)
            self.done = End("blocked", Blocked(category, hold.offset, hold.channel.kind))
            return
        if self._run is not None and self._run[0] == category:
            self._run = (category, self._run[1], self._run[2] + 1)
        else:
            self._close()
            self._run = (category, self._begin(category, "redact", hold.channel, hold.offset), 1)
        hold.replace(1, "")

    def _close(self) -> None:
        """What was removed has ended: report it."""
        if self._run is not None:
            category, finding, chars = self._run
            self._run = None
            self._found(category, "redact", finding.channel, finding.start, finding.start + chars, finding)

    def _judge(self, text: str, at: int, *, is_last: bool) -> int:
        """How many characters to keep from a suspect on, or `_REMOVE`, or `_WAIT` for what follows it."""
        if self._is_strict or not at:
            return _REMOVE
        character = text[at]
        if character in _AFTER:
            return int(_AFTER[character](text, at))
        return _BETWEEN[character](text, at, is_last) if character in _BETWEEN else _REMOVE


def _joiner(text: str, at: int, is_last: bool) -> int:
    """ZWJ: after a virama (RFC 5892, A.2), after a letter that it lets join, between emoji (UTS #51, ED-16).

    Bengali and Sinhala have it before a virama too (The Unicode Standard, sections 12.2 and 13.2).
    """
    before = text[at - 1]
    if unicodedata.combining(before) == 9 or _is_cursive(text, at):
        return 1
    is_letter = unicodedata.category(before) == "Lo"
    if not is_letter and not _EMOJI.match(text, at - 2 if before == "\ufe0f" and at > 1 else at - 1):
        return _REMOVE
    if at + 1 == len(text):
        return _REMOVE if is_last else _WAIT
    return int(unicodedata.combining(text[at + 1]) == 9 if is_letter else _EMOJI.match(text, at + 1) is not None)


def _non_joiner(text: str, at: int, is_last: bool) -> int:
    """ZWNJ: after a virama, or between letters that would join (RFC 5892, A.1)."""
    if unicodedata.combining(text[at - 1]) == 9:
        return 1
    if not _is_cursive(text, at):
        return _REMOVE
    marks = _MARKS.match(text, at + 1)
    after = marks.end() if marks else at + 1
    if after == len(text):
        return _REMOVE if is_last else _WAIT
    return 1 if _CURSIVE_AFTER.match(text, after) else _REMOVE


def _is_cursive(text: str, at: int) -> bool:
    return not text[at - 1].isascii() and _CURSIVE_BEFORE.search(text[max(at - NEIGHBOURS, 0) : at]) is not None


def _emoji_style(text: str, at: int, is_last: bool) -> int:
    """VS15 and VS16: after an emoji; after what keycaps are made of, only in a keycap (UTS #51, ED-14c)."""
    if _EMOJI.match(text, at - 1):
        return 1
    if text[at - 1] not in "0123456789#*" or text[at] != "\ufe0f":
        return _REMOVE
    if at + 1 == len(text):
        return _REMOVE if is_last else _WAIT
    return 1 if text[at + 1] == "\N{COMBINING ENCLOSING KEYCAP}" else _REMOVE


def _tag(text: str, at: int, is_last: bool) -> int:
    """A tag: at the beginning of the tags of a flag."""
    if text[at - 1] != _BLACK_FLAG:
        return _REMOVE
    for flag in _FLAGS:
        if text.startswith(flag, at):
            return len(flag)
        if not is_last and len(text) - at < len(flag) and flag.startswith(text[at:]):
            return _WAIT
    return _REMOVE


def _directional_mark(text: str, at: int) -> bool:
    """LRM, RLM and ALM: one at a time, and near right-to-left letters. Explicit controls have no use that the marks have not."""
    if _INVISIBLE.match(text, at - 1):
        return False
    return _RIGHT_TO_LEFT.search(text, max(at - NEIGHBOURS, 0), at) is not None


def _space(text: str, at: int) -> bool:
    """ZWSP: in scripts without spaces, Khmer, Lao, Myanmar, Thai and others (UAX #14, class SA)."""
    return _UNSPACED.match(text, at - 1) is not None


def _mongolian(text: str, at: int) -> bool:
    """The Mongolian variation selectors and vowel separator: after a Mongolian letter."""
    return _MONGOLIAN.match(text, at - 1) is not None


_AFTER: dict[str, Callable[[str, int], bool]] = {
    "\u200b": _space,
    **dict.fromkeys("\u061c\u200e\u200f", _directional_mark),
    **dict.fromkeys("\u180b\u180c\u180d\u180e\u180f", _mongolian),
}
"""Whether a suspect is legitimate, where what stands before it tells."""
_BETWEEN: dict[str, Callable[[str, int, bool], int]] = {
    "\u200c": _non_joiner,
    "\u200d": _joiner,
    **dict.fromkeys("\ufe0e\ufe0f", _emoji_style),
    **dict.fromkeys(map(chr, range(0xE0020, 0xE007F)), _tag),
}
"""The same where what stands behind it may count. No other suspect is ever legitimate."""

_FIRSTS: list[tuple[int, Category]] = sorted((first, category) for category, ranges in RANGES.items() for first, _ in ranges)


@functools.cache
def category_of(character: str) -> Category:
    r"""The category of a character that is in one.

    Example:
        >>> category_of("\u202e"), category_of("\u200d")
        ('bidi', 'zero_width')
    """
    return _FIRSTS[bisect.bisect(_FIRSTS, ord(character), key=lambda first: first[0]) - 1][1]
