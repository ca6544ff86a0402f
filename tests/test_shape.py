"""Stages that shape text: normalization, blanks, single characters, escape sequences, invisible characters."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import random
import unicodedata
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
import regex
from laws_shape import BLANK, COMPOSING, FORMS, LAWFUL, LAWFUL3, SCOTLAND, Form, normal, standard, without_escapes
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.testing import check_stage, cut, promptness
from streamfilter.testing.laws import AnyStage, prefix
from streamfilter.text.unicode import RANGES

ROWS = [*((stage, means, "ab \n12") for stage, means in LAWFUL), *LAWFUL3]


@pytest.mark.parametrize(("stage", "means", "alphabet"), ROWS, ids=[f"{n}-{type(row[0]).__name__}" for n, row in enumerate(ROWS)])
def test_every_stage_obeys_every_law(stage: AnyStage, means: Callable[[str], str], alphabet: str) -> None:
    """Batch, prefix, place, ending, done, grouping and independence hold for texts and cuts that Hypothesis finds."""
    check_stage(stage, means, alphabet=alphabet, examples=40)


def ways(text: str, seed: int = 0) -> list[list[str]]:
    """The text at once, one character at a time, and cut at random places."""
    rng = random.Random(seed)
    return [[text], list(text), cut(text, *(rng.randint(0, len(text)) for _ in range(len(text) // 3 + 1)))]


def check(stage: sf.TextStage, text: str, want: str) -> None:
    for pieces in ways(text):
        assert "".join(stage.iter(pieces)) == want, pieces
    prefix(stage, ways(text)[2])


# ---------------------------------------------------------------- Normalize

NORMALIZED = {
    "a letter and its accent": "cafe\u0301 au lait",
    "accents in the wrong order": "a\u0301\u0323\u0327b",
    "two accents of one class": "a\u0301\u0300\u0308",
    "an overlay after an accent": "<\u0301\u0338 =\u0334\u0338",
    "jamo": "\u1112\u1161\u11ab\u1100\u1173\u11af \u1161\u1161\u11a8 \u1100\u1100\u1161",
    "a syllable and a jamo": "가\u11a8 각\u11a8",
    "vowels in two parts": "\u0dd9\u0dcf\u0dca \u09c7\u09be \u0b47\u0b3e \U00011131\U00011127",
    "letters that are excluded from composition": "\u0958\u0915\u093c \u2adc \ufb1d",
    "marks that begin as starters": "\u0f73\u0f71\u0f72 \u0344\u0323",
    "compatibility": "ﬁ² ①½ ﾊﾟ ㌀ ﷺ ℡",
    "halfwidth jamo": "ﾡￂﾢ ￂￃ",
    "single ones that become others": "Å K Ω 豈 \U0002f800",
    "a lone mark at the beginning": "\u0301a",
    "surrogates and NUL": "\ud800\u0301\udc00\x00",
    "nothing to do": "Größe, déjà vu, Ελλάδα, 漢字かな交じり文",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", NORMALIZED)
def test_text_is_normalized_as_a_whole(form: Form, case: str) -> None:
    """Wherever it is cut, the form is that of the whole text."""
    check(sf.Normalize(form), NORMALIZED[case], unicodedata.normalize(form, NORMALIZED[case]))


CHANGING = [chr(code) for code in range(0x30000) if unicodedata.combining(chr(code)) or unicodedata.decomposition(chr(code))]


@pytest.mark.parametrize("form", FORMS)
def test_every_character_that_decomposes_or_combines_is_normalized(form: Form) -> None:
    """Each of them, taken apart, one character at a time; and all in random order."""
    for character in CHANGING:
        for text in (character, unicodedata.normalize("NFD", character)):
            assert "".join(sf.Normalize(form).iter(list(text))) == unicodedata.normalize(form, text)
    rng = random.Random(1)
    seconds = [text for text in map(chr, range(0x20000)) if unicodedata.combining(text)] + list("\u1161\u11a8\u09be\u0dcf")
    for _ in range(40):
        text = "".join(rng.choice((CHANGING, seconds, "aeo")[rng.randrange(3)]) for _ in range(100))
        for pieces in ways(text):
            assert "".join(sf.Normalize(form).iter(pieces)) == unicodedata.normalize(form, text), text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        *itertools.product(FORMS, ["a1 e\u0323<", "가\u11a8가1", "\u1100\u1161\u11a8\u1161", "ﾊ\uff9f1"]),
        *itertools.product(["NFD", "NFKD"], ["é\u0323a\u0301"]),
        *itertools.product(["NFC", "NFKC"], ["\u0438\u0306\u0438", "ab\u0301", "\u0dd9\u0dcf\u0dca1", "\u0301\u0301"]),
    ],
)
def test_nothing_is_held_that_cannot_change(form: Form, text: str) -> None:
    """By brute force over the continuations of three characters."""
    alphabet = "a1\u0338\u0301\u0323\u0327\u0306\u11a8\u1161\u0dcf\u0dca\uff9f"
    promptness(sf.Normalize(form), text, normal(form), alphabet, depth=2)


def test_a_letter_with_marks_waits_for_the_next_letter() -> None:
    """What is certain among marks is not told apart, so they may wait a little longer than they must; never too short."""
    for form in FORMS:
        promptness(
            sf.Normalize(form),
            "<\u0334e\u0327\u0301\u0338",
            normal(form),
            COMPOSING[:12],
            2,
            exact=False,
        )


def test_runs_of_marks_are_limited() -> None:
    """Beyond the limit a joiner comes between, or nothing, or an error."""
    text = "a" + "\u0301\u0323" * 3 + "b"
    check(sf.Normalize("NFC", max_marks=4), text, unicodedata.normalize("NFC", "a" + "\u0301\u0323" * 2 + "\u034f\u0301\u0323b"))
    check(sf.Normalize("NFD", max_marks=4, overflow="release"), text, "a\u0323\u0323\u0301\u0301\u0323\u0301b")
    for pieces in ways(text):
        left: list[str] = []
        with pytest.raises(sf.LimitExceeded, match="max_marks of 4 exceeded: combining marks before character 5 of the answer"):
            left.extend(sf.Normalize("NFC", max_marks=4, overflow="raise").iter(pieces))
        assert left == []


# ---------------------------------------------------------------- Strip, Collapse, Translate


@pytest.mark.parametrize("text", ["", "  ", "a", " a ", "\n\n a \n b\u2003\x1c", "\u200b x\u200b", "--a-- ", "- -"])
def test_ends_are_stripped_as_str_does(text: str) -> None:
    """Both ends or one of them, white space or a set of characters."""
    for chars in (None, "-", "- ", "ab", "]^-\\"):
        check(sf.Strip(chars), text, text.strip(chars))
        check(sf.Strip(chars, right=False), text, text.lstrip(chars))
        check(sf.Strip(chars, left=False), text, text.rstrip(chars))


def test_what_may_be_the_end_is_held_up_to_a_limit() -> None:
    """Then the first of it leaves, or an error comes."""
    assert list(sf.Strip(max_hold=2).iter(list("a    "))) == ["a", " ", " "]
    with pytest.raises(sf.LimitExceeded, match="max_hold of 2 exceeded: what could be the end of the answer, from character 1 on"):
        sf.Strip(max_hold=2, overflow="raise").apply("a   b")
    for text in ("a  b", "   a -- b", "a-- -", "a  - b---   c"):
        is_long = regex.search("a.*[ -]{3}", text) is not None
        for pieces in ways(text):
            machine = sf.Strip("- ", max_hold=2, overflow="raise").machine()
            items = [item for piece in pieces for item in (machine.feed(piece) if not machine.ended else ())]
            assert any(isinstance(item, sf.End) for item in items) == is_long
        prefix(sf.Strip("- ", max_hold=2, overflow="raise"), ways(text)[2])


@pytest.mark.parametrize(
    ("stage", "means"),
    [(stage, means) for stage, means, alphabet in LAWFUL3 if alphabet == BLANK and getattr(stage, "max_hold", 0) != 2],
    ids=repr,
)
def test_blanks_are_decided_as_soon_as_they_can_be(stage: AnyStage, means: Callable[[str], str]) -> None:
    """By brute force: no blank is held that no continuation could change."""
    for text in ("a  b\n", " \n a", "- \r\n b ", "  ab"):
        promptness(stage, text, means, "a- \n", depth=3)


def test_single_characters_are_translated() -> None:
    """By characters, by code points, by what `maketrans` gives."""
    quotes = sf.Translate({"“": '"', "…": "...", "\u00ad": None, "x": 0x79})
    check(quotes, "“so\u00adft…x", '"soft...y')
    check(sf.Translate(str.maketrans("ab", "ba", "c")), "abcabc", "baba")
    assert pickle.loads(pickle.dumps(quotes)) == quotes
    given = {"a": "b"}
    stage = sf.Translate(given)
    given["b"] = "c"
    assert stage.apply("ab") == "bb"


def test_a_table_is_a_value() -> None:
    """It has a hash, does not change, and its repr makes an equal one; the order of its keys says nothing."""
    given: dict[int | str, int | str | None] = {"a": "b", "c": None, 100: 0x79}
    stage = sf.Translate(given)
    assert repr(stage) == "Translate({'a': 'b', 'c': None, 100: 121})"
    proxy = MappingProxyType(dict(reversed(given.items())))
    for same in (
        eval(repr(stage), {"Translate": sf.Translate}),
        pickle.loads(pickle.dumps(stage)),
        copy.deepcopy(stage),
        sf.Translate(proxy),
    ):
        assert same == stage and hash(same) == hash(stage) and same.apply("abcd") == "bby"
        assert same.table == {"a": "b", "c": None, 100: 0x79}
    assert sf.Translate(stage.table) == stage
    assert stage != sf.Translate({"a": "b"})
    with pytest.raises(TypeError):
        stage.table["a"] = "c"  # type: ignore[index]


# ---------------------------------------------------------------- StripANSI

ESCAPED = {
    "colours": ("\x1b[1;31mred\x1b[0m and \x1b[38:2::10:20:30mmore\x1b[m", "red and more"),
    "private and intermediate characters": ("\x1b[?25lx\x1b[2 q\x1b[>4;2m\x1b[!p", "x"),
    "links and titles": ("\x1b]8;;https://example.org\x07a\x1b]8;;\x1b\\ \x1b]0;title\x9cb", "a b"),
    "the clipboard": ("\x1b]52;c;cm0gLXJm\x07x", "x"),
    "other control strings": ("\x1bPq#0;2\x07\x1b\\a\x1b_Gf=100;AAAA\x1b\\b\x1b^pm\x9cc\x1bXsos\x1b\\d", "abcd"),
    "eight-bit forms": ("\x9b1mx\x9d0;t\x07y\x90q\x9cz\x84\x8d\x85", "xyz\x85"),
    "short escapes": ("\x1b7a\x1b8\x1b(Bb\x1b#8c\x1b%Gd\x1b=\x1bc", "abcd"),
    "a string aborted by another sequence": ("\x1b]0;t\x1b[1mx", "x"),
    "a string aborted by CAN": ("\x1b]0;t\x18x", "\x18x"),
    "a sequence broken off by a letter of another script": ("\x1b[3éa", "éa"),
    "escapes in a row": ("\x1b\x1b\x1b[1m[31mx\x1b", "[31mx"),
    "no ESC survives": ("\x1b\nx\x1b é", "\nxé"),
    "nothing": ("[31m ]0; plain \\ text ESC", "[31m ]0; plain \\ text ESC"),
}


@pytest.mark.parametrize("case", ESCAPED)
def test_escape_sequences_are_deleted(case: str) -> None:
    """Wherever they are cut; the grammar, written as one expression, agrees."""
    text, want = ESCAPED[case]
    assert without_escapes(4096)(text) == want
    check(sf.StripANSI(), text, want)
    promptness(sf.StripANSI(), text[:12], without_escapes(4096), "\x1b[]\\m0\x07", depth=2)


def test_a_string_that_never_ends_does_not_swallow_the_answer() -> None:
    """After so many characters what follows is text again, or an error."""
    check(sf.StripANSI(max_string=5), "a\x1b]0;abcdef", "adef")
    check(sf.StripANSI(max_string=5), "a\x1b]0;abc\x07def", "adef")
    for pieces in ways("a\x1b]0;abcdef"):
        left: list[str] = []
        with pytest.raises(sf.LimitExceeded, match="max_string of 5 exceeded: a control string before character 8 of the answer"):
            left.extend(sf.StripANSI(max_string=5, overflow="raise").iter(pieces))
        assert left == ["a"]
    assert sf.StripANSI(max_string=5, overflow="raise").apply("\x1b]0;abc\x1b\\x\x1b]0;abc") == "x"


# ---------------------------------------------------------------- Unicode

SPARED = {
    "emoji of several": "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥 👩🏽\u200d🚀 🧑🏻\u200d🤝\u200d🧑🏿",
    "emoji style and text style": "❤\ufe0f ☎\ufe0e ©\ufe0f",
    "keycaps": "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "a flag": f"🏴{SCOTLAND}",
    "Persian": "می\u200cخواهم کتاب\u200cها",
    "Arabic, with vowel signs": "بَ\u200cب هـ ه\u200d",
    "Hindi and Malayalam": "क\u094d\u200dष क\u094d\u200cष ന\u0d4d\u200d",
    "Bengali and Sinhala": "র\u200d\u09cd\u09af ක\u0dca\u200dර ක\u200d\u0dca",
    "Khmer": "សួស្តី\u200bពិភពលោក",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ\u180bᠠ\u180eᠠ",
    "Hebrew": "שלום C++\u200e עולם",
}
SMUGGLED = {
    "Trojan Source": ("if ok:\u202e \u2066// x\u2069 \u2066", "if ok: // x ", {"bidi": 4}),
    "tags": ("hi" + "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all") + "!", "hi!", {"tags": 1}),
    "tags behind a flag": ("🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbx") + "\U000e007f", "🏴", {"tags": 1}),
    "a flag cut off": ("🏴" + SCOTLAND[:4], "🏴", {"tags": 1}),
    "bytes in variation selectors": ("😊\ufe01\U000e0142\U000e0143", "😊", {"variation_selectors": 1}),
    "a second selector": ("❤\ufe0f\ufe0f", "❤\ufe0f", {"variation_selectors": 1}),
    "selectors of digits": ("1\ufe0f2\ufe0e3", "123", {"variation_selectors": 2}),
    "bits in zero-width characters": ("a\u200b\u200c\u200d\u2060\ufeffb\u200b", "ab", {"zero_width": 2}),
    "a hidden word": ("b\u00ado\u034fm\u3164b", "bomb", {"default_ignorable": 3}),
    "several in a row": ("a\u200b\u00ad\u200bb", "ab", {"zero_width": 2, "default_ignorable": 1}),
    "marks without right-to-left letters": ("a\u200eb\u200fc", "abc", {"bidi": 2}),
    "marks in a row": ("א\u200e\u200f\u200eb", "א\u200eb", {"bidi": 1}),
    "a joiner at the end": ("👩\u200d", "👩", {"zero_width": 1}),
    "a joiner at the beginning": ("\u200d👩", "👩", {"zero_width": 1}),
    "joiners in a row": ("👩\u200d\u200d👧", "👩👧", {"zero_width": 1}),
}


@pytest.mark.parametrize("case", SPARED)
def test_legitimate_uses_survive(case: str) -> None:
    """The standard policy spares what emoji and scripts need; the strict one spares nothing."""
    text = SPARED[case]
    assert standard(text) == text
    check(sf.Unicode(), text, text)
    check(sf.Unicode(action="raise"), text, text)
    check(sf.Unicode("strict"), text, regex.sub(r"\p{Default_Ignorable_Code_Point}", "", text))


@pytest.mark.parametrize("case", SMUGGLED)
def test_smuggled_characters_are_removed_and_reported(case: str) -> None:
    """One finding for each run of one category, with its place, whatever the cuts."""
    text, want, counts = SMUGGLED[case]
    assert standard(text) == want
    check(sf.Unicode(), text, want)
    found = []
    for pieces in ways(text):
        with sf.Unicode().iter(pieces) as stream:
            "".join(stream)
            assert stream.report.counts == counts
            found.append(stream.report.findings)
            removed = sum((finding.end or 0) - finding.start for finding in stream.report.findings)
            assert removed == len(text) - len(want)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("case", SMUGGLED)
def test_smuggled_characters_are_refused(case: str) -> None:
    """The text before the first of them is delivered; the error names the category and the place, and no text."""
    text = SMUGGLED[case][0]
    for pieces in ways(text):
        with sf.Unicode().iter(pieces) as stream:
            "".join(stream)
            first = stream.report.findings[0]
        left: list[str] = []
        with pytest.raises(sf.Blocked) as raised, sf.Unicode(action="raise").iter(pieces) as stream:
            left.extend(stream)
        assert "".join(left) == text[: first.start]
        assert (raised.value.rule, raised.value.offset) == (first.rule, first.start)
        assert str(raised.value) == f"rule {first.rule} matched at character {first.start} of the answer"
        assert [(finding.action, finding.start, finding.end) for finding in stream.report.findings] == [
            ("block", first.start, first.start + 1)
        ]


def test_every_emoji_survives() -> None:
    """All that another library knows, in a row with spaces between."""
    codes = pytest.importorskip("rich._emoji_codes").EMOJI
    text = " ".join(codes.values())
    assert all("".join(sf.Unicode().iter(pieces)) == text for pieces in ways(text))


def test_no_text_survives_with_more_than_its_neighbours_explain() -> None:
    """Of random invisible characters, no two in a row are left but a joiner behind emoji style; and twice is as once."""
    rng = random.Random(2)
    alphabet = [chr(code) for ranges in list(RANGES.values())[:5] for first, last in ranges for code in range(first, last + 1, 7)]
    for _ in range(300):
        text = "".join(
            rng.choice((alphabet, "\u200c\u200d\ufe0f\ufe0e\u200e\u180b\u200b", "a👩❤م्កᠠא1")[rng.randrange(3)]) for _ in range(40)
        )
        left = sf.Unicode().apply(text)
        assert left == standard(text) == sf.Unicode().apply(left)
        assert not regex.search(r"\p{DI}{2}", left.replace("\ufe0f\u200d", "\u200d"))


def test_invisible_characters_are_decided_as_soon_as_they_can_be() -> None:
    """By brute force: held is only what the next characters decide."""
    for text in (
        "👩\u200d👧\u200d",
        "1\ufe0f\u20e31\ufe0f1",
        f"🏴{SCOTLAND[:3]}a",
        f"🏴{SCOTLAND}",
        "می\u200cخ",
        "ب\u200c\u064eب\u200c",
        "র\u200d\u09cd\u09af",
    ):
        promptness(sf.Unicode(), text, standard, "a👩\u20e3ب\u064e\u09cd" + SCOTLAND[3:5] + SCOTLAND[-1], depth=3)


def test_the_categories_cover_what_unicode_calls_ignorable() -> None:
    """No two share a character; the first five have every default-ignorable one, and the last two are general categories."""
    codes = [code for ranges in RANGES.values() for first, last in ranges for code in range(first, last + 1)]
    assert len(codes) == len(set(codes))
    first_five = {chr(code) for name in list(RANGES)[:5] for first, last in RANGES[name] for code in range(first, last + 1)}
    every = [chr(code) for code in range(0x110000)]
    assert first_five == set(regex.findall(r"\p{Default_Ignorable_Code_Point}|[\ufff9-\ufffb]", "".join(every)))
    for name, category, spared in (("private_use", "Co", ""), ("control", "Cc", "\t\n\r\x85")):
        ranges = next(ranges for each, ranges in RANGES.items() if each == name)
        got = {chr(code) for first, last in ranges for code in range(first, last + 1)}
        assert got == {each for each in every if unicodedata.category(each) == category and each not in spared}


def test_a_guard_sees_every_channel_and_what_json_says() -> None:
    """Reasoning, and the decoded strings of the arguments of tool calls; shapers see the answer only."""
    reasoning, arguments = sf.Channel("reasoning", (0, 0)), sf.Channel("tool_arguments", (0, 0, 0))
    items = [sf.TextDelta("a\u200b", reasoning), sf.TextDelta('{"a\\u202e": "x\\u20', arguments), sf.TextDelta('0bé"}', arguments)]
    out: dict[str, str] = {}
    for item in sf.Unicode().iter(items):
        out[item.channel.kind] = out.get(item.channel.kind, "") + item.text
    assert out["reasoning"] == "a"
    assert json.loads(out["tool_arguments"]) == {"a": "xé"}
    padded = [sf.TextDelta(" a ", reasoning), sf.TextDelta(" a ", arguments)]
    assert (
        list((sf.Strip() | sf.Collapse("") | sf.Normalize("NFC") | sf.StripANSI() | sf.Translate({"a": "b"})).iter(padded))
        == padded
    )


def test_a_finding_is_reported_though_the_stream_is_cut_off() -> None:
    """What was removed last and may go on is in the report with an open end."""
    with sf.Unicode().iter(["a\u200b", "\u200b", "b"]) as stream:
        assert next(stream) == "a"
        assert stream.report.findings == []
    assert [(finding.rule, finding.start, finding.end) for finding in stream.report.findings] == [("zero_width", 1, None)]
    stream = sf.Unicode().iter(itertools.chain(["a\u200b\u200b"], (1 / 0 for _ in "x")))  # type: ignore[misc]
    with pytest.raises(ZeroDivisionError):
        list(stream)
    assert [(finding.rule, finding.start, finding.end) for finding in stream.report.findings] == [("zero_width", 1, None)]


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: sf.Normalize("NFX"), "Normalize: form: Input should be 'NFC', 'NFD', 'NFKC' or 'NFKD'"),  # type: ignore[arg-type]
        (lambda: sf.Normalize("NFC", max_marks=0), "max_marks: Input should be greater than or equal to 1"),
        (lambda: sf.Strip(""), "Strip: chars: String should have at least 1 character"),
        (lambda: sf.Strip(left=False, right=False), "left=False and right=False strip nothing"),
        (lambda: sf.Translate({"ab": "c"}), "table: a key is no single character and no code point: use Replace"),
        (lambda: sf.Translate({-1: "c"}), "table: a key is no single character and no code point"),
        (lambda: sf.Translate({"a": "b", 97: "c"}), "table: a character stands there twice"),  # type: ignore[arg-type]
        (lambda: sf.Translate(3), "table: Input should be a valid dictionary"),  # type: ignore[arg-type]
        (lambda: sf.Translate({"a": 0x110000}), "less than or equal to 1114111"),
        (lambda: sf.StripANSI(max_string=0), "max_string: Input should be greater than or equal to 1"),
        (lambda: sf.Unicode("lenient"), "policy: Input should be 'standard' or 'strict'"),  # type: ignore[arg-type]
        (lambda: sf.Unicode(categories=("emoji",)), "categories.0: Input should be 'bidi', 'tags'"),  # type: ignore[arg-type]
        (lambda: sf.Unicode(categories=()), "categories: Tuple should have at least 1 item"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], object], what: str) -> None:
    """When the stage is built, with what would be right."""
    with pytest.raises(ValueError) as raised:
        make()
    assert what in str(raised.value)


@pytest.mark.parametrize("stage", [stage for stage, _, _ in ROWS], ids=repr)
def test_stages_are_values(stage: AnyStage) -> None:
    """They are pickled, compared and explained."""
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert "holds" in stage.explain()


FLOODS = [
    "\u0301",
    "\u0323\u0301",
    "\u1161",
    "é",
    "a\u0301",
    " ",
    "\n ",
    "\x1b",
    "\x1b[",
    "\x9d",
    "\x1b]0;",
    "\u200d",
    "م\u200c",
    "\u064e",
    "🏴\U000e0067\U000e0062",
    "\U000e0041",
    "👩\u200d",
    "1\ufe0f",
]
STAGES: list[tuple[sf.TextStage, Callable[[str], str]]] = [
    (sf.Strip(), str.strip),
    (sf.Collapse(lines=True), lambda text: regex.sub(r"\s+", lambda run: "\n" if "\n" in run[0] else " ", text)),
    (sf.StripANSI(max_string=100_000), without_escapes(100_000)),
    (sf.Unicode(), standard),
]


@pytest.mark.parametrize("flood", FLOODS, ids=ascii)
def test_floods_take_linear_time_and_bounded_memory(flood: str) -> None:
    """10,000 characters of one kind, at once and one by one, without more being held than may be."""
    text = flood * (10_000 // len(flood))
    for stage, means in STAGES:
        want = means(text)
        for pieces in ([text], list(text)):
            assert "".join(stage.iter(pieces)) == want, stage
    for form in FORMS:
        stage = sf.Normalize(form, max_marks=100)
        machine = stage.machine()
        out: list[sf.Item] = []
        for character in text:
            out += machine.feed(character)
            assert machine.held <= 110
        assert "".join(map(str, [*out, *machine.finish()])) == stage.apply(text)


def recorded() -> list[str]:
    """The text of each recorded chat completion stream."""
    texts = []
    for entry in shared("openai.chat"):
        deltas = [choice.get("delta") or {} for chunk in chunks(body(entry)) for choice in chunk.get("choices") or ()]
        texts.append("".join(delta["content"] for delta in deltas if isinstance(delta.get("content"), str)))
    return [text for text in texts if text]


@pytest.mark.skipif(not shared("openai.chat"), reason="the shared recordings are not beside this checkout")
def test_recorded_answers_are_shaped_as_whole_texts() -> None:
    """Real text, cut at random."""
    rows: list[Any] = [
        *STAGES,
        *((sf.Normalize(form), normal(form)) for form in FORMS),
    ]
    for text in recorded():
        for stage, means in rows:
            assert "".join(stage.iter(ways(text)[2])) == means(text)
