"""Recognisers of Presidio as rules: against its loop on stand-ins, and where it is installed, against itself."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pickle
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
import regex
from hypothesis import given, settings, strategies

import streamfilter as sf
from streamfilter import detectors
from streamfilter.detectors.presidio import FLAGS, THRESHOLD, Recognized
from streamfilter.detectors.taken import TakenRules
from streamfilter.testing import cut

BLOCK = "█"
COVER = sf.Mask(keep_last=0, char=BLOCK)


class Pattern(NamedTuple):
    name: str
    regex: str
    score: float


class Fake:
    """A recogniser without checks."""

    def __init__(self, entity: str, *patterns: tuple[str, float], flags: int | None = None) -> None:
        self._id = id(self)
        self.supported_entities = [entity]
        self.patterns = [Pattern(f"p{number}", *each) for number, each in enumerate(patterns, 1)]
        if flags is not None:
            self.global_regex_flags = flags


class Summed(Fake):
    """Yes if the digits add up to a multiple of ten, no for odd sums, else neither."""

    def validate_result(self, text: str) -> bool | None:
        total = sum(int(each) for each in text if each.isdecimal())
        return True if total % 10 == 0 else False if total % 2 else None


class Pruned(Fake):
    """No zeros at the beginning."""

    def invalidate_result(self, text: str) -> bool | None:
        return True if text.startswith("0") else None


class Both(Summed, Pruned):
    pass


class IbanRecognizer(Summed):
    """As the one of Presidio, which looks through a text in its own way."""

    def analyze(self, text: str, entities: Sequence[str]) -> Iterator[tuple[int, int, float]]:
        for pattern in self.patterns:
            for found in regex.finditer(pattern.regex, text, flags=flags_of(self)):
                for group in range(found.re.groups, 0, -1):
                    start, end = found.start(), found.end(group) if found.end(group) > 0 else found.end()
                    if (score := score_of(self, pattern, text[start:end])) > 0:
                        yield start, end, score
                        break


class Own(Fake):
    """One with a loop of its own."""

    def analyze(self, text: str, entities: Sequence[str]) -> list[object]:
        return []


def flags_of(recognizer: Fake) -> int:
    return getattr(recognizer, "global_regex_flags", regex.DOTALL | regex.MULTILINE | regex.IGNORECASE)


def score_of(recognizer: Fake, pattern: Pattern, text: str) -> float:
    """As in `presidio_analyzer/pattern_recognizer.py`."""
    valid = recognizer.validate_result(text) if isinstance(recognizer, Summed) else None
    score = pattern.score if valid is None else float(valid)
    return 0 if isinstance(recognizer, Pruned) and recognizer.invalidate_result(text) else score


def reported(recognizer: Fake, text: str, threshold: float) -> list[tuple[int, int]]:
    """The spans that the loop of Presidio reports."""
    if isinstance(recognizer, IbanRecognizer):
        return [(start, end) for start, end, score in recognizer.analyze(text, []) if score >= threshold]
    return [
        found.span()
        for pattern in recognizer.patterns
        for found in regex.finditer(pattern.regex, text, flags=flags_of(recognizer))
        if found.group() and (score := score_of(recognizer, pattern, found.group())) > 0 and score >= threshold
    ]


def covered(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text with what lies in spans blacked out: so results that overlap are one, as they are for who redacts them."""
    chars = list(text)
    for start, end in spans:
        chars[start:end] = BLOCK * (end - start)
    return "".join(chars)


def same_in_pieces(stage: sf.Redact, text: str) -> str:
    """What a stage makes of a text, the same by characters and at every cut."""
    want = stage.apply(text)
    assert "".join(stage.iter(list(text))) == want
    assert all("".join(stage.iter(cut(text, place))) == want for place in range(1, len(text)))
    return want


def names(rules: Iterable[sf.Rule]) -> list[str]:
    return [rule.name for rule in rules]


