"""The syntax of `regex` patterns: text to tree, as far as an engine must understand a pattern to stream it exactly.

Constructs that cannot be streamed are refused here, with the reason; whether a pattern is valid at all is left to `regex.compile`.

The module `regex` has a parser of its own, but a private one, which moves between versions.
Source of the syntax: the documentation of `regex` 2026.11.15, and its behaviour where that is silent.
"""

from __future__ import annotations

import re

import regex

from streamfilter.matching.tree import (
    UNBOUNDED,
    Call,
    Capture,
    Char,
    Choice,
    Conditional,
    Edge,
    Flags,
    Group,
    Look,
    Node,
    Reference,
    Refused,
    Repeat,
    Sequence,
    Several,
    Tree,
)

_REFUSED_FLAGS = {
    regex.BESTMATCH: "BESTMATCH needs all of the text before it can say which match is best",
    regex.ENHANCEMATCH: "ENHANCEMATCH is for fuzzy matching, which needs all of the text",
    regex.FULLCASE: "full case-folding can match several characters with one, and is not decided at the end of what has arrived",
    regex.LOCALE: "LOCALE is for bytes",
    regex.POSIX: "POSIX matching wants the longest match, and so needs all of the text",
    regex.REVERSE: "REVERSE searches from the end of the text",
    regex.WORD: "WORD uses Unicode's default boundaries, which look ahead without bound",
}
_REFUSED_LETTERS = {
    letter: _REFUSED_FLAGS[flag]
    for letter, flag in {
        "b": regex.BESTMATCH,
        "e": regex.ENHANCEMATCH,
        "f": regex.FULLCASE,
        "L": regex.LOCALE,
        "p": regex.POSIX,
        "r": regex.REVERSE,
        "w": regex.WORD,
    }.items()
}
_LETTERS = {
    "a": regex.ASCII,
    "i": regex.IGNORECASE,
    "m": regex.MULTILINE,
    "s": regex.DOTALL,
    "u": regex.UNICODE,
    "x": regex.VERBOSE,
}
_TAKEN_FLAGS = sum(int(flag) for flag in [*_LETTERS.values(), regex.VERSION0, regex.VERSION1])

_COMMENT = re.compile(r"\(\?#(?:\\.|[^)])*\)?")
_VERBOSE_BLANK = re.compile(rf"{_COMMENT.pattern}|\s|#[^\n]*")
_QUANTIFIER = re.compile(r"([*+?]|\{(?:\d+(?:,\d*)?|,\d*)\})([?+]?)")
_BRACES = re.compile(r"\{[^{}]*\}")
_FLAG_GROUP = re.compile(r"\(\?((?:[a-zA-UW-Z]|V[01])*)(?:-([a-zA-Z]+))?([:)])")
_VERSION1 = re.compile(r"\(\?[a-zA-Z]*V1")
_NAMED_GROUP = re.compile(r"\(\?P?<([^\W\d]\w*)>")
_CALL = re.compile(r"\(\?(?:R|(?:&|P>)(?P<name>\w+)|(?P<number>[+-]?\d+))\)")
_REFERENCE = re.compile(r"\(\?P=(\w+)\)")
_TEST = re.compile(r"\(\?\((?:(?P<number>\d+)|(?P<name>\w+))\)")
_PROPERTY = r"\^?[A-Za-z0-9 &_.-]*(?:[:=][A-Za-z0-9 &_./-]*)?"
_POSIX_CLASS = re.compile(rf"\[:{_PROPERTY}:\]")
_LONG_ESCAPE = re.compile(
    rf"\\(?:[pP](?:\{{{_PROPERTY}\}}|[CLMNPSZ])"
    r"|N\{[^}]*\}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0[0-7]{0,2}|[0-7]{3})"
)
_GROUP_ESCAPE = re.compile(r"\\(?:g<(\w+)>|([1-9]\d?))")
_LIST_ESCAPE = re.compile(r"\\L<\w+>")
_EDGES = {"b": r"\b", "B": r"\B", "m": r"\m", "M": r"\M", "A": "^", "Z": r"\Z", "z": r"\Z"}


