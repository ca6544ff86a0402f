"""Records: logged texts and streams through a pipeline again, offline, each by itself.

A record is a dictionary, as a line of JSONL or a row of a table is; one of its fields holds what goes through. A line is a record
as JSON says it. Where records come from and go to, and in how many processes, is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from streamfilter.context import Context
from streamfilter.errors import MalformedInput, StreamFilterError
from streamfilter.pipeline import Stage, as_stage
from streamfilter.plain import check_gives_text, is_text
from streamfilter.providers.detecting import IN_PYTHON, UNTOLD, wrap

FIELD = "text"
"""The field that is filtered, if none is named."""

T = TypeVar("T")
R = TypeVar("R")

Run: TypeAlias = Callable[[Sequence[Any], bool], "tuple[list[Any], dict[str, int]]"]


@dataclass(frozen=True, slots=True)
class Filtered:
    """What became of a record.

    Attributes:
        record: the record with what came out in its field; None if it is bad.
        counts: what was found, per rule.
        reason: why it is bad; never its text.
    """

    record: dict[str, Any] | None
    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FilteredLine:
    """What became of a line.

    Attributes:
        line: the record with what came out in its field, as JSON in UTF-8, without a line feed; empty if the line was; None if the
            record is bad.
        counts: what was found, per rule.
        reason: why it is bad; never its text.
    """

    line: bytes | None
    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def filter_records(
    pipeline: Stage[Any, Any], records: Iterable[object], *, field: str = FIELD, context: Context | None = None
) -> Iterator[Filtered]:
    r"""Send a field of each record through a pipeline. A bad record is told, and stops nothing.

    The field holds a text; or a list of texts, the chunks of a stream, which come out as the chunks that left; or a list of a
    provider's chunks as dictionaries, which come out as such. Every record is a stream of its own.

    Args:
        pipeline: stages over text. Those that wait are run in an event loop that lives as long as this does.
        records: dictionaries. They are not changed.
        field: which field.
        context: what each stream is started with. Without a vault each has its own, which is gone with it.

    Raises:
        TypeError: the pipeline is none, or gives values; there is one record alone; or the field is no name.

    Example:
        >>> import streamfilter as sf
        >>> rows = [{"id": 1, "text": "pin 1234"}, {"id": 2}, {"id": 3, "text": ["pin 12", "34"]}]
        >>> for row in filter_records(sf.Redact(r"\d{4}", to="####"), rows):
        ...     print(row.record, row.counts, row.reason)
        {'id': 1, 'text': 'pin ####'} {'redacted': 1}
        None {} the field 'text' is missing
        {'id': 3, 'text': ['pin ', '####']} {'redacted': 1}
    """
    stage = as_stage(pipeline)
    check_gives_text(stage.stages, "filter_records")
    _check("records", records, field, Hashable)
    return _each(stage, context, records, lambda record, run: _filtered(record, field, run))


def filter_json(
    pipeline: Stage[Any, Any], lines: Iterable[str | bytes], *, field: str = FIELD, context: Context | None = None
) -> Iterator[FilteredLine]:
    r"""The same for records that are lines of JSON: what is no JSON is a bad record too. Empty lines stay empty.

    Of what JSON leaves open, Python's `json` decides: of equal keys the last wins, numbers are as precise as a float.

    Args:
        pipeline: as of `filter_records`.
        lines: each a record, in UTF-8 or as text.
        field: which field.
        context: as of `filter_records`.

    Raises:
        TypeError: the pipeline is none, or gives values; there is one record alone; or the field is no name.

    Example:
        >>> import streamfilter as sf
        >>> for line in filter_json(sf.Redact(r"\d{4}", to="####"), [b'{"id": 1, "text": "pin 1234"}\n', b'{"text": "pi']):
        ...     print(line.line, line.counts, line.reason)
        b'{"id":1,"text":"pin ####"}' {'redacted': 1}
        None {} it is no JSON at column 10
    """
    stage = as_stage(pipeline)
    check_gives_text(stage.stages, "filter_json")
    _check("lines", lines, field, str)
    return _each(stage, context, lines, lambda line, run: _filtered_line(line, field, run))


def _check(name: str, inputs: object, field: object, kind: type) -> None:
    """Refuse one record, or the text of several, which would be taken for as many as it has keys or characters."""
    if isinstance(inputs, str | bytes | Mapping):
        raise TypeError(f"{name} is {type(inputs).__qualname__}: several of them are needed, as in a list")
    if not isinstance(field, kind):
        raise TypeError(f"field is {type(field).__qualname__}: the name of one is needed")


def _each(stage: Stage[Any, Any], context: Context | None, inputs: Iterable[T], filtered: Callable[[T, Run], R]) -> Iterator[R]:
    with contextlib.ExitStack() as stack:
        if any(part.must_wait for part in stage.stages):
            runner = stack.enter_context(asyncio.Runner())
            run: Run = lambda items, of_chunks: runner.run(_run_live(stage, items, context, of_chunks=of_chunks))  # noqa: E731
        else:
            run = lambda items, of_chunks: _run(stage, items, context, of_chunks=of_chunks)  # noqa: E731
        for each in inputs:
            yield filtered(each, run)


def _filtered_line(line: str | bytes, field: str, run: Run) -> FilteredLine:
    if not line.strip():
        return FilteredLine(b"")
    # Its end is none of it: a record that breaks off would be said to go wrong in the next line, at column 1.
    line = line.removesuffix("\n") if isinstance(line, str) else line.removesuffix(b"\n")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        column = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return FilteredLine(None, reason=f"it is no JSON{column}")
    done = _filtered(record, field, run)
    if done.record is None:
        return FilteredLine(None, reason=done.reason)
    try:
        written = _written(done.record, line)
    except (ValueError, RecursionError):
        return FilteredLine(None, reason="it has a number, or a depth, that cannot be written again")
    return FilteredLine(written.encode("utf-8", "backslashreplace"), done.counts)


def _written(record: dict[str, Any], line: str | bytes) -> str:
    """A record as JSON again. A line that itself says `NaN` or `Infinity` may go on to do so."""
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        json.loads(line, parse_float=_finite)
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _finite(number: str) -> float:
    """A number such as 1e999 would become infinite, which is no JSON."""
    if math.isinf(value := float(number)):
        raise ValueError("a number that a float cannot say")
    return value


def _filtered(record: object, field: str, run: Run) -> Filtered:
    if not isinstance(record, Mapping):
        return Filtered(None, reason=f"it is {type(record).__name__}, not an object with fields")
    if field not in record:
        return Filtered(None, reason=f"the field {field!r} is missing")
    value = record[field]
    items = [value] if isinstance(value, str) else value
    of_chunks = isinstance(items, list) and bool(items) and all(isinstance(item, Mapping) for item in items)
    if not isinstance(items, list) or not (of_chunks or all(isinstance(item, str) for item in items)):
        return Filtered(None, reason=f"the field {field!r} holds {type(value).__name__}: a text, or a list of chunks is needed")
    try:
        out, counts = run(items, of_chunks)
    except StreamFilterError as error:
        is_untold = isinstance(error, MalformedInput) and error.problem.removesuffix(IN_PYTHON).endswith(UNTOLD)
        if is_untold:  # no format could be named here
            said = "a list of objects that are no provider's chunks: a text, or a list of chunks is needed"
            return Filtered(None, reason=f"the field {field!r} holds {said}")
        return Filtered(None, reason=f"{type(error).__name__}: {error}")
    except Exception as error:  # of a check, or a callback: its message may quote the text
        return Filtered(None, reason=type(error).__qualname__)
    return Filtered({**record, field: "".join(out) if isinstance(value, str) else out}, counts)


def _run(
    stage: Stage[Any, Any], items: Sequence[Any], context: Context | None, *, of_chunks: bool
) -> tuple[list[Any], dict[str, int]]:
    with (wrap(stage) if of_chunks else stage).iter(items, context=Context.with_vault(context)) as stream:
        out = [item for item in stream if of_chunks or is_text(item)]
        return out, stream.report.counts


async def _run_live(
    stage: Stage[Any, Any], items: Sequence[Any], context: Context | None, *, of_chunks: bool
) -> tuple[list[Any], dict[str, int]]:
    async with (wrap(stage) if of_chunks else stage)(_given(items), context=Context.with_vault(context)) as stream:
        out = [item async for item in stream if of_chunks or is_text(item)]
        return out, stream.report.counts


async def _given(items: Sequence[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
