"""Moderation: text is held, window by window, until a check has said what becomes of it."""

from typing import Final

from streamfilter.moderation.moderate import Moderate
from streamfilter.moderation.window import Window
from streamfilter.verdict import Verdict, VerdictCache

allow: Final = Verdict.allow
replace: Final = Verdict.replace
stop: Final = Verdict.stop
refuse: Final = Verdict.refuse

__all__ = ["Moderate", "Verdict", "VerdictCache", "Window", "allow", "refuse", "replace", "stop"]
