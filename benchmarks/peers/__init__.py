"""What users would pick instead, on the same work in the same process: `python -m benchmarks peers`.

None of the peers has to be installed; those that are not are named. `pip install --group peers` gets them all, in the versions that
docs/comparison.md has measured, and belongs into an environment of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TypeVar

from benchmarks.peers import adapters, blocking, documents, rails
from benchmarks.peers.adapters import Peer, Streamfilter
from benchmarks.peers.measure import Held, exactness, held, least, times
from benchmarks.peers.texts import clean, texts

REDACTORS = (*adapters.PEERS, *rails.RAILS)
_T = TypeVar("_T")


@dataclass
class Table:
    """What was measured, for a page.

    Args:
        title: what it is about.
        head: the columns' names.
        notes: what their words mean.
        rows: the cells.
    """

    title: str
    head: Sequence[str]
    notes: str
    rows: list[Sequence[str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """By which it can be asked for."""
        return self.title.lower().replace(" ", "-")

    def __str__(self) -> str:
        rows = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + f"\n\n{self.notes}"

    def absent(self, name: str, why: str) -> None:
        """A row for a peer that could not be measured."""
        self.rows.append((name, why, *[""] * (len(self.head) - 2)))


def _made(kinds: Sequence[type[_T]], table: Table, make: Callable[[type[_T]], object]) -> dict[type[_T], object]:
    """One of each kind that is installed; rows for the others come at once."""
    made: dict[type[_T], object] = {}
    for kind in kinds:
        package: str = kind.package  # type: ignore[attr-defined]  # both kinds have one
        try:
            version(package)
            made[kind] = make(kind)
        except ImportError as error:  # a package without metadata raises one too
            needs = "" if error.name in (package, None) else f": needs {error.name}"
            table.absent(_named(kind, installed=False), "not installed" + needs)
    return made


def _named(kind: type, *, installed: bool = True) -> str:
    name = f"{kind.package} {version(kind.package)}" if installed else str(kind.package)  # type: ignore[attr-defined]
    return f"{name}, {kind.detail}" if kind.detail else name  # type: ignore[attr-defined]


async def redaction() -> Table:
    """Who redacts."""
    table = Table(
        "Redaction",
        (
            "peer",
            "exact: short / long / late",
            "leaks (whole + fragment)",
            "held on clean text, mean / p95 / max characters",
            "chunks to first release",
            "µs per chunk",
            "/ streamfilter",
        ),
        "Exact: what comes out, in chunks of 4 characters and at 30 random cuts, is what the peer makes of the whole text. Leaks:\n"
        "in chunks of 4 characters; in brackets at the worst random cut, if that differs; what the peer's detectors miss in the\n"
        'whole text does not count. µs of CPU per chunk of "short", least of several rounds in turn.',
    )
    work, plain = texts(), clean()
    absent = Table("", table.head, "")
    made = _made(REDACTORS, absent, lambda kind: [kind(text.secrets) for text in work])
    peers: dict[type[Peer], list[Peer]] = made  # type: ignore[assignment]
    taken = await times({kind: each[0] for kind, each in peers.items()}, work[0].text)
    for kind, each in peers.items():
        found = [await exactness(peer, text) for peer, text in zip(each, work, strict=True)]
        clear = await held(each[0], plain)
        cost = taken[kind]
        exact, leaked = " / ".join(map(str, found)), " / ".join(one.leaked() for one in found)
        ratio = cost / taken[Streamfilter]
        table.rows.append((_named(kind), exact, leaked, *_held(clear), _figure(cost), _figure(ratio)))
    table.rows += [*absent.rows, ("the least that can be held", "yes", "0", *_held(least(plain)), "–", "–")]
    return table


async def stopping() -> Table:
    """Who stops a stream."""
    table = Table(
        "Blocking",
        (
            "peer",
            "stopped",
            "exact",
            "sent of the phrase",
            "lost before it",
            "held on clean text, mean / p95 / max characters",
            "chunks to first release",
            "µs per chunk",
            "/ streamfilter",
        ),
        "Over the same 31 cuttings of a text with one forbidden phrase. Exact: all before the phrase came out, and nothing of it.\n"
        "Sent and lost: characters, at the worst cutting. µs of CPU per chunk of 4 characters of clean text, least of several\n"
        "rounds in turn.",
    )
    text, plain = blocking.forbidden(), clean()
    absent = Table("", table.head, "")
    peers: dict[type[Peer], Peer] = _made(blocking.BLOCKERS, absent, lambda kind: kind([]))  # type: ignore[assignment]
    taken = await times(peers, plain)
    for kind, peer in peers.items():
        found = await blocking.stopped(peer, text)
        cost, ratio = taken[kind], taken[kind] / taken[blocking.StreamfilterBlock]
        table.rows.append((_named(kind), *found.cells(), *_held(await held(peer, plain)), _figure(cost), _figure(ratio)))
    table.rows += absent.rows
    return table


async def parsing() -> Table:
    """Who gives values of a document that is still arriving."""
    sizes = list(documents.SIZES)
    table = Table(
        "Partial JSON",
        (
            "peer",
            "last value right",
            "values taken back",
            "string characters not shown, mean / max",
            "chunks to first value",
            *(f"µs per chunk, {size}" for size in sizes),
        ),
        "Chunks of 4 characters, and for the last value 30 random cuts too: is it that of `json.loads`? Taken back: values that\n"
        "were shown and were not true of the document, such as 12 on the way to 123. µs of CPU per chunk with a value after\n"
        "each, least of several rounds in turn; – where it would have taken too long. Of a model: those know fields of a model\n"
        "only, and show a document of its own.",
    )
    absent = Table("", table.head, "")
    parsers: dict[type[documents.Parser], documents.Parser] = _made(
        documents.PARSERS,
        absent,
        lambda kind: kind(),
    )  # type: ignore[assignment]
    costs = await documents.micros(list(parsers.values()))
    for (kind, parser), cost in zip(parsers.items(), costs, strict=True):
        found = documents.shown(parser)
        right = "yes" if found.right == found.cuttings else f"{found.right} of {found.cuttings}"
        hidden = f"{found.hidden[0]:.2g} / {found.hidden[1]}"
        micros = (_figure(cost[size]) if size in cost else "–" for size in sizes)
        table.rows.append((_named(kind), right, str(found.back), hidden, str(found.first), *micros))
    table.rows += absent.rows
    return table


def _figure(value: float) -> str:
    """Three digits; of large figures all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _held(held: Held | None) -> tuple[str, str]:
    return (str(held), str(held.first)) if held else ("finds something in it", "–")


TABLES: dict[str, Callable[[], Awaitable[Table]]] = {"redaction": redaction, "blocking": stopping, "partial-json": parsing}
"""By the names they can be asked for with; a page has marks of the same names."""
