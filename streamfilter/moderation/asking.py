"""Asking checks: one question at a time or several at once, in a loop or in plain code, with time-outs and retries.

Here is all that waits. What a window is, and what becomes of it on a verdict, is not known here: a `Question` has its window made
when its turn has come, and is given its `outcome`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from streamfilter.context import Context
from streamfilter.declaration import is_async, show
from streamfilter.errors import ModerationError
from streamfilter.moderation.window import Window
from streamfilter.plain import run_through
from streamfilter.verdict import Verdict

Answer: TypeAlias = object
"""What a check may give: a bool (True: allowed), a `Verdict`, or the result object of OpenAI's moderation API."""

Check: TypeAlias = Callable[[Window], Any]
"""Asked about each window: an async function, or a plain one."""

ALLOWED = Verdict.allow()

BACKOFF_SECONDS = 0.25
"""Before the first retry; twice as long before each further one. A service that is overloaded needs some time, and a reader can
still stand a second."""


class Question:
    """One window that a check is asked about.

    Args:
        window: what is asked about.
        start: where the part that a verdict decides on begins, in characters of its channel.
        end: and where it ends.
        decided: called when there is an outcome.

    Attributes:
        outcome: the verdict; or why there is none.
    """

    __slots__ = ("decided", "end", "key", "outcome", "start", "window")

    def __init__(self, window: Window, start: int, end: int, decided: Callable[[], None]) -> None:
        self.window: Window = window
        self.start: int = start
        self.end: int = end
        self.decided: Callable[[], None] = decided
        self.key: Any = None
        self.outcome: Verdict | BaseException | None = None