ZIP = Fake("ZIP", (r"\b\d{5}\b", 0.5), (r"\b\d{5}-\d{4}\b", 0.5))
CASES: list[tuple[Fake, float, list[str]]] = [
    (ZIP, 0.4, ["see 12345-6789", "12345-678", "12345 67890-1234", "123456", ""]),
    (Fake("RANGE", (r"\d{3}", 0.5), (r"\d{2}[\d-]{0,5}", 0.5)), 0.4, ["123-4 12-3", "1 1234567890"]),
    (Fake("WORD", ("secret", 0.4)), 0.4, ["a SECRET here", "secretsecret", "Secre t"]),
    (Fake("WORD", ("secret", 0.4), flags=0), 0.4, ["a SECRET here", "secret"]),
    (Fake("LINE", ("^a.b$", 0.9)), 0.4, ["x\nA\nB\ny", "xa\nb"]),
    (Fake("TITLE", (r"(?:^|(?<=\W))(Mr\.|Mrs\.)(?:(?=\W)|$)", 1.0)), 0.4, ["Mr. and mrs. X", "Amr. Mr.x"]),  # a deny list
    (Fake("STAR", ("a*", 0.5)), 0.4, ["baab", "b"]),
    (Fake("WEAK", (r"\b\d{3}\b", 0.3), (r"\b\d-\d{3}\b", 0.5)), 0.4, ["123 1-234", "987"]),
    (Fake("WEAK", (r"\b\d{3}\b", 0.3), (r"\b\d-\d{3}\b", 0.5)), 0.3, ["123 1-234", "987"]),
    (Fake("NOTHING", (r"\b\d{3}\b", 0.0), ("x", 0.1)), 0.0, ["123 x"]),
    (Summed("SUM", (r"\b\d{3}\b", 0.1)), 0.4, ["091 111 112 118", "000"]),
    (Summed("SUM", (r"\b\d{3}\b", 0.5)), 0.4, ["091 111 112 118", "000"]),
    (Summed("SUM", (r"\b\d{3}\b", 0.1), (r"\b\d\.\d{2}\b", 0.5)), 0.4, ["091 112 1.12 1.11 1.18"]),
    (Pruned("PRUNED", (r"\b\d{3}\b", 0.5)), 0.4, ["091 111"]),
    (Both("BOTH", (r"\b\d{3}\b", 0.1), (r"\b\d{4}\b", 0.5)), 0.4, ["091 118 0118 1180 1111 2222 1234"]),
    (Fake("TWICE", (r"(\d)\1{2}", 0.5), (r"([ab])x\1", 0.6), (r"(c)|d", 0.5)), 0.4, ["111 122 axa axb c d"]),
    (Fake("CASE", (r"(?a)\w{2}é", 0.5), ("x{2}", 0.5), (r"a (?#()", 0.5), ("[#] y", 0.5)), 0.4, ["abé ab Xx ééé", "a # y"]),
    (Fake("PARTS", ("(?i)ab", 0.5), ("(?x) c d # cd", 0.5), ("(?s)e.", 0.5), ("fg", 0.5), ("h.", 0.5), flags=0), 0.4, ["AB cd c d # cd e\n FG fg h\nhh"]),
    (Fake("VERBOSE", ("ab # two", 0.5), ("c d", 0.5), flags=int(regex.VERBOSE)), 0.4, ["ab # two cd c d"]),
    (IbanRecognizer("IBAN", (r"\b([A-Z]\d{4})((?: \d{2})?)((?: \d)?)\b", 0.5), flags=0), 0.4, ["A1234 55 2", "A1234 11 1", "A1234 12", "A1233 12 3", "A1234 1 A1231", "a1234"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("recognizer", "threshold", "texts"), CASES, ids=[f"{each[0].supported_entities[0]}-{each[1]}" for each in CASES]
)
def test_what_is_found_is_what_the_loop_of_presidio_reports(recognizer: Fake, threshold: float, texts: list[str]) -> None:
    """Scores, both checks, flags, empty matches, patterns that overlap or count their groups; whole and at every cut."""
    rules = detectors.from_presidio(recognizer, threshold=threshold)
    assert rules
    for text in texts:
        assert same_in_pieces(sf.Redact(*rules, to=COVER), text) == covered(text, reported(recognizer, text, threshold)), text
        same_in_pieces(sf.Redact(*rules), text)
        assert "<>" not in sf.Redact(*rules, to=lambda found: f"<{found.group()}>").apply(text)


@pytest.mark.parametrize(
    ("recognizers", "want"),
    [
        ([ZIP], ["zip"]),
        ([ZIP, Fake("A", ("a", 0.5)), ZIP], ["zip", "a"]),
        ([Fake("A", ("a", 0.5)), Fake("A", ("a", 0.5))], ["a"]),
        ([Summed("A", ("a", 0.5)), Summed("A", ("a", 0.5))], ["a"]),
        ([Summed("A", ("a", 0.5)), Both("A", ("a", 0.5)), Summed("A", ("b", 0.5))], ["a", "a_2", "a_3"]),
        ([Fake("A", ("a", 0.5)), Fake("A", ("a", 0.5), flags=0)], ["a", "a_2"]),
        ([Summed("A", ("a", 0.5), ("b", 0.1))], ["a", "a_2"]),
        ([Fake("A", ("a", 0.5), (r"(b)\1", 0.5), ("c", 0.5), ("(?a)d", 0.5), ("(?i)e", 0.5))], ["a", "a_2", "a_3"]),
        ([Fake("A", ("a", 0.1))], []),
        ([], []),
    ],
)  # fmt: skip
def test_names_are_distinct(recognizers: list[Fake], want: list[str]) -> None:
    """One rule for a recogniser where that is possible; else they are numbered, and what is the same is there once."""
    rules = detectors.from_presidio(*recognizers)
    assert names(rules) == want
    if rules:
        sf.Redact(*rules)


def test_what_cannot_be_taken_over_is_listed() -> None:
    """By entity and pattern or method, with the reason; what is left holds."""
    rules = detectors.from_presidio(
        Own("OWN", ("a", 0.5), ("(?<=l *)b", 0.5), ("c", 0.01)), Summed("SUM", ("d", 0.01), (r"e\Kf", 0.01)), threshold=0.3
    )
    assert list(map(str, rules.left_out)) == [
        "own: analyze: it is not Presidio's, and is not asked: only patterns and checks are",
        "own: pattern 'p2': pattern cannot be streamed exactly: (?<= at position 0: how far this lookbehind looks back has no bound",
        "own: pattern 'p3': its score is 0.01, below 0.3, and without context words nothing raises it",
        r"sum: pattern 'p2': pattern cannot be streamed exactly: \K at position 1: it gives back decided text; use a lookbehind",
    ]
    assert names(rules) == ["own", "sum"]


class SpacyRecognizer:
    supported_entities = ("PERSON", "LOCATION")


class Empty(Fake):
    pass


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SpacyRecognizer(), "SpacyRecognizer has no patterns: it needs a window of text, so it belongs in the check of a moderation stage"),
        (Empty("NONE"), "Empty has no patterns: it needs a window of text, so it belongs in the check of a moderation stage"),
        (Fake, "it is the class Fake: write Fake(...)"),
        ([ZIP], "a recogniser with a supported entity is needed, not list"),
        ("US_SSN", "a recogniser with a supported entity is needed, not str"),
    ],
)  # fmt: skip
def test_what_is_no_recogniser_by_patterns_is_refused(given: Any, message: str) -> None:
    """With its class, and where it belongs."""
    with pytest.raises(ValueError) as refused:
        detectors.from_presidio(given)
    assert str(refused.value) == message


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_score_is_refused(threshold: float) -> None:
    """Nothing could be below it, or everything is."""
    with pytest.raises(ValueError, match=f"threshold: {threshold} is no score: one from 0 to 1 is needed"):
        detectors.from_presidio(ZIP, threshold=threshold)


