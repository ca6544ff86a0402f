"""What rules match in a stream is what they match in the whole text, for every pattern, text and cut."""

from __future__ import annotations

import contextlib
import pickle
import random
import re
from typing import Any

import pytest
import regex
from hypothesis import assume, given
from hypothesis import strategies as st
from patterns import CASES, PATTERNS_WITH_FLAGS, REFUSED, all_cases

import streamfilter as sf
from streamfilter.matching import Rule, find_all, replace_all
from streamfilter.matching.syntax import parse
from streamfilter.matching.tree import Refused, width
from streamfilter.testing import cut, promptness
from streamfilter.testing.strategies import chunkings


def ways(text: str) -> list[list[str]]:
    """A text whole, one character at a time, and at random cuts."""
    rng = random.Random(len(text))
    return [[text], list(text) or [text], *(cut(text, *(rng.randrange(len(text) + 1) for _ in range(3))) for _ in range(3))]


@pytest.mark.parametrize(("pattern", "text"), all_cases())
def test_a_stream_is_matched_as_its_whole_text(pattern: str, text: str) -> None:
    """`Replace` is `regex.sub`: with a constant, a template, a callable, and with a count, at every cut."""

    def shown(match: Any) -> str:
        return f"<{match.group()}@{match.start()}-{match.end()}>"

    for to in ("#", "", r"<\g<0>>", shown):
        for count in (0, 1, 2):
            want = regex.sub(pattern, to, text, count)
            for pieces in ways(text):
                assert "".join(sf.Replace(pattern, to, count).iter(pieces)) == want, pieces


@pytest.mark.parametrize(("pattern", "flags", "text"), PATTERNS_WITH_FLAGS)
def test_flags_beside_a_pattern_mean_what_they_mean(pattern: str, flags: int, text: str) -> None:
    """A rule's flags, and a compiled pattern's, are those of `regex`."""
    want = regex.sub(pattern, "#", text, flags=flags)
    for rule in (Rule("r", pattern, flags=flags), regex.compile(pattern, flags)):
        for pieces in ways(text):
            assert "".join(sf.Replace(rule, "#").iter(pieces)) == want


def test_a_compiled_pattern_of_the_standard_library_is_taken_by_source_and_flags() -> None:
    """`re.compile` gives a rule of the same source, and what it matches is up to `regex`."""
    assert sf.Redact(re.compile("A.b", re.IGNORECASE | re.DOTALL), to="#").apply("a\nB") == "#"
    for_bytes: Any = re.compile(b"a")
    with pytest.raises(ValueError, match="bytes"):
        sf.Redact(for_bytes)


@pytest.mark.parametrize(
    "flags", [re.ASCII, re.IGNORECASE, re.MULTILINE, re.DOTALL, re.VERBOSE, re.UNICODE, re.ASCII | re.IGNORECASE | re.MULTILINE]
)
def test_flags_of_the_standard_library_mean_what_they_mean_there(flags: re.RegexFlag) -> None:
    r"""`re.ASCII` is the number of `regex.VERSION1`: taken for that, `\w` would be every letter."""
    pattern, text = r"^\w+|x y|B.x", "É aB\naB\nx y X"
    want = re.sub(pattern, "#", text, flags=flags)
    rule = Rule("r", pattern, flags=flags)
    assert sf.Redact(re.compile(pattern, flags)) == sf.Redact(Rule("redacted", pattern, flags=flags))
    for pieces in ways(text):
        assert "".join(sf.Replace(rule, "#").iter(pieces)) == want


def test_named_lists_are_taken_from_a_compiled_pattern() -> None:
    r"""`\L<words>` matches the words of the list, beside another rule with a list of the same name."""
    one = regex.compile(r"\b\L<words>\b", words=["cat", "category"])
    two = Rule("two", r"\L<words>", lists=(("words", ("dog",)),))
    text = "cat category categories dog"
    for pieces in ways(text):
        assert "".join(sf.Redact(one, two).iter(pieces)) == "[redacted] [redacted] categories [two]"


@pytest.mark.parametrize(("pattern", "reason"), REFUSED.items())
def test_what_cannot_be_streamed_exactly_is_refused_with_the_reason(pattern: str, reason: str) -> None:
    """The error comes when the stage is built, in one line, and says why."""
    for build in (lambda: sf.Redact(pattern), lambda: sf.Replace(pattern, ""), lambda: Rule("r", pattern)):
        with pytest.raises(ValueError, match=reason) as caught:
            build()
        assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ several rules

