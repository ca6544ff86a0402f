"""The block structure of Markdown, line by line: what a line is, as soon as its beginning says so.

`Blocks.read` is given the beginning of a line, and whether that is all of it. It gives what the line is and where its text begins,
or None while what follows will decide. It knows what containers and which block are open, and nothing of what stands inside a line,
of releasing or of holding. The rules are those of CommonMark 0.31, of GitHub's tables, and of footnotes as GitHub has them.
"""

from __future__ import annotations

import re
from typing import Literal

import regex

from streamfilter.markup.markdown_lines import Line, Place, columns
from streamfilter.markup.markdown_names import Names
from streamfilter.markup.markdown_tokens import TAG

MAX_DEPTH = 60
"""Quotes and lists in each other that are followed: a line costs as much time as it has of them. Further marks count as text."""

QUOTE = 0
"""A container that is a quote. List items are the indentation that keeps a line in them."""

NOTE = -4
"""A container that is a footnote: four columns keep a line in it. It may begin with blank lines, which an item may not."""

NO_CONTAINER = -1

_RULE = re.compile(r"\*[* \t]*|-[- \t]*|_[_ \t]*")
_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*")
_HEADING = re.compile(r"#{1,6}(?=([ \t]|$))")
_FENCE = re.compile(r"`{3,}|~{3,}")
_BULLET = re.compile(r"[-+*](?=([ \t]|$))")
_NUMBER = re.compile(r"(\d{1,9})(?:$|[.)](?=([ \t]|$)))", re.ASCII)
_NOTE = re.compile(r"\[(?:$|\^(?:$|([^\] ]+)(?:$|\](?:$|:))))")
_QUOTES = frozenset("\"'(")
_DELIMITERS = re.compile(r"[|:\- \t]*")
_TEXT_BEGINS = r"[*_`]{0,2}[^\s|:#`~<=*_>\[+\d-]"
_HALF_BEHIND = r"(?:[ ](?:\*{1,2}|_{1,2}|`{1,2})?)?"
_USUAL = re.compile(
    rf"""
    (?P<text>{_TEXT_BEGINS})
    | (?P<heading>\#{{1,6}})(?=[ \t])
    | (?P<item>[-+*][ ])(?={_TEXT_BEGINS})
    | (?P<number>[0-9]{{1,9}}[.)][ ])(?={_TEXT_BEGINS})
    | (?P<quote>>[ ]?)(?={_TEXT_BEGINS})
    | (?P<open>(?:\#{{1,6}}|[-+*]{_HALF_BEHIND}|\*\*|_{{1,2}}|`{{1,2}})\Z)
    | (?P<open_number>[0-9]{{1,9}}(?:[.)]{_HALF_BEHIND})?\Z)
    """,
    re.VERBOSE,
).match
"""How most lines begin, behind what goes on in them; last, beginnings that may be one of the others."""

_ELEMENTS = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|"
    "dt|fieldset|figcaption|figure|footer|form|frame|frameset|h1|h2|h3|h4|h5|h6|head|header|hr|html|iframe|legend|"
    "li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td|"
    "tfoot|th|thead|title|tr|track|ul"
)
_RAW = regex.compile(
    r"<(?:(?:script|pre|style|textarea)[\s>](?P<raw>)|!--(?P<comment>)|\?(?P<instruction>)|![a-z](?P<declaration>)|!\[CDATA\[(?P<cdata>)"
    rf"|/?(?:{_ELEMENTS})(?:[\s>]|/>)(?P<element>))",
    regex.IGNORECASE | regex.ASCII,
)
_TAG_LINE = regex.compile(rf"{TAG}[ \t]*+\n", regex.ASCII)
_HTML_ENDS = {
    "raw": re.compile(r"</(?:script|pre|style|textarea)>", re.IGNORECASE),
    "comment": re.compile("-->"),
    "instruction": re.compile(r"\?>"),
    "declaration": re.compile(">"),
    "cdata": re.compile(r"\]\]>"),
}
_BLANK = Line("blank", 0)
_CODE = Line("fenced", 0)
_MORE = Line("text", 0, continues=True, can_head=True)
_LAZY = Line("text", 0, continues=True)
_TEXTS = [Line("text", start, can_head=True) for start in range(12)]


