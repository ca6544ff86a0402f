"""What users would pick instead, on the same work in the same run: `python -m benchmarks peers`.

None of the peers has to be installed. `pip install sether langchain "litellm[proxy]" llm-redacted llm-stream-processor` gets all.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from benchmarks.figures import ratio
from benchmarks.peers.adapters import PEERS, Peer, Streamfilter
from benchmarks.peers.measure import Exactness, Held, chunked, exactness, held, least, times
from benchmarks.peers.texts import Text, clean, texts

_HEAD = (
    "peer",
    "exact: short / long / late",
    "leaks (whole + fragment)",
    "held on clean text, mean / p95 / max characters",
    "chunks to first release",
    "µs per chunk",
    "/ streamfilter",
)
_NOTES = """
Exact: what comes out, in chunks of 4 characters and at 30 random cuts, is what the peer makes of the whole text. Leaks: in chunks
of 4 characters; in brackets at the worst random cut, if that differs; what the peer's detectors miss in the whole text does not
count. µs of CPU per chunk of "short". What each peer was told, and why: benchmarks/peers/adapters.py."""


async def table() -> str:
    """Measure all that is installed: a Markdown table and what its words mean."""
    work, plain = texts(), clean()
    made: dict[type[Peer], list[Peer]] = {}
    missing: list[tuple[str, ...]] = []
    for kind in PEERS:
        try:
            version(kind.package)
            made[kind] = [kind(text.secrets) for text in work]
        except ImportError as error:  # a package without metadata raises one too
            needs = "" if error.name == kind.package else f": needs {error.name}"
            missing.append((_named(kind, kind.package), "not installed" + needs, *[""] * (len(_HEAD) - 2)))
    rows = {kind: await _measured(kind, peers, work, plain) for kind, peers in made.items()}
    taken = await times({kind: peers[0] for kind, peers in made.items()}, work[0].text)
    for kind, row in rows.items():
        micros = min(taken[kind]) / len(chunked(work[0].text)) * 1e6
        rows[kind] = (*row, f"{micros:.3g}", f"{ratio(taken[kind], taken[Streamfilter]):.2g}")
    lower = ("the least that can be held", "yes", "0", *_held(least(plain)), "–", "–")
    return "\n".join(map(_line, [_HEAD, ("---",) * len(_HEAD), *rows.values(), *missing, lower])) + "\n" + _NOTES


async def _measured(kind: type[Peer], peers: Sequence[Peer], work: Sequence[Text], plain: str) -> tuple[str, ...]:
    found: list[Exactness] = [await exactness(peer, text) for peer, text in zip(peers, work, strict=True)]
    name = _named(kind, f"{kind.package} {version(kind.package)}")
    leaked = " / ".join(each.leaked() for each in found)
    return (name, " / ".join(map(str, found)), leaked, *_held(await held(peers[0], plain)))


def _held(held: Held | None) -> tuple[str, str]:
    return (str(held), str(held.first)) if held else ("finds something in it", "–")


def _named(kind: type[Peer], name: str) -> str:
    return f"{name}, {kind.detail}" if kind.detail else name


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
