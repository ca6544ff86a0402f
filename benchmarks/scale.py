"""What many rules, many terms, cold caches and hostile patterns cost."""

from __future__ import annotations

import gc
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import regex

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio
from benchmarks.kernel import drain
from benchmarks.matching import RULES, prose

_SYLLABLES = "ba co di fu ga ho ji ku la mo ne pi ro sa tu ve wi xo yu za bren clo dra fel gri".split()
_LABEL = r"(?i)[\w.-]{0,50}?(?:%s)(?:[ \t\w.-]{0,20})[\s'\"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'\"\s=]{0,5}"
_END = r"(?:[\x60'\"\s;]|\\[nr]|$)"
_BODIES = ("([a-z0-9]{32})", "([a-f0-9]{40})", "([a-z0-9_-]{40})", "([a-z0-9=_-]{64})", "([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12})")
TRAPS = {
    "never closed": (r"<b>[\s\S]*?</b>", "<b>" + "x" * 997),
    "anything before": (".*secret", "x" * 1000),
    "one character decides": ("a(?:[^z]*b)?", "a" * 999 + "z"),
    "many states": ("a[ab]{14}c", "".join(random.Random(1).choice("ab") for _ in range(1000))),
    "nested repeats": ("(?:x+x+)+y", "x" * 1000),
    "a lookahead decides": ("a(?![^z]*b)", "a" * 999 + "z"),
    "a lookahead each time": ("(?:(?=[^z]*b)a)+|a", "a" * 999 + "z"),
    "not regular": (r"(['\"])[^z]*?\1", "'" + "x" * 999),
    "blanks": (r"\s+$", " " * 999 + "x"),
    "counted": (r"[\w.-]{0,500}@[a-z]{1,300}\.", "x" * 1000),
    "behind and ahead": (r"(?<![ab]{3})a(?=[ab]{0,50}c)", "ab" * 500),
}
"""Patterns, and texts of a thousand characters that they are slow on."""


def words(count: int, seed: int = 3) -> list[str]:
    """Different words and names that could be anything."""
    rng = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 5)))] = None
    return list(made)


def secret_rules(count: int, seed: int = 4) -> list[sf.Rule]:
    """Rules in the two forms that secret scanners have: a label and what is assigned, or a prefix."""
    names = words(count, seed=seed)
    labelled = (_LABEL % name + _BODIES[n % len(_BODIES)] + _END for n, name in enumerate(names))
    prefixed = (rf"\b({name[:4]}_[a-zA-Z0-9]{{{20 + n % 30}}})\b" for n, name in enumerate(names))
    return [sf.Rule(name, next(labelled if n % 10 < 7 else prefixed)) for n, name in enumerate(names)]


def varied(chars: int) -> str:
    """Prose whose words are from a vocabulary of 5,000, as a model's are."""
    rng = random.Random(6)
    vocabulary = words(5000, seed=7)
    weights = list(itertools.accumulate(1 / n for n in range(1, len(vocabulary) + 1)))
    text = " ".join(rng.choices(vocabulary, cum_weights=weights, k=chars // 5))
    return regex.sub(r"(\w+ \w+ \w+ \w+ \w+ \w+) ", r"\1. ", text)[:chars]


def cut(text: str) -> list[str]:
    """A text in chunks of four characters."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


async def figures() -> list[Figure]:
    """Rules and terms by the hundred and the ten thousand, against four rules."""
    cold = await _cold()  # before there is anything else for the garbage collector to go through
    chunks = cut(prose(100_000))
    stages = {
        "four": sf.Redact(*RULES),
        "hundred": sf.Redact(*secret_rules(100)),
        "terms": sf.Redact(sf.Terms(words(10_000))),
        "nfkc": sf.Redact(sf.Terms(words(10_000), fold="nfkc")),
    }
    taken = await compare({name: _running(stage, chunks) for name, stage in stages.items()}, 5)
    note = {name: f"{min(times) / len(chunks) * 1e6:.2f} µs a chunk" for name, times in taken.items()}
    return [
        Figure("100 secret-scanner rules / four PII rules", ratio(taken["hundred"], taken["four"]), 1.5, note["hundred"]),
        Figure("10,000 terms / four PII rules", ratio(taken["terms"], taken["four"]), 1.5, note["terms"]),
        Figure("10,000 terms with fold='nfkc' / four PII rules", ratio(taken["nfkc"], taken["four"]), None, note["nfkc"]),
        *cold,
        *_traps(),
    ]


def _running(stage: sf.Redact, chunks: list[str]) -> Callable[[], Awaitable[object]]:
    return lambda: drain(stage(TextSource(chunks)))


async def _cold() -> list[Figure]:
    made = []
    many = words(10_000, seed=9)
    builds: dict[str, Callable[[], sf.Redact]] = {
        "100 secret-scanner rules": lambda: sf.Redact(*secret_rules(100, seed=10)),
        "10,000 terms": lambda: sf.Redact(sf.Terms(many)),
    }
    gc.collect()
    for name, build in builds.items():
        for kind, text in (("prose", prose(100_000)), ("5,000 different words", varied(100_000))):
            chunks = cut(text)
            start = time.process_time()
            stage = build()
            stage.machine()
            compiled = time.process_time() - start
            seconds = []
            for _ in range(4):
                start = time.process_time()
                await drain(stage(TextSource(chunks)))
                seconds.append(time.process_time() - start)
            if kind == "prose":
                made.append(Figure(f"{name}: seconds to compile", compiled, 1))
            del stage  # and with it what it has worked out
            gc.collect()  # or the next one's first characters would pay for that
            made.append(Figure(f"{name}, {kind}: first 100,000 characters / warm", seconds[0] / min(seconds[1:]), 4))
    return made


def _traps() -> Iterator[Figure]:
    """The slowest chunk, by the CPU time of its fastest of three runs: what interrupts a run does not count."""
    for name, (pattern, text) in TRAPS.items():
        stage = sf.Redact(pattern, max_hold=1000)
        worst = 0.0
        for pieces in (cut(text + "zc b y"), [text, "z", "c b", "y"], list(text + "zc y")):
            runs = [_seconds_each(stage, pieces) for _ in range(3)]
            worst = max(worst, *map(min, zip(*runs, strict=True)))
        yield Figure(f"trap, {name}: milliseconds of the slowest chunk", worst * 1000, 20)


def _seconds_each(stage: sf.Redact, pieces: Sequence[str]) -> list[float]:
    """Of CPU, for each chunk."""
    machine = stage.machine()
    taken = []
    for piece in pieces:
        start = time.process_time()
        machine.feed(piece)
        taken.append(time.process_time() - start)
    return taken
