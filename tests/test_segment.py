"""Segments are those of the whole text: found at every cut alike, at the first character that makes them certain, none too large."""

from __future__ import annotations

import functools
import io
import itertools
import math
import pickle
import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pytest
from pydantic import TypeAdapter

from streamfilter import segment
from streamfilter.segment import (
    ABBREVIATIONS,
    Finder,
    Segmentation,
    by_chars,
    by_line,
    by_paragraph,
    by_sentence,
    by_words,
    cumulative,
    whole,
)
from streamfilter.segment.languages import BEFORE_NUMBERS, ORDINALS, STARTERS
from streamfilter.testing import cut

# ------------------------------------------------------------------ references: the natural ends in a whole text

SENTENCE_BREAK = {
    **dict.fromkeys("中と", "o"),
    **dict.fromkeys("1", "n"),
    **dict.fromkeys(".", "A"),
    **dict.fromkeys("?!。", "T"),
    **dict.fromkeys(",-", "c"),
    **dict.fromkeys("()[\"'」’‘”“", "C"),
    **dict.fromkeys(" \u00a0", "s"),
    **dict.fromkeys("\u0300\u0301\u200b", "x"),
    "\r": "R",
    "\n": "N",
    "\u2029": "S",
    "…": "-",
    "#": "-",
    "*": "-",
    "😊": "-",
    "»": "C",
    "[": "C",
    "]": "C",
}
"""OLetter, Numeric, ATerm, STerm, SContinue, Close, Sp, Extend or Format, CR, LF, Sep, Other. Lower and Upper are `l` and `u`."""

RULES = [
    ("R", "N", False),  # SB3
    ("[RNS]", "", True),  # SB4
    ("A", "n", False),  # SB6
    ("[lu]A", "u", False),  # SB7
    ("AC*s*", "[^oulRNSAT]*l", False),  # SB8
    ("[AT]C*s*", "[cAT]", False),  # SB8a
    ("[AT]C*", "[CsRNS]", False),  # SB9
    ("[AT]C*s*", "[sRNS]", False),  # SB10
    ("[AT]C*s*[RNS]?", "", True),  # SB11
    ("", "", False),  # SB998
]
"""The table of UAX #29: what stands before a position, what behind it, whether there is a boundary. The first row that fits decides."""

TABLE = [(re.compile(f".*(?:{before})"), re.compile(after), verdict) for before, after, verdict in RULES]


# What prose has beside: `O`, `K`, `I`, `B` are full stops behind a number, letters, a letter, and a word that numbers follow; `-` is
# one behind an abbreviation or the number of a list; `Q` is a question mark behind a blank, `W` a wide terminator; `m` closes marked
# up text, `p` opens, `f` is a closing mark that may open; `v` begins a word that begins sentences, `w` one that numbers belong to; `L`
# is the full stop behind a number with which a sentence begins; `j` is a particle that goes on behind a quotation.
SHUT = "(?:[Cpfm][Cpfmn]*)?"
GO_ON = "[sRNScAOKIBTQW]"
SPACED = "s+(?:fs+)*"
PROSE_RULES = [
    ("R", "N", False),
    ("[RNS]", "", True),
    (f"[AOKIBTQ]{SHUT}", "[oj]", True),  # without a blank between, only a script that has none goes on to a sentence
    (f"[AOKIBTQ]{SHUT}", "", False),
    ("W[Cfm]*", f"[Cfm]|{GO_ON}", False),
    ("W[Cfm]+", "j", False),
    ("W[Cfm]*", "", True),
    (f"(?:[AOKIBTQ]{SHUT}|W[Cfm]*){SPACED}", GO_ON, False),
    (f"(?:[AOKIBTQ]{SHUT}|W[Cfm]*){SPACED}", f"f{GO_ON}", False),
    (f"(?:[AOKIBTQ]{SHUT}|W[Cfm]*){SPACED}", "f", True),
    (f"(?:T[Cpfm][Cpfmn]*|Q{SHUT}){SPACED}", "l", False),  # of a quotation
    ("(?:T|W[Cfm]*)s+(?:fs+)+", "l", False),
    (f"(?:[TQ]{SHUT}|W[Cfm]*){SPACED}", "", True),
    ("[KI]s+", "[uw]", False),
    ("Os+", "w", False),
    ("[BI]s+", "n", False),
    (f"[AOKIB]{SHUT}{SPACED}", "[^ojlRNSAOKIBTQWLuvw]*l", False),  # SB8
    (f"[AOKIB]{SHUT}{SPACED}", "", True),
    ("", "", False),
]
"""A table of the same kind: what people write beside what UAX #29 knows."""