LITTLE = [
    "a", "b", "ab", "abc", "a+", "(?:ab)+", "a|bc", r"\ba", r"b\b", "[ab]c?", "a(?=b)", "(?<=a)b", r"(a|b)\1", "c*",
    "(?i:A)b", "(?V1)[a-c--b]", "(?s:.)",
]  # fmt: skip


@given(st.data())
def test_several_rules_are_matched_as_the_reference_loop_says(data: st.DataObject) -> None:
    """At each place the first rule that matches, and whose check agrees, wins; else the next rule, else the next place."""

    def odd(text: str) -> bool:
        return len(text) % 2 == 1

    patterns = data.draw(st.lists(st.sampled_from(LITTLE), min_size=1, max_size=4))
    rules = [Rule(f"r{n}", pattern, check=data.draw(st.sampled_from([None, odd]))) for n, pattern in enumerate(patterns)]
    text = data.draw(st.text("aabbc A", max_size=14))
    pieces = data.draw(chunkings(text))
    want = replace_all(rules, text, lambda match: f"<{match.rule.name}>")
    assert "".join(sf.Redact(*rules, to="<{rule}>").iter(pieces)) == want
    with sf.Redact(*rules).iter(pieces) as stream:
        list(stream)
    found = list(find_all(rules, text))
    assert [(each.rule, each.start, each.end) for each in stream.report.findings] == [(m.rule.name, *m.span()) for m in found]


@given(st.text("aabbc A\n", max_size=14), st.sampled_from([*LITTLE, *CASES]))
def test_the_reference_loop_is_sub_for_one_rule(text: str, pattern: str) -> None:
    """The definition itself is held against `regex`."""
    assert replace_all([Rule("r", pattern)], text, lambda _: "#") == regex.sub(pattern, "#", text)


def test_each_rule_keeps_its_own_groups_and_flags() -> None:
    """Numbers and names of groups do not collide, and inline flags end with their rule."""
    rules = [Rule("one", r"(?i)(a)(b)\2"), Rule("two", r"(?P<x>c)(?P=x)"), Rule("three", r"(?P<x>d)\1(?(x)e|f)"), Rule("four", "A")]
    text = "aBb ccdde A a"
    for pieces in ways(text):
        assert "".join(sf.Redact(*rules, to="<{rule}>").iter(pieces)) == "<one> <two><three> <four> a"


def test_rules_do_not_change_what_their_neighbours_match() -> None:
    """Case, ASCII, versions and named lists of one rule are no other rule's."""
    neighbours = [regex.compile("token", regex.IGNORECASE), regex.compile("(?V1)[t--x]oken"), regex.compile("zz", regex.ASCII)]
    neighbours.append(regex.compile(r"\L<w>", w=["zzz"]))
    cases = [(r"[^a-z\s]\d", "pass: X9 é9"), (r"\P{Lu}+@corp", "joe@corp"), (r"\bkey\b", "ékey key"), ("(?i)k", "\u212a k")]
    for pattern, text in cases:
        want = regex.sub(pattern, "#", text)
        for neighbour in neighbours:
            for rules in ((neighbour, pattern), (pattern, neighbour)):
                for pieces in ways(text):
                    assert "".join(sf.Redact(*rules, to="#").iter(pieces)) == want, (rules, text)


def test_a_hold_that_nothing_can_fill_is_released() -> None:
    """A lazy repeat before a literal does not hold what it cannot match."""
    for pattern, text in ((r"\d+?px", "Chapter 5 begins. "), ("<b>.*?</b>", "<b> x\n"), (r"\[\w*?end\]", "see [1] ")):
        whole = text + "lorem ipsum\n" * 200
        assert sf.Redact(pattern).apply(whole) == whole
    promptness(sf.Replace(r"a+?b", ""), "aacab", lambda text: regex.sub("a+?b", "", text), "abc", 3)


def test_a_card_behind_another_number_is_not_lost() -> None:
    """A match whose check fails is no match: the next start is tried."""
    from streamfilter.detectors import CREDIT_CARD

    text = "room 2 4111 1111 1111 1111."
    for pieces in ways(text):
        assert "".join(sf.Redact(CREDIT_CARD).iter(pieces)) == "room 2 [credit_card]."


