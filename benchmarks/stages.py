"""What each text stage costs on chunks of 4 characters, against a lifted stage that does nothing; and whether that stays flat."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import streamfilter as sf
from benchmarks.figures import Figure, TextSource, compare, ratio
from benchmarks.kernel import Keep, drain
from streamfilter.detectors import PII

WORDS = "the river runs along a valley until it meets the sea where boats wait for evening and small lights".split()


def prose(chars: int) -> str:
    """Text as models write it: sentences, now and then a new paragraph."""
    rng = random.Random(chars)
    out: list[str] = []
    size = 0
    while size < chars:
        sentence = " ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 16))).capitalize()
        sentence += rng.choice([". ", ". ", "? ", ".\n\n"])
        out.append(sentence)
        size += len(sentence)
    return "".join(out)[:chars]


def marked(chars: int) -> str:
    """Markdown as models write it: every few sentences emphasis, code, a link or a list."""
    rng = random.Random(chars)
    marks = ("**the sea**", "`valley()`", "[boats](https://example.org/boats)", "\n\n- small lights\n- *evening*\n\n")
    text = prose(chars)
    return "".join(part + rng.choice(marks) if n % 24 == 23 else part for n, part in enumerate(text.split(" ")))[:chars]


def reasoned(chars: int) -> str:
    """An answer with a thought before each part of it."""
    return "".join(f"<think>{prose(400)}</think>{prose(600)}" for _ in range(0, chars, 1000))[:chars]


def coded(chars: int) -> str:
    """Prose with blocks of code."""
    code = "for each in every:\n    total += each.size  # of all\n\n" * 6
    return "".join(f"{prose(400)}\n```python\n{code}```\n" for _ in range(0, chars, 700))[:chars]


def cited(chars: int) -> str:
    """Prose with a citation behind each sentence."""
    return prose(chars).replace(". ", " [1]. ")[:chars]


def answered(chars: int) -> str:
    """An answer from a search, with as many marks of Markdown as the densest that was recorded: one character in 12 is one."""
    rng = random.Random(chars)
    out: list[str] = []
    size = 0
    while size < chars:
        one, two, three = rng.sample(WORDS, 3)
        site = "https://www.example.org/"
        price = f"**${rng.randint(100, 999)}.18**"
        said = " ".join(rng.choice(WORDS) for _ in range(rng.randint(8, 14)))
        item = rng.choice(
            [
                f"\n### {one.title()} and {two}\n\n{said.capitalize()}, with `{three}()` of {one}.\n\n",
                f"- **{one.title()}** {said}, closed at {price}, not {price} ([{three}.org]({site}{one}/{two}?by={three})).\n",
                f"{rng.randint(1, 9)}. **{two.title()}**: {said}, for a {two} of *{one}*, and then {three} at {price}.\n",
            ]
        )
        out.append(item)
        size += len(item)
    return "".join(out)[:chars]


def _blank(text: str) -> int | None:
    return text.find(" ") + 1 or None


STAGES: dict[str, tuple[Callable[[], sf.Stage[Any, Any]], Callable[[int], str]]] = {
    "MapText": (lambda: sf.MapText(str.upper), prose),
    "Links": (lambda: sf.Links(["example.org"]), prose),
    "Links, Markdown": (lambda: sf.Links(["example.org"]), marked),
    "Links, an answer from a search": (lambda: sf.Links(["example.org"]), answered),
    "Markdown": (sf.Markdown, marked),
    "Markdown, an answer from a search": (sf.Markdown, answered),
    "Extract": (lambda: sf.Extract("think"), reasoned),
    "Extract, code": (lambda: sf.Extract("think", code=True), coded),
    "CodeFences": (sf.CodeFences, coded),
    "StopAt": (lambda: sf.StopAt("\nUser:"), prose),
    "Limit, at sentences": (lambda: sf.Limit(max_chars=1_000_000), prose),
    "Limit, of words": (lambda: sf.Limit(max_words=1_000_000, at="word"), prose),
    "Repetition": (sf.Repetition, prose),
    "Citations": (sf.Citations, prose),
    "Citations, one behind each sentence": (sf.Citations, cited),
    "Collect": (lambda: sf.Collect(id), prose),
    "Words": (sf.Words, prose),
    "Lines": (sf.Lines, prose),
    "Paragraphs": (sf.Paragraphs, prose),
    "Sentences": (sf.Sentences, prose),
    "Sentences, an answer from a search": (sf.Sentences, answered),
    "Graphemes": (sf.Graphemes, prose),
    "Chunks": (lambda: sf.Chunks(10), prose),
    "Segments": (lambda: sf.Segments(_blank), prose),
    "Normalize": (lambda: sf.Normalize("NFC"), prose),
    "Normalize, accents": (lambda: sf.Normalize("NFC"), lambda chars: prose(chars).replace("e", "\u00e9").replace("o", "\u0153")),
    "Strip": (sf.Strip, prose),
    "Collapse": (sf.Collapse, prose),
    "Collapse, lines": (lambda: sf.Collapse(lines=True), prose),
    "Translate": (lambda: sf.Translate({"e": "E", "q": None}), prose),
    "StripANSI": (sf.StripANSI, prose),
    "StripANSI, colours": (sf.StripANSI, lambda chars: prose(chars * 3 // 4).replace(" the ", " \x1b[1mthe\x1b[0m ")[:chars]),
    "Unicode": (sf.Unicode, prose),
    "Unicode, emoji": (sf.Unicode, lambda chars: prose(chars).replace(". ", "\u2764\ufe0f\u200d\U0001f525 ")),
}
"""Each text stage, and what makes a text for it of some length."""


def _fed(stage: sf.Stage[Any, Any], text: str) -> Callable[[], Awaitable[object]]:
    chunks: Sequence[str] = [text[at : at + 4] for at in range(0, len(text), 4)]

    async def run() -> None:
        machine = stage.machine()
        feed = machine.feed
        for chunk in chunks:
            feed(chunk)
        machine.finish()

    return run


async def figures() -> list[Figure]:
    """Each stage against one that does nothing, and on a long text against a short one."""
    found: list[Figure] = []
    for name, (make, text_of) in STAGES.items():
        short, long = text_of(20_000), text_of(400_000)
        runs = {"bare": _fed(Keep(), short), "short": _fed(make(), short), "long": _fed(make(), long)}
        taken = await compare(runs, rounds=5)
        micros = min(taken["short"]) / len(short) * 4e6
        found.append(
            Figure(
                f"{name} / a lifted stage that does nothing", ratio(taken["short"], taken["bare"]), 5, f"{micros:.3g} µs a chunk"
            )
        )
        found.append(Figure(f"{name}, cost of 400 KB / 20 times that of 20 KB", ratio(taken["long"], taken["short"]) / 20, 1.25))
    return [*found, await _five("Markdown", marked(40_000)), await _five("an answer from a search", answered(40_000))]


async def _five(kind: str, text: str) -> Figure:
    """Five of them in a row, in a stream, against a bare `async for`."""
    five = sf.Extract("think") | sf.Redact(*PII) | sf.Links(["example.org"]) | sf.Markdown() | sf.Words()
    chunks = [text[at : at + 4] for at in range(0, len(text), 4)]
    taken = await compare({"five": lambda: drain(five(TextSource(chunks))), "bare": lambda: drain(TextSource(chunks))}, rounds=5)
    micros = min(taken["five"]) / len(chunks) * 1e6
    name = f"Extract | Redact(PII) | Links | Markdown | Words, {kind} / bare async for"
    return Figure(name, ratio(taken["five"], taken["bare"]), 100, f"{micros:.3g} µs a chunk")
