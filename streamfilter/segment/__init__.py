r"""Boundary finders: where a text falls into sentences, paragraphs, lines, words or characters, decided while it is still arriving.

A `Segmentation` says how a text is divided, a `Finder` divides one text. Every finder keeps these rules:

- The ends found in a text depend on the text alone, not on how it was cut on its way: each kind of segment has *natural* ends, and
  each of these is *certain* from some character on, where every continuation agrees. There it is reported, not later.
- No segment is longer than `max_chars`. Where so many characters have come and none of the natural ends among them is certain, the
  segment ends right there. A natural end counts only if it became certain in time, and if it lies in the unfinished segment.
- Every character is looked at a bounded number of times, what is remembered of a text is bounded, and its segments, joined, are it.

What this must not know: time (who drives a finder has the clock, and says `cut`), what the segments are for, channels and events.
"""

from streamfilter.segment.finders import Finder, Paragraphs
from streamfilter.segment.graphemes import Graphemes
from streamfilter.segment.languages import ABBREVIATIONS, Language, abbreviations
from streamfilter.segment.segmentation import (
    Segmentation,
    by_chars,
    by_line,
    by_paragraph,
    by_sentence,
    by_words,
    cumulative,
    whole,
)
from streamfilter.segment.sentences import Prose

__all__ = [
    "ABBREVIATIONS",
    "Finder",
    "Graphemes",
    "Language",
    "Paragraphs",
    "Prose",
    "Segmentation",
    "abbreviations",
    "by_chars",
    "by_line",
    "by_paragraph",
    "by_sentence",
    "by_words",
    "cumulative",
    "whole",
]
