"""Rules, and where in a text that is still arriving a match of one can still begin.

`rules` says what rules mean on a whole text; `syntax` parses their patterns to a `tree`; `tail` is the engine; `scan` is the text
machine that stages build on. Nothing here knows what is done with a match.
"""

from streamfilter.matching.rules import Given, Match, Rule, RuleLike, find_all, replace_all
from streamfilter.matching.scan import MAX_HOLD, Overflow, Scan, compiled, explain
from streamfilter.matching.tail import Found, TailEngine

__all__ = [
    "MAX_HOLD",
    "Found",
    "Given",
    "Match",
    "Overflow",
    "Rule",
    "RuleLike",
    "Scan",
    "TailEngine",
    "compiled",
    "explain",
    "find_all",
    "replace_all",
]
