"""Marks that stand for one another in printed numbers, to be put into the sets of patterns.

Language models, and programs that set type, write a non-breaking hyphen for a hyphen and a narrow space for a space: a rule that
knows only the keys of a keyboard would miss their numbers.
"""

from __future__ import annotations

BLANK = r" \u00a0\u202f"
"""A space: plain, non-breaking, narrow non-breaking. None of them ends a line."""

HYPHEN = r"\u2010\u2011\u2013-"
"""A hyphen: plain, non-breaking, the one that is only a hyphen, and the en dash. To be put last in a set."""
