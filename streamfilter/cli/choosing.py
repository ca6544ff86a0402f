"""Which pipeline a command works with: one that a file declares, or one made of options, or both."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import click

import streamfilter as sf
from streamfilter import detectors
from streamfilter.matching import UNNAMED


class Command(click.Command):
    """A command whose options with a value are given once, but for those that gather all: of two, click would silently take the
    last, and drop what the first guards."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The same, and what is given twice is refused."""
        given = self.make_parser(ctx).parse_args(list(args))[2]  # in its order, each as often as it stands there
        rest = super().parse_args(ctx, args)
        single = [each for each in given if isinstance(each, click.Option) and not (each.is_flag or each.multiple)]
        for option, times in Counter(single).items():
            if times > 1 and not ctx.resilient_parsing:
                raise click.BadParameter(f"it is given {times} times, and only one can be used", ctx, option)
        return rest


class Number(click.FloatRange):
    """A number in a range. Click lets `nan` pass, which is in none, and `inf` where there is no upper end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number that can be counted with", param, ctx)
        return number


def _named(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[sf.Rule]:
    """The catalogue rules of some names, separated by commas."""
    try:
        return list(dict.fromkeys(rule for names in values for name in names.split(",") for rule in detectors.named(name.strip())))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def _patterned(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[sf.Rule]:
    """The rules of some patterns."""
    try:
        rules = [sf.Rule(UNNAMED, value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error).removeprefix("Rule: "), ctx, param) from None
    for rule in rules:
        if rule.compiled.fullmatch(""):
            raise click.BadParameter(f"{rule.pattern!r} matches the empty text, and so everywhere", ctx, param)
    return rules


def _unescaped(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """Texts of which a shell could not say all. What looks like an escape and is none is refused."""
    for value in values:
        if found := _NO_ESCAPE.search(value):
            known = "write \\\\ for a backslash; \\n, \\r and \\t are known as well"
            raise click.BadParameter(f"{value!r}: {found[1]!r} at position {found.start(1)} is no escape: {known}", ctx, param)
    return [re.sub(r"\\(.)", lambda found: _ESCAPES[found[1]], value) for value in values]


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
_NO_ESCAPE = re.compile(r"^(?:[^\\]|\\[nrt\\])*(\\(?![nrt\\]).?)", re.DOTALL)

_OPTIONS = (
    click.option(
        "-p",
        "--pipeline",
        "declared",
        type=click.Path(),
        metavar="FILE",
        help="A file that declares the pipeline.",
    ),
    click.option(
        "--name",
        metavar="NAME",
        help="Which pipeline of that file; it may be left out if there is one.",
    ),
    click.option(
        "--allow-imports",
        "imports",
        metavar="MODULE",
        multiple=True,
        help="A module from which that file may import, which runs its code. May be repeated.",
    ),
    click.option(
        "--redact",
        "rules",
        metavar="NAMES",
        callback=_named,
        multiple=True,
        help="Rules to redact, separated by commas: PII, SECRETS (for all of a kind), "
        f"{', '.join(detectors.NAMES)}. May be repeated.",
    ),
    click.option(
        "--pattern",
        "patterns",
        metavar="REGEX",
        callback=_patterned,
        multiple=True,
        help="A regular expression to redact as well. May be repeated.",
    ),
    click.option(
        "--to",
        default="[{rule}]",
        show_default=True,
        metavar="TEXT",
        help="What stands in for a match; {rule} is the name of its rule.",
    ),
    click.option(
        "--stop-at",
        "stops",
        multiple=True,
        callback=_unescaped,
        metavar="TEXT",
        help="End the stream at this text; \\n is a newline, \\r a carriage return, \\t a tab, \\\\ a backslash. May be repeated.",
    ),
)


def with_pipeline(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a pipeline, and that pipeline as `stage`: the file's, and then what options ask for."""

    @functools.wraps(command)
    def chosen(
        *args: Any,
        declared: str | None,
        name: str | None,
        imports: tuple[str, ...],
        rules: list[sf.Rule],
        patterns: list[sf.Rule],
        to: str,
        stops: list[str],
        **options: Any,
    ) -> Any:
        guards = rules + patterns
        if declared is None and name is not None:
            raise click.UsageError("--name is of a pipeline in a file: give that with --pipeline")
        if declared is None and not guards and not stops:
            raise click.UsageError("nothing to do: give --pipeline, --redact, --pattern or --stop-at")
        try:
            stages: list[Any] = [] if declared is None else [sf.load(declared, name, allow_imports=imports)]
            stages += [sf.Redact(*guards, to=to)] if guards else []
            stages += [sf.StopAt(*stops)] if stops else []
            stage: sf.Stage[Any, Any] = sf.Pipeline(*stages)
        except sf.SpecError:
            raise
        except (ValueError, TypeError) as error:
            raise click.UsageError(str(error)) from None
        return command(*args, stage=stage, **options)

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen
