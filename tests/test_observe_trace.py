"""The trace report: what it says is what happened, by independent reckoning; and no text of the stream is in it."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from recordings import SHARED, index

import streamfilter as sf
from streamfilter import observe
from streamfilter.detectors import PII, SECRETS
from streamfilter.observe import least
from streamfilter.observe.least import least_holds
from streamfilter.observe.page import MAX_POINTS, line_of, thinned, time_of
from streamfilter.observe.recordings import CHUNKS_PER_SECOND, MAX_BYTES, pieces_of
from streamfilter.observe.tracing import Step
from streamfilter.providers import openai

RECORDING = Path(str(files("streamfilter.cli").joinpath("recordings", "redaction.sse")))
SECRETS_IN_IT = ("@", "4111", "sk-")
"""Parts of what is redacted in that recording."""

SAFE = sf.Redact(*PII, *SECRETS) | sf.StopAt("\nUser:")


def answer() -> list[str]:
    """The pieces of the recording's answer, read by `json` alone."""
    lines = [line[6:] for line in RECORDING.read_text().splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"].get("content") for line in lines for choice in json.loads(line)["choices"]]
    return [delta for delta in deltas if delta]


# ---------------------------------------------------------------------- the least hold


@pytest.mark.parametrize("pattern", ["ab", "abb", "b", "aab", "abab"])
@pytest.mark.parametrize("text", ["abab", "aabba", "bbabab", "aaaaab"])
def test_the_least_hold_is_that_of_brute_force(pattern: str, text: str) -> None:
    """Where a replacement is as long as its match, places in the output are places in the input: what all continuations agree on is
    a common prefix of `re.sub`, tried for every text of two letters."""
    stage = sf.Redact(pattern, to="#" * len(pattern))
    endings = ["".join(each) for n in range(6) for each in itertools.product("ab", repeat=n)]
    for end in range(1, len(text) + 1):
        outs = [re.sub(pattern, "#" * len(pattern), text[:end] + more) for more in endings]
        common = next((n for n in range(end) if len({out[n] for out in outs if n < len(out)}) > 1), end)
        held = end - common
        assert least_holds(stage, text, [end], [held]) == [held]
        assert least_holds(stage, text, [end], [end]) == [held], "a stage that holds more is told so"


def test_what_a_stage_holds_for_nothing_is_shown() -> None:
    """A stage that holds all to the end, and changes nothing, need hold nothing."""

    class _Late(sf.TextMachine):
        def feed(self, text: str) -> None:
            pass

    @sf.stage
    class Late(sf.TextStage):
        def start(self, context: sf.Context | None = None) -> sf.TextMachine:
            return _Late()

    seen = observe.trace(Late(), ["abc", "def"])
    assert [(step.held, step.least) for step in seen.steps] == [(3, 0), (6, 0), (0, 0)]


@pytest.mark.parametrize("seed", range(4))
def test_no_more_is_ever_proved_than_was_held(seed: int) -> None:
    """For pipelines of all kinds, on random texts at random cuts."""
    rng = random.Random(seed)
    words = ["call ", "555 0100", " a@b.de", "**bold**", "[x](y)", "\n", "User:", "<think>", "END", ". "]
    text = "".join(rng.choices(words, k=20))
    pieces = [text[n : n + 3] for n in range(0, len(text), 3)]
    stages: list[sf.Stage[Any, Any]] = [
        SAFE,
        sf.Markdown(),
        sf.Words() | sf.StopAt("END"),
        sf.Extract("think") | sf.Strip(),
        sf.Pipeline(),
    ]
    for stage in stages:
        seen = observe.trace(stage, pieces)
        assert all(0 <= (step.least or 0) <= step.held for step in seen.steps)


COPIED = (
    SAFE,
    sf.Redact(r"(\w)\1{3,}", sf.Terms(["Call me", "quick"]), r"b(?=o)"),
    sf.Replace(r"(\w+) (?P<two>\w+)", r"\g<two> \1"),
    sf.Redact(*PII, to=sf.Placeholder()) | sf.Words() | sf.Collapse(),
    sf.Links(allow=["b.de"]) | sf.Extract("think"),
    sf.Limit(max_words=30) | sf.Strip(),
)
NOT_COPIED = (sf.Markdown(), sf.Redact("quick") | sf.Markdown())
"""Generators: their copies would share them."""


@pytest.mark.parametrize("stage", [*COPIED, *NOT_COPIED], ids=repr)
def test_copies_of_a_machine_show_what_machines_fed_anew_do(stage: sf.Stage[Any, Any]) -> None:
    """In all that is computed. That copies share what they change is noticed."""
    rng = random.Random(7)
    words = [
        "call ",
        "555 0100",
        " a@b.de",
        "**bold**",
        "[x](https://b.de)",
        "\n",
        "User:",
        "<think>",
        "quick",
        "aaaa",
        '{"a": "qu',
        '"}',
    ]
    text = "".join(rng.choices(words, k=40))
    pieces = [text[n : n + 3] for n in range(0, len(text), 3)]
    steps = observe.trace(stage, pieces, least=False).steps
    places = [(step.received, step.held) for step in steps if step.held]
    copied = least._by_copies(stage, text, places, least._Probes(stage, text))
    anew = least._by_replays(stage, text, places, least._Probes(stage, text))
    assert copied == (anew if stage in COPIED else None)
    assert len(anew) == len(places) > 5


def test_what_would_take_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And said to be."""
    whole = observe.trace(SAFE, RECORDING)
    monkeypatch.setattr("streamfilter.observe.least.MAX_CHARS", 40_000)
    seen = observe.trace(SAFE, RECORDING)
    left_out = [n for n, step in enumerate(seen.steps) if step.least is None]
    tried = [n for n, step in enumerate(seen.steps) if step.held and step.least is not None]
    assert left_out
    assert tried[0] < left_out[0], "the beginning is tried"
    assert len(left_out) < tried[-1] + len(tried), "and so on to the end"
    assert all(seen.steps[n].least == whole.steps[n].least for n in tried)
    assert all(step.least == 0 for step in seen.steps if not step.held)
    assert re.search(r"computed at \d+ of \d+ chunks", seen.html())
    assert "computed at" not in whole.html()
    assert "not computed" in observe.trace(SAFE, RECORDING, least=False).html()


# ---------------------------------------------------------------------- what is traced


def test_a_trace_of_a_recording() -> None:
    """Characters received are those of the recording; what was released is what `apply` gives; the pace is even."""
    seen = observe.trace(SAFE, RECORDING, least=False)
    pieces = answer()
    ends = list(itertools.accumulate(map(len, pieces)))
    out = SAFE.apply("".join(pieces))
    *steps, last = seen.steps
    assert [step.received for step in steps] == ends[: len(steps)]
    assert [step.seconds for step in steps] == pytest.approx([n / CHUNKS_PER_SECOND for n in range(len(steps))])
    assert (last.released, last.held) == (len(out), 0)
    assert seen.chunks == len(pieces)
    assert seen.stages == ("Redact", "StopAt")
    with SAFE.iter(pieces) as stream:
        list(stream)
        assert seen.counts == stream.report.counts
        assert [(each.rule, each.start, each.end) for each in seen.findings] == [
            (f.rule, f.start, f.end) for f in stream.report.findings
        ]
    assert all(sum(step.holds) == step.held for step in seen.steps)


def test_released_and_held_are_those_of_the_stream() -> None:
    """At each step, against a machine that is fed by hand."""
    pieces = ["pin 12", "34 ", "and 5", "6", "78", " bye"]
    stage = sf.Redact(r"\d{4}", to="#")
    machine = stage.machine()
    want, received, released = [], 0, 0
    for piece in pieces:
        received += len(piece)
        released += sum(len(str(out)) for out in machine.feed(piece))
        want.append((received, released, machine.held))
    seen = observe.trace(stage, pieces)
    assert [(step.received, step.released, step.held) for step in seen.steps[:-1]] == want


@pytest.mark.parametrize("is_nested", [False, True])
def test_stages_that_wait_are_traced_in_time(is_nested: bool) -> None:
    """Checks and their answers are in it, in an event loop or, as in a notebook, where one runs already."""

    async def check(window: sf.Window) -> bool:
        await asyncio.sleep(0)
        return "bad" not in window.text

    stage = sf.Redact("x") | sf.Moderate(check, action="stop", message="No.")

    def run() -> observe.Trace:
        return observe.trace(stage, ["One. ", "A bad", " one. ", "Two."], chunks_per_second=1000)

    async def nested() -> observe.Trace:
        return run()

    seen = asyncio.run(nested()) if is_nested else run()
    assert len(seen.checks) == 2
    assert [found.action for found in seen.findings] == ["block"]
    assert str(seen.stats.ending) == "stopped"
    assert seen.steps[-1].released == len("One. " + "No.")
    assert all(step.least is None for step in seen.steps)
    assert "from being asked to their verdict" in seen.html()


def test_a_pipeline_that_refuses_is_traced_to_its_end() -> None:
    """How it ended is part of the trace, not an error of it."""
    seen = observe.trace(sf.Block("secret"), ["a se", "cret", " more"])
    assert str(seen.stats.ending) == "stopped (Blocked)"
    assert [(found.start, found.end) for found in seen.findings] == [(2, 8)]


def test_an_exception_of_ones_own_stage_is_part_of_the_trace() -> None:
    """By its class; and what goes wrong before the stream begins is raised."""

    def fail(text: str) -> str:
        raise ZeroDivisionError

    assert str(observe.trace(sf.MapText(fail), ["a"]).stats.ending) == "stopped (ZeroDivisionError)"


@pytest.mark.parametrize(
    ("recording", "pieces"),
    [
        (b"A plain text.", ["A", " plain", " text."]),
        ("ü ö\n".encode(), ["ü", " ö", "\n"]),
        (b"\xef\xbb\xbfText", ["Text"]),
        (b"", []),
        (["a", "b"], ["a", "b"]),
        (b'{"an": "answer"}', ['{"an"', ":", ' "answ', 'er"}']),
        (b":-) hello", [":-)", " hello"]),
        (b"event: x\nid\n\n", ["event", ":", " x", "\nid", "\n\n"]),
        (b': a comment\n\nevent: x\r\ndata: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n', ["Hi"]),
        (b'{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}\n{"model":"m","message":{"role":"assistant","content":"lo"},"done":true}\n', ["Hel", "lo"]),
        (b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n', ["Hi"]),
    ],
)  # fmt: skip
def test_recordings_of_all_kinds_are_read(recording: Any, pieces: list[str]) -> None:
    """Texts in pieces like tokens, event streams, lines of JSON."""
    assert pieces_of(recording) == pieces
    if isinstance(recording, bytes) and b"content" not in recording:
        assert "".join(pieces) == recording.decode("utf-8-sig")


@pytest.mark.parametrize("entry", [entry for entry in index()[::12] if entry["text_chars"]], ids=lambda entry: entry["file"])
def test_recorded_streams_of_all_providers_are_traced(entry: dict[str, Any]) -> None:
    """So many characters were received as the index says that the answer has."""
    seen = observe.trace(sf.Redact(*PII), SHARED / entry["file"], least=False)
    assert seen.steps[-1].received == entry["text_chars"]
    assert seen.steps[-1].held == 0
    assert f"What happened to {Path(entry['file']).name}" in seen.html()


@pytest.mark.parametrize(
    ("recording", "error", "says"),
    [
        (b"\xff\xfe\x80", sf.MalformedInput, "neither a provider's stream nor text"),
        (b"x" * (MAX_BYTES + 1), sf.MalformedInput, "longer than"),
        ("text", TypeError, "give a Path"),
        (b"data: {bad}\n\n", sf.MalformedInput, "not JSON"),
        (
            b'{"model":"m","message":{"role":"assistant","content":"Hel"},"done":false}\n{"mod',
            sf.TruncatedInput,
            "ends inside an event",
        ),
        (b"\x00" * 50, sf.MalformedInput, "offset 0"),
        ([b"x"], TypeError, "has bytes among its pieces"),
        (3, TypeError, "is int"),
        (Path("nothing.sse"), FileNotFoundError, "nothing"),
    ],
)
def test_what_is_no_recording_is_refused(recording: Any, error: type[Exception], says: str) -> None:
    """With what would be right."""
    with pytest.raises(error, match=says):
        observe.trace(sf.Redact("a"), recording)


def test_what_is_in_a_wrap_is_traced() -> None:
    """A recording's text goes through the pipeline inside, so its trace is the trace."""
    inside = sf.Redact(r"\d{4}")
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("pin 12", "34", " ok")]
    body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    want = observe.trace(inside, ["pin 12", "34", " ok"])
    wraps: list[sf.Stage[Any, Any]] = [sf.wrap(inside), sf.Pipeline(openai.chat.wrap(inside))]
    for stage in wraps:
        seen = observe.trace(stage, body)
        assert (seen.steps, seen.findings, seen.stages) == (want.steps, want.findings, want.stages)


