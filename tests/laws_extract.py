"""What `Extract` and `CodeFences` mean for a whole text, written down apart from them; and the rows for the table of laws."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt

import streamfilter as sf
from streamfilter.testing.laws import AnyStage

COMMONMARK = MarkdownIt("commonmark").disable(["html_block", "list", "blockquote"])
"""What stands in these is read as if it did not."""
TOKENS = ("<t>", "</t>", "[", "]", "$$", "<T>", "<", "t>", "/", "$", "a", " ", "\n")


def code_places(text: str) -> set[int]:
    """The places of a text that are in code: in a block that CommonMark finds, or in a span within one line outside of those."""
    starts = [0, *(found.end() for found in re.finditer("\n", text)), len(text)]
    places: set[int] = set()
    blocks: set[int] = set()
    for token in COMMONMARK.parse(text):
        if token.type == "fence" and token.map:
            blocks |= set(range(*token.map))
            places |= set(range(starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]))
    for number, line in enumerate(text.split("\n")):
        if number not in blocks:
            for span in re.finditer(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", line):
                places |= set(range(starts[number] + span.start(), starts[number] + span.end()))
    return places


def sections(
    text: str,
    *pairs: tuple[str, str],
    begins: str = "outside",
    unclosed: str = "extract",
    many: bool = True,
    nested: bool = False,
    strip: bool = False,
    code: bool = False,
    ignore_case: bool = False,
) -> list[tuple[str, str]]:
    """What stands in a text: pairs of "out" or "in", and the text. One place after the other, each tried with each marker."""
    look = text.lower() if ignore_case else text
    hidden = code_places(text) if code else set()

    def at(place: int, markers: Sequence[tuple[str, int]]) -> tuple[str, int] | None:
        if place in hidden:
            return None
        fitting = [marker for marker in markers if look.startswith(marker[0], place)]
        return max(fitting, key=lambda marker: len(marker[0])) if fitting else None

    def first(place: int, markers: Sequence[tuple[str, int]]) -> tuple[int, str, int] | None:
        found = ((n, marker) for n in range(place, len(text)) if (marker := at(n, markers)))
        return next(((n, marker[0], marker[1]) for n, marker in found), None)

    opens = [(opening, number) for number, (opening, _) in enumerate(pairs)]
    closes = [(closing, -number - 1) for number, (_, closing) in enumerate(pairs)]
    out: list[tuple[str, str]] = []

    def inside(place: int, numbers: Sequence[int]) -> tuple[int, int] | None:
        """Where the section that is open there ends, and the text behind it begins."""
        depth = 1
        while found := first(place, [closes[n] for n in numbers] + [opens[n] for n in numbers if nested]):
            depth += 1 if found[2] >= 0 else -1
            place = found[0] + len(found[1])
            if not depth:
                return found[0], place
        return None

    everything = range(len(pairs))
    place = 0
    if begins == "either":
        found = first(0, opens + closes)
        begins = "inside" if found and found[2] < 0 else "outside"
    opened: tuple[int, Sequence[int]] | None = (0, everything) if begins == "inside" else None
    if opened and (marker := at(0, opens)):
        opened = (len(marker[0]), [marker[1]])
    start = 0
    while True:
        if opened is None:
            found = first(place, opens)
            if not found:
                return [*out, ("out", text[start:])]
            out.append(("out", text[start : found[0]]))
            start, opened = found[0], (found[0] + len(found[1]), [found[2]])
        end = inside(opened[0], opened[1])
        if end is None and unclosed == "extract":
            return [*out, ("in", text[opened[0] :])]
        if end is None:
            place, opened = opened[0], None
            continue
        out.append(("in", text[opened[0] : end[0]]))
        opened = None
        place = start = end[1]
        if strip:
            place = start = len(text) - len(text[start:].lstrip())
        if not many:
            return [*out, ("out", text[start:])]


def shown(pieces: Sequence[tuple[str, str]]) -> str:
    """Sections in upper case, and the text around them as it is."""
    return "".join(text if kind == "out" else text.upper() for kind, text in pieces)


def dropped(pieces: Sequence[tuple[str, str]]) -> str:
    """The text around sections."""
    return "".join(text for kind, text in pieces if kind == "out")


@sf.stage
class Shown(sf.Stage[str, str]):
    """Text of a kind of channel in upper case, in the answer: so that text in two channels is one text again."""

    kind: str = "reasoning"

    def machine(self, context: sf.Context | None = None) -> sf.Machine:
        return _Shown(self.kind)


class _Shown(sf.Machine):
    def __init__(self, kind: str) -> None:
        self._kind = kind

    def feed(self, item: sf.Item) -> Sequence[sf.Item]:
        if isinstance(item, sf.TextDelta) and item.channel.kind == self._kind:
            text = item.text.upper()
            return (sf.TextDelta(text, sf.Channel("answer", item.channel.key), item.origin),)
        return (item,)


def fenced(text: str, *, within: bool = False) -> str:
    """A text without the blocks that CommonMark finds; or with what they hold, in upper case."""
    lines = text.split("\n")
    ends = [*("\n" for _ in lines[1:]), ""]
    out = [line + end for line, end in zip(lines, ends, strict=True)]
    for token in COMMONMARK.parse(text):
        if token.type == "fence" and token.map:
            last = min(token.map[1], len(out))
            out[token.map[0] : last] = ["" for _ in range(token.map[0], last)]
            if within:
                out[token.map[0]] = token.content.upper()
    return "".join(out)


T = ("<t>", "</t>")
U = ("<tt>", "</tt>")
S = ("$$", "$$")
Q = ("[", "]")

LAWFUL3: list[tuple[AnyStage, Callable[[str], str], Sequence[str]]] = [
    (sf.Extract(Q, to="drop"), lambda text: dropped(sections(text, Q)), "[]a "),
    (sf.Extract("t", to="drop"), lambda text: dropped(sections(text, T)), [*"<t>/a", "<t>", "</t>"]),
    (sf.Extract(S, to="drop"), lambda text: dropped(sections(text, S)), "$a"),
    (sf.Extract(("ab", "ba"), ("a", "b"), to="drop"), lambda text: dropped(sections(text, ("ab", "ba"), ("a", "b"))), "ab "),
    (sf.Extract(Q, to="drop", begins="inside"), lambda text: dropped(sections(text, Q, begins="inside")), "[]a "),
    (sf.Extract(Q, to="drop", begins="either"), lambda text: dropped(sections(text, Q, begins="either")), "[]a "),
    (sf.Extract(Q, to="drop", unclosed="keep"), lambda text: dropped(sections(text, Q, unclosed="keep")), "[]a "),
    (sf.Extract(Q, to="drop", nested=True), lambda text: dropped(sections(text, Q, nested=True)), "[]a "),
    (sf.Extract(Q, to="drop", strip=True, many=False), lambda text: dropped(sections(text, Q, strip=True, many=False)), "[]a "),
    (sf.Extract(Q, to="drop", code=True), lambda text: dropped(sections(text, Q, code=True)), "[]`\na"),
    (sf.Extract(Q) | Shown(), lambda text: shown(sections(text, Q)), "[]a "),
    (sf.Extract(Q, unclosed="keep") | Shown(), lambda text: shown(sections(text, Q, unclosed="keep")), "[]a "),
    (sf.Extract(Q, begins="either") | sf.Drop("reasoning"), lambda text: dropped(sections(text, Q, begins="either")), "[]a "),
    (sf.CodeFences(), fenced, "`~a\n"),
    (sf.CodeFences(to="drop"), fenced, "`\na "),
    (sf.CodeFences(to="code") | Shown("code"), lambda text: fenced(text, within=True), [*"`\na", "```", "\n```\n"]),
]
"""Stages, what they mean, and the characters or pieces of the texts."""