class Asking:
    """The questions of one stream.

    A question is under way from when its check is asked until what it decides has left: `release` says so.

    Args:
        check: what is asked.
        concurrency: how many questions may be under way.
        timeout: seconds for each attempt.
        retries: attempts after a failed one.
        context: the stream's.

    Attributes:
        queue: what waits for its turn: each makes the next question.

    Raises:
        TypeError: there is a verdict cache, and the check cannot be told from another.
    """

    def __init__(self, check: Check, *, concurrency: int, timeout: float | None, retries: int, context: Context) -> None:
        self._check = check
        self._concurrency = concurrency
        self._timeout = timeout
        self._retries = retries
        self._context = context
        self.queue: deque[Callable[[], Question]] = deque()
        self._under_way = 0
        self._way: _Loop | _Plain = _Plain(check, timeout)
        self._wake: Callable[[], None] | None = None
        self._variables = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[object, asyncio.TimerHandle] = {}
        self._is_over = False
        if context.verdicts is not None:
            context.verdicts.key(check, "", "", "")

    @property
    def is_busy(self) -> bool:
        """Whether a question is under way."""
        return self._under_way > 0

    @property
    def now(self) -> float:
        """Seconds of the event loop's clock; in plain code none pass."""
        return self._way.loop.time() if isinstance(self._way, _Loop) else 0.0

    def attach(self, wake: Callable[[], None]) -> None:
        """Ask in the event loop that is running, and call `wake` for each outcome."""
        self._way = _Loop(self._check, self._timeout)
        self._wake = wake
        self._variables = contextvars.copy_context()

    def ask(self, make: Callable[[], Question]) -> None:
        """Ask a question in its turn; it is made then."""
        if not self._is_over:
            self.queue.append(make)
            self._begin()

    def release(self) -> None:
        """What one question has decided has left."""
        self._under_way -= 1
        self._begin()

    def later(self, who: object, when: float | None, call: Callable[[], None]) -> None:
        """Call something at a time, for `who`, who has one such call at most; with None, not. In plain code there is no time."""
        timer = self._timers.pop(who, None)
        if timer is not None:
            timer.cancel()
        if when is not None and isinstance(self._way, _Loop) and not self._is_over:
            self._timers[who] = self._way.loop.call_at(when, self._call, who, call, context=self._variables)

    def stop(self) -> Sequence[Awaitable[object]]:
        """Ask nothing more, and cancel what is under way; what takes a while to end is returned."""
        self._is_over = True
        self.queue.clear()
        self._under_way = 0
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in self._tasks:
            task.cancel()
        self._wake = None
        return [*self._tasks]

    # ------------------------------------------------------------------

    def _call(self, who: object, call: Callable[[], None]) -> None:
        del self._timers[who]
        call()
        self._awake()

    def _begin(self) -> None:
        while self.queue and self._under_way < self._concurrency:
            question = self.queue.popleft()()
            self._under_way += 1
            if self._is_known(question):
                question.decided()
                if isinstance(self._way, _Loop):
                    self._way.loop.call_soon(self._awake)  # its turn may have come with another's outcome
                continue
            self._context.report.checks += 1
            self._context.report.checked_chars += len(question.window.text)
            if isinstance(self._way, _Plain):
                self._decide(question, run_through(self._judge(question.window)))
            else:
                task = self._way.loop.create_task(self._asked(question), context=self._variables.copy())
                self._tasks.add(task)
                task.add_done_callback(lambda task, question=question: self._done(task, question))  # type: ignore[misc]

    def _is_known(self, question: Question) -> bool:
        cache, window = self._context.verdicts, question.window
        if cache is not None:
            question.key = cache.key(self._check, window.channel.kind, window.lookback, window.text, window.decided)
            question.outcome = cache.get(question.key)
        return question.outcome is not None

    async def _asked(self, question: Question) -> None:
        self._decide(question, await self._judge(question.window))
        self._awake()  # here, not when the task is done: that is a round of the loop later

    def _done(self, task: asyncio.Task[None], question: Question) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if self._is_over:
                return
            outcome: BaseException = self._failed(question.window, "was cancelled from elsewhere", None)
        elif (error := task.exception()) is not None:
            outcome = error
        else:
            return
        self._decide(question, outcome)
        self._awake()

    def _decide(self, question: Question, outcome: Verdict | BaseException) -> None:
        if self._is_over:
            return
        question.outcome = outcome
        if self._context.verdicts is not None and isinstance(outcome, Verdict):
            self._context.verdicts.put(question.key, outcome)
        question.decided()

    def _awake(self) -> None:
        if self._wake is not None:
            self._wake()

    async def _judge(self, window: Window) -> Verdict | Exception:
        with self._context.checking():
            return await self._answered(window)

    async def _answered(self, window: Window) -> Verdict | Exception:
        problem, cause = "", None
        for attempt in range(1 + self._retries):
            if attempt:
                await self._way.pause(BACKOFF_SECONDS * 2 ** (attempt - 1))
            try:
                return self._understood(await self._way.answer(window))
            except _NoAnswer:
                problem, cause = f"gave no verdict within {self._timeout} s", None
            except Exception as error:
                problem, cause = f"raised {type(error).__name__}", error
            if self._is_over:  # the check has made an error of a cancel
                break
        return self._failed(window, problem, cause)

    def _understood(self, answer: Answer) -> Verdict | Exception:
        try:
            return verdict_of(answer, show(self._check))
        except Exception as error:  # its attributes are anybody's code
            wrong = TypeError(f"the check {show(self._check)} gave what cannot be read: {type(error).__name__}")
            wrong.__cause__ = error
            return wrong

    def _failed(self, window: Window, problem: str, cause: Exception | None) -> ModerationError:
        channel = window.channel
        error = ModerationError(show(self._check), problem, window.start + window.decided, channel.kind)
        error.__cause__ = cause
        return error


class _NoAnswer(Exception):
    """The time for an answer is up."""


class _Loop:
    """How a check is asked in an event loop: a plain one in a thread, so that it does not stall the loop."""

    def __init__(self, check: Check, timeout: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.pause = asyncio.sleep
        self._limit = asyncio.timeout
        self._check = check
        self._timeout = timeout
        self._is_async = is_async(check)

    async def answer(self, window: Window) -> Answer:
        if self._timeout is None and self._is_async:
            return await self._check(window)
        limit = self._limit(self._timeout)
        try:
            async with limit:
                if self._is_async:
                    return await self._check(window)
                answer = await self._in_thread(window)
                return await answer if inspect.isawaitable(answer) else answer
        except TimeoutError:
            if limit.expired():
                raise _NoAnswer from None
            raise

    async def _in_thread(self, window: Window) -> Answer:
        around = contextvars.copy_context()
        is_wanted = True

        def call() -> Answer:
            answer = around.run(_answer, self._check, window)
            if not is_wanted:
                _close(answer)
            return answer

        try:
            return await self.loop.run_in_executor(None, call)
        finally:
            is_wanted = False


class _Plain:
    """How a check is asked in plain code: it is called. Only what has a time-out needs a thread, which is left behind."""

    def __init__(self, check: Check, timeout: float | None) -> None:
        self._check = check
        self._timeout = timeout

    async def answer(self, window: Window) -> Answer:
        answer = self._called(window) if self._timeout is None else self._called_within(self._timeout, window)
        if inspect.isawaitable(answer):
            _close(answer)
            return _Awaitable()
        return answer

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # nobody else is there to be stalled

    def _called(self, window: Window) -> Answer:
        return _answer(self._check, window)

    def _called_within(self, seconds: float, window: Window) -> Answer:
        answers: list[Answer] = []
        errors: list[BaseException] = []

        def call() -> None:
            try:
                answers.append(self._called(window))
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(call,), daemon=True)
        thread.start()
        thread.join(seconds)
        if errors:
            raise errors[0]
        if not answers:
            raise _NoAnswer
        return answers[0]


