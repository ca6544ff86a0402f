"""The laws bite: stages that are wrong on purpose, each caught by the law that is about its mistake, with a message one can read."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import pickle
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import regex

import streamfilter as sf
from streamfilter.testing import LAWS, LawBroken, Mark, batch, check_stage, independence, linearity, released, trace
from streamfilter.testing.strategies import json_documents

WANTED = "[x]"


def redacted(text: str) -> str:
    """What the wrong stages should do."""
    return text.replace("ab", WANTED)


def staged(machine: Callable[[], sf.TextMachine]) -> sf.TextStage:
    """A text stage of a machine."""

    @sf.stage
    class Wrong(sf.TextStage):
        def start(self, context: sf.Context | None = None) -> sf.TextMachine:
            return machine()

    return Wrong()


class FixedWindow(sf.TextMachine):
    """Holds the last character and replaces in what it sees: two windows never see one match, and a term of three would slip by."""

    def feed(self, text: str) -> None:
        while len(self.hold) >= 4:
            self.hold.replace(3, self.hold.text[:3].replace("ab", WANTED))

    def finish(self) -> None:
        self.hold.replace(len(self.hold), self.hold.text.replace("ab", WANTED))


class Right(sf.TextMachine):
    """What is right, for the others to spoil."""

    def feed(self, text: str) -> None:
        while "ab" in self.hold.text:
            self.hold.keep(self.hold.text.index("ab"))
            self.hold.replace(2, WANTED)
        self.hold.keep(len(self.hold) - self.hold.text.endswith("a"))


class ForgottenEnd(Right):
    """Never lets out the rest."""

    def finish(self) -> None:
        self.hold.replace(len(self.hold), "")


class LeftInHold(Right):
    """Does not settle at all."""

    def finish(self) -> None:
        return


class PerChunk(sf.TextMachine):
    """Replaces in each piece by itself."""

    def feed(self, text: str) -> None:
        self.hold.replace(len(text), text.replace("ab", WANTED))


class Rescan(sf.TextMachine):
    """Looks again at what it has put in: `aab` becomes `b`, where one pass makes `ab`."""

    def finish(self) -> None:
        text = self.hold.text
        while "ab" in text:
            text = text.replace("ab", "b")
        self.hold.replace(len(self.hold), text)

    def feed(self, text: str) -> None:
        return


class HoldsAll(sf.TextMachine):
    """Lets nothing out before the end."""

    def feed(self, text: str) -> None:
        return

    def finish(self) -> None:
        self.hold.replace(len(self.hold), redacted(self.hold.text))


class Doubled(Right):
    """Says the held character twice at the end."""

    def finish(self) -> None:
        self.hold.replace(len(self.hold), self.hold.text * 2)


class Early(sf.TextMachine):
    """Lets out the first half of what may become a match, and the replacement later."""

    before = ""

    def feed(self, text: str) -> None:
        for char in text:
            self.hold.replace(1, WANTED if self.before + char == "ab" else char)
            self.before = char


class ByCount(Right):
    """Lets go after every third piece, whatever is in it."""

    fed = 0

    def feed(self, text: str) -> None:
        super().feed(text)
        self.fed += 1
        if self.fed % 3 == 0:
            self.hold.keep(len(self.hold))


class Greedy(sf.TextMachine):
    """Waits until much has come at once: the text at the end is right, the moment depends on the cuts."""

    def feed(self, text: str) -> None:
        if len(text) > 2:
            self.hold.keep(len(self.hold))


class Shared(Right):
    """Remembers, for all streams together, what it has seen."""

    seen: set[str] = set()

    def feed(self, text: str) -> None:
        new = [char for char in text if char == "b" and char not in Shared.seen]
        Shared.seen.update(text)
        self.hold.replace(len(self.hold), self.hold.text + "!" * len(new))


class Telling(Right):
    """Refuses a text, and quotes it."""

    def feed(self, text: str) -> None:
        super().feed(text)
        if self.hold.offset >= 8:
            raise ValueError(f"cannot go on behind {self.hold.buf!r}")


class Logging(Right):
    """Writes into the log what it holds."""

    context = 8

    def feed(self, text: str) -> None:
        super().feed(text)
        logging.getLogger("wrong").debug("holding %r", self.hold.buf)


class Spoiled(sf.Machine):
    """A right machine, with one mistake around it."""

    shared: sf.Machine | None = None

    def __init__(self, mistake: str) -> None:
        self.mistake = mistake
        self.inner = staged(Right).machine()
        self.kept: list[sf.Item] = []
        self.fed = 0

    @property
    def held(self) -> int:
        return self.inner.held

    def feed(self, item: sf.Item) -> Sequence[sf.Item]:
        self.fed += 1
        is_event = isinstance(item, Mark)
        if is_event and self.mistake == "drops an event":
            return ()
        if is_event and self.mistake == "doubles an event":
            return [*self.inner.feed(item), item]
        if is_event and self.mistake == "keeps events to the end":
            self.kept.append(item)
            return ()
        if is_event and self.mistake == "lets events overtake":
            return (item,)
        if self.mistake == "changes what it was fed" and isinstance(item, sf.TextDelta):
            item.text = item.text.upper()
            return (item,)
        out = list(self.inner.feed(item))
        if self.mistake == "turns events around":
            out.sort(key=lambda each: not isinstance(each, Mark))
        return out

    def finish(self) -> Sequence[sf.Item]:
        return [*self.inner.finish(), *self.kept]


def spoiled(mistake: str) -> sf.Stage[str, str]:
    """A stage of such a machine."""

    @sf.stage
    class Wrong(sf.Stage[str, str]):
        def machine(self, context: sf.Context | None = None) -> sf.Machine:
            return Spoiled(mistake)

    return Wrong()


async def swallows(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A function that takes an error for the end."""
    try:
        async for item in source:
            yield item
    except OSError:
        return


