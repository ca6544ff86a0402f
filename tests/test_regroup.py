"""Regrouped text is the same text, in units that depend on it alone, each of which leaves as soon as its end is certain."""

from __future__ import annotations

import io
import itertools
import pickle
import random
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import regex
from laws_regroup import LAWFUL3, blank_or_all, two_digits
from sentence_texts import GOLDEN, recorded_texts

import streamfilter as sf
from streamfilter.hold import Hold
from streamfilter.segment import abbreviations
from streamfilter.testing import check_stage, cut
from streamfilter.testing.laws import AnyStage, released
from streamfilter.text.regroup_machines import best_split

Reference = Callable[[str], list[str]]


def units(stage: AnyStage, pieces: Iterable[str]) -> list[str]:
    """What leaves, as a list."""
    fed, rest = released(stage, pieces)
    return [str(item) for item in fed + rest]


def ways(text: str, seed: int = 0) -> list[list[str]]:
    """Whole, one character at a time, at random cuts, and with pieces that are empty."""
    rng = random.Random(seed or len(text))
    cuts = [cut(text, *(rng.randrange(len(text) + 1) for _ in range(5))) for _ in range(3)]
    return [[text], list(text), ["", *text, ""], *cuts]


@pytest.mark.parametrize(("stage", "means", "alphabet"), LAWFUL3, ids=[repr(stage) for stage, _, _ in LAWFUL3])
def test_every_stage_obeys_every_law(stage: AnyStage, means: Callable[[str], str], alphabet: str) -> None:
    """Joined, the units are the text; and the other laws."""
    check_stage(stage, means, alphabet=alphabet, examples=60)


# ------------------------------------------------------------------ units, against references on the whole text


def whole_words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*|\s+", text)


def whole_lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline=""))


def whole_paragraphs(text: str) -> list[str]:
    """An end is one only if something that is not blank is on both sides of it."""
    found = re.finditer(r"\n[ \t\r]*\n(?:[ \t\r]*\n)*(?=[ \t\r]*[^ \t\r\n])", text)
    return _divided(text, (match.end() for match in found if text[: match.end()].strip()))


def whole_chunks(text: str) -> list[str]:
    return ["".join(each) for each in itertools.zip_longest(*[iter(text)] * 3, fillvalue="")] if text else []


def whole_graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def whole_pairs(text: str) -> list[str]:
    """What `two_digits` and then `blank_or_all` divide."""
    found = [match.end() for match in re.finditer(r"(?s)[^12]*[12][^12]*[12]", text)]
    rest = found[-1] if found else 0
    return _divided(text, [*found, *(rest + match.end() for match in re.finditer(" ", text[rest:]))])


def _divided(text: str, ends: Iterable[int]) -> list[str]:
    places = sorted({0, *ends, len(text)})
    return [text[start:end] for start, end in itertools.pairwise(places)]


UNITS: list[tuple[AnyStage, Reference, str]] = [
    (sf.Words(), whole_words, "ab  \n\u3000"),
    (sf.Lines(), whole_lines, "ab\r\n\r\n\v\u2028"),
    (sf.Paragraphs(), whole_paragraphs, "ab\n\n\n \r\t"),
    (sf.Chunks(3), whole_chunks, "ab \n\u0301"),
    (
        sf.Graphemes(),
        whole_graphemes,
        "a\r\n\u0301é👨\u200d👩👧🏽🇩🇪🇫क\u094dष\u093f각\u1100\u1161\u11a8\u0600\x00\ufe0f\u0e33\u200b\ud800",
    ),
    (sf.Segments(two_digits, at_end=blank_or_all), whole_pairs, "ab 12"),
    (sf.Segments(sf.by_line()), whole_lines, "ab\r\n"),
]


@pytest.mark.parametrize(("stage", "reference", "alphabet"), UNITS, ids=[repr(stage) for stage, _, _ in UNITS])
def test_the_list_of_units_is_that_of_the_whole_text(stage: AnyStage, reference: Reference, alphabet: str) -> None:
    """At every cut: lists are compared, not joined text."""
    rng = random.Random(1)
    for n in range(250):
        text = "".join(rng.choices(alphabet, k=rng.randrange(16)))
        for pieces in ways(text, n):
            assert units(stage, pieces) == reference(text), pieces


