"""Terms mean the longest word at the leftmost place, in the folded text, on the character boundaries of the original."""

from __future__ import annotations

import pickle
import random
import unicodedata
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter.matching import AnyRule, Rule, find_all, replace_all
from streamfilter.testing import cut
from streamfilter.testing.strategies import chunkings


def ways(text: str) -> list[list[str]]:
    rng = random.Random(len(text))
    return [[text], list(text) or [text], *(cut(text, *(rng.randrange(len(text) + 1) for _ in range(3))) for _ in range(3))]


def out(terms: sf.Terms, text: str) -> str:
    """The redacted text, the same at every cut."""
    results = {"".join(sf.Redact(terms, to="#").iter(pieces)) for pieces in ways(text)}
    assert len(results) == 1
    return results.pop()


CASES: list[tuple[sf.Terms, str, str]] = [
    # leftmost, then longest
    (sf.Terms(["late", "latency"]), "latency late lately", "# # lately"),
    (sf.Terms(["new york", "york", "new york city"]), "New York City, new york, YORK, new  york", "#, #, #, new  #"),
    (sf.Terms(["ab", "abc", "cd"], whole_words=False), "abcd abd", "#d #d"),
    (sf.Terms(["a", "abcd"], whole_words=False), "abcx abcd", "#bcx #"),
    # whole words
    (sf.Terms(["cat"]), "cat concat cats cat_1 (cat) cat-flap", "# concat cats cat_1 (#) #-flap"),
    (sf.Terms(["c++", "@acme", ".net"]), "c++ c++x mail@acme @acme @acmes asp.net .net", "# #x mail# # @acmes asp# #"),
    (sf.Terms(["naïve"]), "naïve naïvety NAÏVE", "# naïvety #"),
    # case: full folding, where lengths differ
    (sf.Terms(["straße"]), "STRASSE straße Straße STRAẞE strasse strase", "# # # # # strase"),
    (sf.Terms(["STRASSE"]), "straße strasse", "# #"),
    (sf.Terms(["ﬁsh"]), "FISH ﬁsh fish", "# # #"),
    (sf.Terms(["stras"], whole_words=False), "straße stras", "straße #"),  # ß is not cut
    (sf.Terms(["as"], whole_words=False), "aß as", "aß #"),
    (sf.Terms(["ss"], whole_words=False), "ß sß sss", "# s# #s"),
    (sf.Terms(["kelvin", "σας"]), "\u212aELVIN ΣΑΣ σας", "# # #"),
    (sf.Terms(["Cat"], ignore_case=False), "Cat cat CAT", "# cat CAT"),
    # fold="nfkc"
    (sf.Terms(["secret"], fold="nfkc"), "ｓｅｃｒｅｔ 𝐬𝐞𝐜𝐫𝐞𝐭 s\u200be\u200dcret \u200bsecret\u200b.", "# # # \u200b#\u200b."),
    (sf.Terms(["secret"], fold="nfkc"), "secrets secret\u200bs x\u200bsecret", "secrets secret\u200bs x\u200bsecret"),
    (sf.Terms(["café"], fold="nfkc"), "café cafe\u0301 CAFE\u0301 cafe", "# # # cafe"),
    (sf.Terms(["cafe"], fold="nfkc", whole_words=False), "café cafe\u0301 cafes", "café cafe\u0301 #s"),
    (sf.Terms(["fine"], fold="nfkc"), "ﬁne ﬁ\u00adne ℱine", "# # #"),
    (sf.Terms(["½ cup"], fold="nfkc"), "1\u20442 cup, ½ CUP", "#, #"),
    (sf.Terms(["Secret"], fold="nfkc", ignore_case=False), "Ｓecret secret", "# secret"),
    (sf.Terms(["각"], fold="nfkc"), "각 \u1100\u1161\u11a8 가", "# # 가"),
    (sf.Terms(["iv"], fold="nfkc"), "Ⅳ iv Ⅴ", "# # Ⅴ"),
]


@pytest.mark.parametrize(("terms", "text", "want"), CASES)
def test_terms_are_found(terms: sf.Terms, text: str, want: str) -> None:
    """In any case and form, at every cut; and so says the reference."""
    assert out(terms, text) == want
    assert replace_all([terms], text, lambda _: "#") == want


LETTERS = "aabß sSﬁfiéE\u0301\u200b.ı"


@given(st.lists(st.text("aabßsfie\u0301 .", min_size=1, max_size=5), min_size=1, max_size=5), st.data())
def test_terms_mean_what_the_reference_says(words: list[str], data: st.DataObject) -> None:
    """For random words, texts, options and cuts, beside other rules."""
    terms = sf.Terms(
        words,
        ignore_case=data.draw(st.booleans()),
        whole_words=data.draw(st.booleans()),
        fold=data.draw(st.sampled_from([None, "nfkc"])),
    )
    text = data.draw(st.text(LETTERS, max_size=14))
    others: list[sf.Rule] = data.draw(st.sampled_from([[], [Rule("as", "a+")], [Rule("twice", r"(s)\1")]]))
    every: list[AnyRule] = [terms, *others]
    rules = data.draw(st.permutations(every))
    pieces = data.draw(chunkings(text)) if text else [text]
    with sf.Redact(*rules, to="<{rule}>").iter(pieces) as stream:
        got = "".join(stream)
    assert got == replace_all(rules, text, lambda match: f"<{match.rule.name}>")
    assert [(each.start, each.end) for each in stream.report.findings] == [match.span() for match in find_all(rules, text)]