class Nested(Summed):
    """Has another within it."""

    def __init__(self, inner: Fake) -> None:
        super().__init__("NESTED", ("1", 0.5))
        self.inner = inner


class OneEntity:
    """Told by `supported_entity`, with slots."""

    __slots__ = ("patterns", "supported_entity")

    def __init__(self) -> None:
        self.supported_entity = "One"
        self.patterns = (Pattern("p", "1?", 0.5),)


def test_rules_are_values() -> None:
    """They compare by what their recognisers are made of, show no address, and can be pickled; rules without checks have none."""
    rules = detectors.from_presidio(ZIP, Both("SUM", ("1", 0.1), ("2", 0.5)))
    assert isinstance(rules, TakenRules)
    assert rules == detectors.from_presidio(ZIP, Both("SUM", ("1", 0.1), ("2", 0.5)))
    assert rules != detectors.from_presidio(ZIP, Both("SUM", ("1", 0.1), ("2", 0.6)))
    again = pickle.loads(pickle.dumps(rules))
    assert again == rules
    assert hash(again[1]) == hash(rules[1])
    assert pickle.loads(pickle.dumps(sf.Redact(*rules))) == sf.Redact(*rules)
    assert repr(rules[0]) == r"Rule('zip', '(?:\\b\\d{5}-\\d{4}\\b)|(?:\\b\\d{5}\\b)', flags=26)"
    assert repr(rules[1].check) == "Recognized(Both(...))"
    assert repr(rules[2].check) == "Recognized(Both(...), must_validate=True)"
    assert rules[0].check is None
    assert rules[1].check != rules[2].check
    assert Recognized(ZIP) != object()
    nested = detectors.from_presidio(Nested(Fake("A", ("a", 0.5))))
    assert nested == detectors.from_presidio(Nested(Fake("A", ("a", 0.5)))) != detectors.from_presidio(Nested(ZIP))
    one = OneEntity()
    assert detectors.from_presidio(one) == detectors.from_presidio(one) != detectors.from_presidio(OneEntity())
    assert repr(detectors.from_presidio(one)[0]) == "Rule('one', '1?', check=Recognized(OneEntity(...)), flags=26)"


