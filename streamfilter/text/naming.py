"""Names of rules: reports and replacements tell rules apart by them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from streamfilter.matching import UNNAMED, AnyRule, Rule

SHOWN = 3
"""Of words, in an explanation."""

_WORD = re.compile(r"[A-Za-z_]{3,}")


def check_names(rules: Sequence[AnyRule]) -> None:
    r"""Refuse two different rules of one name. The same rule twice is harmless: catalogues overlap.

    Raises:
        ValueError: there are two, with the name.

    Example:
        >>> from streamfilter.matching import Rule
        >>> check_names([Rule("id", r"\d+"), Rule("id", "x")])
        Traceback (most recent call last):
        ...
        ValueError: two different rules are named 'id': a report could not tell them apart
    """
    named: dict[str, AnyRule] = {}
    for rule in rules:
        if rule.name != UNNAMED and named.setdefault(rule.name, rule) != rule:
            raise ValueError(f"two different rules are named {rule.name!r}: a report could not tell them apart")


def plain_words(rules: Sequence[AnyRule]) -> str:
    """In words: which bare patterns are a word and nothing else. Names of rules stand only in files and on the command line.

    Example:
        >>> from streamfilter.matching import Rule
        >>> plain_words([Rule("redacted", "email"), Rule("redacted", "e-?mail")])
        "finds the text 'email' itself, which is no name of a rule here; "
        >>> plain_words([Rule("redacted", "a")])
        ''
    """
    words = [rule.pattern for rule in rules if isinstance(rule, Rule) and rule.name == UNNAMED and _WORD.fullmatch(rule.pattern)]
    named = f"{', '.join(map(repr, words[:SHOWN]))}{' and others' if len(words) > SHOWN else ''}"
    return f"finds the text {named} itself, which is no name of a rule here; " if words else ""