@given(st.lists(st.text("ab- ", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=4), st.text("abAB- ", max_size=20))
def test_without_folding_terms_are_an_alternation_of_the_longest_first(words: list[str], text: str) -> None:
    """An independent reference: `regex`, with words by their length."""
    ordered = "|".join(map(regex.escape, sorted(set(words), key=len, reverse=True)))
    assert out(sf.Terms(words, whole_words=False), text) == regex.sub(ordered, "#", text, flags=regex.IGNORECASE)
    assert out(sf.Terms(words, whole_words=False, ignore_case=False), text) == regex.sub(ordered, "#", text)


@given(st.text("cafeé\u0301 ｃ\u00adƒﬁ", max_size=12))
def test_a_compatible_match_is_found_in_the_normalized_text_too(text: str) -> None:
    """As many matches in a text as in its normal form."""
    terms = sf.Terms(["café", "fa"], fold="nfkc")
    normal = unicodedata.normalize("NFKC", text).replace("\u00ad", "")
    assert len(list(find_all([terms], text))) == len(list(find_all([terms], normal)))


def test_what_is_replaced_is_the_span_of_the_original() -> None:
    """Offsets in the report, and the match that a function is given, are those of the text as it came."""
    seen: list[tuple[str, tuple[int, int]]] = []

    def to(match: sf.Match) -> str:
        seen.append((match.group(), match.span()))
        return "#"

    text = "x s\u200becret\u200b ß"
    for pieces in ways(text):
        seen.clear()
        assert "".join(sf.Redact(sf.Terms(["secret", "ss"], fold="nfkc"), to=to).iter(pieces)) == "x #\u200b #"
        assert seen == [("s\u200becret", (2, 9)), ("ß", (11, 12))]


def test_ten_thousand_terms_in_one_stage() -> None:
    """Each is found, and nothing else."""
    rng = random.Random(5)
    words = ["".join(rng.choice("abcdefghij") for _ in range(rng.randint(5, 9))) for _ in range(10_000)]
    stage = sf.Redact(sf.Terms(words), to="#")
    chosen = rng.sample(words, 200)
    assert stage.apply(" ".join(f"{word} k{word}" for word in chosen)) == " ".join(f"# k{word}" for word in chosen)


def test_terms_stop_and_block_and_replace() -> None:
    """They are rules wherever rules are taken."""
    canary = sf.Terms(["c4n4ry"], name="canary")
    with pytest.raises(sf.Blocked, match="rule canary matched at character 8"):
        list(sf.Block(canary).iter(["this is C4", "N4RY"]))
    assert sf.Replace(sf.Terms(["colour", "color"]), "shade").apply("Colour, colours") == "shade, colours"


def test_terms_come_from_a_file(tmp_path: Path) -> None:
    """One on each line, in UTF-8, with or without a mark at the beginning; what is wrong is said with the line."""
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffgrün\r\n\n  new york \n".encode())
    assert sf.Terms.from_file(path, name="places") == sf.Terms(["grün", "new york"], name="places")
    path.write_bytes(b"ok\n\xff\xfe\n")
    with pytest.raises(ValueError, match=r"words\.txt, line 2: byte 0xff is not UTF-8"):
        sf.Terms.from_file(path)
    path.write_bytes(b" \n\n")
    with pytest.raises(ValueError, match=r"words\.txt has no words"):
        sf.Terms.from_file(path)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ([], {}, "Terms: words: .*at least 1"),
        (["a", ""], {}, r"Terms: words\.1: .*at least 1"),
        (["a", "\u200b"], {"fold": "nfkc"}, r"Terms: words\.1: nothing is left of it"),
        (["a"], {"fold": "nfc"}, "Terms: fold: .*'nfkc'"),
        (["a"], {"name": ""}, "Terms: name"),
        ("abc", {}, r"Terms: words: .*: write Terms\(\['\.\.\.'\]\)"),
        (["a" * 5_000_001], {}, "more than 5,000,000 letters"),
    ],
)
def test_bad_terms_are_refused_when_they_are_built(words: list[str], options: dict[str, str], message: str) -> None:
    """In one line, and before any text comes."""
    with pytest.raises(ValueError, match=message) as caught:
        sf.Terms(words, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_terms_are_values() -> None:
    """Equal, hashable, picklable, with a repr one could write."""
    terms = sf.Terms(["a", "b"], name="x", fold="nfkc")
    assert terms == sf.Terms(("a", "b"), name="x", fold="nfkc")
    assert hash(terms) == hash(sf.Terms(["a", "b"], name="x", fold="nfkc"))
    assert pickle.loads(pickle.dumps(sf.Redact(terms))) == sf.Redact(terms)
    assert repr(terms) == "Terms(('a', 'b'), name='x', fold='nfkc')"
