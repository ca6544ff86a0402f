"""The search for a document in prose: where a bracket is one's beginning, and where it is only a bracket.

Only `{` or `[` opens a document, and only once it has shown that it is one, by `{"key":`, `{}` or a first complete element. What is
malformed before that was prose, and the search goes on one character later. A number or a literal is complete with the comma or the
bracket behind it: `[10:32:05]` and `[true story]` are prose. What a model of reasoning thought first is no document.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from streamfilter.errors import LimitExceeded, MalformedInput
from streamfilter.parsing.parser import Limits, Parser, Position, Sink

PIECE_CHARS = 4096
"""Characters that are searched at a time: what follows a candidate that was prose is copied, which in all of a long text would take
quadratic time."""

PROBE_CHARS = 100_000
"""Characters of a possible document that are kept until it has shown that it is one. Only what begins with a very long string, or
nothing but white space, can reach it; it is taken for a document then."""

THOUGHT = ("<think>", "</think>")
"""What models of reasoning put around it, where it comes in the text. Whatever stands there is no answer."""

EVIDENT_CHARS = 64
"""Characters up to which the beginning of the text is only looked at, which is quicker than to parse it."""

FENCED_CHARS = 100
"""Characters that an empty array and the fence around it may have."""

_FENCED = re.compile(r"\s*(?:```[a-zA-Z]*\s*)?\[\s*\]\s*(?:```\s*)?").fullmatch
_BRACKET = re.compile(r"[\[{]")
_ESCAPED = re.compile(r'(?:\[[ \t\n\r]*)+"[^"\\\x00-\x1f]*\\').match


_EVIDENT = re.compile(r'(?:\[[ \t\n\r]*)?(?:\{[ \t\n\r]*(?:"[^"\\\x00-\x1f]*(?:"[ \t\n\r]*(:)?)?)?)?').match
"""The beginning of most documents: an object, or an array of them, up to the first colon."""


@functools.cache
def _opening(brackets: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(brackets)}]")


class _Evident(Exception):
    """This is a document."""


class _Probe(Sink):
    """Listens to what may be a document, until it has shown that it is one. Of commas it hears nothing: see `Search._tried`."""

    takes_whole = False

    def __init__(self) -> None:
        self._arrays: list[bool] = []
        self.depth = 0  # of the first number or literal: how many arrays it stands in; 0, if there was none

    def begin_object(self) -> None:
        self._arrays.append(False)

    def begin_array(self) -> None:
        self._arrays.append(True)

    def key(self, key: str) -> None:
        raise _Evident

    def end(self) -> None:
        was_array = self._arrays.pop()
        if not was_array or self._arrays or self.depth:  # `{}`, or an element of an array; `[]` alone is nothing yet
            raise _Evident

    def end_string(self) -> None:
        raise _Evident

    def value(self, value: Any) -> None:
        self.depth = self.depth or len(self._arrays)


class Search:
    """Looks for the beginning of a document in prose.

    Args:
        opens: which brackets may open one.
        limits: of the parser.

    Attributes:
        escaped: where the first array began that was prose, an escape in its first string: who reads strictly may have read it.

    Example:
        >>> Search("{[", Limits()).feed('Use {x}: {"a":')
        ('Use {x}: ', '{"a":')
    """

    def __init__(self, opens: str, limits: Limits) -> None:
        self._opens = opens
        self._limits = limits
        self._begun: str | None = "" if limits.max_depth > 1 else None  # all of the text, while it looks like most documents
        self._evident = min(EVIDENT_CHARS, limits.max_string)  # up to where: what is more than the limits allow is to be found out
        self._probe: Parser | None = None
        self._heard = _Probe()
        self._candidate = ""
        self._thought: bool | None = None  # whether we are inside of one; None until that is known
        self._tag = ""  # what may become a tag
        self.escaped: int | None = None
        self.has_empty: bool = False  # whether there was an empty array
        self._around = ""  # the beginning of the prose, to see whether it is but a fence

    def feed(self, text: str, offset: int = 0) -> tuple[str, str]:
        """What is prose, and then what is to be parsed, if that is known.

        Args:
            text: more of it.
            offset: behind all that was prose until now.
        """
        if self._begun is not None:
            begun = self._begun + text
            found = _EVIDENT(begun)
            if found and begun[0] in self._opens and found.end() < self._evident and (found[1] or found.end() == len(begun)):
                if not found[1]:
                    self._begun = begun
                    return "", ""
                self._begun, self._thought = None, False
                return "", begun
            self._begun, text = None, begun
        skipped, candidate = self._searched(text, offset)
        self._keep_around(skipped)
        return skipped, candidate

    def skip(self, text: str) -> None:
        """What comes before all that is searched from here on. If that is not white space, no thought leads any more."""
        if self._thought is None and text.strip():
            self._thought = False

    def _keep_around(self, prose: str) -> None:
        """Keep the beginning of the prose."""
        if len(self._around) <= FENCED_CHARS:
            self._around += prose[: FENCED_CHARS + 1]

    def _searched(self, text: str, offset: int) -> tuple[str, str]:
        skipped: list[str] = []
        if self._thought is not False:
            thought, text = self._behind_thought(text)
            skipped.append(thought)
            offset += len(thought)
        for at in range(0, len(text), PIECE_CHARS):
            prose, candidate = self._searched_piece(text[at : at + PIECE_CHARS], offset)
            skipped.append(prose)
            offset += len(prose)
            if candidate:
                return "".join(skipped), candidate + text[at + PIECE_CHARS :]
        return "".join(skipped), ""

    def _searched_piece(self, text: str, offset: int) -> tuple[str, str]:
        skipped = ""
        while True:
            if self._probe is None:
                found = _opening(self._opens).search(text)
                if found is None:
                    return skipped + text, ""
                skipped += text[: found.start()]
                text = text[found.start() :]
                self._heard = _Probe()
                self._probe = Parser(self._heard, self._limits, Position(offset + len(skipped)))
            room = PROBE_CHARS - len(self._candidate)
            self._candidate += text
            verdict = self._tried(text[:room])
            if verdict == "open" and len(text) >= room:
                verdict = "document"
            if verdict == "document":
                candidate = self._candidate
                self.leave()
                return skipped, candidate
            if verdict == "open":
                return skipped, ""
            if self.escaped is None and "\\" in self._candidate and _ESCAPED(self._candidate):
                self.escaped = offset + len(skipped)
            prose = self._prose()
            skipped += self._candidate[:prose]
            text = self._candidate[prose:]
            self.leave()

    @property
    def is_empty_array(self) -> bool:
        """Whether the text was an empty array, perhaps in a fence, and nothing else: `[ ]` in prose is a box to be ticked."""
        return self.has_empty and len(self._around) <= FENCED_CHARS and _FENCED(self._around) is not None

    def finish(self) -> tuple[str, str]:
        """The text is over, and what was held as a candidate is none: its prose, and what to search further, if there is any."""
        prose, rest = "", self._tag or self._begun or ""
        self._tag, self._begun = "", None
        if self._probe is not None:
            end = self._prose()
            prose, rest = self._candidate[:end], self._candidate[end:]
            self._keep_around(prose)
            self.leave()
        self._thought = False
        return prose, rest

    def _tried(self, text: str) -> str:
        probe = self._probe
        assert probe is not None
        verdict = "open"
        try:
            probe.feed(text)
        except _Evident:
            return "document"
        except MalformedInput:
            verdict = "prose"
        except LimitExceeded:
            if not self._has_comma(probe):
                raise
        if probe.is_complete:
            self.has_empty = True
            return "prose"
        return "document" if self._has_comma(probe) else verdict

    def _has_comma(self, probe: Parser) -> bool:
        """Whether there was one, behind an element: a number or a literal, as all others have shown what they stand in.

        No more than the first of them is looked at: this runs for each piece, and there may be as many open arrays as characters.
        """
        depth = self._heard.depth
        return depth > 0 and probe.path[depth - 1] != 0

    def _prose(self) -> int:
        """How much of the candidate is prose: the brackets that were open would fail at the same place, each by itself."""
        assert self._probe is not None
        opened = max(1, len(self._probe.path))
        at = 0
        for _ in range(opened):
            found = _BRACKET.search(self._candidate, at)
            at = found.end() if found else len(self._candidate)
        return at

    def leave(self) -> None:
        """Let go of what is held, of which nothing more is wanted."""
        if self._probe is not None:
            self._probe.leave()
        self._probe = None
        self._candidate = ""

    def _behind_thought(self, text: str) -> tuple[str, str]:
        """The text of a leading thought, and what comes behind it. What may become a tag is held."""
        text = self._tag + text
        self._tag = ""
        begin, end = THOUGHT
        if self._thought is None:
            bare = text.lstrip()
            if len(bare) < len(begin) and begin.startswith(bare):
                self._tag = bare
                return text[: len(text) - len(bare)], ""
            self._thought = bare.startswith(begin)
            if not self._thought:
                return "", text
        at = text.find(end)
        if at >= 0:
            self._thought = False
            return text[: at + len(end)], text[at + len(end) :]
        held = next(n for n in range(len(end) - 1, -1, -1) if text.endswith(end[:n]))
        self._tag = text[len(text) - held :]
        return text[: len(text) - held], ""
