"""Stages that work on text as it arrives.

`replace` rewrites what rules match, `stop` ends a stream at it, `flow` maps, drops and watches.
"""

from streamfilter.text.flow import Drop, MapText, Tap
from streamfilter.text.replace import Redact, Replace
from streamfilter.text.stop import Block, StopAt

__all__ = ["Block", "Drop", "MapText", "Redact", "Replace", "StopAt", "Tap"]
