"""Words to look for whatever their case and form: foldings, and the words of one rule as a trie.

A folding maps each character to what is compared; several characters (`ß` to `ss`) or none are possible. It looks at one character
at a time, so a folded text is the same however the text arrives.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias
from weakref import WeakValueDictionary

import regex

_WORD = regex.compile(r"\w")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")

Trait: TypeAlias = Literal["ignored", "begins_word", "ends_word", "begins_mark"]


@dataclass(frozen=True, slots=True)
class Folding:
    """How characters are compared.

    Args:
        ignore_case: by full case folding (Unicode, section 3.13, `toCasefold`).
        compatible: by compatibility decompositions too (NFKD), and without what is invisible (`Default_Ignorable_Code_Point`):
            full-width and mathematical letters, ligatures, accents apart, zero-width characters.

    Example:
        >>> Folding(ignore_case=True).fold("ß"), Folding(ignore_case=False, compatible=True).fold("ﬁ")
        ('ss', 'fi')
    """

    ignore_case: bool
    compatible: bool = False

    def fold(self, text: str) -> str:
        """A text, folded character by character."""
        if self.compatible:
            return "".join(_decomposed(character, self.ignore_case) for character in text)
        return text.casefold() if self.ignore_case else text

    def has(self, trait: Trait, character: str) -> bool:
        """Whether a character, folded, is nothing, or begins or ends with a word character, or begins with a combining mark."""
        folded = self.fold(character)
        if trait == "ignored":
            return not folded
        if not folded:
            return False
        if trait == "begins_mark":
            return unicodedata.combining(folded[0]) > 0
        return is_word(folded[0] if trait == "begins_word" else folded[-1])


@lru_cache(maxsize=4096)
def _decomposed(character: str, ignore_case: bool) -> str:
    """What Unicode's compatibility caseless matching compares (section 3.13, D146), without what is invisible."""
    if _IGNORABLE.match(character):
        return ""
    folded = unicodedata.normalize("NFKD", character)
    if ignore_case:
        folded = unicodedata.normalize("NFKD", folded.casefold())
    return _IGNORABLE.sub("", folded)


def is_word(character: str) -> bool:
    r"""Whether a character is one that `\w` matches."""
    return _WORD.match(character) is not None


class Trie:
    """Words by their beginnings. A position is a number; 0 is the root.

    Attributes:
        children: for each position, the next by each character.
        ends: the positions at which a word ends; by each, whether with a word character.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.children: list[dict[str, int]] = [{}]
        self.ends: dict[int, bool] = {}
        children = self.children
        for word in words:
            at = 0
            for character in word:
                below = children[at]
                if not below and at:  # leaves share nothing: a dictionary is made when it is needed
                    below = children[at] = {}
                following = below.get(character)
                if following is None:
                    following = below[character] = len(children)
                    children.append(_LEAF)
                at = following
            self.ends[at] = is_word(word[-1])

    def walk(self, at: int, folded: str) -> int:
        """Where some characters lead; -1 if nowhere."""
        for character in folded:
            following = self.children[at].get(character)
            if following is None:
                return -1
            at = following
        return at


_LEAF: dict[str, int] = {}


_TRIES: WeakValueDictionary[tuple[str, ...], Trie] = WeakValueDictionary()


def trie(words: tuple[str, ...]) -> Trie:
    """The trie of some words, which all programs with these words share."""
    return _TRIES.get(words) or _TRIES.setdefault(words, Trie(words))