PROSE_TABLE = [(re.compile(f".*(?:{before})"), re.compile(after), verdict) for before, after, verdict in PROSE_RULES]
LISTED = re.compile(r"(?:^|[\n\r\u2028\u2029])[ \t>#*_(-]{0,8}(?:\d{1,3}(?:\.\d{1,3}){0,3}|[a-zA-Z]|[ivxIVX]{2,4})\Z")
KINDS_OF_STOPS = [
    ("B", re.compile(rf"(?<![\w\u0301.])(?:{'|'.join(BEFORE_NUMBERS)})\Z")),
    ("I", re.compile(r"(?<![\w\u0301.'’°/])[A-Za-zÄÖÜ]\u0301{0,2}\Z")),
    ("K", re.compile(r"(?<![\w\u0301])(?:[^\W\d_]\u0301{0,2}\.){1,5}[^\W\d_]\u0301{0,2}\Z")),
    ("O", re.compile(r"(?<![\w\u0301.,])\d{1,2}\Z")),
]


def prose_codes(text: str, abbreviations: tuple[str, ...], codes: list[str]) -> None:
    """The codes of the whole text, with what prose has beside."""
    for at, char in enumerate(text):
        before = text[:at]
        if char == ".":
            known = any(re.search(rf"(?<![\w\u0301]){re.escape(each)}\Z", before) for each in abbreviations)
            listed = known or LISTED.search(before)
            code, found = next(((code, found) for code, behind in KINDS_OF_STOPS if (found := behind.search(before))), ("A", None))
            begins = (
                found
                and code == "O"
                and not listed
                and found.start() in table_ends(text[: at + 1], [*codes[:at], "L"], PROSE_TABLE)
            )
            codes[at] = "-" if listed else "L" if begins else code
        elif char in "…。":
            codes[at] = "A" if char == "…" else "W"
        elif char in "?!":
            codes[at] = "Q" if before[-1:].isspace() else "T"
        elif char == "と":
            codes[at] = "j"
        elif char in "*😊":
            codes[at] = "m"
        elif char in "([「‘“":
            codes[at] = "p"
        elif char in "’”»":
            codes[at] = "f"
        elif codes[at] == "u" and (word := re.match(r"(?:[^\W\d_]|\u0301)+", text[at:])):
            initial = len(word[0]) == 1 and text[at + 1 : at + 2] == "."
            codes[at] = "v" if word[0] in STARTERS and not initial else "w" if word[0] in ORDINALS else "u"


@functools.lru_cache(None)
def sentence_ends(text: str, abbreviations: tuple[str, ...] = ()) -> frozenset[int]:
    """One position after the other, by the table."""
    codes = [SENTENCE_BREAK.get(char) or ("l" if char.islower() else "u") for char in text]
    if abbreviations:
        prose_codes(text, abbreviations, codes)
    return table_ends(text, codes, PROSE_TABLE if abbreviations else TABLE)


def table_ends(text: str, codes: Sequence[str], table: Sequence[tuple[re.Pattern[str], re.Pattern[str], bool]]) -> frozenset[int]:
    """The positions where the first row that fits says so."""
    kept: list[int] = []
    base = ""
    for at, code in enumerate(codes):  # SB5
        if code != "x" or base in {"", "R", "N", "S"}:
            kept.append(at)
            base = code
    reduced = "".join(codes[at] for at in kept)
    return frozenset(
        place
        for at, place in enumerate(kept)
        if at and next(verdict for before, after, verdict in table if before.fullmatch(reduced[:at]) and after.match(reduced[at:]))
    )


