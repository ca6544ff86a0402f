"""Where `Limit` and `Repetition` end a choice."""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from laws_limits import ALPHABET, LAWFUL, limited, unlooped
from recordings import body, shared

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import check_stage, cut, promptness
from streamfilter.testing.laws import AnyStage, batch, prefix, released

TWO = "It rains. It snows."


@pytest.mark.parametrize(("stage", "means"), LAWFUL, ids=lambda value: repr(value) if isinstance(value, sf.Stage) else "")
def test_laws(stage: AnyStage, means: Callable[[str], str]) -> None:
    """Every stage obeys every law, on texts of the characters that it reacts to."""
    alphabet = ["a", "b", " ", "abab", "a a a "] if isinstance(stage, sf.Repetition) else [*ALPHABET, "[1]", "\na"]
    check_stage(stage, means, alphabet=alphabet, examples=60, max_chars=24)


LIMITS: list[tuple[dict[str, Any], str, str]] = [
    ({"max_chars": 19}, TWO, TWO),
    ({"max_chars": 18}, TWO, "It rains."),
    ({"max_chars": 19}, TWO + " ", TWO),  # white space alone is not worth a cut
    ({"max_chars": 20, "suffix": "…"}, TWO + "\n\n", TWO + "\n"),
    ({"max_chars": 19, "suffix": "…"}, TWO + " No.", "It rains.…"),  # the suffix counts
    ({"max_chars": 20, "suffix": "…"}, TWO + " No.", TWO + "…"),
    ({"max_chars": 7}, TWO, "It"),  # no sentence fits: the last word
    ({"max_chars": 1}, TWO, "I"),  # nor does a word
    ({"max_chars": 3, "suffix": "..."}, TWO, "..."),
    ({"max_chars": 18, "max_back": 7}, TWO, "It rains. It"),  # the sentence ends too far back
    ({"max_chars": 18, "at": "word"}, TWO, "It rains. It"),
    ({"max_chars": 18, "at": "char"}, TWO, TWO[:18]),
    ({"max_chars": 10, "at": "char"}, TWO, "It rains. "),
    ({"max_words": 3}, TWO, "It rains."),
    ({"max_words": 3, "at": "word"}, TWO, "It rains. It"),
    ({"max_words": 3, "at": "char"}, TWO, "It rains. It "),
    ({"max_words": 4}, TWO + "\n", TWO + "\n"),
    ({"max_lines": 2}, "a\nb\nc\n", "a\nb"),
    ({"max_lines": 2, "at": "char"}, "a\nb\nc\n", "a\nb\n"),
    ({"max_lines": 2}, "a\r\nb\r\n", "a\r\nb\r\n"),
    ({"max_lines": 1, "suffix": " (more)"}, "Milk\nEggs", "Milk (more)"),
    ({"max_chars": 100, "max_words": 3, "max_lines": 1}, TWO, "It rains."),
    ({"max_chars": 5, "at": "word"}, "\ud800\0 \ud800\0x", "\ud800\0"),
    ({"max_chars": 4}, "", ""),
]


@pytest.mark.parametrize(("given", "text", "want"), LIMITS)
def test_limits(given: dict[str, Any], text: str, want: str) -> None:
    """A text is cut behind the last sentence, word or character that keeps every limit, whatever the cuts; and the reference agrees."""
    stage = sf.Limit(**given)
    assert limited(text, **given) == want
    rng = random.Random(1)
    for pieces in ([text], list(text) or [text], *(cut(text, *rng.sample(range(30), 5)) for _ in range(9))):
        assert "".join(stage.iter(pieces)) == want
        prefix(stage, pieces)


def test_limits_on_random_texts() -> None:
    """On texts with all that sentences are made of, many limits at once give what the reference gives."""
    rng = random.Random(4)
    for _ in range(700):
        given: dict[str, Any] = {"at": rng.choice(["sentence", "sentence", "word", "char"]), "max_back": rng.choice([1, 3, 8, 500])}
        for name, most in (("max_chars", 30), ("max_words", 8), ("max_lines", 4)):
            if rng.random() < 0.5 or (name == "max_lines" and len(given) == 2):
                given[name] = rng.randint(2, most)
        given["suffix"] = rng.choice(["", "…", ".."])
        text = "".join(rng.choices('abA .\n?1"…\r', [4, 2, 2, 5, 2, 1, 1, 1, 1, 0.3, 0.3], k=rng.randint(0, 45)))
        stage, want = sf.Limit(**given), limited(text, **given)
        for pieces in ([text], list(text) or [text], cut(text, *rng.sample(range(45), 4))):
            batch(stage, pieces, lambda _, want=want: want)  # type: ignore[misc]
        prefix(stage, cut(text, *rng.sample(range(45), 4)))