# ------------------------------------------------------------------ Presidio itself

needs_presidio = pytest.mark.skipif(
    importlib.util.find_spec("presidio_analyzer") is None,
    reason="presidio-analyzer is not installed: the extra presidio is no part of dev, for it brings spaCy",
)

REAL: dict[str, list[str]] = {
    "AbaRoutingRecognizer": ["121042882", "1210-4288-2", "421042111"],
    "AuAbnRecognizer": ["51 824 753 556", "51824753556", "52824753556"],
    "AuTfnRecognizer": ["876 543 210", "876543210", "123456789"],
    "CaSinRecognizer": ["130-692-544", "130 692-544", "130692544"],
    "CreditCardRecognizer": ["4012888888881881", "4111 1111 1111 1111", "5555-5555-5555-4444", "4012888888881882", "122000000000003"],
    "CryptoRecognizer": ["16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1Boy2"],
    "DateRecognizer": ["2024-11-02", "11/02/2024", "02.11.24", "5-MAY-2024", "2024-11-02T10:20:30Z", "11/24"],
    "DeTaxIdRecognizer": ["86095742719", "86095742718"],
    "EmailRecognizer": ["joe@example.com", "j.d+x@mail.example.co.uk", "joe@example.nosuchtld", "joe@x"],
    "EsNifRecognizer": ["55555555K", "55555555-K", "401-023-2138"],
    "FiPersonalIdentityCodeRecognizer": ["010594Y9032", "010594Y9021"],
    "IbanRecognizer": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000 2 days", "DE89370400440532013000 TO BE", "IL150120690000003111111", "gb82west12345698765432", "DE89370400440532013001"],
    "InAadhaarRecognizer": ["312345678909", "3123-4567-8909", "399876543211"],
    "InPanRecognizer": ["ABCPD1234Z", "AAASA1111R", "ABCD1234"],
    "IpRecognizer": ["192.168.0.1", "10.0.0.0/8", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "::1", "01.2.3.4", "1.2.3.4.5", "::"],
    "ItFiscalCodeRecognizer": ["AAAAAA00B11C333Y", "AAAAAA00B11C333N"],
    "MacAddressRecognizer": ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e", "001A.2B3C.4D5E", "ff:ff:ff:ff:ff:ff", "00:1A-2B:3C:4D:5E"],
    "MedicalLicenseRecognizer": ["BB1388568", "FK6428116", "BB1388569"],
    "NhsRecognizer": ["401-023-2137", "221 395 1837", "0032698674", "401-023-2138"],
    "PlPeselRecognizer": ["44051401458", "44051401459"],
    "SgFinRecognizer": ["G1122144L", "S1234567D"],
    "ThTninRecognizer": ["1234567890121", "1234567890122"],
    "UkNinoRecognizer": ["AA 12 34 56 B", "hh 01 02 03 d", "QQ123456C"],
    "UrlRecognizer": ["https://www.example.com/a?b=c", "example.com", "'https://example.org/x'"],
    "UsItinRecognizer": ["911-70-1234", "911701234", "91170-1234"],
    "UsMbiRecognizer": ["1EG4-TE5-MK73", "1EG4TE5MK73"],
    "UsNpiRecognizer": ["1234567893", "1245319599", "1245-319-599", "1234567890"],
    "UsSsnRecognizer": ["457-55-5462", "457 55 5462", "457.55-5462", "000-55-5462", "457555462", "078-05-1120"],
    "UuidRecognizer": ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "00000000-0000-0000-0000-000000000000"],
}  # fmt: skip
"""By recogniser: what it reports first, then what it may leave."""