# ------------------------------------------------------------------ random patterns

ATOMS = [
    "a",
    "b",
    "[ab]",
    "[^a]",
    ".",
    r"\w",
    r"\b",
    "^",
    "$",
    "(?m:$)",
    "(?=b)",
    "(?!a)",
    "(?<=a)",
    "(?<!b|ab)",
    "ab",
    r"\n",
    r"\X",
]


def patterns_of(atoms: list[str]) -> st.SearchStrategy[str]:
    """Patterns built from some atoms with groups, choices, repeats of every kind."""
    suffixes = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}?", "*+", "++"])
    return st.recursive(
        st.sampled_from(atoms),
        lambda inner: st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, suffixes).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
            inner.map(lambda body: f"(?>{body})"),
            inner.map(lambda body: f"({body})b?\\1"),
            inner.map(lambda body: f"a(?={body})"),
            inner.map(lambda body: f"(?!{body})b"),
        ),
        max_leaves=6,
    )


def is_valid(pattern: str) -> bool:
    try:
        Rule("r", pattern)
    except ValueError:
        return False
    return True


@given(patterns_of(ATOMS), st.text("aab b\n", max_size=10), st.data())
def test_random_patterns_are_matched_as_in_the_whole_text(pattern: str, text: str, data: st.DataObject) -> None:
    """Any pattern that is not refused is `regex.sub`, at any cut."""
    assume(is_valid(pattern))
    pieces = data.draw(chunkings(text)) if text else [text]
    assert "".join(sf.Replace(pattern, "#").iter(pieces)) == regex.sub(pattern, "#", text)


# ------------------------------------------------------------------ promptness

PROMPT = ["ab", "abb|b", "aab", "a[ab]b", "(?:ab)+", "a+b", "ba?b", r"a\b", "a(?=b)", "(?<=a)b", "a|bab", "(?:a|bb)b"]


@pytest.mark.parametrize("pattern", PROMPT)
def test_nothing_is_held_that_no_continuation_could_change(pattern: str) -> None:
    """By brute force over all continuations: what leaves is certain, and all that is certain leaves."""
    for text in ("abbabaab", "aab ab", "bbab a"):
        stage = sf.Replace(pattern, "")
        promptness(stage, text, lambda text: regex.sub(pattern, "", text), "ab ", 4)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?=\w+\b)b\w*",
        r"(?=\w+\b)[bA]\w*",
        r"(?=(\w+))b",
        r"(?!\w+\b\.)\b(b)\w*",
        r"(?=\w+\b)(?:b|A)a",
        r"(?=\w+\b)(?i:b)a",
        r"(?=\w+\b)b?A",
        r"(?=\w+\b)(?>ba|bb)",
        r"(?=\w+\b)(b+)a\1",
    ],
)
def test_a_lookahead_holds_only_what_the_character_behind_it_can_be(pattern: str) -> None:
    """Also where it is not decided yet: what cannot begin the match leaves, and an overflow is at its character whatever the cuts."""
    machine = sf.Redact(pattern).machine()
    assert [list(machine.feed(text)) for text in ("a", "aaaaa", " ", "aa.aa")] == [["a"], ["aaaaa"], [" "], ["aa.aa"]]
    text = "aaaaaaabaaaaaa abaa ba aaaa. "
    policies: tuple[Any, ...] = ("redact", "release")
    for policy in policies:
        stage = sf.Redact(pattern, max_hold=4, overflow=policy)
        assert len({"".join(stage.iter(text[at : at + n] for at in range(0, len(text), n))) for n in range(1, 30)}) == 1


def test_a_grapheme_cluster_sees_the_flags_before_it() -> None:
    r"""Whether a regional indicator begins a flag or ends one depends on how many there are before it, in earlier chunks too."""
    text = "x" * 999 + "\U0001f1e9\U0001f1ea" * 300 + "z"
    for pattern in (r"\X", "[\U0001f1ea]\\X"):
        want = regex.sub(pattern, "#", text)
        for n in (1, 7, 500, 1002, 5000):
            assert "".join(sf.Replace(pattern, "#").iter(text[at : at + n] for at in range(0, len(text), n))) == want, (pattern, n)


