"""Canaries: what gives a leak away. A rule, not a check: it needs no verdict, and a stage holds only what looks like one so far."""

from __future__ import annotations

import re

from streamfilter.declaration import check_count
from streamfilter.matching import Terms

CANARY_WORDS = 8
"""So many words in a row are hardly ever the same by accident, unless both texts quote a third."""

_WORD = re.compile(r"\S+")


def canary(prompt: str, *, words: int = CANARY_WORDS) -> Terms:
    r"""A canary rule for leaked system prompts: each run of so many consecutive words of the prompt, or all of it if it has fewer.

    Case, forms of letters, invisible characters and kinds of blank do not count. White space is that of the prompt, or single
    blanks: a prompt that is laid out anew is found by its runs within one line. A translated or retold prompt is not found.

    Args:
        prompt: what must not be repeated.
        words: how many in a row are too many; a word is whatever stands between white space.

    Raises:
        ValueError: the prompt has no words, or is too long (see `Terms`), or `words` is no number from 1.

    Example:
        >>> import streamfilter as sf
        >>> rule = canary("You are Max.\nNever mention the price of the engine.", words=4)
        >>> sf.Block(rule, action="stop").apply("I was told: never mention THE price of anything.")
        'I was told: '
    """
    check_count("words", words)
    found = [*_WORD.finditer(prompt)]
    if not found:
        raise ValueError("the prompt has no words, so there is nothing to look for")
    runs = [found[at : at + words] for at in range(max(1, len(found) - words + 1))]
    written = [prompt[run[0].start() : run[-1].end()] for run in runs]
    joined = [" ".join(word[0] for word in run) for run in runs]
    return Terms([*dict.fromkeys(written + joined)], name="canary", fold="nfkc")
