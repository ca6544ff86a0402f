"""Rules and terms, fact by fact, quickly: what mutants of them showed that nothing else had stated in a second."""

from __future__ import annotations

import re

import pytest
import regex

import streamfilter as sf
from streamfilter.matching import Rule, Terms, terms
from streamfilter.matching.rules import as_rule
from streamfilter.testing import ways

# ------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("pattern", "flags", "kept"),
    [
        ("a", 0, 0),
        ("a", regex.IGNORECASE, regex.IGNORECASE),
        ("a b", regex.VERBOSE | regex.ASCII, regex.VERBOSE | regex.ASCII),
        ("a", regex.VERSION1, regex.VERSION1),
        ("^.", regex.MULTILINE | regex.DOTALL, regex.MULTILINE | regex.DOTALL),
    ],
)
def test_a_compiled_pattern_is_a_rule_of_the_same_source_and_flags(pattern: str, flags: int, kept: int) -> None:
    """Without those that `regex` adds of itself; named "redacted"."""
    assert as_rule(regex.compile(pattern, flags)) == Rule("redacted", pattern, flags=kept)
    assert as_rule(pattern) == Rule("redacted", pattern)
    if not flags & regex.VERSION1:
        assert as_rule(re.compile(pattern, sum(each for each, same in SAME.items() if flags & same))) == Rule(
            "redacted", pattern, flags=kept
        )


SAME = {
    re.ASCII: regex.ASCII, re.IGNORECASE: regex.IGNORECASE, re.MULTILINE: regex.MULTILINE, re.DOTALL: regex.DOTALL, re.VERBOSE: regex.VERBOSE,
}  # fmt: skip


def test_what_is_no_rule_is_refused() -> None:
    """And said why."""
    for given, said in (
        (re.compile(b"a"), "^the pattern is for bytes: a pattern for str is needed$"),
        (regex.compile(b"a"), "^the pattern is for bytes: a pattern for str is needed$"),
        (1, "^a Rule or a pattern is needed, not int$"),
    ):
        with pytest.raises(ValueError, match=said):
            as_rule(given)


@pytest.mark.parametrize("pattern", ["(?x) (a)?? # c", "(?x)(a)?|b#", "(?ax)(\\w)?? # é", "(?V1)(a)??|[ab--b]", "(?a)(\\w)??|b"])
def test_groups_of_what_may_not_be_empty_are_those_of_the_whole_text(pattern: str) -> None:
    """Behind an empty match; whatever the pattern's own syntax."""
    for text in ("ab", "éa b", "baab"):
        for pieces in ways(text):
            assert "".join(sf.Replace(pattern, r"<\1>").iter(pieces)) == regex.sub(pattern, r"<\1>", text)


# ------------------------------------------------------------------ terms


def test_terms_are_shown_by_their_first_words() -> None:
    """Eight of them, with how many more there are."""
    words = [f"w{number}" for number in range(9)]
    assert repr(Terms(words[:8])).startswith("Terms(('w0', 'w1', 'w2',")
    assert repr(Terms(words, name="n")) == "<Terms 'n': 'w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7' and 1 more>"


def test_terms_may_have_so_many_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """All words together, and one more is refused."""
    monkeypatch.setattr(terms, "MAX_LETTERS", 6)
    assert Terms(["abc", "def"]).words == ("abc", "def")
    with pytest.raises(ValueError, match="words have more than 6 letters together: give them to several stages"):
        Terms(["abc", "def", "g"])


def test_a_match_of_terms_has_a_place_and_no_groups() -> None:
    """As a match of a pattern without groups."""
    seen: list[object] = []

    def to(match: sf.Match) -> str:
        seen.append((match.span(), match.groups(), match.expand(r"\g<0>")))
        return "#"

    for pieces in ways("x ab Abc"):
        seen.clear()
        stage = sf.Redact(Terms(["ab", "abc"]), to=to)
        assert "".join(stage.iter(pieces)) == "x # #"
        assert seen == [((2, 4), (), "ab"), ((5, 8), (), "Abc")]


def test_a_match_asks_regex_for_its_groups_only() -> None:
    """Once, and not for its text and place, which are known; a group that took no part is nowhere."""
    asked: list[int] = []

    class Counted:
        name, check = "counted", None
        rule = Rule("r", "(a)(b)?")

        def match_at(self, text: str, start: int, *, advance: bool = False) -> None:
            raise AssertionError

        def match_groups(self, text: str, start: int, advance: bool) -> regex.Match[str] | None:
            asked.append(start)
            return self.rule.match_groups(text, start, advance)

    match = sf.Match(Counted(), "ab", (0, 2), shift=5)
    assert (match[0], match.group(), match.start(), match.end(), match.span()) == ("ab", "ab", 5, 7, (5, 7))
    assert not asked
    assert (match[1], match.span(1), match.span(2), match.group(0, 2)) == ("a", (5, 6), (6, 7), ("ab", "b"))
    assert asked == [0]
    assert sf.Match(Counted(), "xa", (1, 2), shift=5).span(2) == (-1, -1)
    lazy = Rule("r", "a*?").match_at("a", 0)
    assert lazy is not None
    assert lazy.span() == (0, 0)
