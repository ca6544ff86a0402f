"""`check_stage`: every law that applies to a stage, on cases that Hypothesis finds and makes small."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamfilter.items import Channel, TextDelta
from streamfilter.pipeline import Stage, as_stage
from streamfilter.testing.endings import constancy, done, ending, independence, live, silence
from streamfilter.testing.laws import batch, grouping, place, prefix, promptness
from streamfilter.testing.sources import Script, Sleep, cut
from streamfilter.testing.tracing import AnyStage, Gives, LawBroken, Means, Trace, broken, trace, view, waits

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

LAWS = ("batch", "prefix", "done", "place", "promptness", "live", "ending", "grouping", "constancy", "independence", "silence")
"""The laws that `check_stage` knows, in the order in which it asks."""

ROUNDS = 3
"""Of cases, until the stage has done something in one: what is rare may not be in the first."""

FIRSTS = 50
"""Streams that are run again once a law was broken: what outlives a stream shows in some of the first, or in none."""

MAX_PROMPT_TEXTS = 4000
"""Continuations that are tried for each prefix of a text, where promptness is asked for: a second for some hundred texts."""


@dataclass(frozen=True)
class Case:
    """What the laws are asked about: one text, its cuts, an event's place, and a second text."""

    text: str
    other: str
    places: tuple[int, ...]
    at: int
    delays: tuple[float, ...]

    @property
    def pieces(self) -> list[str]:
        """The text, cut."""
        return cut(self.text, *self.places)

    @property
    def script(self) -> Script:
        """The pieces, with time between them."""
        delays = [Sleep(delay) for delay in self.delays]
        pieces = [piece for piece in self.pieces if piece]
        return Script(tuple(step for n, piece in enumerate(pieces) for step in (*delays[n : n + 1], piece)))


def check_stage(
    stage: AnyStage | Callable[..., Any],
    means: Means,
    *,
    alphabet: Sequence[str] = "ab \n",
    examples: int = 100,
    max_chars: int = 12,
    texts: SearchStrategy[str] | None = None,
    gives: Gives = "text",
    prompt: int = 0,
    without: Collection[str] = (),
) -> None:
    """Run every law that applies to a stage, on cases that Hypothesis finds.

    Args:
        stage: what to check; an async generator function too.
        means: its meaning on a whole text: the independent reference. If it raises, the stage has to end with an exception of that
            class. Of a stage that changes no text, such as one that regroups: `str`.
        alphabet: the characters of the texts, or pieces such as `["<think>", "</think>", "a"]`; choose those that the stage
            reacts to.
        examples: how many cases to try.
        max_chars: how many of these the longest text has.
        texts: where the texts come from instead, such as `strategies.texts_for(rule)`, or `strategies.json_documents(Model)`.
        gives: what of the output `means` is compared with: the joined `"text"`; the list of all `"items"`, for units and values;
            or the `"last"` item, for a value that grows. The laws on text and events apply to `"text"` only.
        prompt: demand that nothing is held that no continuation of so many characters of the alphabet could change. 0: do not. A
            stage that regroups, waits or looks far ahead holds more on purpose.
        without: names of laws that are not to hold.

    Raises:
        LawBroken: with the smallest case that Hypothesis found.
        TypeError: an argument is of the wrong type.
        ValueError: an argument is wrong.

    Warns:
        UserWarning: the stage did nothing to any of the texts, as `means` has it, so that nothing is shown.

    Example:
        >>> import json, streamfilter as sf
        >>> from streamfilter.testing.strategies import json_documents
        >>> check_stage(sf.MapText(str.upper), means=str.upper, examples=10)
        >>> arrays = json_documents({"type": "array", "items": {"type": "integer"}})
        >>> check_stage(sf.JSONItems("$[*]"), means=json.loads, texts=arrays, gives="items", examples=10)
        >>> check_stage(sf.MapText(str.title), means=str.title)
        Traceback (most recent call last):
        ...
        streamfilter.testing.tracing.LawBroken: batch: ...
    """
    __tracebackhide__ = True
    strategies = _hypothesis()
    checked = as_stage(stage)
    if isinstance(means, Stage):
        raise TypeError(f"means is the stage {type(means).__qualname__}: write check_stage(stage, means)")
    if not callable(means):
        raise TypeError(f"means is {type(means).__qualname__}: a function is needed")
    if texts is not None and not isinstance(texts, strategies.SearchStrategy):
        raise TypeError(f"texts is {type(texts).__qualname__}: a strategy is needed, such as strategies.texts_for(rule)")
    if isinstance(without, str):
        raise TypeError(f"without is str: a sequence is needed, such as [{without!r}]")
    if unknown := sorted(set(without) - set(LAWS)):
        raise ValueError(f"without names no law: {unknown}; the laws are {', '.join(LAWS)}")
    if texts is None and not any(alphabet):
        raise ValueError(f"alphabet={alphabet!r}: characters are needed, or pieces, or texts=")
    if gives not in ("text", "items", "last"):
        raise ValueError(f"gives={gives!r}: 'text', 'items' or 'last' is needed")
    if prompt < 0 or len(alphabet) ** prompt > MAX_PROMPT_TEXTS:
        raise ValueError(f"prompt={prompt} with an alphabet of {len(alphabet)}: at most {MAX_PROMPT_TEXTS} continuations are tried")
    said = _Said(means, gives)
    checks = tuple(_checks(checked, said, gives, alphabet, prompt, frozenset(without)))
    firsts = _Firsts(checked, gives)

    def laws(case: Case) -> None:
        firsts.keep(case.pieces)
        for check in checks:
            check(case)

    drawn = strategies.lists(strategies.sampled_from([*alphabet]), max_size=max_chars).map("".join) if texts is None else texts
    for _ in range(ROUNDS):
        try:
            _search(strategies, laws, drawn, max_chars * (max(map(len, alphabet)) if texts is None else 1), examples)
        except LawBroken as error:
            if "independence" not in without and (shared := firsts.broken_by(error)) is not None:
                raise shared from None
            raise
        if said.something:
            return
    if said.texts:
        given = f"alphabet={alphabet!r}" if texts is None else "texts="
        warnings.warn(
            f"nothing is shown: {said.nothing} any of the {len(said.texts)} texts that {given} gave. Give characters that the "
            "stage reacts to, alphabet='…', or texts, texts=strategies.texts_for(rule); if it is to change no text, say means=str",
            stacklevel=2,
        )


