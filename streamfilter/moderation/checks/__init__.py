"""Ready checks for `Moderate`: thin, duck-typed, no SDK import."""

from streamfilter.moderation.checks.canaries import canary
from streamfilter.moderation.checks.entities import presidio
from streamfilter.moderation.checks.judging import AsyncCheck, PlainCheck
from streamfilter.moderation.checks.models import classifier, threshold
from streamfilter.moderation.checks.services import llm_judge, openai_moderation
from streamfilter.moderation.checks.together import all_of, any_of

__all__ = [
    "AsyncCheck",
    "PlainCheck",
    "all_of",
    "any_of",
    "canary",
    "classifier",
    "llm_judge",
    "openai_moderation",
    "presidio",
    "threshold",
]