class Blocks:
    """Where in the structure of a text the next line begins.

    Attributes:
        leaf: the block that is open: "text" for a paragraph, "fence", "html", "table", or none.
        heads: the cells of the line before, if that may be the head of a table; else 0.
        has_text: whether the paragraph has more than complete definitions of links.
        may_title: whether its last definition may still get a title.
        html: what the block of HTML ends with; a blank line, if with nothing.
        waits: while only these characters come, the line that was read stays open: it need not be read again.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._containers: tuple[int, ...] = ()
        self._is_bare = False  # the innermost item has nothing in it yet
        self._fence = ("`", 3)
        self.leaf: str = ""
        self.heads: int = 0
        self.has_text = self.may_title = False
        self.html: str = ""
        self.waits: str = ""

    def read(self, line: str, *, is_whole: bool) -> Line | None:
        """What a line is that begins like this; None while that is open. It is asked for a line until it says so, and no more."""
        usual = self._usual(line, is_whole)
        if usual is not False:
            return usual
        place = Place(line)
        self.waits = " \t" if place.is_over and not is_whole and self.leaf not in ("fence", "html") else ""
        depth = 0
        for width in self._containers:
            is_bare = self._is_bare and depth == len(self._containers) - 1
            if width == QUOTE:
                if place.is_over and not is_whole:
                    return None
                if place.is_over or place.indent > 3 or line[place.word] != ">":
                    break
                self._quote(place)
            elif place.is_over:
                if not is_whole and (place.indent < abs(width) or is_bare):
                    return None
                if is_bare:
                    break
                place.skip(min(abs(width), place.indent))
            elif place.indent >= abs(width):
                place.skip(abs(width))
            else:
                break
            depth += 1
        if depth == len(self._containers) and self.leaf in ("fence", "html"):
            found = self._fenced(place, is_whole) if self.leaf == "fence" else self._markup(place, is_whole)
            if found is None:
                return None
            if found:
                return found
        found = self._begin(place, depth, is_whole)
        if found is not None:
            self.heads = 0
        return found

    def _usual(self, line: str, is_whole: bool) -> Line | Literal[False] | None:
        """What most lines are, by one pattern. False: it takes a closer look."""
        leaf, containers = self.leaf, self._containers
        if leaf and leaf != "fence" and (leaf != "text" or not self.has_text):
            return False
        at = word = depth = 0  # where its text begins, and the first of that which is not blank; so many containers go on
        if line[:1] in " \t" or containers:
            if "\t" in line:
                return False
            at, word, depth = self._within(line)
        if word == len(line):
            return self._empty(line, is_whole)
        if leaf == "fence":
            if depth < len(containers) or line[word] == self._fence[0]:
                return False
            self.waits = ""
            return Line("fenced", at) if at else _CODE
        found = _USUAL(line, word)
        if found is None or word - at > 3 or depth >= MAX_DEPTH:
            return False
        kind = found.lastgroup
        if kind in {"number", "open_number"} and leaf and depth == len(containers):
            return False  # not every number interrupts a paragraph
        if kind in {"open", "open_number"}:
            self.waits = ""
            return False if is_whole else None
        self.waits = ""
        self.heads = 0
        if kind == "text" and leaf:
            if word:
                return Line("text", word, continues=True, can_head=depth == len(containers))
            return _LAZY if containers else _MORE
        end = word if kind == "text" else found.end()
        self._containers = containers = containers[:depth]
        self._is_bare = False
        if kind == "heading":
            self.leaf = ""
            return Line("heading", end)
        if kind != "text":
            self._containers = (*containers, QUOTE if kind == "quote" else end - at)
        self.leaf = "text"
        return _TEXTS[end] if end < len(_TEXTS) else Line("text", end, can_head=True)

    def _within(self, line: str) -> tuple[int, int, int]:
        """In a line without tabs: where the containers end that go on, where what is not blank begins, and how many go on."""
        at, word, depth = 0, len(line) - len(line.lstrip(" ")), 0
        for width in self._containers:
            if width == QUOTE:
                if word - at > 3 or not line.startswith(">", word):
                    break
                at = word + 2 if line.startswith(" ", word + 1) else word + 1
                word = len(line) - len(line[at:].lstrip(" "))
            elif word - at >= abs(width):
                at += abs(width)
            else:
                break
            depth += 1
        return at, word, depth

    def _empty(self, line: str, is_whole: bool) -> Line | Literal[False] | None:
        """What `_usual` says of a line in which nothing stands."""
        containers, is_code = self._containers, self.leaf == "fence"
        if is_code and not containers:
            self.waits = ""
            return _CODE if is_whole or len(line) > 3 else None
        if is_code or (is_whole and (line or self._is_bare)):
            return False
        self.waits = "" if is_whole else " \t"
        if not is_whole:
            return None
        if QUOTE in containers:
            self._containers = containers[: containers.index(QUOTE)]
        self.leaf = ""
        self.heads = 0
        return _BLANK

    @staticmethod
    def _quote(place: Place) -> None:
        place.mark(1)
        if place.indent:
            place.skip(1)

    def _fenced(self, place: Place, is_whole: bool) -> Line | Literal[False] | None:
        mark, size = self._fence
        if place.is_over:
            return Line("fenced", place.at) if is_whole or place.indent > 3 else None
        if place.indent < 4 and place.line[place.word] == mark:
            rest = place.line[place.word :].rstrip(" \t")
            if rest == mark * len(rest) and (len(rest) >= size or place.line.endswith(mark)):
                if not is_whole:
                    return None
                if len(rest) >= size:
                    self.leaf = ""
                    return Line("unfence", place.word)
        return Line("fenced", place.at)

    def _markup(self, place: Place, is_whole: bool) -> Line | Literal[False] | None:
        if self.html:
            return Line("html", place.at)
        if place.is_over:
            if not is_whole:
                return None
            self.leaf = ""
            return Line("blank", place.word)
        return Line("html", place.at)

    # ------------------------------------------------------------------ a block begins

    def _begin(self, place: Place, depth: int, is_whole: bool) -> Line | None:
        containers = self._containers[:depth]
        opened = False
        bare = False
        is_text = self.leaf == "text" and (self.has_text or (self.may_title and place.line[place.word : place.word + 1] in _QUOTES))
        while True:
            inside = is_text and not opened and depth == len(self._containers)  # would it interrupt a paragraph, or end it?
            if place.is_over:
                if not is_whole:
                    self.waits = " \t" if self.leaf not in ("fence", "html") else ""
                    return None
                return self._blank(place, containers, opened=opened, bare=bare)
            if place.indent > 3:
                if is_text and not opened:
                    return Line("text", place.word, continues=True)
                return self._enter(containers, Line("code", place.at), "")
            found = self._leaf(place, inside, is_text and not opened, is_whole)
            if found is None:
                return None
            if found:
                leaf = found.kind if found.kind in ("fence", "html", "table") else ""
                return self._enter(containers, found, leaf)
            is_kept = is_text and not opened and self._containers[depth : depth + 1] == (QUOTE,) and place.line[place.word] == "["
            width: int | None = NO_CONTAINER  # a footnote does not end the paragraph of a quote
            if len(containers) < MAX_DEPTH and not is_kept:
                width = self._container(place, inside, is_whole)
            if width is None:
                return None
            if width == NO_CONTAINER:
                break
            containers = (*containers, width)
            opened = True
            bare = width > 0 and place.is_over
        if self.leaf == "table" and depth == len(self._containers) and not opened:
            return Line("row", place.word)
        if is_text and not opened:
            return Line("text", place.word, continues=True, can_head=inside)
        return self._enter(containers, Line("text", place.word, can_head=True), "text")

    def _enter(self, containers: tuple[int, ...], line: Line, leaf: str) -> Line:
        self._containers = containers
        self._is_bare = False
        self.leaf = leaf
        return line

    def _blank(self, place: Place, containers: tuple[int, ...], *, opened: bool, bare: bool) -> Line:
        self._containers = containers
        self._is_bare = bare
        self.leaf = ""
        return Line("blank", place.word)

    def _leaf(self, place: Place, inside: bool, is_lazy: bool, is_whole: bool) -> Line | Literal[False] | None:
        """A block that is no paragraph. None: that is open; False: it is none."""
        line, word = place.line, place.word
        rest = line[word:]
        first = rest[0]
        if first in "|:-" and inside and self.heads:
            found = _DELIMITERS.match(rest)
            if found and found.end() == len(rest):
                if not is_whole:
                    self.waits = "|:- \t"
                    return None
                if columns(rest) == self.heads:
                    return Line("table", word)
        if first == "#":
            heading = _HEADING.match(rest)
            if heading:
                return Line("heading", word + heading.end()) if heading[1] or is_whole else None
            return None if not is_whole and rest in "######" else False
        if first in "`~":
            fence = _FENCE.match(rest)
            if fence is None:
                return None if not is_whole and rest == first * len(rest) else False
            if first == "`" and "`" in rest[fence.end() :]:
                return False
            if not is_whole:
                return None
            self._fence = first, fence.end()
            return Line("fence", word)
        if first == "<":
            return self._html(rest, word, is_lazy, is_whole)
        if first in "=-" and inside and self.has_text:
            underline = _UNDERLINE.match(rest)
            if underline and underline.end() == len(rest):
                if is_whole:
                    return Line("underline", word)
                self.waits = first if rest[-1] == first else " \t"
                return None
        if first in "*-_":
            rule = _RULE.match(rest)
            if rule and rule.end() == len(rest):
                if not is_whole:
                    self.waits = first + " \t"
                    return None
                if rest.count(first) > 2:
                    return Line("rule", word)
        return False

    def _html(self, rest: str, word: int, is_lazy: bool, is_whole: bool) -> Line | Literal[False] | None:
        line = rest + "\n" if is_whole else rest
        found = _RAW.match(line, partial=True)
        if found and not found.partial:
            self.html = "" if found.lastgroup == "element" else str(found.lastgroup)
            return Line("html", word)
        tag = None if is_lazy else _TAG_LINE.match(line, partial=True)
        if tag and not tag.partial:
            self.html = ""
            return Line("html", word)
        return None if not is_whole and (found or tag) else False

    def ends_html(self, line: str) -> bool:
        """Whether a block of HTML ends with this line of it."""
        return bool(self.html) and _HTML_ENDS[self.html].search(line) is not None

    def _container(self, place: Place, inside: bool, is_whole: bool) -> int | None:
        """Step into a container that begins here, and give its width. None: that is open; `NO_CONTAINER`: there is none."""
        line, word = place.line, place.word
        first = line[word]
        if first == ">":
            self._quote(place)
            return QUOTE
        if first == "[":
            note = _NOTE.match(line, word)
            if note and line[note.end() - 1] == ":" and note[1] and line[note.end() - 2] == "]":
                self._names.add("note", note[1])
                place.mark(note.end() - word)
                if place.indent > 3:
                    place.skip(4)
                return NOTE
            return None if note and note.end() == len(line) and not is_whole else NO_CONTAINER
        if first in "-+*":
            found = _BULLET.match(line, word)
            is_open = word + 1 == len(line)
        elif first in "0123456789":
            found = _NUMBER.match(line, word)
            is_open = found is not None and found.end() == len(line)
            if found and line[found.end() - 1] not in ".)":
                return NO_CONTAINER if is_whole else None
            if found and inside and int(found[1]) != 1:
                return NO_CONTAINER
        else:
            return NO_CONTAINER
        if is_open and not is_whole:
            return None
        return NO_CONTAINER if found is None else _item(place, found.end() - word, inside, is_whole)


def _item(place: Place, chars: int, inside: bool, is_whole: bool) -> int | None:
    """Step into a list item whose mark has so many characters."""
    rest = place.line[place.word + chars :]
    if not rest.strip(" \t"):
        if not is_whole:
            return None
        if inside:
            return NO_CONTAINER  # an empty item interrupts no paragraph
    width = place.indent + chars
    place.mark(chars)
    if place.is_over or place.indent > 4:
        if place.indent:
            place.skip(1)
        return width + 1
    width += place.indent
    place.skip(place.indent)
    return width
