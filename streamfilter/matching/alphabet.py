"""The alphabet of an automaton: characters that none of its predicates tells apart are one symbol.

Which characters a predicate takes is decided by `regex` itself, once for each character that comes. So nothing here knows Unicode.
"""

from __future__ import annotations

from itertools import groupby

import regex

from streamfilter.matching.folding import Folding
from streamfilter.matching.regular import Predicate, Property, Words

MAX_CHARACTERS = 20_000
"""Characters whose symbols are remembered: more than any one language writes with. A text of random characters of all planes must
not grow it without end."""


class Symbol:
    """What an automaton sees of a character.

    Attributes:
        takes: for each predicate, whether it takes such a character.
        folded: for each folding, what such a character is folded to; None for what no word contains.
    """

    __slots__ = ("folded", "takes")

    def __init__(self, takes: tuple[bool, ...], folded: tuple[str | None, ...]) -> None:
        self.takes: tuple[bool, ...] = takes
        self.folded: tuple[str | None, ...] = folded


class Numbers:
    """The predicates and foldings that the programs of one engine share, by their numbers."""

    def __init__(self) -> None:
        self.predicates: dict[Predicate | Property, int] = {}
        self.foldings: dict[Folding, int] = {}
        self.letters: dict[Folding, set[str]] = {}

    def predicate(self, predicate: Predicate | Property) -> int:
        """The number of a predicate."""
        return self.predicates.setdefault(predicate, len(self.predicates))

    def words(self, words: Words) -> int:
        """The number of the folding of some words."""
        self.letters.setdefault(words.folding, set()).update(*words.words)
        return self.foldings.setdefault(words.folding, len(self.foldings))


class Alphabet:
    """The symbols that some predicates and foldings tell apart.

    Attributes:
        end: what comes behind the last character: no predicate takes it.

    Example:
        >>> numbers = Numbers()
        >>> numbers.predicate(Predicate("[a-c]")), numbers.predicate(Predicate("b", regex.IGNORECASE))
        (0, 1)
        >>> alphabet = Alphabet(numbers)
        >>> alphabet["a"] is alphabet["c"], alphabet["a"] is alphabet["b"], alphabet["B"].takes
        (True, False, (False, True))
    """

    def __init__(self, numbers: Numbers) -> None:
        self.end: Symbol = Symbol((False,) * len(numbers.predicates), (None,) * len(numbers.foldings))
        self._symbols: dict[tuple[object, ...], Symbol] = {}
        self._known: dict[str, Symbol] = {}
        self._foldings = [(folding, frozenset(numbers.letters[folding])) for folding in numbers.foldings]
        self._properties = [(number, each) for each, number in numbers.predicates.items() if isinstance(each, Property)]
        # All predicates of the same flags are asked in one match: each that takes the character captures it.
        asked = sorted(
            (each.flags, number, each.source) for each, number in numbers.predicates.items() if isinstance(each, Predicate)
        )
        self._tests: list[tuple[list[int], regex.Pattern[str]]] = []
        for flags, group in groupby(asked, key=lambda one: one[0]):
            members = list(group)
            source = "".join(f"(?:(?=({source})))?" for _, _, source in members)
            self._tests.append(([number for _, number, _ in members], regex.compile(source, flags)))

    def __getitem__(self, character: str) -> Symbol:
        symbol = self._known.get(character)
        if symbol is None:
            symbol = self._look_up(character)
            if len(self._known) >= MAX_CHARACTERS:
                self._known.clear()
            self._known[character] = symbol
        return symbol

    def _look_up(self, character: str) -> Symbol:
        takes = list(self.end.takes)
        for numbers, pattern in self._tests:
            match = pattern.match(character)
            assert match is not None
            for number, group in zip(numbers, match.groups(), strict=True):
                takes[number] = group is not None
        for number, (folding, trait) in self._properties:
            takes[number] = folding.has(trait, character)
        folded: list[str | None] = []
        for folding, letters in self._foldings:
            whole = folding.fold(character)
            folded.append(whole if letters.issuperset(whole) else None)
        key = (*takes, *folded)
        return self._symbols.setdefault(key, Symbol(tuple(takes), tuple(folded)))
