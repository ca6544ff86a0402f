"""Stages that work on text as it arrives.

`replace` rewrites what rules match, with `masks` or so that it is `reversible`; `stop` ends a stream at it; `simple` maps, drops
and watches.
"""
