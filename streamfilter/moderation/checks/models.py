"""Checks that ask a model of the caller's, whatever it runs on: a function that gives a score, or labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, cast

from pydantic import Field

from streamfilter.declaration import declared
from streamfilter.moderation.checks.judging import Name, Names, Probability, Question, Ready, number, ready
from streamfilter.moderation.window import Window
from streamfilter.verdict import Verdict


@declared
class Threshold(Question):
    """What `threshold` asks."""

    _named: ClassVar[str] = "threshold"
    score: Callable[[str], object]
    at: Annotated[float, Field(strict=True, allow_inf_nan=False)] = dataclasses.field(default=0.5, kw_only=True)
    rule: Name = dataclasses.field(default="moderation", kw_only=True)

    def whom(self) -> Callable[..., Any]:
        return self.score

    def ask(self, window: Window) -> Any:
        return self.score(window.seen)

    def meaning(self, answer: Any) -> Verdict:
        score = number(answer)
        if score is None:
            raise self.wrong(answer, "a number")
        verdict = Verdict.refuse if score >= self.at else Verdict.allow
        return verdict(rule=self.rule, score=score)


def threshold(score: Callable[[str], float | Awaitable[float]], *, at: float = 0.5, rule: str = "moderation") -> Ready:
    """Refuse each window whose score is too high.

    Args:
        score: of a window's text with its lookback; async or plain.
        at: the score from which it is refused.
        rule: the name under which a refusal is reported.

    Raises:
        ValueError: an argument makes no sense; when it is asked, the score is NaN.
        TypeError: when it is asked, the score is no number.

    Example:
        >>> import streamfilter as sf
        >>> def shouting(text):
        ...     return sum(map(str.isupper, text)) / len(text)
        >>> sf.Moderate(threshold(shouting), action="stop", message="(quiet)").apply("Well. I SAID NO. So.")
        'Well. (quiet)'
    """
    return ready(Threshold(score, at=at, rule=rule))


@declared
class Classifier(Question):
    """What `classifier` asks."""

    _named: ClassVar[str] = "classifier"
    fn: Callable[[str], object]
    refuse: Names = dataclasses.field(kw_only=True)
    at: Probability = dataclasses.field(default=0.5, kw_only=True)

    def whom(self) -> Callable[..., Any]:
        return self.fn

    def ask(self, window: Window) -> Any:
        return self.fn(window.seen)

    def meaning(self, answer: Any) -> Verdict:
        if isinstance(answer, str):
            return Verdict.refuse(rule=str(answer)) if answer in self.refuse else Verdict.allow()
        pairs = _pairs(answer)
        known = [(number(score), str(label)) for label, score in pairs if isinstance(label, str)]
        scores = [(score, label) for score, label in known if score is not None]
        if not pairs or len(scores) < len(pairs):
            raise self.wrong(answer, 'a label, {label: probability} or [{"label": ..., "score": ...}]')
        score, label = max((pair for pair in scores if pair[1] in self.refuse), default=(None, ""))
        return Verdict.allow(score=score) if score is None or score < self.at else Verdict.refuse(rule=label, score=score)


def _pairs(answer: Any) -> list[tuple[object, object]]:
    """Labels and their scores; none if it is nothing that has some.

    Example:
        >>> _pairs({"good": 0.9, "bad": 0.1}) == _pairs([[{"label": "good", "score": 0.9}, {"label": "bad", "score": 0.1}]])
        True
    """
    while isinstance(answer, list | tuple) and len(answer) == 1 and isinstance(answer[0], list | tuple):
        answer = answer[0]  # there is a list for each text, and one text
    if isinstance(answer, Mapping) and answer.keys() == {"label", "score"} and isinstance(answer["label"], str):
        answer = [answer]
    if isinstance(answer, Mapping):
        return [*answer.items()]
    if isinstance(answer, list | tuple) and all(isinstance(entry, Mapping) for entry in answer):
        return [(entry.get("label"), entry.get("score")) for entry in answer]
    return []


def classifier(fn: Callable[[str], object], *, refuse: str | Iterable[str], at: float = 0.5) -> Ready:
    """Refuse each window to which a classifier gives one of some labels.

    Args:
        fn: gives for a window's text with its lookback a label, a mapping of labels to probabilities, or what a text classification
            pipeline of Hugging Face gives; async or plain. A label that is not given is not probable.
        refuse: a label, or several; the most probable one names the refusal.
        at: the probability from which one counts.

    Raises:
        ValueError: an argument makes no sense; when it is asked, a probability is NaN.
        TypeError: when it is asked, the classifier gives something else.

    Example:
        >>> import streamfilter as sf
        >>> def model(text):
        ...     return [{"label": "insult", "score": 0.9 if "fool" in text else 0.1}]
        >>> check = classifier(model, refuse="insult")
        >>> check
        classifier(model, refuse=('insult',))
        >>> sf.Moderate(check, action="stop", message="(withheld)").apply("Good morning. You fool. Bye.")
        'Good morning. (withheld)'
    """
    return ready(Classifier(fn, refuse=cast("Any", refuse), at=at))
