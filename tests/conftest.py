"""Hypothesis profiles: `ci` is the default and always the same, `long` is for nights (`pytest --hypothesis-profile=long`)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ci", deadline=None, max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("ci"), max_examples=20_000, derandomize=False)
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ray's tests come last: its threads draw from the global random numbers, which Hypothesis takes for a strategy's doing."""
    items.sort(key=lambda item: item.path.name == "test_ray.py")