EXAMPLES = [example for each in REAL.values() for example in each]
TEXTS = [
    *EXAMPLES,
    "",
    "It was: " + ", ".join(EXAMPLES[:20]) + ".",
    *(f"no. {one} or\n({two})" for one, two in zip(EXAMPLES, EXAMPLES[7:], strict=False)),
]


@pytest.fixture(scope="module")
def presidio() -> Iterator[Any]:
    """Its predefined recognisers, without looking for names of domains on the net."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        tldextract = pytest.importorskip("tldextract")
        patch.setattr(tldextract, "extract", tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None))
        yield pytest.importorskip("presidio_analyzer").predefined_recognizers


def analyzed(recognizer: Any, text: str, threshold: float) -> list[tuple[int, int]]:
    found = recognizer.analyze(text, recognizer.supported_entities, nlp_artifacts=None)
    return [(each.start, each.end) for each in found if each.score >= threshold]


@needs_presidio
@pytest.mark.parametrize("threshold", [THRESHOLD, 0.01])
@pytest.mark.parametrize("name", REAL)
def test_what_is_found_is_what_presidio_reports(presidio: Any, name: str, threshold: float) -> None:
    """The characters that lie in a result at or above the threshold are those that lie in a match, in all examples of all."""
    recognizer = getattr(presidio, name)()
    rules = detectors.from_presidio(recognizer, threshold=threshold)
    stage = sf.Redact(*rules, to=COVER)
    assert same_in_pieces(stage, REAL[name][0]) == BLOCK * len(REAL[name][0])
    for text in TEXTS:
        assert stage.apply(text) == covered(text, analyzed(recognizer, text, threshold)), text
    for text in [*REAL[name], TEXTS[-1]]:
        same_in_pieces(stage, text)
        same_in_pieces(sf.Redact(*rules), text)


@needs_presidio
@pytest.mark.parametrize("name", REAL)
def test_nothing_that_presidio_reports_is_missed(presidio: Any, name: str) -> None:
    """In rows of examples with other characters among them, every result lies in matches or begins or ends in one."""
    recognizer = getattr(presidio, name)()
    stage = sf.Redact(*detectors.from_presidio(recognizer), to=COVER)
    piece = strategies.sampled_from(REAL[name]) | strategies.text(" -./:0159aAxX@\n", max_size=4)

    @settings(max_examples=100, deadline=None, database=None)
    @given(strategies.lists(piece, min_size=1, max_size=6))
    def check(pieces: list[str]) -> None:
        text = "".join(pieces)
        got = stage.apply(text)
        assert all(BLOCK in got[start:end] for start, end in analyzed(recognizer, text, THRESHOLD))
        assert "".join(stage.iter(pieces)) == got

    check()


@needs_presidio
def test_all_recognisers_by_patterns_are_taken(presidio: Any) -> None:
    """Each is a value, what is left out is too weak or looks back without a bound, and the others are refused."""
    left_out: list[str] = []
    base = importlib.import_module("presidio_analyzer").PatternRecognizer
    kinds: list[tuple[str, Any]] = inspect.getmembers(presidio, lambda kind: inspect.isclass(kind) and not inspect.isabstract(kind))
    for name, kind in kinds:
        if not issubclass(kind, base):
            bare: Any = object.__new__(kind)  # to build it would take its model
            bare.supported_entities = ["X"]
            with pytest.raises(ValueError, match=f"^{name} has no patterns: it needs a window of text"):
                detectors.from_presidio(bare)
            continue
        rules = detectors.from_presidio(kind())
        assert pickle.loads(pickle.dumps(rules)) == rules == detectors.from_presidio(kind())
        left_out += [each.reason for each in rules.left_out]
    assert {regex.sub(r"0\.\d+", "#", each) for each in left_out} == {
        "its score is #, below #, and without context words nothing raises it",
        "pattern cannot be streamed exactly: (?<= at position 0: how far this lookbehind looks back has no bound",
    }
    assert getattr(base("X", deny_list=["a"]), "global_regex_flags") == FLAGS  # noqa: B009  # it has no types here
    deny_list = detectors.from_presidio(base("TITLE", deny_list=["Mr.", "Mrs."]))
    assert sf.Redact(*deny_list).apply("Mr. and MRS. Amrs.") == "[title] and [title] Amrs."
    assert repr(detectors.from_presidio(presidio.MacAddressRecognizer())[0].check) == "Recognized(MacAddressRecognizer(...))"
    assert Recognized(presidio.NhsRecognizer()) != Recognized(presidio.NhsRecognizer(replacement_pairs=[(" ", "")]))
