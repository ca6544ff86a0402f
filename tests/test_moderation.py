"""`Moderate`: what leaves, and when; what happens to checks however a stream ends. Time is virtual."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pytest

import streamfilter as sf
from streamfilter.testing import VirtualLoop, cut, run_virtually

Action = Literal["allow", "replace", "stop", "refuse"]


@dataclass
class Script:
    """A source and a check that take their time, and remember what happened to them.

    Attributes:
        chunks: the text, with the seconds before each piece.
        ending: seconds before the source ends.
        error: what it raises instead of ending.
        judge: what the check says of a window, after so many seconds.
    """

    chunks: Sequence[tuple[Any, float]]
    judge: Callable[[sf.Window], tuple[Any, float]] = lambda window: (True, 0.0)
    ending: float = 0.0
    error: BaseException | None = None
    windows: list[sf.Window] = field(default_factory=list)
    running: int = 0
    most: int = 0
    given: int = 0
    closed: int = 0

    def __aiter__(self) -> Script:
        return self

    async def __anext__(self) -> Any:
        if self.given < len(self.chunks):
            text, seconds = self.chunks[self.given]
            await asyncio.sleep(seconds)
            self.given += 1
            return text
        await asyncio.sleep(self.ending)
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1

    async def check(self, window: sf.Window) -> Any:
        self.windows.append(window)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            answer, seconds = self.judge(window)
            await asyncio.sleep(seconds)
            if isinstance(answer, BaseException):
                raise answer
            return answer
        finally:
            self.running -= 1


def at_once(*texts: str) -> list[tuple[Any, float]]:
    return [(text, 0.0) for text in texts]


async def timed(stream: AsyncIterator[Any]) -> tuple[list[tuple[Any, float]], BaseException | None]:
    """What a stream gives, and when; and how it ended."""
    loop = asyncio.get_running_loop()
    out: list[tuple[Any, float]] = []
    try:
        async for item in stream:
            out.append((item, loop.time()))  # noqa: PERF401  # what was given before an exception counts
    except Exception as error:
        return out, error
    return out, None


def texts(out: Iterable[tuple[Any, float]]) -> list[Any]:
    return [item for item, _ in out]


def run(
    stage: sf.Stage[Any, Any], script: Script, **kwargs: Any
) -> tuple[list[tuple[Any, float]], BaseException | None, sf.Report]:
    """One stream in virtual time. No task outlives it, no check runs on, and the source is closed once."""

    async def main() -> tuple[list[tuple[Any, float]], BaseException | None, sf.Report]:
        async with stage(script, **kwargs) as stream:
            out, error = await timed(stream)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return out, error, stream.report

    result = run_virtually(main())
    assert (script.running, script.closed) == (0, 1)
    return result


# ------------------------------------------------------------------ what leaves, and when


def least_times(
    chunks: Sequence[tuple[str, float]], ending: float, size: int, latencies: Sequence[float], concurrency: int
) -> list[float]:
    """When each window can leave at the earliest, worked out by recurrence.

    The source is asked for its next chunk when the one before has come and no complete window waits for its turn. A window is
    asked about when it is complete and the one `concurrency` before it has left; it leaves with its verdict, behind those before it.
    """
    total = sum(len(text) for text, _ in chunks)
    completed: list[float] = []
    started: list[float] = []
    left: list[float] = []
    now, chars = 0.0, 0
    for text, seconds in [*chunks, ("", ending)]:
        now = max([now, *started]) + seconds
        chars += len(text)
        is_end = text == ""
        while len(completed) < (-(-total // size) if is_end else chars // size):
            k = len(completed)
            completed.append(now)
            started.append(max(now, left[k - concurrency] if k >= concurrency else 0.0))
            left.append(max(started[k] + latencies[k], left[k - 1] if k else 0.0))
    return left


@pytest.mark.parametrize("seed", range(60))
def test_each_window_leaves_at_the_least_possible_time(seed: int) -> None:
    """For random latencies of chunks and checks: released text is a prefix of what is allowed, ends equal to it, never too late."""
    rng = random.Random(seed)
    size = rng.randint(1, 6)
    text = "".join(rng.choice("abc ") for _ in range(rng.randint(1, 40)))
    places = [rng.randint(0, len(text)) for _ in range(rng.randint(0, 12))]
    chunks = [(piece, rng.choice([0.0, 0.5, 1.0, 3.0]) + rng.random()) for piece in cut(text, *places)]
    count = -(-len(text) // size)
    latencies = [rng.choice([0.0, 1.0, 4.0]) + rng.random() / 7 for _ in range(count)]
    rare: list[Action] = ["replace", "replace", "stop", "refuse"]
    actions: list[Action] = [rng.choice(rare) if rng.random() < 1 / 4 else "allow" for _ in range(count)]
    verdicts = {"allow": True, "replace": sf.Verdict.replace("<>"), "stop": sf.Verdict.stop("bye"), "refuse": False}
    ending, concurrency = rng.random(), rng.randint(1, 4)
    script = Script(chunks, lambda window: (verdicts[actions[window.index]], latencies[window.index]), ending=ending)
    stage = sf.Moderate(script.check, window=sf.by_chars(size), concurrency=concurrency, lookback_chars=rng.choice([0, 3]))
    out, error, report = run(stage, script)

    end = next((n for n, action in enumerate(actions) if action in ("stop", "refuse")), count)
    expected = [text[n * size : (n + 1) * size] if actions[n] == "allow" else "<>" for n in range(end)]
    times = least_times(chunks, ending, size, latencies, concurrency)[: end + 1]
    if end < count and actions[end] == "stop":
        expected.append("bye")
    assert texts(out) == expected
    assert [time for _, time in out] == pytest.approx(times[: len(out)])
    assert isinstance(error, sf.Blocked) is (end < count and actions[end] == "refuse")
    assert script.most <= concurrency
    if end == count:  # each piece of text was checked once
        assert [window.text for window in script.windows] == [text[n * size : (n + 1) * size] for n in range(count)]
        assert (report.checks, report.checked_chars) == (count, len(text))
    for window in script.windows:
        back = stage.lookback_chars
        assert window.lookback == text[max(0, window.start - back) : window.start]
        assert text[window.start : window.start + len(window.text)] == window.text


def test_the_source_is_not_read_ahead() -> None:
    """With `concurrency` windows under way and one complete, nothing more is read, however long that takes."""
    script = Script([(letter, 1.0) for letter in "abcdefgh"], lambda window: (True, 1000.0))
    stage = sf.Moderate(script.check, window=sf.by_chars(1), concurrency=3)

    async def main() -> int:
        async with stage(script) as stream:
            reading = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(900)
            given = script.given
            reading.cancel()
        return given

    assert run_virtually(main()) == 4


def test_a_verdict_releases_its_text_though_nothing_more_comes() -> None:
    """The source pauses for an hour; the sentence that was complete leaves with its verdict."""
    script = Script([("Hello. W", 1.0), ("orld.", 3600.0)], lambda window: (True, 2.0))
    out, error, _ = run(sf.Moderate(script.check), script)
    assert (out, error) == ([("Hello. ", 3.0), ("World.", 3603.0)], None)


def test_what_waits_too_long_is_checked_as_it_is() -> None:
    """`max_wait` seconds after the first character of an unfinished window, a check is asked about what there is."""
    script = Script([("Hel", 1.0), ("lo", 1.0), (" there. How", 10.0), (" so?", 0.5)], lambda window: (True, 0.25))
    out, error, _ = run(sf.Moderate(script.check, window=sf.by_sentence(max_wait=4.0)), script)
    assert (out, error) == ([("Hello", 5.25), (" there. ", 12.25), ("How so?", 12.75)], None)
    assert [window.final for window in script.windows] == [False, False, True]


def _all_but(bad: str, window: sf.Window) -> tuple[bool, float]:
    return window.text != bad, 0.1


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_the_reference_is_to_check_each_window_of_the_whole_text_in_order(concurrency: int) -> None:
    """With sentences as windows: the same windows, the same text, whatever the cuts."""
    text = 'He said "Stop!" and left. Dr. Who? 3.14 is fine… No?\nA list:\n- one\n- two. The end'
    whole = Script(at_once(text))
    assert "".join(texts(run(sf.Moderate(whole.check), whole)[0])) == text
    sentences = [window.text for window in whole.windows]
    assert len(sentences) > 4
    rng = random.Random(concurrency)
    for _ in range(30):
        bad = rng.choice(sentences)
        pieces = cut(text, *(rng.randint(0, len(text)) for _ in range(12)))
        script = Script(at_once(*pieces), partial(_all_but, bad))
        out, error, _ = run(sf.Moderate(script.check, concurrency=concurrency), script)
        assert "".join(texts(out)) == "".join(sentences[: sentences.index(bad)])
        assert isinstance(error, sf.Blocked)
        assert error.offset == text.index(bad)
        assert [window.text for window in script.windows][: sentences.index(bad) + 1] == sentences[: sentences.index(bad) + 1]


# ------------------------------------------------------------------ windows


def test_a_window_says_where_it_is_and_whose() -> None:
    """Index, start and finality by channel, the lookback, and the context with the stream's tags."""
    thought, answer = sf.Channel("reasoning", (0, 0)), sf.Channel("answer", (0, 0))
    items: list[sf.Item] = [sf.TextDelta("Hm. Yes", thought), sf.TextDelta("One. Two. Th", answer), sf.Finish("stop", scope=(0, 0))]
    windows: list[sf.Window] = []
    context = sf.Context(tags={"tenant": "acme"})
    stage = sf.Moderate(lambda window: not windows.append(window), lookback_chars=6)  # type: ignore[func-returns-value]
    list(stage.iter(items, context=context))
    assert [(w.text, w.lookback, w.index, w.start, w.final, w.channel) for w in windows] == [
        ("Hm. ", "", 0, 0, False, thought),
        ("One. ", "", 0, 0, False, answer),
        ("Two. ", "One. ", 1, 5, False, answer),
        ("Yes", "Hm. ", 1, 4, True, thought),
        ("Th", " Two. ", 2, 10, True, answer),
    ]
    assert all(window.context.tags == {"tenant": "acme"} for window in windows)
    assert "Hm" not in repr(windows)  # text that is held is shown by nothing


def test_a_second_run_counts_on_but_does_not_look_back() -> None:
    """Offsets and indexes are the channel's; a run begins anew."""
    from streamfilter.testing import Mark

    windows: list[sf.Window] = []
    stage = sf.Moderate(lambda window: not windows.append(window), lookback_chars=9, window=sf.by_chars(3))  # type: ignore[func-returns-value]
    items: list[sf.Item] = ["abcd", Mark(boundary=True), "efgh"]
    assert list(stage.iter(items)) == ["abc", "d", Mark(boundary=True), "efg", "h"]
    assert [(w.text, w.lookback, w.index, w.start) for w in windows] == [
        ("abc", "", 0, 0),
        ("d", "abc", 1, 3),
        ("efg", "", 2, 4),
        ("h", "efg", 3, 7),
    ]


@pytest.mark.parametrize("mode", ["hold", "optimistic", "shadow"])
@pytest.mark.parametrize("size", [1, 7, 400])
def test_what_a_window_shows_does_not_depend_on_the_mode(mode: Any, size: int) -> None:
    """Text that has left is still there to be shown, in long streams too, and cumulative windows show all of it."""
    text = "".join(random.Random(size).choice("abcdefg ") for _ in range(600))
    for window in (sf.by_chars(size), sf.cumulative(size)):
        back = 0 if window.by == "cumulative" else 50
        for pieces in (cut(text, *range(0, 600, 3)), [text]):
            script = Script(at_once(*pieces))
            out, _, report = run(sf.Moderate(script.check, mode=mode, window=window, lookback_chars=back, concurrency=2), script)
            assert "".join(texts(out)) == text
            ends = [*range(size, 600, size), 600]
            if window.by == "cumulative":
                assert [(w.text, w.decided) for w in script.windows] == [(text[:e], e - (e - 1) % size - 1) for e in ends]
            else:
                assert [(w.lookback, w.text) for w in script.windows] == [
                    (text[max(0, s - back) : s], text[s : s + size]) for s in range(0, 600, size)
                ]
            assert report.checked_chars == sum(len(w.text) for w in script.windows)