@pytest.mark.parametrize(("stage", "reference", "alphabet"), UNITS, ids=[repr(stage) for stage, _, _ in UNITS])
def test_a_unit_leaves_as_soon_as_its_end_is_certain(stage: AnyStage, reference: Reference, alphabet: str) -> None:
    """By brute force: the units that all continuations agree on have left, and no others."""
    rng = random.Random(2)
    if isinstance(stage, sf.Segments) and stage.at_end:
        stage = sf.Segments(two_digits)  # the end of the text is a continuation like any other
        reference = lambda text: _divided(text, (match.end() for match in re.finditer(r"(?s)[^12]*[12][^12]*[12]", text)))  # noqa: E731
    for _ in range(40):
        text = "".join(rng.choices(alphabet, k=rng.randrange(1, 7)))
        endings = [
            reference(text + "".join(more)) for n in (0, 1, 2) for more in itertools.product(sorted(set(alphabet)), repeat=n)
        ]
        common = [unit for n, unit in enumerate(endings[0]) if all(each[: n + 1] == endings[0][: n + 1] for each in endings)]
        assert released(stage, list(text))[0] == common, text


@pytest.mark.parametrize(
    ("stage", "text", "want"),
    [
        (sf.Words(max_chars=3), "abcdefg hi", ["abc", "def", "g ", "hi"]),
        (sf.Words(), " \n", [" \n"]),
        (sf.Lines(max_chars=4), "abcdef\ng", ["abcd", "ef\n", "g"]),
        (sf.Paragraphs(max_chars=4), "abcdef\n\ng", ["abcd", "ef\n\n", "g"]),
        (sf.Paragraphs(), "\n\n one\n \n\n  two \n", ["\n\n one\n \n\n", "  two \n"]),
        (sf.Chunks(1), "abc", ["a", "b", "c"]),
        (sf.Graphemes(max_chars=3), "e\u0301\u0301\u0301\u0301a", ["e\u0301\u0301", "\u0301\u0301", "a"]),
        (sf.Graphemes(), "👨‍👩‍👧‍👦👍🏽🇫🇷🇩🇪1️⃣", ["👨‍👩‍👧‍👦", "👍🏽", "🇫🇷", "🇩🇪", "1️⃣"]),
        (sf.Graphemes(), "a\u0308\u200db\r\n\n\r각क्षि", ["a\u0308\u200d", "b", "\r\n", "\n", "\r", "각", "क्षि"]),
        (sf.Segments(lambda text: None, max_chars=3), "abcdefg", ["abc", "def", "g"]),
        (sf.Segments(sf.by_chars(2)), "abcde", ["ab", "cd", "e"]),
        (sf.Sentences(), "One.\n\n\nTwo.\n\n", ["One.\n", "\n\nTwo.\n", "\n"]),
        (sf.Sentences(), "  \n Hi. ", ["  \n Hi. "]),
        (sf.Sentences(), "", []),
    ],
    ids=repr,
)
def test_these_texts_are_divided_so(stage: AnyStage, text: str, want: list[str]) -> None:
    """At every cut."""
    for pieces in ways(text) if text else [[], [""], ["", ""]]:
        assert units(stage, pieces) == want


# ------------------------------------------------------------------ sentences


@pytest.mark.parametrize("language", GOLDEN, ids=str)
def test_sentences_are_those_of_the_golden_table(language: Any) -> None:
    """All of them, at every cut."""
    for case in GOLDEN[language]:
        want = case.split("|")
        want = want if want[0].strip() else ["".join(want)]
        joined: list[str] = []  # blank lines go with what follows
        for part in want:
            if joined and not joined[-1].strip():
                joined[-1] += part
            else:
                joined.append(part)
        for pieces in ways("".join(want)):
            assert units(sf.Sentences(language), pieces) == joined


def test_nearly_all_of_the_golden_table_needs_no_language() -> None:
    """What is lost are words that another language has too."""
    cases = [case for cases in GOLDEN.values() for case in cases]
    right = sum(whole_sentences("".join(case.split("|"))) == "".join(case.split()) for case in cases)
    assert right > 0.98 * len(cases)


