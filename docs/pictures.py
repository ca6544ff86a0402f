"""Draws the pictures of the documentation into docs/pictures: `python docs/pictures.py`.

What they show is what the library does: every text and every number comes from running a stage. A test draws them again and
compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import streamfilter as sf
from streamfilter.detectors import CREDIT_CARD, EMAIL, PHONE

FOLDER = Path(__file__).parent / "pictures"
STYLE = """
  .page { fill: #ffffff; stroke: #d5d8e0 } text { fill: #24292f; font-family: system-ui, sans-serif; font-size: 14px }
  .mono { font-family: ui-monospace, Menlo, Consolas, monospace } .dim { fill: #6a737d }
  .gone { fill: #d3f0dc } .held { fill: #ffe2ae } .dead { fill: #f8c9c9 } .line { stroke: #d5d8e0 }
  .exact { stroke: #1a7f4b; fill: none; stroke-width: 2 } .window { stroke: #c0392b; fill: none; stroke-width: 2 }
  .sentence { stroke: #2f6fd0; fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #1f2430; stroke: #3a4150 } text { fill: #e6e8ee } .dim { fill: #9aa4b2 }
    .gone { fill: #1f5a38 } .held { fill: #7a5510 } .dead { fill: #7d2d2d } .line { stroke: #3a4150 }
    .exact { stroke: #4cc38a } .window { stroke: #ff8578 } .sentence { stroke: #7fb0ff }
  }
"""
ADVANCE = 8.43
"""Pixels of one character of the monospaced face at 14 px."""


def picture(width: int, height: int, title: str, body: str) -> str:
    """One picture, light or dark as its reader likes it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="page" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>\n{body}</svg>\n'
    )


def words(x: float, y: float, text: str, style: str = "") -> str:
    """Some words; those in the monospaced face are stretched to the grid, so that boxes fit in every font."""
    grid = f' textLength="{len(text) * ADVANCE:.1f}" lengthAdjust="spacingAndGlyphs"' if "mono" in style else ""
    return f'<text class="{style}" x="{x:.1f}" y="{y}" xml:space="preserve"{grid}>{escape(text)}</text>\n' if text else ""


def box(x: float, y: float, text: str, style: str) -> str:
    """A text on a colour."""
    shown = text.replace("\n", "⏎")
    if not shown:
        return ""
    width = len(shown) * ADVANCE
    return f'<rect class="{style}" x="{x:.1f}" y="{y - 15}" width="{width:.1f}" height="21"/>\n' + words(x, y, shown, "mono")


def steps(stage: sf.Stage[str, str], pieces: list[str]) -> Iterator[tuple[str, str, str]]:
    """After each piece: the piece, what of the text is held, and what left."""
    machine, text = stage.machine(), ""
    gone = 0
    for piece in pieces:
        before, text = gone, text + piece
        left = "".join(map(str, machine.feed(piece)))
        gone = max(n for n in range(before, len(text) + 1) if stage.apply(text[before:n]) == left)
        yield piece, text[gone:], left
    yield "", "", "".join(map(str, machine.finish()))


def hold() -> str:
    """What is held, and what leaves, piece by piece."""
    pieces = ["Write to ", "ada", "@exam", "ple.org", ", or", " call."]
    body = words(24, 34, "arrives", "dim") + words(130, 34, "held after it", "dim") + words(330, 34, "leaves", "dim")
    for row, (piece, held, left) in enumerate(steps(sf.Redact(EMAIL), pieces)):
        y = 64 + 30 * row
        body += f'<line class="line" x1="16" x2="544" y1="{y - 20}" y2="{y - 20}"/>\n'
        body += words(24, y, piece, "mono") if piece else words(24, y, "(the end)", "dim")
        body += box(130, y, held, "held") + box(330, y, left, "gone")
    return picture(560, 260, "An e-mail address is held while it may still grow, and leaves as [email]", body)


def windows() -> str:
    """How many characters are held after each chunk, by three ways to hold."""
    text = (
        "The boat house opens at nine. Write to Lena at lena.marsh@riverhouse.example and she keeps two kayaks. "
        "Card 4111 1111 1111 1111 is on file, so nothing is charged before you row. Bring a hat. "
    )
    chunks = [text[at : at + 4] for at in range(0, len(text), 4)]
    ways = {
        "exact": [len(held) for _, held, _ in steps(sf.Redact(EMAIL, PHONE, CREDIT_CARD), chunks)],
        "sentence": [len(held) for _, held, _ in steps(sf.Sentences(), chunks)],
        "window": [min(50, 4 * n) for n in range(1, len(chunks) + 1)],
    }
    names = {"exact": "what may still change", "sentence": "whole sentences", "window": "a fixed window of 50"}
    left, bottom, across, up = 60, 230, 440 / len(chunks), 2.1
    body = f'<line class="line" x1="{left}" x2="500" y1="{bottom}" y2="{bottom}"/>\n'
    for held in (0, 25, 50, 75):
        body += words(24, int(bottom - held * up + 5), str(held), "dim")
    for way, counts in ways.items():
        spots = " ".join(f"{left + n * across:.1f},{bottom - held * up:.1f}" for n, held in enumerate(counts[: len(chunks)]))
        body += f'<polyline class="{way}" points="{spots}"/>\n'
    body += words(24, 30, "characters held", "dim") + words(400, 256, "chunks of 4", "dim")
    for row, (way, name) in enumerate(names.items()):
        mean = sum(ways[way][: len(chunks)]) / len(chunks)
        y = 60 + 26 * row
        body += f'<polyline class="{way}" points="520,{y - 5} 545,{y - 5}"/>\n' + words(553, y, f"{name}: {mean:.0f}")
    body += words(520, 30, "and on average", "dim")
    return picture(780, 272, "Held characters: what may still change, whole sentences, a fixed window", body)


def endings() -> str:
    """What becomes of held text in each of the three endings."""
    stage = sf.Redact(EMAIL) | sf.StopAt("User:")
    cases = [
        ("the source ran out", ["Ask ada", "@exa"], "leaves", "gone"),
        ("a stage ended it", ["Ask Ada.\nUs", "er: what?"], "the stop string never leaves; source closed", "dead"),
        ("error, cancel, or left", ["Ask ada", "@exa"], "dies; source closed", "dead"),
    ]
    body = ""
    for row, (name, pieces, fate, style) in enumerate(cases):
        y = 44 + 44 * row
        machine = stage.machine()
        left = "".join(item for piece in pieces for item in machine.feed(piece) if isinstance(item, str))
        rest = "".join(pieces)[len(left) :]
        body += words(24, y, name) + box(200, y, left, "gone")
        body += box(200 + len(left) * ADVANCE + 3, y, rest, style)
        body += words(212 + (len(left) + len(rest.replace("\n", "⏎"))) * ADVANCE, y, fate, "dim")
    return picture(760, 160, "Held text leaves when the source has run out, and dies on an error", body)


PICTURES = {"hold.svg": hold, "windows.svg": windows, "endings.svg": endings}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