def test_memory_does_not_grow_with_the_text() -> None:
    """What is remembered for lookbacks and windows to come is bounded, in every mode."""
    for mode in ("hold", "optimistic", "shadow"):
        stage = sf.Moderate(lambda window: True, mode=mode, lookback_chars=10, window=sf.by_chars(20))
        machine: Any = stage.machine()
        for _ in range(5000):
            machine.feed("abcd")
        (run,) = machine._runs.values()
        assert len(run.hold.buf) < 1000


# ------------------------------------------------------------------ verdicts

VERDICTS: list[tuple[Any, str, str | None]] = [
    (True, "One. Two. Three", None),
    (sf.Verdict.allow(score=0.1), "One. Two. Three", None),
    (False, "One. ", "block"),
    (sf.Verdict.refuse("because", rule="x"), "One. ", "block"),
    (sf.Verdict.replace("[2]", rule="x"), "One. [2]Three", "replace"),
    (sf.Verdict.replace(""), "One. Three", "replace"),
    (sf.Verdict.stop("bye"), "One. bye", "stop"),
    (sf.Verdict.stop(), "One. ", "stop"),
    ({"flagged": False}, "One. Two. Three", None),
    ({"results": [{"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.9}}]}, "One. ", "block"),
]


@pytest.mark.parametrize(("verdict", "text", "action"), VERDICTS)
def test_what_a_verdict_does(verdict: Any, text: str, action: str | None) -> None:
    """The same for async and plain checks, whole and one character at a time; the finding says what and where."""
    for pieces in (["One. Two. Three"], list("One. Two. Three")):
        script = Script(at_once(*pieces), lambda window: (verdict if window.index == 1 else True, 0.1))
        out, error, report = run(sf.Moderate(script.check), script)
        assert "".join(texts(out)) == text
        assert isinstance(error, sf.Blocked) is (action == "block")
        assert [(f.action, f.start, f.end) for f in report.findings] == ([(action, 5, 10)] if action else [])
        plain: list[str] = []
        raised: sf.Blocked | None = None
        with sf.Moderate(lambda window: verdict if window.index == 1 else True).iter(pieces) as stream:
            try:
                for item in stream:
                    plain.append(item)  # noqa: PERF402  # what was given before an exception counts
            except sf.Blocked as blocked:
                raised = blocked
        assert "".join(plain) == text
        assert (raised and vars(raised)) == (error and vars(error))


def test_a_refusal_under_stop_ends_with_the_message() -> None:
    """`action="stop"`: no error; the message is the last text, also of a `stop()` without its own."""
    for verdict, message in ((False, "Sorry."), (sf.Verdict.stop(), "Sorry."), (sf.Verdict.stop("x"), "x")):
        script = Script(at_once("One. Two. Three"), lambda window, verdict=verdict: (window.index == 0 or verdict, 0.1))  # type: ignore[misc]
        out, error, _ = run(sf.Moderate(script.check, action="stop", message="Sorry."), script)
        assert (texts(out), error) == (["One. ", message], None)


def test_a_refusal_tells_why_but_never_what() -> None:
    """`Blocked` has rule, offset, score and reason; its message and the finding have no text, and it can be pickled."""
    import pickle

    script = Script(at_once("Fine. Secret plan. "), lambda window: (sf.Verdict.refuse("Secret!", rule="plans", score=0.75), 0.0))
    _, error, report = run(sf.Moderate(script.check, window=sf.by_chars(6)), script)
    assert isinstance(error, sf.Blocked)
    assert (error.rule, error.offset, error.left, error.reason, error.score) == ("plans", 0, 0, "Secret!", 0.75)
    assert "ecret" not in f"{error!r} {error} {report}"
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


# ------------------------------------------------------------------ modes


def test_optimistic_text_leaves_at_once_and_a_flag_says_what_had_left() -> None:
    """Each chunk leaves as it came; a flag ends the stream, and counts exactly what the consumer has got."""
    chunks = [("One. ", 1.0), ("Two. ", 1.0), ("Thr", 1.0), ("ee. ", 1.0), ("Four. ", 1.0)]
    script = Script(chunks, lambda window: (window.index != 1, 1.5))
    out, error, report = run(sf.Moderate(script.check, mode="optimistic", concurrency=5), script)
    assert out == [("One. ", 1.0), ("Two. ", 2.0), ("Thr", 3.0), ("ee. ", 4.0)]
    assert isinstance(error, sf.Blocked)
    assert (error.offset, error.left) == (5, 17)
    assert str(error) == "rule moderation matched at character 5 of the answer, when 17 characters of it had left"
    assert [(f.action, f.start, f.end) for f in report.findings] == [("block", 5, 10)]


def test_optimistic_waits_for_the_last_verdicts_before_it_says_that_it_is_over() -> None:
    """A finish reason, and the end, come behind the verdicts of all text before them."""
    delta, finish = sf.TextDelta("One.", sf.Channel("answer", (0, 0))), sf.Finish("stop", scope=(0, 0))
    for verdict in (True, False):
        script = Script([], lambda window, verdict=verdict: (verdict, 2.0))  # type: ignore[misc]
        script.chunks = [(delta, 0.0), (finish, 0.0)]
        out, error, _ = run(sf.Moderate(script.check, mode="optimistic"), script)
        assert out == [(delta, 0.0), (finish, 2.0)][: 1 + verdict]
        assert isinstance(error, sf.Blocked) is not verdict


def test_optimistic_cannot_replace_what_has_left() -> None:
    """A replacement is a flag there."""
    script = Script(at_once("One. "), lambda window: (sf.Verdict.replace("x"), 1.0))
    out, error, _ = run(sf.Moderate(script.check, mode="optimistic"), script)
    assert (texts(out), type(error)) == (["One. "], sf.Blocked)


def test_a_shadow_only_reports() -> None:
    """Nothing is changed or delayed, not even a finish reason; the end alone waits for what is still to be reported."""
    finish = sf.Finish("stop")
    script = Script([], lambda window: (ValueError("no") if window.index else sf.Verdict.refuse(rule="x", score=0.5), 5.0))
    script.chunks = [("One. ", 1.0), ("Two.", 1.0), (finish, 1.0)]
    seen: list[sf.Finding] = []

    async def main() -> tuple[Any, float]:
        async with sf.Moderate(script.check, mode="shadow", concurrency=3)(
            script, context=sf.Context(observe=[seen.append])
        ) as stream:
            out = await timed(stream)
            assert out == ([("One. ", 1.0), ("Two.", 2.0), (finish, 3.0)], None)
            assert stream.report.counts == {"x": 1, "moderation": 1}
        return out, asyncio.get_running_loop().time()

    assert run_virtually(main())[1] == 8.0
    assert [(f.rule, f.action, f.start, f.end, f.score) for f in seen] == [
        ("x", "flag", 0, 5, 0.5),
        ("moderation", "release", 5, 9, None),
    ]


# ------------------------------------------------------------------ failures


def test_a_check_that_raises_blocks() -> None:
    """`ModerationError` from what it raised; everything before was delivered, and nothing of the window."""
    error = ValueError("the text was: Two")
    script = Script(at_once("One. Two. Three"), lambda window: (error if window.index == 1 else True, 0.1))
    out, failure, _ = run(sf.Moderate(script.check, action="stop", message="Sorry."), script)
    assert texts(out) == ["One. "]
    assert isinstance(failure, sf.ModerationError)
    assert failure.__cause__ is error
    assert str(failure) == "the check Script.check raised ValueError, on the window at character 5 of the answer"


def test_a_check_that_raises_may_release() -> None:
    """`failure="release"`: the text leaves, counted and reported."""
    script = Script(at_once("One. Two. Three"), lambda window: (ValueError() if window.index == 1 else True, 0.1))
    out, error, report = run(sf.Moderate(script.check, failure="release"), script)
    assert (texts(out), error) == (["One. ", "Two. ", "Three"], None)
    assert [(f.rule, f.action, f.start, f.end) for f in report.findings] == [("moderation", "release", 5, 10)]


def test_a_check_that_never_answers() -> None:
    """It is cancelled when its time is up; retries have the same time each, after 0.25, 0.5, 1 … seconds."""
    script = Script(at_once("One."), lambda window: (True, 1e9))
    out, error, report = run(sf.Moderate(script.check, timeout=2.0, retries=2), script)
    assert out == []
    assert str(error) == "the check Script.check gave no verdict within 2.0 s, on the window at character 0 of the answer"
    assert (len(script.windows), report.checks, report.checked_chars) == (3, 1, 4)
    script = Script(at_once("One."), lambda window: (True, 1e9))
    out, error, _ = run(sf.Moderate(script.check, timeout=2.0, retries=2, failure="release"), script)
    assert (out, error) == ([("One.", 6.75)], None)


def test_a_retry_may_succeed() -> None:
    """The verdict of the first attempt that gives one counts."""
    answers = iter([TimeoutError(), OSError(), True])
    script = Script(at_once("One."), lambda window: (next(answers), 1.0))
    assert run(sf.Moderate(script.check, retries=2), script)[:2] == ([("One.", 3.75)], None)


@pytest.mark.parametrize("answer", [None, "allow", 1, 0.5, {"flag": True}, object(), [True]])
def test_a_check_that_gives_something_else(answer: Any) -> None:
    """A `TypeError` names the check and what it gave, whatever the policy, and is not retried."""
    script = Script(at_once("One."), lambda window: (answer, 0.0))
    out, error, _ = run(sf.Moderate(script.check, failure="release", retries=3), script)
    assert (out, type(error), len(script.windows)) == ([], TypeError, 1)
    assert f"the check Script.check gave {type(answer).__name__}: a bool (True: allowed), a Verdict" in str(error)
    with pytest.raises(TypeError, match="a Verdict or a result"):
        sf.Moderate(lambda window: answer).apply("x")


def test_a_check_that_cancels_itself_has_failed() -> None:
    """It is not taken for the stream's own cancellation."""
    script = Script(at_once("One."), lambda window: (asyncio.CancelledError(), 0.0))
    out, error, _ = run(sf.Moderate(script.check), script)
    assert (out, type(error)) == ([], sf.ModerationError)
    assert "was cancelled from elsewhere" in str(error)


def test_stop_iteration_from_a_plain_check_is_an_error() -> None:
    """It does not look like the end of the stream, in a thread or out of it (PEP 479)."""

    def check(window: sf.Window) -> bool:
        return bool(next(iter(())))

    with pytest.raises(sf.ModerationError, match="raised RuntimeError"):
        sf.Moderate(check).apply("x")
    _, error, _ = run(sf.Moderate(check), Script(at_once("x")))
    assert isinstance(error, sf.ModerationError)


def test_an_observer_that_raises_ends_the_stream() -> None:
    """Also when it is told of a verdict that came by itself."""

    def observe(finding: sf.Finding) -> None:
        raise KeyError(finding.rule)

    for mode in ("hold", "optimistic", "shadow"):
        script = Script(at_once("One. ", "Two."), lambda window: (False, 1.0))
        _, error, _ = run(sf.Moderate(script.check, mode=mode), script, context=sf.Context(observe=[observe]))
        assert type(error) is KeyError


# ------------------------------------------------------------------ plain checks


def test_a_blocking_check_does_not_stall_the_loop() -> None:
    """It runs in a thread, with the caller's context variables; the loop goes on meanwhile."""
    import contextvars
    import threading

    tenant = contextvars.ContextVar("tenant", default="")
    asked, answered = threading.Event(), threading.Event()
    seen: list[tuple[str, bool]] = []

    def check(window: sf.Window) -> bool:
        asked.set()
        assert answered.wait(10)
        seen.append((tenant.get(), threading.current_thread() is threading.main_thread()))
        return True

    async def main() -> str:
        tenant.set("acme")
        reading = asyncio.ensure_future(sf.Moderate(check).aapply("One."))
        while not asked.is_set():  # noqa: ASYNC110  # a thread sets it
            await asyncio.sleep(0)
        assert not reading.done()
        answered.set()
        return await reading

    assert asyncio.run(main(), debug=True) == "One."
    assert seen == [("acme", False)]


def test_an_answer_that_comes_when_the_stream_is_gone_is_heard_by_nobody() -> None:
    """A thread cannot be cancelled: its verdict is dropped, its error too."""
    import threading

    asked, answered = threading.Event(), threading.Event()
    script = Script(at_once("One. Two. "))

    def check(window: sf.Window) -> bool:
        asked.set()
        assert answered.wait(10)
        raise ValueError

    async def main() -> None:
        async with sf.Moderate(check)(script) as stream:
            reading = asyncio.ensure_future(stream.__anext__())
            while not asked.is_set():  # noqa: ASYNC110  # a thread sets it
                await asyncio.sleep(0)
            reading.cancel()
        assert stream.report.findings == []
        answered.set()

    asyncio.run(main(), debug=True)
    assert script.closed == 1


def test_a_blocking_check_has_a_time_limit_in_plain_code_too() -> None:
    """Under `iter` a check with a `timeout` runs in a thread, which is left behind."""
    import threading

    never = threading.Event()
    stage = sf.Moderate(lambda window: never.wait(10), timeout=0.01)
    with pytest.raises(sf.ModerationError, match=r"gave no verdict within 0\.01 s"):
        stage.apply("One.")
    never.set()
    assert sf.Moderate(lambda window: True, timeout=10).apply("One.") == "One."
    with pytest.raises(sf.ModerationError, match="raised IndexError"):
        sf.Moderate(lambda window: [][window.start], timeout=10).apply("One.")


def test_retries_in_plain_code_wait_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same attempts, with the same pauses."""
    import time

    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    answers = iter([1, 2, 3])

    def check(window: sf.Window) -> bool:
        if next(answers) < 3:
            raise OSError
        return True

    assert sf.Moderate(check, retries=5).apply("One.") == "One."
    assert pauses == [0.25, 0.5]


def test_an_async_check_is_refused_in_plain_code() -> None:
    """At once, by name; one that only turns out to be async, when it is asked."""

    async def allowed(window: sf.Window) -> bool:
        return True

    class Allowed:
        async def __call__(self, window: sf.Window) -> bool:
            return True

    for check in (allowed, Allowed()):
        with pytest.raises(TypeError, match=r"Moderate\(.*\) must wait, which iter\(\) cannot: use async for"):
            (sf.Drop("reasoning") | sf.Moderate(check)).iter(["x"])
        assert run(sf.Moderate(check), Script(at_once("One. Two")))[1] is None
    with pytest.raises(TypeError, match="gave an awaitable, which plain code cannot wait for: use async for"):
        sf.Moderate(lambda window: allowed(window), failure="release").apply("x")  # noqa: PLW0108  # what hides that it is async
    assert run(sf.Moderate(lambda window: allowed(window)), Script(at_once("One. Two")))[1] is None  # noqa: PLW0108


# ------------------------------------------------------------------ verdict cache


def test_identical_windows_are_asked_about_once() -> None:
    """With a cache in the context, over all its streams; a window with another lookback, channel kind or check is another."""
    cache = sf.VerdictCache()
    context = sf.Context(verdicts=cache)
    script = Script(at_once("a\nb\na\na\n"), lambda window: (window.text != "b\n" or sf.Verdict.replace("B\n"), 1.0))
    stage = sf.Moderate(script.check, window=sf.by_line(), concurrency=4)
    out, _, report = run(stage, script, context=context)
    assert out == [("a\n", 1.0), ("B\n", 1.0), ("a\n", 1.0), ("a\n", 1.0)]
    assert report.checks == 4  # they were under way at the same time
    again = Script(script.chunks)
    out, _, report = run(stage, again, context=context)
    assert (out, report.checks) == ([("a\n", 0.0), ("B\n", 0.0), ("a\n", 0.0), ("a\n", 0.0)], 0)
    assert len(script.windows) == 4
    for other in (
        sf.Moderate(script.check, window=sf.by_line(), lookback_chars=1),
        sf.Moderate(lambda window: True, window=sf.by_line()),
    ):
        assert run(other, Script(at_once("a\n", "a\n")), context=context)[2].checks > 0
    thought = [(sf.TextDelta("a\n", sf.Channel("reasoning")), 0.0)]
    assert run(stage, Script(thought), context=context)[2].checks == 1
    assert "a" not in repr(cache).replace("VerdictCache of", "").replace("at most", "")


def test_a_cache_is_bounded_and_forgets_what_was_asked_about_longest_ago() -> None:
    """At most `max_entries`; failures are not remembered."""
    cache = sf.VerdictCache(max_entries=2)
    asked: list[str] = []

    def check(window: sf.Window) -> bool:
        asked.append(window.text)
        if window.text == "x":
            raise ValueError
        return True

    stage = sf.Moderate(check, window=sf.by_chars(1), failure="release")
    assert stage.apply("abacabxx", context=sf.Context(verdicts=cache)) == "abacabxx"
    assert (asked, len(cache)) == (["a", "b", "c", "b", "x", "x"], 2)


class Unhashable:
    """A check that cannot be told from another."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, window: sf.Window) -> bool:
        return True


def test_bad_caches() -> None:
    """A size of 0, something that is no cache, a check that cannot be told from another."""
    with pytest.raises(ValueError, match="max_entries=0: a whole number from 1 is needed"):
        sf.VerdictCache(0)
    with pytest.raises(TypeError, match="verdicts is dict: a VerdictCache is needed"):
        sf.Context(verdicts={})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the check is a Unhashable, which is not hashable"):
        sf.Moderate(Unhashable()).apply("x", context=sf.Context(verdicts=sf.VerdictCache()))


# ------------------------------------------------------------------ channels and events


def test_channels_wait_for_their_own_verdicts_only() -> None:
    """Another choice's text is not delayed, nor is it by a finish that waits for its own."""
    one, two = sf.Channel("answer", (0, 1)), sf.Channel("answer", (0, 2))
    a, b, c = sf.TextDelta("a", one), sf.TextDelta("b", two), sf.TextDelta("c", two)
    finish, usage, ping = sf.Finish("stop", scope=(0, 1)), sf.Usage({}, scope=one), sf.Usage({}, scope=None)
    latency = {"a": 10.0, "b": 1.0, "c": 1.0}
    script = Script([], lambda window: (True, latency[window.text]))
    script.chunks = [(a, 0.0), (finish, 0.0), (b, 1.0), (ping, 0.5), (c, 2.0), (usage, 0.0), (ping, 0.0)]
    out, _, _ = run(sf.Moderate(script.check, window=sf.by_chars(1), concurrency=3), script)
    assert out == [(ping, 1.5), (b, 2.0), (c, 4.5), (a, 10.0), (finish, 10.0), (usage, 10.0), (ping, 10.0)]


def test_events_keep_their_place_among_windows() -> None:
    """An event leaves when the text before it has; in a replaced window right after the replacement; text keeps its chunk."""
    from streamfilter.testing import Mark

    channel = sf.Channel("answer", (0, 0))
    deltas = [sf.TextDelta("ab", channel, origin=1), sf.TextDelta("cd", channel, origin=2), sf.TextDelta("ef", channel, origin=3)]
    mark = Mark(scope=channel)
    script = Script([], lambda window: (sf.Verdict.replace("X") if window.index == 1 else True, 1.0))
    script.chunks = [(deltas[0], 0.0), (deltas[1], 0.0), (mark, 0.0), (deltas[2], 0.0)]
    out, _, _ = run(sf.Moderate(script.check, window=sf.by_chars(3)), script)
    items = texts(out)
    assert items == [sf.TextDelta("ab", channel), sf.TextDelta("c", channel), sf.TextDelta("X", channel), mark]
    assert [item.origin for item in items[:3]] == [1, 2, 2]


def test_tool_arguments_are_not_asked_about_unless_told() -> None:
    """They are JSON; every other channel is guarded."""
    for kind, asked in (("answer", 1), ("reasoning", 1), ("refusal", 1), ("tool_arguments", 0)):
        script = Script([(sf.TextDelta("x", sf.Channel(kind)), 0.0)])
        run(sf.Moderate(script.check), script)
        assert len(script.windows) == asked
    script = Script([(sf.TextDelta("x", sf.Channel("tool_arguments")), 0.0)])
    run(sf.Moderate(script.check).on("tool_arguments"), script)
    assert len(script.windows) == 1


# ------------------------------------------------------------------ among other stages


async def _shouting(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for item in source:
        yield item.upper() if isinstance(item, str) else item


PIPELINES: list[tuple[str, Callable[[sf.Stage[Any, Any]], sf.Stage[Any, Any]]]] = [
    ("alone", lambda moderate: moderate),
    ("behind", lambda moderate: sf.Redact("x+") | moderate),
    ("before", lambda moderate: moderate | sf.Redact("x+")),
    ("twice", lambda moderate: moderate | moderate),
    ("function before", lambda moderate: _shouting | moderate),
    ("function behind", lambda moderate: moderate | _shouting),
    ("between functions", lambda moderate: _shouting | moderate | _shouting | moderate),
]


@pytest.mark.parametrize(("name", "pipeline"), PIPELINES)
def test_the_end_of_a_pipeline_waits_for_all_of_its_checks(
    name: str, pipeline: Callable[[sf.Stage[Any, Any]], sf.Stage[Any, Any]]
) -> None:
    """Text that a check holds at the end goes through what is behind it, and only then does that settle."""
    for concurrency in (1, 3):
        script = Script([("One. Two. x", 1.0), ("x. Thr", 1.0), ("ee", 0.0)], lambda window: (True, 1.5), ending=1.0)
        out, error, _ = run(pipeline(sf.Moderate(script.check, concurrency=concurrency)), script)
        text = "".join(texts(out))
        expected = "One. Two. xx. Three"
        if "function" in name:
            expected = expected.upper()
        if name in ("behind", "before"):
            expected = expected.replace("xx", "[redacted]")
        assert (text, error) == (expected, None)


def test_a_stop_before_the_check_waits_for_verdicts_and_closes_the_source_at_once() -> None:
    """`StopAt | Moderate`: the source is closed when the stop is found; what came before it leaves on its verdict."""
    script = Script([("One. Two END", 1.0), (" more", 1.0)], lambda window: (True, 100.0))
    stage = sf.StopAt("END") | sf.Moderate(script.check, concurrency=2)

    async def main() -> list[tuple[str, float]]:
        async with stage(script) as stream:
            reading = asyncio.ensure_future(timed(stream))
            await asyncio.sleep(50)
            assert (script.closed, script.given) == (1, 1)
            return (await reading)[0]

    assert run_virtually(main()) == [("One. ", 101.0), ("Two ", 101.0)]
    assert script.closed == 1


def test_a_stop_behind_the_check_cancels_what_is_under_way() -> None:
    """`Moderate | StopAt`: the rest is not wanted any more."""
    script = Script([("One. END. Three. ", 1.0)], lambda window: (True, 1.0 + 9 * window.index))
    out, error, _ = run(sf.Moderate(script.check, concurrency=3) | sf.StopAt("END"), script)
    assert (out, error) == ([("One. ", 2.0)], None)


def test_draining_reads_usage_when_the_verdicts_are_in() -> None:
    """`after_stop="drain"`: a refusal's stream is read to its end, and only usage still passes; no check is asked."""
    usage = sf.Usage({"tokens": 3}, scope=None)
    pipelines: list[Callable[[Any], Any]] = [
        lambda m: m,
        lambda m: m | sf.MapText(str.upper),
        lambda m: sf.StopAt("x") | m,
        lambda m: m | _shouting,
    ]
    for pipeline in pipelines:
        script = Script([], lambda window: (window.index != 1, 1.0))
        script.chunks = [("One. Two. Three. ", 0.0), ("Four.", 5.0), (usage, 1.0), ("Five", 0.0)]
        out, error, _ = run(pipeline(sf.Moderate(script.check, action="stop")), script, after_stop="drain")
        assert [str(item).lower() for item in texts(out)] == ["one. ", str(usage).lower()]
        assert (error, len(script.windows)) == (None, 2)


def test_a_flag_cancels_the_later_checks() -> None:
    """In flight or waiting for their turn, in this channel or another."""
    cancelled: list[str] = []

    async def check(window: sf.Window) -> bool:
        try:
            await asyncio.sleep(1.0 if window.text == "bad. " else 100.0)
        except asyncio.CancelledError:
            cancelled.append(window.text)
            raise
        return False

    thought = sf.TextDelta("Hm. Yes", sf.Channel("reasoning"))
    script = Script([], ending=0.0)
    script.chunks = [(thought, 0.0), ("bad. ", 0.0), ("Three. Four. Five. ", 0.0)]
    out, error, report = run(sf.Moderate(check, concurrency=3), script)
    assert (out, sorted(cancelled), report.checks) == ([], ["Hm. ", "Three. "], 3)
    assert isinstance(error, sf.Blocked)
    assert error.channel == "answer"


# ------------------------------------------------------------------ however it ends


class Stepping(VirtualLoop):
    """Does something before a step of its own: between any two things that can happen."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.steps = 0
        self.at = at
        self.then: Callable[[], object] = lambda: None

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            self.then()
        super()._run_once()  # type: ignore[misc]  # the one place through which all that happens goes


def _cancelled(stage: sf.Stage[Any, Any], script: Script, at: int) -> bool:
    """Cancel the reader of a stream before a step of the event loop; whether there was still something to cancel."""
    loop = Stepping(at)
    entered: list[object] = []

    async def main() -> bool:
        async def read() -> None:
            async with stage(script) as stream:
                entered.append(stream)
                async for _ in stream:
                    pass

        reading = asyncio.ensure_future(read())
        loop.then = reading.cancel
        await asyncio.sleep(0)
        await asyncio.wait([reading])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return reading.cancelled()

    with asyncio.Runner(debug=True, loop_factory=lambda: loop) as runner:
        was_open = runner.run(main())
    assert (script.running, script.closed) == (0, len(entered))
    return was_open


@pytest.mark.parametrize("mode", ["hold", "optimistic", "shadow"])
@pytest.mark.parametrize(("name", "pipeline"), PIPELINES)
def test_a_cancel_at_every_step_leaves_nothing_behind(
    name: str, pipeline: Callable[[sf.Stage[Any, Any]], sf.Stage[Any, Any]], mode: Any
) -> None:
    """Before each step of the event loop, up to the end of the stream: no task, no check that runs, no open source."""
    at, was_open = 3, True  # the first steps are those of the test
    while was_open:
        script = Script([("One. Tw", 0.035), ("o. Three. F", 0.045), ("our.", 0.015)], lambda window: (True, 0.055), ending=0.1)
        stage = sf.Moderate(script.check, mode=mode, concurrency=2, window=sf.by_sentence(max_wait=0.04))
        was_open = _cancelled(pipeline(stage), script, at)
        at += 1
    assert at > 20


def _leaving(stage: sf.Stage[Any, Any], script: Script, way: str, steps: int) -> Any:
    """Read a stream, and leave it in some way after so many hundredths of a second."""

    async def read(stream: sf.Stream[Any]) -> None:
        async for _ in stream:
            pass

    async def main() -> None:
        stream = stage(script)
        reading = asyncio.ensure_future(read(stream))
        for _ in range(steps):
            await asyncio.sleep(0.01)
        if way == "cancel":
            reading.cancel()
        else:
            await stream.aclose()
        await asyncio.wait([reading])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if way == "cancel" and not reading.cancelled():
            assert steps > 20  # it was over
        assert stream.held == 0

    run_virtually(main())
    assert (script.running, script.closed) == (0, 1)


@pytest.mark.parametrize("way", ["cancel", "aclose"])
@pytest.mark.parametrize("mode", ["hold", "optimistic", "shadow"])
def test_leaving_at_any_moment_leaves_nothing_behind(way: str, mode: Any) -> None:
    """No task, no check that runs, no open source; under asyncio's debug mode."""
    for steps in range(1, 60, 3):
        script = Script(
            [("One. Tw", 0.035), ("o. Three. F", 0.045), ("our.", 0.015)],
            lambda window: (True, 0.055),
            ending=0.1,
        )
        stage = sf.Moderate(script.check, mode=mode, concurrency=2, window=sf.by_sentence(max_wait=0.04))
        _leaving(stage, script, way, steps)
        for name, pipeline in PIPELINES[1:] if steps % 4 == 1 else ():
            if way == "cancel" or "function" not in name:  # no async generator can be closed while it runs
                again = Script(script.chunks, script.judge, ending=0.1)
                _leaving(pipeline(sf.Moderate(again.check, mode=mode, concurrency=2)), again, way, steps)


@pytest.mark.parametrize("mode", ["hold", "optimistic", "shadow"])
def test_an_error_of_the_source_cancels_the_checks(mode: Any) -> None:
    """Held text dies, what was released before is delivered, and the same exception goes on."""
    error = ConnectionError("gone")
    script = Script([("One. ", 0.0), ("Two. Three", 2.0)], lambda window: (True, 1.0), ending=0.5, error=error)
    out, raised, _ = run(sf.Moderate(script.check, mode=mode), script)
    assert raised is error
    assert "".join(texts(out)) == ("One. " if mode == "hold" else "One. Two. Three")


def test_a_stream_that_is_dropped_ends_its_tasks_too() -> None:
    """After a `break` under a bare `async for`: a warning that says so, no task left, and the source closed."""
    import gc

    script = Script(at_once("One. ", "Two. ", "Three. "), lambda window: (True, 1.0))

    async def main() -> None:
        async for _ in sf.Moderate(script.check)(script):
            break
        gc.collect()
        await asyncio.sleep(0.5)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with pytest.warns(ResourceWarning, match="dropped before its end"):
        run_virtually(main())
    assert (script.running, script.closed) == (0, 1)


def test_a_stream_read_without_a_context_manager_leaves_nothing_behind() -> None:
    """A bare `async for` to the end, or to an error."""

    async def main(script: Script) -> None:
        try:
            async for _ in sf.Moderate(script.check, concurrency=2)(script):
                pass
        except sf.Blocked:
            pass
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for bad in (1, 99):
        script = Script(at_once("One. Two. Three. "), lambda window, bad=bad: (window.index != bad, 1.0))  # type: ignore[misc]
        run_virtually(main(script))
        assert (script.running, script.closed) == (0, 1)


def test_waiting_needs_asyncio() -> None:
    """Under another event loop a stream says so at its first item, and closes its source."""
    import trio

    from streamfilter.testing import ScriptedSource

    source = ScriptedSource(["One. "])

    async def main() -> None:
        async for _ in sf.Moderate(lambda window: True)(source):
            pass

    with pytest.raises(RuntimeError, match="Moderate waits, which needs asyncio"):
        trio.run(main)
    assert source.closed == 1


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"concurrency": 0}, "concurrency: Input should be greater than or equal to 1"),
        ({"lookback_chars": -1}, "lookback_chars"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"mode": "maybe"}, "mode"),
        ({"action": "ignore"}, "action"),
        ({"failure": "retry"}, "failure"),
        ({"message": "x"}, "message is only shown with action='stop'"),
        ({"window": 5}, r"window: a Segmentation is needed, not int: write sf\.by_sentence\(\)"),
        ({"window": "sentence"}, r"window: .* not str: write sf\.by_sentence\(\)"),
        ({"window": "line"}, r"window: .* not str: write sf\.by_line\(\)"),
        ({"window": {"by": "sentense"}}, "window"),
        ({"window": sf.cumulative(5), "lookback_chars": 3}, "their text already begins at the beginning"),
        ({"check": "allowed"}, "check"),
    ],
)
def test_bad_arguments_fail_when_the_stage_is_built(arguments: dict[str, Any], message: str) -> None:
    """Each with the name of the argument."""
    with pytest.raises(ValueError, match=message):
        sf.Moderate(**{"check": lambda window: True, **arguments})