@given(patterns_of(ATOMS), st.text("aab ", max_size=6), st.sampled_from(["", "#"]))
def test_nothing_ever_leaves_that_a_continuation_could_change(pattern: str, text: str, to: str) -> None:
    """No pattern lets anything out too early."""
    assume(is_valid(pattern))
    promptness(sf.Replace(pattern, to), text, lambda text: regex.sub(pattern, to, text), "ab \n", 3, exact=False)


@pytest.mark.parametrize("pattern", ["s-[ab]{2,}", "a+b?", "(?:ab)+", "x|ab|abc", r"a+\b", "a(?=b)b*", "a(?!b)a*", "(?:a|ab)(?!b)"])
def test_a_constant_leaves_as_soon_as_some_match_is_certain(pattern: str) -> None:
    """Not only when its end is known: nothing that all continuations agree on is held."""
    for text in ("aabab a", "s-aabb b", "xabb"):
        promptness(sf.Replace(pattern, "#"), text, lambda text: regex.sub(pattern, "#", text), "ab s-", 4)


def test_a_replacement_leaves_before_its_match_has_ended() -> None:
    """Once, however long the match goes on; the report has it when it ends; other rules and functions wait."""
    key = sf.Rule("key", "sk-[a-z]{3,}")
    machine = sf.Redact(key).machine()
    assert [list(machine.feed(text)) for text in ("a sk-a", "b", "c", "d", "e f")] == [["a "], [], ["[key]"], [], [" f"]]
    with sf.Redact(key, max_hold=5).iter(["sk-abc", "d" * 50, " x"]) as stream:
        assert "".join(stream) == "[key] x"
    assert [(found.start, found.end) for found in stream.report.findings] == [(0, None)]
    for waits in (
        sf.Redact(key, to=lambda _: "#"),
        sf.Redact(sf.Rule("key", "sk-[a-z]{3,}", check=len)),
        sf.Redact("sk-[a-z]+!", key),
    ):
        assert list(waits.machine().feed("sk-abcd")) == []


# ------------------------------------------------------------------ max_hold and overflow


@given(st.integers(1, 6), st.text("aab-", max_size=24), st.sampled_from(["redact", "release"]), st.data())
def test_an_overflow_does_not_depend_on_the_cuts(most: int, text: str, policy: Any, data: st.DataObject) -> None:
    """The hold overflows at its character `max_hold + 1`, however the text was cut."""
    stage = sf.Redact("a[ab]*-", "bb", to="#", max_hold=most, overflow=policy)
    want = "".join(stage.iter(list(text)))
    assert "".join(stage.iter(data.draw(chunkings(text)) if text else [text])) == want


@given(st.integers(1, 30), st.text("ab", max_size=60), st.text("ab-", max_size=10))
def test_an_overflow_that_redacts_swallows_a_match_that_ends_after_all(most: int, body: str, rest: str) -> None:
    """Beyond `max_hold` the output is still that of the whole text, if the match comes to its end."""
    text = f"x<{body}>{rest}"
    stage = sf.Redact("<[ab]*>", to="#", max_hold=most)
    for pieces in ways(text):
        assert "".join(stage.iter(pieces)) == regex.sub("<[ab]*>", "#", text)


def test_a_private_key_longer_than_the_hold_never_shows() -> None:
    """A block that begins is redacted once and swallowed to its end; the text behind it is there."""
    key = "-----BEGIN KEY-----\n" + "MIIEvQ\n" * 500 + "-----END KEY-----"
    stage = sf.Redact(r"-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----", to="[key]")
    for size in (1, 7, 1000, 5000):
        text = f"before {key} after {key[:3000]}"
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert "".join(stage.iter(pieces)) == "before [key] after [key]"


def test_what_ends_an_impossible_match_is_not_swallowed() -> None:
    """When an overflowed match turns out to be none, the character that shows it is let through."""
    stage = sf.Redact("a[b]{20,}c", to="#", max_hold=5)
    text = "x a" + "b" * 9 + "! y"
    for pieces in ways(text):
        assert "".join(stage.iter(pieces)) == "x #! y"