def line_ends(text: str) -> set[int]:
    return set(itertools.accumulate(map(len, io.StringIO(text, newline=""))))


def paragraph_ends(text: str) -> set[int]:
    return {found.end() for found in re.finditer(r"\n[ \t\r]*\n(?:[ \t\r]*\n)*", text)}


def word_ends(n: int, text: str) -> set[int]:
    return set(itertools.accumulate(map(len, re.findall(rf"\s*(?:\S+\s*){{1,{n}}}", text))))


def no_ends(_: str) -> set[int]:
    return set()


class Case(NamedTuple):
    """A way of dividing with its reference."""

    make: Callable[..., Segmentation]
    ends: Callable[[str], Iterable[int]]
    alphabet: str
    after: Sequence[str]
    """What may come: an end that is one before each of these is certain."""
    counted: bool = False
    """Whether the reference is applied to what follows the last end, and not to the whole text."""


KINDS = {
    "sentence": Case(
        lambda max_chars: by_sentence(max_chars=max_chars, abbreviations=()),
        sentence_ends,
        ".?!,aB1()\"' \u00a0\n\r\u2029\u0301\u200b。」中…éΩ’”...  aB\n",
        ("a", "B", "1", ".", " ", ")", "\n", ",", "\u0301", "#"),
    ),
    "abbreviations": Case(
        lambda max_chars: by_sentence(max_chars=max_chars, abbreviations=("Ba", "B.a", "1")),
        lambda text: sentence_ends(text, ("Ba", "B.a", "1")),
        "BBaaa..... 1?)\n\u0301",
        ("a", "B", "1", ".", " ", ")", "\n", ",", "\u0301", "#", "undesliga ", "n "),
    ),
    "prose": Case(
        lambda max_chars: by_sentence(max_chars=max_chars),
        lambda text: sentence_ends(text, ABBREVIATIONS),
        "...???!AQaapN111。…*😊»”([])  , - \n\r\u0301中と",
        ("a", "Q", "1", ".", " ", ")", "\n", ",", "\u0301", "#", "n ", "s ", "ugust ", "p", "uli "),
    ),
    "line": Case(lambda max_chars: by_line(max_chars=max_chars), line_ends, "a\r\n\r\n\v\u2028", ("a", "\n", "\r")),
    "paragraph": Case(
        lambda max_chars: by_paragraph(max_chars=max_chars), paragraph_ends, "a\n\n\n\r \t\v", ("a", "\n", " a", " \n")
    ),
    "words": Case(
        lambda max_chars: by_words(1, max_chars=max_chars),
        functools.partial(word_ends, 1),
        "ab  \n\u00a0\u200b\x1c",
        ("a", " a"),
        True,
    ),
    "three words": Case(
        lambda max_chars: by_words(3, max_chars=max_chars), functools.partial(word_ends, 3), "ab  \n\u3000", ("a", " a"), True
    ),
    "whole": Case(lambda max_chars: whole(max_chars=max_chars), no_ends, "a. \n", ("a",)),
    "chars": Case(by_chars, no_ends, "a. \n", ("a",)),
    "cumulative": Case(lambda max_chars: cumulative(by_line(max_chars=max_chars)), line_ends, "a\r\n", ("a", "\n", "\r")),
}


def certain(case: Case, text: str) -> set[int]:
    """The natural ends in this text that are ends whatever comes."""
    return {end for end in set.intersection(*(set(case.ends(text + more)) for more in case.after)) if end <= len(text)}


def expected(case: Case, text: str, max_chars: int) -> list[tuple[int, int]]:
    """The ends, each with the count of characters at which it is known: by going back to the whole text at every character."""
    found: list[tuple[int, int]] = []
    start = 0
    for seen in range(1, len(text) + 1):
        first = start if case.counted else 0
        for end in sorted(first + each for each in certain(case, text[first:seen])):
            if end > start:
                found.append((end, seen))
                start = end
        if seen - start == max_chars:
            start = seen
            found.append((start, seen))
    return found


def ways(text: str) -> list[list[str]]:
    """A text whole, one character at a time, and at random cuts."""
    rng = random.Random(len(text))
    return [[text], list(text), *(cut(text, *(rng.randrange(len(text) + 1) for _ in range(5))) for _ in range(3))]


