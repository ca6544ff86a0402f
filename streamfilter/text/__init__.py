"""Stages that work on text as it arrives.

`replace` rewrites what rules match, with `masks` or so that it is `reversible`; `stop` ends a stream at it; `simple` maps, drops
and watches.
"""

from streamfilter.text.masks import Hash, Mask
from streamfilter.text.replace import Redact, Replace
from streamfilter.text.reversible import Placeholder, Restore
from streamfilter.text.simple import Drop, MapText, Tap
from streamfilter.text.stop import Block, StopAt

__all__ = ["Block", "Drop", "Hash", "MapText", "Mask", "Placeholder", "Redact", "Replace", "Restore", "StopAt", "Tap"]