def test_an_overflow_can_release_or_raise() -> None:
    """`release` lets the text pass, and matches inside it are still found; `raise` ends the stream without the text."""
    text = "xx a" + "b" * 30 + "c"
    for pieces in ways(text):
        assert (
            "".join(sf.Redact("a[b]+z", "b{29}c", to="#", max_hold=20, overflow="release").iter(pieces)) == "xx a" + "b" * 30 + "c"
        )
        out: list[str] = []
        with pytest.raises(sf.LimitExceeded, match=r"max_hold of 20 exceeded: .* redacted at character 3 of the answer") as caught:
            out.extend(sf.Redact("a[b]+z", max_hold=20, overflow="raise").iter(pieces))
        assert "bbb" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["<(?:[^>]*>)?", "<(?:[^>]*+>)?"])
def test_what_is_too_long_to_look_through_is_swallowed_to_the_end(pattern: str) -> None:
    """Where text must be kept to tell where a match ends, an endless one is bounded in memory, and never shows."""
    from streamfilter.matching import decision, tail

    stage = sf.Redact(pattern, to="#", max_hold=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decision, "MAX_SWALLOW", 100)
        patch.setattr(tail, "MAX_SWALLOW", 100)
        for size in (1, 30, 1000):
            text = "a<" + "b" * 300 + "> c"
            assert "".join(stage.iter([text[at : at + size] for at in range(0, len(text), size)])) == "a#"
            text = "a<" + "b" * 60 + "> c"
            assert "".join(stage.iter([text[at : at + size] for at in range(0, len(text), size)])) == "a# c"


def test_an_endless_match_is_not_kept() -> None:
    """Where nothing of it can leave any more, it is followed to its end, however far, and is not in memory."""
    stage = sf.Redact("<[^>]*>", "x", to="#")
    machine = stage.machine()
    out = [item for _ in range(500) for item in machine.feed("<" + "b" * 999)]
    assert out == ["#"]
    assert machine.held == 0
    assert [*machine.feed("> x")] == [" ", "#"]


# ------------------------------------------------------------------ values


def test_rules_are_values() -> None:
    """Equal, hashable, picklable, with a repr one could write."""
    rule = Rule("x", "a(b)?", check=len)
    assert rule == Rule("x", "a(b)?", check=len)
    assert hash(rule) == hash(Rule("x", "a(b)?", check=len))
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert repr(rule) == "Rule('x', 'a(b)?', check=len)"
    assert pickle.loads(pickle.dumps(rule)).compiled.match("ab")


def test_a_match_offers_what_a_callable_needs_and_shows_no_text() -> None:
    """Groups and places are those in the whole text, whatever the cuts."""
    seen: list[Any] = []

    def to(match: sf.Match) -> str:
        seen.append(
            (
                match[0],
                match.group(1, "n"),
                match.groups(),
                match.groupdict(),
                match.span("n"),
                match.expand(r"\1!"),
                match.lastgroup,
            )
        )
        assert "xyz" not in repr(match)
        return "#"

    text = "a" * 300 + "xyz"
    for pieces in ways(text):
        seen.clear()
        assert "".join(sf.Replace(r"x(y)(?P<n>z)?", to).iter(pieces)) == "a" * 300 + "#"
        assert seen == [("xyz", ("y", "z"), ("y", "z"), {"n": "z"}, (302, 303), "y!", "n")]


@pytest.mark.parametrize(
    ("pattern", "want"), [("ab?", (1, 2)), ("a|bcd", (1, 3)), ("(?=x)a{2,3}", (2, 3)), (r"\R", (1, 2)), ("(a)(?(1)b|cc)", (1, 3))]
)
def test_widths(pattern: str, want: tuple[int, int]) -> None:
    """The least and the most characters of a pattern."""
    assert width(parse(pattern).root) == want


@pytest.mark.parametrize(
    "pattern", ["(", "(?P<", "[", "\\", "(?(", "a{", "(?<", "(?P=", "(?#", "(?i", "(?x)#", "(?P<a>", "(?|", "[[:"]
)
def test_an_unfinished_pattern_is_refused_in_one_line(pattern: str) -> None:
    """The parser goes through any text; what it does not find wrong, `regex` does."""
    with contextlib.suppress(Refused):
        parse(pattern)
    if pattern not in ("a{", "(?#", "(?x)#"):  # these `regex` takes as they are
        with pytest.raises(ValueError, match="Rule: pattern"):
            Rule("r", pattern)
