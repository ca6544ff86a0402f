"""For tests of one's own stages and applications: sources, clocks, recordings, strategies, laws, leak checks.

`check_stage(stage, means=fn)` runs all laws that apply. Whatever draws cases needs the extra `testing` (Hypothesis).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfilter.testing import strategies as strategies
    from streamfilter.testing.checking import LAWS, check_stage
    from streamfilter.testing.clock import FakeClock, VirtualLoop, run_virtually
    from streamfilter.testing.endings import constancy, done, ending, independence, live, silence
    from streamfilter.testing.endpoints import check_endpoint, endpoint
    from streamfilter.testing.exploring import StageMachine
    from streamfilter.testing.laws import batch, grouping, linearity, place, prefix, promptness
    from streamfilter.testing.leaks import Leak, LeakCheck
    from streamfilter.testing.planting import fragments, plantings
    from streamfilter.testing.recording import RecordedError, RecordedStream
    from streamfilter.testing.sources import Mark, Script, ScriptedSource, Sleep, cut, ways
    from streamfilter.testing.tracing import LawBroken, Trace, released, trace

__all__ = [
    "LAWS",
    "FakeClock",
    "LawBroken",
    "Leak",
    "LeakCheck",
    "Mark",
    "RecordedError",
    "RecordedStream",
    "Script",
    "ScriptedSource",
    "Sleep",
    "StageMachine",
    "Trace",
    "VirtualLoop",
    "batch",
    "check_endpoint",
    "check_stage",
    "constancy",
    "cut",
    "done",
    "ending",
    "endpoint",
    "fragments",
    "grouping",
    "independence",
    "linearity",
    "live",
    "place",
    "plantings",
    "prefix",
    "promptness",
    "released",
    "run_virtually",
    "silence",
    "trace",
    "ways",
]

_LATE = {
    **dict.fromkeys(("LAWS", "check_stage"), "checking"),
    **dict.fromkeys(("FakeClock", "VirtualLoop", "run_virtually"), "clock"),
    **dict.fromkeys(("constancy", "done", "ending", "independence", "live", "silence"), "endings"),
    **dict.fromkeys(("check_endpoint", "endpoint"), "endpoints"),
    "StageMachine": "exploring",
    **dict.fromkeys(("batch", "grouping", "linearity", "place", "prefix", "promptness"), "laws"),
    **dict.fromkeys(("Leak", "LeakCheck"), "leaks"),
    **dict.fromkeys(("fragments", "plantings"), "planting"),
    **dict.fromkeys(("RecordedError", "RecordedStream"), "recording"),
    **dict.fromkeys(("Mark", "Script", "ScriptedSource", "Sleep", "cut", "ways"), "sources"),
    "strategies": "strategies",
    **dict.fromkeys(("LawBroken", "Trace", "released", "trace"), "tracing"),
}
"""Where they are. The pytest plugin stands in this package, and should cost nothing where it is not used."""


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        module = _LATE.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = import_module(f"streamfilter.testing.{module}")
        return found if name == module else getattr(found, name)