def agrees(case: Case, text: str, max_chars: int) -> None:
    """At every cut the finder reports each end with the piece that makes it certain."""
    want = expected(case, text, max_chars)
    for pieces in ways(text):
        finder = case.make(max_chars).start()
        seen = 0
        for piece in pieces:
            before, seen = seen, seen + len(piece)
            assert finder.feed(piece) == [end for end, known in want if before < known <= seen], (text, pieces)
        start = want[-1][0] if want else 0
        assert finder.start == start
        assert finder.cut() == (seen if start < seen else None)


def texts(alphabet: str, count: int, most: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(alphabet, k=rng.randrange(1, most))) for _ in range(count)]


# ------------------------------------------------------------------ boundaries


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_are_those_of_the_whole_text_at_every_cut(kind: str) -> None:
    """Random texts of awkward characters: the ends, and when they are known, are the reference's."""
    case = KINDS[kind]
    for text in texts(case.alphabet, 150, 16):
        agrees(case, text, 1000)


@pytest.mark.parametrize("kind", KINDS)
def test_no_segment_is_larger_than_the_largest_size(kind: str) -> None:
    """And which are, is what one finds with the whole text in view at every character."""
    case = KINDS[kind]
    for text in texts(case.alphabet, 60, 16, seed=2):
        for max_chars in (1, 2, 3, 5, 8):
            agrees(case, text, max_chars)


@pytest.mark.parametrize(("alphabet", "length"), [(".?aB1 (\r\n\u0301", 4), ("a\n \r", 6)])
@pytest.mark.parametrize("kind", ["sentence", "line", "paragraph", "three words"])
def test_every_short_text_is_divided_as_its_reference(kind: str, alphabet: str, length: int) -> None:
    """All of them, and behind each of them something that settles what was open."""
    case = KINDS[kind]
    for chars in itertools.product(alphabet, repeat=length):
        text = "".join(chars) + "B"
        found = case.make(1000).start().feed(text)
        assert {end for end in case.ends(text) if end < len(text)} == set(found) - {len(text)}, text


@pytest.mark.parametrize(("alphabet", "depth"), [(".?aB1 (\n", 2), (".aB1 (", 3), (". B\u0301\r\n,", 2)])
def test_the_end_of_a_sentence_is_reported_as_soon_as_it_is_certain(alphabet: str, depth: int) -> None:
    """What every continuation agrees on is reported, and nothing else."""
    for length in (1, 2, 3):
        for chars in itertools.product(alphabet, repeat=length):
            text = "".join(chars)
            agreed = set.intersection(
                *(
                    set(sentence_ends(text + "".join(more)))
                    for n in range(1, depth + 1)
                    for more in itertools.product(alphabet, repeat=n)
                )
            )
            assert by_sentence(abbreviations=()).start().feed(text) == sorted(end for end in agreed if end <= length), text


SAMPLES = [
    # Of Unicode's SentenceBreakTest.txt, those in words.
    '("Go.") ÷(He did.)',
    "(“Go?”) ÷(He did.)",
    "U.S.A\u0300. is",
    "U.S.A\u0300? ÷He",
    "U.S.A\u0300.",
    "3.4",
    "c.d",
    "C.d",
    "c.D",
    "C.D",
    "etc.)’ ‘(the",
    "etc.)’ ÷‘(The",
    "the resp. leaders are",
    "字.÷字",
    "etc.÷它",
    "etc.。",
    "字。÷它",
    # And of what models say.
    "It costs $3.14. ÷Really? ÷Yes... ÷Or not! ÷no",
    "1. ÷One.\n÷2. ÷Two, e.g. a dot.\n÷- Three (v1.0.2)!\r\n÷\r\n÷So it goes",
    "是吗？÷是。「÷好。」÷对",
    "Use `a.b()` or www.example.com. ÷Then wait",
]
"""`÷` stands where a sentence ends."""