def test_limits_far_away() -> None:
    """Where no limit is near, text is looked at in larger parts; that changes nothing."""
    rng = random.Random(5)
    for _ in range(40):
        text = "".join(rng.choices("ab A.\n?", [5, 4, 3, 1, 0.5, 0.2, 0.2], k=rng.randint(200, 700)))
        given: dict[str, Any] = {"at": rng.choice(["sentence", "word"]), "max_back": rng.choice([5, 30, 80])}
        given[rng.choice(["max_chars", "max_words"])] = rng.randint(50, 600)
        given["max_lines"] = rng.randint(1, 60)
        want = limited(text, **given)
        for pieces in ([text], list(text), cut(text, *rng.sample(range(700), 60))):
            batch(sf.Limit(**given), pieces, lambda _, want=want: want)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "text", "alphabet", "depth"),
    [
        ({"max_chars": 6, "at": "word"}, "ab a b ab", "a ", 6),
        ({"max_chars": 8, "at": "word", "max_back": 3}, "ababa b b a", "a ", 6),
        ({"max_words": 3, "at": "word"}, "aba  b  a b", "a ", 6),
        ({"max_lines": 2, "at": "word"}, "ab a\nb \n ab", "a\n", 6),
        ({"max_chars": 6, "at": "char", "suffix": "…"}, "ab a. Ab", "a ", 6),
        ({"max_chars": 7}, "ab a. Ab b", "aA. ", 5),
        ({"max_chars": 9, "max_back": 4}, "Ab. ab a b a b", "aA. ", 5),
        ({"max_words": 2, "max_back": 3}, "Ab. ab a b", "aA. ", 4),
    ],
)
def test_limit_is_prompt(given: dict[str, Any], text: str, alphabet: str, depth: int) -> None:
    """No character is held that no continuation could cut off; none leaves that one could."""
    promptness(sf.Limit(**given), text, lambda text: limited(text, **given), alphabet, depth)


def test_limit_holds_nothing_while_no_limit_is_near() -> None:
    """Every piece leaves as it comes until `max_back` characters before the first place that could be the limit."""
    for given in ({"max_chars": 1000}, {"max_words": 600}, {"max_lines": 600}):
        text = TWO * 20
        assert "".join(map(str, released(sf.Limit(**given), [text])[0])) == text  # type: ignore[arg-type]


def test_limit_holds_no_more_than_it_says() -> None:
    """Floods of what never ends are held up to about twice `max_back`."""
    for flood in ("a" * 5000, " " * 5000, "\n" * 5000, "a. " * 2000, "a " * 2500, "1.2.3" * 1000):
        for given in ({"max_words": 3}, {"max_lines": 2}, {"max_chars": 300}, {"max_words": 2000}):
            machine = sf.Limit(max_back=50, **given).machine()  # type: ignore[arg-type]
            for at in range(0, len(flood), 3):
                if machine.ended or any(isinstance(item, sf.End) for item in machine.feed(flood[at : at + 3])):
                    break
                assert machine.held <= 110


def _deltas(*texts: tuple[int, str]) -> list[sf.Item]:
    return [sf.TextDelta(text, sf.Channel("answer", (0, index))) for index, text in texts]


def test_limit_ends_its_choice_and_counts_on_over_boundaries() -> None:
    """Each choice is counted by itself, over the boundaries in it, and gets its reason; usage still passes."""
    first = sf.Channel("answer", (0, 0))
    items = [
        *_deltas((0, "One two "), (1, "A b c")),
        sf.Event(scope=first, boundary=True),
        *_deltas((0, "three four"), (1, " d"), (0, " five")),
        sf.Usage(1, scope=first),
    ]
    out = list(sf.Limit(max_words=3, at="word", choices=3).iter(items))
    texts = [("".join(o.text for o in out if isinstance(o, sf.TextDelta) and o.channel.key == (0, n))) for n in (0, 1)]
    assert texts == ["One two three", "A b c"]
    assert [(o.reason, o.scope) for o in out if isinstance(o, sf.Finish)] == [("length", (0, 0)), ("length", (0, 1))]
    assert sum(isinstance(o, sf.Usage) for o in out) == 1


def test_a_boundary_ends_sentences_and_words() -> None:
    """What stands before a boundary has left, and is never taken back; the cut may come there."""
    boundary = sf.Event(scope=sf.Channel(), boundary=True)
    items: list[sf.Item] = ["No end ", boundary, "abc def"]
    out = sf.Limit(max_chars=8).iter(items)
    assert "".join(item for item in out if isinstance(item, str)) == "No end "
    out = sf.Limit(max_chars=8, suffix="…").iter(["No ends ", *items[1:]])  # no room is left for a suffix
    assert "".join(item for item in out if isinstance(item, str)) == "No ends "


