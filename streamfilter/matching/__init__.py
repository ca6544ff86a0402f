"""Rules, and where in a text that is still arriving a match of one can still begin.

`rules` and `terms` say what rules mean on a whole text; `syntax` parses their patterns to a `tree`. There are two engines behind
one face (`engine`): the `automaton`, for what is `regular`, and `tail`, for the rest; `selection` chooses. `scan` is the text
machine that stages build on. Nothing here knows what is done with a match.
"""

from streamfilter.matching.engine import Engine, Found
from streamfilter.matching.rules import UNNAMED, Match, Rule, find_all, replace_all
from streamfilter.matching.scan import MAX_HOLD, Overflow, Scan, explain
from streamfilter.matching.selection import compiled
from streamfilter.matching.terms import AnyRule, Given, RuleLike, Terms

__all__ = [
    "MAX_HOLD",
    "UNNAMED",
    "AnyRule",
    "Engine",
    "Found",
    "Given",
    "Match",
    "Overflow",
    "Rule",
    "RuleLike",
    "Scan",
    "Terms",
    "compiled",
    "explain",
    "find_all",
    "replace_all",
]