class _Firsts:
    """What the first streams of a stage gave. Where they give something else later, that is why a law was broken: which one is
    chance, for whatever outlives a stream makes the next one wrong.

    Args:
        stage: whose streams.
        gives: what of their output is compared.
    """

    def __init__(self, stage: AnyStage, gives: Gives) -> None:
        self._stage = stage
        self._gives: Gives = gives
        self._kept: dict[tuple[str, ...], Any] = {}

    def keep(self, pieces: Sequence[str]) -> None:
        """Take down what some pieces give, if they are among the first. They must not have been fed before."""
        if len(self._kept) < FIRSTS and tuple(pieces) not in self._kept:
            self._kept[tuple(pieces)] = self._seen(trace(self._stage, pieces))

    def broken_by(self, error: LawBroken) -> LawBroken | None:
        """The error in place of one, if a stream does not give what it gave first."""
        for pieces, wanted in [*self._kept.items()] * ROUNDS:
            found = trace(self._stage, pieces)
            if (gave := self._seen(found)) != wanted:
                problem = "the same pieces do not give the same again: something outlives a stream, or is left to chance"
                one, other = (gave[0], wanted[0]) if gave[0] != wanted[0] else (gave[1], wanted[1])
                return broken("independence", problem, self._stage, found, gave=one, wanted=other, found_by=error.law)
        return None

    def _seen(self, found: Trace) -> tuple[Any, type | None]:
        return view(found.given, self._gives), type(found.error) if found.error is not None else None


_NOTHING: dict[Gives, str] = {"text": "changes nothing in", "items": "finds nothing in", "last": "gives nothing of"}


class _Said:
    """The meaning of a stage, and whether it said anything: a test whose texts never have what is looked for passes, and shows
    nothing.

    Args:
        means: the meaning.
        gives: what of the output it is compared with.
    """

    def __init__(self, means: Means, gives: Gives) -> None:
        self._means = means
        self._gives = gives
        self.texts: set[str] = set()
        self.something = means is str
        self.nothing = f"means {_NOTHING[gives]}"

    def __call__(self, text: str) -> Any:
        if text:
            self.texts.add(text)
        try:
            meaning = self._means(text)
        except Exception:
            self.something = self.something or (bool(text) and self._gives == "text")
            raise
        if text and not self.something:
            self.something = self._gives == "last" or (meaning != text if self._gives == "text" else bool([*meaning]))
        return meaning


