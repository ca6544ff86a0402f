r"""What reversible redaction remembers: which placeholder stands for which text.

A `Vault` is its caller's, one per conversation; stages come to it through the context. Rules:

- It shows nothing: not in its repr, in no error, in no pickle that was not asked for.
- What it has issued it never forgets, changes or issues again; what it has let pass as somebody's own text it never issues. So the
  answer to "is this one of mine" cannot change while a stream runs.
- Here is the one place that knows what a placeholder looks like. Where one is looked for in a stream is not known here.
"""

from __future__ import annotations

import re
from typing import Any

from streamfilter.declaration import is_count
from streamfilter.errors import LimitExceeded

MAX_NAME = 32
"""Characters of a placeholder's name. Names of rules are one or two words; the longer, the more of a text that is no placeholder
must be held until that is known."""

MAX_DIGITS = 9
"""Digits of its number: more placeholders than fit into memory."""

MAX_BLANKS = 3
"""Blanks that may stand on either side between the brackets: models write one, if any."""

PLACEHOLDER = (
    rf"<[ \t\n]{{0,{MAX_BLANKS}}}"
    rf"[A-Za-z](?:(?:[ -]|\\?_)?[A-Za-z0-9]){{0,{MAX_NAME - 1}}}"
    rf"(?:[ -]|\\?_)[1-9][0-9]{{0,{MAX_DIGITS - 1}}}"
    rf"[ \t\n]{{0,{MAX_BLANKS}}}>"
)
r"""All that can be read as a placeholder: `<EMAIL_1>`, and as models write it: in any case, with blanks inside the brackets, with a
blank, a hyphen or (in Markdown) `\_` for an underscore. It holds no second bracket, so no two of them overlap. ASCII only:
`str.upper` makes an S of ſ, and the pattern must not find less than `Vault.restore` would."""

LONGEST = 2 * (1 + MAX_BLANKS) + 1 + 3 * (MAX_NAME - 1) + 2 + MAX_DIGITS
"""Characters of the longest text that can be read as a placeholder."""

_PLACEHOLDER = re.compile(PLACEHOLDER)
_BEGINNING = re.compile(
    rf"<[ \t\n]{{0,{MAX_BLANKS}}}"
    rf"(?:(?P<key>[A-Za-z](?:[A-Za-z0-9 _\\-]*[A-Za-z0-9_\\-])?)(?P<blanks>[ \t\n]{{0,{MAX_BLANKS}}}))?"
)
_SEPARATOR = re.compile(r"[ -]|\\(?:_|\Z)")


