"""A stateful test of a stage: Hypothesis feeds it whatever it likes, one step at a time, and what has left is right after each.

Where `check_stage` asks about whole cases, this explores: text in two channels, events, streams begun and left. Needs the extra
`testing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from hypothesis import settings
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
except ModuleNotFoundError:
    raise ModuleNotFoundError('StageMachine needs Hypothesis: pip install "streamfilter[testing]"') from None

from streamfilter.items import Channel, Item, TextDelta
from streamfilter.machine import Machine
from streamfilter.pipeline import as_stage
from streamfilter.testing.sources import Mark
from streamfilter.testing.tracing import AnyStage, Trace, broken, text_in, trace, waits

CHANNELS = (Channel("answer", (0, 0)), Channel("answer", (0, 1)))


def StageMachine(  # noqa: N802  # it is used as a class, and its use is shown
    stage: AnyStage | Callable[..., Any],
    means: Callable[[str], str],
    *,
    alphabet: str = "ab \n",
    max_chars: int = 4,
    steps: int = 30,
) -> type[RuleBasedStateMachine]:
    """A state machine over one stage; its `TestCase` is what pytest collects.

    After each step, what has left each channel is what leaves a fresh stream that is fed that channel's text at once; no event has
    overtaken text; and when the stream ends, each channel has given what its text means.

    Args:
        stage: a text stage that need not wait, and that ends no stream.
        means: its meaning on a whole text.
        alphabet: the characters of the texts.
        max_chars: the longest piece.
        steps: how many at most.

    Raises:
        TypeError: the stage waits.

    Example:
        >>> import streamfilter as sf
        >>> from hypothesis.stateful import run_state_machine_as_test
        >>> TestRedact = StageMachine(sf.Redact("ab", to="#"), lambda text: text.replace("ab", "#")).TestCase
        >>> run_state_machine_as_test(StageMachine(sf.Redact("ab", to="#"), lambda text: text.replace("ab", "#"), steps=5))
    """
    checked = as_stage(stage)
    if waits(checked):
        raise TypeError(f"{checked!r} waits: explore what does not, and check this one with check_stage")
    pieces = st.text(alphabet, max_size=max_chars)

    class Explored(_Explored):
        """One stream of the stage, and what it was fed."""

        def __init__(self) -> None:
            super().__init__(checked, means)

        @initialize()
        def begin(self) -> None:
            self.started()

        @rule(piece=pieces, channel=st.sampled_from(CHANNELS))
        def feed(self, piece: str, channel: Channel) -> None:
            self.take(TextDelta(piece, channel))

        @rule(channel=st.sampled_from(CHANNELS))
        def pin_event(self, channel: Channel) -> None:
            self.take(Mark(name=len(self.marks), scope=channel))

        @rule()
        def pass_event(self) -> None:
            self.take(Mark(name="anywhere", scope=None))

        @precondition(lambda self: bool(self.steps))
        @rule()
        def end(self) -> None:
            self.finished()
            self.started()

        @invariant()
        def has_let_out_what_it_should(self) -> None:
            self.compare()

        def teardown(self) -> None:
            self.finished()

    Explored.__name__ = Explored.__qualname__ = f"{type(checked).__name__}Machine"
    Explored.TestCase.settings = settings(Explored.TestCase.settings, stateful_step_count=steps, deadline=None)
    return Explored


class _Explored(RuleBasedStateMachine):
    """What is compared, whatever the rules."""

    def __init__(self, stage: AnyStage, means: Callable[[str], str]) -> None:
        super().__init__()
        self._stage = stage
        self._means = means
        self._machine = Machine()
        self._texts: dict[Channel, str] = {}
        self.steps: list[tuple[Any, list[Any]]] = []
        self.marks: list[Item] = []

    def started(self) -> None:
        """A new stream."""
        self._machine = self._stage.machine()
        self._texts = dict.fromkeys(CHANNELS, "")
        self.steps = []
        self.marks = []

    def take(self, item: Item) -> None:
        """Feed it."""
        if isinstance(item, TextDelta):
            self._texts[item.channel] += item.text
        elif isinstance(item, Mark) and item.scope is not None:
            self.marks.append(item)
        left = list(self._machine.feed(item))
        if isinstance(item, Mark) and item.scope is None and left != [item]:
            raise broken("place", "an event without a place does not pass at once", self._stage, self._trace())
        self.steps.append((item, left))

    def compare(self) -> None:
        """What has left each channel, with what leaves a stream of that text alone."""
        for channel, text in self._texts.items():
            gave = self._given(self._trace().early, channel)
            wanted = text_in(trace(self._stage, [TextDelta(text, channel)]).early) if text else ""
            if gave != wanted:
                problem = f"what has left {channel!r} is not what leaves if its text comes at once"
                raise broken("prefix", problem, self._stage, self._trace(), gave=gave, wanted=wanted)

    def finished(self) -> None:
        """The stream ends."""
        if not self.steps:
            return
        found = Trace(tuple(self.steps), list(self._machine.finish()))
        for channel, text in self._texts.items():
            gave, wanted = self._given(found.given, channel), self._means(text) if text else ""
            if gave != wanted:
                problem = f"what left {channel!r} does not add up to what the whole text means"
                raise broken("batch", problem, self._stage, found, gave=gave, wanted=wanted)
        for channel in CHANNELS:
            marks = [item for item in found.given if isinstance(item, Mark) and item.scope == channel]
            if marks != [mark for mark in self.marks if isinstance(mark, Mark) and mark.scope == channel]:
                raise broken("place", f"events of {channel!r} are lost, doubled or change their order", self._stage, found)

    def _trace(self) -> Trace:
        return Trace(tuple(self.steps), [])

    @staticmethod
    def _given(items: list[Any], channel: Channel) -> str:
        return text_in(item for item in items if isinstance(item, TextDelta) and item.channel == channel)