@pytest.mark.parametrize("sample", SAMPLES)
def test_sentences_are_those_of_unicode(sample: str) -> None:
    """At every cut."""
    *ends, _ = itertools.accumulate(map(len, sample.split("÷")))
    for pieces in ways(sample.replace("÷", "")):
        finder = by_sentence(abbreviations=()).start()
        assert [end for piece in pieces for end in finder.feed(piece)] == ends


@pytest.mark.parametrize(
    ("sample", "abbreviations"),
    [
        ("Ask Mr. Brown, Dr. Who and Prof. X. ÷See Fig. 4 (e.g. Mt. Everest) vs. K2. ÷Done", ABBREVIATIONS),
        ("MR. ÷Brown. ÷MMr. ÷Brown. ÷E\u0301Mr. ÷Brown. ÷Mr.\n÷Brown", ABBREVIATIONS),
        ("Mr. Brown.", ABBREVIATIONS),
        ("(Mr. Brown) -Mr. Brown _Mr. ÷Brown 1Mr. ÷Brown Mr.? ÷Brown Mr.. ÷Brown Mr! ÷Brown", ABBREVIATIONS),
        ("Am 3. Mai, z.B. Äpfel usw. ÷Mr. ÷Brown", ("3", "z.B")),
        ("So. ÷3. Mai b. 3. mai", ("3",)),
        ("New York. Hudson York. ÷So", ("New York",)),
        ("x" * 50 + " " + "y" * 32 + ". X x" + "y" * 32 + ". ÷X " + "y" * 31 + ". ÷X", ("y" * 32,)),
    ],
)
def test_the_full_stop_of_an_abbreviation_ends_no_sentence(sample: str, abbreviations: tuple[str, ...]) -> None:
    """A whole word, as it is written; but a line feed behind it does."""
    *ends, _ = itertools.accumulate(map(len, sample.split("÷")))
    for pieces in ways(sample.replace("÷", "")):
        finder = by_sentence(abbreviations=abbreviations).start()
        assert [end for piece in pieces for end in finder.feed(piece)] == ends


@pytest.mark.parametrize(
    "sample",
    [
        "1. First item. ÷2. Second item. ÷3. Third",
        "So it is! ÷2. Second? ÷(Yes!) ÷10. Tenth.\n÷Next",
        "One. ÷2. one more. ÷Two",
        "See No. 5. ÷The next was 3. ÷The last on 4. Mai. ÷5. Mai",
        "It grew to 1990. ÷2. It fell. ÷3.5 is more, 2.5 less. ÷Yes",
        "「元気ですか？」と聞いた。÷「はい。」って言った。÷「はい。」÷彼は",
        "本当？÷という。÷『好。』÷对",
    ],
)
def test_what_belongs_to_the_sentence_beside_it(sample: str) -> None:
    """A number with which a sentence begins, to that; a particle behind a quotation, to the sentence around it."""
    *ends, _ = itertools.accumulate(map(len, sample.split("÷")))
    for pieces in ways(sample.replace("÷", "")):
        finder = by_sentence().start()
        assert [end for piece in pieces for end in finder.feed(piece)] == ends


def test_the_letter_before_a_full_stop_is_seen_under_any_number_of_accents() -> None:
    """SB7 holds behind more accents than are remembered, at every cut; and so does its contrary."""
    for letter, ends in (("A", []), ("1", [43])):
        text = letter + "\u0301" * 41 + ".B"
        for pieces in ways(text):
            finder = by_sentence(abbreviations=()).start()
            assert [end for piece in pieces for end in finder.feed(piece)] == ends


# ------------------------------------------------------------------ cuts, and long texts


@pytest.mark.parametrize("kind", ["sentence", "abbreviations", "line", "paragraph", "whole"])
def test_a_cut_ends_a_segment_and_moves_no_natural_end(kind: str) -> None:
    """The ends are the cuts, and those natural ends that are behind the last cut when they become certain."""
    case = KINDS[kind]
    rng = random.Random(3)
    for text in texts(case.alphabet, 100, 16, seed=4):
        cuts = set(rng.choices(range(len(text) + 1), k=2))
        natural = expected(case, text, 1000)
        finder = case.make(1000).start()
        found: list[int | None] = [finder.cut()] if 0 in cuts else []
        want: list[int | None] = [None] * len(found)
        last = 0
        for seen, char in enumerate(text, 1):
            new = [end for end, known in natural if known == seen and end > last]
            assert finder.feed(char) == new
            last = new[-1] if new else last
            if seen in cuts:
                found.append(finder.cut())
                want.append(seen if last < seen else None)
                last = seen
                assert finder.start == seen
        assert found == want


