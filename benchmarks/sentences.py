"""How far `Sentences` agrees with splitters that are well kept, and they with a table made by hand.

An end is the count of the characters before it that are no white space, so it does not matter where blanks go. A splitter has the
whole text at once, `Sentences` one character at a time. Run it with `python -m benchmarks.sentences`; what is not installed (pysbd,
blingfire, syntok, sentencex) is left out.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import streamfilter as sf

# The texts are those of the tests, which are no package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
_TEXTS: Any = importlib.import_module("sentence_texts")
GOLDEN: dict[str | None, list[str]] = _TEXTS.GOLDEN
TEXTS: list[str] = _TEXTS.recorded_texts()

Splitter = Callable[[str, str | None], Iterable[str]]


def _ours(text: str, language: str | None) -> Iterable[str]:
    stage: Any = sf.Sentences(language)  # type: ignore[arg-type]  # one of the table's
    return list(stage.iter(list(text)))


def _pysbd(module: Any) -> Splitter:
    known = {"en", "de", "fr", "es", "it", "nl", "zh", "ja", "ar", "ur", "hi"}
    made: dict[str, Any] = {}

    def split(text: str, language: str | None) -> Iterable[str]:
        code = language if language in known else "en"
        segmenter = made.setdefault(code, module.Segmenter(language=code, clean=False))
        return [str(each) for line in text.splitlines() for each in segmenter.segment(line)]

    return split


def _blingfire(module: Any) -> Splitter:
    return lambda text, _: [each for line in text.splitlines() for each in module.text_to_sentences(line).split("\n")]


def _syntok(module: Any) -> Splitter:
    def split(line: str) -> Iterable[str]:
        for sentence in itertools.chain.from_iterable(module.analyze(line)):
            yield "".join(token.spacing + token.value for token in sentence)

    return lambda text, _: [each for line in text.splitlines() for each in split(line)]


def _sentencex(module: Any) -> Splitter:
    return lambda text, language: [each for line in text.splitlines() for each in module.segment(language or "en", line)]


SPLITTERS: dict[str, tuple[str, Callable[[Any], Splitter]]] = {
    "pysbd": ("pysbd", _pysbd),
    "blingfire": ("blingfire", _blingfire),
    "syntok": ("syntok.segmenter", _syntok),
    "sentencex": ("sentencex", _sentencex),
}
"""Each with its module, and what makes a splitter of it. They are given the text line by line: that a line ends one, all agree."""


def ends(parts: Iterable[str]) -> set[int]:
    """The ends of sentences, in characters that are no white space."""
    return {end for end in itertools.accumulate(len("".join(part.split())) for part in parts) if end}


def agreement(one: set[int], other: set[int]) -> float:
    """F1: twice what both have, of what either has."""
    return 2 * len(one & other) / max(1, len(one) + len(other))


def installed() -> dict[str, Splitter]:
    """The splitters that are there."""
    found: dict[str, Splitter] = {}
    for name, (module, make) in SPLITTERS.items():
        try:
            found[name] = make(importlib.import_module(module))
        except ImportError:
            continue
    return found


def gold(split: Splitter, language: str | None) -> float:
    """How far a splitter agrees with the table for one language."""
    want: set[tuple[int, int]] = set()
    got: set[tuple[int, int]] = set()
    for n, case in enumerate(GOLDEN[language]):
        parts = case.split("|")
        want |= {(n, end) for end in ends(parts)}
        got |= {(n, end) for end in ends(split("".join(parts), language))}
    return 2 * len(want & got) / max(1, len(want) + len(got))


def said(split: Splitter, other: Splitter) -> float:
    """How far two splitters agree on what models said."""
    pairs = [(ends(split(text, None)), ends(other(text, None))) for text in TEXTS]
    both = sum(len(one & two) for one, two in pairs)
    return 2 * both / max(1, sum(len(one) + len(two) for one, two in pairs))


def main() -> None:
    """Print both tables."""
    splitters = {"Sentences": _ours, **installed()}
    print(f"| F1 against the table made by hand | {' | '.join(str(code) for code in GOLDEN)} |")
    print("|---" * (len(GOLDEN) + 1) + "|")
    for name, split in splitters.items():
        print(f"| {name} | {' | '.join(f'{gold(split, code):.2f}' for code in GOLDEN)} |")
    if TEXTS:
        print(f"\n| F1 of two splitters on the recordings | {' | '.join(splitters)} |")
        print("|---" * (len(splitters) + 1) + "|")
        for name, split in splitters.items():
            print(f"| {name} | {' | '.join(f'{said(split, other):.3f}' for other in splitters.values())} |")


if __name__ == "__main__":
    main()
