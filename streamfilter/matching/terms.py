r"""Terms: many words as one rule, found whatever their case and form.

What they mean on a whole text: the text is folded, character by character, and in what came out the words are looked for; a match
counts if it begins and ends where a character of the text does. Of several at one place the longest counts.
"""

from __future__ import annotations

import os
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

import regex
from pydantic import BeforeValidator, Field

from streamfilter.declaration import Declared, declared
from streamfilter.matching.folding import Folding, Trait, is_word
from streamfilter.matching.regular import EMPTY, Around, Either, Expression, Loop, One, Property, Words, row
from streamfilter.matching.rules import Given as GivenRule
from streamfilter.matching.rules import Match, Rule, as_rule

MAX_LETTERS = 5_000_000
"""Letters of all words together; the trie of so many takes about a gigabyte."""

MAX_IGNORED = 256
"""Invisible characters between a match and the word before it that are looked through to tell whether it is one word."""

SHOWN_WORDS = 8
"""In a repr: errors and logs show those."""

_EVERYTHING = regex.compile("(?s:.*)")


@declared
class Terms(Declared):
    """Words and phrases to look for, as one rule: leftmost, and of several at one place the longest.

    Args:
        words: what to look for, taken literally.
        name: shown in replacements, reports and errors.
        ignore_case: by full case folding: `STRASSE` finds `straße`.
        whole_words: not inside a word: a match neither begins nor ends between two word characters.
        fold: `"nfkc"` finds compatibility forms too (full-width and mathematical letters, ligatures, accents written apart), and
            words with invisible characters in them (zero-width spaces, soft hyphens). What is replaced is the original text's span.
            Several marks on one letter are compared in the order in which they are written.

    Raises:
        ValueError: there is no word, one is empty (or nothing is left of it by folding), or there are too many.

    Example:
        >>> import streamfilter as sf
        >>> sf.Redact(sf.Terms(["Straße", "Straßenbahn"]), to="#").apply("STRASSE, strassenbahn, Straßenfest")
        '#, #, Straßenfest'
        >>> sf.Redact(sf.Terms(["secret"], fold="nfkc"), to="#").apply("a s\u200becret, a ｓｅｃｒｅｔ")
        'a #, a #'
    """

    words: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)] = "terms"
    ignore_case: bool = True
    whole_words: bool = True
    fold: Literal["nfkc"] | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            words: list[str] | tuple[str, ...] | set[str] | frozenset[str],
            name: str = ...,
            ignore_case: bool = ...,
            whole_words: bool = ...,
            fold: Literal["nfkc"] | None = ...,
        ) -> None: ...

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """The words in a file: UTF-8, one on each line. Empty lines and white space around a word do not count.

        Args:
            path: of the file.
            options: the other arguments of `Terms`.

        Raises:
            ValueError: the file is not UTF-8, or has no words.
            OSError: it cannot be read.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1  # of what is behind the mark
            raise ValueError(f"{os.fspath(path)}, line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8") from None
        words = tuple(word for line in text.splitlines() if (word := line.strip()))
        if not words:
            raise ValueError(f"{os.fspath(path)} has no words: write one on each line")
        return cls(words, **options)

    def compile(self) -> None:
        if sum(map(len, self.words)) > MAX_LETTERS:
            raise ValueError(f"words have more than {MAX_LETTERS:,} letters together: give them to several stages")
        if "" in self._folded:
            empty = next(number for number, word in enumerate(self.words) if not self.folding.fold(word))
            raise ValueError(f"words.{empty}: nothing is left of it when it is folded")

    def __hash__(self) -> int:
        return hash((self.name, self.words[0], len(self.words)))  # one of a hundred thousand words takes time

    def __repr__(self) -> str:
        if len(self.words) <= SHOWN_WORDS:
            return super().__repr__()
        first = ", ".join(map(repr, self.words[:SHOWN_WORDS]))
        return f"<Terms {self.name!r}: {first} and {len(self.words) - SHOWN_WORDS:,} more>"

    @property
    def check(self) -> None:
        """Words need no check."""

    @property
    def folding(self) -> Folding:
        """How characters are compared."""
        return Folding(self.ignore_case, self.fold == "nfkc")

    @property
    def context(self) -> int:
        """How many characters to the left of a match it may look at."""
        return MAX_IGNORED if self.fold else 1

    @cached_property
    def expression(self) -> Expression:
        """The words, for an automaton."""
        before: Expression = EMPTY
        after_word: list[Expression] = []
        after_other: list[Expression] = []
        if self.whole_words:
            before = Around(row([self._one("ends_word"), self._ignored(MAX_IGNORED - 1)]), behind=True, wanted=False)
            after_word.append(Around(row([self._ignored(), self._one("begins_word")]), behind=False, wanted=False))
        if self.fold:
            mark = Around(row([self._ignored(), self._one("begins_mark")]), behind=False, wanted=False)
            after_word.append(mark)
            after_other.append(mark)
        branches: list[Expression] = []
        for words in ([w for w in self._folded if is_word(w[0])], [w for w in self._folded if not is_word(w[0])]):
            if words:
                guard = before if is_word(words[0][0]) else EMPTY
                branches.append(row([guard, Words(tuple(words), self.folding, row(after_word), row(after_other))]))
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _one(self, trait: Trait) -> One:
        return One(Property(self.folding, trait))

    @cached_property
    def _folded(self) -> dict[str, None]:
        return dict.fromkeys(map(self.folding.fold, self.words))

    def _ignored(self, most: int | None = None) -> Expression:
        return Loop(self._one("ignored"), 0, most, greedy=True) if self.fold else EMPTY

    # ------------------------------------------------------------------ on a whole text

    def match_at(self, text: str, start: int, *, advance: bool = False) -> Match | None:
        """The longest word at one place: what terms mean, written to be read."""
        fold = self.folding.fold
        if start >= len(text) or not fold(text[start]):
            return None
        before = fold(text[max(0, start - MAX_IGNORED) : start])[-1:]
        longest = max(map(len, self._folded))
        end = 0
        folded = ""
        for at in range(start, len(text)):
            folded += fold(text[at])
            if len(folded) > longest:
                break
            if fold(text[at]) and folded in self._folded and self._stands_alone(before, folded, fold(text[at + 1 :])[:1]):
                end = at + 1
        return Match(self, text, (start, end), advance=advance) if end else None

    def _stands_alone(self, before: str, word: str, after: str) -> bool:
        if self.fold and after and unicodedata.combining(after):
            return False
        if not self.whole_words:
            return True
        return not (before and is_word(before) and is_word(word[0])) and not (after and is_word(after) and is_word(word[-1]))

    def match_groups(self, text: str, start: int, advance: bool) -> regex.Match[str] | None:
        """The match, for who asks for its groups, of which there are none."""
        found = self.match_at(text, start, advance=advance)
        return None if found is None else _EVERYTHING.match(text, start, found.end())


def as_any_rule(given: object) -> object:
    """A pattern as a rule; rules and terms as they are."""
    return given if isinstance(given, Terms) else as_rule(given)


AnyRule: TypeAlias = "Rule | Terms"
"""What has a name and is looked for."""

Given: TypeAlias = "GivenRule | Terms"
"""What a stage takes for a rule."""

RuleLike: TypeAlias = Annotated[Rule | Terms, BeforeValidator(as_any_rule)]
"""A `Rule`, `Terms`, or a pattern (a str, or compiled by `regex` or `re`) that becomes a rule named "redacted"."""
