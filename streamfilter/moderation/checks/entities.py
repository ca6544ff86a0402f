"""A check that asks Presidio for personal data which no pattern finds: names, places.

Presidio's recognisers by patterns are better used as rules, which hold a word and not a sentence: `detectors.presidio`. Nothing of
Presidio is imported unless it is to be made here.

Source: presidio-analyzer 2.2, `AnalyzerEngine.analyze` and `RecognizerResult`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import threading
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, ClassVar, Protocol, cast

from streamfilter.declaration import declared
from streamfilter.matching.templates import check_template
from streamfilter.moderation.checks.judging import Judging, Names, PlainCheck, Probability
from streamfilter.moderation.window import Window
from streamfilter.verdict import Verdict

_MAKING = threading.Lock()


class Entity(Protocol):
    """What an analyser finds: `presidio_analyzer.RecognizerResult`, or what looks like one."""

    @property
    def entity_type(self) -> str:
        """What it is: `PERSON`."""
        ...

    @property
    def start(self) -> int:
        """Its first character."""
        ...

    @property
    def end(self) -> int:
        """The character after its last."""
        ...

    @property
    def score(self) -> float:
        """From 0 to 1: how sure the analyser is."""
        ...


class Analyzer(Protocol):
    """What finds them: `presidio_analyzer.AnalyzerEngine`, or what looks like one."""

    def analyze(self, *, text: str, entities: list[str] | None, language: str) -> Sequence[Entity]:
        """The entities in a text."""
        ...


@functools.cache
def _made() -> Analyzer:
    return cast("Analyzer", importlib.import_module("presidio_analyzer").AnalyzerEngine())


@declared
class Presidio(Judging):
    """What `presidio` asks."""

    _named: ClassVar[str] = "presidio"
    analyzer: Any = None
    entities: Names | None = dataclasses.field(default=None, kw_only=True)
    language: str = dataclasses.field(default="en", kw_only=True)
    at: Probability = dataclasses.field(default=0.5, kw_only=True)
    replace: str | None = dataclasses.field(default=None, kw_only=True)

    def compile(self) -> None:
        if self.replace is not None:
            check_template("replace", self.replace)
        if self.analyzer is not None:
            if isinstance(self.analyzer, type) or not callable(getattr(self.analyzer, "analyze", None)):
                raise ValueError("analyzer: it has no analyze(text=, entities=, language=): an AnalyzerEngine() is needed")
        elif self.language != "en":
            raise ValueError(f"language={self.language!r}: the analyzer that is made if none is given knows English only")
        elif importlib.util.find_spec("presidio_analyzer") is None:  # said now: while streaming it would be a failed check
            raise ModuleNotFoundError(
                "presidio() needs presidio-analyzer: pip install 'streamfilter[presidio]'", name="presidio_analyzer"
            )

    async def judge(self, window: Window) -> Verdict:
        analyzer = self.analyzer
        if analyzer is None:
            with _MAKING:  # it takes seconds, and half a gigabyte
                analyzer = _made()
        asked = None if self.entities is None else [*self.entities]
        found: Sequence[Entity] = analyzer.analyze(text=window.text, entities=asked, language=self.language)
        begin = 0 if self.replace is None else window.decided  # what was replaced there has been told
        found = [each for each in found if each.score >= self.at and each.end > begin]
        found = sorted(found, key=lambda each: (-each.score, each.start - each.end))
        if not found:
            return Verdict.allow()
        best = found[0]
        rule, score = best.entity_type.lower(), float(best.score)
        if self.replace is None:
            return Verdict.refuse(rule=rule, score=score)
        return Verdict.replace(_replaced(window, found, self.replace), rule=rule, score=score)


def _replaced(window: Window, found: Sequence[Entity], template: str) -> str:
    """The part that a verdict decides on, with a template in place of each entity, of which the best come first.

    Of those that overlap, the better one has the characters they share, and what another has besides is replaced too: a street
    that begins with a name that is sure is no less a street.
    """
    owners = [-1] * len(window.text)  # by number: Presidio's entities cannot be compared with anything else
    for number, each in reversed([*enumerate(found)]):
        start, end = max(0, each.start), min(each.end, len(owners))
        owners[start:end] = [number] * (end - start)
    pieces: list[str] = []
    for owner, at in groupby(range(window.decided, len(owners)), owners.__getitem__):
        piece = [*at]
        shown = template.format(rule=found[owner].entity_type.lower())
        pieces.append(window.text[piece[0] : piece[-1] + 1] if owner < 0 else shown)
    return "".join(pieces)


def presidio(
    analyzer: Analyzer | None = None,
    *,
    entities: str | Iterable[str] | None = None,
    language: str = "en",
    at: float = 0.5,
    replace: str | None = None,
) -> PlainCheck:
    """Refuse each window in which Presidio finds personal data, or replace what it finds. A plain check, which takes a while.

    Only the window itself is looked at, not its lookback.

    Args:
        analyzer: an `AnalyzerEngine`; if none is given, one for English is made when the first text comes, and shared. It loads a
            large model of spaCy's, which takes seconds: a server had better give one.
        entities: what to look for, by Presidio's names; None is all it knows.
        language: of the text.
        at: the score from which an entity counts.
        replace: a text that stands in for each entity, in which `{rule}` is its type in small letters. Where entities overlap, the
            one with the higher score, then the longer, comes first.

    Raises:
        ModuleNotFoundError: there is no analyzer, and Presidio is not installed.
        ValueError: an argument makes no sense.

    Example:
        >>> import streamfilter as sf
        >>> from types import SimpleNamespace as Of
        >>> class Names:  # a stand-in for presidio_analyzer.AnalyzerEngine()
        ...     def analyze(self, *, text, entities, language):
        ...         at = text.find("Ada")
        ...         return [] if at < 0 else [Of(entity_type="PERSON", start=at, end=at + 3, score=0.85)]
        >>> sf.Moderate(presidio(Names(), replace="[{rule}]")).apply("Hello. I am Ada. Bye.")
        'Hello. I am [person]. Bye.'
    """
    names = cast("Any", entities)
    return PlainCheck(Presidio(analyzer, entities=names, language=language, at=at, replace=replace))