class _Awaitable:
    """Stands for an answer that plain code cannot wait for."""


def _close(answer: Answer) -> None:
    """Give up what nobody waits for."""
    if inspect.iscoroutine(answer):
        answer.close()


def _answer(check: Check, window: Window) -> Answer:
    try:
        return check(window)
    except StopIteration as error:  # it would look like the end of an iterator, and no future takes it (PEP 479)
        raise RuntimeError("a check raised StopIteration") from error


def verdict_of(answer: Answer, name: str) -> Verdict | TypeError:
    """What an answer means; a `TypeError` that says what would be right, if nothing.

    Example:
        >>> verdict_of(True, "allowed").action, verdict_of(None, "allowed")
        ('allow', TypeError("the check allowed gave NoneType: a bool (True: allowed), a Verdict or a result ... is needed"))
    """
    if answer is True:
        return ALLOWED
    if isinstance(answer, _Awaitable):
        return TypeError(f"the check {name} gave an awaitable, which plain code cannot wait for: use async for")
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, bool) or (type(answer).__module__ == "numpy" and type(answer).__name__.startswith("bool")):
        return ALLOWED if answer else Verdict.refuse()
    if (found := openai_verdict(answer)) is not None:
        return found
    kind = type(answer).__qualname__
    return TypeError(
        f"the check {name} gave {kind}: a bool (True: allowed), a Verdict or a result of OpenAI's moderation API is needed"
    )


def openai_verdict(answer: Answer, thresholds: Mapping[str, float] | None = None) -> Verdict | None:
    """What the response or one result of OpenAI's moderation API means; None if it is neither.

    Source: the API reference of `moderations.create`: `results`, each with `flagged`, `categories` and `category_scores`.

    Args:
        thresholds: by category, the score from which it counts; the others then do not. Without any, the API's own flags count.

    Example:
        >>> openai_verdict({"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.8}})
        Verdict(action='refuse', rule='hate', score=0.8)
    """
    results = _field(answer, "results")
    results = results if isinstance(results, list | tuple) else [answer]
    verdicts = [_judged(result, thresholds) for result in results]
    if None in verdicts or not verdicts:
        return None
    known = cast("list[Verdict]", verdicts)
    return next((verdict for verdict in known if verdict.action == "refuse"), known[0])


def _judged(result: object, thresholds: Mapping[str, float] | None) -> Verdict | None:
    flagged = _field(result, "flagged")
    if not isinstance(flagged, bool):
        return None
    scores = {name: score for name, score in _entries(result, "category_scores").items() if isinstance(score, int | float)}
    if thresholds is not None:
        over = {name for name, score in scores.items() if name in thresholds and score >= thresholds[name]}
        flagged = bool(over)
    else:
        over = {name for name, is_so in _entries(result, "categories").items() if is_so is True}
    if not flagged:
        return Verdict.allow(score=max(scores.values(), default=None))
    worst = max(over, key=lambda name: (scores.get(name, 0.0), name), default="moderation")
    return Verdict.refuse(rule=worst, score=scores.get(worst))


def _field(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _entries(value: object, name: str) -> Mapping[str, Any]:
    """The entries of a part of a result by their names in the API: `harassment/threatening`."""
    part = _field(value, name)
    if isinstance(part, Mapping):
        return part
    dump = getattr(part, "model_dump", None)
    dumped = dump(by_alias=True) if callable(dump) else getattr(part, "__dict__", {})
    return cast("Mapping[str, Any]", dumped)
