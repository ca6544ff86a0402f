"""Moderation: text is held, window by window, until a check has said what becomes of it."""

from streamfilter.moderation.moderate import Moderate
from streamfilter.moderation.window import Window
from streamfilter.verdict import Verdict, VerdictCache

allow = Verdict.allow
replace = Verdict.replace
stop = Verdict.stop
refuse = Verdict.refuse

__all__ = ["Moderate", "Verdict", "VerdictCache", "Window", "allow", "refuse", "replace", "stop"]
