"""What matching costs, and whether it is exact, safe and prompt."""

from __future__ import annotations

import itertools
import random
from functools import cache

import regex

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio
from benchmarks.kernel import drain
from streamfilter.detectors import API_KEY, CREDIT_CARD, EMAIL, PHONE
from streamfilter.matching.syntax import parse
from streamfilter.matching.tree import width

RULES = (EMAIL, PHONE, CREDIT_CARD, API_KEY)
CASES = 10_000
DEPTH = 4
"""The length of the continuations that brute force tries."""
_WORDS = """
the a of to and in that it is was for on are with as his they at be this from have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would other
into has more two like him see time could no make than first been its who now people my made over did down only way find
use may water long little very after words called just where most know 12 2024 3.5 e.g. (see) well-known
https://example.com/a?b=c
""".split()
_SECRETS = ("joe.doe@example.com", "+1 555 010 2030", "4111 1111 1111 1111", "sk-proj-abcdEFGH1234ijkl5678")


def prose(chars: int, seed: int = 1) -> str:
    """Text like a model's, with a secret every 60 words."""
    rng = random.Random(seed)
    out: list[str] = []
    size = 0
    while size < chars:
        words = [rng.choice(_WORDS) for _ in range(60)]
        words.insert(rng.randrange(60), rng.choice(_SECRETS))
        out.append(" ".join(words) + ". ")
        size += len(out[-1])
    return "".join(out)


async def figures() -> list[Figure]:
    """Four PII rules on 4-character chunks, and the checks of random patterns."""
    text = prose(120_000)
    chunks = [text[at : at + 4] for at in range(0, len(text), 4)]
    stage = sf.Redact(*RULES)
    whole = regex.compile("|".join(f"(?P<r{n}>{rule.pattern})" for n, rule in enumerate(RULES)))

    async def sub() -> None:
        whole.sub("[x]", text)

    taken = await compare(
        {"bare": lambda: drain(TextSource(chunks)), "sub": sub, "redact": lambda: drain(stage(TextSource(chunks)))}, 5
    )
    floor = [bare + once for bare, once in zip(taken["bare"], taken["sub"], strict=True)]
    note = f"{min(taken['redact']) / len(chunks) * 1e6:.2f} µs a chunk, sub {min(taken['sub']) / len(chunks) * 1e6:.2f}"
    wrong, unsafe, held = _random_cases(CASES)
    return [
        Figure("four PII rules / (bare async for + one regex.sub)", ratio(taken["redact"], floor), 5, note),
        Figure(f"wrong outputs in {CASES:,} random pattern, text and cut cases", wrong, 0),
        Figure("unsafe releases in them", unsafe, 0),
        Figure("held characters / least possible, matches deleted", _over(held["deleted"]), 1.05),
        Figure("held characters / least possible, matches replaced by a constant", _over(held["replaced by a constant"]), 1.05),
        Figure("characters held for patterns that contradict themselves", held["never there"][1]),
    ]


# ------------------------------------------------------------------ random patterns


def _pattern(rng: random.Random, depth: int = 0) -> str:
    kind = rng.random()
    if depth > 2 or kind < 0.35:
        return rng.choice(["a", "b", "ab", "[ab]", "[^a]", "a", "b", "."])
    if kind < 0.6:
        return _pattern(rng, depth + 1) + _pattern(rng, depth + 1)
    if kind < 0.7:
        return f"(?:{_pattern(rng, depth + 1)}|{_pattern(rng, depth + 1)})"
    if kind < 0.88:
        return f"(?:{_pattern(rng, depth + 1)}){rng.choice(['*', '+', '?', '+?', '{2}', '{1,2}', '*?'])}"
    return rng.choice([r"\b", "^", "(?=b)", "(?!a)", "(?<=a)", r"\B", "(?m:$)"]) + _pattern(rng, depth + 1)


def _over(*held: list[int]) -> float:
    """Held characters over those that had to be."""
    return sum(did for _, did in held) / sum(may for may, _ in held)


def _random_cases(cases: int, seed: int = 5) -> tuple[int, int, dict[str, list[int]]]:
    """Wrong outputs, unsafe releases, and by sort of match the characters that had to be held and those that were."""
    rng = random.Random(seed)
    wrong = unsafe = 0
    held = {"deleted": [0, 0], "replaced by a constant": [0, 0], "never there": [0, 0]}
    for number in range(cases):
        pattern = _pattern(rng)
        text = "".join(rng.choice("aab \n") for _ in range(rng.randint(1, 10)))
        to = rng.choice(["", "#"])
        stage = sf.Replace(pattern, to)
        places = sorted(rng.sample(range(len(text) + 1), min(3, len(text))))
        pieces = [text[start:end] for start, end in itertools.pairwise([0, *places, len(text)])]
        wrong += "".join(stage.iter(pieces)) != regex.sub(pattern, to, text)
        # Brute force over continuations is the slow part, and does not see a match that needs more characters than it tries.
        if number % 10 == 0 and width(parse(pattern).root)[0] <= DEPTH + 1:
            early, may, did = _held(stage, pattern, to, text)
            unsafe += early
            sort = ("deleted" if to == "" else "replaced by a constant") if _matches_something(pattern) else "never there"
            held[sort][0] += may
            held[sort][1] += did
    return wrong, unsafe, held


def _matches_something(pattern: str) -> bool:
    """Whether there is any short text in which a pattern matches."""
    compiled = regex.compile(pattern)
    return any(compiled.search("".join(letters)) for n in range(DEPTH + 3) for letters in itertools.product("ab \n", repeat=n))


def _held(stage: sf.Replace, pattern: str, to: str, text: str) -> tuple[int, int, int]:
    """Unsafe releases over all prefixes of a text, characters that had to be held back, and those that were."""
    compiled = regex.compile(pattern)
    endings = ["".join(letters) for n in range(DEPTH + 1) for letters in itertools.product("ab \n", repeat=n)]

    @cache
    def means(whole: str) -> str:
        return str(compiled.sub(to, whole))

    early = may = did = 0
    machine = stage.machine()
    out = ""
    for n, character in enumerate(text, 1):
        out += "".join(str(item) for item in machine.feed(character))
        common = means(text[:n])
        for ending in endings:
            other = means(text[:n] + ending)
            while not other.startswith(common):
                common = common[:-1]
        early += not common.startswith(out)
        # Counted in input characters: what the whole text means so far, less what has left of it.
        may += max(0, len(means(text[:n])) - len(common))
        did += max(0, len(means(text[:n])) - len(out))
    return early, may, did
