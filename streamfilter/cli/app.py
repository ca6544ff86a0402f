"""The commands and their options. What they do is in `running`, `demo` and `moderation`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

import click

import streamfilter as sf
from streamfilter import detectors
from streamfilter.cli import demo as redaction
from streamfilter.cli import moderation
from streamfilter.cli.running import Format, filter_file

EXAMPLES = """
\b
Examples:
  curl -sN … | streamfilter run --redact email,api_key
  streamfilter run --redact phone --stop-at '\\nUser:' answer.txt
"""

INTERRUPTED = 130
"""The exit code of what a keyboard interrupt ended, as shells count it (128 + SIGINT)."""


def run_app(args: Sequence[str] | None = None) -> int:
    """Run a command; give its exit code. What is wrong is said in one line."""
    try:
        app.main(list(args) if args is not None else None, prog_name="streamfilter", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 2
    except click.ClickException as error:
        click.echo(f"streamfilter: {error.format_message()}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (sf.StreamFilterError, OSError) as error:
        click.echo(f"streamfilter: {error}", err=True)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        click.echo('streamfilter: the demonstration of moderation needs scikit-learn: pip install "streamfilter[demo]"', err=True)
        return 1
    return 0


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="streamfilter")
def app() -> None:
    """Filter, reshape and guard the text of language models while it is still arriving.

    Exit codes: 0 all went well, 1 the input is bad, 2 the command is, 130 interrupted.
    """


@app.command()
@click.option("--fast", is_flag=True, help="Do not wait between chunks.")
@click.argument("what", type=click.Choice(["redaction", "moderation"]), default="redaction")
def demo(what: str, fast: bool) -> None:
    """Watch a chat completion being redacted, or an answer being moderated.

    Shows what has arrived, what is held, and what was released; then what was found, the most that was held, and what it cost.

    With redaction, which is the default, text is held because it may still become a match. With moderation, each sentence is held
    until a classifier has judged it; that needs the extra demo.
    """
    (redaction if what == "redaction" else moderation).show(fast=fast)


def _named(ctx: click.Context, param: click.Parameter, value: str | None) -> list[sf.Rule]:
    """The catalogue rules of some names, separated by commas."""
    try:
        if value is None:
            return []
        return list(dict.fromkeys(rule for name in value.split(",") for rule in detectors.named(name.strip())))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _patterned(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[sf.Rule]:
    """The rules of some patterns."""
    try:
        rules = [sf.Rule("redacted", value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error).removeprefix("Rule: "), ctx, param) from None
    for rule in rules:
        if rule.compiled.fullmatch(""):
            raise click.BadParameter(f"{rule.pattern!r} matches the empty text, and so everywhere", ctx, param)
    return rules


@app.command(epilog=EXAMPLES)
@click.option(
    "--redact",
    "rules",
    metavar="NAMES",
    callback=_named,
    help=f"Rules to redact, separated by commas: PII, SECRETS (for all of a kind), {', '.join(detectors.NAMES)}.",
)
@click.option(
    "--pattern",
    "patterns",
    metavar="REGEX",
    callback=_patterned,
    multiple=True,
    help="A regular expression to redact as well. May be repeated.",
)
@click.option("--to", default="[{rule}]", show_default=True, help="What stands in for a match; {rule} is the name of its rule.")
@click.option(
    "--stop-at", "stops", multiple=True, metavar="TEXT", help="End the stream at this text; \\n is a newline. May be repeated."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in Format]),
    default=Format.AUTO.value,
    show_default=True,
    help="What the input is: plain text, or the event stream (SSE) of a chat completion. By default its first line tells.",
)
@click.argument("file", type=click.File("rb", lazy=False), default="-")
def run(rules: list[sf.Rule], patterns: list[sf.Rule], to: str, stops: tuple[str, ...], form: str, file: IO[bytes]) -> None:
    """Filter FILE, or standard input, to standard output while it arrives.

    Each piece is written as soon as it is released. An event stream comes out as an event stream; its comments and its fields other
    than data pass as they are.
    """
    guards = rules + patterns
    if not guards and not stops:
        raise click.UsageError("nothing to do: give --redact, --pattern or --stop-at")
    try:
        stages: list[Any] = [sf.Redact(*guards, to=to)] if guards else []
        stages += [sf.StopAt(*(text.replace("\\n", "\n") for text in stops))] if stops else []
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with contextlib.closing(file), _quiet_if_the_reader_leaves():
        filter_file(sf.Pipeline(*stages), file, sys.stdout.buffer, Format(form))


@contextlib.contextmanager
def _quiet_if_the_reader_leaves() -> Iterator[None]:
    """A reader that closes the pipe is no fault. Nothing may be flushed into it on the way out."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