class Unclosed:
    """A stream that reads its source itself, and never closes it."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __aiter__(self) -> Any:
        return self.source.__aiter__()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        return


@sf.stage
class Owner(sf.Stage[str, str]):
    """A stage with a driver of its own."""

    def machine(self, context: sf.Context | None = None) -> sf.Machine:
        return sf.Machine()

    def __call__(self, source: Any, **_: Any) -> Any:
        return Unclosed(source)


async def leaves_a_task(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A function whose task outlives it."""
    asyncio.get_running_loop().create_task(asyncio.sleep(1e6), name="heartbeat")
    async for item in source:
        yield item


async def gives_up(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A function that forgets the rest after half a minute."""
    begun = asyncio.get_running_loop().time()
    async for item in source:
        if asyncio.get_running_loop().time() - begun > 30:
            return
        yield item


def refuses(text: str) -> str:
    """What is refused at eight characters."""
    if len(text) >= 8:
        raise ValueError
    return text


def refuses_ab(text: str) -> str:
    """What `Block` does."""
    if "ab" in text:
        raise sf.Blocked("redacted", 0)
    return text


WRONG: list[tuple[str, Any, Callable[[str], Any], str, str, dict[str, Any]]] = [
    ("fixed window", staged(FixedWindow), redacted, "batch", r"does not add up.*differs", {}),
    ("forgotten end", staged(ForgottenEnd), redacted, "batch", r"'a' is missing", {}),
    ("left in the hold", staged(LeftInHold), redacted, "batch", r"raised RuntimeError.*keep or replace them", {}),
    ("per chunk", staged(PerChunk), redacted, "batch", r"gave +'ab'\n +wanted +'\[x\]'", {}),
    ("scans again what it put in", staged(Rescan), lambda text: text.replace("ab", "b"), "batch", r"gave +'b'\n +wanted +'ab'", {}),
    (
        "holds too much",
        staged(HoldsAll),
        redacted,
        "promptness",
        r"held that no continuation of <= 2 characters .*a greater depth= .*\n +gave +''",
        {"prompt": 2},
    ),
    ("text twice at the end", staged(Doubled), redacted, "batch", r"'a' is too much", {}),
    ("early", staged(Early), redacted, "batch", r"'a' instead of '\['", {}),
    ("by the number of pieces", staged(ByCount), redacted, "batch|prefix", r"gave.*\n.*wanted", {}),
    ("by the size of pieces", staged(Greedy), str, "prefix", r"depends on the cuts: (at once|one char)", {}),
    (
        "state shared between streams",
        staged(Shared),
        str,
        "batch|independence|constancy|prefix",
        r"instead|too much|missing|always",
        {},
    ),
    ("fails", staged(Telling), redacted, "batch", r"raised ValueError", {}),
    (
        "quotes held text in an error",
        staged(Telling),
        refuses,
        "silence",
        r"an exception holds text.*\n +holds ",
        {"alphabet": "b"},
    ),
    ("refuses nothing", staged(Right), refuses, "batch", r"should have refused the text with ValueError", {"alphabet": "b"}),
    ("writes held text into the log", staged(Logging), redacted, "silence", r"a log holds text", {}),
    ("drops an event", spoiled("drops an event"), redacted, "place", r"has not left|lost: \[", {"max_chars": 4}),
    ("doubles an event", spoiled("doubles an event"), redacted, "place", r"doubled", {"max_chars": 4}),
    (
        "keeps events to the end",
        spoiled("keeps events to the end"),
        redacted,
        "place",
        r"has not left, though nothing before it is held",
        {"max_chars": 4},
    ),
    ("lets events overtake", spoiled("lets events overtake"), redacted, "place", r"overtakes 1 held char", {"max_chars": 2}),
    ("changes what it was fed", spoiled("changes what it was fed"), redacted, "done|constancy", r"", {}),
    ("takes an error for the end", swallows, str, "ending", "source's error was swallowed", {}),
    ("leaves a task", leaves_a_task, str, "live", r"a task outlives its stream", {}),
    ("gives up in time", gives_up, str, "live", r"script.*Sleep\(seconds=60.0\).*is missing", {}),
    (
        "turns events around",
        spoiled("turns events around"),
        redacted,
        "place",
        r"before text that came before it|overtakes",
        {"max_chars": 2, "examples": 1000},
    ),
    ("does not close its source", Owner(), str, "ending", r"source was closed 0 times", {}),
]


@pytest.mark.parametrize(("name", "stage", "means", "law", "message", "options"), WRONG, ids=[name for name, *_ in WRONG])
def test_a_wrong_stage_is_caught_by_its_law(name: str, stage: Any, means: Any, law: str, message: str, options: Any) -> None:
    """By name, with a message that says what was fed, what left when, what should have."""
    Shared.seen.clear()
    with pytest.raises(LawBroken) as caught:
        check_stage(stage, means, **{"alphabet": "ab ", **options})
    said = str(caught.value)
    assert regex.fullmatch(law, caught.value.law)
    assert said.startswith(f"{caught.value.law}: ")
    assert regex.search(message, said, regex.DOTALL)
    assert all(len(line) < 320 for line in said.splitlines())


def test_shared_state_breaks_independence() -> None:
    """Two streams fed in turn: what one has seen changes the other."""
    with pytest.raises(LawBroken, match=r"independence: beside another stream") as caught:
        Shared.seen.clear()
        stage = staged(Shared)
        alone = list(Shared.seen)
        assert not alone
        independence(stage, ["b"], ["b"])
    assert caught.value.law == "independence"


class _Third(sf.TextMachine):
    """Makes every third `x` large, of all streams together."""

    count: ClassVar[list[int]] = [0]

    def feed(self, text: str) -> None:
        for char in text:
            self.count[0] += char == "x"
            self.hold.replace(1, "X") if char == "x" and self.count[0] % 3 == 0 else self.hold.keep(1)


def third(text: str) -> str:
    """What `_Third` means in a stream of its own."""
    counts = itertools.count(1)
    return "".join("X" if char == "x" and next(counts) % 3 == 0 else char for char in text)


class _Once(sf.TextMachine):
    """Lets one `q` through, for ever."""

    seen: ClassVar[set[str]] = set()

    def feed(self, text: str) -> None:
        for char in text:
            self.hold.replace(1, "Q") if char == "q" and self.seen else self.hold.keep(1)
            self.seen.update({char} & {"q"})


def once(text: str) -> str:
    """What `_Once` means in a stream of its own."""
    head, mark, rest = text.partition("q")
    return head + mark + rest.replace("q", "Q")


@pytest.mark.parametrize(("kind", "means", "alphabet"), [(_Third, third, "xa"), (_Once, once, "qa")])
def test_what_outlives_a_stream_is_reported_as_that(kind: Any, means: Any, alphabet: str) -> None:
    """Whichever law it happens to break first: what ran first is run again, and gives something else."""
    _Once.seen.clear()
    with pytest.raises(LawBroken, match=r"^independence: the same pieces do not give the same again(?s:.*)found by") as caught:
        check_stage(staged(kind), means, alphabet=alphabet)
    assert caught.value.law == "independence"
    with pytest.raises(LawBroken) as caught:  # where that is not to hold, the other law is named
        check_stage(staged(kind), means, alphabet=alphabet, without=("independence",))
    assert caught.value.law != "independence"


async def until(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A function that ends at a mark, as `StopAt` does."""
    async for text in source:
        head, mark, _ = text.partition("!")
        yield head
        if mark:
            return


async def until_it_fails(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The same, but for an error before the mark, which it takes for the end."""
    with contextlib.suppress(OSError):
        async for text in until(source):
            yield text


def before_the_mark(text: str) -> str:
    """What both mean."""
    return text.split("!", maxsplit=1)[0]


def test_a_function_that_ends_before_its_source_fails_has_swallowed_nothing() -> None:
    """It is right, as `StopAt` is; one that was told of the error is not."""
    check_stage(sf.StopAt("!"), before_the_mark, alphabet="a!")
    check_stage(until, before_the_mark, alphabet="a!")
    with pytest.raises(LawBroken, match="ending: the source's error was swallowed"):
        check_stage(until_it_fails, before_the_mark, alphabet="a!")


def test_items_that_change_after_they_were_given_break_constancy() -> None:
    """A value that grows while the consumer holds it; `live=True` asks for just that, and says so."""
    documents = json_documents({"type": "array", "items": {"type": "integer"}, "minItems": 2})
    stage: Any = sf.ParseJSON(live=True)
    with pytest.raises(LawBroken, match=r"constancy: item \d+ was changed after it had been given"):
        check_stage(stage, json.loads, texts=documents, gives="last")
    check_stage(stage, json.loads, texts=documents, gives="last", without=("constancy",), examples=30)


VALUES: list[tuple[Any, Callable[[str], Any], Any, str]] = [
    (sf.ParseJSON(), json.loads, {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}}, "last"),
    (sf.ParseJSON(list[int]), json.loads, {"type": "array", "items": {"type": "integer"}}, "last"),
    (sf.JSONItems("$[*]"), json.loads, {"type": "array", "items": {"type": ["string", "null"]}}, "items"),
]


@pytest.mark.parametrize(("stage", "means", "schema", "gives"), VALUES, ids=[repr(stage) for stage, *_ in VALUES])
def test_stages_that_give_values_obey_the_laws(stage: Any, means: Any, schema: Any, gives: Any) -> None:
    """The last value, or all of them, is what `json.loads` gives, whatever the cuts and however the document is written."""
    check_stage(stage, means, texts=json_documents(schema), gives=gives, examples=60)


def test_a_wrong_stage_of_values_is_caught() -> None:
    """It gives an element while that still grows; the message shows both lists."""

    class Numbers(sf.Machine):
        def feed(self, item: Any) -> Sequence[Any]:
            return [int(number) for number in regex.findall(r"\d+", item)]

    @sf.stage
    class Wrong(sf.Stage[Any, Any]):
        def machine(self, context: sf.Context | None = None) -> sf.Machine:
            return Numbers()

    documents = json_documents({"type": "array", "items": {"type": "integer", "minimum": 0}})
    with pytest.raises(LawBroken, match=r"(?s)batch:.*differs +from item"):
        check_stage(Wrong(), json.loads, texts=documents, gives="items")


def test_units_are_compared_as_lists() -> None:
    """A regrouper that gives the right text in the wrong pieces is caught, though its text is right."""

    def lines(text: str) -> list[str]:
        return text.splitlines(keepends=True)

    check_stage(sf.Lines(), lines, alphabet="ab\n", gives="items")
    check_stage(sf.Words(), str, alphabet="ab ", examples=20)
    with pytest.raises(LawBroken, match="batch: "):
        check_stage(sf.Words(), lines, alphabet="ab \n", gives="items")


@pytest.mark.parametrize(
    ("stage", "means", "prompt"),
    [
        (staged(Right), redacted, 2),
        (sf.Redact("ab", to=WANTED), redacted, 3),
        (sf.Moderate(lambda window: True), str, 0),
        (sf.Pace(delay=0.5), str, 0),
        (sf.Timeout(between=100) | sf.Pace(chars_per_second=3), str, 0),
        (sf.Buffer(3), str, 0),
        (sf.Block("ab"), refuses_ab, 0),
    ],
    ids=repr,
)
def test_a_right_stage_breaks_none(stage: Any, means: Any, prompt: int) -> None:
    """Neither one by hand, nor the library's: text, verdicts, time, tasks, refusals."""
    check_stage(stage, means, alphabet="ab ", prompt=prompt, examples=40)


async def upper(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A right function."""
    async for item in source:
        yield item.upper() if isinstance(item, str) else item


def test_async_generator_functions_are_checked_too() -> None:
    """Alone, and behind a stage with a machine."""
    check_stage(upper, str.upper, examples=30)
    check_stage(sf.Redact("ab", to="x") | upper, lambda text: text.replace("ab", "x").upper(), examples=30)


class Quadratic(sf.TextMachine):
    """Looks at all that is held again for each piece."""

    def feed(self, text: str) -> None:
        if "]" in self.hold.text:
            self.hold.keep(len(self.hold))


class Linear(sf.TextMachine):
    """Looks at the new piece only."""

    def feed(self, text: str) -> None:
        if "]" in text:
            self.hold.keep(len(self.hold))


def test_a_quadratic_stage_breaks_linearity() -> None:
    """Sixteen times the time for four times the text; what looks at each piece once takes four."""
    with pytest.raises(LawBroken, match=r"linearity: 4 times as many chunks take 1\d\.\d times as long"):
        linearity(staged(Quadratic), "words " * 50, chunks=1500)
    assert linearity(staged(Linear), "words ", chunks=2000) < 9
    with pytest.raises(ValueError, match="choose a unit"):
        linearity(sf.StopAt("a"), "a")
    with pytest.raises(TypeError, match="linearity feeds a machine, and an async generator function has none"):
        linearity(until, "a")  # type: ignore[arg-type]
    for unit, chunks in (("", 1), ("a", 0)):
        with pytest.raises(ValueError, match=r"a text is needed, and one chunk or more, or nothing is fed"):
            linearity(sf.Redact("a"), unit, chunks=chunks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"without": ("speed",)}, r"without names no law: \['speed'\]; the laws are batch, prefix"),
        ({"gives": "text "}, "'text', 'items' or 'last' is needed"),
        ({"prompt": 9}, "at most 4000 continuations"),
        ({"prompt": -1}, "at most 4000 continuations"),
        ({"alphabet": ""}, "alphabet='': characters are needed, or pieces, or texts="),
        ({"alphabet": [""]}, r"alphabet=\[''\]: characters are needed"),
    ],
)
def test_wrong_arguments_are_refused(options: Any, message: str) -> None:
    """Before anything runs, with what would be right."""
    with pytest.raises(ValueError, match=message):
        check_stage(sf.MapText(str), str, **options)


def test_arguments_of_a_wrong_type_are_refused() -> None:
    """Before any law is asked, which would call it a broken one."""
    stage = sf.MapText(str.upper)
    with pytest.raises(TypeError, match="means is str: a function is needed"):
        check_stage(stage, "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"means is the stage MapText: write check_stage\(stage, means\)"):
        check_stage(lambda text: text, stage)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="texts is str: a strategy is needed"):
        check_stage(stage, str.upper, texts="colour")  # type: ignore[arg-type]


def test_every_law_is_documented_by_name() -> None:
    """The page on testing has a row for each law that `check_stage` knows, and for `linearity`."""
    page = (Path(__file__).parent.parent / "docs" / "testing.md").read_text()
    assert set(regex.findall(r"(?m)^\| `(\w+)` \|", page)) >= {*LAWS, "linearity"}


def test_a_broken_law_can_be_pickled() -> None:
    """As pytest-xdist does."""
    error = LawBroken("batch", "it is wrong", [("gave", "'a'"), ("wanted", "'b'")])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.law) == ("batch: it is wrong\n  gave    'a'\n  wanted  'b'", "batch")


def test_long_cases_are_cut_short() -> None:
    """Fifty pieces are shown as twenty-four and how many were left out; long values end in an ellipsis."""
    with pytest.raises(LawBroken) as caught:
        batch(sf.MapText(str.upper), list("a" * 50), str)
    lines = str(caught.value).splitlines()
    assert len(lines) < 35
    assert any("(26 more)" in line for line in lines)
    with pytest.raises(LawBroken) as caught:
        batch(sf.MapText(str.upper), ["a" * 5000], str)
    assert max(map(len, str(caught.value).splitlines())) < 500


def test_a_trace_says_what_left_when() -> None:
    """Piece by piece, and the rest; for functions as for machines."""
    assert trace(sf.Redact("ab", to="#"), ["xa", "b", "a"]).steps == (("xa", ["x"]), ("b", ["#"]), ("a", []))
    assert released(sf.Redact("ab", to="#"), ["xa", "b", "a"]) == (["x", "#"], ["a"])
    assert trace(sf.Redact("ab", to="#") | upper, ["xa", "b", "a"]).steps == (("xa", ["X"]), ("b", ["#"]), ("a", []))
    assert trace(sf.Redact("ab", to="#") | upper, ["xa", "b", "a"]).rest == ["A"]
