"""The rows of the table of laws for the stages that shape text, each with its meaning on a whole text.

The meanings are the standard library's, and regular expressions that state a grammar or a rule in one piece.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Literal

import regex

import streamfilter as sf
from streamfilter.testing.laws import AnyStage

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")


# ---------------------------------------------------------------- Normalize


def normal(form: Form) -> Callable[[str], str]:
    """The whole text at once."""
    return lambda text: unicodedata.normalize(form, text)


def normal_in_parts(form: Form, most: int, between: str) -> Callable[[str], str]:
    """The same with runs of marks cut after every so many, and something between the parts."""
    full: Form = "NFKD" if "K" in form else "NFD"

    def parts(text: str) -> Iterator[str]:
        part, run = "", 0
        for character in text:
            is_mark = unicodedata.combining(unicodedata.normalize(full, character)[0]) != 0
            if is_mark and run == most:
                yield part
                part, run = "", 0
            part += character
            run = run + 1 if is_mark else 0
        yield part

    if between:
        return lambda text: unicodedata.normalize(form, between.join(parts(text)))
    return lambda text: "".join(unicodedata.normalize(form, part) for part in parts(text))


COMPOSING = "ae1 <\u0301\u0323\u0338é각\u1100\u1161\u11a8ﬁ\u0dd9\u0dcf\u0dca\u0f73ﾊ\uff9f"
"""Letters that compose and do not, marks of several classes, jamo and a syllable, compatibility characters, marks that begin as
starters, and vowels that compose though they are no marks."""


# ---------------------------------------------------------------- Strip, Collapse


def stripped_at_most(most: int) -> Callable[[str], str]:
    """`strip` that takes at most so many characters from the end."""

    def means(text: str) -> str:
        text = text.lstrip()
        return text[: max(len(text.rstrip()), len(text) - most)]

    return means


def lines_collapsed(to: str) -> Callable[[str], str]:
    """Each run of white space as one newline, if it breaks a line, and else as something."""
    return lambda text: re.sub(r"\s+", lambda run: "\n" if len(f"x{run[0]}x".splitlines()) > 1 else to, text)


BLANK = "ab-  \t\n\r\u2028\x1c\x85\xa0"


# ---------------------------------------------------------------- StripANSI


def without_escapes(most: int) -> Callable[[str], str]:
    """ECMA-48 (and ECMA-35 for nF escapes) as one expression; what breaks off ends where it does."""
    pattern = re.compile(
        rf"""
        (?: \x1b\[ | \x9b ) [\x20-\x3f]* [\x40-\x7e]?                                         # CSI
      | (?: \x1b\] | \x9d ) [^\x07\x18\x1a\x1b\x9c]{{0,{most}}} [\x07\x9c]?                   # OSC; ESC \ is taken below
      | (?: \x1b[PX^_] | [\x90\x98\x9e\x9f] ) [^\x18\x1a\x1b\x9c]{{0,{most}}} \x9c?           # DCS, SOS, PM, APC
      | \x1b [\x20-\x2f]* [\x30-\x7e]?                                                        # nF, Fp, Fe, Fs
      | [\x80-\x84\x86-\x9f]                                                                  # C1 but NEL
        """,
        re.VERBOSE,
    )
    return lambda text: pattern.sub("", text)


ESCAPES = "\x1b\x1b[]P\\\x07\x9c\x9b\x9d3;m a\x85\x18é\n("


# ---------------------------------------------------------------- Unicode

EMOJI = r"[\p{Emoji}--[0-9\#*]]"
T = r"[\p{jt=T}--\p{Cf}--\p{Default_Ignorable_Code_Point}]"
RTL = r"[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
ENGLAND = "\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
SCOTLAND = "\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
WALES = "\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
INVISIBLE = r"[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]"
"""Every suspect of the standard policy: bidi controls, tags, zero-width characters and variation selectors are among them."""

_STANDARD = regex.compile(
    rf"""(?Vx1)
    (?P<kept>
        (?<= \U0001f3f4 ) (?: {ENGLAND} | {SCOTLAND} | {WALES} )
      | (?<= {EMOJI} ) [\ufe0e\ufe0f]
      | (?<= [0-9\#*] ) \ufe0f (?= \u20e3 )
      | (?: (?<= \p{{ccc=9}} ) | (?<= [\p{{jt=D}}\p{{jt=L}}] {T}{{0,31}} ) ) \u200d
      | (?<= \p{{Lo}} ) \u200d (?= \p{{ccc=9}} )
      | (?<= {EMOJI} \ufe0f? ) \u200d (?= {EMOJI} )
      | (?<= \p{{ccc=9}} ) \u200c
      | (?<= [\p{{jt=D}}\p{{jt=L}}] {T}{{0,31}} ) \u200c (?= {T}{{0,32}} [\p{{jt=D}}\p{{jt=R}}] )
      | (?<= \p{{lb=SA}} ) \u200b
      | (?<= [\p{{Mongolian}}&&\p{{L}}] ) [\u180b-\u180f]
      | (?<= {RTL} .{{0,31}} ) (?<! [\p{{Default_Ignorable_Code_Point}}\p{{Cf}}] ) [\u061c\u200e\u200f]
    )
    | {INVISIBLE}
    """.replace("(?Vx1)", "(?V1)"),
    regex.VERBOSE | regex.DOTALL,
)


def standard(text: str) -> str:
    """What the standard policy leaves: rules of neighbourhood, each a look around in the whole text."""
    return _STANDARD.sub(lambda found: found["kept"] or "", text)


def strict(text: str) -> str:
    """What the strict policy leaves."""
    return regex.sub(rf"{INVISIBLE}|\p{{Co}}|[^\P{{Cc}}\t\n\r\x85]", "", text)


def before(pattern: str) -> Callable[[str], str]:
    """The text before the first of something."""
    return lambda text: regex.split(pattern, text, maxsplit=1)[0]


ZERO = "1a\u200b\u200d\u200c\ufe0f\u20e3❤👩م\u064eد"
SCRIPTS = "क\u094d\u200d\u200cមᠠ\u200b\u180b\u180e\u200e\u061cאx\U000e0041\u202e"
FLAGS = f"🏴{SCOTLAND}a"


LAWFUL: list[tuple[AnyStage, Callable[[str], str]]] = [
    (sf.Strip(), str.strip),
    (sf.Strip("ab", left=False), lambda text: text.rstrip("ab")),
    (sf.Collapse(), lambda text: re.sub(r"\s+", " ", text)),
    (sf.Collapse(lines=True), lines_collapsed(" ")),
    (sf.Translate({"a": "12", "b": None, "1": 32}), lambda text: text.translate({97: "12", 98: None, 49: 32})),
    (sf.StripANSI(), str),
    (sf.Unicode(), str),
    (sf.Unicode("strict"), str),
]
"""On the usual alphabet."""

LAWFUL3: list[tuple[AnyStage, Callable[[str], str], str]] = [
    *((sf.Normalize(form), normal(form), COMPOSING) for form in FORMS),
    (sf.Normalize("NFC", max_marks=1), normal_in_parts("NFC", 1, "\u034f"), COMPOSING),
    (sf.Normalize("NFKD", max_marks=2), normal_in_parts("NFKD", 2, "\u034f"), COMPOSING),
    (sf.Normalize("NFC", max_marks=2, overflow="release"), normal_in_parts("NFC", 2, ""), COMPOSING),
    (sf.Strip(), str.strip, BLANK),
    (sf.Strip(right=False), str.lstrip, BLANK),
    (sf.Strip("-a\n"), lambda text: text.strip("-a\n"), BLANK),
    (sf.Strip(max_hold=2), stripped_at_most(2), BLANK),
    (sf.Collapse(), lambda text: re.sub(r"\s+", " ", text), BLANK),
    (sf.Collapse(r"\1"), lambda text: re.sub(r"\s+", lambda _: r"\1", text), BLANK),
    (sf.Collapse(lines=True), lines_collapsed(" "), BLANK),
    (sf.Collapse("", lines=True), lines_collapsed(""), BLANK),
    (sf.StripANSI(), without_escapes(4096), ESCAPES),
    (sf.StripANSI(max_string=2), without_escapes(2), ESCAPES),
    (sf.Unicode(), standard, ZERO),
    (sf.Unicode(), standard, SCRIPTS),
    (sf.Unicode(), standard, FLAGS),
    (sf.Unicode("strict"), strict, ZERO + "\ue000\x07\t"),
    (
        sf.Unicode("strict", categories=("tags", "bidi")),
        lambda text: regex.sub("[\U000e0000-\U000e007f\u202e\u200e\u061c]", "", text),
        SCRIPTS,
    ),
]
"""With an alphabet each, of the characters that the stage reacts to."""
