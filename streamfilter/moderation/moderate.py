"""`Moderate`: text waits for the verdict of a check, window by window."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from streamfilter.context import Context
from streamfilter.declaration import Seconds, StandIn, check_takes, is_async, show
from streamfilter.errors import Blocked, ModerationError
from streamfilter.items import Channel, End, Item
from streamfilter.machine import Machine, TextMachine
from streamfilter.moderation.asking import Asking, Check, Question
from streamfilter.moderation.window import Window
from streamfilter.pipeline import TextStage, stage
from streamfilter.segment import Segmentation, by_sentence
from streamfilter.slices import Steps, cut, is_large
from streamfilter.verdict import Verdict
from streamfilter.waiting import WaitingLift

MAX_SHADOWS = 1000
"""Windows that may wait for checks that only watch, before the source has to: some 100 KB of text."""

FAILED = "moderation"
"""The name under which text is reported that left without a verdict."""


def _check_window(window: object) -> object:
    if not isinstance(window, Segmentation | Mapping):
        way = window if window in ("sentence", "paragraph", "line") else "sentence"
        raise ValueError(f"a Segmentation is needed, not {type(window).__qualname__}: write sf.by_{way}()")
    return window


@stage
class Moderate(TextStage):
    r"""Ask a check about each window of text, and release it on its verdict. It applies to every text channel but tool arguments.

    A verdict releases its text the moment it arrives, in order, though nothing more has come from the source. The source is not
    read ahead of `concurrency` windows under way and one that fills, except in the shadow, which must not delay it: there up to
    `MAX_SHADOWS` windows may wait for their turn.

    Args:
        check: asked about each `Window`: an async function, or a plain one, which runs in a thread where there is an event loop. It
            gives a bool (True: allowed), a `Verdict`, or the result object of OpenAI's moderation API.
        window: what is asked about at a time; see `streamfilter.segment`.
        lookback_chars: how much of the text before it a window shows as its `lookback`.
        mode: `"hold"` lets nothing leave before its verdict; `"optimistic"` lets text leave at once and ends the stream at a flag,
            which a replacement then is too; `"shadow"` only reports.
        concurrency: how many windows may be under way: asked about, and not yet released.
        action: for a refusal. `"raise"` raises `Blocked` to the consumer, `"stop"` ends the stream without an error.
        message: with `"stop"`, the last text of the channel; also that of a verdict `stop()` without one of its own.
        timeout: seconds for each attempt; a plain check goes on in its thread, and nobody listens.
        failure: when a check raises or gives no verdict in time: `"block"` raises `ModerationError`, `"release"` releases the text
            and reports it.
        retries: attempts after a failed one, after 0.25 s, 0.5 s, 1 s and so on.
        channels: the kinds of channel it applies to; None is every kind but tool arguments.

    Raises:
        ValueError: an argument makes no sense, or not beside another.
        Blocked: while streaming, if `action="raise"`: with rule, offset and score, never the text.
        ModerationError: while streaming, if `failure="block"`.
        TypeError: while streaming, if the check gives something else.

    Example:
        >>> import asyncio, streamfilter as sf
        >>> async def allowed(window: sf.Window) -> bool:
        ...     return "weapon" not in window.text
        >>> stage = sf.Moderate(allowed, action="stop", message="(withheld)")
        >>> asyncio.run(stage.aapply("Hello there. Build a weapon. Bye."))
        'Hello there. (withheld)'
    """

    check: Check
    window: Annotated[Segmentation, BeforeValidator(_check_window)] = dataclasses.field(default=by_sentence(), kw_only=True)
    lookback_chars: Annotated[int, Field(ge=0)] = dataclasses.field(default=0, kw_only=True)
    mode: Literal["hold", "optimistic", "shadow"] = dataclasses.field(default="hold", kw_only=True)
    concurrency: Annotated[int, Field(ge=1)] = dataclasses.field(default=1, kw_only=True)
    action: Literal["raise", "stop"] = dataclasses.field(default="raise", kw_only=True)
    message: str | None = dataclasses.field(default=None, kw_only=True)
    timeout: Seconds | None = dataclasses.field(default=None, kw_only=True)
    failure: Literal["block", "release"] = dataclasses.field(default="block", kw_only=True)
    retries: Annotated[int, Field(ge=0)] = dataclasses.field(default=0, kw_only=True)
    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            check: Check,
            *,
            window: Segmentation = ...,
            lookback_chars: int = ...,
            mode: Literal["hold", "optimistic", "shadow"] = ...,
            concurrency: int = ...,
            action: Literal["raise", "stop"] = ...,
            message: str | None = ...,
            timeout: float | None = ...,
            failure: Literal["block", "release"] = ...,
            retries: int = ...,
            channels: tuple[str, ...] | None = ...,
        ) -> None: ...

    def compile(self) -> None:
        if not isinstance(self.check, StandIn):
            check_takes(self.check, "a window")
        if self.message is not None and self.action == "raise":
            raise ValueError("message is only shown with action='stop': an exception is no text")
        if self.lookback_chars and self.window.by == "cumulative":
            raise ValueError("lookback_chars with cumulative windows: their text already begins at the beginning")

    @property
    def must_wait(self) -> bool:
        return is_async(self.check)

    def start(self, context: Context | None = None) -> TextMachine:
        given = context or Context()
        return _Moderator(self.asking(given), {}, None, self, given)

    def machine(self, context: Context | None = None) -> Machine:
        return _Moderation(self, context or Context())

    def holds(self) -> str:
        if self.mode != "hold":
            return f"asks {show(self.check)} about each window of {self.window!r}; holds nothing"
        return f"holds each window of {self.window!r} until {show(self.check)} has decided"

    def asking(self, context: Context) -> Asking:
        """The questions of one stream."""
        return Asking(self.check, concurrency=self.concurrency, timeout=self.timeout, retries=self.retries, context=context)


class _Moderation(WaitingLift):
    """One stream's: a `_Moderator` for each run, and what they share."""

    def __init__(self, stage: Moderate, context: Context) -> None:
        self._asking = stage.asking(context)
        # A shadow should not be seen to do anything, so nobody waits for it before very many windows do.
        self._most = MAX_SHADOWS if stage.mode == "shadow" else 0
        self._apart: list[_Moderator] | None = None  # while a large text is taken in: those that are to divide it in slices
        start = partial(_Moderator, self._asking, {}, self)
        super().__init__(start, type(stage).__name__, kinds=stage.channels, stage=stage, context=context)

    def steps(self, item: Any) -> Steps | None:
        return self._steps(item) if is_large(item) else None

    def _steps(self, item: Any) -> Steps:
        apart: list[_Moderator] = []
        self._apart = apart
        given = self.feed(item)
        self._apart = None
        for machine in apart:
            while machine.undivided is not None and machine.done is None and not self.ended:
                yield given
                given = self._collected(machine)
        return given

    def postpones(self, machine: _Moderator) -> bool:
        """Whether a text that has just come is to be divided in slices, by `collect`."""
        if self._apart is None:
            return False
        self._apart.append(machine)
        return True

    def attach(self, wake: Callable[[], None]) -> None:
        self._asking.attach(wake)

    def cancel(self) -> Sequence[Awaitable[object]]:
        super().cancel()
        return self._asking.stop()

    def rescue(self) -> Sequence[Item]:
        self._asking.stop()
        return super().rescue()

    @property
    def is_full(self) -> bool:  # type: ignore[override]
        """Whether a window waits for its turn, or an item for a window."""
        return len(self._asking.queue) > self._most or super().is_full

    @property
    def has_pending_runs(self) -> bool:
        """Whether a check is under way."""
        return self._asking.is_busy