def _checks(
    stage: AnyStage, means: Means, gives: Gives, alphabet: Sequence[str], prompt: int, without: frozenset[str]
) -> Iterator[Callable[[Case], None]]:
    """The laws that apply to a stage, each as a function of a case."""
    is_text, has_machine = gives == "text", all(part.function is None for part in stage.stages)
    applies: dict[str, tuple[bool, Callable[[Case], None]]] = {
        "batch": (True, lambda case: _batches(stage, case, means, gives)),
        "prefix": (True, lambda case: prefix(stage, case.pieces, gives=gives)),
        "done": (is_text and has_machine, lambda case: done(stage, case.pieces)),
        "place": (
            is_text and has_machine,
            lambda case: _places(stage, case, _total(means)),
        ),
        "promptness": (prompt > 0, lambda case: _prompt(stage, case.text, means, alphabet, prompt)),
        "live": (waits(stage), lambda case: live(stage, case.script, means, gives=gives)),
        "ending": (True, lambda case: ending(stage, case.pieces)),
        "grouping": (is_text and has_machine, lambda case: grouping(stage, stage, stage, case.pieces)),
        "constancy": (True, lambda case: _stays(stage, case, is_text)),
        "independence": (True, lambda case: independence(stage, case.pieces, list(case.other))),
        "silence": (True, lambda case: silence(stage, case.pieces)),
    }
    assert tuple(applies) == LAWS
    for law, (does_apply, check) in applies.items():
        if does_apply and law not in without:
            yield check


def _batches(stage: AnyStage, case: Case, means: Means, gives: Gives) -> None:
    batch(stage, case.pieces, means, gives=gives)
    batch(stage, list(case.text) or [case.text], means, gives=gives)  # a stream without any text has no run, and so no meaning


def _places(stage: AnyStage, case: Case, means: Callable[[str], str]) -> None:
    if case.text:
        place(stage, case.text, min(case.at, len(case.text)), case.places, means=means)
    if len(case.text) > 3:  # in short texts parts seldom change what others mean, so more is known of where an event may be
        place(stage, case.text[-3:], 1 + case.at % 2, (), means=means)


def _stays(stage: AnyStage, case: Case, is_text: bool) -> None:
    constancy(stage, case.pieces)
    if is_text:
        constancy(stage, [TextDelta(piece, Channel("answer", (0, 0))) for piece in case.pieces])


def _prompt(stage: AnyStage, text: str, means: Means, alphabet: Sequence[str], depth: int) -> None:
    promptness(stage, text, means, alphabet, depth)


def _total(means: Means) -> Callable[[str], str]:
    """A meaning that may refuse, as one that does not: of what is refused nothing is known."""

    def meaning(text: str) -> str:
        try:
            return str(means(text))
        except Exception:
            return f"\0{text}"  # no two of these join to a third, so nothing is concluded from them

    return meaning


def _search(strategies: Any, laws: Callable[[Case], None], texts: SearchStrategy[str], max_chars: int, examples: int) -> None:
    """Let Hypothesis look for a case that breaks a law, and make it small."""
    import hypothesis

    places = strategies.lists(strategies.integers(0, max_chars), max_size=4).map(tuple)
    delays = strategies.lists(strategies.sampled_from((0.0, 0.01, 1.0, 60.0)), max_size=4).map(tuple)
    cases = strategies.builds(Case, texts, texts, places, strategies.integers(0, max_chars), delays)

    @hypothesis.settings(
        max_examples=examples,
        report_multiple_bugs=False,
        deadline=None,
        database=None,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),  # the message is the explanation
        suppress_health_check=(hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much),
    )
    @hypothesis.given(case=cases)
    def search(case: Case) -> None:
        laws(case)

    __tracebackhide__ = True
    try:
        search()
    except LawBroken as error:
        error.__notes__ = []  # Hypothesis's, which say the same in its own words
        raise error.with_traceback(None) from error.__cause__
    except ExceptionGroup as flaky:  # it broke a law, and the next time it did not, or another one: something outlives a stream
        found = next((error for error in _leaves(flaky) if isinstance(error, LawBroken)), None)
        if found is None:
            raise
        found.__notes__ = ["The same case does not always break it: something outlives a stream, or is left to chance."]
        raise found.with_traceback(None) from None


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _hypothesis() -> Any:
    try:
        from hypothesis import strategies
    except ModuleNotFoundError:
        raise ModuleNotFoundError('check_stage needs Hypothesis: pip install "streamfilter[testing]"') from None
    return strategies
