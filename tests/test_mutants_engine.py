"""The automata and the search, fact by fact, quickly: what mutants of them showed that nothing else had stated in a second."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

import fuzz_matching
import pytest
import regex

import streamfilter as sf
from streamfilter.lift import Lift
from streamfilter.matching import Engine, Found, Rule, cache, compiled, explain, finder, replace_all
from streamfilter.matching import program as programs
from streamfilter.matching.automaton import Automaton
from streamfilter.matching.cache import Cache
from streamfilter.matching.program import Thread
from streamfilter.matching.regular import NotRegularError, lower
from streamfilter.matching.syntax import parse
from streamfilter.matching.tail import TailEngine
from streamfilter.testing import promptness, ways

# ------------------------------------------------------------------ what is kept


class Forgets:
    """Counts how often it is told to forget."""

    def __init__(self) -> None:
        self.times = 0

    def forget(self) -> None:
        self.times += 1


def test_a_cache_is_full_when_more_is_kept_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when as much is; all of its members then forget, and it counts from nothing."""
    monkeypatch.setattr(cache, "MAX_ENTRIES", 10)
    kept, members = Cache(), [Forgets(), Forgets()]
    kept.members += members
    for entries, times in ((4, 0), (6, 0), (1, 1), (10, 1), (1, 2), (11, 3)):
        kept.count(entries)
        assert [each.times for each in members] == [times, times]


def size(threads: Iterable[Thread]) -> int:
    """Each thread is one, and each node of the lookaheads that it carries."""
    return sum(1 + sum(len(nodes) for _, nodes in conditions) for _, conditions in threads)


def kept_by(engine: Automaton) -> int:
    """How much there is in the tables of an engine, counted anew."""
    finder, deciders = engine.finder, engine._deciders.values()
    entries = sum(1 + len(state.groups) + len(state) for state in finder._states.values())
    entries += sum(size(group.threads) + len(group.steps) for group in finder._groups.values())
    for decider in deciders:
        entries += sum(1 + size(state.threads) + len(state) for state in decider._states.values())
    for program in (finder.program, *(decider.program for decider in deciders)):
        entries += sum(2 + len(nodes) + len(program._behind_ends) for nodes in program._lefts)
        entries += sum(len(closure or ()) for closure in program._closures.values())
    return entries


@pytest.mark.parametrize(
    "patterns", [["ab"], ["a[ab]*b", "ba"], ["a(?=[ab]{2}c)b?"], ["(?<=a[ab])b", "(?<!c)c"], ["(?!ab)a", r"\bb"], ["a(?=(?:ab)+c)"]]
)
def test_what_is_counted_is_what_is_kept(patterns: list[str]) -> None:
    """States, their steps, threads with the lookaheads that they carry, and what lookbehinds have seen."""
    engine = Automaton([(number, Rule(f"r{number}", pattern)) for number, pattern in enumerate(patterns)])
    for letters in itertools.product("abc ", repeat=4):
        fuzz_matching.through(engine, ["".join(letters) + "ab"])
    assert engine._cache._entries == kept_by(engine)
    for state in engine.finder._states.values():
        threads = [thread for group in state.groups for thread in group.threads]
        assert len(threads) == len(set(threads)), "a later place has what an earlier one has"


SKIPPED = "a?b?" * 4
"""Each of eight characters may be skipped, so that from each of these nodes all behind it are reached."""

AMBIGUOUS = [
    f"{SKIPPED}a{{2}}b",
    "(?:a{1,4}){1,4}b",
    f"(?={SKIPPED}c)[ab]{{0,3}}",
    f"(?:(?=a{{0,3}}b){SKIPPED}a){{1,3}}",
    f"{SKIPPED}(?!c)\b?c",
    f"{SKIPPED}(?<=ab)c",
    f"b(?!{SKIPPED}c)|{SKIPPED}cc",
]