def test_a_limited_completion_finishes_with_length() -> None:
    """Behind `wrap` a cut choice has its text, the suffix on its last chunk, and the reason "length"."""
    source: list[dict[str, Any]] = [
        {"id": "1", "choices": [{"index": 0, "delta": {"content": text}}]} for text in ("It rains", ". It", " snows a lot")
    ]
    out = list(chat.wrap(sf.Limit(max_chars=16, suffix=" […]")).iter(source))
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in out) == "It rains. […]"
    assert out[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "there is no limit"),
        ({"max_chars": 0}, "max_chars"),
        ({"max_words": True}, "max_words"),
        ({"max_chars": 2, "suffix": "..."}, "suffix has 3 characters"),
        ({"max_chars": 2, "at": "letter"}, "at"),
        ({"max_chars": 2, "max_back": 0}, "max_back"),
    ],
)
def test_wrong_limits_are_refused(given: dict[str, Any], problem: str) -> None:
    """What makes no sense is refused when the stage is built."""
    with pytest.raises(ValueError, match=problem):
        sf.Limit(**given)


def test_stages_are_values() -> None:
    """They are compared, shown and pickled as they were declared."""
    for stage in (sf.Limit(max_words=3, suffix="…"), sf.Repetition(max_repeats=4), sf.Citations(keep=True)):
        assert pickle.loads(pickle.dumps(stage)) == stage
        assert eval(repr(stage), {name: getattr(sf, name) for name in sf.__all__}) == stage


# ------------------------------------------------------------------ repetition

LINE = "And so the river runs on.\n"

LOOPS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "Hm: " + LINE * 50, "Hm: " + LINE * 10),
    ({}, LINE * 10, LINE * 10),
    ({}, "=" * 219, "=" * 219),
    ({}, "=" * 300, "=" * 200),
    ({}, "ab " * 200, ("ab " * 7) * 10),  # 7 of them have 21 characters
    ({}, ("x" * 999 + "y") * 12, ("x" * 200)),
    ({}, "".join(f"{n}. {LINE}" for n in range(100)), "".join(f"{n}. {LINE}" for n in range(100))),
    ({"max_repeats": 3, "min_chars": 1}, "a bbb cccc", "a bbb ccc"),
    ({"max_repeats": 3, "min_chars": 2, "max_period": 4}, "aabb" * 5, "aabb" * 3),
    ({"max_repeats": 3, "min_chars": 2, "max_period": 3}, "aabb" * 5, "aabb" * 5),
]


@pytest.mark.parametrize(("given", "text", "want"), LOOPS)
def test_loops(given: dict[str, Any], text: str, want: str) -> None:
    """`max_repeats` of the same leave, the next does not, whatever the cuts."""
    stage = sf.Repetition(**given)
    rng = random.Random(1)
    for pieces in ([text], list(text), *(cut(text, *rng.sample(range(len(text)), min(30, len(text)))) for _ in range(9))):
        assert "".join(stage.iter(pieces)) == want


def test_loops_in_random_texts() -> None:
    """On texts made of loops, what leaves is what a regular expression on every beginning of the text gives."""
    rng = random.Random(2)
    found = 0
    for _ in range(300):
        repeats, shortest = rng.choice([3, 3, 4, 6]), rng.randint(1, 4)
        longest = shortest + rng.choice([0, 3, 9])
        text = ""
        for _ in range(rng.randint(1, 3)):
            unit = "".join(rng.choices("ab\n", [3, 1, 0.2], k=rng.randint(1, longest + 1)))
            text += unit * rng.randint(1, repeats + 2) + "".join(rng.choices("ab", k=rng.randint(0, 3)))
        text = text[:100]
        want = unlooped(text, repeats, shortest, longest)
        found += want != text
        stage = sf.Repetition(max_repeats=repeats, min_chars=shortest, max_period=longest)
        pieces = cut(text, *rng.sample(range(100), 5))
        for each in (pieces, list(text)):
            batch(stage, each, lambda _, want=want: want)  # type: ignore[misc]
        prefix(stage, pieces)
    assert found > 50


@pytest.mark.parametrize("text", ["abaaaab", "abababa", "aabaabaabaab", "bbabbabbab"])
def test_repetition_is_prompt(text: str) -> None:
    """Only what may be the beginning of one repeat too many is held."""
    stage = sf.Repetition(max_repeats=3, min_chars=1, max_period=3)
    promptness(stage, text, lambda text: unlooped(text, 3, 1, 3), "ab", 6)


LEGITIMATE = [
    "|" + "---|" * 40 + "\n" + ("|" + "     |" * 30 + "\n") * 6,
    "Title\n" + "=" * 120 + "\n" + "-" * 120 + "\n" + "* " * 60,
    "def f():\n" + "".join(" " * 4 * n + "if x:\n" for n in range(20)) + " " * 80 + "pass\n" + "}\n" * 40,
    "".join(f"- item {n}\n" for n in range(100)),
    "[" + "0, " * 60 + "]\n" + "".join(f"| {n} | yes | no |\n" for n in range(60)),
    "Row, row, row your boat\n" * 4 + "la la la la la la\n" * 8 + "ha" * 100,
    "\n" * 100 + "." * 200,
]


@pytest.mark.parametrize("text", LEGITIMATE)
def test_text_that_repeats_within_reason_is_let_through(text: str) -> None:
    """Tables, rules, indentation, lists and refrains are no loops."""
    assert sf.Repetition().apply(text) == text


def test_raise_says_where() -> None:
    """With `action="raise"` the consumer gets `Blocked`, behind the repeats that may be; the report has it too."""
    with sf.Repetition(action="raise").iter(["Hm: ", *[LINE] * 20]) as stream:
        got: list[str] = []
        with pytest.raises(sf.Blocked, match="rule repetition matched at character 264 of the answer"):
            got.extend(stream)
        assert "".join(map(str, got)) == "Hm: " + LINE * 10
        assert stream.report.counts == {"repetition": 1}


def test_loops_in_reasoning_stop_the_choice() -> None:
    """A choice that loops in its reasoning never gets to its answer; another goes on."""
    loop = [sf.TextDelta(LINE, sf.Channel("reasoning", (0, 0))) for _ in range(20)]
    items: list[sf.Item] = [*_deltas((1, "fine")), *loop, *_deltas((0, "late"), (1, " still"))]
    out = list(sf.Repetition().iter(items))
    assert "".join(o.text for o in out if isinstance(o, sf.TextDelta)) == "fine" + LINE * 10 + " still"
    assert [o.scope for o in out if isinstance(o, sf.Finish)] == [(0, 0)]


def test_wrong_arguments_of_repetition() -> None:
    """Two in a row are style, and a longest unit is not shorter than the shortest."""
    with pytest.raises(ValueError, match="max_repeats"):
        sf.Repetition(max_repeats=2)
    with pytest.raises(ValueError, match="max_period is 10, less than min_chars"):
        sf.Repetition(max_period=10)


# ------------------------------------------------------------------ all of them


def _texts() -> Iterator[str]:
    for entry in shared("openai.chat"):
        joined: dict[sf.Channel, str] = {}
        for item in chat.Decode().iter([body(entry)]):
            if isinstance(item, sf.TextDelta) and item.channel.kind != "tool_arguments":
                joined[item.channel] = joined.get(item.channel, "") + item.text
        yield from joined.values()


RECORDED = list(_texts())


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
def test_recorded_texts() -> None:
    """No recorded text is stopped as a loop; limits cut each as the reference does, however it is cut."""
    rng = random.Random(6)
    limits: list[dict[str, Any]] = [{"max_chars": 280, "suffix": "…"}, {"max_words": 60, "max_back": 100}, {"max_lines": 4}]
    for text in RECORDED:
        assert sf.Repetition().apply(text) == text
        short = text[:1500]
        pieces = cut(short, *rng.sample(range(1500), 200))
        for given in limits:
            want = limited(short, **given)
            assert "".join(sf.Limit(**given).iter(pieces)) == want


@pytest.mark.parametrize("stage", [sf.Limit(max_words=10**6), sf.Limit(max_chars=10**6), sf.Repetition(), sf.Citations()])
@pytest.mark.parametrize("flood", ["a", " ", "\n", ".", "[", "【", "<cite>", "[^", "[1, ", "a. ", "\ud800", "\0"])
def test_floods_take_linear_time(stage: AnyStage, flood: str) -> None:
    """Four times as much of one thing takes not much more than four times as long."""

    def seconds(chars: int) -> float:
        text = flood * (chars // len(flood))
        machine = stage.machine()
        began = time.process_time()
        for at in range(0, len(text), 16):
            if any(isinstance(item, sf.End) for item in machine.feed(text[at : at + 16])):
                break
        return time.process_time() - began

    short = min(seconds(20_000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(3)) < max(12 * short, 0.15)
