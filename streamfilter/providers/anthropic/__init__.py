"""Anthropic's formats."""

from streamfilter.providers.anthropic import messages

__all__ = ["messages"]