class Vault:
    """The texts that placeholders stand for. One caller's: it is not thread-safe, and whoever has it can restore.

    The same text of the same rule gets the same placeholder as long as the vault lives; each name counts from 1.

    Args:
        max_entries: how much it may remember. Then, what is new raises `LimitExceeded` and so ends the stream before the text: to
            forget an older entry would make a placeholder that is out there a riddle, or somebody else's.
        picklable: whether it may be pickled and copied, with all it knows.

    Raises:
        ValueError: `max_entries` is less than 1.

    Example:
        >>> vault = Vault()
        >>> [vault.issue("name", text) for text in ("Joe", "Ann", "Joe")]
        ['<NAME_1>', '<NAME_2>', '<NAME_1>']
        >>> vault.restore("<Name 2>"), vault.restore("<NAME_3>"), vault
        ('Ann', None, <Vault of 2 entries>)
    """

    __slots__ = ("_beginnings", "_counts", "_entries", "_issued", "_others", "max_entries", "picklable")  # `vars` shows nothing

    def __init__(self, max_entries: int | None = None, *, picklable: bool = False) -> None:
        if max_entries is not None and not is_count(max_entries):
            shown = max_entries if isinstance(max_entries, int | float) else type(max_entries).__qualname__  # others quote texts
            raise ValueError(f"max_entries={shown}: at least 1 is needed, or None for no limit")
        self.max_entries: int | None = max_entries
        self.picklable: bool = picklable
        self._entries: dict[str, tuple[str, str]] = {}  # EMAIL_1 -> (rule, text)
        self._issued: dict[tuple[str, str], str] = {}  # (EMAIL, text) -> EMAIL_1
        self._counts: dict[str, int] = {}  # EMAIL -> the last number
        self._others: set[str] = set()  # what somebody wrote before it was issued
        self._beginnings: set[str] = set()  # of the keys of the entries: little more than one for each, as they share most

    def issue(self, rule: str, text: str) -> str:
        """The placeholder for a text that a rule has found.

        Raises:
            LimitExceeded: the text is new, and the vault is full.
        """
        name = placeholder_name(rule)
        if (name, text) not in self._issued:
            if self._is_full:
                raise LimitExceeded("max_entries", self.max_entries or 0, "the vault is full")
            number = self._counts.get(name, 0) + 1
            while (key := f"{name}_{number}") in self._others:
                number += 1
            self._counts[name] = number
            self._entries[key] = (rule, text)
            self._issued[name, text] = key
            self._beginnings.update(key[:end] for end in range(len(key) + 1))
        return f"<{self._issued[name, text]}>"

    def restore(self, placeholder: str) -> str | None:
        """The text that a placeholder stands for, however it is written; None if the vault has not issued it."""
        entry = self._entry(placeholder)
        return None if entry is None else entry[1]

    def rule(self, placeholder: str) -> str | None:
        """The name of the rule that a placeholder was issued for; None if the vault has not issued it."""
        entry = self._entry(placeholder)
        return None if entry is None else entry[0]

    def reserve(self, placeholder: str) -> bool:
        """Never issue this, because somebody else wrote it. Whether that can be promised: not if it has been issued already.

        Example:
            >>> vault = Vault()
            >>> vault.reserve("<Email 1>"), vault.issue("email", "joe@example.com"), vault.reserve("<EMAIL_2>")
            (True, '<EMAIL_2>', False)
        """
        if not _PLACEHOLDER.fullmatch(placeholder):
            return True
        key = _key(placeholder)
        if key in self._entries:
            return False
        if not self._is_full:  # if it is, nothing new is ever issued
            self._others.add(key)
        return True

    def may_begin(self, text: str) -> bool:
        """Whether a text may be the beginning of a placeholder that was issued.

        Example:
            >>> vault = Vault()
            >>> placeholder = vault.issue("email", "joe@example.com")
            >>> [vault.may_begin(text) for text in ("<", "< e", "<EMAIL", "<EMAIL_1 ", "<EMAIL_2", "<p", "<EMAIL_1>")]
            [True, True, True, True, False, False, False]
        """
        if (found := _BEGINNING.fullmatch(text)) is None:
            return False
        key, blanks = _key(found["key"] or ""), found["blanks"]
        if not blanks:
            return key in self._beginnings
        return key in self._entries or (blanks == " " and f"{key}_" in self._beginnings)

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        return True  # an empty one is not no vault: `vault or Vault()` must not lose it

    def __repr__(self) -> str:
        return f"<Vault of {len(self)} {'entry' if len(self) == 1 else 'entries'}>"  # never a text

    def __getstate__(self) -> dict[str, Any]:
        if not self.picklable:
            raise TypeError(
                "this vault is not to be pickled or copied, for it holds what was redacted: ask for it with Vault(picklable=True)"
            )
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def _is_full(self) -> bool:
        return self.max_entries is not None and len(self._entries) + len(self._others) >= self.max_entries

    def _entry(self, placeholder: str) -> tuple[str, str] | None:
        return self._entries.get(_key(placeholder)) if _PLACEHOLDER.fullmatch(placeholder) else None


def placeholder_name(rule: str) -> str:
    """The name in the placeholders of a rule. Rules whose names come to the same here are counted together.

    Example:
        >>> placeholder_name("credit_card"), placeholder_name("2nd  e-mail"), placeholder_name("")
        ('CREDIT_CARD', 'TEXT_2ND_E_MAIL', 'TEXT')
    """
    name = "_".join(re.findall("[A-Z0-9]+", rule.upper()))
    if not name[:1].isalpha():
        name = f"TEXT_{name}"
    return name[:MAX_NAME].rstrip("_")


def _key(text: str) -> str:
    """A placeholder, or the beginning of one, as it was issued but for the brackets."""
    return _SEPARATOR.sub("_", text.strip("<> \t\n")).upper()