def test_words_are_counted_from_the_beginning_of_a_segment() -> None:
    """Also of one that begins in a word or in blanks because the one before was cut there."""
    for n in (1, 2):
        for text in texts("ab  ", 60, 16, seed=5):
            for place in range(1, len(text)):
                finder = by_words(n).start()
                finder.feed(text[:place])
                finder.cut()
                rest = text[place:]
                want = [end for end, _ in expected(KINDS["words"]._replace(ends=functools.partial(word_ends, n)), rest, 1000)]
                assert finder.feed(rest) == [place + end for end in want], (text, place)


def test_characters_are_counted_from_the_last_cut() -> None:
    """A cut begins a segment of the full size."""
    finder = by_chars(4).start()
    assert (finder.feed("abcdef"), finder.cut(), finder.cut(), finder.feed("ghijk"), finder.feed("")) == ([4], 6, None, [10], [])


LONG = ["a", " ", ".", ". ", "a.", "a. (", "\n", "\r", " \n", "\u0301", "a.\u0301", "Mr. ", "a. B", "word ", "”", "!)  1"]


@pytest.mark.parametrize("unit", LONG)
@pytest.mark.parametrize("kind", ["sentence", "line", "paragraph", "words"])
def test_a_long_text_is_divided_alike_in_one_piece_and_in_many(kind: str, unit: str) -> None:
    """Nothing is looked at again with each piece, and the ends do not depend on their number."""
    text = unit * (10_000 // len(unit)) + "B"
    for max_chars in (777, 10_000_000):
        how = KINDS[kind].make(max_chars)
        one, many = how.start(), how.start()
        ends = one.feed(text)
        assert [end for at in range(0, len(text), 7) for end in many.feed(text[at : at + 7])] == ends
        assert ends == sorted(set(ends))
        assert max((end - start for start, end in itertools.pairwise([0, *ends])), default=0) <= max_chars
        assert one.cut() == many.cut() == len(text)


# ------------------------------------------------------------------ the declared value

CALLS = {
    "by_sentence()": by_sentence(),
    "by_sentence(max_chars=600)": by_sentence(max_chars=600),
    "by_sentence(max_wait=0.5, abbreviations=('Nr', 'z.B'))": by_sentence(max_wait=0.5, abbreviations=("Nr", "z.B")),
    "by_sentence(abbreviations=())": by_sentence(abbreviations=()),
    "by_paragraph()": by_paragraph(max_chars=4000),
    "by_line(max_chars=80, max_wait=2.0)": by_line(max_chars=80, max_wait=2),
    "by_words(5)": by_words(5),
    "by_words(500)": by_words(500, max_chars=16_000),
    "by_words(5, max_chars=100)": by_words(5, max_chars=100),
    "by_chars(200, max_wait=1.0)": by_chars(200, max_wait=1.0),
    "whole()": whole(),
    "cumulative(by_chars(200))": cumulative(200),
    "cumulative(by_sentence(max_chars=600, max_wait=1.0))": cumulative(by_sentence(max_chars=600, max_wait=1.0)),
    "cumulative(by_line(max_wait=1.0), max_wait=2.0)": cumulative(by_line(max_wait=1.0), max_wait=2.0),
}


@pytest.mark.parametrize(("call", "value"), CALLS.items())
def test_a_segmentation_is_a_value_that_shows_the_call_that_makes_it(call: str, value: Segmentation) -> None:
    """The repr makes an equal one; so does a pickle; equal ones have one hash, others are not equal."""
    assert repr(value) == call
    for same in (eval(call, dict(vars(segment))), pickle.loads(pickle.dumps(value))):
        assert same == value and hash(same) == hash(value) and repr(same) == call
    assert sum(value == other for other in CALLS.values()) == 1
    finder = value.start()
    assert isinstance(finder, Finder) and finder is not value.start()


def test_largest_sizes_are_known_from_the_value() -> None:
    """Who keeps the text of a segment sees how much it can be; so it does how long it may wait."""
    assert (by_chars(7).max_chars, cumulative(by_chars(7)).max_chars, by_words(2).max_chars, by_words(1000).max_chars) == (
        7,
        7,
        1000,
        32_000,
    )
    assert (cumulative(by_line(max_wait=3)).max_wait, cumulative(by_line(max_wait=3), max_wait=1).max_wait) == (3, 1)


def test_a_file_may_declare_one() -> None:
    """Tables of plain values are validated as the constructor's arguments are."""
    adapter: TypeAdapter[Segmentation] = TypeAdapter(Segmentation)
    assert adapter.validate_python({"by": "sentence", "max_chars": 600}) == by_sentence(max_chars=600)
    assert adapter.validate_python({"by": "sentence", "abbreviations": ["Nr"]}) == by_sentence(abbreviations=("Nr",))
    assert adapter.validate_python({"by": "cumulative", "every": {"by": "words", "size": 3}}) == cumulative(by_words(3))


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: by_words(0), "size: .*greater than or equal to 1"),
    (lambda: by_chars(0), "size: .*greater than or equal to 1"),
    (lambda: by_chars(True), "size: .*valid integer"),
    (lambda: by_chars("3"), "size: .*valid integer"),  # type: ignore[arg-type]
    (lambda: by_words(2.0), "size: .*valid integer"),  # type: ignore[arg-type]
    (lambda: by_sentence(max_chars=0), "max_chars: .*greater than or equal to 1"),
    (lambda: by_words(3, max_chars=0), "max_chars: .*greater than or equal to 1"),
    (lambda: whole(max_chars=None), "max_chars: .*valid integer"),  # type: ignore[arg-type]
    (lambda: by_line(max_wait=0), "max_wait: .*greater than 0"),
    (lambda: by_line(max_wait=-1), "max_wait: .*greater than 0"),
    (lambda: by_line(max_wait=math.nan), "max_wait: .*(finite|greater)"),
    (lambda: by_line(max_wait=math.inf), "max_wait: .*finite"),
    (lambda: by_line(max_wait="1"), "max_wait: .*valid number"),  # type: ignore[arg-type]
    (lambda: by_sentence(abbreviations="Mr"), "abbreviations: .*valid tuple"),  # type: ignore[arg-type]
    (lambda: by_sentence(abbreviations=("Mr.",)), "abbreviations: .*without the full stop"),
    (lambda: by_sentence(abbreviations=("",)), "abbreviations: each has 1 to 32 characters"),
    (lambda: by_sentence(abbreviations=("x" * 33,)), "abbreviations: each has 1 to 32 characters"),
    (lambda: cumulative(cumulative(200)), "every: .*give what stands inside it"),
    (lambda: cumulative("sentence"), "every: .*instance of Segmentation"),  # type: ignore[arg-type]
    (lambda: cumulative(0), "size: .*greater than or equal to 1"),
    (lambda: Segmentation("verse"), "by: .*'sentence', 'paragraph'"),  # type: ignore[arg-type]
    (lambda: Segmentation("words"), "size: 'words' needs one"),
    (lambda: Segmentation("line", size=3), "size: 'line' has none"),
    (lambda: Segmentation("cumulative"), "every: 'cumulative' needs one"),
    (lambda: Segmentation("line", every=by_line()), "every: 'line' has none"),
    (lambda: Segmentation("chars", size=3, max_chars=4), "max_chars: with 'chars' it is that of size"),
    (lambda: Segmentation("cumulative", every=by_line(), max_chars=4), "max_chars: with 'cumulative' it is that of every"),
    (lambda: Segmentation("line", abbreviations=("Mr",)), "abbreviations: 'line' has none"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_what_makes_no_sense_is_refused_when_it_is_built(build: Callable[[], object], message: str) -> None:
    """In one line that says what is needed."""
    with pytest.raises(ValueError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