def parse(pattern: str, flags: int = 0) -> Tree:
    r"""The tree of a pattern.

    Args:
        pattern: in the syntax of `regex`.
        flags: of `regex.compile`.

    Raises:
        Refused: it has a construct that cannot be streamed exactly.

    Example:
        >>> parse(r"a\b").root
        Sequence(items=(Char(source='a'), Edge(kind='\\b')))
    """
    return _Parser(pattern, flags).tree()


class _Parser:
    def __init__(self, pattern: str, flags: int) -> None:
        for flag, reason in _REFUSED_FLAGS.items():
            if flags & flag:
                raise Refused(f"{flag.name}", 0, reason)
        if unknown := int(flags) & ~_TAKEN_FLAGS:
            raise Refused(f"flags={unknown}", 0, "only the flags A, I, M, S, X, U and the versions are taken")
        self.pattern = pattern
        self.flags = flags
        self.at = 0
        self.multiline = bool(flags & regex.MULTILINE)
        self.verbose = bool(flags & regex.VERBOSE)
        self.ignore_case = bool(flags & regex.IGNORECASE)
        self.changes_case = False  # in a part
        self.version1 = bool(flags & regex.VERSION1) or _VERSION1.search(pattern) is not None
        self.groups = 0
        self.names: dict[str, int] = {}
        self.open: list[int] = []  # the groups around the present place
        self.calls: list[tuple[int, str, str, int]] = []  # (the group around, what it calls, as written, where)

    def tree(self) -> Tree:
        root = self.alternatives()
        if self.version1 and (self.ignore_case or self.changes_case):
            raise Refused("(?V1) with IGNORECASE", 0, _REFUSED_FLAGS[regex.FULLCASE])
        tree = Tree(
            root,
            self.names,
            version1=self.version1,
            ascii=bool(self.flags & regex.ASCII),
            ignore_case=self.ignore_case,
            mixed_case=self.changes_case,
            dot_all=bool(self.flags & regex.DOTALL),
            verbose=self.verbose,
        )
        return self.check_calls(tree)

    def refused(self, construct: str, reason: str, at: int | None = None) -> Refused:
        return Refused(construct, self.at if at is None else at, reason)

    def peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    # -------------------------------------------------------------- structure

    def alternatives(self) -> Node:
        """Branches up to the closing parenthesis or the end."""
        branches = [self.sequence()]
        while self.peek("|"):
            self.at += 1
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            if self.skip_blank():
                continue
            last = len(items) - 1
            while last >= 0 and isinstance(items[last], Flags):
                last -= 1  # they stand between what is repeated and how often
            if last >= 0 and (quantified := self.quantifier(items[last])):
                items[last] = quantified
                continue
            if (item := self.item()) is not None:
                items.append(item)
        return Sequence(tuple(items))

    def skip_blank(self) -> bool:
        """Skip a comment, and in a verbose pattern white space."""
        found = (_VERBOSE_BLANK if self.verbose else _COMMENT).match(self.pattern, self.at)
        if found is not None:
            self.at = found.end()
        return found is not None

    def quantifier(self, body: Node) -> Repeat | None:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found is None:
            braces = _BRACES.match(self.pattern, self.at)
            if braces is not None and _is_fuzzy(braces.group()):
                raise self.refused(braces.group(), "fuzzy matching needs all of the text; a literal brace is written \\{")
            return None
        self.at = found.end()
        source, mode = found.groups()
        if source[0] == "{":
            least, comma, most = source[1:-1].partition(",")
            lower = int(least or 0)
            upper = int(most) if most else UNBOUNDED if comma else lower
        else:
            lower, upper = {"*": (0, UNBOUNDED), "+": (1, UNBOUNDED), "?": (0, 1)}[source]
        return Repeat(body, lower, upper, source, mode)

    def item(self) -> Node | None:
        character = self.pattern[self.at]
        if character == "(":
            return self.group()
        if character == "[":
            return self.char_class()
        if character == "\\":
            return self.escape()
        self.at += 1
        if character == "^":
            return Edge("^m" if self.multiline else "^")
        if character == "$":
            return Edge("$m" if self.multiline else "$")
        return Char(character)

    def char_class(self) -> Char:
        """A set, taken over as it is written: only where it ends matters here."""
        start = self.at
        self._skip_set()
        return Char(self.pattern[start : self.at])

    def _skip_set(self) -> None:
        pattern = self.pattern
        self.at += 1
        if self.peek("^"):
            self.at += 1
        if self.peek("]"):
            self.at += 1
        while self.at < len(pattern) and pattern[self.at] != "]":
            if self.peek("\\"):
                self.at += 2
            elif found := _POSIX_CLASS.match(pattern, self.at):
                self.at = found.end()
            elif self.version1 and self.peek("["):
                self._skip_set()
            else:
                self.at += 1
        self.at += 1

    def escape(self) -> Node:
        pattern, start = self.pattern, self.at
        for kind in (_LONG_ESCAPE, _LIST_ESCAPE, _GROUP_ESCAPE):
            if found := kind.match(pattern, start):
                self.at = found.end()
                if kind is _LONG_ESCAPE:
                    return Char(found.group())
                return Several(found.group()) if kind is _LIST_ESCAPE else self.reference(found, start)
        letter = pattern[start + 1 : start + 2]
        self.at += 2
        if letter in _EDGES and letter:
            return Edge(_EDGES[letter])
        if letter in ("X", "R"):
            return Several(f"\\{letter}")
        if letter == "G":
            raise self.refused("\\G", "it stands where the search began, which in a stream depends on the chunks", start)
        if letter == "K":
            raise self.refused("\\K", "it gives back decided text; use a lookbehind", start)
        return Char(letter if letter in ("p", "P") else f"\\{letter}")  # no property, so the letter itself

    # -------------------------------------------------------------- groups

    def group(self) -> Node | None:
        pattern, start = self.pattern, self.at
        if self.peek("(*"):
            raise self.refused("(*", "backtracking verbs are not decided at the end of what has arrived")
        if found := _REFERENCE.match(pattern, start):
            self.at = found.end()
            return Reference(self.number(found[1], start))
        if found := _CALL.match(pattern, start):
            return self.call(found)
        if found := _NAMED_GROUP.match(pattern, start):
            if found[1] not in self.names:
                self.groups += 1
                self.names[found[1]] = self.groups
            return self.capture(found.end(), self.names[found[1]])
        if self.peek("(?("):
            return self.conditional()
        for opening in ("(?<=", "(?<!", "(?=", "(?!"):
            if self.peek(opening):
                return self.look(opening)
        if self.peek("(?>"):
            return Group("(?>", self.enclosed(start + 3))
        if self.peek("(?|"):
            return Group("(?:", self.branch_reset(start + 3))
        if found := _FLAG_GROUP.match(pattern, start):
            return self.flag_group(found)
        if self.peek("(?"):
            raise self.refused(pattern[start : start + 4], "this extension is not known here, so it cannot be streamed exactly")
        self.groups += 1
        return self.capture(start + 1, self.groups)

    def enclosed(self, at: int) -> Node:
        """What stands from `at` to the parenthesis that closes this group; flags set within end with it."""
        saved = self.multiline, self.verbose
        self.at = at
        body = self.alternatives()
        self.at += 1  # the closing parenthesis; if it is missing, `regex.compile` says so
        self.multiline, self.verbose = saved
        return body

    def capture(self, at: int, group: int) -> Capture:
        self.open.append(group)
        body = self.enclosed(at)
        self.open.pop()
        return Capture(body, group)

    def look(self, opening: str) -> Look:
        start = self.at
        return Look(opening, self.enclosed(start + len(opening)), start)

    def branch_reset(self, at: int) -> Node:
        """`(?|(a)|(b))`: the groups of each branch are numbered from the same."""
        saved = self.multiline, self.verbose
        self.at = at
        first = last = self.groups
        branches: list[Node] = []
        while True:
            self.groups = first
            branches.append(self.sequence())
            last = max(last, self.groups)
            if not self.peek("|"):
                break
            self.at += 1
        self.groups = last
        self.at += 1
        self.multiline, self.verbose = saved
        return Choice(tuple(branches))

    def conditional(self) -> Conditional:
        start = self.at
        if self.peek("(?(DEFINE)"):
            return Conditional(None, self.enclosed(start + len("(?(DEFINE)")))
        if found := _TEST.match(self.pattern, start):
            group = self.number(found["number"] or found["name"], start)
            return Conditional(group, self.enclosed(found.end()))
        self.at = start + 2
        for opening in ("(?<=", "(?<!", "(?=", "(?!"):
            if self.peek(opening):
                test = self.look(opening)
                return Conditional(test, self.enclosed(self.at))
        raise self.refused("(?(", "this condition is not known here, so it cannot be streamed exactly", start)

    def flag_group(self, found: re.Match[str]) -> Node | None:
        on, off, end = found[1], found[2] or "", found[3]
        for letter in on:
            if letter in _REFUSED_LETTERS:
                raise self.refused(f"(?{letter})", _REFUSED_LETTERS[letter])
        if found.start() == 0 and end == ")" and not off:
            self.leading_flags(found)
            return None
        for letter in "au":
            if letter in on + off:
                raise self.refused(f"(?{letter})", "`regex` honours it only for a whole pattern: put it first")
        saved = self.multiline, self.verbose
        self.changes_case = self.changes_case or ("i" in on and not self.ignore_case) or ("i" in off and self.ignore_case)
        self.multiline = (self.multiline or "m" in on) and "m" not in off
        self.verbose = (self.verbose or "x" in on) and "x" not in off
        kept = "".join(letter for letter in on if letter in "ims")
        dropped = "".join(letter for letter in off if letter in "ims")
        source = f"(?{kept}-{dropped}" if dropped else f"(?{kept}"
        if end == ":":
            self.at = found.end()
            body = self.alternatives()
            self.at += 1
            self.multiline, self.verbose = saved
            return Group(f"{source}:", body)
        self.at = found.end()
        return Flags(f"{source})") if kept or dropped else None

    def leading_flags(self, found: re.Match[str]) -> None:
        """Flags at the very beginning, which hold for all of the pattern."""
        self.at = found.end()
        for letter in found[1]:
            self.flags |= _LETTERS.get(letter, 0)
        self.multiline = bool(self.flags & regex.MULTILINE)
        self.verbose = bool(self.flags & regex.VERBOSE)
        self.ignore_case = bool(self.flags & regex.IGNORECASE)

    # -------------------------------------------------------------- references

    def reference(self, found: re.Match[str], start: int) -> Reference:
        group = self.number(found[1] or found[2], start)
        if group in self.open:  # `regex` takes that only as `\g<1>`, which then never matches
            raise self.refused(found.group(), "it refers to the group that it stands in", start)
        return Reference(group)

    def number(self, ref: str, at: int) -> int:
        """The number of a group named by number or name."""
        if ref.isdecimal():
            return int(ref)
        if ref not in self.names:
            raise self.refused(ref, "no group before it has this name", at)
        return self.names[ref]

    def call(self, found: re.Match[str]) -> Call:
        start = self.at
        self.at = found.end()
        ref = found["name"] or found["number"]
        if ref is None or ref == "0":
            raise self.refused(found.group(), "recursion can nest without bound", start)
        if ref[0] in "+-":
            raise self.refused(found.group(), "relative calls are not known here; name the group", start)
        self.calls += [(around, ref, found.group(), start) for around in (self.open or [0])]
        return Call(ref)

    def check_calls(self, tree: Tree) -> Tree:
        """A group that calls itself, or another that calls it, nests without bound."""
        called: dict[int, set[int]] = {}
        for around, ref, _, _ in self.calls:
            called.setdefault(around, set()).add(tree.number(ref))
        for _, ref, source, at in self.calls:
            if not tree.number(ref):
                continue  # there is no such group, which is for `regex` to say
            reached: set[int] = set()
            todo = {tree.number(ref)}
            while todo:
                todo = {inner for group in todo for inner in called.get(group, ())} - reached
                reached |= todo
            if tree.number(ref) in reached:
                raise Refused(source, at, "recursion can nest without bound")
        return tree


def _is_fuzzy(braces: str) -> bool:
    """Whether `regex` takes these braces, behind an atom, for a fuzzy constraint or for what they are: `regex` itself decides."""
    try:
        compiled = regex.compile(f"(?:a){braces}")
    except regex.error:
        return False
    literal = compiled.fullmatch(f"a{braces}")
    return literal is None or any(literal.fuzzy_counts)
