r"""Patterns in the syntax of Go's `regexp`, which gitleaks uses, as trees.

The two differ in what would go unnoticed: `$` is the very end of the text in one and may stand before a last newline in the other,
a flag in the middle of a group holds to the group's end, `{,5}` is five characters, `\s` has no vertical tab, `\w` and `\b` are
ASCII. Source: the documentation of `regexp/syntax` (Go 1.24).

What is written here is meant for `regex` with the flag ASCII. Letters whose case is ignored then match ASCII only, where Go also
takes the long s and the Kelvin sign.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import regex

from streamfilter.detectors.gitleaks.tree import UNBOUNDED, Atom, Edge, Either, Group, Node, Repeat, Row

MAX_REPEAT = 1000
"""What Go allows a repeat to count to."""


class NotGoError(ValueError):
    """A pattern that Go would refuse, or that has no counterpart; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, parsed.

    Attributes:
        root: its tree.
        flags: of `regex`, for the whole of it.
        groups: how many groups capture.
    """

    root: Node
    flags: int
    groups: int


def parse(source: str) -> Pattern:
    r"""The tree of a pattern in Go's syntax.

    Raises:
        NotGoError: Go would refuse it, or it has no counterpart.

    Example:
        >>> from streamfilter.detectors.gitleaks.tree import written
        >>> written(parse(r"(?i)key=(\w{8})$").root)
        'key=(\\w{8})\\Z'
    """
    parser = _Parser(_ESCAPE.sub(_unquoted, source))
    try:
        root = parser.alternatives()
    except RecursionError:
        raise parser.refused("(", "it is nested too deeply") from None
    if parser.at < len(parser.source):
        raise parser.refused(")", "nothing opens it")
    return Pattern(root, int(regex.ASCII | (regex.IGNORECASE if parser.ignores_all else 0)), parser.groups)


_ESCAPE = re.compile(r"\\(?:Q(?P<quoted>.*?)(?:\\E|\Z)|.)", re.DOTALL)
_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_NAMED = re.compile(r"\(\?P?<(\w+)>")
_CODE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|(0[0-7]{0,2}|[1-7][0-7]{1,2}))")
_PROPERTY = re.compile(r"\\[pP](?:[A-Z]|\{\^?\w+\})")
_POSIX = re.compile(r"\[:(\w+):\]")
_CONTROLS = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_ESCAPED = {character: f"\\{letter}" for letter, character in _CONTROLS.items()}
_EDGES = {"A": r"\A", "z": r"\Z", "b": r"\b", "B": r"\B"}
_OUTSIDE = {"s": r"[\t\n\f\r ]", "S": r"[^\t\n\f\r ]"}
_INSIDE = {"s": r"\t\n\f\r ", "S": r"\S\v"}
_SETS = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.groups = 0
        self.flags = frozenset[str]()
        self.ignores_all = source.startswith("(?") and (found := _FLAGS.match(source)) is not None and _holds_for_all(found)
        if self.ignores_all:
            self.flags = frozenset("i")

    def refused(self, what: str, reason: str) -> NotGoError:
        return NotGoError(f"{what} at position {self.at}: {reason}")

    def alternatives(self) -> Node:
        """Branches up to the parenthesis that closes them. A flag that is set in one holds for those behind it too."""
        outer = "i" in self.flags
        branches: list[Node] = []
        while True:
            branches.append(self.branch(ignores_case=outer))
            if not self.source.startswith("|", self.at):
                return branches[0] if len(branches) == 1 else Either(tuple(branches))
            self.at += 1

    def branch(self, *, ignores_case: bool) -> Node:
        """One branch, with what stands behind a flag in a group of its own."""
        items: list[Node] = []
        part: list[Node] = []
        holds = "i" in self.flags

        def close() -> None:
            if holds != ignores_case and part:
                items.append(Group("(?i:" if holds else "(?-i:", Row(tuple(part))))
            else:
                items.extend(part)
            part.clear()

        while self.at < len(self.source) and self.source[self.at] not in "|)":
            item = self.item()
            if item is not None:
                part.append(self.repeated(item))
            elif ("i" in self.flags) != holds:
                close()
                holds = not holds
        close()
        return Row(tuple(items))

    def repeated(self, item: Node) -> Node:
        found = _REPEAT.match(self.source, self.at)
        if found is None:
            return item
        self.at = found.end()
        if _REPEAT.match(self.source, self.at):
            raise self.refused(self.source[self.at], "a repeat of a repeat")
        sign = found.group()
        least, most = {"*": (0, UNBOUNDED), "+": (1, UNBOUNDED), "?": (0, 1)}.get(sign[0], (0, 0))
        if sign[0] == "{":
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else UNBOUNDED
            if least > MAX_REPEAT or least > most or MAX_REPEAT < most < UNBOUNDED:
                raise self.refused(sign, f"it must count up, to {MAX_REPEAT} at most")
        return Repeat(item, least, most, sign)

    def item(self) -> Node | None:
        character = self.source[self.at]
        if character == "(":
            return self.group()
        if character == "[":
            return self.char_class()
        if character == "\\":
            return self.escape()
        if _REPEAT.match(self.source, self.at):
            raise self.refused(character, "nothing to repeat")
        self.at += 1
        if character == "^":
            return Edge("(?m:^)" if "m" in self.flags else "^")
        if character == "$":
            return Edge("(?m:$)" if "m" in self.flags else r"\Z")
        if character == ".":
            return Atom("(?s:.)" if "s" in self.flags else ".")
        return _literal(character)

    # -------------------------------------------------------------- groups

    def group(self) -> Node | None:
        saved = self.flags
        if found := _NAMED.match(self.source, self.at):
            self.at = found.end()
        elif found := _FLAGS.match(self.source, self.at):
            return self.flag_group(found)
        elif self.source.startswith("(?", self.at):
            raise self.refused(self.source[self.at : self.at + 4], "Go has no such group")
        else:
            self.at += 1
        self.groups += 1
        number = self.groups
        body = self.enclosed()
        self.flags = saved
        return Group("(", body, number)

    def flag_group(self, found: re.Match[str]) -> Node | None:
        on, off, end = found[1], found[2] or "", found[3]
        if "U" in on + off:
            raise self.refused(found.group(), "it swaps greedy and lazy, which `regex` cannot")
        saved = self.flags
        self.flags = (self.flags | frozenset(on)) - frozenset(off)
        self.at = found.end()
        if end == ")":
            return None
        changed = ("i" in self.flags) != ("i" in saved)
        opening = "(?:" if not changed else "(?i:" if "i" in self.flags else "(?-i:"
        body = self.enclosed()
        self.flags = saved
        return Group(opening, body)

    def enclosed(self) -> Node:
        body = self.alternatives()
        if not self.source.startswith(")", self.at):
            raise self.refused("(", "it is not closed")
        self.at += 1
        return body

    # -------------------------------------------------------------- characters

    def escape(self) -> Node:
        letter = self.source[self.at + 1 : self.at + 2]
        if letter in _EDGES and letter:
            self.at += 2
            return Edge(_EDGES[letter])
        if letter in _OUTSIDE and letter:
            self.at += 2
            return Atom(_OUTSIDE[letter])
        source, character = self.character()
        return _literal(character) if character else Atom(source)

    def character(self) -> tuple[str, str]:
        """An escape as it is written in a set, and the one character that it is, if it is one."""
        if found := _CODE.match(self.source, self.at):
            self.at = found.end()
            code = int(found[3], 8) if found[3] else int(found[1] or found[2], 16)
            if code > 0x10FFFF:
                raise self.refused(found.group(), "there is no such character")
            return _in_set(chr(code)), chr(code)
        if found := _PROPERTY.match(self.source, self.at):
            raise self.refused(found.group(), "sets of Unicode beside those of ASCII cannot be written for `regex`")
        letter = self.source[self.at + 1 : self.at + 2]
        if letter in "dDwWsS" and letter:
            self.at += 2
            return _INSIDE.get(letter, f"\\{letter}"), ""
        character = _CONTROLS.get(letter, letter)
        if not letter or (character == letter and (letter.isalnum() or not letter.isascii())):
            raise self.refused(f"\\{letter}", "Go has no such escape")
        self.at += 2
        return _in_set(character), character

    def char_class(self) -> Atom:
        start = self.at
        self.at += 1
        negated = self.source.startswith("^", self.at)
        self.at += negated
        parts: list[str] = []
        members: list[str] = []
        while self.at < len(self.source) and (self.source[self.at] != "]" or not parts):
            source, character = self.member()
            parts.append(source)
            members.append(character.lower())
        if self.at >= len(self.source):
            self.at = start
            raise self.refused("[", "it is not closed")
        self.at += 1
        certain = all(members) and not negated
        return Atom(f"[{'^' * negated}{''.join(parts)}]", "".join(members) if certain else "")

    def member(self) -> tuple[str, str]:
        """The next of a set: a character, a range, a named set. And the one character that it is, if it is one."""
        if found := _POSIX.match(self.source, self.at):
            if found[1] not in _SETS:
                raise self.refused(found.group(), "there is no such set")
            self.at = found.end()
            return _SETS[found[1]], ""
        if self.source.startswith("[:^", self.at):
            raise self.refused("[:^", "the complement of a named set cannot be written in a set of `regex`")
        source, first = self.bound()
        ranged = self.source.startswith("-", self.at) and self.source[self.at + 1 : self.at + 2] not in ("]", "")
        if not (first and ranged):
            return source, first
        self.at += 1
        end, last = self.bound()
        if not last or last < first:
            raise self.refused("-", "a range must go up")
        return f"{source}-{end}", ""

    def bound(self) -> tuple[str, str]:
        character = self.source[self.at]
        if character == "\\":
            return self.character()
        self.at += 1
        return _in_set(character), character


def _holds_for_all(found: re.Match[str]) -> bool:
    """Whether flags at the beginning say for the whole pattern that case is ignored."""
    return found[3] == ")" and "i" in found[1]


def _unquoted(found: re.Match[str]) -> str:
    r"""What stands between `\Q` and `\E`, each character escaped; another escape as it is."""
    return found.group() if found["quoted"] is None else re.sub(r"([^\w\s])", r"\\\1", found["quoted"], flags=re.ASCII)


def _literal(character: str) -> Atom:
    special = character in r"\.^$*+?{}[]()|"
    return Atom(f"\\{character}" if special else _shown(character), character.lower())


def _in_set(character: str) -> str:
    return f"\\{character}" if character in "\\]^[-&~|" else _shown(character)


def _shown(character: str) -> str:
    """A character as it stands in a pattern, or if one could not see it, its escape."""
    return _ESCAPED.get(character, character if character.isprintable() else f"\\U{ord(character):08x}")
