"""Hypothesis strategies for streams. Needs the extra `testing`."""

from __future__ import annotations

from hypothesis import strategies as st

from streamfilter.testing.sources import cut


def chunkings(text: str, *, max_cuts: int = 8) -> st.SearchStrategy[list[str]]:
    """Ways to cut a text into pieces.

    Args:
        text: what is cut.
        max_cuts: at how many places at most.
    """
    places = st.lists(st.integers(1, max(1, len(text) - 1)), max_size=max_cuts)
    return places.map(lambda chosen: cut(text, *chosen))
