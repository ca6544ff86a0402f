"""The commands and their options. What they do is in the modules beside this one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence

import click
from rich.console import Console

import streamfilter as sf
from streamfilter.cli import INTERRUPTED, catalogue, moderation, structured
from streamfilter.cli import demo as redaction
from streamfilter.cli.checking import Checked
from streamfilter.cli.filtering import quiet_if_the_reader_leaves, run
from streamfilter.cli.serving import serve
from streamfilter.cli.timing import bench
from streamfilter.cli.tracing import trace
from streamfilter.spec.checking import Wrong

_LIVE = "Python code hands such objects in; here a file imports them, 'module:name', which --allow-imports module allows"


def run_app(args: Sequence[str] | None = None) -> int:
    """Run a command; give its exit code. What is wrong is said in one line."""
    stdout = sys.stdout
    try:
        code = app.main(list(args) if args is not None else None, prog_name="streamfilter", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        with quiet_if_the_reader_leaves():
            click.echo(error.ctx.get_help() if error.ctx else "")
        return 2
    except click.ClickException as error:
        click.echo(f"streamfilter: {error.format_message()}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except sf.SpecError as error:
        said = re.sub(r"importing '([\w.]+):.* is not allowed: .*", r"\g<0> (here: --allow-imports \1)", str(error))
        said = re.sub(r"hand it in: objects=\{'([\w.-]+)': …\}", _LIVE, said)
        click.echo("\n".join(f"streamfilter: {line}" for line in said.split("\n")), err=True)
        return 2
    except (sf.StreamFilterError, OSError) as error:
        click.echo(f"streamfilter: {error}", err=True)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        click.echo('streamfilter: the demonstration of moderation needs scikit-learn: pip install "streamfilter[demo]"', err=True)
        return 1
    except SystemExit as error:
        # Where the reader of the output has left, click puts another in its place and exits, and rich exits from the handler.
        if sys.stdout is stdout and not isinstance(error.__context__, BrokenPipeError):
            raise
        return 0
    return code if isinstance(code, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="streamfilter")
def app() -> None:
    """Filter, reshape and guard the text of language models while it is still arriving.

    Exit codes: 0 all went well, 1 the input is bad, 2 the command or a declaration is, 130 interrupted.

    Completion, for bash, and in the same way for zsh and fish:
    eval "$(_STREAMFILTER_COMPLETE=bash_source streamfilter)"
    """


for _command in (run, trace, bench, serve):
    app.add_command(_command)


@app.command()
@click.option("--fast", is_flag=True, help="Do not wait between chunks.")
@click.argument("what", type=click.Choice(["redaction", "moderation", "json"]), default="redaction")
def demo(what: str, fast: bool) -> None:
    """Watch a chat completion being redacted, an answer being moderated, or an object that fills in.

    Shows what has arrived, what is held, and what was released; then what was found, the most that was held, and what it cost.

    With redaction, which is the default, text is held because it may still become a match. With moderation, each sentence is held
    until a classifier has judged it; that needs the extra demo. With json, a model's fields are there as soon as they are certain.
    """
    {"redaction": redaction, "moderation": moderation, "json": structured}[what].show(fast=fast)


_AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
_IMPORTS = click.option(
    "--allow-imports",
    "imports",
    metavar="MODULE",
    multiple=True,
    help="A module from which the file may import, which runs its code; 'myapp.' is all below myapp. May be repeated.",
)


@app.command()
@_AS_JSON
@_IMPORTS
@click.argument("file", type=click.Path(), metavar="FILE")
def check(file: str, imports: tuple[str, ...], as_json: bool) -> None:
    """Say what is wrong with FILE, or what it declares.

    FILE is TOML, JSON or YAML and declares pipelines. Of each stage it is said which channels it applies to, what it holds at
    most, and by which engine it finds what it looks for. Checks, clients and other live objects are not needed for that, nor
    environment variables: what the file needs is listed.

    Exit codes: 0 the file is good, 2 it is not; of each thing that is wrong it is said where, and what would be right.
    """
    try:
        found = Checked(file, imports)
    except Wrong as wrong:
        if not as_json:
            raise
        told = [{"problem": each.problem, "line": each.line, "column": each.column, "path": each.path} for each in wrong.problems]
        with quiet_if_the_reader_leaves():
            click.echo(json.dumps({"file": file, "errors": told}, ensure_ascii=False))
        raise click.exceptions.Exit(2) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
    else:
        found.show(Console())


@app.command()
@click.option("--json", "as_json", is_flag=True, help="In one line.")
@_IMPORTS
@click.option("--name", "names", metavar="NAME", multiple=True, help="A live object that will be handed in. May be repeated.")
def schema(names: tuple[str, ...], imports: tuple[str, ...], as_json: bool) -> None:
    """Print the JSON Schema of declarations.

    With it editors check and complete them. Without --name, every name of a live object is accepted. In TOML, the Even Better
    TOML editor takes it from a first line "#:schema ./pipelines.schema.json", in YAML the language server from
    "# yaml-language-server: $schema=pipelines.schema.json", in JSON it is the key "$schema".
    """
    try:
        found = sf.json_schema(objects=names or None, allow_imports=imports)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))


@app.command()
@_AS_JSON
def rules(as_json: bool) -> None:
    """List the rules by name, with examples."""
    if as_json:
        click.echo(json.dumps(catalogue.listed(), ensure_ascii=False, indent=2))
    else:
        catalogue.show(Console())
