"""The parts of Markdown's inline syntax that a pattern or a short scan decides: tags, entities, link targets, definitions.

Every function here looks at a text from some place on and says where the construct ends, that there is none (`NOT`), or that
what follows will decide (`OPEN`). They know nothing of paragraphs, of what is held, or of what came before. Constants and rules are
those of CommonMark 0.31 (https://spec.commonmark.org/0.31.2/).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cache
from html.entities import html5

import regex

NOT = -1
OPEN = -2

PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
"""What a backslash can escape."""

MAX_PARENTHESES = 32
"""How deep parentheses may nest in a link's target: the least that CommonMark demands, and what parsers take."""

_ATTRIBUTE = r"""\s++[a-zA-Z_:][\w.:-]*+(?:\s*+=\s*+(?:[^\s"'=<>`]++|'[^']*+'|"[^"]*+"))?+"""
TAG = rf"(?:<[a-zA-Z][a-zA-Z0-9-]*+(?:{_ATTRIBUTE})*+\s*+/?>|</[a-zA-Z][a-zA-Z0-9-]*+\s*+>)"
"""An opening or a closing tag of HTML."""

_ANGLE = regex.compile(
    rf"{TAG}"
    r"|<[a-zA-Z][a-zA-Z0-9+.-]{1,31}:[^<>\x00-\x20]*+>"
    r"|<[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]++@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*+>"
    r"|<!---?>|<!--(?:[^-]|-(?!->))*+-->"
    r"|<\?(?:[^?]|\?(?!>))*+\?>"
    r"|<![a-zA-Z][^>]*+>"
    r"|<!\[CDATA\[(?:[^\]]|\](?!\]>))*+\]\]>",
    regex.ASCII,
)
_NUMERIC = regex.compile(r"&#(?:[xX][0-9a-fA-F]{1,6}|[0-9]{1,7});")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]*|")
_SPACE = re.compile(r"[ \t\r\n]*")
_BARE = re.compile(r"[^\x00-\x20\x7f()\\]+")
_POINTED = regex.compile(r"<(?:[^<>\n\\]|\\.)*+>")
_TITLE = regex.compile(r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)""", regex.DOTALL)
_LABEL = regex.compile(r"\[(?:[^\[\]\\]|\\.)*+\]", regex.DOTALL)
_DEFINED = regex.compile(r"\[(?:[^\[\]\\]|\\.)*+\]:", regex.DOTALL)


def _ends(pattern: regex.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at, partial=True)
    if found is None:
        return NOT
    return OPEN if found.partial else int(found.end())


def angle(text: str, at: int) -> int:
    """Where a tag, comment, instruction or autolink that begins with `<` here ends.

    Example:
        >>> angle("<b>!", 0), angle("< b", 0) == NOT, angle("<a hr", 0) == OPEN
        (3, True, True)
    """
    return _ends(_ANGLE, text, at)


@cache
def _names() -> list[str]:
    return sorted(name for name in html5 if name.endswith(";"))


def entity(text: str, at: int) -> int:
    """Where an entity that begins with `&` here ends.

    Example:
        >>> entity("&amp; b", 0), entity("AT&T ", 2) == NOT, entity("&am", 0) == OPEN
        (5, True, True)
    """
    if text.startswith("#", at + 1) or len(text) == at + 1:
        return _ends(_NUMERIC, text, at)
    found = _NAME.match(text, at + 1)
    end = found.end() if found else at
    name = text[at + 1 : end]
    if text.startswith(";", end):
        return end + 1 if name + ";" in html5 else NOT
    names = _names()
    near = bisect_left(names, name)
    return OPEN if end == len(text) and near < len(names) and names[near].startswith(name) else NOT


def label(text: str, at: int) -> int:
    """Where a link label that begins with `[` here ends."""
    return _ends(_LABEL, text, at)


def normal(name: str) -> str:
    r"""A label as labels are compared.

    Example:
        >>> normal(" Two \n words ")
        'two words'
    """
    return " ".join(name.split()).casefold()


def _target(text: str, at: int) -> int:
    """Where a link's target ends. A bare one ends only where something follows it."""
    if text.startswith("<", at):
        return _ends(_POINTED, text, at)
    depth, i, size = 0, at, len(text)
    while i < size:
        found = _BARE.match(text, i)
        if found:
            i = found.end()
            continue
        character = text[i]
        if character == "\\":
            if i + 1 == size:
                return OPEN
            if text[i + 1] in " \t\r\n":
                i += 1
                break
            i += 2
        elif character == "(":
            depth += 1
            if depth > MAX_PARENTHESES:
                return NOT
            i += 1
        elif character == ")" and depth:
            depth -= 1
            i += 1
        else:
            break
    else:
        return OPEN
    return NOT if depth or i == at else i


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def link_tail(text: str, at: int) -> int:
    """Where the `(target "title")` of an inline link ends whose parenthesis opens here.

    Example:
        >>> link_tail("(/a 'b') c", 0), link_tail("(/a b)", 0) == NOT, link_tail("(/a", 0) == OPEN
        (8, True, True)
    """
    size = len(text)
    i = _skip(text, at + 1)
    if i == size:
        return OPEN
    if text[i] == ")":
        return i + 1
    i = _target(text, i)
    if i < 0:
        return i
    after = _skip(text, i)
    if after == size:
        return OPEN
    if after > i and text[after] in "\"'(":
        after = _ends(_TITLE, text, after)
        if after < 0:
            return after
        after = _skip(text, after)
        if after == size:
            return OPEN
    return after + 1 if text[after] == ")" else NOT


def definition(text: str) -> tuple[int, str, bool]:
    r"""Where a link reference definition that begins the text ends, its label, and whether a title may still follow.

    Example:
        >>> definition("[a]: /b\n"), definition("[a] b")[0] == NOT, definition("[a]: /")[0] == OPEN
        ((8, 'a', True), True, True)
    """
    colon = _ends(_DEFINED, text, 0)
    if colon < 0:
        return colon, "", False
    name = normal(text[1 : colon - 2])
    i = _skip(text, colon)
    if not name:
        return NOT, "", False
    end = OPEN if i == len(text) else _target(text, i)
    if end < 0:
        return end, "", False
    line, stop = _line_end(text, end)
    if line != NOT:
        return line, name, True
    if stop == end or text[stop] not in "\"'(":
        return NOT, "", False
    return title(text, stop), name, False


def is_labelled(text: str) -> bool:
    """Whether a text begins as a definition does, with a label and a colon."""
    return _ends(_DEFINED, text, 0) >= 0


def title(text: str, at: int) -> int:
    """Where the line ends of a definition's title that begins here: nothing may follow it there."""
    end = _ends(_TITLE, text, at)
    return end if end < 0 else _line_end(text, end)[0]


def _line_end(text: str, at: int) -> tuple[int, int]:
    """Behind the end of the line, if only blanks come before it; and where the first other character stands."""
    stop = at
    while stop < len(text) and text[stop] in " \t\r":
        stop += 1
    if stop == len(text):
        return OPEN, stop
    return (stop + 1 if text[stop] == "\n" else NOT), stop