def whole_sentences(text: str) -> str:
    return "|".join("".join(unit.split()) for unit in sf.Sentences().iter([text]))


PEERS = ["pysbd", "blingfire", "syntok", "sentencex"]


@pytest.mark.parametrize("name", PEERS)
def test_sentences_of_models_are_those_that_well_kept_splitters_find(name: str) -> None:
    """On what models said in the recordings; and the splitter, with the whole text, is no nearer to the golden table."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from benchmarks import sentences as measured

    splitter = measured.installed().get(name)
    if splitter is None:
        pytest.skip(f"{name} is not installed")
    texts = recorded_texts()
    if not texts:
        pytest.skip("the shared recordings are not beside this checkout")
    one, both, two = 0, 0, 0
    for text in texts[:40]:
        mine, other = measured.ends(whole_list(text)), measured.ends(splitter(text, None))
        one, both, two = one + len(mine), both + len(mine & other), two + len(other)
    assert 2 * both / (one + two) > 0.92
    assert measured.gold(splitter, "en") < measured.gold(lambda text, _: whole_list(text), "en") == 1


def whole_list(text: str) -> list[str]:
    return list(sf.Sentences().iter([text]))


@pytest.mark.parametrize(
    ("text", "limits", "want"),
    [
        ("Hi. Yo. How are you? I am.", {"min_chars": 5}, ["Hi. Yo. ", "How are you? ", "I am."]),
        ("Hi. Yo. How are you? I am.", {"min_chars": 50}, ["Hi. Yo. How are you? I am."]),
        ("A b c d e f g h. I", {"max_chars": 6}, ["A b c ", "d e f ", "g h. ", "I"]),
        ("He came, saw the thing and won. So", {"max_chars": 20}, ["He came, ", "saw the thing and ", "won. ", "So"]),
        ("Oh, the thing that he saw", {"max_chars": 16}, ["Oh, the thing ", "that he saw"]),
        ("Oh, the thing that he saw", {"max_chars": 12, "min_chars": 6}, ["Oh, the ", "thing that ", "he saw"]),
        ("x" * 25, {"max_chars": 10}, ["x" * 10, "x" * 10, "x" * 5]),
        ("e\u0301" * 5, {"max_chars": 5}, ["e\u0301" * 2, "e\u0301" * 2, "e\u0301"]),
        ("他来了，看见了，就走了", {"max_chars": 6}, ["他来了，", "看见了，", "就走了"]),
        ("Come here. x", {"max_chars": 11}, ["Come here. ", "x"]),
        ("   \n" * 5, {"max_chars": 4}, ["   \n"] * 5),
    ],
)
def test_sentences_for_speech_are_neither_too_short_nor_too_long(text: str, limits: dict[str, Any], want: list[str]) -> None:
    """Short ones are joined with the next, long ones divided behind a clause, a blank, or anywhere, at every cut alike."""
    for pieces in ways(text):
        assert units(sf.Sentences(**limits), pieces) == want


def test_limits_hold_for_any_text() -> None:
    """Random texts and limits: the same units at every cut; none too long; too short only the last, or one before a division."""
    rng = random.Random(3)
    for n in range(400):
        text = "".join(rng.choices("aB.?!, \n1*…。，é\u0301👩\u200d»", k=rng.randrange(40)))
        most = rng.randrange(1, 20)
        stage = sf.Sentences(min_chars=rng.randrange(1, most + 1), max_chars=most)
        first, *others = [units(stage, pieces) for pieces in ways(text, n)]
        assert all(other == first for other in others), (stage, text)
        assert "".join(first) == text
        assert max(map(len, first), default=0) <= most


def test_a_sentence_leaves_at_the_first_character_of_the_next() -> None:
    """Not before, and not later; behind an initial, when the next word is told from those that begin sentences."""
    for text, at in (
        ("It is so. Now", 11),
        ("It is! no", 8),
        ("It is?\nno", 7),
        ("好。好", 3),
        ("In the U.S. Army", 0),
        ("In the U.S. The a", 16),
    ):
        machine = sf.Sentences().machine()
        left = [n for n, char in enumerate(text, 1) if machine.feed(char)]
        assert left == ([at] if at else []), text


@pytest.mark.parametrize(
    ("text", "want"), [("a, b", 3), ("a,b", 3), ("a b", 2), ("abc", 3), ("ab. ", 4), ("a\u0301", 2), ("ab\u0301", 1)]
)
def test_the_best_place_to_divide(text: str, want: int) -> None:
    """It is never the beginning."""
    assert best_split(text) == want


def test_languages_and_their_abbreviations() -> None:
    """A language that is known has some; a word with another meaning elsewhere needs its language; the rest need none."""
    assert units(sf.Sentences("de"), ["Siehe Art. Fünf. Ja"]) == ["Siehe Art. Fünf. ", "Ja"]
    assert units(sf.Sentences(), ["I like art. So"]) == ["I like art. ", "So"]
    assert units(sf.Sentences(), ["Der Hr. Maier"]) == ["Der Hr. Maier"]
    assert abbreviations("zh") == abbreviations("en")
    assert all(abbreviations(code) for code in GOLDEN)  # type: ignore[arg-type]


# ------------------------------------------------------------------ items, events and channels


def test_a_unit_is_one_delta_on_the_chunk_of_its_first_character() -> None:
    """Whatever chunks its text has come on; one that came as one piece is that piece."""
    channel = sf.Channel("answer", (0, 0))
    deltas = [sf.TextDelta(text, channel, origin) for origin, text in enumerate(["on", "e t", "wo ", "x ", "three"])]
    machine = sf.Words().machine()
    out = [item for delta in deltas for item in machine.feed(delta)] + list(machine.finish())
    assert [(item.text, item.origin) for item in out if isinstance(item, sf.TextDelta)] == [
        ("one ", 0),
        ("two ", 1),
        ("x ", 3),
        ("three", 4),
    ]
    assert out[2] is deltas[3]


def test_an_event_inside_a_unit_leaves_right_after_it() -> None:
    """One at its end, too; one between two units stays between them."""
    for at, place in ((0, 0), (1, 1), (3, 1), (4, 1), (5, 2), (8, 2)):
        text = "one two x"
        for left, right in itertools.product(ways(text[:at])[:2], ways(text[at:])[:2]):
            event = sf.Raw("mark")
            machine = sf.Words().machine()
            script: list[sf.Item] = [*left, event, *right]
            out = [item for piece in script for item in machine.feed(piece)] + list(machine.finish())
            assert [item for item in out if item is not event] == ["one ", "two ", "x"]
            assert out.index(event) == place, (at, out)


def test_each_channel_and_each_run_has_its_own_units() -> None:
    """Choices do not mix; what ends a run ends its last unit; other kinds of channel pass as they are."""
    one, two, thought = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1)), sf.Channel("reasoning", (0, 0))
    items: Sequence[Any] = [
        *(sf.TextDelta("ab", one), sf.TextDelta("x", two), sf.TextDelta("hm hm", thought), sf.TextDelta("c d", one)),
        *(sf.Raw(1, scope=one, boundary=True), sf.TextDelta("e f", one), sf.TextDelta("y ", two), sf.Finish("stop", scope=(0, 0))),
    ]
    fed, rest = released(sf.Words(), items)
    assert [item.text if isinstance(item, sf.TextDelta) else type(item) for item in fed + rest] == [
        *("hm hm", "abc ", "d", sf.Raw, "e ", "f", sf.Finish, "xy ")
    ]


def test_an_empty_piece_is_no_unit() -> None:
    """Plain text without text is dropped; an empty delta keeps its chunk; other channels are not touched."""
    assert units(sf.Lines(), ["a\n", "", "b\n", ""]) == ["a\n", "b\n"]
    delta = sf.TextDelta("", sf.Channel("answer", (0, 0)))
    assert released(sf.Lines(), [delta])[0] == [delta]
    assert released(sf.Lines(channels=("reasoning",)), ["", "a"])[0] == ["", "a"]


def test_units_of_a_hold() -> None:
    """Plain text, deltas, both in one run, and ends that make no sense."""
    hold = Hold(offset=7)
    hold.append("abc", "abc")
    hold.units([11, 12], 10)
    assert (hold.out, len(hold), hold.offset) == (["a", "b"], 1, 9)
    delta = sf.TextDelta("def", origin=1)
    hold.append(delta, "def")
    hold.units([2, 4], 0)
    assert hold.out[2:] == ["cd", sf.TextDelta("ef")]
    hold.append(delta, "def")
    hold.units([3], 0)
    assert hold.out[4] is delta
    hold.append("xy", "xy")
    for ends in ([3], [0], [1, 1], [-1]):
        with pytest.raises(ValueError, match="units: an end at") as caught:
            hold.units(ends, 0)
        assert "xy" not in str(caught.value)
        if ends[0] == 1:
            hold.append("z", "z")


# ------------------------------------------------------------------ a user's function


@pytest.mark.parametrize(
    ("gives", "error"),
    [
        (0, r"ValueError: .* gave 0 for a boundary: 1 to 3 are in the text it was given, or None"),
        (-1, "ValueError: .* gave -1 for a boundary"),
        (4, "ValueError: .* gave 4 for a boundary"),
        ("a", "TypeError: .* gave str for a boundary: an int or None is needed"),
        (True, "TypeError: .* gave bool for a boundary"),
        (1.0, "TypeError: .* gave float for a boundary"),
    ],
)
def test_a_boundary_that_makes_no_sense_is_an_error(gives: Any, error: str) -> None:
    """While streaming and at the end, in words that do not show the text."""
    for stage in (sf.Segments(lambda text: gives), sf.Segments(lambda text: None, at_end=lambda text: gives)):
        with pytest.raises((ValueError, TypeError)) as caught:
            list(stage.iter(["xyz"]))
        assert re.fullmatch(error, f"{type(caught.value).__name__}: {caught.value}") or re.match(
            error, f"{type(caught.value).__name__}: {caught.value}"
        )
        assert "xyz" not in str(caught.value)


def test_what_a_boundary_function_raises_reaches_the_consumer() -> None:
    """As it is, behind the units before it; what is held dies."""

    def fails(text: str) -> int | None:
        if "!" in text:
            raise KeyError("mine")
        return text.find(" ") + 1 or None

    got: list[str] = []
    with pytest.raises(KeyError, match="mine"):
        got.extend(sf.Segments(fails).iter(["a b c", "d!"]))
    machine = sf.Segments(fails).machine()
    assert machine.feed("a b c") == ["a ", "b "]


def test_a_function_is_not_shown_more_than_it_needs() -> None:
    """Of a long piece a beginning, then twice as much; never more than the largest unit."""
    shown: list[int] = []

    def blank(text: str) -> int | None:
        shown.append(len(text))
        return text.find(" ") + 1 or None

    assert len(units(sf.Segments(blank), ["word " * 20_000])) == 20_000
    assert sum(shown) < 20 * 100_000
    shown.clear()
    assert units(sf.Segments(blank, max_chars=300), ["x" * 700 + " y"]) == ["x" * 300, "x" * 300, "x" * 100 + " ", "y"]
    assert max(shown) == 300


# ------------------------------------------------------------------ values


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: sf.Words(max_chars=0), "max_chars: .*greater than or equal to 1"),
    (lambda: sf.Chunks(0), "size: .*greater than or equal to 1"),
    (lambda: sf.Sentences("xx"), "language: .*'ar', 'de'"),  # type: ignore[arg-type]
    (lambda: sf.Sentences(min_chars=0), "min_chars: .*greater than or equal to 1"),
    (lambda: sf.Sentences(min_chars=9, max_chars=8), "min_chars is 9, and max_chars 8"),
    (lambda: sf.Segments(sf.by_line(max_wait=1)), "max_wait needs a clock"),
    (lambda: sf.Segments(sf.cumulative(3)), "cumulative segments overlap"),
    (lambda: sf.Segments(sf.by_line(), max_chars=3), "at_end and max_chars are for functions"),
    (lambda: sf.Segments(sf.by_line(), at_end=len), "at_end and max_chars are for functions"),
    (lambda: sf.Segments(3), "boundary: a function of the text is needed, or a Segmentation"),  # type: ignore[arg-type]
    (lambda: sf.Chunks("3"), "size: .*valid integer"),  # type: ignore[arg-type]
    (lambda: sf.Chunks(True), "size: .*valid integer"),
    (lambda: sf.Sentences(max_chars="9"), "max_chars: .*valid integer"),  # type: ignore[arg-type]
    (lambda: abbreviations("xx"), "language is 'xx': one of ar, de"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_what_makes_no_sense_is_refused_when_it_is_built(build: Callable[[], object], message: str) -> None:
    """In one line."""
    with pytest.raises(ValueError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        *("Words()", "Words(max_chars=9)", "Lines()", "Paragraphs()", "Sentences()", "Sentences(language='de', min_chars=20)"),
        *("Graphemes()", "Chunks(3)", "Segments(by_line())", "Segments(len, max_chars=3)", "Words(channels=('reasoning',))"),
    ],
)
def test_a_stage_is_a_value(call: str) -> None:
    """Its repr makes an equal one, and so does a pickle; it says what it may hold."""
    stage = eval(call, {**vars(sf), **{name: getattr(sf, name) for name in sf.__all__}})
    assert repr(stage) == call
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert re.search(r"holds .*at most \d+ characters", stage.explain())


@pytest.mark.parametrize(
    ("stage", "text", "want"),
    [
        (sf.Sentences(), "Para one.\n\nPara two.\n", ["Para one.\n", "\nPara two.\n"]),
        (sf.Sentences(max_chars=5), "      abc      \n      d", ["     ", " abc ", "     ", "\n    ", "  d"]),
        (sf.Sentences("en"), "1. First item. 2. Second item.", ["1. First item. ", "2. Second item."]),
        (sf.Sentences("ja"), "「元気ですか？」と聞いた。", ["「元気ですか？」と聞いた。"]),
    ],
)
def test_what_goes_with_a_sentence(stage: AnyStage, text: str, want: list[str]) -> None:
    """Blank lines with the next one; only floods of white space are units; a number with its item, a quotation with who said it."""
    assert list(stage.iter([text])) == list(stage.iter(list(text))) == want


# ------------------------------------------------------------------ long texts, real texts

STAGES: list[AnyStage] = [stage for stage, _, _ in LAWFUL3]
FLOODS = [
    *'.?!,*_\n\r" “»1aA',
    "a.",
    "a. ",
    "A. ",
    "? ",
    "U.S. ",
    "1. ",
    "a.\n",
    "e\u0301",
    "\u0301",
    "👩\u200d",
    "🇩",
    ". »",
    "The ",
    "。",
    "\x00",
    "\ud800",
]


@pytest.mark.parametrize("stage", STAGES, ids=repr)
def test_floods_are_regrouped_in_linear_time(stage: AnyStage) -> None:
    """Of each character that some stage reacts to, in one piece and in many: no text costs far more than another."""
    for flood in FLOODS:
        text = flood * (6_000 // len(flood))
        begun = time.perf_counter()
        whole = units(stage, [text])
        cut_up = units(stage, (text[at : at + 7] for at in range(0, len(text), 7)))
        assert whole == cut_up
        assert "".join(whole) == text
        assert time.perf_counter() - begun < 2, flood


TEXTS = recorded_texts()


@pytest.mark.skipif(not TEXTS, reason="the shared recordings are not beside this checkout")
@pytest.mark.parametrize("stage", [sf.Words(), sf.Lines(), sf.Paragraphs(), sf.Sentences(), sf.Graphemes(), sf.Chunks(7)], ids=repr)
def test_what_models_said_is_regrouped_without_loss(stage: AnyStage) -> None:
    """At random cuts, into the same units."""
    rng = random.Random(4)
    for text in TEXTS:
        whole = units(stage, [text])
        assert "".join(whole) == text
        assert units(stage, cut(text, *(rng.randrange(len(text)) for _ in range(len(text) // 4)))) == whole