def test_an_empty_stream_asks_nothing() -> None:
    """No text, no window; and empty pieces are none."""
    for chunks in ([], at_once("", "")):
        script = Script(chunks)
        out, error, report = run(sf.Moderate(script.check), script)
        assert ("".join(texts(out)), error, report.checks) == ("", None, 0)


def test_one_large_chunk_and_no_end_of_a_sentence() -> None:
    """A megabyte at once, without a boundary: windows of the largest size, and no more of them under way than allowed."""
    text = "x" * 1_000_000
    script = Script(at_once(text))
    out, _, report = run(sf.Moderate(script.check, concurrency=4), script)
    assert "".join(texts(out)) == text
    assert {len(window.text) for window in script.windows} == {1000}
    assert (script.most, report.checks, report.checked_chars) == (4, 1000, 1_000_000)


def test_a_verdict_is_checked() -> None:
    """A replacement that is no text, a rule without a name, an action that is none."""
    with pytest.raises(TypeError, match="the text of a verdict is int"):
        sf.Verdict.replace(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the rule of a verdict"):
        sf.Verdict.refuse(rule="")
    with pytest.raises(ValueError, match="action='deny'"):
        sf.Verdict("deny")  # type: ignore[arg-type]


def test_the_stage_is_a_value() -> None:
    """Readable, comparable, picklable with a check that has a name."""
    import pickle

    stage = sf.Moderate(_named_check, window=sf.by_words(5, max_wait=2.0), concurrency=3)
    assert repr(stage) == "Moderate(_named_check, window=by_words(5, max_wait=2.0), concurrency=3)"
    assert pickle.loads(pickle.dumps(stage)) == stage
    holds = "holds each window of by_words(5, max_wait=2.0) until _named_check has decided"
    assert stage.explain() == f"{stage!r}: every text channel but tool_arguments; {holds}"


def _named_check(window: sf.Window) -> bool:
    return True
