"""For tests of one's own stages: sources that follow a script, strategies that cut, virtual time, and the laws every stage obeys.

`check_stage(stage, means=fn)` runs all laws that apply. The strategies need the extra `testing` (Hypothesis).
"""

from streamfilter.testing.clock import VirtualLoop, run_virtually
from streamfilter.testing.laws import (
    LawBroken,
    batch,
    check_stage,
    done,
    ending,
    grouping,
    independence,
    place,
    prefix,
    promptness,
    released,
)
from streamfilter.testing.sources import Mark, ScriptedSource, cut

__all__ = [
    "LawBroken",
    "Mark",
    "ScriptedSource",
    "VirtualLoop",
    "batch",
    "check_stage",
    "cut",
    "done",
    "ending",
    "grouping",
    "independence",
    "place",
    "prefix",
    "promptness",
    "released",
    "run_virtually",
]