@pytest.mark.parametrize("most", [-1, 0, 3])
@pytest.mark.parametrize("pattern", AMBIGUOUS)
def test_nodes_that_many_threads_come_to_are_gone_through_once(pattern: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From there on nothing is kept of the step; what is found is the same."""
    monkeypatch.setattr(finder, "MAX_VAIN", most)
    monkeypatch.setattr(programs, "MAX_VAIN", most)
    one, two, words = Rule("r", pattern), Rule("s", "ca|[ab]{3}c"), sf.Terms(["ab", "abab", "ba"], name="words")
    sets: list[list[Rule | sf.Terms]] = [[one], [one, two], [words, one]]
    for rules in sets:
        names = {rule.name: f"<{number}>" for number, rule in enumerate(rules)}
        engine = Automaton(list(enumerate(rules)))
        for letters in itertools.product("abc", repeat=6):
            text = "".join(letters) + "aab"
            want = replace_all(rules, text, lambda match, names=names: names[match.rule.name])  # type: ignore[misc]
            assert fuzz_matching.through(engine, [text]) == fuzz_matching.through(engine, list(text)) == want
            if len(rules) == 1:
                assert want == regex.sub(pattern, "<0>", text), text


@pytest.mark.parametrize(("skipped", "ahead"), [("a?", ""), ("[ab]?", ""), ("a?", "(?=%s)")])
def test_the_cost_of_a_character_grows_with_the_places_of_a_pattern(skipped: str, ahead: str) -> None:
    """Not with their square, nor if so much is kept that all of it is forgotten again and again: four times as many, four times as
    long."""

    def taken(places: int) -> float:
        body = skipped * places + f"a{{{places}}}b"
        pattern = (ahead % body if ahead else "") + body
        machine = Lift(lambda: fuzz_matching.Marker(Automaton([(0, Rule("r", pattern))])), "Marker")
        start = time.process_time()
        for character in "a" * 6:
            machine.feed(character)
        return time.process_time() - start

    few, many = min(taken(400) for _ in range(5)), min(taken(1600) for _ in range(5))
    assert many < 9 * few


# ------------------------------------------------------------------ one rule at one place

OPEN = [
    "a+(?=.{3}c)",
    "a+?(?=.{2}c)b?",
    "(?:a|b)+(?=.{2}c)",
    "(?:a(?=b*c)|ab|b(?=.c))+",
    "(?:(?=a*c)a|b(?=[ab]{2}))*",
    "a(?=b*c)(?:b(?=.c))?|ab",
    "(?:a(?!..c)|b)+",
    "(?:a(?!.c)|b(?=.a))*c?",
    "a*(?=.c)b*(?!a)",
    "(?:a(?=.?c)|a(?=.b))b?",
    "(?:ab?(?=.*c))+?(?=a|c)",
    "a?(?=.{2}c)",
    "(?<!^|b)a(?!^)",
    r"a(?!\Z|b)|(?<!^)c|(?!(?m:^))b",
]
"""Lookaheads that are open at several places at once, each for another length."""


@pytest.mark.parametrize("pattern", OPEN)
def test_of_places_whose_lookaheads_are_open_the_right_one_is_the_end(pattern: str) -> None:
    """All texts of up to seven letters, whole and one letter at a time."""
    engine = Automaton([(0, Rule("r", pattern))])
    for chars in range(7):
        for letters in itertools.product("abc", repeat=chars):
            text = "".join(letters)
            want = regex.sub(pattern, "<0>", text)
            assert fuzz_matching.through(engine, list(text) or [""]) == want, text
            assert fuzz_matching.through(engine, [text]) == want, text


def test_what_was_worked_out_is_not_worked_out_again() -> None:
    """The beginning of a decision, and its steps, of which those that change no place say so."""
    engine = Automaton([(0, Rule("r", "a(?=b)|[ab]+c"))])
    decider = engine.decider(0)
    assert engine.decider(0) is decider
    begun = decider.begin(decider.program.left, begin=True, nonempty=False)
    assert decider.begin(decider.program.left, begin=True, nonempty=False) is begun
    state, accepted = begun
    assert not accepted
    assert state.places == 0
    one, effect = state["a"]
    assert (one.places, effect) == (1, ((-1,), None))
    assert state["a"][0] is one
    two, effect = one["a"]
    assert (two.places, effect) == (0, ((), None))
    same, effect = two["a"]
    assert (same, effect) == (two, None)
    three, effect = one["b"]
    assert (three.places, effect) == (0, ((), 0))
    end, effect = two["c"]
    assert (end.threads, effect) == ((), ((), -1))


# ------------------------------------------------------------------ the search

NEVER = Rule("never", r"(\0)\1")
"""Not regular, and in none of the texts."""


def odd(text: str) -> bool:
    """A check."""
    return len(text) % 2 == 1


def engines(patterns: Sequence[tuple[str, bool]]) -> Iterator[Engine]:
    """Every engine that can find some rules, each (pattern, whether it is checked)."""
    rules = [Rule(f"r{number}", pattern, check=odd if checked else None) for number, (pattern, checked) in enumerate(patterns)]
    yield TailEngine(list(enumerate(rules)))
    try:
        yield Automaton(list(enumerate(rules)))
    except NotRegularError:
        yield compiled(tuple(rules))
    else:
        yield compiled((*rules, NEVER))


def found(engine: Engine, text: str, size: int) -> list[tuple[int, int, int]]:
    """What a search finds in a text that comes in pieces, of which no more is kept than its context."""
    search, out = engine.begin(), list[tuple[int, int, int]]()
    buf, base, pos, advance = "", 0, 0, False
    for at in range(0, len(text) + size, size):
        over = at >= len(text)
        buf += text[at : at + size]
        match: Found | None
        while True:
            if over:
                match = search.final(buf, base, pos, advance)
                start = match.start if match is not None else len(buf)
            else:
                start, match = search.search(buf, base, pos, advance)
            advance, pos = advance and start == pos, start
            if match is None:
                break
            assert match.start == start
            assert match.advance == advance
            out.append((match.rule, base + start, base + match.end))
            advance, pos = match.start == match.end, match.end
        cut = max(0, pos - engine.context)
        buf, base, pos = buf[cut:], base + cut, pos - cut
    return out


SETS = [
    [("[ab]*c|bb", False)],
    [("[ab]*c", False), ("b[ab]?a", False), ("aab", True)],
    [("ab", True), ("ab*c", False), ("b+", False)],
    [("a*", True), ("b", False)],
    [("(?<=a)b*", False), ("a(?=b)", True)],
    [("aba|b", False), ("a(?!b)", False), ("", True)],
    [("(?<!a)b|c$", False), ("(?:ab?)*?c", True)],
    [(r"\bab*\b", False), (r"a?(?=c)|\B", False)],
    [("(?<=b[ab])a+?", False), ("b?c?", True)],
    [(r"(a|b)\1", False), ("ab*c", False), ("b", True)],
    [("ab*c", True), (r"(b)c?\1", True), ("b", False)],
    [("c+", False), (r"(b)\1*c*", False)],
    [("ba[bc]a|aba|bc", False)],
    [("abcd|c", False), ("b(?=.c)", True), ("bc", False)],
    [("(?>(?=ab))", False), ("a", False), ("c|", False)],
]


@pytest.mark.parametrize("patterns", SETS)
def test_a_search_that_keeps_no_more_than_its_context_finds_all(patterns: list[tuple[str, bool]]) -> None:
    """All texts of up to five letters, in pieces of one, two and all, with every engine, against the loop over the whole text."""
    made = list(engines(patterns))
    for chars in range(6):
        for letters in itertools.product("abc", repeat=chars):
            text = "".join(letters)
            want = fuzz_matching.reference(patterns, text)
            for engine in made:
                if isinstance(engine, Automaton) or chars < 5:
                    for size in (1, 2, 9):
                        assert found(engine, text, size) == want, (type(engine).__name__, text, size)


LONG = [
    "a(?![^z]*b)", "a(?:[^z]*b)?", "(?:(?=[^z]*b)a)+|a", "a(?=a{3}[^z]*b)|a{5}", "a{20}z|aa", "(?<=x)a[^z]*b|a", "a+b|a(?=[az]{9})",
    "a(?![az]*b)|x?a", "a{16}b|a{15}z|a", "(?:aa)+b|aaa(?![ab]*z)",
]  # fmt: skip


@pytest.mark.parametrize("pattern", LONG)
@pytest.mark.parametrize("is_checked", [False, True])
def test_what_was_held_for_long_is_gone_through_again_rightly(pattern: str, is_checked: bool) -> None:
    """Places behind one from which much was looked through in vain, in the middle of a run, and at its end."""
    engine = Automaton([(0, Rule("r", pattern, check=odd if is_checked else None))])
    for before, after in itertools.product(("", "zxaaz" * 7), ("", "z", "b", "zb" + "a" * 30)):
        for chars in (15, 16, 17, 40):
            text = before + "a" * chars + after
            want = fuzz_matching.reference([(pattern, is_checked)], text)
            for size in (1, 7, 99):
                assert found(engine, text, size) == want, (text, size)


def test_ordinary_text_passes_at_a_glance() -> None:
    """What a state that holds nothing has seen before; not elsewhere, not where something is held, nor at anything new."""
    search = Automaton([(0, Rule("r", "ab"))]).begin()
    assert not search.passes("x", 0)
    assert search.search("xyx", 0, 0, False) == (3, None)
    assert search.passes("yxxy", 3)
    assert search.passes("", 7)
    assert not search.passes("x", 3)
    assert not search.passes("xn", 7)
    assert not search.passes("a", 7)
    assert search.search("xa", 7, 0, False) == (1, None)
    assert not search.passes("x", 9)
    assert search.search("ax", 8, 0, False) == (2, None)
    assert search.passes("xy", 10)
    assert search.search("yab", 11, 1, False) == (1, Found(0, 1, 3, False))
    assert not search.passes("x", 14)


@pytest.mark.parametrize(
    ("patterns", "text", "want"),
    [
        (["(?:ab)?"], "", 0),
        ([r"(?:(a)\1)?"], "", 0),
        (["a+b?"], "a", 0), (["(?:ab)?"], "a", 0), (["ab+"], "a", -1), (["ab+"], "ab", 0), (["ac", "ab+"], "ab", 1),
        (["ab+c", "ab"], "ab", -1), (["a(?=b)b*"], "ab", 0), (["a(?!b)a*"], "a", -1), (["y", "aa(?:bc)?"], "aab", 1),
        (["abb?", r"(a)\1"], "ab", 0), ([r"(a)\1", "abb?"], "ab", 1), ([r"(a)\1c?", "aab?"], "aa", 0),
        ([r"(a)\1c", "aab?"], "aa", -1), (["b+", r"(a)b*\1"], "abb", -1), ([r"(a)b*\1", "b+"], "abb", -1), (["aab?", r"(a)\1c"], "aa", 0), (["aab", r"(a)\1c?"], "aa", -1),
    ],
)  # fmt: skip
def test_which_rule_is_certain_to_match(patterns: list[str], text: str, want: int) -> None:
    """Though how far is open; by every engine, alone and behind other text. With a check none is."""
    for is_checked in (False, True):
        for engine in engines([(pattern, is_checked) for pattern in patterns]):
            for before in ("",) if regex.match(patterns[0], "") else ("", "xx"):
                search = engine.begin()
                start, match = search.search(before + text, 0, 0, False)
                assert (start, match) == (len(before), None)
                assert search.certain(before + text, start, False) == (-1 if is_checked else want), type(engine).__name__


@pytest.mark.parametrize("first", ["aa", "(?>aa)", r"(a)\1"])
@pytest.mark.parametrize("second", ["aab?", "(?>aab?)|aa", r"(a)\1b?"])
def test_a_rule_behind_one_that_is_refused_may_be_certain(first: str, second: str) -> None:
    """Nor is one that is refused in an overflow asked about at the end."""
    rules = Rule("no", first, check=lambda _: False), Rule("yes", second)
    search = compiled(rules).begin()
    assert search.search("xaa", 0, 0, False) == (1, None)
    assert search.certain("xaa", 1, False) == (-1 if second.endswith("|aa") else 1)
    for text in ("x aabbbbbb", "x aabbbbbbc"):
        for pieces in ways(text):
            stage = sf.Redact(rules[0], Rule("yes", f"(?:{second})b*(?=c|$)"), to="#", max_hold=4)
            assert "".join(stage.iter(pieces)) == text.replace("aabbbbbb", "#")


@pytest.mark.parametrize(
    "pattern", ["ab", "abb|b", "a[ab]b", "a(?=b)", "(?<=a)b", "a|bab", r"a\b", "[ab]*a|bb", r"(a|b)\1", "(?>ab)b?", "a++b"]
)
def test_what_is_certain_leaves(pattern: str) -> None:
    """By brute force over continuations."""
    promptness(sf.Replace(pattern, ""), "abbab a", lambda text: regex.sub(pattern, "", text), "ab ", 3)


def test_a_match_has_the_groups_that_it_was_found_with() -> None:
    """Also where it may not be empty; and its place in the channel's text."""
    for rule in (Rule("r", "(a)??(b)?"), Rule("r", r"(a)??(b)?(?:c\1)?")):
        engine = compiled((rule,))
        assert engine.match(Found(0, 1, 1, False), "xab").span() == (1, 1)
        match = engine.match(Found(0, 1, 3, True), "xab", 10)
        assert (match.groups(), match.span(), match.span(2), match[0]) == (("a", "b"), (11, 13), (12, 13), "ab")
        assert engine.match(Found(0, 1, 1, False), "xab", 10).span() == (11, 11)


def test_each_match_is_of_its_rule_whichever_engine_found_it() -> None:
    """And equal rules share an engine while it is there, others do not."""
    one, two = (Rule("r", "(a)b"), Rule("s", r"(c)\1")), (Rule("s", r"(c)\1"), Rule("r", "(a)b"))
    made = [compiled(rules) for rules in (one, two)]
    for engine, rules in zip(made, (one, two), strict=True):
        assert compiled(rules) is engine
        assert engine.rules == rules
        for number, rule in enumerate(rules):
            match = engine.match(Found(number, 1, 3, False), "xab" if rule.name == "r" else "xcc", 5)
            assert (match.rule, match.groups(), match.span(1)) == (rule, (match[0][0],), (6, 7))
            assert engine.match(Found(number, 0, 2, False), "ab" if rule.name == "r" else "cc").span() == (0, 2)


def test_an_engine_says_what_it_is() -> None:
    """What is held, at most how much of it, what then, and how it is looked for."""
    held = "holds a match that is still open, at most 7 characters, then overflow='raise'"
    assert explain(compiled((Rule("r", "a"),)), 7, "raise") == f"{held}; automaton: one step for each character"
    both = explain(compiled((Rule("r", "a"), Rule("s", r"(b)\1"), Rule("t", "c++"))), 7, "raise")
    why = "of rule s: it refers back to a group; of rule t: it has a possessive repeat"
    searches = f"regex: searches what is held with each chunk, because {why}"
    assert both == f"{held}; automaton: one step for each character; beside it {searches}"


# ------------------------------------------------------------------ the run


def test_what_overflowed_and_was_empty_after_all_is_empty_once() -> None:
    """As in the whole text."""
    pattern, text = "(?:<[^>x]*>)?", "a<bbbbbx<b> <bbbbbbb"
    for pieces in ways(text):
        assert "".join(sf.Replace(pattern, "#", max_hold=3).iter(pieces)) == regex.sub(pattern, "#", text)
        assert "".join(sf.Replace(pattern, "#", 2, max_hold=3).iter(pieces)) == regex.sub(pattern, "#", text, 2)


@pytest.mark.parametrize("end", ["b", "c", "bc", "bcc", "d", "cb", ""])
@pytest.mark.parametrize(
    "rules",
    [("<a+b", r"(<)a*+c(?:\1)?"), ("<a+bc?", r"(<)a*+b(?:\1)?"), ("<a+b", r"(<)a*+bc+(?:\1)?"), ("<a+bc*d", r"(<)a*+b(?:\1)?")],
)
def test_an_overflow_ends_where_the_first_rule_that_matches_does(rules: tuple[str, str], end: str) -> None:
    """With two engines in any order; what shows that none does is no part of it, and all of it is replaced at most once."""
    text = f"x <{'a' * 9}{end} y<a"
    for first, second in (rules, rules[::-1]):
        engine = compiled((Rule("r", first), Rule("s", second)))
        want = regex.sub(rf"(?|{first}|{second})", "#", text)
        if want == text:
            want = f"x #{end} y<a"
        for pieces in ways(text):
            out = "".join(sf.Redact(*engine.rules, to="#", max_hold=5).iter(pieces))
            assert out == want, (first, second, pieces)


@pytest.mark.parametrize(("text", "before"), [("xx ab yy", "xx "), ("xx ab", "xx "), ("ab", ""), ("xxab ab", "xx")])
@pytest.mark.parametrize("pattern", ["ab+", r"a(b)+(?!\1c)"])
def test_a_check_that_raises_ends_the_stream_behind_clean_text(text: str, before: str, pattern: str) -> None:
    """With its own exception, and before the match that it was asked about."""

    def check(text: str) -> bool:
        raise KeyError(len(text))

    for pieces in ways(text):
        out: list[str] = []
        with pytest.raises(KeyError, match="2"):
            out.extend(sf.Redact(Rule("r", pattern, check=check)).iter(pieces))
        assert "".join(out) == before


def test_an_overflow_that_raises_is_an_end_by_error() -> None:
    """With what was exceeded, behind the text before the match."""
    before, end = sf.Redact("a[b]+z", max_hold=3, overflow="raise").machine().feed("x abbbbb")
    assert before == "x "
    assert isinstance(end, sf.End)
    assert end.reason == "error"
    assert isinstance(end.error, sf.LimitExceeded)


def test_rules_that_begin_alike_share_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """They make as many nodes as there are beginnings of them; but for those further in than it is looked for, which match too."""
    one = lower(parse("a"))
    assert finder.factored([(one,)]) == finder.factored([(one,), (one,)]) == one
    edges = Automaton([(0, Rule("r", r"\ba|\bb\b|(?<=c)d"))]).finder.program
    assert len(edges._behind_ends) == 2  # a word character, and c
    words = ["abc1", "abd2", "abde3", "b4", "b5", "f"]
    begun = {word[:chars] for word in words for chars in range(1, len(word) + 1)}
    for most in (50, 1, 0):
        monkeypatch.setattr(finder, "MAX_FACTORED", most)
        engine = Automaton([(number, Rule(word, word)) for number, word in enumerate(words)])
        taking = sum(node[0] == 0 for node in engine.finder.program._nodes)
        assert taking == {50: len(begun), 1: len(begun) + 1, 0: len("".join(words))}[most]
        for word in words:
            assert fuzz_matching.through(engine, list(f"a{word}a")) == f"a<{words.index(word)}>a"
