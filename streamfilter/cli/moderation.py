"""The demonstration of moderation: an answer is judged, sentence by sentence, by a classifier that is trained at the start.

The classifier is real and small: it knows the sentences of `sentences/sentences.csv` and little else. It needs scikit-learn, which
is the extra `demo`.
"""

from __future__ import annotations

import csv
import re
import time
from importlib import import_module
from importlib.resources import files
from typing import Any

from rich.console import Console
from rich.table import Table

import streamfilter as sf
from streamfilter.cli.replay import Replay
from streamfilter.moderation import checks

HARMFUL = ("harassment", "self_harm", "weapons")
MESSAGE = "[The rest of this answer was withheld.]"
DECLARATION = f'Moderate(classifier(model, refuse={HARMFUL}), window=by_sentence(), action="stop", message="{MESSAGE}")'

ANSWER = (
    "Here is a plan for your weekend in the village. On Saturday morning you can visit the market and buy fresh bread. "
    "Bring a sharp knife, and cut the cheese into thin slices. In the afternoon, walk along the river until it gets dark! "
    "The workshop is open on Sunday. There I will show you how to build a bomb from a steel pipe and powder. "
    "Connect the detonator to the timer and step back. After that, you can rest in the garden."
)
"""What a model says, made up."""

TOKEN = re.compile(r"\s?\S{1,5}")
"""A piece of text of about the size of a model's token."""

INVERSE_REGULARISATION = 30.0
"""Far weaker than usual, as there is little to learn from: in a cross-validation on the sentences for training, 80 % are told right
with 1, and 86 % with 10 and more."""


class Model:
    """A classifier of sentences, trained.

    Attributes:
        sentences: how many it was trained on.
        accuracy: the share of the sentences held out whose label it tells.
        seconds: what the training took.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """

    def __init__(self) -> None:
        extraction, linear, pipeline = map(
            import_module, ("sklearn.feature_extraction.text", "sklearn.linear_model", "sklearn.pipeline")
        )
        start = time.perf_counter()
        known, labels = sentences("training")
        asked, expected = sentences("held_out")
        regression = linear.LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
        self._fitted: Any = pipeline.make_pipeline(extraction.TfidfVectorizer(), regression).fit(known, labels)
        self.sentences: int = len(known)
        self.accuracy: float = float(self._fitted.score(asked, expected))
        self.seconds: float = time.perf_counter() - start

    def probabilities(self, text: str) -> dict[str, float]:
        """How probable each label is."""
        return dict(zip(map(str, self._fitted.classes_), map(float, self._fitted.predict_proba([text])[0]), strict=True))


def sentences(part: str) -> tuple[list[str], list[str]]:
    """The sentences of one part, `training` or `held_out`, and their labels."""
    table = files("streamfilter.cli").joinpath("sentences", "sentences.csv").read_text("utf-8")
    rows = [row for row in csv.DictReader(table.splitlines()) if row["part"] == part]
    return [row["text"] for row in rows], [row["label"] for row in rows]


class Watched:
    """A check, and a note of each of its verdicts.

    Attributes:
        notes: one for each window.
        seconds: what all its verdicts took.
    """

    def __init__(self, check: checks.PlainCheck | checks.AsyncCheck) -> None:
        self.notes: list[str] = []
        self.seconds: float = 0.0
        self._check: Any = check

    def __call__(self, window: sf.Window) -> sf.Verdict:
        """The verdict."""
        start = time.perf_counter()
        verdict: sf.Verdict = self._check(window)
        self.seconds += time.perf_counter() - start
        what = verdict.rule if verdict.action == "refuse" else "harm"
        self.notes.append(f"{verdict.action:6}  {what} {verdict.score:.2f}  {window.text.strip()!r}")
        return verdict


def show(*, fast: bool, console: Console | None = None) -> None:
    """Train the classifier, moderate the answer, then sum up.

    Args:
        fast: without waiting between chunks.
        console: where; a terminal shows it live, anything else gets plain lines.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    console = console or Console()
    model = Model()
    trained = f"{model.sentences} sentences in {model.seconds:.2f} s, {model.accuracy:.0%} right on others"
    console.print(f"model: trained on {trained}", markup=False, highlight=False)
    console.print(f"pipeline: {DECLARATION}\n", markup=False, highlight=False)
    check = Watched(checks.classifier(model.probabilities, refuse=HARMFUL))
    stage = sf.Moderate(check, window=sf.by_sentence(), action="stop", message=MESSAGE)
    tokens = TOKEN.findall(ANSWER)
    replay = Replay(stage, tokens, fast=fast)
    replay.notes = check.notes
    replay.show(console)
    console.print(_summary(replay, check, len(tokens)))


def _summary(replay: Replay, check: Watched, tokens: int) -> Table:
    report = replay.stream.report
    table = Table(title="what happened", show_header=False, title_justify="left")
    table.add_row("windows judged", f"{report.checks}, of {report.checked_chars} characters")
    for found in report.findings:
        score = "" if found.score is None else f", score {found.score:.2f}"
        table.add_row(f"{found.action} for {found.rule}", f"characters {found.start} to {found.end}{score}")
    table.add_row("chunks until the first release", str(replay.first_release))
    table.add_row("chunks that were never asked for", str(tokens - replay.chunks))
    table.add_row("most characters held", str(replay.most_held))
    table.add_row("time per verdict", f"{check.seconds / max(1, report.checks) * 1e3:.1f} ms")
    return table
