"""Where in HTML tags a text may stand, for every parser that may read it.

Whether a `<` begins a tag is for the Markdown renderer to say, and which quote ends a value depends on it; so each `<` with a
letter behind it begins one more reading of the text, and all of them go on at once. Each is a state of the tokenizer of the HTML
standard (13.2.5), a set of them is a number, and a step is a look into a table: no more states, however many tags were begun.
"""

from __future__ import annotations

import re
from functools import cache

_COUNT = 10
TAG, BEFORE, NAME, AFTER, EQUALS, DOUBLE, SINGLE, BARE, QUOTED, LOOSE = (1 << n for n in range(_COUNT))
"""The tokenizer's states. `LOOSE`: a line ended inside a quoted value. There a Markdown renderer may put tags of its own, whose
quotes end the value, so that any text behind may be an attribute: this state has no end."""

NAMED = NAME | AFTER | LOOSE
"""Where a `=` ends the name of an attribute."""

NAME_CHARS = 24
"""Longer than the name of any attribute that leads or loads."""

_TOKEN = re.compile(r"""[^\t\n\f\r />="'<]+|[\t\f ]+|[\n\r]+|.""", re.DOTALL)
_KINDS = {"\t": " ", "\f": " ", " ": " ", "\n": "\n", "\r": "\n", "/": "/", ">": ">", "=": "=", '"': '"', "'": "'"}

_BLANK = {TAG: BEFORE, NAME: AFTER, BARE: BEFORE, QUOTED: BEFORE}
_STEPS: dict[str, dict[int, int]] = {
    "x": {BEFORE: NAME, AFTER: NAME, EQUALS: BARE, QUOTED: NAME},
    " ": _BLANK,
    "\n": {**_BLANK, DOUBLE: DOUBLE | LOOSE, SINGLE: SINGLE | LOOSE},
    "/": {TAG: BEFORE, NAME: BEFORE, AFTER: BEFORE, EQUALS: BARE, QUOTED: BEFORE},
    ">": dict.fromkeys((TAG, BEFORE, NAME, AFTER, EQUALS, BARE, QUOTED), 0),
    "=": {BEFORE: NAME, NAME: EQUALS, AFTER: EQUALS, EQUALS: BARE, QUOTED: NAME},
    '"': {BEFORE: NAME, AFTER: NAME, EQUALS: DOUBLE, QUOTED: NAME, DOUBLE: QUOTED},
    "'": {BEFORE: NAME, AFTER: NAME, EQUALS: SINGLE, QUOTED: NAME, SINGLE: QUOTED},
}
"""What each kind of character makes of each state; a state that is missing stays."""


@cache
def _step(states: int, kind: str) -> int:
    steps = _STEPS[kind]
    after = 0
    for state in (1 << n for n in range(_COUNT)):
        if states & state:
            after |= steps.get(state, state)
    return after


class Tags:
    """All readings of a text so far.

    Attributes:
        states: a set of states; 0 while no reading is inside a tag.
        name: the end of what could be the name of an attribute, in lower case.
        loads: whether one of the tags is another than `<a>`, whose `href` may load.

    Example:
        >>> tags = Tags()
        >>> tags.begin("a"); tags.walk(' title=">" href')
        >>> bool(tags.states & NAMED), tags.name
        (True, 'href')
    """

    __slots__ = ("_joined", "loads", "name", "states")

    def __init__(self) -> None:
        self.states: int = 0
        self.name: str = ""
        self.loads: bool = False
        self._joined = False  # whether the next character would continue the name

    def begin(self, name: str) -> None:
        """A `<` with this name has been walked over: one more reading."""
        self.loads = (self.loads and self.states != 0) or name.lower() not in ("a", "area")
        self.states |= TAG
        self._joined = False

    def walk(self, text: str) -> None:
        """Take in what comes next. Nothing is remembered where no reading is inside a tag."""
        states = self.states
        for token in _TOKEN.findall(text) if states else ():
            kind = _KINDS.get(token[0], "x")
            if kind == "x":
                more = token[: NAME_CHARS + 1].lower()
                self.name = (self.name + more)[: NAME_CHARS + 1] if self._joined else more
            states = _step(states, kind)
            self._joined = kind == "x"
            if not states:
                self.name = ""
                break
        self.states = states