def test_a_pipeline_over_chunks_and_a_bad_pace_are_refused() -> None:
    """Chunks have no characters to count."""
    with pytest.raises(TypeError, match="trace the pipeline inside it"):
        observe.trace(openai.chat.Decode(), ["x"])
    for pace in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="a positive number is needed"):
            observe.trace(sf.Redact("a"), ["x"], chunks_per_second=pace)


# ---------------------------------------------------------------------- the report


class _Page(HTMLParser):
    """Reads a page: its tags are closed in order, and what they link to and say is noted."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] in (["td"], ["th"]):
            self.rows[-1].append(data)


def test_the_page_needs_nothing_else_and_has_no_text() -> None:
    """It is well formed, links to nothing, runs nothing, and what was redacted is not in it."""
    seen = observe.trace(SAFE, RECORDING)
    html = seen.html()
    page = _Page(html)
    assert page.open == []
    assert page.links == []
    assert "script" not in page.tags
    assert not re.search(r"url\(|@import|https?:", html)
    body = html.partition("</style>")[2]
    written = body, json.dumps(seen.as_dict())
    text = "".join(answer())
    for found in seen.findings:
        assert found.end is not None
        assert all(text[found.start : found.end] not in each for each in written if found.end - found.start > 6)
    for secret in SECRETS_IN_IT:
        assert secret in text
        assert all(secret not in each for each in written)


def test_the_tables_of_the_page_have_every_stage_and_every_finding() -> None:
    """In order, with their places."""
    seen = observe.trace(SAFE, RECORDING, least=False)
    rows = _Page(seen.html()).rows
    assert [row[0] for row in rows[1:3]] == ["Redact", "StopAt"]
    assert [(row[0], row[1], row[5], row[6]) for row in rows[4:]] == [
        (f.rule, f.action, str(f.start), str(f.end)) for f in seen.findings
    ]


def test_names_are_escaped() -> None:
    """A recording and a rule may be called anything."""
    nasty = "<img src=x onerror=alert(1)>'\"&"
    seen = observe.trace(sf.Redact(sf.Rule(nasty, "a")), ["a b a"], name=nasty)
    page = _Page(seen.html())
    assert "img" not in page.tags
    assert nasty in [cell for row in page.rows for cell in row]
    assert "<img" not in seen._repr_html_()


@pytest.mark.parametrize("pieces", [[], [""], ["a"], ["a"] * 3, ["x" * 50_000], ["ab "] * 8000], ids=len)
def test_streams_of_every_length_have_a_page(pieces: list[str], tmp_path: Path) -> None:
    """The empty one, the shortest, a long one; and a page stays small."""
    seen = observe.trace(sf.Redact("abc") | sf.Words(), pieces, least=False)
    html = seen.html()
    _Page(html)
    assert len(html) < 250_000
    seen.save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["chunks"] == len(pieces)


def test_thinning_keeps_every_peak() -> None:
    """Of many steps the curve has few; the first, the last and the most held are among them."""
    rng = random.Random(1)
    steps = [Step(n / 10, n, n, rng.randrange(100), ()) for n in range(50_000)]
    few = thinned(steps)
    assert len(few) <= MAX_POINTS + 1
    assert (few[0], few[-1]) == (steps[0], steps[-1])
    size = 2 * len(steps) // MAX_POINTS + 1
    for start in range(0, len(steps), size):
        assert max(step.held for step in steps[start : start + size]) in {step.held for step in few}
    assert [step.seconds for step in few] == sorted(step.seconds for step in few)


def test_a_curve_is_one_of_steps() -> None:
    """What is known holds until the next is known."""
    steps = [Step(0.0, 1, 0, 0, ()), Step(5.0, 2, 0, 0, ())]
    assert line_of(steps, lambda step: step.received, 10.0, 2) == "M0.0,50.00H500.0V0.00H1000"
    assert line_of([], lambda step: step.received, 1.0, 1) == ""


def test_durations_for_people() -> None:
    """Each in the unit that suits it."""
    assert [time_of(each) for each in (0, 1e-9, 5e-6, 0.0123, 2.5, 1234.5)] == [
        "0 s",
        "under 1 µs",
        "5 µs",
        "12.3 ms",
        "2.5 s",
        "1.23e+03 s",
    ]


def test_a_page_of_very_many_findings_says_that_it_has_not_all() -> None:
    """The first 2000 are in it, and all are counted."""
    seen = observe.trace(sf.Redact("a"), ["a "] * 2500, least=False)
    assert (len(seen.findings), seen.counts) == (2000, {"redacted": 2500})
    assert "The first 2,000 of 2,500." in seen.html()


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures(kind: str, tmp_path: Path) -> None:
    """A picture is one of its kind, whatever the rules are called; an empty stream has one."""
    pytest.importorskip("matplotlib")
    for n, (stage, pieces) in enumerate([(sf.Redact(sf.Rule("$a_$^", "ab")), ["xab", "a"]), (sf.Redact("a"), [])]):
        target = tmp_path / f"{n}.{kind}"
        observe.trace(stage, pieces).save(target)
        assert target.read_bytes().startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pages need none."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    seen = observe.trace(sf.Redact("a"), ["b"])
    with pytest.raises(ModuleNotFoundError, match=r"streamfilter\[plot\]"):
        seen.save(tmp_path / "a.png")
    seen.save(tmp_path / "a.html")
    with pytest.raises(ValueError, match=r"\.html, \.json, \.png or \.svg"):
        seen.save(tmp_path / "a.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


# ---------------------------------------------------------------------- the command

DECLARED = 'version = 1\n[[pipeline.acme]]\nstage = "redact"\nrules = ["PII", "SECRETS"]\n'


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    path = tmp_path / "p.toml"
    path.write_text(DECLARED)
    return path


def command(*args: object) -> int:
    """Run the command here; its exit code."""
    pytest.importorskip("click")
    pytest.importorskip("rich")
    from streamfilter.cli.app import run_app

    return run_app(["trace", *map(str, args)])


def test_the_command_writes_a_report(declared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The page; nothing on either stream."""
    report = tmp_path / "report.html"
    assert command(RECORDING, "-p", declared, "-o", report, "--no-least") == 0
    assert tuple(capfd.readouterr()) == ("", "")
    assert _Page(report.read_text()).open == []


