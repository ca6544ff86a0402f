"""`streamfilter serve`: the gateway, by options."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from typing import Any

import click

import streamfilter as sf
from streamfilter.cli.choosing import Command, Number
from streamfilter.declaration import check_seconds


def _address(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):(\d{1,5})", value)
    if not found or int(found[2]) > 65535:
        raise click.BadParameter("HOST:PORT is needed, such as 127.0.0.1:8080 or [::1]:8080", ctx, param)
    return found[1].strip("[]"), int(found[2])


def _offers(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str | None]:
    pairs = [value.partition(":") for value in values]
    name, times = next(iter(Counter(name for name, _, _ in pairs).most_common(1)), ("", 0))
    if times > 1:  # the last would count, and requests pass that another guards
        raise click.BadParameter(f"{name} is given {times} times, and only one can be used", ctx, param)
    return {name: request or None for name, _, request in pairs}


def _limits(ctx: click.Context, given: dict[str, Any]) -> Any:
    from streamfilter.gateway import Limits  # noqa: PLC0415  # an extra

    megabytes = given.pop("max_body")
    try:
        return Limits(body_bytes=int(megabytes * 1024 * 1024), **given)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from None


def _store(address: str) -> Any:
    from streamfilter.gateway.resuming import store_at  # noqa: PLC0415  # an extra

    try:
        return store_at(address)
    except ValueError as error:
        raise click.UsageError(f"--resumable: {error}") from None


_SECONDS = (
    ("connect", 10.0, "until the upstream is connected"),
    ("first", 600.0, "until its first byte"),
    ("between", 300.0, "between two pieces, of the upstream or the client"),
    ("total", 3600.0, "for all of an exchange"),
)


def _with_seconds(command: Any) -> Any:
    for name, default, text in reversed(_SECONDS):
        command = click.option(
            f"--{name}",
            type=Number(0, min_open=True),
            default=default,
            show_default=True,
            metavar="SECONDS",
            help=f"Seconds {text}.",
        )(command)
    return command


@click.command(cls=Command)
@click.option("--upstream", required=True, metavar="URL", help="The API, such as https://api.openai.com.")
@click.option(
    "-p",
    "--pipeline",
    "declared",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="The file that declares pipelines.",
)
@click.option("--name", metavar="NAME", help="The pipeline for responses; it may be left out if there is one.")
@click.option("--request", metavar="NAME", help="The pipeline for requests; without it they pass as they are.")
@click.option(
    "--offer",
    "offers",
    metavar="NAME[:REQUEST]",
    multiple=True,
    callback=_offers,
    help="A pipeline that a request may choose, and the one for requests with it. May be repeated.",
)
@click.option("--by", type=click.Choice(["header", "path"]), default="header", show_default=True, help="How a request chooses.")
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8080", show_default=True, callback=_address)
@click.option(
    "--others",
    type=click.Choice(["filter", "pass", "block"]),
    default="filter",
    show_default=True,
    help="What becomes of paths where no model answers.",
)
@click.option("--allow-private-upstream", is_flag=True, help="The upstream may be inside a network.")
@click.option("--allow-imports", "imports", metavar="MODULE", multiple=True, help="A module from which the file may import.")
@click.option(
    "--max-body",
    type=Number(0, 1e6, min_open=True),
    default=32,
    show_default=True,
    metavar="MB",
    help="Of a request, and of a whole response.",
)
@click.option("--streams", type=click.IntRange(1), default=1000, show_default=True, help="Requests at once.")
@_with_seconds
@click.option(
    "--grace", type=Number(0), default=30, show_default=True, metavar="SECONDS", help="For streams to end, after SIGTERM."
)
@click.option(
    "--resumable",
    metavar="STORE",
    help="Keep event streams of requests that name one (x-stream-id): memory, or the URL of Redis, redis://HOST:PORT/0.",
)
@click.option("--status", metavar="PATH", default="/-", show_default=True, help="Where healthz and metrics are.")
@click.option("--quiet", is_flag=True, help="No line for each request.")
def serve(
    upstream: str,
    declared: str,
    name: str | None,
    request: str | None,
    offers: dict[str, str | None],
    by: Any,
    listen: tuple[str, int],
    others: Any,
    allow_private_upstream: bool,
    imports: tuple[str, ...],
    grace: float,
    resumable: str | None,
    status: str,
    quiet: bool,
    **limits: Any,
) -> None:
    """Filter what goes to a provider's API and comes from it.

    A reverse proxy for APIs of OpenAI's, Anthropic's and Gemini's kind: clients change their base URL, and nothing else. The file
    is read again when it changes; streams that run keep the pipeline they began with. PATH/healthz and PATH/metrics tell how it is.
    """
    from streamfilter import gateway  # noqa: PLC0415  # an extra

    try:
        allowed = _limits(click.get_current_context(), limits)
        serving = gateway.serve
        store = None if resumable is None else _store(resumable)
    except ModuleNotFoundError as error:
        raise click.UsageError(str(error)) from None
    _log(quiet=quiet)
    with sf.watch(declared, allow_imports=imports) as watched:
        if name is None and len(watched.names) != 1:
            raise click.UsageError(f"--name is needed: the file has {', '.join(watched.names)}")
        try:
            check_seconds("grace", grace, zero=True)
            made = gateway.Gateway(
                upstream,
                watched,
                name or watched.names[0],
                request=request,
                offers=offers,
                by=by,
                others=others,
                limits=allowed,
                resumable=store,
                status=status,
                allow_private_upstream=allow_private_upstream,
            )
            asyncio.run(made.reachable())
        except (ValueError, TypeError) as error:
            if isinstance(error, sf.SpecError):
                raise
            raise click.UsageError(str(error).replace("(allow_private_upstream)", "(--allow-private-upstream)")) from None

        def say(url: str) -> None:
            click.echo(f"streamfilter: listening at {url}", err=True)
            for response, asked in {name or watched.names[0]: request, **offers}.items():
                click.echo(f"streamfilter: responses: {response}; requests: {asked or 'not filtered'}", err=True)

        serving(made, *listen, grace=grace, on_ready=say)


def _log(*, quiet: bool) -> None:
    """One line for each request, to standard error; warnings of streams too."""
    out = logging.StreamHandler()
    out.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("streamfilter")
    log.addHandler(out)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
