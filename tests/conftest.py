"""Hypothesis profiles: `ci` is the default and always the same, `long` is for nights (`pytest --hypothesis-profile=long`)."""

from __future__ import annotations

import signal

import pytest
import regex
from hypothesis import HealthCheck, settings

from streamfilter.json import partial, typed

settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("ci"), max_examples=20_000, derandomize=False)
settings.load_profile("ci")

# A shell has it ignored in what it puts into the background, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _empty_cache_of_patterns() -> None:
    """Where `regex` keeps 500 patterns it draws global random numbers to drop some: Hypothesis takes that for a strategy's doing."""
    regex.purge()


@pytest.fixture(autouse=True)
def _no_plans_of_models() -> None:
    """They are kept: what one test has made would hide from the next that it is made wrong."""
    typed._plan_of.cache_clear()
    partial._CLASSES.clear()
