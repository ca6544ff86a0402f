"""The command `run`: one stream, live, or many, in bulk."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

import streamfilter as sf
from streamfilter.cli import bulk, journal
from streamfilter.cli.bulk import Outcome, filter_files, filter_lines, inputs_in, size_of
from streamfilter.cli.choosing import Command, with_pipeline
from streamfilter.cli.places import check_places
from streamfilter.cli.running import FRAMINGS, Format, filter_file
from streamfilter.observe.recordings import over_text
from streamfilter.plain import values_of

EXAMPLES = """
\b
Examples:
  curl -sN … | streamfilter run --redact email,api_key
  streamfilter run -p pipelines.toml --name support answer.txt
  streamfilter run --redact PII recorded/ -o filtered/ --jobs 4 --resume
  streamfilter run --redact PII log.jsonl --field text -o clean.jsonl
"""

LONG_BYTES = 1_000_000
"""Bytes of input from which on a terminal is shown how far it has come."""


@click.command(cls=Command, epilog=EXAMPLES)
@with_pipeline
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in Format]),
    default=Format.AUTO.value,
    show_default=True,
    help="What the input is: plain text; an event stream whose data is text; chunks of any known provider, as an event stream "
    "(SSE), lines of JSON (NDJSON), a JSON array or messages of AWS; or which provider's. By default its first lines tell.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    metavar="PATH",
    help="A file; for several inputs, or with a / at its end, a directory.",
)
@click.option("--field", metavar="NAME", help="The input is JSONL: filter this field of each record, a text or a list of chunks.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes, with --output.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where an interrupted run left off: what is there is not done again, nor counted among what was found.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write there, as JSON, what was found, never text. Of one input to standard output: rule, action and place of each, also "
    "if the stream breaks off. With --output: how often each rule, and the inputs or records that are bad.",
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1)
def run(
    stage: sf.Stage[Any, Any],
    form: str,
    out: str | None,
    field: str | None,
    jobs: int,
    resume: bool,
    report: Path | None,
    files: tuple[Path, ...],
) -> None:
    """Filter FILES, or standard input, while they arrive.

    One input goes to standard output: each piece is written as soon as it is released. An event stream comes out as an event
    stream; of its comments and its fields other than data, those are left out that a guard would change. Of what begins as JSON or
    as an event does, as much is waited for as tells what it is, unless --format says so. A JSON array is read whole. What is
    compressed, in UTF-16 or has a NUL is bad.

    With --output, several files and all files of directories go there, but for hidden ones; links to directories are not followed.
    A file has its name when it is complete. A bad input stops no other: it is told on standard error. Records that are bad go with
    their lines and reasons into a file that ends with .bad.

    Exit codes: 0 all went well, 1 an input is bad, 2 the command or the declaration is, 130 interrupted.
    """
    if (last := values_of(stage.stages)) is not None:
        hint = "leave it out, or read the values in Python: `for value in stage.iter(source)`"
        raise click.UsageError(f"{type(last).__name__} gives values, and run writes text: {hint}")
    if Format(form) not in FRAMINGS and over_text(stage).reads == "chunks":
        raise click.UsageError(f"--format {form}: the pipeline reads a provider's chunks, and says whose: leave it out")
    live = len(files) <= 1 and out is None and field is None
    if not live and (out is None or (field and not files)):
        missing = " and ".join(name for name, given in (("FILES", files), ("--output, where they go,", out)) if not given)
        raise click.UsageError(f"{missing} must be given {'with --field' if field else 'for several inputs'}")
    if live and (jobs > 1 or resume):
        raise click.UsageError("--jobs and --resume are for --output")
    if not live and (not files or Path("-") in files):
        hint = "with --field name a file" if field else "leave out --output, or name files"
        raise click.UsageError(f"standard input goes to standard output: {hint}")
    for file in files:
        if str(file) != "-" and not file.exists():
            raise click.UsageError(f"{file}: No such file or directory")
        if live and file.is_dir():
            raise click.UsageError(f"{file} is a directory: say with --output where its files go")
    declared: str | None = click.get_current_context().params["declared"]
    read = [*(file for file in files if str(file) != "-"), *([] if declared is None else [Path(declared)])]
    written = [] if report is None else [report]
    if live or out is None:
        check_places(read, written)
        with quiet_if_the_reader_leaves():
            _live(stage, files[0] if files else Path("-"), Format(form), report)
        return
    inputs, place = _inputs(stage, files, out, field)
    own = journal.written_for if field else bulk.written_for
    made = [each for _, name in inputs for each in own(place / name)]
    check_places([*read, *(source for source, _ in inputs)], written, made)
    for directory in (place, *(each.parent for each in written)):
        directory.mkdir(parents=True, exist_ok=True)
    with _progress(sum(size_of(source) for source, _ in inputs), is_long=True) as watch:
        if field:
            outcome = filter_lines(stage, inputs[0][0], place / inputs[0][1], field, jobs, watch, resume=resume)
        else:
            outcome = filter_files(stage, inputs, place, Format(form), jobs, watch, resume=resume)
    _say(outcome, "records" if field else "files")
    _write_report(report, {**vars(outcome), "bad": [each._asdict() for each in outcome.bad]})
    if outcome.failed:
        raise click.exceptions.Exit(1)


def _live(stage: sf.Stage[Any, Any], path: Path, form: Format, report: Path | None) -> None:
    begun: list[sf.Report] = []
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)  # where it cannot be, nothing has been read yet
    try:
        if str(path) == "-":
            filter_file(stage, sys.stdin.buffer, sys.stdout.buffer, form, begun=begun.append)
            return
        with path.open("rb") as file, _progress(path.stat().st_size) as watch:
            filter_file(stage, file, sys.stdout.buffer, form, watch, begun.append)
    finally:  # what was found before a stage, a reader that leaves or an interrupt ended it, too
        for found in begun:
            _write_report(report, {"counts": found.counts, "findings": [_finding(each) for each in found.findings]})


def _inputs(
    stage: sf.Stage[Any, Any], files: tuple[Path, ...], out: str, field: str | None
) -> tuple[list[tuple[Path, Path]], Path]:
    """The inputs of a run in bulk, each with the name of its output, and the directory that these go to."""
    is_one, place = len(files) == 1 and not files[0].is_dir(), Path(out)
    is_file = is_one and not out.endswith(("/", os.sep))
    if is_file and place.is_dir():
        raise click.UsageError(f"{out} is a directory: name the file that is to be written")
    if not is_file and place.exists() and not place.is_dir():
        raise click.UsageError(f"{place} is a file: {'' if is_one else 'for several inputs '}a directory is needed")
    if not is_one and field:
        raise click.UsageError("--field is for one file at a time")
    if field and stage.reads == "chunks":
        raise click.UsageError("--field is for pipelines over text: leave out the wrap, the format of chunks is found out")
    inputs = [(files[0], Path(place.name))] if is_file else list(inputs_in(files, place))
    name, times = next(iter(Counter(name for _, name in inputs).most_common(1)), ("", 0))
    if times > 1:
        raise click.UsageError(f"{times} inputs are named {name}: give the directory that all are in")
    return inputs, place.parent if is_file else place


@contextlib.contextmanager
def _progress(size: int, *, is_long: bool = False) -> Iterator[Callable[[int], object]]:
    """A bar on standard error, if that is a terminal and the input is long."""
    console = Console(stderr=True)
    if not console.is_terminal or (size < LONG_BYTES and not is_long) or (sys.stdout.isatty() and not is_long):
        yield lambda _: None
        return
    columns = TextColumn("{task.percentage:>3.0f} %"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=size)
        yield lambda read: progress.advance(task, read)


def _finding(found: sf.Finding) -> dict[str, Any]:
    place = {"channel": found.channel.kind, "start": found.start, "end": found.end}
    return {"rule": found.rule, "action": found.action, **place, **({} if found.score is None else {"score": found.score})}


def _write_report(path: Path | None, report: dict[str, Any]) -> None:
    if path is None:
        return
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    except OSError as error:
        if error.__context__ is None or isinstance(error.__context__, BrokenPipeError):
            raise
        click.echo(f"streamfilter: {error}", err=True)  # raised, it would hide why the stream ended


def _say(outcome: Outcome, what: str) -> None:
    """What became of them, on standard error."""
    for bad in outcome.bad[:MAX_TOLD]:
        click.echo(f"streamfilter: {bad.place}: {bad.reason}", err=True)
    if outcome.failed > MAX_TOLD:
        click.echo(f"streamfilter: … and {outcome.failed - len(outcome.bad[:MAX_TOLD])} more", err=True)
    skipped = f", {outcome.skipped} were there" if outcome.skipped else ""
    found = "".join(f", {number} {rule}" for rule, number in outcome.counts.most_common())
    click.echo(f"{outcome.done} {what} filtered, {outcome.failed} bad{skipped}{found}", err=True)


MAX_TOLD = 20
"""Bad inputs that are told one by one; `--report` has more."""


@contextlib.contextmanager
def quiet_if_the_reader_leaves() -> Iterator[None]:
    """A reader that closes the pipe is no fault. Nothing may be flushed into it on the way out."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
