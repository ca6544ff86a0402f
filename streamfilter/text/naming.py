"""Names of rules: reports and replacements tell rules apart by them."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.matching import AnyRule

UNNAMED = "redacted"
"""What rules made of bare patterns are called. They share it, as nobody has named them."""


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
