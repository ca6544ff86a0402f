"""What is measured of a peer, and what each word of the table means."""

from __future__ import annotations

import itertools
import random
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import compare
from benchmarks.kernel import drain
from benchmarks.peers.adapters import RULES, Peer
from benchmarks.peers.texts import Text
from streamfilter import Rule

CHUNK = 4
CUTS = 30
GRAM = 6
"""A part of a secret counts as leaked from so many characters in a row."""
ROUNDS = 7


def chunked(text: str) -> list[str]:
    """In chunks of four characters: about a token."""
    return [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]


def cuts(text: str) -> Iterator[list[str]]:
    """Four-character chunks first, then random cuts into pieces of 2, 8, 64 and 1,000 characters on average, in turn."""
    yield chunked(text)
    rng = random.Random(13)
    for _, mean in zip(range(CUTS), itertools.cycle((2, 8, 64, 1000)), strict=False):
        places = sorted(rng.sample(range(1, len(text)), len(text) // mean))
        yield [text[start:end] for start, end in itertools.pairwise([0, *places, len(text)])]


@dataclass(frozen=True)
class Streamed:
    """What came out of a stream, and how many characters of it had come out before each chunk was asked for, and at the end."""

    output: str
    released: list[int]


async def streamed(peer: Peer, chunks: Sequence[str]) -> Streamed:
    """Run a stream and watch it."""
    output = ""
    released: list[int] = []

    def watched() -> Iterator[Any]:
        for item in peer.inputs(chunks):
            released.append(len(output))
            yield item

    async for piece in peer.pieces(watched()):
        output += piece
    return Streamed(output, released)


@dataclass(frozen=True)
class Leaks:
    """Secrets that stand in a streamed output but not in what the peer makes of the whole text."""

    whole: int = 0
    parts: int = 0

    def __str__(self) -> str:
        return f"{self.whole}+{self.parts}" if self.whole or self.parts else "0"


def leaks(text: Text, output: str, whole: str) -> Leaks:
    """Whole secrets, and others of which six characters in a row came out that stand at one place of the text only.

    A detector's misses are not counted: what stands in the whole text's output too has not leaked because of the stream.
    """
    once = {gram for gram, count in Counter(_grams(text.text)).items() if count == 1}
    out = set(_grams(output)) & once - set(_grams(whole))
    entire = {secret for secret in text.secrets if secret in output and secret not in whole}
    return Leaks(len(entire), sum(secret not in entire and not out.isdisjoint(_grams(secret)) for secret in text.secrets))


def _grams(text: str) -> Iterator[str]:
    return (text[at : at + GRAM] for at in range(len(text) - GRAM + 1))


@dataclass(frozen=True)
class Exactness:
    """In how many cuttings the output was that of the whole text; what leaked in chunks of four, and at the worst random cut."""

    equal: int
    chunked: Leaks
    worst: Leaks

    def __str__(self) -> str:
        return {CUTS + 1: "yes", 0: "never"}.get(self.equal, f"{self.equal} of {CUTS + 1}")

    def leaked(self) -> str:
        """The leaks in chunks of four; in brackets those at the worst random cut, if they are others."""
        return f"{self.chunked}" + (f" ({self.worst})" if self.worst != self.chunked else "")


async def exactness(peer: Peer, text: Text) -> Exactness:
    """One text, cut in every way."""
    whole = peer.comparable(await peer.whole(text.text))
    equal = 0
    leaked: list[Leaks] = []
    for chunks in cuts(text.text):
        output = peer.comparable((await streamed(peer, chunks)).output)
        equal += output == whole
        leaked.append(leaks(text, output, whole) if output != whole else Leaks())
    return Exactness(equal, leaked[0], max(leaked[1:], key=lambda each: (each.whole + each.parts, each.whole)))


@dataclass(frozen=True)
class Held:
    """Characters held after each chunk of clean text, and how many chunks went in before anything came out."""

    chars: list[int]
    first: int

    @property
    def mean(self) -> float:
        """On average."""
        return statistics.mean(self.chars)

    def __str__(self) -> str:
        late = statistics.quantiles(self.chars, n=20)[-1]
        return f"{self.mean:.3g} / {late:.3g} / {max(self.chars)}"


async def held(peer: Peer, text: str) -> Held | None:
    """How much is held of a text in which there is nothing to find; None if the peer finds something in it all the same."""
    if await peer.whole(text) != text:
        return None
    chunks = chunked(text)
    done = await streamed(peer, chunks)
    places = _places(text, done.output)
    released = [places[length] for length in done.released]
    # What is held after the last chunk is seen only of a peer whose stream is ended by something more, so it is left out of all.
    return _held(chunks, released[1 : len(chunks)])


def _places(text: str, output: str) -> list[int]:
    """For each length of an output its place in the text: what a peer has dropped, white space mostly, is not held."""
    places, at = [0], 0
    for character in output:
        at = text.find(character, at) + 1 or at
        places.append(at)
    return places


def _held(chunks: Sequence[str], released: Sequence[int]) -> Held:
    arrived = itertools.accumulate(map(len, chunks))
    chars = [came - went for came, went in zip(arrived, released, strict=False)]
    return Held(chars, next((count for count, went in enumerate(released, 1) if went), len(chunks)))


def least(text: str) -> Held:
    """The least that can be held of it under our rules: from the first place at which a match may still begin.

    By definition, not by our engine: `regex` is asked at each place. Checks are left out: in an open match a digit is still free.
    """
    chunks = chunked(text)
    released = [0]
    for end in itertools.accumulate(map(len, chunks)):
        begin = max(0, released[-1] - 100)  # more than any of the rules looks back
        window = text[begin:end]
        places = range(released[-1], end)  # one at which no match can begin stays so
        released.append(next((at for at in places if any(_open(rule, window, at - begin) for rule in RULES)), end))
    return _held(chunks[:-1], released[1:-1])


def _open(rule: Rule, text: str, at: int) -> bool:
    return rule.compiled.match(text, at, partial=True) is not None


async def times(peers: Mapping[type[Peer], Peer], text: str) -> dict[type[Peer], float]:
    """Microseconds of CPU per chunk of four, least of several rounds in turn. Inputs are made before: some are changed."""
    chunks = chunked(text)

    def prepared(peer: Peer) -> Callable[[], Awaitable[None]]:
        inputs = iter([peer.inputs(chunks) for _ in range(ROUNDS + 1)])  # one run more warms up
        return lambda: drain(peer.pieces(next(inputs)))

    taken = await compare({kind.__name__: prepared(peer) for kind, peer in peers.items()}, ROUNDS)
    return {kind: min(taken[kind.__name__]) / len(chunks) * 1e6 for kind in peers}
