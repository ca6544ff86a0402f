"""The command `trace`: a recorded stream through a declared pipeline, and a report on what happened. `observe.trace` does it."""

from __future__ import annotations

import json
from pathlib import Path

import click

import streamfilter as sf
from streamfilter import observe
from streamfilter.cli.choosing import Command, Number
from streamfilter.cli.places import check_places
from streamfilter.observe.recordings import CHUNKS_PER_SECOND

KINDS = (".html", ".json", ".png", ".svg")
"""What a report can be, by the end of its name."""

SHOWN_FINDINGS = 20
"""Findings that a terminal gets."""


def _kind(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """A place that can be written, before anything is done."""
    if value is None:
        return None
    if value.suffix.lower() not in KINDS:
        raise click.BadParameter(f"{value.name}: a name that ends with {', '.join(KINDS)} is needed", ctx, param)
    if not value.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no directory {value.parent}", ctx, param)
    if value.is_dir():
        raise click.BadParameter(f"{value} is a directory", ctx, param)
    return value


@click.command(cls=Command)
@click.option(
    "-p",
    "--pipeline",
    "file",
    type=click.Path(),
    required=True,
    metavar="FILE",
    help="The file that declares the pipeline.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Which pipeline of the file; it may be left out if there is one.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    callback=_kind,
    metavar="REPORT",
    help="Where the report goes: .html, .json, or .png and .svg, which need the extra plot. Without it, a summary is printed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option(
    "--pace",
    type=Number(0, 1e6, min_open=True),
    default=CHUNKS_PER_SECOND,
    show_default=True,
    metavar="CHUNKS",
    help="Chunks that arrive in a second; a recording does not say.",
)
@click.option("--no-least", is_flag=True, help="Do not try how much must be held, which takes seconds for a long recording.")
@click.option("--allow-imports", "imports", metavar="MODULE", multiple=True, help="A module from which the file may import.")
@click.argument("recording", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def trace(
    file: str,
    name: str | None,
    output: Path | None,
    as_json: bool,
    pace: float,
    no_least: bool,
    imports: tuple[str, ...],
    recording: Path,
) -> None:
    """Send RECORDING through a pipeline and report what happened: what was held, for how long, and what was found.

    RECORDING is the body of a provider's response, as it came (an event stream, lines of JSON), or a text. No text of it is in the
    report. If a stage waits, this takes as long as the stream does at its pace.

    Exit codes: 0 the report is written, 1 the recording is bad, 2 the command or the declaration is.
    """
    check_places([recording, Path(file)], [] if output is None else [output])
    try:
        stage = sf.load(file, name, allow_imports=imports)
        seen = observe.trace(stage, recording, chunks_per_second=pace, least=not no_least)
        if output is not None:
            seen.save(output)
    except sf.StreamFilterError:
        raise
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(seen.as_dict()))
    elif output is None:
        click.echo(_summary(seen))


def _summary(seen: observe.Trace) -> str:
    """A trace in some lines."""
    lines = [str(seen.stats), ""]
    for found in seen.findings[:SHOWN_FINDINGS]:
        end = "the end" if found.end is None else found.end
        lines.append(f"{found.seconds:8.2f} s  {found.rule}: {found.action}, characters {found.start} to {end} of {found.channel}")
    more = sum(seen.counts.values()) - min(len(seen.findings), SHOWN_FINDINGS)
    if more:
        lines.append(f"… and {more} more")
    tried = [step for step in seen.steps if step.least is not None]
    held, least = sum(step.held for step in tried), sum(step.least or 0 for step in tried)
    if held:
        lines.append(f"of what was held, {100 * least / held:.0f} % is proved to be needed")
    return "\n".join(lines).rstrip()