def test_the_command_runs_as_a_program(declared: Path) -> None:
    """As a user starts it."""
    run = [sys.executable, "-m", "streamfilter", "trace", str(RECORDING), "-p", str(declared), "--no-least"]
    assert "email: redact" in subprocess.run(run, capture_output=True, text=True, check=True).stdout


def test_the_command_prints_a_summary_or_json(declared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """For people, and for programs."""
    assert command(RECORDING, "-p", declared) == 0
    shown = capfd.readouterr().out
    assert "email: redact" in shown
    assert "is proved to be needed" in shown
    assert command(RECORDING, "-p", declared, "--json", "--no-least", "--pace", "10") == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed["chunks"] == len(answer())
    assert printed["steps"][1]["seconds"] == 0.1


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("{recording}", "-p", "{file}", "-o", "a.pdf"), 2, ".html, .json, .png, .svg is needed"),
        (("{recording}", "-p", "{file}", "-o", "{dir}/no/a.html"), 2, "there is no directory"),
        (("{seen}", "-p", "{file}", "-o", "{seen}"), 2, "seen.json is an input: it would be lost"),
        (("{recording}", "-p", "{seen}", "-o", "{dir}/../{dir.name}/seen.json"), 2, "seen.json is an input: it would be lost"),
        (("{recording}", "-p", "{dir}/none.toml"), 2, "none.toml"),
        (("{recording}", "-p", "{file}", "--name", "acne"), 2, "acne"),
        (("{recording}", "-p", "{file}", "--pace", "0"), 2, "--pace"),
        (("{recording}", "-p", "{file}", "--pace", "nan"), 2, "'--pace': nan is no number that can be counted with"),
        (("{recording}",), 2, "--pipeline"),
        (("{dir}/none.sse", "-p", "{file}"), 2, "none.sse' does not exist."),
        (("{dir}", "-p", "{file}"), 2, "' is a directory."),
        (("{recording}", "-p", "{file}", "-p", "{file}"), 2, "'-p' / '--pipeline': it is given 2 times, and only one can be used"),
        (("{binary}", "-p", "{file}"), 1, "neither a provider's stream nor text"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    args: tuple[str, ...], code: int, says: str, declared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 where the recording is bad, 2 where the command or the declaration is; and no report is left behind."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x89\xff\xfe")
    seen = tmp_path / "seen.json"
    seen.write_text('{"version": 1, "pipeline": {"p": [{"stage": "redact", "rules": ["email"]}]}}')
    before = sorted(tmp_path.iterdir())
    named = {"recording": RECORDING, "file": declared, "dir": tmp_path, "binary": binary, "seen": seen}
    assert command(*(arg.format(**named) for arg in args)) == code
    out, err = capfd.readouterr()
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert sorted(tmp_path.iterdir()) == before
    assert seen.read_text().startswith('{"version"')
