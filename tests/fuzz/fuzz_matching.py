"""Matching: `Replace` against `regex.sub`, several rules against the loop over the whole text, every engine, at every cut.

Run: `python tests/fuzz/fuzz_matching.py -max_total_time=300`
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import regex
from fuzzing import Draw, instrumented, run, ways

with instrumented(__name__):
    import streamfilter as sf
    import streamfilter.text.replace
    from streamfilter.lift import Lift
    from streamfilter.matching import Engine, Found, Rule, Scan, Terms
    from streamfilter.matching.automaton import Automaton
    from streamfilter.matching.regular import NotRegularError
    from streamfilter.matching.selection import SideBySide
    from streamfilter.matching.tail import TailEngine

MAX_CHARS = 60
"""`regex` backtracks: longer texts may take it years, and match nothing else."""

MAX_PATTERN = 60

ATOMS = (
    "a", "b", "A", "c", "ab", "[ab]", "[^a]", ".", r"\w", r"\W", r"\s", r"\n", "(?i:A)", "(?s:.)", "é", "(?i:k)", "(?i:ss)", r"\d",
    r"\b", r"\B", r"\m", r"\M", "^", "$", "(?m:^)", "(?m:$)", r"\A", r"\Z", "(?=b)", "(?!a)", "(?!ab)", "(?=a|$)", r"(?!\b)",
    "(?<=a)", "(?<!b|ab)", "(?<=^|b)", "(?<=a+)", r"\X", r"\R", "",
)  # fmt: skip
REPEATS = ("*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}?", "{0,3}", "{2,}", "*+", "++", "?+")
LETTERS = "aabbcA 1\néK\u212asSßſ\r\u0301_\U0001f468\u200d"


# ------------------------------------------------------------------ the reference


def reference(rules: Sequence[tuple[str, bool]], text: str) -> list[tuple[int, int, int]]:
    """(rule, start, end) of each match, through `regex` alone: at each place the first rule that matches, and whose check agrees.

    Behind an empty match, the next one at its place is not empty.
    """
    out: list[tuple[int, int, int]] = []
    at, was_empty = 0, False
    while at <= len(text):
        for number, (pattern, is_checked) in enumerate(rules):
            match = regex.match(rf"(?:{pattern})(?!\G)" if was_empty else pattern, text, pos=at)
            if match is not None and (not is_checked or odd(match.group())):
                out.append((number, at, match.end()))
                was_empty, at = match.end() == at, match.end()
                break
        else:
            at, was_empty = at + 1, False
    return out


def odd(text: str) -> bool:
    """A check."""
    return len(text) % 2 == 1


def marked(text: str, found: Sequence[tuple[int, int, int]]) -> str:
    """A text with the numbers of rules in the places of their matches."""
    at, out = 0, ""
    for number, start, end in found:
        out += f"{text[at:start]}<{number}>"
        at = end
    return out + text[at:]


# ------------------------------------------------------------------ cases


def a_pattern(draw: Draw, depth: int = 3) -> str:
    """A pattern, of what can be streamed for the most part."""
    kind = draw.number(12) if depth else 0
    if kind < 4:
        return draw.of(ATOMS)
    one = a_pattern(draw, depth - 1)
    if kind < 6:
        return one + a_pattern(draw, depth - 1)
    if kind < 8:
        return f"(?:{one}|{a_pattern(draw, depth - 1)})"
    if kind < 10:
        return f"(?:{one}){draw.of(REPEATS)}"
    return draw.of((f"(?={one})", f"(?!{one})b", f"(?>{one})", f"({one})b?\\1", f"(?i:{one})", f"(?<={one})a"))


def rule(name: str, pattern: str, check: Any = None) -> Rule | None:
    """A rule, unless it is refused."""
    with contextlib.suppress(ValueError):
        return Rule(name, pattern, check=check) if len(pattern) <= MAX_PATTERN else None
    return None


class Marker(Scan):
    """Puts the number of the rule in the place of each match."""

    def hit(self, found: Found, buf: str) -> None:
        self.hold.replace(found.end - found.start, f"<{found.rule}>")


def through(engine: Engine, pieces: Sequence[str]) -> str:
    """What comes out of an engine."""
    machine = Lift(lambda: Marker(engine), "Marker")
    return "".join(str(item) for piece in pieces for item in machine.feed(piece)) + "".join(map(str, machine.finish()))


def engines(rules: Sequence[Rule]) -> Iterator[Engine]:
    """Every engine that can find some rules."""
    numbered = list(enumerate(rules))
    yield TailEngine(numbered)
    with contextlib.suppress(NotRegularError):
        automaton = Automaton(numbered)
        yield automaton
        never = Rule("never", r"(\0)\1")
        yield SideBySide((*rules, never), automaton, TailEngine([(len(rules), never)]))


def check(case: bytes) -> None:
    """One case: rules, a text, its cuts."""
    draw = Draw(case)
    what = draw.of(CHECKS)
    places = draw.places()
    option = draw.number(256)
    patterns = [(a_pattern(draw), draw.number(3) == 2) for _ in range(draw.number(3) + 1)]
    text = "".join(LETTERS[byte % len(LETTERS)] for byte in draw.bytes()[:MAX_CHARS])
    what(patterns, text, ways(text, places) if text else [[""]], option)


def check_sub(patterns: list[tuple[str, bool]], text: str, cuts: list[list[str]], option: int) -> None:
    """One rule is `regex.sub`: with a constant, a template, a callable, and a count."""
    pattern = patterns[0][0]
    if rule("r", pattern) is None:
        return
    to: Any = ("#", "", r"<\g<0>>", lambda match: f"<{match.group()}@{match.start()}-{match.end()}>")[option % 4]
    count = option // 4 % 3
    want = regex.sub(pattern, to, text, count)
    for pieces in cuts:
        out = "".join(sf.Replace(pattern, to, count).iter(pieces))
        assert out == want, (pattern, pieces, out, want)


def check_rules(patterns: list[tuple[str, bool]], text: str, cuts: list[list[str]], option: int) -> None:
    """Several rules, some with a check, are the loop over the whole text, with every engine that can find them."""
    made = [
        (each, given) for number, given in enumerate(patterns) if (each := rule(f"r{number}", given[0], odd if given[1] else None))
    ]
    if not made:
        return
    rules = [each for each, _ in made]
    found = reference([given for _, given in made], text)
    want = marked(text, found)
    for engine in engines(rules):
        for pieces in cuts:
            out = through(engine, pieces)
            assert out == want, (patterns, pieces, type(engine), out, want)
    with sf.Redact(*rules).iter(cuts[-1]) as stream:
        list(stream)
    assert [(each.rule, each.start, each.end) for each in stream.report.findings] == [(rules[n].name, a, b) for n, a, b in found]


def check_overflow(patterns: list[tuple[str, bool]], text: str, cuts: list[list[str]], option: int) -> None:
    """An overflow does not depend on the cuts."""
    rules = [each for number, (pattern, _) in enumerate(patterns) if (each := rule(f"r{number}", pattern))]
    if not rules:
        return
    stage = sf.Redact(*rules, to="#", max_hold=option % 7 + 1, overflow=("redact", "release")[option // 7 % 2])
    found = {"".join(stage.iter(pieces)) for pieces in cuts}
    assert len(found) == 1, (patterns, cuts, found)


def check_terms(patterns: list[tuple[str, bool]], text: str, cuts: list[list[str]], option: int) -> None:
    """Words are what their definition on a whole text finds: the longest at each place."""
    words = [word for pattern, _ in patterns if (word := regex.sub(r"\W", "", pattern))]
    if not words:
        return
    try:
        terms = Terms(words, fold="nfkc" if option & 1 else None, whole_words=bool(option & 2), ignore_case=bool(option & 4))
    except ValueError:
        return
    want, at = "", 0
    while at < len(text):
        match = terms.match_at(text, at)
        want += "#" if match else text[at]
        at = match.end() if match else at + 1
    for pieces in cuts:
        out = "".join(sf.Redact(terms, to="#").iter(pieces))
        assert out == want, (terms, words, pieces, out, want)


CHECKS = (check_sub, check_rules, check_rules, check_overflow, check_terms)


def seeds() -> Iterator[bytes]:
    """Texts, with decisions that lead to each kind of pattern."""
    for number in range(60):
        decisions = bytes((number * 37 + n * (number % 11 + 3)) % 251 for n in range(24))
        yield bytes(range(number % 9 * 3)) + decisions + bytes([number, 128, 2, number % len(CHECKS)])


if __name__ == "__main__":
    run(check, seeds())
    sys.exit()