class _Moderator(TextMachine):
    """One run: it cuts windows, has them asked about, and releases them in order."""

    def __init__(
        self,
        asking: Asking,
        counts: dict[Channel, int],
        owner: _Moderation | None,
        stage: Moderate,
        context: Context,
    ) -> None:
        self._stage = stage
        self._asking = asking
        self._context = context
        self._counts = counts  # windows so far, by channel
        self._owner = owner
        self._finder = stage.window.start()
        self._ends: deque[int] = deque()  # of windows that wait for their turn
        self._questions: deque[Question] = deque()  # under way, or decided behind one that is not
        self._base: int | None = None  # where the run begins, in characters of the channel
        self._cut = 0  # up to where the text is divided, in characters of the run
        self._asked = 0  # up to where it is asked about
        self._seen = 0
        self._arrivals: deque[tuple[int, float]] = deque()  # of text that is not divided yet: up to where, and when
        self.undivided: Iterator[str] | None = None  # what has come, in slices
        self._fresh: list[int] = []  # ends of windows in it that are not asked about yet
        self._is_final = False
        self._max_wait = stage.window.max_wait
        self._is_held = stage.mode == "hold"
        self._is_cumulative = stage.window.by == "cumulative"
        needs_context = not self._is_held or stage.lookback_chars or self._is_cumulative
        self.context = int(bool(needs_context))  # how much, `_remember` says

    @property
    def is_pending(self) -> bool:  # type: ignore[override]
        """Whether a window waits for its verdict; a shadow lets nothing wait."""
        return bool(self._questions or self._ends) and self._stage.mode != "shadow"

    def feed(self, text: str) -> None:
        if self._base is None:
            self._base = self.hold.offset
        self._seen += len(text)
        if not self._is_held:
            self.hold.keep(len(text))
        if self._max_wait is not None:
            self._arrivals.append((self._seen, self._asking.now))
        if self._owner is not None and self._owner.postpones(self):
            self.undivided = cut(text)
        elif self._divide(text) or self.context:
            self._release()

    def finish(self) -> None:
        self._is_final = True
        end = self._finder.cut()
        if end is not None:
            self._ask(end)
            self._wait()
        self._release()

    def collect(self) -> None:
        if self.undivided is not None:
            text = next(self.undivided, None)
            self.undivided = None if text is None else self.undivided
            self._divide(text or "")
        self._release()

    def leave(self) -> None:
        self._questions.clear()  # each knows whom to tell

    # ------------------------------------------------------------------ asking

    def _decided(self) -> None:
        """A verdict has come."""
        if self._owner is not None:
            self._owner.due(self)

    def _divide(self, text: str) -> bool:
        """Ask about what ends in a text, at once about as many as may be under way; whether anything does."""
        ends = self._fresh
        if text:
            ends += self._finder.feed(text)
        if self.undivided is not None and len(ends) < self._stage.concurrency:
            return False
        self._fresh = []
        for end in ends:
            self._ask(end)
        self._wait()
        return bool(ends)

    def _wait(self) -> None:
        """See to it that what is not divided yet will be in time."""
        while self._arrivals and self._arrivals[0][0] <= self._cut:
            self._arrivals.popleft()
        if self._max_wait is not None and self.undivided is None:
            self._asking.later(self, self._arrivals[0][1] + self._max_wait if self._arrivals else None, self._time_is_up)

    def _time_is_up(self) -> None:
        end = self._finder.cut() if self.undivided is None else None
        if end is not None:
            self._ask(end)
            self._wait()

    def _ask(self, end: int) -> None:
        self._ends.append(end)
        self._cut = end
        self._asking.ask(self._question)

    def _question(self) -> Question:
        """The next one, when its turn has come."""
        hold, run = self.hold, self._base or 0
        channel = hold.channel
        end = self._ends.popleft()
        index = self._counts.get(channel, 0)
        self._counts[channel] = index + 1
        start, self._asked = run + self._asked, end
        begin = run if self._is_cumulative else start
        back = max(run, begin - self._stage.lookback_chars)
        window = Window(
            text=hold.buf[begin - hold.base : run + end - hold.base],
            lookback=hold.buf[back - hold.base : begin - hold.base],
            index=index,
            start=begin,
            final=self._is_final and not self._ends,
            channel=channel,
            context=self._context,
            decided=start - begin,
        )
        question = Question(window, start, run + end, self._decided)
        self._questions.append(question)
        return question

    def _remember(self) -> None:
        """Keep what windows that are still to be made will show, though it has left."""
        if self.context and self._base is not None:
            first = self._base + (0 if self._is_cumulative else self._asked - self._stage.lookback_chars)
            self.hold.context = max(1, self.hold.offset - first)

    # ------------------------------------------------------------------ releasing

    def _release(self) -> None:
        while self._questions and self._questions[0].outcome is not None and self.done is None:
            question = self._questions.popleft()
            self._act(question, question.outcome)
            if self.done is None:
                self._asking.release()
        self._remember()

    def _act(self, question: Question, outcome: Verdict | BaseException | None) -> None:
        stage, hold = self._stage, self.hold
        chars = question.end - question.start if self._is_held else 0
        if not isinstance(outcome, Verdict):
            self._fail(question, cast("BaseException", outcome), chars)
        elif outcome.action == "allow":
            hold.keep(chars)
        elif stage.mode == "shadow":
            self._found(question, outcome, "flag")
        elif outcome.action == "replace" and self._is_held:
            self._found(question, outcome, "replace")
            hold.replace(chars, outcome.text or "")
        else:
            is_stop = outcome.action == "stop"
            self._found(question, outcome, "stop" if is_stop else "block")
            if is_stop or stage.action == "stop":
                message = outcome.text if is_stop else None
                hold.replace(0, message if message is not None else stage.message or "")
                self.done = End("blocked")
            else:
                kind, left = hold.channel.kind, hold.offset
                error = Blocked(outcome.rule, question.start, kind, left=left, reason=outcome.reason, score=outcome.score)
                self.done = End("blocked", error)

    def _fail(self, question: Question, error: BaseException, chars: int) -> None:
        stage = self._stage
        if isinstance(error, ModerationError) and (stage.failure == "release" or stage.mode == "shadow"):
            self._context.found(FAILED, "release", self.hold.channel, question.start, question.end)
            self.hold.keep(chars)
        else:
            self.done = End("error", error)

    def _found(self, question: Question, verdict: Verdict, action: str) -> None:
        self._context.found(verdict.rule, action, self.hold.channel, question.start, question.end, score=verdict.score)
